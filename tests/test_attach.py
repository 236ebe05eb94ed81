"""Laws of the verbs: finding layers by name, all or nothing, what is trained, shared layers."""

import copy
from collections.abc import Callable

import pytest
import torch
from random_tensors import gap, moved, normal, randomized
from torch import Tensor, nn
from torch.testing import assert_close
from transformers.pytorch_utils import Conv1D

from ia3_lab.adapters import Adapter, ScaledLinear
from ia3_lab.attach import adapter_parameters, attach, attach_lora, count_parameters, detach, freeze_except, merge


class Net(nn.Module):
    """Keys, hidden units and an output, with a matrix of transformers' other layout in between."""

    def __init__(self) -> None:
        super().__init__()
        self.k_proj, self.up, self.down = nn.Linear(4, 6), Conv1D(9, 6), nn.Linear(9, 5)
        self.norm = nn.LayerNorm(6)
        randomized(self, size=1.0)

    def forward(self, x: Tensor) -> Tensor:
        return self.down(torch.nn.functional.gelu(self.up(self.norm(self.k_proj(x)))))


def ia3(model: nn.Module) -> dict[str, Adapter]:
    return attach(model, output=["k_proj", "up"], input=["down"])


def lora(model: nn.Module) -> dict[str, Adapter]:
    return attach_lora(model, ["k_proj", "up", "down"], rank=2, alpha=6)


def state(model: nn.Module) -> dict[str, object]:
    """Return what a model is: which object stands under which name, and every number."""
    parts = {name: id(module) for name, module in model.named_modules(remove_duplicate=False)}
    return parts | {name: tensor.clone() for name, tensor in model.state_dict().items()}


def assert_unchanged(before: dict[str, object], model: nn.Module) -> None:
    after = state(model)
    assert before.keys() == after.keys()
    for name, one in before.items():
        assert torch.equal(one, after[name]) if isinstance(one, Tensor) else one == after[name], name


@pytest.mark.parametrize("put", [ia3, lora])
def test_the_start_is_the_base_bit_for_bit_merged_equals_attached_and_detached_is_the_base_again(put: Callable) -> None:
    model, x = Net(), normal(2, 4)
    model.down.weight.requires_grad_(False)
    plain, base = copy.deepcopy(model), model(x)
    wrapped = put(model)
    assert list(wrapped) == ["k_proj", "up", "down"] and torch.equal(model(x), base)
    attached, merged = moved(model)(x), copy.deepcopy(model)
    assert gap(attached, base) > 0.1
    assert merge(merged) is merged
    assert_close(merged(x), attached)
    assert detach(model) == wrapped
    assert torch.equal(model(x), base)
    for one in (merged, model):
        assert [(type(m), m.training) for m in one.modules()] == [(type(m), False) for m in plain.modules()]
        assert [p.requires_grad for p in one.parameters()] == [p.requires_grad for p in plain.parameters()]


def test_a_pattern_matches_whole_dotted_names_across_dots() -> None:
    block = nn.ModuleDict({"k_proj": nn.Linear(3, 4), "norm": nn.LayerNorm(4)})
    model = nn.ModuleDict({"layers": nn.ModuleList([block, copy.deepcopy(block)]), "k_projector": nn.Linear(2, 2)})
    assert list(attach(copy.deepcopy(model), output="*.k_proj")) == ["layers.0.k_proj", "layers.1.k_proj"]
    assert list(attach(model, output="layers.[1-9].*", input="k_*")) == ["layers.1.k_proj", "k_projector"]


