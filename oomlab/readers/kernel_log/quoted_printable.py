"""Mail as it travels: «=3D» for «=», and lines cut anywhere with a «=» at their end.

A log in such a mail is put together again before anything else is done with its lines.
"""

from __future__ import annotations

import binascii
import re

_ENCODED = re.compile(r"(?:gfp_mask|constraint|cpuset|mems_allowed|(?:swap|\)|B) *)=3D")
_PLAIN = re.compile(r"gfp_mask=0x|constraint=C|swap *= +\d")
_MAX_CHARS = 1 << 16


class SoftBreaks:
    """Decodes lines from the first one on that is encoded, until a plain one shows the end."""

    def __init__(self) -> None:
        self.on = False
        self.pending = ""
        """A line so far that goes on in the next."""

    def concerns(self, line: str) -> bool:
        """Tell whether a line may be encoded; asked for every line."""
        return self.on or "=3D" in line or (line[-1:] == "=" and "oom-kill" in line)

    def decoded(self, line: str) -> str | None:
        """Return a line as it was meant; None where it goes on in the next."""
        if not self.pending and _PLAIN.search(line):
            self.on = False
            return line
        if not self.on and line[-1:] != "=" and not _ENCODED.search(line):
            return line
        self.on = True
        line, self.pending = self.pending + line, ""
        if line[-1:] == "=" and len(line) < _MAX_CHARS:
            self.pending = line[:-1]
            return None
        raw = line.encode("utf-8", "surrogateescape")
        return binascii.a2b_qp(raw).decode("utf-8", "surrogateescape")
