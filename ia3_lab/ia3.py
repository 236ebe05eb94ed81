"""IA3 as modules to read: attention with l_k and l_v, a feed-forward network with l_ff, and the block of both.

For a model that exists already, use `attach`, `detach` and `merge` of `ia3_lab.scaled_linear`, re-exported here.
"""

from typing import ClassVar, Self

import torch
from torch import Tensor, nn

from ia3_lab import functional, surgery, wrapping
from ia3_lab.scaled_linear import ScaledLinear, attach, detach, merge, scaled_parameters
from ia3_lab.transformer import FeedForward, MultiHeadAttention, TransformerBlock

__all__ = [
    "IA3Attention",
    "IA3FeedForward",
    "IA3TransformerBlock",
    "ScaledLinear",
    "attach",
    "detach",
    "merge",
    "scaled_parameters",
]


class _Rescaled(wrapping.KeepsPrecision):
    """What the IA3 modules share: finding their vectors, freezing the rest, going to and from the plain module."""

    plain_class: ClassVar[type[nn.Module]]
    vectors: ClassVar[tuple[str, ...]] = ()

    def ia3_parameters(self) -> dict[str, nn.Parameter]:
        """Return the vectors by dotted name, such as ``"l_k"`` or, in a block, ``"attention.l_k"``."""
        return {
            f"{name}.{vector}".lstrip("."): getattr(module, vector)
            for name, module in self.named_modules()
            if isinstance(module, _Rescaled)
            for vector in module.vectors
        }

    def freeze_base(self) -> surgery.ParameterCount:
        """Train the vectors only; which parameters they are goes by identity. Return the counts."""
        return surgery.freeze_except(self, self.ia3_parameters())

    def merge(self) -> nn.Module:
        """Return a plain module with the vectors folded into its weights; this one stays as it is.

        Keys and values: ``l * (x @ W + b)`` scales the rows of torch's (out, in) weight, and the bias. Hidden units:
        ``(l_ff * h) @ W_2`` scales the columns of W_2's weight and leaves its bias.

        Raises
        ------
        ValueError
            If a vector holds NaN or infinity, or a layer carries an attached adapter of its own.
        """
        _refuse_attached(self)
        state = {name: tensor.detach().clone() for name, tensor in self.state_dict().items()}
        for name in self.ia3_parameters():
            prefix, _, vector = name.rpartition("l_")
            functional.check_finite(state[name], name)
            layer, gains = f"{prefix}W_{'2' if vector == 'ff' else vector}", state.pop(name)
            weight, bias = state[f"{layer}.weight"], state.get(f"{layer}.bias")
            if vector == "ff":
                state[f"{layer}.weight"] = functional.fold_input(weight, gains)
                continue
            state[f"{layer}.weight"], bias = functional.fold_output(weight, bias, gains)
            if bias is not None:
                state[f"{layer}.bias"] = bias
        plain = _empty(self.plain_class, self)
        plain.load_state_dict(state, assign=True)
        return plain

    @classmethod
    def from_base(cls, plain: nn.Module) -> Self:
        """Return the IA3 module with the weights of a plain one, copied, and vectors of ones.

        Raises
        ------
        TypeError
            If plain is not the plain counterpart.
        ValueError
            If a layer of plain carries an attached adapter.
        """
        if type(plain) is not cls.plain_class:
            came = f"the class {plain.__name__}" if isinstance(plain, type) else f"a {type(plain).__name__}"
            raise TypeError(
                f"expected a {cls.plain_class.__name__}, got {came}; build one, or merge() what has vectors already"
            )
        _refuse_attached(plain)
        state = {name: tensor.detach().clone() for name, tensor in plain.state_dict().items()}
        module, first = _empty(cls, plain), next(iter(state.values()))
        for name, vector in module.ia3_parameters().items():
            dtype = torch.promote_types(first.dtype, torch.float32)
            state[name] = torch.ones(vector.shape, dtype=dtype, device=first.device)
        module.load_state_dict(state, assign=True)
        return module


