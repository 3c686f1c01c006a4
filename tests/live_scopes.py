"""Random nested memory cgroups run out of memory for real; the kernel judges scopes and cascades.

    python -m tests.live_scopes                 # 60 scenarios, about two minutes
    python -m tests.live_scopes --seed 7 -n 200

Each scenario makes a tree of cgroups, some with limits of their own, and fills it with processes
that hold memory of several kinds at several values of oom_score_adj. One of them writes a file on
tmpfs, which is charged to its cgroup and counts in nobody's badness, until the killer has come
several times. Before the first kill oomlab says where memory will run out first, who will die one
after the other, and what each death gives back; the kernel's log says what happened.

It needs root, a writable hierarchy of the memory controller, and the kernel's log. The exit status
is 1 where the kernel did anything else than was said.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parent))

from holders import Holder, can_lower_adj, holder

from oomlab.analysis.cascade import Cascade, cascade
from oomlab.analysis.freed import Freed
from oomlab.analysis.ranking import rank
from oomlab.analysis.scopes import OomScope, find_scopes
from oomlab.readers.cgroupfs import find_memory_mount
from oomlab.readers.load import load, with_memcgs
from oomlab.readers.procfs import PROC
from oomlab.snapshot import Snapshot

MIB = 1 << 20
PAGE = os.sysconf("SC_PAGE_SIZE")
STEP = MIB // 4
SHM = Path("/dev/shm")
KILLS = 3
_KILL = re.compile(r"Memory cgroup out of memory: Killed process (\d+) ")
_STOCK_BYTES = 64 * PAGE * (os.cpu_count() or 1)
"""Each CPU keeps up to 64 pages of a cgroup charged in advance (MEMCG_CHARGE_BATCH)."""
_KERNEL_BYTES = 512 * 1024
"""What a process is charged for beside its own pages: stack, mm, files, at most."""


class UnableError(Exception):
    """This machine can't play the scenarios; the message says why."""


@dataclass
class Tree:
    """The cgroups of one scenario, the top first."""

    top: Path
    root: str
    version: int
    names: list[str] = field(default_factory=list)

    def directory(self, name: str) -> Path:
        return self.top / name if name else self.top

    def path(self, name: str) -> str:
        return f"{self.root}/{name}" if name else self.root

    def limit(self, name: str, size: int) -> None:
        file = "memory.max" if self.version == 2 else "memory.limit_in_bytes"
        (self.directory(name) / file).write_text(str(size))

    def kills(self) -> int:
        """Return how many were killed in the tree: each cgroup counts its own members."""
        file = "memory.events.local" if self.version == 2 else "memory.oom_control"
        texts = [(self.directory(n) / file).read_text() for n in ("", *self.names)]
        return sum(int(found) for t in texts for found in re.findall(r"^oom_kill (\d+)$", t, re.M))

    def hits(self) -> dict[str, int]:
        """Return how often each cgroup's own limit was met."""
        found = {}
        for name in ("", *self.names):
            if self.version == 1:
                found[self.path(name)] = int((self.directory(name) / "memory.failcnt").read_text())
            else:
                text = (self.directory(name) / "memory.events.local").read_text()
                found[self.path(name)] = int(re.findall(r"^max (\d+)$", text, re.M)[0])
        return found

    def usage(self, name: str) -> int:
        file = "memory.current" if self.version == 2 else "memory.usage_in_bytes"
        return int((self.directory(name) / file).read_text())


class Outcome(NamedTuple):
    """What was said, and what the kernel did."""

    first_said: str
    places: dict[int, str]
    """At whose limit each was killed, where a single one was met."""
    said: list[int]
    was: list[int]
    tied: bool
    """Some victims can't be told apart from userland."""
    freed: list[tuple[int, int, int]]
    """Bytes that each single death gave back: at least, measured, at most."""

    @property
    def in_a_row(self) -> list[int]:
        """The kills up to one at another limit, or one where several limits were met.

        A death gives room at the limits above it, so that another one may be met next.
        """
        count = 0
        while count < len(self.was) and self.places.get(self.was[count]) == self.first_said:
            count += 1
        return self.was[:count]

    @property
    def is_judged(self) -> bool:
        """Whether a single limit was met when the first died."""
        return bool(self.was) and self.was[0] in self.places

    @property
    def agrees(self) -> bool:
        row = self.in_a_row
        same = bool(row) and (self.tied or self.said[: len(row)] == row)
        return same and all(low <= seen <= high for low, seen, high in self.freed)


