"""How the model is trained. A workload may extend `TrainingSection` with its own knobs."""

import math
from typing import Annotated, Any, Literal, Self

from pydantic import Discriminator, Field, Tag, model_validator

from cardrunner.card.schema.base import ADDED, Count, Every, FieldError, Line, Lines, PositiveCount, Section
from cardrunner.common.units import Every as EveryValue


def _kept(value: Any) -> str:
    return "<all>" if isinstance(value, str) else "<a number>"


Kept = Annotated[
    Annotated[Literal["all"], Tag("<all>")] | Annotated[PositiveCount, Tag("<a number>")], Discriminator(_kept)
]


class LossTerm(Section):
    """One term of the loss and its weight."""

    kind: Line
    """mse, bce, cross_entropy, ...; the workload says which it has."""
    weight: Annotated[float, Field(ge=0)] = 1.0
    """What its value is multiplied by in the sum."""


class Selection(Section):
    """Which metric makes a checkpoint the best one."""

    metric: Line
    """A validation metric of the workload, or an alias of one."""
    mode: Literal["min", "max"]
    """Whether the smallest or the largest value is the best."""


class TrainingBase(Section):
    """What the rest of the package asks of any `training` section. The defaults are those of a workload that runs
    itself and tells nothing; one of the built-in loop extends `TrainingSection`."""

    @property
    def measured(self) -> bool:
        """Whether this package measures the metrics itself, rather than being told them."""
        return False

    @property
    def planned_epochs(self) -> int | None:
        """Epochs of the whole run; None where they are not counted."""
        return None

    @property
    def whole(self) -> float | None:
        """The progress of a run that is trained (`cardrunner.kill_rules.Row.progress`); None where it is unknown."""
        return None if self.planned_epochs is None else float(self.planned_epochs)

    @property
    def selection(self) -> Selection | None:
        """What makes a checkpoint the best one; None where none is."""
        return None

    @property
    def also_kept(self) -> tuple[str, ...]:
        """Validation metrics by each of which the best weights are kept too."""
        return ()

    @property
    def log_interval(self) -> EveryValue | None:
        """The time between rows of the history; None where only the run shows it."""
        return None

    @property
    def wants_gpu(self) -> bool:
        """Whether it cannot run without a GPU."""
        return False

    @property
    def cpu_processes(self) -> int:
        """Processes that train together on the CPU."""
        return 1

    @property
    def batches_per_step(self) -> int:
        """Batches of an optimizer step."""
        return 1

    def batches(self, examples: int, *, processes: int = 1) -> int | None:  # noqa: ARG002
        """Batches of one process in an epoch, from its training examples; None where batches are not counted."""
        return None


class TrainingSection(TrainingBase):
    """The part of `training` that every workload of the built-in loop has. Every field here controls the run."""

    epochs: PositiveCount
    """Total number of epochs, also after a resume."""
    batch_size: PositiveCount
    """Examples per forward pass and process. An optimizer step has batch_size x processes x gradient_accumulation."""
    learning_rate: Annotated[float, Field(gt=0)]
    """Its highest value, after any warm-up."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    """The optimizer's, per step, relative to the learning rate."""
    optimizer: Literal["adamw", "adam", "sgd"] = "adamw"
    """How weights are updated."""
    schedule: Literal["cosine", "constant"] = "cosine"
    """cosine falls from the learning rate to 0 over the run."""
    schedule_unit: Literal["epoch", "step"] = "epoch"
    """When the schedule moves on."""
    warmup: Count = 0
    """Steps or epochs (see schedule_unit) of linear warm-up before the schedule."""
    loss: dict[str, LossTerm] = Field(default_factory=dict)
    """Terms by name; the workload's own where nothing is stated."""
    gradient_clip: Annotated[float, Field(gt=0)] | None = None
    """Largest gradient norm."""
    gradient_accumulation: PositiveCount = 1
    """Batches per optimizer step."""
    drop_last: bool = True
    """Leave out the last, smaller batch of an epoch."""
    precision: Literal["float32", "tf32", "bf16", "fp16"] = "float32"
    """The number format of the arithmetic; weights stay float32."""
    log_every: Every = EveryValue(100, "step")
    """Rows in the history between validations."""
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    """Of the initial weights, the order of examples and dropout."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where tensors live; auto takes a GPU where there is one."""
    threads: PositiveCount | None = None
    """CPU threads for arithmetic; all cores where nothing is stated. Exact repetition needs the same number."""
    workers: Count = 0
    """Background threads that prepare batches; 0 prepares them in the training thread."""
    processes: Annotated[PositiveCount, Field(le=256), ADDED] = 1
    """Processes that train together on the CPU. On GPUs there is one per GPU, which `infra.gpus` says."""
    cuda_graph: Annotated[bool, ADDED] = True
    """On a GPU of its own, record the kernels of a step once and run the recording from then on, which saves launching
    each. A model that cannot be recorded trains as usual, and the results card says so."""
    compile: Annotated[bool, ADDED] = False
    """Let torch.compile fuse the kernels of a step: half a minute at every start, and a compiler has to be installed.
    For GPUs and models of their own; a workload's fast steps on the CPU gain more."""
    checkpoint_every: Every = EveryValue(1, "epoch")
    """How often the full state is saved."""
    keep: Kept = 2
    """How many periodic checkpoints stay on disk; best and latest always do."""
    keep_best: Annotated[tuple[Line, ...], ADDED] = ()
    """Validation metrics by each of which the best weights are kept too, beside those of `select`."""
    select: Selection
    """What makes a checkpoint the best one."""
    reason: Lines = ()
    """Why these numbers."""

    @property
    def measured(self) -> bool:
        """True: the built-in loop measures."""
        return True

    @property
    def planned_epochs(self) -> int | None:
        """Epochs of the whole run."""
        return self.epochs

    @property
    def selection(self) -> Selection | None:
        """What makes a checkpoint the best one."""
        return self.select

    @property
    def also_kept(self) -> tuple[str, ...]:
        """Validation metrics by each of which the best weights are kept too."""
        return self.keep_best

    @property
    def log_interval(self) -> EveryValue | None:
        """The time between rows of the history."""
        return self.log_every

    @property
    def wants_gpu(self) -> bool:
        """Whether it cannot run without a GPU."""
        return self.device == "cuda"

    @property
    def cpu_processes(self) -> int:
        """Processes that train together on the CPU."""
        return self.processes

    @property
    def batches_per_step(self) -> int:
        """Batches of an optimizer step."""
        return self.gradient_accumulation

    def batches(self, examples: int, *, processes: int = 1) -> int | None:
        """Batches of one process in an epoch, from its training examples."""
        together = self.batch_size * processes
        return examples // together if self.drop_last else math.ceil(examples / together)

    @model_validator(mode="after")
    def _warmup_fits(self) -> Self:
        if self.schedule_unit == "epoch" and self.warmup >= self.epochs:
            raise FieldError(
                f"a warm-up of {self.warmup} epochs leaves none of the {self.epochs} epochs for training", "warmup"
            )
        return self


class ModelSection(Section):
    """The part of `model` that every workload has."""

    architecture: Line
    """One of the workload's architectures."""
    parameters: PositiveCount | None = None
    """Trainable parameters; when stated it must be the model that the other fields describe."""
