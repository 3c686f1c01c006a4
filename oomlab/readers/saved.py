"""Snapshots as JSON: ``oomlab.snapshot/1``, plain or compressed; see docs/snapshot.md.

Reading trusts nothing: every field's type and range is checked, unknown fields are refused.
"""

from __future__ import annotations

import gzip
import io
import json
import lzma
import os
import types
import zlib
from collections.abc import Callable
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any, BinaryIO, Union, get_args, get_origin, get_type_hints

from ..errors import SnapshotFormatError, SourceError
from ..meminfo import MemInfo, Zone, Zram
from ..snapshot import (
    MAX_PAGES,
    UNLIMITED_PAGES,
    Container,
    Gap,
    Machine,
    Memcg,
    Node,
    Pressure,
    Reported,
    Snapshot,
    Task,
)
from .once import STDIN, open_source

SCHEMA = "oomlab.snapshot/1"
MAX_BYTES = 1 << 28
"""Refuse to unpack more: 300,000 processes with all their files fit."""

MAX_BRACKETS = 1 << 23
"""Refuse more lists and objects: small in the file, they grow twentyfold in memory."""

_RECORDS = (Machine, Node, Task, Memcg, Pressure, Container, Gap, Reported, MemInfo, Zone, Zram)
_ALL_RECORDS = (Snapshot, *_RECORDS)


def dump_snapshot(snapshot: Snapshot) -> bytes:
    """Return the snapshot as JSON text; fields that are unknown (None) are left out."""
    body = snapshot_document(snapshot)
    return (json.dumps(body, separators=(",", ":")) + "\n").encode("ascii")


def snapshot_document(snapshot: Snapshot) -> dict[str, Any]:
    """Return the snapshot as a JSON document of SCHEMA."""
    body: dict[str, Any] = _as_json(snapshot)
    return {"schema": SCHEMA} | body


def save_snapshot(snapshot: Snapshot, path: Path) -> None:
    """Write a snapshot to a file, packed where its name ends in .gz or .xz.

    The file is readable by its owner only: command lines hold secrets. Raises SourceError.
    """
    data = pack(dump_snapshot(snapshot), path.name)
    try:
        if path.exists() and not path.is_file():
            path.write_bytes(data)  # a pipe or a device is the user's own choice
        else:
            _replace_privately(path.resolve(), data)
    except OSError as error:
        raise SourceError(f"{path}: {error.strerror}") from error


def _replace_privately(path: Path, data: bytes) -> None:
    """Write beside the file and rename: never half a file, never readable by others."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
        beside.replace(path)
    except OSError:
        beside.unlink(missing_ok=True)
        raise


def pack(data: bytes, name: str) -> bytes:
    """Compress by the ending of a file's name."""
    if name.endswith(".gz"):
        return gzip.compress(data, mtime=0)
    return lzma.compress(data) if name.endswith(".xz") else data


def read_text(path: Path | None) -> bytes:
    """Return a file's bytes (standard input's for None), unpacked where they are gzip or xz.

    Raises SourceError, also for one that unpacks to more than MAX_BYTES.
    """
    name = "standard input" if path is None else str(path)
    try:
        if path is None:
            return unpack(open_source(STDIN), name)
        with open_source(str(path)) as stream:
            return unpack(stream, name)
    except OSError as error:
        raise SourceError(f"{name}: {error.strerror or error}") from error
    except (EOFError, lzma.LZMAError, zlib.error) as error:
        raise SnapshotFormatError(f"{name}: damaged or cut compressed file ({error})") from error


def unpack(stream: BinaryIO, name: str) -> bytes:
    """Read a stream whole, unpacking gzip and xz by their first bytes."""
    data = _read_bounded(stream, name)
    if data.startswith(b"\x1f\x8b"):
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as packed:
            return _read_bounded(packed, name)
    if data.startswith(b"\xfd7zXZ\x00"):
        with lzma.LZMAFile(io.BytesIO(data)) as packed_xz:
            return _read_bounded(packed_xz, name)
    return data


def _read_bounded(stream: Any, name: str) -> bytes:
    chunks, size = [], 0
    while chunk := stream.read(1 << 20):
        chunks.append(chunk)
        size += len(chunk)
        if size > MAX_BYTES:
            raise SnapshotFormatError(f"{name}: larger than {MAX_BYTES} bytes unpacked")
    return b"".join(chunks)


def parse_json(data: bytes, name: str) -> dict[str, Any]:
    """Parse a JSON object. Raises SnapshotFormatError for anything else, however hostile."""
    if data.count(b"[") + data.count(b"{") > MAX_BRACKETS:
        raise SnapshotFormatError(f"{name}: more lists and objects than a snapshot has")
    try:
        body = json.loads(data)
    except RecursionError:
        raise SnapshotFormatError(f"{name}: nested too deeply to be a snapshot") from None
    except ValueError as error:
        raise SnapshotFormatError(f"{name}: not JSON ({str(error)[:80]})") from None
    if not isinstance(body, dict):
        raise SnapshotFormatError(f"{name}: not a JSON object")
    return body


def parse_snapshot(body: dict[str, Any], name: str = "snapshot") -> Snapshot:
    """Make a Snapshot of parsed JSON. Raises SnapshotFormatError naming the field."""
    schema = body.get("schema")
    if schema != SCHEMA:
        shown = repr(schema)[:40] if schema is not None else "no schema field"
        raise SnapshotFormatError(f"{name}: {shown}; this oomlab reads {SCHEMA}")
    snapshot: Snapshot = _record(Snapshot, {k: v for k, v in body.items() if k != "schema"}, name)
    if snapshot.machine.page_size not in _PAGE_SIZES:
        raise SnapshotFormatError(f"{name}: page_size {snapshot.machine.page_size} is no page size")
    if snapshot.machine.word_bits not in (32, 64):
        raise SnapshotFormatError(f"{name}: word_bits {snapshot.machine.word_bits} is not 32 or 64")
    if snapshot.machine.totalpages == 0:
        raise SnapshotFormatError(f"{name}: a machine without RAM and swap")
    pids = {task.pid for task in snapshot.tasks}
    if len(pids) != len(snapshot.tasks):
        raise SnapshotFormatError(f"{name}: a pid stands in it twice")
    return snapshot


_PAGE_SIZES = frozenset(1 << bits for bits in range(10, 21))

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


def _as_json(value: Any) -> Any:
    if type(value) in _ALL_RECORDS:
        # Skip what loading would fill in by itself, but keep a None that is not the default.
        return {
            name: _as_json(getattr(value, name))
            for name, default in _fields(type(value)).items()
            if getattr(value, name) != default
        }
    if isinstance(value, tuple):
        return [_as_json(item) for item in value]
    return value


def _fields(kind: type[Any]) -> dict[str, Any]:
    """Return each field's default; MISSING for one that must be given."""
    if issubclass(kind, tuple):
        return {name: kind._field_defaults.get(name, MISSING) for name in kind._fields}  # type: ignore[attr-defined]
    return {f.name: f.default for f in fields(kind)}


def _record(kind: type[Any], body: Any, where: str) -> Any:
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
        return lambda value, where: _record(hint, value, where)
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
