"""Cut the last run's boots down to fixtures: ``python -m tests.kernels.excerpt``.

Keeps the first scene of each kind, so that the quick tests judge real kernels without QEMU.
"""

from __future__ import annotations

import json
import lzma
import sys
from pathlib import Path
from typing import Any

from .fetch import cache_directory

FIXTURES = Path(__file__).resolve().parents[2] / "fixtures/kernel-lab"

LEAST_STEPS = 5
OOMD_SCENES = 30

Record = tuple[str, dict[str, Any]]


def main() -> int:
    """Write one fixture for each boot in the cache."""
    FIXTURES.mkdir(parents=True, exist_ok=True)
    for directory in sorted((cache_directory() / "boots").iterdir()):
        if directory.name == "oomd":
            records = json.loads((directory / "records.json").read_text())
            _write(FIXTURES.parent / "oomd-252.json.xz", oomd_excerpt(records))
            continue
        plan = json.loads((directory / "plan.json").read_text())
        records = json.loads((directory / "records.json").read_text())
        cut = excerpt(plan, [(kind, body) for kind, body in records])
        _write(FIXTURES / f"{directory.name}.json.xz", cut)
    return 0


def _write(path: Path, body: Any) -> None:
    data = lzma.compress(json.dumps(body, separators=(",", ":")).encode(), preset=9)
    path.write_bytes(data)
    print(f"{path.name}: {len(data)} bytes")


def oomd_excerpt(records: list[Record]) -> list[Record]:
    """Return what systemd-oomd said at its first look in each of the first scenes."""
    kept: list[Record] = []
    for kind, body in records[: 2 * OOMD_SCENES]:
        if kind == "oomd":
            starts = [n for n, line in enumerate(body["lines"]) if line.startswith("Memory used")]
            first, last = (*starts, 0, 0)[0], (*starts[1:], len(body["lines"]))[0]
            body = body | {"lines": body["lines"][first:last]}
        else:
            tasks = [task for task in body["tasks"] if not task.get("kernel_thread")]
            body = body | {"tasks": tasks}
        kept.append((kind, body))
    return kept


def excerpt(plan: dict[str, Any], records: list[Record]) -> dict[str, Any]:
    """Return the plan and records of the first scene of each kind that was played.

    Of filled cgroups that is the first of each kind with several kills in a row.
    """
    kills = {body["scene"]: len(body.get("steps", ())) for kind, body in records if kind == "event"}
    played = {n for n, steps in kills.items() if not 0 < steps < LEAST_STEPS}
    first: dict[str, dict[str, Any]] = {}
    for scene in plan["scenes"]:
        if scene["number"] in played:
            first.setdefault(scene["kind"], scene)
    kept = {scene["number"] for scene in first.values()}
    chosen: list[Record] = []
    snapshot: Record | None = None
    for kind, body in records:
        if kind == "snapshot":
            snapshot = (kind, body)
        elif kind == "suggestion" and body["scene"] in kept:
            chosen.append((kind, body))
        elif kind == "event" and body["scene"] in kept and snapshot is not None:
            chosen += [snapshot, (kind, body)]
    return {"plan": plan | {"scenes": list(first.values())}, "records": chosen}


if __name__ == "__main__":
    sys.exit(main())
