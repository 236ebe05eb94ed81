"""Maps of the plane and of R^d: images of the circle, turn angles, SVD readings, and what IA3 or LoRA can reach.

Points are rows and a map acts from the right, ``image = points @ matrix``, as everywhere in the book. A rescaling
vector ``l`` is the map ``diag(l)``; on the output of a weight it gives ``W @ diag(l)``, which multiplies the columns of
``W``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


def _checked(value: ArrayLike, name: str, ndim: tuple[int, ...]) -> Array:
    """Return `value` as finite float64 numbers with one of the given numbers of axes and no empty axis."""
    try:
        array = np.asarray(value.detach() if hasattr(value, "detach") else value, dtype=np.float64)
    except (TypeError, ValueError, RuntimeError, OverflowError) as error:
        raise TypeError(
            f"expected {name} to be real numbers in rows of one length, got {type(value).__name__}: {error}"
        ) from error
    if array.ndim not in ndim or 0 in array.shape:
        expected = " or ".join(f"{n}-D" for n in ndim)
        raise ValueError(f"expected {name} to be a non-empty {expected} array, got shape {array.shape}.")
    if not np.isfinite(array).all():
        raise ValueError(f"expected {name} to hold finite numbers, got NaN or infinity; check what computed it.")
    return array


def _checked_count(value: int, name: str, least: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
        raise ValueError(f"expected {name} to be a whole number of at least {least}, got {value!r}.")
    return int(value)


def unit_circle(num_points: int = 200) -> Array:
    """Return points (cos t, sin t) on the unit circle, for t from 0 to 2 pi.

    The first point comes again at the end, so that a line through the points closes.

    Parameters
    ----------
    num_points : int
        Number of points, at least 3.

    Returns
    -------
    ndarray of shape (num_points, 2)
        Points of length 1, counterclockwise from (1, 0).

    Raises
    ------
    ValueError
        If there are fewer than 3 points.

    Examples
    --------
    >>> unit_circle(5).round(1).tolist()[:2]
    [[1.0, 0.0], [0.0, 1.0]]
    """
    t = np.linspace(0.0, 2.0 * np.pi, _checked_count(num_points, "num_points", 3))
    return np.stack([np.cos(t), np.sin(t)], axis=-1)


def point_cloud(num_points: int = 200, seed: int = 0) -> Array:
    """Draw points uniformly from the unit disk, so that they fill the circle whose image is shown beside them.

    Parameters
    ----------
    num_points : int
        Number of points, at least 1.
    seed : int
        Seed of the generator, at least 0.

    Returns
    -------
    ndarray of shape (num_points, 2)
        Points of length at most 1.

    Raises
    ------
    ValueError
        If a count or the seed is too small.

    Examples
    --------
    >>> point_cloud(3, seed=0).shape
    (3, 2)
    """
    generator = np.random.default_rng(_checked_count(seed, "seed", 0))
    num_points = _checked_count(num_points, "num_points", 1)
    radius = np.sqrt(generator.uniform(size=num_points))  # the root makes the density even
    angle = generator.uniform(0.0, 2.0 * np.pi, size=num_points)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=-1)


def transform(points: ArrayLike, matrix: ArrayLike) -> Array:
    """Map points (rows) with a matrix: ``image = points @ matrix``.

    Parameters
    ----------
    points : array of shape (d_in,) or (num_points, d_in)
        One point, or one point per row.
    matrix : array of shape (d_in, d_out)
        The map.

    Returns
    -------
    ndarray of shape (d_out,) or (num_points, d_out)
        The images.

    Raises
    ------
    ValueError
        If the shapes do not match or a number is not finite.

    Examples
    --------
    >>> transform([1.0, 1.0], scaling_matrix([1.8, 0.5])).tolist()
    [1.8, 0.5]
    """
    points, matrix = _checked(points, "points", (1, 2)), _checked(matrix, "matrix", (2,))
    if points.shape[-1] != matrix.shape[0]:
        raise ValueError(
            f"points of shape {points.shape} cannot be multiplied by a matrix of shape {matrix.shape}: "
            f"expected {points.shape[-1]} rows, one per coordinate of a point."
        )
    return points @ matrix


def scaling_matrix(l: ArrayLike) -> Array:  # noqa: E741 - the paper's name for the vector
    """Return ``diag(l)``, the map that multiplies coordinate i by ``l[i]``: ``x @ diag(l) = x * l``.

    Parameters
    ----------
    l : array of shape (d,)
        The rescaling vector; entries may be zero or negative.

    Returns
    -------
    ndarray of shape (d, d)
        Zero off the diagonal.

    Raises
    ------
    ValueError
        If ``l`` is not a vector of finite numbers.

    References
    ----------
    Liu et al. (2022), Few-Shot Parameter-Efficient Fine-Tuning is Better and Cheaper than In-Context Learning,
    section 3.3.

    Examples
    --------
    >>> scaling_matrix([1.8, 0.5]).tolist()
    [[1.8, 0.0], [0.0, 0.5]]
    """
    return np.diag(_checked(l, "l", (1,)))


def lora_matrix(a: ArrayLike, b: ArrayLike, alpha: float | None = None) -> Array:
    """Return ``I + (alpha / r) a^T b``: the identity with a LoRA update of rank at most r.

    Row i of ``a`` is read from the input, row i of ``b`` is written to the output:
    ``x @ M = x + (alpha / r) * sum_i (x . a[i]) b[i]``.

    Parameters
    ----------
    a : array of shape (d,) or (r, d)
        Directions that are read; a single vector means r = 1.
    b : array of shape (d,) or (r, d)
        Directions that are written.
    alpha : float, optional
        LoRA's scale; r when left out, so that the factor is 1.

    Returns
    -------
    ndarray of shape (d, d)
        The map of row vectors.

    Raises
    ------
    ValueError
        If the shapes differ or a number is not finite.

    References
    ----------
    Hu et al. (2022), LoRA: Low-Rank Adaptation of Large Language Models, section 4.1.

    Examples
    --------
    >>> lora_matrix([0.0, 1.0], [0.7, 0.0]).tolist()
    [[1.0, 0.0], [0.7, 1.0]]
    """
    a, b = (np.atleast_2d(_checked(value, name, (1, 2))) for value, name in ((a, "a"), (b, "b")))
    if a.shape != b.shape:
        raise ValueError(f"expected a and b of the same shape (r, d), got {a.shape} and {b.shape}.")
    rank, d = a.shape
    scale = 1.0 if alpha is None else float(_checked([alpha], "alpha", (1,))[0]) / rank
    return np.eye(d) + scale * a.T @ b


@dataclass(frozen=True)
class SVDReading:
    """What a matrix does to the unit ball, read off ``M = U diag(s) V^T``.

    Attributes
    ----------
    half_axes : ndarray of shape (k,)
        Singular values, largest first: the half-axes of the image.
    directions_in : ndarray of shape (k, d_in)
        Row i is the unit input that is mapped to half-axis i.
    directions_out : ndarray of shape (k, d_out)
        Row i is the direction of half-axis i in the image.
    angle_degrees : float or None
        For maps of the plane: angle of the longer axis from the first coordinate axis, in (-90, 90] degrees
        counterclockwise; 0 when the image is a circle or a point. None in other dimensions.
    area_factor : float
        Product of the half-axes: by how much areas (volumes) grow.
    rank : int
        Number of singular values that are not zero to float64 precision.
    """

    half_axes: Array
    directions_in: Array
    directions_out: Array
    angle_degrees: float | None
    area_factor: float
    rank: int


def _rank_of(singular_values: Array, shape: tuple[int, ...]) -> int:
    """Count singular values above numpy's own threshold for a numerical rank."""
    return int((singular_values > singular_values[0] * max(shape) * np.finfo(np.float64).eps).sum())


