"""What holds for all widgets: their pictures, what Python refuses, and what a reader's browser needs of them."""

import gzip
import json
import random
import re
import xml.etree.ElementTree as ET
from functools import partial
from html import escape
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
import site_assets
from docutils import nodes
from matplotlib import pyplot as plt
from traitlets import TraitError
from widget_helpers import (
    SVG,
    TOO_WIDE,
    assert_fits,
    drag,
    in_each_state,
    middle,
    press,
    read_picture,
    set_traits,
    smallest_side,
    trait,
)

from ia3_lab import geometry, widgets
from ia3_lab.pictures import LEARNED
from ia3_lab.style import figure_color
from ia3_lab.widgets import EllipseLab
from ia3_lab.widgets.adaptation_dial import Story
from ia3_lab.widgets.ellipse_lab import target_matrix
from ia3_lab.widgets.vector_explorer import VectorSet, summarize

#: At t = 1 all weight of a row has moved: the strongest colors there are.
MAPS = [[[[[1.0, 0.0], [0.5, 0.5]]]], [[[[0.0, 1.0], [0.9, 0.1]]]]]
STORY = Story(("<b>", "a&b"), (0, 1), (0.2, 0.9), np.array(MAPS).repeat(2, axis=2))
VECTORS = VectorSet(pd.DataFrame([{"part": "", "kind": "k", "layer": 0, **summarize([1.0, 1.5, 0.9])}]))
RUNS = pd.DataFrame({"task": "act", "k": 4, "method": ["ia3", "head"] * 2, "draw": [0, 0, 1, 1], "stage": "final"})
DATA = {
    "AdaptationDial": ([STORY],),
    "FewShotCurves": (
        RUNS.assign(accuracy=[0.5, 0.4, 0.7, 0.5]),
        {"ia3": ("IA³", 4), "head": ("head", 0)},
        {"act": 0.5},
    ),
    "VectorExplorer": ({"toy": VECTORS},),
}
#: class -> how to make one, with a few traits
MAKERS = {name: partial(getattr(widgets, name), *DATA.get(name, ())) for name in widgets.__all__ if name != "Quiz"}
each_widget = pytest.mark.parametrize("name", MAKERS)


@each_widget
def test_an_unknown_name_is_refused_and_a_notebook_gets_a_text_and_a_picture_which_reach_nothing_else_of_it(name):
    data = (widget := MAKERS[name]())._repr_mimebundle_()[0]
    with pytest.raises(TraitError, match="'l_kk'") as error:
        MAKERS[name](l_kk=[1.0])
    assert all(re.search(rf"\b{one}\b", str(error.value)) for one in re.findall(r"(\w+)=", repr(widget)))
    assert data["text/plain"] == repr(widget) and re.fullmatch(rf"{name}\(\w+=.*\)", repr(widget))
    assert "0x" not in repr(widget) and len(repr(widget)) < 300
    plt.figure()
    plt.rcParams.update({"font.size": 30, "svg.hashsalt": "other", "axes.facecolor": "red"})
    settings = mpl.rcParams.copy()
    picture = widget.picture()  # the same bytes whatever the notebook has drawn and set
    assert len(re.findall("<[^/]", data["text/html"])) == 2  # an image, of which no notebook strips the drawing
    page = nodes.section("", nodes.raw("", data["text/html"], format="html"))
    site_assets.inline_pictures(None, page)
    inline = page.astext().replace(f' color="{figure_color("text")}" font-family="sans-serif"', "")
    shown = f'<div class="widget-fallback" data-model-id="{widget.model_id}">{picture}</div>'
    assert inline == shown + site_assets.WIDGET_HERE
    assert mpl.rcParams == settings and len(plt.get_fignums()) == 1
    mpl.rcdefaults()
    figure, sentence = widget.figure()
    assert figure.canvas.manager is None  # no window, no output of its own
    root = ET.fromstring(picture)
    assert root.get("role") == "img" and root.find(f"{SVG}title").text == sentence
    assert f'alt="{escape(sentence)}"' in data["text/html"]
    assert not [*root.iter(f"{SVG}style")] and not [*root.iter(f"{SVG}metadata")] and [*root.iter(f"{SVG}text")]
    assert "currentColor" in picture and figure_color("text") not in " ".join(re.findall("<text[^>]*>", picture))
    ids = re.findall(r' id="([^"]+)"', picture)
    assert len(ids) == len(set(ids)) and all(f"#{one}" in picture for one in ids)
    assert len(gzip.compress(picture.encode())) < 6_000


