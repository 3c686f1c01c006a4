"""Long lines as the extended netconsole sends them: in pieces, each with the whole head."""

from __future__ import annotations

import re

_PIECE = re.compile(r"(?P<head>[^;]{1,99}),ncfrag=(?P<place>\d{1,6})/(?P<size>\d{1,6})[^;]{0,80};")


class Pieces:
    """Puts the pieces of a line together. What is lost on the way leaves the line shorter."""

    def __init__(self) -> None:
        self.pending = ""
        """The pieces so far of a line that is not complete."""
        self._size = 0

    def add(self, line: str) -> list[str]:
        """Return the lines that are complete now: with this one, or because it is another's."""
        match = _PIECE.match(line)
        if match is None:
            return [*self._flush(), line]
        text = line[match.end() :]
        found = self._flush() if int(match["place"]) == 0 or not self.pending else []
        if not self.pending:
            self.pending = f"{match['head']};"
            # The kernel counts the bytes of the text, not of its head.
            self._size = len(self.pending) + int(match["size"])
        self.pending += text
        if len(self.pending.encode("utf-8", "surrogateescape")) >= self._size:
            found += self._flush()
        return found

    def _flush(self) -> list[str]:
        found, self.pending = [self.pending] if self.pending else [], ""
        return found
