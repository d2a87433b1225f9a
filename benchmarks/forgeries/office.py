"""People with keys, workspaces that trust them differently, and the cards that they sign."""

from __future__ import annotations

import datetime
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from cardrunner.card.load import LoadedCard, load_card_bytes
from cardrunner.card.reading.document import Loc
from cardrunner.card.reading.edit import Edit, Removal, edit_document
from cardrunner.card.reading.one_line import PlainValue
from cardrunner.card.schema.sign_off import Signature
from cardrunner.common.clock import timestamp
from cardrunner.errors import CardError
from cardrunner.gate import examine_gate
from cardrunner.gate.ssh import NAMESPACE, statement_bytes
from cardrunner.registry import workload_spec
from cardrunner.workspace import Workspace

RUNCARDS = Path(__file__).parents[2] / "runcards"
CARDS = ("policy-22k", "real-games", "quickstart")
NOW = datetime.datetime(2030, 3, 1, 12, 0, tzinfo=datetime.UTC)
PEOPLE = ("scav", "mattie", "ada", "lee", "eve")
"""scav and mattie review, ada is the author, lee's key is listed too, eve is a stranger."""
REVIEWERS = ("scav", "mattie")
ADA, LEE, EVE = PEOPLE[2:]
Policy = Literal["ssh", "digest"]
Verdict = Literal["refused", "invalid", "launched"]
MARKS = {"done", "by", "at", "evidence", "signed"}


@dataclass(frozen=True)
class Case:
    """A card that was tampered with, and its workspace."""

    kind: str
    text: str
    workspace: str = "usual"


class Office:
    """The keys of all people, and workspaces that trust them differently.

    Args:
        folder: where it all is put.
        policy: what the cards ask for.
    """

    def __init__(self, folder: Path, policy: Policy) -> None:
        self.folder, self.policy = folder, policy
        if policy == "ssh":
            for person in PEOPLE:
                _run("-q", "-t", "ed25519", "-N", "", "-C", person, "-f", str(folder / person))
            self._open_workspaces()

    def workspace(self, name: str) -> Workspace:
        """A workspace by its name."""
        return Workspace(self.folder / "workspaces" / name)

    def public(self, person: str) -> str:
        """Type and base64 of a person's key."""
        return " ".join((self.folder / f"{person}.pub").read_text().split()[:2])

    def signed(self, text: str, *, by: Sequence[str] = REVIEWERS, **said: Any) -> str:
        """The card with the reviewers' approvals in it."""
        for person in by:
            text = self.with_statement(text, person, key=person, **said)
        return text

    def with_statement(self, text: str, reviewer: str, *, key: str, namespace: str = NAMESPACE, **said: object) -> str:
        """The card with a statement under a reviewer's name, made with any person's key."""
        loaded = load(text)
        fields = {"digest": loaded.digest, "verdict": "approve", "at": timestamp(NOW), **said}
        statement = Signature.model_validate(fields)
        mark = statement.model_dump(mode="json", exclude_defaults=True)
        if self.policy == "ssh":
            message = statement_bytes(statement, run=loaded.card.name, reviewer=reviewer, card_format=1)
            mark["ssh"] = self.sign(key, message, namespace=namespace).strip()
        return edited(loaded, Edit(place_of(reviewer, loaded), mark))

    def sign(self, key: str, message: bytes, *, namespace: str = NAMESPACE) -> str:
        """What ssh-keygen makes with a key."""
        return _run("-Y", "sign", "-n", namespace, "-f", str(self.folder / key), message=message)

    def launches(self, case: Case) -> Verdict:
        """What becomes of a card at the gate."""
        try:
            report = examine_gate(load(case.text), self.workspace(case.workspace), now=NOW)
        except CardError:
            return "invalid"
        return "launched" if report.open else "refused"

    def _open_workspaces(self) -> None:
        line = {person: f'{person} namespaces="{NAMESPACE}" {self.public(person)}' for person in PEOPLE}
        usual = "\n".join(line[person] for person in (*REVIEWERS, ADA, LEE))
        self._write("usual", signers=usual)
        self._write("floor", signers=usual, floor="sign_off: {policy: ssh}\n")
        expired = f'namespaces="{NAMESPACE}",valid-before="20300201Z"'
        self._write("expired", signers=usual.replace(f'namespaces="{NAMESPACE}"', expired))
        self._write("revoked", signers=usual, revoked=self.public("scav"))
        self._write("star", signers=f'{usual}\n* namespaces="{NAMESPACE}" {self.public(EVE)}')
        both = "\n".join((line["scav"], line["mattie"].rpartition(" ssh-")[0] + " " + self.public("scav")))
        self._write("one key", signers=both)
        self._write("two names", signers=line["scav"].replace("scav", "scav,mattie", 1))
        self._write("everything", signers=usual.replace(f'namespaces="{NAMESPACE}" ', ""))
        self._write("empty", signers="# no signers yet")
        (self.folder / "workspaces" / "no list").mkdir()

    def _write(self, name: str, *, signers: str, floor: str | None = None, revoked: str | None = None) -> None:
        root = self.folder / "workspaces" / name
        root.mkdir(parents=True)
        for file, content in (("allowed_signers", signers), ("cardrunner.yaml", floor), ("revoked_keys", revoked)):
            if content is not None:
                (root / file).write_text(f"{content}\n")


def base_card(name: str, policy: Policy) -> str:
    """A shipped card as two reviewers would get it: written by ada, everything done, unsigned."""
    loaded = load((RUNCARDS / f"{name}.yaml").read_text())
    people: list[PlainValue] = [{"id": person, "name": person.title(), "signed": None} for person in REVIEWERS]
    section: PlainValue = {"policy": policy, "reviewers": people}
    done = [Edit(("checklist", index, "done"), True) for index in range(len(loaded.card.checklist))]
    return edited(loaded, Edit(("author",), ADA), Edit(("sign_off",), section), *done)


@lru_cache(maxsize=512)
def load(text: str) -> LoadedCard:
    """Read a card; the same one is made and looked at several times."""
    return load_card_bytes(text.encode(), file="runcards/card.yaml", resolve=workload_spec)


def edited(loaded: LoadedCard, *edits: Edit | Removal) -> str:
    """The card's text after some edits."""
    return edit_document(loaded.document, edits).decode()


def place_of(reviewer: str, loaded: LoadedCard) -> Loc:
    ids = [person.id for person in loaded.card.sign_off.reviewers]
    return ("sign_off", "reviewers", ids.index(reviewer), "signed")


def _run(*words: str, message: bytes | None = None) -> str:
    argv = ["ssh-keygen", *words]
    return subprocess.run(argv, input=message, check=True, capture_output=True).stdout.decode()


def mark_of(loaded: LoadedCard, reviewer: str) -> dict[str, PlainValue]:
    node = loaded.document.value()
    for step in place_of(reviewer, loaded):
        node = node[step]  # type: ignore[assignment,index]
    return {key: list(value) if isinstance(value, tuple) else value for key, value in node.items()}  # type: ignore[misc]
