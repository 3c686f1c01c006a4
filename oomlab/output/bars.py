"""Bars of characters: lengths in proportion."""

from __future__ import annotations

from .layout import Screen

_WIDE, _SHORT = 100, 3


def bar_columns(screen: Screen, most: int) -> int:
    """Return how long bars may be: a third where the screen has room for little beside them."""
    narrow = screen.columns is not None and screen.columns < _WIDE
    return most // _SHORT if narrow else most


def bar(value: int, most: int, columns: int) -> str:
    """Return a bar of at most ``columns`` characters; anything above 0 shows.

    Negative values are drawn with - instead of #.

    >>> bar(5, 10, 8), bar(-10, 10, 8), bar(1, 10**9, 8), bar(0, 10, 8)
    ('####', '--------', '#', '')
    """
    if value == 0 or most <= 0:
        return ""
    length = max(1, round(abs(value) * columns / most))
    return ("#" if value > 0 else "-") * min(length, columns)
