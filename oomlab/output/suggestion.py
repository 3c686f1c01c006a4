"""A suggestion in words, as a table of changes and as a JSON document."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..analysis.advice import DELIBERATE
from ..analysis.cgroups import cgroup_of, described, name_of
from ..analysis.places import place_of
from ..analysis.ranking import cautions
from ..analysis.suggestion import AdjChange, Suggestion
from ..snapshot import Snapshot, Task
from ..units import human
from .documents import gap_entries, kernel_entry, scope_entry
from .escape import printable
from .ranking import named, rules_line
from .tables import Column, Table

SCHEMA = "oomlab.suggest/1"
_MOST_NAMED = 3


def change_columns(snapshot: Snapshot) -> list[Column[AdjChange]]:
    """Return the columns of a table of changes."""
    return [
        Column(name="pid", header="PID", help="process", value=lambda c: c.task.pid),
        Column(name="now", header="NOW", help="oom_score_adj now", value=lambda c: c.before),
        Column(name="then", header="THEN", help="what to set", value=lambda c: c.after),
        Column(name="aim", header="AIM", help="protect or sacrifice", value=aim, left=True),
        Column(
            name="user",
            header="USER",
            help="owner",
            value=lambda c: c.task.user or c.task.euid,
            left=True,
            keep=3,
        ),
        Column(
            name="name", header="NAME", help="name", value=lambda c: c.task.comm, left=True, keep=9
        ),
        Column(
            name="in",
            header="IN",
            help="unit, container, pod or cgroup",
            value=lambda c: where(snapshot, c.task),
            left=True,
            keep=2,
            flexible=True,
        ),
    ]


def aim(change: AdjChange) -> str:
    """Return what a change is for."""
    return "protect" if change.protects else "sacrifice"


def where(snapshot: Snapshot, task: Task) -> str | None:
    """Return the name of the unit, container or cgroup that a task is in; None where unknown."""
    path = cgroup_of(task)
    return None if path is None else name_of(snapshot, place_of(path))


def suggestion_table(
    found: Suggestion, count: int | None = None, *, hint: bool = True
) -> Table[AdjChange]:
    """Return the changes under the answer in a sentence; ``hint``: with how to set them."""
    snapshot = found.ranking.snapshot
    rows = found.changes[:count]
    left = len(found.changes) - len(rows)
    footer = [f"({left} more: all with --all, and with --format json.)"] if left else []
    if found.changes and hint:
        footer += [
            "To set them now: the same command with --apply. For good: with --as systemd, docker, "
            "compose, kubernetes, choom or shell."
        ]
    return Table(
        columns=change_columns(snapshot),
        rows=rows,
        heading=heading(found),
        footer=["", *footer] if footer and rows else footer,
    )


def heading(found: Suggestion) -> list[str]:
    """Return the answer, the rules it rests on, who else is spared, and what to mind."""
    lines = [_answer(found), rules_line(found.ranking)]
    everyone = () if found.impossible else found.ranking.scope.tasks
    mates = [task for task in everyone if task.pid in found.companions]
    lines += [
        f"Spared too: {named(task)}, for {found.companions[task.pid]}."
        for task in mates[:_MOST_NAMED]
    ]
    if len(mates) > _MOST_NAMED:
        lines.append(f"Spared too: {len(mates) - _MOST_NAMED} others for the same reasons.")
    lines += [f"Note: {note}." for note in (*found.cautions, *cautions(found.ranking))]
    if found.impossible:
        lines += [f"What would do: {remedy}." for remedy in found.remedies]
    return lines


def _answer(found: Suggestion) -> str:
    if found.impossible:
        more = len(found.impossible) - 1
        rest = f" (and {more} more such reasons)" if more else ""
        return f"No setting of oom_score_adj does it: {found.impossible[0]}{rest}."
    verb = "outlives" if len(found.protected) == 1 else "outlive"
    promise = f"{_several(found.protected)} {verb} {_victims(found)}{_grown(found)}"
    if not found.changes:
        return f"Nothing needs to be set: {promise}."
    noun = "value" if len(found.changes) == 1 else "values"
    return f"Set {len(found.changes)} {noun} (changes add up to {found.cost}): then {promise}."


def _victims(found: Suggestion) -> str:
    scope = found.ranking.scope
    place = (
        f" in {printable(described(found.ranking.snapshot, scope.memcg))}" if scope.memcg else ""
    )
    spared = len(found.protected) + len(found.companions)
    killable = len(found.ranking.killable)
    left = len(found.left_alone)
    if len(found.sacrificed) > _MOST_NAMED and len(found.sacrificed) + spared + left >= killable:
        but = f" but {left} set to {DELIBERATE} or below" if left else ""
        return f"all {len(found.sacrificed)} others that can be killed{place}{but}"
    return f"{_several(found.sacrificed)}{place}"


def _several(tasks: Sequence[Task]) -> str:
    if len(tasks) <= _MOST_NAMED:
        return " and ".join(filter(None, [", ".join(map(named, tasks[:-1])), named(tasks[-1])]))
    names = sorted({printable(task.comm) for task in tasks})
    which = f"({names[0]})" if len(names) == 1 else f"({', '.join(names[:_MOST_NAMED])}, ...)"
    return f"{len(tasks)} processes {which if len(names) <= _MOST_NAMED else ''}".rstrip()


def _grown(found: Suggestion) -> str:
    growth, page_size = found.wish.growth, found.ranking.snapshot.machine.page_size
    if not any(growth):
        return ""
    amounts = [f"{growth.percent}%"] if growth.percent else []
    amounts += [human(growth.pages * page_size)] if growth.pages else []
    each = "each grows" if len(found.protected) > 1 else "it grows"
    return f", even if {each} by {' and '.join(amounts)}"


def suggestion_document(found: Suggestion) -> dict[str, Any]:
    """Return the JSON document ``oomlab.suggest/1``, which ``oomlab apply`` takes."""
    snapshot = found.ranking.snapshot
    return {
        "schema": SCHEMA,
        "kernel": kernel_entry(found.ranking),
        "scope": scope_entry(found.ranking),
        "possible": not found.impossible,
        "impossible": list(found.impossible),
        "remedies": list(found.remedies),
        "growth_percent": found.wish.growth.percent,
        "growth_bytes": found.wish.growth.pages * snapshot.machine.page_size,
        "protected": [_task_entry(task) for task in found.protected],
        "sacrificed": [_task_entry(task) for task in found.sacrificed],
        "left_alone": [_task_entry(task) for task in found.left_alone],
        "companions": [{"pid": pid, "why": why} for pid, why in found.companions.items()],
        "total_change": found.cost,
        "changes": [
            {
                **_task_entry(change.task),
                "before": change.before,
                "after": change.after,
                "aim": aim(change),
                "in": where(snapshot, change.task),
            }
            for change in found.changes
        ],
        "cautions": [*found.cautions, *cautions(found.ranking)],
        "gaps": gap_entries(snapshot),
    }


def _task_entry(task: Task) -> dict[str, Any]:
    return {"pid": task.pid, "start_ticks": task.start_ticks, "comm": task.comm}
