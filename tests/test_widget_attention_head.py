"""Laws of the attention head: its JS computes what `ia3_lab.functional` computes, and hands move what they should."""

import re
from typing import Any

import pytest
import torch
from torch.testing import assert_close
from widget_helpers import in_each_state, middle, open_tables, press, set_traits

from ia3_lab import functional
from ia3_lab.widgets import AttentionHead

pytestmark = pytest.mark.browser
L_K, L_V = [1.7, -0.6, 0.3, 2.4], [-1.2, 0.4, 2.1, 0.0]


def reference(head: AttentionHead) -> tuple[torch.Tensor, torch.Tensor]:
    """Outputs and weights of a head's state, by the library, in float64."""
    q, k, v, l_k, l_v = (torch.tensor(getattr(head, n), dtype=torch.float64) for n in ("q", "k", "v", "l_k", "l_v"))
    return functional.attention(q, functional.scale(k, l_k), functional.scale(v, l_v))


def test_weights_and_output_in_python_are_the_librarys_and_the_picture_shows_them():
    head = AttentionHead(l_k=L_K, l_v=L_V)
    for ours, librarys, ax in zip(head.attention(), reference(head), reversed(head.figure()[0].axes), strict=True):
        assert_close(torch.from_numpy(ours), librarys)
        shown = torch.tensor([float(text.get_text()) for text in ax.texts], dtype=torch.float64)
        assert_close(shown, librarys.flatten(), atol=0.00501, rtol=0)


# --- in the browser ---------------------------------------------------------------------------------------------


def assert_shows(page: Any, **traits: Any) -> None:
    """Fail unless handles, arcs, output and tables are those of a head in this state."""
    head, base = AttentionHead(**traits), reference(AttentionHead())
    out, weights = reference(head)
    assert [float(h.get_attribute("aria-valuenow")) for h in page.get_by_role("slider").all()] == [*head.l_k, *head.l_v]
    written = [float(text.replace("\u2212", "-")) for text in page.locator(".ia3-tables td").all_inner_texts()]
    tables = (head.l_k, head.l_v, weights.flatten(), out.flatten(), base[1].flatten(), base[0].flatten())
    assert written == pytest.approx([float(number) for table in tables for number in table], abs=0.00501)
    pictures = [node.get_attribute("aria-label").replace("\u2212", "-") for node in page.get_by_role("img").all()]
    for label, names, table in zip(pictures, (head.tokens, head.v_names), (weights, out), strict=True):
        for name, number in zip(names, table[head.query].tolist(), strict=True):
            assert f" {name} {number:.2f}".replace("-0.00", "0.00") in label
    for kind, table in ((".ia3-arc", weights), (".ia3-arc-before", base[1])):
        paths = page.locator(kind).evaluate_all("all => all.map(path => path.getAttribute('d')).join()")
        feet = re.findall(r" 0 0 \d (\S+) 0H([^A]+)A", paths)  # not of the ring to itself
        others = [weight for i, weight in enumerate(table[head.query].tolist()) if i != head.query]
        assert [abs(float(a) - float(b)) / 30 for a, b in feet] == pytest.approx(others, abs=1e-9)


def test_keys_and_presets_redraw_the_output_and_l_v_no_arc_and_a_word_shows_where_it_looks(widget_page):
    page = widget_page(AttentionHead(l_k=L_K, l_v=L_V))
    open_tables(page)
    assert_shows(page, l_k=L_K, l_v=L_V)
    press(page.get_by_role("slider", name="l_v, value feature who"), "End")
    assert_shows(page, l_k=L_K, l_v=[3, *L_V[1:]])
    presets = {
        "Value \u201caction\u201d off": ({"l_v": [1, 0, 1, 1], "query": 4}, "Values: action off. The output of "),
        "Key \u201cperson\u201d off": ({"l_k": [1, 1, 1, 0], "query": 4}, "Keys: person off."),
        "Flip key \u201cnoun\u201d": ({"l_k": [-1, 1, 1, 1], "query": 4}, "Keys: noun flipped."),
    }
    for name, (traits, words) in presets.items():
        page.get_by_role("button", name=name, exact=True).click()
        assert_shows(page, **traits)
        assert words in page.locator(".ia3-say").inner_text()
    set_traits(page, l_k=[2] * 4)
    assert "temperature 0.50, sharper" in page.locator(".ia3-say").inner_text()
    set_traits(page, l_k=[-1, 1, 1, 1], query=0)  # as a button in the prose does
    assert_shows(page, l_k=[-1, 1, 1, 1], query=0)
    page.mouse.click(*middle(page.get_by_role("radio", name="coffee")))
    assert_shows(page, l_k=[-1, 1, 1, 1], query=3)
    press(page.get_by_role("radio", name="coffee"), "ArrowRight")
    assert_shows(page, l_k=[-1, 1, 1, 1], query=4)
    assert "slowly" in page.locator(".ia3-say").inner_text()


def test_whatever_the_state_no_arc_leaves_its_drawing_and_the_height_stays(widget_page):
    page, factors = widget_page(AttentionHead()), ([1] * 4, [3, -2, 3, -2], [1, 1, -0.4, 1])
    states = [{"l_k": l_k, "query": query} for l_k in factors for query in range(5)]
    look = """(root) => [root.getBoundingClientRect().height, ...[...root.querySelectorAll(".ia3-arcs svg")].map(
        (svg) => svg.getBBox().y >= 0 && svg.getBBox().y + svg.getBBox().height <= 102)]"""
    for width in (1280, 390):
        page.set_viewport_size({"width": width, "height": 844})
        seen = in_each_state(page, [*states, {"l_v": L_V}], look)
        assert len({height for height, *_ in seen}) == 1 and all(all(inside) and inside for _, *inside in seen)
