"""Running the chapters: stored outputs depend on the notebook alone."""

import base64
import io
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import execute
import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output
from PIL import Image, ImageChops


def stream(text: str, name: str = "stdout") -> nbformat.NotebookNode:
    return new_output("stream", name=name, text=text)


def normal(*outputs: Any) -> str:
    """The text of a notebook of one cell in normal form."""
    notebook = new_notebook(cells=[new_code_cell("x", id="one", outputs=list(outputs))])
    execute.normalize(notebook, "chapter")
    return nbformat.writes(notebook)


def test_where_a_stream_was_cut_an_object_s_address_and_a_table_s_indentation_leave_no_trace() -> None:
    assert normal(stream("a\nb\n")) == normal(stream("a\n"), stream("b\n"))
    assert normal(stream("a\nb\n")) != normal(stream("a\n"), stream("b\n", "stderr"))
    assert normal(stream("<Foo object at 0x7f3a5c0d> 0x7f3a5c0d")) == normal(stream("<Foo> 0x7f3a5c0d"))
    tables = ("<table>\n  <td>1\n2</td>\n</table>", "<table><td>1\n2</td></table>")
    one, other = (new_output("display_data", data={"text/html": html}) for html in tables)
    assert normal(one) == normal(other)


def write_notebook(path: Path, *sources: str) -> Path:
    cells, of_an_editor = [new_code_cell(source) for source in sources], {"jupytext": {"a": 1}}
    path.write_text(nbformat.writes(new_notebook(cells=cells, metadata=of_an_editor)), "utf8")
    return path


#: Two widgets in a box, a link between them, a widget with a picture, and one that nobody shows.
WIDGETS = """\
import ipywidgets
from IPython.display import display
one, two, pictured, hidden = (ipywidgets.FloatSlider() for _ in range(4))
link = ipywidgets.jslink((one, "value"), (two, "value"))
display(ipywidgets.HBox([one, two]))
view = {"application/vnd.jupyter.widget-view+json": {"model_id": pictured.model_id}}
display({"text/html": f'<div data-model-id="{pictured.model_id}">', **view}, raw=True)"""


@pytest.fixture(scope="module")
def chapter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a notebook with a figure and widgets, after it was run, beside one whose cell fails."""
    folder = tmp_path_factory.mktemp("book")
    text = "import os, sys\nprint(sys.executable, os.getcwd(), hash('IA3'), object())"
    path = write_notebook(folder / "chapter.ipynb", text, "import matplotlib.pyplot as plt\nplt.plot([1, 2]);", WIDGETS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MPLBACKEND", "Agg")  # a reader's choice: with it no figure would be stored
        assert execute.main([str(path)]) == 0
    return path


def test_what_the_outputs_show_is_stored_with_its_links_under_ids_of_the_chapter(chapter: Path) -> None:
    notebook = nbformat.read(chapter, as_version=4)
    text, figure, *shown = (output for cell in notebook.cells for output in cell.outputs)
    assert text.text.startswith(f"{sys.executable} {chapter.parent} ") and "image/png" in figure.data
    assert set(notebook.metadata) == {"kernelspec", "language_info", "widgets"}
    assert "version" not in notebook.metadata.language_info
    models = notebook.metadata.widgets[execute.WIDGET_STATE]["state"]
    names = Counter(model["model_name"] for model in models.values())
    assert (names["FloatSliderModel"], names["HBoxModel"], names["LinkModel"]) == (3, 1, 1)
    assert not any("layout" in model["state"] for model in models.values())
    box, picture = (output.data for output in shown)  # no view hides a picture from GitHub
    assert box[execute.WIDGET_VIEW]["model_id"] in models
    assert picture["text/html"].split('"')[1] in models and execute.WIDGET_VIEW not in picture
    assert execute.references({"children": ["IPY_MODEL_ab"], "watch": "anywidget:cd"}) == ["ab", "cd"]
    execute.normalize(notebook, "another chapter")
    assert not models.keys() & notebook.metadata.widgets[execute.WIDGET_STATE]["state"].keys()


def test_running_again_gives_identical_bytes_check_writes_nothing_and_a_failing_cell_is_named(
    chapter: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    first = chapter.read_bytes()
    assert (execute.main(["--check", str(chapter)]), chapter.read_bytes()) == (0, first)
    monkeypatch.setattr(execute, "executed", lambda path: "another notebook")
    assert (execute.main(["--check", str(chapter)]), chapter.read_bytes()) == (1, first)
    assert "would change" in capsys.readouterr().out
    monkeypatch.undo()
    broken = write_notebook(chapter.with_name("broken.ipynb"), "1", "raise ValueError('expected 3, got 4')")
    before = broken.read_bytes()
    assert (execute.main([str(broken)]), broken.read_bytes()) == (1, before)
    told = capsys.readouterr().err
    assert all(text in told for text in ("broken.ipynb", "cell 2 of 2", "expected 3, got 4"))


def test_a_kernel_does_not_depend_on_the_readers_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    fixed = {"PYTHONHASHSEED": "0", "SOURCE_DATE_EPOCH": "0", "OMP_NUM_THREADS": "1", "IA3_LAB_THREADS": "1"}
    for key in fixed:
        monkeypatch.setenv(key, "7")
    assert execute.kernel_environment("profile").items() >= (fixed | {"IPYTHONDIR": "profile"}).items()
    for name in ("08-what-ia3-learns", "09-ia3-or-lora", "where-the-model-looks"):
        assert "use_threads(" in (execute.ROOT / "book" / f"{name}.ipynb").read_text("utf8")


def png(colors: int) -> str:
    """A picture of flat squares with soft edges, as base64: that many colors, some of them half transparent."""
    image = Image.new("RGBA", (4 * colors, 40), (0, 0, 0, 0))
    for i in range(colors):
        image.paste((5 * i % 256, 255 - 3 * i % 256, 7 * i % 256, 255 - i % 128), (4 * i, 0, 4 * i + 4, 36))
        image.putpixel((4 * i, 38), (i % 256, i // 256, 99, 255))  # rare colors
    stored = io.BytesIO()
    image.save(stored, "PNG")
    return base64.b64encode(stored.getvalue()).decode()


def pixels(stored: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(stored))).convert("RGBA")


def test_a_figure_of_few_colors_is_stored_exactly_and_of_many_in_its_flat_areas_and_once() -> None:
    many = execute.PALETTE_SIZE - 6
    stored = {colors: execute.with_palette(png(colors)) for colors in (20, execute.PALETTE_SIZE // 2 - 2, many)}
    differ = {colors: ImageChops.difference(pixels(png(colors)), pixels(stored[colors])) for colors in stored}
    flat = differ[many].crop((0, 0, differ[many].width, 36))
    assert flat.getbbox() is None
    assert [one.getbbox() is None for one in differ.values()] == [True, True, False]  # twice as many do not fit
    assert execute.with_palette(stored[many]) == stored[many]
