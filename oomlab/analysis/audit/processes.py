"""Findings about processes and the machine's own settings."""

from __future__ import annotations

from collections.abc import Iterator

from ...kernel.adjust import oom_score_adj_of
from ...kernel.badness import OOM_SCORE_ADJ_MIN
from ...kernel.usage import usage_reader
from ...snapshot import Task
from ...units import human
from .finding import Facts, Finding, listed, named

# fmt: off
VITAL = frozenset({
    "postgres", "mysqld", "mariadbd", "mongod", "redis-server", "valkey-server", "clickhouse-serv",
    "etcd", "slapd", "beam.smp", "sshd", "systemd-journal", "dbus-daemon", "dockerd", "containerd",
    "kubelet",
})
"""Names of programs that nobody wants killed for a batch job: databases, logins, managers."""
BATCH = frozenset({
    "make", "gmake", "ninja", "cc1", "cc1plus", "ld", "ld.lld", "lld", "rustc", "cargo", "javac",
    "tar", "gzip", "xz", "zstd", "bzip2", "rsync", "borg", "restic", "ffmpeg", "updatedb", "mandb",
    "Rscript",
})
"""Names of programs whose work can be done again; so can that of any process with nice > 0."""
# fmt: on
_MOST_ADVISED = 3


def settings_of_the_machine(facts: Facts) -> Iterator[Finding]:
    """vm.panic_on_oom and vm.oom_kill_allocating_task, which change who dies altogether."""
    machine = facts.snapshot.machine
    if machine.panic_on_oom:
        scope = "in cgroups too" if machine.panic_on_oom == 2 else "of the whole machine"
        yield Finding(
            "critical",
            "panic_on_oom",
            "vm.panic_on_oom",
            f"it is {machine.panic_on_oom}: the kernel panics on an OOM {scope} instead of killing",
            "sysctl vm.panic_on_oom=0, unless another machine takes over at once",
        )
    if machine.oom_kill_allocating_task:
        yield Finding(
            "warning",
            "oom_kill_allocating_task",
            "vm.oom_kill_allocating_task",
            "whoever asks for memory at that moment dies, not the process of the highest badness: "
            "oom_score_adj has no say, but for -1000",
            "sysctl vm.oom_kill_allocating_task=0",
        )


def larger_than_half(facts: Facts) -> Iterator[Finding]:
    """A process at -1000 that holds more than half of memory: killing all others may not do."""
    machine = facts.snapshot.machine
    memory = machine.ram_pages or facts.ranking.scope.totalpages
    pages_of = usage_reader(facts.ranking.era.facts, machine)
    for task in _at_minimum(facts):
        used = pages_of(task)
        if used is not None and used[1] * 2 > memory:
            size = human(used[1] * machine.page_size)
            yield Finding(
                "critical",
                "large_unkillable",
                named(task),
                f"it is unkillable and uses {size}, more than half of memory: once the "
                "others are dead, the kernel panics",
                f"oomlab suggest --protect {task.pid}: a value above -1000; or MemoryMax= for it",
                (task.pid,),
            )


def inherited(facts: Facts) -> Iterator[Finding]:
    """-1000 that children have from a parent it was meant for: a child is another program."""
    by_pid = {task.pid: task for task in facts.snapshot.tasks}
    heirs: dict[int, list[Task]] = {}
    for task in _at_minimum(facts):
        parent = by_pid.get(task.ppid or 0)
        if parent is None or parent.pid == 1 or not _is_at_minimum(parent):
            continue
        if parent.comm != task.comm:
            heirs.setdefault(_first_of_its_kind(parent, by_pid).pid, []).append(task)
    for pid, children in heirs.items():
        yield Finding(
            "warning",
            "inherited_unkillable",
            named(by_pid[pid]),
            f"its -1000 was inherited by {listed(children)}: no OOM ever kills them",
            "let it start them with another value (choom -n 0 -- COMMAND), or set theirs now: "
            f"choom -n 0 -p {children[0].pid}",
            tuple(child.pid for child in children),
        )


def _first_of_its_kind(task: Task, by_pid: dict[int, Task]) -> Task:
    """Return the topmost ancestor at -1000: the one that it was set for."""
    seen = {task.pid}
    while (parent := by_pid.get(task.ppid or 0)) is not None and parent.pid not in seen:
        if parent.pid == 1 or not _is_at_minimum(parent):
            break
        seen.add(parent.pid)
        task = parent
    return task


def vital_before_batch(facts: Facts) -> Iterator[Finding]:
    """A database or a login that would be killed before work that can be done again."""
    killable = facts.ranking.killable
    batch = [score for score in killable if _is_batch(score.task) and score.high is not None]
    done: set[str] = set()
    for score in killable:
        task, low = score.task, score.low
        if task.comm not in VITAL or task.comm in done or _is_batch(task) or low is None:
            continue
        # Only where the order is sure in spite of what userland can't see.
        later = [other.task for other in batch if other.high is not None and other.high < low]
        if not later:
            continue
        done.add(task.comm)
        alike = sum(other.task.comm == task.comm for other in killable)
        # Of a database with many processes the death of any is the death of all.
        protect = f"name:{task.comm}" if alike > 1 else task.pid
        sacrifice = ",".join(str(other.pid) for other in later[:_MOST_ADVISED])
        yield Finding(
            "warning",
            "vital_before_batch",
            named(task),
            f"it would be killed before {listed(later)}, whose work can be done again",
            f"oomlab suggest --protect {protect} --sacrifice {sacrifice}",
            (task.pid, *(other.pid for other in later)),
        )


def _is_batch(task: Task) -> bool:
    return task.comm in BATCH or (task.nice or 0) > 0


def _at_minimum(facts: Facts) -> list[Task]:
    return [task for task in facts.snapshot.tasks if _is_at_minimum(task)]


def _is_at_minimum(task: Task) -> bool:
    if task.kernel_thread or task.has_mm is False or task.pid == 1:
        return False
    return oom_score_adj_of(task) == OOM_SCORE_ADJ_MIN
