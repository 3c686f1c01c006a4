"""Who owns the settings of processes: a unit, a container, a pod; one value for each.

An owner sets one oom_score_adj for all that it starts, so of several it takes the one that keeps
the promise: the lowest to protect, the highest to sacrifice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import NamedTuple

from ..memcg import Container
from ..snapshot import Snapshot, Task
from .cgroups import cgroup_of, container_of, name_of
from .movers import known_adj
from .places import Place, place_of
from .ranking import rank
from .suggest import suggest
from .suggestion import AdjChange, Suggestion


class Owner(NamedTuple):
    """A place and the value that its processes shall have."""

    place: Place
    name: str
    value: int
    protects: bool
    mixed: bool
    """Some of its processes are to be protected and others sacrificed: one value can't do both."""
    container: Container | None = None
    lower_now: tuple[Task, ...] = ()
    """Protected ones of its processes that have a lower value now, which this one would replace."""


Kind = Callable[[Place], str | None]
"""A place to what owns it (its key), or None where it is not of that kind."""


def service_of(place: Place) -> str | None:
    """Return the systemd unit that starts a place's processes, if it takes a setting."""
    if place.container is not None or place.unit is None:
        return None
    return place.unit if place.unit.endswith((".service", ".socket", ".mount", ".swap")) else None


def container_key(place: Place) -> str | None:
    """Return the id of an engine's container that belongs to no pod."""
    return place.container if place.pod_uid is None and place.kind == "container" else None


def pod_container_key(place: Place) -> str | None:
    """Return the id of a pod's container."""
    return place.container if place.pod_uid is not None and place.kind == "container" else None


def owners_of(found: Suggestion, kind: Kind) -> tuple[list[Owner], list[AdjChange]]:
    """Return the owners of one kind that a suggestion's changes concern, and the other changes."""
    snapshot = found.ranking.snapshot
    grouped: dict[str, list[AdjChange]] = {}
    places: dict[str, Place] = {}
    rest = []
    for change in found.changes:
        place = place_of_task(change.task)
        key = None if place is None else kind(place)
        if key is None or place is None:
            rest.append(change)
            continue
        grouped.setdefault(key, []).append(change)
        places.setdefault(key, place)
    found_owners = [_owner(snapshot, places[key], grouped[key]) for key in grouped]
    return [_with_lower(found, owner, kind) for owner in found_owners], rest


def place_of_task(task: Task) -> Place | None:
    """Return the place that a task runs in, None where its cgroup is unknown."""
    path = cgroup_of(task)
    return None if path is None else place_of(path)


def _owner(snapshot: Snapshot, place: Place, changes: list[AdjChange]) -> Owner:
    protects = any(change.protects for change in changes)
    values = [change.after for change in changes if change.protects == protects]
    return Owner(
        place,
        name_of(snapshot, place._replace(below="")),
        min(values) if protects else max(values),
        protects,
        len(values) < len(changes),
        container_of(snapshot, place),
    )


def _with_lower(found: Suggestion, owner: Owner, kind: Kind) -> Owner:
    if not owner.protects:
        return owner
    own = [
        task
        for task in found.protected
        if (place := place_of_task(task)) is not None and kind(place) == kind(owner.place)
    ]
    return owner._replace(lower_now=tuple(t for t in own if known_adj(t) < owner.value))


def keeps_promise(found: Suggestion, owners: Iterable[Owner], kind: Kind) -> bool:
    """Tell whether the promise holds where each owner's value is given to all its processes.

    Changes of others are taken as made, too.
    """
    values = {kind(owner.place): owner.value for owner in owners}
    if not values:
        return True
    applied = found.applied()

    def changed(task: Task) -> Task:
        place = place_of_task(task)
        key = None if place is None else kind(place)
        if key not in values or task.kernel_thread:
            return task
        return task._replace(oom_score_adj=values[key], oom_adj=None, kernel_oom_score=None)

    snapshot = replace(applied, tasks=tuple(map(changed, applied.tasks)))
    wish = found.wish
    again = suggest(
        rank(snapshot, kernel=found.ranking.era, memcg=found.ranking.scope.memcg),
        wish.protect,
        [task.pid for task in found.sacrificed],
        growth=wish.growth,
        allow_unkillable=wish.allow_unkillable,
        shared=wish.shared,
    )
    return not again.changes and not again.impossible
