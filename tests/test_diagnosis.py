# ruff: noqa: E501  # lines of logs, however long
"""Each cause: a report that shows it, and one of the same shape that must not be called so.

The reports are recorded ones (fixtures/kernel_log) with single numbers set anew, and lines of the
forms that test_report_lines.py knows. Real logs are in test_report_corpus.py.
"""

import re

import pytest
from kernel_logs import event_of, events_of, expected, one_event

from oomlab.analysis.causes.cause import SHARE
from oomlab.analysis.causes.limits import owner_of

BASE = one_event("6.12", "global-1").decode()
RAM = 116_765
LARGE, SMALL = RAM // 2, RAM // 100


def found(log):
    return event_of(log.encode() if isinstance(log, str) else log).causes


def causes(log):
    return [cause.cause for cause in found(log)]


def evidence(log, cause):
    return next(one.evidence for one in found(log) if one.cause == cause)


def totals(**changes):
    """The recorded machine-wide report with counters of Mem-Info (in pages) set."""
    log = BASE
    for name, pages in changes.items():
        log, count = re.subn(rf"\b{name}:\d+(?=[ \n])", f"{name}:{pages}", log, count=1)
        assert count == 1, name
    return log


def in_line(name, kib, log=BASE):
    """The report with a field in kB of its node or zone lines set in the first of them."""
    log, count = re.subn(rf"\b{name}:\d+kB", f"{name}:{kib}kB", log, count=1)
    assert count == 1, name
    return log


def and_field(name, kib, log=BASE):
    """The report with one more field at the end of its node line."""
    log, count = re.subn(r"(all_unreclaimable\? (?:yes|no))", rf"\1 {name}:{kib}kB", log, count=1)
    assert count == 1
    return log


BY_COUNTER = [
    ("shmem", "shared memory and tmpfs"),
    ("slab_unreclaimable", "unreclaimable slab"),
    ("pagetables", "page tables"),
]


@pytest.mark.parametrize(("counter", "cause"), BY_COUNTER)
def test_a_counter_that_fills_the_machine_is_a_cause_and_a_small_one_is_not(counter, cause):
    assert cause in causes(totals(**{counter: LARGE}))
    assert cause not in causes(totals(**{counter: SMALL}))
    assert f"{counter}:{LARGE}" in evidence(totals(**{counter: LARGE}), cause)


@pytest.mark.parametrize(
    ("field", "cause"),
    [
        ("kernel_stack", "kernel stacks"),
        ("Balloon", "a balloon of the hypervisor"),
        ("gpu_active", "memory of graphics drivers"),
    ],
)
def test_a_field_of_the_node_line_that_fills_the_machine(field, cause):
    put = in_line if f"{field}:" in BASE else and_field
    assert cause in causes(put(field, 4 * LARGE))
    assert cause not in causes(put(field, 4 * SMALL))
    assert f"{field}:" in evidence(put(field, 4 * LARGE), cause)[1]


def test_compressed_swap():
    def zspages(kib):
        return re.sub(r"(writepending:\d+kB)", rf"\1 zspages:{kib}kB", BASE, count=1)

    assert "compressed swap in memory" in causes(zspages(4 * LARGE))
    assert "compressed swap in memory" not in causes(zspages(4 * SMALL))


def test_locked_memory_and_what_is_unevictable_without_mlock():
    unevictable = totals(unevictable=LARGE)
    locked = in_line("mlocked", 4 * LARGE, unevictable)
    assert "locked memory" in causes(locked)
    assert "unevictable memory" not in causes(locked)
    other = in_line("mlocked", 0, unevictable)
    assert "unevictable memory" in causes(other)
    assert "locked memory" not in causes(other)
    assert not {"locked memory", "unevictable memory"} & set(causes(totals(unevictable=SMALL)))


def test_slab_names_the_largest_caches():
    listed = totals(slab_unreclaimable=LARGE).replace(
        "Tasks state",
        "Unreclaimable slab info:\nName                      Used          Total\n"
        "dentry_leak          100000KB     180000KB\nsmall        1KB       2KB\nTasks state",
        1,
    )
    assert "dentry_leak: 176M" in evidence(listed, "unreclaimable slab")


