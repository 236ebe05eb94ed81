"""The Ellipse Lab's JavaScript computes what numpy computes, and what is drawn is what the traits say."""

import re
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose
from widget_helpers import drag, middle, press, set_traits, stroke, trait

from ia3_lab import geometry
from ia3_lab.widgets import EllipseLab
from ia3_lab.widgets.ellipse_lab import target_matrix

TARGETS = ("upright", "tilted", "large", "rotation")
STATE = EllipseLab()._own()
LORA = {"mode": "lora", "a": [0.7, -1.2], "b": [1.1, 0.4], "a_2": [-0.3, 0.9], "b_2": [0.6, 1.7]}
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


def state_of(**values: Any) -> dict[str, Any]:
    widget = EllipseLab(**values)
    return {name: getattr(widget, name) for name in STATE}


def misfit(matrix: np.ndarray, target: str) -> float:
    """Return the mismatch as the book defines it: between maps for "rotation", else between the shapes M^T M."""
    goal = target_matrix(target)
    if target != "rotation":
        matrix, goal = matrix.T @ matrix, goal.T @ goal
    return float(np.linalg.norm(matrix - goal) / np.linalg.norm(goal))


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


@pytest.mark.parametrize("values", [{"l_1": 1.8, "l_2": -0.5}, LORA, {**LORA, "rank": 2}], ids=["ia3", "1", "2"])
def test_the_matrix_is_the_packages_and_the_image_is_x_times_it(call, values):
    expected, x = EllipseLab(**values).matrix, [0.3, -1.4]
    matrix = call("matrixOf", state_of(**values))
    assert_allclose(matrix, expected)
    assert_allclose(call("apply", x, matrix), np.array(x) @ expected)
    if "mode" in values:
        assert not np.allclose(call("apply", x, matrix), expected @ x)  # columns would be another map


@pytest.mark.parametrize("target", TARGETS)
def test_targets_and_mismatch_equal_numpy(call, target):
    assert_allclose(call("targetMatrix", target), target_matrix(target), atol=1e-12)
    for matrix in matrices(5):
        assert call("misfit", matrix.tolist(), target) == pytest.approx(misfit(matrix, target))
    for before in (rotation(50), np.diag([1.0, -1.0]) @ rotation(-20)):
        first, last = (before @ target_matrix(target)).tolist(), (target_matrix(target) @ before).tolist()
        # The circle turned first is the same ellipse, though not the same map; turned afterwards it is another one.
        assert (call("misfit", first, target) < 1e-12) == (target != "rotation")
        assert call("misfit", last, target) > 0.1


@pytest.mark.parametrize("target", TARGETS)
def test_no_l_comes_nearer_than_the_best_diagonal(call, target):
    best, grid = call("bestDiagonal", target), np.linspace(-2.5, 2.5, 101)
    assert best["misfit"] == pytest.approx(misfit(np.diag(best["l"]), target))
    nearest = min(misfit(np.diag([l_1, l_2]), target) for l_1 in grid for l_2 in grid)
    assert nearest - 0.03 < best["misfit"] <= nearest + 1e-12
    assert (best["misfit"] < 1e-12) == (target == "upright")
    if target == "rotation":
        fit = geometry.best_diagonal_fit(target_matrix(target))
        assert_allclose(best["l"], fit.best)
        assert best["misfit"] == pytest.approx(fit.relative_residual) == pytest.approx(np.sin(np.radians(30)))


@pytest.mark.parametrize("target", TARGETS)
def test_no_pair_comes_nearer_than_the_floor_of_rank_one_and_lora_reaches_all_with_the_least_rank(call, target):
    floor, goal = call("bestRankOne", target), target_matrix(target)
    pairs = np.random.default_rng(3).uniform(-2.5, 2.5, size=(4000, 2, 2))
    assert all(misfit(np.eye(2) + np.outer(a, b), target) >= floor - 1e-12 for a, b in pairs)
    if target == "rotation":
        assert floor == pytest.approx(geometry.best_low_rank_update(goal, rank=1).relative_residual)
    elif floor > 0:  # attained by the target's own axes with the short one cut to 1
        reading = geometry.read_svd(goal)
        u = reading.directions_out[0]
        assert misfit(np.eye(2) + (reading.half_axes[0] - 1) * np.outer(u, u), target) == pytest.approx(floor)
    assert (floor > 0.1) == (target in ("large", "rotation"))
    lab = EllipseLab(mode="lora", **call("loraSolution", target))  # within bounds, or this raises
    assert misfit(lab.matrix, target) < 1e-9
    assert lab.rank == np.linalg.matrix_rank(lab.matrix - np.eye(2)) == (2 if target in ("large", "rotation") else 1)


