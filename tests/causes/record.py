"""Boot a scene under QEMU and bring home the kernel's log of its first kill."""

from __future__ import annotations

import lzma
import re
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from ..kernels import fetch, image
from .scenes import Scene

HERE = Path(__file__).resolve().parent
MEMORY_MIB = 384
BOOT_SECONDS = 600
ATTEMPTS = 4
"""QEMU's emulation now and then crashes a kernel."""
_FIRST = "invoked oom-killer"


class RecordError(Exception):
    """A scene that did not end in a kill."""


def record(scene: Scene, kernel: fetch.Kernel) -> str:
    """Return the kernel's log from the first report of a scene to its kill and aftermath."""
    package = kernel.package.replace("cloud-amd64", scene.flavour)
    kernel = kernel._replace(package=package)
    console = ""
    for _ in range(ATTEMPTS):
        with tempfile.TemporaryDirectory(prefix="oomlab-causes-") as name:
            work = Path(name)
            _build(scene, kernel, work)
            console = boot(scene, fetch.fetch(kernel), work).replace("\r", "")
        report = first_report(console.partition("lab: log\n")[2].partition("lab: end")[0])
        if report:
            return report
    raise RecordError(f"{scene.name}: no kill; the console says:\n{console[-2000:]}")


def first_report(log: str) -> str:
    """Return the lines from the first report's trigger on, up to the next one's; none if cut."""
    lines = log.splitlines(keepends=True)
    places = [i for i, line in enumerate(lines) if _FIRST in line] + [len(lines)]
    text = "".join(lines[places[0] : places[1]]) if len(places) > 1 else ""
    return text if "Killed process" in text else ""


def _build(scene: Scene, kernel: fetch.Kernel, work: Path) -> None:
    root = work / "root"
    for name in ("bin", "dev", "proc", "sys", "tmp", "modules"):
        (root / name).mkdir(parents=True)
    shutil.copy(shutil.which("busybox") or "busybox", root / "bin/busybox")
    (root / "bin/sh").symlink_to("busybox")
    flags = ["-O2", "-Wall", "-Werror", "-static", "-pthread"]
    subprocess.run(["gcc", *flags, "-o", root / "bin/uses", HERE / "uses.c"], check=True)
    shutil.copy(HERE / "init.sh", root / "init")
    (root / "init").chmod(0o755)
    (root / "scene").write_text(scene.script + "\n")
    if scene.modules:
        home = fetch.fetch_modules(kernel)
        for place, name in enumerate(scene.modules):
            (packed,) = home.rglob(f"{name}.ko.xz")
            (root / f"modules/{place}-{name}.ko").write_bytes(lzma.decompress(packed.read_bytes()))
    image.pack(root, work / "initramfs")


def boot(scene: Scene, kernel: Path, work: Path) -> str:
    """Boot the machine of a scene with ``work/initramfs``; return what its console says."""
    console, monitor = work / "console", work / "monitor"
    command = f"""qemu-system-x86_64 -accel tcg,thread=single -cpu Nehalem -smp 2
        -m {MEMORY_MIB} -display none -nic none -no-reboot -serial file:{console}
        -monitor unix:{monitor},server=on,wait=off {scene.devices}""".split()
    if scene.disk_mib:
        with (work / "disk").open("wb") as file:
            file.truncate(scene.disk_mib << 20)
        drive = f"file={work / 'disk'},format=raw,if=none,id=disk"
        if scene.disk_bytes_per_second:
            drive += f",throttling.bps-total={scene.disk_bytes_per_second}"
        command += ["-drive", drive, "-device", "nvme,drive=disk,serial=disk"]
    words = f"console=ttyS0 quiet loglevel=1 panic=-1 log_buf_len=4M {scene.boot}"
    command += ["-kernel", str(kernel), "-initrd", str(work / "initramfs"), "-append", words]
    guest = subprocess.Popen(command, stdin=subprocess.DEVNULL, cwd=work)
    try:
        _await(guest, console, lambda order: _tell(monitor, order))
    finally:
        guest.kill()
        guest.wait()
    return console.read_text(errors="replace")


def _await(guest: subprocess.Popen[bytes], console: Path, tell: Callable[[str], None]) -> None:
    """Wait for the guest's end, and pass on what it orders from QEMU's monitor."""
    limit, done = time.monotonic() + BOOT_SECONDS, 0
    while guest.poll() is None and time.monotonic() < limit:
        time.sleep(0.2)
        text = console.read_text(errors="replace") if console.exists() else ""
        orders = re.findall(r"^monitor: (.*)\n", text, re.MULTILINE)
        for order in orders[done:]:
            tell(order.strip())
        done = len(orders)


def _tell(monitor: Path, order: str) -> None:
    with socket.socket(socket.AF_UNIX) as line:
        line.connect(str(monitor))
        line.settimeout(2)
        line.recv(4096)
        line.sendall(order.encode() + b"\n")
        time.sleep(0.5)
