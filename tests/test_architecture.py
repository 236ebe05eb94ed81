"""The house: which module may import which, how large it may grow, and what a docstring and a name owe the reader."""

import ast
import json
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "ia3_lab"
FILES = sorted(PACKAGE.rglob("*.py"))

#: layer -> the layers above it in this table that it may import; a file belongs to the longest name that fits
MAY_IMPORT = {
    "functional": set(),
    "transformer": {"functional"},
    "folding": set(),
    "adapters": {"folding", "functional"},
    "attach": {"adapters", "folding"},
    "ia3": {"functional", "transformer", "adapters", "attach"},
    "config": set(),
    "counting": {"config"},
    "geometry": set(),
    # Those are the method: none of them needs what follows.
    "pretrained": {"config"},
    "peft_bridge": {"attach"},
    "exercises": set(),
    "style": set(),
    "plots": {"style"},
    "study.tasks": set(),
    "study.methods": {"attach", "config", "counting"},
    "study.training": {"attach", "study.tasks"},
    "study.protocol": {"study.methods", "study.tasks"},
    "study.runs": {"pretrained", "study.methods", "study.protocol", "study.tasks", "study.training"},
    "study.results": {"study.protocol"},
    "study.word_counts": {"study.tasks"},
    "study.t03b": set(),
    "study": set(),
    "widgets": {"style", "plots", "config", "counting", "geometry", "study.results", "study.t03b"},
    "__init__": set(),
}
METHOD = list(MAY_IMPORT)[: list(MAY_IMPORT).index("pretrained")]
TORCH = {"functional", "transformer", "folding", "adapters", "attach", "ia3", "pretrained", "peft_bridge"}
#: heavy third parties -> the layers that load them when they are imported
LOADS = {
    "torch": TORCH | {"study.methods", "study.training", "study.runs"},
    "matplotlib": {"plots", "widgets"},
    "anywidget": {"widgets"},
    "scipy": set(),
    "pandas": {"study.results", "study.t03b", "widgets"},
    "transformers": set(),
    "peft": set(),
}
#: Names that other projects rely on, whether or not a page of this book uses them.
PROMISED = {
    *("attach", "attach_lora", "detach", "merge", "adapter_parameters", "freeze_except", "count_parameters"),
    *("PALETTE", "final_runs"),  # of which the laws speak: colors that contrast, runs that are all there
    *("Adapter", "ScaledLinear", "LoRALinear", "IA3Attention", "IA3FeedForward", "IA3TransformerBlock"),
}


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf8"))


# --- layers ------------------------------------------------------------------------------------------------


def layer(dotted: str) -> str:
    """Return the longest name of the table that a dotted path inside ia3_lab begins with."""
    parts = dotted.split(".")
    names = [".".join(parts[:n]) for n in range(len(parts), 0, -1)]
    return next((name for name in names if name in MAY_IMPORT), parts[0])


def imports(nodes: Iterable[ast.AST]) -> set[str]:
    """Return the dotted names that pieces of source import, ``from ia3_lab import x`` as ``ia3_lab.x``."""
    names = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def at_import_time(node: ast.AST) -> Iterator[ast.AST]:
    """Yield what runs when a module is imported: all but the bodies of functions and what type checkers alone see."""
    for child in ast.iter_child_nodes(node):
        for_types = isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test)
        if not for_types and not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            yield child
            yield from at_import_time(child)


def arrows(path: Path, tree: ast.Module) -> set[tuple[str, str]]:
    """Return the arrows from a file's layer to other layers, and to the heavy third parties that it loads at once."""
    here = layer(".".join(path.relative_to(PACKAGE).with_suffix("").parts))
    inner = {layer(name.removeprefix("ia3_lab.")) for name in imports(ast.walk(tree)) if name.startswith("ia3_lab.")}
    outer = {name.split(".")[0] for name in imports(at_import_time(tree))} & LOADS.keys()
    return {(here, name) for name in (inner - {here}) | outer}


INNER = {(one, other) for one, others in MAY_IMPORT.items() for other in others}
ALLOWED = INNER | {(one, heavy) for heavy, layers in LOADS.items() for one in layers}


def test_imports_point_one_way_and_no_permission_is_stale() -> None:
    found = set().union(*(arrows(path, parsed(path)) for path in FILES))
    assert found - ALLOWED == set()
    assert ALLOWED - found == set()


