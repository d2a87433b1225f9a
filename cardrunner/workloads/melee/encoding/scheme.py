"""How values are encoded: scales, vocabularies and embedding widths, and the rules of the encoder that made a file.

The encoding is stored in every file. Older files store only a part of it; the missing fields are then decided by the
widths of the tensors, because defaults that changed later would build the wrong model for them.
"""

from collections.abc import Mapping
from itertools import product
from typing import Literal, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from cardrunner.errors import IntegrityError
from cardrunner.workloads.melee.encoding.layout import (
    FLOAT_BYTES,
    INT_BYTES,
    PLAYER_FLOATS,
    PLAYER_INTS,
    STAGE,
)

OPTIONAL_GROUPS = ("projectiles", "state_flags", "hitstun")
# Width of each optional group per player. Their sum (44) is known from files with all three on (144 floats); the single
# widths are what the game reports: 5 bytes of flags, one timer, three values for the projectiles.
_OPTIONAL_WIDTHS = {"projectiles": 3, "state_flags": 40, "hitstun": 1}
_GAP_FIELDS = ("state_age_as_embed", *OPTIONAL_GROUPS)


class Embedding(NamedTuple):
    """One categorical column and the table that turns it into ``dim`` numbers.

    Attributes:
        name: the table's name; its weights are called ``<name>_embed.weight`` in checkpoints.
        column: the int column of the frame, without the player.
    """

    name: str
    column: str
    vocab: int
    dim: int


class EncodingConfig(BaseModel):
    """Every field of ``encoding_config`` with the values of the 56 + 17 layout."""

    model_config = ConfigDict(
        strict=True, frozen=True, extra="forbid", hide_input_in_errors=True, allow_inf_nan=False, defer_build=True
    )

    xy_scale: float = Field(0.05, gt=0)
    percent_scale: float = Field(0.01, gt=0)
    shield_scale: float = Field(0.01, gt=0)
    velocity_scale: float = Field(0.05, gt=0)
    state_age_scale: float = Field(0.01, gt=0)
    hitlag_scale: float = Field(0.1, gt=0)
    stocks_scale: float = Field(0.25, gt=0)
    combo_count_scale: float = Field(0.1, gt=0)
    action_vocab: int = Field(400, gt=0)
    action_embed_dim: int = Field(32, gt=0)
    jumps_vocab: int = Field(8, gt=0)
    jumps_embed_dim: int = Field(4, gt=0)
    character_vocab: int = Field(33, gt=0)
    character_embed_dim: int = Field(8, gt=0)
    stage_vocab: int = Field(33, gt=0)
    stage_embed_dim: int = Field(4, gt=0)
    l_cancel_vocab: int = Field(3, gt=0)
    l_cancel_embed_dim: int = Field(2, gt=0)
    hurtbox_vocab: int = Field(3, gt=0)
    hurtbox_embed_dim: int = Field(2, gt=0)
    ground_vocab: int = Field(32, gt=0)
    ground_embed_dim: int = Field(4, gt=0)
    last_attack_vocab: int = Field(64, gt=0)
    last_attack_embed_dim: int = Field(8, gt=0)
    state_age_as_embed: bool = True
    state_age_embed_vocab: int = Field(150, gt=0)
    state_age_embed_dim: int = Field(8, gt=0)
    press_events: bool = False
    lookahead: int = Field(0, ge=0)
    projectiles: bool = False
    state_flags: bool = False
    hitstun: bool = False
    hitstun_scale: float = Field(0.02, gt=0)
    focal_offset: int = 0

    @property
    def float_per_player(self) -> int:
        """Float columns of one player: 28 in the layout of this package."""
        extra = sum(_OPTIONAL_WIDTHS[name] for name in OPTIONAL_GROUPS if getattr(self, name))
        return len(PLAYER_FLOATS) + extra + (not self.state_age_as_embed)

    @property
    def int_per_player(self) -> int:
        """Int columns of one player without the stage: 8 in the layout of this package."""
        return len(PLAYER_INTS) - (not self.state_age_as_embed)

    @property
    def floats(self) -> int:
        """Width of the float tensor."""
        return 2 * self.float_per_player

    @property
    def ints(self) -> int:
        """Width of the int tensor."""
        return 2 * self.int_per_player + 1

    @property
    def bytes_per_frame(self) -> int:
        """Bytes of one frame in the file."""
        return self.floats * FLOAT_BYTES + self.ints * INT_BYTES

    @property
    def player_embeddings(self) -> tuple[Embedding, ...]:
        """Tables of one player in the order in which a model concatenates them."""
        tables = (
            Embedding("action", "action", self.action_vocab, self.action_embed_dim),
            Embedding("jumps", "jumps_left", self.jumps_vocab, self.jumps_embed_dim),
            Embedding("character", "character", self.character_vocab, self.character_embed_dim),
            Embedding("l_cancel", "l_cancel", self.l_cancel_vocab, self.l_cancel_embed_dim),
            Embedding("hurtbox", "hurtbox_state", self.hurtbox_vocab, self.hurtbox_embed_dim),
            Embedding("ground", "ground", self.ground_vocab, self.ground_embed_dim),
            Embedding("last_attack", "last_attack_landed", self.last_attack_vocab, self.last_attack_embed_dim),
        )
        age = Embedding("state_age", "state_age", self.state_age_embed_vocab, self.state_age_embed_dim)
        return (*tables, age) if self.state_age_as_embed else tables

    @property
    def stage_embedding(self) -> Embedding:
        """The table of the stage, shared by both players."""
        return Embedding("stage", STAGE, self.stage_vocab, self.stage_embed_dim)

    @property
    def embeddings(self) -> tuple[Embedding, ...]:
        """All nine tables, the stage last: model order."""
        return (*self.player_embeddings, self.stage_embedding)

    @property
    def embedding_parameters(self) -> int:
        """Weights of all tables: 15,080 with the values above."""
        return sum(table.vocab * table.dim for table in self.embeddings)

    @property
    def frame_width(self) -> int:
        """Numbers that describe one frame to a model: 196 with the values above."""
        per_player = sum(table.dim for table in self.player_embeddings)
        return self.floats + 2 * per_player + self.stage_embed_dim

    @property
    def vocabularies(self) -> tuple[int, ...]:
        """Vocabulary of each int column, in column order."""
        per_player = tuple(table.vocab for table in self.player_embeddings)
        return (*per_player, *per_player, self.stage_vocab)

    def differences(self, other: Self) -> tuple[str, ...]:
        """Fields in which two encodings differ, as ``name: mine against theirs``."""
        mine, theirs = self.model_dump(), other.model_dump()
        return tuple(f"{name}: {mine[name]} against {theirs[name]}" for name in mine if mine[name] != theirs[name])

    @classmethod
    def from_file_dict(cls, stored: Mapping[str, object], *, floats: int, ints: int) -> Self:
        """The encoding of a file whose tensors are ``floats`` and ``ints`` wide.

        Switches that the file does not mention are set to the one combination that gives these widths.

        Raises:
            IntegrityError: an unknown field, a wrong value, or widths that the stored fields cannot give.
        """
        given = cls._read(stored)
        open_switches = [name for name in _GAP_FIELDS if name not in stored]
        for values in product(*((_default(name), not _default(name)) for name in open_switches)):
            candidate = given.model_copy(update=dict(zip(open_switches, values, strict=True)))
            if (candidate.floats, candidate.ints) == (floats, ints):
                return candidate
        raise IntegrityError(
            f"the stored encoding gives {given.floats} floats and {given.ints} ints per frame, but the tensors have"
            f" {floats} and {ints}{_looks_like(floats, ints)}"
        )

    @classmethod
    def _read(cls, stored: Mapping[str, object]) -> Self:
        try:
            return cls.model_validate(dict(stored))
        except ValidationError as error:
            first = error.errors(include_input=False, include_url=False)[0]
            place = ".".join(str(part) for part in first["loc"])
            raise IntegrityError(f"encoding_config.{place}: {first['msg']}") from None


