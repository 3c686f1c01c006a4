"""What watching costs: CPU seconds of a sample and its view, and memory, at N processes.

Run: python bench/watch.py [PROCESSES ...]
"""

from __future__ import annotations

import gc
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

from oomlab.analysis.growth.watching import Watch
from oomlab.readers.sampling import Sampler

SAMPLES = 35
"""Every process is read whole once in thirty."""
INTERVAL_SECONDS = 2.0
"""The default of oomlab watch: shares of a core are of this."""


def measure(wanted: int) -> None:
    program = [sys.executable, str(Path(__file__).with_name("processes.py")), str(wanted)]
    pipe = subprocess.PIPE
    with subprocess.Popen(program, stdin=pipe, stdout=pipe, text=True) as forks:
        assert forks.stdout is not None
        assert forks.stdout.readline() == "ready\n", "could not start that many processes"
        sampler, watch, spent = Sampler(), Watch(), []
        for _ in range(SAMPLES):
            begun = time.process_time()
            watch.feed(sampler.sample(watch.wanted()))
            spent.append(time.process_time() - begun)
            time.sleep(0.05)
        assert forks.stdin is not None
        forks.stdin.close()
    usual = statistics.median(spent[2:])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{wanted:6} processes: {usual:.3f} s of CPU a sample ({max(spent[2:]):.3f} at most, "
        f"the first {spent[0]:.3f}), {100 * usual / INTERVAL_SECONDS:.1f} % of one core at "
        f"{INTERVAL_SECONDS:.0f} s; peak {peak:.0f} MiB"
    )


def main() -> None:
    gc.enable()
    for wanted in map(int, sys.argv[1:] or ["1000", "10000"]):
        measure(wanted)


if __name__ == "__main__":
    main()
