"""The sizes of a model check themselves, and every preset says where its sizes come from."""

from __future__ import annotations

import dataclasses
import re

import numpy as np
import pytest

from ia3_lab.config import ALIASES, PRESETS, ModelConfig, check_number, get_preset, whole_number

SIZES = {"name": "toy", "d_model": 48, "d_ff": 100, "num_layers": 3, "num_heads": 6}

each_preset = pytest.mark.parametrize("config", PRESETS.values(), ids=lambda config: config.name)


def test_left_out_sizes_follow_from_the_others() -> None:
    config = ModelConfig(**SIZES)
    assert (config.num_kv_heads, config.d_head, config.d_attn, config.d_kv) == (6, 8, 48, 48)
    assert (config.num_blocks, config.num_attentions) == (3, 3)


def test_attention_may_be_wider_or_narrower_than_the_model() -> None:
    config = ModelConfig(**SIZES, d_head=20, num_kv_heads=2)
    assert (config.d_attn, config.d_kv) == (120, 40)


def test_d_model_need_not_divide_when_the_head_is_given() -> None:
    assert ModelConfig(**{**SIZES, "d_model": 50}, d_head=9).d_attn == 54
    with pytest.raises(ValueError, match=r"multiple of num_heads, got 50 and 6"):
        ModelConfig(**{**SIZES, "d_model": 50})


def test_a_decoder_beside_an_encoder_has_two_attentions_a_block() -> None:
    config = ModelConfig(**SIZES, num_decoder_layers=5)
    assert (config.num_blocks, config.num_attentions) == (8, 13)


def test_a_config_is_frozen_and_positional_arguments_are_refused() -> None:
    config = ModelConfig(**SIZES)
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.d_model = 64
    with pytest.raises(TypeError):
        ModelConfig("toy", 48, 100, 3, 6)


@pytest.mark.parametrize("field", ["d_model", "d_ff", "num_layers", "num_heads", "num_kv_heads", "d_head"])
@pytest.mark.parametrize("value", [0, -8])
def test_a_size_below_one_is_refused(field: str, value: int) -> None:
    with pytest.raises(ValueError, match=rf"{field} of 'toy' must be at least 1, got {value}"):
        ModelConfig(**{**SIZES, field: value})


@pytest.mark.parametrize("field", ["d_model", "num_layers", "num_decoder_layers", "base_parameters"])
@pytest.mark.parametrize("value", [48.0, "48", True, float("nan"), np.float64(48)])
def test_a_size_that_is_not_a_whole_number_is_refused(field: str, value: object) -> None:
    with pytest.raises(TypeError, match=rf"{field} of 'toy' must be a whole number, got {re.escape(repr(value))}"):
        ModelConfig(**{**SIZES, field: value})


def test_numpys_whole_numbers_are_taken_as_pythons() -> None:
    config = ModelConfig(**{**SIZES, "d_model": np.int64(48), "num_layers": np.uint8(3)})
    assert config == ModelConfig(**SIZES)
    assert type(config.d_model) is type(config.num_layers) is int


def test_a_number_comes_back_as_python_s_own() -> None:
    assert type(check_number(np.float32(0.5), "lr")) is type(check_number(2, "lr")) is float
    assert type(whole_number(np.int64(2), "k")) is int


def test_a_number_too_large_is_refused() -> None:
    assert whole_number(5, "seed", most=5) == 5
    with pytest.raises(ValueError, match="seed must be at most 5, got 6; pass a smaller one"):
        whole_number(6, "seed", most=5)
    with pytest.raises(ValueError, match="lr must be a finite number, got 1000"):
        check_number(10**400, "lr")


def test_replacing_a_width_keeps_the_head_unless_it_is_left_out_again() -> None:
    config = ModelConfig(**SIZES, base_parameters=10**6)
    assert dataclasses.replace(config, d_model=96).d_head == 8
    fresh = dataclasses.replace(config, d_model=96, d_head=None, num_kv_heads=None, base_parameters=None)
    assert fresh == ModelConfig(**{**SIZES, "d_model": 96})


def test_heads_must_share_key_heads_evenly() -> None:
    assert ModelConfig(**SIZES, num_kv_heads=3).d_kv == 24
    with pytest.raises(ValueError, match="multiple of num_kv_heads, got 6 and 4"):
        ModelConfig(**SIZES, num_kv_heads=4)


def test_gated_is_yes_or_no() -> None:
    with pytest.raises(TypeError, match="gated_ffn of 'toy' must be True or False, got 'swiglu'"):
        ModelConfig(**SIZES, gated_ffn="swiglu")


@each_preset
def test_a_preset_stands_under_its_own_name_with_a_source_and_a_size(config: ModelConfig) -> None:
    assert get_preset(config.name) is config
    assert re.search(r"^[A-Z]\w+ et al\. \d{4}[,:].*config\.json of [\w-]+/[\w.-]+", config.source)
    assert config.base_parameters > config.num_blocks * config.d_model * config.d_ff


@pytest.mark.parametrize("name", [name for name in PRESETS if re.match(r"llama-\d+b", name)])
def test_llama_rounds_two_thirds_of_4d_up_to_a_multiple_of_256(name: str) -> None:
    config = get_preset(name)
    assert config.d_ff == -(-8 * config.d_model // (3 * 256)) * 256
    assert get_preset("llama-3-8b").d_ff != -(-8 * 4096 // (3 * 256)) * 256


def test_presets_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        PRESETS["mine"] = get_preset("gpt2")


@pytest.mark.parametrize("alias", ALIASES)
def test_an_alias_leads_to_a_preset(alias: str) -> None:
    assert get_preset(alias) is PRESETS[ALIASES[alias]]
    assert alias not in PRESETS


@pytest.mark.parametrize(
    ("wrong", "near"), [("lama-7b", "llama-7b"), ("GPT2-XL", "gpt2-xl"), ("t0_3b", "t0-3b"), ("qwen", "qwen2-7b")]
)
def test_an_unknown_preset_suggests_the_nearest(wrong: str, near: str) -> None:
    with pytest.raises(ValueError, match=f"unknown preset '{wrong}'; did you mean '{near}'"):
        get_preset(wrong)


@pytest.mark.parametrize("name", ["###", None, 7, {}])
def test_a_name_near_nothing_lists_what_there_is(name: object) -> None:
    with pytest.raises(ValueError, match=rf"unknown preset {re.escape(repr(name))}\. The presets are gpt2, "):
        get_preset(name)
