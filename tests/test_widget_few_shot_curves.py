"""The few-shot curves compute in the browser what Python computes, and can be read with mouse, keys and as a table."""

import gzip
import itertools
import json
import math
import random
import statistics
from typing import Any

import numpy as np
import pandas as pd
import pytest
from ipywidgets.embed import dependency_state
from scipy import stats
from traitlets import TraitError
from widget_helpers import fits, middle, read_picture, set_traits, trait

from ia3_lab.study.methods import METHODS as STUDIED
from ia3_lab.study.results import by_draw, interval, read_runs
from ia3_lab.study.tasks import TASKS, get_task
from ia3_lab.style import METHOD_STYLES, PALETTE
from ia3_lab.widgets import FewShotCurves

RUNS = read_runs().sample(frac=1, random_state=0)  # the book's own, in a shuffled order
METHODS = {name: (method.label, RUNS[RUNS.method == name].parameters.max()) for name, method in STUDIED.items()}
NAMES, LABELS = [*METHODS], [label for label, _ in METHODS.values()]
CHANCE = {name: 1 / len(get_task(name).labels) for name in TASKS}
VIEWS = ("curve", "parameters", "paired")
CHOICES = ("task", "k", "view", "reference", "shown_methods")


def few_shot_curves(**traits: Any) -> FewShotCurves:
    return FewShotCurves(RUNS, METHODS, CHANCE, **traits)


def small(values: dict[str, list[float]], ks: tuple[int, ...] = (32,), **traits: Any) -> FewShotCurves:
    draws = [(name, draw, value) for name in values for draw, value in enumerate(values[name])]
    table = [("<made> up", k, *one, "final") for k in ks for one in draws]
    runs = pd.DataFrame(table, columns=["task", "k", "method", "draw", "accuracy", "stage"])
    return FewShotCurves(runs, {name: METHODS[name] for name in values}, {"<made> up": 1 / 2}, **traits)


def state(widget: FewShotCurves) -> dict[str, Any]:
    return {name: getattr(widget, name) for name in (*CHOICES, "methods", "chance", "accuracies", "quantiles")}


@pytest.mark.parametrize(("n", "printed"), [(2, 12.706), (3, 4.303), (8, 2.365), (25, 2.064)])
def test_an_interval_is_mean_plus_minus_t_times_the_standard_error(js, n: int, printed: float) -> None:
    values = np.random.default_rng(n).random(n).round(6).tolist()
    quantiles, error = small({"ia3": values}).quantiles, statistics.stdev(values) / math.sqrt(n)
    assert quantiles == {str(n): pytest.approx(printed, abs=5.1e-4)}
    mean, half = statistics.fmean(values), stats.t.ppf(0.975, n - 1) * error
    found = js(FewShotCurves)("interval", values, quantiles)
    assert found == pytest.approx({"mean": mean, "low": mean - half, "high": mean + half})
    assert half > 1.05 * statistics.NormalDist().inv_cdf(0.975) * error  # the control: the normal quantile is smaller


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("task", CHANCE)
def test_the_script_shows_the_rows_that_python_computes(js, view: str, task: str) -> None:
    rng = random.Random(task + view)
    for _ in range(3):
        chosen = {"shown_methods": [name for name in NAMES if rng.random() < 0.7], "reference": rng.choice(NAMES)}
        widget = few_shot_curves(task=task, view=view, k=rng.choice([8, 16, 32, 64, 128]), **chosen)
        found, expected = pd.DataFrame(js(FewShotCurves)("rowsOf", state(widget))), widget.rows()
        pd.testing.assert_frame_equal(found[[*expected]], expected, check_dtype=False)


