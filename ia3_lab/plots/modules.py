"""Figures of chapter 4: gradients at a rescaled unit, training error, recovered vectors, paths of an optimizer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np

from ia3_lab.style import LINES, MARKERS, figure_color

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike, NDArray

_ROLES = {"l_k": "k", "l_v": "v", "l_ff": "ff"}
_SERIES = ("ia3", "lora", "k", "v", "ff", "base")


def _axes(ax: Axes | None) -> Axes:
    return plt.subplots()[1] if ax is None else ax


def _numbers(value: ArrayLike, name: str, size: int | None = None) -> NDArray[np.float64]:
    """Return one-dimensional, finite data, or say what came instead."""
    array = np.asarray(value, dtype=float)
    if array.ndim != 1 or not array.size or size not in (None, array.size):
        raise ValueError(f"{name} must have shape ({size or 'n'},), got {array.shape}; give one number for each point")
    if not np.isfinite(array).all():
        raise ValueError(f"{name} must be finite, got {int((~np.isfinite(array)).sum())} NaN or infinite entries")
    return array


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
    ax, x = _axes(ax), _numbers(gains, "gains")
    series = (
        (gradient_of_gain, "gradient of the entry itself", "ff", 0),
        (gradient_upstream, "gradient that passes upstream", "base", 1),
    )
    for values, label, role, i in series:
        y = _numbers(values, label, x.size)
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
    ax, y = _axes(ax), _numbers(losses, "losses")
    if (y <= 0).any():
        raise ValueError(f"losses must be positive on a logarithmic axis, the smallest is {y.min():g}; clip it first")
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
    if set(wanted) != set(learned):
        raise ValueError(f"expected the same vectors twice, got {sorted(wanted)} and {sorted(learned)}")
    ax = plt.subplots(figsize=(4.2, 4.2))[1] if ax is None else ax
    everything = []
    for i, name in enumerate(wanted):
        x = _numbers(wanted[name], f"wanted[{name!r}]")
        y = _numbers(learned[name], f"learned[{name!r}]", x.size)
        role = _ROLES.get(name.rpartition(".")[2], "base")
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
    if not paths:
        raise ValueError("expected at least one path, got none; give a mapping of label to values")
    ax = _axes(ax)
    for level in np.unique([1.0, *np.asarray(goals, dtype=float).ravel()]):
        ax.axhline(level, color=figure_color("text"), linewidth=1.0, alpha=0.7 if level == 1.0 else 0.4, zorder=1)
    for i, (label, values) in enumerate(paths.items()):
        y = _numbers(values, f"paths[{label!r}]")
        ax.plot(np.arange(y.size), y, LINES[i % len(LINES)], color=figure_color(_SERIES[i % len(_SERIES)]), label=label)
    ax.set(xlabel="step", ylabel=ylabel)
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.18), ncols=2)
    return ax
