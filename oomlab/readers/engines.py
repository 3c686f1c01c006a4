"""Names of containers out of the state files of local engines; no engine is asked.

Docker keeps a config.v2.json for each container. Podman and CRI-O share containers/storage,
whose containers.json names all; CRI-O and containerd keep each running container's OCI
config.json, whose annotations tell the pod. What is absent, unreadable or not as expected is
skipped: a name is a help, never an input.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from ..memcg import Container

_ID = re.compile("[0-9a-f]{64}")
_MOST_BYTES = 1 << 22
"""A state file beyond this is none."""

_DOCKER = "var/lib/docker/containers"
_STORAGES = (
    "var/lib/containers/storage",
    "run/containers/storage",
    "home/*/.local/share/containers/storage",
    "root/.local/share/containers/storage",
)
_BUNDLES = (
    ("cri-o", "run/containers/storage/overlay-containers/*/userdata/config.json"),
    ("containerd", "run/containerd/io.containerd.runtime.v2.task/*/*/config.json"),
    ("containerd", "run/k3s/containerd/io.containerd.runtime.v2.task/*/*/config.json"),
)


def read_containers(root: Path) -> tuple[Container, ...]:
    """Return the containers that the engines' state files below ``root`` name, by id."""
    found: dict[str, Container] = {}
    for container in (*_docker(root), *_storages(root), *_bundles(root)):
        known = found.get(container.id)
        found[container.id] = container if known is None else _joined(known, container)
    return tuple(found[name] for name in sorted(found))


def _joined(one: Container, other: Container) -> Container:
    """Fill what one file leaves open with what the other says."""
    changes = {name: value for name, value in other._asdict().items() if value is not None}
    # Podman and CRI-O share one list; only CRI-O's annotations tell them apart.
    engine = "cri-o" if "cri-o" in (one.engine, other.engine) else one.engine
    return one._replace(**changes)._replace(engine=engine)


def _docker(root: Path) -> Iterator[Container]:
    for path in _below(root, f"{_DOCKER}/*/config.v2.json"):
        body = _load(path)
        if isinstance(body, dict) and _is_id(body.get("ID")):
            state, config = _dict(body, "State"), _dict(body, "Config")
            pid = state.get("Pid")
            yield Container(
                id=body["ID"],
                engine="docker",
                name=(_text(body.get("Name")) or "").removeprefix("/") or None,
                image=_text(config.get("Image")),
                main_pid=pid if type(pid) is int and 0 < pid < 1 << 31 else None,
                **_kubernetes(_dict(config, "Labels")),
            )


def _storages(root: Path) -> Iterator[Container]:
    for storage in _STORAGES:
        for path in _below(root, f"{storage}/overlay-containers/*containers.json"):
            body = _load(path)
            for entry in body if isinstance(body, list) else ():
                if not isinstance(entry, dict) or not _is_id(entry.get("id")):
                    continue
                names = entry.get("names")
                name = _text(names[0]) if isinstance(names, list) and names else None
                yield Container(id=entry["id"], engine="podman", name=name)


def _bundles(root: Path) -> Iterator[Container]:
    for engine, pattern in _BUNDLES:
        for path in _below(root, pattern):
            parent = path.parent.parent if path.parent.name == "userdata" else path.parent
            body = _load(path)
            if not isinstance(body, dict) or not _is_id(parent.name):
                continue
            labels = _dict(body, "annotations")
            named = _kubernetes(labels)
            # Podman keeps such bundles in the same place; the pod's annotations tell CRI-O's.
            by = "podman" if engine == "cri-o" and named["pod"] is None else engine
            name = labels.get("io.kubernetes.cri.container-name") or labels.get("nerdctl/name")
            name = name or labels.get("io.kubernetes.container.name")
            yield Container(
                id=parent.name,
                engine=by,
                name=_text(name),
                image=_text(
                    labels.get("io.kubernetes.cri.image-name")
                    or labels.get("io.kubernetes.cri-o.ImageName")
                ),
                main_pid=_pid(path.parent),
                **named,
            )


def _kubernetes(labels: dict[str, Any]) -> dict[str, str | None]:
    """Return the pod that labels or annotations name, in either of the two vocabularies."""
    cri = "io.kubernetes.cri.sandbox-"
    return {
        "pod": _text(labels.get("io.kubernetes.pod.name") or labels.get(f"{cri}name")),
        "namespace": _text(
            labels.get("io.kubernetes.pod.namespace") or labels.get(f"{cri}namespace")
        ),
        "pod_uid": _text(labels.get("io.kubernetes.pod.uid") or labels.get(f"{cri}uid")),
    }


def _pid(bundle: Path) -> int | None:
    for name in ("init.pid", "pidfile"):
        with suppress(OSError, ValueError):
            return int((bundle / name).read_text("ascii"))
    return None


def _below(root: Path, pattern: str) -> list[Path]:
    with suppress(OSError):
        return sorted(root.glob(pattern))
    return []


def _load(path: Path) -> Any:
    with suppress(OSError, ValueError, RecursionError):
        with path.open("rb") as stream:
            text = stream.read(_MOST_BYTES + 1)
        return json.loads(text) if len(text) <= _MOST_BYTES else None
    return None


def _is_id(value: object) -> bool:
    return isinstance(value, str) and _ID.fullmatch(value) is not None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _dict(body: dict[str, Any], key: str) -> dict[str, Any]:
    value = body.get(key)
    return value if isinstance(value, dict) else {}
