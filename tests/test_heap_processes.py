"""oomlab heap on processes it did not choose: real programs, other allocators, garbage."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import pytest
from compiled import compiled
from heaps import assert_equal, driven, read
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from oomlab.analysis.heap import histogram, in_memory, parts, pins
from oomlab.analysis.heap_advice import advise
from oomlab.errors import SourceError, UnknownTaskError
from oomlab.glibc.memory import Memory
from oomlab.glibc.reading import Process
from oomlab.glibc.survey import locate, survey
from oomlab.mappings import Mapping
from oomlab.output.heap import heap_text
from oomlab.output.heap_document import heap_document
from oomlab.output.layout import Screen
from oomlab.output.strip import BLOCKS
from oomlab.readers.heap import heap_process, read_heap
from oomlab.readers.mappings import read_address_space
from oomlab.readers.pagemap import add_entries
from oomlab.readers.process_memory import ElfHeader, ProcessMemory
from oomlab.readers.procfs import PROC

Run = Callable[..., tuple[int, str, str]]
MIB = 1 << 20


@contextmanager
def started(*command: str, env: dict[str, str] | None = None) -> Iterator[int]:
    """Run a program of somebody else's until it sleeps."""
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, **(env or {})},
    ) as process:
        try:
            for _ in range(100):
                time.sleep(0.05)
                state = (PROC / str(process.pid) / "stat").read_text().rpartition(")")[2].split()[0]
                if state == "S":
                    break
            yield process.pid
        finally:
            process.kill()


def heap_mapping_bytes(pid: int) -> int:
    mappings = read_address_space(PROC, pid).mappings or ()
    return sum(one.size for one in mappings if one.path == "[heap]")


def assert_sound(pid: int) -> None:
    """A real program at rest: every check holds, and its parts sum to the mapping's size."""
    found = read_heap(PROC, pid)
    assert [check for check in found.checks if not check.holds] == []
    main, whole = found.arenas[0], parts(found)
    assert whole is not None
    assert found.total is not None
    inside = [view.stretch for view in main.stretches]
    assert sum(one.end - one.start for one in inside) == heap_mapping_bytes(pid)
    assert main.info is not None
    assert main.info.arena == heap_mapping_bytes(pid)
    summed = sum(value for name, value in whole._asdict().items() if name.endswith("_bytes"))
    assert summed == found.total.arena + found.total.hblkhd


def test_the_shell() -> None:
    with started("bash", "-c", "x=$(seq 20000); read y") as pid:
        assert_sound(pid)


@pytest.mark.parametrize("name", ["jemalloc", "tcmalloc_minimal", "mimalloc"])
def test_other_allocators_are_named(name: str, run_cli: Run) -> None:
    found = sorted(Path("/usr/lib").glob(f"*/lib{name}.so.*"))
    if not found:
        pytest.skip(f"lib{name} is not installed")
    with driven("0 m 0 1000", command=["env", f"LD_PRELOAD={found[0]}", compiled("heap")]) as (
        one,
        _,
    ):
        status, out, err = run_cli("heap", str(one.pid))
        assert (status, out) == (2, "")
        assert err.startswith(f"oomlab: process {one.pid} (heap")
        assert "allocates with" in err
        assert name.removesuffix("_minimal") in err
        assert err.count("\n") == 1


def test_musl_is_named(run_cli: Run) -> None:
    program = compiled("block", compiler="musl-gcc")
    with started(str(program)) as pid:
        status, _, err = run_cli("heap", str(pid))
        assert status == 2
        assert "allocates with musl malloc, not with glibc's malloc" in err


def test_a_static_program() -> None:
    program = compiled("heap", "-static")
    with driven("0 M 0 500 3000", "1 M 1000 50 3000", "0 F 0 500 2", command=[program]) as (
        one,
        said,
    ):
        assert_equal(read(one), said)


def test_a_32_bit_program() -> None:
    program = compiled("heap", "-m32", "-DOLD_MALLINFO")
    lines = ("0 M 0 500 3000", "1 M 1000 50 3000", "0 F 0 500 2", "0 m 3000 300000")
    with driven(*lines, command=[program]) as (one, said):
        found = read(one)
        assert found.pointer_bytes == 4
        assert_equal(found, said)


