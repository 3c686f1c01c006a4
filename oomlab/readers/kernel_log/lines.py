r"""Every line of an out-of-memory report, one pattern each: the one table used everywhere.

A pattern matches the whole text of a line whose wrapping is off. To teach a new wording, add
or change one row. Sources are mm/oom_kill.c, mm/page_alloc.c, mm/show_mem.c, lib/show_mem.c,
mm/memcontrol.c and kernel/cgroup/cpuset.c of 2.6.11 to 7.3.
"""

# ruff: noqa: E501  # one row for each line of a report, however long
from __future__ import annotations

import re
from functools import cache
from typing import NamedTuple

_COMM = r".{0,64}?"
_FIELD = r"(?:[\w()]+ ?: ?-?\d+(?:kB|KB)|pages_scanned:\d+)"
_MORE = rf"(?:{_FIELD}|all_unreclaimable\? (?:yes|no))"
_MESSAGE = (
    r"(?:Out of [Mm]emory|Memory cgroup out of memory|Out of memory \(oom_kill_allocating_task\)"
    r"|No available memory \(MPOL_BIND\)|No available memory in cpuset|Out of memory in UB \d+)"
)
_CUT = "[>…]"
"""What a pager (``less -S``, journalctl) shows where a line goes on beyond the screen's edge."""
_NAME = rf"\((?P<comm>.*(?=\))|[^)]*(?={_CUT}$))\)?"
_WHOLE = rf"(?![\w{_CUT[1:]})"
"""After a number or word: it was not cut there."""
_TAINT = r"(?:Kdump: loaded )?(?:Not tainted|Tainted:)[A-Z ,-]*?"

