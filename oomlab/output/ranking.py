"""The listing of a ranking: its columns, heading and JSON document."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from ..analysis.ranking import NO_CHILDREN, Children, Ranking, cautions, children_of
from ..kernel.selection import Score
from ..kernel.usage import killer_rss_pages
from ..snapshot import Snapshot, Task
from ..units import human
from .escape import printable
from .tables import Column, Table

SCHEMA = "oomlab.rank/1"


class RankRow(NamedTuple):
    """One task in a ranking, with what its cells need."""

    ranking: Ranking
    score: Score
    place: int
    children: Children

    @property
    def task(self) -> Task:
        """The ranked task."""
        return self.score.task

    def bytes_of(self, pages: int | None) -> int | None:
        """Return pages in bytes, unknown as unknown."""
        return None if pages is None else pages * self.ranking.snapshot.machine.page_size

    def in_pages(self) -> bool:
        """Tell whether badness is in pages; before 3.5 it is in thousandths."""
        return self.ranking.era.facts.formula in ("pages", "signed")


def ranking_rows(
    ranking: Ranking, count: int | None = None, *, children: bool = True
) -> list[RankRow]:
    """Return a row for each of the first ``count`` scores, in the ranking's order."""
    shown = ranking.scores[:count]
    held = children_of(ranking, {score.task.pid for score in shown}) if children else {}
    return [
        RankRow(ranking, score, place, held.get(score.task.pid, NO_CHILDREN))
        for place, score in enumerate(shown, 1)
    ]


def size(size_bytes: int | None) -> str:
    """Return a human size, unknown as a question mark."""
    return "?" if size_bytes is None else human(size_bytes)


def _place(row: RankRow) -> str:
    if not row.score.killable:
        return "-"
    best, worst = row.ranking.places(row.score)
    return str(best) if best == worst else f"{best}-{worst}"


def _badness(row: RankRow) -> str:
    score = row.score
    if not score.killable:
        return "-"
    if score.badness is None:
        low, high = _amount(row, score.low), _amount(row, score.high)
        return "?" if score.low is None else f"{low}..{high}"
    return _amount(row, score.badness) + ("~" if score.low != score.high else "")


def _amount(row: RankRow, points: int | None) -> str:
    if points is None or not row.in_pages():
        return "?" if points is None else str(points)
    return size(row.bytes_of(points))


def _oom_score(row: RankRow) -> str:
    score = row.score
    if score.oom_score is None:
        return "?"
    if score.oom_score_low != score.oom_score_high:
        return f"{score.oom_score_low}..{score.oom_score_high}"
    return str(score.oom_score)


def kernel_differs(row: RankRow) -> bool:
    """Tell whether the kernel printed another oom_score than the model computes."""
    if row.ranking.era.asked_for:
        return False  # the kernel's number follows its own rules, not those asked for
    printed = row.task.kernel_oom_score
    return (
        printed is not None and row.score.oom_score is not None and printed != row.score.oom_score
    )


def _kernel(row: RankRow) -> str:
    if not kernel_differs(row):
        return ""
    low, high, printed = (
        row.score.oom_score_low,
        row.score.oom_score_high,
        row.task.kernel_oom_score,
    )
    inside = low is not None and high is not None and printed is not None and low <= printed <= high
    return f"~{printed}" if inside else f"!{printed}"


def _needs_bytes(row: RankRow) -> int | None:
    return row.bytes_of(row.ranking.pages_to_first(row.score))


def _needs(row: RankRow) -> str:
    needed = _needs_bytes(row)
    if needed is None:
        return "-"
    return "first" if row.score is row.ranking.victim else f"+{human(needed)}"


def _user(row: RankRow) -> str | None:
    if row.task.user is not None or row.task.euid is None:
        return row.task.user
    return str(row.task.euid)


def _command(row: RankRow) -> str:
    line = " ".join(row.task.cmdline or ())
    return line or f"[{row.task.comm}]"


def _children(row: RankRow) -> str:
    held = row.children
    return "" if not held.number else f"{held.number} ({size(row.bytes_of(held.pages))})"


def _sized(name: str, header: str, text: str, keep: int, pages: Any) -> Column[RankRow]:
    return Column(
        name=name,
        header=header,
        help=text,
        key=f"{name}_bytes",
        value=lambda row: row.bytes_of(pages(row)),
        show=lambda row: size(row.bytes_of(pages(row))),
        keep=keep,
    )


def _rss(row: RankRow) -> int | None:
    return killer_rss_pages(row.task, row.ranking.era.facts)


