"""The few-shot curves compute in the browser what Python computes, and can be read with mouse, keys and as a table."""

import itertools
import math
import random
import re
from typing import Any

import numpy as np
import pandas as pd
import pytest
from traitlets import TraitError
from widget_helpers import in_each_state, middle, read_picture, set_traits, trait

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


def test_the_script_shows_the_rows_that_python_computes(js) -> None:
    rng, widget, few = random.Random(0), few_shot_curves(), small({"ia3": [0.25, 0.5, 0.875], "head": [0.5, 0.25, 0.5]})
    for view in VIEWS:
        few.view = view  # three draws
        found = pd.DataFrame(js(FewShotCurves)("rowsOf", state(few)))
        pd.testing.assert_frame_equal(found[[*few.rows()]], few.rows(), check_dtype=False)
    for task, view, _ in itertools.product(CHANCE, VIEWS, range(3)):
        widget.shown_methods = [name for name in NAMES if rng.random() < 0.7]
        chosen = {"task": task, "view": view, "reference": rng.choice(NAMES), "k": rng.choice([8, 16, 32, 64, 128])}
        for name, value in chosen.items():
            widget.set_trait(name, value)
        found, expected = pd.DataFrame(js(FewShotCurves)("rowsOf", state(widget))), widget.rows()
        pd.testing.assert_frame_equal(found[[*expected]], expected, check_dtype=False)


def test_pairs_are_taken_draw_by_draw_whatever_the_order_of_the_runs() -> None:
    cell = by_draw(RUNS, "agent", 64)
    for row in few_shot_curves(view="paired", k=64, task="agent").rows().itertuples():
        assert row[3:] == pytest.approx(interval(cell.ia3 - cell[row.method]), abs=1e-6)


def test_the_sentence_sorts_the_methods_by_the_side_on_which_their_interval_lies_and_the_cursor_s_compares(js) -> None:
    low, high = [0.5, 0.52, 0.51], [0.9, 0.93, 0.9]
    values = {"head": low, "ia3": [0.8, 0.82, 0.8], "lora-r1-qv": high, "bitfit": [0.79, 0.83, 0.8]}
    sides = "On the same 3 draws, 95% intervals put IA³ above head only, but below LoRA r = 1, q and v."
    for choice, end in [
        ({}, f"<made> up, k = 32. {sides} Too close to call: BitFit."),
        ({"shown_methods": ["bitfit"]}, "no 95% interval excludes 0, so no difference from IA³ is established."),
        ({"view": "curve"}, f"0.510 (head only) to 0.910 (LoRA r = 1, q and v). {sides} Too close to call: BitFit."),
    ]:
        assert js(FewShotCurves)("describe", state(small(values, **{"view": "paired"} | choice))).endswith(end)
    now, ends = state(small(values)), ("IA³ lower", "BitFit too close to call", "IA³ higher", "IA³ too close to call")
    for row, end in zip(js(FewShotCurves)("rowsOf", now), ends, strict=True):
        said = js(FewShotCurves)("reading", now, row)
        assert " ".join(re.search(r" Minus (\w+³?), on .* so it is (.*)\.$", said).groups()) == end


def test_runs_that_cannot_be_paired_draw_by_draw_are_refused() -> None:
    for runs in (RUNS.drop(RUNS[RUNS.stage == "final"].index[0]), RUNS[RUNS.draw == 0]):
        with pytest.raises(TraitError, match=r"the methods need the same draws of .*, at least two"):
            FewShotCurves(runs, METHODS, CHANCE)


def test_the_picture_says_every_mean_and_holds_every_interval() -> None:
    widget = few_shot_curves()
    for widget.view in VIEWS:
        (title, _), rows, ax = read_picture(widget), widget.rows(), widget.figure()[0].axes[0]
        assert title.startswith("sentiment: ") and all(f"{mean:.3g}" in title for mean in rows["mean"])
        low, high = ax.get_xlim() if widget.view == "paired" else ax.get_ylim()
        assert low < rows.low.min() and rows.high.max() < high
        assert "nan" not in small({"ia3": [1.0, 1.0], "full": [1.0, 1.0]}, view=widget.view).picture().lower()
    widget.shown_methods = []
    assert read_picture(widget)[0].startswith("No method is chosen")


