"""How many parameters an adapter has, in closed form: counted from a model's sizes, with no model in memory.

For one block with hidden width ``d_model``, key width ``d_kv`` and feed-forward width ``d_ff``

- IA3 learns one vector for each chosen place: ``d_kv + d_kv + d_ff`` (Liu et al. 2022, section 3.3);
- LoRA of rank ``r`` learns two thin matrices for each chosen weight of shape (in, out): ``r (in + out)``
  (Hu et al. 2022, section 4.1).

A decoder block beside an encoder has a second attention layer, and its vectors and matrices are counted too.
Normalizations, biases, embeddings and task heads are not adapted. Bytes are decimal: 1 MB is 10^6, 1 GB is 10^9.

A model is given by a `ModelConfig` or by a config object of transformers, which `ModelConfig.from_hugging_face` reads.
"""

import itertools
import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

from ia3_lab.config import ModelConfig

if TYPE_CHECKING:
    import pandas as pd

#: IA3's vectors in the order of a forward pass, with their lengths.
VECTORS = {"l_k": "d_kv", "l_v": "d_kv", "l_ff": "d_ff"}
#: The matrices of a block, which LoRA can adapt, with their widths (in, out).
MATRICES = {
    "W_q": ("d_model", "d_attn"),
    "W_k": ("d_model", "d_kv"),
    "W_v": ("d_model", "d_kv"),
    "W_o": ("d_attn", "d_model"),
    "W_1": ("d_model", "d_ff"),
    "W_gate": ("d_model", "d_ff"),  # in a gated feed-forward network only
    "W_2": ("d_ff", "d_model"),
}
#: The matrices beside which IA3 puts its vectors: the like-for-like comparison.
SAME_PLACES = ("W_k", "W_v", "W_1", "W_2")
#: Bytes of one stored number.
DTYPE_BYTES = {"float64": 8, "float32": 4, "bfloat16": 2, "float16": 2}


class CountRow(NamedTuple):
    """One kind of trained array: what it is, where, how large one is, and how often it stands in the model."""

    role: str
    place: str
    formula: str
    each: int
    instances: int

    @property
    def total(self) -> int:
        """Parameters of all instances together."""
        return self.each * self.instances


class AdapterCount(NamedTuple):
    """The parameters of one adapter on one model."""

    method: str
    model: str
    rows: tuple[CountRow, ...]
    base_parameters: int | None = None

    @property
    def total(self) -> int:
        """Parameters of the adapter."""
        return sum(row.total for row in self.rows)

    @property
    def per_layer(self) -> int:
        """Parameters in one block without cross-attention."""
        return sum(row.each for row in self.rows if row.place != "cross-attention")

    def bytes(self, dtype: str = "float32") -> int:
        """Return the size of the numbers alone in bytes, without a file format's header."""
        return self.total * DTYPE_BYTES[dtype]


def count_ia3(config: ModelConfig | Any, vectors: Iterable[str] = VECTORS) -> AdapterCount:
    """Count IA3's parameters: ``d_kv + d_kv + d_ff`` for a block, and ``d_kv + d_kv`` more for a cross-attention.

    ``vectors`` says which of ``"l_k"``, ``"l_v"``, ``"l_ff"`` to learn.

    Examples
    --------
    >>> from ia3_lab.config import get_preset
    >>> count_ia3(get_preset("llama-7b")).total
    614400
    """
    config = _sizes(config)
    sizes = {role: (VECTORS[role], getattr(config, VECTORS[role])) for role in _chosen(vectors, VECTORS)}
    return AdapterCount("IA3", config.name, _rows(config, sizes), config.base_parameters)


