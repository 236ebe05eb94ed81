"""Training: the schedule, the order of the sentences, what is frozen, and what it refuses."""

from __future__ import annotations

import copy
from collections.abc import Callable
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
        ({"lr": 10**400}, "lr must be a finite number of at least 0, got 1000"),
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


def test_a_label_without_a_column_is_refused() -> None:
    sentences = batch(2)
    wrong = Batch(sentences.input_ids, sentences.attention_mask, torch.tensor([0, 2]))
    for call in (
        lambda: train(Classifier(Encoder(), 2), wrong, settings()),
        lambda: evaluate(Classifier(Encoder(), 2), wrong),
    ):
        with pytest.raises(ValueError, match=r"expected labels from 0 to 1, one for each column .*, got \[0, 2\]"):
            call()


def state(model: nn.Module) -> tuple:
    return model.training, [parameter.requires_grad for parameter in model.parameters()]


def test_what_cannot_be_trained_on_is_refused_before_anything_is_changed() -> None:
    full = batch(6)
    rare = Batch(full.input_ids, full.attention_mask, torch.tensor([0, 0, 0, 0, 0, 2]))
    on_meta = Classifier(Encoder(), 2).to("meta")
    model = Classifier(Encoder(), 2)
    for wrong, sentences, seed, message in (
        (model, rare, 0, r"expected labels from 0 to 1.* got \[0, 2\]"),
        (model, full, 2**64, "seed must be at most 18446744073709551615"),
        (on_meta, full, 0, "the model is on meta, the batch on cpu; encode it with that device"),
    ):
        before = state(wrong)
        with pytest.raises(ValueError, match=message):
            train(wrong, sentences, settings(steps=1, batch_size=1), seed=seed)
        assert state(wrong) == before
    with torch.no_grad(), pytest.raises(RuntimeError, match=r"training needs gradients.* outside torch.no_grad\(\)"):
        train(model, full, settings())
    assert state(model) == state(Classifier(Encoder(), 2))


def test_the_largest_seed_will_do() -> None:
    assert train(Classifier(Encoder(), 2), batch(), settings(), seed=training.LARGEST_SEED).losses


def test_a_batch_of_other_shapes_is_refused() -> None:
    full = batch()
    for ids, mask, labels in (
        (full.input_ids, full.attention_mask[:, :1], full.labels),
        (full.input_ids, full.attention_mask, full.labels[:1]),
        (full.input_ids[:0], full.attention_mask[:0], full.labels[:0]),
        (full.input_ids[0], full.attention_mask[0], full.labels),
        (full.input_ids[:, :0], full.attention_mask[:, :0], full.labels),
    ):
        with pytest.raises(ValueError, match=r"expected ids and mask of shape \(batch, tokens\) .* got \("):
            Batch(ids, mask, labels)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("input_ids", lambda ids: None, "input_ids must be of type Tensor, got NoneType"),
        ("input_ids", lambda ids: ids.tolist(), "input_ids must be of type Tensor, got list"),
        ("labels", lambda labels: labels.numpy(), "labels must be of type Tensor, got ndarray"),
        ("input_ids", lambda ids: ids.float(), "input_ids must be whole numbers .*, got torch.float32 and torch.int64"),
        ("labels", lambda labels: labels.int(), "labels of dtype torch.int64, got torch.int64 and torch.int32"),
        ("labels", lambda labels: labels.bool(), "got torch.int64 and torch.bool; convert them"),
        ("labels", lambda labels: labels.float(), "got torch.int64 and torch.float32; convert them"),
        ("labels", lambda labels: labels - 100, r"expected labels of at least 0, got \[-100, -99\]"),
    ],
)
def test_a_batch_of_something_else_is_refused(name: str, change: Callable, message: str) -> None:
    parts = vars(batch())
    with pytest.raises((TypeError, ValueError), match=message):
        Batch(**{**parts, name: change(parts[name])})


@pytest.mark.parametrize("row", [[0, 1], [0, 0], [2, 1], [1, 2], [0.5, 0.5]])
def test_a_mask_that_is_not_ones_and_then_zeros_is_refused(row: list) -> None:
    ids, labels = torch.ones(2, 2, dtype=torch.long), torch.zeros(2, dtype=torch.long)
    for dtype in (torch.int64, torch.float32, torch.bool):
        assert len(Batch(ids, torch.tensor([[1, 1], [1, 0]], dtype=dtype), labels)) == 2
    with pytest.raises(ValueError, match="expected a mask whose rows are ones, at least one, and then zeros; pad on"):
        Batch(ids, torch.tensor([[1, 1], row]), labels)


def test_two_batches_can_be_compared() -> None:
    one = batch()
    assert one == one
    assert one != batch()


def test_a_tokenizer_that_pads_on_the_left_loses_no_word_and_stays_as_it_is(base) -> None:
    tokenizer = copy.deepcopy(base.tokenizer)
    tokenizer.padding_side = "left"
    sentences = ["nobody liked the film", "no"]
    found, expected = (training.encode(each, sentences) for each in (tokenizer, base.tokenizer))
    assert torch.equal(found.input_ids, expected.input_ids)
    assert found.attention_mask.tolist() == [[1] * 6, [1] * 3 + [0] * 3]
    assert tokenizer.padding_side == "left"


def test_a_device_that_is_not_there_is_refused(base) -> None:
    for device in ("gpu", "cuda:99", 1.5):
        with pytest.raises(
            ValueError, match=r"device must be 'cpu', 'cuda', .* got|device asks for 'cuda:99', but this machine offers"
        ):
            training.encode(base.tokenizer, "a film", device=device)


@pytest.mark.parametrize("encoder", [None, "bert", nn.Linear(2, 2), nn.Linear])
def test_what_is_no_encoder_is_refused(encoder: object) -> None:
    with pytest.raises(TypeError, match=r"encoder must be a module with config.hidden_size, such as .*, got "):
        Classifier(encoder, 2)


def test_a_model_that_diverged_has_no_accuracy() -> None:
    model = Classifier(Encoder(), 2)
    nn.init.constant_(model.head.bias, float("nan"))
    with pytest.raises(ValueError, match="the logits are not finite: training diverged; lower the learning rate"):
        evaluate(model, batch())


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


def test_an_adapter_is_given_as_freeze_except_takes_it() -> None:
    losses = []
    for given in (lambda p: [p], lambda p: p, lambda p: {"gain": p}, lambda p: iter([p])):
        model = Classifier(Encoder(), 2)
        losses.append(train(model, batch(), settings(), adapter=given(model.encoder.gain)).losses)
    assert losses == [losses[0]] * 4
    assert losses[0] != train(Classifier(Encoder(), 2), batch(), settings()).losses  # the control


@pytest.mark.parametrize(
    ("adapter", "message"),
    [
        (None, "adapter must be parameters, such as those that adapt returns, got NoneType: None; leave it out"),
        (nn.Linear(2, 2), r"adapter must be parameters, .* got Linear: .*of a module give its .parameters\(\)"),
        (nn.Sequential(nn.Linear(2, 2)), r"expected parameters, got a Linear; for a module give its .parameters\(\)"),
        ([[1.0]], "expected parameters, got a list"),
    ],
)
def test_what_is_no_adapter_is_refused(adapter: object, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        train(Classifier(Encoder(), 2), batch(), settings(), adapter=adapter)


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
