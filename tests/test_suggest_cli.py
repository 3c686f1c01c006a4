"""``oomlab suggest`` as a user meets it: on the invented machine of fixtures/node.json."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import make_snapshot, make_task

import oomlab
from oomlab.analysis.suggest import suggest
from oomlab.cli.selection import parse_growth
from oomlab.errors import InputError

NODE = str(Path(__file__).parent.parent / "fixtures" / "node.json")
Run = Callable[..., tuple[int, str, str]]


def test_the_answer_comes_first(run_cli: Run) -> None:
    status, out, err = run_cli(
        "suggest", "--from", NODE, "--protect", "cache", "--sacrifice", "user:alice"
    )
    assert (status, err) == (0, "")
    assert out.startswith(
        "Set 1 value (changes add up to 68): then 538 (redis-server) outlives 440 (systemd), "
        "433 (python3) and 426 (bash).\n"
    )


def test_several_selectors_and_growth(run_cli: Run) -> None:
    wish = ["--protect", "cache,unit:ssh.service", "--protect", "mariadbd"]
    status, out, _ = run_cli(
        "suggest", "--from", NODE, *wish, "--allow-growth", "50%", "--format", "json"
    )
    document = json.loads(out)
    assert status == 0
    assert document["schema"] == "oomlab.suggest/1"
    assert [task["comm"] for task in document["protected"]] == ["sshd", "redis-server", "mariadbd"]
    assert document["growth_percent"] == 50
    assert document["total_change"] == sum(
        abs(change["after"] - change["before"]) for change in document["changes"]
    )
    assert all(change["start_ticks"] for change in document["changes"])


def test_a_user_s_protected_process_is_not_sacrificed_with_the_others(run_cli: Run) -> None:
    wish = ["--protect", "pid:433", "--sacrifice", "user:alice"]
    status, out, _ = run_cli("suggest", "--from", NODE, *wish, "--format", "json")
    assert status == 0
    assert [task["pid"] for task in json.loads(out)["sacrificed"]] == [440, 426]
    status, out, _ = run_cli("suggest", "--from", NODE, "--protect", "426", "--sacrifice", "426")
    assert status == 1
    assert "both protected and sacrificed" in out
    assert "What would do: name each process once only" in out
    assert "cgroup of their own" not in out


def test_those_that_somebody_set_low_are_left_alone_unless_everyone_is_meant(run_cli: Run) -> None:
    def asked(*more: str) -> dict[str, Any]:
        wish = ["--from", NODE, "--protect", "worker", "--format", "json", *more]
        document: dict[str, Any] = json.loads(run_cli("suggest", *wish)[1])
        return document

    default, everyone = asked(), asked("--everyone")
    low = {task["comm"] for task in default["left_alone"]}
    assert {"kubelet", "containerd", "containerd-shim", "dockerd", "mariadbd"} <= low
    assert {change["aim"] for change in default["changes"]} == {"protect"}
    assert everyone["left_alone"] == []
    changed = {change["comm"] for change in everyone["changes"]}
    assert "kubelet" in changed
    assert len(everyone["sacrificed"]) == len(default["sacrificed"]) + len(default["left_alone"])
    # A place among them that is named matters all the same.
    assert "kubelet" in {change["comm"] for change in asked("--sacrifice", "kubelet")["changes"]}
    out = run_cli("suggest", "--from", NODE, "--protect", "worker")[1]
    assert "outlive all 23 others that can be killed but 14 set to -500 or below." in out
    assert "14 that somebody set to -500 or below are left as they are (containerd, " in out


def test_of_a_pod_to_sacrifice_its_sandbox_is_left_as_it_is(run_cli: Run) -> None:
    wish = ["--protect", "prod/ledger-0", "--sacrifice", "batch/report-x2,prod/shop-7f9c"]
    status, out, err = run_cli("suggest", "--from", NODE, *wish)
    assert status == 0
    assert out.startswith("Nothing needs to be set: 573 (pause) and 580 (mariadbd) outlive 4 ")
    assert "2 of those to sacrifice that somebody set to -500 or below" in err
    assert "(pause): name them by PID" in err
    status, out, err = run_cli("suggest", "--from", NODE, *wish[:2], "--sacrifice", "587")
    assert (status, err) == (0, "")
    assert out.startswith("Set ")


def test_where_all_others_are_set_low_that_is_said() -> None:
    snapshot = make_snapshot(make_task(2, 50), make_task(3, 50, -900))
    found = suggest(oomlab.rank(snapshot), [2], leave_below=-500)
    assert found.impossible == (
        "nobody else here can be killed but 1 that somebody set to -500 or below "
        "(--everyone counts them)",
    )


@pytest.mark.parametrize("options", [["--yes"], ["--undo-file", "x"], ["--everyone"], ["--apply"]])
def test_an_option_of_suggestions_without_anybody_to_protect(
    options: list[str], run_cli: Run
) -> None:
    status, out, err = run_cli("suggest", "--from", NODE, *options)
    assert (status, out) == (2, "")
    assert "name whom to protect" in err


def test_everyone_and_some_exclude_each_other(run_cli: Run) -> None:
    wish = ["--protect", "cache", "--sacrifice", "web", "--everyone"]
    status, _, err = run_cli("suggest", "--from", NODE, *wish)
    assert (status, "give one of them" in err) == (2, True)


def test_in_a_cgroup_only_its_own_count(run_cli: Run) -> None:
    status, out, _ = run_cli(
        "suggest", "--from", NODE, "--protect", "531", "--cgroup", "worker", "--format", "json"
    )
    document = json.loads(out)
    assert status == 0
    assert document["scope"]["memcg"].endswith("6e.scope")
    assert len(document["sacrificed"]) == 4


def test_what_can_t_be_done_exits_with_1(run_cli: Run) -> None:
    status, out, _ = run_cli("suggest", "--from", NODE, "--protect", "worker", "--cgroup", "worker")
    assert status == 1
    assert out.startswith("No setting of oom_score_adj does it: nobody else")
    assert "What would do: more memory" in out


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--protect", "nobody-there"], "no process, unit, container, pod or user"),
        (["--protect", "999999"], "no process '999999' here"),
        (["--protect", ""], "empty name"),
        (["--protect", "cache,"], "empty name"),
        (["--protect", "cache", "--allow-growth", "half"], "'half' is no growth"),
        (["--protect", "cache", "--allow-growth", "-5%"], "is no growth"),
        (["--protect", "cache", "--cgroup", "nowhere"], "nowhere"),
        (["--protect", "cache", "--cgroup", "worker"], "is not in container worker"),
        (["--protect", "cache", "--kernel", "2.6.30"], "2.6.36"),
    ],
)
def test_bad_input_is_one_line(options: list[str], said: str, run_cli: Run) -> None:
    status, out, err = run_cli("suggest", "--from", NODE, *options)
    assert (status, out) == (2, "")
    assert said in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(("text", "pages"), [("2G", 524_288), ("0%", 0), ("1", 1), ("50%", 50)])
def test_growth_is_a_share_or_a_size(text: str, pages: int) -> None:
    assert parse_growth(text, 4096).of(100) == pages


def test_growth_is_rounded_up() -> None:
    assert parse_growth("50%", 4096).of(3) == 2


@pytest.mark.parametrize("text", ["%", "x%", "1.5%", "²%", "9999999999%", "-1G"])
def test_what_is_no_growth(text: str) -> None:
    with pytest.raises(InputError):
        parse_growth(text, 4096)


@pytest.mark.parametrize("form", ["csv", "markdown"])
def test_other_formats_list_the_changes(form: str, run_cli: Run) -> None:
    wish = ["--protect", "cache", "--sacrifice", "user:alice"]
    _, out, _ = run_cli("suggest", "--from", NODE, *wish, "--format", form)
    assert "538" in out
    assert "-68" in out
