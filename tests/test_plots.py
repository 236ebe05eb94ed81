"""What is drawn is what was given, on the axes that were given, readable, and not told apart by color alone."""

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from numpy.testing import assert_allclose, assert_array_equal

from ia3_lab import plots, style
from ia3_lab.style import DIVERGING, METHOD_STYLES, PALETTE, SEQUENTIAL, figure_color

#: the two page backgrounds of the site's theme
LIGHT_PAGE, DARK_PAGE = "#ffffff", "#14181e"
TABLE = np.array([[0.7, 0.2, 0.1], [0.05, 0.15, 0.8]])
CIRCLE = np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])
IMAGE = np.array([[1.8, 0.3], [-0.2, 0.5], [-1.8, -0.3]])
GRID, KEYS = np.linspace(-1.0, 1.0, 5), {"query": [1.0, 0.5], "keys": CIRCLE, "labels": "ABC", "nearby": IMAGE}
PAIR = {"one": [1.0, 3.0], "two": [2.0, 5.0]}
DIFFERENCES = {"head": [0.17, 0.13, 0.21], "full": [0.01, -0.02, 0.04], "lora-r4-qv": [-0.05, -0.08, -0.02]}
DRAWN = {
    "lines": lambda **at: plots.plot_lines([1, 2], PAIR, **at),
    "points": lambda **at: plots.plot_points([1, 2], PAIR, diagonal=True, **at),
    "bars": lambda **at: plots.plot_bars(["a", "b"], PAIR, **at),
    "cells": lambda **at: plots.plot_cells(TABLE, "ab", "xyz", **at),
    "histogram": lambda **at: plots.plot_histogram({"k": [0.5, 1.0], "v": [0.6, 1.0]}, bins=4, **at),
    "entries": lambda **at: plots.plot_entries([1.4, 0.2], "ff", **at),
    "intervals": lambda **at: plots.plot_intervals(DIFFERENCES, labels={"head": "head only"}, **at),
    "circle": lambda **at: plots.plot_image_of_circle(CIRCLE, IMAGE, basis=IMAGE[:2], cloud=(CIRCLE, IMAGE), **at),
    "vectors": lambda **at: plots.plot_turned_vectors(CIRCLE[:2], IMAGE[:2], labels="ab", **at),
    "scores": lambda **at: plots.plot_equal_scores(GRID, GRID[:, None] + 2 * GRID, **KEYS, **at),
    "block": lambda **at: plots.plot_rescaling_places(cross_attention=True, **at),
    "network": lambda **at: plots.plot_feed_forward_places([("a", 0, (1, 4)), ("b", 2, (1, 8))], **at),
}


def words(artists) -> list[str]:
    return [artist.get_text() for artist in artists]


def series(ax) -> list:
    """Return an artist for each series that a legend would name."""
    return [one[0] if isinstance(one, mpl.container.Container) else one for one in ax.get_legend_handles_labels()[0]]


def gray(artist) -> tuple:
    """Return what is left of a series without its color."""
    if isinstance(artist, mpl.lines.Line2D):
        return artist.get_linestyle(), artist.get_marker(), artist.get_markerfacecolor() == "none"
    return artist.get_linestyle(), artist.get_hatch(), artist.get_facecolor()[3] == 0


def contrast(*colors) -> float:
    """Return the contrast of two colors as WCAG 2 defines it: 1 (none) to 21."""
    channels = np.array([mpl.colors.to_rgb(color) for color in colors])
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    dim, bright = sorted(linear @ (0.2126, 0.7152, 0.0722))
    return (bright + 0.05) / (dim + 0.05)


def test_a_color_reaches_text_contrast_in_widgets_and_is_visible_in_figures_on_both_pages() -> None:
    surface = PALETTE["surface"]
    for role, color in PALETTE.items():
        if role not in ("grid", "surface", "raised"):
            assert min(contrast(color.light, surface.light), contrast(color.dark, surface.dark)) >= 4.5, role
            assert min(contrast(figure_color(role), page) for page in (LIGHT_PAGE, DARK_PAGE)) >= 3.0, role
    assert contrast(PALETTE["text"].light, DARK_PAGE) < 3.0  # the control: a color that vanishes on the dark page


def test_figures_are_transparent_and_have_the_colors_of_the_palette_after_use_style() -> None:
    with mpl.rc_context():
        style.use_style()
        set_to = mpl.rcParams.copy()
        assert mpl.colors.to_rgba(plt.figure().get_facecolor())[3] == 0
    assert set_to["savefig.facecolor"] == set_to["axes.facecolor"] == "none"
    names = ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "legend.labelcolor")
    assert {mpl.colors.to_hex(set_to[name]) for name in names} == {figure_color("text")}
    assert set_to["axes.prop_cycle"].by_key()["color"][:2] == [figure_color("ia3"), figure_color("lora")]


