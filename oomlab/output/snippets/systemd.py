"""Drop-ins for systemd units: OOMScoreAdjust=, or OOMPolicy= and MemoryMax= where that is better.

Source: systemd.exec(5), systemd.service(5), systemd.resource-control(5).
"""

from __future__ import annotations

from ...analysis.owners import Owner, owners_of, place_of_task, service_of
from ...analysis.places import Place
from ...analysis.suggestion import Suggestion
from .text import comment, left_over, limit_bytes, promise_notes

_NAME = "50-oomlab.conf"
_MIB = 1 << 20
_SECTIONS = {".service": "Service", ".socket": "Socket", ".mount": "Mount", ".swap": "Swap"}


def systemd_dropins(found: Suggestion) -> str:
    """Return a drop-in for each unit, its path above it as ``systemctl cat`` shows it."""
    if found.impossible:
        return "\n".join(_limits(found)) + "\n"
    owners, rest = owners_of(found, service_of)
    lines: list[str] = []
    for owner in owners:
        lines += _dropin(owner.place, [f"OOMScoreAdjust={owner.value}"])
    lines += promise_notes(found, owners, service_of)
    lines += left_over(rest, "started by a systemd service")
    if owners:
        lines += _afterwards(owners)
    return "\n".join(lines or comment("Nothing needs to be set.")) + "\n"


def _dropin(place: Place, settings: list[str]) -> list[str]:
    unit = place.unit or ""
    section = next(name for suffix, name in _SECTIONS.items() if unit.endswith(suffix))
    base = "/etc/systemd/user" if _is_users(place) else "/etc/systemd/system"
    return [f"# {base}/{unit}.d/{_NAME}", f"[{section}]", *settings, ""]


def _is_users(place: Place) -> bool:
    """Tell whether a user's own systemd starts the unit."""
    return "/user@" in place.path and not (place.unit or "").startswith("user@")


def _afterwards(owners: list[Owner]) -> list[str]:
    lines = comment(
        "It counts from each unit's next start. A program that sets oom_score_adj for its own "
        "children (PostgreSQL, Chromium, container engines) still does."
    )
    of_users = [owner for owner in owners if _is_users(owner.place)]
    if any(owner.protects for owner in of_users):
        lines += comment(
            "A user's systemd has no CAP_SYS_RESOURCE: a value below its own (100 unless "
            "user@.service sets another) does not take effect."
        )
    lines += _restart("systemctl", [owner for owner in owners if owner not in of_users])
    return lines + _restart("systemctl --user", of_users)


def _restart(command: str, owners: list[Owner]) -> list[str]:
    units = " ".join(sorted({owner.place.unit or "" for owner in owners}))
    return [f"# {command} daemon-reload && {command} restart {units}"] if units else []


def _limits(found: Suggestion) -> list[str]:
    """Return drop-ins for what does it where no setting does: groups apart, limits."""
    lines = comment(f"No setting of oom_score_adj does it: {found.impossible[0]}.")
    done: set[str] = set()
    grouped = [
        t for t in found.protected if any("oom.group" in w for w in found.companions.values())
    ]
    for task in grouped:
        place = place_of_task(task)
        unit = None if place is None else service_of(place)
        if place is not None and unit is not None and unit not in done:
            done.add(unit)
            lines += _dropin(place, ["OOMPolicy=continue"])
    for task in found.sacrificed:
        place = place_of_task(task)
        unit = None if place is None else service_of(place)
        if place is None or unit is None or unit in done:
            continue
        done.add(unit)
        limit = limit_bytes(found, place.path)
        if limit is not None:
            lines += comment("A quarter above what it uses now: an OOM there kills in it only.")
            lines += _dropin(place, [f"MemoryMax={limit // _MIB}M"])
    if not done:
        lines += comment("None of those who may die is a systemd service, so no limit fits here.")
    return lines
