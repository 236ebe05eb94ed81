"""Search by section: an index of what each section says, which `section-search.js` loads when a reader starts to type.

Sphinx's own index leads to pages, is loaded on every one of them, and fetches each page that it finds. This one is a
script that sets a variable, so that the search works from a folder as well (`file://`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from docutils import nodes
from static_math import plain

SILENT = (nodes.literal_block, nodes.raw, nodes.comment, nodes.image, nodes.section, nodes.title, nodes.term)
MATH = (nodes.math, nodes.math_block)


def said(node: nodes.Node) -> str:
    """Return what a node says in words: no code, no output, no section inside it; a formula without its TeX."""
    if isinstance(node, SILENT) or "figure-files" in getattr(node, "attributes", {}).get("classes", ()):
        return ""
    if isinstance(node, MATH):
        return plain(node.astext())
    return node.astext() if isinstance(node, nodes.Text) else inside(node)


def inside(node: nodes.Node) -> str:
    """Return what the children of a node say, on one line."""
    between = "" if isinstance(node, nodes.TextElement) else " "
    text = between.join(said(child) for child in node.children)
    return " ".join(text.split()) if between else text


def sections(doctree: nodes.document) -> Iterator[tuple[str, str, str]]:
    """Yield anchor, heading and text of each section, and of each entry of a glossary."""
    for section in doctree.findall(nodes.section):
        yield section["ids"][0], inside(section.next_node(nodes.title)), inside(section)
    for entry in doctree.findall(nodes.definition_list_item):
        for term in entry.findall(nodes.term):
            if term["ids"]:
                yield term["ids"][0], inside(term), inside(entry.next_node(nodes.definition))


def synonyms(doctree: nodes.document) -> dict[str, str]:
    """Return terms with one definition, each for the other: "GQA" finds what says "grouped-query attention"."""
    same = {}
    for entry in doctree.findall(nodes.definition_list_item):
        names = [inside(term).lower() for term in entry.findall(nodes.term) if term["ids"]]
        if len(names) == 2:
            same |= {names[0]: names[1], names[1]: names[0]}
    return same


def write_index(app, exception) -> None:
    """Write the index of all pages."""
    if exception or app.builder.format != "html":
        return
    index = {"pages": [], "sections": [], "synonyms": {}}
    for page in sorted(app.env.found_docs):
        doctree = app.env.get_doctree(page)
        found = [(len(index["pages"]), *section) for section in sections(doctree) if section[2]]
        index["pages"].append([app.builder.get_target_uri(page), app.env.titles[page].astext()])
        index["sections"] += found
        index["synonyms"] |= synonyms(doctree)
    text = json.dumps(index, ensure_ascii=False, separators=(",", ":"))
    Path(app.outdir, "_static", "section-index.js").write_text(f"window.sectionIndex={text};\n", encoding="utf-8")


def setup(app) -> dict:
    """Write the index at the end of each build."""
    app.connect("build-finished", write_index)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
