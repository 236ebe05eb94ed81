"""What every adapter that wraps a linear layer shares: the wrapper, and putting it in, out, and into the weights."""

import copy
from collections.abc import Callable, Mapping
from typing import Self

import torch
from torch import Tensor, nn

from ia3_lab import functional, surgery


class KeepsPrecision(nn.Module):
    """A module whose own parameters follow ``.to(dtype)`` upward but never below float32.

    Near 1, bfloat16 numbers are 1/128 apart above and 1/256 below: a small optimizer step rounds back to where it was.
    So ``model.to(torch.bfloat16)`` or ``.half()`` converts the base layer and leaves the trained vector in float32;
    ``.double()`` makes both float64. Moves between devices apply to everything.
    """

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        def keep(tensor: Tensor) -> Tensor:
            moved = fn(tensor)
            if moved.dtype == tensor.dtype or not moved.is_floating_point():
                return moved
            return tensor.to(moved.device, torch.promote_types(moved.dtype, torch.float32))

        for child in self.children() if recurse else ():
            child._apply(fn)
        return super()._apply(keep, recurse=False)


class Wrapper(KeepsPrecision):
    """An adapter around one linear layer, kept in ``base``; `merged` returns the plain layer that computes the same.

    A walk over the model's modules never looks inside a wrapper, so a wrapped layer cannot be wrapped again.
    """

    is_adapter = True

    def __init__(self, base: nn.Module) -> None:
        super().__init__()
        if isinstance(base, Wrapper):
            raise ValueError(f"expected a plain linear layer, got a {type(base).__name__}; merge or detach it first")
        if not surgery.is_linear(base):
            raise TypeError(
                f"expected an nn.Linear (or transformers' Conv1D), got {type(base).__name__}; name a linear layer"
            )
        if isinstance(base.weight, nn.UninitializedParameter):
            raise ValueError(f"{type(base).__name__} has no sizes yet; run the model once on an example input first")
        self.base = base
        self.in_features, self.out_features = surgery.linear_sizes(base)
        self.training = base.training

    def adapter_shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shape that each of the adapter's own parameters must have, by name."""
        raise NotImplementedError

    def check_input(self, x: Tensor) -> None:
        """Raise unless x is a floating-point tensor whose last axis is the layer's input."""
        if not isinstance(x, Tensor) or not (x.is_floating_point() or x.is_complex()):
            came = x.dtype if isinstance(x, Tensor) else type(x).__name__
            raise TypeError(f"x must be a floating-point tensor, got {came}; use x.float(), or torch.tensor(...)")
        if x.ndim == 0 or x.shape[-1] != self.in_features:
            raise ValueError(
                f"x must have shape (..., d_in) with d_in={self.in_features}, it has shape {tuple(x.shape)}; "
                "the features are the last axis"
            )

    @property
    def weight(self) -> Tensor:
        """The effective weight, in the base's layout and dtype."""
        raise NotImplementedError

    @property
    def bias(self) -> Tensor | None:
        """The effective bias."""
        raise NotImplementedError

    def __setattr__(self, name: str, value: object) -> None:
        if name in ("weight", "bias"):
            raise AttributeError(f"{name} of a {type(self).__name__} is computed; set base.{name}, or detach first")
        super().__setattr__(name, value)

    def check_mergeable(self, name: str = "") -> None:
        """Raise unless the adapter's numbers fit and are finite, and the weight is a floating-point parameter.

        The name is for the message.
        """
        if "weight" not in self.base._parameters:
            raise ValueError(
                "merging needs a weight that is a parameter, but this one is computed by a parametrization, by weight "
                "normalization or by pruning; first make it permanent with remove_parametrizations of "
                "torch.nn.utils.parametrize, remove_weight_norm of torch.nn.utils, or prune.remove"
            )
        for own, shape in self.adapter_shapes().items():
            parameter, where = getattr(self, own), f"{name}.{own}".lstrip(".")
            if tuple(parameter.shape) != shape:
                raise ValueError(
                    f"{where} must have shape {shape} to be merged into this layer, it has shape "
                    f"{tuple(parameter.shape)}; attach anew and copy numbers in instead of replacing the parameter"
                )
            if parameter.device != self.base.weight.device:
                raise ValueError(
                    f"{where} must be on the device of the weight, {self.base.weight.device}, it is on "
                    f"{parameter.device}; move the whole model with .to(device)"
                )
            functional.check_finite(parameter, where)
        if not self.base.weight.is_floating_point():
            raise TypeError(f"merging needs a floating-point weight, got {self.base.weight.dtype}; dequantize it first")

    @torch.no_grad()
    def merged(self) -> nn.Module:
        """Return a plain layer of the base's class that computes the same; the base stays as it is.

        Raises
        ------
        ValueError
            If the adapter holds NaN or infinity, or its shapes or device are not the layer's.
        TypeError
            If the weight is not floating point (a quantized layer).
        """
        self.check_mergeable()
        plain = copy.deepcopy(self.base)
        for name, tensor in (("weight", self.weight), ("bias", self.bias)):
            if tensor is not None:
                trained = getattr(self.base, name).requires_grad
                setattr(plain, name, nn.Parameter(tensor.detach().clone(), requires_grad=trained))
        return plain.train(self.training)


