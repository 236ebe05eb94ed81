"""Read a task's data file: fill its templates, keep matched sets, and check that the splits are disjoint.

The parts of a file: ``forms`` (the forms that an entry of a lexicon lists), ``picks`` (which entries a sentence takes
from which lexicon; left out, one of each), ``cells`` (label, frame and slots of each cell of the design), and for every
split ``size``, ``templates`` (rows per frame; row i of all frames belongs together) and ``words`` (the lexicons).
"""

import itertools
import random
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from numbers import Integral
from typing import Any

SPLITS = ("train", "validation", "test")
#: What a file holds: a type, a list of one kind, or a table by key; "*" is any key, and one with "?" may be left out.
_SHAPE = {
    **dict.fromkeys(("name", "title", "question", "function_words"), str),
    "labels": [str],
    "card": dict.fromkeys(("tests", "made", "shortcuts"), str),
    "cells": [{"name": str, "label": str, "frame": str, "slots?": {"*": str}}],
    "picks?": {"*": str},
    "forms?": {"*": [str]},
    **{split: {"size": Integral, "templates": {"*": [str]}, "words": {"*": [str]}} for split in SPLITS},
}
_KINDS = {str: "a string", Integral: "a whole number", list: "a list that is not empty", dict: "a table"}
_SLOT = re.compile(r"\{([^{}]*)\}")
_SENTENCE = re.compile(r"[a-z]+( [a-z]+)*")


@dataclass(frozen=True)
class Example:
    """One sentence: lower case, no final punctuation.

    ``matched_set`` numbers the set of sentences, one per cell, that were made from the same words.
    """

    text: str
    label: int
    cell: str
    template: str
    matched_set: int


Pools = dict[str, tuple[Example, ...]]


def make_pools(data: Mapping[str, Any]) -> Pools:
    """Make every sentence of every split, and check that no sentence, template or content word is shared.

    Raises
    ------
    ValueError
        If the file lacks a part or has another one, a part is of the wrong kind, a placeholder, frame or form is
        unknown, there are fewer than two labels or one without a cell, a sentence comes twice or is more than
        lower-case words, or two splits share a template or a content word.
    """
    _check_shape(data, _SHAPE, "task")
    _check_labels(data)
    pools = {split: tuple(_sentences(data, split)) for split in SPLITS}
    _check_once(data, pools)
    _check_disjoint(data, pools)
    return pools


