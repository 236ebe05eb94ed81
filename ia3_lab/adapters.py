"""What wraps one linear layer: IA3's rescaling vector and, for comparison, LoRA's low-rank update.

An adapter keeps the layer in ``base``. It acts on what goes in (`Adapter.before`) and on what comes out
(`Adapter.after`), and it folds into a weight (`Adapter.fold`). For a whole model see `ia3_lab.attach`.
"""

import inspect
import math
from collections.abc import Callable
from typing import Any, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils._pytree import tree_flatten, tree_unflatten

from ia3_lab.folding import FoldedWeight, class_name, folded
from ia3_lab.functional import fold_input, fold_output, scale


def is_linear(module: nn.Module) -> bool:
    """Tell whether a module is an nn.Linear, or transformers' Conv1D, known by its name: a layer ``x @ W + b``.

    Examples
    --------
    >>> is_linear(nn.Linear(2, 3)), is_linear(nn.LayerNorm(3))
    (True, False)
    """
    conv = any(kind.__name__ == "Conv1D" for kind in type(module).__mro__) and hasattr(module, "nf")
    return conv or isinstance(module, nn.Linear)


class KeepsPrecision(nn.Module):
    """A module whose own parameters never go below float32: ``.to(torch.bfloat16)`` converts what it wraps alone.

    Near 1, bfloat16 numbers are 1/128 apart above and 1/256 below: a small optimizer step rounds back to where it was.
    """

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        def keep(tensor: Tensor) -> Tensor:
            moved = fn(tensor)
            if moved.dtype == tensor.dtype or not moved.is_floating_point():
                return moved
            return tensor.to(moved.device, _at_least_float32(moved.dtype))

        for child in self.children() if recurse else ():
            child._apply(fn)
        return super()._apply(keep, recurse=False)


class Adapter(KeepsPrecision):
    """What all adapters share: the wrapped layer in ``base``, and how it is called, read and merged.

    ``weight`` and ``bias`` read as if merged, so code that takes them and never calls the layer (nn.MultiheadAttention)
    sees the adapter too. An nn.Linear stores (out, in), transformers' Conv1D (in, out).
    """

    def __init__(self, base: nn.Module) -> None:
        super().__init__()
        if not is_linear(base):
            raise TypeError(f"expected a plain nn.Linear or transformers' Conv1D, got a {class_name(base)}")
        self.base, self.stores_in_out = base, not isinstance(base, nn.Linear)
        d_in, d_out = base.weight.shape if self.stores_in_out else (base.in_features, base.out_features)
        if d_in == 0:
            raise ValueError(f"this {class_name(base)} has no sizes yet; run the model once on an example first")
        self.in_features, self.out_features, self.training = d_in, d_out, base.training

    def before(self, x: Tensor) -> Tensor:
        """Return what the base gets instead of x, shape (..., d_in)."""
        return x

    def after(self, x: Tensor, y: Tensor) -> Tensor:
        """Return what comes out instead of y, shape (..., d_out), where x, shape (..., d_in), came in."""
        return y

    def fold(self, weight: Tensor) -> Tensor:
        """Return a weight with the adapter folded in, both in torch's shape (d_out, d_in)."""
        raise NotImplementedError

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Map x (..., d_in) to (..., d_out), called as the base is: more arguments and results pass through."""
        if args:
            x, *args = args
            found = self.base(self.before(x), *args, **kwargs)
        else:  # x came by the base's own name for it
            name = next((n for n in inspect.signature(self.base.forward).parameters if n in kwargs), next(iter(kwargs)))
            x = kwargs[name]
            found = self.base(**kwargs | {name: self.before(x)})
        if not isinstance(found, tuple | list | dict):
            return self.after(x, found)
        (y, *others), kind = tree_flatten(found)
        return tree_unflatten([self.after(x, y), *others], kind)

    @property
    def weight(self) -> Tensor:
        """The effective weight, shape (d_out, d_in) or as the base stores it, computed when it is computed with."""
        traced = torch.compiler.is_compiling() or not isinstance(self.base.weight, Tensor)  # a proxy of torch.fx
        return folded(self) if traced else FoldedWeight(self)

    @property
    def bias(self) -> Tensor | None:
        """The effective bias, shape (d_out,), or None."""
        return self.base.bias

    def _parameter(self, *shape: int, dtype: torch.dtype | None) -> nn.Parameter:
        """Return a parameter where the layer computes: accelerate may keep its weight elsewhere between calls."""
        weight, hook = self.base.weight, getattr(self.base, "_hf_hook", None)
        device = getattr(hook, "execution_device", None) if weight.is_meta else weight.device
        dtype = _at_least_float32(weight.dtype) if dtype is None else dtype
        return nn.Parameter(torch.empty(shape, dtype=dtype, device="meta" if device is None else device))


class ScaledLinear(Adapter):
    """IA3: a rescaling vector on one side of a layer, ``l * (x @ W + b)`` (output) or ``(l * x) @ W + b`` (input).

    The vector starts at ones, which leaves the layer as it was bit for bit.

    Parameters
    ----------
    base : nn.Linear or transformers' Conv1D
    side : {"output", "input"}
        "output" for keys and values (the bias is scaled), "input" for the layer after the hidden units (it is not).
    dtype : torch.dtype, optional
        Of l; float32, or float64 for a float64 layer, if None.

    Attributes
    ----------
    l : nn.Parameter, shape (d_out,) or (d_in,)

    References
    ----------
    Liu et al. (2022), section 3.3.

    Examples
    --------
    >>> ScaledLinear(nn.Linear(3, 2), side="input").l
    Parameter containing:
    tensor([1., 1., 1.], requires_grad=True)
    """

    def __init__(self, base: nn.Module, side: str = "output", dtype: torch.dtype | None = None) -> None:
        super().__init__(base)
        if side not in ("output", "input"):
            raise ValueError(f"side must be 'output' or 'input', got {side!r}; keys and values 'output', W_2 'input'")
        self.side = side
        self.l = self._parameter(self.out_features if side == "output" else self.in_features, dtype=dtype)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Set l to ones; also what a model that was built on the meta device needs once it has memory."""
        nn.init.ones_(self.l)

    def before(self, x: Tensor) -> Tensor:
        """Return ``l * x``, shape (..., d_in), on the input side."""
        return scale(x, self.l) if self.side == "input" else x

    def after(self, x: Tensor, y: Tensor) -> Tensor:
        """Return ``l * y``, shape (..., d_out), on the output side; x has shape (..., d_in)."""
        return scale(y, self.l) if self.side == "output" else y

    def fold(self, weight: Tensor) -> Tensor:
        """Return the weight, shape (d_out, d_in), with its rows (output side) or columns (input side) rescaled."""
        return fold_output(weight, None, self.l)[0] if self.side == "output" else fold_input(weight, self.l)

    @property
    def bias(self) -> Tensor | None:
        """The effective bias, shape (d_out,): scaled on the output side, untouched on the input side."""
        bias = self.base.bias
        return bias if bias is None or self.side == "input" else scale(bias, self.l)

    def extra_repr(self) -> str:
        """Say the side and the length of l."""
        return f"side={self.side!r}, l=({self.l.shape[0]},)"


