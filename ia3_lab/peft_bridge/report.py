"""What an IA3 adapter of PEFT consists of: where its vectors sit, held against the places of the paper."""

import re
import tomllib
from collections import Counter
from dataclasses import dataclass
from importlib import resources
from typing import NamedTuple

from torch import nn

from ia3_lab.attach import count_parameters

_TABLE = tomllib.loads((resources.files("ia3_lab") / "data" / "module-names.toml").read_text("utf8"))
_MATRICES = {ending: matrix for matrix, entry in _TABLE.items() for ending in entry["names"]}


class _Row(NamedTuple):
    """Vectors at the same place of every layer (``*`` in the name), and the paper's name for one there, or a dash."""

    vector: str
    side: str
    shape: tuple[int, ...]
    modules: str
    matrix: str
    copies: int

    @property
    def total(self) -> int:
        """Numbers in all of these vectors together."""
        return self.copies * max(self.shape)  # (d_out, 1) or (1, d_in)


@dataclass(frozen=True)
class AdapterReport:
    """What one IA3 adapter of a PEFT model consists of, in parameters; prints as a table.

    ``head`` and ``base`` count the adapter's own copies of whole modules (``modules_to_save``) and the base model,
    ``places`` how many places the base model has for each vector of the paper.
    """

    rows: tuple[_Row, ...]
    head: int
    base: int
    places: dict[str, int]

    @property
    def ia3(self) -> int:
        """Numbers in all rescaling vectors."""
        return sum(row.total for row in self.rows)

    @property
    def verdict(self) -> str:
        """How the places differ from the paper's, in words, or "as in the paper"."""
        found: Counter = Counter()
        for row in self.rows:
            found.update(dict.fromkeys(row.vector.split(), row.copies))
        known = " by a known name" if found["?"] else ""
        missing = [f"no {vector}{known}" for vector in self.places if not found[vector]]
        partly = [f"{v} at {found[v]} of {n} places" for v, n in self.places.items() if found[v] not in (0, n)]
        fused = ["scales Q too"] if any(row.matrix == "W_qkv" and row.vector != "-" for row in self.rows) else []
        extra = sorted({f"also the {row.side} of {row.matrix}" for row in self.rows if row.vector == "-"})
        unknown = {f"unknown: the {row.side} of {row.modules.split('.')[-1]}" for row in self.rows if row.vector == "?"}
        return "; ".join((*missing, *partly, *fused, *extra, *sorted(unknown))) or "as in the paper"

    def __str__(self) -> str:
        line = "{:<9}  {:<6}  {:>10}  {:>6}  {:>8}  {}".format
        lines = [line("vector", "side", "shape", "copies", "numbers", "module")]
        shared = {row.modules[: row.modules.find(".*") + 1] for row in self.rows}  # bert.layer. of bert.layer.*.key
        start = shared.pop().rfind(".", 0, -1) + 1 if len(shared) == 1 else 0  # then layer.*.key is enough
        for row in self.rows:
            numbers = f"{row.total:,}"
            lines.append(line(row.vector, row.side, str(row.shape), row.copies, numbers, row.modules[start:]))
        return "\n".join([*lines, f"IA3 {self.ia3:,} + head {self.head:,} trained; base {self.base:,} frozen"])


def describe_adapter(model: nn.Module, adapter: str = "default") -> AdapterReport:
    """Read a PEFT model: where its rescaling vectors sit, on which side, what the paper calls them, how many numbers.

    Parameters
    ----------
    model : nn.Module
        What ``peft.get_peft_model(model, IA3Config(...))`` returned.
    adapter : str
        The adapter's name.

    Raises
    ------
    ValueError
        If no layer of the model has an IA3 vector of that name.

    References
    ----------
    Liu et al. (2022), section 3.3: the places of l_k, l_v and l_ff.
    """
    root = model.get_base_model() if hasattr(model, "get_base_model") else model
    layers = {name: layer for name, layer in root.named_modules() if adapter in getattr(layer, "ia3_l", ())}
    if not layers:
        kind = type(root).__name__
        raise ValueError(f"no layer of this {kind} has an IA3 vector named {adapter!r}; attach one with PEFT")
    matrices = _matrices_of(root, layers)
    saved = [module.modules_to_save for module in root.modules() if hasattr(module, "modules_to_save")]
    head = sum(count_parameters(copy[adapter]).total for copy in saved if adapter in copy)
    added = sum(vector.numel() for name, vector in root.named_parameters() if ".ia3_l." in f".{name}")
    base = count_parameters(root).total - added - sum(count_parameters(copy).total for copy in saved)
    return AdapterReport(_rows(layers, matrices, adapter), head, base, _places(matrices))


def _rows(layers: dict[str, nn.Module], matrices: dict[str, str], adapter: str) -> tuple[_Row, ...]:
    copies: Counter = Counter()
    for name, layer in layers.items():
        side, shape = "input" if layer.is_feedforward else "output", tuple(layer.ia3_l[adapter].shape)
        modules = re.sub(r"(?<=\.)\d+(?=\.)", "*", f".{name}.").strip(".")
        copies[_TABLE[matrices[name]].get(side, "-"), side, shape, modules, matrices[name]] += 1
    return tuple(_Row(*row, n) for row, n in copies.items())


def _places(matrices: dict[str, str]) -> dict[str, int]:
    """Count the places of each vector; keys that serve as values too, as in Gemma 4, are a place of both."""
    count = Counter(matrices.values())
    attentions = max(count["W_k"], count["W_v"]) + count["W_kv"] + count["W_qkv"]
    return {"l_k": attentions, "l_v": attentions, "l_ff": count["W_2"]}


def _matrices_of(root: nn.Module, layers: dict[str, nn.Module]) -> dict[str, str]:
    """Return which matrix of a transformer each matrix of a model is, by dotted name; "?" if that says nothing."""
    # From the parameters, because the experts of a mixture may be parameters and no modules.
    stored = [name for name, parameter in root.named_parameters() if parameter.ndim > 1 and ".ia3_l." not in name]
    names = {name.removesuffix(".weight").removesuffix(".base_layer") for name in stored} | layers.keys()
    matrices = {name: _matrix(name.split(".")) for name in names}
    gated = {name.rpartition(".")[0] for name, matrix in matrices.items() if matrix == "W_gate"}
    plain = [name for name, matrix in matrices.items() if matrix == "W_up" and name.rpartition(".")[0] not in gated]
    return matrices | dict.fromkeys(plain, "W_1")


def _matrix(parts: list[str]) -> str:
    endings = (".".join(parts[i:]) for i in range(len(parts)))
    return next((_MATRICES[ending] for ending in endings if ending in _MATRICES), "?")
