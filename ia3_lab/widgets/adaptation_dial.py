"""The adaptation dial: turn t from the frozen encoder to the adapted one and watch a sentence's attention change."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

import numpy as np
import traitlets
from traitlets import TraitError

from ia3_lab.style import figure_color
from ia3_lab.widgets._base import BookWidget
from ia3_lab.widgets._dial_data import LEVELS, Story, as_dict, pack, quantize


class AdaptationDial(BookWidget):
    """Turn t from 0 to 1, ``l(t) = 1 + t * (l - 1)``, and see P(label) and any head's attention, token by token.

    Between the stored values of t the widget interpolates linearly and says so. Attention is kept in steps of
    1 / 255 = 0.004 (see `quantize`), probabilities with four decimals.

    Parameters
    ----------
    stories : sequence of Story
        The sentences, all from the same model.
    labels : tuple of str
        The two classes; probabilities are those of the second.
    note : str
        Where the numbers come from.
    t : float, from 0 to 1
    story, layer, head : int
        What is shown, each counted from 0. Without `layer` and `head`: the head that changes most.
    query : int
        The token whose row is drawn; in a sentence with fewer tokens, the last. When left out: the row that changes
        most.
    change : bool
        Show the difference from t = 0 in place of the attention.

    Raises
    ------
    traitlets.TraitError
        If there is no story, the stories are of different models, or a number is out of range.

    Examples
    --------
    >>> maps = np.array([[[[[0.6, 0.4], [0.5, 0.5]]]], [[[[0.6, 0.4], [0.9, 0.1]]]]])
    >>> story = Story(tokens=("not", "bad"), t=(0, 1), probability=(0.2, 0.9), attention=maps)
    >>> AdaptationDial(stories=[story], t=0.5)
    AdaptationDial(change=False, head=0, layer=0, query=1, story=0, t=0.5)
    """

    stories = traitlets.List(traitlets.Dict(), read_only=True).tag(sync=True, shown=False)
    maps = traitlets.Bytes(read_only=True).tag(sync=True, shown=False)
    shape = traitlets.Tuple(traitlets.Int(), traitlets.Int(), read_only=True).tag(sync=True, shown=False)
    labels = traitlets.Tuple(traitlets.Unicode(), traitlets.Unicode(), default_value=("negative", "positive")).tag(
        sync=True, shown=False
    )
    note = traitlets.Unicode().tag(sync=True, shown=False)
    t = traitlets.CFloat(0.0).tag(sync=True)
    story = traitlets.Int(0).tag(sync=True)
    layer = traitlets.Int(0).tag(sync=True)
    head = traitlets.Int(0).tag(sync=True)
    query = traitlets.Int(0).tag(sync=True)
    change = traitlets.Bool(False).tag(sync=True)

    def __init__(self, stories: Sequence[Story] = (), **traits: Any) -> None:
        if not set(traits) - {*self.trait_names()}:  # else the base names the unknown one
            self._take(stories)
            traits = {"labels": self.labels} | self._most_changed(traits) | traits
        super().__init__(**traits)

    def _take(self, stories: Iterable[Story]) -> None:
        """Check the stories against each other and turn them into traits."""
        given, stories = stories, list(stories) if isinstance(stories, Iterable) else []
        if not stories or not all(isinstance(story, Story) for story in stories):
            raise TraitError(f"stories must be a list of at least one Story, got {given!r}; put a single one in [ ].")
        shape = stories[0].attention.shape[1:3]
        for story in stories:
            if story.attention.shape[1:3] != shape:
                raise TraitError(
                    f"all stories must have the same layers and heads, got {story.attention.shape[1:3]} after {shape} "
                    "(layers, heads); take them from one model."
                )
        self._weights = [quantize(story.attention) for story in stories]
        self.set_trait("shape", shape)
        self.set_trait("maps", pack(self._weights))
        self.set_trait("stories", [as_dict(story) for story in stories])

    def _most_changed(self, traits: dict[str, Any]) -> dict[str, int]:
        """Return the head, and its row, that differ most between t = 0 and t = 1 in the story shown first."""
        weights = self._weights[_index("story", traits.get("story", 0), len(self.stories))].astype(int)
        moved = np.abs(weights[-1] - weights[0]).sum(axis=-1)  # (layers, heads, n)
        layer, head = np.unravel_index(moved.sum(axis=-1).argmax(), self.shape)
        layer = _index("layer", traits.get("layer", layer), self.shape[0])
        head = _index("head", traits.get("head", head), self.shape[1])
        return {"layer": int(layer), "head": int(head), "query": int(moved[layer, head].argmax())}

    @traitlets.validate("t")
    def _check_t(self, proposal: Any) -> float:
        if not 0 <= proposal.value <= 1:
            raise TraitError(f"t must be a number from 0 to 1, got {proposal.value}.")
        return proposal.value

    @traitlets.validate("story", "layer", "head", "query")
    def _check_index(self, proposal: Any) -> int:
        longest = max(len(story["tokens"]) for story in self.stories)
        sizes = {"story": len(self.stories), "layer": self.shape[0], "head": self.shape[1], "query": longest}
        return _index(proposal.trait.name, proposal.value, sizes[proposal.trait.name])

    @traitlets.validate("labels")
    def _check_labels(self, proposal: Any) -> tuple[str, str]:
        if not all(proposal.value) or len(set(proposal.value)) < 2:
            raise TraitError(f"labels must be two different names, got {proposal.value}.")
        truths = {story["truth"] for story in self.stories} - {""}
        if wrong := sorted(truths - set(proposal.value)):
            raise TraitError(f"truth must be one of the labels {proposal.value} or '', got {wrong[0]!r}.")
        return proposal.value

    def probability(self) -> float:
        """Return the probability of the second label at the current t, interpolated between stored values."""
        story = self.stories[self.story]
        return float(np.interp(self.t, story["t"], story["probability"]))

    def attention_map(self) -> np.ndarray:
        """Return the attention of the current head at the current t, shape (n, n), interpolated between stored values.

        Examples
        --------
        >>> story = Story(tokens=("a", "b"), t=(0, 1), probability=(0, 1), attention=np.full((2, 1, 1, 2, 2), 0.5))
        >>> AdaptationDial(stories=[story], t=0.3).attention_map().sum(axis=1)
        array([1., 1.])
        """
        grid = self.stories[self.story]["t"]
        weights = self._weights[self.story][:, self.layer, self.head] / LEVELS
        i = min(int(np.searchsorted(grid, self.t, side="right")), len(grid) - 1)
        share = (self.t - grid[i - 1]) / (grid[i] - grid[i - 1])
        return (1 - share) * weights[i - 1] + share * weights[i]

    def picture(self) -> str:
        """Return a static SVG of the current state: the attention map, and the curve of the probability beside it."""
        tokens, cell, left, top = self.stories[self.story]["tokens"], 42, 100, 96
        weights, size = self.attention_map(), cell * len(tokens)
        if self.change:
            weights = weights - self._weights[self.story][0, self.layer, self.head] / LEVELS
        parts = []
        for i, token in enumerate(tokens):
            middle = cell * (i + 0.5)
            parts.append(_text(left - 8, top + middle + 5, token, "end"))
            at = f"{left + middle + 4:g} {top - 8}"
            parts.append(f'<g transform="translate({at}) rotate(-50)">{_text(0, 0, token, "start")}</g>')
            parts += [_cell(left + cell * j, top + cell * i, cell, value) for j, value in enumerate(weights[i])]
        what = "Change of attention since t = 0" if self.change else "Attention"
        title = f"{what} in layer {self.layer}, head {self.head}, at t = {self.t:.2f}, row looks at column"
        name = f"P({self.labels[1]})"
        curve, width = _curve(self.stories[self.story], self.t, name, left + size + 60, top), left + size + 320
        query = min(self.query, len(tokens) - 1)
        row = ", ".join(f"{token} {_number(value)}" for token, value in zip(tokens, weights[query], strict=True))
        said = f"{title}; {name} = {self.probability():.2f}. The row of {tokens[query]}: {row}."
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" role="img" viewBox="0 0 {width} {top + max(size, 200) + 30}" '
            f'width="100%" style="max-width: {width}px"><title>{escape(said)}</title>'
            f"{_text(4, 18, title, 'start')}{''.join(parts)}{curve}</svg>"
        )


def _index(name: str, value: Any, size: int) -> int:
    if not isinstance(value, int | np.integer) or not 0 <= value < size:
        raise TraitError(f"{name} must be a whole number from 0 to {size - 1}, got {value!r}.")
    return int(value)


def _text(x: float, y: float, text: str, anchor: str = "middle", size: int = 14) -> str:
    return (
        f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}" font-family="sans-serif" font-size="{size}" '
        f'fill="currentColor">{escape(text)}</text>'
    )


def _number(value: float) -> str:
    """Return two digits with a true minus sign, and never a negative zero."""
    return f"{round(value, 2) + 0.0:.2f}".replace("-", "\u2212")


def _cell(x: float, y: float, size: int, value: float) -> str:
    color, strength = figure_color("v" if value < 0 else "ia3"), min(0.6 * abs(value), 0.6)
    text = _number(value) if abs(value) >= 0.005 else ""
    return (
        f'<rect x="{x:g}" y="{y:g}" width="{size - 2}" height="{size - 2}" fill="{color}" '
        f'fill-opacity="{strength:.3f}" stroke="{figure_color("grid")}" stroke-opacity="0.5"/>'
        + (_text(x + size / 2 - 1, y + size / 2 + 4, text, size=12) if text else "")
    )


def _curve(story: dict[str, Any], t: float, name: str, left: float, top: float) -> str:
    """Draw the probability against t: stored values as dots, the current t as a ring."""
    wide, tall, gray = 220, 160, figure_color("grid")
    points = [(left + wide * x, top + tall * (1 - p)) for x, p in zip(story["t"], story["probability"], strict=True)]
    x, y = left + wide * t, top + tall * (1 - np.interp(t, story["t"], story["probability"]))
    line = " ".join(f"{a:.1f},{b:.1f}" for a, b in points)
    color = figure_color("ia3")
    parts = [
        f'<path d="M{left:g} {top:g}v{tall}h{wide}" fill="none" stroke="{gray}"/>',
        f'<path d="M{left:g} {top + tall / 2:g}h{wide}" stroke="{gray}" stroke-dasharray="4 4"/>',
        f'<polyline points="{line}" fill="none" stroke="{color}" stroke-width="2"/>',
        *(f'<circle cx="{a:.1f}" cy="{b:.1f}" r="3" fill="{color}"/>' for a, b in points),
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="7" fill="none" stroke="{color}" stroke-width="3"/>',
        *(_text(left - 6, top + tall * (1 - p) + 5, f"{p:g}", "end", 12) for p in (0, 0.5, 1)),
        *(_text(left + wide * p, top + tall + 18, f"{p:g}", size=12) for p in (0, 0.5, 1)),
        _text(left, top - 14, f"{name} against t", "start"),
        _text(left + wide / 2, top + tall + 38, "t (0: frozen, 1: adapted)", size=12),
    ]
    return "".join(parts)
