"""Real OOM kills in a small memory cgroup of our own: the kernel kills whom the model names.

Each scenario fills a cgroup up to its limit with memory that is in nobody's RSS: one member
writes a file on tmpfs. So no process's own figures change while memory runs out.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from holders import Holder, can_lower_adj, holders

import oomlab
from oomlab.readers.cgroupfs import find_memory_mount
from oomlab.readers.load import with_memcgs
from oomlab.readers.procfs import PROC

MIB = 1 << 20
STEP = MIB // 2
SCENARIOS = 20
SHM = Path("/dev/shm")


@dataclass
class Cage:
    """A memory cgroup: where it is mounted, and its path as the snapshot calls it."""

    directory: Path
    path: str
    version: int

    def set_limit(self, limit: int) -> None:
        name = "memory.max" if self.version == 2 else "memory.limit_in_bytes"
        (self.directory / name).write_text(str(limit))

    def usage(self) -> int:
        name = "memory.current" if self.version == 2 else "memory.usage_in_bytes"
        return int((self.directory / name).read_text())

    def kills(self) -> int:
        name = "memory.events" if self.version == 2 else "memory.oom_control"
        for line in (self.directory / name).read_text().splitlines():
            key, value = line.split()
            if key == "oom_kill":
                return int(value)
        raise AssertionError("the kernel does not count kills here")

    def remove(self) -> None:
        for _ in range(200):  # its members are gone, but their memory is let go a little later
            try:
                self.directory.rmdir()
                break
            except OSError:
                time.sleep(0.02)


def make_cage() -> Cage:
    """Make a memory cgroup below the top, or skip and say why."""
    if os.geteuid() != 0:
        pytest.skip("making a memory cgroup needs root")
    mount = find_memory_mount(PROC)
    if mount is None:
        pytest.skip("no memory cgroup hierarchy is mounted")
    top = mount.directory
    name = f"oomlab-test-{os.getpid()}"
    directory = top / name
    try:
        directory.mkdir()
    except OSError as error:
        pytest.skip(f"no cgroup can be made below {top}: {error.strerror}")
    version = 1 if (directory / "memory.limit_in_bytes").exists() else 2
    if version == 2 and not (directory / "memory.max").exists():
        directory.rmdir()
        pytest.skip("the memory controller is not enabled for cgroups below the top")
    return Cage(directory, f"/{name}", version)


@pytest.fixture
def cage() -> Iterator[Cage]:
    if not SHM.is_dir():
        pytest.skip("no tmpfs at /dev/shm to fill")
    made = make_cage()
    try:
        yield made
    finally:
        made.remove()


@pytest.fixture
def filling() -> Iterator[Path]:
    path = SHM / f"oomlab-test-{os.getpid()}"
    yield path
    path.unlink(missing_ok=True)


def members() -> oomlab.Snapshot:
    snapshot = oomlab.load(details=("cgroup", "oom_score"))
    return with_memcgs(snapshot)


def fill_until_a_kill(cage: Cage, filler: Holder, path: Path, limit: int) -> oomlab.Ranking:
    """Let one member write until the kernel kills; return the last ranking before that."""
    assert filler.stdin is not None
    assert filler.stdout is not None
    # Nearly all at once; then in steps, each after a fresh look at the members.
    step = max(STEP, limit - cage.usage() - 6 * STEP)
    for _ in range(limit // STEP + 2):
        ranking = oomlab.rank(members(), memcg=cage.path)
        filler.stdin.write(f"write {path} {step}\n")
        filler.stdin.flush()
        step = STEP
        answer = filler.stdout.readline()
        if cage.kills() or not answer:
            return ranking
    raise AssertionError("the limit was reached without a kill")


def dead(processes: list[Holder], kills: int) -> list[int]:
    """Return who has died, when as many have as the kernel says it killed."""
    deadline = time.monotonic() + 60
    found: list[int] = []
    while len(found) < kills and time.monotonic() < deadline:
        time.sleep(0.005)
        found = [process.pid for process in processes if process.poll() is not None]
    return found


@pytest.mark.parametrize("seed", range(SCENARIOS))
def test_the_kernel_kills_whom_the_model_names(seed: int, cage: Cage, filling: Path) -> None:
    chance = random.Random(seed)
    lowest = -900 if can_lower_adj() else 0
    sizes = [chance.randint(2, 24) for _ in range(chance.randint(2, 5))]
    wanted = [
        ("anon", size * MIB, chance.choice([0, 0, 0, chance.randint(lowest, 1000), 30]))
        for size in sizes
    ]
    limit = (sum(sizes) + 12 * (len(sizes) + 1) + 4) * MIB
    cage.set_limit(limit)
    wanted.append(("anon", 0, 0))
    with holders(wanted, cage.directory / "cgroup.procs") as processes:
        ranking = fill_until_a_kill(cage, processes[-1], filling, limit)
        killed = dead(processes, cage.kills())
        assert ranking.scope.totalpages >= limit // ranking.snapshot.machine.page_size
        assert {score.task.pid for score in ranking} == {process.pid for process in processes}
        named = [score.task.pid for score in ranking]
        print(f"seed {seed}: limit {limit // MIB}M, {wanted}: named {named}, killed {killed}")
        # Memory is let go after the kill, so the kernel may already have killed again: the
        # next of the ranking, for nothing has changed for the others.
        assert killed
        if ranking.is_exact:
            assert set(killed) == set(named[: len(killed)])
        assert {score.task.pid for score in ranking.possible_victims} & set(killed)
