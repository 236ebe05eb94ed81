"""The seconds of a training step: every method in every round, nothing of the base changed, a damaged file refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ia3_lab import step_times
from ia3_lab.methods import METHODS


def test_every_method_has_a_turn_in_every_round_and_the_order_goes_round(base: Any, monkeypatch: Any) -> None:
    turns, models = [], {}

    def adapt(given: Any, name: str, num_labels: int) -> Any:
        models[name] = made = real_adapt(given, name, num_labels)
        return made

    def train(model: Any, batch: Any, settings: Any, *, adapter: Any) -> Any:
        turns.append(next(name for name, made in models.items() if made.model is model))
        return step_times.training.History((0.7,), seconds=0.008 * (1 + len(turns)))

    real_adapt = step_times.experiments.adapt
    monkeypatch.setattr(step_times.experiments, "adapt", adapt)
    monkeypatch.setattr(step_times.training, "train", train)
    found = step_times.measure_step_times(base, rounds=2)
    names = list(METHODS)
    assert turns == names + names[1:] + names[:1] + names[2:] + names[:2]
    assert all(len(times) == 2 for times in found.values()), "the round that warms up is left out"
    assert found[names[1]][0] == pytest.approx((1 + 10) * 0.008 / step_times.STEPS)


@pytest.mark.parametrize("rounds", [0, 1.5, True])
def test_a_number_of_rounds_that_is_none_is_refused(base: Any, rounds: Any) -> None:
    with pytest.raises((ValueError, TypeError), match="rounds"):
        step_times.measure_step_times(base, rounds=rounds)


def test_the_stored_times_are_complete_and_say_where_they_come_from() -> None:
    seconds, environment = step_times.read_step_times()
    assert list(seconds) == list(METHODS)
    assert {len(times) for times in seconds.values()} == {30}
    assert environment.keys() == {"machine", "torch"}
    ratio = np.median(np.array(seconds["full"]) / np.array(seconds["ia3"]))
    assert ratio > 1.2, "a step of full fine-tuning has more to do"


def doctored(**changes: Any) -> dict[str, Any]:
    seconds, environment = step_times.read_step_times()
    return {"seconds": {name: times[:2] for name, times in seconds.items()}, "environment": environment} | changes


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("{", "is damaged"),
        (json.dumps([1]), "is damaged"),
        (json.dumps({"seconds": {}}), "is damaged"),
        (json.dumps(doctored(seconds={"ia3": [1.0]})), "expected times of head, ia3"),
        (json.dumps(doctored(seconds=doctored()["seconds"] | {"ia3": [1.0]})), "as many rounds"),
        (json.dumps(doctored(seconds={key: [] for key in METHODS})), "as many rounds"),
        (json.dumps(doctored(seconds=doctored()["seconds"] | {"ia3": [-1.0, 1.0]})), "a time of ia3 must be"),
    ],
)
def test_a_damaged_file_is_refused_with_what_to_do(tmp_path: Path, content: str, says: str) -> None:
    path = tmp_path / "times.json"
    path.write_text(content)
    with pytest.raises(ValueError, match=rf"(?s){says}.*make it anew with `make step-times`"):
        step_times.read_step_times(path)


def test_a_whole_file_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / "times.json"
    path.write_text(json.dumps(doctored()))
    assert step_times.read_step_times(path)[0] == doctored()["seconds"]
    with pytest.raises(FileNotFoundError):
        step_times.read_step_times(tmp_path / "none.json")
