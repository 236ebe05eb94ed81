"""The bridge to transformers and PEFT: load a model with or without a network, and read what an adapter wrapped."""

from __future__ import annotations

import contextlib
import os
import re
import threading
import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

#: matrix -> the dotted endings by which the models of transformers call it. The longest ending that fits decides.
MATRIX_NAMES = {
    "W_q": ("q", "q_lin", "q_proj", "query", "query_proj"),
    "W_k": ("k", "k_lin", "k_proj", "key", "key_proj"),
    "W_v": ("v", "v_lin", "v_proj", "value", "value_proj"),
    "W_qkv": ("c_attn", "in_proj", "qkv_proj", "query_key_value"),
    "W_o": (
        *("o", "out_lin", "o_proj", "out_proj", "attn.c_proj", "attention.output.dense"),
        *("attention.dense", "self_attention.dense", "self_attn.dense"),
    ),
    "W_1": ("lin1", "fc1", "fc_in", "wi", "mlp.c_fc", "intermediate.dense", "dense_h_to_4h"),
    "W_gate": ("wi_0", "gate_proj"),
    "W_up": ("wi_1", "up_proj"),
    "W_2": ("lin2", "fc2", "fc_out", "wo", "down_proj", "mlp.c_proj", "output.dense", "dense_4h_to_h"),
}
#: (matrix, side) -> the vector of the paper that a rescaling vector there is.
PAPER_PLACES = {
    ("W_k", "output"): "l_k",
    ("W_v", "output"): "l_v",
    ("W_2", "input"): "l_ff",
    ("W_up", "output"): "l_ff",
    ("W_qkv", "output"): "l_k + l_v",
}


@dataclass(frozen=True)
class VectorRow:
    """Rescaling vectors that sit at the same place of every layer: ``modules`` has ``*`` for the layer's number."""

    modules: str
    matrix: str
    side: str
    shape: tuple[int, ...]
    instances: int

    @property
    def role(self) -> str:
        """The vector of the paper that sits here, or a dash."""
        return PAPER_PLACES.get((self.matrix, self.side), "-")

    @property
    def total(self) -> int:
        """Numbers in all of these vectors together."""
        return self.instances * torch.Size(self.shape).numel()


@dataclass(frozen=True)
class AdapterReport:
    """What one IA3 adapter of a PEFT model consists of, in parameters; prints as a table."""

    rows: tuple[VectorRow, ...]
    head: int
    base: int

    @property
    def ia3(self) -> int:
        """Numbers in all rescaling vectors."""
        return sum(row.total for row in self.rows)

    @property
    def differences(self) -> tuple[str, ...]:
        """How the places differ from the paper's, in words; empty where they are the paper's."""
        found = " ".join(row.role for row in self.rows).split()
        extra = sorted({f"{row.side} of {row.matrix}" for row in self.rows if row.role == "-"})
        fused = ["scales Q too"] if any(row.matrix == "W_qkv" for row in self.rows) else []
        missing = [f"no {vector}" for vector in ("l_k", "l_v", "l_ff") if vector not in found]
        return (*missing, *fused, *(f"also the {place}" for place in extra))

    @property
    def verdict(self) -> str:
        """The differences in one line, or "as in the paper"."""
        return "; ".join(self.differences) or "as in the paper"

    def __str__(self) -> str:
        """One line for each place, then the three totals; names start where the layers begin, if all share a start."""
        line = "{:<9}  {:<6}  {:>10}  {:>6}  {:>8}  {}".format
        lines = [line("vector", "side", "shape", "copies", "numbers", "module")]
        for row, name in zip(self.rows, _without_shared_start([row.modules for row in self.rows]), strict=True):
            lines.append(line(row.role, row.side, str(row.shape), row.instances, f"{row.total:,}", name))
        return "\n".join([*lines, f"IA3 {self.ia3:,} + head {self.head:,} trained; base {self.base:,} frozen"])


