"""Sizes fit together, presets have a source, and a config of transformers is read right or refused by name."""

import dataclasses
import re
import tomllib
from importlib import resources
from typing import Any

import pytest
import torch
from torch import nn
from transformers import AutoConfig, AutoModel

from ia3_lab.config import PRESETS, ModelConfig, get_preset
from ia3_lab.counting import count_ia3, count_matrices

SIZES = {"name": "toy", "d_model": 48, "d_ff": 100, "num_layers": 3, "num_heads": 6}
KNOWN = tomllib.loads(resources.files("ia3_lab").joinpath("data", "architectures.toml").read_text("utf8"))


def test_left_out_sizes_follow_from_the_others_and_sizes_that_count_nothing_or_do_not_divide_are_refused() -> None:
    config = ModelConfig(**SIZES, base_parameters=10**6)
    assert (config.num_kv_heads, config.d_head, config.d_attn, config.d_kv, config.num_blocks) == (6, 8, 48, 48, 3)
    assert dataclasses.replace(config, d_model=96).d_head == 8
    config = ModelConfig(**SIZES | {"d_model": 50}, d_head=20, num_kv_heads=2, num_decoder_layers=5)
    assert (config.d_attn, config.d_kv, config.num_blocks) == (120, 40, 8)
    for wrong, message in {
        ("d_ff", 0): "d_ff of 'toy' must be at least 1, got 0",
        ("num_decoder_layers", -4): "num_decoder_layers of 'toy' must be at least 0, got -4",
        ("d_model", 50): "num_heads of 'toy' must divide d_model, 50; change one, or pass d_head",
        ("num_kv_heads", 4): "num_kv_heads of 'toy', 4, must divide num_heads, 6",
    }.items():
        with pytest.raises(ValueError, match=message):
            ModelConfig(**SIZES | dict([wrong]))


def test_a_preset_stands_under_its_own_name_with_a_source_and_an_unknown_name_leads_to_the_nearest() -> None:
    for config in PRESETS.values():
        assert get_preset(config.name) is config
        assert re.search(r"^[A-Z]\w+ et al\. \d{4}[,:].*config\.json of [\w-]+/[\w.-]+", config.source), config.name
    for wrong, near in {"lama-7b": "llama-7b", "GPT2-XL": "gpt2-xl"}.items():
        with pytest.raises(ValueError, match=f"unknown preset '{wrong}'; did you mean '{near}'"):
            get_preset(wrong)
    with pytest.raises(ValueError, match=r"unknown preset '###'\. The presets are gpt2, "):
        get_preset("###")


#: Our sizes, unequal where a config lets them be.
CANONICAL = {"hidden_size": 48, "num_hidden_layers": 3, "num_attention_heads": 6}
OTHERS = {"num_decoder_layers": 2, "d_ff": 100, "num_kv_heads": 2, "d_head": 10}
BESIDE = {"decoder_ffn_dim": 100, "decoder_attention_heads": 6, "attention_types": [[["global"], 3]]}


def small(kind: str, **settings: Any) -> Any:
    """Return a config of a model type with our sizes, under whatever names it has for them."""
    known = vars(AutoConfig.for_model(kind))
    named = {name: value for size, value in OTHERS.items() for name in KNOWN["names"][size]} | BESIDE
    return AutoConfig.for_model(kind, **CANONICAL, **{n: v for n, v in named.items() if n in known}, **settings)


def block_weights(config: Any) -> int:
    """Build a model on the meta device and count the matrices inside its blocks."""
    with torch.device("meta"):
        modules = AutoModel.from_config(config).named_modules()
    linear = (m for name, m in modules if re.search(r"\.\d+\.", f".{name}.") and hasattr(m, "weight"))
    return sum(m.weight.numel() for m in linear if isinstance(m, nn.Linear) or type(m).__name__ == "Conv1D")


@pytest.mark.parametrize("kind", f"{KNOWN['gated']} {KNOWN['plain']} {KNOWN['either']}".split())
def test_the_sizes_read_off_a_config_are_those_of_the_model_that_it_builds(kind: str) -> None:
    config = small(kind)
    sizes = ModelConfig.from_hugging_face(config)
    assert (sizes.d_model, sizes.num_layers, sizes.num_heads) == (48, 3, 6)
    assert sizes.d_ff == (100 if any(n in vars(config) for n in KNOWN["names"]["d_ff"]) else 4 * 48)
    other = dataclasses.replace(sizes, gated_ffn=not sizes.gated_ffn)  # the control
    assert count_matrices(config) == count_matrices(sizes) == block_weights(config) != count_matrices(other)


def test_what_a_config_leaves_out_or_says_by_a_switch_is_read_as_the_model_reads_it() -> None:
    assert ModelConfig.from_hugging_face(AutoConfig.for_model("gpt2")).d_ff == 4 * 768
    for kind in ("falcon", "gpt_bigcode"):
        for shared in (True, False):
            config = ModelConfig.from_hugging_face(AutoConfig.for_model(kind, multi_query=shared))
            assert config.num_kv_heads == (1 if shared else config.num_heads)
    assert ModelConfig.from_hugging_face(small("falcon", new_decoder_architecture=True)).num_kv_heads == 2
    assert ModelConfig.from_hugging_face(small("t5", feed_forward_proj="gated-gelu")).gated_ffn
    assert ModelConfig.from_hugging_face(small("t5", is_encoder_decoder=False)).num_blocks == 3
    assert count_ia3(AutoConfig.for_model("qwen2_5_vl").get_text_config()).model == "qwen2_5_vl_text"


@pytest.mark.parametrize(
    ("kind", "settings", "feature"),
    [
        ("deepseek_v3", {}, r"experts \(.*n_routed_experts.*\) and multi-head latent attention \(kv_lora_rank"),
        ("gemma3n_text", {}, r"shared keys and values \(num_kv_shared_layers\)"),
        ("gemma4_text", {}, r"an embedding of its own for every layer \(.*_per_layer_input"),
        ("llama", {"per_layer_config": {1: {"intermediate_size": 7}}}, "layers that are not all alike"),
        ("falcon_h1", {}, r"state-space layers \(mamba_"),
        ("rwkv", {}, "recurrent layers"),
        ("qwen3_5_text", {}, "linear attention"),
        ("lfm3", {}, "layers of the kind conv"),
        ("albert", {}, "layers that share one set of weights"),
        ("llava", {}, r"several models in one \(pass the config of one: .*text_config"),
        ("bert", {"is_decoder": True, "add_cross_attention": True}, "one half of an encoder-decoder"),
        ("bart", {"decoder_ffn_dim": 7}, "an encoder and a decoder of different widths"),
    ],
)
def test_what_the_closed_forms_cannot_express_is_refused_by_name(kind: str, settings: dict, feature: str) -> None:
    with pytest.raises(ValueError, match=f"'{kind}' config speak of .*{feature}.*, which the closed"):
        count_ia3(AutoConfig.for_model(kind, **settings))


def test_an_unknown_type_says_what_to_pass_and_what_is_no_config_what_came() -> None:
    xlnet = AutoConfig.for_model("xlnet", d_inner=100)
    with pytest.raises(ValueError, match=r"type 'xlnet' are not known .*from_hugging_face\(config, gated_ffn"):
        count_ia3(xlnet)
    with pytest.raises(ValueError, match="'xlnet' config gives no d_ff that holds for all blocks"):
        ModelConfig.from_hugging_face(xlnet, gated_ffn=False)
    with pytest.raises(TypeError, match=r"expected a ModelConfig, .* got 'str'"):
        count_ia3("gpt2")
