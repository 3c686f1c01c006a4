"""Drive tests/programs/heap.c, and compare what we read of its heap with what it says itself."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from compiled import compiled

from oomlab.analysis.heap import parts
from oomlab.glibc.heap import Survey
from oomlab.readers.heap import read_heap
from oomlab.readers.procfs import PROC

_HEAP = re.compile(r'<heap nr="\d+">(.*?)</heap>', re.DOTALL)
_SIZE = re.compile(r'<(\w+) type="(\w+)"(?: count="(\d+)")? size="(\d+)"')


class Said(NamedTuple):
    """What the program says of its own heap."""

    mallinfo: dict[str, int]
    arenas: list[dict[str, int]]
    """Of each arena in glibc's order: system, max, fast_count, fast, rest_count, rest."""


class Driven:
    """A running heap program."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.pid = process.pid

    def do(self, *lines: str) -> Said:
        """Give it lines to obey and return what it says then; it is at rest afterwards."""
        self.tell(*lines, "0 q")
        assert self._process.stdout is not None
        text = ""
        for line in iter(self._process.stdout.readline, "ready\n"):
            assert line, "the program ended"
            text += line
        return _said(text)

    def tell(self, *lines: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write("".join(f"{line}\n" for line in lines))
        self._process.stdin.flush()


def _said(text: str) -> Said:
    plain, _, xml = text.partition("<malloc")
    info = {name: int(value) for name, value in (line.split() for line in plain.splitlines())}
    arenas = []
    for heap in _HEAP.findall(xml):
        values: dict[str, int] = {}
        for kind, of, count, size in _SIZE.findall(heap):
            values[of if kind == "total" else f"{kind}_{of}"] = int(size)
            if count:
                values[f"{of}_count"] = int(count)
        arenas.append(values)
    return Said(info, arenas)


@contextmanager
def driven(
    *lines: str,
    flags: Sequence[str] = (),
    command: Sequence[str | Path] = (),
    env: Mapping[str, str] | None = None,
) -> Iterator[tuple[Driven, Said]]:
    """Run the program, have it obey the lines, and yield it with what it says."""
    program = command or [compiled("heap", *flags)]
    with subprocess.Popen(
        [str(word) for word in program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **(env or {})},
    ) as process:
        try:
            one = Driven(process)
            yield one, one.do(*lines)
        finally:
            process.kill()


def read(one: Driven) -> Survey:
    return read_heap(PROC, one.pid)


def assert_equal(found: Survey, said: Said) -> None:
    """Every figure equals the program's own to the byte, and the structure holds throughout."""
    assert [check for check in found.checks if not check.holds] == []
    assert found.total is not None
    assert found.total._asdict() == said.mallinfo
    assert len(found.arenas) == len(said.arenas)
    for arena, own in zip(found.arenas, said.arenas, strict=True):
        info = arena.info
        assert info is not None
        assert (info.arena, arena.max_system_mem) == (own["system_current"], own["system_max"])
        assert (info.smblks, info.fsmblks) == (own.get("fast_count", 0), own.get("fast", 0))
        # malloc_info takes the flags of a size field for a part of it: 1 for PREV_INUSE, which
        # every free chunk has, and 4 for NON_MAIN_ARENA, which some outside main_arena have.
        holes = info.ordblks - 1
        assert own["rest_count"] in (info.ordblks, holes)
        # glibc 2.27 and older leave the top out.
        top = arena.top_bytes if own["rest_count"] == holes else 0
        flags = own["rest"] - (info.fordblks - info.fsmblks - top) - holes
        assert flags in range(0, 1 if arena.is_main else 4 * holes + 1, 4)
        if not arena.is_main:
            sizes = [view.stretch.end - view.stretch.start for view in arena.stretches]
            # Old ones look at the last heap of an arena only.
            old = found.version is not None and found.version < (2, 27)
            assert own["aspace_total"] == (sizes[-1] if old else sum(sizes))
    whole = parts(found)
    assert whole is not None
    size = whole.used_bytes + whole.tcache_bytes + whole.fast_bytes + whole.hole_bytes
    size += whole.top_bytes + whole.mmapped_bytes + whole.overhead_bytes
    assert size == said.mallinfo["arena"] + said.mallinfo["hblkhd"]
    assert whole.overhead_bytes >= 0
