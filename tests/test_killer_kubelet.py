"""The kubelet's rules: cases worked by hand from its documentation, bounds as properties."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from conftest import PAGE, make_snapshot, make_task
from hypothesis import given
from hypothesis import strategies as st

import oomlab
from oomlab.analysis.killers import kubelet
from oomlab.analysis.killers.kubelet import (
    Candidate,
    burstable_adj,
    container_adjs,
    pod_request_bytes,
    rank_kubelet,
)
from oomlab.analysis.killers.partial import places_of
from oomlab.memcg import UNLIMITED_PAGES, Memcg
from oomlab.pods import Pod, PodContainer
from oomlab.readers.pods import parse_pods, parse_quantity
from oomlab.snapshot import Snapshot

Run = Callable[..., tuple[int, str, str]]
ROOT = Path(__file__).parent.parent
NODE, PODS = str(ROOT / "fixtures/node.json"), str(ROOT / "fixtures/pods.json")
MIB = 1 << 20
CLASSES = {"Guaranteed": "", "Burstable": "burstable/", "BestEffort": "besteffort/"}


def uid(number: int) -> str:
    return f"{number:08x}-0000-4000-8000-000000000000"


def pod_cgroup(number: int, used_mib: int, qos: str = "Burstable", **changes: Any) -> Memcg:
    path = f"/kubepods/{CLASSES[qos]}pod{uid(number)}"
    pages = used_mib * MIB // PAGE
    values: dict[str, Any] = {
        "limit_pages": UNLIMITED_PAGES,
        "usage_pages": pages,
        "inactive_file_pages": 0,
    }
    return Memcg(path, 1, **values | changes)


def node(*memcgs: Memcg) -> Snapshot:
    return replace(make_snapshot(make_task(9)), memcgs=(Memcg("/", 1), *memcgs))


def pod(number: int, request_mib: int = 0, priority: int = 0, **changes: Any) -> Pod:
    containers = (PodContainer("app", request_mib * MIB),)
    made = Pod(uid(number), "ns", f"pod{number}", priority, containers=containers)
    return made._replace(**changes)


def order(snapshot: Snapshot, *pods: Pod) -> list[str]:
    ranking = rank_kubelet(snapshot, pods)
    assert all(one.places[0] == one.places[1] for one in ranking.candidates)
    return [one.name for one in ranking.candidates]


def test_the_documented_order() -> None:
    """Who exceeds the request goes first, then by priority, then by how much is exceeded.

    "Pod selection for kubelet eviction": pods over their request by priority and then by the
    excess; then Guaranteed and Burstable pods below it, by priority.
    """
    snapshot = node(
        pod_cgroup(1, 500),  # 100 over, priority 10
        pod_cgroup(2, 900),  # 300 over, priority 10
        pod_cgroup(3, 50, "BestEffort"),  # all of it over, priority 20
        pod_cgroup(4, 300),  # below, priority 0
        pod_cgroup(5, 990, "Guaranteed"),  # below, priority 5
    )
    pods = (pod(1, 400, 10), pod(2, 600, 10), pod(3, 0, 20), pod(4, 301, 0), pod(5, 1000, 5))
    assert order(snapshot, *pods) == ["ns/pod2", "ns/pod1", "ns/pod3", "ns/pod4", "ns/pod5"]


def test_qos_decides_nothing_by_itself() -> None:
    """The note there: the class is not used; a Burstable pod of low priority goes before."""
    snapshot = node(pod_cgroup(1, 10, "BestEffort"), pod_cgroup(2, 101))
    assert order(snapshot, pod(1, 0, 100), pod(2, 100, 0)) == ["ns/pod2", "ns/pod1"]


def test_usage_equal_to_the_request_does_not_exceed_it() -> None:
    snapshot = node(pod_cgroup(1, 100), pod_cgroup(2, 101))
    assert order(snapshot, pod(1, 100, 0), pod(2, 100, 9)) == ["ns/pod2", "ns/pod1"]


def test_pods_equal_in_all_three_are_in_no_order() -> None:
    snapshot = node(pod_cgroup(1, 300), pod_cgroup(2, 200), pod_cgroup(3, 400))
    ranking = rank_kubelet(snapshot, [pod(1, 200), pod(2, 100), pod(3, 100)])
    places = {one.name: one.places for one in ranking.candidates}
    assert places == {"ns/pod3": (1, 1), "ns/pod1": (2, 3), "ns/pod2": (2, 3)}


def test_inactive_file_cache_does_not_count() -> None:
    cache = 400 * MIB // PAGE
    snapshot = node(pod_cgroup(1, 500, inactive_file_pages=cache), pod_cgroup(2, 200))
    ranking = rank_kubelet(snapshot, [pod(1, 150), pod(2, 150)])
    assert [one.working_set_bytes for one in ranking.candidates] == [200 * MIB, 100 * MIB]
    assert [one.exceeds for one in ranking.candidates] == [True, False]


def test_critical_pods_have_a_place_but_stay() -> None:
    """evictPod() refuses static pods and those of priority 2000000000 and more."""
    snapshot = node(pod_cgroup(1, 900), pod_cgroup(2, 800), pod_cgroup(3, 700))
    critical = pod(1, 0, 2_000_000_000)
    static = pod(2, 0, -5, static=True)
    ranking = rank_kubelet(snapshot, [critical, static, pod(3, 0, 0)])
    assert [one.name for one in ranking.candidates] == ["ns/pod2", "ns/pod3", "ns/pod1"]
    assert [one.name for one in ranking.first] == ["ns/pod3"]
    assert [one.critical for one in ranking.candidates] == [True, False, True]
    assert not rank_kubelet(node(pod_cgroup(1, 9)), [critical]).first


def test_without_the_file_only_the_class_tells() -> None:
    limit = 1000 * MIB // PAGE
    snapshot = node(
        pod_cgroup(1, 900, "Guaranteed", limit_pages=limit),
        pod_cgroup(2, 900),
        pod_cgroup(3, 1, "BestEffort"),
        pod_cgroup(4, 900, "Guaranteed"),
    )
    by_name = {one.memcg.path[-40:][4:12]: one for one in rank_kubelet(snapshot).candidates}
    guaranteed, burstable, best_effort, unlimited = (by_name[uid(n)[:8]] for n in (1, 2, 3, 4))
    assert (guaranteed.request_bytes, guaranteed.exceeds) == (1000 * MIB, False)
    assert (best_effort.request_bytes, best_effort.exceeds) == (0, True)
    assert (burstable.request_bytes, burstable.exceeds) == (None, None)
    assert unlimited.request_bytes is None
    # A best-effort pod goes before a guaranteed one, whatever their priorities.
    assert (best_effort.places, guaranteed.places) == ((1, 3), (2, 4))
    assert {one.priority for one in by_name.values()} == {None}


def test_a_static_pod_is_found_by_the_hash_of_its_file() -> None:
    path = "/kubepods/burstable/pod" + "ab" * 16
    memcg = Memcg(path, 1, usage_pages=1, inactive_file_pages=0)
    mirrored = pod(7, 100, static=True, static_uid="ab" * 16)
    ranking = rank_kubelet(node(memcg), [mirrored, pod(8)])
    assert [one.name for one in ranking.candidates] == ["ns/pod7"]
    assert ranking.elsewhere == 1


def test_the_request_of_a_pod() -> None:
    """The example in the scheduler's own comment, and sidecars after KEP 753."""
    gig = 10**9
    plain = [PodContainer("IC1", gig, True), PodContainer("IC2", 3 * gig, True)]
    regular = [PodContainer("C1", gig), PodContainer("C2", gig)]
    made = pod(1, containers=(*plain, *regular))
    assert pod_request_bytes(made) == 3 * gig
    # A starts (100), B beside A (900), C (300), D beside A and C (900), then all: 1000.
    staged = (
        PodContainer("A", 100, True, True),
        PodContainer("B", 800, True),
        PodContainer("C", 200, True, True),
        PodContainer("D", 600, True),
        PodContainer("app", 700),
    )
    assert pod_request_bytes(pod(1, containers=staged)) == 1000
    assert pod_request_bytes(pod(1, containers=staged[:-1])) == 900
    assert pod_request_bytes(pod(1, containers=staged, overhead_bytes=50)) == 1050
    assert pod_request_bytes(pod(1, containers=staged, pod_request_bytes=70)) == 70


