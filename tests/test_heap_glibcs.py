"""The same sequences on other releases of glibc; opt-in, since they must be fetched first.

OOMLAB_GLIBCS names directories (separated by colons) into each of which a libc6 package of Debian
or Ubuntu, amd64 or i386, was unpacked: ``dpkg-deb -x libc6_2.41-12_amd64.deb DIRECTORY``. The
program is linked with that libc and run by its own dynamic linker.
"""

from __future__ import annotations

import functools
import os
import re
import subprocess
import tempfile
from pathlib import Path

import pytest
from compiled import PROGRAMS
from heaps import assert_equal, driven, read
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_heap import KIB, OPS, script

GLIBCS = [Path(name) for name in os.environ.get("OOMLAB_GLIBCS", "").split(":") if name]
NONE = pytest.param(
    None,
    marks=pytest.mark.skip(reason="OOMLAB_GLIBCS names no directories with libc6 unpacked"),
    id="none",
)


@functools.cache
def built(root: Path) -> list[str]:
    """Return the command that runs the program with that glibc."""
    libc = next(path for path in root.rglob("libc.so.6"))
    directory = libc.parent
    linker = next(directory.glob("ld-linux*.so.2"))
    narrow = linker.name == "ld-linux.so.2"
    threads = [path for path in (directory / "libpthread.so.0",) if path.exists()]
    text = libc.read_bytes()
    old = ["-DOLD_MALLINFO"] if b"mallinfo2" not in text else []
    made = Path(tempfile.mkdtemp()) / "heap"
    width = "-m32" if narrow else "-m64"
    start = [
        subprocess.run(
            ["gcc", width, f"-print-file-name={name}"], capture_output=True, text=True, check=True
        ).stdout.strip()
        for name in ("crt1.o", "crti.o", "crtn.o")
    ]
    done = subprocess.run(
        [
            *("gcc", width, "-O1", "-w", "-no-pie", "-fno-stack-protector", "-nostdlib", *old),
            *("-U_FORTIFY_SOURCE", "-o", str(made), start[0], start[1]),
            *(str(PROGRAMS / "heap.c"), str(libc), *map(str, threads), str(linker), start[2]),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        pytest.skip(f"can't link with {libc}: {done.stderr.strip().splitlines()[-1]}")
    return [str(linker), "--library-path", str(directory), str(made)]


@pytest.mark.parametrize("root", GLIBCS or [NONE], ids=lambda path: path.name)
def test_every_release_says_the_same_of_itself(root: Path) -> None:
    command = built(root)

    @settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(OPS, max_size=150))
    def compare(operations: list[tuple[int, str, int, int]]) -> None:
        lines, _ = script(operations)
        with driven("0 m 100 10", *lines, command=command) as (one, said):
            found = read(one)
            banner = re.search(r"2\.\d+", root.name)
            if banner:
                assert found.version == tuple(map(int, banner[0].split(".")))
            assert_equal(found, said)

    compare()


@pytest.mark.parametrize("root", GLIBCS or [NONE], ids=lambda path: path.name)
def test_the_threads_caches_of_every_release(root: Path) -> None:
    with driven(
        "0 M 0 40 40", "0 F 0 40 1", "1 M 100 9 500", "1 F 100 9 1", command=built(root)
    ) as (
        one,
        said,
    ):
        found = read(one)
        assert_equal(found, said)
        cached = sorted(len(cache.chunks) for cache in found.tcaches)
        version = found.version or (0, 0)
        # 2.43 keeps 16 chunks of a size for a thread, not 7; before 2.26 there is no tcache.
        assert cached == ([] if version < (2, 26) else [7, 7] if version < (2, 43) else [9, 16])


@pytest.mark.parametrize("root", GLIBCS or [NONE], ids=lambda path: path.name)
def test_several_heaps_of_every_release(root: Path) -> None:
    command = built(root)
    narrow = command[0].endswith("ld-linux.so.2")
    blocks, size = (60, 60 * KIB) if narrow else (700, 100 * KIB)
    with driven(f"1 M 0 {blocks} {size}", f"1 F 0 {blocks} 2", command=command) as (one, said):
        found = read(one)
        assert_equal(found, said)
        assert len(found.arenas[1].stretches) > 1
