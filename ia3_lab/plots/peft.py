"""Figures of chapter 5: what is trained, where a vector multiplies, what that does to a hidden unit, loss curves."""

from __future__ import annotations

import reprlib
from collections.abc import Iterable
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.patches import FancyBboxPatch

from ia3_lab.plots._series import axes_for, between, counts, named, numbers, whole
from ia3_lab.style import FIGURE_WIDTH, LINES, MARKERS, figure_color, format_count

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike

_HATCHES = ("", "//", "..", "xx")
_ROLES = ("ia3", "lora", "base", "k")
_CURVES = ("base", "k", "ia3", "lora", "v")
#: The four places on the way through a feed-forward network: x, after W_1, after the activation, after W_2.
_STATIONS = (1.0, 4.4, 7.8, 11.2)
_LAYERS = ("$W_1$\nlin1", "GELU", "$W_2$\nlin2")


def plot_parameter_parts(parts: Mapping[str, Mapping[str, int]], *, ax: Axes | None = None) -> Axes:
    """Draw a stacked horizontal bar for each row, its parts labeled with their counts.

    Parameters
    ----------
    parts : mapping
        Label of the row -> name of the part -> parameters. Every row has the same parts.
    ax : Axes, optional
        A new figure when None.

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        If the rows do not name the same parts.

    Examples
    --------
    >>> plot_parameter_parts({"a": {"IA3": 10, "head": 90}}).get_xlabel()
    'trained parameters'
    """
    parts = {label: dict(named(row, f"parts[{label!r}]")) for label, row in named(parts, "parts").items()}
    names = list(next(iter(parts.values())))
    if wrong := [label for label, row in parts.items() if list(row) != names]:
        came = f"expected {names}, got {[*parts[wrong[0]]]} in {wrong[0]!r}"
        raise ValueError(f"every row must name the same parts in the same order: {came}; give a missing part a 0")
    for label, row in parts.items():
        counts(list(row.values()), f"parts[{label!r}]", len(names))
    ax = axes_for(ax, FIGURE_WIDTH, 0.9 + 0.75 * len(parts))
    left = np.zeros(len(parts))
    for i, name in enumerate(names):
        widths = np.array([row[name] for row in parts.values()], dtype=float)
        color = figure_color(_ROLES[i % len(_ROLES)])
        style = {"color": color, "hatch": _HATCHES[i % len(_HATCHES)], "edgecolor": "white", "linewidth": 0.5}
        ax.barh(range(len(parts)), widths, left=left, height=0.5, label=name, **style)
        left = left + widths
    for y, row in enumerate(parts.values()):
        text = " + ".join(f"{name} {format_count(row[name])}" for name in names)
        ax.text(0, y - 0.31, text, va="bottom", fontsize=9.5)
    ax.set(yticks=range(len(parts)), yticklabels=list(parts), ylim=(len(parts) - 0.6, -0.8))
    ax.set_xlabel("trained parameters")
    ax.xaxis.set_major_formatter(lambda value, _: format_count(round(value)))
    ax.grid(axis="y", visible=False)
    ax.legend(ncols=len(names), loc="lower right", bbox_to_anchor=(1.0, 1.0))
    return ax


def plot_feed_forward_places(
    places: Sequence[tuple[str, int, tuple[int, ...]]], *, highlight: int = -1, ax: Axes | None = None
) -> Axes:
    """Draw x -> W_1 -> GELU -> W_2 once for each place, with a mark where the rescaling vector multiplies.

    Parameters
    ----------
    places : sequence of (str, int, tuple of int)
        A label, the position 0 (before W_1), 1 (after W_1), 2 (after GELU) or 3 (after W_2), and the vector's shape.
    highlight : int
        Index of the place that is the paper's.
    ax : Axes, optional
        A new figure when None.

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        If a position is not 0, 1, 2 or 3.

    Examples
    --------
    >>> len(plot_feed_forward_places([("lin2, input side", 2, (1, 3072))]).patches)
    3
    """
    rows = [*places] if isinstance(places, Iterable) else []
    if not rows or any(not isinstance(row, tuple | list) or len(row) != 3 for row in rows):
        came = reprlib.repr(places)
        raise ValueError(f"places must hold (label, position, shape), at least once, got {came}; give a list of those")
    if any(not isinstance(position, int) or position not in range(4) for _, position, _ in rows):
        came = [position for _, position, _ in rows]
        raise ValueError(f"positions must be 0, 1, 2 or 3, got {came}; count from 0, before W_1")
    if not isinstance(highlight, int) or highlight not in range(-len(rows), len(rows)):
        raise ValueError(f"highlight must be the index of one of {len(rows)} places, got {highlight!r}; count from 0")
    ax = axes_for(ax, FIGURE_WIDTH, 0.2 + 1.3 * len(rows))
    for row, (label, position, shape) in enumerate(rows):
        y, right = -2.2 * row, row == highlight % len(rows)
        ax.text(0.0, y + 0.95, str(label) + ("  (the paper's $l_{ff}$)" if right else ""), va="center", fontsize=10)
        _draw_chain(ax, y)
        color = figure_color("ff" if right else "bad")
        mark = {"marker": "o" if right else "X", "markersize": 13, "color": color, "markeredgecolor": "white"}
        ax.plot(_STATIONS[position], y, linestyle="none", zorder=4, **mark)
        ax.text(_STATIONS[position], y - 0.5, rf"$\odot$ {shape}", color=color, ha="center", va="top", fontsize=10)
    ax.set(xlim=(-0.5, 12.4), ylim=(-2.2 * (len(rows) - 1) - 1.2, 1.4))
    ax.axis("off")
    return ax


