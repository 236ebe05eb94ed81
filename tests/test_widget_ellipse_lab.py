"""The Ellipse Lab's JavaScript computes what numpy computes, and what is drawn is what the traits say."""

import re
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose
from widget_helpers import drag, open_tables, press, set_traits, stroke, trait

from ia3_lab import geometry
from ia3_lab.widgets import EllipseLab
from ia3_lab.widgets.ellipse_lab import target_matrix

TARGETS = ("upright", "tilted", "large", "rotation")
STATE = EllipseLab()._own()
pytestmark = pytest.mark.browser


@pytest.fixture
def call(js):
    return js(EllipseLab)


def rotation(degrees: float) -> np.ndarray:
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array([[c, s], [-s, c]])


def matrices(count: int = 6) -> list[np.ndarray]:
    """Return random matrices, both signs of the determinant among them, and awkward ones."""
    awkward = [np.eye(2), np.diag([1.8, 0.5]), np.diag([0.5, -1.8]), np.diag([1.5, 0.0]), np.zeros((2, 2)), -np.eye(2)]
    random = np.random.default_rng(7).normal(size=(count, 2, 2))
    return [*random, *awkward, np.array([[1.0, 2.0], [0.5, 1.0]]), rotation(77.0)]


def misfit(matrix: np.ndarray, target: str) -> float:
    """Return the missed part of the change: between maps for "rotation", else between the shapes M^T M."""
    goal = target_matrix(target)
    if target != "rotation":
        matrix, goal = matrix.T @ matrix, goal.T @ goal
    return float(np.linalg.norm(matrix - goal) / np.linalg.norm(goal - np.eye(2)))


# --- mathematics and words --------------------------------------------------------------------------------------


def test_half_axes_tilt_area_and_the_turn_of_a_vector_equal_numpy(call):
    for matrix in matrices():
        reading, expected = call("svd", matrix.tolist()), geometry.read_svd(matrix)
        assert_allclose(reading["half_axes"], expected.half_axes, atol=1e-12)
        assert reading["area"] == pytest.approx(np.linalg.det(matrix))
        if expected.half_axes[0] - expected.half_axes[1] > 1e-9:
            assert -90 < reading["angle"] <= 90
            assert (reading["angle"] - expected.angle_degrees + 90) % 180 == pytest.approx(90)
        else:
            assert reading["angle"] is None
        for x in (rotation(45)[0], rotation(-160)[0], rotation(90)[0]):
            image, turn = x @ matrix, call("turnAngle", x.tolist(), matrix.tolist())
            if np.linalg.norm(image) < 1e-9:
                assert turn is None
                continue
            assert abs(turn) == pytest.approx(geometry.turn_angle(x, matrix), abs=1e-6)
            # Turning x by the signed angle, and by no other sign, points it along its image.
            assert_allclose(x @ rotation(turn), image / np.linalg.norm(image), atol=1e-9)


@pytest.mark.parametrize("target", TARGETS)
def test_mismatch_is_numpys_no_l_and_no_pair_comes_nearer_than_its_floor_and_lora_reaches_all(call, target):
    for matrix in matrices(5):
        assert call("misfit", matrix.tolist(), target) == pytest.approx(misfit(matrix, target))
    best, grid, goal = call("bestDiagonal", target), np.linspace(-2.5, 2.5, 101), target_matrix(target)
    assert best["misfit"] == pytest.approx(misfit(np.diag(best["l"]), target))
    nearest = min(misfit(np.diag([l_1, l_2]), target) for l_1 in grid for l_2 in grid)
    assert nearest - 0.03 < best["misfit"] <= nearest + 1e-12
    assert (best["misfit"] < 1e-12) == (target == "upright")
    floor, pairs = call("bestRankOne", target), np.random.default_rng(3).uniform(-2.5, 2.5, size=(4000, 2, 2))
    assert all(misfit(np.eye(2) + np.outer(a, b), target) >= floor - 1e-12 for a, b in pairs)
    if target == "rotation":
        fit = geometry.best_diagonal_fit(goal)
        assert_allclose(best["l"], fit.best)
        assert best["misfit"] == pytest.approx(fit.missed_change) == pytest.approx(np.cos(np.radians(15)))
        assert floor == pytest.approx(geometry.best_low_rank_update(goal, rank=1).missed_change)
    assert (floor > 0.1) == (target in ("large", "rotation"))
    lab = EllipseLab(mode="lora", **call("loraSolution", target))  # within bounds, or this raises
    assert misfit(lab.matrix, target) < 1e-9
    assert lab.rank == np.linalg.matrix_rank(lab.matrix - np.eye(2)) == (2 if target in ("large", "rotation") else 1)


