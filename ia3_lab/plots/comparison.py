"""Figures of chapter 7: few-shot curves, paired differences, accuracy against parameters, learning rates."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.ticker import NullFormatter, NullLocator

from ia3_lab.plots._methods import (
    accuracy_range,
    check_accuracies,
    check_chance,
    check_labels,
    draw_chance,
    draw_intervals,
    known_methods,
    legend_below,
    method_label,
    method_marker,
    moved_by,
)
from ia3_lab.plots._series import axes_for, named, number, optional, positive
from ia3_lab.style import FIGURE_WIDTH, METHOD_STYLES, figure_color, format_count

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike

#: How far marks at one place stand from each other on the page.
_POINTS_APART = 4.5


def plot_few_shot_curves(
    ks: ArrayLike,
    curves: Mapping[str, ArrayLike],
    *,
    labels: Mapping[str, str] | None = None,
    chance: float | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw the mean accuracy of each method against the number of training examples, with intervals.

    Parameters
    ----------
    ks : array_like, shape (n,)
        Numbers of training examples.
    curves : mapping of str to array_like, shape (3, n)
        Method -> means, low ends and high ends of the intervals. Marks at one k stand side by side: they are moved by
        a few points on the page, not in the data.
    labels : mapping of str to str, optional
        Method -> its name in the legend; the method's key where none is given.
    chance : float, optional
        The accuracy of guessing, drawn as a dotted line.
    ax : Axes, optional
        A new figure when None.

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        If a method is unknown, an array has the wrong shape, or an interval does not hold its mean.

    Examples
    --------
    >>> ax = plot_few_shot_curves([8, 16], {"ia3": [[0.6, 0.7], [0.5, 0.6], [0.7, 0.8]]})
    >>> ax.get_xlabel()
    'k, training examples (logarithmic axis)'
    """
    x = positive(ks, "ks", "n")
    data, labels, chance = check_accuracies(curves, x.shape), check_labels(labels), check_chance(chance)
    ax = axes_for(ax, FIGURE_WIDTH, 0.62 * FIGURE_WIDTH)
    for i, (name, values) in enumerate(data.items()):
        side = _POINTS_APART * (i - (len(data) - 1) / 2)
        draw_intervals(ax, x, values, name, labels, line=METHOD_STYLES[name].line, transform=moved_by(ax, side))
    draw_chance(ax, chance)
    ax.set_xscale("log", base=2)
    margin = 1.4 if len(data) > 4 else 1.25
    ax.set(xlim=(x.min() / margin, x.max() * margin), xlabel="k, training examples (logarithmic axis)")
    ax.set_ylim(*accuracy_range(data, chance))
    ax.set_ylabel("test accuracy, mean and interval")
    ax.set_xticks(x, [f"{k:g}" for k in x])
    ax.xaxis.set_minor_locator(NullLocator())
    legend_below(ax)
    return ax


