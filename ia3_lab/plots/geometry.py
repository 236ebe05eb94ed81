"""Figures of chapter 2: images of the circle, turned vectors, lines of equal score, energy by rank, and reach."""

from __future__ import annotations

from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.ticker import MultipleLocator, ScalarFormatter

from ia3_lab.style import LINES, MARKERS, figure_color

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike, NDArray


def _rows(value: ArrayLike, name: str, num_rows: int | None = None) -> NDArray[np.float64]:
    """Return points of the plane as rows, or say what came instead."""
    points = np.asarray(value, dtype=float)
    if points.ndim != 2 or points.shape[1] != 2 or num_rows not in (None, len(points)):
        raise ValueError(f"{name} must have shape ({num_rows or 'num_points'}, 2), got {points.shape}")
    return points


def _plane(ax: Axes | None, reach: float, title: str) -> Axes:
    """Return square axes from -reach to reach with the coordinate axes drawn in."""
    ax = plt.subplots(figsize=(4.2, 4.2))[1] if ax is None else ax
    for line in (ax.axhline, ax.axvline):
        line(0.0, color=figure_color("text"), linewidth=1.0, alpha=0.7, zorder=1)
    ax.set(xlim=(-reach, reach), ylim=(-reach, reach), xlabel="coordinate 1", ylabel="coordinate 2", title=title)
    ax.set_aspect("equal")
    return ax


def _arrow(ax: Axes, end: NDArray[np.float64], color: str, line: str) -> None:
    arrow = {"arrowstyle": "-|>", "color": color, "lw": 2.0, "ls": line, "shrinkA": 0, "shrinkB": 0}
    ax.annotate("", end, (0.0, 0.0), arrowprops=arrow, zorder=4)


def plot_image_of_circle(
    circle: ArrayLike,
    image: ArrayLike,
    *,
    ax: Axes | None = None,
    basis: ArrayLike | None = None,
    cloud: tuple[ArrayLike, ArrayLike] | None = None,
    role: str = "ia3",
    title: str = "",
    reach: float = 2.2,
) -> Axes:
    """Draw the unit circle (dashed gray) and its image (solid).

    Parameters
    ----------
    circle, image : array_like, shape (num_points, 2)
        The points and where they go.
    ax : Axes, optional
        A new figure when None.
    basis : array_like, shape (2, 2), optional
        Images of (1, 0) and (0, 1), the rows of the matrix: a disk and a square on the image, with hollow ones where
        they came from. They show what a reflection does, which the ellipse alone does not.
    cloud : pair of array_like, each of shape (num_points, 2), optional
        Points inside the circle (gray) and their images.
    role : str
        The color's role, ``"ia3"`` or ``"lora"``.
    title : str
        The title of the axes.
    reach : float
        The axes go from -reach to reach.

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        If an array does not hold points of the plane, or circle and image differ in length.

    Examples
    --------
    >>> plot_image_of_circle([[1, 0], [0, 1]], [[1.8, 0], [0, 0.5]]).get_xlabel()
    'coordinate 1'
    """
    circle = _rows(circle, "circle")
    image = _rows(image, "image", len(circle))
    ax = _plane(ax, reach, title)
    color, gray = figure_color(role), figure_color("base")
    if cloud is not None:
        for points, shade, size in zip(cloud, (gray, color), (4, 9), strict=True):
            ax.scatter(*_rows(points, "cloud").T, s=size, color=shade, alpha=0.55, linewidths=0)
    ax.plot(*circle.T, LINES[1], color=gray, linewidth=1.4, label="circle")
    ax.plot(*image.T, LINES[0], color=color, label="image")
    if basis is not None:
        for start, end, marker in zip(np.eye(2), _rows(basis, "basis", 2), MARKERS, strict=False):
            ax.plot(*start, marker, color=gray, markerfacecolor="none", markersize=7, zorder=5)
            ax.plot(*end, marker, color=color, markersize=7, zorder=6)
    return ax


