"""smaps and maps: text, hostile names, kinds of real mappings, hard processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import tracemalloc
from pathlib import Path

import pytest
from compiled import compiled, running
from hypothesis import given
from hypothesis import strategies as st

from oomlab.analysis.mappings import Kind, classify
from oomlab.errors import SourceError, UnknownTaskError
from oomlab.mappings import AddressSpace, Mapping, SmapsSizes
from oomlab.readers.mappings import parse_memory_devices, read_address_space
from oomlab.readers.procfs import PROC
from oomlab.readers.smaps import parse_mappings, parse_rollup

MIB = 1 << 20
SMAPS = b"""\
55f0c8a00000-55f0c8a02000 r--p 00000000 fe:00 260131                     /opt/a b\\012c (deleted)
Size:                  8 kB
KernelPageSize:        4 kB
MMUPageSize:           4 kB
Rss:                   8 kB
Pss:                   4 kB
Shared_Clean:          8 kB
Shared_Dirty:          0 kB
Private_Clean:         0 kB
Private_Dirty:         0 kB
Anonymous:             0 kB
Swap:                 16 kB
Locked:                0 kB
THPeligible:           0
ProtectionKey:         0
VmFlags: rd mr mw me sd\x20
7f0000000000-7f0000021000 rw-p 00000000 00:00 0\x20
Size:                132 kB
KernelPageSize:        4 kB
MMUPageSize:           4 kB
Rss:                 100 kB
Pss:                 100 kB
Shared_Clean:          0 kB
Shared_Dirty:          0 kB
Private_Clean:         0 kB
Private_Dirty:       100 kB
Anonymous:           100 kB
Swap:                  0 kB
Locked:                0 kB
THPeligible:           0
ProtectionKey:         0
VmFlags: rd wr mr mw me nr\x20
"""
MAPS = b"".join(line + b"\n" for line in SMAPS.splitlines() if line[:1].isdigit())


def test_smaps_is_read_in_bytes() -> None:
    first, second = parse_mappings([SMAPS])
    assert first.path == "/opt/a b\\012c (deleted)"
    assert first.sizes == SmapsSizes(
        rss=8192,
        pss=4096,
        shared_clean=8192,
        shared_dirty=0,
        private_clean=0,
        private_dirty=0,
        anonymous=0,
        swap=16384,
        locked=0,
    )
    assert (first.has_flag("sd"), first.has_flag("nr"), second.has_flag("nr")) == (1, 0, 1)
    assert (second.size, second.anonymous, second.kernel_page_bytes) == (132 << 10, True, 4096)


def test_maps_is_smaps_without_sizes() -> None:
    for full, bare in zip(parse_mappings([SMAPS]), parse_mappings([MAPS]), strict=True):
        assert bare == full._replace(sizes=None, kernel_page_bytes=None, flags=None)


@given(st.lists(st.integers(1, 300), max_size=30))
def test_pieces_of_any_size_give_the_same(cuts: list[int]) -> None:
    text, pieces, at = SMAPS * 3, [], 0
    for cut in cuts:
        pieces.append(text[at : at + cut])
        at += cut
    assert list(parse_mappings([*pieces, text[at:]])) == list(parse_mappings([text]))


@pytest.mark.parametrize(
    "text", [b"hello\n", SMAPS + b"?", SMAPS.replace(b"Rss:  ", b"Rss: x"), b"1"]
)
def test_damage_is_an_error(text: bytes) -> None:
    with pytest.raises((SourceError, ValueError)):
        list(parse_mappings([text]))


def test_nothing_is_no_mapping() -> None:
    assert list(parse_mappings([])) == []
    assert parse_rollup(b"") is None


def test_devices_of_memory_are_as_in_maps() -> None:
    mountinfo = b"25 24 0:27 / /dev/shm rw - tmpfs tmpfs rw\n27 1 254:0 / / rw - ext4 /dev/vda rw\n"
    assert parse_memory_devices(mountinfo) == ("00:1b",)


def mapping(start: int, size: int, permissions: str = "rw-p", **more: object) -> Mapping:
    values = {"offset": 0, "device": "00:00", "inode": 0, "path": ""} | more
    return Mapping(start=start, end=start + size, permissions=permissions, **values)  # type: ignore[arg-type]


def kinds(*mappings: Mapping, **more: object) -> list[Kind]:
    return list(classify(AddressSpace(1, mappings, **more)))  # type: ignore[arg-type]


def test_an_arena_is_aligned_reserved_and_without_swap() -> None:
    start = 0x7F0000000000
    heap = mapping(start, 132 << 10, flags="rd wr nr")
    rest = mapping(heap.end, 64 * MIB - heap.size, "---p", flags="nr")
    assert kinds(heap, rest) == [Kind.ARENA, Kind.ARENA]
    assert kinds(heap._replace(flags="rd wr"), rest) == [Kind.ANON, Kind.RESERVED]
    # Go's arenas lie alike, but are accounted for; with overcommit 2 nothing is marked.
    assert kinds(heap._replace(flags=""), rest, noreserve_shows=False)[0] is Kind.ARENA
    assert kinds(mapping(start + 4096, 8192), rest)[0] is Kind.ANON
    assert kinds(mapping(start, 64 * MIB, flags="nr")) == [Kind.ARENA]
    several = mapping(start, 256 * MIB, flags="nr", sizes=SmapsSizes(rss=128 * MIB))
    assert kinds(several) == [Kind.ARENA]
    assert kinds(several._replace(sizes=SmapsSizes(rss=127 * MIB))) == [Kind.ANON]
    assert kinds(several._replace(sizes=SmapsSizes(rss=0, swap=200 * MIB))) == [Kind.ARENA]
    assert kinds(several._replace(sizes=None)) == [Kind.ANON]


def test_a_stack_has_its_pointer_in_it_and_a_guard_below() -> None:
    guard, stack = mapping(0x10000, 4096, "---p"), mapping(0x11000, 8 * MIB)
    twin = [guard._replace(start=stack.end, end=stack.end + 4096)]
    twin += [mapping(twin[0].end, stack.size)]
    pointed = {"stack_pointers": (stack.end - 64,)}
    found = kinds(guard, stack, *twin, **pointed)
    assert found == [Kind.RESERVED, Kind.THREAD_STACK] * 2  # the second is kept for a next thread
    assert kinds(guard, stack)[1] is Kind.ANON
    assert kinds(stack, **pointed) == [Kind.ANON]
    assert kinds(stack._replace(flags="gu"), **pointed) == [Kind.THREAD_STACK]


@pytest.mark.parametrize(
    ("path", "permissions", "kind"),
    [
        ("/usr/bin/a", "r-xp", Kind.TEXT),
        ("/usr/bin/a", "rw-p", Kind.DATA),
        ("/usr/lib/libc.so.6", "r--p", Kind.LIBRARY),
        ("/usr/lib/libc.so.6 (deleted)", "r--p", Kind.LIBRARY),
        ("/tmp/index.sort", "r--s", Kind.FILE),
        ("/dev/zero (deleted)", "rw-s", Kind.SHARED_ANON),
        ("/dev/zero", "rw-p", Kind.ANON),
        ("/memfd:[heap] (deleted)", "rw-s", Kind.MEMFD),
        ("/SYSV0000162e (deleted)", "rw-s", Kind.SYSV),
        ("/SYSVinit", "r--p", Kind.FILE),
        ("/dev/dri/card0", "rw-s", Kind.DEVICE),
        ("anon_inode:kvm-vcpu:0", "rw-s", Kind.DEVICE),
        ("/anon_hugepage (deleted)", "rw-p", Kind.HUGETLB),
        ("[anon: glibc: malloc arena]", "rw-p", Kind.ARENA),
        ("[anon:jemalloc_pg]", "rw-p", Kind.ANON),
        ("[stack]", "rw-p", Kind.STACK),
        ("[vvar_vclock]", "r--p", Kind.KERNEL),
        ("[vdso]", "r-xp", Kind.KERNEL),
        ("", "---p", Kind.RESERVED),
    ],
)
def test_names_tell_kinds(path: str, permissions: str, kind: Kind) -> None:
    assert kinds(mapping(4096, 4096, permissions, path=path), exe="/usr/bin/a") == [kind]


def kind_at(space: AddressSpace, address: int) -> Kind:
    assert space.mappings is not None
    by_address = zip(space.mappings, classify(space), strict=True)
    return next(kind for one, kind in by_address if one.start <= address < one.end)


def read_asleep(pid: int) -> AddressSpace:
    """Read a process when all its threads sleep: of others no stack pointer can be read."""
    for _ in range(200):
        space = read_address_space(PROC, pid)
        if not space.has_sizes:
            pytest.skip("smaps of a child can't be read here")
        if not space.running_threads:
            return space
        time.sleep(0.01)
    raise AssertionError("its threads never sleep")


@pytest.mark.parametrize("flags", [(), ("-m32",)], ids=["64 bits", "32 bits"])
def test_kinds_of_a_real_process(flags: tuple[str, ...], tmp_path: Path) -> None:
    program = compiled("kinds", *flags)
    shm = Path(f"/dev/shm/oomlab-test-{os.getpid()}")
    if not shm.parent.is_dir():
        pytest.skip("no tmpfs at /dev/shm")
    try:
        with running(program, "3", shm, tmp_path / "a\nb") as (process, said):
            space = read_asleep(process.pid)
            expected = {Kind[name.upper()]: found for name, found in said.items() if name in NAMES}
            for kind, addresses in expected.items():
                for address in addresses:
                    assert kind_at(space, address) is kind
            assert kind_at(space, said["bss"][0]) is Kind.DATA
            if not flags:
                assert kind_at(space, said["reserved"][0]) is Kind.RESERVED
                assert kind_at(space, said["sparse"][0]) is Kind.ANON
            assert len(expected) == len(NAMES)
    finally:
        shm.unlink(missing_ok=True)


NAMES = ["text", "data", "heap", "anon", "shared_anon", "memfd", "sysv", "tmpfs", "library"]
NAMES += ["arena", "thread_stack"]


def test_sums_are_smaps_rollup_and_vmrss() -> None:
    with running(compiled("kinds"), "2") as (process, _):
        read_asleep(process.pid)  # smaps and smaps_rollup are read one after the other
        space = read_address_space(PROC, process.pid)
        if space.rollup is None:
            pytest.skip("this kernel has no smaps_rollup")
        for name in ("rss", "anonymous", "private_dirty", "swap", "locked", "shared_clean"):
            total = sum(getattr(one.sizes, name) for one in space.mappings or ())
            assert total == getattr(space.rollup, name), name


def test_sixty_thousand_mappings_are_classified() -> None:
    limit = int(Path("/proc/sys/vm/max_map_count").read_text())
    number = min(60_000, limit - 1000)
    with running(compiled("many"), str(number)) as (process, _):
        found = classify(read_address_space(PROC, process.pid))
        assert number <= len(found) <= number + 100


def test_mappings_are_bounded_in_memory() -> None:
    number = 6_000
    with running(compiled("many"), str(number)) as (process, _):
        tracemalloc.start()
        space = read_address_space(PROC, process.pid)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert len(space.mappings or ()) >= number
        # The kernel prints 700 bytes of each.
        assert peak / number < 700


def test_a_process_that_is_gone_is_said_to_be() -> None:
    with subprocess.Popen(["true"]) as process:
        process.wait()
        with pytest.raises(UnknownTaskError, match="no process"):
            read_address_space(PROC, process.pid)


def test_a_zombie_has_no_mappings() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        space = read_address_space(PROC, process.pid)
        assert not space.mappings
        assert classify(space) == ()


def test_a_thread_of_the_kernel_has_no_mappings() -> None:
    if b"kthreadd" not in Path("/proc/2/stat").read_bytes():
        pytest.skip("no threads of the kernel in this pid namespace")
    assert not read_address_space(PROC, 2).mappings


def test_without_rights_it_is_a_gap() -> None:
    if os.geteuid() != 0:
        pytest.skip("becoming another user needs root")
    assert as_nobody(os.getpid()) == (None, ["smaps", "maps"])


def as_nobody(pid: int) -> tuple[object, list[str]]:
    """Read a process in a child that has given up its rights."""
    readable, writable = os.pipe()
    if (child := os.fork()) == 0:
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)
        space = read_address_space(PROC, pid)
        os.write(writable, json.dumps([space.mappings, [gap.what for gap in space.gaps]]).encode())
        os._exit(0)
    os.close(writable)
    with os.fdopen(readable) as stream:
        mappings, gaps = json.load(stream)
    os.waitpid(child, 0)
    return mappings, gaps
