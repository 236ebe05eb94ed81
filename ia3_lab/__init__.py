"""ia3_lab: the small package behind the IA3 book.

Submodules are loaded when they are first named, so ``import ia3_lab`` stays light: no torch, matplotlib, anywidget,
transformers or peft until a submodule that needs them is used.
"""

import importlib
import pkgutil
from types import ModuleType

__version__ = "0.1.0"

_SUBMODULES = frozenset(module.name for module in pkgutil.iter_modules(__path__))


def __getattr__(name: str) -> ModuleType:
    """Import ``ia3_lab.<name>`` the first time it is asked for."""
    if name in _SUBMODULES:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}; its submodules are {sorted(_SUBMODULES)}")


def __dir__() -> list[str]:
    """List the submodules beside the ordinary names."""
    return sorted({*globals(), *_SUBMODULES})
