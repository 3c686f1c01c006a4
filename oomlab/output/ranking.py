"""The listing of a ranking under its heading: the answer, the rules, what would make it moot."""

from __future__ import annotations

from collections.abc import Sequence

from ..analysis.cgroups import described
from ..analysis.choice import choose, dies_alone
from ..analysis.ranking import Ranking, cautions
from ..memcg import is_unlimited
from ..snapshot import Task
from ..units import human
from .escape import printable
from .rank_rows import RankRow
from .tables import Column, Table


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
    answer = printable(f"{occasion(ranking)}, {_verdict(ranking)}.")
    lines = [answer, rules_line(ranking)]
    return lines + [f"Note: {printable(caution)}." for caution in cautions(ranking)]


def occasion(ranking: Ranking) -> str:
    """Return of which OOM the answer is: a report's, or one that has not happened."""
    path, snapshot = ranking.scope.memcg, ranking.snapshot
    if snapshot.reported is not None:
        return "In the reported OOM" + ("" if path is None else f" of memory cgroup {path}")
    if path is not None:
        return f"If {described(snapshot, path)} ran out of memory now"
    return "If memory ran out now"


def _verdict(ranking: Ranking) -> str:
    possible = ranking.possible_victims
    if not possible and not ranking.is_complete:
        return "none of the processes that can be seen here could be killed"
    if not possible:
        panics = "" if ranking.scope.memcg else " and panic"
        return f"the kernel would find nobody to kill{panics}"
    if len(possible) == 1:
        return f"the kernel would kill {killed_text(ranking)}{seen_text(ranking)}"
    names = ", ".join(named(score.task) for score in possible[:4])
    more = f" or {len(possible) - 4} others" if len(possible) > 4 else ""
    return f"the kernel would kill one of {names}{more}: which can't be known from here"


def killed_text(ranking: Ranking) -> str:
    """Return who dies where the choice is known, and why it is not the chosen or not alone."""
    if ranking.victim is not None and dies_alone(ranking):
        return named(ranking.victim.task)
    choice = choose(ranking, panics=False)
    if choice.victim is None or choice.chosen is None:
        return "nobody"
    text = named(choice.victim)
    if choice.victim.pid != choice.chosen.task.pid:
        text += f", a child, in place of {named(choice.chosen.task)}"
    if len(choice.killed) > 1:
        others = len(choice.killed) - 1
        text += f" and with it {others} other{'s' * (others > 1)} (memory.oom.group)"
    return text


def seen_text(ranking: Ranking) -> str:
    """Return what the answer leaves open where not every process was seen."""
    return "" if ranking.is_complete else ", of the processes that can be seen here"


def named(task: Task) -> str:
    """Return how sentences name a task."""
    return f"{task.pid} ({printable(task.comm)})"


def rules_line(ranking: Ranking) -> str:
    """Return the kernel, the rules in force and why, and totalpages."""
    machine, scope, era = ranking.snapshot.machine, ranking.scope, ranking.era
    release = machine.release or "unknown release"
    pages = f"totalpages {scope.totalpages} = {human(scope.totalpages * machine.page_size)}"
    if is_unlimited(scope.totalpages):
        pages = "totalpages without a limit"
    if scope.memcg is not None:
        pages += f" for {described(ranking.snapshot, scope.memcg)}"
    elif machine.ram_pages is not None and machine.swap_pages is not None:
        ram, swap = (human(p * machine.page_size) for p in (machine.ram_pages, machine.swap_pages))
        pages += f" (RAM {ram} + swap {swap})"
    rules = f"rules: {era.label}, by {era.evidence}"
    if era.asked_for:
        rules = f"rules of {era.release} as asked: {era.label}"
    return printable(f"Linux {release}; {rules}; {pages}.")
