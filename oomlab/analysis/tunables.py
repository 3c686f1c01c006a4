"""What allocators do with freed memory, and what each setting changes about it.

Sources: mallopt(3), the glibc manual's chapter on tunables, jemalloc(3), gperftools' and
mimalloc's documents, the runtime package of Go, java(1), Python's documents.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple


class Tunable(NamedTuple):
    """One setting as found, and what it does to returning memory."""

    where: str
    """The variable, or the command line."""
    name: str
    value: str
    allocator: str
    effect: str


RETURNS = {
    "glibc": "free() gives back blocks from M_MMAP_THRESHOLD on at once (128 KiB, which grows with "
    "what is freed, to 32 MiB), and the top of the heap once it exceeds M_TRIM_THRESHOLD "
    "(128 KiB, then twice the former); holes below the top stay until malloc_trim(0)",
    "musl": "freed groups of blocks are unmapped when all of a group is free; large blocks at once",
    "jemalloc": "freed pages are given back in about 10 s (dirty_decay_ms), as calls are made",
    "tcmalloc": "freed spans go to a page heap, which gives them back slowly "
    "(TCMALLOC_RELEASE_RATE 1)",
    "mimalloc": "freed pages are given back after a short delay (MIMALLOC_PURGE_DELAY)",
    "go": "the scavenger gives back in the background what exceeds the heap's goal by 10%",
    "jvm": "the collector decides: G1 after a concurrent or full collection, Parallel hardly, "
    "ZGC and Shenandoah in the background",
    "python": "objects up to 512 bytes live in arenas of 256 KiB (1 MiB since 3.10), given back "
    "only when wholly empty; larger ones come from malloc",
}

_GLIBC = {
    "arena_max": "no more than {} arenas: fewer heaps that each keep their own freed memory",
    "arena_test": "how many arenas before their number is limited by the CPUs",
    "trim_threshold": "the top of the heap is given back above {} bytes; no longer adapts",
    "mmap_threshold": "blocks from {} bytes on are mapped where nothing free fits, and given back "
    "when freed; no longer adapts",
    "mmap_max": "no more than {} mapped blocks (0: all from the heap, given back at its top only)",
    "top_pad": "{} bytes more at the top of the heap each time it grows, and kept when trimmed",
    "tcache_count": "each thread keeps up to {} freed blocks of a size",
    "tcache_max": "each thread keeps freed blocks up to {} bytes",
    "mxfast": "blocks up to {} bytes are kept unmerged when freed: holes stay small",
    "hugetlb": "1: transparent huge pages, 2: hugetlb pages; memory is given back in larger pieces",
    "perturb": "fills memory at malloc and at free: touches what the program has not",
    "check": "checks, and gives no memory back sooner",
}
_GLIBC_VARIABLES = {
    "MALLOC_ARENA_MAX": "arena_max",
    "MALLOC_ARENA_TEST": "arena_test",
    "MALLOC_TRIM_THRESHOLD_": "trim_threshold",
    "MALLOC_MMAP_THRESHOLD_": "mmap_threshold",
    "MALLOC_MMAP_MAX_": "mmap_max",
    "MALLOC_TOP_PAD_": "top_pad",
    "MALLOC_PERTURB_": "perturb",
    "MALLOC_CHECK_": "check",
}
_JEMALLOC = {
    "dirty_decay_ms": "freed pages are given back after about {} ms (0: at once, -1: never)",
    "muzzy_decay_ms": "pages given back lazily (MADV_FREE) are really given back after {} ms",
    "background_thread": "true: a thread gives memory back even while nobody calls malloc",
    "narenas": "{} arenas: fewer of them keep less freed memory",
    "retain": "true keeps the address space (not the memory) of freed regions",
    "thp": "always: huge pages; a freed part keeps the whole",
    "metadata_thp": "huge pages for its own data",
    "tcache": "false: threads keep no freed blocks of their own",
    "lg_tcache_max": "threads keep freed blocks up to 2^{} bytes",
    "oversize_threshold": "blocks from {} bytes on are in an arena that gives back at once",
}
_VARIABLES = {
    "TCMALLOC_RELEASE_RATE": ("tcmalloc", "how eagerly memory is given back: 0 never, 10 fast"),
    "TCMALLOC_AGGRESSIVE_DECOMMIT": ("tcmalloc", "true: freed spans are given back at once"),
    "TCMALLOC_MAX_TOTAL_THREAD_CACHE_BYTES": ("tcmalloc", "threads keep up to {} bytes together"),
    "TCMALLOC_HEAP_LIMIT_MB": (
        "tcmalloc",
        "gives back what is free, then fails, before it exceeds {} MiB",
    ),
    "MIMALLOC_PURGE_DELAY": ("mimalloc", "freed pages are given back after {} ms (-1: never)"),
    "MIMALLOC_RESET_DELAY": ("mimalloc", "freed pages are given back after {} ms (before 2.1)"),
    "MIMALLOC_DECOMMIT_DELAY": ("mimalloc", "freed pages are given back after {} ms (before 2.1)"),
    "MIMALLOC_PAGE_RESET": ("mimalloc", "1: freed pages are given back lazily (before 2.1)"),
    "MIMALLOC_PURGE_DECOMMITS": ("mimalloc", "1: really given back; 0: lazily (MADV_FREE)"),
    "MIMALLOC_ALLOW_LARGE_OS_PAGES": ("mimalloc", "1: huge pages, kept as a whole"),
    "MIMALLOC_RESERVE_HUGE_OS_PAGES": ("mimalloc", "{} pages of 1 GiB, never given back"),
    "GOGC": ("go", "the heap may grow by {}% between collections (off: never collects)"),
    "GOMEMLIMIT": ("go", "collects and gives back harder near {}"),
    "PYTHONMALLOC": ("python", "{}: which allocator Python uses (malloc: none of its own)"),
}
_GODEBUG = {
    "madvdontneed": "0: given back lazily (MADV_FREE): RSS falls only when memory is short",
    "scavtrace": "prints what is given back",
}
_JAVA = (
    (re.compile(r"-Xmx\S+"), "the heap's limit; not of the whole process"),
    (re.compile(r"-Xms\S+"), "the heap never shrinks below this"),
    (re.compile(r"-XX:(Initial|Min|Max)RAMPercentage=\S+"), "the heap's size by the machine's RAM"),
    (re.compile(r"-XX:\+AlwaysPreTouch"), "the whole heap is resident from the start"),
    (re.compile(r"-XX:(Min|Max)HeapFreeRatio=\S+"), "how much free heap is kept"),
    (re.compile(r"-XX:SoftMaxHeapSize=\S+"), "the collector tries to stay below"),
    (re.compile(r"-XX:G1PeriodicGCInterval=\S+"), "collects when idle, and so gives memory back"),
    (re.compile(r"-XX:-?Z?Shenandoah?UncommitDelay=\S+|-XX:ZUncommitDelay=\S+"),
     "how long freed heap is kept"),
    (re.compile(r"-XX:[+-]ZUncommit"), "whether freed heap is given back"),
    (re.compile(r"-XX:\+Use\w+GC"), "the collector"),
    (re.compile(r"-XX:MaxMetaspaceSize=\S+"), "the limit of class data, beside the heap"),
    (re.compile(r"-XX:MaxDirectMemorySize=\S+"), "the limit of direct buffers, beside the heap"),
)  # fmt: skip
_JAVA_VARIABLES = ("JAVA_TOOL_OPTIONS", "_JAVA_OPTIONS", "JDK_JAVA_OPTIONS")


def find_tunables(
    variables: Sequence[tuple[str, str]], cmdline: Sequence[str], allocators: Sequence[str]
) -> tuple[Tunable, ...]:
    """Return the settings of a process's environment and, for Java, of its command line."""
    found = [one for name, value in variables for one in _of_variable(name, value)]
    if "jvm" in allocators:
        found += _java("command line", cmdline)
    return tuple(found)


