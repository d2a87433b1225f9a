"""Every path of a run. This is the only file that joins path strings of a run folder."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from cardrunner.card.schema.base import check_run_name
from cardrunner.common.text import did_you_mean
from cardrunner.errors import IntegrityError, UsageError


@dataclass(frozen=True)
class RunFolder:
    """The folder that is the whole run.

    Args:
        root: the folder.
        workspace: the workspace whose rules judge it, where the command that was given has found it. It travels with
            the folder to every process that is started on it; no file of the folder says it.
    """

    root: Path
    workspace: Path | None = field(default=None, compare=False)

    @classmethod
    def of(cls, runs: Path, name: str) -> RunFolder:
        """The folder of a run by name.

        Raises:
            UsageError: the name has a path in it, or the folder is a link.
        """
        try:
            root = runs / check_run_name(name)
        except ValueError as error:
            raise UsageError(f"run name {name!r} {error}") from None
        if root.is_symlink():
            raise UsageError(f"{root} is a symbolic link; a run folder must be a folder of its own")
        return cls(root)

    @classmethod
    def existing(cls, runs: Path, name: str) -> RunFolder:
        """The folder of a run that was launched.

        Raises:
            UsageError: there is no such run.
            IntegrityError: its ledger is gone.
        """
        folder = cls.of(runs, name)
        if folder.ledger.is_file():
            return folder
        if folder.launch.is_file():
            raise IntegrityError(
                f"{folder.ledger} is missing, so that no more is known of run {name}; restore the file"
            )
        known = [folder.name for folder in cls.all(runs)]
        guess = did_you_mean(name, known, otherwise="; `cardrunner status` lists the runs that are there")
        raise UsageError(f"no run {name} in {runs}{guess}")

    @classmethod
    def all(cls, runs: Path) -> tuple[RunFolder, ...]:
        """Every run, by name."""
        folders = sorted(runs.iterdir()) if runs.is_dir() else []
        found = (cls(path) for path in folders if not path.name.startswith(".") and not path.is_symlink())
        return tuple(folder for folder in found if folder.ledger.is_file())

    @property
    def arguments(self) -> tuple[str, ...]:
        """How the command line of a process names it: the folder, and the workspace that judges."""
        return (str(self.root), *(() if self.workspace is None else (str(self.workspace),)))

    @property
    def name(self) -> str:
        """The run's name."""
        return self.root.name

    @property
    def card_yaml(self) -> Path:
        """The exact bytes of the launched card."""
        return self.root / "card.yaml"

    @property
    def sources(self) -> Path:
        """The other files of a card that extends one."""
        return self.root / "sources"

    def source(self, number: int, name: str) -> Path:
        """The exact bytes of a card that this one extends; the nearest has the number 1."""
        return self.sources / f"{number}-{Path(name).name[-40:]}"

    @property
    def card_json(self) -> Path:
        """The effective card, for programs."""
        return self.root / "card.json"

    @property
    def launch(self) -> Path:
        """How the run was started: workspace, executor, digest; all that the worker needs."""
        return self.root / "launch.json"

    @property
    def approvals(self) -> Path:
        """Who signed what."""
        return self.root / "approvals.json"

    @property
    def checks(self) -> Path:
        """The results of the checklist's checks at the launch."""
        return self.root / "checks.json"

    @property
    def trust(self) -> Path:
        """The workspace's rules and keys as they were at the launch."""
        return self.root / "trust"

    @property
    def plan(self) -> Path:
        """What the launch meant to do."""
        return self.root / "plan.json"

    @property
    def code(self) -> Path:
        """The script's code as it was at the launch, with links to the data that the card names."""
        return self.root / "code"

    @property
    def code_record(self) -> Path:
        """Which files of `code` the digest is over."""
        return self.root / "code.json"

    @property
    def interpreter(self) -> Path:
        """What is installed in the interpreter of a script."""
        return self.root / "interpreter.json"

    @property
    def script_out(self) -> Path:
        """What a script writes; ``{out}`` in its command."""
        return self.root / "out"

    @property
    def script_files(self) -> Path:
        """Files that are written from the card for a script."""
        return self.root / "files"

    @property
    def script_modules(self) -> Path:
        """What of this package a script finds on its path; see `cardrunner.workloads.command.own_modules`."""
        return self.root / "modules"

    @property
    def script_log(self) -> Path:
        """What a script printed last; see `cardrunner.workloads.command.output`."""
        return self.root / "script.log"

    @property
    def script_metrics(self) -> Path:
        """What a script reports itself; CARDRUNNER_METRICS."""
        return self.root / "reported.jsonl"

    @property
    def script_state(self) -> Path:
        """Where a script stands between two attempts."""
        return self.root / "script.json"

    @property
    def beside(self) -> Path:
        """What the commands beside a script's training wrote, printed and reported."""
        return self.root / "beside"

    @property
    def kept(self) -> Path:
        """Copies of a script's newest checkpoints."""
        return self.root / "kept"

    @property
    def code_patch(self) -> Path:
        """What the code differed in from its commit at the launch."""
        return self.root / "code.patch"

    @property
    def code_archive(self) -> Path:
        """The same code on a volume, where a run that another machine goes on with takes it from."""
        return self.root / "code.tar"

    @property
    def scripts(self) -> tuple[Path, ...]:
        """The folders that hold what a script runs from and writes."""
        return self.code, self.script_out, self.script_files, self.kept

    @property
    def frozen(self) -> tuple[Path, ...]:
        """The existing files that the launch wrote and that never change afterwards."""
        inside = (path for folder in (self.sources, self.trust) if folder.is_dir() for path in sorted(folder.iterdir()))
        return tuple(path for path in (*self._launched, *inside) if path.is_file())

    def is_frozen(self, path: Path) -> bool:
        """Whether a path, existing or not, is one of these files."""
        return path in self._launched or path.parent in (self.sources, self.trust)

    @property
    def _launched(self) -> tuple[Path, ...]:
        records = self.card_yaml, self.card_json, self.launch, self.approvals, self.checks, self.plan
        return *records, self.code_record, self.code_patch

    @property
    def remote_run(self) -> Path:
        """Where the run lives if it is on another machine, and its last known state."""
        return self.root / "elsewhere.json"

    @property
    def borrowed(self) -> Path:
        """Files of the workspace that a stage reads on another machine, in the same layout."""
        return self.root / "workspace"

    @property
    def mirror_lock(self) -> Path:
        """Locked while this folder is brought up to date with the one that the worker writes."""
        return self.root / ".mirror.lock"

    @property
    def seals(self) -> Path:
        """What the run held whenever it was sealed: after each attempt, and after each later command."""
        return self.root / "seals"

    def seal(self, number: int) -> Path:
        """One seal; the launch makes number 1."""
        return self.seals / f"{number:04d}.json"

    def seal_signature(self, number: int, signer: str) -> Path:
        """The signature of a person over a seal."""
        return self.seals / f"{number:04d}-{signer}.sig"

    @property
    def seal_lock(self) -> Path:
        """Locked while a later command changes the run."""
        return self.root / ".seal.lock"

    @property
    def ledger(self) -> Path:
        """Append-only events."""
        return self.root / "ledger.jsonl"

    @property
    def history(self) -> Path:
        """Metric rows."""
        return self.root / "history.jsonl"

    @property
    def lease(self) -> Path:
        """Held by the one writer while it lives."""
        return self.root / "lease.json"

    @property
    def supervisor(self) -> Path:
        """Held by the supervisor, which starts workers and finishes the run after them."""
        return self.root / "supervisor.json"

    @property
    def submitting(self) -> Path:
        """Locked during a submission, so that only one of two simultaneous resumes goes on."""
        return self.root / "submitting.lock"

    @property
    def heartbeat(self) -> Path:
        """How far training has come, about once a second; not part of the record."""
        return self.root / "pulse.json"

    @property
    def stop_request(self) -> Path:
        """Exists after `cardrunner stop`; removed when the run is resumed."""
        return self.root / "stop.json"

    @property
    def log(self) -> Path:
        """What the worker printed."""
        return self.root / "worker.log"

    @property
    def scratch(self) -> Path:
        """Data made for this run."""
        return self.root / "data"

    @property
    def checkpoints(self) -> Path:
        """Full states, with a manifest."""
        return self.root / "checkpoints"

    @property
    def manifest(self) -> Path:
        """sha256, size and metrics of every checkpoint; written last."""
        return self.checkpoints / "manifest.json"

    @property
    def best(self) -> Path:
        """The best weights in the workload's own checkpoint format."""
        return self.root / "best.pt"

    @property
    def latest(self) -> Path:
        """The latest weights in the workload's own checkpoint format."""
        return self.root / "latest.pt"

    @property
    def tracking(self) -> Path:
        """The trackers' state, and the output of their processes."""
        return self.root / "tracking"

    def tracker_lock(self, name: str) -> Path:
        """Held by a tracker's process while it lives."""
        return self.tracking / f"{name}.lock"

    def tracker_state(self, name: str) -> Path:
        """What a tracker needs to know when the run is resumed."""
        return self.tracking / f"{name}.json"

    def tracker_log(self, name: str) -> Path:
        """What a tracker's process printed."""
        return self.tracking / f"{name}.log"

    @property
    def results(self) -> Path:
        """The results card."""
        return self.root / "results.md"

    @property
    def results_folder(self) -> Path:
        """The plots of the results card."""
        return self.root / "results"

    @property
    def demo(self) -> Path:
        """What the demo made."""
        return self.made("demo")

    def made(self, stage: str) -> Path:
        """The folder for what a stage makes; one that runs elsewhere brings back only what is in here."""
        return self.root / stage

    @property
    def process_endings(self) -> Path:
        """How each of several training processes ended, for the newest start."""
        return self.root / "stages" / "train-processes.jsonl"

    def record(self, stage: str) -> Path:
        """The JSON record that a stage leaves behind."""
        return self.root / "stages" / f"{stage}.json"
