"""Eras: every boundary on both sides, stable trees, known distributions, and evidence."""

from __future__ import annotations

import csv
import typing
from collections.abc import Callable
from pathlib import Path

import pytest

from oomlab.kernel.eras import FAMILY_SPANS, era_of, release_before, with_facts
from oomlab.kernel.evidence import pick_era
from oomlab.kernel.facts import BASE, Facts
from oomlab.kernel.history import CHANGES, STABLE
from oomlab.kernel.scope import system_scope
from oomlab.kernel.selection import scorer
from oomlab.snapshot import Machine, Snapshot, Task

FIXTURES = Path(__file__).parent.parent / "fixtures"


def rows(name: str) -> list[dict[str, str]]:
    with (FIXTURES / "vectors" / f"{name}.tsv").open() as stream:
        return list(csv.DictReader(stream, delimiter="\t"))


@pytest.mark.parametrize("row", rows("boundaries"), ids=lambda row: f"{row['fact']}-{row['first']}")
def test_each_rule_has_its_boundary_on_both_sides(row: dict[str, str]) -> None:
    before, after = era_of(row["last"]).facts, era_of(row["first"]).facts
    assert str(getattr(before, row["fact"])) == row["before"]
    assert str(getattr(after, row["fact"])) == row["after"]


def test_the_boundaries_are_all_there_are() -> None:
    assert len(rows("boundaries")) == len(CHANGES)


@pytest.mark.parametrize("change", CHANGES, ids=lambda c: f"{c.fact}-{c.since}")
def test_a_change_names_a_fact_and_one_of_its_values(change: object) -> None:
    check_value(change.fact, change.value)  # type: ignore[attr-defined]
    assert change.source  # type: ignore[attr-defined]


@pytest.mark.parametrize("change", STABLE, ids=lambda c: f"{c.series}.{c.level}")
def test_a_stable_tree_has_its_facts_from_its_level_on(change: object) -> None:
    series = ".".join(map(str, change.series))  # type: ignore[attr-defined]
    level = change.level  # type: ignore[attr-defined]
    for fact, value in change.facts.items():  # type: ignore[attr-defined]
        check_value(fact, value)
        assert getattr(era_of(f"{series}.{level}").facts, fact) == value
        assert getattr(era_of(f"{series}.{level - 1}").facts, fact) != value
        assert getattr(era_of(f"{series}.0-1-generic").facts, fact) != value


@pytest.mark.parametrize(
    ("release", "fact", "value"),
    [
        # the trees and mails that show each deviation, their neighbours of other series, and
        # the levels next to those from which it counts
        ("3.2.0", "root_bonus", "30 points"),
        ("3.2.70", "root_bonus", "30 points"),
        ("3.2.71", "root_bonus", "3% points"),
        ("3.1.71", "root_bonus", "30 points"),
        ("3.3.71", "root_bonus", "30 points"),
        ("3.4.38", "memcg_totalpages", "capped"),
        ("3.4.39", "memcg_totalpages", "own swap"),
        ("3.3.39", "memcg_totalpages", "capped"),
        ("3.5.39", "memcg_totalpages", "capped"),
        ("3.10.98", "root_bonus", "30 adj"),
        ("3.10.99", "root_bonus", "3% usage"),
        ("3.10.105", "root_bonus", "3% usage"),
        ("3.9.99", "root_bonus", "30 adj"),
        ("3.11.99", "root_bonus", "30 adj"),
        ("3.12.10", "root_bonus", "30 adj"),
        ("3.13.9", "root_bonus", "30 adj"),
        ("3.13.10", "root_bonus", "3% usage"),
        ("5.4.120", "formula", "pages"),
        ("5.4.142", "formula", "pages"),
        ("5.4.143", "formula", "signed"),
        ("5.4.273", "formula", "signed"),
        ("5.3.188", "formula", "pages"),
        ("5.5.188", "formula", "pages"),
        ("6.12.38", "status_counters", "approximate"),
        ("6.12.39", "status_counters", "exact"),
        ("6.12.107", "status_counters", "exact"),
        ("6.11.39", "status_counters", "approximate"),
        ("6.13.39", "status_counters", "approximate"),
        ("6.14.7", "status_counters", "approximate"),
        ("6.15.6", "status_counters", "approximate"),
        ("6.15.7", "status_counters", "exact"),
    ],
)
def test_stable_trees_deviate_as_their_sources_show(release: str, fact: str, value: str) -> None:
    assert getattr(era_of(release).facts, fact) == value


