"""From named vectors to the summary: plain numpy, no file and no network."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ia3_lab.config import whole_number

NUM_HEADS = 32
#: Bins of every histogram: 0.025 wide, one of them centered on 1, the first on 0 and the last on 2.
BINS = {"low": -0.0125, "high": 2.0125, "count": 81}
#: Levels of the quantiles.
LEVELS = (0.001, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 0.999)
#: How many of the entries farthest from 1 are kept of each vector.
NUM_MOVED = 24
_NAME = re.compile(r"(encoder|decoder)\.block\.(\d+)\.layer\.\d+\.(\w+\.\w+)\.multi_lora_b")
#: Module and weight of each vector in a block -> its kind. Only a decoder has EncDecAttention.
_KINDS = {f"{module}.{kind}": kind for module in ("SelfAttention", "EncDecAttention") for kind in "kv"}
_KINDS |= {"DenseReluDense.wi_1": "ff"}
#: The largest number of float32, the precision of the published file; squares of larger ones may overflow.
_LARGEST = float(np.finfo(np.float32).max)
FIELDS = ("size", "mean", "rms", "minimum", "maximum", "quantiles", "histogram", "below", "above", "near_one")
FIELDS += ("above_one", "outside_half", "near_zero", "negatives")
_COLUMNS = ("name", *FIELDS, "autocorrelation", "head_share", "head_autocorrelation", "moved_units", "moved_values")


def place_of(name: str) -> tuple[str, str, int]:
    """Return (part, kind, layer) of a vector from its name in the published file.

    Raises
    ------
    ValueError
        If the name is not of that form.

    Examples
    --------
    >>> place_of("decoder.block.7.layer.1.EncDecAttention.v.multi_lora_b")
    ('cross', 'v', 7)
    """
    match = _NAME.fullmatch(name) if isinstance(name, str) else None
    stack, layer, weight = match.groups() if match else ("", "", "")
    part = "cross" if weight.startswith("EncDecAttention") else stack
    if weight not in _KINDS or (stack, part) == ("encoder", "cross"):
        raise ValueError(
            f"{name!r} is not the name of a published vector; expected names such as "
            "'encoder.block.0.layer.0.SelfAttention.k.multi_lora_b'"
        )
    return part, _KINDS[weight], int(layer)


def places_of(names: Iterable[str]) -> list[tuple[str, str, int]]:
    """Return what `place_of` says of each name.

    Raises
    ------
    ValueError
        If a name is not of that form, or two stand for the same vector.
    """
    found: dict[tuple[str, str, int], str] = {}
    for name in names:
        place = place_of(name)
        if place in found:
            raise ValueError(f"{found[place]!r} and {name!r} stand for the same vector, {place}; leave one out")
        found[place] = name
    return list(found)


def summarize(tensors: Mapping[str, ArrayLike], *, num_heads: int = NUM_HEADS) -> dict[str, Any]:
    """Reduce named vectors to what the summary keeps: plain numbers, rounded, in the order of the file.

    Parameters
    ----------
    tensors : mapping from str to array_like, each of shape (d,) or (d, 1)
        Names as in the published file, which `place_of` reads. Tensors are detached.
    num_heads : int
        Attention heads; the size of every k and v is a multiple of it.

    Returns
    -------
    dict
        ``bins``, ``levels``, ``num_heads``, ``overall``, and a table as ``columns`` and ``rows``. Ready for JSON.

    Raises
    ------
    TypeError
        If the number of heads is not a whole number.
    ValueError
        If a name is unknown, two stand for one vector, a vector is not a vector of finite numbers, or its heads do not
        divide it.
    """
    if not isinstance(tensors, Mapping) or not tensors:
        raise ValueError(f"expected at least one named vector, got {tensors!r:.60}; pass what read_t03b returned")
    num_heads = whole_number(num_heads, "num_heads", least=1)
    places_of(tensors)
    vectors = {name: _vector(name, values) for name, values in tensors.items()}
    rows = [_row(name, vector, num_heads) for name, vector in vectors.items()]
    return {
        "bins": dict(BINS),
        "levels": list(LEVELS),
        "num_heads": num_heads,
        "overall": _statistics(np.concatenate(list(vectors.values()))),
        "columns": list(_COLUMNS),
        "rows": [[row[column] for column in _COLUMNS] for row in rows],
    }


def _vector(name: str, values: ArrayLike) -> np.ndarray:
    try:
        vector = np.asarray(values.detach().cpu() if hasattr(values, "detach") else values, dtype=float)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ValueError(f"{name} must hold numbers, got {type(values).__name__} ({error}); pass an array") from None
    shape = vector.shape
    if vector.size < 2 or vector.size != shape[0] or not np.isfinite(vector).all():
        raise ValueError(f"{name} must hold at least 2 finite numbers in shape (d,) or (d, 1), its shape is {shape}")
    far = vector.flat[np.abs(vector).argmax()]
    if abs(far) > _LARGEST:
        raise ValueError(f"{name} holds {far:g}, too far from 1 for float32; did the training diverge?")
    return vector.reshape(-1)


def _row(name: str, vector: np.ndarray, num_heads: int) -> dict[str, Any]:
    """Return one vector's line of the table, by column."""
    heads = {"head_share": None, "head_autocorrelation": None}
    if place_of(name)[1] != "ff":
        if len(vector) % num_heads:
            raise ValueError(f"{name} has {len(vector)} entries, which {num_heads} heads do not divide")
        heads = _head_structure(vector.reshape(num_heads, -1))
    order = np.argsort(-np.abs(vector - 1), kind="stable")[:NUM_MOVED]
    moved = {"moved_units": order.tolist(), "moved_values": _rounded(vector[order], 4)}
    autocorrelation = _neighbor_correlation(vector[None] - vector.mean())
    return {"name": name, **_statistics(vector), "autocorrelation": _rounded(autocorrelation, 4), **heads, **moved}


