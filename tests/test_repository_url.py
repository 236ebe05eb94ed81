"""The repository's address stands in `_config.yml`; every copy of it is equal, and one command changes them all."""

import re
import shutil
import subprocess
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent
CURRENT = yaml.safe_load((ROOT / "_config.yml").read_text("utf8"))["repository"]["url"]
ADDRESS = re.compile(r"https://github\.com/[A-Za-z0-9-]+/[A-Za-z0-9._-]+")
#: Owners of other repositories that the text may point to, and the "you" of examples.
OTHERS = {"huggingface", "r-three", "you"}
PATTERNS = ("_config.yml", "*.md", "CITATION.cff", "pyproject.toml", "book/*.md", "book/*.ipynb")
TEXTS = [path for pattern in PATTERNS for path in sorted(ROOT.glob(pattern))]
MUST_CARRY = {"README.md", "CITATION.cff", "pyproject.toml", "intro.md"}


def addresses(text: str) -> set[str]:
    """Return the addresses of repositories in a text, those of other owners left out."""
    found = {match.rstrip(".").removesuffix(".git") for match in ADDRESS.findall(text)}
    return {address for address in found if address.split("/")[3] not in OTHERS}


def test_a_text_carries_the_address_of_the_configuration_and_no_other_and_no_source_file_any() -> None:
    found = {path.name: addresses(path.read_text("utf8")) for path in TEXTS}
    assert set().union(*found.values()) == {CURRENT}
    notebooks = {name for name in found if name.endswith(".ipynb")}
    assert {name for name in found if found[name]} >= MUST_CARRY | notebooks
    assert addresses("see https://github.com/a/fork. https://github.com/you/b") == {"https://github.com/a/fork"}
    sources = [ROOT / "Makefile", ROOT / "_toc.yml", *(ROOT / ".github").rglob("*.yml")]
    for folder in ("ia3_lab", "scripts", "_ext", "_static", "bench"):
        sources += [path for path in (ROOT / folder).rglob("*.*") if path.suffix in (".py", ".mjs", ".js", ".css")]
    assert [path for path in sources if CURRENT in path.read_text("utf8")] == []


def make_repository(folder: Path, url: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["make", "repository", f"URL={url}"], cwd=folder, capture_output=True, text=True, check=False)


def test_the_command_changes_every_copy_there_is_a_way_back_and_what_is_no_address_is_refused(tmp_path: Path) -> None:
    for path in [*TEXTS, ROOT / "Makefile"]:
        copy = tmp_path / path.relative_to(ROOT)
        copy.parent.mkdir(exist_ok=True)
        shutil.copy(path, copy)
    page, alike = tmp_path / "README.md", f"{CURRENT}-two {CURRENT}.com"  # they only begin alike
    page.write_text(f"{page.read_text('utf8')}{CURRENT}. {CURRENT}.git {alike}\n")
    before = {path: path.read_text("utf8") for path in tmp_path.rglob("*.*")}
    new = "https://github.com/someone-else/their.book"
    make_repository(tmp_path, f"{new}.git").check_returncode()  # as an address to clone from
    after = {path: path.read_text("utf8") for path in before}
    assert after[page].endswith(f"{new}. {new}.git {alike}\n")
    assert [path for path in before if CURRENT in after[path].replace(alike, "")] == []
    make_repository(tmp_path, CURRENT).check_returncode()
    assert {path: path.read_text("utf8") for path in before} == before
    for url in ("", "a/b", "https://github.com/a"):
        refused = make_repository(ROOT, url)
        assert refused.returncode and "URL=https://github.com/you/your-book" in refused.stdout
