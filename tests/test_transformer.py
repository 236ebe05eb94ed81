"""Laws of the plain transformer."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.testing import assert_close

from ia3_lab import functional
from ia3_lab.surgery import count_parameters
from ia3_lab.transformer import FeedForward, MultiHeadAttention, TransformerBlock


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def double(module: nn.Module) -> nn.Module:
    """Return the module in float64 with every parameter drawn anew, the norms' too."""
    for index, parameter in enumerate(module.double().parameters()):
        parameter.data = 0.5 * normal(*parameter.shape, seed=index)
    return module


def test_multi_head_attention_equals_torchs_own() -> None:
    ours, torchs = double(MultiHeadAttention(12, 3, bias=True)), nn.MultiheadAttention(12, 3, batch_first=True).double()
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


def test_grouped_queries_equal_full_heads_with_repeated_keys_and_values() -> None:
    grouped = double(MultiHeadAttention(10, 4, num_kv_heads=2, d_head=6, bias=True))
    full = double(MultiHeadAttention(10, 4, d_head=6, bias=True))
    state = grouped.state_dict()
    for name in ("W_k.weight", "W_k.bias", "W_v.weight", "W_v.bias"):
        state[name] = state[name].unflatten(0, (2, 6)).repeat_interleave(2, 0).flatten(0, 1)
    full.load_state_dict(state)
    x = normal(2, 5, 10)
    assert_close(grouped(x), full(x))
    swapped = {**state, "W_k.weight": grouped.W_k.weight.repeat(2, 1), "W_k.bias": grouped.W_k.bias.repeat(2)}
    full.load_state_dict(swapped)
    assert (grouped(x) - full(x)).abs().max() > 0.1, "the control: heads tiled instead of grouped"


def test_without_a_context_attention_reads_x_itself() -> None:
    attention, x = double(MultiHeadAttention(12, 3)), normal(2, 5, 12)
    assert torch.equal(attention(x), attention(x, x))
    assert not torch.equal(attention(x), attention(x, x.flip(-1)))


@pytest.mark.parametrize("gated", [False, True])
def test_the_feed_forward_module_equals_the_function(gated: bool) -> None:
    module, x = double(FeedForward(4, 9, gated=gated, bias=True)), normal(2, 5, 4)
    weights = {name.replace(".weight", "").replace("W_1.bias", "b_1"): p for name, p in module.named_parameters()}
    weights = {name.replace("W_2.bias", "b_2").replace("W_gate.bias", "b_gate"): p for name, p in weights.items()}
    assert_close(module(x), functional.feed_forward(x, **weights))


def test_a_block_is_pre_norm_with_a_residual_around_each_part() -> None:
    block = double(TransformerBlock(12, 3, 20, bias=True, cross_attention=True))
    x, context = normal(2, 5, 12), normal(2, 7, 12, seed=9)
    mask, context_mask = functional.causal_mask(5), functional.padding_mask(normal(2, 7, seed=3) > -1)
    y = x + block.attention(block.norm_1(x), mask=mask)
    y = y + block.cross_attention(block.norm_cross(y), context, mask=context_mask)
    y = y + block.feed_forward(block.norm_2(y))
    assert_close(block(x, mask=mask, context=context, context_mask=context_mask), y)
    for part in (block.attention, block.cross_attention):
        nn.init.zeros_(part.W_o.weight), nn.init.zeros_(part.W_o.bias)
    nn.init.zeros_(block.feed_forward.W_2.weight), nn.init.zeros_(block.feed_forward.W_2.bias)
    assert torch.equal(block(x, context=context), x)


def test_a_causal_block_ignores_the_future_and_an_unmasked_one_does_not() -> None:
    block, x = double(TransformerBlock(12, 3, 20)), normal(1, 6, 12)
    later = x.clone()
    later[:, 4:] += normal(1, 2, 12, seed=5)
    mask = functional.causal_mask(6)
    assert_close(block(x, mask=mask)[:, :4], block(later, mask=mask)[:, :4], rtol=0, atol=0)
    assert not torch.allclose(block(x)[:, :4], block(later)[:, :4])


