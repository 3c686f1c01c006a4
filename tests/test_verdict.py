"""The verdict on a report: agreed, not agreed and why, or what the report leaves out."""

import re

import pytest
from kernel_logs import KERNELS, event_of, events_of, expected, one_event

OLD = ("2.6.32", "3.2")


def recorded_events(kernel):
    return list(zip(events_of(kernel), expected(kernel), strict=True))


def the(kernel, recording):
    """The first event of a recording, understood as part of its whole log."""
    return next(
        event for event, truth in recorded_events(kernel) if truth["recording"] == recording
    )


@pytest.mark.parametrize("kernel", OLD)
def test_a_printed_score_lies_in_the_bounds_of_what_the_table_shows(kernel):
    """The bounds are made without the score, but for the rule or node that a log names so."""
    ranges = [event.verdict for event, _ in recorded_events(kernel) if event.verdict.modelled_range]
    assert len(ranges) > 15
    for verdict in ranges:
        least, most = verdict.modelled_range
        assert least <= verdict.printed_score <= most


def test_before_2_6_36_the_verdict_is_bounded_and_never_wrong():
    judged = [event for event, _ in recorded_events("2.6.32") if event.report.tasks]
    assert len(judged) == 26
    assert all(event.ranking is not None for event in judged)
    assert not any(event.verdict.agrees is False for event in judged)
    assert sum(event.verdict.agrees is True for event in judged) >= 22
    for event in judged:
        assert event.verdict.agrees or "before 2.6.36" in event.verdict.why_not


def test_rows_of_a_table_before_2_6_36_have_wide_bounds():
    event = the("2.6.32", "global-1")
    for score in event.ranking.killable:
        assert score.low <= score.badness <= score.high
        assert score.high >= score.task.total_vm_pages >> max(0, -(score.task.oom_adj or 0))


def test_a_score_that_nobody_else_can_reach_proves_the_choice():
    event = the("3.2", "global-self")
    assert event.verdict.modelled_score is None
    assert (event.verdict.agrees, event.verdict.certain) == (True, True)
    assert event.verdict.badness == event.verdict.printed_score


def test_a_score_that_others_may_reach_leaves_it_open():
    verdict = the("3.2", "global-2").verdict
    assert verdict.agrees is None
    assert "no column" in verdict.why_not
    assert f"its score {verdict.printed_score}" in verdict.why_not
    assert re.search(r"\d+ others may have had as much", verdict.why_not)


@pytest.mark.parametrize("kernel", [k for k in KERNELS if k in ("3.10", "4.4", "4.9", "4.19")])
def test_a_child_sacrificed(kernel):
    event = the(kernel, "memcg-other")
    chosen, child = event.report.announcements[0].pid, event.report.victims[0].pid
    assert chosen != child
    assert event.verdict.pid == chosen
    assert event.verdict.agrees
    assert event.verdict.why_not.endswith(f"killed its child {child} in its place")


@pytest.mark.parametrize("kernel", [k for k in KERNELS if not k.endswith("-causes")])
def test_the_task_that_asked(kernel):
    event = the(kernel, "allocating-task")
    assert event.verdict.pid == event.report.trigger.pid == event.report.victims[0].pid
    assert event.verdict.agrees
    assert event.verdict.why_not.startswith("vm.oom_kill_allocating_task is on")


def test_the_task_that_asked_before_2_6_36_in_an_allocation_bound_to_nodes():
    log = the_log("2.6.32", "global-self").replace(
        "Out of memory: kill", "No available memory (MPOL_BIND): kill"
    )
    event = event_of(log.encode())
    assert event.report.constraint == "CONSTRAINT_MEMORY_POLICY"
    assert event.verdict.agrees
    assert event.verdict.why_not.startswith("the allocation was bound to nodes")


@pytest.mark.parametrize("kernel", ["5.10", "6.1", "6.12", "7.2"])
def test_a_cgroup_killed_whole(kernel):
    event = the(kernel, "memcg-group")
    others = len(event.report.victims) - 1
    assert others > 1
    assert event.verdict.agrees
    assert event.verdict.why_not.endswith(f"/whole: {others} more died with it")


def test_a_child_sacrificed_in_a_cgroup_killed_whole():
    why = the("4.19", "memcg-nested-group").verdict.why_not
    assert "killed its child" in why
    assert "memory.oom.group" in why


