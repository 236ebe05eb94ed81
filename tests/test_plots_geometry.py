"""Laws of the figures of chapter 2, read off their artists."""

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
from numpy.testing import assert_array_equal

from ia3_lab import plots
from ia3_lab.style import figure_color

CIRCLE = np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])
IMAGE = np.array([[1.8, 0.3], [-0.2, 0.5], [-1.8, -0.3]])


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def line(axes, label):
    (found,) = [artist for artist in axes.get_lines() if artist.get_label() == label]
    return found


def draw_all():
    """Every figure of the chapter on small data, by name."""
    grid = np.linspace(-1.0, 1.0, 5)
    return {
        "circle": plots.plot_image_of_circle(CIRCLE, IMAGE, basis=IMAGE[:2], cloud=(CIRCLE, IMAGE)),
        "vectors": plots.plot_turned_vectors(CIRCLE[:2], IMAGE[:2], labels=["a", "b"]),
        "turns": plots.plot_turn_by_direction([0.0, 90.0], {"l": [0.0, 12.0], "m": [4.0, 5.0]}),
        "scores": plots.plot_equal_scores(
            grid, grid[:, None] + 2.0 * grid, query=[1.0, 0.5], keys=CIRCLE, labels=["A", "B", "C"], nearby=IMAGE
        ),
        "energy": plots.plot_energy_by_rank({"full": [0.2, 0.5, 1.0], "low": [0.7, 1.0, 1.0]}, marked=2),
        "reach": plots.plot_reach(
            [[0.0, 0.9], [0.8, 0.0]], spread=[[0.0, 0.1], [0.05, 0.0]], targets=["t", "u"], methods=["IA3", "LoRA"]
        ),
    }


def test_the_circle_and_its_image_are_drawn_where_they_are():
    axes = draw_all()["circle"]
    assert_array_equal(line(axes, "circle").get_xydata(), CIRCLE)
    assert_array_equal(line(axes, "image").get_xydata(), IMAGE)
    assert line(axes, "image").get_color() == figure_color("ia3")
    assert axes.get_aspect() == 1.0


def test_the_basis_is_told_apart_by_markers_hollow_before_and_filled_after():
    axes = draw_all()["circle"]
    marks = [artist for artist in axes.get_lines() if artist.get_marker() not in ("None", "")]
    assert [artist.get_marker() for artist in marks] == ["o", "o", "s", "s"]
    assert [artist.get_markerfacecolor() == "none" for artist in marks] == [True, False, True, False]
    assert_array_equal([artist.get_xydata()[0] for artist in marks[1::2]], IMAGE[:2])


def test_the_cloud_is_drawn_before_and_after():
    before, after = draw_all()["circle"].collections
    assert_array_equal(before.get_offsets(), CIRCLE)
    assert_array_equal(after.get_offsets(), IMAGE)


def test_every_vector_is_an_arrow_from_the_origin_to_its_tip():
    arrows = [text for text in draw_all()["vectors"].texts if text.arrow_patch is not None]
    assert [tuple(arrow.xy) for arrow in arrows] == [(1.0, 0.0), (1.8, 0.3), (0.0, 1.0), (-0.2, 0.5)]
    assert {tuple(arrow.get_position()) for arrow in arrows} == {(0.0, 0.0)}


def test_turns_are_drawn_in_lines_of_different_style():
    axes = draw_all()["turns"]
    assert_array_equal(line(axes, "l").get_xydata(), [[0.0, 0.0], [90.0, 12.0]])
    assert line(axes, "l").get_linestyle() != line(axes, "m").get_linestyle()


def test_a_line_of_equal_score_passes_through_points_of_that_score():
    axes = draw_all()["scores"]
    (contours,) = [artist for artist in axes.collections if hasattr(artist, "levels")]
    checked = 0
    for level, path in zip(contours.levels, contours.get_paths(), strict=True):
        for x, y in path.vertices:
            assert abs(y + 2.0 * x - level) < 1e-9  # scores[row, column]: the row is coordinate 2
            checked += 1
    assert checked > 10


def test_energy_starts_at_rank_one():
    assert_array_equal(line(draw_all()["energy"], "full").get_xydata(), [[1, 0.2], [2, 0.5], [3, 1.0]])


def test_reach_puts_each_target_in_a_row_of_its_own():
    axes = draw_all()["reach"]
    means = [container.lines[0].get_xydata() for container in axes.containers]
    assert_array_equal(np.array(means)[:, :, 0].T, [[0.0, 0.9], [0.8, 0.0]])
    assert_array_equal(np.round(np.array(means)[:, :, 1]), [[0, 1], [0, 1]])
    assert len({container.lines[0].get_marker() for container in axes.containers}) == 2


@pytest.mark.parametrize("name", ["circle", "vectors", "turns", "scores", "energy", "reach"])
def test_axes_are_labeled(name):
    axes = draw_all()[name]
    assert axes.get_xlabel()
    assert axes.get_ylabel() or name == "reach"


def test_the_given_axes_are_drawn_on_and_returned():
    _, axes = plt.subplots()
    assert plots.plot_image_of_circle(CIRCLE, IMAGE, ax=axes) is axes
    assert len(plt.get_fignums()) == 1
    assert plots.plot_image_of_circle(CIRCLE, IMAGE) is not axes


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: plots.plot_image_of_circle(CIRCLE, IMAGE[:2]), r"image must have shape \(3, 2\), got \(2, 2\)"),
        (lambda: plots.plot_image_of_circle([1.0, 0.0], [1.0, 0.0]), "circle must have shape"),
        (lambda: plots.plot_image_of_circle(CIRCLE, IMAGE, basis=IMAGE), "basis must have shape"),
        (lambda: plots.plot_turned_vectors(CIRCLE, IMAGE, labels=["a"]), "labels must hold 3 labels, got 1"),
        (lambda: plots.plot_turn_by_direction([0.0], {"l": [1.0, 2.0]}), r"turns\['l'\] must have shape \(1,\)"),
        (lambda: plots.plot_energy_by_rank({"full": 1.0}), r"shares\['full'\] must have shape \(max_rank,\), got \(\)"),
        (lambda: plots.plot_reach([[1.0]], spread=[[1.0]], targets=["a", "b"], methods=["c"]), "targets by methods"),
        (
            lambda: plots.plot_equal_scores([0, 1], np.eye(2), query=[0, 1], keys=CIRCLE, labels=["A"]),
            "keys must have shape",
        ),
    ],
)
def test_a_mistake_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
