"""A heap as a strip of characters: in use, free and in memory, free and given back, top."""

from __future__ import annotations

from typing import NamedTuple

from ..glibc.heap import StretchView


class Glyphs(NamedTuple):
    """One character for each kind of memory."""

    used: str
    mixed: str
    free: str
    returned: str
    top: str

    def legend(self) -> str:
        """Return what the characters mean."""
        return (
            f"{self.used} in use   {self.mixed} in use and free   {self.free} free, in memory   "
            f"{self.returned} free, given back   {self.top} top"
        )


BLOCKS = Glyphs("█", "▒", "░", "·", "─")
ASCII = Glyphs("#", "+", "o", ".", "-")
UNSEEN = "?"
_NEARLY_ALL = 16
"""A character shows one kind where all but a sixteenth is of that kind."""


def strip(view: StretchView, columns: int, glyphs: Glyphs) -> str:
    """Draw one stretch in at most ``columns`` characters."""
    picture = view.picture
    count = len(picture.free)
    width = max(min(columns, count), 1)
    drawn = []
    for column in range(width):
        first, last = column * count // width, max((column + 1) * count // width, 1)
        start = picture.start + (first << picture.shift)
        end = min(picture.start + (last << picture.shift), picture.end)
        if not view.complete and end > view.walked_to:
            drawn.append(UNSEEN)
            continue
        free = sum(picture.free[first:last])
        top = max(end - max(start, view.top), 0)
        drawn.append(_glyph(end - start, free, sum(picture.returned[first:last]), top, glyphs))
    return "".join(drawn)


def _glyph(size: int, free: int, returned: int, top: int, glyphs: Glyphs) -> str:
    used = size - free - top
    if 2 * top >= size:
        return glyphs.top
    if used * _NEARLY_ALL >= size * (_NEARLY_ALL - 1):
        return glyphs.used
    if used * _NEARLY_ALL > size:
        return glyphs.mixed
    return glyphs.returned if 2 * returned >= free else glyphs.free
