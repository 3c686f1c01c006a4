"""What-if edits of memory cgroups: limits, members, groups, and the scope that is asked about."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from conftest import make_snapshot, make_task
from holders import holder
from live_scopes import MIB as MIB_BYTES
from live_scopes import UnableError, members, tree
from node_fixture import make_node

import oomlab
from oomlab.analysis.selectors import find_memcg
from oomlab.analysis.whatif_cgroups import (
    move,
    over_limit_bytes,
    set_limit,
    set_oom_group,
    set_swap_limit,
)
from oomlab.memcg import UNLIMITED_PAGES, Memcg
from oomlab.snapshot import Snapshot

Run = Callable[..., tuple[int, str, str]]
FROM = ("--from", "fixtures/node.json")
NODE = make_node()
WORKER = find_memcg(NODE, "worker")


def memcg_of(snapshot: Snapshot, path: str) -> Memcg:
    return next(memcg for memcg in snapshot.memcgs or () if memcg.path == path)


def on_v1(**files: Any) -> Snapshot:
    task = make_task(9, cgroups=(("memory", "/a"),))
    values: dict[str, Any] = {"limit_pages": 1000, "memsw_limit_pages": 1300} | files
    memcgs = (Memcg("/", 1, limit_pages=UNLIMITED_PAGES), Memcg("/a", 1, **values))
    return replace(make_snapshot(task, swap_pages=5000), memcgs=memcgs)


def test_a_limit_in_whole_pages_and_none() -> None:
    assert memcg_of(set_limit(NODE, path=WORKER, limit_bytes=8195), WORKER).limit_pages == 2
    none = set_limit(NODE, path=WORKER, limit_bytes=None)
    assert memcg_of(none, WORKER).limit_pages == UNLIMITED_PAGES
    used = memcg_of(NODE, WORKER).usage_pages or 0
    assert (
        over_limit_bytes(set_limit(NODE, path=WORKER, limit_bytes=4096), WORKER)
        == (used - 1) * 4096
    )
    assert over_limit_bytes(none, WORKER) == 0


def test_the_swap_that_it_may_use_stays_when_the_limit_moves() -> None:
    after = memcg_of(set_limit(on_v1(), path="/a", limit_bytes=400 * 4096), "/a")
    assert (after.limit_pages, after.memsw_limit_pages) == (400, 700)
    unlimited = memcg_of(set_limit(on_v1(), path="/a", limit_bytes=None), "/a")
    assert unlimited.memsw_limit_pages == UNLIMITED_PAGES
    v2 = memcg_of(set_limit(NODE, path=WORKER, limit_bytes=1 << 20), WORKER)
    assert v2.swap_limit_pages == memcg_of(NODE, WORKER).swap_limit_pages


def test_swap_on_top_of_the_limit() -> None:
    for snapshot, path in ((NODE, WORKER), (on_v1(), "/a")):
        after = set_swap_limit(snapshot, path=path, swap_bytes=100 * 4096)
        limit = memcg_of(after, path).limit_pages
        assert oomlab.rank(after, memcg=path).scope.totalpages == (limit or 0) + 100
    none = memcg_of(set_swap_limit(on_v1(), path="/a", swap_bytes=None), "/a")
    assert none.memsw_limit_pages == UNLIMITED_PAGES


@pytest.mark.parametrize(
    ("edit", "says"),
    [
        (lambda: set_limit(NODE, path="/nope", limit_bytes=1), "no memory cgroup '/nope'"),
        (lambda: set_limit(NODE, path="/", limit_bytes=1), "root cgroup can't be limited"),
        (lambda: set_limit(NODE, path=WORKER, limit_bytes=-1), "is none that a machine"),
        (lambda: set_limit(NODE, path=WORKER, limit_bytes=1 << 70), "is none that a machine"),
        (lambda: set_oom_group(on_v1(), path="/a", on=True), "is of cgroup v2"),
        (
            lambda: set_swap_limit(on_v1(memsw_limit_pages=None), path="/a", swap_bytes=0),
            "does not account swap",
        ),
        (
            lambda: set_swap_limit(on_v1(limit_pages=UNLIMITED_PAGES), path="/a", swap_bytes=0),
            "give --limit first",
        ),
        (lambda: move(make_snapshot(make_task(1)), pid=1, path="/a"), "no memory cgroup"),
        (
            lambda: move(replace(on_v1(), tasks=(make_task(5),)), pid=5, path="/a"),
            "is unknown, so it can't be moved",
        ),
    ],
)
def test_edits_that_can_not_be(edit: Callable[[], Snapshot], says: str) -> None:
    with pytest.raises(oomlab.InputError, match=says):
        edit()


def test_who_moves_is_a_candidate_there_and_the_last_of_its_members() -> None:
    java = next(task for task in NODE.tasks if task.comm == "java")
    after = move(NODE, pid=java.pid, path=WORKER)
    assert (memcg_of(after, WORKER).pids or ())[-1] == java.pid
    assert java.pid not in (memcg_of(after, java.cgroup_path("") or "").pids or ())
    assert java.pid in {score.task.pid for score in oomlab.rank(after, memcg=WORKER)}
    assert memcg_of(after, WORKER).usage_pages == memcg_of(NODE, WORKER).usage_pages


def test_the_edits_foretell_what_the_kernel_then_shows() -> None:
    """Limit, and move, for real: the edited snapshot ranks as the machine does afterwards."""
    try:
        with tree(["a", "b"]) as made, ExitStack() as stack:
            procs = [made.directory(name) / "cgroup.procs" for name in ("a", "a", "b")]
            people = [
                stack.enter_context(holder("anon", size * MIB_BYTES, adj, where))
                for size, adj, where in zip((9, 3, 6), (0, 400, 100), procs, strict=True)
            ]
            before = members(made)
            path, limit = made.path("a"), 80 * MIB_BYTES
            edited = set_limit(before, path=path, limit_bytes=limit)
            edited = move(edited, pid=people[2].pid, path=path)
            made.limit("a", limit)
            procs[0].write_text(str(people[2].pid))
            now, said = (oomlab.rank(s, memcg=path) for s in (members(made), edited))
            assert now.scope.totalpages == said.scope.totalpages
            assert [(s.task.pid, s.badness) for s in now] == [(s.task.pid, s.badness) for s in said]
            assert len(now) == 3
    except UnableError as why:
        pytest.skip(str(why))


# The command.


def test_a_limit_is_judged_in_its_own_scope(run_cli: Run) -> None:
    out = run_cli("whatif", *FROM, "--limit", "worker=512M", "--format", "json")[1]
    document = json.loads(out)
    assert document["edits"] == [
        {"kind": "limit", "pid": None, "comm": None, "path": WORKER, "value": 512 << 20}
    ]
    for when, pages in (("before", 768 * 256), ("after", 512 * 256)):
        assert document[when]["scope"]["memcg"] == WORKER
        assert document[when]["scope"]["totalpages"] == pages


def test_the_edit_says_what_is_above_the_new_limit(run_cli: Run) -> None:
    out = run_cli("whatif", *FROM, "--limit", "worker=512M")[1]
    assert "237M less than it uses" in out
    assert "totalpages: 768M now, 512M then." in out
    assert (
        "totalpages: no limit now, 3.0G then." in run_cli("whatif", *FROM, "--limit", "cache=1G")[1]
    )


def test_groups_moves_and_a_scope_of_ones_own(run_cli: Run) -> None:
    out = run_cli("whatif", *FROM, "--cgroup", "app", "--oom-group", "app=off")[1]
    assert out.startswith(
        "The kernel would kill 545 (java) and with it 1 other (memory.oom.group) now in container "
        "app; with these edits, 545 (java)."
    )
    out = run_cli("whatif", *FROM, "--move", "python3=worker", "--cgroup", "worker")[1]
    assert "with these edits, 433 (python3)." in out


def test_an_edit_is_judged_where_it_matters(run_cli: Run) -> None:
    """Without --cgroup: in the cgroup edited, or the nearest above it that has a limit."""
    out = run_cli("whatif", *FROM, "--move", "python3=worker")[1]
    assert "now in container worker; with these edits, 433 (python3)." in out
    out = run_cli("whatif", *FROM, "--oom-group", "worker=on")[1]
    assert "now in container worker; with these edits, 531 (gunicorn) and with it 4 others" in out
    whole = run_cli("whatif", *FROM, "--move", "python3=/user.slice")[1]
    assert whole.startswith("Nothing changes: ")
    inner = "/kubepods.slice/kubepods-burstable.slice"
    above = run_cli("whatif", *FROM, "--move", f"python3={inner}", "--format", "json")[1]
    assert json.loads(above)["after"]["scope"]["memcg"] == "/kubepods.slice"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--limit", "worker"), "write PATH=512M"),
        (("--limit", "worker=lots"), "is not a size"),
        (("--limit", "nope=1G"), "no memory cgroup, unit or container 'nope'"),
        (("--limit", "worker=1G", "--limit", "worker=2G"), "--limit is given twice"),
        (("--swap-limit", "=1G"), "write PATH=1G"),
        (("--oom-group", "worker=maybe"), "write PATH=on or PATH=off"),
        (("--move", "python3"), "write PID=PATH"),
        (("--move", "nope=worker"), "no process is named 'nope'"),
        (("--cgroup", "nope", "--ram", "8G"), "no memory cgroup"),
    ],
)
def test_bad_input_is_one_line(arguments: tuple[str, ...], says: str, run_cli: Run) -> None:
    status, out, err = run_cli("whatif", *FROM, *arguments)
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert says in err


def test_two_limits_of_two_cgroups_are_two_edits(run_cli: Run) -> None:
    assert run_cli("whatif", *FROM, "--limit", "worker=1G", "--limit", "web=1G")[0] == 0


def test_a_source_without_totals_works_with_ram_and_swap_given(
    run_cli: Run, tmp_path: Path
) -> None:
    path = tmp_path / "s.json"
    snapshot = make_snapshot(make_task(2, 50), make_task(3, 40, 9), ram_pages=None, swap_pages=None)
    oomlab.save_snapshot(snapshot, path)
    status, _, err = run_cli("whatif", "--from", str(path), "--adj", "2=5")
    assert status == 2
    assert "MemTotal" in err
    status, out, err = run_cli(
        "whatif", "--from", str(path), "--ram", "8G", "--swap-total", "0", "--adj", "3=0"
    )
    assert (status, err) == (0, "")
    assert out.startswith("The kernel would kill 3 (task3) now; with these edits, 2 (task2).")
    assert "totalpages" not in out
