"""Running the chapters: stored outputs depend on the notebook alone."""

from __future__ import annotations

import base64
import io
import json
import os
import runpy
import subprocess
import sys
import uuid
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest
from PIL import Image, ImageChops

ROOT = Path(__file__).resolve().parent.parent
SCRIPT = ROOT / "scripts" / "execute.py"
execute = SimpleNamespace(**runpy.run_path(str(SCRIPT)))

BASE = {"_model_module": "@jupyter-widgets/base", "_model_name": "LayoutModel", "_view_name": "LayoutView"}


def code_cell(*outputs: dict) -> nbformat.NotebookNode:
    cell = nbformat.v4.new_code_cell("x", execution_count=1)
    cell["id"] = "one"
    cell.outputs = [nbformat.from_dict(output) for output in outputs]
    return cell


def stream(text: str, name: str = "stdout") -> dict:
    return {"output_type": "stream", "name": name, "text": text}


def with_widgets(gain: float = 1.8, width: str | None = None) -> nbformat.NotebookNode:
    """A notebook as nbclient leaves it: two shown widgets, a link between them, one widget that nobody shows."""
    shown, slider, layout, link, hidden = (uuid.uuid4().hex for _ in range(5))
    models = {
        shown: ("AnyModel", {"l_1": gain, "layout": f"IPY_MODEL_{layout}"}),
        slider: ("FloatSliderModel", {"value": gain}),
        layout: ("LayoutModel", {**BASE, "width": width, "height": None}),
        link: ("LinkModel", {"source": [f"IPY_MODEL_{slider}", "value"], "target": [f"IPY_MODEL_{shown}", "l_1"]}),
        hidden: ("FloatSliderModel", {"value": 7.0}),
    }
    state = {key: {"model_name": name, "state": values} for key, (name, values) in sorted(models.items())}
    view = "application/vnd.jupyter.widget-view+json"
    outputs = [
        {"output_type": "display_data", "metadata": {}, "data": {view: {"model_id": key}, "text/html": f"<i id={key}>"}}
        for key in (shown, slider)
    ]
    notebook = nbformat.v4.new_notebook(cells=[code_cell(*outputs)])
    notebook.metadata["widgets"] = {execute.WIDGET_STATE: {"state": state}}
    return notebook


def normal(notebook: nbformat.NotebookNode, name: str = "chapter") -> str:
    execute.normalize(notebook, name)
    return nbformat.writes(notebook)


def stored_models(notebook: nbformat.NotebookNode) -> list[dict]:
    execute.normalize(notebook, "chapter")
    return list(notebook.metadata["widgets"][execute.WIDGET_STATE]["state"].values())


def test_random_widget_ids_leave_no_trace() -> None:
    assert normal(with_widgets()) == normal(with_widgets())
    assert normal(with_widgets(gain=1.8)) != normal(with_widgets(gain=0.5))


def test_normalizing_twice_is_normalizing_once() -> None:
    once = normal(with_widgets())
    assert normal(nbformat.reads(once, as_version=4)) == once


def test_two_notebooks_share_no_widget_id() -> None:
    first, second = with_widgets(), with_widgets()
    execute.normalize(first, "first")
    execute.normalize(second, "second")
    ids = [set(notebook.metadata["widgets"][execute.WIDGET_STATE]["state"]) for notebook in (first, second)]
    assert not ids[0] & ids[1]


def test_models_that_no_output_shows_are_left_out_and_links_are_kept() -> None:
    names = sorted(model["model_name"] for model in stored_models(with_widgets()))
    assert names == ["AnyModel", "FloatSliderModel", "LinkModel"]


def test_a_layout_that_sets_something_is_kept_with_its_reference() -> None:
    models = stored_models(with_widgets(width="50%"))
    assert "LayoutModel" in [model["model_name"] for model in models]
    assert any("layout" in model["state"] for model in models)
    assert not any("layout" in model["state"] for model in stored_models(with_widgets()))


def test_renamed_ids_agree_between_outputs_and_state() -> None:
    notebook = with_widgets()
    execute.normalize(notebook, "chapter")
    ids = set(notebook.metadata["widgets"][execute.WIDGET_STATE]["state"])
    for output in notebook.cells[0].outputs:
        key = output.data["application/vnd.jupyter.widget-view+json"]["model_id"]
        assert key in ids
        assert key in output.data["text/html"]


def test_how_the_kernel_cut_a_stream_leaves_no_trace() -> None:
    whole = nbformat.v4.new_notebook(cells=[code_cell(stream("a\nb\n"))])
    cut = nbformat.v4.new_notebook(cells=[code_cell(stream("a\n"), stream("b\n"))])
    other = nbformat.v4.new_notebook(cells=[code_cell(stream("a\n"), stream("b\n", "stderr"))])
    assert normal(whole) == normal(cut)
    assert normal(whole) != normal(other)


def test_memory_addresses_are_taken_out_and_other_hexadecimal_numbers_kept() -> None:
    notebook = nbformat.v4.new_notebook(cells=[code_cell(stream("<Foo object at 0x7f3a5c0d> 0x7f3a5c0d\n"))])
    execute.normalize(notebook, "chapter")
    assert notebook.cells[0].outputs[0].text == "<Foo> 0x7f3a5c0d\n"


