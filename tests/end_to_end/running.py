"""A real bridge in a process of its own, as a person would start it."""

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

START_S = 20.0
WAIT_S = 15.0


def until(what: str, condition: Callable[[], Any], *, within_s: float = WAIT_S) -> Any:
    """The first true value of `condition`; fails with `what` when there is none in time."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        found = condition()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError(f"not within {within_s} s: {what}")


class RunningBridge:
    """`plexbridge serve` on a free port, ended with the test."""

    def __init__(self, data_dir: Path, *arguments: str, **environment: str) -> None:
        self.data_dir = data_dir
        self._environment = {
            **{name: text for name, text in os.environ.items() if name in ("PATH", "HOME", "TERM")},
            "PLEXBRIDGE_DATA_DIR": str(data_dir),
            "PORT": "0",
            "PLEXBRIDGE_DISCOVERY": "false",
            **environment,
        }
        self._arguments = arguments
        self.output = ""
        self.process: subprocess.Popen[str] | None = None
        self.base = ""

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self) -> Self:
        """Start, and wait until it says where its page is."""
        self.errors = (self.data_dir.parent / f"{self.data_dir.name}.stderr").open("a+")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "plexbridge.cli", "serve", *self._arguments],
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            text=True,
        )
        assert self.process.stdout is not None
        self.output = ""
        while (line := self.process.stdout.readline()) != "":
            self.output += line
            found = re.search(r"page\s+(http://\S+)/$", line.rstrip())
            if found is not None:
                self.base = found[1]
            if re.match(r"  (try it|no channels)", line):
                until("it is live", lambda: self.answers("/livez"), within_s=START_S)
                return self
        self.errors.seek(0)
        raise AssertionError(f"it did not start:\n{self.output}{self.errors.read()}")

    def kill(self) -> None:
        """`kill -9`."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()
        self._close_pipes()

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(timeout=START_S)
        self._close_pipes()
        return code

    def _close_pipes(self) -> None:
        assert self.process is not None
        assert self.process.stdout is not None
        self.process.stdout.close()
        self.errors.close()

    def answers(self, path: str) -> bool:
        """Whether a GET is answered with 200."""
        try:
            with urllib.request.urlopen(self.base + path, timeout=2) as answer:
                return int(answer.status) == 200
        except OSError:
            return False

    def get(self, path: str) -> Any:
        """The JSON at a path."""
        with urllib.request.urlopen(self.base + path, timeout=5) as answer:
            return json.loads(answer.read())

    def dashboard(self) -> dict[str, Any]:
        """The live dashboard."""
        document: dict[str, Any] = self.get("/api/dashboard")
        return document

    def sessions(self, state: str | None = None) -> list[dict[str, Any]]:
        """The open sessions, of one state if given."""
        found = self.dashboard()["sessions"]
        return [one for one in found if state in (None, one["state"])]

    def tuners_in_use(self) -> int:
        """Tuners that are neither free nor merely lingering."""
        return sum(tuner["state"] == "active" for tuner in self.dashboard()["tuners"])

    def command(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a `plexbridge` command on the same data directory."""
        return subprocess.run(
            [sys.executable, "-m", "plexbridge.cli", *words],
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
