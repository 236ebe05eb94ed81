"""Laws of the IA3 modules: what the vectors do, where they fold, what trains."""

import copy
from typing import Any

import pytest
import torch
from random_tensors import gains, gap, normal, randomized
from torch import Tensor, nn
from torch.testing import assert_close

from ia3_lab import functional
from ia3_lab.ia3 import IA3Attention, IA3FeedForward, IA3TransformerBlock
from ia3_lab.transformer import FeedForward, MultiHeadAttention

ATTENTIONS = [
    {"d_model": 12, "num_heads": 3, "bias": True},
    {"d_model": 12, "num_heads": 6, "num_kv_heads": 2, "bias": True},
    {"d_model": 10, "num_heads": 4, "num_kv_heads": 2, "d_head": 6, "bias": True},
    {"d_model": 12, "num_heads": 2},
]
BLOCKS = [
    {**ATTENTIONS[0], "d_ff": 20},
    {**ATTENTIONS[2], "d_ff": 21, "gated": True},
    {**ATTENTIONS[1], "d_ff": 22, "cross_attention": True},
    {**ATTENTIONS[3], "d_ff": 23},
]
FEED_FORWARDS = [{"d_model": 5, "d_ff": 9, "gated": gated, "bias": True} for gated in (False, True)]
CASES = [(IA3Attention, ATTENTIONS), (IA3FeedForward, FEED_FORWARDS), (IA3TransformerBlock, BLOCKS)]
each_module = pytest.mark.parametrize(("kind", "sizes"), [(kind, sizes) for kind, cases in CASES for sizes in cases])


def far(module: nn.Module) -> nn.Module:
    """Return the module in float64 with every parameter drawn anew and vectors far from one."""
    for index, vector in enumerate(randomized(module).ia3_parameters().values()):
        vector.data = gains(len(vector), seed=index)
    return module


def inputs(**sizes: Any) -> dict[str, Tensor]:
    given = {"x": normal(2, 5, sizes["d_model"], seed=90)}
    return given | ({"context": normal(2, 7, sizes["d_model"], seed=91)} if sizes.get("cross_attention") else {})


@each_module
def test_vectors_of_ones_are_the_base_bit_for_bit_and_one_entry_of_1_5_is_not(kind: type, sizes: dict) -> None:
    before = torch.random.get_rng_state()
    plain = kind.plain_class(**sizes)
    torch.random.set_rng_state(before)
    module, given = kind.from_base(plain), {name: t.float() for name, t in inputs(**sizes).items()}
    assert torch.equal(before, torch.random.get_rng_state()), "no number of the caller's generator is spent"
    assert torch.equal(module(**given), plain(**given))
    for vector in module.ia3_parameters().values():
        assert torch.equal(vector, torch.ones_like(vector))
        for entry, same in ((1.5, False), (1.0, True)):
            vector.data[1] = entry
            assert torch.equal(module(**given), plain(**given)) is same


def test_from_base_copies_refuses_another_class_and_keeps_the_vectors_in_float32() -> None:
    plain, x = MultiHeadAttention(12, 3).eval().bfloat16(), torch.ones(2, 5, 12, dtype=torch.bfloat16)
    module = IA3Attention.from_base(plain)
    assert not module.training
    assert module.W_k.weight.data_ptr() != plain.W_k.weight.data_ptr()
    for other, name in ((FeedForward(4, 8), "FeedForward"), (module, "IA3Attention")):
        with pytest.raises(TypeError, match=f"expected a MultiHeadAttention, got a {name}"):
            IA3Attention.from_base(other)
    assert {vector.dtype for vector in module.ia3_parameters().values()} == {torch.float32}
    assert module(x).dtype == module.merge()(x).dtype == torch.bfloat16
    module(x).float().sum().backward()
    assert module.l_v.grad.dtype == torch.float32
    assert module.double().l_v.dtype == torch.float64


@each_module
def test_merged_equals_wrapped_and_is_a_plain_module(kind: type, sizes: dict) -> None:
    module, given = far(kind(**sizes)), inputs(**sizes)
    before = copy.deepcopy(module.state_dict())
    merged = module.merge()
    assert (type(merged), merged.sizes) == (kind.plain_class, module.sizes)
    assert_close(merged(**given), module(**given))
    merged.load_state_dict({name: tensor for name, tensor in before.items() if name in merged.state_dict()})
    assert all(torch.equal(before[name], tensor) for name, tensor in module.state_dict().items()), "it shares no memory"
    assert gap(merged(**given), module(**given)) > 0.1
    next(iter(module.ia3_parameters().values())).data[1] = float("nan")
    with pytest.raises(ValueError, match=r"l_(k|ff) holds NaN or infinity"):
        module.merge()


@each_module
def test_only_the_vectors_are_trained_and_all_of_them(kind: type, sizes: dict) -> None:
    module = far(kind(**sizes))
    module.extra_l_k = nn.Parameter(torch.ones(3))  # its name only ends like a vector's
    assert module.freeze_base().trainable == sum(map(len, module.ia3_parameters().values()))
    module(**inputs(**sizes)).pow(2).mean().backward()
    trained = {name for name, p in module.named_parameters() if p.grad is not None and p.grad.any()}
    assert trained == set(module.ia3_parameters())


@pytest.mark.parametrize("sizes", ATTENTIONS)
def test_l_v_folds_into_W_o_too_repeated_for_the_query_heads_that_share_it_and_not_tiled(sizes: dict) -> None:
    module, x = far(IA3Attention(**sizes)), normal(2, 5, sizes["d_model"])
    folded, l_v = copy.deepcopy(module), module.l_v.detach()
    folded.l_v.data.fill_(1.0)
    repeated = functional.repeat_kv(l_v.view(-1, 1, module.d_head), module.num_heads).flatten()  # (d_attn,)
    tiled = l_v.repeat(module.num_heads // module.num_kv_heads)
    for gains_of_W_o, differs in ((repeated, False), (tiled, module.num_kv_heads < module.num_heads)):
        folded.W_o.weight.data = functional.fold_input(module.W_o.weight.data, gains_of_W_o)
        assert (gap(folded(x), module(x)) > 1e-9 + 0.1 * differs) is differs