def _draw_chain(ax: Axes, y: float) -> None:
    """Draw the three layers at height y, with an arrow into each and one out."""
    middles = [(start + stop) / 2 for start, stop in pairwise(_STATIONS)]
    box = {"boxstyle": "round,pad=0.05", "facecolor": "none", "edgecolor": figure_color("base"), "linewidth": 1.3}
    for x, name in zip(middles, _LAYERS, strict=True):
        ax.add_patch(FancyBboxPatch((x - 0.75, y - 0.5), 1.5, 1.0, **box))
        ax.text(x, y, name, ha="center", va="center", fontsize=9.5, linespacing=1.1)
    arrow = {"arrowstyle": "->", "color": figure_color("base"), "shrinkA": 0, "shrinkB": 0}
    for start, stop in zip([-0.1, *(x + 0.8 for x in middles)], [*(x - 0.8 for x in middles), 12.3], strict=True):
        ax.annotate("", (stop, y), (start, y), arrowprops=arrow)
    ax.text(-0.2, y, "$x$", ha="right", va="center")


def plot_hidden_unit(before: ArrayLike, after: Mapping[str, ArrayLike], *, ax: Axes | None = None) -> Axes:
    """Plot one hidden unit with an adapter against the same unit without, a point for each token.

    Parameters
    ----------
    before : array_like, shape (n,)
        The unit's activation in the base model.
    after : mapping of str to array_like, shape (n,)
        A label for each adapter -> the unit's activation with it.
    ax : Axes, optional
        A new figure when None.

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        If an array has another length than ``before``.

    Examples
    --------
    >>> plot_hidden_unit([0.0, 1.0], {"l = 2": [0.0, 2.0]}).get_xlabel()
    'activation in the base model'
    """
    x = numbers(before, "before", "n")
    units = {label: numbers(y, f"after[{label!r}]", x.size) for label, y in named(after, "after").items()}
    ax = axes_for(ax, FIGURE_WIDTH, 3.8)
    for i, (label, y) in enumerate(units.items()):
        role = ("ff", "bad", "base", "ia3")[i % 4]
        ax.plot(x, y, MARKERS[i % len(MARKERS)], color=figure_color(role), label=label, alpha=0.8, markersize=5)
    ax.axline((0, 0), slope=1, color=figure_color("base"), linewidth=1, linestyle=":")
    ax.set(xlabel="activation in the base model", ylabel="activation with the vector")
    ax.legend()
    return ax


def plot_loss_curves(curves: Mapping[str, ArrayLike], *, every: int = 1, ax: Axes | None = None) -> Axes:
    """Plot the mean loss over seeds against the step, with a band from the lowest to the highest seed.

    Parameters
    ----------
    curves : mapping of str to array_like, shape (seeds, n)
        A label -> training loss in nats per example.
    every : int
        Steps between two entries; entry i belongs to step ``(i + 1) * every``.
    ax : Axes, optional
        A new figure when None.

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        If a curve is not two-dimensional.

    Examples
    --------
    >>> plot_loss_curves({"lr 0.01": [[1.0, 0.5], [1.2, 0.7]]}).get_ylabel()
    'training loss (nats per example)'
    """
    data = {
        label: between(0.0, np.inf, losses, f"curves[{label!r}]", "seeds", "n")
        for label, losses in named(curves, "curves").items()
    }
    every = whole(every, "every", 1)
    ax = axes_for(ax, FIGURE_WIDTH, 4.2)
    for i, (label, runs) in enumerate(data.items()):
        steps = every * np.arange(1, runs.shape[1] + 1)
        color, line = figure_color(_CURVES[i % len(_CURVES)]), LINES[i % len(LINES)]
        ax.plot(steps, runs.mean(axis=0), line, color=color, label=label, marker=MARKERS[i % 6], markevery=(i, 6))
        ax.fill_between(steps, runs.min(axis=0), runs.max(axis=0), color=color, alpha=0.15, linewidth=0)
    ax.set(xlabel="training step", ylabel="training loss (nats per example)", ylim=(0, None))
    ax.legend(ncols=2, loc="lower left", bbox_to_anchor=(0.0, 1.0))
    return ax
