"""What each setting of an allocator does to returning memory: claimed by us, measured here."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from compiled import compiled
from heaps import Driven, driven, read
from test_allocator import PRELOADED, library

from oomlab.analysis import tunables
from oomlab.analysis.tunables import RETURNS, find_tunables

MIB = 1 << 20
KEPT = ["m 0 1000 60000"]
"""57 MiB."""
FREED = ["f 0 1000 1"]
PROGRAMS: dict[str, Callable[[], str]] = {
    **{key: lambda names=names: library(*names) for key, names in PRELOADED.items()},  # type: ignore[misc]
    "glibc": lambda: "",
}


class Keeper:
    """A program that obeys lines and tells nothing: it is measured."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.pid = process.pid

    def do(self, *lines: str) -> Keeper:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        for line in lines:
            self._process.stdin.write(f"{line}\n")
            self._process.stdin.flush()
            assert self._process.stdout.readline() == "ready\n", line
        return self

    def mib(self, what: str = "Rss") -> int:
        """Return a figure of smaps_rollup in MiB, VmSize of status too."""
        name = "status" if what.startswith("Vm") else "smaps_rollup"
        text = Path(f"/proc/{self.pid}/{name}").read_text()
        return int(text.partition(f"\n{what}:")[2].split()[0]) // 1024


@contextmanager
def keeper(
    allocator: str, setting: str = "", *arguments: str, program: Path | None = None
) -> Iterator[Keeper]:
    """Run tests/programs/keep.c with an allocator and ``NAME=VALUE`` in its environment."""
    preload = PROGRAMS[allocator]()
    name, _, value = setting.partition("=")
    environment = os.environ | ({"LD_PRELOAD": preload} if preload else {})
    environment |= {name: value} if name else {}
    with subprocess.Popen(
        [str(program or compiled("keep")), *arguments],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        text=True, env=environment,
    ) as process:  # fmt: skip
        try:
            yield Keeper(process)
        finally:
            process.kill()


def claim(setting: str, allocators: tuple[str, ...] = (), cmdline: tuple[str, ...] = ()) -> str:
    """Return what explain says of a setting."""
    name, _, value = setting.partition("=")
    ((one),) = find_tunables([(name, value)] if name else [], cmdline, allocators)
    assert one.effect != "unknown here"
    return one.effect


def left(allocator: str, setting: str, *lines: str, what: str = "Rss") -> int:
    """Return what is left, in MiB, once 57 MiB were freed and some more lines obeyed."""
    with keeper(allocator, setting) as one:
        one.do(*KEPT)
        assert one.mib() > 55
        return one.do(*FREED, *lines).mib(what)


def arenas(*lines: str, setting: str = "") -> int:
    """Return how many arenas glibc has; the process sees one CPU, so 8 are its limit."""
    cpu = str(min(os.sched_getaffinity(0)))
    name, _, value = setting.partition("=")
    command = ["taskset", "-c", cpu, compiled("heap", "-DTHREADS=40")]
    with driven(*lines, command=command, env={name: value} if name else {}) as (one, _):
        return len(read(one).arenas)


THREADS = [f"{thread} m {thread} 100" for thread in range(1, 24)]


def test_arena_max_and_arena_test() -> None:
    assert "no more than 2 arenas" in claim("MALLOC_ARENA_MAX=2")
    assert "before their number is limited by the CPUs" in claim("MALLOC_ARENA_TEST=20")
    usual = arenas(*THREADS)
    assert usual <= 8 * (os.cpu_count() or 1) + 1
    assert arenas(*THREADS, setting="MALLOC_ARENA_MAX=2") == 2
    assert arenas(*THREADS, setting="GLIBC_TUNABLES=glibc.malloc.arena_max=3") == 3
    if usual < 20:  # this release asks how many CPUs the process may use
        assert arenas(*THREADS, setting="MALLOC_ARENA_TEST=20") >= 20


BLOCKS = ["0 M 0 500 20000", *(f"0 w {number} 0" for number in range(500))]


def after_free(setting: str, *lines: str) -> tuple[Driven, int, int]:
    """Return arena and top once all blocks were freed, in bytes."""
    name, _, value = setting.partition("=")
    with driven(*lines, env={name: value} if name else {}) as (one, said):
        total = said.mallinfo
        return one, total["arena"], total["keepcost"]


