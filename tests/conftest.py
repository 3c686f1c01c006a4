"""Makers of small snapshots: each test says only what it is about."""

from __future__ import annotations

import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from oomlab.snapshot import Machine, Snapshot, Task

PAGE = 4096

# A busy machine is slow: that is no fault of what is tested.
settings.register_profile("oomlab", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("oomlab")

# A shell has what it starts in the background ignore interrupts, and their children do so too.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def make_machine(**changes: Any) -> Machine:
    values: dict[str, Any] = {
        "page_size": PAGE,
        "release": "6.18.44",
        "ram_pages": 2_000_000,
        "swap_pages": 0,
        "swapped_out_pages": 0,
        "cpus": 2,
        "init_pid_namespace": True,
    }
    return Machine(**values | changes)


def make_task(pid: int, pages: int = 1000, adj: int = 0, **changes: Any) -> Task:
    values: dict[str, Any] = {
        "pid": pid,
        "comm": f"task{pid}",
        "ppid": 1,
        "state": "S",
        "start_ticks": pid,
        "has_mm": True,
        "oom_score_adj": adj,
        "rss_pages": pages,
        "rss_stat_pages": pages,
        "rss_anon_pages": pages,
        "rss_file_pages": 0,
        "rss_shmem_pages": 0,
        "swap_pages": 0,
        "pagetable_bytes": 0,
        "euid": 0,
        "uid": 0,
        "user": "root",
    }
    return Task(**values | changes)


def make_snapshot(*tasks: Task, **machine: Any) -> Snapshot:
    return Snapshot(machine=make_machine(**machine), tasks=tasks, source="test")


def adj_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/oom_score_adj").read_text())


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    """Run the command line in this process: (exit status, stdout, stderr)."""
    from oomlab.cli.app import main

    capsys.readouterr()
    status = main([str(argument) for argument in arguments])
    out, err = capsys.readouterr()
    return status, out, err


@pytest.fixture
def run_cli(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """The same as a function of the arguments only."""
    return partial(run, capsys)
