"""Laws of chapter 1's figures: what is drawn is what was given."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_rgba
from matplotlib.patches import FancyBboxPatch
from matplotlib.text import Text

from ia3_lab.plots import (
    plot_attention_weights,
    plot_rescaled_vector,
    plot_rescaling_places,
    plot_weights_by_scale,
)
from ia3_lab.style import figure_color

WEIGHTS = np.array([[0.7, 0.2, 0.1], [0.05, 0.15, 0.8]])


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


def pills(ax, role: str) -> int:
    face = to_rgba(figure_color(role))
    return sum(isinstance(p, FancyBboxPatch) and p.get_fill() and p.get_facecolor() == face for p in ax.patches)


def test_every_weight_is_an_image_cell_and_a_number():
    ax = plot_attention_weights(WEIGHTS, ["a", "b"], ["x", "y", "z"])
    np.testing.assert_array_equal(ax.images[0].get_array(), WEIGHTS)
    assert [text.get_text() for text in ax.texts] == ["0.70", "0.20", "0.10", "0.05", "0.15", "0.80"]
    assert [label.get_text() for label in ax.get_xticklabels()] == ["x", "y", "z"]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["a", "b"]


def test_attention_weights_share_one_color_scale():
    assert plot_attention_weights(0.1 * WEIGHTS, ["a", "b"], ["x", "y", "z"]).images[0].get_clim() == (0.0, 1.0)


def test_bars_have_the_heights_of_both_vectors():
    before, after = [1.2, 0.9, -1.4], [2.4, 0.0, 1.4]
    heights = [patch.get_height() for patch in plot_rescaled_vector(before, after, ["a", "b", "c"]).patches]
    assert heights == [*before, *after]


def test_bars_before_and_after_differ_in_more_than_color():
    first, second = plot_rescaled_vector([1.0], [2.0], ["a"]).patches
    assert first.get_facecolor()[3] == 0.0
    assert second.get_facecolor()[3] == 1.0


def test_lines_follow_the_weights_and_differ_in_more_than_color():
    table = np.array([[0.5, 0.3, 0.2], [0.6, 0.3, 0.1]])
    ax = plot_weights_by_scale([0.0, 1.0], table, ["a", "b", "c"])
    lines = [line for line in ax.get_lines() if line.get_label() in "abc"]
    np.testing.assert_array_equal([line.get_ydata() for line in lines], table.T)
    assert len({(line.get_linestyle(), line.get_marker()) for line in lines}) == 3


@pytest.mark.parametrize(("cross_attention", "attentions"), [(False, 1), (True, 2)])
def test_a_block_has_a_pill_for_each_multiplication(cross_attention, attentions):
    ax = plot_rescaling_places(cross_attention=cross_attention)
    assert (pills(ax, "k"), pills(ax, "v"), pills(ax, "ff")) == (attentions, attentions, 1)
    assert ("cross-attention" in [text.get_text() for text in ax.texts]) is cross_attention


@pytest.mark.parametrize(("cross_attention", "sources"), [(False, 0), (True, 1)])
def test_only_cross_attention_draws_a_second_input(cross_attention, sources):
    texts = [text.get_text() for text in plot_rescaling_places(cross_attention=cross_attention).texts]
    assert (texts.count("$x$"), texts.count("$c$")) == (1, sources)


@pytest.mark.parametrize(
    "draw",
    [
        lambda: plot_attention_weights(WEIGHTS, ["a", "b"], ["x", "y", "z"], title="a title"),
        lambda: plot_rescaled_vector([1.0], [2.0], ["a"]),
        lambda: plot_weights_by_scale([0.0, 1.0], [[0.3, 0.7], [0.2, 0.8]], ["a", "b"]),
        lambda: plot_rescaling_places(cross_attention=True),
    ],
)
def test_text_is_large_enough_for_a_phone(draw):
    ax = draw()
    ax.figure.canvas.draw()
    sizes = {text.get_fontsize() for text in ax.findobj(Text) if text.get_text() and text.get_visible()}
    assert min(sizes) >= 12


def test_a_figure_goes_into_the_axes_that_it_is_given():
    ax = plt.subplots()[1]
    assert plot_attention_weights(WEIGHTS, ["a", "b"], ["x", "y", "z"], ax=ax) is ax
    assert plot_rescaled_vector([1.0], [2.0], ["a"], ax=ax) is ax
    assert plot_weights_by_scale([0.0, 1.0], [[1.0], [1.0]], ["a"], ax=ax) is ax
    assert plot_rescaling_places(ax=ax) is ax
    assert len(plt.get_fignums()) == 1


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda: plot_attention_weights(WEIGHTS, ["a"], ["x", "y", "z"]), r"its shape is \(2, 3\)"),
        (lambda: plot_rescaled_vector([1.0, 2.0], [1.0], ["a", "b"]), "the same length d"),
        (lambda: plot_rescaled_vector([1.0], [1.0], ["a", "b"]), "there are 2 labels"),
        (lambda: plot_weights_by_scale([0.0], [[0.5, 0.5]], ["a"]), r"its shape is \(1, 2\)"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(draw, message):
    with pytest.raises(ValueError, match=message):
        draw()
