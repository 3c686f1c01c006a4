"""Edits of memory cgroups: limits, who is in them, and whether they die together."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ..errors import InputError
from ..kernel.scope import parent_of
from ..memcg import UNLIMITED_PAGES, Memcg
from ..snapshot import MAX_PAGES, Snapshot, Task
from .whatif import find_task


def set_limit(snapshot: Snapshot, *, path: str, limit_bytes: int | None) -> Snapshot:
    """Set a cgroup's memory limit (memory.max, memory.limit_in_bytes); None is no limit.

    The swap that it may use stays the same: v1's limit of memory and swap moves along. Raises
    InputError where there is no such cgroup or it can't have a limit.
    """
    memcg = _limitable(snapshot, path)
    limit = _limit_pages(snapshot, limit_bytes)
    changes: dict[str, Any] = {"limit_pages": limit}
    both, old = memcg.memsw_limit_pages, memcg.limit_pages
    if both is not None and both != UNLIMITED_PAGES:
        share = both - old if old is not None else 0
        changes["memsw_limit_pages"] = limit if limit == UNLIMITED_PAGES else limit + share
    return _with(snapshot, path, **changes)


def set_swap_limit(snapshot: Snapshot, *, path: str, swap_bytes: int | None) -> Snapshot:
    """Set the swap that a cgroup may use on top of its memory limit; None is no limit.

    That is memory.swap.max with v2; with v1 the limit of both becomes memory limit plus swap.
    Raises InputError where there is no such cgroup or its swap is not accounted.
    """
    memcg = _limitable(snapshot, path)
    swap = _limit_pages(snapshot, swap_bytes)
    if memcg.version == 2:
        return _with(snapshot, path, swap_limit_pages=swap)
    if memcg.memsw_limit_pages is None:
        raise InputError(
            f"swap of {path} is not limited: its kernel does not account swap (v1 without "
            "memory.memsw files; the boot option is swapaccount=1)"
        )
    if swap == UNLIMITED_PAGES:
        return _with(snapshot, path, memsw_limit_pages=UNLIMITED_PAGES)
    if memcg.limit_pages in (None, UNLIMITED_PAGES) or memcg.limit_pages is None:
        raise InputError(f"{path} has no memory limit to add swap to: give --limit first")
    return _with(snapshot, path, memsw_limit_pages=memcg.limit_pages + swap)


def set_oom_group(snapshot: Snapshot, *, path: str, on: bool) -> Snapshot:
    """Set memory.oom.group: whether all of a cgroup die together. Raises InputError."""
    memcg = _limitable(snapshot, path)
    if memcg.version == 1:
        raise InputError(f"{path}: memory.oom.group is of cgroup v2, this is v1")
    return _with(snapshot, path, oom_group=on)


def move(snapshot: Snapshot, *, pid: int, path: str) -> Snapshot:
    """Move a process to another memory cgroup.

    It is a candidate there from now on; memory that it has used stays charged where it was
    (v2, and v1 unless move_charge_at_immigrate says otherwise), so no usage changes. Raises
    InputError, UnknownTaskError.
    """
    memcg, task = _known(snapshot, path), find_task(snapshot, pid)
    controller = "" if memcg.version == 2 else "memory"
    if task.cgroups is None or task.cgroup_path(controller) is None:
        raise InputError(f"the memory cgroup of process {pid} is unknown, so it can't be moved")
    cgroups = tuple(
        (names, path if controller in names.split(",") else old) for names, old in task.cgroups
    )
    moved = task._replace(cgroups=cgroups)
    tasks = tuple(moved if one is task else one for one in snapshot.tasks)
    memcgs = tuple(_repeopled(one, task, path) for one in snapshot.memcgs or ())
    return replace(snapshot, tasks=tasks, memcgs=memcgs)


def over_limit_bytes(snapshot: Snapshot, path: str) -> int:
    """Return how far a cgroup's usage is above its limit: what must go at once."""
    memcg = _known(snapshot, path)
    if memcg.usage_pages is None or memcg.limit_pages is None:
        return 0
    return max(0, memcg.usage_pages - memcg.limit_pages) * snapshot.machine.page_size


def _repeopled(memcg: Memcg, task: Task, target: str) -> Memcg:
    """Take a process off a cgroup's list, or put it at the end of its new one's."""
    if memcg.pids is None:
        return memcg
    pids = tuple(pid for pid in memcg.pids if pid != task.pid)
    return memcg._replace(pids=(*pids, task.pid) if memcg.path == target else pids)


def _known(snapshot: Snapshot, path: str) -> Memcg:
    for memcg in snapshot.memcgs or ():
        if memcg.path == path:
            return memcg
    raise InputError(f"no memory cgroup {path!r} in this snapshot")


def _limitable(snapshot: Snapshot, path: str) -> Memcg:
    memcg = _known(snapshot, path)
    if parent_of(path) is None and memcg.limit_pages == UNLIMITED_PAGES:
        raise InputError("the root cgroup can't be limited: change the machine with --ram")
    return memcg


def _limit_pages(snapshot: Snapshot, size_bytes: int | None) -> int:
    """Return a limit in whole pages, rounded down as the kernel does."""
    if size_bytes is None:
        return UNLIMITED_PAGES
    pages = size_bytes // snapshot.machine.page_size
    if size_bytes < 0 or pages > MAX_PAGES:
        raise InputError(f"a limit of {size_bytes} bytes is none that a machine could have")
    return pages


def _with(snapshot: Snapshot, path: str, **changes: Any) -> Snapshot:
    memcgs = tuple(
        memcg._replace(**changes) if memcg.path == path else memcg
        for memcg in snapshot.memcgs or ()
    )
    return replace(snapshot, memcgs=memcgs)
