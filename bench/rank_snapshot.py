"""How long ranking 100,000 tasks of a snapshot takes, under the rules of each family.

Run: python bench/rank_snapshot.py [TASKS]
"""

from __future__ import annotations

import gc
import random
import sys
import time
import tracemalloc

from oomlab import Machine, Snapshot, Task, rank
from oomlab.kernel.eras import FAMILY_SPANS, era_of
from oomlab.kernel.scope import system_scope
from oomlab.kernel.selection import scorer

REPEAT = 3


def make_snapshot(count: int) -> Snapshot:
    random.seed(1)
    machine = Machine(
        page_size=4096,
        release="7.2",
        ram_pages=100_000_000,
        swap_pages=1_000_000,
        swapped_out_pages=1,
        cpus=64,
        uptime_seconds=10_000_000,
    )
    tasks = tuple(
        Task(
            pid=pid,
            comm=f"task{pid}",
            ppid=1,
            state="S",
            start_ticks=pid * 7,
            has_mm=True,
            oom_score_adj=random.choice((0, 0, 0, 500, -500)),
            rss_pages=(rss := random.randrange(1, 100_000)),
            rss_stat_pages=rss,
            swap_pages=random.randrange(100),
            pagetable_bytes=random.randrange(10, 200) * 4096,
            total_vm_pages=rss * 2,
            threads=1,
            cpu_ticks=random.randrange(1_000_000),
            nice=0,
            cap_effective=random.choice((0, (1 << 38) - 1)),
        )
        for pid in range(2, count + 2)
    )
    return Snapshot(machine=machine, tasks=tasks)


def best_of(run: object) -> float:
    times = []
    for _ in range(REPEAT):
        gc.collect()
        start = time.perf_counter()
        run()  # type: ignore[operator]
        times.append(time.perf_counter() - start)
    return min(times)


def objects_per_task(snapshot: Snapshot, release: str) -> float:
    """Return how many objects of its own each score keeps: tracked by the collector."""
    score = scorer(era_of(release), system_scope(snapshot), snapshot.machine).score
    gc.collect()
    gc.disable()
    before = len(gc.get_objects())
    kept = [score(task) for task in snapshot.tasks]
    after = len(gc.get_objects())
    gc.enable()
    return (after - before - 1) / len(kept)


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    snapshot = make_snapshot(count)
    print(f"{count} tasks; best of {REPEAT}")
    for family, span in FAMILY_SPANS.items():
        release = span.split()[0]
        seconds = best_of(lambda release=release: rank(snapshot, kernel=release))
        own = snapshot.machine._replace(release=release)
        as_it_is = Snapshot(machine=own, tasks=snapshot.tasks)
        own_seconds = best_of(lambda release=release, it=as_it_is: rank(it, kernel=release))
        kept = objects_per_task(as_it_is, release)
        print(
            f"{family:25} own kernel {own_seconds:.3f} s, another's {seconds:.3f} s, "
            f"{kept:.2f} objects a task"
        )
    tracemalloc.start()
    rank(snapshot)
    print(f"peak memory of a ranking: {tracemalloc.get_traced_memory()[1] / 2**20:.1f} MiB")


if __name__ == "__main__":
    main()
