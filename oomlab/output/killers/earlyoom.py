"""The listing of a ranking by earlyoom's rules."""

from __future__ import annotations

from typing import Any, NamedTuple

from ...analysis.killers.earlyoom import Candidate, EarlyoomRanking
from ...analysis.killers.earlyoom_settings import NEWEST, PATTERN_POINTS, Thresholds, thresholds
from ...units import KIB
from ..ranking import named, seen_text
from ..tables import Column, shown_size
from .shared import frame, kernel_sentence, shown_places


class Row(NamedTuple):
    """A process with its place; None where earlyoom passes it over."""

    one: Candidate
    places: tuple[int, int] | None


def rows_of(ranking: EarlyoomRanking, count: int | None, *, every: bool) -> list[Row]:
    """Return the first ``count`` in the order of choice, with ``every`` also who is passed over."""
    chosen = ranking.first(count)
    rows = [Row(one, ranking.places(one, place)) for place, one in enumerate(chosen, 1)]
    return (rows + [Row(one, None) for one in ranking.spared] if every else rows)[:count]


def _range(low: int, high: int) -> str:
    return str(low) if low == high else f"{low}..{high}" if high < 1 << 40 else "?"


def _points(row: Row) -> str:
    return _range(row.one.points_low, row.one.points_high)


def _rss_bytes(row: Row) -> int | None:
    low, high = row.one.rss_low_kib, row.one.rss_high_kib
    return low * KIB if low == high else None


def _pattern(row: Row) -> str:
    marks = [("prefer", row.one.preferred), ("avoid", row.one.avoided)]
    return " ".join(word for word, holds in marks if holds)


COLUMNS: tuple[Column[Row], ...] = (
    Column(
        name="rank",
        header="RANK",
        help="place in earlyoom's order; a range where it can't be known",
        value=lambda row: None if row.places is None else row.places[0],
        show=lambda row: shown_places(row.places),
    ),
    Column(name="pid", header="PID", help="process", value=lambda row: row.one.task.pid),
    Column(
        name="user",
        header="USER",
        help="effective user",
        value=lambda row: row.one.task.user or row.one.task.euid,
        left=True,
        keep=4,
    ),
    Column(
        name="adj",
        header="ADJ",
        help="oom_score_adj",
        key="oom_score_adj",
        value=lambda row: row.one.task.oom_score_adj,
    ),
    Column(
        name="score",
        header="SCORE",
        help="oom_score as earlyoom reads it",
        key="oom_score",
        value=lambda row: row.one.oom_score,
    ),
    Column(
        name="points",
        header="POINTS",
        help="oom_score after --prefer and --avoid: the largest is killed",
        value=lambda row: row.one.points_low if row.one.is_exact else None,
        show=_points,
    ),
    Column(
        name="rss",
        header="RSS",
        help="RSS: decides among equals (after the patterns with --sort-by-rss: decides)",
        key="rss_bytes",
        value=_rss_bytes,
        show=lambda row: shown_size(_rss_bytes(row)),
    ),
    Column(
        name="pattern",
        header="PATTERN",
        help="which of the patterns matched",
        value=_pattern,
        left=True,
        keep=5,
    ),
    Column(
        name="why_not",
        header="NEVER, BECAUSE",
        help="why earlyoom passes it over (with --all)",
        value=lambda row: row.one.why_not,
        show=lambda row: row.one.why_not or "",
        left=True,
        keep=5,
    ),
    Column(
        name="name",
        header="NAME",
        help="name (comm), which the patterns are matched against",
        value=lambda row: row.one.task.comm,
        left=True,
        flexible=True,
    ),
)


def default_columns(rows: list[Row]) -> list[Column[Row]]:
    """Return the columns shown unless told otherwise: those of which some row has something."""
    empty = set()
    if not any(_pattern(row) for row in rows):
        empty.add("pattern")
    if not any(row.one.why_not for row in rows):
        empty.add("why_not")
    return [column for column in COLUMNS if column.name not in empty]


