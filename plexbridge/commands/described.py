"""This machine and its installation, as a maintainer is told of them: versions, settings, what the
doctor says; nothing that tells whose they are.

Settings are shown as everywhere, without logins; of those that name a household only that they are
set. Addresses in lines of text become names that stay the same within one file.
"""

import platform
import re
from collections.abc import Callable, Iterable, Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final

from events.machine import MACHINE_ID
from plexbridge.audit.redaction import Redaction
from plexbridge.doctor import Answer
from plexbridge.lineup.redact import redact
from plexbridge.log.driver import SQLITE_VERSION
from plexbridge.settings import Settings
from plexbridge.version import __version__

OF_THE_HOUSE: Final = frozenset({"BASE_URL", "FRIENDLY_NAME", "DEVICE_ID"})
"""Settings whose values name a household; only that they are set matters."""

HIDDEN: Final = "(set; not shown)"

_URL: Final = re.compile(r"[a-z][a-z0-9+.-]*://[^\s\"'<>]+", re.IGNORECASE)
_ADDRESS: Final = re.compile(
    r"[0-9a-fA-F]*:[0-9a-fA-F:]+(?:\.[0-9.]+)?|(?:[0-9]{1,3}\.){3}[0-9]{1,3}"
)
"""What may be an address of either family; whether it is one is then looked at."""


def versions() -> dict[str, str]:
    """Of everything that decides how the bridge behaves."""
    return {
        "plexbridge": __version__,
        "machine": MACHINE_ID,
        "python": platform.python_version(),
        "sqlite": ".".join(map(str, SQLITE_VERSION)),
        "system": platform.platform(),
    }


def doctor_told(answers: Iterable[Answer]) -> list[dict[str, Any]]:
    """What the doctor says, for others."""
    return [answer.as_json() | {"text": anonymous(answer.text)} for answer in answers]


def settings_told(settings: Settings) -> list[dict[str, str]]:
    """Every setting with where its value comes from."""
    return [
        {"name": name, "value": _value(settings, name), "origin": str(origin)}
        for name, origin in settings.origins.items()
    ]


def anonymous(text: str) -> str:
    """Without the name of whoever has an account here, and without that of the house."""
    name = text.partition(" = ")[0]
    if name in OF_THE_HOUSE:
        return f"{name} = {HIDDEN}"
    return text.replace(str(Path.home()), "~")


def lines_told(lines: Iterable[str], redaction: Redaction) -> Iterator[str]:
    """Lines of a log without addresses, and with URLs as they may be shown. Credentials never are
    in the bridge's own lines; what else writes there is not ours."""
    for text in lines:
        told = _URL.sub(lambda found: redact(found[0]), anonymous(text))
        yield _ADDRESS.sub(_named(redaction), told)


def _named(redaction: Redaction) -> Callable[["re.Match[str]"], str]:
    def name(found: "re.Match[str]") -> str:
        try:
            address = ip_address(found[0])
        except ValueError:
            return found[0]
        harmless = address.is_loopback or address.is_unspecified
        return found[0] if harmless else redaction.name(found[0])

    return name


def _value(settings: Settings, name: str) -> str:
    shown = settings.shown(name)
    if name in OF_THE_HOUSE and shown:
        return HIDDEN
    return anonymous(shown)
