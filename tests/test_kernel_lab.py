"""The kernel lab's own parts, without QEMU: the plans, the kernel's lines, the judgement."""

from __future__ import annotations

import copy
import json
import lzma
import re
from functools import cache
from pathlib import Path
from typing import Any, cast

import pytest

from tests.kernels.__main__ import boot_names
from tests.kernels.fetch import Kernel, newest_of_each
from tests.kernels.guest import last_scene, parse_records
from tests.kernels.judge import Promise, judge_boot
from tests.kernels.people import SHARER_MARKS, TOP
from tests.kernels.plan import make_plan
from tests.kernels.report import report_lines
from tests.kernels.state import parse_nodes
from tests.kernels.truth import parse_ooms

LAB = Path(__file__).parent / "kernels"
BOOTS = sorted((Path(__file__).parent.parent / "fixtures/kernel-lab").glob("*.json.xz"))
LATE = Path(__file__).parent.parent / "fixtures/kernel-lab-late.json.xz"

TABLE = """\
[   14.518048] kworker/0:1 invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=-1, oom_score_adj=0
[   14.518060] CPU: 0 PID: 9 Comm: kworker/0:1 Not tainted 6.1.0-50-cloud-amd64 #1
[   14.518100] Tasks state (memory values in pages):
[   14.518101] [  pid  ]   uid  tgid total_vm      rss pgtables_bytes swapents oom_score_adj name
[   14.518102] [    119]  1000   118      443      285    40960        7           -20 a ) b
[   14.520048] oom-kill:constraint=CONSTRAINT_NONE,nodemask=(null),cpuset=/,mems_allowed=0-1,\
global_oom,task_memcg=/,task=a ) b,pid=118,uid=1000
[   14.520377] Out of memory: Killed process 119 (a ) b) total-vm:1772kB, anon-rss:568kB, \
file-rss:0kB, shmem-rss:572kB, UID:1000 pgtables:40kB oom_score_adj:-20
"""


@cache
def plans() -> list[dict[str, Any]]:
    return [make_plan(seed, name) for seed in range(3) for name in ("6.1", "6.1-v1", "7.2")]


def test_the_same_seed_makes_the_same_plan() -> None:
    assert json.dumps(make_plan(7, "6.1")) == json.dumps(make_plan(7, "6.1"))
    assert make_plan(7, "6.1") != make_plan(8, "6.1")
    assert make_plan(7, "6.1")["scenes"] != make_plan(7, "6.12")["scenes"]


def test_plans_use_only_steps_that_the_crowd_program_has() -> None:
    known = set(re.findall(r'IS\("(\w+)"\)', (LAB / "crowd.c").read_text())) | {"leaderless"}
    used = {
        word.partition("=")[0]
        for plan in plans()
        for scene in plan["scenes"]
        for line in scene["people"]
        for word in line.split()
    }
    assert used <= known


def test_names_fit_the_kernel_and_are_unique() -> None:
    longest = 15 - max(map(len, SHARER_MARKS.values()))
    for plan in plans():
        lines = [line for scene in plan["scenes"] for line in scene["people"]]
        names = [line.split()[0].removeprefix("name=") for line in lines]
        assert len(set(names)) == len(names)
        assert max(map(len, names)) <= longest


def test_processes_live_in_the_leaves_of_the_cgroup_tree() -> None:
    """cgroup v2 has no processes in a cgroup that passes controllers on, but for the root."""
    for plan in plans():
        for scene in plan["scenes"]:
            passing = {
                f"cgroup={TOP}/{group['path']}"
                for group in scene["groups"]
                if ["cgroup.subtree_control", "+memory"] in group["files"]["v2"]
            }
            assert not passing & {word for line in scene["people"] for word in line.split()}


def test_a_report_is_read() -> None:
    (oom,) = parse_ooms(TABLE.splitlines())
    (row,) = oom.rows
    assert (oom.constraint, oom.memcg, oom.invoker) == ("CONSTRAINT_NONE", None, 9)
    assert (oom.victim, oom.comm, oom.killed, oom.nodes) == (118, "a ) b", (119,), "0-1")
    assert (row.pid, row.comm, row.rss_pages, row.swap_pages) == (118, "a ) b", 285, 7)
    assert (row.pagetable_bytes, row.oom_score_adj, row.uid) == (40960, -20, 1000)


