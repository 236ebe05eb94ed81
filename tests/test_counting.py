"""Closed forms equal a count tensor by tensor: over random sizes, and on models that transformers and PEFT build."""

import math
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from peft import IA3Config, LoraConfig, PeftConfig, get_peft_model
from torch import nn
from transformers import AutoConfig, AutoModel

from ia3_lab import attach
from ia3_lab.config import ModelConfig, get_preset
from ia3_lab.counting import MATRICES, VECTORS, break_even_rank, compare, count_ia3, count_lora, count_matrices
from ia3_lab.ia3 import IA3TransformerBlock

#: PEFT calls a name that transformers 5 has renamed.
pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")

TOY = ModelConfig(name="toy", d_model=8, d_ff=20, num_layers=1, num_heads=2)


@st.composite
def configs(draw: Any) -> ModelConfig:
    """Draw sizes with unequal widths: d_attn, d_kv, d_model and d_ff differ more often than not."""
    largest = {"d_model": 97, "d_ff": 211, "num_layers": 3, "num_kv_heads": 4, "d_head": 13}
    sizes = {name: draw(st.integers(1, most)) for name, most in largest.items()}
    return ModelConfig(
        name="random",
        num_heads=sizes["num_kv_heads"] * draw(st.integers(1, 4)),
        num_decoder_layers=draw(st.integers(0, 2)),
        gated_ffn=draw(st.booleans()),
        base_parameters=draw(st.none() | st.integers(1, 10**9)),
        **sizes,
    )


def matrices_of(config: ModelConfig) -> list[str]:
    return [role for role in MATRICES if role != "W_gate" or config.gated_ffn]


def blocks(config: ModelConfig) -> nn.Module:
    """Return a model's blocks as the library builds them, with vectors, without numbers."""
    sizes = {name: getattr(config, name) for name in ("d_model", "num_heads", "d_ff", "num_kv_heads", "d_head")}
    sizes["gated"] = config.gated_ffn
    crosses = [False] * config.num_layers + [True] * config.num_decoder_layers
    with torch.device("meta"):
        return nn.ModuleList(IA3TransformerBlock(**sizes, cross_attention=cross) for cross in crosses)


@given(config=configs(), rank=st.integers(1, 70), data=st.data())
def test_closed_forms_equal_the_sums_over_the_library_blocks(config: ModelConfig, rank: int, data: Any) -> None:
    ia3, lora = count_ia3(config), count_lora(config, rank)
    for count in (ia3, lora):
        assert sum(row.each * row.instances for row in count.rows) == count.total
    assert lora.total / ia3.total == pytest.approx(rank / break_even_rank(config))
    vectors = data.draw(st.sets(st.sampled_from([*VECTORS]), min_size=1))
    targets = data.draw(st.sets(st.sampled_from(matrices_of(config)), min_size=1))
    model = blocks(config)
    lengths = [len(p) for name, p in model.named_parameters() if name.rpartition(".")[2] in vectors]
    assert count_ia3(config, vectors).total == sum(lengths)
    assert count_matrices(config) == sum(m.weight.numel() for m in model.modules() if isinstance(m, nn.Linear))
    attach.attach_lora(model, [f"*.{role}" for role in targets], rank=rank)
    assert count_lora(config, rank, targets).total == sum(p.numel() for p in attach.adapter_parameters(model).values())


#: model type -> how its layers end, in the order of MATRICES; BERT calls three different layers dense
LAYERS = {
    "llama": "q_proj k_proj v_proj o_proj up_proj gate_proj down_proj",
    "t5": "q k v o wi_1 wi_0 wo",
    "opt": "q_proj k_proj v_proj out_proj fc1 - fc2",
    "distilbert": "q_lin k_lin v_lin out_lin lin1 - lin2",
    "bert": r"self.query self.key self.value attention.output.dense intermediate.dense - \d+.output.dense",
}
MORE = {"llama": {"num_key_value_heads": 8}, "t5": {"feed_forward_proj": "gated-gelu", "num_decoder_layers": 2}}


@pytest.mark.parametrize("kind", LAYERS)
def test_closed_forms_equal_what_peft_trains_matrix_by_matrix_as_chapter_4_shows_for_all_presets(kind: str) -> None:
    def trained(adapter: type[PeftConfig], *roles: str, **settings: Any) -> int:
        with torch.device("meta"):
            model = get_peft_model(AutoModel.from_config(config), adapter(target_modules=path(*roles), **settings))
        return sum(p.numel() for p in model.parameters() if p.requires_grad)

    def path(*roles: str) -> str:
        return rf".*\.({'|'.join(ends[role] for role in roles)})"

    config = AutoConfig.for_model(kind, num_hidden_layers=3, **MORE.get(kind, {}))
    ends = {role: end for role, end in zip(MATRICES, LAYERS[kind].split(), strict=True) if end != "-"}
    ia3 = trained(IA3Config, "W_k", "W_v", "W_2", feedforward_modules=path("W_2"))
    assert ia3 == count_ia3(config).total
    for roles in ([*ends], *([role] for role in ends)):
        assert trained(LoraConfig, *roles, r=5) == count_lora(config, 5, roles).total, roles


def test_known_totals_in_numbers_and_in_bytes_and_in_roles_without_the_ones_named_twice() -> None:
    ia3 = {"gpt2": 55_296, "llama-7b": 614_400, "t0-3b": 540_672, "t0-11b": 1_081_344, "llama-3-8b": 524_288}
    assert {name: count_ia3(get_preset(name)).total for name in ia3} == ia3
    llama = get_preset("llama-7b")
    assert count_ia3(llama).bytes() == 2 * count_ia3(llama).bytes("bfloat16") == 4 * ia3["llama-7b"]
    assert [row.role for row in count_lora(llama, 1, ["W_2", "W_q", "W_2"]).rows] == ["W_q", "W_2"]
    assert break_even_rank(llama) < 1 < break_even_rank(llama, ("W_q", "W_v")) < 2


def test_a_comparison_has_a_row_for_each_model_and_rank_and_no_share_of_an_unknown_base() -> None:
    table = compare((get_preset(name) for name in ("gpt2", "llama-7b")), (rank for rank in (1, 8)))
    assert table[["model", "rank"]].values.tolist() == [["gpt2", 1], ["gpt2", 8], ["llama-7b", 1], ["llama-7b", 8]]
    assert table["LoRA / IA3"].round(2).tolist() == [2.33, 18.67, 2.43, 19.41]
    llama, unknown = count_lora(get_preset("llama-7b"), 8), compare([TOY], [1], "W_q").iloc[0]
    assert table.iloc[3][["LoRA", "LoRA / base"]].tolist() == [llama.total, llama.total / llama.base_parameters]
    assert math.isnan(unknown["IA3 / base"]) and unknown["LoRA"] == count_lora(TOY, 1, ["W_q"]).total


def test_a_choice_that_would_count_nothing_or_what_is_not_there_is_refused() -> None:
    gpt2 = get_preset("gpt2")
    with pytest.raises(ValueError, match=r"expected some of l_k, l_v, l_ff, got \['l_q'\]"):
        count_ia3(gpt2, ["l_q"])
    with pytest.raises(ValueError, match="rank must be at least 1, got -2"):
        count_lora(gpt2, -2)
    with pytest.raises(ValueError, match="'gpt2' has no W_gate"):
        count_lora(gpt2, 1, ["W_gate"])
