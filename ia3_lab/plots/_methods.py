"""How methods are drawn in chapter 7's figures: checks of their data, marks, intervals, legend."""

from __future__ import annotations

import reprlib
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.transforms import ScaledTranslation

from ia3_lab.plots._series import between, floats, optional
from ia3_lab.style import METHOD_STYLES, figure_color

if TYPE_CHECKING:
    from typing import Any

    from matplotlib.axes import Axes
    from matplotlib.transforms import Transform
    from numpy.typing import ArrayLike, NDArray

#: shape in `METHOD_STYLES` -> matplotlib's marker
_MARKERS = {
    "circle": "o",
    "square": "s",
    "triangle": "^",
    "down": "v",
    "diamond": "D",
    "plus": "P",
    "cross": "X",
}


def known_methods(series: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the mapping, or say which of its methods has no style."""
    if not isinstance(series, Mapping):
        came = reprlib.repr(series)
        raise ValueError(f"expected {{method: values}}, got {came}; give some of {', '.join(METHOD_STYLES)}.")
    if unknown := [name for name in series if name not in METHOD_STYLES]:
        raise ValueError(f"unknown method {unknown[0]!r}; expected some of {', '.join(METHOD_STYLES)}.")
    if not series:
        raise ValueError(f"expected at least one method, got none; give some of {', '.join(METHOD_STYLES)}.")
    return series


def check_intervals(name: str, values: ArrayLike, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Return means, low ends and high ends in three rows, or say what came instead."""
    data = floats(values, name)
    if data.shape != (3, *shape):
        raise ValueError(f"{name} must have shape {(3, *shape)} (mean, low, high), got {data.shape}; stack them so.")
    mean, low, high = data
    if not (np.isfinite(data).all() and np.all((low <= mean + 1e-9) & (mean <= high + 1e-9))):
        raise ValueError(f"{name} must have low <= mean <= high in its rows mean, low, high, got {data.tolist()}.")
    return data


def check_accuracies(
    series: Mapping[str, ArrayLike], shape: tuple[int, ...], *, least: float = 0.0
) -> dict[str, NDArray[np.float64]]:
    """Return intervals by method, or say which mean is no share; intervals may reach beyond."""
    data = {name: check_intervals(name, values, shape) for name, values in known_methods(series).items()}
    for name, (mean, _, _) in data.items():
        between(least, 1.0, mean, f"means of {name}", *shape)
    return data


def check_labels(labels: Mapping[str, str] | None) -> Mapping[str, str]:
    """Return the names that methods were given, none if there are none."""
    return {name: str(label or name) for name, label in optional(labels, "labels").items()}


def check_chance(chance: float | None) -> float | None:
    """Return the accuracy of guessing, if there is one."""
    return None if chance is None else float(between(0.0, 1.0, chance, "chance"))


def method_label(name: str, labels: Mapping[str, str]) -> str:
    """Return the name that a method was given, or its key."""
    return labels.get(name, name)


def method_marker(name: str, size: float) -> dict[str, Any]:
    """Return the marker of a method; a hollow one is filled with nothing, so that both themes show through."""
    style = METHOD_STYLES[name]
    color = figure_color(style.role)
    fill = {"markerfacecolor": color if style.filled else "none", "markeredgecolor": color}
    return {"marker": _MARKERS[style.shape], "markersize": size, "markeredgewidth": 1.5, "color": color, **fill}


def moved_by(ax: Axes, points: float) -> Transform:
    """Return the data's transform, moved to the right by some points on the page."""
    return ax.transData + ScaledTranslation(points / 72, 0, ax.figure.dpi_scale_trans)


def draw_intervals(
    ax: Axes,
    x: ArrayLike,
    values: NDArray[np.float64],
    name: str,
    labels: Mapping[str, str],
    *,
    line: str,
    transform: Transform,
) -> None:
    """Draw means with their intervals in the style of a method."""
    mean, low, high = values
    bars = np.maximum(0.0, [mean - low, high - mean])
    style = {"linestyle": line, "linewidth": 1.6, "elinewidth": 1.3, "capsize": 2.0, "transform": transform}
    ax.errorbar(x, mean, bars, label=method_label(name, labels), **style, **method_marker(name, 6))


def draw_chance(ax: Axes, chance: float | None) -> None:
    """Draw the accuracy of guessing as a dotted line with its name, where there is one."""
    if chance is None:
        return
    ax.axhline(chance, color=figure_color("muted"), linestyle=(0, (1, 2)), linewidth=1.3)
    ax.annotate("guessing", (1, chance), (-2, 3), ax.get_yaxis_transform(), "offset points", ha="right", fontsize=9)


def accuracy_range(data: Mapping[str, NDArray[np.float64]], chance: float | None) -> tuple[float, float]:
    """Return the ends of an axis of accuracies: all intervals in sight, never below 0, 1 with room for its mark."""
    values = np.concatenate([values.ravel() for values in data.values()])
    low = min(values.min(), *([] if chance is None else [chance]), values.max() - 0.05)
    return max(0.0, np.floor(20 * (low - 0.02)) / 20), min(1.02, np.ceil(20 * (values.max() + 0.01)) / 20)


def legend_below(ax: Axes) -> None:
    """Put the legend under the axis label, in rows of three."""
    entries = sorted(zip(*ax.get_legend_handles_labels(), strict=True), key=lambda entry: entry[1] == "best")
    handles, names = zip(*entries, strict=True)
    ax.legend(handles, names, loc="upper center", bbox_to_anchor=(0.5, -0.17), ncols=3, fontsize=9.5)
