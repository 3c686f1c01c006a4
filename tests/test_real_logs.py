"""Logs of other people's machines, where the folder of them stands beside the project.

They carry no licence, so they are not part of it. ``OOMLAB_REPORTS`` names another place.
"""

from __future__ import annotations

import csv
import os
import re
from pathlib import Path
from typing import NamedTuple

import pytest
from recordings import sections, table_rows

from oomlab.analysis.ranking import Ranking, rank
from oomlab.kernel.badness import printed_score
from oomlab.kernel.eras import era_of, with_facts
from oomlab.kernel.scope import Scope
from oomlab.snapshot import Machine, Snapshot, Task

PROJECT = Path(__file__).parent.parent
REPORTS = Path(os.environ.get("OOMLAB_REPORTS", PROJECT.parent / "shared" / "reports"))
_KILL = re.compile(r"(?:Kill|Killed) process (\d+)(?: \(|, )")
_SCORE = re.compile(r"[Kk]ill process (\d+) \(.*\) score (\d+) or")
SYNTHETIC = ("038", "041")


class Log(NamedTuple):
    name: str
    release: str
    page_size: int
    section: str


def logs() -> list[Log]:
    if not (REPORTS / "index.tsv").exists():
        return []
    with (REPORTS / "index.tsv").open() as stream:
        index = list(csv.DictReader(stream, delimiter="\t"))
    found = []
    for row in index:
        if row["complete"] != "y" or row["file"].startswith(SYNTHETIC):
            continue
        text = (REPORTS / row["file"]).read_text(errors="replace")
        size = int(row["page"].removesuffix("kB")) * 1024 if row["page"] != "?" else 4096
        found += [
            Log(row["file"][:3], row["kernel"], size, section)
            for section in sections(text)
            if table_rows(section) and _KILL.search(section)
        ]
    return found


LOGS = logs()
needs_logs = pytest.mark.skipif(not LOGS, reason=f"no saved logs in {REPORTS.name}")


def number(pattern: str, section: str) -> int | None:
    match = re.search(pattern, section)
    return None if match is None else int(match[1])


def totalpages_range(log: Log) -> tuple[int, int] | None:
    """Return the least and greatest totalpages that the report allows."""
    per_page = log.page_size // 1024
    limit = number(r"memory: usage \d+kB, limit (\d+)kB", log.section)
    if "emory cgroup out of memory" in log.section and limit is not None:
        most = number(r"memory\+swap: usage \d+kB, limit (\d+)kB", log.section)
        swap = number(r" swap: usage \d+kB, limit (\d+)kB", log.section)
        high = most if most is not None else limit + (swap or 0)
        return limit // per_page, high // per_page
    ram = number(r"(\d+) pages RAM", log.section)
    reserved = number(r"(\d+) pages reserved", log.section)
    swap = number(r"Total swap = (\d+)kB", log.section)
    if ram is None or reserved is None or swap is None:
        return None
    pages = ram - reserved + swap // per_page
    return pages, pages


def ranking_of(log: Log, totalpages: int, bonus: str | None = None) -> Ranking:
    tasks = tuple(
        Task(
            pid=int(row["tgid"]),
            comm=str(row["name"]),
            start_ticks=place,
            has_mm=True,
            oom_score_adj=int(row["oom_score_adj"]),
            rss_pages=int(row["rss"]),
            rss_stat_pages=int(row["rss"]),
            swap_pages=int(row["swapents"]) if "swapents" in row else None,
            pagetable_bytes=int(row["nr_ptes"]) * log.page_size
            if "nr_ptes" in row
            else int(row.get("pgtables_bytes", 0)),
            pmd_bytes=int(row["nr_pmds"]) * log.page_size if "nr_pmds" in row else None,
            cap_effective=(1 << 38) - 1 if row["uid"] == 0 else 0,
        )
        for place, row in enumerate(table_rows(log.section))
    )
    era = era_of(log.release)
    era = with_facts(era, "task table", killer_counters="same", status_counters="same")
    if bonus is not None:
        era = with_facts(era, "printed score", root_bonus=bonus)
    machine = Machine(
        page_size=log.page_size, release=log.release, ram_pages=totalpages, swap_pages=0
    )
    machine = machine._replace(swap_pages=None if tasks[0].swap_pages is None else 1)
    scope = Scope("CONSTRAINT_NONE", totalpages, tasks, everyone=tasks)
    return rank(Snapshot(machine=machine, tasks=tasks), kernel=era, scope=scope)


def why_not_rankable(log: Log) -> str | None:
    if "swapents" not in table_rows(log.section)[0]:
        return "its table shows neither swap nor page tables"
    if "CONSTRAINT_BPF" in log.section:
        return "a BPF program chose"
    if "oom_kill_allocating_task" in log.section:
        return "the task that asked was killed"
    if totalpages_range(log) is None:
        return "its totalpages are not in it"
    return None


def ids(log: Log) -> str:
    return f"{log.name}-{log.release}"


@needs_logs
@pytest.mark.parametrize("log", LOGS, ids=ids)
def test_the_first_of_the_ranking_was_killed(log: Log) -> None:
    why = why_not_rankable(log)
    if why is not None:
        pytest.skip(why)
    chosen = _SCORE.search(log.section) or _KILL.search(log.section)
    assert chosen is not None
    pages = totalpages_range(log)
    assert pages is not None
    firsts = {ranking_of(log, one)[0].task.pid for one in pages}
    assert int(chosen[1]) in firsts


@needs_logs
@pytest.mark.parametrize("log", [log for log in LOGS if _SCORE.search(log.section)], ids=ids)
def test_the_printed_score_is_recomputed(log: Log) -> None:
    why = why_not_rankable(log)
    if why is None and log.release.startswith("3.13"):
        why = "3.13 to 3.17 print the reserved pages of the last zone only: totalpages is unknown"
    if why is not None:
        pytest.skip(why)
    match = _SCORE.search(log.section)
    pages = totalpages_range(log)
    assert match is not None
    assert pages is not None
    pid, score = int(match[1]), int(match[2])
    printed = [printed_of(ranking_of(log, one), pid) for one in pages]
    assert min(printed) <= score <= max(printed)


def printed_of(ranking: Ranking, pid: int) -> int:
    points = next(one.badness for one in ranking if one.task.pid == pid)
    assert points is not None
    found = printed_score(ranking.era.facts, points, ranking.scope.totalpages)
    assert found is not None
    return found


@needs_logs
def test_the_logs_of_el7_tell_its_root_rule() -> None:
    # yum-cron runs as root: its score tells 3 % of its usage from 30 points of the setting.
    told = {"30 adj": 0, "3% usage": 0}
    several = 0
    for log in LOGS:
        match, pages = _SCORE.search(log.section), totalpages_range(log)
        if ".el7" not in log.release or match is None or pages is None:
            continue
        several += 1
        for bonus in told:
            ranking = ranking_of(log, pages[0], bonus)
            told[bonus] += printed_of(ranking, int(match[1])) == int(match[2])
    assert told == {"30 adj": 0, "3% usage": several}


@needs_logs
def test_rss_alone_reaches_no_higher_than_the_score_that_el6_printed() -> None:
    for log in LOGS:
        match, pages = _SCORE.search(log.section), totalpages_range(log)
        if ".el6" not in log.release or match is None or pages is None:
            continue
        ranking = ranking_of(log, pages[0])
        assert ranking.era.family == "permille"
        for row in table_rows(log.section):
            if row["oom_score_adj"] == 0:
                assert int(row["rss"]) * 1000 // pages[0] - 30 <= int(match[2])
