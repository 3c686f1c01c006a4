"""Suggestions: they hold, no smaller one does, and what can't be done is said with its reason."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest
from conftest import make_machine, make_snapshot, make_task
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from oomlab import InputError, choose, rank, set_adj
from oomlab.analysis.suggest import suggest
from oomlab.analysis.suggestion import Growth, Suggestion
from oomlab.memcg import Memcg
from oomlab.snapshot import Snapshot, Task

RELEASES = ["2.6.37", "3.3", "3.10", "3.18", "4.14", "4.19", "5.4", "6.1", "7.2"]


def order(snapshot: Snapshot, release: str) -> list[int]:
    """The pids in the order in which the kernel would choose them."""
    return [score.task.pid for score in rank(snapshot, kernel=release).killable]


def outlives(snapshot: Snapshot, release: str, protect: set[int], sacrifice: set[int]) -> bool:
    """Whether each of the first dies after all of the second, or can't be killed."""
    places = {pid: place for place, pid in enumerate(order(snapshot, release))}
    if not sacrifice <= places.keys():
        return False
    last = max(places[pid] for pid in sacrifice)
    return all(places.get(pid, last + 1) > last for pid in protect)


def with_settings(snapshot: Snapshot, adjs: dict[int, int]) -> Snapshot:
    for pid, adj in adjs.items():
        snapshot = set_adj(snapshot, pid=pid, oom_score_adj=adj)
    return snapshot


def cost(snapshot: Snapshot, adjs: dict[int, int]) -> tuple[int, int]:
    now = {task.pid: task.oom_score_adj or 0 for task in snapshot.tasks}
    moved = [abs(adj - now[pid]) for pid, adj in adjs.items()]
    return sum(moved), sum(map(bool, moved))


def is_beaten(
    snapshot: Snapshot, release: str, found: Suggestion, protect: set[int], sacrifice: set[int]
) -> dict[int, int] | None:
    """Try every set of changes that costs less, or as much with fewer processes."""
    best = found.cost, len(found.changes)
    pids = sorted(protect | sacrifice)
    now = {task.pid: task.oom_score_adj or 0 for task in snapshot.tasks}
    spans = [
        range(max(now[pid] - best[0], -999), min(now[pid] + best[0], 1000) + 1) for pid in pids
    ]
    for adjs in product(*spans):
        tried = dict(zip(pids, adjs, strict=True))
        if cost(snapshot, tried) < best and outlives(
            with_settings(snapshot, tried), release, protect, sacrifice
        ):
            return tried
    return None


tasks = st.lists(
    st.tuples(
        st.integers(0, 9),
        st.one_of(st.integers(-3, 3), st.sampled_from([-999, 998])),
        st.booleans(),
    ),
    min_size=2,
    max_size=3,
)


