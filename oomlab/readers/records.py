"""Records to JSON and back: every field's type and range is checked, unknown fields are refused."""

from __future__ import annotations

import types
from collections.abc import Callable
from dataclasses import MISSING, fields
from typing import Any, Union, get_args, get_origin, get_type_hints

from ..errors import SnapshotFormatError
from ..memcg import UNLIMITED_PAGES, Container, Memcg, Pressure
from ..meminfo import MemInfo, Zone, Zram
from ..snapshot import MAX_PAGES, Gap, Machine, Node, Reported, Snapshot, Task

_RECORDS = (Machine, Node, Task, Memcg, Pressure, Container, Gap, Reported, MemInfo, Zone, Zram)
_ALL_RECORDS = (Snapshot, *_RECORDS)

_MAY_BE_MAX = ("high_pages", "min_pages", "low_pages")
_RANGES = {
    "oom_score_adj": (-1000, 1000),
    "oom_adj": (-17, 15),
    "nice": (-20, 19),
    "pid": (0, 1 << 31),
    "ppid": (0, 1 << 31),
    "main_pid": (0, 1 << 31),
    "cpus": (1, 1 << 16),
    "timer_hz": (1, 1 << 16),
    "kernel_oom_score": (0, (1 << 64) - 1),
    "cap_effective": (0, (1 << 64) - 1),
}
"""What the kernel itself allows. Other numbers count something: 0 to 2^63 - 1, pages less."""


def _range_of(name: str) -> tuple[int, int]:
    if name.endswith("_pages") and "limit" not in name and name not in _MAY_BE_MAX:
        return 0, MAX_PAGES
    return _RANGES.get(name, (0, UNLIMITED_PAGES))


def as_json(value: Any) -> Any:
    """Return a record as JSON: nested objects and lists, without what loading fills in."""
    if type(value) in _ALL_RECORDS:
        # A None that is not the default is kept.
        return {
            name: as_json(getattr(value, name))
            for name, default in _fields(type(value)).items()
            if getattr(value, name) != default
        }
    if isinstance(value, tuple):
        return [as_json(item) for item in value]
    return value


def _fields(kind: type[Any]) -> dict[str, Any]:
    """Return each field's default; MISSING for one that must be given."""
    if issubclass(kind, tuple):
        return {name: kind._field_defaults.get(name, MISSING) for name in kind._fields}  # type: ignore[attr-defined]
    return {f.name: f.default for f in fields(kind)}


def record_of(kind: type[Any], body: Any, where: str) -> Any:
    """Make a record of a JSON object. Raises SnapshotFormatError naming the field."""
    if not isinstance(body, dict):
        raise SnapshotFormatError(f"{where}: not an object")
    checks = _checks(kind)
    for name in body:
        if name not in checks:
            raise SnapshotFormatError(f"{where}: unknown field {str(name)[:40]!r}")
    for name, default in _fields(kind).items():
        if default is MISSING and name not in body:
            raise SnapshotFormatError(f"{where}: field {name!r} is missing")
    return kind(**{name: checks[name](value, f"{where}: {name}") for name, value in body.items()})


_Check = Callable[[Any, str], Any]
_checks_of: dict[type[Any], dict[str, _Check]] = {}


def _checks(kind: type[Any]) -> dict[str, _Check]:
    """Return a check for each field of a record, made once of its type hints."""
    if kind not in _checks_of:
        hints = get_type_hints(kind)
        _checks_of[kind] = {name: _check_of(hints[name], name) for name in _fields(kind)}
    return _checks_of[kind]


def _check_of(hint: Any, name: str) -> _Check:
    if get_origin(hint) in (Union, types.UnionType):
        inner = _check_of(next(a for a in get_args(hint) if a is not types.NoneType), name)
        return lambda value, where: None if value is None else inner(value, where)
    if get_origin(hint) is tuple:
        return _tuple_check(get_args(hint), name)
    if hint in _RECORDS:
        return lambda value, where: record_of(hint, value, where)
    low, high = _range_of(name)
    return lambda value, where: _plain(hint, value, where, low, high)


def _tuple_check(arguments: tuple[Any, ...], name: str) -> _Check:
    endless = arguments[-1] is Ellipsis
    checks = [_check_of(argument, name) for argument in arguments if argument is not Ellipsis]

    def check(value: Any, where: str) -> tuple[Any, ...]:
        if not isinstance(value, list) or (not endless and len(value) != len(checks)):
            raise SnapshotFormatError(f"{where}: not a list of the right length")
        each = checks * len(value) if endless else checks
        items = zip(each, value, strict=False)
        return tuple(one(item, f"{where}[{index}]") for index, (one, item) in enumerate(items))

    return check


def _plain(hint: type[Any], value: Any, where: str, low: int, high: int) -> Any:
    # bool is an int to Python; here neither may stand for the other.
    if type(value) is not hint:
        raise SnapshotFormatError(f"{where}: {repr(value)[:40]} is not {hint.__name__}")
    if hint is int and not low <= value <= high:
        raise SnapshotFormatError(f"{where}: number out of range ({low} to {high})")
    # Written so that NaN fails, too.
    if hint is float and not 0 <= value <= 100:
        raise SnapshotFormatError(f"{where}: not a share in percent (0 to 100)")
    return value
