"""Where a process's oom_score_adj comes from, as far as the process tree shows it."""

from __future__ import annotations

from typing import NamedTuple

from ..kernel.adjust import oom_score_adj_of
from ..snapshot import Snapshot, Task

_UNIT_ENDS = (".service", ".scope", ".socket", ".mount", ".swap")


class Origin(NamedTuple):
    """A setting is inherited by fork(2): the chain of ancestors that have the same value."""

    oom_score_adj: int | None
    same: tuple[Task, ...]
    """Ancestors with the same value, the parent first, without a gap."""
    above: Task | None
    """The first ancestor with another value, None where the chain ends or can't be seen."""
    unit: str | None
    """The systemd unit, by the name of the cgroup."""
    container: str | None
    """The cgroup of a container or a pod, by its name."""


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
    path = _cgroup(task)
    return Origin(value, tuple(same), above, unit_of(path), container_of(path))


def _cgroup(task: Task) -> str:
    """Return the cgroup that systemd placed the task in, else the memory controller's."""
    for controller in ("name=systemd", "", "memory"):
        path = task.cgroup_path(controller)
        if path and path != "/":
            return path
    return ""


def unit_of(path: str) -> str | None:
    """Return the innermost systemd unit in a cgroup's path.

    >>> unit_of("/system.slice/docker.service"), unit_of("/user.slice/user-0.slice")
    ('docker.service', None)
    """
    names = [name for name in path.split("/") if name.endswith(_UNIT_ENDS)]
    return names[-1] if names else None


def container_of(path: str) -> str | None:
    """Return the part of a cgroup's path that names a container or a pod."""
    marks = ("kubepods", "docker", "libpod", "cri-containerd", "crio", "lxc")
    names = [name for name in path.split("/") if name.startswith(marks)]
    return names[-1] if names else None


def origin_text(origin: Origin) -> str:
    """Return who set oom_score_adj; what is inferred is said to be so."""
    value = origin.oom_score_adj
    if value is None:
        return "its oom_score_adj could not be read"
    text = f"oom_score_adj is {value}"
    if origin.same:
        first = origin.same[-1]
        many = f" and {len(origin.same) - 1} more ancestors" if len(origin.same) > 1 else ""
        text += f", as its parent {_named(origin.same[0])}{many} ha{'ve' if many else 's'}"
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
