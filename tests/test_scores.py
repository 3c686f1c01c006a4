"""What a score holds: every field, for every kind of task, and the arithmetic at its edges."""

from __future__ import annotations

from typing import Any

import pytest
from conftest import make_snapshot, make_task

from oomlab.kernel.badness import badness_formula, badness_range, oom_score_formula, printed_score
from oomlab.kernel.bulk import score_all
from oomlab.kernel.eras import FAMILY_SPANS, era_of, facts_at
from oomlab.kernel.release import parse_release
from oomlab.kernel.scope import Scope, system_scope
from oomlab.kernel.score import Score
from oomlab.kernel.selection import has_root_bonus, in_order_of_choice, scorer
from oomlab.snapshot import Task

ADMIN = 1 << 21


def score_of(task: Task, kernel: str, totalpages: int | None = None, **machine: Any) -> Score:
    snapshot = make_snapshot(task, release=kernel, **machine)
    scope = system_scope(snapshot)
    if totalpages is not None:
        scope = Scope("CONSTRAINT_MEMCG", totalpages, (task,), "/a")
    one_by_one = scorer(era_of(kernel), scope, snapshot.machine).score(task)
    assert score_all(era_of(kernel), scope, snapshot.machine) == [one_by_one]
    return one_by_one


@pytest.mark.parametrize(
    ("changes", "why_not"),
    [
        ({"kernel_thread": True}, "kernel thread"),
        ({"pid": 1}, "init"),
        ({"has_mm": False, "state": "Z"}, "no memory (zombie)"),
        ({"has_mm": False, "state": "X"}, "no memory (zombie)"),
        ({"has_mm": False, "state": "S"}, "no memory map"),
        ({"oom_score_adj": -1000}, "oom_score_adj -1000"),
        ({"oom_score_adj": None, "oom_adj": -17}, "oom_score_adj -1000"),
        ({"passed_over": True}, "passed over (vfork, or already reaped)"),
    ],
)
def test_who_is_never_chosen_has_a_score_of_0_for_certain(
    changes: dict[str, Any], why_not: str
) -> None:
    task = make_task(2, 5000)._replace(**changes)
    assert score_of(task, "6.18")[1:] == (None, None, None, 0, 0, 0, why_not)


