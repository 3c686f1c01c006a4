"""The installed earlyoom judges our earlyoom: in dry-run mode, on made-up and on real processes."""

from __future__ import annotations

import random
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest
from conftest import make_machine, make_task
from holders import PROGRAM

import oomlab
from oomlab.analysis.killers.earlyoom import rank_earlyoom
from oomlab.analysis.killers.earlyoom_settings import Settings, thresholds
from oomlab.cli.posix_regex import compile_extended
from oomlab.snapshot import Machine, Snapshot, Task

EARLYOOM = shutil.which("earlyoom")
MACHINES = 60
PAGE_KIB = 4
_LISTED = re.compile(r"pid +(\d+): badness +(-?\d+) ")
_CHOSEN = re.compile(
    r"^sending (SIGTERM|SIGKILL|0 \(no-op signal\)) to process (\d+) ", re.MULTILINE
)


@pytest.fixture(scope="module")
def release() -> str:
    if EARLYOOM is None:
        pytest.skip("earlyoom is not installed (Debian has it)")
    found = subprocess.run([EARLYOOM, "-v"], capture_output=True, text=True)
    match = re.search(r"earlyoom v?(\d+\.\d+(\.\d+)?)", found.stdout + found.stderr)
    assert match is not None, found
    return match[1]


class Said(NamedTuple):
    """What earlyoom printed until its first decision."""

    first: int | None
    """Whom its dry run at the start chose; None for nobody."""
    action: str
    text: str


def _nobody(line: str) -> bool:
    return "Could not find a process" in line


def listen(command: Sequence[str]) -> Said:
    """Run earlyoom until it has decided once, then end it."""
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=subprocess.STDOUT, text=True) as process:
        try:
            assert process.stdout is not None
            lines = []
            for line in process.stdout:
                lines.append(line)
                if "sleep time" in line or sum(map(_nobody, lines)) == 2:
                    break
        finally:
            process.kill()
    text = "".join(lines)
    if "earlyoom" not in text:
        pytest.skip(f"no /proc of our own can be mounted here: {text.strip()[-200:]}")
    chosen = _CHOSEN.findall(text)
    acted = [signal for signal, _ in chosen if signal.startswith("SIG")]
    low = "low memory!" in text
    first = None if _nobody(text) else int(chosen[0][1])
    action = acted[0] if acted else ("somebody" if low else "nothing")
    return Said(first, action, text)


class Made(NamedTuple):
    """A made-up process: what earlyoom reads of one."""

    pid: int
    comm: str
    oom_score: int
    adj: int
    rss_pages: int
    kernel_thread: bool = False


def write_proc(root: Path, processes: Sequence[Made], machine: Machine) -> None:
    root.mkdir()
    sizes = {
        "MemTotal": machine.ram_pages,
        "MemAvailable": machine.available_pages,
        "SwapTotal": machine.swap_pages,
        "SwapFree": machine.swap_free_pages,
        "AnonPages": machine.anon_pages,
    }
    lines = (f"{name}: {(pages or 0) * PAGE_KIB:>15} kB\n" for name, pages in sizes.items())
    (root / "meminfo").write_text("".join(lines))
    for one in processes:
        place = root / str(one.pid)
        place.mkdir()
        parent = 2 if one.kernel_thread else 1
        (place / "comm").write_text(f"{one.comm}\n")
        (place / "cmdline").write_bytes(b"" if one.kernel_thread else b"program\0")
        (place / "oom_score").write_text(f"{one.oom_score}\n")
        (place / "oom_score_adj").write_text(f"{one.adj}\n")
        (place / "statm").write_text(f"{one.rss_pages * 2} {one.rss_pages} 5 1 0 9 0\n")
        (place / "stat").write_text(
            f"{one.pid} ({one.comm}) S {parent} {one.pid} {one.pid} 0 -1{' 0' * 9} 20 0 1 0 100 "
            f"{one.rss_pages * 8192} {one.rss_pages} 18446744073709551615{' 0' * 27}\n"
        )


def as_task(one: Made) -> Task:
    return make_task(
        one.pid,
        one.rss_pages,
        one.adj,
        comm=one.comm,
        kernel_oom_score=one.oom_score,
        kernel_thread=one.kernel_thread,
        has_mm=not one.kernel_thread,
        ppid=2 if one.kernel_thread else 1,
    )


def random_process(rng: random.Random, pid: int) -> Made:
    if rng.random() < 0.15:
        return Made(pid, f"kworker/{pid}", 0, 0, 0, kernel_thread=True)
    names = ["db", "web", "batch", "java", "Web Content", "a)b", "x", "sshd"]
    adj = rng.choice([0, 0, 0, -1000, -900, -100, 300, 1000])
    # Few values, so that the scores of many are equal and RSS must decide.
    score = 0 if adj == -1000 else rng.choice([0, 1, 66, 200, 290, 300, 310, 666, 667, 966, 1333])
    return Made(pid, rng.choice(names), score, adj, rng.randrange(1, 10**6) * 8 + pid % 8)


