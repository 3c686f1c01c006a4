"""The rows of a ranking, and what their cells say."""

from __future__ import annotations

from typing import NamedTuple

from ..analysis.children import NO_CHILDREN, Children, children_of
from ..analysis.ranking import Ranking
from ..kernel.score import Score
from ..kernel.usage import killer_rss_pages
from ..snapshot import Task
from ..units import human, pages_to_bytes
from .tables import shown_size


class RankRow(NamedTuple):
    """One task in a ranking, with what its cells need."""

    ranking: Ranking
    score: Score
    place: int
    children: Children

    @property
    def task(self) -> Task:
        """The ranked task."""
        return self.score.task

    def bytes_of(self, pages: int | None) -> int | None:
        """Return pages in bytes, unknown as unknown."""
        return pages_to_bytes(pages, self.ranking.snapshot.machine.page_size)

    def in_pages(self) -> bool:
        """Tell whether badness is in pages; before 3.5 it is in thousandths."""
        return self.ranking.era.facts.in_pages


def ranking_rows(
    ranking: Ranking, count: int | None = None, *, children: bool = True
) -> list[RankRow]:
    """Return a row for each of the first ``count`` scores, in the ranking's order."""
    shown = ranking.scores[:count]
    held = children_of(ranking, {score.task.pid for score in shown}) if children else {}
    return [
        RankRow(ranking, score, place, held.get(score.task.pid, NO_CHILDREN))
        for place, score in enumerate(shown, 1)
    ]


def shown_place(row: RankRow) -> str:
    """Return the place, or a range where it can't be known."""
    if not row.score.killable:
        return "-"
    if row.ranking.is_exact:
        return str(row.place)
    best, worst = row.ranking.places(row.score)
    return str(best) if best == worst else f"{best}-{worst}"


def shown_badness(row: RankRow) -> str:
    """Return badness as a size, marked where the kernel's own may differ."""
    score = row.score
    if not score.killable:
        return "-"
    if score.badness is None:
        low, high = _amount(row, score.low), _amount(row, score.high)
        return "?" if score.low is None else f"{low}..{high}"
    return _amount(row, score.badness) + ("~" if score.low != score.high else "")


def _amount(row: RankRow, points: int | None) -> str:
    if points is None or not row.in_pages():
        return "?" if points is None else str(points)
    return shown_size(row.bytes_of(points))


def shown_oom_score(row: RankRow) -> str:
    """Return the modelled score, or its range."""
    score = row.score
    if score.oom_score is None:
        return "?"
    if score.oom_score_low != score.oom_score_high:
        return f"{score.oom_score_low}..{score.oom_score_high}"
    return str(score.oom_score)


def kernel_differs(row: RankRow) -> bool:
    """Tell whether the kernel printed another oom_score than the model computes."""
    if row.ranking.era.asked_for:
        return False  # the kernel's number follows its own rules, not those asked for
    printed = row.task.kernel_oom_score
    return (
        printed is not None and row.score.oom_score is not None and printed != row.score.oom_score
    )


def shown_kernel_score(row: RankRow) -> str:
    """Return the kernel's own score where it differs from the model's."""
    if not kernel_differs(row):
        return ""
    low, high, printed = (
        row.score.oom_score_low,
        row.score.oom_score_high,
        row.task.kernel_oom_score,
    )
    inside = low is not None and high is not None and printed is not None and low <= printed <= high
    return f"~{printed}" if inside else f"!{printed}"


def needs_bytes(row: RankRow) -> int | None:
    """Return how many more bytes the task must use to be the victim."""
    return row.bytes_of(row.ranking.pages_to_first(row.score))


def shown_needs(row: RankRow) -> str:
    """Return what it needs to be the victim, as a size."""
    needed = needs_bytes(row)
    if needed is None:
        return "-"
    return "first" if row.score is row.ranking.victim else f"+{human(needed)}"


def user_of(row: RankRow) -> str | None:
    """Return the effective user's name, or number."""
    if row.task.user is not None or row.task.euid is None:
        return row.task.user
    return str(row.task.euid)


def command_of(row: RankRow) -> str:
    """Return the command line; as ps has it, the name in brackets where there is none."""
    line = " ".join(row.task.cmdline or ())
    return line or f"[{row.task.comm}]"


def shown_children(row: RankRow) -> str:
    """Return how many children, and what they hold."""
    held = row.children
    return "" if not held.number else f"{held.number} ({shown_size(row.bytes_of(held.pages))})"


def rss_pages(row: RankRow) -> int | None:
    """Return the RSS that the OOM killer reads."""
    return killer_rss_pages(row.task, row.ranking.era.facts)
