"""rank --cgroup and rank --pid: the same process in other scopes."""

from __future__ import annotations

import json
import lzma
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import make_task
from node_fixture import make_node

import oomlab
from oomlab.analysis.ranking import cautions
from oomlab.memcg import UNLIMITED_PAGES, Memcg

Run = Callable[..., tuple[int, str, str]]
NODE = "fixtures/node.json"


@pytest.mark.parametrize(
    "name", ["worker", "web", "app", "prod/ledger-0", "backup", "kubepods.slice"]
)
def test_the_ranking_of_a_cgroup_holds_its_own_tasks_alone(name: str, run_cli: Run) -> None:
    document = json.loads(run_cli("rank", "--cgroup", name, "--from", NODE, "--format", "json")[1])
    assert document["scope"]["constraint"] == "CONSTRAINT_MEMCG"
    path = document["scope"]["memcg"]
    inside = {t.pid for t in make_node().tasks if (t.cgroup_path("") or "").startswith(path)}
    assert {task["pid"] for task in document["tasks"]} <= inside
    assert document["tasks"]


def test_the_same_oom_score_adj_weighs_by_the_cgroups_own_limit(run_cli: Run) -> None:
    java = {}
    for where in ((), ("--cgroup", "app")):
        out = run_cli("rank", *where, "--from", NODE, "--format", "json")[1]
        document = json.loads(out)
        task = next(task for task in document["tasks"] if task["comm"] == "java")
        used = (task["rss_bytes"] + task["swap_bytes"] + task["pagetable_bytes"]) // 4096
        assert task["badness"] == used + 906 * (document["scope"]["totalpages"] // 1000)
        java[where] = task["badness"]
    assert java[()] > 4 * java[("--cgroup", "app")]


def test_the_answer_names_the_container_and_who_dies_with_the_victim(run_cli: Run) -> None:
    first = run_cli("rank", "--cgroup", "app", "--from", NODE)[1].splitlines()[0]
    assert first == (
        "If container app ran out of memory now, the kernel would kill 545 (java) and with it "
        "1 other (memory.oom.group)."
    )


def test_a_process_in_all_its_scopes(run_cli: Run) -> None:
    out = run_cli("rank", "--pid", "java", "--from", NODE, "--format", "json")[1]
    document = json.loads(out)
    assert document["schema"] == "oomlab.standing/1"
    assert [(s["name"], s["rank"], s["of"]) for s in document["scopes"]] == [
        ("app", 1, 2),
        ("prod/shop-7f9c", 1, 4),
        ("kubepods", 2, 8),
        ("machine", 3, 42),
    ]
    for scope in document["scopes"][:-1]:
        where = ("--cgroup", scope["path"])
        ranked = json.loads(run_cli("rank", *where, "--from", NODE, "--format", "json")[1])
        own = next(task for task in ranked["tasks"] if task["comm"] == "java")
        assert (own["rank"], own["badness"]) == (scope["rank"], scope["badness"])


def test_a_process_that_can_not_be_killed_says_why(run_cli: Run) -> None:
    sshd = next(t.pid for t in make_node().tasks if t.oom_score_adj == -1000)
    out = run_cli("rank", "--pid", str(sshd), "--from", NODE)[1]
    assert f"{sshd} (sshd) can't be killed in any scope: oom_score_adj -1000." in out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--cgroup", "nope"), "no memory cgroup, unit or container 'nope' here"),
        (("--cgroup", "pause"), "no memory cgroup"),
        (("--cgroup", ""), "an empty name of a cgroup"),
        (("--pid", "99999"), "no process 99999 in this snapshot"),
        (("--pid", "gunicorn"), "5 processes are named 'gunicorn'"),
        (("--pid", "java", "--cgroup", "app"), "leave --cgroup out"),
        (("--pid", "java", "--columns", "nope"), "no column 'nope'"),
    ],
)
def test_bad_input_is_one_line(arguments: tuple[str, ...], says: str, run_cli: Run) -> None:
    status, out, err = run_cli("rank", *arguments, "--from", NODE)
    assert (status, out) == (2, "")
    assert says in err
    assert err.startswith("oomlab: ")
    assert err.count("\n") == 1


def test_without_cgroups_the_error_says_where_they_come_from(run_cli: Run) -> None:
    status, _, err = run_cli("rank", "--cgroup", "web", "--from", "fixtures/example.json")
    assert status == 2
    assert "no memory cgroups are known here" in err
    assert "oomlab snapshot" in err


@pytest.mark.parametrize(
    ("own", "above", "says"),
    [
        (
            Memcg("/a/b", 2, limit_pages=50),
            Memcg("/a", 2, limit_pages=40),
            "limit of memory cgroup /a above it",
        ),
        (Memcg("/a/b", 2, limit_pages=UNLIMITED_PAGES), Memcg("/a", 2), "has no limit"),
        (
            Memcg("/a/b", 1, limit_pages=50, oom_kill_disabled=True),
            Memcg("/a", 1),
            "processes wait",
        ),
        (Memcg("/a/b", 2, limit_pages=50), Memcg("/a", 2, limit_pages=60), None),
    ],
)
def test_what_makes_a_cgroups_ranking_moot(own: Memcg, above: Memcg, says: str | None) -> None:
    task = make_task(7, cgroups=(("", "/a/b"), ("memory", "/a/b")))
    snapshot = replace(make_node(), tasks=(task,), memcgs=(above, own))
    found = cautions(oomlab.rank(snapshot, memcg="/a/b"))
    assert [says] if says is None else found
    assert says is None or says in found[0]
    assert bool(found) == bool(says)


def test_a_report_is_spoken_of_as_one(run_cli: Run, tmp_path: Path) -> None:
    log = tmp_path / "kern.log"
    log.write_bytes(lzma.decompress(Path("fixtures/kernel_log/6.1.log.xz").read_bytes()))
    for event, start in (
        ("9", "In the reported OOM, "),
        ("17", "In the reported OOM of memory cgroup /nested, "),
    ):
        out = run_cli("rank", "--from", str(log), "--event", event, "-n", "1")[1]
        assert out.startswith(start)
        assert "now" not in out.splitlines()[0]
