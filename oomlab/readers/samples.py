"""Recordings of samples: ``oomlab.samples/1``, a JSON document a line; see docs/watch.md.

A full line every now and then, between them only what has changed. Reading trusts nothing: a
damaged line costs the samples up to the next full one, and is told.
"""

from __future__ import annotations

import gzip
import json
import math
import os
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import IO, Any, BinaryIO

from ..errors import SnapshotFormatError, SourceError
from ..samples import Faults, Identity, Kinds, Sample, identity
from ..snapshot import scan_order_key
from .saved import parse_snapshot, snapshot_document

SCHEMA = "oomlab.samples/1"
_FULL_EVERY = 150
"""So many samples at most are lost with a damaged line: five minutes at the default interval."""
_MOST_LINE_BYTES = 1 << 28
_MOST = 1 << 63


class Recorder:
    """Writes samples to a file as they come, packed where its name ends in .gz.

    Each line is flushed: what was recorded is there even if the machine dies of what it shows.
    The file is readable by its owner only. Raises SourceError.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
            self._file: IO[bytes] = os.fdopen(os.open(path, flags, 0o600), "wb")
        except OSError as error:
            raise SourceError(f"{path}: {error.strerror}") from error
        packed = path.name.endswith(".gz")
        self._pack = gzip.GzipFile(fileobj=self._file, mode="wb", mtime=0) if packed else None
        self._number = 0
        self._last: Sample | None = None

    def write(self, sample: Sample) -> None:
        """Append one sample. Raises SourceError where it can't be written."""
        last = self._last if self._number % _FULL_EVERY else None
        line = encode(self._number, sample, last)
        self._number, self._last = self._number + 1, sample
        try:
            if self._pack is not None:
                self._pack.write(line)
                self._pack.flush(zlib.Z_SYNC_FLUSH)
            else:
                self._file.write(line)
            self._file.flush()
        except OSError as error:
            raise SourceError(f"{self._path}: {error.strerror}") from error

    def close(self) -> None:
        """Finish the file. Raises SourceError where it can't be written."""
        try:
            if self._pack is not None:
                self._pack.close()
            self._file.close()
        except OSError as error:
            raise SourceError(f"{self._path}: {error.strerror}") from error


def encode(number: int, sample: Sample, last: Sample | None) -> bytes:
    """Return a sample's line: full, or what differs from the sample ``last``."""
    snapshot, gone = sample.snapshot, []
    if last is not None:
        known = {identity(task): task for task in last.snapshot}
        now = {identity(task) for task in snapshot}
        fresh = [task for task in snapshot if known.get(identity(task)) != task]
        snapshot = replace(snapshot, tasks=tuple(fresh))
        gone = [list(who) for who in known if who not in now]
    body: dict[str, Any] = {
        "schema": SCHEMA,
        "number": number,
        "full": last is None,
        "seconds": sample.seconds,
        "boot_id": sample.boot_id,
        "snapshot": snapshot_document(snapshot),
        "gone": gone,
    }
    before = last.faults if last is not None else {}
    body["faults"] = [
        [*who, *faults] for who, faults in sample.faults.items() if before.get(who) != faults
    ]
    body["kinds"] = [[*who, *kinds] for who, kinds in sample.kinds.items()]
    return json.dumps(body, separators=(",", ":")).encode("ascii") + b"\n"


def read_samples(path: Path, warn: Callable[[str], None]) -> Iterator[Sample]:
    """Yield a recording's samples; what is damaged is passed over and told to ``warn``.

    Raises SourceError where it can't be read, SnapshotFormatError where it is no recording.
    """
    last: Sample | None = None
    expected, yielded, lost, why = 0, 0, 0, ""
    for count, line in enumerate(_lines(path, warn), 1):
        where = f"{path}: line {count}"
        try:
            body = _parse_line(line, where)
            if not body.get("full") and (last is None or body["number"] != expected):
                raise SnapshotFormatError(f"{where}: needs a line that is missing")
            sample = _sample(body, None if body.get("full") else last, where)
        except SnapshotFormatError as error:
            if not yielded and count == 1:
                raise
            why = why or str(error)
            lost, last = lost + 1, None
            continue
        if lost:
            warn(f"{why}; passed over {lost} {'sample' if lost == 1 else 'samples'}")
            lost, why = 0, ""
        last, expected, yielded = sample, body["number"] + 1, yielded + 1
        yield sample
    if lost:
        warn(f"{why}; passed over {lost} {'sample' if lost == 1 else 'samples'} at the end")
    if not yielded:
        raise SnapshotFormatError(f"{path}: no samples; oomlab watch --record FILE writes them")


