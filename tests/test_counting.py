"""Closed forms equal a count tensor by tensor: over random sizes, and on models that transformers and PEFT build."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from ia3_lab.config import PRESETS, ModelConfig, get_preset
from ia3_lab.counting import (
    MATRICES,
    SAME_PLACES,
    VECTORS,
    break_even_rank,
    count_ia3,
    count_lora,
    count_matrices,
    matrix_shape,
    rank_table,
    ratio_table,
)

#: PEFT calls a name that transformers 5 has renamed.
pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")

# --- against layers built one by one -------------------------------------------------------------------------------


@st.composite
def configs(draw: Any) -> ModelConfig:
    """Draw sizes with unequal widths: d_attn, d_kv, d_model and d_ff differ more often than not."""
    num_kv_heads = draw(st.integers(1, 4))
    return ModelConfig(
        name="random",
        d_model=draw(st.integers(1, 97)),
        d_ff=draw(st.integers(1, 211)),
        num_layers=draw(st.integers(1, 5)),
        num_heads=num_kv_heads * draw(st.integers(1, 4)),
        num_kv_heads=num_kv_heads,
        d_head=draw(st.integers(1, 13)),
        num_decoder_layers=draw(st.integers(0, 4)),
        gated_ffn=draw(st.booleans()),
        base_parameters=draw(st.none() | st.integers(1, 10**9)),
    )


def attention_layers(config: ModelConfig) -> dict[str, nn.Linear]:
    query, key = config.num_heads * config.d_head, config.num_kv_heads * config.d_head
    return {
        "W_q": nn.Linear(config.d_model, query, device="meta"),
        "W_k": nn.Linear(config.d_model, key, device="meta"),
        "W_v": nn.Linear(config.d_model, key, device="meta"),
        "W_o": nn.Linear(query, config.d_model, device="meta"),
    }


def feed_forward_layers(config: ModelConfig) -> dict[str, nn.Linear]:
    layers = {
        "W_1": nn.Linear(config.d_model, config.d_ff, device="meta"),
        "W_2": nn.Linear(config.d_ff, config.d_model, device="meta"),
    }
    return layers | ({"W_gate": nn.Linear(config.d_model, config.d_ff, device="meta")} if config.gated_ffn else {})


def sublayers(config: ModelConfig) -> Iterator[dict[str, nn.Linear]]:
    """Yield every attention and every feed-forward layer of the model, on the meta device."""
    for _ in range(config.num_layers):
        yield attention_layers(config)
        yield feed_forward_layers(config)
    for _ in range(config.num_decoder_layers):
        yield attention_layers(config)
        yield attention_layers(config)
        yield feed_forward_layers(config)


def vectors_beside(layer: dict[str, nn.Linear]) -> dict[str, nn.Parameter]:
    """Return the vectors that fit a sublayer: as long as the keys, the values, the hidden units."""
    widths = {"l_k": ("W_k", 0), "l_v": ("W_v", 0), "l_ff": ("W_2", 1)}
    return {
        name: nn.Parameter(torch.empty(layer[role].weight.shape[axis], device="meta"))
        for name, (role, axis) in widths.items()
        if role in layer
    }


def low_rank_pair(weight: torch.Tensor, rank: int) -> tuple[nn.Parameter, nn.Parameter]:
    out_width, in_width = weight.shape
    shapes = (rank, in_width), (out_width, rank)
    return tuple(nn.Parameter(torch.empty(shape, device="meta")) for shape in shapes)


@given(config=configs(), vectors=st.sets(st.sampled_from(VECTORS), min_size=1))
def test_ia3_closed_form_equals_the_sum_over_vectors(config: ModelConfig, vectors: set[str]) -> None:
    counted = sum(
        parameter.numel()
        for layer in sublayers(config)
        for name, parameter in vectors_beside(layer).items()
        if name in vectors
    )
    assert count_ia3(config, vectors).total == counted


@given(config=configs(), rank=st.integers(1, 70), data=st.data())
def test_lora_closed_form_equals_the_sum_over_factors(config: ModelConfig, rank: int, data: Any) -> None:
    known = [role for role in MATRICES if role != "W_gate" or config.gated_ffn]
    targets = data.draw(st.sets(st.sampled_from(known), min_size=1))
    counted = sum(
        factor.numel()
        for layer in sublayers(config)
        for role, linear in layer.items()
        if role in targets
        for factor in low_rank_pair(linear.weight, rank)
    )
    assert count_lora(config, rank, targets).total == counted


@given(config=configs())
def test_matrices_are_all_weights_of_all_blocks(config: ModelConfig) -> None:
    assert count_matrices(config) == sum(
        linear.weight.numel() for layer in sublayers(config) for linear in layer.values()
    )


@given(config=configs(), rank=st.integers(2, 64))
def test_lora_is_proportional_to_its_rank(config: ModelConfig, rank: int) -> None:
    assert count_lora(config, rank).total == rank * count_lora(config, 1).total
    ratio = count_lora(config, rank).total / count_ia3(config).total
    assert ratio == pytest.approx(rank / break_even_rank(config))


@given(config=configs())
def test_rows_add_up_and_the_share_is_of_the_base_model(config: ModelConfig) -> None:
    for count in (count_ia3(config), count_lora(config, 3, ("W_q", "W_2"))):
        assert sum(row.each * row.instances for row in count.rows) == count.total
        expected = None if config.base_parameters is None else count.total / config.base_parameters
        assert count.share_of_base == expected
        if not config.num_decoder_layers:
            assert count.per_layer * config.num_layers == count.total


@settings(max_examples=15)
@given(num_heads=st.sampled_from([2, 4]), width=st.integers(2, 9), d_ff=st.integers(3, 40), gated=st.booleans())
def test_the_library_block_has_the_counted_parameters(num_heads: int, width: int, d_ff: int, gated: bool) -> None:
    from ia3_lab import lora
    from ia3_lab.ia3 import IA3TransformerBlock
    from ia3_lab.transformer import TransformerBlock

    config = ModelConfig(
        name="block",
        d_model=num_heads * width,
        d_ff=d_ff,
        num_layers=1,
        num_heads=num_heads,
        num_kv_heads=2,
        gated_ffn=gated,
    )
    sizes, options = (config.d_model, num_heads, d_ff), {"num_kv_heads": 2, "gated": gated}
    block = IA3TransformerBlock(*sizes, **options)
    assert sum(parameter.numel() for parameter in block.ia3_parameters().values()) == count_ia3(config).total
    plain = TransformerBlock(*sizes, **options)
    lora.attach(plain, ["*.W_k", "*.W_v", "*.W_1", "*.W_2"], rank=3)
    counted = sum(parameter.numel() for parameter in lora.lora_parameters(plain).values())
    assert counted == count_lora(config, 3).total


@pytest.mark.parametrize("d_model", [64, 768, 4096])
def test_one_classic_layer_is_6d_for_ia3_and_14dr_for_lora(d_model: int) -> None:
    config = ModelConfig(name="classic", d_model=d_model, d_ff=4 * d_model, num_layers=1, num_heads=8)
    assert count_ia3(config).per_layer == 6 * d_model
    assert count_lora(config, 8).per_layer == 14 * d_model * 8
    wider = ModelConfig(name="wide", d_model=d_model, d_ff=3 * d_model, num_layers=1, num_heads=8)
    assert count_ia3(wider).per_layer == 5 * d_model


# --- against the models themselves ---------------------------------------------------------------------------------


@cache
def recipe(name: str) -> tuple[str, str, dict[str, Any]]:
    """Return the names of a preset's model and config class in transformers, and the sizes to build it with."""
    config, kind = get_preset(name), name.split("-")[0]
    if kind == "gpt2":
        return (
            "GPT2LMHeadModel",
            "GPT2Config",
            {
                "n_embd": config.d_model,
                "n_inner": config.d_ff,
                "n_layer": config.num_layers,
                "n_head": config.num_heads,
            },
        )
    if kind == "t0":
        return (
            "T5ForConditionalGeneration",
            "T5Config",
            {
                "d_model": config.d_model,
                "d_ff": config.d_ff,
                "d_kv": config.d_head,
                "num_heads": config.num_heads,
                "num_layers": config.num_layers,
                "num_decoder_layers": config.num_decoder_layers,
                "feed_forward_proj": "gated-gelu",
            },
        )
    if kind == "distilbert":
        return (
            "DistilBertModel",
            "DistilBertConfig",
            {
                "dim": config.d_model,
                "hidden_dim": config.d_ff,
                "n_layers": config.num_layers,
                "n_heads": config.num_heads,
            },
        )
    sizes = {
        "hidden_size": config.d_model,
        "num_hidden_layers": config.num_layers,
        "num_attention_heads": config.num_heads,
    }
    if kind == "bert":
        return "BertModel", "BertConfig", sizes | {"intermediate_size": config.d_ff}
    if kind == "opt":
        sizes |= {"ffn_dim": config.d_ff, "word_embed_proj_dim": config.d_model}
        return "OPTForCausalLM", "OPTConfig", sizes
    sizes |= {"intermediate_size": config.d_ff, "num_key_value_heads": config.num_kv_heads}
    vocabulary = {"llama-3-8b": 128_256, "qwen2-7b": 152_064}.get(name, 32_000)
    family = {"llama": "Llama", "mistral": "Mistral", "qwen2": "Qwen2"}[kind]
    sizes |= {"vocab_size": vocabulary, "tie_word_embeddings": False}
    return f"{family}ForCausalLM", f"{family}Config", sizes


