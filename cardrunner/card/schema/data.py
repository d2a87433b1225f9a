"""Which data the run reads. A workload extends `DataSection` with what its files hold."""

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from cardrunner.card.schema.base import (
    TEXT_SCHEMA,
    ByteCount,
    FieldError,
    Fraction,
    Line,
    Lines,
    PositiveCount,
    Section,
    Sha256,
    one_or_many,
    one_or_many_schema,
    quantity,
)
from cardrunner.common.units import SIZE_PATTERN

SYNTHETIC = "synthetic"


class DataFile(Section):
    """One data file with what is known of it."""

    path: Line
    size: ByteCount | None = None
    sha256: Sha256 | None = None
    """Pins the content; checked before training."""

    @property
    def is_pattern(self) -> bool:
        """Whether the path stands for any number of files, which `files` counts and `sha256` is over together."""
        return False

    @property
    def counted(self) -> int | None:
        """How many files it stands for, where the card says it."""
        return None


class Split(Section):
    """How validation examples are kept apart."""

    train: Fraction
    """The share that trains; the rest validates."""
    by: Line = "game"
    """The unit that is never torn apart."""


def as_file(value: object) -> object:
    """An entry of `data.source` that is written as its path."""
    return {"path": value} if isinstance(value, str) else value


ENTRY_SCHEMA: dict[str, Any] = {
    "type": ["string", "object"],
    "properties": {
        "path": {**TEXT_SCHEMA, "description": "Where it is.", "examples": ["encoded-22k.pt"]},
        "size": {**quantity("Its size with its unit.", SIZE_PATTERN, "74.4 GB"), "type": ["string", "null"]},
        "sha256": {
            "type": ["string", "null"],
            "pattern": "^[0-9a-f]{64}$",
            "description": "Pins the content; checked before training.",
            "examples": ["9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"],
        },
    },
    "required": ["path"],
    "additionalProperties": False,
}
FileEntry = Annotated[DataFile, BeforeValidator(as_file)]
Source = Annotated[
    tuple[FileEntry, ...],
    BeforeValidator(one_or_many),
    Field(min_length=1),
    WithJsonSchema(one_or_many_schema(ENTRY_SCHEMA, at_least=1)),
]


class DataFiles(Section):
    """Which files a run reads: what any workload has of `data`."""

    source: Source
    """A path, a list of paths or of files, or `synthetic`. On a volume a path is absolute; else it is relative to the
    workspace, and a file that is not there is looked for in the folders of CARDRUNNER_DATA."""
    size: ByteCount | None = None
    """All files together."""
    sha256: Sha256 | None = None
    """Pins the content of a single file; checked before training."""
    notes: Lines = ()
    """What one should know about the files."""

    @model_validator(mode="after")
    def _one_digest_for_one_file(self) -> Self:
        if self.sha256 and len(self.source) > 1:
            raise FieldError("is for a single file; give each file of data.source its own", "sha256")
        return self

    @property
    def is_synthetic(self) -> bool:
        """True when a generator makes the data."""
        return len(self.source) == 1 and self.source[0].path == SYNTHETIC

    @property
    def counted(self) -> tuple[int | None, int | None]:
        """The training and validation examples that the card states."""
        return None, None


class DataSection(DataFiles):
    """The part of `data` that every workload of the built-in loop has."""

    split: Split
    train_examples: PositiveCount | None = None
    """Derived from the files; when stated it must agree."""
    val_examples: PositiveCount | None = None
    """Derived from the files; when stated it must agree."""
    shuffle: Literal["auto", "full", "block"] = "auto"
    """full: the order of an epoch runs over all examples, wherever they lie; for files that fit into memory. block:
    stretches of about a thousand examples are read in sequence, in random order, and mixed in blocks of
    `shuffle_block`; for files larger than memory. auto: full where the files leave 2 GiB of the memory (infra.memory,
    or what the machine has), else block."""
    shuffle_block: Annotated[ByteCount, Field(ge=2**16)] = 256 * 2**20
    """Memory of a block; the larger it is, the more is mixed."""
    on_constant_columns: Literal["warn", "fail"] = "warn"
    """A column that never changes carries nothing; it is named in the expected-against-actual table."""

    @property
    def counted(self) -> tuple[int | None, int | None]:
        """The training and validation examples that the card states."""
        return self.train_examples, self.val_examples
