"""Whose rules a report follows: its columns and words first, the release second."""

from __future__ import annotations

from ...errors import InputError
from ...kernel.release import parse_release
from ...report import OomReport

Series = tuple[int, ...]
_FIRST: Series = (2, 6, 11)
_LAST: Series = (99,)

WORDS: tuple[tuple[str, Series, Series], ...] = (
    ("columns oom_adj", (2, 6, 25), (2, 6, 35)),
    ("columns oom_adj oom_score_adj", (2, 6, 36), (3, 5)),
    ("columns nr_ptes swapents", (3, 6), (3, 19)),
    ("columns nr_ptes nr_pmds", (4, 0), (4, 14)),
    ("columns pgtables_bytes", (4, 15), (6, 7)),
    ("columns rss_anon", (6, 8), _LAST),
    ("line Tasks state", (4, 19), _LAST),
    ("summary line", (5, 0), _LAST),
    ("kill line with UID: and pgtables:", (5, 4), _LAST),
)
"""What a report shows, and the mainline releases that print it so (specification part 7)."""


def shown(report: OomReport) -> list[str]:
    """Return the names of ``WORDS`` that a report shows."""
    found, columns = [], report.columns or ()
    if "rss_anon" in columns:
        found.append("columns rss_anon")
    elif "pgtables_bytes" in columns:
        found.append("columns pgtables_bytes")
    elif "nr_pmds" in columns:
        found.append("columns nr_ptes nr_pmds")
    elif "nr_ptes" in columns:
        found.append("columns nr_ptes swapents")
    elif "oom_adj" in columns:
        both = "oom_score_adj" in columns
        found.append("columns oom_adj oom_score_adj" if both else "columns oom_adj")
    if report.tasks_state_line:
        found.append("line Tasks state")
    if report.summary is not None:
        found.append("summary line")
    if any(victim.pagetable_kib is not None for victim in report.victims):
        found.append("kill line with UID: and pgtables:")
    return found


def span(report: OomReport) -> tuple[Series, Series, list[str]]:
    """Return the first and last mainline release that would print so, and by what."""
    first, last, by = _FIRST, _LAST, []
    spans = {name: (since, until) for name, since, until in WORDS}
    for name in shown(report):
        since, until = spans[name]
        # A distribution may mix eras in one report: the columns stand, other words yield.
        if since > last or until < first:
            continue
        first, last = max(first, since), min(last, until)
        by.append(name)
    return first, last, by


def rules_of(report: OomReport) -> tuple[str, str]:
    """Return the release whose rules apply, and by what evidence. Raises InputError."""
    first, last, by = span(report)
    try:
        series: Series | None = parse_release(report.release or "").series
    except InputError:
        series = None
    if series is not None and (first <= series <= last or not by):
        return report.release or "", "release"
    if not by:
        raise InputError("the report tells neither the kernel's release nor its era")
    nearest = first if series is None or series < first else last
    if nearest == _LAST:
        nearest = first
    return ".".join(map(str, nearest)), f"the report's {', '.join(by)}"
