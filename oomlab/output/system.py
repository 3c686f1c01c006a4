"""The machine's memory from the OOM killer's side, as text."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from ..analysis.available import drop_caches, from_old_estimate, overcommit, reserve
from ..analysis.room import machine_room
from ..analysis.system import REMAINDER, Use, mapped_files, unmanaged_bytes, uses
from ..meminfo import Held, MemInfo
from ..snapshot import Machine
from ..units import human, human_range, pages_to_bytes
from .bars import bar, bar_columns
from .layout import Screen
from .render import render_lines, render_table
from .tables import Column, Table

_BAR = 24
_RECLAIM = {"yes": "yes", "no": "no", "swap": "to swap", "part": "in part"}
_MODES = {
    0: "0, by heuristic: only a single request beyond RAM and swap is refused (before 5.2: beyond "
    "what is free or reclaimable)",
    1: "1, always: nothing is refused, the OOM killer is the only limit",
    2: "2, never: beyond CommitLimit requests fail with ENOMEM before anybody is killed",
}


class System(NamedTuple):
    """What the command shows: the machine and its counters."""

    machine: Machine
    info: MemInfo
    held: Held | None = None
    """Who holds shared memory; None for a saved snapshot."""

    @property
    def headroom(self) -> int | None:
        """Bytes until the OOM killer comes, at most."""
        return pages_to_bytes(machine_room(self.machine).headroom_pages, self.machine.page_size)

    @property
    def can_swap(self) -> bool:
        """Whether anonymous memory can still go to swap."""
        return self.info.count("SwapFree") > 0


def uses_table(system: System, screen: Screen | None = None) -> Table[Use]:
    """Return the parts of MemTotal, with a bar each for people at a screen."""
    info, can_swap = system.info, system.can_swap
    most, longest = info.count("MemTotal"), bar_columns(screen or Screen(), _BAR)
    columns: tuple[Column[Use], ...] = (
        Column(name="part", header="PART", help="what for", value=lambda u: u.name, left=True),
        Column(name="size", header="SIZE", key="size_bytes", help="", value=lambda u: u.size,
               show=lambda u: human(u.size)),
        Column(name="reclaim", header="RECLAIM", help="whether the kernel gets it back",
               value=lambda u: _reclaim(u, can_swap), left=True),
        Column(name="bar", header="", help="", value=lambda u: bar(u.size, most, longest),
               left=True, keep=2),
        Column(name="counter", header="COUNTER", help="", value=lambda u: u.note, left=True,
               keep=1, flexible=True),
    )  # fmt: skip
    shown = [use for use in uses(info) if use.size or use.key in _ALWAYS]
    heading = f"What {human(most)} of RAM (MemTotal) is used for:"
    listed = [column for column in columns if screen is not None or column.name != "bar"]
    return Table(columns=listed, rows=shown, heading=(heading,))


_ALWAYS = ("free", "anon", "shmem", "cache", REMAINDER)


def _reclaim(use: Use, can_swap: bool) -> str:
    if use.reclaim == "swap":
        return "to swap" if can_swap else "no (no swap)"
    return _RECLAIM[use.reclaim]


def system_text(system: System, screen: Screen) -> str:
    """Return the whole picture: the answer first."""
    answer = [_answer(system), *_promises(system), *_pressure(system), *_cautions(system)]
    parts = [render_lines(screen, *answer), render_table(uses_table(system, screen), screen)]
    parts += [render_lines(screen, *lines) for lines in _sections(system)]
    return "\n".join(part for part in parts if part)


def _answer(system: System) -> str:
    left = system.headroom
    swap = system.info.count("SwapFree")
    if left is None:
        return "How far the OOM killer is can't be known: meminfo does not tell MemAvailable."
    parts = f"MemAvailable {human(left - swap)} + free swap {human(swap)}"
    return f"At most {human(left)} can still be used before the OOM killer comes: {parts}."


def _promises(system: System) -> list[str]:
    """Say how far ENOMEM is, where requests are refused before memory runs out."""
    state = overcommit(system.info, system.machine.overcommit_memory)
    if state.left is None or state.limit is None or state.committed is None:
        return []
    why = (
        f"vm.overcommit_memory is 2: of CommitLimit {human(state.limit)}, "
        f"{human(state.committed)} is promised"
    )
    if not state.left:
        return [f"Requests for memory fail with ENOMEM now: {why}."]
    return [f"Requests for more than {human(state.left)} fail with ENOMEM before that: {why}."]


def _pressure(system: System) -> list[str]:
    pressure = system.machine.pressure
    if pressure is None or pressure.some_avg10_percent is None:
        return []
    some, full = pressure.some_avg10_percent, pressure.full_avg10_percent
    return [
        f"In the last 10 s tasks waited for memory {some:g}% of the time (all of them {full:g}%)."
    ]


def _cautions(system: System) -> list[str]:
    apart = unmanaged_bytes(system.info)
    if not apart:
        return []
    return [
        f"Note: MemTotal and MemFree count {human(apart)} that no zone has: what a balloon or the "
        "hypervisor keeps. Whether it comes back in time is not the kernel's to say."
    ]


def _sections(system: System) -> Iterator[Iterator[str]]:
    yield _details(system.info)
    if system.held is not None:
        yield _held(system.held, system.info.count("Shmem"))
    yield _reserve(system.info)
    yield _available(system.info)
    yield _overcommit(system)
    yield _drop(system.info)


def _details(info: MemInfo) -> Iterator[str]:
    low, high = mapped_files(info)
    if high:
        yield f"Of the page cache, {human_range(low, high)} is mapped by processes: it goes last."
    for name, text in (
        ("Unevictable", "is held where it is (mlock, ramfs, locked shared memory)"),
        ("AnonHugePages", "of the anonymous memory is in transparent huge pages"),
        ("SwapCached", "is in memory and in swap too (swap cache)"),
    ):
        if info.count(name):
            yield f"{human(info.count(name))} {text}."
    if info.count("HugePages_Total"):
        yield (
            f"Huge pages set aside: {info.count('HugePages_Total')}, of which "
            f"{info.count('HugePages_Free')} are free and useful to nobody else."
        )
    yield from _compressed(info)


def _held(held: Held, shmem: int) -> Iterator[str]:
    """Say who holds what lies in tmpfs and shared memory, much of it in nobody's RSS."""
    parts = (
        (held.mounted_bytes, "in files of tmpfs mounts"),
        (held.deleted_bytes, "in deleted files that are open"),
        (held.memfd_bytes, "in memfd"),
        (held.shared_anon_bytes, "MAP_SHARED without a file"),
        (held.sysv_bytes, "in SysV segments"),
    )
    said = [f"{human(size)} {what}" for size, what in parts if size]
    rest = shmem - held.shmem_bytes
    if rest > 0:
        who = "1 process" if held.unseen == 1 else f"{held.unseen} processes"
        unseen = f" ({who} may not be looked into)" if held.unseen else ""
        said.append(f"{human(rest)} held by nobody seen{unseen}")
    if said:
        yield f"Of tmpfs and shared memory: {', '.join(said)}."
    if held.sockets_bytes:
        yield f"In slab and in no counter: {human(held.sockets_bytes)} in buffers of TCP and UDP."
    pipes = f"in {held.pipes} pipes (usually up to 64K each) and " if held.pipes else ""
    yield f"Not measured: what is {pipes}in unix sockets."


