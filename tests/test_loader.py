"""The script that mounts stored widgets on a page without a kernel."""

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest

pytestmark = pytest.mark.browser
Open = Callable[..., Any]

# Shows the trait `n` and, in an attribute, how often the model was initialized.
COUNTER = """
export default {
  initialize({ model }) { model.set("initialized", (model.get("initialized") ?? 0) + 1); },
  render({ model, el }) {
    const draw = () => { el.textContent = `n = ${model.get("n")}`; };
    model.on("change:n", draw);
    draw();
    el.dataset.initialized = model.get("initialized");
    return () => { document.body.dataset.cleaned = "yes"; };
  },
};
"""
BYTES = """
export default async () => ({
  render({ model, el }) { el.textContent = [0, 1, 2].map((i) => model.get("data").getUint8(i)); },
});
"""
BROKEN = "export default { render() { throw new Error('no luck'); } };"
BUTTON = "<button class='set-widget' data-widget='{}' data-set='{{\"n\": 8}}'>set it</button>"
PICTURE = '<div class="widget-fallback" data-model-id="{}"><svg id="picture"></svg></div>'


def anywidget(name: str, source: str = COUNTER, **state: Any) -> dict[str, Any]:
    given = {"_esm": source, "_css": ".x {}", "_anywidget_id": f"pkg.{name}", **state}
    return {"model_name": "AnyModel", "state": given}


def slider(description: str) -> dict[str, Any]:
    state = {"value": 2, "min": 0, "max": 10, "step": 0.5, "description": description}
    return {"model_name": "FloatSliderModel", "state": state}


def view(*keys: str) -> str:
    kind = "application/vnd.jupyter.widget-view+json"
    return "".join(f'<script type="{kind}">{json.dumps({"model_id": key})}</script>' for key in keys)


TWO = {"a": anywidget("Counter", n=1), "b": anywidget("Counter", n=2)}


def shown(page: Any, name: str = "Counter") -> list[str]:
    """Return what a page shows of the widgets of one name."""
    return page.locator(f"[data-widget-name={name}]").all_inner_texts()


def test_a_stored_widget_takes_the_place_of_its_picture_and_follows_its_model(bare_page: Open) -> None:
    page = bare_page(TWO, PICTURE.format("a"))
    assert page.locator("#picture").count() == 0
    assert shown(page) == ["n = 1"]
    page.evaluate("ia3Widgets.Counter[0].set('n', 5)")
    assert shown(page) == ["n = 5"]


def test_the_picture_stays_when_the_widget_fails(bare_page: Open) -> None:
    page = bare_page({"a": anywidget("Broken", BROKEN)}, PICTURE.format("a"))
    assert page.locator("#picture").count() == 1
    assert "no luck" in page.locator("[data-widget-error]").inner_text()


def test_two_views_share_one_initialization_and_one_stylesheet(bare_page: Open) -> None:
    page = bare_page(TWO, view("a", "a", "b"))
    assert shown(page) == ["n = 1", "n = 1", "n = 2"]
    assert page.locator("[data-initialized='1']").count() == 3
    assert page.locator("head style").count() == 1


def test_models_are_listed_in_the_order_of_the_page_and_a_page_without_any_is_ready_at_once(bare_page: Open) -> None:
    page = bare_page(TWO, PICTURE.format("b") + PICTURE.format("a"))
    assert page.evaluate("ia3Widgets.Counter.map(model => model.get('n'))") == [2, 1]
    assert bare_page({}, "<p>text</p>").evaluate("Object.keys(ia3Widgets)") == []


def test_a_bytes_trait_arrives_as_bytes_and_a_factory_is_called(bare_page: Open) -> None:
    data = base64.b64encode(bytes([7, 0, 255])).decode()
    model = anywidget("Bytes", BYTES) | {"buffers": [{"path": ["data"], "encoding": "base64", "data": data}]}
    assert shown(bare_page({"a": model}, view("a")), "Bytes") == ["7,0,255"]


@pytest.mark.parametrize(("kind", "back"), [("LinkModel", 9), ("DirectionalLinkModel", 4)])
def test_linked_traits_follow_each_other(bare_page: Open, kind: str, back: float) -> None:
    box = {"model_name": "HBoxModel", "state": {"children": ["IPY_MODEL_s", "IPY_MODEL_a"]}}
    link = {"model_name": kind, "state": {"source": ["IPY_MODEL_s", "value"], "target": ["IPY_MODEL_a", "n"]}}
    page = bare_page({"box": box, "s": slider("gain"), "a": TWO["a"], "link": link}, view("box"))
    assert shown(page) == ["n = 2"]
    page.get_by_label("gain").fill("4")
    assert (shown(page), page.locator("output").inner_text()) == (["n = 4"], "4.00")
    page.evaluate("ia3Widgets.Counter[0].set('n', 9)")
    assert float(page.locator("input").input_value()) == back


def test_what_needs_a_kernel_says_so_and_the_rest_works(bare_page: Open) -> None:
    page = bare_page({"t": {"model_name": "TextModel", "state": {}}, **TWO}, view("t", "a"))
    assert "TextModel needs a running kernel" in page.locator("[data-widget-error]").inner_text()
    assert shown(page) == ["n = 1"]


def test_a_button_in_the_prose_sets_the_first_widget_of_its_class_or_says_that_there_is_none(bare_page: Open) -> None:
    page = bare_page(TWO, view("a", "b") + BUTTON.format("Counter") + BUTTON.format("Nowhere"))
    page.get_by_text("set it").first.click()
    assert shown(page) == ["n = 8", "n = 2"]
    assert page.get_by_text("set it").last.is_disabled()
    assert "Nowhere" in page.get_by_text("set it").last.get_attribute("title")


@pytest.mark.parametrize(("motion", "behavior"), [("reduce", "instant"), ("no-preference", "smooth")])
def test_the_page_glides_to_the_widget_only_for_readers_who_like_motion(
    bare_page: Open, motion: str, behavior: str
) -> None:
    page = bare_page(TWO, view("a") + BUTTON.format("Counter"), reduced_motion=motion)
    page.evaluate("() => { Element.prototype.scrollIntoView = options => { window.asked = options.behavior; }; }")
    page.evaluate("document.querySelector('button').click()")
    assert page.evaluate("window.asked") == behavior


def test_a_slider_has_a_name_and_keys_pressed_in_it_do_not_reach_the_page_but_escape_does(bare_page: Open) -> None:
    page = bare_page({"s": slider("gain"), "t": slider("")}, view("s", "t"))
    assert [page.get_by_label(label).count() for label in ("gain", "value")] == [1, 1]
    page.evaluate("window.heard = []; document.addEventListener('keydown', event => heard.push(event.key));")
    page.get_by_label("gain").focus()
    for key in ("ArrowRight", "k", "Escape"):
        page.keyboard.press(key)
    assert page.evaluate("heard") == ["Escape"]
    assert page.get_by_label("gain").input_value() == "2.5"


def test_a_widget_that_leaves_the_page_cleans_up(bare_page: Open) -> None:
    page = bare_page(TWO, view("a"))
    assert page.evaluate("document.body.dataset.cleaned ?? null") is None
    page.evaluate("document.querySelector('[data-widget-name=Counter]').remove()")
    page.wait_for_function("document.body.dataset.cleaned === 'yes'")
