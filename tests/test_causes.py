"""Each cause on real kernels' reports: one that shows it, and one that must not trigger it.

`python -m tests.causes` recorded most of them on purpose, so that what filled the memory is known.
What a borderline does is tested on adjusted reports in test_diagnosis.py.
"""

import ast
import functools
from pathlib import Path

import pytest
from kernel_logs import REPORTS, event_of, events_of, expected, one_event, read, understood

import oomlab.analysis.causes

BUSY, LAB, LAB612 = "6.12", "7.2-causes", "6.12-causes"
"""An ordinary machine that is full of processes; uses of memory, one by one."""

SHOWN_AND_NOT = {
    "asked for by hand": ((BUSY, "sysrq-3"), (BUSY, "global-1")),
    "a memory cgroup's limit": ((LAB, "thrash"), (LAB, "min")),
    "the cgroup may use no swap": (("5.10", "memcg-self"), ("6.1", "memcg-swap")),
    "the cgroup may use no more swap": (("6.1", "memcg-swap"), ("5.10", "memcg-self")),
    "the cgroup's memory and swap together": (("4.19-v1", "memcg-self"), ("6.18-causes", "shmem")),
    "memory.min keeps memory from being reclaimed": ((LAB, "min"), (LAB, "shmem")),
    "the allowed nodes are full, others are not": (("7.2", "cpuset"), (LAB, "movable")),
    "a node is full, another is not": (("3.10", "mempolicy"), ("3.10", "cpuset")),
    "a low zone is exhausted, others are not": ((LAB, "movable"), (LAB, "pipes")),
    "free memory is CMA's, which this request may not use": ((LAB, "cma"), (LAB, "pipes")),
    "fragmentation": ((LAB, "fragments"), (LAB, "pipes")),
    "no swap": ((BUSY, "noswap-global"), (BUSY, "global-1")),
    "swap is full": ((BUSY, "global-1"), (BUSY, "noswap-global")),
    "full of processes' own memory": ((BUSY, "global-1"), (LAB, "objects")),
    "the largest processes are protected": ((BUSY, "global-1"), (BUSY, "global-self")),
    "shared memory and tmpfs": ((LAB, "shmem"), (LAB, "locked")),
    "unreclaimable slab": ((LAB, "objects"), (LAB, "shmem")),
    "page tables": ((LAB, "tables"), (LAB, "objects")),
    "kernel stacks": ((LAB, "threads"), (LAB, "tables")),
    "kernel memory charged to the cgroup": (("6.18-causes", "sockets"), ("6.18-causes", "mlock")),
    "locked memory": ((LAB, "locked"), (LAB, "ramfs")),
    "unevictable memory": ((LAB, "ramfs"), (LAB, "locked")),
    "page cache is thrashing": ((LAB, "thrash"), (LAB, "cgroup-min")),
    "huge pages reserved and unused": ((LAB, "idle-huge"), (LAB, "used-huge")),
    "memory in huge pages (hugetlb)": ((LAB, "used-huge"), (LAB, "idle-huge")),
    "a balloon of the hypervisor": ((LAB, "balloon"), (LAB, "shmem")),
    "memory of graphics drivers": ((LAB, "gpu"), (LAB, "shmem")),
    "memory taken out of RAM": ((LAB612, "balloon"), (LAB, "balloon")),
    "compressed swap in memory": ((LAB, "zram"), (LAB, "shmem")),
    "memory that is in no counter": ((LAB, "pipes"), (LAB, "objects")),
}
"""By cause: a recording that shows it, and one of the like that does not."""

IN_THE_COLLECTION = {
    "a BPF program decided": ("052", "073"),
    "page cache that can't be written fast enough": ("047", "061"),
    "a low zone is exhausted, others are not": ("050", "073"),
    "free memory is CMA's, which this request may not use": ("082", "081"),
    "fragmentation": ("048", "082"),
}
"""By cause: real logs of others that show it and that don't, where they may be read."""

ADJUSTED_ONLY = {
    "the allowed nodes are full": "the same report without the line that tells the others",
    "enough was free again when the report was printed": "a race, which can't be had at will",
    "memory charged to the cgroup that its statistics do not name": "counters that lag: likewise",
}
"""By cause: why no real report shows it here. test_diagnosis.py has adjusted ones."""


@functools.cache
def causes(kernel, recording):
    return [cause.cause for cause in event_of(one_event(kernel, recording)).causes]


