"""totalpages of a report about a memory cgroup, era by era, against the kernel's own rule."""

from itertools import product

import pytest

from oomlab.kernel.eras import era_of
from oomlab.kernel.scope import memcg_totalpages
from oomlab.memcg import UNLIMITED_PAGES, Memcg
from oomlab.readers.kernel_log.totals import memcg_totalpages_bounds
from oomlab.report import OomReport
from oomlab.report_memory import MemcgState, Usage
from oomlab.snapshot import Machine

LIMIT, SWAP = 262_144, 524_288
UNLIMITED_KIB = 9_007_199_254_740_988


def report(second, limit_pages, used_pages=0):
    limit_kib = UNLIMITED_KIB if limit_pages is None else limit_pages * 4
    memory_kib = LIMIT * 4 - 400 if second == "memory+swap" else 0
    usage = {
        "memory": Usage(LIMIT * 4 - 400, LIMIT * 4, 9),
        second: Usage(memory_kib + used_pages * 4, limit_kib, 0),
    }
    return OomReport(memcg=MemcgState(usage=usage), oom_memcg="/a")


V1 = ["2.6.36", "2.6.37", "2.6.38", "3.6", "3.7", "4.4", "4.5", "5.9", "6.12"]
V2 = ["4.5", "5.9", "6.12"]
BEFORE_SWAPPINESS = ("2.6.36", "2.6.37", "2.6.38", "3.6")


def cases():
    """Kernel, second counter, its limit, swappiness, swapped out, total swap as told."""
    kinds = [(kernel, "memory+swap") for kernel in V1] + [(kernel, "swap") for kernel in V2]
    for (kernel, second), limit in product(kinds, (None, LIMIT, 300_000)):
        for swappiness, used in ((0, 0), (60, 0), (60, 700)):
            yield kernel, second, limit, swappiness, used, SWAP
            if kernel not in BEFORE_SWAPPINESS:  # those tell total swap in a cgroup's report too
                yield kernel, second, limit, swappiness, used, None


@pytest.mark.parametrize(
    ("kernel", "second", "second_limit", "swappiness", "used", "total_swap"), list(cases())
)
def test_the_bounds_hold_the_kernels_own_number(
    kernel, second, second_limit, swappiness, used, total_swap
):
    facts = era_of(kernel).facts
    limits = {"memory+swap": "memsw_limit_pages", "swap": "swap_limit_pages"}
    value = UNLIMITED_PAGES if second_limit is None else second_limit
    memcg = Memcg("/a", 1 if second == "memory+swap" else 2, LIMIT, swappiness=swappiness,
                  **{limits[second]: value})  # fmt: skip
    machine = Machine(page_size=4096, ram_pages=1 << 20, swap_pages=SWAP, swappiness=swappiness)
    true = memcg_totalpages(memcg, machine, facts)
    told = machine._replace(swap_pages=total_swap)
    low, high = memcg_totalpages_bounds(report(second, second_limit, used), told, facts)
    assert low <= true <= (true if high is None else high)
    if total_swap is not None and (used or kernel in BEFORE_SWAPPINESS):
        assert low == high == true
