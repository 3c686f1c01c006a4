"""The columns of a listing of scopes: text, CSV, Markdown and sorting follow from them."""

from __future__ import annotations

from collections.abc import Callable

from ..analysis.scopes import OomScope
from ..memcg import is_unlimited
from .scope_rows import ScopeRow, victim_text
from .tables import Column, shown_size


def _limit_text(row: ScopeRow, pages: int | None) -> str:
    return "-" if pages is not None and is_unlimited(pages) else shown_size(row.bytes_of(pages))


def _sized(
    name: str, header: str, text: str, keep: int, pages: Callable[[OomScope], int | None]
) -> Column[ScopeRow]:
    return Column(
        name=name,
        header=header,
        help=text,
        key=f"{name}_bytes",
        value=lambda row: row.limit_of(pages(row.scope)),
        show=lambda row: _limit_text(row, pages(row.scope)),
        keep=keep,
    )


def _shown_first(row: ScopeRow) -> str:
    if row.scope.first is None:
        return ""
    return row.scope.first or "machine"


def _stalled(row: ScopeRow) -> float | None:
    return None if row.scope.pressure is None else row.scope.pressure.some_avg10_percent


COLUMNS: tuple[Column[ScopeRow], ...] = (
    Column(
        name="near",
        header="NEAR",
        help="how much of limit and swap can't be given back; at 100% the killer comes",
        key="used_percent",
        value=lambda row: row.share_percent,
        show=lambda row: "-" if row.share_percent is None else f"{row.share_percent:.0f}%",
    ),
    Column(
        name="scope",
        header="SCOPE",
        help="whose limit: machine, unit, container, pod, cgroup, memory nodes",
        value=lambda row: row.scope.name,
        left=True,
        flexible=True,
        least=20,
    ),
    Column(
        name="kind",
        header="KIND",
        help="what the scope is",
        value=lambda row: row.kind,
        left=True,
        keep=5,
    ),
    _sized("limit", "LIMIT", "its own memory limit", 9, lambda s: s.room.limit_pages),
    _sized("swap", "SWAP", "swap that it may use", 4, lambda s: s.room.swap_limit_pages),
    _sized("used", "USED", "memory in use, file cache included", 8, lambda s: s.room.usage_pages),
    _sized(
        "cache",
        "CACHE",
        "file cache and slab that would go first, at most",
        4,
        lambda s: s.room.reclaimable_pages,
    ),
    _sized(
        "left",
        "LEFT",
        "what it can still take, at most, cache and swap included",
        9,
        lambda s: s.room.headroom_pages,
    ),
    Column(
        name="first",
        header="RUNS OUT FIRST",
        help="the scope above whose memory runs out before its own limit is met",
        value=lambda row: row.scope.first,
        show=_shown_first,
        left=True,
        flexible=True,
    ),
    Column(
        name="stalled",
        header="PSI",
        help="share of the last 10 seconds in which some task waited for memory",
        key="some_avg10_percent",
        value=_stalled,
        show=lambda row: "-" if _stalled(row) is None else f"{_stalled(row):.1f}%",
        keep=3,
    ),
    Column(
        name="kills",
        header="KILLS",
        help="processes that the OOM killer killed there so far",
        key="oom_kills",
        value=lambda row: row.kills,
        show=lambda row: "-" if row.kills is None else str(row.kills),
        keep=6,
    ),
    Column(name="tasks", header="TASKS", help="processes", value=lambda row: row.tasks, keep=2),
    Column(
        name="victim",
        header="VICTIM",
        help="who would die; +N die with it (memory.oom.group)",
        value=lambda row: (
            None
            if row.ranking is None or row.ranking.victim is None
            else row.ranking.victim.task.pid
        ),
        key="victim_pid",
        show=victim_text,
        left=True,
        flexible=True,
    ),
    _sized(
        "badness",
        "BADNESS",
        "the victim's badness there (pages rules only)",
        9,
        lambda s: (
            None
            if s.ranking is None or s.ranking.victim is None or not s.ranking.era.facts.in_pages
            else s.ranking.victim.badness
        ),
    ),
    _sized(
        "total",
        "TOTAL",
        "totalpages, as a size",
        9,
        lambda s: None if s.ranking is None else s.ranking.scope.totalpages,
    ),
    _sized("swapped", "SWAPPED", "swap in use", 9, lambda s: s.room.swap_usage_pages),
    _sized("high", "HIGH", "memory.high", 9, lambda s: s.memcg.high_pages if s.memcg else None),
    Column(
        name="group",
        header="GROUP",
        help="memory.oom.group: all die together",
        key="oom_group",
        value=lambda row: None if row.scope.memcg is None else row.scope.memcg.oom_group,
        show=lambda row: "yes" if row.scope.memcg and row.scope.memcg.oom_group else "",
        left=True,
    ),
    Column(
        name="qos",
        header="QOS",
        help="Kubernetes QoS class",
        value=lambda row: row.scope.place.qos,
        show=lambda row: row.scope.place.qos or "",
        left=True,
    ),
    Column(
        name="engine",
        header="ENGINE",
        help="container engine",
        value=lambda row: row.scope.place.engine,
        show=lambda row: row.scope.place.engine or "",
        left=True,
    ),
    Column(
        name="path",
        header="PATH",
        help="the memory cgroup",
        value=lambda row: row.scope.path,
        show=lambda row: row.scope.path or "",
        left=True,
        flexible=True,
    ),
)

_EXTRA = frozenset(
    ["first", "badness", "total", "swapped", "high", "group", "qos", "engine", "path"]
)
"""Shown only where asked for."""


def default_columns(rows: list[ScopeRow]) -> list[Column[ScopeRow]]:
    """Return the columns that a listing shows unless told otherwise."""
    left_out = set(_EXTRA)
    if any(row.scope.first for row in rows):
        left_out.discard("first")
    return [column for column in COLUMNS if column.name not in left_out]
