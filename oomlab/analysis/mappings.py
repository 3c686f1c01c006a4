"""What each mapping of a process is for: program, heap, arena, stack, library, file, shmem."""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import StrEnum

from ..mappings import AddressSpace, Mapping


class Kind(StrEnum):
    """Kinds of mappings, in the order in which they are listed."""

    TEXT = "program text"
    DATA = "data and bss"
    HEAP = "heap (brk)"
    ARENA = "malloc arenas"
    ANON = "anonymous"
    STACK = "main stack"
    THREAD_STACK = "thread stacks"
    LIBRARY = "shared libraries"
    FILE = "file mappings"
    SHARED_ANON = "shared anonymous"
    SYSV = "SysV shared memory"
    MEMFD = "memfd"
    TMPFS = "tmpfs files"
    HUGETLB = "huge pages"
    DEVICE = "devices"
    KERNEL = "vdso and vvar"
    RESERVED = "reserved"


MEANINGS = {
    Kind.TEXT: "the program's code and constants",
    Kind.DATA: "its variables",
    Kind.HEAP: "what malloc takes with brk(2)",
    Kind.ARENA: "glibc's heaps of 64 MiB for threads",
    Kind.ANON: "mmap(2) without a file: large blocks, other allocators, runtimes",
    Kind.STACK: "the first thread's stack",
    Kind.THREAD_STACK: "stacks of the other threads",
    Kind.LIBRARY: "shared libraries, with their variables",
    Kind.FILE: "mapped files: page cache",
    Kind.SHARED_ANON: "memory shared with children (MAP_SHARED)",
    Kind.SYSV: "shmget(2)",
    Kind.MEMFD: "memfd_create(2)",
    Kind.TMPFS: "mapped files that are memory (tmpfs)",
    Kind.HUGETLB: "hugetlb pages: in no RSS",
    Kind.DEVICE: "memory of devices",
    Kind.KERNEL: "code and data that the kernel lends",
    Kind.RESERVED: "address space without access: guards, reservations",
}

_NAMED = {
    "[heap]": Kind.HEAP,
    "[stack]": Kind.STACK,
    "[vdso]": Kind.KERNEL,
    "[vsyscall]": Kind.KERNEL,
    "[vectors]": Kind.KERNEL,
    "[sigpage]": Kind.KERNEL,
    "[uprobes]": Kind.KERNEL,
}
_NAME_STARTS = (
    ("[vvar", Kind.KERNEL),
    ("[stack:", Kind.THREAD_STACK),  # 3.4 to 4.4
    ("[anon: glibc: pthread stack", Kind.THREAD_STACK),
    ("[anon: glibc: malloc arena", Kind.ARENA),
    ("[anon_shmem:", Kind.SHARED_ANON),
    ("/memfd:", Kind.MEMFD),
    ("/anon_hugepage", Kind.HUGETLB),
    ("anon_inode:", Kind.DEVICE),
)
_SYSV = re.compile(r"/SYSV[0-9a-f]{8}( \(deleted\))?")
_LIBRARY = re.compile(r"\.so(\.[^/]*)?( \(deleted\))?$")

HEAP_MAX_SIZE = 64 << 20
"""glibc aligns each heap of an arena to this: twice DEFAULT_MMAP_THRESHOLD_MAX (malloc/arena.c)."""
HEAP_MAX_SIZE_32 = 1 << 20


def classify(space: AddressSpace) -> tuple[Kind, ...]:
    """Return each mapping's kind, in their order.

    Arenas and stacks of threads are told by how they are laid out: an arena of glibc is
    aligned to 64 MiB, reserved without swap (VmFlags nr) and not accessible in its rest; a
    stack of a thread has its stack pointer in it and a guard below.
    """
    mappings = space.mappings or ()
    executables = {one.path for one in mappings if "x" in one.permissions and _is_file(one)}
    kinds: list[Kind] = []
    arenas = _arenas(mappings, space)
    stacks = _thread_stacks(mappings, space)
    for index, one in enumerate(mappings):
        kind = _named(one, space) or _of_file(one, space, executables)
        if kind is None and index in arenas:
            kind = Kind.ARENA
        elif kind is None and not one.accessible:
            kind = Kind.RESERVED
        elif kind is None and index in stacks:
            kind = Kind.THREAD_STACK
        elif kind is None:
            kind = _continued(one, mappings[index - 1], kinds[-1]) if kinds else Kind.ANON
        kinds.append(kind)
    return tuple(kinds)


