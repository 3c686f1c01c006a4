"""oomlab system: parts sum to MemTotal, MemAvailable is the kernel's own formula."""

from __future__ import annotations

import json
import lzma
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest
from conftest import make_snapshot, make_task

import oomlab
from oomlab.analysis.available import drop_caches, from_old_estimate, overcommit, reserve
from oomlab.analysis.system import hugetlb_bytes, mapped_files, unmanaged_bytes, uses
from oomlab.errors import SourceError
from oomlab.meminfo import MemInfo, Zone, Zram
from oomlab.output.layout import Screen
from oomlab.output.system import System, system_text
from oomlab.readers.meminfo import parse_counters, parse_zones, read_meminfo
from oomlab.readers.procfs import PROC

Run = Callable[..., tuple[int, str, str]]
FIXTURES = Path(__file__).parent.parent / "fixtures"
RECORDINGS, MEMORY = FIXTURES / "recordings", FIXTURES / "memory"
MIB = 1 << 20
FORMULA_SINCE = ["4.4", "4.9", "4.19", "4.19-v1", "5.10", "6.1", "6.1-v1", "6.12", "7.2"]
"""Recorded kernels that print MemAvailable."""


@cache
def recorded(kernel: str) -> tuple[MemInfo, ...]:
    """The counters of each snapshot of a recorded kernel."""
    found = []
    for path in sorted((RECORDINGS / kernel).glob("snapshot-*.xz")):
        system = json.loads(lzma.decompress(path.read_bytes()))["system"]
        found.append(
            MemInfo(
                parse_counters(system["/proc/meminfo"].encode()),
                int(system["PAGESIZE"]),
                parse_zones(system["/proc/zoneinfo"].encode()),
            )
        )
    return tuple(found)


def all_recorded() -> Iterator[MemInfo]:
    for folder in RECORDINGS.iterdir():
        yield from recorded(folder.name)


def test_parts_sum_to_memtotal_on_every_recorded_kernel() -> None:
    seen = 0
    for info in all_recorded():
        parts = uses(info)
        assert sum(part.size for part in parts) == info.count("MemTotal")
        assert all(part.size >= 0 for part in parts)
        seen += 1
    assert seen > 200


@pytest.mark.parametrize("folder", sorted(path.name for path in RECORDINGS.iterdir()))
def test_what_is_in_no_counter_does_not_depend_on_the_load(folder: str) -> None:
    """The same virtual machine under many loads: a part counted twice or not at all would show.

    What is left is the kernel's own and stays: within 0.7 MiB where measured.
    """
    rest = [uses(info)[-1].size for info in recorded(folder)]
    assert max(rest) - min(rest) < MIB
    assert 0 < max(rest) < recorded(folder)[0].count("MemTotal") // 40


def test_swap_cache_is_told_from_anonymous_memory() -> None:
    counters = {"AnonPages": 100, "Cached": 60, "Buffers": 5, "SwapCached": 30}
    lists = {"Active__anon": 80, "Inactive__anon": 50, "Active__file": 30, "Inactive__file": 10}
    by_key = {part.key: part.size for part in uses(make_info(**counters, **lists, Unevictable=10))}
    assert by_key["swap_cache"] == 180 - 165
    lists["Inactive__anon"] = 500
    assert {p.key: p.size for p in uses(make_info(**counters, **lists))}["swap_cache"] == 30


def test_parts_sum_to_memtotal_here() -> None:
    info = read_meminfo(PROC)
    assert sum(part.size for part in uses(info)) == info.count("MemTotal")
    shown = sum(part.size for part in uses(info) if part.key in ("free", "unmanaged"))
    assert shown == info.count("MemFree")


@pytest.mark.parametrize("kernel", FORMULA_SINCE)
def test_memavailable_follows_from_the_other_counters(kernel: str) -> None:
    residues = [residue(info) for info in recorded(kernel)]
    page = recorded(kernel)[0].page_size
    # 5.10 does not print by how much it has raised a watermark: 512 pages.
    assert set(residues) <= ({0, 512 * page} if kernel == "5.10" else {0})
    assert residues.count(0) >= len(residues) - 2


def residue(info: MemInfo) -> int:
    """What the steps leave over, the last being MemAvailable as printed."""
    steps = from_old_estimate(info)
    assert steps is not None
    assert steps[-1].size == info.get("MemAvailable") == sum(step.size for step in steps[:-1])
    return sum(step.size for step in steps if step.name.startswith("counters that moved"))