def test_pairing_draw_by_draw_whatever_the_order_of_the_runs_is_narrower_than_ignoring_the_pairs(js) -> None:
    cell = by_draw(RUNS, "agent", 64)
    for row in few_shot_curves(view="paired", k=64, task="agent").rows().itertuples():
        assert row[3:] == pytest.approx(interval(cell.ia3 - cell[row.method]), abs=1e-6)
    luck, noisy, call = [0.5, 0.6, 0.7, 0.8], [0.5, 0.601, 0.702, 0.803], js(FewShotCurves)
    better = [x + 0.05 for x in luck]
    (near,) = call("rowsOf", state(small({"ia3": better, "full": noisy}, view="paired")))
    (far,) = call("rowsOf", state(small({"ia3": better, "full": luck[::-1]}, view="paired")))
    assert (call("side", near), call("side", far)) == (1, 0)
    assert far["high"] - far["low"] > 10 * (near["high"] - near["low"])


def test_the_sentence_sorts_the_methods_by_the_side_on_which_their_interval_lies(js) -> None:
    low, high = [0.5, 0.52, 0.51], [0.9, 0.93, 0.9]
    values = {"head": low, "ia3": [0.8, 0.82, 0.8], "lora-r1-qv": high, "bitfit": [0.79, 0.83, 0.8]}
    for choice, end in [
        ({}, "the 95% interval excludes 0 and puts IA³ above head only, but below LoRA r = 1, q and v. "
             "The interval holds 0 for BitFit."),
        ({"reference": "head"}, "puts head only below IA³; LoRA r = 1, q and v; and BitFit."),
        ({"shown_methods": ["bitfit"]}, "no 95% interval excludes 0, so no difference from IA³ is established."),
        ({"shown_methods": ["ia3"]}, "Choose a method to compare with IA³."),
        ({"shown_methods": []}, "Choose at least one method."),
        ({"view": "curve"}, "Whether two methods differ, their paired difference says."),
    ]:  # fmt: skip
        assert js(FewShotCurves)("describe", state(small(values, **{"view": "paired"} | choice))).endswith(end)


def test_a_button_s_state_is_settled_rather_than_trusted_and_k_falls_back_to_the_nearest(js) -> None:
    call, wrong = js(FewShotCurves), {"task": "?", "reference": "?", "k": 7, "shown_methods": ["full", "?", "head"]}
    now = call("settle", state(few_shot_curves()) | wrong)
    found = now["task"]["name"], now["reference"]["name"], now["k"], [method["name"] for method in now["shown"]]
    assert found == ("sentiment", "head", 8, ["head", "full"])
    assert [call("nearestK", [8, 32, 128], k) for k in (1, 16, 17, 63, 128, 999)] == [8, 8, 32, 32, 128, 128]
    assert {*few_shot_curves(k=23, view="parameters").rows().k} == {32}


def test_axes_hold_every_interval_and_parameters_are_logarithmic_with_0_before_a_gap(js) -> None:
    call, rows = js(FewShotCurves), [{"low": 0.43, "high": 1.07, "values": [0.4, 1.0]}]
    assert (call("valueRange", rows, "curve"), call("valueRange", rows, "curve", [0.3])) == ([0.4, 1], [0.3, 1])
    assert call("valueRange", [{"low": 0.02, "high": 0.2, "values": [0.5]}], "paired") == pytest.approx([-0.05, 0.53])
    assert call("ticks", -0.06, 0.11, 5) == pytest.approx([-0.05, 0, 0.05, 0.1])
    axis = call("parameterAxis", [0, 9_216, 10_000, 100_000, 22_565_376])
    marks, places = dict(map(tuple, axis["marks"])), axis["places"]
    assert [call("shortCount", count) for count in marks] == ["0", "1 k", "10 k", "100 k", "1 M", "10 M", "100 M"]
    assert np.diff([marks[10**p] for p in range(3, 9)]) == pytest.approx(marks[1e4] - marks[1e3])
    assert places == sorted(places) and places[2] == pytest.approx(marks[1e4]) and marks[1e3] - places[0] > 0.1
    assert not call("parameterAxis", [10, 100])["zero"]


