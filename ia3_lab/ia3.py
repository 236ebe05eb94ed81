"""IA3 (Liu et al., 2022, section 3.3) as modules to read: attention with l_k and l_v, a feed-forward network with l_ff.

For a model that exists already, see `attach`, `detach` and `merge` of `ia3_lab.attach`.
"""

# ruff: noqa: E741 - l is the paper's letter for a rescaling vector
from typing import Self

import torch
from torch import Tensor, nn

from ia3_lab import adapters, attach, functional
from ia3_lab.transformer import FeedForward, MultiHeadAttention, TransformerBlock

#: vector -> the plain layer that it scales, and on which side of it
_PLACES = {"l_k": ("W_k", "output"), "l_v": ("W_v", "output"), "l_ff": ("W_2", "input")}


class _IA3(adapters.KeepsPrecision):
    """What the IA3 modules share: their vectors, freezing the rest, to and from the plain module."""

    plain_class: type[nn.Module]

    def ia3_parameters(self) -> dict[str, nn.Parameter]:
        """Return the vectors, each (d_kv,) or (d_ff,), by dotted name: "l_k" or, in a block, "attention.l_k"."""
        return {name: p for name, p in self.named_parameters() if name.rpartition(".")[2] in _PLACES}

    def freeze_base(self) -> attach.ParameterCount:
        """Train the vectors only; return the counts."""
        return attach.freeze_except(self, self.ia3_parameters())

    @classmethod
    def from_base(cls, plain: nn.Module) -> Self:
        """Return the IA3 module with a copy of the plain one's weights, and vectors of ones in at least float32.

        Raises
        ------
        TypeError
            If it is not the plain counterpart: another module's weights may fit in silence.
        """
        if type(plain) is not cls.plain_class:
            raise TypeError(f"expected a {cls.plain_class.__name__}, got a {type(plain).__name__}")
        module, state = _without_numbers(cls, plain), plain.state_dict()
        first = next(iter(state.values()))
        wide = torch.promote_types(first.dtype, torch.float32)
        ones = {
            name: torch.ones(l.shape, dtype=wide, device=first.device) for name, l in module.ia3_parameters().items()
        }
        return _filled(module, state | ones)

    def merge(self) -> nn.Module:
        """Return a plain module with the vectors folded into its weights; this one stays as it is.

        ``l * (x @ W + b)`` scales the rows of torch's (out, in) weight, and the bias; ``(l_ff * h) @ W_2`` the columns.

        Raises
        ------
        ValueError
            If a vector holds NaN or infinity, which would stay in the weights.
        """
        state = self.state_dict()
        for name in self.ia3_parameters():
            l, vector = state.pop(name), name.rpartition(".")[2]
            if not (l.is_meta or l.isfinite().all()):
                raise ValueError(f"{name} holds NaN or infinity and cannot be merged; did the training diverge?")
            layer, side = _PLACES[vector]
            layer = name.removesuffix(vector) + layer  # attention.l_k scales attention.W_k
            weight, bias = f"{layer}.weight", f"{layer}.bias"
            if side == "input":
                state[weight] = functional.fold_input(state[weight], l)
            else:
                state[weight], state[bias] = functional.fold_output(state[weight], state.get(bias), l)
        return _filled(_without_numbers(self.plain_class, self), state)


class IA3Attention(_IA3, MultiHeadAttention):
    """Attention whose keys and values are rescaled: ``softmax(q @ (l_k * k).T / sqrt(d_head)) @ (l_v * v)``.

    Its arguments are those of `MultiHeadAttention`. The parameters l_k and l_v have shape (d_kv,), with
    d_kv = num_kv_heads * d_head: under grouped queries a vector has fewer entries than d_model.

    Examples
    --------
    >>> print(IA3Attention(12, num_heads=3).freeze_base())
    24 trainable of 600 (4.0000%)
    """

    plain_class = MultiHeadAttention

    def __init__(self, d_model: int, num_heads: int, **sizes: int | bool | None) -> None:
        super().__init__(d_model, num_heads, **sizes)
        self.l_k, self.l_v = nn.Parameter(torch.ones(self.d_kv)), nn.Parameter(torch.ones(self.d_kv))

    def project(self, x: Tensor, context: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return queries (..., n_q, d_attn), and keys and values (..., n_k, d_kv), rescaled."""
        q, k, v = super().project(x, context)
        return q, functional.scale(k, self.l_k), functional.scale(v, self.l_v)


class IA3FeedForward(_IA3, FeedForward):
    """A feed-forward network whose hidden units are rescaled: ``(l_ff * h) @ W_2``.

    Its arguments are those of `FeedForward`; the parameter l_ff has shape (d_ff,). In a gated network h is the whole
    product ``gelu(x @ W_gate) * (x @ W_1)``: l_ff acts on the input of W_2.

    Examples
    --------
    >>> print(IA3FeedForward(4, 10).freeze_base())
    10 trainable of 90 (11.1111%)
    """

    plain_class = FeedForward

    def __init__(self, d_model: int, d_ff: int, **options: bool) -> None:
        super().__init__(d_model, d_ff, **options)
        self.l_ff = nn.Parameter(torch.ones(d_ff))

    def hidden(self, x: Tensor) -> Tensor:
        """Return the rescaled hidden units, shape (..., d_ff), of x, shape (..., d_model)."""
        return functional.scale(super().hidden(x), self.l_ff)


class IA3TransformerBlock(_IA3, TransformerBlock):
    """A pre-norm block with l_k and l_v in each attention and l_ff in the feed-forward network.

    A block has 2 d_kv + d_ff trained parameters, with cross-attention 4 d_kv + d_ff.

    Examples
    --------
    >>> print(IA3TransformerBlock(512, num_heads=8, d_ff=2048).freeze_base())
    3,072 trainable of 3,150,848 (0.0975%)
    """

    plain_class = TransformerBlock
    attention_class = IA3Attention
    feed_forward_class = IA3FeedForward


def _without_numbers(cls: type[nn.Module], like: nn.Module) -> nn.Module:
    """Return a module of like's sizes on the meta device, where it takes no memory and no random draw."""
    with torch.device("meta"):
        return cls(**like.sizes).train(like.training)


def _filled(module: nn.Module, state: dict[str, Tensor | None]) -> nn.Module:
    """Put copies of tensors, each of its parameter's shape (...), in the place of a module's parameters."""
    copies = {name: tensor.detach().clone() for name, tensor in state.items() if tensor is not None}
    module.load_state_dict(copies, assign=True)
    return module
