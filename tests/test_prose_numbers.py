"""Numbers in a chapter's prose: a cell of the page computed them, its code sets them, or the paragraph names a source.

Looked at are decimal numbers, percentages and numbers with a comma. Small whole numbers are left out: most of them
count things in the text itself.
"""

import re
from pathlib import Path

import execute
import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_output

#: The chapters that report runs: there a number has to be printed in the section that states it.
MEASURED = ("06-what-ia3-learns", "07-ia3-against-lora")

STATED = re.compile(
    r"(?<![\w.,])(?P<digits>\d[\d,]*\.\d+|\.\d+|\d{1,3}(?:,\d{3})+|\d+(?=\s?%))"
    r"(?!\w)(?:\s?(?P<unit>%|million|billion|MB|GB|kB)\b|\s?(?P<percent>%))?"
)
PRINTED = re.compile(r"(?:\d[\d,]*\.?\d*|\.\d+)(?:e[-+]?\d+)?")
UNITS = {"%": 1e-2, "kB": 1e3, "million": 1e6, "MB": 1e6, "billion": 1e9, "GB": 1e9}
SOURCE = re.compile(r"\{cite:p\}|\]\(https?://")
NOT_PROSE = re.compile(r"\]\([^)]*\)|`[^`]*`|<[^>]*>")  # targets of links, code, widget buttons
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


def unproved(cells: list[nbformat.NotebookNode]) -> list[str]:
    """The numbers that the prose states, rounded or not, and that stand in no cell, with the start of the paragraph."""
    known = computed(cells)
    faults = []
    for cell in cells:
        paragraphs = re.split(r"\n\s*\n", cell.source) if cell.cell_type == "markdown" else []
        for paragraph in paragraphs:
            if SOURCE.search(paragraph):
                continue
            for match in STATED.finditer(NOT_PROSE.sub("", paragraph)):
                unit = UNITS.get(match["unit"] or match["percent"], 1.0)
                digits = match["digits"].replace(",", "")
                decimals = len(digits.partition(".")[2])
                if not any(round(number / u, decimals) == float(digits) for number in known for u in (1.0, unit)):
                    faults.append(f"{match[0]}: {paragraph[:70]!r}")
    return faults


@pytest.mark.parametrize("path", execute.chapters(), ids=lambda path: path.stem)
def test_the_page_computes_or_cites_the_numbers_in_its_prose(path: Path) -> None:
    cells = nbformat.read(path, as_version=4).cells
    parts = sections(cells) if path.stem in MEASURED else [cells]
    assert not [fault for part in parts for fault in unproved(part)]


def page(prose: str) -> list[nbformat.NotebookNode]:
    table = (
        '<div><style scoped>a { width: .64em }</style><table border="0.77"><td>0.912</td><td>4,608</td></table></div>'
    )
    outputs = [
        new_output("stream", name="stdout", text="accuracy 0.834\n13,824 of 22,565,376\n"),
        new_output("execute_result", data={"text/html": table}),
        new_output(
            "display_data", data={"text/html": '<div class="widget-fallback"><svg><text>0.55</text></svg></div>'}
        ),
    ]
    return [new_markdown_cell(prose), new_code_cell("lr = 0.178", outputs=outputs)]


PROVED = """The mean is .83, or 83%. It learns 13,824 numbers of 22.6 million. The rate is 0.178.
The table has 0.91, and 4,608 parameters.

The paper has 64.6 {cite:p}`liu2022`.

See [`lr=0.9`](01.ipynb#0.9) in 3 of 4 runs."""


def test_a_number_that_is_printed_set_or_cited_passes() -> None:
    assert unproved(page(PROVED)) == []


@pytest.mark.parametrize("prose", [".84", "84%", "13,825", "22.7 million", "10.83", "0.64", "0.77", "0.55"])
def test_a_number_from_nowhere_is_noticed(prose: str) -> None:
    assert len(unproved(page(f"We found {prose} of it."))) == 1


def test_a_number_of_another_section_proves_nothing() -> None:
    cells = [*page("## One"), new_markdown_cell("## Two\n\nThe mean is .83.")]
    assert [unproved(part) for part in sections(cells)][-1]
