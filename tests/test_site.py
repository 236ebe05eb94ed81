"""The built site, read as files: complete, self-contained, described, small."""

import gzip
import json
import logging
import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

import check_site
import lean_pages
import lean_sheet
import live_widget
import pytest
import site_assets
import static_math
import tinycss2
import yaml
from bs4 import BeautifulSoup
from docutils import nodes

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
    assert page.article.select("summary[aria-label]") == [], "a fold's name is what it says"


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


def test_a_page_carries_the_state_of_its_widgets_its_formulas_without_a_script_and_widgets_before_the_rest(html, page):
    assert site_assets.widgets_without_state(html) == []
    assert [formula for formula in page.select(".math") if not formula.math] == []
    assert r"\(" not in re.sub(r"<script.*?</script>", "", html, flags=re.S)
    assert [Path(urlsplit(script["src"]).path).name for script in page.find_all("script", src=True)] == [
        lean_pages.FIRST
    ]
    rest = " ".join(script["data-later"] for script in page.select("script[data-later]"))
    assert "bootstrap.js" in rest
    assert not re.search("thebe|mathjax|fontawesome|searchtools|searchindex", rest)
    inline = [str(script) for script in page.find_all("script", src=False, type=False, string=True)]
    here = inline.count(site_assets.WIDGET_HERE)
    assert here == len(page.select(".widget-fallback")) and len(inline) == len({*inline}) + max(here - 1, 0)


def test_a_figure_waits_until_it_is_scrolled_to_in_a_place_of_its_size(page: BeautifulSoup) -> None:
    for image in page.article.find_all("img"):
        assert image.get("loading") == "lazy" and min(int(image["width"]), int(image["height"])) > 50


def test_a_page_is_light_before_anyone_scrolls(site: Path, name: str, html: str, page: BeautifulSoup) -> None:
    links = page.select('link[rel="stylesheet"], script[src], script[data-later], img:not([loading="lazy"])')
    addresses = [link.get("href") or link.get("src") or link["data-later"] for link in links]
    paths = {(site / name).parent / urlsplit(address).path for address in addresses}
    formulas = [formula for formula in page.find_all("math") if not formula.find_parent(hidden=True)]
    paths |= {site / "_static/formulas.woff2"} if formulas else set()
    weight = compressed(html) + sum(len(gzip.compress(path.read_bytes(), mtime=0)) for path in paths)
    assert len(page.select('link[rel="stylesheet"]')) == 1
    assert weight < (160_000 if name == PAGES[0] else 350_000)


def test_a_rule_is_kept_if_something_can_match_it_and_an_icon_if_a_rule_names_it(site: Path) -> None:
    css = ".a, .b > .c {x: y} .d:not(.e) {x: y} #f {x: y} @media print {.g {x: y} p {x: y}} @media screen {.g {x: y}}"
    kept = lean_sheet.matching(tinycss2.parse_stylesheet(css, skip_whitespace=True), {"a", "b", "d"})
    assert kept == ".a{x: y}.d:not(.e){x: y}@media print{p{x: y}}"
    held = [lean_sheet.holds(ROOT, name) for name in ("sphinx-thebe.css", "mystnb.0a.css", "book.css", "tippy.css")]
    assert held == [True, True, True, False]
    fonts = site / "_static/vendor/fontawesome/webfonts"
    one, two = (lean_sheet.icon_faces(fonts, css) for css in ("\uf002", "\uf002\uf185"))
    assert len(one) < len(two) < 5000


@pytest.mark.parametrize(
    ("tex", "missing"), [(r"\frac{\alpha}{r}\,x A B", False), (r"\mathfrak{g}", True), (r"\nosuch x", True)]
)
def test_a_formula_that_cannot_be_read_or_drawn_stops_the_strict_build(caplog, tex, missing):
    logger = logging.getLogger("sphinx.static_math")
    logger.addHandler(caplog.handler)
    static_math.convert(nodes.math(), tex, False)
    logger.removeHandler(caplog.handler)
    assert bool(caplog.records) == missing


def test_a_page_tells_others_what_it_is(site: Path, name: str, page: BeautifulSoup) -> None:
    tags = {tag.get("name") or tag.get("property"): tag["content"] for tag in page.head.select("meta[content]")}
    address = tags["og:url"]
    assert address.endswith(f"/{name}") and page.select_one('link[rel="canonical"]')["href"] == address
    assert 60 < len(tags["description"]) <= 204 and "\\" not in tags["description"]
    assert page.title.text.count("IA³ by Hand") == 1
    assert (site / tags["og:image"].removeprefix(address.removesuffix(name))).is_file()
    for listing in ("sitemap.xml", "llms.txt"):
        assert (site / listing).read_text("utf8").count(address) == 1


def test_a_lost_reader_is_led_to_every_page_from_any_depth(site: Path) -> None:
    at = "/" + yaml.safe_load((ROOT / "_config.yml").read_text("utf8"))["repository"]["url"].rpartition("/")[2]
    page = parsed((site / "404.html").read_text("utf8"))
    links = [tag.get("href") or tag.get("src") for tag in page.select("link[href], a[href], script[src]")]
    assert [link for link in links if not link.startswith((f"{at}/", "#", "https:"))] == []
    assert {f"{at}/{name}" for name in PAGES} <= set(links)
    assert "Sitemap: https://" in (site / "robots.txt").read_text("utf8")


def test_our_own_scripts_and_styles_and_the_widgets_of_a_page_stay_small(html: str) -> None:
    own = [path for path in (ROOT / "_static").iterdir() if path.suffix in (".js", ".css")]
    widgets = {model["state"].get(key, "") for model in states(html) for key in ("_esm", "_css")}
    assert compressed(*(path.read_text("utf8") for path in own), *sorted(widgets)) < MAX_OWN_BYTES
    assert compressed(*site_assets.STATE.findall(html)) < MAX_STATE_BYTES


def test_the_markup_of_a_live_widget_holds_its_picture_and_its_state_under_the_given_id() -> None:
    html = live_widget.markup(EllipseLab(l_1=1.8), "abc")
    (model,) = states(html)
    assert model["state"]["l_1"] == 1.8
    assert "layout" not in model["state"]
    assert site_assets.widgets_without_state(html.replace('"abc":', '"def":')) == ["abc"]  # the control
    assert "<svg" in html
    assert html == live_widget.markup(EllipseLab(l_1=1.8), "abc") != live_widget.markup(EllipseLab(l_1=1.5), "abc")
    assert html.count("</script>") == 1  # no text of a widget can end the script that carries it
    assert "\\u003c" in html
