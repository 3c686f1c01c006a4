"""Order, ties, places and distances, on snapshots small enough to compute by hand."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from conftest import make_machine, make_snapshot, make_task

from oomlab import InputError, rank
from oomlab.analysis.children import children_of
from oomlab.analysis.ranking import cautions, rescored
from oomlab.kernel.score import Score
from oomlab.memcg import Memcg
from oomlab.output.ranking import heading
from oomlab.snapshot import Gap, Snapshot, Task

T_GRAIN = 2_000_000 // 1000


def order(ranking: object) -> list[int]:
    return [score.task.pid for score in ranking]  # type: ignore[attr-defined]


def test_an_ordered_list_stays_ordered_whatever_the_scan_order() -> None:
    best_first = [
        make_task(9, pages=10, adj=1000),
        make_task(4, pages=900_000),
        make_task(7, pages=10, adj=300),
        make_task(3, pages=2000, adj=1),
        make_task(5, pages=3999),
        make_task(8, pages=500_000, adj=-250),
        make_task(6, pages=1, adj=-999),
    ]
    for first, second in itertools.combinations(best_first, 2):
        for tasks in ((first, second), (second, first)):
            assert order(rank(make_snapshot(*tasks))) == [first.pid, second.pid]


@pytest.mark.parametrize(
    ("release", "winner"),
    [
        *[("3.13", 2), ("3.16", 2), ("4.6", 2), ("4.7", 4), ("4.8", 4), ("4.9", 2), ("5.2", 2)],
        *[("5.3", 4), ("5.8", 4), ("5.9", 4), ("6.18", 4), ("7.2", 4)],
    ],
)
def test_ties_go_to_the_first_or_the_last_of_the_scan(release: str, winner: int) -> None:
    tasks = [make_task(pid, pages=5000) for pid in (2, 3, 4)]
    assert rank(make_snapshot(*tasks), kernel=release)[0].task.pid == winner


def test_scan_order_and_not_the_pid_decides_ties() -> None:
    snapshot = make_snapshot(make_task(30, start_ticks=1), make_task(2, start_ticks=9))
    assert rank(snapshot)[0].task.pid == 2
    assert rank(Snapshot(machine=snapshot.machine, tasks=snapshot.tasks[::-1]))[0].task.pid == 30


@pytest.mark.parametrize(
    ("task", "reason"),
    [
        (make_task(1), "init"),
        (make_task(5, kernel_thread=True, has_mm=False), "kernel thread"),
        (make_task(5, has_mm=False, state="Z"), "no memory (zombie)"),
        (make_task(5, has_mm=False, state="R"), "no memory map"),
        (make_task(5, adj=-1000, pages=1_900_000), "oom_score_adj -1000"),
        (make_task(5, passed_over=True), "passed over (vfork, or already reaped)"),
    ],
)
def test_tasks_that_are_never_chosen(task: Task, reason: str) -> None:
    ranking = rank(make_snapshot(task, make_task(9, pages=1, adj=-999)))
    assert order(ranking) == [9, task.pid]
    assert (ranking[1].why_not, ranking[1].oom_score, ranking[1].badness) == (reason, 0, None)


def test_a_containers_init_can_be_killed() -> None:
    ranking = rank(make_snapshot(make_task(1), init_pid_namespace=False))
    assert ranking[0].killable


def test_nobody_can_be_killed() -> None:
    ranking = rank(make_snapshot(make_task(1)))
    assert ranking.victim is None
    assert ranking.possible_victims == ()


@pytest.mark.parametrize(("pid", "needs"), [(4, 0), (3, 500), (2, 501), (5, 500 + 100 * T_GRAIN)])
def test_pages_to_first_count_ties(pid: int, needs: int) -> None:
    # 4 stands first; 5 comes after it in the scan and so would win a tie, 2 and 3 ...
    tasks = [make_task(2, 1500), make_task(4, 2000), make_task(3, 1500, start_ticks=9)]
    snapshot = make_snapshot(*tasks, make_task(5, 1500, adj=-100))
    ranking = rank(snapshot)
    score = next(s for s in ranking if s.task.pid == pid)
    assert ranking.pages_to_first(score) == needs


def test_the_pages_to_first_are_the_fewest() -> None:
    for release in ("2.6.38", "3.4", "3.10", "4.4", "4.14", "5.4", "6.18"):
        small, big = make_task(7, 1500), make_task(6, 400_000, adj=3)
        ranking = rank(make_snapshot(big, small), kernel=release)
        needs = ranking.pages_to_first(ranking[1])
        assert needs is not None
        for more, wins in ((needs, True), (needs - 1, False)):
            grown = make_task(7, 1500 + more)
            first = rank(make_snapshot(big, grown), kernel=release)[0].task
            assert (first.pid == 7) is wins, (release, more)


def approximate(pid: int, pages: int, swap: int) -> Task:
    return make_task(pid, pages, swap_pages=swap)


def test_swap_is_bounded_where_the_killers_counter_is_not_shown() -> None:
    # 6.16 to 6.19, 2 CPUs: (max(32, 4) - 1) * 2 = 62 pages for the one counter of swap.
    snapshot = make_snapshot(approximate(2, 1000, 500), swap_pages=1, swapped_out_pages=9)
    score = rank(snapshot)[0]
    assert (score.low, score.badness, score.high) == (1438, 1500, 1562)
    never = make_snapshot(approximate(2, 1000, 0), swap_pages=1, swapped_out_pages=0)
    assert rank(never)[0].low == rank(never)[0].high
    for release in ("6.1", "6.8", "7.2"):
        exact = rank(snapshot, kernel=release)[0]
        assert exact.low == exact.high == 1500


def test_orders_that_can_not_be_known_are_said() -> None:
    tasks = [approximate(2, 1000, 500), approximate(3, 1060, 500), approximate(4, 9000, 500)]
    ranking = rank(make_snapshot(*tasks, swap_pages=1, swapped_out_pages=9))
    assert [ranking.places(score) for score in ranking] == [(1, 1), (2, 3), (2, 3)]
    assert [s.task.pid for s in ranking.possible_victims] == [4]
    close = rank(make_snapshot(*tasks[:2], swap_pages=1, swapped_out_pages=9))
    assert {s.task.pid for s in close.possible_victims} == {2, 3}


def test_exact_ties_are_no_uncertainty() -> None:
    tasks = [make_task(pid, 100, swap_pages=0) for pid in (2, 3, 4)]
    bounded = approximate(9, 50_000, 5000)
    ranking = rank(make_snapshot(*tasks, bounded, swap_pages=1, swapped_out_pages=1), kernel="6.18")
    # Every one of them is bounded alike here; without swap all are exact.
    assert ranking.places(ranking[0]) == (1, 1)
    exact = rank(make_snapshot(*tasks))
    assert [exact.places(s) for s in exact] == [(1, 1), (2, 2), (3, 3)]


def test_rss_comes_from_the_file_that_the_killer_agrees_with() -> None:
    task = make_task(2, 1000, rss_stat_pages=980)
    badness = {r: rank(make_snapshot(task), kernel=r)[0].badness for r in ("6.1", "6.18", "7.2")}
    assert badness == {"6.1": 1000, "6.18": 980, "7.2": 1000}


def test_a_missing_stat_is_bounded_by_three_counters() -> None:
    task = make_task(2, 1000, rss_stat_pages=None)
    score = rank(make_snapshot(task), kernel="6.18")[0]
    assert (score.low, score.high) == (1000 - 3 * 62, 1000 + 3 * 62)


def test_unknown_memory_is_bounded_by_the_kernels_score() -> None:
    hidden = make_task(2, rss_pages=None, rss_stat_pages=None, kernel_oom_score=700)
    ranking = rank(make_snapshot(hidden, make_task(3, 1000)), kernel="6.18")
    score = next(s for s in ranking if s.task.pid == 2)
    assert score.badness is None
    assert score.killable
    # 700 is printed for n of 1050 and 1051 thousandths over 1000: 50 and 51 of totalpages.
    assert (score.low, score.high) == (100_000, 103_999)
    assert ranking.victim == score


def test_unknown_memory_without_any_score_may_be_anywhere() -> None:
    hidden = make_task(2, rss_pages=None, rss_stat_pages=None)
    ranking = rank(make_snapshot(hidden, make_task(3), make_task(4, 2000)))
    assert ranking.places(next(s for s in ranking if s.task.pid == 2)) == (1, 3)
    assert {s.task.pid for s in ranking.possible_victims} == {2, 4}


def test_rescoring_some_is_ranking_all() -> None:
    tasks = [make_task(pid, pid * 10) for pid in range(2, 40)]
    ranking = rank(make_snapshot(*tasks))
    tasks[5] = tasks[5]._replace(rss_stat_pages=99_999)
    del tasks[9]
    changed = make_snapshot(*tasks)
    assert rescored(ranking, changed, {tasks[5].pid, 11}).scores == rank(changed).scores


def test_unknown_totals_are_refused() -> None:
    with pytest.raises(InputError, match="MemTotal"):
        rank(Snapshot(machine=make_machine(ram_pages=None), tasks=()))


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        ({"panic_on_oom": 1}, "panics"),
        ({"panic_on_oom": 2}, "in cgroups too"),
        ({"oom_kill_allocating_task": 1}, "asks for memory"),
    ],
)
def test_settings_that_make_the_ranking_moot(settings: dict[str, int], word: str) -> None:
    found = cautions(rank(make_snapshot(make_task(2), **settings)))
    assert len(found) == 1
    assert word in found[0]
    assert cautions(rank(make_snapshot(make_task(2)))) == []


def test_a_running_swapoff_is_named() -> None:
    assert "swapoff" in cautions(rank(make_snapshot(make_task(2, comm="swapoff"))))[0]


def test_children_of_unknown_size_hold_an_unknown_amount() -> None:
    tasks = [
        make_task(2),
        make_task(3, 10, ppid=2),
        make_task(4, ppid=2, rss_stat_pages=None, rss_pages=None),
    ]
    assert children_of(rank(make_snapshot(*tasks)), {2}) == {2: (2, None)}


def test_what_was_not_seen_is_said() -> None:
    whole = rank(make_snapshot(make_task(2)))
    part = rank(replace(make_snapshot(make_task(2)), gaps=(Gap("everything", "no", (7,)),)))
    assert whole.is_complete
    assert not part.is_complete
    assert "not all processes can be seen" in cautions(part)[0]
    assert "of the processes that can be seen here" in heading(part)[0]


def test_nobody_in_sight_is_no_panic() -> None:
    hidden = replace(make_snapshot(), gaps=(Gap("processes", "hidden"),))
    assert "none of the processes that can be seen" in heading(rank(hidden))[0]
    assert "and panic" in heading(rank(make_snapshot()))[0]


def test_the_headline_names_who_dies_and_not_only_who_is_chosen() -> None:
    """Until 5.0 a child dies in its parent's place; memory.oom.group takes others along."""
    tasks = [make_task(2, 50_000, comm="big"), make_task(3, 10, ppid=2, comm="small")]
    old = rank(make_snapshot(*tasks, release="4.14"))
    assert "kill 3 (small), a child, in place of 2 (big)" in heading(old)[0]
    assert "kill 2 (big)" in heading(rank(make_snapshot(*tasks)))[0]


