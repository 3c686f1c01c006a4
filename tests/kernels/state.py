"""The state in which the kernel chose, and oomlab's ranking of it."""

from __future__ import annotations

from dataclasses import replace

from oomlab.analysis.ranking import Ranking, last_wins, rank
from oomlab.kernel.eras import Era
from oomlab.kernel.scope import Scope
from oomlab.kernel.selection import Scorer, in_order_of_choice
from oomlab.snapshot import Snapshot, Task, scan_order_key

from .truth import Oom, Row


def ranking_for(oom: Oom, snapshot: Snapshot, era: Era, bound: dict[str, int]) -> Ranking:
    """Rank as the kernel did in this OOM's scope; ``bound`` names who is bound to which node."""
    if oom.constraint == "CONSTRAINT_MEMCG":
        return rank(snapshot, kernel=era, memcg=oom.memcg)
    if oom.constraint in (None, "CONSTRAINT_NONE"):
        return rank(snapshot, kernel=era)
    scope = _nodes_scope(oom, snapshot, bound)
    scores = in_order_of_choice(
        map(Scorer(era, scope, snapshot.machine).score, scope.tasks),
        last_wins=last_wins(era, scope),
    )
    return Ranking(snapshot=snapshot, era=era, scope=scope, scores=tuple(scores))


def _nodes_scope(oom: Oom, snapshot: Snapshot, bound: dict[str, int]) -> Scope:
    """Return the scope of an OOM of some NUMA nodes only."""
    nodes = parse_nodes(oom.nodes or "")
    machine = snapshot.machine
    present = sum(n.present_pages for n in machine.nodes or () if n.number in nodes)
    if oom.constraint == "CONSTRAINT_CPUSET":
        tasks = [t for t in snapshot.tasks if nodes & parse_nodes(t.mems_allowed or "")]
    else:
        tasks = [t for t in snapshot.tasks if bound.get(t.comm, min(nodes)) in nodes]
    return Scope(
        constraint="CONSTRAINT_CPUSET"
        if oom.constraint == "CONSTRAINT_CPUSET"
        else "CONSTRAINT_MEMORY_POLICY",
        totalpages=present + (machine.swap_pages or 0),
        tasks=tuple(tasks),
    )


def parse_nodes(text: str) -> set[int]:
    """Return the numbers of a kernel's list such as ``0-1,4``."""
    found: set[int] = set()
    for part in filter(None, text.split(",")):
        first, _, last = part.partition("-")
        found |= set(range(int(first), int(last or first) + 1))
    return found


def with_table(snapshot: Snapshot, rows: tuple[Row, ...], dead: set[int]) -> Snapshot:
    """Return the snapshot's machine with the processes of the table, at the table's sizes."""
    known = {task.pid: task for task in snapshot.tasks}
    tasks = [_task(known.get(row.pid), row, dead) for row in rows]
    return replace(snapshot, tasks=tuple(sorted(tasks, key=scan_order_key)))


def _task(known: Task | None, row: Row, dead: set[int]) -> Task:
    # Whoever is not in the snapshot is its reader, which is at -1000.
    task = known or Task(row.pid, row.comm, cgroups=(("", "/"), ("memory", "/")))
    return task._replace(
        has_mm=True,
        oom_score_adj=row.oom_score_adj,
        rss_pages=row.rss_pages,
        rss_stat_pages=row.rss_pages,
        swap_pages=row.swap_pages,
        pagetable_bytes=row.pagetable_bytes,
        kernel_oom_score=None,
        # The killer passes over those it has killed already.
        passed_over=task.passed_over or row.pid in dead,
    )
