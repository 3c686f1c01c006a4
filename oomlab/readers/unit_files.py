"""What a systemd unit's files say of OOMScoreAdjust=: unit file, drop-ins, the manager's default.

Read from disk, without D-Bus: the directories and their order are those of systemd.unit(5), the
default's those of systemd-system.conf(5). A user's manager is taken to have the usual XDG
directories below the home that /etc/passwd names.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from ..process import Unit, UnitSetting
from .files import open_regular

_UNIT_PATHS = (
    "etc/systemd/system.control",
    "run/systemd/system.control",
    "run/systemd/transient",
    "run/systemd/generator.early",
    "etc/systemd/system",
    "etc/systemd/system.attached",
    "run/systemd/system",
    "run/systemd/system.attached",
    "run/systemd/generator",
    "usr/local/lib/systemd/system",
    "lib/systemd/system",
    "usr/lib/systemd/system",
    "run/systemd/generator.late",
)
"""What is first wins."""
_USER_PATHS = (
    "{home}/.config/systemd/user.control",
    "{runtime}/systemd/user.control",
    "{runtime}/systemd/transient",
    "{runtime}/systemd/generator.early",
    "{home}/.config/systemd/user",
    "etc/xdg/systemd/user",
    "etc/systemd/user",
    "{runtime}/systemd/user",
    "run/systemd/user",
    "{runtime}/systemd/generator",
    "{home}/.local/share/systemd/user",
    "usr/local/share/systemd/user",
    "usr/share/systemd/user",
    "usr/local/lib/systemd/user",
    "usr/lib/systemd/user",
    "{runtime}/systemd/generator.late",
)
_MANAGER_PATHS = ("etc/systemd", "run/systemd", "usr/local/lib/systemd", "usr/lib/systemd")
_MOST_FILE_BYTES = 1 << 20
_MOST_ADJ = 1000


class Manager(NamedTuple):
    """Where a manager looks for units, and for its own settings: what is first wins."""

    units: tuple[str, ...]
    settings: tuple[str, ...]
    settings_name: str


_SYSTEM = Manager(_UNIT_PATHS, _MANAGER_PATHS, "system.conf")


def read_unit_setting(root: Path, unit: Unit) -> UnitSetting:
    """Read what a unit sets; ``root`` has /etc, /run and /usr below it, and the users' homes.

    Of the file and the drop-ins the last assignment counts, and an empty one takes all before
    it back. Without any the manager's DefaultOOMScoreAdjust= does. A file that may not be read
    counts as none.
    """
    own = list_unit_files(root, unit)
    section = unit.name.rpartition(".")[2].capitalize()
    value, file = _last_setting(own, section, "OOMScoreAdjust")
    if value is None:
        _, folders, name = manager_of(root, unit.uid)
        defaults = _first_named(root, folders, [name])
        defaults += _drop_ins(root / path / f"{name}.d" for path in folders)
        value, file = _last_setting(defaults, "Manager", "DefaultOOMScoreAdjust")
    shown = None if file is None else f"/{file.relative_to(root)}"
    return UnitSetting(unit, value, shown, found=bool(own))


def list_unit_files(root: Path, unit: Unit) -> list[Path]:
    """Return the unit's file, if there is one, and its drop-ins in the order of their effect."""
    units, name = manager_of(root, unit.uid).units, unit.name
    names = list(_names(name))
    plain = names[: 2 if "@" in name else 1]
    folders = (root / path / f"{one}.d" for path in units for one in names)
    every = (root / path / f"{name.rpartition('.')[2]}.d" for path in units)
    return [*_first_named(root, units, plain), *_drop_ins([*folders, *every])]


def manager_of(root: Path, uid: int | None) -> Manager:
    """Return the system's manager, or that of a user."""
    if uid is None:
        return _SYSTEM
    home = _home(root, uid)
    places = {"home": home or "", "runtime": f"run/user/{uid}"}
    known = (path for path in _USER_PATHS if home is not None or "{home}" not in path)
    own = () if home is None else (f"{home}/.config/systemd",)
    paths = tuple(path.format(**places) for path in known)
    return Manager(paths, (*own, *_MANAGER_PATHS), "user.conf")


def _home(root: Path, uid: int) -> str | None:
    """Return a user's home directory without the first slash; None where it is not told."""
    with contextlib.suppress(OSError), open_regular(root / "etc/passwd") as stream:
        for line in stream:
            fields = os.fsdecode(line).split(":")
            if len(fields) > 5 and fields[2] == str(uid) and fields[5].startswith("/"):
                return fields[5].strip("/")
    return None


def _names(unit: str) -> Iterator[str]:
    """Yield the names whose drop-ins a unit has: its own, its template's, those cut at a dash.

    In the order of unit_file_find_dirs() in systemd's src/shared/dropin.c.
    """
    name, _, kind = unit.rpartition(".")
    prefix, _, instance = name.partition("@")
    yield unit
    if instance:
        yield from _names(f"{prefix}@.{kind}")
    head, dash, _ = prefix.removesuffix("-").rpartition("-")
    if dash:
        yield from _names(f"{head}-{f'@{instance}' if instance else ''}.{kind}")


def _first_named(root: Path, folders: Iterable[str], names: Iterable[str]) -> list[Path]:
    """Return the first of some files that there is; an instance's own comes before its template."""
    found = (root / folder / name for name in names for folder in folders)
    return [path for path in found if _exists(path)][:1]


def _drop_ins(folders: Iterable[Path]) -> list[Path]:
    """Return drop-ins by their names; of those with the same name the first counts."""
    found: dict[str, Path] = {}
    for folder in folders:
        with contextlib.suppress(OSError):
            for path in folder.iterdir():
                if path.name.endswith(".conf"):
                    found.setdefault(path.name, path)
    return [found[name] for name in sorted(found)]


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:
        return False


def _last_setting(files: Iterable[Path], section: str, key: str) -> tuple[int | None, Path | None]:
    """Return the value that stands at the end, and the file that sets it."""
    value: int | None = None
    where: Path | None = None
    for path in files:
        with contextlib.suppress(OSError):
            with open_regular(path) as stream:
                text = stream.read(_MOST_FILE_BYTES).decode("utf-8", "replace")
            for found in parse_assignments(text, section, key):
                if not found:
                    value, where = None, None
                elif re.fullmatch(r"[+-]?\d{1,4}", found) and abs(int(found)) <= _MOST_ADJ:
                    value, where = int(found), path
    return value, where


def parse_assignments(text: str, section: str, key: str) -> list[str]:
    """Return the values that a unit file assigns to a key of a section, in their order."""
    found, here = [], False
    for line in re.sub(r"\\\n", " ", text).splitlines():
        stripped = line.strip()
        if stripped.startswith("["):
            here = stripped == f"[{section}]"
        elif here and not stripped.startswith(("#", ";")):
            name, equals, value = stripped.partition("=")
            if equals and name.rstrip() == key:
                found.append(value.strip())
    return found
