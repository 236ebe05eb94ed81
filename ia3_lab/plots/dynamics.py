"""Figures of chapter 7: what each method misses by width, and what an optimizer does to rescaling vectors."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.ticker import NullLocator

from ia3_lab.plots._series import (
    SERIES,
    axes_for,
    between,
    ends,
    look,
    named,
    number,
    numbers,
    optional,
    positive,
    whole,
)
from ia3_lab.style import LINES, figure_color

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike, NDArray


def plot_missed_by_width(
    widths: ArrayLike,
    missed: Mapping[str, ArrayLike],
    *,
    spread: Mapping[str, ArrayLike],
    formulas: Mapping[str, ArrayLike] | None = None,
    ax: Axes | None = None,
    title: str = "",
) -> Axes:
    """Draw the part of a wanted change that each method misses against the width of the weight.

    Parameters
    ----------
    widths : array_like, shape (n,)
        Numbers of coordinates, positive.
    missed : mapping of str to array_like, shape (n,)
        Means between 0 (reached) and 1 (nothing reached), by method; the first is drawn in IA3's color.
    spread : mapping of str to array_like, shape (n,)
        Standard deviations of the same methods, drawn as bars.
    formulas : mapping of str to array_like, shape (n,), optional
        What a closed form predicts for some of the methods: a dotted line each, on top.
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
        If lengths or names disagree, or there is nothing to draw.

    Examples
    --------
    >>> plot_missed_by_width([16, 32], {"IA3": [0.9, 1.0]}, spread={"IA3": [0.1, 0.1]}).get_xscale()
    'log'
    """
    x = positive(widths, "widths", "n")
    bars = _with_spread(missed, "missed", spread, partial(between, 0.0, 1.0), x.size)
    if extra := [name for name in optional(formulas, "formulas") if name not in bars]:
        raise ValueError(f"formulas must name the methods of missed, {[*missed]}, got {extra[0]!r}; leave it out")
    curves = [numbers(y, f"formulas[{name!r}]", x.size) for name, y in (formulas or {}).items()]
    ax = axes_for(ax)
    for i, (name, (y, deviations)) in enumerate(bars.items()):
        style = look(i, "lora" if i else "ia3")
        fill = style["color"] if i < 2 else "none"
        ax.errorbar(x, y, yerr=deviations, capsize=3, markersize=6, markerfacecolor=fill, label=name, **style)
    for i, y in enumerate(curves):
        label = {"label": "closed form"} if i == 0 else {}
        ax.plot(x, y, ":", color=figure_color("text"), linewidth=2.4, zorder=5, **label)
    ax.set(xlabel="width d", ylabel="missed part of the change", ylim=(-0.04, 1.06), title=title)
    ax.set_xscale("log", base=2)
    ax.set_xticks(x, [f"{value:g}" for value in x])
    ax.xaxis.set_minor_locator(NullLocator())
    return ax


def plot_gain_groups(
    groups: Mapping[str, ArrayLike], *, switch: int | None = None, ax: Axes | None = None, title: str = ""
) -> Axes:
    """Draw groups of entries of a rescaling vector step by step: the mean of each as a line, its range as a band.

    Parameters
    ----------
    groups : mapping of str to array_like, shape (num_steps, num_entries)
        The entries of each group at each step.
    switch : int, optional
        A step at which a vertical line stands, for example where the task changes.
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
        If there is no group or one is not two-dimensional and finite.

    Examples
    --------
    >>> plot_gain_groups({"noise": [[1.0, 1.0], [0.4, 0.6]]}).get_lines()[-1].get_ydata().tolist()
    [1.0, 0.5]
    """
    entries = {
        name: numbers(values, f"groups[{name!r}]", "num_steps", "num_entries")
        for name, values in named(groups, "groups").items()
    }
    place = None if switch is None else number(switch, "switch")
    ax = axes_for(ax)
    for level in (0.0, 1.0):
        ax.axhline(level, color=figure_color("text"), linewidth=1.0, alpha=0.6, zorder=1)
    if place is not None:
        ax.axvline(place, color=figure_color("text"), linewidth=1.0, linestyle=":")
    for i, (name, values) in enumerate(entries.items()):
        steps, style = np.arange(len(values)), look(i, roles=SERIES[2:])
        ax.fill_between(steps, values.min(axis=1), values.max(axis=1), color=style["color"], alpha=0.2, linewidth=0)
        ax.plot(steps, values.mean(axis=1), markevery=max(1, len(values) // 8), markersize=6, label=name, **style)
    ax.set(xlabel="step", ylabel="entry of l", title=title)
    ax.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return ax


def plot_moves_by_gradient(
    gradients: ArrayLike, moves: Mapping[str, ArrayLike], *, bound: float | None = None, ax: Axes | None = None
) -> Axes:
    """Draw how far each entry of a rescaling vector has moved from 1 against the size of its first gradient.

    Parameters
    ----------
    gradients : array_like, shape (d,)
        Sizes of the gradients at ones, positive.
    moves : mapping of str to array_like, shape (d,)
        Distances from 1, positive, by the name of the run.
    bound : float, optional
        A distance at which a horizontal line stands, for example the sum of the learning rates.
    ax : Axes, optional
        A new figure when None.

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        If lengths differ, there is nothing to draw, or a number is not positive.

    Examples
    --------
    >>> plot_moves_by_gradient([0.1, 1.0], {"Adam": [0.3, 0.3]}, bound=0.4).get_yscale()
    'log'
    """
    x = positive(gradients, "gradients", "d")
    runs = {name: positive(y, f"moves[{name!r}]", x.size) for name, y in named(moves, "moves").items()}
    level = None if bound is None else float(positive(bound, "bound"))
    ax = axes_for(ax)
    for i, (name, y) in enumerate(runs.items()):
        ax.plot(x, y, **look(i) | {"linestyle": "none"}, markersize=6, alpha=0.85, label=name)
    if level is not None:
        ax.axhline(level, color=figure_color("text"), linewidth=1.2, linestyle=LINES[1])
        ax.annotate("sum of the learning rates", (x.min(), level), (0, 4), textcoords="offset points")
    ax.set(xlabel="size of the first gradient of the entry", ylabel="|l - 1| after the run", xscale="log", yscale="log")
    ax.legend(loc="lower right")
    return ax


def plot_losses_by_step(
    losses: Mapping[str, ArrayLike],
    *,
    limits: tuple[float, float] | None = None,
    start: int = 0,
    ax: Axes | None = None,
    title: str = "",
) -> Axes:
    """Draw losses against the step on a logarithmic axis, a line for each run.

    Parameters
    ----------
    losses : mapping of str to array_like, shape (num_steps,)
        Positive numbers by the name of the run; the first is the loss before any step.
    limits : pair of float, optional
        Ends of the vertical axis, so that one exploding run does not flatten the others.
    start : int
        Which color, line and marker the first run has: for a panel that goes on where another one stops.
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
        If there is no run, or a loss is not positive and finite.

    Examples
    --------
    >>> plot_losses_by_step({"SGD": [1.0, 0.1]}).get_yscale()
    'log'
    """
    runs = {name: positive(y, f"losses[{name!r}]", "num_steps") for name, y in named(losses, "losses").items()}
    limits, start = ends(limits, "limits", log=True), whole(start, "start", 0)
    ax = axes_for(ax)
    for i, (name, y) in enumerate(runs.items(), start):
        ax.plot(np.arange(y.size), y, markevery=max(1, y.size // 8), markersize=6, label=name, **look(i))
    ax.set(xlabel="step", ylabel="loss on the task", yscale="log", title=title)
    if limits:
        ax.set_ylim(*limits)
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.22))
    return ax


def plot_error_by_decay(
    decays: ArrayLike,
    errors: Mapping[str, ArrayLike],
    *,
    spread: Mapping[str, ArrayLike],
    ax: Axes | None = None,
    title: str = "",
) -> Axes:
    """Draw the error on new data against the weight decay, a line for each place that the decay pulls to.

    Parameters
    ----------
    decays : array_like, shape (n,)
        Weight decays; they stand at equal distances, so that 0 has a place.
    errors : mapping of str to array_like, shape (n,)
        Mean errors relative to no training at all, where a line at 1 stands.
    spread : mapping of str to array_like, shape (n,)
        Standard deviations, drawn as bars.
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
        If lengths or names disagree, or there is nothing to draw.

    Examples
    --------
    >>> axes = plot_error_by_decay([0, 0.1], {"to 0": [0.2, 0.1]}, spread={"to 0": [0.0, 0.0]})
    >>> [label.get_text() for label in axes.get_xticklabels()]
    ['0', '0.1']
    """
    x = numbers(decays, "decays", "n")
    bars = _with_spread(errors, "errors", spread, positive, x.size)
    ax = axes_for(ax)
    ax.axhline(1.0, color=figure_color("text"), linewidth=1.0, alpha=0.7, zorder=1)
    for i, (name, (y, deviations)) in enumerate(bars.items()):
        place = np.arange(x.size) + 0.08 * (2 * i - len(errors) + 1)  # side by side, so that bars do not hide bars
        ax.errorbar(place, y, yerr=deviations, capsize=3, markersize=6, label=name, **look(i, roles=SERIES[2:]))
    ax.set(xlabel="weight decay", ylabel="error (1: not trained)", yscale="log", title=title)
    ax.set_xticks(range(x.size), [f"{value:g}" for value in x])
    return ax


def _with_spread(
    means: Mapping[str, ArrayLike],
    name: str,
    spread: Mapping[str, ArrayLike],
    check: Callable[..., NDArray[np.float64]],
    size: int,
) -> dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Return checked means with their standard deviations, by label."""
    if set(named(means, name)) != set(named(spread, "spread")):
        raise ValueError(f"spread must name what {name} names, {[*means]}, got {[*spread]}; match them")
    values = {label: check(y, f"{name}[{label!r}]", size) for label, y in means.items()}
    return {label: (y, between(0.0, np.inf, spread[label], f"spread[{label!r}]", size)) for label, y in values.items()}
