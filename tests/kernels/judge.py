"""Compare what oomlab foretold with what the kernel did, kill by kill.

Two sources of the state at a kill. Without pressure it is the snapshot taken before, by
oomlab's own reader. Under pressure memory moves until the very moment, so the sizes are those
of the kernel's task table, which shows what the killer read; all else is the snapshot's.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from oomlab.analysis.agreement import compare_all
from oomlab.analysis.ranking import Ranking, rank
from oomlab.kernel.eras import Era, with_facts
from oomlab.kernel.evidence import pick_era
from oomlab.readers.saved import parse_snapshot
from oomlab.snapshot import Snapshot

from .cascades import Filling
from .deaths import deaths
from .people import SHARER_MARKS
from .state import ranking_for, with_table
from .truth import Oom, parse_ooms

Json = dict[str, Any]

AGREED = "agreed"
NO_TABLE = "the kernel's rate limit swallowed the report"
SWAP_BOUND = "the killer's swap counters are approximate, several could be first"


@dataclass(slots=True)
class Tally:
    """All figures of one boot."""

    boot: str
    crashes: int = 0
    """How often the emulated machine crashed; each time the rest of a scene was lost."""
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
    cascades: Counter[str] = field(default_factory=Counter)
    """What was said of cgroups that were filled, as far as it came true."""
    promises: Counter[str] = field(default_factory=Counter)
    """Suggestions that were applied, by what became of them."""
    faults: list[str] = field(default_factory=list)
    """Where model and kernel differ, a line each: must be empty."""


def judge_boot(plan: Json, records: Iterable[tuple[str, Json]]) -> Tally:
    """Judge all records of one boot."""
    tally = Tally(plan["boot"])
    snapshot: Snapshot | None = None
    era: Era | None = None
    scenes = {scene["number"]: scene for scene in plan["scenes"]}
    promises: dict[int, Promise] = {}
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
            event = _Event(scene, body, snapshot, era, tally)
            _judge_event(event)
            if "fill" in scene:
                _judge_filling(event)
            if body["scene"] in promises:
                _see(promises[body["scene"]], event)
        elif kind == "suggestion":
            promises[body["scene"]] = Promise(body)
    for promise in promises.values():
        tally.promises[promise.outcome] += 1
        tally.faults += promise.faults
    return tally


def _judge_filling(event: _Event) -> None:
    filling = Filling(event.scene, event.body, event.snapshot, event.era, event.ooms)
    filling.judge()
    event.tally.cascades += filling.counts
    event.tally.faults += [f"{event.where}: {fault}" for fault in filling.faults]


def _see(promise: Promise, event: _Event) -> None:
    """Show a promise who died: of a filled cgroup kill by kill, while its limit is the one met."""
    if promise.memcg is None:
        promise.see(event.body["gone"])
        return
    names = {task.comm: task.pid for task in event.snapshot.tasks}
    for pair in event.scene["shares"].items():
        promise.note_one_map({names[name] for name in pair if name in names})
    for oom in event.ooms:
        if oom.memcg != promise.memcg:
            return
        promise.see(deaths(oom, event.snapshot, event.scene["shares"]))


class Promise:
    """A suggestion that was applied: whom it protects from whom, and who died when."""

    def __init__(self, body: Json) -> None:
        self.protected, self.sacrificed = set(body["protected"]), set(body["sacrificed"])
        self.outcome = "impossible" if body["impossible"] else "kept"
        self.memcg, self._cautions = body.get("memcg"), body.get("cautions")
        self.faults = [f"scene {body['scene']}: refused: {why}" for why in body["refused"]]
        self._scene, self._changes, self._dead = body["scene"], body["changes"], set[int]()

    def note_one_map(self, pids: set[int]) -> None:
        """Note who are on one memory map: they die together, which a caution must have said.

        No file shows it beforehand, so one of them may be protected and another sacrificed.
        """
        if self.outcome != "kept" or not (pids & self.protected and pids & self.sacrificed):
            return
        self.outcome = "on one memory map, of which it warned"
        said = (caution.split() for caution in self._cautions or ())
        if self._cautions is not None and not any(pids <= set(map(_pid, words)) for words in said):
            self.faults.append(f"scene {self._scene}: {sorted(pids)} are on one map, unsaid")

    def see(self, gone: Iterable[int]) -> None:
        """Note who died of one event: nobody protected may while a sacrificed one lives."""
        self._dead |= set(gone)
        early, left = self._dead & self.protected, self.sacrificed - self._dead
        if self.outcome == "kept" and early and left:
            self.outcome = "broken"
            self.faults.append(
                f"scene {self._scene}: protected {sorted(early)} died before {sorted(left)} "
                f"in spite of {self._changes}"
            )


def _pid(word: str) -> int:
    return int(word) if word.isdecimal() else -1


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
        self.ooms = [_of_process(oom, snapshot) for oom in parse_ooms(body["log"])]
        self.dead: set[int] = set()

    @property
    def where(self) -> str:
        return f"scene {self.body['scene']} {self.scene['kind']} {self.body['event']}"


def _of_process(oom: Oom, snapshot: Snapshot) -> Oom:
    """Name the process where a kill's line, being all that is left, names one of its threads."""
    if oom.rows or any(task.pid == oom.victim for task in snapshot.tasks):
        return oom
    owners = [task.pid for task in snapshot.tasks if task.comm == oom.comm]
    return oom._replace(victim=owners[0]) if owners else oom


def _judge_event(event: _Event) -> None:
    tally = event.tally
    tally.events += 1
    outcomes: Counter[str] = Counter()
    for oom in event.ooms:
        tally.choices += 1
        tally.constraints[oom.constraint or "unknown"] += 1
        outcome = _judge_choice(event, oom)
        dying = deaths(oom, event.snapshot, event.scene["shares"]) - event.dead
        outcomes[outcome] += len(dying)
        event.dead |= dying
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
    sources, bound = [], event.scene["bound"]
    if event.body["event"].startswith("sysrq"):
        sources.append(("snapshot", ranking_for(oom, event.snapshot, event.era, bound)))
    if not oom.rows:
        return _verdict(event, oom, sources) if sources else NO_TABLE
    table = with_table(event.snapshot, oom.rows, event.dead)
    exact = with_facts(event.era, "the task table", killer_counters="same", status_counters="same")
    sources.append(("table", ranking_for(oom, table, exact, bound)))
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


def _judge_order(event: _Event, oom: Oom, ranking: Ranking) -> None:
    """Compare the order in which the kernel walked with the modelled one: it decides ties."""
    known = {task.pid for task in event.snapshot.tasks}
    modelled = [task.pid for task in ranking.scope.tasks if task.pid in known]
    # The table also lists those whom the nodes rule out.
    walked = [row.pid for row in oom.rows if row.pid in set(modelled)]
    event.tally.orders["as foretold" if modelled == walked else "otherwise"] += 1
    if modelled != walked:
        event.tally.faults.append(f"{event.where}: foretold walk {modelled}, walked {walked}")
