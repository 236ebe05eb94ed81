"""The few-shot curves compute in the browser what Python computes, and can be read with mouse, keys and as a table.

Every accuracy here is synthetic: drawn from a random generator, and no result of any model.
"""

from __future__ import annotations

import gzip
import itertools
import json
import math
import random
import statistics
import xml.etree.ElementTree as ET
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest
from scipy import stats
from traitlets import TraitError

from ia3_lab.intervals import interval
from ia3_lab.plots import plot_few_shot_curves
from ia3_lab.style import METHOD_STYLES, PALETTE
from ia3_lab.widgets import FewShotCurves
from ia3_lab.widgets._few_shot_picture import _number

METHODS = [
    {"name": "head", "label": "head only", "parameters": 0},
    {"name": "ia3", "label": "IA\u00b3", "parameters": 13_824},
    {"name": "lora-r1-qv", "label": "LoRA r = 1, q and v", "parameters": 9_216},
    {"name": "lora-r4-qv", "label": "LoRA r = 4, q and v", "parameters": 36_864},
    {"name": "lora-r1-kvff", "label": "LoRA r = 1, IA\u00b3's places", "parameters": 20_736},
    {"name": "lora-r4-kvff", "label": "LoRA r = 4, IA\u00b3's places", "parameters": 82_944},
    {"name": "bitfit", "label": "BitFit", "parameters": 25_344},
    {"name": "layernorm", "label": "LayerNorm tuning", "parameters": 9_216},
    {"name": "full", "label": "full fine-tuning", "parameters": 22_565_376},
]
NAMES = [method["name"] for method in METHODS]
TASKS = [
    {"name": "sentiment", "label": "sentiment <under> negation", "chance": 0.5},
    {"name": "agent", "label": "who did it", "chance": 0.5},
    {"name": "number", "label": "grammatical number", "chance": 0.5},
    {"name": "tense", "label": "tense", "chance": 1 / 3},
    {"name": "act", "label": "request, question or statement", "chance": 1 / 3},
]
SHOTS = {
    "sentiment": (8, 16, 32, 64, 128),
    "agent": (8, 16, 32, 64, 128),
    "number": (32,),
    "tense": (32,),
    "act": (32,),
}
VIEWS = ("curve", "parameters", "paired")


def synthetic_runs(seed: int = 0) -> list[dict[str, Any]]:
    """Return runs of made-up accuracies in a shuffled order; the methods of one draw share its luck."""
    rng, runs = random.Random(seed), []
    for task, ks in SHOTS.items():
        for k in ks:
            for draw in range(8):
                luck = rng.gauss(0.5 + 0.08 * math.log2(k / 8), 0.04)
                for i, method in enumerate(NAMES):
                    accuracy = min(1, max(0, luck + 0.01 * i + rng.gauss(0, 0.03)))
                    run = {
                        "task": task,
                        "k": k,
                        "method": method,
                        "draw": draw,
                        "accuracy": round(160 * accuracy) / 160,
                    }
                    runs.append(run)
    rng.shuffle(runs)
    return runs


RUNS = synthetic_runs()


def few_shot_curves(**traits: Any) -> FewShotCurves:
    return FewShotCurves(**{"runs": RUNS, "methods": METHODS, "tasks": TASKS} | traits)


def small(accuracies: dict[str, list[float]], **traits: Any) -> FewShotCurves:
    """Return a widget of one task and one k from chosen accuracies."""
    runs = [
        {"task": "made up", "k": 32, "method": method, "draw": draw, "accuracy": value}
        for method, values in accuracies.items()
        for draw, value in enumerate(values)
    ]
    return FewShotCurves(runs=runs, methods=[m for m in METHODS if m["name"] in accuracies], **traits)


STATE = ("task", "k", "view", "reference", "shown_methods", "methods", "tasks", "accuracies")


def js_state(widget: FewShotCurves) -> dict[str, Any]:
    return {name: getattr(widget, name) for name in STATE}


# --- statistics ----------------------------------------------------------------------------------------------------

#: two-sided 95%, from printed tables
KNOWN = {
    1: 12.706,
    2: 4.303,
    3: 3.182,
    4: 2.776,
    5: 2.571,
    7: 2.365,
    9: 2.262,
    10: 2.228,
    19: 2.093,
    30: 2.042,
    120: 1.980,
}


@pytest.mark.browser
def test_the_script_s_quantiles_of_t_are_those_of_printed_tables_and_of_scipy(js) -> None:
    call = js(FewShotCurves)
    for df, printed in KNOWN.items():
        assert call("tQuantile", df) == pytest.approx(printed, abs=5.1e-4)
    for df in (*KNOWN, 6, 8, 200):
        for level in (0.5, 0.95, 0.99):
            assert call("tQuantile", df, level) == pytest.approx(stats.t.ppf((1 + level) / 2, df), rel=1e-9)
    assert call("tQuantile", 7) == pytest.approx(2.3646, abs=1e-4)
    assert abs(call("tQuantile", 7) - statistics.NormalDist().inv_cdf(0.975)) > 0.4  # the normal quantile is another


