"""Colors, looks of methods, figure settings and number formats: the only place where a color is written.

Every color has a role, not a hue. Widgets follow the page's theme, so each role has a light and a dark value; figures
are transparent PNG files that must be readable on both pages, so each role has one more value of middle luminance.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import NamedTuple


class Color(NamedTuple):
    """One role's color on a light page, on a dark page, and in a figure that may land on either."""

    light: str
    dark: str
    figure: str


#: role -> color. ``base`` is the frozen model, ``k``/``v``/``ff`` the three rescaling vectors.
PALETTE = MappingProxyType(
    {
        "text": Color("#1b1f24", "#e9ebee", "#7b7b7b"),
        "muted": Color("#59606a", "#a9b1bb", "#7b7b7b"),
        "grid": Color("#d9dde2", "#3c434c", "#8f8f8f"),
        "surface": Color("#ffffff", "#1d232b", "#ffffff"),
        "raised": Color("#f4f6f8", "#262d37", "#ffffff"),
        "base": Color("#6a707a", "#a4abb5", "#7b7b7b"),
        "ia3": Color("#0b57d0", "#8ab4f8", "#2f7fe0"),
        "lora": Color("#b0470a", "#ffb07a", "#d9651a"),
        "k": Color("#00696b", "#5fd3d0", "#0f8f8f"),
        "v": Color("#98287b", "#f29ad0", "#c2509f"),
        "ff": Color("#3d6c14", "#a5d46a", "#5b9427"),
        "good": Color("#1a7f37", "#6fd08c", "#2b9348"),
        "bad": Color("#b3261e", "#ff8a80", "#d64a42"),
    }
)

#: Colormap for nonnegative quantities such as attention weights.
SEQUENTIAL = "Blues"
#: Colormap for signed quantities, such as changes and correlations; its light middle is no change.
DIVERGING = "RdBu_r"
#: Markers and line styles, so that no series is told apart by color alone.
MARKERS = ("o", "s", "^", "D", "v", "P")
LINES = ("-", "--", "-.", ":")


class MethodStyle(NamedTuple):
    """How one method of adapting a model looks, in figures and in widgets alike.

    Parameters
    ----------
    role : str
        The role of its color, a key of ``PALETTE``.
    shape : {"circle", "square", "triangle", "down", "diamond", "plus", "cross"}
        Its mark; ``"down"`` is a triangle on its tip.
    filled : bool
        Whether the mark is filled or hollow.
    line : {"solid", "dashed", "dashdot", "dotted"}
        Its line, in matplotlib's words.
    """

    role: str
    shape: str
    filled: bool
    line: str


#: method -> style, in the order in which methods are listed; no two share both shape and filling. All of LoRA has one
#: color: there the shape says which matrices are adapted, and the filling says the rank.
METHOD_STYLES = MappingProxyType(
    {
        "head": MethodStyle("muted", "cross", True, "dotted"),
        "ia3": MethodStyle("ia3", "circle", True, "solid"),
        "lora-r1-qv": MethodStyle("lora", "square", False, "dotted"),
        "lora-r4-qv": MethodStyle("lora", "square", True, "dashed"),
        "lora-r1-kvff": MethodStyle("lora", "triangle", False, "dashdot"),
        "lora-r4-kvff": MethodStyle("lora", "triangle", True, "solid"),
        "bitfit": MethodStyle("k", "diamond", True, "dashdot"),
        "layernorm": MethodStyle("v", "down", True, "dashed"),
        "full": MethodStyle("base", "plus", True, "solid"),
    }
)
#: Width of a figure in inches: the text column of the site.
FIGURE_WIDTH = 7.2


def figure_color(role: str) -> str:
    """Return the color of a role in figures.

    Parameters
    ----------
    role : str
        A key of ``PALETTE``.

    Returns
    -------
    str
        A hexadecimal color of middle luminance, readable on a light and on a dark page.

    Raises
    ------
    ValueError
        If the role is unknown.

    Examples
    --------
    >>> figure_color("ia3")
    '#2f7fe0'
    """
    if role not in PALETTE:
        raise ValueError(f"unknown color role {role!r}; expected one of {', '.join(sorted(PALETTE))}.")
    return PALETTE[role].figure


