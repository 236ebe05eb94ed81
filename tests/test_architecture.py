"""Which module may import which: the package's layers, walked in the source."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "ia3_lab"

#: module -> the modules of ia3_lab that it may import
MAY_IMPORT = {
    "config": set(),
    "functional": set(),
    "style": set(),
    "intervals": set(),
    "surgery": set(),
    "geometry": set(),
    "devices": set(),
    "transformer": {"config", "functional"},
    "wrapping": {"functional", "surgery"},
    "scaled_linear": {"functional", "surgery", "wrapping"},
    "ia3": {"functional", "transformer", "wrapping", "scaled_linear", "surgery"},
    "lora": {"functional", "surgery", "wrapping"},
    "counting": {"config"},
    "hub": {"config", "counting", "functional", "ia3", "scaled_linear", "surgery"},
    "task_files": set(),
    "tasks": {"config", "task_files"},
    "published": {"config"},
    "pretrained": {"config", "devices", "hub"},
    "methods": {"config", "counting", "lora", "scaled_linear", "surgery"},
    "training": {"config", "devices", "surgery"},
    "protocol": {"config", "intervals", "methods", "tasks"},
    "experiments": {"config", "methods", "pretrained", "protocol", "tasks", "training"},
    "step_times": {"config", "experiments", "methods", "pretrained", "tasks", "training"},
    "plots": {"style"},
    "widgets": {"style", "config", "counting", "geometry", "intervals"},
    "__init__": set(),
}
#: heavy third parties -> the modules that may import them at import time
MAY_LOAD = {
    "torch": {
        *("functional", "surgery", "transformer", "wrapping", "scaled_linear", "ia3", "lora", "devices", "hub"),
        *("pretrained", "methods", "training", "experiments"),
    },
    "matplotlib": {"plots"},
    "anywidget": {"widgets"},
    "scipy": set(),
    "transformers": set(),
    "peft": set(),
}


def module_of(path: Path) -> str:
    """Return the layer name of a file: its stem, or the folder for plots/ and widgets/."""
    inside = path.relative_to(PACKAGE)
    return inside.parts[0] if len(inside.parts) > 1 else inside.stem


def imports(tree: ast.AST) -> set[str]:
    """Return the dotted names that a piece of source imports, ``from ia3_lab import x`` as ``ia3_lab.x``."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
            if node.module == "ia3_lab":
                names |= {f"ia3_lab.{alias.name}" for alias in node.names}
    return names


def at_import_time(tree: ast.Module) -> ast.Module:
    """Return the module without the bodies of its functions: what runs when it is imported."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            node.body = [ast.Pass()]
    return tree


def violations(path: Path, source: str) -> list[str]:
    """Return the imports in a module's source that the two tables above forbid."""
    module = module_of(path)
    inner = {name.split(".")[1] for name in imports(ast.parse(source)) if name.startswith("ia3_lab.")}
    wrong = [f"{module} imports {name}" for name in sorted(inner - MAY_IMPORT[module] - {module})]
    outer = {name.split(".")[0] for name in imports(at_import_time(ast.parse(source)))}
    return wrong + [
        f"{module} loads {name}" for name in sorted(outer & MAY_LOAD.keys()) if module not in MAY_LOAD[name]
    ]


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_one_way(path: Path) -> None:
    assert violations(path, path.read_text("utf8")) == []


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("functional.py", "from ia3_lab.ia3 import IA3Attention"),
        ("transformer.py", "from ia3_lab import ia3"),
        ("counting.py", "import torch"),
        ("plots/geometry.py", "import ia3_lab.functional"),
        ("ia3.py", "import peft"),
    ],
)
def test_a_forbidden_import_is_found(name: str, source: str) -> None:
    assert len(violations(PACKAGE / name, source)) == 1


def test_transformer_knows_nothing_of_adapters() -> None:
    words = {
        node.id
        for node in ast.walk(ast.parse((PACKAGE / "transformer.py").read_text("utf8")))
        if isinstance(node, ast.Name)
    }
    assert not {word for word in words if "ia3" in word.lower() or word.startswith("l_")}


def run_with_only(folder: Path, packages: list[str], code: str) -> subprocess.CompletedProcess[str]:
    """Run code in a Python whose only third-party packages are the given ones."""
    library = Path(sysconfig.get_paths()["purelib"])
    for name in packages:
        for source in (library / name, library / f"{name}.py", library / f"{name}.libs"):
            if source.exists():
                (folder / source.name).symlink_to(source)
    (folder / "ia3_lab").symlink_to(PACKAGE)
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    command = [sys.executable, "-S", "-W", "error", "-c", code]
    return subprocess.run(command, capture_output=True, text=True, env=environment, cwd=folder, check=False)


TORCH_NEEDS = [
    "torch",
    "functorch",
    "torchgen",
    "typing_extensions",
    "sympy",
    "mpmath",
    "filelock",
    "jinja2",
    "markupsafe",
]


@pytest.mark.parametrize(
    ("packages", "code"),
    [
        (["numpy"], "import ia3_lab; from ia3_lab import config, counting, geometry, intervals, style, tasks"),
        (
            ["numpy", "networkx", "fsspec", "setuptools", *TORCH_NEEDS],
            "from ia3_lab import functional, surgery, transformer, scaled_linear, ia3, lora, devices; "
            "from ia3_lab import methods, training, protocol, published",
        ),
    ],
    ids=["numpy alone", "numpy and torch"],
)
def test_the_core_imports_in_an_environment_without_the_extras(tmp_path: Path, packages: list[str], code: str) -> None:
    extras = ["peft", "transformers", "matplotlib", "anywidget"]
    absent = f"import importlib.util as u; assert not any(map(u.find_spec, {extras}))"
    result = run_with_only(tmp_path, packages, f"{absent}; {code}")
    assert result.returncode == 0, result.stderr


def test_that_environment_really_lacks_the_extras(tmp_path: Path) -> None:
    result = run_with_only(tmp_path, ["numpy"], "import ia3_lab.widgets._base")
    assert result.returncode != 0
    assert "No module named 'anywidget'" in result.stderr


def test_importing_the_package_loads_nothing_heavy() -> None:
    heavy = ["torch", "matplotlib", "anywidget", "transformers", "peft"]
    code = f"import sys, ia3_lab; print([name for name in {heavy} if name in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
