"""``oomlab apply`` and ``suggest --apply`` on processes of our own, for real."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import adj_of

MIB = 1 << 20
Run = Callable[..., tuple[int, str, str]]
HOLD = "x = bytearray({size}); print('ready', flush=True); import time; time.sleep(600)"


@pytest.fixture
def pair(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[int, int]]:
    """A large process to protect and a small one to sacrifice."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    large = subprocess.Popen(
        [sys.executable, "-S", "-c", HOLD.format(size=64 * MIB)], stdout=subprocess.PIPE
    )
    assert large.stdout is not None
    small = subprocess.Popen(["sleep", "600"])
    assert large.stdout.readline() == b"ready\n"
    yield large.pid, small.pid
    for process in (large, small):
        process.kill()
        process.communicate()


def wish(pair: tuple[int, int]) -> list[str]:
    return ["suggest", "--protect", str(pair[0]), "--sacrifice", str(pair[1]), "--raise-only"]


def saved(tmp_path: Path) -> Path:
    (path,) = (tmp_path / "state" / "oomlab").iterdir()
    return path


def test_applied_and_undone(pair: tuple[int, int], tmp_path: Path, run_cli: Run) -> None:
    before = adj_of(pair[1])
    status, out, err = run_cli(*wish(pair), "--apply", "--yes")
    assert (status, err) == (0, "")
    assert "1 value written and read back." in out
    assert adj_of(pair[1]) > before
    status, out, _ = run_cli(*wish(pair), "--apply", "--yes")
    assert status == 0
    assert out.startswith("Nothing needs to be set")
    status, out, _ = run_cli("apply", "--undo", str(saved(tmp_path)), "--yes", "--format", "json")
    assert status == 0
    assert json.loads(out)["written"][0]["after"] == before
    assert adj_of(pair[1]) == before


def test_a_saved_suggestion_is_applied(pair: tuple[int, int], tmp_path: Path, run_cli: Run) -> None:
    _, out, _ = run_cli(*wish(pair), "--format", "json")
    wanted = json.loads(out)["changes"][0]["after"]
    path = tmp_path / "suggestion.json"
    path.write_text(out)
    undo = tmp_path / "undo.json"
    status, _, _ = run_cli("apply", str(path), "--yes", "--undo-file", str(undo))
    assert status == 0
    assert adj_of(pair[1]) == wanted
    assert json.loads(undo.read_text())["changes"][0]["after"] == wanted
    status, out, err = run_cli("apply", str(path), "--yes")
    assert (status, out) == (2, "")
    assert "set since; nothing was written" in err


def test_a_recycled_pid_is_reported_and_not_touched(
    pair: tuple[int, int], tmp_path: Path, run_cli: Run
) -> None:
    before = adj_of(pair[1])
    _, out, _ = run_cli(*wish(pair), "--format", "json")
    document = json.loads(out)
    document["changes"][0]["start_ticks"] -= 1
    path = tmp_path / "suggestion.json"
    path.write_text(json.dumps(document))
    status, out, _ = run_cli("apply", str(path), "--yes")
    assert status == 1
    assert out.startswith("0 of 1 value written")
    assert "--undo" not in out
    assert "another process's by now" in out
    assert adj_of(pair[1]) == before


def test_half_way_failure_says_what_was_done_and_what_not(
    pair: tuple[int, int], tmp_path: Path, run_cli: Run
) -> None:
    _, out, _ = run_cli(*wish(pair), "--format", "json")
    document = json.loads(out)
    gone = subprocess.Popen(["sleep", "600"])
    stat = Path(f"/proc/{gone.pid}/stat").read_text()
    extra = {
        "pid": gone.pid,
        "start_ticks": int(stat.rpartition(")")[2].split()[19]),
        "comm": "sl\x1bp",
        "before": adj_of(gone.pid),
        "after": 1000,
    }
    gone.kill()
    gone.wait()
    document["changes"].insert(0, extra)
    path = tmp_path / "suggestion.json"
    path.write_text(json.dumps(document))
    status, out, _ = run_cli("apply", str(path), "--yes")
    assert status == 1
    assert out.startswith("1 of 2 values written and read back; the rest was not:")
    assert "it has ended" in out
    assert "\x1b" not in out
    assert adj_of(pair[1]) == document["changes"][1]["after"]
    status, out, _ = run_cli("apply", "--undo", str(saved(tmp_path)), "--yes")
    assert status == 0


