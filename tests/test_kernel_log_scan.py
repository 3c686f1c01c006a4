"""The fast search loses nothing: it finds what a slow one finds that looks at every line."""

import io
import json
import os
import random

import pytest
from kernel_logs import KERNELS, REPORTS, one_event, recorded

from oomlab.readers.kernel_log import survey as surveys
from oomlab.readers.kernel_log import turns
from oomlab.readers.kernel_log.assemble import Assembler
from oomlab.readers.kernel_log.marks import JSON_MARKS, MARKS, TRIGGER, Haystack
from oomlab.readers.kernel_log.scan import EXPORT_BYTES, LOOK_BACK_BYTES, scan
from oomlab.readers.kernel_log.survey import Survey
from oomlab.readers.kernel_log.turns import scan_surveyed

NOISE = [
    b"Jun 20 12:47:02 db1 sshd[1234]: Accepted publickey for user from 10.0.0.1 port 4242 ssh2",
    b"Jun 20 12:47:03 db1 systemd[1]: app.service: Failed with result 'oom-kill'.",
    b"Jun 20 12:47:03 db1 app[7]: Killed process group, the worker process 812 is gone",
    b"Jun 20 12:47:03 db1 kernel: [1234.567890] eth0: link is up",
    b"",
    b'{"log": "an oom-killer is no oom-killer: gfp_mask", "stream": "stdout"}',
    b"x" * 300,
    b"\0" * 50,
]


FAR = (NOISE[0] + b"\n") * 9000
"""More than a look back from one event may reach."""


def slow(log: bytes, source: str = "test"):
    """Look at every line for every mark, with the whole log in memory."""
    assembler, fresh, found = Assembler(source), 0, []
    lines = log.split(b"\n")
    if not lines[-1]:
        del lines[-1]
    for index, line in enumerate(lines):
        if not assembler.busy:
            places = [line.find(mark) for mark in (*MARKS, *JSON_MARKS) if mark in line]
            if not places:
                continue
            reach = LOOK_BACK_BYTES
            if line.startswith(TRIGGER, min(places)):
                reach = EXPORT_BYTES if line.startswith(b"MESSAGE=") else 0
            before = []
            for earlier in reversed(lines[fresh:index]):
                reach -= len(earlier) + 1
                if reach < 0:
                    break
                before.insert(0, earlier.decode("utf-8", "surrogateescape"))
            assembler.look_back(before, index + 1 - len(before))
        assembler.feed(line.decode("utf-8", "surrogateescape"), index + 1)
        fresh = index + 1
        found += assembler.finished()
    assembler.close()
    return found + list(assembler.finished())


def streamed(log: bytes, chunk_bytes: int):
    return list(scan(io.BytesIO(log).readinto, "test", chunk_bytes=chunk_bytes))


def surveyed(log: bytes, path, workers: int, block_bytes: int, stripe_blocks: int = 3, count=True):
    path.write_bytes(log)
    with path.open("rb") as stream:
        survey = Survey(stream.fileno(), len(log), workers, block_bytes, stripe_blocks, count)
        told = []
        found = list(scan_surveyed(survey, "test", told.append))
        survey.close()
    assert told == sorted(told)
    assert told[-1:] == ([len(log)] if log else [])
    return found


def noise(rng, lines):
    return b"".join(rng.choice(NOISE) + b"\n" for _ in range(rng.randrange(lines)))


def mixed(rng):
    """A log of whole, beheaded and cut events with other programs' lines between."""
    parts = [noise(rng, 100)]
    for _ in range(rng.randrange(1, 5)):
        event = one_event("6.12", rng.choice(["sysrq-3", "memcg-other", "global-1"]))
        lines = event.splitlines(keepends=True)
        first = rng.choice([0, 0, 0, 1, rng.randrange(len(lines))])
        last = rng.choice([len(lines), len(lines), rng.randrange(len(lines))])
        kept = lines[first:last]
        if rng.random() < 0.2:
            kept = [json.dumps({"MESSAGE": list(line[:-1])}).encode() + b"\n" for line in kept]
        parts += [*kept, noise(rng, 450)]
    log = b"".join(parts)
    return log if rng.random() < 0.8 else log.rstrip(b"\n")


@pytest.mark.parametrize("seed", range(8))
def test_pieces_of_any_size_find_what_looking_at_every_line_finds(seed, tmp_path):
    rng = random.Random(seed)
    for _ in range(3):
        log = mixed(rng)
        expected = slow(log)
        assert streamed(log, rng.choice([100, 1000, 5000, 1 << 18])) == expected
        size = rng.choice([64, 300, 1000, 4096, 1 << 17])
        assert surveyed(log, tmp_path / "log", rng.choice([0, 1, 2, 3]), size) == expected


