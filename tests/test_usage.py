"""Which pages count, from which file, and how far they may be from what the killer reads."""

from __future__ import annotations

from typing import Any

import pytest
from conftest import make_machine, make_task

from oomlab.kernel.eras import era_of
from oomlab.kernel.usage import counter_error_pages, is_exact, killer_rss_pages, usage_reader
from oomlab.snapshot import Task


def usage(kernel: str, task: Task, **machine: Any) -> tuple[int, int, int] | None:
    return usage_reader(era_of(kernel).facts, make_machine(release=kernel, **machine))(task)


@pytest.mark.parametrize(
    ("kernel", "status", "stat", "reads"),
    [
        ("5.10", 1000, 980, 1000),
        ("6.2", 1000, 980, 980),
        ("6.18", 1000, 980, 980),
        ("7.0", 1000, 980, 1000),
        ("5.10", None, 980, 980),
        ("6.18", 1000, None, 1000),
        ("6.18", None, None, None),
    ],
)
def test_which_rss_the_killer_reads(
    kernel: str, status: int | None, stat: int | None, reads: int | None
) -> None:
    task = make_task(2, rss_pages=status, rss_stat_pages=stat, swap_pages=7)
    facts = era_of(kernel).facts
    assert killer_rss_pages(task, facts) == reads
    found = usage(kernel, task)
    assert (found and found[0]) == (None if reads is None else reads + 7)


@pytest.mark.parametrize(
    ("kernel", "swapped_out", "exact"),
    [
        # status and stat show one counter, the killer's
        ("5.10", 9, True),
        ("6.2", 9, True),
        ("7.0", 9, True),
        # no file shows the killer's swap entries, unless there never were any
        ("6.18", 0, True),
        ("6.18", 1, False),
        ("6.18", None, False),
    ],
)
def test_where_the_files_show_the_killers_own_counters(
    kernel: str, swapped_out: int | None, exact: bool
) -> None:
    machine = make_machine(release=kernel, swapped_out_pages=swapped_out, swap_pages=5)
    assert is_exact(era_of(kernel).facts, machine) is exact
    found = usage(kernel, make_task(2, 1000, swap_pages=500), swapped_out_pages=swapped_out)
    assert found is not None
    assert (found[1] == found[2]) is exact


@pytest.mark.parametrize(
    ("kernel", "missing", "error"),
    [
        # 2 CPUs: 62 pages for each of three counters, where status is an exact sum and stat not
        ("6.18", "rss_stat_pages", 3 * 62),
        ("7.0", "rss_pages", 3 * 62),
        ("6.2", "rss_stat_pages", 0),
        ("5.10", "rss_pages", 0),
    ],
)
def test_the_other_file_stands_in_within_the_counters_error(
    kernel: str, missing: str, error: int
) -> None:
    task = make_task(2, 1000, **{missing: None})
    assert usage(kernel, task) == (1000, 1000 - error, 1000 + error)


def test_an_unknown_number_of_cpus_is_the_most_a_kernel_supports() -> None:
    error = 3 * counter_error_pages(8192)
    found = usage("6.18", make_task(2, 1 << 40, rss_stat_pages=None), cpus=None)
    assert found == (1 << 40, (1 << 40) - error, (1 << 40) + error)


def test_each_counter_is_clamped_at_zero_on_its_own() -> None:
    task = make_task(2, 10, rss_stat_pages=None, swap_pages=5, pagetable_bytes=3 * 4096)
    found = usage("6.18", task, swapped_out_pages=9, swap_pages=9)
    assert found == (18, 3, 18 + 3 * 62 + 62)
    only_rss = make_task(2, 10, rss_stat_pages=None, swap_pages=200)
    assert usage("6.18", only_rss, swapped_out_pages=9, swap_pages=9) == (210, 138, 458)


@pytest.mark.parametrize(
    ("swap_total", "swapped_out", "counts"),
    [(0, 9, 0), (9, 0, 0), (0, 0, 0), (9, 9, None), (9, 1, None), (1, 9, None), (9, None, None)],
)
def test_swap_that_is_not_shown_is_none_only_where_there_never_was_any(
    swap_total: int, swapped_out: int | None, counts: int | None
) -> None:
    task = make_task(2, 1000, swap_pages=None)
    found = usage("5.10", task, swap_pages=swap_total, swapped_out_pages=swapped_out)
    assert found == (None if counts is None else (1000, 1000, 1000))


def test_what_a_report_has_no_column_for_is_bounded() -> None:
    machine = {"swap_pages": 9, "swapped_out_pages": 9}
    bare = {"swap_pages": None, "pagetable_bytes": None, "hidden_pages": 60}
    assert usage("5.10", make_task(2, 1000, **bare), **machine) == (1000, 1000, 1060)
    some = make_task(2, 1000, **bare | {"swap_pages": 30})
    assert usage("5.10", some, **machine) == (1030, 1030, 1090)
    other = make_task(2, 1000, **bare | {"pagetable_bytes": 20 * 4096})
    assert usage("5.10", other, **machine) == (1020, 1020, 1080)
    nothing = make_task(2, 1000, **bare | {"rss_pages": None, "rss_stat_pages": None})
    assert usage("5.10", nothing, **machine) is None
    assert usage("5.10", make_task(2, 1000, swap_pages=None), **machine) is None


def test_page_tables_of_another_era_widen_what_is_bounded_already() -> None:
    task = make_task(
        2, 1000, rss_stat_pages=None, swap_pages=0, pagetable_bytes=10 * 4096, rss_anon_pages=600
    )
    facts, machine = era_of("6.18").facts, make_machine(release="4.9", swap_pages=0)
    # The two upper levels that 4.9 does not show are 10 tables each at most.
    assert usage_reader(facts, machine)(task) == (1010, 1010 - 186, 1010 + 186 + 10)
    unknown = task._replace(pagetable_bytes=None, hidden_pages=5)
    assert usage_reader(facts, machine)(unknown) is None
    nobody = task._replace(rss_pages=None)
    assert usage_reader(facts, machine)(nobody) is None


def test_an_entry_of_a_table_is_a_word() -> None:
    # 4 KiB hold 512 entries of 64 bits or 1024 of 32: 1025 anonymous pages need 3 or 2 tables.
    task = make_task(2, 2000, rss_anon_pages=1025, pagetable_bytes=10 * 4096)
    facts = era_of("4.14").facts
    for bits, least in ((64, 3), (32, 2)):
        machine = make_machine(release="6.1", word_bits=bits)
        assert usage_reader(facts, machine)(task) == (2010, 2000 + least, 2010)


def test_a_distribution_that_shows_its_second_level_has_no_bounds() -> None:
    task = make_task(2, 1000, pagetable_bytes=10 * 4096, pmd_bytes=3 * 4096)
    facts = era_of("3.10").facts._replace(page_tables="ptes+pmds")
    machine = make_machine(release="3.10.0-1160.el7.x86_64")
    assert usage_reader(facts, machine)(task) == (1013, 1013, 1013)
    hidden = task._replace(pmd_bytes=None)
    assert usage_reader(facts, machine)(hidden) == (1010, 1010, 1020)


def test_of_an_unknown_kernel_the_tables_are_taken_as_the_rules_want_them() -> None:
    task = make_task(2, 1000, pagetable_bytes=10 * 4096)
    for kernel in ("3.10", "5.10"):
        machine = make_machine(release=None)
        assert usage_reader(era_of(kernel).facts, machine)(task) == (1010, 1010, 1010)
        assert is_exact(era_of(kernel).facts, machine)
