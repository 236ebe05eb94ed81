"""Verbs for any model: wrap its linear layers by name, train what was added, fold it into the weights.

>>> model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
>>> wrapped = attach(model, input="2")
>>> print(freeze_except(model, adapter_parameters(model)))
4 trainable of 30 (13.3333%)

`attach`, `detach` and `merge` change the whole model or, whatever goes wrong, nothing of it.
"""

import difflib
import fnmatch
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ia3_lab.adapters import Adapter, LoRALinear, ScaledLinear, is_linear
from ia3_lab.folding import class_name, plain_layer

Patterns = str | Iterable[str]


def attach(
    model: nn.Module, *, output: Patterns = (), input: Patterns = (), dtype: torch.dtype | None = None
) -> dict[str, ScaledLinear]:
    """Put a rescaling vector on the linear layers whose dotted names match, in place; return the adapters by name.

    Nothing is frozen. A layer that the model holds under two names gets one vector.

    Parameters
    ----------
    model : nn.Module
    output, input : str or iterable of str
        Shell patterns over whole dotted names, by the side to scale: ``output=["*.k_proj", "*.v_proj"]``,
        ``input=["*.down_proj"]``.
    dtype : torch.dtype, optional; of the vectors, see `ScaledLinear`

    Raises
    ------
    ValueError
        If a pattern matches no linear layer (near names are given), or a layer both sides or one that is wrapped.

    Examples
    --------
    >>> list(attach(nn.Sequential(nn.Linear(3, 4), nn.ReLU()), output="0"))
    ['0']
    """
    on_output, on_input = _find_linear(model, output), _find_linear(model, input)
    side_of = dict.fromkeys(map(id, on_output.values()), "output") | dict.fromkeys(map(id, on_input.values()), "input")
    if both := [name for name, layer in on_output.items() if side_of[id(layer)] == "input"]:
        raise ValueError(f"{both} match output and input; make the patterns disjoint")
    return _wrap(model, on_output | on_input, lambda base: ScaledLinear(base, side_of[id(base)], dtype))


def attach_lora(
    model: nn.Module,
    patterns: Patterns,
    *,
    rank: int,
    alpha: float | None = None,
    generator: torch.Generator | None = None,
    dtype: torch.dtype | None = None,
) -> dict[str, LoRALinear]:
    """Put a low-rank update on the linear layers whose dotted names match, as `attach` does; see `LoRALinear`."""
    make = partial(LoRALinear, rank=rank, alpha=alpha, generator=generator, dtype=dtype)
    return _wrap(model, _find_linear(model, patterns), make)


def detach(model: nn.Module) -> dict[str, Adapter]:
    """Take every adapter out again, in place, so that the model computes what it did before; return them by name.

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
    found = _attached(model)
    _put(model, {name: adapter.base for name, adapter in found.items()})
    return found


def merge(model: nn.Module) -> nn.Module:
    """Put the plain layer that each adapter computes in its place, and return the model (or the layer of an adapter).

    Each is new, so a weight that was tied is tied no longer, and must not be tied again. Before the first is put in its
    place, all are compared with their adapters on random inputs, which calls their hooks.

    Raises
    ------
    ValueError
        If nothing is attached, an adapter holds NaN or infinity, or a merged layer would be another function.
    TypeError
        If a weight is quantized.

    Examples
    --------
    >>> model = nn.Sequential(nn.Linear(3, 4))
    >>> wrapped = attach(model, output="0")
    >>> merge(model)[0]
    Linear(in_features=3, out_features=4, bias=True)
    """
    if isinstance(model, Adapter):
        return plain_layer(model)
    found, plain = _attached(model), {}
    for name, adapter in found.items():
        try:
            plain[adapter] = plain.get(adapter) or plain_layer(adapter)
        except Exception as error:
            error.add_note(f"This is {name!r}; no layer was merged, the model is as it was.")
            raise
    _put(model, {name: plain[adapter] for name, adapter in found.items()})
    return model


def adapter_parameters(model: nn.Module) -> dict[str, nn.Parameter]:
    """Return what was added to a model by dotted name, each parameter once: ``l`` of IA3, ``A`` and ``B`` of LoRA.

    Examples
    --------
    >>> model = nn.Sequential(nn.Linear(3, 4))
    >>> wrapped = attach(model, output="0")
    >>> list(adapter_parameters(model))
    ['0.l']
    """
    adapters = [module for module in model.modules() if isinstance(module, Adapter)]
    added = {id(p) for adapter in adapters for p in adapter.parameters(recurse=False)}
    return {name: p for name, p in model.named_parameters() if id(p) in added}


class ParameterCount(NamedTuple):
    """How many parameters are trained, of how many; a tensor that is reachable by two names counts once."""

    trainable: int
    total: int

    def __str__(self) -> str:
        return f"{self.trainable:,} trainable of {self.total:,} ({self.trainable / max(self.total, 1):.4%})"


def count_parameters(model: nn.Module) -> ParameterCount:
    """Count the distinct parameters of a model, and those that are trained: as weights, not as they are packed.

    Examples
    --------
    >>> print(count_parameters(nn.Linear(3, 2)))
    8 trainable of 8 (100.0000%)
    """
    owned = [(p, module) for module in model.modules() for p in module.parameters(recurse=False)]
    sizes = {id(p): (_num_weights(module, p), p) for p, module in owned}
    return ParameterCount(sum(n for n, p in sizes.values() if p.requires_grad), sum(n for n, _ in sizes.values()))


def freeze_except(model: nn.Module, parameters: Iterable[Tensor] | Mapping[str, Tensor]) -> ParameterCount:
    """Train exactly the given parameters, of any shape (...), and freeze the rest; told apart by identity, not by name.

    Raises
    ------
    ValueError
        If there are none, or one is not the model's.

    Examples
    --------
    >>> layer = nn.Linear(3, 2)
    >>> print(freeze_except(layer, [layer.bias]))
    2 trainable of 8 (25.0000%)
    """
    chosen = {id(p) for p in (parameters.values() if isinstance(parameters, Mapping) else parameters)}
    if not chosen or chosen - {id(p) for p in model.parameters()}:
        raise ValueError("expected parameters of this model, at least one; take them from it (again, after a deepcopy)")
    for parameter in model.parameters():
        parameter.requires_grad_(id(parameter) in chosen)
    return count_parameters(model)


def _num_weights(module: nn.Module, parameter: Tensor) -> int:
    """Return how many weights a parameter holds; packed ones, two or more to a stored number, have another shape."""
    if type(parameter).__name__ == "Params4bit":  # of bitsandbytes, two to a byte
        return 2 * parameter.element_size() * parameter.numel()
    if parameter is module._parameters.get("weight") and not parameter.is_floating_point():
        return getattr(module, "in_features", 0) * getattr(module, "out_features", 0) or parameter.numel()
    return parameter.numel()


def _walk(model: nn.Module, prefix: str = "") -> Iterator[tuple[str, nn.Module]]:
    """Yield every (dotted name, module); a shared one under each of its names, the inside of an adapter not at all."""
    for name, child in model._modules.items():  # named_children() would give a module shared by two names only once
        if child is not None:
            yield prefix + name, child
            if not isinstance(child, Adapter):
                yield from _walk(child, f"{prefix}{name}.")


def _attached(model: nn.Module) -> dict[str, Adapter]:
    """Return a model's adapters by dotted name; one that is shared stands under each of its names."""
    found = {name: module for name, module in _walk(model) if isinstance(module, Adapter)}
    if not found:
        raise ValueError(f"this {type(model).__name__} carries no adapter inside; attach one first")
    return found


