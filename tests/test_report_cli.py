"""The command ``oomlab report``, and ``--from LOG --event N`` of rank and whatif."""

import csv
import gzip
import json
import re
from pathlib import Path

import pytest
from conftest import run
from kernel_logs import FIXTURES, events_of, expected, one_event, recorded


@pytest.fixture
def log(tmp_path):
    path = tmp_path / "kern.log"
    path.write_bytes(recorded("6.12"))
    return path


@pytest.fixture
def single(tmp_path):
    path = tmp_path / "one.log"
    path.write_bytes(one_event("6.12", "global-1"))
    return path


def document(capsys, *arguments):
    status, out, err = run(capsys, "report", *arguments, "--format", "json")
    assert (status, err) == (0, "")
    return json.loads(out)


def test_the_list_names_every_event(capsys, log):
    status, out, _ = run(capsys, "report", log)
    assert status == 0
    assert out.startswith(f"{len(expected('6.12'))} out-of-memory events.")


def test_the_document_has_the_schemas_fields_in_bytes(capsys, single):
    body = document(capsys, single)
    assert body["schema"] == "oomlab.report/1"
    (event,) = body["events"]
    fields = (
        "index source line time kernel era constraint oom_memcg task_memcg trigger victims "
        "predicted page_size totalpages tasks memory diagnosis complete gaps unparsed"
    )
    assert set(fields.split()) <= set(event)
    assert set(event["trigger"]) >= {
        "comm",
        "pid",
        "gfp_mask",
        "gfp_flags",
        "order",
        "oom_score_adj",
    }
    victim = event["victims"][0]
    assert set(victim) >= {
        "pid", "comm", "uid", "total_vm_bytes", "rss_anon_bytes", "rss_file_bytes",
        "rss_shmem_bytes", "pagetable_bytes", "oom_score_adj", "printed_score",
    }  # fmt: skip
    assert set(event["predicted"]) >= {"pid", "comm", "badness", "agrees", "why_not"}
    assert set(event["diagnosis"][0]) == {"cause", "evidence", "advice"}
    assert victim["total_vm_bytes"] % 1024 == 0
    assert event["predicted"]["agrees"] is True
    assert event["complete"] is True


@pytest.mark.parametrize("form", ["csv", "markdown"])
def test_other_formats(capsys, log, form):
    status, out, _ = run(capsys, "report", log, "--format", form)
    assert status == 0
    assert len([line for line in out.splitlines() if "6.12.107" in line]) == len(expected("6.12"))


def test_one_event_in_full(capsys, log):
    status, out, _ = run(capsys, "report", log, "--event", 3)
    assert status == 0
    assert "Event 3:" in out
    assert "Verdict   right by the rules of this kernel" in out
    assert "Why memory ran out:" in out
    assert run(capsys, "report", log, "--event", 999)[0] == 2


def test_filters(capsys, log):
    victims = [pid for event in expected("6.12") for pid, _ in event["victims"]]
    body = document(capsys, log, "--victim", victims[0])
    assert [v["pid"] for e in body["events"] for v in e["victims"]] == [victims[0]]
    assert all(e["oom_memcg"] for e in document(capsys, log, "--cgroup", "nested")["events"])
    times = [e["uptime_seconds"] for e in document(capsys, log)["events"]]
    late = document(capsys, log, "--since", "30", "--until", "60")["events"]
    assert [e["uptime_seconds"] for e in late] == [t for t in times if 30 <= t <= 60]
    assert run(capsys, "report", log, "--since", "yesterday")[0] == 2


def test_times_of_day_and_years(capsys, tmp_path):
    path = tmp_path / "messages"
    lines = one_event("6.12", "sysrq-3").decode().splitlines()
    text = [f"Jun 20 12:47:02 db1 kernel: {line}" for line in lines]
    path.write_text("\n".join(text))
    assert len(document(capsys, path, "--since", "2025-06-20T12:00")["events"]) == 1
    assert len(document(capsys, path, "--until", "2025-06-20T12:00")["events"]) == 0


def test_directories_and_packed_files(capsys, tmp_path, single):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "kern.log.2.gz").write_bytes(gzip.compress(single.read_bytes()))
    assert run(capsys, "report", tmp_path)[0] == 2
    body = document(capsys, "-r", tmp_path)
    assert sorted(e["source"].rpartition("/")[2] for e in body["events"]) == [
        "kern.log.2.gz",
        "one.log",
    ]
    assert [e["index"] for e in body["events"]] == [1, 2]


def test_errors_are_one_line(capsys, tmp_path):
    for arguments in (["report"], ["report", tmp_path / "none"], ["rank", "--event", "1"]):
        status, _, err = run(capsys, *arguments)
        assert status == 2
        assert err.count("\n") == 1
        assert err.startswith("oomlab: ")


def test_an_empty_log_holds_no_event(capsys, tmp_path):
    path = tmp_path / "empty.log"
    path.write_text("")
    status, out, _ = run(capsys, "report", path)
    assert (status, out) == (0, "0 out-of-memory events.\n")


def test_hostile_names_are_escaped(capsys, tmp_path, single):
    path = tmp_path / "hostile.log"
    path.write_bytes(single.read_bytes().replace(b"grower", b"\xe2\x80\xaegr\x07w"))
    _, out, _ = run(capsys, "report", path)
    assert "\x07" not in out
    assert "\u202e" not in out


def test_whatif_on_a_report(capsys, single):
    _, out, _ = run(capsys, "report", single, "--format", "json")
    victim = json.loads(out)["events"][0]["predicted"]["pid"]
    status, out, _ = run(
        capsys, "whatif", "--from", single, "--pid", victim, "--adj", "-1000", "--format", "json"
    )
    assert status == 0
    assert f'"pid": {victim}' in out
    assert json.loads(out)["schema"] == "oomlab.whatif/1"


