"""A process that holds memory of one kind for the tests: python memory_holder.py KIND BYTES ADJ.

It prints "ready" when it holds the memory, then waits for lines: "write PATH BYTES" appends to
a file (on tmpfs: memory that is in nobody's RSS) and answers "written".
"""

import mmap
import sys
import tempfile
from pathlib import Path

CHUNK = b"x" * 65536
"""Small and made beforehand: writing must not change the writer's own size."""


def hold(kind: str, size: int) -> mmap.mmap:
    if kind == "file":
        with tempfile.TemporaryFile(dir="/var/tmp") as stored:
            stored.truncate(size)
            block = mmap.mmap(stored.fileno(), size)
        sum(block[:: mmap.PAGESIZE])
        return block
    flags = mmap.MAP_SHARED if kind == "shmem" else mmap.MAP_PRIVATE
    block = mmap.mmap(-1, size, flags | mmap.MAP_ANONYMOUS)
    for start in range(0, size, mmap.PAGESIZE):
        block[start] = 1
    return block


def main() -> None:
    kind, size, adj = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    Path("/proc/self/oom_score_adj").write_text(str(adj))
    held = hold(kind, size) if size else None
    print("ready", flush=True)
    for line in sys.stdin:
        _, path, amount = line.split()
        with Path(path).open("ab", buffering=0) as stream:
            for _ in range(int(amount) // len(CHUNK)):
                stream.write(CHUNK)
        print("written", flush=True)
    del held


if __name__ == "__main__":
    main()