COLUMNS: tuple[Column[RankRow], ...] = (
    Column(
        name="rank",
        header="RANK",
        help="place in the kernel's order; a range where it can't be known",
        value=lambda row: row.place if row.score.killable else None,
        show=_place,
    ),
    Column(name="pid", header="PID", help="process", value=lambda row: row.task.pid),
    Column(
        name="user",
        header="USER",
        help="effective user",
        value=_user,
        left=True,
        keep=4,
    ),
    Column(
        name="adj",
        header="ADJ",
        help="oom_score_adj",
        key="oom_score_adj",
        value=lambda row: row.task.oom_score_adj,
    ),
    _sized("rss", "RSS", "resident memory, as the OOM killer reads it", 7, _rss),
    _sized("swap", "SWAP", "swapped out", 3, lambda row: row.task.swap_pages),
    Column(
        name="pagetables",
        header="PGTBL",
        help="page tables",
        key="pagetable_bytes",
        value=lambda row: row.task.pagetable_bytes,
        show=lambda row: size(row.task.pagetable_bytes),
        keep=1,
    ),
    Column(
        name="badness",
        header="BADNESS",
        help="what the kernel compares, as a size (~: the kernel's own may differ a little)",
        value=lambda row: row.score.badness,
        show=_badness,
    ),
    Column(
        name="score",
        header="SCORE",
        help="oom_score as modelled",
        key="oom_score",
        value=lambda row: row.score.oom_score,
        show=_oom_score,
    ),
    Column(
        name="kernel",
        header="KERNEL",
        help="the kernel's oom_score where it differs (! outside the bound, ~ within)",
        key="kernel_oom_score",
        value=lambda row: row.task.kernel_oom_score,
        show=_kernel,
        keep=8,
    ),
    Column(
        name="needs",
        header="NEEDS",
        help="how much more memory it must use to be killed first",
        key="needs_bytes",
        value=_needs_bytes,
        show=_needs,
        keep=6,
    ),
    Column(
        name="children",
        header="CHILDREN",
        help="children, and the RSS and swap they hold together",
        value=lambda row: row.children.number,
        show=_children,
        left=True,
        keep=2,
    ),
    Column(
        name="why_not",
        header="NEVER, BECAUSE",
        help="why it can't be killed (with --all)",
        value=lambda row: row.score.why_not,
        show=lambda row: row.score.why_not or "",
        left=True,
        keep=5,
    ),
    Column(
        name="name",
        header="NAME",
        help="name (comm, at most 15 bytes)",
        value=lambda row: row.task.comm,
        left=True,
        flexible=True,
    ),
    Column(
        name="cmdline",
        header="COMMAND",
        help="command line",
        value=_command,
        left=True,
        flexible=True,
    ),
    _sized("anon", "ANON", "anonymous part of RSS", 9, lambda row: row.task.rss_anon_pages),
    _sized("file", "FILE", "file part of RSS", 9, lambda row: row.task.rss_file_pages),
    _sized("shmem", "SHMEM", "shared part of RSS", 9, lambda row: row.task.rss_shmem_pages),
    _sized("vsize", "VSIZE", "virtual size", 9, lambda row: row.task.total_vm_pages),
    Column(name="ppid", header="PPID", help="parent", value=lambda row: row.task.ppid),
    Column(name="uid", header="UID", help="real user id", value=lambda row: row.task.uid),
    Column(name="state", header="S", help="state", value=lambda row: row.task.state),
    Column(name="threads", header="THR", help="threads", value=lambda row: row.task.threads),
    Column(
        name="mems",
        header="MEMS",
        help="NUMA nodes allowed",
        key="mems_allowed",
        value=lambda row: row.task.mems_allowed,
        left=True,
    ),
    Column(
        name="cgroup",
        header="CGROUP",
        help="memory cgroup",
        value=lambda row: row.task.cgroup_path("memory") or row.task.cgroup_path(""),
        left=True,
        flexible=True,
    ),
)

_DEFAULT = frozenset(
    [
        "rank",
        "pid",
        "user",
        "adj",
        "rss",
        "swap",
        "pagetables",
        "badness",
        "score",
        "needs",
        "children",
        "name",
    ]
)


def default_columns(rows: Iterable[RankRow], *, command: bool = False) -> list[Column[RankRow]]:
    """Return the columns that a ranking shows unless told otherwise."""
    shown, listed = set(_DEFAULT), list(rows)
    if any(map(kernel_differs, listed)):
        shown.add("kernel")
    if any(not row.score.killable for row in listed):
        shown.add("why_not")
    if command:
        shown ^= {"name", "cmdline"}
    return [column for column in COLUMNS if column.name in shown]


