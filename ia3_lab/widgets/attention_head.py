"""One attention head on numbers small enough to read: drag l_k and l_v, see the weights and the outputs."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from traitlets import Int, List, TraitError, Unicode, default, validate

from ia3_lab.plots import plot_cells
from ia3_lab.style import DIVERGING
from ia3_lab.widgets.base import BookWidget, Number

_TOKENS = ["she", "poured", "hot", "coffee", "slowly"]
_Q = [[0, 2, 0, -0.5], [2, 0, 0.5, 2], [2.5, -0.5, 0, -1], [0.5, 1, 2, 0], [0, 2.5, -0.5, 0.5]]
_K = [[1, 0, 0, 2], [0, 2.5, 0, 0], [0, 0, 2, -0.5], [2.5, 0, 0, -0.5], [0, 0.5, 1.5, 0]]
_V = [[2, 0, 0, 0], [0, 2, 0.5, 0], [0, 0, 0.5, 1.5], [-0.5, 0, 2, 0.5], [0, 0.5, 0, 2]]
_NOTE = "Queries, keys and values were set by hand; nothing here is learned."
_DATA = {"sync": True, "shown": False}


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
    note : str
        Where the numbers come from.
    l_k, l_v : list of float, d_head and d_value entries, each from -2 to 3
        The rescaling vectors. Ones when left out.
    query : int
        Index of the token whose output is drawn.
    """

    tokens = List(Unicode(), _TOKENS).tag(**_DATA)
    q, k, v = (List(List(Number()), rows).tag(**_DATA) for rows in (_Q, _K, _V))
    k_names = List(Unicode(), ["noun", "verb", "modifier", "person"]).tag(**_DATA)
    v_names = List(Unicode(), ["who", "action", "thing", "manner"]).tag(**_DATA)
    note = Unicode(_NOTE).tag(**_DATA)
    l_k, l_v = (List(Number(min=-2, max=3)).tag(sync=True) for _ in "kv")
    query = Int(1, min=0).tag(sync=True)

    _unchanged_keys = default("l_k")(lambda self: [1.0] * len(self.k_names))
    _unchanged_values = default("l_v")(lambda self: [1.0] * len(self.v_names))

    @validate("tokens", "q", "k", "v", "k_names", "v_names", "l_k", "l_v", "query")
    def _check_shapes(self, proposal: Any) -> Any:
        names = ("tokens", "k_names", "v_names", "q", "k", "v", "l_k", "l_v", "query")
        now = {name: getattr(self, name) for name in names} | {proposal.trait.name: proposal.value}
        n, d_head, d_value = (len(now[name]) for name in ("tokens", "k_names", "v_names"))
        shapes = {"q": (n, d_head), "k": (n, d_head), "v": (n, d_value), "l_k": (d_head,), "l_v": (d_value,)}
        for name, shape in shapes.items():
            if (came := np.shape(now[name])) != shape:  # JavaScript would draw NaN
                raise TraitError(f"{name} must have shape {shape} like the tokens and the features' names, got {came}.")
        if now["query"] >= n:
            raise TraitError(f"query must be the index of one of the {n} tokens, got {now['query']}.")
        return proposal.value

    def attention(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the outputs, shape (n, d_value), and the weights, shape (n, n): row i is what token i looks at."""
        q, k, v = np.array(self.q), np.array(self.k) * self.l_k, np.array(self.v) * self.l_v
        scores = q @ k.T / np.sqrt(len(self.k_names))
        weights = np.exp(scores - scores.max(axis=1, keepdims=True))
        weights /= weights.sum(axis=1, keepdims=True)
        return weights @ v, weights

    def figure(self) -> tuple[Figure, str]:
        """Return the table of attention weights and the outputs beside it."""
        figure, (out, weights) = Figure(figsize=(7.2, 2.9)), self.attention()
        left, right = figure.subplots(1, 2, width_ratios=weights.shape[1:] + out.shape[1:])
        most = max(abs(out).max(), 1.0)
        plot_cells(weights, self.tokens, self.tokens, ax=left, title="attention weights")
        plot_cells(out, self.tokens, self.v_names, limits=(-most, most), colors=DIVERGING, ax=right)
        right.set(title="outputs", yticks=[])
        return figure, f"One attention head with l_k = {self.l_k} and l_v = {self.l_v}: weights and outputs by token."
