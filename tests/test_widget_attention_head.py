"""Laws of the attention head: its JS computes what `ia3_lab.functional` computes, and hands move what they should."""

import json
import math
import xml.etree.ElementTree as ET

import pytest
import torch
import traitlets

from ia3_lab import functional
from ia3_lab.widgets import AttentionHead

L_K, L_V = [1.7, -0.6, 0.3, 2.4], [-1.2, 0.4, 2.1, 0.0]


def reference(head: AttentionHead) -> tuple[torch.Tensor, torch.Tensor]:
    """Outputs and weights of a head's state, by the library, in float64."""
    q, k, v, l_k, l_v = (torch.tensor(getattr(head, n), dtype=torch.float64) for n in ("q", "k", "v", "l_k", "l_v"))
    return functional.attention(q, functional.scale(k, l_k), functional.scale(v, l_v))


def random_head(seed: int, n: int, d_head: int, d_value: int) -> dict[str, list]:
    generator = torch.Generator().manual_seed(seed)
    shapes = {"q": (n, d_head), "k": (n, d_head), "v": (n, d_value), "l_k": (d_head,), "l_v": (d_value,)}
    return {name: torch.randn(s, generator=generator, dtype=torch.float64).tolist() for name, s in shapes.items()}


# --- the Python side --------------------------------------------------------------------------------------------


def test_weights_and_output_in_python_are_the_librarys():
    head = AttentionHead(l_k=L_K, l_v=L_V)
    out, weights = reference(head)
    torch.testing.assert_close(torch.from_numpy(head.weights()), weights)
    torch.testing.assert_close(torch.from_numpy(head.output()), out)


def test_a_head_starts_at_ones_of_the_right_lengths():
    head = AttentionHead(
        tokens=["a", "b"], q=[[1, 2, 3]] * 2, k=[[3, 1, 2]] * 2, v=[[5]] * 2, k_names=list("xyz"), v_names=["w"]
    )
    assert (head.l_k, head.l_v) == ([1.0, 1.0, 1.0], [1.0])


def test_the_vectors_of_two_heads_are_not_shared():
    first, second = AttentionHead(), AttentionHead()
    first.l_k = L_K
    assert second.l_k == [1.0] * 4


@pytest.mark.parametrize(
    ("traits", "message"),
    [
        ({"l_k": [1, 2, 3]}, "l_k must have one entry for each of the 4 features of k, got 3"),
        ({"l_v": [1, 2, 3, 4, 5]}, "l_v must have one entry for each of the 4 features of v, got 5"),
        ({"l_k": [1, 1, 1, math.nan]}, "l_k must be numbers from -2 to 3, got nan"),
        ({"l_v": [1, 1, 1, 3.1]}, "l_v must be numbers from -2 to 3, got 3.1"),
        ({"tokens": ["a", "b"]}, "one row for each of the 2 tokens"),
        ({"q": [[1, 2, 3, 4]] * 4}, "q must have one row for each of the 5 tokens"),
        ({"k": [[1, 2, 3, 4]] * 4 + [[1, 2]]}, "k must have one row"),
        ({"v": [[1, 2, 3, math.inf]] * 5}, "v must hold finite numbers"),
        ({"v_names": ["only"]}, "v must have one row for each of the 5 tokens and 1 features"),
        ({"tokens": []}, "at least one token"),
        ({"query": 5}, "query must be the index of a token, 0 to 4, got 5"),
        ({"query": -1}, "query must be the index of a token"),
    ],
)
def test_what_does_not_fit_is_refused_with_what_was_expected(traits, message):
    with pytest.raises(traitlets.TraitError, match=message):
        AttentionHead(**traits)


def test_a_refused_value_leaves_the_state_as_it_was():
    head = AttentionHead(l_k=L_K)
    with pytest.raises(traitlets.TraitError):
        head.l_k = [1.0]
    assert head.l_k == L_K


