from __future__ import annotations

from typing import Any

import pytest

from cardrunner.errors import IntegrityError
from cardrunner.workloads.melee.encoding.scheme import EncoderRules, EncodingConfig, guess_configuration


def test_the_encoding_gives_the_known_numbers() -> None:
    config = EncodingConfig()
    assert (config.floats, config.ints, config.bytes_per_frame) == (56, 17, 360)
    assert (config.frame_width, config.embedding_parameters) == (196, 15080)
    names = ["action", "jumps", "character", "l_cancel", "hurtbox", "ground", "last_attack", "state_age", "stage"]
    assert [table.name for table in config.embeddings] == names


def test_a_file_that_stores_a_part_is_filled_from_its_widths() -> None:
    stored = EncodingConfig().model_dump(exclude={"projectiles", "state_flags", "hitstun"})
    assert EncodingConfig.from_file_dict(stored, floats=56, ints=17) == EncodingConfig()
    wide = EncodingConfig.from_file_dict(stored, floats=144, ints=17)
    assert (wide.projectiles, wide.state_flags, wide.hitstun, wide.bytes_per_frame) == (True, True, True, 712)
    narrow = EncodingConfig.from_file_dict({}, floats=58, ints=15)
    assert narrow.state_age_as_embed is False


def test_stored_switches_that_contradict_the_tensors_are_refused() -> None:
    stored = EncodingConfig(hitstun=True).model_dump()
    with pytest.raises(IntegrityError, match="gives 58 floats and 17 ints per frame, but the tensors have 56 and 17"):
        EncodingConfig.from_file_dict(stored, floats=56, ints=17)


@pytest.mark.parametrize(
    ("stored", "message"),
    [
        ({"xy_scale": "0.05"}, "encoding_config.xy_scale: Input should be a valid number"),
        ({"xy_scale": float("nan")}, "encoding_config.xy_scale: Input should be a finite number"),
        ({"action_vocab": 400.0}, "encoding_config.action_vocab: Input should be a valid integer"),
        ({"hitstun": 0}, "encoding_config.hitstun: Input should be a valid boolean"),
        ({"xy_scal": 0.05}, "encoding_config.xy_scal: Extra inputs are not permitted"),
    ],
)
def test_a_wrong_field_is_named(stored: dict[str, Any], message: str) -> None:
    with pytest.raises(IntegrityError) as caught:
        EncodingConfig.from_file_dict(stored, floats=56, ints=17)
    assert str(caught.value) == message


def test_widths_betray_the_configuration() -> None:
    assert guess_configuration(144, 17) == "projectiles, state_flags, hitstun on"
    assert guess_configuration(58, 15) == "no optional group on and state_age as a float"
    assert guess_configuration(57, 17) is None


def test_differences_name_both_values() -> None:
    assert EncodingConfig(xy_scale=0.1).differences(EncodingConfig()) == ("xy_scale: 0.1 against 0.05",)


def test_rules_survive_the_file_and_refuse_nonsense() -> None:
    rules = EncoderRules(source="slp", rollback="dropped")
    assert EncoderRules.from_file_dict(rules.model_dump()) == rules
    with pytest.raises(IntegrityError, match=r"^encoder_rules\.percent: Input should be 'truncated' or 'exact'"):
        EncoderRules.from_file_dict({"source": "slp", "percent": "rounded"})
    with pytest.raises(IntegrityError, match=r"^encoder_rules: "):
        EncoderRules.from_file_dict([1])
