# ruff: noqa: E501  # lines of logs, however long
"""Where other tools go wrong: each of their known faults is a case here."""

import json
import re

import pytest
from kernel_logs import event_of, events_of, one_event, read, understood

from oomlab.output.event_lines import memory

TABLE = (
    "[  pid  ]   uid  tgid total_vm      rss rss_anon rss_file rss_shmem "
    "pgtables_bytes swapents oom_score_adj name\n"
)
HEAD = (
    "app invoked oom-killer: gfp_mask=0x140dca(GFP_HIGHUSER_MOVABLE|__GFP_COMP|__GFP_ZERO), "
    "order=0, oom_score_adj=0\n"
    "CPU: 1 UID: 0 PID: 7 Comm: app Not tainted 6.12.1 #1\nMem-Info:\n"
)
ROW = "[    246]     0   246    16404       66        6       60         0   159744      303          -250 {}\n"
KILL = "Out of memory: Killed process 246 ({}) total-vm:65616kB, anon-rss:24kB, file-rss:240kB, shmem-rss:0kB, UID:0 pgtables:156kB oom_score_adj:-250\n"


def log_of(name):
    return (HEAD + TABLE + ROW.format(name) + KILL.format(name)).encode()


def test_the_table_of_6_8_is_read_by_its_header():
    (report,) = read(log_of("systemd-journal"))
    (row,) = report.tasks
    assert (row.rss_anon_pages, row.rss_file_pages, row.pagetable_bytes) == (6, 60, 159744)
    assert (row.swap_pages, row.oom_score_adj, row.comm) == (303, -250, "systemd-journal")


