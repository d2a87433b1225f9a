from __future__ import annotations

import pytest
import torch
from hypothesis import given, strategies as st

from cardrunner.workloads.melee.encoding.scheme import EncodingConfig
from cardrunner.workloads.melee.networks.fast_codes import encode_batch, groups_of
from tests.examples import examples

ENCODING = EncodingConfig()
WIDE = EncodingConfig(action_vocab=1000, jumps_vocab=5, stage_vocab=600)


def random_ints(batch: int, context_len: int, encoding: EncodingConfig = ENCODING, seed: int = 0) -> torch.Tensor:
    dice = torch.Generator().manual_seed(seed)
    uniform = torch.rand(batch, context_len, encoding.ints, generator=dice)
    return (uniform * torch.tensor(encoding.vocabularies)).long()


@pytest.mark.parametrize("encoding", [ENCODING, WIDE])
def test_every_int_column_and_every_embedded_input_is_in_one_group(encoding: EncodingConfig) -> None:
    groups = groups_of(encoding, 3)
    columns = [number for group in groups for own in group.columns for number in own]
    assert sorted(columns) == list(range(encoding.ints))
    fed = sorted(torch.cat([group.inputs for group in groups]).tolist())
    width = encoding.frame_width
    assert fed == [frame * width + number for frame in range(3) for number in range(encoding.floats, width)]


def test_small_vocabularies_are_read_together() -> None:
    assert [group.tables for group in groups_of(ENCODING, 2)] == [(0,), (1, 2), (3, 4, 5), (6,), (7,), (8,)]


@examples(30)
@given(batch=st.integers(1, 9), context_len=st.integers(1, 3), seed=st.integers(0, 999), wide=st.booleans())
def test_rows_lead_back_to_the_values(batch: int, context_len: int, seed: int, wide: bool) -> None:
    encoding = WIDE if wide else ENCODING
    groups = groups_of(encoding, context_len)
    ints = random_ints(batch, context_len, encoding, seed)
    codes = encode_batch(groups, ints)
    first_row = first_place = 0
    for group, values, length in zip(groups, codes.values, codes.lengths, strict=True):
        places = torch.arange(group.places)
        local = codes.rows[:, first_place : first_place + group.places].long() - first_row
        assert torch.equal(local % group.places, places.expand(batch, -1))
        for player, own in enumerate(group.columns):
            frames = slice(player * context_len, (player + 1) * context_len)
            for number, column in enumerate(own):
                read = values[number][local[:, frames] // group.places]
                assert torch.equal(read, ints[:, :, column])
        assert length == len(values[0]) * group.places
        first_row, first_place = first_row + length, first_place + group.places
    assert first_place == codes.rows.shape[1]


@pytest.mark.parametrize(("column", "value"), [(0, 400), (9, 8), (16, 33), (4, -1)])
def test_a_value_outside_its_vocabulary_is_refused(column: int, value: int) -> None:
    ints = random_ints(4, 2)
    ints[1, 1, column] = value
    with pytest.raises(IndexError, match=f"int column {column} holds .* outside its vocabulary"):
        encode_batch(groups_of(ENCODING, 2), ints)
