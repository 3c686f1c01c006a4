"""Hard processes against every command that looks at one: told, and bounded in time and memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest
from compiled import compiled, running
from test_explain import as_nobody

MOST_CPU_SECONDS = 20
"""A hang, not a speed: measured are 0.3 to 2 s."""
MOST_MEMORY_KIB = 200 << 10
"""Measured are 40 to 90 MiB."""
COMMANDS = {
    "explain": ["explain", "{pid}"],
    "heap": ["heap", "{pid}"],
    "watch": ["watch", "{pid}", "--count", "3", "-i", "200ms"],
}
SLOWER = {"explain --interval": ["explain", "{pid}", "--interval", "0.3"]}


_MEASURED = """
import sys
from oomlab.cli.app import main
status = main(sys.argv[1:])
sys.stdout.flush()
sys.stderr.write(next(line for line in open('/proc/self/status') if line.startswith('VmHWM:')))
sys.exit(status)
"""
"""ru_maxrss would do, but counts what the process had been before it became this program."""
Run = Callable[..., tuple[int, str, str]]


class Outcome(NamedTuple):
    status: int
    out: str
    err: str


def run(command: str, pid: int, *more: str) -> Outcome:
    """Run a command in a process of its own, and hold it to the bounds."""
    words = [word.format(pid=pid) for word in (COMMANDS | SLOWER)[command]]
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        process = subprocess.Popen(
            [sys.executable, "-c", _MEASURED, *words, *more], stdout=out, stderr=err
        )
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        err.seek(0)
        texts = out.read(), err.read()
    told, _, peak = texts[1].rpartition("VmHWM:")
    peak_kib = int(peak.split()[0])
    assert usage.ru_utime + usage.ru_stime < MOST_CPU_SECONDS
    assert peak_kib < MOST_MEMORY_KIB
    assert "Traceback" not in told
    return Outcome(process.returncode, texts[0], told)


@contextmanager
def zombie() -> Iterator[int]:
    with subprocess.Popen(["true"]) as process:
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        yield process.pid


@pytest.mark.parametrize("command", COMMANDS)
def test_a_zombie(command: str) -> None:
    with zombie() as pid:
        found = run(command, pid)
        if command == "heap":
            assert (found.status, found.out) == (2, "")
            assert "no memory of its own: a thread of the kernel or a zombie" in found.err
        else:
            assert found.status == 0
        if command == "explain":
            assert "no memory (zombie)" in found.out
        if command == "watch":
            row = json.loads(found.out.splitlines()[-1])["processes"][0]
            assert (row["pid"], row["verdict"], row["used_bytes"]) == (pid, "too few samples", None)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_thread_of_the_kernel(command: str) -> None:
    if b"kthreadd" not in Path("/proc/2/stat").read_bytes():
        pytest.skip("no threads of the kernel in this pid namespace")
    found = run(command, 2)
    if command == "heap":
        assert (found.status, found.out) == (2, "")
        assert "a thread of the kernel or a zombie" in found.err
    else:
        assert found.status == 0
    if command == "explain":
        assert "the kernel never kills it: kernel thread" in found.out


@pytest.mark.parametrize("command", COMMANDS)
def test_another_users_process(command: str, run_cli: Run) -> None:
    if os.geteuid() != 0:
        pytest.skip("becoming another user needs root")
    with running(compiled("kinds"), "1") as (process, _):
        words = [word.format(pid=process.pid) for word in COMMANDS[command]]
        # The interpreter may lie where another user does not reach: a fork that has imported all.
        run_cli(*words)
        found = Outcome(*as_nobody(*words))
    if command == "heap":
        assert (found.status, found.out) == (2, "")
        assert "may not be read: be its owner" in found.err
        assert found.err.count("\n") == 1
    else:
        assert found.status == 0
    if command == "explain":
        assert "its mappings may not be read" in found.out
        assert "Permission denied" in found.err
    if command == "watch":
        row = json.loads(found.out.splitlines()[-1])["processes"][0]
        assert row["used_bytes"] > 0


@pytest.mark.parametrize("command", [*COMMANDS, *SLOWER])
def test_one_that_exits_in_the_middle(command: str) -> None:
    """It ends at some time from before the reading to after it."""
    told = 0
    for delay in ("0.05", "0.2", "0.4"):
        with subprocess.Popen(["sleep", delay]) as process:
            reaper = threading.Thread(target=process.wait)  # else it would stay, as a zombie
            reaper.start()
            found = run(command, process.pid)
            reaper.join()
        assert found.status in (0, 2), found
        if found.status == 2:
            assert found.err.startswith("oomlab: ")
            assert found.err.count("\n") == 1
            told += 1
        elif command == "watch":
            assert len(found.out.splitlines()) in (1, 2, 3)
        else:
            assert found.out
    assert told or command == "watch"


@pytest.mark.parametrize("command", COMMANDS)
def test_sixty_thousand_mappings(command: str) -> None:
    limit = int(Path("/proc/sys/vm/max_map_count").read_text())
    number = min(60_000, limit - 1000)
    with running(compiled("many"), str(number)) as (process, _):
        found = run(command, process.pid, "--format", "json")
    assert (found.status, found.err) == (0, "")
    document = json.loads(found.out.splitlines()[-1] if command == "watch" else found.out)
    if command == "explain":
        assert sum(kind["mappings"] for kind in document["kinds"]) >= number
    elif command == "heap":
        assert all(check["holds"] for check in document["checks"])
    else:
        assert document["processes"][0]["used_bytes"] > 0


@pytest.mark.parametrize("command", COMMANDS)
def test_two_hundred_gigabytes_of_sparse_memory(command: str) -> None:
    size, pages = 200 << 30, 3200
    with running(compiled("sparse"), str(size)) as (process, _):
        found = run(command, process.pid, "--format", "json")
    assert (found.status, found.err) == (0, "")
    document = json.loads(found.out.splitlines()[-1] if command == "watch" else found.out)
    if command == "explain":
        kinds = {kind["kind"]: kind for kind in document["kinds"]}
        assert kinds["anon"]["size_bytes"] >= size
        assert pages * 4096 <= kinds["anon"]["rss_bytes"] < 2 * pages * 4096
    elif command == "heap":
        assert document["total"]["uordblks"] >= 100_000
        assert all(check["holds"] for check in document["checks"])
    else:
        assert document["processes"][0]["used_bytes"] >= pages * 4096


@pytest.mark.parametrize("command", COMMANDS)
def test_a_process_of_32_bits(command: str) -> None:
    with running(compiled("kinds", "-m32"), "1") as (process, _):
        found = run(command, process.pid, "--format", "json")
    assert (found.status, found.err) == (0, "")
    document = json.loads(found.out.splitlines()[-1] if command == "watch" else found.out)
    if command == "explain":
        kinds = {kind["kind"]: kind for kind in document["kinds"]}
        assert kinds["arena"]["rss_bytes"] >= 100 << 10
        assert kinds["heap"]["rss_bytes"] >= 64 << 10
        assert [one["key"] for one in document["allocators"]] == ["glibc"]
    elif command == "heap":
        assert document["pointer_bytes"] == 4
        assert all(check["holds"] for check in document["checks"])
    else:
        assert document["processes"][0]["used_bytes"] > 0