@pytest.mark.parametrize("name", DRAWN)
def test_a_chart_draws_on_the_axes_it_is_given_with_the_labels_it_is_given_and_leaves_pyplot_alone(name: str):
    ax = Figure().subplots()
    assert DRAWN[name](ax=ax, title="a title") is ax
    assert (ax.get_title(), plt.get_fignums()) == ("a title", [])
    assert DRAWN[name]().figure.number == 1  # the control: without axes, pyplot's next figure
    assert len(DRAWN) == len(plots.__all__) == 12


@pytest.mark.parametrize("name", ["lines", "points", "bars", "histogram"])
def test_series_differ_in_gray_and_a_legend_names_two(name: str):
    first, second = series(ax := DRAWN[name]())
    assert gray(first) != gray(second)
    legend = ax.get_legend() or ax.figure.legends[0]
    assert words(legend.get_texts()) == (["$l_k$", "$l_v$"] if name == "histogram" else ["one", "two"])
    assert plots.plot_lines(None, {"alone": [1, 2]}).get_legend() is DRAWN[name](legend=None).get_legend() is None


def test_methods_and_vectors_have_looks_of_their_own():
    looks = [(figure_color(one.role), one.line, one.marker, not one.filled) for one in METHOD_STYLES.values()]
    assert len({(marker, hollow) for *_, marker, hollow in looks}) == len(looks) == 10
    lines = series(plots.plot_lines(None, {name: [1, 2] for name in [*METHOD_STYLES, "ff"]}))
    assert [(line.get_color(), *gray(line)) for line in lines[:-1]] == looks
    assert lines[-1].get_color() == figure_color("ff")


def test_runs_are_their_mean_in_a_band_from_the_lowest_to_the_highest_and_points_are_pairs():
    ax = plots.plot_lines([5, 10], {"some": [[1.0, 0.5], [2.0, 0.7]], "one": [0.1, 0.2]})
    assert_allclose([line.get_xydata() for line in series(ax)], [[[5, 1.5], [10, 0.6]], [[5, 0.1], [10, 0.2]]])
    assert [band.get_paths()[0].vertices[:, 1].max() for band in ax.collections] == [2.0]
    own = plots.plot_lines({"a": [3, 4], "b": [8, 9]}, pd.DataFrame({"a": [1, 2], "b": [1, 2]}))
    assert_array_equal([line.get_xdata() for line in series(own)], [[3, 4], [8, 9]])
    assert_array_equal(series(plots.plot_lines(None, {"a": [1, 2]}))[0].get_xdata(), [0, 1])
    diagonal, one, two = DRAWN["points"]().lines
    assert (diagonal.get_slope(), one.get_linestyle(), two.get_linestyle()) == (1, "None", "None")


def test_marks_stand_apart_on_the_page_and_not_in_the_data_and_every_bar_is_in_sight():
    spread = {"one": [0.5, 4.0], "two": [[0.1, 0.1], [0.2, 9.0]]}
    ax = plots.plot_lines([8, 16], PAIR, spread=spread, apart=9, xscale="log")
    ax.figure.canvas.draw()
    assert_array_equal([line.get_xdata() for line in series(ax)], [[8, 16]] * 2)
    at = [line.get_transform().transform((8, 1.0))[0] for line in series(ax)]
    assert_allclose(at[1] - at[0], 9 * ax.figure.dpi / 72)
    (low, high), plain = ax.get_ylim(), plots.plot_lines([8, 16], PAIR, apart=9).get_ylim()
    assert low < -1.0 < 0.5 < plain[0] and plain[1] < 6.0 < 14.0 < high  # the control: no bars


def test_bars_have_their_lengths_side_by_side_or_behind_each_other_and_the_base_model_is_hollow():
    beside = DRAWN["bars"](write="{:,.0f}".format, roles=("ia3", "base"))
    drawn = [(bar.get_width(), bar.get_facecolor()[3]) for bar in beside.patches]
    assert (drawn, words(beside.texts)) == ([(1, 1), (3, 1), (2, 0), (5, 0)], ["1", "3", "2", "5"])
    assert np.argsort([bar.get_y() for bar in beside.patches]).tolist() == [0, 2, 1, 3] and beside.yaxis_inverted()
    spans = [(bar.get_x(), bar.get_width()) for bar in DRAWN["bars"](stacked=True).patches]
    assert spans == [(0, 1), (0, 3), (1, 2), (3, 5)]


@pytest.mark.parametrize(("colors", "limits"), [(SEQUENTIAL, (0.0, 1.0)), (DIVERGING, (-1.0, 1.0))])
def test_numbers_in_cells_are_legible_and_a_zero_has_no_sign(colors: str, limits: tuple[float, float]):
    values = np.linspace(*limits, 21)
    ax = plots.plot_cells([values, np.full(21, -0.004)], "ab", [""] * 21, colors=colors, limits=limits)
    for text, value in zip(ax.texts, values, strict=False):
        assert contrast(text.get_color(), ax.images[0].to_rgba(value)) > 4.0
    assert set(words(ax.texts)[21:]) == {"0.00"}


