"""What killing a process frees: predicted, then done in a memory cgroup of the test's own."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator

import pytest
from compiled import compiled, running
from conftest import make_task
from test_live_kills import Cage, make_cage

from oomlab.analysis.explain import shared_files
from oomlab.analysis.freeing import Freeing, killing_frees, private_anon
from oomlab.analysis.mappings import classify
from oomlab.mappings import AddressSpace, Mapping, SmapsSizes
from oomlab.process import ProcessFiles, Sharers, SysvSegment
from oomlab.readers.mappings import read_address_space
from oomlab.readers.process import parse_segments, read_process_files
from oomlab.readers.procfs import PROC, ProcScan

MIB = 1 << 20
CHARGE_BATCH = 64
"""Pages that a CPU charges ahead (MEMCG_CHARGE_BATCH in include/linux/memcontrol.h)."""


@pytest.fixture
def cage() -> Iterator[Cage]:
    made = make_cage()
    try:
        yield made
    finally:
        for _ in range(200):
            try:
                made.directory.rmdir()
                break
            except OSError:
                time.sleep(0.02)


def predicted(pid: int) -> Freeing:
    task = ProcScan(PROC, page_size=os.sysconf("SC_PAGE_SIZE")).read_some([pid])[0]
    space = read_address_space(PROC, pid)
    if not space.has_sizes:
        pytest.skip("smaps of a child can't be read here")
    files = read_process_files(PROC, pid, shared_files(space))
    if files.sharers is not None:
        # Who can't be seen here has nothing of a program that the test has just begun.
        files = files._replace(sharers=files.sharers._replace(unseen=0))
    found = killing_frees(task, space, classify(space), files, space.page_size)
    assert found is not None
    return found


def charged_to_users(cage: Cage) -> int:
    """Return what the cgroup's processes are charged for, less what the kernel itself uses."""
    if cage.version == 1:
        kernel = int((cage.directory / "memory.kmem.usage_in_bytes").read_text())
    else:
        stat = dict(line.split() for line in (cage.directory / "memory.stat").open())
        kernel = int(stat["kernel"])
    return cage.usage() - kernel


def settled(cage: Cage) -> int:
    """Return the charge once it no longer falls: memory is let go a little after a death."""
    last, since = charged_to_users(cage), time.monotonic()
    while time.monotonic() - since < 0.3:
        time.sleep(0.02)
        now = charged_to_users(cage)
        if now != last:
            last, since = now, time.monotonic()
    return last


@pytest.mark.parametrize(
    ("private", "shared", "written", "expected"),
    [
        (32, 0, None, 32),
        (8, 24, None, 32),  # shared memory that nobody else has
        (32, 0, 0, 0),  # a child has all of it, and has written none
        (32, 0, 12, 12),  # of what the child has copied, the parent's pages are its own
        (8, 24, 4, 4),  # shared memory stays with the child
    ],
)
def test_killing_frees_what_was_predicted(
    private: int, shared: int, written: int | None, expected: int, cage: Cage
) -> None:
    arguments = [str(private), str(shared), *([] if written is None else [str(written)])]
    program = compiled("forked")
    procs = cage.directory / "cgroup.procs"
    command = ["sh", "-c", f'echo $$ > {procs} && exec "$@"', "sh", program, *arguments]
    with running(*command) as (process, said):
        try:
            freeing = predicted(process.pid)
            tables = sum(part.high for part in freeing.freed if part.name == "page tables")
            before = charged_to_users(cage)  # it sleeps: nothing of it is on its way
            process.kill()
            process.wait()
            freed = before - settled(cage)
        finally:
            for child in said.get("child", []):
                os.kill(child, signal.SIGKILL)
    # Each of the two readings may hold what each CPU has charged ahead.
    error = 2 * CHARGE_BATCH * (os.cpu_count() or 1) * os.sysconf("SC_PAGE_SIZE")
    assert freeing.low - tables - error <= freed <= freeing.high - tables + error
    assert abs(freed - expected * MIB) < error + MIB  # the program frees what it says
    assert freeing.high - freeing.low < MIB


