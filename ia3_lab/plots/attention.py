"""Figures of chapter 1: where the three vectors sit, attention weights, a rescaled vector, a uniform l_k."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.patches import FancyBboxPatch

from ia3_lab.plots._cells import draw_cells, name_cells
from ia3_lab.plots._series import axes_for, between, floats, numbers, words
from ia3_lab.style import FIGURE_WIDTH, LINES, MARKERS, figure_color

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike

#: Height of one attention in `plot_rescaling_places`, with the gap above it.
_ATTENTION_HEIGHT = 4.3
#: Points. Larger than matplotlib's, so that a figure is still legible when a phone shrinks it to half its width.
_LARGE, _MEDIUM = 14.0, 12.5
_VECTOR_ROLES = {"l_k": "k", "l_v": "v", "l_ff": "ff"}
_VECTOR_LABELS = {"l_k": r"$\odot\ l_k$", "l_v": r"$\odot\ l_v$", "l_ff": r"$\odot\ l_{ff}$"}


def plot_attention_weights(
    weights: ArrayLike,
    queries: Sequence[str],
    keys: Sequence[str],
    *,
    ax: Axes | None = None,
    title: str = "",
) -> Axes:
    """Draw a table of attention weights: a row for each query, a column for each key, the number in each cell.

    Parameters
    ----------
    weights : array_like, shape (n_q, n_k)
        Each row sums to 1.
    queries, keys : sequence of str, n_q and n_k entries
        The tokens, as labels.
    ax : Axes, optional
        A new figure when None.
    title : str
        The title of the axes.

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        If there are not as many labels as rows and columns.

    Examples
    --------
    >>> plot_attention_weights([[0.25, 0.75]], ["a"], ["b", "c"]).get_xlabel()
    'key (looked at)'
    """
    queries, keys = words(queries, "queries"), words(keys, "keys")
    table = floats(weights, "weights")
    if table.shape != (len(queries), len(keys)):
        raise ValueError(
            f"weights must have a row for each of {len(queries)} queries and a column for each of {len(keys)} keys, "
            f"its shape is {table.shape}; pass as many labels as there are rows and columns"
        )
    table = between(0.0, 1.0, table, "weights", *table.shape)
    ax = axes_for(ax)
    draw_cells(ax, table, lambda weight: f"{weight:.2f}", fontsize=_MEDIUM)
    name_cells(ax, queries, keys, rotation=35, fontsize=_MEDIUM)
    ax.set_xlabel("key (looked at)", fontsize=_LARGE)
    ax.set_ylabel("query (looking)", fontsize=_LARGE)
    ax.set_title(title, fontsize=_LARGE)
    return ax


def plot_rescaled_vector(before: ArrayLike, after: ArrayLike, labels: Sequence[str], *, ax: Axes | None = None) -> Axes:
    """Draw each entry of a vector before (hollow bar) and after (filled bar) rescaling.

    Parameters
    ----------
    before, after : array_like, shape (d,)
    labels : sequence of str, d entries
        What stands under each pair of bars.
    ax : Axes, optional
        A new figure when None.

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        If the lengths disagree.

    Examples
    --------
    >>> len(plot_rescaled_vector([1.0], [0.5], ["0.5"]).patches)
    2
    """
    labels = words(labels, "labels")
    first, second = floats(before, "before"), floats(after, "after")
    if first.ndim != 1 or first.shape != second.shape or len(labels) != len(first):
        raise ValueError(
            f"before, after and labels must have the same length d: before has shape {first.shape}, after "
            f"{second.shape}, and there are {len(labels)} labels; match them"
        )
    first, second = numbers(first, "before", "d"), numbers(second, "after", "d")
    ax = axes_for(ax)
    place = np.arange(len(first))
    ax.bar(place - 0.2, first, 0.36, facecolor="none", edgecolor=figure_color("base"), linewidth=1.6, label="$x_i$")
    ax.bar(place + 0.2, second, 0.36, color=figure_color("ia3"), label=r"$l_i\,x_i$")
    ax.axhline(0.0, color=figure_color("text"), linewidth=1.0)
    ax.set_xticks(place, labels, fontsize=_LARGE)
    ax.tick_params(axis="y", labelsize=_LARGE)
    ax.set_xlabel("entry of the vector", fontsize=_LARGE)
    ax.set_ylabel("value", fontsize=_LARGE)
    ax.grid(False, axis="x")
    ax.legend(fontsize=_LARGE)
    return ax


def plot_weights_by_scale(
    scales: ArrayLike, weights: ArrayLike, keys: Sequence[str], *, ax: Axes | None = None
) -> Axes:
    """Draw one query's attention weights as the common value c of all entries of l_k changes.

    Parameters
    ----------
    scales : array_like, shape (m,)
        The values of c.
    weights : array_like, shape (m, n_k)
        The query's attention weights at each c.
    keys : sequence of str, n_k entries
        The tokens looked at, as names in the legend.
    ax : Axes, optional
        A new figure when None.

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        If the shapes disagree.

    Examples
    --------
    >>> len(plot_weights_by_scale([0.0, 1.0], [[0.5, 0.5], [0.2, 0.8]], ["a", "b"]).get_lines())
    4
    """
    keys = words(keys, "keys")
    c, table = numbers(scales, "scales", "m"), floats(weights, "weights")
    if table.shape != (len(c), len(keys)):
        raise ValueError(
            f"weights must have a row for each scale and a column for each key, ({c.size}, {len(keys)}); "
            f"its shape is {table.shape}; transpose or cut it"
        )
    table = between(0.0, 1.0, table, "weights", *table.shape)
    ax = axes_for(ax)
    for i, key in enumerate(keys):
        look = {"linestyle": LINES[i % len(LINES)], "marker": MARKERS[i % len(MARKERS)]}
        ax.plot(c, table[:, i], label=key, markevery=max(1, len(c) // 8), **look)
    for x, text in ((0.0, "c = 0\nuniform"), (1.0, "c = 1\nbase model")):
        ax.axvline(x, color=figure_color("text"), linewidth=1.0, alpha=0.7)
        side = "right" if x == 0.0 else "left"
        ax.annotate(text, (x, 1.02), ha=side, va="bottom", fontsize=_MEDIUM, xycoords=("data", "axes fraction"))
    ax.set_ylim(0, 1)
    if c[0] != c[-1]:
        ax.set_xlim(c[0], c[-1])
    ax.tick_params(labelsize=_LARGE)
    ax.set_xlabel("c, the value of every entry of $l_k$", fontsize=_LARGE)
    ax.set_ylabel("attention weight", fontsize=_LARGE)
    ax.legend(title="looks at", loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=_MEDIUM, title_fontsize=_MEDIUM)
    return ax


def plot_rescaling_places(*, cross_attention: bool = False, ax: Axes | None = None, title: str = "") -> Axes:
    """Draw a transformer block as a column of steps, with a colored pill at each multiplication by a learned vector.

    Parameters
    ----------
    cross_attention : bool
        Draw a decoder block, which attends to itself and then to the encoder's output: five pills instead of three.
    ax : Axes, optional
        A new figure when None.
    title : str
        The title of the axes.

    Returns
    -------
    Axes

    Examples
    --------
    >>> axes = plot_rescaling_places()
    >>> sum(text.get_color() == "white" for text in axes.texts)
    3
    """
    contexts = ["x", "c"] if cross_attention else ["x"]
    height = _ATTENTION_HEIGHT * len(contexts) + 3.1
    ax = axes_for(ax, FIGURE_WIDTH, 0.68 * height)
    ax.set(xlim=(0, 10), ylim=(0, height), title=title)
    ax.set_axis_off()
    _text(ax, 5.0, 0.2, "$x$")
    for i, context in enumerate(contexts):
        _attention_stage(ax, 0.8 + i * _ATTENTION_HEIGHT, context)
    _feed_forward_stage(ax, 0.8 + _ATTENTION_HEIGHT * len(contexts))
    return ax


def _attention_stage(ax: Axes, floor: float, context: str) -> None:
    """Draw queries, keys and values side by side, the pills over keys and values, and the step that mixes them."""
    ax.add_patch(_frame(floor, 3.6))
    _text(ax, 0.5, floor + 3.3, "self-attention" if context == "x" else "cross-attention", ha="left", weight="bold")
    if context == "c":
        _text(ax, 9.5, floor + 3.3, "$c$: the encoder's output", ha="right")
        _text(ax, 6.55, floor - 0.4, "$c$")
    for x, label in ((1.9, "$q = xW_q$"), (5.0, f"$k = {context}W_k$"), (8.1, f"$v = {context}W_v$")):
        _box(ax, x, floor + 0.6, label)
        if label.startswith("$q") or context == "x":
            _arrow(ax, (5.0, floor - 0.35), (x, floor + 0.3))
        else:
            _arrow(ax, (6.55, floor - 0.2), (x, floor + 0.3))
    for x, vector in ((5.0, "l_k"), (8.1, "l_v")):
        _pill(ax, x, floor + 1.55, vector)
        _arrow(ax, (x, floor + 0.9), (x, floor + 1.25))
        _arrow(ax, (x, floor + 1.85), (x, floor + 2.2))
    _arrow(ax, (1.9, floor + 0.9), (1.9, floor + 2.2))
    formula = r"softmax$(q\,(l_k\odot k)^\top/\sqrt{d_{head}})\,(l_v\odot v)$,  then $W_o$"
    _box(ax, 5.0, floor + 2.5, formula, width=9.0)
    _arrow(ax, (5.0, floor + 2.8), (5.0, floor + _ATTENTION_HEIGHT - 0.35))


def _feed_forward_stage(ax: Axes, floor: float) -> None:
    ax.add_patch(_frame(floor, 1.9))
    _text(ax, 0.5, floor + 1.6, "feed-forward", ha="left", weight="bold")
    _box(ax, 1.9, floor + 0.75, r"$h = \gamma(xW_1)$")
    _pill(ax, 5.0, floor + 0.75, "l_ff")
    _box(ax, 8.1, floor + 0.75, r"$(l_{ff}\odot h)\,W_2$")
    _arrow(ax, (5.0, floor - 0.35), (1.9, floor + 0.45))
    _arrow(ax, (3.3, floor + 0.75), (4.05, floor + 0.75))
    _arrow(ax, (5.95, floor + 0.75), (6.7, floor + 0.75))
    _arrow(ax, (8.1, floor + 1.05), (8.1, floor + 2.2))


def _frame(floor: float, height: float) -> FancyBboxPatch:
    style = "round,pad=0,rounding_size=0.15"
    return FancyBboxPatch((0.2, floor), 9.6, height, boxstyle=style, fill=False, edgecolor=figure_color("grid"))


def _box(ax: Axes, x: float, y: float, label: str, width: float = 2.8) -> None:
    edge = figure_color("base")
    style = "round,pad=0,rounding_size=0.1"
    ax.add_patch(FancyBboxPatch((x - width / 2, y - 0.3), width, 0.6, boxstyle=style, fill=False, edgecolor=edge))
    _text(ax, x, y, label)


def _pill(ax: Axes, x: float, y: float, vector: str) -> None:
    color = figure_color(_VECTOR_ROLES[vector])
    style = "round,pad=0,rounding_size=0.3"
    ax.add_patch(FancyBboxPatch((x - 0.95, y - 0.3), 1.9, 0.6, boxstyle=style, facecolor=color, edgecolor="none"))
    _text(ax, x, y, _VECTOR_LABELS[vector], color="white", fontsize=16, weight="bold")


def _arrow(ax: Axes, start: tuple[float, float], end: tuple[float, float]) -> None:
    ax.annotate("", end, start, arrowprops={"arrowstyle": "->", "color": figure_color("text"), "lw": 1.2})


def _text(ax: Axes, x: float, y: float, text: str, **style: object) -> None:
    ax.text(x, y, text, **{"ha": "center", "va": "center", "fontsize": _LARGE, **style})
