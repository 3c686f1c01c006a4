"""Edits, alone and from option texts: what they change, what they refuse, what they leave."""

from __future__ import annotations

from dataclasses import replace

import pytest
from conftest import PAGE, make_snapshot, make_task
from hypothesis import given
from hypothesis import strategies as st

import oomlab
from oomlab import InputError, UnknownTaskError, rank
from oomlab.cli.edits import Wanted, apply_all, in_order
from oomlab.snapshot import Snapshot, Task

GIB = 1 << 30
adjustments = st.integers(-1000, 1000)
page_counts = st.integers(0, 1 << 32)
releases = st.sampled_from(["2.6.37", "3.3", "3.10", "3.18", "4.14", "4.19", "5.4", "6.1", "7.2"])


def of(snapshot: Snapshot, pid: int) -> Task:
    return oomlab.find_task(snapshot, pid)


def badness(release: str, task: Task) -> int:
    """Return a task's badness, lower than any where it can't be chosen."""
    score = rank(make_snapshot(task), kernel=release)[0]
    return score.badness if score.badness is not None else -(1 << 63)


@given(releases, page_counts, page_counts, adjustments)
def test_more_memory_never_lowers_badness(release: str, less: int, more: int, adj: int) -> None:
    first, second = sorted((less, more))
    assert badness(release, make_task(2, first, adj)) <= badness(release, make_task(2, second, adj))


@given(releases, page_counts, adjustments, adjustments)
def test_a_higher_adj_never_lowers_badness(release: str, pages: int, one: int, two: int) -> None:
    low, high = sorted((one, two))
    assert badness(release, make_task(2, pages, low)) <= badness(release, make_task(2, pages, high))


@given(releases, st.lists(st.tuples(page_counts, adjustments), min_size=1, max_size=8))
def test_a_task_at_minus_1000_is_never_chosen(release: str, rest: list[tuple[int, int]]) -> None:
    others = [make_task(pid, *values) for pid, values in enumerate(rest, 3)]
    ranking = rank(make_snapshot(make_task(2, 1 << 33, -1000), *others), kernel=release)
    assert all(score.task.pid != 2 for score in ranking.killable)


@given(adjustments, st.integers(0, 1 << 40), st.integers(0, 1 << 40))
def test_an_edit_leaves_the_old_snapshot_as_it_was(adj: int, size: int, more: int) -> None:
    task = make_task(2, cmdline=("a", "b"))
    before = make_snapshot(task, make_task(3))
    kept = replace(before)
    for after in (
        oomlab.set_adj(before, pid=2, oom_score_adj=adj),
        oomlab.set_rss(before, pid=2, rss_bytes=size),
        oomlab.grow(before, pid=2, more_bytes=more),
        oomlab.set_swap(before, pid=2, swap_bytes=size),
        oomlab.kill(before, pid=2),
        oomlab.add_task(before, comm="new", rss_bytes=size),
        oomlab.set_ram(before, ram_bytes=size + 1),
        oomlab.set_swap_total(before, swap_bytes=size),
    ):
        assert before == kept
        assert before.tasks[0] is task
        assert after is not before


def test_set_adj() -> None:
    before = make_snapshot(make_task(2, kernel_oom_score=666), make_task(3, kernel_oom_score=666))
    after = oomlab.set_adj(before, pid=2, oom_score_adj=-300)
    assert of(after, 2).oom_score_adj == -300
    # The kernel has not seen the edit: its number is no witness of this task any more.
    assert (of(after, 2).kernel_oom_score, of(after, 3).kernel_oom_score) == (None, 666)
    for adj in (-1001, 1001):
        with pytest.raises(InputError, match=r"outside -1000\.\.1000"):
            oomlab.set_adj(before, pid=2, oom_score_adj=adj)