def random_machine(rng: random.Random) -> Machine:
    ram = rng.randrange(10**5, 10**7)
    swap = rng.choice([0, 10**5, 10**6])
    percent = rng.choice([3, 4.99, 5, 5.01, 9.99, 10, 10.01, 30])
    return make_machine(
        ram_pages=ram,
        available_pages=int(ram * percent / 100),
        anon_pages=ram // 2,
        swap_pages=swap,
        swap_free_pages=int(swap * rng.choice([0, 0.05, 0.1, 0.5])),
    )


PATTERNS = (None, "^(db|java)$", "b", "[[:upper:]]", "^Web Content$", "\\)", "^x$|sshd")


def random_case(number: int) -> tuple[list[Made], Machine, str | None, str | None]:
    rng = random.Random(number)
    # Beyond any pid there can be: earlyoom takes the one that has its own for itself.
    pids = sorted(rng.sample(range(1 << 22, (1 << 22) + 3000), rng.randrange(1, 14)))
    processes = [Made(1, "init", 900, 0, 9999), *(random_process(rng, pid) for pid in pids)]
    return processes, random_machine(rng), rng.choice(PATTERNS), rng.choice(PATTERNS)


def settings_of(release: str, prefer: str | None, avoid: str | None) -> Settings:
    def compiled(pattern: str | None) -> Callable[[str], bool] | None:
        return None if pattern is None else compile_extended(pattern, "pattern")

    return Settings(release=release, prefer=compiled(prefer), avoid=compiled(avoid))


def options_of(prefer: str | None, avoid: str | None) -> list[str]:
    given = (("--prefer", prefer), ("--avoid", avoid))
    return [word for option, value in given if value is not None for word in (option, value)]


@pytest.mark.parametrize("number", range(MACHINES))
def test_made_up_machines(number: int, release: str, tmp_path: Path) -> None:
    """Random processes in a /proc of our own: the same victim, the same points, the same signal."""
    processes, machine, prefer, avoid = random_case(number)
    root = tmp_path / "proc"
    write_proc(root, processes, machine)
    own = shlex.join([str(EARLYOOM), "--dryrun", "-d", "-r", "0", *options_of(prefer, avoid)])
    inside = f"mount --bind {shlex.quote(str(root))} /proc && exec {own}"
    said = listen(["unshare", "-m", "sh", "-c", inside])

    snapshot = Snapshot(machine=machine, tasks=tuple(map(as_task, processes)), source="made up")
    settings = settings_of(release, prefer, avoid)
    ranking = rank_earlyoom(snapshot, settings)
    expected = None if ranking.victim is None else ranking.victim.task.pid
    assert said.first == expected, said.text
    points = {one.task.pid: one.points_low for one in ranking.candidates}
    listed = {int(pid): int(shown) for pid, shown in _LISTED.findall(said.text)}
    assert {pid: listed[pid] for pid in points} == points
    action = thresholds(machine, settings).action
    assert said.action == ("somebody" if expected is None and action != "nothing" else action)


@contextmanager
def holder_named(place: Path, name: str, size: int) -> Iterator[int]:
    """Run a memory holder under a name of its own."""
    program = place / name
    program.symlink_to(sys.executable)
    pipe = subprocess.PIPE
    command = [str(program), "-S", str(PROGRAM), "anon", str(size), "0"]
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            yield process.pid
        finally:
            process.kill()


def test_this_machine(release: str, tmp_path: Path) -> None:
    """Of two preferred processes the larger; its own --avoid turns the choice round."""
    big, small = "lab-eo-big", "lab-eo-small"
    with holder_named(tmp_path, big, 96 << 20) as large, holder_named(tmp_path, small, 48 << 20):
        for avoid in (None, f"^{big}$"):
            options = options_of("^lab-eo-", avoid)
            said = listen([str(EARLYOOM), "--dryrun", "-d", "-r", "0", *options])
            settings = settings_of(release, "^lab-eo-", avoid)
            ranking = rank_earlyoom(oomlab.load(), settings)
            assert ranking.victim is not None
            assert said.first == ranking.victim.task.pid, said.text
            assert (ranking.victim.task.pid == large) is (avoid is None)
            points = {one.task.pid: one.points_low for one in ranking.candidates}
            listed = {int(pid): int(shown) for pid, shown in _LISTED.findall(said.text)}
            assert listed[large] == points[large]
