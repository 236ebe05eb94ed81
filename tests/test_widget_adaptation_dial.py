"""Laws of the adaptation dial: what it stores comes back, its JS computes what numpy computes, and hands turn it."""

from __future__ import annotations

import gzip
import json
import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest
import torch
from traitlets import TraitError

from ia3_lab.widgets import AdaptationDial
from ia3_lab.widgets.adaptation_dial import LEVELS, Story, pack, quantize

LAYERS, HEADS = 2, 3
GRID = (0.0, 0.1, 0.4, 0.7, 1.0)
SENTENCES = ("[CLS] the film was not bad [SEP]", "[CLS] this was bad [SEP]")


def softmax(scores: np.ndarray) -> np.ndarray:
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def smooth_attention(seed: int, grid: tuple[float, ...], layers: int, heads: int, n: int) -> np.ndarray:
    """Return attention whose scores bend with t, sharp and flat heads mixed, as in an encoder."""
    generator = np.random.default_rng(seed)
    scores, slope, bend = generator.normal(size=(3, layers, heads, n, n))
    sharpness = generator.uniform(0.3, 4, size=(layers, heads, 1, 1))
    return np.stack([softmax(sharpness * (scores + t * slope + t * t * bend / 2)) for t in grid])


def make_story(number: int, **changes: object) -> Story:
    tokens = SENTENCES[number].split()
    fields = {
        "tokens": tokens,
        "t": GRID,
        "probability": np.array([0.21, 0.34, 0.66, 0.91, 0.97]) if number == 0 else 1 - np.linspace(0.6, 0.98, 5),
        "attention": smooth_attention(number, GRID, LAYERS, HEADS, len(tokens)),
        "truth": ("positive", "negative")[number],
        "note": f"Note {number}.",
    }
    return Story(**(fields | changes))


def make_dial(**traits: object) -> AdaptationDial:
    return AdaptationDial(stories=[make_story(0), make_story(1)], **traits)


def expected_map(story: Story, layer: int, head: int, t: float) -> np.ndarray:
    """Interpolate every weight of the stored bytes with numpy."""
    stored = quantize(story.attention)[:, layer, head] / LEVELS
    n = stored.shape[-1]
    return np.array([[np.interp(t, story.t, stored[:, i, j]) for j in range(n)] for i in range(n)])


# --- what is stored ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(4))
def test_quantized_rows_still_sum_to_one_and_are_less_than_one_level_off(seed):
    attention = smooth_attention(seed, GRID, LAYERS, HEADS, 9)
    stored = quantize(attention)
    assert stored.dtype == np.uint8
    assert (stored.sum(axis=-1, dtype=int) == LEVELS).all()
    assert np.abs(stored / LEVELS - attention).max() < 1 / LEVELS
    plain = np.rint(attention * LEVELS).sum(axis=-1)  # the control: rounding alone does not keep the sum
    assert (plain != LEVELS).any()


def test_a_row_with_all_its_weight_on_one_token_survives():
    assert quantize(np.array([0.0, 1.0, 0.0])).tolist() == [0, 255, 0]


@pytest.mark.browser
@pytest.mark.parametrize("lengths", [(7,), (2, 9), (5, 5, 3)])
def test_the_script_decodes_every_byte_that_python_packed(js, lengths):
    generator = np.random.default_rng(len(lengths))
    maps = [  # nothing smooth here: differences wrap around 256 in both directions
        quantize(generator.dirichlet(np.full(n, 0.2), size=(len(GRID), LAYERS, HEADS, n))) for n in lengths
    ]
    sizes = [[len(GRID), n] for n in lengths]
    run = js(AdaptationDial)
    decoded = run("decode", list(pack(maps)), sizes, [LAYERS, HEADS])
    for got, expected in zip(decoded, maps, strict=True):
        values = np.array(list(got.values()) if isinstance(got, dict) else list(got))
        np.testing.assert_array_equal(values, expected.ravel())


def test_two_stored_values_of_t_are_enough_to_pack():
    maps = quantize(smooth_attention(0, (0.0, 1.0), 1, 1, 4))
    assert len(pack([maps])) == 2 * 4 * 3


