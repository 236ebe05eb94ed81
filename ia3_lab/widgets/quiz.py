"""The questions at the end of a chapter: choices, numbers, and settings of the chapter's widget."""

import re
import tomllib
from html import escape
from importlib.resources import files
from typing import Any

from anywidget import WidgetTrait
from traitlets import List, Unicode

from ia3_lab.widgets.base import BookWidget

_DATA = files("ia3_lab") / "data" / "quizzes"
#: What is marked up in a text of the data: `code`, *emphasis* and $l_k$, a formula of letters, digits and indices.
_MARKS = re.compile(r"`([^`]+)`|\$([^$]+)\$|\*([^*]+)\*")
_SYMBOLS = re.compile(r"([_^])(?:\{([^}]+)\}|(\w))|([A-Za-z]+)|(-)")


class Quiz(BookWidget):
    """Questions that readers of a chapter get wrong, with an answer to each wrong answer.

    Which are answered is kept in the reader's browser, where there is room for it. A question with a ``goal`` is
    answered by setting another widget, which it shows once more, so that hand and question are in one place.

    Parameters
    ----------
    chapter : str
        A file of ``ia3_lab/data/quizzes``, such as ``"02-formulation"``.
    watch : BookWidget, optional
        The widget that the questions with a ``goal`` are about. Without it they are left out.

    Examples
    --------
    >>> Quiz("04-counting")
    Quiz(chapter='04-counting')
    """

    chapter = Unicode(read_only=True).tag(sync=True)
    questions = List(read_only=True).tag(sync=True, shown=False)
    watch = WidgetTrait().tag(sync=True, shown=False)

    def __init__(self, chapter: str, watch: BookWidget | None = None, **traits: Any) -> None:
        questions = tomllib.loads((_DATA / f"{chapter}.toml").read_text("utf8"))["question"]
        self.set_trait("chapter", chapter)
        self.set_trait("questions", [_marked_up(each) for each in questions if watch or "goal" not in each])
        super().__init__(watch=watch, **traits)

    def picture(self) -> str:
        """Return the questions and their answers, folded, as HTML for a page without JavaScript."""
        items = []
        for each in self.questions:
            options = "".join(f"<li>{option['text']}</li>" for option in each.get("options", ()))
            answer = each.get("answer") or next(o["text"] for o in each["options"] if o.get("right"))
            text = f"{each['ask']}{f'<ul>{options}</ul>' if options else ''}"
            folded = f"<summary>Answer</summary><strong>{answer}</strong> {each['right']}"
            items.append(f"<li>{text}<details>{folded}</details></li>")
        return f'<ol class="quiz-static">{"".join(items)}</ol>'


def _marked_up(value: Any) -> Any:
    """Return a question with its texts as HTML; names, numbers and goals stay as they are."""
    if isinstance(value, dict):
        return {key: value[key] if key in ("id", "goal") else _marked_up(value[key]) for key in value}
    if isinstance(value, list):
        return [_marked_up(each) for each in value]
    return _MARKS.sub(_tag, escape(value, quote=False)) if isinstance(value, str) else value


def _tag(found: re.Match[str]) -> str:
    code, formula, emphasis = found.groups()
    if formula:
        return f'<span class="quiz-math">{_SYMBOLS.sub(_symbol, formula)}</span>'
    return f"<code>{code}</code>" if code else f"<em>{emphasis}</em>"


def _symbol(found: re.Match[str]) -> str:
    script, several, one, letters, _ = found.groups()
    if script:
        tag = {"_": "sub", "^": "sup"}[script]
        return f"<{tag}>{(several or one).replace('-', chr(0x2212))}</{tag}>"
    return f"<i>{letters}</i>" if letters else "\u2212"
