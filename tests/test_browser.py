"""Every page of the built site in a real browser: nothing broken, nothing foreign, readable, usable."""

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import check_site
import pytest

pytestmark = pytest.mark.browser

ROOT = Path(__file__).resolve().parent.parent
AXE = Path(find_spec("axe_playwright_python").submodule_search_locations[0]) / "axe.min.js"
PAGES = check_site.toc_pages()
STANDARDS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
THEME = "document.documentElement.dataset.theme"

#: Code has thousands of colored tokens of some twenty kinds, and tables hundreds of cells in rows of two colors: the
#: first token of each kind stays, the others become text, and each table keeps two rows.
ONE_OF_EACH = """() => {
    const seen = new Set();
    for (const token of [...document.querySelectorAll(".bd-article .highlight span")]) {
        if (seen.has(token.className)) token.replaceWith(...token.childNodes);
        seen.add(token.className);
    }
    document.querySelectorAll(".bd-article .highlight pre").forEach(code => code.normalize());
    document.querySelectorAll("table.dataframe tbody tr:nth-child(n + 3)").forEach(row => row.remove());
}"""


def violations(page: Any) -> list[str]:
    """Return what axe finds in the article and its widgets: rule, element, and what to do."""
    page.evaluate(AXE.read_text("utf8"))
    page.evaluate(ONE_OF_EACH)
    run = "rules => axe.run({include: ['.bd-article']}, {resultTypes: ['violations'], runOnly: rules, preload: false})"
    found = page.evaluate(run, STANDARDS)["violations"]
    return [
        f"{rule['id']}: {node['html'][:160]} - {node['failureSummary']}" for rule in found for node in rule["nodes"]
    ]


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_clean_and_axe_finds_nothing_in_either_theme(
    page_of: Callable[..., Any], name: str, theme: str
) -> None:
    page = page_of(name, theme=theme)
    assert page.evaluate(THEME) == theme
    assert page.locator("[data-widget-error], mjx-merror, .MathJax_Error").count() == 0
    assert violations(page) == []


@pytest.mark.parametrize("name", ["search.html", "genindex.html"])
def test_search_and_index_load_clean(page_of: Callable[..., Any], name: str) -> None:
    page_of(name)


def test_a_foreign_request_and_a_missing_file_are_noticed(any_pages: Any) -> None:
    page = any_pages.open("search.html")
    assert any_pages.problems == []
    page.evaluate("fetch('http://127.0.0.1:9/').catch(() => 0)")
    page.evaluate("fetch('/no-such-file')")
    assert any("another host" in problem for problem in any_pages.problems)
    assert any("HTTP 404" in problem for problem in any_pages.problems)


def test_axe_finds_a_control_without_a_name_and_a_kind_of_token_that_cannot_be_read(
    page_of: Callable[..., Any],
) -> None:
    page = page_of("book/05-peft.html")
    page.evaluate("document.querySelector('.bd-article').append(document.createElement('input'))")
    page.add_style_tag(content=".bd-article .highlight .k, .bd-article .highlight .kn { color: #c8cdd2 !important; }")
    assert {violation.partition(":")[0] for violation in violations(page)} == {"label", "color-contrast"}


def source(name: str) -> str:
    """Return the source of a page."""
    page = ROOT / name
    return next(path.read_text("utf8") for end in (".md", ".ipynb") if (path := page.with_suffix(end)).is_file())


def test_most_chapters_have_buttons_that_set_a_widget() -> None:
    assert sum("set-widget" in source(name) for name in PAGES) >= 6


@pytest.mark.parametrize("name", PAGES)
def test_a_phone_shows_a_page_without_sideways_scrolling_and_every_button_in_its_prose_sets_its_widget(
    page_of: Callable[..., Any], name: str
) -> None:
    page = page_of(name, width=390)
    assert page.evaluate(OVERFLOW) <= 0
    buttons = page.locator("button.set-widget")
    assert bool(buttons.count()) == ("set-widget" in source(name))
    for button in buttons.all():
        wanted = button.evaluate("button => JSON.parse(button.dataset.set)")
        button.click()
        read = "([widget, names]) => names.map(name => ia3Widgets[widget][0].get(name))"
        state = page.evaluate(read, [button.get_attribute("data-widget"), list(wanted)])
        assert state == list(wanted.values()), button.inner_text()
    assert page.evaluate(OVERFLOW) <= 0


def test_the_theme_button_switches_the_page_and_its_widgets(page_of: Callable[..., Any]) -> None:
    page = page_of(PAGES[0])
    surface = "getComputedStyle(document.querySelector('.ia3')).backgroundColor"
    seen = {page.evaluate(THEME): page.evaluate(surface)}
    for _ in range(3):  # light, dark, and the system's choice
        page.locator("button.theme-switch-button").first.click()
        seen[page.evaluate(THEME)] = page.evaluate(surface)
    assert set(seen) == {"light", "dark"}
    assert seen["light"] != seen["dark"]


def test_a_widget_follows_the_window_from_laptop_to_phone(page_of: Callable[..., Any]) -> None:
    page = page_of(PAGES[0])
    dot = page.locator(".ia3-handle .ia3-dot").first
    before, narrow = dot.bounding_box(), 390
    page.set_viewport_size({"width": narrow, "height": 844})
    page.wait_for_function("document.querySelector('.ia3').getBoundingClientRect().width < 390")
    page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    after = dot.bounding_box()
    assert 0 <= after["x"] <= narrow - after["width"]
    assert after["width"] == pytest.approx(before["width"], abs=1), "a handle keeps its size for the finger"


def test_a_page_is_printed_light_and_then_as_dark_as_before(page_of: Callable[..., Any]) -> None:
    page = page_of("book/02-geometry.html", theme="dark")
    page.evaluate(f"""() => {{
        window.seen = [];
        for (const kind of ["beforeprint", "afterprint"]) addEventListener(kind, () => window.seen.push({THEME}));
    }}""")
    page.pdf()
    assert page.evaluate("window.seen") == ["light", "dark"]
    page.emulate_media(media="print")
    borders = page.locator("button.set-widget").evaluate_all("all => all.map(b => getComputedStyle(b).borderTopWidth)")
    assert set(borders) == {"0px"}
