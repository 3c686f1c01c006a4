"""Who is still alive, found by what relates them to one of the dead.

The rules of who dies along, and what a death gives back, ask for a process's children, for those
that look as if on its memory map and for the members of its group. ``Everyone`` answers with all
there are, which is right for one question; ``Living`` finds them once for a cascade of thousands.
The rules themselves are in ``kernel``: what is given here may be more than they take.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

from ..kernel.scope import parent_of
from ..kernel.sharing import FAULTED_BY_READING, mapped_rss
from ..memcg import Memcg
from ..snapshot import Snapshot, Task

_MapKey = tuple[int | None, int | None, int | None, bool]


class Kin(Protocol):
    """What the rules ask for."""

    def children(self, pid: int) -> Iterable[Task]:
        """Return the children of a process, and maybe others."""

    def alike(self, task: Task) -> Iterable[Task]:
        """Return those that look as if on the task's memory map, and maybe others."""

    def inside(self, group: str) -> Iterable[Task]:
        """Return the members of a cgroup that is killed whole, and maybe others."""

    def groups_above(self, task: Task) -> Iterable[Memcg]:
        """Return the cgroups with memory.oom.group above a task, and maybe others."""


class Everyone:
    """All processes, whatever is asked."""

    def __init__(self, tasks: Iterable[Task], memcgs: Iterable[Memcg] | None) -> None:
        self._tasks, self._memcgs = tuple(tasks), tuple(memcgs or ())

    def children(self, _pid: int) -> Iterable[Task]:
        """Return everyone."""
        return self._tasks

    def alike(self, _task: Task) -> Iterable[Task]:
        """Return everyone."""
        return self._tasks

    def inside(self, _group: str) -> Iterable[Task]:
        """Return everyone."""
        return self._tasks

    def groups_above(self, _task: Task) -> Iterable[Memcg]:
        """Return all cgroups."""
        return self._memcgs


class Living:
    """The living of a snapshot; ``stays`` tells who outlives somebody on its memory map."""

    def __init__(self, snapshot: Snapshot, stays: Callable[[Task], bool] = lambda _: False) -> None:
        self._stays = stays
        self._by_pid: dict[int, Task] = {}
        self._children: dict[int, dict[int, Task]] = {}
        self._maps: dict[_MapKey, list[tuple[int, int]]] = {}
        self._groups = {memcg.path: memcg for memcg in snapshot.memcgs or () if memcg.oom_group}
        self._members: dict[str, dict[int, Task]] = {path: {} for path in self._groups}
        for task in snapshot.tasks:
            self._add(task)

    def _add(self, task: Task) -> None:
        self._by_pid[task.pid] = task
        if task.ppid is not None:
            self._children.setdefault(task.ppid, {})[task.pid] = task
        rss = mapped_rss(task)
        if rss is not None:
            insort(self._maps.setdefault(self._map_key(task), []), (rss, task.pid))
        for memcg in self.groups_above(task):
            self._members[memcg.path][task.pid] = task

    def remove(self, task: Task) -> None:
        """Take one of the dead out."""
        del self._by_pid[task.pid]
        if task.ppid is not None:
            del self._children[task.ppid][task.pid]
        rss = mapped_rss(task)
        if rss is not None:
            same = self._maps[self._map_key(task)]
            del same[bisect_left(same, (rss, task.pid))]
        for memcg in self.groups_above(task):
            del self._members[memcg.path][task.pid]

    def get(self, pid: int | None) -> Task | None:
        """Return a process by its pid, None where it does not live."""
        return None if pid is None else self._by_pid.get(pid)

    def children(self, pid: int) -> Iterable[Task]:
        """Return the children of a process, in scan order."""
        return self._children.get(pid, {}).values()

    def alike(self, task: Task) -> Iterator[Task]:
        """Yield those that look as if on the task's memory map."""
        for stays in (False, True):
            yield from self._alike(task, stays)

    def alike_that_stay(self, task: Task) -> Iterator[Task]:
        """Yield those among them that would outlive it."""
        return self._alike(task, stays=True)

    def _alike(self, task: Task, stays: bool) -> Iterator[Task]:
        rss = mapped_rss(task)
        if rss is None:
            return
        same = self._maps.get((*self._map_key(task)[:3], stays), ())
        for index in range(bisect_left(same, (rss - FAULTED_BY_READING, 0)), len(same)):
            if same[index][0] > rss + FAULTED_BY_READING:
                return
            yield self._by_pid[same[index][1]]

    def inside(self, group: str) -> Iterable[Task]:
        """Return the members of a cgroup with memory.oom.group, in scan order."""
        return self._members[group].values()

    def groups_above(self, task: Task) -> Iterator[Memcg]:
        """Yield the cgroups with memory.oom.group that a task is in."""
        path = task.cgroup_path("") if self._groups else None
        while path is not None:
            if path in self._groups:
                yield self._groups[path]
            path = parent_of(path)

    def _map_key(self, task: Task) -> _MapKey:
        return task.total_vm_pages, task.pagetable_bytes, task.pmd_bytes, self._stays(task)
