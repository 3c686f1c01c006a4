"""A few scenarios of the long suite ``python -m tests.live_scopes``, which has the story."""

from __future__ import annotations

import pytest
from live_scopes import UnableError, play


@pytest.mark.parametrize("seed", [2, 5, 11])
def test_the_kernel_kills_where_whom_and_in_the_order_that_was_said(seed: int) -> None:
    try:
        outcome = play(seed)
    except UnableError as why:
        pytest.skip(str(why))
    assert outcome.was
    if not outcome.is_judged:
        pytest.skip("several limits were met at once: which one killed is not known")
    assert outcome.agrees, outcome
