"""Laws of chapter 6's own figures: what is drawn is what was given."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_rgba

from ia3_lab.plots import (
    plot_against_t,
    plot_attention_map,
    plot_correlation_matrix,
    plot_entries,
    plot_head_changes,
    plot_kept_share,
    plot_size_by_layer,
    plot_value_histogram,
)
from ia3_lab.style import DIVERGING, figure_color

WEIGHTS = np.array([[0.7, 0.24, 0.06], [0.05, 0.15, 0.8], [0.0, 0.0, 1.0]])
CORRELATIONS = np.array([[1.0, 0.4, -0.1], [0.4, 1.0, 0.05], [-0.1, 0.05, 1.0]])


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


def lines(ax):
    """The lines of the series: those that the legend names."""
    return [line for line in ax.get_lines() if not line.get_label().startswith("_")]


def test_each_entry_is_a_line_from_one_to_its_value():
    (drawn,) = plot_entries([1.4, 0.2, 1.0], "ff").collections
    ends = [sorted(segment[:, 1]) for segment in drawn.get_segments()]
    np.testing.assert_allclose(ends, [[1.0, 1.4], [0.2, 1.0], [1.0, 1.0]])
    assert to_rgba(drawn.get_color()[0]) == to_rgba(figure_color("ff"))


def test_a_histogram_counts_every_entry_inside_its_limits():
    values = np.array([0.6, 0.9, 1.0, 1.1, 1.1, 3.0])
    assert sum(bar.get_height() for bar in plot_value_histogram(values, "k").patches) == 6
    assert sum(bar.get_height() for bar in plot_value_histogram(values, "k", limits=(0.5, 1.5)).patches) == 5


def test_sizes_are_drawn_from_zero_in_the_colors_and_lines_of_their_kinds():
    sizes = {"k": [0.1, 0.3], "v": [0.2, 0.2], "ff": [0.3, 0.1]}
    ax = plot_size_by_layer(sizes)
    for line, (kind, row) in zip(lines(ax), sizes.items(), strict=True):
        np.testing.assert_array_equal(line.get_ydata(), row)
        assert line.get_color() == figure_color(kind)
    assert len({(line.get_linestyle(), line.get_marker()) for line in lines(ax)}) == 3
    assert ax.get_ylim()[0] == 0 < 0.3 < ax.get_ylim()[1]


def test_correlations_stand_in_their_cells_and_the_diagonal_is_left_out():
    ax = plot_correlation_matrix(CORRELATIONS, ["a", "b", "c"])
    assert {(*text.get_position(), text.get_text()) for text in ax.texts} == {
        (1, 0, "0.40"), (0, 1, "0.40"), (2, 0, "-0.10"), (0, 2, "-0.10"), (2, 1, "0.05"), (1, 2, "0.05")
    }  # fmt: skip
    image = ax.images[0]
    assert image.get_cmap().name == DIVERGING
    assert image.get_clim() == (-1.0, 1.0)
    assert np.isnan(np.diag(np.ma.filled(image.get_array(), np.nan))).all()


def test_the_given_correlations_are_not_changed():
    table = CORRELATIONS.copy()
    plot_correlation_matrix(table, ["a", "b", "c"])
    np.testing.assert_array_equal(table, CORRELATIONS)


def test_a_correlation_that_rounds_to_zero_has_no_sign_and_dark_cells_have_white_numbers():
    table = [[1, -0.004, 0.66], [-0.004, 1, -0.7], [0.66, -0.7, 1]]
    written = {text.get_text(): text.get_color() for text in plot_correlation_matrix(table, ["a", "b", "c"]).texts}
    assert written == {"0.00": "black", "0.66": "white", "-0.70": "white"}


def test_repeats_are_drawn_as_their_mean_with_a_band_from_lowest_to_highest():
    ax = plot_kept_share([0.1, 0.4], {"random": [[0.5, 0.7], [0.6, 1.0]], "largest": [0.8, 0.9]})
    random, largest = lines(ax)
    np.testing.assert_allclose(random.get_ydata(), [0.6, 0.8])
    np.testing.assert_allclose(largest.get_ydata(), [0.8, 0.9])
    np.testing.assert_allclose(random.get_xdata(), [10, 40])
    (band,) = ax.collections
    corners = band.get_paths()[0].vertices[:, 1]
    assert (corners.min(), corners.max()) == (0.5, 1.0)


def test_references_are_level_lines_told_apart_by_more_than_color():
    ax = plot_kept_share([0.1, 0.4], {"largest": [0.8, 0.9]}, reference={"all": 0.9, "none": 0.6})
    drawn = {line.get_label(): line for line in lines(ax)}
    assert list(drawn["all"].get_ydata()) == [0.9, 0.9]
    assert list(drawn["none"].get_ydata()) == [0.6, 0.6]
    assert drawn["all"].get_linestyle() != drawn["none"].get_linestyle()


def test_every_head_is_a_cell_and_the_marked_ones_are_framed():
    ax = plot_head_changes([[0.1, 0.5, 0.0], [0.2, 0.3, 0.25]], marked=[(0, 1)])
    assert [text.get_text() for text in ax.texts] == [".10", ".50", ".00", ".20", ".30", ".25"]
    (frame,) = ax.patches
    assert (frame.get_x(), frame.get_y()) == (0.5, -0.5)  # column 1, row 0


def test_an_attention_map_writes_only_weights_of_a_tenth_and_more():
    ax = plot_attention_map(WEIGHTS, ["a", "b", "c"])
    np.testing.assert_array_equal(ax.images[0].get_array(), WEIGHTS)
    assert ax.images[0].get_clim() == (0.0, 1.0)
    assert [text.get_text() for text in ax.texts] == [".70", ".24", ".15", ".80", "1.0"]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["a", "b", "c"]


def test_curves_over_t_keep_their_points_and_differ_in_more_than_color():
    curves = {f"sentence {i}": [0.1 * i, 0.9, 0.5] for i in range(5)}
    ax = plot_against_t([0, 0.5, 1], curves, ylabel="P(positive)")
    for line, values in zip(lines(ax), curves.values(), strict=True):
        np.testing.assert_array_equal(line.get_ydata(), values)
    assert len({line.get_marker() for line in lines(ax)}) == 5


@pytest.mark.parametrize(
    "draw",
    [
        lambda ax: plot_entries([1.0, 1.2], "k", ax=ax),
        lambda ax: plot_value_histogram([1.0, 1.2], "k", ax=ax),
        lambda ax: plot_size_by_layer({"k": [0.1]}, ax=ax),
        lambda ax: plot_correlation_matrix(CORRELATIONS, ["a", "b", "c"], ax=ax),
        lambda ax: plot_kept_share([0.1], {"largest": [0.8]}, ax=ax),
        lambda ax: plot_head_changes([[0.1]], ax=ax),
        lambda ax: plot_attention_map(WEIGHTS, ["a", "b", "c"], ax=ax),
        lambda ax: plot_against_t([0, 1], {"a": [0.1, 0.2]}, ylabel="accuracy", ax=ax),
    ],
)
def test_a_figure_goes_into_the_axes_that_it_is_given(draw):
    ax = plt.subplots()[1]
    assert draw(ax) is ax
    assert len(plt.get_fignums()) == 1


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda: plot_entries([1.0], "q"), "expected a kind of k, v, ff, got 'q'"),
        (lambda: plot_entries([[1.0]], "k"), r"values must have shape \(d,\), got \(1, 1\)"),
        (lambda: plot_value_histogram([1.0], "query"), "expected a kind of"),
        (lambda: plot_size_by_layer({"o": [0.1]}), "expected a kind of"),
        (lambda: plot_correlation_matrix(CORRELATIONS, ["a"]), r"for 1 labels, its shape is \(3, 3\)"),
        (lambda: plot_kept_share([0.1, 0.2], {"largest": [0.8]}), r"each of 2 shares, 'largest' has shape \(1,\)"),
        (lambda: plot_attention_map(WEIGHTS, ["a", "b"]), r"each of 2 tokens, the shape is \(3, 3\)"),
        (
            lambda: plot_against_t([0, 1], {"a": [0.5]}, ylabel="accuracy"),
            r"curves\['a'\] must have shape \(2,\), got \(1,\)",
        ),
    ],
)
def test_what_does_not_fit_is_refused_with_what_came(draw, message):
    with pytest.raises(ValueError, match=message):
        draw()
