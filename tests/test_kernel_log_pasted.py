# ruff: noqa: E501  # lines of logs, however long
"""Logs as people paste them: mails, forums, web pages, terminals; each shape was met somewhere."""

import pytest
from kernel_logs import event_of, one_event, read, understood
from test_kernel_log_peers import HEAD, KILL, ROW, TABLE

from oomlab.readers.kernel_log.snapshots import report_snapshot

OLD = (
    "app invoked oom-killer: gfp_mask=0x201d2, order=0, oomkilladj=0\n"
    " [out_of_memory+389/448] out_of_memory+0x185/0x1c0\n"
    " [<ffffffff8015bd0d>]{out_of_memory+60} <ffffffff8015cd51>{__alloc_pages+578}\n"
    "Mem-info:\nActive:91 inactive:90 dirty:0 writeback:0 unstable:0\n"
)


def test_a_mail_as_it_travels_may_be_cut_anywhere():
    log = (
        "> wrote:=20\n"
        "app invoked oom-killer: gfp_mask=3D0x140dca(GFP_HIGHUSER_MOVABLE|__GFP_CO=\n"
        "MP|__GFP_ZERO), order=3D0, oom_s=\ncore_adj=3D0\nMem-Info:\n"
        "Free swap  =3D 8kB\nTotal swap =3D 16kB\n"
        "Out of memory: Killed process 7 (caf=C3=A9) total-vm:65616kB, anon-rss:24kB, file-rss:1=\n"
        "068kB\n"
    )
    (report,) = read(log.encode())
    assert (report.trigger.oom_score_adj, report.trigger.gfp_mask) == (0, 0x140DCA)
    assert (report.memory.swap_free_kib, report.memory.swap_total_kib) == (8, 16)
    assert [(v.comm, v.rss_file_kib) for v in report.victims] == [("café", 1068)]


def test_a_mail_that_ends_within_a_line_loses_only_that():
    log = HEAD.replace("=", "=3D") + "Out of memory: Killed process 7 (a) total-vm:6kB, anon-rss:2="
    (report,) = read(log.encode())
    assert [v.pid for v in report.victims] == [7]


def test_after_an_encoded_mail_comes_a_plain_one():
    encoded = (HEAD + "Free swap  = 8kB\n").replace("=", "=3D")
    plain = HEAD.replace("order=0", "order=10") + KILL.format("a=20")
    reports = read((encoded + plain).encode())
    assert [report.trigger.order for report in reports] == [0, 10]
    assert reports[1].victims[0].comm == "a=20"


def test_tags_of_a_forum_are_no_part_of_a_line():
    log = OLD + (
        '[COLOR="Red"]Free swap  = 0kB[/COLOR]\n'
        "[b]Out of memory: kill process 18 (mule) score 56923 or a child[/b]\n"
        "Killed process 18 (mule)\n"
    )
    (report,) = read(log.encode())
    assert report.memory.swap_free_kib == 0
    assert report.announcements[0].score == 56923
    assert not report.unparsed
    assert len(report.stack) == 2


def test_a_host_without_a_tag_is_taken_off():
    lines = ["oom-killer: gfp_mask=0x80d2", "Free swap  = 7kB", "Total swap = 9kB"]
    lines += [f"Out of Memory: Killed process {pid} (bird)." for pid in (30, 31, 35)]
    log = "".join(f"Jun 28 12:09:09 soma {line}\n" for line in lines)
    (report,) = read(log.encode())
    assert report.host == "soma"
    assert report.memory.swap_free_kib == 7
    # Up to 2.6.19 all that share the victim's memory die, a line for each.
    assert [v.pid for v in report.victims] == [30, 31, 35]


def test_kills_of_others_are_others_events():
    log = "Out of Memory: Killed process 30 (bird).\nOut of Memory: Killed process 31 (fish).\n"
    assert [report.victims[0].pid for report in read(log.encode())] == [30, 31]


