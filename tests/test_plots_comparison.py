"""Chapter 7's figures show the intervals they are given, and tell methods apart by more than color.

All accuracies here are made up.
"""

from __future__ import annotations

import itertools

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.container import ErrorbarContainer

from ia3_lab.plots import (
    plot_accuracy_against_parameters,
    plot_few_shot_curves,
    plot_learning_rate_sensitivity,
    plot_paired_differences,
)
from ia3_lab.style import METHOD_STYLES, figure_color

KS = [8, 16, 32]
LABELS = {"ia3": "IA3", "full": "full fine-tuning"}


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def stacked(means, half=0.04) -> np.ndarray:
    """Return means with made-up intervals, wider above than below."""
    mean = np.asarray(means, dtype=float)
    return np.stack([mean, mean - half, mean + 1.5 * half])


CURVES = {"ia3": stacked([0.6, 0.7, 0.85]), "full": stacked([0.58, 0.75, 0.8]), "head": stacked([0.5, 0.55, 0.6])}


def bars(ax) -> dict[str, ErrorbarContainer]:
    return {container.get_label(): container for container in ax.containers}


def ends(container: ErrorbarContainer) -> np.ndarray:
    """Return the low and high ends that a container draws."""
    return np.array([[segment[0][1], segment[1][1]] for segment in container[2][0].get_segments()])


def test_curves_draw_every_mean_and_every_interval_at_its_k():
    ax = plot_few_shot_curves(KS, CURVES, labels=LABELS, chance=0.5)
    drawn = bars(ax)
    assert list(drawn) == ["IA3", "full fine-tuning", "head"]
    for name, values in CURVES.items():
        container = drawn[LABELS.get(name, name)]
        np.testing.assert_allclose(container[0].get_xydata(), np.column_stack([KS, values[0]]))
        np.testing.assert_allclose(ends(container), values[1:].T)
    assert (ax.get_xscale(), [label.get_text() for label in ax.get_xticklabels()]) == ("log", ["8", "16", "32"])
    low, high = ax.get_ylim()
    assert low <= 0.46 and 0.91 <= high <= 1.02


def test_marks_at_one_k_stand_side_by_side_on_the_page_and_not_in_the_data():
    ax = plot_few_shot_curves(KS, CURVES)
    ax.figure.canvas.draw()
    lines = [container[0] for container in ax.containers]
    at_8 = [line.get_transform().transform((8, 0.6))[0] for line in lines]
    gaps = np.diff(at_8)
    assert np.all(gaps > 4) and np.all(gaps < 20)
    assert {tuple(line.get_xdata()) for line in lines} == {tuple(KS)}


def test_guessing_is_a_line_only_where_it_is_given():
    ax = plot_few_shot_curves(KS, CURVES, chance=0.5)
    assert any(set(line.get_ydata()) == {0.5} for line in ax.lines)
    assert "guessing" in [text.get_text() for text in ax.texts]
    assert not plot_few_shot_curves(KS, CURVES).texts


def test_no_two_methods_share_marker_and_filling_on_the_page():
    ax = plot_few_shot_curves(KS, dict.fromkeys(METHOD_STYLES, CURVES["ia3"]))
    lines = [container[0] for container in ax.containers]
    looks = {(line.get_marker(), line.get_markerfacecolor() == "none") for line in lines}
    assert len(looks) == len(lines) == 9  # told apart in gray as well
    words = {(style.line, line.get_linestyle()) for style, line in zip(METHOD_STYLES.values(), lines, strict=True)}
    assert words == {("solid", "-"), ("dashed", "--"), ("dashdot", "-."), ("dotted", ":")}


