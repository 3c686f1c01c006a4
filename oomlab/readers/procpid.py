"""The text of /proc/PID/stat and /proc/PID/status, and the Task they make. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from ..errors import SourceError
from ..snapshot import Task
from ..units import KIB
from .sizes import PF_KTHREAD


class Stat(NamedTuple):
    """What oomlab uses of /proc/PID/stat (proc(5))."""

    comm: str
    state: str
    ppid: int
    flags: int
    cpu_ticks: int
    nice: int
    threads: int
    start_ticks: int
    vsize_bytes: int
    rss_pages: int


class Status(NamedTuple):
    """What oomlab uses of /proc/PID/status; sizes in KiB, None where the line is missing."""

    uid: int
    euid: int
    has_mm: bool
    rss_kib: int | None
    rss_anon_kib: int | None
    rss_file_kib: int | None
    rss_shmem_kib: int | None
    swap_kib: int | None
    pte_kib: int | None
    pmd_kib: int | None
    cap_effective: int | None
    mems_allowed: str | None


def decode_name(raw: bytes) -> str:
    """Decode a name chosen by anybody: any bytes survive a round trip through the snapshot."""
    return raw.decode("utf-8", "surrogateescape")


def parse_stat(text: bytes) -> Stat:
    """Parse /proc/PID/stat; the name may hold blanks, parentheses and newlines.

    Raises SourceError where it is not what proc(5) describes.
    """
    head, _, tail = text.rpartition(b")")
    f = tail.split(None, 22)
    try:
        return Stat(
            decode_name(head[head.index(b"(") + 1 :]),
            f[0].decode("ascii"),
            int(f[1]),
            int(f[6]),
            int(f[11]) + int(f[12]),
            int(f[16]),
            int(f[17]),
            int(f[19]),
            int(f[20]),
            int(f[21]),
        )
    except (IndexError, ValueError) as error:
        raise SourceError(f"stat is not as proc(5) describes it: {text[:80]!r}") from error


def parse_status(text: bytes) -> Status:
    """Parse /proc/PID/status. Raises SourceError where it is not what proc(5) describes."""
    try:
        start = text.index(b"\nUid:\t") + 6
        real, effective = text[start : start + 44].split(None, 2)[:2]
        memory = text.find(b"\nVmSize:", start)
        sizes = _sizes(text, memory) if memory >= 0 else _NO_SIZES
        capabilities = text.find(b"\nCapEff:\t", start)
        mems = text.find(b"\nMems_allowed_list:\t", capabilities)
        return Status(
            int(real),
            int(effective),
            memory >= 0,
            *sizes,
            int(text[capabilities + 9 : capabilities + 25], 16) if capabilities >= 0 else None,
            text[mems + 20 : text.find(b"\n", mems + 1)].decode("ascii") if mems >= 0 else None,
        )
    except (IndexError, ValueError) as error:
        raise SourceError(f"status is not as proc(5) describes it: {error}") from error


_Sizes = tuple[int | None, int | None, int | None, int | None, int | None, int | None, int | None]
_NO_SIZES: _Sizes = (None,) * 7


def _sizes(text: bytes, start: int) -> _Sizes:
    """Return RSS, its three parts, swap, PTE and PMD tables in KiB.

    The lines stand together: VmRSS, then its parts (4.5), and VmPTE, VmPMD (4.0 to 4.14),
    VmSwap (2.6.34). One split for each group is far cheaper than a search for each line.
    """
    rss = text.index(b"\nVmRSS:", start)
    w = text[rss : rss + 120].split(None, 12)
    parts: tuple[int | None, int | None, int | None] = (None, None, None)
    if w[3] == b"RssAnon:":
        parts = int(w[4]), int(w[7]), int(w[10])
    tables = text.find(b"\nVmPTE:", rss)
    if tables < 0:
        return int(w[1]), *parts, None, None, None
    t = text[tables : tables + 90].split(None, 9)
    if t[3] == b"VmSwap:":
        return int(w[1]), *parts, int(t[4]), int(t[1]), None
    if t[3] == b"VmPMD:":
        return int(w[1]), *parts, int(t[7]) if t[6] == b"VmSwap:" else None, int(t[1]), int(t[4])
    return int(w[1]), *parts, None, int(t[1]), None


class RawTask(NamedTuple):
    """One process as text, whoever read it; None for a file that was not read."""

    pid: int
    stat: bytes
    status: bytes
    oom_score: bytes | None = None
    oom_score_adj: bytes | None = None
    oom_adj: bytes | None = None
    cgroup: bytes | None = None
    cmdline: bytes | None = None
    in_init_userns: bool | None = None
    thread_stat: bytes | None = None
    """Of a process whose main thread has exited: the files of a living thread, which show
    the memory that the main thread's own no longer do."""
    thread_status: bytes | None = None


def make_task(
    raw: RawTask, page_size: int, user_name: Callable[[int], str | None] = lambda _uid: None
) -> Task:
    """Make a Task of a process's files. Raises SourceError where one is damaged."""
    comm, state, ppid, flags, cpu, nice, threads, start, vsize, rss_stat = parse_stat(raw.stat)
    status = parse_status(raw.status)
    if raw.thread_stat is not None and raw.thread_status is not None:
        *_, vsize, rss_stat = parse_stat(raw.thread_stat)
        status = parse_status(raw.thread_status)
    uid, euid, has_mm, rss, anon, file, shmem, swap, pte, pmd, caps, mems = status
    per_page = page_size // KIB
    adj, old_adj, score = raw.oom_score_adj, raw.oom_adj, raw.oom_score
    return Task(
        raw.pid,
        comm,
        ppid,
        state,
        start,
        bool(flags & PF_KTHREAD) and not has_mm,
        has_mm,
        int(adj) if adj else None,
        None if rss is None else rss // per_page,
        rss_stat if has_mm else None,
        None if swap is None else swap // per_page,
        None if pte is None else pte * KIB,
        None if pmd is None else pmd * KIB,
        int(score) if score else None,
        int(old_adj) if old_adj else None,
        uid,
        euid,
        user_name(euid),
        nice,
        threads,
        cpu,
        flags,
        None if anon is None else anon // per_page,
        None if file is None else file // per_page,
        None if shmem is None else shmem // per_page,
        vsize // page_size if has_mm else None,
        caps,
        raw.in_init_userns,
        mems,
        None if raw.cgroup is None else parse_cgroup(raw.cgroup),
        None if raw.cmdline is None else parse_cmdline(raw.cmdline),
    )


def leader_has_exited(raw: RawTask) -> bool:
    """Tell whether the main thread is dead while others live: they hold the memory."""
    end = raw.stat.rfind(b")")
    if raw.stat[end + 2 : end + 3] not in (b"Z", b"X"):
        return False
    return int(raw.stat[end + 2 :].split(None, 18)[17]) > 1


def parse_cgroup(text: bytes) -> tuple[tuple[str, str], ...]:
    """Parse /proc/PID/cgroup: ``hierarchy:controllers:path`` a line; v2 has no controllers."""
    entries = []
    for line in text.splitlines():
        parts = line.split(b":", 2)
        if len(parts) == 3:
            entries.append((decode_name(parts[1]), decode_name(parts[2])))
    return tuple(entries)


def parse_cmdline(text: bytes) -> tuple[str, ...]:
    """Parse /proc/PID/cmdline: arguments end in NUL; a program may have overwritten them."""
    return tuple(decode_name(part) for part in text.rstrip(b"\0").split(b"\0")) if text else ()