def test_processes_own_memory_by_command():
    full = totals(active_anon=LARGE, inactive_anon=LARGE)
    cause = "full of processes' own memory"
    assert cause in causes(full)
    assert cause not in causes(totals(active_anon=1, inactive_anon=1))
    shown = evidence(full, cause)
    assert any(re.fullmatch(r"\w+: [\d.]+[KMG] in \d+ processes", line) for line in shown)
    assert any(f"active_anon:{LARGE} inactive_anon:{LARGE}" in line for line in shown)


def test_processes_own_memory_by_cgroup_where_the_report_tells_of_several():
    shown = evidence(one_event("4.19-v1", "memcg-nested"), "full of processes' own memory")
    assert any(line.startswith("/nested/") for line in shown)
    alone = evidence(one_event("4.19-v1", "memcg-self"), "full of processes' own memory")
    assert not any(line.startswith("/") for line in alone)


def test_memory_in_no_counter_is_what_is_left():
    names = ("active_anon", "inactive_anon", "active_file", "inactive_file")
    nothing = dict.fromkeys(names, 0)
    cause = "memory that is in no counter"
    empty = totals(**nothing, shmem=0, free=0)
    assert cause in causes(empty)
    assert cause not in causes(totals(**nothing, free=RAM))
    assert cause not in causes(BASE)
    # What newer kernels count is in a counter.
    assert cause not in causes(and_field("Balloon", 4 * RAM, empty))


def test_swap():
    assert "no swap" in causes(one_event("6.12", "noswap-global"))
    full = BASE.replace("Free swap  = ", "Free swap  = 0kB\nX")
    assert "swap is full" in causes(full)
    assert "no swap" not in causes(full)
    roomy = re.sub(r"Free swap  = \d+kB", "Free swap  = 131000kB", BASE)
    assert not {"no swap", "swap is full"} & set(causes(roomy))


def test_no_swap_is_no_cause_where_nothing_could_go_there():
    log = one_event("6.12", "noswap-global").decode()
    for name in ("active_anon", "inactive_anon"):
        log = re.sub(rf"\b{name}:\d+ ", f"{name}:10 ", log, count=1)
    assert "no swap" not in causes(log)


def test_asked_for_by_hand():
    assert causes(one_event("6.12", "sysrq-3"))[0] == "asked for by hand"
    assert "asked for by hand" not in causes(BASE)


BPF = "oom-kill:constraint=CONSTRAINT_BPF_PSI_MEM,nodemask=(null),cpuset=/,mems_allowed=0,"


def test_a_program_of_bpf_that_asked_or_chose():
    cause = "a BPF program decided"
    summary = re.search(r"oom-kill:constraint=CONSTRAINT_NONE.*?,global_oom,", BASE)[0]
    by_constraint = BASE.replace(summary, BPF + "global_oom,")
    head, rest = BASE.split("\n", 1)
    assert cause in causes(by_constraint)
    assert cause in causes(f"{head}\noom_policy=mine\n{rest}")
    assert cause in causes(f"{head}\n bpf_out_of_memory+0x6f/0xd0\n{rest}")
    assert cause not in causes(f"{head}\noom_policy=default\n{rest}")
    assert cause not in causes(BASE)


def test_a_cgroups_limit_own_or_ancestors():
    own = event_of(one_event("6.12", "memcg-other"))
    nested = event_of(one_event("6.12", "memcg-nested"))
    assert own.causes[0].cause == nested.causes[0].cause == "a memory cgroup's limit"
    assert "ancestor" in nested.causes[0].advice
    assert "ancestor" not in own.causes[0].advice
    assert any("limit" in line and "failcnt" in line for line in own.causes[0].evidence)
    assert "a memory cgroup's limit" not in causes(BASE)


