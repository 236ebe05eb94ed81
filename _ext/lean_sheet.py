"""One style sheet for the whole site: the rules that can match something on it, and the icons that it shows.

The theme's sheets hold all of Bootstrap and the names of 2,000 icons, of which its two icon fonts draw every one. The
pages use a fifth of the rules and seventeen icons, so they load that part. The full sheets, with their licenses, stay
beside it. What keeps a rule is a word: each class and id that a selector asks for must occur somewhere in a page or a
script, as a word of any kind. So no rule is lost to a class that a script sets, unless the script puts the name
together from parts (`MADE_BY_SCRIPTS`).
"""

from __future__ import annotations

import base64
import hashlib
import io
import re
from collections.abc import Iterable
from fnmatch import fnmatch
from itertools import groupby, pairwise
from pathlib import Path

import tinycss2
from fontTools import subset
from fontTools.ttLib import TTFont
from sphinx.util import logging

log = logging.getLogger(__name__)

NAME = "site.css"
# In the order in which the theme loads them. Ours come last, whole.
SHEETS = (
    *("basic.css", "styles/pydata-sphinx-theme.css", "pygments.css", "styles/sphinx-book-theme.css"),
    *("togglebutton.css", "copybutton.css", "mystnb.*.css", "sphinx-design.min.css"),
)
NOT_NEEDED = ("styles/theme.css", "sphinx-thebe.css")  # the first only imports basic.css; thebe needs a server
ICON_FONTS = {"fa-solid-900": ("Free", 900), "fa-brands-400": ("Brands", 400)}
ICON = re.compile("[\ue000-\uf8ff]")
MADE_BY_SCRIPTS = {"bs-tooltip-auto"}
WORD = re.compile(r"[\w-]+")
ORIGIN = (
    "/* From pydata-sphinx-theme (BSD), Bootstrap (MIT), Font Awesome Free (CC BY 4.0, OFL): see the sheets beside */"
)


def holds(source: Path, name: str) -> bool:
    """Return whether a page with this sheet can do without the one of this name in `_static`."""
    known = any(fnmatch(name, pattern) for pattern in (*SHEETS, *NOT_NEEDED))
    return known or (source / "_static" / name).is_file()


def matching(rules: Iterable, words: set[str]) -> str:
    """Return the rules of a sheet that can match where these words occur."""
    kept = []
    for rule in rules:
        if rule.type == "qualified-rule":
            selectors = [part for part in split(rule.prelude) if names(part) <= words]
            if selectors:
                kept.append(f"{','.join(text(part) for part in selectors)}{{{text(rule.content)}}}")
        elif rule.type == "at-rule" and rule.lower_at_keyword in {"media", "supports"}:
            inner = matching(tinycss2.parse_rule_list(rule.content, skip_comments=True, skip_whitespace=True), words)
            if inner:
                kept.append(f"@{rule.at_keyword} {text(rule.prelude)}{{{inner}}}")
        elif rule.type == "at-rule" and "Font Awesome" not in (whole := rule.serialize()) and "charset" not in whole:
            kept.append(whole)
    return "".join(kept)


def split(prelude: list) -> list[list]:
    """Return the selectors of a list; a comma inside `:is()` is inside one token and separates nothing."""
    return [list(part) for comma, part in groupby(prelude, lambda token: token == ",") if not comma]


def names(selector: list) -> set[str]:
    """Return the classes and ids that a selector asks for; what stands in `:not()` or `[...]` decides nothing."""
    classes = {after.value for dot, after in pairwise(selector) if dot == "." and after.type == "ident"}
    return classes | {token.value for token in selector if token.type == "hash"}


def text(tokens: list) -> str:
    """Return tokens as they are written, on one line."""
    return re.sub(r"\s*\n\s*", " ", tinycss2.serialize(tokens)).strip()


def icon_faces(fonts: Path, css: str) -> str:
    """Return the icon fonts cut down to the icons that the rules name, to be held in the sheet itself."""
    wanted = {ord(char) for char in ICON.findall(css)}
    faces = []
    for name, (family, weight) in ICON_FONTS.items():
        font = TTFont(fonts / f"{name}.ttf")
        cutter = subset.Subsetter(subset.Options(layout_features=[], hinting=False, glyph_names=False, name_IDs=[]))
        cutter.populate(unicodes=wanted & font.getBestCmap().keys())
        cutter.subset(font)
        font.flavor = "woff"
        font.save(data := io.BytesIO())
        source = f"url(data:font/woff;base64,{base64.b64encode(data.getvalue()).decode()})"
        faces.append(f'@font-face{{font-family:"Font Awesome 6 {family}";font-weight:{weight};src:{source}}}')
    return "".join(faces)


def write_sheet(app, exception) -> None:
    """Write the sheet from the pages as they stand, and its checksum into each of them."""
    if exception or app.builder.format != "html":
        return
    site, static = Path(app.outdir), Path(app.outdir) / "_static"
    pages = {path: path.read_text(encoding="utf-8") for path in site.rglob("*.html") if static not in path.parents}
    scripts = {*static.glob("*.js"), *static.glob("scripts/*.js")} - {static / "scripts" / "fontawesome.js"}
    words = MADE_BY_SCRIPTS.union(*(WORD.findall(html) for html in pages.values()))
    words.update(*(WORD.findall(path.read_text(encoding="utf-8")) for path in scripts))
    css = ""
    for pattern in SHEETS:
        found = sorted(static.glob(pattern))
        if not found:
            log.warning("the theme has no style sheet %s any more", pattern, type="lean_sheet")
        for path in found:
            rules = tinycss2.parse_stylesheet(
                path.read_text(encoding="utf-8"), skip_comments=True, skip_whitespace=True
            )
            css += matching(rules, words)
    css = icon_faces(static / "vendor/fontawesome/webfonts", css) + css
    for path in sorted((Path(app.srcdir) / "_static").glob("*.css")):
        css += path.read_text(encoding="utf-8")
    css = f'@charset "UTF-8";\n{ORIGIN}\n{css}'
    (static / NAME).write_text(css, encoding="utf-8")
    digest = hashlib.sha256(css.encode()).hexdigest()[:8]
    for path, html in pages.items():
        new = re.sub(rf"({re.escape(NAME)}\?v=)\w*", rf"\g<1>{digest}", html)
        if new != html:
            path.write_text(new, encoding="utf-8")


def setup(app) -> dict:
    """Run after myst-nb, which writes its sheet when the build has finished."""
    app.connect("build-finished", write_sheet, priority=800)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
