# lines of logs, however long
"""One event in words: what somebody reads at three in the morning."""

import random
import re
import time

import pytest
from kernel_logs import (
    KERNELS,
    event_of,
    events_of,
    expected,
    one_event,
    read,
    report_document,
    understood,
)
from mutated_logs import damaged

from oomlab.analysis.asking import purpose_of
from oomlab.analysis.distribution import distribution_of
from oomlab.output.escape import width
from oomlab.output.event import event_text
from oomlab.output.layout import Screen


def text_of(event, columns=None, count=5):
    return event_text(event, Screen(columns), count)


def the(kernel, recording):
    pairs = zip(events_of(kernel), expected(kernel), strict=True)
    return next(event for event, truth in pairs if truth["recording"] == recording)


def section(text, label):
    """The lines of one fact of the story, joined."""
    found = re.search(rf"^{label:<10}(.*(?:\n {{10}}.*)*)", text, re.M)
    return None if found is None else " ".join(found[1].split())


@pytest.mark.parametrize("columns", [80, 140])
@pytest.mark.parametrize("kernel", KERNELS)
def test_every_event_fits_the_screen(kernel, columns):
    for event in events_of(kernel)[:30]:
        for line in text_of(event, columns).splitlines():
            assert width(line) <= columns or " " not in line.strip(), line


def test_the_story_is_told_in_order():
    text = text_of(the("6.12", "global-self"), 100)
    labels = re.findall(r"^(\w[\w ]+?)  +\S", text, re.M)
    assert labels[:6] == ["Killed", "Out of", "Asked by", "Verdict", "Badness", "Memory"]
    assert "oom_score_adj 0" in section(text, "Killed")
    assert section(text, "Out of") == "the machine's memory"
    assert section(text, "Asked by").startswith("grower (")
    assert "1 page (4.0K) for memory of its own; gfp_mask 0x" in section(text, "Asked by")
    assert section(text, "Verdict").startswith("right by the rules of this kernel, signed")
    assert section(text, "Memory").startswith("RAM 460M: anonymous and shared 403M, files 0")
    assert "Why memory ran out:" in text
    assert "     > " in text
    assert "Tasks in the order of the kernel's choice (totalpages " in text


def test_the_summands_are_the_badness():
    event = the("6.12", "global-self")
    shown = section(text_of(event), "Badness")
    pid = event.verdict.pid
    assert re.fullmatch(rf"\S+ of {pid} \(grower\) = anonymous \S+( \+ [a-z ]+ \S+)+", shown)


def test_who_held_more_and_was_spared():
    shown = section(text_of(the("6.12", "global-1")), "Spared")
    assert re.fullmatch(r"\d+ \(\w+\) holds more \([\d.]+M\), but: oom_score_adj -1000", shown)
    assert section(text_of(the("6.12", "global-self")), "Spared") is None


def test_a_cgroup_its_limit_and_a_group_kill():
    text = text_of(the("6.12", "memcg-group"))
    assert section(text, "Out of") == "the limit of memory cgroup /whole"
    assert "all of /whole had to die: memory.oom.group is set there" in section(text, "Killed")
    assert "memory.oom.group is set on /whole" in section(text, "Verdict")


def test_what_came_of_it_where_nobody_was_killed():
    panic = text_of(the("6.12", "panic"))
    assert "the kernel panicked: Out of memory: system-wide panic_on_oom" in section(
        panic, "Killed"
    )
    assert section(panic, "Verdict").startswith("open: the model's first is")
    nobody = text_of(the("6.12", "memcg-none"))
    assert section(nobody, "Killed") == "nobody: the kernel found no process that it may kill"


def test_what_the_printed_score_says():
    assert re.search(r"its score \d+ is computed exactly", text_of(the("4.9", "global-self")))
    assert "told what the report leaves out: how much swap counts" in text_of(
        the("4.9", "memcg-swap")
    )
    assert re.search(
        r"its score \d+ fits what the table allows, \d+ to \d+", text_of(the("3.2", "global-1"))
    )
    log = one_event("4.9", "global-self").decode()
    wrong = re.sub(r"score \d+ or", "score 1 or", log)
    assert "the kernel printed score 1, the table gives" in text_of(event_of(wrong.encode()))


def test_what_is_not_told_is_said():
    event = event_of(b"x invoked oom-killer: gfp_mask=0xd0, order=3, oom_score_adj=0\nMem-Info:\n")
    text = text_of(event)
    assert text.startswith("Event 1: time not told, Linux (not told)\n")
    assert section(text, "Killed") == "not told: no kill line is there"
    assert section(text, "Asked by") == "x, 8 pages in one piece (32K); gfp_mask 0xd0"
    assert "  - no task table\n" in text


def test_names_can_do_no_harm():
    log = one_event("6.12", "global-self").replace(b"grower", b"\xe2\x80\xaegr\x07w")
    for columns in (None, 80):
        text = text_of(event_of(log), columns)
        assert "\x07" not in text
        assert "\u202e" not in text


