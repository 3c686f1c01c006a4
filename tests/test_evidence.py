"""How the era is chosen: by marks, by the kernel's own scores, by files that differ."""

from __future__ import annotations

from dataclasses import replace

import pytest
from conftest import make_machine, make_snapshot, make_task

from oomlab import InputError, rank
from oomlab.kernel.eras import era_of
from oomlab.kernel.evidence import mark_passed_over, pick_era, reported_era, witness_pids
from oomlab.kernel.scope import system_scope
from oomlab.kernel.selection import scorer
from oomlab.snapshot import Reported, Snapshot, Task


def honest(release: str, rules: str, *tasks: Task, **machine: object) -> Snapshot:
    """Return the tasks with the scores that a kernel of ``rules`` prints of them."""
    snapshot = make_snapshot(*tasks, **({"release": release} | machine))
    score = scorer(era_of(rules), system_scope(snapshot), snapshot.machine).score
    known = tuple(t._replace(kernel_oom_score=score(t).oom_score) for t in tasks)
    return replace(snapshot, tasks=known)


def lying(count: int, *tasks: Task) -> tuple[Task, ...]:
    """Return the tasks, of which the first ``count`` show a score that no rules give them."""
    first = (t._replace(kernel_oom_score=1900) for t in tasks[:count])
    return (*first, *tasks[count:])


def idle(count: int) -> list[Task]:
    return [make_task(pid, 50_000 + pid) for pid in range(10, 10 + count)]


@pytest.mark.parametrize(("wrong", "enough"), [(2, True), (3, False)])
def test_one_witness_in_ten_may_have_moved(wrong: int, enough: bool) -> None:
    honest_one = honest("5.8", "5.8", *idle(20))
    assert pick_era(honest_one).evidence == "release"
    other = honest("5.8", "5.9", *idle(20))
    mixed = replace(other, tasks=lying(wrong, *other.tasks))
    # The rules of 5.9 explain all but those: they win only where that is enough.
    assert (pick_era(mixed).family == "signed") is enough
    moved = replace(honest_one, tasks=lying(wrong, *honest_one.tasks))
    assert pick_era(moved).family == "pages"


def test_a_taken_over_formula_is_called_by_the_oldest_that_fits() -> None:
    tasks = idle(20)
    assert pick_era(honest("4.18.0-553.el8_10", "5.9", *tasks)).family == "signed"
    # 7.0's exact counters in an older kernel: status shows what its killer reads.
    apart = [t._replace(rss_stat_pages=t.pid) for t in tasks]
    era = pick_era(honest("6.12.9", "7.2", *apart))
    assert era.family == "signed-exact"
    assert (era.facts.killer_counters, era.facts.status_counters) == ("exact", "exact")
    nameless = pick_era(honest("none", "7.2", *apart))
    assert (nameless.family, nameless.release) == ("signed-exact", "7.2")


def test_scores_without_totals_are_no_witnesses() -> None:
    snapshot = honest("5.8", "5.9", *idle(20))
    blind = replace(snapshot, machine=snapshot.machine._replace(swap_pages=None))
    assert pick_era(blind).evidence == "release"
    assert pick_era(snapshot).evidence.startswith("release, but oom_score of 20 processes fits")


def test_tasks_of_unknown_memory_are_no_witnesses_but_stop_nobody() -> None:
    unknown = [make_task(pid, rss_pages=None, rss_stat_pages=None) for pid in (2, 3)]
    snapshot = honest("5.8", "5.9", *unknown, *idle(20))
    first = [t._replace(kernel_oom_score=1) for t in snapshot.tasks[:2]]
    both = replace(snapshot, tasks=(*first, *snapshot.tasks[2:]))
    assert pick_era(both).family == "signed"
    alone = replace(snapshot, tasks=tuple(first))
    assert pick_era(alone).evidence == "release"