def plot_turned_vectors(
    before: ArrayLike,
    after: ArrayLike,
    *,
    ax: Axes | None = None,
    labels: Sequence[str] = (),
    role: str = "ia3",
    title: str = "",
    reach: float = 2.2,
) -> Axes:
    """Draw vectors (dashed gray arrows) and their images (solid arrows).

    Parameters
    ----------
    before, after : array_like, shape (num_vectors, 2)
        The vectors and where they go.
    ax : Axes, optional
        A new figure when None.
    labels : sequence of str, num_vectors entries or none
        What stands at the tip of each image.
    role : str
        The color's role, ``"ia3"`` or ``"lora"``.
    title : str
        The title of the axes.
    reach : float
        The axes go from -reach to reach.

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        If the shapes disagree, or there are labels but not one for each vector.

    Examples
    --------
    >>> axes = plot_turned_vectors([[1, 1]], [[1.8, 0.5]], labels=["29.5 degrees"])
    >>> [text.get_text() for text in axes.texts if text.get_text()]
    ['29.5 degrees']
    """
    before = _rows(before, "before")
    after = _rows(after, "after", len(before))
    if len(labels) not in (0, len(before)):
        raise ValueError(f"expected one label for each of {len(before)} vectors, got {len(labels)}")
    ax = _plane(ax, reach, title)
    for start, end in zip(before, after, strict=True):
        _arrow(ax, start, figure_color("base"), LINES[1])
        _arrow(ax, end, figure_color(role), LINES[0])
    for (x, y), label in zip(after, labels, strict=False):
        side = "bottom" if y >= 0 else "top"
        ax.annotate(label, (x, y), (0, 6 if y >= 0 else -6), textcoords="offset points", ha="center", va=side)
    return ax


def plot_turn_by_direction(
    directions: ArrayLike, turns: Mapping[str, ArrayLike], *, ax: Axes | None = None, title: str = ""
) -> Axes:
    """Draw how far a vector turns against the direction it had, a line for each map.

    Parameters
    ----------
    directions : array_like, shape (num_directions,)
        Degrees from the first coordinate axis.
    turns : mapping of str to array_like, shape (num_directions,)
        Degrees, by the name of the map.
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
        If a line has not one value for each direction.

    Examples
    --------
    >>> len(plot_turn_by_direction([0, 45], {"a map": [0, 29.5]}).get_lines())
    1
    """
    directions = np.asarray(directions, dtype=float)
    ax = plt.subplots()[1] if ax is None else ax
    for i, (name, values) in enumerate(turns.items()):
        values = np.asarray(values, dtype=float)
        if directions.ndim != 1 or values.shape != directions.shape:
            raise ValueError(f"{name!r} must have shape {directions.shape}, one turn per direction, got {values.shape}")
        ax.plot(directions, values, LINES[i % len(LINES)], label=name)
    ax.set(xlabel="direction of x (degrees)", ylabel="turn (degrees)", title=title)
    ax.set(xlim=(directions[0], directions[-1]), ylim=(0, None))
    ax.xaxis.set_major_locator(MultipleLocator(45))
    ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0))
    return ax


def plot_equal_scores(
    coordinates: ArrayLike,
    scores: ArrayLike,
    *,
    query: ArrayLike,
    keys: ArrayLike,
    labels: Sequence[str],
    ax: Axes | None = None,
    nearby: ArrayLike | None = None,
    title: str = "",
) -> Axes:
    """Draw a query, its keys, lines of equal score, and the curve of points that are equally near to the query.

    Parameters
    ----------
    coordinates : array_like, shape (m,)
        Grid values along both axes.
    scores : array_like, shape (m, m)
        The score of a key at each grid point, ``scores[row of coordinate 2, column of coordinate 1]``.
    query : array_like, shape (2,)
    keys : array_like, shape (num_keys, 2)
    labels : sequence of str, num_keys entries
        What stands beside each key.
    ax : Axes, optional
        A new figure when None.
    nearby : array_like, shape (num_points, 2), optional
        A closed curve around the query.
    title : str
        The title of the axes.

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        If shapes or the number of labels disagree.

    Examples
    --------
    >>> axes = plot_equal_scores([0, 1], [[0, 1], [1, 2]], query=[1, 1], keys=[[1, 0]], labels=["A"])
    >>> axes.texts[-1].get_text()
    'A'
    """
    keys, grid = _rows(keys, "keys", len(labels)), np.asarray(coordinates, dtype=float)
    ax = _plane(ax, 1.0, title)
    ax.set(xlim=(grid[0], grid[-1]), ylim=(grid[0], grid[-1]))
    drawn = ax.contour(grid, grid, np.asarray(scores, dtype=float), levels=7, colors=figure_color("k"), linewidths=1.0)
    ax.clabel(drawn, fontsize=8, fmt="%.1f")
    _arrow(ax, np.asarray(query, dtype=float), figure_color("text"), LINES[0])
    ax.annotate("q", query, (4, 4), textcoords="offset points", weight="bold")
    if nearby is not None:
        ax.plot(*_rows(nearby, "nearby").T, LINES[1], color=figure_color("bad"), linewidth=1.6)
    for i, (key, label) in enumerate(zip(keys, labels, strict=True)):
        ax.plot(*key, MARKERS[i % len(MARKERS)], color=figure_color("k"), markersize=8, zorder=5)
        ax.annotate(label, key, (7, -4), textcoords="offset points", weight="bold")
    return ax


