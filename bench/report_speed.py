"""Measure: ``oomlab report`` of a large log against ``grep -c``, and one event's parsing.

Run as ``python bench/report_speed.py [MEGABYTES]``; the log is made of the recorded events.
"""

from __future__ import annotations

import io
import lzma
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from oomlab.readers.kernel_log.scan import scan

FIXTURES = Path(__file__).parent.parent / "fixtures" / "kernel_log"
FILLER = (
    b"Jun 20 12:47:02 db1 sshd[1234]: Accepted publickey for user from 10.0.0.1 port 4242 ssh2\n"
)
EVENTS = 100


def recorded() -> list[bytes]:
    log = lzma.decompress((FIXTURES / "6.12.log.xz").read_bytes())
    lines = log.splitlines(keepends=True)
    starts = [report.line - 1 for report in scan(io.BytesIO(log).readinto, "")]
    ends = [*starts[1:], len(lines)]
    return [b"".join(lines[a:b]) for a, b in zip(starts, ends, strict=True)]


def write_log(path: Path, megabytes: int) -> None:
    events = recorded()
    gap = FILLER * (megabytes * 1_000_000 // EVENTS // len(FILLER))
    with path.open("wb") as out:
        for number in range(EVENTS):
            out.write(gap)
            out.write(events[number % len(events)])


def seconds(*command: str) -> float:
    begun = time.perf_counter()
    subprocess.run(command, check=False, stdout=subprocess.PIPE)
    return time.perf_counter() - begun


def main() -> None:
    megabytes = int(sys.argv[1]) if len(sys.argv) > 1 else 700
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "kern.log"
        write_log(path, megabytes)
        grep = min(seconds("grep", "-c", "invoked oom-killer", str(path)) for _ in range(3))
        ours = min(seconds(sys.executable, "-m", "oomlab", "report", str(path)) for _ in range(3))
        print(f"{megabytes} MB, {EVENTS} events: grep {grep:.2f} s, oomlab report {ours:.2f} s")
        print(f"ratio {ours / grep:.1f}, {megabytes / ours:.0f} MB/s")
    log = b"".join(recorded())
    begun = time.perf_counter()
    found = list(scan(io.BytesIO(log).readinto, ""))
    spent = time.perf_counter() - begun
    rows = sum(len(report.tasks) for report in found)
    print(f"parsing: {spent / len(found) * 1000:.2f} ms an event of {rows // len(found)} tasks")
    print(f"         {len(log) / spent / 1e6:.1f} MB/s of report text")


if __name__ == "__main__":
    main()
