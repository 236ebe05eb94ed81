"""ia3_lab equals PEFT: outputs, gradients of the vectors and merged weights, on five architectures."""

import copy

import pytest
import torch
from peft import IA3Config, get_peft_model
from random_tensors import gains, gap, randomized
from torch import Tensor, nn
from torch.testing import assert_close
from transformers import AutoConfig, AutoModel

from ia3_lab.attach import attach, merge

# PEFT asks transformers under a name that it is about to drop.
pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")

TOKENS = torch.tensor([[3, 1, 4, 1, 5, 9, 2], [2, 7, 1, 8, 2, 8, 0]])
PADDING = torch.tensor([[1, 1, 1, 1, 1, 1, 1], [1, 1, 1, 1, 1, 0, 0]])
SIZES = {"vocab_size": 11, "hidden_size": 12, "num_attention_heads": 3, "num_hidden_layers": 2}
GROUPED = {"num_attention_heads": 6, "num_key_value_heads": 2, "head_dim": 4, "attention_bias": True}
T5 = {"d_kv": 5, "d_ff": 20, "num_decoder_layers": 1}
#: model type -> its sizes, and which layers carry a vector on which side
CASES = {
    "distilbert": ({"hidden_dim": 20}, ["*.k_lin", "*.v_lin"], ["*.ffn.lin2"]),
    # BERT calls two layers of a block "output.dense"; the one after the hidden units stands directly in the block.
    "bert": ({"intermediate_size": 20}, ["*.self.key", "*.self.value"], ["*.layer.[0-9].output.dense"]),
    "gpt2, fused and Conv1D": ({"n_inner": 20}, ["*.c_attn"], ["*.mlp.c_proj"]),
    "llama, grouped queries": (GROUPED | {"intermediate_size": 20}, ["*.k_proj", "*.v_proj"], ["*.down_proj"]),
    "t5, version 1.0": (T5 | {"feed_forward_proj": "relu"}, ["*.k", "*.v"], ["*.wo"]),
    "t5, version 1.1, gated": (T5 | {"feed_forward_proj": "gated-gelu"}, ["*.k", "*.v"], ["*.wo"]),
}


def build(case: str) -> tuple[nn.Module, nn.Module, nn.Module, dict[str, tuple[Tensor, Tensor]]]:
    """Return a base, the same with the same vectors under ia3_lab and under PEFT, and these vectors in pairs."""
    sizes, outputs, inputs = CASES[case]
    config = AutoConfig.for_model(case.split(",")[0], **SIZES | sizes)
    base = randomized(AutoModel.from_config(config), size=0.3)
    ours = copy.deepcopy(base)
    wrappers = attach(ours, output=outputs, input=inputs)
    on_input = [name for name, wrapper in wrappers.items() if wrapper.side == "input"]
    fused = config.model_type == "gpt2"
    ia3 = IA3Config(target_modules=list(wrappers), feedforward_modules=on_input, fan_in_fan_out=fused)
    peft = get_peft_model(copy.deepcopy(base), ia3).double().eval()
    vectors = {}
    for index, (name, wrapper) in enumerate(wrappers.items()):
        theirs = peft.base_model.model.get_submodule(name).ia3_l["default"]
        wrapper.l.data = gains(len(wrapper.l), seed=index)
        theirs.data = wrapper.l.data.clone().view_as(theirs)
        vectors[name] = (wrapper.l, theirs)
    assert len(vectors) == sum("ia3_l" in name for name, _ in peft.named_parameters())
    return base, ours, peft, vectors


def output(model: nn.Module) -> Tensor:
    decoder = {"decoder_input_ids": TOKENS[:, :4]} if model.config.is_encoder_decoder else {}
    return model(input_ids=TOKENS, attention_mask=PADDING, **decoder).last_hidden_state


@pytest.mark.parametrize("case", CASES)
def test_outputs_gradients_and_merged_weights_are_equal_and_not_those_of_the_base(case: str) -> None:
    base, attached, peft, vectors = build(case)
    weights = torch.linspace(-1, 1, 12, dtype=torch.float64)
    ours, theirs = output(attached), output(peft)
    assert_close(ours, theirs)
    assert gap(ours, output(base)) > 0.05
    for out in (ours, theirs):
        (out * weights).sum().backward()
    for one, other in vectors.values():
        assert_close(one.grad, other.grad.flatten())
        assert one.grad.abs().max() > 1e-6
    merged, merged_by_peft = merge(attached), peft.merge_and_unload().state_dict()
    assert_close(output(merged), ours)
    assert merged.state_dict().keys() == merged_by_peft.keys() == base.state_dict().keys()
    for name, tensor in merged.state_dict().items():
        assert_close(tensor, merged_by_peft[name])
    for name in vectors:
        assert not torch.allclose(merged.get_submodule(name).weight, base.get_submodule(name).weight)