RELEASES = [
    ("2.6.32-642.11.1.el6.x86_64", "Enterprise Linux 6"),
    ("3.8.13-118.el7uek.x86_64", "Oracle Linux 7 (UEK)"),
    ("6.1.119-1.el9.elrepo.x86_64", "Enterprise Linux 9 with ELRepo's kernel"),
    ("5.11.12-300.fc34.x86_64", "Fedora 34"),
    ("6.12.107+deb13-cloud-amd64", "Debian 13"),
    ("5.10.0-10-amd64", "Debian"),
    ("3.13.0-27-generic", "Ubuntu"),
    ("5.15.0-1041-azure", "Ubuntu"),
    ("5.15.158-2-pve", "Proxmox VE"),
    ("6.1.1-arch1-1", "Arch Linux"),
    ("5.10.168-gki-gade08d90ed8c-dirty", "Android"),
    ("4.8.0-gentoo", "Gentoo"),
    ("6.8.0-rc6+", None),
    (None, None),
]


@pytest.mark.parametrize(("release", "name"), RELEASES)
def test_whose_kernel_it_looks_like(release, name):
    assert distribution_of(release) == name


PURPOSES = [
    ("do_anonymous_page+0x1/0x2 handle_mm_fault+0x1/0x2", "memory of its own"),
    (
        "filemap_fault+0x1/0x2 __do_fault+0x1/0x2 handle_mm_fault+0x1/0x2",
        "a mapped file, to be read again",
    ),
    ("copy_process+0x1/0x2 kernel_clone+0x1/0x2", "a new process or thread (fork)"),
    ("shmem_fault+0x1/0x2 __do_fault+0x1/0x2", "tmpfs or shared memory"),
    ("__alloc_skb+0x1/0x2 tcp_sendmsg+0x1/0x2", "network buffers"),
    (
        "allocate_slab+0x1/0x2 ___slab_alloc+0x1/0x2 kmem_cache_alloc+0x1/0x2",
        "an object of the kernel (slab)",
    ),
    ("generic_perform_write+0x1/0x2 vfs_write+0x1/0x2", "a file to be written"),
    ("page_cache_ra_unbounded+0x1/0x2 filemap_read+0x1/0x2", "a file to be read"),
    ("__pte_alloc+0x1/0x2 handle_mm_fault+0x1/0x2", "a page table"),
    ("do_swap_page+0x1/0x2 handle_mm_fault+0x1/0x2", "a page to come back from swap"),
    ("moom_callback+0x1/0x2 process_one_work+0x1/0x2", "sysrq-f"),
    ("nobody_knows+0x1/0x2", None),
]


@pytest.mark.parametrize(("frames", "purpose"), PURPOSES)
def test_what_the_memory_was_for(frames, purpose):
    assert purpose_of(frames.split()) == purpose


def test_frames_with_a_question_mark_are_asked_last():
    assert (
        purpose_of(["? copy_process+0x1/0x2", "do_anonymous_page+0x1/0x2"]) == "memory of its own"
    )
    assert purpose_of(["[<ffffffff81131420>] ? copy_process+0x90/0x1b0"]).startswith(
        "a new process"
    )


@pytest.mark.parametrize("kernel", KERNELS)
def test_every_recorded_call_trace_tells_what_for(kernel):
    for event in events_of(kernel)[:30]:
        assert purpose_of(event.report.stack) is not None or not event.report.stack


DAMAGED = [("6.12", "global-1"), ("6.12", "memcg-group"), ("4.19-v1", "memcg-nested"),
           ("3.2", "global-1"), ("2.6.32", "global-self")]  # fmt: skip


@pytest.mark.parametrize("case", DAMAGED, ids="-".join)
def test_a_damaged_report_is_told_without_an_error(case):
    lines, rng = one_event(*case).splitlines(keepends=True), random.Random(7)
    for _ in range(40):
        events = understood(read(damaged(lines, rng)))
        for event in events:
            text_of(event, 80)
        report_document(events)


@pytest.mark.parametrize("order", ["-7", "0", "63", "64", "999999999", "-999999999999"])
@pytest.mark.parametrize("mask", ["0x0", "0xffffffffffffffff", "0x3"])
def test_requests_that_no_kernel_makes(order, mask):
    log = one_event("6.12", "global-1").decode()
    log = re.sub(r"gfp_mask=\S+, order=\d+", f"gfp_mask={mask}(), order={order}", log, count=1)
    assert "Killed" in text_of(event_of(log.encode()), 80)


def test_a_path_of_a_megabyte_does_not_hang():
    log = one_event("6.12", "memcg-self").decode()
    for filler in ("a/", "a b/", "pod"):
        long = log.replace("oom_memcg=/", "oom_memcg=/" + filler * (1 << 18))
        begun = time.process_time()
        text_of(event_of(long.encode()), 80)
        assert time.process_time() - begun < 10  # a hang, not a speed: usually 0.15 s


def test_tasks_that_can_not_be_ranked_are_listed_by_what_they_hold():
    log = one_event("6.12", "global-self").decode()
    table = "".join(line for line in log.splitlines(True) if "] [" in line or "Killed" in line)
    event = event_of(table.encode())
    assert event.ranking is None
    text = event_text(event, Screen(columns=80), 3)
    listed = text.partition("Tasks by what they hold, unranked:\n")[2].splitlines()
    largest = max(event.report.tasks, key=lambda row: row.rss_pages)
    assert listed[0].split() == ["PID", "USER", "ADJ", "RSS", "SWAP", "PGTBL", "NAME"]
    assert listed[1].split()[0] == str(largest.pid)
    assert listed[4] == f"and {len(event.report.tasks) - 3} more (-n {len(event.report.tasks)})."
    assert "unranked" not in event_text(event, Screen(columns=80), 0)
