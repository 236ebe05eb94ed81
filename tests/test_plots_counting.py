"""Chapter 3's figures show the numbers they are given, on logarithmic axes, told apart by more than color."""

from __future__ import annotations

import itertools

import matplotlib.pyplot as plt
import numpy as np
import pytest

from ia3_lab.plots import plot_model_sizes, plot_rank_growth, plot_storage


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


MODELS = ["small", "large"]
COUNTS = {"ia3": [55_296, 614_400], "lora": [1_032_192, 11_927_552], "base": [124_439_808, 6_738_415_616]}


def test_model_sizes_draw_a_bar_for_each_number_and_write_it_out():
    ax = plot_model_sizes(MODELS, COUNTS, rank=8)
    drawn = [[bar.get_width() for bar in container] for container in ax.containers]
    assert drawn == list(COUNTS.values())
    assert {text.get_text() for text in ax.texts} == {f"{n:,}" for values in COUNTS.values() for n in values}
    assert ax.get_xscale() == "log"
    assert "logarithmic" in ax.get_xlabel()
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["IA3", "LoRA, r = 8", "base model"]


def test_model_sizes_read_from_the_top_down_and_bars_never_overlap():
    ax = plot_model_sizes(MODELS, COUNTS)
    assert ax.yaxis_inverted()
    assert [label.get_text() for label in ax.get_yticklabels()] == MODELS
    edges = sorted((bar.get_y(), bar.get_y() + bar.get_height()) for group in ax.containers for bar in group)
    assert all(below <= above for (_, below), (above, _) in itertools.pairwise(edges))


def test_series_of_bars_differ_by_pattern_too():
    ax = plot_model_sizes(MODELS, COUNTS)
    assert len({container[0].get_hatch() for container in ax.containers}) == 3


def test_rank_growth_draws_each_series_and_a_level_line():
    ranks, lora = [1, 2, 4], {"W_q, W_v": [5, 10, 20], "all seven": [24, 48, 96]}
    ax = plot_rank_growth(ranks, lora, 7)
    first, second, level = ax.lines
    np.testing.assert_array_equal(first.get_xydata(), np.column_stack([ranks, lora["W_q, W_v"]]))
    np.testing.assert_array_equal(second.get_xydata(), np.column_stack([ranks, lora["all seven"]]))
    assert set(level.get_ydata()) == {7}
    assert (first.get_marker(), first.get_linestyle()) != (second.get_marker(), second.get_linestyle())
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
    assert [label.get_text() for label in ax.get_xticklabels()] == ["1", "2", "4"]


def test_storage_writes_each_size_in_words_beside_its_dot():
    ax = plot_storage(["a", "b"], [2_457_600, 13_476_831_232], roles=["ia3", "base"])
    assert [text.get_text() for text in ax.texts] == ["2.46 MB", "13.5 GB"]
    dots = [line for line in ax.lines if line.get_marker() != "None"]
    assert [dot.get_xdata()[0] for dot in dots] == [2_457_600, 13_476_831_232]
    assert dots[0].get_marker() != dots[1].get_marker()
    assert ax.get_ylim() == (1.5, -0.5)


def test_a_figure_is_drawn_on_the_axes_it_is_given():
    ax = plt.subplots()[1]
    assert plot_model_sizes(MODELS, COUNTS, ax=ax) is ax
    assert plot_rank_growth([1, 2], {"W_q": [3, 6]}, 5, ax=plt.subplots()[1]) is not ax
    assert plot_storage(["a"], [1e6], roles=["lora"], ax=ax) is ax


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: plot_model_sizes(MODELS, {"bitfit": [1, 2]}), "unknown series 'bitfit'; expected some of ia3"),
        (lambda: plot_model_sizes(MODELS, {"ia3": [1]}), r"ia3 must have shape \(2,\), got \(1,\)"),
        (lambda: plot_model_sizes(MODELS, {"ia3": [1, 0]}), "ia3 must be positive on a logarithmic axis"),
        (lambda: plot_rank_growth([1, 2], {"W_q": [3]}, 5), r"lora\['W_q'\] must have shape \(2,\), got \(1,\)"),
        (lambda: plot_rank_growth([1, float("nan")], {"W_q": [3, 6]}, 5), "ranks must be finite, got 1 NaN"),
        (lambda: plot_model_sizes(MODELS, {}), "at least one entry in counts, got none"),
        (lambda: plot_rank_growth([1, 2], {}, 5), "at least one entry in lora, got none"),
        (lambda: plot_rank_growth([1, 2], {"W_q": [3, 6]}, 0), "ia3 must be positive on a logarithmic axis"),
        (lambda: plot_rank_growth([1, 2], {"W_q": [3, 6]}, float("nan")), "ia3 must be finite, got 1 NaN"),
        (lambda: plot_storage(["a"], [1.0], roles=[]), "roles must hold 1 labels, got 0"),
        (lambda: plot_storage(["a"], [1.0], roles=["bitfit"]), "unknown role 'bitfit'; expected one of ia3"),
    ],
)
def test_data_that_cannot_be_drawn_is_refused_with_what_was_expected(call, says):
    with pytest.raises(ValueError, match=says):
        call()