def _axis_angle(half_axes: Array, direction: Array) -> float:
    """Return the angle of an undirected axis, 0 where no axis is longer than the other."""
    if half_axes[0] - half_axes[1] <= 1e-12 * half_axes[0]:
        return 0.0
    angle = float(np.degrees(np.arctan2(direction[1], direction[0]))) % 180.0
    return angle - 180.0 if angle > 90.0 else angle


def read_svd(matrix: ArrayLike) -> SVDReading:
    """Read the image of the unit ball off the singular value decomposition ``M = U diag(s) V^T``.

    With points as rows, the input direction ``U[:, i]`` is mapped to ``s[i] * V[:, i]``.

    Parameters
    ----------
    matrix : array of shape (d_in, d_out)
        The map of row vectors.

    Returns
    -------
    SVDReading
        Half-axes, directions before and after, angle of the longer axis, area factor and rank.

    Raises
    ------
    ValueError
        If the matrix is not a 2-D array of finite numbers.

    Examples
    --------
    >>> reading = read_svd(scaling_matrix([0.5, -1.8]))
    >>> reading.half_axes.tolist(), reading.angle_degrees, round(reading.area_factor, 3), reading.rank
    ([1.8, 0.5], 90.0, 0.9, 2)
    """
    matrix = _checked(matrix, "matrix", (2,))
    u, s, vt = np.linalg.svd(matrix, full_matrices=False)
    angle = _axis_angle(s, vt[0]) if matrix.shape == (2, 2) else None
    return SVDReading(s, u.T, vt, angle, float(np.prod(s)), _rank_of(s, matrix.shape))


