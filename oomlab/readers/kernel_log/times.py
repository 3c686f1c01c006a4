"""Times as logs write them, brought to ISO 8601 where they tell the year."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import lru_cache

MONTH = r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
CLOCK = r"\d\d:\d\d:\d\d(?:[.,]\d{1,9})?"

_MONTHS = {name: index for index, name in enumerate(MONTH[3:-1].split("|"), 1)}
_HUMAN = re.compile(rf"\S+ +({MONTH})\w* +(\d\d?) ({CLOCK}) (\d{{4}})")
_NUMBERED = re.compile(rf"\S+ +(\d\d?)[月월] +(\d\d?) ({CLOCK}) (\d{{4}})")
"""As dmesg -T writes it in Chinese, Japanese and Korean."""
_SHORT_YEAR = re.compile(rf"(\d{{4}})? ?({MONTH}) +(\d\d?) (?:(\d{{4}}) )?({CLOCK})(?: (\d{{4}}))?")


@lru_cache(maxsize=256)
def normal_time(text: str) -> str:
    """Return ISO 8601 for a time whose year is known; else the text as it stands.

    >>> normal_time("Mon Dec  8 17:51:31 2025"), normal_time("1765216291000000")
    ('2025-12-08T17:51:31', '2025-12-08T17:51:31+00:00')
    """
    digits = text.replace(".", "", 1)
    if digits.isdecimal() and len(digits) < 22:
        return _from_epoch(text)
    match = _HUMAN.fullmatch(text)
    if match is not None:
        return f"{match[4]}-{_MONTHS[match[1]]:02}-{int(match[2]):02}T{match[3]}"
    match = _NUMBERED.fullmatch(text)
    if match is not None:
        return f"{match[4]}-{int(match[1]):02}-{int(match[2]):02}T{match[3]}"
    match = _SHORT_YEAR.fullmatch(text)
    if match is not None and (year := match[1] or match[4] or match[6]):
        return f"{year}-{_MONTHS[match[2]]:02}-{int(match[3]):02}T{match[5]}"
    if len(text) > 10 and text[:4].isdecimal() and text[10] in "T ":
        day = text[:10].replace("/", "-")
        return f"{day}T{text[11:]}".replace(",", ".").replace(" ", "").replace("UTC", "Z")
    return text[:64]


def _from_epoch(text: str) -> str:
    """Return the time of seconds, milli-, micro- or nanoseconds since 1970."""
    whole, _, fraction = text.partition(".")
    exponent = {10: 0, 13: 3, 16: 6, 19: 9}.get(len(whole))
    if exponent is None:
        return text[:64]
    microseconds = int(whole) * 10**6 // 10**exponent
    if fraction and exponent == 0:
        microseconds += int(fraction[:6].ljust(6, "0"))
    moment = datetime.fromtimestamp(microseconds // 10**6, UTC)
    return moment.replace(microsecond=microseconds % 10**6).isoformat()
