"""The parameter calculator: IA3, LoRA and the base model of any size beside each other, on a logarithmic axis."""

from __future__ import annotations

import math
from typing import Any

from traitlets import Dict, Enum, Int, List, TraitError, Unicode, validate

from ia3_lab.config import PRESETS, ModelConfig
from ia3_lab.counting import MATRICES, SAME_PLACES, VECTORS, count_ia3, count_lora, count_matrices
from ia3_lab.style import format_bytes, format_count
from ia3_lab.widgets._base import BookWidget

#: Custom sizes and their least and largest values.
LIMITS = {
    "d_model": (1, 100_000),
    "d_ff": (1, 100_000),
    "num_layers": (1, 1_000),
    "num_heads": (1, 1_000),
    "num_kv_heads": (1, 1_000),
    "num_decoder_layers": (0, 1_000),
}
MAX_RANK = 64
_SMALL = {"d_model": 512, "d_ff": 2048, "num_layers": 6, "num_heads": 8, "num_kv_heads": 8, "num_decoder_layers": 0}
_START = {**_SMALL, "gated_ffn": False}


def _as_dict(config: ModelConfig) -> dict[str, Any]:
    """Return what the script needs of a preset."""
    fields = (*LIMITS, "d_head", "gated_ffn", "base_parameters")
    return {field: getattr(config, field) for field in fields}


