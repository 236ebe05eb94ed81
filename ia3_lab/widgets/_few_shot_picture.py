"""The few-shot curves where no JavaScript runs: static SVG in the color of the text, told apart by mark and dashes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

_WIDTH = 640
_LEFT, _RIGHT, _NUMBERS = 210, 450, 470
#: shape -> its sign filled, and hollow where there is one
_SIGNS = {
    "circle": "\u25cf\u25cb",
    "square": "\u25a0\u25a1",
    "triangle": "\u25b2\u25b3",
    "diamond": "\u25c6\u25c7",
    "down": "\u25bc\u25bd",
    "plus": "\u271a\u271a",
    "cross": "\u2716\u2716",
}


def _sign(method: Mapping[str, Any]) -> str:
    return _SIGNS[method["shape"]][0 if method["filled"] else 1]


def _number(value: float) -> str:
    clean = abs(round(value, 10))  # first without the dust of binary sums, as the script does
    places = 3
    while clean and not float(f"{clean:.{places}f}"):  # whether an interval excludes 0 must show
        places += 1
    text = f"{clean:.{places}f}"
    return f"\u2212{text}" if value < 0 and float(text) else text


def _svg(title: str, said: str, height: float, body: str) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height:.0f}" role="img" class="ia3-picture" '
        f'fill="currentColor" font-family="sans-serif" font-size="14"><title>{escape(title)}. '
        f"{escape(said) or 'No method is chosen'}.</title>"
        f'<text x="10" y="20" font-weight="bold">{escape(title)}</text>{body}</svg>'
    )


def _said(rows: Sequence[Mapping[str, Any]], methods: Mapping[str, Mapping[str, Any]]) -> str:
    """Return every mean in words: the part of the title that a screen reader says."""
    names = dict.fromkeys(row["method"] for row in rows)
    means = {name: ", ".join(_number(row["mean"]) for row in rows if row["method"] == name) for name in names}
    return "; ".join(f"{methods[name]['label']} {means[name]}" for name in names)


def row_picture(
    title: str, rows: Sequence[Mapping[str, Any]], methods: Mapping[str, Mapping[str, Any]], line: float | None
) -> str:
    """Return one interval in each line, with its numbers, and a vertical line where one is given.

    Parameters
    ----------
    title : str
        What is shown.
    rows : sequence of mapping
        ``method``, ``mean``, ``low`` and ``high``.
    methods : mapping
        Name of the method -> its label and style.
    line : float, optional
        Where the vertical line stands.

    Returns
    -------
    str
    """
    ends = [row[end] for row in rows for end in ("low", "high")] + ([] if line is None else [line])
    low, high = min(ends, default=0.0), max(ends, default=1.0)
    scale = (_RIGHT - _LEFT) / max(high - low, 1e-9)

    def place(value: float) -> float:
        return _LEFT + (value - low) * scale

    parts, bottom = [], 34 + 26 * len(rows)
    if line is not None:
        at = f"{place(line):.1f}"
        name = f"guessing, {line:.2f}" if line else "0"
        parts.append(f'<path d="M{at} 30V{bottom}" stroke="currentColor" stroke-dasharray="2 4"/>')
        parts.append(f'<text x="{at}" y="{bottom + 15}" text-anchor="middle">{name}</text>')
    for i, row in enumerate(rows):
        y, method = 50 + 26 * i, methods[row["method"]]
        numbers = f"{_number(row['mean'])} ({_number(row['low'])} to {_number(row['high'])})"
        parts.append(
            f'<text x="10" y="{y}">{escape(method["label"])}</text>'
            f'<path d="M{place(row["low"]):.1f} {y - 5}H{place(row["high"]):.1f}" stroke="currentColor" '
            f'stroke-width="2"/><text x="{place(row["mean"]):.1f}" y="{y}" text-anchor="middle">{_sign(method)}</text>'
            f'<text x="{_NUMBERS}" y="{y}">{numbers}</text>'
        )
    return _svg(title, _said(rows, methods), bottom + 24, "".join(parts))


def curve_picture(
    title: str, rows: Sequence[Mapping[str, Any]], methods: Mapping[str, Mapping[str, Any]], line: float | None
) -> str:
    """Return a curve for each method over k, with intervals, a key, and a level line where one is given.

    Parameters
    ----------
    title : str
        What is shown.
    rows : sequence of mapping
        ``method``, ``k``, ``mean``, ``low`` and ``high``.
    methods : mapping
        Name of the method -> its label and style.
    line : float, optional
        Where the level line stands.

    Returns
    -------
    str
    """
    names, ks = list(dict.fromkeys(row["method"] for row in rows)), sorted({row["k"] for row in rows})
    low = min([row["low"] for row in rows] + ([] if line is None else [line]))
    high = max(row["high"] for row in rows)

    def x(k: int, i: int) -> float:
        share = math.log2(k / ks[0]) / math.log2(ks[-1] / ks[0])
        return 70 + 520 * share + 4 * (i - (len(names) - 1) / 2)

    def y(value: float) -> float:
        return 240 - 200 * (value - low) / max(high - low, 1e-9)

    ticks = sorted({round(low, 2), round(high, 2)} | (set() if line is None else {line}))
    parts = [f'<text x="44" y="{y(tick) + 5:.1f}" text-anchor="end">{tick:.2f}</text>' for tick in ticks]
    parts += [f'<text x="{x(k, 0):.1f}" y="262" text-anchor="middle">{k}</text>' for k in ks]
    if line is not None:
        parts.append(f'<path d="M50 {y(line):.1f}H630" stroke="currentColor" stroke-dasharray="2 4"/>')
        parts.append(f'<text x="630" y="{y(line) - 5:.1f}" text-anchor="end">guessing</text>')
    for i, name in enumerate(names):
        mine = [row for row in rows if row["method"] == name]
        curve = "L".join(f"{x(row['k'], i):.1f} {y(row['mean']):.1f}" for row in mine)
        bars = "".join(f"M{x(row['k'], i):.1f} {y(row['low']):.1f}V{y(row['high']):.1f}" for row in mine)
        sign, style = _sign(methods[name]), 'fill="none" stroke="currentColor"'
        parts.append(
            f'<path d="M{curve}" {style} stroke-dasharray="{methods[name]["dash"]}"/><path d="{bars}" {style}/>'
        )
        parts += [
            f'<text x="{x(row["k"], i):.1f}" y="{y(row["mean"]) + 5:.1f}" text-anchor="middle">{sign}</text>'
            for row in mine
        ]
        key = f"{sign} {methods[name]['label']}"
        parts.append(f'<text x="{50 + 200 * (i % 3)}" y="{290 + 22 * (i // 3)}">{escape(key)}</text>')
    return _svg(title, _said(rows, methods), 300 + 22 * math.ceil(len(names) / 3), "".join(parts))
