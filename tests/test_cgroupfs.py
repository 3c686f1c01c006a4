"""The memory cgroup tree, of both versions, with cgroups that come and go."""

from __future__ import annotations

from pathlib import Path

import pytest

from oomlab import SourceError
from oomlab.readers import cgroupfs
from oomlab.readers.cgroupfs import find_memory_hierarchy, parse_memcg, parse_memcgs, read_memcgs
from oomlab.snapshot import UNLIMITED_PAGES

V2 = {
    "memory.max": "1048576\n",
    "memory.swap.max": "max\n",
    "memory.current": "8192\n",
    "memory.swap.current": "4096\n",
    "memory.oom.group": "1\n",
    "memory.events": "low 0\noom 2\noom_kill 3\n",
    "cgroup.procs": "9\n7\n8\n",
}
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
    assert [memcg.path for memcg in read_memcgs(tmp_path)] == ["/", "/a b", "/a b/c"]
    with pytest.raises(SourceError, match="no cgroup hierarchy"):
        read_memcgs(tmp_path / "nope")


def test_a_cgroup_that_is_removed_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, V2)
    write(tmp_path / "a", V2)
    listed = [*cgroupfs._directories(tmp_path), ("/gone", tmp_path / "gone")]
    monkeypatch.setattr(cgroupfs, "_directories", lambda _mount: listed)
    assert [memcg.path for memcg in read_memcgs(tmp_path)] == ["/", "/a"]


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
    assert find_memory_hierarchy(tmp_path) == tmp_path / "1" / "root" / place


def test_no_hierarchy(tmp_path: Path) -> None:
    assert find_memory_hierarchy(tmp_path) is None
