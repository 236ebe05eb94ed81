"""Figures of chapter 6: how learned entries are spread, how far they move at each depth, what neighbors share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np

from ia3_lab.style import FIGURE_WIDTH, LINES, MARKERS, figure_color

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike, NDArray

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


def _numbers(value: ArrayLike, name: str, size: int | None = None) -> NDArray[np.float64]:
    """Return one-dimensional, finite data, or say what came instead."""
    array = np.asarray(value, dtype=float)
    if array.ndim != 1 or not array.size or size not in (None, array.size):
        raise ValueError(f"{name} must have shape ({size or 'n'},), got {array.shape}; give one number for each point")
    if not np.isfinite(array).all():
        raise ValueError(f"{name} must be finite, got {int((~np.isfinite(array)).sum())} NaN or infinite entries")
    return array


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
    borders, others = _numbers(edges, "edges"), []
    ax = plt.subplots(figsize=(FIGURE_WIDTH, 3.4))[1] if ax is None else ax
    for name, values in counts.items():
        bins = _numbers(values, f"counts of {name}", borders.size - 1)
        if bins.sum() <= 0:
            raise ValueError(f"counts of {name} add up to {bins.sum():g}; leave empty series out")
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
    ax, others = plt.subplots(figsize=(FIGURE_WIDTH, 3.4))[1] if ax is None else ax, []
    for i, (name, values) in enumerate(deviations.items()):
        y = _numbers(values, f"deviations of {name}")
        (line,) = ax.plot(np.arange(y.size), y, marker=MARKERS[i % len(MARKERS)], markersize=4, **_look(name, others))
        line.sticky_edges.y.append(0.0)  # the axis starts at 0, and a shared one still grows with later panels
    ax.update_datalim([(0.0, 0.0)], updatex=False)
    ax.autoscale_view()
    ax.set(xlabel="layer (0 = nearest to the input)", ylabel="rms deviation from 1", title=title)
    if legend:
        ax.legend()
    return ax


def plot_values_by_group(
    groups: Mapping[str, ArrayLike],
    *,
    chance: Mapping[str, float] | None = None,
    xlabel: str = "lag-1 autocorrelation",
    ax: Axes | None = None,
) -> Axes:
    """Draw one number of each vector as a point in the row of its group, beside what chance alone would give.

    Parameters
    ----------
    groups : mapping from str to array_like, shape (n,)
        Values of the group's vectors; groups whose name ends in "k", "v" or "ff" take the color of that vector.
    chance : mapping from str to float, optional
        The value for entries in random order, drawn as an upright line in the row.
    xlabel : str
        What the values are.
    ax : Axes, optional
        A new figure, as tall as there are groups, when None.

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        If a group is empty or ``chance`` names no group.

    Examples
    --------
    >>> ax = plot_values_by_group({"encoder k": [0.1, 0.2]}, chance={"encoder k": 0.0})
    >>> [label.get_text() for label in ax.get_yticklabels()]
    ['encoder k']
    """
    chance = dict(chance or {})
    if unknown := sorted(set(chance) - set(groups)):
        raise ValueError(f"chance has {unknown[0]!r}, which is no group; the groups are {', '.join(groups)}")
    ax = plt.subplots(figsize=(FIGURE_WIDTH, 0.9 + 0.36 * len(groups)))[1] if ax is None else ax
    for row, (name, values) in enumerate(groups.items()):
        x, kind = _numbers(values, f"values of {name}"), name.rpartition(" ")[2]
        i, role = (_KINDS[kind][0], kind) if kind in _KINDS else (3, "base")
        ax.plot(x, np.full(x.size, row), MARKERS[i], color=figure_color(role), markersize=6, alpha=0.55)
        if name in chance:
            label = "chance" if name == next(iter(chance)) else None
            ax.plot([chance[name]] * 2, [row - 0.4, row + 0.4], color=figure_color("text"), linewidth=2, label=label)
    ax.set(yticks=range(len(groups)), xlabel=xlabel, ylim=(len(groups) - 0.5, -0.5))
    ax.set_yticklabels(list(groups))
    ax.grid(False, axis="y")
    if chance:
        ax.legend(loc="best")
    return ax
