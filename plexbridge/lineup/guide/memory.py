"""How much memory this process has. Linux says it of this program; elsewhere only of the process,
whose highest may still be that of the one it was started from.
"""

import resource
import sys
from pathlib import Path
from typing import Final

_PAGE_KIB: Final = resource.getpagesize() // 1024
_STATM: Final = Path("/proc/self/statm")
_STATUS: Final = Path("/proc/self/status")
_ON_LINUX: Final = sys.platform == "linux"


def resident_kib() -> int:
    """Resident memory now, in KiB."""
    if not _ON_LINUX:
        return _highest_of_process()
    return int(_STATM.read_text().split()[1]) * _PAGE_KIB


def peak_kib() -> int:
    """Resident memory at its highest, in KiB."""
    if not _ON_LINUX:
        return _highest_of_process()
    rows = (line.split() for line in _STATUS.read_text().splitlines())
    return next(int(row[1]) for row in rows if row[0] == "VmHWM:")


def _highest_of_process() -> int:
    highest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return highest // 1024 if sys.platform == "darwin" else highest
