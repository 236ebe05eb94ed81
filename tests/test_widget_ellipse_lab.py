"""The Ellipse Lab's JavaScript computes what numpy computes, and what is drawn is what the traits say."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose
from traitlets import TraitError

from ia3_lab import geometry
from ia3_lab.widgets import EllipseLab
from ia3_lab.widgets.ellipse_lab import TARGET_ELLIPSES, TARGET_TURN, cloud_points, rotation_matrix, target_matrix

TARGETS = (*TARGET_ELLIPSES, "rotation")
STATE = ("mode", "l_1", "l_2", "rank", "a", "b", "a_2", "b_2", "target", "probe", "cloud", "compact")
LORA = {"mode": "lora", "a": [0.7, -1.2], "b": [1.1, 0.4], "a_2": [-0.3, 0.9], "b_2": [0.6, 1.7]}


def matrices(count: int = 6) -> list[np.ndarray]:
    """Return random matrices, both signs of the determinant among them, and awkward ones."""
    rng = np.random.default_rng(7)
    awkward = [np.eye(2), np.diag([1.8, 0.5]), np.diag([0.5, -1.8]), np.diag([1.5, 0.0]), np.zeros((2, 2)), -np.eye(2)]
    return [*rng.normal(size=(count, 2, 2)), *awkward, np.array([[1.0, 2.0], [0.5, 1.0]]), rotation_matrix(77.0)]


def state_of(**values: Any) -> dict[str, Any]:
    widget = EllipseLab(**values)
    return {name: getattr(widget, name) for name in STATE}


def misfit(matrix: np.ndarray, target: str) -> float:
    """Return the mismatch as the book defines it: between maps for "rotation", else between the shapes M^T M."""
    goal = target_matrix(target)
    if target != "rotation":
        matrix, goal = matrix.T @ matrix, goal.T @ goal
    return float(np.linalg.norm(matrix - goal) / np.linalg.norm(goal))


# --- mathematics ------------------------------------------------------------------------------------------------


@pytest.mark.browser
@pytest.mark.parametrize("matrix", matrices(), ids=range(len(matrices())))
def test_half_axes_tilt_and_area_equal_numpy(js, matrix):
    reading, expected = js(EllipseLab)("svd", matrix.tolist()), geometry.read_svd(matrix)
    assert_allclose(reading["half_axes"], expected.half_axes, atol=1e-12)
    assert reading["area"] == pytest.approx(np.linalg.det(matrix))
    if expected.half_axes[0] - expected.half_axes[1] > 1e-9:
        assert -90 < reading["angle"] <= 90
        assert (reading["angle"] - expected.angle_degrees + 90) % 180 == pytest.approx(90)
    else:
        assert reading["angle"] is None


@pytest.mark.browser
@pytest.mark.parametrize("matrix", matrices(), ids=range(len(matrices())))
@pytest.mark.parametrize("degrees", [45, -160, 90])
def test_the_turn_is_numpys_angle_with_a_sign(js, matrix, degrees):
    x = rotation_matrix(degrees)[0]
    image = x @ matrix
    turn = js(EllipseLab)("turnAngle", x.tolist(), matrix.tolist())
    if np.linalg.norm(image) < 1e-9:
        assert turn is None
        return
    assert abs(turn) == pytest.approx(geometry.turn_angle(x, matrix), abs=1e-6)
    # Turning x by the signed angle, and by no other sign, points it along its image.
    assert_allclose(x @ rotation_matrix(turn), image / np.linalg.norm(image), atol=1e-9)


@pytest.mark.browser
@pytest.mark.parametrize("values", [{"l_1": 1.8, "l_2": -0.5}, LORA, {**LORA, "rank": 2}], ids=["ia3", "1", "2"])
def test_the_matrix_is_the_packages_and_the_image_is_x_times_it(js, values):
    call, expected = js(EllipseLab), EllipseLab(**values).matrix
    matrix = call("matrixOf", state_of(**values))
    assert_allclose(matrix, expected)
    x = [0.3, -1.4]
    assert_allclose(call("apply", x, matrix), geometry.transform(np.array([x]), expected)[0])
    if "mode" in values:
        assert not np.allclose(call("apply", x, matrix), expected @ x)  # columns would be another map


@pytest.mark.browser
@pytest.mark.parametrize("target", TARGETS)
def test_targets_and_mismatch_equal_numpy(js, target):
    call = js(EllipseLab)
    assert_allclose(call("targetMatrix", target), target_matrix(target), atol=1e-12)
    for matrix in matrices(5):
        assert call("misfit", matrix.tolist(), target) == pytest.approx(misfit(matrix, target))


@pytest.mark.browser
@pytest.mark.parametrize("target", TARGET_ELLIPSES)
def test_the_mismatch_of_an_ellipse_ignores_what_leaves_the_ellipse_alone(js, target):
    call, goal = js(EllipseLab), target_matrix(target)
    for before in (rotation_matrix(50), np.diag([1.0, -1.0]) @ rotation_matrix(-20)):
        assert call("misfit", (before @ goal).tolist(), target) < 1e-12  # the circle turned first: the same ellipse
        assert call("misfit", (goal @ before).tolist(), target) > 0.1  # turned afterwards: another one


@pytest.mark.browser
@pytest.mark.parametrize("target", TARGETS)
def test_no_l_comes_nearer_than_the_best_diagonal(js, target):
    best = js(EllipseLab)("bestDiagonal", target)
    assert best["misfit"] == pytest.approx(misfit(np.diag(best["l"]), target))
    grid = np.linspace(-2.5, 2.5, 101)
    nearest = min(misfit(np.diag([l_1, l_2]), target) for l_1 in grid for l_2 in grid)
    assert best["misfit"] <= nearest + 1e-12
    assert nearest - best["misfit"] < 0.03
    assert (best["misfit"] < 1e-12) == (target == "upright")
    if target == "rotation":
        fit = geometry.best_diagonal_fit(target_matrix(target))
        assert_allclose(best["l"], fit.l)
        assert best["misfit"] == pytest.approx(fit.relative_residual)
        assert best["misfit"] == pytest.approx(np.sin(np.radians(TARGET_TURN)))


@pytest.mark.browser
@pytest.mark.parametrize("target", TARGETS)
def test_no_pair_comes_nearer_than_the_floor_of_rank_one(js, target):
    floor = js(EllipseLab)("bestRankOne", target)
    rng = np.random.default_rng(3)
    pairs = rng.uniform(-2.5, 2.5, size=(4000, 2, 2))
    assert all(misfit(np.eye(2) + np.outer(a, b), target) >= floor - 1e-12 for a, b in pairs)
    if target == "rotation":
        fit = geometry.best_low_rank_update(target_matrix(target), np.eye(2), rank=1)
        assert floor == pytest.approx(fit.relative_residual)
    elif floor > 0:  # attained by the target's own axes with the short one cut to 1
        long, _, angle = TARGET_ELLIPSES[target]
        u = rotation_matrix(angle)[0]
        assert misfit(np.eye(2) + (long - 1) * np.outer(u, u), target) == pytest.approx(floor)
    assert (floor > 0.1) == (target in ("large", "rotation"))


@pytest.mark.browser
@pytest.mark.parametrize("target", TARGETS)
def test_lora_reaches_every_target_with_the_least_rank(js, target):
    solution = js(EllipseLab)("loraSolution", target)
    lab = EllipseLab(mode="lora", **solution)  # within bounds, or this raises
    assert misfit(lab.matrix, target) < 1e-9
    assert lab.rank == np.linalg.matrix_rank(lab.matrix - np.eye(2)) == (2 if target in ("large", "rotation") else 1)


@pytest.mark.browser
def test_the_cloud_is_the_same_in_both_languages_and_lies_in_the_circle(js):
    assert_allclose(js(EllipseLab)("cloudPoints"), cloud_points())
    assert np.linalg.norm(cloud_points(), axis=1).max() < 1


@pytest.mark.browser
@pytest.mark.parametrize(
    ("factor", "words"),
    [
        (1.0, "left as it is"),
        (1.8, "amplified"),
        (0.5, "inhibited"),
        (0.0, "switched off"),
        (-1.0, "flipped"),
        (-1.8, "flipped and amplified"),
        (-0.5, "flipped and inhibited"),
    ],
)
def test_a_factor_has_its_word(js, factor, words):
    assert js(EllipseLab)("effect", factor) == words


@pytest.mark.browser
@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({}, "Both coordinates are left as they are: the identity, where IA³ starts. The probe x keeps its direction."),
        (
            {"l_1": 1.8, "l_2": 0.5},
            "Coordinate 1 is amplified, coordinate 2 is inhibited. The probe x turns 29.5° clockwise.",
        ),
        ({"l_1": 0.5, "l_2": -1.8, "probe": 0}, "flipped and amplified. The probe x keeps its direction."),
        ({"l_1": -1, "l_2": -1}, "a half-turn, the one rotation besides none that a diagonal can make. The probe x is"),
        ({"l_1": 0, "probe": 0}, "The probe x lands on the origin and has no direction left."),
        ({"mode": "lora", "b": [0, 0]}, "The update is zero: the identity, where LoRA starts."),
        ({"mode": "lora", "a": [1, -0.75], "b": [-1.28, 0.96]}, "A reflection: one pair a, b is enough for it."),
        ({"mode": "lora"}, "the dotted line stays in place. The probe x turns 15.9° clockwise."),
        ({"mode": "lora", "a": [1, 0], "b": [-1, 0]}, "The plane collapses onto a line."),
        (
            {"mode": "lora", "rank": 2, "a": [1, 0], "b": [-0.134, 0.5], "a_2": [0, 1], "b_2": [-0.5, -0.134]},
            "A rotation by 30.0°: no single pair a, b can make it. The probe x turns 30.0° counterclockwise.",
        ),
    ],
)
def test_the_sentence_says_what_the_map_does(js, values, words):
    assert words in js(EllipseLab)("describe", state_of(**values))


@pytest.mark.browser
def test_the_verdict_tells_a_match_from_the_nearest_and_from_the_rest(js):
    verdict = js(EllipseLab)
    upright = verdict("verdict", state_of(target="upright", l_1=-0.6, l_2=2.0))
    assert upright["match"] and upright["text"].startswith("A match! The target is upright")
    away = verdict("verdict", state_of(target="tilted"))
    assert not away["match"] and away["text"].endswith("The best that any l can do is 60%, the mark on the bar.")
    best = verdict("bestDiagonal", "tilted")
    near = verdict("verdict", state_of(target="tilted", l_1=best["l"][0], l_2=-best["l"][1]))
    assert not near["match"] and near["text"].startswith("As near as any l comes: 60% stays out of reach.")
    assert near["misfit"] == pytest.approx(near["floor"])
    lora = verdict("verdict", state_of(mode="lora", target="large", **verdict("loraSolution", "large")))
    assert lora["match"] and "rank 2" in lora["text"]
    assert verdict("verdict", state_of())["misfit"] is None


# --- Python -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"l_1": 2.6}, r"l_1: expected a finite number from -2.5 to 2.5, got 2.6"),
        ({"l_2": float("nan")}, r"l_2: expected a finite number from -2.5 to 2.5, got nan"),
        ({"a": [1.0, float("inf")]}, r"a: expected a finite number from -2.5 to 2.5, got inf"),
        ({"b_2": [1.0, 2.0, 0.5]}, r"b_2: expected two numbers, the entries of a row vector, got 3"),
        ({"rank": 3}, r"rank: expected 1 or 2 in a plane, got 3"),
        ({"probe": 270}, r"probe \(degrees\): expected a finite number from -180 to 180, got 270"),
        ({"mode": "svd"}, r"'mode' trait"),
        ({"target": "round"}, r"'target' trait"),
        ({"l_1": "wide"}, r"'l_1' trait"),
    ],
)
def test_bad_values_are_refused_with_what_was_expected(changes, says):
    with pytest.raises(TraitError, match=says):
        EllipseLab(**changes)
    widget = EllipseLab()
    with pytest.raises(TraitError, match=says):
        widget.set_trait(*next(iter(changes.items())))


def test_an_unknown_name_is_refused():
    with pytest.raises(TraitError, match="expected only the names mode, l_1"):
        EllipseLab(l=(1.8, 0.5))
    with pytest.raises(ValueError, match="expected a target among upright, tilted, large, rotation, got 'none'"):
        target_matrix("none")


def test_the_repr_names_every_trait_of_the_state_and_no_address():
    text = repr(EllipseLab(l_1=1.8))
    assert "l_1=1.8" in text and "start" not in text and "0x" not in text
    assert re.findall(r"(\w+)=", text) == sorted(STATE)


def test_reset_brings_back_what_the_widget_was_made_with():
    widget = EllipseLab(l_1=1.8, target="tilted")
    widget.l_1 = -2.0
    assert widget.start["l_1"] == 1.8 and widget.start["target"] == "tilted"
    assert "compact" not in widget.start


@pytest.mark.parametrize("values", [{"l_1": 1.8, "l_2": 0.0}, {**LORA, "target": "tilted"}, {"target": "rotation"}])
def test_the_picture_shows_the_state(values):
    widget = EllipseLab(**values)
    root = ET.fromstring(widget.picture())
    tag = "{http://www.w3.org/2000/svg}"
    long, short = geometry.read_svd(widget.matrix).half_axes
    assert f"half-axes {long:.2f} and {short:.2f}" in root.find(f"{tag}title").text
    polygons = root.findall(f"{tag}polygon")
    assert len(polygons) == (3 if widget.target in TARGET_ELLIPSES else 2)
    corners = np.array([corner.split(",") for corner in polygons[-1].get("points").split()], dtype=float)
    assert_allclose(corners * [1, -1], geometry.unit_circle(72) @ widget.matrix, atol=1e-3)


# --- in the browser ---------------------------------------------------------------------------------------------


def traits(page: Any) -> dict[str, Any]:
    return page.evaluate(f"Object.fromEntries({list(STATE)}.map((name) => [name, ia3Widgets.EllipseLab[0].get(name)]))")


def numbers(text: str) -> np.ndarray:
    return np.array(re.findall(r"-?\d+\.\d+", text), dtype=float)


def assert_drawing_is_the_state(page: Any) -> np.ndarray:
    """Hold the SVG's own numbers against numpy for the traits of the moment; return the matrix."""
    lab = EllipseLab(**traits(page))
    reading, image = geometry.read_svd(lab.matrix), page.locator("ellipse.image")
    radii = [float(image.get_attribute(name)) for name in ("rx", "ry")]
    assert_allclose(radii, np.maximum(reading.half_axes, 1e-3), atol=1e-4)
    if reading.half_axes[0] - reading.half_axes[1] > 1e-3:
        tilt = -numbers(image.get_attribute("transform"))[0]
        assert (tilt - reading.angle_degrees + 90) % 180 == pytest.approx(90, abs=0.1)
    points = numbers(page.locator("path.points").get_attribute("d")).reshape(-1, 2) * [1, -1]
    assert_allclose(points, cloud_points() @ lab.matrix, atol=1e-4)
    tip = numbers(page.locator(".moved .head").get_attribute("transform"))[:2] * [1, -1]
    assert_allclose(tip, rotation_matrix(lab.probe)[0] @ lab.matrix, atol=1e-4)
    return lab.matrix


