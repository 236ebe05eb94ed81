"""Laws of one wrapped layer: its sides, its start, how it is called, read, converted and made plain again."""

import copy

import pytest
import torch
from random_tensors import gains, gap, moved, normal, randomized
from torch import Tensor, nn
from torch.testing import assert_close
from transformers.pytorch_utils import Conv1D

from ia3_lab.adapters import Adapter, LoRALinear, ScaledLinear
from ia3_lab.attach import merge


def layer(kind: type[nn.Module]) -> nn.Module:
    return randomized(nn.Linear(4, 6) if kind is nn.Linear else Conv1D(6, 4), size=1.0)


def adapters(base: nn.Module) -> dict[str, Adapter]:
    """Return one of each kind around a layer, far from its start."""
    made = {side: ScaledLinear(base, side) for side in ("output", "input")} | {"lora": LoRALinear(base, 2, 6)}
    return {name: moved(adapter) for name, adapter in made.items()}


KINDS = pytest.mark.parametrize("kind", [nn.Linear, Conv1D])


@KINDS
def test_the_side_says_whether_the_bias_is_scaled_and_lora_adds_a_low_rank_product(kind: type[nn.Module]) -> None:
    base, x = layer(kind), normal(2, 3, 4, seed=2)
    made = adapters(base)
    assert_close(made["output"](x), gains(6) * base(x))
    assert_close(made["input"](x), base(gains(4) * x))
    adapter = made["lora"]
    assert_close(adapter(x), base(x) + 6 / 2 * x @ adapter.A.T @ adapter.B.T)
    assert torch.linalg.matrix_rank(adapter.fold(torch.zeros(6, 4).double())) == 2


@KINDS
@pytest.mark.parametrize("name", ["output", "input", "lora"])
def test_merged_equals_wrapped_in_a_new_layer_and_the_weight_reads_as_if_merged_with_its_gradient(kind, name):
    base, x = layer(kind), normal(2, 3, 4, seed=2)
    before, adapter = copy.deepcopy(base), adapters(base)[name]
    merged = merge(adapter)
    assert type(merged) is kind
    assert_close(merged(x), adapter(x))
    assert all(torch.equal(a, b) for a, b in zip(base.parameters(), before.parameters(), strict=True))
    assert torch.equal(merged.bias, base.bias) == (name != "output")
    merged.bias.data = base.bias.data if name == "output" else gains(6) * base.bias.data
    assert gap(merged(x), adapter(x)) > 0.1, "the control: the bias treated as on the other side"
    assert_close(adapter.weight + 0, merged.weight.detach())
    assert_close(torch.cat([adapter.weight, adapter.weight]), merged.weight.detach().repeat(2, 1))
    adapter.weight.square().sum().backward()
    assert all(p.grad.abs().sum() > 0 for p in adapter.parameters(recurse=False))


def test_the_start_of_A_follows_the_generator_and_keeps_to_its_bound() -> None:
    seeds = (torch.Generator().manual_seed(seed) for seed in (7, 7, 8))
    first, same, other = (LoRALinear(nn.Linear(100, 3), 50, generator=seed).A for seed in seeds)
    assert torch.equal(first, same) and not torch.equal(first, other)
    assert 0.09 < first.abs().max() <= 0.1 and abs(first.mean()) < 0.01


def test_what_would_be_silently_wrong_is_refused() -> None:
    broken = adapters(layer(nn.Linear))["lora"]
    broken.A.data[1, 3] = float("inf")
    for make, message in {
        lambda: ScaledLinear(nn.Linear(2, 3), "out"): "side must be 'output' or 'input', got 'out'",
        lambda: ScaledLinear(nn.LayerNorm(3)): r"expected a plain .* got a torch\.nn\..*LayerNorm",
        lambda: ScaledLinear(nn.LazyLinear(3)): "has no sizes yet; run the model once",
        lambda: LoRALinear(nn.Linear(2, 3), 0): "rank must be at least 1, got 0",
        lambda: ScaledLinear(nn.Linear(3, 2), "input")(torch.ones(5, 1)): r"l must have shape \(1,\)",
        lambda: merge(broken): r"\['A'\] hold NaN or infinity",
    }.items():
        with pytest.raises((ValueError, TypeError), match=message):
            make()