def subsample(data: Mapping[str, Any], split: str, pool: tuple[Example, ...]) -> tuple[Example, ...]:
    """Keep as many whole matched sets as the size of the split asks for, the rows of templates in turn.

    Raises
    ------
    ValueError
        If there is no such split, or its size is not a multiple of the number of cells, or larger than the pool.
    """
    if split not in SPLITS:
        raise ValueError(f"unknown split {split!r}; the splits are {', '.join(SPLITS)}")
    size, cells = data[split]["size"], len(data["cells"])
    if size % cells or not 0 < size <= len(pool):
        raise ValueError(
            f"task {data['name']!r}, {split}: size must be a multiple of the {cells} cells, at most {len(pool)}; "
            f"{size} is not, change it in the file"
        )
    rng = random.Random(f"{data['name']}-{split}")
    sets = [pool[start : start + cells] for start in range(0, len(pool), cells)]
    rows = [[s for s in sets if s[0].template == t] for t in dict.fromkeys(s[0].template for s in sets)]
    kept = in_turn([rng.sample(row, len(row)) for row in rows])[: size // cells]
    return tuple(example for matched_set in kept for example in matched_set)


def in_turn(queues: list[list]) -> list:
    """Interleave lists: the first of each, the second of each, and so on.

    >>> in_turn([[1, 3], [2]])
    [1, 2, 3]
    """
    return [item for layer in itertools.zip_longest(*queues) for item in layer if item is not None]


def _sentences(data: Mapping[str, Any], split: str) -> Iterator[Example]:
    """Yield the sentences of a split, matched set by matched set."""
    lexicons, templates = data[split]["words"], data[split]["templates"]
    picks = data.get("picks", {lexicon: lexicon for lexicon in lexicons})
    where = f"task {data['name']!r}, {split}"
    _check_parts(data, split, picks, where)
    choices = itertools.product(*(lexicons[lexicon] for lexicon in picks.values()))
    choices = [entries for entries in choices if len(set(entries)) == len(entries)]
    rows = range(len(templates[data["cells"][0]["frame"]]))
    for number, (row, entries) in enumerate(itertools.product(rows, choices)):
        words = _words(dict(zip(picks, entries, strict=True)), picks, data.get("forms", {}), where)
        for cell in data["cells"]:
            template = templates[cell["frame"]][row]
            text = _fill(template, cell.get("slots", {}), words, where)
            yield Example(text, data["labels"].index(cell["label"]), cell["name"], template, number)


def _words(chosen: Mapping[str, str], picks: Mapping[str, str], forms: Mapping[str, Any], where: str) -> dict[str, str]:
    """Map each usable name, "subject" or "verb.past", to its word."""
    words = {}
    for pick, entry in chosen.items():
        if picks[pick] not in forms:
            words[pick] = entry
            continue
        names = forms[picks[pick]]
        if len(entry.split()) != len(names):
            raise ValueError(
                f"{where}: {entry!r} must list {len(names)} forms: {', '.join(names)}; spell all of them out"
            )
        words |= {f"{pick}.{name}": word for name, word in zip(names, entry.split(), strict=True)}
    return words


def _fill(template: str, slots: Mapping[str, str], words: Mapping[str, str], where: str) -> str:
    """Replace each placeholder by the word that the cell puts in its slot, or else by the word of that name."""

    def word(match: re.Match) -> str:
        name = slots.get(match[1], match[1])
        if name not in words:
            raise ValueError(f"{where}: {template!r} has an unknown placeholder {match[0]}; use {', '.join(words)}")
        return words[name]

    text = _SLOT.sub(word, template)
    if "{" in text or "}" in text:
        raise ValueError(f"{where}: {template!r} has a brace without its twin; write each placeholder as {{name}}")
    if not _SENTENCE.fullmatch(text):
        raise ValueError(
            f"{where}: {template!r} makes {text!r}; expected lower-case words of the letters a to z, one space between "
            "two and no punctuation (the model takes Hotel for hotel): change the template or its words"
        )
    return text


def _check_shape(value: Any, shape: Any, where: str) -> None:
    """Hold the contents of a file, or a part of it, to a shape."""
    kind = shape if isinstance(shape, type) else type(shape)
    if not isinstance(value, kind) or isinstance(value, bool) or (kind is list and not value):
        raise ValueError(f"{where} must be {_KINDS[kind]}, got {value!r:.60}; change it in the file")
    if kind is list:
        for number, item in enumerate(value):
            _check_shape(item, shape[0], f"{where}[{number}]")
    if kind is dict:
        kinds = dict.fromkeys(value, shape["*"]) if "*" in shape else {key.rstrip("?"): shape[key] for key in shape}
        missing = [key for key in shape if key != "*" and key.rstrip("?") == key and key not in value]
        if missing or value.keys() - kinds.keys():
            odd = f"add {', '.join(missing)}" if missing else f"take out {min(value.keys() - kinds.keys(), key=str)}"
            raise ValueError(f"{where} takes {', '.join(kinds)}; {odd}")
        for key, part in value.items():
            _check_shape(part, kinds[key], f"{where}.{key}")


def _check_labels(data: Mapping[str, Any]) -> None:
    if len(data["labels"]) < 2:
        raise ValueError(f"task.labels must list at least two labels, got {data['labels']}; add one, and its cells")
    used = {cell["label"] for cell in data["cells"]}
    if odd := used.symmetric_difference(data["labels"]):
        raise ValueError(
            f"task {data['name']!r}: the label {min(odd)!r} must be both in labels and in a cell; "
            f"the labels are {', '.join(data['labels'])}"
        )
    for what, names in (("label", data["labels"]), ("cell", [cell["name"] for cell in data["cells"]])):
        if twice := [name for name in names if names.count(name) > 1]:
            raise ValueError(f"task {data['name']!r}: the {what} {twice[0]!r} comes twice; rename one")


def _check_parts(data: Mapping[str, Any], split: str, picks: Mapping[str, str], where: str) -> None:
    frames, templates = sorted({cell["frame"] for cell in data["cells"]}), data[split]["templates"]
    if frames != sorted(templates) or len({len(rows) for rows in templates.values()}) != 1:
        counts = {frame: len(rows) for frame, rows in templates.items()}
        raise ValueError(
            f"{where}: give as many templates for each of the frames {', '.join(frames)}; there are {counts}"
        )
    if odd := sorted(set(picks.values()) ^ set(data[split]["words"])):
        raise ValueError(f"{where}: the lexicon {odd[0]!r} must be both picked and given; the picks are {dict(picks)}")


def _check_once(data: Mapping[str, Any], pools: Pools) -> None:
    seen: set[str] = set()
    for text in (example.text for split in SPLITS for example in pools[split]):
        if text in seen:
            raise ValueError(f"task {data['name']!r}: {text!r} is made twice; change a template or a word")
        seen.add(text)


def _check_disjoint(data: Mapping[str, Any], pools: Pools) -> None:
    shared_words = set(data["function_words"].split())
    templates = {split: {example.template for example in pools[split]} for split in SPLITS}
    words = {split: {word for e in pools[split] for word in e.text.split()} - shared_words for split in SPLITS}
    for one, two in itertools.combinations(SPLITS, 2):
        where = f"task {data['name']!r}: {one} and {two} share"
        if both := templates[one] & templates[two]:
            raise ValueError(f"{where} the template {min(both)!r}; reword it in one of them")
        if both := words[one] & words[two]:
            raise ValueError(
                f"{where} the word {min(both)!r}; replace it in one of them, or declare it in function_words "
                "if it is not a content word"
            )
    for split in SPLITS:
        content = {word for entries in data[split]["words"].values() for entry in entries for word in entry.split()}
        if both := content & shared_words:
            raise ValueError(
                f"task {data['name']!r}, {split}: {min(both)!r} is in a lexicon and in function_words; choose one"
            )
