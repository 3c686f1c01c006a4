"""Options that name processes or an amount: from their texts to pids and growth."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from ..errors import InputError

if TYPE_CHECKING:
    from ..analysis.suggestion import Growth
    from ..snapshot import Snapshot

_MOST_PERCENT = 100_000


def chosen_pids(snapshot: Snapshot, texts: list[str], but: Collection[int] = ()) -> dict[int, None]:
    """Return the pids of all that comma-separated selectors mean, in their order.

    ``but`` are left out of selectors that mean others as well: a user's all processes but those.
    Raises InputError where one means nothing, or several things.
    """
    from ..analysis.selectors import find_tasks

    words = [word.strip() for text in texts for word in text.split(",")]
    if not all(words):
        raise InputError("an empty name in the list: write for example --protect postgres,sshd")
    found: dict[int, None] = {}
    for word in words:
        pids = [task.pid for task in find_tasks(snapshot, word).tasks]
        found |= dict.fromkeys([pid for pid in pids if pid not in but] or pids)
    return found


def parse_growth(text: str, page_size: int) -> Growth:
    """Return the growth in ``50%`` or ``2G``. Raises InputError where it is neither."""
    from ..analysis.suggestion import Growth
    from ..units import bytes_to_pages, parse_size

    if text.endswith("%"):
        number = text[:-1].strip()
        if not number.isascii() or not number.isdigit() or int(number[:9]) > _MOST_PERCENT:
            raise InputError(f"{text!r} is no growth: write for example 50% or 2G")
        return Growth(percent=int(number))
    try:
        size = parse_size(text)
    except InputError as error:
        raise InputError(f"{text!r} is no growth: write for example 50% or 2G") from error
    return Growth(pages=bytes_to_pages(size, page_size))
