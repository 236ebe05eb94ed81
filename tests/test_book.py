"""Every chapter, as it is stored: complete, executed, in normal form, described in words, its numbers proved."""

import re
from functools import cache
from pathlib import Path
from statistics import median

import execute
import nbformat
import pytest
import yaml
from nbformat.v4 import new_code_cell, new_markdown_cell, new_output

CHAPTERS = execute.chapters()
MAX_WORDS = 3_000
MAX_BYTES = 1_100_000
MIN_ALT_CHARACTERS = 60
MAX_CELL_LINES, MEDIAN_CELL_LINES = 25, 8
BOOTSTRAP = """\
# In Colab, install the book's package; anywhere else this cell does nothing.
import importlib.util
if importlib.util.find_spec("ia3_lab") is None:
    %pip install -q "ia3_lab{} @ git+{}\""""
#: What `pip install ia3_lab` alone does not bring.
NEEDS_PEFT = re.compile(
    r"^\s*(import|from) (peft|transformers|ia3_lab\.(pretrained|peft_bridge|study\.runs))"
    r"|^from ia3_lab import .*\bpretrained|^from ia3_lab\.study import .*\bruns\b",
    re.M,
)
MACHINE = re.compile(r"/(?:home|root|Users|tmp|work|private|workspaces)/\S*|site-packages|[A-Z]:\\Users")

each_chapter = pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)


@cache
def read(path: Path) -> nbformat.NotebookNode:
    return nbformat.read(path, as_version=4)


def code(path: Path) -> list[nbformat.NotebookNode]:
    return [cell for cell in read(path).cells if cell.cell_type == "code"]


def prose(path: Path) -> str:
    return "\n".join(cell.source for cell in read(path).cells if cell.cell_type == "markdown")


def figures(path: Path) -> list[nbformat.NotebookNode]:
    return [c for c in code(path) if any(key.startswith("image/") for out in c.outputs for key in out.get("data", {}))]


def is_described(cell: nbformat.NotebookNode) -> bool:
    """Whether a figure cell has an alternative text of some length, a caption and a name."""
    settings = cell.metadata.get("mystnb", {})
    alt, figure = settings.get("image", {}).get("alt", ""), settings.get("figure", {})
    named = re.fullmatch(r"fig-[a-z0-9-]+", figure.get("name", ""))
    return len(alt) >= MIN_ALT_CHARACTERS and bool(figure.get("caption")) and bool(named)


def output_faults(cell: nbformat.NotebookNode) -> list[str]:
    """Outputs that no chapter may store: errors, warnings on stderr, paths of a machine, tables with random names."""
    faults = []
    for output in cell.outputs:
        if output.output_type == "error":
            faults.append(f"error: {output.evalue}")
        if output.get("name") == "stderr":
            faults.append(f"stderr: {output.text}")
        data = output.get("data", {})
        text = output.get("text", "") + str(data.get("text/plain", "")) + data.get("text/html", "")
        faults += [f"a path of a machine: {path}" for path in MACHINE.findall(text)]
        faults += [f"a Styler's random name: {name}" for name in re.findall(r'<table id="T_\w+"', text)]
    return faults


def test_no_chapter_is_missing_and_no_two_figures_share_a_name_or_an_alternative_text() -> None:
    assert len(CHAPTERS) >= 13
    settings = [cell.metadata["mystnb"] for path in CHAPTERS for cell in figures(path)]
    for values in ([each["figure"]["name"] for each in settings], [each["image"]["alt"] for each in settings]):
        assert len(values) == len(set(values))


@each_chapter
def test_a_page_begins_with_one_title_its_run_time_and_what_it_says_in_three_sentences_and_can_be_finished(path: Path):
    first = read(path).cells[0]
    assert re.match(r"# \S", first.source) and re.search(r"\b(seconds?|minutes?)\b", first.source)
    assert len(re.findall(r"^# ", re.sub(r"```.*?```", "", prose(path), flags=re.S), re.M)) == 1
    short = re.search(r"^> \*\*In short\.\*\* ((?:.+\n?)+)", first.source, re.M)[1]
    assert len(re.findall(r"[.?!](?=\s|$)", short.replace("vs. ", ""))) == 3
    assert len(prose(path).split()) <= MAX_WORDS


