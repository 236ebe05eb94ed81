"""The vector explorer: what is stored is what is drawn, its JavaScript equals numpy, every control does its work."""

import re

import numpy as np
import pandas as pd
import pytest
from traitlets import TraitError
from widget_helpers import open_tables, press, read_picture, set_traits, smallest_side, stroke, trait

from ia3_lab.study.t03b import EDGES
from ia3_lab.widgets import VectorExplorer
from ia3_lab.widgets.vector_explorer import VectorSet, summarize

pytestmark = pytest.mark.browser
SIZES = {"k": 24, "v": 24, "ff": 50}
SHARES = (0.005, 0.05, 0.25, 0.75, 0.95, 0.995)


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
    half = [row(0.5 + values(layer, kind) / 2, "", kind, layer) for layer in range(3) for kind in SIZES]
    toy = VectorSet(pd.DataFrame(whole), "Made up.", num_heads=4, simulated=True)
    summary = VectorSet(pd.DataFrame(parts), "Known as a summary.", num_heads=8)
    return {"toy": toy, "summary": summary, "twin": VectorSet(pd.DataFrame(half))}


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
    assert found["outside_half"] == ((vector < 0.5) | (vector > 1.5)).sum()
    assert summarize(vector[:-2])["rms"] == pytest.approx(np.linalg.norm(vector[:-2] - 1) / np.sqrt(50))


@pytest.mark.parametrize(("far", "says"), [(500.0, "within 65.536 of 1; give a larger"), (np.nan, "must be within")])
def test_entries_that_16_bits_would_change_in_silence_and_models_that_are_not_there_are_refused(far, says):
    vector = row(np.ones(2), "", "k", 0) | {"moved_values": [1.0, far]}
    with pytest.raises(TraitError, match=says):
        VectorExplorer({"toy": VectorSet(pd.DataFrame([vector]))})
    with pytest.raises(TraitError, match=r"expected a model out of toy, .* got 'twn'"):
        explorer(other="twn")


@pytest.mark.parametrize(("model", "other"), [("toy", ""), ("toy", "toy"), ("summary", "toy")])
def test_the_picture_draws_the_counts_of_both_models_and_the_entries_that_are_known(model, other):
    widget, tables = explorer(model=model, other=other, kind="k"), {name: one.table for name, one in models().items()}
    drawn, said = widget.figure()
    shown = [tables[name].iloc[0] for name in dict.fromkeys([model, other]) if name]
    stairs, (line, *_) = drawn.axes[0].patches, drawn.axes[1].lines
    for chosen, outline in zip(shown, stairs, strict=True):
        expected = chosen.histogram / chosen.histogram.sum()
        assert np.nan_to_num(outline.get_data().values) == pytest.approx(expected)
    ends = line.get_ydata()
    assert set(ends[np.isfinite(ends)]) - {1} == set(shown[0].moved_values)
    assert said.startswith("Simulated: toy, l_k, layer 0" if model == "toy" else "summary, l_k, decoder, layer 0")
    title, texts = read_picture(widget)
    assert title == said
    assert ("the 6 farthest from 1" in texts) == ("toy (simulated)" in texts) == (model == "summary")


@pytest.fixture
def read(js):
    """Return the models as the script reads them from the traits."""
    return js(VectorExplorer)("readModels", (widget := explorer()).models, list(widget.numbers))


def test_every_number_arrives_and_the_strips_are_broad_where_the_entries_lie(read):
    for made, one in zip(models().values(), read, strict=True):
        for expected, vector in zip(made.table.itertuples(), one["vectors"], strict=True):
            units = np.sort(expected.moved_units)
            known = dict(zip(expected.moved_units, rounded(expected.moved_values), strict=True))
            assert vector["counts"] == [expected.below, *expected.histogram, expected.above]
            assert vector["units"] == units.tolist()
            assert vector["values"] == pytest.approx([known[unit] for unit in units])
            assert (vector["entries"], vector["rms"]) == (expected.entries, pytest.approx(expected.rms, abs=1e-6))
            if vector["known"] == vector["entries"]:
                parts = np.quantile(expected.moved_values, SHARES, method="inverted_cdf")
                assert vector["spread"] == pytest.approx(parts.clip(EDGES[0], EDGES[-1]), abs=0.025)


