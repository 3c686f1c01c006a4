"""The memory of one process by kind, cheaply enough to be read every two seconds.

Sizes by kind are status's; of smaps only the beginning is read, up to the brk heap: it follows
the program's own mappings, and the kernel walks no more page tables than it prints.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from ..errors import SourceError
from ..samples import Kinds
from ..units import kib_to_bytes
from .files import read_at
from .procpid import parse_status

_MOST_SMAPS_BYTES = 1 << 18
"""About 300 mappings: where there are more before a heap, its share stays unknown."""
_READ_SIZE = 1 << 14
_HEADER = re.compile(rb"^[0-9a-f]+-[0-9a-f]+ .*$", re.MULTILINE)


def read_kinds(root: Path, pid: int) -> Kinds | None:
    """Return a process's memory by kind, None where it has ended or may not be read."""
    try:
        directory = os.open(root / str(pid), os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        return None
    try:
        status = parse_status(read_at(directory, "status"))
        heap_kib = _read_heap(directory)
    except (OSError, SourceError):
        return None
    finally:
        os.close(directory)
    anon = status.rss_anon_kib
    if anon is None:
        return None
    # The two files are not of the same moment.
    heap = None if heap_kib is None else min(heap_kib, anon)
    return Kinds(
        anon_bytes=kib_to_bytes(anon),
        heap_bytes=kib_to_bytes(heap),
        mmap_bytes=None if heap is None else kib_to_bytes(anon - heap),
        file_bytes=kib_to_bytes(status.rss_file_kib),
        shmem_bytes=kib_to_bytes(status.rss_shmem_kib),
        swap_bytes=kib_to_bytes(status.swap_kib),
    )


def _read_heap(directory: int) -> int | None:
    """Return the RSS of the brk heap in KiB; None where that may not or can't be told."""
    try:
        file = os.open("smaps", os.O_RDONLY, dir_fd=directory)
    except OSError:
        return None
    try:
        text = b""
        while len(text) < _MOST_SMAPS_BYTES:
            chunk = os.read(file, _READ_SIZE)
            text += chunk
            found = parse_heap(text, complete=not chunk)
            if found is not None:
                return found
        return None
    except OSError:
        return None
    finally:
        os.close(file)


def parse_heap(smaps: bytes, *, complete: bool) -> int | None:
    """Return the RSS of all mappings named [heap] in KiB: 0 where there is surely none.

    None while more has to be read: a heap may be split in several mappings, side by side.
    """
    total, seen = 0, False
    headers = [*_HEADER.finditer(smaps)]
    for number, header in enumerate(headers):
        last = number == len(headers) - 1
        if not header[0].endswith(b"[heap]"):
            if seen:
                return total
            continue
        end = len(smaps) if last else headers[number + 1].start()
        rss = re.search(rb"^Rss: +(\d+) kB$", smaps[header.end() : end], re.MULTILINE)
        if rss is None:
            return None
        total, seen = total + int(rss[1]), True
    return total if complete else None
