"""Laws of the plain transformer."""

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from random_tensors import gap, normal, randomized
from torch import nn
from torch.testing import assert_close

from ia3_lab import functional
from ia3_lab.ia3 import IA3FeedForward
from ia3_lab.transformer import FeedForward, MultiHeadAttention, TransformerBlock


def test_multi_head_attention_equals_torchs_own() -> None:
    ours = randomized(MultiHeadAttention(12, 3, bias=True))
    torchs = nn.MultiheadAttention(12, 3, batch_first=True).double()
    with torch.no_grad():
        projections = (ours.W_q, ours.W_k, ours.W_v)
        torchs.in_proj_weight.copy_(torch.cat([layer.weight for layer in projections]))
        torchs.in_proj_bias.copy_(torch.cat([layer.bias for layer in projections]))
        torchs.out_proj.load_state_dict(ours.W_o.state_dict())
    x, context, mask = normal(2, 5, 12), normal(2, 7, 12, seed=9), normal(5, 7, seed=8) > -1
    out, weights = ours(x, context, mask=mask, return_weights=True)
    expected, expected_weights = torchs(x, context, context, attn_mask=~mask, average_attn_weights=False)
    assert_close(out, expected)
    assert_close(weights, expected_weights)
    assert torch.equal(ours(x), ours(x, x)), "without a context it reads x itself"
    assert not torch.equal(ours(x), ours(x, x.flip(-1)))


def test_grouped_queries_equal_full_heads_with_repeated_keys_and_values() -> None:
    grouped = randomized(MultiHeadAttention(10, 4, num_kv_heads=2, d_head=6, bias=True))
    full, x = randomized(MultiHeadAttention(10, 4, d_head=6, bias=True)), normal(2, 5, 10)
    state = grouped.state_dict()
    for name in ("W_k.weight", "W_k.bias", "W_v.weight", "W_v.bias"):
        state[name] = state[name].unflatten(0, (2, 6)).repeat_interleave(2, 0).flatten(0, 1)
    full.load_state_dict(state)
    assert_close(grouped(x), full(x))
    tiled = {"W_k.weight": grouped.W_k.weight.repeat(2, 1), "W_k.bias": grouped.W_k.bias.repeat(2)}
    full.load_state_dict(state | tiled)
    assert gap(grouped(x), full(x)) > 0.1, "the control: heads tiled instead of grouped"


@pytest.mark.parametrize("gated", [False, True])
@pytest.mark.parametrize("kind", [FeedForward, IA3FeedForward])
def test_the_feed_forward_modules_equal_the_function(kind: type[FeedForward], gated: bool) -> None:
    module, x = randomized(kind(4, 9, gated=gated, bias=True)), normal(2, 5, 4)
    weights = {name: layer.weight for name, layer in module.named_children()}
    biases = {name.replace("W", "b"): layer.bias for name, layer in module.named_children()}
    assert_close(module(x), functional.feed_forward(x, **weights, **biases, l_ff=getattr(module, "l_ff", None)))


def test_a_block_is_pre_norm_with_a_residual_around_each_part() -> None:
    block = randomized(TransformerBlock(12, 3, 20, bias=True, cross_attention=True))
    x, context = normal(2, 5, 12), normal(2, 7, 12, seed=9)
    mask, context_mask = torch.ones(5, 5).tril().bool(), (normal(2, 7, seed=3) > -1)[:, None, None]
    y = x + block.attention(block.norm_1(x), mask=mask)
    y = y + block.cross_attention(block.norm_cross(y), context, mask=context_mask)
    y = y + block.feed_forward(block.norm_2(y))
    assert_close(block(x, mask=mask, context=context, context_mask=context_mask), y)
    for last in (block.attention.W_o, block.cross_attention.W_o, block.feed_forward.W_2):
        nn.init.zeros_(last.weight), nn.init.zeros_(last.bias)
    assert torch.equal(block(x, context=context), x)


def test_a_causal_block_ignores_the_future_and_an_unmasked_one_does_not() -> None:
    block, x = randomized(TransformerBlock(12, 3, 20)), normal(1, 6, 12)
    later = x.clone()
    later[:, 4:] += normal(1, 2, 12, seed=5)
    mask = torch.ones(6, 6).tril().bool()
    assert_close(block(x, mask=mask)[:, :4], block(later, mask=mask)[:, :4], rtol=0, atol=0)
    assert not torch.allclose(block(x)[:, :4], block(later)[:, :4])


widths = dict.fromkeys(("d_model", "d_ff", "num_kv_heads", "d_head"), st.integers(1, 4))
switches = dict.fromkeys(("gated", "bias", "cross_attention"), st.booleans())


@given(sizes=st.fixed_dictionaries(widths | switches), groups=st.integers(1, 4))
@settings(max_examples=30)
def test_a_block_of_any_sizes_keeps_them_and_the_shape_of_x(sizes: dict[str, int], groups: int) -> None:
    sizes = sizes | {"num_heads": groups * sizes["num_kv_heads"]}
    block, x = TransformerBlock(**sizes), torch.ones(2, 3, sizes["d_model"])
    assert block(x, context=x[:, 1:] if sizes["cross_attention"] else None).shape == x.shape
    assert block.sizes == sizes


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: MultiHeadAttention(10, 3), "num_heads=3 must divide d_model=10"),
        (lambda x: TransformerBlock(12, 3, 20)(x, context=x), "a context must be given where"),
        (lambda x: TransformerBlock(12, 3, 20, cross_attention=True)(x), "a context must be given where"),
    ],
)
def test_what_would_be_another_model_in_silence_is_refused(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call(normal(2, 5, 12).float())
