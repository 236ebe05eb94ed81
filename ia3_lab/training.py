"""Few-shot training in the plainest form that does the job: a classifier, one train loop, one evaluation."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ia3_lab import surgery
from ia3_lab.config import check_number, whole_number
from ia3_lab.devices import check_device

#: The largest seed that torch's generators take.
LARGEST_SEED = 2**64 - 1


class Classifier(nn.Module):
    """Class logits from the mean of an encoder's last hidden states, scaled to a fixed length.

    ``logits = sqrt(d) * mean(h) / |mean(h)| @ W + b``, the mean over the tokens that are not padding. W (d_model,
    num_labels) and b start at zero, so every label starts equally likely.

    Parameters
    ----------
    encoder : nn.Module
        Called with ``input_ids`` and ``attention_mask``; has ``config.hidden_size`` and returns ``last_hidden_state``.
    num_labels : int
        At least 2.

    Attributes
    ----------
    encoder : nn.Module
    head : nn.Linear
        On the encoder's device, in its dtype.

    Raises
    ------
    TypeError, ValueError
        If the encoder is no such module, or the number of labels is not a whole number of at least 2.

    References
    ----------
    Reimers and Gurevych (2019), section 3: the mean over tokens as the sentence's embedding.
    """

    def __init__(self, encoder: nn.Module, num_labels: int) -> None:
        super().__init__()
        width = getattr(getattr(encoder, "config", None), "hidden_size", None)
        if not isinstance(encoder, nn.Module) or width is None:
            raise TypeError(
                "encoder must be a module with config.hidden_size, such as the encoder of pretrained.load, "
                f"got {type(encoder).__name__}: {encoder!r:.60}"
            )
        self.encoder = encoder
        self.head = nn.Linear(width, whole_number(num_labels, "num_labels", least=2))
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)
        self.head.to(next(encoder.parameters()))

    def features(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Return the sentence vectors (batch, d_model), each of length sqrt(d_model)."""
        hidden = self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        mask = attention_mask.unsqueeze(-1).to(hidden.dtype)
        mean = (hidden * mask).sum(1) / mask.sum(1)
        return F.normalize(mean, dim=-1) * math.sqrt(mean.shape[-1])

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Map token ids and mask (batch, tokens) to logits (batch, num_labels)."""
        return self.head(self.features(input_ids, attention_mask))


@dataclass(frozen=True, eq=False)  # tensors have no single answer to ==
class Batch:
    """Tokenized sentences, at least one: ids and mask (batch, tokens), labels (batch,) from 0.

    Padding is on the right: a row of the mask is ones, at least one, and then zeros.

    Raises
    ------
    TypeError
        If one is not a tensor, or ids or labels are not whole numbers.
    ValueError
        If the shapes are others, padding is elsewhere, or a label is below 0.
    """

    input_ids: Tensor
    attention_mask: Tensor
    labels: Tensor

    def __post_init__(self) -> None:
        names = ("input_ids", "attention_mask", "labels")
        _check_kinds(**{name: (getattr(self, name), Tensor) for name in names})
        if self.input_ids.dtype not in (torch.int64, torch.int32) or self.labels.dtype != torch.int64:
            raise TypeError(
                "input_ids must be whole numbers and labels of dtype torch.int64, "
                f"got {self.input_ids.dtype} and {self.labels.dtype}; convert them with .long()"
            )
        ids, mask, labels = (tuple(getattr(self, name).shape) for name in names)
        if len(ids) != 2 or mask != ids or labels != ids[:1] or 0 in ids:
            raise ValueError(
                "expected ids and mask of shape (batch, tokens) and labels (batch,), at least one sentence and one "
                f"token, got {ids}, {mask} and {labels}; encode makes them"
            )
        lengths = self.attention_mask.sum(1, keepdim=True)
        expected = torch.arange(ids[1], device=lengths.device) < lengths
        if not (self.attention_mask == expected).all() or not lengths.all():
            raise ValueError(
                "expected a mask whose rows are ones, at least one, and then zeros; pad on the right, as encode does"
            )
        if self.labels.min() < 0:
            raise ValueError(f"expected labels of at least 0, got {self.labels.unique().tolist()}; number them from 0")

    def __len__(self) -> int:
        """Return the number of sentences."""
        return len(self.labels)

    def take(self, rows: Tensor) -> Batch:
        """Return some of the sentences, cut to the longest of them."""
        mask = self.attention_mask[rows]
        end = int(mask.sum(1).max())
        return Batch(self.input_ids[rows, :end], mask[:, :end], self.labels[rows])


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How to train: AdamW with a linear warm-up and a linear decay to zero.

    Attributes
    ----------
    lr, head_lr : float
        Peak learning rates of what the method trains and of the head.
    steps, batch_size, warmup : int
        Steps in all, sentences a step (all of them if there are fewer), steps of warm-up.
    weight_decay : float
        Pulls what is trained to zero, which for a rescaling vector is not the identity: 0 unless you ask for it.
    optimizer : str
        ``"adamw"`` or ``"sgd"`` (momentum 0.9).

    Raises
    ------
    TypeError, ValueError
        If a setting is not a number of its kind, or out of range.
    """

    lr: float
    head_lr: float
    steps: int
    batch_size: int = 16
    warmup: int = 4
    weight_decay: float = 0.0
    optimizer: str = "adamw"

    def __post_init__(self) -> None:
        for name in ("lr", "head_lr", "weight_decay"):
            object.__setattr__(self, name, check_number(getattr(self, name), name, least=0))  # the class is frozen
        for name, least in (("steps", 1), ("batch_size", 1), ("warmup", 0)):
            object.__setattr__(self, name, whole_number(getattr(self, name), name, least))
        if self.optimizer not in ("adamw", "sgd"):
            raise ValueError(f"optimizer must be 'adamw' or 'sgd', got {self.optimizer!r}")