def said(page: Any) -> str:
    return page.locator(".ia3-say").text_content()


def test_every_view_shows_its_own_marks_and_higher_means_stand_higher(widget_page) -> None:
    page = widget_page(widget := few_shot_curves())
    texts = page.locator(".fs-chart .fs-mark").evaluate_all("(all) => all.map((one) => one.getAttribute('transform'))")
    x, y = np.array([[float(part) for part in text[10:-1].split()] for text in texts]).T
    assert np.diff(x.reshape(9, 5)) == pytest.approx(np.full((9, 4), x[1] - x[0]), abs=0.01) and x[1] - x[0] > 50
    slope, start = np.polyfit(widget.rows()["mean"], y, 1)
    assert slope < 0 and y == pytest.approx(start + slope * widget.rows()["mean"], abs=0.02)
    for view, counts in [
        ("by examples", {"mark": 45, "curve": 9, "draw": 0, "zero": 0, "label": 9}),
        ("by parameters", {"mark": 9, "curve": 0, "draw": 0, "zero": 0, "label": 9}),
        ("head to head", {"mark": 8, "curve": 0, "draw": 64, "zero": 1, "label": 0}),
    ]:
        page.get_by_role("radio", name=view).check()
        assert {kind: page.locator(f".fs-chart .fs-{kind}").count() for kind in counts} == counts
    page.get_by_label("128", exact=True).check()
    page.get_by_role("combobox", name="Compare with").select_option("full")
    rows = few_shot_curves(view="paired", k=128, reference="full").rows()
    sides = page.locator(".fs-series").evaluate_all("(nodes) => nodes.map((node) => Number(node.dataset.side))")
    assert sides == ((rows.low > 0).astype(int) - (rows.high < 0)).tolist()
    set_traits(page, view="curve", task="tense")  # one k: a dot plot with every draw
    assert page.locator(".fs-draw").count() == 8 * 9


def test_keys_read_every_mark_and_the_table_holds_every_number(widget_page) -> None:
    page = widget_page(widget := few_shot_curves(shown_methods=["head", "ia3", "lora-r4-qv"], reference="full"))
    cursor, read = page.get_by_role("slider", name="Reading cursor"), page.locator(".ia3-say")
    cursor.focus()
    for widget.view in VIEWS:
        set_traits(page, view=widget.view)
        rows = [*widget.rows().itertuples()]
        for key, at in (("Home", 1), ("End", len(rows)), ("ArrowLeft", len(rows) - 1)):
            page.keyboard.press(key)
            row, text = rows[at - 1], read.text_content()
            assert (cursor.get_attribute("aria-valuetext"), cursor.get_attribute("aria-valuenow")) == (text, str(at))
            assert all(f"{abs(value):.3f}" in text for value in row[3:])
        set_traits(page, numbers=True)
        assert page.evaluate("document.activeElement.getAttribute('role')") == "slider"
        for line, row in zip(page.locator(".fs-table tbody tr").all_inner_texts(), rows, strict=True):
            assert all(f"{abs(value):.3f}" in line for value in row[3:])
            assert widget.view != "paired" or line.split()[-1] == ("yes" if row.low > 0 or row.high < 0 else "no")


def test_pointing_reads_a_mark_and_chips_and_prose_choose_what_is_on_show(widget_page) -> None:
    widget = few_shot_curves(shown_methods=["ia3"])
    page, means = widget_page(widget, width=390, touch=True), widget.rows()["mean"]
    page.locator(".fs-chart").scroll_into_view_if_needed()
    for i, hand in ((3, page.mouse.move), (1, page.touchscreen.tap)):
        hand(*middle(page.locator(".fs-chart .fs-mark").nth(i)))
        assert f"mean {means[i]:.3f}" in said(page)
    page.get_by_role("checkbox", name="BitFit").check()
    assert trait(page, "shown_methods") == ["ia3", "bitfit"]
    set_traits(page, task="tense", k=128, view="paired", reference="full")  # which has not been run with that k
    assert said(page).startswith("tense, k = 32. On the same 8 draws,") and page.locator(".fs-k input").count() == 1
    set_traits(page, task="agent")
    assert said(page).startswith("agent, k = 128.") and page.get_by_label("128", exact=True).is_checked()
    set_traits(page, task="?", k=23, view="curve", reference="?", shown_methods=["full", "?"])  # what there is not
    assert said(page).startswith("sentiment, k = 32") and page.locator(".fs-series").count() == 1
    set_traits(page, shown_methods=[])
    assert page.locator(".fs-chart").is_hidden() and said(page) == "Choose at least one method."


