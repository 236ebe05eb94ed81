"""The Ellipse Lab: drag a matrix and see what it makes of the unit circle, of a cloud and of one probe vector."""

from __future__ import annotations

import math
from collections.abc import Iterable
from types import MappingProxyType
from typing import Any

import numpy as np
from traitlets import Bool, Dict, Enum, Float, Int, List, TraitError, validate

from ia3_lab import geometry
from ia3_lab.style import figure_color
from ia3_lab.widgets._base import BookWidget

#: Largest absolute value of an entry of l, a and b.
LIMIT = 2.5
#: Target ellipses of the game: the two half-axes, and the angle of the first in degrees.
TARGET_ELLIPSES = MappingProxyType(
    {"upright": (2.0, 0.6, 90.0), "tilted": (2.0, 0.6, 35.0), "large": (2.3, 1.4, -30.0)}
)
#: The target "rotation" asks for this turn of the whole plane, in degrees.
TARGET_TURN = 30.0
_REACH = 2.8  # half-width of the drawn plane


def rotation_matrix(degrees: float) -> np.ndarray:
    """Return the rotation of row vectors by an angle, counterclockwise.

    Parameters
    ----------
    degrees : float
        The angle.

    Returns
    -------
    ndarray of shape (2, 2)
        ``R`` with ``x' = x @ R``.

    Examples
    --------
    >>> (np.array([1.0, 0.0]) @ rotation_matrix(90.0)).round(12).tolist()
    [0.0, 1.0]
    """
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return np.array([[c, s], [-s, c]])


def target_matrix(target: str) -> np.ndarray:
    """Return a matrix that reaches one of the game's targets.

    Parameters
    ----------
    target : {"upright", "tilted", "large", "rotation"}
        The target.

    Returns
    -------
    ndarray of shape (2, 2)
        A map whose image of the unit circle is the target ellipse, or the rotation itself.

    Raises
    ------
    ValueError
        If there is no such target.

    Examples
    --------
    >>> target_matrix("upright").round(12).tolist()
    [[0.0, 2.0], [-0.6, 0.0]]
    """
    if target == "rotation":
        return rotation_matrix(TARGET_TURN)
    if target not in TARGET_ELLIPSES:
        raise ValueError(f"expected a target among {', '.join([*TARGET_ELLIPSES, 'rotation'])}, got {target!r}.")
    long, short, angle = TARGET_ELLIPSES[target]
    return np.diag([long, short]) @ rotation_matrix(angle)


def cloud_points() -> np.ndarray:
    """Return the cloud: a letter F, because an F shows when it has been mirrored.

    Returns
    -------
    ndarray of shape (26, 2)
        Points inside the unit circle.

    Examples
    --------
    >>> cloud_points().shape
    (26, 2)
    """
    rows = ("##...", "##...", "##...", "####.", "####.", "##...", "#####", "#####")  # from the bottom up
    marks = [(x, y) for y, row in enumerate(rows) for x, mark in enumerate(row) if mark == "#"]
    return np.array([-0.74, -0.36]) + 0.13 * np.array(marks)


def _bounded(name: str, values: Iterable[float], bound: float) -> None:
    """Refuse numbers outside [-bound, bound], NaN included."""
    for value in values:
        if not -bound <= value <= bound:
            raise TraitError(
                f"{name}: expected a finite number from {-bound:g} to {bound:g}, got {value}; clip it first."
            )