@pytest.mark.parametrize("kernel", KERNELS)
def test_every_recorded_log_is_found_alike(kernel, tmp_path):
    log = recorded(kernel)
    expected = slow(log)
    assert streamed(log, 1 << 18) == expected
    assert surveyed(log, tmp_path / "log", 2, 4096) == expected


@pytest.mark.skipif(not REPORTS.exists(), reason=f"no collection of real logs at {REPORTS}")
def test_every_real_log_is_found_alike(tmp_path):
    for path in sorted(REPORTS.glob("*.txt")):
        log = path.read_bytes()
        expected = slow(log)
        assert streamed(log, 1 << 18) == expected, path
        assert surveyed(log, tmp_path / "log", 0, 1000) == expected, path


def test_a_mark_over_the_border_of_two_blocks_is_found(tmp_path):
    event = one_event("6.12", "memcg-other")
    ahead = event.index(TRIGGER)
    for shift in range(len(TRIGGER) + 2):
        log = b"x" * (999 - ahead - shift) + b"\n" + event
        (found,) = surveyed(log, tmp_path / "log", 0, 1000)
        assert found.line == 2


@pytest.mark.parametrize("mark", [*MARKS, *JSON_MARKS])
def test_nothing_is_a_mark_that_a_survey_does_not_notice(mark):
    haystack = Haystack(5000)
    for text in (b"{" + mark, b"{\n" + b"a" * 3000 + mark + b"\n"):
        haystack.buffer[: len(text)] = text
        assert haystack.is_marked(0, len(text))
        assert haystack.next_mark(0, len(text)) == text.index(mark)
        assert haystack.next_mark(0, len(text) - 1) in (-1, text.find(mark[:-1]))


def test_searching_needs_no_c_library(monkeypatch, tmp_path):
    import ctypes

    log = mixed(random.Random(1))
    expected = slow(log)

    def none(_name):
        raise OSError("no such library")

    monkeypatch.setattr(ctypes, "CDLL", none)
    assert Haystack(10).find == Haystack(10).buffer.find or Haystack(10).find(b"a", 0, 10) == -1
    assert streamed(log, 1000) == expected
    assert surveyed(log, tmp_path / "log", 0, 1000) == expected


def test_a_worker_that_fails_loses_nothing(monkeypatch, tmp_path):
    log = mixed(random.Random(2))
    parent, survey = os.getpid(), Survey._survey

    def fail(self, stripe, haystack):
        if os.getpid() != parent and stripe >= 1:
            raise OSError("the disk is gone")
        return survey(self, stripe, haystack)

    monkeypatch.setattr(Survey, "_survey", fail)
    assert surveyed(log, tmp_path / "log", 2, 500) == slow(log)


def test_lines_written_while_the_log_is_read_are_read_too(tmp_path):
    path = tmp_path / "log"
    first, second = one_event("6.12", "memcg-other"), one_event("6.12", "sysrq-3")
    path.write_bytes(first)
    with path.open("rb") as stream:
        survey = Survey(stream.fileno(), len(first), 1, 700)
        with path.open("ab") as more:
            more.write(second)
        found = list(scan_surveyed(survey, "test", lambda _: None))
        survey.close()
    assert found == slow(first + second)


