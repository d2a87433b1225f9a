"""The data and model sections of the cards of this package. Torch-free."""

from typing import Annotated, Literal

from pydantic import Field

from cardrunner.card.schema.base import NO_TRUTH, Count, PositiveCount, Section
from cardrunner.card.schema.data import DataSection
from cardrunner.card.schema.training import ModelSection
from cardrunner.workloads.melee.encoding.layout import ANALOG, BUTTONS, MINIMUM_ROWS, PlayerIndex
from cardrunner.workloads.melee.encoding.scheme import EncodingConfig


class RuleExpectations(Section):
    """Encoder rules that the file must follow; files of one shape can differ in them. Only stated rules are checked."""

    percent: Literal["truncated", "exact"] | None = None
    """Percent without or with its fraction."""
    shoulder: Literal["physical", "processed"] | None = None
    """The trigger as physically held, or after the dead zone."""
    buttons: Literal["physical", "processed"] | None = None
    """The buttons as physically held, or as the game processed them."""
    rollback: Literal["kept", "dropped"] | None = None
    """Whether a frame that was sent twice becomes two rows."""


class EncodingExpectations(Section):
    """How the file must be encoded. Only stated fields are checked."""

    projectiles: bool | None = None
    """Whether rows hold the items in play."""
    state_flags: bool | None = None
    """Whether rows hold the flags of a character's state."""
    hitstun: bool | None = None
    """Whether rows hold the remaining frames of hitstun."""
    state_age_as_embed: bool | None = None
    """Whether the age of the action is embedded as a category."""
    press_events: bool | None = None
    """Whether rows hold the buttons that went down in the frame."""
    lookahead: Count | None = None
    """Frames, as in the encoder of the file; usually 0."""
    focal_offset: int | None = None
    """Frames, as in the encoder of the file; usually 0."""
    rules: RuleExpectations = Field(default_factory=RuleExpectations.model_construct)

    def stated(self) -> dict[str, bool | int]:
        """The encoding fields that the card states."""
        return self.model_dump(exclude={"rules"}, exclude_none=True)

    def resolved(self) -> EncodingConfig:
        """The encoding, with the usual value for every field that the card leaves open."""
        return EncodingConfig.model_construct(**self.stated())  # type: ignore[arg-type]  # checked as fields above


class Generator(Section):
    """The built-in generator of games: two scripted fighters in the simulator."""

    games: Annotated[PositiveCount, Field(le=100_000)]
    """The number of games."""
    frames_per_game: Annotated[int, Field(ge=MINIMUM_ROWS, le=30_000)]
    """The number of rows in every game."""
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    """The same seed makes the same games."""


class GamesData(DataSection):
    """Encoded games."""

    games: PositiveCount | None = None
    """Games in all files together; checked against the files."""
    frames: PositiveCount | None = None
    """Rows in all files together; checked against the files."""
    encoding: EncodingExpectations = Field(default_factory=EncodingExpectations.model_construct)
    synthetic: Generator | None = None
    """For `source: synthetic`: the games to generate."""

    @property
    def known_games(self) -> int | None:
        """Games as stated, or as the generator will produce them."""
        return self.games or (self.synthetic.games if self.synthetic else None)

    @property
    def known_frames(self) -> int | None:
        """Frames as stated, or as the generator will produce them."""
        made = self.synthetic.games * self.synthetic.frames_per_game if self.synthetic else None
        return self.frames or made


class MeleeData(GamesData):
    """The data of a policy: encoded games."""

    predict_player: Annotated[PlayerIndex, NO_TRUTH] = 0
    """The player whose controller is learned; the other slot is played by swapping the halves of the context."""


class Outputs(Section):
    """The outputs of the policy for a frame."""

    analog: PositiveCount = len(ANALOG)
    """Stick axes and shoulder, 0 to 1."""
    buttons: PositiveCount = len(BUTTONS)
    """Button logits."""


class FrameModel(ModelSection):
    """A model of the last K frames."""

    context_len: Annotated[PositiveCount, Field(le=1000)] = 10
    """K, the frames that the model sees."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Share of the units that a training step leaves out."""


class PolicyModel(FrameModel):
    """An imitation policy: the last K frames in, a controller out."""

    hidden_dim: PositiveCount = 512
    """Units of the first layer."""
    trunk_dim: PositiveCount = 256
    """Units of the second layer."""
    outputs: Outputs = Field(default_factory=Outputs.model_construct)
