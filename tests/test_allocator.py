"""Which allocator a process uses, told by names and symbols, of real programs where there are."""

from __future__ import annotations

import ctypes.util
import os
import shutil
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest
from compiled import compiled, running

from oomlab.analysis.allocator import WANTED_SYMBOLS, Allocator, find_allocators, unknown_reason
from oomlab.analysis.tunables import RETURNS, Tunable, find_tunables
from oomlab.mappings import AddressSpace, Mapping
from oomlab.process import ElfFacts
from oomlab.readers.elf import read_elves
from oomlab.readers.mappings import read_address_space
from oomlab.readers.procfs import PROC


def of(pid: int, *, symbols: bool = True) -> tuple[Allocator, ...]:
    space = read_address_space(PROC, pid)
    if not space.mappings:
        pytest.skip("maps of a child can't be read here")
    return find_allocators(space, read_elves(PROC, space, WANTED_SYMBOLS)[0] if symbols else None)


def malloc_of(found: tuple[Allocator, ...]) -> list[str]:
    return [one.key for one in found if one.is_malloc]


PRELOADED = {
    "jemalloc": ("jemalloc",),
    "tcmalloc": ("tcmalloc_minimal", "tcmalloc"),
    "mimalloc": ("mimalloc",),
}


def library(*names: str) -> str:
    """Return an installed library of one of the names, or skip the test."""
    for name in names:
        found = ctypes.util.find_library(name)
        if found is not None:
            return found
    pytest.skip(f"lib{names[0]} is not installed")


@pytest.mark.parametrize("key", PRELOADED)
@pytest.mark.parametrize("symbols", [True, False])
def test_a_preloaded_allocator_is_recognised(key: str, symbols: bool) -> None:
    environment = os.environ | {"LD_PRELOAD": library(*PRELOADED[key])}
    with running(compiled("kinds"), "1", env=environment) as (process, _):
        assert malloc_of(of(process.pid, symbols=symbols)) == [key]


@pytest.mark.parametrize(
    "flags", [(), ("-static",), ("-s",)], ids=["dynamic", "static", "stripped"]
)
def test_glibc_is_recognised(flags: tuple[str, ...]) -> None:
    with running(compiled("kinds", *flags), "1") as (process, _):
        found = of(process.pid)
    if "musl" in malloc_of(found):
        pytest.skip("this machine's C library is musl")
    assert malloc_of(found) == ["glibc"]


def test_what_is_linked_in_and_stripped_is_unknown() -> None:
    with running(compiled("kinds", "-static", "-s"), "1") as (process, _):
        space = read_address_space(PROC, process.pid)
        elves, _ = read_elves(PROC, space, WANTED_SYMBOLS)
    assert find_allocators(space, elves) == ()
    assert "statically and stripped" in unknown_reason(space, elves)
    assert "could not be read" in unknown_reason(space, None)


@pytest.mark.parametrize("flags", [(), ("-static",)], ids=["dynamic", "static"])
def test_musl_is_recognised(flags: tuple[str, ...]) -> None:
    with running(compiled("kinds", *flags, compiler="musl-gcc"), "1") as (process, _):
        assert malloc_of(of(process.pid)) == ["musl"]


def test_a_deleted_program_is_still_read() -> None:
    program = compiled("kinds", "-static", "-g")
    copy = program.with_name("deleted")
    shutil.copy(program, copy)
    with running(copy, "1") as (process, _):
        copy.unlink()
        found = of(process.pid)
        space = read_address_space(PROC, process.pid)
    assert malloc_of(found) == ["glibc"]
    assert space.exe is not None
    assert space.exe.endswith(" (deleted)")


def test_python_is_recognised() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        deadline = time.monotonic() + 60
        found: tuple[Allocator, ...] = ()
        # The loader maps one library after the other: wait for Python's and for libc's.
        while {"python", "glibc"} - {one.key for one in found} and time.monotonic() < deadline:
            found = of(process.pid)
        process.kill()
    assert next(one for one in found if one.key == "python").is_malloc is False
    assert len(malloc_of(found)) == 1


