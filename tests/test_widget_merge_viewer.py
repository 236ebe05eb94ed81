"""The merge viewer's JavaScript computes what torch computes, and its handles, keys and buttons do what they say."""

from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.functional import gelu
from torch.testing import assert_close
from widget_helpers import drag, open_tables, trait

from ia3_lab import functional
from ia3_lab.widgets import MergeViewer

pytestmark = pytest.mark.browser


def as_state(widget: MergeViewer) -> dict[str, Any]:
    """Return the state that the script's functions take."""
    mistakes = {"forgetBias": widget.forget_bias, "intoW1": widget.into_W_1 and widget.vector == "l_ff"}
    state = {"vector": widget.vector, "l": getattr(widget, widget.vector), "x": widget.x, "weights": widget.weights}
    return state | mistakes


def test_gelu_equals_torch(js):
    points = torch.linspace(-9, 9, 361, dtype=torch.float64)
    found = torch.tensor(js(MergeViewer)("gelu", points.tolist()), dtype=torch.float64)
    assert_close(found, gelu(points), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("vector", ["l_k", "l_v", "l_ff"])
@pytest.mark.parametrize("mistake", [{}, {"forget_bias": True, "into_W_1": True}], ids=["right", "wrong"])
def test_the_picture_and_the_script_show_the_same_numbers(js, vector, mistake):
    for convention in ("torch", "math"):
        widget = MergeViewer(vector=vector, convention=convention, **mistake)
        result = js(MergeViewer)("mergeResult", as_state(widget))
        before, after, both = widget.figure()[0].axes
        for ax, layer in ((before, result["before"]), (after, result["after"])):
            table = np.column_stack([layer["weight"], layer["bias"]])
            shown = [float(text.get_text()) for text in ax.texts]
            np.testing.assert_allclose(shown, (table if convention == "torch" else table.T).ravel(), atol=0.0051)
        paths = np.array([result["wrapped"], result["merged"]])
        np.testing.assert_allclose(widget.paths(), paths, atol=1e-12)
        np.testing.assert_allclose([float(text.get_text()) for text in both.texts], paths.ravel(), atol=0.0051)
        assert both.get_title() == f"largest difference {result['largest']:.3f}"
        assert (result["largest"] > 0.01) == bool(mistake)


# --- in the browser ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("convention", ["torch", "math"])
def test_a_handle_scales_its_row_and_both_paths_stay_equal(widget_page, convention):
    page = widget_page(widget := MergeViewer(convention=convention))
    drag(page, page.get_by_role("slider", name="l_k entry 3"), *((-16, 0) if convention == "torch" else (0, 16)))
    assert trait(page, "l_k") == pytest.approx([1.8, 0.5, 0.2, -0.6])  # 60 px of track for 3 units: 16 px are 0.8
    frozen = [torch.tensor(widget.weights[name]) for name in ("W_k", "b_k")]
    weight, bias = functional.fold_output(*frozen, torch.tensor(trait(page, "l_k")))
    texts = page.locator(".mv-panel").nth(1).locator(".mv-number").all_text_contents()[:16]
    shown = torch.tensor([float(text.replace("\u2212", "-")) for text in texts])
    assert_close(shown, torch.cat([weight.flatten(), bias]), atol=0.0051, rtol=0)
    assert page.locator(".mv-verdict").text_content() == "\u2713 Equal: largest difference 0.000"
    table = torch.tensor([[float(text) for text in line[1:]] for line in open_tables(page)[1][1]])
    assert_close(table, torch.column_stack([weight, bias]), atol=0.00051, rtol=0)


def test_mistakes_show_for_any_x_and_ones_hide_them(widget_page):
    page = widget_page(MergeViewer())
    verdict, said = page.locator(".mv-verdict"), page.locator(".ia3-say")
    page.get_by_label("forget the bias").check()
    for _ in range(2):
        assert verdict.text_content() == "\u2717 Not equal: largest difference 1.120"  # |1 - (-0.6)| * 0.7
        assert "softmax hides this" in said.text_content()
        page.get_by_role("button", name="Another x").click()
    assert trait(page, "x") != MergeViewer().x
    page.get_by_role("button", name="All ones").click()
    assert "all ones" in said.text_content() and verdict.text_content().startswith("\u2713 Equal")
    page.get_by_label("l_ff", exact=True).check()
    assert page.get_by_label("forget the bias").is_hidden()
    page.get_by_label("merge into W_1 instead").check()
    assert verdict.text_content().startswith("\u2717 Not equal")
    assert page.locator(".mv-note").last.text_content() == "l_ff scales the rows, before GELU"


def test_merge_slides_each_entry_over_its_row_and_ends_where_it_began(widget_page):
    page = widget_page(MergeViewer(vector="l_v"))
    numbers = page.locator(".mv-panel").nth(1).locator(".mv-number")
    merged, frozen = numbers.all_text_contents(), page.locator(".mv-panel .mv-number").all_text_contents()[:4]
    page.evaluate("""() => {
        window.seen = new Set();
        const panel = document.querySelectorAll(".mv-panel")[1], numbers = panel.querySelectorAll(".mv-number");
        const note = () => seen.add([...numbers].slice(0, 4).map((node) => node.textContent).join());
        new MutationObserver(note).observe(panel, { subtree: true, childList: true, characterData: true });
    }""")
    page.get_by_role("button", name="Merge slowly").click()
    page.wait_for_function("seen.size >= 2 && !document.querySelector('.mv-entry[transform]')")
    assert numbers.all_text_contents() == merged
    assert page.evaluate("seen.size") >= 3 and ",".join(frozen) in page.evaluate("[...seen]")
