"""oomlab explain: shares, sums against the kernel's, who set what, hard processes."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from compiled import compiled, running
from conftest import make_snapshot, make_task
from test_mappings import read_asleep

import oomlab
from oomlab.analysis.composition import badness_shares, by_kind, total
from oomlab.analysis.faults import FaultRates, fault_meaning, fault_rates
from oomlab.analysis.origin import origin_of, origin_text
from oomlab.errors import SourceError
from oomlab.kernel.eras import era_of
from oomlab.kernel.usage import counter_error_pages
from oomlab.output.bars import bar
from oomlab.process import Unit, Vitals
from oomlab.readers.process import parse_tunables, parse_vitals, read_vitals
from oomlab.readers.procfs import PROC

Run = Callable[..., tuple[int, str, str]]
PAGE = os.sysconf("SC_PAGE_SIZE")


def explained(run_cli: Run, *arguments: str | int) -> dict[str, Any]:
    status, out, err = run_cli("explain", *map(str, arguments), "--format", "json")
    assert status == 0, err
    found: dict[str, Any] = json.loads(out)
    assert found["schema"] == "oomlab.explain/1"
    return found


@pytest.mark.parametrize("release", ["4.19", "5.4", "6.18.44", "7.0", "4.9", "3.16", "3.10"])
def test_shares_sum_to_the_badness(release: str) -> None:
    task = make_task(
        5, 900, adj=300, rss_anon_pages=700, rss_file_pages=150, rss_shmem_pages=50,
        rss_stat_pages=880 if release == "6.18.44" else 900,
        swap_pages=20, pagetable_bytes=81920, cap_effective=1 << 21,
    )  # fmt: skip
    snapshot = make_snapshot(task, release=release)
    ranking = oomlab.rank(snapshot)
    shares = badness_shares(ranking, ranking[0])
    assert shares is not None
    assert sum(share.pages for share in shares) == ranking[0].badness
    names = [share.name for share in shares]
    assert ("root bonus" in names) == (ranking.era.facts.root_bonus != "none")
    assert ("counter drift" in names) == (release == "6.18.44")


def test_rules_in_thousandths_show_the_pages_that_count() -> None:
    ranking = oomlab.rank(make_snapshot(make_task(5, 900), release="3.2"))
    shares = badness_shares(ranking, ranking[0])
    assert shares is not None
    assert sum(share.pages for share in shares) == 900


def test_what_the_kernel_keeps_at_least_is_named() -> None:
    ranking = oomlab.rank(make_snapshot(make_task(5, 100, adj=-500), release="5.4"))
    shares = badness_shares(ranking, ranking[0])
    assert shares is not None
    assert shares[-1].name == "least badness is 1"
    assert sum(share.pages for share in shares) == 1


def approximate() -> bool:
    """Whether VmRSS is an approximate count on this kernel (6.2 to 6.15)."""
    return era_of(os.uname().release).facts.status_counters == "approximate"


def rollup_of(pid: int) -> dict[str, int]:
    """Return what the kernel's own sums of all mappings are, in bytes."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    return {words[0].rstrip(":"): int(words[1]) * 1024 for words in map(str.split, lines)}


def test_totals_equal_smaps_rollup_and_vmrss(run_cli: Run) -> None:
    with running(compiled("kinds"), "2") as (process, _):
        read_asleep(process.pid)
        for _ in range(20):  # its PSS changes when others begin or end to use its libraries
            before = rollup_of(process.pid)
            found = explained(run_cli, process.pid)
            rollup = rollup_of(process.pid)
            if rollup == before:
                break
        sums = {
            name: sum(kind[f"{name}_bytes"] for kind in found["kinds"])
            for name in ("size", "rss", "pss", "private_dirty", "swap")
        }
        assert sums["rss"] == rollup["Rss"] == found["rollup"]["rss_bytes"]
        assert sums["private_dirty"] == rollup["Private_Dirty"]
        assert sums["swap"] == rollup["Swap"]
        # Each mapping's PSS is cut to whole kB.
        mappings = sum(kind["mappings"] for kind in found["kinds"])
        assert 0 <= rollup["Pss"] - sums["pss"] < mappings * 1024
        status = Path(f"/proc/{process.pid}/status").read_text()
        vm = {
            words[0].rstrip(":"): int(words[1]) * 1024
            for words in map(str.split, status.splitlines())
            if words[0].startswith(("Vm", "Rss"))
        }
        error = 3 * counter_error_pages(os.cpu_count() or 1) * PAGE if approximate() else 0
        assert abs(vm["VmRSS"] - sums["rss"]) <= error
        gate = sum(k["size_bytes"] for k in found["kinds"] if k["kind"] == "kernel")
        # The page of [vsyscall] is listed, but belongs to no process.
        assert 0 <= sums["size"] - vm["VmSize"] <= min(gate, PAGE)


