"""What a reader may type, right or wrong: the right answer is right, no other is, and nothing ever raises."""

import math

import numpy as np
import pytest
import torch

from ia3_lab.exercises import check

WRONG = {"look again": lambda given: np.any(given != [1, 0, 2]) if np.ndim(given) else given != 2}
WORD = {"another word": lambda word: word != "lora"}
FAILS = {"it raises": lambda given: 1 / 0}
ONE = [2, 2.0, "2", " 2.0 ", "2e0", [2], (2,), [[2]], np.int8(2), np.float16(2), np.array([2]), torch.tensor(2)]
ONE += [torch.tensor([2.0], requires_grad=True), torch.tensor([[2]], dtype=torch.bfloat16), lambda: 2, range(2, 3)]
SEVERAL = [[1, 0, 2], (1, 0.0, 2), [["1", 0, "2"]], ["1", "0", "2.0"], [True, False, 2], [torch.tensor(1), 0, 2]]
SEVERAL += [np.array([1, 0, 2], kind) for kind in ("i1", "u8", "f2", "f8", "O", "U3")] + [np.array([[1], [0], [2]])]
SEVERAL += [torch.tensor([1, 0, 2], dtype=kind) for kind in (torch.bfloat16, torch.half, torch.int64)]
SEVERAL += [torch.tensor([[1.0, 0, 2]], requires_grad=True), lambda: [1, 0, 2]]
WORDS = ["lora", "LoRA", " LORA\n", ["Lora"], np.array("lora"), np.array(["LoRA"], dtype=object), lambda: "lora"]
NOT_GIVEN = [None, ..., [None] * 3, [1, None, 2], (1, ..., 2), np.array([1, None, 2]), lambda: None]
NOT_FINITE = [kind([1, 0, x]) for x in (math.nan, math.inf, -math.inf) for kind in (list, np.array, torch.tensor)]
NOT_FINITE += [math.nan, "nan", "inf", "-Infinity", np.float32("nan"), torch.tensor(math.inf), ["1", "0", "NaN"]]
MISREAD = [{"a": 1}, {1, 0, 2}, object(), [1, [0, 2]], [[1, 0], [2]], [], "", [1, 0], [1, 0, 2, 3], np.ones((3, 3))]
MISREAD += [1j, [1, 0, "x"], "1, 0, 2", b"2", type, lambda given: given, lambda: 1 / 0, lambda: [1, [2]], iter([1, 2])]


@pytest.mark.parametrize(
    ("answers", "mistakes", "shape"), [(ONE, WRONG, ()), (SEVERAL, WRONG, (3,)), (WORDS, WORD, ())]
)
def test_the_right_answer_is_right_however_it_is_typed_and_the_controls_are_not(answers, mistakes, shape) -> None:
    assert {check(answer, mistakes, shape=shape) for answer in answers} == {"right"}
    for control in (7, "7", "ia3", [1, 2, 0], range(3), np.array([1, 0, -2]), torch.tensor([1, 0, 3]), True):
        assert check(control, mistakes, shape=shape).startswith("not yet: ")


@pytest.mark.parametrize("shape", [(), (3,)])
def test_what_is_no_answer_is_never_right_and_nothing_raises(shape: tuple[int, ...]) -> None:
    for mistakes in ({}, WRONG, FAILS):
        assert {check(answer, mistakes, shape=shape) for answer in NOT_GIVEN} == {"not yet: fill in your answer"}
        assert "right" not in {check(answer, mistakes, shape=shape) for answer in NOT_FINITE}
    assert "right" not in {check(answer, one, shape=shape) for answer in MISREAD for one in (WRONG, WORD, FAILS)}
    for answer, mistakes in ((lambda: 1 / 0, {}), ([3] * 3 if shape else 3, FAILS)):
        told = check(answer, mistakes, shape=shape)
        assert told == "not yet: checking it failed with ZeroDivisionError: division by zero"