def test_five_sentences_of_eight_tokens_fit_the_page():
    grid = tuple(np.linspace(0, 1, 6))
    stories = [
        Story(
            tokens=[f"w{i}" for i in range(8)], t=grid, probability=grid, attention=smooth_attention(s, grid, 6, 12, 8)
        )
        for s in range(5)
    ]
    from ipywidgets.embed import dependency_state

    dial = AdaptationDial(stories=stories)
    state = json.dumps(dependency_state([dial], drop_defaults=False)[dial.model_id])
    assert len(gzip.compress(state.encode(), 9)) < 90_000


# --- the Python side -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("t", [0, 0.05, 0.1, 0.55, 1])
def test_python_shows_stored_values_and_lines_between_them(t):
    dial, story = make_dial(t=t, layer=1, head=2), make_story(0)
    np.testing.assert_allclose(dial.attention_map(), expected_map(story, 1, 2, t), atol=1e-12)
    assert dial.probability() == pytest.approx(np.interp(t, GRID, story.probability))


def test_a_dial_starts_at_the_head_and_row_that_change_most():
    attention = np.repeat(make_story(0).attention[:1], len(GRID), axis=0)
    attention[-1, 1, 0, 4] = np.roll(attention[0, 1, 0, 4], 1)
    dial = AdaptationDial(stories=[make_story(0, attention=attention)])
    assert (dial.t, dial.story, dial.layer, dial.head, dial.query, dial.change) == (0, 0, 1, 0, 4, False)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tokens": "not bad"}, "sequence of at least two str"),
        ({"tokens": ["bad"]}, "at least two"),
        ({"tokens": None}, "sequence of at least two str, got None"),
        ({"truth": None}, "truth must be text, got None; leave it out"),
        ({"note": 3}, "note must be text, got 3"),
        ({"t": "all"}, "t must be numbers in a full array, got str: 'all'"),
        ({"probability": ["high"] * 5}, "probability must be numbers in a full array, got list: "),
        ({"attention": [[1.0], [1.0, 2.0]]}, "attention must be numbers in a full array, got list: "),
        ({"t": (0, 0.4, 0.1, 0.7, 1)}, "rise from 0 to 1"),
        ({"t": (0.1, 0.2, 0.4, 0.7, 1)}, "rise from 0 to 1"),
        ({"t": (0, 0.1, 0.4, 0.7, 0.9)}, "add the ends"),
        ({"probability": [0.5] * 4}, r"shape \(5,\), one for each t, got \(4,\)"),
        ({"probability": [0.5, 0.5, 0.5, 0.5, 1.2]}, "lie from 0 to 1.*softmax"),
        ({"probability": [0.5, 0.5, 0.5, 0.5, np.nan]}, "lie from 0 to 1"),
        ({"attention": np.full((5, 2, 3, 6, 6), 1 / 6)}, r"\(5, layers, heads, 7, 7\).*got \(5, 2, 3, 6, 6\)"),
        ({"attention": np.full((4, 2, 3, 7, 7), 1 / 7)}, r"got \(4, 2, 3, 7, 7\)"),
        ({"attention": np.full((5, 2, 3, 7, 7), 0.15)}, "sum to 1 within 0.001, got a row that sums to 1.05"),
        ({"attention": np.full((5, 2, 3, 7, 7), np.nan)}, "negative number or NaN"),
        ({"attention": np.tile([1.5, -0.5, 0, 0, 0, 0, 0], (5, 2, 3, 7, 1))}, "negative number or NaN"),
    ],
)
def test_a_story_that_does_not_fit_is_refused_with_what_was_expected(changes, message):
    with pytest.raises(ValueError, match=message):
        make_story(0, **changes)


def test_what_was_checked_cannot_change_afterwards():
    probability, attention = np.linspace(0, 1, 5), make_story(0).attention.copy()
    story = make_story(0, probability=probability, attention=attention)
    probability[:] = 7
    attention[:] = 7
    assert AdaptationDial(stories=[story], t=1).probability() == 1
    assert story.attention.max() <= 1
    with pytest.raises(ValueError, match="read-only"):
        story.attention[:] = 7


