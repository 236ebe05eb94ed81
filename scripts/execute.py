"""Run the chapters in place and store their outputs and widget state in a normal form.

    python scripts/execute.py                       # every notebook of the table of contents
    python scripts/execute.py book/03-geometry.ipynb
    python scripts/execute.py --check               # would running again change a file?

The normal form leaves out what differs between two runs of the same notebook (timings, random widget ids,
memory addresses, how a printed text was cut into messages), so that running twice gives byte-identical files.
A notebook whose cell fails stays as it was.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import importlib
import io
import json
import os
import re
import sys
import tempfile
import time
from pathlib import Path

import nbformat
import numpy as np
from check_site import toc_pages
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbconvert.preprocessors import CoalesceStreamsPreprocessor
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from scipy.spatial import KDTree

ROOT = Path(__file__).resolve().parent.parent
CELL_TIMEOUT_SECONDS = 600
KERNELSPEC = {"display_name": "Python 3", "language": "python", "name": "python3"}
LANGUAGE = {"name": "python", "pygments_lexer": "ipython3"}
TIMING_KEYS = ("execution", "ExecuteTime")  # Jupyter's and a common extension's
WIDGET_STATE = "application/vnd.jupyter.widget-state+json"
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
#: The widget that an output shows: in its view or, where a picture stands in, in the picture's HTML.
SHOWN = re.compile(r"""(?:'model_id': '|data-model-id=")(\w+)""")
ADDRESS = re.compile(r"( object)? at 0x[0-9a-f]{6,}")
PNG, SVG, HTML, CSV = "image/png", "image/svg+xml", "text/html", "text/csv"
PALETTE_SIZE = 160


def chapters(root: Path = ROOT) -> list[Path]:
    """The notebooks of the table of contents, in its order."""
    paths = [(root / page).with_suffix(".ipynb") for page in toc_pages(root)]
    return [path for path in paths if path.exists()]


# --- running ---------------------------------------------------------------------------------------------------


class CellFailedError(Exception):
    """A cell of a notebook raised an error, ran too long or took the kernel down."""


def run(notebook: nbformat.NotebookNode, folder: Path) -> None:
    """Execute every cell, in this very Python, with `folder` as working directory."""
    reached = 0

    def note_cell(cell: nbformat.NotebookNode, cell_index: int) -> None:
        nonlocal reached
        reached = cell_index + 1

    with tempfile.TemporaryDirectory() as profile:
        # No folders to look in: "python3" can only be the interpreter that runs this script.
        specs = KernelSpecManager(kernel_dirs=[])
        client = NotebookClient(
            notebook,
            km=AsyncKernelManager(kernel_name="python3", kernel_spec_manager=specs),
            timeout=CELL_TIMEOUT_SECONDS,
            resources={"metadata": {"path": str(folder)}},
            extra_arguments=["--IPKernelApp.log_level=ERROR", "--IPKernelApp.extensions=figure_data"],
            on_cell_execute=note_cell,
        )
        try:
            client.execute(env=kernel_environment(profile), cleanup_kc=True)  # and end the kernel here, not at exit
        except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
            text = re.sub(r"\x1b\[[0-9;]*m", "", str(error))  # no terminal colors
            raise CellFailedError(f"cell {reached} of {len(notebook.cells)} failed:\n{text}") from error


def kernel_environment(profile: str) -> dict[str, str]:
    """The environment of the kernel: this one, less what makes two runs differ.

    The choice of a backend for matplotlib is left out, because the kernel brings the one that stores figures: with
    MPLBACKEND=Agg in a reader's shell every figure would be missing from the outputs.
    """
    fixed = {
        "PYTHONHASHSEED": "0",
        "SOURCE_DATE_EPOCH": "0",  # matplotlib writes the date into SVG and PDF files
        "OMP_NUM_THREADS": "1",  # small tensors: on a busy machine two threads wait for each other
        "IA3_LAB_THREADS": "1",  # the weekly run takes two, which has to print the same
        "HF_HUB_OFFLINE": "1",  # stored outputs are those of the offline path
        "IPYTHONDIR": profile,  # a reader's own IPython settings stay out of the book
        "PYTHONPATH": os.pathsep.join([str(ROOT / "scripts"), *filter(None, [os.environ.get("PYTHONPATH")])]),
    }
    inherited = {name: value for name, value in os.environ.items() if name != "MPLBACKEND"}
    return {**inherited, **fixed}


# --- the normal form -------------------------------------------------------------------------------------------


def normalize(notebook: nbformat.NotebookNode, name: str) -> None:
    """Bring an executed notebook into the form that is stored; `name` seeds its widget ids."""
    widgets = notebook.metadata.get("widgets", {}).get(WIDGET_STATE, {}).get("state", {})
    notebook.metadata.clear()
    notebook.metadata.update(kernelspec=dict(KERNELSPEC), language_info=dict(LANGUAGE))
    CoalesceStreamsPreprocessor().preprocess(notebook, {})  # where the kernel cut a stream is chance
    for cell in notebook.cells:
        for key in TIMING_KEYS:
            cell.metadata.pop(key, None)
        for output in cell.get("outputs", []):
            drop_addresses(output)
            if PNG in output.get("data", {}):
                output.data[PNG] = with_palette(output.data[PNG])
            if SVG in output.get("data", {}):
                output.data[PNG] = with_source(output.data[PNG], output.data.pop(SVG), output.data.pop(CSV))
            if HTML in output.get("data", {}):  # a table is half as long without its indentation
                output.data[HTML] = re.sub(r">\s*\n\s*<", "><", output.data[HTML])
                if SHOWN.search(output.data[HTML]):  # its picture: else GitHub chooses the view, and shows nothing
                    output.data.pop(WIDGET_VIEW, None)
    if widgets:
        store_widgets(notebook, widgets, name)


def drop_addresses(output: nbformat.NotebookNode) -> None:
    """Take memory addresses out of printed text: `<Foo object at 0x7f...>` becomes `<Foo>`."""
    for holder, key in ((output, "text"), (output.get("data", {}), "text/plain")):
        if key in holder:
            holder[key] = ADDRESS.sub("", holder[key])


def with_palette(png: str) -> str:
    """A figure with its most frequent colors alone, as a base64 text of about half the size.

    Flat areas, such as the cells of a table, stay as they are; at edges a rare color becomes the nearest frequent one.
    """
    image = Image.open(io.BytesIO(base64.b64decode(png)))
    if image.mode == "P":  # done before
        return png
    pixels = np.asarray(image.convert("RGBA")).view(np.uint32).ravel()  # the four numbers of a color as one
    codes, which, counts = np.unique(pixels, return_inverse=True, return_counts=True)
    colors = codes.view(np.uint8).reshape(-1, 4)
    palette = colors[np.argsort(-counts, kind="stable")[:PALETTE_SIZE]]
    offered, seen = (np.c_[c[:, :3] * (c[:, 3:] / 255), c[:, 3]] for c in (palette, colors))  # as it looks on black
    nearest = KDTree(offered).query(seen)[1]
    indexed = Image.fromarray(nearest[which].astype(np.uint8).reshape(image.height, image.width))
    indexed.putpalette(palette[:, :3].tobytes())  # makes it an image of kind "P"
    stored, transparency = io.BytesIO(), palette[:, 3].tobytes()
    indexed.save(stored, "PNG", optimize=True, transparency=transparency, dpi=image.info.get("dpi", (100, 100)))
    return base64.b64encode(stored.getvalue()).decode()


def with_source(png: str, *texts: str) -> str:
    """A figure that carries its drawing and its numbers, which the site shows and gives out, as texts inside the PNG.

    So every viewer shows the picture: GitHub's preview empties an SVG, and prefers it where there is one.
    """
    image, info = Image.open(io.BytesIO(base64.b64decode(png))), PngInfo()
    for kind, text in zip((SVG, CSV), texts, strict=True):
        info.add_itxt(kind, text, zip=True)
    image.save(stored := io.BytesIO(), "PNG", optimize=True, pnginfo=info, dpi=image.info["dpi"])
    return base64.b64encode(stored.getvalue()).decode()


def store_widgets(notebook: nbformat.NotebookNode, models: dict, name: str) -> None:
    """Store the models that the page shows, under ids that depend on their order alone.

    Layouts are left out: neither the chapters nor the script that mounts the widgets makes use of them.
    """
    for model in models.values():
        model["state"].pop("layout", None)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    order = reached_from([cell.outputs for cell in cells], models)
    ids = {old: hashlib.md5(f"{name}/{i}".encode(), usedforsecurity=False).hexdigest() for i, old in enumerate(order)}
    for cell in cells:
        cell.outputs = nbformat.from_dict(renamed(cell.outputs, ids))
    if order:
        state = {ids[old]: renamed(models[old], ids) for old in order}
        notebook.metadata["widgets"] = {WIDGET_STATE: {"state": state, "version_major": 2, "version_minor": 0}}


def reached_from(outputs: list, models: dict) -> list[str]:
    """Ids of the models that the outputs show, in order of appearance, then of the links between those."""
    order: list[str] = []

    def visit(key: str) -> None:
        if key in models and key not in order:
            order.append(key)
            for reference in references(models[key]):
                visit(reference)

    for view in SHOWN.findall(str(outputs)):
        visit(view)
    links = [key for key, model in models.items() if "LinkModel" in model["model_name"]]
    inside = [key for key in links if all(end in order for end in references(models[key]))]
    # Links have no place on the page: their content orders them.
    numbers = {key: str(number) for number, key in enumerate(order)}
    return order + sorted(inside, key=lambda key: json.dumps(renamed(models[key], numbers), sort_keys=True))


def references(model: dict) -> list[str]:
    """Ids of the models that a model's state refers to."""
    return re.findall(r"(?:IPY_MODEL_|anywidget:)(\w+)", json.dumps(model, sort_keys=True))


def renamed(value, ids: dict[str, str]):
    """A copy of a JSON value with every id in its strings replaced."""
    text = json.dumps(value)
    if ids:
        text = re.sub("|".join(map(re.escape, ids)), lambda match: ids[match[0]], text)
    return json.loads(text)


# --- files -----------------------------------------------------------------------------------------------------


def executed(path: Path) -> str:
    """The text of a notebook's file after running it."""
    notebook = nbformat.read(path, as_version=4)
    run(notebook, path.parent)
    normalize(notebook, path.stem)
    nbformat.validate(notebook)
    return nbformat.writes(notebook) + "\n"


def main(arguments: list[str] | None = None) -> int:
    """Run the notebooks named on the command line; return the number of failures, at most 1."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("paths", nargs="*", type=Path, help="notebooks (default: all chapters)")
    parser.add_argument("--check", action="store_true", help="write nothing; fail if a file would change")
    options = parser.parse_args(arguments)
    # Matplotlib lists the fonts once per machine and says so on stderr: here, and not in a chapter's output.
    importlib.import_module("matplotlib.font_manager")
    failed = False
    for path in options.paths or chapters():
        start = time.perf_counter()
        try:
            text = executed(path)
        except CellFailedError as error:
            print(f"{path.name} was left as it was: {error}", file=sys.stderr)
            failed = True
            continue
        changed = text != path.read_text(encoding="utf-8")
        if changed and not options.check:
            path.write_text(text, encoding="utf-8")
        failed = failed or (changed and options.check)
        verdict = ("would change" if options.check else "stored") if changed else "unchanged"
        print(f"{path.name}: {verdict} ({time.perf_counter() - start:.1f} s)", flush=True)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