def center(handle: Any) -> tuple[float, float]:
    box = handle.locator(".ia3-dot").bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def unit(page: Any) -> float:
    """Return how many pixels one unit of the plane takes."""
    return page.locator(".plane svg").bounding_box()["width"] / 5.6


def handle_of(page: Any, start: str) -> Any:
    return page.locator(f'[role=slider][aria-label^="{start},"]')


def drag(page: Any, handle: Any, right: float, up: float) -> None:
    """Drag a handle with the mouse, in units of the plane."""
    x, y = center(handle)
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + right * unit(page), y - up * unit(page), steps=5)
    page.mouse.up()


@pytest.mark.browser
def test_the_mouse_drags_the_half_axes_on_the_ellipse(widget_page):
    page = widget_page(EllipseLab(l_1=1.8, l_2=0.5))
    assert_drawing_is_the_state(page)
    drag(page, handle_of(page, "l_1"), -0.6, 0.4)
    drag(page, handle_of(page, "l_2"), 0.4, -1.7)
    matrix = assert_drawing_is_the_state(page)
    assert_allclose(matrix, np.diag([1.2, -1.2]), atol=0.02)
    x, y = center(handle_of(page, "l_2"))
    box = page.locator(".plane svg").bounding_box()
    where = [(x - box["x"]) / unit(page) - 2.8, 2.8 - (y - box["y"]) / unit(page)]
    assert_allclose(where, [0, matrix[1, 1]], atol=0.02)


