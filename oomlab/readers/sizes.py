"""The scan of all processes for what ranking needs, and no more: flat, because it is hot.

One pass over ten thousand processes spends as long in Python's calls as in the kernel, so
nothing is called here that need not be. Whatever is not quite ordinary (a field missing, a
main thread that has exited, a file that may not be read) is left to the careful reader.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import NamedTuple

from ..snapshot import Task
from ..units import KIB
from .procpid import PF_KTHREAD

_READ_SIZE = 4096

SIZED_FIELDS = Task._fields[: Task._fields.index("kernel_oom_score")]
"""The fields that a row holds, in the Task's own order."""

SizedRow = tuple[
    int, str, int, str, int, bool, bool, int, int | None, int | None, int | None, int | None
]


_Sizes = tuple[int | None, int | None, int | None, int | None]
_NO_SIZES: _Sizes = (None, None, None, None)


class SizeScan(NamedTuple):
    """Rows of SIZED_FIELDS (trailing ones left out), and the pids that need another look."""

    rows: list[SizedRow]
    unusual: list[str]


def scan_sizes(root_fd: int, names: Sequence[str], page_size: int) -> SizeScan:
    """Read stat, status and oom_score_adj of processes below the directory ``root_fd``."""
    rows: list[SizedRow] = []
    unusual: list[str] = []
    open_, read, close = os.open, os.read, os.close
    directory_flags = os.O_RDONLY | os.O_DIRECTORY
    kib_per_page = page_size // KIB
    for name in names:
        try:
            directory = open_(name, directory_flags, dir_fd=root_fd)
            try:
                file = open_(b"stat", os.O_RDONLY, dir_fd=directory)
                try:
                    stat = read(file, _READ_SIZE)
                finally:
                    close(file)
                file = open_(b"status", os.O_RDONLY, dir_fd=directory)
                try:
                    status = read(file, _READ_SIZE)
                finally:
                    close(file)
                file = open_(b"oom_score_adj", os.O_RDONLY, dir_fd=directory)
                try:
                    adj = read(file, _READ_SIZE)
                finally:
                    close(file)
            finally:
                close(directory)
            rows.append(_row(name, stat, status, adj, kib_per_page))
        except (OSError, ValueError, IndexError):
            unusual.append(name)
    return SizeScan(rows, unusual)


def _row(name: str, stat: bytes, status: bytes, adj: bytes, kib_per_page: int) -> SizedRow:
    """Return a process's row. Raises ValueError or IndexError where it is not ordinary."""
    if len(status) == _READ_SIZE or len(stat) == _READ_SIZE:
        raise ValueError("there may be more: a process may be in thousands of groups")
    # proc(5): after the name come state, ppid, ..., flags (9), starttime (22), rss (24).
    end = stat.rindex(b")")
    words = stat[end + 2 :].split(None, 22)
    comm = stat[stat.index(b"(") + 1 : end].decode("utf-8", "surrogateescape")
    kernel_thread, sizes = False, _NO_SIZES
    rss = status.find(b"\nVmRSS:")
    if rss >= 0:
        tables = status.index(b"\nVmPTE:", rss)
        after = status[tables : tables + 90].split(None, 6)
        if after[3] != b"VmSwap:":
            raise ValueError("an older kernel's lines")
        sizes = (
            int(status[rss + 7 : status.index(b"k", rss)]) // kib_per_page,
            int(words[21]),
            int(after[4]) // kib_per_page,
            int(after[1]) * KIB,
        )
    else:
        kernel_thread = bool(int(words[6]) & PF_KTHREAD)
        if not kernel_thread and words[17] != b"1":
            raise ValueError("the memory is seen through another thread, if at all")
    state, has_mm = words[0].decode("ascii"), rss >= 0
    start = int(words[19])
    return (int(name), comm, int(words[1]), state, start, kernel_thread, has_mm, int(adj), *sizes)
