"""A layer with its adapter folded in: a weight that is computed when it is used, or a plain layer that was compared."""

import copy
from collections.abc import Callable
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves, tree_map

_GETTERS = (
    "dtype",
    "device",
    "shape",
    "ndim",
    "layout",
    "requires_grad",
    "is_cuda",
    "is_meta",
    "is_sparse",
    "is_quantized",
)
_METHODS = (
    "size",
    "dim",
    "numel",
    "stride",
    "is_floating_point",
    "is_complex",
    "element_size",
    "get_device",
    "__len__",
)
_LOOKS = {getattr(Tensor, name).__get__ for name in _GETTERS} | {getattr(Tensor, name) for name in _METHODS}


class FoldedWeight(Tensor):
    """The effective weight of an adapter, of its base's shape: asking for shape, dtype or device computes nothing.

    T5 asks a layer for the dtype of its weight at every step. Whatever computes with this gets the folded weight.
    """

    def __new__(cls, adapter: nn.Module) -> Self:
        """Make what looks like the weight and has no memory."""
        weight = adapter.base.weight
        trained = torch.is_grad_enabled() and any(p.requires_grad for p in (weight, *adapter._parameters.values()))
        options = {"dtype": weight.dtype, "device": weight.device, "requires_grad": trained}
        looks = Tensor._make_wrapper_subclass(cls, weight.shape, weight.stride(), **options)
        looks._adapter = adapter
        if trained:  # a torch.autograd.Function gets past __torch_function__: hand its gradient on
            with torch._C.DisableTorchFunctionSubclass():
                looks.register_hook(torch.enable_grad()(lambda gradient: folded(adapter).backward(gradient)))
        return looks

    @classmethod
    def __torch_function__(cls, func: Callable, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        if func in _LOOKS:
            with torch._C.DisableTorchFunctionSubclass():
                return func(*args, **(kwargs or {}))
        kwargs, name = kwargs or {}, func.__name__
        in_place = name.endswith("_") and not name.endswith("__")
        writes = in_place or name in ("__set__", "__setitem__", "data_ptr") or func == Tensor.data.__get__
        target = [*args, *kwargs.values()][0] if writes else kwargs.get("out")
        if any(isinstance(x, cls) for x in tree_leaves(target)):  # it would be lost
            raise TypeError(
                "an adapter's weight is computed, not stored: to change it, change base.weight, or merge first "
                "(to read it, detach it)"
            )
        args, kwargs = tree_map(lambda x: folded(x._adapter) if isinstance(x, cls) else x, (args, kwargs))
        return func(*args, **kwargs)

    @classmethod
    def __torch_dispatch__(cls, *call: Any) -> Any:
        return NotImplemented  # torch then refuses what got past __torch_function__


def folded(adapter: nn.Module) -> Tensor:
    """Return the effective weight of an adapter, shape (d_out, d_in) or as the base stores it, in the base's dtype."""
    weight = adapter.base.weight
    real = (
        not isinstance(weight, Tensor) or weight.is_floating_point() or weight.is_complex()
    )  # torch.fx traces proxies
    if not real or (isinstance(weight, Tensor) and (weight.element_size() < 2 or weight.ndim != 2)):
        stored = f"{weight.dtype} of shape {tuple(weight.shape)} ({class_name(adapter.base)})"
        raise TypeError(f"an adapter folds into a matrix of floating-point numbers, not {stored}; dequantize it first")
    return adapter.fold(weight.mT).mT.contiguous() if adapter.stores_in_out else adapter.fold(weight)


@torch.no_grad()
def plain_layer(adapter: nn.Module) -> nn.Module:
    """Return a new plain layer of the base's class that computes what the adapter does; the adapter stays as it is.

    Raises
    ------
    ValueError
        If a number of the adapter is not finite, there is no weight in memory, or the layers compute different things.
    TypeError
        If the weight is quantized.
    """
    base, own = adapter.base, dict(adapter.named_parameters(recurse=False))
    if missing := [name for name in ("weight", "bias") if name not in base._parameters]:
        there = [name for name, _ in base.named_parameters()]
        raise ValueError(
            f"this {class_name(base)} has no parameter {missing[0]!r} but {there}; make it a parameter first"
        )
    weight = base._parameters["weight"]
    if weight.is_meta and (hasattr(base, "_hf_hook") or not any(p.is_meta for p in own.values())):
        raise ValueError("the weight is offloaded; load it into memory and take accelerate's hooks off first")
    if bad := [name for name, p in own.items() if not (p.is_meta or p.isfinite().all())]:
        raise ValueError(f"{bad} hold NaN or infinity, which must not get into a weight; did the training diverge?")
    with torch.autocast("cpu" if weight.is_meta else weight.device.type, enabled=False):
        new = {id(weight): nn.Parameter(folded(adapter), requires_grad=weight.requires_grad)}
        if base.bias is not None:
            new[id(base.bias)] = nn.Parameter(adapter.bias.clone(), requires_grad=base.bias.requires_grad)
        plain = copy.deepcopy(base, _kept(base) | new).train(adapter.training)  # each new one stands for its old one
        if not weight.is_meta:
            _check_same_function(adapter, plain)
    return plain


def _kept(layer: nn.Module) -> dict[int, Any]:
    """Return what a copy of a layer shares with it, by id: its hooks, whose handles stay good, and results it keeps."""
    parts = [part for module in layer.modules() for name, part in vars(module).items() if name.endswith("_hooks")]
    parts += [x for module in layer.modules() for x in vars(module).values() if isinstance(x, Tensor)]
    return {id(part): part for part in parts}


def _check_same_function(adapter: nn.Module, plain: nn.Module) -> None:
    """Raise unless two layers give the same for random inputs, up to rounding in the dtype of the weight."""
    weight, layers = plain.weight, (adapter, plain)
    own_forward = isinstance(plain, nn.Linear) and type(plain).forward is not nn.Linear.forward
    there = {"a forward of its own": own_forward or "forward" in vars(plain)}
    there["hooks"] = bool(plain._forward_hooks or plain._forward_pre_hooks)
    if any(there.values()):  # a call might change a statistic or drop something: try copies that share the parameters
        layers = [copy.deepcopy(one, _kept(one) | {id(p): p for p in one.parameters()}).eval() for one in layers]
    x = torch.randn(4, 8, adapter.in_features, generator=torch.Generator().manual_seed(0), device="cpu")
    x[0] *= 0.1
    x[1] *= 10.0
    tolerance = 2e-3 if weight.dtype == torch.float32 else torch.finfo(weight.dtype).eps ** 0.5  # 2e-3: TF32 rounds so
    tolerance = min(tolerance, 0.02)  # a merge in bfloat16 is off by 1 % at most, fake quantization to 4 bits by 5 %
    for wanted, found in zip(*(tree_leaves(layer(x.to(weight))) for layer in layers), strict=True):
        if not isinstance(wanted, Tensor):
            continue
        of_each = min(1, wanted.ndim - 1)  # channel, for inputs of each scale
        gap, size = (y.abs().cpu().double().norm(dim=of_each) for y in (found - wanted, wanted))
        allowed = tolerance * (size + size.mean(-1, keepdim=True) / 10)
        if not (gap <= allowed).all():
            worst = (gap / allowed).argmax()  # in the flat arrays
            finite = weight.isfinite().all() and wanted.isfinite().all()
            there[f"numbers too large for {weight.dtype}"] = not finite
            because = " and ".join(name for name, is_there in there.items() if is_there)
            why = f"{class_name(plain)} with {because or 'no peculiarity'}"
            off = f"{gap.take(worst):.2g} of {size.take(worst):.2g}"
            raise ValueError(f"merged, this {why} is off by {off}; leave the adapter attached")


def class_name(module: nn.Module) -> str:
    """Return the class of a module with where it comes from, ``torch.nn.modules.linear.Linear``."""
    return f"{type(module).__module__}.{type(module).__qualname__}"
