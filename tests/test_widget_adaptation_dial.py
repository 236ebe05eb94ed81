"""Laws of the adaptation dial: what it stores comes back, its JS computes what numpy computes, and hands turn it."""

import re

import numpy as np
import pytest
from traitlets import TraitError
from widget_helpers import open_tables, read_picture, set_traits, smallest_side, trait

from ia3_lab.widgets import AdaptationDial
from ia3_lab.widgets.adaptation_dial import Story

pytestmark = pytest.mark.browser
LAYERS, HEADS = 2, 3
GRID = (0.0, 0.1, 0.4, 0.7, 1.0)
SENTENCES = ("[CLS] the film was not bad [SEP]", "[CLS] this was bad [SEP]")
CHANCES = (np.array([0.21, 0.34, 0.66, 0.91, 0.97]), 1 - np.linspace(0.6, 0.98, 5))


def smooth_attention(seed: int, layers: int, heads: int, n: int) -> np.ndarray:
    """Return attention whose scores bend with t, sharp and flat heads mixed, as in an encoder."""
    scores, slope, bend = np.random.default_rng(seed).normal(size=(3, layers, heads, n, n))
    powers = np.exp(3 * np.stack([scores + t * slope + t * t * bend / 2 for t in GRID]))
    return powers / powers.sum(axis=-1, keepdims=True)


def make_story(i: int, **changes: object) -> Story:
    tokens = SENTENCES[i].split()
    attention = smooth_attention(i, LAYERS, HEADS, len(tokens))
    return Story(tokens, GRID, CHANCES[i], attention, ("positive", "negative")[i], f"Note {i}.")._replace(**changes)


def make_dial(**traits: object) -> AdaptationDial:
    return AdaptationDial([make_story(0), make_story(1)], **traits)


def expected_map(i: int, layer: int, head: int, t: float) -> np.ndarray:
    """Interpolate every weight with numpy."""
    return np.apply_along_axis(lambda y: np.interp(t, GRID, y), 0, make_story(i).attention[:, layer, head])


def test_what_moves_is_half_the_mean_absolute_change_and_a_dial_starts_where_most_does():
    attention = np.repeat(make_story(0).attention[:1], len(GRID), axis=0)
    attention[-1, 1, 0, 4] = np.roll(attention[0, 1, 0, 4], 1)
    dial = AdaptationDial([make_story(0, attention=attention)])
    assert repr(dial) == "AdaptationDial(change=False, head=0, layer=1, query=4, story=0, t=0.0)"
    moved = np.array(dial.stories[0]["moved"])
    assert moved[1, 0] > 0 == moved.sum() - moved[1, 0]
    first, *_, last = make_story(0).attention
    expected = np.abs(last - first).sum(axis=-1).mean(axis=-1) / 2
    np.testing.assert_allclose(make_dial().stories[0]["moved"], expected, atol=5e-5)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"t": (0, 0.4, 0.1, 0.7, 1)}, "t must rise from 0 to 1"),
        ({"attention": np.full((5, 2, 4, 7, 7), 1 / 7)}, r"shape \(5, 2, 4, 5, 5\)"),  # the other story has 3 heads
        ({"attention": np.full((5, 2, 3, 7, 7), 0.15)}, "rows that sum to 1"),
    ],
)
def test_a_story_that_the_script_would_misread_is_refused(changes, says):
    with pytest.raises(TraitError, match=says):
        AdaptationDial([make_story(0, **changes), make_story(1)])


@pytest.mark.parametrize("change", [False, True])
def test_the_picture_has_every_weight_and_says_the_chosen_row(change):
    dial = make_dial(t=0.55, layer=1, head=2, query=4, change=change)
    weights = expected_map(0, 1, 2, 0.55) - change * expected_map(0, 1, 2, 0)
    (cells, curve), said = (drawn := dial.figure())[0].axes, drawn[1]
    assert [float(text.get_text()) for text in cells.texts] == pytest.approx(weights.ravel(), abs=0.00501)
    assert curve.lines[-1].get_xydata().tolist() == [[0.55, pytest.approx(np.interp(0.55, GRID, CHANCES[0]))]]
    row = [f"{one} {weight:.2f}" for one, weight in zip(make_story(0).tokens, weights[4].round(2) + 0.0, strict=True)]
    assert said.startswith("Layer 1, head 2, t = 0.55")
    assert said.endswith(f"P(positive) = 0.79. The row of not: {', '.join(row)}.")
    assert read_picture(dial)[0] == said


def test_every_map_is_stored_to_within_half_a_step():
    stored = np.frombuffer(make_dial().maps, np.uint8) / 255
    given = np.concatenate([make_story(i).attention.ravel() for i in (0, 1)])
    np.testing.assert_allclose(stored, given, rtol=0, atol=0.5 / 255 + 1e-12)


def test_sentences_say_what_is_right_and_which_word_is_the_same(js):
    run = js(AdaptationDial)
    first, second = (sentence.split() for sentence in SENTENCES)
    carried = [run("carryQuery", query, first, second) for query in (5, 4, 1, 6)]
    assert carried == [second.index("bad"), second.index("was"), 0, 4]  # "not", the fourth, is third from the end
    cases = ((0.93, "positive"), (0.2, "positive"), (0.2, ""))
    said = [run("verdict", ["negative", "positive"], *case) for case in cases]
    assert said == ["predicts positive \u2713 right", "predicts negative \u2717 wrong", "predicts negative"]


