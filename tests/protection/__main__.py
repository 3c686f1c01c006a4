"""Play many random scenarios: ``python -m tests.protection [--count 50] [--seed 0]``.

With ``--control`` nothing is set, to see how many promises break without the suggestion.

Needs root and a writable memory cgroup hierarchy. Prints a line for each and the counts; exit
status 1 if a promise was broken.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from test_live_kills import SHM, make_cage

from .scenario import Story, play


def told(seed: int, story: Story) -> str:
    """Return one scenario in a line."""
    changes = [f"{c.task.pid}:{c.before}>{c.after}" for c in story.found.changes]
    verdict = "held" if story.held else "BROKEN"
    return (
        f"{verdict}  seed {seed}: protect {sorted(story.protected)}, set {changes or 'nothing'}, "
        f"died {story.order}"
    )


def main() -> int:
    """Play the scenarios and count."""
    parser = argparse.ArgumentParser(prog="python -m tests.protection", description=__doc__)
    parser.add_argument("--count", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--control", action="store_true")
    options = parser.parse_args()
    held = kills = changed = 0
    for seed in range(options.seed, options.seed + options.count):
        cage, path = make_cage(), SHM / f"oomlab-protection-{os.getpid()}"
        try:
            story = play(seed, cage, path, write=not options.control)
        finally:
            Path(path).unlink(missing_ok=True)
            cage.remove()
        print(told(seed, story), flush=True)
        held += story.held
        kills += len(story.dead)
        changed += bool(story.found.changes)
    print(
        f"{held} of {options.count} promises held, {kills} real kills; "
        f"{changed} suggestions changed something"
    )
    return int(held != options.count and not options.control)


if __name__ == "__main__":
    raise SystemExit(main())
