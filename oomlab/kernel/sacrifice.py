"""Who dies once a process is chosen: perhaps a child instead, partners, a whole cgroup.

Source: oom_kill_process() and oom_kill_memcg_member() in mm/oom_kill.c.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from ..memcg import Memcg
from ..snapshot import Task
from .adjust import OOM_DISABLE, oom_adj_of, oom_score_adj_of
from .badness import OOM_SCORE_ADJ_MIN
from .facts import Facts
from .scope import Scope, is_inside
from .score import Score
from .sharing import likely_share_mm


def child_instead(facts: Facts, chosen: Task, children: Sequence[Score]) -> Score | None:
    """Return the child that dies in the chosen process's place, or None.

    ``children`` are the process's own, oldest first, scored in the same scope. Up to 2.6.35
    the oldest that can be killed goes; to 5.0 the worst, however little it uses; then none.
    """
    if facts.child_rule == "none":
        return None
    own = [
        child
        for child in children
        if child.killable
        and not (facts.child_rule != "worst" and likely_share_mm(child.task, chosen))
    ]
    if facts.child_rule == "oldest":
        return own[0] if own else None
    worth = [child for child in own if child.badness]
    return max(worth, key=lambda child: child.badness or 0, default=None)


def partners(
    facts: Facts, victim: Task, others: Iterable[Task], init_pid: int | None
) -> Iterator[Task]:
    """Yield the other processes that look as if on the victim's memory map: they'd die with it.

    No file tells who shares a map: a forked child that looks the same may be among them.
    """
    for task in others:
        if (
            task.pid != victim.pid
            and likely_share_mm(task, victim)
            and dies_with_partner(facts, task, init_pid)
        ):
            yield task


def kill_is_refused(facts: Facts, victim: Task, others: Iterable[Task]) -> bool:
    """Tell whether a partner at oom_adj -17 keeps the victim from being killed (2.6.21 to 31)."""
    return facts.mm_partners == "all or none" and any(
        oom_adj_of(task, facts) == OOM_DISABLE and likely_share_mm(task, victim) for task in others
    )


def is_protected_by_partner(facts: Facts, task: Task, others: Iterable[Task]) -> bool:
    """Tell whether a partner at -1000 makes the task unkillable (2.6.37 to 3.1)."""
    return facts.partner_protects and any(
        oom_score_adj_of(other) == OOM_SCORE_ADJ_MIN and likely_share_mm(other, task)
        for other in others
        if other.pid != task.pid
    )


def dies_with_partner(facts: Facts, task: Task, init_pid: int | None) -> bool:
    """Tell whether a process dies if one on its memory map is killed."""
    if facts.mm_partners == "none" or task.kernel_thread or task.pid == init_pid:
        return False
    spared = facts.mm_partners == "not at -1000"
    return not (spared and oom_score_adj_of(task) == OOM_SCORE_ADJ_MIN)


def group_of(facts: Facts, victim: Task, memcgs: Iterable[Memcg], scope: Scope) -> str | None:
    """Return the path of the cgroup that is killed whole with the victim, or None.

    The highest one with memory.oom.group between the victim's and the OOM's own (v2, 4.19 on).
    """
    path = victim.cgroup_path("")
    if not facts.oom_group or path is None:
        return None
    above = [
        memcg.path
        for memcg in memcgs
        if memcg.oom_group
        and memcg.path != "/"
        and is_inside(path, memcg.path)
        and (scope.memcg is None or is_inside(memcg.path, scope.memcg))
    ]
    return min(above, key=len, default=None)


def group_killed(
    facts: Facts, group: str, tasks: Iterable[Task], init_pid: int | None
) -> list[Task]:
    """Return the processes of a cgroup that is killed whole; those at -1000 survive."""
    return [
        task
        for task in tasks
        if (path := task.cgroup_path("")) is not None
        and is_inside(path, group)
        and task.has_mm is not False
        and not task.kernel_thread
        and oom_score_adj_of(task) != OOM_SCORE_ADJ_MIN
        and not (facts.group_spares_init and task.pid == init_pid)
    ]
