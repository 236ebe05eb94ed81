"""Diagrams of where the vectors multiply: in a transformer block, in a feed-forward network."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from matplotlib.axes import Axes
from matplotlib.patches import FancyBboxPatch

from ia3_lab.plots.charts import axes_for
from ia3_lab.style import FIGURE_WIDTH, figure_color

#: Height of one attention with the gap above it.
_ATTENTION_HEIGHT = 4.3
#: The four places on the way through a feed-forward network: x, after W_1, after the activation, after W_2.
_STATIONS = (1.0, 4.4, 7.8, 11.2)


def plot_rescaling_places(*, cross_attention: bool = False, ax: Axes | None = None, **axes: Any) -> Axes:
    """Draw a transformer block as a column of steps, with a colored pill at each multiplication by a learned vector.

    A decoder block has ``cross_attention`` to the encoder's output as well: five pills instead of three.

    Examples
    --------
    >>> sum(text.get_fontsize() == 16 for text in plot_rescaling_places().texts)
    3
    """
    contexts = ["x", "c"] if cross_attention else ["x"]
    height = _ATTENTION_HEIGHT * len(contexts) + 3.1
    ax = axes_for(ax, FIGURE_WIDTH, 0.68 * height)
    ax.set_axis_off()
    _text(ax, 5.0, 0.2, "$x$")
    for i, context in enumerate(contexts):
        _draw_attention(ax, 0.8 + i * _ATTENTION_HEIGHT, context)
    _draw_feed_forward(ax, 0.8 + _ATTENTION_HEIGHT * len(contexts))
    ax.set(**{"xlim": (0, 10), "ylim": (0, height), **axes})
    return ax


def plot_feed_forward_places(
    places: Sequence[tuple[str, int, tuple[int, ...]]], *, ax: Axes | None = None, **axes: Any
) -> Axes:
    """Draw x -> W_1 -> GELU -> W_2 once for each place, with a mark where the rescaling vector multiplies.

    A place is a label, the position 0 (before W_1), 1 (after W_1), 2 (after GELU) or 3 (after W_2), and the vector's
    shape; the last place is the paper's.
    """
    ax = axes_for(ax, FIGURE_WIDTH, 0.2 + 1.3 * len(places))
    for row, (label, position, shape) in enumerate(places):
        y, right = -2.2 * row, row == len(places) - 1
        _text(ax, 0.0, y + 0.95, label + ("  (the paper's $l_{ff}$)" if right else ""), ha="left", fontsize=12)
        _draw_chain(ax, y)
        color = figure_color("ff" if right else "bad")
        mark = {
            "marker": "o" if right else "X",
            "markersize": 13,
            "color": color,
            "markeredgecolor": figure_color("surface"),
        }
        ax.plot(_STATIONS[position], y, linestyle="none", zorder=4, **mark)
        _text(ax, _STATIONS[position], y - 0.5, rf"$\odot$ {shape}", color=color, va="top", fontsize=12)
    ax.set_axis_off()
    ax.set(**{"xlim": (-0.5, 12.4), "ylim": (-2.2 * (len(places) - 1) - 1.2, 1.4), **axes})
    return ax


def _draw_attention(ax: Axes, floor: float, context: str) -> None:
    """Draw queries, keys and values side by side, the pills over keys and values, and the step that mixes them."""
    _frame(ax, floor, 3.6, "cross-attention" if context == "c" else "self-attention")
    if context == "c":
        _text(ax, 9.5, floor + 3.3, "$c$: the encoder's output", ha="right")
        _text(ax, 6.55, floor - 0.4, "$c$")
    for x, name, source in ((1.9, "q", "x"), (5.0, "k", context), (8.1, "v", context)):
        _box(ax, x, floor + 0.6, f"${name} = {source}W_{name}$")
        _arrow(ax, (6.55, floor - 0.2) if source == "c" else (5.0, floor - 0.35), (x, floor + 0.3))
        if name != "q":
            _pill(ax, x, floor + 1.55, name)
        for start, end in ((0.9, 2.2),) if name == "q" else ((0.9, 1.25), (1.85, 2.2)):
            _arrow(ax, (x, floor + start), (x, floor + end))
    formula = r"softmax$(q\,(l_k\odot k)^\top/\sqrt{d_{head}})\,(l_v\odot v)$,  then $W_o$"
    _box(ax, 5.0, floor + 2.5, formula, 9.0)
    _arrow(ax, (5.0, floor + 2.8), (5.0, floor + _ATTENTION_HEIGHT - 0.35))


def _draw_feed_forward(ax: Axes, floor: float) -> None:
    y = floor + 0.75
    _frame(ax, floor, 1.9, "feed-forward")
    _box(ax, 1.9, y, r"$h = \gamma(xW_1)$")
    _pill(ax, 5.0, y, "ff")
    _box(ax, 8.1, y, r"$(l_{ff}\odot h)\,W_2$")
    _arrow(ax, (5.0, floor - 0.35), (1.9, y - 0.3))
    for start, end in (((3.3, y), (4.05, y)), ((5.95, y), (6.7, y)), ((8.1, y + 0.3), (8.1, floor + 2.2))):
        _arrow(ax, start, end)


def _draw_chain(ax: Axes, y: float) -> None:
    """Draw the three layers at height y, with an arrow into each and one out."""
    middles = [(start + stop) / 2 for start, stop in pairwise(_STATIONS)]
    for x, name in zip(middles, ("$W_1$\nlin1", "GELU", "$W_2$\nlin2"), strict=True):
        _box(ax, x, y, name, 1.6, 1.1, fontsize=12)
    for start, stop in zip([-0.1, *(x + 0.8 for x in middles)], [*(x - 0.8 for x in middles), 12.3], strict=True):
        _arrow(ax, (start, y), (stop, y), shrinkA=0, shrinkB=0)
    _text(ax, -0.2, y, "$x$", ha="right", fontsize=12)


def _frame(ax: Axes, floor: float, height: float, name: str) -> None:
    _box(ax, 5.0, floor + height / 2, "", 9.6, height)
    _text(ax, 0.5, floor + height - 0.3, name, ha="left", weight="bold")


def _pill(ax: Axes, x: float, y: float, vector: str) -> None:
    shape = FancyBboxPatch((x - 0.95, y - 0.3), 1.9, 0.6, boxstyle="round,pad=0,rounding_size=0.3")
    ax.add_patch(shape).set(facecolor=figure_color(vector), edgecolor="none")
    _text(ax, x, y, rf"$\odot\ l_{{{vector}}}$", color=figure_color("surface"), fontsize=16, weight="bold")


def _box(ax: Axes, x: float, y: float, text: str, width: float = 2.8, height: float = 0.6, **style: Any) -> None:
    shape = FancyBboxPatch((x - width / 2, y - height / 2), width, height, boxstyle="round,pad=0,rounding_size=0.1")
    ax.add_patch(shape).set(fill=False, edgecolor=figure_color("base"))
    _text(ax, x, y, text, **style)


def _arrow(ax: Axes, start: tuple[float, float], end: tuple[float, float], **ends: float) -> None:
    ax.annotate("", end, start, arrowprops={"arrowstyle": "->", "color": figure_color("text"), "lw": 1.2, **ends})


def _text(ax: Axes, x: float, y: float, text: str, **style: Any) -> None:
    ax.text(x, y, text, **{"ha": "center", "va": "center", "fontsize": 14, **style})  # 14: legible on a phone