def test_init_and_the_passed_over_are_no_witnesses() -> None:
    silent = make_task(2, 10_000_000, passed_over=True, kernel_oom_score=1)
    init = make_task(1, 10_000_000, kernel_oom_score=1)
    assert pick_era(make_snapshot(init, silent, release="5.8")).evidence == "release"
    second = honest("5.8", "5.9", make_task(2, 50_000))
    assert pick_era(second).evidence == "release, but oom_score of 1 processes fits 6.1"


def test_among_many_the_largest_and_a_spread_of_others_are_asked() -> None:
    """A kernel whose large tasks alone betray its rules, and one whose idle tasks do."""
    small = [make_task(pid, 1000 + pid) for pid in range(100, 1100)]
    large = [make_task(pid, 400_000 + pid) for pid in range(2000, 2032)]
    tasks = [*small[:500], *large, *small[500:]]
    one = honest("5.8", "5.9", *tasks)
    # The small ones agree with the release, the largest don't: half of the witnesses.
    own = {t.pid: t for t in honest("5.8", "5.8", *tasks)}
    betrayed = replace(one, tasks=tuple(t if t.pid >= 2000 else own[t.pid] for t in one.tasks))
    assert pick_era(betrayed).family == "pages"
    assert pick_era(one).family == "signed"
    assert pick_era(one).evidence.startswith("release, but oom_score of 65 processes fits")
    # 128 are still asked all; one more, and it is 32 and a spread.
    assert "128 processes" in pick_era(honest("5.8", "5.9", *small[:128])).evidence
    assert "65 processes" in pick_era(honest("5.8", "5.9", *small[:129])).evidence


def test_the_largest_witnesses_are_the_largest() -> None:
    """Only they are beyond 16 GiB, where the products of 2.6.39 to 3.1 wrap."""
    tasks = [make_task(pid, 2000 + pid % 7, pagetable_bytes=0) for pid in range(100, 1100)]
    huge = [make_task(pid, 5_000_000 + pid, pagetable_bytes=0) for pid in range(3, 35)]
    snapshot = honest("3.10", "3.1", *tasks, *huge, ram_pages=250_000_000)
    era = pick_era(snapshot)
    assert era.evidence == "release, but oom_score of 65 processes fits 3.1"


def test_the_spread_is_even_and_the_first_are_all_there() -> None:
    tasks = [make_task(pid, pid) for pid in range(2, 502)]
    scores = rank(make_snapshot(*tasks)).killable
    asked = witness_pids(scores)
    by_size = sorted((t.pid for t in tasks), reverse=True)
    assert asked == by_size[:32] + by_size[32::15]
    assert witness_pids(scores[:40]) == by_size[:40]
    assert witness_pids(scores[:3]) == by_size[:3]
    assert witness_pids(scores[:70]) == by_size[:32] + by_size[32:70:2]


@pytest.mark.parametrize(
    ("release", "differing", "sized", "counters"),
    [
        ("5.10", 0, 20, ("same", "same")),
        # a race makes a few differ
        ("5.10", 2, 20, ("same", "same")),
        ("5.10", 3, 20, ("approximate", "exact")),
        # with per-CPU counters one is enough
        ("6.2", 0, 20, ("approximate", "approximate")),
        ("6.2", 1, 20, ("approximate", "exact")),
        ("6.18", 5, 20, ("approximate", "exact")),
        ("7.0", 5, 20, ("exact", "exact")),
    ],
)
def test_files_that_differ_betray_exact_sums_beside_approximate_ones(
    release: str, differing: int, sized: int, counters: tuple[str, str]
) -> None:
    tasks = [
        make_task(pid, 1000, rss_stat_pages=1000 - (pid < 10 + differing))
        for pid in range(10, 10 + sized)
    ]
    half_known = [
        make_task(3, 1000, rss_stat_pages=None),
        make_task(4, 1000, rss_pages=None),
    ]
    era = pick_era(make_snapshot(*tasks, *half_known, release=release))
    assert (era.facts.killer_counters, era.facts.status_counters) == counters
    assert era.family == era_of(release).family
    assert era.release == release
    told = f"release, but status and stat differ for {differing} processes"
    own = era_of(release).facts
    same = (own.killer_counters, own.status_counters) == counters
    assert era.evidence == ("release" if same else told)


