"""Numbers in a page's prose: a cell of the page computed them, its code sets them, or the sentence names a source.

Looked at are numbers in digits, and in words from "four" on. Those below four count things in the text itself, and what
stands in a formula belongs to it.
"""

import re
from pathlib import Path

import execute
import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_output

#: The pages that report runs: there a number has to be printed in the section that states it.
MEASURED = ("08-what-ia3-learns", "09-ia3-or-lora", "published-vectors", "where-the-model-looks")

FOUR_ON = "four|five|six|seven|eight|nine|ten|eleven|twelve|thirteen|fourteen|fifteen|sixteen"
STATED = re.compile(
    r"(?<![\w.,³])(?P<digits>\d[\d,]*\.\d+|\.\d+|\d{1,3}(?:,\d{3})+|\d+)"
    r"(?![\w^])(?:\s?(?P<unit>%|million|billion|MB|GB|kB)\b|\s?(?P<percent>%))?"
    rf"|\b(?P<word>{FOUR_ON})\b",
    re.IGNORECASE,
)
SENTENCE_END = re.compile(r"(?<=[.!?:])\**\)?\s+(?=[A-Z(\"*`\[$])|\n\s*\n|\n(?=[-|>\d])")
RUN_TIME = re.compile(r"\b[Rr]uns? .*\b(seconds?|minutes?)\b")
TAG = re.compile(r"<[^>]*>")
YEAR = re.compile(r"(19|20)\d\d")
PRINTED = re.compile(r"(?:\d[\d,]*\.?\d*|\.\d+)(?:e[-+]?\d+)?")
UNITS = {"%": 1e-2, "kB": 1e3, "million": 1e6, "MB": 1e6, "billion": 1e9, "GB": 1e9}
SOURCE = re.compile(r"\{cite:p\}|\]\(https?://")
#: targets of links, code, formulas, names with a number, an item's number
NOT_PROSE = re.compile(r"\]\([^)]*\)|`[^`]*`|\$\$.*?\$\$|\$[^$]*\$|[A-Z][A-Za-z]*-\d[\w.]*|^\s*\d+\.\s", re.S | re.M)
NOT_CELLS = re.compile(r"<style.*?</style>|<[^>]*>", re.S)


def sections(cells: list[nbformat.NotebookNode]) -> list[list[nbformat.NotebookNode]]:
    """The cells between second-level headings."""
    found: list[list[nbformat.NotebookNode]] = [[]]
    for cell in cells:
        if cell.cell_type == "markdown" and re.search(r"^## ", cell.source, re.MULTILINE):
            found.append([])
        found[-1].append(cell)
    return found


def shown(output: nbformat.NotebookNode) -> str:
    """What an output shows as text: what was printed, a value, the cells of a table; no picture of a widget."""
    data = output.get("data", {})
    html = data.get("text/html", "")
    table = NOT_CELLS.sub(" ", html) if "<table" in html else ""
    return output.get("text", "") + data.get("text/plain", "") + table


def computed(cells: list[nbformat.NotebookNode]) -> set[float]:
    """Every number in the code and the shown text of some cells."""
    code = [cell for cell in cells if cell.cell_type == "code"]
    texts = [text for cell in code for text in (cell.source, *map(shown, cell.outputs))]
    return {float(number.replace(",", "")) for text in texts for number in PRINTED.findall(text)}


def unproved(cells: list[nbformat.NotebookNode], page: list[nbformat.NotebookNode]) -> list[str]:
    """The numbers that the prose of a section states, rounded or not, and that no cell proves, with their sentence.

    A whole number may stand anywhere on the page, which sets it once; any other one in a cell of the section.
    """
    known, set_once = computed(cells), computed(page)
    faults = []
    for cell in cells:
        sentences = SENTENCE_END.split(TAG.sub("", cell.source)) if cell.cell_type == "markdown" else []
        for sentence in sentences:
            if SOURCE.search(sentence) or RUN_TIME.search(sentence):
                continue
            for match in STATED.finditer(NOT_PROSE.sub("", sentence)):
                unit = UNITS.get(match["unit"] or match["percent"], 1.0)
                digits = str(4 + FOUR_ON.split("|").index(match["word"].lower())) if match["word"] else match["digits"]
                digits = digits.replace(",", "")
                if YEAR.fullmatch(digits) or digits in {"0", "1", "2", "3"}:
                    continue
                decimals = len(digits.partition(".")[2])
                numbers = known if decimals or unit != 1 else known | set_once
                if not any(round(number / u, decimals) == float(digits) for number in numbers for u in (1.0, unit)):
                    faults.append(f"{match[0]}: {sentence[:70]!r}")
    return faults


@pytest.mark.parametrize("path", execute.chapters(), ids=lambda path: path.stem)
def test_the_page_computes_or_cites_the_numbers_in_its_prose(path: Path) -> None:
    cells = nbformat.read(path, as_version=4).cells
    parts = sections(cells) if path.stem in MEASURED else [cells]
    assert not [fault for part in parts for fault in unproved(part, cells)]


TABLE = '<div><style scoped>a { width: .64em }</style><table border="0.77"><td>0.912</td><td>4,608</td></table></div>'
WIDGET = '<div class="widget-fallback"><svg><text>0.55</text></svg></div>'


def page(prose: str) -> list[nbformat.NotebookNode]:
    outputs = [new_output("stream", name="stdout", text="accuracy 0.834\n13,824 of 22,565,376, 16 rows\n")]
    outputs += [new_output("display_data", data={"text/html": html}) for html in (TABLE, WIDGET)]
    return [new_markdown_cell(prose), new_code_cell("lr = 0.178", outputs=outputs)]


PROVED = """The mean is .83, or 83%. It learns 13,824 numbers of 22.6 million. The rate is 0.178.
The table has 0.91, and 4,608 parameters in sixteen rows of 3.

The paper has 64.6 {cite:p}`liu2022`. It runs in about 70 seconds.

See [`lr=0.9`](01.ipynb#0.9) in 3 of 16 runs, T0-11B, $x_5 = 7$, written in 2022."""


UNPROVED = [".84", "84%", "13,825", "22.7 million", "10.83", "0.64", "0.77", "0.55", "17 (the paper has 17)", "Nine"]


def test_a_number_that_is_printed_set_or_cited_passes_and_one_from_nowhere_is_noticed_also_beside_a_citation() -> None:
    assert unproved(page(PROVED), page(PROVED)) == []
    for number in UNPROVED:
        cells = page(f"We found {number} of it. The paper has 64.6 {{cite:p}}`liu2022`.")
        assert len(unproved(cells, cells)) == 1 + number.startswith("17 ("), number
    # One of another section proves nothing unless it is whole.
    cells = [*page("## One"), new_markdown_cell("## Two\n\nThe mean is .83 of sixteen.")]
    assert [len(unproved(part, cells)) for part in sections(cells)] == [0, 0, 1]
