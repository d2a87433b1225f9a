"""The sections of a card whose run is a command line: nothing is asked that controls nothing."""

from __future__ import annotations

import math
import re
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Discriminator,
    Field,
    StringConstraints,
    Tag,
    WithJsonSchema,
    model_validator,
)

from cardrunner.card.schema.base import (
    ADDED,
    BY_KIND,
    LARGEST_COUNT,
    Count,
    FieldError,
    Line,
    LineOrNumber,
    Lines,
    Number,
    PositiveCount,
    Seconds,
    Section,
    ShortForm,
    one_or_many,
    one_or_many_schema,
)
from cardrunner.card.schema.data import ENTRY_SCHEMA, SYNTHETIC, DataFile, DataFiles, as_file
from cardrunner.card.schema.training import ModelSection, Selection, TrainingBase
from cardrunner.workloads.command.proof_sections import Argument, Arguments, EvaluateSection, Facts, Preflight
from cardrunner.workloads.command.reports.base import Kind
from cardrunner.workloads.command.reports.rows import Declared
from cardrunner.workloads.command.reports.table import Glob, ReportSection


def _kind_of_resume(value: Any) -> str:
    return "<text>" if isinstance(value, str) else "<a list>"


def _content(value: Any) -> Any:
    if isinstance(value, bool | str) or value is None or (isinstance(value, float) and math.isfinite(value)):
        return value
    if isinstance(value, int) and abs(value) <= LARGEST_COUNT:
        return value
    if isinstance(value, dict):
        return {str(key): _content(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return tuple(map(_content, value))
    raise ValueError("holds a value that JSON cannot hold; write a text, a number, true, false, a list or a mapping")


def _whole_or_name(value: str) -> str:
    if not re.fullmatch(r"\{[A-Za-z_]\w*\}", value):
        raise ValueError("must be a whole number, or the {name} of a parameter that is one")
    return value


ParameterName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,63}$")]
FileName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9._-]{0,99}$")]
VariableName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
Content = Annotated[Any, BeforeValidator(_content)]
Resume = Annotated[
    Annotated[Literal["itself"], Tag("<text>")] | Annotated[tuple[Argument, ...], Tag("<a list>")],
    Discriminator(_kind_of_resume),
]
CountOrName = Annotated[
    Annotated[Line, AfterValidator(_whole_or_name), Tag("<text>")] | Annotated[PositiveCount, Tag("<a whole number>")],
    BY_KIND,
]
Globs = Annotated[tuple[Glob, ...], BeforeValidator(one_or_many), Field(min_length=1), ShortForm()]


class ScriptFile(DataFile):
    """A data file, or a pattern of any number of them: ``data/*.bin``, or ``data/`` for every file below a folder."""

    files: Annotated[PositiveCount | None, ADDED] = None
    """How many files a pattern has; `cardrunner data CARD --write` writes it with their size and digest."""

    @property
    def is_pattern(self) -> bool:
        """Whether the path has a sign of a pattern, or names a folder."""
        return self.path.endswith("/") or any(sign in self.path for sign in "*?[")

    @property
    def counted(self) -> int | None:
        """`files`."""
        return self.files

    @model_validator(mode="after")
    def _counts_files_of_a_pattern(self) -> Self:
        if self.files is not None and not self.is_pattern:
            raise FieldError("is for a pattern such as data/*.bin; leave it out", "files")
        return self


FILE_SCHEMA: dict[str, Any] = {
    **ENTRY_SCHEMA,
    "properties": {
        **ENTRY_SCHEMA["properties"],
        "files": {
            "type": ["integer", "null"],
            "description": "How many files a pattern has.",
            "examples": [12],
        },
    },
}
ScriptSource = Annotated[
    tuple[Annotated[ScriptFile, BeforeValidator(as_file)], ...],
    BeforeValidator(one_or_many),
    Field(min_length=1),
    WithJsonSchema(one_or_many_schema(FILE_SCHEMA, at_least=1)),
]


