"""Laws of the book's tasks: everything is balanced, and words alone say nothing where the card says so."""

import re
from collections import Counter

import pytest

from ia3_lab.study.tasks import SPLITS, TASKS, Example, few_shot, get_task

#: The tasks of which words alone say nothing; their page holds a classifier on word counts to that.
BY_CHANCE = {"sentiment", "agent", "number", "act"}
#: The words of praise among the 240 test sentences of `sentiment`, and the words that deny.
PRAISE = {"wonderful", "brilliant", "fantastic", "superb", "exciting", "enjoyable"}
NEGATORS = {"not", "never", "no", "nobody", "none"}
SIZES = {"train": (256, 258, 1024), "validation": (159, 160), "test": (240,)}
every_task = pytest.mark.parametrize("name", TASKS)
every_split = pytest.mark.parametrize("split", SPLITS)


def words(*examples: Example) -> list[str]:
    return [word for example in examples for word in example.text.split()]


@every_task
@every_split
def test_cells_labels_and_but_for_tense_words_are_balanced_in_whole_matched_sets(name: str, split: str) -> None:
    task = get_task(name)
    examples = task.splits[split]
    cells, labels = Counter(e.cell for e in examples), Counter(e.label for e in examples)
    assert len(set(cells.values())) == len(set(labels.values())) == 1 and len(labels) == len(task.labels)
    assert set(Counter(e.matched_set for e in examples).values()) == {len(cells)} and len(examples) in SIZES[split]
    by_label = [[e for e in examples if e.label == number] for number in range(len(task.labels))]
    counts = [Counter(words(*one)) for one in by_label]
    assert all(count == counts[0] for count in counts) is (name in BY_CHANCE)
    bags = [Counter(tuple(sorted(words(example))) for example in one) for one in by_label]  # of the same sentences
    assert all(bag == bags[0] for bag in bags) is (name in BY_CHANCE and name != "sentiment")


def test_sentiment_is_polarity_xor_negation() -> None:
    for example in get_task("sentiment").splits["test"]:
        praised, denied = bool({*words(example)} & PRAISE), bool({*words(example)} & NEGATORS)
        assert example.label == int(praised != denied), example


@every_split
def test_the_doer_is_first_in_active_and_last_named_in_passive_sentences(split: str) -> None:
    pattern = {e: re.sub(r"\{(\w+)[.\w]*\}", r"(?P<\1>\\w+)", e.template) for e in get_task("agent").splits[split]}
    places = {example: re.fullmatch(pattern[example], example.text) for example in pattern}
    women = {found["agent"] for example, found in places.items() if example.cell == "active/woman"}
    for example, found in places.items():
        first, last = sorted((found["agent"], found["patient"]), key=words(example).index)
        assert example.label == int((last if " by " in example.text else first) not in women)


@every_task
def test_a_draw_is_the_start_of_a_larger_one_as_balanced_as_it_can_be_and_unlike_another(name: str) -> None:
    largest, train = few_shot(name, 128, draw=3), get_task(name).splits["train"]
    assert len(set(largest)) == 128 and set(largest) <= set(train)
    assert all(few_shot(name, k, draw=3) == largest[:k] for k in (8, 16, 32, 64))
    assert len({frozenset(few_shot(name, 8, draw=draw)) for draw in range(8)}) == 8
    with pytest.raises(ValueError, match=rf"choose k from [23] to \d+ for task '{name}', not 1025"):
        few_shot(name, 1025, draw=0)
    for k, kind in ((8, "cell"), (8, "label"), (32, "cell"), (32, "label")):
        drawn = Counter(getattr(example, kind) for example in few_shot(name, k, draw=0))
        assert max(drawn.values()) - min(drawn[getattr(example, kind)] for example in train) <= 1
