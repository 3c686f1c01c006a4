"""A forecast against the kernel: a leak in a memory cgroup of our own, until it is killed."""

from __future__ import annotations

import itertools
import math
import subprocess
import sys
import time
from pathlib import Path

from test_live_kills import MIB, Cage, cage

from oomlab.analysis.growth.view import View
from oomlab.analysis.growth.watching import Watch
from oomlab.readers.sampling import Sampler

__all__ = ["cage"]

LIMIT = 160 * MIB
LEAK = """
import sys, time
open(sys.argv[1], "w").write("0")
held, begun, done = [], time.monotonic(), 0
while True:
    while done < (time.monotonic() - begun) * 16:
        held.append(b"x" * (1 << 20))
        done += 1
    time.sleep(0.02)
"""
"""16 MiB a second, by the clock: a busy machine does not slow it down."""


def test_the_kernel_kills_whom_and_when_the_forecast_says(cage: Cage) -> None:
    """Beside the leak stands a process that is larger at first, and lives on."""
    cage.set_limit(LIMIT)
    procs = str(cage.directory / "cgroup.procs")
    still = (
        f"import time; open({procs!r}, 'w').write('0'); x = b'y' * (60 << 20);"
        " print(flush=True); time.sleep(60)"
    )
    command = [sys.executable, "-S", "-c"]
    with subprocess.Popen([*command, still], stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline()
        with subprocess.Popen([*command, LEAK, procs]) as leaker:
            try:
                first, view, seen = watched(cage, at_least=18)
                assert leaker.wait(30) == -9
                died = time.monotonic()
            finally:
                other.kill()
                leaker.kill()
    out = view.run_out
    assert out is not None
    assert out.latest_seconds < math.inf, "the rate had no bounds before the end"
    actual = died - seen
    print(f"killed after {actual:.2f} s, forecast {[round(s, 2) for s in out[1:]]}")  # pytest -s
    # Memory cgroups are charged in batches of 64 pages for each CPU, and the leak comes by
    # the MiB: the kill may be early or late by about two of its steps.
    slack = 0.3
    assert out.earliest_seconds - slack <= actual <= out.latest_seconds + slack
    assert {f.ranking.victim.task.pid for f in view.futures} == {leaker.pid}  # type: ignore[union-attr]
    assert first.ranking.victim.task.pid == other.pid, "at first the other was larger"  # type: ignore[union-attr]


def watched(cage: Cage, at_least: int) -> tuple[View, View, float]:
    """Watch the cgroup until the rate has bounds; return the first view, the last, and its time.

    A busy machine makes the samples uneven: then it takes more of them.
    """
    sampler, watch = Sampler(Path("/proc"), cage.path), Watch(memcg=cage.path)
    first = None
    for number in itertools.count(1):
        view = watch.feed(sampler.sample(watch.wanted()))
        first = first or view
        bounded = view.run_out is not None and view.run_out.latest_seconds < math.inf
        if cage.kills() or (number >= at_least and bounded):
            break
        time.sleep(0.05)
    return first, view, view.sample.seconds
