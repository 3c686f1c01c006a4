"""One boot of a kernel under QEMU, and the records that its agent left."""

from __future__ import annotations

import json
import os
import re
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from . import image

MEMORY_MIB = 384
"""In two NUMA nodes of half that: small, so that little fills it."""
SWAP_MIB = 64
RECORD_MIB = 256
MAX_CRASHES = 8
"""QEMU's emulation (not KVM) now and then crashes a recent kernel, early or late."""
STOP = threading.Event()
"""Set when the run is interrupted: guests are ended and no more are started."""
KVM_IS_DEAD = threading.Event()
"""Set when a guest said nothing under KVM: there are machines whose /dev/kvm runs nothing."""
KVM_SILENT_SECONDS = 30
BOOT_SECONDS = 180
STALL_SECONDS = 120


class Boot(NamedTuple):
    """What came out of playing a plan."""

    records: list[tuple[str, dict[str, Any]]]
    seconds: float
    finished: bool
    crashes: int
    deadlocked: bool
    """Whether a crash was the OOM killer's own panic: nobody was left to kill."""


def boot(
    kernel: Path, plan: dict[str, Any], mode: str, keep: Path, programs: Path | None = None
) -> Boot:
    """Boot and play the plan; after a crash boot again and go on with the next scene.

    ``mode`` is v1 or v2, the cgroups' version; the consoles' logs are left in ``keep``.
    ``programs`` has further ones in bin and libraries of theirs in lib.
    """
    keep.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    records: list[tuple[str, dict[str, Any]]] = []
    consoles: list[str] = []
    scenes = plan["scenes"]
    while scenes and len(consoles) <= MAX_CRASHES and not STOP.is_set():
        console = keep / f"console-{len(consoles)}.log"
        with tempfile.TemporaryDirectory(prefix="oomlab-lab-") as name:
            work = Path(name)
            initramfs = image.build(work, json.dumps(plan | {"scenes": scenes}), programs)
            _run(kernel, initramfs, mode, work, console)
            records += parse_records((work / "records").read_bytes())
        consoles.append(console.read_text(errors="replace"))
        if ("end", {}) in records[-1:]:
            scenes = []
        else:
            scenes = [scene for scene in scenes if scene["number"] > last_scene(consoles[-1])]
    return Boot(
        records=records,
        seconds=time.monotonic() - started,
        finished=not scenes,
        crashes=len(consoles) - (("end", {}) in records[-1:]),
        deadlocked=any("deadlocked on memory" in text for text in consoles),
    )


def last_scene(console: str) -> int:
    """Return the number of the last scene that a console tells of, -1 where there is none."""
    numbers = re.findall(r"^lab: scene (\d+)", console, re.MULTILINE)
    return int(numbers[-1]) if numbers else -1


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


def _run(kernel: Path, initramfs: Path, mode: str, work: Path, console: Path) -> None:
    if not KVM_IS_DEAD.is_set() and os.access("/dev/kvm", os.R_OK | os.W_OK):
        _run_by("kvm", kernel, initramfs, mode, work, console)
        if console.exists() and console.stat().st_size:
            return
        KVM_IS_DEAD.set()
    if not STOP.is_set():
        _run_by("tcg,thread=single", kernel, initramfs, mode, work, console)


def _run_by(
    accelerator: str, kernel: Path, initramfs: Path, mode: str, work: Path, console: Path
) -> None:
    disks = {"swap": SWAP_MIB, "records": RECORD_MIB}
    for name, mib in disks.items():
        with (work / name).open("wb") as file:
            file.truncate(mib << 20)
    half = MEMORY_MIB // 2
    console.unlink(missing_ok=True)
    words = (
        "console=ttyS0 quiet loglevel=1 panic=-1 mitigations=off log_buf_len=1M "
        f"swapaccount=1 psi=1 lab={mode}"
    )
    command = f"""qemu-system-x86_64 -accel {accelerator} -cpu Nehalem
        -smp 2,sockets=2 -m {MEMORY_MIB}
        -object memory-backend-ram,id=m0,size={half}M -numa node,memdev=m0,cpus=0
        -object memory-backend-ram,id=m1,size={half}M -numa node,memdev=m1,cpus=1
        -display none -nic none -no-reboot -serial file:{console}""".split()
    for name in disks:
        drive = f"file={work / name},format=raw,if=none,id={name}"
        command += ["-drive", drive, "-device", f"nvme,drive={name},serial={name}"]
    command += ["-kernel", str(kernel), "-initrd", str(initramfs), "-append", words]
    guest = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _await_end(guest, console, BOOT_SECONDS if "tcg" in accelerator else KVM_SILENT_SECONDS)
    finally:
        guest.kill()
        guest.wait()


def _await_end(guest: subprocess.Popen[bytes], console: Path, first_word_seconds: int) -> None:
    """Wait while the console shows progress; a guest that hangs is given up."""
    size, limit = 0, time.monotonic() + first_word_seconds
    while guest.poll() is None and time.monotonic() < limit and not STOP.is_set():
        time.sleep(0.2)
        grown = console.stat().st_size if console.exists() else 0
        if grown != size:
            size, limit = grown, time.monotonic() + STALL_SECONDS