def test_older_kernels_have_no_memavailable() -> None:
    assert all(from_old_estimate(info) is None for info in recorded("2.6.32"))


def make_info(page_size: int = 4096, **counters: int) -> MemInfo:
    values = {"MemTotal": 1000 * MIB, "MemFree": 100 * MIB} | counters
    renamed = {name.replace("__", "(") + ")" * ("__" in name): v for name, v in values.items()}
    return MemInfo(tuple(renamed.items()), page_size)


def test_watermarks_are_sums_over_zones() -> None:
    zones = (
        Zone(0, "DMA", 100, 10, 12, 15, 200, (0, 500, 500)),
        Zone(0, "Normal", 900, 100, 125, 150, 10_000, (0, 0, 0), boost_pages=50),
    )
    kept = reserve(make_info()._replace(zones=zones))
    assert kept is not None
    # The first is smaller than what it keeps for others; a raised watermark does not count.
    assert kept.total_bytes == (200 + 100) * 4096
    assert (kept.min_bytes, kept.low_bytes, kept.high_bytes) == (
        110 * 4096,
        137 * 4096,
        165 * 4096,
    )
    assert reserve(make_info()) is None


def test_zones_are_read_as_printed() -> None:
    text = b"""Node 0, zone   Normal
  per-node stats
      nr_inactive_anon 21904
  pages free     2433295
        boost    7
        min      13373
        low      16716
        high     20059
        managed  2949120
        protection: (0, 3019, 14539)
  pagesets
    cpu: 0
              count:    20
              high:     2190
    cpu: 1
              count:    22
Node 0, zone  Movable
  pages free     0
        min      32
        low      33
Node 0, zone   Device
  pages free     0
"""
    assert parse_zones(text) == (
        Zone(0, "Normal", 2433295, 13373, 16716, 20059, 2949120, (0, 3019, 14539), 7, 42),
        Zone(0, "Movable", 0, 32, 33, 0, 0),
    )
    assert parse_zones(b"") == ()
    with pytest.raises(SourceError):
        parse_zones(b"Node 0, zone Normal\n  pages free many\n")
    with pytest.raises(SourceError):
        parse_counters(b"MemFree: 1 kB\n")


def test_what_no_zone_has_is_told_apart() -> None:
    zone = Zone(0, "Normal", 10 * 256, 1, 2, 3, 600 * 256)
    ballooned = make_info(MemFree=410 * MIB)._replace(zones=(zone,))
    assert unmanaged_bytes(ballooned) == 400 * MIB
    assert unmanaged_bytes(make_info(MemFree=11 * MIB)._replace(zones=(zone,))) == 0
    assert all(unmanaged_bytes(info) == 0 for info in all_recorded())


def test_drop_caches_is_bounded() -> None:
    info = make_info(
        Cached=300 * MIB, Shmem=50 * MIB, Active__file=100 * MIB, Inactive__file=140 * MIB,
        Dirty=10 * MIB, Mapped=60 * MIB, SReclaimable=30 * MIB,
    )  # fmt: skip
    found = drop_caches(info)
    # Of what is mapped 10 to 60 MiB are files: the rest may be shared memory.
    assert mapped_files(info) == (10 * MIB, 60 * MIB)
    assert (found.cache_low, found.cache_high) == (170 * MIB, 230 * MIB)
    assert (found.dirty, found.slab_high) == (10 * MIB, 30 * MIB)


def test_old_counters_are_understood() -> None:
    old = make_info(VmallocUsed=50 * MIB, HugePages_Total=3, Hugepagesize=2 * MIB)
    by_key = {part.key: part.size for part in uses(old)}
    assert by_key["vmalloc"] == 0  # address space, or always 0
    assert hugetlb_bytes(old) == by_key["hugetlb"] == 6 * MIB
    new = make_info(VmallocUsed=50 * MIB, KReclaimable=0, KernelStack=20 * MIB)
    assert {part.key: part.size for part in uses(new)}["vmalloc"] == 30 * MIB


def test_overcommit_leaves_what_is_not_promised() -> None:
    info = make_info(CommitLimit=700, Committed_AS=500)
    assert overcommit(info, 2).left == 200
    assert overcommit(make_info(CommitLimit=500, Committed_AS=700), 2).left == 0
    assert overcommit(info, 0).left is None, "only mode 2 refuses"
    assert overcommit(make_info(), 2).left is None


