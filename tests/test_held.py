"""Who holds shared memory: files of memory in nobody's RSS, by descriptors and mappings."""

from __future__ import annotations

import contextlib
import json
import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from compiled import compiled, running

from oomlab.meminfo import Held
from oomlab.output.layout import Screen
from oomlab.output.system import System, system_text
from oomlab.readers.held import parse_sockstat, read_held, tmpfs_mounts
from oomlab.readers.machine import read_machine
from oomlab.readers.meminfo import read_meminfo
from oomlab.readers.procfs import PROC

Run = Callable[..., tuple[int, str, str]]
MIB = 1 << 20


def test_what_descriptors_hold_is_told_to_the_byte() -> None:
    if not os.path.ismount("/dev/shm"):
        pytest.skip("no tmpfs at /dev/shm")
    with running(compiled("held"), f"/dev/shm/oomlab-held-{os.getpid()}") as (process, said):
        status = Path(f"/proc/{process.pid}/status").read_text()
        found = read_held(PROC, [process.pid])
    assert "deleted" in said
    assert (found.memfd_bytes, found.deleted_bytes) == (10 * MIB, 4 * MIB)
    assert (found.shared_anon_bytes, found.pipes, found.unseen) == (3 * MIB, 1 + 1, 0)  # and stdout
    # Of all that only what is mapped is in its RSS.
    assert int(status.partition("RssShmem:")[2].split()[0]) << 10 < 6 * MIB


def test_a_file_counts_once_however_many_hold_it() -> None:
    with running(compiled("held")) as (process, _):
        once = read_held(PROC, [process.pid])
        assert read_held(PROC, [process.pid, process.pid]) == once
        assert once.deleted_bytes == 0


def test_parts_are_no_more_than_shmem(run_cli: Run) -> None:
    """Files are counted one after the other, the machine goes on: hence the margin."""
    with running(compiled("held")):
        held = read_held(PROC)
        shmem = read_meminfo(PROC).count("Shmem")
        assert held.shmem_bytes <= shmem + 4 * MIB
        assert held.memfd_bytes >= 10 * MIB
        status, out, _ = run_cli("system")
        assert status == 0
        assert "Of tmpfs and shared memory: " in out
        document = json.loads(run_cli("system", "--format", "json")[1])
    assert document["held"]["memfd_bytes"] >= 10 * MIB


def test_what_nobody_seen_holds_is_named() -> None:
    machine, _ = read_machine(PROC)
    info = read_meminfo(PROC)._replace(counters=(("MemTotal", 1 << 30), ("Shmem", 10 * MIB)))
    held = Held(MIB, 2 * MIB, 0, 0, 0, 7, 4096, 3)
    text = system_text(System(machine, type(info)(*info), held), Screen())
    assert (
        "Of tmpfs and shared memory: 1.0M in files of tmpfs mounts, 2.0M in deleted files that are "
        "open, 7.0M held by nobody seen (3 processes may not be looked into)." in text
    )
    assert "in no counter: 4.0K in buffers of TCP and UDP." in text
    assert "Not measured: what is in 7 pipes (usually up to 64K each) and in unix sockets." in text


def test_buffers_of_sockets_are_counted() -> None:
    """Data that nobody receives lies in the kernel: TCP's counter rises by about as much."""
    text = Path("/proc/net/sockstat").read_text()
    assert parse_sockstat("TCP: inuse 1 orphan 0 tw 0 alloc 1 mem 154\nUDP: inuse 0 mem 3\n") == 157
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()) as client,
        server.accept()[0],
    ):
        client.setblocking(False)
        sent = 0
        with contextlib.suppress(BlockingIOError):
            while sent < 64 * MIB:
                sent += client.send(bytes(1 << 16))
        after = parse_sockstat(Path("/proc/net/sockstat").read_text())
    assert sent > 1 << 16
    assert (after - parse_sockstat(text)) * os.sysconf("SC_PAGE_SIZE") > sent // 2


def test_mounts_of_memory_with_odd_names() -> None:
    mountinfo = (
        b"25 24 0:27 / /dev/shm rw - tmpfs tmpfs rw\n"
        b"26 24 0:28 / /a\\040b rw shared:1 - tmpfs none rw\n"
        b"28 24 0:29 / /r rw - ramfs none rw\n"
        b"27 1 254:0 / / rw - ext4 /dev/vda rw\nnonsense\n"
    )
    assert list(tmpfs_mounts(mountinfo)) == [
        (os.makedev(0, 27), "/dev/shm"),
        (os.makedev(0, 28), "/a b"),
    ]
