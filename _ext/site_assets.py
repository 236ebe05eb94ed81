"""Keep the site self-contained: nothing from another host, no widget without its state, each figure in its size.

What this extension finds wrong it reports as a Sphinx warning, so that the strict build (`-W`) fails.
"""

from __future__ import annotations

import base64
import hashlib
import re
import shutil
import struct
from importlib.util import find_spec
from pathlib import Path

from docutils import nodes
from sphinx.util import logging

log = logging.getLogger(__name__)

MATHJAX = "third_party/mathjax"
# What tex-chtml.js can ask for: its fonts and the TeX extensions that it loads on demand.
MATHJAX_PARTS = ("tex-chtml.js", "output/chtml/fonts/woff-v2", "input/tex/extensions")
FIGURE_DPI = 100  # a figure inch on the page, in CSS pixels (`ia3_lab.style`)
INCHES_PER_METER = 39.3701
POINTS = re.compile(r'\b(width|height)="([\d.]+)pt"')

TAG = re.compile(r"<(script|link|img|iframe|source|video|audio|object|embed)\b[^>]*>", re.I)
FOREIGN_ADDRESS = re.compile(r"""\b(?:src|href|data|poster|srcset)=["']\s*((?:https?:)?//[^"'\s]+)""", re.I)
FOREIGN_CSS = re.compile(r"""(?:@import\s+|url\()\s*["']?((?:https?:)?//[^"')\s]+)""", re.I)
# A <link> that only names an address (its canonical form, a license) fetches nothing.
NAMING_LINK = re.compile(r"""\brel=["'](?:canonical|license|author|next|prev|search|index)["']""", re.I)
STYLE_ELEMENT = re.compile(r"<style\b[^>]*>(.*?)</style>", re.I | re.S)
VIEW = re.compile(r'<script type="application/vnd\.jupyter\.widget-view\+json">(.*?)</script>', re.S)
STATE = re.compile(r'<script type="application/vnd\.jupyter\.widget-state\+json">(.*?)</script>', re.S)
MODEL_ID = re.compile(r'"model_id":\s*"(\w+)"')
PICTURE = re.compile(r'<img alt="[^"]*" src="data:image/svg\+xml;base64,([^"]+)">')
#: Tells static-widgets.js that the page has come as far as the end of a widget.
WIDGET_HERE = '<script>document.dispatchEvent(new Event("widget-here"))</script>'
PICTURE_ID = re.compile(r'class="widget-fallback" data-model-id="(\w+)"')


def use_local_mathjax(app, config) -> None:
    """Point Sphinx at the copy that `stage_mathjax` puts beside the pages."""
    config.mathjax_path = f"{MATHJAX}/tex-chtml.js"


def stage_mathjax(app) -> None:
    """Copy MathJax out of the sphinx-mathjax-offline wheel, which is used as data only."""
    if app.builder.format != "html" or app.builder.math_renderer_name != "mathjax":
        return
    package = find_spec("sphinx-mathjax-offline")
    if package is None:
        log.warning("sphinx-mathjax-offline is not installed: pip install -r requirements.txt", type="site_assets")
        return
    source = Path(package.submodule_search_locations[0]) / "static" / "mathjax"
    target = Path(app.outdir) / "_static" / MATHJAX
    for part in MATHJAX_PARTS:
        (target / part).parent.mkdir(parents=True, exist_ok=True)
        if (source / part).is_dir():
            shutil.copytree(source / part, target / part, dirs_exist_ok=True)
        else:
            shutil.copy2(source / part, target / part)


def rebuild_for_new_assets(app, config) -> None:
    """Make every page out of date when a file of `_static` or `_ext` has changed: Sphinx looks at their sources alone.

    Every page, because each carries the checksums of what it loads, and is what the extensions make of it.
    """
    files = sorted(path for folder in ("_ext", "_static") for path in Path(app.srcdir, folder).rglob("*.*"))
    content = b"".join(path.read_bytes() for path in files if path.is_file() and "__pycache__" not in path.parts)
    config.site_assets_digest = hashlib.sha256(content).hexdigest()


