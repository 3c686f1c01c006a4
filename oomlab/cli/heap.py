"""``oomlab heap``: glibc's malloc in a process, walked from outside."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import SourceError
from .options import Format, OutputFormat, Proc, print_json, print_table, screen

if TYPE_CHECKING:
    from pathlib import Path

    from ..analysis.allocator import Allocator
    from ..output.strip import Glyphs

_DEFAULT_COUNT = 5


def heap(
    process: Annotated[str, typer.Argument(metavar="PID|NAME", help="The process.")],
    count: Annotated[
        int, typer.Option("-n", "--number", min=0, help="How many arenas and holes.")
    ] = _DEFAULT_COUNT,
    most: Annotated[
        str, typer.Option("--max", metavar="SIZE", help="Walk no more of a heap than this.")
    ] = "16G",
    timeout: Annotated[
        str, typer.Option(metavar="TIME", help="Show what was seen after so long: 10s, 5m.")
    ] = "1m",
    form: OutputFormat = Format.table,
    proc: Proc = None,
) -> None:
    """Walk a process's glibc heap: holes, top, what pins it.

    The figures are those of mallinfo2(3) and malloc_stats(3). The process is neither stopped
    nor traced. A NAME does for a PID where exactly one process has it.
    """
    from ..readers.heap import NotGlibcError, read_heap
    from ..readers.procfs import PROC
    from ..units import parse_duration, parse_size

    most_bytes, most_seconds = parse_size(most), parse_duration(timeout)
    root = proc or PROC
    pid, name = _find(process, root)
    try:
        one = read_heap(root, pid, most_bytes, most_seconds)
    except NotGlibcError as error:
        raise SourceError(_refusal(root, pid, name) or str(error)) from error
    beside = [other.name for other in _allocators(root, pid) if not other.is_malloc]
    if form is Format.json:
        from ..output.heap_document import heap_document

        print_json(heap_document(one, pid, name, beside))
        return
    if form is Format.table:
        from ..output.heap import heap_text

        text = heap_text(one, f"{pid} ({name})", screen(), _glyphs(), count, beside)
        sys.stdout.write(text)
    else:
        from ..output.heap_tables import arenas_table

        print_table(arenas_table(one), form)


def _find(process: str, root: Path) -> tuple[int, str]:
    """Return a process's pid and name. Other processes are read only where a name was given."""
    from ..readers.process_memory import process_name

    if process.isascii() and process.isdecimal():
        return int(process), process_name(root, int(process))
    from ..analysis.whatif import find_task
    from .options import load_source

    task = find_task(load_source(None, root), process)
    return task.pid, task.comm


def _allocators(root: Path, pid: int) -> tuple[Allocator, ...]:
    """Return the allocators of a process, as far as they can be told."""
    from ..analysis.allocator import WANTED_SYMBOLS, find_allocators
    from ..readers.elf import read_elves
    from ..readers.mappings import read_address_space

    space = read_address_space(root, pid)
    elves, _ = read_elves(root, space, WANTED_SYMBOLS)
    return find_allocators(space, elves)


def _refusal(root: Path, pid: int, name: str) -> str | None:
    """Say whose malloc it is instead, as far as that can be told."""
    others = [one.name for one in _allocators(root, pid) if one.key != "glibc"]
    if not others:
        return None
    return (
        f"process {pid} ({name}) allocates with {' and '.join(others)}, not with glibc's malloc: "
        "heap can't walk that"
    )


def _glyphs() -> Glyphs:
    """Return characters that the terminal's encoding has."""
    from ..output.strip import ASCII, BLOCKS

    try:
        "".join(BLOCKS).encode(sys.stdout.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return ASCII
    return BLOCKS
