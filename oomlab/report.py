"""An out-of-memory report as a kernel log holds it: records only, whoever made them.

``None`` means that the report does not say. Sizes keep the unit in which the kernel printed
them (their names end in _kib, _pages or _bytes), because a report need not tell its page size.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from .report_memory import MemcgState, MemoryState


class Trigger(NamedTuple):
    """The line that opens a report: which task asked for how much of what memory."""

    comm: str | None
    gfp_mask: int | None
    """None where its digits are lost: made unreadable, or cut off."""
    gfp_flags: tuple[str, ...] | None
    order: int | None = None
    """-1 where somebody asked for the kill (sysrq-f)."""
    oom_score_adj: int | None = None
    oom_adj: int | None = None
    nodemask: str | None = None
    pid: int | None = None


class Context(NamedTuple):
    """The machine and the task at the moment of the report: the CPU or Pid line."""

    pid: int | None
    comm: str | None
    release: str | None
    cpu: int | None = None
    uid: int | None = None
    taint: str | None = None
    build: str | None = None
    """What stands behind the release: the build's number, and on new kernels preemption."""


class TaskRow(NamedTuple):
    """One row of the task table: only the columns that this kernel prints."""

    pid: int
    comm: str
    uid: int | None = None
    tgid: int | None = None
    total_vm_pages: int | None = None
    rss_pages: int | None = None
    rss_anon_pages: int | None = None
    rss_file_pages: int | None = None
    rss_shmem_pages: int | None = None
    table_pages: int | None = None
    """Last-level page tables (3.6 to 4.14), in pages."""
    pmd_pages: int | None = None
    pud_pages: int | None = None
    pagetable_bytes: int | None = None
    swap_pages: int | None = None
    cpu: int | None = None
    oom_adj: int | None = None
    oom_score_adj: int | None = None


class Announcement(NamedTuple):
    """``Kill process N (x) score S or sacrifice child``: whom the kernel chose."""

    pid: int
    comm: str
    score: int | None
    message: str


class Victim(NamedTuple):
    """A process that a kill line says was killed, with its memory at that moment."""

    pid: int
    comm: str
    message: str | None = None
    uid: int | None = None
    total_vm_kib: int | None = None
    rss_anon_kib: int | None = None
    rss_file_kib: int | None = None
    rss_shmem_kib: int | None = None
    pagetable_kib: int | None = None
    oom_score_adj: int | None = None
    printed_score: int | None = None
    reaped: str | None = None
    """What oom_reaper said of it."""


class Summary(NamedTuple):
    """The ``oom-kill:`` line (5.0 and newer); what is None was cut off."""

    constraint: str
    nodemask: str | None
    cpuset: str | None
    mems_allowed: str | None
    global_oom: bool
    oom_memcg: str | None
    task_memcg: str | None
    comm: str | None
    pid: int | None
    uid: int | None