def test_a_sentence_about_the_killer_is_no_event():
    log = "Subject: swapping and oom-killer: gfp_mask=0x201d2, order=0\n\n" + OLD
    (report,) = read((log + "Out of memory: Killed process 104 (mc).\n").encode())
    assert (report.line, report.trigger.comm) == (3, "app")


def test_the_position_that_tmux_shows_is_no_part_of_a_line():
    first, rest = HEAD.split("\n", 1)
    (report,) = read(f"{first}{' ' * 40}[7/972]\n{rest}{KILL.format('a')}".encode())
    assert report.trigger.comm == "app"


def test_a_name_broken_off_before_its_line_is_found():
    lines = (
        ">>> ./log/syslog:May 30 07:44:38 db1 kernel: [ 2283.369927] redis-server",
        ">>> invoked oom-killer: gfp_mask=0xd0, order=0, oom_adj=-17",
        ">>> ./log/syslog:May 30 07:44:39 db1 kernel: [ 2284.117055] Memory cgroup out of",
        ">>> memory: kill process 6016 (java) score 5 or a child",
        ">>> ./log/syslog:May 30 07:44:39 db1 kernel: [ 2284.117056] Killed process 6016 (java)",
        ">>> ./log/syslog:May 30 07:44:40 db1 kernel: [ 2285.399285] redis-server",
        ">>> invoked oom-killer: gfp_mask=0xd0, order=0, oom_adj=-17",
    )
    first, second = read("\n".join(lines).encode())
    assert (first.trigger.comm, first.uptime_seconds, first.line) == (
        "redis-server",
        2283.369927,
        1,
    )
    assert (first.announcements[0].score, first.victims[0].pid) == (5, 6016)
    assert (second.trigger.comm, second.uptime_seconds) == ("redis-server", 2285.399285)


def test_an_announcement_alone_may_be_broken_too():
    log = "a\n[ 2284.117055] Memory cgroup out of\nmemory: kill process 6016 (java) score 5 or a child\n"
    (report,) = read(log.encode())
    assert report.announcements[0].pid == 6016


def test_several_broken_lines_in_a_row_are_all_joined():
    log = HEAD + (
        "Active_anon:9099 active_file:1523 inactive_anon0\n  inactive_file:2869 dirty:20 writeback\n"
        ":0 unstable:0\n  free:44210 slab:639 mapped:1724 bo\nunce:0\n"
        "Node 0 DMA free:2829440kB min:7808kB low:9728kB hi\ngh:11712kB active_anon:58kB inactive_f\n"
        "ile:183616kB present:3813760kB pages_scanned:0 all_unreclaimable?\nno\n"
        "Node 0 hugepages_total=0 hugepages_free=0 hugepages_surp=0\nhugepages_size=2048kB\n"
    )
    (report,) = read((log + KILL.format("a")).encode())
    (zone,) = report.memory.zones
    assert (zone.fields_kib["high"], zone.fields_kib["inactive_file"]) == (11712, 183616)
    assert report.memory.totals_pages["bounce"] == report.memory.totals_pages["writeback"] == 0
    assert len(report.memory.hugepages) == 1
    assert report.memory.totals_pages["inactive_anon"] == 0  # 2.6.28 forgot its colon
    assert report.unparsed == []


def test_a_terminals_width_may_cut_the_tables_header_and_the_summary():
    header, row = TABLE.rstrip("\n"), ROW.format("app").rstrip("\n")
    summary = (
        "oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,mems_allowed=0,oom\n"
        "_memcg=/test,task_m\nemcg=/test/a,task=app,pid=246,uid=0\n"
    )
    cut = header.index("_adj name") + 3
    first = header.index(" rss_file")
    log = f"{HEAD}{header[:first]}\n{header[first + 1 : cut]}\n{header[cut:]}\n{row}\n{summary}"
    (report,) = read((log + KILL.format("app")).encode())
    assert report.columns == tuple(header.split()[3:-1])
    assert [task.pid for task in report.tasks] == [246]
    assert (report.oom_memcg, report.task_memcg) == ("/test", "/test/a")


