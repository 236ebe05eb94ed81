"""How many parameters an adapter has, in closed form: counted from a model's sizes, with no model in memory.

For one block with hidden width ``d_model``, key width ``d_kv`` and feed-forward width ``d_ff``

- IA3 learns one vector for each chosen place: ``d_kv + d_kv + d_ff`` (Liu et al. 2022, section 3.3);
- LoRA of rank ``r`` learns two thin matrices for each chosen weight of shape (in, out): ``r (in + out)``
  (Hu et al. 2022, section 4.1).

A decoder block beside an encoder has a second attention layer, and its vectors and matrices are counted too.
Normalizations, biases, embeddings and task heads are not adapted. Bytes are decimal: 1 MB is 10^6, 1 GB is 10^9.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from ia3_lab.config import ModelConfig, whole_number

#: The vectors of IA3, in the order of a forward pass.
VECTORS = ("l_k", "l_v", "l_ff")
#: The matrices that LoRA can adapt. ``W_gate`` exists in a gated feed-forward network only.
MATRICES = ("W_q", "W_k", "W_v", "W_o", "W_1", "W_gate", "W_2")
#: The matrices beside which IA3 puts its vectors: the like-for-like comparison.
SAME_PLACES = ("W_k", "W_v", "W_1", "W_2")
#: Bytes of one stored number.
DTYPE_BYTES = {"float64": 8, "float32": 4, "bfloat16": 2, "float16": 2}
GIGABYTE = 10**9

_FEED_FORWARD = ("l_ff", "W_1", "W_gate", "W_2")


@dataclass(frozen=True)
class CountRow:
    """One kind of trained array: what it is, how large one is, and how often it stands in the model."""

    role: str
    place: str
    formula: str
    each: int
    instances: int

    @property
    def total(self) -> int:
        """Parameters of all instances together."""
        return self.each * self.instances


@dataclass(frozen=True)
class AdapterCount:
    """The parameters of one adapter on one model. Printing it gives a table.

    Attributes
    ----------
    method : str
        ``"IA3"`` or ``"LoRA r=8"``.
    model : str
        The model's name.
    rows : tuple of CountRow
        One row for each kind of array and place.
    base_parameters : int or None
        Parameters of the base model, when known.
    """

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

    @property
    def share_of_base(self) -> float | None:
        """The adapter's parameters over the base model's, None when those are unknown."""
        return None if self.base_parameters is None else self.total / self.base_parameters

    def bytes(self, dtype: str = "float32") -> int:
        """Return the size on disk of the numbers alone: total parameters times bytes of one.

        Parameters
        ----------
        dtype : str
            One of ``"float64"``, ``"float32"``, ``"bfloat16"``, ``"float16"``.

        Returns
        -------
        int
            Bytes, without a file format's header.

        Raises
        ------
        ValueError
            If the dtype is unknown.
        """
        if not isinstance(dtype, str) or dtype not in DTYPE_BYTES:
            raise ValueError(f"unknown dtype {dtype!r}; expected one of {', '.join(DTYPE_BYTES)}.")
        return self.total * DTYPE_BYTES[dtype]

    def adapters_per_gigabyte(self, dtype: str = "float32") -> int:
        """Return how many such adapters fit whole in 10^9 bytes.

        Parameters
        ----------
        dtype : str
            As for ``bytes``.

        Returns
        -------
        int
            Adapters.
        """
        return GIGABYTE // self.bytes(dtype)

    def __str__(self) -> str:
        head = ("array", "in", "size of one", "parameters", "times", "total")
        body = [
            (row.role, row.place, row.formula, f"{row.each:,}", f"{row.instances:,}", f"{row.total:,}")
            for row in self.rows
        ]
        foot = ("total", "", "", "", "", f"{self.total:,}")
        share = "" if self.share_of_base is None else f", {_percent(self.share_of_base)} of the base model"
        title = f"{self.method} on {self.model}: {self.total:,} parameters{share}"
        return _table(title, head, [*body, foot], text_columns=3)


def count_ia3(config: ModelConfig, vectors: Iterable[str] = VECTORS) -> AdapterCount:
    """Count IA3's parameters: ``d_kv + d_kv + d_ff`` for a block, and ``d_kv + d_kv`` more for a cross-attention.

    Parameters
    ----------
    config : ModelConfig
        The model's sizes.
    vectors : iterable of str
        Which of ``"l_k"``, ``"l_v"``, ``"l_ff"`` to learn.

    Returns
    -------
    AdapterCount
        Rows, total, share of the base model, bytes.

    Raises
    ------
    TypeError
        If the config is no ModelConfig.
    ValueError
        If a vector is unknown or none is given.

    Examples
    --------
    >>> from ia3_lab.config import get_preset
    >>> count_ia3(get_preset("llama-7b")).total
    614400
    """
    _check_config(config)
    sizes = {"l_k": ("d_kv", config.d_kv), "l_v": ("d_kv", config.d_kv), "l_ff": ("d_ff", config.d_ff)}
    chosen = _chosen("vector", vectors, VECTORS)
    return AdapterCount(
        "IA3", config.name, _rows(config, {role: sizes[role] for role in chosen}), config.base_parameters
    )


def count_lora(config: ModelConfig, rank: int, targets: Iterable[str] = SAME_PLACES) -> AdapterCount:
    """Count LoRA's parameters: ``rank * (in + out)`` for each adapted matrix.

    Parameters
    ----------
    config : ModelConfig
        The model's sizes.
    rank : int
        LoRA's r.
    targets : iterable of str
        Which of ``"W_q"``, ``"W_k"``, ``"W_v"``, ``"W_o"``, ``"W_1"``, ``"W_gate"``, ``"W_2"`` to adapt. The default
        is the four matrices beside IA3's vectors.

    Returns
    -------
    AdapterCount
        Rows, total, share of the base model, bytes.

    Raises
    ------
    TypeError
        If the config is no ModelConfig, or the rank is not a whole number.
    ValueError
        If the rank is below 1, a target is unknown, none is given, or ``"W_gate"`` is asked of an ungated model.

    Examples
    --------
    >>> from ia3_lab.config import get_preset
    >>> count_lora(get_preset("llama-7b"), rank=8).total
    11927552
    """
    _check_config(config)
    rank = whole_number(rank, "rank", least=1)
    chosen = _chosen("target", targets, MATRICES)
    shapes = {role: matrix_shape(config, role) for role in chosen}
    names = {role: _MATRIX_SIZES[role] for role in chosen}
    sizes = {role: (f"r ({' + '.join(names[role])})", rank * sum(shapes[role])) for role in chosen}
    return AdapterCount(f"LoRA r={rank}", config.name, _rows(config, sizes), config.base_parameters)


_MATRIX_SIZES = {
    "W_q": ("d_model", "d_attn"),
    "W_k": ("d_model", "d_kv"),
    "W_v": ("d_model", "d_kv"),
    "W_o": ("d_attn", "d_model"),
    "W_1": ("d_model", "d_ff"),
    "W_gate": ("d_model", "d_ff"),
    "W_2": ("d_ff", "d_model"),
}


def matrix_shape(config: ModelConfig, role: str) -> tuple[int, int]:
    """Return the shape (in, out) of one weight matrix.

    Parameters
    ----------
    config : ModelConfig
        The model's sizes.
    role : str
        One of ``MATRICES``.

    Returns
    -------
    tuple of int
        Input and output width.

    Raises
    ------
    ValueError
        If the role is unknown, or ``"W_gate"`` is asked of an ungated model.

    Examples
    --------
    >>> from ia3_lab.config import get_preset
    >>> matrix_shape(get_preset("llama-3-8b"), "W_k")
    (4096, 1024)
    """
    _check_config(config)
    (role,) = _chosen("matrix", [role], MATRICES)
    if role == "W_gate" and not config.gated_ffn:
        raise ValueError(f"{config.name!r} has no W_gate: its feed-forward network is not gated; leave W_gate out.")
    width_in, width_out = _MATRIX_SIZES[role]
    return getattr(config, width_in), getattr(config, width_out)


def count_matrices(config: ModelConfig) -> int:
    """Count the frozen weights of all blocks' matrices: no biases, normalizations or embeddings.

    Parameters
    ----------
    config : ModelConfig
        The model's sizes.

    Returns
    -------
    int
        ``in * out`` summed over every matrix; a lower bound on the base model's parameters.

    Examples
    --------
    >>> from ia3_lab.config import get_preset
    >>> count_matrices(get_preset("llama-7b"))
    6476005376
    """
    _check_config(config)
    sizes = {}
    for role in MATRICES:
        if role != "W_gate" or config.gated_ffn:
            width_in, width_out = matrix_shape(config, role)
            sizes[role] = (" x ".join(_MATRIX_SIZES[role]), width_in * width_out)
    return sum(row.total for row in _rows(config, sizes))


def break_even_rank(
    config: ModelConfig, targets: Iterable[str] = SAME_PLACES, vectors: Iterable[str] = VECTORS
) -> float:
    """Return the rank, not rounded, at which LoRA and IA3 have the same number of parameters.

    LoRA's count is proportional to its rank, so below this rank LoRA is the smaller one, above it IA3 is.

    Parameters
    ----------
    config : ModelConfig
        The model's sizes.
    targets : iterable of str
        LoRA's matrices.
    vectors : iterable of str
        IA3's vectors.

    Returns
    -------
    float
        IA3's parameters over those of LoRA at rank 1.

    Examples
    --------
    >>> from ia3_lab.config import get_preset
    >>> round(break_even_rank(get_preset("llama-7b"), targets=("W_q", "W_v")), 2)
    1.17
    """
    return count_ia3(config, vectors).total / count_lora(config, 1, targets).total


@dataclass(frozen=True)
class Comparison:
    """IA3 and LoRA on one model at one rank."""

    model: str
    rank: int
    ia3: AdapterCount
    lora: AdapterCount

    @property
    def ratio(self) -> float:
        """LoRA's parameters over IA3's."""
        return self.lora.total / self.ia3.total


@dataclass(frozen=True)
class ComparisonTable:
    """Several comparisons under one title. Printing it gives a table; iterating gives its rows."""

    title: str
    rows: tuple[Comparison, ...]

    def __iter__(self):
        """Iterate over the comparisons."""
        return iter(self.rows)

    def __len__(self) -> int:
        """Return the number of comparisons."""
        return len(self.rows)

    def __str__(self) -> str:
        head = ("model", "rank", "IA3", "of base", "LoRA", "of base", "LoRA / IA3")
        body = [
            (
                row.model,
                str(row.rank),
                f"{row.ia3.total:,}",
                _percent(row.ia3.share_of_base),
                f"{row.lora.total:,}",
                _percent(row.lora.share_of_base),
                f"{row.ratio:.2f}",
            )
            for row in self.rows
        ]
        return _table(self.title, head, body, text_columns=1)


def ratio_table(configs: Iterable[ModelConfig], rank: int, targets: Iterable[str] = SAME_PLACES) -> ComparisonTable:
    """Compare IA3 with LoRA of one rank over several models.

    Parameters
    ----------
    configs : iterable of ModelConfig
        The models.
    rank : int
        LoRA's r.
    targets : sequence of str
        LoRA's matrices.

    Returns
    -------
    ComparisonTable
        One row for each model.

    Examples
    --------
    >>> from ia3_lab.config import get_preset
    >>> [round(row.ratio, 2) for row in ratio_table([get_preset("gpt2")], rank=8)]
    [18.67]
    """
    chosen = _chosen("target", targets, MATRICES)
    pairs = [(count_ia3(config), count_lora(config, rank, chosen)) for config in _several("model", configs)]
    rows = tuple(Comparison(ia3.model, rank, ia3, lora) for ia3, lora in pairs)
    return ComparisonTable(f"LoRA on {', '.join(chosen)}", rows)


def rank_table(config: ModelConfig, ranks: Iterable[int], targets: Iterable[str] = SAME_PLACES) -> ComparisonTable:
    """Compare IA3 with LoRA of several ranks on one model.

    Parameters
    ----------
    config : ModelConfig
        The model's sizes.
    ranks : iterable of int
        LoRA's r.
    targets : sequence of str
        LoRA's matrices.

    Returns
    -------
    ComparisonTable
        One row for each rank.

    Examples
    --------
    >>> from ia3_lab.config import get_preset
    >>> [row.lora.total for row in rank_table(get_preset("llama-7b"), (1, 64))]
    [1490944, 95420416]
    """
    ia3, chosen = count_ia3(config), _chosen("target", targets, MATRICES)
    rows = [Comparison(config.name, rank, ia3, count_lora(config, rank, chosen)) for rank in _several("rank", ranks)]
    return ComparisonTable(f"LoRA on {', '.join(chosen)}", tuple(rows))


def _chosen(kind: str, names: Iterable[str], known: tuple[str, ...]) -> tuple[str, ...]:
    """Return the chosen roles once each in their usual order, or say which name is wrong."""
    names = (names,) if isinstance(names, str) else _several(kind, names)
    if wrong := [name for name in names if name not in known]:
        raise ValueError(f"unknown {kind} {wrong[0]!r}; expected one of {', '.join(known)}.")
    return tuple(name for name in known if name in names)


def _several(kind: str, things: Iterable[Any]) -> tuple[Any, ...]:
    """Return at least one thing as a tuple, or say what came instead of a list."""
    if not isinstance(things, Iterable):
        raise TypeError(f"expected a list of one {kind} or more, got {things!r}; put it in square brackets.")
    if not (several := tuple(things)):
        raise ValueError(f"expected at least one {kind}, got none; give one or more.")
    return several


def _check_config(config: ModelConfig) -> None:
    if not isinstance(config, ModelConfig):
        raise TypeError(f"expected a ModelConfig, got {config!r}; make one, or use get_preset(name).")


def _rows(config: ModelConfig, sizes: dict[str, tuple[str, int]]) -> tuple[CountRow, ...]:
    """Return a row for each role and place, from the size of one array of each role."""
    rows = []
    for role, (formula, each) in sizes.items():
        if role in _FEED_FORWARD:
            rows.append(CountRow(role, "feed-forward", formula, each, config.num_blocks))
            continue
        rows.append(CountRow(role, "self-attention", formula, each, config.num_blocks))
        if config.num_decoder_layers:
            rows.append(CountRow(role, "cross-attention", formula, each, config.num_decoder_layers))
    return tuple(rows)


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.4%}"


def _table(title: str, head: Sequence[str], body: Sequence[Sequence[str]], text_columns: int) -> str:
    """Align columns: text to the left, numbers to the right, a rule under the head."""
    widths = [max(len(line[i]) for line in [head, *body]) for i in range(len(head))]

    def write(line: Sequence[str]) -> str:
        cells = [
            cell.ljust(width) if i < text_columns else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        ]
        return "  ".join(cells).rstrip()

    rule = "  ".join("-" * width for width in widths)
    return "\n".join([title, write(head), rule, *map(write, body)])
