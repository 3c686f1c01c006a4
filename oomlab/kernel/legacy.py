"""Badness from 2.6.11 to 2.6.35: the size of the address space and a heap of factors.

Source: badness() in mm/oom_kill.c of these releases; the changes are in history.py.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import isqrt
from typing import NamedTuple

from ..snapshot import Machine, Task
from .adjust import OOM_DISABLE, oom_adj_of
from .badness import wrap_unsigned
from .facts import Facts
from .nodes import nodes_in
from .sharing import likely_share_mm, may_share_mm

CAP_SYS_RAWIO, CAP_SYS_ADMIN, CAP_SYS_RESOURCE = 1 << 17, 1 << 21, 1 << 24
_TICKS_PER_SECOND = 100
_USUAL_HZ = (100, 250, 300, 1000)


class LegacyInputs(NamedTuple):
    """All that badness() looked at; memory in pages."""

    total_vm_pages: int
    children_pages: Sequence[int] = ()
    """total_vm of each child that has another memory map."""
    cpu_root: int = 0
    run_root: int = 0
    nice: int = 0
    cap_effective: int = 0
    uid: int | None = None
    euid: int | None = None
    disjoint: bool = False
    """Its allowed memory nodes don't meet those of the task that asks."""
    oom_adj: int = 0
    origin: bool = False
    """It is inside swapoff, or (2.6.32 on) undoing KSM's merging."""


def shift_hz(hz: int) -> int:
    """Return SHIFT_HZ, the kernel's rough logarithm of its timer frequency.

    >>> [shift_hz(hz) for hz in (100, 250, 300, 1000)]
    [7, 8, 8, 10]
    """
    shift = 4
    while hz >= 24 << (shift - 4):
        shift += 1
    return shift


def cpu_root(jiffies: int, hz: int) -> int:
    """Return the divisor for CPU time (0 divides nothing); its unit is about 8 seconds."""
    return isqrt(jiffies >> (shift_hz(hz) + 3))


def run_root(seconds: int) -> int:
    """Return the divisor for the time since the start; its unit is 1024 seconds."""
    return isqrt(isqrt(max(0, seconds) >> 10))


def legacy_badness(facts: Facts, given: LegacyInputs, word_bits: int = 64) -> int:
    """Return badness() of a task that has a memory map: an unsigned long.

    >>> from oomlab.kernel.eras import era_of
    >>> facts = era_of("2.6.32").facts
    >>> legacy_badness(facts, LegacyInputs(25600, children_pages=[2560], run_root=2, oom_adj=3))
    107520
    """
    if facts.legacy_disabled and given.oom_adj == OOM_DISABLE:
        return 0
    if facts.legacy_origin and given.origin:
        return wrap_unsigned(-1, word_bits)
    points = given.total_vm_pages
    for pages in given.children_pages:
        points += pages if facts.legacy_children == "full" else pages // 2 + 1
    points = wrap_unsigned(points, word_bits)
    points //= given.cpu_root or 1
    points //= given.run_root or 1
    if given.nice > 0:
        points = wrap_unsigned(points * 2, word_bits)
    if _is_superuser(facts, given):
        points //= 4
    if given.cap_effective & CAP_SYS_RAWIO:
        points //= 4
    if facts.legacy_disjoint and given.disjoint:
        points //= 8
    return _shifted(facts, points, given.oom_adj, word_bits)


def _is_superuser(facts: Facts, given: LegacyInputs) -> bool:
    if given.cap_effective & CAP_SYS_ADMIN:
        return True
    if facts.legacy_superuser == "uid or admin":
        return given.uid == 0 or given.euid == 0
    return bool(given.cap_effective & CAP_SYS_RESOURCE)


def _shifted(facts: Facts, points: int, oom_adj: int, word_bits: int) -> int:
    if oom_adj <= 0:
        return points >> -oom_adj
    if facts.legacy_bump and points == 0:
        points = 1
    return wrap_unsigned(points << oom_adj, word_bits)


class LegacyRange(NamedTuple):
    """A task's inputs as they look, and those that give the least and the most badness."""

    seen: LegacyInputs
    least: LegacyInputs
    most: LegacyInputs


