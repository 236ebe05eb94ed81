"""Rescaling vectors for any model: wrap its linear layers by name, train the vectors, fold them into the weights.

>>> import torch
>>> model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU(), torch.nn.Linear(4, 2))
>>> scaled = attach(model, input=["2"])
>>> print(surgery.freeze_except(model, scaled_parameters(model)))
4 trainable of 30 (13.3333%)
"""

import torch
from torch import Tensor, nn

from ia3_lab import functional, surgery, wrapping

SIDES = ("output", "input")


class ScaledLinear(wrapping.Wrapper):
    """A linear layer with a rescaling vector: output side ``l * (x @ W + b)``, input side ``(l * x) @ W + b``.

    The vector starts at ones, which leaves the layer as it was bit for bit. It starts in float32 (float64 for a float64
    layer) and never goes below: after ``model.to(torch.bfloat16)`` the base is in bfloat16 and l is still in float32,
    because steps of bfloat16 near 1 are too coarse to train. The product is computed in the wider dtype of l and the
    activation, then rounded once to the activation's, so the result has the dtype that the base layer alone would give.

    ``weight`` and ``bias`` read as the *effective* ones, with l folded in. Code that takes a layer's weight and never
    calls the layer (the fast path of nn.TransformerEncoderLayer, nn.MultiheadAttention) therefore sees the vector too.

    Parameters
    ----------
    base : nn.Linear or transformers' Conv1D
        The layer to wrap; it is kept, not copied, and its requires_grad is left alone.
    side : {"output", "input"}
        "output" for keys and values (the bias is scaled), "input" for the layer after the hidden units (it is not).
    dtype : torch.dtype, optional
        Of l; float32, or float64 for a float64 layer, if None.

    Attributes
    ----------
    l : nn.Parameter, shape (d_out,) or (d_in,)

    Raises
    ------
    ValueError
        If side is neither word, or base is wrapped already.
    TypeError
        If base is not a linear layer or dtype is not floating point.

    References
    ----------
    Liu et al. (2022), section 3.3.

    Examples
    --------
    >>> layer = ScaledLinear(nn.Linear(3, 2), side="input")
    >>> layer.l
    Parameter containing:
    tensor([1., 1., 1.], requires_grad=True)
    """

    def __init__(self, base: nn.Module, side: str = "output", dtype: torch.dtype | None = None) -> None:
        super().__init__(base)
        if side not in SIDES:
            raise ValueError(f"side must be 'output' or 'input', got {side!r}; keys and values 'output', W_2 'input'")
        self.side = side
        size = self.out_features if side == "output" else self.in_features
        dtype = wrapping.adapter_dtype(base, dtype)
        self.l = nn.Parameter(torch.ones(size, dtype=dtype, device=base.weight.device))

    def adapter_shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shape that l must have: as long as the output or the input."""
        return {"l": (self.out_features if self.side == "output" else self.in_features,)}

    def forward(self, x: Tensor) -> Tensor:
        """Map x (..., d_in) to (..., d_out), in the dtype of the base layer's output."""
        self.check_input(x)
        if self.side == "output":
            return functional.scale(self.base(x), self.l)
        return self.base(functional.scale(x, self.l))

    @property
    def weight(self) -> Tensor:
        """The effective weight, l folded in, in the base's layout and dtype."""
        if not self.base.weight.is_floating_point():  # quantized: it can be looked at, not scaled
            return self.base.weight
        scale_rows = (self.side == "output") != surgery.stores_in_out(self.base)
        weight = self.base.weight
        return functional.scale(weight.mT, self.l).mT if scale_rows else functional.scale(weight, self.l)

    @property
    def bias(self) -> Tensor | None:
        """The effective bias: scaled on the output side, untouched on the input side."""
        bias = self.base.bias
        return bias if bias is None or self.side == "input" else functional.scale(bias, self.l)

    def extra_repr(self) -> str:
        """Say the side and the length of l."""
        return f"side={self.side!r}, l=({self.l.shape[0]},)"


