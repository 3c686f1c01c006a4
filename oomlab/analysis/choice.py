"""What the kernel does with a ranking: whom it chooses, and who dies."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from ..kernel.badness import printed_score
from ..kernel.sacrifice import (
    child_instead,
    group_killed,
    group_of,
    is_protected_by_partner,
    kill_is_refused,
    partners,
)
from ..kernel.score import Score
from ..kernel.selection import scorer
from ..snapshot import Task, scan_order_key
from .living import Everyone, Kin, Living
from .ranking import Ranking

_MANY = 16
"""Of so many that die together each one's partners are not looked for among all processes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The process chosen, the one that the kernel kills for it, and who dies with that."""

    chosen: Score | None
    victim: Task | None
    killed: tuple[Task, ...] = ()
    """The victim first, then the rest of a cgroup that is killed whole."""
    perhaps: tuple[Task, ...] = ()
    """Processes that look as if they used the victim's memory map: if they do, they die too."""
    more_perhaps: bool = False
    """There are more of them than are listed."""
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
    kin = Everyone(ranking.scope.everyone, ranking.snapshot.memcgs)
    asker = None if current is None else _find(ranking, current)
    if asker is not None and asker.killable and _kills_current(ranking):
        return _kill(ranking, asker, kin, 0, "the task that asks for memory is chosen itself")
    return first_of(ranking, ranking.killable, kin)


def first_of(
    ranking: Ranking, scores: Iterable[Score], kin: Kin, *, most_perhaps: int | None = None
) -> Choice:
    """Return the kernel's choice among killable scores that stand in its order, and who dies.

    ``kin`` are those who live; of the partners that may die along ``most_perhaps`` are listed.
    """
    for score in scores:
        if is_protected_by_partner(ranking.era.facts, score.task, kin.alike(score.task)):
            continue
        printed = _printed(ranking, score)
        return _kill(ranking, score, kin, printed, "it has the highest badness", most_perhaps)
    return Choice(chosen=None, victim=None, why=("nobody can be killed",))


def _find(ranking: Ranking, pid: int) -> Score | None:
    return next((score for score in ranking.scores if score.task.pid == pid), None)


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


def _kill(
    ranking: Ranking,
    chosen: Score,
    kin: Kin,
    score: int | None,
    reason: str,
    most_perhaps: int | None = None,
) -> Choice:
    facts, why = ranking.era.facts, [reason]
    victim, init_pid = chosen.task, ranking.snapshot.machine.init_pid
    child = child_instead(facts, victim, _children(ranking, victim, kin))
    if child is not None:
        victim = child.task
        which = "oldest" if facts.child_rule == "oldest" else "worst"
        why.append(f"its {which} child dies in its place (until 5.0)")
    if kill_is_refused(facts, victim, kin.alike(victim)):
        return Choice(
            chosen=chosen,
            victim=None,
            score=score,
            why=(*why, "a process at -17 shares its memory: the kill is refused"),
        )
    killed = [victim]
    group = group_of(facts, victim, kin.groups_above(victim), ranking.scope)
    if group is not None:
        mates = group_killed(facts, group, kin.inside(group), init_pid)
        killed += [task for task in mates if task.pid != victim.pid]
        why.append(f"memory.oom.group: all {len(killed) - 1} others of {group} die too")
    others = _on_their_maps(ranking, killed, kin)
    perhaps = list(islice(others, None if most_perhaps is None else most_perhaps + 1))
    more = most_perhaps is not None and len(perhaps) > most_perhaps
    if perhaps:
        count = f"more than {most_perhaps}" if more else len(perhaps)
        maps = "its memory map and die with it" if len(killed) == 1 else "their memory maps"
        why.append(f"{count} may be on {maps}")
    return Choice(
        chosen=chosen,
        victim=victim,
        killed=tuple(killed),
        perhaps=tuple(perhaps[:most_perhaps]),
        more_perhaps=more,
        score=score,
        why=tuple(why),
    )


def _on_their_maps(ranking: Ranking, killed: Sequence[Task], kin: Kin) -> Iterator[Task]:
    """Yield who else may be on the memory map of one of the killed: each takes them along."""
    facts, init_pid = ranking.era.facts, ranking.snapshot.machine.init_pid
    seen = {task.pid for task in killed}
    if len(killed) > _MANY and isinstance(kin, Everyone):
        kin = Living(ranking.snapshot)
    for task in killed:
        for other in partners(facts, task, kin.alike(task), init_pid):
            if other.pid not in seen:
                seen.add(other.pid)
                yield other


def _children(ranking: Ranking, parent: Task, kin: Kin) -> list[Score]:
    """Return the scores of a process's children that may die for it, oldest first."""
    facts, scope = ranking.era.facts, ranking.scope
    if facts.child_rule == "none":
        return []
    found = [task for task in kin.children(parent.pid) if task.ppid == parent.pid]
    if facts.child_in_scope and scope.tasks is not scope.everyone:
        found = [task for task in found if task.pid in ranking.candidate_pids]
    scored = scorer(ranking.era, ranking.scope, ranking.snapshot.machine)
    return [scored.score(task) for task in sorted(found, key=scan_order_key)]


def _printed(ranking: Ranking, score: Score) -> int | None:
    if score.badness is None or score.low != score.high:
        return None
    bits = ranking.snapshot.machine.word_bits
    return printed_score(ranking.era.facts, score.badness, ranking.scope.totalpages, bits)
