"""The samples of many series over a window of time, in bounded memory.

At most ``MOST_SAMPLES`` are kept, evenly spread over the window however long it is: while the
window fills, every second one is dropped whenever there are too many, so that a watch of a
minute and one of a day are both seen whole.
"""

from __future__ import annotations

from array import array
from collections.abc import Hashable, Mapping
from math import isnan, nan
from typing import Generic, NamedTuple, TypeVar

MOST_SAMPLES = 120
"""7140 pairs: Theil and Sen's slope of one series costs about two milliseconds."""

Key = TypeVar("Key", bound=Hashable)


class Series(NamedTuple):
    """Values at moments: seconds and whatever the values' unit is."""

    times: list[float]
    values: list[float]

    def since(self, start: float) -> Series:
        """Return the part from ``start`` on."""
        first = next((i for i, time in enumerate(self.times) if time >= start), len(self.times))
        return Series(self.times[first:], self.values[first:])


class History(Generic[Key]):
    """Series that are all sampled at the same times; a key's series begins when it appears."""

    def __init__(self, window_seconds: float, most: int = MOST_SAMPLES) -> None:
        self._window = window_seconds
        self._most = most
        self._spacing = 0.0
        self._times = array("d")
        self._values: dict[Key, array[float]] = {}

    def add(self, seconds: float, values: Mapping[Key, float | None]) -> None:
        """Add a sample of all series; None where a value could not be read this time.

        A series that is not in ``values`` has ended and is forgotten. Times must rise.
        """
        # The last sample always counts; it stays only if it is far enough from those before.
        crowded = len(self._times) > 1 and self._times[-1] - self._times[-2] < self._spacing
        if crowded:
            self._times[-1] = seconds
        else:
            self._times.append(seconds)
        kept: dict[Key, array[float]] = {}
        for key, value in values.items():
            column = self._values.get(key)
            if column is None:
                column = array("d")
            elif crowded:
                column.pop()
            column.append(nan if value is None else value)
            kept[key] = column
        self._values = kept
        self._drop_old(seconds - self._window)
        if len(self._times) > self._most:
            self._thin()

    def __contains__(self, key: Key) -> bool:
        return key in self._values

    def series(self, key: Key) -> Series:
        """Return a series without the moments when it could not be read."""
        column = self._values.get(key, ())
        times = self._times[len(self._times) - len(column) :]
        known = [(t, v) for t, v in zip(times, column, strict=True) if not isnan(v)]
        return Series([t for t, _ in known], [v for _, v in known])

    def growths(self) -> dict[Key, float]:
        """Return last less first of each: cheap, to see which are worth a closer look."""
        changes = {key: column[-1] - column[0] for key, column in self._values.items()}
        return {key: 0.0 if isnan(change) else change for key, change in changes.items()}

    def _drop_old(self, start: float) -> None:
        while len(self._times) > 2 and self._times[0] < start:
            size = len(self._times)
            self._times.pop(0)
            for column in self._values.values():
                if len(column) == size:
                    column.pop(0)

    def _thin(self) -> None:
        """Keep every second sample, the first and the last among them."""
        # Three quarters of twice the mean distance: no jitter makes it every third.
        self._spacing = 0.75 * (self._times[-1] - self._times[0]) / (self._most / 2)
        keep = self._kept_times()
        size = len(self._times)
        for key, column in self._values.items():
            offset = size - len(column)
            self._values[key] = array("d", [column[i - offset] for i in keep if i >= offset])
        self._times = array("d", [self._times[i] for i in keep])

    def _kept_times(self) -> list[int]:
        """Return the indexes to keep: as evenly spread over time as they can be."""
        kept, last = [0], len(self._times) - 1
        for index in range(1, last):
            if self._times[index] - self._times[kept[-1]] >= self._spacing:
                kept.append(index)
        return [*kept, last]
