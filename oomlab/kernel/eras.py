"""Which rules a kernel follows: an Era is all facts at one release, and how we know."""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

from ..errors import InputError
from .facts import BASE, Facts
from .history import CHANGES, STABLE, VENDOR
from .release import Release, parse_release

OLDEST = (2, 6, 11)

ASKED_FOR = "asked for"
"""The evidence of an era that the user named."""


class Era(NamedTuple):
    """The rules of one kernel, and the evidence by which they were chosen."""

    release: str
    facts: Facts
    evidence: str

    @property
    def asked_for(self) -> bool:
        """Tell whether the user named these rules, whatever the data says."""
        return self.evidence == ASKED_FOR

    @property
    def family(self) -> str:
        """Return the name of the badness formula's family."""
        return self.facts.family

    @property
    def label(self) -> str:
        """Return the family with the releases it spans, as ``signed (5.9 to 6.19)``."""
        return f"{self.family} ({FAMILY_SPANS[self.family]})"


def facts_at(release: Release) -> Facts:
    """Return all facts of a release, its stable tree's deviations included.

    A stable level that the release does not tell counts as none: evidence decides then.
    """
    values: dict[str, object] = {}
    for change in CHANGES:
        if change.since <= release.series:
            values[change.fact] = change.value
    for stable in STABLE:
        if release.series == stable.series and (release.level or 0) >= stable.level:
            values |= stable.facts
    return BASE._replace(**values)  # type: ignore[arg-type]  # a test checks names and values


@lru_cache(maxsize=64)
def era_of(release: str, *, evidence: str = "release") -> Era:
    """Return the era of a release string. Raises InputError where it is not one.

    >>> era_of("6.1.0-50-cloud-amd64").family
    'signed'
    """
    parsed = parse_release(release)
    if parsed.series < OLDEST:
        raise InputError(f"{release[:60]!r}: the oldest rules here are those of {dotted(OLDEST)}")
    facts = facts_at(parsed)
    for vendor in VENDOR:
        if vendor.series == parsed.series and vendor.mark in release:
            facts = facts._replace(**vendor.facts)  # type: ignore[arg-type]
    return Era(release=release, facts=facts, evidence=evidence)


def with_facts(era: Era, evidence: str, **changes: object) -> Era:
    """Return ``era`` with single facts set by evidence, as a distribution's backport has them."""
    return era._replace(evidence=evidence, facts=era.facts._replace(**changes))  # type: ignore[arg-type]


_LAST_OF_SERIES = {3: "2.6.39", 4: "3.19", 5: "4.20", 6: "5.19", 7: "6.19"}


def release_before(series: tuple[int, ...]) -> str:
    """Return the mainline release before one, as 4.20 before 5.0."""
    if series[-1] == 0:
        return _LAST_OF_SERIES[series[0]]
    return dotted((*series[:-1], series[-1] - 1))


def dotted(series: tuple[int, ...]) -> str:
    """Return a release's name, as 2.6.32 or 5.10."""
    return ".".join(map(str, series))


def _family_spans() -> dict[str, str]:
    starts: list[tuple[tuple[int, ...], str]] = [(OLDEST, BASE.family)]
    starts += [(c.since, str(c.value)) for c in CHANGES if c.fact == "family"]
    spans = {
        family: f"{dotted(since)} to {release_before(until)}"
        for (since, family), (until, _) in pairwise(starts)
    }
    since, family = starts[-1]
    return spans | {family: f"{dotted(since)} and newer"}


FAMILY_SPANS = _family_spans()