@pytest.mark.skipif(shutil.which("go") is None, reason="go is not installed")
def test_go_is_recognised(tmp_path: Path) -> None:
    (tmp_path / "main.go").write_text(
        'package main\nimport ("fmt"; "time")\n'
        'func main() { fmt.Println("ready"); time.Sleep(time.Hour) }\n'
    )
    environment = os.environ | {"GOFLAGS": "-mod=mod", "GOCACHE": str(tmp_path / "cache")}
    program = tmp_path / "program"
    subprocess.run(
        ["go", "build", "-o", program, "main.go"], cwd=tmp_path, check=True, env=environment
    )
    with running(program) as (process, _):
        found = of(process.pid)
    assert [one.key for one in found] == ["go"]


def mapped(*paths: str) -> AddressSpace:
    entries = (Mapping(4096 * i, 4096 * i + 4096, "r-xp", 0, "fe:00", i, path)
               for i, path in enumerate(paths, 1))  # fmt: skip
    return AddressSpace(1, tuple(entries), exe=paths[0])


def elf(path: str, *defined: str, sections: tuple[str, ...] = ()) -> ElfFacts:
    return ElfFacts(path, frozenset(defined), frozenset(sections), None, False)


def with_mimalloc_inside(path: str) -> list[str]:
    """The allocators of an interpreter that has mimalloc in it, as 3.13 and newer have."""
    space = mapped(path, "/lib/x86_64-linux-gnu/libc.so.6")
    found = find_allocators(space, (elf(path, "PyObject_Malloc", "mi_malloc"),))
    assert malloc_of(found) == ["glibc"]
    return [one.key for one in found]


def test_mimalloc_in_cpython_is_used_by_free_threaded_builds_only() -> None:
    assert with_mimalloc_inside("/usr/bin/python3.13") == ["python", "glibc"]
    assert with_mimalloc_inside("/usr/lib/libpython3.14.so.1.0") == ["python", "glibc"]
    assert with_mimalloc_inside("/usr/bin/python3.13t") == ["mimalloc", "glibc"]
    assert with_mimalloc_inside("/usr/lib/libpython3.14t.so.1.0") == ["mimalloc", "glibc"]


LIBC = "/usr/lib/libc.so.6"
JEMALLOC = "/usr/lib/libjemalloc.so.2"


@pytest.mark.parametrize(
    ("space", "elves", "keys", "malloc"),
    [
        (mapped("/bin/a", LIBC), None, ["glibc"], "glibc"),
        (mapped("/bin/a", JEMALLOC, LIBC), None, ["jemalloc"], "jemalloc"),
        # Its symbols have a prefix: malloc(3) is still the C library's.
        (
            mapped("/bin/a", JEMALLOC, LIBC),
            (elf("/bin/a"), elf(JEMALLOC, "je_mallctl"), elf(LIBC, "malloc", "malloc_info")),
            ["jemalloc", "glibc"],
            "glibc",
        ),
        # Linked into the program, as in Redis or Rust programs of some years ago.
        (
            mapped("/bin/a", LIBC),
            (elf("/bin/a", "malloc", "mallctl"), elf(LIBC, "malloc", "malloc_info")),
            ["jemalloc"],
            "jemalloc",
        ),
        (
            mapped("/bin/a", LIBC),
            (elf("/bin/a", sections=(".gopclntab",)), elf(LIBC, "malloc", "malloc_info")),
            ["go", "glibc"],
            "glibc",
        ),
        (mapped("/bin/a"), (elf("/bin/a", sections=(".go.buildinfo",)),), ["go"], None),
        (mapped("/bin/java", "/opt/jvm/libjvm.so", LIBC), None, ["jvm", "glibc"], "glibc"),
        (mapped("/bin/a", "/lib/ld-musl-x86_64.so.1"), None, ["musl"], "musl"),
        (mapped("/bin/a"), (elf("/bin/a"),), [], None),
    ],
)
def test_who_is_behind_malloc(
    space: AddressSpace, elves: tuple[ElfFacts, ...] | None, keys: list[str], malloc: str | None
) -> None:
    found = find_allocators(space, elves)
    assert [one.key for one in found] == keys
    assert malloc_of(found) == ([malloc] if malloc else [])
    assert set(keys) <= set(RETURNS)


