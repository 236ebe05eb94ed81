"""The frozen protocol of the few-shot comparison: which runs there are, how settings are chosen, how results are read.

Nothing here trains; `ia3_lab.experiments` performs a run, and ``scripts/experiments.py`` performs them all. A results
file is a log with one JSON object a line: an ``environment`` (versions and machine), then the runs made in it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from importlib import resources
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from ia3_lab.config import check_number, unknown_name, whole_number
from ia3_lab.intervals import Interval, interval
from ia3_lab.methods import METHODS, get_method
from ia3_lab.tasks import SPLITS, TASKS, get_task

STAGES = ("search", "final")
HEADLINE_TASKS = ("sentiment", "agent")
SHOTS = (8, 16, 32, 64, 128)
OTHER_SHOTS = (32,)
DRAWS = tuple(range(8))
SEARCH_SHOTS = 32
SEARCH_DRAWS = (100, 101, 102)
#: The trials that one method may use; the same for all.
BUDGET = 18
#: Where the search starts, by method: the middle of its coarse grid of learning rates, in quarters of a decade.
START_LR = MappingProxyType(
    {"head": -4, "ia3": -6, "bitfit": -8, "layernorm": -8, "full": -16}
    | {name: -8 for name in METHODS if name.startswith("lora")}
)
START_HEAD_LR = -11
FIRST_STEPS = 12
#: How the lines of a results file begin.
_STARTS = (b'{"run": {"stage": "', b'{"environment": {"')


class Trial(NamedTuple):
    """A point of the search: learning rates in quarters of a decade, steps in doublings of 12.

    ``lr`` is None for the method that trains the head alone.
    """

    lr: int | None
    head_lr: int
    steps: int

    def values(self) -> dict[str, float | int]:
        """Return learning rates and steps as numbers.

        Raises
        ------
        TypeError
            If a coordinate is not a whole number.

        Examples
        --------
        >>> Trial(-6, -11, 1).values()
        {'lr': 0.0316, 'head_lr': 0.00178, 'steps': 24}
        """
        for name, value in self._asdict().items():
            if (name, value) != ("lr", None):
                whole_number(value, f"{name} of {self}")
        lr = 0.0 if self.lr is None else _rate(self.lr)
        return {"lr": lr, "head_lr": _rate(self.head_lr), "steps": round(FIRST_STEPS * 2**self.steps)}


@dataclass(frozen=True)
class Run:
    """One training run: stage ``"search"`` is scored on validation sentences, stage ``"final"`` on test sentences.

    Raises
    ------
    TypeError, ValueError
        If stage, task or method is unknown, or a number is not of its kind or out of range.
    """

    stage: str
    task: str
    k: int
    method: str
    draw: int
    lr: float
    head_lr: float
    steps: int

    def __post_init__(self) -> None:
        if self.stage not in STAGES:
            raise unknown_name("stage", self.stage, STAGES)
        if self.task not in TASKS:
            raise unknown_name("task", self.task, TASKS)
        get_method(self.method)
        for name, least in (("k", 1), ("draw", 0), ("steps", 1)):
            object.__setattr__(self, name, whole_number(getattr(self, name), name, least))  # the class is frozen
        for name in ("lr", "head_lr"):
            object.__setattr__(self, name, check_number(getattr(self, name), name, least=0))


@dataclass(frozen=True)
class Result:
    """What a run gave.

    Attributes
    ----------
    accuracy, loss : float
        On the sentences that score the run: share in [0, 1], nats per sentence.
    train_loss : float
        Mean of the last three steps, nats per sentence.
    kept : float
        Correlation of the similarities of unrelated sentences before and after training; 1 is "nothing forgotten".
    parameters : int
        Trained parameters, head left out.
    seconds : float
        Wall time of the training steps.

    Raises
    ------
    TypeError, ValueError
        If one is not a number of its kind, or out of range.
    """

    accuracy: float
    loss: float
    train_loss: float
    kept: float
    parameters: int
    seconds: float

    def __post_init__(self) -> None:
        for name, least in (("accuracy", 0), ("loss", 0), ("train_loss", 0), ("kept", -1), ("seconds", 0)):
            object.__setattr__(self, name, check_number(getattr(self, name), name, least=least))
        object.__setattr__(self, "parameters", whole_number(self.parameters, "parameters", least=0))
        if max(self.accuracy, self.kept) > 1:
            raise ValueError(f"accuracy and kept are at most 1, got {self}; measure them again")


Results = dict[Run, Result]


def final_runs(settings: Mapping[str, Trial]) -> list[Run]:
    """Return every run of the comparison, given the chosen settings by method.

    Raises
    ------
    ValueError
        If a method has no settings.
    """
    if missing := [method for method in METHODS if method not in settings]:
        raise ValueError(f"expected a trial for each method, there is none for {', '.join(missing)}; add it")
    cells = [(task, k) for task in TASKS for k in (SHOTS if task in HEADLINE_TASKS else OTHER_SHOTS)]
    return [
        Run("final", task, k, method, draw, **settings[method].values())
        for task, k in cells
        for draw in DRAWS
        for method in METHODS
    ]


def search_runs(method: str, trial: Trial) -> list[Run]:
    """Return the runs that score one trial: both headline tasks, every search draw."""
    return [
        Run("search", task, SEARCH_SHOTS, method, draw, **trial.values())
        for task in HEADLINE_TASKS
        for draw in SEARCH_DRAWS
    ]


class Score(NamedTuple):
    """How a trial did on validation sentences: higher is better, accuracy first."""

    accuracy: float
    minus_loss: float


@dataclass(frozen=True)
class Search:
    """How far the search for a method's settings has come.

    Attributes
    ----------
    method : str
    tried : mapping of Trial to Score
    wanted : tuple of Trial
        The trials to make next; empty when the search is done.
    chosen : Trial or None
        The winner. On each axis larger and smaller values than its own were tried, with the other axes as they stood
        at that point of the search.
    """

    method: str
    tried: Mapping[Trial, Score]
    wanted: tuple[Trial, ...]
    chosen: Trial | None


def search(method: str, results: Mapping[Run, Result]) -> Search:
    """Follow the search rule for one method as far as the results go.

    First the learning rate, half a decade apart, then a quarter; then the head's; then the steps; then the learning
    rate once more. Each time the best value wins if it has a worse neighbor on both sides, else the grid is extended
    on that side. Best is the highest mean accuracy on validation sentences, ties going to the lower loss.

    Parameters
    ----------
    method : str
    results : mapping of Run to Result
        What has been run so far, other methods' runs included.

    Returns
    -------
    Search

    Raises
    ------
    TypeError
        If results is no mapping.
    ValueError
        If the method is unknown, or has used up its budget of trials without an optimum inside the grid.
    """
    get_method(method)
    _check_results(results)
    tried: dict[Trial, Score] = {}
    walk = _search_rule(method)
    wanted = next(walk)
    while True:
        missing = []
        for trial in wanted:
            score = _score(method, trial, results)
            if score is None:
                missing.append(trial)
            else:
                tried[trial] = score
        if len(tried) + len(missing) > BUDGET:
            raise ValueError(f"{method}: no optimum inside the grid after {BUDGET} trials; tried {sorted(tried)}")
        if missing:
            return Search(method, tried, tuple(missing), None)
        try:
            wanted = walk.send(tried)
        except StopIteration as stop:
            return Search(method, tried, (), stop.value)


def _search_rule(method: str) -> Iterator[list[Trial]]:
    """Ask for trials, be sent the scores, return the chosen trial."""
    main = "head_lr" if method == "head" else "lr"
    start = START_LR[method]
    at = Trial(None, start, 1) if method == "head" else Trial(start, START_HEAD_LR, 1)
    at = yield from _climb(at, main, [start + offset for offset in (-4, -2, 0, 2, 4)], 2)
    at = yield from _climb(at, main, [getattr(at, main) + offset for offset in (-1, 0, 1)], 1)
    if method != "head":
        at = yield from _climb(at, "head_lr", [at.head_lr + offset for offset in (-2, 0, 2)], 2)
    at = yield from _climb(at, "steps", [at.steps + offset for offset in (-1, 0, 1)], 1)
    return (yield from _climb(at, main, [getattr(at, main) + offset for offset in (-1, 0, 1)], 1))


def _climb(at: Trial, axis: str, values: list[int], stride: int) -> Iterator[list[Trial]]:
    """Move along one axis until the best tried value has a neighbor on both sides."""
    while True:
        tried = yield [at._replace(**{axis: value}) for value in values]
        best = max(values, key=lambda value: tried[at._replace(**{axis: value})])
        if best == values[0]:
            values = [best - stride, *values]
        elif best == values[-1]:
            values = [*values, best + stride]
        else:
            return at._replace(**{axis: best})


def _score(method: str, trial: Trial, results: Mapping[Run, Result]) -> Score | None:
    found = [results.get(run) for run in search_runs(method, trial)]
    if None in found:
        return None
    accuracy, loss = (np.mean([getattr(result, name) for result in found]) for name in ("accuracy", "loss"))
    return Score(round(float(accuracy), 9), round(-float(loss), 9))


def choose_settings(results: Mapping[Run, Result]) -> dict[str, Trial]:
    """Return the chosen trial of every method.

    Raises
    ------
    ValueError
        If the search has not ended.
    """
    states = {method: search(method, results) for method in METHODS}
    open_ = [method for method, state in states.items() if state.chosen is None]
    if open_:
        raise ValueError(f"the search has not ended for {', '.join(open_)}; run `make experiments`")
    return {method: state.chosen for method, state in states.items()}


def read_results(path: Path | str | None = None) -> Results:
    """Read a results file; the one that the book prints if no path is given.

    A last line that an interruption cut short is left out: that run counts as not made. One that lacks nothing but
    its end of line is read like any other.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If a line is damaged or a run is there twice; the message says what to do.
    OSError
        If the path is a folder, or cannot be read.
    """
    results: Results = {}
    for number, entry in _entries(path):
        if "environment" in entry:
            continue
        try:
            run, result = Run(**entry["run"]), Result(**entry["result"])
        except (TypeError, ValueError) as error:
            raise ValueError(_damaged(path, number, error)) from error
        if run in results:
            raise ValueError(_damaged(path, number, f"this run is there already: {run}"))
        results[run] = result
    return results


def read_environments(path: Path | str | None = None) -> list[dict]:
    """Return the versions and machines that a results file was made with, in order.

    Raises
    ------
    ValueError, OSError
        As `read_results` does.
    """
    return [entry["environment"] for _, entry in _entries(path) if "environment" in entry]


def cut_short(path: Path | str | None = None) -> bytes:
    """Return what an interruption left of the last line of a results file; nothing if that line is whole.

    Raises
    ------
    OSError
        If the file cannot be read.
    """
    return _split(path)[1]


def task_digest(name: str) -> str:
    """Return the SHA-256 digest of a task's sentences and labels, to tell that results belong to them.

    Raises
    ------
    ValueError
        If there is no such task.
    """
    task = get_task(name)
    rows = [f"{split} {example.label} {example.text}" for split in SPLITS for example in task.split(split)]
    return hashlib.sha256("\n".join(rows).encode()).hexdigest()


def check_tasks(path: Path | str | None = None) -> None:
    """Refuse a results file whose runs were made on other sentences than those that the tasks have now.

    Raises
    ------
    ValueError
        If a task's digest differs, or a line is damaged.
    """
    for environment in read_environments(path):
        for name, digest in environment.get("tasks", {}).items():
            if name not in TASKS or digest != task_digest(name):
                raise ValueError(
                    f"the sentences of task {name!r} have changed since {path or 'few-shot.jsonl'} was made; "
                    "its runs are of no use any more: move the file away and run `make experiments`"
                )


def line_for(run: Run, result: Result) -> str:
    """Return the line that stands for a run in a results file, newline included."""
    return json_line({"run": asdict(run), "result": asdict(result)})


def json_line(entry: Mapping) -> str:
    """Return an entry as one line of JSON."""
    return json.dumps(entry) + "\n"


def _entries(path: Path | str | None) -> Iterator[tuple[int, dict]]:
    lines, _ = _split(path)
    for number, line in enumerate(lines, 1):
        try:
            entry = json.loads(line)
            _check_entry(entry)
        except (ValueError, RecursionError) as error:
            raise ValueError(_damaged(path, number, error)) from error
        yield number, entry


def _split(path: Path | str | None) -> tuple[list[bytes], bytes]:
    """Return the lines of a results file, and apart from them the start of one of our own that was cut short."""
    source = resources.files("ia3_lab") / "data" / "few-shot.jsonl" if path is None else Path(path)
    *lines, rest = source.read_bytes().split(b"\n")
    is_ours = lines and b"\r" not in rest and any(start.startswith(rest[: len(start)]) for start in _STARTS)
    if not rest or (is_ours and not _is_json(rest)):
        return lines, rest
    return [*lines, rest], b""


def _is_json(text: bytes) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _check_entry(entry: object) -> None:
    """Refuse what is neither a run with its result nor an environment, whose digests of tasks are a table."""
    if not isinstance(entry, dict) or entry.keys() not in ({"run", "result"}, {"environment"}):
        raise ValueError("expected an object with a run and its result, or with an environment")
    environment = entry.get("environment", {})
    if not isinstance(environment, dict) or not isinstance(environment.get("tasks", {}), dict):
        raise ValueError("expected an environment of names and values, and digests by task in it")


def _damaged(path: Path | str | None, number: int, reason: object) -> str:
    return (
        f"line {number} of {path or 'few-shot.jsonl'} is damaged: {str(reason).rstrip('.')}. Delete that line and run "
        "`make experiments` to make its run again, or restore the file with `git checkout`; if it is no results file, "
        "choose another"
    )


def scores(results: Mapping[Run, Result], task: str, k: int, method: str, measure: str = "accuracy") -> np.ndarray:
    """Return a measure of the final runs of one cell, in the order of the draws.

    Parameters
    ----------
    results : mapping of Run to Result
    task : str
    k : int
    method : str
    measure : str
        An attribute of `Result`.

    Returns
    -------
    ndarray of shape (draws,)

    Raises
    ------
    TypeError
        If results is no mapping.
    ValueError
        If a name is unknown, a draw is missing, or there are runs with other settings beside them.
    """
    _check_results(results)
    get_task(task)
    get_method(method)
    if measure not in (names := [field.name for field in fields(Result)]):
        raise unknown_name("measure", measure, names)
    cell = [run for run in results if (run.stage, run.task, run.k, run.method) == ("final", task, k, method)]
    settings = sorted({(run.lr, run.head_lr, run.steps) for run in cell})
    if len(settings) > 1:
        raise ValueError(
            f"the runs of {method} on {task} with k = {k} have different settings (lr, head_lr, steps): "
            f"{', '.join(map(str, settings))}; leave out those of all but one"
        )
    found = {run.draw: getattr(results[run], measure) for run in cell}
    missing = sorted(set(DRAWS) - found.keys())
    if missing:
        ks = sorted({run.k for run in results if (run.stage, run.task, run.method) == ("final", task, method)})
        raise ValueError(
            f"no run of {method} on {task} with k = {k!r} for draws {missing}; there are runs with k in {ks}, "
            "and `make experiments` makes those of the protocol"
        )
    return np.array([found[draw] for draw in DRAWS])


def paired_difference(results: Mapping[Run, Result], task: str, k: int, first: str, second: str) -> Interval:
    """Return the interval of ``first - second`` in accuracy, draw by draw on the same sentences.

    Raises
    ------
    ValueError
        As `scores` does.
    """
    return interval(scores(results, task, k, first) - scores(results, task, k, second))


def missing_runs(results: Mapping[Run, Result]) -> list[Run]:
    """Return the runs to make next: trials of the search while it lasts, then the comparison's.

    Raises
    ------
    ValueError
        As `search` does.
    """
    states = [search(method, results) for method in METHODS]
    wanted = [run for state in states for trial in state.wanted for run in search_runs(state.method, trial)]
    if not wanted:
        wanted = final_runs({state.method: state.chosen for state in states})
    return [run for run in wanted if run not in results]


def _check_results(results: object) -> None:
    if not isinstance(results, Mapping):
        raise TypeError(
            f"results must be a mapping of Run to Result, such as read_results returns, got {type(results).__name__}: "
            f"{results!r:.60}"
        )


def _rate(quarters: int) -> float:
    """Return 10 ** (quarters / 4) to three digits."""
    return float(f"{10 ** (quarters / 4):.3g}")
