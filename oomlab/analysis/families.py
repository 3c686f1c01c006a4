"""Who was forked from whom, and how much relatives may hold of what the dead have left.

Processes that fork share pages until somebody writes to them: parent and child, and siblings. A
program started by exec(2) shares none, but no file tells; siblings of different names are taken
for different programs. Anonymous pages that several map count in the RSS of each but once in
their memory cgroup, so all that is counted twice there bounds what any of them can share.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from ..kernel.scope import is_inside, parent_of
from ..kernel.sharing import likely_share_mm, mapped_rss
from ..snapshot import Snapshot, Task
from .living import Living
from .unknown import plus

_STAT_BATCH = 64
"""Charges that a CPU may keep to itself before a cgroup's memory.stat shows them
(MEMCG_CHARGE_BATCH)."""
_ENDLESS = 1 << 52
_MOST_CPUS = 8192
_Key = tuple[int, str | None]
"""Children of one parent: of one name, or all of them (None)."""


class Kept(NamedTuple):
    """What relatives may hold of the dead's memory, at most, in pages."""

    anon_pages: int
    swap_pages: int


@dataclass(slots=True)
class _Sum:
    """The living children of one parent, or those of one name, together."""

    count: int = 0
    anon_pages: int = 0
    swap_pages: int = 0
    inside: str | None = ""
    """The innermost cgroup that all of them were in at first; "" for nobody, None is unknown."""

    def add(self, task: Task, sign: int) -> None:
        self.count += sign
        self.anon_pages += sign * (task.rss_anon_pages or 0)
        self.swap_pages += sign * (task.swap_pages or 0)


class _LeftShared:
    """Shared memory that the dead have left, by who may still hold it."""

    def __init__(self) -> None:
        self._parents: dict[int, int | None] = {}
        self._children: dict[int, int | None] = {}
        self._siblings: dict[_Key, int | None] = {}

    def by(self, task: Task, pages: int | None) -> int | None:
        from_parents = self._parents.get(task.ppid or 0, 0)
        place = (task.ppid or 0, task.comm)
        from_children, from_siblings = self._children.get(task.pid, 0), self._siblings.get(place, 0)
        # What its parents left it may have handed on to its own children.
        self._parents[task.pid] = plus(from_parents, pages)
        self._children[task.ppid or 0] = plus(self._children.get(task.ppid or 0, 0), pages)
        self._siblings[place] = plus(from_siblings, pages)
        return plus(plus(from_parents, from_children), from_siblings)


class Kinships:
    """The relatives of a snapshot's processes while one after the other dies."""

    def __init__(self, snapshot: Snapshot, living: Living) -> None:
        self._living = living
        version = snapshot.memcgs[0].version if snapshot.memcgs else 2
        self._controller = "" if version == 2 else "memory"
        self._slack_pages = _STAT_BATCH * (snapshot.machine.cpus or _MOST_CPUS)
        self._counted_twice = _counted_twice(snapshot, self._controller)
        self._sums: dict[_Key, _Sum] = {}
        for task in snapshot.tasks:
            for key in _own_keys(task):
                one = self._sums.setdefault(key, _Sum())
                one.add(task, 1)
                one.inside = _common(one.inside, self._path(task))
        self._left = _LeftShared()

    def remove(self, task: Task) -> None:
        """Take one of the dead out."""
        for key in _own_keys(task):
            self._sums[key].add(task, -1)

    def kept_by_relatives(self, family: Sequence[Task]) -> Kept:
        """Return what the living may hold of what a family (families()) has left."""
        sums = [one for key in _relatives_keys(family) if (one := self._sums.get(key))]
        for pid in {task.ppid for task in family if is_forked(task)}:
            parent = self._living.get(pid)
            if parent is not None and _may_hold(parent):
                sums.append(_Sum(inside=self._path(parent)))
                sums[-1].add(parent, 1)
        sums = [one for one in sums if one.count]
        if not sums:
            return Kept(0, 0)
        place: str | None = ""
        for path in (*map(self._path, family), *(one.inside for one in sums)):
            place = _common(place, path)
        held = sum(one.anon_pages for one in sums)
        return Kept(min(held, self._shared_inside(place)), sum(one.swap_pages for one in sums))

    def leave_shared(self, task: Task, pages: int | None) -> int | None:
        """Note the shared memory that a dead process mapped; return what it may have held beside.

        That is what relatives mapped that died before: the last of them gives it back.
        """
        return self._left.by(task, pages) if is_forked(task) else 0

    def _shared_inside(self, path: str | None) -> int:
        """Return how many anonymous pages the members of a cgroup can share, at most."""
        least = _ENDLESS
        while path is not None:
            least = min(least, self._counted_twice.get(path, _ENDLESS))
            path = parent_of(path)
        return least + self._slack_pages

    def _path(self, task: Task) -> str | None:
        return task.cgroup_path(self._controller)


