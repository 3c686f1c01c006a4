"""Every command on real programs: PostgreSQL, Redis, CPython, nginx, Go, a Java VM."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from real_programs import PROGRAMS, NotHereError, Started
from test_explain import PAGE, approximate
from test_heap_processes import assert_sound

from oomlab.kernel.usage import counter_error_pages

Run = Callable[..., tuple[int, str, str]]
ALLOCATORS = {
    "postgresql": ["glibc"],
    "redis": ["jemalloc"],
    "python": ["python", "glibc"],
    "nginx": ["glibc"],
    "go": ["go"],
    "java": ["jvm", "glibc"],
}
"""Of Debian's packages; whoever builds his own may choose others."""


@pytest.fixture(scope="module", params=list(PROGRAMS))
def program(
    request: pytest.FixtureRequest,
) -> Iterator[tuple[str, Started]]:
    with ExitStack() as stack:
        # Other users must reach it, and each start of pytest closes its own directories to them.
        directory = stack.enter_context(tempfile.TemporaryDirectory())
        try:
            started = stack.enter_context(PROGRAMS[request.param](Path(directory)))
        except NotHereError as why:
            pytest.skip(f"{request.param}: {why}")
        yield request.param, started


def document(run_cli: Run, *arguments: str) -> dict[str, Any]:
    status, out, err = run_cli(*arguments, "--format", "json")
    assert status == 0, err
    found: dict[str, Any] = json.loads(out)
    return found


def until_at_rest(check: Callable[[], None]) -> None:
    """Check it again where the program did something meanwhile: a VM's own threads do."""
    for attempt in range(8):
        try:
            check()
        except AssertionError:
            if attempt == 7:
                raise
            time.sleep(0.2)
        else:
            return


def test_explain(run_cli: Run, program: tuple[str, Started]) -> None:
    name, started = program
    for pid in started.pids.values():

        def check(pid: int = pid) -> None:
            found = document(run_cli, "explain", str(pid))
            assert [one["key"] for one in found["allocators"]] == ALLOCATORS[name]
            for size in ("rss", "private_dirty", "swap", "locked", "anon_huge"):
                summed = sum(kind[f"{size}_bytes"] for kind in found["kinds"])
                assert summed == found["rollup"][f"{size}_bytes"], size
            status = Path(f"/proc/{pid}/status").read_text()
            rss = int(status.partition("VmRSS:")[2].split()[0]) * 1024
            error = 3 * counter_error_pages(8) * PAGE if approximate() else 0
            assert abs(sum(kind["rss_bytes"] for kind in found["kinds"]) - rss) <= error
            frees = found["killing_frees"]
            assert 0 <= frees["low_bytes"] <= frees["high_bytes"]
            assert sum(s["pages"] for s in found["shares"]) == found["task"]["badness"]

        until_at_rest(check)


def test_heap(run_cli: Run, program: tuple[str, Started]) -> None:
    """Its figures sum to the mappings' sizes; what is not glibc's is named and refused."""
    name, started = program
    for pid in started.pids.values():
        if "glibc" in ALLOCATORS[name]:
            until_at_rest(lambda pid=pid: assert_sound(pid))  # type: ignore[misc]
            found = document(run_cli, "heap", str(pid))
            assert found["schema"] == "oomlab.heap/1"
            status, out, err = run_cli("heap", str(pid))
            assert (status, err) == (0, "")
            own = {"python": "CPython's pymalloc", "java": "the Java VM"}.get(name)
            assert ("memory of its own beside this heap" in out) == (own is not None)
            assert own is None or own in out.replace("The Java", "the Java")
        else:
            status, out, err = run_cli("heap", str(pid))
            assert (status, out) == (2, "")
            assert "not with glibc's malloc" in err


def test_watch(run_cli: Run, program: tuple[str, Started]) -> None:
    name, started = program
    pids = [str(pid) for pid in started.pids.values()]
    status, out, err = run_cli("watch", *pids, "--count", "12", "-i", "20ms")
    assert (status, err) == (0, "")
    views = [json.loads(line) for line in out.splitlines()]
    assert len(views) == 12
    rows = {row["pid"]: row for row in views[-1]["processes"]}
    assert sorted(map(str, rows)) == sorted(pids)
    for row in rows.values():
        assert row["verdict"] == "steady" or name == "java", row


def test_system(run_cli: Run, program: tuple[str, Started]) -> None:
    """The parts sum to MemTotal; what the program has of anonymous memory and shmem is in them."""
    _, started = program
    found = document(run_cli, "system")
    parts = {part["part"]: part["bytes"] for part in found["parts"]}
    assert sum(parts.values()) == found["total_bytes"]
    for pid in started.pids.values():
        status = Path(f"/proc/{pid}/status").read_text()
        for label, part in (("RssAnon:", "anon"), ("RssShmem:", "shmem")):
            assert int(status.partition(label)[2].split()[0]) * 1024 <= parts[part] + 64 * PAGE