@each_chapter
def test_the_first_code_cell_is_the_one_that_makes_colab_work(path: Path) -> None:
    address = yaml.safe_load((execute.ROOT / "_config.yml").read_text("utf8"))["repository"]["url"]
    extra = "[peft]" if any(NEEDS_PEFT.search(cell.source) for cell in code(path)) else ""
    assert code(path)[0].source == BOOTSTRAP.format(extra, address)


@each_chapter
def test_every_figure_has_words_a_caption_and_a_name_and_no_output_is_an_error_a_warning_or_a_path(path: Path) -> None:
    assert [cell.source for cell in figures(path) if not is_described(cell)] == []
    assert [fault for cell in code(path) for fault in output_faults(cell)] == []


def test_a_figure_that_lacks_one_of_them_and_what_no_chapter_may_store_is_noticed() -> None:
    cases = {("a" * 60, "Two lines", "fig-x"): True, ("a plot", "Two lines", "fig-x"): False}
    cases |= {("a" * 60, "", "fig-x"): False, ("a" * 60, "Two lines", ""): False}
    for (alt, caption, name), described in cases.items():
        settings = {"image": {"alt": alt}, "figure": {"caption": caption, "name": name}}
        assert is_described(new_code_cell(metadata={"mystnb": settings})) is described
    for output in (
        new_output("error", ename="E", evalue="broken", traceback=[]),
        new_output("stream", name="stderr", text="careful"),
        new_output("stream", name="stdout", text="saved /home/me/adapter"),
        new_output("execute_result", data={"text/html": "<table><td>/tmp/x</td></table>"}),
        new_output("execute_result", data={"text/html": '<table id="T_3f2a1"><td>1</td></table>'}),
    ):
        assert len(output_faults(new_code_cell(outputs=[output]))) == 1


@each_chapter
def test_a_chapter_is_small_and_stored_in_normal_form_executed_from_top_to_bottom_with_its_widgets(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    execute.normalize(notebook, path.stem)
    assert nbformat.writes(notebook) + "\n" == path.read_text("utf8"), "run `make execute`"
    assert path.stat().st_size < MAX_BYTES
    assert [cell.execution_count for cell in code(path)] == list(range(1, len(code(path)) + 1))
    shown = set(execute.SHOWN.findall(str([cell.outputs for cell in code(path)])))
    assert shown <= set(notebook.metadata.get("widgets", {}).get(execute.WIDGET_STATE, {}).get("state", {}))


@each_chapter
def test_a_chapter_has_an_exercise_with_a_folded_solution_and_a_summary(path: Path) -> None:
    headings = " / ".join(re.findall(r"^#{2,3} (.+)$", prose(path), re.M)).lower()
    assert "exercise" in headings and "summary" in headings
    folded = [cell for cell in code(path) if "hide-cell" in cell.metadata.get("tags", [])]
    assert folded and all(cell.source.strip() for cell in folded)
    assert {cell.metadata.get("mystnb", {}).get("code_prompt_show") for cell in folded} == {"Show the solution"}
    assert {tag for cell in code(path) for tag in cell.metadata.get("tags", [])} <= {"hide-cell", "hide-input"}


@each_chapter
def test_a_cell_is_one_idea_never_longer_than_a_screen_and_uses_public_names_only(path: Path) -> None:
    lengths = [len(cell.source.splitlines()) for cell in code(path)]
    assert max(lengths) <= MAX_CELL_LINES and median(lengths) <= MEDIAN_CELL_LINES
    source = "\n".join(cell.source for cell in code(path))
    assert re.findall(r"(?:from|import) ia3_lab\S*\._\w+|import _\w+|sys\.path", source) == []


# Numbers in a page's prose: a cell of the page computed them, its code sets them, or the sentence names a source.
# Looked at are numbers in digits, and in words from "four" on. Those below four count things in the text itself, and
# what stands in a formula belongs to it.

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
    texts = [text for cell in cells if cell.cell_type == "code" for text in (cell.source, *map(shown, cell.outputs))]
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


@each_chapter
def test_the_page_computes_or_cites_the_numbers_in_its_prose(path: Path) -> None:
    cells = read(path).cells
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
