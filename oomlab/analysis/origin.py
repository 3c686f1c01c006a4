"""Where a process's oom_score_adj comes from, as far as the process tree shows it."""

from __future__ import annotations

from typing import NamedTuple

from ..kernel.adjust import oom_score_adj_of
from ..process import Unit, UnitSetting
from ..snapshot import Snapshot, Task
from .cgroups import cgroup_of, name_of
from .owners import service_of
from .places import place_of


class Origin(NamedTuple):
    """A setting is inherited by fork(2): the chain of ancestors that have the same value."""

    oom_score_adj: int | None
    same: tuple[Task, ...]
    """Ancestors with the same value, the parent first, without a gap."""
    above: Task | None
    """The first ancestor with another value, None where the chain ends or can't be seen."""
    unit: Unit | None
    """The systemd unit that starts the process, by the path of its cgroup."""
    container: str | None
    """The container, by the path of its cgroup and the name that a local engine knows."""


def origin_of(snapshot: Snapshot, task: Task) -> Origin:
    """Follow a task's parents for as long as they have the same oom_score_adj."""
    by_pid = {one.pid: one for one in snapshot.tasks}
    value, same, above, seen = oom_score_adj_of(task), [], None, {task.pid}
    parent = by_pid.get(task.ppid or 0)
    while parent is not None and parent.pid not in seen:
        seen.add(parent.pid)
        if oom_score_adj_of(parent) != value:
            above = parent
            break
        same.append(parent)
        parent = by_pid.get(parent.ppid or 0)
    place = place_of(cgroup_of(task) or "/")
    container = name_of(snapshot, place) if place.container is not None else None
    return Origin(value, tuple(same), above, unit_of(task), container)


def unit_of(task: Task) -> Unit | None:
    """Return the systemd unit that starts a task, by the path of its cgroup."""
    place = place_of(cgroup_of(task) or "/")
    name = service_of(place)
    if name is None:
        return None
    # A user's manager is itself a unit of the system's.
    return Unit(name, None if name == f"user@{place.uid}.service" else place.uid)


def ask_systemd(unit: Unit) -> str:
    """Return the command that asks a unit's manager for the setting."""
    user = "" if unit.uid is None else "--user "
    return f"systemctl {user}show -p OOMScoreAdjust {unit.name}"


def unit_text(setting: UnitSetting) -> str:
    """Return what the files of its unit say where that is not what the process has."""
    unit = f"its unit {_unit(setting.unit)}"
    if setting.oom_score_adj is not None:
        return (
            f"{unit} has {setting.oom_score_adj} ({setting.file}): this process was given another "
            "value, or the file was changed since"
        )
    if setting.found:
        if setting.unit.uid is None:
            return f"{unit} has no OOMScoreAdjust="
        return (
            f"{unit} has no OOMScoreAdjust=; without it systemd 250 and newer give 100 more than "
            "the user's manager has"
        )
    return (
        f"it runs in systemd unit {_unit(setting.unit)}, of which no file is here "
        f"({ask_systemd(setting.unit)})"
    )


def _unit(unit: Unit) -> str:
    return unit.name if unit.uid is None else f"{unit.name} of user {unit.uid}"


def origin_text(origin: Origin, setting: UnitSetting | None = None) -> str:
    """Return who set oom_score_adj; what is inferred is said to be so."""
    value = origin.oom_score_adj
    if value is None:
        return "its oom_score_adj could not be read"
    text = f"oom_score_adj is {value}"
    if setting is not None and setting.oom_score_adj == value:
        return f"{text}, set by unit {_unit(setting.unit)} ({setting.file})"
    if origin.same:
        first = origin.same[-1]
        text += f", as its parent {_named(origin.same[0])} has"
        if len(origin.same) > 1:
            text += f" and its ancestors up to {_named(first)}"
        if origin.above is not None:
            theirs = oom_score_adj_of(origin.above)
            return (
                f"{text}; {_named(origin.above)} has {theirs}, so it was probably set for "
                f"{_named(first)} and inherited from there"
            )
        return f"{text}: {'nobody seems to have set it' if value == 0 else 'probably inherited'}"
    if origin.above is not None:
        theirs = oom_score_adj_of(origin.above)
        return (
            f"{text} while its parent {_named(origin.above)} has {theirs}: it was set for this "
            "process, by itself or by who started it"
        )
    return f"{text}; its parent can't be seen"


def _named(task: Task) -> str:
    return f"{task.pid} ({task.comm})"
