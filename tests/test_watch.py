"""Watching: real processes, recordings and replays, the command as a user runs it."""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from math import isinf
from pathlib import Path
from random import Random
from typing import Any

import pytest
from conftest import PAGE, make_snapshot, make_task
from hypothesis import given
from hypothesis import strategies as st

from oomlab.analysis.growth.view import View
from oomlab.analysis.growth.watching import Watch
from oomlab.cli.until import parse_condition
from oomlab.errors import InputError, SnapshotFormatError, SourceError
from oomlab.output.watch_document import watch_document
from oomlab.readers import in_use
from oomlab.readers import samples as recording
from oomlab.readers.in_use import HeapReader
from oomlab.readers.kinds import parse_heap, read_kinds
from oomlab.readers.procfs import PROC
from oomlab.readers.samples import Recorder, read_samples
from oomlab.readers.sampling import Sampler
from oomlab.samples import Faults, Kinds, Sample, identity
from oomlab.snapshot import Task

Run = Callable[..., tuple[int, str, str]]
PROGRAM = [sys.executable, "-m", "oomlab", "watch"]
LEAK = """
import time
held = []
print("ready", flush=True)
while True:
    held.append(b"x" * 200_000)
    time.sleep(0.01)
"""


HOLES = """
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
int main(void)
{
    for (char *last = NULL;; usleep(400000))
        for (int i = 0; i < 25; i++) {
            char *block = memset(malloc(4000), 1, 4000);
            if (last && realloc(last, 24) != last)
                return 1;
            last = block;
        }
}
"""


UNSPARING = """
from oomlab.readers import in_use
in_use.SHARE_OF_A_CORE, in_use._MOST_CPU_SECONDS = 1.0, 30.0
from oomlab.__main__ import run
run()
"""
"""The command without its thrift: a slow machine may look at a heap once in ten seconds only."""