def test_the_table_has_no_circle() -> None:
    names = list(MAY_IMPORT)
    assert all(names.index(other) < names.index(one) for one, other in INNER)


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("functional.py", "from ia3_lab.ia3 import IA3Attention"),
        ("transformer.py", "from ia3_lab import ia3"),
        ("counting.py", "import torch"),
        ("plots/charts.py", "import ia3_lab.functional"),
        ("ia3.py", "import peft"),
        ("attach.py", "def attach(model):\n    from ia3_lab.study.methods import METHODS"),
        ("study/tasks.py", "from ia3_lab.study.results import read_runs"),
        ("study/protocol.py", "class A:\n    import pandas.api"),
        ("a_new_module.py", "from ia3_lab import config"),
    ],
)
def test_a_forbidden_import_is_found(name: str, source: str) -> None:
    assert len(arrows(PACKAGE / name, ast.parse(source)) - ALLOWED) == 1


def test_transformer_knows_nothing_of_adapters() -> None:
    words = {node.id for node in ast.walk(parsed(PACKAGE / "transformer.py")) if isinstance(node, ast.Name)}
    assert not {word for word in words if "ia3" in word.lower() or word.startswith("l_")}


# --- sizes -------------------------------------------------------------------------------------------------


def lines(paths: Iterable[Path]) -> int:
    return sum(len(path.read_text("utf8").splitlines()) for path in paths)


def too_long(paths: Iterable[Path], limit: int) -> list[str]:
    return [f"{path.name}: {n}" for path in paths if (n := lines([path])) > limit]


def test_the_package_is_small_and_its_tests_are_no_second_book() -> None:
    assert lines(FILES) <= 4_500
    assert lines(PACKAGE / f"{name}.py" for name in METHOD if name != "folding") <= 1_650
    # How a weight with an adapter in it behaves in torch, and what makes it plain, is a chapter of its own.
    assert lines([PACKAGE / "folding.py"]) <= 160
    assert lines([ROOT / "conftest.py", *(ROOT / "tests").glob("*.py")]) < 1.5 * lines(FILES)


def test_no_file_is_long_and_no_line_of_a_widget_wide() -> None:
    modules = sorted(PACKAGE.rglob("*.mjs"))
    assert too_long(FILES, 260) + too_long(modules, 400) == []
    assert too_long(modules, 40), "the control: some module is longer than 40 lines"
    assert [path.name for path in modules for line in path.read_text("utf8").splitlines() if len(line) > 120] == []


def test_there_are_few_charts() -> None:
    functions = [node.name for path in (PACKAGE / "plots").glob("*.py") for node in public(parsed(path))]
    assert 7 <= sum(name.startswith("plot_") for name in functions) <= 12, functions


def test_little_of_the_code_refuses_input() -> None:
    raised = [node for path in FILES for node in ast.walk(parsed(path)) if isinstance(node, ast.Raise | ast.Assert)]
    assert 10 < len(raised) < lines(FILES) / 50


# --- docstrings and names ----------------------------------------------------------------------------------

ARRAY = re.compile(r"\b(Tensor|ndarray|NDArray|ArrayLike)\b")
AXIS = r"(?:\.\.\.|[a-z\d]\w*(?: ?[-+*/]+ ?\w+)*)"
#: ``(..., d)``, ``(n,)``, ``(batch, 2 * d_model)``
SHAPE = re.compile(rf"\({AXIS}(?:,|(?:, {AXIS})+)\)")