def test_half_precision_keeps_what_is_trained_in_float32_and_the_result_in_the_bases_dtype() -> None:
    for dtype in (torch.bfloat16, torch.float16, torch.float8_e4m3fn):
        for adapter in adapters(layer(nn.Linear)).values():
            adapter.float()
            next(adapter.parameters(recurse=False)).data.view(-1)[0] = 1.001  # not a bfloat16 or float16 number
            before = {name: p.detach().clone() for name, p in adapter.named_parameters(recurse=False)}
            adapter.to(dtype)
            assert adapter.weight.dtype == dtype
            assert all(torch.equal(p, before[name]) for name, p in adapter.named_parameters(recurse=False))
            if dtype.itemsize == 2:
                out = adapter(torch.ones(2, 4, dtype=dtype))
                out.float().sum().backward()
                assert out.dtype == merge(adapter).weight.dtype == dtype
                assert {p.grad.dtype for p in adapter.parameters(recurse=False)} == {torch.float32}
            assert {p.dtype for p in adapter.double().parameters()} == {torch.float64}
    narrow = moved(LoRALinear(nn.Linear(4, 6), rank=2, dtype=torch.bfloat16))
    assert_close(merge(narrow)(torch.ones(2, 4)), narrow(torch.ones(2, 4)))


def test_asking_for_dtype_shape_or_device_computes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    adapter, calls = ScaledLinear(nn.Linear(3, 2, bias=False)), []
    monkeypatch.setattr(adapter, "fold", lambda weight: calls.append(1) or weight, raising=False)
    weight = adapter.weight
    assert isinstance(weight, Tensor) and weight.is_floating_point() and weight.requires_grad
    assert (weight.dtype, weight.shape, weight.device.type, weight.numel()) == (torch.float32, (2, 3), "cpu", 6)
    assert adapter.bias is None and calls == []
    assert weight.sum() is not None and calls == [1]


def test_a_write_to_the_computed_weight_is_refused_where_it_would_be_lost() -> None:
    weight = ScaledLinear(nn.Linear(3, 2)).weight
    for write in (
        *(lambda: weight.mul_(2), lambda: weight.__setitem__(0, 1.0), lambda: weight.requires_grad_(False)),
        *(lambda: setattr(weight, "data", torch.zeros(2, 3)), lambda: torch.add(torch.ones(2, 3), 1, out=weight)),
        *(lambda: weight.data_ptr(), lambda: weight.data.zero_()),
    ):
        with pytest.raises(TypeError, match=r"computed, not stored: to change it, change base\.weight"):
            write()


def test_a_weight_is_read_into_other_tensors_and_by_other_functions_with_its_gradient() -> None:
    class Product(torch.autograd.Function):
        """What gets past torch's overrides, as fused kernels do."""

        @staticmethod
        def forward(ctx: object, x: Tensor, weight: Tensor) -> Tensor:
            ctx.save_for_backward(x)
            return x @ weight.T

        @staticmethod
        def backward(ctx: object, gradient: Tensor) -> tuple[None, Tensor]:
            return None, gradient.T @ ctx.saved_tensors[0]

    adapter, x = adapters(layer(nn.Linear))["output"], normal(5, 4)
    assert_close(torch.zeros(6, 4).double().copy_(adapter.weight), adapter.weight + 0)
    (x @ adapter.weight.T).sum().backward()
    wanted, adapter.l.grad = adapter.l.grad, None
    Product.apply(x, adapter.weight).sum().backward()
    assert_close(adapter.l.grad, wanted)


def test_code_that_reads_the_weight_instead_of_calling_the_layer_sees_the_vector_too() -> None:
    encoder = nn.TransformerEncoderLayer(8, 2, 12, dropout=0.0, batch_first=True, activation="gelu").double().eval()
    plain = copy.deepcopy(encoder)
    encoder.linear2 = ScaledLinear(encoder.linear2, "input")
    encoder.self_attn.out_proj = ScaledLinear(encoder.self_attn.out_proj, "input")
    encoder.linear2.l.data, encoder.self_attn.out_proj.l.data = gains(12), gains(8)
    x = normal(2, 5, 8)
    by_layers = encoder(x)  # l wants a gradient, so the layers are called one by one
    with torch.no_grad():
        assert_close(encoder(x), by_layers.detach())
        assert_close(merge(encoder)(x), by_layers.detach())  # on torch's fast path
    assert gap(by_layers, plain(x)) > 0.1
