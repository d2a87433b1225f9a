"""Makes what cardrunner refuses to make, as somebody with a key and a text editor can.

::

    forge sign CARD --as scav --key ../keys/mallory [--ago 40] [--namespace git] [--verdict block]
    forge folder runs/small --card CARD [--trust FOLDER] [--ago 40]
    forge digest runs/small
    forge ticked CARD TARGET
    forge reseal runs/small
    forge older runs/small

``forge`` is ``python -m tests.forgeries.forge``.
"""

from __future__ import annotations

import argparse
import datetime
import json
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.forgeries.office import edited, place_of
from cardrunner.card.load import LoadedCard, load_card
from cardrunner.card.reading.edit import Edit
from cardrunner.card.reading.one_line import PlainValue
from cardrunner.card.schema.sign_off import Signature
from cardrunner.common.clock import moment, timestamp
from cardrunner.gate.ssh import NAMESPACE, statement_bytes
from cardrunner.registry import workload_spec
from tests.forgeries.rewritten import as_older, reseal

TRUST_FILES = ("cardrunner.yaml", "allowed_signers", "revoked_keys")


def main(words: Sequence[str] | None = None) -> None:
    """Do one of the above."""
    parser = argparse.ArgumentParser(prog="forge", description=__doc__.partition("\n")[0])
    deeds = parser.add_subparsers(required=True)
    sign = deeds.add_parser("sign", help="write a statement into a card, whatever the workspace thinks of it")
    sign.add_argument("card", type=Path)
    sign.add_argument("--as", dest="reviewer", required=True, help="in whose name")
    sign.add_argument("--key", type=Path, required=True, help="with whose key")
    sign.add_argument("--run", help="the run that is signed; default: the card's")
    sign.add_argument("--of", type=Path, help="another card, whose content is signed instead")
    sign.add_argument("--namespace", default=NAMESPACE)
    sign.add_argument("--verdict", default="approve")
    sign.set_defaults(deed=_sign)
    folder = deeds.add_parser("folder", help="make a run folder by hand, of the fewest files that an attempt reads")
    folder.add_argument("folder", type=Path)
    folder.add_argument("--card", type=Path, required=True, help="what its card.yaml is a copy of")
    folder.add_argument("--trust", type=Path, help="the workspace whose rules and keys it has")
    folder.set_defaults(deed=_folder)
    for each in (sign, folder):
        each.add_argument("--ago", type=float, default=0, help="days before now that it says; negative: after")
    digest = deeds.add_parser("digest", help="let launch.json say the digest of the card.yaml that is there now")
    digest.add_argument("folder", type=Path)
    digest.set_defaults(deed=_digest)
    ticked = deeds.add_parser("ticked", help="copy a card, with `policy: boxes` and a box that is ticked")
    ticked.add_argument("card", type=Path)
    ticked.add_argument("target", type=Path)
    ticked.set_defaults(deed=_ticked)
    for name, deed, does in (
        ("reseal", reseal, "recompute every checksum, chain and seal after an edit"),
        ("older", as_older, "take away all that earlier versions did not write"),
    ):
        rewrite = deeds.add_parser(name, help=does)
        rewrite.add_argument("folder", type=Path)
        rewrite.set_defaults(deed=lambda options, deed=deed: deed(options.folder))
    options = parser.parse_args(words)
    options.deed(options)


def _sign(options: argparse.Namespace) -> None:
    loaded = load_card(options.card, workload_spec)
    content = load_card(options.of, workload_spec) if options.of else loaded
    statement = Signature.model_validate({"digest": content.digest, "verdict": options.verdict, "at": _time(options)})
    run = options.run or loaded.card.name
    message = statement_bytes(statement, run=run, reviewer=options.reviewer, card_format=loaded.card.card)
    argv = ["ssh-keygen", "-Y", "sign", "-n", options.namespace, "-f", str(options.key)]
    signature = subprocess.run(argv, input=message, check=True, capture_output=True).stdout.decode().strip()
    mark = statement.model_dump(mode="json", exclude_defaults=True) | {"ssh": signature}
    options.card.write_text(edited(loaded, Edit(place_of(options.reviewer, loaded), mark)))


def _folder(options: argparse.Namespace) -> None:
    loaded = load_card(options.card, workload_spec)
    root: Path = options.folder
    root.mkdir(parents=True)
    (root / "card.yaml").write_bytes(loaded.data)
    (root / "approvals.json").write_text("[]\n")
    (root / "plan.json").write_text("{}\n")
    launch = {
        "run": root.name,
        "workload": loaded.card.workload,
        "workspace": str(Path.cwd()),
        "executor": "inline",
        "card_file": f"runcards/{root.name}.yaml",
        "card_digest": loaded.digest,
        "signed_by": [person.id for person in loaded.card.sign_off.reviewers],
        "repeat_of": None,
        "created": _time(options),
    }
    _write(root / "launch.json", launch)
    created = {"at": _time(options, more=1), "event": "created", "run": root.name, "card_digest": loaded.digest}
    (root / "ledger.jsonl").write_text(f"{json.dumps(created)}\n")
    for name in TRUST_FILES:
        if options.trust is not None and (options.trust / name).exists():
            (root / "trust").mkdir(exist_ok=True)
            shutil.copy(options.trust / name, root / "trust")


def _digest(options: argparse.Namespace) -> None:
    card: LoadedCard = load_card(options.folder / "card.yaml", workload_spec)
    launch = json.loads((options.folder / "launch.json").read_text())
    _write(options.folder / "launch.json", launch | {"card_digest": card.digest})


def _ticked(options: argparse.Namespace) -> None:
    boxes: PlainValue = {"policy": "boxes", "reviewers": [{"id": "scav", "signed": True}]}
    options.target.write_text(edited(load_card(options.card, workload_spec), Edit(("sign_off",), boxes)))


def _write(path: Path, value: dict[str, Any]) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n")


def _time(options: argparse.Namespace, *, more: float = 0) -> str:
    return timestamp(moment() - datetime.timedelta(days=options.ago, minutes=more))


if __name__ == "__main__":
    main()
