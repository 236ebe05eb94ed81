"""Make of each figure that a notebook keeps one for each theme, wide enough to be read, and files to take home.

A notebook's figure is a PNG that carries its drawing, an SVG, and its numbers (`scripts/execute.py`). Its colors do on
any page, and each stands for a role (`ia3_lab.style`): the page gets the drawing in light and in dark colors, of which
the theme shows its own. On a narrow window a figure shrinks until its smallest text is as small as text may be; then it
scrolls.
"""

from __future__ import annotations

import re
from math import ceil
from pathlib import Path

from docutils import nodes
from PIL import Image
from site_assets import FIGURE_DPI, pixels
from sphinx import addnodes

from ia3_lab.style import PALETTE

MIN_TEXT = 11  # CSS pixels; what stands below or above a line of text, as in a formula, may be smaller
TEXT = re.compile(r"<text\b.*?</text>", re.S)
FONT_SIZE = re.compile(r"font-size: ([\d.]+)px")
# Color in a figure -> color in a theme. The grid is faint in any: it stays.
THEMES = {
    theme: {color.figure: getattr(color, theme) for role, color in PALETTE.items() if role != "grid"}
    for theme in ("light", "dark")
}


def in_theme(svg: str, theme: str) -> str:
    """Return a figure in the colors of a theme."""
    return re.sub("#[0-9a-f]{6}", lambda found: THEMES[theme].get(found[0], found[0]), svg)


def smallest_text(svg: str) -> float:
    """Return the size of the smallest text of a figure, in CSS pixels at the width it was drawn for."""
    sizes = [max(map(float, FONT_SIZE.findall(text))) for text in TEXT.findall(svg)]
    return min(sizes, default=MIN_TEXT) * FIGURE_DPI / 72


def show_in_themes(app, doctree) -> None:
    """Put the two drawings of each figure, and what can be downloaded, in the place of the notebook's PNG."""
    for image in list(doctree.findall(nodes.image)):
        path, figure = Path(app.env.relfn2path(image["uri"], app.env.docname)[1]), image
        texts = Image.open(path).text if path.suffix == ".png" and path.is_file() else {}
        if not (svg := texts.get("image/svg+xml")):
            continue
        while not isinstance(figure, nodes.figure):
            figure = figure.parent
        shown, files = [], nodes.container(classes=["figure-files"])
        path = path.with_name(figure["names"][0])
        for theme in THEMES:
            file = path.with_suffix(".svg" if theme == "light" else ".dark.svg")
            file.write_text(in_theme(svg, theme), encoding="utf-8")
            shown.append(
                nodes.image(uri=f"/{file.relative_to(app.srcdir)}", alt=image["alt"], classes=[f"only-{theme}"])
            )
            files += link("Picture (SVG)", file, app, f"only-{theme}")
        if "\n" in (data := texts["text/csv"]):
            path.with_suffix(".csv").write_text(data, encoding="utf-8")
            files += link("Data (CSV)", path.with_suffix(".csv"), app)
        elif data:
            files += nodes.inline(text=f"Data: {data}")
        least = ceil(pixels(file)[0] * MIN_TEXT / smallest_text(svg))
        start = nodes.raw("", f'<div class="figure-view" style="--least: {least}px">', format="html")
        image.replace_self([start, *shown, files, nodes.raw("", "</div>", format="html")])


def link(word: str, file: Path, app, *classes: str) -> nodes.Node:
    """Return a link that downloads a file."""
    look = {"refdoc": app.env.docname, "reftarget": f"/{file.relative_to(app.srcdir)}", "classes": [*classes]}
    return addnodes.download_reference("", "", nodes.inline(text=word), **look)


def setup(app) -> dict:
    """Run before Sphinx collects the images and downloads of a page."""
    app.connect("doctree-read", show_in_themes, priority=400)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
