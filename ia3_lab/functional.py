"""Stateless maths on tensors: rescaling, attention, the feed-forward network, and folding a vector into a weight.

Vectors are rows and a layer is ``x @ W + b``, so W has shape (in, out) in every equation of this book. Torch stores the
transpose: ``nn.Linear.weight`` has shape (out, in). Wherever a weight is an argument here it is in torch's layout.
Checked is only what torch would compute in silence and wrong; the rest torch refuses itself.
"""

# ruff: noqa: E741 - l is the paper's letter for a rescaling vector
import math

import torch
import torch.nn.functional as F
from torch import Tensor

gelu = F.gelu


def scale(x: Tensor, l: Tensor) -> Tensor:
    """Rescale the last axis of x entry by entry: ``y_i = l_i * x_i``, that is ``y = x @ diag(l)``.

    Computed in the wider of the two dtypes, rounded once to that of x: a float32 vector can rescale bfloat16.
    Liu et al. (2022), section 3.3, call it "element-wise multiplication with a learned vector".

    Parameters
    ----------
    x : Tensor, shape (..., d)
    l : Tensor, shape (d,)

    Returns
    -------
    Tensor, shape (..., d), dtype of x

    Raises
    ------
    ValueError, TypeError
        If l has another shape: (1,) or (n, 1) would broadcast; if x holds integers, to which the product would be cut.

    Examples
    --------
    >>> scale(torch.tensor([1.0, 1.0]), torch.tensor([1.8, 0.5]))
    tensor([1.8000, 0.5000])
    """
    if isinstance(x, Tensor):  # while torch.fx traces, x is a proxy, which has no shape to compare
        if l.shape != x.shape[-1:]:
            raise ValueError(f"l must have shape {tuple(x.shape[-1:])}, the last axis of x, got {tuple(l.shape)}")
        if not (x.is_floating_point() or x.is_complex()):
            raise TypeError(f"x must be floating point to be rescaled, got {x.dtype}; convert or dequantize it first")
    return (x * l).to(x.dtype)


def split_heads(x: Tensor, num_heads: int) -> Tensor:
    """Cut the features into heads: (..., n, num_heads * d_head) becomes (..., num_heads, n, d_head).

    Head i takes the contiguous features ``i * d_head`` up to ``(i + 1) * d_head``.

    Examples
    --------
    >>> split_heads(torch.zeros(2, 5, 12), num_heads=3).shape
    torch.Size([2, 3, 5, 4])
    """
    return x.unflatten(-1, (num_heads, -1)).transpose(-3, -2)


def merge_heads(x: Tensor) -> Tensor:
    """Put the heads side by side again, the inverse of `split_heads`: (..., h, n, d_head) becomes (..., n, h * d_head).

    Examples
    --------
    >>> merge_heads(torch.zeros(2, 3, 5, 4)).shape
    torch.Size([2, 5, 12])
    """
    return x.transpose(-3, -2).flatten(-2)


