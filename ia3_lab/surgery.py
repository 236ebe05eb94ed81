"""Find, replace, freeze and count the parts of any ``nn.Module``, by dotted name and by identity."""

import difflib
import fnmatch
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from torch import Tensor, nn

Kinds = type | tuple[type, ...] | Callable[[nn.Module], bool]
Patterns = str | Iterable[str]


@dataclass(frozen=True)
class ParameterCount:
    """How many parameters are trained, of how many; a tensor that is reachable by two names counts once."""

    trainable: int
    total: int

    def __str__(self) -> str:
        """Say it in words, with the share in percent."""
        share = 100 * self.trainable / self.total if self.total else 0.0
        return f"{self.trainable:,} trainable of {self.total:,} ({share:.4f}%)"


def is_linear(module: nn.Module) -> bool:
    """Tell whether module is a layer ``x @ W + b``: an nn.Linear, or transformers' Conv1D, recognized by its looks.

    Conv1D (GPT-2) computes the same but stores its weight as (in, out); it is not imported here, so transformers need
    not be installed.

    Examples
    --------
    >>> is_linear(nn.Linear(2, 3)), is_linear(nn.LayerNorm(3))
    (True, False)
    """
    return isinstance(module, nn.Linear) or stores_in_out(module)


def stores_in_out(module: nn.Module) -> bool:
    """Tell whether a linear layer stores its weight as (in, out), the way transformers' Conv1D does.

    Examples
    --------
    >>> stores_in_out(nn.Linear(2, 3))
    False
    """
    weight = getattr(module, "weight", None)
    named = any(kind.__name__ == "Conv1D" for kind in type(module).__mro__)
    return named and hasattr(module, "nf") and isinstance(weight, Tensor) and weight.ndim == 2


def linear_sizes(module: nn.Module) -> tuple[int, int]:
    """Return (d_in, d_out) of a linear layer.

    Examples
    --------
    >>> linear_sizes(nn.Linear(2, 3))
    (2, 3)
    """
    d_in, d_out = module.weight.shape if stores_in_out(module) else (module.in_features, module.out_features)
    return d_in, d_out


def walk(model: nn.Module, prefix: str = "") -> Iterator[tuple[str, nn.Module]]:
    """Yield every (dotted name, module); a shared module under each of its names, the inside of an adapter not at all.

    Examples
    --------
    >>> [name for name, _ in walk(nn.Sequential(nn.Linear(1, 1), nn.ReLU()))]
    ['', '0', '1']
    """
    _check_module(model)
    yield prefix, model
    if not getattr(model, "is_adapter", False):
        for name, child in model._modules.items():  # named_children() would give a module shared by two names only once
            if child is not None:
                yield from walk(child, f"{prefix}.{name}" if prefix else name)


def find_modules(model: nn.Module, patterns: Patterns, kinds: Kinds = nn.Module) -> dict[str, nn.Module]:
    """Find the modules whose dotted name matches a pattern, in the order of the model.

    Parameters
    ----------
    model : nn.Module
    patterns : str or iterable of str
        Shell patterns over whole names, such as ``"*.k_proj"`` or ``"layers.[0-3].mlp.down_proj"``; ``*`` crosses dots.
    kinds : type, tuple of types, or function from module to bool
        Matches of another kind are left out.

    Raises
    ------
    TypeError
        If patterns are not strings, or a pattern matches only modules of other kinds.
    ValueError
        If a pattern matches no module; the message lists near names.

    Examples
    --------
    >>> list(find_modules(nn.Sequential(nn.Linear(1, 1), nn.ReLU(), nn.Linear(1, 1)), "*", nn.Linear))
    ['0', '2']
    """
    if not isinstance(patterns, Iterable) or isinstance(patterns, Mapping | bytes):
        raise TypeError(f"patterns must be strings such as ['*.k_proj'], got {type(patterns).__name__}: {patterns!r}")
    patterns = (patterns,) if isinstance(patterns, str) else tuple(patterns)
    modules = {name: module for name, module in walk(model) if name}
    if not callable(kinds) and not isinstance(kinds, tuple):
        raise TypeError(f"kinds must be a class of modules, a tuple of such or a function, got {kinds!r}")
    accepts = kinds if not isinstance(kinds, type | tuple) else (lambda module: isinstance(module, kinds))
    if not modules and patterns:
        raise ValueError(
            f"expected a model with named parts, this {type(model).__name__} has no parts; wrap it directly"
        )
    found = set()
    for pattern in patterns:
        if not isinstance(pattern, str):
            raise TypeError(f"a pattern must be a string such as '*.k_proj', got {type(pattern).__name__}: {pattern!r}")
        matches = [name for name in modules if fnmatch.fnmatchcase(name, pattern)]
        fitting = [name for name in matches if accepts(modules[name])]
        if not matches:
            raise ValueError(_no_match(pattern, modules))
        if not fitting:
            examples = ", ".join(f"{name} ({type(modules[name]).__name__})" for name in matches[:3])
            linear = _linear_names(modules)
            hint = f"name the layers themselves, for example {linear}" if linear else "this model has no linear layer"
            raise TypeError(f"pattern {pattern!r} matches only modules of another kind: {examples}; {hint}")
        found.update(fitting)
    return {name: module for name, module in modules.items() if name in found}