class ParameterCalculator(BookWidget):
    """What IA3 and LoRA cost on a real model or on sizes of your own.

    Parameters
    ----------
    preset : str
        A key of ``ia3_lab.config.PRESETS``, or ``"custom"``.
    custom : dict
        The sizes used when ``preset`` is ``"custom"``: ``d_model``, ``d_ff``, ``num_layers``, ``num_heads``,
        ``num_kv_heads``, ``num_decoder_layers`` and ``gated_ffn``; what is left out is that of a small model. Sizes
        that make no model are allowed here: the widget says what is wrong with them.
    rank : int
        LoRA's r, from 1 to 64.
    targets : list of str
        The matrices that LoRA adapts, kept once each in their usual order. ``"W_gate"`` counts on gated models only.
    vectors : list of str
        The vectors that IA3 learns, kept likewise.
    dtype : {"float32", "float16"}
        How one number is stored.

    Examples
    --------
    >>> ParameterCalculator(preset="llama-7b", rank=1, targets=["W_q", "W_v"]).summary()["lora"]
    524288
    """

    preset = Unicode("llama-7b").tag(sync=True)
    custom = Dict(default_value=_START).tag(sync=True)
    rank = Int(8).tag(sync=True)
    targets = List(Enum(MATRICES), list(SAME_PLACES)).tag(sync=True)
    vectors = List(Enum(VECTORS), list(VECTORS)).tag(sync=True)
    dtype = Enum(("float32", "float16"), "float32").tag(sync=True)
    presets = Dict(default_value={name: _as_dict(config) for name, config in PRESETS.items()}, read_only=True).tag(
        sync=True, shown=False
    )
    limits = Dict(default_value={name: list(ends) for name, ends in LIMITS.items()}, read_only=True).tag(
        sync=True, shown=False
    )

    @validate("preset")
    def _check_preset(self, proposal: Any) -> str:
        if proposal.value not in (*PRESETS, "custom"):
            raise TraitError(
                f"preset must be 'custom' or one of {', '.join(PRESETS)}, got {proposal.value!r}; choose one of them."
            )
        return proposal.value

    @validate("rank")
    def _check_rank(self, proposal: Any) -> int:
        if isinstance(proposal.value, bool) or not 1 <= proposal.value <= MAX_RANK:
            raise TraitError(f"rank must be a whole number from 1 to {MAX_RANK}, got {proposal.value}; stay inside.")
        return proposal.value

    @validate("targets")
    def _order_targets(self, proposal: Any) -> list[str]:
        return [role for role in MATRICES if role in proposal.value]

    @validate("vectors")
    def _order_vectors(self, proposal: Any) -> list[str]:
        return [role for role in VECTORS if role in proposal.value]

    @validate("custom")
    def _check_custom(self, proposal: Any) -> dict[str, Any]:
        if unknown := sorted(set(proposal.value) - set(_START)):
            raise TraitError(f"custom knows the sizes {', '.join(_START)}, got {unknown[0]!r}; leave it out.")
        sizes = {**_START, **proposal.value}
        for name, value in sizes.items():
            number = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < math.inf
            if not (isinstance(value, bool) if name == "gated_ffn" else value is None or number):
                kind = "True or False" if name == "gated_ffn" else "a number, or None for an empty field"
                raise TraitError(f"custom[{name!r}] must be {kind}, got {value!r}; pass that.")
        return sizes

    def problem(self) -> str:
        """Return what is wrong with the sizes in one sentence, or nothing.

        Returns
        -------
        str
            The sentence that the widget shows, empty for sizes that make a model.

        Examples
        --------
        >>> ParameterCalculator(preset="custom", custom={"num_heads": 7}).problem()
        'd_model must be a multiple of num_heads, got 512 and 7.'
        """
        if self.preset != "custom":
            return ""
        for name, (least, most) in LIMITS.items():
            value = self.custom[name]
            if value is None or value != int(value) or not least <= value <= most:
                came = "nothing" if value is None else int(value) if value == int(value) else value
                return f"{name} must be a whole number from {least} to {most:,}, got {came}."
        for large, small in (("d_model", "num_heads"), ("num_heads", "num_kv_heads")):
            if self.custom[large] % self.custom[small]:
                return f"{large} must be a multiple of {small}, got {self.custom[large]} and {self.custom[small]}."
        return ""

    def config(self) -> ModelConfig:
        """Return the sizes on show.

        Returns
        -------
        ModelConfig
            The preset, or the custom sizes.

        Raises
        ------
        ValueError
            If the custom sizes make no model; the message is that of ``problem``.
        """
        if self.preset != "custom":
            return PRESETS[self.preset]
        if problem := self.problem():
            raise ValueError(problem)
        sizes = {name: int(self.custom[name]) for name in LIMITS}
        return ModelConfig(name="custom", gated_ffn=self.custom["gated_ffn"], **sizes)

    def summary(self) -> dict[str, Any]:
        """Return the numbers on show: parameters of both adapters and of the base model, sizes, ratio.

        Returns
        -------
        dict
            ``ia3``, ``lora`` and ``base`` in parameters; ``ia3_bytes`` and ``lora_bytes``; ``ia3_per_gigabyte`` and
            ``lora_per_gigabyte``; ``ratio``, LoRA's parameters over IA3's. None where nothing is chosen.

        Raises
        ------
        ValueError
            If the custom sizes make no model.
        """
        config = self.config()
        targets = [role for role in self.targets if role != "W_gate" or config.gated_ffn]
        ia3 = count_ia3(config, self.vectors) if self.vectors else None
        lora = count_lora(config, self.rank, targets) if targets else None
        numbers: dict[str, Any] = {"base": config.base_parameters or count_matrices(config)}
        for name, count in (("ia3", ia3), ("lora", lora)):
            numbers[name] = count and count.total
            numbers[f"{name}_bytes"] = count and count.bytes(self.dtype)
            numbers[f"{name}_per_gigabyte"] = count and count.adapters_per_gigabyte(self.dtype)
        return numbers | {"ratio": lora.total / ia3.total if ia3 and lora else None}

    def picture(self) -> str:
        """Return a static SVG: three bars on a logarithmic axis, or what is wrong with the sizes."""
        if problem := self.problem():
            return _svg(60, problem, f'<text x="10" y="36">{problem}</text>')
        numbers = self.summary()
        rows = (("IA³", "ia3"), (f"LoRA, r = {self.rank}", "lora"), ("base model", "base"))
        bars, parts = [], []
        for i, (label, name) in enumerate(rows):
            count, y = numbers[name], 34 + 40 * i
            size = f", {format_bytes(numbers[name + '_bytes'])}" if name != "base" and count else ""
            text = format_count(count) + size if count else "nothing chosen"
            width = 26 * max(0.0, math.log10(count) - 2) if count else 0
            bars.append(
                f'<text x="10" y="{y + 17}">{label}</text><rect x="120" y="{y}" width="{width:.1f}" height="24" '
                f'fill="none" stroke="currentColor"/><text x="{128 + width:.1f}" y="{y + 17}">{text}</text>'
            )
            parts.append(f"{label}: {text}")
        head = f'<text x="10" y="20" font-weight="bold">{self.preset}: parameters, logarithmic axis</text>'
        return _svg(160, f"{self.preset}. {'; '.join(parts)}.", head + "".join(bars))


def _svg(height: int, title: str, body: str) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 640 {height}" role="img" class="ia3-picture" '
        f'fill="currentColor" font-family="sans-serif" font-size="14"><title>{title}</title>{body}</svg>'
    )