def wrap(model: nn.Module, targets: Mapping[str, Callable[[nn.Module], Wrapper]]) -> dict[str, Wrapper]:
    """Replace each named linear layer by the wrapper that its function makes; a layer with two names gets one wrapper.

    All wrappers are made before the first one is put in place, so that an error leaves the model as it was.
    """
    modules = dict(surgery.walk(model))
    made: dict[int, Wrapper] = {}
    for name, make in targets.items():
        if name not in modules:
            raise ValueError(f"{name!r} is no part of this {type(model).__name__}; take the names from find_linear")
        base = modules[name]
        if isinstance(base, Wrapper):
            raise ValueError(
                f"{name} already carries a {type(base).__name__}; use that one, or detach or merge it first"
            )
        if id(base) not in made:
            made[id(base)] = make(base)
    wrappers = {name: made[id(modules[name])] for name in targets}
    for name, wrapper in wrappers.items():
        surgery.replace_module(model, name, wrapper)
    return wrappers


def unwrap(model: nn.Module, kind: type[Wrapper]) -> dict[str, Wrapper]:
    """Put the base back in the place of each wrapper of one kind; return the wrappers by dotted name."""
    wrappers = _require(model, kind)
    for name, wrapper in wrappers.items():
        surgery.replace_module(model, name, wrapper.base)
    return wrappers


def merge(model: nn.Module, kind: type[Wrapper]) -> nn.Module:
    """Put the merged layer in the place of each wrapper of one kind; return the model.

    All wrappers are checked before the first is merged, so that an error leaves the model as it was. They are merged
    one at a time, which holds one layer twice, not the whole model.
    """
    wrappers = _require(model, kind)
    for name, wrapper in wrappers.items():
        wrapper.check_mergeable(name)
    while wrappers:
        wrapper = next(iter(wrappers.values()))
        plain = wrapper.merged()
        for name in [name for name, other in wrappers.items() if other is wrapper]:
            surgery.replace_module(model, name, plain)
            del wrappers[name]
    return model


def wrapped(model: nn.Module, kind: type[Wrapper]) -> dict[str, Wrapper]:
    """Return the wrappers of one kind by dotted name; one that is shared appears under each of its names."""
    return {name: module for name, module in surgery.walk(model) if isinstance(module, kind)}


def wrapper_parameters(model: nn.Module, kind: type[Wrapper]) -> dict[str, nn.Parameter]:
    """Return what the wrappers of one kind add to the model, by dotted name, each parameter once."""
    found: dict[int, tuple[str, nn.Parameter]] = {}
    for name, wrapper in wrapped(model, kind).items():
        for own, parameter in wrapper.named_parameters(recurse=False):
            found.setdefault(id(parameter), (f"{name}.{own}".lstrip("."), parameter))
    return dict(found.values())


def find_linear(model: nn.Module, patterns: surgery.Patterns) -> dict[str, nn.Module]:
    """Find the linear layers, wrapped ones too, whose dotted names match."""
    return surgery.find_modules(model, patterns, lambda m: surgery.is_linear(m) or isinstance(m, Wrapper))


def adapter_dtype(base: nn.Module, dtype: torch.dtype | None) -> torch.dtype:
    """Return the dtype of an adapter's parameters: the one asked for, else float32, or float64 for a float64 layer."""
    if dtype is None:
        return torch.promote_types(base.weight.dtype, torch.float32)
    if not isinstance(dtype, torch.dtype) or not dtype.is_floating_point:
        raise TypeError(f"dtype must be a floating-point torch dtype, got {dtype!r}; leave it out for float32")
    return dtype


def _require(model: nn.Module, kind: type[Wrapper]) -> dict[str, Wrapper]:
    if isinstance(model, kind):
        raise ValueError(
            f"expected a model that contains a {kind.__name__}, got the {kind.__name__} itself; use .base or .merged()"
        )
    wrappers = wrapped(model, kind)
    if not wrappers:
        raise ValueError(
            f"expected a model with at least one {kind.__name__}, this {type(model).__name__} has none; attach first"
        )
    return wrappers