def public(tree: ast.AST) -> Iterator[ast.FunctionDef]:
    """Yield the public functions of a module and the public methods and properties of its public classes."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and not node.name.startswith("_"):
            yield from public(node) if isinstance(node, ast.ClassDef) else [node]


def shapeless(tree: ast.Module) -> list[str]:
    """Return the public functions with an array in their signature and no shape in their docstring."""
    found = []
    for node in public(tree):
        arrays = ARRAY.search(f"{ast.unparse(node.args)} {ast.unparse(node.returns) if node.returns else ''}")
        if arrays and not SHAPE.search(ast.get_docstring(node) or ""):
            found.append(node.name)
    return found


def test_every_function_of_arrays_says_a_shape() -> None:
    assert {path.name: found for path in FILES if (found := shapeless(parsed(path)))} == {}


@pytest.mark.parametrize("words", ["x, (..., d).", "values, shape (n,).", "(batch, 2 * d_model)."])
def test_a_shape_is_recognized_and_a_missing_one_noticed(words: str) -> None:
    source = 'class A:\n    @property\n    def f(self) -> Tensor:\n        """Return {}"""\n    def g(self): ...'
    assert shapeless(ast.parse(source.format(words))) == []
    assert shapeless(ast.parse(source.format("x (Liu et al., 2022)."))) == ["f"]


def defined(tree: ast.Module) -> set[str]:
    """Return the public names that a module defines."""
    names = {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    targets = [
        target for node in tree.body for target in (*getattr(node, "targets", ()), getattr(node, "target", None))
    ]
    names |= {part.id for target in targets if target for part in ast.walk(target) if isinstance(part, ast.Name)}
    return {name for name in names if not name.startswith("_")}


def used(tree: ast.Module) -> set[str]:
    """Return the names that a piece of Python uses or imports."""
    names = {getattr(node, "id", None) or getattr(node, "attr", None) for node in ast.walk(tree)}
    return names | {alias.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for alias in node.names}


@cache
def users() -> dict[Path, set[str]]:
    """Return the names used by each file that may use a public name: the package, the scripts, and the pages."""
    files = [path for path in FILES if path.name != "__init__.py"]  # those only hand names on
    files += [path for folder in ("scripts", "_ext", "bench") for path in (ROOT / folder).glob("*.py")]
    found = {path: used(parsed(path)) for path in files}
    for path in (ROOT / "book").glob("*.ipynb"):
        cells = [cell for cell in json.loads(path.read_text("utf8"))["cells"] if cell["cell_type"] == "code"]
        source = "\n".join("".join(cell["source"]) for cell in cells)
        found[path] = used(ast.parse(re.sub(r"^(\s*)[%!].*", r"\1pass", source, flags=re.M)))
    return found | {path: set(re.findall(r"\w+", path.read_text("utf8"))) for path in (ROOT / "book").glob("*.md")}


def handed_out(tree: ast.Module) -> set[str]:
    """Return the names in the annotations of a module's fields and public functions: what a caller gives and gets."""
    hints = [part for node in public(tree) for part in (node.args, node.returns) if part]
    hints += [node.annotation for node in ast.walk(tree) if isinstance(node, ast.AnnAssign)]
    return {node.id for hint in hints for node in ast.walk(hint) if isinstance(node, ast.Name)}


def lonely(path: Path, names: set[str]) -> set[str]:
    """Return those of a file's public names that no other file uses, and no caller of its functions meets."""
    others = set().union(*(found for user, found in users().items() if user != path))
    return names - PROMISED - others - handed_out(parsed(path))


def test_a_public_name_is_used_by_somebody_else() -> None:
    assert {path.name: found for path in FILES if (found := lonely(path, defined(parsed(path))))} == {}


def test_a_name_that_only_its_own_file_uses_is_noticed() -> None:
    source = "from a import b\nLIMIT: int = 3\n_own = 1\n\ndef not_called(): return LIMIT\n\nclass Adapter: ..."
    assert defined(ast.parse(source)) == {"LIMIT", "not_called", "Adapter"}
    assert lonely(PACKAGE / "config.py", {"not_called", "Adapter", "get_preset"}) == {"not_called"}


# --- what an installation must have ------------------------------------------------------------------------

#: Run at the start of a Python: as if no third party were installed but those in the list.
ONLY = """
import sys
from importlib.metadata import packages_distributions
sys.modules |= dict.fromkeys(packages_distributions().keys() - {{"ia3_lab", *{!r}.split()}})
"""
WITH_TORCH = "numpy torch functorch torchgen typing_extensions sympy mpmath filelock jinja2 markupsafe networkx fsspec"


def run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("packages", "modules"),
    [
        ("numpy", "config, counting, geometry, exercises, style"),
        (f"{WITH_TORCH} setuptools", "functional, transformer, adapters, attach, ia3"),
    ],
    ids=["numpy alone", "numpy and torch"],
)
def test_the_method_imports_in_an_environment_without_the_extras(packages: str, modules: str) -> None:
    result = run(f"{ONLY.format(packages)}\nfrom ia3_lab import {modules}")
    assert result.returncode == 0, result.stderr


def test_that_environment_really_lacks_the_extras() -> None:
    assert "ModuleNotFoundError: import of" in run(f"{ONLY.format('numpy')}\nimport ia3_lab.widgets.base").stderr


def test_importing_the_package_loads_nothing_heavy() -> None:
    result = run(f"import sys, ia3_lab; print([name for name in {list(LOADS)} if name in sys.modules])")
    assert result.stdout.strip() == "[]", result.stderr