@pytest.mark.browser
def test_a_drag_beyond_the_plane_stops_at_the_bound(widget_page):
    page = widget_page(EllipseLab())
    drag(page, handle_of(page, "l_1"), 2.6, 0)
    drag(page, handle_of(page, "l_2"), 0, -4.5)
    assert_allclose(assert_drawing_is_the_state(page), np.diag([2.5, -2.5]))


@pytest.mark.browser
def test_a_finger_drags_a_handle_and_the_page_still_scrolls_elsewhere(widget_page):
    page = widget_page(EllipseLab(l_1=1.8, l_2=0.5), width=390, touch=True)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    target = handle_of(page, "l_1").locator(".ia3-target").bounding_box()
    assert min(target["width"], target["height"]) >= 37
    client, (x, y) = page.context.new_cdp_session(page), center(handle_of(page, "l_1"))

    def stroke(x: float, y: float, right: float, down: float) -> None:
        client.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [{"x": x, "y": y}]})
        for part in (0.25, 0.5, 0.75, 1):
            point = {"x": x + part * right, "y": y + part * down}
            client.send("Input.dispatchTouchEvent", {"type": "touchMove", "touchPoints": [point]})
        client.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})

    stroke(x, y, -0.9 * unit(page), -60)
    assert_allclose(assert_drawing_is_the_state(page), np.diag([0.9, 0.5]), atol=0.02)
    assert page.evaluate("scrollY") == 0
    box = page.locator(".plane svg").bounding_box()
    stroke(box["x"] + 20, box["y"] + 300, 0, -120)
    page.wait_for_function("scrollY > 20")
    assert_allclose(assert_drawing_is_the_state(page), np.diag([0.9, 0.5]), atol=0.02)


