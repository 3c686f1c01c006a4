"""Where logs come from: pipes, directories, journals, packed files; what can't be read is said."""

import bz2
import gzip
import json
import lzma
import os
import resource
import shutil
import stat
import subprocess
import sys
import threading

import pytest
from conftest import run
from kernel_logs import expected, one_event, read

from oomlab.errors import SourceError
from oomlab.readers.kernel_log import packed
from oomlab.readers.kernel_log.json_lines import MESSAGE_KEYS
from oomlab.readers.kernel_log.load import load_event, may_be_log
from oomlab.readers.kernel_log.source import Reading, read_events, read_journal
from oomlab.readers.load import load

EVENT = one_event("6.12", "memcg-other")
VICTIMS = read(EVENT)[0].victims
LINES_OF_SYSLOG = b"Jun 20 12:47:02 db1 kernel: "


def found_in(path, warned=None):
    return list(read_events(str(path), Reading((warned if warned is not None else []).append)))


def zstandard_pack(data):
    zstandard = pytest.importorskip("zstandard", reason="no zstandard package")
    return zstandard.ZstdCompressor(write_checksum=True).compress(data)


PACKERS = {"gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress, "zst": zstandard_pack}


@pytest.mark.parametrize("kind", PACKERS)
def test_every_packing_is_told_by_its_first_bytes(kind, tmp_path):
    path = tmp_path / "kern.log.1"
    path.write_bytes(PACKERS[kind](EVENT) + PACKERS[kind](EVENT))
    warned = []
    assert [r.victims for r in found_in(path, warned)] == [VICTIMS, VICTIMS]
    assert warned == []


@pytest.mark.parametrize("kind", PACKERS)
def test_a_damaged_packed_log_is_said_to_be(kind, tmp_path):
    data = bytearray(PACKERS[kind](EVENT + os.urandom(300_000)))
    for cut in (bytes(data[:-50_000]), bytes(data[:60_000] + os.urandom(9) + data[60_009:])):
        path = tmp_path / "log"
        path.write_bytes(cut)
        warned = []
        found_in(path, warned)
        assert len(warned) == 1
        assert "read up to there" in warned[0]


def test_damage_of_a_log_is_a_gap_of_its_snapshot(tmp_path, capsys):
    path = tmp_path / "\x1b[31mlog"
    path.write_bytes(gzip.compress(EVENT + os.urandom(300_000))[:-50_000])
    taken = load(path)
    assert capsys.readouterr().err == ""
    (why,) = [gap.why for gap in taken.gaps if gap.what == "log"]
    assert why.startswith(f"{path}: ")
    assert why.endswith("read up to there")
    status, out, err = run(capsys, "rank", "--from", path)
    assert (status, bool(out), "\x1b" in err) == (0, True, False)
    assert "oomlab: not read: log: " in err
    # A first byte of chance might be that of JSON.
    path.write_bytes(gzip.compress(b"words\n" + os.urandom(300_000))[:-50_000])
    with pytest.raises(SourceError, match="read up to there; no out-of-memory event"):
        load(path)


BOMB = """
import sys
from oomlab.readers.kernel_log.source import Reading, read_events
list(read_events(sys.argv[1], Reading(print)))
print([line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")][0])
"""


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="no /proc here")  # noqa: PTH110
@pytest.mark.parametrize("kind", PACKERS)
def test_a_bomb_is_read_in_constant_memory(kind, tmp_path):
    # A quarter of a gigabyte of nothing, and no newline in it.
    path = tmp_path / "bomb"
    path.write_bytes(PACKERS[kind](bytes(1 << 24)) * 16)
    done = subprocess.run(
        [sys.executable, "-c", BOMB, path], capture_output=True, text=True, check=True, timeout=60
    )
    assert int(done.stdout.split()[-1]) < 80_000, done.stdout


def test_zst_without_its_package_says_what_to_do(tmp_path, monkeypatch, capsys):
    for name in ("zstandard", "compression", "compression.zstd"):
        monkeypatch.setitem(sys.modules, name, None)
    path = tmp_path / "kern.log.zst"
    path.write_bytes(b"\x28\xb5\x2f\xfd" + bytes(20))
    status, out, err = run(capsys, "report", path)
    assert (status, out) == (2, "")
    assert err.count("\n") == 1
    assert "pip install" in err
    assert packed.is_packed(path.read_bytes())