@pytest.mark.parametrize(
    ("model", "part", "kind", "layer"),
    [("toy", "", "ff", 1), ("toy", "cross", "v", 9), ("summary", "", "v", 1), ("summary", "cross", "ff", 0)],
)
def test_script_and_picture_choose_the_same_vector_and_say_the_same_of_it(js, read, model, part, kind, layer):
    asked = {"model": model, "part": part, "kind": kind, "layer": layer}
    choice = js(VectorExplorer)("choose", read, asked)
    said = js(VectorExplorer)("describeVector", choice["vector"], choice["set"]["simulated"])
    assert explorer(**asked).figure()[1].replace(f"{model}, ", "", 1) == said


def test_another_model_is_compared_with_where_it_has_such_a_vector(js, read):
    call, (toy, summary, _) = js(VectorExplorer), read
    crossed, keys, values = summary["vectors"][5], toy["vectors"][3], toy["vectors"][1]
    assert call("partnerOf", toy, crossed) == keys and crossed["part"] == "cross"
    assert call("describeOther", crossed, toy, keys).startswith("Beside it “toy” (simulated), l_k, layer 1: rms")
    assert "”: rms 0.192 (0.000, as far); " in call("describeOther", crossed, summary, crossed)
    assert call("partnerOf", summary, values) is None
    assert call("describeOther", values, summary, None) == "Beside it “summary”: no l_v."
    assert call("describeRank", keys, [keys, values, toy["vectors"][6]]) == "It moved 2nd farthest of 3 layers."
    assert call("farthestFirst", [1, 0.5, 1.5, 1, 3]) == [4, 1, 2, 0, 3]
    every = np.concatenate(list(models()["toy"].table.moved_values))
    assert call("pool", toy["vectors"])["rms"] == pytest.approx(np.sqrt(np.mean((every - 1) ** 2)))


def said(page) -> str:
    return page.locator(".ia3-say").text_content().replace("\u2212", "-")


def test_keys_and_clicks_choose_a_strip_at_one_tab_stop_and_a_summary_says_that_it_is_one(widget_page):
    page = widget_page(explorer(layer=1))
    lines, note, chosen = page.locator(".ve-lines"), page.locator(".ve-note").last, page.locator("[aria-selected=true]")
    keys = "ArrowRight ArrowRight ArrowDown PageDown Home ArrowUp End PageUp ArrowLeft"
    places = [("k", 2), ("k", 2), ("v", 2), ("ff", 2), ("ff", 0), ("v", 0), ("v", 2), ("k", 2), ("k", 1)]
    for key, place in zip(keys.split(), places, strict=True):
        press(chosen, key)
        assert (trait(page, "kind"), trait(page, "layer")) == place
        assert chosen.evaluate("node => node === document.activeElement")
    assert page.locator(".ve-cell[tabindex='0']").count() == 1
    page.get_by_role("gridcell", name="l_ff, layer 2").click()
    assert [trait(page, name) for name in ("kind", "layer", "unit")] == ["ff", 2, -1]
    assert f"Entry {order(values(2, 'ff'))[0]}: " in said(page)
    assert said(page).startswith("Simulated: l_ff, layer 2: 50 entries")
    assert page.locator(".ve-title").text_content() == "l_ff, layer 2 \u00b7 toysimulated"
    assert "count the entries below \u22120.0125 and above 2.0125" in note.text_content()
    set_traits(page, model="summary", layer=1)  # as a button in the prose does
    page.get_by_text("l_ff, decoder, layer 1 \u00b7 summary").wait_for()
    assert (lines.get_attribute("d").count("M"), page.locator(".ve-band").count()) == (6, 1)
    assert "the other 506 lie in the shaded band" in note.text_content() and "below" not in note.text_content()
    assert not page.locator(".ve-tag").is_visible()


