"""Each guarantee broken once, on purpose: the test that stands beside it must fail.

`python -m tests.simulation.mutations [NAME…]` copies the tree, changes one place, and runs the
named test in the copy. A mutation that no test notices is a guarantee that nobody keeps.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
COPIED: Final = ("events", "projections", "plexbridge", "tests", "pyproject.toml")
TEST_S: Final = 300.0


@dataclass(frozen=True, slots=True)
class Mutation:
    """One change, and the test that notices."""

    name: str
    """As in `docs/guarantees.md`."""
    path: str
    old: str
    new: str
    test: str


def _core(name: str) -> str:
    return f"tests/core/{name}"


def _service(name: str) -> str:
    return f"tests/service/{name}"


MUTATIONS: Final = (
    Mutation(
        "one-end",
        "events/decide.py",
        "raise AlreadyEnded(session) if session in world.ended else UnknownSession(session)",
        "return next(iter(world.sessions.values()))",
        _service("test_door.py::test_a_second_stop_is_told_so_and_there_is_one_terminal_event"),
    ),
    Mutation(
        "only-the-machines-steps",
        "events/machine.py",
        "    if not moved:\n        raise IllegalStep(state, trigger)\n",
        "",
        _core("test_machine.py::test_only_the_same_client_resumes"),
    ),
    Mutation(
        "nothing-after-ended",
        "events/machine.py",
        '{"trigger": RECLAIM, "source": [CONNECTING, ACTIVE, RECOVERING], "dest": ENDED},',
        '{"trigger": RECLAIM, "source": [CONNECTING, ACTIVE, RECOVERING, ENDED], "dest": ENDED},',
        _core("test_machine.py::test_nothing_leads_out_of_ended"),
    ),
    Mutation(
        "deliberate-ends-end",
        "events/reasons.py",
        "return reason not in INTENTIONAL and kept",
        "return kept",
        _core("test_reasons.py::test_the_seeds_truth_table"),
    ),
    Mutation(
        "errors-are-kept",
        "events/reasons.py",
        "kept = reason in ERRORS or policy.keep_alive",
        "kept = policy.keep_alive",
        _core("test_upstream_rules.py::test_an_error_is_maintained_without_keep_alive"),
    ),
    Mutation(
        "one-tuner-one-relay",
        "events/admission.py",
        "taken = {lease.tuner for lease in self.leases()}",
        "taken = {lease.tuner for lease in self.leases()[1:]}",
        _core("test_property.py"),
    ),
    Mutation(
        "source-limit",
        "events/admission.py",
        "return max(0, in_use + 1 - allowed) if allowed else 0",
        "return max(0, in_use - allowed) if allowed else 0",
        _core("test_admission.py::test_a_full_source_refuses_with_its_numbers"),
    ),
    Mutation(
        "source-limit-at-failover",
        "events/upstreams.py",
        "    if len(given_up) < missing:\n        return Decision()\n",
        "",
        _core("test_upstream_rules.py::test_a_failover_takes_no_connection_that_a_viewer_holds"),
    ),
    Mutation(
        "who-stays-is-left-alone",
        "events/admission.py",
        "return neighbours[0] if len(neighbours) == 1 and neighbours[0].single_viewer else None",
        "return neighbours[0] if neighbours else None",
        _core("test_admission.py::test_a_single_viewer_player_with_two_sessions_is_two_viewers"),
    ),
    Mutation(
        "media-servers-are-many",
        "events/admission.py",
        "    if not tune.client.single_viewer:\n        return None\n",
        "",
        _core("test_admission.py::test_a_viewer_who_stays_is_never_ended_for_one_who_comes"),
    ),
    Mutation(
        "own-session-only",
        "events/tuning.py",
        "        and session.client_key == tune.client.key\n",
        "",
        _core("test_session_rules.py::test_nobody_else_takes_a_session_over"),
    ),
    Mutation(
        "an-old-connection-ends-nothing",
        "events/decide.py",
        "if command.connection is not None and command.connection != session.connection:",
        "if False:",
        _core(
            "test_session_rules.py"
            "::test_the_connection_that_a_maintained_disconnect_closed_does_not_end_the_session"
        ),
    ),
    Mutation(
        "deadlines-count-from-bytes",
        "events/deadlines.py",
        "        accepted_at = max(accepted_at, progress.accepted_at)\n",
        "        accepted_at = session.started_at\n",
        _core("test_deadlines.py::test_a_byte_seen_since_moves_the_deadline"),
    ),
    Mutation(
        "leases-return",
        "events/releases.py",
        "        released.append(release(one, at, why=why, because=last))\n",
        "",
        _core("test_upstream_rules.py::test_lingering_can_be_turned_off"),
    ),
    Mutation(
        "refusals-are-facts",
        "events/tuning.py",
        "        drafts = _refused(command, answer.refusal, world, waited_ms)\n",
        "        drafts = ()\n",
        _core("test_admission.py::test_who_waited_in_vain_is_told_who_holds_the_tuners"),
    ),
    Mutation(
        "refusals-once-a-minute",
        "events/tuning.py",
        "if before is not None and at - before < REFUSAL_COALESCE_MS * 1_000:",
        "if False:",
        _core(
            "test_admission.py"
            "::test_a_refusal_is_recorded_once_a_minute_for_each_client_and_channel"
        ),
    ),
    Mutation(
        "one-serial-door",
        "plexbridge/control/door.py",
        "        for event in events:\n            evolve(self.world, event)\n"
        "        durable = asyncio",
        "        durable = asyncio",
        _service("test_door.py::test_tunes_at_the_same_instant_never_get_one_tuner"),
    ),
    Mutation(
        "given-when-durable",
        "plexbridge/control/pending.py",
        "            self.when_durable = self.events\n        else:",
        "            self.when_durable = ()\n        else:",
        _service("test_door.py::test_a_tune_is_answered_only_when_it_is_durable"),
    ),
    Mutation(
        "taken-at-once",
        "plexbridge/control/pending.py",
        "            self.at_once = self.events\n",
        "            self.when_durable = self.events\n",
        _service("test_door.py::test_what_happened_takes_effect_at_once"),
    ),
    Mutation(
        "a-cancelled-tune-leaves-nothing",
        "plexbridge/control/door.py",
        "            self._take_back(command)\n            raise\n",
        "            raise\n",
        _service("test_door.py::test_a_tune_cancelled_before_it_is_durable_leaves_nothing"),
    ),
    Mutation(
        "a-hanging-disk-keeps-nobody-waiting",
        "plexbridge/control/door.py",
        "STORED_WITHIN_S: Final = 5.0",
        "STORED_WITHIN_S: Final = 50.0",
        _service(
            "test_zaps_failing_disk.py::"
            "test_a_disk_that_hangs_lets_viewers_watch_on_and_nobody_wait_for_ever"
        ),
    ),
    Mutation(
        "no-ghosts-after-an-outage",
        "plexbridge/control/outage.py",
        "if given_away and session.connection is not None and observe(session.id) is None:",
        "if False:",
        _service(
            "test_left_behind.py"
            "::test_who_left_while_handed_over_is_not_a_ghost_when_the_hand_over_is_lost"
        ),
    ),
    Mutation(
        "no-lease-without-relay",
        "plexbridge/control/outage.py",
        "        if (channel_stream(lease.channel), lease.ver) in closed:\n",
        "        if False:\n",
        _service(
            "test_left_behind.py::test_a_relay_closed_for_want_of_a_joiner"
            "_that_was_stored_after_all_frees_its_tuner"
        ),
    ),
    Mutation(
        "no-relay-closed-in-vain",
        "plexbridge/control/door.py",
        "        if resting:\n            pending.wait_with_releases()\n",
        "",
        _service("test_left_behind.py::test_a_release_that_rests_on_a_lost_tune_closes_no_relay"),
    ),
    Mutation(
        "nothing-is-stored-twice",
        "plexbridge/control/door.py",
        "            if not self._was_stored(pending, rows):\n",
        "            if not False:\n",
        _service("test_outage.py::test_what_was_stored_unheard_is_not_stored_again"),
    ),
    Mutation(
        "old-closes-before-new-opens",
        "plexbridge/control/closings.py",
        "        await self.over()\n",
        "",
        "tests/simulation/test_simulation.py::test_a_provider_never_counts_one_connection_too_many",
    ),
    Mutation(
        "a-crash-leaves-nothing-open",
        "events/lifecycle.py",
        "    return ends + returns\n",
        "    return returns\n",
        _core("test_session_rules.py::test_a_start_reclaims_what_a_crash_left_open"),
    ),
    Mutation(
        "the-chain",
        "events/codec.py",
        "hashlib.sha256(previous + _POSITION.pack(pos) + fields)",
        "hashlib.sha256(_POSITION.pack(pos) + fields)",
        _core("test_codec.py::test_the_hash_of_an_event_never_changes"),
    ),
    Mutation(
        "durable-is-on-the-disk",
        "plexbridge/log/writer.py",
        '                self._connection.execute("COMMIT")\n',
        "                pass\n",
        "tests/contract/test_power_cut.py::test_a_power_cut_loses_nothing_that_was_acknowledged",
    ),
    Mutation(
        "full-is-full",
        "plexbridge/log/driver.py",
        '{"full": "FULL", "relaxed": "NORMAL"}',
        '{"full": "NORMAL", "relaxed": "NORMAL"}',
        "tests/contract/test_power_cut.py::test_the_recorded_connection_is_set_up_as_the_real_one",
    ),
    Mutation(
        "the-sweep-finds-leaks",
        "plexbridge/control/sweep.py",
        "        for finding in sorted(first & again,",
        "        for finding in sorted(set() & again,",
        _service("test_sweep.py::test_a_connection_without_a_session_is_closed"),
    ),
    Mutation(
        "deadlines-outlive-their-commands",
        "events/deadlines.py",
        "        if session.state == ENDED:\n            continue",
        "        if False:\n            continue",
        _core(
            "test_deadlines.py::test_what_was_ended_by_the_command_before_it_is_not_due_any_more"
        ),
    ),
    Mutation(
        "a-failed-fold-is-parked",
        "plexbridge/log/audience.py",
        "                except Exception as error:",
        "                except ZeroDivisionError as error:",
        "tests/contract/test_event_log.py::test_a_listener_that_raises_harms_nobody_else",
    ),
)


def mutated(mutation: Mutation, directory: Path) -> bool:
    """Whether the named test fails in a copy that is changed so."""
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, directory / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, directory / name)
    path = directory / mutation.path
    text = path.read_text()
    assert text.count(mutation.old) == 1, f"{mutation.name}: {mutation.path} has changed"
    path.write_text(text.replace(mutation.old, mutation.new))
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", mutation.test],
        cwd=directory,
        capture_output=True,
        text=True,
        timeout=TEST_S,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        check=False,
    )
    assert ran.returncode in (0, 1), f"{mutation.name}: {ran.stdout[-2_000:]}{ran.stderr[-2_000:]}"
    return ran.returncode == 1


def main(names: Sequence[str]) -> int:
    """Try all, or those that are named; 1 when one went unnoticed."""
    unnoticed = 0
    for mutation in MUTATIONS:
        if names and mutation.name not in names:
            continue
        with tempfile.TemporaryDirectory() as directory:
            noticed = mutated(mutation, Path(directory))
        unnoticed += not noticed
        print(f"{'noticed  ' if noticed else 'UNNOTICED'} {mutation.name}: {mutation.test}")
    return 1 if unnoticed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
