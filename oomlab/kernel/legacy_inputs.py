"""What badness() before 2.6.36 looked at, of each task, and how far userland sees it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from math import isqrt
from typing import NamedTuple

from ..snapshot import Machine, Task
from .adjust import oom_adj_reader
from .facts import Facts
from .legacy import CAP_SYS_ADMIN, CAP_SYS_RAWIO, LegacyInputs, cpu_shift, run_root
from .nodes import nodes_in
from .sharing import likely_share_mm, may_share_mm

_TICKS_PER_SECOND = 100
_USUAL_HZ = (100, 250, 300, 1000)


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
    clocks, own_oom_adj = cpu_clocks(machine.timer_hz), oom_adj_reader(facts)
    # Past the constructor, which would cost as much as all else here.
    make: Callable[[tuple[object, ...]], LegacyInputs] = partial(tuple.__new__, LegacyInputs)

    def read(task: Task) -> LegacyRange | None:
        total, oom_adj = task.total_vm_pages, own_oom_adj(task)
        if total is None or oom_adj is None:
            return None
        if is_table_row(task):
            return _range_of_row(facts, machine, task, oom_adj, everyone)
        own = children.get(task.pid)
        cpu, run = _cpu_roots(facts, machine, clocks, task), _run_roots(facts, machine, task)
        sure, likely, possible = _children_pages(task, own) if own else _NOBODYS
        apart = len(masks) > 1 and _may_be_disjoint(task, masks)
        nice, caps, uid, euid = task.nice or 0, task.cap_effective or 0, task.uid, task.euid
        seen = make((total, likely, cpu[1], run[1], nice, caps, uid, euid, False, oom_adj, False))
        if own is None and not apart and cpu[0] == cpu[2] and run[0] == run[2]:
            return LegacyRange(seen, seen, seen)
        least = make((total, sure, cpu[2], run[2], nice, caps, uid, euid, apart, oom_adj, False))
        most = make((total, possible, cpu[0], run[0], nice, caps, uid, euid, False, oom_adj, False))
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
    clocks = cpu_clocks(machine.timer_hz)
    cpu, run = _cpu_roots(facts, machine, clocks, task), _run_roots(facts, machine, task)
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


_NOBODYS: tuple[Sequence[int], Sequence[int], Sequence[int]] = ((), (), ())


def _children_pages(
    task: Task, children: Sequence[Task]
) -> tuple[Sequence[int], Sequence[int], Sequence[int]]:
    """Return total_vm of the children that surely, likely and possibly count."""
    possible = [child.total_vm_pages or 0 for child in children]
    likely = [c.total_vm_pages or 0 for c in children if not likely_share_mm(c, task)]
    sure = [c.total_vm_pages or 0 for c in children if not may_share_mm(c, task)]
    return sure if task.threads == 1 else [], likely, possible


class CpuClock(NamedTuple):
    """What turns CPU ticks of 1/100 s into the unit whose root is taken."""

    hz: int
    shift: int
    lost_jiffies: int
    """At most so many get lost where user and system time are cut to whole ticks."""


Clocks = tuple[CpuClock, CpuClock, CpuClock]


def cpu_clocks(timer_hz: int | None) -> Clocks:
    """Return the clocks of the least, the likely and the greatest divisor.

    The frequencies come in one order whatever the number of ticks, so two stand for all.
    """
    clocks = [
        CpuClock(hz, cpu_shift(hz), 2 * (-(-hz // _TICKS_PER_SECOND) - 1))
        for hz in ((timer_hz,) if timer_hz else _USUAL_HZ)
    ]
    by_speed = sorted(clocks, key=lambda clock: clock.hz / (1 << clock.shift))
    return by_speed[0], clocks[-1], by_speed[-1]


def cpu_roots(clocks: Clocks, ticks: int) -> tuple[int, int, int]:
    """Return the least, the likely and the greatest divisor for CPU time."""
    (slow_hz, slow_shift, _), (hz, shift, _), (fast_hz, fast_shift, lost) = clocks
    least = -(-ticks * slow_hz // _TICKS_PER_SECOND) >> slow_shift
    likely = -(-ticks * hz // _TICKS_PER_SECOND) >> shift
    most = -(-ticks * fast_hz // _TICKS_PER_SECOND) + lost >> fast_shift
    return isqrt(least), isqrt(likely), isqrt(most)


def _cpu_roots(facts: Facts, machine: Machine, clocks: Clocks, task: Task) -> tuple[int, int, int]:
    ticks = task.cpu_ticks
    if ticks is None:
        if machine.uptime_seconds is None or machine.cpus is None:
            return 0, 0, 1 << 32
        # No process has run for longer than all CPUs have been up.
        all_ticks = (machine.uptime_seconds + 1) * machine.cpus * _TICKS_PER_SECOND
        return 0, 0, cpu_roots(clocks, all_ticks)[2]
    if facts.legacy_group_cpu or task.threads == 1:
        return cpu_roots(clocks, ticks)
    # One thread's time stood for all, and which part of the whole it has is not known.
    return 0, *cpu_roots(clocks, ticks)[1:]


def _run_roots(facts: Facts, machine: Machine, task: Task) -> tuple[int, int, int]:
    """Return the least, the likely and the greatest divisor for the time since the start."""
    if machine.uptime_seconds is None:
        return 0, 0, 1 << 16
    if task.start_ticks is None:
        return 0, 0, run_root(machine.uptime_seconds + 1)
    run = machine.uptime_seconds - task.start_ticks // _TICKS_PER_SECOND
    # Before 2.6.32 a younger thread may stand for the process.
    youngest = run - 1 if not facts.scan_threads or task.threads == 1 else 0
    if youngest >> 10 == run + 1 >> 10:
        return (run_root(run),) * 3
    return run_root(youngest), run_root(run), run_root(run + 1)


def _may_be_disjoint(task: Task, masks: set[str]) -> bool:
    if task.mems_allowed is None:
        return False
    own = nodes_in(task.mems_allowed)
    return any(own.isdisjoint(nodes_in(mask)) for mask in masks)
