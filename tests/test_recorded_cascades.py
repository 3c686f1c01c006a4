"""Recorded kernels judge cascades: one snapshot foretells all kills of a cgroup that follow it.

Memory cgroups of twelve kernels from 2.6.32 to 7.2, both versions, with children sacrificed in the
old ones, memory.oom.group, nested limits, swap and negative oom_score_adj.
"""

from __future__ import annotations

import json
import lzma
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from recordings import KERNELS, events, snapshot_of

from oomlab.analysis.cascade import cascade
from oomlab.analysis.ranking import rank
from oomlab.readers.saved import parse_snapshot
from oomlab.snapshot import Snapshot
from tests.kernels.deaths import deaths
from tests.kernels.truth import parse_ooms

ROOT = Path(__file__).parent.parent
BOOTS = sorted((ROOT / "fixtures/kernel-lab").glob("*.json.xz"))


def left_of(snapshot: Snapshot, memcg: str, dead: set[int]) -> list[set[int]]:
    """Return who may die next, each step's possible victims, of those who are not dead yet."""
    found = []
    for kill in cascade(rank(snapshot, memcg=memcg)).kills:
        named = {kill.victim.pid, *(task.pid for task in kill.possible[1:])}
        if named - dead:
            found.append(named - dead)
    return found


@pytest.mark.parametrize("kernel", KERNELS)
def test_recorded_victims_follow_from_the_snapshot_before_them(kernel: str) -> None:
    seen: Counter[str] = Counter()
    for event in events(kernel):
        known = {task.pid for task in snapshot_of(event.snapshot).tasks}
        dead: set[int] = set()
        for oom in event.ooms:
            killed = [one["pid"] for one in oom.get("killed", ())]
            if not oom.get("oom_memcg") or not killed:
                continue
            if killed[0] in known - dead:
                steps = left_of(snapshot_of(event.snapshot), oom["oom_memcg"], dead)
                assert killed[0] in steps[0], (event.name, killed, steps)
                seen["foretold"] += 1
            else:
                # Who asked for the memory was started for it, after the snapshot, and grew.
                assert oom["killed"][0]["comm"] in ("grower", "eater", "sharer"), (event.name, oom)
                seen["itself"] += 1
            dead |= set(killed)
    assert seen["foretold"] >= 4
    assert seen["itself"] <= seen["foretold"]


def lab_events(path: Path) -> list[tuple[Snapshot, dict[str, Any], dict[str, Any]]]:
    recorded = json.loads(lzma.decompress(path.read_bytes()))
    scenes = {scene["number"]: scene for scene in recorded["plan"]["scenes"]}
    found, snapshot = [], None
    for kind, body in recorded["records"]:
        if kind == "snapshot":
            snapshot = parse_snapshot(body)
        elif kind == "event" and snapshot is not None:
            found.append((snapshot, body, scenes[body["scene"]]))
    return found


@pytest.mark.parametrize("path", BOOTS, ids=lambda path: path.name.removesuffix(".json.xz"))
def test_cascades_of_the_kernel_lab(path: Path) -> None:
    kills, longest = 0, 0
    for snapshot, body, scene in lab_events(path):
        grower = {body["pids"][e["grower"]] for e in scene["events"] if "grower" in e}
        dead, row = set(grower), 0
        for oom in parse_ooms(body["log"]):
            dying = deaths(oom, snapshot, scene["shares"])
            if oom.constraint == "CONSTRAINT_MEMCG" and oom.victim not in grower:
                steps = left_of(snapshot, oom.memcg or "/", dead)
                if scene["kind"] != "memcg-swap":  # there sizes move into swap meanwhile
                    assert oom.victim in steps[0], (scene["kind"], body["event"], oom.victim, steps)
                    kills, row = kills + 1, row + 1
            dead |= dying
        longest = max(longest, row)
    print(f"{path.name}: {kills} kills in cgroups foretold, up to {longest} in a row")
    assert kills >= 4
    assert longest >= 3
