"""The frozen protocol of the few-shot comparison and of the rate sweep: which runs there are, how settings are chosen.

Nothing here trains; `ia3_lab.study.runs` performs a run, and ``scripts/experiments.py`` performs them all.
"""

from collections.abc import Iterator, Mapping
from itertools import product
from statistics import fmean
from typing import NamedTuple

from ia3_lab.study.methods import METHODS, SWEPT
from ia3_lab.study.tasks import TASKS

HEADLINE_TASKS = ("sentiment", "agent")
SHOTS = (8, 16, 32, 64, 128)
DRAWS = tuple(range(8))
_SEARCH_SHOTS = 32
_SEARCH_DRAWS = (100, 101, 102)
#: The trials that one method may use; the same for all.
_BUDGET = 18
#: Where the search starts: the middle of a method's coarse grid of learning rates, in quarters of a decade.
_START_LR = dict.fromkeys(METHODS, -8) | {"head": -4, "ia3": -6, "full": -16}
_START_HEAD_LR = -11
_FIRST_STEPS = 12
_AROUND = (0, -1, 1, -2, 2, -3, 3)
#: The rate sweep: k -> (steps, learning rates in quarters of a decade from the method's chosen one).
SWEEP = {128: (48, _AROUND), 16: (48, _AROUND), 512: (192, (-2, -3, -1))}
_SWEEP_DRAWS, _ORDERS = (8, 9, 10), (0, 1)


class Trial(NamedTuple):
    """A point of the search: learning rates in quarters of a decade, steps in doublings of 12.

    ``lr`` is None for the method that trains the head alone.
    """

    lr: int | None
    head_lr: int
    steps: int

    def values(self) -> dict[str, float | int]:
        """Return learning rates and steps as numbers: ``Trial(-6, -11, 1)`` is 0.0316, 0.00178 and 24 steps."""
        lr = 0.0 if self.lr is None else _rate(self.lr)
        return {"lr": lr, "head_lr": _rate(self.head_lr), "steps": round(_FIRST_STEPS * 2**self.steps)}


class Run(NamedTuple):
    """One training run: stage ``"search"`` is scored on validation sentences, ``"final"`` and ``"sweep"`` on test ones.

    The same draw in another ``order`` has the same sentences in another order, and another random start of LoRA.
    """

    stage: str
    task: str
    k: int
    method: str
    draw: int
    lr: float
    head_lr: float
    steps: int
    order: int = 0

    @property
    def seed(self) -> int:
        """The seed of all that is random but the choice of sentences."""
        return self.draw + 1000 * self.order


class Result(NamedTuple):
    """What a run gave: ``accuracy`` in [0, 1] and ``loss`` in nats per sentence, on the sentences that score the run.

    ``train_loss`` is the mean of the last three steps; ``kept`` the correlation of the similarities of unrelated
    sentences before and after training, where 1 is "nothing forgotten"; ``parameters`` how many numbers were trained,
    head left out; ``seconds`` the wall time of the training steps.
    """

    accuracy: float
    loss: float
    train_loss: float
    kept: float
    parameters: int
    seconds: float


def final_runs(settings: Mapping[str, Trial]) -> list[Run]:
    """Return every run of the comparison, given the chosen settings by method."""
    cells = [(task, k) for task in TASKS for k in (SHOTS if task in HEADLINE_TASKS else (_SEARCH_SHOTS,))]
    return [
        Run("final", task, k, method, draw, **settings[method].values())
        for task, k in cells
        for draw in DRAWS
        for method in METHODS
    ]


def sweep_runs(settings: Mapping[str, Trial]) -> list[Run]:
    """Return every run of the rate sweep, around the chosen settings: IA³'s for IA³ on every linear layer."""
    return [
        Run("sweep", task, k, method, draw, _rate(chosen.lr + quarters), _rate(chosen.head_lr), steps, order)
        for k, (steps, offsets) in SWEEP.items()
        for draw, order in product(_SWEEP_DRAWS, _ORDERS)
        for quarters, task, method in product(offsets, HEADLINE_TASKS, SWEPT)
        for chosen in [settings[method.removesuffix("-linear")]]
    ]


def _search_runs(method: str, trial: Trial) -> list[Run]:
    """Return the runs that score one trial: both headline tasks, every search draw."""
    return [
        Run("search", task, _SEARCH_SHOTS, method, draw, **trial.values())
        for task in HEADLINE_TASKS
        for draw in _SEARCH_DRAWS
    ]


