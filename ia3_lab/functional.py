"""Stateless maths on tensors: rescaling, attention, the feed-forward network, and folding a vector into a weight.

Vectors are rows and a layer is ``x @ W + b``, so W has shape (in, out) in every equation of this book. Torch stores the
transpose: ``nn.Linear.weight`` has shape (out, in). Wherever a weight is an argument here it is in torch's layout.
"""

# ruff: noqa: E741 - l is the paper's letter for a rescaling vector
import math
from itertools import zip_longest
from numbers import Integral

import torch
import torch.nn.functional as F
from torch import Tensor

gelu = F.gelu


def scale(x: Tensor, l: Tensor) -> Tensor:
    """Rescale the last axis of x entry by entry: ``y_i = l_i * x_i``, that is ``y = x @ diag(l)``.

    The product is computed in the wider of the two dtypes and rounded once to the dtype of x, so that a float32 vector
    can rescale bfloat16 activations.

    Parameters
    ----------
    x : Tensor, shape (..., d)
    l : Tensor, shape (d,)

    Returns
    -------
    Tensor, shape (..., d), dtype of x

    Raises
    ------
    TypeError
        If x or l is not a tensor, x holds integers, or l is complex and x is not.
    ValueError
        If l is not one-dimensional, its length is not the last size of x, or the two are on different devices.

    References
    ----------
    Liu et al. (2022), section 3.3: "element-wise multiplication with a learned vector".

    Examples
    --------
    >>> scale(torch.tensor([1.0, 1.0]), torch.tensor([1.8, 0.5]))
    tensor([1.8000, 0.5000])
    """
    _check_tensors(x=x, l=l)
    if not (x.is_floating_point() or x.is_complex()):
        raise TypeError(f"x must be floating point to be scaled, its dtype is {x.dtype}; use x.float()")
    if l.ndim != 1 or x.ndim == 0 or x.shape[-1] != l.shape[0]:
        raise ValueError(
            f"l must be one-dimensional with as many entries as the last axis of x: x has shape {tuple(x.shape)}, "
            f"l has shape {tuple(l.shape)}; l_k and l_v have d_kv entries, l_ff has d_ff"
        )
    if l.is_complex() and not x.is_complex():
        raise TypeError(f"l must be real to scale {x.dtype}, its dtype is {l.dtype}; use l.real")
    _check_device(x=x, l=l)
    return (x * l).to(x.dtype)


def split_heads(x: Tensor, num_heads: int) -> Tensor:
    """Cut the features into heads: (..., n, num_heads * d_head) becomes (..., num_heads, n, d_head).

    Head i takes the contiguous features ``i * d_head`` up to ``(i + 1) * d_head``.

    Raises
    ------
    ValueError
        If the last size of x is not a multiple of num_heads.

    Examples
    --------
    >>> split_heads(torch.zeros(2, 5, 12), num_heads=3).shape
    torch.Size([2, 3, 5, 4])
    """
    _check_tensors(x=x)
    if x.ndim < 2 or not _is_whole(num_heads) or num_heads < 1 or x.shape[-1] % num_heads:
        raise ValueError(
            f"x must have shape (..., n, num_heads * d_head): it has shape {tuple(x.shape)} and num_heads is "
            f"{num_heads!r}; choose a number of heads that divides the last size"
        )
    return x.unflatten(-1, (int(num_heads), -1)).transpose(-3, -2)


def merge_heads(x: Tensor) -> Tensor:
    """Put the heads side by side again, the inverse of `split_heads`: (..., h, n, d_head) becomes (..., n, h * d_head).

    Raises
    ------
    ValueError
        If x has fewer than three axes.

    Examples
    --------
    >>> merge_heads(torch.zeros(2, 3, 5, 4)).shape
    torch.Size([2, 5, 12])
    """
    _check_tensors(x=x)
    if x.ndim < 3:
        raise ValueError(f"x must have shape (..., h, n, d_head), it has shape {tuple(x.shape)}; see split_heads")
    return x.transpose(-3, -2).flatten(-2)


