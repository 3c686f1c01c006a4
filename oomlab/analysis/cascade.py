"""One kill after the other: who dies, what it gives back, and who is next.

Each step ranks who is left and lets the kernel choose, until enough is free or nobody is left
that it may kill. What the killed give back is bounded (freed.py); memory that they no longer
use is not handed to anybody: whoever asked for it may be among the dead.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Literal, NamedTuple

from ..kernel.selection import Score
from ..snapshot import Snapshot, Task
from .choice import Choice, choose, panics_instead
from .freed import Freed, freed_by, shared_at_most
from .ranking import Ranking, rank

End = Literal["freed", "nobody", "count", "panics", "refused"]


class Kill(NamedTuple):
    """One step of a cascade."""

    number: int
    choice: Choice
    possible: tuple[Score, ...]
    """Who else may be chosen instead, where userland can't tell."""
    freed: Freed
    total: Freed
    """With all kills before."""
    protected: tuple[Task, ...] = ()
    """Those of the dead that were to be protected."""

    @property
    def victim(self) -> Task:
        """The process that the kernel kills."""
        assert self.choice.victim is not None
        return self.choice.victim


class Cascade(NamedTuple):
    """The kills in their order, and why there are no more."""

    ranking: Ranking
    """Before the first kill."""
    kills: tuple[Kill, ...]
    end: End
    """Enough is free; nobody left may be killed; as many as asked for; the kernel panics at
    once (vm.panic_on_oom); it would try the same kill again and again (2.6.21 to 2.6.31)."""
    left: Ranking
    """Who is left, after the last kill."""

    @property
    def is_certain(self) -> bool:
        """Whether every victim is known."""
        return self.ranking.is_complete and all(len(kill.possible) == 1 for kill in self.kills)

    @property
    def first_protected(self) -> Kill | None:
        """The first kill that a protected process does not survive."""
        return next((kill for kill in self.kills if kill.protected), None)


def cascade(
    ranking: Ranking,
    *,
    free_pages: int | None = None,
    most: int | None = None,
    protected: Collection[int] = (),
) -> Cascade:
    """Simulate the kills in a ranking's scope.

    Ends when at least ``free_pages`` are surely free, after ``most`` kills, or when nobody may
    be killed. ``protected`` are pids that the kills are told of, not rules.
    """
    start, total = ranking, Freed()
    kills: list[Kill] = []
    dead: list[Task] = []
    while most is None or len(kills) < most:
        if free_pages is not None and total.low_pages >= free_pages:
            return Cascade(start, tuple(kills), "freed", ranking)
        choice = choose(ranking)
        if choice.victim is None:
            return Cascade(start, tuple(kills), _why_none(choice, ranking), ranking)
        freed = freed_by(ranking.snapshot, choice.killed, choice.perhaps)
        dead += choice.killed
        total = _together(total.plus(freed), start.snapshot, dead)
        hit = tuple(task for task in choice.killed if task.pid in protected)
        kills.append(Kill(len(kills) + 1, choice, ranking.possible_victims, freed, total, hit))
        ranking = _without(ranking, {task.pid for task in choice.killed})
    enough = free_pages is not None and total.low_pages >= free_pages
    return Cascade(start, tuple(kills), "freed" if enough else "count", ranking)


def _why_none(choice: Choice, ranking: Ranking) -> End:
    if choice.chosen is not None:
        return "refused"
    return "panics" if panics_instead(ranking) else "nobody"


def _together(total: Freed, snapshot: Snapshot, dead: Sequence[Task]) -> Freed:
    """Count shared memory that several of the dead mapped no more often than it is there."""
    shared = shared_at_most(snapshot, dead)
    if shared is None or total.shared_pages is None or total.high_pages is None:
        return total
    return total._replace(
        high_pages=total.high_pages - (total.shared_pages - shared), shared_pages=shared
    )


def _without(ranking: Ranking, dead: Collection[int]) -> Ranking:
    """Return the ranking of who is left."""
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
