"""The invented machines of docs/recipes.md: a build host and a desktop.

    python tests/recipe_fixtures.py

writes fixtures/build.json and fixtures/desktop.json. Names, settings and cgroups are those that
the programs have by themselves (sshd -1000, Firefox's and Chromium's processes); sizes are made up.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from oomlab.memcg import UNLIMITED_PAGES, Memcg
from oomlab.readers.saved import dump_snapshot
from oomlab.snapshot import Machine, Snapshot, Task

FIXTURES = Path(__file__).parent.parent / "fixtures"
PAGE = 4096
MIB = 256
"""In pages."""


class Process(NamedTuple):
    """One process of a fixture: its RSS in MiB."""

    comm: str
    rss: int
    user: tuple[int, str]
    cgroup: str
    adj: int = 0
    nice: int = 0
    parent: int = 1


ROOT, BUILD, ALICE = (0, "root"), (990, "ci"), (1000, "alice")
AGENT = "/system.slice/ci-agent.service"
SESSION = "/user.slice/user-1000.slice/user@1000.service"
SHELL = f"{SESSION}/session.slice/org.gnome.Shell@wayland.service"
APPS = f"{SESSION}/app.slice"
FIREFOX = f"{APPS}/app-gnome-firefox-2210.scope"
EDITOR = f"{APPS}/app-gnome-code-3120.scope"
TERMINAL = f"{APPS}/vte-spawn-1f2e.scope"

BUILD_HOST = [
    Process("systemd", 13, ROOT, "/init.scope"),
    Process("systemd-journal", 48, ROOT, "/system.slice/systemd-journald.service", -250),
    Process("sshd", 9, ROOT, "/system.slice/ssh.service", -1000),
    Process("java", 1900, BUILD, AGENT),
    Process("sh", 2, BUILD, AGENT, parent=4),
    Process("ninja", 60, BUILD, AGENT, parent=5),
    *[Process("cc1plus", size, BUILD, AGENT, parent=6) for size in (410, 520, 630, 700, 880, 950)],
    Process("ld.lld", 1600, BUILD, AGENT, parent=6),
]

DESKTOP = [
    Process("systemd", 13, ROOT, "/init.scope"),
    Process("sshd", 9, ROOT, "/system.slice/ssh.service", -1000),
    Process("systemd", 14, ALICE, f"{SESSION}/init.scope", 100),
    Process("gnome-shell", 620, ALICE, SHELL, parent=3),
    Process("Xwayland", 190, ALICE, SHELL, parent=4),
    Process("firefox", 830, ALICE, FIREFOX, parent=3),
    *[Process("Web Content", size, ALICE, FIREFOX, 167, parent=6) for size in (240, 380, 510)],
    Process("code", 210, ALICE, EDITOR, parent=3),
    Process("code", 640, ALICE, EDITOR, 300, parent=10),
    Process("code", 1400, ALICE, EDITOR, 100, parent=10),
    Process("bash", 6, ALICE, TERMINAL, parent=3),
    Process("make", 10, ALICE, TERMINAL, nice=10, parent=13),
    Process("rustc", 900, ALICE, TERMINAL, nice=10, parent=14),
]


def task_of(pid: int, process: Process) -> Task:
    """Make the task; the first is pid 1, the others are numbered from 200 on."""
    pages = process.rss * MIB
    uid, user = process.user
    return Task(
        pid=number(pid),
        comm=process.comm,
        ppid=0 if pid == 1 else number(process.parent),
        state="S",
        start_ticks=1000 + 50 * pid,
        has_mm=True,
        oom_score_adj=process.adj,
        rss_pages=pages,
        rss_stat_pages=pages,
        rss_anon_pages=pages * 4 // 5,
        rss_file_pages=pages - pages * 4 // 5,
        rss_shmem_pages=0,
        swap_pages=0,
        pagetable_bytes=(pages // 512 + 12) * PAGE,
        total_vm_pages=pages * 3 + 40 * pid,
        uid=uid,
        euid=uid,
        user=user,
        nice=process.nice,
        threads=1,
        cgroups=(("", process.cgroup),),
        cmdline=(process.comm,),
    )


def number(pid: int) -> int:
    """Return the pid of the n-th process."""
    return 1 if pid == 1 else 200 + 7 * pid


def snapshot_of(processes: list[Process], ram_gib: int, source: str) -> Snapshot:
    """Make the machine: no swap, no limits."""
    tasks = tuple(task_of(pid, process) for pid, process in enumerate(processes, 1))
    paths = {"/"}
    for process in processes:
        parts = process.cgroup.strip("/").split("/")
        paths |= {"/" + "/".join(parts[: depth + 1]) for depth in range(len(parts))}
    memcgs = tuple(
        Memcg(
            path,
            2,
            limit_pages=UNLIMITED_PAGES,
            swap_limit_pages=UNLIMITED_PAGES,
            usage_pages=sum(
                task.rss_pages or 0
                for task in tasks
                if (own := task.cgroup_path("")) and (own + "/").startswith(path.rstrip("/") + "/")
            ),
            oom_group=False,
            oom_kills=0,
            creation_order=order,
            pids=tuple(task.pid for task in tasks if task.cgroup_path("") == path),
        )
        for order, path in enumerate(sorted(paths), 1)
    )
    machine = Machine(
        page_size=PAGE,
        release="6.12.48+deb13-amd64",
        ram_pages=ram_gib * 1024 * MIB,
        swap_pages=0,
        swapped_out_pages=0,
        cpus=8,
        init_pid_namespace=True,
        meminfo_replaced=False,
        oom_kill_allocating_task=0,
        panic_on_oom=0,
    )
    return Snapshot(
        machine=machine,
        tasks=tasks,
        memcgs=memcgs,
        taken_at="2026-11-20T09:30:00.000+00:00",
        source=source,
    )


def main() -> None:
    """Write both files."""
    for name, processes, ram_gib in (("build", BUILD_HOST, 16), ("desktop", DESKTOP, 8)):
        snapshot = snapshot_of(processes, ram_gib, name)
        (FIXTURES / f"{name}.json").write_bytes(dump_snapshot(snapshot))


if __name__ == "__main__":
    main()