LINES: tuple[tuple[str, str], ...] = (
    ("row", r"\[ *(?P<pid>\d+)\] +-?\d+ .*"),
    (
        "trace",
        r"(?:(?:\[<?[0-9a-f]+>?\] ?)+(?:\(<?[0-9a-f]*>?\) ?)?)?(?:\? )?\(?[\w.$<>~]+\+0x[0-9a-f]+(?:/0x[0-9a-f]+)?\)?(?: \[.*\])?(?: from .*)?(?: \(unreliable\)| \([A-Z]{1,4}\))?"
        r"|[\w.]+(?: \[\w+\])? from(?: [\w.]+\+0x.*)?|\([\w.]+\) from .*|(?:\? )?[\w.]+\??(?: |$)\([\w/.-]+\.[chS]:\d+.*\)|\[<?[0-9a-f]{8,16}>?\](?: .*)?"
        r"|entry_SYS\w+\+0x.*|\[(?:\w+:)?[\w.]+\+\w+/\w+\](?: .*)?"
        r"|(?:(?:\[?<[0-9a-f]*>\]? ?)?\{[\w.:+-]+\} ?)+(?:<[0-9a-f]+>)?",
    ),
    ("stat", r"(?P<name>[a-z][a-z_0-9]*) (?P<value>0|[1-9]\d*)"),
    (
        "trigger",
        rf"(?:(?P<comm>{_COMM}) invoked )?oom-killer: gfp_mask=(?:0x(?P<mask>[0-9a-f]{{1,16}}\**){_WHOLE}|(?=0?x?[0-9a-f]*{_CUT}$))(?:\((?P<names>[^)]*)\))?"
        rf"(?:, nodemask=(?P<nodemask>\(null\)|[\d,-]+{_WHOLE}))?(?:, +order=(?P<order>-?\d+){_WHOLE})?"
        rf"(?:, (?:oomkilladj|oom_adj)=(?P<adj>-?\d+){_WHOLE})?(?:, oom_score_adj=(?P<sadj>-?\d+){_WHOLE})?,?"
        rf"(?P<rest>\([\w|]*{_CUT}?|, *[a-z_]+(?:=[-(\w,]*)?{_CUT}?|, *{_CUT}|(?:0x)?[0-9a-f]*{_CUT}|)",
    ),
    ("policy", r"oom_policy=(?P<policy>.+)"),
    ("compaction", r"COMPACTION is disabled!!!"),
    ("cpuset", rf"(?P<comm>{_COMM}) cpuset=(?P<cpuset>.*) mems_allowed=(?P<mems>[\d,-]*)"),
    (
        "cpu",
        rf"CPU: *(?P<cpu>\d+) (?:UID: (?P<uid>\d+) )?PID: (?P<pid>\d+) Comm: (?P<comm>{_COMM}) (?P<taint>{_TAINT}),? +(?P<release>\d\S*)(?: (?P<build>#?\S.*))?",
    ),
    (
        "oldcpu",
        rf"Pid: (?P<pid>\d+), comm: +(?P<comm>{_COMM}) (?P<taint>{_TAINT}) *\(?(?P<release>\d\S*?)\)?(?: (?P<build>#?\S.*))?",
    ),
    ("taint", r"Tainted: \[[A-Z]\]=.*"),
    ("hardware", r"Hardware name: *(?P<hardware>.*)"),
    ("workqueue", r"Workqueue: (?P<workqueue>.*)"),
    (
        "trace_head",
        r"(?:Call [Tt]race:?(?: ?<(?:IRQ|EOI|NMI)>)?(?: *\[?<[0-9a-f]+>.*)?|Backtrace:|Stack:|Stack : ?.*|</?(?:TASK|IRQ|NMI|SOFTIRQ|EOI|IST|EOE|ENTRY_TRAMPOLINE|#\w+)>|Exception stack\(.*|=======+.*)\s*(?:\(.*\))?",
    ),
    (
        "register",
        r"(?:[RE]IP|RSP|ESP|EFLAGS|PKRU|DR\d|R[A-DS][XIP]|R\d\d|E[A-DS][XIP]|[CDEFGS]S|ORIG_RAX|CR\d|Code|PC|LR|NIP|CTR|pc|lr|sp|psr|pstate|[xr]\d{1,2}) ?: .*"
        r"|(?:r\d{1,2}:[0-9a-f]{8} ?)+|(?:[0-9a-f]{8} ?){3,8}|(?:[0-9a-f]{16} ?){2,4}|[0-9a-f]{3,4}: .*|(?:<?[0-9a-f]{2}>? ?){2,40}|(?:[0-9a-f]{8} ?){1,8}|\[ ?(?:dump_)\w+ ?\].*|Modules linked in:.*|--- interrupt: .*|NIP \[.*|LR \[.*|LR = .*",
    ),
    ("meminfo", r"Mem-[Ii]nfo:"),
    ("percpu", r"(?:Node \d+ )?\w+ per-cpu:(?: empty)?|(?:CPU|cpu) +\d+:? .*(?:btch|batch).*"),
    ("free_pages", r"Free pages: +(?P<free>\d+)kB \((?P<high>\d+)kB HighMem\)"),
    (
        "hugepages",
        r"(?:Node (?P<node>\d+) )?hugepages_total=(?P<total>\d+) hugepages_free=(?P<free>\d+) hugepages_surp=(?P<surplus>\d+) hugepages_size=(?P<size>\d+)kB",
    ),
    ("node", rf"Node (?P<node>\d+) (?P<fields>active_anon ?: ?\d+kB(?: {_MORE})*)(?P<rest>.*)"),
    (
        "zone",
        rf"(?:Node (?P<node>\d+) )?(?P<zone>[A-Za-z]\w{{1,15}}) (?P<fields>free:\d+kB(?: {_MORE})*)(?P<rest>.*)",
    ),
    (
        "totals",
        r"(?P<fields>(?:[Aa]ctive|[Ii]nactive|unevictable|slab|mapped|sec_pagetables|kernel_misc|free|dirty)\w*:?\d+(?: [a-z_]+:? ?\d+)*)",
    ),
    ("reserve", r"(?:lowmem_reserve|protections)\[\]:(?: \d+)*"),
    (
        "buddy",
        r"(?:Node (?P<node>\d+) )?(?P<zone>\w{2,16}): (?P<list>(?:\d+\* ?\d+kB (?:\([A-Z]+\) )?)+)(?:= (?P<total>\d+)kB|(?P<rest>=.*|\d.*))",
    ),
    ("empty", r"(?:Node \d+ )?\w+: empty"),
    (
        "count",
        r"(?P<count>\d+) (?P<what>total pagecache pages|pages in swap cache|pages of RAM|pages RAM|free pages|pages of HIGHMEM"
        r"|pages HighMem(?:/MovableOnly)?|reserved pages|pages reserved|pages shared|pages non-shared|pages swap cached"
        r"|pages cma reserved|pages hwpoisoned|pages dirty|pages writeback|pages mapped|pages slab|pages pagetables"
        r"|pages in pagetable cache|pages bounce|slab pages|swap cached|cached pages|pages isolated)",
    ),
    (
        "swap_stats",
        r"Swap cache(?: stats)?: add (?P<add>\d+), delete (?P<delete>\d+), find (?P<hit>\d+)/(?P<find>\d+).*",
    ),
    ("swap_free", r"Free swap *[=:] *(?P<kib>-?\d+)kB"),
    ("swap_total", r"Total swap *[=:] *(?P<kib>\d+)kB"),
    (
        "slab_head",
        r"Unreclaimable slab info:|Name +Used +Total|excessive unreclaimable slab but cannot dump stats",
    ),
    ("slab", r"(?P<name>\S.{0,60}?) +(?P<used>\d+)KB +(?P<total>\d+)KB"),
    ("allocations_head", r"Memory allocations:"),
    ("allocation", r"(?P<size>\d[\d.]* ?[KMGT]?i?B?) +(?P<calls>\d+) +(?P<place>\S+:\d+ .*)"),
    ("protection", r"Memory cgroup min protection (?P<min>\d+)kB -- low protection (?P<low>\d+)kB"),
    ("task_in", r"Task in (?P<task>.*) killed as a result of limit of (?P<oom>.*)"),
    ("task_in_1", r"Task in (?P<task>/.*)"),
    ("task_in_2", r"killed as a result of limit of ?(?P<oom>/.*)?"),
    ("path", r"(?P<path>/\S*)"),
    ("limit_reached", r"Memory limit reached of cgroup (?P<oom>.*)"),
    (
        "usage",
        r"(?P<what>memory|memory\+swap|swap|kmem): usage (?P<usage>\d+)kB, limit (?P<limit>\d+)kB, failcnt (?P<failcnt>\d+)",
    ),
    (
        "stats",
        r"Memory cgroup stats(?: for (?P<path>.*?))?:(?P<fields>(?: ?[a-z]\w*:\d+KB)*)(?P<rest>(?: \w+(?::\d*K?)?)?)",
    ),
    ("state", r"Tasks state \(memory values in pages\):"),
    ("columns", r"\[ *pid *\] +uid +tgid +(?P<columns>[a-z_][\w() ]*?) name"),
    (
        "summary",
        r"oom-kill:constraint=(?P<constraint>[A-Z_]+),nodemask=(?P<nodemask>\(null\)|[\d,-]*)(?:,cpuset=(?>(?P<cpuset>.*?),mems_allowed=)(?P<mems>[\d,-]*))?"
        r"(?:,(?P<all>global_oom)|(?>,oom_memcg=(?P<oom>.*?)(?=,task_memcg=|,task=)))?(?>,task_memcg=(?P<memcg>.*?)(?=,task=))?,task=(?P<comm>.*),pid=(?P<pid>\d+),uid=(?P<uid>\d+)",
    ),
    # Some of it is whole even where the line was cut.
    (
        "cut_summary",
        r"oom-kill:constraint=(?P<constraint>CONSTRAINT_[A-Z_]+),(?P<rest>(?:nodemask=(?P<nodemask>\(null\)|[\d,-]*),(?:cpuset=(?>(?P<cpuset>.*?),mems_allowed=)(?P<mems>[\d,-]*),(?=[go]))?)?"
        r"(?:(?P<all>global_oom),|oom_memcg=(?>(?P<oom>.*?),(?=task_memcg=)))?.*)",
    ),
    ("sharing", r"Kill process (?P<pid>\d+) \((?P<comm>.*)\) sharing same memory"),
    (
        "announce",
        rf"(?P<message>{_MESSAGE}): [Kk]ill process (?P<pid>\d+) {_NAME}(?: score (?P<score>-?\d+){_WHOLE})?(?: or sacrifice child| or a child| and children\.?|(?P<rest>[ \w]*{_CUT}))?",
    ),
    (
        "kill",
        rf"(?:(?P<message>{_MESSAGE}): )?(?:K|OOM k)illed process (?P<pid>\d+)(?:, UID (?P<uid1>\d+),)? {_NAME}(?:, UID (?P<uid2>\d+){_WHOLE})?(?: score \d+(?= vm:))?(?P<fields>(?:,? (?:(?:total-vm|vsz|vm|anon-rss|file-rss|shmem-rss|pgtables|rss|swap):-?\d+kB|(?:UID|oom_score_adj):-?\d+{_WHOLE}))+|\.?)(?P<rest>(?:,? ?(?:total-vm|vsz|anon|file|shmem|UID|pgtables|oom_score).*)?,?|(?:[ ,][\w:, -]{{0,200}})?{_CUT})",
    ),
    (
        "exiting",
        rf"(?:{_MESSAGE}: )?OOM victim \d+ \(.*\) is already exiting.*|tried to kill (?:init!|an mm-less task.*)",
    ),
    (
        "reaper",
        r"oom_reaper: (?P<text>(?:reaped process|unable to reap pid:|giving up pid:) ?(?P<pid>\d+) .*)",
    ),
    ("pinned", r"oom killer \d+ \(.*\) has mm pinned by \d+ \(.*\)"),
    ("group", r"Tasks in (?P<path>.*) are going to be killed due to memory\.oom\.group set"),
    ("nobody", r"Out of memory and no killable processes\.\.\."),
    ("panic", r"(?:---\[ end )?Kernel panic - not syncing: (?P<text>.*)"),
    (
        "sysrq",
        r"(?:sysrq: )?(?:(?:SysRq : )?Manual OOM execution|OOM request ignored.*)|OOM killer (?:en|dis)abled\.",
    ),
    ("grepped", r"--"),
    ("lost", r"\*\* \d+ printk messages dropped \*\*"),
    ("fence", r"`{3,}[\w-]{0,16}|~{3,}|\{(?:code|noformat)(?:[:|].*)?\}"),
    (
        "elision",
        r"(?:\.{2,}|…|\[ ?(?:\.{2,}|…|snip\w*) ?\]|[<(]\.{0,3} ?(?:trim|snip|cut)\w* ?\.{0,3} ?[>)])",
    ),
)
"""Kind and pattern of each line; ``rest`` is what a cut or wrapped line leaves over."""


