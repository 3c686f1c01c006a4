"""The wrapping met last as one pattern: most lines of a log are wrapped alike."""

from __future__ import annotations

import re
from typing import NamedTuple

from .prefixes import DATED, HOST_KERNEL, LEAD, PREFIXES

TIMES = ("iso", "time5424", "human", "short", "numeric", "unix", "epoch")
HOSTS = ("host", "host5424", "node")
CALLERS = ("caller", "kcaller")
"""Groups that tell a line's time, host and caller; the first that was met counts."""


class Learned(NamedTuple):
    """A sequence of pieces as one pattern, and which of its groups tell what."""

    pattern: re.Pattern[str]
    times: tuple[str, ...]
    hosts: tuple[str, ...]
    callers: tuple[str, ...]
    has_uptime: bool
    has_usec: bool
    lacks_host: bool
    """It has none where one may stand."""


def learned(names: tuple[str, ...]) -> Learned:
    """Return the pattern of these pieces in this order."""
    patterns = dict(PREFIXES) | {"host": HOST_KERNEL, "lead": LEAD}
    # Atomic: a piece gives nothing back, here as where they are taken off one by one.
    pattern = re.compile("".join(rf"[ \t]*(?>{patterns[name]})" for name in names))
    groups = set(pattern.groupindex)
    return Learned(
        pattern,
        tuple(name for name in reversed(TIMES) if name in groups),
        tuple(name for name in HOSTS if name in groups),
        tuple(name for name in CALLERS if name in groups),
        "uptime" in groups,
        "usec" in groups,
        bool(DATED & set(names)) and "host" not in names,
    )