@pytest.mark.parametrize(
    ("request_gib", "adj"), [(0, 999), (0.01, 1000), (1, 938), (8, 500), (15.99, 3), (16, 3)]
)
def test_the_burstable_formula(request_gib: float, adj: int) -> None:
    """min(max(least, 1000 - 1000 * request / capacity), 999) on a node of 16 GiB."""
    request = int(request_gib * (1 << 30))
    assert burstable_adj(request, 16 << 30) == min(adj, 999)


def test_the_classes_have_fixed_values() -> None:
    """The table in the documentation, and its note on system-node-critical pods."""
    made = pod(1, 400)
    assert container_adjs(made, "Guaranteed", 1 << 30) == [-997]
    assert container_adjs(made, "BestEffort", 1 << 30) == [1000]
    node_critical = made._replace(priority=2_000_001_000, priority_class="system-node-critical")
    assert container_adjs(node_critical, "BestEffort", 1 << 30) == [-997]
    with pytest.raises(oomlab.InputError):
        container_adjs(made, "Burstable", 0)


def test_sidecars_and_pods_with_a_request_of_their_own() -> None:
    mib = MIB
    containers = (
        PodContainer("setup", 900 * mib, True),
        PodContainer("proxy", 10 * mib, True, True),
        PodContainer("app", 500 * mib),
        PodContainer("log", 100 * mib),
    )
    made = pod(1, containers=containers)
    # The sidecar's 10 of 1000 MiB would be 990; log's 100 make it 900. setup has ended.
    assert container_adjs(made, "Burstable", 1000 * mib) == [900, 500, 900]
    # 1310 for the pod: 400 more than its containers' 910 (setup beside nothing: 900; proxy, app
    # and log: 610; setup is the peak with 900), shared by four: 102.5 MiB each.
    whole = made._replace(pod_request_bytes=1310 * mib)
    spare = (1310 - 900) * mib // 4
    assert container_adjs(whole, "Burstable", 1000 * mib) == [
        burstable_adj(request * mib + spare, 1000 * mib) for request in (100, 500, 100)
    ]


