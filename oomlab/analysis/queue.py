"""Who is left of a ranking while one after the other dies, in the order of the kernel's choice."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Iterator
from dataclasses import replace

from ..kernel.score import Score
from ..snapshot import Task
from .ranking import Ranking, rank

MOST_LISTED = 20
"""Of those that may be chosen instead, or die along, no more are listed: they may be thousands."""


class Queue:
    """The killable of a ranking that still live."""

    def __init__(self, ranking: Ranking) -> None:
        self.ranking = ranking
        """Whose rules and scope apply; before 2.6.36 of who is left."""
        self._dead: set[int] = set()
        self._begin()

    def _begin(self) -> None:
        self._front = 0
        self._bounds: dict[int, tuple[int, int]] = {}
        self._lows: list[int] = []
        self._highs: list[int] = []
        self._by_high: dict[int, Task] = {}
        if not self.ranking.is_exact:
            self._bounds = dict(self.ranking.bounds)
            self._lows = sorted(low for low, _ in self._bounds.values())
            self._highs = sorted(high for _, high in self._bounds.values())
            tasks = {score.task.pid: score.task for score in self.ranking.killable}
            self._by_high = {high: tasks[pid] for pid, (_, high) in self._bounds.items()}

    def __iter__(self) -> Iterator[Score]:
        killable = self.ranking.killable
        while self._front < len(killable) and killable[self._front].task.pid in self._dead:
            self._front += 1
        for index in range(self._front, len(killable)):
            if killable[index].task.pid not in self._dead:
                yield killable[index]

    def possible(self, chosen: Score) -> tuple[tuple[Task, ...], int]:
        """Return who may be the kernel's choice, ``chosen`` first, and how many more there are."""
        if not self._lows:
            return (chosen.task,), 0
        first = bisect_left(self._highs, self._lows[-1])
        likeliest = reversed(self._highs[max(first, len(self._highs) - MOST_LISTED) :])
        others = [task for high in likeliest if (task := self._by_high[high]) is not chosen.task]
        listed = (chosen.task, *others)[:MOST_LISTED]
        return listed, max(1, len(self._highs) - first) - len(listed)

    def remove(self, dead: Collection[Task]) -> None:
        """Take the dead out."""
        pids = {task.pid for task in dead}
        self._dead |= pids
        if self.ranking.era.facts.formula == "legacy":
            self.ranking = self.left()
            self._begin()
            return
        for pid in pids & self._bounds.keys():
            low, high = self._bounds.pop(pid)
            del self._lows[bisect_left(self._lows, low)]
            del self._highs[bisect_left(self._highs, high)]

    def left(self) -> Ranking:
        """Return the ranking of who is left."""
        ranking, dead = self.ranking, self._dead
        snapshot = ranking.snapshot
        snapshot = replace(snapshot, tasks=tuple(t for t in snapshot.tasks if t.pid not in dead))
        scope = ranking.scope._replace(
            tasks=tuple(task for task in ranking.scope.tasks if task.pid not in dead),
            everyone=tuple(task for task in ranking.scope.everyone if task.pid not in dead),
        )
        if ranking.era.facts.formula == "legacy":
            # A parent's score counts its children, so theirs change.
            return rank(snapshot, kernel=ranking.era, scope=scope)
        scores = tuple(score for score in ranking.scores if score.task.pid not in dead)
        return Ranking(snapshot=snapshot, era=ranking.era, scope=scope, scores=scores)
