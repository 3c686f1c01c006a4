"""What the kernel does with a ranking: whom it chooses, and who dies."""

from __future__ import annotations

from dataclasses import dataclass

from ..kernel.badness import printed_score
from ..kernel.sacrifice import (
    child_instead,
    group_killed,
    group_of,
    is_protected_by_partner,
    kill_is_refused,
    partners,
)
from ..kernel.selection import Score, scorer
from ..snapshot import Task, scan_order_key
from .ranking import Ranking


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The process chosen, the one that the kernel kills for it, and who dies with that."""

    chosen: Score | None
    victim: Task | None
    killed: tuple[Task, ...] = ()
    """The victim first, then the rest of a cgroup that is killed whole."""
    perhaps: tuple[Task, ...] = ()
    """Processes that look as if they used the victim's memory map: if they do, they die too."""
    score: int | None = None
    """The kill line's "score", where the era prints one and the inputs are exact."""
    why: tuple[str, ...] = ()
    """A sentence for each rule that bore on it."""


def choose(ranking: Ranking, *, current: int | None = None, panics: bool = True) -> Choice:
    """Return whom the kernel chooses of a ranking and who dies.

    With ``panics`` off the answer is who would die if vm.panic_on_oom were.

    ``current`` is the pid of the task that asks for memory: with vm.oom_kill_allocating_task,
    and before 2.6.36 in an OOM confined to some nodes, it is chosen itself.
    """
    if panics and panics_instead(ranking):
        return Choice(chosen=None, victim=None, why=("the kernel panics (vm.panic_on_oom)",))
    by_pid = {score.task.pid: score for score in ranking.scores}
    asker = by_pid.get(current) if current is not None else None
    if asker is not None and asker.killable and _kills_current(ranking):
        return _kill(ranking, asker, 0, "the task that asks for memory is chosen itself")
    everyone = ranking.scope.everyone
    for score in ranking.killable:
        if is_protected_by_partner(ranking.era.facts, score.task, everyone):
            continue
        return _kill(ranking, score, _printed(ranking, score), "it has the highest badness")
    return Choice(chosen=None, victim=None, why=("nobody can be killed",))


def dies_alone(ranking: Ranking) -> bool:
    """Tell at once whether the first of the ranking is who dies, and nobody with it.

    From 5.1 on no child dies in a parent's place, and without known cgroups no group can.
    """
    return ranking.era.facts.child_rule == "none" and not ranking.snapshot.memcgs


def panics_instead(ranking: Ranking) -> bool:
    """Tell whether vm.panic_on_oom makes the kernel panic where it would kill."""
    setting = ranking.snapshot.machine.panic_on_oom
    return setting == 2 or (setting == 1 and ranking.scope.constraint == "CONSTRAINT_NONE")


def _kills_current(ranking: Ranking) -> bool:
    facts, constraint = ranking.era.facts, ranking.scope.constraint
    if constraint == "CONSTRAINT_MEMCG":
        return False
    if constraint == "CONSTRAINT_CPUSET" and facts.node_selection == "current":
        return True
    if constraint == "CONSTRAINT_MEMORY_POLICY" and facts.node_selection != "select":
        return facts.node_selection != "none"
    return bool(ranking.snapshot.machine.oom_kill_allocating_task)


def _kill(ranking: Ranking, chosen: Score, score: int | None, reason: str) -> Choice:
    facts, everyone, why = ranking.era.facts, ranking.scope.everyone, [reason]
    victim, init_pid = chosen.task, ranking.snapshot.machine.init_pid
    child = child_instead(facts, victim, _children(ranking, victim))
    if child is not None:
        victim = child.task
        which = "oldest" if facts.child_rule == "oldest" else "worst"
        why.append(f"its {which} child dies in its place (until 5.0)")
    if kill_is_refused(facts, victim, everyone):
        return Choice(
            chosen=chosen,
            victim=None,
            score=score,
            why=(*why, "a process at -17 shares its memory: the kill is refused"),
        )
    killed = [victim]
    group = group_of(facts, victim, ranking.snapshot.memcgs or (), ranking.scope)
    if group is not None:
        mates = group_killed(facts, group, everyone, init_pid)
        rest = [task for task in mates if task not in killed]
        killed += rest
        why.append(f"memory.oom.group: all {len(rest)} others of {group} die too")
    sharing = partners(facts, victim, everyone, init_pid)
    perhaps = [task for task in sharing if task not in killed]
    if perhaps:
        why.append(f"{len(perhaps)} may be on its memory map and die with it")
    return Choice(
        chosen=chosen,
        victim=victim,
        killed=tuple(killed),
        perhaps=tuple(perhaps),
        score=score,
        why=tuple(why),
    )


def _children(ranking: Ranking, parent: Task) -> list[Score]:
    """Return the scores of a process's children that may die for it, oldest first."""
    facts, scope = ranking.era.facts, ranking.scope
    if facts.child_rule == "none":
        return []
    among = scope.tasks if facts.child_in_scope else scope.everyone
    found = [task for task in among if task.ppid == parent.pid]
    scored = scorer(ranking.era, ranking.scope, ranking.snapshot.machine)
    return [scored.score(task) for task in sorted(found, key=scan_order_key)]


def _printed(ranking: Ranking, score: Score) -> int | None:
    if score.badness is None or score.low != score.high:
        return None
    bits = ranking.snapshot.machine.word_bits
    return printed_score(ranking.era.facts, score.badness, ranking.scope.totalpages, bits)
