"""Words of another process's memory, through a function that reads bytes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

Read = Callable[[int, int], bytes]
"""``read(address, size)``: the bytes from there on, fewer or none where nothing is mapped."""

_BLOCKS = (1 << 16, 1 << 12)
"""Where no large block is to be had, as at the ends of what is mapped, a small one is."""
_MAX_BLOCKS = 1024


def as_words(data: bytes, pointer_bytes: int) -> memoryview[int]:
    """Return the whole words of some bytes."""
    whole = memoryview(data)[: len(data) // pointer_bytes * pointer_bytes]
    return whole.cast("Q") if pointer_bytes == 8 else whole.cast("I")


class Memory:
    """Reads words of ``pointer_bytes``; small reads come from blocks kept until ``forget()``.

    ``time_left`` is the share that is left of the time that all the reading may take: what
    follows long lists or walks far asks it now and then, and breaks off.
    """

    def __init__(
        self, read: Read, pointer_bytes: int, time_left: Callable[[], float] = lambda: 1.0
    ) -> None:
        self.read = read
        self.pointer_bytes = pointer_bytes
        self.time_left = time_left
        self.limit = 1 << (8 * pointer_bytes)
        self._blocks: dict[tuple[int, int], bytes] = {}

    def forget(self) -> None:
        """Read anew from now on."""
        self._blocks.clear()

    def bytes_at(self, address: int, size: int) -> bytes:
        """Return ``size`` bytes, or fewer where not so many are mapped."""
        if not 0 <= address < self.limit:
            return b""
        for unit in _BLOCKS:
            offset = address % unit
            if offset + size <= unit:
                found = self._block(address - offset, unit)[offset : offset + size]
                if len(found) == size:
                    return found
        return self.read(address, size)

    def words(self, address: int, count: int) -> tuple[int, ...] | None:
        """Return that many words, or None where not all are mapped."""
        size = count * self.pointer_bytes
        data = self.bytes_at(address, size)
        return tuple(as_words(data, self.pointer_bytes)) if len(data) == size else None

    def word(self, address: int) -> int | None:
        """Return the word at an address, or None where none is mapped."""
        found = self.words(address, 1)
        return found[0] if found is not None else None

    def numbers(
        self, address: int, count: int, code: Literal["b", "H", "I"]
    ) -> tuple[int, ...] | None:
        """Return ``count`` numbers of another width: ``code`` as the struct module has it."""
        size = count * {"b": 1, "H": 2, "I": 4}[code]
        data = self.bytes_at(address, size)
        return tuple(memoryview(data).cast(code)) if len(data) == size else None

    def _block(self, start: int, size: int) -> bytes:
        block = self._blocks.get((start, size))
        if block is None:
            if len(self._blocks) >= _MAX_BLOCKS:
                self._blocks.pop(next(iter(self._blocks)))
            block = self._blocks[start, size] = self.read(start, size)
        return block
