"""The built site, read as files: complete, self-contained, described, small."""

import gzip
import json
import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

import check_site
import live_widget
import pytest
import site_assets
import yaml
from bs4 import BeautifulSoup

from ia3_lab.widgets import EllipseLab

ROOT = check_site.ROOT
PAGES = check_site.toc_pages()
CHAPTERS = [page for page in PAGES if (ROOT / page).with_suffix(".ipynb").is_file()]
MAX_OWN_BYTES, MAX_STATE_BYTES = 60_000, 150_000


@pytest.fixture(params=PAGES, scope="module")
def name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def html(site: Path, name: str) -> str:
    return (site / name).read_text("utf8")


@pytest.fixture(scope="module")
def page(html: str) -> BeautifulSoup:
    return parsed(html)


def parsed(html: str) -> BeautifulSoup:
    """Read a page, its code without the colors: those are most of its elements."""
    return BeautifulSoup(re.sub(r'<span class="\w{1,3}">([^<]*)</span>', r"\1", html), "html.parser")


def compressed(*texts: str) -> int:
    return sum(len(gzip.compress(text.encode(), mtime=0)) for text in texts)


def states(html: str) -> list[dict]:
    """The widget models that a page carries."""
    return [model for text in site_assets.STATE.findall(html) for model in json.loads(text)["state"].values()]


def test_every_page_of_the_table_of_contents_is_built_and_a_missing_one_noticed(site: Path, tmp_path: Path) -> None:
    assert check_site.missing_pages(site) == []
    assert check_site.missing_pages(tmp_path) == ["index.html", *PAGES]
    assert [check_site.main([str(folder)]) for folder in (site, tmp_path)] == [0, 1]


def test_every_link_inside_the_site_leads_somewhere_and_every_image_and_picture_of_a_widget_is_described_in_words(
    site: Path, name: str, page: BeautifulSoup
) -> None:
    inside = [(a, urlsplit(a["href"])) for a in page.find_all("a", href=True) if "//" not in a["href"]]
    for a, parts in inside:
        target = (site / name).parent / unquote(parts.path) if parts.path else site / name
        assert parts.scheme or target.exists(), a
        if parts.fragment and a.find_parent("article"):
            assert f'id="{unquote(parts.fragment)}"' in target.read_text("utf8"), a
    assert [image.get("src") for image in page.article.find_all("img") if " " not in image.get("alt", "")] == []
    assert [svg for svg in page.article.select(".widget-fallback svg") if not svg.title] == []


@pytest.mark.parametrize("name", CHAPTERS, scope="module")
def test_a_chapter_has_its_colab_button_and_its_download(site: Path, name: str, page: BeautifulSoup) -> None:
    links = {a["href"] for a in page.find_all("a", href=True)}
    repository = yaml.safe_load((ROOT / "_config.yml").read_text("utf8"))["repository"]
    notebook = str(Path(name).with_suffix(".ipynb"))
    on_github = f"{repository['url'].removeprefix('https://github.com/')}/blob/{repository['branch']}/{notebook}"
    assert f"https://colab.research.google.com/github/{on_github}" in links
    assert f"{repository['url']}/edit/{repository['branch']}/{notebook}" in links
    assert f"../_sources/{notebook}" in links
    assert (site / "_sources" / notebook).read_bytes() == (ROOT / notebook).read_bytes()


def test_the_first_page_shows_a_live_widget_and_leads_to_every_chapter(site: Path) -> None:
    first = parsed((site / PAGES[0]).read_text("utf8")).article
    assert first.select(".live-widget")
    assert {Path(chapter).name for chapter in CHAPTERS} <= {a["href"] for a in first.find_all("a", href=True)}


