"""The table of agreement, and whatever disagrees."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from .judge import Tally

HEADINGS = (
    "kernel",
    "processes",
    "equal",
    "within",
    "vfork",
    "unknown",
    "differ",
    "events",
    "kills",
)
_HEADINGS_KILLS = ("agreed", "reason", "unexplained")


def print_report(tallies: Sequence[Tally], seed: int, seconds: float) -> None:
    """Print the figures of a whole run, and how to replay what failed."""
    for line in report_lines(tallies, seed, seconds):
        print(line)


def report_lines(tallies: Sequence[Tally], seed: int, seconds: float) -> list[str]:
    """Return the report: a Markdown table, the reasons, the faults."""
    rows = [(*HEADINGS, *_HEADINGS_KILLS), *map(_row, tallies)]
    widths = [max(len(str(row[column])) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "| " + " | ".join(str(cell).ljust(w) for cell, w in zip(row, widths, strict=True)) + " |"
        for row in rows
    ]
    lines.insert(1, "| " + " | ".join("-" * width for width in widths) + " |")
    lines += ["", *_sums(tallies), f"{seconds / 60:.1f} minutes, seed {seed}"]
    for tally in tallies:
        if tally.crashes:
            lines.append(f"{tally.boot}: {tally.crashes} crashes of the emulated machine")
        for fault in tally.faults:
            lines.append(f"DIFFERS {tally.boot}: {fault}")
        if tally.faults:
            lines.append(f"replay: python -m tests.kernels --seed {seed} --kernel {tally.boot}")
    return lines


def _row(tally: Tally) -> tuple[object, ...]:
    explained = sum(tally.reasons.values())
    scores = tally.scores
    return (
        f"{tally.release}{' (cgroup v1)' if tally.boot.endswith('-v1') else ''}",
        tally.processes,
        scores["equal"],
        scores["within"],
        scores["passed over"],
        scores["unknown"],
        scores["differs"],
        tally.events,
        tally.kills,
        tally.agreed,
        explained,
        tally.kills - tally.agreed - explained,
    )


def _sums(tallies: Sequence[Tally]) -> list[str]:
    constraints, reasons, orders = Counter[str](), Counter[str](), Counter[str]()
    promises, cascades = Counter[str](), Counter[str]()
    for tally in tallies:
        promises += tally.promises
        cascades += tally.cascades
        constraints += tally.constraints
        reasons += tally.reasons
        orders += tally.orders
    kills = sum(tally.kills for tally in tallies)
    agreed = sum(tally.agreed for tally in tallies)
    lines = [f"{kills} kills: {agreed} foretold, {sum(reasons.values())} with a reason"]
    lines += [f"  {count} kills: {reason}" for reason, count in reasons.most_common()]
    lines.append("choices: " + ", ".join(f"{n} {c}" for c, n in sorted(constraints.items())))
    lines.append("walks: " + ", ".join(f"{n} {c}" for c, n in sorted(orders.items())))
    if promises:
        kinds = ", ".join(f"{n} {c}" for c, n in sorted(promises.items()))
        lines.append(f"suggestions applied: {kinds}")
    if cascades:
        lines.append("cgroups that were filled until all had died:")
        lines += [f"  {count} {what}" for what, count in sorted(cascades.items())]
    return lines
