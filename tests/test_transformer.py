"""Laws of the plain transformer."""

import pytest
import torch
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
    found = ours(x, context, mask=mask, return_weights=True)
    assert_close(found, torchs(x, context, context, attn_mask=~mask, average_attn_weights=False))
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


def test_what_would_be_another_model_in_silence_is_refused() -> None:
    with pytest.raises(ValueError, match="num_heads=3 must divide d_model=10"):
        MultiHeadAttention(10, 3)
    for crossed, context in ((False, torch.ones(2, 5, 12)), (True, None)):
        with pytest.raises(ValueError, match="a context must be given where"):
            TransformerBlock(12, 3, 20, cross_attention=crossed)(torch.ones(2, 5, 12), context=context)
