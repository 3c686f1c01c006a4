"""The worked vectors: fixtures/vectors/*.tsv, each row a case of numbers."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from oomlab.analysis.ranking import rank
from oomlab.kernel.adjust import to_oom_adj, to_oom_score_adj
from oomlab.kernel.badness import printed_score
from oomlab.kernel.eras import FAMILY_SPANS, era_of, with_facts
from oomlab.kernel.legacy import (
    CAP_SYS_ADMIN,
    CAP_SYS_RAWIO,
    CAP_SYS_RESOURCE,
    LegacyInputs,
    cpu_root,
    legacy_badness,
    run_root,
    shift_hz,
)
from oomlab.kernel.scope import memcg_totalpages
from oomlab.kernel.score import Score
from oomlab.kernel.selection import in_order_of_choice
from oomlab.kernel.usage import counter_error_pages
from oomlab.memcg import UNLIMITED_PAGES, Memcg
from oomlab.snapshot import Machine, Snapshot, Task

VECTORS = Path(__file__).parent.parent / "fixtures" / "vectors"


def rows(name: str) -> list[dict[str, str]]:
    with (VECTORS / f"{name}.tsv").open() as stream:
        return list(csv.DictReader(stream, delimiter="\t"))


def cases(name: str) -> list[object]:
    return [
        pytest.param(row, id=f"{number}-{'-'.join(list(row.values())[:2])}")
        for number, row in enumerate(rows(name), 1)
    ]


_CAPABILITIES = {"ADMIN": CAP_SYS_ADMIN, "RAWIO": CAP_SYS_RAWIO, "RESOURCE": CAP_SYS_RESOURCE}


@pytest.mark.parametrize("row", cases("legacy"))
def test_legacy_badness(row: dict[str, str]) -> None:
    credentials = row["credentials"].split(",")
    if credentials == ["no mm"]:
        assert scored_without_mm(row["kernel"]) == int(row["badness"])
        return
    given = LegacyInputs(
        total_vm_pages=int(row["total_vm"]),
        children_pages=[] if row["children"] == "-" else list(map(int, row["children"].split(","))),
        cpu_root=cpu_root(int(row["cpu_jiffies"]), int(row["hz"])),
        run_root=run_root(int(row["run_seconds"])),
        nice=int(row["nice"]),
        cap_effective=sum(_CAPABILITIES.get(name, 0) for name in credentials),
        uid=0 if "uid0" in credentials else 1000,
        euid=0 if "euid0" in credentials else 1000,
        disjoint="disjoint" in credentials,
        oom_adj=int(row["oom_adj"]),
        origin="origin" in credentials,
    )
    facts = era_of(row["kernel"]).facts
    assert legacy_badness(facts, given, int(row["bits"])) == int(row["badness"])


def scored_without_mm(kernel: str) -> int | None:
    machine = Machine(page_size=4096, release=kernel, ram_pages=1000, swap_pages=0)
    task = Task(pid=9, comm="zombie", state="Z", has_mm=False, oom_adj=0)
    return rank(Snapshot(machine=machine, tasks=(task,)))[0].oom_score


@pytest.mark.parametrize("row", cases("badness"))
def test_badness_oom_score_and_printed_score(row: dict[str, str]) -> None:
    flags = dict(flag.partition("=")[::2] for flag in row["flags"].split(","))
    if "origin" in flags and row["family"] == "permille":
        # The flag of a swapoff is not visible from userland: no snapshot can hold it.
        assert (int(row["badness"]), flags["origin"]) == (1000, "")
        return
    totalpages, bits = int(row["totalpages"]), int(flags.get("bits", 64))
    machine = Machine(
        page_size=int(flags.get("page_size", 4096)),
        word_bits=bits,
        release=row["kernel"],
        ram_pages=totalpages,
        swap_pages=0,
        swapped_out_pages=0,
        cpus=1,
    )
    era = era_of(row["kernel"])
    if "root3pct" in flags:
        bonus = "3% points" if era.facts.formula == "permille" else "3% usage"
        era = with_facts(era, "late stable", root_bonus=bonus)
    score = rank(Snapshot(machine=machine, tasks=(task_of(row, flags, machine, era),)), kernel=era)[
        0
    ]
    if "unkillable" in flags or row["oom_score_adj"] == "-1000":
        assert (score.badness, score.oom_score) == (None, int(row["oom_score"]))
        assert row["badness"] in ("0", "LONG_MIN")
        return
    assert score.badness == score.low == score.high == int(row["badness"])
    assert score.oom_score == int(row["oom_score"])
    printed = printed_score(era.facts, int(row["badness"]), totalpages, bits)
    assert ("-" if printed is None else str(printed)) == row["score"]


def task_of(row: dict[str, str], flags: dict[str, str], machine: Machine, era: object) -> Task:
    facts = era.facts  # type: ignore[attr-defined]
    in_bytes = facts.page_tables == "bytes"
    tables = int(row["pgtables_bytes"]) if in_bytes else int(row["ptes"]) * machine.page_size
    return Task(
        pid=9,
        comm="task",
        has_mm="unkillable" not in flags,
        rss_pages=int(row["rss"]),
        rss_stat_pages=int(row["rss"]),
        swap_pages=int(row["swap"]),
        pagetable_bytes=tables,
        pmd_bytes=None if in_bytes else int(row["pmds"]) * machine.page_size,
        oom_score_adj=int(row["oom_score_adj"]),
        cap_effective=CAP_SYS_ADMIN if "root" in flags else 0,
    )


READ_AT = {"read_2.6.36": "2.6.36", "read_3.7": "3.7", "read_5.10": "5.10"}


@pytest.mark.parametrize("row", cases("oom_adj_written"))
def test_writing_oom_adj_and_reading_it_back(row: dict[str, str]) -> None:
    written = to_oom_score_adj(int(row["oom_adj"]))
    assert written == int(row["oom_score_adj"])
    # 2.6.36 to 3.6 store both, so what was written reads back.
    assert row["read_2.6.36"] == row["oom_adj"]
    for column in ("read_3.7", "read_5.10"):
        assert to_oom_adj(written, era_of(READ_AT[column]).facts) == int(row[column])


@pytest.mark.parametrize("row", cases("oom_score_adj_written"))
def test_writing_oom_score_adj_and_reading_oom_adj(row: dict[str, str]) -> None:
    for column, kernel in READ_AT.items():
        assert to_oom_adj(int(row["oom_score_adj"]), era_of(kernel).facts) == int(row[column])


def limit(text: str) -> int:
    return UNLIMITED_PAGES if text == "max" else int(text)


@pytest.mark.parametrize("row", cases("memcg_totalpages"))
def test_memcg_totalpages(row: dict[str, str]) -> None:
    v1 = row["version"] == "v1"
    memcg = Memcg(
        path="/a",
        version=1 if v1 else 2,
        limit_pages=262144,
        memsw_limit_pages=limit(row["memsw_limit"]) if v1 else None,
        swap_limit_pages=None if v1 else limit(row["swap_max"]),
        swappiness=int(row["swappiness"]) if v1 else None,
    )
    machine = Machine(page_size=4096, swap_pages=524288, swappiness=int(row["swappiness"]))
    facts = era_of(row["kernel"]).facts
    assert memcg_totalpages(memcg, machine, facts) == int(row["totalpages"])


@pytest.mark.parametrize("row", cases("ties"))
def test_ties(row: dict[str, str]) -> None:
    for kernel, expected in row.items():
        if kernel == "points" or expected == "-":
            continue
        facts = era_of(kernel).facts
        scores = [
            # From 2.6.36 to 5.8 nought stands for a task that can't be killed, then LONG_MIN does.
            unkillable(place)
            if points == "LONG_MIN" or (points == "0" and facts.formula in ("permille", "pages"))
            else Score(Task(place, "t"), int(points), None, None, None, None, None, None)
            for place, points in enumerate(row["points"].split(","))
        ]
        first = in_order_of_choice(
            scores, last_wins=facts.ties == "last", choice_bits=facts.choice_bits
        )[0]
        assert (str(first.task.pid) if first.killable else "none") == expected, kernel


def unkillable(place: int) -> Score:
    return Score(Task(place, "t"), None, None, None, 0, 0, 0, "oom_score_adj -1000")


@pytest.mark.parametrize("row", cases("counter_errors"))
def test_counter_errors(row: dict[str, str]) -> None:
    error = counter_error_pages(int(row["cpus"]))
    assert error == int(row["counter"])
    assert error == (int(row["batch"]) - 1) * int(row["cpus"])
    assert (3 * error, 4 * error) == (int(row["rss"]), int(row["badness"]))


def test_every_family_has_vectors() -> None:
    assert {row["family"] for row in rows("badness")} | {"legacy"} == set(FAMILY_SPANS)


BOUNDARIES = {4: 24, 5: 48, 6: 96, 7: 192, 8: 384, 9: 768, 10: 1536, 11: 3072, 12: 6144}
"""The first frequency that has one more than each SHIFT_HZ."""


@pytest.mark.parametrize("shift", BOUNDARIES)
def test_shift_hz_on_both_sides_of_every_boundary(shift: int) -> None:
    first = BOUNDARIES[shift]
    assert (shift_hz(first - 1), shift_hz(first)) == (shift, shift + 1)


FIRST_AND_LAST = {
    "permille": ("2.6.36", "2.6.38"),
    "permille-ptes-int": ("2.6.39", "3.1"),
    "permille-ptes-long": ("3.2", "3.4"),
    "pages-root30": ("3.5", "3.13"),
    "pages-root3pct": ("3.14", "3.19"),
    "pages-root3pct-pmd": ("4.0", "4.14"),
    "pages-root3pct-pgtables": ("4.15", "4.16"),
    "pages": ("4.17", "5.8"),
    "signed": ("5.9", "6.19"),
    "signed-exact": ("7.0", "7.3"),
}


@pytest.mark.parametrize("family", FIRST_AND_LAST)
def test_a_family_holds_from_its_first_kernel_to_its_last(family: str) -> None:
    for row in rows("badness"):
        if row["family"] == family:
            for kernel in FIRST_AND_LAST[family]:
                test_badness_oom_score_and_printed_score(
                    row | {"kernel": kernel, "score": printed_as_in(kernel, row)}
                )


def printed_as_in(kernel: str, row: dict[str, str]) -> str:
    """From 5.1 on, within the family of 4.17 to 5.8, the kill line has no score."""
    return "-" if kernel in ("5.8", "7.3", "7.0", "6.19", "5.9") else row["score"]


@pytest.mark.parametrize(
    ("release", "family"),
    [(release, family) for family, ends in FIRST_AND_LAST.items() for release in ends]
    + [("2.6.11", "legacy"), ("2.6.35", "legacy"), ("5.4.142", "pages"), ("5.4.143", "signed")],
)
def test_each_boundary_has_its_family_on_both_sides(release: str, family: str) -> None:
    assert era_of(release).family == family
