# ruff: noqa: ARG005  # every form is given the same three values
"""The same event in every wrapping tells the same; the wrapping is made here, line by line."""

import html
import json
import quopri
from datetime import UTC, datetime, timedelta

import pytest
from kernel_logs import KERNELS, one_event, read, reports_of, understood

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


def joined_by_rsyslog(log):
    """One record of all lines, as a logger makes of a message of many."""
    lines = list(stamps(log))
    return f"{short(lines[0][1])} db1 kernel: {'#012'.join(t for *_, t in lines)}\n".encode()


def export_binary(log):
    """As journals export what is not plain text: its length first."""
    return b"\n".join(
        b"__REALTIME_TIMESTAMP=1765324798000000\n_HOSTNAME=db1\nMESSAGE\n"
        + len(text.encode()).to_bytes(8, "little")
        + text.encode()
        + b"\n"
        for *_, text in stamps(log)
    )


def verbose(log):
    return "".join(
        f"Tue {m:%Y-%m-%d %H:%M:%S.%f} UTC [s=1b2c;i=5;b=aa;m=1;t=2;x=3]\n"
        f"    _TRANSPORT=kernel\n    PRIORITY=4\n    _HOSTNAME=db1\n    MESSAGE={t}\n"
        for _, m, t in stamps(log)
    ).encode()


def pretty_json(log):
    return "\n".join(
        json.dumps(
            {
                "__REALTIME_TIMESTAMP": str(int(m.timestamp() * 1e6)),
                "_HOSTNAME": "db1",
                "MESSAGE": t,
                "PRIORITY": "4",
            },
            indent=8,
        )
        for _, m, t in stamps(log)
    ).encode()


def json_array(log):
    return json.dumps([{"message": t} for *_, t in stamps(log)]).replace("}, ", "},\n").encode()


def netconsole(log, size=120):
    """As the extended netconsole sends long lines: in pieces, each with the whole head."""
    lines = []
    for number, (seconds, _, text) in enumerate(stamps(log)):
        head = f"4,{number},{int(seconds * 1e6)},-"
        pieces = [text[i : i + size] for i in range(0, len(text), size)] or [""]
        for index, piece in enumerate(pieces):
            part = f",ncfrag={index * size}/{len(text)}" if len(pieces) > 1 else ""
            lines.append(f"{head}{part};{piece}")
    return "\n".join(lines).encode()


def every_other_line_bare(log):
    """Prefixes are missing on some lines, of another kind on others."""
    lines = []
    for number, (seconds, moment, text) in enumerate(stamps(log)):
        syslog = f"{short(moment)} db1 kernel: "
        head = [f"{uptime(seconds)} ", "", f"<4>{uptime(seconds)} ", syslog][number % 4]
        lines.append(head + text)
    return "\n".join(lines).encode()


def escaped_in_source(log):
    return "\n".join(f"\t\t{json.dumps(t + chr(10))}," for *_, t in stamps(log)).encode()


def csv_row(*fields):
    return ",".join('"' + str(field).replace('"', '""') + '"' for field in fields)


