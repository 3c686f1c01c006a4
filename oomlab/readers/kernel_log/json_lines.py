"""Lines of JSON with a kernel line in them: journals, containers, collectors, clouds."""

from __future__ import annotations

import json
import re
from typing import Any, NamedTuple

MESSAGE_KEYS = (
    "MESSAGE", "message", "msg", "log", "textPayload", "_msg", "line", "body", "text", "content",
    "@message", "short_message", "_raw", "stringValue",
)  # fmt: skip
TIME_KEYS = (
    "__REALTIME_TIMESTAMP", "time", "timestamp", "@timestamp", "ts", "_time", "eventTime",
    "datetime", "timeUnixNano", "observedTimeUnixNano", "dt",
)  # fmt: skip
HOST_KEYS = ("_HOSTNAME", "hostname", "host", "node", "instance_id")
_MAX_BYTES = 1 << 20
MAX_HOST = 255
_DEPTH = 3


class Message(NamedTuple):
    """What an object says: its text of one or more lines, when, and which host."""

    lines: list[str]
    time: str | None
    host: str | None


def message_of(text: str, time: str | None = None, host: str | None = None) -> Message:
    """Return the message of a text of one or more lines; a host's name is no longer than one."""
    return Message(text.rstrip("\n").split("\n"), time, None if host is None else host[:MAX_HOST])


def read_json_line(line: str) -> Message | None:
    """Return the message of a line that is an object, maybe one of an array; else None."""
    if len(line) > _MAX_BYTES:
        return None
    try:
        body = json.loads(line.rstrip(",] "))
    except (ValueError, RecursionError):
        return None
    text = _find(body, MESSAGE_KEYS)
    # Text that is not plain is written byte by byte.
    if isinstance(text, list) and all(isinstance(b, int) and 0 <= b < 256 for b in text):
        text = bytes(text).decode("utf-8", "surrogateescape")
    if not isinstance(text, str):
        return None
    time, host = _find(body, TIME_KEYS), _find(body, HOST_KEYS)
    return message_of(
        text, None if time is None else str(time), host if isinstance(host, str) else None
    )


_QUOTED = re.compile(r"""[ \t]*(?:- )?(?:"([\w@]{1,64})" ?: ?)?(".*"|'.*')[ \t,;+)]*""")
_ARROW = re.compile(rf'"(?:{"|".join(MESSAGE_KEYS)})" ?=> ?("(?:[^"\\]|\\.)*")')
_ARROW_TIME = re.compile(r"\[(1\d{9}(?:\.\d{1,9})?),")


def read_quoted(line: str) -> tuple[str, str] | None:
    """Return key (or nothing) and text of a line of JSON, YAML or a program's source."""
    head = line[:80]
    if ('"' not in head and "'" not in head) or (match := _QUOTED.fullmatch(line)) is None:
        return None
    quoted: str = match[2]
    if quoted[0] == "'":
        return match[1] or "", quoted[1:-1].replace("''", "'").replace("\\'", "'")
    try:
        text = json.loads(quoted)
    except ValueError:
        return None
    return match[1] or "", text


def read_arrow_line(line: str) -> Message | None:
    """Return the message in a hash as Ruby writes it, and Fluent Bit on its standard output."""
    found = _ARROW.search(line) if '"=>' in line else None
    if found is None:
        return None
    try:
        text = str(json.loads(found[1]))
    except ValueError:
        return None
    time = _ARROW_TIME.search(line)
    return message_of(text, None if time is None else time[1])


def _find(body: Any, keys: tuple[str, ...], depth: int = _DEPTH) -> Any:
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
