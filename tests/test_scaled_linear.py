"""Laws of rescaling vectors attached to any model: sides, names, merging, dtypes, copies, compilation."""

from __future__ import annotations

import copy
import pickle
import re

import pytest
import torch
import torch.nn.utils.prune
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.testing import assert_close

from ia3_lab import lora, surgery
from ia3_lab.devices import get_device
from ia3_lab.scaled_linear import ScaledLinear, attach, detach, merge, scaled_parameters


class Conv1D(nn.Module):
    """Looks and computes like transformers' Conv1D: weight (in, out)."""

    def __init__(self, nf: int, nx: int) -> None:
        super().__init__()
        self.nf, self.nx = nf, nx
        self.weight, self.bias = nn.Parameter(torch.ones(nx, nf)), nn.Parameter(torch.zeros(nf))

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.weight + self.bias


class Net(nn.Module):
    """Keys, hidden units and an output, with a matrix of transformers' other layout in between."""

    def __init__(self) -> None:
        super().__init__()
        self.k_proj, self.up, self.down = nn.Linear(4, 6), Conv1D(9, 6), nn.Linear(9, 5)
        self.norm = nn.LayerNorm(6)

    def forward(self, x: Tensor) -> Tensor:
        return self.down(torch.nn.functional.gelu(self.up(self.norm(self.k_proj(x)))))


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def gains(size: int, seed: int = 0) -> Tensor:
    """Return signed, distinct numbers, all at least 0.4 away from one."""
    order = torch.randperm(size, generator=torch.Generator().manual_seed(seed))
    signs = torch.tensor([1.0, -1.0], dtype=torch.float64).repeat(size)[:size]
    return (torch.linspace(1.4, 3.0, size, dtype=torch.float64) * signs)[order]


def net() -> Net:
    model = Net().double()
    for index, parameter in enumerate(model.parameters()):
        parameter.data = normal(*parameter.shape, seed=index)
    return model


def attach_far(model: nn.Module, **patterns: list[str]) -> dict[str, ScaledLinear]:
    wrappers = attach(model, **patterns)
    for index, wrapper in enumerate(wrappers.values()):
        wrapper.l.data = gains(len(wrapper.l), seed=index).to(wrapper.l)
    return wrappers


ALL = {"output": ["k_proj", "up"], "input": ["down"]}


def layer(kind: type[nn.Module]) -> nn.Module:
    module = (nn.Linear(4, 6) if kind is nn.Linear else Conv1D(6, 4)).double()
    module.weight.data, module.bias.data = normal(*module.weight.shape), normal(6, seed=1)
    return module


# one layer


@pytest.mark.parametrize("kind", [nn.Linear, Conv1D])
def test_the_side_says_whether_the_bias_is_scaled(kind: type[nn.Module]) -> None:
    base, x = layer(kind), normal(2, 3, 4, seed=2)
    on_output, on_input = ScaledLinear(base, "output"), ScaledLinear(base, "input")
    on_output.l.data, on_input.l.data = gains(6), gains(4)
    assert_close(on_output(x), gains(6) * base(x))
    assert_close(on_input(x), base(gains(4) * x))
    zeros = torch.zeros_like(x)
    assert_close(on_output(zeros)[0, 0], gains(6) * base.bias)
    assert_close(on_input(zeros)[0, 0], base.bias.detach())


@pytest.mark.parametrize("kind", [nn.Linear, Conv1D])
@pytest.mark.parametrize("side", ["output", "input"])
def test_merged_equals_wrapped_and_is_a_new_layer_of_the_same_class(kind: type[nn.Module], side: str) -> None:
    base, x = layer(kind), normal(2, 3, 4, seed=2)
    before = copy.deepcopy(base)
    wrapper = ScaledLinear(base, side)
    wrapper.l.data = gains(len(wrapper.l))
    merged = wrapper.merged()
    assert type(merged) is kind
    assert_close(merged(x), wrapper(x))
    assert_close(wrapper.weight, merged.weight)
    assert all(torch.equal(a, b) for a, b in zip(base.parameters(), before.parameters(), strict=True))
    other_bias = merged.bias.detach().clone()
    merged.bias.data = gains(6) * base.bias.data if side == "input" else base.bias.data
    assert (merged(x) - wrapper(x)).abs().max() > 0.1, "the control: the bias treated as on the other side"
    assert torch.equal(other_bias, base.bias) == (side == "input")


