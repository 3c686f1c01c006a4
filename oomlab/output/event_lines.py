"""What an event's text says of who asked, who died, whether rightly, and of its memory."""

from __future__ import annotations

from ..analysis.asking import purpose_of
from ..analysis.causes.limits import owner_of
from ..analysis.composition import badness_shares
from ..analysis.events import Event
from ..kernel.gfp import flag_names
from ..kernel.score import Score
from ..report import OomReport, Victim
from ..units import KIB, duration, human, kib_to_bytes
from .report import victim_rss_kib, where

_VICTIMS = 20


def killed(event: Event) -> list[str]:
    """Return who died, and what came of it."""
    report = event.report
    lines = [
        f"{victim.pid} ({victim.comm}){_memory(victim)}{_share(event, victim)}"
        for victim in report.victims[:_VICTIMS]
    ]
    if len(report.victims) > _VICTIMS:
        lines.append(f"and {len(report.victims) - _VICTIMS} more")
    if report.group_memcg is not None:
        lines.append(f"all of {report.group_memcg} had to die: memory.oom.group is set there")
    if report.panic is not None:
        lines.append(f"the kernel panicked: {report.panic}")
    elif report.no_killable and not report.victims:
        lines.append("nobody: the kernel found no process that it may kill")
    return lines or ["not told: no kill line is there"]


