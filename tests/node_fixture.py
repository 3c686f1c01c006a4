"""The invented machine of fixtures/node.json: systemd units, Docker, Kubernetes, a login session.

    python tests/node_fixture.py > fixtures/node.json

A server of 16 GiB with 2 GiB of swap and cgroup v2, as Debian 12 would run it. Sizes are made up;
each cgroup's usage is the sum of its processes, its file cache and a little kernel memory.
"""

from __future__ import annotations

import hashlib
import sys
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from oomlab.memcg import UNLIMITED_PAGES, Container, Memcg, Pressure
from oomlab.readers.saved import dump_snapshot
from oomlab.snapshot import Machine, Node, Snapshot, Task

ROOT = Path(__file__).parent.parent
PAGE = 4096
MIB = 256
"""In pages."""


def identity(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()


WEB, WORKER, CACHE = identity("web"), identity("worker"), identity("cache")
SHOP, SHOP_LOG, SHOP_PAUSE = identity("shop"), identity("shop-log"), identity("shop-pause")
DB, DB_PAUSE = identity("ledger"), identity("ledger-pause")
BATCH, BATCH_PAUSE = identity("report"), identity("report-pause")
SHOP_UID = "3f0c6a52-7d7e-4c39-9d1a-5b8f0e2a6c11"
DB_UID = "9a1e4b70-2c55-4f0b-8b8e-0d6d3f7c9e24"
BATCH_UID = "c7d2f3e8-61b4-4a8f-a0c3-1f9e8d7b6a55"


@dataclass
class Group:
    """One cgroup as the fixture describes it: sizes in MiB, None is no limit."""

    path: str
    limit: int | None = None
    swap: int | None = None
    cache: int = 0
    tmpfs: int = 0
    high: int | None = None
    minimum: int = 0
    oom_group: bool = False
    kills: int = 0
    hits: int = 0
    stalled: float = 0.0
    people: list[Task] = field(default_factory=list)


_pids = count(300, 7)


def process(
    name: str,
    anon: float,
    *,
    adj: int = 0,
    parent: int = 1,
    user: tuple[str, int] = ("root", 0),
    shmem: float = 0,
    swap: float = 0,
    pid: int | None = None,
    command: str = "",
    threads: int = 1,
) -> Task:
    number = next(_pids) if pid is None else pid
    mapped = 900 + len(name) * 37
    rss = int(anon * MIB) + int(shmem * MIB) + mapped
    total = rss * 2 + 5000 + number
    return Task(
        pid=number,
        comm=name[:15],
        ppid=parent,
        state="S",
        start_ticks=number * 13,
        has_mm=True,
        oom_score_adj=adj,
        rss_pages=rss,
        rss_stat_pages=rss,
        swap_pages=int(swap * MIB),
        pagetable_bytes=(10 + rss // 480) * PAGE,
        uid=user[1],
        euid=user[1],
        user=user[0],
        nice=0,
        threads=threads,
        cpu_ticks=number * 3,
        rss_anon_pages=int(anon * MIB),
        rss_file_pages=mapped,
        rss_shmem_pages=int(shmem * MIB),
        total_vm_pages=total,
        cap_effective=(1 << 41) - 1 if user[1] == 0 else 0,
        in_init_userns=True,
        mems_allowed="0",
        cmdline=tuple(command.split()) or (name,),
    )


def scope(engine: str, name: str) -> str:
    return f"{engine}-{name}.scope"


def pod_slice(uid: str, qos: str = "") -> str:
    name = f"kubepods{qos}-pod{uid.replace('-', '_')}.slice"
    return f"/kubepods.slice/kubepods{qos}.slice/{name}" if qos else f"/kubepods.slice/{name}"


WWW, POSTGRES, ALICE = ("www-data", 33), ("postgres", 115), ("alice", 1000)
APP, REDIS = ("app", 10001), ("redis", 999)


def system() -> list[Group]:
    postmaster = process(
        "postgres", 18, adj=-900, user=POSTGRES, shmem=128, command="postgres -D /srv/pg"
    )
    backends = [
        process("postgres", size, user=POSTGRES, shmem=shared, parent=postmaster.pid, swap=swap)
        for size, shared, swap in ((6, 900, 0), (4, 300, 0), (310, 1040, 12), (95, 700, 3))
    ]
    sshd = process("sshd", 2, adj=-1000)
    return [
        Group("/init.scope", people=[process("systemd", 9, pid=1, parent=0)], cache=4),
        Group("/system.slice/ssh.service", people=[sshd], cache=3),
        Group(
            "/system.slice/postgresql@15-main.service",
            limit=4096,
            swap=1024,
            cache=1500,
            tmpfs=1056,
            people=[postmaster, *backends],
        ),
        Group(
            "/system.slice/backup.service",
            limit=300,
            swap=0,
            high=280,
            cache=236,
            hits=91822,
            stalled=3.41,
            people=[process("tar", 6), process("zstd", 38, threads=4)],
        ),
        Group("/system.slice/docker.service", people=[process("dockerd", 84, adj=-500)], cache=60),
        Group(
            "/system.slice/containerd.service",
            people=[
                process("containerd", 46, adj=-999),
                *(process("containerd-shim", 11, adj=-998) for _ in range(6)),
            ],
            cache=40,
        ),
        Group("/system.slice/kubelet.service", people=[process("kubelet", 92, adj=-999)], cache=22),
        Group(
            "/user.slice/user-1000.slice/session-4.scope",
            cache=120,
            people=[
                process("sshd", 3, parent=sshd.pid),
                process("bash", 4, user=ALICE),
                process("python3", 640, user=ALICE, command="python3 train.py", threads=5),
            ],
        ),
        Group(
            "/user.slice/user-1000.slice/user@1000.service/init.scope",
            people=[process("systemd", 7, adj=100, user=ALICE)],
            cache=2,
        ),
    ]


def docker() -> list[Group]:
    nginx = process("nginx", 5)
    master = process("gunicorn", 31, user=APP)
    return [
        Group(
            f"/system.slice/{scope('docker', WEB)}",
            limit=512,
            swap=512,
            cache=96,
            people=[
                nginx,
                *(process("nginx", 9, user=WWW, parent=nginx.pid) for _ in range(4)),
                *(
                    process("php-fpm", size, user=WWW, parent=nginx.pid, swap=2)
                    for size in (44, 61, 88)
                ),
            ],
        ),
        Group(
            f"/system.slice/{scope('docker', WORKER)}",
            limit=768,
            swap=0,
            cache=31,
            tmpfs=64,
            kills=3,
            hits=640,
            stalled=12.87,
            people=[
                master,
                *(
                    process("gunicorn", size, user=APP, parent=master.pid)
                    for size in (118, 121, 187, 190)
                ),
            ],
        ),
        Group(
            f"/system.slice/{scope('docker', CACHE)}",
            cache=12,
            people=[process("redis-server", 1210, user=REDIS, threads=5)],
        ),
    ]


def kubernetes() -> list[Group]:
    shop, db = pod_slice(SHOP_UID, "-burstable"), pod_slice(DB_UID)
    batch = pod_slice(BATCH_UID, "-besteffort")
    cri = "cri-containerd"
    java = process("java", 1405, adj=906, user=APP, threads=64, swap=21, command="java -jar shop")
    return [
        Group("/kubepods.slice", limit=13312, minimum=0),
        Group("/kubepods.slice/kubepods-burstable.slice"),
        Group(shop, limit=2304),
        Group(
            f"{shop}/{scope(cri, SHOP_PAUSE)}",
            people=[process("pause", 0.1, adj=-998, user=("65535", 65535))],
        ),
        Group(
            f"{shop}/{scope(cri, SHOP)}",
            limit=2048,
            swap=0,
            cache=180,
            oom_group=True,
            hits=12,
            stalled=1.02,
            people=[java, process("sh", 0.4, adj=906, user=APP, parent=java.pid)],
        ),
        Group(
            f"{shop}/{scope(cri, SHOP_LOG)}",
            limit=256,
            swap=0,
            cache=24,
            oom_group=True,
            people=[process("fluent-bit", 61, adj=984, threads=4)],
        ),
        Group(db, limit=3072),
        Group(
            f"{db}/{scope(cri, DB_PAUSE)}",
            people=[process("pause", 0.1, adj=-998, user=("65535", 65535))],
        ),
        Group(
            f"{db}/{scope(cri, DB)}",
            limit=3072,
            swap=0,
            cache=610,
            minimum=0,
            oom_group=True,
            people=[process("mariadbd", 2110, adj=-997, user=("999", 999), threads=31)],
        ),
        Group("/kubepods.slice/kubepods-besteffort.slice"),
        Group(batch),
        Group(
            f"{batch}/{scope(cri, BATCH_PAUSE)}",
            people=[process("pause", 0.1, adj=-998, user=("65535", 65535))],
        ),
        Group(
            f"{batch}/{scope(cri, BATCH)}",
            cache=75,
            oom_group=True,
            people=[process("Rscript", 890, adj=1000, user=APP, threads=2)],
        ),
    ]


CONTAINERS = (
    Container(WEB, "docker", "web", "shop/web:2.8"),
    Container(WORKER, "docker", "worker", "shop/worker:2.8"),
    Container(CACHE, "docker", "cache", "redis:7"),
    Container(SHOP, "containerd", "app", "shop/app:5", None, SHOP_UID, "shop-7f9c", "prod"),
    Container(SHOP_LOG, "containerd", "log", "fluent-bit:3", None, SHOP_UID, "shop-7f9c", "prod"),
    Container(DB, "containerd", "mariadb", "mariadb:11", None, DB_UID, "ledger-0", "prod"),
    Container(BATCH, "containerd", "report", "r-base:4", None, BATCH_UID, "report-x2", "batch"),
)


def with_parents(groups: list[Group]) -> list[Group]:
    """Add the cgroups above, and put parents before children."""
    known = {group.path: group for group in groups} | {"/": Group("/")}
    for group in groups:
        parts = group.path.split("/")[1:]
        for depth in range(1, len(parts)):
            path = "/" + "/".join(parts[:depth])
            known.setdefault(path, Group(path))
    return sorted(
        known.values(), key=lambda group: group.path.split("/") if group.path > "/" else []
    )


def inside(groups: list[Group], top: str) -> list[Group]:
    return [g for g in groups if top == "/" or g.path == top or g.path.startswith(f"{top}/")]


def memcg(group: Group, groups: list[Group], number: int) -> Memcg:
    members = inside(groups, group.path)
    people = [task for one in members for task in one.people]
    anon = sum(task.rss_anon_pages or 0 for task in people)
    shmem = sum(one.tmpfs for one in members) * MIB
    cache = sum(one.cache for one in members) * MIB
    tables = sum((task.pagetable_bytes or 0) // PAGE for task in people)
    slab = (anon + cache) // 150
    swap = sum(task.swap_pages or 0 for task in people)
    events = sum(one.kills for one in members)

    def limit(size: int | None) -> int:
        return UNLIMITED_PAGES if size is None else size * MIB

    if group.path == "/":
        return Memcg(
            "/",
            2,
            limit_pages=UNLIMITED_PAGES,
            creation_order=1,
            pids=(),
            owner_uid=0,
            oomd_preference="none",
        )
    stalled = group.stalled
    return Memcg(
        group.path,
        2,
        limit_pages=limit(group.limit),
        swap_limit_pages=limit(group.swap),
        usage_pages=anon + shmem + cache + tables + slab + 40 * len(people),
        swap_usage_pages=swap,
        oom_group=group.oom_group,
        oom_kills=group.kills,
        creation_order=1000 + number,
        pids=tuple(task.pid for task in group.people),
        high_pages=limit(group.high),
        min_pages=group.minimum * MIB,
        low_pages=0,
        anon_pages=anon,
        shmem_pages=shmem,
        inactive_file_pages=cache * 2 // 3,
        active_file_pages=cache - cache * 2 // 3,
        unevictable_pages=0,
        slab_reclaimable_pages=slab // 2,
        pagescans=group.hits * 32,
        oom_events=events,
        oom_kills_below=events,
        oom_group_kills=0,
        limit_hits=group.hits,
        owner_uid=1000 if "user@1000.service" in group.path else 0,
        oomd_preference="avoid" if group.path.endswith("ssh.service") else "none",
        pressure=Pressure(
            some_avg10_percent=stalled,
            some_avg60_percent=round(stalled / 2, 2),
            some_avg300_percent=round(stalled / 4, 2),
            some_total_us=int(stalled * 900_000),
            full_avg10_percent=round(stalled * 0.7, 2),
            full_avg60_percent=round(stalled * 0.35, 2),
            full_avg300_percent=round(stalled * 0.17, 2),
            full_total_us=int(stalled * 600_000),
        ),
    )


def make_node() -> Snapshot:
    global _pids
    _pids = count(300, 7)  # the same machine whenever it is asked for
    groups = with_parents([*system(), *docker(), *kubernetes()])
    tasks = [
        task._replace(cgroups=(("", group.path),)) for group in groups for task in group.people
    ]
    kernel_thread = Task(
        2, "kthreadd", 0, "S", 13, True, False, 0, cgroups=(("", "/"),), cmdline=(), user="root"
    )
    tasks = sorted([*tasks, kernel_thread], key=lambda task: (task.start_ticks or 0, task.pid))
    ram, swap = 16384 * MIB - 102400, 2048 * MIB
    used = sum(task.rss_anon_pages or 0 for task in tasks)
    cache = sum(group.cache for group in groups) * MIB
    tmpfs = sum(group.tmpfs for group in groups) * MIB
    free = ram - used - cache - tmpfs - 160000
    out = sum(task.swap_pages or 0 for task in tasks)
    machine = Machine(
        page_size=PAGE,
        release="6.1.0-26-amd64",
        ram_pages=ram,
        swap_pages=swap,
        available_pages=free + cache - 20000,
        free_pages=free,
        swap_free_pages=swap - out - 900,
        anon_pages=used,
        swapped_out_pages=out + 31000,
        oom_kills=sum(group.kills for group in groups),
        cpus=8,
        nodes=(Node(0, ram + 180000, ram + 102000, ram, free, cache),),
        uptime_seconds=986_400,
        init_pid_namespace=True,
        meminfo_replaced=False,
        oom_kill_allocating_task=0,
        panic_on_oom=0,
        oom_dump_tasks=1,
        overcommit_memory=1,
        overcommit_ratio=50,
        overcommit_kbytes=0,
        min_free_kbytes=67584,
        swappiness=60,
        pressure=Pressure(0.31, 0.12, 0.04, 912_330, 0.2, 0.08, 0.02, 655_120),
    )
    return Snapshot(
        machine=machine,
        tasks=tuple(tasks),
        memcgs=tuple(memcg(group, groups, number) for number, group in enumerate(groups)),
        containers=CONTAINERS,
        taken_at="2026-11-20T14:03:11.482+00:00",
        source="node",
    )


if __name__ == "__main__":
    sys.stdout.write(dump_snapshot(make_node()).decode("ascii"))
