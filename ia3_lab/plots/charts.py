"""The book's seven kinds of chart: arrays in, Axes out; no computation, no torch.

All draw on ``ax``, or a new figure, and return it. Chapters label it by keywords that `Axes.set` takes; ``legend`` is
a place in matplotlib's words ("outside lower center" is below the figure) or None. Series differ in mark, line or
hatch, not in color alone. What does not fit is refused by matplotlib, with the shapes.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import cycle
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from matplotlib.transforms import ScaledTranslation
from numpy.typing import ArrayLike

from ia3_lab.style import CHART_WIDTH, FIGURE_WIDTH, LINES, MARKERS, METHOD_STYLES, SEQUENTIAL, figure_color

#: Name of a series -> its values: a dict, or a DataFrame with a column for each.
Series = Mapping[str, ArrayLike]
#: Roles of the colors of series 0, 1, 2, ... whose names are no methods or vectors.
_SERIES = ("ia3", "lora", "k", "v", "ff", "base")
_VECTORS = {"k": "$l_k$", "v": "$l_v$", "ff": "$l_{ff}$"}


def axes_for(ax: Axes | None, width: float = CHART_WIDTH, height: float = 3.4) -> Axes:
    """Return the axes that were given, or those of a new figure of pyplot's, which a notebook shows."""
    if ax is None:
        from matplotlib import pyplot

        ax = pyplot.subplots(figsize=(width, height))[1]
    return ax


def plot_lines(
    x: ArrayLike | Series | None,
    series: Series,
    *,
    spread: Series | None = None,
    apart: float = 0.0,
    joined: bool = True,
    hlines: Mapping[float, str] | None = None,
    vlines: Mapping[float, str] | None = None,
    labels: Mapping[str, str] | None = None,
    roles: Sequence[str] = _SERIES,
    ax: Axes | None = None,
    **axes: Any,
) -> Axes:
    """Draw a line for each series: several runs as their mean and a band from the lowest to the highest.

    Parameters
    ----------
    x : array_like, shape (n,), a mapping with one for each series, or None to count from 0
    series : mapping of str to array_like, shape (n,) or (runs, n)
        Methods, by the keys of ``METHOD_STYLES``, and vectors ("k", "v", "ff") have looks of their own.
    spread : mapping of str to array_like, shape (n,) or (2, n), optional
        Error bars: how far to both sides, or down and up.
    apart : float
        Points on the page between marks at one x, so that bars do not hide bars.
    hlines, vlines : mapping of float to str, optional
        Thin lines across, with what stands beside them.
    labels : mapping of str to str, optional
        What the legend says instead of the names of some series.
    roles : sequence of str
        Roles of the colors by place.
    """
    ax, series = axes_for(ax), dict(series)
    _draw_references(ax, hlines or {}, vlines or {})
    for i, (name, values) in enumerate(series.items()):
        runs, look = np.atleast_2d(values), _look(name, i, roles, labels)
        mean = runs.mean(axis=0)
        here = np.arange(mean.size) if x is None else np.asarray(x[name] if isinstance(x, Mapping) else x)
        down, up = np.broadcast_to(0.0 if spread is None else spread[name], (2, mean.size))
        shift = ScaledTranslation(apart * (i - (len(series) - 1) / 2) / 72, 0, ax.figure.dpi_scale_trans)
        every = (0.12 * i / len(series), 0.12) if joined and mean.size > 16 else None  # of the size of the axes
        look |= {"markersize": 6, "markevery": every, "transform": ax.transData + shift}
        look |= {} if joined else {"linestyle": "none", "alpha": 0.85}
        ax.errorbar(here, mean, None if spread is None else [down, up], capsize=3, elinewidth=1.3, **look)
        ax.update_datalim(np.c_[np.tile(here, 2), np.r_[mean - down, mean + up]])  # what is moved does not count
        if len(runs) > 1:
            band = {"color": look["color"], "alpha": 0.2, "linewidth": 0, "label": f"_{look['label']}"}
            ax.fill_between(here, runs.min(axis=0), runs.max(axis=0), **band)
    ax.autoscale_view()
    return _finish(ax, **axes)


def plot_points(
    x: ArrayLike | Series, series: Series, *, diagonal: bool = False, ax: Axes | None = None, **options: Any
) -> Axes:
    """Draw a mark for each pair (x, y), both of shape (n,): `plot_lines` without lines, with its options.

    A ``diagonal``, on which y = x, makes a new figure square.
    """
    ax = axes_for(ax, *((4.2, 4.2) if diagonal else ()))
    if diagonal:
        ax.axline((0, 0), slope=1, color=figure_color("text"), linewidth=1.0, linestyle=":")
    return plot_lines(x, series, joined=False, ax=ax, **options)