def feed(path, data):
    """Write to a pipe by a thread: opening it waits for the reader."""
    writer = threading.Thread(target=lambda: path.write_bytes(data), daemon=True)
    writer.start()
    return writer


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_is_read_like_a_file(tmp_path, capsys):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    for data in (EVENT, gzip.compress(EVENT)):
        for command in (["report"], ["rank", "--from"]):
            writer = feed(path, data)
            status, out, err = run(capsys, *command, path)
            writer.join(10)
            assert (status, err) == (0, "")
            assert str(VICTIMS[0].pid) in out


def test_what_cannot_be_read_does_not_hide_the_others(tmp_path, capsys):
    good = tmp_path / "good.log"
    good.write_bytes(EVENT)
    (tmp_path / "folder").mkdir()
    status, out, err = run(capsys, "report", tmp_path / "none", good, tmp_path / "folder")
    assert status == 2
    assert str(VICTIMS[0].pid) in out
    assert [line.startswith("oomlab: ") for line in err.splitlines()] == [True, True]
    assert "No such file" in err
    assert "give -r" in err


def test_nothing_read_prints_nothing_but_the_error(tmp_path, capsys):
    status, out, err = run(capsys, "report", tmp_path / "none", tmp_path)
    assert (status, out) == (2, "")
    assert err.count("\n") == 2


@pytest.mark.skipif(os.geteuid() == 0 and not shutil.which("setpriv"), reason="root reads all")
def test_an_unreadable_file_and_folder_are_said(tmp_path):
    (tmp_path / "good.log").write_bytes(EVENT)
    (tmp_path / "closed.log").write_bytes(EVENT)
    (tmp_path / "closed").mkdir()
    for name in ("closed.log", "closed"):
        (tmp_path / name).chmod(0)
    tmp_path.chmod(0o755)
    command = [sys.executable, "-m", "oomlab", "report", "-r", str(tmp_path), "--format", "json"]
    if os.geteuid() == 0:
        if any(not folder.stat().st_mode & stat.S_IXOTH for folder in tmp_path.parents):
            # pytest keeps its folders to their owner.
            for folder in tmp_path.parents[:2]:
                folder.chmod(0o755)
        command = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", *command]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    for name in ("closed.log", "closed"):
        (tmp_path / name).chmod(0o700)
    unusable = ("No module named", "can't open", "error while loading shared libraries")
    if any(said in done.stderr for said in unusable):
        pytest.skip("another user can't read this Python")
    assert done.returncode == 2
    assert done.stderr.count("Permission denied") == 2
    assert '"pid"' in done.stdout


def test_directories_are_read_in_order_without_links_and_devices(tmp_path, capsys):
    for name in ("b/2.log", "a/1.log", "c.log"):
        path = tmp_path / "logs" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(EVENT)
    (tmp_path / "logs" / "link.log").symlink_to("c.log")
    (tmp_path / "logs" / "loop").symlink_to(".")
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "logs" / "pipe")
    status, out, err = run(capsys, "report", "-r", tmp_path / "logs", "--format", "csv")
    assert (status, err) == (0, "")
    names = [line.rpartition("logs/")[2].split(",")[0] for line in out.splitlines()[1:]]
    assert names == ["c.log", "a/1.log", "b/2.log"]


@pytest.mark.parametrize("data", [b"", b"\n", b"\0" * 100_000, os.urandom(300_000)])
def test_a_file_that_is_no_log_holds_no_event(data, tmp_path, capsys):
    path = tmp_path / "file"
    path.write_bytes(data)
    assert run(capsys, "report", path) == (0, "0 out-of-memory events.\n", "")


JOURNALCTL = """#!/bin/sh
printf '%s\\n' "$*" > "$0.called"
cat "$0.log"
echo "$SAYS" >&2
exit ${STATUS:-0}
"""


@pytest.fixture
def journalctl(tmp_path, monkeypatch):
    """A program of that name that writes what a journal would, and how it was called."""
    program = tmp_path / "bin" / "journalctl"
    program.parent.mkdir()
    program.write_text(JOURNALCTL)
    program.chmod(0o755)
    lines = EVENT.splitlines(keepends=True)
    head = b"2025-12-09T23:59:58.123456+0000 db1 kernel: "
    text = b"".join(head + line.partition(b"] ")[2] for line in lines)
    program.with_name("journalctl.log").write_bytes(text)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("SAYS", "")
    return program


