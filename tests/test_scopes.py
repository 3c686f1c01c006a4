"""Where memory can run out: room by hand, nested limits, memory nodes, and the command."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from conftest import make_snapshot, make_task
from hypothesis import given
from hypothesis import strategies as st
from node_fixture import MIB, make_node

from oomlab.analysis.room import Room, machine_room, memcg_room
from oomlab.analysis.scopes import OomScope, find_scopes, scopes_of
from oomlab.kernel.scope import Members
from oomlab.memcg import UNLIMITED_PAGES, Memcg
from oomlab.snapshot import Node, Snapshot

Run = Callable[..., tuple[int, str, str]]
NODE = "fixtures/node.json"


def memcg(path: str, limit: int | None = UNLIMITED_PAGES, usage: int = 0, **more: Any) -> Memcg:
    values: dict[str, Any] = {
        "limit_pages": limit,
        "usage_pages": usage,
        "inactive_file_pages": 0,
        "active_file_pages": 0,
        "swap_limit_pages": UNLIMITED_PAGES,
        "swap_usage_pages": 0,
    }
    return Memcg(path, 2, **values | more)


def machine_with(*memcgs: Memcg, **machine: Any) -> Snapshot:
    values: dict[str, Any] = {
        "free_pages": 500_000,
        "available_pages": 1_500_000,
        "swap_free_pages": 0,
        "swappiness": 60,
    }
    snapshot = make_snapshot(make_task(9), **values | machine)
    return replace(snapshot, memcgs=(memcg("/"), *memcgs))


def room_of(snapshot: Snapshot, path: str) -> Room:
    return memcg_room(Members(snapshot), path)


def test_cache_and_reclaimable_slab_go_before_anybody_dies() -> None:
    full = memcg("/a", 1000, 990, inactive_file_pages=200, active_file_pages=100,
                 slab_reclaimable_pages=7, shmem_pages=400)  # fmt: skip
    room = room_of(machine_with(full), "/a")
    assert (room.free_pages, room.reclaimable_pages, room.swap_free_pages) == (10, 307, 0)
    assert room.headroom_pages == 317
    assert room.share_used == pytest.approx(1 - 317 / 1000)


def test_without_the_figures_of_the_cache_the_room_is_unknown() -> None:
    room = room_of(machine_with(memcg("/a", 1000, 990, active_file_pages=None)), "/a")
    assert (room.free_pages, room.reclaimable_pages, room.headroom_pages) == (10, None, None)
    assert room.share_used is None


def test_memory_min_of_a_cgroup_below_keeps_its_cache() -> None:
    top = memcg("/a", 1000, 900, inactive_file_pages=600)
    kept = memcg("/a/b", usage=500, inactive_file_pages=400, min_pages=450)
    inner = memcg("/a/b/c", usage=500, inactive_file_pages=400, min_pages=450)
    # Of /a/b's 400 pages of cache only 50 stand above its protected 450.
    snapshot = machine_with(top, kept, inner)
    assert room_of(snapshot, "/a").reclaimable_pages == 250
    # What runs out inside the protected cgroup itself may take all of its own.
    assert room_of(machine_with(top, kept), "/a/b").reclaimable_pages == 400


def test_swap_is_what_the_cgroup_its_ancestors_and_the_machine_leave() -> None:
    swap = {"swap_pages": 5000, "swap_free_pages": 4000}
    parent = memcg("/a", swap_limit_pages=900, swap_usage_pages=800)
    child = memcg("/a/b", 1000, 1000, swap_limit_pages=700, swap_usage_pages=100)
    assert room_of(machine_with(child, **swap), "/a/b").swap_free_pages == 600
    room = room_of(machine_with(parent, child, **swap), "/a/b")
    assert (room.swap_limit_pages, room.swap_free_pages) == (700, 100)
    none = room_of(machine_with(parent, child, **swap, swappiness=0), "/a/b")
    assert (none.swap_limit_pages, none.swap_free_pages) == (0, 0)
    unknown = room_of(machine_with(child, swap_pages=5000, swap_free_pages=None), "/a/b")
    assert unknown.headroom_pages is None


def test_v1_limits_memory_and_swap_together() -> None:
    both = Memcg("/a", 1, limit_pages=1000, memsw_limit_pages=1300, usage_pages=900,
                 memsw_usage_pages=1150, inactive_file_pages=50, active_file_pages=0,
                 swappiness=60)  # fmt: skip
    swap = {"swap_pages": 5000, "swap_free_pages": 4000}
    room = room_of(machine_with(both, **swap), "/a")
    # 150 are left of the limit of both, and 50 of cache.
    assert (room.swap_limit_pages, room.headroom_pages) == (300, 200)
    without = room_of(machine_with(both._replace(memsw_limit_pages=None), **swap), "/a")
    assert without.headroom_pages == 100 + 50 + 4000
    tight = room_of(machine_with(both._replace(swappiness=0, memsw_usage_pages=1290), **swap), "/a")
    assert tight.headroom_pages == 10 + 50


def test_the_machines_room_is_what_meminfo_calls_available() -> None:
    machine = make_snapshot(free_pages=10, available_pages=300, swap_pages=100,
                            swap_free_pages=40).machine  # fmt: skip
    room = machine_room(machine)
    assert (room.reclaimable_pages, room.headroom_pages) == (290, 340)
    assert (room.usage_pages, room.swap_usage_pages) == (1_999_990, 60)


def scope(scopes: list[OomScope], path: str) -> OomScope:
    return next(one for one in scopes if one.path == path)


def test_the_tightest_ancestor_is_named_and_meets_its_limit_first() -> None:
    parent = memcg("/p", 1000, 960)
    wide, narrow = memcg("/p/wide", 5000, 100), memcg("/p/narrow", 200, 190)
    scopes = find_scopes(machine_with(parent, wide, narrow))
    assert [one.path for one in scopes] == ["/p", "/p/narrow", None, "/p/wide"]
    assert (scope(scopes, "/p/wide").limit_of, scope(scopes, "/p/wide").first) == ("/p", "/p")
    assert scope(scopes, "/p/wide").headroom_pages == 40
    assert (scope(scopes, "/p/narrow").limit_of, scope(scopes, "/p/narrow").first) == (None, None)
    assert scope(scopes, "/p/narrow").headroom_pages == 10


def test_of_equal_room_the_innermost_limit_is_met_first() -> None:
    scopes = find_scopes(machine_with(memcg("/p", 1000, 900), memcg("/p/c", 1000, 900)))
    assert scope(scopes, "/p/c").first is None


def test_the_machine_may_run_out_before_a_generous_limit() -> None:
    scopes = find_scopes(machine_with(memcg("/a", 9_000_000, 10)))
    assert scope(scopes, "/a").first == ""


def test_v1_without_hierarchy_is_charged_to_itself_alone() -> None:
    def one(path: str, **more: Any) -> Memcg:
        return memcg(path, 100, 90, **more)._replace(version=1, hierarchical=False)

    tasks = tuple(make_task(pid, cgroups=(("memory", path),))
                  for pid, path in ((1, "/p"), (2, "/p/c")))  # fmt: skip
    snapshot = replace(machine_with(), tasks=tasks, memcgs=(one("/p"), one("/p/c")))
    scopes = find_scopes(snapshot)
    for path, pid in (("/p", 1), ("/p/c", 2)):
        ranking = scope(scopes, path).ranking
        assert ranking is not None
        assert [score.task.pid for score in ranking] == [pid]


def test_unlimited_cgroups_are_listed_only_when_asked() -> None:
    snapshot = machine_with(memcg("/a"), memcg("/b", 100, 1))
    assert [s.path for s in find_scopes(snapshot)] == [None, "/b"]
    assert [s.path for s in find_scopes(snapshot, every=True)] == [None, "/b", "/", "/a"]


def test_memory_nodes_that_a_cpuset_confines_processes_to() -> None:
    nodes = (Node(0, 90, 80, 70, 20, 10), Node(1, 90, 80, 70, 5, 1), Node(2, 9, 0, 0))
    tasks = (
        make_task(3, mems_allowed="0-2", cgroups=(("", "/x"),)),
        make_task(4, 30, mems_allowed="1", cgroups=(("", "/x/a"),)),
        make_task(5, mems_allowed="1", cgroups=(("", "/x/b"),)),
    )
    snapshot = replace(machine_with(nodes=nodes), tasks=tasks, memcgs=None)
    scopes = find_scopes(snapshot)
    confined = next(one for one in scopes if one.nodes)
    assert (confined.name, confined.place.path) == ("node 1", "/x")
    assert (confined.room.limit_pages, confined.room.headroom_pages) == (70, 6)
    assert confined.ranking is not None
    assert confined.ranking.scope.totalpages == 80
    assert {score.task.pid for score in confined.ranking} == {3, 4, 5}
    assert [one.name for one in scopes_of(snapshot, tasks[1])] == ["node 1", "machine"]


def test_the_scopes_in_which_one_may_die_from_the_inside_out() -> None:
    node = make_node()
    java = next(task for task in node.tasks if task.comm == "java")
    names = [one.name for one in scopes_of(node, java)]
    assert names == ["app", "prod/shop-7f9c", "kubepods", "machine"]
    sshd = next(task for task in node.tasks if task.comm == "sshd")
    assert [one.name for one in scopes_of(node, sshd)] == ["machine"]


@given(
    st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 2000), st.integers(0, 900)), max_size=6)
)
def test_nearest_first_and_nothing_beyond_its_bounds(sizes: list[tuple[int, int, int]]) -> None:
    memcgs = [
        memcg(f"/c{i}", limit, usage, inactive_file_pages=min(cache, usage))
        for i, (limit, usage, cache) in enumerate(sizes)
    ]
    shares = [one.room.share_used for one in find_scopes(machine_with(*memcgs))]
    assert shares == sorted(shares, key=lambda share: -(share or 0))
    assert all(share is not None and 0 <= share <= 1 for share in shares)


def test_ten_thousand_tasks_in_a_thousand_limited_cgroups() -> None:
    memcgs = [memcg(f"/s/c{i}", 50_000, i) for i in range(1000)]
    tasks = tuple(
        make_task(pid, pid % 977, cgroups=(("", f"/s/c{pid % 1000}"),)) for pid in range(2, 10_002)
    )
    snapshot = replace(machine_with(memcg("/s", 9_000_000, 5), *memcgs), tasks=tasks)
    assert len(find_scopes(snapshot)) == 1002


# The command.


def test_the_nearest_scope_is_the_answer(run_cli: Run) -> None:
    status, out, err = run_cli("scopes", "--from", NODE)
    assert (status, err) == (0, "")
    assert "container worker" in out.splitlines()[0]
    assert "(gunicorn) would die" in out.splitlines()[0]


def test_json_has_every_scope_in_bytes(run_cli: Run) -> None:
    document = json.loads(run_cli("scopes", "--from", NODE, "--format", "json")[1])
    assert document["schema"] == "oomlab.scopes/1"
    by_name = {scope["name"]: scope for scope in document["scopes"]}
    worker = by_name["worker"]
    assert worker["limit_bytes"] == 768 * MIB * 4096
    assert worker["headroom_bytes"] == worker["free_bytes"] + worker["reclaimable_bytes"]
    assert (worker["engine"], worker["oom_kills"]) == ("docker", 3)
    app = by_name["app"]
    assert (app["qos"], app["oom_group"], app["victim"]["comm"]) == ("Burstable", True, "java")
    assert app["victim"]["dies_with_it"] == 1
    assert by_name["machine"]["pressure"]["some_avg10_percent"] == 0.31


@pytest.mark.parametrize("form", ["csv", "markdown", "table"])
def test_every_format_and_all_columns(form: str, run_cli: Run) -> None:
    from oomlab.output.scope_columns import COLUMNS

    names = ",".join(column.name for column in COLUMNS)
    status, out, _ = run_cli(
        "scopes", "--from", NODE, "--all", "--columns", names, "--format", form
    )
    assert status == 0
    assert len(out.splitlines()) > 30


def test_sorting_and_limiting(run_cli: Run) -> None:
    out = run_cli("scopes", "--from", NODE, "--sort", "left", "-n", "1", "--format", "csv")[1]
    assert out.splitlines()[1].split(",")[1] == "kubepods"
    status, _, err = run_cli("scopes", "--from", NODE, "--sort", "nope")
    assert status == 2
    assert err.startswith("oomlab: no column 'nope'; there are: near, scope")


def test_a_snapshot_without_cgroups_still_has_the_machine(run_cli: Run) -> None:
    status, out, _ = run_cli("scopes", "--from", "fixtures/example.json")
    assert status == 0
    assert "no memory cgroups are known here" in out


def test_this_machine(run_cli: Run) -> None:
    status, out, _ = run_cli("scopes", "--all", "--format", "json")
    assert status == 0
    assert any(scope["kind"] == "machine" for scope in json.loads(out)["scopes"])


def test_no_cgroup_is_mounted(run_cli: Run, tmp_path: Path) -> None:
    for name in ("meminfo", "stat", "sys"):
        (tmp_path / name).symlink_to(Path("/proc") / name)
    status, out, err = run_cli("scopes", "--proc", str(tmp_path))
    assert status == 0
    assert "the machine" in out
    assert "not read: memory cgroups: no memory controller is mounted" in err