def test_shares_are_what_the_kernel_counts(run_cli: Run) -> None:
    with running(compiled("kinds"), "1") as (process, _):
        read_asleep(process.pid)
        found = explained(run_cli, process.pid)
        assert sum(s["pages"] for s in found["shares"]) == found["task"]["badness"]
        printed = int(Path(f"/proc/{process.pid}/oom_score").read_text())
        low, high = found["task"]["oom_score_low"], found["task"]["oom_score_high"]
        assert low <= printed <= high


def test_a_process_is_explained_from_top_to_bottom(run_cli: Run) -> None:
    with running(compiled("kinds"), "1") as (process, _):
        status, out, _ = run_cli("explain", str(process.pid))
    assert status == 0
    assert out.startswith(f"{process.pid} (kinds")
    for part in (
        "What counts against it:",
        "= badness",
        "malloc arenas",
        "as VmRSS says",
        "Killing it would free ",
        "Its largest mappings:",
        "VIRT",
        "Page faults: ",
        "Settings: oom_score_adj is ",
    ):
        assert part in out, part
    assert "/memfd:a\\012b (deleted)" in out


@pytest.fixture
def sleeper() -> Iterator[int]:
    with subprocess.Popen(["sleep", "600"]) as process:
        while Path(f"/proc/{process.pid}/comm").read_text() != "sleep\n":
            time.sleep(0.002)
        yield process.pid
        process.kill()


def test_other_formats_list_the_kinds(run_cli: Run, sleeper: int) -> None:
    status, out, _ = run_cli("explain", str(sleeper), "--format", "csv")
    assert status == 0
    rows = list(csv.DictReader(io.StringIO(out)))
    assert {"program text", "shared libraries", "main stack"} <= {row["kind"] for row in rows}
    assert all(int(row["rss_bytes"]) >= 0 for row in rows)
    _, out, _ = run_cli("explain", str(sleeper), "--format", "markdown")
    assert "| KIND " in out


@pytest.mark.parametrize("text", ["nan", "inf", "1e300", "0", "-1", "much", "2d"])
def test_an_interval_that_can_not_be_waited_for(text: str, run_cli: Run) -> None:
    status, out, err = run_cli("explain", str(os.getpid()), f"--interval={text}")
    assert (status, out) == (2, "")
    assert err.count("\n") == 1
    assert "is no length of time" in err or err == "oomlab: --interval is at most a day\n"


def test_faults_are_measured_over_an_interval(run_cli: Run) -> None:
    churn = "import mmap\nwhile True: m = mmap.mmap(-1, 1 << 16); m[0] = m[5000] = 1; m.close()"
    with subprocess.Popen([sys.executable, "-S", "-c", churn]) as process:
        try:
            faults = explained(run_cli, process.pid, "--interval", "300ms")["faults"]
        finally:
            process.kill()
    assert faults["measured"] is True
    assert 0.3 <= faults["seconds"] < 60
    assert faults["minor_per_second"] > 100


def test_a_name_does_where_it_is_unique(run_cli: Run) -> None:
    with running(compiled("kinds"), "0") as (process, _):
        comm = Path(f"/proc/{process.pid}/comm").read_text().strip()
        assert explained(run_cli, comm)["task"]["pid"] == process.pid
    assert run_cli("explain", "no-such-name")[0] == 2
    assert run_cli("explain", "4194305")[2].startswith("oomlab: no process 4194305")


def test_a_zombie_is_told(run_cli: Run) -> None:
    with subprocess.Popen(["true"]) as process:
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        status, out, _ = run_cli("explain", str(process.pid))
        assert status == 0
        assert "the kernel never kills it: no memory (zombie)" in out
        assert "it maps nothing" in out
        assert explained(run_cli, process.pid)["killing_frees"] is None


def test_without_rights_there_is_less_and_it_is_said(sleeper: int) -> None:
    if os.geteuid() != 0:
        pytest.skip("becoming another user needs root")
    status, out, err = as_nobody("explain", str(sleeper))
    assert status == 0
    assert "its mappings may not be read" in out
    assert "Killing it would free " in out
    assert "without smaps it is unknown which pages others map too" in out
    assert "No memory by kind, no allocator: " in out
    lacking = f"smaps, maps, environ of 1 process ({sleeper}): Permission denied"
    assert err == f"oomlab: not read: {lacking}\n"
    assert "What counts against it:" in out
    assert as_nobody("explain", str(sleeper), "--format", "csv")[0] == 2


