"""What `pip install` brings and does, and the version and the address that stand in many places."""

import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
import yaml

import ia3_lab

ROOT = Path(__file__).resolve().parent.parent
BUILT_FROM = ("pyproject.toml", "MANIFEST.in", "README.md", "LICENSE")
KINDS = (".py", ".typed", ".toml", ".json", ".jsonl", ".tsv", ".mplstyle", ".mjs", ".css")


def build(source: Path, kind: str) -> Path:
    """Build a wheel or an sdist as `python -m build --no-isolation` does."""
    script = f"from setuptools import build_meta; print(build_meta.build_{kind}('dist'))"
    done = subprocess.run([sys.executable, "-c", script], cwd=source, capture_output=True, text=True, check=True)
    return source / "dist" / done.stdout.split()[-1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    source = tmp_path_factory.mktemp("source")
    for name in BUILT_FROM:
        shutil.copy(ROOT / name, source)
    for folder in ("ia3_lab", "tests"):  # of which the second must stay out
        shutil.copytree(ROOT / folder, source / folder, ignore=shutil.ignore_patterns("__pycache__", ".*"))
    return build(source, "wheel")


def test_a_wheel_from_here_or_from_the_sdist_holds_every_file_of_the_package_and_nothing_else(wheel, tmp_path) -> None:
    files = [path for path in (ROOT / "ia3_lab").rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    assert {path.suffix for path in files} == set(KINDS)
    with tarfile.open(build(wheel.parent.parent, "sdist")) as archive:
        archive.extractall(tmp_path, filter="data")
    for one in (wheel, build(next(tmp_path.iterdir()), "wheel")):
        inside = {name for name in zipfile.ZipFile(one).namelist() if ".dist-info/" not in name}
        assert inside == {path.relative_to(ROOT).as_posix() for path in files}


def test_the_quick_start_of_the_readme_runs_as_it_stands_from_the_wheel_alone(wheel: Path, tmp_path: Path) -> None:
    blocks = re.findall(r"^```python\n(.*?)^```", (ROOT / "README.md").read_text("utf8"), re.M | re.S)
    assert len(blocks) == 1
    zipfile.ZipFile(wheel).extractall(tmp_path / "installed")
    (tmp_path / "start.py").write_text(f"{blocks[0]}\nimport ia3_lab; print(ia3_lab.__file__, ia3_lab.__version__)")
    known = os.environ | {"PYTHONPATH": str(tmp_path / "installed")}
    command = [sys.executable, "start.py"]
    done = subprocess.run(command, cwd=tmp_path, env=known, capture_output=True, text=True, check=True)
    counted, imported = done.stdout.splitlines()
    assert f"print(freeze_except(model, adapter_parameters(model).values()))  # {counted}" in blocks[0]
    assert imported == f"{tmp_path / 'installed' / 'ia3_lab' / '__init__.py'} {ia3_lab.__version__}"


def test_the_version_stands_in_one_place_and_its_copies_agree() -> None:
    version = ia3_lab.__version__
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text("utf8"))["version"] == version
    newest = re.search(r"^## (\S+)(.*)$", (ROOT / "CHANGELOG.md").read_text("utf8"), re.M)
    assert newest[1] == version and re.fullmatch(r" \((unreleased|\d{4}-\d\d-\d\d)\)", newest[2])


#: Where the book lives: it stands in the configuration, every copy is equal, and one command changes them all.
CURRENT = yaml.safe_load((ROOT / "_config.yml").read_text("utf8"))["repository"]["url"]
#: Addresses of repositories, but for those of others that the text points to, and of the "you" of examples.
ADDRESS = re.compile(r"https://github\.com/(?!huggingface|r-three|you/)[\w-]+/[\w-]+(?:\.(?!git\b)\w[\w-]*)*")
PATTERNS = ("_config.yml", "*.md", "CITATION.cff", "pyproject.toml", "book/*.md", "book/*.ipynb")
TEXTS = [path for pattern in PATTERNS for path in sorted(ROOT.glob(pattern))]


def test_a_text_carries_the_address_of_the_configuration_and_no_other_and_no_source_file_any() -> None:
    found = {path.name: set(ADDRESS.findall(path.read_text("utf8"))) for path in TEXTS}
    assert set().union(*found.values()) == {CURRENT}
    assert {name for name in found if found[name]} >= {"README.md", "CITATION.cff", "pyproject.toml", "intro.md"}
    assert ADDRESS.findall("https://github.com/a/fork.git, https://github.com/you/b") == ["https://github.com/a/fork"]
    sources = [ROOT / "Makefile", ROOT / "_toc.yml", *(ROOT / ".github").rglob("*.yml")]
    for folder in ("ia3_lab", "scripts", "_ext", "_static", "bench"):
        sources += [path for path in (ROOT / folder).rglob("*.*") if path.suffix in (".py", ".mjs", ".js", ".css")]
    assert [path for path in sources if CURRENT in path.read_text("utf8")] == []


def test_the_command_changes_every_copy_there_is_a_way_back_and_what_is_no_address_is_refused(tmp_path: Path) -> None:
    def make_repository(url: str) -> int:
        command = ["make", "repository", f"URL={url}"]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, check=False).returncode

    for path in [*TEXTS, ROOT / "Makefile"]:
        (copy := tmp_path / path.relative_to(ROOT)).parent.mkdir(exist_ok=True)
        shutil.copy(path, copy)
    page, alike = tmp_path / "README.md", f"{CURRENT}-two {CURRENT}.com"  # they only begin alike
    page.write_text(f"{page.read_text('utf8')}{CURRENT}. {CURRENT}.git {alike}\n")
    before = {path: path.read_text("utf8") for path in tmp_path.rglob("*.*")}
    new = "https://github.com/someone-else/their.book"
    assert make_repository(f"{new}.git") == 0  # as an address to clone from
    after = {path: path.read_text("utf8") for path in before}
    assert after[page].endswith(f"{new}. {new}.git {alike}\n")
    assert [path for path in before if CURRENT in after[path].replace(alike, "")] == []
    assert make_repository(CURRENT) == 0
    assert 0 not in [make_repository(url) for url in ("", "a/b", "https://github.com/a")]
    assert {path: path.read_text("utf8") for path in before} == before
