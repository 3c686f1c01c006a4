"""Snapshots as JSON: ``oomlab.snapshot/1``, plain or compressed; see docs/snapshot.md.

Reading trusts nothing: neither sizes nor nesting nor (``records.py``) any field.
"""

from __future__ import annotations

import gzip
import io
import json
import lzma
import os
import zlib
from pathlib import Path
from typing import Any, BinaryIO

from ..errors import SnapshotFormatError, SourceError
from ..snapshot import Snapshot
from .once import STDIN, open_source
from .records import as_json, record_of

SCHEMA = "oomlab.snapshot/1"
MAX_BYTES = 1 << 28
"""Refuse to unpack more: 300,000 processes with all their files fit."""

MAX_BRACKETS = 1 << 23
"""Refuse more lists and objects: small in the file, they grow twentyfold in memory."""

_PAGE_SIZES = frozenset(1 << bits for bits in range(10, 21))


def dump_snapshot(snapshot: Snapshot) -> bytes:
    """Return the snapshot as JSON text; fields that are unknown (None) are left out."""
    body = snapshot_document(snapshot)
    return (json.dumps(body, separators=(",", ":")) + "\n").encode("ascii")


def snapshot_document(snapshot: Snapshot) -> dict[str, Any]:
    """Return the snapshot as a JSON document of SCHEMA."""
    body: dict[str, Any] = as_json(snapshot)
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
    snapshot: Snapshot = record_of(Snapshot, {k: v for k, v in body.items() if k != "schema"}, name)
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
