"""What a figure is made of, its drawing and its numbers: an extension that `execute.py` loads into chapters' kernels.

Lines, marks, bars, steps and cells are data, the ends of error bars and the borders of areas as well; what spans the
axes, arrows and words are not. Columns have the names that the axes have.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

MAX_ROWS = 5_000


def load_ipython_extension(shell: Any) -> None:
    """Give out the drawing and the table beside the picture of each figure that a cell shows."""
    formatter = shell.display_formatter.mimebundle_formatter
    formatter.for_type_by_name("matplotlib.figure", "Figure", source)


def source(figure: Figure, **_: Any) -> dict[str, str]:
    """The drawing and the table of a figure by their kinds."""
    from ia3_lab.figures import to_svg

    return {"image/svg+xml": to_svg(figure), "text/csv": to_csv(figure)}


def to_csv(figure: Figure) -> str:
    """The table of a figure, "" where there is none, and a word for it where it would be too long."""
    rows = [(plain(ax.get_title()), *row) for ax in figure.axes for row in points(ax)]
    if len(rows) > MAX_ROWS:
        return f"more than {MAX_ROWS:,} points"
    labels = {axis: {plain(getattr(ax, f"get_{axis}label")()) for ax in figure.axes} - {""} for axis in "xy"}
    x, y = (found.pop() if len(found) == 1 else axis for axis, found in labels.items())
    rows = [("panel", "series", x, y, "value"), *rows] if rows else []
    used = [column for column in zip(*rows, strict=True) if any(column[1:])]
    csv.writer(file := io.StringIO(), lineterminator="\n").writerows(zip(*used, strict=True))
    return file.getvalue()


def points(ax: Axes) -> Iterator[tuple[str, str, str, str]]:
    """Series, x, y, and of a cell its value, of every point that axes show."""
    import numpy as np
    from matplotlib.collections import Collection, PathCollection
    from matplotlib.lines import Line2D
    from matplotlib.patches import StepPatch

    names = {part: box.get_label() for box in ax.containers for part in box.get_children()}
    across = (ax.get_xaxis_transform("grid"), ax.get_yaxis_transform("grid"))
    for one in (*ax.lines, *ax.collections, *ax.patches):
        name, at = plain(names.get(one, one.get_label())), []
        if isinstance(one, PathCollection):
            at = one.get_offsets()
        elif isinstance(one, Collection):
            at, name = np.concatenate([path.vertices for path in one.get_paths()]), f"{name} (ends)".strip()
        elif isinstance(one, StepPatch):
            at = np.c_[one.get_data().edges[:-1], one.get_data().values]
        elif isinstance(one, Line2D):
            if type(one) is Line2D and one.get_transform() not in across and one.get_marker() != "_":  # an end's cap
                at = one.get_xydata()
        elif one in names:
            at = [(one.get_width(), np.rint(one.get_y() + one.get_height() / 2))]
        at = np.reshape(at, (-1, 2))
        for place in zip(*map(words, (ax.xaxis, ax.yaxis), at[np.isfinite(at).all(axis=1)].T), strict=True):
            yield name, *place, ""
    for image in ax.images:
        rows, columns = map(words, (ax.yaxis, ax.xaxis), map(range, image.get_size()))
        for (i, j), value in np.ndenumerate(np.ma.filled(image.get_array(), np.nan)):
            yield "", columns[j], rows[i], f"{value:.6g}"


def words(axis: Axis, values: Iterable[float]) -> list[str]:
    """Numbers as text, or what the axis writes in their places if it names them all."""
    from matplotlib.ticker import FixedLocator

    places = axis.get_majorticklocs() if isinstance(axis.get_major_locator(), FixedLocator) else []
    named = dict(zip(places, axis.get_major_formatter().format_ticks(places), strict=True))
    every = all(named.get(value) for value in values)
    return [plain(named[value]) if every else f"{value:.6g}" for value in values]


def plain(label: str) -> str:
    """A label without the marks of a formula; what matplotlib has named itself has no name."""
    return "" if label.startswith("_child") else re.sub(r"[$\\{}]|^_", "", label.replace("\n", " "))
