"""oomlab heap against glibc's own figures: small programs at rest, to the byte."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import permutations

import pytest
from heaps import Driven, Said, assert_equal, driven, read
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from oomlab.analysis.heap import histogram, in_memory, parts, pin_words, pins
from oomlab.analysis.heap_advice import advise
from oomlab.glibc.heap import Survey
from oomlab.readers.mappings import read_address_space
from oomlab.readers.procfs import PROC

KIB, MIB = 1 << 10, 1 << 20
Run = Callable[..., tuple[int, str, str]]


def check(one: Driven, said: Said) -> Survey:
    found = read(one)
    assert_equal(found, said)
    return found


def test_blocks_below_and_above_the_threshold() -> None:
    with driven(f"0 m 0 {100 * KIB}", f"0 m 1 {127 * KIB}", f"0 m 2 {200 * KIB}") as (one, said):
        found = check(one, said)
        assert found.total is not None
        assert (found.total.hblks, found.total.hblkhd) == (1, 204 * KIB)
        assert [chunk.size for chunk in found.mmapped] == [204 * KIB]


def test_chunks_of_no_size_are_in_no_class() -> None:
    """A heap that moves while it is read may list such."""
    with driven("0 m 0 1000") as (one, _):
        found = read(one)
        moved = [arena._replace(free_sizes={0: 3} | arena.free_sizes) for arena in found.arenas]
        assert histogram(found._replace(arenas=moved)) == histogram(found) != []


def test_a_b_d_on_the_heap_and_c_mapped() -> None:
    """The top goes back only when D, the last, is freed; C goes back at once."""
    blocks = (f"0 m 0 {30 * KIB}", f"0 m 1 {40 * KIB}", f"0 m 2 {200 * KIB}", f"0 m 3 {100 * KIB}")
    with driven("0 o -1 131072", *blocks) as (one, said):
        first = check(one, said)
        assert first.total is not None
        freed_c = check(one, one.do("0 f 2 0"))
        assert (freed_c.total.hblks, freed_c.total.arena) == (0, first.total.arena)  # type: ignore[union-attr]
        freed_b = check(one, one.do("0 f 1 0"))
        assert freed_b.total.ordblks == 2  # type: ignore[union-attr]
        freed_a = check(one, one.do("0 f 0 0"))
        assert freed_a.arenas[0].free_sizes == {71712: 1}  # A and B have become one hole
        assert freed_a.total.arena == first.total.arena  # type: ignore[union-attr]
        freed_d = check(one, one.do("0 f 3 0"))
        assert freed_d.total.arena < first.total.arena  # type: ignore[union-attr]
        assert freed_d.total.ordblks == 1  # type: ignore[union-attr]


@pytest.mark.parametrize("pinned", [False, True], ids=["free top", "pinned top"])
@pytest.mark.parametrize("order", list(permutations("ABCD")), ids="".join)
def test_a_b_c_d_freed_in_any_order(order: tuple[str, ...], pinned: bool) -> None:
    """A, B and D lie on the heap, C is mapped. A chunk above D keeps the top where it is."""
    sizes = {"A": 30 * KIB, "B": 40 * KIB, "C": 200 * KIB, "D": 100 * KIB}
    lines = [f"0 m {slot} {size}" for slot, size in enumerate(sizes.values())]
    pin = ["0 m 9 2000"] if pinned else []  # too large for the tcache
    with driven("0 o -1 131072", *lines, *pin) as (one, said):
        first = check(one, said).total
        assert first is not None
        assert first.hblks == 1
        for number, block in enumerate(order):
            now = check(one, one.do(f"0 f {'ABCD'.index(block)} 0")).total
            assert now is not None
            gone = order[: number + 1]
            assert now.hblks == ("C" not in gone)
            if pinned:
                assert now.arena == first.arena
                free = sum(sizes[one] for one in gone if one != "C")
                assert now.fordblks - now.keepcost >= free
            elif "D" not in gone:
                assert now.arena == first.arena
        assert (now.ordblks, now.arena == first.arena) == ((2, True) if pinned else (1, False))
        if pinned:
            released = check(one, one.do("0 f 9 0")).total
            assert released is not None
            assert (released.ordblks, released.arena < first.arena) == (1, True)


def test_two_hundred_blocks_of_which_every_second_is_freed() -> None:
    lines = [f"0 m {number} {number * KIB}" for number in range(200)]
    freed = [f"0 f {number} 0" for number in range(0, 200, 2)]
    with driven(*lines, *freed) as (one, said):
        found = check(one, said)
        assert found.total is not None
        assert found.total.arena == 8327168
        assert found.total.keepcost == found.arenas[0].top_bytes == said.mallinfo["keepcost"]


def test_threads_have_arenas() -> None:
    lines = [
        f"{thread} m {100 * thread + i} {500 + 16 * i}" for thread in range(6) for i in range(90)
    ]
    lines += [f"{thread} f {100 * thread + i} 0" for thread in range(6) for i in range(0, 90, 3)]
    # Some are freed by another thread: they stay in its cache, but in their own arena.
    lines += [f"5 f {100 + i} 0" for i in range(1, 90, 3)]
    with driven(*lines) as (one, said):
        found = check(one, said)
        assert len(found.arenas) == 6
        assert [arena.threads for arena in found.arenas] == [1] * 6


def test_an_arena_of_several_heaps() -> None:
    """700 blocks of 100 KiB don't fit into one heap of 64 MiB."""
    with driven(f"1 M 0 700 {100 * KIB}", "1 F 0 700 2") as (one, said):
        found = check(one, said)
        assert [len(arena.stretches) for arena in found.arenas] == [1, 2]


