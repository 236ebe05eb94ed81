"""The volume knobs: a frozen network's twelve pictures, their volumes by hand, and four ways to train it."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from traitlets import Bool, Dict, Enum, Int, List

from ia3_lab.pictures import LEARNED, TASKS, WEIGHTS, make_grid, paint, read_network
from ia3_lab.style import BLUE, FIGURE_WIDTH, ORANGE, figure_color
from ia3_lab.widgets.base import BookWidget, Number

_PICTURES = 12


class VolumeKnobs(BookWidget):
    """Mix twelve frozen pictures by their volumes, or let gradient descent do it in the browser, four ways.

    All that is on show follows from the traits: training is repeated from its start, where volumes are 1.

    Parameters
    ----------
    network : mapping, optional
        As `ia3_lab.pictures.read_network` or `pretrain` return it; left out, the book's.
    task, dots, seed
        What to learn, from how many random dots (20, 50 or 200), of which draw.
    volumes, turned
        The reader's mix, 12 numbers, and which of them was turned last, from 1; 0 if none.
    shown : {"hand", "ia3", "both", "lora", "full"}
        Whose picture is on show: the reader's mix, or that of a method after ``steps`` steps of 600.
    compact : bool
        Show one task, and only IA3 on the last layer.
    """

    task = Enum(LEARNED, "corner").tag(sync=True)
    dots = Enum((20, 50, 200), 50).tag(sync=True)
    seed = Int(1, min=1, max=10_000).tag(sync=True)
    volumes = List(Number(min=-100, max=100), [1.0] * _PICTURES, minlen=_PICTURES, maxlen=_PICTURES).tag(sync=True)
    turned = Int(0, min=0, max=_PICTURES).tag(sync=True)
    shown = Enum(("hand", "ia3", "both", "lora", "full"), "hand").tag(sync=True)
    steps = Int(0, min=0, max=600).tag(sync=True)
    compact = Bool(False).tag(sync=True)
    colors = List(default_value=[BLUE, ORANGE], read_only=True).tag(sync=True, shown=False)
    network = Dict(read_only=True).tag(sync=True, shown=False)

    def __init__(self, network: Mapping[str, Any] | None = None, **traits: Any) -> None:
        book = read_network()
        unnamed = book | {"names": [f"number {i + 1}" for i in range(_PICTURES)], "hands": {}, "tasks": [["", LEARNED]]}
        content = book if network is None else unnamed | dict(network)
        self.set_trait(
            "network", {name: getattr(one, "tolist", lambda one=one: one)() for name, one in content.items()}
        )
        super().__init__(**traits)

    def figure(self) -> tuple[Figure, str]:
        """Return the twelve pictures at the reader's volumes and their sum, and the share that is right."""
        grid, loud = make_grid(40), np.array(self.volumes)
        pictures, z = paint({name: np.array(self.network[name]) for name in WEIGHTS}, grid, loud)
        soft = [values / (1 + np.abs(values)) for values in (1.1 * loud * pictures, 1.6 * z)]
        soft = [(4 * values).round().reshape(40, 40, -1) / 4 for values in soft]  # few colors: a small file
        look = {
            "cmap": LinearSegmentedColormap.from_list("", [BLUE, figure_color("surface"), ORANGE]),
            "vmin": -1,
            "vmax": 1,
        }
        left, right = (drawn := Figure(figsize=(FIGURE_WIDTH, 3.2))).subplots(1, 2, width_ratios=(2, 1))
        tiles = np.pad(soft[0][::2, ::2], ((0, 8), (0, 2), (0, 0)), constant_values=np.nan)  # room for numbers
        left.imshow(tiles.reshape(28, 22, 2, 6).transpose(2, 0, 3, 1).reshape(56, 132), **look)
        for i, volume in enumerate(self.volumes):
            left.text(22 * (i % 6) + 10, 28 * (i // 6) + 24, f"{i + 1}: {volume:.3g}", ha="center", va="center")
        right.imshow(soft[1][..., 0], **look)
        share = np.mean((z > 0) == TASKS[self.task](*grid.T))
        left.set_title("pictures and their volumes")
        right.set_title(f"their sum: {share:.0%} right")
        for ax in (left, right):
            ax.set_axis_off()
        numbers = ", ".join(f"{volume:.3g}" for volume in self.volumes)
        return drawn, f"Twelve pictures at volumes {numbers}. Their sum has {share:.0%} of the {self.task} right."
