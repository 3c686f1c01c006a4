"""Badness before 2.6.36: each input, and the bounds of what userland can't see."""

from __future__ import annotations

from math import isqrt
from typing import Any

import pytest
from conftest import make_machine, make_snapshot, make_task
from hypothesis import given, settings
from hypothesis import strategies as st

from oomlab import rank
from oomlab.kernel.eras import era_of
from oomlab.kernel.legacy import LegacyInputs, legacy_badness, run_root, shift_hz
from oomlab.kernel.legacy_inputs import cpu_clocks, cpu_roots, legacy_reader
from oomlab.kernel.scope import Scope, system_scope
from oomlab.kernel.score import Score
from oomlab.kernel.selection import scorer
from oomlab.snapshot import Task

LEGACY = {"total_vm_pages": 25_600, "threads": 1, "cpu_ticks": 0, "nice": 0, "cap_effective": 0}


def legacy_bounds(task: Task, *others: Task, kernel: str = "2.6.32", **machine: Any) -> list[int]:
    snapshot = make_snapshot(task, *others, release=kernel, **machine)
    score = next(s for s in rank(snapshot, kernel=kernel) if s.task.pid == task.pid)
    return [score.low or 0, score.badness or 0, score.high or 0]


def test_legacy_bounds_of_cpu_time_run_time_and_children() -> None:
    plain = make_task(5, start_ticks=0, uid=1000, euid=1000, **LEGACY)
    up = {"uptime_seconds": 100}
    assert legacy_bounds(plain, **up) == [25_600] * 3
    busy = plain._replace(cpu_ticks=600_000)  # 100 minutes: 27 at HZ 250 and 1000, 24 and 29 else
    assert legacy_bounds(busy, **up) == [25_600 // 29, 948, 25_600 // 24]
    assert legacy_bounds(busy, timer_hz=250, **up) == [948] * 3
    old = plain._replace(start_ticks=99)
    assert legacy_bounds(old, uptime_seconds=16_384) == [12_800, 12_800, 25_600]
    assert legacy_bounds(old, uptime_seconds=16_383) == [12_800, 25_600, 25_600]
    forked = make_task(6, pages=2560, ppid=5, **(LEGACY | {"total_vm_pages": 2560}))
    assert legacy_bounds(plain, forked, **up) == [25_600 + 1281] * 3
    threaded = plain._replace(threads=4)
    assert legacy_bounds(threaded, forked, **up) == [25_600, 26_881, 26_881]
    twin = make_task(6, ppid=5, **LEGACY)
    assert legacy_bounds(plain, twin, **up) == [25_600, 25_600, 25_600 + 12_801]


def test_legacy_threads_counted_alone_before_2_6_32() -> None:
    busy = make_task(5, start_ticks=0, uid=1000, euid=1000, **LEGACY)
    busy = busy._replace(cpu_ticks=600_000, threads=3)
    low, _, high = legacy_bounds(busy, kernel="2.6.31", uptime_seconds=20_000)
    assert (low, high) == (25_600 // 29 // 2, 25_600)


def test_legacy_nodes_that_do_not_meet_divide_by_eight_at_worst() -> None:
    here = make_task(5, start_ticks=0, uid=1000, euid=1000, mems_allowed="0", **LEGACY)
    there = make_task(6, uid=1000, euid=1000, mems_allowed="1", **LEGACY)
    near = there._replace(mems_allowed="0-1")
    assert legacy_bounds(here, there, uptime_seconds=9) == [3200, 25_600, 25_600]
    assert legacy_bounds(here, near, uptime_seconds=9) == [25_600] * 3


@given(st.integers(0, 1 << 40))
def test_two_clocks_stand_for_all(ticks: int) -> None:
    each = [cpu_roots(cpu_clocks(hz), ticks) for hz in (100, 250, 300, 1000)]
    least, likely, most = cpu_roots(cpu_clocks(None), ticks)
    assert least == min(roots[0] for roots in each)
    assert most == max(roots[2] for roots in each)
    assert likely == each[-1][1]


def test_legacy_inputs_that_are_unknown() -> None:
    read = legacy_reader(era_of("2.6.32").facts, make_machine(), ())
    assert read(make_task(5)) is None
    found = read(make_task(5)._replace(total_vm_pages=100, start_ticks=None))
    assert found is not None
    assert (found.least.cpu_root, found.most.cpu_root) == (1 << 32, 0)
    assert (found.least.run_root, found.most.run_root) == (1 << 16, 0)
    assert (found.seen.cpu_root, found.seen.run_root) == (0, 0)


def test_legacy_scores_of_those_never_chosen() -> None:
    facts = {"total_vm_pages": 6400, "threads": 1, "cpu_ticks": 0, "nice": 0}
    tasks = [
        make_task(1, oom_adj=0, **facts),
        make_task(2, oom_adj=-17, **facts),
        make_task(3, oom_adj=0, **facts)._replace(state="Z"),
        make_task(4, kernel_thread=True, has_mm=False),
    ]
    scores = {s.task.pid: s for s in rank(make_snapshot(*tasks), kernel="2.6.32")}
    assert [scores[pid].why_not for pid in (1, 2, 3, 4)] == [
        "init",
        "oom_adj -17",
        "no memory (main thread has exited)",
        "kernel thread",
    ]
    # init's children count for it all the same: three of them have a memory map or had one.
    assert scores[1].oom_score is not None
    assert scores[1].oom_score >= 6400
    assert [scores[pid].oom_score for pid in (2, 3, 4)] == [0, 0, 0]
    old = {s.task.pid: s for s in rank(make_snapshot(*tasks), kernel="2.6.11")}
    assert old[2].why_not is None  # -17 came with 2.6.12
    unknown = rank(make_snapshot(make_task(5, kernel_oom_score=77)), kernel="2.6.32")[0]
    assert (unknown.badness, unknown.low, unknown.high) == (None, 77, 77)


@settings(deadline=None)
@given(
    pages=st.integers(0, 1 << 40),
    more=st.integers(0, 1 << 20),
    cpu=st.integers(0, 3000),
    run=st.integers(0, 60),
    adj=st.integers(-16, 15),
    kernel=st.sampled_from(["2.6.11", "2.6.20", "2.6.24", "2.6.35"]),
)
def test_more_memory_never_lowers_and_more_age_never_raises_legacy_badness(
    pages: int, more: int, cpu: int, run: int, adj: int, kernel: str
) -> None:
    facts = era_of(kernel).facts
    given_ = LegacyInputs(pages, cpu_root=cpu, run_root=run, oom_adj=adj)
    points = legacy_badness(facts, given_)
    assert legacy_badness(facts, given_._replace(total_vm_pages=pages + more)) >= points
    assert legacy_badness(facts, given_._replace(run_root=run + 1)) <= points or run == 0
    assert legacy_badness(facts, given_._replace(cpu_root=max(cpu, 1) + 1)) <= points


def scored(task: Task, *others: Task, kernel: str = "2.6.32", **machine: Any) -> Score:
    snapshot = make_snapshot(task, *others, release=kernel, **machine)
    return scorer(era_of(kernel), system_scope(snapshot), snapshot.machine).score(task)


def test_the_timers_frequency_has_a_rough_logarithm() -> None:
    assert [shift_hz(hz) for hz in (24, 47, 48, 100, 250, 300, 1000)] == [5, 5, 6, 7, 8, 8, 10]


def test_a_process_of_the_future_has_run_for_no_time() -> None:
    assert [run_root(seconds) for seconds in (-1, 0, 1023, 1024, 16_383, 16_384)] == [
        *(0, 0, 0, 1, 1, 2),
    ]


@pytest.mark.parametrize(
    ("ticks", "hz", "roots"),
    [
        # 1024 ticks are one unit at HZ 100, where nothing is lost by cutting to ticks
        (1023, 100, (0, 0)),
        (1024, 100, (1, 1)),
        # HZ 1000: 8192 jiffies are one unit, and 2 x 9 jiffies may have been lost
        (819, 1000, (0, 1)),
        (818, 1000, (0, 1)),
        (817, 1000, (0, 0)),
        (820, 1000, (1, 1)),
        # HZ 250: 2048 jiffies, 2 x 2 lost; HZ 300: 2 x 2 lost
        (819, 250, (1, 1)),
        (818, 250, (0, 1)),
        (817, 250, (0, 0)),
        (681, 300, (0, 0)),
        (682, 300, (0, 1)),
        (683, 300, (1, 1)),
    ],
)
def test_cpu_time_is_counted_in_units_of_the_timer(
    ticks: int, hz: int, roots: tuple[int, int]
) -> None:
    least, likely, most = cpu_roots(cpu_clocks(hz), ticks)
    assert (least, most) == roots
    assert likely == least


@pytest.mark.parametrize(
    ("kernel", "threads", "least"),
    [("2.6.31", 1, 24), ("2.6.31", 2, 0), ("2.6.32", 2, 24), ("2.6.32", 1, 24)],
)
def test_one_threads_cpu_time_stood_for_all_before_2_6_32(
    kernel: str, threads: int, least: int
) -> None:
    busy = make_task(5, start_ticks=0, **LEGACY | {"cpu_ticks": 600_000, "threads": threads})
    read = legacy_reader(era_of(kernel).facts, make_machine(uptime_seconds=9), (busy,))
    found = read(busy)
    assert found is not None
    assert found.most.cpu_root == least


@pytest.mark.parametrize(
    ("uptime", "start_ticks", "kernel", "threads", "roots"),
    [
        (16_384, 0, "2.6.32", 1, (1, 2, 2)),
        (16_385, 0, "2.6.32", 1, (2, 2, 2)),
        (16_383, 0, "2.6.32", 1, (1, 1, 2)),
        (16_382, 0, "2.6.32", 1, (1, 1, 1)),
        (20_000, 361_600, "2.6.32", 1, (1, 2, 2)),
        (20_000, 361_599, "2.6.32", 1, (2, 2, 2)),
        # a younger thread may stand for the process
        (20_000, 0, "2.6.31", 2, (0, 2, 2)),
        (20_000, 0, "2.6.32", 2, (2, 2, 2)),
    ],
)
def test_run_time_is_known_to_the_second(
    uptime: int, start_ticks: int, kernel: str, threads: int, roots: tuple[int, int, int]
) -> None:
    task = make_task(5, start_ticks=start_ticks, **LEGACY | {"threads": threads, "cpu_ticks": None})
    found = legacy_reader(era_of(kernel).facts, make_machine(uptime_seconds=uptime), ())(task)
    assert found is not None
    assert (found.most.run_root, found.seen.run_root, found.least.run_root) == roots


@pytest.mark.parametrize(
    ("changes", "kernel", "badness"),
    [
        ({}, "2.6.32", 25_600),
        ({"nice": 1}, "2.6.32", 51_200),
        ({"nice": None}, "2.6.32", 25_600),
        ({"nice": -1}, "2.6.32", 25_600),
        ({"cap_effective": None}, "2.6.32", 25_600),
        ({"cap_effective": 1 << 21}, "2.6.32", 6400),
        ({"cap_effective": 1 << 24}, "2.6.32", 6400),
        ({"cap_effective": 1 << 17}, "2.6.32", 6400),
        ({"cap_effective": (1 << 21) | (1 << 17)}, "2.6.32", 1600),
        # root by its uid alone, until 2.6.25 asked for a capability instead
        ({"uid": 0}, "2.6.24", 6400),
        ({"euid": 0}, "2.6.24", 6400),
        ({"uid": 0, "euid": 0}, "2.6.32", 25_600),
        ({"cap_effective": 1 << 24}, "2.6.24", 25_600),
        ({"oom_adj": 3}, "2.6.32", 204_800),
        ({"oom_adj": -3}, "2.6.32", 3200),
    ],
)
def test_each_input_of_a_task_counts(changes: dict[str, Any], kernel: str, badness: int) -> None:
    given_ = {"uid": 9, "euid": 9, "start_ticks": 0} | LEGACY | changes
    score = scored(make_task(5, **given_), kernel=kernel, uptime_seconds=9)
    assert score[1:] == (badness,) * 6 + (None,)


def test_words_of_32_bits_wrap() -> None:
    task = make_task(5, start_ticks=0, uid=9, euid=9, **LEGACY | {"total_vm_pages": 1 << 30})
    score = scored(task._replace(oom_adj=3), uptime_seconds=9, word_bits=32)
    assert score.badness == score.low == score.high == 0
    old = scored(task._replace(oom_adj=3), uptime_seconds=9)
    assert old.badness == 1 << 33
    assert legacy_badness(era_of("2.6.32").facts, LegacyInputs(1 << 63, oom_adj=1)) == 0
    # Some of the inputs wrap, others don't: the bounds hold all of them.
    busy = task._replace(oom_adj=4, cpu_ticks=600_000, total_vm_pages=27 << 26)
    found = scored(busy, uptime_seconds=9, word_bits=32)
    each = [((27 << 26) // root << 4) & 0xFFFFFFFF for root in (24, 27, 29)]
    assert (found.low, found.badness, found.high) == (min(each), each[1], max(each))


def test_more_memory_is_more_total_vm() -> None:
    task = make_task(5, start_ticks=0, uid=9, euid=9, oom_adj=1, **LEGACY)
    child = make_task(6, ppid=5, **LEGACY | {"total_vm_pages": 200})
    for bits, kernel in ((64, "2.6.32"), (32, "2.6.24")):
        snapshot = make_snapshot(task, child, release=kernel, uptime_seconds=9, word_bits=bits)
        of = scorer(era_of(kernel), system_scope(snapshot), snapshot.machine)
        assert of.with_pages(task, 400) == (25_600 + 400 + 101) * 2
        assert of.with_pages(task, 1 << 31) == (
            ((1 << 31) + 25_701) * 2 if bits == 64 else 2 * 25_701
        )
        assert of.with_pages(task._replace(total_vm_pages=None), 4) is None


def test_children_count_though_they_are_outside_the_scope() -> None:
    task = make_task(5, start_ticks=0, uid=9, euid=9, **LEGACY)
    child = make_task(6, ppid=5, **LEGACY | {"total_vm_pages": 200})
    machine = make_machine(uptime_seconds=9)
    for scope in (
        Scope("CONSTRAINT_MEMCG", 1, (task,), "/a", everyone=(task, child)),
        Scope("CONSTRAINT_NONE", 1, (task, child)),
    ):
        assert scorer(era_of("2.6.32"), scope, machine).score(task).badness == 25_701


def test_children_of_no_size_are_worth_one_page() -> None:
    task = make_task(5, start_ticks=0, uid=9, euid=9, **LEGACY)
    child = make_task(6, ppid=5, **LEGACY | {"total_vm_pages": 0})
    assert scored(task, child, uptime_seconds=9).badness == 25_601


@pytest.mark.parametrize(
    ("changes", "shown", "why_not"),
    [
        ({"has_mm": False}, (0, 0, 0), "no memory"),
        ({"state": "Z"}, (0, 0, 0), "no memory (main thread has exited)"),
        ({"state": "X"}, (0, 0, 0), "no memory (main thread has exited)"),
        ({"kernel_thread": True}, (0, 0, 0), "kernel thread"),
        ({"oom_adj": -17}, (0, 0, 0), "oom_adj -17"),
        # the shown number stands where its inputs are unknown
        ({"total_vm_pages": None, "kernel_oom_score": 77}, (None, 77, 77), None),
        (
            {"total_vm_pages": None, "kernel_oom_score": 77, "oom_adj": -17},
            (None, 77, 77),
            "oom_adj -17",
        ),
    ],
)
def test_the_shown_number_of_those_that_have_no_badness(
    changes: dict[str, Any], shown: tuple[int | None, ...], why_not: str | None
) -> None:
    task = make_task(5, start_ticks=0, uid=9, euid=9, oom_adj=0, **LEGACY)._replace(**changes)
    score = scored(task, uptime_seconds=9)
    assert score.task is task
    assert score[4:7] == shown
    assert score.why_not == why_not
    assert score.badness is None
    assert (score.low, score.high) == ((77, 77) if why_not is None else (None, None))


def test_init_is_shown_with_the_bounds_of_its_badness() -> None:
    init = make_task(1, ppid=0, start_ticks=0, uid=9, euid=9, **LEGACY | {"cpu_ticks": 600_000})
    score = scored(init, uptime_seconds=9)
    assert score[4:7] == (948, 25_600 // 29, 25_600 // 24)
    assert (score.why_not, score.badness) == ("init", None)
    ordinary = scored(init._replace(pid=7), uptime_seconds=9)
    assert ordinary[1:] == (948, 25_600 // 29, 25_600 // 24) * 2 + (None,)


def test_a_task_of_unknown_nodes_may_use_them_all() -> None:
    anywhere = make_task(5, start_ticks=0, uid=9, euid=9, **LEGACY)
    others = [make_task(6, mems_allowed="0"), make_task(7, mems_allowed="1")]
    assert scored(anywhere, *others, uptime_seconds=9).low == 25_600
    alone = anywhere._replace(mems_allowed="0")
    assert scored(alone, uptime_seconds=9).low == 25_600


ROOT_ONLY = 1 << 21 | 1 << 17


def row(pid: int, total_vm: int, **changes: Any) -> Task:
    """Return a task as an old report's table shows it."""
    known = {"uid": 1000, "oom_adj": 0, "has_mm": True} | changes
    return Task(pid, "t", total_vm_pages=total_vm, **known)


def test_a_row_of_an_old_table_is_bounded_by_all_that_it_does_not_show() -> None:
    one, other = row(5, 25_600, euid=7), row(6, 300)
    machine = make_machine(uptime_seconds=999_999, cpus=4)
    read = legacy_reader(era_of("2.6.32").facts, machine, (one, other, row(7, 0)))
    found = read(one)
    assert found is not None
    assert found.seen == LegacyInputs(25_600, uid=1000, euid=7)
    # No process has had more CPU time than there was, nor is it older than the machine.
    cpu = cpu_roots(cpu_clocks(None), 4 * 1_000_000 * 100)[2]
    assert found.least == LegacyInputs(
        25_600,
        cpu_root=cpu,
        run_root=run_root(1_000_000),
        cap_effective=ROOT_ONLY,
        uid=1000,
        euid=7,
        disjoint=True,
    )
    assert found.most == LegacyInputs(25_600, [300, 0], nice=1, uid=1000)
    root = read(row(8, 100, uid=0, oom_adj=3))
    assert root is not None
    assert root.seen == LegacyInputs(100, uid=0, cap_effective=ROOT_ONLY, oom_adj=3)
    assert root.most.cap_effective == 0
    assert root.most.oom_adj == root.least.oom_adj == 3


def test_without_uptime_or_cpus_nothing_bounds_a_rows_age() -> None:
    facts = era_of("2.6.32").facts
    for changes in ({"uptime_seconds": None, "cpus": 4}, {"uptime_seconds": 5, "cpus": None}):
        found = legacy_reader(facts, make_machine(**changes), ())(row(5, 9))
        assert found is not None
        assert found.least.cpu_root == 1 << 32
        assert (found.most.cpu_root, found.most.run_root) == (0, 0)
    at_hz = make_machine(uptime_seconds=1022, cpus=1, timer_hz=100)
    found = legacy_reader(facts, at_hz, ())(row(5, 9))
    assert found is not None
    # 1023 seconds are 102,300 ticks, 99 units of 1024; a root of 1 needs 1024 seconds of age.
    assert (found.least.cpu_root, found.least.run_root) == (9, 0)


@pytest.mark.parametrize("known", [{"ppid": 1}, {"cap_effective": 0}, {"nice": 0}])
def test_what_shows_more_is_no_row_of_a_table(known: dict[str, int]) -> None:
    found = legacy_reader(era_of("2.6.32").facts, make_machine(uptime_seconds=9), ())(
        row(5, 9, **known)
    )
    assert found is not None
    assert found.least.disjoint is False


def test_bounds_hold_where_words_wrap_between_them() -> None:
    task = make_task(5, start_ticks=0, uid=9, euid=9, **LEGACY | {"total_vm_pages": 27 << 26})
    busy = task._replace(oom_adj=6, cpu_ticks=600_000)
    found = scored(busy, uptime_seconds=9, word_bits=32)
    each = [((27 << 26) // root << 6) & 0xFFFFFFFF for root in (24, 27, 29)]
    assert each[1] < each[0] < each[2]
    assert (found.low, found.badness, found.high) == (each[1], each[1], each[2])


@pytest.mark.parametrize(
    ("uptime", "oldest"), [(1021, 0), (1022, 0), (1023, 1), (1024, 1), (16_382, 1), (16_383, 2)]
)
def test_an_unknown_start_is_at_most_the_machines(uptime: int, oldest: int) -> None:
    machine = make_machine(uptime_seconds=uptime, cpus=1, timer_hz=100)
    found = legacy_reader(era_of("2.6.32").facts, machine, ())(row(5, 9))
    assert found is not None
    assert found.least.run_root == oldest
    # so many seconds and one more of one CPU's ticks, in units of 1024
    assert found.least.cpu_root == isqrt((uptime + 1) * 100 >> 10)


def test_sizes_of_nothing_count_nothing_where_children_count_whole() -> None:
    task = make_task(5, start_ticks=0, uid=9, euid=9, **LEGACY)
    child = make_task(6, ppid=5, **LEGACY | {"total_vm_pages": 0})
    assert scored(task, child, kernel="2.6.15", uptime_seconds=9).badness == 25_600
    assert scored(task, child, kernel="2.6.16", uptime_seconds=9).badness == 25_601
    nothing = legacy_reader(era_of("2.6.32").facts, make_machine(), ())(row(5, 0))
    assert nothing is not None
    assert nothing.seen.total_vm_pages == 0


def test_each_tasks_own_oom_score_adj_is_read() -> None:
    known = {"total_vm_pages": 100, "threads": 1, "cpu_ticks": 0, "start_ticks": 0}
    tasks = [make_task(pid, adj=adj, **known) for pid, adj in ((5, 0), (6, 177), (7, 59))]
    scores = {s.task.pid: s.badness for s in rank(make_snapshot(*tasks), kernel="2.6.32")}
    assert scores == {5: 100, 6: 800, 7: 200}
