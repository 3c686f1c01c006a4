# ruff: noqa: E501  # lines of logs, however long
"""Every form of every line of a report, by the releases that print it: where its figures go.

One row for each form: the releases, the lines, and a field of the report with its value. A form
that is not recognised would stand in ``unparsed``, which must stay empty.
"""

import pytest
from kernel_logs import read

from oomlab.report import Context, Trigger
from oomlab.report_memory import (
    Allocation,
    FreeBlocks,
    HugePages,
    PerCpu,
    Slab,
    Usage,
)

ASKED = "app invoked oom-killer: gfp_mask=0xd0, order=0, oom_score_adj=0"
KILLED = "Out of memory: Killed process 246 (worker) total-vm:65616kB, anon-rss:24kB, file-rss:240kB, shmem-rss:0kB, UID:7 pgtables:156kB oom_score_adj:-250"


def cases(rows):
    """Rows as pytest wants them: the first item is a name."""
    return [pytest.param(*row[1:], id=row[0]) for row in rows]


def trigger(comm, mask, flags, order, adj=None, old=None, nodes=None):
    return Trigger(comm, mask, flags, order, adj, old, nodes)


TRIGGERS = [
    ("2.6.11-12", "oom-killer: gfp_mask=0xd0", trigger(None, 0xD0, None, None)),
    ("2.6.13-18", "oom-killer: gfp_mask=0x201d2, order=0", trigger(None, 0x201D2, None, 0)),
    ("2.6.19-31", "a b invoked oom-killer: gfp_mask=0x1201d2, order=0, oomkilladj=-17", trigger("a b", 0x1201D2, None, 0, None, -17)),
    ("2.6.32-35", "app invoked oom-killer: gfp_mask=0xd0, order=1, oom_adj=15", trigger("app", 0xD0, None, 1, None, 15)),
    ("2.6.36-3.6", "app invoked oom-killer: gfp_mask=0xd0, order=1, oom_adj=-17, oom_score_adj=-1000", trigger("app", 0xD0, None, 1, -1000, -17)),
    ("3.7-4.5", "app invoked oom-killer: gfp_mask=0x24201ca, order=2, oom_score_adj=300", trigger("app", 0x24201CA, None, 2, 300)),
    ("4.6-4.8", "app invoked oom-killer: gfp_mask=0x24200ca(GFP_HIGHUSER_MOVABLE|__GFP_COLD), order=0, oom_score_adj=0", trigger("app", 0x24200CA, ("GFP_HIGHUSER_MOVABLE", "__GFP_COLD"), 0, 0)),
    ("4.6-, mask 0", "app invoked oom-killer: gfp_mask=0x0(), order=0, oom_score_adj=0", trigger("app", 0, (), 0, 0)),
    ("4.9, 4.10", "app invoked oom-killer: gfp_mask=0xd0(GFP_KERNEL), nodemask=0-3,8, order=0, oom_score_adj=0", trigger("app", 0xD0, ("GFP_KERNEL",), 0, 0, None, "0-3,8")),
    ("4.11-4.14", "app invoked oom-killer: gfp_mask=0xd0(GFP_KERNEL), nodemask=(null),  order=0, oom_score_adj=0", trigger("app", 0xD0, ("GFP_KERNEL",), 0, 0)),
    ("4.15-4.20", "app invoked oom-killer: gfp_mask=0xd0(GFP_KERNEL), nodemask=1, order=-1, oom_score_adj=0", trigger("app", 0xD0, ("GFP_KERNEL",), -1, 0, None, "1")),
]  # fmt: skip


@pytest.mark.parametrize(("line", "wanted"), cases(TRIGGERS))
def test_the_line_that_opens_a_report(line, wanted):
    (report,) = read(f"{line}\n{KILLED}\n".encode())
    assert report.trigger == wanted
    assert report.unparsed == []