@pytest.mark.parametrize(
    ("path", "owner"),
    [
        ("/docker/" + "0f" * 32, "docker container 0f0f0f0f0f0f"),
        (
            "/kubepods/burstable/pod1d4cf6e5-0c4f-4b5c-9d5f-0f2f0f2f0f2f/" + "ab" * 32,
            "container abababababab of Kubernetes pod 1d4cf6e5-0c4f-4b5c-9d5f-0f2f0f2f0f2f",
        ),
        (
            "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod1d4cf6e5_0c4f_4b5c_9d5f_0f2f0f2f0f2f.slice",
            "Kubernetes pod 1d4cf6e5-0c4f-4b5c-9d5f-0f2f0f2f0f2f",
        ),
        ("/system.slice/nginx.service", None),
        ("/", None),
    ],
)
def test_whose_cgroup_it_is(path, owner):
    assert owner_of(path) == owner


@pytest.mark.parametrize("kernel", ["3.2", "3.10", "4.4", "4.19-v1", "5.10", "6.1", "6.12", "7.2"])
def test_only_some_nodes_were_allowed(kernel):
    """The dump leaves the other nodes out; what is free there is the total less what is listed."""
    cause = "the allowed nodes are full, others are not"
    log = one_event(kernel, "cpuset")
    assert cause in causes(log)
    assert "nodes allowed: 1" in evidence(log, cause)
    assert any(re.search(r"free:\d+ in all, .* in others", line) for line in evidence(log, cause))
    assert cause not in causes(one_event(kernel, "global-1"))


def test_only_some_nodes_were_allowed_and_nothing_tells_of_the_others():
    log = one_event("6.12", "cpuset").decode()
    log, count = re.subn(r"(?m)^.* free:\d+ free_pcp:.*\n", "", log)
    assert count == 1
    assert "the allowed nodes are full" in causes(log)
    assert "the allowed nodes are full" not in causes(BASE)


def test_the_allowed_nodes_have_no_memory_any_more():
    log = one_event("6.12", "cpuset").decode()
    log = re.sub(r"(?m)^.* (?:\w+ free:|\w+: |lowmem_reserve).*kB.*\n", "", log)
    cause = "the allowed nodes are full"
    assert cause in causes(log)
    assert any(
        line.startswith("no zone of theirs is listed; free:") for line in evidence(log, cause)
    )


HEAD = (
    "app invoked oom-killer: gfp_mask={mask}, order={order}, oom_score_adj=0\n"
    "{more}CPU: 1 PID: 7 Comm: app Not tainted 5.10.1 #1\nMem-Info:\n"
)
ZONES = HEAD + (
    "{low} free:{normal}kB min:4096kB low:5000kB high:6000kB present:900000kB managed:900000kB free_cma:{cma}kB\n"
    "lowmem_reserve[]: 0 {reserve}\n"
    "{top} free:{high}kB min:512kB low:1000kB high:1500kB present:900000kB managed:900000kB free_cma:0kB\n"
    "lowmem_reserve[]: 0 0\n"
    "{low}: {blocks}*4kB (UME) 0*8kB 0*16kB 0*32kB {large}*64kB {types}= {normal}kB\n"
    "{top}: {high4}*4kB (UM) 0*8kB 0*16kB 0*32kB 0*64kB = {high}kB\n"
)


def zones(
    *,
    order=0,
    blocks=500,
    large=0,
    high=800_000,
    types="UME",
    cma=0,
    mask=None,
    low="Normal",
    top="HighMem",
    reserve=0,
    more="",
):
    normal = blocks * 4 + large * 64
    return ZONES.format(
        order=order,
        normal=normal,
        blocks=blocks,
        large=large,
        high=high,
        types=f"({types}) " if large else "",
        high4=high // 4,
        cma=cma,
        low=low,
        top=top,
        reserve=reserve,
        more=more,
        mask=mask or "0xcc0(GFP_KERNEL)",
    )


LOW_ZONE = "a low zone is exhausted, others are not"


def test_a_low_zone_exhausted_while_a_higher_one_is_free():
    assert LOW_ZONE in causes(zones())
    assert LOW_ZONE not in causes(zones(high=400))
    assert LOW_ZONE not in causes(zones(blocks=20_000))
    anything = zones(mask="0x100cca(GFP_HIGHUSER_MOVABLE)")
    assert LOW_ZONE not in causes(anything)
    assert evidence(zones(), LOW_ZONE)[0] == "Normal free:2000kB min:4096kB low:5000kB high:6000kB"


