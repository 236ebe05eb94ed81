"""The protocol and its results: which runs there are, the search rule, the log, the book's 1,680 runs and its sweep."""

import itertools
import json
import re
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ia3_lab import pretrained
from ia3_lab.study import protocol, results
from ia3_lab.study.methods import METHODS, SWEPT
from ia3_lab.study.protocol import Result, Run, Trial
from ia3_lab.study.runs import perform
from ia3_lab.study.tasks import TASKS, get_task
from ia3_lab.style import METHOD_STYLES

PAGE = " ".join((Path(__file__).resolve().parent.parent / "book" / "protocol.md").read_text("utf8").split())
LOG, RATES = results.read_log(), results.read_log(results.RATES)
CHOSEN = protocol.choose_settings(LOG)
RUN, OTHER = protocol.final_runs(CHOSEN)[:2]


def result(accuracy: float = 0.75, loss: float = 0.5) -> Result:
    return Result(accuracy=accuracy, loss=loss, train_loss=0.1, kept=0.9, parameters=10, seconds=1.5)


def answer_all(method: str, landscape: Callable[[Trial], float]) -> protocol.Search:
    """Follow the search with results read off a landscape, until it is done."""
    found: dict[Run, Result] = {}
    while (state := protocol.search(method, found)).wanted:
        height = {(*trial.values().values(),): landscape(trial) for trial in state.wanted}
        wanted = [run for run in protocol.missing_runs(found) if run.method == method]
        found |= {run: result(height[run.lr, run.head_lr, run.steps]) for run in wanted}
    return state


def hill(top: tuple) -> Callable[[Trial], float]:
    """A landscape with one top, which falls by 0.01 a unit along every axis."""
    return lambda trial: 0.9 - 0.01 * sum(abs((a or 0) - (b or 0)) for a, b in zip(trial, top, strict=True))


def at_an_end(trial: Trial, tried: Collection[Trial]) -> list[str]:
    """Return the axes on which a trial is the smallest or the largest; the head alone has no second learning rate."""
    values = {axis: {getattr(one, axis) for one in tried} for axis in Trial._fields if getattr(trial, axis) is not None}
    return [axis for axis, line in values.items() if getattr(trial, axis) in (min(line), max(line))]


@pytest.mark.parametrize("top", [(-6, -11, 1), (-9, -13, 0), (-1, -7, 2), (-12, -11, 3), (-7, -15, 1), (None, -6, 1)])
def test_the_search_climbs_a_hill_and_brackets_its_top_within_its_budget(top: tuple) -> None:
    lr, head_lr, steps = top
    state = answer_all("head" if lr is None else "ia3", hill(top))
    assert (state.chosen.lr, state.chosen.steps) == (lr, steps)
    assert abs(state.chosen.head_lr - head_lr) <= 1  # the head's grid has a stride of half a decade
    assert at_an_end(state.chosen, state.tried) == [] and len(state.tried) <= 18


def test_a_search_ends_within_its_budget_or_says_so_and_a_lower_loss_breaks_ties() -> None:
    with pytest.raises(ValueError, match="bitfit: no optimum inside the grid after 18 trials"):
        answer_all("bitfit", lambda trial: trial.lr / 1000)
    with pytest.raises(ValueError, match=r"has not ended for \['head', 'ia3', .*make experiments"):
        protocol.choose_settings({})
    wanted = [run for run in protocol.missing_runs({}) if run.method == "ia3"]
    found = {run: result(0.8, 0.3 if run.lr == 0.0316 else 0.4) for run in wanted}
    tried = protocol.search("ia3", found).tried
    assert max(tried, key=tried.get) == Trial(-6, -11, 1)


def test_what_is_written_is_read_back_up_to_a_last_line_that_was_cut_anywhere(tmp_path: Path) -> None:
    path, runs = tmp_path / "runs.jsonl", {RUN: result(), OTHER: result(0.5)}
    lines = [json.dumps({"run": run._asdict(), "result": runs[run]._asdict()}) + "\n" for run in runs]
    whole, last = '{"environment": {"torch": "2.13.0"}}\n' + lines[0], lines[1]
    for cut in range(len(last)):
        path.write_text(whole + last[:cut])
        assert results.read_log(path) == {RUN: result()}
    path.write_text(whole + last[:50] + "\n" + last)
    with pytest.raises(ValueError, match=r"line 3 of .*runs.jsonl is damaged: delete it and make its run again"):
        results.read_log(path)
    path.write_text(whole + last)
    assert results.read_log(path) == runs and results.read_environments(path) == [{"torch": "2.13.0"}]
    assert results.read_runs(path).to_dict("records") == [run._asdict() | runs[run]._asdict() for run in runs]


