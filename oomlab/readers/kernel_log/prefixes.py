r"""What loggers, consoles, mailers and collectors put in front of a kernel line.

``PREFIXES`` is the one table: each row recognises one piece at the start of a line, and pieces
are taken off until none fits. Nothing is counted in columns, so a prefix may change its width
or be missing from line to line. The sequence met last is remembered as one joined pattern:
most lines of a log are wrapped alike.
"""

# ruff: noqa: E501  # one row for each piece, however long
from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from .times import CLOCK, MONTH, normal_time


class Wrapped(NamedTuple):
    """A kernel line without its wrapping, and what the wrapping told."""

    text: str
    marked: bool = False
    """Something in front shows that a new kernel line begins here."""
    time: str | None = None
    uptime_seconds: float | None = None
    host: str | None = None
    caller: str | None = None
    foreign: bool = False
    """Another program's line in a common log."""
    columns: int = 0
    """Columns that the wrapping took in front."""


_ISO = rf"\d{{4}}-\d\d-\d\d[T ]{CLOCK}(?: ?(?:Z|UTC|[+-]\d\d:?\d\d))?"
_TAG = r"(?:kernel|klogd|vmunix|kern)(?:\[\d+\])?:"

PREFIXES: tuple[tuple[str, str], ...] = (
    ("quote", r"(?:>[ ]?)+(?=.)"),
    ("compose", r"[\w.-]{1,64} +\| "),
    ("bom", "\ufeff"),
    ("export", r"MESSAGE="),
    ("export_length", r"[\s\S]{1,3}\x00{5,7}"),
    (
        "kmsg",
        r"(?P<kmsg>\d{1,4},\d+,(?P<usec>\d+),[^,;]{1,4}(?:,caller=(?P<kcaller>[TC]\d+))?[^;]{0,80};)",
    ),
    (
        "rfc5424",
        rf"<\d{{1,3}}>1 (?P<time5424>{_ISO}|-) (?P<host5424>\S+) (?P<app5424>\S+) \S+ \S+ (?:-|(?:\[[^\]]*\])+) ?(?:\ufeff)?",
    ),
    ("level", r"<\d{1,3}>"),
    (
        "facility",
        r"(?:kern|user|daemon|syslog) *:(?:emerg|alert|crit|err|warn|notice|info|debug) *: ",
    ),
    ("cri", r"(?:stdout|stderr) [FP] "),
    ("iso", rf"\[?(?P<iso>{_ISO})\]?[:,]?[ \t]*"),
    (
        "short",
        rf"(?P<short>(?:\d{{4}} )?{MONTH} [ \d]\d (?:\d{{4}} )?{CLOCK}(?: \d{{4}})?(?: [A-Z]{{3,4}})?)[ \t]+",
    ),
    ("unix", r"(?P<unix>1\d{9}\.\d{3,9}) "),
    ("human", rf"\[(?P<human>[^\[\]]{{2,28}}? {CLOCK} (?:[A-Z]{{2,5}} )?\d{{4}})\] ?"),
    ("delta", r"\[ *\+\d+\.\d{1,9}\] ?"),
    ("reltime", rf"\[{MONTH} ?\d\d? \d\d:\d\d\] ?"),
    ("uptime", r"\[ *(?P<uptime>\d{1,10}\.\d{1,9})(?: *< *\d+\.\d+ *>)?\] ?"),
    ("caller", r"\[ *(?P<caller>[TC]\d{1,8})\] ?"),
    ("android", r"\[\d+: +[^\]\[]{1,20}: *\d+\] ?"),
    ("tag", rf"(?P<tag>{_TAG}) ?"),
)
"""Name and pattern of every piece; the names in groups say what a piece tells."""