def the_log(kernel, recording):
    return one_event(kernel, recording).decode()


BASE = the_log("6.12", "global-self")
CHOSEN = event_of(BASE.encode()).report.victims[0]


def row_of(pid, log=BASE):
    return re.search(rf"^.*\[ +{pid}\].*\n", log, re.M)[0]


def without(log, line):
    assert log.count(line) == 1
    return log.replace(line, "")


def test_the_kernels_choice_is_not_in_the_table():
    verdict = event_of(without(BASE, row_of(CHOSEN.pid)).encode()).verdict
    assert (verdict.agrees, verdict.certain) == (None, False)
    missing = f"the kernel's choice {CHOSEN.pid} is not in the task table: rows are missing"
    assert verdict.why_not.startswith(missing)


def test_memory_that_moved_between_choice_and_table():
    old = row_of(CHOSEN.pid)
    fields = old.rpartition("]")[2].split()
    new = old.replace(f" {fields[3]} ", f" {'1':>{len(fields[3])}} ", 1)
    assert new != old
    verdict = event_of(BASE.replace(old, new).encode()).verdict
    assert verdict.agrees is False
    assert verdict.pid != CHOSEN.pid
    assert (
        "pages ahead in the table, which is printed after the choice: memory moved"
        in verdict.why_not
    )


def larger(pid, comm, log=BASE):
    """The chosen process's row again, as another process with one page more."""
    old = row_of(CHOSEN.pid, log)
    new = old.replace(f"{CHOSEN.pid:>7}]", f"{pid:>7}]").replace(f" {CHOSEN.pid} ", f" {pid} ")
    rss = new.rpartition("]")[2].split()[3]
    new = new.replace(f" {rss} ", f" {int(rss) + 1} ", 1).replace(CHOSEN.comm, comm)
    return log.replace(old, old + new)


def test_a_process_that_an_earlier_event_killed_is_passed_over():
    from kernel_logs import read, understood

    earlier = (
        without(BASE, row_of(CHOSEN.pid))
        .replace(f"process {CHOSEN.pid} (", "process 9999 (")
        .replace(f"pid={CHOSEN.pid},", "pid=9999,")
    )
    events = understood(read((earlier + larger(9999, "ghost")).encode()))
    assert [e.report.victims[0].pid for e in events] == [9999, CHOSEN.pid]
    assert events[1].verdict.agrees is False
    assert events[1].verdict.why_not == "9999 was killed by an earlier event and is passed over"


def test_a_child_in_vfork_is_passed_over():
    old = row_of(CHOSEN.pid)
    twin = old.replace(f"{CHOSEN.pid:>7}]", "   9999]").replace(f" {CHOSEN.pid} ", " 9999 ")
    # The later of equals is chosen: the model takes the twin, the kernel took the process.
    verdict = event_of(BASE.replace(old, old + twin).encode()).verdict
    assert (verdict.pid, verdict.agrees) == (9999, False)
    assert f"the same memory as {CHOSEN.pid}" in verdict.why_not
    assert "in vfork, which the kernel passes over" in verdict.why_not


def test_a_chosen_process_that_the_model_holds_for_unkillable():
    old = row_of(CHOSEN.pid)
    assert re.search(r" +0 \S+\n$", old)
    verdict = event_of(
        BASE.replace(old, re.sub(r" 0 (\S+)\n$", r" -1000 \1\n", old)).encode()
    ).verdict
    assert verdict.agrees is False
    assert verdict.why_not == f"the model holds {CHOSEN.pid} for unkillable: oom_score_adj -1000"


def test_a_program_of_bpf_that_chose():
    old = row_of(CHOSEN.pid)
    fields = old.rpartition("]")[2].split()
    smaller = BASE.replace(old, old.replace(f" {fields[3]} ", " 1 ", 1))
    lines = smaller.splitlines(keepends=True)
    log = "".join([lines[0], "oom_policy=mine\n", *lines[1:]])
    verdict = event_of(log.encode()).verdict
    assert (verdict.agrees, verdict.why_not) == (
        False,
        "a BPF program chose, not the kernel's badness",
    )