def test_a_heap_that_moves() -> None:
    """It is read with no error, and says so where what it read does not fit together."""
    with driven("0 m 0 100", *(f"{thread} m {thread} 100" for thread in (1, 2))) as (one, _):
        one.tell("1 l 0 0")
        began = time.monotonic()
        for _ in range(6):
            found = read(one)
            assert len(found.arenas) == 3
            text = heap_text(found, "x", Screen(80), BLOCKS, 5)
            assert "checks" in text
            broken = [check for check in found.checks if not check.holds]
            assert bool(broken) == ("not so:" in text)
            heap_document(found, one.pid, "x")
        assert time.monotonic() - began < 20


def test_a_process_that_ends_at_any_moment_of_the_reading() -> None:
    """Its memory is gone after 0, 1, 2 ... reads: never a picture of what is left of it."""
    with driven("0 m 0 100", "1 m 1 100") as (one, _), ProcessMemory(PROC, one.pid) as opened:
        header = opened.elf_header()
        assert header is not None
        left = 0

        def failing(address: int, size: int) -> bytes:
            nonlocal left
            left -= 1
            return opened.read(address, size) if left >= 0 else b""

        def heap_after(reads: int) -> int:
            nonlocal left
            memory = Memory(failing, header.pointer_bytes)
            process = heap_process(opened, memory, header)
            left = 10_000
            place = locate(process)
            assert place is not None
            left = reads
            found = survey(process, place, most_bytes=MIB)
            return len(found.arenas)

        heap_after(10_000)
        enough = 10_000 - left
        for reads in range(enough):
            with pytest.raises(UnknownTaskError, match="ended, or ran another program"):
                heap_after(reads)
        assert heap_after(enough) == 2


def test_a_heap_that_grew_since_its_mappings_were_read() -> None:
    """It is read again with the mappings of that moment, and then all of it fits together."""
    with driven("0 M 0 100 1000") as (one, _), ProcessMemory(PROC, one.pid) as opened:
        process = process_of(opened)
        place = locate(process)
        assert place is not None
        said = one.do("0 M 200 900 1000", "0 m 5000 300000")
        found = survey(process, place, most_bytes=MIB)
        assert_equal(found, said)
        assert found.attempts == 2


def test_the_ends_of_what_is_mapped_are_read_in_blocks_too() -> None:
    data, start, reads = bytes(range(256)) * 300, 0x1F000, []

    def read(address: int, size: int) -> bytes:
        reads.append((address, size))
        return data[address - start : address - start + size] if address >= start else b""

    memory = Memory(read, 8)
    assert memory.bytes_at(start + 10, 30) == data[10:40]
    reads.clear()
    assert memory.bytes_at(start + 50, 8) == data[50:58]
    assert reads == []
    assert memory.bytes_at(start - 50, 8) == b""
    assert memory.bytes_at(start + len(data) - 4, 8) == data[-4:]


def test_the_lists_alone_tell_the_totals() -> None:
    """What a watch asks again and again: nothing is walked or searched, and only once."""
    lines = ("0 M 0 300 3000", "0 F 0 300 2", "1 M 1000 50 3000", "1 F 1000 50 2", "0 m 9 300000")
    with driven(*lines) as (one, said):
        found = read_heap(PROC, one.pid, 0)
        assert found.total is not None
        assert found.total._asdict() == said.mallinfo
        assert (found.attempts, found.mmapped) == (1, ())


def test_a_part_only() -> None:
    with driven("0 M 0 500 90000", "0 F 0 500 2") as (one, said):
        found = read_heap(PROC, one.pid, 16 * MIB)
        assert not found.arenas[0].stretches[0].complete
        assert found.arenas[0].stretches[0].why == "limit"
        text = heap_text(found, "x", Screen(), BLOCKS, 5)
        assert "?????" in text
        assert "Not every chunk was seen" in text
        assert "of which the first 16M were seen (--max)" in text
        assert heap_document(found, one.pid, "x")["parts"] is None
        # The lists still tell the figures of mallinfo2.
        assert found.total is not None
        assert found.total._asdict() == said.mallinfo


