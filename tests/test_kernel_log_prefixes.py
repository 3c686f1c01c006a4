# ruff: noqa: ARG005  # every form is given the same three values
"""The same event in every wrapping tells the same; the wrapping is made here, line by line."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from kernel_logs import one_event, read

CASES = [
    ("6.12", "sysrq-3"),
    ("7.2", "memcg-other"),
    ("4.9", "sysrq-5"),
    ("3.10", "memcg-other"),
    ("2.6.32", "sysrq-2"),
]
START = datetime(2025, 12, 9, 23, 59, 58, tzinfo=UTC)


def stamps(log):
    """Yield (seconds, moment, text) of each line of a recorded log."""
    for raw in log.decode().splitlines():
        stamp, _, text = raw.partition("] ")
        seconds = float(stamp.strip("[ ")) + 998.9
        yield seconds, START + timedelta(seconds=seconds - 998.9), text


def short(moment):
    return f"{moment:%b} {moment.day:2} {moment:%H:%M:%S}"


def uptime(seconds):
    return f"[{seconds:12.6f}]"


def from_lines(make):
    return lambda log: "".join(make(*line) + "\n" for line in stamps(log)).encode()


def with_json(make):
    return lambda log: "".join(json.dumps(make(*line)) + "\n" for line in stamps(log)).encode()


def export(log):
    return "\n".join(
        f"__REALTIME_TIMESTAMP={int(moment.timestamp() * 1e6)}\n_HOSTNAME=db1\n"
        f"_TRANSPORT=kernel\nPRIORITY=4\nMESSAGE={text}\n"
        for _, moment, text in stamps(log)
    ).encode()


def unprefixed_continuations(log):
    """As journals export Mem-Info: its further lines begin with blanks alone."""
    lines = []
    for seconds, _, text in stamps(log):
        more = text.startswith(" ") and "0x" not in text and "<" not in text
        lines.append(" " * 15 + text if more else f"{uptime(seconds)} {text}")
    return "\n".join(lines).encode()


def mail_wrapped(log, width=74):
    """As mail programs break lines: at blanks, before the column."""
    found = []
    for seconds, _, text in stamps(log):
        line = f"{uptime(seconds)} {text}"
        while len(line) > width and " " in line[20:width]:
            cut = line.rindex(" ", 20, width)
            found.append(line[:cut])
            line = line[cut + 1 :]
        found.append(line)
    return "\n".join(found).encode()


FORMS = {
    "raw": from_lines(lambda s, m, t: t),
    "dmesg": from_lines(lambda s, m, t: f"{uptime(s)} {t}"),
    "dmesg narrow": from_lines(lambda s, m, t: f"[{s:.6f}] {t}"),
    "dmesg -T": from_lines(lambda s, m, t: f"[{m:%a %b %d %H:%M:%S %Y}] {t}"),
    "dmesg -T, German": from_lines(lambda s, m, t: f"[Di {m:%b %d %H:%M:%S %Y}] {t}"),
    "dmesg -T, French": from_lines(lambda s, m, t: f"[mar. déc. {m:%d %H:%M:%S %Y}] {t}"),
    "dmesg -x": from_lines(lambda s, m, t: f"kern  :warn  : {uptime(s)} {t}"),
    "dmesg -x iso": from_lines(
        lambda s, m, t: f"kern  :warn  : {m:%Y-%m-%dT%H:%M:%S},{m.microsecond:06}+00:00 {t}"
    ),
    "dmesg iso": from_lines(lambda s, m, t: f"{m:%Y-%m-%dT%H:%M:%S},{m.microsecond:06}+00:00 {t}"),
    "dmesg delta": from_lines(lambda s, m, t: f"[  +0.000026] {t}"),
    "dmesg reltime": from_lines(lambda s, m, t: f"[{m:%b%d %H:%M}] {t}"),
    "dmesg show-delta": from_lines(lambda s, m, t: f"[{s:12.6f} <    0.000012>] {t}"),
    "colour": from_lines(lambda s, m, t: f"\x1b[32m{uptime(s)} \x1b[0m\x1b[33m{t}\x1b[0m\x1b[K"),
    "caller": from_lines(lambda s, m, t: f"{uptime(s)}[ T4711] {t}"),
    "caller cpu": from_lines(lambda s, m, t: f"{uptime(s)}[    C0] {t}"),
    "level": from_lines(lambda s, m, t: f"<4>{uptime(s)} {t}"),
    "level alone": from_lines(lambda s, m, t: f"<4>{t}"),
    "kmsg": from_lines(lambda s, m, t: f"4,{int(s)},{int(s * 1e6)},-;{t}"),
    "kmsg caller": from_lines(lambda s, m, t: f"4,{int(s)},{int(s * 1e6)},-,caller=T12;{t}"),
    "syslog": from_lines(lambda s, m, t: f"{short(m)} db1 kernel: {uptime(s)} {t}"),
    "syslog without seconds": from_lines(lambda s, m, t: f"{short(m)} db1 kernel: {t}"),
    "syslog priority": from_lines(lambda s, m, t: f"<6>{short(m)} db1 kernel: {uptime(s)} {t}"),
    "syslog year": from_lines(lambda s, m, t: f"2025 {short(m)} db1 kernel: {t}"),
    "rfc 5424": from_lines(
        lambda s, m, t: f"<4>1 {m.isoformat()} db1 kernel - - - {uptime(s)} {t}"
    ),
    "rsyslog iso": from_lines(lambda s, m, t: f"{m.isoformat()} db1 kernel: {uptime(s)} {t}"),
    "journal short": from_lines(lambda s, m, t: f"{short(m)} db1.example.org kernel: {t}"),
    "journal short-precise": from_lines(
        lambda s, m, t: f"{short(m)}.{m.microsecond:06} db1 kernel: {t}"
    ),
    "journal short-iso": from_lines(lambda s, m, t: f"{m:%Y-%m-%dT%H:%M:%S}+0000 db1 kernel: {t}"),
    "journal short-monotonic": from_lines(lambda s, m, t: f"{uptime(s)} db1 kernel: {t}"),
    "journal short-unix": from_lines(lambda s, m, t: f"{m.timestamp():.6f} db1 kernel: {t}"),
    "journal json": with_json(
        lambda s, m, t: {
            "__REALTIME_TIMESTAMP": str(int(m.timestamp() * 1e6)),
            "_HOSTNAME": "db1",
            "MESSAGE": t,
        }
    ),
    "journal json bytes": with_json(
        lambda s, m, t: {"_TRANSPORT": "kernel", "MESSAGE": list(t.encode())}
    ),
    "journal export": export,
    "docker json": with_json(lambda s, m, t: {"log": f"{uptime(s)} {t}\n", "stream": "stdout"}),
    "cloud json": with_json(
        lambda s, m, t: {"timestamp": m.isoformat(), "jsonPayload": {"MESSAGE": t}}
    ),
    "cri": from_lines(lambda s, m, t: f"{m.isoformat()} stdout F {uptime(s)} {t}"),
    "ci": from_lines(lambda s, m, t: f"{m:%Y-%m-%dT%H:%M:%S.%f}0Z {uptime(s)} {t}"),
    "ci tab": from_lines(lambda s, m, t: f"{m:%Y-%m-%dT%H:%M:%S}+01:00\t{uptime(s)}[   T98] {t}"),
    "compose": from_lines(lambda s, m, t: f"node-1  | {uptime(s)} {t}"),
    "crlf": from_lines(lambda s, m, t: f"{uptime(s)} {t}\r"),
    "quoted": from_lines(lambda s, m, t: f"> > {uptime(s)} {t}"),
    "indented": from_lines(lambda s, m, t: f"\t{uptime(s)} {t}"),
    "html": from_lines(
        lambda s, m, t: (
            f"{uptime(s)} {t.replace('&', '&amp;').replace('<', '&lt;').replace('>', '&gt;')}"
        )
    ),
    "quoted-printable": from_lines(
        lambda s, m, t: f"{uptime(s)} {t.replace('gfp_mask=', 'gfp_mask=3D')}"
    ),
    "blank lines between": from_lines(lambda s, m, t: f"{uptime(s)} {t}\n"),
    "continuations without prefix": unprefixed_continuations,
    "wrapped by a mail program": mail_wrapped,
    "wrapped at 66": lambda log: mail_wrapped(log, 66),
}


def told(report):
    """Everything that a report says, without where and when it stood."""
    left_out = ("source", "line", "time", "uptime_seconds", "host", "gaps", "stack")
    said = {name: getattr(report, name) for name in report.__slots__ if name not in left_out}
    # Rows of hexadecimal words don't show where a mail program has broken them.
    return said | {"registers": " ".join(report.registers)}


@pytest.fixture(params=CASES, ids=lambda case: "-".join(case), scope="module")
def plain(request):
    log = one_event(*request.param)
    (report,) = read(log)
    return log, report


@pytest.mark.parametrize("form", FORMS)
def test_any_wrapping_tells_the_same(plain, form):
    log, report = plain
    (found,) = read(FORMS[form](log))
    assert told(found) == told(report)


@pytest.mark.parametrize(
    ("form", "time", "host"),
    [
        ("syslog", "Dec ", "db1"),
        ("dmesg -T", "2025-12-", None),
        ("journal json", "2025-12-", "db1"),
        ("journal export", "2025-12-", "db1"),
        ("journal short-unix", "2025-12-", "db1"),
        ("rfc 5424", "2025-12-", "db1"),
        ("dmesg iso", "2025-12-", None),
        ("cloud json", "2025-12-", None),
    ],
)
def test_time_and_host_are_taken_from_the_wrapping(form, time, host):
    (found,) = read(FORMS[form](one_event("6.12", "sysrq-3")))
    assert found.time.startswith(time)
    assert found.host == host


def test_events_of_two_hosts_interleaved_line_by_line_are_told_apart():
    logs = [one_event("6.12", "sysrq-3"), one_event("7.2", "sysrq-3")]
    hosts = [
        [f"{short(m)} {host} kernel: {t}" for _, m, t in stamps(log)]
        for host, log in zip(("one", "two"), logs, strict=True)
    ]
    mixed = [line for pair in zip(*hosts, strict=False) for line in pair]
    mixed += max(hosts, key=len)[min(map(len, hosts)) :]
    found = read("\n".join(mixed).encode())
    plain = [read(log)[0] for log in logs]
    assert [r.host for r in found] == ["one", "two"]
    assert [told(r) for r in found] == [told(r) for r in plain]


def test_events_of_two_cpus_interleaved_are_told_apart_by_the_caller():
    logs = [one_event("6.12", "memcg-other"), one_event("7.2", "sysrq-3")]
    cpus = [
        [f"{uptime(s)}[{caller:>6}] {t}" for s, _, t in stamps(log)]
        for caller, log in zip(("T11", "T12"), logs, strict=True)
    ]
    mixed = [line for pair in zip(*cpus, strict=False) for line in pair]
    mixed += max(cpus, key=len)[min(map(len, cpus)) :]
    found = read("\n".join(mixed).encode())
    assert [told(r) for r in found] == [told(read(log)[0]) for log in logs]


def test_lines_of_other_programs_are_kept_aside():
    log = one_event("6.12", "sysrq-3")
    lines = []
    for number, (_, moment, text) in enumerate(stamps(log)):
        lines.append(f"{short(moment)} db1 kernel: {text}")
        if number % 3 == 0:
            lines.append(f"{short(moment)} db1 sshd[42]: Killed process 1 (not-a-kernel-line)")
    (found,) = read("\n".join(lines).encode())
    expected = told(read(log)[0])
    assert {k: v for k, v in told(found).items() if k != "unparsed"} == {
        k: v for k, v in expected.items() if k != "unparsed"
    }
    assert all("not-a-kernel-line" in line for line in found.unparsed)


def test_memory_info_joined_by_rsyslog():
    log = one_event("6.12", "sysrq-3")
    lines = log.decode().splitlines()
    joined, inside = [], False
    for line in lines:
        text = line.partition("] ")[2]
        if inside and text.startswith(" "):
            joined[-1] += "#012" + text
        else:
            joined.append(line)
            inside = text.startswith("active_anon:")
    (found,) = read("\n".join(joined).encode())
    assert told(found) == told(read(log)[0])
    assert any("#012" in line for line in joined)
