"""The book's interactive figures: live in the browser with or without a Python kernel."""

from importlib import import_module
from typing import Any

_MODULES = {
    "AdaptationDial": "adaptation_dial",
    "AttentionHead": "attention_head",
    "EllipseLab": "ellipse_lab",
    "FewShotCurves": "few_shot_curves",
    "MergeViewer": "merge_viewer",
    "ParameterCalculator": "parameter_calculator",
    "Quiz": "quiz",
    "SentenceDial": "sentence_dial",
    "VectorExplorer": "vector_explorer",
    "VolumeKnobs": "volume_knobs",
}
__all__ = sorted(_MODULES)


def __getattr__(name: str) -> Any:
    """Import a widget class when it is first asked for."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no widget {name!r}; it has {', '.join(__all__)}.")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
