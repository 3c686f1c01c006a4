"""Take the wrapping off the lines of one log.

The sequence of pieces met last is remembered as one joined pattern: most lines of a log are
wrapped alike. Where it does not fit, the pieces are taken off one by one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from .cleaning import cleaned
from .csv_lines import read_csv_line
from .json_lines import (
    MAX_HOST,
    MESSAGE_KEYS,
    Message,
    message_of,
    read_arrow_line,
    read_json_line,
    read_quoted,
)
from .learned import CALLERS, HOSTS, TIMES, Learned, learned
from .lines import classify
from .logfmt_lines import read_logfmt_line
from .netconsole import Pieces
from .prefixes import DATED, HOST_TAG, LEAD, MARKS, PREFIXES, STAMP
from .quoted_printable import SoftBreaks
from .times import normal_time
from .wrapped import Wrapped

_PIECES = [(name, re.compile(pattern)) for name, pattern in PREFIXES]
_ANY = re.compile(r"[ \t]*(?:" + "|".join(f"(?:{pattern})" for _, pattern in PREFIXES) + ")")
_LEAD = re.compile(LEAD)
_STAMP = re.compile(STAMP)
_MOST_BEFORE_STAMP = 256
_HOST = re.compile(r"[ \t]*" + HOST_TAG)
_BLANKS = re.compile(r"[ \t]*")
_EXPORT_FIELD = re.compile(r"[ \t]*_{0,2}[A-Z][A-Z0-9_]{2,63}=")
_CURSOR = re.compile(r"\[s=[0-9a-f]+;i=")
"""What ``journalctl -o verbose`` writes after the time, on a line before the message."""
_SPLIT = re.compile(r"#012|\\x0a")
_BARE_HOST = re.compile(
    r"([\w.-]{1,255}) +(?=(?:\S.{0,15} invoked )?oom-killer: gfp|Out of [Mm]em)"
)
"""A host's name with no tag after it, as some loggers write it."""
_NEXT_STAMP = re.compile(r"[ \t]{2,}(?=\[ *\d{1,10}\.\d{6}\] )")
"""Where a terminal that was copied put the next line: it fills each with blanks."""
_STAMP_WIDTH = 16
_NOT_LEARNED = frozenset({"quote", "compose", "dots", "bold"})
"""Pieces that come and go from line to line."""
_PUNCTUATION = " \t{}[],>"
"""What stands alone on the lines of pretty JSON, and on empty ones of quoted mail."""
_MAX_PIECES = 10


