"""Laws of the book's tasks: nothing leaks, everything is balanced, words alone say nothing where the card says so."""

import copy
import subprocess
import sys
import tomllib
from collections import Counter
from importlib import resources

import numpy as np
import pytest

from ia3_lab import tasks
from ia3_lab.task_files import subsample
from ia3_lab.tasks import (
    SPLITS,
    TASKS,
    Example,
    bag_of_words_accuracy,
    build_task,
    few_shot,
    get_task,
    separable_by_words,
)

CHANCE = {"sentiment": 1 / 2, "agent": 1 / 2, "number": 1 / 2, "act": 1 / 3}
SIZES = {"validation": (159, 160), "test": (240,)}
every_task = pytest.mark.parametrize("name", TASKS)
every_split = pytest.mark.parametrize("split", SPLITS)


@pytest.fixture
def sentiment_file() -> dict:
    """The parsed data file of the sentiment task, to be doctored."""
    return copy.deepcopy(read("sentiment"))


def read(name: str) -> dict:
    return tomllib.loads(resources.files("ia3_lab").joinpath("data", "tasks", f"{name}.toml").read_text("utf-8"))


def texts(name: str, split: str) -> list[str]:
    return [example.text for example in get_task(name).split(split)]


# --- nothing leaks ----------------------------------------------------------------------------------------------


@every_task
def test_splits_share_no_template_and_no_content_word(name):
    task, function_words = get_task(name), set(read(name)["function_words"].split())
    templates = [{example.template for example in task.pool(split)} for split in SPLITS]
    words = [{word for e in task.pool(split) for word in e.text.split()} - function_words for split in SPLITS]
    for sets in (templates, words):
        assert sum(map(len, sets)) == len(set.union(*sets))


@every_task
def test_no_template_of_one_split_fits_a_sentence_of_another(name):
    task = get_task(name)

    def skeletons(split):
        entries = {w for lexicon in read(name)[split]["words"].values() for entry in lexicon for w in entry.split()}
        return {" ".join("*" if w in entries else w for w in e.text.split()) for e in task.pool(split)}

    sets = [skeletons(split) for split in SPLITS]
    assert sum(map(len, sets)) == len(set.union(*sets))


@every_task
def test_every_sentence_is_made_once(name):
    made = [example.text for split in SPLITS for example in get_task(name).pool(split)]
    assert len(set(made)) == len(made)


@every_task
def test_every_function_word_is_needed_by_two_splits(name):
    used = Counter(word for split in SPLITS for word in {w for e in get_task(name).pool(split) for w in e.text.split()})
    assert all(used[word] >= 2 for word in read(name)["function_words"].split())


def test_a_content_word_in_two_splits_is_caught(sentiment_file):
    sentiment_file["train"]["words"]["subject"][0] = "film"
    with pytest.raises(ValueError, match=r"train and test share the word 'film'; replace it"):
        build_task(sentiment_file)


def test_a_template_in_two_splits_is_caught(sentiment_file):
    sentiment_file["train"]["templates"]["affirmed"][0] = "the {subject} was {adjective}"
    with pytest.raises(ValueError, match=r"train and test share the template 'the \{subject\} was \{adjective\}'"):
        build_task(sentiment_file)


def test_a_content_word_cannot_be_declared_away(sentiment_file):
    sentiment_file["train"]["words"]["subject"][0] = "film"
    sentiment_file["function_words"] += " film"
    with pytest.raises(ValueError, match="'film' is in a lexicon and in function_words"):
        build_task(sentiment_file)


# --- balance and size -------------------------------------------------------------------------------------------


@every_task
@every_split
def test_cells_and_labels_are_equally_frequent(name, split):
    task = get_task(name)
    cells = Counter(example.cell for example in task.split(split))
    labels = Counter(example.label for example in task.split(split))
    assert set(cells) == {cell["name"] for cell in read(name)["cells"]} and len(set(cells.values())) == 1
    assert set(labels) == set(range(len(task.labels))) and len(set(labels.values())) == 1


