"""Colors are readable where they are used, methods are told apart in gray, and numbers are written as the book does."""

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest

from ia3_lab import style
from ia3_lab.style import METHOD_STYLES, PALETTE, figure_color

#: the two page backgrounds of the site's theme
LIGHT_PAGE, DARK_PAGE = "#ffffff", "#14181e"


def contrast(*colors: str) -> float:
    """Return the contrast of two colors as WCAG 2 defines it: 1 (none) to 21."""
    channels = np.array([mpl.colors.to_rgb(color) for color in colors])
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    dim, bright = sorted(linear @ (0.2126, 0.7152, 0.0722))
    return (bright + 0.05) / (dim + 0.05)


@pytest.mark.parametrize("role", [role for role in PALETTE if role not in ("grid", "surface", "raised")])
def test_a_color_reaches_text_contrast_in_widgets_and_is_visible_in_figures_on_both_pages(role: str) -> None:
    color, surface = PALETTE[role], PALETTE["surface"]
    assert min(contrast(color.light, surface.light), contrast(color.dark, surface.dark)) >= 4.5
    assert min(contrast(figure_color(role), page) for page in (LIGHT_PAGE, DARK_PAGE)) >= 3.0
    assert contrast(PALETTE["text"].light, DARK_PAGE) < 3.0  # the control: a color that vanishes on the dark page


def test_figures_are_transparent_and_have_the_colors_of_the_palette_after_use_style() -> None:
    with mpl.rc_context():
        style.use_style()
        set_to = mpl.rcParams.copy()
        assert mpl.colors.to_rgba(plt.figure().get_facecolor())[3] == 0
    assert set_to["savefig.facecolor"] == set_to["axes.facecolor"] == "none"
    names = ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "legend.labelcolor")
    assert {mpl.colors.to_hex(set_to[name]) for name in names} == {figure_color("text")}
    assert mpl.colors.to_hex(set_to["grid.color"]) == figure_color("grid")
    cycle = [figure_color(role) for role in ("ia3", "lora", "k", "v", "ff", "base")]
    assert set_to["axes.prop_cycle"].by_key()["color"] == cycle
    assert (set_to["figure.figsize"][0], set_to["image.cmap"]) == (style.FIGURE_WIDTH, style.SEQUENTIAL)


def test_a_megabyte_is_a_million_bytes() -> None:
    counts = {0: "0 B", 999: "999 B", 999_999: "1.00 MB", 55_296: "55.3 kB", 13.5e9: "13.5 GB", 3e12: "3.00 TB"}
    assert {count: style.format_bytes(count) for count in counts} == counts


def test_no_two_methods_share_mark_and_filling_and_those_of_lora_say_where_and_which_rank() -> None:
    assert {one.line for one in METHOD_STYLES.values()} == set(style.LINES)
    twin = METHOD_STYLES["ia3"]._replace(role="lora", line=":")  # the control: color and line do not tell it apart
    assert len({(one.marker, one.filled) for one in (*METHOD_STYLES.values(), twin)}) == len(METHOD_STYLES) == 9
    lora = {tuple(name.split("-")[1:]): one for name, one in METHOD_STYLES.items() if name.startswith("lora")}
    assert {one.role for one in lora.values()} == {"lora"}
    assert {rank: one.filled for (rank, _), one in lora.items()} == {"r1": False, "r4": True}
    marks = {(where, one.marker) for (_, where), one in lora.items()}
    assert len(marks) == len({marker for _, marker in marks}) == 2