class Line(NamedTuple):
    """A recognised line: its kind and what its pattern found."""

    kind: str
    match: re.Match[str]

    @property
    def leftover(self) -> str:
        """Return what is left over of a line that was cut or wrapped, else nothing."""
        if self.kind not in _OPEN_ENDED:
            return ""
        return (self.match["rest"] or "").strip(" .…")


_TEXTS = dict(LINES)
_OPEN_ENDED = frozenset(kind for kind, pattern in LINES if "(?P<rest>" in pattern)
_PLAIN = re.compile(r"\?P<\w+>")
_ANY = re.compile(
    "|".join(f"(?P<{kind}>(?:{_PLAIN.sub('?:', pattern)})$)" for kind, pattern in LINES)
)
_PLAIN_KINDS = frozenset(kind for kind, pattern in LINES if "(?P<" not in pattern)
"""Kinds that tell nothing but themselves: their own pattern would say no more."""
_NO_NUMBER = re.compile(r"\d{20}")
"""No counter of the kernel has so many digits: the line is damaged."""
_MARKERS = re.compile(
    r"oom-killer: gfp_mask=|oom-kill:constraint=|[Kk]ill(?:ed)? process \d|no killable processes"
)


def classify(text: str) -> Line | None:
    """Return the report line that ``text`` is, or None. ``text`` has no blanks around it."""
    found = _ANY.match(text)
    if found is None or _NO_NUMBER.search(text):
        return None
    kind = found.lastgroup or ""
    if kind in _PLAIN_KINDS:
        return Line(kind, found)
    match = _pattern(kind).fullmatch(text)
    return None if match is None else Line(kind, match)


@cache
def _pattern(kind: str) -> re.Pattern[str]:
    return re.compile(_TEXTS[kind])


_STRAY_BLANKS = re.compile(r"(?<=\*) (?=\d+kB)|(?<=\)) (?=: ?\d)|(?<=\d) (?=kB)|(?<=\dk) (?=B )")
_TERMINAL_POSITION = re.compile(r"(?<! ) {8,}\[\d+/\d+\]$")
"""What tmux shows in the corner while one scrolls, and copies with the line."""
_BROKEN_SIZE = re.compile(r"(\*\d+) (\d+kB)")


def mended(text: str) -> str:
    """Return ``text`` without the blanks that a terminal or a mailer put into numbers."""
    text = _TERMINAL_POSITION.sub("", text).removesuffix("**")
    return _BROKEN_SIZE.sub(r"\1\2", _STRAY_BLANKS.sub("", text))


def looks_important(text: str) -> bool:
    """Tell whether an unrecognised line may be a damaged one that matters."""
    return _MARKERS.search(text) is not None


FIELDS = re.compile(r"([\w()]+) ?: ?(-?\d+)")
"""One counter of a node, zone or totals line: its name and its number."""