def _of_variable(name: str, value: str) -> Iterator[Tunable]:
    if name in _GLIBC_VARIABLES:
        yield _glibc(name, name, value, _GLIBC_VARIABLES[name])
    elif name in _JAVA_VARIABLES:
        yield from _java(name, value.split())
    elif name in _VARIABLES:
        allocator, effect = _VARIABLES[name]
        yield Tunable(name, name, value, allocator, effect.format(value))
    else:
        yield from _of_list(name, value)


def _of_list(name: str, value: str) -> Iterator[Tunable]:
    """Return the settings of a variable that holds several."""
    if name == "GLIBC_TUNABLES":
        for key, setting in _pairs(value, ":", "="):
            short = key.removeprefix("glibc.malloc.")
            if short != key:
                yield _glibc(name, key, setting, short)
    elif name.endswith("MALLOC_CONF"):
        for key, setting in _pairs(value, ",", ":"):
            effect = _JEMALLOC.get(key, "unknown here").format(setting)
            yield Tunable(name, key, setting, "jemalloc", effect)
    elif name == "GODEBUG":
        for key, setting in _pairs(value, ",", "="):
            if key in _GODEBUG:
                yield Tunable(name, key, setting, "go", _GODEBUG[key])


def _glibc(where: str, name: str, value: str, key: str) -> Tunable:
    return Tunable(where, name, value, "glibc", _GLIBC.get(key, "unknown here").format(value))


def _java(where: str, words: Sequence[str]) -> list[Tunable]:
    return [
        Tunable(where, word.partition("=")[0], word, "jvm", effect)
        for word in words
        for pattern, effect in _JAVA
        if pattern.fullmatch(word)
    ]


def _pairs(text: str, between: str, within: str) -> Iterator[tuple[str, str]]:
    for entry in text.split(between):
        key, found, value = entry.partition(within)
        if found:
            yield key.strip(), value.strip()
