"""The repository's address stands in `_config.yml`; every copy of it is equal, and one command changes them all."""

import re
import shutil
import subprocess
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent
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