def test_time_is_bounded(run_cli: Run) -> None:
    """When it is over, malloc's lists still tell the totals, unless they are too long as well."""
    with driven("0 M 0 200000 40", "0 M 200000 50 90000", "0 F 200000 50 2") as (one, said):
        found = read_heap(PROC, one.pid, most_seconds=1e-4)
        assert found.arenas[0].stretches[0].why == "time"
        assert found.total is not None
        assert found.total._asdict() == said.mallinfo
        one.do("0 F 0 200000 2")
        late = read_heap(PROC, one.pid, most_seconds=1e-4)
        assert late.total is None
        text = heap_text(late, "x", Screen(), BLOCKS, 5)
        assert "could not be read in that time (--timeout)" in text
        status, out, _ = run_cli("heap", str(one.pid), "--timeout", "1ms")
        assert status == 0
        assert "of which the first" in out
        assert run_cli("heap", str(one.pid), "--timeout", "0s")[0] == 2


def test_pages_that_are_not_there_stay_away() -> None:
    """Reading a hole would map zero pages into the process: its page tables must not grow."""
    with driven("0 M 0 2000 100000", "0 F 0 1999 1", "0 t 0 0") as (one, _):

        def tables() -> int:
            text = (PROC / str(one.pid) / "status").read_text()
            return int(text.partition("VmPTE:")[2].split()[0])

        def resident() -> dict[str, int]:
            mappings = read_address_space(PROC, one.pid).mappings or ()
            return {f"{m.start:x} {m.path}": m.sizes.rss or 0 for m in mappings if m.sizes}

        time.sleep(0.1)  # until it waits again
        before = tables(), resident()
        assert in_memory(read(one)) is not None
        assert (tables(), resident()) == before


Runs = st.lists(
    st.tuples(st.sampled_from([0, 1 << 55, 1 << 62, 1 << 63]), st.integers(1, 200)), min_size=1
)


@given(Runs)
def test_pagemap_is_read_in_parts_as_entry_by_entry(runs: list[tuple[int, int]]) -> None:
    entries = [kind | (number if kind >> 63 else 0) for kind, n in runs for number in range(n)]
    returned: list[tuple[int, int]] = []
    swapped: list[tuple[int, int]] = []
    data = b"".join(entry.to_bytes(8, sys.byteorder) for entry in entries)
    add_entries(data, 0, 1, returned, swapped)
    for at, entry in enumerate(entries):
        assert any(a <= at < b for a, b in returned) == (entry in (0, 1 << 55))
        assert any(a <= at < b for a, b in swapped) == (entry == 1 << 62)
    for ranges in (returned, swapped):
        assert all(a < b < c < d for (a, b), (c, d) in pairwise(ranges))


def test_huge_sparse_memory() -> None:
    """200 GB of address space take no long search."""
    sparse = ("0 m 0 300000", f"0 p 0 {200 << 30}", "0 m 1 300000")
    with driven(*sparse) as (one, said):
        began = time.monotonic()
        assert_equal(read(one), said)
        assert time.monotonic() - began < 5


def test_who_has_no_heap(run_cli: Run) -> None:
    child = subprocess.Popen(["true"])
    time.sleep(0.2)
    with pytest.raises((SourceError, UnknownTaskError)):
        read_heap(PROC, child.pid)  # a zombie
    child.wait()
    with pytest.raises(UnknownTaskError, match="no process"):
        read_heap(PROC, child.pid)
    status, _, err = run_cli("heap", "999999999")
    assert (status, err) == (2, "oomlab: no process 999999999 in /proc\n")
    assert run_cli("heap", "no-such-name")[0] == 2
    assert run_cli("heap", "1", "--max", "nonsense")[0] == 2


