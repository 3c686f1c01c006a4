"""Words that go with a suggestion: why none is possible, what would do, what to mind."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

from ..kernel.adjust import oom_score_adj_of
from ..kernel.badness import OOM_SCORE_ADJ_MAX, OOM_SCORE_ADJ_MIN
from ..snapshot import Task
from .companions import ON_ONE_MAP, by_map, lookalikes
from .movers import LEAST_KILLABLE, known_adj
from .ranking import Ranking
from .suggestion import Suggestion, Wish

AT_MINIMUM = "oom_score_adj -1000"
DELIBERATE = -500
"""Nobody has so low a value by chance: engines and units set it."""
_SET_LOW = f"that somebody set to {DELIBERATE} or below"
_MOST_PAIRS = 3


def refusals(found: Suggestion) -> list[str]:
    """Return what stands in the way of the wish whatever the settings are."""
    why_not = {score.task.pid: score.why_not for score in found.ranking}
    said = []
    for task in found.sacrificed:
        why = why_not[task.pid]
        if task.pid in found.wish.protect:
            said.append(f"{_named(task)} is to be both protected and sacrificed")
        elif task.pid in found.companions:
            said.append(f"{_named(task)} can't be sacrificed: {found.companions[task.pid]}")
        elif why is not None and why != AT_MINIMUM:
            said.append(f"{_named(task)} can't be sacrificed: {why}, so it is never chosen")
        elif oom_score_adj_of(task) is None:
            said.append(f"the oom_score_adj of {_named(task)} is unknown")
    if not found.sacrificed:
        said.append(_nobody_else(found))
    return said


def _nobody_else(found: Suggestion) -> str:
    if found.left_alone:
        count = len(found.left_alone)
        return f"nobody else here can be killed but {count} {_SET_LOW} (--everyone counts them)"
    return "nobody else here can be killed: the kernel has only these to choose from"


def conflict_text(ranking: Ranking, wish: Wish, spared: Task, doomed: Task) -> str:
    """Return in words why one can't be put below the other."""
    totalpages = ranking.scope.totalpages
    if totalpages < 1000:
        return (
            f"totalpages is {totalpages}: below 1000 oom_score_adj has no weight, "
            "and only memory counts"
        )
    lowest = known_adj(spared) if wish.raise_only else LEAST_KILLABLE
    grown = " once it has grown as allowed" if any(wish.growth) else ""
    return (
        f"even at {lowest} {_named(spared)} is chosen before {_named(doomed)} at "
        f"{OOM_SCORE_ADJ_MAX}{grown}"
    )


def remedies(found: Suggestion, *, by_number: bool) -> list[str]:
    """Return what would do it where no setting does.

    ``by_number``: some badness is too high or unknown; else a rule stands in the way.
    """
    if not found.sacrificed:
        return ["more memory or a higher limit; or let those who may die run in the same scope"]
    said, wish = [], found.wish
    if any(task.pid in wish.protect for task in found.sacrificed):
        return ["name each process once only: to be protected, or to be sacrificed"]
    if any(ON_ONE_MAP in found.companions.get(task.pid, "") for task in found.sacrificed):
        return ["protect or sacrifice all that are on one memory map: they die together"]
    if wish.raise_only and by_number:
        said.append("lower the protected with CAP_SYS_RESOURCE, without --raise-only")
    if any("memory.oom.group" in why for why in found.companions.values()):
        said.append(
            "switch memory.oom.group off there (systemd: OOMPolicy=continue; kubelet: "
            "singleProcessOOMKill)"
        )
    if any(wish.growth) and by_number:
        said.append("allow less growth, or cap it with a limit of its own (MemoryMax=)")
    said.append(
        "put those who may die into a cgroup of their own with a limit (MemoryMax=): "
        "an OOM at that limit chooses among them only"
    )
    if by_number and not wish.allow_unkillable:
        said.append("make it unkillable: --allow-unkillable, and read its warning")
    return said


def suggestion_cautions(found: Suggestion) -> list[str]:
    """Return what to mind before the changes are made, a sentence each."""
    said = []
    if any(change.after == OOM_SCORE_ADJ_MIN for change in found.changes):
        said.append(
            "-1000 makes a process unkillable and all children it starts from then on: if it "
            "leaks, the kernel kills everybody else and then panics, or hangs its cgroup"
        )
    if found.wish.sacrifice is None:
        said += _of_all_others(found)
    known = by_map(found.wish.shared).keys()
    pairs = (
        f"{_named(one)} and {_named(other)} look alike: if they are on one memory map they die "
        "together, whatever is set"
        for one, other in lookalikes(found.spared, found.sacrificed)
        if not {one.pid, other.pid} <= known
    )
    # Forked workers all look alike: a few pairs say it.
    return said + list(islice(pairs, _MOST_PAIRS))


def _of_all_others(found: Suggestion) -> list[str]:
    said = []
    raised = [c.task for c in found.changes if not c.protects and c.before <= DELIBERATE]
    if raised:
        said.append(
            f"{len(raised)} {_SET_LOW} would be raised ({_names(raised)}): --except leaves them "
            "as they are, --sacrifice names who may die"
        )
    if found.left_alone:
        said.append(
            f"{len(found.left_alone)} {_SET_LOW} are left as they are ({_names(found.left_alone)}) "
            "and may live longer: --everyone counts them among the others"
        )
    unknown = [s.task for s in found.ranking.killable if oom_score_adj_of(s.task) is None]
    if unknown:
        said.append(f"left out, for its oom_score_adj is unknown: {_named(unknown[0])}")
    return said


def _names(tasks: Iterable[Task]) -> str:
    names = sorted({task.comm for task in tasks})
    return ", ".join(names[:4]) + (", ..." if len(names) > 4 else "")


def _named(task: Task) -> str:
    return f"{task.pid} ({task.comm})"