def theme_css(selector: str) -> str:
    """Return CSS that defines ``--ia3-<role>`` for light and dark pages.

    Parameters
    ----------
    selector : str
        The element that carries the variables, for example ``".ia3"``.

    Returns
    -------
    str
        Two rules. Dark applies under the site's, JupyterLab's, VS Code's and Colab's dark themes.

    Examples
    --------
    >>> theme_css(".ia3").splitlines()[0].startswith(".ia3 {")
    True
    """
    light = " ".join(f"--ia3-{role}: {color.light};" for role, color in PALETTE.items())
    dark = " ".join(f"--ia3-{role}: {color.dark};" for role, color in PALETTE.items())
    themes = ('html[data-theme="dark"]', 'body[data-jp-theme-light="false"]', "body.vscode-dark", 'html[theme="dark"]')
    return f"{selector} {{ {light} }}\n{', '.join(f'{theme} {selector}' for theme in themes)} {{ {dark} }}\n"


def use_style() -> None:
    """Set matplotlib's defaults for the book's figures: transparent, gray axes, crisp on high-density screens.

    Call it once at the top of a notebook. It changes ``matplotlib.rcParams`` for the whole process, and in a notebook
    it asks for images with two pixels per point.

    Examples
    --------
    >>> use_style()
    """
    import matplotlib as mpl

    gray, roles = PALETTE["text"].figure, ("ia3", "lora", "k", "v", "ff", "base")
    mpl.rcParams.update(
        {
            "figure.figsize": (FIGURE_WIDTH, 3.6),
            "figure.dpi": 100,
            "figure.facecolor": "none",
            "figure.constrained_layout.use": True,
            "axes.facecolor": "none",
            "savefig.facecolor": "none",
            "axes.prop_cycle": mpl.cycler(color=[PALETTE[role].figure for role in roles]),
            **dict.fromkeys(("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"), gray),
            **dict.fromkeys(("axes.titlecolor", "legend.labelcolor"), gray),
            "grid.color": PALETTE["grid"].figure,
            "grid.alpha": 0.35,
            "axes.grid": True,
            "axes.axisbelow": True,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "legend.frameon": False,
            "lines.linewidth": 2.0,
            "font.size": 11.0,
            "axes.titlesize": 12.0,
            "image.cmap": SEQUENTIAL,
        }
    )
    try:
        from IPython import get_ipython
        from matplotlib_inline.backend_inline import set_matplotlib_formats
    except ImportError:
        return
    if get_ipython() is not None:
        set_matplotlib_formats("retina")


def format_count(count: int) -> str:
    """Write a whole number with thousands separators.

    Parameters
    ----------
    count : int
        The number, for example of parameters.

    Returns
    -------
    str
        The digits in groups of three.

    Raises
    ------
    ValueError
        If the number is not whole.

    Examples
    --------
    >>> format_count(614400)
    '614,400'
    """
    if count != int(count):
        raise ValueError(f"expected a whole number, got {count}; round it first.")
    return f"{int(count):,d}"


def format_bytes(count: float) -> str:
    """Write a number of bytes in B, kB, MB, GB or TB, where 1 MB is 10^6 bytes.

    Parameters
    ----------
    count : float
        Bytes.

    Returns
    -------
    str
        Three significant digits and the unit.

    Raises
    ------
    ValueError
        If the number is negative.

    Examples
    --------
    >>> format_bytes(2_457_600)
    '2.46 MB'
    """
    if not count >= 0:
        raise ValueError(f"expected a number of bytes of at least 0, got {count}.")
    rounded = float(f"{count:.3g}")  # first, so that 999,999 becomes 1.00 MB and not 1000 kB
    for unit, size in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if rounded >= size:
            value = rounded / size
            return f"{value:.{2 if value < 10 else 1 if value < 100 else 0}f} {unit}"
    return f"{rounded:.0f} B"
