"""Drawings in the plane. All take ``ax`` and ``**axes`` as `plot_lines` does, and return the Axes."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike

from ia3_lab.plots.charts import axes_for
from ia3_lab.style import LINES, MARKERS, figure_color


def plot_image_of_circle(
    circle: ArrayLike,
    image: ArrayLike,
    *,
    basis: ArrayLike = (),
    cloud: Sequence[ArrayLike] = (),
    role: str = "ia3",
    reach: float = 2.2,
    ax: Axes | None = None,
    **axes: Any,
) -> Axes:
    """Draw the unit circle (dashed gray) and its image (solid), from -reach to reach.

    Parameters
    ----------
    circle, image : array_like, shape (num_points, 2)
    basis : array_like, shape (2, 2), optional
        Images of (1, 0) and (0, 1): a disk and a square, hollow where they came from, so that a reflection shows.
    cloud : pair of array_like, each of shape (num_points, 2), optional
        Points inside the circle (gray) and their images.
    """
    ax, color, gray = _plane(ax, reach), figure_color(role), figure_color("base")
    for points, shade, size in zip(cloud, (gray, color), (4, 9), strict=False):
        ax.scatter(*np.transpose(points), s=size, color=shade, alpha=0.55, linewidths=0)
    ax.plot(*np.transpose(circle), LINES[1], color=gray, linewidth=1.4, label="circle")
    ax.plot(*np.transpose(image), LINES[0], color=color, label="image")
    for start, end, marker in zip(np.eye(2), basis, MARKERS, strict=False):
        ax.plot(*start, marker, color=gray, markerfacecolor="none", markersize=7, zorder=5)
        ax.plot(*end, marker, color=color, markersize=7, zorder=6)
    ax.set(**axes)
    return ax


def plot_turned_vectors(
    before: ArrayLike,
    after: ArrayLike,
    *,
    labels: Sequence[str] = (),
    role: str = "ia3",
    reach: float = 2.2,
    ax: Axes | None = None,
    **axes: Any,
) -> Axes:
    """Draw vectors (dashed gray arrows) and their images (solid arrows), shape (num_vectors, 2), with labels."""
    ax = _plane(ax, reach)
    for start, end, label in zip(before, after, labels or [""] * len(after), strict=True):
        _arrow(ax, start, figure_color("base"), LINES[1])
        _arrow(ax, end, figure_color(role), LINES[0])
        side, gap = ("bottom", 6) if end[1] >= 0 else ("top", -6)
        ax.annotate(label, end, (0, gap), textcoords="offset points", ha="center", va=side)
    ax.set(**axes)
    return ax


def plot_equal_scores(
    coordinates: ArrayLike,
    scores: ArrayLike,
    *,
    query: ArrayLike,
    keys: ArrayLike,
    labels: Sequence[str],
    nearby: ArrayLike,
    ax: Axes | None = None,
    **axes: Any,
) -> Axes:
    """Draw a query, its keys, lines of equal score, and a curve of points that are equally near to the query.

    Parameters
    ----------
    coordinates : array_like, shape (m,)
        Grid values along both axes, growing.
    scores : array_like, shape (m, m)
        The score of a key at each grid point, ``scores[row of coordinate 2, column of coordinate 1]``.
    query : array_like, shape (2,)
    keys, labels : array_like, shape (num_keys, 2), and num_keys str
    nearby : array_like, shape (num_points, 2)
    """
    ax, ends = _plane(ax, 1.0), (coordinates[0], coordinates[-1])
    ax.set(**{"xlim": ends, "ylim": ends, **axes})  # first, since the numbers on the lines stand inside
    drawn = ax.contour(coordinates, coordinates, scores, levels=7, colors=figure_color("k"), linewidths=1.0)
    ax.clabel(drawn, fmt="%.1f")
    _arrow(ax, query, figure_color("text"), LINES[0])
    ax.annotate("q", query, (4, 4), textcoords="offset points", weight="bold")
    ax.plot(*np.transpose(nearby), LINES[1], color=figure_color("bad"), linewidth=1.6)
    for i, (key, label) in enumerate(zip(keys, labels, strict=True)):
        ax.plot(*key, MARKERS[i % len(MARKERS)], color=figure_color("k"), markersize=8, zorder=5)
        ax.annotate(label, key, (7, -4), textcoords="offset points", weight="bold")
    return ax


def _plane(ax: Axes | None, reach: float) -> Axes:
    ax = axes_for(ax, 4.2, 4.2)
    for line in (ax.axhline, ax.axvline):
        line(0.0, color=figure_color("text"), linewidth=1.0, alpha=0.7, zorder=1)
    ax.set(xlim=(-reach, reach), ylim=(-reach, reach), xlabel="coordinate 1", ylabel="coordinate 2", aspect="equal")
    return ax


def _arrow(ax: Axes, end: ArrayLike, color: str, line: str) -> None:
    arrow = {"arrowstyle": "-|>", "color": color, "lw": 2.0, "ls": line, "shrinkA": 0, "shrinkB": 0}
    ax.annotate("", end, (0.0, 0.0), arrowprops=arrow, zorder=4)
