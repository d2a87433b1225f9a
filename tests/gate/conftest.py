"""A whole card of a workload made for these tests, and its state before and after people signed it."""

from __future__ import annotations

import datetime
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from cardrunner.card.digest import card_digest
from cardrunner.card.load import LoadedCard, load_card_bytes
from cardrunner.card.reading.edit import Edit, edit_document
from cardrunner.card.schema.data import DataSection
from cardrunner.card.schema.training import ModelSection, TrainingSection
from cardrunner.contracts import MetricSpec, TrivialBaseline, WorkloadSpec
from cardrunner.errors import UsageError
from cardrunner.gate import examine_gate
from cardrunner.gate.examine import gate_case
from cardrunner.gate.findings import GateReport
from cardrunner.gate.policies import POLICIES, SigningKey
from cardrunner.gate.records import encode_signed_content, signed_content_path
from cardrunner.gate.statement import find_reviewer, make_statement
from cardrunner.workspace import Workspace

NOW = datetime.datetime(2026, 3, 1, 12, 0, tzinfo=datetime.UTC)

CARD = """\
card: 1
name: small-run
created: 2026-02-26
author: ada
goal: Learn whether it works.
lineage:
  type: data
  built_on: [older-run]
  changes: [more data]
distribution_match:
  - {component: model, data_scale: all of it, notes: same as before}
workload: small
data:
  source: numbers.bin
  size: 8 GB
  split: {train: 90%, by: row}
model:
  architecture: Tiny
training:
  epochs: 5
  batch_size: 32
  learning_rate: 1e-3
  weight_decay: 0
  loss: {value: {kind: mse, weight: 1}}
  gradient_clip: 1.5
  log_every: 100 steps
  seed: 7
  select: {metric: val_loss/total, mode: min}
infra:
  platform: local
  gpu: T4
  price: $0.60/h
  memory: 16 GB
  timeout: 12h
  tracking: {wandb: {entity: team, project: small, tags: [one, two]}}
timing:
  calibration: [1, 3]
  epoch: 30 min
  data_load: 2 min
  budget: $30
baselines:
  - {run: older-run, metrics: {val_loss/total: 0.5}, facts: {rows: 50}, notes: last month}
targets:
  - {metric: val_loss/total, below: 0.3, baseline: older-run, notes: the point of it}
kill_thresholds:
  - {metric: val_loss/total, not_decreasing_for: 2 epochs, action: stop, why: it has converged}
risks:
  - {risk: the disk fills up, likelihood: low, mitigation: look at it}
checklist:
  - item: the data is there
    details: [on this machine]
    check: ["true"]
    done: true
    by: ada
    at: "2026-02-27T09:00:00Z"
    evidence: exit code 0
  - {item: somebody looked at the loss, done: true}
after_training:
  download: {checkpoint: best, to: out/best.pt}
notes:
  - {title: Remember, text: to feed the fish}
sign_off:
  policy: digest
  reviewers:
    - {id: scav, name: Scav, signed: null}
    - id: mattie
      name: Mattie
      signed: null
"""


class SmallSpec:
    """The least a workload says about itself."""

    name = "small"
    data_section = DataSection
    model_section = ModelSection
    training_section = TrainingSection
    metrics: tuple[MetricSpec, ...] = (
        MetricSpec(name="loss/total", direction="min", unit="", meaning="the loss"),
        MetricSpec(name="loss/other", direction="min", unit="", meaning="another loss"),
    )
    trivial_baselines: tuple[TrivialBaseline, ...] = ()

    def derive(self, card: object) -> tuple[()]:
        return ()

    def check(self, card: object) -> tuple[()]:
        return ()

    def examples(self, card: object) -> None:
        return None

    def describe(self, card: object) -> dict[str, list[tuple[str, str]]]:
        return {}


def resolve(name: str) -> WorkloadSpec:
    if name != "small":
        raise UsageError(f"unknown workload {name!r}")
    return SmallSpec()


