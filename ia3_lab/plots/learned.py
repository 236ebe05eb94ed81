"""Figures of chapter 6: the entries of rescaling vectors, what moved and how far, and the attention that follows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np

from ia3_lab.style import DIVERGING, FIGURE_WIDTH, LINES, MARKERS, SEQUENTIAL, figure_color

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike

_ROLES = {"k": "k", "v": "v", "ff": "ff"}
_NAMES = {"k": "$l_k$", "v": "$l_v$", "ff": "$l_{ff}$"}
_SERIES = ("ia3", "lora", "base", "v", "k", "ff")
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
    vector, color = np.asarray(values, dtype=float), figure_color(_role(kind))
    if vector.ndim != 1 or not vector.size:
        raise ValueError(f"values must be a vector of shape (d,), its shape is {vector.shape}")
    ax = plt.subplots(figsize=(FIGURE_WIDTH, 2.4))[1] if ax is None else ax
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
    color = figure_color(_role(kind))
    ax = plt.subplots()[1] if ax is None else ax
    ax.hist(np.ravel(values), bins=bins, range=limits, color=color, alpha=0.85)
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
    ax = plt.subplots()[1] if ax is None else ax
    for i, (kind, row) in enumerate(sizes.items()):
        style = {"marker": MARKERS[i % len(MARKERS)], "linestyle": LINES[i % len(LINES)], "label": _NAMES.get(kind)}
        ax.plot(np.arange(len(row)), row, color=figure_color(_role(kind)), **style)
        ax.set_xticks(range(len(row)))
    largest = max(np.max(row) for row in sizes.values())
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
    table = np.array(matrix, dtype=float)
    if table.shape != (len(labels), len(labels)):
        raise ValueError(f"expected a square table for {len(labels)} labels, its shape is {table.shape}")
    np.fill_diagonal(table, np.nan)
    size = 1.6 + 0.66 * len(labels)
    ax = plt.subplots(figsize=(min(FIGURE_WIDTH, size + 0.8), min(6.2, size)))[1] if ax is None else ax
    ax.imshow(table, cmap=DIVERGING, vmin=-1.0, vmax=1.0, aspect="auto")
    for (i, j), value in np.ndenumerate(table):
        if i != j:
            ax.text(j, i, f"{value:.2f}", ha="center", va="center", color=_ink(value, 0.7))
    ax.set_xticks(range(len(labels)), labels, rotation=35, ha="right", rotation_mode="anchor")
    ax.set_yticks(range(len(labels)), labels)
    ax.grid(False)
    return ax


def plot_head_shares(
    shares: Mapping[str, ArrayLike], chance: tuple[ArrayLike, ArrayLike], *, ax: Axes | None = None, title: str = ""
) -> Axes:
    """Draw the share of variance between heads by layer, a marker for each run, over the band that chance gives.

    Parameters
    ----------
    shares : mapping of str to array_like, shape (layers,)
        Name of the run -> share in [0, 1].
    chance : (array_like, array_like), each of shape (layers,)
        Lower and upper end of the band.
    ax : Axes, optional
        A new figure when None.
    title : str

    Returns
    -------
    Axes

    Examples
    --------
    >>> plot_head_shares({"draw 0": [0.1, 0.2]}, ([0.0, 0.0], [0.06, 0.06])).get_xlabel()
    'layer'
    """
    ax = plt.subplots()[1] if ax is None else ax
    low, high = (np.asarray(end, dtype=float) for end in chance)
    layers, gray = np.arange(len(low)), figure_color("base")
    bars = {"bottom": low, "width": 0.7, "color": gray, "alpha": 0.35, "edgecolor": "none"}
    ax.bar(layers, high - low, label="shuffled entries (95%)", **bars)
    for i, (name, row) in enumerate(shares.items()):
        place = layers + 0.18 * (i - (len(shares) - 1) / 2)
        color = figure_color(_SERIES[i % len(_SERIES)])
        ax.plot(place, row, MARKERS[i % len(MARKERS)], color=color, label=name, markersize=7)
    ax.set(xlabel="layer", ylabel="share between heads", title=title, xticks=layers)
    ax.set_ylim(bottom=0.0)
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=2, fontsize=9.5, columnspacing=1.0)
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
    x = 100 * np.asarray(shares, dtype=float)
    ax = plt.subplots()[1] if ax is None else ax
    for i, (name, values) in enumerate(accuracies.items()):
        table = np.asarray(values, dtype=float)
        if table.shape[:1] != x.shape:
            raise ValueError(f"expected an accuracy for each of {len(x)} shares, {name!r} has shape {table.shape}")
        table = table.reshape(len(x), -1)
        color = figure_color(_SERIES[i % len(_SERIES)])
        style = {"marker": MARKERS[i % len(MARKERS)], "linestyle": LINES[i % len(LINES)], "label": name}
        ax.plot(x, table.mean(axis=1), color=color, **style)
        if table.shape[1] > 1:
            ax.fill_between(x, table.min(axis=1), table.max(axis=1), color=color, alpha=0.25, linewidth=0)
    for i, (name, level) in enumerate((reference or {}).items()):
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
    table = np.asarray(changes, dtype=float)
    ax = plt.subplots(figsize=(FIGURE_WIDTH, 1.3 + 0.42 * len(table)))[1] if ax is None else ax
    ax.imshow(table, cmap=SEQUENTIAL, vmin=0.0, vmax=max(table.max(), 1e-9), aspect="auto")
    for (i, j), value in np.ndenumerate(table):
        _number(ax, i, j, _short(value), value / max(table.max(), 1e-9))
    for layer, head in marked:
        frame = {"fill": False, "edgecolor": figure_color("lora"), "linewidth": 3.0}
        ax.add_patch(plt.Rectangle((head - 0.5, layer - 0.5), 1, 1, **frame))
    ax.set(xticks=range(table.shape[1]), yticks=range(len(table)), xlabel="head", ylabel="layer", title=title)
    ax.grid(False)
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
    table = np.asarray(weights, dtype=float)
    if table.shape != (len(tokens), len(tokens)):
        raise ValueError(f"expected a row and a column for each of {len(tokens)} tokens, the shape is {table.shape}")
    ax = plt.subplots(figsize=(3.6, 3.6))[1] if ax is None else ax
    ax.imshow(table, cmap=SEQUENTIAL, vmin=0.0, vmax=1.0, aspect="auto")
    for (i, j), value in np.ndenumerate(table):
        if value >= _WRITTEN:
            _number(ax, i, j, _short(value), value)
    ax.set_xticks(range(len(tokens)), tokens, rotation=45, ha="right", rotation_mode="anchor")
    ax.set_yticks(range(len(tokens)), tokens)
    ax.set_title(title)
    ax.grid(False)
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
    x = np.asarray(t, dtype=float)
    ax = plt.subplots()[1] if ax is None else ax
    for place in (0.0, 1.0):
        ax.axvline(place, color=figure_color("base"), linestyle=":", linewidth=1.4)
    for i, (name, values) in enumerate(curves.items()):
        y = np.asarray(values, dtype=float)
        if y.shape != x.shape:
            raise ValueError(f"expected a number for each of {len(x)} values of t, {name!r} has shape {y.shape}")
        style = {"marker": MARKERS[i % len(MARKERS)], "linestyle": LINES[i % len(LINES)], "label": name}
        ax.plot(x, y, color=figure_color(_SERIES[i % len(_SERIES)]), **style)
    ax.set(xlabel="$t$ (0: ones, 1: learned)", ylabel=ylabel, title=title, ylim=(-0.03, 1.03))
    ax.legend(fontsize=10)
    return ax


def _role(kind: str) -> str:
    if kind not in _ROLES:
        raise ValueError(f"expected a kind of {', '.join(_ROLES)}, got {kind!r}")
    return _ROLES[kind]


def _ink(value: float, limit: float) -> str:
    return "white" if abs(value) > limit else "black"


def _number(ax: Axes, row: int, column: int, text: str, strength: float) -> None:
    ax.text(column, row, text, ha="center", va="center", color=_ink(strength, 0.6), fontsize=10)


def _short(value: float) -> str:
    """Write .25 for 0.25, and 1.0 for what rounds to one."""
    text = f"{value:.2f}"
    return text[1:] if text.startswith("0") else "1.0"
