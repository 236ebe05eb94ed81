"""Sizes of transformers: a frozen record, presets of real models, and the configs of Hugging Face's transformers."""

import difflib
import itertools
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import resources
from types import MappingProxyType
from typing import Any, Self


def _read(name: str) -> dict[str, Any]:
    return tomllib.loads(resources.files("ia3_lab").joinpath("data", name).read_text("utf8"))


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """The sizes of one transformer that decide how many parameters an adapter has.

    ``dataclasses.replace`` keeps what was worked out. When you change what they depend on, pass ``d_head``,
    ``num_kv_heads`` and ``base_parameters`` too: a new number, or None to leave them out.

    Raises
    ------
    ValueError
        If a size is below 1, or the layers of the decoder below 0; or heads do not divide what they must divide.

    Examples
    --------
    >>> config = ModelConfig(name="toy", d_model=64, d_ff=256, num_layers=2, num_heads=8, num_kv_heads=2)
    >>> config.d_head, config.d_attn, config.d_kv
    (8, 64, 16)
    """

    name: str  # what to call the model in tables and messages
    d_model: int  # width of the hidden states
    d_ff: int  # width of the feed-forward network's hidden units
    num_layers: int  # blocks of the only stack, or of the encoder when there is a decoder beside it
    num_heads: int  # query heads
    num_kv_heads: int | None = None  # key and value heads; num_heads if None. Fewer is grouped-query attention
    d_head: int | None = None  # width of one head; d_model // num_heads if None
    num_decoder_layers: int = 0  # of an encoder-decoder; each has self-attention and cross-attention
    gated_ffn: bool = False  # whether the feed-forward network has a third matrix, W_gate
    base_parameters: int | None = None  # of the whole base model, for shares; None when unknown
    source: str = ""  # where the sizes come from

    def __post_init__(self) -> None:
        for field in ("d_model", "d_ff", "num_layers", "num_heads", "num_kv_heads", "d_head", "num_decoder_layers"):
            least = int(field != "num_decoder_layers")
            if (size := getattr(self, field)) is not None and size < least:
                raise ValueError(f"{field} of {self.name!r} must be at least {least}, got {size}")
        if self.num_kv_heads is None:
            object.__setattr__(self, "num_kv_heads", self.num_heads)  # the class is frozen
        if self.d_head is None:
            if self.d_model % self.num_heads:
                raise ValueError(
                    f"num_heads of {self.name!r} must divide d_model, {self.d_model}; change one, or pass d_head"
                )
            object.__setattr__(self, "d_head", self.d_model // self.num_heads)
        if self.num_heads % self.num_kv_heads:
            raise ValueError(
                f"num_kv_heads of {self.name!r}, {self.num_kv_heads}, must divide num_heads, {self.num_heads}"
            )

    @property
    def d_attn(self) -> int:
        """Width of all query heads together: ``num_heads * d_head``, not always ``d_model``."""
        return self.num_heads * self.d_head

    @property
    def d_kv(self) -> int:
        """Width of all key heads together, and of all value heads: ``num_kv_heads * d_head``."""
        return self.num_kv_heads * self.d_head

    @property
    def num_blocks(self) -> int:
        """Blocks of the whole model: encoder (or only stack) and decoder."""
        return self.num_layers + self.num_decoder_layers

    @classmethod
    def from_hugging_face(cls, config: Any, gated_ffn: bool | None = None) -> Self:
        """Read the sizes off a config of transformers, such as ``model.config``, or name what they cannot express.

        A config does not say that a model holds one half of it (``UMT5EncoderModel``): wrap such a model and count.

        Parameters
        ----------
        config : transformers.PreTrainedConfig
        gated_ffn : bool, optional
            Whether the feed-forward network is gated: known for the model types in ``data/architectures.toml``. For
            another one pass it, if every block is attention and one feed-forward network.

        Raises
        ------
        TypeError, ValueError
            If it is no such config; if it asks for experts, latent attention or another such feature, or its type is
            unknown and gated_ffn None.

        Examples
        --------
        >>> from types import SimpleNamespace
        >>> sizes = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 8}
        >>> ModelConfig.from_hugging_face(SimpleNamespace(model_type="llama", **sizes)).gated_ffn
        True
        """
        kind = getattr(config, "model_type", None)
        if not isinstance(kind, str):
            raise TypeError(f"expected a ModelConfig, or a config of transformers, got {type(config).__name__!r}")
        if features := list(_beyond(config)):
            raise ValueError(
                f"the settings of this {kind!r} config speak of {' and '.join(features)}, which the closed forms "
                "cannot express; wrap the model and count with ia3_lab.attach.count_parameters"
            )
        sizes = {size: _first(config, names) for size, names in _ARCHITECTURES["names"].items()}
        if gated_ffn is None:
            gated_ffn = _is_gated(config, kind)
            sizes["d_ff"] = sizes["d_ff"] or 4 * (sizes["d_model"] or 0)  # GPT-2 and others leave it out
        if not getattr(config, "is_encoder_decoder", False):
            sizes["num_decoder_layers"] = 0
        if hasattr(config, "multi_query") and not getattr(config, "new_decoder_architecture", False):
            sizes["num_kv_heads"] = 1 if config.multi_query else sizes["num_heads"]
        optional = ("num_kv_heads", "d_head")
        if missing := [size for size in sizes if size not in optional and not isinstance(sizes[size], int)]:
            raise ValueError(f"this {kind!r} config gives no {' and no '.join(missing)} that holds for all blocks")
        source = f"a config of model type {kind} in transformers"
        return cls(name=getattr(config, "_name_or_path", "") or kind, gated_ffn=gated_ffn, source=source, **sizes)


#: What is known of the configs of transformers: what they call sizes, and what their model types are made of.
_ARCHITECTURES = _read("architectures.toml")


def _first(config: Any, names: list[str]) -> Any:
    """Return the first of some settings that is there and not None."""
    return next((value for name in names if (value := getattr(config, name, None)) is not None), None)


def _settings(config: Any) -> Iterator[tuple[str, Any]]:
    """Yield the settings that are set to something, and those of configs inside."""
    for name, value in vars(config).items():
        if value and not isinstance(value, str):
            yield name, value
            yield from _settings(value) if hasattr(value, "model_type") else ()


def _beyond(config: Any) -> Iterator[str]:
    """Yield what a config asks for and a ModelConfig cannot express."""
    settings = dict(_settings(config))
    if models := [name for name, value in settings.items() if hasattr(value, "num_hidden_layers")]:
        yield f"several models in one (pass the config of one: {', '.join(models)})"
        return
    for feature, pattern in _ARCHITECTURES["features"].items():
        if found := [name for name in settings if re.search(pattern, name)]:
            yield f"{feature} ({', '.join(found[:2])})"
    lists = [value for name, value in settings.items() if re.search("layer_types$|block_types?$", name)]
    kinds = sorted({str(kind) for value in lists for kind in value})
    if others := [kind for kind in kinds if not re.fullmatch(_ARCHITECTURES["layer_kinds"], kind)]:
        yield f"layers of the kind {', '.join(others)}"
    joined, halves = "is_encoder_decoder" in settings, {"decoder_layers", "add_cross_attention"}
    for width in ("ffn_dim", "attention_heads"):
        if joined and settings.get(f"encoder_{width}") != settings.get(f"decoder_{width}"):
            yield "an encoder and a decoder of different widths"
    if (not joined and settings.keys() & halves) or settings.keys() >= {"is_decoder", "num_decoder_layers"}:
        yield "one half of an encoder-decoder"


def _is_gated(config: Any, kind: str) -> bool:
    known = {name: _ARCHITECTURES[name].split() for name in ("gated", "plain", "either")}
    if kind not in itertools.chain(*known.values()):
        raise ValueError(
            f"the blocks of model type {kind!r} are not known here; if each is attention and one feed-forward network, "
            "use ModelConfig.from_hugging_face(config, gated_ffn=...), True if a third matrix gates that network"
        )
    return config.is_gated_act if kind in known["either"] else kind in known["gated"]


#: Real models by name, in the order of their families.
PRESETS: Mapping[str, ModelConfig] = MappingProxyType(
    {name: ModelConfig(name=name, **sizes) for name, sizes in _read("presets.toml").items()}
)


def get_preset(name: str) -> ModelConfig:
    """Return the sizes of a real model, a key of ``PRESETS``; an unknown one gets a hint."""
    if name in PRESETS:
        return PRESETS[name]
    near = difflib.get_close_matches(name.lower(), PRESETS, 1, 0.4)
    hint = f"; did you mean {near[0]!r}?" if near else "."
    raise ValueError(f"unknown preset {name!r}{hint} The presets are {', '.join(PRESETS)}.")
