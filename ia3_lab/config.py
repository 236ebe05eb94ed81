"""Sizes of transformers: a frozen, self-checking record, and presets of real models.

A preset's ``base_parameters`` is the number of distinct parameters of the language model as ``transformers`` builds it,
a tied output head counted once: ``GPT2LMHeadModel``, ``T5ForConditionalGeneration``, ``LlamaForCausalLM``,
``MistralForCausalLM``, ``OPTForCausalLM``, ``Qwen2ForCausalLM``; for BERT and DistilBERT the bare encoder,
``BertModel`` (with its pooler) and ``DistilBertModel``. The tests build each on the meta device and compare.
``transformers`` 5 ties the head of every T5; T5 v1.1 itself has an untied head, ``32,128 * d_model`` parameters more.

A preset's ``source`` names the paper and, after "config.json of", a model on the Hugging Face hub whose configuration
has these sizes. The LLaMA repositories there are conversions of the original release, made by others.
"""

from __future__ import annotations

import difflib
import math
import operator
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from numbers import Real
from types import MappingProxyType


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """The sizes of one transformer that decide how many parameters an adapter has.

    Parameters
    ----------
    name : str
        What to call the model in tables and messages.
    d_model : int
        Width of the hidden states.
    d_ff : int
        Width of the feed-forward network's hidden units.
    num_layers : int
        Blocks of the only stack, or of the encoder when there is a decoder beside it.
    num_heads : int
        Query heads.
    num_kv_heads : int, optional
        Key and value heads; ``num_heads`` when left out. Fewer is grouped-query attention.
    d_head : int, optional
        Width of one head; ``d_model // num_heads`` when left out.
    num_decoder_layers : int
        Decoder blocks of an encoder-decoder, each with self-attention *and* cross-attention. 0 for a single stack.
    gated_ffn : bool
        Whether the feed-forward network has a third matrix, ``W_gate``.
    base_parameters : int, optional
        Parameters of the whole base model, for shares; None when unknown.
    source : str
        Where the sizes come from.

    Raises
    ------
    TypeError
        If a size is not a whole number.
    ValueError
        If a size is out of range, or heads do not divide what they must divide.

    Notes
    -----
    ``dataclasses.replace`` keeps what was worked out. When you change what they depend on, pass ``d_head``,
    ``num_kv_heads`` and ``base_parameters`` too: a new number, or None to leave them out.

    Examples
    --------
    >>> config = ModelConfig(name="toy", d_model=64, d_ff=256, num_layers=2, num_heads=8, num_kv_heads=2)
    >>> config.d_head, config.d_attn, config.d_kv
    (8, 64, 16)
    """

    name: str
    d_model: int
    d_ff: int
    num_layers: int
    num_heads: int
    num_kv_heads: int | None = None
    d_head: int | None = None
    num_decoder_layers: int = 0
    gated_ffn: bool = False
    base_parameters: int | None = None
    source: str = ""

    def __post_init__(self) -> None:
        for field in ("d_model", "d_ff", "num_layers", "num_heads"):
            self._check_size(field, least=1)
        self._check_size("num_decoder_layers", least=0)
        for field in ("num_kv_heads", "d_head", "base_parameters"):
            if getattr(self, field) is not None:
                self._check_size(field, least=1)
        if not isinstance(self.gated_ffn, bool):
            raise TypeError(f"gated_ffn of {self.name!r} must be True or False, got {self.gated_ffn!r}.")
        self._fill_in()

    def _check_size(self, field: str, least: int) -> None:
        value = whole_number(getattr(self, field), f"{field} of {self.name!r}", least)
        object.__setattr__(self, field, value)

    def _fill_in(self) -> None:
        """Work out the sizes that were left out, and check that the heads divide what they must."""
        if self.d_head is None:
            if self.d_model % self.num_heads:
                raise ValueError(
                    f"d_model of {self.name!r} must be a multiple of num_heads, got {self.d_model} and "
                    f"{self.num_heads}; change one of them, or pass d_head."
                )
            object.__setattr__(self, "d_head", self.d_model // self.num_heads)
        if self.num_kv_heads is None:
            object.__setattr__(self, "num_kv_heads", self.num_heads)
        if self.num_heads % self.num_kv_heads:
            raise ValueError(
                f"num_heads of {self.name!r} must be a multiple of num_kv_heads, got {self.num_heads} and "
                f"{self.num_kv_heads}; every key head serves the same number of query heads."
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

    @property
    def num_attentions(self) -> int:
        """Attention layers of the whole model: a decoder block beside an encoder has two."""
        return self.num_layers + 2 * self.num_decoder_layers


def whole_number(value: object, name: str, least: float = -math.inf, most: float = math.inf) -> int:
    """Return a size as a Python int, whichever library it comes from.

    Parameters
    ----------
    value : object
        An int, or an integer of NumPy's.
    name : str
        What to call it in a message.
    least, most : int
        The smallest and the largest value allowed; any if left out.

    Returns
    -------
    int
        The same number.

    Raises
    ------
    TypeError
        If it is not a whole number; True and 8.0 are none.
    ValueError
        If it is too small or too large.

    Examples
    --------
    >>> whole_number(8, "rank", least=1)
    8
    """
    try:
        number = operator.index(None if isinstance(value, bool) else value)
    except TypeError:
        raise TypeError(f"{name} must be a whole number, got {value!r}; pass an int.") from None
    if number < least:
        raise ValueError(f"{name} must be at least {least}, got {number}; pass a larger one.")
    if number > most:
        raise ValueError(f"{name} must be at most {most}, got {number}; pass a smaller one.")
    return number


def check_number(value: object, name: str, *, least: float = -math.inf) -> float:
    """Return an argument as a Python float, if it is a finite real number and large enough.

    Raises
    ------
    TypeError
        If it is not a number; True and "0.1" are none.
    ValueError
        If it is not finite, or too small.

    Examples
    --------
    >>> check_number(0.1, "lr", least=0)
    0.1
    """
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{name} must be a number, got {value!r}; pass a float.")
    try:
        number = float(value)
    except OverflowError:  # an int of hundreds of digits
        number = math.inf
    if not (math.isfinite(number) and number >= least):
        bound = f" of at least {least:g}" if least > -math.inf else ""
        raise ValueError(f"{name} must be a finite number{bound}, got {value!r:.60}; pass another one.")
    return number


def unknown_name(what: str, name: object, names: Iterable[str], others: Iterable[str] = ()) -> ValueError:
    """Return the error for a name that is none of the names: it suggests the nearest and lists them all.

    ``others`` are suggested, but not listed.

    Examples
    --------
    >>> print(unknown_name("method", "IA3", ["head", "ia3"]))
    unknown method 'IA3'; did you mean 'ia3'? The methods are head, ia3.
    >>> print(unknown_name("model", "t0", ["T0-3B", "MiniLM"]))
    unknown model 't0'; did you mean 'T0-3B'? The models are T0-3B, MiniLM.
    """
    lower = {known.lower(): known for known in (*names, *others)}
    near = difflib.get_close_matches(name.lower(), lower, 1, 0.4) if isinstance(name, str) else []
    hint = f"; did you mean {lower[near[0]]!r}?" if near else "."
    return ValueError(f"unknown {what} {name!r}{hint} The {what}s are {', '.join(names)}.")


def _gpt2(name: str, size: tuple[int, int, int], base_parameters: int) -> ModelConfig:
    d_model, num_layers, num_heads = size
    return ModelConfig(
        name=name,
        d_model=d_model,
        d_ff=4 * d_model,
        num_layers=num_layers,
        num_heads=num_heads,
        base_parameters=base_parameters,
        source=f"Radford et al. 2019, Table 2 (layers, d_model); heads: config.json of openai-community/{name}",
    )


def _t0(name: str, d_model: int, d_ff: int, num_heads: int, base_parameters: int, models: str) -> ModelConfig:
    return ModelConfig(
        name=name,
        d_model=d_model,
        d_ff=d_ff,
        num_layers=24,
        num_decoder_layers=24,
        num_heads=num_heads,
        d_head=64,
        gated_ffn=True,
        base_parameters=base_parameters,
        source=f"Sanh et al. 2022: T5 v1.1, trained further; sizes: config.json of {models}",
    )


def _llama(name: str, size: tuple[int, int, int, int], base_parameters: int) -> ModelConfig:
    d_model, d_ff, num_layers, num_heads = size
    return ModelConfig(
        name=name,
        d_model=d_model,
        d_ff=d_ff,
        num_layers=num_layers,
        num_heads=num_heads,
        gated_ffn=True,
        base_parameters=base_parameters,
        source=f"Touvron et al. 2023, Table 2; d_ff: config.json of huggyllama/{name}",
    )


def _presets() -> list[ModelConfig]:
    encoder = {"d_model": 768, "d_ff": 3072, "num_heads": 12}
    grouped = {"d_model": 4096, "d_ff": 14336, "num_layers": 32, "num_heads": 32, "num_kv_heads": 8, "gated_ffn": True}
    return [
        _gpt2("gpt2", (768, 12, 12), 124_439_808),
        _gpt2("gpt2-medium", (1024, 24, 16), 354_823_168),
        _gpt2("gpt2-large", (1280, 36, 20), 774_030_080),
        _gpt2("gpt2-xl", (1600, 48, 25), 1_557_611_200),
        _t0("t0-3b", 2048, 5120, 32, 2_783_959_040, "bigscience/T0_3B and google/t5-v1_1-xl"),
        _t0("t0-11b", 4096, 10240, 64, 11_003_736_064, "bigscience/T0pp and google/t5-v1_1-xxl"),
        _llama("llama-7b", (4096, 11008, 32, 32), 6_738_415_616),
        _llama("llama-13b", (5120, 13824, 40, 40), 13_015_864_320),
        _llama("llama-30b", (6656, 17920, 60, 52), 32_528_943_616),
        _llama("llama-65b", (8192, 22016, 80, 64), 65_285_660_672),
        ModelConfig(
            name="llama-3-8b",
            **grouped,
            base_parameters=8_030_261_248,
            source="Grattafiori et al. 2024, Table 3; config.json of meta-llama/Meta-Llama-3-8B",
        ),
        ModelConfig(
            name="mistral-7b",
            **grouped,
            base_parameters=7_241_732_096,
            source="Jiang et al. 2023, Table 1; config.json of mistralai/Mistral-7B-v0.1",
        ),
        ModelConfig(
            name="opt-13b",
            d_model=5120,
            d_ff=4 * 5120,
            num_layers=40,
            num_heads=40,
            base_parameters=12_853_473_280,
            source="Zhang et al. 2022, Table 1 (layers, heads, d_model); d_ff: config.json of facebook/opt-13b",
        ),
        ModelConfig(
            name="qwen2-7b",
            d_model=3584,
            d_ff=18944,
            num_layers=28,
            num_heads=28,
            num_kv_heads=4,
            gated_ffn=True,
            base_parameters=7_615_616_512,
            source="Yang et al. 2024, Table 1; config.json of Qwen/Qwen2-7B",
        ),
        ModelConfig(
            name="distilbert",
            **encoder,
            num_layers=6,
            base_parameters=66_362_880,
            source="Sanh et al. 2019, section 3; config.json of distilbert/distilbert-base-uncased",
        ),
        ModelConfig(
            name="bert-base",
            **encoder,
            num_layers=12,
            base_parameters=109_482_240,
            source="Devlin et al. 2019, section 3; config.json of google-bert/bert-base-uncased",
        ),
    ]


#: Real models by name, in the order of their families.
PRESETS: Mapping[str, ModelConfig] = MappingProxyType({config.name: config for config in _presets()})
#: Other names of the same shapes. The T0 models are T5 v1.1 XL and XXL trained further.
ALIASES: Mapping[str, str] = MappingProxyType(
    {"t5-v1.1-xl": "t0-3b", "t5-v1.1-xxl": "t0-11b", "llama-33b": "llama-30b", "distilbert-base": "distilbert"}
)


def get_preset(name: str) -> ModelConfig:
    """Return the sizes of a real model.

    Parameters
    ----------
    name : str
        A key of ``PRESETS`` or of ``ALIASES``.

    Returns
    -------
    ModelConfig
        The preset.

    Raises
    ------
    ValueError
        If there is no such preset; the message names the nearest one.

    Examples
    --------
    >>> get_preset("llama-7b").d_ff
    11008
    """
    if isinstance(name, str) and (key := ALIASES.get(name, name)) in PRESETS:
        return PRESETS[key]
    raise unknown_name("preset", name, PRESETS, ALIASES)
