"""The quizzes: every answer is answered, every number comes out, and a reader's hand, keys and browser can do it."""

import json
import re
from math import exp
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn.functional import gelu, relu
from widget_helpers import assert_fits, smallest_side, trait, violations

from ia3_lab import counting, geometry, widgets
from ia3_lab.config import PRESETS, get_preset
from ia3_lab.pretrained import CONFIG
from ia3_lab.widgets import Quiz
from ia3_lab.widgets.base import BookWidget

BOOK = Path(__file__).parent.parent / "book"
CHAPTERS = sorted(path.stem for path in Path(widgets.__file__).parent.parent.glob("data/quizzes/*.toml"))
#: chapter -> the widget that its question with a goal sets, and settings that answer it
WATCHED = {
    "01-volume-knobs": ("VolumeKnobs", [{"volumes": [-2] + [1] * 11}]),
    "02-formulation": ("AttentionHead", [{"l_k": [1, 1, 1, 1], "l_v": [1, 0, 1, 1]}]),
    "03-geometry": ("EllipseLab", [{"l_1": -1, "l_2": -1}]),
    "04-counting": ("ParameterCalculator", [{"preset": p} for p in ("llama-3-8b", "mistral-7b", "qwen2-7b")]),
    "05-from-scratch": ("MergeViewer", [{"vector": "l_ff", "into_W_1": True, "l_ff": [1, 0, 0, 1]}]),
    "09-ia3-or-lora": ("FewShotCurves", [{"task": "agent", "k": 128, "view": "paired"}]),
}
#: what a widget that takes data to make is like as it opens
STARTS = {"VolumeKnobs": {"volumes": [1] * 12}, "FewShotCurves": {"task": "sentiment", "k": 32, "view": "curve"}}
each_chapter = pytest.mark.parametrize("chapter", CHAPTERS)


class Anything(BookWidget):
    """Stands in for a widget that takes data to make."""

    _esm, _css = "export default { render() {} }", ""


def questions(chapter: str) -> dict[str, dict]:
    return {each["id"]: each for each in Quiz(chapter, watch=Anything()).questions}


@each_chapter
def test_a_quiz_has_five_to_eight_questions_and_each_wrong_answer_its_own_explanation(chapter: str) -> None:
    quiz = Quiz(chapter, watch=Anything())
    assert 5 <= len(quiz.questions) <= 8 and len(questions(chapter)) == len(quiz.questions)
    for each in quiz.questions:
        options, wrong = each.get("options", []), each.get("wrong", [])
        reasons = [one["why"] for one in [*options, *wrong] if not one.get("right")]
        assert len(each["right"].split()) >= 5 and all(len(reason.split()) >= 3 for reason in reasons), each["id"]
        assert sum(option.get("right", False) for option in options) == bool(options) and len(reasons) >= 1
        assert bool(options) + ("value" in each) + ("goal" in each) == 1 and bool(options) != ("answer" in each)
    assert any("goal" in each for each in quiz.questions) == (chapter in WATCHED)
    assert [each["id"] for each in Quiz(chapter).questions] == [x["id"] for x in quiz.questions if "goal" not in x]


def test_every_chapter_shows_its_quiz_directly_before_the_summary() -> None:
    for chapter in CHAPTERS:
        cells = json.loads((BOOK / f"{chapter}.ipynb").read_text("utf8"))["cells"]
        sources = ["".join(cell["source"]) for cell in cells]
        (place,) = [i for i, source in enumerate(sources) if f'Quiz("{chapter}"' in source]
        assert sources[place - 1].startswith("## Check yourself") and sources[place + 1].startswith("## Summary")
        assert cells[place]["metadata"]["tags"] == ["hide-input"]
        assert ("watch=" in sources[place]) == (chapter in WATCHED)


def test_markup_is_turned_into_html_of_which_nothing_is_lost_and_answers_can_be_read_without_javascript() -> None:
    quiz = Quiz("02-formulation").questions[2]
    assert '<span class="quiz-math"><i>l</i><sub>k</sub></span>' in quiz["ask"]
    assert "<code>float32</code>" in str(questions("04-counting")) and "<em>both</em>" not in str(quiz)
    assert "&lt; 1" in questions("02-formulation")["inhibit"]["right"]
    assert not [chapter for chapter in CHAPTERS if "$" in str(questions(chapter)) or "`" in str(questions(chapter))]
    html = Quiz("04-counting").picture()
    assert html.count("<details>") == len(Quiz("04-counting").questions)
    assert "<strong>19,200.</strong> 2 · 4,096 + 11,008" in html and "Your turn" not in html