def test_anonymous_and_private_are_bounded() -> None:
    assert private_anon(SmapsSizes(anonymous=8, private_dirty=8)) == (8, 8)
    assert private_anon(SmapsSizes(anonymous=8, shared_dirty=8)) == (0, 0)
    assert private_anon(SmapsSizes(anonymous=6, private_dirty=8, shared_clean=2)) == (4, 6)


def shmem(path: str, **sizes: int) -> AddressSpace:
    one = Mapping(0, 65536, "rw-s", 0, "00:01", 7, path, SmapsSizes(anonymous=0, **sizes))
    return AddressSpace(1, (one,), memory_devices=("00:17",))


def frees(space: AddressSpace, files: ProcessFiles) -> tuple[int, int]:
    task = make_task(1, 16)
    found = killing_frees(task, space, classify(space), files, 4096)
    assert found is not None
    return found.low, found.high


LAST_USER = SysvSegment(7, 1, True)


@pytest.mark.parametrize(
    ("path", "files", "bounds"),
    [
        ("/dev/zero (deleted)", ProcessFiles(sharers=Sharers({})), (8192, 8192)),
        ("/dev/zero (deleted)", ProcessFiles(sharers=Sharers({}, 3)), (0, 8192)),
        ("/dev/zero (deleted)", ProcessFiles(sharers=Sharers({("00:01", 7): (9,)})), (0, 0)),
        ("/dev/zero (deleted)", ProcessFiles(), (0, 8192)),
        ("/memfd:a (deleted)", ProcessFiles(sharers=Sharers({})), (0, 8192)),
        ("/SYSV00000000 (deleted)", ProcessFiles(segments=(LAST_USER,)), (8192, 8192)),
        ("/SYSV00000000 (deleted)", ProcessFiles(segments=(SysvSegment(7, 2, True),)), (0, 0)),
        ("/SYSV00000000 (deleted)", ProcessFiles(segments=(SysvSegment(7, 1, False),)), (0, 0)),
        ("/dev/shm/queue", ProcessFiles(sharers=Sharers({})), (0, 0)),
        ("/dev/shm/queue (deleted)", ProcessFiles(sharers=Sharers({})), (0, 8192)),
    ],
)  # fmt: skip
def test_memory_that_is_a_file_goes_with_its_last_user(
    path: str, files: ProcessFiles, bounds: tuple[int, int]
) -> None:
    assert frees(shmem(path, rss=8192, private_dirty=8192), files) == bounds


def test_swap_of_its_own_is_bounded() -> None:
    one = Mapping(0, 65536, "rw-p", 0, "00:00", 0, "", SmapsSizes(swap=8192, swap_pss=6144))
    found = killing_frees(make_task(1), AddressSpace(1, (one,)), classify(AddressSpace(1, (one,))),
                          ProcessFiles(), 4096)  # fmt: skip
    assert found is not None
    assert found.swap is not None
    assert (found.swap.low, found.swap.high) == (4096, 6144)


def test_without_smaps_the_counters_bound_it() -> None:
    task = make_task(1, 100, rss_anon_pages=60, rss_file_pages=40, pagetable_bytes=8192)
    found = killing_frees(task, AddressSpace(1), (), ProcessFiles(), 4096)
    assert found is not None
    assert (found.low, found.high) == (8192, 60 * 4096 + 8192)


def test_who_has_no_memory_frees_none() -> None:
    zombie = make_task(1, has_mm=False)
    assert killing_frees(zombie, AddressSpace(1), (), ProcessFiles(), 4096) is None


def test_segments_are_read_as_printed() -> None:
    text = b"key shmid perms size cpid lpid nattch\n 0 7 1600 65536 1 1 2\n 0 8 600 1 1 1 0\n"
    assert parse_segments(text) == (SysvSegment(7, 2, True), SysvSegment(8, 0, False))