@pytest.mark.parametrize(
    ("low", "top", "mask", "word"),
    [
        ("Normal", "HighMem", "0xcc0(GFP_KERNEL)", "low memory is short"),
        ("DMA", "Normal", "0xcc1(GFP_KERNEL|GFP_DMA)", "memory at low addresses"),
        ("DMA32", "Normal", "0xcc4(GFP_KERNEL|GFP_DMA32)", "memory at low addresses"),
        ("Normal", "Movable", "0xcc0(GFP_KERNEL)", "for movable pages only"),
    ],
)
def test_which_low_zone_and_what_to_do(low, top, mask, word):
    (cause,) = found(zones(low=low, top=top, mask=mask))
    assert cause.cause == LOW_ZONE
    assert word in cause.advice


def test_what_a_zone_keeps_for_lower_requests_counts_as_used():
    # 80 MB free, 4 MB min; a request that could use HighMem leaves 100 MB of it alone.
    kept = {
        "blocks": 20_000,
        "reserve": 25_600,
        "high": 400,
        "mask": "0x100cca(GFP_HIGHUSER_MOVABLE)",
    }
    assert FREE_AGAIN not in causes(zones(**kept))
    assert FREE_AGAIN in causes(zones(**kept | {"reserve": 0}))
    assert FREE_AGAIN in causes(zones(**kept | {"mask": "0xcc0(GFP_KERNEL)"}))


FREE_AGAIN = "enough was free again when the report was printed"


def test_enough_was_free_again():
    assert FREE_AGAIN in causes(zones(blocks=20_000))
    assert FREE_AGAIN not in causes(zones(blocks=1_400))
    assert FREE_AGAIN not in causes(zones(blocks=20_000, mask="0x0()"))
    assert FREE_AGAIN not in causes(BASE)


CMA = "free memory is CMA's, which this request may not use"


def test_a_little_of_cma_that_was_the_last_straw_comes_after_what_fills():
    log = one_event("7.2-causes", "cma").decode()
    uncounted = "memory that is in no counter"
    assert causes(log).index(CMA) < causes(log).index(uncounted)
    larger = re.sub(r"\d+ pages RAM", f"{1 << 23} pages RAM", log)
    larger = re.sub(r"(present|managed):\d+kB", rf"\1:{1 << 24}kB", larger)
    assert causes(larger).index(CMA) > causes(larger).index(uncounted)


def test_how_much_is_cmas_may_be_cut_off_its_line():
    log = one_event("7.2-causes", "cma").decode()
    first, *others = re.findall(r"(?m)^.* free:\d+kB .*\n", log)
    once = log.replace(first, first.partition(" present:")[0] + "\n")
    assert CMA in causes(once)
    for line in others:
        once = once.replace(line, line.partition(" present:")[0] + "\n")
    if others:
        again = "enough was free again when the report was printed"
        assert not {CMA, again} & set(causes(once))


def test_free_memory_that_is_cmas():
    assert CMA in causes(zones(blocks=20_000, cma=78_000, high=400))
    assert CMA not in causes(zones(blocks=20_000, cma=1_000, high=400))
    movable = "0x100cca(GFP_HIGHUSER_MOVABLE)"
    assert CMA not in causes(zones(blocks=20_000, cma=78_000, high=400, mask=movable))
    assert "free_cma:78000kB" in evidence(zones(blocks=20_000, cma=78_000, high=400), CMA)[0]


def test_a_large_piece_asked_of_fragmented_memory():
    fragmented = zones(order=4, blocks=20_000, high=400)
    assert "fragmentation" in causes(fragmented)
    shown = evidence(fragmented, "fragmentation")
    assert shown[0] == "no free block of order 4: 64K in one piece"
    assert "largest free block 4kB" in shown[1]
    assert shown[2].startswith("Normal: 20000*4kB (UME) 0*8kB")
    assert "fragmentation" not in causes(zones(order=4, blocks=20_000, large=3, high=400))
    assert "fragmentation" not in causes(zones(order=0, blocks=20_000, high=400))


