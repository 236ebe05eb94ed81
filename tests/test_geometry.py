"""Laws of the maps of the plane and of what IA3 and LoRA can reach, beside those that chapter 3 holds."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from ia3_lab import geometry

nonzero = st.one_of(st.floats(0.1, 3.0), st.floats(-3.0, -0.1))
seeds = st.integers(0, 10_000)


def rotation(theta: float) -> np.ndarray:
    """Counterclockwise by theta, for row vectors."""
    return np.array([[np.cos(theta), np.sin(theta)], [-np.sin(theta), np.cos(theta)]])


def random_matrix(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


def test_a_circle_has_no_longer_axis_a_collapsed_one_has_lower_rank_and_nothing_wanted_is_nothing_missed():
    angle_and_area = geometry.read_svd(np.diag([1.8, -0.5]) @ rotation(-0.4))[1:3]
    assert_allclose(angle_and_area, [np.degrees(-0.4), 0.9])
    assert geometry.read_svd(rotation(0.4)).angle_degrees == geometry.read_svd(np.zeros((2, 2))).angle_degrees == 0.0
    assert [geometry.read_svd(np.diag([1.8, small])).rank for small in (0.0, 1e-3)] == [1, 2]
    assert geometry.read_svd(np.ones((3, 5))).angle_degrees is None
    assert geometry.best_diagonal_fit(np.eye(3))[1:] == geometry.best_low_rank_update(np.eye(3))[1:] == (0.0, 0.0)
    assert geometry.best_diagonal_fit(np.ones((2, 2)), [[0.0, 1.0], [0.0, 1.0]]).best.tolist() == [1.0, 1.0]


@given(nonzero, nonzero)
def test_a_rescaling_turns_a_diagonal_vector_and_never_a_coordinate_axis_and_positive_gains_never_by_90(l_1, l_2):
    """Under positive gains the largest turn of all has sine (max - min) / (max + min)."""
    turn = abs(np.degrees(np.arctan2(l_2, l_1)) - 45.0)
    assert_allclose(geometry.turn_angle([1.0, 1.0], np.diag([l_1, l_2])), min(turn, 360.0 - turn))
    assert_allclose(geometry.turn_angle([1.0, 0.0], np.diag([l_1, l_2])), 0.0 if l_1 > 0 else 180.0, atol=1e-9)
    assert geometry.turn_angle([1.0, 0.0], rotation(0.3)) > 1.0
    l_1, l_2 = abs(l_1), abs(l_2)
    bound = np.degrees(np.arcsin(abs(l_1 - l_2) / (l_1 + l_2)))
    assert max(geometry.turn_angle(x, np.diag([l_1, l_2])) for x in geometry.unit_circle(21)) <= bound + 1e-6
    assert_allclose(geometry.turn_angle([np.sqrt(l_2), np.sqrt(l_1)], np.diag([l_1, l_2])), bound, atol=1e-6)


@given(seeds, st.sampled_from([1e-200, 1.0, 1e200]))
def test_turn_angles_are_exact_near_0_and_180_degrees_and_where_squares_overflow_or_vanish(seed, size):
    x, tiny = size * random_matrix(seed, 7), size * (np.eye(7) + 1e-9 * random_matrix(seed + 1, 7, 7))
    assert 0.0 < geometry.turn_angle(x, tiny) < 1e-5
    assert_allclose(180.0 - geometry.turn_angle(x, -tiny), geometry.turn_angle(x, tiny), atol=1e-6)


@given(seeds, st.booleans())
def test_no_other_vector_fits_better_than_the_best_diagonal_and_a_rescaling_is_in_its_reach(seed, with_base):
    target = random_matrix(seed, 4, 6)
    base = random_matrix(seed + 1, 4, 6) if with_base else np.eye(4, 6)
    fit = geometry.best_diagonal_fit(target, base)
    assert_allclose(fit.residual, np.linalg.norm(base @ np.diag(fit.best) - target))
    for step in 0.3 * random_matrix(seed + 2, 20, 6)[:, : 6 if with_base else 4]:
        other = fit.best + np.pad(step, (0, 6 - step.size))
        assert np.linalg.norm(base @ np.diag(other) - target) > fit.residual
    assert geometry.best_diagonal_fit(base * fit.best, base).residual < 1e-10


@given(seeds, st.integers(1, 3))
def test_the_best_update_of_rank_r_leaves_the_tail_of_the_singular_values(seed, rank):
    target, base = random_matrix(seed, 4, 5), random_matrix(seed + 1, 4, 5)
    fit = geometry.best_low_rank_update(target, base, rank)
    assert np.linalg.matrix_rank(fit.best) == rank
    assert_allclose(fit.residual**2, (geometry.read_svd(target - base).half_axes[rank:] ** 2).sum())
    for other in range(4):
        update = random_matrix(seed + other, 4, rank) @ random_matrix(seed + other + 1, rank, 5)
        assert np.linalg.norm(base + update - target) > fit.residual
        near = geometry.best_low_rank_update(fit.best + 0.1 * update, np.zeros((4, 5)), rank).best
        assert np.linalg.norm(base + near - target) >= fit.residual - 1e-12


@given(seeds, st.booleans(), st.integers(0, 7))
def test_the_rank_of_the_update_counts_the_entries_that_are_not_one(seed, in_front, changed):
    weight = random_matrix(seed, 7, 5).T if in_front else random_matrix(seed, 7, 5)
    gains = np.where(np.arange(weight.shape[1]) < changed, 1.8, 1.0)
    assert geometry.update_rank(gains, weight) == min(changed, 5)


def test_what_numpy_would_take_in_silence_is_refused():
    with pytest.raises(ValueError, match=r"one shape, got \(2, 3\) and \(2, 1\)"):
        geometry.lora_matrix(np.ones((2, 3)), np.ones((2, 1)))
    for matrix, message in ((np.ones((2, 1)), r"one shape, got \(2,\)"), (np.diag([1.0, 0.0]), "has no direction")):
        with pytest.raises(ValueError, match=message):
            geometry.turn_angle([0.0, 1.0], matrix)
