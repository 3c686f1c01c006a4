"""What a request for memory was for, by the functions of its call trace.

Who asks is not to blame, it came last; but what it was doing tells what memory was needed for.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

_PURPOSES: tuple[tuple[str, str], ...] = (
    (r"moom_callback", "sysrq-f"),
    (r"bpf_out_of_memory", "a BPF program that asked for a kill"),
    (r"copy_process|dup_mm|dup_task_struct|copy_page_range", "a new process or thread (fork)"),
    (r"load_elf_binary|setup_arg_pages|copy_strings|bprm_execve", "a new program (exec)"),
    (r"hugetlb_fault|alloc_huge_page|alloc_hugetlb_folio", "a huge page"),
    (r"shmem_(fault|getpage|get_folio|file_write|write_begin|alloc)", "tmpfs or shared memory"),
    (r"do_swap_page|swapin_readahead|read_swap_cache", "a page to come back from swap"),
    (r"filemap_fault|do_read_fault|do_fault_around|__do_fault", "a mapped file, to be read again"),
    (r"populate_vma_page_range|__mm_populate|mlock", "memory mapped at once (mlock, MAP_POPULATE)"),
    (r"do_anonymous_page|do_wp_page|wp_page_copy|do_cow_fault|do_huge_pmd", "memory of its own"),
    (r"pte_alloc|pmd_alloc|pud_alloc|pgd_alloc", "a page table"),
    (r"alloc_skb|sock_alloc_send|tcp_sendmsg|sk_page_frag", "network buffers"),
    (r"perform_write|buffered_write|write_begin|vfs_write|iomap_write", "a file to be written"),
    (r"readahead|page_cache_ra|filemap_read|file_read_iter|vfs_read|readpage", "a file to be read"),
    (r"vmalloc", "vmalloc: memory of the kernel"),
    (r"kmem_cache_alloc|kmalloc|slab_alloc|new_slab|cache_grow", "an object of the kernel (slab)"),
    (r"handle_mm_fault|do_page_fault|page_fault|do_user_addr_fault", "memory of its own"),
)
"""Functions and what they are part of, the more telling first."""
_FOUND = tuple((re.compile(pattern), purpose) for pattern, purpose in _PURPOSES)
_FRAME = re.compile(r"(?P<doubt>\? )?\(?(?P<name>[\w.]+)\+0x|(?P<arm>[\w.]+) from ")


def purpose_of(stack: Sequence[str]) -> str | None:
    """Return what the request was for, None where the trace does not tell.

    Frames with a question mark are remains of earlier calls: asked only if no other tells.

    >>> purpose_of(["dump_stack+0x6b/0x83", "shmem_fault+0x6b/0x83", "? copy_process+0x1/0x2"])
    'tmpfs or shared memory'
    """
    sure: list[str] = []
    doubtful: list[str] = []
    for line in stack:
        found = _FRAME.search(line)
        if found is not None:
            name = found["name"] or found["arm"]
            (doubtful if found["doubt"] else sure).append(name)
    return _first(sure) or _first(doubtful)


def _first(names: list[str]) -> str | None:
    text = " ".join(names)
    return next((purpose for pattern, purpose in _FOUND if pattern.search(text)), None)