def test_el6_by_its_mark_has_all_rules_of_the_kernel_it_took_them_from() -> None:
    task = Task(pid=9, comm="t", has_mm=True, oom_score_adj=0)
    era = pick_era(make_snapshot(task, release="2.6.32-99-own"))
    assert era.facts == era_of("2.6.38").facts
    assert era.release == "2.6.32-99-own"
    shows_pmd = Task(pid=9, comm="t", has_mm=True, oom_score_adj=0, pmd_bytes=8192)
    el7 = pick_era(make_snapshot(shows_pmd, release="3.10.0-1160.el7.x86_64"))
    own = era_of("3.10.0-1160.el7.x86_64").facts
    assert el7.facts == own._replace(page_tables="ptes+pmds")


def test_where_nothing_tells_the_user_is_asked() -> None:
    for release in (None, "", "not a release"):
        with pytest.raises(InputError, match=r"^the kernel's release is unknown; give --kernel"):
            pick_era(make_snapshot(make_task(2), release=release))


@pytest.mark.parametrize(("bonus", "has"), [(None, "30 adj"), ("3% usage", "3% usage")])
def test_a_reports_rules_are_those_that_its_lines_show(bonus: str | None, has: str) -> None:
    reported = Reported("CONSTRAINT_NONE", "3.10", "its columns", root_bonus=bonus)
    era = reported_era(reported)
    wanted = era_of("3.10").facts._replace(root_bonus=has)  # type: ignore[arg-type]
    assert era.facts == wanted._replace(killer_counters="same", status_counters="same")
    assert (era.release, era.evidence) == ("3.10", "its columns")
    snapshot = replace(make_snapshot(make_task(2), release="6.18"), reported=reported)
    assert pick_era(snapshot) == era
    newer = reported_era(reported._replace(rules_of="6.18"))
    assert (newer.facts.killer_counters, newer.facts.status_counters) == ("same", "same")


@pytest.mark.parametrize(
    ("kernel", "changes", "machine", "passed_over"),
    [
        ("6.18", {}, {}, True),
        ("6.18", {"kernel_oom_score": 1}, {}, False),
        ("6.18", {"kernel_oom_score": None}, {}, False),
        ("6.18", {"kernel_thread": True}, {}, False),
        ("6.18", {"rss_pages": None, "rss_stat_pages": None}, {}, False),
        ("6.18", {}, {"swap_pages": None}, False),
        # before 5.9 an idle task's score was 0, and is 1 from a thousandth of totalpages on
        ("5.8", {}, {}, False),
        ("5.8", {"rss_pages": 1999, "rss_stat_pages": 1999}, {}, False),
        ("5.8", {"rss_pages": 2000, "rss_stat_pages": 2000}, {}, True),
        ("2.6.32", {"total_vm_pages": 9000}, {}, False),
        (
            "2.6.32",
            {"total_vm_pages": 9000, "threads": 1, "cpu_ticks": 0, "cap_effective": 0, "nice": 0},
            {"uptime_seconds": 9},
            False,
        ),
        ("2.6.38", {}, {}, True),
    ],
)
def test_a_zero_that_the_formula_can_not_give_betrays_who_is_passed_over(
    kernel: str, changes: dict[str, object], machine: dict[str, object], passed_over: bool
) -> None:
    task = make_task(2, 1000, kernel_oom_score=0)._replace(**changes)  # type: ignore[arg-type]
    asked = make_machine(release=kernel, **machine)
    other = make_task(3, 50, kernel_oom_score=700)
    assert mark_passed_over([task, other], era_of(kernel), asked) == [passed_over, False]
