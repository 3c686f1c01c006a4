"""How much memory the death of some processes gives back, as bounds in pages.

A process's private anonymous memory, its swap entries and its page tables go with it. What may
stay: anonymous pages that it shares with processes it forked or was forked from (they are
copied only when somebody writes), and shared memory, which lives on while anybody maps it or,
as a file on tmpfs or a System V segment, for ever. File cache is not counted: it would have
gone before anybody died. Kernel memory of a process (stacks, mm structures) comes on top, and
so does shared memory that it maps but never touched, if all who did are gone.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

from ..kernel.sharing import likely_share_mm
from ..snapshot import Snapshot, Task
from .cgroups import charged_path
from .families import Kinships, families
from .living import Living
from .unknown import plus, sum_if_known


class Freed(NamedTuple):
    """What is given back, in pages: at least and at most; None at most is unknown."""

    low_pages: int = 0
    high_pages: int | None = 0
    swap_low_pages: int = 0
    """Of it swap, which gives room but no memory by itself."""
    swap_high_pages: int | None = 0
    shared_pages: int | None = 0
    """Of the most: shared memory, which stays where others map it or a file holds it."""


def freed_by(snapshot: Snapshot, dead: Sequence[Task], perhaps: Collection[Task] = ()) -> Freed:
    """Return what the death of ``dead`` gives back on a machine as ``snapshot`` shows it.

    ``perhaps`` are those that die too if they use the same memory map: they hold nothing back.
    """
    living = Living(snapshot, stays=lambda task: task not in perhaps)
    estate = Estate(snapshot, living)
    estate.bury(dead)
    return estate.total


class Estate:
    """What the deaths on a machine give back, one after the other."""

    def __init__(self, snapshot: Snapshot, living: Living) -> None:
        self.total = Freed()
        """Of all that have died."""
        self._living, self._machine = living, snapshot.machine
        self._kinships, self._shared = Kinships(snapshot, living), _Shared(snapshot)

    def bury(self, dead: Sequence[Task]) -> Freed:
        """Take the dead from the living; return what they give back."""
        for task in dead:
            self._living.remove(task)
            self._kinships.remove(task)
        memory = swap_low = 0
        for family in families(dead):
            sure, swap = self._surely_free(family)
            memory, swap_low = memory + sure, swap_low + swap
        anon, swap_high = (
            sum_if_known(map(_anon, dead)),
            sum_if_known(task.swap_pages for task in dead),
        )
        if swap_high is None and self._machine.swap_pages == 0:
            swap_high = 0
        tables = sum(map(self._tables, dead))
        shared, more_shared = self._shared_at_most(dead)
        alone = plus(plus(anon, swap_high), tables)
        low, total = memory + swap_low, self.total
        self.total = Freed(
            total.low_pages + low,
            plus(plus(total.high_pages, alone), more_shared),
            total.swap_low_pages + swap_low,
            plus(total.swap_high_pages, swap_high),
            plus(total.shared_pages, more_shared),
        )
        return Freed(low, plus(alone, shared), swap_low, swap_high, shared)

    def _surely_free(self, family: Sequence[Task]) -> tuple[int, int]:
        """Return what a family surely gives back: memory, and swap."""
        if any(self._is_held(task) for task in family):
            return 0, 0  # somebody who lives on uses the same memory map
        # Who was forked from whom may hold the same pages: only the largest counts for sure.
        anon = max(task.rss_anon_pages or 0 for task in family)
        swap = max(task.swap_pages or 0 for task in family)
        kept = self._kinships.kept_by_relatives(family)
        tables = max(map(self._tables, family))
        return max(0, anon - kept.anon_pages) + tables, max(0, swap - kept.swap_pages)

    def _is_held(self, task: Task) -> bool:
        return any(likely_share_mm(other, task) for other in self._living.alike_that_stay(task))

    def _shared_at_most(self, dead: Sequence[Task]) -> tuple[int | None, int | None]:
        """Return the shared memory that these deaths give back, and by how much the total grows.

        What they map, and what relatives that died before mapped, as they may have been the
        last to hold it; but no more than is there of all that died.
        """
        own = self._shared.of(dead)
        left = sum_if_known([self._kinships.leave_shared(task, _shmem(task)) for task in dead])
        before = self._shared.together
        together = self._shared.add(dead)
        most = plus(own, left)
        grown = None if together is None or before is None else together - before
        return (most if most is None or together is None else min(most, together)), grown

    def _tables(self, task: Task) -> int:
        return ((task.pagetable_bytes or 0) + (task.pmd_bytes or 0)) // self._machine.page_size


class _Shared:
    """Shared memory that processes map together, at most, in pages.

    Each counts all that it maps; no more can be there than its memory cgroup is charged for.
    """

    def __init__(self, snapshot: Snapshot) -> None:
        self.together: int | None = 0
        """Of all that were added."""
        self._charged = {memcg.path: memcg.shmem_pages for memcg in snapshot.memcgs or ()}
        self._version = snapshot.memcgs[0].version if snapshot.memcgs else 2
        self._mapped: dict[str | None, int | None] = {}

    def of(self, tasks: Iterable[Task]) -> int | None:
        """Return how much these processes map together, without those that were added."""
        return sum_if_known(self._bounded(*one) for one in self._by_place(tasks).items())

    def add(self, tasks: Iterable[Task]) -> int | None:
        """Add processes; return how much they map together with those before."""
        for path, pages in self._by_place(tasks).items():
            before = self._mapped.get(path, 0)
            self._mapped[path] = plus(before, pages)
            now, then = self._bounded(path, self._mapped[path]), self._bounded(path, before)
            known = self.together is not None and now is not None and then is not None
            self.together = self.together + now - then if known else None  # type: ignore[operator]
        return self.together

    def _by_place(self, tasks: Iterable[Task]) -> dict[str | None, int | None]:
        found: dict[str | None, int | None] = {}
        for task in tasks:
            path = charged_path(task, self._charged, self._version)
            found[path] = plus(found.get(path, 0), _shmem(task))
        return found

    def _bounded(self, path: str | None, pages: int | None) -> int | None:
        bound = self._charged.get(path or "")
        return pages if bound is None or pages is None else min(bound, pages)


def _anon(task: Task) -> int | None:
    """Return anonymous pages; where RSS is not told apart (before 4.5) all of it, at most."""
    if task.rss_anon_pages is not None:
        return task.rss_anon_pages
    return task.rss_pages if task.rss_pages is not None else task.rss_stat_pages


def _shmem(task: Task) -> int | None:
    return 0 if task.rss_anon_pages is None else task.rss_shmem_pages
