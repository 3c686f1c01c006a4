"""Who dies with the process that the kernel chose."""

from __future__ import annotations

from collections.abc import Iterator

from oomlab.kernel.scope import is_inside
from oomlab.snapshot import Snapshot, Task

from .truth import Oom


def deaths(oom: Oom, snapshot: Snapshot, shares: dict[str, str]) -> set[int]:
    """Return the chosen process and all that the kernel kills with it.

    ``shares`` names who lives in whose memory, which /proc does not show.
    Source: oom_kill_process() and __oom_kill_process() in mm/oom_kill.c, 4.19 and newer.
    """
    tasks = {task.pid: task for task in snapshot.tasks}
    chosen = {oom.victim} | set(_group_of(oom, snapshot, tasks))
    names = {task.comm: pid for pid, task in tasks.items()}
    pairs = [(names.get(a), names.get(b)) for a, b in shares.items()]
    for one, other in pairs:
        if one is not None and other is not None and chosen & {one, other}:
            chosen |= {one, other}
    return {pid for pid in chosen if pid is not None}


def _group_of(oom: Oom, snapshot: Snapshot, tasks: dict[int, Task]) -> Iterator[int]:
    """Yield who is killed for memory.oom.group: of the highest such cgroup in the domain."""
    victim = tasks.get(oom.victim or 0)
    path = victim and victim.cgroup_path("")
    if not path:
        return
    groups = [
        memcg.path
        for memcg in snapshot.memcgs or ()
        if memcg.oom_group
        and is_inside(path, memcg.path)
        and is_inside(memcg.path, oom.memcg or "/")
    ]
    if groups:
        top = min(groups, key=len)
        for task in tasks.values():
            inside = is_inside(task.cgroup_path("") or "", top)
            if inside and task.oom_score_adj != -1000:
                yield task.pid