@dataclass(frozen=True)
class History:
    """What happened in training: the loss of each step in nats per sentence, and the seconds that all steps took."""

    losses: tuple[float, ...]
    seconds: float


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Accuracy in [0, 1], mean cross-entropy in nats per sentence, and probabilities (sentences, labels)."""

    accuracy: float
    loss: float
    probabilities: Tensor


def encode(tokenizer: Any, texts: Sequence[str], labels: Sequence[int] | None = None, device: Any = None) -> Batch:
    """Turn sentences into a `Batch`, padded on the right; labels are zeros if there are none.

    Parameters
    ----------
    tokenizer : transformers.PreTrainedTokenizerFast
        Its ``model_max_length`` is how many tokens a sentence may have.
    texts : sequence of str
        At least one sentence; a lone string is one.
    labels : sequence of int, optional
        One whole number from 0 for each sentence.
    device : torch.device or str, optional
        Where the tensors go; the CPU if None.

    Raises
    ------
    TypeError
        If a sentence is not a string, or a label not a whole number.
    ValueError
        If there is no sentence, not one label for each, a label below 0, a sentence too long for the model, or the
        device is unknown or not there.
    """
    device = check_device("cpu" if device is None else device)
    texts = [texts] if isinstance(texts, str) else list(texts)
    labels = [0] * len(texts) if labels is None else [whole_number(label, "a label", least=0) for label in labels]
    if not texts or len(labels) != len(texts):
        raise ValueError(f"expected sentences and one label for each, got {len(texts)} and {len(labels)} labels")
    if odd := [text for text in texts if not isinstance(text, str)]:
        raise TypeError(f"expected sentences, got {odd[0]!r:.80}; of an example take its text and its label")
    tokens = tokenizer(texts, padding=True, padding_side="right", return_tensors="pt")
    longest, most = tokens["input_ids"].shape[1], tokenizer.model_max_length
    if longest > most:
        raise ValueError(f"a sentence has {longest} tokens, the model takes at most {most}; shorten or split it")
    parts = (tokens["input_ids"], tokens["attention_mask"], torch.tensor(labels))
    return Batch(*(part.to(device) for part in parts))


def train(
    model: nn.Module,
    batch: Batch,
    settings: Settings,
    *,
    adapter: nn.Parameter | Iterable[nn.Parameter] | Mapping[str, nn.Parameter] = (),
    seed: int = 0,
) -> History:
    """Train the head and the adapter's parameters on a batch of sentences, in place; everything else is frozen.

    Minimizes the mean cross-entropy. Sentences are shuffled anew for each pass over them, on the CPU, so that every
    device sees the same order. Dropout stays off.

    Parameters
    ----------
    model : nn.Module
        Has a ``head``, and maps ``(input_ids, attention_mask)`` to logits, such as a `Classifier`.
    batch : Batch
        All training sentences.
    settings : Settings
    adapter : nn.Parameter, iterable of nn.Parameter, or mapping of str to nn.Parameter
        What is trained beside the head, whose own are left out of it; nothing if empty.
    seed : int
        Seed of the order of the sentences, from 0 to 2**64 - 1.

    Returns
    -------
    History

    Raises
    ------
    TypeError
        If the model has no head, or an argument is of another kind.
    ValueError
        If one of the parameters is not the model's, a label has no column in the logits, the batch is on another
        device, or the loss stops being a number.
    RuntimeError
        If gradients are switched off.
    """
    if not isinstance(getattr(model, "head", None), nn.Module):
        raise TypeError(
            f"expected a model with a head, such as a Classifier, got {type(model).__name__}: {model!r:.60}"
        )
    _check_kinds(batch=(batch, Batch), settings=(settings, Settings))
    seed = whole_number(seed, "seed", least=0, most=LARGEST_SEED)
    head = list(model.head.parameters())
    adapter = [each for each in _distinct(adapter) if all(each is not other for other in head)]
    _check_trainable(model, batch)
    surgery.freeze_except(model, [*adapter, *head])
    model.eval()
    groups = [{"params": head, "lr": settings.head_lr}]
    groups += [{"params": adapter, "lr": settings.lr}] if adapter else []
    optimizer = _optimizer(groups, settings)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _share_of_peak(step, settings))
    rows = _rows(len(batch), settings, seed)
    losses, start = [], time.perf_counter()
    for step in range(settings.steps):
        part = batch.take(rows[step].to(batch.labels.device))
        loss = _loss(model(part.input_ids, part.attention_mask), part.labels)
        if not torch.isfinite(loss):
            rates = f"lr = {settings.lr:g}, head_lr = {settings.head_lr:g}"
            raise ValueError(f"the loss is {loss.item()} at step {step}: lower the learning rates ({rates})")
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
    return History(tuple(losses), time.perf_counter() - start)


@torch.no_grad()
def evaluate(model: nn.Module, batch: Batch, *, batch_size: int = 64) -> Evaluation:
    """Return accuracy, loss and probabilities of a classifier on labeled sentences; nothing is changed but its mode.

    Parameters
    ----------
    model : nn.Module
        Maps ``(input_ids, attention_mask)`` to logits.
    batch : Batch
    batch_size : int
        Sentences at a time.

    Raises
    ------
    TypeError
        If an argument is of another kind.
    ValueError
        If a label has no column in the logits, the logits are not finite, or the batch size is below 1.
    """
    _check_kinds(model=(model, nn.Module), batch=(batch, Batch))
    batch_size = whole_number(batch_size, "batch_size", least=1)
    model.eval()
    logits = []
    for rows in torch.arange(len(batch), device=batch.labels.device).split(batch_size):
        part = batch.take(rows)
        logits.append(model(part.input_ids, part.attention_mask))
    logits = torch.cat(logits).float()
    if not logits.isfinite().all():
        raise ValueError("the logits are not finite: training diverged; lower the learning rate")
    accuracy = (logits.argmax(-1) == batch.labels).double().mean().item()
    return Evaluation(accuracy, _loss(logits, batch.labels).item(), logits.softmax(-1))


def _check_kinds(**arguments: tuple[object, type]) -> None:
    for name, (value, kind) in arguments.items():
        if not isinstance(value, kind):
            raise TypeError(f"{name} must be of type {kind.__name__}, got {type(value).__name__}: {value!r:.60}")


def _distinct(adapter: Any) -> list[nn.Parameter]:
    """Return the parameters of an adapter, each once; it is given as `surgery.freeze_except` takes it."""
    adapter = adapter.values() if isinstance(adapter, Mapping) else adapter
    adapter = [adapter] if isinstance(adapter, Tensor) else adapter
    if not isinstance(adapter, Iterable):
        raise TypeError(
            f"adapter must be parameters, such as those that adapt returns, got {type(adapter).__name__}: "
            f"{adapter!r:.60}; leave it out to train the head alone, and of a module give its .parameters()"
        )
    return list({id(each): each for each in adapter}.values())


def _check_trainable(model: nn.Module, batch: Batch) -> None:
    """Refuse what would stop training only after the model has been changed."""
    if not torch.is_grad_enabled():
        raise RuntimeError("training needs gradients, which are switched off here; call train outside torch.no_grad()")
    if (device := next(model.parameters(), batch.labels).device) != batch.labels.device:
        raise ValueError(f"the model is on {device}, the batch on {batch.labels.device}; encode it with that device")
    _check_labels(batch.labels, getattr(model.head, "out_features", math.inf))


def _check_labels(labels: Tensor, columns: float) -> None:
    if labels.max() >= columns:
        raise ValueError(
            f"expected labels from 0 to {columns - 1}, one for each column of the logits, "
            f"got {labels.unique().tolist()}; make the classifier with more labels, or correct them"
        )


def _loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the mean cross-entropy, in nats per sentence."""
    _check_labels(labels, logits.shape[-1])
    return F.cross_entropy(logits, labels)


def _optimizer(groups: list[dict[str, Any]], settings: Settings) -> torch.optim.Optimizer:
    if settings.optimizer == "sgd":
        return torch.optim.SGD(groups, momentum=0.9, weight_decay=settings.weight_decay)
    return torch.optim.AdamW(groups, weight_decay=settings.weight_decay, fused=True)


def _share_of_peak(step: int, settings: Settings) -> float:
    """Return the learning rate of a step as a share of its peak: a ramp up, then a ramp down that ends above zero."""
    up = (step + 1) / (settings.warmup + 1)
    down = (settings.steps - step) / max(settings.steps - settings.warmup, 1)
    return max(min(up, down, 1.0), 0.0)


def _rows(size: int, settings: Settings, seed: int) -> Tensor:
    """Return which sentences each step sees, (steps, batch): shuffled passes, cut into batches."""
    width = min(settings.batch_size, size)
    generator = torch.Generator().manual_seed(seed)
    per_pass = size // width
    passes = math.ceil(settings.steps / per_pass)
    order = torch.stack([torch.randperm(size, generator=generator)[: per_pass * width] for _ in range(passes)])
    return order.view(-1, width)[: settings.steps]