def build(name: str) -> nn.Module:
    """Return a preset's model with shapes and no numbers."""
    import transformers

    model_class, config_class, sizes = recipe(name)
    with torch.device("meta"):
        return getattr(transformers, model_class)(getattr(transformers, config_class)(**sizes))


def trainable(model: nn.Module, peft_config: Any) -> int:
    """Wrap a model with PEFT and count what PEFT would train."""
    from peft import get_peft_model

    with torch.device("meta"):
        wrapped = get_peft_model(model, peft_config)
    return sum(parameter.numel() for parameter in wrapped.parameters() if parameter.requires_grad)


LLAMA = {"W_q": "q_proj", "W_k": "k_proj", "W_v": "v_proj", "W_o": "o_proj"} | {
    "W_1": "up_proj",
    "W_gate": "gate_proj",
    "W_2": "down_proj",
}
NAMES = {
    "llama": LLAMA,
    "mistral": LLAMA,
    "qwen2": LLAMA,
    "t0": {"W_q": "q", "W_k": "k", "W_v": "v", "W_o": "o", "W_1": "wi_1", "W_gate": "wi_0", "W_2": "wo"},
    "opt": {"W_q": "q_proj", "W_k": "k_proj", "W_v": "v_proj", "W_o": "out_proj", "W_1": "fc1", "W_2": "fc2"},
    "distilbert": {"W_q": "q_lin", "W_k": "k_lin", "W_v": "v_lin", "W_o": "out_lin", "W_1": "lin1", "W_2": "lin2"},
    # BERT calls two different layers output.dense, and a third one dense: only full paths tell them apart.
    "bert": {
        "W_q": r".*\.self\.query",
        "W_k": r".*\.self\.key",
        "W_v": r".*\.self\.value",
        "W_o": r".*\.attention\.output\.dense",
        "W_1": r".*\.intermediate\.dense",
        "W_2": r".*\.\d+\.output\.dense",
    },
}
WRAPPED = ["llama-7b", "llama-3-8b", "mistral-7b", "qwen2-7b", "t0-3b", "opt-13b", "bert-base", "distilbert"]