class Desk:
    """A workspace with one card that reviewers sign and the gate judges."""

    def __init__(self, root: Path) -> None:
        self.workspace = Workspace(root)
        self.keys: dict[str, Path] = {}

    def load(self, text: str) -> LoadedCard:
        return load_card_bytes(text.encode(), file="runcards/small-run.yaml", resolve=resolve)

    def gate(self, text: str, *, now: datetime.datetime = NOW) -> GateReport:
        return examine_gate(self.load(text), self.workspace, now=now)

    def sign(
        self,
        text: str,
        *people: str,
        verdict: str = "approve",
        conditions: tuple[str, ...] = (),
        note: str | None = None,
        now: datetime.datetime = NOW,
        keep: bool = True,
    ) -> str:
        """The card's text with these people's verdicts in it."""
        for person in people:
            loaded = self.load(text)
            case = gate_case(loaded, self.workspace, now=now)
            index, reviewer = find_reviewer(case, person)
            statement = make_statement(case, verdict=verdict, note=note, conditions=conditions)  # type: ignore[arg-type]
            policy = POLICIES[loaded.card.sign_off.policy]
            policy.prepare(statement, reviewer, case)
            mark = policy.mark(statement, reviewer, case, SigningKey(file=self.keys.get(person)))
            text = edit_document(loaded.document, [Edit(("sign_off", "reviewers", index, "signed"), mark)]).decode()
            if keep:
                self.keep(loaded)
        return text

    def public(self, person: str) -> str:
        """Type and base64 of somebody's key."""
        return " ".join(self.keys[person].with_suffix(".pub").read_text().split()[:2])

    def list_keys(self, *people: str, **options: str) -> None:
        """Write allowed_signers; `options` gives somebody's line another beginning than their id and the namespace."""
        lines = [
            f"{options.get(person, person + ' namespaces=' + chr(34) + 'cardrunner' + chr(34))} {self.public(person)}"
            for person in people
        ]
        (self.workspace.root / "allowed_signers").write_text("\n".join(lines) + "\n")

    def floor(self, text: str) -> None:
        """Write the workspace's rules."""
        (self.workspace.root / "cardrunner.yaml").write_text(text)

    def keep(self, loaded: LoadedCard) -> Path:
        """Keep the content that was signed, as the command does."""
        path = signed_content_path(self.workspace.records, card_digest(loaded.card))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode_signed_content(loaded.card))
        return path


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


@pytest.fixture
def card_text() -> str:
    """Checklist done, nobody signed."""
    return CARD


@pytest.fixture
def signed_card(desk: Desk, card_text: str) -> str:
    """Checklist done, both reviewers approved exactly this content."""
    return desk.sign(card_text, "scav", "mattie")


@pytest.fixture
def reasons(desk: Desk) -> Callable[[str], list[str]]:
    """What keeps the gate closed, one line per finding."""
    return lambda text: [str(finding) for finding in desk.gate(text).findings]


@pytest.fixture(scope="session")
def ssh_keygen() -> str:
    program = shutil.which("ssh-keygen")
    if program is None:
        pytest.skip("ssh-keygen is not installed")
    return program


@pytest.fixture(scope="session")
def pockets(ssh_keygen: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Everybody's own key."""
    folder = tmp_path_factory.mktemp("pockets")
    for person in ("scav", "mattie", "ada", "eve", "lee"):
        argv = [ssh_keygen, "-q", "-t", "ed25519", "-N", "", "-C", person, "-f", str(folder / person)]
        subprocess.run(argv, check=True, stdin=subprocess.DEVNULL)
    return {path.stem: path.with_suffix("") for path in folder.glob("*.pub")}


@pytest.fixture
def ssh_desk(desk: Desk, pockets: dict[str, Path]) -> Desk:
    """A workspace that lists the keys of scav, mattie, lee and ada; eve is a stranger."""
    desk.keys = dict(pockets)
    desk.list_keys("scav", "mattie", "lee", "ada")
    return desk


@pytest.fixture
def ssh_card(card_text: str) -> str:
    """Asks for signatures made with keys; nobody signed."""
    return card_text.replace("policy: digest", "policy: ssh")


@pytest.fixture
def ssh_signed(ssh_desk: Desk, ssh_card: str) -> str:
    """Both reviewers signed with their keys."""
    return ssh_desk.sign(ssh_card, "scav", "mattie")
