"""One attention head on numbers small enough to read: drag l_k and l_v, see the weights and the outputs."""

import numpy as np
from matplotlib.figure import Figure
from traitlets import Int, List, Unicode

from ia3_lab.plots import plot_cells
from ia3_lab.style import DIVERGING
from ia3_lab.widgets.base import BookWidget, Number

_TOKENS = ["she", "poured", "hot", "coffee", "slowly"]
_Q = [[0, 2, 0, -0.5], [2, 0, 0.5, 2], [2.5, -0.5, 0, -1], [0.5, 1, 2, 0], [0, 2.5, -0.5, 0.5]]
_K = [[1, 0, 0, 2], [0, 2.5, 0, 0], [0, 0, 2, -0.5], [2.5, 0, 0, -0.5], [0, 0.5, 1.5, 0]]
_V = [[2, 0, 0, 0], [0, 2, 0.5, 0], [0, 0, 0.5, 1.5], [-0.5, 0, 2, 0.5], [0, 0.5, 0, 2]]
_NOTE = "Queries, keys and values were set by hand; nothing here is learned."
_KEYS, _VALUES = ["noun", "verb", "modifier", "person"], ["who", "action", "thing", "manner"]


class AttentionHead(BookWidget):
    """Draw ``out = softmax(q @ (l_k * k).T / sqrt(d_head)) @ (l_v * v)`` with every number in sight.

    Queries, keys and values, ``q``, ``k`` and ``v``, shape (5, 4), are set by hand so that each feature has a name.

    Parameters
    ----------
    l_k, l_v : list of float, four entries each, from -2 to 3
        The rescaling vectors. Ones when left out.
    query : int, from 0 to 4
        Index of the token whose output is drawn.
    """

    tokens, k_names, v_names = (
        List(Unicode(), words, read_only=True).tag(sync=True, shown=False) for words in (_TOKENS, _KEYS, _VALUES)
    )
    q, k, v = (List(List(Number()), rows, read_only=True).tag(sync=True, shown=False) for rows in (_Q, _K, _V))
    note = Unicode(_NOTE, read_only=True).tag(sync=True, shown=False)
    l_k, l_v = (List(Number(min=-2, max=3), [1.0] * 4, minlen=4, maxlen=4).tag(sync=True) for _ in "kv")
    query = Int(1, min=0, max=4).tag(sync=True)

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
