"""The bridge to transformers and PEFT: what it loads, what it builds, and how it reads an adapter."""

import copy
import os
import time

import pytest
import torch
from torch import nn

transformers = pytest.importorskip("transformers")
peft = pytest.importorskip("peft")
from ia3_lab import hub  # noqa: E402
from ia3_lab.hub import describe_adapter, is_hub_reachable, load_or_build  # noqa: E402

# PEFT 0.21 reads an attribute that transformers 5 is renaming.
pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")

SIZES = {"vocab_size": 30, "dim": 12, "hidden_dim": 40, "n_layers": 3, "n_heads": 3}


@pytest.fixture(autouse=True)
def offline(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


def distilbert(seed=0):
    config = transformers.DistilBertConfig(**SIZES, num_labels=5)
    return load_or_build(transformers.AutoModelForSequenceClassification, "no-such-model", config, seed=seed)


def wrapped(model, **settings):
    return peft.get_peft_model(model, peft.IA3Config(**settings))


def on_meta(model_type, **sizes):
    with torch.device("meta"):
        return transformers.AutoModel.from_config(transformers.AutoConfig.for_model(model_type, **sizes))


# --- a model with or without a network ---------------------------------------------------------------------------


def test_without_a_hub_the_same_seed_builds_the_same_model_and_another_seed_another():
    first, again, other = distilbert(seed=3), distilbert(seed=3), distilbert(seed=4)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), again.parameters(), strict=True))
    assert not torch.equal(first.classifier.weight, other.classifier.weight)
    assert first.name_or_path == ""
    assert not first.training


def test_a_model_class_is_built_like_an_auto_class():
    config = transformers.DistilBertConfig(**SIZES)
    plain = load_or_build(transformers.DistilBertModel, "no-such-model", config, seed=1)
    auto = load_or_build(transformers.AutoModel, "no-such-model", config, seed=1)
    assert type(plain) is type(auto)
    assert all(torch.equal(a, b) for a, b in zip(plain.parameters(), auto.parameters(), strict=True))


def test_a_folder_is_loaded_and_only_the_new_head_is_random(tmp_path, capfd):
    stored = transformers.DistilBertModel(transformers.DistilBertConfig(**SIZES)).bfloat16()
    stored.save_pretrained(tmp_path)
    capfd.readouterr()
    config = transformers.DistilBertConfig(**SIZES, num_labels=2)
    model = load_or_build(transformers.AutoModelForSequenceClassification, str(tmp_path), config, seed=7)
    for name, tensor in stored.state_dict().items():
        assert torch.equal(model.distilbert.state_dict()[name], tensor.float())
    assert model.name_or_path == str(tmp_path)
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    assert capfd.readouterr() == ("", "")


def test_loading_leaves_the_settings_of_transformers_as_they_were(tmp_path):
    from transformers.utils import logging

    transformers.DistilBertModel(transformers.DistilBertConfig(**SIZES)).save_pretrained(tmp_path)
    before = logging.get_verbosity(), logging.is_progress_bar_enabled()
    load_or_build(transformers.AutoModel, str(tmp_path), transformers.DistilBertConfig(**SIZES))
    assert (logging.get_verbosity(), logging.is_progress_bar_enabled()) == before


def test_a_reachable_hub_is_asked_for_the_pretrained_model(monkeypatch):
    asked = []

    class Kind:
        @classmethod
        def from_pretrained(cls, name, config):
            asked.append((name, config))
            return nn.Linear(2, 3).half()

    monkeypatch.setattr(hub, "is_hub_reachable", lambda: True)
    model = load_or_build(Kind, "some/model", "its config")
    assert asked == [("some/model", "its config")]
    assert model.weight.dtype == torch.float32


def test_offline_means_that_nothing_is_asked(monkeypatch):
    import huggingface_hub

    monkeypatch.setattr(huggingface_hub, "get_session", lambda: pytest.fail("asked the network"))
    assert not is_hub_reachable()


@pytest.mark.parametrize(("answer", "expected"), [("yes", True), ("error", False), ("hangs", False)])
def test_reachability_is_an_answer_in_time(monkeypatch, capfd, answer, expected):
    import huggingface_hub
    from huggingface_hub import constants

    class Session:
        def head(self, url, timeout):
            if answer == "hangs":
                time.sleep(10.0)
            if answer == "error":
                raise OSError("no route to host")

    monkeypatch.delenv("HF_HUB_OFFLINE")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(huggingface_hub, "get_session", Session)
    start = time.perf_counter()
    assert is_hub_reachable(timeout=1.0) is expected
    assert time.perf_counter() - start < 5.0
    assert capfd.readouterr() == ("", "")
    assert "HF_HUB_OFFLINE" not in os.environ


# --- reading an adapter ------------------------------------------------------------------------------------------


def test_the_three_parts_add_up_to_what_peft_counts():
    model = wrapped(distilbert(), task_type="SEQ_CLS", target_modules=["k_lin", "lin2"], feedforward_modules=["lin2"])
    report = describe_adapter(model)
    trained, everything = model.get_nb_trainable_parameters()
    assert report.ia3 == 3 * (12 + 40)
    assert report.ia3 + report.head == trained
    assert report.ia3 + report.head + report.base == everything
    assert report.base == sum(p.numel() for p in distilbert().parameters())


def test_without_a_task_type_nothing_but_vectors_is_counted_as_trained():
    report = describe_adapter(wrapped(distilbert(), target_modules=["v_lin"], feedforward_modules=[]))
    assert (report.ia3, report.head) == (3 * 12, 0)
    assert report.differences == ("no l_k", "no l_ff")


