"""Laws of the stateless maths: rescaling, heads, masks, attention, folding."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.testing import assert_close

from ia3_lab import functional


def gains(size: int, seed: int = 0) -> Tensor:
    """Return signed, distinct numbers, all at least 0.4 away from one."""
    order = torch.randperm(size, generator=torch.Generator().manual_seed(seed))
    signs = torch.tensor([1.0, -1.0], dtype=torch.float64).repeat(size)[:size]
    return (torch.linspace(1.4, 3.0, size, dtype=torch.float64) * signs)[order]


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def rotate(x: Tensor) -> Tensor:
    """Turn each pair (i, i + d/2) by an angle that grows with the position: rotary embeddings of (..., n, d)."""
    n, half = x.shape[-2], x.shape[-1] // 2
    angle = torch.arange(n, dtype=x.dtype)[:, None] * 100.0 ** (-torch.arange(half, dtype=x.dtype) / half)
    left, right = x[..., :half], x[..., half:]
    return torch.cat((left * angle.cos() - right * angle.sin(), right * angle.cos() + left * angle.sin()), -1)


# scale


def test_scale_is_multiplication_by_a_diagonal_matrix() -> None:
    x, l_v = normal(2, 5, 7), gains(7)
    assert_close(functional.scale(x, l_v), x @ torch.diag(l_v))


def test_scale_by_ones_is_the_identity_bit_for_bit_and_by_one_entry_of_1_5_is_not() -> None:
    x, l_v = normal(3, 4).float(), torch.ones(4)
    assert torch.equal(functional.scale(x, l_v), x)
    l_v[2] = 1.5
    assert not torch.equal(functional.scale(x, l_v), x)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32, torch.float64])
def test_scale_returns_the_dtype_of_x_and_rounds_once(dtype: torch.dtype) -> None:
    x, l_v = normal(3, 4).to(dtype), gains(4).float()
    result = functional.scale(x, l_v)
    assert result.dtype == dtype
    assert torch.equal(result, (x.to(torch.promote_types(dtype, torch.float32)) * l_v).to(dtype))
    if dtype in (torch.bfloat16, torch.float16):
        assert not torch.equal(result, x * l_v.to(dtype)), "the control: rounding the vector first"


@pytest.mark.parametrize(
    ("x", "vector"), [((2, 3), (4,)), ((2, 3), (3, 1)), ((2, 3), (2,)), ((2, 3), (1,)), ((), (1,))]
)
def test_scale_refuses_shapes_that_do_not_fit_and_prints_both(x: tuple[int, ...], vector: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="one-dimensional") as error:
        functional.scale(torch.ones(x), torch.ones(vector))
    assert str(x) in str(error.value)
    assert str(vector) in str(error.value)


def test_what_is_not_a_tensor_of_floating_point_numbers_is_refused() -> None:
    with pytest.raises(TypeError, match="l must be a torch tensor, got list"):
        functional.scale(torch.ones(2), [1.0, 2.0])
    with pytest.raises(TypeError, match=r"x must be floating point to be scaled, its dtype is torch\.int64"):
        functional.scale(torch.tensor([1, 2]), torch.tensor([1.5, 1.5]))
    for call in (
        lambda: functional.split_heads([[1.0]], 1),
        lambda: functional.merge_heads([[[1.0]]]),
        lambda: functional.repeat_kv([[[1.0]]], 1),
        lambda: functional.attention(torch.ones(1, 1), [[1.0]], torch.ones(1, 1)),
        lambda: functional.feed_forward([1.0], torch.ones(1, 1), torch.ones(1, 1)),
        lambda: functional.fold_input([[1.0]], torch.ones(1)),
    ):
        with pytest.raises(TypeError, match="must be a torch tensor, got list"):
            call()


# heads


def test_heads_are_contiguous_features_and_merge_undoes_split() -> None:
    x = normal(2, 5, 12)
    heads = functional.split_heads(x, 3)
    assert torch.equal(heads[:, 1], x[..., 4:8])
    assert torch.equal(functional.merge_heads(heads), x)


def test_query_heads_of_one_group_are_neighbors() -> None:
    x = normal(2, 2, 5, 3)
    repeated = functional.repeat_kv(x, 6)
    for head in range(6):
        assert torch.equal(repeated[:, head], x[:, head // 3])
    assert not torch.equal(repeated[:, 1], x[:, 1])
    assert functional.repeat_kv(x, 2) is x


def test_heads_that_do_not_divide_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\(2, 5, 7\) and num_heads is 3"):
        functional.split_heads(torch.ones(2, 5, 7), 3)
    for wrong in ("2", 2.0, 0, None):
        with pytest.raises(ValueError, match=f"num_heads is {wrong!r}; choose"):
            functional.split_heads(torch.ones(2, 5, 8), wrong)
        with pytest.raises(ValueError, match=f"num_heads is {wrong!r}"):
            functional.repeat_kv(torch.ones(2, 2, 5, 8), wrong)
    with pytest.raises(ValueError, match=r"multiple of num_kv_heads: x has shape \(1, 2, 5, 4\).* num_heads is 3"):
        functional.repeat_kv(torch.ones(1, 2, 5, 4), 3)
    with pytest.raises(ValueError, match=r"h, n, d_head\), it has shape \(5, 4\)"):
        functional.merge_heads(torch.ones(5, 4))


# attention and masks


def test_attention_equals_torchs_own() -> None:
    q, k, v = normal(2, 3, 5, 4), normal(2, 3, 7, 4, seed=1), normal(2, 3, 7, 6, seed=2)
    mask = normal(2, 1, 5, 7, seed=3) > -0.5
    assert_close(functional.attention(q, k, v)[0], F.scaled_dot_product_attention(q, k, v))
    out, weights = functional.attention(q, k, v, mask)
    assert_close(out, F.scaled_dot_product_attention(q, k, v, attn_mask=mask))
    assert_close(weights.sum(-1), torch.ones(2, 3, 5, dtype=torch.float64))
    assert (weights[~mask.expand_as(weights)] == 0).all()


def test_a_query_that_may_attend_to_nothing_gives_zeros_and_finite_gradients() -> None:
    q, k, v = (normal(1, 2, 3, 4, seed=seed).requires_grad_() for seed in range(3))
    mask = functional.causal_mask(3).clone()
    mask[1] = False
    out, weights = functional.attention(q, k, v, mask)
    assert torch.equal(out[:, :, 1], torch.zeros(1, 2, 4, dtype=torch.float64))
    assert torch.equal(weights[:, :, 1], torch.zeros(1, 2, 3, dtype=torch.float64))
    with torch.autograd.set_detect_anomaly(True):  # no NaN on the way back either
        gradients = torch.autograd.grad(functional.attention(q, k, v, mask)[0].pow(2).sum(), (q, k, v))
    for gradient in gradients:
        assert torch.isfinite(gradient).all()
        assert (gradient != 0).any()
    naive = (q @ k.mT).masked_fill(~mask, -torch.inf).softmax(-1)
    assert naive[:, :, 1].isnan().all(), "the control: filling with -inf gives NaN"


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_a_fully_masked_row_stays_finite_in_half_precision(dtype: torch.dtype) -> None:
    q = normal(1, 3, 4).to(dtype)
    out, _ = functional.attention(q, q, q, torch.zeros(3, 3, dtype=torch.bool))
    assert torch.equal(out, torch.zeros_like(q))


def test_a_causal_mask_hides_the_future_and_no_mask_does_not() -> None:
    q, k, v = (normal(1, 6, 4, seed=seed) for seed in range(3))
    later = k.clone()
    later[:, 4:] += 1.0
    mask = functional.causal_mask(6)
    assert torch.equal(functional.attention(q, k, v, mask)[0][:, :4], functional.attention(q, later, v, mask)[0][:, :4])
    assert not torch.equal(functional.attention(q, k, v)[0][:, :4], functional.attention(q, later, v)[0][:, :4])


def test_padding_equals_leaving_the_padded_keys_out() -> None:
    q, k, v = (normal(2, 3, 5, 4, seed=seed) for seed in range(3))
    keep = torch.tensor([[True] * 5, [True, True, False, False, False]])
    out, _ = functional.attention(q, k, v, functional.padding_mask(keep))
    assert_close(out[1], functional.attention(q[1], k[1, :, :2], v[1, :, :2])[0])
    assert (out[1] - functional.attention(q, k, v)[0][1]).abs().max() > 0.1


@pytest.mark.parametrize("mask", [torch.zeros(3, 3), torch.zeros(3, 3, dtype=torch.long), "causal"])
def test_a_mask_that_is_not_boolean_is_refused(mask: object) -> None:
    with pytest.raises(TypeError, match="mask must be a boolean tensor"):
        functional.attention(torch.ones(3, 2), torch.ones(3, 2), torch.ones(3, 2), mask)


@pytest.mark.parametrize("shape", [(3, 4), (2, 3), (4,), (2, 3, 3), (4, 3, 3), (5, 1, 3, 3), (1, 2, 4, 3, 3)])
def test_a_mask_of_a_wrong_or_doubtful_shape_is_refused(shape: tuple[int, ...]) -> None:
    q = torch.ones(2, 4, 3, 6)
    with pytest.raises(ValueError, match=r"scores' shape \(2, 4, 3, 3\)") as error:
        functional.attention(q, q, q, torch.ones(shape, dtype=torch.bool))
    assert str(shape) in str(error.value)


@pytest.mark.parametrize("n", [-1, 2.0, "3"])
def test_a_causal_mask_of_no_length_is_refused(n: object) -> None:
    with pytest.raises(ValueError, match=f"an integer of at least 0, got {n!r}"):
        functional.causal_mask(n)


def test_padding_mask_refuses_what_is_not_two_dimensional_and_boolean() -> None:
    with pytest.raises(TypeError, match="keep must be boolean"):
        functional.padding_mask(torch.ones(2, 3))
    with pytest.raises(ValueError, match=r"\(batch, n_k\), it has shape \(3,\)"):
        functional.padding_mask(torch.ones(3, dtype=torch.bool))


@pytest.mark.parametrize(
    "shapes",
    [((3, 4), (3, 5), (3, 4)), ((3, 4), (5, 4), (3, 4)), ((4,), (3, 4), (3, 4)), ((2, 3, 4), (3, 3, 4), (3, 3, 4))],
)
def test_attention_refuses_shapes_that_do_not_fit(shapes: tuple[tuple[int, ...], ...]) -> None:
    with pytest.raises(ValueError, match="must share d and n_k") as error:
        functional.attention(*(torch.ones(shape) for shape in shapes))
    assert all(str(shape) in str(error.value) for shape in shapes)


# what l_k and l_v do inside attention


def test_scaling_the_keys_equals_scaling_the_queries() -> None:
    q, k, v, l_k = normal(5, 6), normal(7, 6, seed=1), normal(7, 3, seed=2), gains(6)
    on_keys, _ = functional.attention(q, functional.scale(k, l_k), v)
    on_queries, _ = functional.attention(functional.scale(q, l_k), k, v)
    assert_close(on_keys, on_queries)
    assert (on_keys - functional.attention(q, k, v)[0]).abs().max() > 0.1


def test_with_rotary_positions_keys_and_queries_differ_unless_the_pairs_are_tied() -> None:
    q, k, v, l_k = normal(7, 6), normal(7, 6, seed=1), normal(7, 3, seed=2), gains(6)
    tied = gains(3).repeat(2)

    def both(vector: Tensor) -> tuple[Tensor, Tensor]:
        on_keys = functional.attention(rotate(q), rotate(functional.scale(k, vector)), v)[0]
        return on_keys, functional.attention(rotate(functional.scale(q, vector)), rotate(k), v)[0]

    assert_close(*both(tied))
    on_keys, on_queries = both(l_k)
    assert (on_keys - on_queries).abs().max() > 0.1


def test_a_uniform_l_k_is_a_softmax_temperature_and_another_l_k_is_none() -> None:
    q, k, v = normal(5, 6), normal(7, 6, seed=1), normal(7, 3, seed=2)
    scores = q @ k.T / 6**0.5
    uniform = functional.attention(q, functional.scale(k, torch.full((6,), 2.5, dtype=torch.float64)), v)[1]
    assert_close(uniform, (scores / (1 / 2.5)).softmax(-1))
    other = functional.attention(q, functional.scale(k, gains(6)), v)[1]
    ratios = (other[:, :1] / other).log() / (scores[:, :1] - scores)
    assert ratios[:, 1:].std() > 0.1, "one temperature would make all the ratios of log-odds equal"


def test_l_v_commutes_with_the_attention_average_and_l_k_does_not() -> None:
    q, k, v = normal(5, 6), normal(7, 6, seed=1), normal(7, 6, seed=2)
    vector = gains(6)
    out = functional.attention(q, k, v)[0]
    assert_close(functional.attention(q, k, functional.scale(v, vector))[0], functional.scale(out, vector))
    assert (
        functional.attention(q, functional.scale(k, vector), v)[0] - functional.scale(out, vector)
    ).abs().max() > 0.1


def test_softmax_hides_a_vector_added_to_every_key() -> None:
    q, k, v, shift = normal(5, 6), normal(7, 6, seed=1), normal(7, 3, seed=2), gains(6)
    assert_close(functional.attention(q, k + shift, v)[0], functional.attention(q, k, v)[0])
    assert (functional.attention(q, k, v + shift[:3])[0] - functional.attention(q, k, v)[0]).abs().max() > 1.0


# feed-forward and folding


def ff_weights(gated: bool) -> dict[str, Tensor | None]:
    return {
        "W_1": normal(9, 4, seed=1),
        "W_2": normal(4, 9, seed=2),
        "b_1": normal(9, seed=3),
        "b_2": normal(4, seed=4),
        "W_gate": normal(9, 4, seed=5) if gated else None,
        "b_gate": normal(9, seed=6) if gated else None,
    }


@pytest.mark.parametrize("gated", [False, True])
def test_l_ff_folds_into_the_columns_of_torchs_W_2_and_not_into_its_rows(gated: bool) -> None:
    x, w, l_ff = normal(2, 5, 4), ff_weights(gated), gains(9)
    wrapped = functional.feed_forward(x, **w, l_ff=l_ff)
    assert_close(functional.feed_forward(x, **{**w, "W_2": functional.fold_input(w["W_2"], l_ff)}), wrapped)
    by_hand = torch.diag(l_ff) @ w["W_2"].T  # the rows of W_2 in the equation x @ W_2
    assert_close(functional.feed_forward(x, **{**w, "W_2": by_hand.T}), wrapped)
    with pytest.raises(ValueError, match=r"output side.*\(4, 9\), l has shape \(9,\)"):
        functional.fold_output(w["W_2"], w["b_2"], l_ff)


def test_l_ff_does_not_fold_into_W_1_through_gelu_but_a_positive_one_does_through_relu() -> None:
    x, w, l_ff = normal(2, 5, 4), ff_weights(gated=False), gains(9)
    weight, bias = functional.fold_output(w["W_1"], w["b_1"], l_ff)
    wrapped = functional.feed_forward(x, **w, l_ff=l_ff)
    folded = functional.feed_forward(x, **{**w, "W_1": weight, "b_1": bias})
    assert (folded - wrapped).abs().max() > 0.1
    up, positive = F.linear(x, w["W_1"], w["b_1"]), l_ff.abs()
    assert_close((up * positive).relu(), up.relu() * positive)
    assert ((up * l_ff).relu() - up.relu() * l_ff).abs().max() > 0.1


def test_in_a_gated_network_the_up_branch_takes_l_ff_and_the_gate_does_not() -> None:
    x, w, l_ff = normal(2, 5, 4), ff_weights(gated=True), gains(9)
    wrapped = functional.feed_forward(x, **w, l_ff=l_ff)
    W_1, b_1 = functional.fold_output(w["W_1"], w["b_1"], l_ff)
    W_gate, b_gate = functional.fold_output(w["W_gate"], w["b_gate"], l_ff)
    assert_close(functional.feed_forward(x, **{**w, "W_1": W_1, "b_1": b_1}), wrapped)
    assert (functional.feed_forward(x, **{**w, "W_gate": W_gate, "b_gate": b_gate}) - wrapped).abs().max() > 0.1


def test_folding_the_output_scales_the_bias_and_a_forgotten_bias_differs() -> None:
    x, weight, bias, l_v = normal(5, 4), normal(9, 4, seed=1), normal(9, seed=2), gains(9)
    wrapped = functional.scale(F.linear(x, weight, bias), l_v)
    folded_weight, folded_bias = functional.fold_output(weight, bias, l_v)
    assert_close(F.linear(x, folded_weight, folded_bias), wrapped)
    assert (F.linear(x, folded_weight, bias) - wrapped).abs().max() > 0.1
    assert functional.fold_output(weight, None, l_v)[1] is None


@given(d_in=st.integers(1, 6), d_out=st.integers(1, 6), n=st.integers(1, 4), seed=st.integers(0, 99))
@settings(max_examples=40)
def test_folding_equals_scaling_for_any_sizes(d_in: int, d_out: int, n: int, seed: int) -> None:
    x, weight, bias = normal(n, d_in, seed=seed), normal(d_out, d_in, seed=seed + 1), normal(d_out, seed=seed + 2)
    left, right = gains(d_in, seed), gains(d_out, seed)
    assert_close(F.linear(x, functional.fold_input(weight, left), bias), F.linear(x * left, weight, bias))
    assert_close(F.linear(x, *functional.fold_output(weight, bias, right)), F.linear(x, weight, bias) * right)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_folding_refuses_a_vector_that_is_not_finite(bad: float) -> None:
    vector = torch.tensor([1.0, bad, 1.0])
    for fold in (lambda: functional.fold_input(torch.ones(2, 3), vector), lambda: functional.check_finite(vector)):
        with pytest.raises(ValueError, match=r"1 of its 3 entries .* index \(1,\)"):
            fold()


def test_folding_refuses_wrong_shapes_and_integer_weights() -> None:
    with pytest.raises(ValueError, match=r"input side.*\(2, 3\), l has shape \(2,\)"):
        functional.fold_input(torch.ones(2, 3), torch.ones(2))
    with pytest.raises(ValueError, match=r"output side.*\(2, 3\), l has shape \(3,\)"):
        functional.fold_output(torch.ones(2, 3), None, torch.ones(3))
    with pytest.raises(ValueError, match=r"bias must have the shape of l, \(2,\), it has shape \(3,\)"):
        functional.fold_output(torch.ones(2, 3), torch.ones(3), torch.ones(2))
    with pytest.raises(ValueError, match=r"x \(1, 3\), W_1 \(3, 4\), W_2 \(4, 3\); torch stores"):
        functional.feed_forward(torch.ones(1, 3), torch.ones(3, 4), torch.ones(4, 3))
    with pytest.raises(TypeError, match=r"floating point.*int8; dequantize"):
        functional.fold_input(torch.ones(2, 3, dtype=torch.int8), torch.ones(3))


# bad input


def test_numbers_of_heads_and_positions_may_be_numpys_and_may_not_be_true_or_false() -> None:
    two = torch.tensor([2]).numpy()[0]
    assert functional.split_heads(torch.ones(3, 4), two).shape == (2, 3, 2)
    assert functional.repeat_kv(torch.ones(1, 3, 4), two).shape == (2, 3, 4)
    assert functional.causal_mask(two).shape == (2, 2)
    for call in (
        lambda: functional.split_heads(torch.ones(3, 4), True),
        lambda: functional.repeat_kv(torch.ones(1, 3, 4), True),
        lambda: functional.repeat_kv(torch.ones(0, 3, 4), 2),
        lambda: functional.causal_mask(True),
    ):
        with pytest.raises(ValueError, match=r"(num_heads is|got) (True|2)"):
            call()


def test_attention_refuses_integers_mixed_dtypes_and_mixed_devices() -> None:
    one = torch.ones(2, 3)
    for q, k in ((one.long(), one.long()), (one, one.double()), (one, one.cfloat())):
        with pytest.raises(TypeError, match=r"q, k, v must be floating point of one dtype, got q torch\."):
            functional.attention(q, k, one)
    with pytest.raises(ValueError, match=r"q, k, v must be on one device, got q on cpu, k on meta"):
        functional.attention(one, one.to("meta"), one)
    with pytest.raises(ValueError, match=r"got q on cpu, mask on meta; move them there with \.to"):
        functional.attention(one, one, one, functional.causal_mask(2, device="meta"))
    with pytest.raises(ValueError, match="d must be at least 1"):
        functional.attention(torch.ones(2, 0), torch.ones(3, 0), torch.ones(3, 2))


def test_attention_takes_the_dtypes_that_autocast_mixes() -> None:
    q, k, v = normal(2, 3).float(), normal(2, 3).bfloat16(), normal(2, 3).float()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert functional.attention(q, k, v)[0].isfinite().all()


def test_a_padding_mask_and_a_fold_want_tensors() -> None:
    for call in (
        lambda: functional.padding_mask([[True, False]]),
        lambda: functional.fold_output(torch.ones(2, 3), [1.0, 2.0], torch.ones(2)),
        lambda: functional.check_finite([1.0]),
    ):
        with pytest.raises(TypeError, match="must be a torch tensor, got list"):
            call()


def test_scaling_refuses_another_device_and_an_imaginary_part() -> None:
    for call in (
        lambda: functional.scale(torch.ones(2, 3), torch.ones(3, device="meta")),
        lambda: functional.fold_input(torch.ones(2, 3), torch.ones(3, device="meta")),
    ):
        with pytest.raises(ValueError, match="must be on one device, got"):
            call()
    with pytest.raises(TypeError, match=r"l must be real to scale torch\.float32"):
        functional.scale(torch.ones(2, 3), torch.ones(3, dtype=torch.cfloat))


@pytest.mark.parametrize(
    "wrong",
    [
        {"W_2": torch.ones(5, 4)},
        {"b_1": torch.ones(3)},
        {"b_2": torch.ones(4)},
        {"W_gate": torch.ones(1, 3)},
        {"x": torch.tensor(1.0)},
    ],
)
def test_the_feed_forward_function_refuses_shapes_that_do_not_fit(wrong: dict[str, torch.Tensor]) -> None:
    good = {"x": torch.ones(2, 3), "W_1": torch.ones(4, 3), "W_2": torch.ones(3, 4)}
    assert functional.feed_forward(**good).shape == (2, 3)
    ((name, array),) = wrong.items()
    with pytest.raises(ValueError, match=f"must share d_model and d_ff.*{name} ") as error:
        functional.feed_forward(**good | wrong)
    assert f"{name} {tuple(array.shape)}" in str(error.value)


def test_the_feed_forward_function_refuses_mixed_dtypes_and_a_bias_without_its_gate() -> None:
    good = {"x": torch.ones(2, 3), "W_1": torch.ones(4, 3), "W_2": torch.ones(3, 4)}
    with pytest.raises(TypeError, match=r"of one dtype, got x torch\.float32, W_1 torch\.float64"):
        functional.feed_forward(**good | {"W_1": torch.ones(4, 3).double()})
    with pytest.raises(ValueError, match="b_gate is the bias of W_gate, which was not given"):
        functional.feed_forward(**good, b_gate=torch.ones(4))
