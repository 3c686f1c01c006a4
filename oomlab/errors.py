"""The errors that a caller can tell apart. Each message is one line that says what to do."""

from __future__ import annotations


class OomlabError(Exception):
    """Base of all errors that oomlab raises on purpose; the command line exits with 2."""


class InputError(OomlabError):
    """A value given by the user is not usable: a size, an option, contradictory edits."""


class EventError(InputError):
    """A log holds several out-of-memory events and none was named, or not the one named.

    ``choices`` tells them apart, a line for each.
    """

    def __init__(self, message: str, choices: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.choices = choices


class UnknownTaskError(OomlabError):
    """No task of the snapshot has that PID or name, or more than one has that name.

    ``pid`` is the PID that no task has, where one was asked for.
    """

    def __init__(self, message: str, pid: int | None = None) -> None:
        super().__init__(message)
        self.pid = pid


class SourceError(OomlabError):
    """A place to read from is missing, unreadable or not what it should be."""


class SnapshotFormatError(SourceError):
    """A saved snapshot is damaged, of another version, or not a snapshot."""
