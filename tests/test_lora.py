"""Laws of the small LoRA: it starts as the base, its update has rank r and scale alpha / r, and it merges."""

from __future__ import annotations

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.testing import assert_close

from ia3_lab import scaled_linear, surgery
from ia3_lab.lora import LoRALinear, attach, detach, lora_parameters, merge


class Conv1D(nn.Module):
    """Looks and computes like transformers' Conv1D: weight (in, out)."""

    def __init__(self, nf: int, nx: int) -> None:
        super().__init__()
        self.nf, self.nx = nf, nx
        self.weight, self.bias = nn.Parameter(torch.ones(nx, nf)), nn.Parameter(torch.zeros(nf))

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.weight + self.bias


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def net() -> nn.Module:
    model = nn.Sequential(nn.Linear(4, 7), nn.GELU(), Conv1D(9, 7), nn.Linear(9, 5)).double()
    for index, parameter in enumerate(model.parameters()):
        parameter.data = normal(*parameter.shape, seed=index)
    return model


def attach_far(model: nn.Module, rank: int = 2, alpha: float | None = 6) -> dict[str, LoRALinear]:
    wrappers = attach(model, ["0", "2"], rank=rank, alpha=alpha, generator=seeded(0))
    for index, wrapper in enumerate(wrappers.values()):
        wrapper.B.data = normal(*wrapper.B.shape, seed=index).to(wrapper.B)
    return wrappers


def test_B_of_zeros_is_the_base_bit_for_bit_and_another_B_is_not() -> None:
    model, x = net().float(), normal(3, 4).float()
    base = model(x)
    wrappers = attach(model, "0", rank=2, generator=seeded(0))
    assert torch.equal(model(x), base)
    wrappers["0"].B.data[1, 0] = 0.5
    assert not torch.equal(model(x), base)


def test_the_update_is_alpha_over_rank_times_B_A_and_without_the_scale_differs() -> None:
    wrapper = attach_far(net(), rank=2, alpha=6)["0"]
    x = normal(3, 4)
    assert_close(wrapper(x), wrapper.base(x) + 3.0 * (x @ wrapper.A.T @ wrapper.B.T))
    assert_close(wrapper.update, 3.0 * wrapper.B @ wrapper.A)
    assert (wrapper(x) - wrapper.base(x) - x @ wrapper.A.T @ wrapper.B.T).abs().max() > 0.1
    assert LoRALinear(nn.Linear(2, 3), 2).alpha == 2, "no alpha is a scale of one"


def test_merged_equals_wrapped_detached_is_the_base_and_the_bias_is_left_alone() -> None:
    model, x = net(), normal(3, 4)
    base = model(x)
    wrappers = attach_far(model)
    wrapped, merged = model(x), copy.deepcopy(model)
    assert (wrapped - base).abs().max() > 0.1
    assert merge(merged) is merged
    assert [type(m) for m in merged] == [nn.Linear, nn.GELU, Conv1D, nn.Linear]
    assert_close(merged(x), wrapped)
    assert torch.equal(merged[2].bias, wrappers["2"].base.bias)
    assert detach(model) == wrappers
    assert torch.equal(model(x), base)


@given(d_in=st.integers(1, 6), d_out=st.integers(1, 6), rank=st.integers(1, 4))
@settings(max_examples=30)
def test_a_layer_gains_rank_times_d_in_plus_d_out_parameters_and_an_update_of_that_rank(
    d_in: int, d_out: int, rank: int
) -> None:
    model = nn.Sequential(nn.Linear(d_in, d_out)).double()
    wrapper = attach(model, "0", rank=rank, generator=seeded(1))["0"]
    count = surgery.freeze_except(model, lora_parameters(model))
    assert count.trainable == rank * (d_in + d_out)
    wrapper.B.data = normal(d_out, rank)
    assert torch.linalg.matrix_rank(wrapper.update) == min(rank, d_in, d_out)
    assert_close(wrapper.merged()(normal(3, d_in)), wrapper(normal(3, d_in)))


def test_the_start_of_A_follows_the_generator_and_differs_from_layer_to_layer() -> None:
    def start(seed: int | None) -> list[Tensor]:
        model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
        wrappers = attach(model, "*", rank=3, generator=None if seed is None else seeded(seed))
        return [wrapper.A.detach() for wrapper in wrappers.values()]

    assert all(torch.equal(a, b) for a, b in zip(start(7), start(7), strict=True))
    assert not torch.equal(start(7)[0], start(8)[0])
    assert not torch.equal(*start(7))
    torch.manual_seed(3)
    first = start(None)
    torch.manual_seed(3)
    assert torch.equal(first[0], start(None)[0])
    wide = LoRALinear(nn.Linear(100, 3), 50, generator=seeded(0)).A.detach()
    assert 0.09 < wide.abs().max() <= 0.1
    assert abs(wide.mean()) < 0.01


