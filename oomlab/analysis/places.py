"""What a cgroup path stands for: a systemd unit, a container, a Kubernetes pod, a session.

The path alone tells: engines name their cgroups by the container's id, kubelet by the pod's
uid under a directory for each QoS class, systemd by units. Names are chosen by anybody, so a
path is only taken for what fits the whole form. Sources: systemd.slice(5), systemd.scope(5),
pam_systemd(8), and the cgroup managers of runc, crun, containerd, CRI-O, podman and kubelet.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Literal, NamedTuple

Kind = Literal[
    "machine", "slice", "unit", "session", "user", "container", "monitor", "pod", "qos", "cgroup"
]
Qos = Literal["Guaranteed", "Burstable", "BestEffort"]


class Place(NamedTuple):
    """What a cgroup is. Of nested ones the innermost counts, and ``below`` is what is in it."""

    path: str
    kind: Kind
    """``monitor`` is an engine's helper process beside a container (conmon); ``qos`` holds all
    pods of a QoS class, or of all of them."""
    name: str
    """Short, without what the engine adds: the unit, the container's id at 12 digits, ..."""
    unit: str | None = None
    """The innermost systemd unit on the path, slices included."""
    engine: str | None = None
    """docker, podman, containerd, cri-o, lxc; None where the path does not tell."""
    container: str | None = None
    """The container's id, all 64 digits (lxc: its name)."""
    pod_uid: str | None = None
    qos: Qos | None = None
    uid: int | None = None
    """The user whose session or slice it is."""
    below: str = ""
    """What follows on the path inside the place, as ``init.scope`` in a container."""

    @property
    def label(self) -> str:
        """Return the short name, with what of the path is inside the place."""
        return f"{self.name}/{self.below}" if self.below else self.name


_PATH_MAX = 4096
_ID = "[0-9a-f]{64}"
_UID = "[0-9a-f]{8}(?:[-_][0-9a-f]{4}){3}[-_][0-9a-f]{12}|[0-9a-f]{32}"
_ENGINES = {
    "docker": "docker",
    "libpod": "podman",
    "libpod-payload": "podman",
    "cri-containerd": "containerd",
    "nerdctl": "containerd",
    "crio": "cri-o",
}
_CONTAINER = re.compile(rf"(?:({'|'.join(_ENGINES)})-)?({_ID})(?:\.scope)?")
_MONITOR = re.compile(rf"(libpod|crio)-conmon-({_ID})(?:\.scope)?")
_MISMATCHED = re.compile(rf"(.*\.slice):(cri-containerd|crio|docker):({_ID})")
"""A systemd path taken literally: the engine and kubelet disagree about the cgroup driver."""
_POD_SLICE = re.compile(rf"(?:[a-z0-9_]+-)*kubepods(?:-(burstable|besteffort))?-pod({_UID})\.slice")
_QOS_SLICE = re.compile(r"(?:[a-z0-9_]+-)*kubepods(?:-(burstable|besteffort))?\.slice")
_POD_DIRECTORY = re.compile(rf"pod({_UID})")
_SESSION = re.compile(r"session-([A-Za-z0-9]+)\.scope")
_USER = re.compile(r"user(?:-([0-9]{1,10})\.slice|@([0-9]{1,10})\.service)")
_UNIT = re.compile(
    r"[A-Za-z0-9:_.\\@-]+\.(?:service|scope|socket|mount|swap|slice|automount|device)"
)
_PODMAN_POD = re.compile(rf"machine-libpod_pod_({_ID})\.slice")
_QOS: dict[str | None, Qos] = {
    "burstable": "Burstable",
    "besteffort": "BestEffort",
    None: "Guaranteed",
}


@lru_cache(maxsize=4096)
def place_of(path: str) -> Place:
    r"""Return what the cgroup ``path`` stands for; an unknown form is a plain ``cgroup``.

    >>> place_of("/system.slice/docker-" + "4f" * 32 + ".scope").label
    '4f4f4f4f4f4f'
    >>> place_of("/system.slice/nginx.service").kind
    'unit'
    """
    if len(path) > _PATH_MAX:
        return Place(path, "cgroup", path)  # no kernel has such a path, a damaged log may
    parts = [part for part in path.split("/") if part]
    place = Place(path, "machine" if not parts else "cgroup", path)
    start = 0
    for index, part in enumerate(parts):
        found = _step(place, part, parts[:index])
        if found is not None:
            place, start = found, index + 1
    below = "/".join(parts[start:])
    if place.kind == "cgroup":
        return place
    # Inside a unit or container its own cgroups have no name but their path.
    return place._replace(below=below)