def test_a_layer_without_a_bias_has_none_after_merging() -> None:
    wrapper = ScaledLinear(nn.Linear(4, 6, bias=False))
    assert wrapper.bias is None
    assert wrapper.merged().bias is None


@given(d_in=st.integers(1, 6), d_out=st.integers(1, 6), bias=st.booleans(), side=st.sampled_from(["output", "input"]))
@settings(max_examples=30)
def test_the_vector_has_the_length_of_its_side_and_merging_is_exact_for_any_sizes(
    d_in: int, d_out: int, bias: bool, side: str
) -> None:
    wrapper = ScaledLinear(nn.Linear(d_in, d_out, bias=bias).double(), side)
    assert wrapper.l.shape == ((d_out,) if side == "output" else (d_in,))
    assert (wrapper.in_features, wrapper.out_features) == (d_in, d_out)
    wrapper.l.data = gains(len(wrapper.l))
    x = normal(3, d_in)
    assert_close(wrapper.merged()(x), wrapper(x))


@pytest.mark.parametrize("side", ["out", "Output", None, 0])
def test_a_wrong_side_word_is_refused(side: object) -> None:
    with pytest.raises(ValueError, match="side must be 'output' or 'input', got"):
        ScaledLinear(nn.Linear(2, 3), side)


def test_what_is_not_linear_or_wrapped_already_is_refused() -> None:
    with pytest.raises(TypeError, match=r"expected an nn\.Linear .*, got LayerNorm"):
        ScaledLinear(nn.LayerNorm(3))
    with pytest.raises(TypeError, match="got str"):
        ScaledLinear("k_proj")
    with pytest.raises(ValueError, match="got a ScaledLinear; merge or detach it first"):
        ScaledLinear(ScaledLinear(nn.Linear(2, 3)))
    with pytest.raises(ValueError, match="run the model once"):
        ScaledLinear(nn.LazyLinear(3))
    with pytest.raises(TypeError, match=r"floating-point torch dtype, got torch.int64"):
        ScaledLinear(nn.Linear(2, 3), dtype=torch.int64)


@pytest.mark.parametrize("side", ["output", "input"])
def test_an_input_of_a_wrong_width_or_kind_is_refused(side: str) -> None:
    layer = ScaledLinear(nn.Linear(3, 2), side)
    for shape in ((5, 2), ()):
        with pytest.raises(ValueError, match=rf"d_in=3, it has shape {re.escape(str(shape))}; the features are"):
            layer(torch.ones(shape))
    for wrong, came in (
        ([1.0, 2.0, 3.0], "list"),
        (torch.ones(2, 3, dtype=torch.long), r"torch\.int64"),
        (None, "None"),
    ):
        with pytest.raises(TypeError, match=f"x must be a floating-point tensor, got {came}"):
            layer(wrong)


@pytest.mark.parametrize(("shape", "device"), [((4,), "cpu"), ((9, 1), "cpu"), ((9,), "meta")])
def test_merge_refuses_a_vector_that_no_longer_fits_and_leaves_every_layer_wrapped(
    shape: tuple[int, ...], device: str
) -> None:
    model = net()
    wrappers = attach(model, **ALL)
    wrappers["down"].l = nn.Parameter(torch.ones(shape, device=device))
    with pytest.raises(
        ValueError, match=r"down\.l must (have shape \(9,\) .* it has shape|be on the device .* on meta)"
    ):
        merge(model)
    assert scaled_parameters(model).keys() == {"k_proj.l", "up.l", "down.l"}


