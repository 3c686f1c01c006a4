"""Whose limit: totalpages and the order of the members of memory cgroups and of nodes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from conftest import make_machine, make_snapshot, make_task

from oomlab import InputError, rank
from oomlab.kernel.eras import era_of
from oomlab.kernel.scope import (
    Scope,
    is_inside,
    memcg_scope,
    memcg_totalpages,
    node_scope,
    parent_of,
    reported_scope,
    system_scope,
)
from oomlab.memcg import Memcg
from oomlab.snapshot import Node, Reported, Snapshot, Task

PAGES_4G = 1 << 20


@pytest.mark.parametrize(
    ("kernel", "memcg", "machine", "totalpages"),
    [
        # before 2.6.36 nothing divides by it: the machine's stands for all
        ("2.6.35", {"limit_pages": 10}, {"ram_pages": 100, "swap_pages": 20}, 120),
        ("2.6.35", {"limit_pages": 10}, {"ram_pages": None}, 0),
        # pages of swap were added to bytes, then cut to the memory+swap limit in bytes
        ("2.6.36", {"limit_pages": 10}, {"swap_pages": 8192}, 12),
        ("2.6.36", {"limit_pages": 10, "memsw_limit_pages": 11}, {"swap_pages": 8192}, 11),
        ("2.6.36", {"limit_pages": 10, "memsw_limit_pages": 12}, {"swap_pages": 4096}, 11),
        # no floor before 3.5
        ("3.4", {"limit_pages": 0}, {}, 0),
        ("3.5", {"limit_pages": 0}, {}, 1),
        ("6.18", {"limit_pages": 0}, {}, 1),
        ("6.18", {"limit_pages": 1}, {}, 1),
        ("6.18", {"limit_pages": 2}, {}, 2),
        # swap: v1 counts both limits together
        ("6.18", {"limit_pages": 10, "memsw_limit_pages": 14}, {"swap_pages": 99}, 14),
        ("6.18", {"limit_pages": 10, "memsw_limit_pages": 14}, {"swap_pages": 3}, 13),
        ("6.18", {"limit_pages": 10}, {"swap_pages": 3}, 13),
        # without swappiness no swap, from 3.10 on
        ("6.18", {"limit_pages": 10, "swappiness": 0}, {"swap_pages": 3}, 10),
        ("3.4", {"limit_pages": 10, "swappiness": 0}, {"swap_pages": 3}, 13),
        ("5.9", {"limit_pages": 10, "memsw_limit_pages": 12}, {"swap_pages": 3}, 12),
        ("5.10", {"limit_pages": 10, "memsw_limit_pages": 12}, {"swap_pages": 3}, 12),
    ],
)
def test_totalpages_of_v1(
    kernel: str, memcg: dict[str, int], machine: dict[str, Any], totalpages: int
) -> None:
    given = Memcg("/a", 1, **({"swappiness": 60} | memcg))
    facts = era_of(kernel).facts
    assert memcg_totalpages(given, make_machine(release=kernel, **machine), facts) == totalpages


@pytest.mark.parametrize(
    ("swap_limit", "swappiness", "totalpages"),
    [(None, 60, 110), (0, 60, 10), (7, 60, 17), (500, 60, 110), (7, 0, 10), (7, None, 17)],
)
def test_totalpages_of_v2(swap_limit: int | None, swappiness: int | None, totalpages: int) -> None:
    given = Memcg("/a", 2, limit_pages=10, swap_limit_pages=swap_limit)
    machine = make_machine(swap_pages=100, swappiness=swappiness)
    assert memcg_totalpages(given, machine, era_of("6.18").facts) == totalpages


@pytest.mark.parametrize(
    ("path", "ancestor", "inside"),
    [
        ("/a", "/", True),
        ("a", "/", True),
        ("/a", "/a", True),
        ("/a/b", "/a", True),
        ("/ab", "/a", False),
        ("/a", "/a/b", False),
    ],
)
def test_what_is_inside(path: str, ancestor: str, inside: bool) -> None:
    assert is_inside(path, ancestor) is inside


def tree(version: int = 2, **changes: Any) -> Snapshot:
    """Return a small tree: names and creation in opposite order, members out of their order."""
    controller = "" if version == 2 else "memory"

    def member(pid: int, path: str, start: int) -> Task:
        return make_task(pid, 100, start_ticks=start, cgroups=((controller, path),))

    tasks = (
        member(11, "/top", 5),
        member(21, "/top/z", 4),
        member(22, "/top/z", 3),
        member(31, "/top/a", 2),
        member(32, "/top/a/without/memory", 9),
        member(33, "/top/a/in", 1),
        member(41, "/other", 0),
        make_task(42, start_ticks=0),
    )
    memcgs = (
        Memcg("/", version, creation_order=1),
        Memcg("/other", version, limit_pages=9, creation_order=2, pids=(41,)),
        Memcg("/top", version, limit_pages=PAGES_4G, creation_order=3, pids=(11,)),
        Memcg("/top/a", version, limit_pages=9, creation_order=9, pids=(32, 31)),
        Memcg("/top/a/in", version, creation_order=10, pids=(33,)),
        Memcg("/top/z", version, creation_order=4, pids=(22, 21)),
    )
    snapshot = Snapshot(machine=make_machine(), tasks=tasks, memcgs=memcgs)
    return replace(snapshot, **changes)


def visited(kernel: str, snapshot: Snapshot, top: str = "/top") -> list[int]:
    return [task.pid for task in memcg_scope(snapshot, top, era_of(kernel).facts).tasks]


def test_the_tree_is_walked_by_creation_and_each_cgroup_in_its_own_order() -> None:
    assert visited("6.18", tree()) == [11, 22, 21, 32, 31, 33]
    # v1 lists its members by pid: the time of their start is the likely order.
    assert visited("6.18", tree(1)) == [11, 22, 21, 31, 32, 33]
    assert visited("6.18", tree(), top="/top/a") == [32, 31, 33]
    # 3.6 to 4.3: the newest first
    assert visited("3.10", tree(1)) == [11, 21, 22, 32, 31, 33]
    assert visited("3.10", tree()) == [11, 21, 22, 32, 31, 33]
    # before 3.6: all of them as the machine's list has them
    assert visited("3.4", tree(1)) == [33, 31, 22, 21, 11, 32]
    assert visited("2.6.32", tree(1)) == [33, 31, 22, 21, 11, 32]


def test_members_that_the_cgroups_file_did_not_list_come_last_as_they_started() -> None:
    snapshot = tree()
    assert snapshot.memcgs is not None
    unlisted = [m._replace(pids=()) if m.path == "/top/z" else m for m in snapshot.memcgs]
    assert visited("6.18", replace(snapshot, memcgs=tuple(unlisted)))[1:3] == [22, 21]
    later = [m._replace(pids=(21,)) if m.path == "/top/z" else m for m in snapshot.memcgs]
    assert visited("6.18", replace(snapshot, memcgs=tuple(later)))[1:3] == [21, 22]
    unknown = [m._replace(pids=None) if m.path == "/top/a" else m for m in snapshot.memcgs]
    assert visited("6.18", replace(snapshot, memcgs=tuple(unknown)))[3:] == [31, 32, 33]


def test_cgroups_of_unknown_age_come_first_and_by_name() -> None:
    snapshot = tree()
    assert snapshot.memcgs is not None
    ageless = tuple(m._replace(creation_order=None) for m in snapshot.memcgs)
    assert visited("6.18", replace(snapshot, memcgs=ageless)) == [11, 32, 31, 33, 22, 21]
    one = tuple(
        m._replace(creation_order=None if m.path == "/top/a" else 1 if m.path == "/top/z" else 2)
        for m in snapshot.memcgs
    )
    assert visited("6.18", replace(snapshot, memcgs=one)) == [11, 32, 31, 33, 22, 21]


def test_a_memcgs_scope_knows_everybody() -> None:
    snapshot = tree()
    scope = memcg_scope(snapshot, "/top", era_of("6.18").facts)
    assert scope.memcg == "/top"
    assert scope.constraint == "CONSTRAINT_MEMCG"
    assert scope.everyone == snapshot.tasks
    with pytest.raises(InputError, match=r"^memory cgroups came with Linux 2\.6\.25$"):
        memcg_scope(snapshot, "/top", era_of("2.6.24").facts)


NODES = (Node(0, 1000, 900, 850), Node(1, 600, 500, 480))


def test_a_nodes_scope_knows_its_nodes_and_everybody() -> None:
    snapshot = make_snapshot(make_task(2, mems_allowed="0"), make_task(3), nodes=NODES)
    facts = era_of("6.1").facts
    scope = node_scope(snapshot, frozenset({1}), "CONSTRAINT_CPUSET", facts)
    assert scope.nodes == frozenset({1})
    assert scope.everyone == snapshot.tasks
    assert [task.pid for task in scope.tasks] == [3]
    for machine in ({"nodes": None}, {"nodes": NODES, "swap_pages": None}):
        blind = make_snapshot(make_task(2), **machine)
        with pytest.raises(InputError, match=r"^the sizes of the memory nodes or of swap are unk"):
            node_scope(blind, frozenset({1}), "CONSTRAINT_CPUSET", facts)


def of_report(**changes: Any) -> Snapshot:
    reported = Reported("CONSTRAINT_MEMCG", "6.1", "its columns")._replace(**changes)
    return replace(make_snapshot(make_task(2)), reported=reported)


def test_a_reports_scope_is_the_ooms_own() -> None:
    snapshot = of_report(memcg="/a", totalpages_low=700, totalpages_high=900)
    wanted = Scope("CONSTRAINT_MEMCG", 700, snapshot.tasks, "/a")
    assert reported_scope(snapshot) == wanted
    assert rank(snapshot).scope == wanted
    nodes = of_report(constraint="CONSTRAINT_CPUSET", totalpages_low=600)
    assert reported_scope(nodes) == Scope("CONSTRAINT_CPUSET", 600, nodes.tasks)
    with pytest.raises(InputError, match=r"^the report does not tell the memory cgroup's limit$"):
        reported_scope(of_report(memcg="/a"))


def test_a_machine_wide_report_and_what_is_none_have_the_machines_scope() -> None:
    wide = of_report(constraint="CONSTRAINT_NONE")
    assert reported_scope(wide) is None
    assert reported_scope(make_snapshot(make_task(2))) is None
    assert rank(wide).scope == system_scope(wide)


def test_the_parent_of_a_path() -> None:
    assert [parent_of(path) for path in ("/", "/a", "/a/b")] == [None, "/", "/a"]
