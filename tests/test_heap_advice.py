"""Each piece of advice where its figures call for it, and not where they don't."""

from __future__ import annotations

import pytest
from heaps import assert_equal, driven, read

from oomlab.analysis.heap_advice import advise

WRITE = [f"0 w {slot} 0" for slot in range(300)]
FIXED = ["0 o -1 131072", "0 o -3 131072"]
# Seven threads free seven blocks of each size that a cache keeps.
CACHED = [
    f"{thread} {what} {500 * thread + 7 * number} 7 {16 * number - 8 if what == 'M' else 1}"
    for what in "MF"
    for thread in range(1, 8)
    for number in range(2, 65)
]
CASES = {
    "malloc_trim": (
        ["0 M 0 300 50000", *WRITE, "0 F 0 300 2"],
        ["0 M 0 300 50000", *WRITE, "0 F 0 300 2", "0 t 0 0"],
    ),
    "M_TRIM_THRESHOLD": (
        ["0 o -1 100000000", "0 M 0 300 50000", *WRITE, "0 F 0 300 1"],
        ["0 o -1 131072", "0 M 0 300 50000", *WRITE, "0 F 0 300 1"],
    ),
    "M_MMAP_THRESHOLD": (
        ["0 m 900 20000000", "0 f 900 0", "0 M 0 100 200000", "0 m 901 90", "0 F 0 100 2"],
        [*FIXED, "0 m 900 20000000", "0 f 900 0", "0 M 0 100 200000", "0 F 0 100 2"],
    ),
    "pin": (
        ["0 M 0 300 50000", "0 m 5000 40", "0 F 0 300 1"],
        ["0 M 0 300 50000", "0 m 5000 40", "0 F 0 300 2"],
    ),
    "pools": (
        ["0 M 0 20000 1500", "0 F 0 20000 2"],
        ["0 M 0 20000 1500", "0 F 0 19999 1"],
    ),
    "M_ARENA_MAX": (
        [f"{t} M {1000 * t} 300 9000" for t in (1, 2)]
        + [f"{t} F {1000 * t} 300 2" for t in (1, 2)],
        ["0 M 0 300 9000", "0 F 0 300 2", "1 m 900 100", "2 m 901 100"],
    ),
    "tcache": (CACHED, CACHED[: len(CACHED) // 2]),
    "M_MXFAST": (
        ["0 M 0 60000 40", "0 F 0 59999 1"],
        ["0 M 0 60000 40", "0 F 0 59999 1", "0 t 0 0"],
    ),
    "in use": (
        ["0 M 0 300 50000"],
        ["0 M 0 300 50000", "0 F 0 300 2"],
    ),
}


def names(lines: list[str]) -> list[str]:
    with driven(*lines) as (one, said):
        found = read(one)
        assert_equal(found, said)
        return [item.name for item in advise(found)]


@pytest.mark.parametrize("name", list(CASES))
def test_advice_follows_from_figures(name: str) -> None:
    for_it, against = CASES[name]
    assert name in names(for_it)
    assert name not in names(against)
