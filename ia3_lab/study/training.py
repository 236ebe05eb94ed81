"""Few-shot training in the plainest form: a classifier of sentences, one train loop, one evaluation."""

import math
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ia3_lab.attach import freeze_except
from ia3_lab.study.tasks import Example


class Classifier(nn.Module):
    """Class logits of sentences, from the mean of an encoder's last hidden states, scaled to a fixed length.

    ``logits = sqrt(d) * mean(h) / |mean(h)| @ W + b``, the mean over the tokens that are not padding. W (d_model,
    num_labels) and b start at zero, so every label starts equally likely.

    References
    ----------
    Reimers and Gurevych (2019), section 3: the mean over tokens as the sentence's embedding.
    """

    def __init__(self, encoder: nn.Module, tokenizer: Any, num_labels: int) -> None:
        super().__init__()
        self.encoder, self.tokenizer = encoder, tokenizer
        self.head = nn.Linear(encoder.config.hidden_size, num_labels)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)
        self.head.to(next(encoder.parameters()))

    def tokens(self, texts: Sequence[str]) -> dict[str, Tensor]:
        """Return ids and mask of sentences, (batch, tokens) each, padded on the right, on the model's device."""
        found = self.tokenizer(texts, padding=True, padding_side="right", return_tensors="pt")
        return {name: found[name].to(self.head.weight.device) for name in ("input_ids", "attention_mask")}

    def features(self, texts: Sequence[str]) -> Tensor:
        """Return the sentence vectors (batch, d_model), each of length sqrt(d_model)."""
        tokens = self.tokens(texts)
        hidden = self.encoder(**tokens).last_hidden_state
        mask = tokens["attention_mask"].unsqueeze(-1).to(hidden.dtype)
        mean = (hidden * mask).sum(1) / mask.sum(1)
        return F.normalize(mean, dim=-1) * math.sqrt(mean.shape[-1])

    def forward(self, texts: Sequence[str]) -> Tensor:
        """Map sentences to logits (batch, num_labels)."""
        return self.head(self.features(texts))


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How to train: AdamW with a linear warm-up and a linear decay to zero, or SGD with momentum 0.9.

    ``lr`` and ``head_lr`` are the peak learning rates of what a method trains and of the head; a step sees
    ``batch_size`` sentences, or all. Weight decay pulls to zero, which for a rescaling vector is not the identity.
    """

    lr: float
    head_lr: float
    steps: int
    batch_size: int = 16
    warmup: int = 4
    weight_decay: float = 0.0
    optimizer: str = "adamw"


class History(NamedTuple):
    """The loss of each step in nats per sentence, and the seconds that all steps took."""

    losses: list[float]
    seconds: float


class Evaluation(NamedTuple):
    """Accuracy in [0, 1], mean cross-entropy in nats per sentence, and probabilities (sentences, labels)."""

    accuracy: float
    loss: float
    probabilities: Tensor


def train(
    model: Classifier,
    examples: Sequence[Example],
    settings: Settings,
    *,
    adapter: Iterable[nn.Parameter] = (),
    seed: int = 0,
) -> History:
    """Train the head and the adapter's parameters, in place; everything else is frozen, and dropout stays off.

    Minimizes the mean cross-entropy. Sentences are shuffled anew for each pass over them, on the CPU, so that every
    device sees the same order.

    Raises
    ------
    ValueError
        If the loss stops being a number.
    """
    adapter, head = list(adapter), list(model.head.parameters())
    freeze_except(model, [*adapter, *head])
    model.eval()
    groups = [{"params": head, "lr": settings.head_lr}, *([{"params": adapter, "lr": settings.lr}] if adapter else [])]
    kinds = {"sgd": (torch.optim.SGD, {"momentum": 0.9}), "adamw": (torch.optim.AdamW, {"fused": True})}
    kind, options = kinds[settings.optimizer]
    optimizer = kind(groups, weight_decay=settings.weight_decay, **options)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _share_of_peak(step, settings))
    losses, start = [], time.perf_counter()
    for step, rows in enumerate(_rows(len(examples), settings, seed)):
        loss = _loss(model([examples[i].text for i in rows]), [examples[i] for i in rows])
        if not torch.isfinite(loss):
            raise ValueError(f"the loss is {loss.item()} at step {step}: lower the learning rates of {settings}")
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
    return History(losses, time.perf_counter() - start)


@torch.no_grad()
def evaluate(model: Classifier, examples: Sequence[Example], *, batch_size: int = 64) -> Evaluation:
    """Return accuracy, loss and probabilities of a classifier on labeled sentences.

    Raises
    ------
    ValueError
        If the logits are not finite, which would count as an answer.
    """
    model.eval()
    parts = [examples[i : i + batch_size] for i in range(0, len(examples), batch_size)]
    logits = torch.cat([model([example.text for example in part]) for part in parts]).float()
    if not logits.isfinite().all():
        raise ValueError("the logits are not finite: training diverged; lower the learning rate")
    right = logits.argmax(-1).tolist()
    accuracy = sum(one == example.label for one, example in zip(right, examples, strict=True)) / len(examples)
    return Evaluation(accuracy, _loss(logits, examples).item(), logits.softmax(-1))


def _loss(logits: Tensor, examples: Sequence[Example]) -> Tensor:
    """Return the mean cross-entropy, in nats per sentence."""
    return F.cross_entropy(logits, torch.tensor([example.label for example in examples], device=logits.device))


def _share_of_peak(step: int, settings: Settings) -> float:
    """Return the learning rate of a step as a share of its peak: a ramp up, then a ramp down that ends above zero."""
    up = (step + 1) / (settings.warmup + 1)
    down = (settings.steps - step) / max(settings.steps - settings.warmup, 1)
    return max(min(up, down, 1.0), 0.0)


def _rows(size: int, settings: Settings, seed: int) -> Iterator[list[int]]:
    """Yield which sentences each step sees: shuffled passes, cut into batches of one width."""
    width, generator = min(settings.batch_size, size), torch.Generator().manual_seed(seed)
    per_pass = size // width
    for step in range(settings.steps):
        if step % per_pass == 0:
            order = torch.randperm(size, generator=generator).tolist()
        yield order[step % per_pass * width :][:width]