CONTEXTS = [
    ("2.6.24-3.9", "Pid: 74, comm: a: b Tainted: P        W  3.2.0-4-amd64 #1 Debian", Context(74, "a: b", "3.2.0-4-amd64", None, None, "Tainted: P        W", "#1 Debian")),
    ("3.10-6.8", "CPU: 11 PID: 74 Comm: app Not tainted 5.10.1 #1 Debian 5.10.1-1", Context(74, "app", "5.10.1", 11, None, "Not tainted", "#1 Debian 5.10.1-1")),
    ("EL kdump", "CPU: 1 PID: 74 Comm: app Kdump: loaded Not tainted 4.18.0-80.el8.x86_64 #1", Context(74, "app", "4.18.0-80.el8.x86_64", 1, None, "Kdump: loaded Not tainted", "#1")),
    ("6.11-", "CPU: 1 UID: 1000 PID: 74 Comm: kworker/u17:0 Tainted: G S      W          6.16.0 #102 PREEMPT(full)", Context(74, "kworker/u17:0", "6.16.0", 1, 1000, "Tainted: G S      W", "#102 PREEMPT(full)")),
]  # fmt: skip


@pytest.mark.parametrize(("line", "wanted"), cases(CONTEXTS))
def test_the_line_of_cpu_and_release(line, wanted):
    (report,) = read(f"{ASKED}\n{line}\n{KILLED}\n".encode())
    assert report.context == wanted
    assert report.unparsed == []


def zone(index=0):
    return lambda report: report.memory.zones[index]


def memory(name):
    return lambda report: getattr(report.memory, name)


def fields(**values):
    return lambda report: report.memory.zones[0].fields_kib | values == report.memory.zones[0].fields_kib  # fmt: skip


def totals(**values):
    return lambda report: report.memory.totals_pages | values == report.memory.totals_pages


def node(**values):
    return lambda report: report.memory.nodes_kib[0] | values == report.memory.nodes_kib[0]


def of(name):
    return lambda report: getattr(report, name)


def count(**values):
    return lambda report: {k.replace(" ", "_").replace("/", "_").replace("-", "_"): v for k, v in report.memory.counts_pages.items()} == values  # fmt: skip


