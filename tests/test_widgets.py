"""What all widgets share on the Python side: names and values that make no sense are refused in words."""

from __future__ import annotations

import re

import pytest
from traitlets import TraitError

from ia3_lab import widgets

#: class -> one of the names that it knows
KNOWN = {
    "AdaptationDial": "layer",
    "AttentionHead": "l_k",
    "EllipseLab": "l_1",
    "FewShotCurves": "shown_methods",
    "MergeViewer": "l_k",
    "ParameterCalculator": "preset",
    "VectorExplorer": "models",
}
each_widget = pytest.mark.parametrize("name", widgets.__all__)


def test_the_table_above_has_every_widget() -> None:
    assert sorted(KNOWN) == widgets.__all__


@each_widget
def test_an_unknown_name_is_refused_with_the_names_there_are(name: str) -> None:
    with pytest.raises(TraitError, match=r"(?s)l_kk.*expected|expected.*l_kk") as error:
        getattr(widgets, name)(l_kk=[1.0])
    assert re.search(rf"\b{KNOWN[name]}\b", str(error.value))


@pytest.mark.parametrize("wrong", [[1, 2], None, 5, "ab"])
def test_keys_that_are_no_matrix_are_refused_by_their_own_name(wrong: object) -> None:
    with pytest.raises(TraitError, match=r"(?i)'k' trait|^k must"):
        widgets.AttentionHead(k=wrong)
