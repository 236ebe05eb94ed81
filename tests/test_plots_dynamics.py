"""Chapter 7's figures show the numbers they are given, label their axes, and never tell series apart by color alone."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pytest

from ia3_lab.plots import (
    plot_error_by_decay,
    plot_gain_groups,
    plot_losses_by_step,
    plot_missed_by_width,
    plot_moves_by_gradient,
)
from ia3_lab.style import figure_color

WIDTHS = [16, 32, 64]
MISSED = {"IA3": [0.9, 0.95, 0.99], "LoRA": [0.2, 0.5, 0.7], "LoRA 8": [0.0, 0.1, 0.3]}
SPREAD = {name: [0.01, 0.02, 0.03] for name in MISSED}


def data_lines(ax):
    """Return the lines that stand in the legend, error bars included."""
    lines = [container.lines[0] for container in ax.containers]
    return lines or [line for line in ax.lines if not line.get_label().startswith("_")]


def draw_all():
    """Every figure of the chapter on small data, by name."""
    return {
        "missed": plot_missed_by_width(WIDTHS, MISSED, spread=SPREAD, formulas={"IA3": [0.8, 0.85, 0.9]}, title="t"),
        "groups": plot_gain_groups({"up": [[1.0, 1.0], [1.2, 1.8]], "down": [[1.0, 1.0], [0.1, -0.3]]}, switch=1),
        "moves": plot_moves_by_gradient([0.1, 2.0], {"Adam": [0.3, 0.2], "SGD": [0.01, 0.4]}, bound=0.5),
        "losses": plot_losses_by_step({"a": [2.0, 0.5, 0.01], "b": [2.0, 20.0]}, limits=(1e-3, 1e3)),
        "decay": plot_error_by_decay(
            [0, 0.1], {"to 0": [0.5, 0.2], "to 1": [0.5, 1.2]}, spread={"to 0": [0.1, 0.1], "to 1": [0.0, 0.2]}
        ),
    }


def test_a_panel_can_go_on_with_the_looks_where_another_one_stops():
    whole = plot_losses_by_step({"a": [1.0], "b": [1.0], "c": [1.0]}).lines
    rest = plot_losses_by_step({"c": [1.0]}, start=2).lines
    seen = [(line.get_color(), line.get_linestyle(), line.get_marker()) for line in (whole[2], rest[0], whole[0])]
    assert seen[0] == seen[1] != seen[2]
    with pytest.raises(ValueError, match="start must be a whole number from 0"):
        plot_losses_by_step({"a": [1.0]}, start=-1)


def test_the_legend_names_the_closed_form_once():
    ax = plot_missed_by_width(
        WIDTHS, MISSED, spread=SPREAD, formulas={"IA3": [0.8, 0.85, 0.9], "LoRA": [0.2, 0.5, 0.7]}
    )
    assert ax.get_legend_handles_labels()[1].count("closed form") == 1


@pytest.mark.parametrize("name", list(draw_all()))
def test_axes_are_labeled_and_series_differ_in_more_than_color(name):
    ax = draw_all()[name]
    assert ax.get_xlabel() and ax.get_ylabel()
    looks = [(line.get_linestyle(), line.get_marker()) for line in data_lines(ax)]
    assert len(looks) == len(set(looks)) >= 2


def test_missed_parts_stand_at_their_widths_with_their_spread():
    ax = draw_all()["missed"]
    first, second, _ = ax.containers
    np.testing.assert_array_equal(second.lines[0].get_xydata(), np.column_stack([WIDTHS, MISSED["LoRA"]]))
    low, high = first.lines[1]  # the caps
    np.testing.assert_allclose(high.get_ydata() - low.get_ydata(), [0.02, 0.04, 0.06])
    assert [label.get_text() for label in ax.get_xticklabels()] == ["16", "32", "64"]
    assert first.lines[0].get_color() == figure_color("ia3")
    assert second.lines[0].get_color() == figure_color("lora")


def test_a_closed_form_is_one_dotted_line_and_no_formula_is_none():
    dotted = [line for line in draw_all()["missed"].lines if line.get_linestyle() == ":"]
    np.testing.assert_array_equal(dotted[0].get_ydata(), [0.8, 0.85, 0.9])
    assert len(dotted) == 1
    plain = plot_missed_by_width(WIDTHS, MISSED, spread=SPREAD)
    assert not [line for line in plain.lines if line.get_linestyle() == ":"]


def test_a_group_is_its_mean_in_a_band_from_lowest_to_highest():
    ax = draw_all()["groups"]
    up, down = data_lines(ax)
    np.testing.assert_allclose(up.get_ydata(), [1.0, 1.5])
    np.testing.assert_allclose(down.get_ydata(), [1.0, -0.1])
    band = ax.collections[1].get_paths()[0].vertices
    assert {-0.3, 0.1} <= set(band[:, 1])


def test_the_identity_zero_and_the_switch_have_lines():
    ax = draw_all()["groups"]
    thin = [line for line in ax.lines if line not in data_lines(ax)]
    assert {tuple(line.get_ydata()) for line in thin} >= {(0.0, 0.0), (1.0, 1.0)}
    assert (1, 1) in {tuple(line.get_xdata()) for line in thin}


def test_moves_are_points_on_two_logarithmic_axes_with_the_bound_across():
    ax = draw_all()["moves"]
    adam, _ = data_lines(ax)
    np.testing.assert_array_equal(adam.get_xydata(), [[0.1, 0.3], [2.0, 0.2]])
    assert adam.get_linestyle() == "None"
    assert ax.get_xscale() == ax.get_yscale() == "log"
    assert 0.5 in {line.get_ydata()[0] for line in ax.lines if line not in data_lines(ax)}


def test_losses_start_at_step_zero_within_the_limits_and_may_differ_in_length():
    ax = draw_all()["losses"]
    first, second = data_lines(ax)
    np.testing.assert_array_equal(first.get_xydata(), [[0, 2.0], [1, 0.5], [2, 0.01]])
    np.testing.assert_array_equal(second.get_xdata(), [0, 1])
    assert ax.get_ylim() == (1e-3, 1e3)


def test_no_decay_has_a_place_beside_the_others_and_bars_do_not_cover_each_other():
    ax = draw_all()["decay"]
    first, second = data_lines(ax)
    assert [label.get_text() for label in ax.get_xticklabels()] == ["0", "0.1"]
    np.testing.assert_array_equal(np.round(first.get_xdata()), [0, 1])
    assert (first.get_xdata() < second.get_xdata()).all()
    np.testing.assert_array_equal(second.get_ydata(), [0.5, 1.2])


@pytest.mark.parametrize(
    "plot",
    [
        lambda ax: plot_missed_by_width(WIDTHS, MISSED, spread=SPREAD, ax=ax),
        lambda ax: plot_gain_groups({"a": [[1.0]]}, ax=ax),
        lambda ax: plot_moves_by_gradient([1.0], {"a": [1.0]}, ax=ax),
        lambda ax: plot_losses_by_step({"a": [1.0]}, ax=ax),
        lambda ax: plot_error_by_decay([0], {"a": [1.0]}, spread={"a": [0.1]}, ax=ax),
    ],
)
def test_the_given_axes_come_back_and_no_figure_is_opened(plot):
    ax = plt.subplots()[1]
    assert plot(ax) is ax
    assert len(plt.get_fignums()) == 1


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (
            lambda: plot_missed_by_width([16], MISSED, spread=SPREAD),
            r"missed\['IA3'\] must have shape \(1,\), got \(3,\)",
        ),
        (lambda: plot_missed_by_width([0, 1], {"a": [1, 1]}, spread={"a": [0, 0]}), "widths must be positive"),
        (lambda: plot_missed_by_width(WIDTHS, MISSED, spread={}), "at least one entry in spread"),
        (lambda: plot_missed_by_width(WIDTHS, MISSED, spread={"IA3": [0, 0, 0]}), "spread must name what missed names"),
        (lambda: plot_missed_by_width(WIDTHS, MISSED, spread=SPREAD, formulas={"x": [1]}), "must name the methods"),
        (lambda: plot_missed_by_width(WIDTHS, {}, spread={}), "at least one entry in missed"),
        (
            lambda: plot_gain_groups({"a": [1.0, 2.0]}),
            r"\['a'\] must have shape \(num_steps, num_entries\), got \(2,\)",
        ),
        (lambda: plot_gain_groups({}), "at least one entry in groups"),
        (lambda: plot_moves_by_gradient([1.0, 0.0], {"a": [1.0, 1.0]}), "gradients must be positive"),
        (lambda: plot_moves_by_gradient([1.0], {"a": [1.0, 1.0]}), r"moves\['a'\] must have shape \(1,\), got \(2,\)"),
        (lambda: plot_losses_by_step({"a": [1.0, float("inf")]}), "1 NaN or infinite"),
        (lambda: plot_losses_by_step({"a": [1.0, 0.0]}), "clip it"),
        (lambda: plot_error_by_decay([0], {"a": [1.0]}, spread={"b": [1.0]}), "must name what errors names"),
        (lambda: plot_error_by_decay([], {"a": []}, spread={"a": []}), r"decays must have shape \(n,\), got \(0,\)"),
    ],
)
def test_bad_data_is_refused_with_what_was_expected(call, says):
    with pytest.raises(ValueError, match=says):
        call()
