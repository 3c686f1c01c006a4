"""``python -m tests.kernels.oomd``: Debian's systemd-oomd chooses in a guest, ours is compared.

It needs cgroup v2 with the memory controller, PSI and swap, which this machine may not have. In
the guest there is no systemd: what it would tell is told by oomd_guest.py.
"""

from __future__ import annotations

import argparse
import json
import platform
import re
import secrets
import subprocess
import sys
from collections.abc import Iterable
from random import Random
from typing import Any

from oomlab.analysis.killers.oomd import rank_oomd
from oomlab.readers.saved import parse_snapshot
from oomlab.snapshot import Snapshot

from . import guest
from .__main__ import TOOLS
from .fetch import cache_directory, fetch, fetch_programs, find_kernels, missing_tools
from .people import TOP, Cast, Json

SERIES = "6.1"
MONITORED = "t"
LEAST_KIB = 1600
"""Half of what 5% of the guest's swap is: below, systemd-oomd leaves a cgroup alone."""
_WOULD_KILL = re.compile(r"oomd dry-run: Would have tried to kill (\S+) with")
_CANDIDATE = re.compile(r"\s+Path: (\S+)$")
_SHAPES = (["a", "b", "c"], ["a/x", "a/y", "b", "c"], ["a/x", "a/y/deep", "b/z", "c"])


def main() -> int:
    """Play the scenes and count; exit status 1 where the choices differ."""
    parser = argparse.ArgumentParser(prog="python -m tests.kernels.oomd", description=__doc__)
    parser.add_argument("-n", "--scenes", type=int, default=30)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**6))
    options = parser.parse_args()
    missing = missing_tools(TOOLS)
    if missing or platform.machine() != "x86_64":
        print(f"systemd-oomd: skipped: needs {', '.join(missing) or 'an x86-64 machine'}")
        return 0
    programs = fetch_programs("systemd-oomd", "libsystemd-shared")
    (kernel,) = (one for one in find_kernels() if one.series == SERIES)
    plan = make_plan(options.seed, options.scenes)
    keep = cache_directory() / "boots" / "oomd"
    done = guest.boot(fetch(kernel), plan, "v2", keep, programs)
    (keep / "records.json").write_text(json.dumps(done.records))
    right, faults = judge(done.records)
    for fault in faults:
        print(f"DIFFERS {fault}, replay with --seed {options.seed}")
    version = subprocess.run(
        [programs / "bin/systemd-oomd", "--version"],
        env={"LD_LIBRARY_PATH": str(programs / "lib")}, capture_output=True, text=True,
    ).stdout.split("\n")[0]  # fmt: skip
    asked = right + len(faults)
    print(f"{version}: {right} of {asked} choices as said, in {done.seconds:.0f} s")
    return 0 if not faults and asked == options.scenes else 1


def make_plan(seed: int, count: int) -> Json:
    """Return the scenes: trees of cgroups of which each has some memory in swap."""
    rng = Random(seed)
    return {"scenes": [_scene(Cast(rng, number)) for number in range(count)]}


def _scene(cast: Cast) -> Json:
    rng = cast.rng
    leaves = [f"{MONITORED}/{leaf}" for leaf in rng.choice(_SHAPES)]
    for leaf in leaves:
        for _ in range(rng.randint(1, 2)):
            kib = 4 * rng.choice([50, rng.randint(LEAST_KIB // 4, 1600)])
            cast.add(adj=rng.choice([0, -1000, 500]), steps=["anon=64", f"out={kib}"], group=leaf)
    paths = sorted({"/".join(leaf.split("/")[:n]) for leaf in leaves for n in range(1, 5)})
    groups = [_group(rng, path, path in leaves) for path in paths]
    scene = cast.scene("oomd", [], groups, swap=True)
    return scene | {"oomd": f"/{MONITORED}"}


def _group(rng: Random, path: str, leaf: bool) -> Json:
    files = [["memory.oom.group", "1"]] if path != MONITORED and rng.random() < 0.2 else []
    files += [] if leaf else [["cgroup.subtree_control", "+memory"]]
    wish = rng.choice(["", "", "", "", "user.oomd_avoid", "user.oomd_omit"])
    return {"path": path, "files": {"v2": files}, "xattrs": [wish] if wish else []}


def judge(records: Iterable[tuple[str, dict[str, Any]]]) -> tuple[int, list[str]]:
    """Return how many choices were as said, and those that were not."""
    right, faults = 0, []
    snapshot: Snapshot | None = None
    for kind, body in records:
        if kind == "snapshot":
            snapshot = parse_snapshot(body)
        elif kind == "oomd" and snapshot is not None:
            order = [one.memcg.path for one in rank_oomd(snapshot, body["monitored"]).by_swap]
            chosen, listed = answer_of(body["lines"])
            # It also lists those with too little swap to be killed.
            enough = [path for path in listed if path in order]
            if chosen == (order[0] if order else None) and enough == (order if chosen else []):
                right += 1
            else:
                faults.append(f"scene {body['scene']}: said {order}, was {chosen} of {listed}")
    return right, faults


def answer_of(lines: Iterable[str]) -> tuple[str | None, list[str]]:
    """Return the cgroup that it would have killed, None for none, and its candidates in order."""
    chosen: str | None = None
    listed: list[str] = []
    for line in lines:
        if match := _WOULD_KILL.search(line):
            if chosen is not None:
                break  # it looks again and again
            chosen = match[1].removeprefix(TOP)
        elif chosen is not None and (match := _CANDIDATE.match(line)):
            listed.append(match[1])
    return chosen, listed


if __name__ == "__main__":
    sys.exit(main())