@pytest.mark.browser
@pytest.mark.parametrize("n", [2, 3, 8, 25])
def test_the_script_s_interval_is_mean_plus_minus_t_times_the_standard_error(js, n: int) -> None:
    rng = random.Random(n)
    values = [rng.random() for _ in range(n)]
    half = stats.t.ppf(0.975, n - 1) * statistics.stdev(values) / math.sqrt(n)
    expected = (statistics.fmean(values), statistics.fmean(values) - half, statistics.fmean(values) + half)
    mine = interval(values)
    assert (mine.mean, mine.low, mine.high) == pytest.approx(expected)
    found = js(FewShotCurves)("interval", values)
    assert (found["mean"], found["low"], found["high"]) == pytest.approx(expected)


@pytest.mark.browser
@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("task", SHOTS)
def test_the_script_shows_the_rows_that_python_computes(js, view: str, task: str) -> None:
    rng = random.Random(task + view)
    for _ in range(4):
        shown = [name for name in NAMES if rng.random() < 0.7]
        k = rng.choice([8, 16, 32, 64, 128])
        widget = few_shot_curves(task=task, view=view, k=k, shown_methods=shown, reference=rng.choice(NAMES))
        found, expected = js(FewShotCurves)("rowsOf", js_state(widget)), widget.rows()
        assert [(row["method"], row["k"]) for row in found] == [(row["method"], row["k"]) for row in expected]
        for one, other in zip(found, expected, strict=True):
            assert [one[key] for key in ("mean", "low", "high")] == pytest.approx(
                [other[key] for key in ("mean", "low", "high")]
            )


def test_rows_are_the_runs_that_were_given_whatever_their_order() -> None:
    widget = few_shot_curves(view="paired", k=64, task="agent")
    values = {(run["method"], run["draw"]): run["accuracy"] for run in RUNS if (run["task"], run["k"]) == ("agent", 64)}
    for row in widget.rows():
        gaps = [values["ia3", draw] - values[row["method"], draw] for draw in range(8)]
        assert row["mean"] == pytest.approx(statistics.fmean(gaps), abs=1e-6)
        half = stats.t.ppf(0.975, 7) * statistics.stdev(gaps) / math.sqrt(8)
        assert row["high"] - row["mean"] == pytest.approx(half, abs=1e-6)


@pytest.mark.browser
def test_pairing_draw_by_draw_is_narrower_than_ignoring_the_pairs(js) -> None:
    luck = [0.5, 0.6, 0.7, 0.8]
    together = small(
        {"ia3": [x + 0.05 for x in luck], "full": [x + 0.001 * i for i, x in enumerate(luck)]}, view="paired"
    )
    crossed = small({"ia3": [x + 0.05 for x in luck], "full": luck[::-1]}, view="paired")
    call = js(FewShotCurves)
    (near,), (far,) = call("rowsOf", js_state(together)), call("rowsOf", js_state(crossed))
    assert (call("side", near), call("side", far)) == (1, 0)
    assert far["high"] - far["low"] > 10 * (near["high"] - near["low"])


@pytest.mark.browser
@pytest.mark.parametrize(
    ("gaps", "side"), [([0.1, 0.1, 0.1], 1), ([0, 0, 0], 0), ([-0.02, -0.03, -0.04], -1), ([0.2, -0.1, 0.1], 0)]
)
def test_an_interval_excludes_0_only_when_it_lies_on_one_side(js, gaps: list[float], side: int) -> None:
    widget = small({"ia3": [0.5 + gap for gap in gaps], "full": [0.5] * 3}, view="paired")
    (row,) = js(FewShotCurves)("rowsOf", js_state(widget))
    assert js(FewShotCurves)("side", row) == side
    sentence = js(FewShotCurves)("describe", js_state(widget))
    words = {
        1: "puts IA\u00b3 above full fine-tuning.",
        -1: "puts IA\u00b3 below full fine-tuning.",
        0: "no 95% interval excludes 0",
    }
    assert words[side] in sentence


@pytest.mark.browser
def test_the_sentence_sorts_the_methods_by_where_their_interval_lies(js) -> None:
    values = {
        "head": [0.5, 0.52, 0.51],
        "ia3": [0.8, 0.82, 0.8],
        "lora-r1-qv": [0.9, 0.93, 0.9],
        "bitfit": [0.79, 0.83, 0.8],
    }
    call = js(FewShotCurves)
    said = call("describe", js_state(small(values, view="paired")))
    assert said == (
        "made up, k = 32, 3 draws: the 95% interval excludes 0 and puts IA\u00b3 above head only, "
        "but below LoRA r = 1, q and v. The interval holds 0 for BitFit."
    )
    from_head = call("describe", js_state(small(values, view="paired", reference="head")))
    assert from_head.endswith("puts head only below IA\u00b3; LoRA r = 1, q and v; and BitFit.")
    level = call("describe", js_state(small(values)))
    assert level.startswith(
        "made up, k = 32, 3 draws: the means run from head only (0.510) to LoRA r = 1, q and v (0.910)."
    )
    assert call("describe", js_state(small(values, shown_methods=[]))) == "Choose at least one method."
    alone = small(values, view="paired", shown_methods=["ia3"])
    assert call("describe", js_state(alone)) == "Choose a method to compare with IA\u00b3."