def quoted_where_needed(text):
    return csv_row(text) if set(text) & set(',"') else text


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
    "splunk json": with_json(
        lambda s, m, t: {"result": {"_raw": f"{short(m)} db1 kernel: {uptime(s)} {t}"}}
    ),
    "opentelemetry": with_json(
        lambda s, m, t: {
            "timeUnixNano": str(int(m.timestamp() * 1e9)),
            "body": {"stringValue": f"{uptime(s)} {t}"},
        }
    ),
    "json in yaml": from_lines(
        lambda s, m, t: "- " + json.dumps({"dt": m.isoformat(), "lvl": "target", "msg": t})
    ),
    "json after a tag": from_lines(
        lambda s, m, t: f"{m.isoformat()}\tkern.warn\t" + json.dumps({"message": t})
    ),
    "csv": from_lines(lambda s, m, t: csv_row(m.isoformat(), "node-1", f"{uptime(s)} {t}")),
    "csv with labels": from_lines(
        lambda s, m, t: csv_row(int(m.timestamp() * 1e9), '{"app":"kernel"}', f"{uptime(s)} {t}")
    ),
    "csv, quoted where needed": from_lines(
        lambda s, m, t: f"{m:%Y-%m-%d %H:%M:%S.000}," + quoted_where_needed(f"{uptime(s)} {t}")
    ),
    "logfmt": from_lines(
        lambda s, m, t: f"time={m.isoformat()} level=info msg={json.dumps(f'{uptime(s)} {t}')}"
    ),
    "logfmt, message first": from_lines(
        lambda s, m, t: f'message={json.dumps(t)} _MACHINE="a b" hostname=db1 ts="{m.isoformat()}"'
    ),
    "labels": from_lines(
        lambda s, m, t: f'{m.isoformat()} {{app="kernel", host="n1"}} {uptime(s)} {t}'
    ),
    "a pod's name in brackets": from_lines(lambda s, m, t: f"[pod/log-x4d/logger] {uptime(s)} {t}"),
    "another logger's words": from_lines(
        lambda s, m, t: f"W{m:%m%d %H:%M:%S.%f}    1 log_monitor.go:160] {uptime(s)} {t}"
    ),
    "metalog": from_lines(lambda s, m, t: f"{short(m)} [kernel] {uptime(s)} {t}"),
    "web page": from_lines(lambda s, m, t: f"{uptime(s)} {html.escape(t)}<br>"),
    "cri": from_lines(lambda s, m, t: f"{m.isoformat()} stdout F {uptime(s)} {t}"),
    "ci": from_lines(lambda s, m, t: f"{m:%Y-%m-%dT%H:%M:%S.%f}0Z {uptime(s)} {t}"),
    "ci tab": from_lines(lambda s, m, t: f"{m:%Y-%m-%dT%H:%M:%S}+01:00\t{uptime(s)}[   T98] {t}"),
    "compose": from_lines(lambda s, m, t: f"node-1  | {uptime(s)} {t}"),
    "crlf": from_lines(lambda s, m, t: f"{uptime(s)} {t}\r"),
    "forum": from_lines(lambda s, m, t: f"[COLOR=Red][B]{uptime(s)} {t}[/B][/COLOR]"),
    "logwatch": from_lines(lambda s, m, t: f"    1 Time(s): {t}"),
    "quoted": from_lines(lambda s, m, t: f"> > {uptime(s)} {t}"),
    "indented": from_lines(lambda s, m, t: f"\t{uptime(s)} {t}"),
    "html": from_lines(
        lambda s, m, t: (
            f"{uptime(s)} {t.replace('&', '&amp;').replace('<', '&lt;').replace('>', '&gt;')}"
        )
    ),
    "quoted-printable": lambda log: quopri.encodestring(log),
    "journal short, French": from_lines(
        lambda s, m, t: f"avril {m.day:2} {m:%H:%M:%S} db1 kernel: {t}"
    ),
    "journal short, Chinese": from_lines(
        lambda s, m, t: f"{m.month}月 {m.day:2} {m:%H:%M:%S} db1 kernel: {t}"
    ),
    "lines of a terminal in one": lambda log: b"".join(
        line.ljust(90) + b"  " + b"\n" * (number % 3 == 0)
        for number, line in enumerate(log.splitlines())
    ),
    "a list": from_lines(lambda s, m, t: f"- {uptime(s)} {t}"),
    "a pod's name": from_lines(lambda s, m, t: f"pod-x container-y {uptime(s)} {t}"),
    "talos": from_lines(
        lambda s, m, t: f" kern: warning: [{m:%Y-%m-%dT%H:%M:%S.%f}542Z]: {t}{' ' * 99}"
    ),
    "talos, named": from_lines(
        lambda s, m, t: f"10.2.0.9: kern:    info: [{m:%Y-%m-%dT%H:%M:%S.%f}542Z]: {t}"
    ),
    "vmware": from_lines(
        lambda s, m, t: f"{m:%Y-%m-%dT%H:%M:%S.127Z} In(05) vcpu-5 - Guest: <6>{uptime(s)} {t}"
    ),
    "vmware 6": from_lines(
        lambda s, m, t: f"{m:%Y-%m-%dT%H:%M:%S.127Z}| vcpu-0| I005: Guest: <6>{uptime(s)} {t}"
    ),
    "stamp with CPU": from_lines(lambda s, m, t: f"[2-{s:.4f}] {t}"),
    "syslog from a web page": from_lines(
        lambda s, m, t: f"{m:%b} {m.day} {m:%H:%M:%S} [host] kernel: {uptime(s)} {t}"
    ),
    "messages dropped": from_lines(
        lambda s, m, t: f"** 3 printk messages dropped ** {uptime(s)} {t}"
    ),
    "dots": from_lines(lambda s, m, t: f"... {t}"),
    "host hidden": from_lines(lambda s, m, t: f"{short(m)} ** kernel: {t}"),
    "dmesg -T, Japanese": from_lines(
        lambda s, m, t: f"[月 {m.month}月 {m.day:2} {m:%H:%M:%S %Y}] {t}"
    ),
    "dmesg -T, numbered": from_lines(lambda s, m, t: f"{int(s)} [{m:%a %b %d %H:%M:%S %Y}] {t}"),
    "coloured by a forum": from_lines(lambda s, m, t: f'{uptime(s)} [COLOR="Red"]{t}[/COLOR]'),
    "blank lines between": from_lines(lambda s, m, t: f"{uptime(s)} {t}\n"),
    "continuations without prefix": unprefixed_continuations,
    "some lines bare": every_other_line_bare,
    "rfc 5424 structured": from_lines(
        lambda s, m, t: (
            f'<4>1 {m.isoformat()} db1 kernel - - [meta seq="1"][x@32473 a="b c"] \ufeff{t}'
        )
    ),
    "rfc 5424 without time": from_lines(lambda s, m, t: f"<4>1 - - kernel - - - {t}"),
    "all lines in one": joined_by_rsyslog,
    "journal export, binary": export_binary,
    "journal verbose": verbose,
    "journal short-full": from_lines(
        lambda s, m, t: f"Tue {m:%Y-%m-%d %H:%M:%S} UTC db1 kernel: {t}"
    ),
    "journal short-iso-precise": from_lines(
        lambda s, m, t: f"{m:%Y-%m-%dT%H:%M:%S.%f}+0000 db1 kernel: {t}"
    ),
    "journal json-pretty": pretty_json,
    "journal json-sse": lambda log: "".join(
        f"data: {json.dumps({'MESSAGE': t})}\n\n" for *_, t in stamps(log)
    ).encode(),
    "journal json-seq": lambda log: "".join(
        f"\x1e{json.dumps({'MESSAGE': t})}\n" for *_, t in stamps(log)
    ).encode(),
    "json array": json_array,
    "json after a time": from_lines(
        lambda s, m, t: f"{m.isoformat()} stdout F {json.dumps({'log': t})}"
    ),
    "escaped in source": escaped_in_source,
    "serial": lambda log: b"\n\r".join(log.splitlines()),
    "serial, doubled": lambda log: b"\r\r\n".join(log.splitlines()),
    "after a crash": lambda log: b"\0" * 3000 + log.replace(b"\n", b"\n" + b"\0" * 17, 3),
    "netconsole": from_lines(lambda s, m, t: f"{uptime(s)} {t}"),
    "netconsole extended": netconsole,
    "github": from_lines(lambda s, m, t: f"{m:%Y-%m-%dT%H:%M:%S.%f}1Z {t}"),
    "gitlab": from_lines(lambda s, m, t: f"{m:%Y-%m-%dT%H:%M:%S.%f}Z 01O {uptime(s)} {t}"),
    "jenkins": from_lines(lambda s, m, t: f"[{m:%Y-%m-%dT%H:%M:%S}.123Z] {uptime(s)} {t}"),
    "buildkite": from_lines(
        lambda s, m, t: f"\x1b_bk;t={int(m.timestamp() * 1000)}\x07{uptime(s)} {t}"
    ),
    "cloud console": from_lines(lambda s, m, t: f"{short(m)} db1 kernel: {uptime(s)} {t}"),
    "cloud stream": from_lines(lambda s, m, t: f"{m.isoformat()} i-0abc12 {uptime(s)} {t}"),
    "cloud milliseconds": from_lines(
        lambda s, m, t: f"{int(m.timestamp() * 1000)},{uptime(s)} {t}"
    ),
    "openwrt": from_lines(
        lambda s, m, t: f"Tue {m:%b} {m.day:2} {m:%H:%M:%S %Y} kern.warn kernel: {uptime(s)} {t}"
    ),
    "busybox": from_lines(lambda s, m, t: f"{short(m)} db1 kern.warn kernel: {uptime(s)} {t}"),
    "ts": from_lines(lambda s, m, t: f"{m:%b %d %H:%M:%S} {uptime(s)} {t}"),
    "grep": from_lines(lambda s, m, t: f"/var/log/kern.log:{short(m)} db1 kernel: {t}"),
    "grep -n": from_lines(lambda s, m, t: f"log/kern.log-{int(s)}-{uptime(s)} {t}"),
    "changing callers": from_lines(
        lambda s, m, t: f"{uptime(s)}{'[    T7]' if int(s * 1e6) % 3 else ''} {t}"
    ),
    "journal short-full with-unit": from_lines(
        lambda s, m, t: f"Tue {m:%Y-%m-%d %H:%M:%S} UTC db1 kernel[n/a]: {t}"
    ),
    "date with slashes": from_lines(lambda s, m, t: f"{m:%Y/%m/%d %H:%M:%S} {t}"),
    "month first": from_lines(lambda s, m, t: f"{m:%m/%d/%Y %I:%M:%S %p} {t}"),
    "day first": from_lines(lambda s, m, t: f"{m:%d.%m.%Y, %H:%M:%S}\t{t}"),
    "clock alone": from_lines(lambda s, m, t: f"{m:%H:%M:%S} {t}"),
    "severity first": from_lines(lambda s, m, t: f"WARNING  {m.isoformat()} {t}"),
    "tabs": from_lines(lambda s, m, t: f"{m.isoformat()}\tdb1\tkernel\t{t}"),
    "cat -n": from_lines(lambda s, m, t: f"{int(s * 1000) % 9999:6}\t{t}"),
    "table of a web page": from_lines(
        lambda s, m, t: f"| {m:%Y-%m-%d %H:%M:%S.000} | {f'{uptime(s)} {t}':200} |"
    ),
    "backticks": from_lines(lambda s, m, t: f"> `{t}`"),
    "xml": from_lines(lambda s, m, t: f"  <message>{html.escape(f'{uptime(s)} {t}')}</message>"),
    "cdata": from_lines(lambda s, m, t: f"<msg><![CDATA[{t}]]></msg>"),
    "rows of html": from_lines(
        lambda s, m, t: f"<tr><td>{m.isoformat()}</td><td>{uptime(s)} {html.escape(t)}</td></tr>"
    ),
    "single quotes": from_lines(lambda s, m, t: f"    {f'{uptime(s)} {t}'!r},"),
    "yaml": from_lines(lambda s, m, t: "  - '" + f"{uptime(s)} {t}".replace("'", "''") + "'"),
    "yaml, double quotes": from_lines(lambda s, m, t: f"- {json.dumps(f'{uptime(s)} {t}')}"),
    "fluent bit": from_lines(
        lambda s, m, t: (
            f'[0] kmsg: [[{m.timestamp():.9f}, {{}}], {{"sec"=>1, "msg"=>{json.dumps(t)}}}]'
        )
    ),
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
        ("splunk json", "Dec ", "db1"),
        ("opentelemetry", "2025-12-", None),
        ("json in yaml", "2025-12-", None),
        ("json after a tag", "2025-12-", None),
        ("logfmt", "2025-12-", None),
        ("logfmt, message first", "2025-12-", "db1"),
        ("fluent bit", "2025-12-", None),
        ("date with slashes", "2025-12-", None),
        ("month first", "12/", None),
        ("severity first", "2025-12-", None),
        ("tabs", "2025-12-", "db1"),
        ("csv", "2025-12-", None),
        ("csv with labels", "2025-12-", None),
        ("csv, quoted where needed", "2025-12-", None),
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