def repeat_kv(x: Tensor, num_heads: int) -> Tensor:
    """Give every query head its key or value head: (..., num_kv_heads, n, d) becomes (..., num_heads, n, d).

    Query head i reads key and value head ``i // (num_heads // num_kv_heads)`` (grouped-query attention).

    Raises
    ------
    ValueError
        If num_heads is not a multiple of the heads that x has.

    References
    ----------
    Ainslie et al. (2023), section 2.2.

    Examples
    --------
    >>> repeat_kv(torch.tensor([1.0, 2.0]).view(2, 1, 1), num_heads=4).flatten()
    tensor([1., 1., 2., 2.])
    """
    _check_tensors(x=x)
    if x.ndim < 3 or not _is_whole(num_heads) or num_heads < 1 or not x.shape[-3] or num_heads % x.shape[-3]:
        raise ValueError(
            f"num_heads must be a multiple of num_kv_heads: x has shape {tuple(x.shape)} (num_kv_heads is its third "
            f"axis from the end) and num_heads is {num_heads!r}"
        )
    groups = int(num_heads) // x.shape[-3]
    return x if groups == 1 else x.repeat_interleave(groups, dim=-3)


def causal_mask(n: int, device: torch.device | str | None = None) -> Tensor:
    """Return the boolean mask, shape (n, n), in which position i may attend to j <= i; True is "may attend".

    Examples
    --------
    >>> causal_mask(2)
    tensor([[ True, False],
            [ True,  True]])
    """
    if not _is_whole(n) or n < 0:
        raise ValueError(f"n must be a number of positions, an integer of at least 0, got {n!r}")
    return torch.ones(n, n, dtype=torch.bool, device=device).tril()


def padding_mask(keep: Tensor) -> Tensor:
    """Turn "which tokens are real", shape (batch, n_k), into a mask over keys, shape (batch, 1, 1, n_k).

    Combine it with others by ``&``: ``causal_mask(n) & padding_mask(keep)``.

    Raises
    ------
    TypeError
        If keep is not boolean.
    ValueError
        If keep is not two-dimensional.

    Examples
    --------
    >>> padding_mask(torch.tensor([[True, True, False]])).shape
    torch.Size([1, 1, 1, 3])
    """
    _check_tensors(keep=keep)
    if keep.dtype != torch.bool:
        raise TypeError(f"keep must be boolean (True is a real token), its dtype is {keep.dtype}; use keep.bool()")
    if keep.ndim != 2:
        raise ValueError(f"keep must have shape (batch, n_k), it has shape {tuple(keep.shape)}")
    return keep[:, None, None, :]


