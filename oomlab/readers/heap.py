"""The heap of a process of glibc's malloc, read from outside and without stopping it."""

from __future__ import annotations

from pathlib import Path

from ..errors import SourceError
from ..glibc.heap import Survey
from ..glibc.memory import Memory
from ..glibc.reading import Process
from ..glibc.survey import locate, survey
from .process_memory import ElfHeader, ProcessMemory

MOST_BYTES = 16 << 30
MOST_SECONDS = 60.0


class NotGlibcError(SourceError):
    """The process takes no memory from glibc's malloc."""


def read_heap(
    root: Path, pid: int, most_bytes: int = MOST_BYTES, most_seconds: float = MOST_SECONDS
) -> Survey:
    """Walk the heap of one process; no stretch of it for more than ``most_bytes``.

    After about ``most_seconds`` what was seen so far is returned.
    Raises UnknownTaskError where the process is gone, SourceError where its memory may not be
    read, NotGlibcError where it has another allocator, or glibc's and has not used it.
    """
    with ProcessMemory(root, pid) as opened:
        header = opened.elf_header()
        if header is None:
            raise SourceError(f"process {pid} runs no program of this machine's kind")
        memory = opened.memory(header, most_seconds)
        process = heap_process(opened, memory, header)
        place = locate(process)
        found = survey(process, place, most_bytes=most_bytes) if place is not None else None
        parameters = found.parameters if found is not None else None
        served = parameters is not None and parameters.max_n_mmaps > 0
        if found is None or not (served or any(one.max_system_mem for one in found.arenas)):
            why = "it was not used yet" if found is not None else "nothing in its data looks so"
            raise NotGlibcError(
                f"process {pid} ({opened.name}) has no heap of glibc's malloc: {why}"
            )
        return found


def heap_process(opened: ProcessMemory, memory: Memory, header: ElfHeader) -> Process:
    """Return what a survey asks of an opened process."""
    return Process(
        memory,
        opened.mappings,
        opened.pages,
        opened.page_size,
        header.machine,
        opened.file,
        opened.read_mappings,
    )
