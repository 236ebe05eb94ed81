"""The vector explorer: what is stored is what is drawn, its JavaScript equals numpy, every control does its work."""

import re

import numpy as np
import pandas as pd
import pytest
from traitlets import TraitError
from widget_helpers import press, read_picture, set_traits, stroke, trait

from ia3_lab.study.t03b import EDGES
from ia3_lab.widgets import VectorExplorer
from ia3_lab.widgets.vector_explorer import VectorSet, summarize

pytestmark = pytest.mark.browser
SIZES = {"k": 24, "v": 24, "ff": 50}


def values(layer: int, kind: str) -> np.ndarray:
    """Return a vector of the toy model, away from 1, with entries that are negative or beyond the bins."""
    generator = np.random.default_rng([layer, SIZES[kind]])
    return 1 + (0.2 + 0.3 * layer) * generator.standard_normal(SIZES[kind])


def row(vector: np.ndarray, part: str, kind: str, layer: int, moved: int | None = None) -> dict:
    """Return what is known of a vector: all its entries, or those farthest from 1, farthest first."""
    units = np.argsort(-np.abs(vector - 1))[:moved] if moved else np.arange(vector.size)
    known = {"moved_units": units, "moved_values": vector[units]}
    return {"part": part, "kind": kind, "layer": layer, **summarize(vector), **known}


def models() -> dict[str, VectorSet]:
    whole = [row(values(layer, kind), "", kind, layer) for layer in range(3) for kind in SIZES]
    noise, places = np.random.default_rng(5), (("decoder", "k"), ("decoder", "ff"), ("cross", "k"))
    parts = [row(1 + 0.1 * (1 + i) * noise.standard_normal(512), *place, i, 6) for place in places for i in (0, 1)]
    toy = VectorSet(pd.DataFrame(whole), "Made up.", num_heads=4, simulated=True)
    return {"toy": toy, "summary": VectorSet(pd.DataFrame(parts), "Known as a summary.", num_heads=8)}


def explorer(**traits: object) -> VectorExplorer:
    return VectorExplorer(models(), **traits)


def rounded(vector: np.ndarray) -> np.ndarray:
    return 1 + np.rint((np.asarray(vector) - 1) / 0.002) * 0.002


def order(vector: np.ndarray) -> list[int]:
    return np.argsort(-np.abs(rounded(vector) - 1), kind="stable").tolist()


def test_a_summary_counts_each_entry_once_in_the_published_bins_and_has_numpys_figures():
    vector = np.append(values(2, "ff"), [1e30, -1e30])
    found = summarize(vector)
    assert (found["below"], found["above"]) == ((vector < -0.0125).sum(), (vector > 2.0125).sum())
    assert found["below"] > 1 and found["below"] + found["histogram"].sum() + found["above"] == vector.size == 52
    assert (found["negatives"], found["near_one"]) == ((vector < 0).sum(), (np.abs(vector - 1) <= 0.2).sum())
    for inside in (EDGES[:-1] + 1e-9, EDGES[1:] - 1e-9):  # just inside the ends of each published bin
        assert set(summarize(inside)["histogram"]) == {1}
    inside = summarize(vector[:-2])
    assert inside["rms"] == pytest.approx(np.sqrt(np.var(vector[:-2]) + (inside["mean"] - 1) ** 2))


@pytest.mark.parametrize(("far", "says"), [(500.0, "within 65.536 of 1; give a larger"), (np.nan, "must be within")])
def test_entries_that_16_bits_would_change_in_silence_are_refused(far, says):
    vector = row(np.ones(2), "", "k", 0) | {"moved_values": [1.0, far]}
    with pytest.raises(TraitError, match=says):
        VectorExplorer({"toy": VectorSet(pd.DataFrame([vector]))})


@pytest.mark.parametrize("model", ["toy", "summary"])
def test_the_picture_draws_the_counts_and_the_entries_that_are_known(model):
    widget, chosen = explorer(model=model, kind="k"), models()[model].table.iloc[0]
    drawn, said = widget.figure()
    (stairs,), (lines, *_) = drawn.axes[0].patches, drawn.axes[1].collections
    assert np.nan_to_num(stairs.get_data().values) == pytest.approx(chosen.histogram / chosen.histogram.sum())
    ends = np.concatenate([path.vertices[:, 1] for path in lines.get_paths()])
    assert set(ends[np.isfinite(ends)]) - {1} == set(chosen.moved_values)
    assert said.startswith("Simulated: toy, l_k, layer 0" if model == "toy" else "summary, l_k, decoder, layer 0")
    title, texts = read_picture(widget)
    assert title == said
    assert ("the 6 farthest from 1" in texts) == (model == "summary")


@pytest.fixture
def read(js):
    """Return the models as the script reads them from the traits."""
    return js(VectorExplorer)("readModels", (widget := explorer()).models, list(widget.numbers))


def test_every_number_arrives(read):
    for made, one in zip(models().values(), read, strict=True):
        for expected, vector in zip(made.table.itertuples(), one["vectors"], strict=True):
            units = np.sort(expected.moved_units)
            known = dict(zip(expected.moved_units, rounded(expected.moved_values), strict=True))
            assert vector["counts"] == [expected.below, *expected.histogram, expected.above]
            assert vector["units"] == units.tolist()
            assert vector["values"] == pytest.approx([known[unit] for unit in units])
            assert (vector["entries"], vector["rms"]) == (expected.entries, pytest.approx(expected.rms))