def test_the_cursor_stays_on_its_curve_sideways_and_climbs_within_a_column(js) -> None:
    heights = {"a": [0.5, 0.9], "b": [0.6, 0.7], "c": [0.4, 0.8]}
    marks = [{"method": m, "column": i, "value": v} for m, values in heights.items() for i, v in enumerate(values)]
    names, call = [f"{mark['method']}{mark['column']}" for mark in marks], js(FewShotCurves)
    for start, dx, dy, end in [("a0", 1, 0, "a1"), ("a1", 1, 0, "a1"), ("a0", 0, 1, "b0"), ("a0", 0, -1, "c0")]:
        assert names[call("nextMark", marks, names.index(start), dx, dy, "grid")] == end
    assert [call("nextMark", marks, 2, 0, dy, "rows") for dy in (1, -1)] == [1, 3]
    assert [call("nextMark", marks, i, dx, 0, "line") for i, dx in ((0, -1), (5, 1), (2, 1))] == [0, 5, 3]


def test_runs_that_cannot_be_paired_draw_by_draw_are_refused() -> None:
    for runs in (RUNS.drop(RUNS[RUNS.stage == "final"].index[0]), RUNS[RUNS.draw == 0]):
        with pytest.raises(TraitError, match=r"the methods need the same draws of .*, at least two"):
            FewShotCurves(runs, METHODS, CHANCE)


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize(("task", "shown"), [("sentiment", NAMES), ("act", ["ia3"]), ("tense", [])])
def test_the_picture_says_every_mean_holds_every_interval_and_is_small(view: str, task: str, shown: list[str]) -> None:
    widget = few_shot_curves(view=view, task=task, shown_methods=shown)
    (title, _), rows, ax = read_picture(widget), widget.rows(), widget.figure()[0].axes[0]
    assert title.startswith("No method is chosen" if rows.empty else f"{task}: ")
    assert all(f"{mean:.3g}" in title for mean in rows["mean"])
    low, high = ax.get_xlim() if view == "paired" else ax.get_ylim()
    assert rows.empty or (low < rows.low.min() and rows.high.max() < high)
    assert "nan" not in small({"ia3": [1.0, 1.0], "full": [1.0, 1.0]}, view=view).picture().lower()
    stored = json.dumps(dependency_state([widget], drop_defaults=False))
    assert len(gzip.compress(stored.encode())) < 30_000


def said(page: Any) -> str:
    return page.locator(".ia3-say").text_content()


def test_higher_means_stand_higher_and_doublings_are_equally_wide(widget_page) -> None:
    page = widget_page(widget := few_shot_curves(shown_methods=["head", "ia3", "full"]))
    texts = page.locator(".fs-chart .fs-mark").evaluate_all("(all) => all.map((one) => one.getAttribute('transform'))")
    x, y = np.array([[float(part) for part in text[10:-1].split()] for text in texts]).T
    assert np.diff(x.reshape(3, 5)) == pytest.approx(np.full((3, 4), x[1] - x[0]), abs=0.01) and x[1] - x[0] > 50
    slope, start = np.polyfit(widget.rows()["mean"], y, 1)
    assert slope < 0 and y == pytest.approx(start + slope * widget.rows()["mean"], abs=0.02)


def test_every_view_shows_its_own_controls_and_marks(widget_page) -> None:
    page = widget_page(few_shot_curves())
    k, reference = page.locator(".fs-k"), page.get_by_role("combobox", name="Reference")
    for view, controls, counts in [
        ("against k", (False, False), {"mark": 45, "curve": 9, "draw": 0, "zero": 0}),
        ("against parameters", (True, False), {"mark": 9, "curve": 0, "draw": 0, "zero": 0}),
        ("paired difference", (True, True), {"mark": 8, "curve": 0, "draw": 64, "zero": 1}),
    ]:
        page.get_by_role("radio", name=view).check()
        assert (k.is_visible(), reference.is_visible()) == controls
        assert {kind: page.locator(f".fs-chart .fs-{kind}").count() for kind in counts} == counts
    page.get_by_label("128", exact=True).check()
    reference.select_option("full")
    rows = few_shot_curves(view="paired", k=128, reference="full").rows()
    sides = page.locator(".fs-series").evaluate_all("(nodes) => nodes.map((node) => Number(node.dataset.side))")
    assert sides == ((rows.low > 0).astype(int) - (rows.high < 0)).tolist()
    page.get_by_role("radio", name="against k").check()
    page.get_by_role("combobox", name="Task").select_option("tense")  # one k: a dot plot with every draw
    assert (page.locator(".fs-draw").count(), page.locator(".fs-name").all_text_contents()) == (8 * 9, LABELS)