def test_merge_refuses_a_pruned_weight_and_says_how_to_make_it_permanent() -> None:
    model = nn.Sequential(nn.Linear(2, 3))
    nn.utils.prune.l1_unstructured(model[0], "weight", 0.5)
    attach(model, output="0")
    with pytest.raises(ValueError, match=r"by pruning; first make it permanent .* prune\.remove"):
        merge(model)


def test_a_mapping_is_no_list_of_patterns() -> None:
    model = net()
    with pytest.raises(TypeError, match=r"patterns must be strings such as .* got dict"):
        attach(model, output={"down": "input"})
    assert scaled_parameters(model) == {}


def test_a_pickled_model_comes_back_with_its_vectors() -> None:
    model, x = net(), normal(2, 4)
    attach_far(model, **ALL)
    again = pickle.loads(pickle.dumps(model))
    assert torch.equal(again(x), model(x))
    assert scaled_parameters(again).keys() == scaled_parameters(model).keys()


# a model


def test_ones_are_the_base_bit_for_bit_and_one_entry_of_1_5_is_not() -> None:
    model, x = net().float(), normal(2, 4).float()
    base = model(x)
    wrappers = attach(model, **ALL)
    assert torch.equal(model(x), base)
    for wrapper in wrappers.values():
        wrapper.l.data[1] = 1.5
        assert not torch.equal(model(x), base)
        wrapper.l.data[1] = 1.0


def test_merged_equals_attached_and_detached_is_the_base() -> None:
    model, x = net(), normal(2, 4)
    plain, base = copy.deepcopy(model), model(x)
    wrappers = attach_far(model, **ALL)
    assert list(wrappers) == list(ALL["output"] + ALL["input"])
    wrapped = model(x)
    assert (wrapped - base).abs().max() > 0.1
    merged = copy.deepcopy(model)
    assert merge(merged) is merged
    assert_close(merged(x), wrapped)
    assert [type(m) for m in merged.modules()] == [type(m) for m in plain.modules()]
    assert detach(model) == wrappers
    assert torch.equal(model(x), base)
    assert model.state_dict().keys() == plain.state_dict().keys()


def test_a_single_string_is_one_pattern() -> None:
    assert list(attach(net(), output="*k_proj", input="down")) == ["k_proj", "down"]


def test_training_moves_the_vectors_only() -> None:
    model, x = net(), normal(8, 4)
    attach_far(model, **ALL)
    count = surgery.freeze_except(model, scaled_parameters(model))
    assert count.trainable == 6 + 9 + 9
    before = copy.deepcopy(model.state_dict())
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1, weight_decay=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        model(x).pow(2).mean().backward()
        optimizer.step()
    for name, tensor in model.state_dict().items():
        assert torch.equal(before[name], tensor) != (name in scaled_parameters(model)), name


def test_attaching_leaves_requires_grad_and_training_mode_alone() -> None:
    model = net().eval()
    model.down.weight.requires_grad_(False)
    wrappers = attach(model, **ALL)
    assert not wrappers["down"].base.weight.requires_grad
    assert wrappers["down"].base.bias.requires_grad
    assert not any(module.training for module in model.modules())
    merge(model)
    assert not model.down.weight.requires_grad
    assert model.down.bias.requires_grad
    assert not any(module.training for module in model.modules())


def test_attaching_twice_is_refused_and_changes_nothing() -> None:
    model, x = net(), normal(2, 4)
    attach_far(model, **ALL)
    before = model(x)
    for patterns in ({"output": "k_proj"}, {"output": "*"}, {"input": ["down"]}):
        with pytest.raises(ValueError, match="already carries a ScaledLinear"):
            attach(model, **patterns)
    with pytest.raises(ValueError, match=r"k_proj\.base' matches no module"):
        attach(model, output="k_proj.base")
    with pytest.raises(ValueError, match="already carries a ScaledLinear"):
        lora.attach(model, "k_proj", rank=1)
    assert torch.equal(model(x), before)
    assert attach(detached := net(), output="up") and detach(detached) and attach(detached, output="up")