# --- in the browser ---------------------------------------------------------------------------------------------


def lab_of(page: Any) -> EllipseLab:
    return EllipseLab(**{name: trait(page, name) for name in STATE})


def numbers(text: str) -> np.ndarray:
    return np.array(re.findall(r"-?\d+\.\d+", text), dtype=float)


def assert_drawing_is_the_state(page: Any, matrix: np.ndarray | None = None) -> None:
    """Hold the SVG's own numbers against numpy for the traits of the moment, and these against a matrix."""
    lab, image = lab_of(page), page.locator("ellipse.image")
    if matrix is not None:
        assert_allclose(lab.matrix, matrix, atol=0.02)
    reading = geometry.read_svd(lab.matrix)
    radii = [float(image.get_attribute(name)) for name in ("rx", "ry")]
    assert_allclose(radii, np.maximum(reading.half_axes, 1e-3), atol=1e-4)
    if reading.half_axes[0] - reading.half_axes[1] > 1e-3:
        tilt = -numbers(image.get_attribute("transform"))[0]
        assert (tilt - reading.angle_degrees + 90) % 180 == pytest.approx(90, abs=0.1)
    points = numbers(page.locator("path.points").get_attribute("d")).reshape(-1, 2) * [1, -1]
    assert_allclose(points, lab.points @ lab.matrix, atol=1e-4)
    tip = numbers(page.locator(".moved .head").get_attribute("transform"))[:2] * [1, -1]
    assert_allclose(tip, rotation(lab.probe)[0] @ lab.matrix, atol=1e-4)


def handle_of(page: Any, start: str) -> Any:
    return page.locator(f'[role=slider][aria-label^="{start},"]')


def box(page: Any, name: str) -> dict[str, float]:
    return page.locator(f".ia3-ellipse-lab .{name}").bounding_box()


def pull(page: Any, name: str, right: float, up: float, **how: bool) -> None:
    """Drag a handle in units of the plane, which is 5.6 of them wide."""
    unit = box(page, "plane svg")["width"] / 5.6
    drag(page, handle_of(page, name), right * unit, -up * unit, **how)


def test_half_axes_are_dragged_not_beyond_the_plane_and_elsewhere_a_finger_scrolls(widget_page):
    page = widget_page(EllipseLab(l_1=1.8, l_2=0.5, target="tilted"), width=390, touch=True)
    assert_drawing_is_the_state(page)
    pull(page, "l_1", -0.6, 0.4, finger=True)
    pull(page, "l_2", 0.4, -1.7, finger=True)
    assert_drawing_is_the_state(page, np.diag([1.2, -1.2]))
    assert page.locator("text.name").first.text_content() == f"l₁ = {lab_of(page).l_1:.2f}"
    page.evaluate("new MutationObserver(() => held = true).observe(document.documentElement, { attributes: true })")
    pull(page, "l_1", 2.6, 0, finger=True)
    assert page.evaluate("held && !('hand' in document.documentElement.dataset)")
    assert_drawing_is_the_state(page, np.diag([2.5, -1.2]))
    plane = box(page, "plane svg")
    stroke(page, plane["x"] + 20, plane["y"] + 300, 0, -120)
    assert page.evaluate("scrollY") > 20
    assert_drawing_is_the_state(page, np.diag([2.5, -1.2]))