def test_two_pictures_on_one_page_share_no_id_and_words_of_the_reader_are_escaped() -> None:
    ids = [set(re.findall(r' id="([^"]+)"', EllipseLab(l_1=l_1).picture())) for l_1 in (0.5, 2.0)]
    assert ids[0] and not ids[0] & ids[1]
    assert set(STORY.tokens) <= set(read_picture(MAKERS["AdaptationDial"]())[1])


@pytest.mark.parametrize("values", [{"l_1": 1.8, "l_2": 0.0}, {"mode": "lora", "target": "tilted"}])
def test_the_picture_of_the_ellipse_lab_shows_the_image_of_the_circle_and_the_target(values: dict[str, Any]) -> None:
    lab = EllipseLab(**values)
    figure, sentence = lab.figure()
    lines = {line.get_label(): line.get_xydata() for line in figure.axes[0].lines}
    np.testing.assert_allclose(lines["image"], lines["circle"] @ lab.matrix)
    assert "half-axes {:.2f} and {:.2f}".format(*geometry.read_svd(lab.matrix).half_axes) in sentence
    if lab.target == "tilted":
        np.testing.assert_allclose(figure.axes[0].lines[-1].get_xydata(), lines["circle"] @ target_matrix("tilted"))


REFUSED = [
    ("EllipseLab", {"l_1": 2.6}, "'l_1' trait .* expected a finite number from -2.5 to 2.5, not the float 2.6"),
    ("AttentionHead", {"l_k": [1, 2, 3]}, "'l_k' trait .* must be of length 4 <= L <= 4"),
    ("MergeViewer", {"x": [1.0, float("nan"), 3.0]}, "'x' trait .* from -5 to 5, not the float nan"),
    ("ParameterCalculator", {"custom": {"d_ff": float("nan")}}, "'custom' trait .* finite number"),
    ("FewShotCurves", {"task": "acts"}, "task: 'acts' is not one of act$"),
    ("FewShotCurves", {"reference": "IA3"}, "reference: 'IA3' is not one of ia3, head$"),
    ("FewShotCurves", {"shown_methods": ["ia3", "Head"]}, "shown_methods: 'Head' is not one of ia3, head$"),
    ("AdaptationDial", {"t": 1.01}, "'t' trait .* from 0 to 1, not the float 1.01"),
    ("VolumeKnobs", {"volumes": [1.0] * 11}, "'volumes' trait .* must be of length 12"),
]


@pytest.mark.parametrize(("name", "changes", "says"), REFUSED)
def test_what_a_page_would_draw_wrong_is_refused_and_leaves_the_state_as_it_was(name, changes, says) -> None:
    widget = (make := MAKERS[name])()
    before = repr(widget)
    for try_it in (lambda: make(**changes), lambda: widget.set_trait(*next(iter(changes.items())))):
        with pytest.raises(TraitError, match=says):
            try_it()
    assert repr(widget) == before


# --- in the browser ----------------------------------------------------------------------------------------------