class CommandData(DataFiles):
    """The files that the script reads, as far as the card pins them. How it splits them is the script's."""

    source: ScriptSource = (ScriptFile(path=SYNTHETIC),)
    """The files to compare with their sizes and sha256 before the script begins; they are linked into its code."""


class CommandModel(ModelSection):
    """What is trained, as the card states it; it is compared with what the script reports, if it does."""

    architecture: Line = "as the script builds it"
    """Free text."""


class RunLength(Section):
    """How long the whole run is: what progress and the projection of time and cost follow from."""

    steps: CountOrName | None = None
    """The last step that is reported; a number, or the {name} of a parameter."""
    epochs: CountOrName | None = None
    """Epochs; a number, or the {name} of a parameter."""
    read: Annotated[Line | None, Field(alias="from")] = None
    """The reported value that counts epochs, such as train/epoch; the readers' own epoch where nothing is stated."""

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.steps is None) == (self.epochs is None):
            raise FieldError("give steps or epochs, one of them", "steps")
        if self.read is not None and self.epochs is None:
            raise FieldError("is for epochs; leave it out", "from")
        return self


class ReportedMetric(Section):
    """A metric that the script reports. Targets, rules and baselines use its name."""

    name: Line
    """Its name in this card; a validation metric may also be written with val_ before it."""
    read: Annotated[tuple[Line, ...], BeforeValidator(one_or_many), Field(min_length=1), ShortForm()] = ()
    """Its name in the reports; its own where nothing is stated, several where sources differ."""
    direction: Literal["min", "max"]
    """Which way is better."""
    unit: Line = "as reported"
    """What it counts."""
    at: Literal["validation", "log"] = "validation"
    """Whether it is measured in validation, or is a log of the training."""
    every: PositiveCount | None = None
    """Steps between two of its rows, where that is known: one that stays away is then noticed earlier."""
    lower: Number | None = None
    """The least value that it can have."""
    upper: Number | None = None
    """The largest value that it can have."""
    percent: bool = False
    """Shown as a percentage."""
    meaning: Line | None = None
    """What it is, for the results card."""

    @property
    def bare(self) -> str:
        """Its name without ``val_``."""
        return self.name.removeprefix("val_")

    @property
    def key(self) -> str:
        """Its name in the rows of the history."""
        return f"val_{self.bare}" if self.at == "validation" else self.name

    def declared(self) -> Declared:
        """The metric as readers of reports take it."""
        kind: Kind = self.at
        return Declared(name=self.key, reads=self.read or (self.name,), at=kind, every=self.every)


class CheckpointsSection(Section):
    """The files or folders from which the script can resume."""

    at: Globs
    """Paths, such as {out}/ckpt.pt or {out}/checkpoint-*."""
    complete: Lines = ()
    """Files that a whole folder has, such as trainer_state.json."""
    keep: Annotated[PositiveCount, Field(le=100)] = 2
    """Copies that are kept of the newest; the best one stays in any case."""
    at_end: bool = False
    """The script writes it only when it is done."""


class StopSection(Section):
    """How the script is asked to end."""

    signal: Literal["SIGTERM", "SIGINT", "SIGUSR1", "SIGUSR2", "SIGHUP"] = "SIGTERM"
    """What it is sent."""
    grace: Seconds = 60.0
    """The time until everything that it started is killed."""


