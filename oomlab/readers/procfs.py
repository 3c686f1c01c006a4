"""All processes of a /proc, in few system calls: one open, read and close for each file."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from ..errors import SourceError
from ..snapshot import Gap, Machine, Snapshot, Task, scan_order_key
from .files import open_directory, read_at
from .forked import Part, start_parts
from .machine import read_machine
from .procpid import RawTask, leader_has_exited, make_task
from .sizes import SizeScan, begin_scan, list_processes

PROC = Path("/proc")
DETAILS = frozenset({"cmdline", "cgroup", "oom_adj", "userns"})
"""Files that not every question needs; each costs one more open per process."""

_GONE = (FileNotFoundError, ProcessLookupError, NotADirectoryError)


def read_snapshot(
    root: Path = PROC, *, details: Iterable[str] = DETAILS, workers: int = 1
) -> Snapshot:
    """Read a whole machine from a /proc. Raises SourceError where ``root`` is no /proc.

    Processes that end during the scan are left out, and so is the one that reads; what may
    not be read becomes a gap. With more than one worker a large /proc is read by forked
    processes.
    """
    machine, gaps = read_machine(root)
    scan = ProcScan(root, page_size=machine.page_size, details=details)
    tasks = scan.read_all(workers)
    return _snapshot(root, machine, tasks, (*gaps, *scan.gaps()))


def read_sizes(root: Path = PROC, finish_scan: Callable[[], SizeScan] | None = None) -> Snapshot:
    """Read a machine's sizes and names only: all that badness needs, three times as fast.

    ``finish_scan`` is a scan of the same /proc that was begun before (sizes.begin_scan).
    Raises SourceError where ``root`` is no /proc.
    """
    machine, gaps = read_machine(root)
    careful = ProcScan(root, page_size=machine.page_size)
    with _listing(root):
        found = (finish_scan or begin_scan(str(root), 1))()
    tasks = [Task(*row) for row in found.rows] + careful.read_some(found.unusual)
    careful.note_hidden(found.hidden)
    return _snapshot(root, machine, tasks, (*gaps, *careful.gaps()))


def _snapshot(root: Path, machine: Machine, tasks: list[Task], gaps: tuple[Gap, ...]) -> Snapshot:
    tasks.sort(key=scan_order_key)
    if machine.swapped_out_pages == 0 and any(task.swap_pages for task in tasks):
        machine = machine._replace(swapped_out_pages=None)  # the first pages went out meanwhile
    return Snapshot(
        machine=machine,
        tasks=tuple(tasks),
        taken_at=datetime.now(UTC).isoformat(timespec="milliseconds"),
        source=str(root),
        gaps=gaps,
    )


@contextmanager
def _listing(root: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise SourceError(f"{root}: {error.strerror}; give --proc a mounted /proc") from error


class ProcScan:
    """Reads processes below one /proc and remembers what it was not allowed to read."""

    def __init__(self, root: Path, *, page_size: int, details: Iterable[str] = ()) -> None:
        self._root = root
        self._page_size = page_size
        wanted = frozenset(details)
        self._optional = [name for name in ("cgroup", "cmdline", "oom_adj") if name in wanted]
        self._userns = "userns" in wanted
        self._denied: dict[tuple[str, str], list[int]] = {}
        # Another machine's or container's uids are not ours to name.
        self._names_users = root == PROC
        self._users: dict[int, str | None] = {}
        self._absent: set[str] = set()

    def read_all(self, workers: int = 1) -> list[Task]:
        """Read every process but this one. A process that ends while it is read is left out."""
        with _listing(self._root):
            names, hidden = list_processes(str(self._root))
        self.note_hidden(hidden)
        finish_parts = start_parts(names, self._read_part, workers)
        return [task for part in finish_parts() for task in self._tasks(part)]

    def note_hidden(self, hidden: bool) -> None:
        """Note that processes are hidden from us, if they are."""
        if hidden:
            self._denied["processes", "some are hidden (hidepid)"] = []

    def _tasks(self, part: Part) -> list[Task]:
        for what, why, pid in part.notes:
            self._denied.setdefault((what, why), []).append(pid)
        return [Task(*row) for row in part.rows]

    def _read_part(self, names: Sequence[str]) -> Part:
        """Read some processes to plain rows and notes, which a worker can send home."""
        known, self._denied = self._denied, {}
        with open_directory(self._root) as root_fd:
            read = (self._read(root_fd, name) for name in names)
            rows = [tuple(task) for task in read if task is not None]
        notes = [(*key, pid) for key, pids in self._denied.items() for pid in pids]
        self._denied = known
        return Part(rows, notes)

    def read_some(self, pids: Iterable[int | str]) -> list[Task]:
        """Return those of the processes that still live and may be read."""
        with open_directory(self._root) as root_fd:
            read = (self._read(root_fd, str(pid)) for pid in pids)
            return [task for task in read if task is not None]

    def gaps(self) -> tuple[Gap, ...]:
        """Return what could not be read so far, one gap for each file and reason."""
        return tuple(
            Gap(what=what, why=why, pids=tuple(sorted(pids)))
            for (what, why), pids in sorted(self._denied.items())
        )

    def _read(self, root_fd: int, name: str) -> Task | None:
        try:
            # A descriptor of the directory belongs to this one process even if its pid is
            # given to another while we read.
            directory = os.open(name, os.O_RDONLY | os.O_DIRECTORY, dir_fd=root_fd)
        except _GONE:
            return None
        except OSError as error:
            self._deny("everything", error, int(name))
            return None
        try:
            return self._read_files(directory, int(name))
        except _GONE:
            return None
        except PermissionError as error:
            self._deny("everything", error, int(name))
            return None
        except (SourceError, ValueError) as error:
            raise SourceError(f"{self._root}/{name}: {error}") from error
        finally:
            os.close(directory)

    def _read_files(self, directory: int, pid: int) -> Task | None:
        raw = RawTask(
            pid,
            read_at(directory, "stat"),
            read_at(directory, "status"),
            self._read_maybe(directory, "oom_score", pid),
            self._read_maybe(directory, "oom_score_adj", pid),
        )
        if not raw.stat or not raw.status:
            return None  # it ended between open and read
        if self._optional or self._userns:
            raw = self._with_details(raw, directory)
        if leader_has_exited(raw):
            raw = _with_living_thread(raw, directory)
        return make_task(raw, self._page_size, self._user)

    def _with_details(self, raw: RawTask, directory: int) -> RawTask:
        extra = {name: self._read_maybe(directory, name, raw.pid) for name in self._optional}
        raw = raw._replace(**extra)  # type: ignore[arg-type]  # their own names
        if self._userns:
            uid_map = self._read_maybe(directory, "uid_map", raw.pid)
            # Only the initial namespace maps all of 32 bits onto themselves.
            inside = None if uid_map is None else uid_map.split() == [b"0", b"0", b"4294967295"]
            raw = raw._replace(in_init_userns=inside)
        return raw

    def _read_maybe(self, directory: int, name: str, pid: int) -> bytes | None:
        """Read a file that an old kernel lacks or that may be forbidden: None then."""
        if name in self._absent:
            return None
        try:
            return read_at(directory, name)
        except FileNotFoundError:
            # Either the process is gone (then so is its stat) or this kernel has no such file.
            os.stat("stat", dir_fd=directory)
            self._absent.add(name)
            return None
        except PermissionError as error:
            self._deny(name, error, pid)
            return None

    def _deny(self, what: str, error: OSError, pid: int) -> None:
        why = error.strerror or str(error)
        self._denied.setdefault((what, why), []).append(pid)

    def _user(self, uid: int) -> str | None:
        if not self._names_users:
            return None
        if uid not in self._users:
            import pwd  # not everywhere, and who reads a saved file needs none

            try:
                self._users[uid] = pwd.getpwuid(uid).pw_name
            except KeyError:
                self._users[uid] = None
        return self._users[uid]


def _with_living_thread(raw: RawTask, directory: int) -> RawTask:
    """Add stat and status of the first thread that still has memory."""
    tasks = os.open("task", os.O_RDONLY | os.O_DIRECTORY, dir_fd=directory)
    try:
        for tid in sorted(os.listdir(tasks), key=int):  # noqa: PTH208  # a descriptor
            try:
                status = read_at(tasks, f"{tid}/status")
                if b"\nVmSize:" in status:
                    stat = read_at(tasks, f"{tid}/stat")
                    return raw._replace(thread_stat=stat, thread_status=status)
            except _GONE:
                continue
        return raw
    finally:
        os.close(tasks)