# --- numbers -----------------------------------------------------------------------------------------------------


def numbers() -> list[tuple[str, str, list[float]]]:
    """Chapter, a piece of its texts with gaps, and what stands in them."""
    llama, llama3, gpt2 = (get_preset(name) for name in ("llama-7b", "llama-3-8b", "gpt2"))
    ia3, lora = counting.count_ia3(llama), counting.count_lora(llama, 8)
    queries = counting.count_lora(llama, 1, ("W_q", "W_v")).total
    gated = counting.count_lora(llama, 8, ("W_k", "W_v", "W_1", "W_2", "W_gate")).total - lora.total
    stretch, turned = np.diag([1.8, 0.5]), geometry.best_diagonal_fit
    c, s = np.cos(np.pi / 6), np.sin(np.pi / 6)
    saved = 12 * (lora.total - ia3.total)
    heads = llama3.num_kv_heads * llama3.d_head
    small, lone = counting.count_ia3(CONFIG).total, counting.count_lora(CONFIG, 1, ("W_q", "W_v")).total
    places = counting.count_lora(CONFIG, 1, ("W_k", "W_v", "W_2")).total
    adam = exp(-0.01 * 30), exp(-0.01 * 3)
    return [
        ("01-volume-knobs", '"value": {}', [16 + 12]),
        ("01-volume-knobs", '"value": {}', [(2 + 1) * 16 + (16 + 1) * 12 + 12 + 1]),
        ("02-formulation", '"value": {}', [1 / 4]),
        ("03-geometry", '"value": {:.1f}', [geometry.read_svd(np.diag([-1.5, 0.4])).area_factor]),
        ("03-geometry", "which is {:.1f}° away", [geometry.turn_angle([1, 1], stretch)]),
        ("03-geometry", "misses {:.0%}", [turned(np.array([[c, s], [-s, c]]), base=np.eye(2)).missed_change]),
        ("04-counting", '"value": {}', [ia3.per_layer]),
        ("04-counting", '"value": {}', [heads]),
        ("04-counting", "trains {:,} numbers, IA³ {:,}", [queries, ia3.total]),
        ("04-counting", "At rank 2 it has {:,} numbers", [2 * queries]),
        ("04-counting", "It has {:,} numbers, {:.2f} times", [lora.total // 8, lora.total / 8 / ia3.total]),
        ("04-counting", "which is {:.2f} at rank 8", [7 * 8 / 3]),
        ("04-counting", "would add {:,} numbers at rank 8", [gated]),
        ("04-counting", "614,400 · 4 = {:,} bytes. A gigabyte holds {:.0f}", [ia3.bytes(), 1e9 // ia3.bytes()]),
        ("04-counting", "{:.0f} MB of {:.1f} GB", [saved / 1e6, 2 * llama.base_parameters / 1e9]),
        ("05-from-scratch", '"value": {}', [2 * 512 + 2048]),
        ("06-peft", "One in {:.0f}.", [605_954 / (605_954 - 592_130)]),
        ("06-peft", "{:,} numbers are for the queries", [gpt2.num_layers * gpt2.d_model]),
        ("06-peft", "three vectors would have {:,}", [counting.count_ia3(gpt2).total]),
        ("07-how-a-vector-trains", '"value": {:.2f}', [1 + 1000 * 1e-4 / 2]),
        ("07-how-a-vector-trains", '"value": {:.2f}', [adam[0]]),
        ("07-how-a-vector-trains", "it would be {:.2f}", [adam[1]]),
        ("07-how-a-vector-trains", "number above 1 is {:.4f}", [1 + torch.finfo(torch.bfloat16).eps]),
        ("07-how-a-vector-trains", "half of that gap, {:.4f}", [torch.finfo(torch.bfloat16).eps / 2]),
        ("08-what-ia3-learns", '"value": {:.2f}', [1 / (1 + 3)]),
        ("09-ia3-or-lora", "{:,.0f} times as many numbers", [CONFIG.base_parameters / small]),
        ("09-ia3-or-lora", "IA³ has {:,} numbers", [small]),
        ("09-ia3-or-lora", "Four bytes each: {:,}", [4 * small]),
        ("09-ia3-or-lora", "{:,} against IA³'s {:,}", [lone, small]),
        ("09-ia3-or-lora", "It has {:,} numbers", [places]),
    ]


def test_the_numbers_of_the_answers_come_out() -> None:
    texts = {chapter: json.dumps([*questions(chapter).values()], ensure_ascii=False) for chapter in CHAPTERS}
    for chapter, claim, values in numbers():
        assert claim.format(*values) in texts[chapter]
        assert claim.format(*(7 * value for value in values)) not in texts[chapter]  # the control


def test_the_goals_are_met_by_what_they_say_and_by_nothing_else_that_the_menu_offers() -> None:
    """The calculator's models, the merge through GELU, and the head's output."""
    llama = get_preset("llama-7b")
    larger = [name for name, config in PRESETS.items() if config.base_parameters > llama.base_parameters]
    small = [name for name in larger if counting.count_ia3(get_preset(name)).total < counting.count_ia3(llama).total]
    question = questions("04-counting")["larger-smaller"]
    assert question["goal"][0] == ["preset", "in", sorted(small)]
    named = [name for one in question["wrong"] for name in one["goal"][0][2]]
    assert {*named, "llama-7b", "custom"} >= {*PRESETS, "custom"}
    a, gains = torch.linspace(-3, 3, 61)[:, None], torch.tensor([0.0, 1.0, 0.5, 2.0, -1.0])
    assert ((gelu(gains * a) - gains * gelu(a)).abs().amax(0) < 1e-6).tolist() == [True, True, False, False, False]
    assert torch.allclose(relu(2 * a), 2 * relu(a)) and not torch.allclose(relu(-a), -relu(a))
    head, changed = (widgets.AttentionHead(**how) for how in ({}, WATCHED["02-formulation"][1][0]))
    (out, weights), (erased, same) = head.attention(), changed.attention()
    assert np.array_equal(weights, same) and not erased[:, 1].any() and np.array_equal(out[:, 2], erased[:, 2])


# --- in the browser ----------------------------------------------------------------------------------------------


@pytest.mark.browser
@each_chapter
def test_each_answer_gets_its_own_sentence(js, chapter: str) -> None:
    judge = js(Quiz)
    for each in questions(chapter).values():
        for i, option in enumerate(each.get("options", [])):
            right = option.get("right", False)
            assert judge("judge", each, i) == {"right": right, "text": each["right"] if right else option["why"]}
        if "value" in each:
            assert judge("judge", each, f" {each['value']:,} %") == {"right": True, "text": each["right"]}
            for one in each["wrong"]:
                said = judge("judge", each, str(one["value"]).replace("-", "\u2212"))
                assert said == {"right": False, "text": one["why"]}
            assert judge("judge", each, "123456789")["text"] == each["hint"]
            assert judge("judge", each, "many")["text"].startswith("Type a number")
    assert judge("judge", {"options": [{"right": True}], "right": "yes"}, -1) is None


@pytest.mark.browser
@pytest.mark.parametrize("chapter", WATCHED)
def test_a_goal_is_met_by_its_answer_not_by_the_widget_as_it_opens_and_names_traits_that_there_are(js, chapter) -> None:
    name, answers = WATCHED[chapter]
    (question,) = [each for each in questions(chapter).values() if "goal" in each]
    if not (start := STARTS.get(name)):
        start = (widget := getattr(widgets, name)()).get_state(re.findall(r"(\w+)=", repr(widget)))
    paths = [goal[0].split(".")[0] for one in (question, *question["wrong"]) for goal in one["goal"]]
    assert {*paths} <= {*start}
    assert not (js(Quiz)("judge", question, start) or {}).get("right")
    for answer in answers:
        assert js(Quiz)("judge", question, start | answer) == {"right": True, "text": question["right"]}


BLOCKED = "Object.defineProperty(window, 'localStorage', { get() { throw new Error('blocked'); } });"


@pytest.mark.browser
def test_a_reader_answers_with_keys_is_told_leaves_comes_back_and_starts_over(widget_page) -> None:
    page = widget_page(Quiz("04-counting"), width=390)
    frame, said = page.locator(".ia3-quiz"), page.locator("[role=status]:visible")
    check, height = page.get_by_role("button", name="Check"), frame.bounding_box()["height"]
    assert_fits(page)
    assert smallest_side(page.locator(".ia3-button, .quiz-option").locator("visible=true")) >= 37
    assert violations(page) == []
    page.get_by_role("textbox", name="Your number").press_sequentially("15,104\n")
    assert said.inner_text().startswith("Not yet. One vector is missing")
    assert page.evaluate("document.activeElement.type") == "text"
    page.get_by_role("button", name="Show the answer").click()
    assert said.inner_text().startswith("Answer: 19,200.") and frame.get_by_text("0 of 7 right").is_visible()
    page.get_by_role("textbox").fill("19200")
    check.press("Enter")
    assert said.inner_text().startswith("Right. ") and page.evaluate("document.activeElement.textContent") == "Check"
    keys = {1: ["ArrowLeft", "End", "ArrowRight"], 7: ["ArrowRight", "Home"], 2: ["ArrowRight"]}
    for number in (1, 7, 1, 7, 1, 2):
        page.get_by_role("tab", name=f"Question {number}").press(keys[number].pop(0))
    assert page.evaluate("document.activeElement.ariaLabel") == "Question 3"
    assert page.locator("[role=tab][tabindex='0']").count() == 1
    for key in ("Space", "ArrowDown"):
        page.locator(":checked:visible, [type=radio]:visible").first.press(key)
    check.press("Enter")
    assert said.inner_text().startswith("Right. LoRA of rank 1") and frame.bounding_box()["height"] == height
    stored = page.evaluate("JSON.parse(localStorage['ia3-quiz'])")
    assert stored == {"04-counting": {"done": ["one-block", "always-smaller"], "of": 7}}
    page.reload()
    page.wait_for_selector("[aria-selected=true][aria-label='Question 2']")
    page.get_by_role("tab", name="Question 1, answered").click()
    assert said.inner_text().startswith("Right. ") and page.get_by_role("textbox").input_value() == "19200"
    page.get_by_role("tab", name="Question 4").click()
    page.locator("[type=radio]:visible").last.press("Enter")
    assert said.inner_text().startswith("Not yet. ")
    page.get_by_role("button", name="Start over").click()
    assert page.evaluate("JSON.parse(localStorage['ia3-quiz'])['04-counting'].done") == []
    assert said.inner_text() == "" == page.get_by_role("textbox").input_value()
    page.get_by_role("tab", name="Question 4").click()
    assert said.inner_text() == "" and page.get_by_role("button", name="Start over").is_disabled()


@pytest.mark.browser
def test_the_widget_comes_to_the_question_and_setting_it_is_the_answer(widget_page) -> None:
    page = widget_page(Quiz("02-formulation", watch=widgets.AttentionHead()))
    page.get_by_role("tab", name="Question 8").click()
    page.get_by_role("button", name="Show the widget here").click()
    page.get_by_role("button", name="Value \u201caction\u201d off").click()
    page.get_by_text("1 of 8 right").wait_for()
    assert trait(page, "chapter", "Quiz") == "02-formulation"
    assert page.locator(".quiz-said:visible").inner_text().startswith("Right. ")
    page.get_by_role("button", name="Start over").click()
    page.get_by_role("tab", name="Question 8").click()
    page.get_by_role("button", name="Key \u201cperson\u201d off").click()
    assert page.locator(".quiz-said:visible").inner_text() == ""
    page.get_by_role("slider", name="l_v, value feature action").press("Home")
    assert violations(page) == []


@pytest.mark.browser
def test_a_browser_that_keeps_nothing_asks_all_the_same(widget_page) -> None:
    page = widget_page(Quiz("06-peft"))
    page.add_init_script(BLOCKED)
    page.reload()
    page.get_by_text("It moves the layer").click()
    page.get_by_role("button", name="Check").click()
    assert page.get_by_text("1 of 8 right").is_visible()
