"""Words of another process's memory, through a function that reads bytes."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import Literal

from .ranges import Range

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
        self._read = read
        self.pointer_bytes = pointer_bytes
        self.time_left = time_left
        self.limit = 1 << (8 * pointer_bytes)
        self._blocks: dict[tuple[int, int], bytes] = {}
        self._held: list[tuple[int, bytes]] = []

    def hold(self, ranges: Sequence[Range]) -> None:
        """Read ranges at once: what is read of them later is as it was now, until ``release()``.

        What follows lists takes far longer than a copy, and the program changes them meanwhile.
        """
        self.release()
        self._held = [(start, self._read(start, end - start)) for start, end in sorted(ranges)]

    def afresh(self) -> Memory:
        """Return the same memory as it is now, of which nothing is held or kept."""
        return Memory(self._read, self.pointer_bytes, self.time_left)

    def release(self) -> None:
        """Read anew what was held, and all else."""
        self._held = []
        self.forget()

    def forget(self) -> None:
        """Read anew from now on what is not held."""
        self._blocks.clear()

    def read(self, address: int, size: int) -> bytes:
        """Return the bytes from an address on, fewer or none where nothing is mapped."""
        held = self._from_held(address, size) if self._held else None
        return self._read(address, size) if held is None else held

    def bytes_at(self, address: int, size: int) -> bytes:
        """Return ``size`` bytes, or fewer where not so many are mapped."""
        if not 0 <= address < self.limit:
            return b""
        if self._held and (held := self._from_held(address, size)) is not None:
            return held
        for unit in _BLOCKS:
            offset = address % unit
            if offset + size <= unit:
                found = self._block(address - offset, unit)[offset : offset + size]
                if len(found) == size:
                    return found
        return self._read(address, size)

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

    def _from_held(self, address: int, size: int) -> bytes | None:
        index = bisect_right(self._held, address, key=lambda one: one[0]) - 1
        if index < 0:
            return None
        start, data = self._held[index]
        found = data[address - start : address - start + size]
        return found if len(found) == size else None

    def _block(self, start: int, size: int) -> bytes:
        block = self._blocks.get((start, size))
        if block is None:
            if len(self._blocks) >= _MAX_BLOCKS:
                self._blocks.pop(next(iter(self._blocks)))
            block = self._blocks[start, size] = self._read(start, size)
        return block
