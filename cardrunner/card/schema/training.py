"""How the model is trained. A workload may extend `TrainingSection` with its own knobs."""

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


class TrainingSection(Section):
    """The part of `training` that every workload has. Every field here controls the run."""

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
