"""Scenes of nested cgroups that are filled until all have died, one kill after the other."""

from __future__ import annotations

from collections import Counter
from random import Random

from .people import MIB, PROCESS_OVERHEAD_KIB, Cast, Json, memory, size

SHAPES = (["a"], ["a", "b"], ["a/x", "a/y", "b"], ["a/x/deep", "b", "c"])
TOP = "t"
FILLER_KIB = 3 * MIB
"""What the process that fills is charged before it begins, generously."""
MOST_STEPS = 8


def cascade(cast: Cast, version: int, swap: bool) -> Json:
    """Whose limit is met first, who dies one after the other, and who is left at the end."""
    return _scene(cast, version, swap, "cascade")


def shield(cast: Cast, version: int, swap: bool) -> Json:
    """The same after a suggestion was written that protects some from all others there."""
    scene = _scene(cast, version, swap, "shield")
    at_risk = [n for n, line in enumerate(cast.lines) if _is_in(line, scene["fill"])]
    scene["protect"] = cast.rng.sample(at_risk, cast.rng.randint(1, 2))
    scene["growth_percent"] = cast.rng.choice([0, 0, 50])
    return scene


def _is_in(line: str, place: str) -> bool:
    words = line.split()
    return any(w.endswith(f"/{place}") for w in words if w.startswith("cgroup=")) and not (
        {"adj=-1000"} & set(words)
    )


def _scene(cast: Cast, version: int, swap: bool, kind: str) -> Json:
    rng = cast.rng
    leaves = [f"{TOP}/{leaf}" for leaf in rng.choice(SHAPES)]
    places = [leaves[0]] * 4 + [rng.choice(leaves) for _ in range(rng.randint(2, 5))]
    held: Counter[str] = Counter(dict.fromkeys(_with_parents(leaves[0]), FILLER_KIB))
    for number, place in enumerate(places):
        kib = size(rng, 3000)
        # With swap only memory that may go there: shared memory that does counts in nobody.
        steps = [f"anon={kib}"] if swap else memory(rng, kib)
        cast.add(adj=_adj(rng, at_risk=number < 2), steps=[*steps, *_company(rng)], group=place)
        held.update(dict.fromkeys(_with_parents(place), kib + 3 * PROCESS_OVERHEAD_KIB))
    paths = sorted({path for leaf in leaves for path in _with_parents(leaf)})
    groups = [
        {"path": path, "files": _files(rng, path, held[path], version, swap, path in leaves)}
        for path in paths
    ]
    events = [{"name": "fill", "kind": "fill", "steps": MOST_STEPS}]
    return cast.scene(kind, events, groups, swap=swap) | {"fill": leaves[0]}


def _with_parents(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[: n + 1]) for n in range(len(parts))]


def _adj(rng: Random, *, at_risk: bool) -> int:
    """Return an oom_score_adj that competes with memory; some are at -1000 or die for sure."""
    near, far = rng.randint(-30, 30), rng.randint(-900, 300)
    extreme = rng.choice([-1000, rng.randint(300, 1000)])
    return rng.choice([0, 0, 0, near, near, far] + [extreme] * (not at_risk))


def _company(rng: Random) -> list[str]:
    return rng.choice([[]] * 6 + [["kids=1"], ["threads=2"], ["sharer="]])


def _files(
    rng: Random, path: str, kib: int, version: int, swap: bool, leaf: bool
) -> dict[str, list[list[str]]]:
    """Return what is written to a cgroup's files: the top has a limit, others may have."""
    files: list[list[str]] = []
    may_swap = 1024 * rng.randint(1, 6) if swap and rng.random() < 0.7 else 0
    if path == TOP or rng.random() < 0.6:
        limit = kib + MIB * (rng.randint(3, 9) if path == TOP else rng.randint(2, 14))
        files += _limits(limit, may_swap, version, free=swap and path != TOP)
    elif swap and rng.random() < 0.3 and version == 2:
        files.append(["memory.swap.max", f"{may_swap}K"])
    if version == 2:
        if path != TOP and rng.random() < 0.2:
            files.append(["memory.oom.group", "1"])
        if not leaf:
            files.append(["cgroup.subtree_control", "+memory"])
    return {"v1": [], "v2": [], f"v{version}": files}


def _limits(kib: int, swap_kib: int, version: int, *, free: bool) -> list[list[str]]:
    """Return the limits of memory and swap; ``free``: none of swap where none is given."""
    if version == 2:
        swap = [] if free and not swap_kib else [["memory.swap.max", f"{swap_kib}K"]]
        return [["memory.max", f"{kib}K"], *swap]
    both = [["memory.memsw.limit_in_bytes", f"{kib + swap_kib}K"]]
    return [["memory.limit_in_bytes", f"{kib}K"], *([] if free and not swap_kib else both)]