def replace_module(model: nn.Module, name: str, module: nn.Module) -> nn.Module:
    """Put module at a dotted name of model and return what was there.

    Raises
    ------
    TypeError
        If name is not a string or module is not a module.
    ValueError
        If the model has no module of that name.

    Examples
    --------
    >>> replace_module(nn.Sequential(nn.ReLU()), "0", nn.GELU())
    ReLU()
    """
    if not isinstance(name, str) or not isinstance(module, nn.Module):
        raise TypeError(
            f"expected a dotted name and an nn.Module, got {type(name).__name__} and {type(module).__name__}; to take "
            "a layer out put nn.Identity() there"
        )
    parent_name, _, leaf = name.rpartition(".")
    modules = dict(walk(model))
    if not name or name not in modules:
        raise ValueError(_no_match(name, modules))
    old = modules[name]
    modules[parent_name]._modules[leaf] = module
    return old


def freeze_except(model: nn.Module, parameters: Tensor | Iterable[Tensor] | Mapping[str, Tensor]) -> ParameterCount:
    """Train exactly the given parameters of model and freeze the rest; they are told apart by identity, not by name.

    Raises
    ------
    TypeError
        If what is given are not floating-point parameters.
    ValueError
        If there is nothing to train, or one of the parameters is not the model's.

    Examples
    --------
    >>> layer = nn.Linear(3, 2)
    >>> print(freeze_except(layer, [layer.bias]))
    2 trainable of 8 (25.0000%)
    """
    _check_module(model)
    parameters = parameters.values() if isinstance(parameters, Mapping) else parameters
    if not isinstance(parameters, Iterable):
        raise TypeError(f"expected parameters, got a {type(parameters).__name__}; for a module give its .parameters()")
    parameters = [parameters] if isinstance(parameters, Tensor) else list(parameters)
    for parameter in parameters:
        if not isinstance(parameter, Tensor):
            raise TypeError(
                f"expected parameters, got a {type(parameter).__name__}; for a module give its .parameters()"
            )
        if not (parameter.is_floating_point() or parameter.is_complex()):
            raise TypeError(f"expected parameters that can be trained, got one of {parameter.dtype}; leave it out")
    chosen = {id(parameter) for parameter in parameters}
    own = {id(p) for p in model.parameters()}
    if not chosen:
        raise ValueError("expected at least one parameter to train, got none; attach an adapter first")
    if chosen - own:
        raise ValueError(
            f"expected parameters of this {type(model).__name__}, but {len(chosen - own)} of the {len(chosen)} given "
            "are not part of it; take them from the model itself (again, after a deepcopy)"
        )
    for parameter in model.parameters():
        parameter.requires_grad_(id(parameter) in chosen)
    return count_parameters(model)


def count_parameters(model: nn.Module) -> ParameterCount:
    """Count the entries of all distinct parameters of model, and of those that are trained.

    Examples
    --------
    >>> print(count_parameters(nn.Linear(3, 2)))
    8 trainable of 8 (100.0000%)
    """
    _check_module(model)
    parameters = list(model.parameters())
    return ParameterCount(sum(p.numel() for p in parameters if p.requires_grad), sum(p.numel() for p in parameters))


def _check_module(model: nn.Module) -> None:
    if not isinstance(model, nn.Module):
        raise TypeError(f"expected an nn.Module, got {type(model).__name__}")


def _linear_names(modules: Mapping[str, nn.Module]) -> list[str]:
    return [name for name, module in modules.items() if is_linear(module)][:5]


def _no_match(pattern: str, modules: Mapping[str, nn.Module]) -> str:
    leaf = pattern.rpartition(".")[2].strip("*")
    leaves: dict[str, str] = {}  # last part of a name -> the first name that ends so; the numbers of a list say nothing
    for name in filter(None, modules):
        if not name.rpartition(".")[2].isdigit():
            leaves.setdefault(name.rpartition(".")[2], name)
    close = difflib.get_close_matches(leaf, leaves, n=4, cutoff=0.5)
    near = [leaves[other] for other in close] or _linear_names(modules)
    # A name without dots is its own pattern; "*.k_proj" needs a dot. The failed pattern is no example of a good one.
    example = f"*.{close[0]}" if close and "." in near[0] else "".join(near[:1])
    return (
        f"{pattern!r} matches no module of this model; a pattern must match the whole dotted name"
        f"{f', for example {example!r}' if example else ''}; near names: {', '.join(near) or 'none'}"
    )