FORMS = [
    # the head
    ("4.9- without compaction", "COMPACTION is disabled!!!", of("notes"), ["COMPACTION is disabled!!!"]),
    ("2.6.29-4.20 cpuset", "app cpuset=/ mems_allowed=0-1", lambda r: (r.cpuset, r.mems_allowed), ("/", "0-1")),
    ("cpuset with blanks", "a b cpuset=my set mems_allowed=0", of("cpuset"), "my set"),
    ("hardware", "Hardware name: Dell Inc. R720/X, BIOS 2.1 01/02/2014", of("hardware"), "Dell Inc. R720/X, BIOS 2.1 01/02/2014"),
    ("workqueue", "Workqueue: events moom_callback", of("workqueue"), "events moom_callback"),
    ("6.11- taint", "Tainted: [S]=CPU_OUT_OF_SPEC, [W]=WARN", of("taint_reasons"), "[S]=CPU_OUT_OF_SPEC, [W]=WARN"),
    ("BPF", "oom_policy=default", of("policy"), "default"),
    ("call trace to 4.x", "Call Trace:\n [<ffffffff81131420>] ? dump_header+0x90/0x1b0\n [<c0102e8d>] oom_kill_process+0x82/0x2a0", of("stack"), ["[<ffffffff81131420>] ? dump_header+0x90/0x1b0", "[<c0102e8d>] oom_kill_process+0x82/0x2a0"]),
    ("call trace", "Call Trace:\n <TASK>\n dump_stack_lvl+0x4d/0x70\n ? ext4_filemap_fault+0x2d/0x40 [ext4]\n </TASK>", of("stack"), ["dump_stack_lvl+0x4d/0x70", "? ext4_filemap_fault+0x2d/0x40 [ext4]"]),
    ("registers", "RIP: 0033:0x7fa6155d9ad8\nCode: Unable to access opcode bytes at RIP 0x7fa6155d9aae.", of("registers"), ["RIP: 0033:0x7fa6155d9ad8", "Code: Unable to access opcode bytes at RIP 0x7fa6155d9aae."]),
    # per-CPU lists
    ("2.6.11-15 per-CPU", "Mem-info:\nDMA per-cpu:\ncpu 0 hot: low 2, high 6, batch 1 used:5\ncpu 0 cold: low 0, high 2, batch 1 used:0\nHighMem per-cpu: empty", memory("per_cpu"),
     {(None, "DMA"): [PerCpu(0, {"hot_low": 2, "hot_high": 6, "hot_batch": 1, "hot_used": 5}), PerCpu(0, {"cold_low": 0, "cold_high": 2, "cold_batch": 1, "cold_used": 0})], (None, "HighMem"): []}),
    ("2.6.19-24 per-CPU", "Node 0 DMA per-cpu:\nCPU    0: Hot: hi:    0, btch:   1 usd:   0   Cold: hi:    0, btch:   1 usd:   3", memory("per_cpu"),
     {(0, "DMA"): [PerCpu(0, {"hot_hi": 0, "hot_btch": 1, "hot_usd": 0, "cold_hi": 0, "cold_btch": 1, "cold_usd": 3})]}),
    ("2.6.25-4.0 per-CPU", "Node 0 DMA32 per-cpu:\nCPU   11: hi:  186, btch:  31 usd:  14", memory("per_cpu"), {(0, "DMA32"): [PerCpu(11, {"hi": 186, "btch": 31, "usd": 14})]}),
    # totals
    ("2.6.11-18 free pages", "Free pages:        3996kB (252kB HighMem)", lambda r: (r.memory.free_kib, r.memory.free_highmem_kib), (3996, 252)),
    ("2.6.11-20 totals", "Active:48588 inactive:152 dirty:3 writeback:0 unstable:0 free:999 slab:1744 mapped:48580 pagetables:263", totals(active=48588, inactive=152, slab=1744, pagetables=263), True),
    ("2.6.21-27 totals", "Active:48588 inactive:152 dirty:3 writeback:0 unstable:0\n free:999 slab:1744 mapped:48580 pagetables:263 bounce:4", totals(active=48588, free=999, bounce=4), True),
    ("2.6.28-31 totals", "Active_anon:63 active_file:7 inactive_anon:9\n inactive_file:5 unevictable:3 dirty:1 writeback:2 unstable:0\n free:999 slab:1744 mapped:48 pagetables:263 bounce:0", totals(active_anon=63, inactive_file=5, unevictable=3, slab=1744), True),
    ("2.6.32-4.0 totals", "active_anon:7 inactive_anon:5 isolated_anon:1\n active_file:3 inactive_file:1 isolated_file:2\n unevictable:9 dirty:2 writeback:0 unstable:0\n free:498 slab_reclaimable:13 slab_unreclaimable:44\n mapped:38 shmem:52 pagetables:124 bounce:0\n free_cma:11", totals(isolated_anon=1, isolated_file=2, slab_unreclaimable=44, shmem=52, free_cma=11), True),
    ("4.1-5.7 totals", "active_anon:7 inactive_anon:5 isolated_anon:1\n active_file:3 inactive_file:1 isolated_file:2\n unevictable:9 dirty:2 writeback:0 unstable:0\n slab_reclaimable:13 slab_unreclaimable:44\n mapped:38 shmem:52 pagetables:124 bounce:0\n free:498 free_pcp:31 free_cma:11", totals(free=498, free_pcp=31, free_cma=11), True),
    ("6.2- totals", "active_anon:7 inactive_anon:5 isolated_anon:1\n active_file:3 inactive_file:1 isolated_file:2\n unevictable:9 dirty:2 writeback:0\n slab_reclaimable:13 slab_unreclaimable:44\n mapped:38 shmem:52 pagetables:124\n sec_pagetables:6 bounce:0\n kernel_misc_reclaimable:8\n free:498 free_pcp:31 free_cma:11", totals(sec_pagetables=6, kernel_misc_reclaimable=8, free=498), True),
    # nodes
    ("4.8- node", "Node 0 active_anon:8kB inactive_anon:4kB active_file:0kB inactive_file:0kB unevictable:0kB isolated(anon):12kB isolated(file):16kB mapped:280kB dirty:0kB writeback:0kB shmem:588kB shmem_thp: 0kB shmem_pmdmapped: 20kB anon_thp: 24kB writeback_tmp:0kB unstable:0kB pages_scanned:9 all_unreclaimable? yes", node(**{"isolated(anon)": 12, "shmem_pmdmapped": 20, "anon_thp": 24, "pages_scanned": 9}), True),
    ("5.11- node", "Node 0 active_anon:8kB inactive_anon:4kB active_file:0kB inactive_file:0kB unevictable:0kB isolated(anon):0kB isolated(file):0kB mapped:280kB dirty:0kB writeback:0kB shmem:588kB shmem_thp:0kB shmem_pmdmapped:0kB anon_thp:0kB kernel_stack:1616kB shadow_call_stack:4kB pagetables:8356kB sec_pagetables:12kB all_unreclaimable? no Balloon:40960kB gpu_active:4kB gpu_reclaim:8kB", node(kernel_stack=1616, pagetables=8356, sec_pagetables=12, Balloon=40960, gpu_active=4, gpu_reclaim=8), True),
    ("4.8- node given up", "Node 1 active_anon:8kB inactive_anon:4kB active_file:0kB inactive_file:0kB unevictable:0kB all_unreclaimable? yes", memory("stuck_nodes"), {1}),
    # zones
    ("2.6.11-27 zone", "DMA free:1204kB min:68kB low:84kB high:100kB active:4kB inactive:8kB present:16384kB pages_scanned:17 all_unreclaimable? yes", fields(free=1204, min=68, active=4, present=16384, pages_scanned=17), True),
    ("2.6.11 protections", "DMA free:1204kB min:68kB low:84kB high:100kB active:0kB inactive:0kB present:16384kB\nprotections[]: 0 880 1006", lambda r: zone()(r).lowmem_reserve_pages, (0, 880, 1006)),
    ("2.6.32-4.7 zone", "Node 0 Normal free:60780kB min:60824kB low:76028kB high:91236kB active_anon:4kB inactive_anon:8kB active_file:0kB inactive_file:0kB unevictable:0kB isolated(anon):0kB isolated(file):0kB present:100kB managed:96kB mlocked:12kB dirty:0kB writeback:0kB mapped:0kB shmem:0kB slab_reclaimable:0kB slab_unreclaimable:20kB kernel_stack:24kB pagetables:28kB unstable:0kB bounce:0kB free_pcp:0kB local_pcp:0kB free_cma:4kB writeback_tmp:0kB pages_scanned:5 all_unreclaimable? no\nlowmem_reserve[]: 0 0 29037", fields(min=60824, managed=96, mlocked=12, kernel_stack=24, pagetables=28, free_cma=4, pages_scanned=5), True),
    ("5.16- zone", "Node 0 Normal free:60780kB boost:2048kB min:60824kB low:76028kB high:91236kB reserved_highatomic:4096KB free_highatomic:512KB active_anon:4kB inactive_anon:8kB active_file:0kB inactive_file:0kB unevictable:0kB writepending:4kB zspages:16kB present:100kB managed:96kB mlocked:0kB bounce:0kB free_pcp:1480kB local_pcp:740kB free_cma:8kB\nlowmem_reserve[]: 0 0 0 0 0", fields(boost=2048, reserved_highatomic=4096, free_highatomic=512, zspages=16, local_pcp=740, free_cma=8), True),
    # free lists
    ("2.6 free list", "DMA free:28kB min:4kB low:5kB high:6kB\nDMA: 3*4kB 0*8kB 1*16kB 0*32kB 0*64kB 0*128kB = 28kB", lambda r: (zone()(r).free_blocks[2], zone()(r).free_total_kib), (FreeBlocks(1, 16), 28)),
    ("3.8- free list", "Node 0 DMA free:28kB min:4kB low:5kB high:6kB\nNode 0 DMA: 3*4kB (UEMRHCI) 0*8kB 1*16kB (M) 0*32kB 0*64kB = 28kB", lambda r: zone()(r).free_blocks[0], FreeBlocks(3, 4, "UEMRHCI")),
    ("64 kB pages", "Node 0 Normal: 3*64kB 0*128kB 0*256kB 0*512kB 0*1024kB = 192kB", lambda r: zone()(r).free_blocks[0].size_kib, 64),
    # the rest of Mem-Info
    ("3.10- huge pages", "Node 1 hugepages_total=12 hugepages_free=3 hugepages_surp=1 hugepages_size=2048kB", memory("hugepages"), [HugePages(1, 12, 3, 1, 2048)]),
    ("2.6.25- cache", "15881 total pagecache pages\n15642 pages in swap cache", count(total_pagecache_pages=15881, pages_in_swap_cache=15642), True),
    ("to 2.6.26 swap cache", "Swap cache: add 3, delete 2, find 0/1, race 0+0", memory("swap_cache"), {"add": 3, "delete": 2, "hit": 0, "find": 1}),
    ("2.6.27-5.19 swap cache", "Swap cache stats: add 131944, delete 116302, find 3920/4316", memory("swap_cache"), {"add": 131944, "delete": 116302, "hit": 3920, "find": 4316}),
    ("swap", "Free swap  = 12kB\nTotal swap = 524284kB", lambda r: (r.memory.swap_free_kib, r.memory.swap_total_kib), (12, 524284)),
    ("i386 to 2.6.26 swap", "Free swap:       12kB", memory("swap_free_kib"), 12),
    ("i386 to 2.6.26 counts", "131056 pages of RAM\n0 pages of HIGHMEM\n2230 reserved pages\n5012 pages shared\n11 pages swap cached\n1 pages dirty\n2 pages writeback\n3 pages mapped\n4 pages slab\n5 pages pagetables", count(pages_of_RAM=131056, pages_of_HIGHMEM=0, reserved_pages=2230, pages_shared=5012, pages_swap_cached=11, pages_dirty=1, pages_writeback=2, pages_mapped=3, pages_slab=4, pages_pagetables=5), True),
    ("2.6.27-3.12 counts", "131056 pages RAM\n7 pages HighMem\n2230 pages reserved\n5012 pages shared\n99 pages non-shared", count(pages_RAM=131056, pages_HighMem=7, pages_reserved=2230, pages_shared=5012, pages_non_shared=99), True),
    ("3.14- counts", "131056 pages RAM\n7 pages HighMem/MovableOnly\n2230 pages reserved\n16 pages cma reserved\n1 pages hwpoisoned", count(pages_RAM=131056, pages_HighMem_MovableOnly=7, pages_reserved=2230, pages_cma_reserved=16, pages_hwpoisoned=1), True),
    ("4.15- slab", "Unreclaimable slab info:\nName                      Used          Total\nkmalloc-1k            4096KB       8192KB\nTCP v6 sock              1KB          2KB", memory("slabs"), [Slab("kmalloc-1k", 4096, 8192), Slab("TCP v6 sock", 1, 2)]),
    ("4.15- slab, none", "excessive unreclaimable slab but cannot dump stats", of("notes"), ["excessive unreclaimable slab but cannot dump stats"]),
    ("6.10- allocations", "Memory allocations:\n    11.7 MiB     2990 mm/slub.c:1850 func:alloc_slab_page", memory("allocations"), [Allocation("11.7 MiB", 2990, "mm/slub.c:1850 func:alloc_slab_page")]),
    # memory cgroups
    ("2.6.30-4.20 limit", "Task in /a/b killed as a result of limit of /a", lambda r: (r.task_memcg, r.oom_memcg), ("/a/b", "/a")),
    ("3.15-3.17 limit", "Task in /a/b\nkilled as a result of limit of \n/a", lambda r: (r.task_memcg, r.oom_memcg), ("/a/b", "/a")),
    ("4.1-4.20 panic", "Memory limit reached of cgroup /a", of("oom_memcg"), "/a"),
    ("v1 usage", "memory: usage 10kB, limit 20kB, failcnt 3\nmemory+swap: usage 11kB, limit 21kB, failcnt 4\nkmem: usage 1kB, limit 9007199254740988kB, failcnt 0", lambda r: r.memcg.usage, {"memory": Usage(10, 20, 3), "memory+swap": Usage(11, 21, 4), "kmem": Usage(1, 9007199254740988, 0)}),
    ("v2 usage", "memory: usage 10kB, limit 20kB, failcnt 3\nswap: usage 1kB, limit 0kB, failcnt 7", lambda r: r.memcg.usage["swap"], Usage(1, 0, 7)),
    ("3.9-5.2 statistics", "Memory cgroup stats for /a: cache:4KB rss:8KB rss_huge:0KB shmem:4KB mapped_file:0KB dirty:0KB writeback:0KB swap:12KB inactive_anon:0KB active_anon:8KB inactive_file:0KB active_file:0KB unevictable:0KB\nMemory cgroup stats for /a/b: cache:0KB rss:8KB", lambda r: {path: (s["cache"], s["rss"]) for path, s in r.memcg.stats.items()}, {"/a": (4096, 8192), "/a/b": (0, 8192)}),
    ("5.3- statistics", "Memory cgroup stats for /a:\nanon 42897408\nfile 0\nworkingset_refault_file 17\npgfault 3", lambda r: r.memcg.stats, {"/a": {"anon": 42897408, "file": 0, "workingset_refault_file": 17, "pgfault": 3}}),
    ("6.18- protection", "Memory cgroup min protection 12kB -- low protection 16kB", lambda r: (r.memcg.min_protection_kib, r.memcg.low_protection_kib), (12, 16)),
    # who died
    ("2.6.37-4.3 sharing", "Kill process 9 (x) sharing same memory", of("notes"), ["Kill process 9 (x) sharing same memory"]),
    ("4.8- pinned", "oom killer 9 (x) has mm pinned by 1 (init)", of("notes"), ["oom killer 9 (x) has mm pinned by 1 (init)"]),
    ("to 2.6.35 init", "tried to kill init!", of("notes"), ["tried to kill init!"]),
    ("to 2.6.35 no mm", "tried to kill an mm-less task!", of("notes"), ["tried to kill an mm-less task!"]),
    ("4.0-4.11 sysrq-f", "OOM request ignored because killer is disabled", of("notes"), ["OOM request ignored because killer is disabled"]),
    ("4.12- sysrq-f", "sysrq: OOM request ignored. No task eligible", of("notes"), ["sysrq: OOM request ignored. No task eligible"]),
    ("4.12- suspend", "OOM killer disabled.\nOOM killer enabled.", of("notes"), ["OOM killer disabled.", "OOM killer enabled."]),
    ("2.6.16-18 per-CPU", "DMA per-cpu:\ncpu 0 hot: high 186, batch 31 used:5", memory("per_cpu"), {(None, "DMA"): [PerCpu(0, {"hot_high": 186, "hot_batch": 31, "hot_used": 5})]}),
    ("2.6.28-31 zone", "DMA free:1204kB min:68kB low:84kB high:100kB active_anon:4kB inactive_anon:8kB active_file:1kB inactive_file:2kB unevictable:3kB present:16384kB pages_scanned:17 all_unreclaimable? no\nlowmem_reserve[]: 0 9", fields(active_anon=4, unevictable=3, present=16384), True),
    ("5.8-6.1 totals", "active_anon:7 inactive_anon:5 isolated_anon:1\n active_file:3 inactive_file:1 isolated_file:2\n unevictable:9 dirty:2 writeback:0\n slab_reclaimable:13 slab_unreclaimable:44\n mapped:38 shmem:52 pagetables:124 bounce:0\n kernel_misc_reclaimable:8\n free:498 free_pcp:31 free_cma:11", totals(kernel_misc_reclaimable=8, pagetables=124), True),
    ("2.6.30-3.8 cgroup", "memory: usage 10kB, limit 20kB, failcnt 3\nmemory+swap: usage 11kB, limit 21kB, failcnt 4", lambda r: r.memcg.usage["memory+swap"], Usage(11, 21, 4)),
    ("6.18- cgroup v1 statistics", "Memory cgroup stats for /a:\ncache 4096\nrss 8192\ntotal_cache 4096\ntotal_rss 12288", lambda r: r.memcg.stats["/a"]["total_rss"], 12288),
    ("5.9- exiting", "Out of memory: OOM victim 9 (x) is already exiting. Skip killing the task", of("notes"), ["Out of memory: OOM victim 9 (x) is already exiting. Skip killing the task"]),
]  # fmt: skip


