"""Cut Latin Modern Math to what the book's formulas may use, with its MATH table: `_static/formulas.woff2`.

    python scripts/cut_math_font.py /path/to/latinmodern-math.otf

Run it when `GLYPHS` in `_ext/static_math.py` has grown. The font is in Debian's fonts-lmodern and in every TeX
distribution (734 kB; GUST Font License). Needs `pip install brotli` beside the book's requirements.
"""

from __future__ import annotations

import sys
from pathlib import Path

from fontTools import subset
from fontTools.ttLib import TTFont

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "_ext"))

from static_math import GLYPHS  # noqa: E402

PRIMES = {0x2032: "minute.st", 0x2033: "uni2033.st"}


def main(source: str) -> None:
    """Write the cut font under another name than the original's, as its license asks."""
    font = TTFont(source)
    for table in font["cmap"].tables:  # a prime stands in an exponent alone: this is its form for that place
        table.cmap.update({code: glyph for code, glyph in PRIMES.items() if code in table.cmap})
    options = subset.Options(layout_features=[], hinting=False, name_IDs=[0, 1, 4])  # name 0 is the copyright
    options.drop_tables += ["FFTM"]
    cutter = subset.Subsetter(options)
    cutter.populate(unicodes=map(ord, GLYPHS))
    cutter.subset(font)
    for name in (1, 4):
        font["name"].setName("IA3 Book Formulas", name, 3, 1, 0x409)
    font.flavor = "woff2"
    font.save(target := ROOT / "_static" / "formulas.woff2")
    print(f"{target}: {target.stat().st_size} bytes")


if __name__ == "__main__":
    main(*sys.argv[1:])