def ranking_table(
    ranking: Ranking,
    rows: Sequence[RankRow],
    columns: Sequence[Column[RankRow]],
    *,
    fixed: bool = False,
    footer: Sequence[str] = (),
) -> Table[RankRow]:
    """Return the table of a ranking under its heading."""
    marked = frozenset(i for i, row in enumerate(rows) if row.score is ranking.victim)
    return Table(
        columns=columns,
        rows=rows,
        heading=heading(ranking),
        footer=footer,
        marked=marked,
        fixed=fixed,
    )


def heading(ranking: Ranking) -> list[str]:
    """Return the answer in a sentence, the rules in force, and what would make it moot."""
    lines = [f"If memory ran out now, {_verdict(ranking)}.", _rules(ranking)]
    return lines + [f"Note: {printable(caution)}." for caution in cautions(ranking)]


def _verdict(ranking: Ranking) -> str:
    possible = ranking.possible_victims
    if not possible:
        return "the kernel would find nobody to kill and panic"
    if len(possible) == 1:
        return f"the kernel would kill {named(possible[0].task)}"
    names = ", ".join(named(score.task) for score in possible[:4])
    more = f" or {len(possible) - 4} others" if len(possible) > 4 else ""
    return f"the kernel would kill one of {names}{more}: which can't be known from here"


def named(task: Task) -> str:
    """Return how sentences name a task."""
    return f"{task.pid} ({printable(task.comm)})"


def _rules(ranking: Ranking) -> str:
    machine, scope, era = ranking.snapshot.machine, ranking.scope, ranking.era
    release = machine.release or "unknown release"
    pages = f"totalpages {scope.totalpages} = {human(scope.totalpages * machine.page_size)}"
    if scope.memcg is not None:
        pages += f" for memory cgroup {scope.memcg}"
    elif machine.ram_pages is not None and machine.swap_pages is not None:
        ram, swap = (human(p * machine.page_size) for p in (machine.ram_pages, machine.swap_pages))
        pages += f" (RAM {ram} + swap {swap})"
    rules = f"rules: {era.label}, by {era.evidence}"
    if era.asked_for:
        rules = f"rules of {era.release} as asked: {era.label}"
    return printable(f"Linux {release}; {rules}; {pages}.")


def rank_document(ranking: Ranking, rows: Sequence[RankRow]) -> dict[str, Any]:
    """Return the JSON document ``oomlab.rank/1``: sizes in bytes, badness in pages."""
    return {
        "schema": SCHEMA,
        "kernel": kernel_entry(ranking),
        "scope": scope_entry(ranking),
        "cautions": cautions(ranking),
        "tasks": [task_entry(row) for row in rows],
        "gaps": gap_entries(ranking.snapshot),
    }


def kernel_entry(ranking: Ranking) -> dict[str, Any]:
    """Return which kernel's rules were used, and why."""
    return {
        "release": ranking.snapshot.machine.release,
        "era": ranking.era.family,
        "rules_of": ranking.era.release,
        "evidence": ranking.era.evidence,
    }


def scope_entry(ranking: Ranking) -> dict[str, Any]:
    """Return whose limit was asked about."""
    return {
        "constraint": ranking.scope.constraint,
        "memcg": ranking.scope.memcg,
        "totalpages": ranking.scope.totalpages,
        "page_size": ranking.snapshot.machine.page_size,
    }


def gap_entries(snapshot: Snapshot) -> list[dict[str, Any]]:
    """Return what could not be read."""
    return [{"what": gap.what, "why": gap.why, "pids": list(gap.pids)} for gap in snapshot.gaps]


def task_entry(row: RankRow) -> dict[str, Any]:
    """Return one task of a ranking as JSON has it."""
    score, task = row.score, row.task
    best, worst = row.ranking.places(score) if score.killable else (None, None)
    return {
        "rank": row.place if score.killable else None,
        "rank_best": best,
        "rank_worst": worst,
        "pid": task.pid,
        "ppid": task.ppid,
        "comm": task.comm,
        "cmdline": None if task.cmdline is None else list(task.cmdline),
        "user": task.user,
        "uid": task.uid,
        "oom_score_adj": task.oom_score_adj,
        "rss_bytes": row.bytes_of(_rss(row)),
        "swap_bytes": row.bytes_of(task.swap_pages),
        "pagetable_bytes": task.pagetable_bytes,
        "badness": score.badness,
        "badness_low": score.low,
        "badness_high": score.high,
        "oom_score": score.oom_score,
        "oom_score_low": score.oom_score_low,
        "oom_score_high": score.oom_score_high,
        "kernel_oom_score": task.kernel_oom_score,
        "needs_bytes": _needs_bytes(row),
        "children": row.children.number,
        "children_bytes": row.bytes_of(row.children.pages),
        "killable": score.killable,
        "why_not": score.why_not,
    }