def _statistics(values: np.ndarray) -> dict[str, Any]:
    away = np.abs(values - 1)
    place = np.floor((values - BINS["low"]) / (BINS["high"] - BINS["low"]) * BINS["count"])
    place = np.clip(place, -1, BINS["count"]).astype(int)  # clipped first: a large float is no int
    count = np.bincount(place + 1, minlength=BINS["count"] + 2).tolist()
    numbers = (values.mean(), np.sqrt(np.mean(away**2)), values.min(), values.max())
    return {
        **dict(zip(FIELDS[:5], (values.size, *(_rounded(number, 5) for number in numbers)), strict=True)),
        "quantiles": _rounded(np.quantile(values, LEVELS), 4),
        **{"histogram": count[1:-1], "below": count[0], "above": count[-1]},
        "near_one": int(((values >= 0.8) & (values <= 1.2)).sum()),
        "above_one": int((values > 1).sum()),
        "outside_half": int((away > 0.5).sum()),
        "near_zero": int((np.abs(values) < 0.1).sum()),
        "negatives": int((values < 0).sum()),
    }


def _head_structure(heads: np.ndarray) -> dict[str, float]:
    """Split the variance of a key or value vector, shape (num_heads, d_head), into between and within heads."""
    means = heads.mean(axis=1, keepdims=True)
    total = ((heads - heads.mean()) ** 2).sum()
    between = heads.shape[1] * ((means - heads.mean()) ** 2).sum() / total if total else 0.0
    return {
        "head_share": _rounded(between, 4),
        "head_autocorrelation": _rounded(_neighbor_correlation(heads - means), 4),
    }


def _neighbor_correlation(rows: np.ndarray) -> float:
    """Return the lag-1 autocorrelation of centered rows: mean product of neighbors over the mean square."""
    square = (rows**2).mean()
    return float((rows[:, 1:] * rows[:, :-1]).mean() / square) if square else 0.0


def _rounded(value: Any, digits: int) -> Any:
    return np.round(value, digits).tolist()


def disagreements(stored: Any, derived: Any, *, tolerance: float = 2e-4, path: str = "summary") -> list[str]:
    """List where two summaries differ: whole numbers and words exactly, others by more than the tolerance.

    Parameters
    ----------
    stored, derived : dict
        What `summarize` returned, now and earlier. Keys that ``derived`` lacks are not compared.
    tolerance : float
        Twice the last digit kept, because another order of summation may round the other way.
    path : str
        How the start is called in the messages.

    Returns
    -------
    list of str
        Empty if they agree.

    Examples
    --------
    >>> disagreements({"negatives": 12}, {"negatives": 13})
    ['summary.negatives: 12 is stored, 13 derived']
    """
    if isinstance(derived, dict) and isinstance(stored, dict) and derived.keys() <= stored.keys():
        pairs = [(f"{path}.{key}", stored[key], derived[key]) for key in derived]
    elif isinstance(derived, list) and isinstance(stored, list) and len(derived) == len(stored):
        pairs = [(f"{path}[{i}]", *pair) for i, pair in enumerate(zip(stored, derived, strict=True))]
    else:
        near = isinstance(stored, float) and isinstance(derived, float) and abs(stored - derived) <= tolerance
        return [] if near or stored == derived else [f"{path}: {stored!r:.60} is stored, {derived!r:.60} derived"]
    return [text for where, old, new in pairs for text in disagreements(old, new, tolerance=tolerance, path=where)]