def peft_targets(name: str, roles: tuple[str, ...]) -> list[str] | str:
    """Return PEFT's way of naming the layers of some roles."""
    names = NAMES[name.split("-")[0]]
    chosen = [names[role] for role in roles]
    return "|".join(chosen) if name == "bert-base" else chosen


def trained_beside(model: nn.Module, targets: list[str] | str) -> int:
    """Count what PEFT trains beside the layers of one name or one pattern."""
    pattern = targets if isinstance(targets, str) else rf".*\.{targets[0]}"
    return sum(
        parameter.numel()
        for name, parameter in model.named_parameters()
        if parameter.requires_grad and re.fullmatch(pattern, name.partition(".lora_")[0])
    )


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_has_the_base_parameters_of_the_model_that_transformers_builds(name: str) -> None:
    assert sum(parameter.numel() for parameter in build(name).parameters()) == get_preset(name).base_parameters


@pytest.mark.parametrize("name", WRAPPED)
def test_ia3_closed_form_equals_what_peft_trains(name: str) -> None:
    from peft import IA3Config

    targets, inner = peft_targets(name, ("W_k", "W_v", "W_2")), peft_targets(name, ("W_2",))
    config = IA3Config(target_modules=targets, feedforward_modules=inner)
    assert trainable(build(name), config) == count_ia3(get_preset(name)).total


