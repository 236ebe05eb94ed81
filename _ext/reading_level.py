"""Know a reader's level before the page is first painted: what `reading.js` keeps is set on <html> by one line."""

from __future__ import annotations

SET_LEVEL = """
try { document.documentElement.dataset.level = JSON.parse(localStorage.getItem("ia3-level")) || "practitioner"; }
catch { document.documentElement.dataset.level = "practitioner"; }
"""


def setup(app) -> dict:
    """Put the line in the head of every page."""
    app.add_js_file(None, body=SET_LEVEL, priority=100)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
