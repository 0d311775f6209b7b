"""Bounds of the control plane, each with its unit and its reason."""

from typing import Final

USER_AGENT_CHARS: Final = 200
"""Longer user agents are cut: they are shown and logged, and come from strangers."""

CLIENT_NAME_CHARS: Final = 80
"""What the page has room for."""

GUIDE_NUMBER_CHARS: Final = 32
"""What is kept of an unknown guide number in a refusal; real ones have at most eight."""

REFUSAL_COALESCE_MS: Final = 60_000
"""A client that retries a refused channel is recorded once a minute (DESIGN section 2)."""

REFUSALS_REMEMBERED: Final = 1_000
"""Clients and channels whose last refusal is remembered; the oldest is forgotten first."""

ENDED_REMEMBERED: Final = 1_000
"""Ended sessions whose second end is answered "already ended" without asking the log."""

HOLDERS_NAMED: Final = 20
"""Holders written into a recorded refusal: more than a home has tuners, small enough to read."""

REASON_CHARS: Final = 40
"""Length of a reason word a program may send (`[a-z0-9_]{1,40}`)."""
