"""What every widget of the book shares: its script and styles, its repr, a picture for pages without JavaScript."""

import base64
import math
import re
from html import escape
from pathlib import Path
from typing import Any

import anywidget
import matplotlib.style
from matplotlib.figure import Figure
from traitlets import Float, TraitError

from ia3_lab.figures import to_svg
from ia3_lab.style import STYLE, figure_color, theme_css

_FOLDER = Path(__file__).parent
_COMMENT = re.compile(r"^ *(?://[^\n]*|/\*.*?\*/)\n", re.M | re.S)  # on lines of its own


def _read(name: str) -> str:
    """Return a script or style sheet without the comments, which every page and notebook would carry."""
    path = _FOLDER / name
    return _COMMENT.sub("", path.read_text("utf8")) + "\n" if path.exists() or not name.endswith("_math.mjs") else ""


class Number(Float):
    """A finite number from ``min`` to ``max``: NaN and infinity would make the page's state unreadable."""

    def info(self) -> str:
        """Return what is expected."""
        return f"a finite number from {self.min:g} to {self.max:g}"

    def validate(self, obj: Any, value: Any) -> float:
        """Return the number as a float, or raise traitlets' error."""
        inside = isinstance(value, int | float) and math.isfinite(value) and self.min <= value <= self.max
        return float(value) if inside else self.error(obj, value)


class BookWidget(anywidget.AnyWidget):
    """Base of the book's widgets: a thin set of traits whose view is drawn in the browser.

    A subclass ``EllipseLab`` stands in ``ellipse_lab.py``, is drawn by ``ellipse_lab.mjs`` and styled by
    ``ellipse_lab.css``. ``shared.mjs``, and ``ellipse_lab_math.mjs`` where there is one, are placed above that script,
    so that one self-contained ES module reaches the browser: the same on the website, in JupyterLab and in Colab.

    Traits carry ``sync=True``; data that would only clutter the repr is tagged ``shown=False`` as well. A subclass
    defines ``figure``: the book's own chart of its state, whose picture stands in where no JavaScript runs.
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        stem = re.sub(r"(?<!^)(?=[A-Z])", "_", cls.__name__).lower()
        if "_esm" not in vars(cls):  # add_traits() subclasses again, with the traits already in place
            cls._esm = "".join(_read(name) for name in ("shared.mjs", f"{stem}_math.mjs", f"{stem}.mjs"))
            cls._css = theme_css(".ia3") + _read("shared.css") + _read(f"{stem}.css")
        super().__init_subclass__(**kwargs)

    def __init__(self, **traits: Any) -> None:
        if unknown := set(traits) - {*self.trait_names()}:  # traitlets would set it as an attribute, in silence
            raise TraitError(f"{type(self).__name__} has no {min(unknown)!r}; its traits are {', '.join(self._own())}.")
        super().__init__(**traits)

    def figure(self) -> tuple[Figure, str]:
        """Return a drawing of the current state, made outside pyplot, and what it shows in a sentence."""
        raise NotImplementedError

    def picture(self) -> str:
        """Return ``figure`` in the book's style as an SVG for any page, the same bytes for the same state."""
        with matplotlib.style.context(STYLE, after_reset=True):
            figure, sentence = self.figure()
            svg = to_svg(figure, sentence)
        # Text has the color of the page's text.
        svg = re.sub(r"(?<=<t)[^>]+", lambda found: found[0].replace(figure_color("text"), "currentColor"), svg)
        return svg.replace(">", f' role="img"><title>{escape(sentence)}</title>', 1)

    def _own(self) -> list[str]:
        traits = self.traits(sync=True, shown=lambda shown: shown is not False)
        return sorted(name for name in traits if not name.startswith("_") and not hasattr(anywidget.AnyWidget, name))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={getattr(self, name)!r}' for name in self._own())})"

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict[str, Any], dict[str, Any]] | None:
        if (bundle := super()._repr_mimebundle_(**kwargs)) is None:
            return None
        bundle[0]["text/plain"] = repr(self)
        picture = _image(self.picture())
        bundle[0]["text/html"] = f'<div class="widget-fallback" data-model-id="{self.model_id}">{picture}</div>'
        return bundle


def _image(picture: str) -> str:
    """Return an SVG as an image, of which no notebook that is opened but not run takes the drawing out of the words."""
    if not picture.startswith("<svg "):
        return picture
    sentence = picture.partition("<title>")[2].partition("</title>")[0]
    alone = picture.replace("<svg ", f'<svg color="{figure_color("text")}" font-family="sans-serif" ', 1)
    return f'<img alt="{sentence}" src="data:image/svg+xml;base64,{base64.b64encode(alone.encode()).decode()}">'
