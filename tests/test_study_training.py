"""Training, methods and runs: what moves, in which order, how many numbers, and the same run twice."""

import copy
import re
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from random_tensors import gap
from torch import Tensor, nn
from torch.testing import assert_close
from transformers import BertConfig, BertModel

from ia3_lab.attach import count_parameters, merge
from ia3_lab.config import ModelConfig
from ia3_lab.study import runs
from ia3_lab.study.methods import METHODS, SWEPT
from ia3_lab.study.protocol import Result, Run
from ia3_lab.study.tasks import Example, Task, get_task
from ia3_lab.study.training import Classifier, Settings, evaluate, train

#: Six sentences of digits, for the tokenizer below.
DIGITS = [Example(f"{i} 3" if i % 2 else f"{i}", i % 2, "cell", "template", i) for i in range(6)]
SETTINGS = Settings(lr=0.1, head_lr=0.1, steps=12, batch_size=4)


def tokenizer(texts: list[str], padding_side: str = "left", **options: object) -> dict[str, Tensor]:
    """Read sentences of digits, or of words; 6 is the padding, on the left unless it is told otherwise."""
    read = lambda word: int(word) if word.isdigit() else 7 + sum(word.encode()) % 90  # noqa: E731
    rows = [torch.tensor([read(word) for word in text.split()]) for text in texts]
    ids = nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=6, padding_side=padding_side)
    return {"input_ids": ids, "attention_mask": (ids != 6).long()}


def tiny_base(num_layers: int = 1, vocab_size: int = 97) -> SimpleNamespace:
    """Return a base of random weights: BERT's architecture in float64, small."""
    sizes = {"hidden_size": 8, "intermediate_size": 16, "num_attention_heads": 2, "initializer_range": 0.3}
    torch.manual_seed(0)
    config = BertConfig(**sizes, num_hidden_layers=num_layers, vocab_size=vocab_size)
    return SimpleNamespace(encoder=BertModel(config, add_pooling_layer=False).double().eval(), tokenizer=tokenizer)


def classifier(num_labels: int = 2) -> Classifier:
    return Classifier(tiny_base().encoder, tokenizer, num_labels)


def test_a_new_classifier_finds_every_label_equally_likely_from_features_of_length_root_d_padded_on_the_right() -> None:
    found = evaluate(classifier(3), DIGITS)
    assert_close(found.probabilities, torch.full((6, 3), 1 / 3))
    assert found.loss == pytest.approx(torch.log(torch.tensor(3.0)).item())
    model = classifier().eval()
    assert model.tokens(["1", "2 3 4"])["input_ids"].tolist() == [[1, 6, 6], [2, 3, 4]]
    together, alone = model.features(["1", "2 3 4"]), model.features(["1"])
    assert_close(together.norm(dim=-1), torch.full((2,), 8**0.5).double())
    assert_close(together[:1], alone)
    assert gap(model.features(["1 5"]), alone) > 0.1  # the control: a word there is


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_training_lowers_the_loss_step_by_step_as_its_seed_says_with_dropout_off(optimizer: str) -> None:
    def losses(seed: int, **changes: float) -> list[float]:
        model, chosen = classifier().train(), replace(SETTINGS, steps=40, optimizer=optimizer, **changes)
        gains = [p for name, p in model.encoder.named_parameters() if "LayerNorm.weight" in name]
        return train(model, DIGITS, chosen, adapter=gains, seed=seed).losses

    first = losses(seed=1)
    assert len(first) == 40 and first[0] == pytest.approx(0.6931, abs=1e-4) and first[-1] < 0.5 * first[0]
    assert losses(seed=1) == first != losses(seed=2)
    assert losses(seed=1, weight_decay=2.0)[-1] > 1.5 * first[-1]


@pytest.mark.parametrize(("size", "width"), [(3, 3), (6, 4), (6, 2)])
def test_a_pass_shows_no_sentence_twice_in_an_order_that_the_seed_alone_decides(size: int, width: int) -> None:
    model, seen = classifier(), []
    note = lambda encoder, args, given: seen.append(given["input_ids"][:, 0].tolist())  # noqa: E731
    model.encoder.register_forward_pre_hook(note, with_kwargs=True)
    torch.manual_seed(5)
    train(model, DIGITS[:size], replace(SETTINGS, batch_size=width, steps=9), seed=3)
    generator = torch.Generator().manual_seed(3)  # of the CPU: every device sees the same order
    passes = [torch.randperm(size, generator=generator).tolist() for _ in range(9)]
    steps = [order[i : i + width] for order in passes for i in range(0, size - width + 1, width)]
    assert seen == steps[:9]


