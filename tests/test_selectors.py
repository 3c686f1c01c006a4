"""What a user writes for processes and cgroups, on the invented node and on odd machines."""

from __future__ import annotations

import re

import pytest
from conftest import make_snapshot, make_task
from node_fixture import DB_UID, ROOT, SHOP, SHOP_UID, WEB, make_node

from oomlab.analysis.cgroups import charged_path, name_of
from oomlab.analysis.places import place_of
from oomlab.analysis.selectors import find_memcg, find_tasks
from oomlab.errors import InputError
from oomlab.memcg import Memcg
from oomlab.readers.load import load
from oomlab.snapshot import Snapshot

NODE = make_node()
WEB_PATH = f"/system.slice/docker-{WEB}.scope"


def test_the_fixture_is_what_the_script_makes() -> None:
    loaded = load(ROOT / "fixtures" / "node.json")
    assert loaded == NODE


@pytest.mark.parametrize(
    ("text", "kind", "names"),
    [
        ("545", "pid", {"java"}),
        ("pid:545", "pid", {"java"}),
        ("tar", "name", {"tar"}),
        ("alice", "user", {"bash", "python3", "systemd"}),
        ("1000", "user", {"bash", "python3", "systemd"}),
        ("user:33", "user", {"nginx", "php-fpm"}),
        ("ssh", "unit", {"sshd"}),
        ("ssh.service", "unit", {"sshd"}),
        ("postgresql@15-main", "unit", {"postgres"}),
        ("user-1000.slice", "unit", {"sshd", "bash", "python3", "systemd"}),
        ("web", "container", {"nginx", "php-fpm"}),
        (WEB[:12], "container", {"nginx", "php-fpm"}),
        (WEB[:4].upper(), "container", {"nginx", "php-fpm"}),
        ("container:app", "container", {"java", "sh"}),
        ("prod/ledger-0", "pod", {"mariadbd", "pause"}),
        (f"pod:{DB_UID[:8]}", "pod", {"mariadbd", "pause"}),
        (WEB_PATH, "cgroup", {"nginx", "php-fpm"}),
        (f"/sys/fs/cgroup{WEB_PATH}/", "cgroup", {"nginx", "php-fpm"}),
        ("cgroup:/system.slice/ssh.service", "cgroup", {"sshd"}),
    ],
)
def test_a_selector_means_these_processes(text: str, kind: str, names: set[str]) -> None:
    found = find_tasks(NODE, text)
    assert (found.kind, {task.comm for task in found.tasks}) == (kind, names)
    assert list(found.tasks) == [task for task in NODE.tasks if task in found.tasks]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("postgres", r"name:postgres \(5 processes\).* user:postgres|unit"),
        ("app", "container:app .* or user:app"),
        ("nobody-here", "no process, unit, container, pod or user 'nobody-here' here"),
        ("nginxx", "there is nginx"),
        ("99999", "no process '99999' here"),
        ("pid:99999", "no process 99999"),
        ("unit:nope", "no such unit"),
        ("user:nope", "no such user"),
        ("/nope", "no memory cgroup, unit or container '/nope' here"),
        ("batch/report", "no process, unit"),
    ],
)
def test_what_is_nothing_or_several_is_refused_with_the_candidates(text: str, says: str) -> None:
    if text == "postgres":  # name and user mean the same processes here: not ambiguous
        assert len(find_tasks(NODE, text).tasks) == 5
        return
    with pytest.raises(InputError, match=says) as caught:
        find_tasks(NODE, text)
    assert "\n" not in str(caught.value)


def test_a_word_of_two_meanings_is_told_apart_by_its_prefix() -> None:
    tasks = (
        make_task(10, comm="db", user="root"),
        make_task(11, comm="other", user="db", euid=7),
    )
    snapshot = make_snapshot(*tasks)
    with pytest.raises(InputError, match=r"name:db \(1 process\) or user:db \(1 process\)"):
        find_tasks(snapshot, "db")
    assert [t.pid for t in find_tasks(snapshot, "name:db").tasks] == [10]
    assert [t.pid for t in find_tasks(snapshot, "user:db").tasks] == [11]


def test_a_cgroup_without_processes_is_said_to_be_empty() -> None:
    snapshot = Snapshot(
        machine=NODE.machine, tasks=(make_task(9),), memcgs=(Memcg("/a.slice/b.service", 2),)
    )
    for text in ("b", "unit:b.service", "/a.slice/b.service"):
        with pytest.raises(InputError, match="holds no process now"):
            find_tasks(snapshot, text)


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("web", WEB_PATH),
        (WEB, WEB_PATH),
        (f"docker-{WEB}.scope", WEB_PATH),
        ("backup", "/system.slice/backup.service"),
        ("kubepods.slice", "/kubepods.slice"),
        ("system.slice/backup.service", "/system.slice/backup.service"),
        ("/kubepods.slice", "/kubepods.slice"),
        ("/sys/fs/cgroup/kubepods.slice", "/kubepods.slice"),
        ("/", "/"),
    ],
)
def test_one_memory_cgroup(text: str, path: str) -> None:
    assert find_memcg(NODE, text) == path


def test_a_pods_cgroup_is_the_pods_own() -> None:
    path = find_memcg(NODE, "prod/shop-7f9c")
    place = place_of(path)
    assert (place.kind, place.pod_uid, place.qos) == ("pod", SHOP_UID, "Burstable")
    assert place_of(find_memcg(NODE, "app")).container == SHOP


def test_memory_cgroups_that_are_none_or_several() -> None:
    twice = ("/a.slice/x.service", "/b.slice/x.service")
    snapshot = Snapshot(
        machine=NODE.machine, tasks=(), memcgs=tuple(Memcg(path, 2) for path in twice)
    )
    with pytest.raises(InputError, match=f"{twice[0]} or {twice[1]}"):
        find_memcg(snapshot, "x")
    with pytest.raises(InputError, match=re.escape("there is /a.slice/x.service and /b.slice")):
        find_memcg(snapshot, "/x.service")
    with pytest.raises(InputError, match="names processes, not a cgroup"):
        find_memcg(NODE, "user:alice")
    with pytest.raises(InputError, match="no memory cgroups are known"):
        find_memcg(make_snapshot(make_task(1)), "web")


def test_names_that_engines_know_are_shown() -> None:
    shown = {name_of(NODE, place_of(memcg.path)) for memcg in NODE.memcgs or ()}
    assert {"web", "worker", "prod/ledger-0", "user alice", "kubepods (BestEffort)"} <= shown


def test_a_task_is_charged_to_its_nearest_cgroup_with_the_controller() -> None:
    task = make_task(5, cgroups=(("", "/a/b/c"), ("memory", "/x")))
    assert charged_path(task, {"/", "/a"}, 2) == "/a"
    assert charged_path(task, {"/", "/a"}, 1) == "/"
    assert charged_path(task, {"/a"}, 1) is None