def plot_bars(
    names: Sequence[str],
    series: Series,
    *,
    stacked: bool = False,
    write: Callable[[float], str] | None = None,
    roles: Sequence[str] = _SERIES,
    ax: Axes | None = None,
    **axes: Any,
) -> Axes:
    """Draw bars, shape (n,), from the top down, side by side or stacked, with what ``write`` says; gray is hollow."""
    series = dict(series)
    ax = axes_for(ax, height=0.9 + 0.3 * len(names) * (1 if stacked else len(series)))
    thick, left, hatches = 0.5 if stacked else 0.8 / len(series), np.zeros(len(names)), cycle(("", "//", "..", "xx"))
    for i, (name, values) in enumerate(series.items()):
        look, at = _look(name, i, roles), np.arange(len(names)) + (not stacked) * (i - (len(series) - 1) / 2) * thick
        hatch = None if look["color"] == figure_color("base") else next(hatches)
        paint = {"facecolor": look["color"] if hatch == "" else "none", "edgecolor": look["color"], "hatch": hatch}
        bars = ax.barh(at, values, 0.86 * thick, left, label=look["label"], **paint)
        left = left + values if stacked else left
        if write:
            ax.bar_label(bars, [write(value) for value in values], padding=4)
    ax.set_yticks(range(len(names)), names)
    ax.yaxis.set_inverted(True)
    ax.grid(axis="y", visible=False)
    return _finish(ax, **{"legend": "outside lower center", **axes})


def plot_cells(
    table: ArrayLike,
    rows: Sequence[str],
    columns: Sequence[str],
    *,
    write: Callable[[float], str] = "{:z.2f}".format,
    limits: tuple[float, float] = (0.0, 1.0),
    colors: str = SEQUENTIAL,
    marked: Sequence[tuple[int, int]] = (),
    rotation: float = 35,
    ax: Axes | None = None,
    **axes: Any,
) -> Axes:
    """Draw a table, shape (rows, columns), as colored cells with their numbers; cells of NaN stay empty.

    ``limits`` are the ends of the colors, with ``DIVERGING`` around what is no change: 1 for entries of vectors, 0 for
    correlations. ``marked`` cells, (row, column), have a frame.

    Examples
    --------
    >>> [text.get_text() for text in plot_cells([[0.25, 0.75]], ["a"], ["b", "c"]).texts]
    ['0.25', '0.75']
    """
    table = np.asarray(table, dtype=float)
    ax = axes_for(ax, min(FIGURE_WIDTH, 1.6 + 0.62 * len(columns)), 1.6 + 0.5 * len(rows))
    image = ax.imshow(table, cmap=colors, vmin=limits[0], vmax=limits[1], aspect="auto")
    for (i, j), value in np.ndenumerate(table):
        light = np.array(image.to_rgba(value)[:3]) ** 2.2 @ (0.2126, 0.7152, 0.0722)
        ink = "white" if light < 0.18 else "black"  # whichever contrasts more
        ax.text(j, i, "" if np.isnan(value) else write(value), ha="center", va="center", color=ink)
    for row, column in marked:
        frame = {"fill": False, "edgecolor": figure_color("lora"), "linewidth": 3.0}
        ax.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, **frame))
    turned = {"rotation": rotation, "rotation_mode": "anchor", "ha": "right"} if rotation else {}
    ax.set_xticks(range(table.shape[1]), columns, **turned)
    ax.set_yticks(range(table.shape[0]), rows)
    ax.grid(False)
    return _finish(ax, **axes)


def plot_histogram(
    series: Series, *, bins: ArrayLike | int = 40, counted: bool = False, ax: Axes | None = None, **axes: Any
) -> Axes:
    """Draw how the entries of rescaling vectors, shape (d,), spread around 1; a single series is filled.

    ``bins`` is their number or their borders, shape (n + 1,); if ``counted``, a series holds its counts, shape (n,).
    """
    ax, alone = axes_for(ax), len([*series]) == 1
    for i, (name, values) in enumerate(series.items()):
        look = {key: value for key, value in _look(name, i).items() if not key.startswith("marker")}
        counts, edges = (np.asarray(values), bins) if counted else np.histogram(values, bins)
        shares = np.where(counts > 0, counts, 0 if alone else np.nan) / counts.sum()
        ax.stairs(shares, edges, linewidth=1.8, fill=alone, baseline=0 if alone else None, **look)
    ax.axvline(1.0, color=figure_color("text"), linewidth=1.0, linestyle=":")
    return _finish(ax, **{"xlabel": "value of an entry", "ylabel": "share of the entries", **axes})