def attention(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Average the values with the weights ``A = softmax(q @ k.T / sqrt(d_head))``: ``out = A @ v``.

    A query that may attend to nothing gets weights of zero and an output of zero (not NaN, in the gradient neither).

    Parameters
    ----------
    q : Tensor, shape (..., n_q, d_head)
    k : Tensor, shape (..., n_k, d_head)
    v : Tensor, shape (..., n_k, d_value)
    mask : Tensor, optional
        Boolean, True is "may attend". Either (n_q, n_k), or as many axes as q and broadcastable to (..., n_q, n_k).

    Returns
    -------
    out : Tensor, shape (..., n_q, d_value)
    weights : Tensor, shape (..., n_q, n_k)

    Raises
    ------
    TypeError
        If mask is not boolean, or q, k and v are not floating point of one dtype.
    ValueError
        If the shapes do not fit, or the tensors are on different devices.

    References
    ----------
    Vaswani et al. (2017), section 3.2.1.

    Examples
    --------
    >>> out, weights = attention(torch.ones(1, 2), torch.ones(4, 2), torch.arange(4.0)[:, None])
    >>> out, weights
    (tensor([[1.5000]]), tensor([[0.2500, 0.2500, 0.2500, 0.2500]]))
    """
    _check_tensors(q=q, k=k, v=v)
    _check_attention(q.shape, k.shape, v.shape)
    _check_floating(q=q, k=k, v=v)
    _check_device(q=q, k=k, v=v)
    scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])
    if mask is None:
        weights = scores.softmax(-1)
    else:
        check_mask(mask, scores.shape)
        _check_device(q=q, mask=mask)
        # The lowest finite number, not -inf: a row of -inf alone is 0/0 in the softmax and in its gradient.
        weights = scores.masked_fill(~mask, torch.finfo(scores.dtype).min).softmax(-1).masked_fill(~mask, 0.0)
    return weights @ v, weights


def check_mask(mask: Tensor, shape: torch.Size) -> None:
    """Raise unless mask is boolean and broadcasts to the scores' shape (..., n_q, n_k) without a doubt.

    A three-dimensional mask over four-dimensional scores is refused: its first axis could mean batch or head.

    Examples
    --------
    >>> check_mask(causal_mask(3), torch.Size([2, 4, 3, 3]))
    """
    if not isinstance(mask, Tensor) or mask.dtype != torch.bool:
        came = mask.dtype if isinstance(mask, Tensor) else type(mask).__name__
        raise TypeError(
            f"mask must be a boolean tensor (True is 'may attend'), got {came}; use mask.bool() or mask == 0"
        )
    fits = mask.ndim in (1, 2, len(shape)) and mask.ndim <= len(shape)
    fits = fits and all(m in (1, s) for m, s in zip(reversed(mask.shape), reversed(shape), strict=False))
    if not fits:
        raise ValueError(
            f"mask must have shape (n_q, n_k), or {len(shape)} axes that broadcast to the scores' shape "
            f"{tuple(shape)}; it has shape {tuple(mask.shape)}; for a mask of real tokens (batch, n_k) use padding_mask"
        )


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

    Parameters
    ----------
    x : Tensor, shape (..., d_model)
    W_1, W_gate : Tensor, shape (d_ff, d_model)
        In torch's layout (out, in), as are all weights here. Without W_gate the network is not gated.
    W_2 : Tensor, shape (d_model, d_ff)
    b_1, b_gate : Tensor, optional, shape (d_ff,)
    b_2 : Tensor, optional, shape (d_model,)
    l_ff : Tensor, optional, shape (d_ff,)
        None is a vector of ones.

    Returns
    -------
    Tensor, shape (..., d_model)

    Raises
    ------
    TypeError
        If a given array is not a tensor, or they are not floating point of one dtype.
    ValueError
        If the shapes do not fit, the devices differ, or b_gate comes without W_gate.

    References
    ----------
    Liu et al. (2022), section 3.3; Shazeer (2020), equation 6 (GEGLU) for the gated form.

    Examples
    --------
    >>> feed_forward(torch.ones(1, 3), torch.ones(4, 3), torch.ones(3, 4), l_ff=torch.zeros(4))
    tensor([[0., 0., 0.]])
    """
    _check_feed_forward(x, {"W_1": W_1, "W_2": W_2, "b_1": b_1, "b_2": b_2, "W_gate": W_gate, "b_gate": b_gate})
    up = F.linear(x, W_1, b_1)
    hidden = gelu(up) if W_gate is None else gelu(F.linear(x, W_gate, b_gate)) * up
    return F.linear(hidden if l_ff is None else scale(hidden, l_ff), W_2, b_2)


def fold_output(weight: Tensor, bias: Tensor | None, l: Tensor) -> tuple[Tensor, Tensor | None]:
    """Fold a rescaling of a layer's output into the layer: ``l * (x @ W + b) = x @ (W diag(l)) + l * b``.

    W diag(l) scales the columns of W. Torch stores (out, in), so here the *rows* of weight are scaled; the bias
    too.

    Parameters
    ----------
    weight : Tensor, shape (d_out, d_in)
    bias : Tensor or None, shape (d_out,)
    l : Tensor, shape (d_out,)

    Returns
    -------
    weight : Tensor, shape (d_out, d_in), dtype of weight
    bias : Tensor or None, shape (d_out,), dtype of bias

    Raises
    ------
    ValueError
        If the shapes do not fit or l holds NaN or infinity.

    Examples
    --------
    >>> fold_output(torch.ones(2, 1), torch.ones(2), torch.tensor([3.0, 0.5]))
    (tensor([[3.0000],
            [0.5000]]), tensor([3.0000, 0.5000]))
    """
    _check_fold(weight, l, axis=0)
    if bias is not None:
        _check_tensors(bias=bias)
    if bias is not None and bias.shape != l.shape:
        raise ValueError(f"bias must have the shape of l, {tuple(l.shape)}, it has shape {tuple(bias.shape)}")
    return scale(weight.mT, l).mT.contiguous(), None if bias is None else scale(bias, l)


def fold_input(weight: Tensor, l: Tensor) -> Tensor:
    """Fold a rescaling of a layer's input into the layer: ``(l * x) @ W + b = x @ (diag(l) W) + b``.

    diag(l) W scales the rows of W. Torch stores (out, in), so here the *columns* of weight are scaled. The bias stays.

    Parameters
    ----------
    weight : Tensor, shape (d_out, d_in)
    l : Tensor, shape (d_in,)

    Returns
    -------
    Tensor, shape (d_out, d_in), dtype of weight

    Raises
    ------
    ValueError
        If the shapes do not fit or l holds NaN or infinity.

    Examples
    --------
    >>> fold_input(torch.ones(1, 2), torch.tensor([3.0, 0.5]))
    tensor([[3.0000, 0.5000]])
    """
    _check_fold(weight, l, axis=1)
    return scale(weight, l)


def check_finite(l: Tensor, name: str = "l") -> None:
    """Raise a ValueError if l holds NaN or infinity; a tensor on the meta device has no values and passes.

    Examples
    --------
    >>> check_finite(torch.ones(3))
    """
    _check_tensors(**{name: l})
    if l.is_meta or torch.isfinite(l).all():
        return
    bad = (~torch.isfinite(l)).nonzero()
    raise ValueError(
        f"{name} must be finite to be folded into a weight: {len(bad)} of its {l.numel()} entries are NaN or infinite, "
        f"the first at index {tuple(bad[0].tolist())}; training has diverged, so go back to an earlier "
        "vector or lower the learning rate"
    )


def _check_tensors(**values: Tensor) -> None:
    for name, value in values.items():
        if not isinstance(value, Tensor):
            raise TypeError(f"{name} must be a torch tensor, got {type(value).__name__}; use torch.tensor(...)")


def _check_floating(**values: Tensor) -> None:
    """Raise unless all are real floating-point tensors, of one dtype where autocast does not see to that itself."""
    first = next(iter(values.values()))
    mixed = len({value.dtype for value in values.values()}) > 1
    if not all(value.is_floating_point() for value in values.values()) or (
        mixed and not torch.is_autocast_enabled(first.device.type)
    ):
        dtypes = ", ".join(f"{name} {value.dtype}" for name, value in values.items())
        raise TypeError(f"{', '.join(values)} must be floating point of one dtype, got {dtypes}; use .to(dtype)")


def _check_device(**values: Tensor) -> None:
    if len({value.device for value in values.values()}) > 1:
        places = ", ".join(f"{name} on {value.device}" for name, value in values.items())
        raise ValueError(f"{', '.join(values)} must be on one device, got {places}; move them there with .to(device)")


def _is_whole(value: object) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)