def _is_file(one: Mapping) -> bool:
    return one.path.startswith("/")


def _named(one: Mapping, space: AddressSpace) -> Kind | None:
    """Tell by the name that the kernel prints, and by the size of the pages."""
    if one.has_flag("ht") or (one.kernel_page_bytes or 0) > space.page_size:
        return Kind.HUGETLB
    if one.path == space.exe:
        return None
    if one.path.startswith("/dev/zero") and "s" in one.permissions:
        return Kind.SHARED_ANON
    if _SYSV.fullmatch(one.path):
        return Kind.SYSV
    named = _NAMED.get(one.path)
    if named is None:
        named = next((kind for start, kind in _NAME_STARTS if one.path.startswith(start)), None)
    return named


def _of_file(one: Mapping, space: AddressSpace, executables: set[str]) -> Kind | None:
    """Tell by the file: the program, a library, a file of memory, a device, any other."""
    if not _is_file(one):
        return None
    if one.path == space.exe:
        return Kind.DATA if _is_written(one) else Kind.TEXT
    if one.path in executables or _LIBRARY.search(one.path):
        return Kind.LIBRARY
    if one.device in space.memory_devices or one.path.startswith("/dev/shm/"):
        return Kind.TMPFS if one.inode and not one.has_flag("io") else Kind.DEVICE
    if one.path == "/dev/zero":
        return Kind.ANON  # privately mapped, it is anonymous memory
    return Kind.DEVICE if one.path.startswith("/dev/") else Kind.FILE


def _is_written(one: Mapping) -> bool:
    """Tell data from text; what the loader relocates is made read-only again, but is a copy."""
    return "w" in one.permissions or bool(one.sizes and one.sizes.anonymous)


def _continued(one: Mapping, before: Mapping, kind: Kind) -> Kind:
    """Tell the bss from other anonymous memory: it follows a file's variables directly."""
    writable = "w" in one.permissions and "w" in before.permissions
    if before.end == one.start and writable and _is_file(before):
        return kind if kind in (Kind.DATA, Kind.LIBRARY) else Kind.ANON
    return Kind.ANON


def _arenas(mappings: Sequence[Mapping], space: AddressSpace) -> set[int]:
    """Return the indexes of the parts of glibc's heaps, the reserved rest included."""
    heap = HEAP_MAX_SIZE_32 if mappings and mappings[-1].end <= 1 << 32 else HEAP_MAX_SIZE
    found: set[int] = set()
    for index, one in enumerate(mappings):
        if one.start % heap or not one.permissions.startswith("rw-p") or one.path:
            continue
        if space.noreserve_shows and one.has_flag("nr") is False:
            continue
        if one.size % heap == 0:
            # Full heaps may lie side by side; so may what a program reserves for itself and
            # hardly uses, as AddressSanitizer does.
            if one.size == heap or _mostly_held(one):
                found.add(index)
            continue
        rest = mappings[index + 1] if index + 1 < len(mappings) else None
        reserved = rest is not None and rest.permissions == "---p" and not rest.path
        if rest is not None and reserved and rest.start == one.end and rest.end % heap == 0:
            found |= {index, index + 1}
    return found


def _mostly_held(one: Mapping) -> bool:
    sizes = one.sizes
    return sizes is not None and 2 * ((sizes.rss or 0) + (sizes.swap or 0)) >= one.size


def _thread_stacks(mappings: Sequence[Mapping], space: AddressSpace) -> set[int]:
    """Return the indexes of stacks: with a stack pointer in them, or just like one that has.

    glibc keeps the stacks of threads that have ended for the next ones.
    """
    guarded = [
        index
        for index, one in enumerate(mappings)
        if one.anonymous and one.permissions.startswith("rw") and _guarded(mappings, index)
    ]
    pointers, found, at = sorted(space.stack_pointers), set(), 0
    for index in guarded:
        while at < len(pointers) and pointers[at] < mappings[index].start:
            at += 1
        if at < len(pointers) and pointers[at] < mappings[index].end:
            found.add(index)
    sizes = {mappings[index].size for index in found}
    return found | {index for index in guarded if mappings[index].size in sizes}


def _guarded(mappings: Sequence[Mapping], index: int) -> bool:
    if mappings[index].has_flag("gu"):
        return True  # MADV_GUARD_INSTALL needs no mapping of its own
    below = mappings[index - 1] if index else None
    return (
        below is not None
        and below.permissions == "---p"
        and below.anonymous
        and below.end == mappings[index].start
    )
