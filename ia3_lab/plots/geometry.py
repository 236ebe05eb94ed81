"""Figures of chapter 2: images of the circle, turned vectors, lines of equal score, energy by rank, and reach."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.ticker import MultipleLocator, ScalarFormatter

from ia3_lab.plots._series import axes_for, between, floats, named, number, numbers, whole, words
from ia3_lab.style import LINES, MARKERS, figure_color

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike, NDArray


def _plane(ax: Axes | None, reach: float, title: str) -> Axes:
    """Return square axes from -reach to reach with the coordinate axes drawn in."""
    ax = axes_for(ax, 4.2, 4.2)
    for line in (ax.axhline, ax.axvline):
        line(0.0, color=figure_color("text"), linewidth=1.0, alpha=0.7, zorder=1)
    ax.set(xlim=(-reach, reach), ylim=(-reach, reach), xlabel="coordinate 1", ylabel="coordinate 2", title=title)
    ax.set_aspect("equal")
    return ax


def _reach(value: float) -> float:
    reach = number(value, "reach")
    if reach <= 0:
        raise ValueError(f"reach must be above 0, got {reach:g}; give the largest coordinate to show")
    return reach


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
    circle = numbers(circle, "circle", "num_points", 2)
    image = numbers(image, "image", len(circle), 2)
    cloud = () if cloud is None else numbers(cloud, "cloud", 2, "num_points", 2)
    basis = () if basis is None else numbers(basis, "basis", 2, 2)
    color, gray = figure_color(str(role)), figure_color("base")
    ax = _plane(ax, _reach(reach), title)
    if len(cloud):
        for points, shade, size in zip(cloud, (gray, color), (4, 9), strict=True):
            ax.scatter(*points.T, s=size, color=shade, alpha=0.55, linewidths=0)
    ax.plot(*circle.T, LINES[1], color=gray, linewidth=1.4, label="circle")
    ax.plot(*image.T, LINES[0], color=color, label="image")
    for start, end, marker in zip(np.eye(2), basis, MARKERS, strict=False):
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
    before = numbers(before, "before", "num_vectors", 2)
    after = numbers(after, "after", len(before), 2)
    labels = words(labels, "labels", len(before)) if not hasattr(labels, "__len__") or len(labels) else ()
    color = figure_color(str(role))
    ax = _plane(ax, _reach(reach), title)
    for start, end in zip(before, after, strict=True):
        _arrow(ax, start, figure_color("base"), LINES[1])
        _arrow(ax, end, color, LINES[0])
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
    directions = between(-360.0, 360.0, directions, "directions", "num_directions")
    lines = {
        name: between(0.0, 180.0, values, f"turns[{name!r}]", directions.size)
        for name, values in named(turns, "turns").items()
    }
    ax = axes_for(ax)
    for i, (name, values) in enumerate(lines.items()):
        ax.plot(directions, values, LINES[i % len(LINES)], label=name)
    ax.set(xlabel="direction of x (degrees)", ylabel="turn (degrees)", title=title)
    ax.set_ylim(0, None)
    if directions[0] != directions[-1]:
        ax.set_xlim(directions[0], directions[-1])
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
    labels, grid = words(labels, "labels"), numbers(coordinates, "coordinates", "m")
    if grid.size < 2 or (np.diff(grid) <= 0).any():
        raise ValueError(f"coordinates must be two or more growing numbers, got {grid.tolist()}; sort them")
    keys, query = numbers(keys, "keys", len(labels), 2), numbers(query, "query", 2)
    scores = numbers(scores, "scores", grid.size, grid.size)
    curve = None if nearby is None else numbers(nearby, "nearby", "num_points", 2)
    ax = _plane(ax, 1.0, title)
    ax.set(xlim=(grid[0], grid[-1]), ylim=(grid[0], grid[-1]))
    if scores.min() < scores.max():  # else no line separates one score from another
        drawn = ax.contour(grid, grid, scores, levels=7, colors=figure_color("k"), linewidths=1.0)
        ax.clabel(drawn, fontsize=8, fmt="%.1f")
    _arrow(ax, query, figure_color("text"), LINES[0])
    ax.annotate("q", query, (4, 4), textcoords="offset points", weight="bold")
    if curve is not None:
        ax.plot(*curve.T, LINES[1], color=figure_color("bad"), linewidth=1.6)
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
    lines = {
        name: between(0.0, 1.0, values, f"shares[{name!r}]", "max_rank")
        for name, values in named(shares, "shares").items()
    }
    marked = whole(marked, "marked", 1)
    ax = axes_for(ax)
    for i, (name, values) in enumerate(lines.items()):
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
    targets, methods = words(targets, "targets"), words(methods, "methods")
    missed, spread = floats(missed, "missed"), floats(spread, "spread")
    if not missed.shape == spread.shape == (len(targets), len(methods)):
        raise ValueError(
            f"expected missed and spread of shape ({len(targets)}, {len(methods)}), targets by methods, got "
            f"{missed.shape} and {spread.shape}; transpose or cut them"
        )
    missed = between(0.0, 1.0, missed, "missed", *missed.shape)
    spread = between(0.0, np.inf, spread, "spread", *spread.shape)
    ax = axes_for(ax)
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
