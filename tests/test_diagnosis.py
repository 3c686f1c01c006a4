"""Each cause: a report that shows it, and one of the same shape that must not be called so."""

import pytest
from kernel_logs import event_of, one_event

BASE = one_event("6.12", "global-1").decode()


def causes(log):
    return [cause.cause for cause in event_of(log.encode()).causes]


def totals(**changes):
    """The recorded machine-wide report with counters of Mem-Info (in pages) set."""
    import re

    log = BASE
    for name, pages in changes.items():
        log, count = re.subn(rf"\b{name}:\d+(?=[ \n])", f"{name}:{pages}", log, count=1)
        assert count == 1, name
    return log


RAM = 116_765
LARGE, SMALL = RAM // 2, RAM // 100

BY_COUNTER = [
    ("shmem", "shared memory and tmpfs"),
    ("slab_unreclaimable", "unreclaimable slab"),
    ("pagetables", "page tables"),
    ("unevictable", "locked memory"),
]


@pytest.mark.parametrize(("counter", "cause"), BY_COUNTER)
def test_a_counter_that_fills_the_machine_is_a_cause_and_a_small_one_is_not(counter, cause):
    assert cause in causes(totals(**{counter: LARGE}))
    assert cause not in causes(totals(**{counter: SMALL}))


def test_processes_own_memory():
    assert "full of processes' own memory" in causes(totals(active_anon=LARGE, inactive_anon=LARGE))
    assert "full of processes' own memory" not in causes(totals(active_anon=1, inactive_anon=1))


def test_memory_in_no_counter_is_what_is_left():
    nothing = dict.fromkeys(("active_anon", "inactive_anon", "active_file", "inactive_file"), 0)
    assert "memory that is in no counter" in causes(totals(**nothing, shmem=0, free=0))
    assert "memory that is in no counter" not in causes(totals(**nothing, free=RAM))


def test_swap():
    assert "no swap" in causes(one_event("6.12", "noswap-global").decode())
    full = BASE.replace("Free swap  = ", "Free swap  = 0kB\nX")
    assert "swap is full" in causes(full)
    assert "no swap" not in causes(full)
    import re

    roomy = re.sub(r"Free swap  = \d+kB", "Free swap  = 131000kB", BASE)
    assert not {"no swap", "swap is full"} & set(causes(roomy))


def test_a_cgroups_limit_own_or_ancestors():
    own = event_of(one_event("6.12", "memcg-other"))
    nested = event_of(one_event("6.12", "memcg-nested"))
    assert own.causes[0].cause == nested.causes[0].cause == "a memory cgroup's limit"
    assert "ancestor" in nested.causes[0].advice
    assert "ancestor" not in own.causes[0].advice
    assert "a memory cgroup's limit" not in causes(BASE)


@pytest.mark.parametrize("recording", ["cpuset", "mempolicy"])
def test_only_some_nodes_were_allowed(recording):
    assert "the allowed nodes are full" in causes(one_event("6.12", recording).decode())
    assert "the allowed nodes are full" not in causes(BASE)


ZONES = (
    "app invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order={order}, oom_score_adj=0\n"
    "CPU: 1 PID: 7 Comm: app Not tainted 5.10.1 #1\nMem-Info:\n"
    "Normal free:{normal}kB min:4096kB low:5000kB high:6000kB present:900000kB managed:900000kB\n"
    "lowmem_reserve[]: 0 0\n"
    "HighMem free:{high}kB min:512kB low:1000kB high:1500kB present:900000kB managed:900000kB\n"
    "lowmem_reserve[]: 0 0\n"
    "Normal: {blocks}*4kB (UME) 0*8kB 0*16kB 0*32kB {large}*64kB {end}= {normal}kB\n"
    "HighMem: {high4}*4kB (UM) 0*8kB 0*16kB 0*32kB 0*64kB = {high}kB\n"
)


def zones(*, order=0, blocks=500, large=0, high=800_000):
    normal = blocks * 4 + large * 64
    end = "(UME) " if large else ""
    return ZONES.format(order=order, normal=normal, blocks=blocks, large=large, end=end, high=high,
                        high4=high // 4)  # fmt: skip


def test_a_low_zone_exhausted_while_high_memory_is_free():
    assert "a low zone is exhausted, others are not" in causes(zones())
    assert "a low zone is exhausted, others are not" not in causes(zones(high=400))
    assert "a low zone is exhausted, others are not" not in causes(zones(blocks=20_000))


def test_a_large_piece_asked_of_fragmented_memory():
    assert "fragmentation" in causes(zones(order=4, blocks=20_000))
    assert "fragmentation" not in causes(zones(order=4, blocks=20_000, large=3))
    assert "fragmentation" not in causes(zones(order=0, blocks=20_000))


def test_huge_pages_reserved():
    line = "Node 0 hugepages_total={} hugepages_free={} hugepages_surp=0 hugepages_size=2048kB"
    old = line.format(0, 0)
    assert old in BASE
    assert "memory reserved for huge pages" in causes(BASE.replace(old, line.format(100, 90)))
    assert "memory reserved for huge pages" not in causes(BASE.replace(old, line.format(2, 2)))


def test_protected_processes_leave_only_small_ones():
    # The process that fills the machine here is one that is not to be killed.
    assert "the largest processes are protected" in causes(BASE)
    assert "the largest processes are protected" not in causes(
        one_event("6.12", "global-self").decode()
    )


CGROUP = (
    "app invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0\n"
    "CPU: 1 PID: 7 Comm: app Not tainted 5.15.1 #1\n"
    "memory: usage 102400kB, limit 102400kB, failcnt 9\n"
    "swap: usage 0kB, limit {swap}kB, failcnt 0\n"
    "Memory cgroup stats for /app:\nanon 1000\nfile {file}\nfile_dirty 0\nfile_writeback 0\n"
    "shmem 0\nworkingset_refault_file {refaults}\n"
    "oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,mems_allowed=0,"
    "oom_memcg=/app,task_memcg=/app,task=app,pid=7,uid=0\n"
)


def test_page_cache_that_thrashes_under_a_cgroups_limit():
    thrashing = CGROUP.format(swap=0, file=90_000_000, refaults=9_000_000)
    assert "page cache is thrashing" in causes(thrashing)
    assert "page cache is thrashing" not in causes(
        CGROUP.format(swap=0, file=90_000_000, refaults=3)
    )
    assert "page cache is thrashing" not in causes(CGROUP.format(swap=0, file=9, refaults=10**7))


def test_a_cgroups_swap_limit():
    full = CGROUP.format(swap=0, file=0, refaults=0)
    assert "the cgroup may use no more swap" in causes(full)
    open_ended = CGROUP.format(swap=9007199254740988, file=0, refaults=0)
    assert "the cgroup may use no more swap" not in causes(open_ended)
