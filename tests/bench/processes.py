"""What a process and its children have used, as the kernel counts it (proc(5))."""

import os
from collections.abc import Iterator
from pathlib import Path

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid: int) -> float:
    """Processor time of the tree so far, user and system, in seconds; a hundredth at best."""
    ticks = 0
    for each in _tree(pid):
        # After the name, which may hold anything: fields 14 and 15 of proc_pid_stat(5).
        fields = _read(each, "stat").rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12]) if fields else 0
    return ticks / _TICKS_PER_S


def resident_mb(pid: int) -> float:
    """Resident memory of the tree, in MB of 2^20 bytes; shared pages count once for each."""
    kilobytes = 0
    for each in _tree(pid):
        lines = (line.split() for line in _read(each, "status").splitlines())
        kilobytes += sum(int(line[1]) for line in lines if line[0] == "VmRSS:")
    return kilobytes / 1_024


def _tree(pid: int) -> Iterator[int]:
    yield pid
    for child in _read(pid, f"task/{pid}/children").split():
        yield from _tree(int(child))


def _read(pid: int, name: str) -> str:
    """Empty when the process is gone."""
    try:
        return Path(f"/proc/{pid}/{name}").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return ""