@pytest.mark.parametrize(
    ("types", "missing"), [("H", True), ("C", True), ("I", True), ("CU", False)]
)
def test_large_blocks_that_are_kept_for_others_do_not_help(types, missing):
    log = zones(order=4, blocks=20_000, large=3, types=types, high=400)
    assert ("fragmentation" in causes(log)) == missing


def test_a_kernel_without_compaction():
    log = zones(order=4, blocks=20_000, high=400, more="COMPACTION is disabled!!!\n")
    advice = next(one.advice for one in found(log) if one.cause == "fragmentation")
    assert "CONFIG_COMPACTION" in advice


NUMA = HEAD + (
    "Node 0 Normal free:{first}kB min:4096kB low:5000kB high:6000kB present:900000kB managed:900000kB\n"
    "Node 1 Normal free:{second}kB min:4096kB low:5000kB high:6000kB present:900000kB managed:900000kB\n"
    "oom-kill:constraint={constraint},nodemask={nodemask},cpuset=/,mems_allowed={mems},global_oom,"
    "task_memcg=/,task=app,pid=7,uid=0\n"
)


@pytest.mark.parametrize(
    ("constraint", "nodemask", "mems"),
    [("CONSTRAINT_MEMORY_POLICY", "0", "0-1"), ("CONSTRAINT_CPUSET", "(null)", "0")],
)
def test_a_node_exhausted_while_another_has_room(constraint, nodemask, mems):
    values = {
        "mask": "0x100cca(GFP_HIGHUSER_MOVABLE)",
        "order": 0,
        "more": "",
        "first": 2000,
        "second": 800_000,
        "constraint": constraint,
        "nodemask": nodemask,
        "mems": mems,
    }
    cause = "the allowed nodes are full, others are not"
    assert cause in causes(NUMA.format(**values))
    assert "nodes allowed: 0" in evidence(NUMA.format(**values), cause)
    assert cause not in causes(NUMA.format(**values | {"second": 3000}))
    everywhere = {"constraint": "CONSTRAINT_NONE", "nodemask": "(null)", "mems": "0-1"}
    assert cause not in causes(NUMA.format(**values | everywhere))


def test_huge_pages_reserved_or_in_use():
    line = "Node 0 hugepages_total={} hugepages_free={} hugepages_surp=0 hugepages_size=2048kB"
    old = line.format(0, 0)
    assert old in BASE
    idle, used = "huge pages reserved and unused", "memory in huge pages (hugetlb)"
    assert idle in causes(BASE.replace(old, line.format(100, 90)))
    assert used not in causes(BASE.replace(old, line.format(100, 90)))
    assert used in causes(BASE.replace(old, line.format(100, 3)))
    assert idle not in causes(BASE.replace(old, line.format(100, 3)))
    assert not {idle, used} & set(causes(BASE.replace(old, line.format(2, 2))))
    impossible = event_of(BASE.replace(old, line.format(1000, 0)).encode())
    assert not {idle, used} & {cause.cause for cause in impossible.causes}
    assert any(
        gap.startswith("its huge pages, 2048000kB, are more than RAM") for gap in impossible.gaps
    )


def test_protected_processes_leave_only_small_ones():
    # The process that fills the machine here is one that is not to be killed.
    assert "the largest processes are protected" in causes(BASE)
    own = causes(one_event("6.12", "global-self"))
    assert "the largest processes are protected" not in own


def test_protected_processes_that_hold_next_to_nothing_are_no_cause():
    pages = {"pages RAM": 1 << 26, "pages reserved": 0}
    larger = BASE
    for what, number in pages.items():
        larger = re.sub(rf"\d+ {what}", f"{number} {what}", larger)
    assert "the largest processes are protected" not in causes(larger)


CGROUP = (
    "app invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0\n"
    "CPU: 1 PID: 7 Comm: app Not tainted 5.15.1 #1\n"
    "memory: usage 1024000kB, limit 1024000kB, failcnt 9\n"
    "swap: usage {used}kB, limit {swap}kB, failcnt 0\n"
    "Memory cgroup min protection {kept}kB -- low protection 0kB\n"
    "Memory cgroup stats for /app:\nanon {anon}\nfile {file}\nkernel {kernel}\nfile_dirty {dirty}\n"
    "file_writeback 0\nshmem 0\nworkingset_refault_file {refaults}\n"
    "oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,mems_allowed=0,"
    "oom_memcg=/app,task_memcg=/app,task=app,pid=7,uid=0\n"
)
NO_LIMIT = 9007199254740988


