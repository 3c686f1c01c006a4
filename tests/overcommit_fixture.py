"""Records fixtures/memory/overcommit-2.json: a real kernel's counters with vm.overcommit_memory 2.

    python -m tests.overcommit_fixture        (needs what the kernel lab needs: see its README)

Beside it overcommit-2.measured.json says how many pages one request could ask for at that moment.
"""

from __future__ import annotations

import json
import re
import subprocess
import tempfile
from pathlib import Path

from oomlab.readers.machine import read_machine
from oomlab.readers.meminfo import read_meminfo
from oomlab.readers.saved import save_snapshot
from oomlab.snapshot import Snapshot

from .causes.record import boot
from .causes.scenes import Scene
from .kernels import fetch, image

TESTS = Path(__file__).parent
HERE = TESTS.parent / "fixtures" / "memory"
KERNEL = "6.12"
_PART = re.compile(r"^=== (\S+)\n(.*?)(?=^=== )", re.MULTILINE | re.DOTALL)


def record() -> dict[str, str]:
    """Boot the kernel and return what the program prints, by name."""
    (kernel,) = (one for one in fetch.find_kernels() if one.series == KERNEL)
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        (work / "root/dev").mkdir(parents=True)
        program = TESTS / "programs/promise.c"
        flags = ["-O1", "-Wall", "-Werror", "-static"]
        subprocess.run(["gcc", *flags, "-o", work / "root/init", program], check=True)
        image.pack(work / "root", work / "initramfs")
        console = boot(Scene("overcommit", "", ""), fetch.fetch(kernel), work)
    return dict(_PART.findall(console.replace("\r", "").partition("lab: log\n")[2]))


def main() -> None:
    parts = record()
    with tempfile.TemporaryDirectory() as name:
        root = Path(name) / "proc"
        for path, text in parts.items():
            if path.startswith("/proc/"):
                (root / path.removeprefix("/proc/")).parent.mkdir(parents=True, exist_ok=True)
                (root / path.removeprefix("/proc/")).write_text(text)
        machine, _ = read_machine(root)
        snapshot = Snapshot(machine=machine, tasks=(), meminfo=read_meminfo(root))
        save_snapshot(snapshot, HERE / "overcommit-2.json")
        (HERE / "overcommit-2.json").chmod(0o644)
    measured = {
        who: dict(zip(("granted_pages", "own_pages"), map(int, parts[who].split()), strict=True))
        for who in ("root", "other")
    }
    for name in ("admin_reserve_kbytes", "user_reserve_kbytes"):
        measured[name] = int(parts[f"/proc/sys/vm/{name}"])
    (HERE / "overcommit-2.measured.json").write_text(json.dumps(measured, indent=1) + "\n")
    print(json.dumps(measured, indent=1))


if __name__ == "__main__":
    main()
