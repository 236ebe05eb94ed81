"""Take the seconds of a training step that the book prints: `make step-times`, on a machine without other work.

Each method has one turn in every round, on the same sentences, and each round starts with another method than the one
before: other work on the machine meets all methods alike. Compare methods within a round.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import pandas as pd
import torch

from ia3_lab import pretrained
from ia3_lab.study import results
from ia3_lab.study.methods import METHODS
from ia3_lab.study.runs import adapt
from ia3_lab.study.tasks import few_shot
from ia3_lab.study.training import Settings, train

#: Steps in a turn. The first one allocates the optimizer's memory, as in every run.
STEPS = 8


def measure(base: pretrained.Pretrained, rounds: int) -> pd.DataFrame:
    """Return the seconds of a training step, by round and method; a first round, which warms up, is left out."""
    settings = Settings(lr=1e-6, head_lr=1e-6, steps=STEPS)
    sentences = few_shot("sentiment", settings.batch_size, draw=0)
    adapted = {name: adapt(base, name, 2) for name in METHODS}
    names, rows = list(METHODS), []
    for turn in range(rounds + 1):
        first, seconds = turn % len(names), {}
        for name in names[first:] + names[:first]:
            model, parameters = adapted[name]
            history = train(model, sentences, settings, adapter=parameters.values())
            seconds[name] = round(history.seconds / STEPS, 5)
        rows.append(seconds)
    return pd.DataFrame(rows[1:], columns=names)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=results.STEP_TIMES, help="file to write")
    parser.add_argument("--rounds", type=int, default=30)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    seconds = measure(pretrained.load("cpu"), arguments.rounds)
    machine = f"{platform.system()} {platform.machine()}, one thread of {os.cpu_count()} cores"
    content = {"environment": {"machine": machine, "torch": torch.__version__}, "seconds": seconds.to_dict("list")}
    arguments.output.write_text(json.dumps(content, separators=(",", ":")) + "\n", "utf8")
    ratios = seconds.div(seconds["ia3"], axis=0)
    print(pd.DataFrame({"seconds a step": seconds.median(), "times IA3's": ratios.median()}).round(3))


if __name__ == "__main__":
    main()