def check_value(fact: str, value: object) -> None:
    hint = typing.get_type_hints(Facts)[fact]
    assert value in typing.get_args(hint) if typing.get_args(hint) else isinstance(value, hint)


def test_the_oldest_kernel_has_the_base_and_the_families_have_spans() -> None:
    assert era_of("2.6.11").facts == BASE
    assert FAMILY_SPANS["pages"] == "4.17 to 5.8"
    assert FAMILY_SPANS["signed-exact"] == "7.0 and newer"


DISTRIBUTIONS = [
    # release, family by the release alone
    ("2.6.32-754.el6.x86_64", "permille"),  # RHEL, CentOS 6
    ("2.6.32-5-amd64", "legacy"),  # Debian 6
    ("3.10.0-1160.el7.x86_64", "pages-root30"),  # RHEL, CentOS 7
    ("4.18.0-553.el8_10.x86_64", "pages"),  # RHEL 8
    ("5.14.0-427.el9.x86_64", "signed"),  # RHEL 9
    ("6.1.119-1.el9.elrepo.x86_64", "signed"),
    ("3.13.0-24-generic", "pages-root30"),  # Ubuntu 14.04
    ("4.4.0-210-generic", "pages-root3pct-pmd"),  # 16.04
    ("4.15.0-213-generic", "pages-root3pct-pgtables"),  # 18.04
    ("5.4.0-150-generic", "pages"),  # 20.04 counts its own builds: no stable level
    ("5.15.0-1041-azure", "signed"),  # 22.04
    ("6.8.0-45-generic", "signed"),  # 24.04
    ("3.16.0-4-amd64", "pages-root3pct"),  # Debian 8
    ("4.19.0-27-amd64", "pages"),  # Debian 10
    ("6.12.107+deb13-cloud-amd64", "signed"),  # Debian 13
    ("7.2.13+deb14-cloud-amd64", "signed-exact"),
    ("3.0.101-108-default", "permille-ptes-int"),  # SLES 11
    ("4.12.14-122-default", "pages-root3pct-pmd"),  # SLES 12 SP5, 15 SP1
    ("5.3.18-150300-default", "pages"),  # SLES 15 SP3
    ("5.14.21-150500-default", "signed"),  # SLES 15 SP5
    ("4.9.337-android", "pages-root3pct-pmd"),
    ("4.14.336-g1234-ab1", "pages-root3pct-pmd"),
    ("5.4.289-android12-9", "signed"),  # Android common follows 5.4.y
    ("5.10.168-gki-gade08d90ed8c-dirty", "signed"),
]


@pytest.mark.parametrize(("release", "family"), DISTRIBUTIONS)
def test_a_distribution_has_the_family_of_its_release(release: str, family: str) -> None:
    assert era_of(release).family == family
    assert pick_era(Snapshot(machine=machine_of(release), tasks=())).family == family


def test_rhel_took_over_single_rules() -> None:
    el6, el7 = era_of("2.6.32-642.el6.x86_64").facts, era_of("3.10.0-514.el7.x86_64").facts
    assert (el6.formula, el6.root_bonus, el6.page_tables) == ("permille", "30 points", "none")
    assert (el7.root_bonus, el7.family) == ("3% usage", "pages-root30")
    assert era_of("3.10.0-514.generic").facts.root_bonus == "30 adj"
    assert era_of("3.11.0-514.el7").facts.root_bonus == "30 adj"


