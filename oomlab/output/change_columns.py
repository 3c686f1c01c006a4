"""The rows and columns of a what-if: each task before and after, and what moved."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from ..analysis.ranking import Ranking
from ..kernel.score import Score
from .rank_rows import RankRow, ranking_rows, shown_badness, shown_oom_score, shown_place, user_of
from .tables import Column


class ChangeRow(NamedTuple):
    """One task before and after; None where it is not there."""

    before: RankRow | None
    after: RankRow | None

    @property
    def latest(self) -> RankRow:
        """The row after the edits, or before them for a task that is gone."""
        row = self.after if self.after is not None else self.before
        assert row is not None
        return row


def change_rows(before: Ranking, after: Ranking) -> list[ChangeRow]:
    """Pair the tasks of two rankings, in the order after the edits; the gone come last."""
    old = {row.task.pid: row for row in ranking_rows(before, children=False)}
    rows = [
        ChangeRow(old.pop(row.task.pid, None), row) for row in ranking_rows(after, children=False)
    ]
    return rows + [ChangeRow(row, None) for row in old.values()]


def worth_showing(
    rows: Sequence[ChangeRow], count: int, touched: frozenset[int]
) -> list[ChangeRow]:
    """Return the first ``count`` rows, and below them the edited tasks and the old victim."""
    ranked = [row for row in rows if rank_of(row.after) is not None]
    kept = ranked[:count]
    shown = set(map(id, kept))
    for row in rows:
        if id(row) in shown:
            continue
        was_first = rank_of(row.before) == 1
        if was_first or row.latest.task.pid in touched:
            kept.append(row)
    return kept


def rank_of(row: RankRow | None) -> int | None:
    """Return the place of a task, None where it is gone or can't be killed."""
    return row.place if row is not None and row.score.killable else None


def _shown_rank(row: RankRow | None) -> str:
    if row is None:
        return "none"
    return shown_place(row) if row.score.killable else "never"


def _moved(row: ChangeRow) -> int | None:
    then, now = rank_of(row.after), rank_of(row.before)
    return None if then is None or now is None else now - then


def _shown_move(row: ChangeRow) -> str:
    if row.before is None:
        return "new"
    if row.after is None:
        return "gone"
    moved = _moved(row)
    if moved is None:
        return "" if row.before.score.killable == row.after.score.killable else "changed"
    return "" if moved == 0 else f"up {moved}" if moved > 0 else f"down {-moved}"


def _badness(row: RankRow | None) -> int | None:
    if row is None or row.score.badness is None:
        return None
    return row.bytes_of(row.score.badness) if row.in_pages() else row.score.badness


def _shown_badness(row: RankRow | None) -> str:
    if row is None or not row.score.killable:
        return "-"
    return shown_badness(row)


def _score(score: Score | None) -> int | None:
    return None if score is None else score.oom_score


def _changed(now: object, then: object, missing: str = "?") -> str:
    first, second = (missing if value is None else str(value) for value in (now, then))
    return second if first == second else f"{first} > {second}"


def _old(row: ChangeRow, name: str) -> Any:
    return None if row.before is None else getattr(row.before.task, name)


COLUMNS: tuple[Column[ChangeRow], ...] = (
    Column(
        name="now",
        header="NOW",
        help="place as it is",
        value=lambda row: rank_of(row.before),
        show=lambda row: _shown_rank(row.before),
    ),
    Column(
        name="then",
        header="THEN",
        help="place after the edits",
        value=lambda row: rank_of(row.after),
        show=lambda row: _shown_rank(row.after),
    ),
    Column(
        name="moved",
        header="MOVED",
        help="how far it moved",
        value=_moved,
        show=_shown_move,
        left=True,
    ),
    Column(name="pid", header="PID", help="process", value=lambda row: row.latest.task.pid),
    Column(
        name="user",
        header="USER",
        help="effective user",
        value=lambda row: user_of(row.latest),
        show=lambda row: user_of(row.latest) or "",
        left=True,
        keep=2,
    ),
    Column(
        name="adj",
        header="ADJ",
        help="oom_score_adj",
        key="oom_score_adj",
        value=lambda row: row.latest.task.oom_score_adj,
        show=lambda row: _changed(
            _old(row, "oom_score_adj") if row.before else row.latest.task.oom_score_adj,
            row.latest.task.oom_score_adj,
        ),
    ),
    Column(
        name="badness_now",
        header="BADNESS NOW",
        help="what the kernel compares, as it is",
        key="badness_now_bytes",
        value=lambda row: _badness(row.before),
        show=lambda row: _shown_badness(row.before),
        keep=3,
    ),
    Column(
        name="badness",
        header="BADNESS THEN",
        help="what the kernel would compare",
        key="badness_bytes",
        value=lambda row: _badness(row.after),
        show=lambda row: _shown_badness(row.after),
    ),
    Column(
        name="score",
        header="SCORE",
        help="oom_score as modelled",
        key="oom_score",
        value=lambda row: _score(row.after.score if row.after else None),
        show=lambda row: _changed(
            shown_oom_score(row.before or row.latest), shown_oom_score(row.latest)
        ),
        keep=4,
    ),
    Column(
        name="name",
        header="NAME",
        help="name (comm)",
        value=lambda row: row.latest.task.comm,
        left=True,
        flexible=True,
    ),
)