def _memory(victim: Victim) -> str:
    parts = [
        f"{name} {human(kib * KIB)}"
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


def _share(event: Event, victim: Victim) -> str:
    held, ranking = victim_rss_kib(victim), event.ranking
    ram = event.ram_pages
    if held is None or ranking is None or not ram:
        return ""
    percent = held * KIB * 100 // (ram * event.page_size)
    return f"; {percent} % of RAM" if percent and not event.report.is_memcg else ""


def whose(report: OomReport) -> str:
    """Return whose memory ran out, and under which constraint."""
    if report.is_memcg:
        owner = owner_of(report.oom_memcg or "")
        return f"the limit of memory cgroup {where(report)}" + (f", {owner}" if owner else "")
    constraint = (report.constraint or "").removeprefix("CONSTRAINT_")
    bound = {
        "CPUSET": " as far as a cpuset allows it",
        "MEMORY_POLICY": " as far as a memory policy allows it",
    }
    return f"the machine's memory{bound.get(constraint, '')}"


def asked(report: OomReport, page_size: int) -> str | None:
    """Return who asked for how much of which memory, and what for."""
    trigger = report.trigger
    if trigger is None:
        return None
    flags = "|".join(flag_names(trigger.gfp_mask or 0, trigger.gfp_flags, report.release) or ())
    who = f"{trigger.comm or 'a task'}" + (f" ({trigger.pid})" if trigger.pid else "")
    if trigger.order == -1:
        return f"{who}, for a kill by hand (sysrq-f)"
    pages = 1 << min(max(trigger.order or 0, 0), 64)
    piece = "1 page" if pages == 1 else f"{pages} pages in one piece"
    piece += f" ({human(pages * page_size)})"
    purpose = purpose_of(report.stack)
    what = f"{piece} for {purpose}" if purpose else piece
    mask = "?" if trigger.gfp_mask is None else f"{trigger.gfp_mask:#x}"
    return f"{who}, {what}; gfp_mask {mask} {flags}".rstrip()


def verdict(event: Event) -> list[str]:
    """Return whether the model's choice is the kernel's, and what the printed score says."""
    told, rules = event.verdict, ""
    if event.ranking is not None:
        rules = f" by the rules of this kernel, {event.ranking.era.label}"
    if told.agrees:
        lines = [f"right{rules}" + (f": {told.why_not}" if told.why_not else "")]
    elif told.pid is None:
        return [f"none: {told.why_not}"]
    elif told.agrees is None:
        lines = [f"open: the model's first is {told.pid} ({told.comm}); {told.why_not}"]
    else:
        lines = [f"the model would have chosen {told.pid} ({told.comm}){rules}: {told.why_not}"]
    return lines + _score(event)


def _score(event: Event) -> list[str]:
    told = event.verdict
    printed, between = told.printed_score, told.modelled_range
    if printed is None:
        return []
    if between is not None:
        fits = "fits what" if between[0] <= printed <= between[1] else "does not fit what"
        return [f"its score {printed} {fits} the table allows, {between[0]} to {between[1]}"]
    if told.modelled_score is None:
        return []
    if printed != told.modelled_score:
        return [f"the kernel printed score {printed}, the table gives {told.modelled_score}"]
    reported = event.snapshot.reported if event.snapshot is not None else None
    if reported is not None and reported.is_fitted:
        shown = reported.evidence.rpartition(" shows: ")[2]
        return [f"its score {printed} told what the report leaves out: {shown}"]
    return [f"its score {printed} is computed exactly"]


def badness(event: Event) -> str | None:
    """Return the summands of the chosen process's badness, None where they are not known."""
    ranking, told = event.ranking, event.verdict
    if ranking is None or not ranking.era.facts.in_pages:
        return None
    score = next((one for one in ranking if one.task.pid == told.pid), None)
    if score is None or score.badness is None or score.low != score.high:
        return None
    page = event.page_size
    names = {"rss": "RSS", "anon": "anonymous", "file": "files"}
    shares = [one for one in badness_shares(ranking, score) or () if one.pages]
    summands = " + ".join(
        f"{names.get(one.name, one.name)} {human(one.pages * page)}" for one in shares
    )
    who = f"{human(score.badness * page)} of {told.pid} ({told.comm})"
    return f"{who} = {summands.replace('+ oom_score_adj -', '- oom_score_adj ')}"


def spared(event: Event) -> str | None:
    """Return which process held more than the chosen one, and why it was not chosen."""
    ranking, told = event.ranking, event.verdict
    if ranking is None or not told.agrees or ranking.era.facts.formula == "legacy":
        return None
    chosen = next((one for one in ranking if one.task.pid == told.pid), None)
    largest = max(ranking, key=_held, default=None)
    if chosen is None or largest is None or _held(largest) <= _held(chosen):
        return None
    task = largest.task
    why = largest.why_not or f"oom_score_adj {task.oom_score_adj}, not {chosen.task.oom_score_adj}"
    if largest.killable and task.oom_score_adj == chosen.task.oom_score_adj:
        return None
    size = human(_held(largest) * event.page_size)
    return f"{task.pid} ({task.comm}) holds more ({size}), but: {why}"


def _held(score: Score) -> int:
    task = score.task
    return (task.rss_pages or 0) + (task.swap_pages or 0)


def memory(event: Event) -> str | None:
    """Return what the machine's memory was used for, in one sentence."""
    state, page = event.report.memory, event.page_size
    if state is None or not state.totals_pages:
        return None
    totals = state.totals_pages

    def of(*names: str) -> int | None:
        return sum(totals[n] for n in names) if all(n in totals for n in names) else None

    parts = [
        f"{name} {human(pages * page)}"
        for name, pages in (
            ("anonymous and shared", of("active_anon", "inactive_anon")),
            ("files", of("active_file", "inactive_file")),
            (
                "slab",
                of("slab") if "slab" in totals else of("slab_reclaimable", "slab_unreclaimable"),
            ),
            ("page tables", of("pagetables")),
            ("free", of("free")),
        )
        if pages is not None
    ]
    if state.swap_total_kib is not None:
        total, left = state.swap_total_kib * KIB, kib_to_bytes(state.swap_free_kib)
        free = "" if left is None else f", {human(left)} of it free"
        parts.append(f"swap {human(total)}{free}" if total else "no swap")
    held = sum(row.rss_pages or 0 for row in event.report.processes)
    if held:
        parts.append(f"the RSS of all processes adds up to {human(held * page)}")
    ram = "" if event.ram_pages is None else f"RAM {human(event.ram_pages * page)}: "
    return f"{ram}{', '.join(parts)}"


def moment(report: OomReport) -> str:
    """Return when it was, as the log tells it and after how long."""
    seconds = report.uptime_seconds
    after = "" if seconds is None else f" ({duration(seconds)} after boot)"
    if report.time is not None:
        return report.time + after
    return "time not told" if seconds is None else f"[{seconds:.6f}]{after}"