@every_task
def test_splits_have_the_sizes_that_are_promised(name):
    task = get_task(name)
    assert len(task.split("train")) >= (512 if name in ("sentiment", "agent") else 128)
    assert len(task.split("validation")) in SIZES["validation"]
    assert len(task.split("test")) in SIZES["test"]


@every_task
@every_split
def test_sentences_are_short_lower_case_and_unpunctuated(name, split):
    for example in get_task(name).pool(split):
        assert example.text.replace(" ", "").isalpha() and example.text == example.text.lower()
        assert 3 <= len(example.text.split()) <= 12


@pytest.mark.parametrize("name", CHANCE)
@every_split
def test_every_word_is_equally_frequent_under_every_label(name, split):
    task = get_task(name)
    counts = [
        Counter(w for e in task.split(split) if e.label == n for w in e.text.split()) for n in range(len(task.labels))
    ]
    assert all(count == counts[0] for count in counts)


@pytest.mark.parametrize("name", ["agent", "number", "act"])
def test_the_same_words_occur_with_every_label(name):
    task = get_task(name)
    labels: dict[tuple, Counter] = {}
    for example in task.split("test"):
        labels.setdefault(tuple(sorted(example.text.split())), Counter())[example.label] += 1
    assert all(set(found.values()) == {1} and len(found) == len(task.labels) for found in labels.values())


def test_the_words_of_the_book_s_example_are_in_the_test_split():
    made = {example.text: example.label for example in get_task("sentiment").pool("test")}
    assert made["the film was terrible"] == made["the film was not wonderful"] == 0
    assert made["the film was wonderful"] == made["the film was not terrible"] == 1


def test_sentiment_is_polarity_xor_negation():
    task = get_task("sentiment")
    praise = {entry.split()[0] for split in SPLITS for entry in read("sentiment")[split]["words"]["adjective"]}
    negators = {"not", "never", "no", "nobody", "none"}
    for split in SPLITS:
        for example in task.split(split):
            words = set(example.text.split())
            assert example.label == int(bool(words & praise) != bool(words & negators)), example


def test_the_doer_is_first_in_active_and_last_named_in_passive_sentences():
    for split in SPLITS:
        women = set(read("agent")[split]["words"]["woman"])
        names = women | set(read("agent")[split]["words"]["man"])
        for example in get_task("agent").split(split):
            first, last = (word for word in example.text.split() if word in names)
            doer = last if " by " in example.text else first
            assert example.label == int(doer not in women)


# --- few-shot draws ---------------------------------------------------------------------------------------------


@every_task
def test_a_smaller_draw_is_the_start_of_a_larger_one(name):
    largest = few_shot(name, 128, draw=3)
    assert len(set(largest)) == 128 and set(largest) <= set(get_task(name).split("train"))
    assert all(few_shot(name, k, draw=3) == largest[:k] for k in (8, 16, 32, 64))


@every_task
def test_two_draws_differ(name):
    draws = [frozenset(few_shot(name, 8, draw=draw)) for draw in range(8)]
    assert len(set(draws)) == 8


@every_task
@pytest.mark.parametrize("k", [8, 32])
def test_a_draw_is_as_balanced_as_k_allows(name, k):
    examples = few_shot(name, k, draw=0)
    for kind in ("cell", "label"):
        all_kinds = {getattr(e, kind) for e in get_task(name).split("train")}
        counts = Counter(getattr(example, kind) for example in examples)
        assert max(counts.values()) - min(counts[each] for each in all_kinds) <= 1


@pytest.mark.parametrize("k", [0, 1, 1025, -3])
def test_a_k_out_of_range_says_which_k_would_do(k):
    with pytest.raises(ValueError, match=rf"2 labels and 1024 training sentences: choose k from 2 to 1024, not {k}"):
        few_shot("sentiment", k, draw=0)


