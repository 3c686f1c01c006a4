"""The memory cgroup tree, of both versions, with cgroups that come and go."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from oomlab import SourceError
from oomlab.memcg import UNLIMITED_PAGES
from oomlab.readers import cgroupfs
from oomlab.readers.cgroupfs import dies_in_group, find_memory_mount, read_memcgs
from oomlab.readers.memcg import parse_memcg, parse_memcgs

V2 = {
    "memory.max": "1048576\n",
    "memory.swap.max": "max\n",
    "memory.current": "8192\n",
    "memory.swap.current": "4096\n",
    "memory.oom.group": "1\n",
    "memory.events": "low 0\noom 2\noom_kill 3\n",
    "cgroup.procs": "9\n7\n8\n",
}
V2_STAT = """\
anon 40960
file 81920
shmem 8192
inactive_file 20480
active_file 12288
unevictable 4096
slab_reclaimable 16384
pgscan 77
"""
V1_STAT = """\
cache 0
inactive_file 0
total_rss 40960
total_shmem 8192
total_swap 4096
total_inactive_file 20480
total_active_file 12288
total_unevictable 4096
"""
V1 = {
    "memory.limit_in_bytes": "1050000\n",
    "memory.memsw.limit_in_bytes": "9223372036854771712\n",
    "memory.usage_in_bytes": "8192\n",
    "memory.swappiness": "0\n",
    "memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 4\n",
    "cgroup.procs": "",
}


def test_version_2() -> None:
    memcg = parse_memcg("/a", V2, 4096, 5)
    assert memcg is not None
    assert (memcg.version, memcg.limit_pages, memcg.swap_limit_pages) == (2, 256, UNLIMITED_PAGES)
    assert (memcg.usage_pages, memcg.swap_usage_pages) == (2, 1)
    assert (memcg.oom_group, memcg.oom_kills, memcg.pids) == (True, 3, (9, 7, 8))


def test_version_1() -> None:
    memcg = parse_memcg("/a", V1, 4096, 5)
    assert memcg is not None
    # From 3.19 on a limit is kept in whole pages, rounded down.
    assert (memcg.version, memcg.limit_pages, memcg.memsw_limit_pages) == (1, 256, UNLIMITED_PAGES)
    assert (memcg.swappiness, memcg.oom_kills, memcg.pids) == (0, 4, ())


def test_what_could_be_reclaimed_and_what_happened() -> None:
    more = {
        "memory.stat": V2_STAT,
        "memory.high": "max\n",
        "memory.min": "4096\n",
        "memory.peak": "12288\n",
        "memory.events": "low 0\nhigh 0\nmax 7\noom 2\noom_kill 9\noom_group_kill 1\n",
        "memory.events.local": "low 0\nhigh 0\nmax 5\noom 2\noom_kill 3\noom_group_kill 0\n",
        "memory.pressure": PRESSURE,
    }
    memcg = parse_memcg("/a", V2 | more, 4096, 5)
    assert memcg is not None
    assert (memcg.anon_pages, memcg.shmem_pages, memcg.file_pages) == (10, 2, 8)
    assert (memcg.unevictable_pages, memcg.slab_reclaimable_pages, memcg.pagescans) == (1, 4, 77)
    assert (memcg.high_pages, memcg.min_pages, memcg.peak_pages) == (UNLIMITED_PAGES, 1, 3)
    assert (memcg.oom_kills, memcg.oom_kills_below, memcg.oom_group_kills) == (3, 9, 1)
    assert (memcg.oom_events, memcg.limit_hits) == (2, 5)
    assert memcg.pressure is not None
    assert (memcg.pressure.some_avg10_percent, memcg.pressure.full_total_us) == (1.25, 4)


PRESSURE = """\
some avg10=1.25 avg60=0.50 avg300=0.10 total=9
full avg10=1.00 avg60=0.25 avg300=0.00 total=4
"""


def test_version_1_counts_what_is_below_too() -> None:
    more = {
        "memory.stat": V1_STAT,
        "memory.failcnt": "12\n",
        "memory.use_hierarchy": "0\n",
        "memory.memsw.usage_in_bytes": "16384\n",
        "memory.oom_control": "oom_kill_disable 1\nunder_oom 0\n",
    }
    memcg = parse_memcg("/a", V1 | more, 4096, 5)
    assert memcg is not None
    assert (memcg.anon_pages, memcg.shmem_pages, memcg.file_pages) == (10, 2, 8)
    assert (memcg.swap_usage_pages, memcg.memsw_usage_pages, memcg.limit_hits) == (1, 4, 12)
    assert (memcg.oom_kill_disabled, memcg.hierarchical, memcg.oom_kills) == (True, False, None)


def test_old_files_without_the_newer_ones_leave_them_unknown() -> None:
    for files in (V1, V2):
        memcg = parse_memcg("/a", files, 4096, 5)
        assert memcg is not None
        assert memcg.file_pages is None
        assert memcg.pressure is None


def test_inside_a_cgroup_namespace_the_top_has_a_limit() -> None:
    memcg = parse_memcg("/", V2, 4096, 1)
    assert memcg is not None
    assert memcg.limit_pages == 256


def test_a_part_of_the_tree_keeps_its_paths(tmp_path: Path) -> None:
    write(tmp_path, V1)
    write(tmp_path / "sub", V1)
    found = read_memcgs(tmp_path, "/docker/abc").memcgs
    assert [memcg.path for memcg in found] == ["/docker/abc", "/docker/abc/sub"]
    assert [memcg.creation_order for memcg in found] == [
        path.stat().st_ino for path in (tmp_path, tmp_path / "sub")
    ]


def test_a_file_that_may_not_be_read_is_a_gap(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, V2)
    real = Path.read_text
    errors = {"memory.max": errno.EACCES, "memory.pressure": errno.EOPNOTSUPP}
    (tmp_path / "memory.pressure").write_text("")

    def refuse(path: Path, *given: str) -> str:
        if path.name in errors:
            raise OSError(errors[path.name], "Permission denied")
        return real(path, *given)

    monkeypatch.setattr(Path, "read_text", refuse)
    tree = read_memcgs(tmp_path)
    assert [memcg.limit_pages for memcg in tree.memcgs] == [None]
    assert [gap.why for gap in tree.gaps] == ["Permission denied"]
    errors.clear()
    errors["memory.current"] = errno.ENODEV  # the cgroup was removed: as if it never was
    assert read_memcgs(tmp_path) == ((), ())


def test_only_cgroups_with_the_controller_count() -> None:
    found = parse_memcgs(
        {"/": {"cgroup.procs": "1\n"}, "/a": V2, "/a/b": {"cgroup.procs": "2\n"}}, 4096
    )
    assert [memcg.path for memcg in found] == ["/", "/a"]
    assert found[0].limit_pages == UNLIMITED_PAGES


def write(directory: Path, files: dict[str, str]) -> None:
    directory.mkdir(exist_ok=True)
    for name, text in files.items():
        (directory / name).write_text(text)


def test_a_tree_of_files(tmp_path: Path) -> None:
    write(tmp_path, V2)
    write(tmp_path / "a b", V2)
    write(tmp_path / "a b" / "c", V2)
    assert [memcg.path for memcg in read_memcgs(tmp_path).memcgs] == ["/", "/a b", "/a b/c"]
    with pytest.raises(SourceError, match="no cgroup hierarchy"):
        read_memcgs(tmp_path / "nope")


def test_a_cgroup_that_is_removed_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, V2)
    write(tmp_path / "a", V2)
    real = cgroupfs._directories
    monkeypatch.setattr(
        cgroupfs, "_directories", lambda *given: [*real(*given), ("/gone", tmp_path / "gone")]
    )
    assert [memcg.path for memcg in read_memcgs(tmp_path).memcgs] == ["/", "/a"]


MOUNTS = """\
25 1 0:23 / /sys/fs/cgroup ro - tmpfs tmpfs ro
26 25 0:24 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw
{}27 25 0:25 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu,cpuacct
"""
V1_MOUNT = "28 25 0:26 / /sys/fs/cgroup/mem\\040ory rw shared:9 - cgroup cgroup rw,memory\n"


@pytest.mark.parametrize(
    ("more", "place"), [(V1_MOUNT, "sys/fs/cgroup/mem ory"), ("", "sys/fs/cgroup/unified")]
)
def test_the_hierarchy_of_another_proc_is_below_its_inits_root(
    more: str, place: str, tmp_path: Path
) -> None:
    (tmp_path / "1").mkdir()
    (tmp_path / "1" / "mountinfo").write_text(MOUNTS.format(more))
    found = find_memory_mount(tmp_path)
    assert found == (tmp_path / "1" / "root" / place, "/")


def test_no_hierarchy(tmp_path: Path) -> None:
    assert find_memory_mount(tmp_path) is None


def test_whether_a_process_dies_with_its_group(tmp_path: Path) -> None:
    root = tmp_path / "1" / "root" / "cg"
    for place, group in (("", "1"), ("a", "1"), ("a/b", "0"), ("c", "0")):
        (root / place).mkdir(parents=True, exist_ok=True)
        (root / place / "memory.oom.group").write_text(f"{group}\n")
    line = "26 25 0:24 / /cg rw - cgroup2 cgroup2 rw\n"
    (tmp_path / "1" / "mountinfo").write_text(line)
    for pid, path in ((5, "/a/b"), (6, "/c"), (7, "/c/gone"), (8, "/")):
        (tmp_path / str(pid)).mkdir()
        (tmp_path / str(pid) / "cgroup").write_text(f"1:cpu:/x\n0::{path}\n")
    assert [dies_in_group(tmp_path, pid) for pid in (5, 6, 7, 8, 9)] == [True] + [False] * 4
    (tmp_path / "1" / "mountinfo").unlink()
    assert not dies_in_group(tmp_path, 5)
