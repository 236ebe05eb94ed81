"""Figures of chapter 7: what each method misses by width, and what an optimizer does to rescaling vectors."""

from __future__ import annotations

from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.ticker import NullLocator

from ia3_lab.style import LINES, MARKERS, figure_color

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike, NDArray

_SERIES = ("ia3", "lora", "k", "v", "ff", "base")


def _axes(ax: Axes | None) -> Axes:
    return plt.subplots()[1] if ax is None else ax


def _look(i: int, role: str = "") -> dict[str, object]:
    """Return color, line and marker of series i, so that none is told apart by color alone."""
    color = figure_color(role or _SERIES[i % len(_SERIES)])
    return {"color": color, "linestyle": LINES[i % len(LINES)], "marker": MARKERS[i % len(MARKERS)]}


def _numbers(value: ArrayLike, name: str, shape: tuple[int | None, ...]) -> NDArray[np.float64]:
    """Return finite data of a shape, where None stands for any length of at least 1, or say what came instead."""
    array = np.asarray(value, dtype=float)
    fits = array.ndim == len(shape) and all(n in (None, m) for n, m in zip(shape, array.shape, strict=True))
    if not fits or not array.size:
        wanted = ", ".join("n" if n is None else str(n) for n in shape) + ("," if len(shape) == 1 else "")
        raise ValueError(f"{name} must have shape ({wanted}), got {array.shape}")
    if not np.isfinite(array).all():
        raise ValueError(f"{name} must be finite, got {int((~np.isfinite(array)).sum())} NaN or infinite entries")
    return array


def _positive(array: NDArray[np.float64], name: str) -> NDArray[np.float64]:
    if (array <= 0).any():
        raise ValueError(f"{name} must be positive on a logarithmic axis, the smallest is {array.min():g}; clip it")
    return array


def _series(mapping: Mapping[str, ArrayLike], name: str) -> Mapping[str, ArrayLike]:
    if not mapping:
        raise ValueError(f"expected at least one entry in {name}, got none; give a mapping of label to values")
    return mapping


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
        What a closed form predicts for some of the methods: a thin dotted line each.
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
    x = _positive(_numbers(widths, "widths", (None,)), "widths")
    if set(spread) != set(_series(missed, "missed")) or set(formulas or {}) - set(missed):
        raise ValueError(f"spread and formulas must name the methods of missed, {sorted(missed)}, got {sorted(spread)}")
    ax = _axes(ax)
    for i, (name, means) in enumerate(missed.items()):
        y, bars = (_numbers(each, f"{name!r}", x.shape) for each in (means, spread[name]))
        look = _look(i, "lora" if i else "ia3")
        fill = look["color"] if i < 2 else "none"
        ax.errorbar(x, y, yerr=bars, capsize=3, markersize=6, markerfacecolor=fill, label=name, **look)
    for name, values in (formulas or {}).items():
        ax.plot(x, _numbers(values, f"formulas[{name!r}]", x.shape), ":", color=figure_color("text"), zorder=5)
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
    ax = _axes(ax)
    for level in (0.0, 1.0):
        ax.axhline(level, color=figure_color("text"), linewidth=1.0, alpha=0.6, zorder=1)
    if switch is not None:
        ax.axvline(switch, color=figure_color("text"), linewidth=1.0, linestyle=":")
    for i, (name, entries) in enumerate(_series(groups, "groups").items()):
        values = _numbers(entries, f"groups[{name!r}]", (None, None))
        steps, look = np.arange(len(values)), _look(i, _SERIES[2 + i % 4])
        ax.fill_between(steps, values.min(axis=1), values.max(axis=1), color=look["color"], alpha=0.2, linewidth=0)
        ax.plot(steps, values.mean(axis=1), markevery=max(1, len(values) // 8), markersize=6, label=name, **look)
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
    ax, x = _axes(ax), _positive(_numbers(gradients, "gradients", (None,)), "gradients")
    for i, (name, values) in enumerate(_series(moves, "moves").items()):
        y = _positive(_numbers(values, f"moves[{name!r}]", x.shape), f"moves[{name!r}]")
        ax.plot(x, y, **{**_look(i), "linestyle": "none"}, markersize=6, alpha=0.85, label=name)
    if bound is not None:
        ax.axhline(bound, color=figure_color("text"), linewidth=1.2, linestyle=LINES[1])
        ax.annotate("sum of the learning rates", (x.min(), bound), (0, 4), textcoords="offset points")
    ax.set(xlabel="size of the first gradient of the entry", ylabel="|l - 1| after the run", xscale="log", yscale="log")
    ax.legend(loc="lower right")
    return ax


def plot_losses_by_step(
    losses: Mapping[str, ArrayLike],
    *,
    limits: tuple[float, float] | None = None,
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
    ax = _axes(ax)
    for i, (name, values) in enumerate(_series(losses, "losses").items()):
        y = _positive(_numbers(values, f"losses[{name!r}]", (None,)), f"losses[{name!r}]")
        ax.plot(np.arange(y.size), y, markevery=max(1, y.size // 8), markersize=6, label=name, **_look(i))
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
    x = _numbers(decays, "decays", (None,))
    if set(spread) != set(_series(errors, "errors")):
        raise ValueError(f"spread must name the entries of errors, {sorted(errors)}, got {sorted(spread)}")
    ax = _axes(ax)
    ax.axhline(1.0, color=figure_color("text"), linewidth=1.0, alpha=0.7, zorder=1)
    for i, (name, means) in enumerate(errors.items()):
        y, bars = (_numbers(each, f"{name!r}", x.shape) for each in (means, spread[name]))
        place = np.arange(x.size) + 0.08 * (2 * i - len(errors) + 1)  # side by side, so that bars do not hide bars
        ax.errorbar(place, y, yerr=bars, capsize=3, markersize=6, label=name, **_look(i, _SERIES[2 + i % 4]))
    ax.set(xlabel="weight decay", ylabel="error (1: not trained)", yscale="log", title=title)
    ax.set_xticks(range(x.size), [f"{value:g}" for value in x])
    return ax
