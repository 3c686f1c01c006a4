"""Compare what oomlab foretold with what the kernel did, kill by kill.

Two sources of the state at a kill. Without pressure it is the snapshot taken before, by
oomlab's own reader. Under pressure memory moves until the very moment, so the sizes are those
of the kernel's task table, which shows what the killer read; all else is the snapshot's.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from oomlab.analysis.agreement import compare_all
from oomlab.analysis.ranking import Ranking, last_wins, rank
from oomlab.kernel.eras import Era, with_facts
from oomlab.kernel.evidence import pick_era
from oomlab.kernel.scope import Scope, is_inside
from oomlab.kernel.selection import Scorer, in_order_of_choice
from oomlab.readers.saved import parse_snapshot
from oomlab.snapshot import Snapshot, Task, scan_order_key

from .plan import SHARER_MARKS
from .truth import Oom, Row, parse_ooms

Json = dict[str, Any]

AGREED = "agreed"
NO_TABLE = "the kernel's rate limit swallowed the report"
SWAP_BOUND = "the killer's swap counters are approximate, several could be first"


@dataclass(slots=True)
class Tally:
    """All figures of one boot."""

    boot: str
    release: str = ""
    era: str = ""
    processes: int = 0
    scores: Counter[str] = field(default_factory=Counter)
    events: int = 0
    choices: int = 0
    """Runs of the OOM killer that chose somebody."""
    kills: int = 0
    """Processes that died of them."""
    agreed: int = 0
    """Kills foretold exactly: the chosen process and all that died with it."""
    reasons: Counter[str] = field(default_factory=Counter)
    """Kills that can't be known beforehand, by the reason."""
    orders: Counter[str] = field(default_factory=Counter)
    constraints: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    """Where model and kernel differ, a line each: must be empty."""


def judge_boot(plan: Json, records: Iterable[tuple[str, Json]]) -> Tally:
    """Judge all records of one boot."""
    tally = Tally(plan["boot"])
    snapshot: Snapshot | None = None
    era: Era | None = None
    scenes = {scene["number"]: scene for scene in plan["scenes"]}
    for kind, body in records:
        if kind == "snapshot":
            snapshot = parse_snapshot(body)
            era = pick_era(snapshot)
            _judge_scores(snapshot, era, tally)
        elif kind == "event":
            assert snapshot is not None
            assert era is not None
            scene = scenes[body["scene"]]
            _judge_marks(scene, snapshot, tally)
            _judge_event(_Event(scene, body, snapshot, era, tally))
    return tally


def _judge_scores(snapshot: Snapshot, era: Era, tally: Tally) -> None:
    """Compare every process's modelled score with the kernel's own."""
    tally.release, tally.era = snapshot.machine.release or "", era.label
    for found in compare_all(rank(snapshot, kernel=era)):
        tally.processes += 1
        passed_over = found.score.task.passed_over
        tally.scores["passed over" if passed_over else found.verdict] += 1
        if found.verdict == "differs":
            tally.faults.append(
                f"score of {found.score.task.comm} ({found.score.task.pid}): "
                f"model {found.score.oom_score}, kernel {found.kernel}"
            )


def _judge_marks(scene: Json, snapshot: Snapshot, tally: Tally) -> None:
    """Check that the reader marked as passed over just those who are in a vfork."""
    in_vfork = {name for name in scene["shares"].values() if name.endswith(SHARER_MARKS["vfork"])}
    for task in snapshot.tasks:
        if task.passed_over != (task.comm in in_vfork) and task.oom_score_adj != -1000:
            tally.faults.append(f"scene {scene['number']}: {task.comm} is marked wrongly")


class _Event:
    """One event: the snapshot before it, the kernel's account, and who was gone after it."""

    def __init__(self, scene: Json, body: Json, snapshot: Snapshot, era: Era, tally: Tally) -> None:
        self.scene, self.body, self.snapshot, self.era, self.tally = (
            scene, body, snapshot, era, tally,
        )  # fmt: skip
        self.ooms = parse_ooms(body["log"])
        self.dead: set[int] = set()

    @property
    def where(self) -> str:
        return f"scene {self.body['scene']} {self.scene['kind']} {self.body['event']}"


def _judge_event(event: _Event) -> None:
    tally = event.tally
    tally.events += 1
    outcomes: Counter[str] = Counter()
    for oom in event.ooms:
        tally.choices += 1
        tally.constraints[oom.constraint or "unknown"] += 1
        outcome = _judge_choice(event, oom)
        deaths = _deaths(event, oom) - event.dead
        outcomes[outcome] += len(deaths)
        event.dead |= deaths
    grower = {event.body["pids"][e["grower"]] for e in event.scene["events"] if "grower" in e}
    gone = set(event.body["gone"]) - (grower - event.dead)
    tally.kills += len(gone)
    if event.dead != gone:
        tally.faults.append(
            f"{event.where}: foretold dead {sorted(event.dead)}, died {sorted(gone)}"
        )
        return
    tally.agreed += outcomes.pop(AGREED, 0)
    outcomes.pop("differs", 0)
    tally.reasons.update(outcomes)


