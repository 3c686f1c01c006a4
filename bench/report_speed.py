"""Measure ``oomlab report`` of a large log against ``grep -c``, and one event's parsing.

Run as ``python bench/report_speed.py [MEGABYTES]``; the log is made of recorded events of about
100 tasks each, 100 of them, between the lines of other programs. Medians of pairs: the peer and
we in turn, so that a busy machine slows both. Modules are compiled as an installation leaves
them, also where PYTHONDONTWRITEBYTECODE is set.
"""

from __future__ import annotations

import gzip
import io
import lzma
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from oomlab.readers.kernel_log.scan import scan

FIXTURES = Path(__file__).parent.parent / "fixtures" / "kernel_log"
FILLER = b"".join(
    b"Jun 20 12:%02d:%02d db1 %s\n" % (n // 60 % 60, n % 60, text % n)
    for n in range(600)
    for text in (
        b"sshd[%d]: Accepted publickey for user from 10.0.0.1 port 4242 ssh2",
        b"systemd[1]: session-%d.scope: Deactivated successfully.",
        b"kernel: [%d.678901] eth0: link becomes ready",
        b"app[%d]: worker process finished, killed nobody, took 12 ms, queue empty",
    )
)
EVENTS, TASKS, PAIRS = 100, 100, 7
COMMAND = [sys.executable, "-m", "oomlab", "report"]
COMPILED = {name: text for name, text in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def recorded() -> list[bytes]:
    log = lzma.decompress((FIXTURES / "6.12.log.xz").read_bytes())
    lines = log.splitlines(keepends=True)
    starts = [report.line - 1 for report in scan(io.BytesIO(log).readinto, "")]
    ends = [*starts[1:], len(lines)]
    return [with_tasks(lines[a:b]) for a, b in zip(starts, ends, strict=True)]


def with_tasks(lines: list[bytes]) -> bytes:
    """The event with its rows repeated, under new numbers, until they are TASKS."""
    rows = [line for line in lines if re.search(rb"\] \[ *\d+\] ", line)]
    if not rows:
        return b"".join(lines)
    place = lines.index(rows[-1]) + 1
    more = []
    for number in range(TASKS - len(rows)):
        pid = b"%7d" % (10_000 + number)
        more.append(re.sub(rb"\] \[ *\d+\]", b"] [" + pid + b"]", rows[number % len(rows)]))
    return b"".join([*lines[:place], *more, *lines[place:]])


def write_log(path: Path, megabytes: int) -> None:
    events = recorded()
    gap = FILLER * (megabytes * 1_000_000 // EVENTS // len(FILLER))
    with path.open("wb") as out:
        for number in range(EVENTS):
            out.write(gap)
            out.write(events[number % len(events)])


def seconds(*command: str) -> float:
    begun = time.perf_counter()
    subprocess.run(command, check=False, stdout=subprocess.PIPE, env=COMPILED)
    return time.perf_counter() - begun


def compare(peer: list[str], path: Path) -> None:
    seconds(*peer, str(path))
    seconds(*COMMAND, str(path))
    pairs = [(seconds(*peer, str(path)), seconds(*COMMAND, str(path))) for _ in range(PAIRS)]
    theirs, ours = (statistics.median(times) for times in zip(*pairs, strict=True))
    over = statistics.median((our - 0.2) / their for their, our in pairs)
    print(f"{' '.join(peer[:2])}: {theirs:.2f} s, oomlab report: {ours:.2f} s", end="")
    print(f" (ratio {ours / theirs:.2f}; less 0.2 s: {over:.2f})")


def parsing() -> None:
    log = b"".join(recorded())
    times = []
    for _ in range(PAIRS):
        begun = time.perf_counter()
        found = list(scan(io.BytesIO(log).readinto, ""))
        times.append(time.perf_counter() - begun)
    spent = min(times)
    rows = sum(len(report.tasks) for report in found)
    print(f"parsing: {spent / len(found) * 1000:.2f} ms an event of {rows // len(found)} tasks")


def main() -> None:
    megabytes = int(sys.argv[1]) if len(sys.argv) > 1 else 700
    parsing()
    with tempfile.TemporaryDirectory() as folder:
        path, packed = Path(folder) / "kern.log", Path(folder) / "kern.log.gz"
        write_log(path, megabytes)
        print(f"{megabytes} MB, {EVENTS} events of {TASKS} tasks")
        compare(["grep", "-c", "invoked oom-killer"], path)
        with gzip.open(packed, "wb", compresslevel=6) as out:
            out.write(path.read_bytes())
        compare(["zgrep", "-c", "invoked oom-killer"], packed)


if __name__ == "__main__":
    main()