def assert_shows(page, story: int = 0) -> None:
    """Compare everything on screen with numpy's numbers for the traits of the page; an empty cell rounds to 0."""
    tokens, t = make_story(story).tokens, trait(page, "t")
    layer, head, query, change = (trait(page, name) for name in ("layer", "head", "query", "change"))
    query = min(query, len(tokens) - 1)
    now, first, last = (expected_map(story, layer, head, at) for at in (t, 0, 1))
    rows = [row.locator("td").all_text_contents() for row in page.locator(".ad-matrix tbody tr >> visible=true").all()]
    shown = [[float(text.replace("\u2212", "-") or 0) for text in row] for row in rows]
    np.testing.assert_allclose(shown, now - first if change else now, atol=0.0090)
    bars = [float(text) for text in page.locator(".ad-bars b >> visible=true").all_text_contents()]
    np.testing.assert_allclose(bars, now[query], atol=0.0070)
    key = np.abs(last[query] - first[query]).argmax()
    sentence = page.locator(".ia3-say").inner_text()
    assert sentence.startswith(f"At t = {t:.2f}, P(positive) = ")
    numbers = [float(number) for number in re.findall(r"\d\.\d\d", sentence)]
    assert numbers[1:3] == pytest.approx([np.interp(t, GRID, CHANCES[story]), now[query, key]], abs=0.0070)
    assert f"\u201c{tokens[query]}\u201d gives" in sentence and f"to \u201c{tokens[key]}\u201d" in sentence


def test_a_finger_and_arrows_choose_among_the_heads_which_are_one_tab_stop(widget_page):
    page = widget_page(make_dial(layer=0, head=0, t=0.55), width=390, touch=True)
    assert "interpolated linearly from t = 0.4 and t = 0.7" in page.locator(".ad-source").inner_text()
    assert page.locator(".ia3-slider output").get_attribute("aria-live") == "off"  # else a live region of its own
    cell = page.get_by_role("gridcell", name=re.compile("^layer 1, head 2"))
    assert smallest_side(cell) >= 24
    cell.tap()
    assert (trait(page, "layer"), trait(page, "head")) == (1, 2)
    assert_shows(page)
    page.locator(".ad-heads td[tabindex='0']").focus()  # refused if there is more than one
    for key, layer, head in (("ArrowLeft", 1, 1), ("ArrowUp", 0, 1), ("End", 0, 2), ("Control+Home", 0, 0)):
        page.keyboard.press(key)
        assert (trait(page, "layer"), trait(page, "head")) == (layer, head)
        chosen = page.locator(".ad-heads td[aria-selected='true']")
        moved = make_dial().stories[0]["moved"][layer][head]
        assert chosen.get_attribute("aria-label") == f"layer {layer}, head {head}: {moved:.2f} moves"
        assert chosen.evaluate("cell => cell === document.activeElement && cell.tabIndex === 0")


def test_a_cell_of_the_map_is_read_out_when_hovered_and_when_focused(widget_page):
    page = widget_page(make_dial(layer=1, head=2, t=0.4, query=5))
    now, first = (np.rint(255 * expected_map(0, 1, 2, t)) / 255 for t in (0.4, 0))
    pointed = page.locator(".ad-pointed")
    page.locator(".ad-matrix tbody tr >> visible=true").nth(2).locator("td").nth(4).hover()
    words = f"\u201cfilm\u201d to \u201cnot\u201d: {now[2, 4]:.2f} ({first[2, 4]:.2f} at t = 0, "
    assert pointed.inner_text().startswith(words) and trait(page, "query") == 5
    page.mouse.move(1, 1)
    assert pointed.inner_text().startswith("Point at a cell")
    page.locator(".ad-matrix td[tabindex='0'] >> visible=true").focus()
    page.keyboard.press("ArrowUp")
    page.keyboard.press("End")
    assert trait(page, "query") == 4
    words = f"\u201cnot\u201d to \u201c[SEP]\u201d: {now[4, 6]:.2f}"
    assert page.evaluate("document.activeElement.getAttribute('aria-label')").startswith(words)
    (_, shares), (_, chances) = open_tables(page)
    assert [float(share) for _, _, share, _ in shares] == pytest.approx(now[4], abs=0.0051)
    np.testing.assert_array_equal(np.float64(chances).T, [GRID, CHANCES[0]])


def test_another_sentence_keeps_the_word_and_a_change_has_a_sign(widget_page):
    page = widget_page(make_dial(t=0.7, layer=0, head=0, query=5))
    page.get_by_label("Sentence").select_option(label="this was bad")
    assert (trait(page, "story"), trait(page, "query")) == (1, 3)
    assert "Note 1." in page.locator(".ia3-dial").inner_text()
    set_traits(page, t=0.55, layer=1, head=1, query=6, change=True)
    assert_shows(page, 1)  # the last token, where a query is beyond the sentence
    set_traits(page, story=0, layer=1, head=2, t=1)
    assert_shows(page)
    texts = [text for text in page.locator(".ad-matrix tbody td >> visible=true").all_text_contents() if text]
    assert {"+", "\u2212"} == {text[0] for text in texts}
    page.get_by_role("slider").press("Home")
    assert "is a stored run" in page.locator(".ad-source").inner_text()
    assert not any(page.locator(".ad-matrix tbody td >> visible=true").all_text_contents())


def test_play_runs_to_the_end_a_hand_stops_it_and_less_motion_means_none(widget_page):
    page = widget_page(make_dial(t=0.8))
    play = page.get_by_role("button", name="Play")
    play.click()
    page.wait_for_function("ia3Widgets.AdaptationDial[0].get('t') === 1")
    play.click()  # from the end it starts over
    page.wait_for_function("ia3Widgets.AdaptationDial[0].get('t') < 0.5")
    page.get_by_role("slider").press("End")
    play.wait_for()
    assert trait(page, "t") == 1
    page.emulate_media(reduced_motion="reduce")
    page.get_by_role("slider").press("ArrowLeft")
    assert page.get_by_role("button", name="Play").count() == 0
