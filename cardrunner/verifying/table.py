"""The table of checks. ``docs/verify.md`` lists them with what each can and cannot tell."""

from __future__ import annotations

from functools import partial

from cardrunner.verifying import admitted, files, history, ledger, records, sealed, signed, verdicts
from cardrunner.verifying.check import Check

_OWN_FILE = "put the run's own file back from a backup; without one, do not rely on what this file says"
_LEDGER = partial(Check, group="ledger", advice=_OWN_FILE)
_HISTORY = partial(Check, group="history", advice=_OWN_FILE)
_VERDICTS = partial(Check, group="kill thresholds", at_rest=True, advice=_OWN_FILE)
_RECORDS = partial(Check, group="records", at_rest=True, advice=_OWN_FILE)
_FILES = partial(
    Check, group="files", at_rest=True, advice="put the file back from a backup; `cardrunner finish` makes later ones"
)
_SEALED = partial(Check, group="seals", advice=_OWN_FILE)
_SIGNED = partial(
    Check, group="sign-off", advice="do not rely on this run as approved; put the launched files back, or ask reviewers"
)

CHECKS: tuple[Check, ...] = (
    _LEDGER(name="every line is an event", look=ledger.readable),
    _LEDGER(name="it begins with the creation of the run, which is there once", look=ledger.created_first),
    _LEDGER(name="attempts are numbered 1, 2, 3", look=ledger.attempts_numbered),
    _LEDGER(name="every event of an attempt comes after its start", look=ledger.attempts_started),
    _LEDGER(name="every attempt was submitted", look=ledger.submitted_first),
    _LEDGER(name="an attempt ends once", look=ledger.ended_once),
    _LEDGER(name="one attempt is open at a time", look=ledger.one_attempt_open),
    _LEDGER(name="no attempt follows a completed run", look=ledger.completed_is_last),
    _LEDGER(name="times never go back within one writer", look=ledger.times_rise),
    _LEDGER(name="attempts took no longer than their times are apart", look=ledger.seconds_fit_times),
    _LEDGER(name="each state has an exit code that belongs to it", look=ledger.states_fit_codes),
    _LEDGER(name="a run that was finished has the exit code it ended with", look=ledger.finished_as_ended),
    _LEDGER(name="a paused run went on only after an acknowledgement", look=ledger.investigations_acknowledged),
    _LEDGER(name="stages ran in order, each after the one before had succeeded", look=ledger.stages_in_order),
    _LEDGER(name="a stage that ended had started", look=ledger.stages_started),
    _LEDGER(name="checkpoints were saved at rising steps", look=ledger.saves_rise),
    _LEDGER(name="committed steps never fall", look=ledger.commits_rise),
    _LEDGER(name="training went on only from saved states", look=ledger.resume_points_saved),
    _LEDGER(name="retries are those that the card allows", look=ledger.retries_allowed),
    _HISTORY(name="every line is a row", look=history.readable),
    _HISTORY(name="no row is there twice", look=history.rows_once),
    _HISTORY(name="steps, epochs and examples rise together", look=history.rows_rise),
    _HISTORY(name="each epoch was validated once, in order", look=history.epochs_validated_once),
    _HISTORY(name="the progress of a row lies in its epoch", look=history.progress_fits),
    _HISTORY(name="all epochs have the same length", look=history.epochs_are_alike),
    _HISTORY(name="its metrics are those of the workload", look=history.metrics_are_known),
    _HISTORY(name="rows belong to started attempts and lie in their time", look=history.rows_in_attempts, at_rest=True),
    _HISTORY(name="time and money never fall", look=history.clocks_rise),
    _HISTORY(name="the clocks of a row agree", look=history.times_agree),
    _HISTORY(name="cost is time at the card's price", look=history.costs_are_priced),
    _HISTORY(name="attempts took as long as their rows say", look=history.seconds_within_attempts, at_rest=True),
    _VERDICTS(name="a verdict names a kill threshold of the card and its action", look=verdicts.name_rules),
    _VERDICTS(name="a verdict names a row of the history", look=verdicts.name_rows),
    _VERDICTS(name="judged again, the history gives the same verdicts", look=verdicts.replayed),
    _VERDICTS(name="restarts are those that the card registered", look=verdicts.restarts_registered),
    _RECORDS(name="every record can be read", look=records.readable),
    _RECORDS(name="launch record, plan and ledger tell of the same launch", look=records.launch_and_ledger),
    _RECORDS(name="the folder has the name of the launched run", look=records.named_as_launched),
    _RECORDS(name="card.json has the values of card.yaml", look=records.cards_agree),
    _RECORDS(name="the recorded data is what the newest attempt opened", look=records.data_as_opened),
    _RECORDS(name="the data agreed with the card, and pinned digests are the card's", look=records.facts_passed),
    _RECORDS(name="a completed run has the records of one", look=records.completed_with_records),
    _RECORDS(name="the training record counts what the history has", look=records.history_and_training),
    _RECORDS(name="the best validation of the history is the recorded best", look=records.best_is_best),
    _RECORDS(name="best.pt and latest.pt are those of the training record", look=records.training_and_manifest),
    _RECORDS(name="metrics in the manifest are those of the history", look=records.history_and_manifest),
    _RECORDS(name="saved checkpoints stand in ledger and manifest alike", look=records.manifest_and_ledger),
    _RECORDS(name="names of one file have the same digests", look=records.names_share_files),
    _RECORDS(name="the validated checkpoint is best.pt, and its sums are right", look=records.checkpoint_and_manifest),
    _RECORDS(name="the downloaded checkpoint is the one of the manifest", look=records.download_and_manifest),
    _RECORDS(
        name="the results card is of this run and not older than the ledger",
        look=records.results_stand,
        advice="make it again with `cardrunner report`",
    ),
    _FILES(name="checkpoints have the size and sha256 of the manifest", look=files.checkpoints_whole),
    _FILES(
        name="the copy of a script's code is what was signed",
        look=files.code_as_copied,
        advice="put the copy back as the launch made it; a resume is refused until then",
    ),
    _FILES(name="files of stages have their recorded size and sha256", look=files.stage_files_whole),
    _FILES(
        name="pinned data files have the pinned sha256 now",
        look=files.pinned_data_whole,
        workspace=True,
        advice="put the data back that the card pins; what is there now is not what the run was trained on",
    ),
    _FILES(name="the downloaded copy is what was downloaded", look=files.copy_whole, workspace=True),
    _SEALED(name="lines, records and files are as they were written and sealed", look=sealed.as_written),
    _SEALED(
        name="signatures over seals fit and count today",
        look=sealed.signatures_count,
        workspace=True,
        advice="do not rely on that signature; ask the person to look at the run and sign it with `cardrunner seal`",
    ),
    _SIGNED(name="the workspace admitted this launch, with these files", look=admitted.admitted, workspace=True),
    _SIGNED(name="the card's digest, computed again, is the launched one", look=signed.digest_is_launched),
    _SIGNED(name="its approvals count by the files of the launch", look=signed.approved_at_launch),
    _SIGNED(name="the checks of its checklist passed at the launch", look=signed.checks_passed),
    _SIGNED(name="its approvals count by the workspace's keys of today", look=signed.keys_of_today, workspace=True),
    _SIGNED(name="rules and blocks of today", look=signed.floor_of_today, workspace=True),
)
