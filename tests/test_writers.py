"""Writing oom_score_adj: to the very process meant, saved before, read back, refusals explained."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import adj_of
from holders import can_lower_adj

from oomlab.errors import InputError, SourceError
from oomlab.writers import adj, undo
from oomlab.writers.adj import Privilege, ProcessGoneError, RefusedError, Target
from oomlab.writers.changes import look, make

PRIVILEGED, PLAIN = Privilege(True, True), Privilege(False, True)
needs_lowering = pytest.mark.skipif(can_lower_adj(), reason="this process has CAP_SYS_RESOURCE")


def start_ticks(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])


@pytest.fixture
def sleepers() -> Iterator[list[subprocess.Popen[bytes]]]:
    started = [subprocess.Popen(["sleep", "600"]) for _ in range(3)]
    yield started
    for process in started:
        process.kill()
        process.wait()


def target_of(process: subprocess.Popen[bytes], after: int, **changes: int) -> Target:
    values = {"start_ticks": start_ticks(process.pid), "before": adj_of(process.pid)} | changes
    return Target(pid=process.pid, comm="sleep", after=after, **values)


def test_a_value_is_written_and_read_back(sleepers: list[subprocess.Popen[bytes]]) -> None:
    target = target_of(sleepers[0], 321)
    assert [outcome.done for outcome in make([target], adj.own_privilege())] == [True]
    assert adj_of(target.pid) == 321


def test_a_pid_that_is_another_process_s_now_is_not_touched(
    sleepers: list[subprocess.Popen[bytes]],
) -> None:
    before = adj_of(sleepers[0].pid)
    target = target_of(sleepers[0], 500, start_ticks=start_ticks(sleepers[0].pid) - 1)
    (outcome,) = make([target], PRIVILEGED)
    assert outcome.gone
    assert "another process's by now" in outcome.why
    assert adj_of(target.pid) == before


def test_a_process_that_has_ended_is_passed_over(sleepers: list[subprocess.Popen[bytes]]) -> None:
    targets = [target_of(process, 400) for process in sleepers]
    sleepers[1].kill()
    sleepers[1].wait()
    assert [o.done for o in make(targets, PRIVILEGED)] == [True, False, True]


def test_a_process_that_ends_while_it_is_held_is_gone(
    sleepers: list[subprocess.Popen[bytes]],
) -> None:
    """Its directory stays its own: whoever gets the pid next can't be written through it."""
    target = target_of(sleepers[0], 400)
    with adj.held_process(target) as directory:
        sleepers[0].kill()
        sleepers[0].wait()
        with pytest.raises(ProcessGoneError, match="ended"):
            adj.write_adj(directory, target, PRIVILEGED)


def test_a_zombie_is_gone_or_takes_the_value(sleepers: list[subprocess.Popen[bytes]]) -> None:
    target = target_of(sleepers[0], 400)
    os.kill(target.pid, 9)
    (outcome,) = make([target], PRIVILEGED)
    assert outcome.done or outcome.gone


def test_looking_tells_what_was_set_since(sleepers: list[subprocess.Popen[bytes]]) -> None:
    target = target_of(sleepers[0], 400, before=adj_of(sleepers[0].pid) + 1)
    (outcome,) = look([target])
    assert not outcome.done
    assert "set since" in outcome.why


@needs_lowering
def test_a_refusal_stops_before_anything_is_raised(
    sleepers: list[subprocess.Popen[bytes]],
) -> None:
    raised, lowered = target_of(sleepers[0], 700), target_of(sleepers[1], -500)
    outcomes = make([raised, lowered], adj.own_privilege())
    assert [outcome.target.pid for outcome in outcomes] == [lowered.pid, raised.pid]
    assert "CAP_SYS_RESOURCE" in outcomes[0].why
    assert "sure to be taken is 0" in outcomes[0].why or adj_of(lowered.pid) != 0
    assert "not tried" in outcomes[1].why
    assert adj_of(raised.pid) == raised.before


@needs_lowering
def test_what_was_raised_without_the_capability_may_go_back(
    sleepers: list[subprocess.Popen[bytes]],
) -> None:
    """oom_score_adj_min stays what it was: so an undo is always possible."""
    target = target_of(sleepers[0], 700)
    assert make([target], adj.own_privilege())[0].done
    back = target._replace(before=700, after=target.before)
    assert make([back], adj.own_privilege())[0].done
    assert adj_of(target.pid) == target.before


def test_a_user_namespace_is_named_as_the_reason() -> None:
    """Its root has all capabilities there, as in a rootless container, and none that counts."""
    if subprocess.run(["unshare", "--user", "--map-root-user", "true"], check=False).returncode:
        pytest.skip("no user namespace can be made here")
    program = (
        "import os,time; from pathlib import Path; from oomlab.writers import adj;"
        "from oomlab.writers.changes import make; me=Path('/proc/self');"
        "now=int((me / 'oom_score_adj').read_text());"
        "start=int((me / 'stat').read_text().rpartition(')')[2].split()[19]);"
        "up=adj.Target(os.getpid(), start, 'me', now, now+7);"
        "down=up._replace(before=now+7, after=-1000);"
        "print(make([up], adj.own_privilege())[0].done, make([down], adj.own_privilege())[0].why)"
    )
    words = ["unshare", "--user", "--map-root-user", sys.executable, "-c", program]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    now = adj_of(os.getpid())
    assert done.stdout.startswith("True lowering it to -1000 needs CAP_SYS_RESOURCE"), done.stderr
    assert "a user namespace (a rootless container) has no CAP_SYS_RESOURCE" in done.stdout
    assert f"sure to be taken is {now + 7}" in done.stdout