@pytest.mark.parametrize("form", ["syslog", "syslog priority", "rsyslog iso", "journal short-iso"])
@pytest.mark.parametrize("odd", ["last message repeated 2 times", "-- MARK --", "ker\xeeel: x"])
def test_a_line_that_lacks_its_program_spoils_no_other(form, odd):
    lines = FORMS[form](one_event("6.12", "sysrq-3")).splitlines(keepends=True)
    head = lines[9].partition(b" db1 ")[0].decode() or lines[9].partition(b" db1")[0].decode()
    lines.insert(9, f"{head} db1 {odd}\n".encode("latin-1"))
    (with_odd,) = read(b"".join(lines))
    del lines[9]
    (without,) = read(b"".join(lines))
    assert told(with_odd) == told(without)


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


def mixed_by_clock(logs, clocks, *, step=1):
    """Line by line of both logs, each with its own seconds since boot and nothing else."""
    sides = [
        [f"{uptime(s + clock)} {t}" for s, _, t in stamps(log)]
        for clock, log in zip(clocks, logs, strict=True)
    ]
    pieces = [[side[n : n + step] for n in range(0, len(side), step)] for side in sides]
    mixed = [line for pair in zip(*pieces, strict=False) for piece in pair for line in piece]
    least = min(map(len, pieces))
    mixed += [line for piece in max(pieces, key=len)[least:] for line in piece]
    return "\n".join(mixed).encode()