@pytest.mark.parametrize("view", VIEWS)
def test_keys_read_every_mark_and_the_table_holds_every_number(widget_page, view: str) -> None:
    widget = few_shot_curves(view=view, shown_methods=["head", "ia3", "lora-r4-qv"], reference="full")
    page, rows = widget_page(widget), [*widget.rows().itertuples()]
    cursor, read = page.get_by_role("slider", name="Reading cursor"), page.locator(".fs-reading")
    below = page.locator(".fs-note").bounding_box()["y"]
    assert "arrow keys" in read.text_content()
    cursor.focus()
    for key, at in (("Home", 1), ("End", len(rows)), ("ArrowLeft", len(rows) - 1)):
        page.keyboard.press(key)
        row, text = rows[at - 1], read.text_content()
        assert (cursor.get_attribute("aria-valuetext"), cursor.get_attribute("aria-valuenow")) == (text, str(at))
        assert all(f"{abs(value):.3f}" in text for value in row[3:])
        assert page.locator(".fs-note").bounding_box()["y"] == pytest.approx(below, abs=1)  # reading moves nothing
    set_traits(page, numbers=True)
    assert page.evaluate("document.activeElement.getAttribute('role')") == "slider"
    for line, row in zip(page.locator(".fs-table tbody tr").all_inner_texts(), rows, strict=True):
        assert all(f"{abs(value):.3f}" in line for value in row[3:])
        assert view != "paired" or line.split()[-1] == ("yes" if row.low > 0 or row.high < 0 else "no")


def test_pointing_at_a_mark_reads_it_with_mouse_and_finger(widget_page) -> None:
    widget = few_shot_curves(shown_methods=["ia3"])
    page, means = widget_page(widget, width=390, touch=True), widget.rows()["mean"]
    page.locator(".fs-chart").scroll_into_view_if_needed()
    for i, hand in ((3, page.mouse.move), (1, page.touchscreen.tap)):
        hand(*middle(page.locator(".fs-chart .fs-mark").nth(i)))
        assert f"mean {means[i]:.3f}" in page.locator(".fs-reading").text_content()


def test_chips_and_prose_choose_what_is_on_show_and_reset_brings_the_start_back(widget_page) -> None:
    widget = few_shot_curves(shown_methods=["ia3", "full"])
    page = widget_page(widget)
    before = said(page)
    page.get_by_role("checkbox", name="BitFit").check()
    assert trait(page, "shown_methods") == ["ia3", "bitfit", "full"]
    set_traits(page, task="tense", k=128, view="paired", reference="full")  # which has not been run with that k
    assert said(page).startswith("tense, k = 32, 8 draws:") and page.locator(".fs-k input").count() == 1
    set_traits(page, task="agent")
    assert said(page).startswith("agent, k = 128") and page.get_by_label("128", exact=True).is_checked()
    set_traits(page, shown_methods=[])
    assert page.locator(".fs-chart").is_hidden() and said(page) == "Choose at least one method."
    page.get_by_role("button", name="Reset").click()
    assert said(page) == before and page.locator(".fs-chart").is_visible()
    assert {name: trait(page, name) for name in CHOICES} == {name: getattr(widget, name) for name in CHOICES}


