"""``cardrunner sign``: record a reviewer's verdict on exactly this content."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from cardrunner import registry
from cardrunner.card.load import LoadedCard, load_card
from cardrunner.card.reading.edit import Edit
from cardrunner.card.schema.sign_off import Reviewer, Signature
from cardrunner.commands.card_edits import save_edits
from cardrunner.common.redaction import secret_in
from cardrunner.common.terminal import at_terminal
from cardrunner.errors import GateClosed, UsageError
from cardrunner.gate.case import Case, late_clock, reviewer_label
from cardrunner.gate.examine import examine_gate, gate_case
from cardrunner.gate.findings import Finding
from cardrunner.gate.policies import POLICIES, Policy, SigningKey
from cardrunner.gate.records import block_path, changes_since, encode_block, encode_signed_content, signed_content_path
from cardrunner.gate.statement import find_reviewer, make_statement
from cardrunner.runs.files import explained, locked, write_together, writer_of
from cardrunner.workspace import Workspace

_DONE = {"approve": "approved", "block": "blocks"}
HELP = "record a reviewer's verdict on exactly this content"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("card", type=Path, metavar="CARD")
    parser.add_argument("--as", dest="reviewer", required=True, metavar="ID", help="the reviewer who signs")
    parser.add_argument("--verdict", choices=("approve", "block"), default="approve")
    parser.add_argument(
        "--condition", dest="conditions", action="append", default=[], metavar="TEXT",
        help="approve, with this still to be done before the launch; may be repeated",
    )  # fmt: skip
    parser.add_argument("--note", metavar="TEXT", help="a line that is kept with the verdict")
    parser.add_argument(
        "--key",
        type=Path,
        metavar="FILE",
        help="the private key to sign with, under policy: ssh (default: ssh-agent's)",
    )
    parser.add_argument("--yes", action="store_true", help="sign without asking")


def run(args: argparse.Namespace) -> int:
    """Show what is signed, ask, and write the signature: 0 if it was written, 3 if not."""
    loaded = load_card(args.card, registry.workload_spec)
    if (problem := secret_in(loaded.files)) is not None:
        raise UsageError(problem)
    workspace = Workspace.around(loaded.path)
    case = gate_case(loaded, workspace)
    policy = _policy(loaded, args.key)
    index, reviewer = find_reviewer(case, args.reviewer)
    if late := tuple(late_clock(case)):
        raise GateClosed(late)
    statement = make_statement(case, verdict=args.verdict, note=args.note, conditions=args.conditions)
    policy.prepare(statement, reviewer, case)
    if not args.quiet:
        print(_page(loaded, case), end="\n\n")
    if not (args.yes and args.quiet):
        _show(loaded, case, reviewer, statement)
    if not args.yes:
        _ask(case, reviewer, statement)
    mark = policy.mark(statement, reviewer, case, SigningKey(file=args.key, prompt=_say))
    if policy.keeps_content:
        _keep(loaded, case.records[0], reviewer, statement)
    signed = save_edits(loaded, [Edit(("sign_off", "reviewers", index, "signed"), mark)])
    if policy.keeps_content and statement.verdict == "approve":
        for records in case.records:
            _lift(block_path(records, loaded.card.name, reviewer.id))
    _report(
        signed, workspace, f"{reviewer.id} {_DONE[statement.verdict]} {loaded.card.name} ({loaded.digest[:12]})", policy
    )
    return 0


def _policy(loaded: LoadedCard, key: Path | None) -> Policy:
    policy = POLICIES[loaded.card.sign_off.policy]
    if key is not None and not policy.takes_key:
        raise UsageError(
            f"--key: policy {policy.name} signs without a key; leave it out, or let the card use policy: ssh"
        )
    return policy


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _keep(loaded: LoadedCard, records: Path, reviewer: Reviewer, statement: Signature) -> None:
    """Keep the signed content, and a block, before the signature is written, so that every signature has them."""
    contents = {signed_content_path(records, loaded.digest): encode_signed_content(loaded.card)}
    if statement.verdict == "block":
        path = block_path(records, loaded.card.name, reviewer.id)
        contents[path] = encode_block(statement, run=loaded.card.name, reviewer=reviewer.id)
    with locked(records.parent):
        write_together({path: writer_of(data) for path, data in contents.items()})


def _lift(block: Path) -> None:
    with explained(block, "remove"):
        block.unlink(missing_ok=True)


def _page(loaded: LoadedCard, case: Case) -> str:
    from cardrunner.card.markdown import render_card  # imports a template engine, which a quiet signature does not need

    return render_card(loaded, floors=[str(floor.path) for floor in case.trust.floors])


def _show(loaded: LoadedCard, case: Case, reviewer: Reviewer, statement: Signature) -> None:
    """What the signature says, and what changed since the last one."""
    rows = [
        ("card", f"{case.file} (read it: {case.command('render')})"),
        ("run", loaded.card.name),
        ("digest", loaded.digest),
        ("signs", f"{reviewer_label(reviewer)}: {statement.verdict}"),
        *(("condition", condition) for condition in statement.conditions),
        *([("note", statement.note)] if statement.note else []),
        *(("changed", line) for line in _changes(case, reviewer)),
    ]
    for label, text in rows:
        print(f"{label:<10}{text}")


def _changes(case: Case, reviewer: Reviewer) -> list[str]:
    """On a re-review: what changed since this reviewer's last signature."""
    before = reviewer.signed
    if not isinstance(before, Signature) or before.digest == case.digest:
        return []
    changes = changes_since(case.records, before.digest, case.card)
    if changes is None:
        return [f"since your signature of {before.at}; what you signed then is not kept, so read the whole card"]
    return [f"since your signature of {before.at}:", *(f"  {change}" for change in changes)]


def _ask(case: Case, reviewer: Reviewer, statement: Signature) -> None:
    """Ask whether to sign.

    Raises:
        UsageError: there is no terminal to ask at.
        GateClosed: the answer is no.
    """
    if not at_terminal():
        raise UsageError("there is no terminal to ask at; read the card, then sign with --yes")
    answer = input(f"{statement.verdict} this as {reviewer.id}? [y/N] ")
    if answer.strip().casefold() not in ("y", "yes"):
        raise GateClosed((Finding(f"{case.file}: sign_off", f"{reviewer.id} did not sign; nothing was written"),))


def _report(signed: LoadedCard, workspace: Workspace, what: str, policy: Policy) -> None:
    """Report the signature, its policy's caution, and what is left to do."""
    print(what)
    if policy.remark:
        print(policy.remark)
    report = examine_gate(signed, workspace)
    if report.open:
        print(f"gate: open; run: {gate_case(signed, workspace).command('launch')}")
        return
    print(f"gate: closed, {len(report.findings)} open:")
    for finding in report.findings:
        print(f"  {finding}")