class IA3Attention(_Rescaled, MultiHeadAttention):
    """Attention whose keys and values are rescaled: ``softmax(q @ (l_k * k).T / sqrt(d_head)) @ (l_v * v)``.

    Parameters
    ----------
    d_model, num_heads : int
        As for `ia3_lab.transformer.MultiHeadAttention`, which also explains num_kv_heads, d_head and bias.

    Attributes
    ----------
    l_k, l_v : nn.Parameter, shape (d_kv,)
        d_kv = num_kv_heads * d_head: under grouped queries a vector has fewer entries than d_model. Kept at float32 or
        wider by ``.to(dtype)``.

    References
    ----------
    Liu et al. (2022), section 3.3.

    Examples
    --------
    >>> print(IA3Attention(12, num_heads=3).freeze_base())
    24 trainable of 600 (4.0000%)
    """

    plain_class = MultiHeadAttention
    vectors = ("l_k", "l_v")

    def __init__(
        self,
        d_model: int,
        num_heads: int,
        *,
        num_kv_heads: int | None = None,
        d_head: int | None = None,
        bias: bool = False,
    ) -> None:
        super().__init__(d_model, num_heads, num_kv_heads=num_kv_heads, d_head=d_head, bias=bias)
        self.l_k = nn.Parameter(torch.ones(self.d_kv))
        self.l_v = nn.Parameter(torch.ones(self.d_kv))

    def project(self, x: Tensor, context: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return queries (..., n_q, d_attn), and keys and values (..., n_k, d_kv), rescaled."""
        q, k, v = super().project(x, context)
        return q, functional.scale(k, self.l_k), functional.scale(v, self.l_v)


class IA3FeedForward(_Rescaled, FeedForward):
    """A feed-forward network whose hidden units are rescaled: ``(l_ff * h) @ W_2``.

    In a gated network h is the whole product ``gelu(x @ W_gate) * (x @ W_1)``: l_ff acts on the input of W_2.

    Parameters
    ----------
    d_model, d_ff : int
        As for `ia3_lab.transformer.FeedForward`, which also explains gated and bias.

    Attributes
    ----------
    l_ff : nn.Parameter, shape (d_ff,)

    References
    ----------
    Liu et al. (2022), section 3.3.

    Examples
    --------
    >>> print(IA3FeedForward(4, 10).freeze_base())
    10 trainable of 90 (11.1111%)
    """

    plain_class = FeedForward
    vectors = ("l_ff",)

    def __init__(self, d_model: int, d_ff: int, *, gated: bool = False, bias: bool = False) -> None:
        super().__init__(d_model, d_ff, gated=gated, bias=bias)
        self.l_ff = nn.Parameter(torch.ones(d_ff))

    def hidden(self, x: Tensor) -> Tensor:
        """Return the rescaled hidden units, shape (..., d_ff)."""
        return functional.scale(super().hidden(x), self.l_ff)


class IA3TransformerBlock(_Rescaled, TransformerBlock):
    """A pre-norm block with l_k and l_v in each attention and l_ff in the feed-forward network.

    A block has 2 d_kv + d_ff trained parameters, with cross-attention 4 d_kv + d_ff.

    Parameters
    ----------
    d_model, num_heads, d_ff : int
        As for `ia3_lab.transformer.TransformerBlock`, which also explains the other arguments.

    References
    ----------
    Liu et al. (2022), section 3.3.

    Examples
    --------
    >>> print(IA3TransformerBlock(512, num_heads=8, d_ff=2048).freeze_base())
    3,072 trainable of 3,150,848 (0.0975%)
    """

    plain_class = TransformerBlock
    attention_class = IA3Attention
    feed_forward_class = IA3FeedForward


def _refuse_attached(module: nn.Module) -> None:
    attached = [name for name, part in module.named_modules() if isinstance(part, wrapping.Wrapper)]
    if attached:
        raise ValueError(f"expected plain layers, but {attached} carry attached adapters; merge or detach those first")


def _empty(cls: type[nn.Module], like: nn.Module) -> nn.Module:
    """Return a module of like's sizes without numbers: on the meta device, so no memory and no random draw is spent."""
    with torch.device("meta"):
        return cls(**like.arguments()).train(like.training)
