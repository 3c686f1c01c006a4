"""The scope that is watched, as a whole: sizes by kind, rates, faults, a verdict of its own."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import PAGE, make_snapshot, make_task

from oomlab.analysis.growth.scope import ScopeHistory, scope_sizes
from oomlab.memcg import Memcg
from oomlab.readers.machine import read_machine
from oomlab.readers.meminfo import read_meminfo
from oomlab.readers.procfs import PROC
from oomlab.samples import Faults, Sample, identity
from oomlab.snapshot import Node, Snapshot

Run = Callable[..., tuple[int, str, str]]
MB = 1 << 20
PAGES = MB // PAGE
RECORDED = Path(__file__).parent.parent / "fixtures" / "watch.jsonl.gz"
FROM = ("--cgroup", "/demo", "--from", str(RECORDED))


def machine_of(anon: int, shmem: int | None = 0, cache: int = 0, swapped: int = 0) -> Snapshot:
    """A machine that holds so many MiB."""
    snapshot = make_snapshot(make_task(5))
    machine = snapshot.machine._replace(
        anon_pages=anon * PAGES,
        shmem_pages=None if shmem is None else shmem * PAGES,
        swap_pages=1000 * PAGES,
        swap_free_pages=(1000 - swapped) * PAGES,
        nodes=(Node(0, 9, 9, 9, 9, cache * PAGES), Node(1, 9, 9, 9, 9, PAGES)),
    )
    return Snapshot(machine=machine, tasks=snapshot.tasks)


def test_a_machine_by_kinds() -> None:
    assert scope_sizes(machine_of(30, 20, 99, 5), None) == {
        "anon": 30 * MB, "file": 100 * MB, "shmem": 20 * MB, "swap": 5 * MB,
    }  # fmt: skip
    machine, _ = read_machine(PROC)
    sizes = scope_sizes(Snapshot(machine=machine, tasks=()), None)
    assert all(size is not None for size in sizes.values())
    # Read at two moments.
    assert abs((sizes["shmem"] or 0) - read_meminfo(PROC).count("Shmem")) < 64 * MB


def test_a_memory_cgroup_by_kinds() -> None:
    memcg = Memcg(
        "/a", 2, anon_pages=3, shmem_pages=4, active_file_pages=5, inactive_file_pages=6,
        swap_usage_pages=7,
    )  # fmt: skip
    snapshot = make_snapshot(make_task(5))
    one = Snapshot(machine=snapshot.machine, tasks=snapshot.tasks, memcgs=(memcg,))
    assert [value and value // PAGE for value in scope_sizes(one, "/a").values()] == [3, 11, 4, 7]
    assert set(scope_sizes(one, "/b").values()) == {None}


@pytest.mark.parametrize(
    ("what", "verdict"),
    [("anon", "leak-like"), ("shmem", "growing"), ("cache", "steady"), ("swapped", "leak-like")],
)
def test_the_verdict_leaves_page_cache_out(what: str, verdict: str) -> None:
    history = ScopeHistory(3600.0, None)
    for number in range(40):
        sizes = {"anon": 100, "shmem": 10, "cache": 10, "swapped": 0}
        sizes[what] += 3 * number
        snapshot = machine_of(**sizes)
        tasks = snapshot.tasks
        faults = {identity(tasks[0]): Faults(100 * number, 3 * number)}
        found = history.add(Sample(seconds=2.0 * number, snapshot=snapshot, faults=faults), tasks)
    assert found.judgement.verdict == verdict
    name = {"cache": "file", "swapped": "swap"}.get(what, what)
    assert found.rates[name] == pytest.approx(1.5 * MB)
    assert sum(rate != 0 for rate in found.rates.values()) == 1
    assert (found.minor_faults_per_second, found.major_faults_per_second) == (50, 1.5)


def test_what_is_not_told_is_unknown() -> None:
    found = ScopeHistory(3600.0, None).add(Sample(seconds=1.0, snapshot=machine_of(1, None)), ())
    assert "shmem" not in found.sizes
    assert found.minor_faults_per_second is None


def test_the_recorded_cgroup_grows_by_what_its_members_do(run_cli: Run) -> None:
    status, out, _ = run_cli("watch", *FROM)
    assert status == 0
    scope = json.loads(out.splitlines()[-1])["scope"]
    # leak and holes take 23 MiB a minute each; teeth gives back what it takes.
    per_minute = scope["kinds_bytes_per_second"]["anon"] * 60 / MB
    assert per_minute == pytest.approx(46, abs=2)
    assert scope["verdict"] == "leak-like"
    assert scope["slope"]["low_bytes_per_second"] > 0
    _, table, _ = run_cli("watch", *FROM, "--format", "table")
    assert "There: 63M anonymous (+45M a minute), 38M page cache" in table
    assert "Without the page cache: leak-like: " in table
