"""One event in full, as text: what happened, whom it hit, whether rightly, why, what to do."""

from __future__ import annotations

from textwrap import wrap

from ..analysis.distribution import distribution_of
from ..analysis.events import Event
from ..units import human
from . import event_lines as say
from .escape import printable
from .event_tasks import unranked_tasks
from .layout import Screen
from .rank_columns import default_columns
from .rank_rows import ranking_rows
from .ranking import ranking_table
from .render import render_table

_LABEL = 10


def event_text(event: Event, screen: Screen, count: int) -> str:
    """Return the whole story of one event, with the first ``count`` tasks of the ranking."""
    lines = [*_head(event, screen), "", *_story(event, screen), *_causes(event, screen)]
    lines += _gaps(event, screen)
    return "".join(f"{line.rstrip()}\n" for line in lines) + _tasks(event, screen, count)


def _flow(text: str, screen: Screen, first: str = "", rest: str | None = None) -> list[str]:
    """Break a sentence into lines that fit the screen; what follows the first is indented."""
    safe, indent = printable(text), " " * len(first) if rest is None else rest
    if screen.columns is None:
        return [first + safe]
    return wrap(
        safe,
        max(screen.columns, 40),
        initial_indent=first,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    ) or [first]


def _head(event: Event, screen: Screen) -> list[str]:
    report = event.report
    host = f" on {report.host}" if report.host else ""
    kind = distribution_of(report.release)
    kernel = (report.release or "(not told)") + (f", {kind}" if kind else "")
    lines = [
        f"Event {event.index}: {say.moment(report)}{host}, Linux {kernel}",
        report.source if report.line is None else f"{report.source}, line {report.line}",
    ]
    if report.hardware:
        lines.append(report.hardware)
    if report.context is not None and (report.context.taint or "Not").find("Not tainted") < 0:
        reasons = f" ({report.taint_reasons})" if report.taint_reasons else ""
        lines.append(f"{report.context.taint}{reasons}")
    return [piece for line in lines for piece in _flow(line, screen, "", "  ")]


def _story(event: Event, screen: Screen) -> list[str]:
    facts: list[tuple[str, list[str]]] = [
        ("Killed", say.killed(event)),
        ("Out of", [say.whose(event.report)]),
        ("Asked by", [text] if (text := say.asked(event.report, event.page_size)) else []),
        ("Verdict", say.verdict(event)),
        ("Badness", [text] if (text := say.badness(event)) else []),
        ("Spared", [text] if (text := say.spared(event)) else []),
        ("Memory", [text] if (text := say.memory(event)) else []),
    ]
    lines = []
    for label, sentences in facts:
        for number, sentence in enumerate(sentences):
            first = f"{label:<{_LABEL}}" if number == 0 else " " * _LABEL
            lines += _flow(sentence, screen, first)
    return lines


def _causes(event: Event, screen: Screen) -> list[str]:
    if not event.causes:
        return []
    lines = ["", "Why memory ran out:"]
    for number, cause in enumerate(event.causes, 1):
        lines.append(f"{number:3}. {cause.cause}")
        for item in cause.evidence:
            lines += _flow(item, screen, "       ", "         ")
        lines += _flow(cause.advice, screen, "     > ")
    return lines


def _gaps(event: Event, screen: Screen) -> list[str]:
    said = list(event.gaps)
    unparsed = len(event.report.unparsed)
    if unparsed:
        were = "line inside it was" if unparsed == 1 else "lines inside it were"
        said.append(f"{unparsed} {were} not recognised (--format json has them)")
    if not said:
        return []
    lines = [piece for text in said for piece in _flow(text, screen, "  - ")]
    return ["", "What the report leaves open:", *lines]


def _tasks(event: Event, screen: Screen, count: int) -> str:
    if event.ranking is None:
        return unranked_tasks(event, screen, count)
    if not count:
        return ""
    ranking = event.ranking
    rows = ranking_rows(ranking, count, children=False)
    columns = [c for c in default_columns(rows) if c.name not in ("score", "children", "kernel")]
    table = ranking_table(ranking, rows, columns, fixed=False)
    size = human(ranking.scope.totalpages * ranking.snapshot.machine.page_size)
    total = f"totalpages {ranking.scope.totalpages} = {size}"
    head = f"\nTasks in the order of the kernel's choice ({total}):"
    body = render_table(
        type(table)(columns=table.columns, rows=table.rows, marked=table.marked), screen
    )
    left = len(ranking) - len(rows)
    tail = f"and {left} more (-n {len(ranking)}).\n" if left > 0 else ""
    return f"{head}\n{body}{tail}"