@pytest.mark.parametrize(("lines", "told", "wanted"), cases(FORMS))
def test_a_form_of_a_line(lines, told, wanted):
    (report,) = read(f"{ASKED}\n{lines}\n{KILLED}\n".encode())
    assert told(report) == wanted
    assert report.unparsed == []
    assert report.gaps == []


TABLES = [
    ("2.6.25-35", "[ pid ]   uid  tgid total_vm      rss cpu oom_adj name", "[  305]     0   305     4277       62   1     -17 a b", {"total_vm_pages": 4277, "rss_pages": 62, "cpu": 1, "oom_adj": -17}),
    ("2.6.36-3.5", "[ pid ]   uid  tgid total_vm      rss cpu oom_adj oom_score_adj name", "[  305]     0   305     4277       62   1     -17         -1000 a b", {"oom_adj": -17, "oom_score_adj": -1000}),
    ("3.6-3.19", "[ pid ]   uid  tgid total_vm      rss nr_ptes swapents oom_score_adj name", "[  305]     0   305     4277       62      10       77         -1000 a b", {"table_pages": 10, "swap_pages": 77}),
    ("4.0-4.14", "[ pid ]   uid  tgid total_vm      rss nr_ptes nr_pmds swapents oom_score_adj name", "[  305]     0   305     4277       62      10       3       77             0 a b", {"table_pages": 10, "pmd_pages": 3, "swap_pages": 77}),
    ("with puds", "[ pid ]   uid  tgid total_vm      rss nr_ptes nr_pmds nr_puds swapents oom_score_adj name", "[  305]     0   305     4277       62      10       3       2       77             0 a b", {"pud_pages": 2}),
    ("4.15-4.18", "[ pid ]   uid  tgid total_vm      rss pgtables_bytes swapents oom_score_adj name", "[  305]     0   305     4277       62    53248       77             0 a b", {"pagetable_bytes": 53248, "swap_pages": 77}),
    ("4.19-6.7", "Tasks state (memory values in pages):\n[  pid  ]   uid  tgid total_vm      rss pgtables_bytes swapents oom_score_adj name", "[    305]     0   305     4277       62    53248       77             0 a b", {"pagetable_bytes": 53248}),
    ("6.8-", "Tasks state (memory values in pages):\n[  pid  ]   uid  tgid total_vm      rss rss_anon rss_file rss_shmem pgtables_bytes swapents oom_score_adj name", "[    305]     0   305     4277       62       40       20        2    53248       77             0 a b", {"rss_anon_pages": 40, "rss_file_pages": 20, "rss_shmem_pages": 2, "pagetable_bytes": 53248}),
]  # fmt: skip