def test_the_style_of_a_method_reaches_the_page():
    ax = plot_few_shot_curves(KS, {"ia3": CURVES["ia3"], "lora-r1-qv": CURVES["full"]})
    ia3, lora = (container[0] for container in ax.containers)
    assert (ia3.get_color(), ia3.get_marker(), ia3.get_linestyle()) == (figure_color("ia3"), "o", "-")
    assert (lora.get_color(), lora.get_marker(), lora.get_linestyle()) == (figure_color("lora"), "s", ":")
    assert lora.get_markerfacecolor() == "none" != ia3.get_markerfacecolor()


DIFFERENCES = {"head": [0.17, 0.13, 0.21], "full": [0.01, -0.02, 0.04], "lora-r4-qv": [-0.05, -0.08, -0.02]}


def test_the_forest_draws_each_interval_and_thick_ones_exclude_0():
    ax = plot_paired_differences(DIFFERENCES, reference="IA3", labels={"head": "head only"})
    zero, *rest = ax.lines
    assert set(zero.get_xdata()) == {0}
    intervals, marks = rest[::2], rest[1::2]
    for row, (mean, low, high) in enumerate(DIFFERENCES.values()):
        assert (list(intervals[row].get_xdata()), list(intervals[row].get_ydata())) == ([low, high], [row, row])
        assert (marks[row].get_xdata()[0], marks[row].get_ydata()[0]) == (mean, row)
    widths = [line.get_linewidth() for line in intervals]
    assert widths[0] == widths[2] > widths[1]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["head only", "full", "lora-r4-qv"]
    assert ax.yaxis_inverted()
    assert "IA3 minus the other method" in ax.get_xlabel()


def test_the_forest_writes_the_numbers_with_their_signs():
    texts = [text.get_text() for text in plot_paired_differences(DIFFERENCES, reference="IA3").texts]
    assert texts[0] == "+0.170 (+0.130 to +0.210)"
    assert texts[2] == "\u22120.050 (\u22120.080 to \u22120.020)"


def test_parameters_lie_on_a_logarithmic_axis_and_none_stands_before_a_gap():
    counts = {"head": 0, "ia3": 13_824, "full": 22_565_376}
    ax = plot_accuracy_against_parameters(counts, {name: values[:, 2] for name, values in CURVES.items()})
    x = {name: container[0].get_xdata()[0] for name, container in bars(ax).items()}
    assert (x["ia3"], x["full"]) == (13_824, 22_565_376)
    names = [label.get_text() for label in ax.get_xticklabels()]
    assert names[:3] == ["0", "10,000", "100,000"]
    gap = next(line for line in ax.lines if list(line.get_ydata()) == [0, 1])
    assert ax.get_xlim()[0] < x["head"] == ax.get_xticks()[0] < gap.get_xdata()[0] < ax.get_xticks()[1]
    without = plot_accuracy_against_parameters({"ia3": 13_824}, {"ia3": [0.8, 0.7, 0.9]})
    assert "0" not in [label.get_text() for label in without.get_xticklabels()]


def test_methods_of_one_size_do_not_hide_each_other():
    accuracy = {"lora-r1-qv": [0.8, 0.7, 0.9], "layernorm": [0.8, 0.7, 0.9], "bitfit": [0.8, 0.7, 0.9]}
    counts = {"lora-r1-qv": 9_216, "layernorm": 9_216, "bitfit": 25_344}
    ax = plot_accuracy_against_parameters(counts, accuracy)
    ax.figure.canvas.draw()
    lines = [container[0] for container in ax.containers]
    at = [line.get_transform().transform((line.get_xdata()[0], 0.8))[0] for line in lines]
    assert at[1] - at[0] > 8
    alone = ax.transData.transform((25_344, 0.8))[0]
    assert at[2] == pytest.approx(alone)


RATES = {"ia3": [0.01, 0.02, 0.04], "full": [1e-5, 1e-4, 1e-3]}