@given(
    d_model=st.integers(1, 9),
    num_kv_heads=st.integers(1, 3),
    groups=st.integers(1, 3),
    d_head=st.integers(1, 4),
    d_ff=st.integers(1, 9),
    gated=st.booleans(),
    bias=st.booleans(),
    cross=st.booleans(),
)
@settings(max_examples=30)
def test_sizes_and_counts_hold_for_any_configuration(
    d_model: int, num_kv_heads: int, groups: int, d_head: int, d_ff: int, gated: bool, bias: bool, cross: bool
) -> None:
    num_heads = num_kv_heads * groups
    sizes = {"num_kv_heads": num_kv_heads, "d_head": d_head, "gated": gated, "bias": bias, "cross_attention": cross}
    block = TransformerBlock(d_model, num_heads, d_ff, **sizes)
    context = torch.ones(2, 4, d_model) if cross else None
    assert block(torch.ones(2, 3, d_model), context=context).shape == (2, 3, d_model)
    d_attn, d_kv = num_heads * d_head, num_kv_heads * d_head
    attention = 2 * d_model * d_attn + 2 * d_model * d_kv + bias * (d_attn + 2 * d_kv + d_model)
    up = d_model * d_ff + bias * d_ff
    total = (1 + cross) * (attention + 2 * d_model) + 2 * d_model + (1 + gated) * up + d_ff * d_model + bias * d_model
    assert count_parameters(block).total == total
    assert block.arguments() == {"d_model": d_model, "num_heads": num_heads, "d_ff": d_ff, **sizes}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"d_model": 10, "num_heads": 3}, r"d_model must be divisible by num_heads, got d_model=10 and num_heads=3"),
        ({"d_model": 12, "num_heads": 6, "num_kv_heads": 4}, r"num_heads=6 and num_kv_heads=4"),
        ({"d_model": 12, "num_heads": 0}, "num_heads must be at least 1, got 0"),
        ({"d_model": -4, "num_heads": 2}, "d_model must be at least 1, got -4"),
        ({"d_model": 4, "num_heads": 2, "d_head": 0}, "d_head must be at least 1, got 0"),
        ({"d_model": 4, "num_heads": 2, "num_kv_heads": 0}, "num_kv_heads must be at least 1"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(arguments: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        MultiHeadAttention(**arguments)


def test_sizes_that_are_not_integers_are_refused() -> None:
    assert FeedForward(4, torch.tensor([3]).numpy()[0]).d_ff == 3, "an integer of numpy is one"
    for wrong in (4.0, "4", True, None):
        with pytest.raises(TypeError, match="d_ff must be an integer"):
            FeedForward(4, wrong)


def test_inputs_of_a_wrong_width_are_refused_with_the_shape() -> None:
    attention, block = MultiHeadAttention(12, 3), TransformerBlock(12, 3, 20)
    with pytest.raises(ValueError, match=r"x must have shape .*d_model=12, it has shape \(2, 5, 11\)"):
        attention(torch.ones(2, 5, 11))
    with pytest.raises(ValueError, match=r"context must have .*\(2, 5, 11\)"):
        attention(torch.ones(2, 5, 12), torch.ones(2, 5, 11))
    with pytest.raises(ValueError, match=r"x must have shape .*\(12,\)"):
        attention(torch.ones(12))
    with pytest.raises(ValueError, match=r"x must have shape .*\(2, 11\)"):
        block(torch.ones(2, 11))
    with pytest.raises(TypeError, match=r"x must be a floating-point tensor, got torch\.int64; token numbers"):
        block(torch.ones(2, 5, 12, dtype=torch.long))
    with pytest.raises(TypeError, match=r"got list"):
        attention([[1.0] * 12])
    with pytest.raises(
        ValueError, match=r"one batch size, got x with shape \(2, 5, 12\) and context with \(3, 7, 12\)"
    ):
        attention(torch.ones(2, 5, 12), torch.ones(3, 7, 12))


def test_a_context_is_asked_for_exactly_where_there_is_cross_attention() -> None:
    x = torch.ones(2, 5, 12)
    with pytest.raises(ValueError, match=r"expected no context .* got context=a tensor"):
        TransformerBlock(12, 3, 20)(x, context=x)
    with pytest.raises(ValueError, match=r"expected no context .* context_mask=a tensor"):
        TransformerBlock(12, 3, 20)(x, context_mask=functional.causal_mask(5))
    with pytest.raises(ValueError, match=r"expected a context .* got context=None"):
        TransformerBlock(12, 3, 20, cross_attention=True)(x)


def test_switches_are_true_or_false_because_a_word_such_as_no_would_count_as_yes() -> None:
    for make in (
        lambda: MultiHeadAttention(4, 2, bias="no"),
        lambda: FeedForward(4, 8, gated="no"),
        lambda: FeedForward(4, 8, bias=None),
        lambda: TransformerBlock(4, 2, 8, cross_attention=1),
    ):
        with pytest.raises(TypeError, match="must be True or False, got"):
            make()


@pytest.mark.parametrize(("d_model", "error"), [(-4, ValueError), ("4", TypeError), (4.0, TypeError)])
def test_a_block_checks_its_sizes_before_it_makes_anything(d_model: object, error: type[Exception]) -> None:
    with pytest.raises(error, match=r"d_model must be (an integer|at least 1), got"):
        TransformerBlock(d_model, 2, 8)