NAMES = [
    "CPU 0/KVM", "tmux: server", "Plex Media Serv", "[", "()", "(sd-pam)", '"quoted"', "oleg's-test",
    "f2b/f.postfix", "in:imjournal", "kworker/u17:0", "odd ) (R 1", "a) total-vm:1kB", "0 0 1 name",
    "=cmd|' /C calc", "<b>x</b>", "\x1b[31mred", "Killed process", "oom-kill:", "a,pid=1,uid=0",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_names_are_taken_as_they_stand(name):
    (report,) = read(log_of(name))
    expected = name.replace("\x1b[31m", "")
    assert [row.comm for row in report.tasks] == [expected]
    assert [(v.pid, v.comm) for v in report.victims] == [(246, expected)]


def test_a_row_that_looks_like_a_kill_line_kills_nobody():
    (report,) = read((HEAD + TABLE + ROW.format("Killed process ")).encode())
    assert ([v.pid for v in report.victims], len(report.tasks)) == ([], 1)


def test_limit_and_victims_cgroup_are_not_swapped():
    for event in events_of("6.12"):
        summary = event.report.summary
        if summary is not None and summary.oom_memcg == "/nested":
            assert event.report.oom_memcg == "/nested"
            assert event.report.task_memcg.startswith("/nested/")


def test_a_global_summary_line_is_read_too():
    report = read(one_event("6.12", "sysrq-3"))[0]
    assert report.summary.global_oom
    assert report.constraint == "CONSTRAINT_NONE"


def test_all_victims_of_a_group_kill_are_in_one_event():
    groups = [e for e in events_of("6.12") if e.report.group_memcg is not None]
    assert groups
    assert all(len(event.report.victims) > 1 for event in groups)


def test_commas_in_cgroup_names_do_not_shift_fields():
    line = (
        "oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=a,b,mems_allowed=0,"
        "oom_memcg=/x,y,task_memcg=/x,y/z,task=a,b,pid=5,uid=1000\n"
        "Memory cgroup out of memory: Killed process 5 (a,b) total-vm:4kB, anon-rss:4kB, "
        "file-rss:0kB, shmem-rss:0kB, UID:1000 pgtables:4kB oom_score_adj:0\n"
    )
    (report,) = read((HEAD + line).encode())
    assert (report.cpuset, report.oom_memcg, report.task_memcg) == ("a,b", "/x,y", "/x,y/z")
    assert (report.summary.comm, report.summary.pid) == ("a,b", 5)


@pytest.mark.parametrize(
    ("line", "uid", "anon_kib"),
    [
        ("Out of Memory: Killed process 5 (x).", None, None),
        ("Killed process 5 (x)", None, None),
        ("Killed process 5 (x) vsz:10kB, anon-rss:5kB, file-rss:1kB", None, 5),
        ("Killed process 5, UID 48, (x) total-vm:10kB, anon-rss:5kB, file-rss:1kB", 48, 5),
        ("Killed process 5 (x), UID 48, total-vm:10kB, anon-rss:5kB, file-rss:1kB", 48, 5),
        ("Killed process 5 (x) total-vm:10kB, anon-rss:5kB, file-rss:1kB, shmem-rss:0kB", None, 5),
    ],
)
def test_every_wording_of_the_kill_line(line, uid, anon_kib):
    (report,) = read((HEAD + line + "\n").encode())
    (victim,) = report.victims
    assert (victim.pid, victim.comm, victim.uid, victim.rss_anon_kib) == (5, "x", uid, anon_kib)


@pytest.mark.parametrize(
    ("line", "order", "adj"),
    [
        ("oom-killer: gfp_mask=0xd0", None, None),
        ("oom-killer: gfp_mask=0x1d2, order=0", 0, None),
        ("x invoked oom-killer: gfp_mask=0x1201d2, order=0, oomkilladj=-17", 0, None),
        ("x invoked oom-killer: gfp_mask=0xd0, order=1, oom_adj=0, oom_score_adj=5", 1, 5),
        ("x invoked oom-killer: gfp_mask=0x0(), order=0, oom_score_adj=0", 0, 0),
        (
            "x invoked oom-killer: gfp_mask=0x24201ca(GFP_X), nodemask=0-1,  order=0, oom_score_adj=0",
            0,
            0,
        ),
        ("x invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=-1, oom_score_adj=0", -1, 0),
    ],
)
def test_every_wording_of_the_trigger_line(line, order, adj):
    (report,) = read((line + "\nOut of Memory: Killed process 5 (x).\n").encode())
    assert (report.trigger.order, report.trigger.oom_score_adj) == (order, adj)


def test_a_request_by_hand_is_no_half_page():
    event = event_of(one_event("6.12", "sysrq-3"))
    assert event.report.trigger.order == -1
    assert event.causes[0].cause == "asked for by hand"


def test_several_events_no_kill_line_and_panic_are_read():
    log = one_event("6.12", "sysrq-3") + one_event("6.12", "panic")
    events = understood(read(log))
    assert len(events) == 2
    assert events[1].report.panic.startswith("Out of memory")
    assert events[1].verdict.pid is not None


def test_event_counts_of_a_cgroup_are_no_sizes():
    stats = next(e.report.memcg.stats for e in events_of("6.12") if e.report.memcg)
    fields = next(iter(stats.values()))
    assert fields["pgfault"] > 0


def test_the_page_size_is_the_reports_not_this_machines():
    log = one_event("6.12", "sysrq-3").decode()
    kib = {4 << n: 64 << n for n in range(11)}
    lines = []
    for line in log.splitlines():
        if "*4kB" in line:
            head, _, rest = line.rpartition(": ")
            items = rest.partition(" = ")[0]
            for small, large in reversed(kib.items()):
                items = items.replace(f"*{small}kB", f"*{large}kB")
            total = int(rest.partition(" = ")[2].removesuffix("kB")) * 16
            line = f"{head}: {items} = {total}kB"
        lines.append(line)
    assert event_of("\n".join(lines).encode()).page_size == 65536


def test_foreign_ram_is_not_this_machines():
    event = event_of(one_event("6.12", "sysrq-3"))
    memory = event.report.memory
    ram = memory.counts_pages["pages RAM"] - memory.counts_pages["pages reserved"]
    assert event.ranking.snapshot.machine.ram_pages == ram
    assert event.ranking.scope.totalpages == ram + memory.swap_total_kib // 4


def test_a_victims_size_is_its_own_and_not_totalpages():
    """bcc's and bpftrace's oomkill print the pages of the machine as what the victim reached."""
    event = event_of(one_event("6.12", "global-self"))
    (victim,) = event.report.victims
    row = next(row for row in event.report.tasks if row.pid == victim.pid)
    held = victim.rss_anon_kib + victim.rss_file_kib + victim.rss_shmem_kib
    assert held == row.rss_pages * 4
    assert held < event.ranking.scope.totalpages * 4


def test_the_watermark_asked_is_min_not_low():
    """A zone between min and low would have served the request: it is not what failed."""
    from test_diagnosis import LOW_ZONE, causes, zones

    assert LOW_ZONE not in causes(zones(blocks=1_100))  # 4400 kB: above min 4096, below low 5000
    assert LOW_ZONE in causes(zones(blocks=1_000))


def test_zones_without_a_node_and_with_any_name_are_read():
    (report,) = read(
        b"x invoked oom-killer: gfp_mask=0xd0, order=0, oom_score_adj=0\nMem-Info:\n"
        b"HighMem free:8kB min:4kB low:5kB high:6kB present:12kB\n"
        b"Movable free:8kB min:4kB low:5kB high:6kB present:12kB\n"
        b"Node 3 Device free:8kB min:4kB low:5kB high:6kB present:12kB\n"
    )
    zones = [(zone.node, zone.name) for zone in report.memory.zones]
    assert zones == [(None, "HighMem"), (None, "Movable"), (3, "Device")]


def test_reports_without_a_line_of_cpu_and_release_are_judged_by_their_columns():
    log = one_event("6.12", "global-self").decode()
    cut = "".join(x for x in log.splitlines(keepends=True) if " Comm: " not in x)
    event = event_of(cut.encode())
    assert event.report.release is None
    assert event.verdict.agrees
    assert "no line tells the kernel's release" in event.gaps


def test_swap_of_a_cgroup_on_off_and_unlimited():
    from test_diagnosis import NO_LIMIT, causes, cgroup

    off = "the cgroup may use no swap"
    assert off in causes(cgroup(swap=0))
    assert off not in causes(cgroup(swap=4096))
    assert off not in causes(cgroup(swap=NO_LIMIT))


def test_zones_are_in_kb_and_counters_in_pages():
    """hotsos prints the kB of zones as pages."""
    log = one_event("6.12", "global-self").decode()
    (report,) = read(log.encode())
    zone = report.memory.zones[0]
    assert f"Node {zone.node} {zone.name} free:{zone.fields_kib['free']}kB" in log
    listed = sum(z.fields_kib["free"] for z in report.memory.zones) // 4
    assert abs(report.memory.totals_pages["free"] - listed) < 200  # what CPUs have not yet told


def test_the_memory_of_a_process_is_counted_once_for_all_its_threads():
    """oom_investigate adds up each row; 2.6.25 to 2.6.27 have a row for each thread."""
    log = one_event("2.6.32", "global-self").decode()
    row = next(line for line in log.splitlines() if line.endswith(" anon"))
    pid = re.search(r"\[ *(\d+)\] +\d+ +(\d+)", row)
    thread = row.replace(f"[{pid[1]:>5}]", "[ 9999]", 1)
    assert thread != row
    whole, threaded = (
        event_of(log.encode()),
        event_of(log.replace(row, f"{row}\n{thread}").encode()),
    )
    assert len(threaded.report.tasks) == len(whole.report.tasks) + 1
    assert threaded.report.processes == whole.report.processes

    def said(event):
        return [cause.evidence for cause in event.causes], memory(event)

    assert said(threaded) == said(whole)


@pytest.mark.parametrize("missing", [" invoked oom-killer", " Comm: ", "Killed process"])
def test_a_report_without_one_of_its_main_lines_is_told(missing):
    log = one_event("6.12", "global-self").decode()
    cut = "".join(line for line in log.splitlines(True) if missing not in line)
    event = event_of(cut.encode())
    whole = event_of(log.encode())
    assert event.report.tasks == whole.report.tasks
    assert event.verdict.pid == whole.verdict.pid
    assert any(gap.startswith(("no invoked", "no line tells", "no kill")) for gap in event.gaps)


@pytest.mark.parametrize("junk", ["12kB", "=====", "usb 1-1: new high-speed device", "Node 0"])
def test_junk_between_the_lines_of_mem_info_spoils_none(junk):
    lines = one_event("6.12", "global-self").decode().splitlines()
    whole = read("\n".join(lines).encode())[0]
    first = next(n for n, line in enumerate(lines) if "Mem-Info" in line)
    last = next(n for n, line in enumerate(lines) if "pages reserved" in line)
    for place in range(first, last):
        stamp = lines[place].partition("]")[0]
        mixed = [*lines[: place + 1], f"{stamp}] {junk}", *lines[place + 1 :]]
        (report,) = read("\n".join(mixed).encode())
        assert report.memory == whole.memory
        assert report.unparsed == [junk]


def test_a_cgroups_report_of_v1_in_one_line_tells_all():
    """OOMAnalyser neither reads these values nor who asked for what."""
    log = one_event("4.4", "memcg-nested").decode()
    (report,) = read(log.encode())
    path, stats = next(iter(report.memcg.stats.items()))
    line = next(line for line in log.splitlines() if f"Memory cgroup stats for {path}:" in line)
    told = dict(re.findall(r"(\w+):(\d+)KB", line))
    assert stats == {name: int(kib) * 1024 for name, kib in told.items()}
    assert len(stats) > 10
    trigger = report.trigger
    assert f"{trigger.comm} invoked oom-killer: gfp_mask={trigger.gfp_mask:#x}" in log
    assert f"order={trigger.order}, oom_score_adj={trigger.oom_score_adj}" in log
    assert {"memory", "memory+swap", "kmem"} <= set(report.memcg.usage)


def test_four_values_that_4_8_to_4_10_give_to_the_wrong_names():
    head = "CPU: 1 PID: 7 Comm: app Not tainted {} #1\nMem-Info:\n"
    node = (
        "Node 0 active_anon:8kB inactive_anon:4kB active_file:0kB inactive_file:0kB "
        "unevictable:0kB shmem:1kB shmem_thp: 2kB shmem_pmdmapped: 3kB anon_thp: 4kB "
        "all_unreclaimable? no\n"
    )
    names = ("shmem", "shmem_thp", "shmem_pmdmapped", "anon_thp")
    for release, wanted in (("4.9.115", (4, 1, 2, 3)), ("4.11.1", (1, 2, 3, 4))):
        log = f"{HEAD.splitlines()[0]}\n{head.format(release)}{node}"
        (report,) = read(log.encode())
        assert tuple(report.memory.nodes_kib[0][name] for name in names) == wanted


OF_A_POD = (
    "Memory cgroup out of memory: Killed process 4242 (chrome) total-vm:4kB, anon-rss:4kB, "
    "file-rss:0kB, shmem-rss:0kB, UID:1000 pgtables:4kB oom_score_adj:979"
)


@pytest.mark.parametrize(
    "log",
    [
        json.dumps({"kind": "Event", "reason": "OOMKilling", "message": OF_A_POD}),
        json.dumps({"items": [{"reason": "OOMKilling", "message": OF_A_POD}]}, indent=2),
        json.dumps({"jsonPayload": {"MESSAGE": OF_A_POD}, "logName": "x"}),
        f"  Warning  OOMKilling  2m55s  kernel-monitor, gke-x  {OF_A_POD}",
        f"5m          Warning   OOMKilling   node/foo    {OF_A_POD}",
    ],
)
def test_events_of_a_cluster_tell_who_was_killed(log):
    (report,) = read(f"{log}\n".encode())
    (victim,) = report.victims
    assert (victim.pid, victim.comm, victim.uid) == (4242, "chrome", 1000)
    assert (report.constraint, victim.oom_score_adj) == ("CONSTRAINT_MEMCG", 979)


@pytest.mark.parametrize(
    "first",
    [
        "x: page allocation failure: order:4, mode:0xc0d0",
        "sysrq: Show Memory",
        "VM: killing process mysqld",
        "__alloc_pages: 0-order allocation failed (gfp=0x1d2/0)",
    ],
)
def test_what_prints_memory_but_kills_nobody_is_no_event(first):
    lines = one_event("6.12", "global-self").decode().splitlines()
    memory_info = [line for line in lines if "kill" not in line.lower()][1:]
    assert read("\n".join([first, *memory_info]).encode()) == []


def test_a_first_line_that_begins_in_the_middle_of_another():
    log = one_event("6.12", "global-self").decode()
    (whole,) = read(log.encode())
    (report,) = read(log.replace("] grower invoked", "] DMA per-cpu:grower invoked", 1).encode())
    assert report.trigger == whole.trigger
    (old,) = read(b"DMA per-cpu:oom-killer: gfp_mask=0x1d2\nOut of Memory: Killed process 5 (x).\n")
    assert old.trigger.gfp_mask == 0x1D2


def test_a_colon_that_2_6_28_forgot():
    log = HEAD + "Active_anon:63 active_file:7 inactive_anon18042\n inactive_file:5 unevictable:3\n"
    (report,) = read(log.encode())
    assert report.memory.totals_pages["inactive_anon"] == 18042
    assert report.unparsed == []
