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
