"""The reader's short ways tell what its long way tells: for rows in a run, after the kill."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kernel_logs import KERNELS, expected, one_event, read
from mutated_logs import KINDS
from test_kernel_log_prefixes import FORMS

from oomlab.readers.kernel_log import assemble
from oomlab.readers.kernel_log.row_run import RowRun

OTHERS = (
    b"Jun 20 12:00:01 db1 app[77]: worker finished, killed nobody, will retry\n",
    b"[   99.000000] oom_reaper: reaped process 101 (hog), now anon-rss:0kB\n",
    b"[   99.000000] Killed\n",
    b"[   99.000000] systemd[1]: still starting\n",
    b"[  812]     0   812     2152       35       9        0             0 a row without time\n",
)


def long_way(data):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RowRun, "take", lambda *_: False)
        patch.setattr(assemble, "may_follow_kill", lambda _: True)
        patch.setattr(assemble, "may_begin_cut_head", lambda _: True)
        return read(data)


@pytest.mark.parametrize("kernel", KERNELS)
def test_every_recorded_log_tells_the_same(kernel):
    for event in expected(kernel)[:4]:
        log = one_event(kernel, event["recording"])
        assert read(log) == long_way(log)


@pytest.mark.parametrize("form", FORMS)
def test_every_wrapping_tells_the_same(form):
    name = expected("5.10")[0]["recording"]
    log = FORMS[form](one_event("5.10", name))
    assert read(log) == long_way(log)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(KERNELS), st.sampled_from(sorted(FORMS)), st.integers(0, 1 << 32))
def test_damaged_rows_and_strange_lines_tell_the_same(kernel, form, seed):
    rng = random.Random(seed)
    lines = FORMS[form](one_event(kernel, expected(kernel)[0]["recording"])).splitlines(True)
    rows = [place for place, line in enumerate(lines) if b"] [" in line] or [0]
    for _ in range(rng.randrange(1, 4)):
        place = min(len(lines) - 1, max(0, rng.choice(rows) + rng.randrange(-2, 12)))
        if rng.random() < 0.4:
            lines.insert(place, rng.choice(OTHERS))
        elif lines[place]:
            rng.choice(KINDS)(rng, lines, place)
        if not lines:
            break
    data = b"".join(lines)
    assert read(data) == long_way(data)
