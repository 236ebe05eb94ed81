"""Laws of the attention head: its JS computes what `ia3_lab.functional` computes, and hands move what they should."""

from typing import Any

import pytest
import torch
from torch.testing import assert_close
from widget_helpers import press, set_traits

from ia3_lab import functional
from ia3_lab.widgets import AttentionHead

pytestmark = pytest.mark.browser
L_K, L_V = [1.7, -0.6, 0.3, 2.4], [-1.2, 0.4, 2.1, 0.0]


def reference(head: AttentionHead) -> tuple[torch.Tensor, torch.Tensor]:
    """Outputs and weights of a head's state, by the library, in float64."""
    q, k, v, l_k, l_v = (torch.tensor(getattr(head, n), dtype=torch.float64) for n in ("q", "k", "v", "l_k", "l_v"))
    return functional.attention(q, functional.scale(k, l_k), functional.scale(v, l_v))


def random_head(seed: int, n: int, d_head: int, d_value: int) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    shapes = {"q": (n, d_head), "k": (n, d_head), "v": (n, d_value), "l_k": (d_head,), "l_v": (d_value,)}
    return {name: torch.randn(s, generator=generator, dtype=torch.float64) for name, s in shapes.items()}


def test_weights_and_output_in_python_are_the_librarys_and_the_picture_shows_them():
    head = AttentionHead(l_k=L_K, l_v=L_V)
    for ours, librarys, ax in zip(head.attention(), reference(head), reversed(head.figure()[0].axes), strict=True):
        assert_close(torch.from_numpy(ours), librarys)
        shown = torch.tensor([float(text.get_text()) for text in ax.texts], dtype=torch.float64)
        assert_close(shown, librarys.flatten(), atol=0.00501, rtol=0)


@pytest.mark.parametrize(("seed", "n", "d_head", "d_value"), [(0, 5, 4, 4), (1, 2, 7, 3), (2, 6, 1, 5), (3, 1, 3, 2)])
def test_attention_in_js_is_the_librarys_and_without_l_k_another(js, seed, n, d_head, d_value):
    case = random_head(seed, n, d_head, d_value)
    q, k, v, l_k, l_v = case.values()

    def came(**changes: torch.Tensor) -> list[torch.Tensor]:
        found = js(AttentionHead)("rescaledAttention", *[value.tolist() for value in (case | changes).values()])
        return [torch.tensor(found[name], dtype=torch.float64) for name in ("out", "weights")]

    expected = functional.attention(q, k * l_k, v * l_v)
    for ours, librarys in zip(came(), expected, strict=True):
        assert_close(ours, librarys, rtol=1e-12, atol=1e-14)
    moved = (came(l_k=torch.ones_like(l_k))[1] - expected[1]).abs().max()
    assert moved > 0.05 if n > 1 else moved == 0  # one token has all the attention
    assert js(AttentionHead)("softmax", [1e4, 1e4, -1e4]) == [0.5, 0.5, 0.0]  # large scores


@pytest.mark.parametrize(
    ("l_k", "words"),
    [([2] * 4, "temperature 0.50, sharper"), ([0, -0.1, 1, 1], "Keys: noun off, verb flipped and inhibited.")],
)
def test_the_sentence_says_what_l_k_does(js, l_k, words):
    head, base = AttentionHead(l_k=l_k, l_v=[1, 0, 1, 1]), AttentionHead()
    state = {name: getattr(head, name) for name in ("tokens", "k_names", "v_names", "query", "l_k", "l_v")}
    rows = [
        dict(zip(("out", "weights"), (part[1].tolist() for part in one.attention()), strict=True))
        for one in (head, base)
    ]
    text = js(AttentionHead)("describe", state, *rows)
    assert words in text and "Values: action off. Its output has" in text


# --- in the browser ---------------------------------------------------------------------------------------------


def weights_on(page: Any) -> torch.Tensor:
    """The numbers in the table's cells."""
    rows = page.locator(".ia3-weights tbody tr").all()
    return torch.tensor([[float(text) for text in row.locator("td b").all_inner_texts()] for row in rows])


def entries(page: Any, vector: str) -> list[float]:
    handles = page.get_by_role("slider", name=f"{vector}, ").all()
    return [float(node.get_attribute("aria-valuenow")) for node in handles]


def assert_shows(page: Any, **traits: Any) -> None:
    """Fail unless handles, drawn weights and output are those of a head in this state."""
    head = AttentionHead(**traits)
    out, weights = reference(head)
    assert (entries(page, "l_k"), entries(page, "l_v")) == (head.l_k, head.l_v)
    assert_close(weights_on(page), weights.float(), atol=0.00501, rtol=0)
    label = page.locator('.ia3-attention svg[role="img"]').get_attribute("aria-label").replace("\u2212", "-")
    for name, number in zip(head.v_names, out[head.query].tolist(), strict=True):
        assert f"{name} {number:.2f}".replace("-0.00", "0.00") in label


def test_keys_and_presets_redraw_the_output_and_l_v_no_weight_and_a_row_shows_its_tokens_output(widget_page):
    page = widget_page(AttentionHead(l_k=L_K, l_v=L_V))
    assert_shows(page, l_k=L_K, l_v=L_V)
    before = weights_on(page)
    press(page.get_by_role("slider", name="l_v, value feature who"), "End")
    assert_shows(page, l_k=L_K, l_v=[3, *L_V[1:]])
    assert torch.equal(weights_on(page), before)
    presets = {
        "Value \u201caction\u201d off": {"l_v": [1, 0, 1, 1], "query": 4},  # of whose output most is lost
        "Key \u201cperson\u201d off": {"l_k": [1, 1, 1, 0], "query": 4},
        "Flip key \u201cnoun\u201d": {"l_k": [-1, 1, 1, 1], "query": 4},
    }
    for name, traits in presets.items():
        page.get_by_role("button", name=name, exact=True).click()
        assert_shows(page, **traits)
    set_traits(page, l_k=[-1, 1, 1, 1], query=0)  # as a button in the prose does
    assert_shows(page, l_k=[-1, 1, 1, 1], query=0)
    page.locator(".ia3-weights tbody tr").nth(3).locator("td").first.click()
    assert_shows(page, l_k=[-1, 1, 1, 1], query=3)
    press(page.get_by_role("radio", name="coffee"), "ArrowDown")
    assert_shows(page, l_k=[-1, 1, 1, 1], query=4)
    assert "slowly" in page.locator(".ia3-say").inner_text()
