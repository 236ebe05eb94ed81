"""The built site, read as files: complete, self-contained, described, small."""

from __future__ import annotations

import gzip
import json
import re
import runpy
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import unquote, urlsplit

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent
assets = SimpleNamespace(**runpy.run_path(str(ROOT / "_ext" / "site_assets.py")))
directive = SimpleNamespace(**runpy.run_path(str(ROOT / "_ext" / "live_widget.py")))
check = SimpleNamespace(**runpy.run_path(str(ROOT / "scripts" / "check_site.py")))
CONFIG = yaml.safe_load((ROOT / "_config.yml").read_text("utf8"))
PAGES = check.toc_pages()
CHAPTERS = [page for page in PAGES if (ROOT / page).with_suffix(".ipynb").is_file()]
OWN_ASSETS = ("static-widgets.js", "book.css")
MAX_OWN_BYTES = 60_000
MAX_STATE_BYTES = 150_000

each_page = pytest.mark.parametrize("name", PAGES)
each_chapter = pytest.mark.parametrize("name", CHAPTERS)


class Elements(HTMLParser):
    """The start tags of a page: (tag, attributes) pairs, in order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def all(self, tag: str, attribute: str) -> list[str]:
        return [given[attribute] or "" for each, given in self.found if each == tag and attribute in given]


def article(html: str) -> str:
    return html[html.index("<article") : html.index("</article>")]


def compressed(text: str) -> int:
    return len(gzip.compress(text.encode(), mtime=0))


def states(html: str) -> list[dict]:
    """The widget models that a page carries."""
    return [model for text in assets.STATE.findall(html) for model in json.loads(text)["state"].values()]


# --- complete ----------------------------------------------------------------------------------------------


def test_every_page_of_the_table_of_contents_is_built(site: Path) -> None:
    assert check.missing_pages(site) == []


def test_a_missing_page_is_noticed(tmp_path: Path) -> None:
    assert check.missing_pages(tmp_path) == ["index.html", *PAGES]
    assert check.main([str(tmp_path)]) == 1


@each_page
def test_every_link_to_a_page_of_the_site_leads_somewhere(site: Path, name: str) -> None:
    broken = []
    for link in Elements((site / name).read_text("utf8")).all("a", "href"):
        parts = urlsplit(link)
        if parts.scheme or parts.netloc or not parts.path:
            continue
        if not (site / name).parent.joinpath(unquote(parts.path)).exists():
            broken.append(link)
    assert broken == []


@each_page
def test_every_link_to_a_place_on_a_page_finds_it(site: Path, name: str) -> None:
    broken = []
    for link in Elements(article((site / name).read_text("utf8"))).all("a", "href"):
        parts = urlsplit(link)
        if parts.scheme or parts.netloc or not parts.fragment:
            continue
        target = (site / name).parent / unquote(parts.path) if parts.path else site / name
        if f'id="{unquote(parts.fragment)}"' not in target.read_text("utf8"):
            broken.append(link)
    assert broken == []


@each_chapter
def test_a_chapter_has_its_colab_button_and_its_download(site: Path, name: str) -> None:
    links = Elements((site / name).read_text("utf8")).all("a", "href")
    repository = CONFIG["repository"]
    owner_and_name = repository["url"].removeprefix("https://github.com/")
    notebook = str(Path(name).with_suffix(".ipynb"))
    assert f"https://colab.research.google.com/github/{owner_and_name}/blob/{repository['branch']}/{notebook}" in links
    assert f"{repository['url']}/edit/{repository['branch']}/{notebook}" in links
    assert f"../_sources/{notebook}" in links
    assert (site / "_sources" / notebook).read_bytes() == (ROOT / notebook).read_bytes()


def test_the_first_page_shows_a_live_widget_and_leads_to_every_chapter(site: Path) -> None:
    body = article((site / PAGES[0]).read_text("utf8"))
    assert 'class="live-widget"' in body
    assert {Path(chapter).name for chapter in CHAPTERS} <= set(Elements(body).all("a", "href"))


def test_the_bibliography_labels_a_source_as_the_text_cites_it(site: Path) -> None:
    body = article((site / "book" / "bibliography.html").read_text("utf8"))
    labels = re.findall(r'<span class="label">(.*?)</span>\s*<p>', body, re.S)
    words = [re.sub(r"<[^>]+>", "", label) for label in labels]
    assert {"[Liu et al., 2022]", "[Kingma and Ba, 2015]", "[Shazeer, 2020]"} <= set(words)
    assert all(re.fullmatch(r"\[.+, \d{4}\]", label) for label in words)
    assert len(set(words)) == len(words)


def test_every_source_in_the_list_is_cited_on_a_page(site: Path) -> None:
    keys = re.findall(r"^@\w+\{([^,]+),", (ROOT / "book" / "references.bib").read_text("utf8"), re.M)
    pages = [path.read_text("utf8") for path in (ROOT / "book").iterdir() if path.suffix in (".md", ".ipynb")]
    cited = {key for text in pages for keys in re.findall(r"\{cite:\w\}`([^`]+)`", text) for key in keys.split(",")}
    assert keys
    assert set(keys) == cited


# --- described ---------------------------------------------------------------------------------------------


@each_page
def test_every_image_is_described_in_words(site: Path, name: str) -> None:
    body = article((site / name).read_text("utf8"))
    images = [given for tag, given in Elements(body).found if tag == "img"]
    undescribed = [given.get("src") for given in images if " " not in (given.get("alt") or "")]
    assert undescribed == []


@each_page
def test_every_picture_of_a_widget_has_a_title(site: Path, name: str) -> None:
    body = article((site / name).read_text("utf8"))
    pictures = re.findall(r'class="widget-fallback"[^>]*>(.*?)</div>', body, re.S)
    assert all("<title" in picture for picture in pictures if "<svg" in picture)


# --- self-contained ----------------------------------------------------------------------------------------


def test_no_page_loads_anything_from_another_host(site: Path) -> None:
    pages = sorted(site.rglob("*.html"))
    assert pages
    assert {page.name: found for page in pages if (found := assets.foreign_resources(page.read_text("utf8")))} == {}


def test_no_stylesheet_loads_anything_from_another_host(site: Path) -> None:
    sheets = sorted(site.rglob("*.css"))
    assert sheets
    assert [sheet for sheet in sheets if assets.FOREIGN_CSS.search(sheet.read_text("utf8", errors="replace"))] == []


@pytest.mark.parametrize(
    "html",
    [
        '<script src="https://cdn.example/x.js"></script>',
        '<script\n  defer src="//cdn.example/x.js"></script>',
        '<link rel="stylesheet" href="https://cdn.example/x.css">',
        '<img alt="a" src="https://example.org/x.png">',
        "<style>@import url(https://cdn.example/font.css);</style>",
        '<iframe src="https://example.org/"></iframe>',
    ],
)
def test_a_foreign_resource_is_noticed(html: str) -> None:
    assert len(assets.foreign_resources(html)) == 1


@pytest.mark.parametrize(
    "html",
    [
        '<a href="https://example.org/">a link</a>',
        '<link rel="canonical" href="https://example.org/page.html">',
        '<img alt="a" src="data:image/png;base64,AAAA">',
        '<svg xmlns="http://www.w3.org/2000/svg"></svg>',
    ],
)
def test_what_fetches_nothing_is_left_alone(html: str) -> None:
    assert assets.foreign_resources(html) == []


@each_page
def test_every_widget_of_a_page_brings_its_state(site: Path, name: str) -> None:
    assert assets.widgets_without_state((site / name).read_text("utf8")) == []


def test_a_widget_without_state_is_noticed() -> None:
    kind = "application/vnd.jupyter.widget"
    view = f'<script type="{kind}-view+json">{{"model_id": "abc"}}</script>'
    picture = '<div class="widget-fallback" data-model-id="def"></div>'
    state = f'<script type="{kind}-state+json">{{"state": {{"abc": {{}}}}}}</script>'
    assert assets.widgets_without_state(view + picture) == ["abc", "def"]
    assert assets.widgets_without_state(view + picture + state) == ["def"]


@each_page
def test_no_page_carries_thebe_or_an_inline_script_twice(site: Path, name: str) -> None:
    html = (site / name).read_text("utf8")
    inline = [body.strip() for body in re.findall(r"<script>(.*?)</script>", html, re.S)]
    assert sorted(inline) == sorted(set(inline))
    assert not [source for source in Elements(html).all("script", "src") if "thebe" in source]


@each_page
def test_mathjax_is_loaded_from_the_site_and_only_where_there_is_mathematics(site: Path, name: str) -> None:
    html = (site / name).read_text("utf8")
    scripts = [source for source in Elements(html).all("script", "src") if "mathjax" in source.lower()]
    assert bool(scripts) == ('class="math' in html)
    assert all(source.startswith("../_static/third_party/mathjax/tex-chtml.js") for source in scripts)


def test_a_changed_style_makes_every_page_out_of_date_and_an_unchanged_one_none(tmp_path: Path) -> None:
    for folder in ("source", "site"):
        (tmp_path / folder / "_static").mkdir(parents=True)
        (tmp_path / folder / "_static" / "book.css").write_text("a {}")
    app = SimpleNamespace(srcdir=tmp_path / "source", outdir=tmp_path / "site")
    env = SimpleNamespace(found_docs={"b", "a"})
    assert assets.rebuild_for_new_assets(app, env, set(), set(), set()) == []
    (tmp_path / "source" / "_static" / "book.css").write_text("a { color: red }")
    assert assets.rebuild_for_new_assets(app, env, set(), set(), set()) == ["a", "b"]


# --- small -------------------------------------------------------------------------------------------------


@each_page
def test_our_own_scripts_and_styles_stay_small_on_every_page(site: Path, name: str) -> None:
    html = (site / name).read_text("utf8")
    assert all(asset in html for asset in OWN_ASSETS)
    own = [(site / "_static" / asset).read_text("utf8") for asset in OWN_ASSETS]
    widgets = {model["state"].get(key, "") for model in states(html) for key in ("_esm", "_css")}
    assert sum(map(compressed, [*own, *sorted(widgets)])) < MAX_OWN_BYTES


@each_page
def test_the_widget_state_of_a_page_stays_small(site: Path, name: str) -> None:
    html = (site / name).read_text("utf8")
    assert sum(map(compressed, assets.STATE.findall(html))) < MAX_STATE_BYTES


# --- the directive -----------------------------------------------------------------------------------------


def test_the_markup_of_a_live_widget_holds_its_picture_and_its_state_under_the_given_id() -> None:
    from ia3_lab.widgets import EllipseLab

    html = directive.markup(EllipseLab(l_1=1.8), "abc")
    (model,) = states(html)
    assert model["state"]["l_1"] == 1.8
    assert "layout" not in model["state"]
    assert assets.widgets_without_state(html) == []
    assert "<svg" in html
    assert html == directive.markup(EllipseLab(l_1=1.8), "abc")
    assert html != directive.markup(EllipseLab(l_1=1.5), "abc")


def test_no_text_of_a_widget_can_end_the_script_that_carries_it() -> None:
    from ia3_lab.widgets import EllipseLab

    html = directive.markup(EllipseLab(), "abc")
    assert html.count("</script>") == 1
    assert "\\u003c" in html


# --- figures -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dpi", [100, 200])
def test_a_figure_is_as_wide_on_the_page_as_it_was_drawn(tmp_path: Path, dpi: int) -> None:
    from matplotlib.figure import Figure

    path = tmp_path / "figure.png"
    Figure(figsize=(4, 3)).savefig(path, dpi=dpi)
    assert assets.png_size(path) == 400


def test_a_file_that_records_no_resolution_keeps_its_own_size(tmp_path: Path) -> None:
    path = tmp_path / "figure.png"
    path.write_bytes(b"\x89PNG\r\n")
    assert assets.png_size(path) is None
    assert assets.png_size(tmp_path / "none.png") is None
