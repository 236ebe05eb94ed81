"""Colors, looks of methods, figure settings and number formats: the only place where a color is written.

Every color has a role, not a hue. Widgets follow the page's theme, so each role has a light and a dark value. A figure
may land on any page, so each role has one more value, of middle luminance; where the site's build finds it in a figure,
it puts the light or the dark one in its place. (``data/book.mplstyle`` repeats some of them; a test compares.)
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple


class Color(NamedTuple):
    """One role's color on a light page, on a dark page, and in a figure that may land on either: no two share that."""

    light: str
    dark: str
    figure: str


#: role -> color. ``base`` is the frozen model, ``k``/``v``/``ff`` the three rescaling vectors.
PALETTE: Mapping[str, Color] = MappingProxyType(
    {
        "text": Color("#1b1f24", "#e9ebee", "#7b7b7b"),
        "muted": Color("#59606a", "#a9b1bb", "#7c7c7c"),
        "grid": Color("#d9dde2", "#3c434c", "#8f8f8f"),
        "surface": Color("#ffffff", "#1d232b", "#fefefe"),
        "raised": Color("#f4f6f8", "#262d37", "#fdfdfd"),
        "base": Color("#6a707a", "#a4abb5", "#7a7a7a"),
        "ia3": Color("#0b57d0", "#8ab4f8", "#2f7fe0"),
        "lora": Color("#b0470a", "#ffb07a", "#d9651a"),
        "k": Color("#00696b", "#5fd3d0", "#0f8f8f"),
        "v": Color("#98287b", "#f29ad0", "#c2509f"),
        "ff": Color("#3d6c14", "#a5d46a", "#5b9427"),
        "good": Color("#1a7f37", "#6fd08c", "#2b9348"),
        "bad": Color("#b3261e", "#ff8a80", "#d64a42"),
    }
)

#: Colormaps for attention weights and the like, and for signed changes, whose light middle is no change.
SEQUENTIAL, DIVERGING = "Blues", "RdBu_r"
#: The two sides of a picture that sorts points, negative and positive, on any page: they differ in gray as well.
BLUE, ORANGE = "#1f6fc0", "#ef8c22"
#: Markers and line styles, in matplotlib's words, so that no series is told apart by color alone.
MARKERS = ("o", "s", "^", "D", "v", "P")
LINES = ("-", "--", "-.", ":")


class MethodStyle(NamedTuple):
    """How one method looks, in figures and in widgets alike: line and marker are matplotlib's words."""

    role: str
    line: str
    marker: str
    filled: bool = True


#: method -> style, in the order in which methods are listed; no two share both mark and filling. All of LoRA has one
#: color: there the mark says which matrices are adapted, and the filling says the rank.
METHOD_STYLES: Mapping[str, MethodStyle] = MappingProxyType(
    {
        "head": MethodStyle("muted", ":", "X"),
        "ia3": MethodStyle("ia3", "-", "o"),
        "lora-r1-qv": MethodStyle("lora", ":", "s", filled=False),
        "lora-r4-qv": MethodStyle("lora", "--", "s"),
        "lora-r1-kvff": MethodStyle("lora", "-.", "^", filled=False),
        "lora-r4-kvff": MethodStyle("lora", "-", "^"),
        "bitfit": MethodStyle("k", "-.", "D"),
        "layernorm": MethodStyle("v", "--", "v"),
        "full": MethodStyle("base", "-", "P"),
        "ia3-linear": MethodStyle("ia3", "--", "o", filled=False),
    }
)
#: Widths of a figure in inches: the site's text column, and what a phone shows whole with text of 11 pixels and more.
FIGURE_WIDTH, CHART_WIDTH = 7.2, 5.0
#: The figures' settings, ``data/book.mplstyle``, by the name under which ``matplotlib.style`` finds them.
STYLE = "ia3_lab.data.book"


def figure_color(role: str) -> str:
    """Return the color of a role, a key of ``PALETTE``, in figures: readable on a light and on a dark page.

    Examples
    --------
    >>> figure_color("ia3")
    '#2f7fe0'
    """
    return PALETTE[role].figure


def theme_css(selector: str) -> str:
    """Return CSS that defines ``--ia3-<role>`` for a selector: light, and under the dark themes that readers meet."""
    light = " ".join(f"--ia3-{role}: {color.light};" for role, color in PALETTE.items())
    dark = " ".join(f"--ia3-{role}: {color.dark};" for role, color in PALETTE.items())
    # of the site, JupyterLab, VS Code and Colab
    themes = ('html[data-theme="dark"]', 'body[data-jp-theme-light="false"]', "body.vscode-dark", 'html[theme="dark"]')
    return f"{selector} {{ {light} }}\n{', '.join(f'{theme} {selector}' for theme in themes)} {{ {dark} }}\n"


def use_style() -> None:
    """Set matplotlib's defaults, for the whole process, to the book's figures; in a notebook, two pixels per point."""
    import matplotlib.style

    matplotlib.style.use(STYLE)
    try:
        from IPython import get_ipython
        from matplotlib_inline.backend_inline import set_matplotlib_formats
    except ImportError:
        return
    if get_ipython() is not None:
        set_matplotlib_formats("retina")


def format_bytes(count: float) -> str:
    """Write a number of bytes with three significant digits in B, kB, MB, GB or TB, where 1 MB is 10^6 bytes.

    Examples
    --------
    >>> format_bytes(2_457_600)
    '2.46 MB'
    """
    rounded = float(f"{count:.3g}")  # first, so that 999,999 becomes 1.00 MB and not 1000 kB
    for unit, size in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if rounded >= size:
            value = rounded / size
            return f"{value:.{2 if value < 10 else 1 if value < 100 else 0}f} {unit}"
    return f"{rounded:.0f} B"
