"""Page faults a second between two samples."""

from __future__ import annotations

from collections.abc import Iterable

from ...samples import Identity, Sample


def fault_rates(
    sample: Sample, before: Sample | None, processes: Iterable[Identity]
) -> tuple[float | None, float | None]:
    """Return minor and major faults a second of those that both samples know; None without any."""
    if before is None or sample.seconds <= before.seconds:
        return None, None
    minor = major = known = 0
    for who in processes:
        now, earlier = sample.faults.get(who), before.faults.get(who)
        if now is None or earlier is None:
            continue
        known += 1
        if now is not earlier:  # most processes do nothing: theirs is the same object
            minor += now.minor - earlier.minor
            major += now.major - earlier.major
    passed = sample.seconds - before.seconds
    return (minor / passed, major / passed) if known else (None, None)
