"""Reading a /proc: fake ones for what can't be staged, this machine's for the rest."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

import oomlab
from oomlab import Task
from oomlab.readers import forked, procfs
from oomlab.readers.machine import (
    parse_meminfo,
    parse_oom_kills,
    parse_swapped_out,
    parse_word_bits,
    parse_zoneinfo,
)
from oomlab.readers.procfs import PROC, ProcScan, read_sizes, read_snapshot
from oomlab.readers.sizes import begin_scan

LIVE_FILES = ("stat", "status", "oom_score", "oom_score_adj", "cgroup", "cmdline")


@pytest.fixture
def fake_proc(tmp_path: Path) -> Path:
    """A /proc of this very process, copied to plain files under the pids 7 and 8."""
    for name in ("meminfo", "stat", "zoneinfo", "vmstat", "uptime"):
        (tmp_path / name).write_bytes((PROC / name).read_bytes())
    (tmp_path / "sys/kernel").mkdir(parents=True)
    (tmp_path / "sys/kernel/osrelease").write_text("6.18.44\n")
    for pid in (7, 8):
        (tmp_path / str(pid)).mkdir()
        for name in LIVE_FILES:
            (tmp_path / str(pid) / name).write_bytes((PROC / "self" / name).read_bytes())
    return tmp_path


def test_a_proc_of_plain_files(fake_proc: Path) -> None:
    snapshot = read_snapshot(fake_proc)
    assert [task.pid for task in snapshot] == [7, 8]
    assert snapshot.machine.release == "6.18.44"
    assert snapshot.tasks[0].user is None, "another machine's uids are not ours to name"


def test_files_that_vanish_take_the_process_with_them(fake_proc: Path) -> None:
    for name in ("stat", "status"):
        (fake_proc / "8" / name).unlink()
    assert [task.pid for task in read_snapshot(fake_proc)] == [7]


def test_an_empty_file_is_a_process_that_ended(fake_proc: Path) -> None:
    (fake_proc / "8" / "status").write_text("")
    assert [task.pid for task in read_snapshot(fake_proc)] == [7]


def test_an_old_kernel_lacks_files_without_losing_processes(fake_proc: Path) -> None:
    for pid in ("7", "8"):
        (fake_proc / pid / "oom_score_adj").unlink()
    snapshot = read_snapshot(fake_proc)
    assert [task.oom_score_adj for task in snapshot] == [None, None]


def test_a_damaged_file_is_named_with_its_place(fake_proc: Path) -> None:
    (fake_proc / "8" / "stat").write_text("8 (x) S what\n")
    with pytest.raises(oomlab.SourceError, match=r"/8: stat is not as proc\(5\)"):
        read_snapshot(fake_proc)
    with pytest.raises(oomlab.SourceError, match=r"/8: stat is not as proc\(5\)"):
        read_sizes(fake_proc)


def test_a_place_that_is_no_proc(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "nope"):
        with pytest.raises(oomlab.SourceError, match="meminfo"):
            read_snapshot(path)


def test_what_may_not_be_read_is_a_gap(fake_proc: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(directory: int, name: str) -> bytes:
        if name == "cmdline" or (
            name == "stat" and "/8" in str(Path(f"/proc/self/fd/{directory}").readlink())
        ):
            raise PermissionError(1, "Operation not permitted")
        return real(directory, name)

    real = procfs.read_at
    monkeypatch.setattr(procfs, "read_at", refuse)
    snapshot = read_snapshot(fake_proc)
    assert [task.pid for task in snapshot] == [7]
    gaps = {gap.what: gap for gap in snapshot.gaps if gap.pids}
    assert gaps["everything"].pids == (8,)
    assert gaps["cmdline"].pids == (7,)
    assert "\n" not in str(gaps["everything"])


def test_hidepid_in_a_mount_of_its_own(tmp_path: Path) -> None:
    """With hidepid=1 every process is listed, but only one's own may be read."""
    reader = tmp_path / "reader.py"
    mount = tmp_path / "proc"
    mount.mkdir()
    reader.write_text(
        f"import sys; sys.path[:0] = {sys.path!r}\n"
        "import oomlab\n"
        f"snapshot = oomlab.load(proc={str(mount)!r})\n"
        "print(len(snapshot.tasks), [gap.what for gap in snapshot.gaps])\n"
    )
    # A root of another group and without capabilities may look at nobody else.
    weak = "setpriv --regid 65534 --clear-groups --inh-caps=-all --bounding-set=-all"
    script = f"mount -t proc -o hidepid=1 none {mount} && exec {weak} {sys.executable} {reader}"
    found = subprocess.run(["unshare", "-m", "sh", "-c", script], capture_output=True, text=True)
    if found.returncode:
        pytest.skip(f"no /proc with hidepid can be mounted here: {found.stderr.strip()[-100:]}")
    assert "'everything'" in found.stdout
    assert found.stdout.startswith("0 ")


