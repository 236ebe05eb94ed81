"""Five small tasks of original English sentences. In four of them words without their order say nothing.

A task is one readable table in ``data``, which ``scripts/make_tasks.py`` made from templates. The sentences of a
*matched set*, one for each cell of the design, differ in nothing but what the label depends on. A split holds whole
sets, so that words are balanced over the labels; a few-shot draw takes single sentences, as labeled data would come.
"""

import csv
import hashlib
import itertools
import random
import textwrap
import tomllib
from functools import cache
from importlib import resources
from typing import NamedTuple

TASKS = ("sentiment", "agent", "number", "tense", "act")
SPLITS = ("train", "validation", "test")
_DATA = resources.files("ia3_lab.study") / "data"


class Example(NamedTuple):
    """One sentence, lower case without final punctuation, with its label from 0 and where it comes from."""

    text: str
    label: int
    cell: str
    template: str
    matched_set: int


class Task(NamedTuple):
    """A classification task with three splits that share no template and no content word; print it to see its card.

    Examples
    --------
    >>> task = get_task("sentiment")
    >>> task.labels, len(task.splits["test"])
    (('negative', 'positive'), 240)
    """

    name: str
    labels: tuple[str, ...]
    card: dict[str, str]
    splits: dict[str, tuple[Example, ...]]

    def content_words(self, split: str) -> frozenset[str]:
        """Return the words of a split that no other split uses: all but the declared function words."""
        return frozenset(" ".join(e.text for e in self.splits[split]).split()) - {*self.card["function_words"].split()}

    def digest(self) -> str:
        """Return the SHA-256 digest of sentences and labels, to tell that results belong to them."""
        rows = [f"{split} {example.label} {example.text}" for split in SPLITS for example in self.splits[split]]
        return hashlib.sha256("\n".join(rows).encode()).hexdigest()

    def __str__(self) -> str:
        lines = [f"{self.card['title']} ({self.name})"]
        for part in ("question", "tests", "made", "shortcuts", "sentences"):
            start = f"{part.capitalize() + ':':<11}"
            lines += textwrap.wrap(start + self.card[part], width=80, subsequent_indent=" " * len(start))
        for number, label in enumerate(self.labels):
            texts = [example.text for example in self.splits["train"] if example.label == number]
            lines.append(f"  {label}: {'; '.join(texts[:2])}")
        return "\n".join(lines)


@cache
def get_task(name: str) -> Task:
    """Read a task of the book, one of `TASKS`.

    Examples
    --------
    >>> get_task("agent").card["question"]
    'Is the one who acts a woman or a man?'
    """
    card = tomllib.loads((_DATA / "cards.toml").read_text("utf8"))[name]
    labels, splits = tuple(card.pop("labels")), {split: [] for split in SPLITS}
    for row in csv.DictReader((_DATA / f"{name}.tsv").read_text("utf8").splitlines(), delimiter="\t"):
        example = Example(row["text"], labels.index(row["label"]), row["cell"], row["template"], int(row["set"]))
        splits[row["split"]].append(example)
    return Task(name, labels, card, {split: tuple(examples) for split, examples in splits.items()})


def few_shot(name: str, k: int, draw: int) -> tuple[Example, ...]:
    """Draw ``k`` training examples in all, labels and cells in turn; a smaller draw is the start of a larger one.

    Raises
    ------
    ValueError
        If there are fewer than ``k`` training sentences, or more labels than ``k``.

    Examples
    --------
    >>> few_shot("sentiment", 8, draw=0) == few_shot("sentiment", 16, draw=0)[:8]
    True
    """
    task = get_task(name)
    pool, labels = task.splits["train"], range(len(task.labels))
    if not len(labels) <= k <= len(pool):
        raise ValueError(f"choose k from {len(labels)} to {len(pool)} for task {name!r}, not {k}")
    rng = random.Random(f"{name}-{draw}")
    queues = []
    for label in rng.sample(labels, len(labels)):
        cells = sorted({example.cell for example in pool if example.label == label})
        members = [[e for e in pool if e.cell == cell] for cell in rng.sample(cells, len(cells))]
        queues.append(_in_turn([rng.sample(cell, len(cell)) for cell in members]))
    return tuple(_in_turn(queues)[:k])


def _in_turn(queues: list[list]) -> list:
    """Interleave lists: the first of each, the second of each, and so on."""
    return [item for layer in itertools.zip_longest(*queues) for item in layer if item is not None]
