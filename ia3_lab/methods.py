"""The methods that the book compares, each as: which tensors of a BERT encoder does it train, and how many are they.

``qv`` stands for the query and value projections, where LoRA's authors put it; ``kvff`` for IA3's own places: the key
and value projections and the second feed-forward matrix.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import torch
from torch import nn

from ia3_lab import counting, lora, scaled_linear, surgery
from ia3_lab.config import ModelConfig, unknown_name

QUERY, KEY, VALUE = (f"encoder.layer.*.attention.self.{part}" for part in ("query", "key", "value"))
#: ``*`` crosses dots, so ``encoder.layer.*.output.dense`` would catch the attention's output projection too: a digit,
#: the last of the layer's number, must stand before ``.output``.
FEED_FORWARD_OUTPUT = "encoder.layer.*[0-9].output.dense"

Parameters = dict[str, nn.Parameter]


@dataclass(frozen=True)
class Method:
    """One way to adapt an encoder: what it trains beside the classification head.

    Attributes
    ----------
    name : str
        The key in ``METHODS``.
    label : str
        How figures and tables call it.
    attach : function of (encoder, torch.Generator or None) to dict of str to nn.Parameter
        Changes the encoder in place where the method adds something, and returns what it trains, by dotted name. It
        freezes nothing. The generator is the source of random starts (LoRA's A). A ValueError if the encoder is not
        built as ``transformers.BertModel``.
    count : function of ModelConfig to int
        The number of trained parameters in closed form, head left out.
    """

    name: str
    label: str
    attach: Callable[[nn.Module, torch.Generator | None], Parameters]
    count: Callable[[ModelConfig], int]


def get_method(name: str) -> Method:
    """Return a method by name.

    Raises
    ------
    ValueError
        If there is none of that name; the message names the nearest.

    Examples
    --------
    >>> get_method("ia3").label
    'IA³'
    """
    if not isinstance(name, str) or name not in METHODS:
        raise unknown_name("method", name, METHODS)
    return METHODS[name]


def _nothing(encoder: nn.Module, generator: torch.Generator | None) -> Parameters:
    return {}


def _ia3(encoder: nn.Module, generator: torch.Generator | None) -> Parameters:
    scaled_linear.attach(encoder, output=[KEY, VALUE], input=[FEED_FORWARD_OUTPUT])
    return scaled_linear.scaled_parameters(encoder)


def _lora(name: str, label: str, rank: int, patterns: list[str], targets: tuple[str, ...]) -> Method:
    def attach(encoder: nn.Module, generator: torch.Generator | None) -> Parameters:
        lora.attach(encoder, patterns, rank=rank, alpha=2 * rank, generator=generator)
        return lora.lora_parameters(encoder)

    return Method(name, label, attach, lambda config: counting.count_lora(config, rank, targets).total)


def _biases(encoder: nn.Module, generator: torch.Generator | None) -> Parameters:
    """Every bias of the transformer layers, those of their normalizations included (Ben Zaken et al., 2022)."""
    parameters = _everything(encoder, generator).items()
    return {name: p for name, p in parameters if name.startswith("encoder.") and name.endswith(".bias")}


def _norms(encoder: nn.Module, generator: torch.Generator | None) -> Parameters:
    """Gain and bias of the two normalizations in every transformer layer."""
    found = surgery.find_modules(encoder, "encoder.layer.*.LayerNorm", nn.LayerNorm)
    return {f"{name}.{key}": p for name, norm in found.items() for key, p in norm.named_parameters()}


def _everything(encoder: nn.Module, generator: torch.Generator | None) -> Parameters:
    surgery.find_modules(encoder, "encoder.layer.*")  # refuses what is no BERT encoder
    return dict(encoder.named_parameters())


#: name -> method, in the order of the book's tables
METHODS: Mapping[str, Method] = MappingProxyType(
    {
        method.name: method
        for method in (
            Method("head", "head only", _nothing, lambda config: 0),
            Method("ia3", "IA³", _ia3, lambda config: counting.count_ia3(config).total),
            _lora("lora-r1-qv", "LoRA r = 1, q and v", 1, [QUERY, VALUE], ("W_q", "W_v")),
            _lora("lora-r4-qv", "LoRA r = 4, q and v", 4, [QUERY, VALUE], ("W_q", "W_v")),
            _lora(
                "lora-r1-kvff", "LoRA r = 1, IA³'s places", 1, [KEY, VALUE, FEED_FORWARD_OUTPUT], ("W_k", "W_v", "W_2")
            ),
            _lora(
                "lora-r4-kvff", "LoRA r = 4, IA³'s places", 4, [KEY, VALUE, FEED_FORWARD_OUTPUT], ("W_k", "W_v", "W_2")
            ),
            Method("bitfit", "BitFit", _biases, lambda config: config.num_layers * (7 * config.d_model + config.d_ff)),
            Method("layernorm", "LayerNorm tuning", _norms, lambda config: config.num_layers * 4 * config.d_model),
            Method("full", "full fine-tuning", _everything, lambda config: config.base_parameters),
        )
    }
)