def run_apart(tmp_path: Path, unshare: list[str], prepare: str, code: str) -> str:
    """Run Python in namespaces of its own and return what it prints, or skip and say why."""
    program = tmp_path / "program.py"
    program.write_text(f"import sys; sys.path[:0] = {sys.path!r}\nimport oomlab\n{code}")
    script = f"{prepare} exec {sys.executable} {program}"
    found = subprocess.run(
        ["unshare", *unshare, "sh", "-c", script], capture_output=True, text=True
    )
    if found.returncode:
        pytest.skip(f"no such namespace can be made here: {found.stderr.strip()[-200:]}")
    return found.stdout


def test_a_meminfo_that_a_container_fakes(tmp_path: Path) -> None:
    fake = tmp_path / "meminfo"
    fake.write_text("MemTotal:       1024 kB\nMemAvailable:   512 kB\nSwapTotal:        0 kB\n")
    out = run_apart(
        tmp_path,
        ["-m"],
        f"mount --bind {fake} /proc/meminfo &&",
        "snapshot = oomlab.load()\n"
        "machine = snapshot.machine\n"
        "print(machine.ram_pages, machine.meminfo_replaced, [gap.what for gap in snapshot.gaps])\n"
        "ranking = oomlab.rank(snapshot)\n"
        "from oomlab.analysis.agreement import compare_all\n"
        "print(sum(one.verdict == 'equal' for one in compare_all(ranking)) / len(ranking) > 0.9)\n",
    )
    real = os.sysconf("SC_PHYS_PAGES")
    assert out == f"{real} True ['meminfo']\nTrue\n"


def test_the_init_of_a_container_can_be_killed(tmp_path: Path) -> None:
    out = run_apart(
        tmp_path,
        ["-m", "-p", "-f", "--mount-proc"],
        # The shell stays as pid 1; what the container can't see is said.
        "true;",
        "snapshot = oomlab.load()\n"
        "gaps = [gap.what for gap in snapshot.gaps]\n"
        "print(snapshot.machine.init_pid_namespace, 'processes' in gaps)\n",
    )
    assert out == "False True\n"
    out = run_apart(
        tmp_path,
        ["-m", "-p", "-f", "--mount-proc"],
        f"sleep 60 & cd {tmp_path}; {sys.executable} program.py; kill $!; exit 0;",
        "first = next(s for s in oomlab.rank(oomlab.load()) if s.task.pid == 1)\n"
        "print(first.killable, first.oom_score == first.task.kernel_oom_score)\n",
    )
    assert out == "True True\n"


@pytest.fixture
def sleeper() -> Iterator[psutil.Process]:
    with psutil.Popen(["sleep", "60"]) as process:
        while psutil.Process(process.pid).status() != psutil.STATUS_SLEEPING:
            time.sleep(0.01)
        yield psutil.Process(process.pid)
        process.kill()


