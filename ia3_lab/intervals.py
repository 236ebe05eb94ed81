"""A mean of a few draws and Student's confidence interval for it: the only place in Python where one is computed."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Interval:
    """A mean with its 95 percent confidence interval (Student's t).

    Attributes
    ----------
    mean, low, high : float
        The mean and the two ends, in the unit of the values.
    count : int
        How many values there are.
    """

    mean: float
    low: float
    high: float
    count: int


def interval(values: Iterable[float]) -> Interval:
    """Return mean and 95 percent t-interval: mean -/+ t(0.975, n - 1) * s / sqrt(n).

    Parameters
    ----------
    values : sequence of float, or a generator
        One number for each draw. Subtract two methods draw by draw first if you want a paired difference.

    Returns
    -------
    Interval

    Raises
    ------
    TypeError
        If it is no row of numbers.
    ValueError
        If there are fewer than two values, one is not finite, or they are too large to add up.

    Examples
    --------
    >>> found = interval([0.8, 0.9, 1.0])
    >>> round(found.mean, 3), round(found.high - found.mean, 3), found.count
    (0.9, 0.248, 3)
    """
    from scipy.stats import t

    values = _numbers(values)
    if values.ndim != 1 or len(values) < 2:
        raise ValueError(f"expected at least two numbers in a row, got shape {values.shape}; add draws.")
    if not np.isfinite(values).all():
        raise ValueError(f"expected finite numbers, got {values.tolist()}; leave out what is none.")
    with np.errstate(over="ignore", invalid="ignore"):  # refused below
        half = t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / math.sqrt(len(values))
        mean = values.mean()
        if not np.isfinite([mean - half, mean + half]).all():
            raise ValueError(f"expected numbers small enough to square, got {values.tolist()}; use a larger unit.")
    return Interval(float(mean), float(mean - half), float(mean + half), len(values))


def _numbers(values: Iterable[float]) -> np.ndarray:
    """Return the values as floats; a tensor is detached, a generator is used up."""
    values = list(values) if isinstance(values, Iterator) else values
    try:
        array = np.asarray(values.detach().cpu() if hasattr(values, "detach") else values)
    except RuntimeError:  # torch's, for a list of tensors
        raise TypeError("expected floats, got tensors with gradients; call .detach().cpu().numpy() on each.") from None
    if array.ndim == 0 or array.dtype.kind not in "biufO":
        raise TypeError(f"expected numbers in a row, got {values!r:.60}; pass a list of floats, one for each draw.")
    return array.astype(float)
