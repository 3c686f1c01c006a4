"""The model against the running kernel: its own oom_score of every process is the judge."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from holders import can_lower_adj, holders

import oomlab
from oomlab.analysis.agreement import Comparison, compare, compare_all, compare_settled
from oomlab.analysis.ranking import Ranking
from oomlab.readers.procfs import PROC, ProcScan

MIB = 1 << 20


def settled(first: Comparison, ranking: Ranking) -> Comparison:
    """Read a process again until it agrees or has stood still: races don't count."""
    scan = ProcScan(PROC, page_size=ranking.snapshot.machine.page_size)
    pid = first.score.task.pid
    return compare_settled(
        first, (next(iter(scan.read_some([pid])), None) for _ in range(50)), ranking
    )


def disagreements(ranking: Ranking) -> list[Comparison]:
    found = compare_all(ranking)
    assert len(found) == len(ranking)
    again = [settled(one, ranking) if one.verdict == "differs" else one for one in found]
    return [one for one in again if one.verdict == "differs"]


def test_every_process_of_this_machine() -> None:
    ranking = oomlab.rank(oomlab.load())
    assert len(ranking) > 5
    assert disagreements(ranking) == []


@pytest.mark.parametrize("seed", range(3))
def test_processes_of_our_own(seed: int) -> None:
    """Anonymous, file and shared memory from 10 MB to 1 GB, with every kind of adj."""
    chance = random.Random(seed)
    lowest = -999 if can_lower_adj() else 0
    wanted = [
        (kind, size * MIB, chance.randint(lowest, 1000))
        for kind, size in zip(
            ("anon", "file", "shmem", "anon", "shmem", "anon"),
            (10, 30, chance.randint(10, 300), chance.randint(10, 300), 100, (1000, 500, 50)[seed]),
            strict=True,
        )
    ]
    with holders(wanted) as processes:
        snapshot = oomlab.load()
        ranking = oomlab.rank(snapshot)
        for process, (kind, size, adj) in zip(processes, wanted, strict=True):
            task = oomlab.find_task(snapshot, process.pid)
            assert task.oom_score_adj == adj
            part = getattr(task, f"rss_{kind}_pages")
            assert part * snapshot.machine.page_size >= size
            score = next(score for score in ranking if score.task is task)
            judged = compare(score)
            assert judged is not None
            if judged.verdict == "differs":
                judged = settled(judged, ranking)
            assert judged.verdict in ("equal", "within"), judged
            if ranking.is_exact:
                assert judged.score.oom_score == judged.kernel
    print(f"seed {seed}: {wanted}")


def test_a_wrong_model_is_noticed() -> None:
    """The comparison can fail: another kernel's rules don't give this kernel's scores."""
    snapshot = oomlab.load()
    era = oomlab.rank(snapshot).era
    other = "5.4" if era.facts.formula == "signed" else "6.1"
    assert disagreements(oomlab.rank(snapshot, kernel=other)) != []


VFORK = """
import os, sys
block = bytearray(30 << 20)
opens_a_fifo = [(os.POSIX_SPAWN_OPEN, 0, sys.argv[1], os.O_RDONLY, 0)]
os.posix_spawn("/bin/true", ["true"], {}, file_actions=opens_a_fifo)
"""


def test_a_child_in_vfork_is_passed_over(tmp_path: Path) -> None:
    """Its status shows its parent's memory, but the kernel prints 0 and never chooses it."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    with subprocess.Popen([sys.executable, "-c", VFORK, str(fifo)]) as parent:
        try:
            children: list[psutil.Process] = []
            while not children:
                assert parent.poll() is None
                children = psutil.Process(parent.pid).children()
            snapshot = oomlab.load()
            child = oomlab.find_task(snapshot, children[0].pid)
            assert child.has_mm
            assert child.passed_over
            score = next(s for s in oomlab.rank(snapshot) if s.task is child)
            assert score.why_not is not None
            assert "vfork" in score.why_not
            assert not oomlab.find_task(snapshot, parent.pid).passed_over
        finally:
            fifo.write_text("")
            parent.wait(10)


def test_unprivileged_lowering_is_what_limits_this_test() -> None:
    if not can_lower_adj():
        pytest.skip("no CAP_SYS_RESOURCE: negative values are judged by the recordings")
    with holders([("anon", 20 * MIB, -500)]) as (process,):
        snapshot = oomlab.load()
        assert oomlab.find_task(snapshot, process.pid).oom_score_adj == -500
        ranking = oomlab.rank(snapshot)
        score = next(s for s in ranking if s.task.pid == process.pid)
        judged = compare(score)
        assert judged is not None
        assert settled(judged, ranking).verdict in ("equal", "within")
