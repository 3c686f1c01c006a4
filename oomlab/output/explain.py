"""One process explained, as text: the answer first, then where its memory is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..analysis.allocator import unknown_reason
from ..analysis.composition import KindTotal, Share, largest, total
from ..analysis.explain import Explanation
from ..analysis.faults import fault_meaning
from ..analysis.freeing import Freeing, Part
from ..analysis.mappings import MEANINGS, Kind
from ..analysis.origin import origin_text
from ..analysis.tunables import RETURNS
from ..mappings import Mapping
from ..units import human
from .bars import bar
from .rank_rows import size
from .ranking import rules_line
from .render import Screen, render_table
from .tables import Column, Table

_BAR = 32


def explain_text(one: Explanation, screen: Screen, count: int) -> str:
    """Return the whole explanation, with the ``count`` largest mappings."""
    parts = [_answer(one, screen), _badness(one, screen)]
    if one.space is not None:
        parts += [_kinds(one, screen), _freeing(one, screen), _largest(one, screen, count)]
        parts += [_sizes(one, screen), _faults(one, screen)]
        parts.append(_allocator(one, screen))
    parts.append(_settings(one, screen))
    return "\n".join(part for part in parts if part)


def _lines(screen: Screen, *sentences: str) -> str:
    """Render sentences fitted to the screen."""
    nothing: Table[Any] = Table(columns=(), rows=(), heading=sentences)
    return render_table(nothing, screen)


def _answer(one: Explanation, screen: Screen) -> str:
    task, score = one.task, one.score
    who = f"{task.pid} ({task.comm}), user {task.user or task.euid}"
    if not score.killable:
        return _lines(screen, f"{who}: the kernel never kills it: {score.why_not}.", *_rules(one))
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
    return _lines(screen, f"{who}: {where}; badness {uses}; {next_}.", *_rules(one))


def _rules(one: Explanation) -> list[str]:
    return [rules_line(one.ranking)]


def _badness_size(one: Explanation) -> str:
    score = one.score
    if score.badness is None:
        return "unknown"
    if one.ranking.era.facts.formula in ("pages", "signed"):
        about = "~" if score.low != score.high else ""
        return f"{human(score.badness * one.page_size)}{about} (oom_score {score.oom_score})"
    return f"{score.badness} (oom_score {score.oom_score})"


SHARE_NOTES = {
    "anon": "heap, stacks, private writes",
    "file": "mapped files and programs",
    "shmem": "tmpfs and shared memory that it maps",
    "swap": "swapped out",
    "page tables": "what maps it",
}


def _badness(one: Explanation, screen: Screen) -> str:
    if one.shares is None:
        why = "its memory is unknown" if one.task.rss_pages is None else "these rules don't add up"
        return _lines(screen, f"No shares of badness: {why}.") if one.score.killable else ""
    formula = one.ranking.era.facts.formula
    in_pages = formula in ("pages", "signed")
    most = max((abs(share.pages) for share in one.shares), default=0)
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
            value=lambda s: bar(s.pages, most, _BAR),
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


KIND_COLUMNS: tuple[Column[KindTotal], ...] = (
    Column(name="kind", header="KIND", help="what for", value=lambda k: k.kind.value, left=True),
    Column(name="mappings", header="MAPPINGS", help="how many", value=lambda k: k.mappings, keep=3),
    Column(
        name="size",
        header="SIZE",
        key="size_bytes",
        help="address space",
        value=lambda k: k.size,
        show=lambda k: human(k.size),
    ),
    Column(
        name="rss",
        header="RSS",
        key="rss_bytes",
        help="in memory",
        value=lambda k: k.rss,
        show=lambda k: size(k.rss),
    ),
    Column(
        name="pss",
        header="PSS",
        key="pss_bytes",
        help="shared pages divided by their users",
        value=lambda k: k.pss,
        show=lambda k: size(k.pss),
    ),
    Column(
        name="private_dirty",
        header="PRIVATE DIRTY",
        key="private_dirty_bytes",
        help="written, and mapped nowhere else",
        value=lambda k: k.private_dirty,
        show=lambda k: size(k.private_dirty),
    ),
    Column(
        name="swap",
        header="SWAP",
        key="swap_bytes",
        help="swapped out",
        value=lambda k: k.swap,
        show=lambda k: size(k.swap),
    ),
    Column(
        name="meaning",
        header="WHAT IT IS",
        help="in words",
        value=lambda k: MEANINGS[k.kind],
        left=True,
        keep=1,
        flexible=True,
    ),
)


def kinds_table(one: Explanation) -> Table[KindTotal]:
    """Return the table of mappings by kind."""
    return Table(columns=KIND_COLUMNS, rows=one.totals, heading=("Its memory by kind of mapping:",))


def _kinds(one: Explanation, screen: Screen) -> str:
    space = one.space
    if space is None:
        return ""
    if not space.mappings:
        denied = bool(space.gaps)
        why = "its mappings may not be read (be root or its user)" if denied else "it maps nothing"
        return _lines(screen, f"No memory by kind: {why}.")
    return render_table(kinds_table(one), screen) + _lines(screen, *_sums(one))


def _sums(one: Explanation) -> Iterator[str]:
    """Say what all kinds sum to, and what the counters say of the same."""
    space = one.space
    assert space is not None
    if not space.has_sizes:
        yield "smaps could not be read: address space only."
        return
    rss, pss = total(space, "rss") or 0, total(space, "pss")
    counted = None if one.task.rss_pages is None else one.task.rss_pages * one.page_size
    same = "as VmRSS says" if counted == rss else f"VmRSS says {size(counted)}"
    yield f"Together {human(rss)} RSS ({same}), {size(pss)} PSS."
    parts = {
        "locked in memory": total(space, "locked"),
        "in transparent huge pages": _huge(one),
        "given back with MADV_FREE but not yet taken": total(space, "lazyfree"),
        "merged by KSM or shared since fork": _shared_anon(one),
    }
    said = [f"{human(value)} {name}" for name, value in parts.items() if value]
    if said:
        yield f"Of that: {', '.join(said)}."


def _huge(one: Explanation) -> int:
    assert one.space is not None
    names = ("anon_huge", "shmem_huge", "file_huge")
    return sum(total(one.space, name) or 0 for name in names)


def _shared_anon(one: Explanation) -> int:
    if one.freeing is None:
        return 0
    return sum(part.low for part in one.freeing.kept if part.name.startswith("anonymous"))


def _range(low: int, high: int) -> str:
    if low == high:
        return human(low)
    return f"up to {human(high)}" if not low else f"{human(low)} to {human(high)}"


def _freeing(one: Explanation, screen: Screen) -> str:
    freeing = one.freeing
    if freeing is None:
        return ""
    parts = [
        _freed_sentence(one, freeing),
        *(_part("frees", part) for part in freeing.freed if part.high),
    ]
    if freeing.swap is not None and freeing.swap.high:
        parts.append(_part("frees", freeing.swap))
    parts += [_part("keeps", part) for part in freeing.kept]
    return _lines(screen, *parts)


def _freed_sentence(one: Explanation, freeing: Freeing) -> str:
    task = one.task
    pages = (task.rss_pages or 0) + (task.swap_pages or 0)
    charged = pages * one.page_size + (task.pagetable_bytes or 0)
    text = f"Killing it would free {_range(freeing.low, freeing.high)} of RAM"
    return f"{text}; it is charged for {human(charged)} (RSS, swap and page tables):"


def _part(verb: str, part: Part) -> str:
    why = f" ({part.why})" if part.why else ""
    return f"  {verb} {_range(part.low, part.high):>8}  {part.name}{why}"


_Entry = tuple[Mapping, Kind]
_LARGEST: tuple[Column[_Entry], ...] = (
    Column(
        name="address",
        header="ADDRESS",
        help="where it begins",
        value=lambda e: f"{e[0].start:x}",
        left=True,
        keep=4,
    ),
    Column(
        name="size", header="SIZE", help="", value=lambda e: e[0].size,
        show=lambda e: human(e[0].size),
    ),
    Column(
        name="rss", header="RSS", help="", value=lambda e: e[0].sizes.rss if e[0].sizes else None,
        show=lambda e: size(e[0].sizes.rss if e[0].sizes else None),
    ),
    Column(name="kind", header="KIND", help="", value=lambda e: e[1].value, left=True),
    Column(
        name="path", header="FILE", help="", value=lambda e: e[0].path, left=True, flexible=True
    ),
)  # fmt: skip


def _largest(one: Explanation, screen: Screen, count: int) -> str:
    if one.space is None or not one.space.mappings or not count:
        return ""
    rows = largest(one.space, one.kinds, count)
    return render_table(
        Table(columns=_LARGEST, rows=rows, heading=("Its largest mappings:",)), screen
    )


def _sizes(one: Explanation, screen: Screen) -> str:
    """Say what VIRT, RES, SHR and PSS of it are, and why they differ."""
    vitals = one.files.vitals if one.files else None
    if vitals is None or not vitals.total_vm_pages or one.space is None:
        return ""
    page = one.page_size
    virt, res = vitals.total_vm_pages * page, (vitals.resident_pages or 0) * page
    shr = (vitals.shared_pages or 0) * page
    lines = ["Why top's sizes differ:", f"  VIRT {human(virt):>5}  {_virt(one)}"]
    lines.append(f"  RES  {human(res):>5}  in memory now; pages shared with others count whole")
    elsewhere = ""
    shared = [total(one.space, name) for name in ("shared_clean", "shared_dirty")]
    if None not in shared:
        now = sum(value or 0 for value in shared)
        elsewhere = f"; {human(now)} of RES is mapped elsewhere too now"
    lines.append(f"  SHR  {human(shr):>5}  file and shmem pages, which may be shared{elsewhere}")
    pss = total(one.space, "pss")
    if pss is not None:
        lines.append(f"  PSS  {human(pss):>5}  RES with each page divided by its users")
    return _lines(screen, *lines)


def _virt(one: Explanation) -> str:
    if not one.totals:
        return "all address space, used or not"
    closed = sum(k.size for k in one.totals if k.kind is Kind.RESERVED)
    closed += sum(m.size for m, _ in _closed_arenas(one))
    text = f"all address space: {human(closed)} reserved without access"
    assert one.space is not None
    rss, swap = total(one.space, "rss"), total(one.space, "swap")
    if rss is None:
        return text
    untouched = sum(k.size for k in one.totals) - closed - rss - (swap or 0)
    return f"{text}, {human(max(0, untouched))} never touched or given back"


def _closed_arenas(one: Explanation) -> Iterator[_Entry]:
    assert one.space is not None
    for entry in zip(one.space.mappings or (), one.kinds, strict=True):
        if entry[1] is not Kind.RESERVED and not entry[0].accessible:
            yield entry


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
    return _lines(screen, text, *meaning)


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
    return _lines(screen, *lines)


def _settings(one: Explanation, screen: Screen) -> str:
    origin, lines = one.origin, []
    lines.append(f"Settings: {origin_text(one.origin)}.")
    if origin.unit:
        ask = f"systemctl show -p OOMScoreAdjust {origin.unit}"
        lines.append(f"It runs in systemd unit {origin.unit}, which may set it too ({ask}).")
    if origin.container:
        lines.append(f"It runs in container or pod {origin.container}, whose runtime may set it.")
    memory = one.task.cgroup_path("memory") or one.task.cgroup_path("")
    if memory:
        lines.append(f"Memory cgroup: {memory}.")
    if one.space is None:
        lines.append(
            "A snapshot does not hold mappings, faults or the allocator: "
            "explain them on the machine itself."
        )
    return _lines(screen, *lines)