def describe_adapter(model: nn.Module, adapter: str = "default") -> AdapterReport:
    """Read a PEFT model: where its rescaling vectors sit, on which side, what the paper calls them, how many numbers.

    Parameters
    ----------
    model : nn.Module
        What ``peft.get_peft_model(model, IA3Config(...))`` returned.
    adapter : str
        The adapter's name.

    Returns
    -------
    AdapterReport
        Counts in parameters. ``head`` counts this adapter's own copies of whole modules (``modules_to_save``).

    Raises
    ------
    ValueError
        If no layer of the model has an IA3 vector of that name.

    References
    ----------
    Liu et al. (2022), section 3.3: the places of l_k, l_v and l_ff.

    Examples
    --------
    >>> describe_adapter(nn.Linear(2, 3))
    Traceback (most recent call last):
    ValueError: no layer of this Linear has an IA3 vector named 'default'; wrap it with peft.get_peft_model first
    """
    root = model.get_base_model() if hasattr(model, "get_base_model") else model
    places: Counter = Counter()
    head = own = 0
    for name, module in root.named_modules():
        vectors = getattr(module, "ia3_l", {})
        if adapter in vectors:
            side = "input" if module.is_feedforward else "output"
            place = re.sub(r"(?<=\.)\d+(?=\.)", "*", f".{name}.").strip(".")
            places[place, _matrix(name), side, tuple(vectors[adapter].shape)] += 1
        copies = getattr(module, "modules_to_save", {})
        head += _size(copies[adapter]) if adapter in copies else 0
        own += sum(vector.numel() for vector in vectors.values()) + sum(_size(copy) for copy in copies.values())
    if not places:
        raise ValueError(
            f"no layer of this {type(root).__name__} has an IA3 vector named {adapter!r}; "
            "wrap it with peft.get_peft_model first"
        )
    rows = tuple(VectorRow(*place, instances) for place, instances in places.items())
    return AdapterReport(rows, head, _size(root) - own)


def is_hub_reachable(timeout: float = 2.0) -> bool:
    """Tell within ``timeout`` seconds whether Hugging Face's hub answers; never prints, never raises.

    Parameters
    ----------
    timeout : float
        Seconds. With the environment variable ``HF_HUB_OFFLINE`` set, nothing is asked and the answer is False.

    Returns
    -------
    bool

    Examples
    --------
    >>> is_hub_reachable(timeout=0.0)
    False
    """
    if timeout <= 0 or os.environ.get("HF_HUB_OFFLINE", "").upper() in {"1", "ON", "YES", "TRUE"}:
        return False
    from huggingface_hub import constants, get_session

    answered = threading.Event()

    def ask() -> None:
        with contextlib.suppress(Exception):  # whatever goes wrong, the hub is not there for us
            get_session().head(constants.ENDPOINT, timeout=timeout)
            answered.set()

    threading.Thread(target=ask, daemon=True).start()  # looking up a name has no timeout of its own
    return not constants.HF_HUB_OFFLINE and answered.wait(timeout)


def load_or_build(kind: Any, name: str, config: Any, *, seed: int = 0) -> nn.Module:
    """Load a pretrained model where it can be had, else build one of the same shape with random weights.

    Parameters
    ----------
    kind : type
        A model class or an auto class of transformers, such as ``AutoModelForSequenceClassification``.
    name : str
        A repository on the hub, or a folder.
    config : PreTrainedConfig
        The sizes. What the stored model lacks, such as a new head, is initialized at random either way.
    seed : int
        Seed of everything random.

    Returns
    -------
    nn.Module
        In evaluation mode, on the CPU, in float32. Its ``name_or_path`` is empty if the weights are random.

    Raises
    ------
    OSError
        If the folder or the hub is there but the model is not.
    """
    torch.manual_seed(seed)
    if Path(name).is_dir() or is_hub_reachable():
        with quiet():
            model = kind.from_pretrained(name, config=config)
    else:
        model = kind.from_config(config) if hasattr(kind, "from_config") else kind(config)
    return model.float().eval()


def _matrix(name: str) -> str:
    """Return which matrix of a transformer a dotted module name is, or the name's last part."""
    endings = [(len(end), key) for key, ends in MATRIX_NAMES.items() for end in ends if f".{name}".endswith(f".{end}")]
    return max(endings)[1] if endings else name.rpartition(".")[2]


def _without_shared_start(names: list[str]) -> list[str]:
    """Cut what all dotted names share in front of the list of layers: ``bert.layer.*.key`` becomes ``layer.*.key``."""
    first, *others = [name.split(".") for name in names]
    end = first.index("*") + 1 if "*" in first else 0
    is_shared = all(other[:end] == first[:end] for other in others)
    start = max(end - 2, 0) if is_shared else 0
    return [".".join(name.split(".")[start:]) for name in names]


def _size(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep loading from drawing progress bars and from reporting that a new head starts at random."""
    from huggingface_hub.utils import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars
    from transformers.utils import logging

    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    hub_bars = not are_progress_bars_disabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    disable_progress_bars()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()
        if hub_bars:
            enable_progress_bars()