@pytest.mark.parametrize("name", WRAPPED)
def test_lora_closed_form_equals_what_peft_trains_matrix_by_matrix(name: str) -> None:
    from peft import LoraConfig

    config = get_preset(name)
    roles = tuple(role for role in MATRICES if role != "W_gate" or config.gated_ffn)
    model = build(name)
    total = trainable(model, LoraConfig(r=5, target_modules=peft_targets(name, roles)))
    assert total == count_lora(config, 5, roles).total
    for role in roles:
        assert trained_beside(model, peft_targets(name, (role,))) == count_lora(config, 5, [role]).total


@pytest.mark.parametrize("targets", [SAME_PLACES, ("W_q", "W_v")], ids="-".join)
def test_peft_trains_the_chosen_matrices_and_no_others(targets: tuple[str, ...]) -> None:
    from peft import LoraConfig

    peft_config = LoraConfig(r=8, target_modules=peft_targets("llama-3-8b", targets))
    assert trainable(build("llama-3-8b"), peft_config) == count_lora(get_preset("llama-3-8b"), 8, targets).total


def test_gpt2_in_peft_scales_queries_too_because_its_three_matrices_are_one() -> None:
    from peft import IA3Config, LoraConfig

    gpt2 = get_preset("gpt2")
    ia3 = IA3Config(target_modules=["c_attn", r"mlp.c_proj"], feedforward_modules=["mlp.c_proj"], fan_in_fan_out=True)
    queries = gpt2.num_layers * gpt2.d_attn
    assert trainable(build("gpt2"), ia3) == count_ia3(gpt2).total + queries == 64_512
    lora = LoraConfig(r=8, target_modules=["c_fc", "mlp.c_proj"], fan_in_fan_out=True)
    assert trainable(build("gpt2"), lora) == count_lora(gpt2, 8, ("W_1", "W_2")).total


# --- published numbers, as a regression ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "ia3", "lora"),
    [("llama-7b", 614_400, 11_927_552), ("gpt2", 55_296, 1_032_192)],
)
def test_the_headline_numbers(name: str, ia3: int, lora: int) -> None:
    assert (count_ia3(get_preset(name)).total, count_lora(get_preset(name), 8).total) == (ia3, lora)


@pytest.mark.parametrize(
    ("name", "ia3"),
    [
        ("t0-3b", 540_672),
        ("t0-11b", 1_081_344),
        ("llama-3-8b", 524_288),
        ("mistral-7b", 524_288),
        ("llama-13b", 962_560),
        ("llama-30b", 1_873_920),
        ("llama-65b", 3_072_000),
        ("opt-13b", 1_228_800),
        ("qwen2-7b", 559_104),
    ],
)
def test_known_ia3_totals(name: str, ia3: int) -> None:
    assert count_ia3(get_preset(name)).total == ia3


def test_lora_on_queries_and_values_at_rank_1_is_the_smaller_one_and_at_rank_2_is_not() -> None:
    llama, targets = get_preset("llama-7b"), ("W_q", "W_v")
    assert count_lora(llama, 1, targets).total == 524_288 < count_ia3(llama).total < count_lora(llama, 2, targets).total
    assert 1 < break_even_rank(llama, targets) < 2
    assert break_even_rank(llama) < 1


# --- bytes, tables, mistakes ---------------------------------------------------------------------------------------


def test_bytes_are_parameters_times_width_and_a_gigabyte_is_decimal() -> None:
    count = count_ia3(get_preset("llama-7b"))
    assert count.bytes() == 4 * 614_400
    assert count.bytes("bfloat16") == count.bytes("float16") == 2 * 614_400
    assert count.adapters_per_gigabyte() == 406
    assert (count.adapters_per_gigabyte() + 1) * count.bytes() > 10**9 != 2**30


def test_a_count_prints_as_an_aligned_table_with_its_total() -> None:
    lines = str(count_ia3(get_preset("t0-3b"))).splitlines()
    assert lines[0] == "IA3 on t0-3b: 540,672 parameters, 0.0194% of the base model"
    assert [line.split()[0] for line in lines[3:]] == ["l_k", "l_k", "l_v", "l_v", "l_ff", "total"]
    assert {len(line) for line in lines[1:]} == {len(lines[2])}
    assert lines[-1].endswith(" 540,672")


def test_a_count_without_a_base_model_prints_no_share() -> None:
    toy = ModelConfig(name="toy", d_model=8, d_ff=20, num_layers=1, num_heads=2)
    assert str(count_ia3(toy)).splitlines()[0] == "IA3 on toy: 36 parameters"
    assert " - " in str(ratio_table([toy], rank=1))