def test_tensors_with_gradients_are_detached_or_refused_in_words():
    numbers = torch.linspace(0, 1, 5, requires_grad=True)
    assert make_story(0, probability=numbers).probability.tolist() == [0, 0.25, 0.5, 0.75, 1]
    with pytest.raises(ValueError, match=r"probability must be numbers .*requires grad.*detach\(\)"):
        make_story(0, probability=list(numbers))


def test_rows_within_a_thousandth_of_one_are_accepted():
    assert make_story(0, attention=make_story(0).attention * 1.0009).attention.shape == (5, LAYERS, HEADS, 7, 7)


@pytest.mark.parametrize(
    ("traits", "message"),
    [
        ({"t": 1.01}, "t must be a number from 0 to 1, got 1.01"),
        ({"t": float("nan")}, "t must be a number from 0 to 1, got nan"),
        ({"story": 2}, "story must be a whole number from 0 to 1, got 2"),
        ({"layer": -1}, "layer must be a whole number from 0 to 1, got -1"),
        ({"head": 3}, "head must be a whole number from 0 to 2, got 3"),
        ({"query": 7}, "query must be a whole number from 0 to 6, got 7"),
        ({"labels": ("positive", "positive")}, "labels must be two different names"),
        ({"labels": ("bad", "good")}, "truth must be one of the labels"),
        ({"heads": 3}, "unknown argument 'heads'; did you mean 'head'. The arguments are change, head, labels, layer,"),
    ],
)
def test_values_out_of_range_are_refused(traits, message):
    with pytest.raises(TraitError, match=message):
        make_dial(**traits)


@pytest.mark.parametrize("stories", [[], ["the film was not bad"], None, 3, make_story(0), [make_story(0), None]])
def test_a_dial_without_stories_is_refused(stories):
    with pytest.raises(TraitError, match="at least one Story"):
        AdaptationDial(stories=stories)


def test_stories_of_two_models_are_refused():
    other = make_story(1, attention=smooth_attention(1, GRID, LAYERS, 4, 5))
    with pytest.raises(TraitError, match=r"same layers and heads, got \(2, 4\) after \(2, 3\)"):
        AdaptationDial(stories=[make_story(0), other])


def test_stored_runs_cannot_be_exchanged_under_a_dial():
    with pytest.raises(TraitError, match="read-only"):
        make_dial().stories = []


def test_the_repr_shows_the_state_and_no_data():
    text = "AdaptationDial(change=False, head=1, layer=0, query=2, story=1, t=0.3)"
    assert repr(make_dial(t=0.3, story=1, layer=0, head=1, query=2)) == text


@pytest.mark.parametrize("change", [False, True])
def test_the_picture_is_an_svg_with_every_weight_and_the_probability(change):
    dial = make_dial(t=0.55, layer=1, head=2, change=change)
    root = ET.fromstring(dial.picture())
    space = "{http://www.w3.org/2000/svg}"
    title = root.find(space + "title").text
    assert "layer 1, head 2, at t = 0.55" in title
    assert f"P(positive) = {dial.probability():.2f}" in title
    values = dial.attention_map() - (expected_map(make_story(0), 1, 2, 0) if change else 0)
    numbers = [f"{value:.2f}".replace("-", "\u2212") for value in values.ravel() if abs(value) >= 0.005]
    assert [
        text for text in (node.text for node in root.iter(space + "text")) if re.fullmatch(r"\u2212?0\.\d\d", text)
    ] == numbers


# --- the script against numpy --------------------------------------------------------------------------------------


@pytest.mark.browser
@pytest.mark.parametrize("t", [0, 0.05, 0.1, 0.399, 0.4, 0.85, 1])
def test_the_script_interpolates_as_numpy_does(js, t):
    run, story = js(AdaptationDial), make_story(0)
    flat = quantize(story.attention).ravel().tolist()
    got = run("attentionAt", flat, GRID, [LAYERS, HEADS], 1, 2, t)
    np.testing.assert_allclose(got, expected_map(story, 1, 2, t), atol=1e-12)
    np.testing.assert_allclose(np.sum(got, axis=1), 1, atol=1e-12)
    probability = run("interpolate", story.probability.tolist(), GRID, t)
    assert probability == pytest.approx(np.interp(t, GRID, story.probability), abs=1e-12)


