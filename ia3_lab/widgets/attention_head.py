"""One attention head on numbers small enough to read: drag l_k and l_v, see the weights and the outputs."""

from __future__ import annotations

import math
from html import escape
from typing import Any

import numpy as np
import traitlets

from ia3_lab.style import figure_color
from ia3_lab.widgets._base import BookWidget

#: What an entry of l_k or l_v may be in this widget. The method itself sets no limits.
LOW, HIGH = -2.0, 3.0

_TOKENS = ["she", "poured", "hot", "coffee", "slowly"]
_Q = [[0, 2, 0, -0.5], [2, 0, 0.5, 2], [2.5, -0.5, 0, -1], [0.5, 1, 2, 0], [0, 2.5, -0.5, 0.5]]
_K = [[1, 0, 0, 2], [0, 2.5, 0, 0], [0, 0, 2, -0.5], [2.5, 0, 0, -0.5], [0, 0.5, 1.5, 0]]
_V = [[2, 0, 0, 0], [0, 2, 0.5, 0], [0, 0, 0.5, 1.5], [-0.5, 0, 2, 0.5], [0, 0.5, 0, 2]]


def _numbers() -> traitlets.List:
    return traitlets.List(traitlets.CFloat())


class AttentionHead(BookWidget):
    """Draw ``out = softmax(q @ (l_k * k).T / sqrt(d_head)) @ (l_v * v)`` with every number in sight.

    The default queries, keys and values are set by hand so that each feature has a name. Nothing here is learned.

    Parameters
    ----------
    tokens : list of str, n entries
    q, k : list of list of float, shape (n, d_head)
    v : list of list of float, shape (n, d_value)
    k_names, v_names : list of str, d_head and d_value entries
        What the features of the keys and of the values stand for.
    l_k, l_v : list of float, d_head and d_value entries, each from -2 to 3
        The rescaling vectors. Ones when left out.
    query : int
        Index of the token whose output is drawn.

    Raises
    ------
    traitlets.TraitError
        If lengths disagree, a number is NaN or infinite, or an entry of l_k or l_v is out of range.

    Examples
    --------
    >>> AttentionHead(l_k=[1, 1, 1, 0]).l_k
    [1.0, 1.0, 1.0, 0.0]
    """

    tokens = traitlets.List(traitlets.Unicode(), _TOKENS).tag(sync=True, shown=False)
    q = traitlets.List(_numbers(), _Q).tag(sync=True, shown=False)
    k = traitlets.List(_numbers(), _K).tag(sync=True, shown=False)
    v = traitlets.List(_numbers(), _V).tag(sync=True, shown=False)
    k_names = traitlets.List(traitlets.Unicode(), ["noun", "verb", "modifier", "person"]).tag(sync=True, shown=False)
    v_names = traitlets.List(traitlets.Unicode(), ["who", "action", "thing", "manner"]).tag(sync=True, shown=False)
    note = traitlets.Unicode("Queries, keys and values were set by hand; nothing here is learned.").tag(
        sync=True, shown=False
    )
    l_k = _numbers().tag(sync=True)
    l_v = _numbers().tag(sync=True)
    query = traitlets.Int(1).tag(sync=True)

    def __init__(self, **traits: Any) -> None:
        for vector, matrix in (("l_k", "k"), ("l_v", "v")):
            traits.setdefault(vector, [1.0] * _width(traits.get(matrix, _K if matrix == "k" else _V)))
        super().__init__(**traits)

    @traitlets.validate("tokens", "q", "k", "v", "k_names", "v_names", "l_k", "l_v", "query")
    def _check(self, proposal: dict[str, Any]) -> Any:
        name, value = proposal["trait"].name, proposal["value"]
        now = {other: getattr(self, other) for other in ("tokens", "q", "k", "v", "k_names", "v_names")} | {name: value}
        if name == "query":
            _check_query(value, len(now["tokens"]))
        elif name in ("l_k", "l_v"):
            _check_vector(name, value, now[name[-1]])
        else:
            _check_lengths(now)
        return value

    def weights(self) -> np.ndarray:
        """Return the attention weights of the current state, shape (n, n): row i is what token i looks at."""
        scores = np.array(self.q) @ (np.array(self.k) * self.l_k).T / math.sqrt(len(self.l_k))
        powers = np.exp(scores - scores.max(axis=1, keepdims=True))
        return powers / powers.sum(axis=1, keepdims=True)

    def output(self) -> np.ndarray:
        """Return the outputs of the current state, shape (n, d_value)."""
        return self.weights() @ (np.array(self.v) * self.l_v)

    def picture(self) -> str:
        """Return a static SVG of the current state: the table of attention weights and the outputs beside it."""
        left, cell, height = 90, 64, 30
        columns = [*self.tokens, *self.v_names]
        width = left + cell * len(columns) + 30
        where = [left + cell * (j + 0.5) + (30 if j >= len(self.tokens) else 0) for j in range(len(columns))]
        parts = [_text(x, 46, name) for x, name in zip(where, columns, strict=True)]
        parts += [_text(where[0] - cell / 2, 18, "attention weights", "start")]
        parts += [_text(where[len(self.tokens)] - cell / 2, 18, "outputs", "start")]
        table = np.hstack([self.weights(), self.output()])
        for i, (token, row) in enumerate(zip(self.tokens, table, strict=True)):
            parts.append(_text(left - 10, 76 + height * i, token, "end"))
            for j, (x, number) in enumerate(zip(where, row, strict=True)):
                if j < len(self.tokens):
                    parts.append(
                        f'<rect x="{x - cell / 2}" y="{56 + height * i}" width="{cell - 2}" height="{height - 2}" '
                        f'fill="{figure_color("k")}" fill-opacity="{0.5 * number:.3f}"/>'
                    )
                parts.append(_text(x, 76 + height * i, f"{number:.2f}".replace("-", "\u2212")))
        title = f"One attention head with l_k = {self.l_k} and l_v = {self.l_v}: weights and outputs of each token."
        tall = 70 + height * len(self.tokens)
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" role="img" viewBox="0 0 {width} {tall}" '
            f'width="100%" style="max-width: {width}px"><title>{escape(title)}</title>{"".join(parts)}</svg>'
        )


