"""The script that mounts stored widgets on a page without a kernel."""

import json
from collections.abc import Callable
from typing import Any

import pytest
import site_assets
from widget_helpers import press

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
BROKEN = "export default { render() { throw new Error('no luck'); } };"
BUTTON = "<button class='set-widget' data-widget='{}' data-set='{{\"n\": 8}}'>set it</button>"
LATER = '<script type="text/plain" data-later="data:text/javascript,{}"></script>'
WIDGETS = "document.documentElement.dataset.widgets"
WIDGET = "application/vnd.jupyter.widget"
UNREADABLE = f'<script type="{WIDGET}-state+json">{{</script>'
PICTURE = '<div class="widget-fallback" data-model-id="{}"><svg id="picture"></svg></div>'


def anywidget(name: str, source: str = COUNTER, **state: Any) -> dict[str, Any]:
    given = {"_esm": source, "_css": ".x {}", "_anywidget_id": f"pkg.{name}", **state}
    return {"model_name": "AnyModel", "state": given}


def view(*keys: str) -> str:
    return "".join(f'<script type="{WIDGET}-view+json">{json.dumps({"model_id": key})}</script>' for key in keys)


TWO = {"a": anywidget("Counter", n=1), "b": anywidget("Counter", n=2)}


def shown(page: Any, name: str = "Counter") -> list[str]:
    """Return what a page shows of the widgets of one name."""
    return page.locator(f"[data-widget-name={name}]").all_inner_texts()


def test_a_stored_widget_takes_the_place_of_its_picture_follows_its_model_and_cleans_up(bare_page: Open) -> None:
    page = bare_page(TWO, PICTURE.format("b") + PICTURE.format("a"))
    assert page.locator("#picture").count() == 0
    assert page.evaluate("ia3Widgets.Counter.map(model => model.get('n'))") == [2, 1]  # in the order of the page
    page.evaluate("ia3Widgets.Counter[0].set('n', 5)")
    assert shown(page) == ["n = 5", "n = 1"]
    assert page.evaluate("document.body.dataset.cleaned ?? null") is None
    page.evaluate("document.querySelector('[data-widget-name=Counter]').remove()")
    page.wait_for_function("document.body.dataset.cleaned === 'yes'")


def test_a_widget_is_drawn_before_the_rest_of_its_page_has_come(browser: Any, site_url: str) -> None:
    page, held = browser.new_page(), []
    state = f'<script type="{WIDGET}-state+json">{json.dumps({"state": TWO})}</script>'
    html = f'<script src="_static/static-widgets.js"></script>{state}{PICTURE.format("a")}{site_assets.WIDGET_HERE}'
    page.route("**/early.html", lambda route: route.fulfill(body=f'{html}<script src="held.js"></script>{view("b")}'))
    page.route("**/held.js", lambda route: held.append(route))
    page.goto(f"{site_url}/early.html", wait_until="commit")
    page.wait_for_selector("[data-initialized]")
    assert page.evaluate("document.readyState") == "loading" and shown(page) == ["n = 1"]
    held[0].fulfill(body="")
    page.wait_for_function(f"{WIDGETS} === 'ready'")
    assert shown(page) == ["n = 1", "n = 2"]
    page.close()


def test_the_picture_stays_when_a_widget_fails_what_needs_a_kernel_says_so_and_the_rest_works(bare_page: Open) -> None:
    broken, text = anywidget("Broken", BROKEN), {"model_name": "TextModel", "state": {}}
    page = bare_page({"broken": broken, "text": text, **TWO}, PICTURE.format("broken") + view("text", "a"))
    assert page.locator("#picture").count() == 1
    errors = " ".join(page.locator("[data-widget-error]").all_inner_texts())
    assert "no luck" in errors and "TextModel needs a running kernel" in errors
    assert shown(page) == ["n = 1"]


