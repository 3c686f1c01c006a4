"""How long a suggestion takes: python bench/suggest_speed.py [TASKS] [PROTECTED].

Five shapes of a machine: the protected among the largest, in the middle, only raising allowed,
few steps apart, and half of everybody protected. Prints the seconds of each, ranking included.
"""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Iterator

from oomlab import rank
from oomlab.analysis.suggest import suggest
from oomlab.snapshot import Machine, Snapshot, Task


def machine_of(sizes: list[int], adjs: list[int]) -> Snapshot:
    """Make a machine of tasks with these RSS in pages and oom_score_adj."""
    tasks = tuple(
        Task(
            pid=pid,
            comm=f"task{pid}",
            start_ticks=pid,
            has_mm=True,
            oom_score_adj=adj,
            rss_pages=pages,
            rss_stat_pages=pages,
            swap_pages=0,
            pagetable_bytes=40960,
        )
        for pid, (pages, adj) in enumerate(zip(sizes, adjs, strict=True), 2)
    )
    machine = Machine(
        page_size=4096,
        release="6.18.44",
        ram_pages=16 << 18,
        swap_pages=0,
        swapped_out_pages=0,
        cpus=8,
        init_pid_namespace=True,
    )
    return Snapshot(machine=machine, tasks=tasks)


def shapes(count: int, protected: int) -> Iterator[tuple[str, Snapshot, list[int], bool]]:
    """Yield (name, machine, the protected, whether only raising is allowed)."""
    chance = random.Random(5)
    sizes = [int(chance.paretovariate(0.7) * 200) % (3 << 18) for _ in range(count)]
    adjs = [chance.choice([0, 0, 0, 0, 100, 200, -500, 1000]) for _ in range(count)]
    largest = sorted(range(count), key=sizes.__getitem__)[-protected:]
    first = list(range(2, protected + 2))
    yield "largest, mixed", machine_of(sizes, adjs), [i + 2 for i in largest], False
    yield "largest", machine_of(sizes, [0] * count), [i + 2 for i in largest], False
    yield "any", machine_of(sizes, adjs), first, False
    yield "only raising", machine_of(sizes, [0] * count), [i + 2 for i in largest], True
    close = [20_000 + chance.randrange(40_000) for _ in range(count)]
    yield "close together", machine_of(close, [0] * count), first, False
    yield "half of all", machine_of(sizes, adjs), list(range(2, count // 2 + 2)), False


def main() -> None:
    """Time each shape once."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    protected = int(sys.argv[2]) if len(sys.argv) > 2 else 5
    for name, snapshot, pids, raise_only in shapes(count, protected):
        start = time.perf_counter()
        ranking = rank(snapshot)
        ranked = time.perf_counter() - start
        found = suggest(ranking, pids, raise_only=raise_only)
        took = time.perf_counter() - start
        said = f"{len(found.changes)} changes, sum {found.cost}" if found.changes else "none"
        print(f"{name:16} {took:6.3f} s (ranking {ranked:.3f} s): {found.impossible or said}")


if __name__ == "__main__":
    main()
