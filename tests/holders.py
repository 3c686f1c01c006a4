"""Start and end memory holders, in a cgroup if wanted."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

PROGRAM = Path(__file__).with_name("memory_holder.py")
Holder = subprocess.Popen[str]


def can_lower_adj() -> bool:
    """Lowering oom_score_adj needs CAP_SYS_RESOURCE, which even root may lack."""
    status = Path("/proc/self/status").read_text()
    effective = next(line for line in status.splitlines() if line.startswith("CapEff:"))
    return bool(int(effective.split()[1], 16) & 1 << 24)


@contextmanager
def holder(kind: str, size: int, adj: int, procs: Path | None = None) -> Iterator[Holder]:
    """Run one memory holder; it joins the cgroup whose cgroup.procs is ``procs`` first."""
    join = f"echo $$ > {procs} && " if procs else ""
    command = f"{join}exec {sys.executable} -S {PROGRAM} {kind} {size} {adj}"
    pipe = subprocess.PIPE
    with subprocess.Popen(["sh", "-c", command], stdin=pipe, stdout=pipe, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            yield process
        finally:
            process.kill()


@contextmanager
def holders(
    wanted: Sequence[tuple[str, int, int]], procs: Path | None = None
) -> Iterator[list[Holder]]:
    """Run several memory holders of (kind, bytes, oom_score_adj)."""
    with ExitStack() as stack:
        yield [stack.enter_context(holder(*one, procs)) for one in wanted]