def cgroup(**values):
    usual = {
        "swap": NO_LIMIT,
        "used": 0,
        "kept": 0,
        "anon": 1_000_000_000,
        "file": 0,
        "dirty": 0,
        "kernel": 0,
        "refaults": 0,
    }
    return CGROUP.format(**usual | values)


def test_page_cache_that_thrashes_under_a_cgroups_limit():
    cause = "page cache is thrashing"
    thrashing = {"anon": 0, "file": 900_000_000, "refaults": 9_000_000}
    assert cause in causes(cgroup(**thrashing))
    assert "workingset_refault_file 9000000" in evidence(cgroup(**thrashing), cause)
    assert cause not in causes(cgroup(**thrashing | {"refaults": 3}))
    assert cause not in causes(cgroup(file=9, refaults=10**7))


def test_page_cache_that_waits_to_be_written():
    cause = "page cache that can't be written fast enough"
    waiting = {"anon": 0, "file": 900_000_000, "dirty": 800_000_000}
    assert cause in causes(cgroup(**waiting))
    assert cause not in causes(cgroup(**waiting | {"dirty": 1_000_000}))
    assert cause in causes(totals(inactive_file=LARGE, dirty=LARGE // 2))
    assert cause not in causes(totals(inactive_file=LARGE, dirty=10))


def test_a_cgroups_swap_limit():
    none, full = "the cgroup may use no swap", "the cgroup may use no more swap"
    assert none in causes(cgroup(swap=0))
    assert full in causes(cgroup(swap=4096, used=4096))
    for open_ended in (cgroup(), cgroup(swap=4096, used=12)):
        assert not {none, full} & set(causes(open_ended))


def test_a_cgroups_memory_and_swap_together():
    both = "the cgroup's memory and swap together"
    v1 = cgroup().replace("swap: usage", "memory+swap: usage")
    assert both in causes(v1.replace(f"limit {NO_LIMIT}kB", "limit 0kB"))
    assert both not in causes(v1)


def test_kernel_memory_of_a_cgroup():
    cause = "kernel memory charged to the cgroup"
    assert cause in causes(cgroup(anon=0, kernel=800_000_000))
    assert cause not in causes(cgroup(kernel=1_000_000))


def test_what_a_cgroups_statistics_do_not_name():
    cause = "memory charged to the cgroup that its statistics do not name"
    assert cause in causes(cgroup(anon=0))
    assert cause not in causes(cgroup())
    assert cause not in causes(cgroup(anon=990_000_000))


def test_what_memory_min_keeps():
    cause = "memory.min keeps memory from being reclaimed"
    assert cause in causes(cgroup(kept=500_000))
    assert cause not in causes(cgroup(kept=1_000))


@pytest.mark.parametrize("place", range(5))
def test_kills_provoked_by_one_use_of_memory_each_are_told_by_it(place):
    """Recorded on purpose on 6.18 in a cgroup of 64 MiB: what filled it is known."""
    event, truth = events_of("6.18-causes")[place], expected("6.18-causes")[place]
    assert [cause.cause for cause in event.causes] == truth["causes"]


def test_causes_are_ranked_limits_first_then_the_largest_use():
    log = totals(shmem=LARGE, slab_unreclaimable=LARGE // 2, pagetables=LARGE // 3)
    own = [one for one in causes(log) if one in dict(BY_COUNTER).values()]
    assert own == [cause for _, cause in BY_COUNTER]
    both = causes(cgroup(swap=0))
    assert both[:2] == ["a memory cgroup's limit", "the cgroup may use no swap"]


def test_every_share_is_asked_for():
    from pathlib import Path

    import oomlab.analysis.causes

    room = Path(oomlab.analysis.causes.__file__).parent
    text = "".join(path.read_text() for path in room.glob("*.py") if path.stem != "cause")
    assert all(f'"{name}"' in text for name in SHARE)