class LoRALinear(Adapter):
    """LoRA in its smallest honest form: ``y = x @ W + b + (alpha / rank) * (x @ A.T) @ B.T``.

    B starts at zeros, so the layer starts as it was; A uniform in ``[-1/sqrt(d_in), 1/sqrt(d_in)]``, as torch's layers.

    Parameters
    ----------
    base : nn.Linear or transformers' Conv1D
    rank : int
    alpha : float, optional
        rank, so a scale of 1, if None.
    generator : torch.Generator, optional
        Source of A, on the CPU, so that every device gets the same numbers; torch's global one if None.
    dtype : torch.dtype, optional
        As in `ScaledLinear`.

    Attributes
    ----------
    A : nn.Parameter, shape (rank, d_in)
    B : nn.Parameter, shape (d_out, rank)

    References
    ----------
    Hu et al. (2022), section 4.1.

    Examples
    --------
    >>> LoRALinear(nn.Linear(3, 4), rank=2).B.abs().sum().item()
    0.0
    """

    def __init__(
        self,
        base: nn.Module,
        rank: int,
        alpha: float | None = None,
        *,
        generator: torch.Generator | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(base)
        if rank < 1:
            raise ValueError(f"rank must be at least 1, got {rank}; for no update at all, attach nothing")
        self.rank, self.alpha = rank, rank if alpha is None else alpha
        self.A = self._parameter(rank, self.in_features, dtype=dtype)
        self.B = self._parameter(self.out_features, rank, dtype=dtype)
        self.reset_parameters(generator)

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Draw A anew and set B to zeros, so that the layer is as it was."""
        bound = 1 / math.sqrt(self.in_features)
        start = torch.empty(self.A.shape, device="cpu").uniform_(-bound, bound, generator=generator)
        with torch.no_grad():
            self.A.copy_(start)
        nn.init.zeros_(self.B)

    def after(self, x: Tensor, y: Tensor) -> Tensor:
        """Return y, shape (..., d_out), and the update of x, shape (..., d_in); in the dtype of y."""
        wide = torch.promote_types(x.dtype, self.A.dtype)
        update = F.linear(F.linear(x.to(wide), self.A.to(wide)), self.B.to(wide))
        return y + (self.alpha / self.rank * update).to(y.dtype)

    def fold(self, weight: Tensor) -> Tensor:
        """Return the weight, shape (d_out, d_in), plus the update in torch's layout, ``(alpha / rank) * B @ A``."""
        wide = torch.promote_types(weight.dtype, self.A.dtype)
        return (weight + self.alpha / self.rank * (self.B.to(wide) @ self.A.to(wide))).to(weight.dtype)

    def extra_repr(self) -> str:
        """Say rank and alpha."""
        return f"rank={self.rank}, alpha={self.alpha}"


def _at_least_float32(dtype: torch.dtype) -> torch.dtype:
    return torch.float64 if dtype == torch.float64 else torch.float32
