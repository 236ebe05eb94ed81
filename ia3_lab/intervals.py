"""A mean of a few draws and Student's confidence interval for it: the only place in Python where one is computed."""

from __future__ import annotations

import math
from collections.abc import Sequence
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


def interval(values: Sequence[float]) -> Interval:
    """Return mean and 95 percent t-interval: mean -/+ t(0.975, n - 1) * s / sqrt(n).

    Parameters
    ----------
    values : sequence of float
        One number for each draw. Subtract two methods draw by draw first if you want a paired difference.

    Returns
    -------
    Interval

    Raises
    ------
    ValueError
        If there are fewer than two values, or one is not finite.

    Examples
    --------
    >>> found = interval([0.8, 0.9, 1.0])
    >>> round(found.mean, 3), round(found.high - found.mean, 3), found.count
    (0.9, 0.248, 3)
    """
    from scipy.stats import t

    values = np.asarray(values, dtype=float)
    if values.ndim != 1 or len(values) < 2:
        raise ValueError(f"expected at least two numbers in a row, got shape {values.shape}; add draws.")
    if not np.isfinite(values).all():
        raise ValueError(f"expected finite numbers, got {values.tolist()}; leave out what is none.")
    half = t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / math.sqrt(len(values))
    mean = values.mean()
    return Interval(float(mean), float(mean - half), float(mean + half), len(values))
