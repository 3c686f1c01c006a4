"""Inside the guest: sets up each scene of the plan, lets the kernel kill, records what it did.

Runs oomlab's own reader as the one that is judged. Each record is a JSON object on a line,
written straight to a disk, so that neither the page cache nor a slow console is in the way.
"""

from __future__ import annotations

import json
import mmap
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from oomlab.readers.load import load, with_memcgs
from oomlab.readers.saved import dump_snapshot

TOP = Path("/sys/fs/cgroup")
RECORDS = "/dev/nvme1n1"
BLOCK = 4096
KILL_SECONDS = 20.0
"""How long one event may take; a guest is emulated and may be slow."""

Json = dict[str, Any]


class Recorder:
    """Writes records to the raw disk, each in whole blocks, around the page cache."""

    def __init__(self) -> None:
        self._disk = os.open(RECORDS, os.O_WRONLY | os.O_DIRECT)
        self._buffer = mmap.mmap(-1, 1 << 20)

    def write(self, kind: str, body: bytes) -> None:
        """Write one record: its kind, a blank, a JSON object, and newlines to the block's end."""
        line = kind.encode() + b" " + body.rstrip(b"\n") + b"\n"
        line += b"\n" * (-len(line) % BLOCK)
        for start in range(0, len(line), len(self._buffer)):
            part = line[start : start + len(self._buffer)]
            self._buffer[: len(part)] = part
            os.write(self._disk, memoryview(self._buffer)[: len(part)])


class KernelLog:
    """Reads /dev/kmsg from now on."""

    def __init__(self) -> None:
        self._log = os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK)
        os.lseek(self._log, 0, os.SEEK_END)

    def lines(self) -> list[str]:
        """Return the lines that came since the last call."""
        found = []
        while True:
            try:
                record = os.read(self._log, 8192)
            except BlockingIOError:
                return found
            except BrokenPipeError:
                continue  # overwritten before it was read; the next read goes on behind it
            head, _, text = record.decode("utf-8", "replace").partition(";")
            microseconds = int(head.split(",")[2])
            found.append(f"[{microseconds / 1e6:12.6f}] {text.splitlines()[0]}")


class Stage:
    """Runs scenes one after the other."""

    def __init__(self) -> None:
        self.records = Recorder()
        self.log = KernelLog()
        self.version = 1 if (TOP / "memory.limit_in_bytes").exists() else 2
        self.first = True

    def play(self, scene: Json) -> None:
        """Set a scene up, run its events, and clear it away."""
        for group in scene["groups"]:
            self._make_group(group)
        pids = self._start(scene["people"])
        time.sleep(0.05)
        for event in scene["events"]:
            self._run(scene, event, pids)
        self._clear(scene, pids)

    def _make_group(self, group: Json) -> None:
        directory = TOP / group["path"]
        directory.mkdir()
        for name, value in group["files"][f"v{self.version}"]:
            (directory / name).write_text(value)

    def _start(self, people: list[str]) -> list[int]:
        lines = "".join(line + "\n" for line in people)
        done = subprocess.run(["/bin/crowd"], input=lines, stdout=subprocess.PIPE, text=True)
        return [int(pid) for pid in done.stdout.split()]

    def _run(self, scene: Json, event: Json, pids: list[int]) -> None:
        if event["snapshot"]:
            self._take_snapshot()
        before = living()
        for line in self.log.lines():
            print(line)  # nothing should be said between events
        started = time.monotonic()
        self._strike(event, pids)
        lines = self._await_calm()
        record = {
            "scene": scene["number"],
            "event": event["name"],
            "pids": pids,
            "gone": sorted(before - living()),
            "seconds": round(time.monotonic() - started, 3),
            "log": lines,
        }
        self.records.write("event", json.dumps(record).encode())

    def _take_snapshot(self) -> None:
        taken = with_memcgs(load())
        if not self.first:
            # Kernel threads never change: one snapshot with them is enough to judge them.
            taken = replace(taken, tasks=tuple(t for t in taken.tasks if not t.kernel_thread))
        self.first = False
        self.records.write("snapshot", dump_snapshot(taken))

    def _strike(self, event: Json, pids: list[int]) -> None:
        if event["kind"] == "sysrq":
            Path("/proc/sysrq-trigger").write_text("f")
            self._found = self._await(("Killed process", "no killable processes"))
            return
        grower = pids[event["grower"]]
        signal_to(grower, signal.SIGUSR1)
        limit = time.monotonic() + KILL_SECONDS
        while is_living(grower) and time.monotonic() < limit:
            time.sleep(0.02)
        signal_to(grower, signal.SIGKILL)
        self._found = []

    def _await(self, words: tuple[str, ...]) -> list[str]:
        found: list[str] = []
        limit = time.monotonic() + KILL_SECONDS
        while time.monotonic() < limit:
            found += self.log.lines()
            if any(word in line for line in found for word in words):
                return found
            time.sleep(0.002)
        return found

    def _await_calm(self) -> list[str]:
        """Return the event's lines, once the killed have gone and the log is quiet."""
        lines = self._found
        time.sleep(0.02)
        limit = time.monotonic() + KILL_SECONDS
        while time.monotonic() < limit:
            new = self.log.lines()
            lines += new
            killed = [int(line.split("Killed process ")[1].split()[0])
                      for line in lines if "Killed process " in line]  # fmt: skip
            if not new and not any(is_living(pid) for pid in killed):
                return lines
            time.sleep(0.02)
        return lines

    def _clear(self, scene: Json, pids: list[int]) -> None:
        keep = {1, os.getpid()}
        for pid in living() - keep:
            signal_to(pid, signal.SIGKILL)
        limit = time.monotonic() + KILL_SECONDS
        while living() - keep and time.monotonic() < limit:
            time.sleep(0.005)
        for group in reversed(scene["groups"]):
            remove(TOP / group["path"])


def living() -> set[int]:
    """Return the pids of processes that are no kernel threads and have not ended."""
    pids = (int(name) for name in os.listdir("/proc") if name.isdecimal())
    return {pid for pid in pids if is_living(pid)}


def is_living(pid: int) -> bool:
    """Tell whether some thread of a process is left; kernel threads don't count."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return False
    words = text.rpartition(")")[2].split()
    ended = words[0] in "ZX" and words[17] == "1"
    return not ended and not int(words[6]) & 0x00200000


def signal_to(pid: int, number: int) -> None:
    """Send a signal to a process that may be gone."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def remove(directory: Path) -> None:
    """Remove a cgroup, which may be busy for a moment after its last process has gone."""
    for _ in range(200):
        try:
            directory.rmdir()
            return
        except OSError:
            time.sleep(0.01)
    print(f"lab: {directory} can't be removed")


def main() -> None:
    """Play the plan."""
    Path("/proc/self/oom_score_adj").write_text("-1000")
    plan = json.loads(Path("/plan.json").read_text())
    stage = Stage()
    for scene in plan["scenes"]:
        if scene.get("swap") is False and len(Path("/proc/swaps").read_text().splitlines()) > 1:
            subprocess.run(["/bin/busybox", "swapoff", "/dev/nvme0n1"], check=True)
        print(f"lab: scene {scene['number']} {scene['kind']}", flush=True)
        stage.play(scene)
    stage.records.write("end", b"{}")


if __name__ == "__main__":
    sys.exit(main())
