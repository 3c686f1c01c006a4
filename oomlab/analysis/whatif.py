"""Edits: each takes a snapshot and returns another; the old one stays as it was.

An edited task's ``kernel_oom_score`` is dropped: the kernel has not seen the edit. Page tables
are left as they are: a process that grows by 1 GiB gets about 2 MiB more of them.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from ..errors import InputError, UnknownTaskError
from ..kernel.adjust import OOM_ADJUST_MAX, OOM_DISABLE, to_oom_score_adj
from ..kernel.badness import OOM_SCORE_ADJ_MAX, OOM_SCORE_ADJ_MIN
from ..snapshot import MAX_PAGES, Snapshot, Task
from ..units import bytes_to_pages

_PID = re.compile("[0-9]{1,18}")


def find_task(snapshot: Snapshot, name_or_pid: int | str) -> Task:
    """Return the one task with that PID, or with that name if exactly one has it.

    Raises UnknownTaskError, which names the candidates where there are several.
    """
    if isinstance(name_or_pid, int) or _PID.fullmatch(name_or_pid):
        pid = int(name_or_pid)
        for task in snapshot.tasks:
            if task.pid == pid:
                return task
        raise UnknownTaskError(f"no process {pid} in this snapshot", pid)
    found = [task for task in snapshot.tasks if task.comm == name_or_pid]
    if len(found) == 1:
        return found[0]
    if not found:
        raise UnknownTaskError(f"no process is named {name_or_pid!r} (names are cut at 15 bytes)")
    pids = ", ".join(str(task.pid) for task in found[:20]) + (", ..." if len(found) > 20 else "")
    raise UnknownTaskError(
        f"{len(found)} processes are named {name_or_pid!r}: give a PID of {pids}"
    )


def set_adj(snapshot: Snapshot, *, pid: int, oom_score_adj: int) -> Snapshot:
    """Set a task's oom_score_adj, -1000 to 1000. Raises InputError, UnknownTaskError."""
    if not OOM_SCORE_ADJ_MIN <= oom_score_adj <= OOM_SCORE_ADJ_MAX:
        raise InputError(f"oom_score_adj {oom_score_adj} is outside -1000..1000")
    return _edit(snapshot, pid, lambda _task: {"oom_score_adj": oom_score_adj, "oom_adj": None})


def set_oom_adj(snapshot: Snapshot, *, pid: int, oom_adj: int) -> Snapshot:
    """Set a task's oom_adj, -17 to 15: the setting before 2.6.36, and an oom_score_adj since.

    Raises InputError, UnknownTaskError.
    """
    if not OOM_DISABLE <= oom_adj <= OOM_ADJUST_MAX:
        raise InputError(f"oom_adj {oom_adj} is outside {OOM_DISABLE}..{OOM_ADJUST_MAX}")
    adj = to_oom_score_adj(oom_adj)
    return _edit(snapshot, pid, lambda _task: {"oom_score_adj": adj, "oom_adj": oom_adj})


def set_rss(snapshot: Snapshot, *, pid: int, rss_bytes: int) -> Snapshot:
    """Set a task's RSS; the change is in its anonymous part.

    Raises InputError, UnknownTaskError.
    """
    pages = _pages(snapshot, rss_bytes, "RSS")
    return _edit(snapshot, pid, lambda task: _with_rss(task, pages))


def grow(snapshot: Snapshot, *, pid: int, more_bytes: int) -> Snapshot:
    """Let a task use ``more_bytes`` more anonymous memory, or less where it is negative.

    Raises InputError where its RSS is unknown or would fall below 0, UnknownTaskError.
    """
    more = bytes_to_pages(more_bytes, snapshot.machine.page_size)

    def edit(task: Task) -> dict[str, Any]:
        if task.rss_pages is None and task.rss_stat_pages is None:
            raise InputError(f"the RSS of process {pid} is unknown; set it with --rss")
        return {
            name: _grown(value, more, task)
            for name in ("rss_pages", "rss_stat_pages", "total_vm_pages")
            if (value := getattr(task, name)) is not None
        } | {"rss_anon_pages": _anon_after(task, more)}

    return _edit(snapshot, pid, edit)


def set_swap(snapshot: Snapshot, *, pid: int, swap_bytes: int) -> Snapshot:
    """Set what a task has swapped out. Raises InputError, UnknownTaskError."""
    pages = _pages(snapshot, swap_bytes, "swap")
    return _edit(snapshot, pid, lambda _task: {"swap_pages": pages})


