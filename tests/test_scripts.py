"""The scripts that make data: the same tables again, and runs that an interruption does not cost."""

import itertools
import math
import re
import sys
import tomllib
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import experiments
import make_tasks
import pytest

from ia3_lab import pretrained
from ia3_lab.study import protocol, results, tasks


def test_the_tables_are_made_again_byte_for_byte(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["make_tasks.py", "--output", str(tmp_path)])
    make_tasks.main()
    made = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert len(made) == 6 and made == {name: (make_tasks.DATA / name).read_bytes() for name in made}


def leaks(task: dict) -> set[str]:
    """Return sentences that can be made twice, and undeclared words and frames of sentences that two splits share."""
    found, content, declared = Counter(), set(), set(task["function_words"].split())
    for split in tasks.SPLITS:
        texts = [row[-1] for matched_set in make_tasks.matched_sets(task, split) for row in matched_set]
        assert all(re.fullmatch("[a-z]+( [a-z]+){2,11}", text) for text in texts)
        own = set(" ".join(itertools.chain(*task[split]["words"].values())).split())
        frames = {" ".join("*" if word in own else word for word in text.split()) for text in texts}
        found.update([*texts, *frames, *set(" ".join(texts).split())])
        content |= own
    twice = {one for one, count in found.items() if count > 1}
    assert declared <= twice, "a function word that one split alone uses is none"
    return twice - declared | content & declared


@pytest.mark.parametrize("name", tasks.TASKS)
def test_nothing_that_can_be_made_comes_twice_or_leaks_from_one_split_to_another(name: str) -> None:
    task = tomllib.loads((make_tasks.TEMPLATES / f"{name}.toml").read_text("utf8"))
    assert leaks(task) == set()
    content = [tasks.get_task(name).content_words(split) for split in tasks.SPLITS]
    assert sum(map(len, content)) == len(frozenset.union(*content))
    lexicon = next(iter(task["train"]["words"]))
    task["train"]["words"][lexicon][0] = task["test"]["words"][lexicon][0]  # the control
    assert leaks(task) >= set(task["test"]["words"][lexicon][0].split())


def read(folder: Path) -> dict[protocol.Run, protocol.Result]:
    logs = [folder / name for name in dict.fromkeys(experiments.LOGS.values())]
    return {run: result for log in logs if log.exists() for run, result in results.read_log(log).items()}


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[protocol.Run]:
    """Shrink the protocol to a few methods, two tasks and one k, make runs in no time and in threads, and list them."""

    def make(run: protocol.Run) -> protocol.Result:
        made.append(run)  # of a model that likes one setting best
        far = abs(math.log10(run.lr or 0.01) + 2) + abs(math.log10(run.head_lr / 3e-3)) + abs(math.log2(run.steps / 24))
        return protocol.Result(round(0.9 - far / 20, 6), 0.5, 0.1, 0.9, 10, 1.0)

    made, methods = [], {name: protocol.METHODS[name] for name in ("head", "ia3")}
    for name, value in {"METHODS": methods, "TASKS": ("sentiment", "agent"), "SHOTS": (8,), "DRAWS": (0, 1)}.items():
        monkeypatch.setattr(protocol, name, value)
    monkeypatch.setattr(protocol, "SWEPT", ("ia3", "ia3-linear"))
    monkeypatch.setattr(protocol, "SWEEP", {16: (48, (0, 1))})
    monkeypatch.setattr(experiments, "ProcessPoolExecutor", lambda jobs, context, initializer: ThreadPoolExecutor(jobs))
    monkeypatch.setattr(experiments, "as_completed", list)  # in the order in which they were asked for
    monkeypatch.setattr(experiments, "perform", make)
    return made


def test_an_interruption_costs_no_finished_run_and_the_same_command_goes_on(made, tmp_path, monkeypatch) -> None:
    experiments.make_runs(tmp_path / "whole", jobs=2)
    folder, whole = tmp_path / "results", read(tmp_path / "whole")
    assert protocol.missing_runs(whole) == []
    assert [stage for stage, _ in itertools.groupby(made, lambda run: run.stage)] == ["search", "final", "sweep"]
    make, stops = experiments.perform, (20, 70, len(whole) - 10)

    def make_some(run: protocol.Run) -> protocol.Result:
        if len(made) >= stop:
            raise KeyboardInterrupt
        return make(run)

    for stop in stops:
        made[:] = read(folder)
        monkeypatch.setattr(experiments, "perform", make_some)
        with pytest.raises(KeyboardInterrupt):
            experiments.make_runs(folder, jobs=1)
        assert set(read(folder)) == set(made) and len(made) == stop
        with open(folder / experiments.LOGS[made[-1].stage], "a") as file:
            file.write('{"run": {"stage": "fin')  # what a power cut may leave
    made.clear()
    monkeypatch.setattr(experiments, "perform", make)
    for _ in range(2):  # the second time nothing is missing
        experiments.make_runs(folder, jobs=2)
        assert read(folder) == whole
        assert len(made) == len(set(made)) == len(whole) - stop
    assert [len(results.read_environments(folder / name)) for name in set(experiments.LOGS.values())] == [1, 1]


@pytest.mark.parametrize("old", ['{"env', pretrained.DIGESTS["model.safetensors"], tasks.get_task("act").digest()])
def test_what_is_no_log_of_these_runs_is_left_alone(made: list, tmp_path: Path, old: str) -> None:
    experiments.make_runs(tmp_path, jobs=1)
    path = tmp_path / results.RATES.name
    path.write_text(text := path.read_text().replace(old, "something else") + "my unfinished line")
    with pytest.raises(ValueError, match=r"is no log of runs|made with other weights or sentences: choose"):
        experiments.make_runs(tmp_path, jobs=1)
    assert path.read_text() == text


def test_two_scripts_do_not_write_to_one_log_and_one_that_is_interrupted_says_what_to_do(made, tmp_path, monkeypatch):
    def interrupted(run: protocol.Run) -> None:
        if not made:
            made.append(run)
            with pytest.raises(SystemExit, match=f"another script is writing to {tmp_path}"):
                experiments.main()
        raise KeyboardInterrupt

    monkeypatch.setattr(sys, "argv", ["experiments.py", "--output", str(tmp_path), "--jobs", "1"])
    monkeypatch.setattr(experiments, "perform", interrupted)
    with pytest.raises(SystemExit, match=rf"Interrupted\. Finished runs are in {tmp_path}; the same command goes on"):
        experiments.main()