def test_timings_versions_and_editor_settings_are_not_stored() -> None:
    notebook = nbformat.v4.new_notebook(cells=[code_cell()])
    notebook.metadata.update(jupytext={"a": 1}, language_info={"name": "python", "version": "3.11.2"})
    notebook.cells[0].metadata.update(execution={"iopub.status.busy": "2026"}, tags=["hide-cell"])
    execute.normalize(notebook, "chapter")
    assert set(notebook.metadata) == {"kernelspec", "language_info"}
    assert "version" not in notebook.metadata.language_info
    assert notebook.cells[0].metadata == {"tags": ["hide-cell"]}


def run_script(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("COV_")}
    command = [sys.executable, str(SCRIPT), *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)


def write_notebook(path: Path, *sources: str) -> Path:
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in sources])
    path.write_text(nbformat.writes(notebook), encoding="utf-8")
    return path


def test_running_twice_gives_identical_bytes(tmp_path: Path) -> None:
    path = write_notebook(
        tmp_path / "chapter.ipynb",
        "print(hash('IA3'), object())",
        "import ipywidgets\nslider = ipywidgets.FloatSlider()\nipywidgets.HBox([slider])",
    )
    run_script(str(path)).check_returncode()
    first = path.read_bytes()
    assert json.loads(first)["metadata"]["widgets"]
    check = run_script("--check", str(path))
    assert (check.returncode, path.read_bytes()) == (0, first), check.stdout + check.stderr


def test_the_kernel_is_this_python_in_the_folder_of_the_notebook(tmp_path: Path) -> None:
    path = write_notebook(tmp_path / "where.ipynb", "import os, sys\nprint(sys.executable)\nprint(os.getcwd())")
    run_script(str(path)).check_returncode()
    text = nbformat.read(path, as_version=4).cells[0].outputs[0].text
    assert text.split("\n")[:2] == [sys.executable, str(tmp_path)]


def test_a_failing_cell_is_named_and_the_file_stays(tmp_path: Path) -> None:
    path = write_notebook(tmp_path / "broken.ipynb", "print('fine')", "raise ValueError('expected 3, got 4')")
    before = path.read_bytes()
    result = run_script(str(path))
    assert result.returncode == 1
    assert path.read_bytes() == before
    assert "broken.ipynb" in result.stderr
    assert "cell 2 of 2" in result.stderr
    assert "expected 3, got 4" in result.stderr


def test_check_reports_a_stale_notebook_and_writes_nothing(tmp_path: Path) -> None:
    path = write_notebook(tmp_path / "stale.ipynb", "print(1)")
    before = path.read_bytes()
    result = run_script("--check", str(path))
    assert (result.returncode, path.read_bytes()) == (1, before)
    assert "would change" in result.stdout


def test_chapters_come_in_the_order_of_the_table_of_contents(tmp_path: Path) -> None:
    (tmp_path / "_toc.yml").write_text(
        "format: jb-book\nroot: intro\nparts:\n  - chapters:\n      - file: b\n      - file: a\n      - file: notes\n"
    )
    for name in ("a.ipynb", "b.ipynb", "notes.md", "unlisted.ipynb"):
        (tmp_path / name).touch()
    assert [path.name for path in execute.chapters(tmp_path)] == ["b.ipynb", "a.ipynb"]


@pytest.mark.parametrize("key", ["PYTHONHASHSEED", "SOURCE_DATE_EPOCH", "IPYTHONDIR"])
def test_the_kernel_does_not_depend_on_the_readers_settings(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(key, "something else")
    assert execute.kernel_environment("profile")[key] in ("0", "profile")


def test_a_reader_who_chose_a_backend_for_matplotlib_still_gets_the_figures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MPLBACKEND", "Agg")
    assert "MPLBACKEND" not in execute.kernel_environment("profile")
    path = write_notebook(tmp_path / "figure.ipynb", "import matplotlib.pyplot as plt\nplt.plot([1, 2]);")
    run_script(str(path)).check_returncode()
    (output,) = nbformat.read(path, as_version=4).cells[0].outputs
    assert "image/png" in output.data


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


@pytest.mark.parametrize("colors", [20, 120])
def test_a_figure_of_few_colors_is_stored_exactly(colors: int) -> None:
    small = execute.with_palette(png(colors))
    assert ImageChops.difference(pixels(small), pixels(png(colors))).getbbox() is None


def test_in_a_figure_of_many_colors_flat_areas_stay_as_they_are() -> None:
    original, small = pixels(png(250)), pixels(execute.with_palette(png(250)))
    flat = (0, 0, original.width, 36)
    assert ImageChops.difference(original.crop(flat), small.crop(flat)).getbbox() is None
    assert ImageChops.difference(original, small).getbbox() is not None  # the control: 500 colors do not fit


def test_a_figure_that_was_stored_is_left_alone() -> None:
    small = execute.with_palette(png(250))
    assert execute.with_palette(small) == small