@pytest.mark.browser
def test_total_variation_is_half_the_mean_absolute_change_of_a_row(js):
    stored = quantize(make_story(0).attention)
    moved = np.abs(stored[-1] / LEVELS - stored[0] / LEVELS).sum(axis=-1).mean(axis=-1) / 2
    got = js(AdaptationDial)("totalVariation", stored.ravel().tolist(), GRID, [LAYERS, HEADS])
    np.testing.assert_allclose(got, moved, atol=1e-12)
    still = np.repeat(stored[:1], len(GRID), axis=0)
    assert js(AdaptationDial)("totalVariation", still.ravel().tolist(), GRID, [LAYERS, HEADS]) == [[0] * HEADS] * LAYERS


@pytest.mark.browser
def test_a_query_is_carried_to_the_same_word_or_the_same_place_from_the_end(js):
    run = js(AdaptationDial)
    first, second = (sentence.split() for sentence in SENTENCES)
    assert run("carryQuery", 5, first, second) == second.index("bad")
    assert run("carryQuery", 4, first, second) == second.index("was")  # "not" is third from the end
    assert run("carryQuery", 1, first, second) == 0
    assert run("carryQuery", 6, first, second) == 4


@pytest.mark.browser
def test_numbers_between_stored_runs_are_called_interpolated(js):
    run = js(AdaptationDial)
    for stored in GRID:
        assert "is a stored run" in run("provenance", GRID, stored)
    assert run("provenance", GRID, 0.55).endswith("interpolated linearly from t = 0.4 and t = 0.7.")


@pytest.mark.browser
def test_the_verdict_says_right_or_wrong_in_words(js):
    run, labels = js(AdaptationDial), ["negative", "positive"]
    assert run("verdict", labels, 0.93, "positive") == "predicts positive \u2713 right"
    assert run("verdict", labels, 0.2, "positive") == "predicts negative \u2717 wrong"
    assert run("verdict", labels, 0.2, "") == "predicts negative"


# --- in the browser ------------------------------------------------------------------------------------------------


def trait(page, name: str):
    return page.evaluate(f"ia3Widgets.AdaptationDial[0].get('{name}')")


def shown(page) -> np.ndarray:
    """Return the numbers of the matrix; an empty cell rounds to 0."""
    rows = page.locator(".ad-matrix tbody tr").all()
    texts = [row.locator("td").all_text_contents() for row in rows]
    return np.array([[float(text.replace("\u2212", "-") or 0) for text in row] for row in texts])


def assert_shows(page, *, number: int = 0) -> None:
    """Compare everything on screen with numpy's numbers for the traits of the page."""
    story, t = make_story(number), trait(page, "t")
    layer, head, query, change = (trait(page, name) for name in ("layer", "head", "query", "change"))
    query = min(query, len(story.tokens) - 1)
    now, first = expected_map(story, layer, head, t), expected_map(story, layer, head, 0)
    np.testing.assert_allclose(shown(page), now - first if change else now, atol=0.00501)
    bars = [float(text) for text in page.locator(".ad-bars b").all_text_contents()]
    np.testing.assert_allclose(bars, now[query], atol=0.00501)
    key = np.abs(expected_map(story, layer, head, 1)[query] - first[query]).argmax()
    p = np.interp(t, GRID, np.round(story.probability, 4))
    sentence = page.locator(".ia3-say").inner_text()
    assert sentence.startswith(f"At t = {t:.2f}, P(positive) = ")
    numbers = [float(number) for number in re.findall(r"\d\.\d\d", sentence)]
    assert numbers[1:3] == pytest.approx([p, now[query, key]], abs=0.00501)
    assert f"\u201c{story.tokens[query]}\u201d gives" in sentence
    assert f"to \u201c{story.tokens[key]}\u201d" in sentence


@pytest.mark.browser
def test_keys_turn_the_dial_and_the_map_follows(widget_page):
    page = widget_page(make_dial(layer=1, head=2, query=5))
    assert_shows(page)
    dial = page.get_by_role("slider")
    dial.focus()
    for key, t in (("ArrowRight", 0.01), ("Shift+ArrowRight", 0.11), ("End", 1), ("ArrowLeft", 0.99), ("Home", 0)):
        page.keyboard.press(key)
        assert trait(page, "t") == pytest.approx(t)
        assert_shows(page)
    assert dial.get_attribute("aria-valuetext") == "0.00"