def test_totalpages_known_within_bounds_only_and_oom_score_adj_that_weighs_by_it():
    log = the_log("6.12", "memcg-swap")
    event = event_of(log.encode())
    assert event.snapshot.reported.totalpages_low != event.snapshot.reported.totalpages_high
    old = row_of(event.report.victims[0].pid, log)
    protected = re.sub(r" 0 (\S+)\n$", r" -500 \1\n", old)
    verdict = event_of(log.replace(old, protected).encode()).verdict
    assert verdict.agrees is False
    assert "totalpages is known only within bounds" in verdict.why_not


def test_a_panic_before_the_choice():
    verdict = event_of(one_event("6.12", "panic")).verdict
    assert (verdict.agrees, verdict.certain) == (None, True)
    assert verdict.why_not == "the kernel panicked before it chose: vm.panic_on_oom is set"


def test_nobody_to_kill():
    event = the("6.12", "memcg-none")
    assert (event.verdict.agrees, event.verdict.why_not) == (True, "no task could be killed")


def test_what_a_fitted_score_proves_is_said():
    """A score that told how much swap counts is no check of it; one that told nothing is."""
    fitted = the("4.9", "memcg-swap")
    assert fitted.snapshot.reported.is_fitted
    assert fitted.verdict.modelled_score == fitted.verdict.printed_score
    plain = the("4.9", "global-self")
    assert not plain.snapshot.reported.is_fitted
    assert plain.verdict.modelled_score == plain.verdict.printed_score


def test_a_kill_line_that_is_of_another_report_is_doubted():
    doubt = "they are hardly of one report"
    assert not any(doubt in gap for gap in event_of(BASE.encode()).gaps)
    changed = re.sub(r"anon-rss:\d+kB", "anon-rss:12kB", BASE)
    assert any(doubt in gap for gap in event_of(changed.encode()).gaps)


def test_nobody_killable_in_a_table_that_lists_tasks_is_said_so():
    nobody = "Out of memory and no killable processes..."
    log = "".join(
        re.sub(r"Out of memory: Killed .*", nobody, line)
        for line in BASE.splitlines(keepends=True)
        if "oom-kill:" not in line and "oom_reaper" not in line
    )
    assert nobody in log
    verdict = event_of(log.encode()).verdict
    assert verdict.agrees is None
    assert verdict.why_not.startswith("the kernel found nobody that it may kill")


OF_A_THREAD = """\
java invoked oom-killer: gfp_mask=0xd0, order=0, oom_score_adj=0
CPU: 1 PID: 7660 Comm: java Not tainted 3.10.0 #1
Task in /docker/81 killed as a result of limit of /docker/81
memory: usage 4194304kB, limit 4194304kB, failcnt 1312
memory+swap: usage 4194304kB, limit 4194304kB, failcnt 0
[ pid ]   uid  tgid total_vm      rss nr_ptes swapents oom_score_adj name
[ 7651]  1000  7651  6553193  1047384    2363        0             0 java
[ 7652]  1000  7652     1000      100       3        0             0 sh
Memory cgroup out of memory: Kill process {named} (java) score {score} or sacrifice child
Killed process {killed} (java) total-vm:26212772kB, anon-rss:4189536kB, file-rss:0kB
"""
"""3.6 to 5.0 search a cgroup thread by thread."""


def of_a_thread(named, score=1001, killed=7651):
    return event_of(OF_A_THREAD.format(named=named, score=score, killed=killed).encode())


def test_an_announced_thread_stands_for_its_process():
    event = of_a_thread(7656)
    verdict = event.verdict
    assert (verdict.agrees, verdict.pid, event.report.chosen_pid) == (True, 7651, 7651)
    assert (verdict.printed_score, verdict.modelled_score) == (1001, 1001)
    assert event.report.victims[0].printed_score == 1001
    assert verdict.why_not == "the kernel announced a thread of it, 7656"
    assert of_a_thread(7651).verdict.why_not is None


def test_an_announced_pid_without_a_row_whose_score_does_not_fit_may_be_any():
    verdict = of_a_thread(7656, score=1003).verdict
    assert (verdict.agrees, verdict.certain) == (None, False)
    assert "7656 is not in the task table" in verdict.why_not
    assert of_a_thread(7656, killed=7652).verdict.agrees is None
