"""The text of stat and status, hostile names included."""

from __future__ import annotations

import pytest

from oomlab.errors import SourceError
from oomlab.readers.procpid import (
    RawTask,
    leader_has_exited,
    make_task,
    parse_cgroup,
    parse_cmdline,
    parse_stat,
    parse_status,
)

TAIL = b"S 1 7 7 0 -1 4194304 9 0 1 0 30 12 0 0 20 5 3 0 123456 8388608 777 18446744073709551615"
STATUS = b"""\
Name:\tx
Umask:\t0022
State:\tS (sleeping)
Tgid:\t7
Pid:\t7
PPid:\t1
Uid:\t1000\t1001\t1001\t1001
Gid:\t0\t0\t0\t0
Groups:\t%s
VmPeak:\t    8192 kB
VmSize:\t    8192 kB
VmLck:\t       0 kB
VmHWM:\t    4000 kB
VmRSS:\t    3200 kB
%sVmData:\t     100 kB
VmPTE:\t      40 kB
%sHugetlbPages:\t       0 kB
Threads:\t3
CapEff:\t000001fffeffffff
Mems_allowed:\t1
Mems_allowed_list:\t0-1
nonvoluntary_ctxt_switches:\t0
"""
PARTS = b"RssAnon:\t    2000 kB\nRssFile:\t    1000 kB\nRssShmem:\t     200 kB\n"
MODERN = STATUS % (b"1 2 3", PARTS, b"VmSwap:\t     800 kB\n")


@pytest.mark.parametrize(
    "name",
    [
        b"x",
        b"",
        b")",
        b"((",
        b") S 1 (",
        b"a b",
        b"\n",
        b"x\n) R 9 (y",
        b"\xff\xfe",
        "\u202e".encode(),
    ],
)
def test_a_name_may_hold_anything(name: bytes) -> None:
    stat = parse_stat(b"7 (%s) %s 0 0\n" % (name, TAIL))
    assert stat.comm.encode("utf-8", "surrogateescape") == name
    assert stat[1:] == ("S", 1, 4194304, 42, 5, 3, 123456, 8388608, 777)


@pytest.mark.parametrize("text", [b"", b"7 (x", b"7 (x) S 1", b"7 (x) S " + b"a " * 40, b"x" * 99])
def test_a_damaged_stat_is_refused(text: bytes) -> None:
    with pytest.raises(SourceError, match="stat"):
        parse_stat(text)


@pytest.mark.parametrize(
    ("parts", "tables", "expected"),
    [
        (PARTS, b"VmSwap:\t     800 kB\n", (3200, 2000, 1000, 200, 800, 40, None)),
        (b"", b"VmSwap:\t     800 kB\n", (3200, None, None, None, 800, 40, None)),
        (b"", b"VmPMD:\t 12 kB\nVmSwap:\t 800 kB\n", (3200, None, None, None, 800, 40, 12)),
        (b"", b"", (3200, None, None, None, None, 40, None)),
    ],
    ids=["4.5 and newer", "2.6.34", "4.0 to 4.4", "before 2.6.34"],
)
def test_sizes_of_every_layout(
    parts: bytes, tables: bytes, expected: tuple[int | None, ...]
) -> None:
    status = parse_status(STATUS % (b"", parts, tables))
    assert status[2:] == (True, *expected, 0x1FFFEFFFFFF, "0-1")
    assert status[:2] == (1000, 1001)


def test_a_process_in_thousands_of_groups() -> None:
    groups = b" ".join(b"%d" % group for group in range(60_000))
    assert parse_status(STATUS % (groups, PARTS, b"VmSwap:\t     800 kB\n")) == parse_status(MODERN)


def test_a_kernel_thread_and_a_zombie_have_no_memory() -> None:
    lines = [
        line for line in MODERN.splitlines(keepends=True) if not line.startswith((b"Vm", b"Rss"))
    ]
    status = parse_status(b"".join(lines))
    assert status[2:10] == (False, *[None] * 7)


@pytest.mark.parametrize("text", [b"", b"Name:\tx\n", MODERN.replace(b"1000\t1001", b"x\ty")])
def test_a_damaged_status_is_refused(text: bytes) -> None:
    with pytest.raises(SourceError, match="status"):
        parse_status(text)


def test_a_task_is_in_pages() -> None:
    raw = RawTask(7, b"7 (x) %s\n" % TAIL, MODERN, b"670\n", b"-5\n", b"0\n", b"0::/a\n", b"x\0y\0")
    task = make_task(raw, 4096, str)
    assert (task.rss_pages, task.rss_stat_pages, task.swap_pages) == (800, 777, 200)
    assert (task.pagetable_bytes, task.total_vm_pages) == (40 * 1024, 2048)
    assert (task.oom_score_adj, task.kernel_oom_score, task.oom_adj) == (-5, 670, 0)
    assert (task.user, task.uid, task.cgroups, task.cmdline) == (
        "1001",
        1000,
        (("", "/a"),),
        ("x", "y"),
    )
    assert make_task(raw, 16384).rss_pages == 200


def test_files_that_were_not_read_are_unknown() -> None:
    task = make_task(RawTask(7, b"7 (x) %s\n" % TAIL, MODERN), 4096)
    assert task.oom_score_adj is None
    assert task.kernel_oom_score is None
    assert task.cgroups is None
    assert task.cmdline is None


@pytest.mark.parametrize(
    ("state", "threads", "exited"), [(b"Z", b"2", True), (b"Z", b"1", False), (b"S", b"2", False)]
)
def test_a_main_thread_that_has_exited(state: bytes, threads: bytes, exited: bool) -> None:
    words = TAIL.split()
    words[0], words[17] = state, threads
    raw = RawTask(7, b"7 (a b) x) %s\n" % b" ".join(words), MODERN)
    assert leader_has_exited(raw) is exited


def test_memory_is_seen_through_a_living_thread() -> None:
    words = TAIL.split()
    words[0], words[20], words[21] = b"Z", b"0", b"0"
    bare = b"Name:\tx\nUid:\t5\t5\t5\t5\nThreads:\t2\n"
    raw = RawTask(
        7, b"7 (x) " + b" ".join(words), bare, thread_stat=b"8 (y) " + TAIL, thread_status=MODERN
    )
    task = make_task(raw, 4096)
    assert (task.comm, task.state, task.has_mm) == ("x", "Z", True)
    assert (task.rss_pages, task.rss_stat_pages, task.total_vm_pages) == (800, 777, 2048)


def test_cgroups_of_both_versions() -> None:
    text = b"4:memory:/a:b\n3:cpu,cpuacct:/\n0::/\xff\nnonsense\n"
    assert parse_cgroup(text) == (("memory", "/a:b"), ("cpu,cpuacct", "/"), ("", "/\udcff"))


@pytest.mark.parametrize(
    ("text", "words"),
    [(b"", ()), (b"a\0", ("a",)), (b"a\0\0b\0", ("a", "", "b")), (b"title only", ("title only",))],
)
def test_command_lines(text: bytes, words: tuple[str, ...]) -> None:
    assert parse_cmdline(text) == words