@pytest.mark.parametrize("width", [320, 390, 900])
def test_all_views_fit_every_page(widget_page, width: int) -> None:
    page = widget_page(few_shot_curves(numbers=True), width=width)
    outside = """() => {
        const { left, right, bottom } = document.querySelector(".fs-chart").getBoundingClientRect();
        const all = [...document.querySelectorAll(".fs-chart text, .fs-chart .fs-mark")];
        const far = (box) => box.left < left - 2 || box.right > right + 2 || box.bottom > bottom + 2;
        return all.filter((one) => far(one.getBoundingClientRect())).length;
    }"""
    for view, task in itertools.product(VIEWS, ("sentiment", "act")):
        set_traits(page, view=view, task=task)
        assert fits(page) and page.evaluate(outside) == 0
        assert width == 320 or page.locator(".fs-scroll").evaluate("(node) => node.scrollWidth <= node.clientWidth")
    page.set_viewport_size({"width": 500, "height": 800})  # less 50 for frames: a unit stays a pixel, as text must
    page.wait_for_function("document.querySelector('.fs-chart').viewBox.baseVal.width === 450")


def test_methods_look_as_in_figures_and_no_two_alike(widget_page) -> None:
    page, looks = widget_page(few_shot_curves()), set()
    for theme, name in itertools.product(("light", "dark"), METHOD_STYLES):
        page.evaluate("theme => { document.documentElement.dataset.theme = theme; }", theme)
        role, line, marker, filled = METHOD_STYLES[name]
        color = getattr(PALETTE[role], theme)
        wanted = f"rgb({', '.join(str(int(color[i : i + 2], 16)) for i in (1, 3, 5))})"
        mark = page.locator(f".fs-chart [data-method={name}] .fs-mark").first
        assert mark.evaluate("(node) => getComputedStyle(node).stroke") == wanted
        assert (mark.evaluate("(node) => getComputedStyle(node).fill") == wanted) == filled
        dashes = page.locator(f".fs-chart [data-method={name}] .fs-curve").get_attribute("stroke-dasharray")
        looks |= {(marker, mark.get_attribute("d")), (line, dashes)}
    assert len(looks) == len({one for one, _ in looks}) == len({other for _, other in looks}) == 7 + 4
    page.add_style_tag(content="legend { float: left; width: 100%; }")  # as Bootstrap does
    legend, chip = (page.locator(f".fs-chips {kind}").first.bounding_box() for kind in ("legend", "label"))
    assert legend["y"] + legend["height"] <= chip["y"] + 1


def test_an_interval_that_just_excludes_zero_does_not_seem_to_end_at_it(widget_page, js) -> None:
    gaps = np.array([0.02, 0.04, 0.06, 0.0011])
    values = {"head": [0.5] * 4, "ia3": (0.5 + gaps - interval(gaps).low + 0.0003).tolist()}
    widget, call = small(values, view="paired", numbers=True), js(FewShotCurves)
    assert 0.00025 < widget.rows().low[0] < 0.00035  # the control: three digits are none
    cells = widget_page(widget).locator(".fs-table tbody td").all_text_contents()
    assert cells[-2].startswith("0.0003 to ") and cells[-1] == "yes"
    assert [call("digits", x) for x in (2e-8, -1e-17, 6e-4)] == ["0.00000002", "0.000", "0.001"]
    for m in [*range(0, 1281, 20), *range(80, 1280, 160)]:  # means of 8 draws of 160, halves among them: as Python
        assert call("digits", math.fsum([m / 1280 + 1e-17, 1e-16])) == f"{m / 1280:.3f}"


def test_an_interval_cut_at_one_has_no_end_bar_there_and_the_note_says_so(widget_page) -> None:
    page = widget_page(small({"head": [0.6, 0.7, 0.65], "ia3": [1.0, 0.8, 1.0]}, (16, 32)))
    for name, strokes in (("head", [3, 3]), ("ia3", [2, 2])):  # the interval itself and its end bars
        paths = page.locator(f".fs-chart [data-method={name}] .fs-interval")
        assert paths.evaluate_all("(all) => all.map((one) => one.getAttribute('d').split('M').length - 1)") == strokes
    assert "cut there and has no end bar" in page.locator(".fs-note").text_content()
    set_traits(page, shown_methods=["head"])
    page.wait_for_function("!document.querySelector('.fs-note').textContent.includes('cut there')")