@given(
    st.lists(
        st.tuples(
            st.integers(0, 3),  # working set
            st.integers(0, 3),  # request
            st.integers(0, 2),  # priority
            st.booleans(),  # whether the request is known
            st.booleans(),  # whether the priority is known
        ),
        max_size=7,
    )
)
def test_the_true_place_lies_within_the_bounds(
    drawn: list[tuple[int, int, int, bool, bool]],
) -> None:
    """Whatever requests and priorities are, the kubelet's own order agrees with the places."""
    memcg = Memcg("/", 1)
    shown, truth = [], []
    for number, (used, request, priority, request_told, priority_told) in enumerate(drawn):
        shown.append(
            Candidate(
                memcg,
                str(number),
                None,
                priority if priority_told else None,
                request if request_told else None,
                used,
                False,
                None,
            )
        )
        truth.append((not used > request, priority, request - used))
    places = places_of(shown, kubelet._before)
    for number, key in enumerate(truth):
        first = sum(other < key for other in truth) + 1
        last = sum(other <= key for other in truth)
        # Equals may stand in any order: sort.Sort is not stable.
        assert places[number][0] <= first
        assert last <= places[number][1]


@pytest.mark.parametrize(
    ("text", "size"),
    [
        # "Resource units in Kubernetes": all about the same.
        ("128974848", 128974848),
        ("129e6", 129000000),
        ("129M", 129000000),
        ("128974848000m", 128974848),
        ("123Mi", 128974848),
        ("1.5Gi", 3 << 29),
        ("0.5", 1),  # rounded up
        ("1E", 10**18),
        ("1E3", 1000),
        ("400m", 1),
        (512, 512),
        ("0", 0),
        (".5Ki", 512),
    ],
)
def test_quantities(text: str | int, size: int) -> None:
    assert parse_quantity(text) == size


@pytest.mark.parametrize("text", ["", "1 Gi", "-1", "1GB", "Gi", "1e999", "0x10", "9" * 31, "½"])
def test_what_is_no_quantity(text: str) -> None:
    with pytest.raises(ValueError, match="quantity"):
        parse_quantity(text)


def test_pods_are_read_as_kubectl_prints_them() -> None:
    body = json.loads(Path(PODS).read_text())
    shop, ledger, report = parse_pods(body)
    assert (shop.namespace, shop.name, shop.priority, shop.qos) == (
        "prod",
        "shop-7f9c",
        1000,
        "Burstable",
    )
    assert pod_request_bytes(shop) == (1510 + 256) * MIB
    assert (pod_request_bytes(ledger), pod_request_bytes(report)) == (3 << 30, 0)
    ended = body["items"][0] | {"status": {"phase": "Succeeded"}}
    assert parse_pods({"kind": "PodList", "items": [ended]}) == ()
    (alone,) = parse_pods(body["items"][1])
    assert alone == ledger
    mirror = body["items"][1] | {
        "metadata": body["items"][1]["metadata"]
        | {"annotations": {"kubernetes.io/config.mirror": "x", "kubernetes.io/config.hash": "h"}}
    }
    (static,) = parse_pods(mirror)
    assert (static.static, static.static_uid) == (True, "h")


