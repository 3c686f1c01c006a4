"""Text on a screen: sentences broken to its width, cells in columns, colour where it has it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from .escape import printable, width
from .tables import Column, Table

GAP = 2
"""Blanks between two columns."""


class Screen(NamedTuple):
    """Where output goes: ``columns`` is None where there is no width to keep to."""

    columns: int | None = None
    colour: bool = False


def laid_out(columns: Sequence[Column[Any]], body: Sequence[Sequence[str]]) -> list[str]:
    """Lay out cells in columns, the headers first."""
    from tabulate import tabulate

    # A last column of text is put behind the others: padding every line to the longest
    # command line would cost its length for each row.
    loose = columns[-1].left and len(columns) > 1
    end = len(columns) - 1 if loose else len(columns)
    # Given as headers they would be padded by two columns each.
    cells = [[column.header for column in columns], *body]
    text = tabulate(
        [row[:end] for row in cells],
        tablefmt="plain",
        disable_numparse=True,
        colalign=["left" if column.left else "right" for column in columns[:end]],
    )
    lines = text.splitlines()
    if not loose:
        return lines
    room = max(map(width, lines)) + GAP
    return [
        line + " " * (room - width(line)) + row[-1] for line, row in zip(lines, cells, strict=True)
    ]


def wrapped(sentences: Sequence[str], screen: Screen) -> list[str]:
    """Break sentences into lines that fit the screen."""
    safe = [printable(sentence) for sentence in sentences]
    if screen.columns is None:
        return safe
    from textwrap import wrap

    width = max(screen.columns, 20)
    lines = []
    for sentence in safe:
        inset = len(sentence) - len(sentence.lstrip())
        # What a list's item says goes on below its text, and so does a bullet's.
        hanging = "    " if sentence.startswith("  - ") else " " * (inset + 8 if inset else 0)
        lines += wrap(sentence, width, subsequent_indent=hanging) or [""]
    return lines


def coloured(lines: list[str], table: Table[Any], screen: Screen) -> list[str]:
    """Return the lines with the headers bold and marked rows in red, where the screen has it."""
    if not screen.colour:
        return lines
    bold, red, plain = "\x1b[1m", "\x1b[31m", "\x1b[0m"
    shown = [f"{bold}{lines[0].rstrip()}{plain}"]
    for index, line in enumerate(lines[1:]):
        shown.append(f"{red}{line.rstrip()}{plain}" if index in table.marked else line)
    return shown