def test_a_pipe_where_a_mapped_file_was(tmp_path: Path, run_cli: Run) -> None:
    """Whoever may write there could keep a reader waiting for ever."""
    library = tmp_path / "library"
    library.write_bytes(bytes(4096))
    code = f"import mmap; f = open({str(library)!r}, 'r+b'); m = mmap.mmap(f.fileno(), 0); input()"
    with started(sys.executable, "-c", code) as pid, ProcessMemory(PROC, pid) as opened:
        assert opened.file(str(library)) == bytes(4096)
        library.unlink()
        os.mkfifo(library)
        assert opened.file(f"{library} (deleted)") == b""
        assert run_cli("heap", str(pid))[0] == 0


def test_a_process_that_ends_meanwhile() -> None:
    with driven("0 M 0 500 90000") as (one, _), ProcessMemory(PROC, one.pid) as opened:
        header = opened.elf_header()
        assert header is not None
        os.kill(one.pid, signal.SIGKILL)
        time.sleep(0.2)
        assert opened.read(opened.mappings[0].start, 100) == b""
        assert locate(process_of(opened)) is None


def process_of(opened: ProcessMemory) -> Process:
    return heap_process(opened, Memory(opened.read, 8), ElfHeader(8, 62))


class Image:
    """A process's writable memory, copied: to be damaged."""

    def __init__(self, pid: int) -> None:
        with ProcessMemory(PROC, pid) as opened:
            self.mappings = opened.mappings
            self.parts = {
                one.start: bytearray(opened.read(one.start, one.size))
                for one in opened.mappings
                if one.permissions.startswith("rw") and one.size < 64 * MIB
            }

    def read(self, address: int, size: int) -> bytes:
        for start, data in self.parts.items():
            if start <= address < start + len(data):
                return bytes(data[address - start : address - start + size])
        return b""

    def process(self, mappings: tuple[Mapping, ...] | None = None) -> Process:
        from oomlab.glibc.ranges import Pages

        return Process(
            Memory(self.read, 8),
            mappings or self.mappings,
            lambda _start, _end: Pages((), ()),
            4096,
            62,
            lambda _path: b"",
            lambda: mappings or self.mappings,
        )


@pytest.fixture(scope="module")
def image() -> Image:
    lines = ("0 M 0 300 90", "0 F 0 300 3", "1 M 500 200 900", "1 F 500 200 2", "0 m 800 300000")
    with driven(*lines, "0 M 1000 50 40", "0 F 1000 50 1") as (one, _):
        return Image(one.pid)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 2**32), damage=st.sampled_from([1, 10, 300, 5000]))
def test_damaged_memory_is_survived(image: Image, seed: int, damage: int) -> None:
    """Words overwritten anywhere: with garbage, small numbers, or pointers into the memory."""
    rng = random.Random(seed)
    saved = {start: bytes(data) for start, data in image.parts.items()}
    starts = [start for start, data in image.parts.items() if len(data) >= 4096]
    try:
        for _ in range(damage):
            start = rng.choice(starts)
            data = image.parts[start]
            at = rng.randrange(len(data) // 8) * 8
            value = rng.choice(
                [
                    rng.getrandbits(64),
                    rng.randrange(4096),
                    rng.choice(starts) + rng.randrange(65536),
                ]
            )
            data[at : at + 8] = value.to_bytes(8, "little")
        process = image.process()
        began = time.monotonic()
        place = locate(process)
        if place is not None:
            found = survey(process, place, most_bytes=1 << 30)
            heap_text(found, "x", Screen(80), BLOCKS, 5)
            heap_document(found, 1, "x")
            advise(found), histogram(found), pins(found)
        assert time.monotonic() - began < 10
    finally:
        for start, data in saved.items():
            image.parts[start][:] = data


def test_an_undamaged_image_is_sound(image: Image) -> None:
    """Without libc's banner too: what the lists show tells whether they are protected."""
    process = image.process()
    place = locate(process)
    assert place is not None
    assert place.version is None
    found = survey(process, place, most_bytes=1 << 30)
    assert [check for check in found.checks if not check.holds] == []
    whole = parts(found)
    assert whole is not None
    assert whole.tcache_chunks > 7
    assert whole.fast_chunks > 0
