"""earlyoom's rules: cases worked by hand from its manual and changelog, orders as properties."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import make_machine, make_snapshot, make_task
from hypothesis import given
from hypothesis import strategies as st

import oomlab
from oomlab.analysis.killers.earlyoom import rank_earlyoom, whole_characters
from oomlab.analysis.killers.earlyoom_settings import Settings, thresholds
from oomlab.cli.posix_regex import compile_extended
from oomlab.output.killers.earlyoom import heading

Run = Callable[..., tuple[int, str, str]]
GIB_PAGES = (1 << 30) // 4096


def order(tasks: list[Any], **settings: Any) -> list[int]:
    ranking = rank_earlyoom(make_snapshot(*tasks), Settings(**settings))
    return [one.task.pid for one in ranking.first()]


def spared(tasks: list[Any], **settings: Any) -> dict[int, str | None]:
    ranking = rank_earlyoom(make_snapshot(*tasks), Settings(**settings))
    return {one.task.pid: one.why_not for one in ranking.spared}


def named(name: str) -> Callable[[str], bool]:
    return lambda comm: comm == name


def test_the_largest_oom_score_dies_and_rss_decides_among_equals() -> None:
    tasks = [
        make_task(10, 900, kernel_oom_score=667),
        make_task(11, 500, kernel_oom_score=700),
        make_task(12, 800, kernel_oom_score=700),
        make_task(13, 800, kernel_oom_score=700),
    ]
    # 12 and 13 are equal in both: /proc lists 12 first and only a larger one replaces it.
    assert order(tasks) == [12, 13, 11, 10]


def test_prefer_adds_and_avoid_takes_300() -> None:
    """earlyoom(1): --prefer adds 300 to oom_score, --avoid subtracts 300."""
    tasks = [
        make_task(10, kernel_oom_score=690, comm="db"),
        make_task(11, kernel_oom_score=670, comm="batch"),
        make_task(12, kernel_oom_score=969, comm="shell"),
    ]
    assert order(tasks) == [12, 10, 11]
    assert order(tasks, prefer=named("batch")) == [11, 12, 10]
    assert order(tasks, prefer=named("batch"), avoid=named("shell")) == [11, 10, 12]
    both = rank_earlyoom(
        make_snapshot(*tasks), Settings(prefer=named("db"), avoid=named("db"))
    ).first()
    assert [one.points_low for one in both if one.task.comm == "db"] == [690]


def test_a_preferred_process_gets_300_at_least_whatever_its_adj() -> None:
    """BUGS in earlyoom(1): negative values of --prefer's processes don't count (issue 159)."""
    tasks = [
        make_task(10, kernel_oom_score=0, adj=-999, comm="low"),
        make_task(11, kernel_oom_score=299, comm="idle"),
    ]
    assert order(tasks, prefer=named("low"))[0] == 10


def test_who_is_passed_over() -> None:
    tasks = [
        make_task(1, kernel_oom_score=900),
        make_task(2, kernel_oom_score=0, kernel_thread=True, has_mm=False),
        make_task(20, kernel_oom_score=0, adj=-1000),
        make_task(21, kernel_oom_score=700, comm="ssh"),
        make_task(22, kernel_oom_score=700, ppid=2),
    ]
    assert spared(tasks, ignore=named("ssh")) == {
        1: "init",
        2: "kernel thread",
        20: "oom_score_adj -1000",
        21: "--ignore",
        22: "kernel thread, as earlyoom takes it",
    }
    assert spared(tasks, release="1.7") == {
        1: "init",
        2: "kernel thread",
        20: "oom_score_adj -1000",
    }
    assert spared(tasks, release="1.6") == {1: "init", 2: "kernel thread"}


def test_releases_take_their_rules_from_the_changelog() -> None:
    assert Settings(release="1.6").rules.spares_unkillable is False
    assert Settings(release="1.6.1").rules.spares_unkillable
    assert Settings(release="1.6.1").rules.spares_itself is False
    assert Settings(release="v1.7-1+b1").rules.release == "1.6.2"
    assert Settings(release="1.10").rules.release == "1.8"
    for wrong in ("1.5", "x", "2", ""):
        with pytest.raises(oomlab.InputError):
            assert Settings(release=wrong).rules
    for option in ({"ignore": named("x")}, {"sort_by_rss": True}):
        with pytest.raises(oomlab.InputError, match=r"1\.8"):
            Settings(release="1.7", **option)


def test_a_zombie_main_thread_hides_a_process_before_1_8() -> None:
    """Changelog of 1.8: not confused any more by processes with a zombie main thread."""
    tasks = [
        make_task(10, 500_000, state="Z", kernel_oom_score=800),
        make_task(11, 10, kernel_oom_score=667),
    ]
    assert order(tasks, release="1.7") == [11]
    assert spared(tasks, release="1.7") == {10: "no RSS"}
    assert order(tasks) == [10, 11]
    assert order(tasks, sort_by_rss=True) == [10, 11]  # its oom_score decides that pair


def test_negative_points_are_out_of_reach_before_1_8() -> None:
    """The search began at 0 points; since 1.8 it begins below any that there are."""
    tasks = [
        make_task(10, kernel_oom_score=100, comm="db"),
        make_task(11, kernel_oom_score=0, comm="idle", rss_pages=1),
    ]
    avoid = named("db")
    assert order(tasks, avoid=avoid, release="1.7") == [11]
    assert spared(tasks, avoid=avoid, release="1.7") == {10: "points below 0"}
    assert order(tasks, avoid=avoid) == [11, 10]


def test_by_rss_the_patterns_are_worth_3_gib() -> None:
    tasks = [
        make_task(10, 5 * GIB_PAGES, kernel_oom_score=600, comm="db"),
        make_task(11, 3 * GIB_PAGES, kernel_oom_score=700, comm="web"),
        make_task(12, GIB_PAGES, kernel_oom_score=800, comm="batch"),
    ]
    assert order(tasks, sort_by_rss=True) == [10, 11, 12]
    assert order(tasks, sort_by_rss=True, prefer=named("batch")) == [10, 12, 11]
    assert order(tasks, sort_by_rss=True, avoid=named("db")) == [11, 10, 12]


def test_by_rss_what_avoid_puts_below_0_is_compared_by_oom_score() -> None:
    """Worked by the comparison of 1.8: without two positive RSS the scores decide the pair.

    10 is avoided and stands at 1 - 3 GiB, so its 900 points beat each of the others in turn.
    """
    tasks = [
        make_task(10, GIB_PAGES, kernel_oom_score=900, comm="db"),
        make_task(11, 2 * GIB_PAGES, kernel_oom_score=700, comm="web"),
    ]
    assert order(tasks, sort_by_rss=True, avoid=named("db")) == [10, 11]


@given(
    st.lists(
        st.tuples(st.integers(0, 2000), st.integers(1, 10**6)), min_size=1, max_size=20, unique=True
    ),
    st.booleans(),
)
def test_one_scan_finds_the_first_of_the_order(
    numbers: list[tuple[int, int]], by_rss: bool
) -> None:
    """The order is what a scan that keeps the larger would choose, again and again."""
    tasks = [
        make_task(pid, rss, kernel_oom_score=score) for pid, (score, rss) in enumerate(numbers, 100)
    ]
    expected, left = [], list(tasks)
    while left:
        best = left[0]
        for task in left[1:]:
            pair = (task.rss_pages, task.kernel_oom_score), (best.rss_pages, best.kernel_oom_score)
            one, other = pair if by_rss else (pair[0][::-1], pair[1][::-1])
            best = task if one > other else best  # type: ignore[operator]
        expected.append(best.pid)
        left.remove(best)
    assert order(tasks, sort_by_rss=by_rss) == expected


def test_scores_that_are_ranges_give_places_that_are_ranges() -> None:
    """Without a printed oom_score the modelled one counts, which may be a range."""
    # A report's table may lack a column: up to 20,000 pages more may count.
    tasks = [
        make_task(10, 300_000, hidden_pages=20_000, pagetable_bytes=None),
        make_task(11, 299_500, hidden_pages=20_000, pagetable_bytes=None),
        make_task(12, 10),
    ]
    ranking = rank_earlyoom(make_snapshot(*tasks))
    assert not ranking.is_exact
    places = [ranking.places(one, n) for n, one in enumerate(ranking.first(), 1)]
    assert places == [(1, 2), (1, 2), (3, 3)]
    assert heading(ranking)[0] == (
        "If memory and swap ran low, earlyoom would kill one of 10 (task10), 11 (task11): "
        "the scores are ranges."
    )


def test_the_kernel_s_own_number_counts_unless_other_rules_are_asked_for() -> None:
    tasks = [make_task(10, 1000, kernel_oom_score=999), make_task(11, 500_000, kernel_oom_score=5)]
    snapshot = make_snapshot(*tasks)
    assert rank_earlyoom(snapshot).first()[0].task.pid == 10
    assert rank_earlyoom(snapshot, kernel="6.1").first()[0].task.pid == 11


@pytest.mark.parametrize(
    ("machine", "release", "action"),
    [
        # MemAvailable 10% of MemTotal, no swap: at the limit is enough.
        ({"available_pages": 200_000, "anon_pages": 1_000_000}, "1.7", "SIGTERM"),
        # 200,000 of 1,200,000 that processes can use are 16.7%: 1.8 waits.
        ({"available_pages": 200_000, "anon_pages": 1_000_000}, "1.8", "nothing"),
        ({"available_pages": 100_000, "anon_pages": 1_900_000}, "1.8", "SIGKILL"),
        ({"available_pages": 100_001, "anon_pages": 1_900_000}, "1.7", "SIGTERM"),
        # Much swap is free: earlyoom waits for both.
        (
            {"available_pages": 1, "anon_pages": 1, "swap_pages": 100, "swap_free_pages": 11},
            "1.7",
            "nothing",
        ),
        (
            {"available_pages": 1, "anon_pages": 99, "swap_pages": 100, "swap_free_pages": 5},
            "1.8",
            "SIGKILL",
        ),
        ({"available_pages": 1, "anon_pages": 99, "swap_pages": 100}, "1.8", None),
        # What is known settles it: memory is plentiful, whatever swap is.
        ({"available_pages": 90, "anon_pages": 10, "swap_pages": 100}, "1.8", "nothing"),
        ({"available_pages": 90}, "1.8", None),
    ],
)
def test_when_it_acts(machine: dict[str, int], release: str, action: str | None) -> None:
    made = make_machine(**machine)
    assert thresholds(made, Settings(release=release)).action == action


def test_names_lose_a_character_that_was_cut() -> None:
    for name, whole in (
        ("plain", "plain"),
        ("\u00e4", "\u00e4"),
        ("abc\u00e4", "abc\u00e4"),
        ("abcdefghijklmn\udcc3", "abcdefghijklmn"),
        ("abcdefghijklm\udce2\udc82", "abcdefghijklm"),
        ("abcdefghijkl\udcf0\udc9f\udc98", "abcdefghijkl"),
        ("abcdefghijkl\u20ac", "abcdefghijkl\u20ac"),
    ):
        assert whole_characters(name) == whole


def test_patterns_are_posix_ones() -> None:
    matches = compile_extended("^(foo|bar)$", "--avoid")
    assert [matches(name) for name in ("foo", "bar", "foobar", "")] == [True, True, False, False]
    assert compile_extended("[[:upper:]]\\.[]x]", "--avoid")("aB.]")
    assert compile_extended("^.$", "--avoid")("\udcff")  # the C locale: a byte is a character
    assert not compile_extended("^.$", "--avoid")("\u00e4")
    for wrong in ("(", "[a", "a\0b"):
        with pytest.raises(oomlab.InputError, match="--avoid"):
            compile_extended(wrong, "--avoid")


@pytest.fixture
def saved(tmp_path: Path) -> str:
    tasks = [
        make_task(1, 300, comm="init", kernel_oom_score=0),
        make_task(812, 50_000, comm="postgres", kernel_oom_score=683),
        make_task(900, 80_000, adj=-300, comm="ja\x1bva", kernel_oom_score=493, user="app"),
        make_task(901, 40_000, comm="worker", kernel_oom_score=680),
    ]
    path = tmp_path / "snapshot.json"
    oomlab.save_snapshot(make_snapshot(*tasks), path)
    return str(path)


def test_the_command(run_cli: Run, saved: str) -> None:
    base = ("rank", "--from", saved, "--killer")
    status, out, err = run_cli(*base, "earlyoom", "--avoid", "^post")
    assert (status, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == "If memory and swap ran low, earlyoom would kill 901 (worker)."
    assert lines[2] == "The kernel itself would kill 812 (postgres)."
    assert "1.8 and newer" in lines[3]
    assert [line.split()[1] for line in lines[6:]] == ["901", "900", "812"]
    assert "\x1b" not in out

    _, out, _ = run_cli(*base, "earlyoom:1.7", "--all", "--format", "json")
    found = json.loads(out)
    assert found["schema"] == "oomlab.killer/1"
    assert (found["victim"], found["rules_of"]) == (812, "1.7")
    assert [one["why_not"] for one in found["candidates"]] == [None, None, None, "init"]

    _, out, _ = run_cli(*base, "earlyoom", "--user", "app", "--columns", "pid,points")
    assert out.splitlines()[-1].split() == ["900", "493"]
    _, out, _ = run_cli(*base, "earlyoom", "--sort", "rss", "-n", "1", "--format", "csv")
    assert out.splitlines()[1].split(",")[1] == "900"
    assert run_cli(*base, "kernel") == run_cli("rank", "--from", saved)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--killer", "lmkd"), "no killer 'lmkd'; there are: kernel, earlyoom"),
        (("--prefer", "x"), "--prefer goes with --killer earlyoom"),
        (("--killer", "earlyoom", "--pods", "x"), "--pods goes with --killer kubelet"),
        (("--killer", "kubelet", "--ignore", "x"), "--ignore goes with --killer earlyoom"),
        (("--killer", "kernel", "--sort-by-rss"), "--sort-by-rss goes with --killer earlyoom"),
        (("--killer", "earlyoom:0.9"), "before 1.6"),
        (("--killer", "earlyoom:1.7", "--ignore", "x"), "from 1.8 on"),
        (("--killer", "earlyoom", "--prefer", "("), "not a regular expression"),
        (("--killer", "earlyoom", "--sort", "badness"), "no column 'badness'"),
        (("--killer", "earlyoom", "--cgroup", "/"), "--cgroup does not go with --killer earlyoom"),
        (("--killer", "earlyoom", "-c"), "--cmdline does not go with --killer earlyoom"),
        (("--killer", "earlyoom", "-p", "812"), "--pid does not go with --killer earlyoom"),
        (("--killer", "kernel:5"), "takes no release"),
    ],
)
def test_wrong_input_is_a_line(
    run_cli: Run, saved: str, arguments: tuple[str, ...], message: str
) -> None:
    status, out, err = run_cli("rank", "--from", saved, *arguments)
    assert (status, out) == (2, "")
    assert err.startswith("oomlab: ")
    assert message in err
    assert err.count("\n") == 1