def test_tables_have_a_row_for_each_model_and_each_rank() -> None:
    table = ratio_table([get_preset("gpt2"), get_preset("llama-7b")], rank=8)
    assert [row.model for row in table] == ["gpt2", "llama-7b"]
    assert [round(row.ratio, 2) for row in table] == [18.67, 19.41]
    ranks = rank_table(get_preset("llama-7b"), [1, 16, 64], ("W_q",))
    assert [row.rank for row in ranks] == [1, 16, 64]
    assert len(ranks) == 3
    lines = str(ranks).splitlines()
    assert lines[0] == "LoRA on W_q"
    assert len({len(line) for line in lines[1:]}) == 1


def test_roles_are_counted_once_in_their_usual_order() -> None:
    config = get_preset("llama-7b")
    assert [row.role for row in count_lora(config, 1, ["W_2", "W_q", "W_2"]).rows] == ["W_q", "W_2"]
    assert count_ia3(config, "l_k") == count_ia3(config, ["l_k", "l_k"])


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda c: count_ia3(c, ["l_q"]), "unknown vector 'l_q'; expected one of l_k, l_v, l_ff"),
        (lambda c: count_ia3(c, []), "at least one vector, got none"),
        (lambda c: count_lora(c, 0), "rank must be at least 1, got 0"),
        (lambda c: count_lora(c, -2), "rank must be at least 1, got -2"),
        (lambda c: count_lora(c, 1, ["q_proj"]), "unknown target 'q_proj'; expected one of W_q"),
        (lambda c: count_lora(c, 1, ()), "at least one target, got none"),
        (lambda c: count_lora(c, 1, ["W_gate"]), "'gpt2' has no W_gate"),
        (lambda c: matrix_shape(c, "W_x"), "unknown matrix 'W_x'"),
        (lambda c: matrix_shape(c, "W_gate"), "'gpt2' has no W_gate"),
        (lambda c: count_ia3(c).bytes(["float32"]), "unknown dtype .'float32'.; expected one of float64"),
        (lambda c: ratio_table([], 8), "at least one model, got none"),
        (lambda c: rank_table(c, []), "at least one rank, got none"),
        (lambda c: count_ia3(c).bytes("int4"), "unknown dtype 'int4'; expected one of float64"),
    ],
)
def test_a_wrong_choice_is_refused_with_what_was_expected(call: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        call(get_preset("gpt2"))


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda c: count_ia3("gpt2"), r"expected a ModelConfig, got 'gpt2'; make one, or use get_preset\(name\)"),
        (lambda c: count_lora(None, 8), "expected a ModelConfig, got None"),
        (lambda c: count_matrices("gpt2"), "expected a ModelConfig, got 'gpt2'"),
        (lambda c: ratio_table(["gpt2"], 8), "expected a ModelConfig, got 'gpt2'"),
        (lambda c: ratio_table(c, 8), "a list of one model or more, got ModelConfig"),
        (lambda c: rank_table(c, 8), "a list of one rank or more, got 8"),
        (lambda c: count_lora(c, 8, None), "a list of one target or more, got None"),
        (lambda c: count_ia3(c, 3), "a list of one vector or more, got 3"),
    ],
)
def test_the_wrong_kind_of_thing_is_refused_with_what_was_expected(call: Any, says: str) -> None:
    with pytest.raises(TypeError, match=says):
        call(get_preset("gpt2"))


def test_a_single_name_a_generator_and_numpys_numbers_do_as_well_as_lists() -> None:
    models = [get_preset("gpt2"), get_preset("llama-7b")]
    listed = str(ratio_table(models, 8, ["W_q", "W_v"]))
    assert str(ratio_table((model for model in models), 8, (role for role in ("W_v", "W_q")))) == listed
    assert str(ratio_table(models, 8, "W_q")) == str(ratio_table(models, 8, ["W_q"]))
    assert str(rank_table(models[0], np.arange(1, 4))) == str(rank_table(models[0], [1, 2, 3]))


@pytest.mark.parametrize("rank", [8.0, "8", True])
def test_a_rank_that_is_not_a_whole_number_is_refused(rank: object) -> None:
    with pytest.raises(TypeError, match="rank must be a whole number"):
        count_lora(get_preset("gpt2"), rank)