def test_realloc_growth() -> None:
    grown = [f"0 r 0 {size * KIB}" for size in (1, 5, 60, 100, 127, 300, 1000, 5000)]
    with driven("0 m 0 100", "0 m 1 100", *grown) as (one, said):
        found = check(one, said)
        assert [chunk.size for chunk in found.mmapped] == [5004 * KIB]
        check(one, one.do("0 r 0 20000"))
        check(one, one.do("0 r 0 50"))


def test_aligned_blocks() -> None:
    lines = [
        f"0 a {i} {size} {alignment}"
        for i, (size, alignment) in enumerate(
            [(100, 64), (5000, 4096), (300 * KIB, 4096), (300 * KIB, 64), (MIB, 65536)]
        )
    ]
    with driven(*lines) as (one, said):
        check(one, said)


@pytest.mark.parametrize("size", [4096, 100, 65536 + 8])
def test_somebody_else_calls_sbrk(size: int) -> None:
    lines = ["0 m 0 1000", f"0 s 0 {size}", "0 M 1 30 10000", "0 F 1 30 2"]
    with driven(*lines) as (one, said):
        found = check(one, said)
        assert len(found.arenas[0].stretches) == 2
        check(one, one.do(f"0 s 0 {size}", "0 M 100 30 10000"))


def test_the_break_can_not_grow() -> None:
    """main_arena goes on with mmap: pieces of 1 MiB and more somewhere else."""
    with driven("0 m 0 1000", "0 b 0 0", "0 M 1 300 10000", "0 F 1 300 2") as (one, said):
        found = check(one, said)
        assert not found.arenas[0].contiguous
        assert len(found.arenas[0].stretches) > 1


def test_tcache_and_fastbins_are_told_apart() -> None:
    """Of 20 chunks of 48 bytes that are freed, 7 go to the tcache and 13 to a fastbin."""
    with driven("0 M 0 20 40") as (one, said):
        found = check(one, said)
        before = parts(found)
        after = parts(check(one, one.do("0 F 0 20 1")))
        assert before is not None
        assert after is not None
        assert found.parameters is not None
        cached = found.parameters.tcache_count or 0
        assert cached == (7 if (found.version or (2, 36)) < (2, 43) else 16)
        assert (after.tcache_chunks, after.tcache_bytes) == (cached, cached * 48)
        if cached == 7:  # 2.43 has no fastbins
            assert (after.fast_chunks, after.fast_bytes) == (13, 13 * 48)
        assert before.used_chunks - after.used_chunks == 20