class EllipseLab(BookWidget):
    """The image of the unit circle under ``x' = x @ M``, to be dragged.

    In mode "ia3" ``M = diag(l)`` and the ends of the ellipse's two half-axes are the handles. In mode "lora"
    ``M = I + a^T b`` (rank 1) or ``M = I + a^T b + a_2^T b_2`` (rank 2) and the vectors are the handles. Links in the
    prose that set ``l_1`` and ``l_2`` do well to set ``mode`` along with them.

    Parameters
    ----------
    l_1, l_2 : float
        IA3's two factors, from -2.5 to 2.5.
    mode : {"ia3", "lora"}
        Which kind of matrix.
    a, b, a_2, b_2 : list of two floats
        LoRA's row vectors, entries from -2.5 to 2.5.
    rank : {1, 2}
        How many pairs the LoRA update has.
    target : {"none", "upright", "tilted", "large", "rotation"}
        What the game asks for: an ellipse, or a rotation of the whole plane by 30 degrees.
    probe : float
        Angle of the probe vector on the unit circle, from -180 to 180 degrees.
    cloud : bool
        Show a cloud of points and its image.
    compact : bool
        Fewer controls, for a landing page: LoRA and the game appear only when a link or a trait asks for them.

    Raises
    ------
    traitlets.TraitError
        If a value is out of its range, or a name is not one of the above.

    Examples
    --------
    >>> EllipseLab(l_1=1.8, l_2=0.5).matrix.tolist()
    [[1.8, 0.0], [0.0, 0.5]]
    """

    mode = Enum(("ia3", "lora"), "ia3").tag(sync=True)
    l_1 = Float(1.0).tag(sync=True)
    l_2 = Float(1.0).tag(sync=True)
    rank = Int(1).tag(sync=True)
    a = List(Float(), [0.0, 1.0]).tag(sync=True)
    b = List(Float(), [0.8, 0.0]).tag(sync=True)
    a_2 = List(Float(), [-1.0, 0.0]).tag(sync=True)
    b_2 = List(Float(), [0.0, 0.0]).tag(sync=True)
    target = Enum(("none", *TARGET_ELLIPSES, "rotation"), "none").tag(sync=True)
    probe = Float(45.0).tag(sync=True)
    cloud = Bool(True).tag(sync=True)
    compact = Bool(False).tag(sync=True)
    start = Dict(help="the values that the reset button brings back").tag(sync=True, shown=False)

    _STATE = ("mode", "l_1", "l_2", "rank", "a", "b", "a_2", "b_2", "target", "probe", "cloud")

    def __init__(self, **kwargs: Any) -> None:
        unknown = sorted(set(kwargs) - {*self._STATE, "compact"})
        if unknown:
            known = ", ".join((*self._STATE, "compact"))
            raise TraitError(f"EllipseLab: expected only the names {known}; got {', '.join(unknown)}.")
        super().__init__(**kwargs)
        self.start = {name: getattr(self, name) for name in self._STATE}

    @validate("l_1", "l_2")
    def _check_factor(self, proposal: Any) -> float:
        _bounded(proposal.trait.name, [proposal.value], LIMIT)
        return proposal.value

    @validate("probe")
    def _check_probe(self, proposal: Any) -> float:
        _bounded("probe (degrees)", [proposal.value], 180.0)
        return proposal.value

    @validate("rank")
    def _check_rank(self, proposal: Any) -> int:
        if proposal.value not in (1, 2):
            raise TraitError(f"rank: expected 1 or 2 in a plane, got {proposal.value}; rank 2 reaches every matrix.")
        return proposal.value

    @validate("a", "b", "a_2", "b_2")
    def _check_vector(self, proposal: Any) -> list[float]:
        name, value = proposal.trait.name, proposal.value
        if len(value) != 2:
            raise TraitError(f"{name}: expected two numbers, the entries of a row vector, got {len(value)}: {value}.")
        _bounded(name, value, LIMIT)
        return value

    @property
    def matrix(self) -> np.ndarray:
        """The 2 x 2 matrix ``M`` of the state, for row vectors: ``x' = x @ M``."""
        if self.mode == "ia3":
            return geometry.scaling_matrix([self.l_1, self.l_2])
        a, b = ([self.a], [self.b]) if self.rank == 1 else ([self.a, self.a_2], [self.b, self.b_2])
        return geometry.lora_matrix(a, b)

    def picture(self) -> str:
        """Return a static SVG: the unit circle, its image with the half-axes named, the probe and its image."""
        matrix, role, circle = self.matrix, self.mode, geometry.unit_circle(72)
        reading, x = geometry.read_svd(matrix), rotation_matrix(self.probe)[0]
        long, short = reading.half_axes
        name = f"diag({self.l_1:.2f}, {self.l_2:.2f})" if role == "ia3" else f"I + a LoRA update of rank {self.rank}"
        title = (
            f"The unit circle (dashed) and its image under {name}: an ellipse with half-axes {long:.2f} and "
            f"{short:.2f}, the long one at {reading.angle_degrees:.1f} degrees"
        )
        layers = [_grid(), _closed(circle, "base", 'stroke-dasharray="0.12 0.08"', 0.03)]
        if self.target in TARGET_ELLIPSES:
            layers.append(_closed(circle @ target_matrix(self.target), "good", 'stroke-dasharray="0.03 0.12"', 0.07))
        if self.target == "rotation":
            layers.append(_dots(cloud_points() @ target_matrix("rotation"), "good", 0.12))
        layers.append(_closed(circle @ matrix, role, f'style="fill: {figure_color(role)}; fill-opacity: 0.15"', 0.045))
        if self.cloud:
            layers += [_dots(cloud_points(), "grid", 0.05), _dots(cloud_points() @ matrix, role, 0.08)]
        layers += [_arrow(x, "base"), _arrow(x @ matrix, "text")]
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{-_REACH} {-_REACH} {2 * _REACH} {2 * _REACH}" '
            f'width="360" height="360" role="img" class="ia3-picture"><title>{title}</title>{"".join(layers)}'
            f'<text x="{-_REACH + 0.1}" y="{_REACH - 0.12}" font-size="0.22" fill="{figure_color("text")}">'
            f"half-axes {long:.2f} and {short:.2f}</text></svg>"
        )


def _place(point: np.ndarray) -> str:
    return f"{point[0]:.3f},{-point[1]:.3f}"


def _closed(points: np.ndarray, role: str, more: str, width: float) -> str:
    corners = " ".join(_place(point) for point in points)
    return f'<polygon points="{corners}" fill="none" stroke="{figure_color(role)}" stroke-width="{width}" {more}/>'


def _dots(points: np.ndarray, role: str, size: float) -> str:
    path = "".join(f"M{_place(point)}h0" for point in points)
    color = figure_color(role)
    return f'<path d="{path}" fill="none" stroke="{color}" stroke-width="{size}" stroke-linecap="round"/>'


def _grid() -> str:
    lines = "".join(f"M{k} {-_REACH}V{_REACH}M{-_REACH} {k}H{_REACH}" for k in (-2, -1, 1, 2))
    axes = f"M0 {-_REACH}V{_REACH}M{-_REACH} 0H{_REACH}"
    gray = figure_color("grid")
    return (
        f'<path d="{lines}" fill="none" stroke="{gray}" stroke-opacity="0.35" stroke-width="0.015"/>'
        f'<path d="{axes}" fill="none" stroke="{gray}" stroke-width="0.02"/>'
    )


def _arrow(tip: np.ndarray, role: str) -> str:
    """Draw a line from the origin with a ball at its tip."""
    color = figure_color(role)
    return (
        f'<path d="M0,0L{_place(tip)}" fill="none" stroke="{color}" stroke-width="0.04"/>'
        f'<circle cx="{tip[0]:.3f}" cy="{-tip[1]:.3f}" r="0.07" fill="{color}"/>'
    )
