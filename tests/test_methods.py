"""Each method trains what it says and nothing else, and as many numbers as its formula says."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch
from torch import nn

from ia3_lab import experiments, lora, pretrained, scaled_linear, tasks, training
from ia3_lab.config import ModelConfig
from ia3_lab.methods import METHODS, get_method


@pytest.fixture(scope="module")
def shots(base: pretrained.Pretrained) -> training.Batch:
    return experiments.batch_of(base, tasks.few_shot("sentiment", 8, 0))


#: method -> a sign that a trained tensor belongs to it, and one that a frozen tensor does not
BELONGS = {
    "ia3": lambda name: name.endswith(".l"),
    "lora-r1-qv": lambda name: name.endswith((".A", ".B")),
    "lora-r4-qv": lambda name: name.endswith((".A", ".B")),
    "lora-r1-kvff": lambda name: name.endswith((".A", ".B")),
    "lora-r4-kvff": lambda name: name.endswith((".A", ".B")),
    "bitfit": lambda name: name.startswith("encoder.") and name.endswith(".bias"),
    "layernorm": lambda name: name.startswith("encoder.") and "LayerNorm" in name,
    "full": lambda name: True,
    "head": lambda name: False,
}


@pytest.mark.parametrize("name", METHODS)
def test_the_count_in_closed_form_is_the_number_of_trained_parameters(base: pretrained.Pretrained, name: str) -> None:
    parameters = experiments.adapt(base, name, 2).parameters
    assert sum(p.numel() for p in parameters.values()) == get_method(name).count(pretrained.CONFIG)
    assert all(BELONGS[name](key) for key in parameters)


def tiny_bert(num_layers: int) -> tuple[nn.Module, ModelConfig]:
    from transformers import BertConfig, BertModel

    config = ModelConfig(name="tiny", d_model=8, d_ff=16, num_layers=num_layers, num_heads=2)
    sizes = {"hidden_size": 8, "intermediate_size": 16, "num_hidden_layers": num_layers, "num_attention_heads": 2}
    encoder = BertModel(BertConfig(vocab_size=20, **sizes), add_pooling_layer=False)
    return encoder, replace(config, base_parameters=sum(p.numel() for p in encoder.parameters()))


@pytest.mark.parametrize("num_layers", [2, 12, 24])
@pytest.mark.parametrize("name", METHODS)
def test_every_layer_is_adapted_in_deep_models_too(name: str, num_layers: int) -> None:
    encoder, config = tiny_bert(num_layers)
    parameters = get_method(name).attach(encoder, None)
    assert sum(p.numel() for p in parameters.values()) == get_method(name).count(config)


@pytest.mark.parametrize("name", [name for name in METHODS if name != "head"])
def test_what_is_no_bert_encoder_is_refused(name: str) -> None:
    from transformers import DistilBertConfig, DistilBertModel

    sizes = {"dim": 8, "hidden_dim": 16, "n_layers": 2, "n_heads": 2, "vocab_size": 20}
    for model in (DistilBertModel(DistilBertConfig(**sizes)), training.Classifier(tiny_bert(2)[0], 2)):
        with pytest.raises(ValueError, match=r"'encoder\.layer.* matches no module of this model"):
            get_method(name).attach(model, None)


@pytest.mark.parametrize("name", METHODS)
def test_a_method_moves_what_it_trains_and_leaves_the_rest_bit_identical(
    base: pretrained.Pretrained, shots: training.Batch, name: str
) -> None:
    adapted = experiments.adapt(base, name, 2)
    before = copy.deepcopy(adapted.model.state_dict())
    settings = training.Settings(lr=1e-3, head_lr=1e-2, steps=3, warmup=0)
    training.train(adapted.model, shots, settings, adapter=adapted.parameters.values())
    trained = {id(p) for p in (*adapted.parameters.values(), *adapted.model.head.parameters())}
    for key, parameter in adapted.model.named_parameters():
        moved = not torch.equal(parameter, before[key])
        # rows of words that never occur, and positions past the end, have no gradient: part of a table may rest
        assert moved or key.endswith("attention.self.key.bias") if id(parameter) in trained else not moved, key


@pytest.mark.parametrize("name", METHODS)
def test_a_method_starts_as_the_base_and_leaves_the_base_alone(
    base: pretrained.Pretrained, shots: training.Batch, name: str
) -> None:
    before = copy.deepcopy(base.encoder.state_dict())
    adapted = experiments.adapt(base, name, 2)
    plain = training.Classifier(base.encoder, 2).features(shots.input_ids, shots.attention_mask)
    assert torch.equal(adapted.model.features(shots.input_ids, shots.attention_mask), plain)
    training.train(
        adapted.model, shots, training.Settings(lr=1e-2, head_lr=1e-2, steps=1), adapter=adapted.parameters.values()
    )
    assert all(torch.equal(tensor, before[key]) for key, tensor in base.encoder.state_dict().items())


def test_ia3_sits_on_keys_values_and_the_second_feed_forward_matrix(base: pretrained.Pretrained) -> None:
    names = list(experiments.adapt(base, "ia3", 2).parameters)
    assert len(names) == 18
    assert not [name for name in names if "attention.output" in name or "intermediate" in name or "query" in name]


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-4)])
@pytest.mark.parametrize(
    ("name", "merge"), [("ia3", scaled_linear.merge), ("lora-r4-qv", lora.merge), ("lora-r1-kvff", lora.merge)]
)
def test_a_trained_model_merged_equals_unmerged(base, shots, name, merge, dtype, tolerance) -> None:
    adapted = experiments.adapt(base, name, 2)
    settings = training.Settings(lr=0.03, head_lr=2e-3, steps=6, warmup=0)
    training.train(adapted.model, shots, settings, adapter=adapted.parameters.values())
    adapted.model.to(dtype)
    with torch.no_grad():
        plain = training.Classifier(copy.deepcopy(base.encoder).to(dtype), 2).features(
            shots.input_ids, shots.attention_mask
        )
        wrapped = adapted.model(shots.input_ids, shots.attention_mask)
        features = adapted.model.features(shots.input_ids, shots.attention_mask)
        merge(adapted.model)
        merged = adapted.model(shots.input_ids, shots.attention_mask)
    torch.testing.assert_close(merged, wrapped, atol=tolerance, rtol=0)
    assert (features - plain).abs().max() > 0.1  # the control: training had changed something


@pytest.mark.parametrize(("wrong", "near"), [("lora-r4", "lora-r4-"), ("IA3", "ia3'"), ("LoRA", "lora-r")])
def test_an_unknown_method_is_refused_with_the_nearest_name(wrong: str, near: str) -> None:
    with pytest.raises(
        ValueError, match=rf"unknown method '{wrong}'; did you mean '{near}.* The methods are head, ia3,"
    ):
        get_method(wrong)


@pytest.mark.parametrize("wrong", ["prompt-tuning-x9", None, 3, ["ia3"], {}])
def test_what_is_near_no_method_is_refused_with_all_of_them(wrong: object) -> None:
    with pytest.raises(ValueError, match=r"unknown method .*\. The methods are head, ia3,"):
        get_method(wrong)
