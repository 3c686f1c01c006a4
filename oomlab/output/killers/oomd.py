"""A ranking by systemd-oomd's rules in words and as a JSON document."""

from __future__ import annotations

from typing import Any

from ...analysis.cgroups import name_of
from ...analysis.killers.oomd import LEAST_SWAP_PERCENT, Candidate, OomdRanking
from ...analysis.killers.oomd_limits import (
    PRESSURE_LIMIT_PERCENT,
    PRESSURE_SECONDS,
    SWAP_USED_LIMIT_PERCENT,
    pressure_percent,
    swap_state,
)
from ...analysis.killers.partial import Places
from ...analysis.places import place_of
from ..escape import printable
from .oomd_columns import COLUMNS, Row, best_place, default_columns, rows_of
from .shared import frame, kernel_sentence

__all__ = ["COLUMNS", "default_columns", "document", "heading", "rows_of"]


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
        "swap_rank_best": best_place(swap.places),
        "swap_rank_worst": swap.places[1] if swap.places else None,
        "swap_why_not": swap.why_not,
        "pressure_rank_best": best_place(pressure.places),
        "pressure_rank_worst": pressure.places[1] if pressure.places else None,
        "pressure_why_not": pressure.why_not,
        "swap_bytes": row.bytes_of(memcg.swap_usage_pages),
        "usage_bytes": row.bytes_of(memcg.usage_pages),
        "pgscan": memcg.pagescans,
        "oom_group": memcg.oom_group,
        "preference": memcg.oomd_preference,
        "owner_uid": memcg.owner_uid,
    }
