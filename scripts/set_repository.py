"""Change the repository's address in every file that carries it.

    python scripts/set_repository.py https://github.com/you/your-book

The address stands in one place, `repository.url` of `_config.yml`. Jupyter Book takes the edit and Colab links from
there. This script writes it there and into the copies that cannot be computed: the first code cell of the chapters,
which installs the package in Colab, and the commands in README.md and other texts.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent
ADDRESS = re.compile(r"https://github\.com/[A-Za-z0-9][A-Za-z0-9-]*/[A-Za-z0-9._-]+")
# Where copies may stand. Sources and tests are left out on purpose: they read _config.yml.
PATTERNS = ("_config.yml", "README.md", "CITATION.cff", "CHANGELOG.md", "pyproject.toml", "book/*.md", "book/*.ipynb")


def current(root: Path = ROOT) -> str:
    """The address in `_config.yml`."""
    config = yaml.safe_load((root / "_config.yml").read_text(encoding="utf-8"))
    return config["repository"]["url"]


def files(root: Path = ROOT) -> list[Path]:
    """The files that may carry the address."""
    return sorted(path for pattern in PATTERNS for path in root.glob(pattern))


def checked(url: str) -> str:
    """The address without a trailing slash or `.git`, or a ValueError that says what is wrong with it."""
    plain = url.strip().removesuffix("/").removesuffix(".git")
    if not ADDRESS.fullmatch(plain):
        raise ValueError(f"expected an address like https://github.com/you/your-book, got {url!r}.")
    return plain


def replace(old: str, new: str, root: Path = ROOT) -> list[Path]:
    """Write `new` wherever `old` stands as a whole address; return the files that changed."""
    # A dot and letters would be another repository's name, but for the ".git" that clone addresses end with.
    whole = re.compile(re.escape(old) + r"(?![A-Za-z0-9_-])(?!\.(?!git\b)[A-Za-z0-9])")
    changed = []
    for path in files(root):
        text = path.read_text(encoding="utf-8")
        replaced = whole.sub(lambda match: new, text)
        if replaced != text:
            path.write_text(replaced, encoding="utf-8")
            changed.append(path)
    return changed


def main(arguments: list[str]) -> int:
    """Change the address to the one given on the command line."""
    if len(arguments) != 1:
        print(__doc__, file=sys.stderr)
        return 2
    try:
        new = checked(arguments[0])
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    old = current()
    changed = replace(old, new)
    for path in changed:
        print(f"{path.relative_to(ROOT)}: {old} -> {new}")
    if not changed:
        print(f"nothing to change: the address is {old} already.")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
