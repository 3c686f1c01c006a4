"""A suggestion applied to running processes: the protected survive real OOM kills in a cgroup."""

from __future__ import annotations

from pathlib import Path

import pytest
from test_live_kills import Cage, cage, filling

from tests.protection.scenario import play

__all__ = ["cage", "filling"]


@pytest.mark.parametrize("seed", range(5))
def test_the_protected_outlive_the_sacrificed(seed: int, cage: Cage, filling: Path) -> None:
    story = play(seed, cage, filling)
    assert story.found.sacrificed
    assert story.held, story.order
