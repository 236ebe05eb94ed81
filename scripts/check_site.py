"""Check that the built site holds every page of the table of contents, and say where to open it.

python scripts/check_site.py [FOLDER]        # default: _build/html
"""

from __future__ import annotations

import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent


def toc_pages(root: Path = ROOT) -> list[str]:
    """The pages of the table of contents as paths in the site, in reading order."""
    toc = yaml.safe_load((root / "_toc.yml").read_text(encoding="utf-8"))
    entries = [entry["file"] for part in toc.get("parts", [toc]) for entry in part.get("chapters", [])]
    return [f"{Path(entry).with_suffix('')}.html" for entry in [toc["root"], *entries]]


def missing_pages(site: Path, root: Path = ROOT) -> list[str]:
    """Pages of the table of contents that the site lacks, its front door included."""
    return [page for page in ["index.html", *toc_pages(root)] if not (site / page).is_file()]


def main(arguments: list[str]) -> int:
    """Report on a built site; return 1 when a page is missing."""
    site = Path(arguments[0]) if arguments else ROOT / "_build" / "html"
    if missing := missing_pages(site):
        print(f"{site} lacks {', '.join(missing)}: see the warnings of the build above.", file=sys.stderr)
        return 1
    print(f"All {len(toc_pages())} pages are there. Open {(site / 'index.html').resolve().as_uri()}")
    print("or run `make serve` and open http://localhost:8000")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