@pytest.mark.parametrize(("head", "row", "wanted"), cases(TABLES))
def test_a_layout_of_the_task_table(head, row, wanted):
    (report,) = read(f"{ASKED}\n{head}\n{row}\n{KILLED}\n".encode())
    (task,) = report.tasks
    assert (task.pid, task.uid, task.tgid, task.rss_pages, task.comm) == (305, 0, 305, 62, "a b")
    assert {name: getattr(task, name) for name in wanted} == wanted
    assert report.unparsed == []


SUMMARIES = [
    ("global", "oom-kill:constraint=CONSTRAINT_NONE,nodemask=(null),cpuset=/,mems_allowed=0-1,global_oom,task_memcg=/x,task=a b,pid=5,uid=7", ("CONSTRAINT_NONE", None, "/", "0-1", True, None, "/x", "a b", 5, 7)),
    ("memcg", "oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=c,mems_allowed=0,oom_memcg=/p,task_memcg=/p/q,task=x,pid=5,uid=7", ("CONSTRAINT_MEMCG", None, "c", "0", False, "/p", "/p/q", "x", 5, 7)),
    ("no cpusets", "oom-kill:constraint=CONSTRAINT_MEMORY_POLICY,nodemask=0,2,global_oom,task_memcg=/,task=x,pid=5,uid=7", ("CONSTRAINT_MEMORY_POLICY", "0,2", None, None, True, None, "/", "x", 5, 7)),
    ("no memcgs", "oom-kill:constraint=CONSTRAINT_NONE,nodemask=(null),cpuset=/,mems_allowed=0,task=x,pid=5,uid=7", ("CONSTRAINT_NONE", None, "/", "0", False, None, None, "x", 5, 7)),
]  # fmt: skip


