"""What earlyoom is told: its release and options, and when it acts by them.

Sources: earlyoom(1), the changelog in its README. https://github.com/rfjakob/earlyoom
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

from ...errors import InputError
from ...snapshot import Machine

Pattern = Callable[[str], bool]
"""Tells whether a process's name matches. earlyoom's are POSIX extended regular expressions."""


class Rules(NamedTuple):
    """What differs between earlyoom's releases."""

    release: str
    spares_unkillable: bool
    """Passes over oom_score_adj -1000, as the kernel does (1.6.1)."""
    spares_itself: bool
    """Kills nobody where it would have chosen itself (1.6.2)."""
    reads_stat: bool
    """RSS out of stat, so a zombie main thread is a candidate, as are negative points; --ignore,
    --sort-by-rss; percentages of the memory that processes can use (1.8)."""


RELEASES = (
    Rules("1.6", spares_unkillable=False, spares_itself=False, reads_stat=False),
    Rules("1.6.1", spares_unkillable=True, spares_itself=False, reads_stat=False),
    Rules("1.6.2", spares_unkillable=True, spares_itself=True, reads_stat=False),
    Rules("1.8", spares_unkillable=True, spares_itself=True, reads_stat=True),
)
"""Each until the next; the last holds for all newer ones up to 1.9."""

NEWEST = "1.8"
PATTERN_POINTS = 300
"""What --prefer adds to oom_score and --avoid takes away (earlyoom(1))."""
PATTERN_KIB = 3 << 20
"""The same with --sort-by-rss: 3 GiB of RSS."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """earlyoom's options. Raises InputError for a release before 1.6 or an option it lacks."""

    release: str = NEWEST
    prefer: Pattern | None = None
    avoid: Pattern | None = None
    ignore: Pattern | None = None
    sort_by_rss: bool = False
    memory_percent: float = 10.0
    """-m: SIGTERM at this much available memory, and with ``swap_percent`` of swap free."""
    memory_kill_percent: float = 5.0
    swap_percent: float = 10.0
    swap_kill_percent: float = 5.0

    def __post_init__(self) -> None:
        if not self.rules.reads_stat and (self.ignore or self.sort_by_rss):
            raise InputError("earlyoom has --ignore and --sort-by-rss from 1.8 on")

    @property
    def rules(self) -> Rules:
        """The rules of the release."""
        asked = _version(self.release)
        older = [rules for rules in RELEASES if _version(rules.release) <= asked]
        if not older:
            raise InputError(f"the rules of earlyoom before {RELEASES[0].release} are not known")
        return older[-1]


def _version(text: str) -> tuple[int, ...]:
    """Return 1.6.2 (or v1.7-1 of a package) as numbers. Raises InputError."""
    found = re.match(r"v?(\d{1,4}(?:\.\d{1,4})+)", text.strip())
    if found is None:
        raise InputError(f"{text[:40]!r} is not a release of earlyoom (write for example 1.7)")
    return tuple(map(int, found[1].split(".")))


Action = Literal["nothing", "SIGTERM", "SIGKILL"]


class Thresholds(NamedTuple):
    """Where memory and swap stand against -m and -s, in percent; None is unknown."""

    memory_percent: float | None
    swap_percent: float | None
    action: Action | None


def thresholds(machine: Machine, settings: Settings) -> Thresholds:
    """Return what earlyoom would do now: it acts once both are at or below their minimum."""
    memory, swap = _memory_percent(machine, settings.rules), _swap_percent(machine)
    grades: list[tuple[Action, float, float]] = [
        ("SIGKILL", settings.memory_kill_percent, settings.swap_kill_percent),
        ("SIGTERM", settings.memory_percent, settings.swap_percent),
    ]
    for action, least_memory, least_swap in grades:
        reached = _both(_at_most(memory, least_memory), _at_most(swap, least_swap))
        if reached is not False:
            return Thresholds(memory, swap, action if reached else None)
    return Thresholds(memory, swap, "nothing")


def _memory_percent(machine: Machine, rules: Rules) -> float | None:
    total = machine.ram_pages
    if rules.reads_stat:
        anon = machine.anon_pages
        total = None if anon is None else (machine.available_pages or 0) + anon
    if machine.available_pages is None or not total:
        return None
    return machine.available_pages * 100 / total


def _swap_percent(machine: Machine) -> float | None:
    if machine.swap_pages == 0:
        return 0.0
    if machine.swap_pages is None or machine.swap_free_pages is None:
        return None
    return machine.swap_free_pages * 100 / machine.swap_pages


def _at_most(percent: float | None, least: float) -> bool | None:
    return None if percent is None else percent <= least


def _both(one: bool | None, other: bool | None) -> bool | None:
    """Return whether both hold; one that doesn't settles it whatever the other is."""
    if one is False or other is False:
        return False
    return None if one is None or other is None else True
