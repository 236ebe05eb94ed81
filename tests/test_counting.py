"""Closed forms equal a count tensor by tensor, on models that transformers and PEFT build."""

import math
from typing import Any

import pytest
import torch
from peft import IA3Config, LoraConfig, PeftConfig, get_peft_model
from transformers import AutoConfig, AutoModel

from ia3_lab.config import ModelConfig, get_preset
from ia3_lab.counting import MATRICES, VECTORS, compare, count_ia3, count_lora

#: PEFT calls a name that transformers 5 has renamed.
pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")

TOY = ModelConfig(name="toy", d_model=8, d_ff=20, num_layers=1, num_heads=2)

#: model type -> how its layers end, in the order of MATRICES; BERT calls three different layers dense
LAYERS = {
    "llama": "q_proj k_proj v_proj o_proj up_proj gate_proj down_proj",
    "t5": "q k v o wi_1 wi_0 wo",
    "opt": "q_proj k_proj v_proj out_proj fc1 - fc2",
    "distilbert": "q_lin k_lin v_lin out_lin lin1 - lin2",
    "bert": r"self.query self.key self.value attention.output.dense intermediate.dense - \d+.output.dense",
}
MORE = {
    "llama": {"num_key_value_heads": 8, "head_dim": 40},  # its heads together are not as wide as the model
    "t5": {"feed_forward_proj": "gated-gelu", "num_decoder_layers": 2, "d_kv": 40},
}


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
    for vectors in ([*VECTORS], ["l_k"], ["l_v"], ["l_ff"]):
        roles = [{"l_k": "W_k", "l_v": "W_v", "l_ff": "W_2"}[vector] for vector in vectors]
        assert trained(IA3Config, *roles, feedforward_modules=path("W_2")) == count_ia3(config, vectors).total, vectors
    for roles in ([*ends], *([role] for role in ends)):
        assert trained(LoraConfig, *roles, r=5) == count_lora(config, 5, roles).total, roles


def test_a_comparison_has_a_row_for_each_model_and_rank_and_no_share_of_an_unknown_base() -> None:
    table = compare((get_preset(name) for name in ("gpt2", "llama-7b")), (rank for rank in (1, 8)))
    assert table[["model", "rank"]].values.tolist() == [["gpt2", 1], ["gpt2", 8], ["llama-7b", 1], ["llama-7b", 8]]
    assert table["LoRA / IA3"].round(2).tolist() == [2.33, 18.67, 2.43, 19.41]
    llama, unknown = count_lora(get_preset("llama-7b"), 8), compare([TOY], [1], "W_q").iloc[0]
    assert table.iloc[3][["LoRA", "LoRA / base"]].tolist() == [llama.total, llama.total / llama.base_parameters]
    assert [row.role for row in count_lora(TOY, 1, ["W_2", "W_q", "W_2"]).rows] == ["W_q", "W_2"]
    assert math.isnan(unknown["IA3 / base"]) and unknown["LoRA"] == count_lora(TOY, 1, ["W_q"]).total


def test_a_choice_that_would_count_nothing_or_what_is_not_there_is_refused() -> None:
    gpt2 = get_preset("gpt2")
    with pytest.raises(ValueError, match=r"expected some of l_k, l_v, l_ff, got \['l_q'\]"):
        count_ia3(gpt2, ["l_q"])
    with pytest.raises(ValueError, match="rank must be at least 1, got -2"):
        count_lora(gpt2, -2)
    with pytest.raises(ValueError, match="'gpt2' has no W_gate"):
        count_lora(gpt2, 1, ["W_gate"])