def test_how_far_enomem_is_with_overcommit_memory_2(run_cli: Run) -> None:
    """A real kernel's counters, and how much one request could ask for then, to the page."""
    source = MEMORY / "overcommit-2.json"
    measured = json.loads((MEMORY / "overcommit-2.measured.json").read_text())
    _, out, _ = run_cli("system", "--from", str(source), "--format", "json")
    state = json.loads(out)["overcommit"]
    assert (state["mode"], state["left_bytes"]) == (
        2,
        state["limit_bytes"] - state["committed_bytes"],
    )
    for who, kept in (("root", 0), ("other", measured["admin_reserve_kbytes"])):
        found = measured[who]
        own = min(found["own_pages"] // 32, measured["user_reserve_kbytes"] // 4)
        # What is promised must stay below what is allowed: a page less.
        assert found["granted_pages"] == state["left_bytes"] // 4096 - kept // 4 - own - 1
    _, out, _ = run_cli("system", "--from", str(source))
    assert out.splitlines()[1] == (
        "Requests for more than 118M fail with ENOMEM before that: vm.overcommit_memory is 2: "
        "of CommitLimit 160M, 42M is promised."
    )


def test_nothing_more_is_promised_beyond_the_limit() -> None:
    machine = make_snapshot().machine._replace(overcommit_memory=2)
    text = system_text(System(machine, make_info(CommitLimit=MIB, Committed_AS=2 * MIB)), Screen())
    assert "Requests for memory fail with ENOMEM now: vm.overcommit_memory is 2" in text


def test_the_command_shows_it_all(run_cli: Run) -> None:
    status, out, _ = run_cli("system")
    assert status == 0
    assert "before the OOM killer comes" in out.splitlines()[0]
    for part in ("in no counter", "MemAvailable", "Overcommit", "drop_caches (not done here)"):
        assert part in out
    status, out, _ = run_cli("system", "--format", "json")
    document = json.loads(out)
    assert document["schema"] == "oomlab.system/1"
    assert sum(part["bytes"] for part in document["parts"]) == document["total_bytes"]
    status, out, _ = run_cli("system", "--format", "csv")
    assert out.startswith("part,size_bytes,reclaim,counter\n")


def test_a_snapshot_carries_it(run_cli: Run, tmp_path: Path) -> None:
    path = tmp_path / "saved.json"
    assert run_cli("snapshot", "-o", str(path))[0] == 0
    meminfo = oomlab.load(str(path)).meminfo
    assert meminfo is not None
    status, out, _ = run_cli("system", "--from", str(path), "--format", "json")
    assert status == 0
    assert json.loads(out)["total_bytes"] == meminfo.count("MemTotal")
    oomlab.save_snapshot(make_snapshot(make_task(1)), path)
    status, _, err = run_cli("system", "--from", str(path))
    assert status == 2
    assert "holds no meminfo" in err


def test_recordings_carry_it(run_cli: Run) -> None:
    path = next((RECORDINGS / "6.1").glob("snapshot-*.xz"))
    status, out, _ = run_cli("system", "--from", str(path))
    assert status == 0
    assert "What 466M of RAM (MemTotal) is used for:" in out


def test_compressed_swap_is_named(tmp_path: Path, run_cli: Run) -> None:
    root = tmp_path / "proc"
    root.mkdir()
    for name in ("meminfo", "zoneinfo", "uptime", "stat"):
        (root / name).write_bytes((PROC / name).read_bytes())
    zram = tmp_path / "sys/block/zram0"
    zram.mkdir(parents=True)
    (zram / "disksize").write_text("8589934592\n")
    (zram / "mm_stat").write_text("104857600 20971520 22020096 0 0 0 0 0 0\n")
    parameters = tmp_path / "sys/module/zswap/parameters"
    parameters.mkdir(parents=True)
    (parameters / "enabled").write_text("Y\n")
    info = read_meminfo(root)
    assert info.zrams == (Zram("zram0", 8 << 30, 100 * MIB, 21 * MIB),)
    assert info.zswap_enabled is True
    _, out, _ = run_cli("system", "--proc", str(root))
    assert "zram0 holds 100M in 21M of RAM" in out
    assert "zswap is on, and empty." in out