def plot_entries(values: ArrayLike, kind: str, *, ax: Axes | None = None, **axes: Any) -> Axes:
    """Draw the entries of one rescaling vector, shape (d,), each as a line from 1; the kind is "k", "v" or "ff"."""
    ax, values = axes_for(ax, height=2.4), np.asarray(values)
    ends = np.c_[np.ones(values.size), values, np.full(values.size, np.nan)].ravel()  # one path: thousands are heavy
    ax.plot(np.arange(values.size).repeat(3), ends, color=figure_color(kind), linewidth=0.7)
    ax.axhline(1.0, color=figure_color("text"), linewidth=1.0)
    ax.grid(axis="x", visible=False)
    return _finish(ax, **{"xlabel": "index of the entry", "ylabel": _VECTORS[kind], "xlim": (-1, values.size), **axes})


def plot_intervals(
    intervals: Series, *, labels: Mapping[str, str] | None = None, ax: Axes | None = None, **axes: Any
) -> Axes:
    """Draw differences, shape (3,): mean, low, high, from the top down, and a line at 0; intervals without 0 are thick.

    Examples
    --------
    >>> plot_intervals({"full": (0.02, 0.01, 0.05)}).texts[0].get_text()
    '+0.020 (+0.010 to +0.050)'
    """
    ax = axes_for(ax, FIGURE_WIDTH, 0.9 + 0.38 * len(intervals))
    ax.axvline(0.0, color=figure_color("text"), linewidth=1.2)
    looks = [_look(name, row, labels=labels) for row, name in enumerate(intervals)]
    for row, (mean, low, high) in enumerate(intervals.values()):
        width = 4.0 if low > 0 or high < 0 else 1.5
        ax.plot([low, high], [row, row], color=looks[row]["color"], linewidth=width, solid_capstyle="butt")
        ax.plot([mean], [row], **looks[row] | {"linestyle": "none"}, markersize=8)
        text = f"{mean:+.3f} ({low:+.3f} to {high:+.3f})".replace("-", "\N{MINUS SIGN}")
        ax.text(1.01, row, text, transform=ax.get_yaxis_transform(), va="center")
    ax.set_yticks(range(len(looks)), [look["label"] for look in looks])
    ax.grid(axis="y", visible=False)
    return _finish(ax, **{"legend": None, "ylim": (len(looks) - 0.5, -0.5), **axes})


def _look(name: str, place: int, roles: Sequence[str] = _SERIES, labels: Mapping[str, str] | None = None) -> dict:
    """Return color, line, mark and label of a series: a method's own, or those of its place; a vector has its color."""
    label, filled = (_VECTORS | (labels or {})).get(name, name), True
    role, line, marker = roles[place % len(roles)], LINES[place % len(LINES)], MARKERS[place % len(MARKERS)]
    if name in METHOD_STYLES:
        role, line, marker, filled = METHOD_STYLES[name]
    color = figure_color(name if name in _VECTORS else role)
    face = color if filled else "none"  # nothing, so that both themes show through
    return {"label": label, "color": color, "linestyle": line, "marker": marker, "markerfacecolor": face}


def _draw_references(ax: Axes, hlines: Mapping[float, str], vlines: Mapping[float, str]) -> None:
    """Draw thin lines across the axes, with a word at the right or at the top."""
    thin = {"color": figure_color("text"), "linewidth": 1.0, "alpha": 0.8, "zorder": 1}
    for y, text in hlines.items():
        ax.axhline(y, **thin)
        ax.annotate(text, (1, y), (-2, 3), ax.get_yaxis_transform(), "offset points", ha="right")
    for x, text in vlines.items():
        ax.axvline(x, **thin)
        ax.annotate(text, (x, 1), (4, -2), ax.get_xaxis_transform(), "offset points", va="top")


def _finish(ax: Axes, legend: str | None = "best", **axes: Any) -> Axes:
    """Set what the chapter asks for, with just the ticks that it gives, and name two or more series."""
    ax.set(**axes)
    for axis, name in ((ax.xaxis, "xtick"), (ax.yaxis, "ytick")):
        if (ticks := axes.get(f"{name}s")) is not None:
            axis.set_ticks(ticks, axes.get(f"{name}labels", [f"{tick:g}" for tick in ticks]))
            axis.minorticks_off()
    handles, names = ax.get_legend_handles_labels()
    if legend and len(names) > 1:
        owner = ax.figure if legend.startswith("outside") else ax
        owner.legend(handles, names, loc=legend, ncols=3 if owner is ax.figure and "center" in legend else 1)
    return ax