@contextmanager
def tree(names: list[str]) -> Iterator[Tree]:
    """Make a tree of memory cgroups and take it away again. Raises UnableError."""
    mount = find_memory_mount(PROC)
    if os.geteuid() != 0 or mount is None:
        raise UnableError("making memory cgroups needs root and a mounted hierarchy")
    if not SHM.is_dir():
        raise UnableError("no tmpfs at /dev/shm to fill")
    name = f"oomlab-scopes-{os.getpid()}"
    top = mount.directory / name
    version = 1 if (mount.directory / "memory.limit_in_bytes").exists() else 2
    try:
        top.mkdir()
    except OSError as error:
        raise UnableError(
            f"no cgroup can be made below {mount.directory}: {error.strerror}"
        ) from error
    made = Tree(top, f"{mount.root.rstrip('/')}/{name}", version, names)
    try:
        if version == 2 and not (top / "memory.max").exists():
            raise UnableError("the memory controller is not enabled for cgroups below the top")
        for below in names:
            made.directory(below).mkdir(parents=True, exist_ok=True)
            if version == 2:
                (made.directory(below).parent / "cgroup.subtree_control").write_text("+memory")
        yield made
    finally:
        for directory in sorted(top.rglob("*"), reverse=True):
            if directory.is_dir():
                _remove(directory)
        _remove(top)


def _remove(directory: Path) -> None:
    for _ in range(300):  # its members are gone, but their memory is let go a little later
        try:
            directory.rmdir()
            return
        except OSError:
            time.sleep(0.02)


def killed_of(pids: set[int]) -> list[int]:
    """Return which of these processes were killed, in order, by the kernel's log."""
    found = subprocess.run(["dmesg"], capture_output=True, text=True, check=False)
    if found.returncode:
        raise UnableError(f"the kernel's log can't be read: {found.stderr.strip()}")
    kills = [int(pid) for pid in _KILL.findall(found.stdout) if int(pid) in pids]
    # A pid may have been another's long ago: the last line of each is ours.
    return [pid for n, pid in enumerate(kills) if pid not in kills[n + 1 :]]


def play(seed: int) -> Outcome:
    """Play one scenario. Raises UnableError where this machine can't."""
    chance = random.Random(seed)
    lowest = -900 if can_lower_adj() else 0
    leaves = chance.choice([["a"], ["a", "b"], ["a/x", "a/y", "b"], ["a/x/deep", "b", "c"]])
    places = [leaves[0], *(chance.choice(leaves) for _ in range(chance.randint(3, 6)))]
    people = [
        (
            chance.choice(["anon", "anon", "anon", "shmem"]),
            chance.randint(2, 20) * MIB,
            chance.choice([0, 0, 0, chance.randint(lowest, 300), chance.randint(0, 1000)]),
        )
        for _ in places
    ]
    if not any(place == leaves[0] for place in places[1:]):
        places[1] = leaves[0]
    held = {name: sum(size + 12 * MIB for (_, size, _), place in zip(people, places, strict=True)
                      if place == name or place.startswith(f"{name}/"))
            for name in ("a", *leaves)}  # fmt: skip
    path = SHM / f"oomlab-scopes-{os.getpid()}"
    with tree(sorted({*leaves, "a"})) as made, ExitStack() as stack:
        whole = sum(size + 12 * MIB for _, size, _ in people) + 16 * MIB
        made.limit("", whole + chance.randint(2, 20) * MIB)
        for name in {"a", *leaves}:
            if chance.random() < 0.6:
                made.limit(name, held[name] + chance.randint(16, 48) * MIB)
        stack.callback(path.unlink, missing_ok=True)
        procs = [made.directory(place) / "cgroup.procs" for place in places]
        processes = [
            stack.enter_context(holder(*one, where))
            for one, where in zip(people, procs, strict=True)
        ]
        writer = stack.enter_context(holder("anon", 0, 0, procs[0]))
        return _run(made, processes, writer, path, places[0])


def members(made: Tree) -> Snapshot:
    """Return this machine with the scenario's cgroups alone."""
    snapshot = with_memcgs(load(details=("cgroup", "oom_score")))
    memcgs = tuple(m for m in snapshot.memcgs or () if m.path.startswith(made.root))
    return type(snapshot)(machine=snapshot.machine, tasks=snapshot.tasks, memcgs=memcgs)


