"""Let a page load what the reader came for first: its text, one style sheet, its widgets; the theme's scripts follow.

Sphinx hands every page that a template has drawn to `Templates.render`, so none of the theme's templates is copied, and
a page is changed once, when it is written. Where the theme no longer has what is looked for, the strict build fails.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from lean_sheet import holds
from site_assets import pixels
from sphinx.jinja2glue import BuiltinTemplateLoader
from sphinx.util import logging

log = logging.getLogger(__name__)

FIRST = "static-widgets.js"  # it loads those marked data-later when the widgets are there
# Scripts that a page has no use for unless it holds this: never, for what has no such mark. The search is our own.
NEEDS = {
    "design-tabs.js": re.compile(r'class="sd-tab-set'),
    "togglebutton.js": re.compile(r'class="(?:[^"]* )?(?:toggle[ "]|admonition[^"]* dropdown[ "])'),
    "clipboard.min.js": (code := re.compile(r'<div class="highlight"')),
    "copybutton.js": code,
    "tex-chtml.js": re.compile(r'class="math '),
    **dict.fromkeys(("fontawesome.js", "sphinx-thebe.js", "thebe.js"), None),
    **dict.fromkeys(("searchtools.js", "language_data.js", "searchindex.js"), None),
}
# Inline scripts that set up one of those, or speak to a script that is not there yet and would not listen.
SETTINGS = re.compile(r"toggleHint|toggleOpenOnPrint|togglebuttonSelector|thebe|DOCUMENTATION_OPTIONS\.")
SHEET = re.compile(r'\s*<link\b(?=[^>]*\brel="stylesheet")[^>]*\bhref="([^"?]*)[^>]*>')
PRELOAD = re.compile(r'\s*<link rel="preload"[^>]*>')
SCRIPT = re.compile(r"\s*<script\b([^>]*)>(.*?)</script>", re.S)
SOURCE = re.compile(r'\bsrc="(([^"?]*/)?([^"?/]+)[^"]*)"')
IMAGE = re.compile(r'<img\b(?![^>]*\bloading=)([^>]*\bsrc="[^"]*?([^"/]+\.(?:png|svg))"[^>]*>)')
# Beside every heading and figure; the Tab key goes through the page's contents, which hold the same addresses.
LINK_TO_ITSELF = '<a class="headerlink"'
# On the folds of code, which read "Show the code".
NOT_WHAT_IT_SAYS = ' aria-label="Toggle hidden content"'
# A part in the list of all pages: its caption, and its pages.
PART = re.compile(r'<p[^>]* class="caption"[^>]*>(<span class="caption-text">.*?</span>)</p>\s*(<ul\b.*?</ul>)', re.S)
NUMBERED = re.compile(r">\d+\. ")
# Before the first paint: the theme's script, which would find out whether "auto" is dark, comes later.
AUTO = 'localStorage.getItem("theme") || "auto"'
NOT_WHITE_IN_THE_DARK = (
    'localStorage.getItem("theme") || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")'
)


class Templates(BuiltinTemplateLoader):
    """Sphinx's templates, with the pages that come out of them made light."""

    def init(self, builder: Any, *args: Any) -> None:
        """Remember the builder, which knows the images."""
        super().init(builder, *args)
        self.builder = builder

    def render(self, template: str, context: dict) -> str:
        """Return a page."""
        html = super().render(template, context)
        return self.lighten(html, context["pagename"]) if "</head>" in html else html

    def lighten(self, html: str, page: str) -> str:
        """Return a page with one style sheet, its scripts after the widgets, and images that wait to be scrolled to."""
        first = SHEET.search(html)
        if not first or AUTO not in html or f"/{FIRST}" not in html:
            log.warning("the theme's pages have changed: %s cannot be made light", page, type="lean_pages")
            return html
        for address in SHEET.findall(html):
            name = address.rpartition("_static/")[2]
            if not holds(Path(self.builder.srcdir), name):
                log.warning("%s asks for %s: name it in lean_sheet.SHEETS", page, name, type="lean_pages")
        static = first[1].rpartition("_static/")[0] + "_static/"
        html = html[: first.start()] + f'\n<link rel="stylesheet" href="{static}site.css?v=" />' + html[first.end() :]
        html = SHEET.sub(lambda match: match[0] if match[1].endswith("/site.css") else "", html)
        html = PRELOAD.sub("", html.replace(AUTO, NOT_WHITE_IN_THE_DARK, 1))
        html = SCRIPT.sub(lambda match: later(match, html), html)
        html = html.replace(LINK_TO_ITSELF, f'{LINK_TO_ITSELF} tabindex="-1"')
        html = html.replace(NOT_WHAT_IT_SAYS, "")
        return IMAGE.sub(self.lazy, PART.sub(foldable, html))

    def lazy(self, image: re.Match) -> str:
        """Return an image that is fetched when it comes near, into a place of its proportions."""
        sources = {name: source for source, name in self.builder.images.items()}
        size = pixels(Path(self.builder.srcdir, sources[image[2]])) if image[2] in sources else None
        sizes = 'width="{}" height="{}" '.format(*size) if size else ""
        return f'<img loading="lazy" decoding="async" {sizes}{image[1].lstrip()}'


def foldable(part: re.Match) -> str:
    """Return a part of the list of all pages: a fold if it holds no chapters, open where the reader is in it."""
    caption, pages = part.groups()
    if NUMBERED.search(pages):
        return part[0]
    return f'<details class="part"{" open" * ("current" in pages)}><summary>{caption}</summary>{pages}</details>'


def later(script: re.Match, html: str) -> str:
    """Return a script as the page is to hold it: as it was, marked to be loaded later, or not at all."""
    source = SOURCE.search(script[1])
    if not source:
        return "" if "type=" not in script[1] and SETTINGS.search(script[2]) else script[0]
    address, _, name = source.groups()
    if name == FIRST:
        return f'\n<script src="{address}"></script>'
    mark = NEEDS.get(name, re.compile(""))
    return f'\n<script type="text/plain" data-later="{address}"></script>' if mark and mark.search(html) else ""


def use_templates(app, config) -> None:
    """Put `Templates` in the place of Sphinx's own."""
    config.template_bridge = f"{__name__}.Templates"


def setup(app) -> dict:
    """Connect the extension to Sphinx."""
    app.connect("config-inited", use_templates)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
