"""The script that mounts stored widgets on a page without a kernel."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

pytestmark = pytest.mark.browser

KIND = "application/vnd.jupyter.widget"
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


def anywidget(name: str, source: str = COUNTER, **state: Any) -> dict[str, Any]:
    return {
        "model_name": "AnyModel",
        "state": {"_esm": source, "_css": ".x {}", "_anywidget_id": f"pkg.{name}", **state},
    }


def slider(value: float, **state: Any) -> dict[str, Any]:
    given = {"value": value, "min": 0, "max": 10, "step": 0.5, "description": "gain", **state}
    return {"model_name": "FloatSliderModel", "state": given}


def link(kind: str, source: str, target: str) -> dict[str, Any]:
    ends = {"source": [f"IPY_MODEL_{source}", "value"], "target": [f"IPY_MODEL_{target}", "n"]}
    return {"model_name": kind, "state": ends}


def view(key: str) -> str:
    return f'<script type="{KIND}-view+json">{json.dumps({"model_id": key})}</script>'


def picture(key: str) -> str:
    return f'<div class="widget-fallback" data-model-id="{key}"><svg id="picture"></svg></div>'


def set_button(widget: str, **changes: Any) -> str:
    return f"<button class='set-widget' data-widget='{widget}' data-set='{json.dumps(changes)}'>set it</button>"


@pytest.fixture
def load(browser: Any, site_url: str) -> Iterator[Callable[..., Any]]:
    """Open a page with the given models and body, and wait until the loader is done."""
    contexts = []

    def open_page(models: dict[str, Any], body: str, **options: Any) -> Any:
        context = browser.new_context(**options)
        contexts.append(context)
        page = context.new_page()
        state = f'<script type="{KIND}-state+json">{json.dumps({"state": models})}</script>'
        loader = '<script src="_static/static-widgets.js"></script>'
        html = f"<!doctype html><title>t</title>{state}<body>{body}{loader}"
        page.route("**/page.html", lambda route: route.fulfill(body=html, content_type="text/html"))
        page.goto(f"{site_url}/page.html")
        page.wait_for_selector("html[data-widgets=ready]")
        return page

    yield open_page
    for context in contexts:
        context.close()


def test_a_stored_widget_is_drawn_and_follows_its_model(load: Callable[..., Any]) -> None:
    page = load({"a": anywidget("Counter", n=1)}, view("a"))
    widget = page.locator("[data-widget-name=Counter]")
    assert widget.inner_text() == "n = 1"
    page.evaluate("ia3Widgets.Counter[0].set('n', 5)")
    assert widget.inner_text() == "n = 5"


def test_the_widget_takes_the_place_of_its_picture(load: Callable[..., Any]) -> None:
    page = load({"a": anywidget("Counter", n=1)}, picture("a"))
    assert page.locator("#picture").count() == 0
    assert page.locator("[data-widget-name=Counter]").inner_text() == "n = 1"


def test_the_picture_stays_when_the_widget_fails(load: Callable[..., Any]) -> None:
    page = load(
        {"a": anywidget("Broken", "export default { render() { throw new Error('no luck'); } };")}, picture("a")
    )
    assert page.locator("#picture").count() == 1
    assert "no luck" in page.locator("[data-widget-error]").inner_text()


def test_two_views_share_one_initialization_and_one_stylesheet(load: Callable[..., Any]) -> None:
    page = load({"a": anywidget("Counter", n=1), "b": anywidget("Counter", n=2)}, view("a") + view("a") + view("b"))
    shown = page.locator("[data-widget-name=Counter]")
    assert shown.all_inner_texts() == ["n = 1", "n = 1", "n = 2"]
    assert [shown.nth(i).get_attribute("data-initialized") for i in range(3)] == ["1", "1", "1"]
    assert page.evaluate("[...document.head.querySelectorAll('style')].length") == 1


def test_models_are_listed_in_the_order_of_the_page(load: Callable[..., Any]) -> None:
    page = load({"a": anywidget("Counter", n=1), "b": anywidget("Counter", n=2)}, picture("b") + picture("a"))
    assert page.evaluate("ia3Widgets.Counter.map(model => model.get('n'))") == [2, 1]


def test_a_bytes_trait_arrives_as_bytes_and_a_factory_is_called(load: Callable[..., Any]) -> None:
    model = anywidget("Bytes", BYTES)
    data = base64.b64encode(bytes([7, 0, 255])).decode()
    model["buffers"] = [{"path": ["data"], "encoding": "base64", "data": data}]
    assert load({"a": model}, view("a")).locator("[data-widget-name=Bytes]").inner_text() == "7,0,255"


def move(page: Any, value: float) -> None:
    page.locator("input[type=range]").first.evaluate(
        "(input, value) => { input.value = value; input.dispatchEvent(new Event('input')); }", value
    )


@pytest.mark.parametrize(("kind", "back"), [("LinkModel", 9), ("DirectionalLinkModel", 4)])
def test_linked_traits_follow_each_other(load: Callable[..., Any], kind: str, back: float) -> None:
    models = {
        "box": {"model_name": "HBoxModel", "state": {"children": ["IPY_MODEL_s", "IPY_MODEL_a"]}},
        "s": slider(2),
        "a": anywidget("Counter", n=1),
        "link": link(kind, "s", "a"),
    }
    page = load(models, view("box"))
    counter = page.locator("[data-widget-name=Counter]")
    assert counter.inner_text() == "n = 2"
    move(page, 4)
    assert counter.inner_text() == "n = 4"
    assert page.locator("output").inner_text() == "4.00"
    page.evaluate("ia3Widgets.Counter[0].set('n', 9)")
    assert float(page.locator("input").input_value()) == back


def test_a_slider_is_labelled_by_its_description(load: Callable[..., Any]) -> None:
    page = load({"s": slider(2)}, view("s"))
    assert page.get_by_label("gain").count() == 1
    assert load({"s": slider(2, description="")}, view("s")).get_by_label("value").count() == 1


def test_what_needs_a_kernel_says_so_and_the_rest_works(load: Callable[..., Any]) -> None:
    models = {"t": {"model_name": "TextModel", "state": {}}, "a": anywidget("Counter", n=1)}
    page = load(models, view("t") + view("a"))
    assert "TextModel needs a running kernel" in page.locator("[data-widget-error]").inner_text()
    assert page.locator("[data-widget-name=Counter]").inner_text() == "n = 1"


def test_a_button_in_the_prose_sets_the_first_widget_of_its_class(load: Callable[..., Any]) -> None:
    models = {"a": anywidget("Counter", n=1), "b": anywidget("Counter", n=2)}
    page = load(models, view("a") + view("b") + set_button("Counter", n=8))
    page.get_by_text("set it").click()
    assert page.locator("[data-widget-name=Counter]").all_inner_texts() == ["n = 8", "n = 2"]


def test_a_button_without_its_widget_is_disabled_and_says_why(load: Callable[..., Any]) -> None:
    button = load({}, set_button("Nowhere", n=8)).locator("button")
    assert button.is_disabled()
    assert "Nowhere" in button.get_attribute("title")


@pytest.mark.parametrize(("motion", "behavior"), [("reduce", "instant"), ("no-preference", "smooth")])
def test_the_page_glides_to_the_widget_only_for_readers_who_like_motion(
    load: Callable[..., Any], motion: str, behavior: str
) -> None:
    page = load({"a": anywidget("Counter", n=1)}, view("a") + set_button("Counter", n=8), reduced_motion=motion)
    page.evaluate("() => { Element.prototype.scrollIntoView = options => { window.asked = options.behavior; }; }")
    page.evaluate("document.querySelector('button').click()")
    assert page.evaluate("window.asked") == behavior


def test_keys_pressed_in_a_widget_do_not_reach_the_page_but_escape_does(load: Callable[..., Any]) -> None:
    page = load({"s": slider(2)}, view("s"))
    page.evaluate("window.heard = []; document.addEventListener('keydown', event => heard.push(event.key));")
    page.locator("input").focus()
    for key in ("ArrowRight", "k", "Escape"):
        page.keyboard.press(key)
    assert page.evaluate("heard") == ["Escape"]
    assert float(page.locator("input").input_value()) == 2.5


def test_a_widget_that_leaves_the_page_cleans_up(load: Callable[..., Any]) -> None:
    page = load({"a": anywidget("Counter", n=1)}, view("a"))
    assert page.evaluate("document.body.dataset.cleaned ?? null") is None
    page.evaluate("document.querySelector('[data-widget-name=Counter]').remove()")
    page.wait_for_function("document.body.dataset.cleaned === 'yes'")


def test_a_page_without_widgets_is_ready_at_once(load: Callable[..., Any]) -> None:
    assert load({}, "<p>text</p>").evaluate("Object.keys(ia3Widgets)") == []
