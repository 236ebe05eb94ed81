"""The summary that the package carries: what it holds and how it is read and checked."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from importlib import resources
from pathlib import Path
from typing import Any

from ia3_lab.config import check_number, unknown_name, whole_number
from ia3_lab.published.derive import BINS, FIELDS, LEVELS, places_of

FORMAT = 1


@dataclass(frozen=True, kw_only=True)
class Statistics:
    """What is kept of a set of entries of rescaling vectors; ``rms`` is sqrt(mean((l - 1)^2)), counts are entries."""

    size: int
    mean: float
    rms: float
    minimum: float
    maximum: float
    quantiles: tuple[float, ...]
    histogram: tuple[int, ...]
    below: int
    above: int
    near_one: int
    above_one: int
    outside_half: int
    near_zero: int
    negatives: int

    @property
    def std(self) -> float:
        """Standard deviation around the mean."""
        return max(self.rms**2 - (self.mean - 1) ** 2, 0.0) ** 0.5

    @property
    def share_near_one(self) -> float:
        """Share of the entries in [0.8, 1.2], from 0 to 1."""
        return self.near_one / self.size


@dataclass(frozen=True, kw_only=True)
class VectorSummary(Statistics):
    """One published vector: where it sits, its statistics, and its entries farthest from 1, farthest first.

    ``part`` is "encoder", "decoder" (its self-attention and feed-forward network) or "cross" (the decoder's
    cross-attention); ``kind`` is "k", "v" or "ff". ``autocorrelation`` is that of neighbors in the whole vector.
    Keys and values have ``head_share``, the share of the variance that lies between heads, and
    ``head_autocorrelation``, of neighbors in the same head after the head's mean is taken off; both are None for ff.
    """

    name: str
    part: str
    kind: str
    layer: int
    num_heads: int
    autocorrelation: float
    head_share: float | None
    head_autocorrelation: float | None
    moved_units: tuple[int, ...]
    moved_values: tuple[float, ...]

    @property
    def head_share_by_chance(self) -> float:
        """Mean of ``head_share`` if the entries stood in random order: (heads - 1) / (entries - 1)."""
        return (self.num_heads - 1) / (self.size - 1)

    @property
    def head_autocorrelation_by_chance(self) -> float:
        """Mean of ``head_autocorrelation`` in random order: -1 / (entries of a head - 1)."""
        return -1 / (self.size // self.num_heads - 1)


@dataclass(frozen=True)
class PublishedSummary:
    """The summary of a file of published vectors: its source, its vectors, and all its numbers as one set."""

    source: Mapping[str, Any]
    bins: Mapping[str, float]
    levels: tuple[float, ...]
    overall: Statistics
    vectors: tuple[VectorSummary, ...]

    def select(self, part: str | None = None, kind: str | None = None) -> tuple[VectorSummary, ...]:
        """Return the vectors of one part, of one kind, or of both, by layer.

        Raises
        ------
        ValueError
            If there is no such vector.
        """
        for what, name in (("part", part), ("kind", kind)):
            names = list(dict.fromkeys(getattr(vector, what) for vector in self.vectors))
            if name not in (None, *names):
                raise unknown_name(what, name, names)
        found = [v for v in self.vectors if part in (None, v.part) and kind in (None, v.kind)]
        if not found:
            places = ", ".join(sorted({f"{v.part} {v.kind}" for v in self.vectors}))
            raise ValueError(f"no vector has part {part!r} and kind {kind!r}; there are {places}.")
        return tuple(sorted(found, key=lambda v: v.layer))


def combine(parts: Iterable[Statistics]) -> Statistics:
    """Return the statistics of several sets of entries taken as one. Quantiles cannot be combined and are left out.

    Raises
    ------
    ValueError
        If there is no set.

    Examples
    --------
    >>> vectors = load_t03b().select(part="cross")
    >>> combine(vectors).size == 2 * 24 * 2048
    True
    """
    parts = list(parts)
    if not parts:
        raise ValueError("expected at least one set of statistics, got none.")
    size = sum(part.size for part in parts)

    def mean_of(read: Callable[[Statistics], float]) -> float:
        return sum(part.size * read(part) for part in parts) / size

    counts = ("below", "above", "near_one", "above_one", "outside_half", "near_zero", "negatives")
    return Statistics(
        size=size,
        mean=mean_of(lambda part: part.mean),
        rms=mean_of(lambda part: part.rms**2) ** 0.5,
        minimum=min(part.minimum for part in parts),
        maximum=max(part.maximum for part in parts),
        quantiles=(),
        histogram=tuple(map(sum, zip(*(part.histogram for part in parts), strict=True))),
        **{name: sum(getattr(part, name) for part in parts) for name in counts},
    )


def summary_file() -> Path:
    """Return where the packaged summary of T0-3B lies."""
    return Path(str(resources.files("ia3_lab"))) / "data" / "t03b-ia3-summary.json"


def load_t03b(path: str | os.PathLike[str] | None = None) -> PublishedSummary:
    """Read the summary of the published T0-3B vectors: 192 vectors, 540,672 numbers.

    Parameters
    ----------
    path : path, optional
        A summary that ``scripts/summarize_t03b.py`` wrote; the packaged one when None.

    Returns
    -------
    PublishedSummary

    Raises
    ------
    FileNotFoundError, ValueError
        If the file is missing or damaged, with what to do.

    References
    ----------
    Liu et al. (2022), section 3.4: pre-training (IA)3 on the multitask mixture.

    Examples
    --------
    >>> summary = load_t03b()
    >>> len(summary.vectors), summary.overall.size, summary.overall.negatives
    (192, 540672, 12)
    """
    file = summary_file() if path is None else Path(path)
    what_to_do = "install ia3_lab again, or write it with scripts/summarize_t03b.py from the published file"
    if not file.is_file():
        raise FileNotFoundError(f"there is no summary of the published vectors at {file}; {what_to_do}")
    try:
        summary = _parse(json.loads(file.read_text("utf8")))
        _check(summary)
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError, ArithmeticError) as error:
        raise ValueError(f"the summary at {file.name} is damaged ({error}); {what_to_do}") from error
    return summary


def _parse(content: dict[str, Any]) -> PublishedSummary:
    if content["format"] != FORMAT:
        raise ValueError(f"its format is {content['format']!r}, expected {FORMAT}")
    for name, expected in (("bins", BINS), ("levels", list(LEVELS))):
        if content[name] != expected:
            raise ValueError(f"its {name} are {content[name]!r}, expected {expected}")
    if not isinstance(content["source"], dict):
        raise ValueError(f"its source is {content['source']!r}, expected what published.SOURCE holds")
    num_heads = whole_number(content["num_heads"], "num_heads", least=1)
    rows = [_tuples(dict(zip(content["columns"], row, strict=True))) for row in content["rows"]]
    vectors = [
        VectorSummary(part=part, kind=kind, layer=layer, num_heads=num_heads, **row)
        for (part, kind, layer), row in zip(places_of(row["name"] for row in rows), rows, strict=True)
    ]
    overall = Statistics(**_tuples(content["overall"]))
    return PublishedSummary(content["source"], content["bins"], tuple(content["levels"]), overall, tuple(vectors))


def _tuples(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in fields.items()}


def _check(summary: PublishedSummary) -> None:
    """Hold each vector to its histogram and its lists to their lengths, and all together to the overall figures."""
    _check_numbers(summary.overall, "overall")
    for vector in summary.vectors:
        _check_numbers(vector, vector.name)
        counted = sum(vector.histogram) + vector.below + vector.above
        if counted != vector.size or len(vector.histogram) != summary.bins["count"]:
            raise ValueError(f"the histogram of {vector.name} counts {counted} entries of {vector.size}")
        if len(vector.quantiles) != len(summary.levels) or len(vector.moved_units) != len(vector.moved_values):
            raise ValueError(f"{vector.name} needs a quantile for each level, and a value for each moved unit")
        if len(set(vector.moved_units)) < len(vector.moved_units) or max(vector.moved_units, default=0) >= vector.size:
            raise ValueError(f"the moved units of {vector.name} must be different ones from 0 to {vector.size - 1}")
        if vector.kind != "ff" and vector.size % vector.num_heads:
            raise ValueError(f"{vector.name} has {vector.size} entries, which {vector.num_heads} heads do not divide")
        if {vector.head_share is None, vector.head_autocorrelation is None} != {vector.kind == "ff"}:
            raise ValueError(f"{vector.name} needs head_share and head_autocorrelation if it is k or v, and only then")
    together = combine(summary.vectors)
    for name in (field for field in FIELDS if field != "quantiles"):
        one, other = getattr(together, name), getattr(summary.overall, name)
        if one != other and not (isinstance(one, float) and abs(one - other) < 1e-4):
            raise ValueError(f"the vectors together give {name} = {one}, the overall figures say {other}")


def _check_numbers(record: Statistics, name: str) -> None:
    """Hold every field to its declared type: whole numbers from 0, finite numbers or None, a tuple of such numbers."""
    for field in fields(record):
        value, what = getattr(record, field.name), f"{field.name} of {name}"
        for number in value if "tuple" in field.type else (value,):
            if "int" in field.type:
                whole_number(number, what, least=2 if field.name == "size" else 0)
            elif "float" in field.type and not (number is None and "None" in field.type):
                check_number(number, what)