@pytest.mark.parametrize(
    ("source", "more", "problems", "first"),
    [(COUNTER, "", 0, "ready"), (BROKEN, "", 1, "ready"), (COUNTER, UNREADABLE, 1, "failed")],
)
def test_scripts_that_gave_way_run_in_their_order_after_the_widgets_also_when_one_has_failed(
    any_pages: Any, bare_page: Open, source: str, more: str, problems: int, first: str
) -> None:
    scripts = "".join(LATER.format(f"(window.seen ??= []).push({n}, {WIDGETS})") for n in (1, 2))
    page = bare_page({"a": anywidget("Counter", source, n=1)}, view("a") + more + scripts)
    assert page.evaluate("window.seen") == [1, first, 2, first]
    assert len(any_pages.problems) == problems


def test_two_views_share_one_initialization_and_one_stylesheet_and_a_page_may_have_none(bare_page: Open) -> None:
    page = bare_page(TWO, view("a", "a", "b"))
    assert shown(page) == ["n = 1", "n = 1", "n = 2"]
    assert page.locator("[data-initialized='1']").count() == 3
    assert page.locator("head style").count() == 1
    assert bare_page({}, "<p>text</p>").evaluate("Object.keys(ia3Widgets)") == []


def test_linked_traits_follow_each_other_and_keys_do_not_reach_the_page_but_escape_does(bare_page: Open) -> None:
    box = {"children": ["IPY_MODEL_s", "IPY_MODEL_a"]}
    slider = {"value": 2, "min": 0, "max": 10, "step": 0.5, "description": "gain"}
    link = {"source": ["IPY_MODEL_s", "value"], "target": ["IPY_MODEL_a", "n"]}
    given = {"box": ("HBoxModel", box), "s": ("FloatSliderModel", slider), "link": ("LinkModel", link)}
    models = {key: {"model_name": name, "state": state} for key, (name, state) in given.items()}
    page = bare_page(models | {"a": TWO["a"]}, view("box"))
    gain = page.get_by_label("gain")
    gain.fill("4")
    page.evaluate("window.heard = []; document.addEventListener('keydown', event => heard.push(event.key));")
    press(gain, "ArrowRight", "k", "Escape")
    assert page.evaluate("heard") == ["Escape"]
    assert (shown(page), page.locator("output").inner_text()) == (["n = 4.5"], "4.50")
    page.evaluate("ia3Widgets.Counter[0].set('n', 9)")
    assert gain.input_value() == "9"


@pytest.mark.parametrize(("motion", "behavior"), [("reduce", "instant"), ("no-preference", "smooth")])
def test_a_button_in_the_prose_sets_the_first_widget_of_its_class_and_glides_there_if_the_reader_likes_motion(
    bare_page: Open, motion: str, behavior: str
) -> None:
    page = bare_page(TWO, view("a", "b") + BUTTON.format("Counter") + BUTTON.format("Nowhere"), reduced_motion=motion)
    page.evaluate("() => { Element.prototype.scrollIntoView = options => { window.asked = options.behavior; }; }")
    page.evaluate("document.querySelector('button').click()")
    assert shown(page) == ["n = 8", "n = 2"]
    assert page.evaluate("window.asked") == behavior
    assert page.get_by_text("set it").last.is_disabled()
    assert "Nowhere" in page.get_by_text("set it").last.get_attribute("title")


@pytest.mark.parametrize("away", ["use", "Escape", "return"])
def test_a_jump_that_hides_its_button_offers_the_way_back_until_it_is_used_declined_or_walked(bare_page, away):
    far = '<div style="height: 3000px"></div>'
    near = BUTTON.format("Counter").replace("set it", "near")
    page = bare_page(TWO, BUTTON.format("Counter") + far + near + view("a") + far, reduced_motion="reduce")
    back, button = page.locator(".way-back"), page.get_by_text("set it")
    page.evaluate("scrollTo(0, 3)")
    press(button, "Enter")
    back.wait_for()
    assert page.evaluate("scrollY > 2000 && document.activeElement.className === 'way-back'")
    if away == "use":
        press(back, "Enter")
        assert page.evaluate("[scrollY, document.activeElement.textContent]") == [3, "set it"]
    elif away == "Escape":
        page.keyboard.press("Escape")
        assert page.evaluate("scrollY > 2000")
    else:
        page.evaluate("scrollTo(0, 0)")
    back.wait_for(state="detached")
    page.get_by_text("near").click()  # the widget stands beside it
    page.evaluate("scrollBy(0, 100)")
    page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    assert back.count() == 0