def test_cells_stand_in_their_rows_nan_stays_empty_and_a_diverging_map_around_1_is_lightest_at_1():
    ax = plots.plot_cells(np.where(TABLE == 0.8, np.nan, TABLE), "ab", "xyz", marked=[(0, 1)])
    assert words(ax.texts) == ["0.70", "0.20", "0.10", "0.05", "0.15", ""]
    assert (ax.texts[2].get_position(), ax.patches[0].get_xy()) == ((2, 0), (0.5, -0.5))  # (column, row)
    for limits, lightest in (((0.0, 2.0), 1.0), ((0.0, 4.0), 2.0)):  # the control: limits that are not around 1
        image = plots.plot_cells([[1.0]], "a", "b", colors=DIVERGING, limits=limits).images[0]
        values = np.linspace(*limits, 9)
        assert values[image.to_rgba(values)[:, :3].sum(axis=1).argmax()] == lightest


def test_every_entry_is_a_share_of_its_own_series_or_a_line_from_one():
    edges = [0.5, 0.8, 1.2, 1.5]
    several = series(plots.plot_histogram({"k": [0.6, 1.0, 1.1, 1.0], "v": [1.0, 1.4]}, bins=edges))
    assert_array_equal([one.get_data().values for one in several], [[0.25, 0.75, np.nan], [np.nan, 0.5, 0.5]])
    (alone,) = series(plots.plot_histogram({"k": [1, 3, 0]}, bins=edges, counted=True))
    assert (alone.get_fill(), several[0].get_fill()) == (True, False)
    stems = DRAWN["entries"]().lines[0].get_xydata()
    assert_allclose(stems, [[0, 1.0], [0, 1.4], [0, np.nan], [1, 1.0], [1, 0.2], [1, np.nan]])


def test_a_forest_has_an_interval_in_each_row_a_line_at_0_and_thick_ones_exclude_it():
    zero, *rest = (ax := DRAWN["intervals"]()).lines
    ends, means = [line.get_xdata() for line in rest[::2]], [line.get_xdata()[0] for line in rest[1::2]]
    assert_array_equal(np.c_[means, ends], [*DIFFERENCES.values()])
    assert_array_equal([line.get_ydata()[0] for line in rest], [0, 0, 1, 1, 2, 2])
    head, full, lora = (line.get_linewidth() for line in rest[::2])
    assert head == lora > full and set(zero.get_xdata()) == {0} and ax.yaxis_inverted()
    assert words(ax.get_yticklabels()) == ["head only", "full", "lora-r4-qv"]
    assert words(ax.texts)[2] == "\u22120.050 (\u22120.080 to \u22120.020)"


def test_the_plane_shows_points_and_images_where_they_are_hollow_before_and_filled_after():
    circle, image, *marks = (ax := DRAWN["circle"](role="lora")).get_lines()[2:]
    assert_array_equal([circle.get_xydata(), image.get_xydata()], [CIRCLE, IMAGE])
    assert (image.get_color(), ax.get_aspect()) == (figure_color("lora"), 1.0)
    assert [(mark.get_marker(), mark.get_markerfacecolor() == "none") for mark in marks[:2]] == [("o", 1), ("o", 0)]
    assert_array_equal([mark.get_xydata()[0] for mark in marks[1::2]], IMAGE[:2])
    assert_array_equal([cloud.get_offsets() for cloud in ax.collections], [CIRCLE, IMAGE])
    arrows = [text for text in DRAWN["vectors"]().texts if text.arrow_patch is not None]
    assert [tuple(arrow.xy) for arrow in arrows] == [(1.0, 0.0), (1.8, 0.3), (0.0, 1.0), (-0.2, 0.5)]
    assert {tuple(arrow.get_position()) for arrow in arrows} == {(0.0, 0.0)}
    (contours,) = (artist for artist in DRAWN["scores"]().collections if hasattr(artist, "levels"))
    lines = [(level, path.vertices.T) for level, path in zip(contours.levels, contours.get_paths(), strict=True)]
    for level, (x, y) in lines[1:-1]:
        assert_allclose(y + 2.0 * x, level, atol=1e-9)  # scores[row, column]: the row is coordinate 2


def test_a_diagram_marks_each_place_where_a_vector_multiplies_in_text_for_a_phone():
    roles = [mpl.colors.to_rgba(figure_color(role)) for role in ("k", "v", "ff")]
    for crossed, attentions in ((False, 1), (True, 2)):
        ax = plots.plot_rescaling_places(cross_attention=crossed)
        faces = [one.get_facecolor() for one in ax.patches if one.get_fill()]
        assert [faces.count(role) for role in roles] == [attentions, attentions, 1]
        assert (words(ax.texts).count("$x$"), words(ax.texts).count("$c$")) == (1, attentions - 1)
        assert min(text.get_fontsize() for text in ax.texts if text.get_text()) >= 12
    ax = plots.plot_feed_forward_places([(f"place {i}", i, (1, 8)) for i in (0, 1, 3, 2)])
    layers = sorted({patch.get_x() for patch in ax.patches})
    assert [sum(layer < line.get_xdata()[0] for layer in layers) for line in ax.lines] == [0, 1, 3, 2]
    assert [line.get_marker() for line in ax.lines] == ["X", "X", "X", "o"]
