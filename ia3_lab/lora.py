"""LoRA in its smallest honest form, with the verbs of `ia3_lab.scaled_linear`, for comparison with IA3.

>>> import torch
>>> model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU())
>>> adapters = attach(model, "0", rank=2, alpha=4)
>>> print(surgery.freeze_except(model, lora_parameters(model)))
14 trainable of 30 (46.6667%)
"""

import math
from numbers import Integral, Real

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ia3_lab import surgery, wrapping


class LoRALinear(wrapping.Wrapper):
    """A linear layer with a low-rank update: ``y = x @ W + b + (alpha / rank) * (x @ A.T) @ B.T``.

    B starts at zeros, so the layer starts as it was; A starts uniform in ``[-1/sqrt(d_in), 1/sqrt(d_in)]``, as torch
    starts a linear layer. The update is computed in the wider dtype of x and A and rounded to the base's output dtype.

    Parameters
    ----------
    base : nn.Linear or transformers' Conv1D
        The layer to wrap; it is kept, not copied.
    rank : int
        Rank of the update, at least 1.
    alpha : float, optional
        The update is scaled by alpha / rank; alpha is rank, so the scale 1, if None.
    generator : torch.Generator, optional
        Source of A, on the CPU; torch's global one if None.
    dtype : torch.dtype, optional
        Of A and B; float32, or float64 for a float64 layer, if None.

    Attributes
    ----------
    A : nn.Parameter, shape (rank, d_in)
    B : nn.Parameter, shape (d_out, rank)

    Raises
    ------
    ValueError
        If rank is below 1 or alpha is not a finite number, or base is wrapped already.
    TypeError
        If base is not linear or rank is not an integer.

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
        _check(rank, alpha)
        self.rank, self.alpha = rank, rank if alpha is None else alpha
        dtype, device = wrapping.adapter_dtype(base, dtype), base.weight.device
        bound = 1 / math.sqrt(self.in_features)
        if device.type == "meta":
            start = torch.empty(rank, self.in_features, dtype=dtype, device=device)
        else:  # drawn on the CPU, so that every device gets the same numbers
            start = torch.empty(rank, self.in_features).uniform_(-bound, bound, generator=generator).to(device, dtype)
        self.A = nn.Parameter(start)
        self.B = nn.Parameter(torch.zeros(self.out_features, rank, dtype=dtype, device=device))

    def adapter_shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shapes that A and B must have."""
        return {"A": (self.rank, self.in_features), "B": (self.out_features, self.rank)}

    def check_mergeable(self, name: str = "") -> None:
        """Raise as every wrapper does, and if rank or alpha has been set to no sensible number since."""
        _check(self.rank, self.alpha)
        super().check_mergeable(name)

    def forward(self, x: Tensor) -> Tensor:
        """Map x (..., d_in) to (..., d_out), in the dtype of the base layer's output."""
        self.check_input(x)
        y = self.base(x)
        wide = torch.promote_types(x.dtype, self.A.dtype)
        update = F.linear(F.linear(x.to(wide), self.A.to(wide)), self.B.to(wide))
        return y + (self.alpha / self.rank * update).to(y.dtype)

    @property
    def update(self) -> Tensor:
        """The change of the weight in torch's layout, ``(alpha / rank) * B @ A``, shape (d_out, d_in)."""
        return self.alpha / self.rank * (self.B @ self.A)

    @property
    def weight(self) -> Tensor:
        """The effective weight, the update added, in the base's layout and dtype."""
        if not self.base.weight.is_floating_point():  # quantized: it can be looked at, not added to
            return self.base.weight
        update = self.update.mT if surgery.stores_in_out(self.base) else self.update
        return (self.base.weight + update).to(self.base.weight.dtype)

    @property
    def bias(self) -> Tensor | None:
        """The bias of the base, which LoRA leaves alone."""
        return self.base.bias

    def extra_repr(self) -> str:
        """Say rank and alpha."""
        return f"rank={self.rank}, alpha={self.alpha}"


def attach(
    model: nn.Module,
    patterns: surgery.Patterns,
    *,
    rank: int,
    alpha: float | None = None,
    generator: torch.Generator | None = None,
    dtype: torch.dtype | None = None,
) -> dict[str, LoRALinear]:
    """Wrap the linear layers whose dotted names match in a `LoRALinear`, in place; nothing is frozen.

    Parameters
    ----------
    model : nn.Module
    patterns : str or iterable of str
        Shell patterns over whole dotted names, such as ``["*.q_proj", "*.v_proj"]``.
    rank, alpha, generator, dtype
        See `LoRALinear`.

    Returns
    -------
    dict of str to LoRALinear
        The wrappers by dotted name, in the order of the model.

    Raises
    ------
    ValueError
        If no pattern is given, one matches nothing, a layer is wrapped already, or rank is below 1.
    TypeError
        If a pattern matches only modules that are not linear.

    Examples
    --------
    >>> list(attach(nn.Sequential(nn.Linear(3, 4), nn.ReLU()), "0", rank=1))
    ['0']
    """
    _check(rank, alpha)
    found = wrapping.find_linear(model, patterns)
    if not found:
        raise ValueError("expected at least one pattern, got none; for example ['*.q_proj', '*.v_proj']")
    make = lambda base: LoRALinear(base, rank, alpha, generator=generator, dtype=dtype)  # noqa: E731
    return wrapping.wrap(model, dict.fromkeys(found, make))


def detach(model: nn.Module) -> dict[str, LoRALinear]:
    """Take every `LoRALinear` out again, in place, and return them by dotted name.

    Raises
    ------
    ValueError
        If nothing is attached.

    Examples
    --------
    >>> model = nn.Sequential(nn.Linear(3, 4))
    >>> attach(model, "0", rank=1)["0"] is detach(model)["0"]
    True
    """
    return wrapping.unwrap(model, LoRALinear)


def merge(model: nn.Module) -> nn.Module:
    """Replace every `LoRALinear` by the plain layer it computes, in place, and return the model.

    Raises
    ------
    ValueError
        If nothing is attached, or A or B holds NaN or infinity or does not fit its layer (the model is then left as it
        was).

    Examples
    --------
    >>> model = nn.Sequential(nn.Linear(3, 4, bias=False))
    >>> adapters = attach(model, "0", rank=1)
    >>> merge(model)
    Sequential(
      (0): Linear(in_features=3, out_features=4, bias=False)
    )
    """
    return wrapping.merge(model, LoRALinear)


def lora_parameters(model: nn.Module) -> dict[str, nn.Parameter]:
    """Return every A and B by dotted name, each once; empty if nothing is attached.

    Examples
    --------
    >>> model = nn.Sequential(nn.Linear(3, 4))
    >>> adapters = attach(model, "0", rank=1)
    >>> list(lora_parameters(model))
    ['0.A', '0.B']
    """
    return wrapping.wrapper_parameters(model, LoRALinear)


def _check(rank: int, alpha: float | None) -> None:
    if not isinstance(rank, Integral) or isinstance(rank, bool):
        raise TypeError(f"rank must be an integer, got {rank!r}")
    if rank < 1:
        raise ValueError(f"rank must be at least 1, got {rank}; for no update at all, attach nothing")
    if alpha is not None and (not isinstance(alpha, Real) or isinstance(alpha, bool)):
        raise TypeError(f"alpha must be a number, got {alpha!r}")
    if alpha is not None and not math.isfinite(alpha):
        raise ValueError(f"alpha must be a finite number, got {alpha!r}; leave it out for a scale of 1")
