"""The sentence dial: one slider from the frozen model to the adapted one, and what it makes of a sentence."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from traitlets import Dict, Int

from ia3_lab.plots import plot_cells, plot_lines
from ia3_lab.style import FIGURE_WIDTH
from ia3_lab.widgets.base import BookWidget, Number

#: What `scripts/make_dial.py` computed, and the values of t at which it did.
DATA = Path(__file__).parent.parent / "data" / "dial.json"
STOPS = np.linspace(0, 1, 21).round(2).tolist()


class SentenceDial(BookWidget):
    """Turn t from 0 to 1, ``l(t) = 1 + t * (l - 1)``, and see a sentence's label and one head's attention follow.

    Every number shown is from a run of all-MiniLM-L6-v2 with the vectors of one training run; nothing is interpolated.

    Parameters
    ----------
    t : float, from 0 (vectors of ones) to 1 (the learned vectors), in steps of 0.05
    story : int, from 0 to 2
        Which of the three sentences is read.
    """

    data = Dict(read_only=True).tag(sync=True, shown=False)
    t = Number(0.0, min=0, max=1).tag(sync=True)
    story = Int(0, min=0, max=2).tag(sync=True)

    def __init__(self, **traits: Any) -> None:
        self.set_trait("data", json.loads(DATA.read_text("utf8")))
        super().__init__(**traits)

    def figure(self) -> tuple[Figure, str]:
        """Return one word's attention, frozen and adapted, beside the probability on the way."""
        story = self.data["stories"][self.story]
        tokens, rows, word = story["tokens"], story["attention"], story["tokens"][story["word"]]
        figure = Figure(figsize=(FIGURE_WIDTH, 2.6))
        left, right = figure.subplots(1, 2, width_ratios=(3, 2))
        plot_cells([rows[0], rows[-1]], ["frozen", "adapted"], tokens, ax=left, title=f"what “{word}” looks at")
        plot_lines(
            STOPS, {"P(positive)": story["probability"]}, ax=right, xlabel="frozen (0) to adapted (1)", ylim=(0, 1)
        )
        first, last = story["probability"][0], story["probability"][-1]
        return figure, f"“{' '.join(tokens[1:-1])}”: P(positive) is {first:.2f} frozen and {last:.2f} adapted"
