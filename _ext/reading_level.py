"""What the reading level decides, where a script would come too late: before the page is painted, or has folds at all.

What `reading.js` keeps is set on <html> by one line. Code cells to be folded that follow one another, with no output
between them, get one fold: a reader opens once what belongs together.
"""

from __future__ import annotations

from typing import Any

from docutils import nodes
from sphinx.transforms.post_transforms import SphinxPostTransform

SET_LEVEL = """
try { document.documentElement.dataset.level = JSON.parse(localStorage.getItem("ia3-level")) || "practitioner"; }
catch { document.documentElement.dataset.level = "practitioner"; }
"""


def is_folded(node: nodes.Node | None) -> bool:
    """Whether this is a cell whose input, and nothing else of it, will be folded."""
    return isinstance(node, nodes.container) and node.get("hide_mode") == "input"


class OneFold(SphinxPostTransform):
    """Move the input of a folded cell without output into the folded cell after it."""

    default_priority = 198  # myst-nb folds at 199
    formats = ("html",)

    def run(self, **kwargs: Any) -> None:
        """Go through the cells in order, so that an input travels on to the first cell that has an output."""
        for cell in list(self.document.findall(is_folded)):
            after = cell.next_node(descend=False, siblings=True)
            if is_folded(after) and len(cell) == 1:
                after[0].insert(0, cell[0].children)
                cell.parent.remove(cell)


def setup(app) -> dict:
    """Put the line in the head of every page, and the folds together."""
    app.add_js_file(None, body=SET_LEVEL, priority=100)
    app.add_post_transform(OneFold)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
