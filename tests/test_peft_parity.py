"""ia3_lab equals PEFT: outputs, gradients of the vectors and merged weights, on five architectures."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch
import transformers
from peft import IA3Config, get_peft_model
from torch import Tensor, nn
from torch.testing import assert_close

from ia3_lab.ia3 import attach, merge, scaled_parameters

# PEFT asks transformers under a name that it is about to drop.
pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")

TOKENS = torch.tensor([[3, 1, 4, 1, 5, 9, 2], [2, 7, 1, 8, 2, 8, 0]])
PADDING = torch.tensor([[1, 1, 1, 1, 1, 1, 1], [1, 1, 1, 1, 1, 0, 0]])


@dataclass(frozen=True)
class Case:
    """One architecture: how it is built, and which layers carry a vector on which side."""

    build: Callable[[], nn.Module]
    output: list[str]
    input: list[str]
    vectors: int
    decoder: bool = False

    def inputs(self) -> dict[str, Tensor]:
        given = {"input_ids": TOKENS, "attention_mask": PADDING}
        return given | ({"decoder_input_ids": TOKENS[:, :4]} if self.decoder else {})


def distilbert() -> nn.Module:
    config = transformers.DistilBertConfig(vocab_size=11, dim=12, n_heads=3, hidden_dim=20, n_layers=2)
    return transformers.DistilBertModel(config)


def bert() -> nn.Module:
    sizes = {"hidden_size": 12, "num_attention_heads": 3, "intermediate_size": 20, "num_hidden_layers": 2}
    return transformers.BertModel(transformers.BertConfig(vocab_size=11, **sizes))


def gpt2() -> nn.Module:
    return transformers.GPT2Model(transformers.GPT2Config(vocab_size=11, n_embd=12, n_head=3, n_layer=2, n_inner=20))


def llama() -> nn.Module:
    sizes = {"hidden_size": 12, "num_attention_heads": 6, "num_key_value_heads": 2, "intermediate_size": 20}
    sizes |= {"head_dim": 4, "num_hidden_layers": 2, "attention_bias": True}
    return transformers.LlamaModel(transformers.LlamaConfig(vocab_size=11, **sizes))


def t5(feed_forward: str) -> nn.Module:
    sizes = {"d_model": 12, "d_kv": 5, "d_ff": 20, "num_heads": 3, "num_layers": 2, "num_decoder_layers": 1}
    return transformers.T5Model(transformers.T5Config(vocab_size=11, feed_forward_proj=feed_forward, **sizes))


CASES = {
    "distilbert": Case(distilbert, ["*.k_lin", "*.v_lin"], ["*.ffn.lin2"], 2 * (2 * 12 + 20)),
    # BERT calls two layers of a block "output.dense"; the one after the hidden units stands directly in the block.
    "bert": Case(bert, ["*.self.key", "*.self.value"], ["*.layer.[0-9].output.dense"], 2 * (2 * 12 + 20)),
    "gpt2, fused and Conv1D": Case(gpt2, ["*.c_attn"], ["*.mlp.c_proj"], 2 * (3 * 12 + 20)),
    "llama, grouped queries": Case(llama, ["*.k_proj", "*.v_proj"], ["*.down_proj"], 2 * (2 * 8 + 20)),
    "t5 v1.0": Case(lambda: t5("relu"), ["*.k", "*.v"], ["*.wo"], 2 * (30 + 20) + (60 + 20), decoder=True),
    "t5 v1.1, gated": Case(lambda: t5("gated-gelu"), ["*.k", "*.v"], ["*.wo"], 2 * (30 + 20) + (60 + 20), decoder=True),
}


def randomized(model: nn.Module) -> nn.Module:
    """Return the model in float64, evaluating, with every parameter (norms and biases too) drawn anew."""
    generator = torch.Generator().manual_seed(0)
    for parameter in model.double().eval().parameters():
        parameter.data = 0.3 * torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
    return model


def gains(size: int, seed: int) -> Tensor:
    """Return signed, distinct numbers, all at least 0.3 away from one."""
    order = torch.randperm(size, generator=torch.Generator().manual_seed(seed))
    signs = torch.tensor([1.0, -1.0], dtype=torch.float64).repeat(size)[:size]
    return (torch.linspace(1.3, 2.5, size, dtype=torch.float64) * signs)[order]


@dataclass
class Pair:
    """The same base with the same vectors, under ia3_lab and under PEFT."""

    base: nn.Module
    ours: nn.Module
    peft: Any
    vectors: dict[str, tuple[Tensor, Tensor]]


@pytest.fixture(scope="module", params=CASES)
def case(request: pytest.FixtureRequest) -> Case:
    return CASES[request.param]


@pytest.fixture
def pair(case: Case) -> Pair:
    base = randomized(case.build())
    ours = copy.deepcopy(base)
    wrappers = attach(ours, output=case.output, input=case.input)
    on_input = [name for name, wrapper in wrappers.items() if wrapper.side == "input"]
    fused = isinstance(base, transformers.GPT2Model)
    config = IA3Config(target_modules=list(wrappers), feedforward_modules=on_input, fan_in_fan_out=fused)
    peft = get_peft_model(copy.deepcopy(base), config).double().eval()
    vectors = {}
    for index, (name, wrapper) in enumerate(wrappers.items()):
        theirs = peft.base_model.model.get_submodule(name).ia3_l["default"]
        wrapper.l.data = gains(len(wrapper.l), seed=index)
        theirs.data = wrapper.l.data.clone().view_as(theirs)
        vectors[name] = (wrapper.l, theirs)
    return Pair(base, ours, peft, vectors)


def output(case: Case, model: nn.Module) -> Tensor:
    return model(**case.inputs()).last_hidden_state


def test_the_counts_are_equal(case: Case, pair: Pair) -> None:
    ours = sum(vector.numel() for vector in scaled_parameters(pair.ours).values())
    assert ours == sum(p.numel() for name, p in pair.peft.named_parameters() if "ia3_l" in name) == case.vectors


def test_the_outputs_are_equal_and_not_those_of_the_base(case: Case, pair: Pair) -> None:
    out = output(case, pair.ours)
    assert_close(out, output(case, pair.peft))
    assert (out - output(case, pair.base)).abs().max() > 0.05


def test_the_gradients_of_the_vectors_are_equal_and_not_zero(case: Case, pair: Pair) -> None:
    weights = torch.linspace(-1, 1, 12, dtype=torch.float64)
    for model in (pair.ours, pair.peft):
        (output(case, model) * weights).sum().backward()
    for ours, theirs in pair.vectors.values():
        assert_close(ours.grad, theirs.grad.flatten())
        assert ours.grad.abs().max() > 1e-6


def test_the_merged_weights_and_outputs_are_equal_and_not_the_bases(case: Case, pair: Pair) -> None:
    wrapped = output(case, pair.ours)
    merged, theirs = merge(pair.ours), pair.peft.merge_and_unload()
    assert_close(output(case, merged), wrapped)
    assert merged.state_dict().keys() == theirs.state_dict().keys() == pair.base.state_dict().keys()
    for name, tensor in merged.state_dict().items():
        assert_close(tensor, theirs.state_dict()[name])
    for name in pair.vectors:
        assert not torch.allclose(merged.get_submodule(name).weight, pair.base.get_submodule(name).weight)