def repeat_kv(x: Tensor, num_heads: int) -> Tensor:
    """Give every query head its key or value head: (..., num_kv_heads, n, d) becomes (..., num_heads, n, d).

    Query head i reads key and value head ``i // (num_heads // num_kv_heads)`` (Ainslie et al., 2023, section 2.2).

    Examples
    --------
    >>> repeat_kv(torch.tensor([1.0, 2.0]).view(2, 1, 1), num_heads=4).flatten()
    tensor([1., 1., 2., 2.])
    """
    return x.repeat_interleave(num_heads // x.shape[-3], dim=-3)


def attention(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Average the values with the weights ``A = softmax(q @ k.T / sqrt(d_head))``: ``out = A @ v``.

    A query that may attend to nothing gets weights of zero and an output of zero (not NaN, in the gradient neither).
    Vaswani et al. (2017), section 3.2.1.

    Parameters
    ----------
    q : Tensor, shape (..., n_q, d_head)
    k : Tensor, shape (..., n_k, d_head)
    v : Tensor, shape (..., n_k, d_value)
    mask : Tensor, optional
        Boolean, True is "may attend": (n_q, n_k), or as many axes as q and broadcasting to (..., n_q, n_k). Of three
        axes beside four it could not be told whether the first counts sequences or heads: that is a ValueError. A
        causal mask is ``torch.ones(n, n).tril().bool()``.

    Returns
    -------
    out : Tensor, shape (..., n_q, d_value)
    weights : Tensor, shape (..., n_q, n_k)

    Examples
    --------
    >>> out, weights = attention(torch.ones(1, 2), torch.ones(4, 2), torch.arange(4.0)[:, None])
    >>> out, weights
    (tensor([[1.5000]]), tensor([[0.2500, 0.2500, 0.2500, 0.2500]]))
    """
    scores = q @ k.mT / math.sqrt(q.shape[-1])  # (..., n_q, n_k)
    if mask is None:
        weights = scores.softmax(-1)
    elif mask.ndim not in (2, scores.ndim):
        raise ValueError(f"mask must have 2 axes or the scores' {scores.ndim}, got shape {tuple(mask.shape)}")
    else:  # the lowest finite number, not -inf: a row of -inf alone is 0/0 in the softmax and in its gradient
        weights = scores.masked_fill(~mask, torch.finfo(scores.dtype).min).softmax(-1).masked_fill(~mask, 0.0)
    return weights @ v, weights


def feed_forward(
    x: Tensor,
    W_1: Tensor,
    W_2: Tensor,
    *,
    b_1: Tensor | None = None,
    b_2: Tensor | None = None,
    W_gate: Tensor | None = None,
    b_gate: Tensor | None = None,
    l_ff: Tensor | None = None,
) -> Tensor:
    """Compute ``(l_ff * h) @ W_2 + b_2`` with ``h = gelu(x @ W_1 + b_1)``.

    With W_gate the network is gated: ``h = gelu(x @ W_gate + b_gate) * (x @ W_1 + b_1)``.
    Liu et al. (2022), section 3.3; Shazeer (2020), equation 6 (GEGLU), for the gated form.

    Parameters
    ----------
    x : Tensor, shape (..., d_model)
    W_1, W_gate : Tensor, shape (d_ff, d_model)
    W_2 : Tensor, shape (d_model, d_ff)
    b_1, b_gate : Tensor, optional, shape (d_ff,)
    b_2 : Tensor, optional, shape (d_model,)
    l_ff : Tensor, optional, shape (d_ff,)
        None is a vector of ones.

    Returns
    -------
    Tensor, shape (..., d_model)

    Examples
    --------
    >>> feed_forward(torch.ones(1, 3), torch.ones(4, 3), torch.ones(3, 4), l_ff=torch.zeros(4))
    tensor([[0., 0., 0.]])
    """
    up = F.linear(x, W_1, b_1)  # (..., d_ff)
    h = gelu(up) if W_gate is None else gelu(F.linear(x, W_gate, b_gate)) * up
    return F.linear(h if l_ff is None else scale(h, l_ff), W_2, b_2)


def fold_output(weight: Tensor, bias: Tensor | None, l: Tensor) -> tuple[Tensor, Tensor | None]:
    """Fold a rescaling of a layer's output into the layer: ``l * (x @ W + b) = x @ (W diag(l)) + l * b``.

    W diag(l) scales the columns of W: torch stores (out, in), so here the *rows* of weight, and the bias.

    Parameters
    ----------
    weight : Tensor, shape (d_out, d_in)
    bias : Tensor or None, shape (d_out,)
    l : Tensor, shape (d_out,)

    Returns
    -------
    weight : Tensor, shape (d_out, d_in), dtype of weight
    bias : Tensor or None, shape (d_out,), dtype of bias

    Examples
    --------
    >>> fold_output(torch.ones(2, 1), torch.ones(2), torch.tensor([3.0, 0.5]))
    (tensor([[3.0000],
            [0.5000]]), tensor([3.0000, 0.5000]))
    """
    return scale(weight.mT, l).mT.contiguous(), None if bias is None else scale(bias, l)


def fold_input(weight: Tensor, l: Tensor) -> Tensor:
    """Fold a rescaling of a layer's input into the layer: ``(l * x) @ W + b = x @ (diag(l) W) + b``.

    diag(l) W scales the rows of W: torch stores (out, in), so here the *columns* of weight. The bias stays.

    Parameters
    ----------
    weight : Tensor, shape (d_out, d_in)
    l : Tensor, shape (d_in,)

    Returns
    -------
    Tensor, shape (d_out, d_in), dtype of weight

    Examples
    --------
    >>> fold_input(torch.ones(1, 2), torch.tensor([3.0, 0.5]))
    tensor([[3.0000, 0.5000]])
    """
    return scale(weight, l)
