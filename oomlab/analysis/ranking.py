"""Who would be killed first: all tasks of a scope in the order of the kernel's choice."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import count
from operator import attrgetter

from ..kernel.bulk import score_all
from ..kernel.eras import Era
from ..kernel.evidence import pick_era
from ..kernel.scope import Members, Scope, memcg_scope, reported_scope, system_scope
from ..kernel.score import Score
from ..kernel.selection import in_order_of_choice, scorer
from ..memcg import UNLIMITED_PAGES
from ..snapshot import MAX_PAGES, Snapshot, Task
from .cgroups import described


@dataclass(frozen=True, kw_only=True)
class Ranking:
    """The scores of a scope's tasks, likeliest victim first, unkillable tasks last."""

    snapshot: Snapshot
    era: Era
    scope: Scope
    scores: tuple[Score, ...]

    def __getitem__(self, place: int) -> Score:
        return self.scores[place]

    def __len__(self) -> int:
        return len(self.scores)

    def __iter__(self) -> Iterator[Score]:
        return iter(self.scores)

    @cached_property
    def killable(self) -> tuple[Score, ...]:
        """The scores of tasks that the kernel may choose: they stand before all others."""
        count = bisect_left(self.scores, True, key=lambda score: score.why_not is not None)
        return self.scores[:count]

    @property
    def victim(self) -> Score | None:
        """The task that the kernel would choose, or None where nobody can be killed."""
        return self.scores[0] if self.scores and self.scores[0].killable else None

    @property
    def is_complete(self) -> bool:
        """Whether every process was seen: else the victim may be one that was not."""
        unseen = {"everything", "processes"}
        return not any(gap.what in unseen for gap in self.snapshot.gaps)

    @cached_property
    def possible_victims(self) -> tuple[Score, ...]:
        """Every task that may be the kernel's choice, given what userland can't see."""
        if self.victim is None:
            return ()
        if self.is_exact:
            return (self.victim,)
        bar = self._lows[-1]
        return tuple(s for s in self.killable if self.bounds[s.task.pid][1] >= bar)

    def places(self, score: Score) -> tuple[int, int]:
        """Return the best and worst place (from 1) that a killable task may have.

        They differ where bounds overlap: the order of those tasks can't be known.
        """
        if self.is_exact:
            place = self._place_of[score.task.pid]
            return place, place
        low, high = self.bounds[score.task.pid]
        surely_above = len(self._lows) - bisect_right(self._lows, high)
        maybe_above = len(self._highs) - bisect_right(self._highs, low)
        return surely_above + 1, maybe_above + (low == high)

    def pages_to_first(self, score: Score) -> int | None:
        """Return how many more pages the task must use to become the victim.

        0 for the victim itself; None where no amount does it or its memory is unknown.
        """
        victim = self.victim
        if victim is None or not score.killable or score.badness is None or victim.badness is None:
            return None
        if score is victim or score.task is victim.task:
            return 0
        wins_ties = self._wins_ties(score, victim)
        target = victim.badness if wins_ties else victim.badness + 1
        return self._least_pages(score.task, target)

    def _least_pages(self, task: Task, target: int) -> int | None:
        scored = scorer(self.era, self.scope, self.snapshot.machine)

        def reaches(pages: int) -> bool:
            points = scored.with_pages(task, pages)
            return points is not None and points >= target

        beyond = 1
        while not reaches(beyond):
            beyond *= 2
            if beyond > MAX_PAGES:
                return None
        return bisect_left(range(beyond), True, key=reaches)

    def _wins_ties(self, score: Score, victim: Score) -> bool:
        later = self._scan_place[score.task.pid] > self._scan_place[victim.task.pid]
        return later == last_wins(self.era, self.scope)

    @cached_property
    def is_exact(self) -> bool:
        """Whether every killable task's badness is known to the page."""
        return not any(s.low != s.high or s.low is None for s in self.killable)

    @cached_property
    def candidate_pids(self) -> frozenset[int]:
        """The pids of all whom the kernel looks at in this scope."""
        return frozenset(task.pid for task in self.scope.tasks)

    @cached_property
    def _place_of(self) -> dict[int, int]:
        return {score.task.pid: place for place, score in enumerate(self.scores, 1)}

    @cached_property
    def _scan_place(self) -> dict[int, int]:
        return dict(zip(map(_pid_of, self.scope.tasks), count(), strict=False))

    @cached_property
    def bounds(self) -> dict[int, tuple[int, int]]:
        """Each killable task's bounds, with its place among equals as the lowest digit.

        So any two numbers differ, and comparing them decides ties as the kernel does.
        """
        size, last = len(self.scope.tasks), last_wins(self.era, self.scope)
        bounds = {}
        for score in self.killable:
            place = self._scan_place[score.task.pid]
            digit = place if last else size - 1 - place
            low = -_ENDLESS if score.low is None else score.low
            high = _ENDLESS if score.high is None else score.high
            bounds[score.task.pid] = low * size + digit, high * size + digit
        return bounds

    @cached_property
    def _lows(self) -> list[int]:
        return sorted(low for low, _ in self.bounds.values())

    @cached_property
    def _highs(self) -> list[int]:
        return sorted(high for _, high in self.bounds.values())


