"""What all widgets share on the Python side: names and values that make no sense are refused in words."""

from __future__ import annotations

import pytest
from traitlets import TraitError

from ia3_lab import widgets

ALL = [widgets.AttentionHead, widgets.EllipseLab, widgets.MergeViewer, widgets.ParameterCalculator]
each_widget = pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.__name__)


@each_widget
def test_an_unknown_name_is_refused_with_the_names_there_are(kind: type) -> None:
    with pytest.raises(TraitError, match=r"(?s)l_kk.*expected|expected.*l_kk") as error:
        kind(l_kk=[1.0])
    known = {"AttentionHead": "l_k", "EllipseLab": "l_1", "MergeViewer": "l_k", "ParameterCalculator": "preset"}
    assert known[kind.__name__] in str(error.value)


@pytest.mark.parametrize("wrong", [[1, 2], None, 5, "ab"])
def test_keys_that_are_no_matrix_are_refused_by_their_own_name(wrong: object) -> None:
    with pytest.raises(TraitError, match=r"(?i)'k' trait|^k must"):
        widgets.AttentionHead(k=wrong)