TURN = {"mode": "lora", "rank": 2, "a": [1, 0], "b": [-0.134, 0.5], "a_2": [0, 1], "b_2": [-0.5, -0.134]}
WORDS = [
    ({}, "Both coordinates are left as they are: the identity, where IA³ starts. The probe x keeps its direction."),
    ({"mode": "lora"}, "the dotted line stays in place. The probe x turns 15.9° clockwise."),
    ({"l_1": 1.8, "l_2": 0.5}, "1 is amplified, coordinate 2 is inhibited. The probe x turns 29.5° clockwise."),
    ({"l_1": 0.5, "l_2": -1.8, "probe": 0}, "flipped and amplified. The probe x keeps its direction."),
    ({"l_1": -1, "l_2": -1}, "a half-turn, the one rotation besides none that a diagonal can make. The probe x is"),
    ({"l_1": 0, "probe": 0}, "1 is switched off, coordinate 2 is left as it is. The probe x lands on the origin"),
    ({"mode": "lora", "b": [0, 0]}, "The update is zero: the identity, where LoRA starts."),
    ({"mode": "lora", "a": [1, -0.75], "b": [-1.28, 0.96]}, "A reflection: one pair a, b is enough for it."),
    ({"mode": "lora", "a": [1, 0], "b": [-1, 0]}, "The plane collapses onto a line."),
    (TURN, "A rotation by 30.0°: no single pair a, b can make it. The probe x turns 30.0° counterclockwise."),
]


def test_sentence_and_verdict_say_what_the_map_does_and_how_near_the_target_it_comes(call):
    for values, words in WORDS:
        assert words in call("describe", state_of(**values))
    l_1, l_2 = call("bestDiagonal", "tilted")["l"]
    for values, match, words in (
        ({"target": "upright", "l_1": -0.6, "l_2": 2.0}, True, "A match! The target is upright"),
        ({"target": "tilted"}, False, "The best that any l can do is 60%, the mark on the bar."),
        (
            {"target": "tilted", "l_1": l_1, "l_2": -l_2},
            False,
            "60% stays out of reach. A diagonal never tilts the axes.",
        ),
        (
            {"target": "rotation", "l_1": 0.866, "l_2": 0.866},
            False,
            "A diagonal turns single vectors, never the plane. Try LoRA with rank 2.",
        ),
        ({"mode": "lora", "target": "large", **call("loraSolution", "large")}, True, "rank 2"),
    ):
        verdict = call("verdict", state_of(**values))
        assert verdict["match"] == match and words in verdict["text"]
    assert call("verdict", state_of())["misfit"] is None


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


def test_the_mouse_drags_the_half_axes_on_the_ellipse_and_not_beyond_the_plane(widget_page):
    page = widget_page(EllipseLab(l_1=1.8, l_2=0.5))
    assert_drawing_is_the_state(page)
    pull(page, "l_1", -0.6, 0.4)
    pull(page, "l_2", 0.4, -1.7)
    assert_drawing_is_the_state(page, np.diag([1.2, -1.2]))
    (x, y), plane = middle(handle_of(page, "l_2")), box(page, "plane svg")
    where = np.array([x - plane["x"], plane["y"] - y]) * 5.6 / plane["width"] + [-2.8, 2.8]
    assert_allclose(where, [0, lab_of(page).l_2], atol=0.02)
    assert page.locator("text.name").first.text_content() == f"l₁ = {lab_of(page).l_1:.2f}"
    assert f"{abs(lab_of(page).l_2):.2f} x₂)" in page.locator(".formula").text_content()
    pull(page, "l_1", 2.6, 0)
    pull(page, "l_2", 0, -4.5)
    assert_drawing_is_the_state(page, np.diag([2.5, -2.5]))


def test_a_finger_drags_a_handle_and_the_page_still_scrolls_elsewhere(widget_page):
    page = widget_page(EllipseLab(l_1=1.8, l_2=0.5, target="tilted"), width=390, touch=True)
    plane, game = box(page, "plane svg"), box(page, "game")
    assert plane["y"] + plane["height"] < game["y"] < game["y"] + game["height"] < plane["y"] + 700  # both in sight
    pull(page, "l_1", -0.9, -1.0, finger=True)
    assert_drawing_is_the_state(page, np.diag([0.9, 0.5]))
    assert page.evaluate("scrollY") == 0
    plane = box(page, "plane svg")
    stroke(page, plane["x"] + 20, plane["y"] + 300, 0, -120)
    page.wait_for_function("scrollY > 20")
    assert_drawing_is_the_state(page, np.diag([0.9, 0.5]))


def test_the_probe_goes_round_by_mouse_and_keys_and_its_turn_is_read_out(widget_page):
    page = widget_page(EllipseLab(l_1=1.8, l_2=0.5))
    probe, said = handle_of(page, "probe x"), page.locator(".ia3-say").first
    assert "turns 29.5° clockwise" in said.text_content()
    pull(page, "probe x", -2 * np.cos(np.pi / 4), 0)
    assert trait(page, "probe") == pytest.approx(135, abs=1)
    assert "counterclockwise" in said.text_content()
    press(probe, "End", "ArrowUp")
    assert trait(page, "probe") == -179
    press(probe, "Shift+ArrowDown")
    turn = geometry.turn_angle(rotation(171)[0], np.diag([1.8, 0.5]))
    assert probe.get_attribute("aria-valuetext") == f"171 degrees. The probe x turns {turn:.1f}° counterclockwise."
    assert_drawing_is_the_state(page, np.diag([1.8, 0.5]))