def test_every_source_is_cited_and_labelled_as_the_text_cites_it(site: Path) -> None:
    keys = re.findall(r"^@\w+\{([^,]+),", (ROOT / "book" / "references.bib").read_text("utf8"), re.M)
    texts = [path.read_text("utf8") for path in (ROOT / "book").iterdir() if path.suffix in (".md", ".ipynb")]
    cited = {key for text in texts for keys in re.findall(r"\{cite:\w\}`([^`]+)`", text) for key in keys.split(",")}
    assert set(keys) == cited != set()
    page = parsed((site / "book/bibliography.html").read_text("utf8"))
    labels = [label.get_text() for label in page.select("div.citation > span.label")]
    assert {"[Liu et al., 2022]", "[Kingma and Ba, 2015]", "[Shazeer, 2020]"} <= set(labels)
    assert all(re.fullmatch(r"\[.+, \d{4}\]", label) for label in labels)
    assert len(set(labels)) == len(labels)


def test_no_page_and_no_stylesheet_loads_anything_from_another_host(site: Path) -> None:
    pages, sheets = sorted(site.rglob("*.html")), sorted(site.rglob("*.css"))
    assert {
        page.name: found for page in pages if (found := site_assets.foreign_resources(page.read_text("utf8")))
    } == {}
    assert [s for s in sheets if site_assets.FOREIGN_CSS.search(s.read_text("utf8", errors="replace"))] == []
    assert len(pages) > len(PAGES)
    assert sheets


FOREIGN = [
    '<script\n  defer src="//cdn.example/x.js"></script>',
    '<link rel="stylesheet" href="https://cdn.example/x.css">',
    '<img alt="a" src="https://example.org/x.png">',
    "<style>@import url(https://cdn.example/font.css);</style>",
    '<iframe src="https://example.org/"></iframe>',
]
HARMLESS = [
    '<a href="https://example.org/">a link</a>',
    '<link rel="canonical" href="https://example.org/page.html">',
    '<img alt="a" src="data:image/png;base64,AAAA">',
    '<svg xmlns="http://www.w3.org/2000/svg"></svg>',
]


def test_a_foreign_resource_is_noticed_and_what_fetches_nothing_left_alone() -> None:
    assert [len(site_assets.foreign_resources(html)) for html in FOREIGN] == [1] * len(FOREIGN)
    assert [len(site_assets.foreign_resources(html)) for html in HARMLESS] == [0] * len(HARMLESS)


def test_a_page_carries_the_state_of_its_widgets_and_nothing_that_it_has_no_use_for(
    html: str, page: BeautifulSoup
) -> None:
    assert site_assets.widgets_without_state(html) == []
    inline = [script.string.strip() for script in page.find_all("script", src=False, type=False, string=True)]
    sources = [script["src"] for script in page.find_all("script", src=True)]
    mathjax = [source for source in sources if "mathjax" in source.lower()]
    assert len(inline) == len(set(inline))
    assert not [source for source in sources if "thebe" in source]
    assert bool(mathjax) == bool(page.select(".math"))
    assert all(source.startswith("../_static/third_party/mathjax/tex-chtml.js") for source in mathjax)


def test_our_own_scripts_and_styles_and_the_widgets_of_a_page_stay_small(site: Path, html: str) -> None:
    own = [site / "_static" / asset for asset in ("static-widgets.js", "book.css", "reading.js", "reading.css")]
    assert all(path.name in html for path in own)
    widgets = {model["state"].get(key, "") for model in states(html) for key in ("_esm", "_css")}
    assert compressed(*(path.read_text("utf8") for path in own), *sorted(widgets)) < MAX_OWN_BYTES
    assert compressed(*site_assets.STATE.findall(html)) < MAX_STATE_BYTES


def test_the_markup_of_a_live_widget_holds_its_picture_and_its_state_under_the_given_id() -> None:
    html = live_widget.markup(EllipseLab(l_1=1.8), "abc")
    (model,) = states(html)
    assert model["state"]["l_1"] == 1.8
    assert "layout" not in model["state"]
    assert site_assets.widgets_without_state(html) == []
    assert site_assets.widgets_without_state(html.replace('"abc":', '"def":')) == ["abc"]  # the control
    assert "<svg" in html
    assert html == live_widget.markup(EllipseLab(l_1=1.8), "abc") != live_widget.markup(EllipseLab(l_1=1.5), "abc")
    assert html.count("</script>") == 1  # no text of a widget can end the script that carries it
    assert "\\u003c" in html
