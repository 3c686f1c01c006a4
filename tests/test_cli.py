"""The commands as a user runs them: exit codes, formats, schemas, wrong input."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import pwd
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import pytest
from conftest import make_snapshot, make_task
from holders import holder

import oomlab
from oomlab.cli.app import COMMANDS
from oomlab.cli.early import is_plain_rank
from oomlab.readers import procfs

FIXTURES = Path(__file__).parent.parent / "fixtures"

Run = Callable[..., tuple[int, str, str]]
PROGRAM = [sys.executable, "-m", "oomlab"]
RANK_KEYS = [
    "rank",
    "pid",
    "comm",
    "user",
    "oom_score_adj",
    "rss_bytes",
    "swap_bytes",
    "pagetable_bytes",
    "badness",
    "oom_score",
    "oom_score_low",
    "oom_score_high",
    "kernel_oom_score",
    "killable",
    "why_not",
]


@pytest.fixture
def saved(tmp_path: Path) -> str:
    tasks = [
        make_task(1, 300, comm="init"),
        make_task(812, 50_000, comm="postgres", kernel_oom_score=683, cmdline=("postgres", "-D")),
        make_task(900, 80_000, adj=-300, comm="java", user="app", euid=5),
        make_task(901, 40_000, comm="worker", ppid=900),
        make_task(902, 39_000, comm="worker", ppid=900, adj=-1000),
    ]
    path = tmp_path / "snapshot.json"
    oomlab.save_snapshot(make_snapshot(*tasks), path)
    return str(path)


def test_rank_answers_in_its_first_line(run_cli: Run, saved: str) -> None:
    status, out, err = run_cli("rank", "--from", saved)
    assert (status, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == "If memory ran out now, the kernel would kill 812 (postgres)."
    assert "Linux 6.18.44" in lines[1]
    assert "totalpages 2000000" in lines[1]
    assert [line.split()[1] for line in lines[4:]] == ["812", "901", "900"]


def test_all_shows_who_can_not_be_killed_and_why(run_cli: Run, saved: str) -> None:
    _, out, _ = run_cli("rank", "--from", saved, "--all")
    assert re.search(r"902 .*oom_score_adj -1000", out)
    assert re.search(r"  1 .*init", out)


def test_the_json_of_rank_is_as_documented(run_cli: Run, saved: str) -> None:
    _, out, _ = run_cli("rank", "--from", saved, "--format", "json", "--all")
    document = json.loads(out)
    assert document["schema"] == "oomlab.rank/1"
    assert document["kernel"]["release"] == "6.18.44"
    assert document["kernel"]["era"] == "signed"
    assert {k: document["scope"][k] for k in ("constraint", "totalpages", "page_size")} == {
        "constraint": "CONSTRAINT_NONE",
        "totalpages": 2_000_000,
        "page_size": 4096,
    }
    assert document["gaps"] == []
    first = document["tasks"][0]
    assert set(RANK_KEYS) <= set(first)
    assert {key: first[key] for key in RANK_KEYS} == {
        "rank": 1,
        "pid": 812,
        "comm": "postgres",
        "user": "root",
        "oom_score_adj": 0,
        "rss_bytes": 50_000 * 4096,
        "swap_bytes": 0,
        "pagetable_bytes": 0,
        "badness": 50_000,
        "oom_score": 683,
        "oom_score_low": 683,
        "oom_score_high": 683,
        "kernel_oom_score": 683,
        "killable": True,
        "why_not": None,
    }
    last = document["tasks"][-1]
    assert (last["killable"], last["rank"], last["badness"]) == (False, None, None)


def test_csv_and_markdown(run_cli: Run, saved: str) -> None:
    _, out, _ = run_cli("rank", "--from", saved, "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(out)))
    assert [row["pid"] for row in rows] == ["812", "901", "900"]
    assert rows[0]["rss_bytes"] == str(50_000 * 4096)
    _, out, _ = run_cli("rank", "--from", saved, "--format", "markdown", "--columns", "pid,name")
    assert "| PID |" in re.sub(" +", " ", out)


@pytest.mark.parametrize(
    ("options", "pids"),
    [
        (["-n", "2"], ["812", "901"]),
        (["-n", "0"], []),
        (["--user", "app"], ["900"]),
        (["--user", "5"], ["900"]),
        (["--user", "nobody-here"], []),
        (["--sort", "rss"], ["900", "812", "901"]),
        (["--sort", "-pid"], ["901", "900", "812"]),
        (["--kernel", "5.4"], ["812", "901", "900"]),
    ],
)
def test_selections(run_cli: Run, saved: str, options: list[str], pids: list[str]) -> None:
    status, out, _ = run_cli(
        "rank", "--from", saved, "--format", "csv", "--columns", "pid", *options
    )
    assert status == 0
    assert out.splitlines()[1:] == pids


def test_command_lines_instead_of_names(run_cli: Run, saved: str) -> None:
    _, out, _ = run_cli("rank", "--from", saved, "--cmdline")
    assert "postgres -D" in out
    assert "[worker]" in out, "a name in brackets where there is no command line, as ps has it"


def test_whatif_answers_in_its_first_line(run_cli: Run, saved: str) -> None:
    status, out, _ = run_cli("whatif", "--from", saved, "--pid", "812", "--adj", "-500")
    assert status == 0
    assert out.splitlines()[0] == (
        "The kernel would kill 812 (postgres) now; with these edits, 901 (worker)."
    )
    _, out, _ = run_cli("whatif", "--from", saved, "--pid", "postgres", "--adj", "1")
    assert out.startswith("Nothing changes: the kernel would kill 812 (postgres) now, and still")


def test_whatif_applies_edits_in_the_order_given(run_cli: Run, saved: str) -> None:
    base = ["whatif", "--from", saved, "--format", "json"]
    _, out, _ = run_cli(*base, "--rss", "900=8G", "--grow=900=-7G")
    after = {task["pid"]: task for task in json.loads(out)["after"]["tasks"]}
    assert after[900]["rss_bytes"] == 1 << 30
    _, out, _ = run_cli(*base, "--add", "new=4G,adj=5", "--adj", "new=7", "--ram", "64G")
    document = json.loads(out)
    assert [edit["kind"] for edit in document["edits"]] == ["add", "adj", "ram"]
    assert document["victim_after"]["comm"] == "new"
    assert document["after"]["scope"]["totalpages"] == (64 << 30) // 4096


def test_the_json_of_whatif_is_as_documented(run_cli: Run, saved: str) -> None:
    _, out, _ = run_cli(
        *["whatif", "--from", saved, "--format", "json", "--kill", "812", "--swap-total", "1G"],
        *["--swap", "901=1M", "--kernel", "5.4"],
    )
    document = json.loads(out)
    assert document["schema"] == "oomlab.whatif/1"
    assert document["victim_before"]["pid"] == 812
    assert document["victim_after"]["pid"] == 901
    assert [e["kind"] for e in document["edits"]] == ["kill", "swap_total", "swap", "kernel"]
    for side in ("before", "after"):
        assert set(RANK_KEYS) <= set(document[side]["tasks"][0])
    assert document["after"]["kernel"]["era"] == "pages"


def test_an_edited_name_may_be_ambiguous(run_cli: Run, saved: str) -> None:
    status, out, err = run_cli("whatif", "--from", saved, "--pid", "worker", "--adj", "5")
    assert (status, out) == (2, "")
    assert "901, 902" in err


def test_snapshot_and_from_are_a_pair(run_cli: Run, tmp_path: Path) -> None:
    path = str(tmp_path / "here.json.gz")
    status, out, err = run_cli("snapshot", "-o", path)
    assert (status, out) == (0, "")
    assert "saved" in err
    for command in (["rank"], ["check"], ["whatif", "--pid", "1", "--adj", "0"]):
        assert run_cli(*command, "--from", path)[0] in (0, 1)
    again = str(tmp_path / "again.json")
    assert run_cli("snapshot", "--from", path, "-o", again)[0] == 0
    assert oomlab.load(again) == oomlab.load(path)
    _, out, _ = run_cli("snapshot")
    assert json.loads(out)["schema"] == "oomlab.snapshot/1"


def test_check_agrees_with_this_kernel(run_cli: Run) -> None:
    status, out, _ = run_cli("check")
    assert status == 0, out
    assert re.match(r"\d+ of \d+ processes have exactly the kernel's oom_score; ", out)


def test_check_finds_what_differs(run_cli: Run, saved: str, tmp_path: Path) -> None:
    assert run_cli("check", "--from", saved)[0] == 0
    wrong = oomlab.load(saved)
    task = oomlab.find_task(wrong, 812)._replace(kernel_oom_score=690)
    path = tmp_path / "wrong.json"
    oomlab.save_snapshot(make_snapshot(task), path)
    status, out, _ = run_cli("check", "--from", str(path), "--kernel", "6.18")
    assert status == 1
    assert re.search(r"812 .* 683 .* 690 .*differs", out)
    status, out, _ = run_cli("check", "--from", str(path), "--kernel", "6.18", "--format", "json")
    assert (status, json.loads(out)["counts"]["differs"]) == (1, 1)


BAD_INPUT = [
    ["rank", "--from", "/nonexistent"],
    ["rank", "--from", "/dev/null"],
    ["rank", "--proc", "/nonexistent"],
    ["rank", "--proc", "/tmp"],
    ["rank", "--from", "x", "--proc", "/proc"],
    ["rank", "-n", "many"],
    ["rank", "-n", "-1"],
    ["rank", "--columns", "nope"],
    ["rank", "--sort", "nope"],
    ["rank", "--kernel", "newest"],
    ["rank", "--kernel", "2.4.20"],
    ["rank", "--kernel", "0.0"],
    ["rank", "--format", "yaml"],
    ["rank", "--nope"],
    ["rank", "extra"],
    ["ramk"],
    ["whatif"],
    ["whatif", "--pid", "1"],
    ["whatif", "--adj", "5"],
    ["whatif", "--pid", "4194304", "--adj", "5"],
    ["whatif", "--pid", "no-such-name", "--adj", "5"],
    ["whatif", "--pid", "1", "--adj", "1001"],
    ["whatif", "--pid", "1", "--adj", "-1001"],
    ["whatif", "--pid", "1", "--adj", "1e3"],
    ["whatif", "--rss", "1=lots"],
    ["whatif", "--rss", "1=\u0661G"],
    ["report", "/dev/null", "--since", "yesterday"],
    ["report", "/dev/null", "--until", "2025-13-45"],
    ["whatif", "--rss", "1=1G", "--rss", "1=2G"],
    ["whatif", "--kill", "1", "--rss", "1=2G"],
    ["whatif", "--ram", "0"],
    ["snapshot", "-o", "/nonexistent/x"],
    ["check", "--from", "/nonexistent"],
]


@pytest.mark.parametrize("arguments", BAD_INPUT, ids=" ".join)
def test_bad_input_gets_one_line_and_status_2(run_cli: Run, arguments: list[str]) -> None:
    status, out, err = run_cli(*arguments)
    assert status == 2
    assert out == ""
    assert re.fullmatch(r"oomlab: [^\n]+\n", err)
    assert "Traceback" not in err


def test_hostile_names_in_messages_are_escaped(run_cli: Run, saved: str) -> None:
    _, _, err = run_cli("whatif", "--from", saved, "--pid", "\x1b[31m\n", "--adj", "5")
    assert "\x1b" not in err
    assert err.count("\n") == 1


def test_not_linux(run_cli: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(procfs, "PROC", tmp_path)
    status, _, err = run_cli("rank")
    assert status == 2
    assert "needs Linux" in err


def test_gaps_are_a_line_on_stderr(run_cli: Run, tmp_path: Path) -> None:
    path = tmp_path / "gaps.json"
    gap = oomlab.Gap("status", "Permission denied", (5, 6, 7, 8))
    snapshot = make_snapshot(make_task(2))
    oomlab.save_snapshot(
        oomlab.Snapshot(machine=snapshot.machine, tasks=snapshot.tasks, gaps=(gap,)), path
    )
    status, out, err = run_cli("rank", "--from", str(path))
    assert (status, out != "") == (0, True)
    assert err == "oomlab: not read: status of 4 processes (5, 6, 7, ...): Permission denied\n"


def test_the_list_of_commands_says_what_each_says_of_itself() -> None:
    for name, summary in COMMANDS.items():
        command = getattr(import_module(f"oomlab.cli.{name}"), name)
        assert command.__doc__.splitlines()[0] == summary


def test_help_and_version(run_cli: Run) -> None:
    for arguments in ([], ["--help"], ["-h"]):
        status, out, _ = run_cli(*arguments)
        assert status == 0
        assert "rank" in out
    assert run_cli("--version")[1] == f"oomlab {oomlab.__version__}\n"
    assert run_cli("rank", "--columns", "help")[1].startswith("rank ")
    assert run_cli("whatif", "--columns", "help")[0] == 0


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        ("rank --all --format json", 0),
        ("rank", 0),
        ("watch -i 100ms", 0),
        ("watch -i 100ms --until 'headroom<1'", 1),
    ],
)
def test_a_reader_that_leaves_early_is_no_error(arguments: str, status: int) -> None:
    script = f"{' '.join(PROGRAM)} {arguments} | head -1; echo ${{PIPESTATUS[0]}}"
    found = subprocess.run(["bash", "-c", script], capture_output=True, text=True)
    assert found.stdout.splitlines()[1:] == [str(status)]
    assert found.stderr == ""


def test_closed_streams_are_no_error() -> None:
    command = " ".join(PROGRAM)
    for closed in (">&-", "2>&-", "<&-", "<&- >&- 2>&-"):
        found = subprocess.run(
            ["sh", "-c", f"{command} rank {closed}"], capture_output=True, text=True
        )
        assert (found.returncode, found.stderr) == (0, ""), closed


def test_an_interrupt_at_any_time_of_the_start_leaves_no_traceback() -> None:
    for delay in (0.02, 0.05, 0.1, 0.15, 0.2, 0.3):
        with subprocess.Popen(
            [*PROGRAM, "rank", "--from", "-"],
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            time.sleep(delay)
            process.send_signal(signal.SIGINT)
            _, err = process.communicate()
        # Until Python has found and called our run() the interrupt is its own to tell.
        assert ", in run\n" not in err, (delay, err)


def test_a_full_disk_is_one_line() -> None:
    with Path("/dev/full").open("w") as full:
        found = subprocess.run([*PROGRAM, "rank"], stdout=full, stderr=subprocess.PIPE, text=True)
    assert found.returncode == 2
    assert found.stderr == "oomlab: No space left on device\n"


def test_an_interrupt_leaves_no_traceback() -> None:
    with subprocess.Popen(
        [*PROGRAM, "rank", "--from", "-"],
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        while b"pipe" not in Path(f"/proc/{process.pid}/wchan").read_bytes():
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 130
        assert process.stderr is not None
        assert "Traceback" not in process.stderr.read()


@pytest.mark.parametrize("columns", [80, 140])
def test_on_a_terminal(columns: int) -> None:
    plain, coloured = on_terminal(columns, {"NO_COLOR": "1"}), on_terminal(columns, {})
    assert "\x1b" not in plain
    assert "\x1b[31m" in coloured
    assert max(map(len, plain.splitlines())) <= columns
    assert "\x1b" not in on_terminal(columns, {"TERM": "dumb"})


def on_terminal(columns: int, environment: dict[str, str]) -> str:
    """Run rank on a pseudo-terminal of that width and return what it shows."""
    kept = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "NO_COLOR", "TERM")}
    script = f"stty cols {columns}; exec {' '.join(PROGRAM)} rank -n 5"
    pid, terminal = pty.fork()
    if pid == 0:
        os.execvpe("sh", ["sh", "-c", script], kept | {"TERM": "xterm"} | environment)
    chunks = []
    try:
        while chunk := os.read(terminal, 65536):
            chunks.append(chunk)
    except OSError:
        pass  # the other side has closed
    os.close(terminal)
    assert os.waitpid(pid, 0)[1] == 0
    return b"".join(chunks).decode().replace("\r", "")


def test_all_is_known_in_full_even_where_it_is_cut(run_cli: Run) -> None:
    _, out, _ = run_cli("rank", "--all", "-n", "30", "--format", "csv", "--columns", "pid,name")
    rows = list(csv.DictReader(io.StringIO(out)))
    assert len(rows) == 30
    assert all(row["name"] for row in rows)


def test_the_live_ranking_knows_its_first_tasks_in_full(run_cli: Run) -> None:
    with holder("anon", 50 << 20, 900) as process:
        status, out, err = run_cli("rank", "-n", "1", "--format", "json")
        assert (status, err) == (0, "")
        task = json.loads(out)["tasks"][0]
    assert task["pid"] == process.pid
    assert task["comm"]
    assert task["cmdline"]
    assert task["kernel_oom_score"] == task["oom_score"]
    assert task["user"] is not None


@pytest.mark.parametrize(
    ("arguments", "plain"),
    [
        (["rank"], True),
        (["rank", "-n", "5", "--format", "json", "-c"], True),
        (["rank", "--all"], False),
        (["rank", "--from", "x"], False),
        (["rank", "--kernel", "5.4"], False),
        (["rank", "-n"], False),
        (["rank", "--help"], False),
        (["check"], False),
        ([], False),
    ],
)
def test_only_plain_rankings_begin_early(arguments: list[str], plain: bool) -> None:
    assert is_plain_rank(arguments) is plain


def test_edits_of_a_killed_process_contradict(run_cli: Run, saved: str) -> None:
    for edits in (["--kill", "902", "--grow", "902=+1G"], ["--kill", "902", "--kill", "902"]):
        status, _, err = run_cli("whatif", *edits, "--from", saved)
        assert (status, "both edited and killed" in err) == (2, True), err


def test_a_snapshot_has_no_events_and_that_is_said(run_cli: Run, saved: str) -> None:
    status, _, err = run_cli("rank", "--from", saved, "--event", "1")
    assert status == 2
    assert "--event N is for a kernel log" in err
    assert run_cli("rank", "--from", "")[::2] == (2, "oomlab: --from names no file\n")


def test_a_user_who_is_unknown_is_an_error(run_cli: Callable[..., tuple[int, str, str]]) -> None:
    status, out, err = run_cli("rank", "-u", "no_such_user")
    assert (status, out, err) == (2, "", "oomlab: no user 'no_such_user' on this machine\n")
    assert run_cli("rank", "-u", "no_such_user", "--killer", "earlyoom") == (status, out, err)
    log = str(FIXTURES / "kernel_log" / "6.12.log.xz")
    status, _, err = run_cli("rank", "-u", "root", "--from", log, "--event", "1")
    assert (status, "holds no names of users: give --user a uid" in err) == (2, True)
    # Who is known and runs nothing is no mistake.
    idle = next(u.pw_name for u in pwd.getpwall() if u.pw_name in ("games", "uucp", "news"))
    status, out, err = run_cli("rank", "-u", idle)
    assert (status, f"No task of user '{idle}'" in out) == (0, True)
    assert run_cli("rank", "-u", "4000000000")[0] == 0


@pytest.mark.parametrize(
    "arguments",
    [("explain", "4194305"), ("rank", "--pid", "4194305"), ("whatif", "--kill", "4194305")],
)
def test_a_process_that_does_not_run_is_said_to_be_so(
    arguments: tuple[str, ...], run_cli: Callable[..., tuple[int, str, str]]
) -> None:
    status, out, err = run_cli(*arguments)
    assert (status, out) == (2, "")
    assert err.splitlines()[-1] == "oomlab: no process 4194305 is running"
    example = str(FIXTURES / "example.json")
    status, _, err = run_cli(*arguments, "--from", example)
    assert (status, err.splitlines()[-1]) == (2, "oomlab: no process 4194305 in this snapshot")
