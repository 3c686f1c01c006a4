"""The head of a report: who asked for what, on which kernel and machine, from where."""

from __future__ import annotations

import re

from ...report import Context, OomReport, Trigger
from .handling import Handlers, Match, note, number

_COMM_BYTES = 15
_CUT_RELEASE = re.compile(r"\d+(?:\.\d*){0,2}[>…]")
"""6.1 at the edge of a screen may have been 6.12."""
_MAX_LINES = 200
"""So many lines of a call trace or of registers are kept."""


def _trigger(report: OomReport, m: Match) -> None:
    names = m["names"]
    flags = None if names is None else tuple(name for name in names.split("|") if name)
    nodemask = None if m["nodemask"] in (None, "(null)") else m["nodemask"]
    report.trigger = Trigger(
        m["comm"],
        None if m["mask"] is None or m["mask"].endswith("*") else int(m["mask"], 16),
        flags,
        number(m["order"]),
        number(m["sadj"]),
        number(m["adj"]),
        nodemask,
    )


def _policy(report: OomReport, m: Match) -> None:
    report.policy = m["policy"]


def _cpuset(report: OomReport, m: Match) -> None:
    report.cpuset, report.mems_allowed = m["cpuset"], m["mems"]


def _cpu(report: OomReport, m: Match) -> None:
    if report.context is None:
        cpu, uid = m.groupdict().get("cpu"), m.groupdict().get("uid")
        report.context = Context(
            int(m["pid"]),
            m["comm"],
            None if _CUT_RELEASE.fullmatch(m["release"]) else m["release"],
            number(cpu),
            number(uid),
            m["taint"].strip(" ,") or None,
            m["build"],
        )
        asked = report.trigger
        # A name of more than 15 bytes has the end of another line before it.
        torn = asked is not None and len(asked.comm or "") > _COMM_BYTES
        if asked is not None and (
            asked.comm in (None, m["comm"]) or (torn and (asked.comm or "").endswith(m["comm"]))
        ):
            report.trigger = asked._replace(pid=int(m["pid"]), comm=m["comm"])


def _taint(report: OomReport, m: Match) -> None:
    report.taint_reasons = m[0].removeprefix("Tainted: ")


def _hardware(report: OomReport, m: Match) -> None:
    report.hardware = report.hardware or m["hardware"]


def _workqueue(report: OomReport, m: Match) -> None:
    report.workqueue = report.workqueue or m["workqueue"]


def _trace(report: OomReport, m: Match) -> None:
    if report.memory is None and not report.victims and len(report.stack) < _MAX_LINES:
        report.stack.append(m[0].strip())


def _register(report: OomReport, m: Match) -> None:
    if len(report.registers) < _MAX_LINES:
        report.registers.append(m[0].strip())


HEAD: Handlers = {
    "trigger": _trigger,
    "policy": _policy,
    "compaction": note,
    "cpuset": _cpuset,
    "cpu": _cpu,
    "oldcpu": _cpu,
    "taint": _taint,
    "hardware": _hardware,
    "workqueue": _workqueue,
    "trace": _trace,
    "register": _register,
}
