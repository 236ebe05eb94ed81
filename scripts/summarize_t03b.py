"""Derive the summary of the published T0-3B vectors that the package carries.

    python scripts/summarize_t03b.py t03b_ia3_finish.pt             # writes ia3_lab/data/t03b-ia3-summary.json
    python scripts/summarize_t03b.py t03b_ia3_finish.pt --check     # does the stored summary agree?
    python scripts/summarize_t03b.py --download                     # fetch the file first (2.2 MB)

The file is read only if its sha256 is the published one. It is not part of this repository.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from ia3_lab import published


def to_text(summary: dict[str, Any]) -> str:
    """Write JSON with one vector on a line, so that a change shows as a change of lines."""
    head = {key: value for key, value in summary.items() if key != "rows"}
    lines = [f"{json.dumps(key)}: {json.dumps(value, separators=(',', ':'))}," for key, value in head.items()]
    rows = ",\n".join(json.dumps(row, separators=(",", ":")) for row in summary["rows"])
    return "{\n" + "\n".join(lines) + f'\n"rows": [\n{rows}\n]}}\n'


def derive(path: Path, sha256: str) -> dict[str, Any]:
    """Return the whole content of the summary file: format, source and statistics."""
    source = {**published.SOURCE, "sha256": sha256, "bytes": path.stat().st_size if path.is_file() else 0}
    statistics = published.summarize(published.read_t03b(path, sha256=sha256))
    return {"format": published.FORMAT, "source": source, **statistics}


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path", type=Path, nargs="?", help="the published file")
    parser.add_argument("--download", action="store_true", help="fetch the published file")
    parser.add_argument("--output", type=Path, default=published.summary_file(), help="where to write the summary")
    parser.add_argument("--check", action="store_true", help="write nothing; compare with what is stored")
    parser.add_argument("--sha256", type=str.lower, default=published.SOURCE["sha256"], help="digest of the file")
    options = parser.parse_args(arguments)
    if (options.path is None) != options.download:
        parser.error("give either the path of the published file or --download")
    try:
        path = published.download_t03b() if options.download else options.path
        check_output(options.output, path)
        summary = derive(path, options.sha256)
        if options.check:
            return check(summary, options.output)
        write(summary, options.output)
    except (OSError, ValueError) as error:
        print(f"summarize_t03b: {error}", file=sys.stderr)
        return 2
    print(f"{options.output}: {len(summary['rows'])} vectors, {summary['overall']['size']:,} numbers")
    return 0


def check_output(output: Path, path: Path) -> None:
    """Refuse a place for the summary that is a folder, or the published file itself."""
    if output.is_dir():
        name = published.summary_file().name
        raise ValueError(f"--output must be a file, got the folder {output}; write --output {output / name}")
    if output.exists() and path.exists() and output.samefile(path):
        raise ValueError(f"--output is {path} itself, which would be lost; give another file for the summary")


def write(summary: dict[str, Any], output: Path) -> None:
    """Write the file beside the old one first, which stays as it is if anything goes wrong."""
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=output.parent) as folder:
        half = Path(folder) / output.name
        half.write_text(to_text(summary), encoding="utf8")
        os.replace(half, output)


def check(summary: dict[str, Any], output: Path) -> int:
    """Compare with the stored summary; print every difference."""
    if not output.is_file():
        print(f"summarize_t03b: there is no {output}; run without --check to write it", file=sys.stderr)
        return 2
    try:
        found = published.disagreements(json.loads(output.read_text("utf8")), summary)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{output} is damaged ({error}); run without --check to write it anew") from error
    print("\n".join(found) or f"{output} agrees with the file")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
