"""Every page of the built site in a real browser: nothing broken, nothing foreign, readable, usable."""

from __future__ import annotations

import re
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml

pytestmark = pytest.mark.browser

ROOT = Path(__file__).resolve().parent.parent


def pages() -> list[str]:
    """Return the HTML names of all pages in the table of contents."""
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text("utf8"))
    entries = [toc["root"], *re.findall(r"'file': '([^']+)'", str(toc))]
    return [f"{entry.removesuffix('.md').removesuffix('.ipynb')}.html" for entry in entries]


EXTRA = ["search.html", "genindex.html"]


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("name", pages())
def test_a_page_loads_clean_in_both_themes(page_of: Callable[..., Any], name: str, theme: str) -> None:
    page = page_of(name, theme=theme)
    assert page.evaluate("document.documentElement.dataset.theme") == theme
    assert page.locator("[data-widget-error]").count() == 0
    assert page.locator("mjx-merror, .MathJax_Error").count() == 0


@pytest.mark.parametrize("name", EXTRA)
def test_search_and_index_load_clean(page_of: Callable[..., Any], name: str) -> None:
    page_of(name)


def test_the_watch_reports_a_foreign_request_and_a_missing_file(browser: Any, site_url: str, watch_class: type) -> None:
    page = browser.new_context().new_page()
    watch = watch_class(page, site_url)
    page.goto(f"{site_url}/{pages()[0]}")
    page.evaluate("fetch('http://127.0.0.1:9/').catch(() => 0)")
    page.evaluate("fetch('/no-such-file')")
    page.context.close()
    assert any("another host" in problem for problem in watch.problems)
    assert any("HTTP 404" in problem for problem in watch.problems)


@pytest.mark.parametrize("name", pages())
def test_a_phone_shows_a_page_without_sideways_scrolling(page_of: Callable[..., Any], name: str) -> None:
    page = page_of(name, width=390)
    overflow = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert overflow <= 0


@pytest.fixture(scope="session")
def axe() -> str:
    """Return the source of axe-core."""
    return (Path(find_spec("axe_playwright_python").submodule_search_locations[0]) / "axe.min.js").read_text("utf8")


#: Code has thousands of colored tokens of some twenty kinds: the first of each kind stays, the others become text.
ONE_OF_EACH_TOKEN = """() => {
    const seen = new Set();
    for (const token of [...document.querySelectorAll(".bd-article .highlight span")]) {
        if (seen.has(token.className)) token.replaceWith(...token.childNodes);
        seen.add(token.className);
    }
    document.querySelectorAll(".bd-article .highlight pre").forEach(code => code.normalize());
}"""


def violations(page: Any, axe: str) -> list[str]:
    """Return what axe finds in the article and its widgets: rule, element, and what to do."""
    page.evaluate(axe)
    page.evaluate(ONE_OF_EACH_TOKEN)
    run = "rules => axe.run({include: ['.bd-article']}, {resultTypes: ['violations'], runOnly: rules, preload: false})"
    found = page.evaluate(run, ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"])["violations"]
    return [
        f"{rule['id']}: {node['html'][:160]} - {node['failureSummary']}" for rule in found for node in rule["nodes"]
    ]


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("name", pages())
def test_axe_finds_no_violation_in_an_article(page_of: Callable[..., Any], axe: str, name: str, theme: str) -> None:
    assert violations(page_of(name, theme=theme), axe) == []


def test_axe_finds_an_unlabelled_control(page_of: Callable[..., Any], axe: str) -> None:
    page = page_of(pages()[1])
    page.evaluate("document.querySelector('.bd-article').append(document.createElement('input'))")
    assert any(violation.startswith("label") for violation in violations(page, axe))


def test_axe_finds_a_kind_of_token_that_cannot_be_read(page_of: Callable[..., Any], axe: str) -> None:
    page = page_of(pages()[1])
    page.add_style_tag(content=".bd-article .highlight .k, .bd-article .highlight .kn { color: #c8cdd2 !important; }")
    assert any(violation.startswith("color-contrast") for violation in violations(page, axe))


def test_the_theme_button_switches_the_page_and_its_widgets(page_of: Callable[..., Any]) -> None:
    page = page_of(pages()[0], theme="light")
    surface = "getComputedStyle(document.querySelector('.ia3')).backgroundColor"
    seen = {page.evaluate("document.documentElement.dataset.theme"): page.evaluate(surface)}
    for _ in range(3):  # light, dark, and the system's choice
        page.locator("button.theme-switch-button").first.click()
        seen[page.evaluate("document.documentElement.dataset.theme")] = page.evaluate(surface)
    assert set(seen) == {"light", "dark"}
    assert seen["light"] != seen["dark"]


def test_a_widget_follows_the_window_from_laptop_to_phone(page_of: Callable[..., Any]) -> None:
    page = page_of(pages()[0])
    dot = page.locator(".ia3-handle .ia3-dot").first
    before, narrow = dot.bounding_box(), 390
    page.set_viewport_size({"width": narrow, "height": 844})
    page.wait_for_function("document.querySelector('.ia3').getBoundingClientRect().width < 390")
    page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    after = dot.bounding_box()
    assert 0 <= after["x"] <= narrow - after["width"]
    assert after["width"] == pytest.approx(before["width"], abs=1), "a handle keeps its size for the finger"


def with_buttons() -> list[str]:
    """Return the pages whose prose has buttons that set a widget."""
    sources = {name: ROOT / name.removesuffix(".html") for name in pages()}
    texts = {name: [path.with_suffix(end) for end in (".md", ".ipynb")] for name, path in sources.items()}
    return [
        name for name, files in texts.items() if any("set-widget" in f.read_text("utf8") for f in files if f.exists())
    ]


def test_most_pages_have_buttons_that_set_a_widget() -> None:
    assert len(with_buttons()) >= 6


@pytest.mark.parametrize("name", with_buttons())
def test_every_link_in_prose_that_sets_a_widget_does_so(page_of: Callable[..., Any], name: str) -> None:
    page = page_of(name)
    buttons = page.locator("button.set-widget")
    assert buttons.count()
    for i in range(buttons.count()):
        button = buttons.nth(i)
        wanted = page.evaluate("button => JSON.parse(button.dataset.set)", button.element_handle())
        button.click()
        widget = button.get_attribute("data-widget")
        state = page.evaluate(
            "([widget, names]) => names.map(name => ia3Widgets[widget][0].get(name))", [widget, list(wanted)]
        )
        assert state == list(wanted.values()), button.inner_text()


def test_a_page_is_printed_light_and_then_as_dark_as_before(page_of: Callable[..., Any]) -> None:
    page = page_of("book/02-geometry.html", theme="dark")
    page.evaluate(
        """() => {
            window.seen = [];
            addEventListener("beforeprint", () => window.seen.push(document.documentElement.dataset.theme));
            addEventListener("afterprint", () => window.seen.push(document.documentElement.dataset.theme));
        }"""
    )
    page.pdf()
    assert page.evaluate("window.seen") == ["light", "dark"]
    page.emulate_media(media="print")
    borders = page.locator("button.set-widget").evaluate_all("all => all.map(b => getComputedStyle(b).borderTopWidth)")
    assert set(borders) == {"0px"}
