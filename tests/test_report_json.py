# lines of logs, however long
"""``oomlab.report/1``: every key, its type and its unit."""

import pytest
from kernel_logs import KERNELS, event_of, events_of, one_event, report_document

NUMBER, TEXT, FLAG = (int, type(None)), (str, type(None)), (bool, type(None))

EVENT = {
    "index": int, "source": str, "line": int, "time": TEXT, "kernel": TEXT, "era": TEXT,
    "constraint": TEXT, "oom_memcg": TEXT, "task_memcg": TEXT, "trigger": (dict, type(None)),
    "victims": list, "predicted": dict, "page_size": NUMBER, "totalpages": NUMBER, "tasks": list,
    "memory": dict, "diagnosis": list, "complete": bool, "gaps": list, "unparsed": list,
}  # fmt: skip
"""What every reader of the document may count on."""
MORE = {
    "uptime_seconds": (float, type(None)), "host": TEXT, "rules_of": TEXT, "evidence": TEXT,
    "cpuset": TEXT, "mems_allowed": TEXT, "hardware": TEXT, "context": dict, "stack": list,
    "registers": list, "announced": list, "group": TEXT, "no_killable": bool, "panic": TEXT,
    "notes": list, "distribution": TEXT,
}  # fmt: skip
TRIGGER = {
    "comm": TEXT, "pid": NUMBER, "gfp_mask": str, "gfp_flags": list, "order": NUMBER,
    "oom_score_adj": NUMBER, "nodemask": TEXT, "oom_adj": NUMBER, "purpose": TEXT,
}  # fmt: skip
VICTIM = {
    "pid": int, "comm": str, "uid": NUMBER, "total_vm_bytes": NUMBER, "rss_anon_bytes": NUMBER,
    "rss_file_bytes": NUMBER, "rss_shmem_bytes": NUMBER, "pagetable_bytes": NUMBER,
    "oom_score_adj": NUMBER, "printed_score": NUMBER, "reaped": TEXT,
}  # fmt: skip
PREDICTED = {
    "pid": NUMBER, "comm": TEXT, "badness": NUMBER, "agrees": FLAG, "why_not": TEXT,
    "certain": bool, "printed_score": NUMBER, "modelled_score": NUMBER,
    "modelled_range": (list, type(None)), "score_checks": FLAG,
}  # fmt: skip
TASK = {
    "pid": int, "tgid": NUMBER, "uid": NUMBER, "comm": str, "total_vm_bytes": NUMBER,
    "rss_bytes": NUMBER, "rss_anon_bytes": NUMBER, "rss_file_bytes": NUMBER,
    "rss_shmem_bytes": NUMBER, "pagetable_bytes": NUMBER, "pmd_bytes": NUMBER,
    "pud_bytes": NUMBER, "swap_bytes": NUMBER, "cpu": NUMBER, "oom_adj": NUMBER,
    "oom_score_adj": NUMBER,
}  # fmt: skip
CONTEXT = {
    "cpu": NUMBER, "pid": NUMBER, "uid": NUMBER, "comm": TEXT, "taint": TEXT,
    "taint_reasons": TEXT, "build": TEXT, "workqueue": TEXT, "policy": TEXT,
}  # fmt: skip
CAUSE = {"cause": str, "evidence": list, "advice": str}


def has(found, wanted):
    """The same keys, and a value of the right type for each."""
    assert set(found) == set(wanted)
    for key, kind in wanted.items():
        assert isinstance(found[key], kind), (key, found[key])
        assert kind is not NUMBER or not isinstance(found[key], bool), key


@pytest.mark.parametrize("kernel", KERNELS)
def test_every_key_of_every_event(kernel):
    document = report_document(events_of(kernel)[:40])
    assert set(document) == {"schema", "events"}
    assert document["schema"] == "oomlab.report/1"
    for event in document["events"]:
        has(event, EVENT | MORE)
        has(event["trigger"], TRIGGER)
        has(event["predicted"], PREDICTED)
        has(event["context"], CONTEXT)
        for part, wanted in (("victims", VICTIM), ("tasks", TASK), ("diagnosis", CAUSE)):
            for one in event[part]:
                has(one, wanted)


def test_the_keys_stand_where_nothing_is_told():
    event = event_of(b"Out of Memory: Killed process 5 (x).\n")
    (found,) = report_document([event])["events"]
    has(found, EVENT | MORE)
    assert found["trigger"] is None
    assert found["complete"] is False
    assert found["memory"] == {}


def test_memory_is_in_bytes():
    log = one_event("6.12", "global-self").decode()
    (found,) = report_document([event_of(log.encode())])["events"]
    (victim,) = found["victims"]
    row = next(task for task in found["tasks"] if task["pid"] == victim["pid"])
    assert row["total_vm_bytes"] == victim["total_vm_bytes"]
    assert row["pagetable_bytes"] % 4096 == 0
    assert f"total-vm:{victim['total_vm_bytes'] // 1024}kB" in log
    memory = found["memory"]
    assert f"active_anon:{memory['totals']['active_anon'] // 4096} " in log
    zone = memory["zones"][0]
    assert f"free:{zone['fields']['free'] // 1024}kB" in log
    assert zone["largest_free_block_bytes"] == max(
        b["size_bytes"] for b in zone["free_blocks"] if b["count"]
    )
    assert zone["free_blocks_bytes"] == sum(
        b["count"] * b["size_bytes"] for b in zone["free_blocks"]
    )
    assert f"Total swap = {memory['swap_total_bytes'] // 1024}kB" in log
    assert set(memory["nodes"]["0"]) > {"active_anon", "kernel_stack", "all_unreclaimable"}


def test_a_cgroups_block_is_in_bytes_and_its_counts_are_counts():
    log = one_event("6.12", "memcg-self").decode()
    (found,) = report_document([event_of(log.encode())])["events"]
    memcg = found["memory"]["memcg"]
    usage = memcg["usage"]["memory"]
    assert (
        f"memory: usage {usage['usage_bytes'] // 1024}kB, limit {usage['limit_bytes'] // 1024}kB"
        in log
    )
    (stats,) = memcg["stats"].values()
    assert f"] anon {stats['anon']}\n" in log
    assert f"pgfault {stats['pgfault']}" in log