def _judge_choice(event: _Event, oom: Oom) -> str:
    """Return AGREED, the reason why nobody can know, or "differs" (and note the fault)."""
    if not oom.rows:
        return NO_TABLE
    sources = []
    if event.body["event"].startswith("sysrq"):
        sources.append(("snapshot", _ranking(event, event.snapshot, event.era, oom)))
    table = with_table(event, oom.rows)
    exact = with_facts(event.era, "the task table", killer_counters="same", status_counters="same")
    sources.append(("table", _ranking(event, table, exact, oom)))
    _judge_order(event, oom, sources[-1][1])
    return _verdict(event, oom, sources)


def _verdict(event: _Event, oom: Oom, sources: list[tuple[str, Ranking]]) -> str:
    result = AGREED
    for name, ranking in sources:
        possible = [score.task.pid for score in ranking.possible_victims]
        if oom.victim not in possible:
            first = ranking.victim
            event.tally.faults.append(
                f"{event.where}: by the {name} of {len(possible)} possible the first is "
                f"{first and (first.task.pid, first.task.comm, first.badness)}, "
                f"the kernel chose {oom.victim} ({oom.comm}): {_badness(ranking, oom.victim)}"
            )
            return "differs"
        if len(possible) > 1:
            result = SWAP_BOUND
    return result


def _badness(ranking: Ranking, pid: int | None) -> str:
    for score in ranking:
        if score.task.pid == pid:
            return f"badness {score.badness} {score.why_not or ''}"
    return "not a candidate"


def _ranking(event: _Event, snapshot: Snapshot, era: Era, oom: Oom) -> Ranking:
    if oom.constraint == "CONSTRAINT_MEMCG":
        return rank(snapshot, kernel=era, memcg=oom.memcg)
    if oom.constraint == "CONSTRAINT_NONE":
        return rank(snapshot, kernel=era)
    scope = _nodes_scope(event, snapshot, oom)
    scores = in_order_of_choice(
        map(Scorer(era, scope, snapshot.machine).score, scope.tasks),
        last_wins=last_wins(era, scope),
    )
    return Ranking(snapshot=snapshot, era=era, scope=scope, scores=tuple(scores))


def _nodes_scope(event: _Event, snapshot: Snapshot, oom: Oom) -> Scope:
    """Return the scope of an OOM of some NUMA nodes only."""
    nodes = parse_nodes(oom.nodes or "")
    machine, bound = snapshot.machine, event.scene["bound"]
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


def with_table(event: _Event, rows: tuple[Row, ...]) -> Snapshot:
    """Return the snapshot's machine with the processes of the table, at the table's sizes."""
    known = {task.pid: task for task in event.snapshot.tasks}
    tasks = [_task(known.get(row.pid), row, event.dead) for row in rows]
    return replace(event.snapshot, tasks=tuple(sorted(tasks, key=scan_order_key)))


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


def _judge_order(event: _Event, oom: Oom, ranking: Ranking) -> None:
    """Compare the order in which the kernel walked with the modelled one: it decides ties."""
    known = {task.pid for task in event.snapshot.tasks}
    modelled = [task.pid for task in ranking.scope.tasks if task.pid in known]
    # The table also lists those whom the nodes rule out.
    walked = [row.pid for row in oom.rows if row.pid in set(modelled)]
    event.tally.orders["as foretold" if modelled == walked else "otherwise"] += 1


# -- who dies with the victim ----------------------------------------------------------------


def _deaths(event: _Event, oom: Oom) -> set[int]:
    """Return the chosen process and all that the kernel kills with it."""
    tasks = {task.pid: task for task in event.snapshot.tasks}
    chosen = {oom.victim} | set(_group_of(event, oom, tasks))
    names = {task.comm: pid for pid, task in tasks.items()}
    pairs = [(names.get(a), names.get(b)) for a, b in event.scene["shares"].items()]
    for one, other in pairs:
        if one is not None and other is not None and chosen & {one, other}:
            chosen |= {one, other}
    return {pid for pid in chosen if pid is not None}


def _group_of(event: _Event, oom: Oom, tasks: dict[int, Task]) -> Iterator[int]:
    """Yield who is killed for memory.oom.group: of the highest such cgroup in the domain."""
    victim = tasks.get(oom.victim or 0)
    path = victim and victim.cgroup_path("")
    if not path:
        return
    groups = [
        memcg.path
        for memcg in event.snapshot.memcgs or ()
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