def machine_of(release: str) -> Machine:
    return Machine(
        page_size=4096,
        release=release,
        ram_pages=2_097_152,
        swap_pages=524_288,
        swapped_out_pages=9,
        cpus=4,
    )


def population(release: str, true_rules: str, **marks: object) -> Snapshot:
    """Return processes whose kernel scores are those of ``true_rules``."""
    machine = machine_of(release)
    tasks = [
        Task(
            pid=100 + number,
            comm="t",
            has_mm=True,
            oom_score_adj=(0, 0, 300, -200, 0)[number % 5],
            rss_pages=number * 9000,
            rss_stat_pages=number * 9000,
            swap_pages=number * 700,
            pagetable_bytes=4096 * (30 + number * 900),
            pmd_bytes=None,
            cap_effective=(1 << 38) - 1 if number % 2 else 0,
            **({"oom_adj": 0} | marks),  # type: ignore[arg-type]
        )
        for number in range(1, 40)
    ]
    era = era_of(true_rules)
    honest = Snapshot(machine=machine._replace(release=true_rules), tasks=tuple(tasks))
    score = scorer(era, system_scope(honest), honest.machine).score
    known = tuple(task._replace(kernel_oom_score=score(task).oom_score) for task in tasks)
    return Snapshot(machine=machine, tasks=known)


@pytest.mark.parametrize(
    ("release", "true_rules", "fact", "value"),
    [
        ("3.10.0-1160.el7.x86_64", "3.10.105", "root_bonus", "3% usage"),
        ("3.10.0-1160.el7.x86_64", "3.10", "root_bonus", "30 adj"),
        ("3.2.0-4-amd64", "3.2.71", "root_bonus", "3% points"),
        ("5.4.0-150-generic", "5.4.188", "formula", "signed"),
        ("4.18.0-553.el8_10.x86_64", "5.9", "formula", "signed"),
        ("4.18.0-553.el8_10.x86_64", "4.18", "formula", "pages"),
        ("4.15.0-213-generic", "4.17", "root_bonus", "none"),
        ("2.6.32-754.el6.x86_64", "2.6.36", "formula", "permille"),
    ],
)
def test_the_kernels_own_scores_win_over_the_release(
    release: str, true_rules: str, fact: str, value: object
) -> None:
    era = pick_era(population(release, true_rules))
    assert getattr(era.facts, fact) == value
    assert era.release == release


def test_where_the_formula_is_taken_from_another_kernel_the_rest_stays() -> None:
    era = pick_era(population("4.18.0-553.el8_10.x86_64", "5.9"))
    own, taken = era_of("4.18").facts, era_of("5.9").facts
    assert era.facts.child_rule == own.child_rule == "worst other mm"
    assert era.facts.formula == taken.formula
    assert era.evidence.startswith("release, but oom_score of 39 processes fits")


def test_without_a_release_the_scores_alone_tell() -> None:
    snapshot = population("x", "5.9")
    nameless = Snapshot(machine=snapshot.machine._replace(release=None), tasks=snapshot.tasks)
    assert pick_era(nameless).facts.formula == "signed"


@pytest.mark.parametrize(
    ("release", "marks", "evidence"),
    [
        ("2.6.32-99-own", {}, "release, but it has oom_score_adj"),
        ("3.10.0-1160.el7.x86_64", {"pmd_bytes": 8192}, "release, but it shows VmPMD"),
        ("4.9.1", {"pmd_bytes": 8192}, "release"),
        ("3.10.1", {}, "release"),
    ],
)
def test_files_that_a_release_should_not_have_betray_a_backport(
    release: str, marks: dict[str, int], evidence: str
) -> None:
    task = Task(pid=9, comm="t", has_mm=True, oom_score_adj=0)._replace(**marks)  # type: ignore[arg-type]
    assert pick_era(Snapshot(machine=machine_of(release), tasks=(task,))).evidence == evidence


