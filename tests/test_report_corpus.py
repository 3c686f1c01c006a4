"""Real logs from public sources, where the collection is there: what its index says of each."""

import csv

import pytest
from kernel_logs import REPORTS, understood

from oomlab.readers.kernel_log.source import Reading, read_events

INDEX = REPORTS / "index.tsv"
pytestmark = pytest.mark.skipif(
    not INDEX.exists(),
    reason=f"the collection of real logs is not at {REPORTS} (set OOMLAB_REPORTS); "
    "it has no licence of its own, so the project does not carry it",
)
ROWS = (
    list(csv.DictReader(INDEX.read_text().splitlines(), delimiter="\t", quoting=csv.QUOTE_NONE))
    if INDEX.exists()
    else []
)
INDEX_IS_SILENT = {"059": "killed", "083": "kernel"}
"""Where the index has no value because a mail program had wrapped the line."""


def events(row):
    reports = list(read_events(str(REPORTS / row["file"]), Reading(print)))
    return understood(reports)


def killed(report):
    return ",".join(
        f"{v.pid}:{v.comm}" + ("" if v.printed_score is None else f":{v.printed_score}")
        for v in report.victims
    )


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["file"][:3])
def test_a_real_log_tells_what_its_index_says(row):
    (event,) = events(row)
    report, silent = event.report, INDEX_IS_SILENT.get(row["file"][:3])
    if silent != "killed":
        assert killed(report) == row["killed"]
    if silent != "kernel":
        assert (report.release or "") == row["kernel"]
    whole_table = report.columns is not None and not report.header_is_lost
    assert whole_table == (row["task_table"] == "y")
    assert report.complete == (row["complete"] == "y")
    if row["constraint"].startswith("(memcg"):
        assert report.constraint == "CONSTRAINT_MEMCG"
    elif row["constraint"].startswith("(global"):
        assert report.constraint is None
    elif not report.is_memcg:
        assert report.constraint == row["constraint"]
    if row["page"].endswith("kB") and event.page_size_known:
        assert event.page_size == int(row["page"].removesuffix("kB")) * 1024


@pytest.mark.parametrize(
    "row", [r for r in ROWS if r["complete"] == "y"], ids=lambda r: r["file"][:3]
)
def test_the_models_victim_is_the_kernels_or_the_reason_is_given(row):
    (event,) = events(row)
    assert event.verdict.agrees is not False
    assert event.verdict.agrees or event.verdict.why_not


CAUSES = {
    "001": "swap is full;full of processes' own memory;memory that is in no counter",
    "002": "a memory cgroup's limit;the cgroup may use no swap;full of processes' own memory",
    "010": "full of processes' own memory;swap is full",
    "031": "full of processes' own memory;no swap",
    "033": "a memory cgroup's limit;the cgroup's memory and swap together;"
    "full of processes' own memory",
    "034": "shared memory and tmpfs;no swap",
    "043": "a BPF program decided;the cgroup may use no swap",
    "045": "a memory cgroup's limit;page tables;unreclaimable slab",
    "047": "a memory cgroup's limit;page cache that can't be written fast enough",
    "048": "fragmentation;memory that is in no counter",
    "050": "a low zone is exhausted, others are not",
    "052": "a BPF program decided",
    "057": "a memory cgroup's limit;kernel memory charged to the cgroup",
    "062": "a memory cgroup's limit;page cache that can't be written fast enough",
    "063": "a low zone is exhausted, others are not",
    "073": "full of processes' own memory;no swap",
    "075": "free memory is CMA's, which this request may not use",
    "079": "a low zone is exhausted, others are not",
    "080": "full of processes' own memory;swap is full",
    "082": "memory that is in no counter;free memory is CMA's, which this request may not use",
    "085": "unevictable memory;unreclaimable slab",
    "091": "memory taken out of RAM;unreclaimable slab;memory that is in no counter",
    "104": "full of processes' own memory;no swap",
}
"""What stands first in these logs, and nothing else: read by hand."""


@pytest.mark.parametrize("name", CAUSES)
def test_why_memory_ran_out(name):
    row = next(row for row in ROWS if row["file"].startswith(name))
    (event,) = events(row)
    assert [cause.cause for cause in event.causes] == CAUSES[name].split(";")


def test_figures(capsys):
    found = [(row, events(row)[0]) for row in ROWS]
    complete = [(row, e) for row, e in found if row["complete"] == "y"]
    agreed = sum(e.verdict.agrees is True for _, e in complete)
    printed = [e.verdict for _, e in found if e.verdict.modelled_score is not None]
    exact = sum(v.printed_score == v.modelled_score for v in printed)
    fitted = sum(
        e.snapshot.reported.is_fitted for _, e in found if e.verdict.modelled_score is not None
    )
    unparsed = sum(bool(e.report.unparsed) for _, e in found)
    with capsys.disabled():
        print(
            f"\n{len(found)} real logs, {len(complete)} complete; "
            f"victim predicted in {agreed} of {len(complete)} complete, "
            f"{sum(e.verdict.agrees is None for _, e in complete)} can't be settled; "
            f"printed score exact in {exact} of {len(printed)} ({fitted} told a part of it); "
            f"lines left unparsed in {unparsed}"
        )
    assert agreed >= len(complete) - 2
    assert exact == len(printed)


def test_nothing_that_is_whole_is_left_unparsed():
    """What is left is foreign, or cut: a row of another event, half a line of a wrapped mail."""
    left = {row["file"][:3]: e.report.unparsed for row in ROWS for e in events(row)}
    left = {name: lines for name, lines in left.items() if lines and name in WHOLE}
    assert set(left) == {"006", "057", "103"}
    assert all(len(lines) <= 6 for lines in left.values())


WHOLE = {row["file"][:3] for row in ROWS if row["complete"] == "y"}


def test_a_number_that_a_console_wrote_over_is_unknown():
    """103's console had 142 columns: what is longer wrote its last letter into the last."""
    row = next(row for row in ROWS if row["file"].startswith("103"))
    (event,) = events(row)
    (victim,) = event.report.victims
    assert (victim.rss_shmem_kib, victim.uid, victim.pagetable_kib) == (4, 1000, None)


def test_a_report_that_was_put_together_is_doubted():
    """038's kill line is of another process than its table's row: see the collection's README."""
    doubted = {
        row["file"][:3]
        for row in ROWS
        for e in events(row)
        if any("hardly of one report" in gap for gap in e.gaps)
    }
    assert doubted == {"038"}
