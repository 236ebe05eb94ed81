"""A directive that puts a widget of the book on any Markdown page, with no notebook behind it.

    ```{live-widget} EllipseLab
    {"l_1": 1.8, "l_2": 0.5}
    ```

The widget is made while the page is built. The page carries its picture and its state in the markup that notebooks
use, so `static-widgets.js` brings both to life in the same way.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

STATE = "application/vnd.jupyter.widget-state+json"


class LiveWidget(SphinxDirective):
    """Show one widget of `ia3_lab.widgets`; the body is a JSON object with its arguments."""

    required_arguments = 1
    has_content = True

    def run(self) -> list[nodes.Node]:
        """Return the widget's markup."""
        from ia3_lab import widgets

        name = self.arguments[0]
        for source in sorted(Path(widgets.__file__).parent.glob("*.*")):
            self.env.note_dependency(str(source))
        try:
            arguments = json.loads("\n".join(self.content) or "{}")
            widget = getattr(widgets, name)(**arguments)
        except Exception as error:  # whatever is wrong with the name or an argument, name the page and the line
            raise self.error(f"live-widget {name}: {error}") from error
        place = self.env.new_serialno("live-widget")
        key = hashlib.md5(f"{self.env.docname}/{place}".encode(), usedforsecurity=False).hexdigest()
        return [nodes.raw("", markup(widget, key), format="html")]


def markup(widget: Any, key: str) -> str:
    """HTML of a widget under a fixed id: the state, then the picture."""
    from ipywidgets.embed import dependency_state

    stored = dependency_state([widget], drop_defaults=False)[widget.model_id]
    stored["state"] = {name: value for name, value in stored["state"].items() if name != "layout"}
    state = json.dumps({"version_major": 2, "version_minor": 0, "state": {key: stored}})
    return (
        # "<" is escaped, so that no text of the widget can end the script element.
        f'<script type="{STATE}">{state.replace("<", chr(92) + "u003c")}</script>\n'
        f'<div class="live-widget"><div class="widget-fallback" data-model-id="{key}">{widget.picture()}</div></div>\n'
    )


def setup(app) -> dict:
    """Register the directive."""
    app.add_directive("live-widget", LiveWidget)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