@pytest.mark.browser
@pytest.mark.parametrize("name", ["l_1", "l_2"])
def test_keys_move_a_half_axis_and_the_screen_reader_is_told(widget_page, name):
    page = widget_page(EllipseLab())
    handle = handle_of(page, name)
    handle.focus()
    steps = (
        ("ArrowRight", 1.05),
        ("ArrowUp", 1.1),
        ("Shift+ArrowLeft", 0.6),
        ("ArrowDown", 0.55),
        ("Home", -2.5),
        ("End", 2.5),
    )
    for key, value in steps:
        page.keyboard.press(key)
        assert traits(page)[name] == pytest.approx(value)
        assert_drawing_is_the_state(page)
    said = {part: handle.get_attribute(f"aria-value{part}") for part in ("now", "text", "min", "max")}
    assert said == {"now": "2.5", "text": "2.50, amplified", "min": "-2.5", "max": "2.5"}
    page.keyboard.press("ArrowRight")
    assert traits(page)[name] == 2.5


@pytest.mark.browser
def test_the_probe_goes_round_by_mouse_and_keys_and_its_turn_is_read_out(widget_page):
    page = widget_page(EllipseLab(l_1=1.8, l_2=0.5))
    probe = handle_of(page, "probe x")
    assert "turns 29.5° clockwise" in page.locator(".ia3-say").first.text_content()
    assert page.locator("text.angle").text_content() == "29.5°"
    drag(page, probe, -2 * np.cos(np.pi / 4), 0)
    assert traits(page)["probe"] == pytest.approx(135, abs=1)
    assert "counterclockwise" in page.locator(".ia3-say").first.text_content()
    assert_drawing_is_the_state(page)
    page.keyboard.press("End")
    page.keyboard.press("ArrowUp")
    assert traits(page)["probe"] == -179
    page.keyboard.press("Shift+ArrowDown")
    assert traits(page)["probe"] == 171
    turn = geometry.turn_angle(rotation_matrix(171)[0], np.diag([1.8, 0.5]))
    assert probe.get_attribute("aria-valuetext") == f"171 degrees. The probe x turns {turn:.1f}° counterclockwise."
    assert_drawing_is_the_state(page)


