"""Which OOM is asked about: the machine, some nodes or a memory cgroup; its totalpages, members."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, NamedTuple

from ..errors import InputError
from ..memcg import Memcg
from ..snapshot import Machine, Snapshot, Task, scan_order_key
from .facts import Facts
from .nodes import nodes_in

Constraint = Literal[
    "CONSTRAINT_NONE", "CONSTRAINT_CPUSET", "CONSTRAINT_MEMORY_POLICY", "CONSTRAINT_MEMCG"
]


class Scope(NamedTuple):
    """An OOM's constraint (the kernel's word), its totalpages, and who may be killed."""

    constraint: Constraint
    totalpages: int
    tasks: tuple[Task, ...]
    """The candidates in the order in which the kernel visits them; unkillable ones included."""
    memcg: str | None = None
    nodes: frozenset[int] | None = None
    everyone: tuple[Task, ...] = ()
    """All processes of the machine: a child or a partner may be outside the scope."""


def system_scope(snapshot: Snapshot) -> Scope:
    """Return the whole machine's scope. Raises InputError where RAM or swap is unknown."""
    totalpages = snapshot.machine.totalpages
    if totalpages is None:
        raise InputError(
            "the source does not tell how much RAM and swap there is (MemTotal, SwapTotal), "
            "so totalpages can't be known"
        )
    return Scope("CONSTRAINT_NONE", totalpages, snapshot.tasks, everyone=snapshot.tasks)


def node_scope(
    snapshot: Snapshot, nodes: frozenset[int], constraint: Constraint, facts: Facts
) -> Scope:
    """Return the scope of an OOM confined to some memory nodes by a cpuset or a mempolicy.

    With a cpuset, tasks that may not use any of the nodes are passed over; a task's own
    mempolicy is not visible, so with CONSTRAINT_MEMORY_POLICY everybody is a candidate.
    Raises InputError where the nodes' sizes are unknown.
    Source: constrained_alloc() in mm/oom_kill.c; since v5.4 present pages, spanned ones before.
    """
    known = {node.number: node for node in snapshot.machine.nodes or ()}
    swap = snapshot.machine.swap_pages
    if swap is None or not nodes <= known.keys():
        raise InputError("the sizes of the memory nodes or of swap are unknown")
    present = facts.node_pages == "present"
    chosen = [known[number] for number in nodes]
    pages = sum(n.present_pages if present else n.spanned_pages for n in chosen)
    tasks = snapshot.tasks
    if constraint == "CONSTRAINT_CPUSET":
        tasks = tuple(task for task in tasks if _may_use(task, nodes))
    return Scope(constraint, swap + pages, tasks, nodes=nodes, everyone=snapshot.tasks)


def _may_use(task: Task, nodes: frozenset[int]) -> bool:
    return task.mems_allowed is None or not nodes.isdisjoint(nodes_in(task.mems_allowed))


def reported_scope(snapshot: Snapshot) -> Scope | None:
    """Return the scope of the OOM that a report's snapshot is of, None for any other snapshot.

    Where the report only bounds the totalpages of a memory cgroup or of some nodes, the least is
    taken. Raises InputError where it does not even bound them.
    """
    reported = snapshot.reported
    if reported is None or (reported.memcg is None and reported.totalpages_low is None):
        return None
    if reported.totalpages_low is None:
        raise InputError("the report does not tell the memory cgroup's limit")
    return Scope(
        constraint=reported.constraint,  # type: ignore[arg-type]  # a BPF policy has its own word
        totalpages=reported.totalpages_low,
        tasks=snapshot.tasks,
        memcg=reported.memcg,
    )


