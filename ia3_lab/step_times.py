"""What a training step of each method costs, measured in turns: other work on the machine meets all methods alike."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib import resources
from pathlib import Path

from ia3_lab import experiments, pretrained, tasks, training
from ia3_lab.config import check_number, whole_number
from ia3_lab.methods import METHODS

#: Steps in a turn. The first one allocates the optimizer's memory, as in every run.
STEPS = 8
SENTENCES = 16


def measure_step_times(base: pretrained.Pretrained, *, rounds: int = 30) -> dict[str, list[float]]:
    """Return the seconds of a training step by method, one mean of `STEPS` steps for each round.

    In every round each method has one turn on the same batch of 16 sentences, and the round starts with another
    method than the one before. Compare methods within a round.

    Parameters
    ----------
    base : Pretrained
        Is not changed.
    rounds : int
        At least 1; a first one, which warms up, is left out.

    Returns
    -------
    dict of str to list of float, rounds numbers each
        Seconds per step.

    Raises
    ------
    TypeError, ValueError
        If base or the number of rounds is of another kind, or there is no round.
    """
    rounds = whole_number(rounds, "rounds", least=1)
    adapted = {name: experiments.adapt(base, name, 2) for name in METHODS}
    batch = experiments.batch_of(base, tasks.few_shot("sentiment", SENTENCES, draw=0))
    settings = training.Settings(lr=1e-6, head_lr=1e-6, steps=STEPS, batch_size=SENTENCES)
    names = list(METHODS)
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for turn in range(rounds + 1):
        first = turn % len(names)
        for name in names[first:] + names[:first]:
            model, parameters = adapted[name].model, adapted[name].parameters
            history = training.train(model, batch, settings, adapter=parameters.values())
            seconds[name].append(round(history.seconds / STEPS, 5))
    return {name: times[1:] for name, times in seconds.items()}


def read_step_times(path: Path | str | None = None) -> tuple[dict[str, list[float]], dict[str, str]]:
    """Read step times by method, and the machine and versions; those that the book prints if no path is given.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is damaged; the message says what to do.

    Examples
    --------
    >>> seconds, environment = read_step_times()
    >>> sorted(seconds) == sorted(METHODS), len(seconds["ia3"])
    (True, 30)
    """
    source = resources.files("ia3_lab") / "data" / "step-times.json" if path is None else Path(path)
    try:
        content = json.loads(source.read_text("utf8"))
        seconds, environment = content["seconds"], content["environment"]
        _check_times(seconds)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{source.name} is damaged ({error}); make it anew with `make step-times`") from error
    return seconds, environment


def _check_times(seconds: Mapping[str, list[float]]) -> None:
    """Refuse what lacks a method, has a round for some methods only, or a time that is none."""
    if seconds.keys() != METHODS.keys():
        raise ValueError(f"expected times of {', '.join(METHODS)}, got {', '.join(seconds)}")
    rounds = {len(times) for times in seconds.values()}
    if len(rounds) != 1 or rounds == {0}:
        raise ValueError(f"expected as many rounds for each method, at least one, got {sorted(rounds)}")
    for name, times in seconds.items():
        for time in times:
            check_number(time, f"a time of {name}", least=0)