def test_undo_leaves_alone_what_somebody_else_has_set_since(
    pair: tuple[int, int], tmp_path: Path, run_cli: Run
) -> None:
    run_cli(*wish(pair), "--apply", "--yes")
    Path(f"/proc/{pair[1]}/oom_score_adj").write_text("777")
    status, out, _ = run_cli("apply", "--undo", str(saved(tmp_path)), "--yes")
    assert status == 1
    assert "it was set since" in out
    assert adj_of(pair[1]) == 777


def test_nothing_is_written_unless_the_undo_file_is_saved(
    pair: tuple[int, int], tmp_path: Path, run_cli: Run
) -> None:
    before = adj_of(pair[1])
    there = tmp_path / "there"
    there.write_text("mine")
    status, _, err = run_cli(*wish(pair), "--apply", "--yes", "--undo-file", str(there))
    assert status == 2
    assert "never overwritten" in err
    assert there.read_text() == "mine"
    assert adj_of(pair[1]) == before


@pytest.mark.parametrize(("answer", "status"), [("y\n", 0), ("n\n", 1), ("\n", 1)])
def test_it_asks_before_it_writes(answer: str, status: int, pair: tuple[int, int]) -> None:
    before = adj_of(pair[1])
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "oomlab", *wish(pair), "--apply"],
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        os.write(ours, answer.encode())
        _, err = process.communicate(timeout=60)
    os.close(ours)
    os.close(theirs)
    assert "Write this value to the running processes? [y/N] " in err
    assert process.returncode == status
    assert (adj_of(pair[1]) != before) == (status == 0)


def test_without_anybody_to_ask_nothing_is_written(pair: tuple[int, int], tmp_path: Path) -> None:
    before = adj_of(pair[1])
    done = subprocess.run(
        [sys.executable, "-m", "oomlab", *wish(pair), "--apply"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert "give --yes" in done.stderr
    assert not (tmp_path / "state").exists()
    assert adj_of(pair[1]) == before


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["apply"], "name one file"),
        (["apply", "x", "--undo", "y"], "name one file"),
        (["apply", "/nowhere.json"], "/nowhere.json"),
        (["apply", "/proc/self/status"], "not JSON"),
        (["apply", "--undo", "/nowhere.json"], "/nowhere.json"),
        (["suggest", "--protect", "1", "--from", "x", "--apply"], "--apply writes to this machine"),
        (["suggest", "--protect", "1", "--yes"], "go with --apply"),
        (["suggest", "--protect", "1", "--kernel", "5.4", "--apply"], "own rules"),
    ],
)
def test_bad_input_is_one_line(arguments: list[str], said: str, run_cli: Run) -> None:
    status, out, err = run_cli(*arguments)
    assert (status, out) == (2, "")
    assert said in err
    assert err.count("\n") == 1


def test_a_suggestion_that_is_none_is_not_applied(tmp_path: Path, run_cli: Run) -> None:
    node = str(Path(__file__).parent.parent / "fixtures" / "node.json")
    wanted = ["--protect", "worker", "--cgroup", "worker"]
    _, out, _ = run_cli("suggest", "--from", node, *wanted, "--format", "json")
    path = tmp_path / "suggestion.json"
    path.write_text(out)
    status, _, err = run_cli("apply", str(path))
    assert status == 2
    assert "no setting does it" in err
