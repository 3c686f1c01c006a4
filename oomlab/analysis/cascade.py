"""One kill after the other: who dies, what it gives back, and who is next.

Of who is left the kernel chooses, until enough is free or nobody is left
that it may kill. What the killed give back is bounded (freed.py); memory that they no longer
use is not handed to anybody: whoever asked for it may be among the dead.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal, NamedTuple

from ..kernel.sacrifice import dies_with_partner
from ..snapshot import Task
from .choice import Choice, first_of, panics_instead
from .freed import Estate, Freed
from .living import Living
from .queue import MOST_LISTED, Queue
from .ranking import Ranking

End = Literal["freed", "nobody", "count", "panics", "refused"]


class Kill(NamedTuple):
    """One step of a cascade."""

    number: int
    choice: Choice
    possible: tuple[Task, ...]
    """Who may be chosen, where userland can't tell; the likeliest first, 20 at most."""
    more_possible: int
    """How many more than are listed."""
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
    protected: frozenset[int] = frozenset()
    """The pids that were to be protected."""

    @property
    def is_certain(self) -> bool:
        """Whether every victim is known.

        It is not where one before may have died along with another, being on its memory map.
        """
        chosen = all(len(kill.possible) == 1 for kill in self.kills)
        alone = not any(kill.choice.perhaps for kill in self.kills[:-1])
        return self.ranking.is_complete and chosen and alone

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
    be killed. ``protected`` are pids that the kills are told of, not rules. The time grows with
    the number of tasks, before 2.6.36 with its square.
    """
    snapshot, facts = ranking.snapshot, ranking.era.facts
    init_pid = snapshot.machine.init_pid
    living = Living(snapshot, lambda task: not dies_with_partner(facts, task, init_pid))
    estate, queue = Estate(snapshot, living), Queue(ranking)
    kills: list[Kill] = []
    end: End = "panics" if panics_instead(ranking) else "count"
    while end == "count" and (most is None or len(kills) < most):
        if free_pages is not None and estate.total.low_pages >= free_pages:
            break
        choice = first_of(queue.ranking, queue, living, most_perhaps=MOST_LISTED)
        if choice.victim is None:
            end = "nobody" if choice.chosen is None else "refused"
            break
        assert choice.chosen is not None
        possible, more = queue.possible(choice.chosen)
        freed = estate.bury(choice.killed)
        hit = tuple(task for task in choice.killed if task.pid in protected)
        kills.append(Kill(len(kills) + 1, choice, possible, more, freed, estate.total, hit))
        queue.remove(choice.killed)
    if end == "count" and free_pages is not None and estate.total.low_pages >= free_pages:
        end = "freed"
    return Cascade(ranking, tuple(kills), end, queue.left(), frozenset(protected))