def test_a_second_model_has_the_right_halves_of_the_strips_an_outline_and_its_numbers(widget_page):
    page = widget_page(explorer(layer=2))
    strips, others = page.locator("g .ve-strips"), page.locator("g > .ve-other")
    halves = "all => all.map((path) => path.getAttribute('d').split('M').length - 1)"
    shares = [round(100 * (np.abs(values(layer, "k") - 1) > 0.5).mean()) for layer in (1, 2)]
    assert {f"{share}%" for share in shares} <= set(page.locator(".ve-grid text").all_text_contents())
    assert strips.evaluate_all(halves) == [6, 6, 6] and page.locator(".ve-bars + .ve-other").count() == 0
    page.get_by_label("beside it").select_option("twin")
    assert strips.evaluate_all(halves) == others.evaluate_all(halves)[:3] == [3, 3, 3]
    twin = models()["twin"].table.iloc[6].rms
    assert f"Beside it \u201ctwin\u201d: rms {twin:.3f} (-{twin:.3f}, 0.50 times as far)" in said(page)
    tables = open_tables(page)
    assert [caption for caption, _ in tables[:2]] == ["l_k: toy (simulated)", "l_k: twin"]
    last = tables[1][1][-1]
    assert (len(tables), last[:2], last[4]) == (6, ["2", f"{twin:.3f}"], "0")
    page.get_by_label("Model").select_option("twin")  # not beside itself
    assert others.count() == 3 and page.get_by_label("beside it").input_value() == ""


def test_on_a_phone_strips_of_one_kind_stand_in_lines_and_a_finger_hits_each(widget_page):
    every = [row(values(layer, kind), "", kind, layer) for layer in range(24) for kind in SIZES]
    page = widget_page(VectorExplorer({"deep": VectorSet(pd.DataFrame(every))}), width=390)
    height, cells = page.locator(".ia3").bounding_box()["height"], page.get_by_role("gridcell")
    page.get_by_label("l_ff", exact=True).check()
    assert page.get_by_role("gridcell", name="l_ff").count() == cells.count() == 24 and smallest_side(cells) >= 24
    assert page.get_by_role("row").count() == 2 and page.locator(".ia3").bounding_box()["height"] == height


def test_keys_and_a_button_walk_over_the_known_entries_and_bars_are_as_long_as_their_counts(widget_page):
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
    assert "4th farthest from 1" in said(page)
    page.get_by_label("Model").select_option("summary")
    press(handle, "Home", "ArrowRight")
    assert trait(page, "unit") == sorted(models()["summary"].table.moved_units[1])[1]
    counts = np.array([count for count in models()["summary"].table.histogram[1] if count])
    for logarithmic, length in ((False, counts), (True, np.log1p(counts))):
        page.get_by_label("logarithmic counts").set_checked(logarithmic)
        ends = re.findall(r"H([\d.]+)V", page.locator(".ve-bars").get_attribute("d"))
        lengths = np.array(ends, dtype=float) - 34
        assert lengths / lengths.max() == pytest.approx(length / length.max(), abs=0.01)


def test_a_mouse_or_a_finger_points_at_the_entry_below_it_and_scrolling_changes_nothing(widget_page):
    page = widget_page(explorer(), width=390, touch=True)
    box = page.locator(".ve-lines").locator("xpath=ancestor::*[name()='svg']").bounding_box()
    split = 34 + round(0.3 * (box["width"] - 34)) + 22
    left, step, y = box["x"] + split, (box["width"] - 12 - split) / 24, box["y"] + 40
    page.mouse.move(left + 9.5 * step, y)
    assert trait(page, "unit") == 9
    page.touchscreen.tap(left + 3.5 * step, y)
    stroke(page, left + 5.5 * step, y, 0, -60)
    assert trait(page, "unit") == 3
    stroke(page, left + 5.5 * step, y, 7 * step, 0)
    assert trait(page, "unit") == 12
