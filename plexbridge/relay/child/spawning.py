"""Starting ffmpeg so that it never outlives us, from a thread of its own. Blocks.

Knows processes and what a child must not inherit; nothing of pipes, streams or the event loop.

The kernel's parent-death signal ends a child when we are killed. It follows the *thread* that
started the child, so one thread starts them all and lives as long as the bridge; executing a
program from a cold disk does not block the event loop either. `setpriv` (util-linux) asks for the
signal in the child: `preexec_fn` would run Python between fork and exec, which a process with
threads must not do lightly, and forces a full `fork`: 16 ms instead of 2 ms for a process of
400 MB. Only where there is no such `setpriv` (Alpine without util-linux) is it used after all, with
one call prepared beforehand.

What is left: a child started in the very millisecond in which we are killed, and children of a
wrapper script named as `FFMPEG_PATH`, end by their broken pipes instead.
"""

import ctypes
import os
import resource
import shutil
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

DEFAULT_PROGRAM: Final = "ffmpeg"
"""Looked for on the `PATH` when no setting names another."""

_PR_SET_PDEATHSIG: Final = 1

_INHERITED: Final = ("PATH", "LD_LIBRARY_PATH", "SSL_CERT_FILE", "SSL_CERT_DIR", "TZ", "TMPDIR")
"""What a child sees of our environment. Not the rest: our keys are in it, and a proxy that ffmpeg
would obey behind the back of the address rules."""

_HELP_SECONDS_MAX: Final = 5.0


class FfmpegMissing(Exception):
    """There is no such program, or it cannot be executed."""

    def __init__(self, program: str) -> None:
        super().__init__(f"{program}: not found or not executable")
        self.program = program


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """One child to start. Descriptors stay the caller's."""

    arguments: Sequence[str]
    stdin: int
    """Descriptor, or `subprocess.DEVNULL`."""
    stdout: int
    stderr: int
    pass_fds: tuple[int, ...] = ()
    """Further descriptors, under their numbers."""


class Launcher:
    """Starts ffmpeg. Every method is to be called from one and the same thread."""

    def __init__(self, program: str, environment: Mapping[str, str]) -> None:
        """`program`: a path, or a name that is looked for on the `PATH` of `environment`."""
        self._program = program
        self._path = environment.get("PATH", os.defpath)
        self._environment = {
            **{name: environment[name] for name in _INHERITED if name in environment},
            "LC_ALL": "C",
        }
        self._prefix: tuple[str, ...] | None = None
        self._prepare: Callable[[], object] | None = None

    def start(self, what: Start) -> "subprocess.Popen[bytes]":
        """A running child, leader of its own session and process group.

        Looks for the program each time: whoever installs it need not restart the bridge.

        Raises:
            FfmpegMissing: there is none.
        """
        found = shutil.which(self._program, path=self._path)
        if found is None:
            raise FfmpegMissing(self._program)
        if self._prefix is None:
            self._prefix, self._prepare = self._guard()
        try:
            child = subprocess.Popen(
                [*self._prefix, found, *what.arguments],
                stdin=what.stdin,
                stdout=what.stdout,
                stderr=what.stderr,
                pass_fds=what.pass_fds,
                cwd="/",
                env=self._environment,
                start_new_session=True,
                preexec_fn=self._prepare,
            )
        except OSError:
            raise FfmpegMissing(self._program) from None
        _limit(child.pid)
        return child

    def _guard(self) -> tuple[tuple[str, ...], Callable[[], object] | None]:
        """How the parent-death signal is asked for here: a prefix, or a call after the fork."""
        setpriv = shutil.which("setpriv", path=self._path)
        if setpriv is not None and _knows_pdeathsig(setpriv):
            return (setpriv, "--pdeathsig", "KILL", "--no-new-privs", "--"), None
        prctl = ctypes.CDLL(None).prctl
        return (), lambda: prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _knows_pdeathsig(setpriv: str) -> bool:
    try:
        shown = subprocess.run(
            [setpriv, "--help"], capture_output=True, timeout=_HELP_SECONDS_MAX, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return b"pdeathsig" in shown.stdout


def _limit(pid: int) -> None:
    """No core dump: it would hold the URL. No files: it has nothing to write but its pipes."""
    try:
        for limit in (resource.RLIMIT_CORE, resource.RLIMIT_FSIZE):
            resource.prlimit(pid, limit, (0, 0))
    except (ProcessLookupError, PermissionError):
        # Gone already, or another user's by a set-user-id wrapper: then that is its affair.
        return
