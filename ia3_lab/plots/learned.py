"""Figures of chapter 6: the entries of rescaling vectors, what moved and how far, and the attention that follows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.patches import Rectangle

from ia3_lab.plots._cells import draw_cells, name_cells, short
from ia3_lab.plots._series import (
    axes_for,
    between,
    ends,
    floats,
    look,
    named,
    numbers,
    optional,
    positive,
    whole,
    words,
)
from ia3_lab.style import DIVERGING, FIGURE_WIDTH, LINES, figure_color

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike, NDArray

_NAMES = {"k": "$l_k$", "v": "$l_v$", "ff": "$l_{ff}$"}
_ROLES = ("ia3", "lora", "base", "v", "k", "ff")
#: Weights smaller than this are drawn as a color alone.
_WRITTEN = 0.1


def plot_entries(values: ArrayLike, kind: str, *, ax: Axes | None = None, title: str = "") -> Axes:
    """Draw the entries of one rescaling vector in their order, each as a line from 1 to its value.

    Parameters
    ----------
    values : array_like, shape (d,)
    kind : {"k", "v", "ff"}
        Gives the color and the label.
    ax : Axes, optional
        A new figure when None.
    title : str

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        If the kind is unknown or values is not a vector.

    Examples
    --------
    >>> plot_entries([1.0, 1.5, 0.7], "k").get_xlabel()
    'index of the entry'
    """
    vector, color = numbers(values, "values", "d"), figure_color(_known(kind))
    ax = axes_for(ax, FIGURE_WIDTH, 2.4)
    ax.vlines(np.arange(vector.size), np.minimum(vector, 1.0), np.maximum(vector, 1.0), color=color, linewidth=0.7)
    ax.axhline(1.0, color=figure_color("text"), linewidth=1.0)
    ax.set(xlabel="index of the entry", ylabel=_NAMES[kind], title=title, xlim=(-0.5, vector.size - 0.5))
    ax.grid(axis="x", visible=False)
    return ax


def plot_value_histogram(
    values: ArrayLike,
    kind: str,
    *,
    bins: int = 40,
    limits: tuple[float, float] | None = None,
    ax: Axes | None = None,
    title: str = "",
) -> Axes:
    """Draw how the entries of rescaling vectors spread around 1, where they all started.

    Parameters
    ----------
    values : array_like
        Any shape.
    kind : {"k", "v", "ff"}
    bins : int
    limits : (float, float), optional
        First and last edge; from the values if None.
    ax : Axes, optional
        A new figure when None.
    title : str

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        If the kind is unknown.

    Examples
    --------
    >>> plot_value_histogram([1.0, 1.1, 0.9], "v").get_ylabel()
    'entries'
    """
    entries, color = numbers(floats(values, "values").ravel(), "values", "n"), figure_color(_known(kind))
    bins, limits = whole(bins, "bins", 1, 10_000), ends(limits, "limits")
    ax = axes_for(ax)
    ax.hist(entries, bins=bins, range=limits, color=color, alpha=0.85)
    ax.axvline(1.0, color=figure_color("text"), linestyle="--", linewidth=1.4)
    ax.set(xlabel=f"value of an entry of {_NAMES[kind]}", ylabel="entries", title=title)
    return ax


def plot_size_by_layer(sizes: Mapping[str, ArrayLike], *, ax: Axes | None = None, title: str = "") -> Axes:
    """Draw the rms deviation from 1 against the layer, a line for each kind of vector.

    Parameters
    ----------
    sizes : mapping of {"k", "v", "ff"} to array_like, shape (layers,)
        Root mean square of l - 1.
    ax : Axes, optional
        A new figure when None.
    title : str

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        If a kind is unknown.

    Examples
    --------
    >>> plot_size_by_layer({"k": [0.1, 0.2]}).get_xlabel()
    'layer'
    """
    rows = {
        _known(kind): between(0.0, np.inf, row, f"sizes[{kind!r}]", "layers")
        for kind, row in named(sizes, "sizes").items()
    }
    ax = axes_for(ax)
    for i, (kind, row) in enumerate(rows.items()):
        ax.plot(np.arange(row.size), row, label=_NAMES[kind], **look(i, kind))
    ax.set_xticks(range(max(row.size for row in rows.values())))
    largest = max(row.max() for row in rows.values()) or 1.0  # nothing moved: any end that is not 0
    ax.set(xlabel="layer", ylabel="rms of $l - 1$", title=title, ylim=(0.0, 1.12 * largest))
    ax.legend(ncols=len(sizes), loc="lower center")
    return ax


def plot_correlation_matrix(matrix: ArrayLike, labels: Sequence[str], *, ax: Axes | None = None) -> Axes:
    """Draw a table of correlations with the number in each cell; the diagonal, always 1, is left gray.

    Parameters
    ----------
    matrix : array_like, shape (n, n)
    labels : sequence of str, n entries
    ax : Axes, optional
        A new figure when None.

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        If the matrix is not square or does not fit the labels.

    Examples
    --------
    >>> [text.get_text() for text in plot_correlation_matrix([[1, 0.5], [0.5, 1]], ["a", "b"]).texts]
    ['0.50', '0.50']
    """
    names, table = words(labels, "labels"), floats(matrix, "matrix")
    if table.shape != (len(names), len(names)):
        raise ValueError(f"expected a square table for {len(names)} labels, its shape is {table.shape}; name every row")
    np.fill_diagonal(table, 0.0)  # whatever stands there, even NaN
    table = between(-1.0, 1.0, table, "matrix", *table.shape)
    np.fill_diagonal(table, np.nan)
    size = 1.6 + 0.66 * len(names)
    ax = axes_for(ax, min(FIGURE_WIDTH, size + 0.8), min(6.2, size))
    draw_cells(ax, table, _signed, colors=DIVERGING, limits=(-1.0, 1.0), dark=0.65)
    name_cells(ax, names, names, rotation=35)
    return ax


def plot_kept_share(
    shares: ArrayLike,
    accuracies: Mapping[str, ArrayLike],
    *,
    reference: Mapping[str, float] | None = None,
    ax: Axes | None = None,
    title: str = "",
) -> Axes:
    """Draw accuracy against the share of entries that keep their learned value, with the range over repeats.

    Parameters
    ----------
    shares : array_like, shape (n,)
        In [0, 1].
    accuracies : mapping of str to array_like, shape (n,) or (n, repeats)
        How the entries were chosen -> accuracy in [0, 1]. Repeats are drawn as their mean and a band from the lowest to
        the highest.
    reference : mapping of str to float, optional
        Accuracies to mark by a line across.
    ax : Axes, optional
        A new figure when None.
    title : str

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        If there is not one accuracy for each share.

    Examples
    --------
    >>> plot_kept_share([0.1, 0.4], {"largest": [0.7, 0.8]}).get_xlabel()
    'entries kept (%)'
    """
    x = 100 * positive(between(0.0, 1.0, shares, "shares", "n"), "shares", "n")
    tables = {}
    for name, values in named(accuracies, "accuracies").items():
        table = floats(values, f"accuracies[{name!r}]")
        if table.shape[:1] != x.shape or table.ndim > 2:
            raise ValueError(
                f"expected an accuracy for each of {len(x)} shares, {name!r} has shape {table.shape}; give shape "
                f"({len(x)},) or ({len(x)}, repeats)"
            )
        tables[name] = between(0.0, 1.0, table.reshape(len(x), -1), f"accuracies[{name!r}]", len(x), "repeats")
    levels = {
        name: float(between(0.0, 1.0, y, f"reference[{name!r}]"))
        for name, y in optional(reference, "reference").items()
    }
    ax = axes_for(ax)
    for i, (name, table) in enumerate(tables.items()):
        style = look(i, roles=_ROLES)
        ax.plot(x, table.mean(axis=1), label=name, **style)
        if table.shape[1] > 1:
            ax.fill_between(x, table.min(axis=1), table.max(axis=1), color=style["color"], alpha=0.25, linewidth=0)
    for i, (name, level) in enumerate(levels.items()):
        ax.axhline(level, color=figure_color("text"), linestyle=LINES[2 + i % 2], linewidth=1.4, label=name)
    ax.set(xlabel="entries kept (%)", ylabel="accuracy", title=title)
    ax.set_xscale("log")
    ax.set_xticks(x, [f"{value:g}" for value in x])
    ax.minorticks_off()
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=2, fontsize=10, columnspacing=1.0)
    return ax


def plot_head_changes(
    changes: ArrayLike, *, marked: Sequence[tuple[int, int]] = (), ax: Axes | None = None, title: str = ""
) -> Axes:
    """Draw how far each head's attention moved: a row for each layer, a column for each head.

    Parameters
    ----------
    changes : array_like, shape (layers, heads)
        In [0, 1]: total variation, 0.5 * sum |after - before|, averaged over the rows of the map.
    marked : sequence of (layer, head)
        Heads to put a frame around.
    ax : Axes, optional
        A new figure when None.
    title : str

    Returns
    -------
    Axes

    Examples
    --------
    >>> plot_head_changes([[0.1, 0.5]], marked=[(0, 1)]).get_xlabel()
    'head'
    """
    table = between(0.0, 1.0, changes, "changes", "layers", "heads")
    layers, heads = table.shape
    marked = floats(marked, "marked")
    if marked.size:
        marked = between(0, max(layers, heads) - 1, marked, "marked", "n", 2)
        if (marked != np.round(marked)).any() or (marked >= (layers, heads)).any():
            came = marked.tolist()
            raise ValueError(f"marked must hold (layer, head) below ({layers}, {heads}), got {came}; count from 0")
    ax = axes_for(ax, FIGURE_WIDTH, 1.3 + 0.42 * layers)
    draw_cells(ax, table, short, limits=(0.0, max(table.max(), 1e-9)), fontsize=10)
    for layer, head in marked:
        frame = {"fill": False, "edgecolor": figure_color("lora"), "linewidth": 3.0}
        ax.add_patch(Rectangle((head - 0.5, layer - 0.5), 1, 1, **frame))
    ax.set(xticks=range(heads), yticks=range(layers), xlabel="head", ylabel="layer", title=title)
    return ax


def plot_attention_map(weights: ArrayLike, tokens: Sequence[str], *, ax: Axes | None = None, title: str = "") -> Axes:
    """Draw one head's attention: a row for each looking token, a column for each token looked at.

    Weights of 0.1 or more are written into their cells.

    Parameters
    ----------
    weights : array_like, shape (n, n)
        Rows that sum to 1.
    tokens : sequence of str, n entries
    ax : Axes, optional
        A new figure when None.
    title : str

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        If there is not a row and a column for each token.

    Examples
    --------
    >>> [text.get_text() for text in plot_attention_map([[1.0, 0.0], [0.25, 0.75]], ["a", "b"]).texts]
    ['1.0', '.25', '.75']
    """
    tokens, table = words(tokens, "tokens"), floats(weights, "weights")
    if table.shape != (len(tokens), len(tokens)):
        raise ValueError(
            f"expected a row and a column for each of {len(tokens)} tokens, the shape is {table.shape}; cut both alike"
        )
    table = between(0.0, 1.0, table, "weights", *table.shape)
    ax = axes_for(ax, 3.6, 3.6)
    draw_cells(ax, table, lambda weight: short(weight) if weight >= _WRITTEN else "", fontsize=10)
    name_cells(ax, tokens, tokens, rotation=45)
    ax.set_title(title)
    return ax


def plot_against_t(
    t: ArrayLike, curves: Mapping[str, ArrayLike], *, ylabel: str, ax: Axes | None = None, title: str = ""
) -> Axes:
    """Draw quantities against t in ``l(t) = 1 + t * (l - 1)``, with lines at the frozen (0) and learned (1) vectors.

    Parameters
    ----------
    t : array_like, shape (n,)
    curves : mapping of str to array_like, shape (n,)
        In [0, 1], such as accuracies and probabilities.
    ylabel : str
    ax : Axes, optional
        A new figure when None.
    title : str

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        If a curve has another length than t.

    Examples
    --------
    >>> plot_against_t([0, 1], {"a": [0.2, 0.9]}, ylabel="P(positive)").get_ylabel()
    'P(positive)'
    """
    x = numbers(t, "t", "n")
    lines = _series(curves, "curves", x.size)
    ax = axes_for(ax)
    for place in (0.0, 1.0):
        ax.axvline(place, color=figure_color("base"), linestyle=":", linewidth=1.4)
    for i, (name, y) in enumerate(lines.items()):
        ax.plot(x, y, label=name, **look(i, roles=_ROLES))
    ax.set(xlabel="$t$ (0: ones, 1: learned)", ylabel=ylabel, title=title, ylim=(-0.03, 1.03))
    ax.legend(fontsize=10)
    return ax


def _signed(value: float) -> str:
    return f"{round(value, 2) + 0.0:.2f}"  # adding 0 turns -0.0, a rounded -0.004, into 0.0


def _known(kind: str) -> str:
    if not isinstance(kind, str) or kind not in _NAMES:
        raise ValueError(f"expected a kind of {', '.join(_NAMES)}, got {kind!r}; name the vector that you draw")
    return kind


def _series(curves: Mapping[str, ArrayLike], name: str, size: int) -> dict[str, NDArray[np.float64]]:
    """Return shares from 0 to 1, one for each of a number of places, by label."""
    return {
        label: between(0.0, 1.0, values, f"{name}[{label!r}]", size) for label, values in named(curves, name).items()
    }
