"""The parameter calculator: IA3, LoRA and the base model of any size beside each other, on a logarithmic axis."""

from operator import index
from typing import Any

from matplotlib.figure import Figure
from traitlets import Dict, Enum, Int, List, Union

from ia3_lab.config import PRESETS, ModelConfig
from ia3_lab.counting import DTYPE_BYTES, MATRICES, SAME_PLACES, VECTORS, count_ia3, count_lora, count_matrices
from ia3_lab.plots import plot_bars
from ia3_lab.style import format_bytes
from ia3_lab.widgets.base import BookWidget, Number

_START = {"d_model": 512, "d_ff": 2048, "num_layers": 6, "num_heads": 8, "num_kv_heads": 8}
_START |= {"num_decoder_layers": 0, "gated_ffn": False}
_NO_MODEL = "These sizes make no model."
_FIELDS = (*_START, "d_head", "base_parameters")


class ParameterCalculator(BookWidget):
    """What IA3 and LoRA cost on a real model or on sizes of your own.

    Parameters
    ----------
    preset : str
        A key of ``ia3_lab.config.PRESETS``, or ``"custom"``.
    custom : dict
        Sizes by the names of ``ModelConfig``. Sizes that make no model are allowed here, also None for an empty field:
        the widget says what is wrong with them.
    rank : int
        LoRA's r, from 1 to 64.
    targets, vectors : list of str
        What LoRA adapts and what IA3 learns; each counts once, and ``"W_gate"`` on gated models.
    dtype : {"float32", "float16"}
        How one number is stored.
    scale : {"log", "linear"}
        The axis of the bars: powers of ten, or to scale, where IA3's bar is a hair.

    Examples
    --------
    >>> ParameterCalculator(preset="llama-7b", rank=1, targets=["W_q", "W_v"]).summary()["lora"]
    524288
    """

    preset = Enum((*PRESETS, "custom"), "llama-7b").tag(sync=True)
    custom = Dict(Union([Int(), Number()], allow_none=True), default_value=_START).tag(sync=True)
    rank = Int(8, min=1, max=64).tag(sync=True)
    targets = List(Enum([*MATRICES]), [*SAME_PLACES]).tag(sync=True)
    vectors = List(Enum([*VECTORS]), [*VECTORS]).tag(sync=True)
    dtype = Enum(("float32", "float16"), "float32").tag(sync=True)
    scale = Enum(("log", "linear"), "log").tag(sync=True)
    presets = Dict(
        default_value={name: {field: getattr(config, field) for field in _FIELDS} for name, config in PRESETS.items()},
        read_only=True,
    ).tag(sync=True, shown=False)

    def config(self) -> ModelConfig:
        """Return the sizes on show; custom sizes that make no model raise an error."""
        if self.preset != "custom":
            return PRESETS[self.preset]
        return ModelConfig(name="custom", **{name: index(size) for name, size in self.custom.items()})

    def summary(self) -> dict[str, Any]:
        """Return the numbers on show; None where nothing is chosen.

        ``ia3``, ``lora`` and ``base`` are parameters; ``ia3_bytes`` and ``lora_bytes`` sizes, ``ia3_per_gigabyte`` and
        ``lora_per_gigabyte`` adapters in 10^9 bytes; ``ratio`` is LoRA's parameters over IA3's.
        """
        config = self.config()
        targets = [role for role in self.targets if role != "W_gate" or config.gated_ffn]
        ia3 = count_ia3(config, self.vectors) if self.vectors else None
        lora = count_lora(config, self.rank, targets) if targets else None
        numbers: dict[str, Any] = {"base": config.base_parameters or count_matrices(config)}
        for name, count in (("ia3", ia3), ("lora", lora)):
            size = count and count.bytes(self.dtype)
            numbers |= {name: count and count.total, f"{name}_bytes": size}
            numbers[f"{name}_per_gigabyte"] = size and 10**9 // size
        return numbers | {"ratio": lora.total / ia3.total if ia3 and lora else None}

    def figure(self) -> tuple[Figure, str]:
        """Return three bars on a logarithmic axis, or what is wrong with the sizes."""
        figure = Figure(figsize=(7.2, 2.0))
        ax = figure.subplots()
        try:
            numbers = self.summary()
        except (ArithmeticError, TypeError, ValueError):  # an empty field, or heads that do not divide the width
            ax.set_title(_NO_MODEL)
            return figure, _NO_MODEL
        each, roles, series = DTYPE_BYTES[self.dtype], ("ia3", "lora", "base"), {}
        for name, role in zip(("IA³", f"LoRA, r = {self.rank}", "base"), roles, strict=True):
            count = numbers[role] or 0
            series[f"{name}: {count:,}, {format_bytes(count * each)}" if count else f"{name}: nothing chosen"] = [count]
        labels = {"legend": "outside right upper", "xlabel": "parameters", "xlim": (100, 1e12), "xscale": "log"}
        plot_bars([self.preset], series, roles=roles, ax=ax, **labels)
        return figure, f"Parameters on {self.preset}. {'; '.join(series)}."
