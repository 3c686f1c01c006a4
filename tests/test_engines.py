"""State files of container engines: names, and nothing worse than no name."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from conftest import make_snapshot, make_task

from oomlab.analysis.scopes import find_scopes
from oomlab.analysis.selectors import find_memcg
from oomlab.memcg import Container, Memcg
from oomlab.readers.engines import read_containers

A, B = "ab" * 32, "cd" * 32
UID = "3f0c6a52-7d7e-4c39-9d1a-5b8f0e2a6c11"


def put(path: Path, body: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(body if isinstance(body, str) else json.dumps(body))


def test_docker(tmp_path: Path) -> None:
    put(
        tmp_path / "var/lib/docker/containers" / A / "config.v2.json",
        {"ID": A, "Name": "/web", "State": {"Pid": 412}, "Config": {"Image": "nginx:1"}},
    )
    assert read_containers(tmp_path) == (Container(A, "docker", "web", "nginx:1", 412),)


def test_podman_of_root_and_of_users(tmp_path: Path) -> None:
    for place, identity in (("var/lib", A), ("home/eve/.local/share", B)):
        put(
            tmp_path / place / "containers/storage/overlay-containers/containers.json",
            [{"id": identity, "names": ["db"], "image": "x"}],
        )
    assert [(c.id, c.engine, c.name) for c in read_containers(tmp_path)] == [
        (A, "podman", "db"),
        (B, "podman", "db"),
    ]


def test_containerd_and_cri_o_tell_the_pod(tmp_path: Path) -> None:
    task = tmp_path / "run/containerd/io.containerd.runtime.v2.task/k8s.io" / A
    cri = "io.kubernetes.cri"
    put(
        task / "config.json",
        {
            "annotations": {
                f"{cri}.container-name": "app",
                f"{cri}.image-name": "shop:5",
                f"{cri}.sandbox-name": "shop-7f",
                f"{cri}.sandbox-namespace": "prod",
                f"{cri}.sandbox-uid": UID,
            }
        },
    )
    put(task / "init.pid", "77")
    storage = tmp_path / "var/lib/containers/storage/overlay-containers/containers.json"
    put(storage, [{"id": B, "names": ["k8s_db_ledger"]}])
    put(
        tmp_path / "run/containers/storage/overlay-containers" / B / "userdata/config.json",
        {
            "annotations": {
                "io.kubernetes.container.name": "db",
                "io.kubernetes.pod.name": "ledger-0",
                "io.kubernetes.pod.namespace": "prod",
                "io.kubernetes.pod.uid": UID,
            }
        },
    )
    assert read_containers(tmp_path) == (
        Container(A, "containerd", "app", "shop:5", 77, UID, "shop-7f", "prod"),
        Container(B, "cri-o", "db", None, None, UID, "ledger-0", "prod"),
    )


PATHS = {
    "docker": f"/system.slice/docker-{A}.scope",
    "podman": f"/machine.slice/libpod-{A}.scope/container",
    "containerd": f"/kubepods.slice/kubepods-burstable.slice/cri-containerd-{A}.scope",
    "cri-o": f"/kubepods.slice/kubepods-besteffort.slice/crio-{A}.scope",
}


def state_of(engine: str, root: Path) -> None:
    """Write what an engine leaves of a container called shop."""
    storage = "containers/storage/overlay-containers"
    if engine == "docker":
        put(root / f"var/lib/docker/containers/{A}/config.v2.json", {"ID": A, "Name": "/shop"})
    elif engine == "podman":
        put(root / f"var/lib/{storage}/containers.json", [{"id": A, "names": ["shop"]}])
    elif engine == "containerd":
        task = root / f"run/containerd/io.containerd.runtime.v2.task/k8s.io/{A}/config.json"
        put(task, {"annotations": {"io.kubernetes.cri.container-name": "shop"}})
    else:
        put(root / f"var/lib/{storage}/containers.json", [{"id": A, "names": ["k8s_shop_x"]}])
        annotations = {"io.kubernetes.container.name": "shop", "io.kubernetes.pod.uid": UID}
        put(root / f"run/{storage}/{A}/userdata/config.json", {"annotations": annotations})


@pytest.mark.parametrize("engine", list(PATHS))
def test_scopes_are_called_by_the_names_of_every_engine(engine: str, tmp_path: Path) -> None:
    state_of(engine, tmp_path)
    memcg = Memcg(PATHS[engine], 2, limit_pages=500, swap_limit_pages=0, usage_pages=90)
    task = make_task(7, 50, cgroups=(("", memcg.path),))
    snapshot = replace(make_snapshot(task), memcgs=(memcg,), containers=read_containers(tmp_path))
    (scope,) = (one for one in find_scopes(snapshot) if one.memcg is not None)
    assert (scope.place.kind, scope.place.engine) == ("container", engine)
    assert scope.name.split("/")[0] == "shop"
    assert find_memcg(snapshot, scope.name) == memcg.path
    assert scope.ranking is not None
    assert scope.ranking[0].task.pid == 7


def test_files_that_are_not_as_expected_are_skipped(tmp_path: Path) -> None:
    docker = tmp_path / "var/lib/docker/containers"
    for name, body in {
        "a": "not json",
        "b": "[" * 100_000,
        "c": {"ID": "../../etc", "Name": "/x"},
        "d": {"ID": 7},
        "e": [],
        "f": {"ID": B, "Name": 5, "State": {"Pid": "9"}, "Config": None},
    }.items():
        put(docker / name / "config.v2.json", body)
    (docker / "g" / "config.v2.json").mkdir(parents=True)
    put(tmp_path / "var/lib/containers/storage/overlay-containers/containers.json", {"id": A})
    assert read_containers(tmp_path) == (Container(B, "docker"),)
    assert read_containers(tmp_path / "nowhere") == ()
