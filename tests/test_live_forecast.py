"""A forecast against the kernel: a leak in a memory cgroup of our own, until it is killed."""

from __future__ import annotations

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
    while done < (time.monotonic() - begun) * 24:
        held.append(b"x" * (1 << 20))
        done += 1
    time.sleep(0.02)
"""
"""24 MiB a second, by the clock: a busy machine does not slow it down."""


def test_the_kernel_kills_whom_and_when_the_forecast_says(cage: Cage) -> None:
    """Beside the leak stands a process that is larger at first, and lives on."""
    cage.set_limit(LIMIT)
    procs = str(cage.directory / "cgroup.procs")
    still = f"import time; open({procs!r}, 'w').write('0'); x = b'y' * (60 << 20); time.sleep(60)"
    with (
        subprocess.Popen([sys.executable, "-S", "-c", still]) as other,
        subprocess.Popen([sys.executable, "-S", "-c", LEAK, procs]) as leaker,
    ):
        try:
            view, seen = watched(cage, samples=18)
            assert leaker.wait(30) == -9
            died = time.monotonic()
        finally:
            other.kill()
            leaker.kill()
    out = view.run_out
    assert out is not None
    actual = died - seen
    print(f"killed after {actual:.2f} s, forecast {[round(s, 2) for s in out[1:]]}")  # pytest -s
    # Memory cgroups are charged in batches of 64 pages for each CPU, and the leak comes by
    # the MiB: the kill may be early or late by about two of its steps.
    slack = 0.3
    assert out.earliest_seconds - slack <= actual <= out.latest_seconds + slack
    assert {f.ranking.victim.task.pid for f in view.futures} == {leaker.pid}  # type: ignore[union-attr]
    assert view.ranking.victim.task.pid == other.pid, "at first the other was larger"  # type: ignore[union-attr]


def watched(cage: Cage, samples: int) -> tuple[View, float]:
    """Watch the cgroup and return the last view, and when its sample was taken."""
    sampler, watch = Sampler(Path("/proc"), cage.path), Watch(memcg=cage.path)
    time.sleep(0.4)  # both have started
    for _ in range(samples):
        view = watch.feed(sampler.sample(watch.wanted()))
        time.sleep(0.05)
    return view, view.sample.seconds
