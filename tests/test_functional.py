"""Laws of the stateless maths: rescaling and masks. Chapter 2 holds those of attention, each with a control."""

import pytest
import torch
from random_tensors import gains, normal

from ia3_lab import functional


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32, torch.float64])
def test_scale_returns_the_dtype_of_x_and_rounds_once(dtype: torch.dtype) -> None:
    x, l_v = normal(3, 4).to(dtype), gains(4).float()
    result = functional.scale(x, l_v)
    assert result.dtype == dtype
    assert torch.equal(result, (x.to(torch.promote_types(dtype, torch.float32)) * l_v).to(dtype))
    if dtype in (torch.bfloat16, torch.float16):
        assert not torch.equal(result, x * l_v.to(dtype)), "the control: rounding the vector first"


def test_a_query_that_may_attend_to_nothing_gives_zeros_and_finite_gradients() -> None:
    q, k, v = (normal(1, 2, 3, 4, seed=seed).requires_grad_() for seed in range(3))
    mask = torch.ones(3, 3).tril().bool()
    mask[1] = False
    out, weights = functional.attention(q, k, v, mask)
    assert not out[:, :, 1].any() and not weights[:, :, 1].any()
    with torch.autograd.set_detect_anomaly(True):  # no NaN on the way back either
        gradients = torch.autograd.grad(functional.attention(q, k, v, mask)[0].pow(2).sum(), (q, k, v))
    assert all(gradient.isfinite().all() and gradient.any() for gradient in gradients)
    naive = (q @ k.mT).masked_fill(~mask, -torch.inf).softmax(-1)
    assert naive[:, :, 1].isnan().all(), "the control: filling with -inf gives NaN"
    for half in (q.half(), q.bfloat16()):
        assert not functional.attention(half, half, half, mask & False)[0].any()


def test_what_torch_would_broadcast_or_cut_in_silence_is_refused() -> None:
    for call, message in {
        lambda: functional.scale(normal(2, 3), gains(1)): r"shape \(3,\), .* got \(1,\)",
        lambda: functional.fold_input(normal(2, 3), gains(1)): r"shape \(3,\), .* got \(1,\)",
        lambda: functional.fold_output(normal(4, 9), None, gains(9)): r"shape \(4,\), .* got \(9,\)",
        lambda: functional.scale(torch.tensor([1, 2]), gains(2)): r"floating point .* got torch\.int64",
        lambda: functional.attention(*[normal(3, 3, 5, 4)] * 3, normal(3, 5, 5) > 0): r"2 axes .* \(3, 5, 5\)",
    }.items():
        with pytest.raises((ValueError, TypeError), match=message):
            call()