def test_masked_digits_are_unknown():
    hidden = HEAD.replace("0x140dca", "0x14****")
    (report,) = read((hidden + KILL.format("a")).encode())
    assert report.trigger.gfp_mask is None
    assert report.trigger.gfp_flags[0] == "GFP_HIGHUSER_MOVABLE"


def test_a_limit_of_the_host_is_no_cgroups():
    log = HEAD + "Task in /user.slice killed as a result of limit of host\n" + KILL.format("a")
    (report,) = read(log.encode())
    assert report.oom_memcg is None
    assert report.task_memcg == "/user.slice"


def test_fences_and_separators_are_nothing_of_the_kernels():
    log = one_event("6.12", "sysrq-3").decode().splitlines(keepends=True)
    (plain,) = read("".join(log).encode())
    fenced = ["```sh\n", *log[:4], "```\n", "{code:java}\n", *log[4:9], "--\n", *log[9:], "```\n"]
    (report,) = read("".join(fenced).encode())
    assert report.unparsed == plain.unparsed
    assert (report.tasks, report.victims) == (plain.tasks, plain.victims)
    assert report.gaps == ["shortened by hand: '--'"]


def test_free_swap_below_nothing_is_of_a_swapoff():
    (report,) = read(
        (HEAD + "Free swap  = -2458kB\nTotal swap = 0kB\n" + KILL.format("a")).encode()
    )
    assert report.memory.swap_free_kib == -2458
    assert "turned off" in report.notes[0]


def test_call_traces_of_arm():
    log = HEAD.replace(
        "Mem-Info:\n",
        "Call trace:\n(unwind_backtrace) from [<c010d824>] (show_stack+0x20/0x24)\n"
        " show_stack+0x24/0x50 (C)\nMem-Info:\n",
    )
    (report,) = read((log + KILL.format("a")).encode())
    assert len(report.stack) == 2
    assert not report.unparsed


def test_a_notice_of_lost_messages_is_a_gap():
    log = HEAD + "** 12 printk messages dropped **\n" + KILL.format("a")
    (report,) = read(log.encode())
    assert report.gaps == ["12 printk messages dropped"]
    assert not report.unparsed


def test_a_stamp_without_a_year():
    log = f"[Jun 24 03:14:22] {HEAD}[Jun 24 03:14:22] {KILL.format('a')}"
    (report,) = read(log.encode())
    assert (report.trigger.comm, report.time) == ("app", "Jun 24 03:14:22")


def test_registers_and_modules_in_a_backtrace_of_arm():
    log = HEAD.replace(
        "Mem-Info:\n",
        "Backtrace:\n r7:600e0013 r6:c08f8ab8 r5:c08cddf0\n"
        " attach [brcmfmac] from init_done+0x18/0x30 [brcmfmac]\nMem-Info:\n",
    )
    (report,) = read((log + KILL.format("a")).encode())
    assert (len(report.stack), len(report.registers)) == (1, 1)
    assert not report.unparsed


COUNTS = "980 total pagecache pages\n16384 pages of RAM\n1087 reserved pages\n"


def test_a_kernel_built_without_swap_prints_nothing_of_it():
    head = HEAD.replace("6.12.1", "6.1.1") + COUNTS
    table = TABLE.replace("rss_anon rss_file rss_shmem ", "")
    row = "[    246]     0   246    16404       66   159744      0          -250 a\n"
    (report,) = read((head + table + row + KILL.format("a")).encode())
    machine = report_snapshot(report).machine
    assert (machine.swap_pages, machine.totalpages) == (0, 16384 - 1087)
    cut = head.replace(COUNTS, "...\n" + COUNTS)
    (report,) = read((cut + table + row + KILL.format("a")).encode())
    assert report_snapshot(report).machine.swap_pages is None
    swap = head + "7 pages in swap cache\n"
    (report,) = read((swap + table + row + KILL.format("a")).encode())
    assert report_snapshot(report).machine.swap_pages is None


