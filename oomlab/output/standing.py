"""Where one process stands: each scope in which it may die, and its place there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from ..analysis.scopes import OomScope
from ..kernel.score import Score
from ..snapshot import Snapshot, Task
from .documents import gap_entries
from .rank_rows import RankRow, ranking_rows, shown_badness, shown_needs, shown_place
from .ranking import named
from .scope_rows import ScopeRow, victim_text
from .tables import Column, Table, shown_size

SCHEMA = "oomlab.standing/1"


class StandingRow(NamedTuple):
    """One process in one scope."""

    scope: ScopeRow
    rank: RankRow | None
    """Its place in the scope's ranking; None where that can't be known."""

    @property
    def score(self) -> Score | None:
        """Its score there."""
        return None if self.rank is None else self.rank.score

    @property
    def killable(self) -> int | None:
        """How many may be killed there."""
        return None if self.rank is None else len(self.rank.ranking.killable)


def standing_rows(snapshot: Snapshot, task: Task, scopes: Sequence[OomScope]) -> list[StandingRow]:
    """Return a row for each scope of the task."""
    rows = []
    for scope in scopes:
        listed = [] if scope.ranking is None else ranking_rows(scope.ranking, children=False)
        own = next((row for row in listed if row.task.pid == task.pid), None)
        rows.append(StandingRow(ScopeRow(scope, snapshot), own))
    return rows


def standing_table(
    task: Task, rows: Sequence[StandingRow], columns: Sequence[Column[StandingRow]], *, fixed: bool
) -> Table[StandingRow]:
    """Return the table under the sentence that says where the process may die first."""
    marked = frozenset(i for i, row in enumerate(rows) if _place(row) == 1)
    return Table(
        columns=columns, rows=rows, heading=[_answer(task, rows)], marked=marked, fixed=fixed
    )


def _answer(task: Task, rows: Sequence[StandingRow]) -> str:
    who, scores = named(task), [row.score for row in rows]
    why = next((s.why_not for s in scores if s is not None and s.why_not is not None), None)
    if why is not None:
        return f"{who} can't be killed in any scope: {why}."
    first = [row.scope.label for row in rows if _place(row) == 1]
    count = "1 scope" if len(rows) == 1 else f"{len(rows)} scopes"
    if not first:
        return f"{who} may die in {count}, and would be the first in none of them."
    return f"{who} may die in {count}; it would be the first in {', '.join(first)}."


def _place(row: StandingRow) -> int | None:
    return row.rank.place if row.rank is not None and row.rank.score.killable else None


def _shown_place(row: StandingRow) -> str:
    return "?" if row.rank is None else f"{shown_place(row.rank)} of {row.killable}"


def standing_document(
    snapshot: Snapshot, task: Task, rows: Sequence[StandingRow]
) -> dict[str, Any]:
    """Return the JSON document ``oomlab.standing/1``."""
    return {
        "schema": SCHEMA,
        "pid": task.pid,
        "comm": task.comm,
        "scopes": [_entry(row) for row in rows],
        "gaps": gap_entries(snapshot),
    }


def _entry(row: StandingRow) -> dict[str, Any]:
    scope, rank, score = row.scope, row.rank, row.score
    best, worst = (None, None)
    if rank is not None and rank.score.killable:
        best, worst = rank.ranking.places(rank.score)
    return {
        "name": scope.scope.name,
        "kind": scope.kind,
        "path": scope.scope.path,
        "nodes": None if scope.scope.nodes is None else sorted(scope.scope.nodes),
        "rank": _place(row),
        "rank_best": best,
        "rank_worst": worst,
        "of": row.killable,
        "badness": None if score is None else score.badness,
        "why_not": None if score is None else score.why_not,
        "totalpages": scope.totalpages,
        "limit_bytes": scope.limit_of(scope.scope.room.limit_pages),
        "headroom_bytes": scope.limit_of(scope.scope.room.headroom_pages),
        "used_percent": scope.share_percent,
        "victim": scope.victim_entry,
    }


COLUMNS: tuple[Column[StandingRow], ...] = (
    Column(
        name="scope",
        header="SCOPE",
        help="whose limit: from its own cgroup up to the machine",
        value=lambda row: row.scope.scope.name,
        left=True,
        flexible=True,
    ),
    Column(
        name="kind",
        header="KIND",
        help="what the scope is",
        value=lambda row: row.scope.kind,
        left=True,
        keep=4,
    ),
    Column(
        name="place",
        header="PLACE",
        help="its place there, of those that may be killed",
        key="rank",
        value=_place,
        show=_shown_place,
    ),
    Column(
        name="badness",
        header="BADNESS",
        help="its badness there, as a size",
        value=lambda row: None if row.score is None else row.score.badness,
        show=lambda row: "?" if row.rank is None else shown_badness(row.rank),
    ),
    Column(
        name="needs",
        header="NEEDS",
        help="how much more memory it must use to be killed first there",
        key="needs_bytes",
        value=lambda row: (
            None
            if row.rank is None
            else row.rank.bytes_of(row.rank.ranking.pages_to_first(row.rank.score))
        ),
        show=lambda row: "?" if row.rank is None else shown_needs(row.rank),
        keep=6,
    ),
    Column(
        name="limit",
        header="LIMIT",
        help="the scope's memory limit",
        key="limit_bytes",
        value=lambda row: row.scope.limit_of(row.scope.scope.room.limit_pages),
        show=lambda row: shown_size(row.scope.limit_of(row.scope.scope.room.limit_pages)),
        keep=7,
    ),
    Column(
        name="left",
        header="LEFT",
        help="what the scope can still take, at most, cache and swap included",
        key="left_bytes",
        value=lambda row: row.scope.limit_of(row.scope.scope.room.headroom_pages),
        show=lambda row: shown_size(row.scope.limit_of(row.scope.scope.room.headroom_pages)),
        keep=5,
    ),
    Column(
        name="victim",
        header="VICTIM",
        help="who would die there; +N die with it (memory.oom.group)",
        key="victim_pid",
        value=lambda row: (
            None
            if row.scope.ranking is None or row.scope.ranking.victim is None
            else row.scope.ranking.victim.task.pid
        ),
        show=lambda row: victim_text(row.scope),
        left=True,
        flexible=True,
    ),
)
