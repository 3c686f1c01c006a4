"""Cascades: the order, who dies along, what is given back, and how it ends."""

from __future__ import annotations

import json
import time
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
from oomlab.analysis.choice import choose
from oomlab.analysis.freed import Freed, freed_by
from oomlab.memcg import UNLIMITED_PAGES, Memcg
from oomlab.snapshot import Snapshot, Task

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


def one_cgroup(anon: int, pids: tuple[int, ...] | None, *tasks: Task) -> Snapshot:
    """Tasks that are all in /a, which is charged for so much anonymous memory."""
    inside = tuple(task._replace(cgroups=(("", "/a"),)) for task in tasks)
    return replace(make_snapshot(*inside), memcgs=(Memcg("/a", 2, anon_pages=anon, pids=pids),))


def test_the_cgroups_own_count_bounds_what_can_be_shared() -> None:
    parent = make_task(10, 5000, rss_anon_pages=5000)
    child = make_task(11, 8000, ppid=10, rss_anon_pages=8000)
    snapshot = one_cgroup(12_000, (10, 11), parent, child)
    # 1000 pages are counted twice; each of the two CPUs may keep 64 charges to itself.
    assert freed_by(snapshot, snapshot.tasks[1:]).low_pages == 8000 - 1000 - 128
    outside = replace(snapshot, tasks=(parent._replace(cgroups=(("", "/b"),)), *snapshot.tasks[1:]))
    assert freed_by(outside, snapshot.tasks[1:]).low_pages == 3000


@pytest.mark.parametrize("pids", [None, (10, 11, 77)])
def test_with_a_member_unseen_the_cgroups_count_bounds_nothing(pids: Any) -> None:
    """Process 77, the reader itself maybe, may hold all that the two are not charged for."""
    parent, child = make_task(10, 5000), make_task(11, 8000, ppid=10)
    snapshot = one_cgroup(12_000, pids, parent, child)
    assert freed_by(snapshot, snapshot.tasks[1:]).low_pages == 3000
    below = replace(snapshot, memcgs=(Memcg("/a", 2, anon_pages=12_000, pids=(10, 11)),
                                      Memcg("/a/b", 2, anon_pages=0, pids=pids)))  # fmt: skip
    assert freed_by(below, snapshot.tasks[1:]).low_pages == 3000


def test_after_a_kill_what_is_counted_twice_is_still_what_it_was() -> None:
    stranger = make_task(10, 90_000, ppid=3)
    parent = make_task(20, 9000, ppid=4, total_vm_pages=1)
    child = make_task(21, 9000, ppid=20, total_vm_pages=2)
    # Parent and child share all: killing the stranger changes nothing of that.
    found = of(one_cgroup(99_000, (10, 20, 21), stranger, parent, child))
    assert pids(found) == [10, 21, 20]
    assert [kill.freed.low_pages for kill in found.kills] == [90_000, 0, 9000]


def test_the_last_relative_may_give_back_the_shared_memory_of_all() -> None:
    """A child holds the mappings that it inherited, though it never touched them."""
    parent = make_task(20, 900, ppid=4, rss_anon_pages=100, rss_shmem_pages=800)
    child = make_task(21, 30, ppid=20, rss_anon_pages=20, rss_shmem_pages=10)
    grandchild = make_task(22, 9, ppid=21, rss_anon_pages=9, rss_shmem_pages=0)
    stranger = make_task(40, 5, ppid=9, rss_anon_pages=5, rss_shmem_pages=0)
    found = of(make_snapshot(parent, child, grandchild, stranger))
    assert pids(found) == [20, 21, 22, 40]
    assert [kill.freed.shared_pages for kill in found.kills] == [800, 810, 810, 0]
    assert [kill.total.shared_pages for kill in found.kills] == [800, 810, 810, 810]


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
    assert freed_by(snapshot, tasks).shared_pages == 120
    assert [kill.total.high_pages for kill in of(snapshot).kills] == [100, 120, 120]
    assert freed_by(replace(snapshot, memcgs=None), tasks).shared_pages == 300


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


