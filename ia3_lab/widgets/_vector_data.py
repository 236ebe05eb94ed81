"""The data of the vector explorer: models whose vectors are stored entry by entry, or as a summary."""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ia3_lab.config import check_number, whole_number

#: Bins of every histogram: 0.025 wide, one of them centered on 1, the first on 0 and the last on 2.
BINS = {"low": -0.0125, "high": 2.0125, "count": 81}
KINDS = ("k", "v", "ff")
#: "" is the only stack of an encoder or decoder model; "cross" is a decoder's cross-attention.
PARTS = ("", "encoder", "decoder", "cross")
#: What is said of each part.
PART_NAMES = {"": "", "encoder": "encoder", "decoder": "decoder", "cross": "cross-attention"}
_KEY = re.compile(r"(?:(encoder|decoder|cross)\.)?layer\.(\d+)\.(k|v|ff)")
_LARGEST = 32767


@dataclass(frozen=True)
class StoredVector:
    """A vector with all its entries, rounded: entry i is ``1 + steps[i] * resolution`` of its set."""

    part: str
    kind: str
    layer: int
    steps: tuple[int, ...]

    @property
    def size(self) -> int:
        """Number of entries."""
        return len(self.steps)

    def _check(self) -> None:
        if not self.size:
            raise ValueError("it has no entries")

    def _pack(self) -> dict[str, Any]:
        return {"steps": pack(self.steps)}


@dataclass(frozen=True)
class SummarizedVector:
    """A vector of which only a histogram, a few figures and the entries farthest from 1 are known.

    ``histogram`` starts with the count below the bins and ends with the count above; ``near_one`` counts the entries
    in [0.8, 1.2]; ``units`` are the indices of the entries farthest from 1, farthest first, and ``steps`` their values.
    """

    part: str
    kind: str
    layer: int
    size: int
    mean: float
    rms: float
    near_one: int
    negatives: int
    histogram: tuple[int, ...]
    units: tuple[int, ...]
    steps: tuple[int, ...]

    def _check(self) -> None:
        bins = BINS["count"] + 2
        if len(self.histogram) != bins or min(self.histogram) < 0 or sum(self.histogram) != self.size:
            raise ValueError(f"its histogram must have {bins} counts that add up to its {self.size} entries")
        if not 1 <= len(self.units) == len(self.steps) or not all(0 <= unit < self.size for unit in self.units):
            raise ValueError(f"it needs at least one unit, from 0 to {self.size - 1}, and a step for each")
        for name in ("near_one", "negatives"):
            whole_number(getattr(self, name), name, least=0)
        for name in ("mean", "rms"):
            check_number(getattr(self, name), name)

    def _pack(self) -> dict[str, Any]:
        figures = {"mean": self.mean, "rms": self.rms, "near_one": self.near_one, "negatives": self.negatives}
        return {**figures, "packed": pack((*self.histogram, *self.units, *self.steps)), "moved": len(self.units)}