def plot_energy_by_rank(shares: Mapping[str, ArrayLike], *, marked: int = 8, ax: Axes | None = None) -> Axes:
    """Draw the share of a matrix's energy that its best approximation of each rank holds, a line for each matrix.

    Parameters
    ----------
    shares : mapping of str to array_like, shape (max_rank,)
        Shares between 0 and 1 for ranks 1, 2, ... by the name of the matrix.
    marked : int
        The rank at which a vertical line stands.
    ax : Axes, optional
        A new figure when None.

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        If a line is not one-dimensional.

    Examples
    --------
    >>> plot_energy_by_rank({"rank 1": [1.0, 1.0], "full": [0.6, 1.0]}).get_ylabel()
    'share of energy (0 to 1)'
    """
    ax = plt.subplots()[1] if ax is None else ax
    for i, (name, values) in enumerate(shares.items()):
        values = np.asarray(values, dtype=float)
        if values.ndim != 1:
            raise ValueError(f"{name!r} must be one share for each rank, got shape {values.shape}")
        ranks = np.arange(1, len(values) + 1)
        color = figure_color("lora" if i else "ia3")
        ax.plot(ranks, values, LINES[i % len(LINES)], color=color, label=name)
    ax.axvline(marked, color=figure_color("text"), linewidth=1.0)
    ax.annotate(f"rank {marked}", (marked, 0.02), (4, 0), textcoords="offset points")
    ax.set(xlabel="rank of the approximation", ylabel="share of energy (0 to 1)", ylim=(0, 1.04))
    ax.set_xscale("log", base=2)
    ax.xaxis.set_major_formatter(ScalarFormatter())
    ax.legend(loc="center right")
    return ax


def plot_reach(
    missed: ArrayLike, *, spread: ArrayLike, targets: Sequence[str], methods: Sequence[str], ax: Axes | None = None
) -> Axes:
    """Draw how much of a wanted change each method misses, a group of markers for each target.

    Parameters
    ----------
    missed : array_like, shape (num_targets, num_methods)
        Means between 0 (reached) and 1 (nothing reached).
    spread : array_like, shape (num_targets, num_methods)
        Standard deviations, drawn as bars through the markers.
    targets, methods : sequence of str, num_targets and num_methods entries
        The names.
    ax : Axes, optional
        A new figure when None.

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        If the shapes or the numbers of names disagree.

    Examples
    --------
    >>> axes = plot_reach([[0.0, 0.9]], spread=[[0.0, 0.1]], targets=["rescaling"], methods=["IA3", "LoRA"])
    >>> [label.get_text() for label in axes.get_yticklabels()]
    ['rescaling']
    """
    missed, spread = np.asarray(missed, dtype=float), np.asarray(spread, dtype=float)
    if not missed.shape == spread.shape == (len(targets), len(methods)):
        raise ValueError(
            f"expected missed and spread of shape ({len(targets)}, {len(methods)}), targets by methods, got "
            f"{missed.shape} and {spread.shape}"
        )
    ax = plt.subplots()[1] if ax is None else ax
    for j, name in enumerate(methods):
        height = np.arange(len(targets)) + 0.22 * (j - (len(methods) - 1) / 2)
        color = figure_color("lora" if j else "ia3")
        fill = color if j < 2 else "none"
        look = {"fmt": MARKERS[j % len(MARKERS)], "color": color, "markerfacecolor": fill, "markersize": 8}
        ax.errorbar(missed[:, j], height, xerr=spread[:, j], capsize=3, label=name, **look)
    ax.set(xlabel="missed part of the wanted change", xlim=(-0.04, 1.06), ylim=(len(targets) - 0.5, -0.5))
    ax.set_yticks(range(len(targets)), targets)
    ax.grid(False, axis="y")
    for border in range(1, len(targets)):
        ax.axhline(border - 0.5, color=figure_color("grid"), linewidth=0.8)
    ax.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return ax
