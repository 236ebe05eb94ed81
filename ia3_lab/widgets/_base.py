"""What every widget of the book shares: a stylesheet, a file of JavaScript helpers, a picture for pages without JS."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

import anywidget
from traitlets import TraitError

from ia3_lab.config import unknown_name
from ia3_lab.style import theme_css

_FOLDER = Path(__file__).parent


def _read(name: str) -> str:
    return (_FOLDER / name).read_text("utf8")


class BookWidget(anywidget.AnyWidget):
    """Base of the book's widgets: a thin set of traits whose view is drawn in the browser.

    A subclass ``EllipseLab`` stands in ``ellipse_lab.py`` and is drawn by ``ellipse_lab.mjs`` and styled by
    ``ellipse_lab.css`` in the same folder. The shared helpers are placed above the module's own source, so that one
    self-contained ES module reaches the browser: the same one on the website, in JupyterLab, in VS Code and in Colab.

    Traits carry ``sync=True``; data that would only clutter the repr is tagged ``shown=False`` as well.

    Subclasses define ``picture``, a static SVG of the current state, which stands in for the widget where no JavaScript
    runs (print, previews).
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        stem = re.sub(r"(?<!^)(?=[A-Z])", "_", cls.__name__).lower()
        if "_esm" not in vars(cls):  # add_traits() subclasses again, with the traits already in place
            cls._esm = _read("shared.mjs") + "\n" + _read(f"{stem}.mjs")
            cls._css = theme_css(".ia3") + _read("shared.css") + _read(f"{stem}.css")
        super().__init_subclass__(**kwargs)

    def __init__(self, **traits: Any) -> None:
        if unknown := sorted(set(traits) - {*self.trait_names()}):
            error = unknown_name("argument", unknown[0], self._arguments())
            raise TraitError(f"{type(self).__name__} expected one of its own arguments, got the {error}")
        super().__init__(**traits)

    def _arguments(self) -> list[str]:
        """Return the names that the constructor takes, without those of every widget."""
        named = inspect.signature(type(self).__init__).parameters.values()
        names = {one.name for one in named if one.kind is not one.VAR_KEYWORD} - {"self"}
        names |= {name for name, trait in self.traits().items() if not trait.read_only and not name.startswith("_")}
        return sorted(name for name in names if not hasattr(anywidget.AnyWidget, name))

    def picture(self) -> str:
        """Return a static SVG of the current state, with a ``<title>`` that says what it shows."""
        raise NotImplementedError(f"{type(self).__name__} must define picture().")

    def __repr__(self) -> str:
        traits = self.traits(sync=True, shown=lambda shown: shown is not False)
        own = sorted(name for name in traits if not name.startswith("_") and not hasattr(anywidget.AnyWidget, name))
        return f"{type(self).__name__}({', '.join(f'{name}={getattr(self, name)!r}' for name in own)})"

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict[str, Any], dict[str, Any]] | None:
        bundle = super()._repr_mimebundle_(**kwargs)
        if bundle is None:
            return None
        data, metadata = bundle
        data["text/plain"] = repr(self)
        data["text/html"] = f'<div class="widget-fallback" data-model-id="{self.model_id}">{self.picture()}</div>'
        return data, metadata