class Search(NamedTuple):
    """How far the search for a method's settings has come.

    ``tried`` holds (accuracy, minus loss) by trial, ``wanted`` the trials to make next, ``chosen`` the winner or None.
    On each axis larger and smaller values than the winner's were tried, with the other axes as they stood then.
    """

    tried: dict[Trial, tuple[float, float]]
    wanted: list[Trial]
    chosen: Trial | None


def search(method: str, results: Mapping[Run, Result]) -> Search:
    """Follow the search rule for one method as far as the results go.

    First the learning rate, half a decade apart, then a quarter; then the head's; then the steps; then the learning
    rate once more. Each time the best value wins if it has a worse neighbor on both sides, else the grid is extended
    on that side. Best is the highest mean accuracy on validation sentences, ties going to the lower loss.

    Raises
    ------
    ValueError
        If the method has used up its budget of trials without an optimum inside the grid.
    """
    tried: dict[Trial, tuple[float, float]] = {}
    walk = _search_rule(method)
    wanted = next(walk)
    while True:
        scores = {trial: _score(method, trial, results) for trial in wanted}
        missing = [trial for trial, score in scores.items() if score is None]
        tried |= {trial: score for trial, score in scores.items() if score is not None}
        if len(tried) + len(missing) > _BUDGET:
            raise ValueError(f"{method}: no optimum inside the grid after {_BUDGET} trials; tried {sorted(tried)}")
        if missing:
            return Search(tried, missing, None)
        try:
            wanted = walk.send(tried)
        except StopIteration as stop:
            return Search(tried, [], stop.value)


def _search_rule(method: str) -> Iterator[list[Trial]]:
    """Ask for trials, be sent the scores, return the chosen trial."""
    start, main = _START_LR[method], "head_lr" if method == "head" else "lr"
    at = Trial(None, start, 1) if method == "head" else Trial(start, _START_HEAD_LR, 1)
    at = yield from _climb(at, main, -4, -2, 0, 2, 4)
    at = yield from _climb(at, main, -1, 0, 1)
    if method != "head":
        at = yield from _climb(at, "head_lr", -2, 0, 2)
    at = yield from _climb(at, "steps", -1, 0, 1)
    return (yield from _climb(at, main, -1, 0, 1))


def _climb(at: Trial, axis: str, *offsets: int) -> Iterator[list[Trial]]:
    """Move along one axis, from offsets to where it stands, until the best tried value has a neighbor on both sides."""
    values, stride = [getattr(at, axis) + offset for offset in offsets], offsets[1] - offsets[0]
    while True:
        tried = yield [at._replace(**{axis: value}) for value in values]
        best = max(values, key=lambda value: tried[at._replace(**{axis: value})])
        if best == values[0]:
            values = [best - stride, *values]
        elif best == values[-1]:
            values = [*values, best + stride]
        else:
            return at._replace(**{axis: best})


def _score(method: str, trial: Trial, results: Mapping[Run, Result]) -> tuple[float, float] | None:
    found = [results.get(run) for run in _search_runs(method, trial)]
    if None in found:
        return None
    return round(fmean(r.accuracy for r in found), 9), round(-fmean(r.loss for r in found), 9)


def choose_settings(results: Mapping[Run, Result]) -> dict[str, Trial]:
    """Return the chosen trial of every method; a ValueError while a search has not ended."""
    chosen = {method: search(method, results).chosen for method in METHODS}
    if None in chosen.values():
        raise ValueError(f"the search has not ended for {[m for m in chosen if chosen[m] is None]}: make experiments")
    return chosen


def missing_runs(results: Mapping[Run, Result]) -> list[Run]:
    """Return the runs to make next: trials of the search while it lasts, then the comparison's, then the sweep's."""
    open_trials = [(method, trial) for method in METHODS for trial in search(method, results).wanted]
    if wanted := [run for method, trial in open_trials for run in _search_runs(method, trial) if run not in results]:
        return wanted
    settings = choose_settings(results)
    missing = [run for run in final_runs(settings) if run not in results]
    return missing or [run for run in sweep_runs(settings) if run not in results]


def _rate(quarters: int) -> float:
    """Return 10 ** (quarters / 4) to three digits."""
    return float(f"{10 ** (quarters / 4):.3g}")
