"""The results that the book prints: complete, on today's sentences, made under the protocol that its page describes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ia3_lab import pretrained, protocol, tasks
from ia3_lab.methods import METHODS

BOOK = Path(__file__).resolve().parent.parent / "book"
PAGE = (BOOK / "protocol.md").read_text("utf8")


@pytest.fixture(scope="module")
def results() -> protocol.Results:
    return protocol.read_results()


@pytest.fixture(scope="module")
def chosen(results: protocol.Results) -> dict[str, protocol.Trial]:
    return protocol.choose_settings(results)


def test_every_run_of_the_protocol_is_there_and_no_other(results, chosen) -> None:
    trials = {method: protocol.search(method, results).tried for method in METHODS}
    expected = {
        run for method, tried in trials.items() for trial in tried for run in protocol.search_runs(method, trial)
    }
    assert set(results) == expected | set(protocol.final_runs(chosen))
    assert protocol.missing_runs(results) == []


def test_the_runs_were_made_on_the_sentences_that_the_tasks_have_now() -> None:
    protocol.check_tasks()
    recorded = [environment.get("tasks", {}) for environment in protocol.read_environments()]
    assert set().union(*recorded) == set(tasks.TASKS)


def test_versions_machine_and_weights_are_recorded() -> None:
    for environment in protocol.read_environments():
        assert environment["weights"] == pretrained.DIGESTS["model.safetensors"]
        assert {"python", "torch", "transformers", "machine", "device"} <= environment.keys()


def test_no_chosen_value_is_at_an_end_of_what_was_tried(results, chosen) -> None:
    for method, trial in chosen.items():
        tried = protocol.search(method, results).tried
        assert len(tried) <= protocol.BUDGET
        for axis in protocol.Trial._fields:
            values, value = {getattr(each, axis) for each in tried}, getattr(trial, axis)
            if value is not None and not (method == "head" and axis == "lr"):
                assert min(values) < value < max(values), (method, axis)


def test_the_recorded_parameters_are_the_formula_s(results) -> None:
    for run, result in results.items():
        assert result.parameters == METHODS[run.method].count(pretrained.CONFIG)


def test_the_page_says_what_the_code_does() -> None:
    for k in protocol.SHOTS:
        assert re.search(rf"\b{k}\b", PAGE)
    for number in (*protocol.SEARCH_DRAWS, protocol.BUDGET, protocol.SEARCH_SHOTS):
        assert re.search(rf"\b{number}\b", PAGE), number
    assert f"draws {protocol.DRAWS[0]} to {protocol.DRAWS[-1]}" in PAGE
    for name in tasks.TASKS:
        assert f"| `{name}` |" in PAGE
        assert len(tasks.get_task(name).split("test")) == 240
    cells = {(run.task, run.k) for run in protocol.final_runs(dict.fromkeys(METHODS, protocol.Trial(0, 0, 0)))}
    assert len(cells) == 13
    assert f"{len(cells) * (len(METHODS) - 1)} intervals" in PAGE.replace("\n", " ")
    for method in METHODS.values():
        first = method.label.split(" r = ")[0]
        assert f"| {first}" in PAGE, method.label


def test_chapter_6_trains_with_the_settings_that_the_search_chose() -> None:
    source = (BOOK / "06-what-ia3-learns.ipynb").read_text("utf8")
    assert "chosen = protocol.choose_settings(protocol.read_results())" in source
    assert "training.Settings(**chosen[method].values())" in source


def test_the_page_states_where_every_search_starts_and_the_log_has_those_trials(results) -> None:
    rows = {row[0]: row[1:] for row in re.findall(r"\| ([^|]+) \| ([-\d.]+) \| ([\d.]+) \| (\d+) \|", PAGE)}
    lora = "LoRA (all four), BitFit, LayerNorm tuning"
    names = {"head": "head only", "ia3": "IA³, middle of its grid", "full": "full fine-tuning"}
    for method in METHODS:
        lr, head_lr, steps = rows[names.get(method, lora)]
        tried = [trial.values() for trial in protocol.search(method, results).tried]
        assert {"lr": 0.0 if lr == "-" else float(lr), "head_lr": float(head_lr), "steps": int(steps)} in tried
    assert len(rows) == 4


def test_the_log_names_the_digests_of_all_tasks_from_the_line_that_the_page_says_on() -> None:
    line = int(re.search(r"from its (\d+)th line on", PAGE)[1])
    entries = [n for n, entry in protocol._entries(None) if "environment" in entry]
    digests = [set(environment["tasks"]) for environment in protocol.read_environments()]
    assert next(n for n, known in zip(entries, digests, strict=True) if known == set(tasks.TASKS)) == line
    assert digests[0] == set(protocol.HEADLINE_TASKS)
