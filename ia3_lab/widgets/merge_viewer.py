"""The merge viewer: which rows or columns of a weight a rescaling vector scales, and what goes wrong elsewhere."""

import math

import numpy as np
from matplotlib.figure import Figure
from traitlets import Bool, Dict, Enum, List

from ia3_lab.plots import plot_cells
from ia3_lab.style import DIVERGING
from ia3_lab.widgets.base import BookWidget, Number

#: The frozen layers, in torch's layout (out, in): d_model = 3, d_kv = d_ff = 4. All numbers are made up.
_WEIGHTS = {
    "W_k": [[0.6, -0.4, 1.1], [-0.9, 0.7, 0.3], [0.2, 1.3, -0.5], [-0.7, -1.2, 0.8]],
    "b_k": [0.5, -1.4, 0.9, 0.7],
    "W_v": [[1.2, 0.3, -0.6], [-0.5, 0.9, 0.4], [0.8, -1.1, 0.2], [0.1, 0.6, -1.3]],
    "b_v": [-0.6, 0.8, 1.1, -0.3],
    "W_1": [[0.7, -0.3, 0.9], [-0.8, 0.5, 0.4], [0.3, 0.6, -1.0], [1.1, -0.9, -0.2]],
    "b_1": [0.4, 0.9, 0.6, -0.8],
    "W_2": [[0.9, -0.6, 0.4, 1.2], [-0.3, 1.1, 0.8, -0.7], [0.5, 0.2, -1.3, 0.6]],
    "b_2": [0.7, -0.4, 1.0],
}
_VECTORS = [1.8, 0.5, 1.0, -0.6], [0.4, 1.6, 1.0, 1.3], [1.5, 0.2, 1.0, 1.8]


def _gelu(x: np.ndarray) -> np.ndarray:
    return x / 2 * (1 + np.array([math.erf(value) for value in x / math.sqrt(2)]))


class MergeViewer(BookWidget):
    """A rescaling vector beside a small frozen layer, and the one plain layer that computes the same.

    Parameters
    ----------
    vector : {"l_k", "l_v", "l_ff"}
        Which vector is shown. ``l_k`` and ``l_v`` scale a layer's output, ``l_ff`` scales the input of ``W_2``.
    convention : {"torch", "math"}
        The weight as torch stores it, (out, in), or as ``x @ W`` writes it, (in, out).
    forget_bias, into_W_1 : bool
        The usual mistakes: leave ``b_k`` or ``b_v`` unscaled; merge ``l_ff`` into ``W_1``, the wrong side of GELU.
    l_k, l_v, l_ff, x : list of float
        Four entries each, from -1 to 2; one input of three entries, from -5 to 5.

    Examples
    --------
    >>> MergeViewer(vector="l_ff").l_ff
    [1.5, 0.2, 1.0, 1.8]
    """

    vector = Enum(("l_k", "l_v", "l_ff"), "l_k").tag(sync=True)
    convention = Enum(("torch", "math"), "torch").tag(sync=True)
    forget_bias, into_W_1 = Bool(False).tag(sync=True), Bool(False).tag(sync=True)
    l_k, l_v, l_ff = (List(Number(min=-1, max=2), start, minlen=4, maxlen=4).tag(sync=True) for start in _VECTORS)
    x = List(Number(min=-5, max=5), [1.0, -2.0, 0.5], minlen=3, maxlen=3).tag(sync=True)
    weights = Dict(default_value=_WEIGHTS, read_only=True).tag(sync=True, shown=False)

    def merged(self) -> tuple[str, np.ndarray, np.ndarray]:
        """Return the layer that takes the vector in, say "k"; its merged weight (out, in) and its bias (out,)."""
        layer = self.vector[2:] if self.vector != "l_ff" else "1" if self.into_W_1 else "2"
        l, weight, bias = map(np.array, (getattr(self, self.vector), *self._frozen(layer)))  # noqa: E741
        if layer == "2":
            return layer, weight * l, bias
        return layer, weight * l[:, None], bias if self.forget_bias and layer != "1" else bias * l

    def paths(self) -> tuple[np.ndarray, np.ndarray]:
        """Return what the adapter and the merged layer compute, mistakes included; both (4,), or (3,) for l_ff."""
        l, x, (layer, weight, bias) = getattr(self, self.vector), np.array(self.x), self.merged()  # noqa: E741
        if layer in "kv":
            frozen, b = self._frozen(layer)
            return l * (frozen @ x + b), weight @ x + bias
        (W_1, b_1), (W_2, b_2) = self._frozen("1"), self._frozen("2")
        h = _gelu(W_1 @ x + b_1)
        merged = weight @ h + bias if layer == "2" else W_2 @ _gelu(weight @ x + bias) + b_2
        return W_2 @ (l * h) + b_2, merged

    def _frozen(self, layer: str) -> tuple[np.ndarray, np.ndarray]:
        return np.array(self.weights[f"W_{layer}"]), np.array(self.weights[f"b_{layer}"])

    def figure(self) -> tuple[Figure, str]:
        """Return the layer before and after the merge, and what both paths compute."""
        (layer, *after), paths, figure = self.merged(), np.array(self.paths()), Figure(figsize=(7.2, 4.4))
        axes = figure.subplot_mosaic("AB;CC", height_ratios=[2, 1])
        look = {"limits": (-2.5, 2.5), "colors": DIVERGING, "rotation": 0}
        for key, title, parts in (("A", "frozen", self._frozen(layer)), ("B", "merged", after)):
            table = np.column_stack(parts)  # (out, in + 1)
            outs, ins = [f"out {i + 1}" for i in range(table.shape[0])], [f"in {i + 1}" for i in range(table.shape[1])]
            names = outs, [*ins[:-1], f"b_{layer}"]
            table, names = (table, names) if self.convention == "torch" else (table.T, names[::-1])
            plot_cells(table, *names, ax=axes[key], title=f"{title} W_{layer}", **look)
        gap = f"largest difference {abs(paths[0] - paths[1]).max():.3f}"
        plot_cells(paths, ["adapter", "merged"], outs[: paths.shape[1]], ax=axes["C"], title=gap, **look)
        values = ", ".join(f"{value:g}" for value in getattr(self, self.vector))
        return figure, f"{self.vector} = ({values}) merged into W_{layer}: {gap} between both paths"
