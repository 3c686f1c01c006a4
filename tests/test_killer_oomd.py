"""systemd-oomd's rules: cases worked by hand from its manuals, bounds as properties."""

from __future__ import annotations

import json
import lzma
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from conftest import make_machine, make_snapshot, make_task
from hypothesis import given
from hypothesis import strategies as st

import oomlab
from oomlab.analysis.killers.oomd import rank_oomd
from oomlab.analysis.killers.oomd_limits import pressure_percent, swap_state
from oomlab.memcg import Memcg, Pressure
from oomlab.readers.cgroupfs import _read_xattrs, read_memcgs
from oomlab.readers.saved import parse_snapshot
from oomlab.snapshot import Snapshot
from tests.kernels.oomd import answer_of, judge

Run = Callable[..., tuple[int, str, str]]
NODE = str(Path(__file__).parent.parent / "fixtures/node.json")
SWAP_PAGES = 1_000_000


def memcg(path: str, swap: int | None = 0, usage: int | None = 100, **more: Any) -> Memcg:
    values: dict[str, Any] = {
        "oom_group": False,
        "pagescans": 0,
        "owner_uid": 0,
        "oomd_preference": "none",
    }
    return Memcg(path, 2, swap_usage_pages=swap, usage_pages=usage, **values | more)


def machine(*memcgs: Memcg, tasks: tuple[Any, ...] = (), **changes: Any) -> Snapshot:
    made = make_snapshot(*tasks, swap_pages=SWAP_PAGES, **changes)
    root = Memcg("/", 2, owner_uid=0, oomd_preference="none")
    return replace(made, memcgs=(root, *memcgs))


def swap_order(snapshot: Snapshot, monitored: str = "/") -> list[str]:
    return [one.memcg.path for one in rank_oomd(snapshot, monitored).by_swap]


def test_only_leaves_and_groups_are_candidates() -> None:
    """systemd-oomd.service(8): leaf cgroups and those with memory.oom.group set to 1."""
    big = SWAP_PAGES // 10
    snapshot = machine(
        memcg("/a", 4 * big),
        memcg("/a/leaf", 2 * big),
        memcg("/a/group", 3 * big, oom_group=True),
        memcg("/a/group/leaf", 3 * big),
    )
    assert swap_order(snapshot) == ["/a/group", "/a/leaf"]
    spared = {one.memcg.path: one.swap.why_not for one in rank_oomd(snapshot).spared}
    assert spared == {"/a": "not a leaf", "/a/group/leaf": "not reached"}
    # Only descendants of the monitored one; a group above it is not asked.
    assert swap_order(snapshot, "/a/group") == ["/a/group/leaf"]


