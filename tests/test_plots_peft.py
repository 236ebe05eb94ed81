"""The figures of chapter 5, through their artists."""

import matplotlib as mpl
import numpy as np
import pytest

mpl.use("Agg")
import matplotlib.pyplot as plt

from ia3_lab.plots import plot_feed_forward_places, plot_hidden_unit, plot_loss_curves, plot_parameter_parts


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def test_stacked_bars_start_where_the_part_before_ends():
    ax = plot_parameter_parts({"a": {"IA3": 10, "head": 90}, "b": {"IA3": 30, "head": 5}})
    spans = [(bar.get_x(), bar.get_width()) for bar in ax.patches]
    assert spans == [(0, 10), (0, 30), (10, 90), (30, 5)]
    assert "IA3 10 + head 90" in [text.get_text() for text in ax.texts]


def test_parts_differ_by_more_than_color():
    ax = plot_parameter_parts({"a": {"IA3": 10, "head": 90}})
    assert len({bar.get_hatch() for bar in ax.patches}) == 2


def test_rows_with_different_parts_are_refused():
    with pytest.raises(ValueError, match="same parts"):
        plot_parameter_parts({"a": {"IA3": 10}, "b": {"head": 5}})
    with pytest.raises(ValueError, match="at least one entry in parts"):
        plot_parameter_parts({})


def test_each_mark_stands_before_or_behind_the_layer_that_its_position_says():
    ax = plot_feed_forward_places([(f"place {i}", i, (1, 8)) for i in range(4)])
    marks = [line.get_xdata()[0] for line in ax.lines]
    layers = sorted({patch.get_x() for patch in ax.patches})
    assert [sum(layer < mark for layer in layers) for mark in marks] == [0, 1, 2, 3]


def test_only_the_highlighted_place_has_the_paper_s_mark():
    ax = plot_feed_forward_places([("a", 0, (1, 4)), ("b", 2, (1, 8))], highlight=1)
    assert [line.get_marker() for line in ax.lines] == ["X", "o"]
    with pytest.raises(ValueError, match="positions"):
        plot_feed_forward_places([("a", 4, (1, 4))])


def test_hidden_unit_draws_every_token_of_every_adapter():
    before = np.array([-1.0, 0.5, 2.0])
    ax = plot_hidden_unit(before, {"twice": 2 * before, "minus": -before})
    twice, minus, identity = ax.lines
    np.testing.assert_array_equal(twice.get_xydata(), np.c_[before, 2 * before])
    np.testing.assert_array_equal(minus.get_ydata(), -before)
    assert twice.get_marker() != minus.get_marker()
    assert identity.get_slope() == 1
    with pytest.raises(ValueError, match=r"must have shape \(3,\), got \(1,\)"):
        plot_hidden_unit(before, {"short": [1.0]})


def test_loss_curve_is_the_mean_and_its_band_reaches_the_extremes():
    runs = np.array([[1.0, 0.5, 0.2], [2.0, 0.7, 0.6]])
    ax = plot_loss_curves({"lr 0.01": runs, "lr 0.1": runs / 2}, every=5)
    np.testing.assert_allclose(ax.lines[0].get_xydata(), np.c_[[5, 10, 15], runs.mean(0)])
    band = ax.collections[0].get_paths()[0].vertices[:, 1]
    assert (band.min(), band.max()) == (0.2, 2.0)
    assert ax.lines[0].get_linestyle() != ax.lines[1].get_linestyle()
    with pytest.raises(ValueError, match=r"\(seeds, n\)"):
        plot_loss_curves({"flat": [1.0, 2.0]})


@pytest.mark.parametrize(
    "draw",
    [
        lambda ax: plot_parameter_parts({"a": {"IA3": 1}}, ax=ax),
        lambda ax: plot_feed_forward_places([("a", 0, (1, 4))], ax=ax),
        lambda ax: plot_hidden_unit([1.0], {"a": [2.0]}, ax=ax),
        lambda ax: plot_loss_curves({"a": [[1.0, 2.0]]}, ax=ax),
    ],
)
def test_every_figure_draws_on_the_axes_it_is_given(draw):
    ax = plt.subplots()[1]
    assert draw(ax) is ax
    assert len(plt.get_fignums()) == 1
