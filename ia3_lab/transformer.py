"""The plain transformer that the book uses: multi-head attention, a feed-forward network, a pre-norm block.

It knows nothing of adapters. Biases are off by default, as in T5 and LLaMA; ``bias=True`` gives GPT-2's and BERT's.
"""

from torch import Tensor, nn

from ia3_lab import functional


class MultiHeadAttention(nn.Module):
    """Attention in several heads: ``concat_i softmax(q_i @ k_i.T / sqrt(d_head)) @ v_i`` times W_o.

    Vaswani et al. (2017), section 3.2.2; Ainslie et al. (2023), section 2.2, for grouped queries.

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
        if d_head is None and d_model % num_heads:  # // would round in silence
            raise ValueError(f"num_heads={num_heads} must divide d_model={d_model}; change one of them, or give d_head")
        self.sizes = {"d_model": d_model, "num_heads": num_heads, "num_kv_heads": num_kv_heads, "d_head": d_head}
        self.sizes["bias"] = bias  # the arguments that build a module like this one
        self.num_heads, self.num_kv_heads = num_heads, num_heads if num_kv_heads is None else num_kv_heads
        self.d_head = d_model // num_heads if d_head is None else d_head
        self.d_attn, self.d_kv = self.num_heads * self.d_head, self.num_kv_heads * self.d_head
        self.W_q = nn.Linear(d_model, self.d_attn, bias=bias)
        self.W_k = nn.Linear(d_model, self.d_kv, bias=bias)
        self.W_v = nn.Linear(d_model, self.d_kv, bias=bias)
        self.W_o = nn.Linear(self.d_attn, d_model, bias=bias)

    def project(self, x: Tensor, context: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return queries (..., n_q, d_attn) of x, and keys and values (..., n_k, d_kv) of context."""
        return self.W_q(x), self.W_k(context), self.W_v(context)

    def forward(
        self, x: Tensor, context: Tensor | None = None, *, mask: Tensor | None = None, return_weights: bool = False
    ) -> Tensor | tuple[Tensor, Tensor]:
        """Attend from x to context (cross-attention), or to x itself.

        Parameters
        ----------
        x : Tensor, shape (batch, n_q, d_model)
        context : Tensor, optional, shape (batch, n_k, d_model)
        mask : Tensor, optional
            Boolean, True is "may attend"; (n_q, n_k), or broadcasting to (batch, num_heads, n_q, n_k).
        return_weights : bool
            Whether to return the attention weights too.

        Returns
        -------
        out : Tensor, shape (batch, n_q, d_model)
        weights : Tensor, shape (batch, num_heads, n_q, n_k)
            Only if return_weights.
        """
        q, k, v = self.project(x, x if context is None else context)
        q = functional.split_heads(q, self.num_heads)  # (batch, num_heads, n_q, d_head)
        k = functional.repeat_kv(functional.split_heads(k, self.num_kv_heads), self.num_heads)
        v = functional.repeat_kv(functional.split_heads(v, self.num_kv_heads), self.num_heads)
        heads, weights = functional.attention(q, k, v, mask)
        out = self.W_o(functional.merge_heads(heads))
        return (out, weights) if return_weights else out


class FeedForward(nn.Module):
    """The position-wise network ``h @ W_2`` with ``h = gelu(x @ W_1)``, or gated ``h = gelu(x @ W_gate) * (x @ W_1)``.

    Vaswani et al. (2017), section 3.3; Shazeer (2020), equation 6, for the gated form.

    Parameters
    ----------
    d_model, d_ff : int
        Size of the input and output, and number of hidden units.
    gated : bool
        Whether a third matrix, W_gate, multiplies the hidden units (GEGLU).
    bias : bool
        Whether the matrices have biases.
    """

    def __init__(self, d_model: int, d_ff: int, *, gated: bool = False, bias: bool = False) -> None:
        super().__init__()
        self.sizes = {"d_model": d_model, "d_ff": d_ff, "gated": gated, "bias": bias}
        self.W_1 = nn.Linear(d_model, d_ff, bias=bias)
        self.W_gate = nn.Linear(d_model, d_ff, bias=bias) if gated else None
        self.W_2 = nn.Linear(d_ff, d_model, bias=bias)

    def hidden(self, x: Tensor) -> Tensor:
        """Return the hidden units h, the input of W_2, shape (..., d_ff), of x, shape (..., d_model)."""
        up = self.W_1(x)
        return functional.gelu(up) if self.W_gate is None else functional.gelu(self.W_gate(x)) * up

    def forward(self, x: Tensor) -> Tensor:
        """Map x (..., d_model) to (..., d_model), each position alone."""
        return self.W_2(self.hidden(x))


class TransformerBlock(nn.Module):
    """A pre-norm block: ``x = x + attention(norm_1(x))``, then ``x = x + feed_forward(norm_2(x))``.

    Between the two, a block with cross_attention, as a decoder has, adds ``cross_attention(norm_cross(x), context)``.
    Vaswani et al. (2017), section 3.1; Radford et al. (2019), section 2.3, for the norm before each part.
    The other arguments are those of `MultiHeadAttention` and `FeedForward`.
    """

    attention_class: type[MultiHeadAttention] = MultiHeadAttention
    feed_forward_class: type[FeedForward] = FeedForward

    def __init__(
        self,
        d_model: int,
        num_heads: int,
        d_ff: int,
        *,
        gated: bool = False,
        bias: bool = False,
        cross_attention: bool = False,
        **heads: int | None,
    ) -> None:
        super().__init__()
        self.norm_1 = nn.LayerNorm(d_model)
        self.attention = self.attention_class(d_model, num_heads, bias=bias, **heads)
        if cross_attention:
            self.norm_cross = nn.LayerNorm(d_model)
            self.cross_attention = self.attention_class(d_model, num_heads, bias=bias, **heads)
        self.norm_2 = nn.LayerNorm(d_model)
        self.feed_forward = self.feed_forward_class(d_model, d_ff, gated=gated, bias=bias)
        self.sizes = self.attention.sizes | self.feed_forward.sizes | {"cross_attention": cross_attention}

    def forward(
        self,
        x: Tensor,
        *,
        mask: Tensor | None = None,
        context: Tensor | None = None,
        context_mask: Tensor | None = None,
    ) -> Tensor:
        """Map x (batch, n, d_model) to the same shape; context (batch, n_context, d_model) is a decoder's other input.

        Masks are boolean, True is "may attend".
        """
        if (context is None) == self.sizes["cross_attention"]:
            raise ValueError("a context must be given where the block has cross_attention=True, and nowhere else")
        x = x + self.attention(self.norm_1(x), mask=mask)
        if context is not None:
            x = x + self.cross_attention(self.norm_cross(x), context, mask=context_mask)
        return x + self.feed_forward(self.norm_2(x))
