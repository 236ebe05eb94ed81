"""Colors are readable where they are used, and numbers are written as the book writes them."""

from __future__ import annotations

import matplotlib as mpl
import matplotlib.pyplot as plt
import pytest

from ia3_lab import style

#: the two page backgrounds of the site's theme
LIGHT_PAGE, DARK_PAGE = "#ffffff", "#14181e"


def luminance(color: str) -> float:
    """Relative luminance as WCAG 2 defines it."""
    channels = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return sum(weight * c for weight, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one: str, other: str) -> float:
    """Contrast ratio as WCAG 2 defines it: 1 (none) to 21."""
    bright, dim = sorted((luminance(one), luminance(other)), reverse=True)
    return (bright + 0.05) / (dim + 0.05)


TEXT_ROLES = [role for role in style.PALETTE if role not in ("grid", "surface", "raised")]


@pytest.mark.parametrize("role", TEXT_ROLES)
def test_widget_colors_reach_text_contrast_on_their_own_surface(role: str) -> None:
    color, surface = style.PALETTE[role], style.PALETTE["surface"]
    assert contrast(color.light, surface.light) >= 4.5
    assert contrast(color.dark, surface.dark) >= 4.5


@pytest.mark.parametrize("role", TEXT_ROLES)
def test_figure_colors_are_visible_on_a_light_and_on_a_dark_page(role: str) -> None:
    color = style.figure_color(role)
    assert min(contrast(color, LIGHT_PAGE), contrast(color, DARK_PAGE)) >= 3.0


def test_the_contrast_check_rejects_a_color_that_vanishes_on_the_dark_page() -> None:
    assert contrast("#1b1f24", DARK_PAGE) < 3.0


def test_an_unknown_role_is_refused_and_the_known_ones_are_named() -> None:
    with pytest.raises(ValueError, match=r"unknown color role 'blue'.*ia3.*lora"):
        style.figure_color("blue")


def test_figures_are_transparent_after_use_style() -> None:
    with mpl.rc_context():
        style.use_style()
        figure = plt.figure()
        assert mpl.colors.to_rgba(figure.get_facecolor())[3] == 0
        plt.close(figure)


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (999_999, "1.00 MB"),
        (55_296, "55.3 kB"),
        (2_457_600, "2.46 MB"),
        (13.5e9, "13.5 GB"),
        (3e12, "3.00 TB"),
    ],
)
def test_a_megabyte_is_a_million_bytes(count: float, text: str) -> None:
    assert style.format_bytes(count) == text


@pytest.mark.parametrize("count", [-1, float("nan")])
def test_bytes_that_are_no_amount_are_refused(count: float) -> None:
    with pytest.raises(ValueError, match="at least 0"):
        style.format_bytes(count)


def test_a_count_is_whole() -> None:
    assert style.format_count(614_400.0) == "614,400"
    with pytest.raises(ValueError, match="whole number"):
        style.format_count(2.5)


def test_the_diverging_colormap_is_lightest_in_the_middle_and_differs_at_its_ends() -> None:
    colors = [mpl.colors.to_hex(mpl.colormaps[style.DIVERGING](place)) for place in (0.0, 0.25, 0.5, 0.75, 1.0)]
    light = [luminance(color) for color in colors]
    assert light[0] < light[1] < light[2] > light[3] > light[4]
    red, blue = ([int(color[i : i + 2], 16) for i in (1, 5)] for color in (colors[-1], colors[0]))
    assert red[0] > red[1] and blue[0] < blue[1]


def looks(styles) -> set[tuple[str, bool]]:
    """Return what is left of some styles in gray: shape and filling."""
    return {(one.shape, one.filled) for one in styles}


def test_every_method_has_a_style_and_no_other_name_has_one() -> None:
    from ia3_lab.methods import METHODS

    assert list(style.METHOD_STYLES) == list(METHODS)
    assert {one.role for one in style.METHOD_STYLES.values()} <= set(style.PALETTE)


def test_no_two_methods_share_shape_and_filling() -> None:
    styles = [*style.METHOD_STYLES.values()]
    assert len(looks(styles)) == len(styles) == 9
    twin = style.METHOD_STYLES["ia3"]._replace(role="lora", line="dotted")
    assert len(looks([*styles, twin])) == 9  # the control: another color and line do not tell it apart


def test_lora_has_one_color_its_shape_says_where_and_its_filling_says_the_rank() -> None:
    lora = {tuple(name.split("-")[1:]): one for name, one in style.METHOD_STYLES.items() if name.startswith("lora")}
    assert {one.role for one in lora.values()} == {"lora"}
    assert len({one.line for one in lora.values()}) == 4
    assert {rank: one.filled for (rank, _), one in lora.items()} == {"r1": False, "r4": True}
    assert lora["r1", "qv"].shape == lora["r4", "qv"].shape != lora["r1", "kvff"].shape == lora["r4", "kvff"].shape