@pytest.mark.browser
def test_numbers_are_rounded_as_in_python(js) -> None:
    call = js(FewShotCurves)
    for m in [
        *range(0, 1281, 5),
        *range(80, 1280, 160),
        -16,
        -400,
    ]:  # means of 8 draws of 160 sentences, halves among them
        value = math.fsum([m / 1280 + 1e-17, 1e-16])
        assert call("digits", value).replace("\u2212", "-") == f"{round(value, 10):.3f}"
    for value, text in ((-0.00030375, "\u22120.0003"), (0.0004, "0.0004"), (2e-8, "0.00000002"), (-1e-17, "0.000")):
        assert call("digits", value) == text
        assert _number(value) == text
    assert call("digits", 0.0006) == _number(0.0006) == "0.001"


# --- where marks stand ---------------------------------------------------------------------------------------------


@pytest.mark.browser
def test_k_falls_back_to_the_nearest_that_the_task_has_in_both_languages(js) -> None:
    call = js(FewShotCurves)
    assert [call("nearestK", [8, 32, 128], k) for k in (1, 16, 17, 63, 128, 999)] == [8, 8, 32, 32, 128, 128]
    widget = few_shot_curves(task="tense", k=128, view="parameters")
    assert {row["k"] for row in widget.rows()} == {32} == {row["k"] for row in call("rowsOf", js_state(widget))}


@pytest.mark.browser
def test_state_from_a_button_is_settled_rather_than_trusted(js) -> None:
    state = js_state(few_shot_curves()) | {"task": "nonsense", "reference": "nobody", "k": 7, "view": "paired"}
    now = js(FewShotCurves)("settle", state | {"shown_methods": ["full", "nobody", "head"]})
    assert (now["task"]["name"], now["reference"]["name"], now["k"]) == ("sentiment", "head", 8)
    assert [method["name"] for method in now["shown"]] == ["head", "full"]


@pytest.mark.browser
def test_parameters_stand_on_a_logarithmic_axis_and_0_before_a_gap(js) -> None:
    counts = [0, 9_216, 10_000, 100_000, 22_565_376]
    axis = js(FewShotCurves)("parameterAxis", counts)
    assert axis["places"] == sorted(axis["places"])
    marks = dict(map(tuple, axis["marks"]))
    assert list(marks) == [0, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8]
    decade = marks[1e4] - marks[1e3]
    assert all(marks[10 ** (p + 1)] - marks[10**p] == pytest.approx(decade) for p in range(3, 8))
    assert axis["places"][2] == pytest.approx(marks[1e4])
    assert marks[1e3] - axis["places"][0] > 0.1
    alone = js(FewShotCurves)("parameterAxis", [0])
    assert alone["places"][0] == pytest.approx(0.05)
    assert not js(FewShotCurves)("parameterAxis", [10, 100])["zero"]


@pytest.mark.browser
def test_axes_hold_every_interval_and_accuracies_never_leave_0_to_1(js) -> None:
    call = js(FewShotCurves)
    rows = [{"low": 0.43, "high": 1.07, "values": [0.4, 1.0]}]
    assert call("valueRange", rows, "curve") == [0.4, 1]
    assert call("valueRange", rows, "curve", [0.3]) == [0.3, 1]
    low, high = call("valueRange", [{"low": 0.02, "high": 0.2, "values": [0.25]}], "paired")
    assert low < 0 < 0.25 < high
    assert call("ticks", 0.4, 1, 5) == pytest.approx([0.4, 0.6, 0.8, 1.0])
    assert call("ticks", -0.06, 0.11, 5) == pytest.approx([-0.05, 0, 0.05, 0.1])


@pytest.mark.browser
def test_the_cursor_stays_on_its_curve_sideways_and_climbs_within_a_column(js) -> None:
    call = js(FewShotCurves)
    heights = {"a": [0.5, 0.9], "b": [0.6, 0.7], "c": [0.4, 0.8]}
    marks = [{"method": m, "column": i, "value": v} for m, values in heights.items() for i, v in enumerate(values)]
    names = [(mark["method"], mark["column"]) for mark in marks]

    def go(start: tuple[str, int], dx: int, dy: int) -> tuple[str, int]:
        return names[call("nextMark", marks, names.index(start), dx, dy, "grid")]

    assert go(("a", 0), 1, 0) == ("a", 1) == go(("a", 1), 1, 0)
    assert go(("a", 0), 0, 1) == ("b", 0)
    assert go(("a", 0), 0, -1) == ("c", 0) == go(("c", 0), 0, -1)
    assert [call("nextMark", marks, 2, 0, dy, "rows") for dy in (1, -1)] == [1, 3]
    assert [call("nextMark", marks, i, dx, 0, "line") for i, dx in ((0, -1), (5, 1), (2, 1))] == [0, 5, 3]


@pytest.mark.browser
@pytest.mark.parametrize(
    ("count", "text"), [(0, "0"), (1_000, "1 k"), (100_000, "100 k"), (10**8, "100 M"), (10, "10")]
)
def test_ticks_of_parameters_are_short(js, count: int, text: str) -> None:
    assert js(FewShotCurves)("shortCount", count) == text


# --- the Python side -----------------------------------------------------------------------------------------------


def test_the_defaults_are_the_first_task_k_32_ia3_and_every_method() -> None:
    widget = FewShotCurves(runs=RUNS, methods=METHODS)
    assert (widget.k, widget.reference, widget.shown_methods, widget.view) == (32, "ia3", NAMES, "curve")
    assert widget.task in SHOTS and {task["name"] for task in widget.tasks} == set(SHOTS)
    assert few_shot_curves().task == "sentiment"