def replace_deprecated_role(app, pagename, templatename, context, doctree) -> None:
    """Give an entry of the bibliography the role of a list's item: ARIA has withdrawn the one docutils writes."""
    if "body" in context:
        context["body"] = context["body"].replace('role="doc-biblioentry"', 'role="listitem"')


def inline_pictures(app, doctree) -> None:
    """Put the picture that stands in for a widget into the page itself, where it takes on the page's color and font."""
    for raw in doctree.findall(nodes.raw):
        html = PICTURE.sub(lambda image: base64.b64decode(image[1]).decode(), raw.astext())
        raw[:] = [nodes.Text(html + WIDGET_HERE * bool(PICTURE_ID.search(html)))]


def size_figures(app, doctree) -> None:
    """Give each figure the width it was drawn for: a PNG with two pixels a point would else come out double."""
    for image in doctree.findall(nodes.image):
        if "width" in image or "scale" in image or not image["uri"].endswith(".png"):
            continue
        width = png_width(Path(app.srcdir) / image["uri"].lstrip("/"))
        if width:
            image["width"] = f"{width}px"


def png_width(path: Path) -> int | None:
    """Width in CSS pixels of a PNG file that records its resolution, else None."""
    size = pixels(path)
    data = path.read_bytes() if size else b""
    position = data.find(b"pHYs")
    if position < 0:
        return None
    per_meter, _, unit = struct.unpack(">IIB", data[position + 4 : position + 13])
    return round(size[0] * FIGURE_DPI * INCHES_PER_METER / per_meter) if unit == 1 and per_meter else None


def pixels(path: Path) -> tuple[int, int] | None:
    """Width and height of a PNG file in its own pixels, of a figure's SVG in CSS pixels, None if there is no file."""
    if path.suffix == ".svg" and path.is_file():
        sizes = dict(POINTS.findall(path.read_text(encoding="utf-8")[:500]))
        return tuple(round(float(sizes[side]) * FIGURE_DPI / 72) for side in ("width", "height"))
    return struct.unpack(">II", path.read_bytes()[16:24]) if path.is_file() else None


def check_pages(app, exception) -> None:
    """Warn about every foreign resource and every widget that has no stored state."""
    if exception or app.builder.format != "html":
        return
    folder = Path(app.outdir)
    for page in sorted(folder.rglob("*.html")):
        html = page.read_text(encoding="utf-8")
        name = page.relative_to(folder)
        for address in foreign_resources(html):
            log.warning("%s loads %s from another host", name, address, type="site_assets")
        for model in widgets_without_state(html):
            log.warning("%s shows widget %s without stored state: run `make execute`", name, model, type="site_assets")
    for sheet in sorted(folder.rglob("*.css")):
        for address in FOREIGN_CSS.findall(sheet.read_text(encoding="utf-8", errors="replace")):
            log.warning("%s loads %s from another host", sheet.relative_to(folder), address, type="site_assets")


def foreign_resources(html: str) -> list[str]:
    """Addresses on other hosts that a browser fetches when it shows the page."""
    tags = [match[0] for match in TAG.finditer(html) if not NAMING_LINK.search(match[0])]
    found = [address for tag in tags for address in FOREIGN_ADDRESS.findall(tag)]
    return found + [address for style in STYLE_ELEMENT.findall(html) for address in FOREIGN_CSS.findall(style)]


def widgets_without_state(html: str) -> list[str]:
    """Ids of the widgets that a page shows and whose state it does not carry."""
    shown = {model for view in VIEW.findall(html) for model in MODEL_ID.findall(view)}
    shown.update(PICTURE_ID.findall(html))
    stored = "".join(STATE.findall(html))
    return sorted(model for model in shown if f'"{model}":' not in stored)


def setup(app) -> dict:
    """Connect the extension to Sphinx."""
    app.add_config_value("site_assets_digest", "", "html")
    app.connect("config-inited", use_local_mathjax)
    app.connect("builder-inited", stage_mathjax)
    app.connect("config-inited", rebuild_for_new_assets)
    app.connect("doctree-read", inline_pictures)
    app.connect("doctree-read", size_figures)
    app.connect("html-page-context", replace_deprecated_role)
    app.connect("build-finished", check_pages)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
