"""The adaptation dial: turn t from the frozen encoder to the adapted one and watch a sentence's attention change."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import traitlets
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from ia3_lab.plots import plot_cells, plot_lines
from ia3_lab.style import DIVERGING, FIGURE_WIDTH, SEQUENTIAL, figure_color
from ia3_lab.widgets.base import BookWidget, Number


class Story(NamedTuple):
    """One sentence at several values of t, as a model computed it: ``l(t) = 1 + t * (l - 1)``."""

    tokens: Sequence[str]  # n of them
    t: ArrayLike  # shape (T,), rising from 0 (vectors of ones) to 1 (the learned vectors)
    probability: ArrayLike  # of the second label, shape (T,)
    attention: ArrayLike  # shape (T, layers, heads, n, n); row i is what token i looks at, and sums to 1
    truth: str = ""  # the right label, where there is one
    note: str = ""  # what to say about this sentence


class AdaptationDial(BookWidget):
    """Turn t from 0 to 1, ``l(t) = 1 + t * (l - 1)``, and see P(label) and any head's attention, token by token.

    Between the stored values of t the widget interpolates linearly and says so. Attention is kept in steps of 1 / 255.

    Parameters
    ----------
    stories : sequence of Story
        The sentences, all from the same model.
    labels, note
        The two classes, of which probabilities are those of the second; and where the numbers come from.
    t, story, layer, head, query, change
        What is shown, counted from 0; t from 0 to 1. ``query`` is the token whose row is drawn, in a shorter sentence
        the last one; ``change`` shows the difference from t = 0. Left out: the head and the row that change most.
    """

    stories = traitlets.List(read_only=True).tag(sync=True, shown=False)
    maps = traitlets.Bytes(read_only=True).tag(sync=True, shown=False)
    shape = traitlets.Tuple(read_only=True).tag(sync=True, shown=False)
    labels = traitlets.Tuple(default_value=("negative", "positive")).tag(sync=True, shown=False)
    note = traitlets.Unicode().tag(sync=True, shown=False)
    t = Number(0.0, min=0, max=1).tag(sync=True)
    story, layer, head, query = (traitlets.Int(0, min=0).tag(sync=True) for _ in range(4))
    change = traitlets.Bool(False).tag(sync=True)

    def __init__(self, stories: Sequence[Story], **traits: Any) -> None:
        self._attention = [np.asarray(story.attention, dtype=float) for story in stories]
        self.set_trait("shape", self._attention[0].shape[1:3])
        self.set_trait("stories", [self._described(*pair) for pair in zip(stories, self._attention, strict=True)])
        self.set_trait("maps", b"".join(np.rint(255 * maps).astype(np.uint8).tobytes() for maps in self._attention))
        first, *_, last = self._attention[traits.get("story", 0)]
        moved = np.abs(last - first).sum(axis=-1)  # (layers, heads, n)
        place = np.unravel_index(moved.sum(axis=-1).argmax(), self.shape)
        layer, head = (int(traits.get(name, i)) for name, i in zip(("layer", "head"), place, strict=True))
        super().__init__(**{"layer": layer, "head": head, "query": int(moved[layer, head].argmax())} | traits)

    def _described(self, story: Story, maps: np.ndarray) -> dict[str, Any]:
        """Return what goes with the maps, and refuse a story that the script would misread in silence."""
        t, n = np.asarray(story.t, dtype=float), len(story.tokens)
        shape = (len(t), *self.shape, n, n)
        if maps.shape != shape or not np.allclose(maps.sum(axis=-1), 1, atol=1e-3):
            raise traitlets.TraitError(f"attention must have shape {shape} and rows that sum to 1, got {maps.shape}.")
        if t[0] != 0 or t[-1] != 1 or (np.diff(t) <= 0).any():
            raise traitlets.TraitError(f"t must rise from 0 to 1, got {t.tolist()}.")
        moved = np.abs(maps[-1] - maps[0]).sum(axis=-1).mean(axis=-1) / 2  # the share that ends up elsewhere
        numbers = {"t": t, "probability": np.round(story.probability, 4), "moved": moved.round(4)}
        words = {"tokens": list(story.tokens), "truth": story.truth, "note": story.note}
        return words | {name: values.tolist() for name, values in numbers.items()}

    def figure(self) -> tuple[Figure, str]:
        """Return the attention map beside the curve of the probability, and the chosen row in words."""
        story, maps = self.stories[self.story], self._attention[self.story][:, self.layer, self.head]
        tokens, name = story["tokens"], f"P({self.labels[1]})"
        weights = np.apply_along_axis(lambda one: np.interp(self.t, story["t"], one), 0, maps) - self.change * maps[0]
        weights = weights.round(2) + 0.0  # no negative zero
        probability, query = np.interp(self.t, story["t"], story["probability"]), min(self.query, len(tokens) - 1)
        look = {"colors": DIVERGING, "limits": (-1, 1)} if self.change else {"colors": SEQUENTIAL}
        title = f"Layer {self.layer}, head {self.head}, t = {self.t:.2f}: {'change of ' * self.change}attention"
        drawn = Figure(figsize=(FIGURE_WIDTH, 3.8))
        left, right = drawn.subplots(1, 2, width_ratios=(3, 2))
        plot_cells(weights, tokens, tokens, **look, ax=left, title=title)
        plot_lines(story["t"], {name: story["probability"]}, ax=right, xlabel="t (0: frozen, 1: adapted)", ylim=(0, 1))
        right.plot(self.t, probability, "o", markersize=13, fillstyle="none", color=figure_color("ia3"))
        row = ", ".join(f"{token} {value:.2f}" for token, value in zip(tokens, weights[query], strict=True))
        return drawn, f"{title}; {name} = {probability:.2f}. The row of {tokens[query]}: {row}."
