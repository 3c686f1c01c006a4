"""How much memory the death of some processes gives back, as bounds in pages.

A process's private anonymous memory, its swap entries and its page tables go with it. What may
stay: anonymous pages that it shares with processes it forked or was forked from (they are
copied only when somebody writes), and shared memory, which lives on while anybody maps it or,
as a file on tmpfs or a System V segment, for ever. File cache is not counted: it would have
gone before anybody died. Kernel memory of a process (stacks, mm structures) comes on top.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

from ..kernel.scope import is_inside
from ..kernel.sharing import likely_share_mm
from ..snapshot import MAX_PAGES, Memcg, Snapshot, Task
from .cgroups import charged_path
from .unknown import sum_if_known

_STAT_BATCH = 64
"""Charges that a CPU may keep to itself before a cgroup's memory.stat shows them
(MEMCG_CHARGE_BATCH)."""


class Freed(NamedTuple):
    """What is given back, in pages: at least and at most; None at most is unknown."""

    low_pages: int = 0
    high_pages: int | None = 0
    swap_low_pages: int = 0
    """Of it swap, which gives room but no memory by itself."""
    swap_high_pages: int | None = 0
    shared_pages: int | None = 0
    """Of the most: shared memory, which stays where others map it or a file holds it."""

    def plus(self, other: Freed) -> Freed:
        """Return both together."""
        return Freed(
            self.low_pages + other.low_pages,
            sum_if_known((self.high_pages, other.high_pages)),
            self.swap_low_pages + other.swap_low_pages,
            sum_if_known((self.swap_high_pages, other.swap_high_pages)),
            sum_if_known((self.shared_pages, other.shared_pages)),
        )


def freed_by(snapshot: Snapshot, dead: Sequence[Task], perhaps: Collection[Task] = ()) -> Freed:
    """Return what the death of ``dead`` gives back on a machine as ``snapshot`` shows it.

    ``perhaps`` are those that die too if they use the same memory map: they hold nothing back.
    """
    gone = {task.pid for task in dead}
    left = [task for task in snapshot.tasks if task.pid not in gone and task.has_mm is not False]
    page = snapshot.machine.page_size
    low = swap_low = tables_low = 0
    for family in _families(dead):
        if any(_holds(task, family, perhaps) for task in left):
            continue  # somebody who lives on uses the same memory map
        relatives = [task for task in left if any(_forked(task, one) for one in family)]
        # Who was forked from whom may hold the same pages: only the largest counts for sure.
        anon = max(task.rss_anon_pages or 0 for task in family)
        swap = max(task.swap_pages or 0 for task in family)
        shared = _shared_with(snapshot, family, relatives)
        low += max(0, anon - min(shared, sum(task.rss_anon_pages or 0 for task in relatives)))
        swap_low += max(0, swap - sum(task.swap_pages or 0 for task in relatives))
        tables_low += max(_table_pages(task, page) or 0 for task in family)
    anon_high = sum_if_known([_anon(task) for task in dead])
    shmem = shared_at_most(snapshot, dead)
    swap_high = sum_if_known([task.swap_pages for task in dead])
    if swap_high is None and snapshot.machine.swap_pages == 0:
        swap_high = 0
    tables = sum_if_known([_table_pages(task, page) or 0 for task in dead])
    high = sum_if_known((anon_high, shmem, swap_high, tables))
    return Freed(low + swap_low + tables_low, high, swap_low, swap_high, shmem)


def _anon(task: Task) -> int | None:
    """Return anonymous pages; where RSS is not told apart (before 4.5) all of it, at most."""
    if task.rss_anon_pages is not None:
        return task.rss_anon_pages
    return task.rss_pages if task.rss_pages is not None else task.rss_stat_pages


def _shmem(task: Task) -> int | None:
    return 0 if task.rss_anon_pages is None else task.rss_shmem_pages


def shared_at_most(snapshot: Snapshot, tasks: Sequence[Task]) -> int | None:
    """Return how much shared memory processes map together, at most, in pages.

    Each counts all that it maps; no more can be there than its memory cgroup is charged for.
    """
    charged = {memcg.path: memcg.shmem_pages for memcg in snapshot.memcgs or ()}
    version = snapshot.memcgs[0].version if snapshot.memcgs else 2
    mapped: dict[str | None, list[int | None]] = {}
    for task in tasks:
        mapped.setdefault(charged_path(task, charged, version), []).append(_shmem(task))
    parts = []
    for path, sizes in mapped.items():
        bound, together = charged.get(path or ""), sum_if_known(sizes)
        parts.append(together if bound is None or together is None else min(bound, together))
    return sum_if_known(parts)


def _all_inside(tasks: Iterable[Task], memcg: Memcg) -> bool:
    controller = "" if memcg.version == 2 else "memory"
    paths = [task.cgroup_path(controller) for task in tasks]
    return all(path is not None and is_inside(path, memcg.path) for path in paths)


def _table_pages(task: Task, page_size: int) -> int | None:
    if task.pagetable_bytes is None:
        return None
    return (task.pagetable_bytes + (task.pmd_bytes or 0)) // page_size


def _holds(task: Task, family: Sequence[Task], perhaps: Collection[Task]) -> bool:
    """Tell whether a survivor may be on the memory map of one of the dead without dying for it."""
    return any(likely_share_mm(task, one) for one in family) and task not in perhaps


def _forked(one: Task, other: Task) -> bool:
    """Tell whether two processes may share pages by fork(2): parent and child, or siblings.

    A program started by exec(2) shares none, but no file tells; siblings of different names are
    taken for different programs.
    """
    if one.kernel_thread or other.kernel_thread or 1 in (one.pid, other.pid):
        return False
    if one.ppid == other.pid or other.ppid == one.pid:
        return True
    return one.ppid is not None and one.ppid == other.ppid and one.comm == other.comm


def _families(dead: Sequence[Task]) -> list[list[Task]]:
    """Return the dead in groups that may share pages with each other."""
    families: list[list[Task]] = []
    for task in dead:
        related = [f for f in families if any(_related(task, one) for one in f)]
        for family in related:
            families.remove(family)
        families.append([task, *(one for family in related for one in family)])
    return families


def _related(one: Task, other: Task) -> bool:
    return _forked(one, other) or likely_share_mm(one, other)


def _shared_with(snapshot: Snapshot, family: Sequence[Task], relatives: Sequence[Task]) -> int:
    """Return how many anonymous pages the family can share with its relatives, at most.

    A page that two processes map counts in the RSS of both but once in the memory cgroup: all
    that is counted twice is the difference.
    """
    if not relatives:
        return 0
    bounds = [MAX_PAGES]
    slack = _STAT_BATCH * (snapshot.machine.cpus or 8192)
    for memcg in snapshot.memcgs or ():
        if memcg.anon_pages is None or memcg.hierarchical is False:
            continue
        if _all_inside((*family, *relatives), memcg):
            bounds.append(max(0, _anon_inside(snapshot, memcg) - memcg.anon_pages))
    return min(bounds) + slack


def _anon_inside(snapshot: Snapshot, memcg: Memcg) -> int:
    """Return the anonymous RSS of all processes in a cgroup, pages of several counted for each."""
    inside = (task for task in snapshot.tasks if _all_inside((task,), memcg))
    return sum(task.rss_anon_pages or 0 for task in inside)
