"""The vector explorer: all rescaling vectors of the models at hand side by side, and one of them entry by entry."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import ArrayLike
from traitlets import Bool, Bunch, Bytes, Enum, Int, List, TraitError, Unicode, validate

from ia3_lab.plots import plot_entries, plot_histogram
from ia3_lab.study.t03b import EDGES
from ia3_lab.style import FIGURE_WIDTH
from ia3_lab.widgets.base import BookWidget

_KINDS = ("k", "v", "ff")


class VectorSet(NamedTuple):
    """The rescaling vectors of one model, as the explorer shows them.

    ``table`` has a row for each vector: ``part`` ("" where there is one stack, else "encoder", "decoder" or "cross"),
    ``kind`` ("k", "v" or "ff"), ``layer``, and what `summarize` returns. So has the table of the published vectors, but
    only the entries farthest from 1 in ``moved_units`` and ``moved_values``.
    """

    table: pd.DataFrame
    note: str = ""  # what the numbers are, and where they come from
    num_heads: int | None = None  # to mark the heads in k and v
    simulated: bool = False  # say at every place that no model has these numbers
    resolution: float = 0.002  # the step to which entries are rounded


def summarize(values: ArrayLike) -> dict[str, Any]:
    """Return figures, counts and all entries of a rescaling vector, shape (d,), as the columns of a table.

    What lies below and above the bins of the published vectors is counted as well.
    """
    away = np.abs((values := np.asarray(values, dtype=float)) - 1)
    below, *histogram, above = np.histogram(values, [-np.inf, *EDGES, np.inf])[0].tolist()
    figures = {"entries": values.size, "rms": np.sqrt(np.mean(away**2)), "negatives": (values < 0).sum()}
    counts = {"near_one": (away <= 0.2).sum(), "outside_half": (away > 0.5).sum()}
    spread = {"below": below, "histogram": np.array(histogram), "above": above}
    return figures | counts | spread | {"moved_units": np.arange(values.size), "moved_values": values}


class VectorExplorer(BookWidget):
    """Draw all vectors of one or two models on one axis, and one vector large: how its entries are spread around 1.

    ``models`` maps names to what can be chosen; ``model``, ``part``, ``kind`` and ``layer`` choose, or come close, and
    ``other`` is the model beside it, "" for none. The entry to point at is ``unit``, -1 the one farthest from 1.
    ``log_counts`` makes single entries visible.

    Examples
    --------
    >>> table = pd.DataFrame([{"part": "", "kind": "k", "layer": 0, **summarize([1.0, 1.5, 0.9])}])
    >>> VectorExplorer({"toy": VectorSet(table)}).figure()[1]
    'toy, l_k, layer 0: 3 entries. Rms deviation from 1: 0.294; 66.7% within 0.2, none beyond 0.5; none negative.'
    """

    model = Unicode().tag(sync=True)
    other = Unicode().tag(sync=True)
    part = Enum(("", "encoder", "decoder", "cross"), "").tag(sync=True)
    kind = Enum(_KINDS, "k").tag(sync=True)
    layer = Int(0, min=0).tag(sync=True)
    unit = Int(-1, min=-1).tag(sync=True)
    log_counts = Bool(False).tag(sync=True)
    models = List(read_only=True).tag(sync=True, shown=False)
    numbers = Bytes(read_only=True).tag(sync=True, shown=False)

    def __init__(self, models: Mapping[str, VectorSet], **traits: Any) -> None:
        self._sets, described = dict(models), []
        for name, one in self._sets.items():
            known = one.table.assign(known=one.table.moved_units.map(len))
            sent = ["part", "kind", "layer", "entries", "rms", "near_one", "outside_half", "negatives", "known"]
            described.append(one._asdict() | {"name": name, "table": known[sent].round(6).to_dict("records")})
        self.set_trait("models", described)
        self.set_trait("numbers", b"".join(map(_packed, self._sets.values())))
        super().__init__(**{"model": next(iter(self._sets))} | traits)

    @validate("model", "other")
    def _is_one_of_them(self, proposal: Bunch) -> str:
        if proposal.value and proposal.value not in self._sets:
            raise TraitError(f"expected a model out of {', '.join(self._sets)}, got {proposal.value!r}")
        return proposal.value

    def figure(self) -> tuple[Figure, str]:
        """Return the histogram, above the entries that are known one by one, and the vector's figures in words."""
        row = _nearest((chosen := self._sets[self.model]).table, self.part, self.kind, self.layer)
        part = {"": [], "cross": ["cross-attention"]}.get(row.part, [row.part])
        title = "Simulated: " * chosen.simulated + ", ".join([self.model, f"l_{row.kind}", *part, f"layer {row.layer}"])
        spread, other = {row.kind: row.histogram}, self._sets.get(self.other, chosen)
        if other is not chosen and row.kind in {*other.table.kind}:
            there = _nearest(other.table[other.table.kind == row.kind], row.part, row.kind, row.layer)
            spread[self.other + " (simulated)" * other.simulated] = there.histogram
        values, known = np.full(row.entries, np.nan), len(row.moved_units)
        values[row.moved_units] = row.moved_values
        upper, lower = Figure(figsize=(FIGURE_WIDTH, 4.8)).subplots(2)
        plot_histogram(spread, bins=EDGES, counted=True, ax=upper, title=title)
        plot_entries(values, row.kind, ax=lower, title=f"the {known} farthest from 1" if known < row.entries else "")
        shares = f"{row.near_one / row.entries:.1%} within 0.2, {row.outside_half or 'none'} beyond 0.5"
        figures = f"Rms deviation from 1: {row.rms:.3f}; {shares}; {row.negatives or 'none'} negative."
        return upper.figure, f"{title}: {row.entries:,} entries. {figures}"


def _nearest(table: pd.DataFrame, part: str, kind: str, layer: int) -> pd.Series:
    """Return a vector: of the first part, the last kind, the nearest layer where there is no such one."""
    there = table[table.part == (part if part in {*table.part} else table.part.iloc[0])]
    there = there.sort_values("layer", kind="stable")
    kinds = sorted({*there.kind}, key=_KINDS.index)
    alike = there[there.kind == (kind if kind in kinds else kinds[-1])]
    return alike.iloc[(alike.layer - layer).abs().argmin()]


def _packed(vectors: VectorSet) -> bytes:
    """Return whole numbers of 16 bits: of each vector its counts, the units known (if not all), their steps from 1."""
    numbers: list[float] = []
    for row in vectors.table.itertuples():
        units = row.moved_units if len(row.moved_units) < row.entries else ()
        steps = np.rint((np.asarray(row.moved_values) - 1) / vectors.resolution)
        numbers += [row.below, *row.histogram, row.above, *units, *steps]
    if not (np.abs(numbers) < 2**15).all():  # would wrap around in silence; nor is NaN a number of steps
        raise TraitError(f"entries must be within {2**15 * vectors.resolution:g} of 1; give a larger resolution.")
    return np.array(numbers, "<i2").tobytes()
