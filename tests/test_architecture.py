"""The house: which module may import which, how large it may grow, and what a docstring and a name owe the reader."""

import ast
import keyword
import re
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

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
    "pictures": set(),
    "figures": set(),
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
    "widgets": {"figures", "style", "plots", "config", "counting", "geometry", "pictures"}
    | {"study.results", "study.t03b"},
    "__init__": set(),
}
METHOD = list(MAY_IMPORT)[: list(MAY_IMPORT).index("pretrained")]
TORCH = {"functional", "transformer", "folding", "adapters", "attach", "ia3", "pretrained", "peft_bridge"}
#: third parties beside numpy -> the layers that load them when they are imported: all others work without them
LOADS = {
    "torch": TORCH | {"study.methods", "study.training", "study.runs"},
    "matplotlib": {"figures", "plots", "widgets"},
    "anywidget": {"widgets"},
    "traitlets": {"widgets"},
    "pandas": {"study.results", "study.t03b", "widgets"},
}
EVERYWHERE = sys.stdlib_module_names | {"ia3_lab", "numpy"}
#: Names that other projects rely on, whether or not a page of this book uses them.
PROMISED = {
    *("attach", "attach_lora", "detach", "merge", "adapter_parameters", "freeze_except", "count_parameters"),
    "PALETTE",  # of which a law speaks: its colors contrast on both pages
    *("Adapter", "ScaledLinear", "LoRALinear", "IA3Attention", "IA3FeedForward", "IA3TransformerBlock"),
}


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf8"))


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
    """Return the arrows from a file's layer to other layers, and to the third parties that it loads at once."""
    here = layer(".".join(path.relative_to(PACKAGE).with_suffix("").parts))
    inner = {layer(name.removeprefix("ia3_lab.")) for name in imports(ast.walk(tree)) if name.startswith("ia3_lab.")}
    outer = {name.split(".")[0] for name in imports(at_import_time(tree))} - EVERYWHERE
    return {(here, name) for name in (inner - {here}) | outer}


INNER = {(one, other) for one, others in MAY_IMPORT.items() for other in others}
ALLOWED = INNER | {(one, heavy) for heavy, layers in LOADS.items() for one in layers}


def test_imports_point_one_way_in_no_circle_and_no_permission_is_stale() -> None:
    assert set().union(*(arrows(path, parsed(path)) for path in FILES)) == ALLOWED
    names = list(MAY_IMPORT)
    assert all(names.index(other) < names.index(one) for one, other in INNER), "a circle"


def test_a_forbidden_import_is_found() -> None:
    for name, source in {
        "functional.py": "from ia3_lab.ia3 import IA3Attention",
        "transformer.py": "from ia3_lab import ia3",
        "geometry.py": "from scipy import linalg",
        "plots/charts.py": "import ia3_lab.functional",
        "attach.py": "def attach(model):\n    from ia3_lab.study.methods import METHODS",
        "study/protocol.py": "class A:\n    import pandas.api",
        "a_new_module.py": "from ia3_lab import config",
    }.items():
        assert len(arrows(PACKAGE / name, ast.parse(source)) - ALLOWED) == 1, name


def lines(paths: Iterable[Path]) -> int:
    return sum(len(path.read_text("utf8").splitlines()) for path in paths)


def too_long(paths: Iterable[Path], limit: int) -> list[str]:
    return [f"{path.name}: {n}" for path in paths if (n := lines([path])) > limit]


def test_the_package_is_small_and_its_tests_are_no_second_book() -> None:
    assert lines(FILES) <= 4_900
    assert lines(PACKAGE / f"{name}.py" for name in METHOD if name != "folding") <= 1_650
    # How a weight with an adapter in it behaves in torch, and what makes it plain, is a chapter of its own.
    assert lines([PACKAGE / "folding.py"]) <= 160
    assert lines((ROOT / "tests").glob("*.py")) < 1.3 * lines(FILES)

    raised = [node for path in FILES for node in ast.walk(parsed(path)) if isinstance(node, ast.Raise | ast.Assert)]
    assert 10 < len(raised) < lines(FILES) / 50, "little of the code refuses input"
    functions = [node.name for path in (PACKAGE / "plots").glob("*.py") for node in public(parsed(path))]
    assert 7 <= sum(name.startswith("plot_") for name in functions) <= 12, functions


def test_no_file_is_long_and_no_line_of_a_widget_wide() -> None:
    modules = sorted(PACKAGE.rglob("*.mjs"))
    assert too_long(FILES, 260) + too_long(modules, 400) == []
    assert too_long(modules, 40), "the control: some module is longer than 40 lines"
    assert [path.name for path in modules for line in path.read_text("utf8").splitlines() if len(line) > 120] == []


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


def test_every_function_of_arrays_says_a_shape_and_a_missing_one_is_noticed() -> None:
    assert {path.name: found for path in FILES if (found := shapeless(parsed(path)))} == {}
    source = 'class A:\n    @property\n    def f(self) -> Tensor:\n        """Return {}"""\n    def g(self): ...'
    for said in ("x, (..., d).", "values, shape (n,).", "(batch, 2 * d_model)."):
        assert shapeless(ast.parse(source.format(said))) == []
    assert shapeless(ast.parse(source.format("x (Liu et al., 2022)."))) == ["f"]


def defined(source: str) -> set[str]:
    """Return the public names that a module defines."""
    return set(re.findall(r"^(?:def |class )?([A-Za-z]\w*)(?= ?[:=(])", source, re.M)) - set(keyword.kwlist)


@cache
def words() -> dict[Path, set[str]]:
    """Return the words of each file that may use a public name: the package, the scripts, and the pages."""
    files = [path for path in FILES if path.name != "__init__.py"]  # those only hand names on
    files += [path for folder in ("scripts", "_ext", "bench") for path in (ROOT / folder).glob("*.py")]
    files += [path for path in (ROOT / "book").iterdir() if path.suffix in (".md", ".ipynb")]
    return {path: set(re.findall(r"\w+", path.read_text("utf8").replace(r"\n", " "))) for path in files}


def handed_out(tree: ast.Module) -> set[str]:
    """Return the names in the annotations of a module's fields and public functions: what a caller gives and gets."""
    hints = [part for node in public(tree) for part in (node.args, node.returns) if part]
    hints += [node.annotation for node in ast.walk(tree) if isinstance(node, ast.AnnAssign)]
    return {node.id for hint in hints for node in ast.walk(hint) if isinstance(node, ast.Name)}


def lonely(path: Path, names: set[str]) -> set[str]:
    """Return those of a file's public names that no other file uses, and no caller of its functions meets."""
    others = set().union(*(found for user, found in words().items() if user != path))
    return names - PROMISED - others - handed_out(parsed(path))


def test_a_public_name_is_used_by_somebody_else_and_one_that_only_its_own_file_uses_is_noticed() -> None:
    assert {path.name: found for path in FILES if (found := lonely(path, defined(path.read_text("utf8"))))} == {}
    source = "from a import b\nLIMIT: int = 3\n_own = 1\n\ndef not_called(): return LIMIT\n\nclass Adapter: ..."
    assert defined(source) == {"LIMIT", "not_called", "Adapter"}
    assert lonely(PACKAGE / "config.py", {"not_called", "Adapter", "get_preset"}) == {"not_called"}