class CommandTraining(TrainingBase):
    """A script, run as its command line. Every field here controls the run."""

    command: Arguments
    """The command line: a list of arguments, which no shell reads. {name} stands for a value."""
    parameters: Annotated[dict[ParameterName, LineOrNumber], Field(max_length=200)] = Field(default_factory=dict)
    """Values by name, each of which occurs in the command, its files or its environment. A restart may set them."""
    files: Annotated[dict[FileName, Content], Field(max_length=50)] = Field(default_factory=dict)
    """Files that are written from the card into the run, for scripts that read their settings from one: a text, or
    content that is written as YAML or, for a name that ends in .json, as JSON. {file:NAME} is the path."""
    resume: Resume | None = None
    """Arguments that are added when there is a checkpoint to resume from; itself for a script that finds it without;
    left out for one that cannot resume, so that a stop loses the run."""
    seed: Annotated[Count, Field(lt=2**32)] | None = None
    """What {seed} stands for."""
    length: RunLength | None = None
    """How long the run is; without it there is neither progress nor a projection."""
    metrics: Annotated[tuple[ReportedMetric, ...], Field(min_length=1, max_length=200)]
    """What the script reports. One that does not come pauses the run."""
    report: ReportSection = Field(default_factory=ReportSection.model_construct)
    """Where it is read."""
    checkpoints: CheckpointsSection | None = None
    """Where checkpoints are."""
    select: Selection | None = None
    """What makes a checkpoint the best one, by the reported values."""
    first_metric: Seconds = 600.0
    """When the first row has to have come; else the run has not started."""
    silence: Seconds = 900.0
    """Without a row and without output, after which a warning is given."""
    stop: StopSection = Field(default_factory=StopSection.model_construct)
    """How it is asked to end."""
    environment: Annotated[dict[VariableName, Argument], Field(max_length=100)] = Field(default_factory=dict)
    """Variables of its environment, such as OMP_NUM_THREADS."""
    script_module: Annotated[bool, ADDED] = False
    """Put the module ``cardrunner_script`` on the path of its Python, for scripts that import it."""
    workdir: Line | None = None
    """The folder that it runs in, relative to the code folder; that one where nothing is stated."""
    facts: Annotated[Facts | None, ADDED] = None
    """What the script has to say of itself by ``cardrunner_script.fact(name, value)``, such as {parameters: 108224}."""
    preflight: Annotated[Preflight | None, ADDED] = None
    """Runs before each training, on the same machine; unless it ends with 0, the run fails."""
    evaluate: Annotated[EvaluateSection | None, ADDED] = None
    """Measures the kept best checkpoint again when the training has ended; it has to give the recorded values."""
    reason: Lines = ()
    """Why these values."""

    @property
    def evaluated(self) -> tuple[ReportedMetric, ...]:
        """The validation metrics that `evaluate` measures again."""
        if self.evaluate is None:
            return ()
        chosen = [self.select.metric] if self.select is not None else []
        names = {name.removeprefix("val_") for name in self.evaluate.metrics or chosen}
        return tuple(metric for metric in self.metrics if metric.at == "validation" and metric.bare in names)

    @property
    def planned_epochs(self) -> int | None:
        """Epochs of the whole run; None where the card counts steps or nothing."""
        return None if self.length is None or self.length.epochs is None else self.number(self.length.epochs)

    @property
    def planned_steps(self) -> int | None:
        """The last step of the whole run; None where the card counts epochs or nothing."""
        return None if self.length is None or self.length.steps is None else self.number(self.length.steps)

    @property
    def whole(self) -> float | None:
        """The progress of a run that is trained: its epochs, or 1 where steps are counted."""
        return None if self.length is None else float(self.planned_epochs or 1)

    @property
    def selection(self) -> Selection | None:
        """What makes a checkpoint the best one."""
        return self.select

    @property
    def reads(self) -> frozenset[str]:
        """The names in the reports that metrics are read from."""
        return frozenset(name for metric in self.metrics for name in (metric.read or (metric.name,)))

    @property
    def resumes(self) -> bool:
        """Whether a run that was stopped can go on."""
        return self.resume is not None

    def number(self, written: str | int) -> int | None:
        """A whole number of the card, or the parameter that it names; None for a parameter of another kind."""
        value = self.parameters.get(written.strip("{}")) if isinstance(written, str) else written
        return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None