def test_sizes() -> None:
    snapshot = make_snapshot(make_task(2, 1000, rss_file_pages=100, rss_anon_pages=900))
    grown = of(oomlab.grow(snapshot, pid=2, more_bytes=10 * PAGE), 2)
    assert (grown.rss_pages, grown.rss_stat_pages, grown.rss_anon_pages) == (1010, 1010, 910)
    shrunk = of(oomlab.grow(snapshot, pid=2, more_bytes=-1000 * PAGE), 2)
    assert (shrunk.rss_pages, shrunk.rss_anon_pages) == (0, None)
    resized = of(oomlab.set_rss(snapshot, pid=2, rss_bytes=50 * PAGE), 2)
    assert (resized.rss_pages, resized.rss_file_pages) == (50, None)
    assert of(oomlab.set_rss(snapshot, pid=2, rss_bytes=1), 2).rss_pages == 1
    assert of(oomlab.set_swap(snapshot, pid=2, swap_bytes=GIB), 2).swap_pages == GIB // PAGE
    for refused in (
        lambda: oomlab.grow(snapshot, pid=2, more_bytes=-1001 * PAGE),
        lambda: oomlab.set_rss(snapshot, pid=2, rss_bytes=-1),
        lambda: oomlab.set_rss(snapshot, pid=2, rss_bytes=1 << 80),
        lambda: oomlab.grow(snapshot, pid=2, more_bytes=1 << 80),
        lambda: oomlab.set_ram(snapshot, ram_bytes=0),
        lambda: oomlab.add_task(snapshot, comm="x", rss_bytes=1, oom_score_adj=2000),
    ):
        with pytest.raises(InputError):
            refused()


def test_growth_of_unknown_memory_is_refused() -> None:
    snapshot = make_snapshot(make_task(2, rss_pages=None, rss_stat_pages=None))
    with pytest.raises(InputError, match="unknown"):
        oomlab.grow(snapshot, pid=2, more_bytes=1)
    assert of(oomlab.set_rss(snapshot, pid=2, rss_bytes=PAGE), 2).rss_pages == 1


def test_a_new_process_is_the_youngest_and_wins_ties() -> None:
    after = oomlab.add_task(make_snapshot(make_task(7, 512)), comm="new", rss_bytes=512 * PAGE)
    assert after.tasks[-1].pid == 8
    assert rank(after)[0].task.comm == "new"


def test_names_do_for_pids_where_they_are_unique() -> None:
    snapshot = make_snapshot(*[make_task(p, comm=c) for p, c in ((2, "a"), (3, "b"), (4, "b"))])
    assert oomlab.find_task(snapshot, "a").pid == 2
    assert oomlab.find_task(snapshot, "3").pid == 3
    with pytest.raises(UnknownTaskError, match="3, 4"):
        oomlab.find_task(snapshot, "b")
    for missing in ("c", "99", 99):
        with pytest.raises(UnknownTaskError):
            oomlab.find_task(snapshot, missing)


def test_edits_keep_the_order_of_the_command_line() -> None:
    arguments = ["--rss", "2=1G", "--pid", "3", "--grow=2=+1G", "--adj", "5", "--rss", "3=2G"]
    values = {"rss": ["2=1G", "3=2G"], "grow": ["2=+1G"], "adj": ["3=5"]}
    assert in_order(arguments, values) == [
        Wanted("rss", "2=1G"),
        Wanted("grow", "2=+1G"),
        Wanted("adj", "3=5"),
        Wanted("rss", "3=2G"),
    ]


def test_later_edits_see_earlier_ones() -> None:
    snapshot = make_snapshot(make_task(2))
    edits = [Wanted("rss", "2=1G"), Wanted("grow", "2=+1G")]
    assert of(apply_all(snapshot, edits)[0], 2).rss_pages == 2 * GIB // PAGE
    assert of(apply_all(snapshot, edits[::-1])[0], 2).rss_pages == GIB // PAGE
    added = [Wanted("add", "new=1G,adj=7"), Wanted("adj", "new=-9")]
    assert apply_all(snapshot, added)[0].tasks[-1].oom_score_adj == -9


@pytest.mark.parametrize(
    "edits",
    [
        [Wanted("rss", "2=1G"), Wanted("rss", "2=2G")],
        [Wanted("adj", "2=1"), Wanted("adj", "task2=1")],
        [Wanted("adj", "2=1"), Wanted("kill", "2")],
        [Wanted("kill", "2"), Wanted("adj", "2=1")],
        [Wanted("kill", "2"), Wanted("kill", "2")],
        [Wanted("ram", "1G"), Wanted("ram", "2G")],
        [Wanted("adj", "2")],
        [Wanted("adj", "=2")],
        [Wanted("adj", "2=")],
        [Wanted("adj", "2=1.5")],
        [Wanted("add", "x")],
        [Wanted("add", "x=1G,nice=3")],
        [Wanted("add", "x=1G,adj=3,adj=4")],
        [Wanted("swap", "2=-1G")],
        [Wanted("grow", "2=many")],
    ],
    ids=str,
)
def test_contradictory_and_malformed_edits_are_refused(edits: list[Wanted]) -> None:
    with pytest.raises(oomlab.OomlabError):
        apply_all(make_snapshot(make_task(2), make_task(3)), edits)