def test_every_field_of_a_live_process(sleeper: psutil.Process) -> None:
    task = oomlab.find_task(oomlab.load(), sleeper.pid)
    memory = sleeper.memory_full_info()
    page = os.sysconf("SC_PAGE_SIZE")
    assert (task.pid, task.ppid, task.comm) == (sleeper.pid, sleeper.ppid(), "sleep")
    assert task.cmdline == ("sleep", "60")
    assert (task.uid, task.user) == (sleeper.uids().real, sleeper.username())
    assert (task.state, task.threads, task.nice) == ("S", 1, sleeper.nice())
    assert task.rss_pages is not None
    assert task.rss_pages * page == memory.rss
    assert task.total_vm_pages is not None
    assert task.total_vm_pages * page == memory.vms
    assert task.swap_pages == memory.swap // page
    parts = (task.rss_anon_pages, task.rss_file_pages, task.rss_shmem_pages)
    assert sum(part or 0 for part in parts) == task.rss_pages
    assert task.has_mm
    assert not task.kernel_thread
    status = (PROC / str(sleeper.pid) / "status").read_text()
    assert f"VmPTE:\t{(task.pagetable_bytes or 0) // 1024:8} kB" in status
    assert f"Mems_allowed_list:\t{task.mems_allowed}" in status
    assert task.cgroups


def test_the_machine() -> None:
    machine = read_snapshot(details=()).machine
    assert machine.release == os.uname().release
    assert machine.ram_pages == os.sysconf("SC_PHYS_PAGES")
    assert machine.cpus == os.sysconf("SC_NPROCESSORS_ONLN")
    assert machine.page_size == os.sysconf("SC_PAGE_SIZE")
    for name in ("panic_on_oom", "oom_kill_allocating_task", "swappiness", "min_free_kbytes"):
        assert getattr(machine, name) == int((PROC / "sys/vm" / name).read_text())


def test_the_reader_itself_is_left_out_and_all_others_are_there() -> None:
    before = set(psutil.pids())
    seen = {task.pid for task in read_snapshot(details=())}
    after = set(psutil.pids())
    assert os.getpid() not in seen
    assert (before & after) - {os.getpid()} <= seen


def test_processes_that_come_and_go_cost_nothing() -> None:
    churn = "i=0; while [ $i -lt 400 ]; do /bin/true; i=$((i+1)); done"
    with subprocess.Popen(["sh", "-c", churn]) as shell:
        while shell.poll() is None:
            for task in read_snapshot():
                assert task.comm is not None
                assert task.kernel_thread or task.has_mm is not None
                if task.has_mm:
                    assert None not in (task.rss_pages, task.swap_pages, task.pagetable_bytes)


NO_LEADER = """
import ctypes, threading, time
block = bytearray(64 << 20)
threading.Thread(target=time.sleep, args=(60,)).start()
print("ready", flush=True)
ctypes.CDLL(None).syscall({exit}, 0)
"""


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="the number of exit(2) is x86-64's")
def test_a_process_without_its_main_thread_still_counts() -> None:
    code = NO_LEADER.format(exit=60)
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        while b"State:\tZ" not in (PROC / str(process.pid) / "status").read_bytes():
            time.sleep(0.01)
        for snapshot in (oomlab.load(), read_sizes()):
            task = oomlab.find_task(snapshot, process.pid)
            assert task.state == "Z"
            assert task.has_mm
            assert task.rss_pages is not None
            assert task.rss_pages * os.sysconf("SC_PAGE_SIZE") > 64 << 20
        score = next(s for s in oomlab.rank(oomlab.load()) if s.task.pid == process.pid)
        assert score.killable
        assert score.oom_score == int((PROC / str(process.pid) / "oom_score").read_text())
        process.kill()


def test_sizes_are_the_same_as_of_a_whole_reading(sleeper: psutil.Process) -> None:
    sized = oomlab.find_task(read_sizes(), sleeper.pid)
    whole = oomlab.find_task(read_snapshot(), sleeper.pid)
    for name in Task._fields[: Task._fields.index("pmd_bytes")]:
        assert getattr(sized, name) == getattr(whole, name), name