def kill(snapshot: Snapshot, *, pid: int) -> Snapshot:
    """Take a task away. Raises UnknownTaskError."""
    find_task(snapshot, pid)
    return replace(snapshot, tasks=tuple(task for task in snapshot.tasks if task.pid != pid))


def add_task(
    snapshot: Snapshot,
    *,
    comm: str,
    rss_bytes: int,
    oom_score_adj: int = 0,
    pid: int | None = None,
) -> Snapshot:
    """Add a process that is not there yet: the youngest, all its memory anonymous.

    It gets the next PID unless one is given. Raises InputError where a value is out of range.
    """
    if not OOM_SCORE_ADJ_MIN <= oom_score_adj <= OOM_SCORE_ADJ_MAX:
        raise InputError(f"oom_score_adj {oom_score_adj} is outside -1000..1000")
    pages = _pages(snapshot, rss_bytes, "RSS")
    if pid is None:
        pid = max((task.pid for task in snapshot.tasks), default=1) + 1
    youngest = max((task.start_ticks or 0 for task in snapshot.tasks), default=0)
    task = Task(
        pid=pid,
        comm=comm,
        start_ticks=youngest,
        has_mm=True,
        oom_score_adj=oom_score_adj,
        rss_pages=pages,
        rss_stat_pages=pages,
        rss_anon_pages=pages,
        rss_file_pages=0,
        rss_shmem_pages=0,
        total_vm_pages=pages,
        threads=1,
        cpu_ticks=0,
        swap_pages=0,
        pagetable_bytes=0,
        pmd_bytes=0,
    )
    return replace(snapshot, tasks=(*snapshot.tasks, task))


def set_ram(snapshot: Snapshot, *, ram_bytes: int) -> Snapshot:
    """Set the machine's RAM (MemTotal). Raises InputError."""
    pages = _pages(snapshot, ram_bytes, "RAM")
    if pages < 1:
        raise InputError("a machine needs some RAM")
    return _with_machine(snapshot, ram_pages=pages)


def set_swap_total(snapshot: Snapshot, *, swap_bytes: int) -> Snapshot:
    """Set the machine's swap space (SwapTotal). Raises InputError."""
    return _with_machine(snapshot, swap_pages=_pages(snapshot, swap_bytes, "swap"))


def _edit(snapshot: Snapshot, pid: int, change: Callable[[Task], dict[str, Any]]) -> Snapshot:
    wanted = find_task(snapshot, pid)
    edited = wanted._replace(**change(wanted), kernel_oom_score=None)
    tasks = tuple(edited if task is wanted else task for task in snapshot.tasks)
    return replace(snapshot, tasks=tasks)


def _with_machine(snapshot: Snapshot, **changes: Any) -> Snapshot:
    """Change the machine; what the kernel printed under the old totals is no witness any more."""
    tasks = tuple(task._replace(kernel_oom_score=None) for task in snapshot.tasks)
    return replace(snapshot, machine=snapshot.machine._replace(**changes), tasks=tasks)


def _pages(snapshot: Snapshot, size_bytes: int, what: str) -> int:
    if size_bytes < 0:
        raise InputError(f"{what} can't be negative")
    pages = bytes_to_pages(size_bytes, snapshot.machine.page_size)
    if pages > MAX_PAGES:
        raise InputError(f"{what} of {size_bytes} bytes is more than any machine addresses")
    return pages


def _with_rss(task: Task, pages: int) -> dict[str, Any]:
    known = (task.rss_file_pages or 0) + (task.rss_shmem_pages or 0)
    changes: dict[str, Any] = {"rss_pages": pages, "rss_stat_pages": pages}
    if pages >= known:
        return changes | {"rss_anon_pages": pages - known}
    # Less than its file and shared parts: which of them shrinks is not said.
    return changes | {"rss_anon_pages": None, "rss_file_pages": None, "rss_shmem_pages": None}


def _grown(pages: int, more: int, task: Task) -> int:
    if pages + more < 0:
        raise InputError(f"process {task.pid} ({task.comm!r}) has no {-more} pages of RSS to lose")
    if pages + more > MAX_PAGES:
        raise InputError("growth beyond what any machine addresses")
    return pages + more


def _anon_after(task: Task, more: int) -> int | None:
    if task.rss_anon_pages is None or task.rss_anon_pages + more < 0:
        return None
    return task.rss_anon_pages + more
