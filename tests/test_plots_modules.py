"""Chapter 4's figures show the numbers they are given, label their axes, and never tell series apart by color alone."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pytest

from ia3_lab.plots import plot_entry_paths, plot_recovered_vectors, plot_training_error, plot_unit_gradients


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def data_lines(ax):
    """Return the lines that stand in the legend."""
    return [line for line in ax.lines if not line.get_label().startswith("_")]


def test_unit_gradients_draw_what_they_are_given():
    gains, own, upstream = [-1.0, 0.0, 1.5], [0.4, 0.3, 0.2], [0.7, 0.0, 0.9]
    ax = plot_unit_gradients(gains, own, upstream)
    first, second = data_lines(ax)
    np.testing.assert_array_equal(first.get_xydata(), np.column_stack([gains, own]))
    np.testing.assert_array_equal(second.get_xydata(), np.column_stack([gains, upstream]))
    assert first.get_linestyle() != second.get_linestyle()
    assert first.get_marker() != second.get_marker()
    assert ax.get_xlabel() and ax.get_ylabel()


def test_loss_is_drawn_on_a_logarithmic_axis_from_step_zero():
    ax = plot_training_error([2.0, 0.5, 0.01])
    np.testing.assert_array_equal(ax.lines[0].get_xydata(), [[0, 2.0], [1, 0.5], [2, 0.01]])
    assert ax.get_yscale() == "log"


def test_recovered_vectors_are_points_of_wanted_and_learned_with_a_marker_each():
    wanted = {"attention.l_k": [0.5, 1.5, 0.7], "feed_forward.l_ff": [1.2, 0.3]}
    learned = {name: [value + 0.1 for value in values] for name, values in wanted.items()}
    ax = plot_recovered_vectors(wanted, learned)
    keys, hidden = data_lines(ax)
    np.testing.assert_array_equal(
        keys.get_xydata(), np.column_stack([wanted["attention.l_k"], learned["attention.l_k"]])
    )
    assert keys.get_marker() != hidden.get_marker()
    assert keys.get_color() != hidden.get_color()


def test_entry_paths_have_a_line_at_the_identity_and_at_each_goal():
    ax = plot_entry_paths({"up": [1.0, 1.1], "down": [1.0, 0.9]}, goals=[1.2, 0.8])
    up, down = data_lines(ax)
    np.testing.assert_array_equal(down.get_ydata(), [1.0, 0.9])
    assert up.get_linestyle() != down.get_linestyle()
    levels = {line.get_ydata()[0] for line in ax.lines if line not in (up, down)}
    assert levels == {0.8, 1.0, 1.2}


@pytest.mark.parametrize(
    "plot",
    [
        lambda ax: plot_unit_gradients([0.0], [1.0], [0.0], ax=ax),
        lambda ax: plot_training_error([1.0], ax=ax),
        lambda ax: plot_recovered_vectors({"l_v": [1.0]}, {"l_v": [1.0]}, ax=ax),
        lambda ax: plot_entry_paths({"a": [1.0]}, ax=ax),
    ],
)
def test_the_given_axes_come_back_and_no_figure_is_opened(plot):
    ax = plt.subplots()[1]
    assert plot(ax) is ax
    assert len(plt.get_fignums()) == 1


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: plot_unit_gradients([0.0, 1.0], [1.0], [0.0, 1.0]), r"must have shape \(2,\), got \(1,\)"),
        (lambda: plot_training_error([1.0, 0.0]), "must be positive"),
        (lambda: plot_training_error([1.0, float("nan")]), "1 NaN or infinite"),
        (lambda: plot_recovered_vectors({"l_k": [1.0]}, {"l_v": [1.0]}), "the same vectors twice"),
        (
            lambda: plot_recovered_vectors({"l_k": [1.0]}, {"l_k": [1.0, 2.0]}),
            r"learned\['l_k'\] must have shape \(1,\)",
        ),
        (lambda: plot_entry_paths({}), "at least one entry in paths"),
    ],
)
def test_bad_data_is_refused_with_what_was_expected(call, says):
    with pytest.raises(ValueError, match=says):
        call()
