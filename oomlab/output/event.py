"""One event in full, as text: what happened, whom it hit, whether rightly, why, what to do."""

from __future__ import annotations

from ..analysis.events import Event
from ..kernel.gfp import flag_names
from ..report import OomReport, Victim
from ..units import human
from .escape import printable
from .rank_columns import default_columns
from .rank_rows import ranking_rows
from .ranking import ranking_table
from .render import Screen, render_table
from .report import size_kib, when, where


def event_text(event: Event, screen: Screen, count: int) -> str:
    """Return the whole story of one event, with the first ``count`` tasks of the ranking."""
    lines = [*_head(event), "", *_request(event.report), *_killed(event.report), *_verdict(event)]
    if event.causes:
        lines += ["", "Why memory ran out:"]
    for number, cause in enumerate(event.causes, 1):
        lines.append(f"{number:3}. {cause.cause}")
        lines += [f"       {item}" for item in cause.evidence]
        lines.append(f"     > {cause.advice}")
    lines += _gaps(event)
    text = "".join(f"{printable(line)}\n" for line in lines)
    return text + _tasks(event, screen, count)


def _head(event: Event) -> list[str]:
    report = event.report
    kernel = report.release or "unknown release"
    host = f" on {report.host}" if report.host else ""
    first = f"Event {event.index}: {when(report)}{host}, Linux {kernel}"
    place = f"{report.source}, line {report.line}"
    return [f"{first} ({place})."] + ([f"Hardware: {report.hardware}."] if report.hardware else [])


def _request(report: OomReport) -> list[str]:
    trigger = report.trigger
    what = "the machine" if not report.is_memcg else f"memory cgroup {where(report)}"
    constraint = (report.constraint or "").removeprefix("CONSTRAINT_")
    bound = f" ({constraint})" if constraint in ("CPUSET", "MEMORY_POLICY") else ""
    if trigger is None:
        return [f"Out of memory: {what}{bound}; the line that says who asked is missing."]
    flags = "|".join(flag_names(trigger.gfp_mask, trigger.gfp_flags, report.release) or ())
    who = f"{trigger.comm or 'a task'}" + (f" ({trigger.pid})" if trigger.pid else "")
    if trigger.order == -1:
        asked = "called for the OOM killer by hand (sysrq-f)"
    else:
        pages = "?" if trigger.order is None else str(1 << min(trigger.order, 64))
        asked = f"asked for {pages} page{'' if pages == '1' else 's'} in one piece"
    return [f"Out of memory: {what}{bound}. {who} {asked}; gfp_mask {trigger.gfp_mask:#x} {flags}."]


def _killed(report: OomReport) -> list[str]:
    lines = []
    for number, victim in enumerate(report.victims[:50]):
        also = "Also killed" if number else "Killed"
        lines.append(f"{also}: {victim.pid} ({victim.comm}){_memory(victim)}.")
    if len(report.victims) > 50:
        lines.append(f"and {len(report.victims) - 50} more.")
    if report.group_memcg is not None:
        lines.append(f"All of {report.group_memcg} had to die: memory.oom.group is set there.")
    if report.panic is not None:
        lines.append(f"The kernel panicked: {report.panic}.")
    elif report.no_killable and not report.victims:
        lines.append("The kernel found no process that it may kill.")
    return lines


def _memory(victim: Victim) -> str:
    parts = [
        f"{name} {size_kib(kib)}"
        for name, kib in (
            ("anonymous", victim.rss_anon_kib),
            ("files", victim.rss_file_kib),
            ("shared", victim.rss_shmem_kib),
            ("page tables", victim.pagetable_kib),
        )
        if kib is not None
    ]
    adj = "" if victim.oom_score_adj is None else f"; oom_score_adj {victim.oom_score_adj}"
    uid = "" if victim.uid is None else f", uid {victim.uid}"
    return f"{uid}: {', '.join(parts)}{adj}" if parts else uid


def _verdict(event: Event) -> list[str]:
    verdict = event.verdict
    if verdict.agrees:
        rules = event.ranking.era.label if event.ranking is not None else ""
        said = f"Rightly so by its rules ({rules}): it has the highest badness"
        return [f"{said}; {verdict.why_not}." if verdict.why_not else f"{said}.", *_score(event)]
    if verdict.pid is None or verdict.agrees is None:
        name = "" if verdict.pid is None else f"The model chooses {verdict.pid} ({verdict.comm}); "
        return [f"{name or 'No verdict: '}{verdict.why_not}."]
    return [
        f"The model would have chosen {verdict.pid} ({verdict.comm}): {verdict.why_not}.",
        *_score(event),
    ]


def _score(event: Event) -> list[str]:
    verdict = event.verdict
    printed, between = verdict.printed_score, verdict.modelled_range
    if printed is None:
        return []
    if between is not None:
        fits = "fits: from" if between[0] <= printed <= between[1] else "does not fit: from"
        return [f"The kernel's score {printed} {fits} {between[0]} to {between[1]} by the table."]
    if verdict.modelled_score is None:
        return []
    if printed != verdict.modelled_score:
        return [f"The kernel printed score {printed}, the table gives {verdict.modelled_score}."]
    reported = event.snapshot.reported if event.snapshot is not None else None
    if reported is not None and reported.is_fitted:
        told = reported.evidence.rpartition(" shows: ")[2]
        return [f"Its score {printed} told what the report leaves out ({told})."]
    return [f"Its score {printed} is exactly so."]


def _gaps(event: Event) -> list[str]:
    lines = [f"Not in the report: {gap}." for gap in event.gaps]
    unparsed = len(event.report.unparsed)
    if unparsed:
        lines.append(f"{unparsed} lines inside it were not recognised (see --format json).")
    return ["", *lines] if lines else []


def _tasks(event: Event, screen: Screen, count: int) -> str:
    if event.ranking is None:
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