@pytest.mark.parametrize(("line", "wanted"), cases(SUMMARIES))
def test_the_summary_line_with_and_without_its_parts(line, wanted):
    (report,) = read(f"{ASKED}\n{line}\n{KILLED}\n".encode())
    assert tuple(report.summary) == wanted
    assert report.unparsed == []


ANNOUNCED = [
    ("2.6.16-19", "Out of Memory: Kill process 5 (x) score 77 and children.", 77, None),
    ("2.6.20-35", "Out of memory: kill process 5 (x) score 77 or a child", 77, None),
    ("2.6.36-5.0", "Memory cgroup out of memory: Kill process 5 (x) score 77 or sacrifice child", 77, "CONSTRAINT_MEMCG"),
    ("allocating", "Out of memory (oom_kill_allocating_task): Kill process 5 (x) score 0 or sacrifice child", 0, None),
    ("MPOL_BIND", "No available memory (MPOL_BIND): kill process 5 (x) score 0 or a child", 0, "CONSTRAINT_MEMORY_POLICY"),
    ("in cpuset", "No available memory in cpuset: kill process 5 (x) score 0 or a child", 0, "CONSTRAINT_CPUSET"),
]  # fmt: skip


@pytest.mark.parametrize(("line", "score", "constraint"), cases(ANNOUNCED))
def test_whom_the_kernel_announces(line, score, constraint):
    (report,) = read(f"{ASKED}\n{line}\nKilled process 5 (x)\n".encode())
    (said,) = report.announcements
    assert (said.pid, said.comm, said.score) == (5, "x", score)
    assert report.victims[0].printed_score == score
    assert report.constraint == constraint
    assert report.unparsed == []


