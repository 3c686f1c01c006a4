"""Inside the guest: a process fills a cgroup with memory that counts in nobody's badness.

So all sizes stay what they were, and what was said before the first kill is judged by all kills.
"""

from __future__ import annotations

import mmap
import struct
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

CHUNK_BYTES = 64 * 1024
"""Little, so that one kill gives room for more than one."""
MOST_BYTES = 64 << 20
PROGRAM = "/bin/filler"
STOPS = {1: "killed", 2: "refused", 3: "enough"}
_BOARD = Path("/ram/board")
_POLL_SECONDS = 0.005
_ORDER, _ANSWER, _WHY, _WROTE, _FIRST_FILE = range(5)

Json = dict[str, Any]


class Filler:
    """The running filler.c. It inherits oom_score_adj and joins ``place`` below ``top``."""

    def __init__(self, top: Path, place: str, groups: Iterable[str]) -> None:
        self._files = {f"/{path}": _usage_file(top / path) for path in groups}
        _BOARD.write_bytes(bytes(mmap.PAGESIZE))
        with _BOARD.open("r+b") as file:
            self._board = mmap.mmap(file.fileno(), mmap.PAGESIZE)
        words = [PROGRAM, _BOARD, str(CHUNK_BYTES), str(MOST_BYTES), *self._files.values()]
        self._process = subprocess.Popen(
            words, preexec_fn=lambda: _join(top / place), stdin=subprocess.DEVNULL
        )
        time.sleep(0.2)

    def go_on(self, limit_seconds: float) -> Json:
        """Let it fill until somebody was killed, memory is refused, or it has written enough.

        Returns ``why`` it stopped, how much it ``wrote``, and each cgroup's ``usage`` before the
        last chunk, in bytes.
        """
        self._put(_ORDER, self._get(_ORDER) + 1)
        limit = time.monotonic() + limit_seconds
        while self._get(_ANSWER) != self._get(_ORDER):
            if time.monotonic() > limit:
                return {"why": "hung", "wrote": 0, "usage": {}}
            time.sleep(_POLL_SECONDS)
        usage = {path: self._get(_FIRST_FILE + n) for n, path in enumerate(self._files)}
        return {"why": STOPS[self._get(_WHY)], "wrote": self._get(_WROTE), "usage": usage}

    def usage(self) -> dict[str, int]:
        """Return the memory in use of each cgroup, in bytes."""
        return {path: int(file.read_bytes()) for path, file in self._files.items()}

    def end(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()
        self._board.close()

    def _get(self, place: int) -> int:
        (value,) = struct.unpack_from("<q", self._board, 8 * place)
        return int(value)

    def _put(self, place: int, value: int) -> None:
        struct.pack_into("<q", self._board, 8 * place, value)


def _join(directory: Path) -> None:
    (directory / "cgroup.procs").write_text("0")


def _usage_file(directory: Path) -> Path:
    v2 = directory / "memory.current"
    return v2 if v2.exists() else directory / "memory.usage_in_bytes"