@pytest.mark.parametrize("step", [1, 2, 7, 30])
@pytest.mark.parametrize("clocks", [(0, 90_000), (90_000, 0), (500, 800)])
def test_events_of_two_machines_without_names_are_told_apart_by_their_clocks(clocks, step):
    logs = [one_event("6.12", "sysrq-3"), one_event("7.2", "memcg-other")]
    found = read(mixed_by_clock(logs, clocks, step=step))
    assert [told(r) for r in found] == [told(read(log)[0]) for log in logs]


def test_an_event_cut_off_before_another_one_does_not_take_its_lines():
    first, second = one_event("6.12", "sysrq-3"), one_event("6.12", "memcg-other")
    cut = "\n".join(f"{uptime(s)} {t}" for s, _, t in list(stamps(first))[:30])
    later = "\n".join(f"{uptime(s + 5000)} {t}" for s, _, t in stamps(second))
    for filler in ("", "\n".join(f"{uptime(7000 + n)} usb 1-1: nothing" for n in range(300))):
        found = read(f"{cut}\n{later}\n{filler}\n{later}\n".encode())
        assert [len(r.victims) for r in found] == [0, 1, 1]
        assert [r.line for r in found] == sorted(r.line for r in found)
        assert told(found[1]) == told(read(second)[0])


