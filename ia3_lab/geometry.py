"""Maps of the plane and of R^d: images of the circle, turn angles, SVD readings, and what IA3 or LoRA can reach.

Points are rows and a map acts from the right, ``image = points @ matrix``, as everywhere in the book. A rescaling
vector ``l`` is the map ``diag(l)``; on the output of a weight it gives ``W @ diag(l)``, which multiplies the columns of
``W``. Everything takes what ``np.asarray`` takes. Checked is only what numpy would broadcast in silence.
"""

# ruff: noqa: E741 - l is the paper's letter for a rescaling vector
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

_Array = NDArray[np.float64]


def unit_circle(num_points: int = 200) -> _Array:
    """Return points (cos t, sin t), shape (num_points, 2), for t from 0 to 2 pi; the last is the first again.

    Examples
    --------
    >>> unit_circle(5).round(1).tolist()[:2]
    [[1.0, 0.0], [0.0, 1.0]]
    """
    t = np.linspace(0.0, 2.0 * np.pi, num_points)
    return np.stack([np.cos(t), np.sin(t)], axis=-1)


def lora_matrix(a: ArrayLike, b: ArrayLike) -> _Array:
    """Return ``I + a^T b``, shape (d, d): the identity with a LoRA update of rank at most r, whose alpha is r.

    Row i of ``a`` is read from the input, row i of ``b`` is written to the output:
    ``x @ M = x + sum_i (x . a[i]) b[i]``. Hu et al. (2022), section 4.1.

    Parameters
    ----------
    a, b : array of shape (d,) or (r, d)
        Directions that are read and written; a single vector means r = 1.

    Examples
    --------
    >>> lora_matrix([0.0, 1.0], [0.7, 0.0]).tolist()
    [[1.0, 0.0], [0.7, 1.0]]
    """
    a, b = _same_shape(np.atleast_2d(a), np.atleast_2d(b))  # (r, d)
    return np.eye(a.shape[1]) + a.T @ b


class SVDReading(NamedTuple):
    """What ``M = U diag(s) V^T``, shape (d_in, d_out), does to the unit ball; k = min(d_in, d_out)."""

    half_axes: _Array  # (k,): the singular values, largest first, are the half-axes of the image
    #: For maps of the plane: angle of the longer axis from the first coordinate axis, in (-90, 90] degrees
    #: counterclockwise; 0 when the image is a circle or a point. None in other dimensions.
    angle_degrees: float | None
    area_factor: float  # product of the half-axes: by how much areas (volumes) grow
    rank: int  # number of singular values that are not zero to float64 precision


def read_svd(matrix: ArrayLike) -> SVDReading:
    """Read the image of the unit ball off the singular values of a matrix, shape (d_in, d_out).

    With points as rows, the input direction ``U[:, i]`` is mapped to ``s[i] * V[:, i]``.

    Examples
    --------
    >>> reading = read_svd(np.diag([0.5, -1.8]))
    >>> reading.half_axes.tolist(), reading.angle_degrees, round(reading.area_factor, 3), reading.rank
    ([1.8, 0.5], 90.0, 0.9, 2)
    """
    _, s, vt = np.linalg.svd(np.asarray(matrix, dtype=float), full_matrices=False)
    angle = None
    if np.shape(matrix) == (2, 2):
        is_circle = s[0] - s[1] <= 1e-12 * s[0]
        angle = 0.0 if is_circle else float(np.degrees(np.arctan2(vt[0, 1], vt[0, 0]))) % 180.0
        angle -= 180.0 if angle > 90.0 else 0.0
    return SVDReading(s, angle, float(np.prod(s)), int(np.linalg.matrix_rank(matrix)))


def turn_angle(x: ArrayLike, matrix: ArrayLike) -> float:
    """Return the angle in degrees, 0 to 180, from a vector, shape (d,), to ``x @ matrix``, the matrix of shape (d, d).

    Raises
    ------
    ValueError
        If the vector or its image is zero, which has no direction, or the matrix is not square.

    Examples
    --------
    >>> round(turn_angle([1.0, 1.0], np.diag([1.8, 0.5])), 1)
    29.5
    """
    x = np.asarray(x, dtype=float)
    x = x / (np.abs(x).max() or 1.0)  # the angle does not depend on the length, and squares of tiny numbers vanish
    x, image = _same_shape(x, x @ np.asarray(matrix, dtype=float))
    if not x.any() or not image.any():
        raise ValueError(f"the zero vector has no direction: x is {x} and its image is {image}")
    image = image / np.abs(image).max()
    x, image = x / np.linalg.norm(x), image / np.linalg.norm(image)
    # Half-angle formula: accurate near 0 and 180 degrees, where the arccosine of a dot product is not.
    return float(np.degrees(2.0 * np.arctan2(np.linalg.norm(x - image), np.linalg.norm(x + image))))