def test_symbols_of_big_endian_and_32_bit_files_are_read() -> None:
    """A made file: two sections of symbols, of which one only refers to malloc."""
    pytest.importorskip("elftools", reason="pyelftools is not installed")
    from oomlab.readers.elf import _defined

    names = b"\0malloc\0mallctl\0"
    entries = [(1, 0), (8, 5)]
    table = b"".join(struct.pack(">IIIBBH", name, 0, 0, 0, 0, place) for name, place in entries)

    class Section(dict):  # type: ignore[type-arg]
        def __init__(self, content: bytes) -> None:
            super().__init__(sh_size=len(content))
            self.content = content
            self.elffile = type("File", (), {"little_endian": False, "elfclass": 32})

        def data(self) -> bytes:
            return self.content

    found = _defined(Section(table), Section(names), frozenset({"malloc", "mallctl", "free"}))
    assert found == {"mallctl"}


@pytest.mark.parametrize("content", [b"", b"#!/bin/sh\n", b"\x7fELF", b"\x7fELF" + b"\xff" * 400])
def test_files_that_are_no_elf_are_passed_over(content: bytes, tmp_path: Path) -> None:
    pytest.importorskip("elftools", reason="pyelftools is not installed")
    from oomlab.readers.elf import _read

    path = tmp_path / "file"
    path.write_bytes(content)
    assert _read(path, "file", frozenset({"malloc"})) is None


def test_without_pyelftools_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "elftools", None)
    elves, gaps = read_elves(PROC, mapped("/bin/a"), WANTED_SYMBOLS)
    assert elves is None
    assert "pip install 'oomlab[elf]'" in gaps[0].why


def test_settings_are_explained() -> None:
    variables = [
        ("MALLOC_ARENA_MAX", "2"),
        ("GLIBC_TUNABLES", "glibc.malloc.trim_threshold=4096:glibc.cpu.x=1"),
        ("_RJEM_MALLOC_CONF", "dirty_decay_ms:0,narenas:4"),
        ("GODEBUG", "madvdontneed=0,gctrace=1"),
        ("GOMEMLIMIT", "1GiB"),
        ("JAVA_TOOL_OPTIONS", "-Xmx1g -Dx=y"),
    ]
    found = find_tunables(variables, ["java", "-XX:+AlwaysPreTouch", "-jar", "a"], ["jvm"])
    assert [(one.name, one.value, one.allocator) for one in found] == [
        ("MALLOC_ARENA_MAX", "2", "glibc"),
        ("glibc.malloc.trim_threshold", "4096", "glibc"),
        ("dirty_decay_ms", "0", "jemalloc"),
        ("narenas", "4", "jemalloc"),
        ("madvdontneed", "0", "go"),
        ("GOMEMLIMIT", "1GiB", "go"),
        ("-Xmx1g", "-Xmx1g", "jvm"),
        ("-XX:+AlwaysPreTouch", "-XX:+AlwaysPreTouch", "jvm"),
    ]
    assert found[1].effect.startswith("the top of the heap is given back above 4096 bytes")
    assert find_tunables([], ["-Xmx1g"], ["glibc"]) == ()
    assert isinstance(found[0], Tunable)


def test_hostile_settings_are_only_text() -> None:
    found = find_tunables([("MALLOC_CONF", "a:{0},{}:b,:,x"), ("GOGC", "{evil}\x1b[31m")], [], [])
    assert [one.value for one in found] == ["{0}", "b", "", "{evil}\x1b[31m"]