def test_trim_threshold() -> None:
    lines = (*BLOCKS, "0 F 0 500 1")
    assert "given back above 20000000 bytes" in claim("MALLOC_TRIM_THRESHOLD_=20000000")
    assert after_free("", *lines)[1] < MIB
    assert after_free("MALLOC_TRIM_THRESHOLD_=20000000", *lines)[1] > 9 * MIB
    setting = "GLIBC_TUNABLES=glibc.malloc.trim_threshold=4000000"
    assert "given back above 4000000 bytes" in claim(setting)
    assert after_free(setting, *lines)[2] < 4_000_000
    adapts = ("0 m 0 3000000", "0 f 0 0", "0 M 0 250 20000", "0 F 0 250 1")
    assert after_free("", *adapts)[1] > 4 * MIB, "freeing a mapping raised the threshold"
    assert after_free("MALLOC_TRIM_THRESHOLD_=131072", *adapts)[1] < MIB, "no longer adapts"


@pytest.mark.parametrize(
    "setting", ["MALLOC_MMAP_THRESHOLD_=50000", "GLIBC_TUNABLES=glibc.malloc.mmap_threshold=50000"]
)
def test_mmap_threshold(setting: str) -> None:
    assert claim(setting).startswith(
        "blocks from 50000 bytes on are mapped where nothing free fits"
    )
    name, _, value = setting.partition("=")
    full = "0 M 10 3 40000"  # what is free in the heap serves first
    with driven(full, "0 m 0 60000", env={name: value}) as (one, said):
        assert said.mallinfo["hblks"] == 1
        assert one.do("0 f 0 0").mallinfo["hblkhd"] == 0
        assert one.do("0 m 0 60000").mallinfo["hblks"] == 1, "no longer adapts"
        assert one.do("0 m 1 49000").mallinfo["hblks"] == 1


def test_mmap_max() -> None:
    assert "no more than 1 mapped blocks" in claim("MALLOC_MMAP_MAX_=1")
    for most in (0, 1):
        with driven("0 m 0 300000", "0 m 1 400000", env={"MALLOC_MMAP_MAX_": str(most)}) as (
            _,
            said,
        ):
            assert said.mallinfo["hblks"] == most
            assert said.mallinfo["arena"] > (2 - most) * 300_000


@pytest.mark.parametrize(
    "setting", ["MALLOC_TOP_PAD_=9000000", "GLIBC_TUNABLES=glibc.malloc.top_pad=9000000"]
)
def test_top_pad(setting: str) -> None:
    assert claim(setting).startswith("9000000 bytes more at the top of the heap each time it grows")
    name, _, value = setting.partition("=")
    with driven("0 m 0 1000", env={name: value}) as (one, said):
        assert 9_000_000 <= said.mallinfo["keepcost"] <= 9_000_000 + 8192
        freed = one.do("0 M 1 3000 20000", "0 F 1 3000 1")
        assert 9_000_000 <= freed.mallinfo["keepcost"] < 10_000_000, "and kept when trimmed"


def cached(setting: str, size: int, count: int = 30) -> list[int]:
    """Return how many chunks the tcache and the fastbins hold after ``count`` were freed."""
    with driven(f"0 M 0 {count} {size}", f"0 F 0 {count} 1", env={"GLIBC_TUNABLES": setting}) as (
        one,
        _,
    ):
        survey = read(one)
        return [sum(len(cache.chunks) for cache in survey.tcaches), len(survey.fast)]


def test_caches_of_threads_and_fastbins() -> None:
    prefix = "GLIBC_TUNABLES=glibc.malloc."
    assert "up to 20 freed blocks of a size" in claim(f"{prefix}tcache_count=20")
    assert cached("glibc.malloc.tcache_count=20", 200)[0] == 20
    assert cached("glibc.malloc.tcache_count=0", 200)[0] == 0
    assert "freed blocks up to 100 bytes" in claim(f"{prefix}tcache_max=100")
    assert cached("glibc.malloc.tcache_max=100", 90)[0] > 0
    assert cached("glibc.malloc.tcache_max=100", 120)[0] == 0
    assert "blocks up to 0 bytes are kept unmerged when freed" in claim(f"{prefix}mxfast=0")
    none = "glibc.malloc.tcache_count=0:glibc.malloc.mxfast="
    if cached(f"{none}100", 80)[1] == 0:
        pytest.skip("this glibc has no fastbins: all but them was checked")
    assert cached(f"{none}100", 80)[1] == 30
    assert cached(f"{none}100", 120)[1] == 0
    assert cached(f"{none}0", 20)[1] == 0


def test_huge_pages_of_glibc() -> None:
    setting = "GLIBC_TUNABLES=glibc.malloc.hugetlb=1"
    assert "given back in larger pieces" in claim(setting)
    with keeper("glibc", setting, "huge") as one:
        one.do("m 0 400 20000")
        if not one.mib("AnonHugePages"):
            pytest.skip("this kernel or this glibc gives no huge pages")
    with keeper("glibc", "", "huge") as one:
        if Path("/sys/kernel/mm/transparent_hugepage/enabled").read_text().startswith("always ["):
            assert one.do("m 0 400 20000").mib("AnonHugePages") == 0


