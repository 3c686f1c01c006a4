"""Seeded random scenes: who lives, in which cgroups, and how memory is made to run out.

A plan is plain JSON data, made wholly of the seed and the boot's name: the same two give the
same plan.
"""

from __future__ import annotations

from random import Random

from . import trees
from .people import (
    MIB,
    Cast,
    Json,
    any_adj,
    company,
    crowd_of,
    growers,
    members,
    memory,
    size,
)


def make_plan(seed: int, name: str, rounds: int = 1) -> Json:
    """Return the plan of one boot, ``name`` being the kernel's series and the cgroups' version."""
    version = 1 if name.endswith("-v1") else 2
    rng = Random(f"{seed} {name}")
    with_swap = (
        [sysrq] * 6 + [protect] * 3 + [memcg] * 5 + [nested] * 4 + [memcg_swap] * 2 + [machine]
    )
    without = [protect] + [cpuset] * 2 + [mempolicy] * 2 + [machine] * 2 + [sysrq]
    with_swap += [trees.cascade, trees.shield] * (4 if version == 2 else 2)
    without += [trees.cascade, trees.shield] * (5 if version == 2 else 2)
    if version == 2:
        with_swap += [group_kill] * 3
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


def protect(cast: Cast, _version: int, swap: bool) -> Json:
    """No pressure: a suggestion is applied first, and then the kernel is told to kill."""
    rng = cast.rng
    people = [
        cast.add(adj=any_adj(rng), steps=memory(rng, size(rng), swap=swap))
        for _ in range(rng.randint(9, 14))
    ]
    events = [{"name": f"sysrq-{n}", "kind": "sysrq"} for n in range(9)]
    scene = cast.scene("protect", events, [], swap=swap)
    scene["protect"] = rng.sample(people, rng.randint(1, 3))
    scene["growth_percent"] = rng.choice([0, 0, 50])
    return scene


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
