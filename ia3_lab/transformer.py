"""The plain transformer that the book uses: multi-head attention, a feed-forward network, a pre-norm block.

It knows nothing of adapters. Biases are off by default, as in T5 and LLaMA; ``bias=True`` gives GPT-2's and BERT's.
"""

from numbers import Integral
from typing import Any

from torch import Tensor, nn

from ia3_lab import functional


class MultiHeadAttention(nn.Module):
    """Attention in several heads: ``concat_i softmax(q_i @ k_i.T / sqrt(d_head)) @ v_i`` times W_o.

    Parameters
    ----------
    d_model : int
        Size of the input and output.
    num_heads : int
        Query heads.
    num_kv_heads : int, optional
        Key and value heads (grouped-query attention); num_heads if None.
    d_head : int, optional
        Size of a head; d_model // num_heads if None. num_heads * d_head need not be d_model.
    bias : bool
        Whether the four projections have biases.

    Raises
    ------
    TypeError
        If a size is not an integer, or bias is not True or False.
    ValueError
        If the sizes are not positive or do not divide.

    References
    ----------
    Vaswani et al. (2017), section 3.2.2; Ainslie et al. (2023), section 2.2, for grouped queries.

    Examples
    --------
    >>> import torch
    >>> MultiHeadAttention(12, num_heads=6, num_kv_heads=2)(torch.zeros(1, 5, 12)).shape
    torch.Size([1, 5, 12])
    """

    def __init__(
        self,
        d_model: int,
        num_heads: int,
        *,
        num_kv_heads: int | None = None,
        d_head: int | None = None,
        bias: bool = False,
    ) -> None:
        super().__init__()
        num_kv_heads = num_heads if num_kv_heads is None else num_kv_heads
        _check_sizes(d_model=d_model, num_heads=num_heads, num_kv_heads=num_kv_heads)
        _check_switches(bias=bias)
        if d_head is None and d_model % num_heads:
            raise ValueError(
                f"d_model must be divisible by num_heads, got d_model={d_model} and num_heads={num_heads}; "
                "change one of them, or give d_head"
            )
        if num_heads % num_kv_heads:
            raise ValueError(
                f"num_heads must be divisible by num_kv_heads, got num_heads={num_heads} and "
                f"num_kv_heads={num_kv_heads}; each key and value head serves a group of query heads of one size"
            )
        self.d_model, self.num_heads, self.num_kv_heads = d_model, num_heads, num_kv_heads
        self.d_head = d_model // num_heads if d_head is None else d_head
        _check_sizes(d_head=self.d_head)
        self.d_attn, self.d_kv = num_heads * self.d_head, num_kv_heads * self.d_head
        self.bias = bias
        self.W_q = nn.Linear(d_model, self.d_attn, bias=bias)
        self.W_k = nn.Linear(d_model, self.d_kv, bias=bias)
        self.W_v = nn.Linear(d_model, self.d_kv, bias=bias)
        self.W_o = nn.Linear(self.d_attn, d_model, bias=bias)

    def project(self, x: Tensor, context: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return queries (..., n_q, d_attn) of x, and keys and values (..., n_k, d_kv) of context."""
        return self.W_q(x), self.W_k(context), self.W_v(context)

    def forward(
        self,
        x: Tensor,
        context: Tensor | None = None,
        *,
        mask: Tensor | None = None,
        return_weights: bool = False,
    ) -> Tensor | tuple[Tensor, Tensor]:
        """Attend from x to context (cross-attention), or to x itself.

        Parameters
        ----------
        x : Tensor, shape (batch, n_q, d_model)
        context : Tensor, optional, shape (batch, n_k, d_model)
        mask : Tensor, optional
            Boolean, True is "may attend"; (n_q, n_k) or broadcastable to (batch, num_heads, n_q, n_k).
        return_weights : bool
            Whether to return the attention weights too.

        Returns
        -------
        out : Tensor, shape (batch, n_q, d_model)
        weights : Tensor, shape (batch, num_heads, n_q, n_k)
            Only if return_weights.
        """
        context = x if context is None else context
        _check_input("x", x, self.d_model, axes=2)
        _check_input("context", context, self.d_model, axes=2)
        if x.shape[:-2] != context.shape[:-2]:
            raise ValueError(
                f"x and context must share one batch size, got x with shape {tuple(x.shape)} and context with "
                f"{tuple(context.shape)}; expand the smaller one"
            )
        q, k, v = self.project(x, context)
        q = functional.split_heads(q, self.num_heads)  # (batch, num_heads, n_q, d_head)
        k = functional.repeat_kv(functional.split_heads(k, self.num_kv_heads), self.num_heads)
        v = functional.repeat_kv(functional.split_heads(v, self.num_kv_heads), self.num_heads)
        heads, weights = functional.attention(q, k, v, mask)
        out = self.W_o(functional.merge_heads(heads))
        return (out, weights) if return_weights else out

    def arguments(self) -> dict[str, Any]:
        """Return the arguments that build a module of this shape."""
        names = ("d_model", "num_heads", "num_kv_heads", "d_head", "bias")
        return {name: getattr(self, name) for name in names}


class FeedForward(nn.Module):
    """The position-wise network ``h @ W_2`` with ``h = gelu(x @ W_1)``, or gated ``h = gelu(x @ W_gate) * (x @ W_1)``.

    Parameters
    ----------
    d_model : int
        Size of the input and output.
    d_ff : int
        Number of hidden units.
    gated : bool
        Whether a third matrix, W_gate, multiplies the hidden units (GEGLU).
    bias : bool
        Whether the matrices have biases.

    Raises
    ------
    ValueError
        If the sizes are not positive.

    References
    ----------
    Vaswani et al. (2017), section 3.3; Shazeer (2020), equation 6, for the gated form.

    Examples
    --------
    >>> import torch
    >>> FeedForward(4, 10)(torch.zeros(1, 5, 4)).shape
    torch.Size([1, 5, 4])
    """

    def __init__(self, d_model: int, d_ff: int, *, gated: bool = False, bias: bool = False) -> None:
        super().__init__()
        _check_sizes(d_model=d_model, d_ff=d_ff)
        _check_switches(gated=gated, bias=bias)
        self.d_model, self.d_ff, self.gated, self.bias = d_model, d_ff, gated, bias
        self.W_1 = nn.Linear(d_model, d_ff, bias=bias)
        if gated:
            self.W_gate = nn.Linear(d_model, d_ff, bias=bias)
        self.W_2 = nn.Linear(d_ff, d_model, bias=bias)

    def hidden(self, x: Tensor) -> Tensor:
        """Return the hidden units h, the input of W_2, shape (..., d_ff)."""
        if self.gated:
            return functional.gelu(self.W_gate(x)) * self.W_1(x)
        return functional.gelu(self.W_1(x))

    def forward(self, x: Tensor) -> Tensor:
        """Map x (..., d_model) to (..., d_model), each position alone."""
        _check_input("x", x, self.d_model, axes=1)
        return self.W_2(self.hidden(x))

    def arguments(self) -> dict[str, Any]:
        """Return the arguments that build a module of this shape."""
        return {name: getattr(self, name) for name in ("d_model", "d_ff", "gated", "bias")}


class TransformerBlock(nn.Module):
    """A pre-norm block: ``x = x + attention(norm_1(x))``, then ``x = x + feed_forward(norm_2(x))``.

    Between the two, a decoder's block adds ``cross_attention(norm_cross(x), context)``.

    Parameters
    ----------
    d_model, num_heads, d_ff : int
        See `MultiHeadAttention` and `FeedForward`, as for num_kv_heads, d_head, gated and bias.
    cross_attention : bool
        Whether the block also attends to a context, as a decoder's block does.

    References
    ----------
    Vaswani et al. (2017), section 3.1; Radford et al. (2019), section 2.3, for the norm before each part.

    Examples
    --------
    >>> import torch
    >>> TransformerBlock(12, num_heads=3, d_ff=20)(torch.zeros(1, 5, 12)).shape
    torch.Size([1, 5, 12])
    """

    attention_class: type[MultiHeadAttention] = MultiHeadAttention
    feed_forward_class: type[FeedForward] = FeedForward

    def __init__(
        self,
        d_model: int,
        num_heads: int,
        d_ff: int,
        *,
        num_kv_heads: int | None = None,
        d_head: int | None = None,
        gated: bool = False,
        bias: bool = False,
        cross_attention: bool = False,
    ) -> None:
        super().__init__()
        _check_sizes(d_model=d_model, num_heads=num_heads, d_ff=d_ff)
        _check_switches(cross_attention=cross_attention)
        sizes = {"num_kv_heads": num_kv_heads, "d_head": d_head, "bias": bias}
        self.norm_1 = nn.LayerNorm(d_model)
        self.attention = self.attention_class(d_model, num_heads, **sizes)
        if cross_attention:
            self.norm_cross = nn.LayerNorm(d_model)
            self.cross_attention = self.attention_class(d_model, num_heads, **sizes)
        self.norm_2 = nn.LayerNorm(d_model)
        self.feed_forward = self.feed_forward_class(d_model, d_ff, gated=gated, bias=bias)
        self.has_cross_attention = cross_attention

    def forward(
        self,
        x: Tensor,
        *,
        mask: Tensor | None = None,
        context: Tensor | None = None,
        context_mask: Tensor | None = None,
    ) -> Tensor:
        """Map x (batch, n, d_model) to the same shape.

        Parameters
        ----------
        x : Tensor, shape (batch, n, d_model)
        mask : Tensor, optional
            Boolean mask of the self-attention, True is "may attend".
        context : Tensor, shape (batch, n_context, d_model)
            What the cross-attention reads; given exactly when the block has one.
        context_mask : Tensor, optional
            Boolean mask of the cross-attention.

        Raises
        ------
        ValueError
            If context is missing, or given to a block without cross-attention.
        """
        if (context is not None) != self.has_cross_attention or (context is None and context_mask is not None):
            raise ValueError(
                f"expected {'a' if self.has_cross_attention else 'no'} context because the block has cross_attention="
                f"{self.has_cross_attention}, got context={'a tensor' if context is not None else None} and "
                f"context_mask={'a tensor' if context_mask is not None else None}; pass what the block was built for"
            )
        _check_input("x", x, self.attention.d_model, axes=2)
        x = x + self.attention(self.norm_1(x), mask=mask)
        if context is not None:
            x = x + self.cross_attention(self.norm_cross(x), context, mask=context_mask)
        return x + self.feed_forward(self.norm_2(x))

    def arguments(self) -> dict[str, Any]:
        """Return the arguments that build a module of this shape."""
        arguments = {**self.attention.arguments(), **self.feed_forward.arguments()}
        return {**arguments, "cross_attention": self.has_cross_attention}


def _check_sizes(**sizes: int) -> None:
    for name, size in sizes.items():
        if not isinstance(size, Integral) or isinstance(size, bool):
            raise TypeError(f"{name} must be an integer, got {size!r}")
        if size < 1:
            raise ValueError(f"{name} must be at least 1, got {size}")


def _check_switches(**switches: bool) -> None:
    for name, value in switches.items():
        if not isinstance(value, bool):  # a word such as "no" would count as yes
            raise TypeError(f"{name} must be True or False, got {value!r}")


def _check_input(name: str, x: Tensor, d_model: int, axes: int) -> None:
    if not isinstance(x, Tensor) or not x.is_floating_point():
        came = x.dtype if isinstance(x, Tensor) else type(x).__name__
        raise TypeError(
            f"{name} must be a floating-point tensor, got {came}; token numbers go through an embedding first"
        )
    if x.ndim < axes or x.shape[-1] != d_model:
        shape = "(..., n, d_model)" if axes == 2 else "(..., d_model)"
        raise ValueError(
            f"{name} must have shape {shape} with d_model={d_model}, it has shape {tuple(x.shape)}; "
            "the features are the last axis"
        )