def test_the_journals_kernel_messages_of_all_boots_are_read(journalctl, capsys):
    status, out, err = run(capsys, "report", "--journal")
    assert (status, err) == (0, "")
    assert str(VICTIMS[0].pid) in out
    assert "2025-12-09" in out
    called = journalctl.with_name("journalctl.called").read_text().split()
    assert "_TRANSPORT=kernel" in called
    assert not {"-b", "-k", "--boot"} & set(called)


def test_a_journals_file_is_read_by_journalctl(journalctl, tmp_path, capsys):
    path = tmp_path / "system.journal"
    path.write_bytes(b"LPKSHHRH" + bytes(200))
    assert run(capsys, "report", path)[0] == 0
    assert f"--file={path}" in journalctl.with_name("journalctl.called").read_text()


def test_a_journal_that_fails_is_an_error_in_one_line(journalctl, capsys, monkeypatch):
    monkeypatch.setenv("STATUS", "1")
    monkeypatch.setenv("SAYS", "No journal files were opened due to\ninsufficient permissions.")
    journalctl.with_name("journalctl.log").write_bytes(b"")
    status, out, err = run(capsys, "report", "--journal")
    assert (status, out) == (2, "")
    assert err == "oomlab: journal: journalctl failed: No journal files were opened due to\n"


@pytest.mark.usefixtures("journalctl")
def test_a_journal_that_says_much_does_not_block(monkeypatch):
    monkeypatch.setenv("SAYS", "x" * 100_000)
    warned = []
    assert len(list(read_journal(Reading(warned.append)))) == 1
    assert len(warned) == 1


