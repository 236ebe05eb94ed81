"""Laws of the maps of the plane and of what IA3 and LoRA can reach."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from ia3_lab import geometry
from ia3_lab.geometry import (
    best_diagonal_fit,
    best_low_rank_update,
    lora_matrix,
    point_cloud,
    read_svd,
    scaling_matrix,
    transform,
    turn_angle,
    unit_circle,
    update_rank,
)

SHEAR = lora_matrix([0.0, 1.0], [0.7, 0.0])
entries = st.floats(-3.0, 3.0)
nonzero = st.one_of(st.floats(0.1, 3.0), st.floats(-3.0, -0.1))
seeds = st.integers(0, 10_000)
angles = st.floats(0.01, 3.13)


def rotation(theta: float) -> np.ndarray:
    """Counterclockwise by theta, for row vectors."""
    return np.array([[np.cos(theta), np.sin(theta)], [-np.sin(theta), np.cos(theta)]])


def random_matrix(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


# --- the image of the circle ------------------------------------------------------------------------------------


@given(nonzero, nonzero)
def test_image_of_the_circle_under_a_diagonal_lies_on_the_axis_aligned_ellipse(l_1, l_2):
    x, y = transform(unit_circle(37), scaling_matrix([l_1, l_2])).T
    assert_allclose((x / l_1) ** 2 + (y / l_2) ** 2, 1.0, atol=1e-12)


def test_image_under_a_shear_leaves_every_axis_aligned_ellipse():
    image = transform(unit_circle(37), SHEAR)
    # a x^2 + b y^2 = 1 for all points is a linear system in (a, b): its best solution leaves a gap.
    (_, gap, *_) = np.linalg.lstsq(image**2, np.ones(37), rcond=None)
    assert gap[0] > 1.0


@given(entries, entries)
def test_half_axes_under_a_diagonal_are_the_absolute_entries(l_1, l_2):
    half_axes = read_svd(scaling_matrix([l_1, l_2])).half_axes
    assert_allclose(half_axes, sorted((abs(l_1), abs(l_2)), reverse=True), atol=1e-12)


@given(nonzero, nonzero)
def test_axes_under_a_diagonal_are_the_coordinate_axes(l_1, l_2):
    assume(abs(abs(l_1) - abs(l_2)) > 1e-6)
    assert read_svd(scaling_matrix([l_1, l_2])).angle_degrees == (0.0 if abs(l_1) > abs(l_2) else 90.0)


def test_axes_under_a_shear_are_tilted():
    assert 10.0 < read_svd(SHEAR).angle_degrees < 80.0


@given(angles, nonzero, nonzero)
def test_rotating_after_scaling_tilts_the_long_axis_by_the_angle(theta, l_1, l_2):
    assume(abs(l_1) - abs(l_2) > 1e-3)
    angle = read_svd(scaling_matrix([l_1, l_2]) @ rotation(theta)).angle_degrees
    assert abs(np.sin(np.radians(angle) - theta)) < 1e-6
    assert -90.0 < angle <= 90.0


@given(entries, entries)
def test_areas_grow_by_the_product_of_the_entries(l_1, l_2):
    assert_allclose(read_svd(scaling_matrix([l_1, l_2])).area_factor, abs(l_1 * l_2), atol=1e-12)
    x, y = transform(unit_circle(2001), scaling_matrix([l_1, l_2])).T
    enclosed = 0.5 * np.sum(x[:-1] * y[1:] - x[1:] * y[:-1])  # signed: a reflection turns the contour around
    assert_allclose(enclosed, np.pi * l_1 * l_2, atol=1e-3)


@given(seeds)
def test_the_svd_reading_says_which_input_goes_to_which_half_axis(seed):
    matrix = random_matrix(seed, 3, 5)
    reading = read_svd(matrix)
    assert_allclose(
        transform(reading.directions_in, matrix), reading.half_axes[:, None] * reading.directions_out, atol=1e-10
    )
    assert reading.angle_degrees is None


def test_a_circle_has_no_longer_axis_and_a_collapsed_one_has_lower_rank():
    assert read_svd(rotation(0.4)).angle_degrees == 0.0
    assert read_svd(np.zeros((2, 2))).rank == 0
    assert read_svd(np.zeros((2, 2))).angle_degrees == 0.0
    assert read_svd(scaling_matrix([1.8, 0.0])).rank == 1
    assert read_svd(scaling_matrix([1.8, 1e-3])).rank == 2


def test_the_cloud_fills_the_disk_and_depends_on_the_seed_alone():
    cloud = point_cloud(4000, seed=3)
    radius = np.linalg.norm(cloud, axis=1)
    assert radius.max() <= 1.0
    assert_allclose((radius < 0.5).mean(), 0.25, atol=0.03)
    np.testing.assert_array_equal(cloud, point_cloud(4000, seed=3))
    assert not np.array_equal(cloud, point_cloud(4000, seed=4))


# --- composing --------------------------------------------------------------------------------------------------

vectors = st.lists(st.tuples(entries, entries), min_size=1, max_size=6)


@given(vectors)
def test_composing_rescalings_is_the_elementwise_product(pairs):
    gains, other = np.array(pairs).T
    assert_allclose(scaling_matrix(gains) @ scaling_matrix(other), scaling_matrix(gains * other))


@given(vectors)
def test_rescalings_commute(pairs):
    gains, other = np.array(pairs).T
    assert_allclose(scaling_matrix(gains) @ scaling_matrix(other), scaling_matrix(other) @ scaling_matrix(gains))


@given(nonzero, nonzero)
def test_a_shear_commutes_with_a_rescaling_only_if_the_entries_are_equal(l_1, l_2):
    assume(abs(l_1 - l_2) > 1e-6)
    scaling = scaling_matrix([l_1, l_2])
    assert np.abs(scaling @ SHEAR - SHEAR @ scaling).max() > 1e-7
    uniform = scaling_matrix([l_1, l_1])
    assert_allclose(uniform @ SHEAR, SHEAR @ uniform)


# --- turning a vector -------------------------------------------------------------------------------------------


def test_a_rescaling_turns_the_diagonal_vector():
    assert_allclose(turn_angle([1.0, 1.0], scaling_matrix([1.8, 0.5])), 45.0 - np.degrees(np.arctan(0.5 / 1.8)))
    assert round(turn_angle([1.0, 1.0], scaling_matrix([1.8, 0.5])), 1) == 29.5
    assert round(turn_angle([1.0, 1.0], scaling_matrix([1.8, -0.5])), 1) == 60.5


@given(nonzero, nonzero)
def test_a_coordinate_axis_is_never_turned_by_a_rescaling(l_1, l_2):
    angle = turn_angle([1.0, 0.0], scaling_matrix([l_1, l_2]))
    assert_allclose(angle, 0.0 if l_1 > 0 else 180.0, atol=1e-9)
    assert turn_angle([1.0, 0.0], rotation(0.3)) > 1.0


@given(st.floats(0.1, 3.0), st.floats(0.1, 3.0))
def test_the_largest_turn_under_positive_entries_follows_from_their_ratio(l_1, l_2):
    """Positive gains turn no vector of the plane by 90 degrees: the largest turn has sine (max - min) / (max + min)."""
    bound = np.degrees(np.arcsin(abs(l_1 - l_2) / (l_1 + l_2)))
    turns = [turn_angle(x, scaling_matrix([l_1, l_2])) for x in unit_circle(41)]
    assert max(turns) <= bound + 1e-6
    assert_allclose(turn_angle([np.sqrt(l_2), np.sqrt(l_1)], scaling_matrix([l_1, l_2])), bound, atol=1e-6)


@given(seeds)
def test_turn_angles_are_exact_near_zero_and_near_180_degrees(seed):
    x = random_matrix(seed, 7)
    tiny = np.eye(7) + 1e-9 * random_matrix(seed + 1, 7, 7)
    assert 0.0 < turn_angle(x, tiny) < 1e-5
    assert_allclose(180.0 - turn_angle(x, -tiny), turn_angle(x, tiny), atol=1e-6)


# --- reach ------------------------------------------------------------------------------------------------------


@given(seeds, st.booleans())
def test_no_other_vector_fits_better_than_the_best_diagonal(seed, with_base):
    target = random_matrix(seed, 4, 6)
    base = random_matrix(seed + 1, 4, 6) if with_base else np.eye(4, 6)
    fit = best_diagonal_fit(target, base)
    assert_allclose(fit.residual, np.linalg.norm(base @ scaling_matrix(fit.l) - target))
    for step in 0.3 * random_matrix(seed + 2, 20, 6)[:, : 6 if with_base else 4]:
        other = fit.l + np.pad(step, (0, 6 - step.size))
        assert np.linalg.norm(base @ scaling_matrix(other) - target) > fit.residual


@given(angles)
def test_the_best_diagonal_for_a_rotation_is_the_cosine_and_misses_the_sine(theta):
    fit = best_diagonal_fit(rotation(theta))
    assert_allclose(fit.l, np.cos(theta), atol=1e-12)
    assert_allclose(fit.relative_residual, abs(np.sin(theta)))


@given(vectors)
def test_a_rescaling_of_the_base_is_in_reach_of_the_diagonal(pairs):
    gains = np.array(pairs)[:, 0]
    base = random_matrix(5, gains.size + 1, gains.size)
    fit = best_diagonal_fit(base * gains, base)
    assert_allclose(fit.l, gains, atol=1e-10)
    assert fit.residual < 1e-10


@given(seeds, st.integers(1, 3))
def test_the_best_update_of_rank_r_leaves_the_tail_of_the_singular_values(seed, rank):
    target, base = random_matrix(seed, 4, 5), random_matrix(seed + 1, 4, 5)
    fit = best_low_rank_update(target, base, rank)
    assert np.linalg.matrix_rank(fit.update) == rank
    assert_allclose(fit.residual**2, (read_svd(target - base).half_axes[rank:] ** 2).sum())
    for other in range(10):
        update = random_matrix(seed + other, 4, rank) @ random_matrix(seed + other + 1, rank, 5)
        assert np.linalg.norm(base + update - target) > fit.residual
        near = fit.update + 0.1 * update
        near = best_low_rank_update(near, np.zeros_like(near), rank).update
        assert np.linalg.norm(base + near - target) >= fit.residual - 1e-12


@given(angles)
def test_a_plane_rotation_needs_an_update_of_rank_two(theta):
    target = rotation(theta)
    assert best_low_rank_update(target, rank=1).residual > 1e-3
    assert best_low_rank_update(target, rank=2).residual < 1e-12


@given(seeds, st.floats(-2.0, 2.0))
def test_a_rank_one_lora_map_is_in_reach_of_rank_one_but_not_of_the_diagonal(seed, alpha):
    assume(abs(alpha) > 0.1)
    target = lora_matrix(random_matrix(seed, 5), random_matrix(seed + 1, 5), alpha)
    assert best_low_rank_update(target, rank=1).residual < 1e-10
    assert best_diagonal_fit(target).missed_change > 0.05


def test_a_lora_map_reads_a_and_writes_b_times_alpha_over_r():
    a, b, x = random_matrix(0, 3, 5), random_matrix(1, 3, 5), random_matrix(2, 5)
    expected = x + sum(2.0 / 3.0 * (x @ a[i]) * b[i] for i in range(3))
    assert_allclose(transform(x, lora_matrix(a, b, alpha=2.0)), expected)
    assert not np.allclose(transform(x, lora_matrix(b, a, alpha=2.0)), expected)


def test_nothing_wanted_is_nothing_missed():
    fit = best_diagonal_fit(np.eye(3))
    assert (fit.residual, fit.relative_residual, fit.missed_change) == (0.0, 0.0, 0.0)
    assert best_diagonal_fit(np.ones((2, 2)), [[0.0, 1.0], [0.0, 1.0]]).l.tolist() == [1.0, 1.0]


@given(seeds, st.sampled_from(["output", "input"]))
def test_the_update_of_a_rescaling_has_full_rank(seed, side):
    weight = random_matrix(seed, 7, 5)
    gains = 1.0 + 0.5 * np.arange(1, (5 if side == "output" else 7) + 1)
    assert update_rank(gains, weight, side) == 5


@given(st.integers(0, 5))
def test_the_rank_of_the_update_counts_the_entries_that_are_not_one(changed):
    gains = np.where(np.arange(5) < changed, 1.8, 1.0)
    assert update_rank(gains, random_matrix(3, 7, 5)) == changed


# --- callers' mistakes ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: unit_circle(2), "at least 3, got 2"),
        (lambda: unit_circle(3.5), "whole number"),
        (lambda: unit_circle(True), "whole number"),
        (lambda: point_cloud(0), "num_points"),
        (lambda: point_cloud(5, seed=-1), "seed"),
        (lambda: transform([1.0, 2.0, 3.0], np.eye(2)), r"shape \(3,\).*shape \(2, 2\)"),
        (lambda: transform(np.zeros((0, 2)), np.eye(2)), "non-empty"),
        (lambda: scaling_matrix([1.0, float("nan")]), "l to hold finite numbers"),
        (lambda: scaling_matrix([1.0, float("inf")]), "l to hold finite numbers"),
        (lambda: scaling_matrix(np.eye(2)), r"1-D array, got shape \(2, 2\)"),
        (lambda: scaling_matrix([]), "non-empty"),
        (lambda: lora_matrix(np.ones((1, 3)), np.ones((2, 3))), r"\(1, 3\) and \(2, 3\)"),
        (lambda: lora_matrix([1.0, 2.0], [1.0, 2.0], alpha=float("nan")), "alpha"),
        (lambda: read_svd([1.0, 2.0]), "2-D"),
        (lambda: turn_angle([0.0, 0.0], np.eye(2)), "zero vector has no direction"),
        (lambda: turn_angle([0.0, 1.0], scaling_matrix([1.0, 0.0])), "zero vector has no direction"),
        (lambda: turn_angle([1.0, 1.0], np.ones((2, 3))), "square"),
        (lambda: best_diagonal_fit(np.eye(2), np.eye(3)), r"\(3, 3\) and \(2, 2\)"),
        (lambda: best_low_rank_update(np.eye(2), rank=0), "rank to be a whole number of at least 1, got 0"),
        (lambda: update_rank([1.0, 2.0], np.eye(3)), "length 3 on the output side"),
        (lambda: update_rank([1.0, 2.0, 3.0], np.ones((2, 3)), side="input"), "length 2 on the input side"),
        (lambda: update_rank([1.0, 2.0], np.eye(2), side="left"), '"output" or "input", got \'left\''),
    ],
)
def test_a_mistake_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_the_readings_are_frozen():
    with pytest.raises(AttributeError):
        geometry.read_svd(np.eye(2)).rank = 3


def test_what_cannot_become_numbers_is_a_type_error_that_names_the_argument() -> None:
    for wrong in ("ab", [[1.0, 2.0], [3.0]], [1j, 2.0], {"l": 1.0}, [10**400, 1.0]):
        with pytest.raises(TypeError, match="expected points to be real numbers in rows of one length, got"):
            transform(wrong, np.eye(2))


def test_the_turn_does_not_depend_on_the_length_even_where_squares_overflow_or_vanish() -> None:
    for length in (1e-200, 1.0, 1e200):
        assert turn_angle([length, length], scaling_matrix([1.8, 0.5])) == pytest.approx(29.4759, abs=1e-4)
