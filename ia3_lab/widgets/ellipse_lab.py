"""The Ellipse Lab: drag a matrix and see what it makes of the unit circle, of a cloud and of one probe vector."""

import numpy as np
from matplotlib.figure import Figure
from traitlets import Bool, Enum, List

from ia3_lab.geometry import lora_matrix, read_svd, unit_circle
from ia3_lab.plots import plot_image_of_circle, plot_turned_vectors
from ia3_lab.style import figure_color
from ia3_lab.widgets.base import BookWidget, Number

#: Targets of the game: the two half-axes, and the angle of the first in degrees.
_TARGETS = {"upright": (2, 0.6, 90), "tilted": (2, 0.6, 35), "large": (2.3, 1.4, -30), "rotation": (1, 1, 30)}
#: A letter F from the bottom up, because an F shows when it has been mirrored.
_LETTER = ("##...", "##...", "##...", "####.", "####.", "##...", "#####", "#####")
_MARKS = [(x, y) for y, row in enumerate(_LETTER) for x, mark in enumerate(row) if mark == "#"]
_POINTS = [[0.13 * x - 0.74, 0.13 * y - 0.36] for x, y in _MARKS]
#: LoRA's row vectors at the start: a, b, a_2, b_2.
_VECTORS = [0.0, 1.0], [0.8, 0.0], [-1.0, 0.0], [0.0, 0.0]


def target_matrix(target: str) -> np.ndarray:
    """Return a matrix, shape (2, 2), that reaches "upright", "tilted" or "large", or the "rotation" by 30 degrees.

    Examples
    --------
    >>> target_matrix("upright").round(12).tolist()
    [[0.0, 2.0], [-0.6, 0.0]]
    """
    *half_axes, angle = _TARGETS[target]
    c, s = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    return np.diag(half_axes) @ np.array([[c, s], [-s, c]])  # rows are points: stretched, then turned


class EllipseLab(BookWidget):
    """The image of the unit circle under ``x' = x @ M``, to be dragged.

    In mode "ia3" ``M = diag(l)`` and the ends of the ellipse's two half-axes are the handles. In mode "lora"
    ``M = I + a^T b`` (rank 1) or ``M = I + a^T b + a_2^T b_2`` (rank 2) and the vectors are the handles.

    Parameters
    ----------
    mode : {"ia3", "lora"}
        Which kind of matrix. Links in the prose that set ``l_1`` and ``l_2`` do well to set it along with them.
    l_1, l_2 : float
        IA3's two factors, from -2.5 to 2.5.
    rank : {1, 2}
        How many pairs the LoRA update has.
    a, b, a_2, b_2 : list of two floats
        LoRA's row vectors, entries from -2.5 to 2.5.
    target : {"none", "upright", "tilted", "large", "rotation"}
        What the game asks for: an ellipse, or a rotation of the whole plane by 30 degrees.
    probe : float
        Angle of the probe vector on the unit circle, from -180 to 180 degrees.
    cloud, compact : bool
        Show a cloud of points and its image; show fewer targets and no list of readings.

    Examples
    --------
    >>> EllipseLab(l_1=1.8, l_2=0.5).matrix.tolist()
    [[1.8, 0.0], [0.0, 0.5]]
    """

    mode = Enum(("ia3", "lora"), "ia3").tag(sync=True)
    l_1, l_2 = (Number(1.0, min=-2.5, max=2.5).tag(sync=True) for _ in range(2))
    rank = Enum((1, 2), 1).tag(sync=True)
    a, b, a_2, b_2 = (List(Number(min=-2.5, max=2.5), x, minlen=2, maxlen=2).tag(sync=True) for x in _VECTORS)
    target = Enum(("none", *_TARGETS), "none").tag(sync=True)
    probe = Number(45.0, min=-180, max=180).tag(sync=True)
    cloud, compact = Bool(True).tag(sync=True), Bool(False).tag(sync=True)
    points = List(default_value=_POINTS, read_only=True).tag(sync=True, shown=False)

    @property
    def matrix(self) -> np.ndarray:
        """The matrix ``M`` of the state for row vectors, shape (2, 2): ``x' = x @ M``."""
        if self.mode == "ia3":
            return np.diag([self.l_1, self.l_2])
        return lora_matrix([self.a, self.a_2][: self.rank], [self.b, self.b_2][: self.rank])

    def figure(self) -> tuple[Figure, str]:
        """Return the unit circle and its image, the target, the probe and its image; and the half-axes in words."""
        matrix, circle, points = self.matrix, unit_circle(73), np.array(self.points)
        figure, reading = Figure(figsize=(4.2, 4.2)), read_svd(matrix)
        plane = {"role": self.mode, "reach": 2.8, "ax": figure.subplots()}
        cloud = (points, points @ matrix) if self.cloud else ()
        half_axes = "half-axes {:.2f} and {:.2f}".format(*reading.half_axes)
        ax = plot_image_of_circle(circle, circle @ matrix, cloud=cloud, title=half_axes, **plane)
        probe = np.array([[np.cos(np.radians(self.probe)), np.sin(np.radians(self.probe))]])
        plot_turned_vectors(probe, probe @ matrix, **plane)
        if self.target != "none":
            goal = (points if self.target == "rotation" else circle) @ target_matrix(self.target)
            ax.plot(*goal.T, ".", color=figure_color("good"), markersize=4)
        maps = {"ia3": f"diag({self.l_1:.2f}, {self.l_2:.2f})", "lora": f"I + a LoRA update of rank {self.rank}"}
        ellipse = f"an ellipse with {half_axes}, the long one at {reading.angle_degrees:.1f} degrees"
        return figure, f"The unit circle (dashed) and its image under {maps[self.mode]}: {ellipse}"