_HOST_TAG = re.compile(
    r"(?P<host>[\w.:-]{1,255}) (?:(?P<kernel>(?:kernel|klogd|vmunix|kern)(?:\[\d+\])?:|kernel:? - - - ?)"
    r"|(?P<program>[\w./@()-]{1,64})(?:\[\d+\])?:)(?: |$)"
)
_HOST_KERNEL = _HOST_TAG.pattern.replace("(?P<program>", "(?!)(?P<program>")
_DATED = frozenset({"iso", "short", "unix", "uptime"})
_MARKS = frozenset(
    {
        "kmsg",
        "rfc5424",
        "level",
        "facility",
        "iso",
        "short",
        "unix",
        "human",
        "delta",
        "reltime",
        "uptime",
        "caller",
        "tag",
        "export",
    }
)
_PIECES = [(name, re.compile(pattern)) for name, pattern in PREFIXES]
_ANY = re.compile(r"[ \t]*(?:" + "|".join(f"(?:{pattern})" for _, pattern in PREFIXES) + ")")
_COLOUR = re.compile(r"\x1b(?:\[[0-9;:?]*[ -/]*[@-~]|[@-Z\\-_])")
_ENTITY = re.compile(r"&(?:gt|lt|amp|quot|#39|#x27|nbsp);")
_EXPORT_FIELD = re.compile(r"_{0,2}[A-Z][A-Z0-9_]{2,63}=")
_SPLIT = re.compile(r"#012|\\x0a|\n")
_MESSAGE_KEYS = (
    "MESSAGE",
    "message",
    "msg",
    "log",
    "textPayload",
    "_msg",
    "line",
    "body",
    "text",
    "content",
    "@message",
    "short_message",
)
_TIME_KEYS = ("time", "timestamp", "@timestamp", "ts", "_time", "eventTime", "datetime")
_HOST_KEYS = ("_HOSTNAME", "hostname", "host", "node", "instance_id")
_MAX_PIECES = 10
_MAX_JSON = 1 << 20


