"""Record one real report for each use of memory: ``python -m tests.causes``."""

from __future__ import annotations

import argparse
import json
import lzma
import re
import sys
from pathlib import Path
from typing import Any

from ..kernels import fetch
from .record import RecordError, record
from .scenes import SCENES

FIXTURES = Path(__file__).resolve().parents[2] / "fixtures" / "kernel_log"
_TRIGGER = re.compile(
    r"\] (.*) invoked oom-killer: gfp_mask=([^,]*?)(?:, order=(-?\d+))(?:, oom_score_adj=(-?\d+))"
)
_SUMMARY = re.compile(
    r"oom-kill:constraint=(\w+),.*?(?:,oom_memcg=(.*?))?(?:,global_oom)?,task_memcg=(.*?),task="
)
_KILLED = re.compile(r"Killed process (\d+) \((.*?)\)")


def main() -> int:
    """Record the scenes named (all where none is) and write their kernels' fixtures."""
    parser = argparse.ArgumentParser(prog="python -m tests.causes", description=__doc__)
    parser.add_argument("scenes", nargs="*", metavar="KERNEL-SCENE", help="such as 7.2-zram")
    parser.add_argument("--into", type=Path, default=FIXTURES, help="where the fixtures go")
    options = parser.parse_args()
    kernels = {kernel.series: kernel for kernel in fetch.find_kernels()}
    logs: dict[str, list[tuple[str, str, str]]] = {}
    for scene in SCENES:
        if options.scenes and f"{scene.kernel}-{scene.name}" not in options.scenes:
            continue
        try:
            log = record(scene, kernels[scene.kernel])
        except RecordError as error:
            print(error, file=sys.stderr)
            return 1
        print(f"{scene.kernel}-{scene.name}: {len(log)} bytes", flush=True)
        logs.setdefault(scene.kernel, []).append((scene.name, scene.cause, log))
    for kernel, found in logs.items():
        write(options.into / f"{kernel}-causes", found)
    return 0


def write(stem: Path, found: list[tuple[str, str, str]]) -> None:
    """Write a pair of files: the logs one after the other, and what each must give."""
    truths = [truth(name, cause, log) for name, cause, log in found]
    stem.with_name(f"{stem.name}.json").write_text(json.dumps(truths, indent=1) + "\n")
    packed = lzma.compress("".join(log for *_, log in found).encode(), preset=9)
    stem.with_name(f"{stem.name}.log.xz").write_bytes(packed)


def truth(name: str, cause: str, log: str) -> dict[str, Any]:
    """Return what a report must give, by patterns of its own and the scene's word."""
    trigger, summary = _TRIGGER.search(log), _SUMMARY.search(log)
    if trigger is None or summary is None:
        raise RecordError(f"{name}: its report lacks its first line or its summary")
    return {
        "recording": name,
        "trigger": trigger[1],
        "gfp_mask": trigger[2],
        "order": int(trigger[3]),
        "oom_score_adj": int(trigger[4]),
        "oom_memcg": summary[2],
        "task_memcg": summary[3],
        "constraint": summary[1],
        "victims": [[int(pid), comm] for pid, comm in _KILLED.findall(log)],
        "shows": cause,
    }


if __name__ == "__main__":
    sys.exit(main())
