"""The vector explorer: what is stored is what is drawn, its JavaScript equals numpy, every control does its work."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from traitlets import TraitError

from ia3_lab import published
from ia3_lab.widgets import VectorExplorer
from ia3_lab.widgets._vector_data import BINS, histogram, pack
from ia3_lab.widgets.vector_explorer import StoredVector, SummarizedVector, VectorSet

SIZES = {"k": 24, "v": 24, "ff": 50}


def arrays(seed: int = 0, layers: int = 3) -> dict[str, np.ndarray]:
    """Return vectors of different sizes, away from 1, some of them negative or beyond the bins."""
    generator = np.random.default_rng(seed)
    return {
        f"layer.{layer}.{kind}": 1 + (0.2 + 0.3 * layer) * generator.standard_normal(size)
        for layer in range(layers)
        for kind, size in SIZES.items()
    }


def summary(size: int = 512, moved: int = 6) -> SimpleNamespace:
    """Return something shaped like the published summary: two layers of a decoder with cross-attention."""
    generator, vectors = np.random.default_rng(5), []
    for part, kind in (("decoder", "k"), ("decoder", "ff"), ("cross", "k")):
        for layer in (0, 1):
            values = 1 + 0.1 * (1 + layer) * generator.standard_normal(size)
            order, counts = np.argsort(-np.abs(values - 1))[:moved], histogram(values)
            figures = {
                "mean": values.mean(),
                "rms": np.sqrt(np.mean((values - 1) ** 2)),
                "near_one": int((np.abs(values - 1) <= 0.2).sum()),
                "negatives": int((values < 0).sum()),
            }
            vector = SimpleNamespace(
                **{"part": part, "kind": kind, "layer": layer, "size": size, "num_heads": 8, **figures},
                **{"below": counts[0], "histogram": counts[1:-1], "above": counts[-1]},
                moved_units=order.tolist(),
                moved_values=values[order].tolist(),
            )
            vectors.append(vector)
    return SimpleNamespace(bins=dict(BINS), vectors=vectors)


def models() -> list[VectorSet]:
    return [
        VectorSet.from_arrays("toy", arrays(), "Made up.", num_heads=4, simulated=True),
        VectorSet.from_summary("summary", summary(), "Known as a summary."),
    ]


def rounded(values: np.ndarray, resolution: float = 0.002) -> np.ndarray:
    return 1 + np.rint((values - 1) / resolution) * resolution


# --- data in -------------------------------------------------------------------------------------------------------


def test_arrays_are_kept_to_within_half_a_step():
    for resolution in (0.002, 0.05):
        kept = VectorSet.from_arrays("toy", arrays(), resolution=resolution)
        for vector, values in zip(kept.vectors, arrays().values(), strict=True):
            assert np.abs(1 + np.array(vector.steps) * resolution - values).max() <= resolution / 2 + 1e-12
    assert {(vector.part, vector.kind, vector.layer) for vector in kept.vectors} == {
        ("", kind, layer) for kind in SIZES for layer in range(3)
    }


def test_the_real_summary_fits_the_explorer_and_its_page():
    kept = VectorSet.from_summary("T0-3B", published.load_t03b())
    assert published.BINS == BINS
    assert (len(kept.vectors), kept.num_heads) == (192, 32)
    assert len(json.dumps(kept.to_json())) < 120_000
    for stored, vector in zip(kept.vectors, published.load_t03b().vectors, strict=True):
        assert sum(stored.histogram) == vector.size
        assert stored.units == vector.moved_units
        assert 1 + np.array(stored.steps) * 0.002 == pytest.approx(vector.moved_values, abs=0.00101)


def test_equal_data_make_equal_sets_and_other_data_others():
    assert models() == models()
    assert VectorSet.from_arrays("toy", arrays(1)) != VectorSet.from_arrays("toy", arrays(2))


@pytest.mark.parametrize(
    ("keys", "options", "says"),
    [
        ({"layer.0.q": [1.0]}, {}, "'layer.0.q' names no vector; expected 'layer.0.k'"),
        ({"0.k": [1.0]}, {}, "'0.k' names no vector"),
        (
            {"layer.0.k": [[1.0]]},
            {},
            r"layer.0.k must be a vector of finite numbers of shape \(d,\), its shape is \(1, 1",
        ),
        ({"layer.0.k": [1.0, float("inf")]}, {}, "finite"),
        ({"layer.0.k": [1.0, 500.0]}, {}, "holds 500, too far from 1 for steps of 0.002; give a larger resolution"),
        ({"layer.0.k": [1e20, 1.0, 1.5]}, {}, "holds 1e.20, too far from 1"),  # no int has room for its steps
        ({"layer.0.k": [1.0, 1.5]}, {"resolution": 1e-300}, "holds 1.5, too far from 1 for steps of 1e-300"),
        ({"layer.0.k": [1.0, 1e300]}, {"resolution": 1e-300}, "holds 1e.300, too far from 1"),
        ({"layer.0.k": list(torch.ones(2, requires_grad=True))}, {}, r"got list \(.*requires grad.*detach\(\)"),
        ({"layer.0.k": [1.0]}, {"resolution": 0.0}, "resolution must be positive and finite, got 0"),
        ({"layer.0.k": [1.0]}, {"resolution": float("inf")}, "resolution must be positive and finite, got inf"),
        ({"layer.0.k": [1.0]}, {"resolution": "fine"}, "resolution must be positive and finite, got 'fine'"),
        ({"layer.0.k": [1.0, float("nan")]}, {}, "finite numbers only, got nan at entry 1"),
        ({"layer.0.k": ["one"]}, {}, "layer.0.k must be a vector of finite numbers .*got list"),
        ({"layer.0.k": [[1.0], [1.0, 2.0]]}, {}, "layer.0.k must be a vector of finite numbers .*got list"),
        ({0: [1.0]}, {}, "0 names no vector; expected 'layer.0.k'"),
        ([1.0], {}, "arrays must map keys .*got list; pass a dict"),
        (None, {}, "arrays must map keys .*got NoneType"),
        ({"layer.0.k": [1.0] * 24}, {"num_heads": 5}, "must divide the entries of k and v, got 5 for 24 entries of k"),
        ({"layer.0.k": [1.0] * 24}, {"num_heads": 0}, "num_heads of toy must be a whole number from 1 or None, got 0"),
        ({"layer.0.k": [1.0] * 24}, {"num_heads": 2.0}, "must be a whole number from 1 or None, got 2.0"),
        ({"layer.0.k": [1.0] * 24}, {"num_heads": "4"}, "must be a whole number from 1 or None, got '4'"),
        ({"layer.0.k": [1.0]}, {"note": 5}, "the note of toy must be text, got 5"),
        ({}, {}, "at least one vector"),
        ({"layer.0.k": [1.0], "layer.00.k": [1.0]}, {}, r"2 vectors at \('', 'k', 0\); expected one"),
    ],
)
def test_data_that_are_no_vectors_are_refused_in_words(keys, options, says):
    with pytest.raises(ValueError, match=says):
        VectorSet.from_arrays("toy", keys, **options)


def test_a_trained_parameter_is_a_vector():
    vector = torch.nn.Parameter(torch.tensor([1.0, 1.5, 0.25]))
    assert VectorSet.from_arrays("toy", {"layer.0.k": vector}).vectors[0].steps == (0, 250, -375)


def summarized(**changes) -> SummarizedVector:
    """Return four ones, known as a summary, with one of them named."""
    fields = {"part": "", "kind": "k", "layer": 0, "size": 4, "mean": 1.0, "rms": 0.0, "near_one": 4, "negatives": 0}
    known = {"histogram": (*[0] * 41, 4, *[0] * 41), "units": (2,), "steps": (0,)}
    return SummarizedVector(**{**fields, **known, **changes})


@pytest.mark.parametrize(
    ("vectors", "says"),
    [
        (("a",), "vectors of toy must be StoredVectors or SummarizedVectors, got 'a'"),
        (None, "vectors of toy must be .*, got None"),
        ([StoredVector("", "k", -1, (0,))], "the vector at .*: its layer must be at least 0, got -1"),
        ([StoredVector("", "k", 0, ())], "the vector at .*: it has no entries"),
        ([StoredVector("", "k", 0, (0.5,))], "expected whole numbers, got float64"),
        ([StoredVector("", "k", 0, (32768,))], "within 32767 of 0, got 32768"),
        ([summarized(histogram=(4,))], "histogram must have 83 counts that add up to its 4 entries"),
        ([summarized(histogram=(5, -1, *[0] * 81))], "histogram must have 83 counts"),
        ([summarized(size=5)], "add up to its 5 entries"),
        ([summarized(units=(4,))], "at least one unit, from 0 to 3, and a step for each"),
        ([summarized(units=(), steps=())], "at least one unit"),
        ([summarized(units=(1, 2))], "a step for each"),
        ([summarized(negatives=-1)], "negatives must be at least 0, got -1"),
        ([summarized(rms=float("nan"))], "rms must be a finite number, got nan"),
        (
            [summarized(size=40_000, histogram=(20_000, 20_000, *[0] * 81), units=(39_999,))],
            "within 32767 of 0, got 39999",
        ),
    ],
)
def test_a_set_that_could_not_be_drawn_is_refused_when_it_is_made(vectors, says):
    with pytest.raises(ValueError, match=says):
        VectorSet("toy", "", vectors)


@pytest.mark.parametrize("resolution", [0, float("nan"), True, None])
def test_a_set_needs_a_resolution(resolution):
    with pytest.raises(ValueError, match=f"resolution must be positive and finite, got {resolution}"):
        VectorSet("toy", "", (summarized(),), resolution=resolution)


def test_a_set_has_a_tuple_of_its_own():
    vectors = [summarized()]
    made = VectorSet("toy", "", vectors)
    vectors.clear()
    assert made.vectors == (summarized(),)
    assert "4 entries" in VectorExplorer(models=[made]).picture()


def test_large_values_are_counted_at_the_ends():
    counts = histogram(np.array([1e30, -1e30, 1.0]))
    assert (counts[0], counts[41], counts[-1]) == (1, 1, 1)


def test_a_summary_with_other_bins_is_refused():
    with pytest.raises(ValueError, match=r"must have the bins .*81.*, it has .*80"):
        VectorSet.from_summary("other", SimpleNamespace(bins={**BINS, "count": 80}, vectors=[]))


@pytest.mark.parametrize(
    ("traits", "says"),
    [
        ({}, "models must be a list of at least one VectorSet, got none"),
        ({"models": []}, "models must be a list of at least one VectorSet, got none"),
        ({"models": None}, "at least one VectorSet, got NoneType"),
        ({"models": models()[0]}, r"at least one VectorSet, got VectorSet; put a single one in \[ \]"),
        ({"models": [models()[0], "toy"]}, "at least one VectorSet, got VectorSet, str"),
        ({"models": {"toy": models()[0]}}, "at least one VectorSet, got dict"),
        ({"models": "toy"}, "(?i)models"),
        ({"models": [models()[0], models()[0]]}, "of different names"),
        ({"models": [3]}, "(?i)models"),
        ({"models": models(), "model": "Tyo"}, "unknown model 'Tyo'; did you mean 'toy'. The models are 'toy', 'summ"),
        ({"models": models(), "kind": "q"}, "'kind' trait"),
        ({"models": models(), "part": "middle"}, "'part' trait"),
        ({"models": models(), "layer": -1}, "'layer' trait"),
        ({"models": models(), "unit": -2}, "'unit' trait"),
        ({"layers": 1}, "VectorExplorer expected one of its own arguments, got the unknown argument 'layers'; did you"),
    ],
)
def test_bad_values_are_refused_with_what_was_expected(traits, says):
    with pytest.raises(TraitError, match=says):
        VectorExplorer(**traits)


@pytest.mark.parametrize("summary", [None, {"bins": BINS, "vectors": []}])
def test_what_is_no_summary_is_refused(summary):
    with pytest.raises(ValueError, match=r"summary must have bins and vectors, got .*use from_arrays"):
        VectorSet.from_summary("other", summary)


def test_models_cannot_be_exchanged_under_an_explorer():
    widget = VectorExplorer(models=models(), model="summary")
    with pytest.raises(TraitError, match="read-only"):
        widget.models = models()[:1]  # its view would have named a model that is gone
    assert [model.name for model in widget.models] == ["toy", "summary"]
    assert widget.view().chosen.name == "summary"


@pytest.mark.parametrize(
    ("name", "wrong"), [("model", "tyo"), ("layer", -1), ("kind", "q"), ("part", None), ("unit", -2)]
)
def test_a_refused_choice_leaves_the_widget_as_it_was(name, wrong):
    widget = VectorExplorer(models=models(), kind="ff", layer=1, unit=3)
    before = repr(widget), widget.picture()
    with pytest.raises(TraitError):
        setattr(widget, name, wrong)
    assert (repr(widget), widget.picture()) == before


def test_the_repr_has_no_data():
    assert repr(VectorExplorer(models=models())) == (
        "VectorExplorer(kind='k', layer=0, log_counts=False, model='toy', part='', unit=-1)"
    )


# --- the picture ---------------------------------------------------------------------------------------------------


def test_the_view_has_the_figures_of_the_rounded_entries():
    view = VectorExplorer(models=models(), kind="ff", layer=2).view()
    values = rounded(arrays()["layer.2.ff"])
    assert view.rms == pytest.approx(np.sqrt(np.mean((values - 1) ** 2)))
    assert (view.negatives, view.near_one) == ((values < 0).sum(), (np.abs(values - 1) <= 0.2).sum())
    assert view.negatives > 0 and view.histogram[0] > 0 and sum(view.histogram) == 50


@pytest.mark.parametrize("model", ["toy", "summary"])
def test_the_picture_is_an_svg_that_says_what_it_shows(model):
    widget = VectorExplorer(models=models(), model=model)
    root, svg = ET.fromstring(widget.picture()), "{http://www.w3.org/2000/svg}"
    texts = " ".join(node.text for node in root.iter(f"{svg}text"))
    title = root.find(f"{svg}title").text
    assert f"{widget.view().rms:.3f}" in title and model in title
    assert ("(simulated)" in texts) == (model == "toy")
    assert ("only the 6 entries farthest from 1 are known" in texts) == (model == "summary")
    bars = root.find(f"{svg}path").get("d").count("M")
    assert bars == sum(count > 0 for count in widget.view().histogram)


# --- JavaScript against numpy --------------------------------------------------------------------------------------


@pytest.mark.browser
def test_whole_numbers_survive_the_way_to_the_browser(js):
    numbers = [0, 1, -1, 255, 256, -256, 32767, -32767, 1234]
    assert js(VectorExplorer)("unpack", pack(numbers)) == numbers
    with pytest.raises(ValueError, match="within 32767 of 0, got 32768"):
        pack([1, 32768])


@pytest.mark.browser
@pytest.mark.parametrize("seed", range(3))
def test_figures_histogram_and_order_equal_numpy(js, seed):
    call, values = js(VectorExplorer), rounded(1 + 0.6 * np.random.default_rng(seed).standard_normal(300))
    found = call("figures", values.tolist())
    assert found["mean"] == pytest.approx(values.mean())
    assert found["rms"] == pytest.approx(np.sqrt(np.mean((values - 1) ** 2)))
    assert (found["near_one"], found["negatives"]) == ((np.abs(values - 1) < 0.2 + 1e-9).sum(), (values < 0).sum())
    edges = np.linspace(BINS["low"], BINS["high"], BINS["count"] + 1)
    counts = call("histogram", values.tolist())
    assert counts == list(histogram(values))
    assert counts[1:-1] == np.histogram(values, edges)[0].tolist()
    assert (counts[0], counts[-1]) == ((values < edges[0]).sum(), (values >= edges[-1]).sum())
    assert call("farthestFirst", values.tolist()) == np.argsort(-np.abs(values - 1), kind="stable").tolist()


@pytest.mark.browser
def test_a_stored_vector_arrives_entry_by_entry(js):
    (vector, *_), values = models()[0].to_json()["vectors"], rounded(arrays()["layer.0.k"])
    read = js(VectorExplorer)("readVector", vector, 0.002)
    assert read["values"] == pytest.approx(values)
    assert (read["units"], read["band"], read["size"]) == (list(range(24)), None, 24)


@pytest.mark.browser
def test_a_summarized_vector_arrives_as_its_extremes_and_a_band_for_the_rest(js):
    made, stored = summary().vectors[1], models()[1].to_json()["vectors"][1]
    read = js(VectorExplorer)("readVector", stored, 0.002)
    by_unit = sorted(zip(made.moved_units, made.moved_values, strict=True))
    assert read["units"] == [unit for unit, _ in by_unit]
    assert read["values"] == pytest.approx([value for _, value in by_unit], abs=0.00101)
    assert read["counts"] == [made.below, *made.histogram, made.above]
    assert read["rms"] == pytest.approx(made.rms, abs=1e-4)
    assert read["band"] == pytest.approx(abs(made.moved_values[-1] - 1), abs=0.00101)
    assert read["units"][read["order"][0]] == made.moved_units[0]


@pytest.mark.browser
@pytest.mark.parametrize(
    "asked",
    [
        {"model": "toy", "part": "", "kind": "ff", "layer": 1},
        {"model": "toy", "part": "cross", "kind": "v", "layer": 9},
        {"model": "summary", "part": "", "kind": "v", "layer": 1},
        {"model": "summary", "part": "cross", "kind": "ff", "layer": 0},
        {"model": "summary", "part": "decoder", "kind": "ff", "layer": 5},
    ],
)
def test_script_and_picture_choose_the_same_vector(js, asked):
    widget = VectorExplorer(models=models(), **asked)
    choice = js(VectorExplorer)("choose", [model.to_json() for model in models()], asked)
    vector, view = choice["vector"], widget.view()
    assert (vector["part"], vector["kind"], vector["layer"]) == (view.vector.part, view.vector.kind, view.vector.layer)
    read = js(VectorExplorer)("readVector", vector, view.chosen.resolution)
    assert read["rms"] == pytest.approx(view.rms)
    assert read["counts"] == list(view.histogram)
    if not isinstance(view.vector, SummarizedVector):
        assert read["values"] == pytest.approx(view.values)


@pytest.mark.browser
def test_the_axis_ends_at_a_round_number(js):
    wanted = {1: 1, 1.01: 2, 0.13: 0.2, 0.5: 0.5, 0.51: 1, 640: 1000, 37: 50, 1.788: 2, 0.0021: 0.005}
    assert {value: js(VectorExplorer)("niceCeiling", value) for value in wanted} == wanted


@pytest.mark.browser
def test_sentences_say_what_the_numbers_are(js):
    call, values = js(VectorExplorer), [1.0] * 7 + [-0.5]
    place = {"part": "cross", "kind": "k", "layer": 3}
    read = {"size": 8, "units": list(range(8)), "values": values, "order": call("farthestFirst", values)}
    said = call("describeVector", place, {**read, **call("figures", values)}, {"simulated": True})
    assert said == (
        "Simulated: l_k, cross-attention, layer 3: 8 entries. Rms deviation from 1: 0.530; 87.5% within 0.8 to 1.2; "
        "1 negative."
    )
    assert call("describeUnit", read, 7, 2, "k") == (
        "Entry 7: \u22120.500 (\u22121.500), farthest from 1. It is place 3 of head 1."
    )
    assert call("describeUnit", read, 2, 2, "ff") == "Entry 2: 1.000 (0.000), 4th farthest from 1."
    ones = {**read, **call("figures", [1.0] * 8)}
    assert call("describeVector", {**place, "part": ""}, ones, {"simulated": False}) == (
        "l_k, layer 3: 8 entries, all of them 1: nothing is rescaled."
    )


# --- in the browser ------------------------------------------------------------------------------------------------


def trait(page, name: str):
    return page.evaluate(f"ia3Widgets.VectorExplorer[0].get('{name}')")


def said(page) -> str:
    return page.locator(".ia3-say").text_content()


def farthest(values: np.ndarray) -> int:
    return int(np.abs(rounded(values) - 1).argmax())


@pytest.mark.browser
def test_controls_choose_the_vector_and_the_marker_jumps_to_its_farthest_entry(widget_page):
    page = widget_page(VectorExplorer(models=models()))
    page.get_by_label("l_ff", exact=True).check()
    page.get_by_role("slider", name="Layer").press("ArrowRight")
    assert (trait(page, "kind"), trait(page, "layer"), trait(page, "unit")) == ("ff", 1, -1)
    values = arrays()["layer.1.ff"]
    assert f"Entry {farthest(values)}: " in said(page)
    assert said(page).startswith("Simulated: l_ff, layer 1: 50 entries")
    assert page.locator(".ve-title").text_content() == "l_ff, layer 1 \u00b7 toysimulated"
    assert page.locator(".ve-lines").get_attribute("d").count("M") == 50
    assert page.get_by_role("group", name="Part").is_hidden()


@pytest.mark.browser
def test_a_summary_shows_its_extremes_and_says_so(widget_page):
    page = widget_page(VectorExplorer(models=models(), kind="ff"))
    page.get_by_label("Model").select_option("summary")
    assert page.locator(".ve-lines").get_attribute("d").count("M") == 6
    assert page.locator(".ve-band").count() == 1
    assert "the other 506 lie in the shaded band" in page.locator(".ve-note").text_content()
    assert not page.locator(".ve-tag").is_visible()
    page.get_by_role("radio", name="cross-attention").check()
    assert page.get_by_label("l_ff", exact=True).is_disabled()
    assert said(page).startswith("l_k, cross-attention, layer 0: 512 entries")
    assert page.locator(".ve-head").count() == 4
    page.get_by_role("radio", name="decoder").check()
    assert said(page).startswith("l_ff, decoder, layer 0")  # what was asked for comes back


@pytest.mark.browser
def test_keys_walk_over_the_entries_and_the_screen_reader_is_told(widget_page):
    page = widget_page(VectorExplorer(models=models(), unit=20, layer=1))
    handle = page.get_by_role("slider", name="Entry of the vector")
    handle.focus()
    for key, unit in (("ArrowRight", 21), ("ArrowDown", 20), ("Shift+ArrowLeft", 10), ("Home", 0), ("End", 23)):
        page.keyboard.press(key)
        assert trait(page, "unit") == unit
        assert f"Entry {unit}: " in said(page)
    value = rounded(arrays()["layer.1.k"])[23]
    assert handle.get_attribute("aria-valuenow") == "23"
    told = handle.get_attribute("aria-valuetext").replace("\u2212", "-")
    assert told.startswith(f"Entry 23: {value:.3f} (") and "place 5 of head 3" in told
    page.wait_for_function("document.querySelector('[role=status]').textContent.includes('Entry 23: ')")


@pytest.mark.browser
def test_keys_walk_from_one_known_entry_of_a_summary_to_the_next(widget_page):
    page = widget_page(VectorExplorer(models=models(), model="summary", part="decoder"))
    units = sorted(summary().vectors[0].moved_units)
    page.get_by_role("slider", name="Entry of the vector").focus()
    page.keyboard.press("Home")
    seen = [trait(page, "unit")]
    for _ in range(6):
        page.keyboard.press("ArrowRight")
        seen.append(trait(page, "unit"))
    assert seen == [*units, units[-1]]


def place_of_unit(page, unit: int, size: int) -> tuple[float, float]:
    box = page.locator(".ve-lines").locator("xpath=ancestor::*[name()='svg']").bounding_box()
    return box["x"] + 46 + (box["width"] - 72) * (unit + 0.5) / size, box["y"] + 40


@pytest.mark.browser
def test_the_mouse_points_at_the_entry_below_it(widget_page):
    page = widget_page(VectorExplorer(models=models()))
    for unit in (3, 17, 23):
        page.mouse.move(*place_of_unit(page, unit, 24))
        assert trait(page, "unit") == unit
    value = rounded(arrays()["layer.0.k"])[23]
    assert f"Entry 23: {value:.3f}".replace("-", "\u2212") in said(page)


@pytest.mark.browser
def test_a_finger_points_at_entries_on_a_phone(widget_page):
    page = widget_page(VectorExplorer(models=models()), width=390, touch=True)
    client = page.context.new_cdp_session(page)
    for kind, unit in (("touchStart", 5), ("touchMove", 12)):
        x, y = place_of_unit(page, unit, 24)
        client.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x, "y": y}]})
    client.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    assert trait(page, "unit") == 12
    handle = page.get_by_role("slider", name="Entry of the vector").locator(".ia3-target").bounding_box()
    assert min(handle["width"], handle["height"]) >= 37
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.browser
def test_buttons_lead_through_the_farthest_entries_and_back(widget_page):
    page = widget_page(VectorExplorer(models=models(), kind="v", layer=2))
    order = np.argsort(-np.abs(rounded(arrays()["layer.2.v"]) - 1), kind="stable")
    for unit in order[1:4]:
        page.get_by_role("button", name="Next farthest entry").click()
        assert trait(page, "unit") == unit
    page.get_by_label("logarithmic counts").check()
    page.get_by_label("Model").select_option("summary")
    page.get_by_role("button", name="Reset").click()
    state = [trait(page, name) for name in ("model", "kind", "layer", "unit", "log_counts")]
    assert state == ["toy", "v", 2, -1, False]


@pytest.mark.browser
def test_bars_are_as_tall_as_their_counts_and_the_logarithm_shows_single_entries(widget_page):
    page = widget_page(VectorExplorer(models=models(), model="summary", part="decoder", kind="k"))

    def heights() -> np.ndarray:
        path = page.locator(".ve-bars").get_attribute("d")
        return np.array([158 - float(bar.split("V")[1].split("h")[0]) for bar in path.split("M")[1:]])

    counts = np.array([count for count in models()[1].vectors[0].histogram if count])
    linear = heights()
    assert linear / linear.max() == pytest.approx(counts / counts.max(), abs=0.01)
    page.get_by_label("logarithmic counts").check()
    logarithmic = heights()
    assert logarithmic / logarithmic.max() == pytest.approx(np.log1p(counts) / np.log1p(counts.max()), abs=0.01)
    assert logarithmic.min() > 3 * linear.min()


@pytest.mark.browser
def test_buttons_in_prose_can_choose_a_vector(widget_page):
    page = widget_page(VectorExplorer(models=models()))
    page.evaluate(
        "ia3Widgets.VectorExplorer[0].set({ model: 'summary', part: 'cross', kind: 'k', layer: 1, unit: -1 })"
    )
    page.wait_for_function(
        "document.querySelector('.ve-title').textContent.startsWith('l_k, cross-attention, layer 1')"
    )
    assert page.get_by_role("radio", name="cross-attention").is_checked()
    assert page.get_by_role("slider", name="Layer").input_value() == "1"


@pytest.mark.browser
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 900])
def test_nothing_is_wider_than_the_page(widget_page, theme, width):
    page = widget_page(VectorExplorer(models=models(), model="summary", part="decoder"), theme=theme, width=width)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    for chart in page.locator(".ia3-vectors svg").all():
        shown = chart.bounding_box()
        for label in chart.locator("text").all():
            box = label.bounding_box()
            assert box["x"] >= shown["x"] - 1 and box["x"] + box["width"] <= shown["x"] + shown["width"] + 1


@pytest.mark.browser
def test_the_note_says_what_the_end_bars_count_where_there_is_something_beyond(widget_page):
    page, note = (
        widget_page(VectorExplorer(models=models(), kind="ff", layer=2)),
        "document.querySelector('.ve-note').textContent",
    )
    assert VectorExplorer(models=models(), kind="ff", layer=2).view().histogram[0] > 0
    assert "count the entries below \u22120.0125 and above 2.0125" in page.evaluate(note)
    inside = VectorExplorer(models=models(), model="summary", part="decoder", kind="k")
    assert inside.view().histogram[0] == inside.view().histogram[-1] == 0
    page.evaluate(
        "ia3Widgets.VectorExplorer[0].set({ model: 'summary', part: 'decoder', kind: 'k', layer: 0, unit: -1 })"
    )
    page.wait_for_function(f"!{note}.includes('count the entries below')")


@pytest.mark.browser
def test_the_number_beside_the_slider_is_not_announced_at_every_step(widget_page):
    page = widget_page(VectorExplorer(models=models()))
    assert page.locator(".ia3-slider output").get_attribute("aria-live") == "off"  # else an output is a live region
    assert page.get_by_role("slider", name="Layer").get_attribute("aria-valuetext") == "0"


@pytest.mark.browser
def test_the_chosen_vector_is_marked_where_the_system_sets_the_colors(widget_page):
    page = widget_page(VectorExplorer(models=models()))
    page.emulate_media(forced_colors="active")
    color = "(node) => getComputedStyle(node).backgroundColor"
    found = page.locator(".ia3-segmented:not([hidden]) input:not(:disabled) + span").evaluate_all(
        f"(all) => all.map({color})"
    )
    assert len(found) == 3
    assert found[0] not in found[1:]  # l_k is chosen
