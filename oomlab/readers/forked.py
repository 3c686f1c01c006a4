"""Split a scan over forked processes: /proc is read as fast as there are CPUs to read it.

Plain os.fork() and marshal: multiprocessing would take longer to import than it saves.
"""

from __future__ import annotations

import marshal
import os
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

WORTH_A_WORKER = 2000
"""Processes below which another worker costs more than it saves."""


class Part(NamedTuple):
    """What one worker found: plain tuples that marshal can carry."""

    rows: list[tuple[Any, ...]]
    notes: list[Any]


def start_parts(
    names: Sequence[str], scan: Callable[[Sequence[str]], Part], workers: int
) -> Callable[[], list[Part]]:
    """Start up to ``workers`` processes that scan ``names``; the function returned awaits them.

    Where they would cost more than they save there are none, and the scan is done when awaited.
    A part whose process fails is scanned again here, so that its error is raised here.
    Not for a program with threads: it forks.
    """
    workers = min(workers, len(names) // WORTH_A_WORKER)
    if workers <= 1:
        return lambda: [scan(names)]
    size = -(-len(names) // workers)
    parts = [names[start : start + size] for start in range(0, len(names), size)]
    children = [_start(part, scan) for part in parts]

    def finish() -> list[Part]:
        found = []
        for part, (pid, pipe) in zip(parts, children, strict=True):
            result = _finish(pid, pipe)
            found.append(scan(part) if result is None else result)
        return found

    return finish


def start_worker(work: Callable[[int], None]) -> tuple[int, int]:
    """Fork a process for ``work``, given a pipe to write to; return its pid and where to read.

    It exits with status 0 once that is done, 1 where it failed. Not for a program with threads.
    """
    reading, writing = os.pipe()
    pid = os.fork()
    if pid:
        os.close(writing)
        return pid, reading
    status = 1
    try:
        os.close(reading)
        work(writing)
        status = 0
    finally:
        # Not sys.exit(): the parent's buffers and handlers are not ours to run.
        os._exit(status)


def _start(part: Sequence[str], scan: Callable[[Sequence[str]], Part]) -> tuple[int, int]:
    def tell(writing: int) -> None:
        with os.fdopen(writing, "wb") as pipe:
            marshal.dump(tuple(scan(part)), pipe)

    return start_worker(tell)


def _finish(pid: int, pipe: int) -> Part | None:
    with os.fdopen(pipe, "rb") as stream:
        data = stream.read()
    _, status = os.waitpid(pid, 0)
    return Part(*marshal.loads(data)) if status == 0 else None