def heading(ranking: EarlyoomRanking) -> list[str]:
    """Return the answer, whether earlyoom would act now, and the rules."""
    settings = ranking.settings
    where = thresholds(ranking.snapshot.machine, settings)
    lines = [
        f"If memory and swap ran low, earlyoom would kill {_victims(ranking)}"
        f"{seen_text(ranking.kernel)}.",
        f"{_act(where)}: {_percent('memory', where.memory_percent, 'available')}, "
        f"{_swap(ranking, where)}; it acts at {settings.memory_percent:g}% and "
        f"{settings.swap_percent:g}%.",
        kernel_sentence(ranking.kernel),
        f"Rules of earlyoom {settings.release}{_newest(ranking)}: the largest "
        f"{'RSS' if settings.sort_by_rss else 'oom_score'} dies{_offset(ranking)}.",
    ]
    if _itself(ranking):
        lines.append("Note: a process named earlyoom is its first choice; it never kills itself.")
    return lines


def _victims(ranking: EarlyoomRanking) -> str:
    victim = ranking.victim
    if victim is None:
        return "nobody: it would find no process"
    first = [one for one in ranking.first(50) if ranking.places(one, 1)[0] == 1]
    if ranking.is_exact or len(first) == 1:
        return named(victim.task)
    names = ", ".join(named(one.task) for one in first[:4])
    return f"one of {names}{' and others' if len(first) > 4 else ''}: the scores are ranges"


def _act(where: Thresholds) -> str:
    if where.action is None:
        return "Whether it would act now can't be known"
    return f"Now it would {'do nothing' if where.action == 'nothing' else f'send {where.action}'}"


def _percent(what: str, percent: float | None, state: str) -> str:
    return (
        f"how much {what} is {state} is unknown"
        if percent is None
        else (f"{percent:.1f}% of {what} is {state}")
    )


def _swap(ranking: EarlyoomRanking, where: Thresholds) -> str:
    if ranking.snapshot.machine.swap_pages == 0:
        return "there is no swap"
    return _percent("swap", where.swap_percent, "free")


def _newest(ranking: EarlyoomRanking) -> str:
    return " and newer" if ranking.settings.release == NEWEST else ""


def _offset(ranking: EarlyoomRanking) -> str:
    if not (ranking.settings.prefer or ranking.settings.avoid):
        return ""
    by = "3 GiB" if ranking.settings.sort_by_rss else str(PATTERN_POINTS)
    return f", --prefer adds {by}, --avoid takes {by} away"


def _itself(ranking: EarlyoomRanking) -> bool:
    victim = ranking.victim
    return (
        victim is not None
        and victim.task.comm == "earlyoom"
        and ranking.settings.rules.spares_itself
    )


def document(ranking: EarlyoomRanking, rows: list[Row]) -> dict[str, Any]:
    """Return the JSON document."""
    where = thresholds(ranking.snapshot.machine, ranking.settings)
    victim = ranking.victim
    more = {
        "memory_available_percent": where.memory_percent,
        "swap_free_percent": where.swap_percent,
        "action": where.action,
        "victim": victim.task.pid if victim is not None and ranking.is_exact else None,
        "kernel_victim": ranking.kernel.victim.task.pid if ranking.kernel.victim else None,
    }
    return frame(
        "earlyoom",
        ranking.settings.release,
        heading(ranking),
        ranking.snapshot,
        [_entry(row) for row in rows],
        more,
    )


def _entry(row: Row) -> dict[str, Any]:
    one, task = row.one, row.one.task
    best, worst = row.places or (None, None)
    return {
        "rank_best": best,
        "rank_worst": worst,
        "pid": task.pid,
        "comm": task.comm,
        "user": task.user,
        "oom_score_adj": task.oom_score_adj,
        "oom_score": one.oom_score,
        "points_low": one.points_low,
        "points_high": one.points_high if one.points_high < 1 << 40 else None,
        "rss_bytes": _rss_bytes(row),
        "preferred": one.preferred,
        "avoided": one.avoided,
        "why_not": one.why_not,
    }
