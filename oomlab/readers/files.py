"""Reading with as few system calls as possible: by descriptor, one read for a small file."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from ..errors import SourceError

_READ_SIZE = 4096


def read_at(directory: int, name: str) -> bytes:
    """Read a whole file below a directory descriptor, with a single read where it is small."""
    descriptor = os.open(name, os.O_RDONLY, dir_fd=directory)
    try:
        text = os.read(descriptor, _READ_SIZE)
        if len(text) < _READ_SIZE:
            return text
        chunks = [text]
        while chunk := os.read(descriptor, 16 * _READ_SIZE):
            chunks.append(chunk)
        return b"".join(chunks)
    finally:
        os.close(descriptor)


def open_regular(path: Path) -> IO[bytes]:
    """Open a regular file whose name somebody else chose. Raises OSError for anything else.

    Without waiting: a pipe or a device may stand where a file is expected.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(f"{path} is no regular file")
    return os.fdopen(descriptor, "rb")


@contextmanager
def open_directory(path: Path) -> Iterator[int]:
    """Open a directory to read below it. Raises SourceError where it can't be opened."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise SourceError(f"{path}: {error.strerror}; give --proc a mounted /proc") from error
    try:
        yield descriptor
    finally:
        os.close(descriptor)
