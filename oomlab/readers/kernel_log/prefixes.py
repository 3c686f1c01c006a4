r"""What loggers, consoles, mailers and collectors put in front of a kernel line.

``PREFIXES`` is the one table: each row recognises one piece at the start of a line, and pieces
are taken off until none fits (``unwrap.py``). Nothing is counted in columns, so a prefix may
change its width or be missing from line to line.
"""

# ruff: noqa: E501  # one row for each piece, however long
from __future__ import annotations

from .times import CLOCK, MONTH

_ISO = rf"\d{{4}}(?:-\d\d-|/\d\d/)\d\d[T ]{CLOCK}(?: ?(?:Z|UTC|[+-]\d\d:?\d\d))?"
_TAG = r"(?:kernel|klogd|vmunix|kern)(?:\[(?:\d+|n/a)\])?:"

PREFIXES: tuple[tuple[str, str], ...] = (
    # What a line begins with before its logger's own words: mail, containers, editors, servers.
    ("quote", r"(?:>[ ]?)+(?=.)"),
    ("bold", r"\*\*(?=[A-Z][a-z]{2} |\[ *\d|\d{4}-)"),
    ("dropped", r"\*\* \d+ printk messages dropped \*\* (?= *\[)"),
    (
        "talos",
        r"(?:(?P<node>[\w.:-]{1,255}): )?(?:kern|user|daemon|syslog|auth): +(?:emerg|alert|crit|err|warning|notice|info|debug): (?=\[\d{4}-)",
    ),
    ("vmware", r"(?:\| )?(?:\w\w\(\d+\) )?vcpu-\d+(?: -|\|) (?:I\d+: )?Guest: "),
    ("dots", r"\.{3} (?= *\S)"),
    ("compose", r"[\w.-]{1,64} +\| "),
    ("before_json", r"(?:data: |- |[\w.-]{1,64}\t)(?=\{)"),
    ("labels", r"\{(?:\w{1,64}=\"[^\"]{0,256}\",? ?){1,32}\}[ \t]+"),
    ("logwatch", r"\d{1,6} Time\(s\): "),
    ("line_number", r"\d{1,9}\t"),
    (
        "severity",
        r"(?:DEFAULT|DEBUG|INFO|NOTICE|WARNING|WARN|ERROR|CRITICAL|ALERT|EMERGENCY)[ \t]+(?=\d{4}[-/]\d\d)",
    ),
    ("bom", "\ufeff"),
    ("export", r"MESSAGE="),
    ("export_length", r"[\s\S]{1,3}\x00{5,7}"),
    (
        "kmsg",
        r"\d{1,4},\d{1,20},(?P<usec>\d{1,18}),[^,;]{1,4}(?:,caller=(?P<kcaller>[TC]\d+))?[^;]{0,80};",
    ),
    (
        "rfc5424",
        rf"<\d{{1,3}}>1 (?:-|(?P<time5424>{_ISO})) (?:-|(?P<host5424>\S+)) \S+ \S+ \S+ (?:-|(?:\[[^\]]*\])+) ?(?:\ufeff)?",
    ),
    ("level", r"<\d{1,3}>"),
    (
        "facility",
        r"(?:kern|user|daemon|syslog)(?: *:(?:emerg|alert|crit|err|warn|notice|info|debug) *: |\.\w{3,7} +)",
    ),
    ("cri", r"(?:stdout|stderr) [FP] "),
    # GitLab puts a stream's number and letter between its time and the line.
    ("iso", rf"\[?(?:[A-Z][a-z]{{2}} )?(?P<iso>{_ISO})\]?[:,]?[ \t]*(?:\d\d[OE][ +])?"),
    (
        "short",
        rf"(?:[A-Z][a-z]{{2}} )?(?P<short>(?:\d{{4}} )?(?:{MONTH}|\d\d?[月월]|[^\W\d_]{{3,9}}\.?) +\d\d? (?:\d{{4}} )?{CLOCK}(?: \d{{4}})?(?: [A-Z]{{3,4}})?):?[ \t]+",
    ),
    # Month or day first: nobody knows, so it is told as it stands.
    ("numeric", rf"(?P<numeric>\d\d?[./]\d\d?[./]\d{{4}},? \d?{CLOCK[2:]}(?: [AP]M)?)[,;]?[ \t]+"),
    ("clock", rf"{CLOCK}[ \t]+"),
    ("unix", r"(?P<unix>1\d{9}\.\d{3,9}) "),
    ("epoch", r"(?P<epoch>1\d{12})[,\t ] ?"),
    ("human", rf"\[(?P<human>[^\[\]]{{2,28}}? {CLOCK}(?: (?:[A-Z]{{2,5}} )?\d{{4}})?)\] ?"),
    ("delta", r"\[ *\+\d+\.\d{1,9}\] ?"),
    ("reltime", rf"\[{MONTH} ?\d\d? \d\d:\d\d\] ?"),
    # Who copies from a terminal often misses the first letter.
    ("uptime", r"(?:\[ *|\A)(?:\d{1,3}-)?(?P<uptime>\d{1,10}\.\d{1,9})(?: *< *\d+\.\d+ *>)?\] ?"),
    ("caller", r"\[ *(?P<caller>[TC]\d{1,8})\] ?"),
    ("android", r"\[\d+: +[^\]\[]{1,20}: *\d+\] ?"),
    ("tag", rf"(?P<tag>{_TAG}) ?"),
    (
        "grep",
        rf"(?:[\w./-]{{1,200}}[:-])?(?:\d{{1,9}}[:\t -] *)?(?=\[ *\d+\.\d{{6}}|\[[A-Z][a-z]{{2}} {MONTH}|{_ISO}|{MONTH} +\d\d? \d\d:)",
    ),
)
"""Name and pattern of every piece; the names in groups say what a piece tells."""

STAMP = r"\[ *\d{1,10}\.\d{6}\] "
"""The kernel's own, in front of its text."""
LEAD = rf"(?!{STAMP})[^{{}}\"]{{1,160}}?(?={STAMP})"
"""Whatever else was put in front of it: a list's sign, a pod's name."""

HOST_TAG = (
    r"(?P<host>[\w.:-]{1,255}|\S{1,255}(?= kernel: ))[ \t](?:(?=\[ *\d+\.\d{6}\])"
    r"|(?:(?P<kernel>(?:(?:kern|user|daemon)\.\w+ )?" + _TAG + r"|kernel:? - - - ?|kernel(?=\t))"
    r"|(?!oom[-_])(?P<program>[\w./@()-]{1,64})(?:\[\d+\])?:)(?:[ \t]|$))"
)
"""Host and tag, after a time only: else two words of any sentence would be taken for them."""
HOST_KERNEL = HOST_TAG.replace("(?P<program>", "(?!)(?P<program>")
DATED = frozenset({"iso", "short", "unix", "epoch", "uptime"})
"""Pieces after which a host may stand."""
MARKS = frozenset(
    {
        "dropped", "talos", "vmware", "dots", "kmsg", "rfc5424", "level", "facility", "iso", "short",
        "unix", "epoch", "human", "lead",
        "delta", "reltime", "uptime", "numeric", "clock", "severity", "line_number", "caller", "tag",
        "export", "export_length", "logwatch",
    }
)  # fmt: skip
"""Pieces that show that a new kernel line begins here."""
