"""What a suggestion is: what was wished for, what to change, or why no change does it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import NamedTuple

from ..kernel.adjust import oom_score_adj_of
from ..snapshot import Snapshot, Task
from .companions import Shared
from .ranking import Ranking
from .whatif import set_adj


class Growth(NamedTuple):
    """By how much each protected process may still grow: a share of what it uses, and pages."""

    percent: int = 0
    pages: int = 0

    def of(self, used_pages: int) -> int:
        """Return the pages that a process of ``used_pages`` may gain."""
        return self.pages - (-used_pages * self.percent // 100)


NO_GROWTH = Growth()


class Wish(NamedTuple):
    """What is asked for, in pids: see suggest()."""

    protect: frozenset[int]
    sacrifice: frozenset[int] | None = None
    leave: frozenset[int] = frozenset()
    leave_below: int | None = None
    growth: Growth = NO_GROWTH
    raise_only: bool = False
    allow_unkillable: bool = False
    shared: Shared = ()


class AdjChange(NamedTuple):
    """One process's setting, before and after, and for which of the two aims."""

    task: Task
    before: int
    after: int
    protects: bool


def is_set_low(task: Task, bar: int | None) -> bool:
    """Tell whether a process's oom_score_adj is at most ``bar``; None is no bar."""
    adj = oom_score_adj_of(task)
    return bar is not None and adj is not None and adj <= bar


@dataclass(frozen=True, kw_only=True)
class Suggestion:
    """What to set, or why no setting does it."""

    ranking: Ranking
    """As it is now."""
    wish: Wish
    protected: tuple[Task, ...]
    sacrificed: tuple[Task, ...]
    """Those that die first; the ones that are never chosen anyway are not among them."""
    companions: dict[int, str]
    """Pids that must be spared too because their choice would kill a protected one, and why."""
    changes: tuple[AdjChange, ...] = ()
    impossible: tuple[str, ...] = ()
    """Why no setting does it; empty where one does."""
    remedies: tuple[str, ...] = ()
    """What would do it instead."""
    cautions: tuple[str, ...] = ()

    @property
    def cost(self) -> int:
        """Return the sum of the absolute changes."""
        return sum(abs(change.after - change.before) for change in self.changes)

    @property
    def left_alone(self) -> list[Task]:
        """Return those who may die but are not counted among all others: somebody set them low."""
        bar = self.wish.leave_below
        if bar is None or self.wish.sacrifice is not None:
            return []
        mine = {*self.spared_pids, *self.wish.leave}
        others = (score.task for score in self.ranking.killable if score.task.pid not in mine)
        return [task for task in others if is_set_low(task, bar)]

    @property
    def spared_pids(self) -> Collection[int]:
        """Return the pids of the protected and their companions."""
        return self.wish.protect | self.companions.keys()

    @property
    def spared(self) -> list[Task]:
        """Return the protected and their companions, as far as they can be killed."""
        pids = self.spared_pids
        return [s.task for s in self.ranking.killable if s.task.pid in pids]

    def applied(self) -> Snapshot:
        """Return the snapshot with the changes made."""
        snapshot = self.ranking.snapshot
        for change in self.changes:
            snapshot = set_adj(snapshot, pid=change.task.pid, oom_score_adj=change.after)
        return snapshot