ERAS = ["2.6.30", "2.6.34", "2.6.38", "3.1.0", "4.4.0", "4.19.0", "5.4.0", "6.18.44"]
person = st.tuples(
    st.sampled_from([5, 5, 90, 400]), st.integers(1, 6), st.sampled_from([0, 0, 0, 9, -9, -1000]),
    st.sampled_from(["/a", "/a/b", "/c"]), st.sampled_from([7, 8]), st.sampled_from([0, 0, 3]),
)  # fmt: skip


@given(st.lists(person, min_size=1, max_size=10), st.sampled_from(ERAS), st.booleans())
def test_each_kill_is_the_choice_among_who_is_left(
    people: list[tuple[int, int, int, str, int, int]], release: str, of_cgroup: bool
) -> None:
    """The indexes that a cascade keeps give what ranking anew before each kill gives."""
    tasks = [
        make_task(pid, pages, adj, oom_adj=-17 if adj == -1000 else adj // 9, ppid=parent,
                  cgroups=(("", path),), total_vm_pages=vm, swap_pages=swap, comm=f"w{parent % 2}")
        for pid, (pages, parent, adj, path, vm, swap) in enumerate(people, 2)
    ]  # fmt: skip
    memcgs = tuple(
        Memcg(path, 2, limit_pages=5000, oom_group=path == "/a", swap_limit_pages=9)
        for path in ("/a", "/a/b", "/c")
    )
    swap = {"swap_pages": 9, "swapped_out_pages": 9}
    snapshot = replace(make_snapshot(*tasks, release=release, **swap), memcgs=memcgs)
    memcg = "/a" if of_cgroup else None
    found = cascade(oomlab.rank(snapshot, memcg=memcg, kernel=release))
    for kill in found.kills:
        ranking = oomlab.rank(snapshot, memcg=memcg, kernel=release)
        choice = choose(ranking)
        assert choice.killed == kill.choice.killed
        assert set(choice.perhaps) == set(kill.choice.perhaps)
        if not ranking.era.facts.partner_protects:  # there the first of the ranking may be spared
            assert {s.task for s in ranking.possible_victims} == set(kill.possible)
        assert kill.number > 1 or kill.freed == freed_by(snapshot, choice.killed, choice.perhaps)
        left = tuple(task for task in snapshot.tasks if task not in choice.killed)
        snapshot = replace(snapshot, tasks=left)
    assert choose(oomlab.rank(snapshot, memcg=memcg, kernel=release)).victim is None
    assert found.left.snapshot.tasks == snapshot.tasks


def test_thousands_that_look_alike_are_counted_not_listed() -> None:
    tasks = [make_task(pid, 50, ppid=5, comm="w", total_vm_pages=9) for pid in range(10, 3010)]
    before = time.process_time()
    found = of(make_snapshot(*tasks, swap_pages=9, swapped_out_pages=9))
    assert time.process_time() - before < 10  # a hang, not a speed: usually 0.2 s
    assert len(found.kills) == 3000
    first, last = found.kills[0], found.kills[-1]
    assert (len(first.choice.perhaps), first.choice.more_perhaps) == (20, True)
    assert len(first.possible) + first.more_possible == 3000
    assert (len(last.possible), last.more_possible, last.choice.perhaps) == (1, 0, ())
    assert not found.is_certain


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
    few = run_cli("cascade", "--from", NODE, "--protect", "web", "-n", "3")[1]
    assert "None of the protected dies." in few
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


def test_a_listing_is_short_unless_all_is_asked_for(run_cli: Run) -> None:
    def rows(*arguments: str) -> list[str]:
        lines = run_cli("cascade", "--from", NODE, *arguments)[1].splitlines()
        return [line for line in lines if line[:6].strip().isdecimal()]

    short = run_cli("cascade", "--from", NODE)[1]
    every = json.loads(run_cli("cascade", "--from", NODE, "--format", "json")[1])["kills"]
    assert len(every) > 30
    assert short.startswith(f"If memory ran out now, {len(every)} kills would free ")
    assert f"and {len(every) - 10} more (--all lists them)." in short
    assert "Then nobody is left whom the kernel may kill: it would panic." in short
    assert (len(rows()), len(rows("--all")), len(rows("-n", "12"))) == (10, len(every), 12)
    assert run_cli("cascade", "--from", NODE, "--format", "csv")[1].count("\n") == len(every) + 1
