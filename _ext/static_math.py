"""Formulas as MathML, made while the site is built: a page shows them with no script, no tab stop and no second layout.

Temml (`vendor/`, MIT) turns TeX into MathML inside QuickJS, so that nobody needs Node. `_static/formulas.woff2` is the
font that browsers may lack: Latin Modern Math, cut by `scripts/cut_math_font.py` to `GLYPHS`. What Temml cannot read,
and a character that the font does not draw, is a warning, which the strict build does not let pass. Without the line
`html_math_renderer: mathml` in `_config.yml`, MathJax draws the formulas again, after the widgets.
"""

from __future__ import annotations

import html
import re
from functools import cache
from pathlib import Path

from docutils import nodes
from sphinx.util import logging
from sphinx.util.math import get_node_equation_number

log = logging.getLogger(__name__)

TEMML = Path(__file__).parent / "vendor" / "temml.min.js"
RENDER = "(tex, block) => temml.renderToString(tex, {displayMode: block, throwOnError: true})"
# What the font draws: Latin upright and italic, Greek as formulas have it, common operators, arrows and brackets.
RANGES = (
    *((0x20, 0x7E), (0x1D434, 0x1D467), (0x1D6FC, 0x1D71B), (0x2190, 0x2194), (0x27F5, 0x27FA), (0x2308, 0x230B)),
    *((0x23DE, 0x23DF), (0x27E8, 0x27E9), (0x2061, 0x2064)),
)
SIGNS = "ΓΔΘΛΞΠΣΥΦΨΩ\u00a0¯°±·×÷ˆ˙˜‖…′″ℎℒℕℝ𝔼𝟏⇒⇔↦∀∂∃∅∇∈∉∏∑−∓∖∘√∝∞∠∣∧∨∩∪∫∼≃≈≠≡≤≥≪≫⊂⊆⊕⊗⊘⊙⊤⊥⋅⋮⋯⋱\u2009\u200b"  # noqa: RUF001
GLYPHS = {char for first, last in RANGES for char in map(chr, range(first, last + 1))} | set(SIGNS)
CIRCLED = "⊕⊗⊘⊙"  # between two letters these are not large, whatever Firefox's dictionary says
# A small Greek letter in <mi> is drawn with the italic one.
READABLE = GLYPHS | set(map(chr, range(0x3B1, 0x3CA))) | set("ϑϕϵ")


@cache
def renderer():
    """Return Temml's function from TeX to MathML."""
    import quickjs

    engine = quickjs.Context()
    engine.eval(TEMML.read_text(encoding="utf-8"))
    engine.eval(f"var render = {RENDER}")
    return engine.get("render")


@cache
def mathml(tex: str, block: bool = False) -> str:
    """Return a formula as MathML; `block` for one that stands by itself."""
    markup = renderer()(tex.strip(), block)
    return re.sub(f"<mo>(?=[{CIRCLED}])", '<mo largeop="false">', markup)


def plain(tex: str) -> str:
    """Return a formula as a line of text, with l_k and d² as one types them."""
    markup = re.sub(r"<msub(?:sup)?>(<m[io]>[^<]*</m[io]>)", r"\1_", mathml(tex))
    markup = re.sub(r"<mn[^>]*>([23])</mn></msu(?:p|bsup)>", lambda power: "²³"[int(power[1]) - 2], markup)
    return html.unescape(re.sub(r"<[^>]*>", "", markup))


def convert(node: nodes.Element, tex: str, block: bool) -> str:
    """Return a formula of a page as MathML, or its source with a warning."""
    try:
        markup = mathml(tex, block)
    except Exception as error:  # QuickJS hands on whatever Temml throws
        log.warning("cannot read the formula %s: %s", tex, error, location=node, type="static_math")
        return f"<code>{html.escape(tex)}</code>"
    missing = set(html.unescape(re.sub(r"<[^>]*>", "", markup))) - READABLE
    if missing:
        log.warning("GLYPHS lacks %s, in %s", missing, tex, location=node, type="static_math")
    return markup


def visit_math(self, node: nodes.math) -> None:
    """Write a formula in a line of text."""
    self.body.append(self.starttag(node, "span", "", CLASS="math") + convert(node, node.astext(), False) + "</span>")
    raise nodes.SkipNode


def visit_displaymath(self, node: nodes.math_block) -> None:
    """Write a formula that stands by itself, with its number if it has one; lines that are no environment are split."""
    self.body.append(self.starttag(node, "div", CLASS="math"))
    if node.get("number"):
        self.body.append(f'<span class="eqno">({get_node_equation_number(self, node)})')
        self.add_permalink_ref(node, "Link to this equation")
        self.body.append("</span>")
    tex = node.astext()
    if r"\\" in tex and r"\begin" not in tex:
        tex = rf"\begin{{split}}{tex}\end{{split}}"
    self.body.append(convert(node, tex, True) + "</div>\n")
    raise nodes.SkipNode


def setup(app) -> dict:
    """Offer the renderer under the name that `_config.yml` uses."""
    app.add_html_math_renderer("mathml", (visit_math, None), (visit_displaymath, None))
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