def test_one_moving_witness_in_ten_does_not_unseat_the_release() -> None:
    snapshot = population("5.10", "5.10")

    def moved(count: int) -> Snapshot:
        tasks = [
            task._replace(kernel_oom_score=(task.kernel_oom_score or 0) + 500)
            if number < count
            else task
            for number, task in enumerate(snapshot.tasks)
        ]
        return Snapshot(machine=snapshot.machine, tasks=tuple(tasks))

    assert pick_era(moved(3)).evidence == "release"
    # Four of 39 are more than one in ten, but no other rules explain them any better.
    assert pick_era(moved(4)).family == "signed"


def test_evidence_does_not_touch_what_was_asked_for() -> None:
    era = pick_era(population("4.18", "5.9"), "4.18")
    assert (era.family, era.evidence) == ("pages", "asked for")
    assert with_facts(era, "because", ties="last").facts.ties == "last"


Run = Callable[..., tuple[int, str, str]]


def test_the_eras_command_marks_this_machines_rules(run_cli: Run) -> None:
    recording = FIXTURES / "recordings" / "4.9" / "snapshot-1.json.xz"
    status, out, _ = run_cli("eras", "--from", str(recording))
    assert status == 0
    marked = [line for line in out.splitlines() if line.startswith("*")]
    assert len(marked) == 1
    assert "pages-root3pct-pmd" in marked[0]
    assert "Linux 4.9.115" in out
    assert "evidence: release" in out


@pytest.mark.parametrize("form", ["csv", "json", "markdown", "table"])
def test_the_eras_command_has_every_family_in_every_format(run_cli: Run, form: str) -> None:
    _, out, _ = run_cli("eras", "--format", form)
    for family in FAMILY_SPANS:
        assert family in out


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("4.14", "5.10", ["one of equals", "oom_score of an idle process is 666", "(27 processes"]),
        ("5.0", "5.1", ["the chosen process itself dies"]),
        ("3.13", "3.14", ["oom_score_adj less 30; then 3% of its usage off"]),
        ("4.7", "4.9", ["of equals on the whole machine: the last of the scan; then the first"]),
        ("5.5", "5.6", ["no rule of the OOM killer changes"]),
    ],
)
def test_eras_diff_says_in_words_what_changes(
    run_cli: Run, old: str, new: str, said: list[str]
) -> None:
    recording = FIXTURES / "recordings" / "4.9" / "snapshot-1.json.xz"
    status, out, _ = run_cli("eras", "--diff", old, new, "--from", str(recording))
    assert status == 0
    for words in said[1:] or said:
        assert words in out
    assert f"with {old}" in out


def test_eras_diff_as_json(run_cli: Run) -> None:
    import json

    recording = FIXTURES / "recordings" / "4.9" / "snapshot-1.json.xz"
    _, out, _ = run_cli(
        "eras", "--diff", "5.0", "5.1", "--from", str(recording), "--format", "json"
    )
    document = json.loads(out)
    assert document["schema"] == "oomlab.eras-diff/1"
    child = next(one for one in document["differences"] if one["fact"] == "child_rule")
    assert (child["before"], child["after"]) == ("worst other mm", "none")
    assert document["before"]["kernel"]["rules_of"] == "5.0"


def test_eras_diff_of_no_release_is_an_error(run_cli: Run) -> None:
    status, _, err = run_cli("eras", "--diff", "five", "6.1")
    assert status == 2
    assert "not a kernel release" in err


@pytest.mark.parametrize(
    ("series", "before"),
    [
        ((2, 6, 36), "2.6.35"),
        ((3, 0), "2.6.39"),
        ((3, 14), "3.13"),
        ((4, 0), "3.19"),
        ((5, 0), "4.20"),
        ((6, 0), "5.19"),
        ((7, 0), "6.19"),
    ],
)
def test_the_release_before_each_new_number(series: tuple[int, ...], before: str) -> None:
    assert release_before(series) == before