@pytest.mark.parametrize(
    ("model", "patterns", "message"),
    [
        (Net, {"output": "k_proj", "input": "dwon"}, r"'dwon' matches .* no linear layer.*; near names: down$"),
        (Net, {"output": ["k_proj", "norm"]}, r"norm is a torch\.nn\.modules\.normalization\.LayerNorm"),
        (Net, {"output": ["k_proj", "up"], "input": ["up", "down"]}, r"\['up'\] match output and input"),
        (Net, {}, "expected at least one pattern"),
        (lambda: nn.TransformerEncoderLayer(8, 2, 12), {"output": "*.k_proj"}, "packs queries, keys and values in one"),
        (lambda: nn.Sequential(torch.compile(nn.Linear(2, 3), backend="eager")), {"output": "*"}, "compiled alone"),
    ],
)
def test_a_pattern_that_cannot_be_meant_is_refused_with_what_is_there(model: Callable, patterns: dict, message: str):
    made = model()
    before = state(made)
    with pytest.raises(ValueError, match=message):
        attach(made, **patterns)
    assert_unchanged(before, made)


def test_wrapping_twice_is_refused_and_so_are_verbs_on_a_model_without_adapters() -> None:
    model = Net()
    for verb in (detach, merge):
        with pytest.raises(ValueError, match="this Net carries no adapter inside; attach one first"):
            verb(model)
    ia3(model)
    before = state(model)
    for again in (lambda: attach(model, output="k_proj"), lambda: attach_lora(model, "k_*", rank=1)):
        with pytest.raises(ValueError, match="k_proj carry an adapter already"):
            again()
    assert_unchanged(before, model)


class Breaks(dict):
    """Modules of a parent that cannot take the last one, once."""

    errors = ()

    def __setitem__(self, name: str, module: nn.Module) -> None:
        if name == "down" and self.errors:
            raise self.errors.pop()
        super().__setitem__(name, module)


@pytest.mark.parametrize("verb", [ia3, merge, detach])
@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt])
def test_after_any_error_the_model_is_as_it_was(verb: Callable, error: type[BaseException]) -> None:
    model = Net()
    if verb is not ia3:
        ia3(model)
    before = state(moved(model))
    model.__dict__["_modules"] = Breaks(model._modules)
    model._modules.errors = [error]
    with pytest.raises(error):
        verb(model)
    assert model._modules.errors == []
    assert_unchanged(before, model)


def test_a_layer_with_two_names_gets_one_adapter_and_can_be_wrapped_under_one_of_them() -> None:
    one, block = nn.Linear(3, 3).double(), nn.ModuleDict({"inner": nn.Linear(3, 3)}).double()
    model, x = nn.ModuleDict({"a": nn.Sequential(one), "b": nn.Sequential(one), "c": block, "d": block}), normal(2, 3)
    with pytest.raises(ValueError, match=r"\['a.0'\] match output and input"):
        attach(model, output="a.0", input="b.0")
    attach(model, output="a.0")
    assert isinstance(model["a"][0], ScaledLinear) and model["b"][0] is one
    detach(model)
    wrapped = attach(model, output="*")
    assert list(wrapped) == ["a.0", "b.0", "c.inner", "d.inner"] and wrapped["a.0"].base is one
    assert wrapped["a.0"] is wrapped["b.0"] is model["a"][0] is model["b"][0]
    assert list(adapter_parameters(model)) == ["a.0.l", "c.inner.l"]
    assert count_parameters(model).total == 2 * 12 + 2 * 3
    expected = moved(model)["b"](x)
    merge(model)
    assert model["a"][0] is model["b"][0] and isinstance(model["d"]["inner"], nn.Linear)
    assert_close(model["b"](x), expected)


def test_freezing_goes_by_identity_and_refuses_nothing_and_strangers() -> None:
    model = Net()
    model.l_k_looks_like_a_vector = nn.Parameter(torch.ones(3))
    assert freeze_except(model, [model.norm.weight]) == count_parameters(model)
    assert [name for name, p in model.named_parameters() if p.requires_grad] == ["norm.weight"]
    for wrong in ([], [nn.Parameter(torch.ones(1))]):
        with pytest.raises(ValueError, match="expected parameters of this model, at least one"):
            freeze_except(model, wrong)
    assert freeze_except(model, {"any name": model.norm.bias}).trainable == 6
