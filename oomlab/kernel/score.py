"""What a task's score is, and what tells it."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from ..snapshot import Task


class Score(NamedTuple):
    """A task's badness in one scope, in pages (thousandths before 3.5).

    ``badness`` is None for a task that can't be killed (``why_not`` says why) and for one
    whose memory could not be read (``low`` and ``high`` then bound it). Where the killer reads
    counters that userland sees only nearly, ``low`` and ``high`` bound the kernel's own value.
    """

    task: Task
    badness: int | None
    low: int | None
    high: int | None
    oom_score: int | None
    oom_score_low: int | None
    oom_score_high: int | None
    why_not: str | None

    @property
    def killable(self) -> bool:
        """Tell whether the kernel may choose this task."""
        return self.why_not is None


class TaskScorer(Protocol):
    """Scores tasks under one era in one scope."""

    def score(self, task: Task) -> Score:
        """Return the task's score, with the bounds of what can't be seen from userland."""

    def with_pages(self, task: Task, more_pages: int) -> int | None:
        """Return the badness of ``task`` if it used ``more_pages`` more; None where unknown."""
