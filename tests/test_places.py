"""What a cgroup path stands for, in every shape that engines, kubelet and systemd make."""

# ruff: noqa: E501  # a cgroup's path and what it is belong on one line
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oomlab.analysis.places import Place, place_of
from oomlab.output.escape import printable

C = "4f5e" * 16
D = "0a1b" * 16
UID = "3f0c6a52-7d7e-4c39-9d1a-5b8f0e2a6c11"
UNDER = UID.replace("-", "_")
STATIC = "0123456789abcdef" * 2
PODS = "/kubepods.slice/kubepods-burstable.slice"


def container(
    engine: str | None, qos: str | None = None, uid: str | None = None
) -> tuple[object, ...]:
    return ("container", engine, C, uid, qos)


@pytest.mark.parametrize(
    ("path", "seen"),
    [
        # Docker, containerd, CRI-O and podman by themselves, under both cgroup drivers.
        (f"/docker/{C}", container("docker")),
        (f"/system.slice/docker-{C}.scope", container("docker")),
        (f"/system.slice/docker-{C}.scope/init.scope", container("docker")),
        (f"/user.slice/user-1000.slice/user@1000.service/user.slice/docker-{C}.scope", container("docker")),
        (f"/system.slice/nerdctl-{C}.scope", container("containerd")),
        (f"/default/{C}", container(None)),
        (f"/machine.slice/libpod-{C}.scope", container("podman")),
        (f"/machine.slice/libpod-{C}.scope/container", container("podman")),
        (f"/libpod_parent/libpod-{C}", container("podman")),
        (f"/libpod_parent/{D}/libpod-{C}", container("podman")),
        (f"/machine.slice/machine-libpod_pod_{D}.slice/libpod-{C}.scope", container("podman")),
        (f"/system.slice/web.service/libpod-payload-{C}", container("podman")),
        (f"/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-{C}.scope", container("podman")),
        (f"/machine.slice/libpod-conmon-{C}.scope", ("monitor", "podman", C, None, None)),
        (f"/system.slice/crio-conmon-{C}.scope", ("monitor", "cri-o", C, None, None)),
        # Kubernetes, with the systemd driver.
        (f"{PODS}/kubepods-burstable-pod{UNDER}.slice/cri-containerd-{C}.scope", container("containerd", "Burstable", UID)),
        (f"{PODS}/kubepods-burstable-pod{UNDER}.slice/crio-{C}.scope", container("cri-o", "Burstable", UID)),
        (f"{PODS}/kubepods-burstable-pod{UNDER}.slice/docker-{C}.scope", container("docker", "Burstable", UID)),
        (f"/kubepods.slice/kubepods-pod{UNDER}.slice/crio-{C}.scope/container", container("cri-o", "Guaranteed", UID)),
        (f"/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod{STATIC}.slice/crio-{C}.scope", container("cri-o", "BestEffort", STATIC)),
        (f"/system.slice/containerd.service/kubepods-burstable-pod{UNDER}.slice:cri-containerd:{C}", container("containerd", "Burstable", UID)),
        (f"{PODS}/kubepods-burstable-pod{UNDER}.slice", ("pod", None, None, UID, "Burstable")),
        (PODS, ("qos", None, None, None, "Burstable")),
        ("/kubepods.slice", ("qos", None, None, None, None)),
        # The same with cgroupfs.
        (f"/kubepods/burstable/pod{UID}/{C}", container(None, "Burstable", UID)),
        (f"/kubepods/besteffort/pod{UID}/crio-{C}", container("cri-o", "BestEffort", UID)),
        (f"/kubepods/pod{STATIC}/{C}", container(None, "Guaranteed", STATIC)),
        (f"/kubepods/pod{UID}", ("pod", None, None, UID, "Guaranteed")),
        ("/kubepods/besteffort", ("qos", None, None, None, "BestEffort")),
        # A node in a container (kind): the inner one counts.
        (f"/docker/{D}/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-besteffort.slice/kubelet-kubepods-besteffort-pod{UNDER}.slice/cri-containerd-{C}.scope", container("containerd", "BestEffort", UID)),
        (f"/docker/{D}/docker/{C}", container("docker")),
        ("/lxc.payload.web/init.scope", ("container", "lxc", "web", None, None)),
        ("/lxc/103/ns", ("container", "lxc", "103", None, None)),
        # Not containers.
        (f"/docker/{C[:63]}", ("cgroup", None, None, None, None)),
        (f"/docker/{C.upper()}", ("cgroup", None, None, None, None)),
        (f"/system.slice/docker-{C}x.scope", ("unit", None, None, None, None)),
        (f"/a/pod{UID}", ("cgroup", None, None, None, None)),
        ("/kubepods/burstable/podnonsense", ("qos", None, None, None, "Burstable")),
    ],
)  # fmt: skip
def test_containers_and_pods(path: str, seen: tuple[object, ...]) -> None:
    place = place_of(path)
    assert (place.kind, place.engine, place.container, place.pod_uid, place.qos) == seen