def _find_linear(model: nn.Module, patterns: Patterns) -> dict[str, nn.Module]:
    """Find the linear layers, wrapped ones too, whose whole dotted names match a shell pattern; ``*`` crosses dots."""
    layers = {name: module for name, module in _walk(model) if is_linear(module) or isinstance(module, Adapter)}
    found: set[str] = set()
    for pattern in [patterns] if isinstance(patterns, str) else patterns:
        matches = [name for name in layers if fnmatch.fnmatchcase(name, pattern)]
        if not matches:
            here = _what_is_there(model, layers, pattern)
            raise ValueError(f"{pattern!r} matches the whole dotted name of no linear layer of this model; {here}")
        found.update(matches)
    return {name: layer for name, layer in layers.items() if name in found}


def _what_is_there(model: nn.Module, layers: Mapping[str, nn.Module], pattern: str) -> str:
    """Say what a pattern does match, what is packed elsewhere, and near names of layers."""
    parts = {name: f"a {class_name(module)}" for name, module in _walk(model)}
    parts |= {name: f"a parameter of shape {tuple(p.shape)}" for name, p in model.named_parameters()}
    found = [f"{name} is {parts[name]}" for name in parts if fnmatch.fnmatchcase(name, pattern)][:3]
    packed = [name for name, m in _walk(model) if getattr(m, "in_proj_weight", None) is not None][:1]
    found += [f"{name} packs queries, keys and values in one parameter, in_proj_weight" for name in packed]
    leaves = {name.rpartition(".")[2]: name for name in reversed(layers)}
    near = difflib.get_close_matches(pattern.rpartition(".")[2], leaves, n=4, cutoff=0.5) or list(leaves)[:4]
    names = f"near names: {', '.join(leaves[leaf] for leaf in near)}" if near else "it has none"
    return "; ".join([*found, names])


def _wrap(model: nn.Module, layers: Mapping[str, nn.Module], make: Callable[[nn.Module], Adapter]) -> dict:
    """Put what ``make`` makes of each layer in its place, in the order of the model; all are made before the first."""
    if not layers:
        raise ValueError("expected at least one pattern, got none; for example output=['*.k_proj']")
    if taken := [name for name, layer in layers.items() if isinstance(layer, Adapter)]:
        raise ValueError(f"{', '.join(taken)} carry an adapter already; detach or merge it first")
    if compiled := [name for name in layers if name.endswith("_orig_mod")]:  # what it calls is bound already
        raise ValueError(f"{', '.join(compiled)} are layers compiled alone; attach first, then compile")
    made = {base: make(base) for base in dict.fromkeys(layers.values())}
    wrapped = {name: made[layer] for name, layer in _walk(model) if name in layers}
    _put(model, wrapped)
    return wrapped


def _put(model: nn.Module, modules: Mapping[str, nn.Module]) -> None:
    """Put modules at their dotted names: all of them or, if something interrupts it, none."""
    places = [(model.get_submodule(name.rpartition(".")[0])._modules, name.rpartition(".")[2]) for name in modules]
    before = [parent[leaf] for parent, leaf in places]
    try:
        for (parent, leaf), module in zip(places, modules.values(), strict=True):
            parent[leaf] = module
    except BaseException:
        for (parent, leaf), module in zip(places, before, strict=True):
            parent[leaf] = module
        raise