@pytest.mark.browser
def test_vectors_of_lora_are_dragged_and_moved_with_keys(widget_page):
    page = widget_page(EllipseLab(mode="lora", rank=2, probe=100))
    drag(page, handle_of(page, "b"), -0.3, 0.9)
    drag(page, handle_of(page, "b_2"), 0.6, -0.5)
    assert_allclose(traits(page)["b"], [0.5, 0.9], atol=0.02)
    assert_allclose(traits(page)["b_2"], [0.6, -0.5], atol=0.02)
    assert_drawing_is_the_state(page)
    a = handle_of(page, "a")
    a.focus()
    for key in ("ArrowRight", "ArrowRight", "Shift+ArrowDown"):
        page.keyboard.press(key)
    assert_allclose(traits(page)["a"], [0.1, 0.5])
    assert a.get_attribute("aria-valuetext") == "a = (0.10, 0.50)"
    assert float(a.get_attribute("aria-valuenow")) == pytest.approx(np.hypot(0.1, 0.5), abs=0.005)
    assert_drawing_is_the_state(page)
    page.keyboard.press("Home")
    assert traits(page)["a"] == [0, 0]
    page.get_by_label("1", exact=True).check(force=True)
    assert_drawing_is_the_state(page)
    assert handle_of(page, "a_2").is_hidden() and handle_of(page, "l_1").is_hidden()


