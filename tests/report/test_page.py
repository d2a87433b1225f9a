from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cardrunner.report.sections import SECTIONS
from cardrunner.report.surroundings import git_tree
from cardrunner.report.table import Strong
from cardrunner.runs.environment import collect_environment
from cardrunner.runs.folder import RunFolder
from cardrunner.runs.records import CheckRow, ChecksRecord, GitTree, write_record

Show = Callable[[RunFolder], Any]


def test_every_run_gets_every_section_in_order(any_run: RunFolder, page: Show) -> None:
    headings = re.findall(r"^## (.*)$", page(any_run).text, re.MULTILINE)
    measured = [section.name for section in SECTIONS[1:] if section.name != "Metrics, reported by the script"]
    assert headings == measured
    assert page(any_run).text.startswith("# Results: small-run\n")


def test_a_markdown_reader_sees_a_table_wherever_one_was_written(any_run: RunFolder, page: Show) -> None:
    shown = page(any_run)
    rulers = [line for line in shown.text.splitlines() if re.fullmatch(r"\|( -{3}:? \|)+", line)]
    assert sum(token.type == "table_open" for token in shown.tokens) == len(rulers) > 5
    for token in shown.tokens:
        assert not (token.type == "inline" and re.match(r"\|.*\|$", token.content)), token.content


def test_every_row_of_a_table_has_as_many_cells_as_its_heading(any_run: RunFolder, page: Show) -> None:
    lines = page(any_run).text.splitlines()
    for number, line in enumerate(lines):
        if re.fullmatch(r"\|( -{3}:? \|)+", line):
            width = line.count("|")
            for row in lines[number - 1 : number + 60]:
                if not row.startswith("|"):
                    break
                assert len(re.findall(r"(?<!\\)\|", row)) == width, row


def test_the_same_folder_gives_the_same_page(any_run: RunFolder, page: Show) -> None:
    assert page(any_run).text == page(any_run).text


def test_the_verdict_comes_first_and_says_what_counts(finished_run: RunFolder, page: Show) -> None:
    first = page(finished_run).text.split("\n\n")[1]
    assert "**Completed: 2 of 4 targets met, 1 to be judged by people.** 5 of 5 epochs trained and validated." in first
    assert "repeat last is better than the model on val_metric/error (0.01320 against 0.01447)" in first
    assert "No kill threshold fired (of 4)." in first


def test_targets_have_value_baseline_difference_and_result(finished_run: RunFolder, page: Show) -> None:
    shown = page(finished_run)
    assert shown.row("Targets", "val_error")[:7] == [
        "`val_error`", "< 0.015", "0.01447", "**✓ met**", "`older-run`", "0.02", "−0.00553 (better)",
    ]  # fmt: skip
    assert shown.row("Targets", "val_right")[2:7] == [
        "98.10%", "**✗ not met**", "`older-run`", "98.2%", "−0.10 pp (worse)",
    ]  # fmt: skip
    assert shown.row("Targets", "looks human")[2:4] == ["–", "to be judged by people"]


def test_a_target_that_a_trivial_baseline_meets_too_is_named(finished_run: RunFolder, page: Show) -> None:
    shown = page(finished_run)
    assert "The target val_error < 0.015 is also met by repeat last, which learned nothing." in shown.text
    assert "- `val_error`: repeat last" in shown.section("Targets")


def test_trivial_baselines_stand_beside_every_metric_with_the_winner(finished_run: RunFolder, page: Show) -> None:
    shown = page(finished_run)
    assert shown.rows("Metrics beside trivial baselines")[0][6:] == ["repeat last", "training mean", "Best is"]
    assert shown.row("Metrics beside trivial baselines", "val_metric/error")[2:] == [
        "0.01447", "0.01453", "0.01447", "0.01453", "0.01320", "0.1340", "**repeat last**",
    ]  # fmt: skip
    assert shown.row("Metrics beside trivial baselines", "right_changed")[-3:] == ["61.20%", "70.10%", "model"]
    assert shown.row("Metrics beside trivial baselines", "changed_share")[-1] == "–"


