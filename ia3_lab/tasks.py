"""Five small tasks of original English sentences. In four of them words without their order say nothing.

A task is one readable file in ``ia3_lab/data/tasks``. Its sentences come in *matched sets*, one sentence per cell of
the design, which differ in nothing but what the label depends on. A split keeps or leaves out whole sets, so that every
word stays balanced over the labels however small the split is. A few-shot draw takes single sentences instead, as
labeled data would come: balanced over the cells, not over the words.
"""

import random
import textwrap
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import Any

import numpy as np

from ia3_lab.config import unknown_name, whole_number
from ia3_lab.task_files import SPLITS, Example, in_turn, make_pools, subsample

__all__ = [
    "SPLITS",
    "TASKS",
    "Card",
    "Example",
    "Task",
    "bag_of_words_accuracy",
    "build_task",
    "check_examples",
    "few_shot",
    "get_task",
    "separable_by_words",
]

TASKS = ("sentiment", "agent", "number", "tense", "act")
#: How many parts cross-validation makes of a split, if it has as many matched sets.
FOLDS = 5
_TIE = 1e-9  # scores closer than this are equal: below it lies rounding, not evidence


@dataclass(frozen=True)
class Card:
    """What a task tests, how it was made, and which shortcuts it leaves open."""

    tests: str
    made: str
    shortcuts: str


@dataclass(frozen=True)
class Task:
    """A classification task with three splits that share no template and no content word.

    Examples
    --------
    >>> task = get_task("sentiment")
    >>> task.labels, len(task.split("test"))
    (('negative', 'positive'), 240)
    """

    name: str
    title: str
    question: str
    labels: tuple[str, ...]
    card: Card
    function_words: frozenset[str] = field(repr=False)
    _pools: Mapping[str, tuple[Example, ...]] = field(repr=False, compare=False)
    _splits: Mapping[str, tuple[Example, ...]] = field(repr=False, compare=False)

    def split(self, name: str) -> tuple[Example, ...]:
        """Return the examples of ``"train"``, ``"validation"`` or ``"test"``; every cell is equally frequent.

        Raises
        ------
        ValueError
            If there is no such split.
        """
        return self._splits[_known(name, SPLITS, "split")]

    def pool(self, name: str) -> tuple[Example, ...]:
        """Return every sentence that the templates and words of a split can make; the split is a part of it.

        Raises
        ------
        ValueError
            If there is no such split.
        """
        return self._pools[_known(name, SPLITS, "split")]

    def content_words(self, name: str) -> frozenset[str]:
        """Return the words of a split that no other split may use: all but the declared function words.

        Raises
        ------
        ValueError
            If there is no such split.
        """
        return frozenset(word for example in self.pool(name) for word in example.text.split()) - self.function_words

    def describe(self) -> str:
        """Return the card: what is tested, sizes, two training sentences per label, bag-of-words accuracy."""
        sets = len({example.matched_set for example in self.split("train")})
        within = f"{bag_of_words_accuracy(self, folds=min(FOLDS, sets)):.2f}" if sets > 1 else "unknown (one set)"
        across = bag_of_words_accuracy(self, scored_on="test")
        sizes = ", ".join(f"{name} {len(self.split(name))} of {len(self.pool(name))}" for name in SPLITS)
        parts = {"Question": self.question, "Tests": self.card.tests, "Made": self.card.made}
        parts |= {"Shortcuts": self.card.shortcuts, "Sentences": f"{sizes} that its words and templates can make"}
        lines = [f"{self.title} ({self.name})"]
        for part, text in parts.items():
            lines += textwrap.wrap(f"{part + ':':<10} {text}", width=80, subsequent_indent=" " * 11)
        for number, label in enumerate(self.labels):
            texts = [example.text for example in self.split("train") if example.label == number]
            lines.append(f"  {label}: {'; '.join(texts[:2])}")
        chance = f"{1 / len(self.labels):.2f}"
        lines.append(f"Bag of words (chance {chance}): {within} within train, {across:.2f} from train to test")
        return "\n".join(lines)

    def __str__(self) -> str:
        return self.describe()


