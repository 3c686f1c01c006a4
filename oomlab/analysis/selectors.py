"""What a user may write for some processes or for a memory cgroup, and what it means here.

``812`` is a PID, ``/system.slice/nginx.service`` a cgroup; a bare word is looked up as a process
name, a unit, a container, a pod and a user. If those mean different processes the word must say
which: ``name:``, ``unit:``, ``container:``, ``pod:``, ``user:``, ``cgroup:``, ``pid:``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import NamedTuple

from ..errors import InputError
from ..snapshot import Snapshot, Task
from .cgroups import all_paths, name_of, tasks_inside
from .named_cgroups import PATHS
from .places import place_of

_MOST_LISTED = 8
_PREFIX = re.compile(r"(pid|name|user|unit|container|pod|cgroup):(.+)", re.DOTALL)
_PID = re.compile("[0-9]{1,18}")
_MOUNTS = ("/sys/fs/cgroup/memory", "/sys/fs/cgroup/unified", "/sys/fs/cgroup")


class Selected(NamedTuple):
    """What a selector means: its kind, and the tasks in scan order."""

    text: str
    kind: str
    """pid, name, user, unit, container, pod or cgroup."""
    tasks: tuple[Task, ...]
    path: str | None = None
    """The cgroup whose processes (and of all below it) are meant; None for other kinds."""


def find_tasks(snapshot: Snapshot, text: str) -> Selected:
    """Return the processes that a selector means, at least one.

    Raises InputError, which lists the candidates, where it means nothing, an empty cgroup,
    several units or containers, or different processes as different kinds.
    """
    prefixed = _PREFIX.fullmatch(text)
    if prefixed is not None:
        return _one_kind(snapshot, prefixed[1], prefixed[2], text)
    if _PID.fullmatch(text) and any(task.pid == int(text) for task in snapshot.tasks):
        return _by_pid(snapshot, text)
    if text.startswith("/"):
        return _by_cgroup(snapshot, text)
    found = [one for look in _LOOKUPS.values() for one in look(snapshot, text)]
    found = [one for one in found if one.tasks] or found
    different = {tuple(task.pid for task in one.tasks): one for one in reversed(found)}
    if not found:
        raise InputError(_nothing(snapshot, text))
    if len(different) > 1:
        raise InputError(_several(text, found))
    return _occupied(found[0])


def find_memcg(snapshot: Snapshot, text: str) -> str:
    """Return the path of the one memory cgroup that PATH, UNIT, CONTAINER or a pod means.

    Raises InputError, which lists the candidates, where it means none or several.
    """
    if not text:
        raise InputError(
            "an empty name of a cgroup: give a PATH, UNIT or CONTAINER (/ is the root)"
        )
    if not snapshot.memcgs:
        raise InputError(f"no memory cgroups are known here, so none is {text!r}{_why(snapshot)}")
    paths = [memcg.path for memcg in snapshot.memcgs]
    prefix = _PREFIX.fullmatch(text)
    kinds = {prefix[1]} if prefix else {"unit", "container", "pod", "cgroup"}
    name = prefix[2] if prefix else text
    if not kinds & {"unit", "container", "pod", "cgroup"}:
        raise InputError(f"{text!r} names processes, not a cgroup: give a PATH, UNIT or CONTAINER")
    if "cgroup" in kinds and name.startswith("/"):
        return _known_path(snapshot, name, paths)
    found = {
        path
        for kind in ("unit", "container", "pod")
        if kind in kinds
        for path in PATHS[kind](snapshot, name, paths)
    }
    if not found and "cgroup" in kinds and f"/{name}" in paths:
        return f"/{name}"
    # What a listing of scopes calls it: shop/container, user alice.
    found = found or {path for path in paths if name_of(snapshot, place_of(path)) == name}
    if len(found) == 1:
        return found.pop()
    if found:
        listed = _listing(sorted(found))
        raise InputError(f"{text!r} is {len(found)} memory cgroups: give the path, {listed}")
    raise InputError(_no_memcg(snapshot, name, paths))


def _by_pid(snapshot: Snapshot, text: str) -> Selected:
    tasks = tuple(task for task in snapshot.tasks if str(task.pid) == text.lstrip("0"))
    if not tasks:
        raise InputError(f"no process {text}")
    return Selected(text, "pid", tasks)


def _by_cgroup(snapshot: Snapshot, text: str) -> Selected:
    path = _known_path(snapshot, text, all_paths(snapshot))
    return _occupied(Selected(text, "cgroup", tasks_inside(snapshot, path), path))


def _occupied(found: Selected) -> Selected:
    if not found.tasks:
        raise InputError(f"{found.text!r} is cgroup {found.path}, which holds no process now")
    return found


def _known_path(snapshot: Snapshot, text: str, paths: Iterable[str]) -> str:
    """Return a path as the snapshot has it; the mount point before it may be given too."""
    known = set(paths)
    wanted = text.rstrip("/") or "/"
    for candidate in (wanted, *(wanted.removeprefix(m) or "/" for m in _MOUNTS)):
        if candidate in known:
            return candidate
    raise InputError(_no_memcg(snapshot, wanted, sorted(known)))


def _by_name(snapshot: Snapshot, text: str) -> list[Selected]:
    tasks = tuple(t for t in snapshot.tasks if t.comm == text and not t.kernel_thread)
    return [Selected(text, "name", tasks)] if tasks else []


def _by_user(snapshot: Snapshot, text: str) -> list[Selected]:
    tasks = tuple(
        task
        for task in snapshot.tasks
        if not task.kernel_thread and text in (task.user or str(task.euid), str(task.euid))
    )
    return [Selected(text, "user", tasks)] if tasks else []


def _by_path(kind: str) -> Callable[[Snapshot, str], list[Selected]]:
    def look(snapshot: Snapshot, text: str) -> list[Selected]:
        paths = PATHS[kind](snapshot, text, all_paths(snapshot))
        return [Selected(text, kind, tasks_inside(snapshot, path), path) for path in paths]

    return look


def _one_kind(snapshot: Snapshot, kind: str, name: str, text: str) -> Selected:
    if kind == "pid":
        return _by_pid(snapshot, name)
    if kind == "cgroup":
        return _by_cgroup(snapshot, name)
    found = _LOOKUPS[kind](snapshot, name)
    if not found:
        raise InputError(f"{text!r}: no such {_WORDS[kind]} here")
    if len(found) > 1:
        raise InputError(_several(text, found))
    return _occupied(found[0]._replace(text=text))


_LOOKUPS: dict[str, Callable[[Snapshot, str], list[Selected]]] = {
    "name": _by_name,
    "unit": _by_path("unit"),
    "container": _by_path("container"),
    "pod": _by_path("pod"),
    "user": _by_user,
}
_WORDS = {
    "name": "process name (they are cut at 15 bytes)",
    "unit": "unit with a cgroup",
    "container": "container",
    "pod": "pod",
    "user": "user with processes",
}


def _several(text: str, found: Iterable[Selected]) -> str:
    _, _, bare = text.partition(":") if _PREFIX.fullmatch(text) else ("", "", text)
    listed = _listing(
        [
            f"{one.kind}:{bare} ({_count(one)}{f' of {one.path}' if one.path else ''})"
            if len({other.kind for other in found}) > 1
            else f"{one.path} ({_count(one)})"
            for one in found
        ]
    )
    return f"{text!r} may mean several things; write one of {listed}"


def _count(one: Selected) -> str:
    return "1 process" if len(one.tasks) == 1 else f"{len(one.tasks)} processes"


def _nothing(snapshot: Snapshot, text: str) -> str:
    names = {task.comm for task in snapshot.tasks if not task.kernel_thread}
    names |= {task.user for task in snapshot.tasks if task.user}
    names |= {place_of(path).unit or "" for path in all_paths(snapshot)} - {""}
    names |= {c.name for c in snapshot.containers or () if c.name}
    what = "no process" if _PID.fullmatch(text) else "no process, unit, container, pod or user"
    return f"{what} {text!r} here{_alike(text, names)}"


def _no_memcg(snapshot: Snapshot, text: str, paths: Iterable[str]) -> str:
    names = set(paths) if text.startswith("/") else set()
    for path in paths:
        place = place_of(path)
        # The scope unit that an engine makes is 64 digits that nobody writes.
        unit = name_of(snapshot, place) if place.kind == "container" else place.unit or path
        names |= {unit, name_of(snapshot, place)}
    return f"no memory cgroup, unit or container {text!r} here{_alike(text, names)}"


def _alike(text: str, names: Iterable[str]) -> str:
    from difflib import get_close_matches

    known = sorted(names)
    inside = [name for name in known if text.lower() in name.lower()]
    close = inside or get_close_matches(text, known[:5000], n=3)
    return f"; there is {_listing(close, 'and')}" if close else ""


def _listing(items: list[str], word: str = "or") -> str:
    *most, last = items[:_MOST_LISTED]
    more = f" ({len(items) - _MOST_LISTED} more)" if len(items) > _MOST_LISTED else ""
    return (f"{', '.join(most)} {word} {last}" if most else last) + more


def _why(snapshot: Snapshot) -> str:
    why = next((gap.why for gap in snapshot.gaps if gap.what.startswith("memory cgroups")), None)
    return f" ({why})" if why else " (a snapshot by 'oomlab snapshot' holds them)"