def test_perturb_touches_memory() -> None:
    assert "touches" in claim("MALLOC_PERTURB_=85")
    for setting, low, high in (("", 0, 8), ("MALLOC_PERTURB_=85", 55, 70)):
        with keeper("glibc", setting) as one:
            assert low <= one.do("a 0 1000 60000").mib() <= high


def test_check_gives_nothing_back_sooner() -> None:
    assert "gives no memory back sooner" in claim("MALLOC_CHECK_=3")
    lines = ["m 2000 1 100", *FREED]  # a block above pins all of it
    for setting in ("", "MALLOC_CHECK_=3"):
        with keeper("glibc", setting) as one:
            assert one.do(*KEPT, *lines).mib() > 55


def test_glibc_itself() -> None:
    assert "holes below the top stay until malloc_trim(0)" in RETURNS["glibc"]
    with keeper("glibc") as one:
        assert one.do(*KEPT, "m 2000 1 100", *FREED).mib() > 55
        assert one.do("f 2000 1 1", "c 1 120000").mib() > 0
    assert left("glibc", "") < 5


def test_jemalloc_gives_dirty_pages_back_in_time() -> None:
    slow = left("jemalloc", "", "s 300")
    assert slow > 30, "about 10 s"
    assert "in about 10 s (dirty_decay_ms), as calls are made" in RETURNS["jemalloc"]
    assert "0: at once, -1: never" in claim("MALLOC_CONF=dirty_decay_ms:-1")
    assert left("jemalloc", "MALLOC_CONF=dirty_decay_ms:0") < 16
    assert left("jemalloc", "MALLOC_CONF=dirty_decay_ms:-1", "s 300", "c 20000 70000") > 55


def test_jemalloc_gives_nothing_back_while_nobody_calls_it() -> None:
    assert "even while nobody calls malloc" in claim("MALLOC_CONF=background_thread:true")
    decay = "MALLOC_CONF=dirty_decay_ms:200"
    with ThreadPoolExecutor() as side:  # both only wait
        alone = side.submit(left, "jemalloc", decay, "s 700")
        assert left("jemalloc", f"{decay},background_thread:true", "s 1200") < 16
        assert alone.result() > 30


def test_jemalloc_gives_muzzy_pages_back_lazily() -> None:
    assert "given back lazily (MADV_FREE)" in claim("MALLOC_CONF=muzzy_decay_ms:-1")
    lazy = "MALLOC_CONF=dirty_decay_ms:100,background_thread:true,muzzy_decay_ms:"
    with ThreadPoolExecutor() as side:  # both only wait
        kept = side.submit(left, "jemalloc", f"{lazy}-1", "s 1000", what="LazyFree")
        assert left("jemalloc", f"{lazy}0", "s 1000", what="LazyFree") == 0
        assert kept.result() > 30


def test_jemalloc_keeps_the_address_space_only() -> None:
    assert "address space (not the memory)" in claim("MALLOC_CONF=retain:true")
    kept = {
        value: [
            left("jemalloc", f"MALLOC_CONF=dirty_decay_ms:0,retain:{value}", what=what)
            for what in ("VmSize", "Rss")
        ]
        for value in ("true", "false")
    }
    assert kept["true"][0] > kept["false"][0] + 50
    assert max(kept["true"][1], kept["false"][1]) < 16


def test_jemalloc_gives_oversized_blocks_back_at_once() -> None:
    setting = "MALLOC_CONF=oversize_threshold:100000"
    assert claim(setting) == "blocks from 100000 bytes on are in an arena that gives back at once"
    for value, low, high in (("", 30, 80), (setting, 0, 20)):
        with keeper("jemalloc", value) as one:
            assert one.do("m 0 200 300000").mib() > 55
            assert low <= one.do("f 0 200 1").mib() <= high


def test_jemalloc_arenas_and_huge_pages() -> None:
    """What it says of itself at its end tells how many arenas it had."""
    assert claim("MALLOC_CONF=narenas:2").startswith("2 arenas: fewer")
    for number in (2, 6):
        conf = f"narenas:{number},oversize_threshold:0,stats_print:true"
        done = subprocess.run(
            [str(compiled("keep"))], input="n 20\n", capture_output=True, text=True, check=True,
            env=os.environ | {"LD_PRELOAD": library("jemalloc"), "MALLOC_CONF": conf},
        )  # fmt: skip
        assert f"\nArenas: {number}\n" in done.stderr
    assert "huge pages" in claim("MALLOC_CONF=thp:always")
    with keeper("jemalloc", "MALLOC_CONF=thp:always", "huge") as one:
        if not one.do(*KEPT).mib("AnonHugePages"):
            pytest.skip("this kernel gives no huge pages: the arenas were checked")
        assert one.do("f 0 1000 2").mib() > 55, "a freed part keeps the whole"


