"""Intervals are Student's: they hold the true mean as often as they say, and refuse what has no spread."""

from __future__ import annotations

import math
import statistics

import numpy as np
import pytest
import torch
from scipy import stats

from ia3_lab.intervals import interval

#: degrees of freedom -> two-sided 95% quantile of t, from printed tables
PRINTED = {1: 12.706, 2: 4.303, 3: 3.182, 7: 2.365, 30: 2.042, 120: 1.980}
VALUES = [0.61, 0.72, 0.7, 0.55, 0.81, 0.66, 0.69, 0.77]


def test_the_interval_is_student_s() -> None:
    found = interval(VALUES)
    expected = stats.t.interval(0.95, 7, loc=np.mean(VALUES), scale=stats.sem(VALUES))
    assert (found.low, found.high) == pytest.approx(expected)
    assert (found.mean, found.count) == (pytest.approx(statistics.fmean(VALUES)), 8)
    normal = stats.norm.interval(0.95, loc=np.mean(VALUES), scale=stats.sem(VALUES))
    assert found.low < normal[0] - 0.005  # the control: too few draws for the normal distribution


@pytest.mark.parametrize(("df", "printed"), PRINTED.items())
def test_the_half_width_is_a_printed_quantile_times_the_standard_error(df: int, printed: float) -> None:
    values = [math.sin(i) for i in range(df + 1)]
    found, error = interval(values), statistics.stdev(values) / math.sqrt(df + 1)
    assert (found.high - found.mean) / error == pytest.approx(printed, abs=5.1e-4)
    assert found.high - found.mean == pytest.approx(found.mean - found.low)


def test_of_many_intervals_from_eight_draws_95_percent_hold_the_true_mean() -> None:
    draws = np.random.default_rng(0).normal(size=(2000, 8))
    found = [interval(row) for row in draws]
    share = np.mean([one.low <= 0 <= one.high for one in found])
    assert share == pytest.approx(0.95, abs=0.015)  # three standard errors of a share from 2000


def test_an_interval_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        interval(VALUES).mean = 1.0


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ([0.5], "at least two numbers"),
        ([], "at least two numbers"),
        ([[0.5, 0.6], [0.7, 0.8]], "in a row, got shape"),
        ([0.5, math.nan, 0.7], "finite numbers"),
        ([0.5, math.inf], "finite numbers"),
        ([1e308] * 3, "small enough to square"),  # their sum is infinite
        ([1e200, 2e200], "small enough to square"),
    ],
)
def test_values_without_an_interval_are_refused_in_words(values: list, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        interval(values)


@pytest.mark.parametrize(
    ("values", "says"),
    [
        (None, "numbers in a row, got None; pass a list"),
        (["0.5", "0.6"], r"numbers in a row, got \['0.5', '0.6'\]"),
        ("0.5", "numbers in a row, got '0.5'"),
        ({0.5, 0.6}, "numbers in a row, got {"),
        (list(torch.nn.Parameter(torch.ones(3))), r"tensors with gradients; call .detach\(\).cpu\(\).numpy\(\)"),
    ],
)
def test_what_is_no_row_of_numbers_is_refused_in_words(values: object, says: str) -> None:
    with pytest.raises(TypeError, match=says):
        interval(values)


def test_a_generator_a_parameter_and_truth_values_are_numbers_too() -> None:
    assert interval(value for value in VALUES) == interval(VALUES)
    assert interval(torch.nn.Parameter(torch.tensor(VALUES, dtype=torch.float64))) == interval(VALUES)
    assert interval([True, False, True]) == interval([1, 0, 1])
