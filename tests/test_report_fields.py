"""docs/reports.md explains every counter that a recorded report has."""

import re
from pathlib import Path

import pytest
from kernel_logs import KERNELS, reports_of

DOCUMENT = (Path(__file__).parent.parent / "docs" / "reports.md").read_text()
EXPLAINED = {name for cell in re.findall(r"^\| (`[^|]*) \|", DOCUMENT, re.M)
             for name in re.findall(r"`([^`]+)`", cell)}  # fmt: skip


def counters(report):
    if report.memory is not None:
        yield from report.memory.totals_pages
        yield from report.memory.counts_pages
        for node in report.memory.nodes_kib.values():
            yield from node
        for zone in report.memory.zones:
            yield from zone.fields_kib
    if report.memcg is not None:
        yield from report.memcg.usage
        for stats in report.memcg.stats.values():
            yield from (name.removeprefix("total_") for name in stats)


@pytest.mark.parametrize("kernel", KERNELS)
def test_every_counter_is_explained(kernel):
    found = {name for report in reports_of(kernel) for name in counters(report)}
    assert len(found) > 10
    assert found <= EXPLAINED, found - EXPLAINED
