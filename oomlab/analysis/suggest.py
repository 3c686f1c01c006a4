"""The smallest change of oom_score_adj after which some processes outlive others."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from ..errors import InputError
from ..kernel.adjust import oom_score_adj_of
from ..kernel.badness import OOM_SCORE_ADJ_MAX, OOM_SCORE_ADJ_MIN
from ..kernel.selection import Scorer, scorer
from ..snapshot import Snapshot, Task
from .companions import Shared, companions, lookalikes
from .ranking import Ranking, last_wins
from .smallest import NEVER, Conflict, Mover, smallest
from .whatif import set_adj

_AT_MINIMUM = "oom_score_adj -1000"
_LEAST_KILLABLE = OOM_SCORE_ADJ_MIN + 1


class Growth(NamedTuple):
    """By how much each protected process may still grow: a share of what it uses, or pages."""

    percent: int = 0
    pages: int = 0

    def of(self, used_pages: int) -> int:
        """Return the pages that a process of ``used_pages`` may gain."""
        return self.pages - (-used_pages * self.percent // 100)


class AdjChange(NamedTuple):
    """One process's setting, before and after, and for which of the two aims."""

    task: Task
    before: int
    after: int
    protects: bool


@dataclass(frozen=True, kw_only=True)
class Suggestion:
    """What to set, or why no setting does it."""

    ranking: Ranking
    """As it is now."""
    protected: tuple[Task, ...]
    sacrificed: tuple[Task, ...]
    """Those that die first; the ones that are never chosen anyway are not among them."""
    companions: dict[int, str]
    """Pids that must be spared too because their choice would kill a protected one, and why."""
    growth: Growth
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

    def applied(self) -> Snapshot:
        """Return the snapshot with the changes made."""
        snapshot = self.ranking.snapshot
        for change in self.changes:
            snapshot = set_adj(snapshot, pid=change.task.pid, oom_score_adj=change.after)
        return snapshot


class _Side(NamedTuple):
    """The movers of one side, and the processes that each stands for."""

    movers: list[Mover]
    tasks: list[tuple[Task, ...]]


def suggest(
    ranking: Ranking,
    protect: Collection[int],
    sacrifice: Collection[int] | None = None,
    *,
    growth: Growth = Growth(),  # noqa: B008  # a named tuple never changes
    raise_only: bool = False,
    allow_unkillable: bool = False,
    shared: Shared = (),
) -> Suggestion:
    """Return the smallest change after which each of ``protect`` outlives all of ``sacrifice``.

    Both are pids; without ``sacrifice`` everybody else in the ranking's scope is meant. Smallest
    is the total absolute change, then the number of processes changed, then of those lowered.
    Where the kernel's own numbers are not visible to the page, the protected are taken at their
    highest and the sacrificed at their lowest, so that the promise holds either way.

    ``growth``: the promise holds even if each of ``protect`` grows by so much (what counts
    against it: page tables included). ``raise_only``: lower nothing, which needs CAP_SYS_RESOURCE.
    ``allow_unkillable``: -1000 may be suggested. ``shared``: pids known to be on one memory map.

    Raises InputError where a pid is not there, or the rules have no oom_score_adj.
    """
    return _Question(
        ranking, frozenset(protect), sacrifice, growth, raise_only, allow_unkillable, shared
    ).answer()


