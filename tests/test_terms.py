"""Terms that explain themselves, sources beside their citations, and the reading level that opens and marks."""

import json
import re

import check_site
import numpy as np
import pytest
import terms
from widget_helpers import assert_fits, violations

BOOK = check_site.ROOT / "book"
RANK, FULL = terms.Term("term-rank", ("rank",), "ranks?"), terms.Term("term-full-rank", ("full rank",), "full ranks?")


def test_the_first_use_alone_counts_the_longer_term_wins_and_of_many_those_stay_that_a_practitioner_looks_up() -> None:
    texts = ["low-rank and ranking", "A full rank, more ranks.", "rank"]
    assert terms.first_uses(texts, [RANK, FULL]) == [(1, 2, 11, FULL), (1, 18, 23, RANK)]
    uses = [(0, i, i + 1, terms.Term(f"t{i}", (name,), "")) for i, name in enumerate(["adapter"] * 20 + ["SVD"])]
    chosen = terms.choose(uses)
    assert len(chosen) == terms.MAX_MARKS and chosen[-1][3].names == ("SVD",) and chosen == sorted(chosen)


def test_the_glossary_has_sixty_to_eighty_entries_and_every_word_of_the_tables_is_one_of_its_names() -> None:
    body = re.search(r"```\{glossary\}\n(.*?)\n```", (BOOK / "glossary.md").read_text("utf8"), re.S)[1]
    names = re.findall(r"^\S.*$", body, re.M)
    assert 60 <= len(body.split("\n\n")) <= 80 and len(names) == len(set(names))
    assert {*terms.FORMS} | terms.SPECIAL <= {*names}


def shares(scores: list[float]) -> str:
    return ", ".join(f"{share:.2f}" for share in np.exp(scores) / np.exp(scores).sum())


def test_each_box_from_the_ground_up_stands_once_is_short_and_its_numbers_come_out() -> None:
    cells = [cell for path in BOOK.glob("*.ipynb") for cell in json.loads(path.read_text("utf8"))["cells"]]
    text = " ".join("".join(cell["source"]) for cell in cells)
    boxes = re.findall(r"From the ground up: ([\w -]+)</summary>(.*?)</details>", text, re.S)
    assert sorted(title for title, _ in boxes) == ["LoRA in a minute", "attention", "fine-tuning", "softmax"]
    assert all(80 <= len(body.split()) <= 150 for _, body in boxes)
    softmax = dict(boxes)["softmax"]
    assert f"$({shares([2, 1, 0])})$" in softmax and shares([102, 101, 100]) == shares([2, 1, 0])
    for factor in (2, 0.5):
        assert f"${shares([2 * factor, factor, 0])[:4]}$" in softmax


TIP = ".term-tip:not([hidden])"


@pytest.fixture
def open_at(any_pages):
    def opened(level: str, name: str = "book/02-formulation.html", **options):
        kept = [{"name": "ia3-level", "value": json.dumps(level)}]
        before = {"origins": [{"origin": any_pages.home, "localStorage": kept}]}
        return any_pages.open(name, storage_state=before, **options)

    yield opened
    assert any_pages.close() == []


@pytest.mark.browser
def test_focus_and_pointer_show_a_term_escape_and_leaving_close_it_and_one_is_shown_at_a_time(open_at) -> None:
    page = open_at("newcomer")
    first, second = (page.locator("article a.term").nth(i) for i in (0, 1))
    first.scroll_into_view_if_needed()
    page.keyboard.press("Tab")  # from now on focus is the keyboard's
    first.focus()
    page.wait_for_selector(TIP)
    about = page.locator(f"[id='{first.get_attribute('aria-describedby')}']")
    assert page.locator(TIP).text_content().strip() == about.text_content().strip() != ""
    page.keyboard.press("Escape")
    assert page.locator(TIP).count() == 0 and first.evaluate("link => link === document.activeElement")
    second.hover()
    page.wait_for_selector(TIP)
    page.locator(TIP).hover()
    page.wait_for_timeout(400)  # longer than what a pointer that has left gets
    assert page.locator(TIP).count() == 1
    assert violations(page, TIP) == []
    page.mouse.move(2, 2)
    page.wait_for_selector(TIP, state="detached")
    cited = page.locator("article a[aria-describedby][href*='bibliography']").first
    cited.focus()
    assert "Attention is all you need" in page.locator(TIP).text_content()


@pytest.mark.browser
def test_the_first_tap_shows_a_term_and_the_second_follows_it(open_at) -> None:
    page = open_at("newcomer", width=390, touch=True)
    link = page.locator("article a.term").first
    link.tap()
    page.wait_for_selector(TIP)
    assert_fits(page)
    page.locator("article h1").tap()
    page.wait_for_selector(TIP, state="detached")
    link.tap()
    link.tap()
    page.wait_for_url("**/glossary.html#term-*")


@pytest.mark.browser
def test_a_level_is_kept_opens_and_marks_adds_no_tab_stop_and_code_that_belongs_together_opens_as_one(open_at) -> None:
    page = open_at("practitioner")
    is_open = "kind => [...document.querySelectorAll(kind)].map(box => box.open)"
    stops = "document.querySelectorAll('article a.term[href]').length"
    seen = {}
    for level in ("newcomer", "practitioner", "expert"):
        page.get_by_role("combobox", name="Reading level").select_option(level)
        code = page.evaluate(is_open, ".tag_hide-input details.hide")
        seen[level] = (set(page.evaluate(is_open, ".ground-up")), any(code), page.evaluate(stops))
    assert [each[:2] for each in seen.values()] == [({True}, False), ({False}, False), ({False}, True)]
    assert seen["newcomer"][2] > seen["practitioner"][2] > seen["expert"][2] == 0
    solutions = page.locator(".tag_hide-cell details.hide")
    assert solutions.count() and not any(solutions.evaluate_all("all => all.map(box => box.open)"))
    apart = ".cell.tag_hide-input:not(:has(.cell_output)) + .cell.tag_hide-input"
    assert page.locator(apart).count() == 0 < page.locator(".tag_hide-input .cell_input > div + div").count()
    page.goto(page.url.replace("02-formulation", "03-geometry"))
    assert page.evaluate("document.documentElement.dataset.level") == "expert"
    assert page.get_by_role("combobox", name="Reading level").input_value() == "expert"


@pytest.mark.browser
def test_without_javascript_terms_are_links_boxes_open_and_the_quiz_can_be_read(browser, site_url) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{site_url}/book/02-formulation.html")
    page.get_by_text("From the ground up: softmax").click()
    assert page.get_by_text("Softmax turns scores into shares").is_visible()
    page.locator(".quiz-static summary").first.click()
    assert page.get_by_text("Multiplying by 1 does not round, so the two").first.is_visible()
    page.locator("article a.term").first.click()
    assert "glossary.html#term-" in page.url
    context.close()


@pytest.mark.browser
def test_progress_stands_beside_the_chapter_in_the_table_of_contents_also_of_another_page(open_at) -> None:
    page = open_at("practitioner", name="book/06-peft.html")
    page.get_by_text("It moves the layer").click()
    page.get_by_role("button", name="Check").click()
    marks = page.locator(".bd-sidebar-primary .quiz-progress")
    assert marks.all_text_contents() == ["1/8"] and "PEFT" in marks.locator("..").text_content()
    page.goto(page.url.replace("06-peft", "glossary"))
    assert marks.all_text_contents() == ["1/8"]
