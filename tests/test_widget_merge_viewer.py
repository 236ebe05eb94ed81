"""The merge viewer's JavaScript computes what torch computes, and its handles, keys and buttons do what they say."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import pytest
import torch
from torch.nn.functional import gelu, linear
from torch.testing import assert_close
from traitlets import TraitError

from ia3_lab import functional
from ia3_lab.widgets import MergeViewer
from ia3_lab.widgets.merge_viewer import WEIGHTS

VECTORS = ("l_k", "l_v", "l_ff")


def tensors(seed: int) -> dict[str, torch.Tensor]:
    """Return random layers in float64 with four different sizes, so that no wrong axis can fit."""
    generator = torch.Generator().manual_seed(seed)
    d_model, d_kv, d_ff = 3, 4, 5
    shapes = {"W_k": (d_kv, d_model), "W_v": (d_kv, d_model), "W_1": (d_ff, d_model), "W_2": (d_model, d_ff)}
    layers = {name: torch.randn(shape, generator=generator, dtype=torch.float64) for name, shape in shapes.items()}
    layers |= {
        "b" + name[1:]: torch.randn(shape[0], generator=generator, dtype=torch.float64)
        for name, shape in shapes.items()
    }
    vectors = {
        name: torch.empty(d, dtype=torch.float64).uniform_(-1, 2, generator=generator)
        for name, d in zip(VECTORS, (d_kv, d_kv, d_ff), strict=True)
    }
    return layers | vectors | {"x": torch.randn(d_model, generator=generator, dtype=torch.float64)}


def as_state(t: dict[str, torch.Tensor], vector: str, **options: bool) -> dict:
    weights = {name: value.tolist() for name, value in t.items() if name[0] in "Wb"}
    return {"vector": vector, "l": t[vector].tolist(), "x": t["x"].tolist(), "weights": weights, **options}


def as_tensor(values: list) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def adapter_output(t: dict[str, torch.Tensor], vector: str) -> torch.Tensor:
    if vector == "l_ff":
        sizes = {name: t[name] for name in ("W_1", "W_2", "b_1", "b_2", "l_ff")}
        return functional.feed_forward(t["x"], **sizes)
    role = vector[1:]
    return functional.scale(linear(t["x"], t["W" + role], t["b" + role]), t[vector])


@pytest.mark.browser
def test_gelu_equals_torch_to_double_precision(js):
    points = torch.linspace(-9, 9, 361, dtype=torch.float64)
    assert_close(as_tensor(js(MergeViewer)("gelu", points.tolist())), gelu(points), rtol=1e-12, atol=1e-14)


@pytest.mark.browser
@pytest.mark.parametrize("seed", range(3))
def test_folding_equals_the_package(js, seed):
    t, call = tensors(seed), js(MergeViewer)
    folded = call("foldOutput", t["W_k"].tolist(), t["b_k"].tolist(), t["l_k"].tolist())
    weight, bias = functional.fold_output(t["W_k"], t["b_k"], t["l_k"])
    assert_close(as_tensor(folded["weight"]), weight)
    assert_close(as_tensor(folded["bias"]), bias)
    columns = call("foldInput", t["W_2"].tolist(), t["l_ff"].tolist())
    assert_close(as_tensor(columns), functional.fold_input(t["W_2"], t["l_ff"]))


@pytest.mark.browser
@pytest.mark.parametrize("vector", VECTORS)
@pytest.mark.parametrize("seed", range(3))
def test_both_paths_equal_torch_and_each_other(js, vector, seed):
    t = tensors(seed)
    result = js(MergeViewer)("mergeResult", as_state(t, vector))
    assert_close(as_tensor(result["wrapped"]), adapter_output(t, vector))
    assert_close(as_tensor(result["merged"]), adapter_output(t, vector))
    assert result["largest"] < 1e-12


@pytest.mark.browser
@pytest.mark.parametrize("vector", ["l_k", "l_v"])
def test_a_forgotten_bias_is_off_by_one_minus_l_times_b(js, vector):
    t = tensors(4)
    result = js(MergeViewer)("mergeResult", as_state(t, vector, forgetBias=True))
    assert_close(as_tensor(result["difference"]), (1 - t[vector]) * t["b" + vector[1:]])
    assert result["largest"] > 0.1


@pytest.mark.browser
def test_merging_into_W_1_is_a_different_network(js):
    t = tensors(5)
    result = js(MergeViewer)("mergeResult", as_state(t, "l_ff", intoW1=True))
    weight, bias = functional.fold_output(t["W_1"], t["b_1"], t["l_ff"])
    assert_close(as_tensor(result["merged"]), linear(gelu(linear(t["x"], weight, bias)), t["W_2"], t["b_2"]))
    assert result["largest"] > 0.1


@pytest.mark.browser
@pytest.mark.parametrize("mistakes", [{}, {"forgetBias": True}, {"intoW1": True}])
@pytest.mark.parametrize("vector", VECTORS)
def test_ones_are_the_identity_bit_for_bit(js, vector, mistakes):
    t = tensors(6)
    t[vector] = torch.ones_like(t[vector])
    result = js(MergeViewer)("mergeResult", as_state(t, vector, **mistakes))
    assert result["after"] == result["before"]
    assert result["merged"] == result["wrapped"]


@pytest.mark.browser
def test_the_output_side_is_rows_in_torch_and_columns_in_mathematics(js):
    call = js(MergeViewer)
    sides = {(side, c): call("scaledAxis", side, c) for side in ("output", "input") for c in ("torch", "math")}
    assert sides == {
        ("output", "torch"): "rows",
        ("output", "math"): "columns",
        ("input", "torch"): "columns",
        ("input", "math"): "rows",
    }


@pytest.mark.browser
def test_another_x_comes_back_after_six_steps_and_not_before(js):
    call, x = js(MergeViewer), [1.0, -2.0, 0.5]
    seen = [x]
    for _ in range(6):
        seen.append(call("nextInput", seen[-1]))
    assert seen[6] == x
    assert all(later != x for later in seen[1:6])


@pytest.mark.browser
@pytest.mark.parametrize("vector", VECTORS)
@pytest.mark.parametrize("mistake", [False, True])
def test_the_picture_and_the_script_show_the_same_numbers(js, vector, mistake):
    widget = MergeViewer(vector=vector, forget_bias=mistake, into_W_1=mistake)
    state = {"vector": vector, "l": getattr(widget, vector), "x": widget.x, "weights": WEIGHTS}
    result = js(MergeViewer)("mergeResult", {**state, "forgetBias": mistake, "intoW1": mistake and vector == "l_ff"})
    wrapped, merged = widget.paths()
    assert_close(as_tensor(wrapped), as_tensor(result["wrapped"]))
    assert_close(as_tensor(merged), as_tensor(result["merged"]))
    assert (result["largest"] > 0.01) == mistake


@pytest.mark.parametrize("vector", VECTORS)
@pytest.mark.parametrize("convention", ["torch", "math"])
def test_the_picture_is_an_svg_with_a_title_and_every_number(vector, convention):
    root = ET.fromstring(MergeViewer(vector=vector, convention=convention).picture())
    name = {svg: "{http://www.w3.org/2000/svg}" + svg for svg in ("title", "rect", "text")}
    assert "largest difference" in root.find(name["title"]).text
    assert len(root.findall(name["rect"])) == (32 if vector != "l_ff" else 30)
    texts = [node.text for node in root.findall(name["text"])]
    numbers = [text for text in texts if re.fullmatch("\u2212?[0-9]\\.[0-9]{2}", text)]
    assert len(numbers) == len(root.findall(name["rect"]))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"l_k": [1.0, 2.0]}, r"l_k must be 4 numbers from -1 to 2, got 2"),
        ({"l_v": [1.0, float("nan"), 1.0, 1.0]}, r"l_v must be 4 numbers from -1 to 2, got \[1.0, nan"),
        ({"l_ff": [1.0, 1.0, 1.0, 2.5]}, r"keep every entry inside that range"),
        ({"x": [1.0, 2.0, 3.0, 4.0]}, r"x must be 3 numbers from -5 to 5, got 4"),
        ({"vector": "l_q"}, r"'vector' trait"),
        ({"convention": "jax"}, r"'convention' trait"),
    ],
)
def test_bad_values_are_refused_with_what_was_expected(changes, says):
    with pytest.raises(TraitError, match=says):
        MergeViewer(**changes)
    widget = MergeViewer()
    with pytest.raises(TraitError, match=says):
        widget.set_trait(*next(iter(changes.items())))


def test_the_repr_has_no_address_and_leaves_out_the_weights():
    assert repr(MergeViewer(vector="l_v")).startswith("MergeViewer(convention='torch', forget_bias=False")
    assert "weights" not in repr(MergeViewer())


# --- in the browser ------------------------------------------------------------------------------------------------


def shown_numbers(page, panel: int) -> list[float]:
    texts = page.locator(".mv-panel").nth(panel).locator(".mv-number").all_text_contents()
    return [float(text.replace("\u2212", "-").replace("\u00d7", "")) for text in texts]


def trait(page, name: str):
    return page.evaluate(f"ia3Widgets.MergeViewer[0].get('{name}')")


def assert_merged_panel_shows_the_fold(page, vector: str = "l_k"):
    l, role = torch.tensor(trait(page, vector)), vector[1:]  # noqa: E741
    weight, bias = functional.fold_output(torch.tensor(WEIGHTS["W" + role]), torch.tensor(WEIGHTS["b" + role]), l)
    numbers = torch.tensor(shown_numbers(page, 1))
    assert_close(numbers[:12], weight.flatten(), atol=0.0051, rtol=0)
    assert_close(numbers[12:16], bias, atol=0.0051, rtol=0)


@pytest.mark.browser
@pytest.mark.parametrize("convention", ["torch", "math"])
def test_dragging_a_handle_scales_its_row_and_both_paths_stay_equal(widget_page, convention):
    page = widget_page(MergeViewer(convention=convention))
    box = page.get_by_role("slider", name="l_k entry 3").locator(".ia3-dot").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    by = (-16, 0) if convention == "torch" else (0, 16)
    page.mouse.move(x + by[0], y + by[1], steps=4)
    page.mouse.up()
    values = trait(page, "l_k")
    # 60 px of track for 3 units: 16 px are 0.8.
    assert values[2] == pytest.approx(0.2)
    assert [values[i] for i in (0, 1, 3)] == [1.8, 0.5, -0.6]
    assert_merged_panel_shows_the_fold(page)
    assert page.locator(".mv-verdict").text_content() == "\u2713 Equal: largest difference 0.000"


@pytest.mark.browser
def test_a_finger_drags_a_handle(widget_page):
    page = widget_page(MergeViewer(), width=390, touch=True)
    box = page.get_by_role("slider", name="l_k entry 3").locator(".ia3-target").bounding_box()
    assert min(box["width"], box["height"]) >= 37
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    client = page.context.new_cdp_session(page)
    client.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [{"x": x, "y": y}]})
    client.send("Input.dispatchTouchEvent", {"type": "touchMove", "touchPoints": [{"x": x + 30, "y": y}]})
    client.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    assert trait(page, "l_k")[2] == 2.0
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.browser
def test_keys_move_a_handle_and_the_screen_reader_is_told(widget_page):
    page = widget_page(MergeViewer(vector="l_v"))
    handle = page.get_by_role("slider", name="l_v entry 1")
    handle.focus()
    steps = (("ArrowRight", 0.5), ("ArrowDown", 0.4), ("Shift+ArrowUp", 1.4), ("Home", -1.0), ("End", 2.0))
    for key, value in steps:
        page.keyboard.press(key)
        assert trait(page, "l_v")[0] == pytest.approx(value)
    assert handle.get_attribute("aria-valuenow") == "2"
    assert handle.get_attribute("aria-valuetext") == "2.00"
    assert page.evaluate("document.activeElement.getAttribute('aria-label')") == "l_v entry 1"
    assert_merged_panel_shows_the_fold(page, "l_v")


@pytest.mark.browser
def test_mistakes_show_and_reset_takes_everything_back(widget_page):
    page = widget_page(MergeViewer())
    verdict = page.locator(".mv-verdict")
    page.get_by_label("forget the bias").check()
    assert verdict.text_content() == "\u2717 Not equal: largest difference 1.120"  # |1 - (-0.6)| * 0.7
    assert "softmax hides this" in page.locator(".ia3-say").text_content()
    page.get_by_role("button", name="Another x").click()
    assert verdict.text_content() == "\u2717 Not equal: largest difference 1.120"
    page.get_by_role("button", name="All ones").click()
    assert "all ones" in page.locator(".ia3-say").text_content()
    page.get_by_label("l_ff", exact=True).check()
    assert page.get_by_label("forget the bias").is_hidden()
    assert verdict.text_content().startswith("\u2713 Equal")
    page.get_by_label("merge into W_1 instead").check()
    assert verdict.text_content().startswith("\u2717 Not equal")
    assert page.locator(".mv-note").last.text_content() == "l_ff scales the rows, before GELU"
    page.get_by_role("button", name="Reset").click()
    assert (trait(page, "vector"), trait(page, "forget_bias"), trait(page, "into_W_1")) == ("l_k", False, False)
    assert trait(page, "l_k") == [1.8, 0.5, 1.0, -0.6]
    assert trait(page, "x") == [1.0, -2.0, 0.5]


@pytest.mark.browser
@pytest.mark.parametrize("vector", ["l_k", "l_ff"])
@pytest.mark.parametrize("convention", ["torch", "math"])
def test_marked_cells_are_those_with_an_entry_other_than_one(widget_page, vector, convention):
    page = widget_page(MergeViewer(vector=vector, convention=convention))
    marked = page.locator(".mv-panel").nth(1).locator(".mv-cell[data-scaled]").count()
    plain = page.locator(".mv-panel").nth(0).locator(".mv-cell[data-scaled]").count()
    # Three of four entries differ from 1; on the output side each takes three weights and a bias, else three weights.
    assert (marked, plain) == (3 * (4 if vector == "l_k" else 3), 0)


@pytest.mark.browser
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 900])
def test_nothing_is_wider_than_the_page(widget_page, theme, width):
    page = widget_page(MergeViewer(vector="l_ff", into_W_1=True), theme=theme, width=width)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
