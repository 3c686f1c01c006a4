"""Measure oomlab against ps in one run: python bench/speed.py [PROCESSES ...]

Both commands run in turn, whole process from start to exit, output thrown away; what counts is
the median of the ratios pair by pair. Needs ps (procps) and room for that many processes.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

RUNS = 9
PROGRAM = str(Path(sys.executable).with_name("oomlab"))
RANK = [PROGRAM, "rank", "-n", "20"]
PS = ["ps", "-eo", "pid,ppid,rss,oom,oomadj,comm"]
HELP = [PROGRAM, "--help"]
NOTHING = [sys.executable, "-c", "pass"]


def run(command: Sequence[str]) -> tuple[float, float]:
    """Return one run's wall seconds and peak memory in MiB, its children's included."""
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, command
    return seconds, usage.ru_maxrss / 1024


def in_turn(first: Sequence[str], second: Sequence[str]) -> tuple[list[float], list[float], float]:
    """Return both commands' seconds, run by run, and the first one's peak memory."""
    run(first), run(second)
    pairs = [(run(first), run(second)) for _ in range(RUNS)]
    return [a[0] for a, _ in pairs], [b[0] for _, b in pairs], max(a[1] for a, _ in pairs)


def with_processes(wanted: int) -> None:
    """Print the figures while ``wanted`` more processes sleep."""
    program = [sys.executable, str(Path(__file__).with_name("processes.py")), str(wanted)]
    with ExitStack() as stack:
        forks = stack.enter_context(
            subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        )
        assert forks.stdout is not None
        assert forks.stdout.readline() == "ready\n", "could not start that many processes"
        ours, theirs, peak = in_turn(RANK, PS)
        assert forks.stdin is not None
        forks.stdin.close()
    ratios = [a / b for a, b in zip(ours, theirs, strict=True)]
    print(
        f"{wanted:6} processes: rank {statistics.median(ours):.3f} s, "
        f"ps {statistics.median(theirs):.3f} s, ratio {statistics.median(ratios):.2f} "
        f"({min(ratios):.2f} to {max(ratios):.2f}); peak {peak:.0f} MiB; "
        f"{statistics.median(ours) / wanted * 1e6:.1f} us per process"
    )


def main() -> None:
    """Print all figures."""
    for wanted in map(int, sys.argv[1:] or ["10000", "20000", "40000"]):
        with_processes(wanted)
    ours, theirs, _ = in_turn(HELP, NOTHING)
    more = [a - b for a, b in zip(ours, theirs, strict=True)]
    print(f"--help: {statistics.median(more) * 1000:.0f} ms more than python -c pass")


if __name__ == "__main__":
    main()