def _step(place: Place, part: str, above: list[str]) -> Place | None:
    """Return the place that one more directory leads to, None where it names nothing."""
    return (
        _container(place, part, above)
        or _kubernetes(place, part, above)
        or _lxc(place, part, above)
        or _unit(place, part)
    )


def _container(place: Place, part: str, above: list[str]) -> Place | None:
    monitor = _MONITOR.fullmatch(part)
    if monitor is not None:
        engine = _ENGINES[monitor[1]]
        return _inside(place, "monitor", monitor[2][:12], part, engine=engine, container=monitor[2])
    mismatched = _MISMATCHED.fullmatch(part)
    if mismatched is not None:
        place = _kubernetes(place, mismatched[1], above) or place
        engine, name = _ENGINES.get(mismatched[2], mismatched[2]), mismatched[3]
        return _inside(place, "container", name[:12], None, engine=engine, container=name)
    match = _CONTAINER.fullmatch(part)
    if match is None:
        return None
    prefix, identity = match[1], match[2]
    if prefix is None and above and above[-1] == "libpod_parent":
        # Podman puts a pod's containers into a directory of the pod's id.
        return _inside(place, "pod", identity[:12], None, engine="podman")
    by = _engine(prefix, above)
    return _inside(place, "container", identity[:12], part, engine=by, container=identity)


def _engine(prefix: str | None, above: list[str]) -> str | None:
    if prefix is not None:
        return _ENGINES[prefix]
    return "docker" if above and above[-1] == "docker" else None


def _kubernetes(place: Place, part: str, above: list[str]) -> Place | None:
    pod = _POD_SLICE.fullmatch(part)
    if pod is not None:
        return _pod(place, part, pod[2], _QOS[pod[1]])
    group = _QOS_SLICE.fullmatch(part)
    if group is not None:
        qos = _QOS[group[1]] if group[1] else None
        return _inside(place, "qos", f"kubepods ({qos})" if qos else "kubepods", part, qos=qos)
    if part == "kubepods":
        return _inside(place, "qos", "kubepods", None)
    if "kubepods" not in above:
        return None
    if part in ("burstable", "besteffort") and above[-1] == "kubepods":
        return _inside(place, "qos", f"kubepods ({_QOS[part]})", None, qos=_QOS[part])
    directory = _POD_DIRECTORY.fullmatch(part)
    if directory is not None and above[-1] in ("kubepods", "burstable", "besteffort"):
        return _pod(place, None, directory[1], place.qos or "Guaranteed")
    return None


def _pod(place: Place, unit: str | None, uid: str, qos: Qos) -> Place:
    uid = uid.replace("_", "-")
    return _inside(place, "pod", f"pod {uid[:8]}", unit, pod_uid=uid, qos=qos)


def _lxc(place: Place, part: str, above: list[str]) -> Place | None:
    name = None
    if above and above[-1] in ("lxc", "lxc.payload"):
        name = part
    elif not above and part.startswith("lxc.payload."):
        name = part.removeprefix("lxc.payload.")
    if not name:
        return None
    return _inside(place, "container", name, None, engine="lxc", container=name)


def _unit(place: Place, part: str) -> Place | None:
    # systemd puts a _ before names that clash with the cgroup's own files.
    name = part.removeprefix("_")
    if place.container is not None or _UNIT.fullmatch(name) is None:
        return None  # a container's own systemd is nobody outside it would ask for
    pod = _PODMAN_POD.fullmatch(name)
    if pod is not None:
        return _inside(place, "pod", pod[1][:12], name, engine="podman")
    session, user = _SESSION.fullmatch(name), _USER.fullmatch(name)
    if session is not None and place.uid is not None:
        return _inside(place, "session", f"session {session[1]}", name)
    if user is not None:
        uid = int(user[1] or user[2])
        kind: Kind = "user" if user[1] else "unit"
        return _inside(place, kind, name, name, uid=uid)
    return _inside(place, "slice" if name.endswith(".slice") else "unit", name, name)


def _inside(
    place: Place,
    kind: Kind,
    name: str,
    part: str | None,
    *,
    engine: str | None = None,
    container: str | None = None,
    pod_uid: str | None = None,
    qos: Qos | None = None,
    uid: int | None = None,
) -> Place:
    """Return the place one step further in: what was known on the way there stays known."""
    unit = part if part is not None and _UNIT.fullmatch(part) else None
    return place._replace(
        kind=kind,
        name=name,
        unit=unit or place.unit,
        engine=engine,
        container=container,
        pod_uid=pod_uid or place.pod_uid,
        qos=qos or place.qos,
        uid=uid if uid is not None else place.uid,
    )
