"""Task tables whose header is lost: read where the kernel's own padding tells the columns."""

import re

import pytest
from kernel_logs import KERNELS, one_event, read, recorded, reports_of, understood

from oomlab.readers.kernel_log.lost_header import columns_of, is_row

HEADER = re.compile(rb"\[ *pid *\] +uid")
ROW = re.compile(rb"\] \[ *\d+\] +\d")


def without_header(log):
    return b"".join(line for line in log.splitlines(True) if not HEADER.search(line))


@pytest.mark.parametrize("kernel", KERNELS)
def test_rows_without_header_are_the_rows_with_it(kernel):
    for whole, found in zip(
        reports_of(kernel), read(without_header(recorded(kernel))), strict=True
    ):
        assert found.tasks == whole.tasks
        assert found.columns == (whole.columns if whole.tasks else None)
        assert found.header_is_lost == bool(whole.tasks)
        assert found.unparsed == []


@pytest.mark.parametrize("kernel", KERNELS)
def test_a_ring_buffer_that_begins_inside_the_table(kernel):
    log = recorded(kernel).splitlines(True)
    first = next(n for n, line in enumerate(log) if HEADER.search(line))
    rows = [n for n, line in enumerate(log[: first + 60]) if n > first and ROW.search(line)]
    # Only those of the first event, which stand together.
    rows = [n for n in rows if n - rows[0] == rows.index(n)]
    whole = reports_of(kernel)[0]
    for place in (0, len(rows) // 2, len(rows) - 1):
        found = read(b"".join(log[rows[place] :]))[0]
        assert found.tasks == whole.tasks[place:]
        assert [v.pid for v in found.victims] == [v.pid for v in whole.victims]
        assert found.header_is_lost
        assert not found.complete


def test_that_rows_may_be_missing_is_said():
    (event,) = understood(read(without_header(one_event("6.12", "sysrq-3"))))
    assert any("header is lost" in gap for gap in event.gaps)
    assert event.verdict.agrees


B36 = "[  123]     0   123     6457     6142      16        0             0 sh"
B415 = "[  123]     0   123     6457     6142    90112        0             0 sh"
B2636 = "[23184]  1002 23184   180470    35609  11       0             0 php-fpm"
B2625 = "[    1]     0     1      103       62   0       0 init"


@pytest.mark.parametrize(
    ("row", "column"),
    [(B36, "nr_ptes"), (B415, "pgtables_bytes"), (B2636, "cpu"), (B2625, "oom_adj")],
)
def test_one_row_is_enough_where_it_fits_one_layout(row, column):
    assert column in columns_of([row])
    assert is_row(row)


@pytest.mark.parametrize(
    "rows",
    [
        [B36, B415],
        [re.sub(" +", " ", B36)],
        ["[1234567] 1000 1234567  2006387  1814349 15110144        0             0 php-fpm"],
        ["[  123]     0   123     6457     6142      16        0             0  led-by-a-blank"],
        ["[  123]     0   123     6457     6142      16        0             0 longer-than-a-name"],
        [],
    ],
    ids=["two layouts", "blanks lost", "too wide to tell", "blank", "long name", "none"],
)
def test_what_is_not_certain_is_not_guessed(rows):
    assert columns_of(rows) is None


def test_wide_numbers_are_read_with_the_rows_that_tell():
    wide = "[1234567]  1000 1234567  2006387  1814349 15110144        0             0 php-fpm"
    usual = "[{:7d}]     0 {:5d}     6457     6142    90112        0             0 sh"
    rows = [usual.format(n, n) for n in (17, 18, 19)]
    assert "pgtables_bytes" in columns_of([*rows, wide])


def test_rows_that_stay_untold_are_kept():
    log = one_event("6.12", "sysrq-3").decode()
    log = re.sub(r"(?m)^.*\[ *pid *\] +uid.*\n", "", log)
    log = re.sub(r"(?m)^(\[[^]]*\] \[)( *\d+\].*)$", lambda m: m[1] + re.sub(" +", " ", m[2]), log)
    (event,) = understood(read(log.encode()))
    assert event.report.tasks == []
    assert len(event.report.unparsed) > 10
    assert event.verdict.agrees is None


def test_a_line_that_only_looks_like_a_row_begins_no_event():
    lines = b"[   12] 3 4 5 6 7 8 9 some counters\n" * 50
    (report,) = read(lines + b"Killed process 7 (x) total-vm:1kB\n")
    assert report.tasks == []
    assert report.unparsed == []
    assert report.line == 51