def test_an_error_in_one_pattern_leaves_the_whole_model_as_it_was() -> None:
    model = net()
    with pytest.raises(ValueError, match=r"'dwon' matches no module .* near names: down"):
        attach(model, output="k_proj", input="dwon")
    with pytest.raises(TypeError, match=r"norm \(LayerNorm\).*k_proj"):
        attach(model, output=["k_proj", "norm"])
    with pytest.raises(ValueError, match=r"\['up'\] match output and input"):
        attach(model, output=["k_proj", "up"], input=["up", "down"])
    with pytest.raises(ValueError, match="expected at least one pattern"):
        attach(model)
    with pytest.raises(TypeError, match="dtype must be"):
        attach(model, **ALL, dtype="bf16")
    assert scaled_parameters(model) == {}


def test_detach_and_merge_refuse_a_model_without_vectors() -> None:
    for verb in (detach, merge):
        with pytest.raises(ValueError, match="at least one ScaledLinear, this Net has none; attach first"):
            verb(net())
        with pytest.raises(ValueError, match=r"got the ScaledLinear itself; use \.base or \.merged"):
            verb(ScaledLinear(nn.Linear(2, 3)))


def test_a_model_that_is_one_linear_layer_is_told_what_to_use() -> None:
    with pytest.raises(ValueError, match="this Linear has no parts; wrap it directly"):
        attach(nn.Linear(2, 3), output="*")


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_merge_refuses_a_vector_that_is_not_finite_and_leaves_every_layer_wrapped(bad: float) -> None:
    model = net()
    wrappers = attach_far(model, **ALL)
    wrappers["down"].l.data[3] = bad
    with pytest.raises(ValueError, match=r"down\.l must be finite .* 1 of its 9 entries .* index \(3,\)"):
        merge(model)
    assert scaled_parameters(model).keys() == {"k_proj.l", "up.l", "down.l"}
    with pytest.raises(ValueError, match="l must be finite"):
        wrappers["down"].merged()


def test_merge_refuses_a_quantized_weight() -> None:
    model = nn.Sequential(nn.Linear(2, 3))
    model[0].weight = nn.Parameter(torch.ones(3, 2, dtype=torch.int8), requires_grad=False)
    attach(model, output="0")
    with pytest.raises(TypeError, match=r"floating-point weight, got torch.int8; dequantize"):
        merge(model)
    assert model[0].weight.dtype == torch.int8, "it can still be looked at"


def test_merge_refuses_a_weight_that_a_parametrization_computes() -> None:
    model = nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(2, 3)))
    attach(model, output="0")
    with pytest.raises(ValueError, match=r"remove_parametrizations"):
        merge(model)


def test_the_effective_weight_cannot_be_assigned() -> None:
    wrapper = ScaledLinear(nn.Linear(2, 3))
    for name in ("weight", "bias"):
        with pytest.raises(AttributeError, match=rf"{name} of a ScaledLinear is computed; set base\.{name}"):
            setattr(wrapper, name, nn.Parameter(torch.ones(3, 2)))


# shared layers and tied weights


def shared() -> tuple[nn.Module, nn.Linear]:
    layer = nn.Linear(3, 3).double()
    block = nn.ModuleDict({"inner": nn.Linear(3, 3)}).double()
    return nn.ModuleDict({"a": nn.Sequential(layer), "b": nn.Sequential(layer), "c": block, "d": block}), layer