@pytest.mark.parametrize(
    ("model", "part", "kind", "layer"),
    [("toy", "", "ff", 1), ("toy", "cross", "v", 9), ("summary", "", "v", 1), ("summary", "cross", "ff", 0)],
)
def test_script_and_picture_choose_the_same_vector_and_say_the_same_of_it(js, read, model, part, kind, layer):
    asked = {"model": model, "part": part, "kind": kind, "layer": layer}
    choice = js(VectorExplorer)("choose", read, asked)
    said = js(VectorExplorer)("describeVector", choice["vector"], choice["set"]["simulated"])
    assert explorer(**asked).figure()[1].replace(f"{model}, ", "", 1) == said


def test_orders_and_sentences_say_what_the_numbers_are(js):
    call, vector = js(VectorExplorer), rounded(1 + 0.6 * np.random.default_rng(1).standard_normal(300))
    assert call("farthestFirst", vector.tolist()) == order(vector) != np.argsort(-vector).tolist()
    eight = {"part": "", "kind": "k", "layer": 3, "units": [*range(8)], "values": [1.0] * 7 + [-0.5], "entries": 8}
    far = call("farthestFirst", eight["values"])
    negative = "Entry 7: \u22120.500 (\u22121.500), farthest from 1. It is place 3 of head 1."
    assert call("describeUnit", eight, far, 7, 2) == negative
    assert call("describeUnit", eight | {"kind": "ff"}, far, 2, 2) == "Entry 2: 1.000 (0.000), 4th farthest from 1."


def said(page) -> str:
    return page.locator(".ia3-say").text_content().replace("\u2212", "-")


def test_controls_choose_the_vector_and_a_summary_says_that_it_is_one(widget_page):
    page = widget_page(explorer(layer=1))
    lines, note = page.locator(".ve-lines"), page.locator(".ve-note")
    page.get_by_label("l_ff", exact=True).check()
    page.get_by_role("slider", name="Layer").press("ArrowRight")
    assert [trait(page, name) for name in ("kind", "layer", "unit")] == ["ff", 2, -1]
    assert f"Entry {order(values(2, 'ff'))[0]}: " in said(page)
    assert said(page).startswith("Simulated: l_ff, layer 2: 50 entries")
    assert page.locator(".ve-title").text_content() == "l_ff, layer 2 \u00b7 toysimulated"
    assert lines.get_attribute("d").count("M") == 50
    assert "count the entries below \u22120.0125 and above 2.0125" in note.text_content()
    assert page.get_by_role("group", name="Part").is_hidden()
    set_traits(page, model="summary", layer=1)  # as a button in the prose does
    page.get_by_text("l_ff, decoder, layer 1 \u00b7 summary").wait_for()
    assert (lines.get_attribute("d").count("M"), page.locator(".ve-band").count()) == (6, 1)
    assert "the other 506 lie in the shaded band" in note.text_content() and "below" not in note.text_content()
    assert not page.locator(".ve-tag").is_visible()
    page.get_by_role("radio", name="cross-attention").check()
    assert page.get_by_label("l_ff", exact=True).is_disabled()
    assert said(page).startswith("l_k, cross-attention, layer 1: 512 entries")
    page.get_by_role("radio", name="decoder").check()
    assert said(page).startswith("l_ff, decoder, layer 1")  # what was asked for comes back


def test_keys_and_a_button_walk_over_the_known_entries_and_bars_are_as_tall_as_their_counts(widget_page):
    page = widget_page(explorer(unit=20, layer=1))
    handle = page.get_by_role("slider", name="Entry of the vector")
    for key, unit in (("ArrowRight", 21), ("ArrowDown", 20), ("PageDown", 10), ("Home", 0), ("End", 23)):
        press(handle, key)
        assert trait(page, "unit") == unit
    assert f"Entry 23: {rounded(values(1, 'k'))[23]:.3f} (" in said(page)
    assert handle.get_attribute("aria-valuenow") == "23"
    assert re.match("Entry 23: .* place 5 of head 3", handle.get_attribute("aria-valuetext"))
    set_traits(page, unit=-1)
    for unit in order(values(1, "k"))[1:4]:
        page.get_by_role("button", name="Next farthest entry").click()
        assert trait(page, "unit") == unit
    page.get_by_label("Model").select_option("summary")
    press(handle, "Home", "ArrowRight")
    assert trait(page, "unit") == sorted(models()["summary"].table.moved_units[1])[1]
    counts = np.array([count for count in models()["summary"].table.histogram[1] if count])
    for logarithmic, height in ((False, counts), (True, np.log1p(counts))):
        page.get_by_label("logarithmic counts").set_checked(logarithmic)
        tops = re.findall(r"V([\d.]+)h", page.locator(".ve-bars").get_attribute("d"))
        heights = 158 - np.array(tops, dtype=float)
        assert heights / heights.max() == pytest.approx(height / height.max(), abs=0.01)


@pytest.mark.parametrize("touch", [False, True])
def test_a_mouse_or_a_finger_points_at_the_entry_below_it(widget_page, touch):
    page = widget_page(explorer(), width=390 if touch else 900, touch=touch)
    box = page.locator(".ve-lines").locator("xpath=ancestor::*[name()='svg']").bounding_box()
    left, step, y = box["x"] + 46, (box["width"] - 72) / 24, box["y"] + 40
    if touch:
        stroke(page, left + 5.5 * step, y, 7 * step, 0)  # the finger goes down on entry 5
    else:
        page.mouse.move(left + 12.5 * step, y)
    assert trait(page, "unit") == 12
    assert f"Entry 12: {rounded(values(0, 'k'))[12]:.3f}" in said(page)