def _lines(path: Path, warn: Callable[[str], None]) -> Iterator[bytes]:
    """Yield lines, unpacked; a packed file that ends in the middle is told, not an error."""
    try:
        with open("/dev/stdin" if str(path) == "-" else path, "rb") as stream:  # noqa: PTH123
            packed = stream.peek(2)[:2] == b"\x1f\x8b"
            source: BinaryIO = stream
            if packed:
                source = gzip.GzipFile(fileobj=stream)  # type: ignore[assignment]
            while line := source.readline(_MOST_LINE_BYTES):
                yield line
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        warn(f"{path}: damaged or cut compressed file ({error})")
    except OSError as error:
        raise SourceError(f"{path}: {error.strerror or error}") from error


def _parse_line(line: bytes, where: str) -> dict[str, Any]:
    try:
        body = json.loads(line)
    except (ValueError, RecursionError):
        raise SnapshotFormatError(f"{where}: damaged, or no recording of samples") from None
    if not isinstance(body, dict) or body.get("schema") != SCHEMA:
        raise SnapshotFormatError(f"{where}: not of {SCHEMA} (oomlab watch --record FILE)")
    if not _is_count(body.get("number")) or not isinstance(body.get("snapshot"), dict):
        raise SnapshotFormatError(f"{where}: no number or no snapshot")
    seconds = body.get("seconds")
    if not isinstance(seconds, int | float) or not math.isfinite(seconds):
        raise SnapshotFormatError(f"{where}: seconds is not a number")
    return body


def _sample(body: dict[str, Any], last: Sample | None, where: str) -> Sample:
    """Return the sample of a full line, or what a line of changes makes of the one before."""
    snapshot = parse_snapshot(body["snapshot"], where)
    faults: dict[Identity, Faults] = {}
    if last is not None:
        tasks = {identity(task): task for task in last.snapshot}
        for pid, start in _rows(body, "gone", 2, where):
            tasks.pop((pid, start), None)
        tasks |= {identity(task): task for task in snapshot}
        if len({pid for pid, _ in tasks}) != len(tasks):
            raise SnapshotFormatError(f"{where}: a pid stands in it twice")
        snapshot = replace(snapshot, tasks=tuple(sorted(tasks.values(), key=scan_order_key)))
        faults = {who: value for who, value in last.faults.items() if who in tasks}
    faults |= {(row[0], row[1]): Faults(*row[2:]) for row in _rows(body, "faults", 4, where)}
    width = 2 + len(Kinds._fields)
    kinds = {
        (row[0], row[1]): Kinds(*row[2:]) for row in _rows(body, "kinds", width, where, unknown=2)
    }
    boot_id = body.get("boot_id")
    return Sample(
        seconds=float(body["seconds"]),
        snapshot=snapshot,
        boot_id=boot_id if isinstance(boot_id, str) else "",
        faults=faults,
        kinds=kinds,
    )


def _rows(
    body: dict[str, Any], name: str, width: int, where: str, unknown: int | None = None
) -> list[list[Any]]:
    """Return rows of whole numbers; from column ``unknown`` on they may be null."""
    rows = body.get(name)
    if not isinstance(rows, list):
        raise SnapshotFormatError(f"{where}: {name} is not a list")
    for row in rows:
        if not isinstance(row, list) or len(row) != width:
            raise SnapshotFormatError(f"{where}: {name} is damaged")
        for place, value in enumerate(row):
            optional = unknown is not None and place >= unknown and value is None
            # A process without a known start time has -1 in its place.
            if not optional and not _is_count(value) and not (place == 1 and value == -1):
                raise SnapshotFormatError(f"{where}: {name} is damaged")
    return rows


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value < _MOST