def test_tcmalloc_gives_back_slowly_or_at_once() -> None:
    assert "TCMALLOC_RELEASE_RATE 1" in RETURNS["tcmalloc"]
    assert "0 never, 10 fast" in claim("TCMALLOC_RELEASE_RATE=0")
    calls = "c 30000 300000"
    never, usual, fast = (left("tcmalloc", f"TCMALLOC_RELEASE_RATE={n}", calls) for n in (0, 1, 10))
    assert never > 55
    assert fast < usual - 20
    assert usual <= never
    assert "given back at once" in claim("TCMALLOC_AGGRESSIVE_DECOMMIT=true")
    assert left("tcmalloc", "TCMALLOC_AGGRESSIVE_DECOMMIT=true") < 30 < left("tcmalloc", "")


def test_tcmallocs_limit() -> None:
    assert claim("TCMALLOC_HEAP_LIMIT_MB=70") == (
        "gives back what is free, then fails, before it exceeds 70 MiB"
    )
    for setting, low, high in (("", 110, 150), ("TCMALLOC_HEAP_LIMIT_MB=70", 50, 80)):
        with keeper("tcmalloc", setting) as one:
            assert low <= one.do("m 0 2000 60000").mib() <= high


def test_mimalloc() -> None:
    """2.0 and older have other names for their delays."""
    assert "after a short delay" in RETURNS["mimalloc"]
    old = left("mimalloc", "MIMALLOC_DECOMMIT_DELAY=100000", "s 300", "c 30000 3000")
    new = left("mimalloc", "MIMALLOC_PURGE_DELAY=100000", "s 300", "c 30000 3000")
    slow, none = max(old, new), "PURGE" if new > old else "DECOMMIT"
    usual = left("mimalloc", "", "s 300", "c 30000 3000")
    assert slow > 55
    assert usual < slow - 15
    setting = f"MIMALLOC_{none}_DELAY=0"
    assert "are given back after 0 ms" in claim(setting)
    assert left("mimalloc", setting) < 30
    if old > new:
        assert "before 2.1" in claim("MIMALLOC_DECOMMIT_DELAY=0")
        assert "before 2.1" in claim("MIMALLOC_RESET_DELAY=0")
        assert left("mimalloc", "MIMALLOC_RESET_DELAY=0") < 30
        assert "lazily" in claim("MIMALLOC_PAGE_RESET=1")
        assert left("mimalloc", "MIMALLOC_PAGE_RESET=1", what="LazyFree") > 30


def test_musl() -> None:
    assert "large blocks at once" in RETURNS["musl"]
    program = compiled("keep", compiler="musl-gcc")
    with keeper("glibc", program=program) as one:
        assert one.do("m 0 100 600000").mib() > 55
        assert one.do("f 0 100 1").mib() < 5
        one.do("m 0 60000 1000")
        assert one.do("f 0 60000 2").mib() > 50, "every second block of each group is in use"
        assert one.do("f 1 59999 2").mib() < 10


NOT_MEASURED = {
    "metadata_thp": "jemalloc's own data are less than a huge page here",
    "tcache": "what a thread's cache holds is less than the noise of RSS",
    "lg_tcache_max": "as tcache",
    "TCMALLOC_MAX_TOTAL_THREAD_CACHE_BYTES": "as tcache",
    "MIMALLOC_PURGE_DECOMMITS": "mimalloc 2.1 and newer only",
    "MIMALLOC_ALLOW_LARGE_OS_PAGES": "needs hugetlb pages set aside",
    "MIMALLOC_RESERVE_HUGE_OS_PAGES": "needs hugetlb pages of 1 GiB",
    "scavtrace": "prints only",
}
"""Settings whose claim no test measures, and why; of Java's only AlwaysPreTouch is measured."""


def test_every_claim_is_measured_or_said_not_to_be() -> None:
    here = Path(__file__).parent
    text = "".join(
        (here / name).read_text().partition("NOT_MEASURED")[0]
        for name in ("test_tunable_effects.py", "test_runtime_effects.py")
    )
    known = {*tunables._GLIBC, *tunables._JEMALLOC, *tunables._VARIABLES, *tunables._GODEBUG}
    assert NOT_MEASURED.keys() <= known
    short = {name.lower().removeprefix("malloc_").rstrip("_") for name in tunables._GLIBC_VARIABLES}
    assert short <= known
    for name in known - NOT_MEASURED.keys():
        assert name in text or f"MALLOC_{name.upper()}_" in text, name