_ENDLESS = 1 << 62
_pid_of = attrgetter("pid")


def last_wins(era: Era, scope: Scope) -> bool:
    """Tell whether the later of equals is chosen in this scope."""
    ties = era.facts.memcg_ties if scope.constraint == "CONSTRAINT_MEMCG" else era.facts.ties
    return ties == "last"


def rank(
    snapshot: Snapshot,
    *,
    kernel: str | Era | None = None,
    memcg: str | None = None,
    scope: Scope | None = None,
) -> Ranking:
    """Rank a snapshot's tasks as the kernel would choose among them.

    ``kernel`` names other rules than the snapshot's own ("4.14", or an Era); ``memcg`` asks
    about an OOM at that memory cgroup's limit instead of the whole machine's, and ``scope``
    about any other (kernel.scope makes them).
    Raises InputError where the rules or totalpages can't be known.
    """
    era = kernel if isinstance(kernel, Era) else pick_era(snapshot, kernel)
    if scope is None:
        scope = _scope(snapshot, memcg, era)
    scores = _ordered(score_all(era, scope, snapshot.machine), era, scope)
    return Ranking(snapshot=snapshot, era=era, scope=scope, scores=scores)


def _scope(snapshot: Snapshot, memcg: str | None, era: Era) -> Scope:
    reported = snapshot.reported
    if memcg is not None and (reported is None or reported.memcg != memcg):
        return memcg_scope(snapshot, memcg, era.facts)
    return reported_scope(snapshot) or system_scope(snapshot)


def _ordered(scores: Iterable[Score], era: Era, scope: Scope) -> tuple[Score, ...]:
    bits, last = era.facts.choice_bits, last_wins(era, scope)
    return tuple(in_order_of_choice(scores, last_wins=last, choice_bits=bits))


def rescored(ranking: Ranking, snapshot: Snapshot, pids: Collection[int]) -> Ranking:
    """Return the ranking of ``snapshot``, of whose tasks only ``pids`` have changed or gone.

    The same as ranking it anew machine-wide, without scoring all the others again.
    """
    scope = system_scope(snapshot)
    score = scorer(ranking.era, scope, snapshot.machine).score
    new = {task.pid: score(task) for task in scope.tasks if task.pid in pids}
    if all(new[old.task.pid][1:] == old[1:] for old in ranking.scores if old.task.pid in new):
        # Nothing but names has changed, or some are gone: all others stay in their order.
        kept = (new.get(old.task.pid, old) for old in ranking.scores)
        listed = tuple(s for s in kept if s.task.pid in new or s.task.pid not in pids)
    else:
        known = {old.task.pid: old for old in ranking.scores}
        scores = (new.get(task.pid) or known[task.pid] for task in scope.tasks)
        listed = _ordered(scores, ranking.era, scope)
    return Ranking(snapshot=snapshot, era=ranking.era, scope=scope, scores=listed)


def cautions(ranking: Ranking) -> list[str]:
    """Return what would make the ranking moot, a sentence each."""
    machine, found = ranking.snapshot.machine, []
    machine_wide = ranking.scope.constraint != "CONSTRAINT_MEMCG"
    if machine_wide and machine.panic_on_oom == 1:
        found.append("vm.panic_on_oom is 1: the kernel panics instead of killing")
    if machine.panic_on_oom == 2:
        found.append("vm.panic_on_oom is 2: the kernel panics instead of killing, in cgroups too")
    if machine_wide and machine.oom_kill_allocating_task:
        found.append(
            "vm.oom_kill_allocating_task is on: the task that asks for memory dies, "
            "not the first of this list, unless it can't be killed"
        )
    if not ranking.is_complete:
        found.append("not all processes can be seen from here: the victim may be another")
    found += _limit_cautions(ranking)
    if any(task.comm == "swapoff" and not task.kernel_thread for task in ranking.scope.tasks):
        found.append("a process is named swapoff: if it is switching swap off, it dies first")
    return found


def _limit_cautions(ranking: Ranking) -> list[str]:
    """Return why an OOM at the memory cgroup's own limit may never come."""
    path, members = ranking.scope.memcg, Members(ranking.snapshot)
    if path is None or path not in members.by_path or ranking.snapshot.reported is not None:
        return []
    own, *above = members.above(path)
    name, found = described(ranking.snapshot, path), []
    if own.oom_kill_disabled:
        found.append(f"oom_kill_disable is on in {name}: its processes wait, nobody is killed")
    lower = [m for m in above if (m.limit_pages or UNLIMITED_PAGES) < (own.limit_pages or 0)]
    if lower:
        lowest = min(lower, key=lambda memcg: memcg.limit_pages or 0)
        above_it = described(ranking.snapshot, lowest.path)
        found.append(f"the limit of {above_it} above it is lower, so that one is met first")
    elif own.limit_pages == UNLIMITED_PAGES:
        found.append(f"{name} has no limit, so no OOM happens there: memory runs out above it")
    return found
