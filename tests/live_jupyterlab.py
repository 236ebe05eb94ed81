"""JupyterLab with a live kernel: what a hand does reaches Python, and what Python sets moves the picture.

`make lab` runs this with the newest JupyterLab; `make test` does without its 34 packages.
"""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import execute
import nbformat
import pytest
from widget_helpers import drag

CELLS = [
    "from ia3_lab.widgets import EllipseLab\n"
    "lab, heard = EllipseLab(l_1=1.8, l_2=0.5), []\n"
    'lab.observe(lambda change: heard.append(change.new), "l_1")\n'
    "lab",
    'print(len(heard), "heard; l_1 is", heard[-1], lab.l_1)',
    "lab.l_2 = -1.5",
]


@pytest.fixture
def home(tmp_path: Path) -> Iterator[str]:
    """Serve a folder with one notebook from JupyterLab, with none of the reader's settings; return the address."""
    cells = [nbformat.v4.new_code_cell(source) for source in CELLS]
    notebook = nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": execute.KERNELSPEC})
    nbformat.write(notebook, tmp_path / "try.ipynb")
    config = tmp_path / "config" / "labconfig" / "page_config.json"
    config.parent.mkdir(parents=True)
    config.write_text(json.dumps({"disabledExtensions": {"@jupyterlab/apputils-extension:announcements": True}}))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    kinds = {"JUPYTER_CONFIG_DIR": "config", "JUPYTER_DATA_DIR": "data", "IPYTHONDIR": "ipython"}
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--IdentityProvider.token="]
    command += [f"--port={port}", f"--ServerApp.root_dir={tmp_path}"]
    known = os.environ | {name: str(tmp_path / kind) for name, kind in kinds.items()}
    with open(tmp_path / "log", "w") as log, subprocess.Popen(command, env=known, stdout=log, stderr=log) as server:
        address = f"http://127.0.0.1:{port}"
        while server.poll() is None:
            try:
                urllib.request.urlopen(f"{address}/api").close()
                break
            except OSError:
                time.sleep(0.2)
        yield address
        server.terminate()


def test_a_drag_is_heard_by_observe_and_a_trait_set_in_python_moves_the_picture(home: str, browser: Any) -> None:
    page = browser.new_page()
    page.set_default_timeout(60_000)
    page.goto(f"{home}/lab/tree/try.ipynb")
    cells = page.locator(".jp-Notebook .jp-CodeCell")

    def run(number: int) -> str:
        """Run a cell as a reader does, and return what stands below it."""
        cells.nth(number).locator(".cm-content").click()
        page.locator('.jp-NotebookPanel [data-command="notebook:run-cell-and-select-next"]').click()
        cells.nth(number).locator(".jp-InputPrompt", has_text=f"[{number + 1}]:").wait_for()
        return cells.nth(number).locator(".jp-OutputArea").inner_text()

    page.locator(".jp-Notebook-ExecutionIndicator[data-status=idle]").wait_for()
    run(0)
    l_1 = page.locator('.ia3 [role=slider][aria-label^="l_1,"]')
    drag(page, l_1, -60)
    held = float(l_1.get_attribute("aria-valuenow"))
    count, _, _, _, heard, now = run(1).split()
    assert int(count) >= 1 and held < 1.8 and float(heard) == float(now) == held
    run(2)
    page.wait_for_function("() => document.querySelector('.ia3 [aria-label^=\"l_2,\"]').ariaValueNow === '-1.5'")