def count_lora(config: ModelConfig | Any, rank: int, targets: Iterable[str] = SAME_PLACES) -> AdapterCount:
    """Count LoRA's parameters: ``rank * (in + out)`` for each adapted matrix.

    ``targets`` says which of `MATRICES` to adapt; the default is the four beside IA3's vectors.

    Examples
    --------
    >>> from ia3_lab.config import get_preset
    >>> count_lora(get_preset("llama-7b"), rank=8).total
    11927552
    """
    config, chosen = _sizes(config), _chosen(targets, MATRICES)
    if rank < 1:
        raise ValueError(f"rank must be at least 1, got {rank}")
    if "W_gate" in chosen and not config.gated_ffn:
        raise ValueError(f"{config.name!r} has no W_gate: its feed-forward network is not gated; leave W_gate out")
    widths = {role: [getattr(config, width) for width in MATRICES[role]] for role in chosen}
    sizes = {role: (f"r ({' + '.join(MATRICES[role])})", rank * sum(widths[role])) for role in chosen}
    return AdapterCount(f"LoRA r={rank}", config.name, _rows(config, sizes), config.base_parameters)


def count_matrices(config: ModelConfig | Any) -> int:
    """Count the frozen weights of all blocks' matrices: no biases, normalizations or embeddings.

    Examples
    --------
    >>> from ia3_lab.config import get_preset
    >>> count_matrices(get_preset("llama-7b"))
    6476005376
    """
    config = _sizes(config)
    there = [role for role in MATRICES if role != "W_gate" or config.gated_ffn]
    sizes = {role: ("", math.prod(getattr(config, width) for width in MATRICES[role])) for role in there}
    return sum(row.total for row in _rows(config, sizes))


def break_even_rank(config: ModelConfig | Any, targets: Iterable[str] = SAME_PLACES) -> float:
    """Return the rank, not rounded, at which LoRA and IA3 have the same number of parameters.

    Examples
    --------
    >>> from ia3_lab.config import get_preset
    >>> round(break_even_rank(get_preset("llama-7b"), targets=("W_q", "W_v")), 2)
    1.17
    """
    return count_ia3(config).total / count_lora(config, 1, targets).total


def compare(configs: Iterable[Any], ranks: Iterable[int], targets: Iterable[str] = SAME_PLACES) -> "pd.DataFrame":
    """Compare IA3 with LoRA over models and ranks: a row for each pair, shares as fractions (NaN when unknown).

    Examples
    --------
    >>> from ia3_lab.config import get_preset
    >>> compare([get_preset("gpt2")], ranks=[1, 8])["LoRA / IA3"].round(2).tolist()
    [2.33, 18.67]
    """
    import pandas as pd  # here, so that counting alone does not load it

    targets = _chosen(targets, MATRICES)  # a generator would be spent after the first row
    columns = ["model", "rank", "IA3", "IA3 / base", "LoRA", "LoRA / base", "LoRA / IA3"]
    rows = []
    for config, rank in itertools.product(configs, ranks):
        ia3, lora = count_ia3(config), count_lora(config, rank, targets)
        base = ia3.base_parameters or float("nan")
        shares = [one.total / base for one in (ia3, lora)]
        rows.append((ia3.model, rank, ia3.total, shares[0], lora.total, shares[1], lora.total / ia3.total))
    return pd.DataFrame(rows, columns=columns)


def _sizes(config: ModelConfig | Any) -> ModelConfig:
    return config if isinstance(config, ModelConfig) else ModelConfig.from_hugging_face(config)


def _chosen(names: Iterable[str], known: Iterable[str]) -> list[str]:
    """Return the names once each in their usual order, or say which is unknown."""
    names = {names} if isinstance(names, str) else set(names)
    if not names or names - set(known):
        raise ValueError(f"expected some of {', '.join(known)}, got {sorted(names)}")
    return [name for name in known if name in names]


def _rows(config: ModelConfig, sizes: dict[str, tuple[str, int]]) -> tuple[CountRow, ...]:
    """Return a row for each role and place, from the formula and the size of one array of each role."""
    rows = []
    for role, (formula, each) in sizes.items():
        place = "feed-forward" if role in ("l_ff", "W_1", "W_gate", "W_2") else "self-attention"
        rows.append(CountRow(role, place, formula, each, config.num_blocks))
        if place == "self-attention" and config.num_decoder_layers:
            rows.append(CountRow(role, "cross-attention", formula, each, config.num_decoder_layers))
    return tuple(rows)