def test_a_kill_whose_report_was_swallowed_stands_alone() -> None:
    lines = TABLE.splitlines()
    ooms = parse_ooms([*lines, lines[-1].replace("119", "200")])
    assert [(oom.victim, len(oom.rows)) for oom in ooms] == [(118, 1), (200, 0)]


def test_members_of_a_group_die_of_one_choice() -> None:
    lines = TABLE.splitlines()
    together = "[   14.6] Tasks in /g are going to be killed due to memory.oom.group set"
    ooms = parse_ooms([*lines, together, lines[-1].replace("119", "200")])
    assert [oom.killed for oom in ooms] == [(119, 200)]


def test_a_run_that_found_nobody_is_no_choice() -> None:
    assert parse_ooms(TABLE.splitlines()[:5]) == []


def test_nodes_are_read() -> None:
    assert parse_nodes("0-1,4") == {0, 1, 4}
    assert parse_nodes("1") == {1}
    assert parse_nodes("") == set()


def test_the_newest_kernel_of_each_series_is_taken() -> None:
    names = [
        "linux-image-6.1.0-9-cloud-amd64",
        "linux-image-6.1.0-50-cloud-amd64",
        "linux-image-6.1.0-50-amd64",
        "linux-image-6.1.0-50-cloud-amd64-dbg",
        "linux-image-6.12.4-cloud-amd64",
        "linux-image-7.2.12+deb14-cloud-amd64",
        "linux-binary-7.2.12+deb14-cloud-amd64",
    ]
    found = {kernel.series: kernel.package for kernel in newest_of_each("trixie", names)}
    assert found == {
        "6.1": "linux-image-6.1.0-50-cloud-amd64",
        "6.12": "linux-image-6.12.4-cloud-amd64",
        "7.2": "linux-binary-7.2.12+deb14-cloud-amd64",
    }


def test_only_older_kernels_boot_with_cgroup_v1() -> None:
    assert boot_names(Kernel("6.1", "bookworm", "")) == ["6.1", "6.1-v1"]
    assert boot_names(Kernel("6.12", "trixie", "")) == ["6.12"]


def test_a_record_cut_by_a_crash_is_left_out() -> None:
    data = b'snapshot {"a": 1}\n\n\nevent {"b": 2}\nevent {"c": \0\0\0'
    assert list(parse_records(data)) == [("snapshot", {"a": 1}), ("event", {"b": 2})]


def test_the_last_scene_begun_is_found() -> None:
    assert last_scene("lab: scene 3 memcg\n[ 1.0] x\nlab: scene 12 cpuset\n[ 2.0] BUG") == 12
    assert last_scene("[ 1.0] BUG") == -1


@pytest.mark.parametrize("path", BOOTS, ids=lambda path: path.name.removesuffix(".json.xz"))
def test_a_recorded_boot_agrees(path: Path) -> None:
    recorded = json.loads(lzma.decompress(path.read_bytes()))
    tally = judge_boot(recorded["plan"], recorded["records"])
    assert tally.faults == []
    assert tally.kills == tally.agreed + sum(tally.reasons.values()) > 20
    assert set(tally.orders) == {"as foretold"}


@pytest.mark.parametrize("path", BOOTS, ids=lambda path: path.name.removesuffix(".json.xz"))
def test_what_was_said_of_filled_cgroups_came_true(path: Path) -> None:
    """Whose limit, who dies one after the other, what that gives back, and a promise kept."""
    recorded = json.loads(lzma.decompress(path.read_bytes()))
    tally = judge_boot(recorded["plan"], recorded["records"])
    assert {"cascade", "shield"} <= {scene["kind"] for scene in recorded["plan"]["scenes"]}
    assert tally.cascades["scenes"] == tally.cascades["scenes as said"] == 2
    assert tally.cascades["scenes of 3 or more kills in a row"] >= 1
    assert set(tally.promises) <= {"kept", "impossible", "on one memory map, of which it warned"}
    assert tally.promises.total() >= 1


