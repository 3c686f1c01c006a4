"""Lines of logfmt (``time=… level=info msg="…"``) with a kernel line in one field."""

from __future__ import annotations

import json
import re
from contextlib import suppress

from .json_lines import HOST_KEYS, MESSAGE_KEYS, TIME_KEYS, Message, message_of

_FIELD = re.compile(r'[ \t]*([\w@.-]{1,64})=(?:"((?:[^"\\]|\\.)*)"|([^\s"]*))(?=[ \t]|$)')
_MOST_FIELDS = 64


def read_logfmt_line(line: str) -> Message | None:
    """Return the kernel line in the message field of a line of fields; None where it is none."""
    if '="' not in line:
        return None
    fields: dict[str, str] = {}
    at = 0
    while at < len(line):
        match = _FIELD.match(line, at)
        if match is None or len(fields) >= _MOST_FIELDS:
            return None
        name, quoted, plain = match.groups()
        fields[name] = plain if quoted is None else _meant(quoted)
        at = match.end()
    text, time, host = (
        next((fields[key] for key in keys if key in fields), None)
        for keys in (MESSAGE_KEYS, TIME_KEYS, HOST_KEYS)
    )
    return None if text is None else message_of(text, time, host)


def _meant(quoted: str) -> str:
    """Return what was quoted: escaped as in JSON, or else only quotes and backslashes."""
    if "\\" in quoted:
        with suppress(ValueError):
            return str(json.loads(f'"{quoted}"'))
        return re.sub(r"\\(.)", r"\1", quoted)
    return quoted
