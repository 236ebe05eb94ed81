"""Read the runs that the book prints: a log with one JSON object a line, an environment, then the runs made in it."""

import json
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from ia3_lab.study.protocol import Result, Run

FEW_SHOT = resources.files("ia3_lab.study") / "data" / "few-shot.jsonl"
RATES = resources.files("ia3_lab.study") / "data" / "rates.jsonl"
VOLUME_KNOBS = resources.files("ia3_lab.study") / "data" / "volume-knobs.tsv"
STEP_TIMES = resources.files("ia3_lab.study") / "data" / "step-times.json"


def read_log(path: Path = FEW_SHOT) -> dict[Run, Result]:
    """Return the finished runs of a log. A last line without its end is a run that was interrupted: it does not count.

    Raises
    ------
    ValueError
        If a line is damaged; the message names it.
    """
    return {Run(**entry["run"]): Result(**entry["result"]) for entry in _entries(path) if "run" in entry}


def read_environments(path: Path = FEW_SHOT) -> list[dict]:
    """Return what a log says of versions, machines, weights and sentences, in the order of the file."""
    return [entry["environment"] for entry in _entries(path) if "environment" in entry]


def _entries(path: Path) -> Iterator[dict]:
    for number, line in enumerate(path.read_text("utf8").split("\n")[:-1], 1):
        try:
            yield json.loads(line)
        except ValueError as error:
            raise ValueError(f"line {number} of {path} is damaged: delete it and make its run again") from error


def read_runs(path: Path = FEW_SHOT) -> pd.DataFrame:
    """Return the runs as a table, one a row: the fields of `Run`, then those of `Result`.

    Examples
    --------
    >>> runs = read_runs()
    >>> runs[runs.stage == "final"].groupby("task").draw.nunique().to_dict()["agent"]
    8
    """
    return pd.DataFrame([run._asdict() | result._asdict() for run, result in read_log(path).items()])


def by_draw(runs: pd.DataFrame, task: str, k: int) -> pd.DataFrame:
    """Return the accuracies of the final runs of one cell: a row for each draw, a column for each method.

    A paired difference is a difference of two columns. A ValueError if a draw is there twice, with other settings.
    """
    cell = runs[(runs.stage == "final") & (runs.task == task) & (runs.k == k)]
    return cell.pivot(index="draw", columns="method", values="accuracy")


class Interval(NamedTuple):
    """A mean with its 95 percent confidence interval (Student's t)."""

    mean: float
    low: float
    high: float


def interval(values: ArrayLike) -> Interval:
    """Return mean and 95 percent t-interval of values, shape (n,): mean -/+ t(0.975, n - 1) * s / sqrt(n).

    Examples
    --------
    >>> found = interval([0.8, 0.9, 1.0])
    >>> round(found.mean, 3), round(found.high - found.mean, 3)
    (0.9, 0.248)
    """
    from scipy import stats

    values = np.asarray(values, dtype=float)
    half = stats.t.ppf(0.975, len(values) - 1) * stats.sem(values)
    return Interval(float(values.mean()), float(values.mean() - half), float(values.mean() + half))


def read_volume_knobs() -> pd.DataFrame:
    """Return the runs of the volume knobs: network, task, draw, dots, method, and the share of the square right.

    ``dots`` is 0 where the whole square was learned from; ``draw`` is "mean" where several draws were averaged.
    """
    return pd.read_csv(VOLUME_KNOBS, sep="\t", dtype={"network": str})


def read_step_times() -> tuple[pd.DataFrame, dict[str, str]]:
    """Return the seconds of a training step, by round (rows) and method (columns), and the machine and versions."""
    content = json.loads(STEP_TIMES.read_text("utf8"))
    return pd.DataFrame(content["seconds"]), content["environment"]
