"""The audit: each finding has a machine that shows it, and one like it that must not."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from conftest import make_machine, make_task

from oomlab import rank
from oomlab.analysis.audit import CHECKS, audit
from oomlab.analysis.audit.finding import Finding
from oomlab.memcg import UNLIMITED_PAGES, Container, Memcg
from oomlab.output.audit import audit_text
from oomlab.output.layout import Screen
from oomlab.snapshot import Snapshot, Task

NODE = str(Path(__file__).parent.parent / "fixtures" / "node.json")
Run = Callable[..., tuple[int, str, str]]
IDENTITY = "4f" * 32
BOX = f"/system.slice/docker-{IDENTITY}.scope"
GIB = 1 << 18
"""In pages."""


def machine(*tasks: Task, memcgs: tuple[Memcg, ...] = (), **changes: Any) -> Snapshot:
    return Snapshot(machine=make_machine(**changes), tasks=tasks, memcgs=memcgs)


def found(snapshot: Snapshot, check: str) -> list[Finding]:
    return [finding for finding in audit(snapshot) if finding.check == check]


def inside(pid: int, path: str, pages: int = 1000, adj: int = 0, **changes: Any) -> Task:
    return make_task(pid, pages, adj, cgroups=(("", path),), **changes)


def box(**changes: Any) -> tuple[Memcg, ...]:
    values: dict[str, Any] = {"limit_pages": GIB, "swap_limit_pages": 0, "oom_group": False}
    return (
        Memcg("/", 2, limit_pages=UNLIMITED_PAGES),
        Memcg("/system.slice", 2, UNLIMITED_PAGES, swap_limit_pages=UNLIMITED_PAGES),
        Memcg(BOX, 2, **(values | changes)),
    )


@pytest.mark.parametrize(("value", "where"), [(1, "whole machine"), (2, "in cgroups too")])
def test_panic_on_oom(value: int, where: str) -> None:
    (finding,) = found(machine(make_task(2), panic_on_oom=value), "panic_on_oom")
    assert finding.severity == "critical"
    assert where in finding.text
    assert not found(machine(make_task(2), panic_on_oom=0), "panic_on_oom")


def test_oom_kill_allocating_task() -> None:
    assert found(machine(make_task(2), oom_kill_allocating_task=1), "oom_kill_allocating_task")
    assert not found(machine(make_task(2), oom_kill_allocating_task=0), "oom_kill_allocating_task")


def test_an_unkillable_process_larger_than_half_of_memory() -> None:
    (finding,) = found(machine(make_task(2, 1_000_001, -1000)), "large_unkillable")
    assert (finding.severity, finding.pids) == ("critical", (2,))
    assert not found(machine(make_task(2, 1_000_000, -1000)), "large_unkillable")
    assert found(machine(make_task(2, 1_000_001, -1000), swap_pages=GIB), "large_unkillable")
    assert not found(machine(make_task(2, 1_000_001, -999)), "large_unkillable")


def test_minus_1000_inherited() -> None:
    sshd = make_task(10, adj=-1000, comm="sshd")
    shell = make_task(11, adj=-1000, comm="bash", ppid=10)
    job = make_task(12, adj=-1000, comm="python3", ppid=11)
    (finding,) = found(machine(sshd, shell, job), "inherited_unkillable")
    assert finding.subject == "10 (sshd)"
    assert finding.pids == (11, 12)


@pytest.mark.parametrize(
    "changes",
    [
        {"adj": 0},  # it was reset
        {"comm": "sshd"},  # the daemon's own other process
        {"ppid": 1},  # it set its own
        {"has_mm": False, "state": "Z"},
    ],
)
def test_minus_1000_not_inherited(changes: dict[str, Any]) -> None:
    sshd = make_task(10, adj=-1000, comm="sshd")
    other = make_task(11, **({"adj": -1000, "comm": "bash", "ppid": 10} | changes))
    assert not found(machine(sshd, other), "inherited_unkillable")


def test_a_database_before_batch_work() -> None:
    database = make_task(2, 50_000, comm="postgres")
    batch = make_task(3, 10_000, comm="worker", nice=10)
    (finding,) = found(machine(database, batch), "vital_before_batch")
    assert finding.subject == "2 (postgres)"
    assert finding.advice == "oomlab suggest --protect 2 --sacrifice 3"


def test_a_database_of_many_processes_is_protected_whole() -> None:
    database = [make_task(pid, 50_000 + pid, comm="postgres") for pid in (2, 3)]
    batch = [make_task(pid, 10_000, comm="worker", nice=10) for pid in (4, 5, 6, 7)]
    (finding,) = found(machine(*database, *batch), "vital_before_batch")
    assert finding.advice == "oomlab suggest --protect name:postgres --sacrifice 7,6,5"


@pytest.mark.parametrize(
    ("database", "batch"),
    [
        ({"pages": 50_000, "adj": -100}, {"pages": 10_000}),  # protected already
        ({"pages": 9_000}, {"pages": 10_000}),  # smaller
        ({"pages": 50_000}, {"pages": 10_000, "nice": 0}),  # not batch
        ({"pages": 50_000, "comm": "myapp"}, {"pages": 10_000}),  # not vital
        ({"pages": 50_000}, {"pages": 10_000, "adj": -1000}),  # never killed
        ({"pages": 10_100, "rss_stat_pages": None}, {"pages": 10_000}),  # not sure
    ],
)
def test_a_database_that_is_safe(database: dict[str, Any], batch: dict[str, Any]) -> None:
    one = make_task(2, **({"comm": "postgres"} | database))
    other = make_task(3, **({"comm": "worker", "nice": 10} | batch))
    assert not found(machine(one, other), "vital_before_batch")


def test_a_cgroup_that_nobody_can_be_killed_in() -> None:
    tasks = inside(2, BOX, adj=-1000), inside(3, BOX, adj=-1000), make_task(4)
    (finding,) = found(machine(*tasks, memcgs=box()), "unkillable_cgroup")
    assert (finding.severity, finding.pids, finding.path) == ("critical", (2, 3), BOX)


def test_cgroups_where_somebody_can_be_killed_or_nothing_runs_out() -> None:
    one = inside(2, BOX, adj=-1000), inside(3, BOX, adj=-999)
    assert not found(machine(*one, memcgs=box()), "unkillable_cgroup")
    both = inside(2, BOX, adj=-1000), inside(3, BOX, adj=-1000)
    unlimited = box(limit_pages=UNLIMITED_PAGES)
    assert not found(machine(*both, memcgs=unlimited), "unkillable_cgroup")
    assert not found(machine(make_task(4), memcgs=box()), "unkillable_cgroup")


def test_a_limit_that_swap_evades() -> None:
    free = box(swap_limit_pages=UNLIMITED_PAGES)
    task = inside(2, BOX)
    (finding,) = found(machine(task, memcgs=free, swap_pages=2 * GIB), "swap_beside_limit")
    assert finding.severity == "warning"
    (small,) = found(machine(task, memcgs=free, swap_pages=GIB // 2), "swap_beside_limit")
    assert small.severity == "info"


def test_limits_that_bite() -> None:
    task = inside(2, BOX)
    free = box(swap_limit_pages=UNLIMITED_PAGES)
    assert not found(machine(task, memcgs=free, swap_pages=0), "swap_beside_limit")
    assert not found(machine(task, memcgs=box(), swap_pages=GIB), "swap_beside_limit")
    capped = (free[0], free[1]._replace(swap_limit_pages=GIB), free[2])
    assert not found(machine(task, memcgs=capped, swap_pages=GIB), "swap_beside_limit")
    unlimited = box(limit_pages=UNLIMITED_PAGES, swap_limit_pages=UNLIMITED_PAGES)
    assert not found(machine(task, memcgs=unlimited, swap_pages=GIB), "swap_beside_limit")


@pytest.mark.parametrize(
    ("memsw", "swappiness", "count"),
    [(UNLIMITED_PAGES, 60, 1), (UNLIMITED_PAGES, 0, 0), (9, 60, 0)],
)
def test_a_limit_that_swap_evades_on_v1(memsw: int, swappiness: int, count: int) -> None:
    memcgs = (
        Memcg("/", 1, UNLIMITED_PAGES),
        Memcg("/c", 1, GIB, memsw_limit_pages=memsw, swappiness=swappiness),
    )
    task = make_task(2, cgroups=(("memory", "/c"),))
    snapshot = machine(task, memcgs=memcgs, swap_pages=GIB)
    assert len(found(snapshot, "swap_beside_limit")) == count


def test_a_container_that_outlives_its_worker() -> None:
    main, worker = inside(2, BOX, 100, comm="nginx"), inside(3, BOX, 9000, comm="php")
    (finding,) = found(machine(main, worker, memcgs=box()), "worker_not_main")
    assert "kills 3 (php), not its main process 2 (nginx)" in finding.text


def test_containers_that_die_with_their_victim() -> None:
    main, worker = inside(2, BOX, 9000), inside(3, BOX, 100)
    assert not found(machine(main, worker, memcgs=box()), "worker_not_main")
    small = inside(2, BOX, 100), inside(3, BOX, 9000)
    assert not found(machine(*small, memcgs=box(oom_group=True)), "worker_not_main")
    assert not found(machine(small[1], memcgs=box()), "worker_not_main")
    # Who would die can't be told: perhaps the main process.
    unsure = [task._replace(cgroups=(("", BOX),)) for task in two_that_look_equal()]
    assert not found(machine(*unsure, memcgs=box(), release="6.12.100"), "worker_not_main")
    unit = "/system.slice/web.service"
    renamed = (box()[0], box()[1], box()[2]._replace(path=unit))
    service = inside(2, unit, 100), inside(3, unit, 9000)
    assert not found(machine(*service, memcgs=renamed), "worker_not_main")


def two_that_look_equal() -> tuple[Task, Task]:
    return (
        make_task(2, 1000, rss_stat_pages=None, start_ticks=1),
        make_task(3, 1001, rss_stat_pages=None, start_ticks=2),
    )


def test_a_group_above_the_container_does_not_count_at_its_own_limit() -> None:
    """memory.oom.group is looked for from the victim up to the cgroup that ran out, no further."""
    above, slice_, container = box()
    memcgs = (above, slice_._replace(oom_group=True), container)
    small = inside(2, BOX, 100), inside(3, BOX, 9000)
    assert found(machine(*small, memcgs=memcgs), "worker_not_main")


def test_the_engine_knows_the_main_process() -> None:
    older, main = inside(2, BOX, 100), inside(3, BOX, 9000)
    snapshot = machine(older, main, memcgs=box())
    known = Container(id=IDENTITY, engine="docker", name="web", main_pid=3)
    assert found(snapshot, "worker_not_main")
    assert not found(replace(snapshot, containers=(known,)), "worker_not_main")


def test_workers_killed_unseen() -> None:
    main, worker = inside(2, BOX), inside(3, BOX)
    (finding,) = found(machine(main, worker, memcgs=box(oom_kills=3)), "silent_kills")
    assert "3 times" in finding.text
    assert finding.pids == (2,)


def test_kills_in_a_container_s_own_cgroups_count_and_in_another_unit_s_do_not() -> None:
    """As a container with a systemd of its own has them; and a user's manager its programs'."""
    inner = Memcg(f"{BOX}/init.scope", 2, UNLIMITED_PAGES, oom_kills=2)
    tasks = inside(2, f"{BOX}/init.scope"), inside(3, BOX)
    (finding,) = found(machine(*tasks, memcgs=(*box(oom_kills=1), inner)), "silent_kills")
    assert "3 times" in finding.text
    manager = "/user.slice/user-1000.slice/user@1000.service"
    memcgs = tuple(
        Memcg(path, 2, UNLIMITED_PAGES, oom_kills=kills)
        for path, kills in ((manager, 0), (f"{manager}/init.scope", 0), (f"{manager}/a.scope", 4))
    )
    systemd = inside(4, f"{manager}/init.scope")
    assert not found(machine(systemd, memcgs=memcgs), "silent_kills")


def test_nobody_was_killed_unseen() -> None:
    main = inside(2, BOX)
    assert not found(machine(main, memcgs=box(oom_kills=0)), "silent_kills")
    assert not found(machine(main, memcgs=box(oom_kills=None)), "silent_kills")
    assert not found(machine(make_task(2), memcgs=box(oom_kills=3)), "silent_kills")


def test_the_severest_come_first() -> None:
    main, worker = inside(2, BOX, 100), inside(3, BOX, 9000)
    severities = [f.severity for f in audit(machine(main, worker, memcgs=box(), panic_on_oom=1))]
    assert severities == ["critical", "warning"]


def test_every_check_is_tested_here() -> None:
    text = Path(__file__).read_text()
    folder = Path(__file__).parent.parent / "oomlab/analysis/audit"
    names = set(
        re.findall(
            r'Finding\(\n\s+"?[^,]+,\n\s+"(\w+)"',
            "".join(p.read_text() for p in folder.glob("*.py")),
        )
    )
    assert len(names) >= len(CHECKS)
    for name in names:
        assert f'"{name}"' in text, name


def test_the_audit_of_the_node(run_cli: Run) -> None:
    status, out, err = run_cli("suggest", "--from", NODE)
    assert (status, err) == (0, "")
    assert out.startswith("5 findings: 5 warnings.")
    assert "worker: an OOM killed in it 3 times" in out
    status, out, _ = run_cli("suggest", "--from", NODE, "--format", "json")
    document = json.loads(out)
    assert document["schema"] == "oomlab.audit/1"
    assert {finding["check"] for finding in document["findings"]} == {
        "silent_kills",
        "vital_before_batch",
        "worker_not_main",
    }
    _, out, _ = run_cli("suggest", "--from", NODE, "--format", "csv")
    assert out.startswith("severity,check,subject,text,advice\nwarning,")


def test_findings_fit_the_screen_and_are_harmless() -> None:
    main, worker = inside(2, BOX, 100, comm="a\x1b[31m"), inside(3, BOX, 9000, comm="b\nc")
    snapshot = machine(main, worker, memcgs=box(oom_kills=1), panic_on_oom=1)
    text = audit_text(rank(snapshot), audit(snapshot), Screen(columns=60))
    assert "\x1b" not in text
    assert all(len(line) <= 60 for line in text.splitlines())


def test_a_machine_without_findings(run_cli: Run) -> None:
    example = str(Path(__file__).parent.parent / "fixtures" / "example.json")
    _, out, _ = run_cli("suggest", "--from", example)
    assert out.startswith("Nothing found")


@pytest.mark.parametrize("option", ["--apply", "--raise-only", "--allow-unkillable"])
def test_an_audit_sets_nothing(option: str, run_cli: Run) -> None:
    status, _, err = run_cli("suggest", "--from", NODE, option)
    assert status == 2
    assert "name whom to protect" in err