def test_repr_shows_the_state_and_no_address():
    assert repr(AttentionHead(l_v=L_V)) == (
        "AttentionHead(l_k=[1.0, 1.0, 1.0, 1.0], l_v=[-1.2, 0.4, 2.1, 0.0], query=1)"
    )


def test_picture_is_svg_that_shows_every_weight_and_output():
    head = AttentionHead(l_k=L_K, l_v=L_V)
    tree = ET.fromstring(head.picture())
    texts = [node.text for node in tree.iter("{http://www.w3.org/2000/svg}text")]
    out, weights = reference(head)
    for number in [*weights.flatten().tolist(), *out.flatten().tolist()]:
        assert f"{number:.2f}".replace("-", "\u2212") in texts
    assert str(L_K) in tree.find("{http://www.w3.org/2000/svg}title").text


def test_picture_escapes_tokens():
    head = AttentionHead(tokens=["<b>", "a&b", "c", "d", "e"])
    assert "&lt;b&gt;" in head.picture()
    ET.fromstring(head.picture())


# --- the maths in JS --------------------------------------------------------------------------------------------


@pytest.mark.browser
@pytest.mark.parametrize(("seed", "n", "d_head", "d_value"), [(0, 5, 4, 4), (1, 2, 7, 3), (2, 6, 1, 5), (3, 1, 3, 2)])
def test_attention_in_js_is_the_librarys(js, seed, n, d_head, d_value):
    case = random_head(seed, n, d_head, d_value)
    came = js(AttentionHead)("rescaledAttention", *case.values())
    q, k, v, l_k, l_v = (torch.tensor(x, dtype=torch.float64) for x in case.values())
    out, weights = functional.attention(q, k * l_k, v * l_v)
    torch.testing.assert_close(torch.tensor(came["weights"], dtype=torch.float64), weights, rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(torch.tensor(came["out"], dtype=torch.float64), out, rtol=1e-12, atol=1e-14)


@pytest.mark.browser
def test_attention_in_js_without_l_k_is_another_head(js):
    case = random_head(0, 5, 4, 4)
    came = js(AttentionHead)("rescaledAttention", *{**case, "l_k": [1.0] * 4}.values())
    q, k, v, l_k, _ = (torch.tensor(x, dtype=torch.float64) for x in case.values())
    weights = functional.attention(q, k * l_k, v)[1]
    assert (torch.tensor(came["weights"], dtype=torch.float64) - weights).abs().max() > 0.05


@pytest.mark.browser
def test_softmax_in_js_survives_large_scores(js):
    assert js(AttentionHead)("softmax", [1e4, 1e4, -1e4]) == [0.5, 0.5, 0.0]


@pytest.mark.browser
@pytest.mark.parametrize(
    ("value", "word"),
    [
        (1, "unchanged"),
        (0, "off"),
        (1.8, "amplified"),
        (0.4, "inhibited"),
        (-1, "flipped"),
        (-0.1, "flipped and inhibited"),
        (-2, "flipped and amplified"),
    ],
)
def test_regimes_are_named_by_size_and_sign(js, value, word):
    assert js(AttentionHead)("regime", value) == word


@pytest.mark.browser
@pytest.mark.parametrize(
    ("l_k", "words"),
    [
        ([1, 1, 1, 1], "the weights are the base model"),
        ([2, 2, 2, 2], "temperature 0.50, sharper"),
        ([0.5] * 4, "temperature 2.00, flatter"),
        ([0, 0, 0, 0], "looks at all tokens alike"),
        ([-1] * 4, "every ranking is turned around"),
        ([-1, 1, 1, 1.5], "Keys: noun flipped, person amplified."),
        ([-1, 2, 1, 1.5], "Keys: 3 of 4 features rescaled."),
    ],
)
def test_the_sentence_says_what_l_k_does(js, l_k, words):
    head = AttentionHead(l_k=l_k)
    state = {"tokens": head.tokens, "k_names": head.k_names, "v_names": head.v_names, "query": 1, "l_k": l_k}
    now, base = head.weights()[1].tolist(), AttentionHead().weights()[1].tolist()
    text = js(AttentionHead)("describe", {**state, "l_v": [1, 0, 1, 1]}, now, base)
    assert words in text
    assert "Values: action off." in text


# --- the figure in the browser ----------------------------------------------------------------------------------


def weights_on(page) -> torch.Tensor:
    """The numbers in the table's cells."""
    rows = page.locator(".ia3-weights tbody tr")
    return torch.tensor(
        [[float(text) for text in rows.nth(i).locator("td b").all_inner_texts()] for i in range(rows.count())],
        dtype=torch.float64,
    )


def handle(page, name: str):
    return page.get_by_role("slider", name=name)


def assert_shows(page, **traits) -> None:
    """Fail unless the drawn weights and output are those of a head in this state."""
    head = AttentionHead(**traits)
    out, weights = reference(head)
    torch.testing.assert_close(weights_on(page), weights, atol=0.00501, rtol=0)
    label = page.locator('.ia3-attention svg[role="img"]').get_attribute("aria-label").replace("\u2212", "-")
    for name, number in zip(head.v_names, out[head.query].tolist(), strict=True):
        assert f"{name} {number:.2f}".replace("-0.00", "0.00") in label


def drag(page, node, dx: float) -> None:
    box = node.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + dx / 2, y, steps=3)
    page.mouse.move(x + dx, y, steps=3)
    page.mouse.up()