def test_a_line_in_bold_is_the_same_line():
    log = one_event("3.10", "memcg-other").decode().splitlines()
    (plain,) = read("\n".join(log).encode())
    bold = [f"**{line}**" if "Kill process" in line else line for line in log]
    (report,) = read("\n".join(bold).encode())
    assert report.announcements == plain.announcements
    assert (report.unparsed, report.victims) == (plain.unparsed, plain.victims)


def test_columns_of_a_kernels_own_are_passed_over():
    table = TABLE.replace("rss_anon rss_file rss_shmem ", "(01)nrss ")
    row = "[    246]     0   246    16404       66       44   159744      303          -250 a\n"
    (report,) = read((HEAD + table + row + KILL.format("a")).encode())
    (task,) = report.tasks
    assert (task.rss_pages, task.pagetable_bytes, task.swap_pages) == (66, 159744, 303)


def test_a_line_may_be_broken_at_a_blank_here_and_within_a_word_there():
    log = (
        "> [ 1171.7955] Out of memory: Killed process 1669 (xdg-desktop-por) total-\nvm:\n"
        "> 105068kB, anon-rss:9792kB, file-rss:10972kB, shmem-rss:0kB, UID:1000\npgtables:\n"
        "> 136kB oom_score_adj:200\n"
    )
    (report,) = read(log.encode())
    (victim,) = report.victims
    assert (victim.total_vm_kib, victim.uid, victim.pagetable_kib) == (105068, 1000, 136)
    assert victim.oom_score_adj == 200


def test_a_mails_signature_is_no_gap():
    log = HEAD + KILL.format("a") + "\n-- \nAn Author\n"
    (report,) = read(log.encode())
    assert not report.gaps


def test_a_piece_without_trigger_and_kill_is_found_in_a_small_log():
    log = "words\n" + TABLE + ROW.format("a") + "Out of memory and no killable processes...\n"
    (report,) = read(log.encode())
    assert ([task.pid for task in report.tasks], report.no_killable, report.line) == (
        [246],
        True,
        2,
    )


def test_memory_shown_by_hand_is_no_event():
    log = "sysrq: Show Memory\nMem-Info:\nactive_anon:9 inactive_anon:0 isolated_anon:0\n" + COUNTS
    assert not read(log.encode())


def cut(log, width, sign=">"):
    """The log as a pager shows it that cuts lines at the screen's edge."""
    lines = [f"Feb 04 16:15:15 host kernel: {line.partition('] ')[2]}" for line in log.splitlines()]
    return "\n".join(x if len(x) <= width else x[: width - 1] + sign for x in lines).encode()


def told(fields, whole):
    """What is told of some fields is what the whole line tells, or nothing."""
    return all(value in (None, other) for value, other in zip(fields, whole, strict=True))


@pytest.mark.parametrize(
    ("kernel", "name"),
    [("6.12", "global-1"), ("6.12", "memcg-self"), ("4.19", "global-1"), ("3.10", "global-1")],
)
@pytest.mark.parametrize("width", range(76, 230, 3))
def test_lines_cut_at_the_edge_of_a_screen_tell_nothing_that_is_not_so(kernel, name, width):
    log = one_event(kernel, name).decode()
    (whole,) = read(cut(log, 9999))
    (report,) = read(cut(log, width))
    trigger = report.trigger
    assert told(trigger._replace(pid=None, gfp_flags=None), whole.trigger)
    assert trigger.comm == whole.trigger.comm
    flags = whole.trigger.gfp_flags
    assert trigger.gfp_flags is None or trigger.gfp_flags == flags[: len(trigger.gfp_flags)]
    for victim, other in zip(report.victims, whole.victims, strict=False):
        assert other.comm.startswith(victim.comm)
        assert told(victim._replace(comm=None, reaped=None), other)
    assert report.release in (None, whole.release) or report.release.endswith(">")
    assert report.is_memcg == whole.is_memcg
    assert report.constraint in (None, whole.constraint)
    assert report.oom_memcg in (None, whole.oom_memcg)
    if report.summary is not None:
        assert report.summary.global_oom <= whole.summary.global_oom
        assert told(report.summary._replace(global_oom=None), whole.summary)
    assert [a.score for a in report.announcements if a.score is not None] in (
        [],
        [a.score for a in whole.announcements],
    )
    if whole.memory is not None:
        for zone, other in zip(report.memory.zones, whole.memory.zones, strict=True):
            assert zone.fields_kib.items() <= other.fields_kib.items()
        for node, fields in report.memory.nodes_kib.items():
            assert fields.items() <= whole.memory.nodes_kib[node].items()
    assert [row._replace(comm="") for row in report.tasks] in (
        [],
        [row._replace(comm="") for row in whole.tasks],
    )


