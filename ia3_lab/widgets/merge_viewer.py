"""The merge viewer: which rows or columns of a weight a rescaling vector scales, and what goes wrong elsewhere."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from traitlets import Bool, Dict, Enum, Float, List, TraitError, validate

from ia3_lab.widgets._base import BookWidget

#: The frozen layers, in torch's layout (out, in): d_model = 3, d_kv = d_ff = 4. All numbers are made up.
WEIGHTS = {
    "W_k": [[0.6, -0.4, 1.1], [-0.9, 0.7, 0.3], [0.2, 1.3, -0.5], [-0.7, -1.2, 0.8]],
    "b_k": [0.5, -1.4, 0.9, 0.7],
    "W_v": [[1.2, 0.3, -0.6], [-0.5, 0.9, 0.4], [0.8, -1.1, 0.2], [0.1, 0.6, -1.3]],
    "b_v": [-0.6, 0.8, 1.1, -0.3],
    "W_1": [[0.7, -0.3, 0.9], [-0.8, 0.5, 0.4], [0.3, 0.6, -1.0], [1.1, -0.9, -0.2]],
    "b_1": [0.4, 0.9, 0.6, -0.8],
    "W_2": [[0.9, -0.6, 0.4, 1.2], [-0.3, 1.1, 0.8, -0.7], [0.5, 0.2, -1.3, 0.6]],
    "b_2": [0.7, -0.4, 1.0],
}
LOW, HIGH = -1.0, 2.0
LARGEST_INPUT = 5.0


def _numbers(name: str, value: Sequence[float], count: int, low: float, high: float) -> list[float]:
    """Return the numbers as a list of floats, or say what is wrong with them."""
    hint = f"{name} must be {count} numbers from {low:g} to {high:g}"
    if len(value) != count:
        raise TraitError(f"{hint}, got {len(value)}: {list(value)}; for example {[1.0] * count}.")
    if not all(low <= number <= high for number in value):  # also refuses NaN
        raise TraitError(f"{hint}, got {list(value)}; keep every entry inside that range.")
    return [float(number) for number in value]


def _linear(x: Sequence[float], weight: Sequence[Sequence[float]], bias: Sequence[float]) -> list[float]:
    return [sum(w * value for w, value in zip(row, x, strict=True)) + b for row, b in zip(weight, bias, strict=True)]


def _product(a: Sequence[float], b: Sequence[float]) -> list[float]:
    return [one * other for one, other in zip(a, b, strict=True)]


def _gelu(values: Sequence[float]) -> list[float]:
    return [value / 2 * (1 + math.erf(value / math.sqrt(2))) for value in values]


class MergeViewer(BookWidget):
    """A rescaling vector beside a frozen layer, and the one plain layer that computes the same.

    The layers are small and fixed (`WEIGHTS`); the reader drags the entries of the vector, turns the weight from
    torch's layout to the mathematical one, and makes the two usual mistakes on purpose.

    Parameters
    ----------
    vector : {"l_k", "l_v", "l_ff"}
        Which vector is shown. ``l_k`` and ``l_v`` scale a layer's output, ``l_ff`` scales the input of ``W_2``.
    convention : {"torch", "math"}
        The weight as torch stores it, (out, in), or as ``x @ W`` writes it, (in, out).
    forget_bias : bool
        Leave ``b_k`` or ``b_v`` unscaled in the merge. No effect on ``l_ff``.
    into_W_1 : bool
        Merge ``l_ff`` into ``W_1`` and ``b_1``, on the wrong side of GELU. No effect on ``l_k`` and ``l_v``.
    l_k, l_v, l_ff : list of float
        Four entries each, from -1 to 2.
    x : list of float
        One input of three entries, from -5 to 5.

    Examples
    --------
    >>> MergeViewer(vector="l_ff").l_ff
    [1.5, 0.2, 1.0, 1.8]
    """

    vector = Enum(("l_k", "l_v", "l_ff"), "l_k").tag(sync=True)
    convention = Enum(("torch", "math"), "torch").tag(sync=True)
    forget_bias = Bool(False).tag(sync=True)
    into_W_1 = Bool(False).tag(sync=True)
    l_k = List(Float(), [1.8, 0.5, 1.0, -0.6]).tag(sync=True)
    l_v = List(Float(), [0.4, 1.6, 1.0, 1.3]).tag(sync=True)
    l_ff = List(Float(), [1.5, 0.2, 1.0, 1.8]).tag(sync=True)
    x = List(Float(), [1.0, -2.0, 0.5]).tag(sync=True)
    weights = Dict(default_value=WEIGHTS, read_only=True).tag(sync=True, shown=False)

    @validate("l_k", "l_v", "l_ff")
    def _check_vector(self, proposal: Any) -> list[float]:
        return _numbers(proposal.trait.name, proposal.value, 4, LOW, HIGH)

    @validate("x")
    def _check_input(self, proposal: Any) -> list[float]:
        return _numbers("x", proposal.value, 3, -LARGEST_INPUT, LARGEST_INPUT)

    def paths(self) -> tuple[list[float], list[float]]:
        """Return what the adapter path and the merged layer compute, mistakes included.

        Returns
        -------
        wrapped, merged : list of float
            Keys or values (4 entries), or outputs of the feed-forward network (3 entries).

        Examples
        --------
        >>> wrapped, merged = MergeViewer().paths()
        >>> max(abs(a - b) for a, b in zip(wrapped, merged)) < 1e-12
        True
        """
        l = getattr(self, self.vector)  # noqa: E741 - the paper's name for the vector
        _, _, weight, bias = self._merged()
        if self.vector != "l_ff":
            role = self.vector[1:]
            plain = _linear(self.x, WEIGHTS["W" + role], WEIGHTS["b" + role])
            return _product(l, plain), _linear(self.x, weight, bias)
        h = _gelu(_linear(self.x, WEIGHTS["W_1"], WEIGHTS["b_1"]))
        wrapped = _linear(_product(l, h), WEIGHTS["W_2"], WEIGHTS["b_2"])
        if self.into_W_1:
            return wrapped, _linear(_gelu(_linear(self.x, weight, bias)), WEIGHTS["W_2"], WEIGHTS["b_2"])
        return wrapped, _linear(h, weight, bias)

    def _merged(self) -> tuple[str, str, list[list[float]], list[float]]:
        """Return the names of the layer that takes the vector in, and its merged weight and bias."""
        l = getattr(self, self.vector)  # noqa: E741
        if self.vector == "l_ff" and not self.into_W_1:
            columns_scaled = [_product(row, l) for row in WEIGHTS["W_2"]]
            return "W_2", "b_2", columns_scaled, WEIGHTS["b_2"]
        role = "_1" if self.vector == "l_ff" else self.vector[1:]
        weight = [[w * a for w in row] for row, a in zip(WEIGHTS["W" + role], l, strict=True)]
        forgotten = self.forget_bias and self.vector != "l_ff"
        bias = WEIGHTS["b" + role] if forgotten else _product(l, WEIGHTS["b" + role])
        return "W" + role, "b" + role, weight, bias

    def picture(self) -> str:
        """Return a static SVG: the weight before and after the merge, and what both paths compute."""
        W, b, weight, bias = self._merged()
        wrapped, merged = self.paths()
        gap = max(abs(one - other) for one, other in zip(wrapped, merged, strict=True))
        layout = "torch's layout (out, in)" if self.convention == "torch" else "the layout of x @ W, (in, out)"
        place = "last column" if self.convention == "torch" else "last row"
        title = f"{self.vector} merged into {W}: the largest difference between both paths is {gap:.3f}"
        texts = (
            f"{self.vector} = {_row(getattr(self, self.vector))}; {layout}; the bias is the {place}.",
            f"adapter: {_row(wrapped, 3)}",
            f"merged: {_row(merged, 3)}; largest difference {gap:.3f}",
        )
        return (
            '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 640 300" role="img" class="ia3-picture" '
            f'fill="currentColor" font-family="sans-serif" font-size="14"><title>{title}</title>'
            f'{self._grid(f"{W}, {b}", WEIGHTS[W], WEIGHTS[b], 10)}<text x="310" y="110" font-size="22">\u2192</text>'
            + self._grid(f"merged {W}, {b}", weight, bias, 350)
            + "".join(f'<text x="10" y="{242 + 24 * i}">{text}</text>' for i, text in enumerate(texts))
            + "</svg>"
        )

    def _grid(self, name: str, weight: list[list[float]], bias: list[float], left: int) -> str:
        """Return one layer's numbers as SVG, in the layout of the state."""
        table = [[*row, b] for row, b in zip(weight, bias, strict=True)]
        if self.convention == "math":
            table = [list(column) for column in zip(*table, strict=True)]
        cells = [f'<text x="{left}" y="20" font-weight="bold">{name}</text>']
        for i, row in enumerate(table):
            for j, value in enumerate(row):
                x, y = left + 56 * j, 30 + 38 * i
                cells.append(f'<rect x="{x}" y="{y}" width="52" height="34" rx="4" fill="none" stroke="currentColor"/>')
                cells.append(f'<text x="{x + 26}" y="{y + 22}" text-anchor="middle">{_text(value)}</text>')
        return "".join(cells)


def _text(value: float, digits: int = 2) -> str:
    text = f"{abs(value):.{digits}f}"
    return "\u2212" + text if value < 0 and float(text) else text


def _row(values: Sequence[float], digits: int = 2) -> str:
    return f"({', '.join(_text(value, digits) for value in values)})"