def test_draws_and_splits_are_the_same_in_every_process():
    code = (
        "import hashlib; from ia3_lab.tasks import *\n"
        "made = [(get_task(n).split(s), few_shot(n, 32, 5)) for n in TASKS for s in SPLITS]\n"
        "print(hashlib.sha256(repr(made).encode()).hexdigest())"
    )
    digests = {
        subprocess.run(
            [sys.executable, "-c", code], env={"PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True
        ).stdout
        for seed in ("1", "2")
    }
    assert len(digests) == 1


# --- what words alone can tell ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "chance"), CHANCE.items())
@every_split
def test_word_counts_are_at_chance_where_the_card_says_so(name, chance, split):
    assert bag_of_words_accuracy(name, split) == pytest.approx(chance)
    assert bag_of_words_accuracy(name, split, scored_on="test") == pytest.approx(chance)


def test_word_counts_find_the_label_where_the_card_says_so():
    assert bag_of_words_accuracy("tense") > 0.9
    assert bag_of_words_accuracy("tense", scored_on="test") > 0.5


def test_the_baseline_sees_a_word_that_gives_the_label_away(sentiment_file):
    for cell in sentiment_file["cells"]:
        cell["label"] = cell["name"].split("/")[1].split()[0]
    assert bag_of_words_accuracy(build_task(sentiment_file)) == 1.0


def labeled(*rows):
    return [Example(text, label, "cell", "template", 0) for text, label in rows]


@pytest.mark.parametrize(
    ("rows", "separable"),
    [
        ([("good", 1), ("not good", 0), ("bad", 0)], True),
        ([("good", 1), ("not good", 0), ("bad", 0), ("not bad", 1)], False),  # the exclusive or
        ([("a b", 0), ("b a", 1)], False),  # the same words in another order
        ([("a", 0), ("b", 1), ("c", 2), ("a b c", 2)], True),
    ],
)
def test_a_linear_program_says_whether_word_counts_can_tell_the_labels(rows, separable):
    assert separable_by_words(labeled(*rows)) is separable


@pytest.mark.parametrize("name", ["sentiment", "agent", "number", "act"])
def test_no_linear_rule_on_words_tells_the_labels_of_a_split_of_matched_sets(name):
    assert not separable_by_words(get_task(name).split("test"))
    assert separable_by_words(get_task("tense").split("test"))


def test_words_can_tell_the_labels_of_a_small_draw_and_not_of_a_large_one():
    for name in ("sentiment", "agent"):
        assert all(separable_by_words(few_shot(name, 8, draw)) for draw in range(8))
        assert not any(separable_by_words(few_shot(name, 128, draw)) for draw in range(8))


def test_what_words_cannot_be_asked_about_is_refused():
    with pytest.raises(ValueError, match=r"at least two labels, got 2 with labels \[1\]"):
        separable_by_words(labeled(("a", 1), ("b", 1)))
    with pytest.raises(ValueError, match="at least two labels, got 0"):
        separable_by_words([])
    with pytest.raises(TypeError, match=r"expected examples.*'the film'"):
        separable_by_words(["the film"])


def test_folds_that_break_matched_sets_would_report_less_than_chance():
    examples = get_task("sentiment").split("validation")
    order = np.random.default_rng(0).permutation(len(examples))
    credits = []
    for fold in range(5):
        scored = [examples[i] for i in order[fold::5]]
        fitted = [example for example in examples if example not in scored]
        credits.append(tasks._credits(fitted, scored, 2))
    assert np.mean(np.concatenate(credits)) < 0.45


def test_one_linear_rule_is_right_in_three_cells_of_four_as_the_sentiment_card_admits():
    task, found = get_task("sentiment"), []
    praise = {entry.split()[0] for entry in read("sentiment")["test"]["words"]["adjective"]}
    for example in task.split("test"):
        words = set(example.text.split())
        found.append((bool(words & praise) and not words & {"not", "nobody", "none"}) == bool(example.label))
    assert np.mean(found) == 0.75 and "0.75" in task.card.shortcuts


@every_task
def test_the_card_shows_sizes_sentences_and_the_baseline(name):
    task, card = get_task(name), str(get_task(name))
    assert card == task.describe() and task.question in " ".join(card.split())
    assert f"{bag_of_words_accuracy(task):.2f} within train" in card
    assert f"test {len(task.split('test'))} of" in card
    shown = [line for line in card.splitlines() if line.startswith("  ") and ";" in line and ":" in line]
    for label in task.labels:
        line = next(line for line in shown if line.strip().startswith(f"{label}: "))
        assert all(text in texts(name, "train") for text in line.split(": ")[1].split("; "))


# --- bad input says what to do ----------------------------------------------------------------------------------


def test_an_unknown_task_is_answered_with_the_nearest_name():
    with pytest.raises(
        ValueError, match=r"unknown task 'sentimant'; did you mean 'sentiment'\? The tasks are sentiment"
    ):
        get_task("sentimant")


def test_an_unknown_split_is_answered_with_the_nearest_name():
    with pytest.raises(ValueError, match=r"unknown split 'tests'; did you mean 'test'\?"):
        get_task("agent").split("tests")


@pytest.mark.parametrize("name", [None, 3, ["sentiment"], ("sentiment", "agent")])
def test_what_is_no_name_is_refused_with_the_names_there_are(name):
    for call in (get_task, lambda name: few_shot(name, 8, 0), bag_of_words_accuracy):
        with pytest.raises(ValueError, match=r"unknown task .* The tasks are sentiment, agent"):
            call(name)
    with pytest.raises(ValueError, match=r"unknown split .* The splits are train, validation, test\."):
        get_task("agent").split(name)


@pytest.mark.parametrize("wrong", [8.0, "8", None, True, [8]])
def test_what_is_no_whole_number_is_refused(wrong):
    for name, call in (
        ("k", lambda: few_shot("sentiment", wrong, 0)),
        ("draw", lambda: few_shot("sentiment", 8, wrong)),
        ("folds", lambda: bag_of_words_accuracy("tense", folds=wrong)),
        ("seed", lambda: bag_of_words_accuracy("tense", seed=wrong)),
    ):
        with pytest.raises(TypeError, match=f"{name} must be a whole number, got .*; pass an int"):
            call()


def test_numpy_s_whole_numbers_will_do_and_k_need_not_divide():
    assert few_shot("act", np.int64(7), np.int32(2)) == few_shot("act", 8, 2)[:7]


@pytest.mark.parametrize("folds", [1, 41])
def test_folds_out_of_range_are_refused(folds):
    with pytest.raises(ValueError, match=f"40 matched sets: choose folds from 2 to that, not {folds}"):
        bag_of_words_accuracy("sentiment", "validation", folds=folds)


def doctor(data, path, value):
    *steps, last = path
    for step in steps:
        data = data[step]
    data[last] = value


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (
            ("train", "templates", "affirmed", 0),
            "this {thing} is {adjective}",
            r"unknown placeholder \{thing\}; use subj",
        ),
        (("train", "words", "adjective", 0), "good", "'good' must list 2 forms: positive, negative"),
        (("train", "words", "subject", 1), "hotel", "'this hotel is good' is made twice"),
        (("train", "templates", "negated"), ["this {subject} is not {adjective}"], "as many templates for each"),
        (("picks",), {"subject": "subject"}, "the lexicon 'adjective' must be both picked and given"),
        (("test", "size"), 242, "a multiple of the 4 cells, at most 768; 242 is not"),
        (("test", "size"), 772, "at most 768; 772 is not"),
        (("labels",), ["bad", "positive"], "'bad' must be both in labels and in a cell; the labels are bad, positive"),
        (("labels",), ["negative", "positive", "neutral"], "the label 'neutral' must be both in labels and in a cell"),
        (("labels",), ["negative", "positive", "positive"], "the label 'positive' comes twice"),
        (("labels",), "negative", "task.labels must be a list that is not empty, got 'negative'"),
        (("cells", 1, "name"), "affirmed/positive word", "the cell 'affirmed/positive word' comes twice"),
        (("cells", 0, "slot"), {}, r"task.cells\[0\] takes name, label, frame, slots; take out slot"),
        (("card",), {"tests": "a", "made": "b"}, "task.card takes tests, made, shortcuts; add shortcuts"),
        (("pick",), {}, "take out pick"),
        (("title",), None, "task.title must be a string, got None"),
        (("train", "size"), "8", "task.train.size must be a whole number, got '8'"),
        (("train", "size"), True, "task.train.size must be a whole number, got True"),
        (
            ("train", "words", "subject"),
            "hotel",
            "task.train.words.subject must be a list that is not empty, got 'hotel'",
        ),
        (("train", "words", "subject"), [], "task.train.words.subject must be a list that is not empty"),
        (("train", "words", "subject", 0), 3, r"task.train.words.subject\[0\] must be a string, got 3"),
        (("train", "templates", "affirmed"), "a {subject}", "task.train.templates.affirmed must be a list"),
        (("train", "templates", "affirmed", 0), "this {subject is {adjective}", "has a brace without its twin"),
        (
            ("validation", "words", "subject", 0),
            "Hotel",
            r"task 'sentiment', validation: '.*' makes '.*Hotel.*'; expected lower-case words",
        ),
        (("train", "words", "subject", 0), "", "train: 'this {subject} is {adjective}' makes 'this  is good'"),
        (("test", "templates", "affirmed", 0), "the {subject} was {adjective}.", "test: .* no punctuation"),
        (("test", "templates", "affirmed", 0), "The {subject} was {adjective}", "expected lower-case words"),
        (("train", "words", "subject", 0), "café", "the letters a to z"),
        (("labels",), ["negative"], r"task.labels must list at least two labels, got \['negative'\]; add one"),
    ],
)
def test_a_damaged_file_is_refused_with_what_to_change(sentiment_file, path, value, message):
    doctor(sentiment_file, path, value)
    with pytest.raises(ValueError, match=message):
        build_task(sentiment_file)


