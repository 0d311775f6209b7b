"""A program that ends in time and leaves no process behind, whatever it does.

It gets a process group of its own, and the group is ended with it: servers, loads and players that
it started and did not stop are found there.
"""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

KILL_AFTER_S = 5.0
"""From asking a group to end to killing it: a bridge stops within this."""
_POLL_S = 0.05


def run_bounded(
    command: Sequence[str], *, within_s: float, scratch: Path | None = None
) -> str | None:
    """Run it to its end. None when it went well, otherwise in a few words what did not.
    `scratch`: where it puts temporary files, which it does not tidy up when it is ended."""
    environment = os.environ if scratch is None else {**os.environ, "TMPDIR": str(scratch)}
    program = subprocess.Popen(command, start_new_session=True, env=environment)
    try:
        code = program.wait(timeout=within_s)
    except subprocess.TimeoutExpired:
        return f"not done within {within_s:g} s"
    finally:
        _end_group(program)
    return None if code == 0 else f"ended with code {code}"


def _end_group(program: "subprocess.Popen[bytes]") -> None:
    for kind, patience_s in ((signal.SIGTERM, KILL_AFTER_S), (signal.SIGKILL, KILL_AFTER_S)):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(program.pid, kind)
        deadline = time.monotonic() + patience_s
        while time.monotonic() < deadline:
            program.poll()
            if not _group_lives(program.pid):
                return
            time.sleep(_POLL_S)


def _group_lives(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True
