"""The protocol: which runs there are, the search rule, the results file, and what is read from it."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

from ia3_lab import protocol
from ia3_lab.intervals import interval
from ia3_lab.methods import METHODS
from ia3_lab.protocol import Result, Run, Trial

CHOSEN = dict.fromkeys(METHODS, Trial(-6, -11, 1))


def result(accuracy: float = 0.75, loss: float = 0.5) -> Result:
    return Result(accuracy=accuracy, loss=loss, train_loss=0.1, kept=0.9, parameters=10, seconds=1.5)


def answer_all(method: str, landscape: Callable[[Trial], float]) -> protocol.Search:
    """Follow the search with results read off a landscape, until it is done."""
    results = {}
    while True:
        state = protocol.search(method, results)
        if not state.wanted:
            return state
        for trial in state.wanted:
            results |= {run: result(landscape(trial)) for run in protocol.search_runs(method, trial)}


def hill(top: Trial) -> Callable[[Trial], float]:
    """A landscape with one top, which falls by 0.01 a unit along every axis."""
    return lambda trial: 0.9 - 0.01 * sum(abs((a or 0) - (b or 0)) for a, b in zip(trial, top, strict=True))


def test_the_comparison_has_every_cell_draw_and_method_once() -> None:
    runs = protocol.final_runs(CHOSEN)
    assert len(runs) == len(set(runs)) == (2 * 5 + 3) * 8 * 9
    assert {(run.task, run.k) for run in runs if run.task not in protocol.HEADLINE_TASKS} == {
        ("number", 32),
        ("tense", 32),
        ("act", 32),
    }
    assert len(protocol.DRAWS) >= 8
    assert not set(protocol.DRAWS) & set(protocol.SEARCH_DRAWS)


@pytest.mark.parametrize(
    "top", [Trial(-6, -11, 1), Trial(-9, -13, 0), Trial(-1, -7, 2), Trial(-12, -11, 3), Trial(-7, -15, 1)]
)
def test_the_search_climbs_a_hill_and_brackets_its_top(top: Trial) -> None:
    state = answer_all("ia3", hill(top))
    assert state.chosen.lr == top.lr
    assert state.chosen.steps == top.steps
    assert abs(state.chosen.head_lr - top.head_lr) <= 1  # the head's grid has a stride of half a decade
    for axis in Trial._fields:
        line, value = {getattr(trial, axis) for trial in state.tried}, getattr(state.chosen, axis)
        assert min(line) < value < max(line), f"{axis} is at an end of {sorted(line)}"
    assert len(state.tried) <= protocol.BUDGET


def test_the_head_alone_has_no_second_learning_rate() -> None:
    state = answer_all("head", hill(Trial(None, -6, 1)))
    assert state.chosen == Trial(None, -6, 1)
    assert all(trial.lr is None for trial in state.tried)
    assert Trial(None, -6, 1).values()["lr"] == 0


@pytest.mark.parametrize("seed", range(20))
def test_on_any_landscape_the_chosen_value_is_never_at_an_end_of_what_was_tried(seed: int) -> None:
    generator = random.Random(seed)
    noise: dict[Trial, float] = {}
    rough = lambda trial: hill(Trial(-7, -11, 1))(trial) + noise.setdefault(trial, generator.gauss(0, 0.02))  # noqa: E731
    try:
        state = answer_all("lora-r4-qv", rough)
    except ValueError as error:
        assert "no optimum inside the grid" in str(error)
        return
    rates = [t.lr for t in state.tried if t[1:] == state.chosen[1:]]
    assert min(rates) < state.chosen.lr < max(rates)
    assert all(state.tried[state.chosen] >= state.tried[t] for t in state.tried if t[1:] == state.chosen[1:])


def test_a_landscape_without_a_top_uses_up_the_budget_and_says_so() -> None:
    with pytest.raises(ValueError, match=f"bitfit: no optimum inside the grid after {protocol.BUDGET} trials"):
        answer_all("bitfit", lambda trial: 0.5 + 0.001 * (trial.lr + 30))


def test_equal_accuracies_are_told_apart_by_the_loss() -> None:
    first, second = Trial(-6, -11, 1), Trial(-5, -11, 1)
    results = {run: result(0.8, 0.4) for run in protocol.search_runs("ia3", first)}
    results |= {run: result(0.8, 0.3) for run in protocol.search_runs("ia3", second)}
    scores = [protocol._score("ia3", trial, results) for trial in (first, second)]
    assert scores[0] < scores[1]
    assert protocol._score("ia3", Trial(0, 0, 0), results) is None


def test_choosing_before_the_search_ends_is_refused() -> None:
    with pytest.raises(ValueError, match=r"the search has not ended for head, ia3.*make experiments"):
        protocol.choose_settings({})


def test_missing_runs_are_the_search_first_and_the_comparison_after() -> None:
    results: dict[Run, Result] = {}
    stages = []
    while missing := protocol.missing_runs(results):
        stages.append({run.stage for run in missing})
        for run in missing:
            far = abs(math.log10((run.lr or 0.01) / 0.01)) + abs(math.log10(run.head_lr / 0.003))
            far += abs(math.log2(run.steps / 24))
            results[run] = result(0.5 if run.stage == "final" else round(0.9 - far / 20, 6))
    assert stages[-1] == {"final"}
    assert all(stage == {"search"} for stage in stages[:-1])
    assert set(protocol.final_runs(protocol.choose_settings(results))) <= set(results)


# --- the results file ----------------------------------------------------------------------------------------------


def log(path: Path, *lines: str) -> Path:
    path.write_text("".join(lines), encoding="utf8")
    return path


RUN = protocol.final_runs(CHOSEN)[0]
OTHER = protocol.final_runs(CHOSEN)[1]
ENVIRONMENT = protocol.json_line({"environment": {"torch": "2.13.0"}})


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    lines = [ENVIRONMENT, protocol.line_for(RUN, result()), protocol.line_for(OTHER, result(0.5))]
    path = log(tmp_path / "runs.jsonl", *lines)
    assert protocol.read_results(path) == {RUN: result(), OTHER: result(0.5)}
    assert protocol.read_environments(path) == [{"torch": "2.13.0"}]


def test_a_last_line_that_was_cut_short_counts_as_not_made(tmp_path: Path) -> None:
    cut = protocol.line_for(OTHER, result())[:-30]
    assert protocol.read_results(log(tmp_path / "runs.jsonl", protocol.line_for(RUN, result()), cut)) == {RUN: result()}


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda line: line[:50] + "\n", "damaged: "),
        (lambda line: line.replace('"accuracy": 0.75', '"accuracy": 1.75'), r"accuracy and kept are at most 1"),
        (lambda line: line.replace('"accuracy": 0.75', '"accuracy": NaN'), "accuracy must be a finite number"),
        (lambda line: line.replace('"accuracy": 0.75', '"accuracy": "0.75"'), "accuracy must be a number, got '0.75'"),
        (
            lambda line: line.replace('"accuracy": 0.75', '"accuracy": -0.1'),
            "accuracy must be a finite number of at le",
        ),
        (lambda line: line.replace('"kept": 0.9', '"kept": 1.5'), "accuracy and kept are at most 1"),
        (lambda line: line.replace('"parameters": 10', '"parameters": "10"'), "parameters must be a whole number"),
        (lambda line: line.replace('"k": 8', '"k": "8"'), "k must be a whole number, got '8'"),
        (lambda line: line.replace('"draw": 0', '"draw": null'), "draw must be a whole number, got None"),
        (lambda line: line.replace('"lr": 0.0316', '"lr": "a"'), "lr must be a number, got 'a'"),
        (lambda line: line.replace('"head"', '["head"]'), r"unknown method \['head'\]"),
        (lambda line: line.replace('"result"', '"extra": 1, "result"'), "expected an object with a run and its result"),
        (lambda line: line.replace('"result"', '"environment"'), "expected an object with a run and its result"),
        (lambda line: '{"environment": 3}\n', "expected an environment of names and values"),
        (lambda line: '{"environment": {"tasks": 3}}\n', "digests by task in it"),
        (lambda line: "[" * 100_000 + "\n", "recursion"),
        (lambda line: line.replace('"loss": 0.5, ', ""), "missing 1 required positional argument: 'loss'"),
        (lambda line: line.replace('"ia3"', '"ia33"').replace('"head"', '"haed"'), "unknown method 'haed'"),
        (lambda line: line.replace('"sentiment"', '"sentimint"'), "unknown task 'sentimint'; did you mean"),
        (lambda line: line + line, "is there already"),
        (lambda line: "[1, 2]\n", "expected an object"),
    ],
)
def test_a_damaged_file_is_refused_with_what_to_do(tmp_path: Path, damage: Callable, reason: str) -> None:
    path = log(tmp_path / "runs.jsonl", ENVIRONMENT, damage(protocol.line_for(RUN, result())), ENVIRONMENT)
    with pytest.raises(ValueError, match=reason) as caught:
        protocol.read_results(path)
    assert "line 2 of" in str(caught.value) or "line 3 of" in str(caught.value)
    assert "Delete that line and run `make experiments`" in str(caught.value)
    assert ".. Delete" not in str(caught.value)


@pytest.mark.parametrize(
    "content",
    [
        "my notes",
        "{",
        '{"run": this is my diary',
        '{"environment": "production", "debug": false}',
        '{"environment": {"torch": "2',
        f"{ENVIRONMENT}\0\0\0",
        f'{ENVIRONMENT}{{"run": this is my diary',
        f'{ENVIRONMENT}{{"run": {{"stage": "final"\r{{"run"',
        f"{ENVIRONMENT}3",
        ENVIRONMENT.replace("\n", "\r") * 2,
    ],
)
def test_an_end_that_is_no_entry_of_ours_cut_short_is_refused(tmp_path: Path, content: str) -> None:
    path = log(tmp_path / "notes.txt", content)
    with pytest.raises(ValueError, match=r"line [12] of .*notes.txt is damaged: .*; if it is no results file, choose"):
        protocol.read_results(path)
    assert protocol.cut_short(path) == b""


def test_a_last_line_may_be_cut_anywhere_and_counts_if_only_its_end_is_missing(tmp_path: Path) -> None:
    whole = protocol.line_for(RUN, result())
    for cut in range(len(whole) - 1):
        path = log(tmp_path / "runs.jsonl", ENVIRONMENT, whole[:cut])
        assert protocol.read_results(path) == {}
        assert protocol.cut_short(path) == whole[:cut].encode()
    path = log(tmp_path / "runs.jsonl", ENVIRONMENT, whole[:-1])
    assert protocol.read_results(path) == {RUN: result()}
    assert protocol.cut_short(path) == b""
    path = log(tmp_path / "runs.jsonl", ENVIRONMENT, whole, whole[:-1])
    with pytest.raises(ValueError, match=r"line 3 of .* is there already"):
        protocol.read_results(path)


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    (tmp_path / "runs.jsonl").write_bytes(ENVIRONMENT.encode() + b'{"run": "\xff"}\n')
    with pytest.raises(ValueError, match=r"line 2 of .* can't decode byte 0xff"):
        protocol.read_results(tmp_path / "runs.jsonl")


def test_line_ends_and_marks_of_other_systems_do_no_harm(tmp_path: Path) -> None:
    content = ENVIRONMENT.encode() + protocol.line_for(RUN, result()).encode()
    for other in (content.replace(b"\n", b"\r\n"), b"\xef\xbb\xbf" + content):
        (tmp_path / "runs.jsonl").write_bytes(other)
        assert protocol.read_results(tmp_path / "runs.jsonl") == {RUN: result()}


def test_results_for_other_sentences_are_refused(tmp_path: Path) -> None:
    right = {"environment": {"tasks": {"agent": protocol.task_digest("agent")}}}
    protocol.check_tasks(log(tmp_path / "right.jsonl", protocol.json_line(right)))
    wrong = {"environment": {"tasks": {"agent": protocol.task_digest("sentiment")}}}
    with pytest.raises(ValueError, match="sentences of task 'agent' have changed"):
        protocol.check_tasks(log(tmp_path / "wrong.jsonl", protocol.json_line(wrong)))
    gone = {"environment": {"tasks": {"weather": "0"}}}
    with pytest.raises(ValueError, match=r"sentences of task 'weather' have changed.* move the file away"):
        protocol.check_tasks(log(tmp_path / "gone.jsonl", protocol.json_line(gone)))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"stage": "finals"}, r"unknown stage 'finals'; did you mean 'final'\? The stages are search, final"),
        ({"task": "film"}, "unknown task 'film'.* The tasks are sentiment"),
        ({"method": "lora"}, "unknown method 'lora'; did you mean"),
        ({"k": 0}, "k must be at least 1, got 0"),
        ({"draw": -1}, "draw must be at least 0, got -1"),
        ({"steps": 2.0}, "steps must be a whole number, got 2.0"),
        ({"lr": -0.1}, "lr must be a finite number of at least 0, got -0.1"),
        ({"head_lr": None}, "head_lr must be a number, got None"),
    ],
)
def test_a_run_that_the_protocol_does_not_know_is_refused(changes: dict, message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        replace(RUN, **changes)


# --- statistics ----------------------------------------------------------------------------------------------------


def test_a_paired_difference_is_taken_draw_by_draw() -> None:
    generator = random.Random(0)
    level = [generator.random() / 2 for _ in protocol.DRAWS]
    results = {}
    for run in protocol.final_runs(CHOSEN):
        bonus = {"ia3": 0.25, "head": 0.0}.get(run.method, 0.1)
        results[run] = result(level[run.draw] + bonus)
    found = protocol.paired_difference(results, "agent", 16, "ia3", "head")
    assert (found.mean, found.low, found.high) == pytest.approx((0.25, 0.25, 0.25))
    alone = interval(protocol.scores(results, "agent", 16, "ia3"))
    assert alone.high - alone.low > 0.1  # the control: unpaired, the draws' own spread would hide it
    del results[next(run for run in results if (run.task, run.k, run.method, run.draw) == ("agent", 16, "ia3", 3))]
    with pytest.raises(ValueError, match=r"no run of ia3 on agent with k = 16 for draws \[3\]"):
        protocol.scores(results, "agent", 16, "ia3")


def test_runs_with_different_settings_are_not_mixed() -> None:
    results = dict.fromkeys(protocol.final_runs(CHOSEN), result())
    other = next(run for run in results if (run.task, run.k, run.method, run.draw) == ("agent", 16, "ia3", 3))
    results[replace(other, lr=0.5)] = result(0.25)
    with pytest.raises(ValueError, match=r"different settings .*: \(0.0316, 0.00178, 24\), \(0.5, 0.00178, 24\)"):
        protocol.scores(results, "agent", 16, "ia3")
    assert protocol.scores(results, "agent", 32, "ia3").tolist() == [0.75] * len(protocol.DRAWS)


@pytest.mark.parametrize("results", [None, [], [RUN]])
def test_results_that_are_no_mapping_are_refused(results: object) -> None:
    for call in (
        lambda: protocol.search("ia3", results),
        lambda: protocol.choose_settings(results),
        lambda: protocol.missing_runs(results),
        lambda: protocol.scores(results, "agent", 16, "ia3"),
    ):
        with pytest.raises(TypeError, match="results must be a mapping of Run to Result, such as read_results returns"):
            call()


def test_settings_that_are_missing_or_no_point_of_the_grid_are_refused() -> None:
    with pytest.raises(ValueError, match="expected a trial for each method, there is none for head, ia3, "):
        protocol.final_runs({})
    for trial, name in ((Trial(math.nan, 0, 0), "lr"), (Trial(0, None, 0), "head_lr"), (Trial(0, 0, 0.5), "steps")):
        with pytest.raises(TypeError, match=rf"{name} of Trial\(.*\) must be a whole number"):
            trial.values()


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (("sentimant", 8, "ia3"), "unknown task 'sentimant'; did you mean 'sentiment'"),
        (("sentiment", 8, "IA3"), "unknown method 'IA3'; did you mean 'ia3'"),
        (
            ("sentiment", 8, "ia3", "acc"),
            r"unknown measure 'acc'; did you mean 'accuracy'\? The measures are accuracy, l",
        ),
        (("number", 8, "ia3"), r"no run of ia3 on number with k = 8 for draws .* there are runs with k in \[32\]"),
        (("sentiment", "8", "ia3"), "with k = '8' .* there are runs with k in"),
    ],
)
def test_scores_that_are_not_there_are_refused_with_those_that_are(wanted: tuple, message: str) -> None:
    results = dict.fromkeys(protocol.final_runs(CHOSEN), result())
    assert len(protocol.scores(results, "number", 32, "ia3")) == len(protocol.DRAWS)
    with pytest.raises(ValueError, match=message):
        protocol.scores(results, *wanted)


def test_numpy_s_numbers_become_python_s() -> None:
    run = replace(RUN, k=np.int64(RUN.k), draw=np.int32(RUN.draw), lr=np.float32(0.5), steps=np.int64(24))
    plain = replace(RUN, lr=0.5, steps=24)
    measured = replace(result(), accuracy=np.float32(0.75), parameters=np.int64(10))
    assert protocol.line_for(run, measured) == protocol.line_for(plain, result())


def test_a_run_and_its_result_survive_json_exactly() -> None:
    run = protocol.final_runs(CHOSEN)[5]
    assert Run(**asdict(run)) == run
