"""The logs that a command line names, one after the other, with a bar and warnings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from ..errors import SourceError
from ..report import OomReport
from .early import WORKERS, take_survey
from .notices import tell
from .progress import Progress


class Logs:
    """The events of all logs named. What can't be read is said, and the others are read."""

    def __init__(self, files: Sequence[str], *, recursive: bool, journal: bool) -> None:
        self._files, self._recursive, self._journal = files, recursive, journal
        self._progress = Progress()
        self.failed = False
        """Something that was named could not be read."""
        self.read = 0
        """Files read to their end."""

    def __iter__(self) -> Iterator[OomReport]:
        from ..readers.kernel_log.source import Reading, find_logs, read_events, read_journal

        reading = Reading(self._warn, workers=WORKERS)
        if self._progress.wanted:
            reading = reading._replace(tell=self._progress.tell)
        if self._journal:
            yield from read_journal(reading)
            return
        for path in find_logs(self._files, self._warn, recursive=self._recursive):
            self._progress.file(Path(path).name, _size(path))
            try:
                yield from read_events(path, reading, take_survey(path))
                self.read += 1
            except SourceError as error:
                self._warn(str(error))
        self._progress.clear()

    def _warn(self, text: str) -> None:
        self.failed = True
        self._progress.clear()
        tell(text)


def _size(path: str) -> int:
    try:
        return Path(path).stat().st_size
    except OSError:
        return 0  # opening it will tell
