"""``python -m tests.kernels``: boot real kernels, run them out of memory, judge the model."""

from __future__ import annotations

import argparse
import json
import platform
import secrets
import signal
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from . import guest
from .fetch import Kernel, cache_directory, fetch, find_kernels, missing_tools
from .judge import Tally, judge_boot
from .plan import make_plan
from .report import print_report

TOOLS = ("qemu-system-x86_64", "busybox", "cpio", "gcc", "apt-get", "dpkg-deb")
LAST_WITH_V1 = (6, 11)
"""Debian builds later kernels without the memory controller of cgroup v1."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the suite; exit status 1 where model and kernel differ."""
    options = _options(arguments)
    missing = missing_tools(TOOLS)
    if missing or platform.machine() != "x86_64":
        print(f"kernel lab: skipped: needs {', '.join(missing) or 'an x86-64 machine'}")
        return 0
    boots = [
        (kernel, name)
        for kernel in find_kernels(refresh=options.refresh)
        for name in boot_names(kernel)
        if not options.kernel or name in options.kernel
    ]
    if not boots:
        print(f"kernel lab: no boot is named {', '.join(options.kernel)}", file=sys.stderr)
        return 2
    print(f"kernel lab: seed {options.seed}, boots {' '.join(name for _, name in boots)}")
    images = {kernel: fetch(kernel) for kernel, _ in boots}
    started = time.monotonic()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with ThreadPoolExecutor(options.jobs) as pool:
        try:
            tallies = list(pool.map(lambda boot: _run(images[boot[0]], boot[1], options), boots))
        except KeyboardInterrupt:
            guest.STOP.set()
            return 130
    print_report(tallies, options.seed, time.monotonic() - started)
    return 1 if any(tally.faults for tally in tallies) else 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.kernels", description=__doc__)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**6))
    parser.add_argument("--kernel", action="append", default=[], metavar="NAME",
                        help="only this boot, such as 6.1 or 6.1-v1; may be repeated")  # fmt: skip
    parser.add_argument("--kind", action="append", default=[],
                        help="only these scenes, such as cascade; may be repeated")  # fmt: skip
    parser.add_argument("--rounds", type=int, default=1, help="so many times the scenes")
    parser.add_argument("--jobs", type=int, default=2, help="guests side by side")
    parser.add_argument("--refresh", action="store_true", help="ask apt for newer kernels")
    return parser.parse_args(arguments)


def boot_names(kernel: Kernel) -> list[str]:
    """Return the boots of a kernel: with cgroup v2, and with v1 where it has it."""
    series = tuple(map(int, kernel.series.split(".")))
    return [kernel.series, *([f"{kernel.series}-v1"] if series <= LAST_WITH_V1 else [])]


def _run(image: Path, name: str, options: argparse.Namespace) -> Tally:
    plan = make_plan(options.seed, name, options.rounds)
    if options.kind:
        plan["scenes"] = [scene for scene in plan["scenes"] if scene["kind"] in options.kind]
    keep = cache_directory() / "boots" / name
    done = guest.boot(image, plan, "v1" if name.endswith("-v1") else "v2", keep)
    (keep / "plan.json").write_text(json.dumps(plan))
    (keep / "records.json").write_text(json.dumps(done.records))
    tally = judge_boot(plan, done.records)
    tally.crashes = done.crashes
    if done.deadlocked:
        tally.faults.append(f"a scene left nobody to kill: see {keep}/console-*.log")
    if not done.finished:
        tally.faults.append(f"the boot ended before the plan did: see {keep}/console-*.log")
    print(
        f"kernel lab: {name}: {tally.kills} kills in {done.seconds:.0f} s"
        + (f", {done.crashes} crashes of the emulated machine" if done.crashes else ""),
        flush=True,
    )
    return tally


if __name__ == "__main__":
    sys.exit(main())
