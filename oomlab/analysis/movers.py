"""Processes as movers of the search for the smallest change: their place in the order of choice.

A place is the era's own badness as a function of oom_score_adj, with the place among equals as
its lowest digit. What userland can't see is taken at its worst: the protected at their highest,
the sacrificed at their lowest.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from ..kernel.adjust import oom_score_adj_of
from ..kernel.badness import OOM_SCORE_ADJ_MAX, OOM_SCORE_ADJ_MIN
from ..kernel.selection import Scorer
from ..snapshot import Task
from .companions import by_map
from .ranking import Ranking, last_wins
from .smallest import NEVER, Mover
from .suggestion import AdjChange, Wish

LEAST_KILLABLE = OOM_SCORE_ADJ_MIN + 1


class Side(NamedTuple):
    """The movers of one side, and the processes that each stands for."""

    movers: list[Mover]
    tasks: list[tuple[Task, ...]]

    def changes(self, settings: Sequence[int], *, protects: bool) -> list[AdjChange]:
        """Return what changes where each mover gets its new setting."""
        return [
            AdjChange(task, mover.now, after, protects)
            for mover, members, after in zip(self.movers, self.tasks, settings, strict=True)
            if after != mover.now
            for task in members
        ]


class Movers:
    """Makes movers of the processes of one ranking."""

    def __init__(self, ranking: Ranking, wish: Wish, scored: Scorer) -> None:
        self._ranking, self._wish, self._scored = ranking, wish, scored
        self._digits = _digits(ranking)

    def spared(self, tasks: Sequence[Task]) -> Side:
        """Return the side of those that shall be chosen later."""
        return self._side(tasks, self._spared_mover)

    def doomed(self, tasks: Sequence[Task]) -> Side:
        """Return the side of those that shall be chosen first."""
        return self._side(tasks, self._doomed_mover)

    def most_pages(self, task: Task) -> int | None:
        """Return the most that may count against a protected process, its growth included."""
        pages = self._scored.pages_of(task)
        if pages is None or oom_score_adj_of(task) is None:
            return None
        grows = task.pid in self._wish.protect
        return pages[2] + (self._wish.growth.of(pages[2]) if grows else 0)

    def _side(self, tasks: Sequence[Task], make: Callable[[Sequence[Task]], Mover]) -> Side:
        members = self._moving_together(tasks)
        return Side([make(one) for one in members], members)

    def _moving_together(self, tasks: Sequence[Task]) -> list[tuple[Task, ...]]:
        """Group the processes that are known to be on one memory map: one write sets them all."""
        shared = self._wish.shared
        if not shared or not self._ranking.era.facts.adj_follows_mm:
            return [(task,) for task in tasks]
        together: dict[frozenset[int], list[Task]] = {}
        maps = by_map(shared)
        for task in tasks:
            together.setdefault(maps.get(task.pid, frozenset({task.pid})), []).append(task)
        return [tuple(members) for members in together.values()]

    def _spared_mover(self, members: Sequence[Task]) -> Mover:
        keys = [self._key(task, self.most_pages(task), spared=True) for task in members]
        now = max(map(known_adj, members))
        floor = OOM_SCORE_ADJ_MIN if self._wish.allow_unkillable else LEAST_KILLABLE
        lowest = now if self._wish.raise_only else min(now, floor)
        return Mover(_extreme(keys, max), now, lowest, now, len(members))

    def _doomed_mover(self, members: Sequence[Task]) -> Mover:
        keys = []
        for task in members:
            pages = self._scored.pages_of(task)
            # Unknown memory is at least none.
            keys.append(self._key(task, pages[1] if pages is not None else 0, spared=False))
        now = min(map(known_adj, members))
        return Mover(_extreme(keys, min), now, now, OOM_SCORE_ADJ_MAX, len(members))

    def _key(self, task: Task, pages: int | None, *, spared: bool) -> Callable[[int], int]:
        if pages is None:  # only -1000 saves it
            return lambda adj: NEVER if adj == OOM_SCORE_ADJ_MIN else -NEVER
        badness = self._scored.by_adj(task, pages)
        size = len(self._ranking.scope.tasks) + 1
        # Where the order among equals can't be known, the protected one is taken to lose.
        digit = int(spared) if self._digits is None else self._digits[task.pid]
        return lambda adj: NEVER if adj == OOM_SCORE_ADJ_MIN else badness(adj) * size + digit


def known_adj(task: Task) -> int:
    """Return an oom_score_adj that is known to be known."""
    return oom_score_adj_of(task) or 0


def _digits(ranking: Ranking) -> dict[int, int] | None:
    """Return each task's place among equals, the larger chosen first; None where unknown."""
    scope = ranking.scope
    if scope.memcg is not None:
        known = {memcg.path: memcg for memcg in ranking.snapshot.memcgs or ()}.get(scope.memcg)
        # v1 lists a cgroup's members by pid, not in the order of its walk.
        if known is None or known.version == 1 or known.pids is None:
            return None
    last, size = last_wins(ranking.era, scope), len(scope.tasks)
    return {task.pid: place if last else size - 1 - place for place, task in enumerate(scope.tasks)}


def _extreme(
    keys: Sequence[Callable[[int], int]], most: Callable[[list[int]], int]
) -> Callable[[int], int]:
    if len(keys) == 1:
        return keys[0]
    return lambda adj: most([key(adj) for key in keys])
