"""The findings of an audit: paragraphs for people, a table and a JSON document for programs."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import wrap
from typing import Any

from ..analysis.audit.finding import SEVERITIES, Finding
from ..analysis.ranking import Ranking
from .documents import gap_entries, kernel_entry, scope_entry
from .escape import printable
from .layout import Screen
from .ranking import rules_line
from .tables import Column, Table

SCHEMA = "oomlab.audit/1"
_INDENT = "          "
_WIDTH = 100

COLUMNS: list[Column[Finding]] = [
    Column(name="severity", header="SEVERITY", help="", value=lambda f: f.severity, left=True),
    Column(name="check", header="CHECK", help="", value=lambda f: f.check, left=True),
    Column(name="subject", header="ABOUT", help="", value=lambda f: f.subject, left=True),
    Column(name="text", header="FINDING", help="", value=lambda f: f.text, left=True),
    Column(name="advice", header="WHAT TO DO", help="", value=lambda f: f.advice, left=True),
]


def audit_text(ranking: Ranking, findings: Sequence[Finding], screen: Screen) -> str:
    """Return the findings as paragraphs that fit the screen, the severest first."""
    lines = _wrapped(heading(findings), screen) + _wrapped(rules_line(ranking), screen)
    for finding in findings:
        lines.append("")
        colour = _COLOURS.get(finding.severity, "") if screen.colour else ""
        mark = f"{finding.severity:<9} "
        first, *rest = _wrapped(f"{mark}{finding.subject}: {finding.text}.", screen, _INDENT)
        plain = "\x1b[0m" if colour else ""
        lines.append(f"{colour}{first[: len(mark)]}{plain}{first[len(mark) :]}")
        lines += rest + _wrapped(f"{_INDENT}To do: {finding.advice}.", screen, _INDENT)
    return "".join(f"{line.rstrip()}\n" for line in lines)


_COLOURS = {"critical": "\x1b[31m", "warning": "\x1b[33m"}


def heading(findings: Sequence[Finding]) -> str:
    """Return how much was found, in a sentence."""
    if not findings:
        return "Nothing found: no setting here would surprise anybody when memory runs out."
    counts = [(sum(f.severity == severity for f in findings), severity) for severity in SEVERITIES]
    said = ", ".join(_counted(count, severity) for count, severity in counts if count)
    return f"{len(findings)} finding{'' if len(findings) == 1 else 's'}: {said}."


def _counted(count: int, severity: str) -> str:
    return f"{count} {severity}{'s' if severity == 'warning' and count > 1 else ''}"


def audit_table(ranking: Ranking, findings: Sequence[Finding]) -> Table[Finding]:
    """Return the findings as a table."""
    return Table(
        columns=COLUMNS,
        rows=findings,
        heading=[heading(findings), rules_line(ranking)],
        fixed=True,
    )


def audit_document(ranking: Ranking, findings: Sequence[Finding]) -> dict[str, Any]:
    """Return the JSON document ``oomlab.audit/1``."""
    return {
        "schema": SCHEMA,
        "kernel": kernel_entry(ranking),
        "scope": scope_entry(ranking),
        "findings": [{**finding._asdict(), "pids": list(finding.pids)} for finding in findings],
        "gaps": gap_entries(ranking.snapshot),
    }


def _wrapped(text: str, screen: Screen, indent: str = "") -> list[str]:
    """Break a line at the screen's width, or at a readable one through a pipe."""
    safe = printable(text)
    columns = max(40, screen.columns or _WIDTH)
    return wrap(safe, columns, subsequent_indent=indent, drop_whitespace=True) or [""]
