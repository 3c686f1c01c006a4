"""Records fixtures/memory/: the machine's counters before and after each thing docs/memory.md says.

    python tests/memory_fixture.py        (as root, on a machine at rest; it drops caches twice)

Real counters of a real machine, one snapshot a step, without its processes.
"""

from __future__ import annotations

import mmap
import os
import tempfile
from pathlib import Path

from oomlab.readers.machine import read_machine
from oomlab.readers.meminfo import read_meminfo
from oomlab.readers.procfs import PROC
from oomlab.readers.saved import save_snapshot
from oomlab.snapshot import Snapshot

HERE = Path(__file__).parent.parent / "fixtures" / "memory"
GIB = 1 << 30


def record(name: str) -> None:
    meminfo = read_meminfo(PROC)
    machine, _ = read_machine(PROC)
    release = (machine.release or "").partition("-")[0]
    machine = machine._replace(pressure=None, uptime_seconds=None, release=release)
    snapshot = Snapshot(machine=machine, tasks=(), meminfo=meminfo)
    save_snapshot(snapshot, HERE / f"{name}.json")
    (HERE / f"{name}.json").chmod(0o644)


def drop_caches() -> None:
    Path("/proc/sys/vm/drop_caches").write_text("3")


def main() -> None:
    HERE.mkdir(exist_ok=True)
    with tempfile.NamedTemporaryFile() as file, tempfile.NamedTemporaryFile(dir="/dev/shm") as shm:
        for _ in range(1024):
            file.write(os.urandom(1 << 20))
        file.flush()
        os.sync()
        drop_caches()
        record("before")
        file.seek(0)
        while file.read(1 << 20):
            pass
        record("read")
        private = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
        with mmap.mmap(-1, 4 * GIB, flags=private) as promised:
            promised.madvise(mmap.MADV_NOHUGEPAGE)
            record("promised")
            promised[: GIB >> 1] = bytes(GIB >> 1)
            record("touched")
        for _ in range(512):
            shm.write(bytes(1 << 20))
        shm.flush()
        os.sync()
        record("tmpfs")
        drop_caches()
        record("dropped")


if __name__ == "__main__":
    main()
