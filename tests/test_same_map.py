"""Processes on one memory map: kcmp(2) tells them, and the kernel sets them all with one write."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from compiled import compiled
from conftest import adj_of, make_snapshot, make_task

from oomlab import rank
from oomlab.analysis.suggest import suggest
from oomlab.readers import same_map
from oomlab.readers.same_map import read_same_maps

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def pair(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[int, int]]:
    """Two processes on one memory map."""
    if not read_same_maps([os.getpid()]):
        pytest.skip("this kernel has no kcmp(2), or it is forbidden here")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    with subprocess.Popen([compiled("one_map")], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        first, second = map(int, process.stdout.readline().split())
        yield first, second
        process.kill()


def document(changes: dict[int, int]) -> str:
    def change(pid: int, after: int) -> dict[str, Any]:
        stat = Path(f"/proc/{pid}/stat").read_text()
        start = int(stat.rpartition(")")[2].split()[19])
        before = adj_of(pid)
        return {"pid": pid, "start_ticks": start, "comm": "x", "before": before, "after": after}

    changed = [change(pid, after) for pid, after in changes.items()]
    return json.dumps({"schema": "oomlab.suggest/1", "changes": changed})


def test_who_is_on_one_map_and_who_is_alone(pair: tuple[int, int]) -> None:
    me = os.getpid()
    found = read_same_maps([me, *pair, 1 << 22])
    assert set(found) == {frozenset(pair), frozenset({me})}


def test_where_it_can_not_be_asked_nothing_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(same_map.platform, "machine", lambda: "vax")
    assert read_same_maps([os.getpid()]) == ()


def test_one_write_sets_both_and_the_undo_file_has_both(
    pair: tuple[int, int], tmp_path: Path, run_cli: Run
) -> None:
    before = adj_of(pair[0])
    path = tmp_path / "suggestion.json"
    path.write_text(document({pair[1]: 700}))
    status, out, err = run_cli("apply", str(path), "--yes")
    assert (status, adj_of(pair[0]), adj_of(pair[1])) == (0, 700, 700)
    assert "2 values written" in out
    assert f"on the same memory map: {pair[0]} (" in err
    (undo,) = (tmp_path / "state" / "oomlab").iterdir()
    saved = {one["pid"]: one["before"] for one in json.loads(undo.read_text())["changes"]}
    assert saved == dict.fromkeys(pair, before)
    status, _, _ = run_cli("apply", "--undo", str(undo), "--yes")
    assert (status, adj_of(pair[0]), adj_of(pair[1])) == (0, before, before)


def test_two_values_for_one_map_are_refused(
    pair: tuple[int, int], tmp_path: Path, run_cli: Run
) -> None:
    before = adj_of(pair[0])
    path = tmp_path / "suggestion.json"
    path.write_text(document({pair[0]: 700, pair[1]: 800}))
    status, out, err = run_cli("apply", str(path), "--yes")
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert "can't be both 700 and 800" in err.replace("800 and 700", "700 and 800")
    assert adj_of(pair[0]) == adj_of(pair[1]) == before


def test_a_suggestion_knows_who_dies_together(pair: tuple[int, int], run_cli: Run) -> None:
    first, second = map(str, pair)
    status, out, _ = run_cli("suggest", "--protect", first, "--sacrifice", second)
    assert status == 1
    assert f"it is on the memory map of {first}: they die together" in out
    assert "What would do: protect or sacrifice all that are on one memory map" in out
    _, out, _ = run_cli("suggest", "--protect", first, "--raise-only", "--format", "json")
    assert json.loads(out)["companions"] == [
        {"pid": pair[1], "why": f"it is on the memory map of {first}: they die together"}
    ]


def test_a_suggestion_does_not_doubt_what_is_known() -> None:

    twins = [make_task(pid, 900, total_vm_pages=5000, pagetable_bytes=4096) for pid in (2, 3)]
    ranking = rank(make_snapshot(*twins))
    assert any("look alike" in note for note in suggest(ranking, {2}).cautions)
    known = [frozenset({2}), frozenset({3})]
    assert not any("look alike" in note for note in suggest(ranking, {2}, shared=known).cautions)