def test_the_probe_goes_round_and_vectors_of_lora_are_dragged_and_moved_with_keys(widget_page):
    page = widget_page(EllipseLab(l_1=1.8, l_2=0.5, rank=2))
    probe, a = handle_of(page, "probe x"), handle_of(page, "a")
    pull(page, "probe x", -2 * np.cos(np.pi / 4), 0)
    assert trait(page, "probe") == pytest.approx(135, abs=1)
    press(probe, "End", "PageDown", "ArrowDown", "Shift+ArrowUp")
    turn = geometry.turn_angle(rotation(126)[0], np.diag([1.8, 0.5]))
    assert probe.get_attribute("aria-valuetext") == f"126 degrees. The probe x turns {turn:.1f}° counterclockwise."
    assert_drawing_is_the_state(page, np.diag([1.8, 0.5]))
    set_traits(page, mode="lora", probe=100)
    pull(page, "b", -0.3, 0.9)
    pull(page, "b_2", 0.6, -0.5)
    assert_allclose([trait(page, "b"), trait(page, "b_2")], [[0.5, 0.9], [0.6, -0.5]], atol=0.02)
    press(a, "ArrowRight", "ArrowRight", "PageDown")
    assert_allclose(trait(page, "a"), [0.1, 0.5])
    assert a.get_attribute("aria-valuetext") == "a = (0.10, 0.50)"
    assert_drawing_is_the_state(page)
    page.get_by_label("1", exact=True).check(force=True)
    assert_drawing_is_the_state(page)
    assert handle_of(page, "a_2").is_hidden() and handle_of(page, "l_1").is_hidden()


def test_presets_glide_to_their_values_and_are_there_at_once_where_motion_is_unwelcome(widget_page):
    page = widget_page(EllipseLab(l_1=2.2, l_2=-0.4))
    page.get_by_role("button", name="a rotation? (impossible)").click()
    page.wait_for_function("ia3Widgets.EllipseLab[0].get('l_2') === 0.866")
    assert_drawing_is_the_state(page, np.diag([0.866, 0.866]))
    page.clock.install()
    page.get_by_role("button", name="negative").click()
    set_traits(page, mode="ia3", l_1=1.8, l_2=-0.5)  # from outside: the glide lets go
    page.clock.run_for(400)
    assert_drawing_is_the_state(page, np.diag([1.8, -0.5]))
    page.emulate_media(reduced_motion="reduce")
    page.get_by_role("button", name="zero").click()
    assert trait(page, "l_2") == 0


def test_in_the_compact_lab_what_is_out_of_reach_leads_to_lora_and_its_numbers_are_a_table(widget_page):
    page = widget_page(EllipseLab(compact=True, l_1=1.8, l_2=0.5, target="large"), reduced_motion="reduce")
    page.get_by_role("button", name="Show me").click()
    page.get_by_role("button", name="Try LoRA").click()
    u = rotation(-30)[0]
    set_traits(page, a=(1.3 * u).tolist(), b=u.tolist())  # as near as one pair comes
    page.get_by_role("button", name="Try rank 2").click()
    page.get_by_role("button", name="Show me").click()
    assert page.locator(".game .ia3-say").text_content().startswith("A match!")
    cells = [numbers(" ".join(line)) for _, lines in open_tables(page) for line in lines]
    assert_allclose(cells[:2], lab_of(page).matrix, atol=0.0051)
    assert_allclose([row[:2] for row in cells if len(row) == 2][2:4], [[2.3, -30], [1.4, 60]], atol=0.2)


def test_the_game_is_lost_by_ia3_and_won_by_lora_and_by_hand(widget_page):
    page = widget_page(EllipseLab(l_1=1.8), reduced_motion="reduce")
    verdict, show = page.locator(".game .ia3-say"), page.get_by_role("button", name="Show me")
    won = page.locator(".game[data-match]")
    assert show.is_hidden()
    page.get_by_label("tilted", exact=True).check(force=True)
    show.click()
    assert verdict.text_content().startswith("As near as any vector l comes: 79% stays out of reach.")
    assert all("79%" in page.locator(f".bar .{part}").get_attribute("style") for part in ("mark", "fill"))
    radii = [float(page.locator("ellipse.goal").get_attribute(name)) for name in ("rx", "ry")]
    assert_allclose(radii, [2.0, 0.6], atol=2e-4)
    assert_drawing_is_the_state(page)
    set_traits(page, mode="ia3", l_1=1.8, l_2=1, target="upright")
    pull(page, "l_1", -1.2, 0)
    assert won.count() == 0
    pull(page, "l_2", 0, 1.0)
    assert verdict.text_content().startswith("A match! The target is upright")