class Fit(NamedTuple):
    """The nearest map of a family to a target, shape (d_in, d_out)."""

    best: _Array  # the rescaling vector, shape (d_out,), or the low-rank update, shape (d_in, d_out)
    residual: float  # Frobenius norm of what remains
    missed_change: float  # over the norm of target - base: the part of the wanted change out of reach, from 0 to 1


def best_diagonal_fit(target: ArrayLike, base: ArrayLike | None = None) -> Fit:
    """Return the ``l`` that minimizes ``||base @ diag(l) - target||`` in the Frobenius norm.

    Every column is a least-squares problem of its own: ``l[j] = base[:, j] . target[:, j] / ||base[:, j]||^2``.
    Where a column of the base is zero no ``l[j]`` matters, and 1 is returned.

    Parameters
    ----------
    target : array of shape (d_in, d_out)
        The wanted map.
    base : array of shape (d_in, d_out), optional
        The frozen weight; the identity when left out.

    Examples
    --------
    >>> quarter_turn = best_diagonal_fit([[0.0, 1.0], [-1.0, 0.0]])
    >>> quarter_turn.best.tolist(), round(quarter_turn.missed_change, 3)
    ([0.0, 0.0], 0.707)
    """
    target, base = _same_shape(target, np.eye(*np.shape(target)) if base is None else base)
    squares = (base * base).sum(axis=0)
    l = np.divide((base * target).sum(axis=0), squares, out=np.ones_like(squares), where=squares > 0)
    return _fit(l, base * l, target, base)


def best_low_rank_update(target: ArrayLike, base: ArrayLike | None = None, rank: int = 1) -> Fit:
    """Return the update of rank at most ``rank`` that minimizes ``||base + update - target||``.

    Target and base, shape (d_in, d_out), as in `best_diagonal_fit`. By the theorem of Eckart and Young (1936), the best
    is the singular value decomposition of ``target - base`` cut after ``rank`` terms.

    Examples
    --------
    >>> shear = lora_matrix([0.0, 1.0], [0.7, 0.0])
    >>> round(best_low_rank_update(shear, rank=1).residual, 12)
    0.0
    """
    target, base = _same_shape(target, np.eye(*np.shape(target)) if base is None else base)
    u, s, vt = np.linalg.svd(target - base, full_matrices=False)
    rank = max(rank, 0)  # a slice would count from the end
    update = (u[:, :rank] * s[:rank]) @ vt[:rank]
    return _fit(update, base + update, target, base)


def update_rank(l: ArrayLike, weight: ArrayLike) -> int:
    """Return the rank of ``W @ (diag(l) - I)``: what l, shape (d_out,), adds to the weight, shape (d_in, d_out).

    In front of a weight, where IA3 adds ``(diag(l) - I) @ W``, pass the transpose: it has the same rank.

    Examples
    --------
    >>> update_rank([1.8, 0.5], [[2.0, 1.0], [0.0, 3.0]]), update_rank([1.8, 1.0], [[2.0, 1.0], [0.0, 3.0]])
    (2, 1)
    """
    return int(np.linalg.matrix_rank(np.asarray(weight) @ np.diag(np.asarray(l) - 1.0)))


def _same_shape(one: ArrayLike, other: ArrayLike) -> tuple[_Array, _Array]:
    """Return both as float arrays of one shape, (...); arithmetic would stretch an axis of length 1."""
    one, other = np.asarray(one, dtype=float), np.asarray(other, dtype=float)
    if one.shape != other.shape:
        raise ValueError(f"expected two arrays of one shape, got {one.shape} and {other.shape}")
    return one, other


def _fit(best: _Array, reached: _Array, target: _Array, base: _Array) -> Fit:
    residual, wanted = float(np.linalg.norm(reached - target)), float(np.linalg.norm(target - base))
    return Fit(best, residual, residual / wanted if wanted else 0.0)  # 0 / 0: nothing is missed
