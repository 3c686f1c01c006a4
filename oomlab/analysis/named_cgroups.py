"""The cgroups that the name of a unit, a container or a pod means."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ..snapshot import Snapshot
from .places import Place, place_of

_SHORTEST_ID = 4
"""Fewer digits of a container's id are taken for a name."""
_SUFFIXES = (".service", ".scope", ".slice", ".socket", ".mount", ".swap")


def _unit_paths(_snapshot: Snapshot, text: str, paths: Iterable[str]) -> list[str]:
    """Return the cgroups of a unit; as systemctl has it, .service may be left out."""
    wanted = text if text.endswith(_SUFFIXES) else f"{text}.service"
    return [path for path in paths if place_of(path).unit == wanted and path.endswith(f"/{wanted}")]


def _container_paths(snapshot: Snapshot, text: str, paths: Iterable[str]) -> list[str]:
    """Return the cgroups of a container, given its name or so much of its id as is unique."""
    named = {c.id for c in snapshot.containers or () if c.name == text}
    places = [place_of(path) for path in paths]
    return [
        place.path
        for place in places
        if place.kind == "container" and not place.below and _is_called(place, text, named)
    ]


def _is_called(place: Place, text: str, named: set[str]) -> bool:
    identity = place.container or ""
    if named:
        return identity in named
    return identity == text or (len(text) >= _SHORTEST_ID and identity.startswith(text.lower()))


def _pod_paths(snapshot: Snapshot, text: str, paths: Iterable[str]) -> list[str]:
    """Return the cgroup of a pod, given NAMESPACE/NAME, its name or so much of its uid."""
    named = {
        container.pod_uid
        for container in snapshot.containers or ()
        if text in (container.pod, f"{container.namespace}/{container.pod}")
    }
    places = [place_of(path) for path in paths]
    return [
        place.path
        for place in places
        if place.kind == "pod" and not place.below and _is_pod(place.pod_uid, text, named)
    ]


def _is_pod(uid: str | None, text: str, named: set[str | None]) -> bool:
    if uid is None:
        return False
    return uid in named or (len(text) >= _SHORTEST_ID and uid.startswith(text))


PATHS: dict[str, Callable[[Snapshot, str, Iterable[str]], list[str]]] = {
    "unit": _unit_paths,
    "container": _container_paths,
    "pod": _pod_paths,
}
"""Each looks for a name among the paths given."""
