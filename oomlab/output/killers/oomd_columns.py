"""The rows and columns of a ranking by systemd-oomd's rules."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from ...analysis.cgroups import cgroup_of, name_of
from ...analysis.killers.oomd import Candidate, OomdRanking
from ...analysis.killers.partial import Places
from ...analysis.places import place_of
from ...kernel.scope import parent_of
from ...snapshot import Snapshot
from ...units import pages_to_bytes
from ..tables import Column, shown_size
from .shared import shown_places


class Row(NamedTuple):
    """A cgroup with what its cells need."""

    one: Candidate
    name: str
    tasks: int
    page_size: int

    @property
    def places(self) -> Places | None:
        """Its place for swap, or for pressure where swap does not concern it."""
        return self.one.swap.places or self.one.pressure.places

    def bytes_of(self, pages: int | None) -> int | None:
        """Return pages in bytes, unknown as unknown."""
        return pages_to_bytes(pages, self.page_size)


def rows_of(ranking: OomdRanking, *, every: bool) -> list[Row]:
    """Return the candidates, by swap where any may die for it; with ``every`` all cgroups."""
    first = ranking.by_swap or ranking.by_pressure
    later = [one for one in ranking.by_pressure if one not in first]
    spared = ranking.spared if every else ()
    page_size = ranking.snapshot.machine.page_size
    inside = _tasks_inside(ranking.snapshot)
    return [
        Row(
            one,
            name_of(ranking.snapshot, place_of(one.memcg.path)),
            inside[one.memcg.path],
            page_size,
        )
        for one in (*first, *later, *spared)
    ]


def _tasks_inside(snapshot: Snapshot) -> Counter[str]:
    """Count the processes of each cgroup and of all below it."""
    found: Counter[str] = Counter()
    for task in snapshot.tasks:
        path = None if task.kernel_thread else cgroup_of(task)
        while path is not None:
            found[path] += 1
            path = parent_of(path)
    return found


def best_place(places: Places | None) -> int | None:
    """Return the best place of a range; None where there is none."""
    return None if places is None else places[0]


def _why_not(row: Row) -> str:
    """Return why it is not killed at all: what concerns swap alone the heading says."""
    return "" if row.one.may_be_killed else row.one.pressure.why_not or ""


def _preference(row: Row) -> str:
    wish = row.one.memcg.oomd_preference
    return "?" if wish is None else wish.removeprefix("none")


COLUMNS: tuple[Column[Row], ...] = (
    Column(
        name="swap_rank",
        header="SWAP#",
        help="place where swap is to be relieved; a range where it can't be known",
        value=lambda row: best_place(row.one.swap.places),
        show=lambda row: shown_places(row.one.swap.places),
    ),
    Column(
        name="pressure_rank",
        header="PRESS#",
        help="place where memory pressure is to be relieved",
        value=lambda row: best_place(row.one.pressure.places),
        show=lambda row: shown_places(row.one.pressure.places),
    ),
    Column(
        name="swap",
        header="SWAP",
        help="swapped out",
        key="swap_bytes",
        value=lambda row: row.bytes_of(row.one.memcg.swap_usage_pages),
        show=lambda row: shown_size(row.bytes_of(row.one.memcg.swap_usage_pages)),
    ),
    Column(
        name="usage",
        header="USAGE",
        help="memory in use, which decides where reclaim is equal",
        key="usage_bytes",
        value=lambda row: row.bytes_of(row.one.memcg.usage_pages),
        show=lambda row: shown_size(row.bytes_of(row.one.memcg.usage_pages)),
    ),
    Column(
        name="pgscan",
        header="PGSCAN",
        help="pages that reclaim ever looked at: their growth within a second decides",
        value=lambda row: row.one.memcg.pagescans,
        keep=7,
    ),
    Column(
        name="preference",
        header="PREFERENCE",
        help="ManagedOOMPreference=",
        value=lambda row: row.one.memcg.oomd_preference,
        show=_preference,
        left=True,
        keep=6,
    ),
    Column(
        name="group",
        header="GROUP",
        help="memory.oom.group: it and all below it are one",
        value=lambda row: row.one.memcg.oom_group,
        keep=3,
    ),
    Column(name="tasks", header="TASKS", help="processes that die", value=lambda row: row.tasks),
    Column(
        name="name",
        header="NAME",
        help="unit, container or pod",
        value=lambda row: row.name,
        left=True,
        flexible=True,
    ),
    Column(
        name="why_not",
        header="NEVER, BECAUSE",
        help="why it is not killed (with --all)",
        value=_why_not,
        left=True,
        flexible=True,
        keep=8,
    ),
    Column(
        name="cgroup",
        header="CGROUP",
        help="path",
        value=lambda row: row.one.memcg.path,
        left=True,
        flexible=True,
    ),
)

_DEFAULT = frozenset({"swap_rank", "pressure_rank", "swap", "usage", "pgscan", "tasks", "name"})


def default_columns(rows: list[Row]) -> list[Column[Row]]:
    """Return the columns shown unless told otherwise."""
    shown = set(_DEFAULT)
    if any(row.one.memcg.oomd_preference != "none" for row in rows):
        shown.add("preference")
    if any(not row.one.may_be_killed for row in rows):
        shown.add("why_not")
    return [column for column in COLUMNS if column.name in shown]
