"""What programs hold of their allocators' heaps, read again and again at a bounded cost.

A heap may have millions of free chunks and changes while it is read, so each is read by a process
of its own with limits, whose answer comes with a later sample.
"""

from __future__ import annotations

import marshal
import os
import resource
import select
import signal
import time
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from ..errors import OomlabError
from ..samples import Identity
from .forked import start_worker
from .heap import read_heap

SHARE_OF_A_CORE = 0.03
"""All heaps together may take this share of one core, however many and large they are."""
_MOST_SAVED_SECONDS = 0.2
_MOST_AT_ONCE = 4
_MOST_CPU_SECONDS = 0.5
"""For one heap: one that takes longer has too many free chunks to be read again and again."""
_MOST_MEMORY_BYTES = 1 << 29
"""More than what the reader has to begin with."""
_FIRST_PAUSE_SECONDS = 1.0
"""After a heap that moved while it was read, or a refusal: no malloc yet. Of refusals each doubles
it."""
_PAUSE_SECONDS = 60.0
"""After many: another allocator, not ours to read."""
_LONG_PAUSE_SECONDS = 600.0
"""After a heap that was too large to be read."""
_LISTS_ONLY_BYTES = 0
"""The lists of free chunks tell the totals; walking every chunk would take far longer."""


class InUse(NamedTuple):
    """Bytes that glibc's malloc has from the kernel, and bytes of them in use (mallinfo2)."""

    allocated_bytes: int
    in_use_bytes: int


class _Child(NamedTuple):
    """A process that reads one heap."""

    who: Identity
    pid: int
    pipe: int


class HeapReader:
    """Reads the heaps of glibc's malloc in turn, as often as their cost allows.

    Not for a program with threads: it forks.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._saved_seconds = _MOST_SAVED_SECONDS
        self._last = time.monotonic()
        self._next: dict[Identity, float] = {}
        """The order of turns: when each was read last, or may be asked again."""
        self._pauses: dict[Identity, float] = {}
        """Of those that refused last time: how many seconds they were left alone."""
        self._children: list[_Child] = []

    def own_pids(self) -> set[int]:
        """Return the pids of the processes that read now: they are no part of the machine."""
        return {child.pid for child in self._children}

    def read_some(self, processes: Collection[Identity]) -> dict[Identity, InUse]:
        """Return what has been found since the last call, and begin to read whose turn it is."""
        now = time.monotonic()
        earned = (now - self._last) * SHARE_OF_A_CORE
        self._saved_seconds = min(self._saved_seconds + earned, _MOST_SAVED_SECONDS)
        self._last = now
        self._next = {who: self._next.get(who, 0.0) for who in processes}
        self._pauses = {who: one for who, one in self._pauses.items() if who in self._next}
        found = self._collect(now)
        reading = {child.who for child in self._children}
        for who in sorted(self._next, key=lambda who: self._next[who]):
            busy = len(self._children) >= _MOST_AT_ONCE
            if busy or self._saved_seconds <= 0 or self._next[who] > now:
                break
            if who not in reading:
                self._children.append(_start(self._root, who))
        return {who: one for who, one in found.items() if who in self._next}

    def close(self) -> None:
        """End the processes that still read."""
        for child in self._children:
            with suppress(ProcessLookupError):
                os.kill(child.pid, signal.SIGKILL)
            os.close(child.pipe)
            os.waitpid(child.pid, 0)
        self._children = []

    def _collect(self, now: float) -> dict[Identity, InUse]:
        """Take what the children that are ready have found, and count what they cost."""
        ready, _, _ = select.select([child.pipe for child in self._children], [], [], 0)
        found = {}
        for child in [child for child in self._children if child.pipe in ready]:
            self._children.remove(child)
            with os.fdopen(child.pipe, "rb") as pipe:
                data = pipe.read()
            _, status, usage = os.wait4(child.pid, 0)
            self._saved_seconds -= usage.ru_utime + usage.ru_stime
            told = marshal.loads(data) if data else None
            if told:
                found[child.who] = InUse(*told)
            if child.who in self._next:
                moved = bool(data) and not told
                self._next[child.who] = now + self._pause(
                    child.who, status, moved=moved, told=bool(told)
                )
        return found

    def _pause(self, who: Identity, status: int, *, moved: bool, told: bool) -> float:
        """Return for how many seconds a heap that was read is left alone."""
        last = self._pauses.pop(who, None)
        if told:
            return 0.0
        if os.WIFSIGNALED(status):
            return _LONG_PAUSE_SECONDS
        if moved:
            return _FIRST_PAUSE_SECONDS
        pause = _FIRST_PAUSE_SECONDS if last is None else min(2 * last, _PAUSE_SECONDS)
        self._pauses[who] = pause
        return pause


def _start(root: Path, who: Identity) -> _Child:
    """Start a process that reads one heap, and ends."""

    def read(writing: int) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        # It may change while it is read, so anything may be met; then nothing is written.
        with suppress(OomlabError, OSError, LookupError, ValueError, MemoryError):
            os.write(writing, marshal.dumps(_read_within_limits(root, who)))

    return _Child(who, *start_worker(read))


def _read_within_limits(root: Path, who: Identity) -> tuple[int, int] | tuple[()]:
    """Return a heap's bytes from the kernel and those in use, nothing where it moved meanwhile.

    Raises what reading a heap does, and ends the process where it costs too much.
    """
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_PROF, _MOST_CPU_SECONDS)
    # A fork begins with all that its parent has.
    begun_pages = int(Path("/proc/self/statm").read_bytes().split()[0])
    most = begun_pages * resource.getpagesize() + _MOST_MEMORY_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    total = read_heap(root, who[0], _LISTS_ONLY_BYTES).total
    if total is None or not 0 <= total.uordblks <= total.arena:
        return ()
    return total.arena + total.hblkhd, total.uordblks + total.hblkhd
