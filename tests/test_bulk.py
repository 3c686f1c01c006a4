"""The loop that scores the usual case gives what scoring one by one gives."""

from __future__ import annotations

import gc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oomlab.kernel.bulk import score_all
from oomlab.kernel.eras import era_of
from oomlab.kernel.scope import system_scope
from oomlab.kernel.selection import scorer
from oomlab.snapshot import Machine, Snapshot, Task

PAGES = st.one_of(st.none(), st.integers(0, 5_000_000))
TASKS = st.builds(
    Task,
    pid=st.integers(1, 5),
    comm=st.just("t"),
    kernel_thread=st.booleans(),
    has_mm=st.sampled_from([True, True, True, False, None]),
    oom_score_adj=st.one_of(st.none(), st.integers(-1000, 1000), st.sampled_from([-1000, -999])),
    rss_pages=PAGES,
    rss_stat_pages=PAGES,
    swap_pages=PAGES,
    pagetable_bytes=PAGES,
    pmd_bytes=st.sampled_from([None, 0, 8192]),
    oom_adj=st.sampled_from([None, -17, 5]),
    passed_over=st.booleans(),
)
KERNELS = ("4.16", "4.17", "5.8", "5.9", "6.1", "6.2", "6.16", "6.18", "7.0")


@pytest.mark.parametrize("kernel", KERNELS)
@settings(deadline=None)
@given(task=TASKS, ram=st.integers(1, 10**7), out=st.sampled_from([None, 0, 5]))
def test_one_loop_scores_as_one_by_one(kernel: str, task: Task, ram: int, out: int | None) -> None:
    machine = Machine(
        page_size=4096, release=kernel, ram_pages=ram, swap_pages=9, swapped_out_pages=out, cpus=2
    )
    era = era_of(kernel)
    scope = system_scope(Snapshot(machine=machine, tasks=(task,)))
    assert score_all(era, scope, machine) == [scorer(era, scope, machine).score(task)]


@pytest.mark.parametrize("enabled", [True, False])
def test_the_collector_is_left_as_it_was(enabled: bool) -> None:
    was = gc.isenabled()
    try:
        (gc.enable if enabled else gc.disable)()
        machine = Machine(page_size=4096, release="6.1", ram_pages=1, swap_pages=0)
        score_all(era_of("6.1"), system_scope(Snapshot(machine=machine, tasks=())), machine)
        assert gc.isenabled() is enabled
    finally:
        (gc.enable if was else gc.disable)()