def test_a_paired_difference_is_taken_draw_by_draw() -> None:
    level, bonus = np.random.default_rng(0).random(len(protocol.DRAWS)) / 2, {"ia3": 0.25, "head": 0.0}
    found = [(run, result(level[run.draw] + bonus.get(run.method, 0.1))) for run in protocol.final_runs(CHOSEN)]
    rows = [run._asdict() | measured._asdict() for run, measured in reversed(found)]  # the order of a log is any
    table = results.by_draw(pd.DataFrame(rows), "agent", 16)
    assert list(table.index) == list(protocol.DRAWS)
    assert results.interval(table["ia3"] - table["head"]) == pytest.approx((0.25, 0.25, 0.25))
    alone = results.interval(table["ia3"])
    assert alone.high - alone.low > 0.1  # the control: unpaired, the draws' own spread would hide it
    with pytest.raises(ValueError, match="duplicate"):  # runs with other settings are not mixed in
        results.by_draw(pd.DataFrame([*rows, rows[0] | {"lr": 0.5}]), rows[0]["task"], rows[0]["k"])


def test_every_run_of_the_protocol_is_there_and_no_other_and_no_chosen_setting_is_at_an_end_of_what_was_tried() -> None:
    runs = protocol.final_runs(CHOSEN)
    assert len(runs) == len(set(runs)) == (2 * 5 + 3) * 8 * 9
    others = {(run.task, run.k) for run in runs if run.task not in protocol.HEADLINE_TASKS}
    assert others == {("number", 32), ("tense", 32), ("act", 32)}
    search = itertools.product(protocol.HEADLINE_TASKS, METHODS, (100, 101, 102))
    tried = {method: protocol.search(method, LOG).tried for method in METHODS}
    expected = {Run("search", t, 32, m, draw, **trial.values()) for t, m, draw in search for trial in tried[m]}
    assert set(LOG) == expected | set(runs)
    methods, sweep = METHODS | SWEPT, protocol.sweep_runs(CHOSEN)
    assert len(set(sweep)) == len(sweep) == (7 + 7 + 3) * 2 * 6 * 3 * 2 and set(RATES) == set(sweep)
    for run, found in (LOG | RATES).items():
        assert found.parameters == methods[run.method].count(pretrained.CONFIG)
    assert list(METHOD_STYLES) == list(methods) and list(CHOSEN) == list(METHODS)
    for method, trial in CHOSEN.items():
        assert at_an_end(trial, tried[method]) == [] and len(tried[method]) <= 18, method


def test_the_runs_were_made_with_today_s_weights_and_sentences_named_from_the_line_that_the_page_says_on() -> None:
    today = {name: get_task(name).digest() for name in TASKS}
    for environment in results.read_environments() + results.read_environments(results.RATES):
        assert environment["weights"] == pretrained.DIGESTS["model.safetensors"]
        assert {"python", "torch", "transformers", "machine", "device"} <= environment.keys()
        assert environment["tasks"].items() <= today.items()
    entries = enumerate(map(json.loads, results.FEW_SHOT.read_text("utf8").splitlines()), 1)
    named = {number: set(one["environment"]["tasks"]) for number, one in entries if "run" not in one}
    assert named == {1: set(protocol.HEADLINE_TASKS), int(re.search(r"from its (\d+)th line on", PAGE)[1]): set(TASKS)}
    assert len(set(today.values())) == len(TASKS)  # the control


def test_a_stored_run_can_be_made_again(base: Any) -> None:
    run = Run("final", "agent", 32, "ia3", draw=0, **CHOSEN["ia3"].values())
    found, stored = perform(run, base), LOG[run]
    assert found[:4] == pytest.approx(stored[:4], abs=2e-4)  # another processor rounds differently
    assert stored[:4] != pytest.approx(LOG[run._replace(draw=1)][:4], abs=2e-4)  # the control


def test_the_page_says_what_the_code_does_and_where_the_searches_in_the_log_start() -> None:
    runs, draws = protocol.final_runs(CHOSEN), sorted({run.draw for run in LOG if run.stage == "search"})
    said = [f"$k = {', '.join(map(str, protocol.SHOTS))}$", f"{tuple(draws)} at $k = 32$", "more than 18 trials"]
    said += [f"draws {protocol.DRAWS[0]} to {protocol.DRAWS[-1]}", *(f"| `{name}` |" for name in TASKS)]
    said += [f"Of {len({(run.task, run.k) for run in runs}) * (len(METHODS) - 1)} intervals", "in thirteen cells"]
    said += [f"| {method.label.split(' r = ')[0]}" for method in METHODS.values()]
    assert [words for words in said if words not in PAGE] == []
    rows = {row[0]: row[1:] for row in re.findall(r"\| ([^|]+) \| ([-\d.]+) \| ([\d.]+) \| (\d+) \|", PAGE)}
    names = {"head": "head only", "ia3": "IA³, middle of its grid", "full": "full fine-tuning"}
    for method in METHODS:
        lr, head_lr, steps = rows[names.get(method, "LoRA (all four), BitFit, LayerNorm tuning")]
        tried = [trial.values() for trial in protocol.search(method, LOG).tried]
        assert {"lr": 0.0 if lr == "-" else float(lr), "head_lr": float(head_lr), "steps": int(steps)} in tried
    sweep = {str(k): (str(n), str(n * 16 // k), str(len(rates))) for k, (n, rates) in protocol.SWEEP.items()}
    assert {k: rows.pop(k) for k in sweep} == sweep and len(rows) == 4
