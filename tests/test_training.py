"""Training: the schedule, the order of the sentences, what is frozen, and what it refuses."""

from __future__ import annotations

import copy
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from ia3_lab import pretrained, tasks, training
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
        ({"weight_decay": float("inf")}, "weight_decay must be a finite number"),
        ({"lr": "0.1"}, "lr must be a number, got '0.1'; pass a float"),
        ({"lr": None}, "lr must be a number, got None"),
        ({"lr": True}, "lr must be a number, got True"),
        ({"steps": 0}, "steps must be at least 1, got 0"),
        ({"batch_size": -1}, "batch_size must be at least 1, got -1"),
        ({"steps": 2.5}, "steps must be a whole number, got 2.5"),
        ({"steps": True}, "steps must be a whole number, got True"),
        ({"warmup": "4"}, "warmup must be a whole number, got '4'"),
        ({"optimizer": "adam"}, "optimizer must be 'adamw' or 'sgd', got 'adam'"),
    ],
)
def test_settings_that_make_no_sense_are_refused(changes: dict, message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        settings(**changes)


def test_numpy_s_numbers_will_do() -> None:
    numbers = {"lr": np.float64(0.1), "steps": np.int64(3), "batch_size": np.int32(4), "warmup": np.int64(0)}
    model = Classifier(Encoder(), np.int64(2))
    assert train(model, batch(), settings(**numbers), seed=np.int64(1)) is not None
    assert evaluate(model, batch(), batch_size=np.int64(4)).accuracy >= 0.5
    assert settings(**numbers) == settings(lr=0.1, steps=3, batch_size=4, warmup=0)


def test_a_loss_that_is_no_number_stops_the_training_and_says_where() -> None:
    model = Classifier(Encoder(), 2)
    model.encoder.words.weight.data[2] = float("inf")
    with pytest.raises(
        ValueError, match=r"the loss is nan at step 0: lower the learning rates \(lr = 0.1, head_lr = 0.1\)"
    ):
        train(model, batch(), settings(batch_size=6))


def test_a_stranger_s_parameter_is_refused() -> None:
    with pytest.raises(ValueError, match="not"):
        train(Classifier(Encoder(), 2), batch(), settings(), adapter=[nn.Parameter(torch.ones(2))])


def test_sentences_and_labels_must_match() -> None:
    with pytest.raises(ValueError, match="expected sentences and one label for each, got 0 and 0 labels"):
        training.encode(None, [])
    with pytest.raises(ValueError, match="got 2 and 1 labels"):
        training.encode(None, ["a", "b"], [1])


@pytest.mark.parametrize(
    ("texts", "labels", "message"),
    [
        (["a", None], None, "expected sentences, got None"),
        ([tasks.Example("a", 0, "c", "t", 0)], None, "expected sentences, got Example.*take its text and its label"),
        (["a", "b"], ["no", "yes"], "a label must be a whole number, got 'no'"),
        (["a", "b"], "01", "a label must be a whole number, got '0'"),
        (["a", "b"], [0.5, 1], "a label must be a whole number, got 0.5"),
        (["a", "b"], [0, -1], "a label must be at least 0, got -1"),
    ],
)
def test_what_is_no_sentence_or_label_is_refused(base, texts: list, labels: object, message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        training.encode(base.tokenizer, texts, labels)


def test_a_sentence_may_be_empty_and_as_long_as_the_model_allows_but_no_longer(base) -> None:
    assert training.encode(base.tokenizer, ["", "a"]).attention_mask.sum(1).tolist() == [2, 3]
    longest = training.encode(base.tokenizer, "word " * 510)
    assert longest.input_ids.shape == (1, pretrained.MAX_TOKENS)
    assert evaluate(Classifier(base.encoder, 2), longest).loss == pytest.approx(0.6931, abs=1e-4)
    with pytest.raises(ValueError, match="a sentence has 513 tokens, the model takes at most 512; shorten"):
        training.encode(base.tokenizer, ["a", "word " * 511])


@pytest.mark.parametrize("labels", [[0, 2], [-100, 0]])
def test_a_label_without_a_column_is_refused(labels: list) -> None:
    sentences = batch(2)
    wrong = Batch(sentences.input_ids, sentences.attention_mask, torch.tensor(labels))
    for call in (
        lambda: train(Classifier(Encoder(), 2), wrong, settings()),
        lambda: evaluate(Classifier(Encoder(), 2), wrong),
    ):
        with pytest.raises(ValueError, match=r"expected labels from 0 to 1, one for each column .*, got \[") as caught:
            call()
        assert str(sorted(labels)) in str(caught.value)


def test_a_batch_of_other_shapes_is_refused() -> None:
    full = batch()
    for ids, mask, labels in (
        (full.input_ids, full.attention_mask[:, :1], full.labels),
        (full.input_ids, full.attention_mask, full.labels[:1]),
        (full.input_ids[:0], full.attention_mask[:0], full.labels[:0]),
        (full.input_ids[0], full.attention_mask[0], full.labels),
    ):
        with pytest.raises(ValueError, match=r"expected ids and mask of shape \(batch, tokens\) .* got \("):
            Batch(ids, mask, labels)


def test_arguments_of_another_kind_are_refused() -> None:
    model = Classifier(Encoder(), 2)
    for call, message in (
        (
            lambda: train(model.encoder, batch(), settings()),
            "expected a model with a head, such as a Classifier, got .*Encoder",
        ),
        (lambda: train(model, ["a"], settings()), "batch must be of type Batch, got .*list"),
        (lambda: train(model, batch(), {"lr": 0.1}), "settings must be of type Settings, got .*dict"),
        (lambda: train(model, batch(), settings(), seed=1.5), "seed must be a whole number, got 1.5"),
        (lambda: evaluate("model", batch()), "model must be of type Module, got .*str"),
        (lambda: evaluate(model, ["a"]), "batch must be of type Batch, got .*list"),
        (lambda: evaluate(model, batch(), batch_size=2.0), "batch_size must be a whole number, got 2.0"),
        (lambda: Classifier(Encoder(), 2.0), "num_labels must be a whole number, got 2.0"),
    ):
        with pytest.raises(TypeError, match=message):
            call()
    with pytest.raises(ValueError, match="batch_size must be at least 1, got 0"):
        evaluate(model, batch(), batch_size=0)


def test_an_adapter_may_name_a_parameter_twice_and_the_head_s_too() -> None:
    one, two = Classifier(Encoder(), 2), Classifier(Encoder(), 2)
    first = train(one, batch(), settings(), adapter=[one.encoder.gain])
    second = train(two, batch(), settings(), adapter=[two.encoder.gain, two.encoder.gain, *two.head.parameters()])
    assert first.losses == second.losses


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_the_head_has_the_dtype_of_its_encoder(dtype: torch.dtype) -> None:
    model = Classifier(Encoder().to(dtype), 2)
    assert {parameter.dtype for parameter in model.parameters()} == {dtype}
    losses = train(model, batch(), settings(steps=20), adapter=[model.encoder.gain]).losses
    assert losses[-1] < losses[0]


def test_one_label_is_no_classifier() -> None:
    with pytest.raises(ValueError, match="num_labels must be at least 2, got 1"):
        Classifier(Encoder(), 1)