@pytest.mark.browser
@pytest.mark.parametrize(
    ("name", "l"),
    [
        ("identity", (1, 1)),
        ("(1.8, 0.5)", (1.8, 0.5)),
        ("zero", (1, 0)),
        ("negative", (-1.2, 0.8)),
        ("a rotation? (impossible)", (0.866, 0.866)),
    ],
)
def test_a_preset_glides_to_its_values(widget_page, name, l):  # noqa: E741
    page = widget_page(EllipseLab(l_1=2.2, l_2=-0.4))
    page.get_by_role("button", name=name).click()
    page.wait_for_function(
        f"ia3Widgets.EllipseLab[0].get('l_1') === {l[0]} && ia3Widgets.EllipseLab[0].get('l_2') === {l[1]}"
    )
    assert_drawing_is_the_state(page)
    assert (traits(page)["target"] == "rotation") == ("rotation" in name)


@pytest.mark.browser
def test_where_motion_is_unwelcome_a_preset_is_there_at_once(widget_page):
    page = widget_page(EllipseLab())
    page.emulate_media(reduced_motion="reduce")
    page.evaluate(
        "[...document.querySelectorAll('button')].find((button) => button.textContent === '(1.8, 0.5)').click()"
    )
    assert_allclose(assert_drawing_is_the_state(page), np.diag([1.8, 0.5]))


@pytest.mark.browser
def test_the_game_is_lost_by_ia3_and_won_by_lora(widget_page):
    page = widget_page(EllipseLab())
    page.emulate_media(reduced_motion="reduce")
    verdict, show = page.locator(".game .ia3-say"), page.get_by_role("button", name="Show me")
    assert show.is_hidden()
    page.get_by_label("tilted", exact=True).check(force=True)
    show.click()
    assert verdict.text_content().startswith("As near as any l comes: 60% stays out of reach.")
    mark, fill = (
        page.locator(f".bar .{part}").evaluate("node => node.getAttribute('style')") for part in ("mark", "fill")
    )
    assert "60%" in mark and "60%" in fill
    page.get_by_label("LoRA", exact=True).check(force=True)
    assert page.locator(".game[data-match]").count() == 0
    show.click()
    assert verdict.text_content().startswith("A match!")
    assert page.locator(".game[data-match]").count() == 1
    goal = [float(page.locator("ellipse.goal").get_attribute(name)) for name in ("rx", "ry")]
    image = [float(page.locator("ellipse.image").get_attribute(name)) for name in ("rx", "ry")]
    assert_allclose(image, goal, atol=2e-4)
    assert_allclose(goal, TARGET_ELLIPSES["tilted"][:2])
    assert_drawing_is_the_state(page)


@pytest.mark.browser
def test_an_upright_target_is_won_by_hand(widget_page):
    page = widget_page(EllipseLab(target="upright"))
    drag(page, handle_of(page, "l_1"), -0.4, 0)
    assert page.locator(".game[data-match]").count() == 0
    drag(page, handle_of(page, "l_2"), 0, 1.0)
    assert page.locator(".game .ia3-say").text_content().startswith("A match! The target is upright")


@pytest.mark.browser
def test_reset_undoes_everything_and_the_cloud_can_be_hidden(widget_page):
    page = widget_page(EllipseLab(l_1=1.8, l_2=0.5))
    page.emulate_media(reduced_motion="reduce")
    before = traits(page)
    page.get_by_label("points").uncheck()
    assert page.locator("path.points").is_hidden()
    page.get_by_label("LoRA", exact=True).check(force=True)
    drag(page, handle_of(page, "a"), 0.8, 0.3)
    assert traits(page) != before
    page.get_by_role("button", name="reset").click()
    assert traits(page) == before
    assert_drawing_is_the_state(page)


@pytest.mark.browser
def test_values_set_from_outside_are_drawn_and_stop_a_glide(widget_page):
    page = widget_page(EllipseLab(compact=True))
    page.get_by_role("button", name="negative").click()
    page.evaluate("ia3Widgets.EllipseLab[0].set({ mode: 'ia3', l_1: 1.8, l_2: -0.5 })")
    page.wait_for_timeout(400)
    assert_allclose(assert_drawing_is_the_state(page), np.diag([1.8, -0.5]))