def test_methods_are_kept_once_each_in_their_usual_order() -> None:
    assert few_shot_curves(shown_methods=["full", "ia3", "full"]).shown_methods == ["ia3", "full"]


def test_a_method_looks_alike_in_figures_and_in_the_widget() -> None:
    ax = plot_few_shot_curves([8, 16], {name: [[0.6, 0.7], [0.5, 0.6], [0.7, 0.8]] for name in NAMES})
    drawn = {container.get_label(): container[0] for container in ax.containers}
    pairs = set()
    for mine in few_shot_curves().methods:
        line = drawn[mine["name"]]
        assert line.get_color() == PALETTE[mine["role"]].figure
        assert (line.get_markerfacecolor() != "none") == mine["filled"]
        assert (mine["dash"] == "") == (line.get_linestyle() == "-")
        pairs |= {(mine["shape"], line.get_marker()), (mine["dash"], line.get_linestyle())}
    plt.close("all")
    assert len(pairs) == 7 + 4  # each shape is one marker and each dash one line style, there and back
    assert len({one for one, _ in pairs}) == len({other for _, other in pairs}) == len(pairs)


def changed(index: int, **changes: Any) -> list[dict[str, Any]]:
    return [run | changes if i == index else run for i, run in enumerate(RUNS)]


@pytest.mark.parametrize(
    ("traits", "says"),
    [
        ({"task": "agents"}, "task: unknown task 'agents'; did you mean 'agent'. The tasks are sentiment, agent,"),
        ({"task": "Sentiment"}, "task: unknown task 'Sentiment'; did you mean 'sentiment'"),
        ({"k": 12}, "k must be one of 8, 16, 32, 64, 128, got 12"),
        ({"k": True}, "k must be one of 8, 16"),
        ({"reference": "lora"}, "reference: unknown method 'lora'; did you mean 'lora-.*The methods are head, ia3"),
        ({"reference": "IA3"}, "reference: unknown method 'IA3'; did you mean 'ia3'"),
        ({"shown_methods": ["ia3", "BitFit"]}, "shown_methods: unknown method 'BitFit'; did you mean 'bitfit'"),
        ({"view": "bars"}, "view"),
        ({"runs": []}, "runs must hold at least one run, got none"),
        ({"methods": []}, "methods must hold at least one method, got none"),
        ({"runs": RUNS[1:]}, "lacks draw [0-7], which others have; run it too"),
        ({"runs": [*RUNS, RUNS[3]]}, "has draw [0-7] twice; keep one"),
        ({"runs": [run for run in RUNS if run["draw"] == 0]}, "has 1 draw; an interval needs at least 2"),
        ({"runs": changed(0, accuracy=1.2)}, "accuracy must be a number from 0 to 1, got 1.2"),
        ({"runs": changed(0, accuracy=math.nan)}, "accuracy must be a number from 0 to 1, got nan"),
        ({"runs": changed(0, accuracy="0.5")}, "accuracy must be a number from 0 to 1, got '0.5'"),
        ({"runs": changed(0, method="prefix")}, "runs: unknown method 'prefix'.* The methods are head"),
        ({"runs": changed(0, method="IA3")}, "runs: unknown method 'IA3'; did you mean 'ia3'"),
        ({"runs": changed(0, method=["ia3"])}, r"runs: unknown method \['ia3'\]. The methods are head"),
        ({"runs": changed(0, k=0)}, "k must be a whole number from 1, got 0"),
        ({"runs": [{"task": "sentiment"}]}, "a run needs task, k, method, draw, accuracy, got .*add k"),
        ({"methods": [{"name": "ia3", "label": "IA3"}]}, "a method needs name, label and parameters, .*add parameters"),
        ({"methods": [*METHODS, METHODS[0]]}, "method 'head' is given twice"),
        ({"methods": [{"name": "prefix", "label": "p", "parameters": 1}]}, "methods: unknown method 'prefix'.*The"),
        ({"methods": [METHODS[0] | {"name": ["head"]}]}, r"methods: unknown method \['head'\]. The methods are head"),
        ({"methods": [METHODS[0] | {"label": None}]}, "label of 'head' must be text, got None; write how to call it"),
        ({"methods": [METHODS[0] | {"parameters": -1}]}, "parameters of 'head' must be a whole number from 0, got -1"),
        ({"tasks": TASKS[1:]}, "tasks must name each task of the runs once"),
        (
            {"tasks": [TASKS[0] | {"chance": 1.5}, *TASKS[1:]]},
            "chance of 'sentiment' must lie between 0 and 1, got 1.5",
        ),
        ({"methdos": []}, "unknown argument 'methdos'; did you mean 'methods'. The arguments are k, methods, numbers,"),
        ({"tasks": [TASKS[0] | {"name": "Sentiment"}, *TASKS[1:]]}, "tasks: unknown task 'Sentiment'; did you mean"),
        ({"tasks": [TASKS[0] | {"name": ["act"]}, *TASKS[1:]]}, r"tasks: unknown task \['act'\]"),
        ({"runs": None}, "runs must be a list of dicts, got None"),
        ({"runs": "runs.csv"}, r"runs must be a list of dicts, got 'runs.csv'; put a single one in \[ \]"),
        ({"runs": RUNS[0]}, r"runs must be a list of dicts, got .*; put a single one in \[ \]"),
        ({"runs": [("sentiment", 8, "ia3", 0, 0.5)]}, "runs must be a list of dicts, got .* in it; write it as a dict"),
        ({"methods": ["ia3"]}, "methods must be a list of dicts, got 'ia3' in it"),
        ({"tasks": ["sentiment"]}, "tasks must be a list of dicts, got 'sentiment' in it"),
        ({"tasks": 5}, "tasks must be a list of dicts, got 5"),
        ({"runs": changed(0, draw="first")}, "draw must be a whole number, got 'first'"),
        ({"runs": changed(0, draw=[1])}, r"draw must be a whole number, got \[1\]"),
        ({"runs": changed(0, task=None)}, "task must be a name, got None"),
        ({"runs": changed(0, method="bitfti")}, "runs: unknown method 'bitfti'; did you mean 'bitfit'"),
        ({"methods": [{"name": "ia33", "label": "p", "parameters": 1}]}, "method 'ia33'; did you mean 'ia3'"),
        ({"tasks": [TASKS[0] | {"chance": "half"}, *TASKS[1:]]}, "must lie between 0 and 1, got 'half'"),
        ({"tasks": [TASKS[0] | {"label": 3}, *TASKS[1:]]}, "label of 'sentiment' must be text, got 3"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_wrong_data_and_choices_are_refused_with_what_was_expected(traits: dict, says: str) -> None:
    with pytest.raises(TraitError, match=says):
        few_shot_curves(**traits)


def test_numbers_from_numpy_are_numbers() -> None:
    runs = [
        run | {"k": np.int64(run["k"]), "draw": np.int32(run["draw"]), "accuracy": np.float32(run["accuracy"])}
        for run in RUNS
    ]
    methods = [method | {"parameters": np.int64(method["parameters"])} for method in METHODS]
    widget, plain = few_shot_curves(runs=runs, methods=methods), few_shot_curves()
    assert (widget.methods, widget.tasks) == (plain.methods, plain.tasks)
    for one, other in zip(widget.rows(), plain.rows(), strict=True):
        assert one["mean"] == pytest.approx(other["mean"], abs=1e-5)
    assert json.loads(json.dumps(widget.methods)) == plain.methods


@pytest.mark.parametrize(
    ("name", "wrong"),
    [("task", "agents"), ("k", 12), ("view", "bars"), ("reference", "lora"), ("shown_methods", ["lora"])],
)
def test_a_refused_choice_leaves_the_widget_as_it_was(name: str, wrong: object) -> None:
    widget = few_shot_curves(view="paired", k=64)
    before = repr(widget), widget.picture()
    with pytest.raises(TraitError):
        setattr(widget, name, wrong)
    assert (repr(widget), widget.picture()) == before


def test_a_name_appended_past_the_checks_is_not_drawn() -> None:
    widget = few_shot_curves(shown_methods=["ia3"])
    before = widget.picture()
    widget.shown_methods.append("bogus")
    assert widget.picture() == before


def test_the_data_cannot_be_exchanged_afterwards() -> None:
    with pytest.raises(TraitError, match="read-only"):
        few_shot_curves().accuracies = {}


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("task", ["sentiment", "act"])
@pytest.mark.parametrize("shown", [NAMES, ["ia3"], []], ids=len)
def test_the_picture_is_an_svg_whose_title_says_the_means(view: str, task: str, shown: list[str]) -> None:
    widget = few_shot_curves(view=view, task=task, shown_methods=shown)
    picture = widget.picture()
    title = ET.fromstring(picture).find("{http://www.w3.org/2000/svg}title").text
    label = next(one["label"] for one in TASKS if one["name"] == task)
    assert title.startswith(label)
    for row in widget.rows():
        assert number_near(title, row["mean"])
    assert ("No method is chosen" in title) == (not widget.rows())
    assert "nan" not in picture.lower()


def test_the_picture_shows_equal_accuracies_too() -> None:
    for view in VIEWS:
        picture = small({"ia3": [1.0, 1.0], "full": [1.0, 1.0]}, view=view).picture()
        assert "nan" not in picture.lower() and "inf" not in picture.lower()


def test_the_repr_names_the_choices_and_leaves_out_the_data() -> None:
    text = repr(few_shot_curves(k=64))
    assert text.startswith("FewShotCurves(k=64, numbers=False, reference='ia3', shown_methods=['head',")
    assert "accuracies" not in text


def test_the_whole_state_is_under_30_kb_compressed() -> None:
    from ipywidgets.embed import dependency_state

    state = dependency_state([few_shot_curves()], drop_defaults=False)
    assert len(gzip.compress(json.dumps(state).encode())) < 30_000
    assert len(RUNS) == (2 * 5 + 3) * 9 * 8


# --- in the browser ------------------------------------------------------------------------------------------------


def trait(page: Any, name: str) -> Any:
    return page.evaluate(f"ia3Widgets.FewShotCurves[0].get('{name}')")


def put(page: Any, **changes: Any) -> None:
    """Set traits as the buttons in the prose do."""
    page.evaluate("(changes) => ia3Widgets.FewShotCurves[0].set(changes)", changes)
    page.evaluate("Promise.resolve()")


def said(page: Any) -> str:
    return page.locator(".ia3-say").text_content()


def places(page: Any, method: str) -> list[tuple[float, float]]:
    """Return where the marks of a method stand in the chart."""
    marks = page.locator(f".fs-chart [data-method='{method}'] .fs-mark")
    texts = marks.evaluate_all("(marks) => marks.map((mark) => mark.getAttribute('transform'))")
    return [tuple(float(part) for part in text[10:-1].split()) for text in texts]


def number_near(text: str, value: float) -> bool:
    return f"{abs(round(value, 10)):.3f}" in text


@pytest.mark.browser
def test_higher_means_stand_higher_and_doublings_are_equally_wide(widget_page) -> None:
    widget = few_shot_curves(shown_methods=["head", "ia3", "full"])
    page = widget_page(widget)
    rows = widget.rows()
    for name in widget.shown_methods:
        points = places(page, name)
        assert len(points) == 5
        steps = [right[0] - left[0] for left, right in itertools.pairwise(points)]
        assert steps == pytest.approx([steps[0]] * 4, abs=0.01)
    means = [row["mean"] for row in rows]
    ys = [y for name in widget.shown_methods for _, y in places(page, name)]
    slope = (ys[1] - ys[0]) / (means[1] - means[0])
    assert slope < 0
    assert ys == pytest.approx([ys[0] + slope * (value - means[0]) for value in means], abs=0.02)


@pytest.mark.browser
def test_a_task_with_one_k_is_a_dot_plot_with_every_draw(widget_page) -> None:
    page = widget_page(few_shot_curves())
    assert page.locator(".fs-draw").count() == 0
    assert page.locator(".fs-chart .fs-curve").count() == 9
    page.get_by_role("combobox", name="Task").select_option("tense")
    assert page.locator(".fs-draw").count() == 8 * 9
    assert page.locator(".fs-chart .fs-curve").count() == 0
    assert page.locator(".fs-chart .fs-name").all_text_contents() == [method["label"] for method in METHODS]
    assert said(page).startswith("tense, k = 32, 8 draws")


@pytest.mark.browser
def test_views_show_their_own_controls(widget_page) -> None:
    page = widget_page(few_shot_curves())
    k, reference = page.locator(".fs-k"), page.get_by_role("combobox", name="Reference")
    assert (k.is_visible(), reference.is_visible()) == (False, False)
    page.get_by_label("against parameters").check()
    assert (k.is_visible(), reference.is_visible()) == (True, False)
    assert page.locator(".fs-chart .fs-mark").count() == 9
    page.get_by_label("paired difference").check()
    assert (k.is_visible(), reference.is_visible()) == (True, True)
    assert page.locator(".fs-chart .fs-mark").count() == 8
    assert page.locator(".fs-zero").count() == 1
    page.get_by_label("128", exact=True).check()
    reference.select_option("full")
    assert (trait(page, "k"), trait(page, "reference")) == (128, "full")
    expected = few_shot_curves(view="paired", k=128, reference="full").rows()
    sides = [1 if row["low"] > 0 else -1 if row["high"] < 0 else 0 for row in expected]
    drawn = page.locator(".fs-series").evaluate_all("(nodes) => nodes.map((node) => Number(node.dataset.side))")
    assert drawn == sides


@pytest.mark.browser
def test_chips_choose_the_methods_and_none_is_explained(widget_page) -> None:
    page = widget_page(few_shot_curves(shown_methods=["ia3", "full"]))
    page.get_by_role("checkbox", name="BitFit").check()
    assert trait(page, "shown_methods") == ["ia3", "bitfit", "full"]
    assert len(places(page, "bitfit")) == 5
    for label in ("IA\u00b3", "BitFit", "full fine-tuning"):
        page.get_by_role("checkbox", name=label, exact=True).uncheck()
    assert said(page) == "Choose at least one method."
    assert page.locator(".fs-chart").is_hidden()
    assert "NaN" not in page.locator("main").inner_html()
    page.get_by_role("checkbox", name="IA\u00b3", exact=True).check()
    assert page.locator(".fs-chart").is_visible()
    put(page, view="paired")
    assert said(page) == "Choose a method to compare with IA\u00b3."


@pytest.mark.browser
@pytest.mark.parametrize("view", VIEWS)
def test_the_arrow_keys_read_every_mark_and_keep_the_focus(widget_page, view: str) -> None:
    widget = few_shot_curves(view=view, shown_methods=["head", "ia3", "lora-r4-qv"], reference="full")
    page, rows = widget_page(widget), widget.rows()
    cursor, read = page.get_by_role("slider", name="Reading cursor"), page.locator(".fs-reading")
    assert "arrow keys" in read.text_content()
    cursor.focus()
    page.keyboard.press("Home")
    assert number_near(read.text_content(), rows[0]["mean"])
    page.keyboard.press("End")
    last = cursor.get_attribute("aria-valuetext")
    assert read.text_content() == last
    assert all(number_near(last, rows[-1][key]) for key in ("mean", "low", "high"))
    assert cursor.get_attribute("aria-valuenow") == cursor.get_attribute("aria-valuemax") == str(len(rows))
    page.keyboard.press("ArrowLeft")
    step = rows[-2]
    assert number_near(read.text_content(), step["mean"])
    put(page, numbers=True)
    page.wait_for_selector(".fs-table td")
    assert page.evaluate("document.activeElement.getAttribute('role')") == "slider"


@pytest.mark.browser
def test_pointing_at_a_mark_reads_it_with_mouse_and_finger(widget_page) -> None:
    widget = few_shot_curves(shown_methods=["ia3"])
    page, rows = widget_page(widget, width=390, touch=True), widget.rows()
    page.locator(".fs-chart").scroll_into_view_if_needed()
    box = page.locator(".fs-chart [data-method=ia3] .fs-mark").nth(3).bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    assert number_near(page.locator(".fs-reading").text_content(), rows[3]["mean"])
    box = page.locator(".fs-chart [data-method=ia3] .fs-mark").nth(1).bounding_box()
    page.touchscreen.tap(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    assert number_near(page.locator(".fs-reading").text_content(), rows[1]["mean"])


@pytest.mark.browser
@pytest.mark.parametrize("view", VIEWS)
def test_the_table_holds_every_number_on_show(widget_page, view: str) -> None:
    widget = few_shot_curves(view=view)
    page = widget_page(widget)
    assert page.locator(".fs-scroll").is_hidden()
    page.get_by_label("Show the numbers").check()
    lines = page.locator(".fs-table tbody tr")
    rows = widget.rows()
    assert lines.count() == len(rows)
    for text, row in zip(lines.all_inner_texts(), rows, strict=True):
        assert all(number_near(text, row[key]) for key in ("mean", "low", "high"))
        if view == "paired":
            assert text.split()[-1] == ("yes" if row["low"] > 0 or row["high"] < 0 else "no")
    heads = page.locator(".fs-table tbody th").all_text_contents()
    assert heads == [method["label"] for method in METHODS if view != "paired" or method["name"] != "ia3"]
    assert "sentiment <under> negation" in page.locator(".fs-table caption").text_content()


@pytest.mark.browser
def test_prose_can_set_everything_at_once_and_reset_brings_the_start_back(widget_page) -> None:
    page = widget_page(few_shot_curves())
    before = said(page)
    put(page, task="agent", k=64, view="paired", reference="full", shown_methods=["full", "ia3"])
    assert said(page).startswith("who did it, k = 64, 8 draws:")
    assert page.locator(".fs-chart .fs-mark").count() == 1
    assert page.get_by_label("64", exact=True).is_checked()
    page.get_by_role("button", name="Reset").click()
    assert said(page) == before
    assert {name: trait(page, name) for name in STATE[:5]} == {
        name: getattr(few_shot_curves(), name) for name in STATE[:5]
    }


@pytest.mark.browser
def test_a_task_without_the_chosen_k_shows_its_own_and_the_choice_comes_back(widget_page) -> None:
    page = widget_page(few_shot_curves(view="parameters", k=128))
    put(page, task="act")
    assert said(page).startswith("request, question or statement, k = 32")
    assert page.locator(".fs-k input").count() == 1
    put(page, task="agent")
    assert said(page).startswith("who did it, k = 128")


@pytest.mark.browser
@pytest.mark.parametrize("width", [320, 390, 900])
@pytest.mark.parametrize("view", VIEWS)
def test_nothing_is_wider_than_the_page_and_targets_are_large_enough(widget_page, view: str, width: int) -> None:
    page = widget_page(few_shot_curves(view=view, numbers=True), width=width)
    for task in ("sentiment", "act"):
        put(page, task=task)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert width == 320 or page.evaluate(
            "(() => { const s = document.querySelector('.fs-scroll'); return s.scrollWidth <= s.clientWidth; })()"
        )
        outside = """(() => {
            const all = [...document.querySelectorAll(".fs-chart text, .fs-chart .fs-mark")];
            const chart = document.querySelector(".fs-chart").getBoundingClientRect();
            return all.map((node) => node.getBoundingClientRect()).filter((box) => box.left < chart.left - 2
                || box.right > chart.right + 2 || box.top < chart.top - 2 || box.bottom > chart.bottom + 2).length;
        })()"""
        assert page.evaluate(outside) == 0
    controls = page.locator(".fs-chip, .ia3-check, .ia3-button, .ia3 select, .ia3-segmented label")
    heights = controls.evaluate_all("(all) => all.map((one) => one.getBoundingClientRect().height).filter(Boolean)")
    assert len(heights) > 12 and min(heights) >= 37


@pytest.mark.browser
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_marks_stand_out_from_the_page_in_both_themes(widget_page, theme: str) -> None:
    page = widget_page(few_shot_curves(), theme=theme)
    for name, style in METHOD_STYLES.items():
        color = PALETTE[style.role].light if theme == "light" else PALETTE[style.role].dark
        wanted = f"rgb({', '.join(str(int(color[i : i + 2], 16)) for i in (1, 3, 5))})"
        mark = page.locator(f".fs-chart [data-method={name}] .fs-mark").first
        assert mark.evaluate("(node) => getComputedStyle(node).stroke") == wanted
        hollow = mark.evaluate("(node) => getComputedStyle(node).fill") != wanted
        assert hollow == (not style.filled)


@pytest.mark.browser
def test_the_chart_follows_a_page_that_changes_its_width(widget_page) -> None:
    page = widget_page(few_shot_curves())
    wide = page.locator(".fs-chart").get_attribute("viewBox")
    page.set_viewport_size({"width": 390, "height": 800})
    page.wait_for_function("(wide) => document.querySelector('.fs-chart').getAttribute('viewBox') !== wide", arg=wide)
    shown = page.locator(".fs-chart").evaluate("(svg) => [svg.viewBox.baseVal.width, svg.clientWidth]")
    assert shown[0] == pytest.approx(shown[1], abs=2)  # one unit is one pixel, so that text keeps its size


@pytest.mark.browser
def test_an_interval_that_just_excludes_zero_does_not_seem_to_end_at_it(widget_page) -> None:
    gaps = (0.02, 0.04, 0.06, 0.0011)  # Student's interval of these ends just above 0 when shifted
    shift = interval(gaps).low - 0.0003
    runs = [
        {
            "task": "made up",
            "k": 32,
            "method": method,
            "draw": draw,
            "accuracy": 0.5 + (method == "ia3") * (gap - shift),
        }
        for draw, gap in enumerate(gaps)
        for method in ("head", "ia3")
    ]
    chosen = [method for method in METHODS if method["name"] in ("head", "ia3")]
    widget = FewShotCurves(runs=runs, methods=chosen, view="paired", numbers=True)
    assert 0.00025 < widget.rows()[0]["low"] < 0.00035  # the control: three digits are none
    page = widget_page(widget)
    cells = page.locator(".fs-table tbody td").all_text_contents()
    assert cells[-1] == "yes"
    assert cells[-2].startswith("0.0003 to ")
    assert "0.0003" in widget.picture()
    page.set_viewport_size({"width": 390, "height": 800})
    scroll = page.locator(".fs-scroll")
    assert scroll.evaluate("(node) => node.scrollWidth <= node.clientWidth")


@pytest.mark.browser
def test_an_interval_cut_at_one_has_no_end_bar_there_and_the_note_says_so(widget_page) -> None:
    runs = [
        {"task": "made up", "k": k, "method": method, "draw": draw, "accuracy": value}
        for k in (16, 32)
        for method, values in {"head": (0.6, 0.7, 0.65), "ia3": (1.0, 0.8, 1.0)}.items()
        for draw, value in enumerate(values)
    ]
    chosen = [method for method in METHODS if method["name"] in ("head", "ia3")]
    widget = FewShotCurves(runs=runs, methods=chosen)
    assert {row["method"] for row in widget.rows() if row["high"] > 1} == {"ia3"}
    page = widget_page(widget)

    def moves(method: str) -> list[int]:
        paths = page.locator(f".fs-chart [data-method={method}] .fs-interval")
        return paths.evaluate_all("(all) => all.map((one) => one.getAttribute('d').split('M').length - 1)")

    assert moves("head") == [3, 3]  # the interval itself and two end bars
    assert moves("ia3") == [2, 2]
    assert "cut there and has no end bar" in page.locator(".fs-note").text_content()
    put(page, shown_methods=["head"])
    page.wait_for_function("!document.querySelector('.fs-note').textContent.includes('cut there')")
    put(page, shown_methods=["ia3"], view="paired")
    assert "cut there" not in page.locator(".fs-note").text_content()


@pytest.mark.browser
def test_the_word_methods_stands_above_the_methods_under_the_styles_of_the_site(widget_page) -> None:
    page = widget_page(few_shot_curves())
    page.add_style_tag(content="legend { float: left; width: 100%; }")  # as Bootstrap does
    legend, chip = (page.locator(f".fs-chips {kind}").first.bounding_box() for kind in ("legend", "label"))
    assert legend["y"] + legend["height"] <= chip["y"] + 1
    assert legend["x"] == pytest.approx(chip["x"], abs=2)


@pytest.mark.browser
@pytest.mark.parametrize("width", [390, 720])
def test_reading_a_mark_moves_nothing(widget_page, width: int) -> None:
    page = widget_page(few_shot_curves(view="paired", reference="lora-r4-kvff"), width=width)
    below = page.locator(".fs-note")
    before = below.bounding_box()["y"]
    page.get_by_role("slider", name="Reading cursor").focus()
    for _ in METHODS:
        assert below.bounding_box()["y"] == pytest.approx(before, abs=1)
        page.keyboard.press("ArrowDown")


@pytest.mark.browser
def test_the_label_of_guessing_lies_below_its_line(widget_page) -> None:
    page = widget_page(few_shot_curves())
    line, word = page.locator(".fs-chance").bounding_box(), page.locator(".fs-chart .fs-tick", has_text="guessing")
    assert word.bounding_box()["y"] >= line["y"]  # above it stand the marks of methods that learn little
    axis = page.locator(".fs-axis").last.bounding_box()
    assert word.bounding_box()["y"] + word.bounding_box()["height"] <= axis["y"] + 4


@pytest.mark.browser
def test_the_chosen_view_is_marked_where_the_system_sets_the_colors(widget_page) -> None:
    page = widget_page(few_shot_curves())
    page.emulate_media(forced_colors="active")
    color = "(node) => getComputedStyle(node).backgroundColor"
    chosen, other = (
        page.locator(f".ia3-segmented input{kind} + span").first for kind in (":checked", ":not(:checked)")
    )
    assert chosen.evaluate(color) != other.evaluate(color)