#: class -> traits under which its sentence is another than at the start
CHANGES = {
    "AdaptationDial": {"t": 1.0, "change": True},
    "AttentionHead": {"l_k": [3, 3, 3, 3]},
    "EllipseLab": {"mode": "lora", "rank": 2, "target": "tilted", "b_2": [0.6, 1.7]},
    "FewShotCurves": {"view": "paired", "numbers": True},
    "MergeViewer": {"vector": "l_ff", "into_W_1": True},
    "ParameterCalculator": {"preset": "custom"},
    "SentenceDial": {"t": 1.0, "story": 2},
    "VectorExplorer": {"unit": 0},
    "VolumeKnobs": {"volumes": [0.0] * 12},
}
CONTROLS = [
    *(".ia3-check", ".ia3-button", ".ia3-target", ".ia3-segmented label", ".fs-chip"),
    *(".ia3 select", ".ia3 input[type=number]", ".ia3-slider input"),
    *(".vk-track", ".vk-picture", ".vk-task", ".vk-card"),
]
SEGMENTS = ("backgroundColor", ".ia3-segmented :checked + span", ".ia3-segmented :not(:checked) + span")
BARS = [("backgroundColor", bar, ".ia3-dial") for bar in (".ad-probability i", ".ad-now", ".ad-key-now")]
#: class -> what must not look alike where the system sets the colors
CHOSEN = {
    "FewShotCurves": [SEGMENTS],
    "VectorExplorer": [SEGMENTS],
    "VolumeKnobs": [SEGMENTS, ("outline", ".vk-task :checked + span", ".vk-task :not(:checked) + span")],
    "AdaptationDial": [("outline", ".ad-heads [aria-selected=true]", ".ad-heads [aria-selected=false]"), *BARS],
}
MIXES = [random.Random(i).choices([0, 1, -4, 4, 12.34, -0.05, 2.5], k=12) for i in range(11)]
#: class -> states between which its height must not change
TRAITS = {
    "AdaptationDial": [{"t": t, "query": query, "change": t == 1} for t in (0, 0.55, 1) for query in (0, 1)],
    "AttentionHead": [{"l_k": [1, 1, 3, 1], "l_v": [1, v, 1, v]} for v in (1, -0.35, 0)],
    "EllipseLab": [
        *({"mode": mode, "rank": rank, "l_1": 1.68, "l_2": 1.25} for mode in ("ia3", "lora") for rank in (1, 2)),
        *({"target": target, "l_2": l_2} for target in ("tilted", "rotation", "none") for l_2 in (1.25, -2)),
        {"mode": "ia3", "l_1": 0, "l_2": 0, "target": "rotation"},
        {"l_1": 2.5, "target": "upright"},
    ],
    "MergeViewer": [
        {"vector": vector, "convention": convention, "forget_bias": wrong, "into_W_1": wrong}
        for vector in ("l_k", "l_v", "l_ff")
        for convention in ("torch", "math")
        for wrong in (False, True)
    ],
    "SentenceDial": [{"story": story, "t": t} for story in range(3) for t in (0, 0.35, 1)],
    "VolumeKnobs": [
        *({"dots": 20, "steps": n, "shown": one} for n in (0, 9, 600) for one in ("hand", "ia3", "lora", "full")),
        *({"steps": 0, "shown": "hand", "task": LEARNED[i], "turned": i + 1, "volumes": MIXES[i]} for i in range(11)),
    ],
}
COMPACT = {"compact": True}
#: Its height without the numbers that can be unfolded, what is too wide in it, and whether a number or a picture lacks.
LOOK = f"""(root) => {{
    const numbers = root.querySelector(".ia3-numbers");
    if (numbers) numbers.open = true;
    const height = root.getBoundingClientRect().height - (numbers?.getBoundingClientRect().height ?? 0);
    const tiny = [...root.querySelectorAll("canvas, svg")].some((one) => one.checkVisibility() && one.clientWidth < 20);
    return [Math.round(height), ({TOO_WIDE})(), tiny || /NaN|undefined|Infinity/.test(root.textContent)];
}}"""


#: All styles of all its parts, once it has drawn itself in its width.
STYLES = """new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))).then(() =>
    [...document.querySelectorAll(".ia3, .ia3 *")].map((one) => [...one.computedStyleMap()].join()))"""


@pytest.mark.browser
@pytest.mark.parametrize(
    ("name", "compact"), [*((name, {}) for name in MAKERS), ("EllipseLab", COMPACT), ("VolumeKnobs", COMPACT)]
)
def test_a_widget_keeps_its_height_fits_a_phone_is_hit_by_fingers_and_shows_choices_in_the_system_s_colors(
    widget_page, name, compact
) -> None:
    page = widget_page(MAKERS[name](**compact), reduced_motion="reduce")
    page.add_style_tag(content="body { font-family: system-ui, sans-serif; }")  # as on the site: a wide font, here
    alone = page.evaluate(STYLES)
    page.add_style_tag(content=str(EllipseLab._css))  # as another widget does that comes after it
    assert page.evaluate(STYLES) == alone
    for width in (704, 374):  # a chapter's column, and a phone
        page.set_viewport_size({"width": width, "height": 800})
        seen = in_each_state(page, TRAITS.get(name, [{}]), LOOK)
        heights = {height for height, *_ in seen}
        assert max(heights) - min(heights) <= 1
        assert {(*too_wide, lacks) for _, too_wide, lacks in seen} == {(False,)}
    set_traits(page, **CHANGES[name])
    assert_fits(page)
    assert smallest_side(page.locator(", ".join(CONTROLS)).locator("visible=true")) >= 37
    page.emulate_media(forced_colors="active")
    for style, *pair in CHOSEN.get(name, ()) if not compact else ():
        look = f"node => getComputedStyle(node).{style}"
        one, other = (page.locator(kind).first.evaluate(look) for kind in pair)
        assert one != other


