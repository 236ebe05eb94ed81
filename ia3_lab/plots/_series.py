"""What the figures share: checks of their data, the axes to draw on, and a look for each series.

Every check comes before the axes are made, so that refused data leaves no empty figure behind.
"""

from __future__ import annotations

import reprlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from ia3_lab.style import LINES, MARKERS, figure_color

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

#: Roles of the colors of series 0, 1, 2, ...
SERIES = ("ia3", "lora", "k", "v", "ff", "base")
#: Room for rounding at the ends of a range, such as a float32 probability just above 1.
_ROUNDING = 1e-6
#: More than all parameters of any model: a number with more digits than this does not fit into a figure.
_MOST = 1e15
#: Beyond this, the arithmetic of an axis overflows.
_LARGEST = 1e100


def axes_for(ax: Axes | None, width: float | None = None, height: float | None = None) -> Axes:
    """Return the axes that were given, or those of a new figure, of matplotlib's usual size if none is given."""
    if ax is None:
        return plt.subplots(figsize=None if width is None else (width, height))[1]
    if not isinstance(ax, Axes):
        raise TypeError(f"ax must be one Axes or None, got {type(ax).__name__}; pass one that plt.subplots() made")
    return ax


def look(i: int, role: str = "", *, roles: Sequence[str] = SERIES) -> dict[str, Any]:
    """Return color, line and marker of series i, so that none is told apart by color alone."""
    color = figure_color(role or roles[i % len(roles)])
    return {"color": color, "linestyle": LINES[i % len(LINES)], "marker": MARKERS[i % len(MARKERS)]}


def floats(value: ArrayLike, name: str) -> NDArray[np.float64]:
    """Return a copy as an array of floats, or say what came instead."""
    try:
        array = np.asarray(value)
        if array.dtype.kind not in "fiubO":
            raise TypeError(array.dtype)
        return array.astype(float)
    except (TypeError, ValueError, OverflowError):
        came = reprlib.repr(value)
        raise ValueError(f"{name} must be numbers, got {came}; give a number, a list or rows of equal length") from None


def numbers(value: ArrayLike, name: str, *shape: int | str) -> NDArray[np.float64]:
    """Return finite data of a shape, in which a word stands for any length of at least 1, or say what came instead."""
    array = floats(value, name)
    if not shape and array.ndim:
        raise ValueError(f"{name} must be one number, got an array of shape {array.shape}; pick one")
    fits = [isinstance(n, str) or n == m for n, m in zip(shape, array.shape, strict=False)]
    if array.ndim != len(shape) or not all(fits) or not array.size:
        wanted = ", ".join(map(str, shape)) + ("," if len(shape) == 1 else "")
        hint = "one number for each point" if len(shape) == 1 else "rows of equal length"
        raise ValueError(f"{name} must have shape ({wanted}), got {array.shape}; give {hint}")
    if not np.isfinite(array).all():
        bad = int((~np.isfinite(array)).sum())
        raise ValueError(f"{name} must be finite, got {bad} NaN or infinite entries; leave them out")
    if np.abs(array).max() > _LARGEST:
        raise ValueError(f"{name} must not exceed {_LARGEST:g} in size, got {np.abs(array).max():g}; check the unit")
    return array


def positive(value: ArrayLike, name: str, *shape: int | str) -> NDArray[np.float64]:
    """Return data for a logarithmic axis."""
    array = numbers(value, name, *shape)
    if (array <= 0).any():
        raise ValueError(
            f"{name} must be positive on a logarithmic axis, the smallest is {array.min():g}; clip it or leave it out"
        )
    return array


def between(low: float, high: float, value: ArrayLike, name: str, *shape: int | str) -> NDArray[np.float64]:
    """Return data from low to high, with room for rounding."""
    array = numbers(value, name, *shape)
    if array.min() < low - _ROUNDING or array.max() > high + _ROUNDING:
        wanted = f"lie between {low:g} and {high:g}" if np.isfinite(high) else f"be at least {low:g}"
        raise ValueError(f"{name} must {wanted}, got {array.min():g} to {array.max():g}; check the unit and the sign")
    return array


def number(value: float, name: str) -> float:
    """Return one finite number."""
    return float(numbers(value, name))


def counts(value: ArrayLike, name: str, *shape: int | str) -> NDArray[np.float64]:
    """Return whole numbers from 0 that are small enough to be written out."""
    array = between(0.0, _MOST, value, name, *shape)
    if (array != np.round(array)).any():
        raise ValueError(f"{name} must be whole numbers, got {array.tolist()}; count or round")
    return array


def ends(value: ArrayLike | None, name: str, *, log: bool = False) -> tuple[float, float] | None:
    """Return the ends of an axis, if there are any."""
    if value is None:
        return None
    low, high = (positive if log else numbers)(value, name, 2).tolist()
    if low >= high:
        raise ValueError(f"{name} must be a low end and a high end, got {low:g} and {high:g}; swap or widen them")
    return low, high


def whole(value: int, name: str, least: int, most: float = _MOST) -> int:
    """Return a whole number in a range."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or not least <= value <= most:
        raise ValueError(f"{name} must be a whole number from {least} to {most:g}, got {value!r}; pass an int")
    return int(value)


def named(value: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Return a mapping that has an entry."""
    if not isinstance(value, Mapping):
        raise ValueError(f"{name} must be a mapping of label to values, got {reprlib.repr(value)}; give a dict")
    if not value:
        raise ValueError(f"expected at least one entry in {name}, got none; give a mapping of label to values")
    return value


def optional(value: Mapping[str, Any] | None, name: str) -> Mapping[str, Any]:
    """Return a mapping that may be empty or left out."""
    return {} if value is None or (isinstance(value, Mapping) and not value) else named(value, name)


def words(value: Sequence[str], name: str, size: int | None = None) -> list[str]:
    """Return labels, one for each of a number of things or at least one; "AB" is two labels of one letter."""
    if not hasattr(value, "__len__"):
        raise ValueError(f"{name} must be a list of labels, got {reprlib.repr(value)}; put them in square brackets")
    if size not in (None, len(value)) or not len(value):
        raise ValueError(f"{name} must hold {size or 'at least 1'} labels, got {len(value)}; give one for each")
    if other := [label for label in value if not isinstance(label, str)]:
        raise ValueError(f"{name} must be text, got {reprlib.repr(other[0])}; write str(label)")
    return [*value]