@pytest.mark.browser
def test_the_compact_variant_shows_the_game_only_when_it_is_asked_for(widget_page):
    page = widget_page(EllipseLab(compact=True, l_1=1.8, l_2=0.5))
    assert page.locator(".game").is_hidden() and page.locator(".top").is_hidden()
    page.evaluate("ia3Widgets.EllipseLab[0].set({ mode: 'lora', target: 'tilted' })")
    assert page.get_by_role("button", name="Show me").is_visible() and page.locator(".top").is_visible()


def box(page: Any, name: str) -> dict[str, float]:
    return page.locator(f".ia3-{name}" if name == "ellipse-lab" else f".ia3-ellipse-lab .{name}").bounding_box()


@pytest.mark.browser
@pytest.mark.parametrize(
    "values", [{}, {**LORA, "target": "tilted"}, {"compact": True}], ids=["ia3", "lora", "compact"]
)
def test_beside_the_plane_and_under_it_no_space_is_left_empty(widget_page, values):
    page = widget_page(EllipseLab(**values), width=710)
    plane, beside = box(page, "plane svg"), [box(page, "talk"), box(page, "readings")]
    bottom = plane["y"] + plane["height"]
    assert all(part["x"] > plane["x"] + plane["width"] for part in beside)
    assert bottom - 60 < max(part["y"] + part["height"] for part in beside) < bottom + 20
    under = box(page, "ellipse-lab") if values.get("compact") else box(page, "try")
    below = under["y"] + (under["height"] if values.get("compact") else 0)
    assert 0 < below - bottom < 40


@pytest.mark.browser
def test_on_a_phone_the_game_stands_within_sight_of_the_plane(widget_page):
    page = widget_page(EllipseLab(target="tilted"), width=390)
    plane, game = box(page, "plane svg"), box(page, "game")
    assert plane["y"] + plane["height"] < game["y"] < box(page, "try")["y"]
    assert game["y"] + game["height"] - plane["y"] < 700
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.browser
def test_beside_the_handles_and_in_the_formula_stand_the_numbers(widget_page):
    page = widget_page(EllipseLab(l_1=1.8, l_2=0.5))
    drag(page, handle_of(page, "l_1"), -3.0, 0)
    assert traits(page)["l_1"] == pytest.approx(-1.2, abs=0.02)
    first = f"{abs(traits(page)['l_1']):.2f}"
    names = [page.locator("text.name").nth(i).text_content() for i in (0, 1)]
    assert names == [f"l₁ = \N{MINUS SIGN}{first}", "l₂ = 0.50"]
    assert page.locator(".formula").text_content().endswith(f"= (\N{MINUS SIGN}{first} x₁, 0.50 x₂)")
    assert page.locator(".grip:visible").count() == 2


@pytest.mark.browser
def test_clean_up_leaves_no_listener_and_no_element(widget_page):
    page = widget_page(EllipseLab())
    left = page.evaluate(
        """async (source) => {
          const url = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
          const widget = (await import(url)).default, real = ia3Widgets.EllipseLab[0], heard = new Set();
          const model = { get: (name) => real.get(name), set() {}, save_changes() {},
            on: (name, f) => heard.add(name), off: (name, f) => heard.delete(name) };
          const el = document.body.appendChild(document.createElement("div"));
          const cleanUp = widget.render({ model, el });
          const during = heard.size;
          cleanUp();
          return [during, heard.size, el.childElementCount];
        }""",
        str(EllipseLab._esm),
    )
    assert left == [len(STATE), 0, 0]


@pytest.mark.browser
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(
    "values", [{"l_1": 2.5, "target": "upright"}, {**LORA, "rank": 2, "target": "tilted"}, {"compact": True}]
)
def test_axe_finds_nothing_and_nothing_is_wider_than_a_phone(widget_page, theme, values):
    page = widget_page(EllipseLab(**values), theme=theme, width=390)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    source = Path(find_spec("axe_playwright_python").submodule_search_locations[0]) / "axe.min.js"
    page.evaluate(source.read_text("utf8"))
    rules = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
    found = page.evaluate("rules => axe.run({ include: ['.ia3'] }, { runOnly: rules })", rules)["violations"]
    assert [(rule["id"], node["html"][:120]) for rule in found for node in rule["nodes"]] == []