@pytest.mark.parametrize(
    ("what", "says"), [("limits", "said to run out first"), ("settings", "said [")]
)
def test_the_judge_of_filled_cgroups_sees_what_is_wrong(what: str, says: str) -> None:
    (path,) = (path for path in BOOTS if path.name.startswith("7.2"))
    recorded = json.loads(lzma.decompress(path.read_bytes()))
    snapshots = [body for kind, body in recorded["records"] if kind == "snapshot"]
    for body in snapshots:
        for memcg in body["memcgs"] if what == "limits" else ():
            memcg["limit_pages"] = 1 << 40  # so no cgroup is said to run out first
        for task in body["tasks"] if what == "settings" else ():
            task["oom_score_adj"] = -task.get("oom_score_adj", 0)
    faults = judge_boot(recorded["plan"], recorded["records"]).faults
    assert any(says in fault for fault in faults)


def late_scene() -> dict[str, Any]:
    """A scene on 6.1 in which one report is lost, and one process grew by 8 pages in swap."""
    return cast("dict[str, Any]", json.loads(lzma.decompress(LATE.read_bytes())))


def test_after_a_kill_without_a_report_the_rest_is_judged() -> None:
    recorded = late_scene()
    tally = judge_boot(recorded["plan"], recorded["records"])
    assert tally.faults == []
    assert tally.cascades["kills without a report"] == 1
    assert tally.cascades["kills as said"] == 5
    assert tally.cascades["scenes to the end: nobody left, as said"] == 1


def test_growth_that_shows_in_swap_is_a_reason_only_if_the_table_shows_it() -> None:
    recorded = late_scene()
    said = "kills by pages that a thread had not booked before they were swapped"
    assert judge_boot(recorded["plan"], recorded["records"]).cascades[said] == 1
    (body,) = (body for kind, body in recorded["records"] if kind == "event")
    before = list(body["log"])
    for swapped in ("65", "265"):  # none is late; more than a thread keeps back
        body["log"] = [re.sub(r"(   36864 +)73( +8 p7.0)", rf"\g<1>{swapped}\2", o) for o in before]
        assert body["log"] != before
        faults = judge_boot(recorded["plan"], recorded["records"]).faults
        assert any("kill 1 in /t: said [147], was 140" in fault for fault in faults)


@pytest.mark.parametrize("path", BOOTS[:1], ids=lambda path: path.name.removesuffix(".json.xz"))
def test_the_judge_sees_what_is_wrong(path: Path) -> None:
    recorded = json.loads(lzma.decompress(path.read_bytes()))
    events = [body for kind, body in recorded["records"] if kind == "event"]
    spared = copy.deepcopy(recorded)
    for kind, body in spared["records"]:
        if kind == "event":
            body["gone"] = body["gone"][1:]
        elif kind == "snapshot":
            for task in body["tasks"]:
                task["kernel_oom_score"] = task.get("kernel_oom_score", 0) + 1
    tally = judge_boot(spared["plan"], spared["records"])
    assert tally.scores["differs"] > 0
    assert sum("foretold dead" in fault for fault in tally.faults) >= len(events)
    assert any(line.startswith("replay: ") for line in report_lines([tally], 1, 60.0))


def promise(*gone: list[int], refused: list[str] | None = None) -> Promise:
    body = {"scene": 3, "protected": [1, 2], "sacrificed": [7, 8], "changes": [[7, 0, 9]]}
    made = Promise({**body, "impossible": [], "refused": refused or []})
    for pids in gone:
        made.see(pids)
    return made


def test_a_promise_is_kept_while_the_sacrificed_die_first() -> None:
    assert promise([7], [5], [8], [1]).outcome == "kept"
    assert not promise([7, 8], [2]).faults


def test_a_promise_is_broken_by_an_early_death() -> None:
    broken = promise([7], [1], [8])
    assert broken.outcome == "broken"
    assert "protected [1] died before [8]" in broken.faults[0]
    assert promise(refused=["no"]).faults == ["scene 3: refused: no"]


@pytest.mark.parametrize(("cautions", "faults"), [(["1 (a) and 7 (b) look alike: x"], 0), ([], 1)])
def test_a_promise_of_two_on_one_memory_map_must_have_warned(
    cautions: list[str], faults: int
) -> None:
    body = {"scene": 3, "protected": [1], "sacrificed": [7], "changes": [], "impossible": [],
            "refused": [], "cautions": cautions}  # fmt: skip
    made = Promise(body)
    made.note_one_map({1, 9})
    assert made.outcome == "kept"
    made.note_one_map({1, 7})
    made.see([1, 7])
    assert made.outcome == "on one memory map, of which it warned"
    assert len(made.faults) == faults