@pytest.mark.parametrize(
    ("path", "kind", "label", "unit", "uid"),
    [
        ("/", "machine", "/", None, None),
        ("/system.slice", "slice", "system.slice", "system.slice", None),
        ("/system.slice/ssh.service", "unit", "ssh.service", "ssh.service", None),
        ("/system.slice/pg@15-main.service", "unit", "pg@15-main.service", "pg@15-main.service", None),
        ("/system.slice/system-getty.slice/getty@tty1.service", "unit", "getty@tty1.service", "getty@tty1.service", None),
        ("/system.slice/srv.service/workers", "unit", "srv.service/workers", "srv.service", None),
        (r"/machine.slice/machine-qemu\x2d1\x2dvm.scope/libvirt", "unit", r"machine-qemu\x2d1\x2dvm.scope/libvirt", r"machine-qemu\x2d1\x2dvm.scope", None),
        ("/system.slice/_cgroup.service", "unit", "cgroup.service", "cgroup.service", None),
        ("/user.slice/user-1000.slice", "user", "user-1000.slice", "user-1000.slice", 1000),
        ("/user.slice/user-1000.slice/session-c2.scope", "session", "session c2", "session-c2.scope", 1000),
        ("/user.slice/user-1000.slice/user@1000.service/app.slice/app-firefox-9.scope", "unit", "app-firefox-9.scope", "app-firefox-9.scope", 1000),
        ("/init.scope", "unit", "init.scope", "init.scope", None),
        ("/batch/night", "cgroup", "/batch/night", None, None),
        ("/session-4.scope", "unit", "session-4.scope", "session-4.scope", None),
    ],
)  # fmt: skip
def test_units(path: str, kind: str, label: str, unit: str | None, uid: int | None) -> None:
    place = place_of(path)
    assert (place.kind, place.label, place.unit, place.uid) == (kind, label, unit, uid)


def test_a_container_is_shown_by_twelve_digits_and_keeps_its_unit() -> None:
    place = place_of(f"/system.slice/docker-{C}.scope/system.slice/cron.service")
    assert (place.name, place.below) == (C[:12], "system.slice/cron.service")
    assert place.unit == f"docker-{C}.scope"


@given(st.text(st.characters(exclude_characters="\0"), max_size=80))
def test_any_path_is_some_place(text: str) -> None:
    place = place_of(f"/{text}")
    assert isinstance(place, Place)
    assert "\n" not in printable(place.label)


PARTS = st.sampled_from(
    ["docker", "kubepods", "burstable", f"pod{UID}", C, f"docker-{C}.scope", "a.slice", "a.service",
     "lxc", "user.slice", "user-7.slice", "session-1.scope", "libpod_parent", "x\x1b[31m", " ", "..",
     f"kubepods-pod{UNDER}.slice", f"libpod-conmon-{C}.scope"]
)  # fmt: skip


@given(st.lists(PARTS, max_size=6))
def test_the_innermost_place_counts_and_the_rest_is_below_it(parts: list[str]) -> None:
    path = "/" + "/".join(parts)
    place = place_of(path)
    assert place.path == path
    assert path.endswith(place.below)
    if parts and parts[-1] in (C, f"docker-{C}.scope") and "libpod_parent" not in parts:
        assert (place.kind, place.container) == ("container", C)