_FIELDS = """items metadata spec status containers initContainers resources requests memory kind
annotations priority priorityClassName uid name overhead phase restartPolicy qosClass
kubernetes.io/config.hash"""
_NAMES = st.sampled_from(_FIELDS.split())
_SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=5)
)
_JUNK = st.recursive(
    _SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(_NAMES, inner, max_size=4)
    ),
    max_leaves=12,
)


@given(
    st.dictionaries(st.sampled_from(["metadata", "spec", "status"]), _JUNK),
    st.dictionaries(_NAMES, _JUNK),
    st.dictionaries(_NAMES, _JUNK),
)
def test_damaged_pods_are_one_error(
    body: dict[str, Any], metadata: dict[str, Any], spec: dict[str, Any]
) -> None:
    """Whatever a file holds, it is refused in one line or ranked."""
    nearly = {"metadata": {"name": "a"} | metadata | {"uid": uid(1)}, "spec": spec, "status": {}}
    for document in (body, nearly, {"items": [nearly, nearly]}):
        try:
            found = parse_pods(document)
        except oomlab.SourceError:
            continue
        ranking = rank_kubelet(node(pod_cgroup(1, 5), pod_cgroup(2, 5)), found)
        assert all(
            one.request_bytes is None or one.request_bytes >= 0 for one in ranking.candidates
        )


@pytest.mark.parametrize(
    "changes",
    [
        {"metadata": {"uid": 5}},
        {"metadata": {"uid": "a", "annotations": {"kubernetes.io/config.hash": 5}}},
        {"metadata": {"uid": "a", "annotations": [1]}},
        {"status": {"qosClass": {}}},
        {"spec": {"priorityClassName": []}},
        {"spec": {"priority": True}},
        {"spec": {"priority": "high"}},
        {"spec": {"containers": [{"resources": {"requests": {"memory": "lots"}}}]}},
        {"spec": {"containers": 7}},
    ],
)
def test_wrong_types_are_refused(changes: dict[str, Any]) -> None:
    plain = {"metadata": {"uid": "a", "name": "b"}, "spec": {}, "status": {}}
    assert len(parse_pods(plain)) == 1
    with pytest.raises(oomlab.SourceError, match="Kubernetes API"):
        parse_pods(plain | changes)


def test_the_command(run_cli: Run, tmp_path: Path) -> None:
    base = ("rank", "--from", NODE, "--killer", "kubelet")
    status, out, err = run_cli(*base, "--pods", PODS)
    assert (status, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == "When memory runs low, the kubelet would evict batch/report-x2 first."
    assert [line.split()[1] for line in lines[5:]] == [
        "batch/report-x2",
        "prod/shop-7f9c",
        "prod/ledger-0",
    ]
    _, out, _ = run_cli(*base)
    assert "unless critical" in out
    assert "--pods FILE" in out

    _, out, _ = run_cli(*base, "--pods", PODS, "--format", "json")
    found = json.loads(out)
    assert (found["schema"], found["first"]) == ("oomlab.killer/1", ["batch/report-x2"])
    # The adj that the formula gives is what the node's processes have.
    adjs = {one["pod"]: one["oom_score_adj"] for one in found["candidates"]}
    assert adjs == {
        "batch/report-x2": [1000],
        "prod/shop-7f9c": [906, 984],
        "prod/ledger-0": [-997],
    }
    on_node = {task.oom_score_adj for task in oomlab.load(NODE)}
    assert {906, 984, 1000, -997} <= on_node

    broken = tmp_path / "broken.json"
    broken.write_text('{"items": [1]}')
    for arguments, message in (
        (("--pods", str(broken)), "no list of pods"),
        (("--pods", str(tmp_path / "none")), "No such file"),
    ):
        status, out, err = run_cli(*base, *arguments)
        assert (status, out) == (2, "")
        assert message in err
    status, _, err = run_cli("rank", "--from", str(ROOT / "fixtures/example.json"), *base[3:])
    assert (status, "no Kubernetes pods" in err) == (2, True)
