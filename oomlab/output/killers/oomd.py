"""The listing of a ranking by systemd-oomd's rules."""

from __future__ import annotations

from collections import Counter
from typing import Any, NamedTuple

from ...analysis.cgroups import cgroup_of, name_of
from ...analysis.killers.oomd import (
    LEAST_SWAP_PERCENT,
    PRESSURE_LIMIT_PERCENT,
    PRESSURE_SECONDS,
    SWAP_USED_LIMIT_PERCENT,
    Candidate,
    OomdRanking,
    pressure_percent,
    swap_state,
)
from ...analysis.killers.partial import Places
from ...analysis.places import place_of
from ...kernel.scope import parent_of
from ...snapshot import Snapshot
from ...units import pages_to_bytes
from ..escape import printable
from ..tables import Column, shown_size
from .shared import frame, kernel_sentence, shown_places


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


def _best(places: Places | None) -> int | None:
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
        value=lambda row: _best(row.one.swap.places),
        show=lambda row: shown_places(row.one.swap.places),
    ),
    Column(
        name="pressure_rank",
        header="PRESS#",
        help="place where memory pressure is to be relieved",
        value=lambda row: _best(row.one.pressure.places),
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


def heading(ranking: OomdRanking) -> list[str]:
    """Return whom it would kill for either cause, whether it would now, and the rules."""
    where = "the root slice" if ranking.monitored == "/" else printable(ranking.monitored)
    lines = [
        f"To relieve swap, systemd-oomd would kill {_victims(ranking, 'swap')}; "
        f"to relieve memory pressure, {_victims(ranking, 'pressure')}.",
        f"{_swap_now(ranking)} {_pressure_now(ranking)}",
        kernel_sentence(ranking.kernel),
        f"Rules of systemd 255 and newer, as if {where} were monitored "
        "(ManagedOOMSwap=kill, ManagedOOMMemoryPressure=kill): see oomctl.",
    ]
    if any(one.memcg.oomd_preference is None for one in ranking.candidates):
        lines.append("Note: the source does not tell every ManagedOOMPreference=.")
    return lines


def _victims(ranking: OomdRanking, cause: str) -> str:
    listed = ranking.by_swap if cause == "swap" else ranking.by_pressure
    first = [one for one in listed if _of(one, cause)[0] == 1]
    names = [printable(name_of(ranking.snapshot, place_of(one.memcg.path))) for one in first]
    if not names:
        return "nothing"
    if len(names) == 1:
        return f"all of {names[0]}"
    listed_names = ", ".join(names[:3])
    return f"one of {listed_names}{' and others' if len(names) > 3 else ''}"


def _of(one: Candidate, cause: str) -> Places:
    places = one.swap.places if cause == "swap" else one.pressure.places
    assert places is not None
    return places


def _swap_now(ranking: OomdRanking) -> str:
    machine = ranking.snapshot.machine
    if machine.swap_pages == 0:
        return "There is no swap, so it never acts on it."
    state = swap_state(machine)
    if state.memory_used_percent is None or state.swap_used_percent is None:
        return "Whether it would act on swap now can't be known."
    return (
        f"Now {state.memory_used_percent:.0f}% of memory and {state.swap_used_percent:.0f}% of "
        f"swap are in use: it {'acts' if state.acts else 'waits'} (over {SWAP_USED_LIMIT_PERCENT}% "
        f"of both, on cgroups with more than {LEAST_SWAP_PERCENT}% of swap)."
    )


def _pressure_now(ranking: OomdRanking) -> str:
    percent = pressure_percent(ranking)
    limit = f"over {PRESSURE_LIMIT_PERCENT}% for {PRESSURE_SECONDS} s"
    if percent is None:
        return f"The memory pressure is unknown (it acts {limit})."
    acts = "waits" if percent <= PRESSURE_LIMIT_PERCENT else "acts if that lasts"
    return f"The memory pressure is {percent:g}%: it {acts} ({limit})."


def document(ranking: OomdRanking, rows: list[Row]) -> dict[str, Any]:
    """Return the JSON document."""
    machine = ranking.snapshot.machine
    state = swap_state(machine)
    more = {
        "monitored": ranking.monitored,
        "memory_used_percent": state.memory_used_percent,
        "swap_used_percent": state.swap_used_percent,
        "acts_on_swap": state.acts,
        "pressure_percent": pressure_percent(ranking),
        "kernel_victim": ranking.kernel.victim.task.pid if ranking.kernel.victim else None,
    }
    entries = [_entry(row) for row in rows]
    return frame("systemd-oomd", "255", heading(ranking), ranking.snapshot, entries, more)


def _entry(row: Row) -> dict[str, Any]:
    memcg, swap, pressure = row.one
    return {
        "cgroup": memcg.path,
        "name": row.name,
        "tasks": row.tasks,
        "swap_rank_best": _best(swap.places),
        "swap_rank_worst": swap.places[1] if swap.places else None,
        "swap_why_not": swap.why_not,
        "pressure_rank_best": _best(pressure.places),
        "pressure_rank_worst": pressure.places[1] if pressure.places else None,
        "pressure_why_not": pressure.why_not,
        "swap_bytes": row.bytes_of(memcg.swap_usage_pages),
        "usage_bytes": row.bytes_of(memcg.usage_pages),
        "pgscan": memcg.pagescans,
        "oom_group": memcg.oom_group,
        "preference": memcg.oomd_preference,
        "owner_uid": memcg.owner_uid,
    }