def test_rank_on_one_of_several_events(capsys, log):
    status, _, err = run(capsys, "rank", "--from", log)
    assert status == 2
    assert "choose one with --event N" in err
    status, out, _ = run(capsys, "rank", "--from", log, "--event", 3, "--format", "json")
    assert status == 0
    assert json.loads(out)["tasks"][0]["pid"] == expected("6.12")[2]["victims"][0][0]
    assert run(capsys, "rank", "--from", log, "--event", 99)[0] == 2


def test_a_reports_snapshot_can_be_saved_and_read_again(single, tmp_path):
    from oomlab import load, rank, save_snapshot

    taken = load(single)
    save_snapshot(taken, tmp_path / "s.json")
    again = load(tmp_path / "s.json")
    assert again == taken
    assert rank(again).victim == rank(taken).victim


def test_json_is_written_event_by_event_as_one_document():
    from oomlab.output.render import render_json
    from oomlab.output.report_document import event_entry, render_events

    for events in (events_of("6.12"), events_of("6.12")[:1], []):
        whole = {"schema": "oomlab.report/1", "events": [event_entry(event) for event in events]}
        assert "".join(render_events(events)) == render_json(whole)


def test_a_listing_of_many_events_says_what_their_whole_would():
    from oomlab.analysis.events import for_listing
    from oomlab.output.layout import Screen
    from oomlab.output.render import FORMATS
    from oomlab.output.report import events_table

    whole = events_of("6.12")
    small = [for_listing(event) for event in whole]
    for form in ("table", "csv", "markdown"):
        texts = [FORMATS[form](events_table(e, sources=1), Screen()) for e in (whole, small)]
        assert texts[0] == texts[1]
    assert all(not event.report.tasks and event.ranking is None for event in small)


def test_a_long_list_is_summed_up_and_says_more_than_whose_limit(capsys, log):
    _, out, _ = run(capsys, "report", log)
    text = " ".join(out.split())
    assert re.search(r"Killed: (\S+ \d+, )+\S+ \d+ and \d+ others\. Nobody in \d+ events\.", text)
    assert re.search(r"Out of memory: machine \d+, /\w+ \d+,", text)
    assert "Why: full of processes' own memory" in text
    _, short, _ = run(capsys, "report", log, "--victim", "grower", "--cgroup", "/one")
    assert "Nobody in" not in short


def test_the_reason_in_the_list_is_what_filled_the_cgroup(capsys, log):
    _, out, _ = run(capsys, "report", log, "--cgroup", "/", "--format", "csv")
    rows = list(csv.DictReader(out.splitlines()))
    of_limits = [row for row in rows if row["constraint"] == "CONSTRAINT_MEMCG"]
    assert {row["why"] for row in of_limits} >= {"full of processes' own memory"}


def test_other_rules_than_the_logs_own(run_cli) -> None:
    log = str(Path(__file__).parent.parent / "fixtures" / "kernel_log" / "6.1.log.xz")

    def badness(*options):
        status, out, _ = run_cli("report", log, "--event", "7", "--format", "json", *options)
        assert status == 0
        event = json.loads(out)["events"][0]
        return [event["predicted"]["badness"], event["era"]]

    own, newer, older = badness(), badness("--kernel", "6.1"), badness("--kernel", "3.2")
    assert own[0] == newer[0]
    assert own[0] > 1000 >= older[0]  # thousandths until 3.4
    status, out, err = run_cli("report", log, "--kernel", "x")
    assert (status, out) == (2, "")
    assert err.startswith("oomlab: 'x' is not a kernel release")


SEVERAL = FIXTURES / "6.12.log.xz"


def test_every_command_that_reads_a_log_takes_its_event(capsys):
    from oomlab.cli.app import COMMANDS

    for command in COMMANDS:
        _, text, _ = run(capsys, command, "--help")
        if "kernel log" in text and "--from FILE" in text:
            assert "--event N" in text, command


@pytest.mark.parametrize("command", ["check", "system"])
def test_what_a_log_can_not_answer_is_said_at_once(command, capsys):
    status, out, err = run(capsys, command, "--from", SEVERAL)
    assert (status, out) == (2, "")
    assert f"'oomlab report {SEVERAL}'" in err
    assert err.count("\n") == 1


def test_eras_and_snapshot_of_one_event(capsys, tmp_path):
    status, out, _ = run(capsys, "eras", "--from", SEVERAL, "--event", "5", "--diff", "5.8", "6.12")
    assert status == 0
    assert "From 5.8 to 6.12" in out
    saved = tmp_path / "event.json"
    assert run(capsys, "snapshot", "--from", SEVERAL, "--event", "5", "-o", saved)[0] == 0
    _, of_log, _ = run(capsys, "rank", "--from", SEVERAL, "--event", "5")
    _, of_saved, _ = run(capsys, "rank", "--from", saved)
    assert of_saved == of_log
    status, _, err = run(capsys, "eras", "--from", SEVERAL)
    assert status == 2
    assert "choose one with --event N" in err


def test_a_listing_of_several_logs_says_which(tmp_path):
    from oomlab.output.layout import Screen
    from oomlab.output.render import render_table
    from oomlab.output.report import events_table

    events = [*events_of("6.12")[:2], *events_of("7.2")[:2]]
    for event, name in zip(events, ("a.log", "a.log", "b.log", "b.log"), strict=True):
        event.report.source = str(tmp_path / name)
    text = render_table(events_table(events, sources=2), Screen(columns=140))
    assert text.count(" a.log") == text.count(" b.log") == 2
    for event in events:
        event.report.source = "test"
