"""The columns of a listing of scopes: text, CSV, Markdown and sorting follow from them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from ..analysis.cgroups import described
from ..analysis.choice import Choice, choose
from ..analysis.ranking import Ranking
from ..analysis.scopes import OomScope
from ..snapshot import Snapshot, is_unlimited
from ..units import pages_to_bytes
from .ranking import named
from .tables import Column, shown_size


class ScopeRow(NamedTuple):
    """One scope in a listing, with what its cells need."""

    scope: OomScope
    snapshot: Snapshot

    def bytes_of(self, pages: int | None) -> int | None:
        """Return pages in bytes, unknown as unknown."""
        return pages_to_bytes(pages, self.snapshot.machine.page_size)

    def limit_of(self, pages: int | None) -> int | None:
        """Return a limit in bytes; None where there is none, too."""
        return None if pages is None or is_unlimited(pages) else self.bytes_of(pages)

    @property
    def share_percent(self) -> float | None:
        """The part of limit and swap that can't be given back, to a tenth of a percent."""
        share, limit = self.scope.room.share_used, self.scope.room.limit_pages
        unlimited = limit is not None and is_unlimited(limit)
        return None if share is None or unlimited else round(100 * share, 1)

    @property
    def label(self) -> str:
        """Kind and name, as sentences have them."""
        if self.scope.path is not None:
            return described(self.snapshot, self.scope.path)
        return "the machine" if self.kind == "machine" else self.scope.name

    @property
    def kind(self) -> str:
        """What the scope is: machine, nodes, container, pod, unit, slice, session, cgroup."""
        if self.scope.nodes is not None:
            return "nodes"
        kind = self.scope.place.kind if self.scope.memcg is not None else "machine"
        return "pods" if kind == "qos" else kind

    @property
    def ranking(self) -> Ranking | None:
        """Whom the kernel would kill there."""
        return self.scope.ranking

    @property
    def choice(self) -> Choice | None:
        """Who dies there, where the choice can be known."""
        ranking = self.scope.ranking
        if ranking is None or len(ranking.possible_victims) != 1:
            return None
        return choose(ranking, panics=False)

    @property
    def totalpages(self) -> int | None:
        """What an OOM there divides by."""
        return None if self.ranking is None else self.ranking.scope.totalpages

    @property
    def tasks(self) -> int | None:
        """Processes with memory among the candidates, killable or not."""
        if self.ranking is None:
            return None
        return sum(
            1 for s in self.ranking if not s.task.kernel_thread and s.task.has_mm is not False
        )

    @property
    def kills(self) -> int | None:
        """Processes killed there so far, below it included where the kernel counts so."""
        memcg = self.scope.memcg
        if memcg is None:
            return self.snapshot.machine.oom_kills if self.kind == "machine" else None
        return memcg.oom_kills if memcg.oom_kills_below is None else memcg.oom_kills_below

    @property
    def victim_entry(self) -> dict[str, Any] | None:
        """The likely victim as JSON has it."""
        ranking = self.ranking
        if ranking is None or ranking.victim is None:
            return None
        choice = choose(ranking, panics=False)
        task = choice.victim or ranking.victim.task
        return {
            "pid": task.pid,
            "comm": task.comm,
            "badness": ranking.victim.badness,
            "certain": len(ranking.possible_victims) == 1 and ranking.is_complete,
            "dies_with_it": len(choice.killed) - 1 if choice.killed else 0,
        }


def victim_text(row: ScopeRow) -> str:
    """Return who would die there, in a cell's words."""
    ranking = row.ranking
    if ranking is None:
        return "?"
    if ranking.victim is None:
        return "nobody" if ranking.is_complete else "?"
    if len(ranking.possible_victims) > 1:
        first = named(ranking.possible_victims[0].task)
        text = f"{first} or {len(ranking.possible_victims) - 1} others"
    else:
        choice = row.choice
        text = named(choice.victim if choice and choice.victim else ranking.victim.task)
        if choice is not None and len(choice.killed) > 1:
            text += f" +{len(choice.killed) - 1}"
    return f"({text})" if row.scope.waits else text


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
        7,
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