def turn_angle(x: ArrayLike, matrix: ArrayLike) -> float:
    """Return the angle between ``x`` and its image ``x @ matrix``, in degrees from 0 to 180.

    Parameters
    ----------
    x : array of shape (d,)
        The vector; not zero.
    matrix : array of shape (d, d)
        The map.

    Returns
    -------
    float
        Degrees.

    Raises
    ------
    ValueError
        If the shapes do not match, or ``x`` or its image is the zero vector, which has no direction.

    Examples
    --------
    >>> round(turn_angle([1.0, 1.0], scaling_matrix([1.8, 0.5])), 1)
    29.5
    """
    x = _checked(x, "x", (1,))
    x = x / (np.abs(x).max() or 1.0)  # the angle does not depend on the length, and squares of tiny numbers vanish
    image = transform(x, matrix)
    if image.shape != x.shape:
        raise ValueError(f"expected a square matrix for x of shape {x.shape}, got shape {np.shape(matrix)}.")
    if not x.any() or not image.any():
        raise ValueError(
            f"the zero vector has no direction: x is {x} and its image is {image}; give another x or matrix."
        )
    image = image / np.abs(image).max()
    x, image = x / np.linalg.norm(x), image / np.linalg.norm(image)
    # Half-angle formula: accurate near 0 and 180 degrees, where the arccosine of a dot product is not.
    return float(np.degrees(2.0 * np.arctan2(np.linalg.norm(x - image), np.linalg.norm(x + image))))


@dataclass(frozen=True)
class DiagonalFit:
    """The rescaling vector whose map ``base @ diag(l)`` is nearest to a target.

    Attributes
    ----------
    l : ndarray of shape (d_out,)
        The best vector.
    residual : float
        Frobenius norm of ``base @ diag(l) - target``.
    relative_residual : float
        Residual divided by the Frobenius norm of the target.
    missed_change : float
        Residual divided by the Frobenius norm of ``target - base``: the part of the wanted change that is out of reach,
        between 0 and 1.
    """

    l: Array  # noqa: E741
    residual: float
    relative_residual: float
    missed_change: float


@dataclass(frozen=True)
class LowRankFit:
    """The update of given rank whose map ``base + update`` is nearest to a target.

    Attributes
    ----------
    update : ndarray of shape (d_in, d_out)
        The best update.
    residual : float
        Frobenius norm of ``base + update - target``.
    relative_residual : float
        Residual divided by the Frobenius norm of the target.
    missed_change : float
        Residual divided by the Frobenius norm of ``target - base``, between 0 and 1.
    """

    update: Array
    residual: float
    relative_residual: float
    missed_change: float


def _target_and_base(target: ArrayLike, base: ArrayLike | None) -> tuple[Array, Array]:
    target = _checked(target, "target", (2,))
    base = np.eye(*target.shape) if base is None else _checked(base, "base", (2,))
    if base.shape != target.shape:
        raise ValueError(f"expected base and target of the same shape, got {base.shape} and {target.shape}.")
    return target, base


def _residuals(reached: Array, target: Array, base: Array) -> dict[str, float]:
    residual = float(np.linalg.norm(reached - target))
    sizes = {"relative_residual": np.linalg.norm(target), "missed_change": np.linalg.norm(target - base)}
    # 0 / 0 is 0: nothing was wanted and nothing is missed.
    return {"residual": residual} | {name: float(residual / size) if size else 0.0 for name, size in sizes.items()}