def test_a_layer_with_two_names_gets_one_wrapper_and_one_vector() -> None:
    model, layer = shared()
    wrappers = attach(model, output="*")
    assert list(wrappers) == ["a.0", "b.0", "c.inner", "d.inner"]
    assert wrappers["a.0"] is wrappers["b.0"] is model["a"][0] is model["b"][0]
    assert wrappers["a.0"].base is layer
    assert wrappers["c.inner"] is wrappers["d.inner"]
    assert list(scaled_parameters(model)) == ["a.0.l", "c.inner.l"]
    assert sum(p.numel() for p in model.parameters()) == 2 * 12 + 2 * 3
    wrappers["a.0"].l.data, wrappers["c.inner"].l.data = gains(3), gains(3, seed=1)
    x = normal(2, 3)
    expected = model["b"](x)
    merge(model)
    assert model["a"][0] is model["b"][0]
    assert isinstance(model["d"]["inner"], nn.Linear)
    assert_close(model["b"](x), expected)


def test_a_layer_with_two_names_can_be_wrapped_under_one_of_them() -> None:
    model, layer = shared()
    attach(model, output="a.0")
    assert isinstance(model["a"][0], ScaledLinear)
    assert model["b"][0] is layer
    with pytest.raises(ValueError, match=r"a\.0 already carries"):
        attach(model, output="*.0")
    detach(model)
    assert model["a"][0] is layer


def test_one_shared_layer_matched_on_both_sides_under_two_names_is_refused() -> None:
    model, _ = shared()
    with pytest.raises(ValueError, match=r"\['a.0', 'b.0'\] match output and input"):
        attach(model, output="a.0", input="b.0")


def test_merging_does_not_touch_what_the_weight_is_tied_to() -> None:
    model = nn.ModuleDict({"embedding": nn.Embedding(7, 3), "head": nn.Linear(3, 7, bias=False)})
    model["head"].weight = model["embedding"].weight
    before = model["embedding"].weight.detach().clone()
    attach_far(model, output="head")
    merge(model)
    assert torch.equal(model["embedding"].weight, before)
    assert not torch.equal(model["head"].weight, before)


# dtypes, devices, copies, compilation


def test_half_precision_keeps_l_in_float32_and_the_result_in_the_bases_dtype() -> None:
    for convert in (lambda m: m.bfloat16(), lambda m: m.half(), lambda m: m.to(torch.bfloat16)):
        model = Net()
        wrappers = attach_far(model, **ALL)
        wrappers["down"].l.data[0] = 1.001  # not a bfloat16 or float16 number
        before = {name: vector.detach().clone() for name, vector in scaled_parameters(model).items()}
        convert(model)
        for name, vector in scaled_parameters(model).items():
            assert torch.equal(vector, before[name])
        dtype = model.k_proj.base.weight.dtype
        out = model(torch.ones(2, 4, dtype=dtype))
        assert out.dtype == dtype != torch.float32
        out.float().sum().backward()
        assert {vector.grad.dtype for vector in scaled_parameters(model).values()} == {torch.float32}
        assert merge(model).down.weight.dtype == dtype


def test_a_small_step_up_from_one_survives_in_float32_and_is_lost_in_bfloat16() -> None:
    layer, wished = nn.Linear(3, 2).bfloat16(), ScaledLinear(nn.Linear(3, 2).bfloat16(), dtype=torch.bfloat16)
    kept = ScaledLinear(layer)
    assert (kept.l.dtype, wished.l.dtype) == (torch.float32, torch.bfloat16)
    with torch.no_grad():
        kept.l += 3e-3
        wished.l += 3e-3
    assert (kept.l > 1).all()
    assert (wished.l == 1).all()


def test_conversion_after_a_backward_pass_keeps_the_gradient_beside_its_vector() -> None:
    model = Net()
    attach(model, **ALL)
    model(torch.ones(2, 4)).sum().backward()
    model.bfloat16()
    assert {vector.grad.dtype for vector in scaled_parameters(model).values()} == {torch.float32}
    torch.optim.SGD(scaled_parameters(model).values(), lr=0.1).step()


