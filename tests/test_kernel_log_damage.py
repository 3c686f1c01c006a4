"""Damaged logs: nothing raises, nothing hangs, and what is whole is told whole."""

import bz2
import gzip
import lzma
import os
import time
import tracemalloc
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kernel_logs import one_event, read, understood
from mutated_logs import worst_of

from oomlab.readers.kernel_log import events, joining
from oomlab.readers.kernel_log.source import Reading, read_events

LOG = one_event("6.12", "sysrq-3") + one_event("6.12", "memcg-other") + one_event("4.9", "sysrq-5")
WHOLE = read(LOG)
MUTATED = int(os.environ.get("OOMLAB_MUTATED_LOGS", "2000"))
"""About 1.5 ms each; .ci/run takes 20,000."""


@settings(max_examples=60, deadline=None)
@given(st.integers(0, len(LOG)), st.integers(0, len(LOG)))
def test_a_log_cut_anywhere_keeps_its_whole_events(one, other):
    start, end = sorted((one, other))
    lines_before = LOG[:start].count(b"\n")
    found = read(LOG[start:end])
    first_byte = {}
    offset = 0
    for number, line in enumerate(LOG.splitlines(keepends=True), 1):
        first_byte[number] = offset
        offset += len(line)
    ends = [first_byte[r.line] for r in WHOLE[1:]] + [len(LOG)]
    for report, stop in zip(WHOLE, ends, strict=True):
        if start <= first_byte[report.line] and stop <= end:
            inside = [r for r in found if r.line == report.line - lines_before]
            assert [v.pid for r in inside for v in r.victims] == [v.pid for v in report.victims]
            assert [len(r.tasks) for r in inside] == [len(report.tasks)]
    understood(found)


def test_mutated_logs_raise_nothing_and_end_soon():
    parts = os.cpu_count() or 1
    with ProcessPoolExecutor(parts, mp_context=get_context("fork")) as pool:
        found = list(pool.map(worst_of, [range(n, MUTATED, parts) for n in range(parts)]))
    seconds, seed, _ = max(found)
    assert seconds < 1, f"mutated({seed})"  # usually 0.3 s at most
    assert max(grown for *_, grown in found) < 64 * 1024