@dataclass(frozen=True)
class VectorSet:
    """The vectors of one model, as the vector explorer shows them.

    Parameters
    ----------
    name : str
        How the model is called in the list.
    note : str
        A sentence or two: what the numbers are and where they come from.
    vectors : iterable of StoredVector or SummarizedVector
        At most one for each part, kind and layer.
    num_heads : int, optional
        Attention heads, to mark them in k and v.
    simulated : bool
        Say at every place that these numbers come from no model.
    resolution : float
        The step to which stored values are rounded.

    Raises
    ------
    ValueError
        If there are no vectors, two at the same place, one that cannot be drawn, an unknown part or kind, a name or
        note that is no text, or a number of heads that does not divide the entries of k and v.
    """

    name: str
    note: str
    vectors: tuple[StoredVector | SummarizedVector, ...]
    num_heads: int | None = None
    simulated: bool = False
    resolution: float = 0.002

    def __post_init__(self) -> None:
        vectors = tuple(self.vectors) if isinstance(self.vectors, Iterable) else (self.vectors,)
        object.__setattr__(self, "vectors", vectors)
        if not isinstance(self.name, str) or not self.name or not vectors:
            raise ValueError(f"a VectorSet needs a name and at least one vector, got {self.name!r} and {len(vectors)}.")
        if not isinstance(self.note, str):
            raise ValueError(f"the note of {self.name} must be text, got {self.note!r}; leave it out to have none.")
        _check_resolution(self.resolution)
        self._check_vectors()
        self._check_heads()

    def _check_vectors(self) -> None:
        """Refuse what is no vector, has no place of its own, or could not be drawn."""
        if odd := [vector for vector in self.vectors if not isinstance(vector, StoredVector | SummarizedVector)]:
            raise ValueError(
                f"vectors of {self.name} must be StoredVectors or SummarizedVectors, got {odd[0]!r}; use from_arrays."
            )
        places = [(vector.part, vector.kind, vector.layer) for vector in self.vectors]
        for vector, place in zip(self.vectors, places, strict=True):
            if place[0] not in PARTS or place[1] not in KINDS or places.count(place) > 1:
                raise ValueError(
                    f"{self.name} has {places.count(place)} vectors at {place}; expected one for each part of {PARTS}, "
                    f"kind of {KINDS} and layer."
                )
            try:
                whole_number(vector.layer, "its layer", least=0)
                vector._check()
                vector._pack()
            except (TypeError, ValueError) as error:
                raise ValueError(f"{self.name} cannot show the vector at {place}: {error}") from None

    def _check_heads(self) -> None:
        """Refuse a number of heads that would draw stripes where there are none."""
        count = self.num_heads
        if count is None:
            return
        if isinstance(count, bool) or not isinstance(count, Integral) or count < 1:
            raise ValueError(f"num_heads of {self.name} must be a whole number from 1 or None, got {count!r}.")
        for vector in self.vectors:
            if vector.kind != "ff" and vector.size % count:
                raise ValueError(
                    f"num_heads of {self.name} must divide the entries of k and v, got {count} for {vector.size} "
                    f"entries of {vector.kind} in layer {vector.layer}; pass the model's own number, or None."
                )

    @classmethod
    def from_arrays(
        cls, name: str, arrays: Mapping[str, ArrayLike], note: str = "", *, resolution: float = 0.002, **options: Any
    ) -> VectorSet:
        """Make a set from all entries of each vector, rounded to the resolution.

        Parameters
        ----------
        name, note : str
            As of the class.
        arrays : mapping from str to array_like of shape (d,)
            Keys such as ``"layer.0.k"`` or, for a model of two stacks, ``"decoder.layer.0.ff"`` and
            ``"cross.layer.0.v"``.
        resolution : float
            Step to which the values are rounded.
        **options
            ``num_heads`` and ``simulated``.

        Returns
        -------
        VectorSet

        Raises
        ------
        ValueError
            If a key or an array is not of that form, with what was expected.

        Examples
        --------
        >>> VectorSet.from_arrays("toy", {"layer.0.k": [1.0, 1.25]}).vectors[0].steps
        (0, 125)
        """
        if not isinstance(arrays, Mapping):
            raise ValueError(
                f"arrays must map keys such as 'layer.0.k' to vectors, got {type(arrays).__name__}; pass a dict."
            )
        vectors = []
        for key, values in arrays.items():
            match = _KEY.fullmatch(key) if isinstance(key, str) else None
            if not match:
                raise ValueError(
                    f"{key!r} names no vector; expected 'layer.0.k', 'decoder.layer.3.ff', 'cross.layer.3.v'."
                )
            part, layer, kind = match.groups()
            vectors.append(StoredVector(part or "", kind, int(layer), _steps(key, values, resolution)))
        return cls(name, note, tuple(vectors), resolution=resolution, **options)

    @classmethod
    def from_summary(cls, name: str, summary: Any, note: str = "", *, resolution: float = 0.002) -> VectorSet:
        """Make a set from summaries of vectors such as ``ia3_lab.published.load_t03b()`` returns.

        Parameters
        ----------
        name, note : str
            As of the class.
        summary : object
            With ``bins`` and ``vectors``; each vector has part, kind, layer, num_heads, size, mean, rms, near_one,
            negatives, histogram, below, above, moved_units and moved_values.
        resolution : float
            Step to which the values of the moved units are rounded.

        Returns
        -------
        VectorSet

        Raises
        ------
        ValueError
            If it is no such summary, or its histograms have other bins than the explorer.
        """
        if not hasattr(summary, "bins") or not hasattr(summary, "vectors"):
            raise ValueError(
                f"summary must have bins and vectors, got {type(summary).__name__}; pass what "
                "ia3_lab.published.load_t03b() returns, or use from_arrays for whole vectors."
            )
        if dict(summary.bins) != BINS:
            raise ValueError(f"the summary must have the bins {BINS}, it has {dict(summary.bins)}.")
        heads = {vector.num_heads for vector in summary.vectors}
        vectors = [
            SummarizedVector(
                *(vector.part, vector.kind, vector.layer, vector.size),
                *(round(vector.mean, 4), round(vector.rms, 4), vector.near_one, vector.negatives),
                (vector.below, *vector.histogram, vector.above),
                tuple(vector.moved_units),
                _steps(f"{vector.part} {vector.kind} {vector.layer}", vector.moved_values, resolution),
            )
            for vector in summary.vectors
        ]
        num_heads = heads.pop() if len(heads) == 1 else None
        return cls(name, note, tuple(vectors), num_heads=num_heads, resolution=resolution)

    def to_json(self) -> dict[str, Any]:
        """Return what the browser gets: names, figures, and whole numbers as text."""
        return {
            **{"name": self.name, "note": self.note, "simulated": self.simulated},
            **{"num_heads": self.num_heads, "resolution": self.resolution},
            "vectors": [
                {"part": v.part, "kind": v.kind, "layer": v.layer, "size": v.size, **v._pack()} for v in self.vectors
            ],
        }


