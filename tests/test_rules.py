"""Settings, bounds and consequences: the rules beside the formula, by small cases."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from conftest import make_machine, make_snapshot, make_task
from hypothesis import given, settings
from hypothesis import strategies as st

from oomlab import InputError, choose, rank
from oomlab.analysis.whatif import set_oom_adj
from oomlab.kernel.adjust import refusal, to_oom_adj, to_oom_score_adj, value_range
from oomlab.kernel.eras import era_of
from oomlab.kernel.nodes import nodes_in
from oomlab.kernel.sacrifice import partners
from oomlab.kernel.scope import memcg_scope, node_scope, system_scope
from oomlab.kernel.selection import scorer
from oomlab.kernel.sharing import likely_share_mm, may_share_mm
from oomlab.kernel.usage import usage_reader
from oomlab.memcg import Memcg
from oomlab.snapshot import Node, Snapshot, Task

ROOT_CAPS = (1 << 38) - 1


@pytest.mark.parametrize(
    ("kernel", "file", "value", "now", "minimum", "privileged", "error"),
    [
        ("2.6.19", "oom_adj", 5, {"oom_adj": 0}, 0, False, "EPERM"),
        ("2.6.19", "oom_adj", 5, {"oom_adj": 0}, 0, True, None),
        ("2.6.20", "oom_adj", 5, {"oom_adj": 0}, 0, False, None),
        ("2.6.20", "oom_adj", -1, {"oom_adj": 0}, 0, False, "EACCES"),
        ("2.6.20", "oom_adj", 0, {"oom_adj": 0}, 0, False, None),
        ("2.6.20", "oom_adj", -1, {"oom_adj": 0}, 0, True, None),
        ("2.6.35", "oom_score_adj", 5, {"oom_adj": 0}, 0, True, "ENOENT"),
        ("2.6.37", "oom_score_adj", -1, {"oom_score_adj": 0}, -500, False, "EACCES"),
        ("2.6.37", "oom_score_adj", 99, {"oom_score_adj": 100}, 0, False, "EACCES"),
        ("2.6.38", "oom_score_adj", 99, {"oom_score_adj": 100}, 0, False, None),
        ("2.6.38", "oom_score_adj", -500, {"oom_score_adj": 0}, -500, False, None),
        ("2.6.38", "oom_score_adj", -501, {"oom_score_adj": 0}, -500, False, "EACCES"),
        ("3.6", "oom_adj", 0, {"oom_adj": 0, "oom_score_adj": 30}, 0, False, None),
        ("3.7", "oom_adj", 0, {"oom_adj": 0, "oom_score_adj": 30}, 0, False, "EACCES"),
        ("3.7", "oom_adj", 1, {"oom_adj": 0, "oom_score_adj": 58}, 0, False, None),
        ("6.1", "oom_adj", -18, {"oom_score_adj": 0}, 0, True, "EINVAL"),
        ("6.1", "oom_adj", 16, {"oom_score_adj": 0}, 0, True, "EINVAL"),
        ("6.1", "oom_score_adj", 1001, {"oom_score_adj": 0}, 0, True, "EINVAL"),
        ("6.1", "oom_score_adj", -1001, {"oom_score_adj": 0}, 0, True, "EINVAL"),
        ("6.1", "oom_score_adj", -1000, {"oom_score_adj": 0}, 0, True, None),
        ("6.1", "oom_score_adj", 1000, {"oom_score_adj": 0}, 0, False, None),
        ("6.1", "oom_adj", 15, {"oom_score_adj": 0}, 0, False, None),
        # what is unknown counts as 0
        ("2.6.37", "oom_score_adj", 0, {}, 0, False, None),
        ("2.6.37", "oom_score_adj", -1, {}, 0, False, "EACCES"),
        ("2.6.20", "oom_adj", 0, {}, 0, False, None),
        ("2.6.20", "oom_adj", -1, {}, 0, False, "EACCES"),
        ("3.7", "oom_adj", 0, {}, 0, False, None),
        ("2.6.20", "oom_adj", 4, {"oom_adj": 5}, 0, False, "EACCES"),
        ("2.6.36", "oom_adj", 4, {"oom_adj": 5}, 0, False, "EACCES"),
        ("2.6.36", "oom_adj", 5, {"oom_adj": 5}, 0, False, None),
        # only oom_score_adj is known: 300 is 4.5 of 15
        ("2.6.36", "oom_adj", 3, {"oom_score_adj": 300}, 0, False, "EACCES"),
        ("2.6.36", "oom_adj", 4, {"oom_score_adj": 300}, 0, False, None),
        ("2.6.11", "oom_adj", -17, {"oom_adj": 0}, 0, True, "EINVAL"),
        ("2.6.12", "oom_adj", -17, {"oom_adj": 0}, 0, True, None),
    ],
)
def test_who_may_write_what(
    kernel: str,
    file: Any,
    value: int,
    now: dict[str, int],
    minimum: int,
    privileged: bool,
    error: str | None,
) -> None:
    task = Task(pid=9, comm="t")._replace(**now)  # type: ignore[arg-type]
    facts = era_of(kernel).facts
    found = refusal(facts, file, value, now=task, minimum=minimum, privileged=privileged)
    assert found == error


@settings(deadline=None)
@given(st.integers(-17, 15))
def test_only_three_values_of_oom_adj_survive_writing_and_reading(value: int) -> None:
    back = to_oom_adj(to_oom_score_adj(value), era_of("6.1").facts)
    nearer = value - (value > 0) + (value < 0)
    assert back == (value if value in (-17, 0, 15) else nearer)


def test_ranges() -> None:
    assert value_range(era_of("2.6.11").facts, "oom_adj") == (-16, 15)
    assert value_range(era_of("6.1").facts, "oom_score_adj") == (-1000, 1000)


def test_an_old_setting_alone_is_converted_for_newer_rules_and_back() -> None:
    only_old = make_task(5, pages=500)._replace(oom_score_adj=None, oom_adj=5)
    snapshot = make_snapshot(only_old, release="3.16", ram_pages=100_000)
    assert rank(snapshot)[0].badness == 500 + 294 * 100
    disabled = make_snapshot(only_old._replace(oom_adj=-17), release="3.16")
    assert rank(disabled)[0].why_not == "oom_score_adj -1000"
    new = make_task(5, adj=294, total_vm_pages=25_600, threads=1, cpu_ticks=0, nice=0)
    assert rank(make_snapshot(new), kernel="2.6.32")[0].badness == 25_600 << 4


def test_oom_adj_as_an_edit() -> None:
    snapshot = make_snapshot(make_task(5))
    task = set_oom_adj(snapshot, pid=5, oom_adj=-5).tasks[0]
    assert (task.oom_adj, task.oom_score_adj) == (-5, -294)
    for wrong in (-18, 16):
        with pytest.raises(InputError):
            set_oom_adj(snapshot, pid=5, oom_adj=wrong)


@pytest.mark.parametrize(
    ("text", "nodes"), [("0", {0}), ("0-1,3", {0, 1, 3}), ("", set()), ("5-5\n", {5})]
)
def test_lists_of_nodes(text: str, nodes: set[int]) -> None:
    assert nodes_in(text) == nodes


def test_what_is_no_list_of_nodes_is_an_error() -> None:
    with pytest.raises(InputError, match="not a list"):
        nodes_in("(null)")


NODES = (Node(0, 1000, 900, 880), Node(1, 600, 500, 480))


def test_some_nodes_count_spanned_pages_then_present_ones() -> None:
    near, far = make_task(2, mems_allowed="0"), make_task(3, mems_allowed="0-1")
    snapshot = make_snapshot(near, far, nodes=NODES, swap_pages=50)
    only_1 = frozenset({1})
    for kernel, pages in (("5.3", 650), ("5.4", 550)):
        scope = node_scope(snapshot, only_1, "CONSTRAINT_CPUSET", era_of(kernel).facts)
        assert (scope.totalpages, [task.pid for task in scope.tasks]) == (pages, [3])
    scope = node_scope(snapshot, only_1, "CONSTRAINT_MEMORY_POLICY", era_of("6.1").facts)
    assert [task.pid for task in scope.tasks] == [2, 3]
    both = node_scope(snapshot, frozenset({0, 1}), "CONSTRAINT_CPUSET", era_of("6.1").facts)
    assert both.totalpages == 1450
    with pytest.raises(InputError):
        node_scope(snapshot, frozenset({2}), "CONSTRAINT_CPUSET", era_of("6.1").facts)


@pytest.mark.parametrize(
    ("shown", "asked", "changes", "low", "pages", "high"),
    [
        # the same levels, or fewer than are shown
        ("3.10", "3.13", {}, 110, 110, 110),
        ("4.9", "3.16", {"pmd_bytes": 3 * 4096}, 110, 110, 110),
        ("4.9", "4.14", {"pmd_bytes": 3 * 4096}, 113, 113, 113),
        ("6.1", "4.15", {}, 110, 110, 110),
        ("3.10", "2.6.36", {}, 100, 100, 100),
        # the second level, or it and the third, lie between none and as many as below
        ("3.16", "4.0", {}, 110, 110, 120),
        ("3.16", "4.15", {}, 110, 110, 130),
        ("2.6.36", "3.10", {}, 110, 110, 110),
        ("4.9", "4.15", {"pmd_bytes": 3 * 4096}, 113, 113, 116),
        # the sum of all levels: each anonymous or swapped page has an entry in the last
        ("6.1", "4.14", {"rss_anon_pages": 100}, 101, 110, 110),
        ("6.1", "3.10", {"rss_anon_pages": 1025}, 103, 110, 110),
        ("6.1", "3.10", {"rss_anon_pages": 0}, 100, 110, 110),
        ("6.1", "3.10", {"rss_anon_pages": 1 << 30}, 110, 110, 110),
    ],
)
def test_page_tables_of_another_era_lie_between_bounds(
    shown: str, asked: str, changes: dict[str, Any], low: int, pages: int, high: int
) -> None:
    task = make_task(5, pages=100, pagetable_bytes=10 * 4096)._replace(**changes)
    read = usage_reader(era_of(asked).facts, make_machine(release=shown))
    assert read(task) == (pages, low, high)


def test_unknown_page_tables_stay_unknown() -> None:
    task = make_task(5, pages=100)._replace(pagetable_bytes=None)
    for shown, asked in (("6.1", "3.10"), ("3.16", "4.15"), ("6.1", "6.1")):
        assert usage_reader(era_of(asked).facts, make_machine(release=shown))(task) is None
    assert usage_reader(era_of("2.6.36").facts, make_machine(release="6.1"))(task) is not None


SAME = {"total_vm_pages": 900, "pagetable_bytes": 8192}


@pytest.mark.parametrize(
    ("changes", "may", "likely"),
    [
        ({}, True, True),
        ({"rss_pages": 1004, "rss_stat_pages": 1004}, True, True),
        ({"rss_pages": 1005, "rss_stat_pages": 1005}, True, False),
        ({"total_vm_pages": 901}, False, False),
        ({"pagetable_bytes": 4096}, False, False),
        ({"pmd_bytes": 4096}, False, False),
        ({"has_mm": False}, False, False),
        ({"rss_pages": None, "rss_stat_pages": None}, True, False),
    ],
)
def test_who_may_be_on_one_memory_map(changes: dict[str, Any], may: bool, likely: bool) -> None:
    one = make_task(2, **SAME)
    other = make_task(3, **SAME)._replace(**changes)
    for a, b in ((one, other), (other, one)):
        assert (may_share_mm(a, b), likely_share_mm(a, b)) == (may, likely)


def victim(snapshot: Snapshot, kernel: str, **options: Any) -> int | None:
    found = choose(rank(snapshot, kernel=kernel), **options).victim
    return None if found is None else found.pid


PARENT = make_task(2, pages=9000, total_vm_pages=9000, threads=1, cpu_ticks=0, nice=0)


def child(pid: int, pages: int, **changes: Any) -> Task:
    values = {"ppid": 2, "total_vm_pages": pages, "threads": 1, "cpu_ticks": 0, "nice": 0}
    return make_task(pid, pages=pages, **(values | changes))


@pytest.mark.parametrize(
    ("kernel", "dies"),
    [("2.6.11", 3), ("2.6.35", 3), ("2.6.36", 5), ("2.6.39", 4), ("5.0", 4), ("5.1", 2)],
)
def test_a_child_dies_in_its_parents_place_until_5_0(kernel: str, dies: int) -> None:
    # 5 looks as if it were on its parent's map; 2.6.36 to 2.6.38 did not ask.
    sharing = make_task(5, pages=9000, ppid=2, total_vm_pages=9000, threads=1, cpu_ticks=0)
    sharing = sharing._replace(nice=0, oom_score_adj=-1)
    family = make_snapshot(PARENT, child(3, 20), child(4, 800), sharing, ram_pages=100_000)
    assert victim(family, kernel) == dies


def test_a_child_that_cannot_be_killed_is_no_sacrifice() -> None:
    for changes in ({"oom_score_adj": -1000}, {"has_mm": False}):
        family = make_snapshot(PARENT, child(3, 20)._replace(**changes))
        assert victim(family, "4.4") == 2
        assert victim(family, "2.6.35") == 2


def test_a_child_outside_the_cgroup_dies_until_2_6_32_only() -> None:
    inside = PARENT._replace(cgroups=(("memory", "/a"),))
    outside = child(3, 20, cgroups=(("memory", "/"),))
    group = Memcg(path="/a", version=1, limit_pages=10_000)
    snapshot = make_snapshot(inside, outside)
    snapshot = Snapshot(machine=snapshot.machine, tasks=snapshot.tasks, memcgs=(group,))
    for kernel, dies in (("2.6.32", 3), ("2.6.33", 2), ("4.4", 2)):
        found = choose(rank(snapshot, kernel=kernel, memcg="/a")).victim
        assert found is not None
        assert found.pid == dies
    with pytest.raises(InputError, match=r"2\.6\.25"):
        memcg_scope(snapshot, "/a", era_of("2.6.24").facts)


@pytest.mark.parametrize(
    ("kernel", "adj", "perhaps"),
    [
        ("2.6.19", 0, [3]),
        ("2.6.20", 0, []),
        ("2.6.31", 0, [3]),
        ("2.6.32", 0, []),
        ("2.6.37", 0, [3]),
        ("3.2", 0, [3]),
        ("3.2", -1000, []),
        ("4.7", -1000, []),
        ("4.8", -1000, [3]),
        ("6.1", 0, [3]),
    ],
)
def test_who_dies_with_the_victims_memory_map(kernel: str, adj: int, perhaps: list[int]) -> None:
    same = {"total_vm_pages": 9000, "threads": 1, "cpu_ticks": 0, "nice": 0}
    one = make_task(2, pages=9000, **same)
    other = make_task(3, pages=9000, adj=adj, **same)._replace(ppid=7, oom_score_adj=adj or -5)
    if adj:
        other = other._replace(oom_score_adj=adj)
    init = make_task(1, pages=9000, **same)
    choice = choose(rank(make_snapshot(init, one, other), kernel=kernel))
    assert choice.victim == one
    assert [task.pid for task in choice.perhaps] == perhaps


@pytest.mark.parametrize(("kernel", "dies"), [("2.6.36", 2), ("2.6.37", 4), ("3.1", 4), ("3.2", 2)])
def test_a_partner_at_minus_1000_protected_from_2_6_37_to_3_1(kernel: str, dies: int) -> None:
    same = {"total_vm_pages": 9000}
    tasks = [
        make_task(2, pages=9000, **same),
        make_task(3, pages=9000, adj=-1000, **same)._replace(ppid=9),
        make_task(4, pages=50, total_vm_pages=60),
    ]
    assert victim(make_snapshot(*tasks, ram_pages=10_000), kernel) == dies


@pytest.mark.parametrize(("kernel", "dies"), [("2.6.20", 2), ("2.6.21", None), ("2.6.31", None)])
def test_a_partner_at_minus_17_refused_the_kill(kernel: str, dies: int | None) -> None:
    same = {"total_vm_pages": 9000, "threads": 1, "cpu_ticks": 0, "nice": 0}
    tasks = [
        make_task(2, pages=9000, oom_adj=0, **same),
        make_task(3, pages=9000, oom_adj=-17, **same)._replace(ppid=9),
    ]
    assert victim(make_snapshot(*tasks), kernel) == dies


def grouped(kernel: str, *settings_of: tuple[str, bool]) -> list[int]:
    paths = {2: "/a/b", 3: "/a/b", 4: "/a/c", 5: "/d", 6: "/a/b"}
    tasks = [
        make_task(pid, pages=9000 - pid, adj=-1000 if pid == 6 else 0, cgroups=(("", path),))
        for pid, path in paths.items()
    ]
    memcgs = tuple(
        Memcg(path=path, version=2, limit_pages=50_000, oom_group=group)
        for path, group in settings_of
    )
    snapshot = make_snapshot(*tasks)
    snapshot = Snapshot(machine=snapshot.machine, tasks=snapshot.tasks, memcgs=memcgs)
    return sorted(task.pid for task in choose(rank(snapshot, kernel=kernel)).killed)


@pytest.mark.parametrize(
    ("kernel", "groups", "die"),
    [
        ("4.18", [("/a/b", True)], [2]),
        ("4.19", [("/a/b", True)], [2, 3]),
        ("6.1", [("/a", True), ("/a/b", False)], [2, 3, 4]),
        ("6.1", [("/a", True), ("/a/b", True)], [2, 3, 4]),
        ("6.1", [("/", True), ("/a/b", False)], [2]),
        ("6.1", [("/d", True)], [2]),
    ],
)
def test_the_highest_group_dies_whole(
    kernel: str, groups: list[tuple[str, bool]], die: list[int]
) -> None:
    assert grouped(kernel, *groups) == die


@pytest.mark.parametrize(
    ("memcg", "groups", "die"),
    [
        # a group above the OOM's own cgroup is not touched
        ("/a/b", ["/a", "/a/b"], [2, 3]),
        ("/a/b", ["/a"], [2]),
        ("/a", ["/a"], [2, 3, 4]),
        ("/a", ["/a/b"], [2, 3]),
        ("/a", ["/z", "/a"], [2, 3, 4]),
    ],
)
def test_a_group_is_killed_up_to_the_cgroup_whose_limit_it_is(
    memcg: str, groups: list[str], die: list[int]
) -> None:
    paths = {2: "/a/b", 3: "/a/b", 4: "/a/c", 5: "/d"}
    tasks = [make_task(pid, 9000 - pid, cgroups=(("", path),)) for pid, path in paths.items()]
    memcgs = tuple(
        Memcg(path, 2, limit_pages=50_000, swap_limit_pages=0, oom_group=path in groups)
        for path in ("/", "/a", "/a/b", "/a/c", "/d", "/z")
    )
    snapshot = replace(make_snapshot(*tasks), memcgs=memcgs)
    assert sorted(t.pid for t in choose(rank(snapshot, memcg=memcg)).killed) == die


def test_the_highest_group_is_the_one_nearest_to_the_root_and_not_the_first_by_name() -> None:
    task = make_task(2, 9000, cgroups=(("", "/b/a"),))
    other = make_task(3, 8000, cgroups=(("", "/b/c"),))
    memcgs = (Memcg("/b/a", 2, oom_group=True), Memcg("/b", 2, oom_group=True))
    snapshot = replace(make_snapshot(task, other), memcgs=memcgs)
    assert {t.pid for t in choose(rank(snapshot)).killed} == {2, 3}


@pytest.mark.parametrize(
    ("kernel", "container", "die"),
    [("5.0", True, [1, 2]), ("6.18", True, [1, 2]), ("6.18", False, [2]), ("5.0", False, [1, 2])],
)
def test_only_the_global_init_survives_its_group(
    kernel: str, container: bool, die: list[int]
) -> None:
    tasks = [make_task(pid, 1000 * pid, cgroups=(("", "/a"),)) for pid in (1, 2)]
    snapshot = make_snapshot(*tasks, init_pid_namespace=not container)
    snapshot = replace(snapshot, memcgs=(Memcg("/a", 2, oom_group=True),))
    assert sorted(t.pid for t in choose(rank(snapshot, kernel=kernel)).killed) == die


def test_the_rss_of_either_file_tells_who_may_share_a_map() -> None:
    one = make_task(2, 1000, total_vm_pages=5000)
    twin = make_task(3, total_vm_pages=5000, rss_pages=None, rss_stat_pages=1003)
    assert likely_share_mm(one, twin)
    assert not likely_share_mm(one, twin._replace(rss_stat_pages=1005))
    assert not likely_share_mm(one, twin._replace(rss_stat_pages=None))
    assert not likely_share_mm(one, twin._replace(rss_pages=2000))


@pytest.mark.parametrize(
    ("adj", "oom_adj", "shift"), [(None, 2, 2), (176, None, 2), (177, None, 3), (-58, None, 0)]
)
def test_legacy_rules_read_oom_adj_or_what_oom_score_adj_amounts_to(
    adj: int | None, oom_adj: int | None, shift: int
) -> None:
    known = {"total_vm_pages": 100, "threads": 1, "cpu_ticks": 0, "start_ticks": 0}
    tasks = [
        make_task(5, oom_adj=oom_adj, **known)._replace(oom_score_adj=adj),
        make_task(6, oom_adj=0, **known),
    ]
    scores = {s.task.pid: s.badness for s in rank(make_snapshot(*tasks), kernel="2.6.32")}
    assert scores == {5: 100 << shift, 6: 100}


def test_who_asks_for_memory_is_chosen_where_the_setting_says_so() -> None:
    tasks = [make_task(2, pages=9000), make_task(3, pages=10)]
    allocating = make_snapshot(*tasks, oom_kill_allocating_task=1)
    assert victim(allocating, "6.1", current=3) == 3
    assert victim(allocating, "6.1") == 2
    assert victim(make_snapshot(*tasks, oom_kill_allocating_task=0), "6.1", current=3) == 2
    protected = make_snapshot(tasks[0], make_task(3, adj=-1000), oom_kill_allocating_task=1)
    assert victim(protected, "6.1", current=3) == 2
    assert choose(rank(allocating, kernel="4.4"), current=3).score == 0


@pytest.mark.parametrize(
    ("kernel", "constraint", "dies"),
    [
        ("2.6.15", "CONSTRAINT_CPUSET", 2),
        ("2.6.16", "CONSTRAINT_CPUSET", 3),
        ("2.6.23", "CONSTRAINT_CPUSET", 3),
        ("2.6.24", "CONSTRAINT_CPUSET", 2),
        ("2.6.15", "CONSTRAINT_MEMORY_POLICY", 2),
        ("2.6.35", "CONSTRAINT_MEMORY_POLICY", 3),
        ("2.6.36", "CONSTRAINT_MEMORY_POLICY", 2),
    ],
)
def test_an_oom_confined_to_nodes_killed_who_asked(kernel: str, constraint: Any, dies: int) -> None:
    same = {"threads": 1, "cpu_ticks": 0, "nice": 0}
    tasks = [
        make_task(2, pages=9000, total_vm_pages=9000, **same),
        make_task(3, pages=10, total_vm_pages=10, **same),
    ]
    snapshot = make_snapshot(*tasks, nodes=NODES)
    era = era_of(kernel)
    scope = node_scope(snapshot, frozenset({1}), constraint, era.facts)
    found = choose(rank(snapshot, kernel=era, scope=scope), current=3).victim
    assert found is not None
    assert found.pid == dies


@pytest.mark.parametrize(
    ("setting", "memcg", "dies"), [(1, None, None), (1, "/a", 2), (2, "/a", None)]
)
def test_panic_on_oom_kills_nobody(setting: int, memcg: str | None, dies: int | None) -> None:
    task = make_task(2, cgroups=(("", "/a"),))
    snapshot = make_snapshot(task, panic_on_oom=setting, swappiness=60)
    group = Memcg(path="/a", version=2, limit_pages=5000, swap_limit_pages=0)
    snapshot = Snapshot(machine=snapshot.machine, tasks=snapshot.tasks, memcgs=(group,))
    found = choose(rank(snapshot, memcg=memcg)).victim
    assert (None if found is None else found.pid) == dies


def test_nobody_to_kill() -> None:
    choice = choose(rank(make_snapshot(make_task(2, adj=-1000))))
    assert (choice.victim, choice.why) == (None, ("nobody can be killed",))


def test_points_wrap_at_16_tib_from_3_5_to_4_8() -> None:
    tasks = [make_task(2, pages=(1 << 32) + 5), make_task(3, pages=1000)]
    for kernel, first in (("3.4", 2), ("3.5", 3), ("4.8", 3), ("4.9", 2)):
        snapshot = make_snapshot(*tasks, ram_pages=1 << 34, release=kernel)
        assert rank(snapshot, kernel=kernel)[0].task.pid == first


def test_a_kernel_thread_that_looks_alike_is_no_partner() -> None:
    facts = era_of("6.18").facts
    victim = make_task(2, 1000, total_vm_pages=5000)
    twin = make_task(3, 1000, total_vm_pages=5000)
    thread = twin._replace(pid=4, kernel_thread=True)
    unlike = make_task(5, 1000, total_vm_pages=4000)
    others = (victim, twin, thread, unlike, twin._replace(pid=1))
    assert [t.pid for t in partners(facts, victim, others, 1)] == [3]
    assert [t.pid for t in partners(facts, victim, others, None)] == [3, 1]


def test_a_score_as_a_function_of_oom_score_adj() -> None:
    task = make_task(2, 100_000, adj=7, cap_effective=1 << 21)
    snapshot = make_snapshot(task, release="4.16")
    for kernel, share in (("4.16", 97_000), ("4.17", 100_000), ("3.10", 100_000 - 60_000)):
        of = scorer(era_of(kernel), system_scope(snapshot), snapshot.machine)
        by_adj = of.by_adj(task, 100_000)
        assert [by_adj(adj) for adj in (0, 100, -10)] == [
            share,
            share + 200_000,
            max(1, share - 20_000),
        ]


def test_partners_of_a_large_group_are_found_like_those_of_a_small_one() -> None:
    """Whoever is on the memory map of one of the dead dies too, in whatever cgroup it is."""
    for size in (4, 40):
        mates = [make_task(pid, 90, cgroups=(("", "/g"),), total_vm_pages=pid) for pid in
                 range(100, 100 + size)]  # fmt: skip
        partner = make_task(50, 90, cgroups=(("", "/h"),), total_vm_pages=101)
        memcgs = (Memcg("/g", 2, limit_pages=900, oom_group=True), Memcg("/h", 2))
        choice = choose(rank(replace(make_snapshot(partner, *mates), memcgs=memcgs)))
        assert len(choice.killed) == size
        assert choice.perhaps == (partner,)
