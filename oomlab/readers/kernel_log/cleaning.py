"""Take off what terminals, browsers, forums and mail programs do to the letters of a line."""

from __future__ import annotations

import re

_COLOUR = re.compile(
    r"\x1b[\]_P^][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b(?:\[[0-9;:?]*[ -/]*[@-~]|[@-Z\\-_])"
)
_ENTITY = re.compile(r"&(?:gt|lt|amp|quot|#39|#x27|nbsp);")
_BBCODE = re.compile(r"\[/?(?:B|I|U|COLOR|SIZE|FONT|CODE|QUOTE|HIGHLIGHT)(?:=[^\]]{0,40})?\]", re.I)
_HTML = re.compile(
    r"<br ?/?>|</?(?:p|pre|code|span|tt|div|li|tr|td|line|log|msg|message)>|<!\[CDATA\[|\]\]>", re.I
)
"""What the software of forums leaves in a text that was copied, or a page or a document of XML."""
_TICKED = re.compile(r"([> \t]*)`([^`].*[^`])`")


def cleaned(raw: str) -> str:
    """Return a line without what terminals, browsers and mail programs did to its letters."""
    line = raw.strip("\r\n\0\x1e\ufeff")
    if "\x1b" in line:
        line = _COLOUR.sub("", line)
    if "\xa0" in line:
        line = line.replace("\xa0", " ")
    if "&" in line and _ENTITY.search(line):
        import html

        line = html.unescape(line)
    if "[/" in line or "[COLOR" in line:
        line = _BBCODE.sub("", line)
    last = line[-1:]
    if last == ">":
        line = _HTML.sub("", line)
    elif last == "`":
        line = _TICKED.sub(r"\1\2", line, count=1)
    elif last == "|" and line.lstrip().startswith("|"):
        line = line.rstrip("| \t")  # a row of a table
    return line