def plot_paired_differences(
    differences: Mapping[str, ArrayLike],
    *,
    reference: str,
    labels: Mapping[str, str] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw a forest of paired differences, one line for each method, and a vertical line at 0.

    Parameters
    ----------
    differences : mapping of str to array_like, shape (3,)
        Method -> mean difference, low end and high end of its interval; drawn from the top down. An interval that
        excludes 0 is drawn thick.
    reference : str
        The name of the method from which the others are subtracted, for the axis.
    labels : mapping of str to str, optional
        Method -> its name; the method's key where none is given.
    ax : Axes, optional
        A new figure when None.

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        If a method is unknown, an array has the wrong shape, or an interval does not hold its mean.

    Examples
    --------
    >>> plot_paired_differences({"full": [0.02, -0.01, 0.05]}, reference="IA3").get_xlabel()
    'test accuracy: IA3 minus the other method, same draws'
    """
    data, labels = check_accuracies(differences, (), least=-1.0), check_labels(labels)
    ax = axes_for(ax, FIGURE_WIDTH, 0.9 + 0.38 * len(data))
    ax.axvline(0, color=figure_color("text"), linewidth=1.2)
    for row, (name, (mean, low, high)) in enumerate(data.items()):
        color, excludes = figure_color(METHOD_STYLES[name].role), low > 0 or high < 0
        ax.plot([low, high], [row, row], "-", color=color, linewidth=4.0 if excludes else 1.5, solid_capstyle="butt")
        ax.plot([mean], [row], linestyle="none", **method_marker(name, 8))
        text = f"{mean:+.3f} ({low:+.3f} to {high:+.3f})".replace("-", "\u2212")
        ax.text(1.01, row, text, transform=ax.get_yaxis_transform(), va="center", fontsize=9)
    ax.set(yticks=range(len(data)), yticklabels=[method_label(name, labels) for name in data])
    ax.set(ylim=(len(data) - 0.5, -0.5), xlabel=f"test accuracy: {reference} minus the other method, same draws")
    ax.margins(x=0.06)
    ax.grid(axis="y", visible=False)
    return ax


def plot_accuracy_against_parameters(
    parameters: Mapping[str, int],
    accuracy: Mapping[str, ArrayLike],
    *,
    labels: Mapping[str, str] | None = None,
    chance: float | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw the mean accuracy of each method against the number of trained parameters, with intervals.

    Parameters
    ----------
    parameters : mapping of str to int
        Method -> parameters that are trained besides the head. 0 stands at the left, before a gap in the axis.
    accuracy : mapping of str to array_like, shape (3,)
        Method -> mean, low end and high end of its interval.
    labels : mapping of str to str, optional
        Method -> its name in the legend; the method's key where none is given.
    chance : float, optional
        The accuracy of guessing, drawn as a dotted line.
    ax : Axes, optional
        A new figure when None.

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        If the methods of both mappings differ, one is unknown, a number is negative or an interval does not hold its
        mean.

    Examples
    --------
    >>> ax = plot_accuracy_against_parameters({"head": 0, "ia3": 13824}, {"head": [0.6] * 3, "ia3": [0.9] * 3})
    >>> ax.get_xticklabels()[0].get_text()
    '0'
    """
    data, labels, chance = check_accuracies(accuracy, ()), check_labels(labels), check_chance(chance)
    counts = {name: number(count, f"parameters[{name!r}]") for name, count in named(parameters, "parameters").items()}
    if set(counts) != set(data) or any(count < 0 for count in counts.values()):
        raise ValueError(f"parameters must be at least 0 for each of {', '.join(data)}, got {dict(parameters)}.")
    some = [count for count in counts.values() if count] or [1]
    first, last = np.floor(np.log10(min(some))), np.ceil(np.log10(max(some)))
    nothing = 10.0 ** (first - 1)  # where 0 stands
    x = {name: count or nothing for name, count in counts.items()}
    ax = axes_for(ax, FIGURE_WIDTH, 0.58 * FIGURE_WIDTH)
    for name, values in data.items():
        near = [other for other in data if x[other] == x[name]]
        side = 2 * _POINTS_APART * (near.index(name) - (len(near) - 1) / 2)
        draw_intervals(ax, [x[name]], values[:, None], name, labels, line="none", transform=moved_by(ax, side))
    draw_chance(ax, chance)
    zero, powers = 0 in counts.values(), 10.0 ** np.arange(first, max(last, first + 1) + 1)
    ax.set(xscale="log", xlabel="trained parameters besides the head (logarithmic axis)")
    ax.set_xlim(nothing / 3 if zero else powers[0] / 1.5, powers[-1] * 1.5)
    ax.set_xticks([*([nothing] if zero else []), *powers], ["0"] * zero + [_power(power) for power in powers])
    if zero:
        ax.axvline(10.0 ** (first - 0.5), color=figure_color("grid"), linestyle=(0, (1, 3)))
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set(ylabel="test accuracy, mean and interval", ylim=accuracy_range(data, chance))
    legend_below(ax)
    return ax


def plot_learning_rate_sensitivity(
    rates: Mapping[str, ArrayLike],
    accuracy: Mapping[str, ArrayLike],
    *,
    best: Mapping[str, float],
    labels: Mapping[str, str] | None = None,
    spread: str = "spread over draws",
    ax: Axes | None = None,
) -> Axes:
    """Draw validation accuracy against learning rate for each method, its spread, and a ring at the best rate.

    Parameters
    ----------
    rates : mapping of str to array_like, shape (n,)
        Method -> the learning rates of its grid.
    accuracy : mapping of str to array_like, shape (3, n)
        Method -> means, low ends and high ends of the spread.
    best : mapping of str to float
        Method -> the rate that did best, one of its grid.
    labels : mapping of str to str, optional
        Method -> its name in the legend; the method's key where none is given.
    spread : str
        What the bars are, for the axis.
    ax : Axes, optional
        A new figure when None.

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        If the methods of the mappings differ, one is unknown, or a best rate is not in the grid.

    Examples
    --------
    >>> values = [[0.6, 0.9, 0.7], [0.5, 0.8, 0.6], [0.7, 1.0, 0.8]]
    >>> ax = plot_learning_rate_sensitivity({"ia3": [0.01, 0.02, 0.04]}, {"ia3": values}, best={"ia3": 0.02})
    >>> ax.get_xscale()
    'log'
    """
    if not set(named(rates, "rates")) == set(known_methods(accuracy)) == set(optional(best, "best")):
        came = f"{[*rates]}, {[*accuracy]} and {[*(best or {})]}"
        raise ValueError(f"rates, accuracy and best must name the same methods, got {came}; match them.")
    labels, grids = check_labels(labels), {name: positive(rates[name], f"rates[{name!r}]", "n") for name in accuracy}
    data = {name: check_accuracies({name: accuracy[name]}, grid.shape)[name] for name, grid in grids.items()}
    rings = {
        name: np.isclose(grid, number(best[name], f"best[{name!r}]"), rtol=1e-6, atol=0) for name, grid in grids.items()
    }
    for name, found in rings.items():
        if not found.any():
            came = f"its grid {grids[name].tolist()}, got {best[name]}; choose one of them."
            raise ValueError(f"the best rate of {name!r} must be in {came}")
    ax = axes_for(ax, FIGURE_WIDTH, 0.58 * FIGURE_WIDTH)
    every = np.concatenate(list(grids.values()))
    ring = {"marker": "o", "markersize": 17, "markerfacecolor": "none", "linestyle": "none"}
    for name, values in data.items():
        grid, found = grids[name], rings[name]
        draw_intervals(ax, grid, values, name, labels, line=METHOD_STYLES[name].line, transform=ax.transData)
        color = figure_color(METHOD_STYLES[name].role)
        ax.plot(grid[found], values[0][found], color=color, markeredgewidth=1.8, **ring)
    ax.plot([], [], color=figure_color("text"), label="best", **(ring | {"markersize": 12}))
    ax.set(xscale="log", xlabel="learning rate (logarithmic axis)", ylabel=f"validation accuracy, mean and\n{spread}")
    ax.set(xlim=(every.min() / 1.6, every.max() * 1.6))
    ax.set_ylim(*accuracy_range(data, None))
    ax.xaxis.set_minor_formatter(NullFormatter())
    legend_below(ax)
    return ax


def _power(value: float) -> str:
    """Return a power of ten in digits up to 100,000, in millions above."""
    return format_count(int(value)) if value < 1e6 else f"{value / 1e6:g} M"