def _check_feed_forward(x: Tensor, arrays: dict[str, Tensor | None]) -> None:
    given = {"x": x} | {name: array for name, array in arrays.items() if array is not None or name in ("W_1", "W_2")}
    _check_tensors(**given)
    if "b_gate" in given and "W_gate" not in given:
        raise ValueError("b_gate is the bias of W_gate, which was not given; give both, or neither")
    d_ff, d_model = given["W_1"].shape if given["W_1"].ndim == 2 else (-1, -1)
    expected = {"W_1": (d_ff, d_model), "W_2": (d_model, d_ff), "b_1": (d_ff,), "b_2": (d_model,)}
    expected |= {"W_gate": (d_ff, d_model), "b_gate": (d_ff,)}
    fits = x.ndim > 0 and x.shape[-1] == d_model
    if not fits or any(tuple(given[name].shape) != expected[name] for name in given if name != "x"):
        raise ValueError(
            "x (..., d_model), W_1 and W_gate (d_ff, d_model), W_2 (d_model, d_ff), b_1 and b_gate (d_ff,) and "
            "b_2 (d_model,) must share d_model and d_ff: "
            f"{', '.join(f'{name} {tuple(array.shape)}' for name, array in given.items())}; "
            "torch stores a weight as (out, in)"
        )
    _check_floating(**given)
    _check_device(**given)


def _check_attention(q: torch.Size, k: torch.Size, v: torch.Size) -> None:
    fits = min(map(len, (q, k, v))) >= 2 and q[-1] == k[-1] > 0 and k[-2] == v[-2]
    leading = zip_longest(*(reversed(shape[:-2]) for shape in (q, k, v)), fillvalue=1)
    if not fits or any(len({*sizes} - {1}) > 1 for sizes in leading):
        raise ValueError(
            f"q (..., n_q, d), k (..., n_k, d) and v (..., n_k, d_value) must share d and n_k, "
            f"d must be at least 1, and the axes before must agree: q {tuple(q)}, k {tuple(k)}, v {tuple(v)}"
        )


def _check_fold(weight: Tensor, l: Tensor, axis: int) -> None:
    _check_tensors(weight=weight, l=l)
    if weight.ndim != 2 or l.ndim != 1 or weight.shape[axis] != l.shape[0]:
        side, size = ("output", "d_out") if axis == 0 else ("input", "d_in")
        raise ValueError(
            f"to fold on the {side} side, weight must have shape (d_out, d_in) and l shape ({size},): "
            f"weight has shape {tuple(weight.shape)}, l has shape {tuple(l.shape)}; torch stores a weight as (out, in)"
        )
    if not weight.is_floating_point():
        raise TypeError(f"weight must be floating point to be scaled, its dtype is {weight.dtype}; dequantize it first")
    _check_device(weight=weight, l=l)
    check_finite(l)