def test_one_chunk_pins_the_top() -> None:
    with driven(f"0 M 0 1000 {100 * KIB}", "0 m 5000 40", "0 F 0 1000 1") as (one, said):
        found = check(one, said)
        ((arena, pin),) = pins(found)
        assert (len(pin.chunks), pin.used_bytes) == (1, 48)
        assert pin.free_bytes == found.total.fordblks - found.total.keepcost  # type: ignore[union-attr]
        assert pin.free_bytes >= 1000 * 100 * KIB
        assert pin_words(found, arena, pin).startswith("one chunk of 48 in use at offset 0x")
        assert "keeps 98M of free memory (3.9M of it in memory)" in pin_words(found, arena, pin)
        freed = check(one, one.do("0 f 5000 0"))
        # It lies in the tcache now, and pins the top as before.
        ((arena, pin),) = pins(freed)
        assert "(it is free in a tcache or fastbin)" in pin_words(freed, arena, pin)


def heap_rss(pid: int) -> int:
    mappings = read_address_space(PROC, pid).mappings or ()
    return sum(one.sizes.rss or 0 for one in mappings if one.path == "[heap]" and one.sizes)


@pytest.mark.parametrize(
    "lines",
    [
        ["0 M 0 3000 3000", "0 F 0 3000 2"],
        ["0 M 0 300 50000", "0 F 0 299 1"],
        ["0 M 0 300 50000", "0 F 0 300 2", "0 M 1000 3000 20", "0 F 1000 2999 1"],
        ["0 o -1 100000000", "0 M 0 300 50000", *(f"0 w {i} 0" for i in range(300)), "0 F 0 300 1"],
        ["0 M 0 60000 40", "0 F 0 59999 1"],
        ["0 M 0 60000 40", "0 F 0 60000 1"],
    ],
    ids=["small holes", "one hole", "fastbins", "large top", "fastbins join", "fastbins join top"],
)
def test_malloc_trim_gives_back_what_was_foretold(lines: list[str]) -> None:
    with driven(*lines) as (one, said):
        found = check(one, said)
        before, known = heap_rss(one.pid), in_memory(found)
        assert known is not None
        assert known.arenas == before
        after = check(one, one.do("0 t 0 0"))
        assert before - heap_rss(one.pid) == known.trim
        left = in_memory(after)
        assert left is not None
        assert left.trim == 0


def test_a_hole_that_was_given_back_is_not_in_memory() -> None:
    with driven("0 M 0 300 50000", "0 F 0 299 1", "0 t 0 0") as (one, said):
        found = check(one, said)
        known = in_memory(found)
        assert known is not None
        hole = found.arenas[0].stretches[0].holes[0]
        assert hole.size > 14_000_000
        assert hole.size - (hole.returned_bytes or 0) < 2 * found.page_size
        assert known.holes == hole.size - (hole.returned_bytes or 0)


def test_thresholds_adapt_and_are_read() -> None:
    with driven(f"0 m 0 {MIB}", "0 f 0 0") as (one, said):
        known = check(one, said).parameters
        assert known is not None
        assert (known.mmap_threshold, known.trim_threshold) == (MIB + 4096, 2 * (MIB + 4096))
        assert known.no_dyn_threshold == 0
        set_ = check(one, one.do("0 o -3 200000")).parameters
        assert set_ is not None
        assert (set_.mmap_threshold, set_.no_dyn_threshold) == (200000, 1)


