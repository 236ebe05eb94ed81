"""Training: the schedule, the order of the sentences, what is frozen, and what it refuses."""

from __future__ import annotations

import copy
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn

from ia3_lab import training
from ia3_lab.training import Batch, Classifier, Settings, evaluate, train


class Encoder(nn.Module):
    """The smallest thing with an encoder's interface: a table of word vectors, and one trainable gain."""

    def __init__(self) -> None:
        super().__init__()
        self.config = SimpleNamespace(hidden_size=5)
        self.words = nn.Embedding.from_pretrained(torch.randn(7, 5, generator=torch.Generator().manual_seed(0)))
        self.gain = nn.Parameter(torch.ones(5))

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> SimpleNamespace:
        return SimpleNamespace(last_hidden_state=self.words(input_ids) * self.gain)


def batch(size: int = 6) -> Batch:
    ids = torch.arange(size).unsqueeze(1) % 7
    ids, mask = torch.cat([ids, ids * 0 + 3], 1), torch.ones(size, 2, dtype=torch.long)
    mask[::2, 1] = 0
    return Batch(ids, mask, torch.arange(size) % 2)


def settings(**changes: object) -> Settings:
    return Settings(**{"lr": 0.1, "head_lr": 0.1, "steps": 12, "batch_size": 4, **changes})


def test_a_new_classifier_finds_every_label_equally_likely() -> None:
    found = evaluate(Classifier(Encoder(), 3), batch())
    torch.testing.assert_close(found.probabilities, torch.full((6, 3), 1 / 3))
    assert found.loss == pytest.approx(torch.log(torch.tensor(3.0)).item())


def test_features_ignore_padding_and_have_length_root_d() -> None:
    model, sentences = Classifier(Encoder(), 2), batch()
    features = model.features(sentences.input_ids, sentences.attention_mask)
    torch.testing.assert_close(features.norm(dim=-1), torch.full((6,), 5**0.5))
    other = sentences.input_ids.clone()
    other[::2, 1] = 6
    changed = model.features(other, sentences.attention_mask)
    assert torch.equal(changed[::2], features[::2])
    assert not torch.equal(model.features(other, torch.ones_like(other))[::2], features[::2])  # the control


def test_the_head_alone_leaves_the_encoder_bit_identical_and_an_adapter_moves() -> None:
    for adapter in (False, True):
        model = Classifier(Encoder(), 2)
        before = copy.deepcopy(model.encoder.state_dict())
        train(model, batch(), settings(), adapter=[model.encoder.gain] if adapter else [])
        assert torch.equal(model.encoder.words.weight, before["words.weight"])
        assert torch.equal(model.encoder.gain, before["gain"]) is not adapter


def test_training_lowers_the_loss_and_reports_each_step() -> None:
    model = Classifier(Encoder(), 2)
    history = train(model, batch(), settings(steps=40), adapter=[model.encoder.gain])
    assert len(history.losses) == 40
    assert history.losses[-1] < 0.5 * history.losses[0]
    assert history.losses[0] == pytest.approx(0.6931, abs=1e-4)


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_a_seed_fixes_the_result_and_another_seed_changes_it(optimizer: str) -> None:
    def gain(seed: int) -> Tensor:
        model = Classifier(Encoder(), 2)
        train(model, batch(), settings(optimizer=optimizer), adapter=[model.encoder.gain], seed=seed)
        return model.encoder.gain.detach()

    assert torch.equal(gain(1), gain(1))
    assert not torch.equal(gain(1), gain(2))


def test_the_learning_rate_ramps_up_and_down_and_never_reaches_zero() -> None:
    shares = [training._share_of_peak(step, settings(steps=10, warmup=3)) for step in range(10)]
    assert shares == pytest.approx([0.25, 0.5, 0.75, 1, 6 / 7, 5 / 7, 4 / 7, 3 / 7, 2 / 7, 1 / 7])


def test_weight_decay_pulls_to_zero_and_not_to_one() -> None:
    model = Classifier(Encoder(), 2)
    unused = nn.Parameter(torch.ones(4))
    model.unused = unused
    for _ in range(3):
        unused.grad = torch.zeros(4)
        group = [{"params": [unused], "lr": 0.1}]
        training._optimizer(group, settings(weight_decay=0.5)).step()
    torch.testing.assert_close(unused.detach(), torch.full((4,), 0.95**3))


@pytest.mark.parametrize(("size", "width"), [(8, 8), (33, 16), (128, 16)])
def test_a_pass_shows_no_sentence_twice(size: int, width: int) -> None:
    rows = training._rows(size, settings(batch_size=16, steps=9), 0)
    assert rows.shape == (9, width)
    one_pass = rows[: size // width].flatten()
    assert len(one_pass.unique()) == len(one_pass)


def test_a_batch_is_cut_to_its_longest_sentence() -> None:
    assert batch().take(torch.tensor([0, 2])).input_ids.shape == (2, 1)
    assert batch().take(torch.tensor([0, 1])).input_ids.shape == (2, 2)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"lr": -1.0}, "lr must be a finite number of at least 0, got -1.0"),
        ({"head_lr": float("nan")}, "head_lr must be a finite number"),
        ({"steps": 0}, "steps must be a whole number of at least 1, got 0"),
        ({"steps": 2.5}, "steps must be a whole number"),
        ({"optimizer": "adam"}, "optimizer must be 'adamw' or 'sgd', got 'adam'"),
    ],
)
def test_settings_that_make_no_sense_are_refused(changes: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        settings(**changes)


def test_a_loss_that_is_no_number_stops_the_training_and_says_where() -> None:
    model = Classifier(Encoder(), 2)
    model.encoder.words.weight.data[2] = float("inf")
    with pytest.raises(ValueError, match=r"the loss is nan at step 0: lower the learning rate \(0.1\)"):
        train(model, batch(), settings(batch_size=6))


def test_a_stranger_s_parameter_is_refused() -> None:
    with pytest.raises(ValueError, match="not"):
        train(Classifier(Encoder(), 2), batch(), settings(), adapter=[nn.Parameter(torch.ones(2))])


def test_sentences_and_labels_must_match() -> None:
    with pytest.raises(ValueError, match="expected sentences and one label for each, got 0 and 0 labels"):
        training.encode(None, [])
    with pytest.raises(ValueError, match="got 2 and 1 labels"):
        training.encode(None, ["a", "b"], [1])


def test_one_label_is_no_classifier() -> None:
    with pytest.raises(ValueError, match="at least 2 labels, got 1"):
        Classifier(Encoder(), 1)