@contextmanager
def program(source: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-S", "-c", source]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            yield process
        finally:
            process.kill()


def sample_of(seconds: float, *tasks: Task, left: int = 1_000_000, **changes: Any) -> Sample:
    return Sample(
        seconds=seconds,
        snapshot=make_snapshot(*tasks, available_pages=left, free_pages=left),
        faults={identity(task): Faults(100, 1) for task in tasks},
        **changes,
    )


def kinds_of(task: Task) -> dict[tuple[int, int], Kinds]:
    size = (task.rss_pages or 0) * PAGE
    return {identity(task): Kinds(anon_bytes=size, file_bytes=0, shmem_bytes=0, swap_bytes=0)}


def growing(pid: int, count: int, **changes: Any) -> Iterator[Sample]:
    """A process that grows by 100 pages at each sample, and one that stays."""
    for number in range(count):
        task = make_task(pid, 1000 + 100 * number, **changes)
        left = 1_000_000 - 100 * number
        yield sample_of(2.0 * number, make_task(3, 5000), task, left=left, kinds=kinds_of(task))


def last_view(watch: Watch, samples: Iterator[Sample]) -> View:
    return [watch.feed(sample) for sample in samples][-1]


def test_a_real_leak_is_called_one() -> None:
    with program(LEAK) as process:
        watch, sampler = Watch(selected=frozenset({str(process.pid)})), Sampler()
        # On a busy machine the leak goes by fits and starts, and its rate is known later.
        for number in range(200):
            view = watch.feed(sampler.sample(watch.wanted()))
            if number >= 25 and view.rows[0].judgement.verdict == "leak-like":
                break
            time.sleep(0.1)
    row = view.rows[0]
    assert (row.judgement.verdict, row.task.pid) == ("leak-like", process.pid)
    rate = row.judgement.slope.per_second  # type: ignore[union-attr]
    assert 2e6 < rate < 20e6, "200 KB a hundred times a second, less what sleeping takes"
    assert row.kind_rates["anon"] == pytest.approx(rate, rel=0.3)
    assert row.minor_faults_per_second > 100  # type: ignore[operator]


def test_a_real_sleeper_is_steady() -> None:
    with program('import time; print("ready", flush=True); time.sleep(60)') as process:
        watch, sampler = Watch(selected=frozenset({str(process.pid)})), Sampler()
        for _ in range(15):
            view = watch.feed(sampler.sample(watch.wanted()))
            time.sleep(0.03)
    assert view.rows[0].judgement.verdict == "steady"


def test_the_sampler_sees_what_status_says() -> None:
    with program(LEAK.replace("while True", "for _ in range(300)") + "time.sleep(60)") as process:
        sampler = Sampler()
        for _ in range(3):
            found = {task.pid: task for task in sampler.sample().snapshot}
            time.sleep(0.05)
        assert process.pid in found
        process.send_signal(signal.SIGSTOP)
        while " T (" not in (status := Path(f"/proc/{process.pid}/status").read_text()):
            if "\nState:\tT" in status:
                break
        task = next(t for t in sampler.sample().snapshot if t.pid == process.pid)
        rss_kib = int(re.search(r"VmRSS:\s+(\d+)", status)[1])  # type: ignore[index]
        kinds = read_kinds(PROC, process.pid)
    assert task.rss_pages == rss_kib * 1024 // PAGE
    assert kinds is not None
    parts = (kinds.anon_bytes, kinds.file_bytes, kinds.shmem_bytes)
    assert sum(p or 0 for p in parts) == rss_kib * 1024
    assert (kinds.heap_bytes or 0) + (kinds.mmap_bytes or 0) == kinds.anon_bytes


def may_read_siblings() -> bool:
    """Heaps are read by a process of their own, which Yama lets look at descendants only."""
    yama = Path("/proc/sys/kernel/yama/ptrace_scope")
    return os.geteuid() == 0 or not yama.exists() or yama.read_text().strip() == "0"


@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler")
@pytest.mark.skipif(not may_read_siblings(), reason="kernel.yama.ptrace_scope forbids it")
def test_holes_in_a_real_heap_are_told_from_a_leak(tmp_path: Path) -> None:
    """Blocks that shrink to 24 bytes each when the next one is there: the heap only grows."""
    path = tmp_path / "holes"
    subprocess.run(["cc", "-O0", "-x", "c", "-o", path, "-"], input=HOLES, text=True, check=True)
    with subprocess.Popen([path]) as process:
        try:
            options = ["-i", "100ms", "--until", "verdict=fragmentation-like", "--count", "1000"]
            command = [sys.executable, "-c", UNSPARING, "watch", str(process.pid), *options]
            done = subprocess.run(command, capture_output=True, text=True, timeout=240)
        finally:
            process.kill()
    last = json.loads(done.stdout.splitlines()[-1])
    found = last["processes"][0]
    assert found["verdict"] == "fragmentation-like", done.stdout[-2000:] + done.stderr
    assert "in use grew by" in found["because"]
    assert done.returncode == 0


@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler")
@pytest.mark.skipif(not may_read_siblings(), reason="kernel.yama.ptrace_scope forbids it")
def test_a_heap_that_was_not_there_is_soon_asked_for_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(in_use, "SHARE_OF_A_CORE", 1.0)  # to fork this process costs much
    monkeypatch.setattr(in_use, "_MOST_CPU_SECONDS", 30.0)
    path = tmp_path / "late"
    source = "#include <stdlib.h>\n#include <unistd.h>\nint main(void)"
    source += "{ usleep(300000); return malloc(5000) ? pause() : 1; }"
    subprocess.run(["cc", "-O0", "-x", "c", "-o", path, "-"], input=source, text=True, check=True)
    reader, seen, found = HeapReader(Path("/proc")), [], {}
    with subprocess.Popen([path]) as process:
        who = (process.pid, 0)
        deadline = time.monotonic() + 60
        while not found and time.monotonic() < deadline:
            found = reader.read_some([who])
            seen.append(bool(found))
            time.sleep(0.05)
        reader.close()
        process.kill()
    assert not seen[0]
    assert found[who].in_use_bytes >= 5000


def test_a_heap_that_moved_is_asked_again_as_soon_as_before() -> None:
    """One that refuses is left alone ever longer."""
    reader, who = HeapReader(Path("/proc")), (1, 0)
    pauses = [
        reader._pause(who, 0, moved=bool(moved), told=False) for moved in (0, 0, 0, 1, 1, 1, 0)
    ]
    assert pauses == [1, 2, 4, 1, 1, 1, 1]
    assert reader._pause(who, 0, moved=False, told=True) == 0


def test_a_setting_changed_unseen_is_seen_in_its_turn() -> None:
    with program('import time; print("ready", flush=True); time.sleep(60)') as process:
        sampler = Sampler()
        sampler.sample()
        Path(f"/proc/{process.pid}/oom_score_adj").write_text("500")
        found = None
        for _ in range(30):
            found = next(t for t in sampler.sample().snapshot if t.pid == process.pid)
    assert found is not None
    assert found.oom_score_adj == 500


def test_who_runs_out_and_who_dies_then() -> None:
    view = last_view(Watch(), growing(7, 20))
    assert view.ranking.victim.task.pid == 3  # type: ignore[union-attr]
    assert view.headroom_bytes == (1_000_000 - 1900) * PAGE
    assert view.run_out is not None
    assert view.run_out.seconds == pytest.approx(2 * (1_000_000 - 1900) / 100, rel=0.01)
    assert {future.ranking.victim.task.pid for future in view.futures} == {7}  # type: ignore[union-attr]
    assert view.rows[0].judgement.verdict == "leak-like"
    assert "kill 7 (task7)" in "\n".join(watch_lines(view))


def test_a_loss_within_the_noise_has_no_end_in_sight() -> None:
    rng = Random(1)
    left = [1_000_000 - 15 * number + round(rng.gauss(0, 300)) for number in range(60)]
    samples = (sample_of(2.0 * n, make_task(3, 5000), left=size) for n, size in enumerate(left))
    view = last_view(Watch(), samples)
    assert view.run_out is None
    assert view.headroom_slope is not None
    assert view.headroom_slope.high < 0
    assert "3.8G, shrinking, with no end in sight (-" in "\n".join(watch_lines(view))


def watch_lines(view: View) -> list[str]:
    from oomlab.output.watch import watch_table

    table = watch_table(view, evidence=True)
    return [*table.heading, *table.footer]


def test_a_forecast_without_an_end_is_said_and_printed() -> None:
    """Losses so unequal that the rate may as well be zero."""
    watch, left = Watch(), 1_000_000
    for number in range(20):
        left -= 20_000 if number in (9, 15, 18) else 100
        view = watch.feed(sample_of(number, make_task(3, 5000), left=left))
    assert view.run_out is not None
    assert isinf(view.run_out.latest_seconds)
    assert "at the earliest" in "\n".join(watch_lines(view))
    assert watch_document(view)["forecast"]["latest_seconds"] is None


def test_a_pid_given_to_another_process_begins_anew() -> None:
    watch = Watch(selected=frozenset({"7"}))
    last_view(watch, growing(7, 20))
    other = make_task(7, 9000, start_ticks=99)
    view = watch.feed(sample_of(60, make_task(3, 5000), other))
    assert view.rows[0].judgement.verdict == "too few samples"
    assert view.rows[0].minor_faults_per_second is None
    assert [task.start_ticks for task in view.ended] == [7]


@pytest.mark.parametrize("change", [{"seconds": 1.0}, {"boot_id": "another"}])
def test_another_clock_begins_anew(change: dict[str, Any]) -> None:
    watch = Watch()
    last_view(watch, growing(7, 20))
    sample = sample_of(100, make_task(3, 5000), make_task(7, 9000))
    view = watch.feed(replace(sample, **change))
    assert view.restarted
    assert view.run_out is None
    assert {row.judgement.verdict for row in view.rows} == {"too few samples"}


def test_a_long_pause_is_only_a_pause() -> None:
    """A stopped program or a machine that stood still: the next sample comes an hour later."""
    watch = Watch(window_seconds=1e6)
    early = list(growing(7, 20))
    late = [replace(s, seconds=s.seconds + 3600) for s in list(growing(7, 40))[20:]]
    view = last_view(watch, iter(early + late))
    assert not view.restarted
    assert view.rows[0].judgement.verdict in ("growing", "leak-like", "steady")


def test_processes_come_and_go() -> None:
    watch = Watch(most_rows=5)
    for number in range(50):
        tasks = [make_task(pid, 1000) for pid in range(2, 40) if (pid + number) % 7]
        view = watch.feed(sample_of(number, *tasks))
        assert len(view.rows) == 5


def test_whom_the_kernel_passes_over_is_no_victim() -> None:
    skipped = make_task(7, 90_000, kernel_oom_score=0)
    view = Watch().feed(sample_of(1, make_task(3, 5000), skipped))
    assert view.ranking.victim.task.pid == 3  # type: ignore[union-attr]


def test_the_kernels_own_score_is_read_of_the_likely_victims() -> None:
    watch, sampler = Watch(most_rows=0), Sampler()
    for _ in range(2):
        sample = sampler.sample(watch.wanted())
        view = watch.feed(sample)
    with_score = {t.pid for t in sample.snapshot if t.kernel_oom_score is not None}
    assert view.ranking.victim.task.pid in with_score  # type: ignore[union-attr]
    assert len(with_score) <= 4


def test_a_zombie_and_an_unreadable_process_are_shown_as_unknown() -> None:
    watch = Watch(selected=frozenset({"7"}))
    zombie = make_task(7, state="Z", has_mm=False, rss_pages=None, rss_stat_pages=None)
    view = watch.feed(sample_of(1, make_task(3, 5000), zombie))
    assert view.rows[0].used_bytes is None
    assert view.rows[0].judgement.verdict == "too few samples"


def test_replay_says_what_was_said_live(tmp_path: Path) -> None:
    path, said = tmp_path / "rec.jsonl.gz", []
    with program(LEAK):
        watch, sampler, recorder = Watch(), Sampler(), Recorder(path)
        for _ in range(20):
            sample = sampler.sample(watch.wanted())
            recorder.write(sample)
            said.append((sample, watch_document(watch.feed(sample))))
            time.sleep(0.03)
        recorder.close()
    replayed = Watch()
    again = [(s, watch_document(replayed.feed(s))) for s in read_samples(path, pytest.fail)]
    assert again == said


counts = st.integers(1, 1 << 40)
tasks_lists = st.dictionaries(st.integers(2, 9), st.tuples(counts, st.integers(0, 3)), max_size=6)


@given(st.lists(tasks_lists, min_size=1, max_size=12))
def test_any_coming_and_going_is_recorded(steps: list[dict[int, tuple[int, int]]]) -> None:
    lines, last, samples = [], None, []
    for number, step in enumerate(steps):
        tasks = [make_task(p, size, start_ticks=t) for p, (size, t) in step.items()]
        tasks.sort(key=lambda task: (task.start_ticks or 0, task.pid))
        sample = sample_of(number, *tasks, boot_id="b")
        lines.append(recording.encode(number, sample, last if number % 5 else None))
        samples.append(sample)
        last = sample
    path = Path(f"/proc/self/fd/{memory_file(b''.join(lines))}")
    try:
        assert list(read_samples(path, pytest.fail)) == samples
    finally:
        os.close(int(path.name))


def memory_file(content: bytes) -> int:
    descriptor = os.memfd_create("recording")
    os.write(descriptor, content)
    return descriptor


@pytest.fixture
def recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Forty samples with a full line at every tenth."""
    monkeypatch.setattr(recording, "_FULL_EVERY", 10)
    path = tmp_path / "rec.jsonl"
    recorder = Recorder(path)
    for sample in growing(7, 40, comm="leaky"):
        recorder.write(sample)
    recorder.close()
    return path


def test_damage_in_the_middle_costs_the_samples_up_to_the_next_full_one(recorded: Path) -> None:
    lines = recorded.read_bytes().splitlines(keepends=True)
    lines[13] = lines[13][:50] + b"\n"
    recorded.write_bytes(b"".join(lines))
    told: list[str] = []
    found = [sample.seconds / 2 for sample in read_samples(recorded, told.append)]
    assert found == [*range(13), *range(20, 40)]
    assert len(told) == 1
    assert "line 14" in told[0]
    assert "7 samples" in told[0]


def test_a_cut_file_gives_what_is_there(recorded: Path) -> None:
    packed = gzip.compress(recorded.read_bytes())
    cut = recorded.with_suffix(".gz")
    cut.write_bytes(packed[: len(packed) // 2])
    told: list[str] = []
    assert len(list(read_samples(cut, told.append))) > 2
    assert "cut" in told[-1] or "damaged" in told[-1]


@given(st.integers(0, 1 << 20), st.binary(min_size=1, max_size=8))
def test_no_damage_is_a_traceback(place: int, junk: bytes) -> None:
    lines, last = [], None
    for number, sample in enumerate(growing(7, 4)):
        lines.append(recording.encode(number, sample, last))
        last = sample
    whole = b"".join(lines)
    place %= len(whole)
    descriptor = memory_file(whole[:place] + junk + whole[place + len(junk) :])
    try:
        for sample in read_samples(Path(f"/proc/self/fd/{descriptor}"), lambda _text: None):
            assert isinstance(sample, Sample)
    except (SnapshotFormatError, SourceError):
        pass
    finally:
        os.close(descriptor)


def test_a_recording_is_its_owners_only(recorded: Path) -> None:
    assert recorded.stat().st_mode & 0o777 == 0o600


def test_the_heap_is_found_in_smaps() -> None:
    code = b"00400000-00452000 r-xp 0 08:02 17 /bin/x\nSize: 328 kB\nRss: 12 kB\n"
    heap = b"00e03000-00e24000 rw-p 0 00:00 0 [heap]\nSize: 132 kB\nRss: 8 kB\n"
    after = b"7f0000000000-7f0000001000 rw-p 0 00:00 0 \nSize: 4 kB\nRss: 4 kB\n"
    assert parse_heap(code + heap, complete=False) is None, "it may go on"
    assert parse_heap(code + heap, complete=True) == 8
    assert parse_heap(code + heap + heap + after, complete=False) == 16
    assert parse_heap(code + after, complete=True) == 0


def test_json_lines_are_as_documented(run_cli: Run, recorded: Path) -> None:
    status, out, err = run_cli("watch", "leaky", "--from", str(recorded))
    assert (status, err) == (0, "")
    documents = [json.loads(line) for line in out.splitlines()]
    assert len(documents) == 40
    last = documents[-1]
    assert last["schema"] == "oomlab.watch/1"
    assert last["victim"] == {"pid": 3, "comm": "task3"}
    assert last["processes"][0]["verdict"] == "leak-like"
    slope = last["processes"][0]["slope"]
    assert slope["bytes_per_second"] == pytest.approx(50 * PAGE)
    assert last["forecast"]["victims"][0]["pid"] == 7


def test_csv_rows_carry_their_time(run_cli: Run, recorded: Path) -> None:
    _, out, _ = run_cli("watch", "--from", str(recorded), "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(out)))
    assert len(rows) == 80
    assert rows[-1]["seconds"] == "78.0"


def test_a_replay_shows_its_last_view(run_cli: Run, recorded: Path) -> None:
    _, out, _ = run_cli("watch", "--from", str(recorded), "--format", "table")
    assert out.count("If memory ran out now") == 1
    assert "Sample 40" in out
    assert re.search(r"7 \(leaky\): leak-like: grew by", out)


@pytest.mark.parametrize(
    ("condition", "status", "samples"),
    [
        ("victim=task3", 0, 1),
        ("victim=leaky", 1, 40),
        ("headroom<4091084801", 0, 13),
        ("headroom<1G", 1, 40),
        ("verdict=leak-like", 0, 12),
    ],
)
def test_until(run_cli: Run, recorded: Path, condition: str, status: int, samples: int) -> None:
    found, out, _ = run_cli("watch", "--from", str(recorded), "--until", condition)
    assert (found, len(out.splitlines())) == (status, samples)


def test_who_is_not_there_yet_is_told(run_cli: Run, recorded: Path) -> None:
    status, out, err = run_cli("watch", "leaky", "later", "9999", "--from", str(recorded))
    assert (status, len(out.splitlines())) == (0, 40)
    assert err == "oomlab: no process has the PID or name 9999, later so far\n"


@pytest.mark.parametrize("text", ["", "victim", "victim=", "headroom<much", "verdict=bad", "x<1"])
def test_what_is_no_condition(text: str) -> None:
    with pytest.raises(InputError):
        parse_condition(text)


@pytest.mark.parametrize(
    "arguments",
    [
        ["999999999"],
        ["no-such-name"],
        ["-i", "0"],
        ["-i", "soon"],
        ["--window", "-1h"],
        ["--until", "x"],
        ["--from", "/etc/passwd"],
        ["--from", "/nowhere"],
        ["--from", "fixtures/example.json"],
        ["--from", "x", "--record", "y"],
        ["--record", "/nowhere/x", "--count", "1"],
        ["--proc", "/nowhere"],
    ],
)
def test_wrong_input_is_one_line(run_cli: Run, arguments: list[str]) -> None:
    status, out, err = run_cli("watch", *arguments)
    assert (status, out) == (2, "")
    assert re.fullmatch(r"oomlab: [^\n]+\n", err)


def test_count_ends_a_live_watch(run_cli: Run) -> None:
    status, out, _ = run_cli("watch", "-i", "10ms", "--count", "3", "-n", "2")
    assert (status, len(out.splitlines())) == (0, 3)


def test_it_ends_when_the_watched_process_ends(tmp_path: Path) -> None:
    path = tmp_path / "rec.jsonl.gz"
    with subprocess.Popen(["sleep", "60"]) as sleeper:
        command = [*PROGRAM, str(sleeper.pid), "-i", "50ms", "--record", str(path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as watcher:
            assert watcher.stdout is not None
            watcher.stdout.readline()
            sleeper.kill()
            sleeper.wait()
            rest, _ = watcher.communicate(timeout=60)
    last = json.loads(rest.splitlines()[-1])
    assert watcher.returncode == 0
    assert last["ended"] == [{"pid": sleeper.pid, "comm": "sleep"}]
    assert list(read_samples(path, pytest.fail))


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_leaves_a_whole_recording(tmp_path: Path, end: signal.Signals) -> None:
    path = tmp_path / "rec.jsonl.gz"
    command = [*PROGRAM, "-i", "50ms", "--record", str(path)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True) as watcher:
        assert watcher.stdout is not None
        for _ in range(3):
            watcher.stdout.readline()
        watcher.send_signal(end)
        _, err = watcher.communicate(timeout=60)
    assert (watcher.returncode, err) == (128 + end, "")
    assert len(list(read_samples(path, pytest.fail))) >= 3


@pytest.mark.parametrize("columns", [80, 140])
def test_on_a_terminal_it_is_drawn_in_place(columns: int) -> None:
    shown = on_terminal(columns, {})
    views = shown.split("\x1b[J")[:-1]
    assert len(views) == 4
    assert all(re.match(r"\x1b\[\d+A\r", view) for view in views[1:])
    plain = [re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", line) for line in shown.splitlines()]
    assert max(map(len, plain)) <= columns
    assert "\x1b[?" not in shown, "nothing that would have to be restored"
    assert "\x1b[1m" not in on_terminal(columns, {"NO_COLOR": "1"})
    assert "\x1b" not in on_terminal(columns, {"TERM": "dumb"})


def on_terminal(columns: int, environment: dict[str, str]) -> str:
    kept = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "LINES", "NO_COLOR")}
    command = " ".join([*PROGRAM, "-i", "20ms", "--count", "4"])
    script = f"stty cols {columns} rows 24; exec {command}"
    pid, terminal = pty.fork()
    if pid == 0:
        os.execvpe("sh", ["sh", "-c", script], kept | {"TERM": "xterm"} | environment)
    chunks = []
    try:
        while chunk := os.read(terminal, 65536):
            chunks.append(chunk)
    except OSError:
        pass  # the other side has closed
    os.close(terminal)
    assert os.waitpid(pid, 0)[1] == 0
    return b"".join(chunks).decode()
