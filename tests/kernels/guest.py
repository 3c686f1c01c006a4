"""One boot of a kernel under QEMU, and the records that its agent left."""

from __future__ import annotations

import json
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from . import image

MEMORY_MIB = 384
"""In two NUMA nodes of half that: small, so that little fills it."""
SWAP_MIB = 64
RECORD_MIB = 256
ATTEMPTS = 4
"""QEMU's emulation sometimes crashes a recent kernel in its first seconds."""
BOOT_SECONDS = 180
STALL_SECONDS = 120


class Boot(NamedTuple):
    """What came out of a boot."""

    records: list[tuple[str, dict[str, Any]]]
    seconds: float
    finished: bool
    attempts: int


def boot(kernel: Path, plan: str, mode: str, keep: Path) -> Boot:
    """Boot until the plan was played, and once more where the emulator crashed early.

    ``mode`` is v1 or v2, the cgroups' version; the console's log is left in ``keep``.
    """
    keep.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    for attempt in range(1, ATTEMPTS + 1):
        with tempfile.TemporaryDirectory(prefix="oomlab-lab-") as name:
            work = Path(name)
            _run(kernel, image.build(work, plan), mode, work, keep)
            records = list(parse_records((work / "records").read_bytes()))
        finished = any(kind == "end" for kind, _ in records)
        began = b"lab: " in (keep / "console.log").read_bytes()
        if began or attempt == ATTEMPTS:
            return Boot(records, time.monotonic() - started, finished, attempt)
    raise AssertionError("unreachable")


def parse_records(data: bytes) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the agent's records: kind and body. A record cut by a crash is left out."""
    for line in data.rstrip(b"\0").split(b"\n"):
        kind, _, body = line.partition(b" ")
        if not body:
            continue
        try:
            yield kind.decode(), json.loads(body)
        except ValueError:
            return


def _run(kernel: Path, initramfs: Path, mode: str, work: Path, keep: Path) -> None:
    disks = {"swap": SWAP_MIB, "records": RECORD_MIB}
    for name, mib in disks.items():
        with (work / name).open("wb") as file:
            file.truncate(mib << 20)
    half = MEMORY_MIB // 2
    console = keep / "console.log"
    words = (
        "console=ttyS0 quiet loglevel=1 panic=-1 mitigations=off log_buf_len=1M "
        f"swapaccount=1 lab={mode}"
    )
    command = f"""qemu-system-x86_64 -accel kvm -accel tcg,thread=single -cpu Nehalem
        -smp 2,sockets=2 -m {MEMORY_MIB}
        -object memory-backend-ram,id=m0,size={half}M -numa node,memdev=m0,cpus=0
        -object memory-backend-ram,id=m1,size={half}M -numa node,memdev=m1,cpus=1
        -display none -nic none -no-reboot -serial file:{console}""".split()
    for index, name in enumerate(disks):
        drive = f"file={work / name},format=raw,if=none,id=d{index}"
        command += ["-drive", drive, "-device", f"nvme,drive=d{index},serial={index}"]
    command += ["-kernel", str(kernel), "-initrd", str(initramfs), "-append", words]
    guest = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _await_end(guest, console)
    finally:
        guest.kill()
        guest.wait()


def _await_end(guest: subprocess.Popen[bytes], console: Path) -> None:
    """Wait while the console shows progress; a guest that hangs is given up."""
    size, limit = 0, time.monotonic() + BOOT_SECONDS
    while guest.poll() is None and time.monotonic() < limit:
        time.sleep(0.2)
        grown = console.stat().st_size if console.exists() else 0
        if grown != size:
            size, limit = grown, time.monotonic() + STALL_SECONDS
