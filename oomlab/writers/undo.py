"""The undo file, ``oomlab.undo/1``: what was set before, saved and on disk before any write."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..errors import InputError, SourceError
from .adj import Target

SCHEMA = "oomlab.undo/1"
_MAX_BYTES = 1 << 26


def default_path() -> Path:
    """Return a new file's name below the user's state directory (XDG base directories)."""
    state = os.environ.get("XDG_STATE_HOME", "")
    base = Path(state) if state.startswith("/") else Path.home() / ".local" / "state"
    now_ns = time.time_ns()
    stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime(now_ns // 10**9))
    return base / "oomlab" / f"undo-{stamp}.{now_ns % 10**9:09}Z.json"


def save_undo(path: Path, targets: Sequence[Target]) -> None:
    """Write the undo file, new, readable by its owner only, and wait until it is on disk.

    Raises SourceError where it can't be written or is there already.
    """
    body = {
        "schema": SCHEMA,
        "boot_id": boot_id(),
        "saved_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "changes": [target._asdict() for target in targets],
    }
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as stream:
            json.dump(body, stream, indent=2)
            stream.write("\n")
            stream.flush()
            os.fsync(stream.fileno())
        directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(directory)  # the name in the directory too
        finally:
            os.close(directory)
    except FileExistsError as error:
        raise SourceError(f"{path} is there already: an undo file is never overwritten") from error
    except OSError as error:
        raise SourceError(
            f"{path}: the undo file can't be saved: {error.strerror}; nothing was written "
            "(--undo-file names another place)"
        ) from error


def load_undo(path: Path) -> list[Target]:
    """Return the changes that undo what a file's did.

    Raises SourceError where it is no undo file, or one of another boot.
    """
    body = load_document(path, SCHEMA)
    if body.get("boot_id") != boot_id():
        raise SourceError(f"{path}: the machine was started anew since: those processes are gone")
    return [
        target._replace(before=target.after, after=target.before)
        for target in parse_targets(body, str(path))
    ]


def load_document(path: Path, schema: str) -> dict[str, Any]:
    """Read a JSON document of a schema. Raises SourceError where it is none."""
    try:
        with path.open("rb") as stream:
            text = stream.read(_MAX_BYTES)
        body = json.loads(text)
    except OSError as error:
        raise SourceError(f"{path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise SourceError(f"{path}: not JSON, so no {schema} document") from error
    return check_document(body, schema, str(path))


def check_document(body: Any, schema: str, name: str) -> dict[str, Any]:
    """Return a parsed document if it is of the schema. Raises SourceError otherwise."""
    if not isinstance(body, dict) or body.get("schema") != schema:
        raise SourceError(f"{name}: not an {schema} document")
    return body


def parse_targets(body: dict[str, Any], name: str) -> list[Target]:
    """Return the changes of a document, each checked. Raises SourceError, InputError."""
    changes = body.get("changes")
    if not isinstance(changes, list):
        raise SourceError(f"{name}: it has no list of changes")
    targets = [_target(change, name) for change in changes]
    pids = [target.pid for target in targets]
    if len(set(pids)) != len(pids):
        raise InputError(f"{name}: it changes a process twice")
    return targets


def _target(change: Any, name: str) -> Target:
    if not isinstance(change, dict) or not isinstance(change.get("comm"), str):
        raise SourceError(f"{name}: a change has no name of its process")
    if change.get("start_ticks", 0) is None:
        raise InputError(f"{name}: made of a report without start times, not of running processes")
    limits = {
        "pid": (1, 1 << 22),
        "start_ticks": (0, 1 << 63),
        "before": (-1000, 1000),
        "after": (-1000, 1000),
    }
    for key, (low, high) in limits.items():
        value = change.get(key)
        if type(value) is not int or not low <= value <= high:
            raise SourceError(f"{name}: {key} of a change is {str(value)[:20]!r}")
    return Target(*(change[field] for field in Target._fields))


def boot_id() -> str:
    """Return what tells this boot from all others."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""