#: class, a handle and its trait; what keys make of it, and the text then; a way in pixels, and the text there
HANDLES = [
    ("EllipseLab", "l_1, factor", "l_1", (1.05, 1.1, 1.09, 0.59, -2.5, 2.5), "2.50, amplified", 40, 18, "1.49"),
    ("EllipseLab", "probe x", "probe", (50, 55, 54, 4, -180, 180), "180 degrees. The probe", 40, -10, "35 degrees"),
    ("AttentionHead", "l_v, value feature action", "l_v.1", (1.1, 1.2, 1.18, 0.18, -2, 3), "3.00", 30, 0, "1.70"),
    ("MergeViewer", "l_k entry 1", "l_k.0", (1.9, 2, 1.98, 0.98, -1, 2), "2.00", -40, 8, "\u22120.20"),
    ("ParameterCalculator", "Rank of LoRA", "rank", (9, 10, 9, 1, 1, 64), "r = 64", 60, 0, "r = 40"),
    ("AdaptationDial", "t, from", "t", (0.01, 0.02, 0.01, 0, 0, 1), "1.00", 60, 0, "0.61"),
    ("SentenceDial", "From frozen to adapted", "t", (0.05, 0.1, 0.05, 0, 0, 1), "100%", 60, 0, "60%"),
    ("VolumeKnobs", "Volume of picture 1,", "volumes.0", (1.25, 1.5, 1.45, 0.45, -4, 4), "4.00", 0, 30, "\u22121.4"),
]


@pytest.mark.browser
@pytest.mark.parametrize(("name", "label", "place", "values", "text", "right", "down", "there"), HANDLES)
def test_a_handle_goes_with_keys_with_the_mouse_with_a_finger_under_which_the_page_does_not_scroll_and_to_a_tap(
    widget_page, name, label, place, values, text, right, down, there
) -> None:
    page, (vector, _, entry) = widget_page(widget := MAKERS[name](), touch=True), place.partition(".")
    handle, start = page.get_by_role("slider", name=label), {vector: getattr(widget, vector)}
    keys = ("ArrowRight", "ArrowUp", "Shift+ArrowLeft", "PageDown", "Home", "End")
    for key, value in zip(keys, values, strict=True):
        press(handle, key)
        now = trait(page, vector)
        assert (now[int(entry)] if entry else now) == pytest.approx(value)
    assert handle.get_attribute("aria-valuetext").startswith(text)
    ends = handle.evaluate("e => [e.ariaValueMin ?? e.min, e.ariaValueMax ?? e.max, e.ariaValueNow ?? e.value]")
    assert [float(end) for end in ends] == [*values[4:], values[5]]
    press(handle, "ArrowRight", "ArrowDown")
    focused = page.evaluate("document.activeElement.getAttribute('aria-valuetext')")
    assert not focused.startswith(text)  # it moved, and kept the focus
    set_traits(page, **start)
    x, y = middle(handle)
    for go in (
        lambda: drag(page, handle, right, down),
        lambda: drag(page, handle, right, down, finger=True),
        lambda: page.touchscreen.tap(x + right, y + down),
    ):
        set_traits(page, **start)
        page.evaluate("document.activeElement.blur()")
        go()
        assert handle.get_attribute("aria-valuetext").startswith(there) and page.evaluate("scrollY") == 0
        native = handle.evaluate("node => node.localName === 'input'")  # which no finger gives the focus
        assert native or handle.evaluate("node => node === document.activeElement")