def test_no_journalctl_is_an_error_in_one_line(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    status, out, err = run(capsys, "report", "--journal")
    assert (status, out) == (2, "")
    assert err.count("\n") == 1
    assert "journalctl can't be run" in err


@pytest.mark.skipif(not shutil.which("journalctl"), reason="no journalctl here")
def test_the_real_journalctl_takes_what_is_asked_of_it(tmp_path):
    warned = []
    path = tmp_path / "empty.journal"
    path.write_bytes(b"LPKSHHRH" + bytes(300))
    with pytest.raises(SourceError, match="journalctl failed"):
        found_in(path, warned)
    assert warned == []


def test_a_log_of_several_events_lists_them_where_one_is_needed(tmp_path, capsys):
    path = tmp_path / "two.log"
    path.write_bytes(EVENT + one_event("6.12", "sysrq-3"))
    for command in (["rank"], ["whatif", "--pid", "1", "--adj", "5"]):
        status, out, err = run(capsys, *command, "--from", path)
        assert (status, out) == (2, "")
        first, *events = err.splitlines()
        assert "holds 2 out-of-memory events: choose one with --event N" in first
        victims = [v.pid for r in read(path.read_bytes()) for v in r.victims[:1]]
        assert [int(line.split()[0]) for line in events] == [1, 2]
        assert [f" {pid} (" in line for pid, line in zip(victims, events, strict=True)] == [
            True,
            True,
        ]


def test_the_thirty_first_event_is_counted_not_listed(tmp_path, capsys):
    path = tmp_path / "many.log"
    path.write_bytes(EVENT * 33)
    _, _, err = run(capsys, "rank", "--from", path)
    assert len(err.splitlines()) == 32
    assert "and 3 more" in err
    assert len(expected("6.12")) > 0


def test_a_list_of_many_events_holds_little(tmp_path):
    path = tmp_path / "storm.log"
    path.write_bytes(EVENT * 2000)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in read_events(str(path), Reading(print)):
        pass
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20_000


UTF16 = {
    "Out-File": lambda text: b"\xff\xfe" + text.encode("utf-16-le"),
    "big-endian": lambda text: b"\xfe\xff" + text.encode("utf-16-be"),
    "without mark": lambda text: text.encode("utf-16-le"),
    "big-endian without mark": lambda text: text.encode("utf-16-be"),
    "UTF-8 with mark": lambda text: b"\xef\xbb\xbf" + text.encode(),
}
ON_WINDOWS = EVENT.decode().replace("\n", "\r\n")


@pytest.mark.parametrize("kind", UTF16)
@pytest.mark.parametrize("packer", ["plain", "gz"])
def test_logs_that_windows_wrote(kind, packer, tmp_path):
    data = UTF16[kind](ON_WINDOWS)
    path = tmp_path / "kern.log"
    path.write_bytes(PACKERS[packer](data) if packer in PACKERS else data)
    (report,) = found_in(path)
    (whole,) = read(EVENT)
    assert (report.victims, report.tasks, report.line) == (whole.victims, whole.tasks, 1)
    assert report.trigger == whole.trigger
    assert report.unparsed == []


def test_names_in_any_letters_and_lone_surrogates_in_utf16(tmp_path):
    path = tmp_path / "kern.log"
    named = EVENT.decode().replace("(other", "(\u65e5\u672c\U0001f600 other")
    path.write_bytes(b"\xff\xfe" + b"\x00\xd8" + b"\n\0" + named.encode("utf-16-le") + b"\x41")
    (report,) = found_in(path)
    assert len(report.victims) == len(VICTIMS)


def test_a_large_log_in_utf16_is_read_in_bounded_memory(tmp_path):
    path = tmp_path / "kern.log"
    filler = ("Jun 20 12:47:02 db1 app[7]: nothing of interest here\r\n" * 1000).encode("utf-16-le")
    with path.open("wb") as out:
        out.write(b"\xff\xfe")
        for _ in range(400):
            out.write(filler)
        out.write(ON_WINDOWS.encode("utf-16-le"))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    reading = Reading(print, workers=2)
    (report,) = read_events(str(path), reading)
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert report.victims == VICTIMS
    assert report.line == 400_001
    assert after - before < 16 * 1024


def test_rank_reads_a_log_in_utf16(tmp_path, capsys):
    path = tmp_path / "kern.log"
    path.write_bytes(UTF16["Out-File"](ON_WINDOWS))
    status, out, err = run(capsys, "rank", "--from", path, "-n", "1")
    assert (status, err) == (0, "")
    assert str(VICTIMS[0].pid) in out


@pytest.mark.parametrize("start", [b"", b"\0" * 4096, b"\xff", b"\xff\xfe", b"a\0", b"\0a\0b"])
def test_what_begins_oddly_is_no_utf16_or_empty(start, tmp_path):
    path = tmp_path / "kern.log"
    path.write_bytes(start + (b"" if start[:2] == b"\xff\xfe" else EVENT))
    assert len(found_in(path)) == (0 if start[:2] == b"\xff\xfe" else 1)


@pytest.mark.parametrize(
    ("data", "said"),
    [(b"", "empty, "), (b"Dear diary,\nnothing.\n", "text, "), (b"\x7fELF\0\0\1", "binary data, ")],
)
def test_what_is_no_source_is_called_by_its_name(data, said, tmp_path, capsys):
    path = tmp_path / "file"
    path.write_bytes(data)
    status, out, err = run(capsys, "rank", "--from", path)
    assert (status, out) == (2, "")
    assert err == (
        f"oomlab: {path}: {said}neither a snapshot (of oomlab snapshot -o FILE) nor a kernel log "
        "with an out-of-memory event (of dmesg or journalctl -k)\n"
    )


def test_a_pipe_of_text_is_not_called_empty(tmp_path, capsys):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    feed(path, b"Dear diary,\nnothing.\n")
    status, _, err = run(capsys, "rank", "--from", path)
    assert (status, "empty" in err) == (2, False)
    assert "neither a snapshot" in err


@pytest.mark.parametrize("command", ["rank", "report"])
def test_a_device_that_never_ends_is_left(command, capsys):
    option = ["--from"] if command == "rank" else []
    status, _, err = run(capsys, command, *option, "/dev/zero")
    assert (status, err) == (2, "oomlab: /dev/zero: a device without end: give a file or a pipe\n")
    status, _, err = run(capsys, "rank", "--from", "/dev/null")
    assert (status, err.startswith("oomlab: /dev/null: empty, ")) == (2, True)


@pytest.mark.parametrize("key", MESSAGE_KEYS)
def test_rank_takes_a_log_of_json_with_any_field_for_the_message(key, tmp_path):
    lines = one_event("6.12", "global-self").decode().splitlines()
    path = tmp_path / "log.json"
    path.write_text("".join(json.dumps({"level": 4, key: line}) + "\n" for line in lines))
    assert may_be_log(path)
    assert load_event(path, None).tasks
