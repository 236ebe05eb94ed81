"""The methods that the book compares, each as: which tensors of a BERT encoder does it train, and how many are they.

``qv`` stands for the query and value projections, where LoRA's authors put it; ``kvff`` for IA3's own places: the key
and value projections and the second feed-forward matrix.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import nn

from ia3_lab import counting
from ia3_lab.attach import adapter_parameters, attach, attach_lora
from ia3_lab.config import ModelConfig

_QUERY, _KEY, _VALUE = (f"encoder.layer.*.attention.self.{part}" for part in ("query", "key", "value"))
#: ``*`` crosses dots, so ``encoder.layer.*.output.dense`` would catch the attention's output projection too: a digit,
#: the last of the layer's number, must stand before ``.output``.
_FEED_FORWARD_OUTPUT = "encoder.layer.*[0-9].output.dense"
#: The other linear layers of a BERT layer. IA³'s own three go on as they are.
_OTHER_LINEAR = [_QUERY, "encoder.layer.*.attention.output.dense", "encoder.layer.*.intermediate.dense"]
_LORA = {
    "q and v": ([_QUERY, _VALUE], ("W_q", "W_v")),
    "IA³'s places": ([_KEY, _VALUE, _FEED_FORWARD_OUTPUT], ("W_k", "W_v", "W_2")),
}

_Parameters = dict[str, nn.Parameter]
_Attach = Callable[[nn.Module, torch.Generator | None], _Parameters]


class Method(NamedTuple):
    """One way to adapt an encoder: its name in figures, what it trains beside the head, and how many numbers those are.

    ``attach(encoder, generator)`` changes the encoder in place where the method adds something, and returns what it
    trains by dotted name; it freezes nothing. The generator is the source of random starts (LoRA's A).
    """

    label: str
    attach: _Attach
    count: Callable[[ModelConfig], int]


def _ia3(*others: str) -> _Attach:
    """Put vectors at IA³'s own places, and on the output of other layers."""

    def put(encoder: nn.Module, generator: torch.Generator | None) -> _Parameters:
        attach(encoder, output=[_KEY, _VALUE, *others], input=_FEED_FORWARD_OUTPUT)
        return adapter_parameters(encoder)

    return put


def _lora(rank: int, where: str) -> Method:
    patterns, targets = _LORA[where]

    def put(encoder: nn.Module, generator: torch.Generator | None) -> _Parameters:
        attach_lora(encoder, patterns, rank=rank, alpha=2 * rank, generator=generator)
        return adapter_parameters(encoder)

    return Method(f"LoRA r = {rank}, {where}", put, lambda config: counting.count_lora(config, rank, targets).total)


def _named(choose: Callable[[str], bool]) -> _Attach:
    """Train parameters that the encoder has already."""
    return lambda encoder, generator: {name: p for name, p in encoder.named_parameters() if choose(name)}


#: name -> method, in the order of the book's tables
METHODS: dict[str, Method] = {
    "head": Method("head only", _named(lambda name: False), lambda config: 0),
    "ia3": Method("IA³", _ia3(), lambda config: counting.count_ia3(config).total),
    "lora-r1-qv": _lora(1, "q and v"),
    "lora-r4-qv": _lora(4, "q and v"),
    "lora-r1-kvff": _lora(1, "IA³'s places"),
    "lora-r4-kvff": _lora(4, "IA³'s places"),
    # every bias of the transformer layers, those of their normalizations included (Ben Zaken et al., 2022)
    "bitfit": Method(
        "BitFit",
        _named(lambda name: name.startswith("encoder.") and name.endswith(".bias")),
        lambda config: config.num_layers * (7 * config.d_model + config.d_ff),
    ),
    "layernorm": Method(
        "LayerNorm tuning",
        _named(lambda name: name.startswith("encoder.") and ".LayerNorm." in name),
        lambda config: config.num_layers * 4 * config.d_model,
    ),
    "full": Method("full fine-tuning", _named(lambda name: True), lambda config: config.base_parameters),
}

#: The methods of the rate sweep: those above that it takes up, and IA³ on every linear layer.
SWEPT: dict[str, Method] = {
    "ia3": METHODS["ia3"],
    "ia3-linear": Method(
        "IA³, every linear layer",
        _ia3(*_OTHER_LINEAR),
        lambda config: config.num_layers * (4 * config.d_model + 2 * config.d_ff),
    ),
    **{name: METHODS[name] for name in ("lora-r1-qv", "lora-r4-qv", "lora-r4-kvff", "full")},
}