def get_task(name: str) -> Task:
    """Load a task of the book by name, one of `TASKS`.

    Raises
    ------
    ValueError
        If there is no such task; the message suggests the nearest name.

    Examples
    --------
    >>> get_task("agent").question
    'Is the one who acts a woman or a man?'
    """
    return _load(_known(name, TASKS, "task"))


@cache
def _load(name: str) -> Task:
    file = resources.files("ia3_lab").joinpath("data", "tasks", f"{name}.toml")
    return build_task(tomllib.loads(file.read_text(encoding="utf-8")))


def build_task(data: Mapping[str, Any]) -> Task:
    """Make a task from the contents of a data file, checked; see `ia3_lab.task_files` for its parts.

    Raises
    ------
    ValueError
        If the file does not keep a promise of the design, such as splits that share no content word.
    """
    pools = make_pools(data)
    return Task(
        name=data["name"],
        title=data["title"],
        question=data["question"],
        labels=tuple(data["labels"]),
        card=Card(**data["card"]),
        function_words=frozenset(data["function_words"].split()),
        _pools=pools,
        _splits={split: subsample(data, split, pools[split]) for split in SPLITS},
    )


def few_shot(task: Task | str, k: int, draw: int) -> tuple[Example, ...]:
    """Draw ``k`` training examples in all, labels and cells in turn; a smaller draw is the start of a larger one.

    Single sentences are drawn, not matched sets: see `separable_by_words` for what that leaves open at small k.

    Parameters
    ----------
    task : Task or str
        The task, or its name.
    k : int
        How many examples in all, from the number of labels to the size of the training split.
    draw : int
        Which draw, from 0: another number gives other sentences.

    Raises
    ------
    TypeError
        If ``k`` or ``draw`` is not a whole number.
    ValueError
        If there is no such task, or one of the two is out of range.

    Examples
    --------
    >>> few_shot("sentiment", 8, draw=0) == few_shot("sentiment", 16, draw=0)[:8]
    True
    """
    task = task if isinstance(task, Task) else get_task(task)
    pool, labels = task.split("train"), range(len(task.labels))
    k, draw = whole_number(k, "k"), whole_number(draw, "draw", least=0)
    if not len(labels) <= k <= len(pool):
        raise ValueError(
            f"task {task.name!r} has {len(labels)} labels and {len(pool)} training sentences: "
            f"choose k from {len(labels)} to {len(pool)}, not {k}"
        )
    rng = random.Random(f"{task.name}-{draw}")
    queues = []
    for label in rng.sample(labels, len(labels)):
        cells = sorted({example.cell for example in pool if example.label == label})
        members = [[e for e in pool if e.cell == cell] for cell in rng.sample(cells, len(cells))]
        queues.append(in_turn([rng.sample(cell, len(cell)) for cell in members]))
    return tuple(in_turn(queues)[:k])


def bag_of_words_accuracy(
    task: Task | str, split: str = "train", *, scored_on: str | None = None, folds: int = FOLDS, seed: int = 0
) -> float:
    """Accuracy (0-1) of a linear classifier on word counts, fitted by least squares with a small ridge.

    The folds hold whole matched sets. In a balanced design, a word seen more often with one label is left over with the
    other, so folds that break sets report *less* than chance. Labels with equal scores share the credit: a classifier
    that knows nothing gets ``1 / len(labels)``.

    Parameters
    ----------
    task : Task or str
        The task, or its name.
    split : str
        The split to fit on.
    scored_on : str, optional
        The split to score on. Left out, cross-validation within ``split``, the generous version: all words are known.
    folds, seed : int
        Number of folds, and the seed that deals the matched sets out to them.

    Raises
    ------
    TypeError
        If ``folds`` or ``seed`` is not a whole number.
    ValueError
        If the task or a split is unknown, or there are fewer than two folds or more folds than matched sets.

    Examples
    --------
    >>> bag_of_words_accuracy("sentiment")
    0.5
    """
    task = task if isinstance(task, Task) else get_task(task)
    folds, seed = whole_number(folds, "folds"), whole_number(seed, "seed", least=0)
    examples, num_labels = task.split(split), len(task.labels)
    if scored_on is not None:
        return float(np.mean(_credits(examples, task.split(scored_on), num_labels)))
    sets = sorted({example.matched_set for example in examples})
    if not 2 <= folds <= len(sets):
        raise ValueError(f"split {split!r} has {len(sets)} matched sets: choose folds from 2 to that, not {folds}")
    fold_of = {number: position % folds for position, number in enumerate(random.Random(seed).sample(sets, len(sets)))}
    credits = []
    for fold in range(folds):
        fitted = [example for example in examples if fold_of[example.matched_set] != fold]
        scored = [example for example in examples if fold_of[example.matched_set] == fold]
        credits.append(_credits(fitted, scored, num_labels))
    return float(np.mean(np.concatenate(credits)))