def test_a_monitored_unit_without_cgroups_below_is_its_own_candidate() -> None:
    """oomd_insert_cgroup_context() takes the monitored cgroup itself where it is a leaf."""
    leaf = memcg("/a", SWAP_PAGES // 2)
    assert swap_order(machine(leaf), "/a") == ["/a"]
    assert swap_order(machine(leaf, memcg("/a/b", SWAP_PAGES // 3)), "/a") == ["/a/b"]


def test_oom_score_adj_means_nothing_to_it() -> None:
    """A cgroup whose processes the kernel would never choose dies all the same."""
    inside = (("", "/a"),)
    tasks = (
        make_task(9, 5, -1000, cgroups=inside),
        make_task(10, 900, 1000, cgroups=(("", "/b"),)),
    )
    snapshot = machine(memcg("/a", SWAP_PAGES // 2), memcg("/b", SWAP_PAGES // 3), tasks=tasks)
    assert swap_order(snapshot) == ["/a", "/b"]
    assert [score.task.pid for score in oomlab.rank(snapshot).killable] == [10]


def test_swap_takes_the_highest_above_5_percent() -> None:
    """oomd.conf(5): swap usage greater than 5% of total swap, from the highest on."""
    five = SWAP_PAGES * 5 // 100
    snapshot = machine(memcg("/a", five), memcg("/b", five + 1), memcg("/c", 9 * five))
    assert swap_order(snapshot) == ["/c", "/b"]
    (a,) = (one for one in rank_oomd(snapshot).candidates if one.memcg.path == "/a")
    assert a.swap.why_not == "no more than 5% of swap"
    assert a.pressure.why_not is None


def test_avoid_comes_last_and_omit_never() -> None:
    """systemd.resource-control(5), ManagedOOMPreference=."""
    big = SWAP_PAGES // 5
    snapshot = machine(
        memcg("/avoided", 3 * big, oomd_preference="avoid"),
        memcg("/omitted", 2 * big, oomd_preference="omit"),
        memcg("/plain", big),
    )
    assert swap_order(snapshot) == ["/plain", "/avoided"]
    (omitted,) = rank_oomd(snapshot).spared
    assert omitted.pressure.why_not == "ManagedOOMPreference=omit"


def test_a_user_s_wish_counts_below_the_user_s_own_units_only() -> None:
    """The manual's example: for -.slice what UID 1000 owns is not heeded, for user@1000 it is."""
    user = "/user.slice/user-1000.slice/user@1000.service"
    own = {"owner_uid": 1000, "usage": 900}
    snapshot = machine(
        memcg("/user.slice"),
        memcg("/user.slice/user-1000.slice"),
        memcg(user, 0, **own),
        memcg(f"{user}/kept", SWAP_PAGES // 5, oomd_preference="omit", **own),
        memcg(f"{user}/other", SWAP_PAGES // 10, owner_uid=1000, usage=10),
    )
    from_root, from_user = rank_oomd(snapshot), rank_oomd(snapshot, user)
    assert [one.memcg.path for one in from_root.by_pressure] == [f"{user}/kept", f"{user}/other"]
    assert [one.memcg.path for one in from_user.by_pressure] == [f"{user}/other"]
    # Swap heeds what root owns alone, whoever is monitored.
    assert [one.memcg.path for one in from_user.by_swap] == [f"{user}/kept", f"{user}/other"]


def test_pressure_goes_by_reclaim_and_then_by_memory() -> None:
    """From the most reclaim activity to the least; what never reclaimed is ordered by usage."""
    snapshot = machine(
        memcg("/small", usage=10),
        memcg("/large", usage=1000),
        memcg("/busy", usage=20, pagescans=5),
        memcg("/idle", usage=0),
    )
    ranking = rank_oomd(snapshot)
    places = {one.memcg.path: one.pressure.places for one in ranking.by_pressure}
    # /busy comes first if it scanned in the last second; else its 20 pages put it second.
    assert places == {"/large": (1, 2), "/busy": (1, 2), "/small": (3, 3)}
    (idle,) = ranking.spared
    assert idle.pressure.why_not == "neither reclaim nor memory"


def test_a_cgroup_with_others_below_that_have_no_memory_controller_is_no_leaf() -> None:
    below = make_task(9, cgroups=(("", "/a/b"),))
    snapshot = machine(memcg("/a", SWAP_PAGES // 2), tasks=(below,))
    assert swap_order(snapshot) == []


def test_what_is_not_known_leaves_the_order_open() -> None:
    big = SWAP_PAGES // 5
    snapshot = machine(memcg("/a", 2 * big, oomd_preference=None), memcg("/b", big))
    assert [one.swap.places for one in rank_oomd(snapshot).by_swap] == [(1, 2), (1, 2)]
    snapshot = machine(memcg("/a", None), memcg("/b", big))
    assert [one.swap.places for one in rank_oomd(snapshot).by_swap] == [(1, 2), (1, 2)]
    snapshot = machine(
        memcg("/a", 2 * big, oomd_preference="avoid", owner_uid=None), memcg("/b", big)
    )
    assert [one.swap.places for one in rank_oomd(snapshot).by_swap] == [(1, 2), (1, 2)]


@given(
    st.lists(
        st.tuples(
            st.integers(0, 3),  # pages scanned, ever
            st.integers(0, 3),  # of them within the last second (at most all)
            st.integers(0, 3),  # usage
            st.booleans(),  # avoided
            st.booleans(),  # whether the source tells the scans
        ),
        max_size=7,
    )
)
def test_the_true_place_lies_within_the_bounds(
    drawn: list[tuple[int, int, int, bool, bool]],
) -> None:
    """Whatever the growth of pgscan was, systemd-oomd's own order agrees with the places."""
    groups, truth = [], {}
    for number, (scans, recent, usage, avoided, told) in enumerate(drawn):
        path = f"/{number}"
        wish = "avoid" if avoided else "none"
        pagescans = scans if told else None
        groups.append(memcg(path, usage=usage, pagescans=pagescans, oomd_preference=wish))
        if scans or usage:
            truth[path] = (avoided, -min(scans, recent), -usage)
    places = {
        one.memcg.path: one.pressure.places for one in rank_oomd(machine(*groups)).by_pressure
    }
    order = sorted(truth, key=truth.__getitem__)
    for path in order:
        first = [truth[other] for other in order].index(truth[path]) + 1
        last = first + sum(truth[other] == truth[path] for other in order) - 1
        found = places[path]
        assert found is not None
        assert found[0] <= first
        # Those that are idle, which the source does not tell, are listed and may only push back.
        assert last <= found[1]


@pytest.mark.parametrize(
    ("memory_free", "swap_free", "acts"),
    [
        # SwapUsedLimit=90%: more than that of both must be in use.
        (10, 10, False),
        (9, 10, False),
        (10, 9, False),
        (9, 9, True),
        (None, 9, None),
        (50, None, False),
    ],
)
def test_when_it_acts_on_swap(
    memory_free: int | None, swap_free: int | None, acts: bool | None
) -> None:
    made = make_machine(
        ram_pages=100, available_pages=memory_free, swap_pages=100, swap_free_pages=swap_free
    )
    assert swap_state(made).acts is acts


def test_without_swap_it_never_acts_on_it() -> None:
    assert swap_state(make_machine(swap_pages=0, available_pages=1)).acts is False
    snapshot = machine(memcg("/a"))
    bare = replace(snapshot, machine=snapshot.machine._replace(swap_pages=0))
    (one,) = rank_oomd(bare).candidates
    assert one.swap.why_not == "there is no swap"


def test_the_pressure_of_the_root_is_the_machine_s() -> None:
    stalled = Pressure(full_avg10_percent=61.5)
    snapshot = machine(memcg("/a", pressure=Pressure(full_avg10_percent=3.0)), pressure=stalled)
    assert pressure_percent(rank_oomd(snapshot)) == 61.5
    assert pressure_percent(rank_oomd(snapshot, "/a")) == 3.0


def test_what_it_can_not_work_with() -> None:
    plain = make_snapshot(make_task(9))
    with pytest.raises(oomlab.InputError, match="no memory cgroups"):
        rank_oomd(plain)
    with pytest.raises(oomlab.InputError, match="cgroup v2"):
        rank_oomd(replace(plain, memcgs=(Memcg("/", 1),)))
    with pytest.raises(oomlab.InputError, match="'/b'"):
        rank_oomd(machine(memcg("/a")), "/b")


@pytest.mark.parametrize(
    ("avoid", "omit", "preference"),
    [(None, None, "none"), ("1", None, "avoid"), ("yes", "true", "omit"), ("0", "0", "none")],
)
def test_the_attributes_that_systemd_sets_are_read(
    tmp_path: Path, avoid: str | None, omit: str | None, preference: str
) -> None:
    (tmp_path / "cgroup.controllers").write_text("memory\n")
    (tmp_path / "memory.current").write_text("4096\n")
    for name, value in (("avoid", avoid), ("omit", omit)):
        if value is not None:
            try:
                os.setxattr(tmp_path, f"user.oomd_{name}", value.encode())
            except OSError as error:
                pytest.skip(f"no user attributes on this file system: {error}")
    (found,) = read_memcgs(tmp_path).memcgs
    assert (found.oomd_preference, found.owner_uid) == (preference, os.getuid())


def test_attributes_of_a_real_cgroup() -> None:
    """systemd sets them on the directory of a cgroup: the cgroup file system keeps them."""
    mounts = [Path("/sys/fs/cgroup"), Path("/sys/fs/cgroup/unified")]
    mount = next((one for one in mounts if (one / "cgroup.controllers").exists()), None)
    if mount is None:
        pytest.skip("cgroup v2 is not mounted here")
    place = mount / f"oomlab-test-{os.getpid()}"
    try:
        place.mkdir()
    except OSError as error:
        pytest.skip(f"no cgroup can be made here: {error}")
    try:
        assert set(_read_xattrs(place).values()) == {""}
        os.setxattr(place, "user.oomd_omit", b"1")
        assert _read_xattrs(place) == {"user.oomd_avoid": "", "user.oomd_omit": "1"}
    except OSError as error:
        pytest.skip(f"this kernel has no user attributes for cgroups: {error}")
    finally:
        place.rmdir()


def test_two_thousand_cgroups_are_ranked() -> None:
    groups = [memcg(f"/{n}", n, n, pagescans=n % 3) for n in range(2000)]
    snapshot = machine(*groups)
    assert len(rank_oomd(snapshot).by_pressure) == 1999


def test_cgroup_v1_has_no_such_attributes(tmp_path: Path) -> None:
    (tmp_path / "memory.limit_in_bytes").write_text("4096\n")
    (found,) = read_memcgs(tmp_path).memcgs
    assert found.oomd_preference is None


LIVE = Path(__file__).parent.parent / "fixtures/oomd-252.json.xz"


def recorded() -> list[tuple[str, dict[str, Any]]]:
    return [(kind, body) for kind, body in json.loads(lzma.decompress(LIVE.read_bytes()))]


def test_debian_s_own_program_chooses_the_same() -> None:
    """``python -m tests.kernels.oomd`` recorded it in dry-run mode under QEMU."""
    right, faults = judge(recorded())
    assert faults == []
    assert right >= 20
    answers = [answer_of(body["lines"]) for kind, body in recorded() if kind == "oomd"]
    assert sum(len(listed) > 2 for _, listed in answers) > 10
    wishes = {m.oomd_preference for s in snapshots() for m in s.memcgs or ()}
    assert {"none", "avoid", "omit"} <= wishes
    assert any(memcg.oom_group for s in snapshots() for memcg in s.memcgs or ())


def snapshots() -> list[Snapshot]:
    return [parse_snapshot(body) for kind, body in recorded() if kind == "snapshot"]


def test_the_judge_of_the_recording_sees_another_choice() -> None:
    records = recorded()
    for kind, body in records:
        if kind == "snapshot":
            for one in body["memcgs"]:
                one["swap_usage_pages"] = 20_000 - one.get("swap_usage_pages", 0)
    right, faults = judge(records)
    assert len(faults) > right


def test_the_command(run_cli: Run) -> None:
    base = ("rank", "--from", NODE, "--killer", "systemd-oomd")
    status, out, err = run_cli(*base)
    assert (status, err) == (0, "")
    assert "would kill nothing" in out.splitlines()[0]
    assert "postgresql@15-main.service" in out.splitlines()[0]
    assert "594 (Rscript)" in out

    _, out, _ = run_cli(*base, "--all", "--format", "json")
    found = json.loads(out)
    assert (found["schema"], found["killer"]) == ("oomlab.killer/1", "systemd-oomd")
    by_path = {one["cgroup"]: one for one in found["candidates"]}
    assert by_path["/system.slice"]["pressure_why_not"] == "not a leaf"
    assert by_path["/system.slice/ssh.service"]["preference"] == "avoid"
    assert len(by_path) == len(oomlab.load(NODE).memcgs or ()) - 1

    _, out, _ = run_cli(*base, "--cgroup", "user.slice", "--columns", "name,tasks")
    assert "as if /user.slice were monitored" in out
    assert [line.split()[-1] for line in out.splitlines()[-2:]] == ["3", "1"]
    _, out, _ = run_cli(*base, "--sort", "usage", "-n", "1", "--columns", "name,usage")
    assert out.splitlines()[-1].split() == ["postgresql@15-main.service", "2.9G"]
    for wrong, message in (
        (("--user", "root"), "--user does not go with --killer systemd-oomd"),
        (("--cgroup", "nothing.service"), "nothing.service"),
        (("--columns", "pid"), "no column 'pid'"),
    ):
        status, out, err = run_cli(*base, *wrong)
        assert (status, out) == (2, "")
        assert message in err