def test_training_moves_A_and_B_only() -> None:
    model, x = net(), normal(8, 4)
    attach_far(model)
    surgery.freeze_except(model, lora_parameters(model))
    before = copy.deepcopy(model.state_dict())
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1, weight_decay=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        model(x).pow(2).mean().backward()
        optimizer.step()
    for name, tensor in model.state_dict().items():
        assert torch.equal(before[name], tensor) != (name in lora_parameters(model)), name


def test_half_precision_keeps_A_and_B_in_float32_and_the_result_in_the_bases_dtype() -> None:
    model = net().float()
    attach_far(model)
    model.bfloat16()
    assert {p.dtype for p in lora_parameters(model).values()} == {torch.float32}
    assert model(torch.ones(2, 4, dtype=torch.bfloat16)).dtype == torch.bfloat16
    assert merge(model)[0].weight.dtype == torch.bfloat16


def test_state_dict_deepcopy_and_compile_keep_the_update() -> None:
    model, x = net(), normal(3, 4)
    attach_far(model)
    twin = net()
    attach(twin, ["0", "2"], rank=2, alpha=6)
    twin.load_state_dict(model.state_dict())
    assert torch.equal(twin(x), model(x))
    assert torch.equal(copy.deepcopy(model)(x), model(x))
    assert torch.equal(torch.compile(model, backend="eager", fullgraph=True)(x), model(x))


def test_a_shared_layer_gets_one_update() -> None:
    layer = nn.Linear(3, 3)
    model = nn.ModuleDict({"a": nn.Sequential(layer), "b": nn.Sequential(layer)})
    wrappers = attach(model, "*", rank=2)
    assert wrappers["a.0"] is wrappers["b.0"]
    assert list(lora_parameters(model)) == ["a.0.A", "a.0.B"]


def test_a_meta_device_model_can_be_attached_and_counted() -> None:
    with torch.device("meta"):
        model = nn.Sequential(nn.Linear(4096, 11008, bias=False))
    attach(model, "0", rank=8)
    assert surgery.freeze_except(model, lora_parameters(model)).trainable == 8 * (4096 + 11008)


@pytest.mark.parametrize("rank", [0, -1])
def test_a_rank_below_one_is_refused(rank: int) -> None:
    with pytest.raises(ValueError, match=f"rank must be at least 1, got {rank}"):
        attach(net(), "0", rank=rank)
    with pytest.raises(ValueError, match=f"rank must be at least 1, got {rank}"):
        LoRALinear(nn.Linear(2, 3), rank)


def test_bad_arguments_are_refused_and_leave_the_model_as_it_was() -> None:
    model = net()
    for wrong in (2.0, "2", True, None):
        with pytest.raises(TypeError, match="rank must be an integer"):
            attach(model, "0", rank=wrong)
    for alpha in (float("nan"), float("inf")):
        with pytest.raises(ValueError, match="alpha must be a finite number"):
            attach(model, "0", rank=1, alpha=alpha)
    with pytest.raises(TypeError, match="alpha must be a number, got '8'"):
        attach(model, "0", rank=1, alpha="8")
    with pytest.raises(ValueError, match="expected at least one pattern"):
        attach(model, [], rank=1)
    with pytest.raises(ValueError, match="matches no module"):
        attach(model, ["0", "9"], rank=1)
    with pytest.raises(TypeError, match=r"1 \(GELU\)"):
        attach(model, "1", rank=1)
    for verb in (detach, merge):
        with pytest.raises(ValueError, match="at least one LoRALinear"):
            verb(model)
    attach(model, "0", rank=1)
    with pytest.raises(ValueError, match="0 already carries a LoRALinear"):
        scaled_linear.attach(model, output="0")


def test_merge_refuses_an_update_that_is_not_finite() -> None:
    model = net()
    attach_far(model)["2"].A.data[1, 3] = float("nan")
    with pytest.raises(ValueError, match=r"2\.A must be finite .* index \(1, 3\)"):
        merge(model)
    assert isinstance(model[0], LoRALinear)


def test_merge_refuses_an_update_that_no_longer_fits_and_leaves_every_layer_wrapped() -> None:
    for change, message in (
        (
            lambda layer: setattr(layer, "A", nn.Parameter(torch.ones(7, 2))),
            r"2\.A must have shape .* it has shape \(7, 2\)",
        ),
        (lambda layer: setattr(layer, "rank", 0), "rank must be at least 1, got 0"),
        (lambda layer: setattr(layer, "alpha", float("nan")), "alpha must be a finite number, got nan"),
    ):
        model = net()
        wrappers = attach_far(model)
        change(wrappers["2"])
        with pytest.raises(ValueError, match=message):
            merge(model)
        assert all(isinstance(layer, LoRALinear) for layer in (model[0], model[2]))


def test_an_input_of_a_wrong_width_or_kind_is_refused() -> None:
    layer = LoRALinear(nn.Linear(3, 2), rank=1)
    with pytest.raises(ValueError, match=r"d_in=3, it has shape \(5, 2\)"):
        layer(torch.ones(5, 2))
    with pytest.raises(TypeError, match=r"floating-point tensor, got torch\.int64"):
        layer(torch.ones(5, 3, dtype=torch.long))
