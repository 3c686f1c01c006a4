"""Survey a process's heap: find glibc's state, read every arena, and judge the picture."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ..errors import UnknownTaskError
from ..mappings import Mapping
from .arenas import find_main_arena
from .checks import checks
from .heap import Survey
from .parameters import find_parameters
from .ranges import Range
from .reading import Place, Process, Reading, read_once
from .views import views

_BANNER = re.compile(rb"GNU C Library [^\n]{0,200}?version (\d+)\.(\d+)")
_ATTEMPTS = 3
_MOST_AGAIN = 256 << 20
"""A larger heap is not read a second time."""
_MOST_AGAIN_SHARE = 0.03
"""Nor one for which more than this share of all the time was needed: it will move again."""


def locate(process: Process) -> Place | None:
    """Find main_arena and mp_, or return None where no glibc has initialised its malloc."""
    found = find_main_arena(process.memory, process.mappings, process.machine)
    if found is None:
        return None
    brk = brk_heap(process.mappings)
    parameters = find_parameters(process.memory, found.segment, brk, process.page_size)
    if parameters is None and brk is not None:
        parameters = find_parameters(process.memory, found.segment, None, process.page_size)
    return Place(found, _version(process, found.path), brk, parameters)


def brk_heap(mappings: Sequence[Mapping]) -> Range | None:
    """Return where the heap of the program break lies."""
    heap = [one for one in mappings if one.path == "[heap]"]
    return (heap[0].start, heap[-1].end) if heap else None


def _version(process: Process, path: str) -> tuple[int, int] | None:
    """Read glibc's banner in its library (a static program has one only where it asks for it)."""
    match = _BANNER.search(process.file(path))
    return (int(match[1]), int(match[2])) if match else None


def survey(process: Process, place: Place, *, most_bytes: int) -> Survey:
    """Read the heap; read it again where it moved meanwhile, and keep the best reading.

    No stretch is walked for more than ``most_bytes`` (0: only malloc's lists are followed, which
    tell the totals), and the memory knows how much time is left.
    Raises UnknownTaskError where the process ends meanwhile, or runs another program.
    """
    best: Survey | None = None
    for attempt in range(1, _ATTEMPTS + 1):
        if attempt > 1:  # what moved may have grown beyond where it was mapped before
            process = process._replace(mappings=process.read_mappings())
            place = place._replace(brk=brk_heap(process.mappings))
        begun = process.memory.time_left()
        reading = read_once(process, place, most_bytes)
        if reading is None:
            raise UnknownTaskError("the process ended, or ran another program, while it was read")
        found = _survey(process, place, reading)
        if best is None or _broken(found) < _broken(best):
            best = found
        best = best._replace(attempts=attempt)
        size = sum(one.walk.arena.system_mem for one in reading.arenas)
        listed = most_bytes == 0 and found.total is not None  # nothing is walked
        long = size > _MOST_AGAIN or begun - process.memory.time_left() > _MOST_AGAIN_SHARE
        if not _broken(found) or listed or long:
            break
    assert best is not None
    return best


def _broken(one: Survey) -> int:
    return sum(not check.holds for check in one.checks)


def _survey(process: Process, place: Place, reading: Reading) -> Survey:
    known = process.pages(0, 0) is not None
    return Survey(
        version=place.version,
        library=place.found.path,
        pointer_bytes=process.memory.pointer_bytes,
        page_size=process.page_size,
        arenas=tuple(views(reading, pages_known=known)),
        parameters=reading.parameters,
        mmapped=tuple(reading.mmapped),
        mmapped_resident=_mmapped_resident(process, reading) if known else None,
        tcaches=tuple(reading.tcaches),
        fast=tuple(chunk for one in reading.arenas for chunk in one.fast.chunks),
        checks=tuple(checks(reading, place)),
        attempts=1,
    )


def _mmapped_resident(process: Process, reading: Reading) -> int:
    total = 0
    for chunk in reading.mmapped:
        known = process.pages(chunk.address, chunk.address + chunk.size)
        if known is not None:
            gone = sum(end - start for start, end in (*known.returned, *known.swapped))
            total += chunk.size - gone
    return total