def test_a_process_in_very_many_groups_keeps_its_memory(fake_proc: Path) -> None:
    status = (fake_proc / "7" / "status").read_text()
    many = " ".join(map(str, range(100_000, 101_500)))
    text = re.sub(r"(?m)^Groups:.*$", f"Groups:\t{many}", status)
    assert len(text) > 4096
    (fake_proc / "7" / "status").write_text(text)
    for snapshot in (read_snapshot(fake_proc), read_sizes(fake_proc)):
        seven, eight = snapshot.tasks
        assert seven.has_mm
        assert seven.rss_pages == eight.rss_pages


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("7/oom_score_adj", "abc"),
        ("7/oom_score", "xyz"),
        ("zoneinfo", "Node x, zone DMA\n"),
        ("meminfo", "MemTotal: 0 kB\nSwapTotal: 0 kB\n"),
        ("meminfo", "MemTotal: x kB\n"),
    ],
)
def test_odd_files_are_an_error_in_one_line(fake_proc: Path, name: str, text: str) -> None:
    (fake_proc / name).write_text(text)
    with pytest.raises(oomlab.SourceError) as error:
        read_snapshot(fake_proc)
    assert "\n" not in str(error.value)


def test_the_kernels_word_size_is_not_pythons() -> None:
    assert parse_word_bits(b"VmallocTotal:   34359738367 kB\n") == 64
    assert parse_word_bits(b"VmallocTotal:     122880 kB\n") == 32


def test_a_swapoff_is_noticed_by_its_name_in_the_fast_scan(fake_proc: Path) -> None:
    stat = (fake_proc / "7" / "stat").read_text()
    (fake_proc / "7" / "stat").write_text(re.sub(r"\(.*\)", "(swapoff)", stat))
    assert read_sizes(fake_proc).tasks[0].comm == "swapoff"


def test_workers_read_the_same(fake_proc: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forked, "WORTH_A_WORKER", 1)
    for pid in range(9, 40):
        shutil.copytree(fake_proc / "7", fake_proc / str(pid))
    alone, shared = read_snapshot(fake_proc), read_snapshot(fake_proc, workers=3)
    assert shared.tasks == alone.tasks
    begun = begin_scan(str(fake_proc), 3)
    assert read_sizes(fake_proc, begun).tasks == read_sizes(fake_proc).tasks
    assert len(alone.tasks) == 33
    (fake_proc / "33" / "stat").write_text("damaged")
    with pytest.raises(oomlab.SourceError, match="/33: stat"):
        read_snapshot(fake_proc, workers=3)


def test_read_some_skips_the_dead(sleeper: psutil.Process) -> None:
    scan = ProcScan(PROC, page_size=os.sysconf("SC_PAGE_SIZE"))
    assert [task.pid for task in scan.read_some([sleeper.pid, 4_194_304])] == [sleeper.pid]


def test_meminfo_needs_its_two_totals() -> None:
    text = b"MemTotal:       100 kB\nCached: 1 kB\nSwapTotal:        8 kB\n"
    assert parse_meminfo(text, 4096) == {"ram_pages": 25, "swap_pages": 2}
    with pytest.raises(oomlab.SourceError):
        parse_meminfo(b"MemTotal:       100 kB\n", 4096)


def test_zoneinfo_sums_zones_by_node() -> None:
    text = b"""\
Node 0, zone      DMA
  per-node stats
      nr_inactive_file 2
      nr_active_file 3
  pages free     1
        spanned  10
        present  9
        managed  8
Node 0, zone   Normal
        spanned  100
        present  90
        managed  80
Node 1, zone   Normal
        spanned  7
        present  7
"""
    nodes = parse_zoneinfo(text)
    assert nodes is not None
    assert [tuple(node) for node in nodes] == [
        (0, 110, 99, 88, 1, 5),
        (1, 7, 7, None, None, None),
    ]
    assert parse_zoneinfo(b"") is None


def test_past_kills_are_counted_since_4_13() -> None:
    assert parse_oom_kills(b"oom_kill 7\npgmigrate_success 9\n") == 7
    assert parse_oom_kills(b"pswpin 9\nxoom_kill 3\noom_kills 4\n") is None


def test_swapped_out_pages_count_every_way() -> None:
    assert parse_swapped_out(b"pswpin 9\npswpout 2\nzswpout 3\nswpout_zero 4\nx 5\n") == 9
