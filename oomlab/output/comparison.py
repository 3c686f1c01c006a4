"""The listing of a what-if: who dies now, who would die then, and what moved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..analysis.cgroups import described
from ..analysis.children import NO_CHILDREN
from ..analysis.choice import choose
from ..analysis.ranking import Ranking, cautions
from ..memcg import is_unlimited
from ..units import human
from .change_columns import ChangeRow, rank_of
from .documents import gap_entries, kernel_entry, scope_entry, task_entry
from .rank_rows import RankRow
from .ranking import killed_text, named, seen_text
from .tables import Column, Table

SCHEMA = "oomlab.whatif/1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """One edit as the user gave it: for the answer, not for the model."""

    kind: str
    pid: int | None = None
    comm: str | None = None
    path: str | None = None
    """The memory cgroup that it is about."""
    value: int | str | None = None
    text: str = ""


def comparison_table(
    before: Ranking,
    after: Ranking,
    edits: Sequence[Edit],
    rows: Sequence[ChangeRow],
    columns: Sequence[Column[ChangeRow]],
    *,
    fixed: bool,
) -> Table[ChangeRow]:
    """Return the table of what moved under the answer's sentence."""
    heading = [answer(before, after), f"Edits: {'; '.join(edit.text for edit in edits)}."]
    if before.scope.totalpages != after.scope.totalpages:
        now, then = map(_total, (before, after))
        heading.append(f"totalpages: {now} now, {then} then.")
    heading += [f"Note: {caution}." for caution in cautions(after)]
    marked = frozenset(i for i, row in enumerate(rows) if rank_of(row.after) == 1)
    return Table(columns=columns, rows=rows, heading=heading, marked=marked, fixed=fixed)


def _total(ranking: Ranking) -> str:
    pages = ranking.scope.totalpages
    return "no limit" if is_unlimited(pages) else human(pages * ranking.snapshot.machine.page_size)


def answer(before: Ranking, after: Ranking) -> str:
    """Return the one sentence: who dies now, and who would die then."""
    now, then, seen = _names(before), _names(after), seen_text(after)
    path = after.scope.memcg
    where = "" if path is None else f" in {described(after.snapshot, path)}"
    if not before.victim and not after.victim:
        return f"The kernel would find nobody to kill{where}, now and then."
    if now == then:
        return f"Nothing changes{where}: the kernel would kill {then} now, and still then{seen}."
    return f"The kernel would kill {now} now{where}; with these edits, {then}{seen}."


def _names(ranking: Ranking) -> str:
    scores = ranking.possible_victims
    if not scores:
        return "nobody (it would panic)" if ranking.scope.memcg is None else "nobody"
    if len(scores) == 1:
        return killed_text(ranking)
    more = f" or {len(scores) - 3} others" if len(scores) > 3 else ""
    return "one of " + ", ".join(named(score.task) for score in scores[:3]) + more


def whatif_document(
    before: Ranking, after: Ranking, edits: Sequence[Edit], count: int
) -> dict[str, Any]:
    """Return the JSON document ``oomlab.whatif/1``."""
    return {
        "schema": SCHEMA,
        "edits": [
            {"kind": e.kind, "pid": e.pid, "comm": e.comm, "path": e.path, "value": e.value}
            for e in edits
        ],
        "victim_before": _victim(before),
        "victim_after": _victim(after),
        "before": _ranking_entry(before, count),
        "after": _ranking_entry(after, count),
        "gaps": gap_entries(before.snapshot),
    }


def _victim(ranking: Ranking) -> dict[str, Any] | None:
    choice = choose(ranking, panics=False)
    if choice.victim is None:
        return None
    certain = len(ranking.possible_victims) == 1 and ranking.is_complete
    return {"pid": choice.victim.pid, "comm": choice.victim.comm, "certain": certain}


def _ranking_entry(ranking: Ranking, count: int) -> dict[str, Any]:
    scores = ranking.killable[:count]
    return {
        "kernel": kernel_entry(ranking),
        "scope": scope_entry(ranking),
        "cautions": cautions(ranking),
        "tasks": [
            task_entry(RankRow(ranking, score, place, NO_CHILDREN))
            for place, score in enumerate(scores, 1)
        ],
    }