def test_events_that_nothing_tells_apart_are_said_to_be_mixed():
    """Both at the same clock, no host, no caller: neither may pass for a whole report."""
    logs = [one_event("6.12", "sysrq-3"), one_event("7.2", "global-1")]
    lines = [[t for *_, t in stamps(log)] for log in logs]
    mixed = [line for pair in zip(*lines, strict=False) for line in pair]
    mixed += max(lines, key=len)[min(map(len, lines)) :]
    events = understood(read("\n".join(mixed).encode()))
    victims = [v.pid for event in events for v in event.report.victims]
    assert victims == [v.pid for log in logs for v in read(log)[0].victims]
    for event in events:
        if event.report.complete:
            assert any("lines of two reports are mixed" in gap for gap in event.gaps)
            assert event.verdict.agrees is not False


def test_two_mixed_events_spoil_no_third():
    logs = [one_event("6.12", "sysrq-3"), one_event("7.2", "global-1")]
    third = one_event("4.9", "sysrq-5")
    mixed = [line for pair in zip(*(log.splitlines(True) for log in logs)) for line in pair]  # noqa: B905
    found = read(third + b"".join(mixed) + third)
    alone = told(read(third)[0])
    assert [told(report) == alone for report in found] == [True, *[False] * (len(found) - 2), True]


@pytest.mark.parametrize("kernel", KERNELS)
def test_no_whole_report_is_called_mixed(kernel):
    assert not any(report.is_mixed for report in reports_of(kernel))


@pytest.mark.parametrize(("kernel", "recording"), CASES)
def test_a_log_with_its_newest_lines_first_is_told_and_said_to_be(kernel, recording):
    log = one_event(kernel, recording)
    (whole,) = read(log)
    events = understood(read(b"\n".join(reversed(log.splitlines()))))
    assert [v.pid for e in events for v in e.report.victims] == [v.pid for v in whole.victims]
    turned = next(e for e in events if e.report.tasks)
    assert turned.report.tasks == whole.tasks
    assert not turned.report.complete
    assert any("reverse order" in gap for gap in turned.gaps)