def _width(rows: Any) -> int:
    """Return the length of the first row; 0 for what has no rows, which its own trait refuses."""
    first = rows[0] if isinstance(rows, list | tuple) and rows else None
    return len(first) if isinstance(first, list | tuple) else 0


def _text(x: float, y: float, text: str, anchor: str = "middle") -> str:
    return (
        f'<text x="{x}" y="{y}" text-anchor="{anchor}" font-family="sans-serif" font-size="14" '
        f'fill="currentColor">{escape(text)}</text>'
    )


def _check_query(query: int, num_tokens: int) -> None:
    if not 0 <= query < num_tokens:
        raise traitlets.TraitError(f"query must be the index of a token, 0 to {num_tokens - 1}, got {query}.")


def _check_vector(name: str, vector: list[float], matrix: list[list[float]]) -> None:
    size = len(matrix[0]) if matrix else 0
    if len(vector) != size:
        raise traitlets.TraitError(
            f"{name} must have one entry for each of the {size} features of {name[-1]}, got {len(vector)} entries; "
            f"give {size} numbers."
        )
    bad = [number for number in vector if not LOW <= number <= HIGH]
    if bad:
        raise traitlets.TraitError(f"entries of {name} must be numbers from {LOW:g} to {HIGH:g}, got {bad[0]}.")


def _check_lengths(now: dict[str, Any]) -> None:
    n = len(now["tokens"])
    if not n:
        raise traitlets.TraitError("tokens must hold at least one token, got none.")
    widths = {"q": len(now["k_names"]), "k": len(now["k_names"]), "v": len(now["v_names"])}
    for name, width in widths.items():
        shape = f"({len(now[name])}, {sorted({len(row) for row in now[name]})})"
        if len(now[name]) != n or any(len(row) != width for row in now[name]):
            raise traitlets.TraitError(
                f"{name} must have one row for each of the {n} tokens and {width} features (as many as "
                f"{'v_names' if name == 'v' else 'k_names'}), got rows and row lengths {shape}."
            )
        if not all(math.isfinite(number) for row in now[name] for number in row):
            raise traitlets.TraitError(f"{name} must hold finite numbers, got NaN or infinity; replace them.")
