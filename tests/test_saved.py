"""Snapshots as JSON: round trips, and everything that is refused."""

from __future__ import annotations

import gzip
import json
import lzma
import stat
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import make_machine, make_task
from hypothesis import given
from hypothesis import strategies as st

import oomlab
from oomlab.memcg import UNLIMITED_PAGES, Memcg
from oomlab.readers import saved
from oomlab.readers.saved import SCHEMA, dump_snapshot, parse_json, parse_snapshot, read_text
from oomlab.snapshot import Gap, Node, Snapshot, Task

FULL = Snapshot(
    machine=make_machine(nodes=(Node(0, 10, 9, 8), Node(1, 5, 5)), cpus=None),
    tasks=(
        make_task(2, comm="a\udcff\x1b[31m ) (", cmdline=("x", ""), cgroups=(("", "/a"),)),
        Task(3, "", kernel_thread=True, has_mm=False, passed_over=True),
    ),
    memcgs=(Memcg("/", 2, limit_pages=UNLIMITED_PAGES, oom_group=False, pids=(2, 3)),),
    taken_at="2026-11-21T00:00:00+00:00",
    source="test",
    gaps=(Gap("status", "Permission denied", (4, 5)), Gap("vmstat", "no")),
)


def parse(text: bytes) -> Snapshot:
    return parse_snapshot(parse_json(text, "x"), "x")


def test_loading_and_saving_again_gives_the_same() -> None:
    text = dump_snapshot(FULL)
    assert parse(text) == FULL
    assert dump_snapshot(parse(text)) == text


@given(st.text(), st.lists(st.text(max_size=5), max_size=3), st.integers(0, 2**52))
def test_any_names_and_numbers_survive(comm: str, words: list[str], number: int) -> None:
    task = make_task(2, comm=comm, cmdline=tuple(words), swap_pages=number)
    snapshot = Snapshot(machine=make_machine(), tasks=(task,))
    assert parse(dump_snapshot(snapshot)) == snapshot


@pytest.mark.parametrize("name", ["s.json", "s.json.gz", "s.json.xz"])
def test_files_are_packed_by_their_ending_and_private(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    oomlab.save_snapshot(FULL, path)
    start = path.read_bytes()[:2]
    assert start == {"json": b'{"', "gz": b"\x1f\x8b", "xz": b"\xfd7"}[name.rpartition(".")[2]]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert oomlab.load(path) == FULL


def test_an_existing_file_becomes_private_and_links_are_kept(tmp_path: Path) -> None:
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_text("old")
    target.chmod(0o666)
    link.symlink_to(target)
    oomlab.save_snapshot(FULL, link)
    assert link.is_symlink()
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert oomlab.load(target) == FULL
    assert sorted(tmp_path.iterdir()) == [link, target], "nothing is left beside it"
    oomlab.save_snapshot(FULL, Path("/dev/null"))
    assert not Path("/dev/null").is_file()


def body(**changes: Any) -> bytes:
    document = json.loads(dump_snapshot(FULL))
    for key, value in changes.items():
        document[key] = value
    return json.dumps(document).encode()


HOSTILE = {
    "empty": b"",
    "not json": b"hello",
    "cut": dump_snapshot(FULL)[:200],
    "a list": b"[]",
    "deep": b"[" * 1_000_000,
    "deep objects": b'{"a":' * 1_000_000,
    "huge number": b'{"schema": ' + b"9" * 10_000 + b"}",
    "no schema": b"{}",
    "other schema": body(schema="oomlab.snapshot/2"),
    "schema of a wrong type": body(schema=["oomlab.snapshot/1"]),
    "unknown field": body(extra=1),
    "no machine": b'{"schema": "oomlab.snapshot/1", "tasks": []}',
    "machine is a number": body(machine=7),
    "tasks are an object": body(tasks={}),
    "a task is a string": body(tasks=["x"]),
    "a task without comm": body(tasks=[{"pid": 2}]),
    "a pid that is a bool": body(tasks=[{"pid": True, "comm": "x"}]),
    "a pid that is a float": body(tasks=[{"pid": 2.0, "comm": "x"}]),
    "a pid out of range": body(tasks=[{"pid": 1 << 70, "comm": "x"}]),
    "not a number": b'{"schema": "oomlab.snapshot/1", "machine": {"page_size": NaN}, "tasks": []}',
    "a pid twice": body(tasks=[{"pid": 2, "comm": "x"}, {"pid": 2, "comm": "y"}]),
    "a page size of 0": body(machine={"page_size": 0}),
    "a page size of 3": body(machine={"page_size": 3}),
    "a bad cgroup pair": body(tasks=[{"pid": 2, "comm": "x", "cgroups": [["a"]]}]),
    "no memory": body(machine={"page_size": 4096, "ram_pages": 0, "swap_pages": 0}),
    "a word of 7 bits": body(machine={"page_size": 4096, "word_bits": 7}),
    "an adj out of range": body(tasks=[{"pid": 2, "comm": "x", "oom_score_adj": 1001}]),
    "an oom_adj out of range": body(tasks=[{"pid": 2, "comm": "x", "oom_adj": 1 << 62}]),
    "negative pages": body(tasks=[{"pid": 2, "comm": "x", "rss_pages": -1}]),
    "too many lists": b'{"tasks":[' + b"[]," * 9_000_000 + b"[]]}",
    "unknown task field": body(tasks=[{"pid": 2, "comm": "x", "boo": 1}]),
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_hostile_files_are_refused_in_one_line(text: bytes, tmp_path: Path) -> None:
    path = tmp_path / "hostile.json"
    path.write_bytes(text)
    with pytest.raises(oomlab.SnapshotFormatError) as error:
        oomlab.load(path)
    message = str(error.value)
    assert "\n" not in message
    assert len(message) < 500
    assert "hostile.json" in message


@pytest.mark.parametrize("pack", [gzip.compress, lzma.compress])
def test_damaged_compressed_files(pack: Any, tmp_path: Path) -> None:
    path = tmp_path / "cut"
    packed = pack(dump_snapshot(FULL))
    path.write_bytes(packed[: len(packed) // 2])
    with pytest.raises(oomlab.SourceError, match="damaged or cut"):
        oomlab.load(path)
    path.write_bytes(packed[:20] + b"\0\xff\0\xff" + packed[24:])
    with pytest.raises(oomlab.SourceError):
        oomlab.load(path)


def test_a_file_that_unpacks_to_too_much(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(saved, "MAX_BYTES", 1000)
    path = tmp_path / "bomb.gz"
    path.write_bytes(gzip.compress(b" " * 100_000))
    with pytest.raises(oomlab.SnapshotFormatError, match="larger than 1000"):
        read_text(path)


def test_missing_and_unreadable_files(tmp_path: Path) -> None:
    with pytest.raises(oomlab.SourceError, match="No such file"):
        oomlab.load(tmp_path / "nope")
    with pytest.raises(oomlab.SourceError, match="directory"):
        oomlab.load(tmp_path)


def test_standard_input(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "in"
    path.write_bytes(dump_snapshot(FULL))
    with path.open() as stream:
        monkeypatch.setattr(sys, "stdin", stream)
        assert oomlab.load("-") == FULL


def test_the_live_machine_survives_a_round_trip() -> None:
    snapshot = oomlab.load()
    assert parse(dump_snapshot(snapshot)) == snapshot
    assert json.loads(dump_snapshot(snapshot))["schema"] == SCHEMA
