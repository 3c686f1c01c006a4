"""oomlab explain on huge pages, hugetlb pages and locked pages: figures of their own."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from compiled import compiled, running

Run = Callable[..., tuple[int, str, str]]
POOL = Path("/proc/sys/vm/nr_hugepages")
NAMES = ("anon_huge", "shmem_huge", "file_huge", "shared_hugetlb", "private_hugetlb", "locked")
LABELS = ("AnonHugePages", "ShmemPmdMapped", "FilePmdMapped", "Shared_Hugetlb", "Private_Hugetlb")


@pytest.fixture
def hugetlb() -> Iterator[bool]:
    """Whether there are two hugetlb pages of 2 MiB, set aside for the test."""
    before, got = "", False
    with suppress(OSError):
        before = POOL.read_text()
        POOL.write_text(str(int(before) + 2))
        got = int(POOL.read_text()) >= int(before) + 2
    yield got
    with suppress(OSError):
        POOL.write_text(before)


def test_each_is_a_figure_of_its_own(run_cli: Run, hugetlb: bool) -> None:
    with running(compiled("special")) as (process, said):
        status, out, err = run_cli("explain", str(process.pid), "--format", "json")
        assert (status, err) == (0, "")
        found = json.loads(out)
        text = Path(f"/proc/{process.pid}/smaps_rollup").read_text()
        _, table, _ = run_cli("explain", str(process.pid))
        _, listing, _ = run_cli("explain", str(process.pid), "--format", "csv")
        held = Path(f"/proc/{process.pid}/status").read_text()
    rollup = {line.split()[0].rstrip(":"): line.split()[1] for line in text.splitlines()[1:]}
    for name, label in zip(NAMES, (*LABELS, "Locked"), strict=True):
        summed = sum(kind[f"{name}_bytes"] for kind in found["kinds"])
        assert summed == int(rollup[label]) * 1024 == found["rollup"][f"{name}_bytes"], name
    kinds = {kind["kind"]: kind for kind in found["kinds"]}
    if "locked" in said:
        assert kinds["anon"]["locked_bytes"] == said["locked"][0]
        assert "LOCKED" in table
        assert "1.0M locked in memory" in table
    if kinds["anon"]["anon_huge_bytes"]:  # whether there are any is the kernel's choice
        assert "HUGE" in table
        assert " anonymous in transparent huge pages" in table
    assert ",huge_bytes,hugetlb_bytes,locked_bytes," in listing
    assert ("private_hugetlb" in said) == hugetlb
    if not hugetlb:
        pytest.skip("no hugetlb pages can be set aside here: all but those was checked")
    # hugetlb pages are a kind, and no part of RSS.
    assert kinds["hugetlb"]["rss_bytes"] == 0
    assert kinds["hugetlb"]["private_hugetlb_bytes"] == said["private_hugetlb"][0]
    line = next(line for line in held.splitlines() if line.startswith("HugetlbPages:"))
    assert int(line.split()[1]) * 1024 == said["private_hugetlb"][0]
    assert "; beside it 4.0M in hugetlb pages" in table
    kept = {part["what"]: part for part in found["killing_frees"]["kept"]}
    assert kept["hugetlb pages"]["low_bytes"] == said["private_hugetlb"][0]


def test_what_is_not_used_takes_no_column(run_cli: Run) -> None:
    with running(compiled("kinds"), "0") as (process, _):
        _, out, _ = run_cli("explain", str(process.pid))
    assert "KIND " in out
    assert "HUGETLB" not in out
    assert "LOCKED" not in out