def test_bounds_go_through_both_formulas_with_adj_and_bonus() -> None:
    # 3.14 asked of a 6.1 kernel: its page tables lie between 100 and 110 (see test_rules.py).
    task = make_task(
        2, 500_000, adj=100, pagetable_bytes=110 * 4096, rss_anon_pages=5000, cap_effective=ADMIN
    )
    snapshot = make_snapshot(task, release="6.1")
    low, pages, high = 500_000 + 10, 500_110, 500_110

    def badness(pages: int, total: int, kernel: str) -> int:
        if kernel == "3.16":  # three hundredths of the usage
            return pages - 3 * pages // 100 + 100 * (total // 1000)
        return pages + 70 * (total // 1000)

    for kernel in ("3.16", "3.10"):
        of = scorer(era_of(kernel), system_scope(snapshot), snapshot.machine)
        values = tuple(badness(p, 2_000_000, kernel) for p in (pages, low, high))
        printed = tuple(v * 1000 // 2_000_000 for v in values)
        assert of.score(task)[1:] == (*values, *printed, None)
        memcg = Scope("CONSTRAINT_MEMCG", 1_000_000, (task,), "/a")
        inside = scorer(era_of(kernel), memcg, snapshot.machine)
        values = tuple(badness(p, 1_000_000, kernel) for p in (pages, low, high))
        assert inside.score(task)[1:] == (*values, *printed, None)
        assert inside.with_pages(task, 777) == badness(pages + 777, 1_000_000, kernel)
        assert inside.with_pages(task._replace(pagetable_bytes=None), 5) is None
        assert inside.with_pages(task._replace(oom_score_adj=None), 5) is None


def test_no_bonus_is_given_where_there_is_none() -> None:
    task = make_task(2, 100_000, cap_effective=ADMIN)
    for kernel in ("4.17", "5.8", "5.9", "6.18", "7.0"):
        assert score_of(task, kernel).badness == 100_000
    assert score_of(task, "4.16").badness == 97_000
    assert score_of(task._replace(cap_effective=None), "4.16").badness == 100_000


@pytest.mark.parametrize(
    ("caps", "in_init_userns", "has"),
    [
        (ADMIN, True, True),
        (ADMIN, None, True),
        (ADMIN, False, False),
        (1, True, False),
        (None, True, False),
        (0, None, False),
    ],
)
def test_who_has_roots_bonus(caps: int | None, in_init_userns: bool | None, has: bool) -> None:
    task = make_task(2, cap_effective=caps, in_init_userns=in_init_userns)
    assert has_root_bonus(task) is has


def test_unknown_memory_keeps_the_kernels_own_number() -> None:
    hidden = make_task(2, rss_pages=None, rss_stat_pages=None, kernel_oom_score=700)
    score = score_of(hidden, "6.18")
    assert score[1:] == (None, 100_000, 103_999, None, 700, 700, None)
    # A cgroup's totalpages are not what it was divided by.
    inside = score_of(hidden, "6.18", totalpages=1000)
    assert inside[1:] == (None, None, None, None, 700, 700, None)


@pytest.mark.parametrize(
    ("points", "totalpages", "printed"),
    [
        *((0, 2000, 666), (1, 2000, 666), (-1, 2000, 666), (2, 2000, 667), (-2, 2000, 666)),
        *((-2000, 2000, 0), (2000, 2000, 1333), (3000, 2000, 1666), (-1998, 2000, 0)),
        *((-2003, 2000, 0), (-2004, 2000, -1), (-5000, 2000, -1000)),
    ],
)
def test_the_signed_score_is_cut_toward_zero_twice(
    points: int, totalpages: int, printed: int
) -> None:
    assert oom_score_formula(era_of("6.1").facts, totalpages)(points) == printed


def test_a_product_that_wraps_in_32_bits_makes_the_signed_score_negative() -> None:
    show = oom_score_formula(era_of("6.1").facts, 524_288, 32)
    # 2147484 x 1000 is 352 beyond the largest int: -2147483296 / 524288 is -4095.99.
    assert show(2_147_484) == -((4095 - 1000) * 2 // 3)
    assert show(2_147_483) == (4095 + 1000) * 2 // 3
    # The same one by one, where the loop for the usual case must not serve.
    task = make_task(2, 2_147_484)
    score = score_of(task, "6.1", ram_pages=524_288, swap_pages=0, word_bits=32)
    assert (score.badness, score.oom_score) == (2_147_484, -2063)


def test_words_wrap_at_their_own_width() -> None:
    pages, permille = era_of("5.8").facts, era_of("3.2").facts
    big = (1 << 64) // 1000 + 1
    assert oom_score_formula(pages, 1)(big) == (big * 1000) % (1 << 64)
    assert printed_score(era_of("4.14").facts, 1 << 32, 1000) == 0
    assert printed_score(era_of("4.14").facts, (1 << 32) + 7, 1000) == 7
    assert printed_score(era_of("4.14").facts, big, 1 << 40) == 0
    assert badness_formula(permille, 1)(big, 0, False) == (big * 1000) % (1 << 64)
    half = badness_formula(permille, 1000)((1 << 31) + 3, 0, False)
    assert half == 1000
    # 2.6.36 to 2.6.38: the quotient is an int, and one beyond it is negative.
    early = badness_formula(era_of("2.6.36").facts, 1000)
    assert early((1 << 31) + 3, 0, False) == 1
    assert early((1 << 32) + 3, 0, False) == 3
    # 2.6.39 to 3.1: every step is an int.
    product = badness_formula(era_of("3.1").facts, 1000)
    assert product((1 << 32) + 3, 0, False) == 3
    assert product(2_147_484, 0, False) == 1000
    assert badness_formula(era_of("3.1").facts, 1 << 24)(2_147_484, 0, False) == 1


def test_no_memory_at_all_divides_by_one() -> None:
    for kernel in ("2.6.36", "3.1", "3.4"):
        assert badness_formula(era_of(kernel).facts, 0)(1, 0, False) == 1000
    assert badness_range(era_of("6.1").facts, 700, 0) is None
    assert badness_range(era_of("5.8").facts, 700, 1) == (1, 0)


@pytest.mark.parametrize(("adj", "badness"), [(-1, 1), (0, 1), (1, 2), (2, 3)])
def test_thousandths_are_at_least_one(adj: int, badness: int) -> None:
    assert badness_formula(era_of("3.4").facts, 1000)(1, adj, False) == badness


def test_the_loop_serves_the_usual_case_and_only_that() -> None:
    """Scored one by one either way: what differs is caught by the comparison in score_of."""
    for task in (
        make_task(2, 1999),
        make_task(2, 2000),
        make_task(2, 0),
        make_task(2, 1, adj=-1),
        make_task(2, 0, adj=-999),
        make_task(2, 1_999_999, adj=1000),
        make_task(2, 10, pmd_bytes=8192),
        make_task(2, 10, pagetable_bytes=3 * 4096 + 1),
    ):
        for kernel in ("4.14", "4.16", "4.17", "5.8", "5.9", "6.2", "6.18", "7.0"):
            for machine in ({}, {"word_bits": 32}, {"page_size": 65536}, {"swap_pages": 7}):
                score_of(task, kernel, **machine)
                score_of(task, kernel, totalpages=5000, **machine)
    assert score_of(make_task(2, 0), "5.8").badness == 1
    assert score_of(make_task(2, 1), "5.8").badness == 1
    assert score_of(make_task(2, 0), "5.9").badness == 0


def test_bounds_order_a_task_of_unknown_memory() -> None:
    def bounded(pid: int, low: int | None, high: int | None) -> Score:
        return Score(Task(pid, "t"), None, low, high, None, None, None, None)

    def known(pid: int, points: int) -> Score:
        return Score(Task(pid, "t"), points, points, points, 0, 0, 0, None)

    scores = [known(2, 60), bounded(3, 0, 100), known(4, 40), bounded(5, None, 9), known(6, 1)]
    found = in_order_of_choice(scores, last_wins=False)
    assert [s.task.pid for s in found] == [2, 3, 4, 6, 5]
    low_only = [known(2, 0), bounded(3, 9, None), known(4, -1)]
    assert [s.task.pid for s in in_order_of_choice(low_only, last_wins=False)] == [2, 3, 4]


@pytest.mark.parametrize(
    ("text", "series", "level", "shown"),
    [
        ("5.10", (5, 10), None, "5.10"),
        ("5.10.0", (5, 10), 0, "5.10"),
        ("5.10.3-x", (5, 10), 3, "5.10.3"),
        ("5.10.0-8-amd64", (5, 10), None, "5.10"),
        ("2.6.32-754.el6", (2, 6, 32), None, "2.6.32"),
        ("2.6.32.71", (2, 6, 32), 71, "2.6.32.71"),
    ],
)
def test_releases(text: str, series: tuple[int, ...], level: int | None, shown: str) -> None:
    release = parse_release(text)
    assert (release.series, release.level) == (series, level)
    assert str(release) == shown


def test_the_families_follow_each_other() -> None:
    spans = list(FAMILY_SPANS.items())
    assert spans[0] == ("legacy", "2.6.11 to 2.6.35")
    assert spans[1] == ("permille", "2.6.36 to 2.6.38")
    assert spans[-2:] == [("signed", "5.9 to 6.19"), ("signed-exact", "7.0 and newer")]
    for family, span in spans:
        first, _, last = span.partition(" to ")
        assert facts_at(parse_release(first.split()[0])).family == family
        if last:
            assert facts_at(parse_release(last)).family == family


def test_the_range_of_a_score_is_exact_beyond_the_floats() -> None:
    total = (1 << 60) + 12_345
    for kernel in ("5.8", "6.1"):
        facts = era_of(kernel).facts
        show = oom_score_formula(facts, total, 128)
        for score in (3, 650, 667, 700, 1300):
            low, high = badness_range(facts, score, total) or (0, 0)
            assert (show(low), show(high)) == (score, score)
            assert score not in (show(low - 1), show(high + 1))


def test_a_release_of_two_numbers() -> None:
    assert parse_release("2.6").series == (2, 6, 0)
    assert parse_release("5.4").level is None
