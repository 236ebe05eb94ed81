"""The vector explorer: any rescaling vector of any model at hand, as a histogram and entry by entry."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape
from typing import Any, NamedTuple

import numpy as np
from traitlets import Bool, Enum, Instance, Int, List, TraitError, Unicode, validate

from ia3_lab.config import unknown_name
from ia3_lab.style import figure_color
from ia3_lab.widgets._base import BookWidget
from ia3_lab.widgets._vector_data import (
    BINS,
    KINDS,
    PART_NAMES,
    PARTS,
    StoredVector,
    SummarizedVector,
    VectorSet,
    histogram,
)

__all__ = ["BINS", "StoredVector", "SummarizedVector", "VectorExplorer", "VectorSet"]


class View(NamedTuple):
    """What is on screen: the vector that comes closest to what the traits ask for, its figures and its entries."""

    chosen: VectorSet
    vector: StoredVector | SummarizedVector
    mean: float
    rms: float
    near_one: int
    negatives: int
    histogram: tuple[int, ...]
    units: np.ndarray
    values: np.ndarray


class VectorExplorer(BookWidget):
    """Draw one vector of one model: how its entries are spread around 1, and each entry's deviation from 1.

    Parameters
    ----------
    models : list of VectorSet
        What can be chosen. Of a model known only as a summary, only the entries farthest from 1 are drawn one by one.
    model : str
        Name of the chosen model; the first one when left out.
    part : {"", "encoder", "decoder", "cross"}
        Which stack of a model with two; "cross" is the decoder's cross-attention.
    kind : {"k", "v", "ff"}
        l_k, l_v or l_ff.
    layer : int
        Counted from 0, the layer nearest to the input. Where a model has no such vector, the nearest one is shown.
    unit : int
        Index of the entry to point at; -1 is the entry farthest from 1.
    log_counts : bool
        Show counts on a logarithmic scale, on which single entries are visible.

    Raises
    ------
    traitlets.TraitError
        If there is no model, two have the same name, or ``model`` names none of them.

    Examples
    --------
    >>> toy = VectorSet.from_arrays("toy", {"layer.0.k": [1.0, 1.5, 0.9]}, simulated=True)
    >>> VectorExplorer(models=[toy]).view().rms.round(3)
    np.float64(0.294)
    """

    models = List(Instance(VectorSet), read_only=True).tag(
        sync=True, shown=False, to_json=lambda models, _: [model.to_json() for model in models]
    )
    model = Unicode().tag(sync=True)
    part = Enum(PARTS, "").tag(sync=True)
    kind = Enum(KINDS, "k").tag(sync=True)
    layer = Int(0, min=0).tag(sync=True)
    unit = Int(-1, min=-1).tag(sync=True)
    log_counts = Bool(False).tag(sync=True)

    def __init__(self, models: Iterable[VectorSet] = (), **traits: Any) -> None:
        if not set(traits) - {*self.trait_names()}:  # else the base names the unknown one
            found = _taken(models)
            traits.setdefault("model", _names(found)[0])
            self.set_trait("models", found)
        super().__init__(**traits)

    @validate("model")
    def _check_model(self, proposal: Any) -> str:
        names = _names(self.models)
        if proposal.value not in names:
            listed = [repr(name) for name in names]  # in quotes, because a name may hold a comma
            raise TraitError(str(unknown_name("model", proposal.value, listed, others=names)))
        return proposal.value

    def view(self) -> View:
        """Return the vector on screen with its figures, from the rounded entries where these are stored."""
        chosen = next(model for model in self.models if model.name == self.model)
        vector = _nearest(chosen, self.part, self.kind, self.layer)
        if isinstance(vector, SummarizedVector):
            figures = (vector.mean, vector.rms, vector.near_one, vector.negatives, vector.histogram)
            return View(
                chosen, vector, *figures, np.array(vector.units), 1 + np.array(vector.steps) * chosen.resolution
            )
        values = 1 + np.array(vector.steps) * chosen.resolution
        near = int((np.abs(values - 1) < 0.2 + 1e-9).sum())
        figures = (values.mean(), np.sqrt(np.mean((values - 1) ** 2)), near, int((values < 0).sum()), histogram(values))
        return View(chosen, vector, *figures, np.arange(values.size), values)

    def picture(self) -> str:
        """Return a static SVG: the histogram above, the entries known one by one below."""
        view = self.view()
        vector, chosen = view.vector, view.chosen
        place = ", ".join(filter(None, (PART_NAMES[vector.part], f"layer {vector.layer}")))
        name = f"l_{vector.kind}, {place}, {chosen.name}{' (simulated)' if chosen.simulated else ''}"
        figures = (
            f"{vector.size:,} entries; rms deviation from 1: {view.rms:.3f}; "
            f"{100 * view.near_one / vector.size:.1f}% in 0.8 to 1.2; {view.negatives} negative"
        )
        known = (
            "" if isinstance(vector, StoredVector) else f"only the {len(view.units)} entries farthest from 1 are known"
        )
        texts = ((18, name), (38, figures), (206, f"deviation from 1, by entry {known and f'({known})'}".strip()))
        return (
            '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 640 340" role="img" class="ia3-picture" width="100%" '
            f'style="max-width: 640px" fill="currentColor" font-family="sans-serif" font-size="14">'
            f"<title>{escape(name)}: {figures}.</title>"
            + "".join(f'<text x="10" y="{y}">{escape(text)}</text>' for y, text in texts)
            + _histogram_svg(view.histogram, figure_color(vector.kind))
            + _entries_svg(view, figure_color(vector.kind))
            + "</svg>"
        )


def _taken(models: Any) -> list[VectorSet]:
    """Return the models as a list, or refuse what is none of VectorSets."""
    found = list(models) if isinstance(models, Iterable) and not isinstance(models, str | Mapping) else [models]
    listed = ", ".join(type(model).__name__ for model in found[:3]) or "none"
    if isinstance(models, VectorSet) or not found or not all(isinstance(model, VectorSet) for model in found):
        single = "; put a single one in [ ]" if len(found) == 1 else ""
        raise TraitError(f"models must be a list of at least one VectorSet, got {listed}{single}.")
    return found


def _names(models: list[VectorSet]) -> list[str]:
    """Return the names of the models, or refuse a list that has a name twice."""
    names = [model.name for model in models]
    if len(set(names)) < len(names):
        raise TraitError(f"models must be VectorSets of different names, got {names}; rename one.")
    return names


def _nearest(chosen: VectorSet, part: str, kind: str, layer: int) -> StoredVector | SummarizedVector:
    """Return that vector; where there is none, the one of the first part, the last kind and the nearest layer."""
    parts = [vector.part for vector in chosen.vectors]
    there = [vector for vector in chosen.vectors if vector.part == (part if part in parts else parts[0])]
    kinds = [known for known in KINDS if any(vector.kind == known for vector in there)]
    there = [vector for vector in there if vector.kind == (kind if kind in kinds else kinds[-1])]
    return min(there, key=lambda vector: (abs(vector.layer - layer), vector.layer))


def _histogram_svg(counts: tuple[int, ...], color: str) -> str:
    """Draw the counts on 0 to 2, with those below and above at the two ends."""
    top, step = max(counts), 600 / len(counts)
    bars = "".join(
        f"M{20 + step * i:.1f} 170v{-110 * count / top:.2f}h{step - 0.6:.2f}V170z"
        for i, count in enumerate(counts)
        if count
    )
    ticks = "".join(
        f'<text x="{20 + step * (1.5 + 20 * i):.1f}" y="188" text-anchor="middle">{i / 2:g}</text>' for i in range(5)
    )
    one = 20 + step * 41.5
    return (
        f'<path d="{bars}" fill="{color}"/><path d="M20 170H620M{one:.1f} 56V174" stroke="currentColor" fill="none" '
        f'stroke-opacity="0.6"/>{ticks}'
    )


def _entries_svg(view: View, color: str) -> str:
    """Draw a line for the deviation of each known entry, at the place of its index."""
    away = view.values - 1
    top = max(float(np.abs(away).max()), 0.01)
    width = max(600 / view.vector.size, 1.0) if len(away) == view.vector.size else 2.0
    lines = "".join(
        f"M{20 + 600 * (unit + 0.5) / view.vector.size:.1f} 272v{-58 * value / top:.1f}"
        for unit, value in zip(view.units, away, strict=True)
        if value
    )
    return (
        f'<path d="{lines}" stroke="{color}" stroke-width="{width:.2f}" fill="none"/>'
        f'<path d="M20 272H620" stroke="currentColor" stroke-opacity="0.6"/>'
        f'<text x="10" y="336">entry 0 to {view.vector.size - 1:,}; longest bar {top:.2f}</text>'
    )
