"""What a process has mapped, as /proc/PID/smaps tells it, in bytes. ``None``: not told."""

from __future__ import annotations

from typing import NamedTuple

from .snapshot import Gap


class SmapsSizes(NamedTuple):
    """The sizes of one mapping, or of all together (smaps_rollup), in bytes.

    Source: show_smap() in fs/proc/task_mmu.c. They are counted by walking the page tables,
    while VmRSS of status comes from counters.
    """

    rss: int | None = None
    pss: int | None = None
    """Each page divided by the number of its mappings."""
    shared_clean: int | None = None
    shared_dirty: int | None = None
    private_clean: int | None = None
    """Pages that are mapped once: by this process and at this place only."""
    private_dirty: int | None = None
    anonymous: int | None = None
    """The part of ``rss`` that belongs to no file."""
    lazyfree: int | None = None
    """Given back with MADV_FREE, but not yet taken."""
    anon_huge: int | None = None
    shmem_huge: int | None = None
    file_huge: int | None = None
    shared_hugetlb: int | None = None
    """hugetlb pages are no part of ``rss``, nor of the badness."""
    private_hugetlb: int | None = None
    swap: int | None = None
    """Swapped out, shmem included."""
    swap_pss: int | None = None
    locked: int | None = None
    """The part of ``pss`` that mlock(2) holds in memory."""
    pss_anon: int | None = None
    """This and the next two are smaps_rollup's only."""
    pss_file: int | None = None
    pss_shmem: int | None = None


class Mapping(NamedTuple):
    """One line of /proc/PID/maps, with its sizes where smaps could be read."""

    start: int
    end: int
    permissions: str
    """As printed: "rw-p"; s is shared, p is private (copy on write)."""
    offset: int
    device: str
    """"major:minor" in hexadecimal, as printed."""
    inode: int
    path: str
    r"""As printed: a newline in it is ``\012``; " (deleted)" follows the name of a deleted file."""
    sizes: SmapsSizes | None = None
    kernel_page_bytes: int | None = None
    flags: str | None = None
    """VmFlags, such as "rd wr mr mw me ac" (3.8 and newer)."""

    @property
    def size(self) -> int:
        """Address space, in bytes."""
        return self.end - self.start

    @property
    def anonymous(self) -> bool:
        """Whether no file and nothing of the kernel's stands behind it."""
        return not self.path or self.path.startswith("[anon:")

    @property
    def accessible(self) -> bool:
        """Whether it may be read, written or run: else it is address space only."""
        return not self.permissions.startswith("---")

    def has_flag(self, flag: str) -> bool | None:
        """Tell whether VmFlags has ``flag``; None where there are no VmFlags."""
        return None if self.flags is None else flag in self.flags.split()


class AddressSpace(NamedTuple):
    """All mappings of one process, and what tells their kinds."""

    pid: int
    mappings: tuple[Mapping, ...] | None = None
    """By address; None where they may not be read or the process has none."""
    rollup: SmapsSizes | None = None
    """smaps_rollup (4.14 and newer)."""
    page_size: int = 4096
    exe: str | None = None
    """The program as maps prints it."""
    stack_pointers: tuple[int, ...] = ()
    """Of the threads that were asleep."""
    running_threads: int = 0
    """Threads whose stack pointer could not be read."""
    memory_devices: tuple[str, ...] = ()
    """Devices, as in ``Mapping.device``, whose files are memory: tmpfs and ramfs."""
    noreserve_shows: bool = True
    """Whether MAP_NORESERVE leaves its mark: not with vm.overcommit_memory 2."""
    gaps: tuple[Gap, ...] = ()

    @property
    def has_sizes(self) -> bool:
        """Whether smaps was read, not only maps."""
        return bool(self.mappings) and all(one.sizes is not None for one in self.mappings or ())
