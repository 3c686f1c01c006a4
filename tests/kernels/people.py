"""The processes of a scene, as lines for the crowd program; sizes in KiB."""

from __future__ import annotations

from random import Random
from typing import Any

Json = dict[str, Any]

TOP = "/sys/fs/cgroup"
SHARER_MARKS = {"sharer": ".s", "vfork": ".v"}
"""How the name of a process in another's memory ends."""
FILE = "/ram/file"
FILE_KIB = 4096
PROCESS_OVERHEAD_KIB = 280
"""What a process is charged beside its own pages, generously: tables, stack, kernel objects."""
MIB = 1024


class Cast:
    """The people of one scene: their lines for the crowd program, and what the judge must know.

    ``shares`` names the process in another's memory, ``bound`` the node a process is bound to:
    neither is visible in /proc.
    """

    def __init__(self, rng: Random, number: int) -> None:
        self.rng = rng
        self.number = number
        self.lines: list[str] = []
        self.shares: dict[str, str] = {}
        self.bound: dict[str, int] = {}

    def add(
        self, *, adj: int, steps: list[str], group: str | None = None, bind: int | None = None
    ) -> int:
        """Add a process and return its index."""
        name = self.name()
        words = [f"name={name}"]
        if group is not None:
            words.append(f"cgroup={TOP}/{group}")
        words.append(f"adj={adj}")
        if self.rng.random() < 0.2:
            words.append(f"user={self.rng.randint(1, 65000)}")
        if bind is not None:
            words.append(f"bind={bind}")
            self.bound[shown(name)] = bind
        last = steps[-1].partition("=")[0]
        if last in ("sharer", "vfork"):
            other = f"{name}{SHARER_MARKS[last]}"
            self.shares[shown(name)] = shown(other)
            steps = [*steps[:-1], f"{last}={other}"]
        self.lines.append(" ".join([*words, *steps]))
        return len(self.lines) - 1

    def name(self) -> str:
        """Return a name that no other process of the boot has; some are odd ones."""
        name = f"p{self.number}.{len(self.lines)}"
        return name + self.rng.choice(["~)", ")~(R", "~~1"]) if self.rng.random() < 0.1 else name

    def scene(self, kind: str, events: list[Json], groups: list[Json], *, swap: bool) -> Json:
        """Return the whole scene."""
        return {
            "number": self.number,
            "kind": kind,
            "swap": swap,
            "groups": groups,
            "people": self.lines,
            "shares": self.shares,
            "bound": self.bound,
            "events": events,
        }


def shown(name: str) -> str:
    """Return a name of the crowd program's input as /proc shows it."""
    return name.replace("~", " ")


def any_adj(rng: Random) -> int:
    """Return an oom_score_adj: mostly so small that memory and adj compete."""
    near, far = rng.randint(-15, 15), rng.randint(-100, 100)
    return rng.choice(
        [0, 0, 0, 0, near, near, far, rng.choice([-1000, -999, -500, 500, 999, 1000])]
    )


def killable_adj(rng: Random, spread: int) -> int:
    """Return an oom_score_adj that protects nobody."""
    return rng.choice([0, 0, rng.randint(-spread, spread)])


def memory(rng: Random, kib: int, *, swap: bool = False) -> list[str]:
    """Return steps that hold about ``kib`` of memory of several kinds."""
    part = 4 * rng.randint(1, max(1, kib // 4))
    rest = max(4, kib - part)
    steps = rng.choice(
        [
            [f"anon={kib}"],
            [f"anon={kib}"],
            [f"anon={part}", f"shmem={rest}"],
            [f"anon={part}", f"tables={1 + rest // 8}"],
            [f"cpu=0 anon={part} cpu=1 anon={rest} cpu=-1"],
            [f"cpu=1 shmem={part} cpu=0 anon={rest}"],
        ]
    )
    if rng.random() < 0.25:
        steps = [*steps, f"file={4 * rng.randint(1, FILE_KIB // 8)}:{FILE}"]
    if swap and rng.random() < 0.3:
        steps = [*steps, f"out={4 * rng.randint(8, 300)}"]
    return steps


def company(rng: Random) -> list[str]:
    """Return steps that give a process threads, children or somebody in its memory."""
    return rng.choice([[]] * 6 + [["kids=1"], ["kids=2"], ["threads=2"]] + _LAST_STEPS)


_LAST_STEPS = [["sharer="], ["vfork="], ["threads=1", "leaderless"]]


def size(rng: Random, most: int = 4000) -> int:
    """Return KiB: small ones are as likely as large ones."""
    return 4 * rng.choice([rng.randint(10, 120), rng.randint(60, most // 4)])


def members(cast: Cast, places: list[str], count: int, *, protect: bool = False) -> int:
    """Add ordinary processes to cgroups; return the KiB that hold them with little room."""
    rng, total = cast.rng, 2 * MIB
    for index in range(count):
        kib = size(rng, 3000)
        protected = protect and index % 5 == 4
        adj = -1000 if protected else killable_adj(rng, 150)
        steps = [*memory(rng, kib), *rng.choice([[]] * 5 + [["kids=1"], ["sharer="]])]
        cast.add(adj=adj, steps=steps, group=places[index % len(places)])
        total += kib + 3 * PROCESS_OVERHEAD_KIB
    return total


def growers(
    cast: Cast,
    place: str | None,
    *,
    ordinary: bool,
    limit_kib: int,
    kills: int = 4,
    bind: int | None = None,
) -> list[Json]:
    """Add the processes that will grow, one event each."""
    events = []
    for number in range(3 if ordinary else 1):
        adj = killable_adj(cast.rng, 100) if ordinary else -1000
        step = 512 if limit_kib > 100 * MIB else 64
        grow = f"grow={step}:{2 if ordinary else kills}:{limit_kib * 2}"
        index = cast.add(adj=adj, steps=[grow], group=place, bind=bind)
        name = f"{'self' if ordinary else 'other'}-{number}"
        events.append({"name": name, "kind": "grow", "grower": index})
    return events


def crowd_of(cast: Cast, local_node: int | None) -> None:
    """Add people of the whole machine, and one whose death would always give room."""
    rng = cast.rng
    local = [] if local_node is None else [f"cpu={local_node}"]
    for _ in range(rng.randint(12, 16)):
        steps = [*local, f"anon={4 * rng.randint(150, 1500)}"]
        if local_node is None:
            steps = memory(rng, 4 * rng.randint(150, 1500))
        cast.add(adj=killable_adj(rng, 20), steps=[*steps, *company(rng)])
    cast.add(adj=-900, steps=[*local, f"anon={12 * MIB}"])