def test_learning_rates_draw_each_grid_and_a_ring_at_the_best_rate():
    accuracy = {name: CURVES[name] for name in RATES}
    ax = plot_learning_rate_sensitivity(RATES, accuracy, best={"ia3": 0.02, "full": 1e-4}, labels=LABELS)
    for name, container in zip(RATES, ax.containers, strict=True):
        np.testing.assert_allclose(container[0].get_xydata(), np.column_stack([RATES[name], CURVES[name][0]]))
        np.testing.assert_allclose(ends(container), CURVES[name][1:].T)
    rings = [line.get_xydata()[0] for line in ax.lines if line.get_markersize() == 17 and len(line.get_xydata())]
    np.testing.assert_allclose(rings, [[0.02, 0.7], [1e-4, 0.75]])
    assert ax.get_xscale() == "log"
    assert [text.get_text() for text in ax.get_legend().get_texts()][-1] == "best"


def test_marks_stand_at_their_learning_rate_even_where_two_methods_share_it():
    rates = {"ia3": RATES["ia3"], "full": RATES["ia3"]}
    accuracy = {name: CURVES[name] for name in rates}
    ax = plot_learning_rate_sensitivity(rates, accuracy, best={name: grid[1] for name, grid in rates.items()})
    ax.figure.canvas.draw()
    for container in ax.containers:
        point = container[0].get_xydata()[0]
        drawn = container[0].get_transform().transform(point)
        np.testing.assert_allclose(drawn, ax.transData.transform(point))


def test_a_figure_is_drawn_on_the_axes_it_is_given():
    ax = plt.subplots()[1]
    assert plot_few_shot_curves(KS, CURVES, ax=ax) is ax
    assert plot_paired_differences(DIFFERENCES, reference="IA3", ax=ax) is ax
    assert plot_accuracy_against_parameters({"ia3": 5}, {"ia3": [0.5, 0.4, 0.6]}, ax=ax) is ax
    assert plot_learning_rate_sensitivity({"ia3": KS}, {"ia3": CURVES["ia3"]}, best={"ia3": 16}, ax=ax) is ax


ONE = {"ia3": [0.5, 0.4, 0.6]}


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: plot_few_shot_curves(KS, {"prefix": CURVES["ia3"]}), "unknown method 'prefix'; expected some of head"),
        (lambda: plot_few_shot_curves(KS, {}), "expected at least one method, got none"),
        (
            lambda: plot_few_shot_curves([8, 16], CURVES),
            r"ia3 must have shape \(3, 2\) \(mean, low, high\), got \(3, 3\)",
        ),
        (lambda: plot_few_shot_curves(KS, {"ia3": CURVES["ia3"][::-1]}), "low <= mean <= high"),
        (lambda: plot_few_shot_curves([8], {"ia3": [[np.nan]] * 3}), "low <= mean <= high"),
        (lambda: plot_paired_differences({"full": [0.1, 0.2, 0.3]}, reference="IA3"), "low <= mean <= high"),
        (lambda: plot_accuracy_against_parameters({"full": 5}, ONE), "parameters must be at least 0 for each of ia3"),
        (lambda: plot_accuracy_against_parameters({"ia3": -5}, ONE), "parameters must be at least 0"),
        (lambda: plot_learning_rate_sensitivity(RATES, CURVES, best={}), "must name the same methods"),
        (
            lambda: plot_learning_rate_sensitivity({"ia3": KS}, {"ia3": CURVES["ia3"]}, best={"ia3": 12}),
            "the best rate of 'ia3' must be in its grid",
        ),
    ],
)
def test_wrong_data_is_refused_in_words(call, says: str):
    with pytest.raises(ValueError, match=says):
        call()


def test_no_label_of_the_forest_covers_another():
    ax = plot_paired_differences({name: [0.01, -0.02, 0.04] for name in METHOD_STYLES}, reference="IA3")
    ax.figure.canvas.draw()
    boxes = [text.get_window_extent() for text in ax.texts]
    assert len(boxes) == 9
    assert not any(one.overlaps(other) for one, other in itertools.combinations(boxes, 2))
