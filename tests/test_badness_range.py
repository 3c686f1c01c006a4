"""What a printed oom_score tells of badness: the range, no wider and no narrower."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oomlab.kernel.badness import badness_range, oom_score_formula
from oomlab.kernel.eras import era_of


@pytest.mark.parametrize("kernel", ["2.6.36", "4.9", "6.1"])
@settings(deadline=None)
@given(totalpages=st.integers(10_000, 10**9), score=st.integers(1, 1999))
def test_the_ends_of_the_range_print_the_score_and_their_neighbours_do_not(
    kernel: str, totalpages: int, score: int
) -> None:
    facts = era_of(kernel).facts
    printed = oom_score_formula(facts, totalpages)
    found = badness_range(facts, score, totalpages)
    assert found is not None
    low, high = found
    assert printed(low) == printed(high) == score
    assert printed(low - 1) < score < printed(high + 1)


def test_what_tells_nothing() -> None:
    assert badness_range(era_of("2.6.32").facts, 5, 10_000) is None
    assert badness_range(era_of("6.1").facts, 0, 10_000) is None
    assert badness_range(era_of("6.1").facts, 5, 0) is None
