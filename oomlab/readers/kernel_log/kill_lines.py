"""Who was chosen, who died, and what came of it."""

from __future__ import annotations

import re

from ...report import Announcement, OomReport, Summary, Victim
from .handling import Handlers, Match, note, number

_OPENVZ = re.compile(r"Out of memory in (UB \d+)")
"""OpenVZ's kernel on a container (a user beancounter) that reached its limits."""
_FIELD = re.compile(r"([\w-]+):(-?\d+)")


def _summary(report: OomReport, m: Match) -> None:
    nodemask = None if m["nodemask"] == "(null)" else m["nodemask"]
    told = m.groupdict()  # of a line that was cut the last parts are lost
    report.summary = Summary(
        m["constraint"],
        nodemask,
        m["cpuset"],
        m["mems"],
        m["all"] is not None,
        m["oom"],
        told.get("memcg"),
        told.get("comm"),
        number(told.get("pid")),
        number(told.get("uid")),
    )
    report.cpuset = report.cpuset or m["cpuset"]
    report.mems_allowed = report.mems_allowed or m["mems"]
    report.oom_memcg = m["oom"] or report.oom_memcg
    report.task_memcg = report.summary.task_memcg or report.task_memcg


def _announce(report: OomReport, m: Match) -> None:
    score = number(m["score"])
    report.announcements.append(Announcement(int(m["pid"]), m["comm"], score, m["message"]))


def _kill(report: OomReport, m: Match) -> None:
    pid, kib = int(m["pid"]), {name: int(value) for name, value in _FIELD.findall(m["fields"])}
    uid = number(m["uid1"] or m["uid2"])
    container = _OPENVZ.fullmatch(m["message"] or "")
    if container is not None:
        report.oom_memcg = report.task_memcg = container[1]
        note(report, m)  # its sizes are of other kinds
    announced = [a for a in report.announcements if a.pid == pid]
    report.victims.append(
        Victim(
            pid,
            m["comm"],
            m["message"],
            kib.get("UID", uid),
            kib.get("total-vm", kib.get("vsz", kib.get("vm"))),
            kib.get("anon-rss"),
            kib.get("file-rss"),
            kib.get("shmem-rss"),
            kib.get("pgtables"),
            kib.get("oom_score_adj"),
            announced[-1].score if announced else None,
        )
    )
    if report.names_thread and len(report.victims) == 1:
        score = report.announcements[0].score
        report.victims[0] = report.victims[0]._replace(printed_score=score)


def _reaper(report: OomReport, m: Match) -> None:
    pid = int(m["pid"])
    for index, victim in enumerate(report.victims):
        if victim.pid == pid:
            report.victims[index] = victim._replace(reaped=m["text"])
            return
    report.notes.append(m[0])


def _group(report: OomReport, m: Match) -> None:
    report.group_memcg = m["path"]


def _nobody(report: OomReport, _m: Match) -> None:
    report.no_killable = True


def _panic(report: OomReport, m: Match) -> None:
    report.panic = m["text"]
    report.no_killable = report.no_killable or "no killable" in m["text"]


KILL: Handlers = {
    "summary": _summary,
    "cut_summary": _summary,
    "announce": _announce,
    "kill": _kill,
    "reaper": _reaper,
    "sharing": note,
    "exiting": note,
    "pinned": note,
    "group": _group,
    "nobody": _nobody,
    "panic": _panic,
    "sysrq": note,
}