def _run(made: Tree, people: list[Holder], writer: Holder, path: Path, place: str) -> Outcome:
    snapshot = members(made)
    scopes = {scope.path: scope for scope in find_scopes(snapshot, every=True)}
    where = scopes[made.path(place)]
    first = where.first if where.first is not None else made.path(place)
    said = cascade(rank(snapshot, memcg=first), most=len(people) + 1)
    tied = any(len(kill.possible) > 1 for kill in said.kills)
    inside = {kill.victim.pid for kill in said.kills} - {writer.pid}
    killed_of(inside)  # says at once where the log can't be read
    filling = Filling(made, people, writer, path, first)
    filling.until(len(inside), scopes[first], said)
    was = killed_of({process.pid for process in people})
    order = [kill.victim.pid for kill in said.kills if kill.victim.pid != writer.pid]
    return Outcome(first, filling.places, order, was, tied, filling.freed)


class Filling:
    """Fills a cgroup until its processes die, and measures what each single death gives back."""

    def __init__(
        self, made: Tree, people: list[Holder], writer: Holder, path: Path, first: str
    ) -> None:
        self.made, self.people, self.writer, self.path = made, people, writer, path
        self.name = first.removeprefix(made.root).lstrip("/")
        self.places: dict[int, str] = {}
        self.freed: list[tuple[int, int, int]] = []

    def alive(self) -> set[int]:
        return {process.pid for process in self.people if process.poll() is None}

    def until(self, wanted: int, scope: OomScope, said: Cascade) -> None:
        sizes = {kill.victim.pid: kill.freed for kill in said.kills}
        room = (scope.room.headroom_pages or 0) * PAGE
        self.step(max(0, room - 8 * STEP) // STEP * STEP, sizes)
        for _ in range(4000):
            if len(self.people) - len(self.alive()) >= wanted or not self.step(STEP, sizes):
                return
        raise AssertionError("memory never ran out")

    def step(self, size: int, sizes: dict[int, Freed]) -> bool:
        """Write some more; return False where the writer is dead."""
        made = self.made
        before, usage, hits, alive = made.kills(), made.usage(self.name), made.hits(), self.alive()
        if not _write(self.writer, self.path, size):
            return False
        _settle(made, self.name, [*self.people, self.writer], before)
        gone = alive - self.alive()
        met = [place for place, count in made.hits().items() if count > hits[place]]
        if len(met) == 1:
            self.places |= dict.fromkeys(gone, met[0])
        if len(gone) == 1:
            one = sizes.get(gone.pop())
            if one is not None and one.high_pages is not None:
                seen = usage + size - made.usage(self.name)
                low, high = one.low_pages * PAGE, one.high_pages * PAGE + _KERNEL_BYTES
                self.freed.append((low - _STOCK_BYTES, seen, high + _STOCK_BYTES))
        return True


def _settle(made: Tree, name: str, people: list[Holder], before: int) -> None:
    """Where somebody was killed, wait until all are dead and their memory is let go.

    A process is gone before the last of its memory is: the reaper may hold it a while.
    """
    kills = made.kills()
    if kills == before:
        return
    same, last = 0, -1
    for _ in range(1000):
        if sum(process.poll() is not None for process in people) >= kills:
            now = made.usage(name)
            same, last = (same + 1 if now == last else 0), now
            if same >= 8:
                return
        time.sleep(0.005)


def _write(writer: Holder, path: Path, size: int) -> bool:
    assert writer.stdin is not None
    assert writer.stdout is not None
    try:
        writer.stdin.write(f"write {path} {size}\n")
        writer.stdin.flush()
    except BrokenPipeError:
        return False
    return bool(writer.stdout.readline())


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("-n", "--scenarios", type=int, default=60)
    parser.add_argument("--seed", type=int, default=int(time.time()) % 100_000)
    wanted = parser.parse_args()
    right = kills = longest = measured = swallowed = 0
    for seed in range(wanted.seed, wanted.seed + wanted.scenarios):
        try:
            outcome = play(seed)
        except UnableError as why:
            print(f"skipped: {why}")
            return 0
        if not outcome.is_judged:
            swallowed += 1
            continue
        right += outcome.agrees
        kills += len(outcome.in_a_row)
        longest += len(outcome.in_a_row) >= KILLS
        measured += len(outcome.freed)
        if not outcome.agrees:
            print(f"DIFFERS, replay with --seed {seed} -n 1: {outcome}")
    print(
        f"{right} of {wanted.scenarios - swallowed} scenarios as said ({kills} kills, {longest} "
        f"scenarios with {KILLS} or more in a row, {measured} deaths measured); "
        f"{swallowed} not judged, for several limits were met at once"
    )
    return 0 if right == wanted.scenarios - swallowed > 0 else 1


if __name__ == "__main__":
    sys.exit(main())