def test_thresholds_say_how_close_they_came(finished_run: RunFolder, page: Show) -> None:
    rows = page(finished_run).rows("Kill thresholds")
    assert rows[3][3:5] == ["0.02064 against 0.03, epoch 1", "no"]
    assert rows[5][2:5] == ["restart with training.batch_size = 512", "nothing to evaluate", "no"]


def test_a_threshold_that_fired_is_in_the_verdict_and_in_its_row(stopped_run: RunFolder, page: Show) -> None:
    shown = page(stopped_run)
    assert (
        "Kill threshold fired: val_loss not decreasing for 2 epochs: val_loss is 0.0874 after epoch 3 → stop."
        in (shown.text.split("\n\n")[1])
    )
    assert shown.rows("Kill thresholds")[2][3:5] == [
        "2 of 2 validations in a row without improvement, epoch 3", "**yes, epoch 3**",
    ]  # fmt: skip


def test_a_rule_that_ought_to_have_fired_is_pointed_out(stopped_run: RunFolder, page: Show) -> None:
    lines = stopped_run.ledger.read_text().splitlines(keepends=True)
    stopped_run.ledger.write_text("".join(line for line in lines if '"verdict"' not in line))
    assert (
        "fulfil the kill threshold val_loss not decreasing for 2 epochs, but the ledger has no verdict"
        in page(stopped_run).text
    )


def test_estimates_stand_beside_what_it_took(finished_run: RunFolder, page: Show) -> None:
    shown = page(finished_run)
    assert shown.row("Time and cost", "One epoch")[1:] == ["60s", "3 min", "5 min", "**62s**", "1.03x"]
    assert shown.row("Time and cost", "Cost")[1:] == ["$0.05", "$0.15", "$0.25", "**$0.05**", "1.04x"]
    assert "within the 3x estimate" in shown.section("Time and cost")


@pytest.mark.parametrize("section", ["Metrics beside trivial baselines", "Curves", "Checkpoints", "Download and demo"])
def test_what_was_never_recorded_says_where_the_run_ended(failed_at_load: RunFolder, page: Show, section: str) -> None:
    assert "Not recorded: the run ended before the " in page(failed_at_load).section(section)


def test_a_run_that_failed_to_load_gives_its_reason_first(failed_at_load: RunFolder, page: Show) -> None:
    shown = page(failed_at_load)
    assert "**Failed: 0 of 4 targets met, 3 not measured, 1 to be judged by people.**" in shown.text
    assert "it ended in the load stage: data.source: numbers.bin was not found." in shown.text
    assert shown.row("Targets", "val_error")[2:4] == ["–", "not measured"]


def test_a_killed_run_is_interrupted_and_its_time_a_lower_bound(killed_run: RunFolder, page: Show) -> None:
    shown = page(killed_run)
    assert shown.text.split("\n\n")[1].startswith("> **Interrupted: 0 of 4 targets met")
    assert "no end recorded | at least 20s" in shown.section("Time and cost")
    assert "lower bounds" in shown.section("Time and cost")


def test_a_resumed_run_shows_both_attempts_and_what_differed(resumed_run: RunFolder, page: Show) -> None:
    shown = page(resumed_run)
    assert "The run was resumed 1 time (from epoch 2, step 500)." in shown.text
    assert "a comment was fixed \\| in the code" in shown.text
    assert "checkpoints/state-e0002-s000000500.pt, epoch 2, step 500" in shown.section("Time and cost")
    assert shown.row("Environment", "Git tree") == ["Git tree", "clean", "**⚠ uncommitted changes**"]