@dataclass(slots=True, kw_only=True)
class OomReport:
    """One event of a log; filled while its lines are read, and left alone afterwards."""

    source: str = ""
    line: int | None = 0
    """Number of its first line in the source, from 1; None where lines were not counted."""
    time: str | None = None
    """ISO 8601 where the log tells the year, else as the log writes it."""
    uptime_seconds: float | None = None
    host: str | None = None
    trigger: Trigger | None = None
    context: Context | None = None
    hardware: str | None = None
    workqueue: str | None = None
    policy: str | None = None
    cpuset: str | None = None
    mems_allowed: str | None = None
    taint_reasons: str | None = None
    """The second line of a taint (6.11 and newer): ``[W]=WARN``."""
    stack: list[str] = field(default_factory=list)
    """The call trace, outermost last, as it stands."""
    registers: list[str] = field(default_factory=list)
    """The machine's registers and the code at the fault, as they stand."""
    memory: MemoryState | None = None
    memcg: MemcgState | None = None
    oom_memcg: str | None = None
    task_memcg: str | None = None
    columns: tuple[str, ...] | None = None
    tasks_state_line: bool = False
    header_is_lost: bool = False
    """The table has no header; its columns are told by their widths. Rows may be lost too."""
    is_reversed: bool = False
    """The log has its newest lines first: the rows stood before their header."""
    headless_rows: list[str] = field(default_factory=list)
    """Rows met before any header, until the event has ended: then they are read or unparsed."""
    tasks: list[TaskRow] = field(default_factory=list)
    summary: Summary | None = None
    announcements: list[Announcement] = field(default_factory=list)
    victims: list[Victim] = field(default_factory=list)
    group_memcg: str | None = None
    notes: list[str] = field(default_factory=list)
    """Lines that say something in words: shared memory, already exiting, nobody killable."""
    is_mixed: bool = False
    """Lines of another report stand in it, which nothing tells apart."""
    no_killable: bool = False
    panic: str | None = None
    gaps: list[str] = field(default_factory=list)
    unparsed: list[str] = field(default_factory=list)

    @property
    def release(self) -> str | None:
        """Return the kernel release, or None where the report does not tell."""
        return self.context.release if self.context else None

    @property
    def processes(self) -> list[TaskRow]:
        """Return a row of each process: 2.6.25 to 2.6.27 list each thread, with all its memory."""
        seen: dict[int, TaskRow] = {}
        for row in self.tasks:
            seen.setdefault(row.pid if row.tgid is None else row.tgid, row)
        return list(seen.values())

    @property
    def chosen_pid(self) -> int | None:
        """Return the process that the kernel chose, not the child that died for it."""
        killed = self.victims[0].pid if self.victims else None
        if self.announcements:
            return killed if self.names_thread else self.announcements[0].pid
        named = self.summary.pid if self.summary is not None else None
        return killed if named is None else named

    @property
    def names_thread(self) -> bool:
        """Tell whether a thread was announced, which has no row, and its process killed.

        3.6 to 5.0 search a cgroup thread by thread and print the pid of the first best.
        """
        if not self.announcements or not self.victims or not self.is_memcg or self.header_is_lost:
            return False
        listed = {row.pid for row in self.tasks} | {row.tgid for row in self.tasks}
        return self.announcements[0].pid not in listed and self.victims[0].pid in listed

    @property
    def is_memcg(self) -> bool:
        """Tell whether a memory cgroup's limit was hit, not the machine's memory."""
        summary = self.summary
        if summary is not None and (summary.global_oom or summary.oom_memcg is not None):
            return not summary.global_oom
        if summary is not None and summary.constraint == "CONSTRAINT_MEMCG":
            return True
        said = [v.message or "" for v in self.victims] + [a.message for a in self.announcements]
        return self.oom_memcg is not None or any("cgroup" in text for text in said)

    @property
    def constraint(self) -> str | None:
        """Return the kernel's word for whose memory ran out, None where nothing tells."""
        if self.is_memcg and (self.summary is None or self.summary.constraint.endswith("_NONE")):
            return "CONSTRAINT_MEMCG"
        if self.summary is not None:
            return self.summary.constraint
        said = " ".join(a.message for a in self.announcements)
        if "MPOL_BIND" in said:
            return "CONSTRAINT_MEMORY_POLICY"
        return "CONSTRAINT_CPUSET" if "cpuset" in said else None

    @property
    def complete(self) -> bool:
        """Tell whether task table, kill line and a memory or memcg block are all there."""
        state = self.memory is not None or self.memcg is not None
        return bool(self.tasks and self.victims and state) and not (
            self.header_is_lost or self.is_reversed
        )


def parse_list(text: str) -> set[int]:
    """Return the numbers of a list as the kernel writes it: ``0-2,5``."""
    found: set[int] = set()
    for part in text.split(",")[:1024]:
        first, _, last = part.partition("-")
        if first.isdecimal() and (not last or last.isdecimal()):
            low, high = int(first), int(last or first)
            found.update(range(low, min(high, low + 4096) + 1))
    return found
