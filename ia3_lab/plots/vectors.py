"""Figures of chapter 6: how learned entries are spread, how far they move at each depth."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ia3_lab.plots._series import axes_for, between, named, numbers
from ia3_lab.style import FIGURE_WIDTH, LINES, MARKERS, figure_color

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike

#: A series called after a vector has its color, line and marker; every other is gray or orange.
_KINDS = {"k": (0, r"$l_k$"), "v": (1, r"$l_v$"), "ff": (2, r"$l_{ff}$")}
_OTHERS = ("base", "lora")


def _look(name: str, others: list[str]) -> dict[str, object]:
    """Return color, line style and label of a series."""
    if name in _KINDS:
        i, label = _KINDS[name]
        return {"color": figure_color(name), "linestyle": LINES[i], "label": label}
    if name not in others:
        others.append(name)
    i = others.index(name)
    return {"color": figure_color(_OTHERS[i % 2]), "linestyle": LINES[(3 + i) % 4], "label": name}


def plot_entry_spread(
    counts: Mapping[str, ArrayLike],
    edges: ArrayLike,
    *,
    ax: Axes | None = None,
    title: str = "",
    legend: bool = True,
) -> Axes:
    """Draw histograms of entries of rescaling vectors as outlines, each as a share of its own total, on a log axis.

    Parameters
    ----------
    counts : mapping from str to array_like, shape (n,)
        Counts in each bin. The names "k", "v" and "ff" have their own colors and line styles.
    edges : array_like, shape (n + 1,)
        Borders of the bins.
    ax : Axes, optional
        A new figure when None.
    title : str
        The title of the axes.
    legend : bool
        Name the series.

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        If there are not as many counts as bins, or none at all.

    Examples
    --------
    >>> plot_entry_spread({"k": [1, 8, 1]}, [0.7, 0.9, 1.1, 1.3]).get_yscale()
    'log'
    """
    borders, others = numbers(edges, "edges", "n + 1"), []
    if borders.size < 2 or (np.diff(borders) <= 0).any():
        raise ValueError(f"edges must be two or more growing numbers, got {borders.tolist()}; sort them")
    series = {
        name: between(0.0, np.inf, bins, f"counts of {name}", borders.size - 1)
        for name, bins in named(counts, "counts").items()
    }
    for name, bins in series.items():
        if not bins.any():
            raise ValueError(f"counts of {name} add up to 0; leave empty series out")
    ax = axes_for(ax, FIGURE_WIDTH, 3.4)
    for name, bins in series.items():
        shares = np.where(bins > 0, bins, np.nan) / bins.sum()
        ax.stairs(shares, borders, linewidth=1.8, baseline=None, **_look(name, others))
    ax.axvline(1.0, color=figure_color("text"), linewidth=1.0, linestyle=LINES[3])
    ax.set(yscale="log", xlabel="value of an entry (1 = unchanged)", ylabel="share of the entries", title=title)
    if legend:
        ax.legend()
    return ax


def plot_deviation_by_depth(
    deviations: Mapping[str, ArrayLike], *, ax: Axes | None = None, title: str = "", legend: bool = True
) -> Axes:
    """Draw how far vectors lie from 1 at each layer: a line for each kind.

    Parameters
    ----------
    deviations : mapping from str to array_like, shape (num_layers,)
        Root mean square of l - 1 in each layer, from the layer nearest to the input.
    ax : Axes, optional
        A new figure when None.
    title : str
        The title of the axes.
    legend : bool
        Name the series.

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        If a series is empty or holds NaN or infinity.

    Examples
    --------
    >>> len(plot_deviation_by_depth({"k": [0.1, 0.2], "v": [0.2, 0.2]}).get_lines())
    2
    """
    series = {
        name: between(0.0, np.inf, y, f"deviations of {name}", "num_layers")
        for name, y in named(deviations, "deviations").items()
    }
    ax, others = axes_for(ax, FIGURE_WIDTH, 3.4), []
    for i, (name, y) in enumerate(series.items()):
        (line,) = ax.plot(np.arange(y.size), y, marker=MARKERS[i % len(MARKERS)], markersize=4, **_look(name, others))
        line.sticky_edges.y.append(0.0)  # the axis starts at 0, and a shared one still grows with later panels
    ax.update_datalim([(0.0, 0.0)], updatex=False)
    ax.autoscale_view()
    ax.set(xlabel="layer (0 = nearest to the input)", ylabel="rms deviation from 1", title=title)
    if legend:
        ax.legend()
    return ax
