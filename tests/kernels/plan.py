"""Seeded random scenes: who lives, in which cgroups, and how memory is made to run out.

A plan is plain JSON data, made wholly of the seed and the boot's name: the same two give the
same plan. Sizes are in KiB, as the crowd program takes them.
"""

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


def make_plan(seed: int, name: str, rounds: int = 1) -> Json:
    """Return the plan of one boot, ``name`` being the kernel's series and the cgroups' version."""
    version = 1 if name.endswith("-v1") else 2
    rng = Random(f"{seed} {name}")
    with_swap = [sysrq] * 6 + [memcg] * 5 + [nested] * 4 + [memcg_swap] * 2 + [machine]
    if version == 2:
        with_swap += [group_kill] * 3
    without = [cpuset] * 2 + [mempolicy] * 2 + [machine] * 2 + [sysrq]
    rng.shuffle(with_swap)
    rng.shuffle(without)
    scenes = [(make, True) for make in with_swap * rounds]
    scenes += [(make, False) for make in without * rounds]
    return {
        "seed": seed,
        "boot": name,
        "scenes": [
            make(Cast(rng, number), version, swap) for number, (make, swap) in enumerate(scenes)
        ],
    }


def shown(name: str) -> str:
    """Return a name of the crowd program's input as /proc shows it."""
    return name.replace("~", " ")


# -- what a process has --------------------------------------------------------------------


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


# -- what happens --------------------------------------------------------------------------


def sysrq(cast: Cast, _version: int, swap: bool) -> Json:
    """No pressure: the kernel is told to kill, and what userland saw is what it sees."""
    rng = cast.rng
    groups = [group("s"), group("s/a"), group("s/a/b"), group("s/c")]
    places = [None, None, "s/a/b", "s/c"]
    for _ in range(rng.randint(12, 20)):
        adj, steps = any_adj(rng), [*memory(rng, size(rng), swap=swap), *company(rng)]
        place = rng.choice(places)
        for _twin in range(rng.choice([1, 1, 1, 1, 1, 2])):
            cast.add(adj=adj, steps=steps, group=place)
    events = [{"name": f"sysrq-{n}", "kind": "sysrq"} for n in range(10)]
    return cast.scene("sysrq", events, groups, swap=swap)


def memcg(cast: Cast, version: int, swap: bool) -> Json:
    """One cgroup's own limit is hit, by a protected process or by ordinary ones."""
    kib = members(cast, ["m"], cast.rng.randint(8, 12))
    events = growers(cast, "m", ordinary=cast.rng.random() < 0.4, limit_kib=kib)
    return cast.scene("memcg", events, [group("m", *limits(kib, 0, version))], swap=swap)


def memcg_swap(cast: Cast, version: int, swap: bool) -> Json:
    """As ``memcg``, and some swap may be used."""
    kib = members(cast, ["m"], cast.rng.randint(8, 12))
    events = growers(cast, "m", ordinary=False, limit_kib=kib * 2)
    allowed = 1024 * cast.rng.randint(2, 6)
    return cast.scene("memcg-swap", events, [group("m", *limits(kib, allowed, version))], swap=swap)


def nested(cast: Cast, version: int, swap: bool) -> Json:
    """A parent's limit is hit, the victim may be in any of its descendants."""
    rng = cast.rng
    leaves = ["n/left", "n/right/deep", "n/right/flat"]
    kib = members(cast, leaves, rng.randint(9, 13))
    events = growers(cast, rng.choice(leaves), ordinary=rng.random() < 0.3, limit_kib=kib)
    groups = [
        group("n", *limits(kib, 0, version), parent=True),
        group("n/left", *limits(kib * 2, 0, version)),
        group("n/right", parent=True),
        group("n/right/deep"),
        group("n/right/flat", *limits(kib * 3, 0, version)),
    ]
    if rng.random() < 0.5:  # siblings are walked in the order of their creation
        groups[3], groups[4] = groups[4], groups[3]
    return cast.scene("nested", events, groups, swap=swap)


def group_kill(cast: Cast, version: int, swap: bool) -> Json:
    """memory.oom.group: with the victim die all of its group, but those at -1000."""
    rng = cast.rng
    leaves = ["g/one", "g/two/x", "g/two/y", "g/three"]
    kib = members(cast, leaves, rng.randint(12, 16), protect=True)
    kib += members(cast, ["g/four"], 4)
    events = growers(cast, "g/four", ordinary=False, limit_kib=kib, kills=2)
    together = [["memory.oom.group", "1"]]
    groups = [
        group("g", *limits(kib, 0, version), parent=True),
        group("g/one", *together),
        group("g/two", *together, parent=True),
        group("g/two/x", *(together if rng.random() < 0.5 else [])),
        group("g/two/y"),
        group("g/three"),
        group("g/four"),
    ]
    return cast.scene("oom.group", events, groups, swap=swap)


def machine(cast: Cast, _version: int, swap: bool) -> Json:
    """The whole machine runs out of memory."""
    crowd_of(cast, local_node=None)
    events = growers(cast, None, ordinary=False, limit_kib=500 * MIB, kills=6)
    return cast.scene("machine", events, [], swap=swap)


def cpuset(cast: Cast, _version: int, swap: bool) -> Json:
    """A cgroup confined to node 1 fills it; tasks that may not use it are passed over."""
    crowd_of(cast, local_node=1)
    for _ in range(3):
        cast.add(adj=0, steps=memory(cast.rng, size(cast.rng, 8000)), group="zero")
    events = growers(cast, "one", ordinary=False, limit_kib=400 * MIB, kills=5)
    groups = [group("zero", ["cpuset.mems", "0"]), group("one", ["cpuset.mems", "1"])]
    return cast.scene("cpuset", events, groups, swap=swap)


def mempolicy(cast: Cast, _version: int, swap: bool) -> Json:
    """A process bound to node 1 fills it; tasks bound to another node are passed over."""
    crowd_of(cast, local_node=1)
    for _ in range(3):
        cast.add(adj=0, steps=memory(cast.rng, size(cast.rng, 8000)), bind=0)
    events = growers(cast, None, ordinary=False, limit_kib=400 * MIB, kills=5, bind=1)
    return cast.scene("mempolicy", events, [], swap=swap)


# -- their parts ---------------------------------------------------------------------------


def group(path: str, *files: list[str], parent: bool = False) -> Json:
    """Return a cgroup and what to write to its files; v2's parents pass the controller on."""
    v2 = [*files, ["cgroup.subtree_control", "+memory"]] if parent or path in _PARENTS else files
    return {"path": path, "files": {"v1": list(files), "v2": list(v2)}}


_PARENTS = ("s", "s/a")


def limits(kib: int, swap_kib: int, version: int) -> list[list[str]]:
    """Return the files that limit a cgroup to memory and swap."""
    if version == 2:
        return [["memory.max", f"{kib}K"], ["memory.swap.max", f"{swap_kib}K"]]
    return [
        ["memory.limit_in_bytes", f"{kib}K"],
        ["memory.memsw.limit_in_bytes", f"{kib + swap_kib}K"],
    ]


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