class Members:
    """Who is in which memory cgroup of a snapshot, found once for many questions."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self.by_path = {memcg.path: memcg for memcg in snapshot.memcgs or ()}
        self._own: dict[str, list[Task]] | None = None

    @property
    def own(self) -> dict[str, list[Task]]:
        """Each cgroup's own tasks in scan order.

        A v2 cgroup without the memory controller counts as its nearest ancestor that has it.
        """
        if self._own is None:
            self._own = {path: [] for path in self.by_path}
            first = next(iter(self.by_path.values()), None)
            controller = "" if first is not None and first.version == 2 else "memory"
            for task in self.snapshot.tasks:
                path = task.cgroup_path(controller)
                while path is not None and path not in self._own:
                    path = parent_of(path)
                if path is not None:
                    self._own[path].append(task)
        return self._own

    def below(self, top: str) -> list[Memcg]:
        """Return a cgroup and all that are charged to it."""
        if self.by_path[top].hierarchical is False:
            return [self.by_path[top]]
        return [memcg for memcg in self.by_path.values() if is_inside(memcg.path, top)]

    def above(self, path: str) -> list[Memcg]:
        """Return a cgroup and all that it is charged to, innermost first."""
        chain = [self.by_path[path]]
        above = parent_of(path)
        while above is not None:
            memcg = self.by_path.get(above)
            if memcg is not None and memcg.hierarchical is False:
                break
            chain += [memcg] if memcg is not None else []
            above = parent_of(above)
        return chain


def parent_of(path: str) -> str | None:
    """Return the cgroup above, None above the top."""
    return None if path == "/" else path.rpartition("/")[0] or "/"


def memcg_scope(
    snapshot: Snapshot, path: str, facts: Facts, members: Members | None = None
) -> Scope:
    """Return the scope of an OOM at the limit of the memory cgroup ``path``.

    ``members`` saves looking for them again. Raises InputError where there is no such cgroup or
    its totalpages can't be known.
    """
    members = members or Members(snapshot)
    if path not in members.by_path:
        raise InputError(f"no memory cgroup {path!r} in this snapshot")
    if facts.memcg_walk == "none":
        raise InputError("memory cgroups came with Linux 2.6.25")
    tasks = tuple(_walk(members, path, facts))
    totalpages = memcg_totalpages(members.by_path[path], snapshot.machine, facts)
    return Scope("CONSTRAINT_MEMCG", totalpages, tasks, path, everyone=snapshot.tasks)


def memcg_totalpages(memcg: Memcg, machine: Machine, facts: Facts) -> int:
    """Return totalpages of an OOM at this cgroup's own limit, in pages.

    Ancestors' and descendants' limits do not enter. Raises InputError where a part is unknown.
    Source: mem_cgroup_get_max() (and mem_cgroup_get_limit() before it) in mm/memcontrol.c;
    bd0b230fe145 ("mm/memcg: unify swap and memsw page counters") (in v5.10).
    """
    if facts.memcg_totalpages == "none":
        return machine.totalpages or 0  # the rules before 2.6.36 divide by nothing
    limit, swap = memcg.limit_pages, machine.swap_pages
    if limit is None or swap is None:
        raise InputError(f"totalpages of memory cgroup {memcg.path!r} can't be known")
    if facts.memcg_totalpages == "bytes bug":
        # Pages of swap were added to a limit in bytes.
        total = limit * machine.page_size + swap
        memsw = memcg.memsw_limit_pages
        capped = total if memsw is None else min(total, memsw * machine.page_size)
        return capped // machine.page_size
    swappiness = memcg.swappiness if memcg.version == 1 else machine.swappiness
    total = limit
    if swappiness != 0 or facts.memcg_totalpages == "capped":
        total = limit + _swap_share(memcg, limit, swap)
    return max(1, total) if facts.memcg_floor else total


def _swap_share(memcg: Memcg, limit: int, swap: int) -> int:
    """Return the pages of swap that the cgroup may use on top of its memory limit."""
    if memcg.version == 2:
        return swap if memcg.swap_limit_pages is None else min(memcg.swap_limit_pages, swap)
    if memcg.memsw_limit_pages is None:
        return swap
    return min(memcg.memsw_limit_pages - limit, swap)


def is_inside(path: str, ancestor: str) -> bool:
    """Tell whether cgroup ``path`` is ``ancestor`` or below it."""
    return ancestor == "/" or path == ancestor or path.startswith(ancestor + "/")


def _walk(members: Members, top: str, facts: Facts) -> Iterable[Task]:
    """Yield the members as the kernel visits them.

    From 3.6 on: pre-order over the tree, siblings by creation; in each cgroup its own order.
    """
    inside, by_path, own = members.below(top), members.by_path, members.own
    if facts.memcg_walk != "tree":
        return sorted((task for memcg in inside for task in own[memcg.path]), key=scan_order_key)
    order = sorted(inside, key=lambda m: _tree_key(m.path, by_path))
    return [task for memcg in order for task in _own_order(memcg, own[memcg.path], facts)]


def _tree_key(path: str, by_path: dict[str, Memcg]) -> tuple[tuple[int, str], ...]:
    """Return the creation order of each ancestor from the top: sorting by it is pre-order."""
    parts = [part for part in path.split("/") if part]
    prefixes = ["/" + "/".join(parts[: depth + 1]) for depth in range(len(parts))]
    return tuple(((by_path[p].creation_order or 0) if p in by_path else 0, p) for p in prefixes)


def _own_order(memcg: Memcg, tasks: list[Task], facts: Facts) -> list[Task]:
    """Order one cgroup's tasks as it lists them; v1 lists by pid, so start time is the guess."""
    if facts.memcg_newest_first:
        return sorted(tasks, key=scan_order_key, reverse=True)
    if memcg.version == 1 or memcg.pids is None:
        return sorted(tasks, key=scan_order_key)
    place = {pid: index for index, pid in enumerate(memcg.pids)}
    return sorted(tasks, key=lambda t: (place.get(t.pid, len(place)), scan_order_key(t)))
