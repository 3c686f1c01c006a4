"""Write oom_score_adj to running processes: only to the very process meant, and read back.

A pid may be given to another process at any time. The directory of /proc that is opened belongs
to one process for good; the pidfd, opened before and still alive after its start time was read,
proves that it is the one meant. Whatever is written goes through that directory.
Source: pidfd_open(2), proc_pid_oom_score_adj(5).
"""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from ..errors import OomlabError
from ..readers.files import read_at

_PROC = "/proc"
_FILE = "oom_score_adj"
_CAP_SYS_RESOURCE = 1 << 24
_WHOLE_MAP = ["0", "0", "4294967295"]
"""Only the initial user namespace maps all of 32 bits onto themselves."""


class Target(NamedTuple):
    """A process, told from all others by pid and start time, and its setting before and after."""

    pid: int
    start_ticks: int
    """Start time since boot in units of USER_HZ: /proc/PID/stat field 22."""
    comm: str
    before: int
    after: int


class ProcessGoneError(OomlabError):
    """The process has ended, or its pid is another's by now."""


class RefusedError(OomlabError):
    """The kernel refused a write; the message names the rule."""


class Privilege(NamedTuple):
    """What the writing process is allowed."""

    capable: bool
    """It has CAP_SYS_RESOURCE where it counts: in the initial user namespace."""
    in_init_userns: bool


def own_privilege() -> Privilege:
    """Return what this process is allowed."""
    status = Path("/proc/self/status").read_text("utf-8", "replace")
    effective = next((s.split()[1] for s in status.splitlines() if s.startswith("CapEff:")), "0")
    try:
        inside = Path("/proc/self/uid_map").read_text().split() == _WHOLE_MAP
    except OSError:  # a kernel without user namespaces
        inside = True
    return Privilege(bool(int(effective, 16) & _CAP_SYS_RESOURCE) and inside, inside)


@contextmanager
def held_process(target: Target) -> Iterator[int]:
    """Hold the one process meant, as a descriptor of its directory in /proc.

    Raises ProcessGoneError where it has ended or the pid is another process's now.
    """
    try:
        pidfd = os.pidfd_open(target.pid)
    except ProcessLookupError as error:
        raise ProcessGoneError("it has ended") from error
    except OSError as error:
        if error.errno == errno.ENOSYS:
            raise RefusedError("this kernel has no pidfd_open: that came with Linux 5.3") from error
        raise ProcessGoneError("it has ended, and a thread has its number") from error
    try:
        try:
            directory = os.open(f"{_PROC}/{target.pid}", os.O_RDONLY | os.O_DIRECTORY)
        except FileNotFoundError as error:
            raise ProcessGoneError("it has ended") from error
        try:
            _check_identity(directory, pidfd, target)
            yield directory
        finally:
            os.close(directory)
    finally:
        os.close(pidfd)


def _check_identity(directory: int, pidfd: int, target: Target) -> None:
    try:
        stat = read_at(directory, "stat").decode("utf-8", "replace")
        # Alive after the directory was opened: so pidfd and directory are one process.
        signal.pidfd_send_signal(pidfd, 0)
    except ProcessLookupError as error:
        raise ProcessGoneError("it has ended") from error
    except PermissionError:
        pass  # alive, but not ours to signal
    if int(stat.rpartition(")")[2].split()[19]) != target.start_ticks:
        raise ProcessGoneError(f"pid {target.pid} is another process's by now")


def read_adj(directory: int) -> int:
    """Return a held process's oom_score_adj. Raises ProcessGoneError where it has ended."""
    try:
        return int(read_at(directory, _FILE))
    except (ProcessLookupError, FileNotFoundError) as error:
        raise ProcessGoneError("it has ended") from error


def write_adj(directory: int, target: Target, privilege: Privilege) -> None:
    """Write a held process's oom_score_adj and read it back.

    Raises ProcessGoneError, or RefusedError with the rule that refused.
    """
    before = read_adj(directory)
    try:
        descriptor = os.open(_FILE, os.O_WRONLY, dir_fd=directory)
    except (ProcessLookupError, FileNotFoundError) as error:
        raise ProcessGoneError("it has ended") from error
    except OSError as error:
        raise RefusedError(_no_entry(error, directory)) from error
    try:
        os.write(descriptor, str(target.after).encode())
    except ProcessLookupError as error:
        raise ProcessGoneError("it has ended") from error
    except OSError as error:
        raise RefusedError(refusal_text(error.errno, before, target.after, privilege)) from error
    finally:
        os.close(descriptor)
    now = read_adj(directory)
    if now != target.after:
        raise RefusedError(
            f"{target.after} was written but {now} is read back: "
            "another program sets it, or a process on the same memory map was set"
        )


def _no_entry(error: OSError, directory: int) -> str:
    """Return why the file may not even be opened for writing."""
    if error.errno == errno.EROFS:
        return "/proc is mounted read-only here, as in a container: write from the host"
    owner = "another user"
    with suppress(OSError):
        owner = f"user {os.stat(_FILE, dir_fd=directory).st_uid}"
    return f"its oom_score_adj belongs to {owner}: only that user or root may write it"


def refusal_text(number: int | None, before: int, after: int, privilege: Privilege) -> str:
    """Return the rule behind an error of write(2) to oom_score_adj, and what is allowed.

    Source: __set_oom_adj() in fs/proc/base.c: a value below oom_score_adj_min needs
    capable(CAP_SYS_RESOURCE), which looks at the initial user namespace only.
    """
    if number == errno.EACCES and after < before:
        lacking = "this process lacks CAP_SYS_RESOURCE"
        if not privilege.in_init_userns:
            lacking = (
                "a user namespace (a rootless container) has no CAP_SYS_RESOURCE that counts here"
            )
        return (
            f"lowering it to {after} needs CAP_SYS_RESOURCE and {lacking}: without it no value is "
            f"taken below the one last set with it (oom_score_adj_min, which no file shows); "
            f"the lowest value that is sure to be taken is {before}"
        )
    if number == errno.EACCES and privilege.capable:
        return f"{after} was refused in spite of CAP_SYS_RESOURCE: a security module forbids it"
    if number == errno.EPERM:
        return "a security module (SELinux, AppArmor, seccomp) forbids it"
    if number == errno.EINVAL:
        return f"{after} is outside -1000..1000, or the process has no memory any more"
    return os.strerror(number or 0)