def state_of(page, name: str) -> list[float]:
    words = {"l_k": "l_k, key feature", "l_v": "l_v, value feature"}[name]
    return [float(node.get_attribute("aria-valuenow")) for node in page.get_by_role("slider", name=words).all()]


@pytest.mark.browser
@pytest.mark.parametrize("width", [900, 390])
def test_dragging_a_key_entry_redraws_weights_and_output(widget_page, width):
    page = widget_page(AttentionHead(), width=width)
    assert_shows(page)
    before = weights_on(page)
    drag(page, handle(page, "l_k, key feature person"), -60)
    l_k = state_of(page, "l_k")
    assert l_k[:3] == [1.0, 1.0, 1.0]
    assert -0.9 < l_k[3] < -0.2
    assert_shows(page, l_k=l_k)
    assert (weights_on(page) - before).abs().max() > 0.1


@pytest.mark.browser
def test_dragging_a_value_entry_changes_outputs_and_no_weight(widget_page):
    page = widget_page(AttentionHead())
    before = weights_on(page)
    drag(page, handle(page, "l_v, value feature who"), 50)
    l_v = state_of(page, "l_v")
    assert l_v[0] > 1.5
    assert torch.equal(weights_on(page), before)
    assert_shows(page, l_v=l_v)


@pytest.mark.browser
def test_a_finger_drags_a_handle(widget_page):
    page = widget_page(AttentionHead(), width=390, touch=True)
    box = handle(page, "l_k, key feature noun").bounding_box()
    assert min(box["width"], box["height"]) >= 38
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    session = page.context.new_cdp_session(page)
    for kind, dx in (("touchStart", 0), ("touchMove", -30), ("touchMove", -70), ("touchEnd", None)):
        points = [] if dx is None else [{"x": x + dx, "y": y}]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    l_k = state_of(page, "l_k")
    assert l_k[0] < 0
    assert_shows(page, l_k=l_k)


@pytest.mark.browser
def test_keys_move_an_entry_by_steps_and_to_its_ends(widget_page):
    page = widget_page(AttentionHead())
    node = handle(page, "l_v, value feature action")
    node.focus()
    for key, value in (("ArrowRight", 1.1), ("ArrowUp", 1.2), ("Shift+ArrowLeft", 0.2), ("Home", -2), ("End", 3)):
        page.keyboard.press(key)
        assert float(node.get_attribute("aria-valuenow")) == value
    assert node.get_attribute("aria-valuetext") == "3.0, amplified"
    assert_shows(page, l_v=[1, 3, 1, 1])


@pytest.mark.browser
def test_an_entry_stays_within_its_limits(widget_page):
    page = widget_page(AttentionHead())
    drag(page, handle(page, "l_k, key feature verb"), 600)
    assert state_of(page, "l_k") == [1, 3, 1, 1]


