"""Which allocators a process uses: by the names of its libraries and by symbols."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from ..mappings import AddressSpace
from ..process import ElfFacts


class Allocator(NamedTuple):
    """One allocator, and what shows that it is in use."""

    key: str
    name: str
    evidence: str
    is_malloc: bool
    """Whether malloc(3) of the process is its own; else a runtime has it for itself."""


NAMES = {
    "glibc": "glibc malloc",
    "musl": "musl malloc",
    "jemalloc": "jemalloc",
    "tcmalloc": "tcmalloc",
    "mimalloc": "mimalloc",
    "go": "the Go runtime",
    "jvm": "the Java VM",
    "python": "CPython's pymalloc",
}
_RUNTIMES = ("go", "jvm", "python")

_LIBRARIES = (
    ("jemalloc", re.compile(r"/libjemalloc[^/]*\.so")),
    ("tcmalloc", re.compile(r"/libtcmalloc[^/]*\.so")),
    ("mimalloc", re.compile(r"/libmimalloc[^/]*\.so")),
    ("musl", re.compile(r"/(ld-musl-[^/]+\.so|libc\.musl-|[^/]*-linux-musl[^/]*/libc\.so)")),
    ("glibc", re.compile(r"/libc(\.so\.6|-2\.\d+\.so)")),
    ("jvm", re.compile(r"/libjvm\.so")),
    ("python", re.compile(r"/libpython3(?!\.\d+t)[^/]*\.so")),
)
_SYMBOLS = {
    "mallctl": "jemalloc",
    "je_mallctl": "jemalloc",
    "_rjem_mallctl": "jemalloc",
    "tc_malloc": "tcmalloc",
    "TCMallocInternalMalloc": "tcmalloc",
    "mi_malloc": "mimalloc",
    "_int_malloc": "glibc",
    "__malloc_info": "glibc",
    "malloc_info": "glibc",
    "__libc_malloc_impl": "musl",
    "__malloc_alloc_meta": "musl",
    "__bin_chunk": "musl",
    "JNI_CreateJavaVM": "jvm",
    "PyObject_Malloc": "python",
}
"""jemalloc exports malloc_info too, but mallctl stands before it."""
_CPYTHON = "PyObject_Malloc"
_FREE_THREADED = re.compile(r"/(?:lib)?python3\.\d+t[^/]*$")
"""A build of CPython whose objects mimalloc holds; other builds from 3.13 on have it unused."""
_GO_SECTIONS = frozenset({".go.buildinfo", ".gopclntab", ".note.go.buildid"})
WANTED_SYMBOLS = (*_SYMBOLS, "malloc")
_LIBC = ("glibc", "musl")


def find_allocators(
    space: AddressSpace, elves: tuple[ElfFacts, ...] | None
) -> tuple[Allocator, ...]:
    """Return the allocators of a process, runtimes first, then the one behind malloc(3).

    Without symbols the names of libraries are all that tells; what is linked into the program
    is then unknown.
    """
    found: dict[str, str] = {}
    named: list[str] = []
    providers: list[str] = []
    for path in _paths(space):
        key = next((key for key, name in _LIBRARIES if name.search(path)), None)
        if key is not None:
            found.setdefault(key, f"{path} is mapped")
            named.append(key)
    for one in elves or ():
        key = _by_symbols(one, program=one.path == space.exe)
        if key is not None:
            found.setdefault(key, _symbol_evidence(one, key, space))
        if "malloc" in one.defined and key is not None and key not in _RUNTIMES:
            providers.append(key)
        for runtime in _runtimes(one):
            found.setdefault(runtime, f"{one.path} has its symbols")
    malloc = _malloc(found, named, providers)
    return tuple(
        Allocator(key, NAMES[key], found[key], key == malloc)
        for key in sorted(found, key=lambda key: (key not in _RUNTIMES, key == malloc, key))
        if key in _RUNTIMES or key == malloc or key not in _LIBC
    )


def _paths(space: AddressSpace) -> Iterable[str]:
    return dict.fromkeys(one.path for one in space.mappings or () if one.path.startswith("/"))


def _by_symbols(one: ElfFacts, *, program: bool) -> str | None:
    for symbol, key in _SYMBOLS.items():
        if symbol not in one.defined or key in _RUNTIMES:
            continue
        if key == "mimalloc" and _CPYTHON in one.defined and not _FREE_THREADED.search(one.path):
            continue
        # Its own code linked in, or a library of it: what merely calls it does not define it.
        if program or "malloc" in one.defined or key not in _LIBC:
            return key
    return None


def _runtimes(one: ElfFacts) -> Iterable[str]:
    if one.sections & _GO_SECTIONS:
        yield "go"
    for symbol, key in _SYMBOLS.items():
        if key not in _RUNTIMES or symbol not in one.defined:
            continue
        if key != "python" or not _FREE_THREADED.search(one.path):
            yield key


def _symbol_evidence(one: ElfFacts, key: str, space: AddressSpace) -> str:
    symbol = next(s for s, owner in _SYMBOLS.items() if owner == key and s in one.defined)
    linked = "linked into the program" if one.path == space.exe else one.path
    return f"{linked}: it defines {symbol}"


def _malloc(found: dict[str, str], named: list[str], providers: list[str]) -> str | None:
    """Return whose malloc(3) is: of those that define it, whoever is not the C library.

    A program's own definition and a preloaded library come before the C library's. Go without
    cgo has no malloc(3) at all. Whoever merely has another allocator's symbols may use it for a
    part of its memory.
    """
    for key in providers:
        if key not in _LIBC:
            return key
    others = [key for key in named if key not in _RUNTIMES and key not in _LIBC]
    if others and not providers:
        return others[0]  # by names alone
    return next((key for key in _LIBC if key in found), None)


def unknown_reason(space: AddressSpace, elves: tuple[ElfFacts, ...] | None) -> str:
    """Return why no allocator was found."""
    if not space.mappings:
        return "its mappings could not be read"
    if elves is None:
        return "no library of a known allocator is mapped, and symbols could not be read"
    program = elves[0] if elves else None
    if program is not None and program.stripped and program.interpreter is None:
        return "the program is linked statically and stripped of its symbols"
    return "no library and no symbol of a known allocator"