def test_a_survey_that_is_given_up_leaves_no_process(tmp_path):
    path = tmp_path / "log"
    path.write_bytes(recorded("6.12") * 20)
    with path.open("rb") as stream:
        survey = Survey(stream.fileno(), path.stat().st_size, 2, 64, 1)
        pids = [pid for pid, _ in survey._workers]
        found = scan_surveyed(survey, "test", lambda _: None)
        next(found)
        found.close()
        survey.close()
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def far_apart(rng, count):
    """Events of which some are so far apart that a helper may read them."""
    parts = []
    for _ in range(count):
        event = one_event("6.12", rng.choice(["sysrq-3", "memcg-other", "global-1"]))
        lines = event.splitlines(keepends=True)
        first = rng.choice([0, 0, 0, 1, rng.randrange(len(lines))])
        line = rng.choice([NOISE[0], NOISE[3], NOISE[6], b"y" * rng.randrange(2000, 9000)]) + b"\n"
        size = rng.choice([0, 300_000, 900_000, 1_500_000])
        parts += [*lines[first:], line * (size // len(line))]
    return b"".join(parts)


@pytest.fixture
def given(monkeypatch):
    """Return a list that is filled with the groups that a helper is given."""
    found = []
    give = turns._Helper.give

    def noted(self, group):
        found.append(group)
        give(self, group)

    monkeypatch.setattr(turns._Helper, "give", noted)
    return found


@pytest.mark.parametrize("seed", range(6))
def test_a_helper_finds_what_one_process_finds(seed, tmp_path, given):
    rng = random.Random(seed)
    log = b"".join([far_apart(rng, 8), *([one_event("6.12", "sysrq-3"), FAR] * 4)])
    size = rng.choice([1 << 12, 50_000, 1 << 17])
    assert surveyed(log, tmp_path / "log", 2, size) == slow(log)
    assert len(given) >= 2


def test_an_event_that_reaches_far_is_read_with_what_follows(tmp_path, given):
    """Its long lines may still be its own when the next group begins."""
    head = b"".join(one_event("6.12", "sysrq-3").splitlines(keepends=True)[:9])
    reaching = head + (b"y" * 8000 + b"\n") * 100
    events = [one_event("6.12", "memcg-other"), FAR, reaching, one_event("6.12", "sysrq-3"), FAR]
    for first in range(2):
        log = b"".join(events[first:] * 4)
        assert surveyed(log, tmp_path / "log", 2, 1 << 14) == slow(log)
    assert given


def test_what_a_helper_can_not_tell_is_read_here(tmp_path, given, monkeypatch):
    parent, read_group, left = os.getpid(), turns.read_group, [1]

    def fail(*arguments):
        if os.getpid() != parent and not left.pop(0):
            raise OSError("the disk is gone")
        left.append(0)
        return read_group(*arguments)

    monkeypatch.setattr(turns, "read_group", fail)
    log = (one_event("6.12", "memcg-other") + FAR) * 9
    assert surveyed(log, tmp_path / "log", 2, 1 << 16) == slow(log)
    assert len(given) >= 4


def test_a_helper_that_is_given_up_leaves_no_process(tmp_path, monkeypatch):
    helpers = []
    begin = turns._Helper.__init__

    def noted(self, *arguments):
        begin(self, *arguments)
        helpers.append(self._pid)

    monkeypatch.setattr(turns._Helper, "__init__", noted)
    path = tmp_path / "log"
    path.write_bytes((one_event("6.12", "memcg-other") + FAR) * 9)
    with path.open("rb") as stream:
        survey = Survey(stream.fileno(), path.stat().st_size, 2, 1 << 16, 1)
        pids = [pid for pid, _ in survey._workers]
        found = scan_surveyed(survey, "test", lambda _: None)
        next(found)
        found.close()
        survey.close()
    assert helpers
    for pid in (*pids, *helpers):
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_a_small_or_packed_file_needs_no_survey(tmp_path, monkeypatch):
    path = tmp_path / "log"
    path.write_bytes(b"x")
    with path.open("rb") as stream:
        assert surveys.begin_survey(stream.fileno(), 2) is None
    monkeypatch.setattr(surveys, "WORTH_WORKERS_BYTES", 4)
    path.write_bytes(b"\x1f\x8b" + bytes(100))
    with path.open("rb") as stream:
        assert surveys.begin_survey(stream.fileno(), 2) is None


def test_a_survey_that_counts_no_lines_finds_the_same_events(tmp_path) -> None:
    log = mixed(random.Random(7)) + noise(random.Random(8), 2000) + mixed(random.Random(9))
    counted = surveyed(log, tmp_path / "log", 2, 4096)
    quick = surveyed(log, tmp_path / "log", 2, 4096, count=False)
    assert len(counted) > 1
    assert all(report.line for report in counted)
    assert {report.line for report in quick} == {None}
    for report in counted:
        report.line = None
    assert quick == counted


@pytest.mark.parametrize(("at_once", "long"), [(1, 1 << 25), (2, 1 << 25), (1024, 1 << 21)])
def test_groups_that_are_cut_short_tell_the_same(at_once, long, tmp_path, monkeypatch):
    """Where there are too many blocks in one, or a long way without any."""
    monkeypatch.setattr(turns, "_MOST_AT_ONCE", at_once)
    monkeypatch.setattr(turns, "_LONG_BYTES", long)
    log = (recorded("6.12") + FAR * 4 + one_event("6.12", "memcg-other") * 2) * 2
    for size in (1 << 14, 1 << 17):
        assert surveyed(log, tmp_path / "log", 2, size) == slow(log)