def _credits(fitted: Sequence[Example], scored: Sequence[Example], num_labels: int) -> np.ndarray:
    """Credit per scored example: 1 if right, 1/n in a tie of n labels with the right one. Shape (scored,)."""
    words = sorted({word for example in fitted for word in example.text.split()})
    x, y = _counts(fitted, words), np.eye(num_labels)[[example.label for example in fitted]]
    centered, mean = x - x.mean(axis=0), y.mean(axis=0)
    weights = np.linalg.solve(centered.T @ centered + np.eye(len(words)), centered.T @ (y - mean))
    scores = (_counts(scored, words) - x.mean(axis=0)) @ weights + mean
    best = scores >= scores.max(axis=1, keepdims=True) - _TIE
    return best[np.arange(len(scored)), [example.label for example in scored]] / best.sum(axis=1)


def check_examples(examples: Iterable[Example]) -> list[Example]:
    """Return examples as a list.

    Raises
    ------
    TypeError
        If one of them is not an example.
    """
    examples = list(examples)
    if odd := [example for example in examples if not isinstance(example, Example)]:
        raise TypeError(f"expected examples, such as a task's split or few_shot gives, got {odd[0]!r:.80}")
    return examples


def separable_by_words(examples: Iterable[Example]) -> bool:
    """Return whether some linear rule on word counts gives each of these examples its label.

    With w_y the weights of label y and c the word counts of an example (and a 1), the rule is right if
    ``w_y . c > w_j . c`` for each other label j. Whether such weights exist is a linear program.

    Parameters
    ----------
    examples : iterable of Example
        Two or more, of at least two labels.

    Returns
    -------
    bool

    Raises
    ------
    TypeError
        If one of them is not an example.
    ValueError
        If there are fewer than two labels among them.

    References
    ----------
    Minsky and Papert (1969), "Perceptrons": which labels a linear rule can tell.

    Examples
    --------
    >>> separable_by_words(few_shot("sentiment", 8, draw=0)), separable_by_words(get_task("sentiment").split("test"))
    (True, False)
    """
    from scipy.optimize import linprog

    examples = check_examples(examples)
    labels = sorted({example.label for example in examples})
    if len(labels) < 2:
        raise ValueError(
            f"expected examples of at least two labels, got {len(examples)} with labels {labels}; add some"
        )
    words = sorted({word for example in examples for word in example.text.split()})
    counts = np.hstack([_counts(examples, words), np.ones((len(examples), 1))])
    one = dict(zip(labels, np.eye(len(labels)), strict=True))
    rows = [
        np.kron(one[other] - one[example.label], count)  # its product with all weights: w_j . c - w_y . c
        for example, count in zip(examples, counts, strict=True)
        for other in labels
        if other != example.label
    ]
    free = np.zeros(len(rows[0]))
    return linprog(free, A_ub=rows, b_ub=-np.ones(len(rows)), bounds=(None, None)).status == 0


def _counts(examples: Sequence[Example], words: Sequence[str]) -> np.ndarray:
    """Count the words in each example. Shape (examples, words); a word that is not listed counts nowhere."""
    column = {word: number for number, word in enumerate(words)}
    table = np.zeros((len(examples), len(words)))
    for row, example in enumerate(examples):
        for word in example.text.split():
            if word in column:
                table[row, column[word]] += 1
    return table


def _known(name: str, names: tuple[str, ...], what: str) -> str:
    if name not in names:
        raise unknown_name(what, name, names)
    return name
