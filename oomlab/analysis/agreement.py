"""Compare the model with the kernel's own oom_score of every process."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

from ..kernel.score import Score
from ..kernel.selection import scorer
from ..snapshot import Task
from .ranking import Ranking

Verdict = Literal["equal", "within", "differs", "moving", "unknown"]
"""equal: the very number; within: inside the stated bound of what userland can't see;
moving: it changed at every attempt to read it; unknown: its memory could not be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One process: the model's score, the kernel's, and how they compare."""

    score: Score
    kernel: int
    verdict: Verdict

    @property
    def bound(self) -> int:
        """How far the model says that the kernel's number may lie from its own."""
        low, high = self.score.oom_score_low, self.score.oom_score_high
        return 0 if low is None or high is None else high - low


def compare(score: Score) -> Comparison | None:
    """Compare one score; None where the kernel's own number was not read."""
    kernel = score.task.kernel_oom_score
    if kernel is None:
        return None
    return Comparison(score=score, kernel=kernel, verdict=_verdict(score, kernel))


def _verdict(score: Score, kernel: int) -> Verdict:
    low, high = score.oom_score_low, score.oom_score_high
    if score.oom_score is None or low is None or high is None:
        return "unknown"
    if score.task.passed_over:
        # The mark was made of this very zero: comparing would be circular.
        return "unknown"
    if score.oom_score == kernel and low == high:
        return "equal"
    return "within" if low <= kernel <= high else "differs"


def compare_all(scores: Iterable[Score]) -> list[Comparison]:
    """Compare every score whose kernel number is known."""
    return [found for found in map(compare, scores) if found is not None]


def compare_settled(
    first: Comparison, readings: Iterable[Task | None], ranking: Ranking
) -> Comparison:
    """Judge a disagreement by reading again: a race between two files must not count.

    Agreement at any reading settles it. A disagreement counts where two readings in a row
    were the same and still disagreed; a process that is gone or never stood still can't tell.
    """
    score_of = scorer(ranking.era, ranking.scope, ranking.snapshot.machine).score
    verdict, previous = first, None
    stood_still = False
    for task in readings:
        if task is None:
            return replace(first, verdict="moving")
        found = compare(score_of(task))
        if found is None:
            return replace(first, verdict="moving")
        verdict = found
        if found.verdict != "differs":
            return found
        still = previous is not None and _inputs(task) == _inputs(previous)
        stood_still = stood_still or still
        previous = task
    return verdict if stood_still else replace(verdict, verdict="moving")


def _inputs(task: Task) -> tuple[object, ...]:
    return (
        task.kernel_oom_score,
        task.oom_score_adj,
        task.rss_pages,
        task.rss_stat_pages,
        task.swap_pages,
        task.pagetable_bytes,
        task.has_mm,
    )
