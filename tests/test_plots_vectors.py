"""The figures of learned vectors show the numbers they are given, and never tell series apart by color alone."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pytest

from ia3_lab.plots import plot_deviation_by_depth, plot_entry_spread
from ia3_lab.style import figure_color

EDGES = [0.5, 0.7, 0.9, 1.1, 1.3]


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def test_a_spread_is_drawn_as_shares_and_empty_bins_stay_empty():
    ax = plot_entry_spread({"k": [1, 0, 8, 1], "ff": [0, 5, 10, 5], "simulated": [1, 1, 1, 1]}, EDGES)
    first, second, third = ax.patches
    np.testing.assert_allclose(first.get_data().values, [0.1, np.nan, 0.8, 0.1])
    np.testing.assert_allclose(second.get_data().values, [np.nan, 0.25, 0.5, 0.25])
    np.testing.assert_array_equal(first.get_data().edges, EDGES)
    assert ax.get_yscale() == "log"
    assert len({patch.get_linestyle() for patch in (first, second, third)}) == 3
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["$l_k$", "$l_{ff}$", "simulated"]
    assert ax.get_xlabel() and ax.get_ylabel()


def test_deviations_are_lines_over_the_layers_that_start_at_zero():
    ax = plot_deviation_by_depth({"k": [0.1, 0.3, 0.2], "v": [0.2, 0.2, 0.4]}, title="encoder")
    first, second = ax.lines
    np.testing.assert_array_equal(first.get_xydata(), [[0, 0.1], [1, 0.3], [2, 0.2]])
    assert (first.get_marker(), first.get_linestyle()) != (second.get_marker(), second.get_linestyle())
    assert first.get_color() == figure_color("k")
    assert ax.get_ylim()[0] == 0
    assert ax.get_title() == "encoder"
    assert plot_deviation_by_depth({"k": [0.1]}, legend=False).get_legend() is None


def test_panels_that_share_an_axis_show_every_point():
    _, axes = plt.subplots(1, 2, sharey=True)
    plot_deviation_by_depth({"k": [0.1, 0.2]}, ax=axes[0])
    plot_deviation_by_depth({"k": [0.1, 0.5]}, ax=axes[1])
    for ax in axes:
        assert ax.get_ylim()[0] == 0
        assert 0.5 < ax.get_ylim()[1] < 0.6


def test_figures_are_drawn_on_the_axes_they_are_given():
    _, axes = plt.subplots(2)
    assert plot_entry_spread({"k": [1, 2, 3, 4]}, EDGES, ax=axes[0]) is axes[0]
    assert plot_deviation_by_depth({"k": [1.0]}, ax=axes[1]) is axes[1]


@pytest.mark.parametrize(
    ("draw", "says"),
    [
        (lambda: plot_entry_spread({"k": [1, 2, 3]}, EDGES), r"counts of k must have shape \(4,\), got \(3,\)"),
        (lambda: plot_entry_spread({"k": [0, 0, 0, 0]}, EDGES), "counts of k add up to 0; leave empty series out"),
        (lambda: plot_deviation_by_depth({"v": []}), r"deviations of v must have shape \(num_layers,\), got \(0,\)"),
        (lambda: plot_deviation_by_depth({"v": [1.0, float("nan")]}), "must be finite, got 1"),
    ],
)
def test_data_that_do_not_fit_are_refused_in_words(draw, says):
    with pytest.raises(ValueError, match=says):
        draw()
