"""What a finding is, and what the checks look at."""

from __future__ import annotations

from typing import Literal, NamedTuple

from ...kernel.eras import Era
from ...kernel.scope import Members
from ...snapshot import Snapshot, Task
from ..ranking import Ranking, rank
from ..scopes import OomScope, find_scopes

Severity = Literal["critical", "warning", "info"]
SEVERITIES: tuple[Severity, ...] = ("critical", "warning", "info")
"""critical: an OOM would hang or panic the machine; warning: it would hit the wrong ones."""


class Finding(NamedTuple):
    """One thing to know, about whom, and what to do."""

    severity: Severity
    check: str
    subject: str
    text: str
    advice: str
    pids: tuple[int, ...] = ()
    path: str | None = None
    """The memory cgroup that it is about."""


class Facts(NamedTuple):
    """What the checks look at, made once."""

    snapshot: Snapshot
    ranking: Ranking
    """Of the whole machine."""
    scopes: list[OomScope]
    """All memory cgroups and the machine."""
    members: Members

    @property
    def cgroup_scopes(self) -> list[OomScope]:
        """Return the scopes that are memory cgroups below the top."""
        return [scope for scope in self.scopes if scope.path not in (None, "/")]

    def inside(self, scope: OomScope) -> list[Task]:
        """Return the processes of a memory cgroup and of all below it."""
        return [
            task
            for memcg in self.members.below(scope.path or "/")
            for task in self.members.own[memcg.path]
            if not task.kernel_thread
        ]


def gather(snapshot: Snapshot, era: Era) -> Facts:
    """Return what the checks look at."""
    return Facts(
        snapshot,
        rank(snapshot, kernel=era),
        find_scopes(snapshot, kernel=era, every=True),
        Members(snapshot),
    )


def named(task: Task) -> str:
    """Return how findings name a process."""
    return f"{task.pid} ({task.comm})"


def listed(tasks: list[Task], most: int = 3) -> str:
    """Return several processes in words."""
    names = ", ".join(map(named, tasks[:most]))
    return names if len(tasks) <= most else f"{names} and {len(tasks) - most} more"
