"""Which cgroup a process is in, who is in a cgroup, and what to call it."""

from __future__ import annotations

from collections.abc import Collection

from ..kernel.scope import is_inside, parent_of
from ..memcg import Container
from ..snapshot import Snapshot, Task
from .places import Place, place_of


def name_of(snapshot: Snapshot, place: Place) -> str:
    """Return how to call a place: a container or pod by the name that its engine knows."""
    inside = f"/{place.below}" if place.below else ""
    if place.kind == "container":
        container = container_of(snapshot, place)
        if container is not None and container.name:
            return f"{container.name}{inside}"
    if place.kind == "pod":
        for container in snapshot.containers or ():
            if container.pod and container.pod_uid == place.pod_uid and place.pod_uid:
                space = f"{container.namespace}/" if container.namespace else ""
                return f"{space}{container.pod}{inside}"
    if place.kind == "user":
        users = {task.uid: task.user for task in snapshot.tasks if task.user}
        if place.uid in users:
            return f"user {users[place.uid]}{inside}"
    return place.label


def described(snapshot: Snapshot, path: str) -> str:
    """Return what sentences call a memory cgroup: its kind, where that helps, and its name."""
    place = place_of(path)
    name = name_of(snapshot, place)
    if place.kind in ("container", "pod"):
        return f"{place.kind} {name}"
    if place.kind in ("cgroup", "machine"):
        return f"memory cgroup {path}"
    return name


def container_of(snapshot: Snapshot, place: Place) -> Container | None:
    """Return what a local engine's state files say of a place's container."""
    for container in snapshot.containers or ():
        if container.id == place.container:
            return container
    return None


def charged_path(task: Task, known: Collection[str], version: int) -> str | None:
    """Return which of the ``known`` memory cgroups a task is charged to, None where unknown.

    A v2 cgroup without the memory controller counts as its nearest ancestor that has it.
    """
    path = task.cgroup_path("" if version == 2 else "memory")
    while path is not None and path not in known:
        path = parent_of(path)
    return path


def cgroup_of(task: Task) -> str | None:
    """Return the path that tells a task's place: v2's, or else that of memory, or systemd's.

    With v1 controllers beside it the v2 hierarchy is often unused: its "/" then says nothing.
    """
    unified = task.cgroup_path("")
    if unified is not None and unified != "/":
        return unified
    return task.cgroup_path("memory") or task.cgroup_path("name=systemd") or unified


def tasks_inside(snapshot: Snapshot, path: str) -> tuple[Task, ...]:
    """Return the processes of a cgroup and of all below it, in scan order."""
    return tuple(
        task
        for task in snapshot.tasks
        if not task.kernel_thread and (own := cgroup_of(task)) is not None and is_inside(own, path)
    )


def all_paths(snapshot: Snapshot) -> list[str]:
    """Return all cgroup paths that are known: those of memory cgroups and of tasks."""
    known = {memcg.path for memcg in snapshot.memcgs or ()}
    for task in snapshot.tasks:
        path = cgroup_of(task)
        while path is not None and path not in known:
            known.add(path)
            path = parent_of(path)
    return sorted(known)