@settings(max_examples=120, deadline=None)
@given(tasks, st.sampled_from(RELEASES), st.integers(1, 2), st.sampled_from([1000, 1999, 4000]))
def test_it_holds_and_no_smaller_change_works(
    drawn: list[tuple[int, int, bool]], release: str, protected: int, totalpages: int
) -> None:
    """Few pages in few totalpages: a step of oom_score_adj is worth about one page."""
    caps = (0, 1 << 21)
    snapshot = make_snapshot(
        *(
            make_task(pid, pages, adj, cap_effective=caps[root], in_init_userns=True, ppid=None)
            for pid, (pages, adj, root) in enumerate(drawn, 2)
        ),
        ram_pages=totalpages,
    )
    assume(protected < len(drawn))
    pids = [task.pid for task in snapshot.tasks]
    protect, sacrifice = set(pids[:protected]), set(pids[protected:])
    found = suggest(rank(snapshot, kernel=release), protect)
    assert not found.impossible
    assert outlives(found.applied(), release, protect, sacrifice)
    # Beyond so many steps trying all would take minutes.
    assume(found.cost <= (8 if len(pids) == 3 else 40))
    assert is_beaten(snapshot, release, found, protect, sacrifice) is None
    # More processes are changed only if that makes the sum smaller.
    assert all(change.before != change.after for change in found.changes)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 3_000_000), st.integers(-999, 1000)), min_size=2, max_size=12
    ),
    st.sampled_from(RELEASES),
    st.integers(1, 4),
    st.integers(0, 200),
)
def test_it_holds_at_real_sizes_even_after_the_growth(
    drawn: list[tuple[int, int]], release: str, protected: int, percent: int
) -> None:
    assume(protected < len(drawn) and release != "2.6.37")
    everyone = [make_task(pid, *values, ppid=None) for pid, values in enumerate(drawn, 2)]
    snapshot = make_snapshot(*everyone)
    pids = [task.pid for task in everyone]
    protect, sacrifice = set(pids[:protected]), set(pids[protected:])
    found = suggest(rank(snapshot, kernel=release), protect, growth=Growth(percent=percent))
    if found.impossible:
        pages, totalpages = max(pages for pages, _ in drawn[:protected]), 2_000_000
        assert pages * (100 + percent) // 100 > 1.9 * totalpages
        return
    grown = [
        task._replace(
            rss_pages=(more := -(-(task.rss_pages or 0) * (100 + percent) // 100)),
            rss_stat_pages=more,
        )
        if task.pid in protect
        else task
        for task in found.applied().tasks
    ]
    assert outlives(make_snapshot(*grown), release, protect, sacrifice)


def asked(
    *everyone: Task, protect: set[int], memcg: str | None = None, **options: object
) -> Suggestion:
    snapshot = make_snapshot(*everyone)
    return suggest(rank(snapshot, memcg=memcg), protect, **options)  # type: ignore[arg-type]


def changes(found: Suggestion) -> dict[int, tuple[int, int]]:
    return {change.task.pid: (change.before, change.after) for change in found.changes}


def test_nothing_is_suggested_where_nothing_needs_to_be() -> None:
    found = asked(make_task(2, 10), make_task(3, 20), protect={2})
    assert found.changes == ()
    assert found.impossible == ()


def test_the_large_one_is_lowered_rather_than_many_raised() -> None:
    found = asked(
        make_task(2, 50_000), *(make_task(pid, 1000) for pid in range(3, 99)), protect={2}
    )
    # 50,000 - 25 * 2000 = 0 pages; 49,000 would still be taken as the first of equals.
    assert changes(found) == {2: (0, -25)}


def test_only_whom_it_names_is_sacrificed() -> None:
    found = asked(
        make_task(2, 50_000), make_task(3, 10), make_task(4, 10), protect={2}, sacrifice={3}
    )
    assert found.cost == 25
    assert len(found.changes) == 1
    assert [task.pid for task in found.sacrificed] == [3]


def test_raise_only_lowers_nobody() -> None:
    found = asked(
        make_task(2, 50_000), make_task(3, 10), make_task(4, 10), protect={2}, raise_only=True
    )
    assert changes(found) == {3: (0, 25), 4: (0, 25)}


def test_of_equal_sums_the_one_that_needs_no_privilege_is_taken() -> None:
    found = asked(make_task(2, 50_000), make_task(3, 10), protect={2})
    assert changes(found) == {3: (0, 25)}


def test_growth_counts() -> None:
    one, other = make_task(2, 1000), make_task(3, 3000)
    assert not asked(one, other, protect={2}, growth=Growth(percent=100)).changes
    assert asked(one, other, protect={2}, growth=Growth(percent=201)).cost == 1
    assert asked(one, other, protect={2}, growth=Growth(pages=2001)).cost == 1


def test_minus_1000_only_when_allowed() -> None:
    small = make_machine(ram_pages=900)
    tasks = make_task(2, 500), make_task(3, 10)
    snapshot = Snapshot(machine=small, tasks=tasks)
    refused = suggest(rank(snapshot), {2})
    assert "oom_score_adj has no weight" in refused.impossible[0]
    assert any("--allow-unkillable" in remedy for remedy in refused.remedies)
    allowed = suggest(rank(snapshot), {2}, allow_unkillable=True)
    assert changes(allowed) == {2: (0, -1000)}
    assert "unkillable" in allowed.cautions[0]


def test_unkillable_ones_are_nobody_to_outlive() -> None:
    init = make_task(1, 10)
    found = asked(init, make_task(2, 5000), make_task(3, 9, -1000), make_task(4, 7), protect={2})
    assert [task.pid for task in found.sacrificed] == [4]


def test_one_at_minus_1000_may_be_sacrificed_by_name() -> None:
    found = asked(make_task(2, 5000), make_task(3, 6000, -1000), protect={2}, sacrifice={3})
    assert changes(found)[3][0] == -1000
    assert outlives(found.applied(), "6.18", {2}, {3})


@pytest.mark.parametrize(
    ("task", "why"),
    [
        (make_task(3, kernel_thread=True, has_mm=False), "kernel thread"),
        (make_task(3, has_mm=False, state="Z"), "zombie"),
    ],
)
def test_what_is_never_chosen_can_t_be_sacrificed(task: Task, why: str) -> None:
    found = asked(make_task(2, 5000), task, protect={2}, sacrifice={3})
    assert why in found.impossible[0]


def test_nobody_else_to_kill() -> None:
    found = asked(make_task(2, 5000), make_task(3, 1, -1000), protect={2})
    assert "nobody else" in found.impossible[0]


def test_protected_and_sacrificed_at_once() -> None:
    found = asked(make_task(2), make_task(3), protect={2}, sacrifice={2, 3})
    assert "both" in found.impossible[0]


def test_raise_only_may_be_impossible() -> None:
    found = asked(make_task(2, 5000, 1000), make_task(3, 10), protect={2}, raise_only=True)
    assert "even at 1000 2 (task2) is chosen before 3 (task3) at 1000" in found.impossible[0]


def test_who_is_not_there() -> None:
    with pytest.raises(InputError, match="process 9, to protect, is not in this scope"):
        asked(make_task(2), make_task(3), protect={9})
    with pytest.raises(InputError, match="nobody"):
        asked(make_task(2), protect=set())
    with pytest.raises(InputError, match="came with Linux"):
        suggest(rank(make_snapshot(make_task(2)), kernel="2.6.30"), {2})


def grouped(*everyone: Task, group: bool) -> Snapshot:
    memcgs = (
        Memcg("/", 2),
        Memcg("/pod", 2, limit_pages=100_000, swap_limit_pages=0, oom_group=group),
        Memcg("/other", 2, limit_pages=100_000, swap_limit_pages=0),
    )
    snapshot = make_snapshot(*everyone)
    return Snapshot(machine=snapshot.machine, tasks=snapshot.tasks, memcgs=memcgs)


def test_members_of_an_oom_group_are_spared_together() -> None:
    pod = (("", "/pod"),)
    everyone = (
        make_task(2, 10, cgroups=pod),
        make_task(3, 50_000, cgroups=pod),
        make_task(4, 20, cgroups=(("", "/other"),)),
    )
    apart = suggest(rank(grouped(*everyone, group=False)), {2})
    assert changes(apart) == {}
    together = suggest(rank(grouped(*everyone, group=True)), {2})
    assert "memory.oom.group of /pod kills 2" in together.companions[3]
    assert together.changes[0].task.pid in (3, 4)
    assert outlives(together.applied(), "6.18", {2, 3}, {4})
    refused = suggest(rank(grouped(*everyone, group=True)), {2}, {3})
    assert "can't be sacrificed: memory.oom.group" in refused.impossible[0]
    assert any("OOMPolicy=continue" in remedy for remedy in refused.remedies)
    assert not any("--allow-unkillable" in remedy for remedy in refused.remedies)


def test_until_5_0_a_parent_s_choice_kills_the_child() -> None:
    family = make_task(2, 50_000), make_task(3, 10, ppid=2), make_task(4, 20)
    now = suggest(rank(make_snapshot(*family), kernel="6.1"), {3})
    assert now.companions == {}
    then = suggest(rank(make_snapshot(*family), kernel="4.14"), {3})
    assert "its child" in then.companions[2]
    assert outlives(then.applied(), "4.14", {2, 3}, {4})


def test_processes_on_one_memory_map_move_together() -> None:
    everyone = make_task(2, 40_000), make_task(3, 40_000), make_task(4, 10), make_task(5, 10)
    found = asked(*everyone, protect={2}, shared=[frozenset({2, 3})])
    assert "memory map of 2" in found.companions[3]
    # Two are lowered or two raised: the same sum, and raising needs no privilege.
    assert changes(found) == {4: (0, 20), 5: (0, 20)}
    raised = asked(*everyone, protect={4}, sacrifice={2, 3}, shared=[frozenset({2, 3})])
    assert changes(raised) == {}
    before = suggest(rank(make_snapshot(*everyone), kernel="4.4"), {2}, shared=[frozenset({2, 3})])
    assert before.companions.keys() == {3}


def test_lookalikes_are_said() -> None:
    alike = {"total_vm_pages": 9000, "cmdline": ("a",)}
    found = asked(make_task(2, 500, **alike), make_task(3, 500, **alike), protect={2})
    assert "look alike" in found.cautions[0]
    other = {"total_vm_pages": 9000, "cmdline": ("b",)}
    assert not asked(make_task(2, 500, **alike), make_task(3, 500, **other), protect={2}).cautions


def test_what_can_t_be_seen_is_taken_at_its_worst() -> None:
    """On 6.18 the killer's counters are approximate where only VmRSS is known."""
    one = make_task(2, 10_000, rss_stat_pages=None)
    other = make_task(3, 10_100, rss_stat_pages=None)
    found = asked(one, other, protect={2})
    assert found.cost == 1
    exact = asked(make_task(2, 10_000), make_task(3, 10_100), protect={2})
    assert exact.cost == 0


def test_unknown_memory_of_the_protected_promises_nothing() -> None:
    hidden = make_task(2, rss_pages=None, rss_stat_pages=None)
    found = asked(hidden, make_task(3), protect={2})
    assert "unknown" in found.impossible[0]
    assert changes(asked(hidden, make_task(3), protect={2}, allow_unkillable=True)) == {
        2: (0, -1000)
    }


def test_order_among_equals_in_a_v1_cgroup_is_not_relied_on() -> None:
    def equals(version: int) -> Suggestion:
        path = (("memory" if version == 1 else "", "/c"),)
        one, other = make_task(2, 10_000, cgroups=path), make_task(3, 10_000, cgroups=path)
        memcg = Memcg("/c", version, limit_pages=100_000, memsw_limit_pages=100_000, pids=(2, 3))
        snapshot = make_snapshot(one, other)
        caged = Snapshot(machine=snapshot.machine, tasks=snapshot.tasks, memcgs=(memcg,))
        return suggest(rank(caged, memcg="/c"), {2})

    assert equals(2).cost == 0
    assert equals(1).cost == 1


def test_badness_that_wraps_promises_nothing() -> None:
    snapshot = make_snapshot(make_task(2, 3_000_000), make_task(3, 10), ram_pages=8_000_000)
    with pytest.raises(InputError, match="CVE-2011-4097"):
        suggest(rank(snapshot, kernel="2.6.39"), {2})


def test_who_is_left_out_stays_where_it_is() -> None:
    everyone = make_task(2, 500_000), make_task(3, 10, -999), make_task(4, 10)
    found = asked(*everyone, protect={2}, leave={3})
    assert [task.pid for task in found.sacrificed] == [4]
    assert not found.cautions
    raised = asked(*everyone, protect={2})
    assert "would be raised (task3): --except" in raised.cautions[0]


def test_zombies_among_the_sacrificed_are_passed_over() -> None:
    zombie = make_task(4, has_mm=False, state="Z")
    found = asked(make_task(2, 5000), make_task(3, 10), zombie, protect={2}, sacrifice={3, 4})
    assert [task.pid for task in found.sacrificed] == [3]


groups = st.sampled_from(["/a", "/a/x", "/b"])
people = st.lists(
    st.tuples(st.integers(0, 400_000), st.integers(-900, 900), st.integers(0, 5), groups),
    min_size=3,
    max_size=7,
)


def deaths(snapshot: Snapshot, release: str) -> list[set[int]]:
    """Who dies at each kill until nobody can be killed, as choose() has it."""
    order = []
    while True:
        choice = choose(rank(snapshot, kernel=release), panics=False)
        if choice.victim is None:
            return order
        dead = {task.pid for task in choice.killed}
        order.append(dead)
        snapshot = replace(
            snapshot, tasks=tuple(task for task in snapshot.tasks if task.pid not in dead)
        )


@settings(max_examples=100, deadline=None)
@given(people, st.sampled_from(RELEASES), st.sets(groups), st.booleans(), st.data())
def test_the_protected_die_last_with_children_and_groups_too(
    drawn: list[tuple[int, int, int, str]],
    release: str,
    together: set[str],
    named: bool,
    data: st.DataObject,
) -> None:
    """Played through kill by kill, with the child that dies in a parent's place and oom.group."""
    everyone = tuple(
        make_task(
            pid,
            pages,
            adj,
            # Parents are older than their children.
            ppid=2 + parent if 2 + parent < pid else 1,
            cgroups=(("", path),),
        )
        for pid, (pages, adj, parent, path) in enumerate(drawn, 2)
    )
    memcgs = tuple(
        Memcg(path, 2, oom_group=path in together, creation_order=order)
        for order, path in enumerate(["/", "/a", "/a/x", "/b"])
    )
    snapshot = replace(make_snapshot(*everyone), memcgs=memcgs)
    pids = [task.pid for task in everyone]
    protect = data.draw(st.sets(st.sampled_from(pids), min_size=1, max_size=2))
    rest = sorted(set(pids) - protect)
    sacrifice = data.draw(st.sets(st.sampled_from(rest), min_size=1)) if named else None
    found = suggest(rank(snapshot, kernel=release), protect, sacrifice)
    if found.impossible:
        assert found.companions or not found.sacrificed
        return
    waiting = {task.pid for task in found.sacrificed}
    for dead in deaths(found.applied(), release):
        assert not (dead & protect and waiting), (dead, waiting)
        if dead & protect:
            break
        waiting -= dead
    assert not waiting