def test_the_learning_rate_ramps_up_and_down_and_never_reaches_zero() -> None:
    model, biases = classifier(), []
    model.head.register_forward_hook(lambda head, *_: biases.append(head.bias[0].item()))
    train(model, DIGITS[:1], replace(SETTINGS, steps=10, warmup=3, head_lr=1e-4))
    moves = torch.tensor([*biases, model.head.bias[0].item()]).diff() / 1e-4
    ramps = [0.25, 0.5, 0.75, 1, *(n / 7 for n in range(6, 0, -1))]
    assert moves.tolist() == pytest.approx(ramps, rel=1e-2)  # for Adam, whose gradient is all but constant here


def test_a_model_that_diverged_neither_trains_on_nor_has_an_accuracy() -> None:
    model = classifier()
    model.head.bias.data.fill_(float("nan"))
    with pytest.raises(ValueError, match="the loss is nan at step 0: lower the learning rates of Settings"):
        train(model, DIGITS, SETTINGS)
    with pytest.raises(ValueError, match="the logits are not finite: training diverged"):
        evaluate(model, DIGITS)


#: method -> the names of what it trains in a layer
TRAINS = {
    "head": "nothing",
    "ia3": r"(attention\.self\.(key|value)|output\.dense)\.l",
    **dict.fromkeys(("lora-r1-qv", "lora-r4-qv"), r"attention\.self\.(query|value)\.[AB]"),
    **dict.fromkeys(("lora-r1-kvff", "lora-r4-kvff"), r"(attention\.self\.(key|value)|output\.dense)\.[AB]"),
    "bitfit": r".*\.bias",
    "ia3-linear": r"(attention\.(self\.(query|key|value)|output\.dense)|intermediate\.dense|output\.dense)\.l",
    "layernorm": r"(attention\.)?output\.LayerNorm\.(weight|bias)",
}


@pytest.mark.parametrize("name", METHODS | SWEPT)
def test_a_method_starts_as_the_base_moves_what_it_counts_and_nothing_else_and_its_layers_merge(name: str) -> None:
    method = (METHODS | SWEPT)[name]
    base = tiny_base(num_layers=11, vocab_size=7)
    size = count_parameters(base.encoder).total
    config = ModelConfig(name="tiny", d_model=8, d_ff=16, num_layers=11, num_heads=2, base_parameters=size)
    model, parameters = runs.adapt(base, name, 2)
    assert sum(p.numel() for p in parameters.values()) == method.count(config)
    assert name == "full" or all(re.fullmatch(rf"encoder\.layer\.\d+\.({TRAINS[name]})", key) for key in parameters)
    texts = [example.text for example in DIGITS]
    start, before = model.features(texts), copy.deepcopy(model.state_dict())
    assert torch.equal(start, Classifier(base.encoder, tokenizer, 2).features(texts))
    train(model, DIGITS, replace(SETTINGS, steps=6, weight_decay=0.1), adapter=parameters.values())
    trained = {id(p) for p in (*parameters.values(), *model.head.parameters())}
    for key, parameter in model.named_parameters():
        moved = not torch.equal(parameter, before[key])
        # a key's bias shifts all scores of a query alike, and has no gradient
        assert moved or key.endswith("attention.self.key.bias") if id(parameter) in trained else not moved, key
    if name.startswith(("ia3", "lora")):
        wrapped = model.features(texts)
        assert_close(merge(model).features(texts), wrapped, atol=1e-12, rtol=0)
        assert (wrapped - start).abs().max() > 0.1  # the control: training had changed something


def test_a_run_comes_out_the_same_twice_scored_on_its_stage_s_split_and_forgets_by_training_alone(monkeypatch):
    def shortened(name: str) -> Task:
        splits, ends = get_task(name).splits, {"train": None, "validation": 13, "test": 15}
        return get_task(name)._replace(splits={split: splits[split][:end] for split, end in ends.items()})

    base = tiny_base(num_layers=2)

    def perform(**changes: object) -> Result:
        run = Run("final", "sentiment", 8, "ia3", draw=0, lr=0.0316, head_lr=0.00178, steps=2)
        return runs.perform(run._replace(**changes), base)._replace(seconds=0)

    monkeypatch.setattr(runs, "get_task", shortened)
    monkeypatch.setattr(runs, "_UNRELATED", 12)
    first = perform()
    base.encoder.train()  # whose dropout is off all the same
    assert first == perform() and first.parameters == 2 * (8 + 8 + 16)
    assert first.loss != perform(draw=1).loss
    search, final = perform(stage="search", method="head"), perform(method="head")
    right = search.accuracy * 13, final.accuracy * 15
    assert right == pytest.approx([round(one) for one in right], abs=1e-3) and search.loss != final.loss
    assert search.kept == final.kept == 1.0 > 0.99 > perform(lr=0.3, steps=8).kept  # the last one is the control