@pytest.mark.parametrize(
    ("targets", "feedforward", "expected"),
    [
        (["k_lin", "v_lin", "lin2"], ["lin2"], ()),
        (["k_lin", "v_lin", "lin1"], ["lin1"], ("no l_ff", "also the input of W_1")),
        (["k_lin", "v_lin", "lin1"], [], ("no l_ff", "also the output of W_1")),
        (["k_lin", "v_lin", "lin2"], [], ("no l_ff", "also the output of W_2")),
        (["q_lin", "v_lin", "lin2"], ["lin2"], ("no l_k", "also the output of W_q")),
        (["k_lin", "v_lin", "lin2", "out_lin"], ["lin2", "out_lin"], ("also the input of W_o",)),
    ],
)
def test_places_that_are_not_the_paper_s_are_named(targets, feedforward, expected):
    report = describe_adapter(wrapped(distilbert(), target_modules=targets, feedforward_modules=feedforward))
    assert report.differences == expected


@pytest.mark.parametrize(
    ("model_type", "expected"),
    [
        ("t5", ()),
        ("mt5", ()),
        ("llama", ()),
        ("bert", ("also the input of W_o",)),
        ("opt", ("no l_v", "also the output of W_q")),
        ("qwen2", ("no l_k", "also the output of W_q")),
        ("bloom", ("scales Q too",)),
        ("deberta", ("scales Q too", "also the input of W_o")),
    ],
)
def test_defaults_of_peft_are_read_by_place(model_type, expected):
    assert describe_adapter(wrapped(on_meta(model_type))).differences == expected


def test_layers_with_vectors_of_different_sizes_get_rows_of_their_own():
    network = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 5))
    rows = describe_adapter(wrapped(network, target_modules=["0", "2"], feedforward_modules=["2"])).rows
    assert [(row.side, row.shape, row.instances, row.role) for row in rows] == [
        ("output", (3, 1), 1, "-"),
        ("input", (1, 3), 1, "-"),
    ]


def test_each_adapter_is_counted_on_its_own_and_the_base_stays_the_base():
    model = wrapped(distilbert(), task_type="SEQ_CLS", target_modules=["k_lin"], feedforward_modules=[])
    alone = describe_adapter(model)
    model.add_adapter("second", peft.IA3Config(task_type="SEQ_CLS", target_modules=["v_lin"], feedforward_modules=[]))
    second = describe_adapter(model, "second")
    assert describe_adapter(model) == alone
    assert (second.rows[0].role, second.head, second.base) == ("l_v", alone.head, alone.base)
    with pytest.raises(ValueError, match="named 'third'"):
        describe_adapter(model, "third")


def test_the_report_prints_a_line_for_each_place_and_one_for_the_totals():
    settings = {"target_modules": ["k_lin", "lin2"], "feedforward_modules": ["lin2"]}
    lines = str(describe_adapter(wrapped(distilbert(), **settings))).splitlines()
    assert len(lines) == 4
    assert lines[1].split() == ["l_k", "output", "(12,", "1)", "3", "36", "layer.*.attention.k_lin"]
    assert lines[-1].startswith("IA3 156 + head 0 trained; base ")


def test_printed_names_lose_only_what_all_of_them_share_in_front_of_the_layers():
    report = describe_adapter(wrapped(on_meta("t5")))
    printed = [line.split()[-1] for line in str(report).splitlines()[1:-1]]
    assert {name.split(".")[0] for name in printed} == {"encoder", "decoder"}
    assert printed == [row.modules for row in report.rows]
    network = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 5))
    report = describe_adapter(wrapped(network, target_modules=["0", "2"], feedforward_modules=["2"]))
    assert [line.split()[-1] for line in str(report).splitlines()[1:-1]] == ["*", "*"]


def test_the_verdict_is_the_differences_in_one_line():
    lists = {"target_modules": ["q_lin", "v_lin", "lin2"], "feedforward_modules": ["lin2"]}
    assert describe_adapter(wrapped(distilbert(), **lists)).verdict == "no l_k; also the output of W_q"
    lists["target_modules"][0] = "k_lin"
    assert describe_adapter(wrapped(distilbert(), **lists)).verdict == "as in the paper"


def test_reading_changes_nothing():
    model = wrapped(distilbert(), target_modules=["k_lin"], feedforward_modules=[])
    before = copy.deepcopy(model.state_dict())
    describe_adapter(model)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


# --- what chapter 5 says about PEFT, with vectors far from one -----------------------------------------------------


def test_lin2_in_both_lists_is_the_paper_s_equation_and_lin1_is_not():
    feed_forward = distilbert().distilbert.transformer.layer[0].ffn
    x, generator = torch.randn(7, 12, generator=torch.Generator().manual_seed(0)), torch.Generator().manual_seed(1)
    for name in ("lin2", "lin1"):
        adapted = wrapped(copy.deepcopy(feed_forward), target_modules=[name], feedforward_modules=[name])
        vector = adapted.get_base_model().get_submodule(name).ia3_l["default"]
        vector.data.copy_(2 * torch.randn(vector.shape, generator=generator))
        l_ff = vector.flatten() if name == "lin2" else torch.ones(40)
        expected = feed_forward.lin2(l_ff * nn.functional.gelu(feed_forward.lin1(x)))
        assert torch.equal(adapted(x), expected) is (name == "lin2")
