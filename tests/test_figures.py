"""Figures: text and numbers, in the theme of the page, readable on a phone, to enlarge and to take home."""

import base64
import io
import re
from typing import Any

import check_site
import execute
import figure_data
import figure_files
import matplotlib as mpl
import pytest
from bs4 import BeautifulSoup
from PIL import Image

from ia3_lab import plots, style
from ia3_lab.figures import to_svg
from ia3_lab.style import PALETTE, figure_color

PAIR = {"one": [1.0, 3.0], "two": [2.0, 5.0]}
PAGES = [
    str(path.relative_to(check_site.ROOT).with_suffix(".html"))
    for path in execute.chapters()
    if "fig-" in path.read_text("utf8")
]


def table(ax: Any) -> list[str]:
    return figure_data.to_csv(ax.figure).splitlines()


def test_a_figure_s_numbers_are_a_table_under_the_names_of_the_axes_and_a_drawing_or_a_flood_has_none():
    drawn = plots.plot_lines([8, 16], PAIR, spread={"one": 1, "two": 2}, apart=5, hlines={1.0: "x"}, xlabel="$k$")
    assert table(drawn)[:5] == ["series,k,y", "one,8,1", "one,16,3", "two,8,2", "two,16,5"]
    assert table(drawn)[5:7] == ["one (ends),8,0", "one (ends),8,2"]
    assert table(plots.plot_bars("ab", PAIR, xlabel="value"))[:3] == ["series,value,y", "one,1,a", "one,3,b"]
    cells = plots.plot_cells([[0.1, 0.2]], "r", "ab", title="t")
    assert table(cells) == ["panel,x,y,value", "t,a,r,0.1", "t,b,r,0.2"]
    steps = plots.plot_histogram({"k": [1, 3]}, bins=[0, 1, 2], counted=True)
    assert table(steps)[1:] == ["l_k,0,0.25", "l_k,1,0.75"]
    assert len(table(plots.plot_points([1, 2], PAIR, diagonal=True))) == 5
    assert table(plots.plot_rescaling_places()) == []
    assert table(plots.plot_points(range(5001), {"a": range(5001)})) == ["more than 5,000 points"]


def test_a_figure_is_the_same_text_on_every_run_and_takes_the_colors_of_a_theme():
    with mpl.rc_context():
        style.use_style()
        one, two = (to_svg(plots.plot_bars("ab", PAIR, xlabel="a < b").figure) for _ in range(2))
    assert one == two and "<text" in one and "date" not in one.lower()
    blank = io.BytesIO()
    Image.new("P", (2, 2)).save(blank, "PNG", dpi=(100, 100))
    png = execute.with_source(base64.b64encode(blank.getvalue()).decode(), one, "\u00b3,1\n")
    assert Image.open(io.BytesIO(base64.b64decode(png))).text == {"image/svg+xml": one, "text/csv": "\u00b3,1\n"}
    assert figure_files.smallest_text(one) == pytest.approx(12 / 0.72)
    text = PALETTE["text"]
    for theme in ("light", "dark"):
        themed = figure_files.in_theme(one, theme)
        assert getattr(text, theme) in themed and text.figure not in themed
    assert len({color.figure for color in PALETTE.values()}) == len(PALETTE), "a color names one role"


@pytest.mark.parametrize("name", PAGES)
def test_each_figure_of_a_page_has_two_pictures_in_its_theme_s_colors_alone_and_its_files(site, name):
    figures = BeautifulSoup((site / name).read_text("utf8"), "html.parser").select("figure[id^=fig-]")
    kept = {figure_color("grid"), "#ffffff"}  # beside the roles: faint lines, and numbers on dark cells
    for figure in figures:
        images, files = figure.select("img"), [(site / name).parent / a["href"] for a in figure.select("a[download]")]
        assert [image["class"] for image in images] == [["only-light"], ["only-dark"]]
        for image, theme in zip(images, figure_files.THEMES, strict=True):
            svg = ((site / name).parent / image["src"]).read_text("utf8")
            assert set(re.findall("#[0-9a-f]{6}", svg)) <= kept | {getattr(color, theme) for color in PALETTE.values()}
            pale = re.findall(r"stroke: (#\w{6}); stroke-opacity: ([\d.]+)", svg)
            assert all(color in kept or float(opacity) >= 0.7 for color, opacity in pale), "3:1 would not hold"
        assert [file.suffix for file in files] in ([".svg"] * 2, [".svg", ".svg", ".csv"])
        assert all(file.stat().st_size < 150_000 for file in files if file.suffix == ".csv")
    assert "Picture (SVG)" not in (site / "_static/section-index.js").read_text("utf8"), "what is searched"
    assert len(figures) == (check_site.ROOT / name).with_suffix(".ipynb").read_text("utf8").count('"name": "fig-')


@pytest.mark.browser
def test_a_figure_enlarges_by_click_and_by_key_in_its_theme_with_its_files_and_the_focus_returns(page_of):
    page = page_of("book/07-how-a-vector-trains.html", theme="dark")
    button, dialog = page.locator(".figure-open").first, page.locator("dialog.figure-dialog")
    picture = page.locator(".figure-view img:visible").first
    assert page.locator(".figure-files a").count() == 0, "one tab stop a figure"
    for act in (lambda: button.press("Enter"), picture.click):
        act()
        assert dialog.locator("img:visible").get_attribute("src").endswith(".dark.svg")
        assert dialog.locator("img:visible").bounding_box()["height"] > 1.5 * picture.bounding_box()["height"]
        assert dialog.locator("a:visible").all_inner_texts() == ["Picture (SVG)", "Data (CSV)"]
        page.keyboard.press("Escape")
        assert page.evaluate("document.activeElement.className") == "figure-open" and not dialog.is_visible()
    page.pdf()
    page.emulate_media(media="print")
    assert not button.is_visible()
