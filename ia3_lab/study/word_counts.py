"""What words without their order tell about a task: a linear classifier on word counts, and whether one can exist."""

import random
from collections.abc import Sequence

import numpy as np

from ia3_lab.study.tasks import Example, get_task

_TIE = 1e-9  # scores closer than this are equal: below it lies rounding, not evidence


def _counts(examples: Sequence[Example], words: Sequence[str]) -> np.ndarray:
    """Count the words in each example, shape (examples, words); a word that is not listed counts nowhere."""
    return np.array([[example.text.split().count(word) for word in words] for example in examples], dtype=float)


def bag_of_words_accuracy(task: str, *, scored_on: str | None = None, folds: int = 5, seed: int = 0) -> float:
    """Accuracy (0-1) of a linear classifier on word counts, fitted on train by least squares with a small ridge.

    Without ``scored_on`` by cross-validation within train, the generous version: all words are known. The folds hold
    whole matched sets: in a balanced design, folds that break sets report *less* than chance. Labels with equal scores
    share the credit, so a classifier that knows nothing gets ``1 / len(labels)``.

    Examples
    --------
    >>> bag_of_words_accuracy("sentiment")
    0.5
    """
    splits, num_labels = get_task(task).splits, len(get_task(task).labels)
    train = splits["train"]
    if scored_on is not None:
        return float(_credits(train, splits[scored_on], num_labels).mean())
    sets = sorted({example.matched_set for example in train})
    fold_of = {one: place % folds for place, one in enumerate(random.Random(seed).sample(sets, len(sets)))}
    parts = [[e for e in train if fold_of[e.matched_set] == fold] for fold in range(folds)]
    rest = [[e for e in train if fold_of[e.matched_set] != fold] for fold in range(folds)]
    return float(np.concatenate([_credits(*pair, num_labels) for pair in zip(rest, parts, strict=True)]).mean())


def _credits(fitted: Sequence[Example], scored: Sequence[Example], num_labels: int) -> np.ndarray:
    """Credit per scored example, shape (scored,): 1 if right, 1/n in a tie of n labels with the right one."""
    words = sorted({word for example in fitted for word in example.text.split()})
    x, y = _counts(fitted, words), np.eye(num_labels)[[example.label for example in fitted]]
    centered, mean = x - x.mean(axis=0), y.mean(axis=0)
    weights = np.linalg.solve(centered.T @ centered + np.eye(len(words)), centered.T @ (y - mean))
    scores = (_counts(scored, words) - x.mean(axis=0)) @ weights + mean
    best = scores >= scores.max(axis=1, keepdims=True) - _TIE
    return best[np.arange(len(scored)), [example.label for example in scored]] / best.sum(axis=1)


def separable_by_words(examples: Sequence[Example]) -> bool:
    """Return whether some linear rule on word counts gives each of these examples its label.

    With w_y the weights of label y and c the word counts of an example (and a 1), the rule is right if
    ``w_y . c > w_j . c`` for each other label j. Whether such weights exist is a linear program
    (Minsky and Papert, 1969, on what a linear rule can tell).

    Examples
    --------
    >>> separable_by_words(get_task("sentiment").splits["test"])
    False
    """
    from scipy.optimize import linprog

    labels = sorted({example.label for example in examples})
    words = sorted({word for example in examples for word in example.text.split()})
    table = np.hstack([_counts(examples, words), np.ones((len(examples), 1))])
    one = dict(zip(labels, np.eye(len(labels)), strict=True))
    rows = [
        np.kron(one[other] - one[example.label], row)  # its product with all weights: w_j . c - w_y . c
        for example, row in zip(examples, table, strict=True)
        for other in labels
        if other != example.label
    ]
    return linprog(np.zeros(len(rows[0])), A_ub=rows, b_ub=-np.ones(len(rows)), bounds=(None, None)).status == 0