@pytest.mark.parametrize(
    "setting",
    [
        "GLIBC_TUNABLES=glibc.malloc.hugetlb=1",
        "GLIBC_TUNABLES=glibc.malloc.tcache_count=0",
        "GLIBC_TUNABLES=glibc.malloc.tcache_count=200",
        "GLIBC_TUNABLES=glibc.malloc.tcache_max=100",
        "GLIBC_TUNABLES=glibc.malloc.mxfast=0",
        "MALLOC_ARENA_MAX=1",
        "MALLOC_TOP_PAD_=10000000",
        "MALLOC_MMAP_THRESHOLD_=1000",
        "MALLOC_MMAP_THRESHOLD_=1",
        "MALLOC_MMAP_MAX_=0",
        "MALLOC_PERTURB_=85",
        "LD_PRELOAD=libc_malloc_debug.so.0",
    ],
)
def test_settings_of_the_environment(setting: str) -> None:
    """The last has a malloc of its own beside libc's."""
    name, _, value = setting.partition("=")
    lines = ["0 M 0 500 3000", "1 M 1000 500 9000", "0 F 0 500 2", "1 F 1000 500 2"]
    lines += ["0 m 5000 300000", "0 m 5001 5000000", "0 M 6000 50 40", "0 F 6000 50 1"]
    with driven(*lines, env={name: value}) as (one, said):
        found = check(one, said)
        if "tcache_count" in value:
            count = int(value.rpartition("=")[2])
            assert sum(len(cache.chunks) for cache in found.tcaches) == min(count, 50)


SIZES = st.one_of(
    st.integers(0, 200), st.integers(0, 5000), st.integers(0, 200_000), st.integers(0, 3 * MIB)
)
OPS = st.one_of(
    st.tuples(st.integers(0, 3), st.sampled_from("mc"), st.integers(0, 63), SIZES),
    st.tuples(st.integers(0, 3), st.just("f"), st.integers(0, 63), st.just(0)),
    st.tuples(st.integers(0, 3), st.just("r"), st.integers(0, 63), SIZES),
    st.tuples(st.just(0), st.just("s"), st.just(0), st.integers(1, 300_000)),
    st.tuples(st.just(0), st.just("t"), st.just(0), st.just(0)),
    st.tuples(st.just(0), st.just("b"), st.just(0), st.just(0)),
)


def script(operations: list[tuple[int, str, int, int]]) -> tuple[list[str], int]:
    """Return lines that never lose a block, and how many blocks there are at the end."""
    lines, live = [], set()
    for thread, what, slot, size in operations:
        if what in "mc" and slot in live:
            lines.append(f"{thread} f {slot} 0")
        if what == "r" and size == 0:
            continue
        if what in "mcr":
            live.add(slot)
        elif what == "f":
            live.discard(slot)
        lines.append(f"{thread} {what} {slot} {size}")
    return lines, len(live)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(OPS, max_size=150))
def test_any_sequence_of_calls(operations: list[tuple[int, str, int, int]]) -> None:
    lines, _ = script(operations)
    with driven("0 m 100 10", *lines) as (one, said):
        check(one, said)


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(OPS.map(lambda op: (0, *op[1:])), max_size=150))
def test_every_block_in_use_is_counted(operations: list[tuple[int, str, int, int]]) -> None:
    """With one thread: the blocks the program holds, and malloc's own tcache."""
    lines, live = script([op for op in operations if op[1] not in "sb"])
    with driven("0 m 100 10", *lines) as (one, said):
        found = parts(check(one, said))
        assert found is not None
        assert found.used_chunks + found.mmapped_chunks == live + 2


def test_the_command_line(run_cli: Run) -> None:
    with driven("0 M 0 300 50000", "0 F 0 299 1") as (one, said):
        status, out, err = run_cli("heap", str(one.pid), "--format", "json")
        assert (status, err) == (0, "")
        document = json.loads(out)
        assert document["schema"] == "oomlab.heap/1"
        assert document["total"] == document["main"] == said.mallinfo
        status, out, err = run_cli("heap", str(one.pid))
        assert (status, err) == (0, "")
        assert "pin: one chunk of" in out
        assert next(item.name for item in advise(read(one))) == "malloc_trim"
