"""Where a process's oom_score_adj comes from, as far as the process tree shows it."""

from __future__ import annotations

from typing import NamedTuple

from ..kernel.adjust import oom_score_adj_of
from ..process import UnitSetting
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
    unit: str | None
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
    return Origin(value, tuple(same), above, service_of(place), container)


def system_unit_of(task: Task) -> str | None:
    """Return the unit of the system's manager that starts a task; None for a user's manager."""
    place = place_of(cgroup_of(task) or "/")
    unit = service_of(place)
    return None if place.uid is not None and unit != f"user@{place.uid}.service" else unit


def unit_text(setting: UnitSetting) -> str:
    """Return what the files of its unit say where that is not what the process has."""
    unit = f"its unit {setting.unit}"
    if setting.oom_score_adj is not None:
        return (
            f"{unit} has {setting.oom_score_adj} ({setting.file}): this process was given another "
            "value, or the file was changed since"
        )
    if setting.found:
        return f"{unit} has no OOMScoreAdjust="
    ask = f"systemctl show -p OOMScoreAdjust {setting.unit}"
    return f"it runs in systemd unit {setting.unit}, of which no file is here ({ask})"


def origin_text(origin: Origin, setting: UnitSetting | None = None) -> str:
    """Return who set oom_score_adj; what is inferred is said to be so."""
    value = origin.oom_score_adj
    if value is None:
        return "its oom_score_adj could not be read"
    text = f"oom_score_adj is {value}"
    if setting is not None and setting.oom_score_adj == value:
        return f"{text}, set by unit {setting.unit} ({setting.file})"
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
