"""What a cgroup can still take: file cache goes before anybody is killed, tmpfs does not."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from holders import Holder, holders
from test_live_kills import MIB, STEP, Cage, cage, dead, filling, members

from oomlab.analysis.scopes import find_scopes

__all__ = ["cage", "filling"]  # fixtures
PAGE = os.sysconf("SC_PAGE_SIZE")
CACHE = 24 * MIB
SLACK = 64 * PAGE * (os.cpu_count() or 1) + MIB
"""What CPUs keep charged in advance, and what a process is charged beside its own pages."""


@pytest.fixture
def on_disk() -> Iterator[Path]:
    path = Path("/var/tmp") / f"oomlab-test-{os.getpid()}"
    path.write_bytes(b"")
    if path.stat().st_dev == Path("/dev/shm").stat().st_dev:
        pytest.skip("/var/tmp is a tmpfs: no file cache there")
    yield path
    path.unlink()


def write(process: Holder, path: Path, size: int) -> None:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(f"write {path} {size}\n")
    process.stdin.flush()
    assert process.stdout.readline()


def test_the_cache_goes_first_and_the_room_is_what_was_said(
    cage: Cage, filling: Path, on_disk: Path
) -> None:
    cage.set_limit(96 * MIB)
    wanted = [("anon", 20 * MIB, 300), ("anon", 0, 0)]
    with holders(wanted, cage.directory / "cgroup.procs") as processes:
        victim, filler = processes
        write(filler, on_disk, CACHE)
        os.sync()  # dirty pages go as well, but later
        write(filler, filling, 4 * MIB)
        (scope,) = (one for one in find_scopes(members()) if one.path == cage.path)
        free, headroom = scope.room.free_pages, scope.room.headroom_pages
        assert free is not None
        assert headroom is not None
        assert CACHE * 0.9 <= (headroom - free) * PAGE <= CACHE + 8 * MIB
        written = 0
        while cage.kills() == 0:
            write(filler, filling, STEP)
            written += STEP
        assert dead(processes, 1) == [victim.pid]
        assert scope.ranking is not None
        assert scope.ranking[0].task.pid == victim.pid
    # Far more than was free: nobody died for as long as there was cache.
    assert written > free * PAGE + CACHE * 0.8
    assert written <= headroom * PAGE + STEP + SLACK
