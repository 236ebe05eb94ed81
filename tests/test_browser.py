"""Every page of the built site in a real browser: nothing broken, nothing foreign, readable, usable."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import check_site
import pytest
import terms
from widget_helpers import COLORS, assert_fits, violations

pytestmark = pytest.mark.browser

PAGES = check_site.toc_pages()
THEME = "document.documentElement.dataset.theme"

#: Code has thousands of colored tokens of some twenty kinds, and tables hundreds of cells in rows of two colors: the
#: first token in sight of each kind stays, the others become text, and each table keeps two rows.
ONE_OF_EACH = """() => {
    const seen = new Set(), looks = node => !seen.has(node.className) && node.checkVisibility();
    const tokens = [...document.querySelectorAll(".bd-article .highlight span")];
    for (const token of tokens.filter(node => !(looks(node) && seen.add(node.className)))) {
        token.replaceWith(...token.childNodes);
    }
    document.querySelectorAll(".bd-article .highlight pre").forEach(code => code.normalize());
    document.querySelectorAll("table.dataframe tbody tr:nth-child(n + 3)").forEach(row => row.remove());
}"""
#: Marks the first text of each look: of a kind of element, in a color and a size, on the same backgrounds.
MARK_LOOKS = """() => {
    const article = document.querySelector(".bd-article"), grounds = new Map([[article, ""]]), seen = new Set();
    for (const node of article.querySelectorAll("*")) {
        const style = getComputedStyle(node), around = node.parentElement;
        const ground = ` ${style.backgroundColor} ${style.opacity}`.replace(" rgba(0, 0, 0, 0) 1", "");
        grounds.set(node, grounds.get(around) + ground);
        const kinds = [node.localName, node.getAttribute("class"), around.getAttribute("class")];
        const look = [grounds.get(node), style.color, style.fill, style.fontSize, style.fontWeight, ...kinds].join();
        const speaks = [...node.childNodes].some(one => one.nodeType === Node.TEXT_NODE && one.data.trim());
        const first = (speaks || node.matches("input, select")) && node.checkVisibility() && !seen.has(look);
        node.toggleAttribute("data-look", first);
        if (first) seen.add(look);
    }
}"""
#: What the Tab key reaches: of radio buttons the one that is chosen.
TAB_STOPS = """[...document.querySelectorAll("a[href], button, input, select, summary, [tabindex]")]
    .filter(one => one.tabIndex >= 0 && !one.disabled && !(one.type === "radio" && !one.checked))
    .filter(one => one.checkVisibility({ visibilityProperty: true })).length"""
#: On a phone: the smallest text of each picture in sight, a formula's indices aside, in CSS pixels.
FIGURE_TEXTS = """() => Promise.all([...document.querySelectorAll(".figure-view img")]
    .filter(one => one.checkVisibility()).map(async one => {
        const svg = new DOMParser().parseFromString(await (await fetch(one.src)).text(), "image/svg+xml");
        const sizes = [...svg.querySelectorAll("text")].map(text => Math.max(
            ...[text, ...text.querySelectorAll("[style]")].map(part => parseFloat(part.style.fontSize) || 0)));
        return Math.min(99, ...sizes) * one.getBoundingClientRect().width / svg.documentElement.viewBox.baseVal.width;
    }))"""
#: What the page's file says of terms, before any script has changed it.
TERMS = """async () => {
    const page = new DOMParser().parseFromString(await (await fetch(location)).text(), "text/html");
    const all = css => [...page.querySelector("article").querySelectorAll(css)];
    return {
        marked: all("a.term").map(link => link.getAttribute("href").split("#")[1]),
        misplaced: all(":is(h1, h2, h3, code, pre, a, .math, summary, button, .about-terms) a.term").length,
        about: all(".about-terms [id]").map(part => [part.id, part.textContent]),
        ids: all("[id]").map(node => node.id),
    };
}"""


def faults(page: Any) -> list[str]:
    """Return what axe finds in a page, the colors in both themes and of each look once."""
    page.evaluate("scrollTo({ top: 0, behavior: 'instant' })")  # under the page's bar a target would seem too small
    page.evaluate(ONE_OF_EACH)
    found = violations(page, ".bd-article", but=COLORS)
    for theme in ("light", "dark"):
        page.evaluate(f"{THEME} = '{theme}'")
        page.evaluate(MARK_LOOKS)
        found += violations(page, "[data-look]", COLORS)
    return found


@pytest.fixture(scope="module", params=PAGES)
def visited(tab: Any, request: pytest.FixtureRequest) -> Any:
    """Open each page once, first in a wide window; the test that is done last may take it apart."""
    return tab.follow(request.param, width=1280)


def test_a_page_has_few_tab_stops_fits_a_phone_and_its_buttons_set_its_widgets(visited: Any) -> None:
    assert visited.locator("[data-widget-error], merror").count() == 0
    assert visited.evaluate(TAB_STOPS) <= 120
    visited.set_viewport_size({"width": 320, "height": 844})
    visited.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    assert_fits(visited)
    for button in visited.locator("button.set-widget").all():
        wanted = button.evaluate("button => JSON.parse(button.dataset.set)")
        button.click()
        read = "([widget, names]) => names.map(name => ia3Widgets[widget][0].get(name))"
        state = visited.evaluate(read, [button.get_attribute("data-widget"), list(wanted)])
        assert state == list(wanted.values()), button.inner_text()
        assert_fits(visited)


def test_a_page_marks_few_terms_each_once_in_its_text_and_carries_what_they_mean(visited: Any) -> None:
    found = visited.evaluate(TERMS)
    marked, about = found["marked"], dict(found["about"])
    assert len(marked) == len({*marked}) <= terms.MAX_MARKS and found["misplaced"] == 0
    assert {f"about-{id}" for id in marked} <= about.keys()
    assert all(len(text.split()) > 5 for text in about.values())
    assert len(found["ids"]) == len({*found["ids"]})


def test_on_a_phone_a_figure_s_text_has_11_pixels_and_what_is_too_wide_scrolls_in_itself(visited: Any) -> None:
    assert all(size >= 11 for size in visited.evaluate(FIGURE_TEXTS))
    views = "all => all.map(view => [view.scrollWidth > view.clientWidth, view.className])"
    assert all(wide == ("scrolls" in name) for wide, name in visited.locator(".figure-view").evaluate_all(views))
    if visited.locator(".figure-view.scrolls").count():  # the control
        narrow = visited.add_style_tag(content=".figure-view img { min-width: 0 !important; }")
        assert min(visited.evaluate(FIGURE_TEXTS)) < 11
        narrow.evaluate("style => style.remove()")


def test_a_page_is_short_a_hand_moves_nothing_of_it_and_axe_finds_nothing(visited: Any, tab: Any) -> None:
    visited.set_viewport_size({"width": 1280, "height": 900})
    visited.wait_for_timeout(400)  # for the theme, which looks 300 ms later what scrolls now and needs a tab stop
    if (check_site.ROOT / visited.url.removeprefix(tab.home + "/")).with_suffix(".ipynb").is_file():
        assert visited.evaluate("document.documentElement.scrollHeight") <= 25 * 900
    places = "[...document.querySelectorAll('article > section > section')].map(at => [at.offsetTop, at.offsetHeight])"
    for hand in ("dataset.hand = 'on'", "removeAttribute('data-hand')"):
        before = visited.evaluate(places)
        visited.evaluate(f"document.documentElement.{hand}")
        assert visited.evaluate(places) == before
    assert faults(visited) + tab.problems == []


def test_axe_finds_a_control_without_a_name_and_in_either_theme_a_token_that_cannot_be_read(page_of):
    page = page_of(next(name for name in PAGES if "peft" in name))
    page.evaluate("document.querySelector('.bd-article').append(document.createElement('input'))")
    for theme, color in (("light", "#c8cdd2"), ("dark", "#444444")):
        page.add_style_tag(content=f"[data-theme={theme}] .highlight :is(.k, .kn) {{ color: {color} !important; }}")
    found = faults(page)
    assert {fault.partition(":")[0] for fault in found} == {"label", "color-contrast"}
    assert all(f"foreground color: {color}" in "".join(found) for color in ("#c8cdd2", "#444444"))


@pytest.mark.parametrize("name", ["search.html", "genindex.html"])
def test_search_and_index_load_clean_and_a_foreign_request_or_a_missing_file_is_noticed(any_pages, name):
    page = any_pages.open(name)
    assert any_pages.problems == []
    page.evaluate("fetch('http://127.0.0.1:9/').catch(() => 0)")
    page.evaluate("fetch('/no-such-file')")
    assert any("another host" in problem for problem in any_pages.problems)
    assert any("HTTP 404" in problem for problem in any_pages.problems)


def test_the_theme_button_switches_the_page_and_its_widgets_which_follow_the_window_to_a_phone(page_of):
    page = page_of(PAGES[0])
    surface = "getComputedStyle(document.querySelector('.ia3')).backgroundColor"
    seen = {page.evaluate(THEME): page.evaluate(surface)}
    for _ in range(3):  # light, dark, and the system's choice
        page.locator("button.theme-switch-button").first.click()
        seen[page.evaluate(THEME)] = page.evaluate(surface)
    assert set(seen) == {"light", "dark"} and seen["light"] != seen["dark"]
    dot = page.locator(".ia3-handle .ia3-dot").first
    before, narrow = dot.bounding_box(), 390
    page.set_viewport_size({"width": narrow, "height": 844})
    page.wait_for_function("document.querySelector('.ia3').getBoundingClientRect().width < 390")
    page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    after = dot.bounding_box()
    assert 0 <= after["x"] <= narrow - after["width"]
    assert after["width"] == pytest.approx(before["width"], abs=1), "a handle keeps its size for the finger"


def test_on_a_phone_a_drawer_that_has_led_to_a_section_closes(page_of: Callable[..., Any]) -> None:
    page = page_of(next(name for name in PAGES if "geometry" in name), width=390)
    page.locator(".secondary-toggle").click()
    page.locator("dialog[open] .page-toc a").get_by_text("Summary").click()
    assert page.locator("dialog[open]").count() == 0
    assert page.url.endswith("#summary")


#: What a reader may ask -> a section that answers it.
QUESTIONS = {
    "GQA": ("book/04-counting.html", "grouped-query-attention-shorter-key-and-value-vectors"),
    "mixed batch": ("book/peft-further.html", "one-batch-several-tasks"),
    "merge": ("book/05-from-scratch.html", "merge-the-adapter-disappears-into-the-weights"),
    "learning rate": ("book/07-how-a-vector-trains.html", "too-large-a-learning-rate"),
    "PEFT": ("book/06-peft.html", "ia3-with-peft-what-did-you-train"),
    "ellipse": ("book/03-geometry.html", "the-circle-becomes-an-ellipse"),
}


def test_the_search_leads_to_the_section_that_explains_from_a_folder_as_well(browser: Any, site: Path) -> None:
    page = browser.new_page()
    page.goto((site / PAGES[0]).as_uri())
    page.wait_for_function("document.documentElement.dataset.scripts")
    ask = "query => findSections(query).then(all => all.slice(0, 3).map(({ page, anchor }) => [page[0], anchor]))"
    found = {query: page.evaluate(ask, query) for query in QUESTIONS}
    assert {query: three for query, three in found.items() if list(QUESTIONS[query]) not in three} == {}
    assert page.evaluate(ask, "zebra crossing") == page.evaluate(ask, "constructor") == []
    page.close()


def test_the_search_dialog_lists_sections_as_one_types_and_its_keys_lead_to_them(page_of: Callable[..., Any]) -> None:
    page = page_of(PAGES[0])
    page.keyboard.press("Control+k")
    page.keyboard.type("half-turn")
    page.wait_for_selector(".section-results mark")
    assert "section" in page.locator(".section-status").inner_text()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.wait_for_url("**/03-geometry.html#no-rotation-but-the-half-turn")


def test_a_page_is_printed_light_and_then_as_dark_as_before(page_of: Callable[..., Any]) -> None:
    page = page_of(next(name for name in PAGES if "geometry" in name), theme="dark")
    page.evaluate(f"""() => {{
        window.seen = [];
        for (const kind of ["beforeprint", "afterprint"]) addEventListener(kind, () => window.seen.push({THEME}));
    }}""")
    page.pdf()
    assert page.evaluate("window.seen") == ["light", "dark"]
    page.emulate_media(media="print")
    borders = page.locator("button.set-widget").evaluate_all("all => all.map(b => getComputedStyle(b).borderTopWidth)")
    assert set(borders) == {"0px"}