class Unwrapper:
    """Takes the wrapping off lines of one log, in order."""

    def __init__(self) -> None:
        self._learned: Learned | None = None
        self._sequence: tuple[str, ...] = ()
        self._export: dict[str, str] = {}
        self._pieces = Pieces()
        self._soft_breaks = SoftBreaks()
        self._bare_host = ""

    @property
    def usual(self) -> Learned | None:
        """Return the wrapping met last; None where a line may be a piece of another."""
        return None if self._pieces.pending or self._soft_breaks.on else self._learned

    @property
    def awaits_more(self) -> bool:
        """Tell whether a line was begun that the next one goes on with."""
        return bool(self._soft_breaks.pending)

    def unwrap(self, raw: str) -> Sequence[Wrapped]:
        """Return the kernel lines that one line of the file holds: mostly one."""
        line = cleaned(raw)
        if self._soft_breaks.concerns(line):
            decoded = self._soft_breaks.decoded(line)
            if decoded is None:
                return ()
            line = decoded
        if not line.strip(_PUNCTUATION) or line == "MESSAGE":
            return ()
        if line.find("  [", _STAMP_WIDTH) > 0 and len(rows := _NEXT_STAMP.split(line)) > 1:
            return [one for row in rows for one in self._lines(row)]
        if ",ncfrag=" in line or self._pieces.pending:
            return [one for whole in self._pieces.add(line) for one in self._lines(whole)]
        return self._lines(line)

    def _lines(self, line: str) -> Sequence[Wrapped]:
        if ('"' in line or "'" in line) and (found := self._from_notation(line)) is not None:
            return found
        first = self._one(line)
        if first is None:
            return ()
        if _CURSOR.match(first.text):
            self._export["time"] = first.time or ""
            return ()
        if first.text.startswith(("{", "[{")):
            message = read_json_line(first.text.lstrip("["))
            if message is not None:
                return self._from_json(message, first)
        return _split(first)

    def _from_notation(self, line: str) -> Sequence[Wrapped] | None:
        """Return the kernel lines in one that is all quoted text or fields, else None."""
        quoted = read_quoted(line)
        if quoted is not None:
            return self._from_quoted(*quoted)
        message = read_csv_line(line) or read_logfmt_line(line) or read_arrow_line(line)
        return None if message is None else self._from_json(message, Wrapped(""))

    def _one(self, line: str) -> Wrapped | None:
        learned = self._learned
        if learned is None or (match := learned.pattern.match(line)) is None:
            return self._step_by_step(line)
        columns = match.end()
        # Else a piece more than usual stays in front: after one odd line, in front of all lines.
        if _ANY.match(line, columns) or (learned.lacks_host and _HOST.match(line, columns)):
            return self._step_by_step(line)
        if not learned.has_uptime and _is_stamped(line, columns):
            return self._step_by_step(line)
        time = host = caller = seconds = None
        for name in learned.times:
            time = match[name] or time
        for name in learned.hosts:
            host = match[name] or host
        for name in learned.callers:
            caller = match[name] or caller
        if learned.has_uptime:
            seconds = float(match["uptime"])
        elif learned.has_usec:
            seconds = int(match["usec"]) / 1e6
        return self._wrapped(line[columns:], time, seconds, host, caller, True, columns)

    def _step_by_step(self, line: str) -> Wrapped | None:
        if _ANY.match(line) is None and not _is_stamped(line, 0):
            if _EXPORT_FIELD.match(line):
                self._export_field(line)
                return None
            return self._wrapped(line, None, None, None, None, False, 0)
        position = 0
        told: dict[str, str] = {}
        names: list[str] = []
        for _ in range(_MAX_PIECES):
            start = _BLANKS.match(line, position).end()  # type: ignore[union-attr]
            name, match = _piece_at(line, start, names)
            if match is None:
                break
            if name == "host" and match["program"]:
                if tuple(names) == self._sequence:
                    break  # the kernel's own lines have no host here: «usb 1-1: new device»
                return Wrapped(line[start:], marked=True, host=match["host"], foreign=True)
            told.update({key: value for key, value in match.groupdict().items() if value})
            names.append(name)
            position = match.end()
        if not _NOT_LEARNED & set(names):
            self._learn(tuple(names))
        return self._wrapped(
            line[position:],
            next((told[name] for name in TIMES if name in told), None),
            _seconds(told),
            next((told[name] for name in HOSTS if name in told), None),
            next((told[name] for name in CALLERS if name in told), None),
            bool(MARKS & set(names)),
            position,
        )

    def _learn(self, names: tuple[str, ...]) -> None:
        if names == self._sequence or len(set(names)) < len(names):
            return
        self._sequence = names
        self._learned = learned(names)

    def _wrapped(
        self,
        text: str,
        time: str | None,
        seconds: float | None,
        host: str | None,
        caller: str | None,
        marked: bool,
        columns: int,
    ) -> Wrapped:
        if self._export:
            time = time or self._export.get("time")
            host = host or self._export.get("host")
        if time is not None:
            time = normal_time(time)
            if host is None:
                host, text = self._told_bare(text)
        return Wrapped(text.rstrip(), marked, time, seconds, host, caller, False, columns)

    def _told_bare(self, text: str) -> tuple[str | None, str]:
        """Return the host that stands before a text without a tag, and the text without it."""
        if self._bare_host and text.startswith(self._bare_host):
            return self._bare_host, text[len(self._bare_host) :].lstrip()
        if "oom-killer: gfp" in text or "Out of" in text:
            found = _BARE_HOST.match(text)
            if found is not None and classify(text.strip()) is None:
                self._bare_host = found[1]
                return found[1], text[found.end() :]
        return None, text

    def _export_field(self, line: str) -> None:
        name, _, value = line.strip().partition("=")
        if name == "__REALTIME_TIMESTAMP":
            self._export["time"] = value
        elif name == "_HOSTNAME":
            self._export["host"] = value[:MAX_HOST]

    def _from_quoted(self, key: str, text: str) -> Sequence[Wrapped]:
        if key and key not in MESSAGE_KEYS:
            self._export_field(f"{key}={text}")
            return ()
        return self._from_json(message_of(text), Wrapped(""))

    def _from_json(self, message: Message, outer: Wrapped) -> Sequence[Wrapped]:
        stamp = outer.time if message.time is None else normal_time(message.time)
        found: list[Wrapped] = []
        for text in message.lines:
            inner = self._one(cleaned(text))
            for one in () if inner is None else _split(inner):
                time, host = one.time or stamp, one.host or message.host or outer.host
                found.append(one._replace(time=time, host=host, marked=not found))
        return found


def _split(one: Wrapped) -> Sequence[Wrapped]:
    """Return the lines that a logger joined to one."""
    if "#012" in one.text or "\\x0a" in one.text:
        return [one._replace(text=text) for text in _SPLIT.split(one.text)]
    return (one,)


def _seconds(told: dict[str, str]) -> float | None:
    if "uptime" in told:
        return float(told["uptime"])
    return int(told["usec"]) / 1e6 if "usec" in told else None


def _is_stamped(line: str, start: int) -> bool:
    """Tell whether the kernel's own stamp stands soon after ``start``."""
    return _STAMP.search(line, start, start + _MOST_BEFORE_STAMP) is not None


def _piece_at(line: str, start: int, before: list[str]) -> tuple[str, re.Match[str] | None]:
    """Return the name and match of the piece of wrapping at ``start``, if there is one.

    ``before`` are the names of those in front of it.
    """
    for name, piece in _PIECES:
        match = piece.match(line, start)
        if match is not None and match.end() > start:
            return name, match
    found = _HOST.match(line, start) if DATED & set(before) else None
    # «Hardware name: QEMU» is no program of a host.
    if found is not None and found["program"] and classify(line[start:].strip()) is not None:
        found = None
    # A stamp after the kernel's own is that of another line, which ran into it.
    if found is None and "uptime" not in before:
        return "lead", _LEAD.match(line, start)
    return "host", found