def legacy_reader(
    facts: Facts, machine: Machine, everyone: Sequence[Task]
) -> Callable[[Task], LegacyRange | None]:
    """Return a function from a task to its inputs; None where its total_vm is unknown.

    What userland can't see widens the range: the timer frequency, which CPU ticks are whole,
    a second of run time, which thread of a parent forked a child, whether a child has another
    memory map, and whose memory nodes are compared. Of a report's task table, which shows no
    more than size, owner and oom_adj, all the rest is bounded.
    """
    children: dict[int, list[Task]] = {}
    for task in everyone:
        if task.ppid is not None and task.total_vm_pages is not None:
            children.setdefault(task.ppid, []).append(task)
    masks = {task.mems_allowed for task in everyone if task.mems_allowed is not None}

    def read(task: Task) -> LegacyRange | None:
        total, oom_adj = task.total_vm_pages, oom_adj_of(task, facts)
        if total is None or oom_adj is None:
            return None
        if is_table_row(task):
            return _range_of_row(facts, machine, task, oom_adj, everyone)
        own = children.get(task.pid, ())
        cpu, run = _cpu_roots(facts, machine, task), _run_roots(facts, machine, task)
        sure, likely, possible = _children_pages(task, own)
        seen = LegacyInputs(
            total_vm_pages=total,
            children_pages=likely,
            cpu_root=cpu[1],
            run_root=run[1],
            nice=task.nice or 0,
            cap_effective=task.cap_effective or 0,
            uid=task.uid,
            euid=task.euid,
            oom_adj=oom_adj,
        )
        apart = _may_be_disjoint(task, masks)
        if not own and not apart and cpu[0] == cpu[2] and run[0] == run[2]:
            return LegacyRange(seen, seen, seen)
        least = seen._replace(children_pages=sure, cpu_root=cpu[2], run_root=run[2], disjoint=apart)
        most = seen._replace(children_pages=possible, cpu_root=cpu[0], run_root=run[0])
        return LegacyRange(seen, least, most)

    return read


def is_table_row(task: Task) -> bool:
    """Tell whether a task is known from a report's table only: no parent, capabilities, nice."""
    return task.ppid is None and task.cap_effective is None and task.nice is None


def _range_of_row(
    facts: Facts, machine: Machine, task: Task, oom_adj: int, everyone: Sequence[Task]
) -> LegacyRange:
    """Return what the table shows, and the least and the most that it leaves open.

    At most all others are its children; it may be nice, a superuser, bound to other nodes.
    """
    cpu, run = _cpu_roots(facts, machine, task), _run_roots(facts, machine, task)
    root = CAP_SYS_ADMIN | CAP_SYS_RAWIO
    seen = LegacyInputs(
        total_vm_pages=task.total_vm_pages or 0,
        cap_effective=root if task.uid == 0 else 0,
        uid=task.uid,
        euid=task.euid,
        oom_adj=oom_adj,
    )
    least = seen._replace(cpu_root=cpu[2], run_root=run[2], cap_effective=root, disjoint=True)
    others = [other.total_vm_pages or 0 for other in everyone if other is not task]
    most = seen._replace(children_pages=others, nice=1, cap_effective=0, euid=None)
    return LegacyRange(seen, least, most)


def _children_pages(task: Task, children: Sequence[Task]) -> tuple[list[int], list[int], list[int]]:
    """Return total_vm of the children that surely, likely and possibly count."""
    possible = [child.total_vm_pages or 0 for child in children]
    likely = [c.total_vm_pages or 0 for c in children if not likely_share_mm(c, task)]
    sure = [c.total_vm_pages or 0 for c in children if not may_share_mm(c, task)]
    return sure if task.threads == 1 else [], likely, possible


def _cpu_roots(facts: Facts, machine: Machine, task: Task) -> tuple[int, int, int]:
    """Return the least, the likely and the greatest divisor for CPU time."""
    ticks = task.cpu_ticks
    if ticks is None:
        if machine.uptime_seconds is None or machine.cpus is None:
            return 0, 0, 1 << 32
        # No process has run for longer than all CPUs have been up.
        most = (machine.uptime_seconds + 1) * machine.cpus
        return 0, 0, max(cpu_root(most * hz, hz) for hz in _USUAL_HZ)
    roots = []
    for hz in (machine.timer_hz,) if machine.timer_hz else _USUAL_HZ:
        # User and system time are cut to whole ticks each.
        lost = 2 * (-(-hz // _TICKS_PER_SECOND) - 1)
        jiffies = -(-ticks * hz // _TICKS_PER_SECOND)
        roots += [cpu_root(jiffies, hz), cpu_root(jiffies + lost, hz)]
    one_thread = facts.legacy_group_cpu or task.threads == 1
    return min(roots) if one_thread else 0, roots[-2], max(roots)


def _run_roots(facts: Facts, machine: Machine, task: Task) -> tuple[int, int, int]:
    """Return the least, the likely and the greatest divisor for the time since the start."""
    if machine.uptime_seconds is None:
        return 0, 0, 1 << 16
    if task.start_ticks is None:
        return 0, 0, run_root(machine.uptime_seconds + 1)
    run = machine.uptime_seconds - task.start_ticks // _TICKS_PER_SECOND
    # Before 2.6.32 a younger thread may stand for the process.
    youngest = run - 1 if not facts.scan_threads or task.threads == 1 else 0
    return run_root(youngest), run_root(run), run_root(run + 1)


def _may_be_disjoint(task: Task, masks: set[str]) -> bool:
    if task.mems_allowed is None or len(masks) <= 1:
        return False
    own = nodes_in(task.mems_allowed)
    return any(own.isdisjoint(nodes_in(mask)) for mask in masks)