def test_vectors_of_lora_are_dragged_and_moved_with_keys(widget_page):
    page = widget_page(EllipseLab(mode="lora", rank=2, probe=100))
    pull(page, "b", -0.3, 0.9)
    pull(page, "b_2", 0.6, -0.5)
    assert_allclose([trait(page, "b"), trait(page, "b_2")], [[0.5, 0.9], [0.6, -0.5]], atol=0.02)
    assert_drawing_is_the_state(page)
    a = handle_of(page, "a")
    press(a, "ArrowRight", "ArrowRight", "Shift+ArrowDown")
    assert_allclose(trait(page, "a"), [0.1, 0.5])
    assert a.get_attribute("aria-valuetext") == "a = (0.10, 0.50)"
    assert float(a.get_attribute("aria-valuenow")) == pytest.approx(np.hypot(0.1, 0.5), abs=0.005)
    press(a, "Home")
    assert trait(page, "a") == [0, 0]
    page.get_by_label("1", exact=True).check(force=True)
    assert_drawing_is_the_state(page)
    assert handle_of(page, "a_2").is_hidden() and handle_of(page, "l_1").is_hidden()


def test_presets_glide_to_their_values_and_are_there_at_once_where_motion_is_unwelcome(widget_page):
    page = widget_page(EllipseLab(l_1=2.2, l_2=-0.4))
    presets = {"identity": (1, 1), "zero": (1, 0), "negative": (-1.2, 0.8), "a rotation? (impossible)": (0.866, 0.866)}
    for name, (l_1, l_2) in presets.items():
        page.get_by_role("button", name=name).click()
        there = "l => l.every((value, i) => ia3Widgets.EllipseLab[0].get(`l_${i + 1}`) === value)"
        page.wait_for_function(there, arg=[l_1, l_2])
        assert_drawing_is_the_state(page, np.diag([l_1, l_2]))
        assert (trait(page, "target") == "rotation") == ("rotation" in name)
    page.get_by_role("button", name="negative").click()
    set_traits(page, mode="ia3", l_1=1.8, l_2=-0.5)  # from outside: the glide lets go
    page.wait_for_timeout(400)
    assert_drawing_is_the_state(page, np.diag([1.8, -0.5]))
    page.emulate_media(reduced_motion="reduce")
    click = "document.querySelector('.presets button:nth-child(2)').click()"
    assert page.evaluate(f"{click}; ia3Widgets.EllipseLab[0].get('l_2')") == 0.5


def test_the_game_is_lost_by_ia3_and_won_by_lora_and_reset_undoes_everything(widget_page):
    page = widget_page(EllipseLab(l_1=1.8))
    page.emulate_media(reduced_motion="reduce")
    verdict, show = page.locator(".game .ia3-say"), page.get_by_role("button", name="Show me")
    won, before = page.locator(".game[data-match]"), repr(lab_of(page))
    assert show.is_hidden()
    page.get_by_label("tilted", exact=True).check(force=True)
    show.click()
    assert verdict.text_content().startswith("As near as any l comes: 60% stays out of reach.")
    assert all("60%" in page.locator(f".bar .{part}").get_attribute("style") for part in ("mark", "fill"))
    page.get_by_label("LoRA", exact=True).check(force=True)
    assert won.count() == 0
    show.click()
    assert verdict.text_content().startswith("A match!") and won.count() == 1
    ellipses = [page.locator(f"ellipse.{kind}") for kind in ("image", "goal")]
    radii = [[float(ellipse.get_attribute(r)) for r in ("rx", "ry")] for ellipse in ellipses]
    assert_allclose(radii, [[2.0, 0.6]] * 2, atol=2e-4)
    assert_drawing_is_the_state(page, EllipseLab(mode="lora", **{k: trait(page, k) for k in "ab"}).matrix)
    page.get_by_label("points").uncheck()
    assert page.locator("path.points").is_hidden()
    page.get_by_role("button", name="reset").click()
    assert repr(lab_of(page)) == before
    page.get_by_label("upright", exact=True).check(force=True)  # won by hand
    pull(page, "l_1", -1.2, 0)
    assert won.count() == 0
    pull(page, "l_2", 0, 1.0)
    assert verdict.text_content().startswith("A match! The target is upright")


def test_the_compact_variant_shows_the_game_only_when_it_is_asked_for(widget_page):
    page = widget_page(EllipseLab(compact=True))
    assert page.locator(".game").is_hidden() and page.locator(".top").is_hidden()
    set_traits(page, mode="lora", target="tilted")
    assert page.get_by_role("button", name="Show me").is_visible() and page.locator(".top").is_visible()
