"""Figures of chapter 4: gradients at a rescaled unit, training error, recovered vectors, paths of an optimizer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ia3_lab.plots._series import SERIES, axes_for, floats, named, numbers, positive
from ia3_lab.style import LINES, MARKERS, figure_color

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike

_ROLES = {"l_k": "k", "l_v": "v", "l_ff": "ff"}


def plot_unit_gradients(
    gains: ArrayLike, gradient_of_gain: ArrayLike, gradient_upstream: ArrayLike, *, ax: Axes | None = None
) -> Axes:
    """Draw the two gradients at one rescaled unit against its gain: what reaches l, and what passes through the unit.

    Parameters
    ----------
    gains : array_like, shape (n,)
        Values of the unit's entry of l.
    gradient_of_gain, gradient_upstream : array_like, shape (n,)
        Sizes of the gradient of the entry itself and of what lies before the unit, in one scale of your choice.
    ax : Axes, optional
        A new figure when None.

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        If the three arrays differ in length or hold NaN or infinity.

    Examples
    --------
    >>> plot_unit_gradients([0.0, 1.0], [0.3, 0.3], [0.0, 0.2]).get_xlabel()
    'gain of the unit (one entry of l_ff)'
    """
    x = numbers(gains, "gains", "n")
    own = numbers(gradient_of_gain, "gradient_of_gain", x.size)
    upstream = numbers(gradient_upstream, "gradient_upstream", x.size)
    ax = axes_for(ax)
    series = ((own, "gradient of the entry itself", "ff"), (upstream, "gradient that passes upstream", "base"))
    for i, (y, label, role) in enumerate(series):
        ax.plot(x, y, LINES[i], color=figure_color(role), marker=MARKERS[i], markersize=5, label=label)
    ax.axvline(0.0, color=figure_color("text"), linewidth=1.0, alpha=0.7)
    ax.set(xlabel="gain of the unit (one entry of l_ff)", ylabel="size of the gradient")
    ax.legend()
    return ax


def plot_training_error(losses: ArrayLike, *, ax: Axes | None = None) -> Axes:
    """Draw a training loss against the step, on a logarithmic axis.

    Parameters
    ----------
    losses : array_like, shape (num_steps,)
        Positive numbers; the first is the loss before any step.
    ax : Axes, optional
        A new figure when None.

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        If a loss is not positive and finite.

    Examples
    --------
    >>> plot_training_error([1.0, 0.1]).get_yscale()
    'log'
    """
    y = positive(losses, "losses", "num_steps")
    ax = axes_for(ax)
    ax.plot(np.arange(y.size), y, color=figure_color("ia3"))
    ax.set(xlabel="step", ylabel="mean squared error", yscale="log")
    return ax


def plot_recovered_vectors(
    wanted: Mapping[str, ArrayLike], learned: Mapping[str, ArrayLike], *, ax: Axes | None = None
) -> Axes:
    """Draw learned entries against the entries that made the task; on the diagonal they are equal.

    Parameters
    ----------
    wanted, learned : mapping of str to array_like, shape (d,)
        The vectors by name. A name may be dotted; its last part, such as ``l_k``, sets color and marker.
    ax : Axes, optional
        A new figure when None.

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        If names or lengths differ.

    Examples
    --------
    >>> plot_recovered_vectors({"l_k": [0.5, 1.2]}, {"l_k": [0.5, 1.1]}).get_ylabel()
    'learned entry'
    """
    if set(named(wanted, "wanted")) != set(named(learned, "learned")):
        raise ValueError(f"expected the same vectors twice, got {[*wanted]} and {[*learned]}; give both the same names")
    goals = {name: numbers(values, f"wanted[{name!r}]", "d") for name, values in wanted.items()}
    found = {name: numbers(learned[name], f"learned[{name!r}]", goal.size) for name, goal in goals.items()}
    ax = axes_for(ax, 4.2, 4.2)
    everything = []
    for i, (name, x) in enumerate(goals.items()):
        y = found[name]
        role = _ROLES.get(str(name).rpartition(".")[2], "base")
        ax.plot(x, y, MARKERS[i % len(MARKERS)], color=figure_color(role), markersize=5, alpha=0.8, label=name)
        everything += [*x, *y]
    ends = [min(everything), max(everything)]
    ax.plot(ends, ends, ":", color=figure_color("text"), linewidth=1.0, zorder=1)
    ax.set(xlabel="entry that made the task", ylabel="learned entry")
    ax.legend(loc="lower right")
    return ax


def plot_entry_paths(
    paths: Mapping[str, ArrayLike], *, goals: ArrayLike = (), ax: Axes | None = None, ylabel: str = "entry of l"
) -> Axes:
    """Draw how an optimizer moves entries of a rescaling vector, step by step, with a line at 1, the identity.

    Parameters
    ----------
    paths : mapping of str to array_like, shape (num_steps,)
        A label for each path and its values. Line styles tell them apart, as well as colors.
    goals : array_like
        Values that the paths should reach, drawn as thin lines.
    ax : Axes, optional
        A new figure when None.
    ylabel : str
        Label of the vertical axis.

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        If there is no path, or one holds NaN or infinity.

    Examples
    --------
    >>> plot_entry_paths({"decayed": [1.0, 0.9]}).get_xlabel()
    'step'
    """
    lines = {label: numbers(y, f"paths[{label!r}]", "num_steps") for label, y in named(paths, "paths").items()}
    levels = floats(goals, "goals").ravel()
    levels = np.unique([1.0, *(numbers(levels, "goals", "n") if levels.size else ())])
    ax = axes_for(ax)
    for level in levels:
        ax.axhline(level, color=figure_color("text"), linewidth=1.0, alpha=0.7 if level == 1.0 else 0.4, zorder=1)
    for i, (label, y) in enumerate(lines.items()):
        ax.plot(np.arange(y.size), y, LINES[i % len(LINES)], color=figure_color(SERIES[i % len(SERIES)]), label=label)
    ax.set(xlabel="step", ylabel=ylabel)
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.18), ncols=2)
    return ax