@pytest.mark.parametrize("cause", SHOWN_AND_NOT)
def test_a_real_report_shows_it_and_another_does_not(cause):
    shows, does_not = SHOWN_AND_NOT[cause]
    assert cause in causes(*shows)
    assert cause not in causes(*does_not)


@pytest.mark.parametrize("cause", IN_THE_COLLECTION)
@pytest.mark.skipif(not REPORTS.exists(), reason=f"no collection of real logs at {REPORTS}")
def test_a_real_log_of_others_shows_it_and_another_does_not(cause):
    def of(name):
        (path,) = REPORTS.glob(f"{name}-*")
        (event,) = understood(read(path.read_bytes()))
        return [found.cause for found in event.causes]

    shows, does_not = IN_THE_COLLECTION[cause]
    assert cause in of(shows)
    assert cause not in of(does_not)


def test_no_cause_is_without_a_report():
    tested = {*SHOWN_AND_NOT, *IN_THE_COLLECTION, *ADJUSTED_ONLY}
    assert set(_named()) == tested
    adjusted = Path(__file__).with_name("test_diagnosis.py").read_text()
    for cause in ADJUSTED_ONLY:
        assert f'"{cause}"' in adjusted


def _named():
    """Yield the names of causes that the program can give."""
    place_of_name = {"Cause": 0, "filled": 3, "_hugepages": 2}
    for path in Path(oomlab.analysis.causes.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                place = place_of_name.get(node.func.id, len(node.args))
                name = node.args[place] if place < len(node.args) else None
                if isinstance(name, ast.Constant):
                    yield name.value


OF_THE_LAB = {
    "balloon": "a balloon of the hypervisor; full of processes' own memory; no swap",
    "zram": "compressed swap in memory; swap is full",
    "pipes": "memory that is in no counter",
    "idle-huge": "full of processes' own memory; huge pages reserved and unused; no swap",
    "used-huge": "full of processes' own memory; memory in huge pages (hugetlb); no swap",
    "threads": "kernel stacks; unreclaimable slab; no swap",
    "tables": "full of processes' own memory; page tables; no swap",
    "shmem": "shared memory and tmpfs; no swap",
    "locked": "locked memory; no swap",
    "ramfs": "unevictable memory; no swap",
    "objects": "unreclaimable slab; no swap",
    "movable": "a low zone is exhausted, others are not; memory that is in no counter",
    "cma": "free memory is CMA's, which this request may not use; memory that is in no counter",
    "fragments": "fragmentation; memory that is in no counter; page tables",
    "min": "memory.min keeps memory from being reclaimed; no swap",
    "cgroup-min": "a memory cgroup's limit; memory.min keeps memory from being reclaimed",
    "gpu": "full of processes' own memory; memory of graphics drivers; no swap",
    "thrash": "a memory cgroup's limit; full of processes' own memory; page cache is thrashing",
}
"""All that the lab's reports show, and nothing else: what else fills is the hog that was killed,
threads are task_structs too, pipes are in no counter, and children have page tables."""


@pytest.mark.parametrize("name", OF_THE_LAB)
def test_a_use_of_memory_is_told_and_nothing_that_is_not_there(name):
    assert causes(LAB, name) == OF_THE_LAB[name].split("; ")


@pytest.mark.parametrize("kernel", [LAB, LAB612])
def test_what_the_lab_filled_memory_with_is_found(kernel):
    for event, truth in zip(events_of(kernel), expected(kernel), strict=True):
        assert truth["shows"] in [cause.cause for cause in event.causes], truth["recording"]


def evidence(kernel, recording, cause):
    found = event_of(one_event(kernel, recording)).causes
    return " ".join(next(one.evidence for one in found if one.cause == cause))


def test_the_evidence_is_the_kernels_own_figures():
    assert "17820*4kB (U) 0*8kB" in evidence(LAB, "fragments", "fragmentation")
    assert "order 1: 8.0K" in evidence(LAB, "fragments", "fragmentation")
    balloon = evidence(LAB, "balloon", "a balloon of the hypervisor")
    assert "Balloon:188416kB" in balloon
    assert "184M of balloon, which leaves 130M of RAM" in balloon
    cma = evidence(LAB, "cma", "free memory is CMA's, which this request may not use")
    assert "free_cma:163684kB" in cma
    zspages = evidence(LAB, "zram", "compressed swap in memory")
    assert "zspages:131316kB" in zspages
    refaults = evidence(LAB, "thrash", "page cache is thrashing")
    assert "workingset_refault_file 172481" in refaults
    left_out = evidence(LAB, "movable", "a low zone is exhausted, others are not")
    assert "126M in others" in left_out