class Unwrapper:
    """Takes the wrapping off lines of one log, in order."""

    def __init__(self) -> None:
        self._learned: re.Pattern[str] | None = None
        self._sequence: tuple[str, ...] = ()
        self._export: dict[str, str] = {}

    def unwrap(self, raw: str) -> Iterator[Wrapped]:
        """Yield the kernel lines that one line of the file holds: mostly one."""
        line = raw.rstrip("\r\n")
        if "\x1b" in line:
            line = _COLOUR.sub("", line)
        if "\xa0" in line:
            line = line.replace("\xa0", " ")
        if "&" in line and _ENTITY.search(line):
            import html

            line = html.unescape(line)
        if "gfp_mask=3D" in line:
            line = line.replace("=3D", "=")
        stripped = line.lstrip(" \t")
        if stripped.startswith("{") and len(line) < _MAX_JSON:
            found = self._from_json(stripped)
            if found is not None:
                yield from found
                return
        yield from self._lines(line)

    def _lines(self, line: str) -> Iterator[Wrapped]:
        first = self._one(line)
        if first is None:
            return
        if "#012" in first.text or "\\x0a" in first.text:
            head, *rest = _SPLIT.split(first.text)
            yield first._replace(text=head)
            for text in rest:
                yield first._replace(text=text)
            return
        yield first

    def _one(self, line: str) -> Wrapped | None:
        learned = self._learned
        if learned is not None:
            match = learned.match(line)
            # A piece more than usual would be left in front of the text.
            if match is not None and not _may_continue(line, match.end()):
                return self._told(line[match.end() :], match.groupdict(), columns=match.end())
        return self._step_by_step(line)

    def _step_by_step(self, line: str) -> Wrapped | None:
        if _ANY.match(line) is None and not _EXPORT_FIELD.match(line):
            return self._told(line, {}, marked=False)
        position = 0
        told: dict[str, str] = {}
        names: list[str] = []
        for _ in range(_MAX_PIECES):
            start = position + _blanks(line, position)
            name, match = _piece_at(line, start, dated=bool(_DATED & set(names)))
            if match is None:
                break
            if name == "host" and match["program"]:
                return Wrapped(line[start:], marked=True, host=match["host"], foreign=True)
            told.update({key: value for key, value in match.groupdict().items() if value})
            names.append(name)
            position = match.end()
        if not names and _EXPORT_FIELD.match(line):
            self._export_field(line)
            return None
        if names and all(name not in ("quote", "compose") for name in names):
            self._learn(tuple(names))
        marked = bool(_MARKS & set(names))
        return self._told(line[position:], told, marked=marked, columns=position)

    def _learn(self, names: tuple[str, ...]) -> None:
        if names == self._sequence or len(set(names)) < len(names):
            return
        patterns = dict(PREFIXES) | {"host": _HOST_KERNEL}
        self._sequence = names
        self._learned = re.compile("".join(rf"[ \t]*(?:{patterns[name]})" for name in names))

    def _told(
        self, text: str, told: dict[str, Any], *, marked: bool = True, columns: int = 0
    ) -> Wrapped:
        uptime = told.get("uptime")
        usec = told.get("usec")
        seconds = float(uptime) if uptime else int(usec) / 1e6 if usec else None
        time = (
            told.get("iso")
            or told.get("time5424")
            or told.get("human")
            or told.get("short")
            or told.get("unix")
        )
        host = told.get("host") or told.get("host5424")
        if self._export:
            time = time or self._export.get("time")
            host = host or self._export.get("host")
        return Wrapped(
            text.rstrip(),
            marked,
            None if time is None else normal_time(time),
            seconds,
            host,
            told.get("caller") or told.get("kcaller"),
            columns=columns,
        )

    def _export_field(self, line: str) -> None:
        name, _, value = line.partition("=")
        if name == "__REALTIME_TIMESTAMP":
            self._export["time"] = value
        elif name == "_HOSTNAME":
            self._export["host"] = value[:255]

    def _from_json(self, line: str) -> list[Wrapped] | None:
        try:
            body = json.loads(line)
        except (ValueError, RecursionError):
            return None
        message = _find(body, _MESSAGE_KEYS)
        if isinstance(message, list) and all(isinstance(b, int) and 0 <= b < 256 for b in message):
            message = bytes(message).decode("utf-8", "surrogateescape")
        if not isinstance(message, str):
            return None
        time = _find(body, ("__REALTIME_TIMESTAMP", *_TIME_KEYS))
        host = _find(body, _HOST_KEYS)
        lines = []
        for index, text in enumerate(message.rstrip("\n").split("\n")):
            for found in self._lines(text):
                stamp = found.time or (normal_time(str(time)) if time is not None else None)
                named = found.host or (host[:255] if isinstance(host, str) else None)
                lines.append(found._replace(time=stamp, host=named, marked=index == 0))
        return lines


def _piece_at(line: str, start: int, *, dated: bool) -> tuple[str, re.Match[str] | None]:
    """Return the name and match of the piece of wrapping at ``start``, if there is one."""
    for name, piece in _PIECES:
        match = piece.match(line, start)
        if match is not None and match.end() > start:
            return name, match
    return "host", _HOST_TAG.match(line, start) if dated else None


def _blanks(line: str, start: int) -> int:
    return (
        len(line) - start - len(line[start:].lstrip(" \t"))
        if line[start : start + 1] in (" ", "\t")
        else 0
    )


_CONTINUES = re.compile(
    r"[ \t]*(?:\[ *(?:\d+\.\d|[TC]\d|\+\d)|<\d{1,3}>|\d{1,4},\d+,\d+,|(?:kernel|klogd)(?:\[\d+\])?:|MESSAGE=|"
    r"\d{4}-\d\d-\d\d[T ])"
)


def _may_continue(line: str, position: int) -> bool:
    return _CONTINUES.match(line, position) is not None


def _find(body: Any, keys: tuple[str, ...], depth: int = 3) -> Any:
    """Return the value of the first of ``keys`` in an object or in those inside it."""
    if not isinstance(body, dict):
        return None
    for key in keys:
        if isinstance(body.get(key), (str, list, int, float)):
            return body[key]
    if depth:
        for value in body.values():
            found = _find(value, keys, depth - 1)
            if found is not None:
                return found
    return None