AFTERWARDS = [
    ("reaped", "oom_reaper: reaped process 246 (worker), now anon-rss:0kB, file-rss:0kB, shmem-rss:4kB", lambda r: r.victims[0].reaped, "reaped process 246 (worker), now anon-rss:0kB, file-rss:0kB, shmem-rss:4kB"),
    ("unable", "oom_reaper: unable to reap pid:246 (worker)", lambda r: r.victims[0].reaped, "unable to reap pid:246 (worker)"),
    ("giving up (4.8)", "oom_reaper: giving up pid:246 (worker)", lambda r: r.victims[0].reaped, "giving up pid:246 (worker)"),
    ("group", "Tasks in /a b are going to be killed due to memory.oom.group set\nMemory cgroup out of memory: Killed process 247 (x) total-vm:4kB, anon-rss:0kB, file-rss:0kB, shmem-rss:0kB, UID:0 pgtables:0kB oom_score_adj:0", lambda r: (r.group_memcg, [v.pid for v in r.victims]), ("/a b", [246, 247])),
]  # fmt: skip


@pytest.mark.parametrize(("lines", "told", "wanted"), cases(AFTERWARDS))
def test_what_follows_the_kill(lines, told, wanted):
    (report,) = read(f"{ASKED}\n{KILLED}\n{lines}\n".encode())
    assert told(report) == wanted


PANICS = [
    "Out of memory and no killable processes...",
    "out of memory. panic_on_oom is selected",
    "out of memory. Compulsory panic_on_oom is selected.",
    "out of memory from page fault. panic_on_oom is selected.",
    "out of memory(memcg). panic_on_oom is selected.",
    "Out of memory: system-wide panic_on_oom is enabled",
    "Out of memory: compulsory panic_on_oom is enabled",
    "System is deadlocked on memory",
]


@pytest.mark.parametrize("text", PANICS)
def test_a_panic_and_nobody_to_kill(text):
    (report,) = read(f"{ASKED}\nKernel panic - not syncing: {text}\n".encode())
    assert report.panic == text
    assert report.no_killable == ("no killable" in text)
    assert report.unparsed == []


def test_nobody_to_kill_without_a_panic():
    (report,) = read(f"{ASKED}\nOut of memory and no killable processes...\n".encode())
    assert (report.no_killable, report.panic, report.victims) == (True, None, [])