def test_lines_cut_by_a_pager_are_said_to_be():
    log = one_event("6.12", "global-1").decode()
    (event,) = understood(read(cut(log, 100)))
    (said,) = [gap for gap in event.gaps if "beyond the edge" in gap]
    assert "journalctl --no-pager" in said
    assert not any("beyond" in gap for gap in event_of(cut(log, 9999)).gaps)


def test_a_terminal_that_puts_the_last_letter_over_the_edge():
    """Serial consoles overwrite their last column with what does not fit."""
    log = one_event("6.12", "global-1").decode()
    lines = [x if len(x) <= 142 else x[:141] + x[-1] for x in log.splitlines()]
    (whole,), (report,) = read(log.encode()), read("\n".join(lines).encode())
    assert report.constraint == whole.constraint
    assert report.victims[0].pid == whole.victims[0].pid
    assert report.tasks == whole.tasks
    zones = zip(report.memory.zones, whole.memory.zones, strict=True)
    assert all(zone.fields_kib.items() <= other.fields_kib.items() for zone, other in zones)


def test_the_dots_that_mips_prints_are_no_ones_cut():
    stack = (
        "Stack : 00000000 8007f4d0 00000000\n        00000000 81a79b48\n        ...\nCall Trace:\n"
    )
    log = HEAD.replace("Mem-Info:\n", f"{stack}[<8000702c>] show_stack+0x28/0xf0\nMem-Info:\n")
    (report,) = read((log + KILL.format("a")).encode())
    assert (report.gaps, report.unparsed) == ([], [])
    (report,) = read((log + "...\n" + KILL.format("a")).encode())
    assert report.gaps == ["shortened by hand: '...'"]


def test_a_container_of_openvz():
    (report,) = read(
        b"Nov 24 12:17:04 node kernel: [758955.653313] Out of memory in UB 1234: OOM killed process "
        b"21738 (php) score 0 vm:281988kB, rss:17004kB, swap:0kB\n"
    )
    (victim,) = report.victims
    assert (victim.pid, victim.comm, victim.total_vm_kib) == (21738, "php", 281988)
    assert (report.is_memcg, report.oom_memcg) == (True, "UB 1234")
    assert "rss:17004kB" in report.notes[0]


def test_a_first_letter_that_was_missed_and_a_path_that_the_terminal_broke():
    log = (
        "5193605.506728] Task in /kubepods/pod951f6bc5-c5a5-11ea/024952d653ef1cd852f875a61bd27cf45 "
        "killed as a result of limit of /kubepo\nds/pod951f6bc5-c5a5-11ea/024952d653ef1cd852f875a61\n"
        "[5193605.506735] memory: usage 524288kB, limit 524288kB, failcnt 0\n"
        "[5193605.506956] Memory cgroup out of memory: Kill process 62685 (sh) score 0 or sacrifice child\n"
    )
    (report,) = read(log.encode())
    assert (report.line, report.uptime_seconds) == (1, 5193605.506728)
    assert report.oom_memcg == "/kubepods/pod951f6bc5-c5a5-11ea/024952d653ef1cd852f875a61"
    assert report.memcg.usage["memory"].limit_kib == 524288
