"""The sentence dial says what the stored runs say, at each stop, of words only; and its table has all of it."""

from pathlib import Path

import pytest
from widget_helpers import open_tables

from ia3_lab.pretrained import CONFIG
from ia3_lab.study.methods import METHODS
from ia3_lab.widgets import SentenceDial
from ia3_lab.widgets.sentence_dial import STOPS

DATA = SentenceDial().data
STORIES = DATA["stories"]


def test_every_stop_has_a_run_whose_attention_is_a_share_and_one_sentence_of_three_flips_and_one_stays_wrong() -> None:
    for story in STORIES:
        assert len(story["probability"]) == len(story["attention"]) == len(STOPS) == 21
        assert all(
            sum(row) == pytest.approx(1, abs=0.005) and len(row) == len(story["tokens"]) for row in story["attention"]
        )
    ends = [[p > 0.5 for p in (s["probability"][0], s["probability"][-1])] for s in STORIES]
    assert ends == [[False, True], [False, False], [False, False]]
    assert [s["truth"] for s in STORIES] == ["positive", "negative", "positive"]


@pytest.mark.browser
def test_the_sentence_names_the_word_that_changes_most_the_label_and_where_it_flips(js) -> None:
    call = js(SentenceDial)
    for index, story in enumerate(STORIES):
        for i, t in enumerate(STOPS):
            read = call("readDial", DATA, {"t": t, "story": index})
            said = call("describeDial", read, 13824)
            assert read["p"] == story["probability"][i] and read["now"] == story["attention"][i]
            assert story["tokens"][read["key"]] not in ("[CLS]", "[SEP]")
            assert ("says positive" in said) == (read["p"] >= 0.5)
            assert said.endswith("13,824 factors were learned.") == (t == 1)
    flip = next(t for t, p in zip(STOPS, STORIES[0]["probability"], strict=True) if p >= 0.5)
    end = call("describeDial", call("readDial", DATA, {"t": 1, "story": 0}), 13824)
    assert f"changed its mind at {flip:.0%}" in end and "to \u201cnot\u201d" in end


@pytest.mark.browser
def test_the_table_has_the_shares_of_the_words_and_the_answer_at_every_stop(widget_page) -> None:
    page, story = widget_page(SentenceDial(t=0.35)), STORIES[0]
    shares, answers = ([line[1:] for line in lines] for _, lines in open_tables(page))
    rows = [story["attention"][i][1:-1] for i in (0, 7, -1)]
    assert shares == [[f"{share:.2f}" for share in column] for column in zip(*rows, strict=True)]
    assert answers == [[f"{p:.2f}"] for p in story["probability"]]


def test_the_landing_page_counts_what_was_learned_the_factors_and_the_classifier() -> None:
    factors, classifier = METHODS["ia3"].count(CONFIG), 2 * CONFIG.d_model + 2  # weights and biases of two labels
    said = (Path(__file__).parents[1] / "book" / "intro.md").read_text("utf8")
    assert f"{factors:,} factors\nlearned" in said and f"on top, {classifier:,} numbers" in said
