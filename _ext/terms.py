"""Mark the first use of a glossary term on each page, and give the page what `reading.js` shows about it.

A marked term is a link to the glossary: without JavaScript it is that and no more. The definitions of all terms that a
page links to stand at its end, hidden, as the targets of `aria-describedby`.
"""

from __future__ import annotations

import re
from functools import cache
from html import unescape
from itertools import takewhile
from typing import NamedTuple

from docutils import nodes

GLOSSARY = "book/glossary"
UNMARKED = {GLOSSARY, "book/bibliography", "book/corrections", "book/protocol"}
MAX_MARKS = 15  # of a page, for a newcomer
#: How a term is written, as a pattern, where that is not its name with or without an s. "" is never marked: the word
#: means something else too often.
FORMS = {
    "activation": "", "bias": "", "chance": "", "frame": "", "identity": "", "residual": "", "weight": "", "value": "",
    "draw": "", "parameter": "", "token": "", "loss": "", "key": "keys and values", "query": "queries and keys",
    "freeze": "frozen|freezes?|freezing", "merging": "merg(?:es?|ed|ing)", "fine-tuning": "fine-tun(?:ing|ed?)",
    "inhibit": "inhibit(?:s|ing)?", "amplify": "amplif(?:y|ies|ying)", "half-axis": "half-ax[ei]s",
    "gated FFN": "gated FFN|gated feed-forward networks?",
    "IA3": "", "(IA)³": "", "rank": r"(?<=\bof )rank|(?<=\bits )rank|(?<=\bthe )rank(?! corr)",
    "validation": "validation sentences", "encoder": "", "PEFT": "",
}  # fmt: skip
#: Terms that a practitioner may not know either; all others are marked for newcomers alone.
SPECIAL = {
    "bf16", "BitFit", "diagonal matrix", "full rank", "gated FFN", "GQA", "Hadamard product", "low-rank update",
    "meta device", "mixed-task batch", "QK-norm", "rescaling vector", "RoPE", "softmax temperature", "SVD",
    "Frobenius norm", "Adafactor", "merging", "half-axis", "confidence interval",
}  # fmt: skip
#: What no mark stands in.
OUTSIDE = (
    nodes.title, nodes.reference, nodes.literal, nodes.literal_block, nodes.math, nodes.math_block, nodes.raw,
    nodes.caption, nodes.thead, nodes.term, nodes.citation, nodes.comment, nodes.FixedTextElement,
)  # fmt: skip


class Term(NamedTuple):
    """One entry of the glossary: the id of its first name, its names, and how it is recognized."""

    id: str
    names: tuple[str, ...]
    pattern: str


def form(name: str) -> str:
    """Pattern of one name."""
    return FORMS[name] if name in FORMS else re.escape(name) + "s?"


@cache
def entries(env) -> dict[str, tuple[Term, nodes.definition_list_item]]:
    """Return the glossary's entries by the id of each of their names."""
    found = {}
    for item in env.get_doctree(GLOSSARY).findall(nodes.definition_list_item):
        heads = list(item.findall(nodes.term))
        names = tuple(head.astext() for head in heads)
        term = Term(heads[0]["ids"][0], names, "|".join(filter(None, map(form, names))))
        found |= {head["ids"][0]: (term, item) for head in heads}
    return found


def first_uses(texts: list[str], terms: list[Term]) -> list[tuple[int, int, int, Term]]:
    """Return where each term stands first: which text, from where to where; the longest where several begin."""
    uses, used = [], set()
    for place, text in enumerate(texts):
        free = 0
        hits = [
            (hit.start(), -hit.end(), term)
            for term in terms
            for hit in re.finditer(rf"(?<![\w-])(?:{term.pattern})(?![\w-])", text, re.I)
        ]
        for start, end, term in sorted(hits):
            if start >= free:
                free = -end
                if term.id not in used:
                    used.add(term.id)
                    uses.append((place, start, -end, term))
    return uses


def choose(uses: list) -> list:
    """Keep no more than a page may have, those for practitioners first."""
    return sorted(sorted(uses, key=lambda use: not SPECIAL & {*use[3].names})[:MAX_MARKS], key=lambda use: use[:2])


def mark_terms(app, doctree, docname: str) -> None:
    """Put a link around the first use of each term."""
    if app.builder.format != "html" or docname in UNMARKED or not docname.startswith("book/"):
        return
    linked = {ref.get("refuri", "").partition("#")[2] for ref in doctree.findall(nodes.reference)}
    texts = [text for text in doctree.findall(nodes.Text) if not inside(text, OUTSIDE)]
    terms = {term for term, _ in entries(app.env).values() if term.pattern and term.id not in linked}
    chosen = choose(first_uses(texts, sorted(terms)))
    glossary = app.builder.get_relative_uri(docname, GLOSSARY)
    for place in {use[0] for use in chosen}:
        text, parts, done = texts[place], [], 0
        for _, start, end, term in (use for use in chosen if use[0] == place):
            kinds = ["term"] if SPECIAL & {*term.names} else ["term", "term-basic"]
            link = nodes.reference("", text[start:end], refuri=f"{glossary}#{term.id}", internal=True, classes=kinds)
            parts += [nodes.Text(text[done:start]), link]
            done = end
        text.parent.replace(text, [*parts, nodes.Text(text[done:])])


def inside(node, kinds: tuple) -> bool:
    """Whether a node stands in one of these kinds, or between the tags of a button."""
    before = takewhile(lambda part: part is not node, node.parent.children)
    tags = "".join(part.astext() for part in before if isinstance(part, nodes.raw))
    if tags.count("<button") > tags.count("</button"):
        return True
    while node := node.parent:
        if isinstance(node, kinds):
            return True
    return False


@cache
def resolved_glossary(builder):
    """Return the glossary with its formulas and citations as they are shown."""
    return builder.env.get_and_resolve_doctree(GLOSSARY, builder)


@cache
def definition(builder, id: str) -> str:
    """Return the HTML of a term's definition, its links as plain text: what describes a link holds no other."""
    name = entries(builder.env)[id][0].id
    (item,) = [
        item for item in resolved_glossary(builder).findall(nodes.definition_list_item) if name in item[0]["ids"]
    ]
    body = nodes.container("", *(part.deepcopy() for part in item[-1].children))
    html = re.sub(r"</?a\b[^>]*>|\sid=\"[^\"]*\"", "", builder.render_partial(body)["fragment"])
    return html.strip()


def explain_terms(app, pagename, templatename, context, doctree) -> None:
    """Append the definitions of the terms that a page links to."""
    if "body" not in context or pagename == GLOSSARY:
        return
    named = sorted({unescape(id) for id in re.findall(r'href="[^"#]*glossary\.html#(term-[^"]+)"', context["body"])})
    if known := [id for id in named if id in entries(app.env)]:
        parts = "".join(f'<div id="about-{id}">{definition(app.builder, id)}</div>\n' for id in known)
        context["body"] += f'<div class="about-terms" hidden>\n{parts}</div>\n'


def rebuild_all_with_the_glossary(app, env, added, changed, removed) -> list[str]:
    """Name every page as out of date when the glossary has changed."""
    return sorted(env.found_docs) if GLOSSARY in changed else []


def setup(app) -> dict:
    """Connect the extension to Sphinx."""
    app.connect("env-get-outdated", rebuild_all_with_the_glossary)
    app.connect("doctree-resolved", mark_terms, priority=900)
    app.connect("html-page-context", explain_terms)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