@pytest.mark.browser
@pytest.mark.parametrize(("width", "touch"), [(900, False), (390, True)])
def test_a_hand_or_a_finger_turns_the_dial(widget_page, width, touch):
    page = widget_page(make_dial(layer=0, head=1), width=width, touch=touch)
    box = page.get_by_role("slider").bounding_box()
    assert box["height"] >= 38
    x, y = box["x"] + box["width"] * 0.55, box["y"] + box["height"] / 2
    if touch:
        page.touchscreen.tap(x, y)
    else:
        page.mouse.move(box["x"] + 8, y)
        page.mouse.down()
        page.mouse.move(x, y, steps=4)
        page.mouse.up()
    assert 0.5 < trait(page, "t") < 0.6
    assert_shows(page)
    assert "interpolated linearly from t = 0.4 and t = 0.7" in page.locator(".ad-source").inner_text()


@pytest.mark.browser
def test_the_heads_are_one_tab_stop_and_arrows_choose_among_them(widget_page):
    page = widget_page(make_dial(layer=0, head=0, t=0.7))
    heads = page.locator(".ad-heads")
    assert heads.locator("td[tabindex='0']").count() == 1
    heads.locator("td[tabindex='0']").focus()
    presses = (("ArrowRight", 0, 1), ("ArrowDown", 1, 1), ("End", 1, 2), ("ArrowDown", 1, 2), ("Home", 1, 0))
    for key, layer, head in (*presses, ("Shift+ArrowUp", 0, 0), ("Shift+ArrowRight", 0, 2), ("Control+End", 1, 2)):
        page.keyboard.press(key)
        assert (trait(page, "layer"), trait(page, "head")) == (layer, head)
        chosen = heads.locator("td[aria-selected='true']")
        assert chosen.count() == 1
        assert chosen.get_attribute("aria-label").startswith(f"layer {layer}, head {head}: ")
        assert chosen.evaluate("cell => cell === document.activeElement && cell.tabIndex === 0")
        assert_shows(page)


@pytest.mark.browser
@pytest.mark.parametrize("touch", [False, True])
def test_a_head_is_chosen_by_mouse_or_touch(widget_page, touch):
    page = widget_page(make_dial(layer=0, head=0, t=0.4), width=390 if touch else 900, touch=touch)
    cell = page.get_by_role("gridcell", name=re.compile("^layer 1, head 2"))
    box = cell.bounding_box()
    assert min(box["width"], box["height"]) >= 24
    cell.tap() if touch else cell.click()
    assert (trait(page, "layer"), trait(page, "head")) == (1, 2)
    assert_shows(page)


@pytest.mark.browser
def test_a_cell_of_the_map_is_read_out_when_hovered_and_when_focused(widget_page):
    page = widget_page(make_dial(layer=1, head=2, t=0.55, query=5))
    now, first = (expected_map(make_story(0), 1, 2, t) for t in (0.55, 0))
    rows = page.locator(".ad-matrix tbody tr")
    rows.nth(2).locator("td").nth(4).hover()
    words = f"\u201cfilm\u201d to \u201cnot\u201d: {now[2, 4]:.2f} ({first[2, 4]:.2f} at t = 0, "
    assert page.locator(".ad-pointed").inner_text().startswith(words)
    assert trait(page, "query") == 5
    page.mouse.move(1, 1)
    assert page.locator(".ad-pointed").inner_text().startswith("Point at a cell")
    page.locator(".ad-matrix td[tabindex='0']").focus()
    page.keyboard.press("ArrowUp")
    page.keyboard.press("End")
    assert trait(page, "query") == 4
    sentence = (
        f"\u201cnot\u201d gives {now[4, 6]:.2f} of its attention to \u201c[SEP]\u201d ({first[4, 6]:.2f} at t = 0)."
    )
    assert page.locator(".ia3-say").inner_text().endswith(sentence)
    page.wait_for_function(
        "words => document.querySelector('.ia3-dial [role=status]').textContent.endsWith(words)", arg=sentence
    )
    label = page.evaluate("document.activeElement.getAttribute('aria-label')")
    assert label.startswith(f"\u201cnot\u201d to \u201c[SEP]\u201d: {now[4, 6]:.2f}")