def test_double_makes_the_vectors_float64_and_float_brings_them_back() -> None:
    model = Net()
    attach(model, **ALL)
    assert {v.dtype for v in scaled_parameters(model.double()).values()} == {torch.float64}
    assert {v.dtype for v in scaled_parameters(model.float()).values()} == {torch.float32}
    assert ScaledLinear(nn.Linear(2, 3).double()).l.dtype == torch.float64


def test_autocast_works() -> None:
    model, x = Net(), normal(2, 4).float()
    attach_far(model, **ALL)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = model(x)
    assert out.dtype == torch.bfloat16
    assert_close(out.float(), model(x), rtol=0.1, atol=0.1)


def test_state_dict_round_trips() -> None:
    model, x = net(), normal(2, 4)
    attach_far(model, **ALL)
    twin = Net().double()
    attach(twin, **ALL)
    assert (twin(x) - model(x)).abs().max() > 0.1
    twin.load_state_dict(model.state_dict())
    assert torch.equal(twin(x), model(x))
    only_vectors = {name: vector.detach() for name, vector in scaled_parameters(model).items()}
    base = net()
    attach(base, **ALL)
    missing = base.load_state_dict(only_vectors, strict=False)
    assert not missing.unexpected_keys
    assert torch.equal(base(x), model(x))


def test_deepcopy_is_independent() -> None:
    model, x = net(), normal(2, 4)
    attach_far(model, **ALL)
    clone, before = copy.deepcopy(model), model(x)
    assert torch.equal(clone(x), before)
    merge(clone)
    clone.down.weight.data.zero_()
    assert torch.equal(model(x), before)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_compiled_in_one_graph_equals_eager(dtype: torch.dtype) -> None:
    model, x = Net(), normal(2, 4).to(dtype)
    attach_far(model, **ALL)
    model.to(dtype)
    compiled = torch.compile(model, backend="eager", fullgraph=True)
    assert torch.equal(compiled(x), model(x))
    compiled(x).float().sum().backward()
    assert all(vector.grad.abs().sum() > 0 for vector in scaled_parameters(model).values())


def test_a_meta_device_model_can_be_attached_counted_and_merged() -> None:
    with torch.device("meta"):
        model = Net()
    attach(model, **ALL)
    assert surgery.freeze_except(model, scaled_parameters(model)).trainable == 24
    assert {vector.device.type for vector in scaled_parameters(model).values()} == {"meta"}
    assert merge(model).down.weight.is_meta


def test_moving_the_model_moves_the_vectors_and_attaching_follows_the_model() -> None:
    device, x = get_device(), normal(2, 4)  # the GPU where there is one
    model, there = net(), net().to(device)
    attach_far(model, **ALL)
    expected = model(x)
    attach_far(there, **ALL)
    for moved in (model.to(device), there):
        assert {p.device.type for p in moved.parameters()} == {device.type}
        assert_close(moved(x.to(device)).cpu(), expected)
        assert_close(merge(moved)(x.to(device)).cpu(), expected)
    attach(away := net(), **ALL)
    assert {p.device.type for p in away.to("meta").parameters()} == {"meta"}


# code that never calls the layer


def test_code_that_reads_the_weight_instead_of_calling_the_layer_sees_the_vector_too() -> None:
    encoder = nn.TransformerEncoderLayer(8, 2, 12, dropout=0.0, batch_first=True, activation="gelu").double().eval()
    plain = copy.deepcopy(encoder)
    attach_far(encoder, input=["linear2", "self_attn.out_proj"])
    x = normal(2, 5, 8)
    slow = encoder(x)  # l wants a gradient, so the layers are called one by one
    with torch.no_grad():
        fast = encoder(x)
    assert_close(fast, slow.detach())
    assert (fast - plain(x)).abs().max() > 0.1


def test_printing_a_model_shows_side_and_length() -> None:
    assert "side='input', l=(3,)" in repr(ScaledLinear(nn.Linear(3, 2), "input"))
