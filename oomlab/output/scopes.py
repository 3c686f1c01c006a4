"""The listing of scopes: whose limit, how near, and who would die there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..analysis.choice import choose
from ..analysis.ranking import cautions
from ..analysis.scopes import OomScope
from ..memcg import UNLIMITED_PAGES
from ..snapshot import Snapshot
from ..units import human
from .documents import gap_entries
from .ranking import named
from .scope_rows import ScopeRow, victim_text
from .tables import Column, Table

SCHEMA = "oomlab.scopes/1"


def scope_rows(snapshot: Snapshot, scopes: Sequence[OomScope]) -> list[ScopeRow]:
    """Return a row for each scope."""
    return [ScopeRow(scope, snapshot) for scope in scopes]


def scopes_table(
    snapshot: Snapshot,
    rows: Sequence[ScopeRow],
    columns: Sequence[Column[ScopeRow]],
    *,
    fixed: bool,
) -> Table[ScopeRow]:
    """Return the table of scopes under the sentence that says which is nearest."""
    near = frozenset(i for i, row in enumerate(rows) if (row.share_percent or 0) >= _NEAR_PERCENT)
    return Table(
        columns=columns, rows=rows, heading=_heading(snapshot, rows), marked=near, fixed=fixed
    )


_NEAR_PERCENT = 95


def _heading(snapshot: Snapshot, rows: Sequence[ScopeRow]) -> list[str]:
    lines = [_answer(rows)]
    if snapshot.memcgs is None:
        lines.append("Note: no memory cgroups are known here, only the machine as a whole.")
    if any(row.scope.waits for row in rows):
        lines.append(
            "Note: where the victim is in parentheses, oom_kill_disable makes the processes wait "
            "at the limit; nobody is killed."
        )
    for row in rows:
        if row.scope.constraint == "CONSTRAINT_NONE" and row.scope.ranking is not None:
            lines += [f"Note: {caution}." for caution in cautions(row.scope.ranking)]
    return lines


def _answer(rows: Sequence[ScopeRow]) -> str:
    known = [row for row in rows if row.share_percent is not None]
    if not known:
        return "How near memory is to running out can't be known from this source."
    first = known[0]
    left = first.bytes_of(first.scope.room.headroom_pages)
    room = "" if left is None else f": {human(left)} left, file cache that would go first included"
    ranking = first.scope.ranking
    if ranking is None or ranking.victim is None:
        return f"Nearest to running out of memory is {first.label}{room}. Nobody could be killed."
    if len(ranking.possible_victims) > 1:
        return f"Nearest to running out of memory is {first.label}{room}. {victim_text(first)}."
    victim = choose(ranking, panics=False).victim or ranking.victim.task
    dies = "would wait, not die" if first.scope.waits else "would die"
    return f"Nearest to running out of memory is {first.label}{room}. {named(victim)} {dies}."


def scopes_document(snapshot: Snapshot, rows: Sequence[ScopeRow]) -> dict[str, Any]:
    """Return the JSON document ``oomlab.scopes/1``: sizes in bytes, no limit as null."""
    return {
        "schema": SCHEMA,
        "scopes": [scope_document(row) for row in rows],
        "gaps": gap_entries(snapshot),
    }


def scope_document(row: ScopeRow) -> dict[str, Any]:
    """Return one scope as JSON has it."""
    scope, room, memcg, place = row.scope, row.scope.room, row.scope.memcg, row.scope.place
    return {
        "constraint": scope.constraint,
        "name": scope.name,
        "kind": row.kind,
        "path": scope.path,
        "unit": place.unit,
        "engine": place.engine,
        "container": place.container,
        "pod_uid": place.pod_uid,
        "qos": place.qos,
        "nodes": None if scope.nodes is None else sorted(scope.nodes),
        "limit_bytes": row.limit_of(room.limit_pages),
        "limited": room.limit_pages is not None and room.limit_pages != UNLIMITED_PAGES,
        "tighter_above": scope.limit_of,
        "swap_limit_bytes": row.bytes_of(room.swap_limit_pages),
        "usage_bytes": row.bytes_of(room.usage_pages),
        "swap_usage_bytes": row.bytes_of(room.swap_usage_pages),
        "free_bytes": row.limit_of(room.free_pages),
        "reclaimable_bytes": row.bytes_of(room.reclaimable_pages),
        "headroom_bytes": row.limit_of(room.headroom_pages),
        "used_percent": row.share_percent,
        "runs_out_first": scope.first,
        "headroom_there_bytes": row.limit_of(scope.headroom_pages),
        "totalpages": row.totalpages,
        "tasks": row.tasks,
        "oom_group": None if memcg is None else memcg.oom_group,
        "oom_kill_disabled": None if memcg is None else memcg.oom_kill_disabled,
        "oom_kills": row.kills,
        "limit_hits": None if memcg is None else memcg.limit_hits,
        "high_bytes": None if memcg is None else row.limit_of(memcg.high_pages),
        "pressure": None if scope.pressure is None else scope.pressure._asdict(),
        "victim": row.victim_entry,
        "why_not": scope.why_not,
    }