@pytest.mark.browser
def test_another_sentence_keeps_the_word_looked_at(widget_page):
    page = widget_page(make_dial(query=5, t=0.7))
    page.get_by_label("Sentence").select_option(label="this was bad")
    assert (trait(page, "story"), trait(page, "query")) == (1, 3)
    assert_shows(page, number=1)
    assert "Note 1." in page.locator(".ia3-dial").inner_text()


@pytest.mark.browser
def test_a_query_beyond_a_shorter_sentence_falls_on_its_last_token(widget_page):
    page = widget_page(make_dial(query=6, t=0.7))
    page.evaluate("ia3Widgets.AdaptationDial[0].set({ story: 1 })")
    assert_shows(page, number=1)


@pytest.mark.browser
def test_change_has_a_sign_in_every_cell_and_none_at_the_start(widget_page):
    page = widget_page(make_dial(layer=1, head=2, t=1))
    page.get_by_label("change since t = 0").check()
    assert_shows(page)
    texts = [text for text in page.locator(".ad-matrix tbody td").all_text_contents() if text]
    assert texts
    assert all(text[0] in "+\u2212" for text in texts)
    assert {"+", "\u2212"} == {text[0] for text in texts}
    page.get_by_role("slider").press("Home")
    assert not any(page.locator(".ad-matrix tbody td").all_text_contents())


@pytest.mark.browser
def test_traits_set_from_the_prose_are_shown_and_reset_takes_them_back(widget_page):
    page = widget_page(make_dial(t=0.1, layer=0, head=0, query=2))
    page.evaluate("ia3Widgets.AdaptationDial[0].set({ t: 0.55, story: 1, layer: 1, head: 1, query: 3, change: true })")
    assert_shows(page, number=1)
    page.get_by_role("button", name="Reset").click()
    values = [trait(page, name) for name in ("t", "story", "layer", "head", "query", "change")]
    assert values == [0.1, 0, 0, 0, 2, False]
    assert_shows(page)


@pytest.mark.browser
def test_play_runs_to_the_end_and_a_hand_on_the_dial_stops_it(widget_page):
    page = widget_page(make_dial(t=0.8))
    play = page.get_by_role("button", name="Play")
    play.click()
    page.wait_for_function("ia3Widgets.AdaptationDial[0].get('t') === 1")
    page.wait_for_function("[...document.querySelectorAll('.ia3-dial button')].some((b) => b.textContent === 'Play')")
    play.click()  # from the end it starts over
    page.wait_for_function("ia3Widgets.AdaptationDial[0].get('t') < 0.5")
    page.get_by_role("slider").press("End")
    play.wait_for()
    assert trait(page, "t") == 1


@pytest.mark.browser
def test_nothing_plays_for_a_reader_who_wants_less_motion(widget_page):
    page = widget_page(make_dial())
    assert page.get_by_role("button", name="Play").is_visible()
    page.emulate_media(reduced_motion="reduce")
    page.get_by_role("slider").press("ArrowRight")
    assert page.get_by_role("button", name="Play").count() == 0


@pytest.mark.browser
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("change", [False, True])
def test_numbers_in_cells_stand_out_in_both_themes(widget_page, theme, change):
    attention = np.zeros((5, LAYERS, HEADS, 7, 7))
    attention[..., 0] = 1
    attention[-1] = np.roll(attention[-1], 1, axis=-1)  # all weight moves: the strongest colors there are
    page = widget_page(AdaptationDial(stories=[make_story(0, attention=attention)], t=1, change=change), theme=theme)
    ratio = page.evaluate("""() => {
        const probe = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
        const light = (color) => {
            probe.fillStyle = color; probe.fillRect(0, 0, 1, 1);
            const [r, g, b] = [...probe.getImageData(0, 0, 1, 1).data].map((x) => x / 255)
                .map((x) => (x <= 0.04045 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4));
            return 0.2126 * r + 0.7152 * g + 0.0722 * b + 0.05;
        };
        return Math.min(...[...document.querySelectorAll(".ad-grid tbody td")].map((cell) => {
            const style = getComputedStyle(cell), image = style.backgroundImage.match(/(rgba?|color|oklab)\\([^)]*\\)/);
            const pair = [light(style.color), light(image ? image[0] : style.backgroundColor)];
            return Math.max(...pair) / Math.min(...pair);
        }));
    }""")
    assert ratio >= 4.5