def as_nobody(*arguments: str) -> tuple[int, str, str]:
    """Run the command line in a child that has given up its rights."""
    from oomlab.cli.app import main

    outputs = [os.memfd_create(name) for name in ("out", "err")]
    if (child := os.fork()) == 0:
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)
        sys.stdout, sys.stderr = (os.fdopen(fd, "w") for fd in outputs)
        status = main(arguments)
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    _, status = os.waitpid(child, 0)
    texts = []
    for descriptor in outputs:
        os.lseek(descriptor, 0, os.SEEK_SET)
        with os.fdopen(descriptor) as stream:
            texts.append(stream.read())
    return os.waitstatus_to_exitcode(status), texts[0], texts[1]


def test_a_snapshot_says_what_it_lacks(run_cli: Run, tmp_path: Path) -> None:
    path = tmp_path / "saved.json"
    tasks = (make_task(1, comm="init"), make_task(5, adj=300, ppid=1))
    oomlab.save_snapshot(make_snapshot(*tasks), path)
    status, out, _ = run_cli("explain", "5", "--from", str(path))
    assert status == 0
    assert "= badness" in out
    assert "A snapshot does not hold mappings" in out
    assert run_cli("explain", "5", "--from", str(path), "--interval", "1")[0] == 2


def test_who_set_it_is_inferred_from_the_parents() -> None:
    tasks = [
        make_task(1, comm="init"),
        make_task(5, adj=300, ppid=1),
        make_task(6, adj=300, ppid=5),
        make_task(7, adj=300, ppid=6, cgroups=(("", "/system.slice/a.service"),)),
    ]
    snapshot = make_snapshot(*tasks)
    origin = origin_of(snapshot, tasks[3])
    assert ([task.pid for task in origin.same], origin.above, origin.unit) == (
        [6, 5],
        tasks[0],
        Unit("a.service"),
    )
    assert "probably set for 5 (task5) and inherited" in origin_text(origin)
    assert "it was set for this process" in origin_text(origin_of(snapshot, tasks[1]))
    assert "its parent can't be seen" in origin_text(origin_of(snapshot, tasks[0]))
    loop = make_snapshot(make_task(8, ppid=9), make_task(9, ppid=8))
    assert [task.pid for task in origin_of(loop, loop.tasks[0]).same] == [9]


def test_its_scopes_and_its_place_in_each(run_cli: Run, sleeper: int) -> None:
    scopes = explained(run_cli, sleeper)["scopes"]
    assert scopes[-1]["name"] == "machine"
    assert 1 <= scopes[-1]["rank"] <= scopes[-1]["of"]
    assert f"{sleeper} (sleep) may die in " in run_cli("explain", str(sleeper))[1]


def test_only_what_allocators_know_is_kept_of_an_environment() -> None:
    environ = b"SECRET=1\0MALLOC_ARENA_MAX=2\0XMALLOC_CONF=a\0GLIBC_TUNABLES=a=1:b=2\0PATH=/bin\0"
    assert parse_tunables(environ) == (("MALLOC_ARENA_MAX", "2"), ("GLIBC_TUNABLES", "a=1:b=2"))


def test_rates_are_differences_over_time() -> None:
    first, last = Vitals(1, 10.0, 100, 5), Vitals(1, 12.0, 300, 45)
    assert fault_rates(first, last) == FaultRates(2.0, 100.0, 20.0, True)
    assert fault_rates(None, last) is None
    assert fault_rates(None, last._replace(age_seconds=100.0)) == FaultRates(
        100.0, 3.0, 0.45, False
    )
    assert "20 major faults a second" in fault_meaning(FaultRates(2.0, 100.0, 20.0, True), 4096)[0]
    assert "map 39M a second" in fault_meaning(FaultRates(2.0, 10_000.0, 0.0, True), 4096)[0]
    assert "map 400K a second" in fault_meaning(FaultRates(2.0, 100.0, 0.0, True), 4096)[0]
    assert "Few faults" in fault_meaning(FaultRates(2.0, 99.0, 0.0, True), 4096)[0]
    assert fault_meaning(None, 4096) == []


def test_faults_are_the_kernels() -> None:
    vitals = read_vitals(PROC, os.getpid())
    words = Path("/proc/self/stat").read_bytes().rpartition(b")")[2].split()
    assert 0 < vitals.minor_faults <= int(words[7])
    with pytest.raises(SourceError):
        parse_vitals(1, b"1 (a) S", [], 0.0, 0.0)


def test_kinds_sum_to_all_mappings() -> None:
    with running(compiled("kinds"), "1") as (process, _):
        space = read_asleep(process.pid)
    totals = by_kind(space)
    assert sum(kind.mappings for kind in totals) == len(space.mappings or ())
    assert sum(kind.rss or 0 for kind in totals) == total(space, "rss")


def test_bars_are_in_proportion() -> None:
    assert [len(bar(value, 100, 20)) for value in (100, 50, 1, 0, -100)] == [20, 10, 1, 0, 20]