@pytest.mark.parametrize(
    ("tree", "dirty", "said"),
    [
        (GitTree(changed=0, untracked=0, admissions=0, card="committed"), False, "clean"),
        (GitTree(changed=0, untracked=0, admissions=1, card="committed"), False, "1 admission not committed"),
        (
            GitTree(changed=1, untracked=6, admissions=2, card="untracked"), True,
            "⚠ 1 changed file, 6 untracked files, the card is not committed, 2 admissions not committed",
        ),
    ],
)  # fmt: skip
def test_a_git_tree_is_clean_only_where_the_commit_has_every_file(tree: GitTree, dirty: bool, said: str) -> None:
    environment = collect_environment(Path("/")).model_copy(update={"git_dirty": dirty, "git_tree": tree})
    cell = git_tree(environment)
    assert (cell.text if isinstance(cell, Strong) else cell) == said


def test_a_run_without_a_train_record_is_read_from_its_history(interrupted_run: RunFolder, page: Show) -> None:
    interrupted_run.record("train").unlink()
    shown = page(interrupted_run)
    assert "the choice was made again from history.jsonl" in shown.section("Targets")
    assert shown.row("Targets", "val_loss")[2] == "0.06492"


def test_a_damaged_record_is_named_and_the_rest_is_shown(finished_run: RunFolder, page: Show) -> None:
    finished_run.record("checkpoint").write_text('{"file": 3')
    finished_run.approvals.write_text("[")
    shown = page(finished_run)
    assert "- ✗ A record is damaged: stages/checkpoint.json: " in shown.text
    assert "- ✗ A record is damaged: approvals.json: " in shown.text
    assert str(finished_run.root) not in shown.text
    assert shown.row("Targets", "val_error")[3] == "**✓ met**"


def test_a_card_changed_after_the_launch_is_told(finished_run: RunFolder, page: Show) -> None:
    finished_run.card_yaml.write_text(finished_run.card_yaml.read_text().replace("below: 0.015", "below: 0.055"))
    shown = page(finished_run)
    assert "- ✗ The card in the run folder was changed after the launch" in shown.text
    assert "**a different one was launched**" in shown.section("Sign-off")
    assert "not this card's" in shown.section("Sign-off")


def test_sign_off_names_reviewer_digest_conditions_and_checklist(finished_run: RunFolder, page: Show) -> None:
    shown = page(finished_run)
    row = shown.row("Sign-off", "mattie")
    assert row[1:3] == ["approve", "2026-02-28 10:00:00 UTC"]
    assert row[4:] == ["watch the disk (met: ada, 2026-02-28 11:00:00 UTC)", "go"]
    assert shown.row("Sign-off", "1")[1:] == [
        "the data is there",
        "yes",
        "ada",
        "2026-02-27 09:00:00 UTC",
        "exit code 0",
    ]
    assert "does not authenticate the signer" in shown.section("Sign-off")


def test_the_page_ends_with_how_it_was_made(killed_run: RunFolder, page: Show) -> None:
    last = page(killed_run).section("How this page was made")
    assert last.startswith("\n`cardrunner report small-run`")
    assert "`history.jsonl`" in last.split("Missing:")[1]


def test_the_checklist_shows_what_the_launch_checked_itself(finished_run: RunFolder, page: Show) -> None:
    row = CheckRow(
        item=1,
        check="python -m pytest",
        ok=True,
        ending="exit code 0 after 0.3 s",
        output="12 passed | all *well*",
        seconds=0.3,
        at="2026-03-01T09:00:00Z",
    )
    write_record(finished_run.checks, ChecksRecord(rows=(row,)))
    cell = page(finished_run).row("Sign-off", "1")[-1]
    assert cell.startswith("passed on 2026-03-01 09:00:00 UTC: exit code 0 after 0.3 s")
    assert "12 passed" in cell


def test_an_approval_made_with_a_key_shows_which(finished_run: RunFolder, page: Show) -> None:
    rows = json.loads(finished_run.approvals.read_text())
    finished_run.approvals.write_text(json.dumps([row | {"fingerprint": "SHA256:abc"} for row in rows]))
    assert page(finished_run).row("Sign-off", "mattie")[-1] == "`SHA256:abc`"