def best_diagonal_fit(target: ArrayLike, base: ArrayLike | None = None) -> DiagonalFit:
    """Return the ``l`` that minimizes ``||base @ diag(l) - target||`` in the Frobenius norm.

    Every column is a least-squares problem of its own: ``l[j] = base[:, j] . target[:, j] / ||base[:, j]||^2``.
    Where a column of the base is zero no ``l[j]`` matters, and 1 is returned.

    Parameters
    ----------
    target : array of shape (d_in, d_out)
        The wanted map.
    base : array of shape (d_in, d_out), optional
        The frozen weight; the identity when left out.

    Returns
    -------
    DiagonalFit
        The vector and what remains. A relative residual is 0 where the matrix it refers to is zero.

    Raises
    ------
    ValueError
        If the shapes differ or a number is not finite.

    Examples
    --------
    >>> quarter_turn = best_diagonal_fit([[0.0, 1.0], [-1.0, 0.0]])
    >>> quarter_turn.l.tolist(), round(quarter_turn.relative_residual, 3)
    ([0.0, 0.0], 1.0)
    """
    target, base = _target_and_base(target, base)
    squares = (base * base).sum(axis=0)
    safe = np.where(squares > 0.0, squares, 1.0)
    l = np.where(squares > 0.0, (base * target).sum(axis=0) / safe, 1.0)  # noqa: E741
    return DiagonalFit(l=l, **_residuals(base * l, target, base))


def best_low_rank_update(target: ArrayLike, base: ArrayLike | None = None, rank: int = 1) -> LowRankFit:
    """Return the update of rank at most ``rank`` that minimizes ``||base + update - target||`` in the Frobenius norm.

    By the Eckart-Young theorem it is the singular value decomposition of ``target - base`` cut after ``rank`` terms.

    Parameters
    ----------
    target : array of shape (d_in, d_out)
        The wanted map.
    base : array of shape (d_in, d_out), optional
        The frozen weight; the identity when left out.
    rank : int
        Largest rank of the update, at least 1; values above min(d_in, d_out) give the exact difference.

    Returns
    -------
    LowRankFit
        The update and what remains.

    Raises
    ------
    ValueError
        If the shapes differ, a number is not finite or the rank is below 1.

    References
    ----------
    Eckart and Young (1936), The Approximation of One Matrix by Another of Lower Rank.

    Examples
    --------
    >>> shear = lora_matrix([0.0, 1.0], [0.7, 0.0])
    >>> round(best_low_rank_update(shear, rank=1).residual, 12)
    0.0
    """
    target, base = _target_and_base(target, base)
    rank = _checked_count(rank, "rank", 1)
    u, s, vt = np.linalg.svd(target - base, full_matrices=False)
    update = (u[:, :rank] * s[:rank]) @ vt[:rank]
    return LowRankFit(update=update, **_residuals(base + update, target, base))


def update_rank(l: ArrayLike, weight: ArrayLike, side: Literal["output", "input"] = "output") -> int:  # noqa: E741
    """Return the rank of what IA3 adds to a weight: ``W @ (diag(l) - I)``, or ``(diag(l) - I) @ W`` on the input side.

    Parameters
    ----------
    l : array of shape (d_out,) or, on the input side, (d_in,)
        The rescaling vector.
    weight : array of shape (d_in, d_out)
        The frozen weight, in the row convention ``x @ W``.
    side : {"output", "input"}
        Where the vector sits: behind the weight (``l_k``, ``l_v``) or in front of it (``l_ff`` before ``W_2``).

    Returns
    -------
    int
        Between 0 (``l`` is all ones) and min(d_in, d_out).

    Raises
    ------
    ValueError
        If ``l`` does not fit the side, the side is unknown or a number is not finite.

    Examples
    --------
    >>> update_rank([1.8, 0.5], [[2.0, 1.0], [0.0, 3.0]]), update_rank([1.8, 1.0], [[2.0, 1.0], [0.0, 3.0]])
    (2, 1)
    """
    l, weight = _checked(l, "l", (1,)), _checked(weight, "weight", (2,))  # noqa: E741
    if side not in ("output", "input"):
        raise ValueError(f'expected side to be "output" or "input", got {side!r}.')
    expected = weight.shape[1] if side == "output" else weight.shape[0]
    if l.size != expected:
        raise ValueError(
            f"expected l of length {expected} on the {side} side of a weight of shape {weight.shape}, got {l.size}."
        )
    update = weight * (l - 1.0) if side == "output" else (l - 1.0)[:, None] * weight
    return read_svd(update).rank