def test_children_are_counted_with_what_they_hold() -> None:
    tasks = [make_task(2), make_task(3, 10, ppid=2, swap_pages=5), make_task(4, 7, ppid=2)]
    found = children_of(rank(make_snapshot(*tasks)), {2, 3})
    assert found == {2: (2, 22)}


def memcg_snapshot(version: int = 2) -> Snapshot:
    controller = "" if version == 2 else "memory"
    tasks = [
        make_task(2, 900, cgroups=((controller, "/a"),)),
        make_task(3, 500, cgroups=((controller, "/a/b"),), adj=10),
        make_task(4, 5000, cgroups=((controller, "/other"),)),
        make_task(5, 1, cgroups=((controller, "/a/b/no-memory-here"),)),
    ]
    memcgs = (
        Memcg("/", version, limit_pages=(1 << 63) - 1, creation_order=1, pids=()),
        Memcg("/a", version, limit_pages=100_000, swap_limit_pages=0, creation_order=2, pids=(2,)),
        Memcg("/a/b", version, creation_order=3, pids=(3, 5)),
        Memcg("/other", version, limit_pages=50_000, creation_order=4, pids=(4,)),
    )
    return Snapshot(machine=make_machine(), tasks=tuple(tasks), memcgs=memcgs)


@pytest.mark.parametrize("version", [1, 2])
def test_a_memcg_has_its_own_totalpages_and_candidates(version: int) -> None:
    ranking = rank(memcg_snapshot(version), memcg="/a")
    assert ranking.scope.constraint == "CONSTRAINT_MEMCG"
    assert ranking.scope.totalpages == 100_000
    assert [(s.task.pid, s.badness) for s in ranking] == [(3, 1500), (2, 900), (5, 1)]
    # oom_score knows nothing of the limit: it still divides by RAM and swap.
    assert ranking[0].oom_score == (1000 + (500 + 10 * T_GRAIN) * 1000 // 2_000_000) * 2 // 3


def test_memcgs_that_are_not_there_or_not_known_are_refused() -> None:
    with pytest.raises(InputError, match="no memory cgroup"):
        rank(memcg_snapshot(), memcg="/nope")
    with pytest.raises(InputError, match="can't be known"):
        rank(memcg_snapshot(), memcg="/a/b")


def test_scores_explain_themselves() -> None:
    score = rank(make_snapshot(make_task(2)))[0]
    assert isinstance(score, Score)
    assert score.killable
