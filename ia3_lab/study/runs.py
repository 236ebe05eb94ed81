"""Perform one run of the comparison: draw sentences, attach a method, train, score."""

import copy
from statistics import fmean
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ia3_lab.pretrained import Pretrained
from ia3_lab.study.methods import METHODS, SWEPT
from ia3_lab.study.protocol import Result, Run
from ia3_lab.study.tasks import few_shot, get_task
from ia3_lab.study.training import Classifier, Settings, evaluate, train

#: How many sentences of another task tell how much an encoder has kept.
_UNRELATED = 64


class Adapted(NamedTuple):
    """A classifier, and what was trained in its encoder, by dotted name (empty for the head alone)."""

    model: Classifier
    parameters: dict[str, nn.Parameter]


def adapt(base: Pretrained, method: str, num_labels: int, *, seed: int = 0) -> Adapted:
    """Put a method on a copy of the encoder and a new head on top; base stays as it is. The seed is of LoRA's A."""
    encoder = copy.deepcopy(base.encoder).eval()
    parameters = (METHODS | SWEPT)[method].attach(encoder, torch.Generator().manual_seed(seed))
    return Adapted(Classifier(encoder, base.tokenizer, num_labels), parameters)


def perform(run: Run, base: Pretrained) -> Result:
    """Make one run: its draw chooses the sentences, its seed their order and LoRA's random start.

    It is scored on validation sentences in the search, on test sentences in the other stages.
    """
    task, other = get_task(run.task), get_task("agent" if run.task == "sentiment" else "sentiment")
    unrelated = [example.text for example in other.splits["test"][:_UNRELATED]]
    model, parameters = adapt(base, run.method, len(task.labels), seed=run.seed)
    before = _similarities(model, unrelated)
    settings = Settings(lr=run.lr, head_lr=run.head_lr, steps=run.steps)
    shots = few_shot(run.task, run.k, run.draw)
    history = train(model, shots, settings, adapter=parameters.values(), seed=run.seed)
    found = evaluate(model, task.splits["validation" if run.stage == "search" else "test"])
    kept = torch.corrcoef(torch.stack([before, _similarities(model, unrelated)]))[0, 1]
    return Result(
        accuracy=round(found.accuracy, 6),
        loss=round(found.loss, 6),
        train_loss=round(fmean(history.losses[-3:]), 6),
        kept=round(kept.item(), 6),
        parameters=sum(p.numel() for p in parameters.values()),
        seconds=round(history.seconds, 3),
    )


@torch.no_grad()
def _similarities(model: Classifier, texts: list[str]) -> Tensor:
    """Return the cosine similarity of each pair of sentences, shape (pairs,)."""
    vectors = model.features(texts)
    cosine = (vectors @ vectors.T / vectors.shape[-1]).double()
    return cosine[tuple(torch.triu_indices(len(texts), len(texts), offset=1))]
