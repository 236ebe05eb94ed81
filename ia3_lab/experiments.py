"""Perform one run of the comparison: draw sentences, attach a method, train, score."""

from __future__ import annotations

import contextlib
import copy
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ia3_lab import methods, pretrained, protocol, tasks, training
from ia3_lab.config import whole_number

#: How many sentences of another task tell how much an encoder has kept.
UNRELATED = 64


@dataclass(frozen=True)
class Adapted:
    """A classifier, and what was trained in its encoder, by dotted name (empty for the head alone)."""

    model: training.Classifier
    parameters: dict[str, nn.Parameter]


def adapt(base: pretrained.Pretrained, method: str, num_labels: int, *, seed: int = 0) -> Adapted:
    """Put a method on a copy of the encoder and a new head on top; base stays as it is.

    Parameters
    ----------
    base : Pretrained
    method : str
        A key of `ia3_lab.methods.METHODS`.
    num_labels : int
        At least 2.
    seed : int
        Seed of what the method starts at random (LoRA's A), from 0 to 2**64 - 1.

    Raises
    ------
    TypeError
        If base is not what `ia3_lab.pretrained.load` returned, or a number is not a whole one.
    ValueError
        If the method is unknown, or a number is out of range.
    """
    if not isinstance(base, pretrained.Pretrained):
        raise TypeError(f"base must be what pretrained.load returned, got {base!r:.60}")
    chosen = methods.get_method(method)
    seed = whole_number(seed, "seed", least=0, most=training.LARGEST_SEED)
    encoder = copy.deepcopy(base.encoder)
    parameters = chosen.attach(encoder, torch.Generator().manual_seed(seed))
    return Adapted(training.Classifier(encoder, num_labels), parameters)


def batch_of(base: pretrained.Pretrained, examples: Iterable[tasks.Example]) -> training.Batch:
    """Tokenize examples for base's encoder, on its device.

    Raises
    ------
    TypeError
        If one of them is not an example.
    ValueError
        If there is none.
    """
    examples = tasks.check_examples(examples)
    device = next(base.encoder.parameters()).device
    texts, labels = [example.text for example in examples], [example.label for example in examples]
    return training.encode(base.tokenizer, texts, labels, device)


def perform(run: protocol.Run, base: pretrained.Pretrained) -> protocol.Result:
    """Make one run of the comparison.

    The draw is the seed: of the sentences, of their order and of LoRA's random start.

    Parameters
    ----------
    run : Run
    base : Pretrained

    Returns
    -------
    Result
        Scored on validation sentences in the search, on test sentences in the final stage.

    Raises
    ------
    TypeError
        If run is no run, or base is not what `ia3_lab.pretrained.load` returned.
    ValueError
        If the task has fewer than k training sentences, or training diverges; the message names the run.
    """
    if not isinstance(run, protocol.Run):
        raise TypeError(f"run must be a protocol.Run, got {run!r:.60}; it comes first, then base")
    try:
        return _perform(run, base)
    except ValueError as error:
        raise ValueError(f"{run}: {error}") from error


def _perform(run: protocol.Run, base: pretrained.Pretrained) -> protocol.Result:
    task = tasks.get_task(run.task)
    adapted = adapt(base, run.method, len(task.labels), seed=run.draw)
    settings = training.Settings(lr=run.lr, head_lr=run.head_lr, steps=run.steps)
    shots = batch_of(base, tasks.few_shot(run.task, run.k, run.draw))
    history = training.train(adapted.model, shots, settings, adapter=adapted.parameters.values(), seed=run.draw)
    split = "validation" if run.stage == "search" else "test"
    found = training.evaluate(adapted.model, batch_of(base, task.split(split)))
    return protocol.Result(
        accuracy=round(found.accuracy, 6),
        loss=round(found.loss, 6),
        train_loss=round(sum(history.losses[-3:]) / len(history.losses[-3:]), 6),
        kept=round(kept(base, adapted.model.encoder, run.task), 6),
        parameters=sum(parameter.numel() for parameter in adapted.parameters.values()),
        seconds=round(history.seconds, 3),
    )


def kept(base: pretrained.Pretrained, encoder: nn.Module, task: str) -> float:
    """Return how much of what the base model was made for, telling similar sentences, an adapted encoder has kept.

    The correlation, over all pairs of sentences of another task, of their cosine similarities under the two encoders:
    1 if all similarities are as they were, or have moved along one rising line.

    Parameters
    ----------
    base : Pretrained
    encoder : nn.Module
        The adapted encoder.
    task : str
        The task that it was adapted to; the sentences come from another one.

    Raises
    ------
    ValueError
        If there is no such task, or what the encoder computes is not finite.
    """
    other = "agent" if tasks.get_task(task).name == "sentiment" else "sentiment"
    sentences = batch_of(base, tasks.get_task(other).split("test")[:UNRELATED])
    pairs = [_similarities(encoder, sentences) for encoder in (base.encoder, encoder)]
    correlation = float(torch.corrcoef(torch.stack(pairs))[0, 1])
    if not math.isfinite(correlation):
        raise ValueError(
            "the encoder's similarities are not finite, or all the same: training diverged; lower the learning rate"
        )
    return correlation


@torch.no_grad()
def _similarities(encoder: nn.Module, sentences: training.Batch) -> Tensor:
    with _evaluation_mode(encoder):
        vectors = training.Classifier(encoder, 2).features(sentences.input_ids, sentences.attention_mask)
    cosine = (vectors @ vectors.T / vectors.shape[-1]).double()
    rows, columns = torch.triu_indices(len(cosine), len(cosine), offset=1)
    return cosine[rows, columns]


@contextlib.contextmanager
def _evaluation_mode(encoder: nn.Module) -> Iterator[None]:
    """Switch dropout off, and give each module its mode back."""
    modes = {module: module.training for module in encoder.modules()}
    encoder.eval()
    try:
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode
