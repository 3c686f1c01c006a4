"""Tasks of one user: what ``--user`` names, and whether there is such a user at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import InputError

if TYPE_CHECKING:
    from ..snapshot import Snapshot, Task


def is_of_user(task: Task, user: str) -> bool:
    """Tell whether a task's effective user has that name or uid."""
    return user in (task.user, str(task.euid))


def check_user(snapshot: Snapshot, user: str, source: str | None) -> None:
    """Raise InputError for a name that no user has, or that ``source`` can't tell.

    Of a snapshot it is not known who else has an account there: nobody is no mistake.
    """
    if user.isdecimal() or any(user == task.user for task in snapshot.tasks):
        return
    if source is not None:
        if snapshot.tasks and all(task.user is None for task in snapshot.tasks):
            raise InputError(f"{source} holds no names of users: give --user a uid")
        return
    from pwd import getpwnam

    try:
        getpwnam(user)
    except KeyError:
        raise InputError(f"no user {user!r} on this machine") from None
