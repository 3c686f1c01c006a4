"""The bar while a long log is read: on a terminal, after a second, and gone at the end."""

import io

import pytest

from oomlab.cli import progress
from oomlab.cli.logs import Logs
from oomlab.cli.progress import Progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def clock(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    monkeypatch.setenv("COLUMNS", "60")
    return now


def test_nothing_is_drawn_in_the_first_second(clock):
    bar = Progress(Terminal())
    bar.file("kern.log", 1000)
    clock[0] += 0.9
    bar.tell(500)
    bar.clear()
    assert bar._stream.getvalue() == ""


def test_the_bar_fits_the_terminal_and_is_taken_away(clock):
    bar = Progress(Terminal())
    bar.file("a\x1b[31m/kern.log", 1 << 20)
    for done in (0, 1 << 18, 1 << 19, 1 << 20, 1 << 21):
        clock[0] += 1.1
        bar.tell(done)
        drawn = bar._stream.getvalue().rpartition("\x1b[K")[2]
        assert len(drawn) < 60
        assert "\x1b" not in drawn
        assert f"{min(100, done * 100 >> 20)}% of 1.0M" in drawn
    bar.clear()
    assert bar._stream.getvalue().endswith("\r\x1b[K")


def test_the_bar_is_drawn_ten_times_a_second_at_most(clock):
    bar = Progress(Terminal())
    bar.file("log", 0)
    clock[0] += 2
    for _ in range(1000):
        clock[0] += 0.001
        bar.tell(5 << 20)
    assert 9 <= bar._stream.getvalue().count("log 5.0M") <= 11


def test_a_pipe_sees_no_bar(clock):
    bar = Progress(io.StringIO())
    assert not bar.wanted
    clock[0] += 5
    bar.tell(1)
    assert bar._stream.getvalue() == ""


def test_a_log_tells_how_far_it_is(clock, tmp_path):
    path = tmp_path / "kern.log"
    path.write_bytes(b"nothing of interest\n" * 100_000)
    logs = Logs([str(path)], recursive=False, journal=False)
    logs._progress = Progress(Terminal())
    clock[0] += 5
    assert list(logs) == []
    said = logs._progress._stream.getvalue()
    assert "kern.log" in said
    assert said.endswith("\r\x1b[K")
    assert not logs.failed