@pytest.mark.browser
@pytest.mark.parametrize(
    ("name", "traits"),
    [
        ("l_k = 2", {"l_k": [2] * 4}),
        ("l_k = 0.5", {"l_k": [0.5] * 4}),
        ("Flip key \u201cnoun\u201d", {"l_k": [-1, 1, 1, 1]}),
        ("Key \u201cperson\u201d off", {"l_k": [1, 1, 1, 0]}),
        ("Value \u201caction\u201d off", {"l_v": [1, 0, 1, 1]}),
        ("Reset to ones", {}),
    ],
)
def test_a_preset_sets_both_vectors(widget_page, name, traits):
    page = widget_page(AttentionHead(l_k=L_K, l_v=L_V))
    assert_shows(page, l_k=L_K, l_v=L_V)
    page.get_by_role("button", name=name, exact=True).click()
    assert_shows(page, **traits)


@pytest.mark.browser
def test_choosing_a_row_shows_that_tokens_output(widget_page):
    page = widget_page(AttentionHead(l_k=L_K))
    page.locator(".ia3-weights tbody tr").nth(3).locator("td").first.click()
    assert_shows(page, l_k=L_K, query=3)
    page.get_by_role("radio", name="coffee").press("ArrowDown")
    assert_shows(page, l_k=L_K, query=4)
    assert "slowly" in page.locator(".ia3-say").inner_text()


@pytest.mark.browser
def test_the_live_sentence_reaches_a_screen_reader_after_the_hand_rests(widget_page):
    page = widget_page(AttentionHead())
    heard = page.locator(".ia3-attention [role=status]")
    page.get_by_role("button", name="l_k = 2", exact=True).click()
    assert "sharper" in page.locator(".ia3-say").inner_text()
    page.wait_for_function("document.querySelector('.ia3-attention [role=status]').textContent.includes('sharper')")
    assert "sharper" in heard.text_content()


@pytest.mark.browser
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_numbers_in_cells_stand_out_in_both_themes(widget_page, theme):
    page = widget_page(AttentionHead(l_k=[3] * 4), theme=theme)
    ratio = page.evaluate("""() => {
        const probe = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
        const light = (color) => {
            probe.fillStyle = color; probe.fillRect(0, 0, 1, 1);
            const [r, g, b] = [...probe.getImageData(0, 0, 1, 1).data].map((x) => x / 255)
                .map((x) => (x <= 0.04045 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4));
            return 0.2126 * r + 0.7152 * g + 0.0722 * b + 0.05;
        };
        return Math.min(...[...document.querySelectorAll(".ia3-weights tbody td")].map((cell) => {
            const style = getComputedStyle(cell), pair = [light(style.color), light(style.backgroundColor)];
            return Math.max(...pair) / Math.min(...pair);
        }));
    }""")
    assert ratio >= 4.5


@pytest.mark.browser
def test_the_widget_fits_a_phone(widget_page):
    page = widget_page(AttentionHead(l_k=L_K, l_v=L_V), width=390)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


# --- on the chapter's page --------------------------------------------------------------------------------------


@pytest.mark.browser
def test_every_button_in_the_prose_sets_the_head(page_of):
    page = page_of("book/01-formulation.html")
    buttons = page.locator("button.set-widget")
    assert buttons.count() >= 8
    for button in buttons.all():
        button.click()
        changes = json.loads(button.get_attribute("data-set"))
        assert_shows(page, **{"query": int(page.locator(".ia3-weights input:checked").input_value()), **changes})


@pytest.mark.browser
def test_a_key_entry_can_be_dragged_on_the_page(page_of):
    page = page_of("book/01-formulation.html", theme="dark", width=390)
    node = handle(page, "l_k, key feature person")
    node.scroll_into_view_if_needed()
    drag(page, node, -40)
    l_k = state_of(page, "l_k")
    assert l_k[3] < 0.8
    assert_shows(page, l_k=l_k)