@pytest.mark.browser
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_widget_fits_a_phone(widget_page, theme):
    tokens = ["[CLS]", "nobody", "ever", "called", "the", "wedding", "disappointing", "at", "[SEP]"]
    story = make_story(0, tokens=tokens, attention=smooth_attention(3, GRID, 6, 12, 9))
    page = widget_page(AdaptationDial(stories=[story], t=1, change=True), width=390, theme=theme)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    cut = (
        "[...document.querySelectorAll('.ad-grid tbody td')].filter((cell) => cell.scrollWidth > cell.clientWidth + 1)"
    )
    assert page.evaluate(f"{cut}.map((cell) => cell.textContent)") == []


@pytest.mark.browser
@pytest.mark.parametrize("width", [390, 640])
def test_turning_the_dial_moves_nothing_on_the_page(widget_page, width):
    grid = (0, 0.125, 0.375, 0.625, 1)  # long numbers make a long sentence
    page = widget_page(AdaptationDial(stories=[make_story(0, t=grid)]), width=width)
    page.add_style_tag(content="body { font-family: sans-serif; }")
    below = page.locator(".ad-heads")
    assert "is a stored run" in page.locator(".ad-source").text_content()
    before = below.bounding_box()["y"]
    for t in (0.05, 0.25, 0.55, 1):
        page.evaluate(f"ia3Widgets.AdaptationDial[0].set('t', {t})")
        page.wait_for_function(f"document.querySelector('.ia3-dial output').textContent === '{t:.2f}'")
        assert below.bounding_box()["y"] == pytest.approx(before, abs=1)


@pytest.mark.browser
def test_t_beyond_its_ends_is_shown_as_the_end(widget_page):
    page = widget_page(make_dial(t=1.0))
    said = page.locator(".ia3-say").text_content()
    for t, text in ((-3, None), (1.7, said)):
        page.evaluate(f"ia3Widgets.AdaptationDial[0].set('t', {t})")
        page.wait_for_function(f"document.querySelector('.ia3-dial output').textContent === '{1 if text else 0}.00'")
    assert page.locator(".ia3-say").text_content() == said
    assert float(page.locator(".ad-ring").get_attribute("cx")) == 318


@pytest.mark.browser
def test_playing_is_not_announced_at_every_step(widget_page):
    page = widget_page(make_dial())
    assert page.locator(".ia3-slider output").get_attribute("aria-live") == "off"  # else an output is a live region
    assert page.get_by_role("slider", name="t, from").get_attribute("aria-valuetext") == "0.00"


@pytest.mark.browser
def test_bars_and_choices_are_seen_where_the_system_sets_the_colors(widget_page):
    page = widget_page(make_dial(t=1.0))
    page.emulate_media(forced_colors="active")
    canvas = page.locator(".ia3-dial").evaluate("(node) => getComputedStyle(node).backgroundColor")
    for kind in (".ad-probability i", ".ad-now", ".ad-key-now"):
        assert page.locator(kind).first.evaluate("(node) => getComputedStyle(node).backgroundColor") != canvas
    outline = "(node) => getComputedStyle(node).outlineWidth + getComputedStyle(node).outlineColor"
    chosen, other = (page.locator(f".ad-heads td[aria-selected={on}]").first for on in ("true", "false"))
    assert chosen.evaluate(outline) != other.evaluate(outline)


@pytest.mark.browser
def test_the_axis_of_t_says_what_its_ends_are(widget_page):
    assert widget_page(make_dial()).get_by_text("t (0: frozen, 1: adapted)").is_visible()


def test_the_picture_says_the_chosen_row_in_words():
    dial = make_dial(t=0.4, layer=1, head=2, query=4)
    title = ET.fromstring(dial.picture()).find("{http://www.w3.org/2000/svg}title").text
    weights = expected_map(make_story(0), 1, 2, 0.4)[4]
    row = ", ".join(f"{token} {weight:.2f}" for token, weight in zip(SENTENCES[0].split(), weights, strict=True))
    assert title.endswith(f"The row of not: {row}.")