def is_forked(task: Task) -> bool:
    """Tell whether a process may share pages by fork(2) at all: no kernel thread, not init."""
    return not task.kernel_thread and task.pid != 1


def _may_hold(task: Task) -> bool:
    return is_forked(task) and task.has_mm is not False


def _own_keys(task: Task) -> Iterator[_Key]:
    """Yield the sums that a living process is counted in."""
    if task.ppid is not None and _may_hold(task):
        yield task.ppid, None
        yield task.ppid, task.comm


def _relatives_keys(family: Sequence[Task]) -> set[_Key]:
    """Return the sums of a family's children and siblings, each counted once."""
    members = [task for task in family if is_forked(task)]
    pids = {task.pid for task in members}
    keys: set[_Key] = {(pid, None) for pid in pids}
    # The siblings of one whose parent is of the family are among that parent's children.
    return keys | {(t.ppid, t.comm) for t in members if t.ppid is not None and t.ppid not in pids}


def _common(one: str | None, other: str | None) -> str | None:
    """Return the innermost cgroup that holds two; "" stands for none yet, None is unknown."""
    if one == "" or one is None or other is None:
        return other if one == "" else None
    while not is_inside(other, one):
        one = parent_of(one) or "/"
    return one


def _counted_twice(snapshot: Snapshot, controller: str) -> dict[str, int]:
    """Return by how much the RSS of each cgroup's members exceeds what it is charged for.

    Only of cgroups of which every member is known: who is not seen (the reader itself is not)
    may hold what is charged. What a process left behind when it was moved out is not seen.
    """
    pids, memcgs = {task.pid for task in snapshot.tasks}, snapshot.memcgs or ()
    hiding = [m for m in memcgs if m.pids is None or not pids.issuperset(m.pids)]
    unclear = {path for memcg in hiding for path in _up(memcg.path)}
    charged = {
        memcg.path: memcg.anon_pages
        for memcg in memcgs
        if memcg.anon_pages is not None
        and memcg.hierarchical is not False
        and memcg.path not in unclear
    }
    counted = dict.fromkeys(charged, 0)
    for task in snapshot.tasks:
        for path in _up(task.cgroup_path(controller)):
            if path in counted:
                counted[path] += task.rss_anon_pages or 0
    return {path: max(0, pages - charged[path]) for path, pages in counted.items()}


def _up(path: str | None) -> Iterator[str]:
    while path is not None:
        yield path
        path = parent_of(path)


def families(dead: Sequence[Task]) -> list[list[Task]]:
    """Return the dead in groups that may share pages with each other."""
    if len(dead) == 1:
        return [list(dead)]
    leaders = list(range(len(dead)))

    def leader(index: int) -> int:
        while leaders[index] != index:
            leaders[index] = leaders[leaders[index]]
            index = leaders[index]
        return index

    for one, other in _related(dead):
        leaders[leader(one)] = leader(other)
    found: dict[int, list[Task]] = {}
    for index, task in enumerate(dead):
        found.setdefault(leader(index), []).append(task)
    return list(found.values())


def _related(dead: Sequence[Task]) -> Iterator[tuple[int, int]]:
    """Yield pairs of indexes that connect all that are related."""
    by_pid = {task.pid: index for index, task in enumerate(dead) if is_forked(task)}
    first: dict[_Key, int] = {}
    for index, task in enumerate(dead):
        if is_forked(task) and task.ppid is not None:
            if task.ppid in by_pid:
                yield index, by_pid[task.ppid]
            yield index, first.setdefault((task.ppid, task.comm), index)
    mapped = [index for index, task in enumerate(dead) if mapped_rss(task) is not None]
    mapped.sort(key=lambda index: _map_order(dead[index]))
    for one, other in pairwise(mapped):
        if likely_share_mm(dead[one], dead[other]):
            yield one, other


def _map_order(task: Task) -> tuple[int, int, int, int]:
    return (
        task.total_vm_pages or 0,
        task.pagetable_bytes or -1,
        task.pmd_bytes or -1,
        mapped_rss(task) or 0,
    )