#: class -> states in which its drawing is crowded
FACTORS = (-2.5, -1.2, -0.5, 0, 0.3, 1, 1.8, 2.5)
PAIRS = [
    *({"rank": 1, "a": a, "b": b} for a, b in (([0, 1], [0, 0]), ([0, 1], [0.8, 0]), ([1, -0.75], [-1.28, 0.96]))),
    {"rank": 2, "a": [1.5, 0], "b": [-0.09, 0.33], "a_2": [0, 1.5], "b_2": [-0.33, -0.09]},
    {"rank": 2, "a": [0, 0], "b": [0, 0], "a_2": [0.1, 0], "b_2": [0, -0.1]},
    {"rank": 2, "a": [2.5, 2.5], "b": [2.5, -2.5], "a_2": [-2.5, 2.5], "b_2": [-2.5, -2.5]},
]
CROWDED = {
    "EllipseLab": [
        {**state, "probe": probe}
        for probe in (45, 0, 90, -150, 179)
        for state in (
            *({"mode": "ia3", "l_1": l_1, "l_2": l_2} for l_1 in FACTORS for l_2 in FACTORS),
            *({"mode": "lora", **pair} for pair in PAIRS),
        )
    ],
    "MergeViewer": [{**state, "l_k": [2, -1, 0, 1.45], "l_ff": [2, -1, 0, 1.45]} for state in TRAITS["MergeViewer"]],
}
COLLISIONS = """(root) => [...root.querySelectorAll("svg")].flatMap((svg) => {
    const seen = (node) => node.checkVisibility() && node.getBoundingClientRect().width;
    const part = (a, b, low, high) => Math.min(a[high], b[high]) - Math.max(a[low], b[low]) > 0.5;
    const nodes = [...svg.querySelectorAll("text, .ia3-dot")].filter(seen);
    const boxes = nodes.map((node) => node.getBoundingClientRect());
    return nodes.flatMap((node, i) => nodes.slice(0, i).filter((other, j) =>
        [node, other].some(({ localName }) => localName === "text") &&
        part(boxes[i], boxes[j], "left", "right") && part(boxes[i], boxes[j], "top", "bottom")
    ).map((other) => [node.textContent, other.textContent]));
})"""


@pytest.mark.browser
@pytest.mark.parametrize("name", CROWDED)
def test_no_text_of_a_drawing_lies_on_another_or_on_a_handle_and_a_collision_is_noticed(widget_page, name):
    page = widget_page(MAKERS[name]())
    for width in (704, 374):
        page.set_viewport_size({"width": width, "height": 800})
        found = zip(CROWDED[name], in_each_state(page, CROWDED[name], COLLISIONS), strict=True)
        assert [(state, texts) for state, texts in found if texts] == []
    page.add_style_tag(content=".ia3 svg text { font-size: 60px !important; }")
    assert in_each_state(page, CROWDED[name][:1], COLLISIONS)[0]


@pytest.mark.browser
@each_widget
def test_the_sentence_follows_and_is_heard_at_rest_reset_takes_all_back_and_clean_up_leaves_no_listener(
    widget_page, name
) -> None:
    page = widget_page(widget := MAKERS[name](), reduced_motion="reduce")
    look = "() => ['.ia3-say', '[role=status]'].map((kind) => document.querySelector(kind).textContent)"
    (before, _), (seen, heard) = in_each_state(page, [{}, CHANGES[name]], look)
    assert seen != before == heard
    page.wait_for_function("text => document.querySelector('[role=status]').textContent === text", arg=seen)
    page.get_by_role("button", name=re.compile("^reset", re.IGNORECASE)).click()
    start = {known: getattr(widget, known) for known in re.findall(r"(\w+)=", repr(widget))}
    assert {known: trait(page, known) for known in start} == start
    assert page.locator(".ia3-say").first.text_content() == before
    render = """async ([name, source]) => {
      const url = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
      const widget = (await import(url)).default, real = ia3Widgets[name][0], heard = new Set();
      const model = { get: (name) => real.get(name), on: (name) => heard.add(name), off: (name) => heard.delete(name) };
      const cleanUp = widget.render({ model, el: document.body.appendChild(document.createElement("div")) });
      return [heard.size, (cleanUp(), heard.size)];
    }"""
    during, after = page.evaluate(render, [name, str(getattr(widgets, name)._esm)])
    assert during and not after


def test_every_button_in_the_prose_sets_values_that_python_accepts(site) -> None:
    pages = "".join(path.read_text("utf8") for path in site.glob("book/*.html"))
    buttons = re.findall(r"""data-widget="(\w+)" data-set='([^']+)'""", pages)
    assert len(buttons) == pages.count('class="set-widget"') >= 20
    for name, values in buttons:
        if name not in DATA:
            MAKERS[name](**json.loads(values))
