"""The repository's address stands in `_config.yml`; every copy of it is equal, and one command changes them all."""

from __future__ import annotations

import json
import re
import runpy
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

ROOT = Path(__file__).resolve().parent.parent
script = SimpleNamespace(**runpy.run_path(str(ROOT / "scripts" / "set_repository.py")))

#: Owners of other repositories that the text may point to, and the "you" of examples.
OTHERS = {"huggingface", "r-three", "you"}
COPIES = ["README.md", "CITATION.cff", "pyproject.toml", "book/intro.md"]
NOTEBOOKS = sorted((ROOT / "book").glob("*.ipynb"))


def addresses(text: str) -> set[str]:
    """Addresses of repositories in a text, those of other owners left out."""
    found = {match.rstrip(".").removesuffix(".git") for match in script.ADDRESS.findall(text)}
    return {address for address in found if address.split("/")[3] not in OTHERS}


def first_code_cell(path: Path) -> str:
    cells = json.loads(path.read_text("utf8"))["cells"]
    return next("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")


@pytest.mark.parametrize("path", script.files(), ids=lambda path: path.name)
def test_a_file_carries_no_address_but_the_one_of_the_configuration(path: Path) -> None:
    assert addresses(path.read_text("utf8")) <= {script.current()}


def test_a_stray_address_is_noticed() -> None:
    assert addresses("see https://github.com/someone/fork.") == {"https://github.com/someone/fork"}
    assert addresses("see https://github.com/huggingface/peft") == set()


@pytest.mark.parametrize("name", COPIES)
def test_a_file_that_needs_the_address_has_it(name: str) -> None:
    assert script.current() in addresses((ROOT / name).read_text("utf8"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_a_chapter_installs_from_the_address(path: Path) -> None:
    assert f"git+{script.current()}" in first_code_cell(path)


def sources() -> Iterator[Path]:
    for pattern in (
        "ia3_lab/**/*",
        "scripts/*",
        "_ext/*",
        "_static/*",
        "bench/*",
        ".github/**/*",
        "Makefile",
        "_toc.yml",
    ):
        yield from (path for path in ROOT.glob(pattern) if path.suffix in {".py", ".mjs", ".css", ".js", ".yml", ""})


def test_no_source_file_carries_the_address() -> None:
    carriers = [path for path in sources() if path.is_file() and script.current() in path.read_text("utf8")]
    assert carriers == []


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of all files that the command may change."""
    for path in script.files():
        target = tmp_path / path.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    return tmp_path


def test_the_command_changes_every_copy_and_there_is_a_way_back(copy: Path) -> None:
    old, new = script.current(), "https://github.com/someone-else/their.book"
    before = {path: path.read_bytes() for path in script.files(copy)}
    changed = script.replace(old, new, copy)
    assert {copy / name for name in COPIES} <= set(changed)
    assert script.current(copy) == new
    assert not any(old in path.read_text("utf8") for path in script.files(copy))
    assert script.replace(new, old, copy) == changed
    assert {path: path.read_bytes() for path in script.files(copy)} == before


def test_an_address_that_only_begins_alike_is_left_alone(tmp_path: Path) -> None:
    page = tmp_path / "README.md"
    page.write_text(
        "https://github.com/a/book-two https://github.com/a/book.com https://github.com/a/book. https://github.com/a/book.git"
    )
    script.replace("https://github.com/a/book", "https://github.com/b/c", tmp_path)
    text = page.read_text()
    assert re.findall(r"/a/\S+", text) == ["/a/book-two", "/a/book.com"]
    assert text.endswith("https://github.com/b/c. https://github.com/b/c.git")


@pytest.mark.parametrize(("given", "plain"), [("https://github.com/a/b/", "b"), ("https://github.com/a/b.git", "b")])
def test_a_usual_variant_of_an_address_is_understood(given: str, plain: str) -> None:
    assert script.checked(given) == f"https://github.com/a/{plain}"


@pytest.mark.parametrize(
    "given", ["", "a/b", "http://github.com/a/b", "https://github.com/a", "https://github.com/a/b/c"]
)
def test_something_else_is_refused_with_an_example(given: str) -> None:
    with pytest.raises(ValueError, match="expected an address like https://github"):
        script.checked(given)