def _compressed(info: MemInfo) -> Iterator[str]:
    for zram in info.zrams:
        yield (
            f"{zram.name} holds {human(zram.original_bytes)} in {human(zram.used_bytes)} of RAM "
            f"(size {human(zram.disk_bytes)}): swap on it counts in totalpages, yet needs RAM."
        )
    if info.count("Zswapped"):
        held, used = human(info.count("Zswapped")), human(info.count("Zswap"))
        yield f"zswap holds {held} of swapped pages in {used} of RAM."
    elif info.zswap_enabled:
        yield "zswap is on, and empty."


def _reserve(info: MemInfo) -> Iterator[str]:
    kept = reserve(info)
    if kept is None:
        return
    yield (
        f"Reserve: the watermarks are min {human(kept.min_bytes)}, low {human(kept.low_bytes)}, "
        f"high {human(kept.high_bytes)} (vm.min_free_kbytes, vm.watermark_scale_factor). Below low "
        "kswapd reclaims; below min who asks must reclaim first, and the killer comes when "
        "that gets nothing."
    )


def _available(info: MemInfo) -> Iterator[str]:
    steps = from_old_estimate(info)
    if steps is None:
        return
    yield "Why MemAvailable is not free + buffers + cached:"
    for step in steps:
        if step.size:
            yield f"  {human(step.size):>6}  {step.name}"


def _overcommit(system: System) -> Iterator[str]:
    state = overcommit(system.info, system.machine.overcommit_memory)
    if state.committed is None:
        return
    mode = "unknown" if state.mode is None else _MODES.get(state.mode, str(state.mode))
    yield f"Overcommit (vm.overcommit_memory) is {mode}."
    yield f"Promised to processes: {human(state.committed)} (Committed_AS)."
    if state.left is not None and state.limit is not None:
        yield (
            f"At most {human(state.left)} more until requests fail (CommitLimit "
            f"{human(state.limit)}). A program is refused earlier by a 32nd of its own address "
            "space (at most vm.user_reserve_kbytes), and without CAP_SYS_ADMIN by "
            "vm.admin_reserve_kbytes too."
        )


def _drop(info: MemInfo) -> Iterator[str]:
    found = drop_caches(info)
    cache = human_range(found.cache_low, found.cache_high)
    yield (
        f"drop_caches (not done here): 1 could free {cache} of clean page cache that nobody maps; "
        f"2 also up to {human(found.slab_high)} of slab. The OOM killer comes only after reclaim "
        "has tried the same, so it prevents no kill."
    )
    yield (
        f"It can't free tmpfs and shared memory ({human(info.count('Shmem'))}), anonymous memory, "
        f"what is mapped or locked, and {human(found.dirty)} that is dirty (sync first)."
    )
