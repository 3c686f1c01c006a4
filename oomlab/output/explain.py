"""One process explained, as text: the answer first, then where its memory is."""

from __future__ import annotations

from ..analysis.allocator import unknown_reason
from ..analysis.composition import Share
from ..analysis.explain import Explanation
from ..analysis.faults import fault_meaning
from ..analysis.origin import ask_systemd, origin_text, unit_text
from ..analysis.tunables import RETURNS
from ..units import human
from .bars import bar, bar_columns
from .explain_kinds import kinds_text
from .explain_memory import freeing_text, largest_text, sizes_text
from .layout import Screen
from .ranking import rules_line
from .render import render_lines, render_table
from .standing import COLUMNS as STANDING_COLUMNS
from .standing import standing_rows, standing_table
from .tables import Column, Table

_BAR = 32


def explain_text(one: Explanation, screen: Screen, count: int) -> str:
    """Return the whole explanation, with the ``count`` largest mappings."""
    parts = [_answer(one, screen), _badness(one, screen)]
    if one.space is not None:
        parts += [
            kinds_text(one, screen),
            freeing_text(one, screen),
            largest_text(one, screen, count),
        ]
        parts += [sizes_text(one, screen), _faults(one, screen)]
        parts.append(_allocator(one, screen))
    parts += [_scopes(one, screen), _settings(one, screen)]
    return "\n".join(part for part in parts if part)


def _answer(one: Explanation, screen: Screen) -> str:
    task, score = one.task, one.score
    who = f"{task.pid} ({task.comm}), user {task.user or task.euid}"
    if not score.killable:
        never = f"{who}: the kernel never kills it: {score.why_not}."
        return render_lines(screen, never, rules_line(one.ranking))
    best, worst = one.ranking.places(score)
    place = str(best) if best == worst else f"{best} to {worst}"
    where = f"place {place} of {len(one.ranking.killable)} in the kernel's order"
    uses = _badness_size(one)
    more = one.ranking.pages_to_first(score)
    if best == worst == 1:
        next_ = "it would be killed if memory ran out now"
    elif more is None:
        next_ = "no amount of memory would make it the first"
    else:
        next_ = f"with {human(more * one.page_size)} more it would be killed first"
    return render_lines(
        screen, f"{who}: {where}; badness {uses}; {next_}.", rules_line(one.ranking)
    )


def _badness_size(one: Explanation) -> str:
    score = one.score
    if score.badness is None:
        return "unknown"
    if one.ranking.era.facts.in_pages:
        about = "~" if score.low != score.high else ""
        return f"{human(score.badness * one.page_size)}{about} (oom_score {score.oom_score})"
    return f"{score.badness} (oom_score {score.oom_score})"


SHARE_NOTES = {
    "anon": "heap, stacks, private writes",
    "file": "mapped files and programs",
    "shmem": "tmpfs and shared memory mapped",
    "swap": "swapped out",
    "page tables": "what maps it",
}


def _badness(one: Explanation, screen: Screen) -> str:
    if one.shares is None:
        why = "its memory is unknown" if one.task.rss_pages is None else "these rules don't add up"
        return render_lines(screen, f"No shares of badness: {why}.") if one.score.killable else ""
    formula = one.ranking.era.facts.formula
    in_pages = one.ranking.era.facts.in_pages
    most = max((abs(share.pages) for share in one.shares), default=0)
    longest = bar_columns(screen, _BAR)
    columns: list[Column[Share]] = [
        Column(name="share", header="SHARE", help="", value=lambda s: s.name, left=True),
        Column(name="pages", header="PAGES", help="", value=lambda s: s.pages),
        Column(
            name="size",
            header="SIZE",
            help="",
            value=lambda s: s.pages,
            show=lambda s: human(s.pages * one.page_size),
        ),
        Column(
            name="bar",
            header="",
            help="",
            value=lambda s: bar(s.pages, most, longest),
            left=True,
            keep=2,
        ),
        Column(
            name="note",
            header="",
            help="",
            value=lambda s: s.why or SHARE_NOTES.get(s.name, ""),
            left=True,
            keep=1,
            flexible=True,
            least=24,
        ),
    ]
    shown = [share for share in one.shares if share.pages or share.name in SHARE_NOTES]
    total_pages = sum(share.pages for share in shown)
    heading = "What counts against it:"
    if not in_pages:
        heading = f"What counts against it, before it becomes thousandths ({formula}):"
    elif one.score.killable:
        shown.append(Share("= badness", total_pages))
    return render_table(Table(columns=columns, rows=shown, heading=(heading,)), screen)


def _faults(one: Explanation, screen: Screen) -> str:
    vitals = one.files.vitals if one.files else None
    if vitals is None or one.rates is None:
        return ""
    rates = one.rates
    when = f"in {rates.seconds:.1f} s" if rates.measured else "since it began, on average"
    text = (
        f"Page faults: {vitals.minor_faults} minor (memory mapped at first touch), "
        f"{vitals.major_faults} major (waited for disk or swap); "
        f"{rates.minor:.1f} and {rates.major:.1f} a second {when}."
    )
    meaning = fault_meaning(rates, one.page_size) if rates.measured else []
    return render_lines(screen, text, *meaning)


def _allocator(one: Explanation, screen: Screen) -> str:
    """Say which allocators it uses, what they do with freed memory, and how they are set."""
    space, files = one.space, one.files
    if space is None or files is None or not space.mappings:
        return ""
    lines = []
    for found in one.allocators:
        own = "" if found.is_malloc else ", for itself"
        lines.append(f"Allocator: {found.name}{own} ({found.evidence}); {RETURNS[found.key]}.")
    if not one.allocators:
        lines.append(f"Allocator: unknown: {unknown_reason(space, files.elves)}.")
    elif files.elves is None:
        lines.append("By names of libraries only: what is linked in is unknown.")
    keys = {found.key for found in one.allocators}
    for tunable in one.tunables:
        idle = "" if tunable.allocator in keys else " (no effect here: another allocator)"
        where = "" if tunable.where == tunable.name else f"{tunable.where}: "
        setting = tunable.value if tunable.allocator == "jvm" else f"{tunable.name}={tunable.value}"
        lines.append(f"  {where}{setting}: {tunable.effect}{idle}")
    if files.tunables is None:
        lines.append("Its environment may not be read: settings are unknown.")
    elif not one.tunables:
        lines.append("No setting of it in the environment that it was started with.")
    return render_lines(screen, *lines)


def _scopes(one: Explanation, screen: Screen) -> str:
    rows = standing_rows(one.ranking.snapshot, one.task, one.scopes)
    return render_table(standing_table(one.task, rows, STANDING_COLUMNS, fixed=False), screen)


def _settings(one: Explanation, screen: Screen) -> str:
    origin, lines = one.origin, []
    setting = one.files.unit_setting if one.files else None
    lines.append(f"Settings: {origin_text(origin, setting)}.")
    if setting is not None:
        if setting.oom_score_adj is None or setting.oom_score_adj != origin.oom_score_adj:
            text = unit_text(setting)
            lines.append(f"{text[0].upper()}{text[1:]}.")
    elif origin.unit:
        ask = ask_systemd(origin.unit)
        lines.append(f"It runs in systemd unit {origin.unit.name}, which may set it too ({ask}).")
    if origin.container:
        lines.append(f"It runs in container {origin.container}, whose engine may set it too.")
    if one.space is None:
        lines.append(
            "A snapshot does not hold mappings, faults or the allocator: "
            "explain them on the machine itself."
        )
    return render_lines(screen, *lines)
