"""Every chapter, as it is stored: complete, executed, in normal form, and readable without its pictures."""

from __future__ import annotations

import re
import runpy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nbformat
import pytest

ROOT = Path(__file__).resolve().parent.parent
execute = SimpleNamespace(**runpy.run_path(str(ROOT / "scripts" / "execute.py")))
repository = SimpleNamespace(**runpy.run_path(str(ROOT / "scripts" / "set_repository.py")))

MAX_BYTES = 1_100_000
MIN_ALT_CHARACTERS = 60
MAX_CELL_LINES = 30
BOOTSTRAP = f"""\
# In Colab, install the book's package; anywhere else this cell does nothing.
import importlib.util
if importlib.util.find_spec("ia3_lab") is None:
    %pip install -q "ia3_lab @ git+{repository.current()}\""""
MACHINE = re.compile(r"/(?:home|root|Users|tmp|work|private|workspaces)/\S*|site-packages|[A-Z]:\\Users")

CHAPTERS = execute.chapters()
each_chapter = pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)


def read(path: Path) -> nbformat.NotebookNode:
    return nbformat.read(path, as_version=4)


def code_cells(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def prose(notebook: nbformat.NotebookNode) -> str:
    return "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")


def shows_image(cell: nbformat.NotebookNode) -> bool:
    return any(key.startswith("image/") for output in cell.outputs for key in output.get("data", {}))


def figure_faults(cell: nbformat.NotebookNode) -> list[str]:
    """What a figure cell lacks of alternative text, caption and name."""
    settings: dict[str, Any] = cell.metadata.get("mystnb", {})
    alt = settings.get("image", {}).get("alt", "")
    figure = settings.get("figure", {})
    faults = []
    if len(alt) < MIN_ALT_CHARACTERS:
        faults.append(f"alt text of {len(alt)} characters, expected {MIN_ALT_CHARACTERS} or more: {alt!r}")
    if not figure.get("caption"):
        faults.append("no caption")
    if not re.fullmatch(r"fig-[a-z0-9-]+", figure.get("name", "")):
        faults.append(f"name {figure.get('name')!r}, expected fig-...")
    return faults


def output_faults(cell: nbformat.NotebookNode) -> list[str]:
    """Outputs that no chapter may store: errors, warnings on stderr, paths of somebody's machine."""
    faults = []
    for output in cell.outputs:
        if output.output_type == "error":
            faults.append(f"error: {output.evalue}")
        if output.get("name") == "stderr":
            faults.append(f"stderr: {output.text}")
        text = output.get("text", "") + str(output.get("data", {}).get("text/plain", ""))
        faults += [f"a path of a machine: {path}" for path in MACHINE.findall(text)]
    return faults


def test_there_are_five_chapters() -> None:
    assert len(CHAPTERS) >= 5


@each_chapter
def test_a_chapter_begins_with_one_title_its_goals_and_its_run_time(path: Path) -> None:
    first = read(path).cells[0]
    assert first.cell_type == "markdown"
    assert re.match(r"# \S", first.source)
    assert re.search(r"\b(seconds?|minutes?)\b", first.source), "say how long the chapter takes to run"
    outside_code = re.sub(r"```.*?```", "", prose(read(path)), flags=re.S)
    assert len(re.findall(r"^# ", outside_code, re.M)) == 1


@each_chapter
def test_the_first_code_cell_is_the_one_that_makes_colab_work(path: Path) -> None:
    assert code_cells(read(path))[0].source == BOOTSTRAP


@each_chapter
def test_every_figure_has_alternative_text_a_caption_and_a_name(path: Path) -> None:
    cells = [cell for cell in code_cells(read(path)) if shows_image(cell)]
    assert [fault for cell in cells for fault in figure_faults(cell)] == []


def test_a_figure_without_alternative_text_is_noticed() -> None:
    cell = nbformat.v4.new_code_cell(metadata={"mystnb": {"image": {"alt": "a plot"}}})
    assert len(figure_faults(cell)) == 3


def test_no_two_figures_share_a_name_or_an_alternative_text() -> None:
    settings = [cell.metadata["mystnb"] for path in CHAPTERS for cell in code_cells(read(path)) if shows_image(cell)]
    for values in ([each["figure"]["name"] for each in settings], [each["image"]["alt"] for each in settings]):
        assert sorted(values) == sorted(set(values))


@each_chapter
def test_no_output_is_an_error_a_warning_or_a_path(path: Path) -> None:
    assert [fault for cell in code_cells(read(path)) for fault in output_faults(cell)] == []


@pytest.mark.parametrize(
    "output",
    [
        nbformat.v4.new_output("error", ename="E", evalue="broken", traceback=[]),
        nbformat.v4.new_output("stream", name="stderr", text="careful"),
        nbformat.v4.new_output("stream", name="stdout", text="saved /home/me/adapter"),
    ],
)
def test_an_error_a_warning_and_a_path_are_noticed(output: nbformat.NotebookNode) -> None:
    assert len(output_faults(nbformat.v4.new_code_cell(outputs=[output]))) == 1


@each_chapter
def test_a_chapter_is_stored_executed_from_top_to_bottom(path: Path) -> None:
    counts = [cell.execution_count for cell in code_cells(read(path))]
    assert counts == list(range(1, len(counts) + 1))


@each_chapter
def test_a_chapter_is_stored_in_normal_form(path: Path) -> None:
    notebook = read(path)
    execute.normalize(notebook, path.stem)
    assert nbformat.writes(notebook) + "\n" == path.read_text("utf8"), "run `make execute`"


@each_chapter
def test_every_widget_that_is_shown_has_its_state_stored(path: Path) -> None:
    notebook = read(path)
    shown = set(re.findall(r"'model_id': '(\w+)'", str([cell.outputs for cell in code_cells(notebook)])))
    stored = notebook.metadata.get("widgets", {}).get(execute.WIDGET_STATE, {}).get("state", {})
    assert shown <= set(stored)


@each_chapter
def test_a_chapter_has_an_exercise_with_a_folded_solution_and_a_summary(path: Path) -> None:
    notebook = read(path)
    headings = re.findall(r"^#{2,3} (.+)$", prose(notebook), re.M)
    assert any("exercise" in heading.lower() for heading in headings)
    assert any("summary" in heading.lower() for heading in headings)
    folded = [cell for cell in code_cells(notebook) if "hide-cell" in cell.metadata.get("tags", [])]
    assert folded
    assert all(cell.source.strip() for cell in folded)


@each_chapter
def test_a_chapter_stays_small(path: Path) -> None:
    assert path.stat().st_size < MAX_BYTES


@each_chapter
def test_no_cell_is_longer_than_a_screen(path: Path) -> None:
    lengths = [len(cell.source.splitlines()) for cell in code_cells(read(path))]
    assert max(lengths) <= MAX_CELL_LINES


@each_chapter
def test_a_chapter_uses_public_names_only(path: Path) -> None:
    code = "\n".join(cell.source for cell in code_cells(read(path)))
    assert re.findall(r"(?:from|import) ia3_lab\S*\._\w+|import _\w+", code) == []
    assert "sys.path" not in code