def _default(name: str) -> bool:
    return bool(EncodingConfig.model_fields[name].default)


def guess_configuration(floats: int, ints: int) -> str | None:
    """The switches that give tensors of these widths, as part of a sentence; None if no combination does."""
    for age, *optional in product((True, False), *((False, True),) * len(OPTIONAL_GROUPS)):
        switches = dict(zip(OPTIONAL_GROUPS, optional, strict=True))
        config = EncodingConfig(state_age_as_embed=age, **switches)
        if (config.floats, config.ints) == (floats, ints):
            return _describe(config)
    return None


def _describe(config: EncodingConfig) -> str:
    on = [name for name in OPTIONAL_GROUPS if getattr(config, name)]
    parts = [f"{', '.join(on)} on" if on else "no optional group on"]
    if not config.state_age_as_embed:
        parts.append("state_age as a float")
    return " and ".join(parts)


def _looks_like(floats: int, ints: int) -> str:
    guess = guess_configuration(floats, ints)
    return f" (that is what an encoder writes with {guess})" if guess else ""


class EncoderRules(BaseModel):
    """The rules that made a file: files of one shape can follow different rules."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", hide_input_in_errors=True, defer_build=True)

    source: Literal["slp", "generator"]
    percent: Literal["truncated", "exact"] = "truncated"
    shoulder: Literal["physical", "processed"] = "physical"
    buttons: Literal["physical", "processed"] = "physical"
    rollback: Literal["kept", "dropped"] = "kept"
    minimum_rows: int = Field(120, ge=0)

    @classmethod
    def from_file_dict(cls, stored: object) -> Self:
        """Rules as a file records them.

        Raises:
            IntegrityError: the record is not what an encoder writes.
        """
        try:
            return cls.model_validate(stored)
        except ValidationError as error:
            first = error.errors(include_input=False, include_url=False)[0]
            place = ".".join(("encoder_rules", *(str(part) for part in first["loc"])))
            raise IntegrityError(f"{place}: {first['msg']}") from None
