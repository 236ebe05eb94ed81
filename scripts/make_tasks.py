"""Make the tables of sentences in ``ia3_lab/study/data`` from the templates beside this script.

    python scripts/make_tasks.py        # writes the five tables and cards.toml; twice in a row changes nothing

A template file lists ``cells`` (label, frame and slots of each cell of the design), ``forms`` (what an entry of a
lexicon with several forms lists), ``picks`` (which entries a sentence takes from which lexicon; left out, one of each),
and for every split ``size``, ``templates`` (rows per frame; row i of all frames belongs together) and ``words``.
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ia3_lab.study.tasks import SPLITS

ROOT = Path(__file__).resolve().parent
TEMPLATES, DATA = ROOT / "templates", ROOT.parent / "ia3_lab" / "study" / "data"
COLUMNS = ("split", "label", "cell", "template", "set", "text")

Row = tuple[str, ...]
#: The sentences of a matched set, one for each cell.
MatchedSet = list[Row]


def matched_sets(task: dict[str, Any], split: str) -> list[MatchedSet]:
    """Return every matched set that the templates and words of a split can make, in the order of the file."""
    templates, picks = task[split]["templates"], task.get("picks") or {name: name for name in task[split]["words"]}
    choices = itertools.product(*(task[split]["words"][lexicon] for lexicon in picks.values()))
    choices = [entries for entries in choices if len(set(entries)) == len(entries)]
    rows = range(len(templates[task["cells"][0]["frame"]]))
    return [
        [_row(task, split, cell, templates[cell["frame"]][row], words, number) for cell in task["cells"]]
        for number, (row, entries) in enumerate(itertools.product(rows, choices))
        for words in [dict(_forms(task, picks, entries))]
    ]


def _row(task: dict[str, Any], split: str, cell: dict[str, Any], template: str, words: dict, number: int) -> Row:
    """Fill each placeholder with the word that the cell puts in its slot, or else with the word of that name."""
    slots = cell.get("slots", {})
    text = re.sub(r"\{(.*?)\}", lambda match: words[slots.get(match[1], match[1])], template)
    return split, cell["label"], cell["name"], template, str(number), text


def _forms(task: dict[str, Any], picks: dict[str, str], entries: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """Yield each usable name, "subject" or "verb.past", with its word."""
    for (pick, lexicon), entry in zip(picks.items(), entries, strict=True):
        if forms := task.get("forms", {}).get(lexicon):
            yield from zip([f"{pick}.{form}" for form in forms], entry.split(), strict=True)
        else:
            yield pick, entry


def keep(task: dict[str, Any], split: str, sets: list[MatchedSet]) -> list[MatchedSet]:
    """Keep as many whole sets as the size of the split asks for, the rows of templates in turn."""
    rng = random.Random(f"{task['name']}-{split}")
    template = COLUMNS.index("template")
    rows = [list(group) for _, group in itertools.groupby(sets, key=lambda matched: matched[0][template])]
    turns = itertools.zip_longest(*[rng.sample(row, len(row)) for row in rows])
    kept = [matched for turn in turns for matched in turn if matched is not None]
    return kept[: task[split]["size"] // len(task["cells"])]


def table(task: dict[str, Any]) -> str:
    """Return a task's sentences, one on a line, under a line with the names of the columns."""
    kept = [row for split in SPLITS for matched in keep(task, split, matched_sets(task, split)) for row in matched]
    return "".join("\t".join(row) + "\n" for row in [COLUMNS, *kept])


def card(task: dict[str, Any]) -> str:
    """Return what is said of a task, as a part of a TOML file."""
    counts = {split: len(matched_sets(task, split)) * len(task["cells"]) for split in SPLITS}
    sizes = ", ".join(f"{split} {task[split]['size']} of {count}" for split, count in counts.items())
    parts = {name: task[name] for name in ("title", "question", "labels", "function_words")} | task["card"]
    parts["sentences"] = f"{sizes} that its words and templates can make"
    lines = [f"{name} = {json.dumps(value, ensure_ascii=False)}\n" for name, value in parts.items()]
    return f"[{task['name']}]\n{''.join(lines)}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=DATA, help="folder to write to")
    output = parser.parse_args().output
    tasks = [tomllib.loads(path.read_text("utf8")) for path in sorted(TEMPLATES.glob("*.toml"))]
    for task in tasks:
        (output / f"{task['name']}.tsv").write_text(table(task), "utf8")
    license = "# Sentences written for this book. License: CC BY 4.0. Made by scripts/make_tasks.py.\n\n"
    (output / "cards.toml").write_text(license + "\n".join(map(card, tasks)), "utf8")


if __name__ == "__main__":
    main()
