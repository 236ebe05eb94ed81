"""What a chapter prints does not depend on the number of threads it computes with."""

from __future__ import annotations

import difflib
import os
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from ia3_lab import devices

BOOK = Path(__file__).resolve().parent.parent / "book"
#: The chapters that train a real model or run more than a toy's worth of arithmetic.
TRAINED = ("06-what-ia3-learns", "07-ia3-against-lora")


def printed(notebook: nbformat.NotebookNode) -> list[str]:
    """Return every line that a notebook's cells print, and their values as text; blank lines and figures left out."""
    lines = []
    for cell in notebook.cells:
        texts = [
            output.get("text", "") or output.get("data", {}).get("text/plain", "") + "\n"
            for output in cell.get("outputs", [])
            if not output.get("data", {}).keys() - {"text/plain"}
        ]
        lines += "".join(texts).splitlines()  # the kernel may send one line in two messages
    return [line for line in lines if line.strip()]


@pytest.mark.parametrize("name", TRAINED)
def test_a_chapter_prints_the_same_with_two_threads(name: str) -> None:
    notebook = nbformat.read(BOOK / f"{name}.ipynb", as_version=4)
    stored = printed(notebook)
    resources = {"metadata": {"path": str(BOOK)}}
    environment = {key: value for key, value in os.environ.items() if key != "MPLBACKEND"}
    environment |= {devices.THREADS: "2", "OMP_NUM_THREADS": "2", "HF_HUB_OFFLINE": "1", "PYTHONHASHSEED": "0"}
    environment["OMP_WAIT_POLICY"] = "PASSIVE"  # a thread that waits gives its core away: other tests run beside this
    probe = nbformat.v4.new_code_cell("import torch\nprint('threads:', torch.get_num_threads())")
    notebook.cells.append(probe)
    NotebookClient(notebook, timeout=600, resources=resources).execute(env=environment)
    found = printed(notebook)
    assert found.pop() == "threads: 2"  # the control: it really were two
    assert list(difflib.unified_diff(stored, found, lineterm="", n=0)) == []
