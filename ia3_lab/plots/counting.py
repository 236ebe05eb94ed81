"""Figures of chapter 3: adapters beside their base model, LoRA's rank against IA3, sizes on disk."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from ia3_lab.plots._series import axes_for, look, named, positive, whole, words
from ia3_lab.plots._series import counts as whole_numbers
from ia3_lab.style import FIGURE_WIDTH, MARKERS, figure_color, format_bytes, format_count

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike, NDArray

#: Narrower than the text column, so that the numbers stay readable on a phone.
_WIDTH = 0.78 * FIGURE_WIDTH
_HATCHES = {"ia3": "", "lora": "//", "base": ".."}
_NAMES = {"ia3": "IA3", "lora": "LoRA", "base": "base model"}


def plot_model_sizes(
    models: Sequence[str], counts: Mapping[str, ArrayLike], *, rank: int | None = None, ax: Axes | None = None
) -> Axes:
    """Draw a group of horizontal bars for each model on a logarithmic axis, each bar with its number.

    Parameters
    ----------
    models : sequence of str
        Names, drawn from the top down.
    counts : mapping of str to array_like, shape (num_models,)
        Parameters by series, from ``"ia3"``, ``"lora"``, ``"base"``.
    rank : int, optional
        LoRA's rank, for the legend.
    ax : Axes, optional
        A new figure when None.

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        If a series is unknown, has not one number for each model, or holds a number that is not positive.

    Examples
    --------
    >>> plot_model_sizes(["gpt2"], {"ia3": [55296]}).get_xscale()
    'log'
    """
    models = words(models, "models")
    if unknown := [series for series in named(counts, "counts") if series not in _NAMES]:
        raise ValueError(f"unknown series {unknown[0]!r}; expected some of {', '.join(_NAMES)}.")
    data = {series: _counted(values, series, len(models)) for series, values in counts.items()}
    rank = None if rank is None else whole(rank, "rank", 1)
    height = 0.8 / len(data)
    ax = axes_for(ax, _WIDTH, 0.9 + 0.27 * len(models) * len(data))
    middle = np.arange(len(models))
    for i, (series, values) in enumerate(data.items()):
        name = f"{_NAMES[series]}, r = {rank}" if series == "lora" and rank is not None else _NAMES[series]
        color = figure_color(series)
        style = {"facecolor": color if series == "ia3" else "none", "edgecolor": color, "hatch": _HATCHES[series]}
        bars = ax.barh(middle + (i - (len(data) - 1) / 2) * height, values, 0.86 * height, label=name, **style)
        ax.bar_label(bars, [format_count(int(value)) for value in values], padding=4, fontsize=9)
    ax.set(xscale="log", xlabel="parameters (logarithmic axis)", yticks=middle, yticklabels=models)
    low, high = min(values.min() for values in data.values()), max(values.max() for values in data.values())
    ax.set_xlim(10 ** np.floor(np.log10(low)), high * 100)
    ax.xaxis.set_major_locator(LogLocator(numticks=5))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _short(value)))
    ax.invert_yaxis()
    ax.grid(axis="y", visible=False)
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.06 - 0.5 / len(models)), ncols=len(data))
    return ax


def plot_rank_growth(ranks: ArrayLike, lora: Mapping[str, ArrayLike], ia3: float, *, ax: Axes | None = None) -> Axes:
    """Draw LoRA's parameters against its rank on two logarithmic axes, and IA3's as a level line.

    Parameters
    ----------
    ranks : array_like, shape (n,)
        LoRA's ranks.
    lora : mapping of str to array_like, shape (n,)
        Parameters by the name of the adapted matrices.
    ia3 : float
        IA3's parameters.
    ax : Axes, optional
        A new figure when None.

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        If there is no series, one has not one positive number for each rank, or IA3's number is not positive.

    Examples
    --------
    >>> plot_rank_growth([1, 2], {"W_q, W_v": [5, 10]}, 7).get_xlabel()
    'rank of LoRA (logarithmic axis)'
    """
    x, level = positive(ranks, "ranks", "n"), float(_counted(ia3, "ia3"))
    lines = {name: positive(values, f"lora[{name!r}]", x.size) for name, values in named(lora, "lora").items()}
    ax = axes_for(ax, _WIDTH, 0.78 * _WIDTH)
    for i, (name, y) in enumerate(lines.items()):
        ax.plot(x, y, markersize=6, label=f"LoRA on {name}", **look(i, roles=("lora", "v", "ff")))
    ax.axhline(level, color=figure_color("ia3"), linewidth=3, label=f"IA3: {format_count(int(level))}")
    ax.set(xscale="log", yscale="log", xlabel="rank of LoRA (logarithmic axis)", ylabel="parameters (logarithmic axis)")
    ax.set_xticks(x, [f"{rank:g}" for rank in x])
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: _short(value)))
    ax.set_ylim(top=8 * max(y.max() for y in lines.values()))
    ax.legend(loc="upper left")
    return ax


def plot_storage(names: Sequence[str], sizes: ArrayLike, *, roles: Sequence[str], ax: Axes | None = None) -> Axes:
    """Draw sizes on disk as dots on a logarithmic axis of bytes, each with its size in words.

    Parameters
    ----------
    names : sequence of str
        What is stored, drawn from the top down.
    sizes : array_like, shape (n,)
        Bytes.
    roles : sequence of str
        ``"ia3"``, ``"lora"`` or ``"base"`` for each, which sets color and marker.
    ax : Axes, optional
        A new figure when None.

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        If there is not one positive size and one known role for each name.

    Examples
    --------
    >>> plot_storage(["IA3"], [2_457_600], roles=["ia3"]).texts[0].get_text()
    '2.46 MB'
    """
    names = words(names, "names")
    values, roles = positive(sizes, "sizes", len(names)), words(roles, "roles", len(names))
    if unknown := [role for role in roles if role not in _NAMES]:
        raise ValueError(f"unknown role {unknown[0]!r}; expected one of {', '.join(_NAMES)}.")
    ax = axes_for(ax, _WIDTH, 0.9 + 0.42 * len(names))
    start = 10 ** np.floor(np.log10(values.min()) - 0.3)
    for i, (value, role) in enumerate(zip(values, roles, strict=True)):
        marker = MARKERS[list(_NAMES).index(role)]
        ax.plot([start, value], [i, i], "-", color=figure_color(role), linewidth=2)
        ax.plot([value], [i], marker, color=figure_color(role), markersize=9)
        ax.annotate(format_bytes(value), (value, i), xytext=(10, 0), textcoords="offset points", va="center")
    ax.set(xscale="log", xlabel="size on disk (logarithmic axis)", yticks=range(len(names)), yticklabels=names)
    ax.set_xlim(start, values.max() * 20)
    ax.set_ylim(len(names) - 0.5, -0.5)
    ax.grid(axis="y", visible=False)
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _short(value, ("TB", "GB", "MB", "kB"))))
    return ax


def _counted(value: ArrayLike, name: str, *shape: int) -> NDArray[np.float64]:
    """Return numbers of parameters for a logarithmic axis."""
    return whole_numbers(positive(value, name, *shape), name, *shape)


def _short(value: float, units: tuple[str, str, str, str] = ("T", "B", "M", "k")) -> str:
    """Write a tick label: 1 million as ``1 M``."""
    for unit, size in zip(units, (1e12, 1e9, 1e6, 1e3), strict=True):
        if value >= size:
            return f"{value / size:g} {unit}"
    return f"{value:g}"