@pytest.mark.parametrize(
    "filler",
    [b"a", b"a ", b"1 ", b"x:1kB ", b"0*4kB ", b"(", b"aa ", b"[<", b"Task in ", b'a="', b'a="b" '],
)
def test_a_line_of_a_megabyte_costs_no_more_than_its_length(filler):
    lines = LOG.splitlines(keepends=True)
    lines.insert(40, filler * ((1 << 20) // len(filler)) + b"\n")
    begun = time.process_time()
    found = read(b"".join(lines))
    assert time.process_time() - begun < 1  # usually 0.05 s
    assert [v.pid for r in found for v in r.victims] == [v.pid for r in WHOLE for v in r.victims]


def test_what_is_longer_than_any_line_of_the_kernels_is_not_joined(monkeypatch):
    tried, read_whole = [], joining.read_whole

    def noted(text, report):
        tried.append(len(text))
        return read_whole(text, report)

    monkeypatch.setattr(joining, "read_whole", noted)
    lines = LOG.splitlines(keepends=True)
    lines[40:40] = [b"[<" * 3000 + b"\n", b"[<" * 4000 + b"\n", b"[<" * (1 << 19) + b"\n"]
    read(b"".join(lines))
    assert 8000 < max(tried) <= 1 << 14


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
def test_packed_logs_read_as_plain_ones(pack, tmp_path):
    path = tmp_path / "kern.log.1"
    path.write_bytes(pack(LOG[: len(LOG) // 2]) + pack(LOG[len(LOG) // 2 :]))
    said = []
    found = list(read_events(str(path), Reading(said.append)))
    assert [r.victims for r in found] == [r.victims for r in WHOLE]
    assert said == []


@pytest.mark.parametrize("pack", [gzip.compress, lambda d: bz2.compress(d, 1), lzma.compress])
def test_a_packed_log_that_is_cut_is_read_up_to_there(pack, tmp_path):
    path = tmp_path / "kern.log.gz"
    path.write_bytes(pack(LOG + os.urandom(500_000))[:-1000])
    said = []
    found = list(read_events(str(path), Reading(said.append)))
    assert [v.pid for r in found for v in r.victims][:1] == [WHOLE[0].victims[0].pid]
    assert len(said) == 1


def test_a_packed_bomb_is_read_in_bounded_memory(tmp_path):
    import resource

    path = tmp_path / "bomb.gz"
    with gzip.open(path, "wb", compresslevel=1) as out:
        for _ in range(300):
            out.write(b"\0" * (1 << 20))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert list(read_events(str(path), Reading(print))) == []
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # The reader holds a few buffers of a megabyte; the bomb would be 300.
    assert after - before < 64 * 1024


FLOODS = [
    b"Node 0 DMA free:736kB boost:0kB min:88kB low:108kB high:128kB\n",
    b"Out of memory: Kill process %d (x) score 5 or sacrifice child\n",
    b"oom_reaper: reaped process %d (x), now anon-rss:0kB, file-rss:0kB, shmem-rss:0kB\n",
    b"Node 0 hugepages_total=0 hugepages_free=0 hugepages_surp=0 hugepages_size=2048kB\n",
    b"Kill process %d (x) sharing same memory\n",
    b"anon %d\n",
    b"slab_%d             12KB         24KB\n",
    b"nothing that anybody knows %d\n",
    b"/some/path/%d\n",
    b"[%d] 1 " + b"x" * 9000 + b"\n",
    b"[%d] 1 2 3 no table's row\n",
]


@pytest.mark.parametrize("line", FLOODS)
def test_a_flood_of_one_line_in_an_event_is_held_within_bounds(line, monkeypatch):
    monkeypatch.setattr(events, "MAX_LINES", 500)
    head, kill = LOG.splitlines(keepends=True)[:12], b"Killed process 7 (x) total-vm:1kB\n"
    flood = b"".join(line % n if b"%d" in line else line for n in range(5000))
    log = b"".join(head) + flood + kill
    tracemalloc.start()
    found = read(log)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found
    assert peak < 4 << 20


def test_events_of_ever_new_hosts_are_held_within_bounds():
    lines = [b"Jun 20 12:47:02 h%d kernel: Killed process %d (x)\n" % (n, n) for n in range(5000)]
    begun = time.process_time()
    found = read(b"".join(lines))
    assert time.process_time() - begun < 20  # a hang, not a speed: usually 0.6 s
    assert [v.pid for r in found for v in r.victims] == list(range(5000))


def test_a_time_of_any_number_of_digits_is_no_time():
    """A float holds no microseconds of 400 digits; the console's sequence number may be as long."""
    text = "init invoked oom-killer: gfp_mask=0x201da, order=0, oom_adj=0"
    lines = [f"4,1,5,-;{text}", f"4,2,{'9' * 400},-;Mem-Info:", f"4,{'9' * 400},7,-;Mem-Info:"]
    assert [report.line for report in read("\n".join(lines).encode())] == [1]


def test_a_large_table_without_header_does_not_hang():
    row = b"[%7d]     0 %5d     6457     6142    90112        0             0 sh\n"
    rows = b"".join(row % (n, n) for n in range(10_000, 40_000))
    log = LOG.splitlines(keepends=True)[0] + rows + b"Killed process 10007 (sh) total-vm:1kB\n"
    begun = time.process_time()
    (report,) = read(log)
    assert time.process_time() - begun < 20  # a hang, not a speed: usually 0.8 s
    assert len(report.tasks) == 30_000


_SUMMARY = "oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset="


@pytest.mark.parametrize(
    "line",
    [
        _SUMMARY + "a,oom_memcg=" * 6000,
        _SUMMARY + "a,mems_allowed=0,oom_memcg=b,task_memcg=c,task=" * 1500,
        _SUMMARY + "a,mems_allowed=0,global_oom,task_memcg=b" + ",task=a,pid=1" * 5000,
        "Out of memory: Killed process 1 (" + ") total-vm:1kB," * 4000,
        "Out of memory: Kill process 1 (" + ") score 1" * 6000,
        "x invoked oom-killer: gfp_mask=0x1(" + "(" * 60000,
        "DMA free:1kB" + " a:1kB" * 10000 + ">",
        "Killed process 1 (x) total-vm:1kB" + ", rss:20476kB" * 4000 + "!",
    ],
    ids=range(8),
)
def test_a_line_of_parts_that_repeat_does_not_hang(line):
    head, *rest = one_event("6.12", "global-1").splitlines(keepends=True)
    start = time.process_time()
    understood(read(head + f"{line}\n".encode() + b"".join(rest)))
    assert time.process_time() - start < 5  # a hang, not a speed: usually 0.1 s