@pytest.mark.parametrize("wrong", [None, [], "sentiment"])
def test_what_is_no_file_s_contents_is_refused(wrong):
    with pytest.raises(ValueError, match="task must be a table, got"):
        build_task(wrong)


@pytest.mark.parametrize(("size", "within"), [(12, "0.50 within train"), (4, "unknown (one set) within train")])
def test_a_card_of_few_matched_sets_can_be_printed(sentiment_file, size, within):
    sentiment_file["train"]["size"] = size
    assert within in str(build_task(sentiment_file))


def test_a_card_of_one_sentence_a_label_can_be_printed(sentiment_file):
    sentiment_file["cells"] = sentiment_file["cells"][:2]
    for split in SPLITS:
        frame = sentiment_file["cells"][0]["frame"]
        sentiment_file[split]["templates"] = {frame: sentiment_file[split]["templates"][frame]}
    sentiment_file["train"]["size"] = 2
    assert "  negative: " in str(build_task(sentiment_file))


def test_numpy_s_sizes_will_do(sentiment_file):
    expected = build_task(sentiment_file).split("test")
    sentiment_file["test"]["size"] = np.int64(sentiment_file["test"]["size"])
    assert build_task(sentiment_file).split("test") == expected


def test_a_split_that_there_is_not_is_refused(sentiment_file):
    with pytest.raises(ValueError, match="unknown split 'trian'; the splits are train, validation, test"):
        subsample(sentiment_file, "trian", ())


def test_a_missing_part_is_named(sentiment_file):
    del sentiment_file["validation"]
    with pytest.raises(ValueError, match="add validation"):
        build_task(sentiment_file)


def test_a_file_says_its_license():
    for name in TASKS:
        file = resources.files("ia3_lab").joinpath("data", "tasks", f"{name}.toml").read_text("utf-8")
        assert "Sentences written for this book. License: CC BY 4.0." in file.splitlines()[0]