@pytest.mark.skipif(os.geteuid() != 0, reason="becoming another user needs root")
def test_another_user_s_process_is_refused_with_its_owner(
    sleepers: list[subprocess.Popen[bytes]],
) -> None:
    target = target_of(sleepers[0], 300)
    program = (
        "import os,sys; from oomlab.writers import adj; from oomlab.writers.changes import make;"
        "os.setgroups([]); os.setgid(65534); os.setuid(65534);"
        f"print(make([adj.Target(*{tuple(target)!r})], adj.own_privilege())[0].why)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert "belongs to user 0" in done.stdout, done.stderr


@pytest.mark.parametrize(
    ("number", "after", "privilege", "said"),
    [
        (errno.EACCES, -5, PLAIN, "this process lacks CAP_SYS_RESOURCE"),
        (errno.EACCES, -5, Privilege(False, False), "user namespace"),
        (errno.EACCES, 500, PRIVILEGED, "security module"),
        (errno.EPERM, 500, PRIVILEGED, "seccomp"),
        (errno.EINVAL, 500, PRIVILEGED, "no memory"),
    ],
)
def test_a_refusal_names_its_rule(number: int, after: int, privilege: Privilege, said: str) -> None:
    assert said in adj.refusal_text(number, 0, after, privilege)


def test_a_read_only_proc_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    target = Target(os.getpid(), start_ticks(os.getpid()), "me", adj_of(os.getpid()), 1000)
    real = os.open

    def refuse(path: str, flags: int, *args: int, **kwargs: int) -> int:
        if flags & os.O_WRONLY:
            raise OSError(errno.EROFS, "Read-only file system")
        return real(path, flags, *args, **kwargs)

    with adj.held_process(target) as directory:
        monkeypatch.setattr(os, "open", refuse)
        with pytest.raises(RefusedError, match="read-only"):
            adj.write_adj(directory, target, PRIVILEGED)


def test_the_undo_file_turns_the_changes_round(tmp_path: Path) -> None:
    targets = [Target(5, 77, "a\x1b", 0, 300), Target(6, 78, "b", -5, -900)]
    path = tmp_path / "new" / "undo.json"
    undo.save_undo(path, targets)
    assert path.stat().st_mode & 0o777 == 0o600
    assert undo.load_undo(path) == [Target(5, 77, "a\x1b", 300, 0), Target(6, 78, "b", -900, -5)]
    with pytest.raises(SourceError, match="never overwritten"):
        undo.save_undo(path, targets)


def test_an_undo_file_of_another_boot_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "undo.json"
    undo.save_undo(path, [])
    body = json.loads(path.read_text())
    path.write_text(json.dumps(body | {"boot_id": "another"}))
    with pytest.raises(SourceError, match="started anew"):
        undo.load_undo(path)


@pytest.mark.parametrize(
    "change",
    [
        {"pid": 0},
        {"pid": "5"},
        {"pid": True},
        {"start_ticks": "7"},
        {"after": 1001},
        {"before": 1.5},
        {"comm": 5},
    ],
)
def test_a_damaged_change_is_refused(change: dict[str, object]) -> None:
    good = {"pid": 5, "start_ticks": 1, "comm": "a", "before": 0, "after": 1}
    assert undo.parse_targets({"changes": [good]}, "it") == [Target(5, 1, "a", 0, 1)]
    with pytest.raises(SourceError, match="it: "):
        undo.parse_targets({"changes": [good | change]}, "it")


def test_a_suggestion_of_a_report_is_not_of_running_processes() -> None:
    change = {"pid": 5, "start_ticks": None, "comm": "a", "before": 0, "after": 1}
    with pytest.raises(InputError, match="without start times"):
        undo.parse_targets({"changes": [change]}, "it")


def test_a_process_may_not_be_changed_twice() -> None:
    good = {"pid": 5, "start_ticks": 1, "comm": "a", "before": 0, "after": 1}
    with pytest.raises(InputError, match="twice"):
        undo.parse_targets({"changes": [good, good]}, "it")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"schema": "oomlab.undo/2"}', "[" * 100_000])
def test_what_is_no_undo_file_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "it.json"
    path.write_text(text)
    with pytest.raises(SourceError):
        undo.load_undo(path)


def test_an_unsaved_undo_file_is_a_clear_error() -> None:
    with pytest.raises(SourceError, match="can't be saved"):
        undo.save_undo(Path("/proc/nowhere/undo.json"), [])


def test_the_undo_file_s_place_follows_xdg(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert undo.default_path().is_relative_to(tmp_path / "oomlab")
    monkeypatch.setenv("XDG_STATE_HOME", "relative")
    assert undo.default_path().is_relative_to(Path.home())