def attach(
    model: nn.Module,
    *,
    output: surgery.Patterns = (),
    input: surgery.Patterns = (),
    dtype: torch.dtype | None = None,
) -> dict[str, ScaledLinear]:
    """Wrap the linear layers whose dotted names match in a `ScaledLinear`, in place.

    A layer that the model holds under two names gets one wrapper and one vector. Nothing is frozen; call
    ``surgery.freeze_except(model, scaled_parameters(model))`` for that.

    Parameters
    ----------
    model : nn.Module
    output : str or iterable of str
        Shell patterns of the layers to scale on the output side, such as ``["*.k_proj", "*.v_proj"]``.
    input : str or iterable of str
        Patterns of the layers to scale on the input side, such as ``["*.down_proj"]``.
    dtype : torch.dtype, optional
        Of the vectors; see `ScaledLinear`.

    Returns
    -------
    dict of str to ScaledLinear
        The wrappers by dotted name, in the order of the model.

    Raises
    ------
    ValueError
        If no pattern is given, a pattern matches nothing, a layer is named on both sides or is wrapped already.
    TypeError
        If a pattern matches only modules that are not linear.

    Examples
    --------
    >>> list(attach(nn.Sequential(nn.Linear(3, 4), nn.ReLU()), output="0"))
    ['0']
    """
    sides = {side: wrapping.find_linear(model, patterns) for side, patterns in (("output", output), ("input", input))}
    found = {**sides["output"], **sides["input"]}
    if not found:
        raise ValueError("expected at least one pattern in output or input, got none; for example output=['*.k_proj']")
    both = {id(m) for m in sides["output"].values()} & {id(m) for m in sides["input"].values()}
    if both:
        names = [name for name, module in found.items() if id(module) in both]
        raise ValueError(
            f"expected each layer on one side, but {names} match output and input; make the patterns disjoint"
        )
    side_of = {id(module): side for side, modules in sides.items() for module in modules.values()}
    ordered = [name for name, _ in surgery.walk(model) if name in found]
    return wrapping.wrap(model, {name: lambda base: ScaledLinear(base, side_of[id(base)], dtype) for name in ordered})


def detach(model: nn.Module) -> dict[str, ScaledLinear]:
    """Take every `ScaledLinear` out again, in place, so that the model computes what it did before.

    Returns
    -------
    dict of str to ScaledLinear
        The wrappers by dotted name, with their vectors.

    Raises
    ------
    ValueError
        If nothing is attached.

    Examples
    --------
    >>> model = nn.Sequential(nn.Linear(3, 4))
    >>> attach(model, output="0")["0"] is detach(model)["0"]
    True
    """
    return wrapping.unwrap(model, ScaledLinear)


def merge(model: nn.Module) -> nn.Module:
    """Replace every `ScaledLinear` by the plain layer it computes, in place, and return the model.

    Each merged layer is new, so a weight that was tied to another layer is tied no longer.

    Raises
    ------
    ValueError
        If nothing is attached, or a vector holds NaN or infinity or does not fit its layer (the model is then left as
        it was).

    Examples
    --------
    >>> model = nn.Sequential(nn.Linear(3, 4))
    >>> wrappers = attach(model, output="0")
    >>> merge(model)
    Sequential(
      (0): Linear(in_features=3, out_features=4, bias=True)
    )
    """
    return wrapping.merge(model, ScaledLinear)


def scaled_parameters(model: nn.Module) -> dict[str, nn.Parameter]:
    """Return the rescaling vectors by dotted name, each once; empty if nothing is attached.

    Examples
    --------
    >>> model = nn.Sequential(nn.Linear(3, 4))
    >>> wrappers = attach(model, output="0")
    >>> list(scaled_parameters(model))
    ['0.l']
    """
    return wrapping.wrapper_parameters(model, ScaledLinear)
