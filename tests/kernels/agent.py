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
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from filling import Filler
from oomd_guest import ask_oomd

from oomlab.analysis.ranking import rank
from oomlab.analysis.scopes import find_scopes
from oomlab.analysis.suggest import suggest
from oomlab.analysis.suggestion import Growth
from oomlab.readers.load import load, with_memcgs
from oomlab.readers.saved import dump_snapshot
from oomlab.writers.adj import Target, own_privilege
from oomlab.writers.changes import make

TOP = Path("/sys/fs/cgroup")
RECORDS = "/dev/lab-records"
SWAP = "/dev/lab-swap"
BLOCK = 4096
EVENT_SECONDS = 20.0
"""How long one event may take; a guest is emulated and may be slow."""

NOBODY = "no killable processes"

SPACING_SECONDS = 0.5
"""From one event to the next: the kernel prints no more than ten reports in 5 s."""

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
        found: list[str] = []
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
        self.started = 0.0
        self.filler: Filler | None = None

    def play(self, scene: Json) -> None:
        """Set a scene up, run its events, and clear it away."""
        for group in scene["groups"]:
            self._make_group(group)
        pids = self._start(scene["people"])
        self.filler = None
        if "fill" in scene:
            self.filler = Filler(TOP, scene["fill"], [group["path"] for group in scene["groups"]])
        time.sleep(0.05)
        if "protect" in scene:
            self._protect(scene, pids)
        for event in scene["events"]:
            self._run(scene, event, pids)
        if "oomd" in scene:
            self._take_snapshot()
            lines = ask_oomd(scene["oomd"])
            record = {"scene": scene["number"], "monitored": scene["oomd"], "lines": lines}
            self.records.write("oomd", json.dumps(record).encode())
        if self.filler is not None:
            self.filler.end()
        self._clear(scene)

    def _make_group(self, group: Json) -> None:
        directory = TOP / group["path"]
        directory.mkdir()
        for name, value in group["files"][f"v{self.version}"]:
            (directory / name).write_text(value)
        for name in group.get("xattrs", ()):
            os.setxattr(directory, name, b"1")

    def _start(self, people: list[str]) -> list[int]:
        lines = "".join(line + "\n" for line in people)
        done = subprocess.run(["/bin/crowd"], input=lines, stdout=subprocess.PIPE, text=True)
        return [int(pid) for pid in done.stdout.split()]

    def _run(self, scene: Json, event: Json, pids: list[int]) -> None:
        self._take_snapshot()
        before = living()
        self.log.lines()  # what was said between events is not this one's
        time.sleep(max(0.0, self.started + SPACING_SECONDS - time.monotonic()))
        self.started = time.monotonic()
        lines: list[str] = []
        steps: list[Json] = []
        if event["kind"] == "sysrq":
            lines = self._tell_to_kill()
        elif event["kind"] == "fill":
            steps = self._fill(lines, event["steps"])
        else:
            self._let_grow(pids[event["grower"]])
        self._await_calm(lines)
        record = {
            "scene": scene["number"],
            "event": event["name"],
            "pids": pids,
            "gone": sorted(before - living()),
            "seconds": round(time.monotonic() - self.started, 3),
            "log": lines,
            "steps": steps,
        }
        self.records.write("event", json.dumps(record).encode())

    def _fill(self, lines: list[str], most: int) -> list[Json]:
        """Let the filler fill, kill after kill; return what each step did to whom."""
        assert self.filler is not None
        steps: list[Json] = []
        while len(steps) < most:
            time.sleep(max(0.0, self.started + SPACING_SECONDS - time.monotonic()))
            self.started, before = time.monotonic(), living()
            step = self.filler.go_on(EVENT_SECONDS)
            if step["why"] == "killed":
                self._await_calm(lines)
                step["after"] = self._settled()
                step["gone"] = sorted(before - living())
            steps.append(step)
            if step["why"] != "killed":
                break
        return steps

    def _settled(self) -> dict[str, int]:
        """Return the cgroups' usage once it stays: a process is gone before all its memory is."""
        assert self.filler is not None
        limit, same = time.monotonic() + EVENT_SECONDS, 0
        last = self.filler.usage()
        while same < 5 and time.monotonic() < limit:
            time.sleep(0.02)
            now = self.filler.usage()
            same, last = (same + 1 if now == last else 0), now
        return last

    def _protect(self, scene: Json, pids: list[int]) -> None:
        """Let oomlab say what protects some of the scene, and write it."""
        snapshot, memcg = load(), None
        if "fill" in scene:
            snapshot = with_memcgs(snapshot)
            path = f"/{scene['fill']}"
            (where,) = (s for s in find_scopes(snapshot, every=True) if s.path == path)
            memcg = path if where.first is None else where.first
        found = suggest(
            rank(snapshot, memcg=memcg),
            [pids[index] for index in scene["protect"]],
            growth=Growth(percent=scene["growth_percent"]),
        )
        outcomes = make(
            [
                Target(c.task.pid, c.task.start_ticks or 0, c.task.comm, c.before, c.after)
                for c in found.changes
            ],
            own_privilege(),
        )
        record = {
            "scene": scene["number"],
            "memcg": memcg,
            "protected": [task.pid for task in found.protected],
            "sacrificed": [task.pid for task in found.sacrificed],
            "changes": [[c.task.pid, c.before, c.after] for c in found.changes],
            "impossible": list(found.impossible),
            "cautions": list(found.cautions),
            "refused": [outcome.why for outcome in outcomes if not outcome.done],
        }
        self.records.write("suggestion", json.dumps(record).encode())

    def _take_snapshot(self) -> None:
        taken = with_memcgs(load())
        if not self.first:
            # Kernel threads never change: one snapshot with them is enough to judge them.
            taken = replace(taken, tasks=tuple(t for t in taken.tasks if not t.kernel_thread))
        self.first = False
        self.records.write("snapshot", dump_snapshot(taken))

    def _tell_to_kill(self) -> list[str]:
        """Ask for a kill as sysrq-f does; return the log's lines up to it."""
        Path("/proc/sysrq-trigger").write_text("f")
        lines: list[str] = []
        limit = time.monotonic() + EVENT_SECONDS
        while time.monotonic() < limit:
            lines += self.log.lines()
            if any("Killed process" in line or NOBODY in line for line in lines):
                break
            time.sleep(0.002)
        return lines

    def _let_grow(self, grower: int) -> None:
        """Let a process grow until it has had enough or is killed."""
        signal_to(grower, signal.SIGUSR1)
        limit = time.monotonic() + EVENT_SECONDS
        while is_living(grower) and time.monotonic() < limit:
            time.sleep(0.02)
        signal_to(grower, signal.SIGKILL)

    def _await_calm(self, lines: list[str]) -> None:
        """Add the event's further lines, until the killed have gone and the log is quiet."""
        limit = time.monotonic() + EVENT_SECONDS
        while time.monotonic() < limit:
            time.sleep(0.02)
            new = self.log.lines()
            lines += new
            if not new and not any(is_living(pid) for pid in killed_pids(lines)):
                return

    def _clear(self, scene: Json) -> None:
        keep = {1, os.getpid()}
        for pid in living() - keep:
            signal_to(pid, signal.SIGKILL)
        limit = time.monotonic() + EVENT_SECONDS
        while living() - keep and time.monotonic() < limit:
            time.sleep(0.005)
        for group in reversed(scene["groups"]):
            remove(TOP / group["path"])


def killed_pids(lines: list[str]) -> list[int]:
    """Return the pids, or threads' ids, that the log says were killed."""
    parts = (line.partition("Killed process ")[2] for line in lines)
    return [int(part.split()[0]) for part in parts if part]


def living() -> set[int]:
    """Return the pids of processes that are no kernel threads and have not ended."""
    names = os.listdir("/proc")  # noqa: PTH208  # a name for each process, not a Path
    pids = (int(name) for name in names if name.isdecimal())
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
        if not scene["swap"] and len(Path("/proc/swaps").read_text().splitlines()) > 1:
            subprocess.run(["/bin/busybox", "swapoff", SWAP], check=True)
        print(f"lab: scene {scene['number']} {scene['kind']}", flush=True)
        stage.play(scene)
    stage.records.write("end", b"{}")


if __name__ == "__main__":
    main()