def _steps(name: str, values: ArrayLike, resolution: float) -> tuple[int, ...]:
    try:
        array = np.asarray(values.detach().cpu() if hasattr(values, "detach") else values, dtype=float)
    except (TypeError, ValueError, RuntimeError) as error:
        got = f"got {type(values).__name__} ({error}); pass real numbers in one row"
        raise ValueError(f"{name} must be a vector of finite numbers of shape (d,), {got}.") from None
    if array.ndim != 1 or not array.size:
        raise ValueError(f"{name} must be a vector of finite numbers of shape (d,), its shape is {array.shape}.")
    if not np.isfinite(array).all():
        at = int(np.flatnonzero(~np.isfinite(array))[0])
        raise ValueError(
            f"{name} must hold finite numbers only, got {array[at]} at entry {at}; did the training diverge?"
        )
    _check_resolution(resolution)
    with np.errstate(over="ignore"):
        steps = np.rint((array - 1) / resolution)  # not yet whole numbers, which would wrap around
    if np.abs(steps).max() > _LARGEST:
        far = array[np.abs(steps).argmax()]
        raise ValueError(f"{name} holds {far:g}, too far from 1 for steps of {resolution}; give a larger resolution.")
    return tuple(steps.astype(int).tolist())


def _check_resolution(resolution: float) -> None:
    if isinstance(resolution, bool) or not isinstance(resolution, Real) or not 0 < resolution < math.inf:
        raise ValueError(f"resolution must be positive and finite, got {resolution!r}; 0.002 is usual.")


def pack(numbers: Sequence[int]) -> str:
    """Write whole numbers of 16 bits as base64: first all low bytes, then all high bytes, which compress well.

    Examples
    --------
    >>> pack([1, -1])
    'Af8A/w=='
    """
    array = np.asarray(numbers)
    if array.size and array.dtype.kind not in "iu":
        raise ValueError(f"expected whole numbers, got {array.dtype.name}.")
    if far := [number for number in array.tolist() if abs(number) > _LARGEST]:
        raise ValueError(f"whole numbers must lie within {_LARGEST} of 0, got {far[0]}.")
    pairs = array.astype("<i2").view(np.uint8).reshape(-1, 2)
    return base64.b64encode(pairs.T.tobytes()).decode("ascii")


def histogram(values: np.ndarray) -> tuple[int, ...]:
    """Count values below the bins, in each bin, and above."""
    place = np.floor((values - BINS["low"]) / (BINS["high"] - BINS["low"]) * BINS["count"])
    place = np.clip(place, -1, BINS["count"]).astype(int)  # clipped first: a large float is no int
    return tuple(np.bincount(place + 1, minlength=BINS["count"] + 2).tolist())
