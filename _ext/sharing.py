"""What a shared link, a search engine, a language model and a lost reader are shown.

Each page gets its description, its canonical address and its card; the site gets 404.html, sitemap.xml, robots.txt and
llms.txt. All addresses follow from the repository's, which stands in `_config.yml` alone.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from pathlib import Path

from docutils import nodes
from section_search import inside
from sphinx.util.nodes import clean_astext

LONGEST = 200
CARD = "_static/site.png"
ADDRESS = re.compile(r'\b(href|src|action|data-later)="(?!https?:|/|#|data:|mailto:)')


def set_address(app, config) -> None:
    """Take the site's address on GitHub Pages from the repository's, unless it is set."""
    parts = re.fullmatch(r"https://github\.com/([^/]+)/([^/]+?)/?", config.html_theme_options.get("repository_url", ""))
    if parts and not config.html_baseurl:
        config.html_baseurl = "https://{}.github.io/{}/".format(*parts.groups())


def description(doctree: nodes.document) -> str:
    """Return the first paragraph that says something, cut to what a search engine shows."""
    for paragraph in doctree.findall(nodes.paragraph):
        text = inside(paragraph)
        if len(text) > 60:
            text = " ".join(text.split())
            return text if len(text) <= LONGEST else text[: text.rfind(" ", 0, LONGEST)] + " ..."
    return ""


def add_tags(app, pagename, templatename, context, doctree) -> None:
    """Describe a page to those who do not open it, and name the front page once."""
    front = pagename == app.config.root_doc
    if front:
        context["title"], context["docstitle"] = app.config.html_title, ""
    title = html.unescape(re.sub(r"<[^>]*>", "", context.get("title", "")))
    said = description(doctree) if doctree is not None else ""
    base = app.config.html_baseurl
    tags = [("name", "description", said), ("property", "og:description", said), ("property", "og:title", title)]
    tags += [
        ("property", "og:type", "website" if front else "article"),
        ("name", "twitter:card", "summary_large_image"),
    ]
    if base:
        tags += [("property", "og:url", f"{base}{pagename}.html"), ("property", "og:image", base + CARD)]
    lines = [f'<meta {kind}="{name}" content="{html.escape(text)}" />' for kind, name, text in tags if text]
    context["metatags"] = "\n".join([context.get("metatags", ""), *lines])


def pages(app) -> list[str]:
    """Return the pages in the order of the table of contents."""
    ordered, root = [], app.config.root_doc

    def follow(page: str) -> None:
        ordered.append(page)
        for child in app.env.toctree_includes.get(page, []):
            follow(child)

    follow(root)
    return ordered


def lost_page(app) -> Iterator[tuple[str, dict, str]]:
    """Yield 404.html, which leads to every page."""
    links = [
        f'<li><a href="{app.builder.get_target_uri(page)}">{html.escape(clean_astext(app.env.titles[page]))}</a></li>'
        for page in pages(app)
    ]
    text = "<p>It may have moved. The search finds sections by their words; these are all pages:</p>"
    body = f'<section id="lost"><h1>This page is not here</h1>{text}<ul>{"".join(links)}</ul></section>'
    yield "404", {"title": "Not found", "body": body, "metatags": ""}, "page.html"


def write_files(app, exception) -> None:
    """Write what belongs to the whole site; the host shows 404.html at any depth, so its links begin at the root."""
    if exception or app.builder.format != "html":
        return
    site, base = Path(app.outdir), app.config.html_baseurl
    at = "/" + base.partition("//")[2].partition("/")[2]
    lost = ADDRESS.sub(rf'\1="{at}', (site / "404.html").read_text(encoding="utf-8"))
    lost = lost.replace('data-content_root="./"', f'data-content_root="{at}"')
    (site / "404.html").write_text(lost, encoding="utf-8")
    addresses = {page: base + app.builder.get_target_uri(page) for page in pages(app)}
    rows = "".join(f"<url><loc>{address}</loc></url>\n" for address in addresses.values())
    space = "http://www.sitemaps.org/schemas/sitemap/0.9"
    files = {
        "sitemap.xml": f'<?xml version="1.0" encoding="UTF-8"?>\n<urlset xmlns="{space}">\n{rows}</urlset>\n',
        "robots.txt": f"User-agent: *\nAllow: /\nSitemap: {base}sitemap.xml\n",
        "llms.txt": summary(app, addresses),
    }
    for name, text in files.items():
        (site / name).write_text(text, encoding="utf-8")


def summary(app, addresses: dict[str, str]) -> str:
    """Return the site's llms.txt (llmstxt.org): its pages with their sources, each in a line."""
    said = {page: description(app.env.get_doctree(page)) for page in addresses}
    lines = [f"# {app.config.html_title}", "", f"> {said[app.config.root_doc]}", "", "## Pages", ""]
    for page, address in addresses.items():
        source = f"{app.config.html_baseurl}_sources/{page}{Path(app.env.doc2path(page)).suffix}"
        lines.append(f"- [{clean_astext(app.env.titles[page])}]({address}) ([source]({source})): {said[page]}")
    return "\n".join(lines) + "\n"


def setup(app) -> dict:
    """Connect the extension to Sphinx, after those that write pages and the style sheet's checksum into them."""
    app.connect("config-inited", set_address)
    app.connect("html-page-context", add_tags)
    app.connect("html-collect-pages", lost_page)
    app.connect("build-finished", write_files, priority=900)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
