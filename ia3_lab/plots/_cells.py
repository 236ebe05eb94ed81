"""Tables as colored cells with text in them: attention weights, correlations, changes of heads."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ia3_lab.style import SEQUENTIAL

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from matplotlib.axes import Axes
    from numpy.typing import NDArray


def draw_cells(
    ax: Axes,
    table: NDArray[np.float64],
    write: Callable[[float], str],
    *,
    colors: str = SEQUENTIAL,
    limits: tuple[float, float] = (0.0, 1.0),
    dark: float = 0.6,
    **style: object,
) -> None:
    """Draw a cell for each number and what ``write`` makes of it, in white from ``dark`` of the scale on.

    Cells of NaN stay empty, and so do those for which ``write`` returns no text.
    """
    low, high = limits
    ax.imshow(table, cmap=colors, vmin=low, vmax=high, aspect="auto")
    for (i, j), value in np.ndenumerate(table):
        text = "" if np.isnan(value) else write(value)
        if text:
            ink = "white" if abs(value) > dark * high else "black"
            ax.text(j, i, text, ha="center", va="center", color=ink, **style)
    ax.grid(False)


def name_cells(ax: Axes, rows: Sequence[str], columns: Sequence[str], *, rotation: float, **style: object) -> None:
    """Write names beside the rows and, turned, under the columns."""
    turned = {"rotation": rotation, "rotation_mode": "anchor", "ha": "right"}
    ax.set_xticks(range(len(columns)), columns, **turned, **style)
    ax.set_yticks(range(len(rows)), rows, **style)


def short(value: float) -> str:
    """Write .25 for 0.25, and 1.0 for what rounds to one."""
    text = f"{value:.2f}"
    return text[1:] if text.startswith("0") else "1.0"
