"""The heap of a process of glibc's malloc, read from outside and without stopping it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from ..errors import SourceError
from ..glibc.heap import Survey
from ..glibc.reading import Process
from ..glibc.survey import locate, survey
from ..mappings import Mapping
from .process_memory import ProcessMemory

MOST_BYTES = 16 << 30
_GO_BUILD = b"\xff Go buildinf:"
_STATIC_MARKS = (
    (b"<jemalloc>", "jemalloc"),
    (b"tcmalloc", "tcmalloc"),
    (b"mimalloc:", "mimalloc"),
)
_LIBRARIES = (
    ("libjemalloc", "jemalloc"),
    ("libtcmalloc", "tcmalloc"),
    ("libmimalloc", "mimalloc"),
    ("libhoard", "Hoard"),
    ("libscudo", "scudo"),
    ("libsnmalloc", "snmalloc"),
    ("ld-musl-", "musl"),
    ("libc.musl-", "musl"),
)


def read_heap(root: Path, pid: int, most_bytes: int = MOST_BYTES) -> Survey:
    """Walk the heap of one process; no stretch of it for more than ``most_bytes``.

    Raises UnknownTaskError where the process is gone, SourceError where its memory may not be
    read or is not glibc's, with what it is as far as that can be told.
    """
    with ProcessMemory(root, pid) as opened:
        header = opened.elf_header()
        if header is None:
            raise SourceError(f"process {pid} runs no program of this machine's kind")
        memory = opened.memory(header)
        process = Process(
            memory, opened.mappings, opened.pages, opened.page_size, header.machine, opened.file
        )
        place = locate(process)
        found = survey(process, place, most_bytes=most_bytes) if place is not None else None
        parameters = found.parameters if found is not None else None
        served = parameters is not None and parameters.max_n_mmaps > 0
        if found is None or not (served or any(one.max_system_mem for one in found.arenas)):
            raise SourceError(_refusal(opened, found))
        return found


def _refusal(opened: ProcessMemory, found: Survey | None) -> str:
    other = other_allocator(opened.mappings) or _static_allocator(opened)
    name = f"process {opened.pid} ({opened.name})"
    if other is not None:
        return f"{name} allocates with {other}, not with glibc's malloc: heap can't walk that"
    if found is not None:
        return f"{name} has taken no memory from glibc's malloc"
    return f"{name} has no glibc malloc in its memory (or it was not used yet): heap can't walk it"


def other_allocator(mappings: Iterable[Mapping]) -> str | None:
    """Return the allocator whose library is mapped, None where none is that we know."""
    names = {one.path.rpartition("/")[2] for one in mappings}
    for library, allocator in _LIBRARIES:
        if any(name.startswith(library) for name in names):
            return allocator
    return None


def _static_allocator(opened: ProcessMemory) -> str | None:
    """Look for an allocator's own words in the program."""
    program = next((one.path for one in opened.mappings if one.path.startswith("/")), "")
    text = opened.file(program)
    if _GO_BUILD in text:
        return "Go's runtime"
    return next((allocator for mark, allocator in _STATIC_MARKS if mark in text), None)
