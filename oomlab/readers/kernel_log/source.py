"""Where logs come from: files plain or packed, pipes, directories, the systemd journal."""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from ...errors import SourceError
from ...report import OomReport
from ..once import STDIN, open_source, peek
from .packed import MAGIC_BYTES, unpacked
from .scan import ReadInto, scan
from .survey import Survey, begin_survey
from .turns import scan_surveyed
from .utf16 import decoded

_HEAD_BYTES = 4096
_MOST_DEVICE_BYTES = 1 << 28
"""No kernel's ring buffer is read for longer: /dev/zero has no end."""
_JOURNAL = b"LPKSHHRH"
"""First bytes of the systemd journal's own files."""


def _nobody(_done: int) -> None:
    """Take note of nothing."""


class Reading(NamedTuple):
    """How logs are read, and who is told of it."""

    warn: Callable[[str], None]
    """Takes a line that says what could not be read."""
    tell: Callable[[int], None] = _nobody
    """Takes now and then how many bytes of this file (as it lies there) are done."""
    workers: int = 1
    """Processes that search a large file. It forks: 1 in a program with threads."""


def read_events(path: str, reading: Reading, begun: Survey | None = None) -> Iterator[OomReport]:
    """Yield the events of one log ("-": standard input). Raises SourceError.

    ``begun`` is a survey of this file that is under way already.
    """
    try:
        if begun is not None:
            yield from _surveyed(begun, path, reading)
        elif path == STDIN:
            yield from _events(open_source(path), "standard input", reading)
        else:
            with open_source(path) as stream:
                yield from _events(stream, path, reading)
    except OSError as error:
        raise SourceError(f"{path}: {error.strerror or error}") from error


def _events(stream: Any, name: str, reading: Reading) -> Iterator[OomReport]:
    start = stream.peek(MAGIC_BYTES)[:MAGIC_BYTES]
    if start == _JOURNAL:
        yield from read_journal(reading, None if name == "standard input" else name)
        return
    packed = unpacked(stream, start)
    if packed is not None:
        yield from scan(decoded(_telling(packed.readinto, stream, reading)), name)
        if packed.damage is not None:
            reading.warn(f"{name}: {packed.damage}: read up to there")
        return
    survey = None
    if reading.workers > 1 and _is_file(stream) and stream.tell() == 0:
        survey = begin_survey(stream.fileno(), reading.workers)
    if survey is None:
        read_into = _bounded(stream.readinto, name) if _is_device(stream) else stream.readinto
        yield from scan(decoded(_telling(read_into, stream, reading)), name)
    else:
        yield from _surveyed(survey, name, reading)


def _surveyed(survey: Survey, name: str, reading: Reading) -> Iterator[OomReport]:
    with closing(survey):
        yield from scan_surveyed(survey, name, reading.tell)


def _mode(stream: BinaryIO) -> int:
    try:
        return os.fstat(stream.fileno()).st_mode
    except (OSError, ValueError):
        return 0  # a stream without descriptor


def _is_file(stream: BinaryIO) -> bool:
    return stat.S_ISREG(_mode(stream))


def _is_device(stream: BinaryIO) -> bool:
    return stat.S_ISCHR(_mode(stream))


def _bounded(read_into: ReadInto, name: str) -> ReadInto:
    """Return ``read_into`` that raises SourceError where a device goes on and on."""
    left = _MOST_DEVICE_BYTES

    def read(view: memoryview) -> int:
        nonlocal left
        count = read_into(view)
        left -= count
        if left < 0:
            raise SourceError(f"{name}: a device without end: give a file or a pipe")
        return count

    return read


def _telling(read_into: ReadInto, stream: BinaryIO, reading: Reading) -> ReadInto:
    """Return ``read_into`` that tells how far in the file it is, where that can be known."""
    if reading.tell is _nobody or not _is_file(stream):
        return read_into

    def read(view: memoryview) -> int:
        reading.tell(stream.tell())
        return read_into(view)

    return read


def read_head(path: str) -> bytes:
    """Return a source's first bytes, unpacked; who reads it next has them again.

    Raises SourceError.
    """
    try:
        start = peek(path, _HEAD_BYTES)
    except OSError as error:
        raise SourceError(f"{path}: {error.strerror or error}") from error
    packed = unpacked(io.BytesIO(start), start[:MAGIC_BYTES])
    if packed is None:
        return start
    view = memoryview(bytearray(_HEAD_BYTES))
    return bytes(view[: packed.readinto(view)])


def find_logs(
    paths: Sequence[str], warn: Callable[[str], None], *, recursive: bool
) -> Iterator[str]:
    """Yield the files that ``paths`` name, and those in directories where ``recursive``.

    Links, pipes and devices inside a directory are left out. What can't be read is warned of.
    """
    for path in paths:
        if not path:
            warn("an empty name is no file")
        elif path == STDIN or not Path(path).is_dir():
            yield path
        elif recursive:
            yield from _files_below(path, warn)
        else:
            warn(f"{path} is a directory: give -r to read all files in it")


def _files_below(path: str, warn: Callable[[str], None]) -> Iterator[str]:
    def skip(error: OSError) -> None:
        warn(f"{error.filename}: {error.strerror}")

    for folder, folders, names in os.walk(path, onerror=skip):
        folders.sort()
        for name in sorted(names):
            found = Path(folder, name)
            if stat.S_ISREG(found.lstat().st_mode):
                yield str(found)


def read_journal(reading: Reading, path: str | None = None) -> Iterator[OomReport]:
    """Yield the events in the systemd journal's kernel messages, of all boots. Raises SourceError.

    ``path`` is a journal's file, such as another machine's; else it is this machine's journal.
    """
    import subprocess
    import tempfile

    # As -k, but of all boots. -a: a name with control characters is no reason to hide a line.
    command = ["journalctl", "_TRANSPORT=kernel", "-a", "-o", "short-iso-precise"]
    # Not -q: that nothing may be read, or nothing is there, must be said.
    command += ["--no-pager", *([] if path is None else [f"--file={path}"])]
    name = path or "journal"
    try:
        with (
            tempfile.TemporaryFile() as said,
            subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=said
            ) as run,
        ):
            assert run.stdout is not None
            yield from scan(run.stdout.readinto, name)  # type: ignore[attr-defined]
            status = run.wait()
            said.seek(0)
            words = said.read(1000).decode("utf-8", "replace").strip().partition("\n")[0]
    except OSError as error:
        raise SourceError(
            f"{name}: journalctl can't be run ({error.strerror}); give a log's file instead"
        ) from error
    if status:
        raise SourceError(f"{name}: journalctl failed: {words or f'exit status {status}'}")
    if words:
        reading.warn(f"journalctl: {words}")
