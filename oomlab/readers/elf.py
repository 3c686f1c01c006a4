"""Symbols of a process's program and libraries, with pyelftools (the extra "elf")."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any

from ..mappings import AddressSpace, Mapping
from ..process import ElfFacts
from ..snapshot import Gap
from .files import open_regular

_MOST_FILES = 64
_MOST_TABLE_BYTES = 256 << 20
_MISSING = "pyelftools is not installed: pip install 'oomlab[elf]'"


def read_elves(
    root: Path, space: AddressSpace, wanted: Iterable[str]
) -> tuple[tuple[ElfFacts, ...] | None, tuple[Gap, ...]]:
    """Return what program and libraries define of the symbols ``wanted``, the program first.

    None and a gap where pyelftools is missing or the program may not be read.
    """
    if not space.mappings:
        return None, ()
    try:
        import elftools  # noqa: F401  # asked for before any file is opened
    except ImportError:
        return None, (Gap(what="symbols", why=_MISSING, pids=(space.pid,)),)
    names = frozenset(wanted)
    process = root / str(space.pid)
    try:
        program = _read(process / "exe", space.exe or "", names)
    except OSError as error:
        return None, (Gap(what="symbols", why=error.strerror or str(error), pids=(space.pid,)),)
    found = [] if program is None else [program]
    for one in list(_libraries(space))[:_MOST_FILES]:
        library = _read_library(process, one, names)
        if library is not None:
            found.append(library)
    return tuple(found), ()


def _libraries(space: AddressSpace) -> Iterator[Mapping]:
    """Return one mapping of each file, beside the program, that code is run from."""
    seen = {space.exe}
    for one in space.mappings or ():
        if "x" in one.permissions and one.path.startswith("/") and one.path not in seen:
            seen.add(one.path)
            yield one


def _read_library(process: Path, one: Mapping, wanted: frozenset[str]) -> ElfFacts | None:
    """Read a library as the process sees it; None where the file is another one by now."""
    path = process / "root" / one.path.replace("\\012", "\n").removeprefix("/")
    try:
        if path.stat().st_ino != one.inode:
            path = process / "map_files" / f"{one.start:x}-{one.end:x}"
        return _read(path, one.path, wanted)
    except OSError:
        return None


def _read(path: Path, name: str, wanted: frozenset[str]) -> ElfFacts | None:
    """Read one file; None where it is no ELF file or a damaged one."""
    from elftools.common.exceptions import ELFError

    with open_regular(path) as stream:
        try:
            return _facts(stream, name, wanted)
        except (ELFError, ValueError, KeyError, UnicodeError, struct.error, AssertionError):
            return None


def _facts(stream: IO[bytes], name: str, wanted: frozenset[str]) -> ElfFacts:
    from elftools.elf.elffile import ELFFile

    elf = ELFFile(stream)
    loaders: Iterator[Any] = elf.iter_segments(type="PT_INTERP")
    interpreter = next((one.get_interp_name() for one in loaders), None)
    sections = {section.name: section for section in elf.iter_sections()}
    defined: set[str] = set()
    for table, strings in ((".symtab", ".strtab"), (".dynsym", ".dynstr")):
        if table in sections and strings in sections:
            defined |= _defined(sections[table], sections[strings], wanted)
    return ElfFacts(
        name, frozenset(defined), frozenset(sections), interpreter, ".symtab" not in sections
    )


def _defined(table: Any, strings: Any, wanted: frozenset[str]) -> set[str]:
    """Return those of the names that a symbol table defines.

    A browser has millions of symbols, so the names are looked for in the text of all names,
    and only their places in the table itself.
    """
    if strings["sh_size"] + table["sh_size"] > _MOST_TABLE_BYTES:
        return set()
    text = strings.data()
    places = {}
    for name in wanted:
        at = text.find(f"\0{name}\0".encode())
        if at >= 0:
            places[at + 1] = name
    if not places:
        return set()
    end = "<" if table.elffile.little_endian else ">"
    # (name, ..., section): Elf64_Sym and Elf32_Sym of elf(5)
    form, index = ("IBBHQQ", 3) if table.elffile.elfclass == 64 else ("IIIBBH", 5)
    entry = struct.Struct(end + form)
    data = table.data()
    whole = len(data) // entry.size * entry.size
    return {
        places[row[0]]
        for row in entry.iter_unpack(memoryview(data)[:whole])
        if row[0] in places and row[index] != 0
    }
