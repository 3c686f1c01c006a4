"""The guest's whole user space: busybox, the crowd program, and a Python that runs oomlab.

The Python is this one: its binary, the libraries it links, and of the standard library those
modules that the agent imports, found by importing it here.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import oomlab

HERE = Path(__file__).resolve().parent
_PACKAGE = Path(oomlab.__file__).resolve().parent

_LIST_MODULES = """
import sys
sys.path[:0] = [{here!r}, {parent!r}]
import agent, oomlab.analysis.ranking, oomlab.readers.cgroupfs, oomlab.readers.engines
import encodings.ascii
for module in list(sys.modules.values()):
    path = getattr(module, "__file__", None)
    if path:
        print(path)
"""


def build(directory: Path, plan: str, programs: Path | None = None) -> Path:
    """Write the initramfs with a plan inside into ``directory`` and return its path."""
    root = directory / "root"
    for name in ("bin", "dev", "proc", "sys", "ram", "python", "tmp"):
        (root / name).mkdir(parents=True)
    shutil.copy(shutil.which("busybox") or "busybox", root / "bin/busybox")
    (root / "bin/sh").symlink_to("busybox")
    shutil.copy(HERE / "init.sh", root / "init")
    (root / "init").chmod(0o755)
    for name in ("crowd", "filler"):
        compile_program(name, root / "bin" / name)
    _copy_python(root)
    if programs is not None:
        _copy_programs(programs, root)
    for name in ("agent.py", "filling.py", "oomd_guest.py"):
        shutil.copy(HERE / name, root / name)
    (root / "plan.json").write_text(plan)
    return pack(root, directory / "initramfs")


def compile_program(name: str, target: Path) -> None:
    """Compile a program of the guest's processes, linked statically."""
    flags = ["-O2", "-Wall", "-Werror", "-static", "-pthread"]
    subprocess.run(["gcc", *flags, "-o", target, HERE / f"{name}.c"], check=True)


def _copy_python(root: Path) -> None:
    binary = Path(sys.executable).resolve()
    shutil.copy(binary, root / "bin/python")
    library = Path(sysconfig.get_path("stdlib"))
    home = root / "python/lib" / library.name
    copied = [binary]
    for path in _modules():
        if _PACKAGE in path.parents:
            target = home / "oomlab" / path.relative_to(_PACKAGE)
        elif library in path.parents and "site-packages" not in path.parts:
            target = home / path.relative_to(library)
        else:
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
        copied.append(path)
    (home / "lib-dynload").mkdir(exist_ok=True)
    for shared in {found for path in copied for found in _shared_libraries(path)}:
        target = root / str(shared).lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(shared, target)


def _copy_programs(programs: Path, root: Path) -> None:
    """Copy programs that were not built here, with all libraries that they load."""
    (root / "lib/oomd").mkdir(parents=True, exist_ok=True)
    for program in (programs / "bin").iterdir():
        shutil.copy(program, root / "bin")
        for shared in _shared_libraries(program, programs / "lib"):
            shutil.copy(shared, root / "lib/oomd")


def _modules() -> list[Path]:
    code = _LIST_MODULES.format(here=str(HERE), parent=str(_PACKAGE.parent))
    command = [str(Path(sys.executable).resolve()), "-I", "-B", "-c", code]
    listed = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    return [Path(line) for line in listed.splitlines()]


def _shared_libraries(path: Path, beside: Path | None = None) -> list[Path]:
    """Return what the dynamic loader would load for a binary or an extension module."""
    if path.suffix == ".py":
        return []
    more = {} if beside is None else {"LD_LIBRARY_PATH": str(beside)}
    listed = subprocess.run(
        ["ldd", path], capture_output=True, text=True, env={**os.environ, **more}
    ).stdout
    return [Path(found) for found in re.findall(r"(?:=> |^\s*)(/\S+) \(0x", listed, re.MULTILINE)]


def pack(root: Path, image: Path) -> Path:
    """Write a directory as an initramfs and return its path."""
    names = "\n".join(str(path.relative_to(root)) for path in sorted(root.rglob("*")))
    with image.open("wb") as file:
        command = ["cpio", "-o", "-H", "newc", "-R", "0:0", "--quiet"]
        subprocess.run(command, input=names.encode(), stdout=file, cwd=root, check=True)
    return image