def test_whatever_is_shown_no_two_texts_of_the_chart_meet_none_is_cut_and_the_height_stays(widget_page, js):
    for wanted, found in (([50, 10, 52, 30], [46, 10, 56, 30]), ([98, 99], [90, 100]), ([3, 2], [10, 0])):
        assert js(FewShotCurves)("spread", wanted, 10, 0, 100) == found  # no further than they must
    sets = [NAMES, NAMES[3:7], ["head", "ia3", "full"]]
    charts = [  # what the chart of a view does not depend on is not gone through
        {"view": "curve", "k": 8, "reference": "ia3"},
        *({"view": "parameters", "k": k, "reference": "ia3"} for k in (8, 32, 128)),
        *({"view": "paired", "k": k, "reference": one} for k in (8, 32, 128) for one in ("ia3", "lora-r4-kvff")),
    ]
    states = [{"shown_methods": some, "task": task, **chart} for some in sets for task in CHANCE for chart in charts]
    states += [{"shown_methods": [], **chart} for chart in charts]
    look = """(root) => {
      const [room, ...all] = [...root.querySelectorAll(".fs-chart, text")].map((one) => one.getBoundingClientRect());
      const apart = (a, b) => a === b || b.left - a.right > -1 || a.left - b.right > -1 || Math.abs(a.y - b.y) > 13;
      const fine = (a) => a.left >= room.left && a.right <= room.right + 1 && all.every((b) => apart(a, b));
      return all.every(fine) ? root.offsetHeight : all.length;
    }"""
    page = widget_page(few_shot_curves())
    cursor = page.get_by_role("slider", name="Reading cursor")
    for width in (1280, 390):
        page.set_viewport_size({"width": width, "height": 844})
        seen = in_each_state(page, states, look)
        assert [state for state, height in zip(states, seen, strict=True) if height != seen[0]] == []
        set_traits(page, **states[0])
        cursor.focus()  # which then reads, instead of the overview
        assert {*in_each_state(page, states[-11::-3], look)} == {seen[0]}
    page.add_style_tag(content=".ia3 svg.fs-chart text { font-size: 40px !important; }")
    assert seen[0] not in in_each_state(page, states[:3], look)  # the control: texts that are too large meet


def test_methods_look_as_in_figures(widget_page) -> None:
    page = widget_page(few_shot_curves())
    marks = page.locator(".fs-chart").evaluate("""(chart) => ["light", "dark"].map((theme) => {
        document.documentElement.dataset.theme = theme;
        const look = (name) => getComputedStyle(chart.querySelector(`[data-method="${name}"] .fs-mark`));
        const all = [...chart.querySelectorAll("[data-method]")].map((one) => one.dataset.method);
        return Object.fromEntries(all.map((name) => [name, [look(name).stroke, look(name).fill]]));
    })""")
    for theme, looks in zip(("light", "dark"), marks, strict=True):
        for name in METHODS:
            role, _, _, filled = METHOD_STYLES[name]
            color = getattr(PALETTE[role], theme)
            wanted = f"rgb({', '.join(str(int(color[i : i + 2], 16)) for i in (1, 3, 5))})"
            stroke, fill = looks[name]
            assert stroke == wanted and (fill == wanted) == filled


def test_an_interval_that_just_excludes_zero_does_not_seem_to_end_at_it(js) -> None:
    call = js(FewShotCurves)
    assert [call("digits", x) for x in (0.0003, 2e-8, -1e-17, 6e-4)] == ["0.0003", "0.00000002", "0.000", "0.001"]
    for m in [*range(0, 1281, 20), *range(80, 1280, 160)]:  # means of 8 draws of 160, halves among them: as Python
        assert call("digits", math.fsum([m / 1280 + 1e-17, 1e-16])) == f"{m / 1280:.3f}"