class _Question:
    def __init__(
        self,
        ranking: Ranking,
        protect: frozenset[int],
        sacrifice: Collection[int] | None,
        growth: Growth,
        raise_only: bool,
        allow_unkillable: bool,
        shared: Shared,
    ) -> None:
        scored = scorer(ranking.era, ranking.scope, ranking.snapshot.machine)
        if not isinstance(scored, Scorer):
            raise InputError("oom_score_adj came with Linux 2.6.36: nothing to suggest before it")
        self.ranking, self.growth, self.shared = ranking, growth, shared
        self._scored = scored
        self._raise_only, self._allow_unkillable = raise_only, allow_unkillable
        self._by_pid = {score.task.pid: score for score in ranking}
        self._protect = protect
        self._check_known(protect, "protect")
        self.protected = [t for t in ranking.scope.tasks if t.pid in protect]
        self.companions = companions(ranking, self.protected, shared)
        self._sacrifice = None if sacrifice is None else frozenset(sacrifice)
        self._digits = _digits(ranking)

    def _check_known(self, pids: Collection[int], what: str) -> None:
        if not pids:
            raise InputError(f"nobody to {what}")
        unknown = sorted(set(pids) - self._by_pid.keys())
        if unknown:
            raise InputError(f"no process {unknown[0]} to {what} in this scope")

    def answer(self) -> Suggestion:
        spared = self._protect | self.companions.keys()
        if self._sacrifice is None:
            victims = [
                score.task
                for score in self.ranking.killable
                if score.task.pid not in spared and oom_score_adj_of(score.task) is not None
            ]
        else:
            self._check_known(self._sacrifice, "sacrifice")
            victims = [s.task for s in self.ranking if s.task.pid in self._sacrifice]
        answer = Suggestion(
            ranking=self.ranking,
            protected=tuple(self.protected),
            sacrificed=tuple(victims),
            companions=self.companions,
            growth=self.growth,
        )
        refused = self._refused(victims)
        if refused:
            return replace(answer, impossible=tuple(refused), remedies=tuple(self._remedies()))
        wrapping = self._wrapping(victims)
        if wrapping is not None:
            raise InputError(wrapping)
        return self._solved(answer, victims)

    def _refused(self, victims: Sequence[Task]) -> list[str]:
        """Return what stands in the way whatever the settings are."""
        spared = self._protect | self.companions.keys()
        found = []
        for task in victims:
            why = self._by_pid[task.pid].why_not
            if task.pid in self._protect:
                found.append(f"{_named(task)} is to be both protected and sacrificed")
            elif task.pid in spared:
                found.append(f"{_named(task)} can't be sacrificed: {self.companions[task.pid]}")
            elif why is not None and why != _AT_MINIMUM:
                found.append(f"{_named(task)} can't be sacrificed: {why}, so it is never chosen")
            elif oom_score_adj_of(task) is None:
                found.append(f"the oom_score_adj of {_named(task)} is unknown")
        if not victims:
            found.append("nobody else here can be killed: the kernel has only these to choose from")
        for task in self._spared_tasks():
            if self._allow_unkillable or self._highest_pages(task) is not None:
                continue
            found.append(f"the memory of {_named(task)} is unknown, so nothing can be promised")
        return found

    def _spared_tasks(self) -> list[Task]:
        """Return the protected and their companions, as far as they can be killed."""
        pids = self._protect | self.companions.keys()
        return [s.task for s in self.ranking.killable if s.task.pid in pids]

    def _highest_pages(self, task: Task) -> int | None:
        """Return the most that may count against a protected process, its growth included."""
        pages = self._scored.pages_of(task)
        if pages is None or oom_score_adj_of(task) is None:
            return None
        grows = task.pid in self._protect
        return pages[2] + (self.growth.of(pages[2]) if grows else 0)

    def _wrapping(self, victims: Sequence[Task]) -> str | None:
        """Return why no promise holds where the rules' arithmetic wraps within the bounds."""
        facts, machine = self.ranking.era.facts, self.ranking.snapshot.machine
        most = max(self._highest_pages(t) or 0 for t in [*self._spared_tasks(), *victims])
        narrow = facts.points_type == "int" or machine.word_bits == 32
        if facts.formula == "permille" and narrow and most * 1000 >= 1 << 31:
            return "under these rules badness wraps from 8 GiB on (CVE-2011-4097): no promise holds"
        beyond = most + self.ranking.scope.totalpages
        if facts.choice_bits == 32 and beyond >= 1 << 32:
            return "under these rules badness is compared in 32 bits: no promise holds from 16 TiB"
        return None

    def _solved(self, answer: Suggestion, victims: Sequence[Task]) -> Suggestion:
        spared = self._side(self._spared_tasks(), self._spared_mover)
        if not spared.movers:
            note = "the kernel never chooses whom you protect: nothing needs to be set"
            return replace(answer, cautions=(note, *self._cautions(answer)))
        doomed = self._side(victims, self._doomed_mover)
        found = smallest(spared.movers, doomed.movers)
        if isinstance(found, Conflict):
            pair = spared.tasks[found.protected][0], doomed.tasks[found.sacrificed][0]
            why = self._conflict(*pair)
            return replace(answer, impossible=(why,), remedies=tuple(self._remedies()))
        changes = (
            *_changes(spared, found.protected, protects=True),
            *_changes(doomed, found.sacrificed, protects=False),
        )
        answer = replace(answer, changes=changes)
        return replace(answer, cautions=tuple(self._cautions(answer)))

    def _side(self, tasks: Sequence[Task], make: Callable[[Sequence[Task]], Mover]) -> _Side:
        """Return one side's movers: processes known to be on one memory map move together."""
        side = _Side([], [])
        for members in self._moving_together(tasks):
            side.movers.append(make(members))
            side.tasks.append(members)
        return side

    def _moving_together(self, tasks: Sequence[Task]) -> list[tuple[Task, ...]]:
        if not self.shared or not self.ranking.era.facts.adj_follows_mm:
            return [(task,) for task in tasks]
        together: dict[frozenset[int], list[Task]] = {}
        for task in tasks:
            pids = next((pids for pids in self.shared if task.pid in pids), frozenset({task.pid}))
            together.setdefault(pids, []).append(task)
        return [tuple(members) for members in together.values()]

    def _spared_mover(self, members: Sequence[Task]) -> Mover:
        keys = [self._key(task, self._highest_pages(task), spared=True) for task in members]
        now = max(map(_known_adj, members))
        floor = OOM_SCORE_ADJ_MIN if self._allow_unkillable else _LEAST_KILLABLE
        lowest = now if self._raise_only else min(now, floor)
        return Mover(_extreme(keys, max), now, lowest, now, len(members))

    def _doomed_mover(self, members: Sequence[Task]) -> Mover:
        keys = []
        for task in members:
            pages = self._scored.pages_of(task)
            # Unknown memory is at least none.
            keys.append(self._key(task, pages[1] if pages is not None else 0, spared=False))
        now = min(map(_known_adj, members))
        return Mover(_extreme(keys, min), now, now, OOM_SCORE_ADJ_MAX, len(members))

    def _key(self, task: Task, pages: int | None, *, spared: bool) -> Callable[[int], int]:
        """Return a task's place in the order of choice as a function of oom_score_adj.

        Its badness, with its place among equals as the lowest digit.
        """
        if pages is None:  # only -1000 saves it: see _refused()
            return lambda adj: NEVER if adj == OOM_SCORE_ADJ_MIN else -NEVER
        badness = self._scored.by_adj(task, pages)
        size = len(self.ranking.scope.tasks) + 1
        # Where the order among equals can't be known, the protected one is taken to lose.
        digit = int(spared) if self._digits is None else self._digits[task.pid]
        return lambda adj: NEVER if adj == OOM_SCORE_ADJ_MIN else badness(adj) * size + digit

    def _conflict(self, spared: Task, doomed: Task) -> str:
        """Return in words why one can't be put below the other."""
        totalpages = self.ranking.scope.totalpages
        if totalpages < 1000:
            return (
                f"totalpages is {totalpages}: below 1000 oom_score_adj has no weight, "
                "and only memory counts"
            )
        lowest = _known_adj(spared) if self._raise_only else _LEAST_KILLABLE
        grown = " once it has grown as allowed" if any(self.growth) else ""
        return (
            f"even at {lowest} {_named(spared)} is chosen before {_named(doomed)} at "
            f"{OOM_SCORE_ADJ_MAX}{grown}"
        )

    def _remedies(self) -> list[str]:
        found = []
        if self._raise_only:
            found.append(
                "lower the protected as a user with CAP_SYS_RESOURCE, without --raise-only"
            )
        if any("memory.oom.group" in why for why in self.companions.values()):
            found.append("switch memory.oom.group off there (systemd: OOMPolicy=continue)")
        if any(self.growth):
            found.append("allow less growth, or cap it with a limit of its own (MemoryMax=)")
        found.append(
            "put those who may die into a cgroup of their own with a limit (MemoryMax=): "
            "an OOM at that limit chooses among them only"
        )
        if not self._allow_unkillable:
            found.append("make it unkillable: --allow-unkillable, and read its warning")
        return found

    def _cautions(self, answer: Suggestion) -> list[str]:
        found = []
        if any(change.after == OOM_SCORE_ADJ_MIN for change in answer.changes):
            found.append(
                "-1000 makes a process unkillable and all children it starts from then on: if it "
                "leaks, the kernel kills everybody else and then panics, or hangs its cgroup"
            )
        settled = {task.pid for task in (*answer.protected, *answer.sacrificed)}
        unknown = [
            score.task
            for score in self.ranking.killable
            if score.task.pid not in settled | self.companions.keys() and self._sacrifice is None
        ]
        if unknown:
            found.append(f"left out, for its oom_score_adj is unknown: {_named(unknown[0])}")
        for one, other in lookalikes(self._spared_tasks(), answer.sacrificed):
            if not any({one.pid, other.pid} <= pids for pids in self.shared):
                found.append(
                    f"{_named(one)} and {_named(other)} look alike: if they are on one memory map "
                    "they die together, whatever is set"
                )
        return found[:5]


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


def _known_adj(task: Task) -> int:
    return oom_score_adj_of(task) or 0


def _extreme(
    keys: Sequence[Callable[[int], int]], most: Callable[[list[int]], int]
) -> Callable[[int], int]:
    if len(keys) == 1:
        return keys[0]
    return lambda adj: most([key(adj) for key in keys])


def _changes(side: _Side, settings: Sequence[int], *, protects: bool) -> list[AdjChange]:
    return [
        AdjChange(task, mover.now, after, protects)
        for mover, members, after in zip(side.movers, side.tasks, settings, strict=True)
        if after != mover.now
        for task in members
    ]


def _named(task: Task) -> str:
    return f"{task.pid} ({task.comm})"
