"""Cascades: the order, who dies along, what is given back, and how it ends."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from conftest import make_snapshot, make_task
from hypothesis import given
from hypothesis import strategies as st
from node_fixture import make_node

import oomlab
from oomlab.analysis.cascade import Cascade, cascade
from oomlab.analysis.freed import Freed, freed_by, shared_at_most
from oomlab.snapshot import UNLIMITED_PAGES, Memcg, Snapshot, Task

Run = Callable[..., tuple[int, str, str]]
NODE = "fixtures/node.json"


def of(snapshot: Snapshot, **given: Any) -> Cascade:
    return cascade(oomlab.rank(snapshot), **given)


def pids(found: Cascade) -> list[int]:
    return [kill.victim.pid for kill in found.kills]


def test_one_after_the_other_until_nobody_is_left() -> None:
    snapshot = make_snapshot(
        make_task(2, 30), make_task(3, 50), make_task(4, 40), make_task(5, 90, -1000)
    )
    found = of(snapshot)
    assert (pids(found), found.end) == ([3, 4, 2], "nobody")
    assert [score.task.pid for score in found.left] == [5]


def test_it_ends_when_so_much_is_surely_free() -> None:
    snapshot = make_snapshot(
        make_task(2, 30), make_task(3, 50, rss_anon_pages=10), make_task(4, 40)
    )
    # Of the first one 40 pages are of files: they would have gone before.
    assert pids(of(snapshot, free_pages=50)) == [3, 4]
    assert of(snapshot, free_pages=50).end == "freed"
    assert of(snapshot, free_pages=81).end == "nobody"
    assert of(snapshot, free_pages=0).kills == ()
    assert (of(snapshot, most=1).end, pids(of(snapshot, most=1))) == ("count", [3])


def test_equals_die_in_the_order_of_the_kernels_ties() -> None:
    tasks = [make_task(pid, 30, ppid=pid + 100) for pid in (2, 3, 4)]
    assert pids(of(make_snapshot(*tasks))) == [4, 3, 2]
    assert pids(of(make_snapshot(*tasks, release="5.2.0"))) == [2, 3, 4]


def test_old_kernels_sacrifice_a_child_first_and_score_the_rest_anew() -> None:
    parent = make_task(10, 500, total_vm_pages=500)
    child = make_task(11, 5, ppid=10, total_vm_pages=6)
    snapshot = make_snapshot(parent, child, release="4.19.0")
    assert pids(of(snapshot)) == [11, 10]
    assert of(snapshot).kills[0].choice.chosen is not None
    assert pids(of(replace(snapshot, machine=snapshot.machine._replace(release="5.4.0")))) == [
        10,
        11,
    ]


def test_a_group_dies_together_and_frees_together() -> None:
    def member(pid: int, pages: int, adj: int = 0) -> Task:
        return make_task(
            pid, pages, adj, cgroups=(("", "/g/a" if pid < 8 else "/h"),), ppid=pid + 90
        )

    memcgs = (Memcg("/g", 2, limit_pages=900, oom_group=True), Memcg("/g/a", 2), Memcg("/h", 2))
    tasks = (member(5, 100), member(6, 20), member(7, 30, -1000), member(8, 40))
    found = of(replace(make_snapshot(*tasks), memcgs=memcgs))
    assert [[task.pid for task in kill.choice.killed] for kill in found.kills] == [[5, 6], [8]]
    assert [kill.freed.low_pages for kill in found.kills] == [120, 40]
    assert found.kills[-1].total.low_pages == 160


def test_panics_are_no_kills() -> None:
    found = of(make_snapshot(make_task(2), panic_on_oom=1))
    assert (found.kills, found.end) == ((), "panics")


def test_the_first_kill_that_hits_a_protected_one_is_told() -> None:
    snapshot = make_snapshot(make_task(2, 30), make_task(3, 50), make_task(4, 40))
    found = of(snapshot, protected={2, 4})
    assert found.first_protected is not None
    assert (found.first_protected.number, found.first_protected.victim.pid) == (2, 4)


# What is given back.


def test_private_memory_swap_and_tables_go_files_do_not() -> None:
    task = make_task(2, 100, rss_anon_pages=60, rss_file_pages=30, rss_shmem_pages=10,
                     swap_pages=7, pagetable_bytes=5 * 4096)  # fmt: skip
    freed = freed_by(make_snapshot(task, make_task(3)), [task])
    assert freed == Freed(72, 82, 7, 7, 10)


def test_pages_that_a_forked_relative_may_hold_are_not_surely_free() -> None:
    parent = make_task(10, 50, rss_anon_pages=50)
    child = make_task(11, 80, ppid=10, rss_anon_pages=80)
    stranger = make_task(12, 500, ppid=1)
    snapshot = make_snapshot(parent, child, stranger)
    assert freed_by(snapshot, [child]) == Freed(30, 80)
    assert freed_by(snapshot, [parent]) == Freed(0, 50)
    # Both together: what they share is given back once.
    assert freed_by(snapshot, [parent, child]) == Freed(80, 130)


@pytest.mark.parametrize(("name", "low"), [("worker", 20), ("other", 100)])
def test_siblings_of_one_name_may_share_those_of_another_are_other_programs(
    name: str, low: int
) -> None:
    one = make_task(20, 100, comm="worker", ppid=5, total_vm_pages=9)
    two = make_task(21, 80, comm=name, ppid=5, total_vm_pages=8)
    assert freed_by(make_snapshot(one, two), [one]).low_pages == low


def test_the_cgroups_own_count_bounds_what_can_be_shared() -> None:
    inside = (("", "/a"),)
    parent = make_task(10, 5000, rss_anon_pages=5000, cgroups=inside)
    child = make_task(11, 8000, ppid=10, rss_anon_pages=8000, cgroups=inside)
    snapshot = replace(make_snapshot(parent, child), memcgs=(Memcg("/a", 2, anon_pages=12_000),))
    # 1000 pages are counted twice; each of the two CPUs may keep 64 charges to itself.
    assert freed_by(snapshot, [child]).low_pages == 8000 - 1000 - 128
    outside = replace(snapshot, tasks=(parent._replace(cgroups=(("", "/b"),)), child))
    assert freed_by(outside, [child]).low_pages == 3000


def test_a_survivor_on_the_same_memory_map_keeps_it() -> None:
    same = {"total_vm_pages": 77, "pagetable_bytes": 4096, "ppid": 4, "comm": "w"}
    one, two = make_task(30, 50, **same), make_task(31, 50, -1000, **same)
    snapshot = make_snapshot(one, two)
    assert freed_by(snapshot, [one]).low_pages == 0
    # From 4.8 on it would die, too, if it is on the map; if not, it may still be a fork.
    assert freed_by(snapshot, [one], perhaps=[two]).low_pages == 1


def test_before_4_5_rss_is_not_told_apart() -> None:
    task = make_task(2, 100, rss_anon_pages=None, rss_file_pages=None, rss_shmem_pages=None)
    assert freed_by(make_snapshot(task), [task]) == Freed(0, 100)
    unknown = make_task(2, 100, swap_pages=None)
    assert freed_by(make_snapshot(unknown, swap_pages=5), [unknown]).high_pages is None


def test_shared_memory_is_counted_no_more_often_than_it_is_there() -> None:
    tasks = [make_task(pid, 100, rss_anon_pages=0, rss_shmem_pages=100, ppid=pid + 50,
                       cgroups=(("", "/a"),)) for pid in (2, 3, 4)]  # fmt: skip
    snapshot = replace(make_snapshot(*tasks), memcgs=(Memcg("/a", 2, shmem_pages=120),))
    assert shared_at_most(snapshot, tasks) == 120
    assert [kill.total.high_pages for kill in of(snapshot).kills] == [100, 120, 120]
    assert shared_at_most(replace(snapshot, memcgs=None), tasks) == 300


@given(
    st.lists(
        st.tuples(st.integers(1, 400), st.integers(0, 60), st.integers(1, 9), st.integers(-20, 20)),
        min_size=1, max_size=12,
    )
)  # fmt: skip
def test_the_totals_add_up_and_the_order_is_the_rankings(
    people: list[tuple[int, int, int, int]],
) -> None:
    tasks = [
        make_task(pid, pages, adj, swap_pages=swap, ppid=parent, total_vm_pages=pid)
        for pid, (pages, swap, parent, adj) in enumerate(people, 2)
    ]
    snapshot = make_snapshot(*tasks)
    found = of(snapshot)
    assert pids(found) == [score.task.pid for score in oomlab.rank(snapshot).killable]
    last = 0
    for kill in found.kills:
        assert kill.freed.high_pages is not None
        assert 0 <= kill.freed.low_pages <= kill.freed.high_pages
        assert kill.total.low_pages == last + kill.freed.low_pages
        last = kill.total.low_pages


def test_a_thousand_tasks_to_the_end() -> None:
    tasks = [make_task(pid, pid % 700 + 1, total_vm_pages=pid) for pid in range(2, 1002)]
    assert len(of(make_snapshot(*tasks)).kills) == 1000


# The command.


def test_the_answer_comes_first(run_cli: Run) -> None:
    status, out, err = run_cli("cascade", "--from", NODE, "--free", "1500M")
    assert (status, err) == (0, "")
    assert out.startswith(
        "If memory ran out now, 3 kills would free 2.3G: 594 (Rscript), 566 (fluent-bit), 545 "
        "(java)."
    )


def test_protected_processes_are_named_by_any_selector(run_cli: Run) -> None:
    out = run_cli("cascade", "--from", NODE, "--protect", "prod/shop-7f9c,web", "--protect", "tar")[
        1
    ]
    assert "Protected 566 (fluent-bit) dies in kill 2, when 892M are free." in out
    status, _, err = run_cli("cascade", "--from", NODE, "--protect", "nope")
    assert status == 2
    assert "no process, unit, container, pod or user 'nope' here" in err


def test_json_has_each_kill_in_bytes(run_cli: Run) -> None:
    out = run_cli("cascade", "--from", NODE, "--cgroup", "app", "--all", "--format", "json")[1]
    document = json.loads(out)
    assert (document["schema"], document["end"]) == ("oomlab.cascade/1", "nobody")
    (kill,) = document["kills"]
    assert [task["comm"] for task in kill["killed"]] == ["java", "sh"]
    java = next(task for task in make_node().tasks if task.comm == "java")
    assert kill["freed"]["swap_high_bytes"] == (java.swap_pages or 0) * 4096
    assert kill["total"] == kill["freed"]


def test_a_cgroup_in_which_nobody_may_be_killed(run_cli: Run, tmp_path: Any) -> None:
    task = make_task(7, 100, -1000, cgroups=(("", "/a"),))
    memcg = Memcg("/a", 2, limit_pages=200, swap_limit_pages=UNLIMITED_PAGES)
    path = tmp_path / "s.json"
    oomlab.save_snapshot(replace(make_snapshot(task), memcgs=(memcg,)), path)
    out = run_cli("cascade", "--cgroup", "/a", "--from", str(path))[1]
    assert out.startswith("If memory cgroup /a ran out of memory now, the kernel would find nobody")


@pytest.mark.parametrize("form", ["csv", "markdown", "table"])
def test_every_format(form: str, run_cli: Run) -> None:
    names = "kill,pid,adj,badness,with,frees,most,total,name,note"
    status, out, _ = run_cli("cascade", "--from", NODE, "--format", form, "--columns", names)
    assert status == 0
    assert "Rscript" in out


def test_bad_sizes_and_columns(run_cli: Run) -> None:
    for bad in (
        ("--free", "lots"),
        ("--columns", "nope"),
        ("--cgroup", "nope"),
        ("--cgroup", ""),
        ("--protect", ""),
        ("--protect", "postgres,"),
    ):
        status, out, err = run_cli("cascade", "--from", NODE, *bad)
        assert (status, out, err.count("\n")) == (2, "", 1)


@pytest.mark.parametrize("arguments", [("-n", "0"), ("--free", "0")])
def test_no_kill_asked_for_is_no_panic(arguments: tuple[str, ...], run_cli: Run) -> None:
    status, out, _ = run_cli("cascade", "--from", NODE, *arguments)
    assert status == 0
    assert "there would be kills, but none was asked for" in out
    assert "panic" not in out
