"""What the tests of the widgets share: hands on the page, the traits behind it, the picture for pages without it."""

import xml.etree.ElementTree as ET
from importlib.util import find_spec
from pathlib import Path
from typing import Any

SVG = "{http://www.w3.org/2000/svg}"
AXE = Path(find_spec("axe_playwright_python").submodule_search_locations[0]) / "axe.min.js"
#: The first widget of the page, or the first of a class.
MODEL = "(name => (ia3Widgets[name] ?? Object.values(ia3Widgets)[0])[0])"
STANDARDS = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa")
#: The rules of axe for which the theme matters.
COLORS = ("color-contrast", "link-in-text-block")


def trait(page: Any, name: str, widget: str = "") -> Any:
    """Return a trait of the page's widget; of the first ``widget`` where there are several."""
    return page.evaluate(f"([widget, name]) => {MODEL}(widget).get(name)", [widget, name])


def set_traits(page: Any, **values: Any) -> None:
    """Set traits of the page's widget from outside, as a button in the prose does."""
    page.evaluate(f"values => {MODEL}().set(values)", values)


def middle(node: Any) -> tuple[float, float]:
    """Return where a control has its middle, in pixels; of a handle that of its dot, not of its name."""
    dot = node.locator(".ia3-dot")
    box = (dot if dot.count() else node).bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def drag(page: Any, node: Any, right: float, down: float = 0, *, finger: bool = False) -> None:
    """Drag a control by pixels, with the mouse or with a finger."""
    node.scroll_into_view_if_needed()
    x, y = middle(node)
    if finger:
        return stroke(page, x, y, right, down)
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + right, y + down, steps=5)
    page.mouse.up()


#: Until nothing has scrolled for a tenth of a second: a finger that comes down before only stops the page.
REST = """() => new Promise((done) => {
    let rest = setTimeout(done, 100);
    document.addEventListener("scroll", () => { clearTimeout(rest); rest = setTimeout(done, 100); });
})"""


def stroke(page: Any, x: float, y: float, right: float, down: float) -> None:
    """Put a finger down at a point of a page at rest, move it by pixels, hold it still, and lift it."""
    client = page.context.new_cdp_session(page)
    touch = [{"x": x + part * right, "y": y + part * down} for part in (0, 0.25, 0.5, 0.75, 1)]
    page.evaluate(REST)
    for kind, points in [("touchStart", touch[:1]), *[("touchMove", [point]) for point in touch[1:]], ("touchEnd", [])]:
        client.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
        if points == touch[-1:]:
            page.evaluate(REST)  # a finger lifted at once lets the page roll on, and its last move can be lost
    page.evaluate(REST)


def press(node: Any, *keys: str) -> None:
    """Press keys on a control, one after the other."""
    for key in keys:
        node.press(key)


#: What is too wide: texts that leave the widget or, where that scrolls, the chart, and a page that scrolls sideways.
TOO_WIDE = """() => [...document.querySelectorAll(".ia3 svg text")].filter((text) => {
    const around = text.closest(text.closest("[class$=-scroll]") ? "svg" : ".ia3");
    const [label, room] = [text, around].map((node) => node.getBoundingClientRect());
    return label.width && (label.left < room.left - 2 || label.right > room.right + 2);
}).map((text) => text.textContent).concat(document.documentElement.scrollWidth > innerWidth ? ["the page"] : [])"""


def assert_fits(page: Any) -> None:
    """Fail if the page scrolls sideways, or a text of a chart leaves its widget or, where that scrolls, the chart."""
    assert page.evaluate(TOO_WIDE) == []


def in_each_state(page: Any, states: list[dict[str, Any]], look: str) -> list[Any]:
    """Set the page's widget to one state after the other, and return what a function of its element sees in each."""
    run = f"""async (states) => {{
        await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));  // as wide as the page
        const look = {look}, [[widget]] = Object.values(ia3Widgets), found = [];
        for (const state of states) {{
            widget.set(state);
            await null;  // it draws in a microtask
            found.push(look(document.querySelector(".ia3")));
        }}
        return found;
    }}"""
    return page.evaluate(run, states)


def open_tables(page: Any) -> list[tuple[str, list[list[str]]]]:
    """Unfold the numbers of the page's widget; return each table's caption and the texts of its lines."""
    page.get_by_text("All numbers as a table").click()
    page.wait_for_selector(".ia3-tables table")  # written when the fold has opened
    read = """(tables) => tables.map((table) => [table.caption.textContent, [...table.tBodies[0].rows].map(
        (row) => [...row.cells].map((cell) => cell.textContent.replace("\u2212", "-")))])"""
    return page.locator(".ia3-tables table").evaluate_all(read)


def smallest_side(node: Any) -> float:
    """Return the shortest side of what a finger must hit, in pixels."""
    return min(min(box["width"], box["height"]) for box in (one.bounding_box() for one in node.all()))


def violations(page: Any, inside: str = ".ia3", rules: tuple[str, ...] = STANDARDS, but: tuple[str, ...] = ()) -> list:
    """Return what axe finds in a part of a page: rule, element, and what to do."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE.read_text("utf8"))
    options = {"resultTypes": ["violations"], "runOnly": rules, "preload": False}
    options["rules"] = {rule: {"enabled": False} for rule in but}
    found = page.evaluate("([inside, options]) => axe.run({ include: [inside] }, options)", [inside, options])
    return [
        f"{rule['id']}: {node['html'][:160]} - {node['failureSummary']}"
        for rule in found["violations"]
        for node in rule["nodes"]
    ]


def read_picture(widget: Any) -> tuple[str, list[str]]:
    """Return the title of a widget's picture and all its texts, with plain minus signs."""
    root = ET.fromstring(widget.picture())
    texts = ["".join(node.itertext()).replace("\u2212", "-") for node in root.iter(f"{SVG}text")]
    return root.find(f"{SVG}title").text, texts
