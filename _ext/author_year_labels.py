"""Label the sources of the bibliography as the text cites them: "Liu et al., 2022" instead of "LTM+22"."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pybtex.database import Entry
from pybtex.plugin import register_plugin
from pybtex.style.formatting.plain import Style as PlainStyle
from pybtex.style.labels import BaseLabelStyle

NAME = "author_year_labels"


class AuthorYearLabels(BaseLabelStyle):
    """One name, two names, or the first of more, and the year."""

    def format_labels(self, sorted_entries: Iterable[Entry]) -> Iterator[str]:
        """Yield the label of each entry."""
        return map(label, sorted_entries)


class Style(PlainStyle):
    """The plain style, sorted by author, with these labels."""

    default_label_style = AuthorYearLabels


def label(entry: Entry) -> str:
    """Return the label of one source."""
    names = [" ".join(person.prelast_names + person.last_names) for person in entry.persons["author"]]
    who = " and ".join(names) if len(names) < 3 else f"{names[0]} et al."
    return f"{who}, {entry.fields['year']}"


def setup(app) -> dict:
    """Make the style known to pybtex under the name that `_config.yml` uses."""
    register_plugin("pybtex.style.formatting", NAME, Style)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
