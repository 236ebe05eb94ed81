"""Laws of finding, replacing, freezing and counting the parts of a model."""

from __future__ import annotations

import re

import pytest
import torch
from torch import nn

from ia3_lab import surgery


def model() -> nn.Module:
    block = lambda: nn.ModuleDict({"k_proj": nn.Linear(3, 4), "norm": nn.LayerNorm(4), "v_proj": nn.Linear(3, 5)})  # noqa: E731
    return nn.ModuleDict({"layers": nn.ModuleList([block(), block()]), "k_projector": nn.Linear(2, 2)})


def shared() -> nn.Module:
    layer = nn.Linear(3, 3)
    return nn.ModuleDict({"a": nn.Sequential(layer), "b": nn.Sequential(layer), "other": nn.Linear(3, 3)})


class Conv1D(nn.Module):
    """Looks like transformers' Conv1D: weight (in, out)."""

    def __init__(self, nf: int, nx: int) -> None:
        super().__init__()
        self.nf = nf
        self.weight, self.bias = nn.Parameter(torch.ones(nx, nf)), nn.Parameter(torch.zeros(nf))


def test_a_pattern_matches_whole_dotted_names_across_dots() -> None:
    assert list(surgery.find_modules(model(), "*.k_proj")) == ["layers.0.k_proj", "layers.1.k_proj"]
    assert list(surgery.find_modules(model(), ["layers.[1-9].v_proj", "k_*"])) == ["layers.1.v_proj", "k_projector"]


def test_other_kinds_are_left_out_and_the_root_is_never_found() -> None:
    assert list(surgery.find_modules(model(), "layers.0*", nn.Linear)) == ["layers.0.k_proj", "layers.0.v_proj"]
    assert list(surgery.find_modules(model(), "*", (nn.LayerNorm,))) == ["layers.0.norm", "layers.1.norm"]
    assert "" not in surgery.find_modules(model(), "*")
    assert (
        next(iter(surgery.find_modules(model(), "*", lambda m: getattr(m, "out_features", 0) == 5)))
        == "layers.0.v_proj"
    )


@pytest.mark.parametrize(
    ("pattern", "near"),
    [
        ("k_proj", "layers.0.k_proj"),
        ("*.k_porj", "layers.0.k_proj"),
        ("layers.7.v_proj", "layers.0.v_proj"),
        ("", "k_proj"),
    ],
)
def test_a_pattern_that_matches_nothing_is_refused_with_near_names(pattern: str, near: str) -> None:
    with pytest.raises(ValueError, match="matches no module") as error:
        surgery.find_modules(model(), ["*.norm", pattern])
    assert repr(pattern) in str(error.value)
    assert near in str(error.value)


def test_a_pattern_that_matches_only_other_kinds_is_a_type_error_that_names_them() -> None:
    with pytest.raises(TypeError, match=r"layers.0.norm \(LayerNorm\).*layers.0.k_proj"):
        surgery.find_modules(model(), "*.norm", nn.Linear)
    with pytest.raises(TypeError, match="pattern must be a string"):
        surgery.find_modules(model(), [nn.Linear])
    for wrong in (None, 0):
        with pytest.raises(TypeError, match=f"patterns must be strings .*: {wrong}"):
            surgery.find_modules(model(), wrong)
    with pytest.raises(TypeError, match=r"expected an nn\.Module, got dict"):
        surgery.find_modules({"k_proj": nn.Linear(2, 2)}, "k_proj")


def test_walk_gives_a_shared_module_under_each_of_its_names() -> None:
    assert [name for name, module in surgery.walk(shared()) if isinstance(module, nn.Linear)] == ["a.0", "b.0", "other"]
    assert len([module for module in shared().modules() if isinstance(module, nn.Linear)]) == 2


@pytest.mark.parametrize(
    ("pattern", "example"),
    [
        ("k_proj", "*.k_proj"),
        ("layers.7.v_proj", "*.v_proj"),
        ("*.key_proj", "*.k_proj"),
        ("k_projectors", "k_projector"),  # at the top of the model, where "*." would match nothing
        ("*.k_projector", "k_projector"),
        ("", "layers.0.k_proj"),
    ],
)
def test_a_refused_pattern_comes_with_one_that_does_match(pattern: str, example: str) -> None:
    with pytest.raises(ValueError, match="for example") as error:
        surgery.find_modules(model(), pattern)
    proposed = re.search("for example '(.*?)'", str(error.value))[1]
    assert proposed == example != pattern
    assert surgery.find_modules(model(), proposed)


def test_no_example_is_made_up_for_a_model_without_linear_layers() -> None:
    with pytest.raises(ValueError, match=r"the whole dotted name; near names: none$"):
        surgery.find_modules(nn.Sequential(nn.ReLU()), "*.k_proj")


def test_replace_module_puts_the_new_and_returns_the_old() -> None:
    net, new = model(), nn.Identity()
    old = net["layers"][1]["norm"]
    assert surgery.replace_module(net, "layers.1.norm", new) is old
    assert net["layers"][1]["norm"] is new
    assert isinstance(net["layers"][0]["norm"], nn.LayerNorm)


@pytest.mark.parametrize("name", ["layers.2.norm", "layers.0.nrom", ""])
def test_replace_module_refuses_an_unknown_name(name: str) -> None:
    with pytest.raises(ValueError, match="matches no module"):
        surgery.replace_module(model(), name, nn.Identity())


def test_freezing_goes_by_identity_and_not_by_name() -> None:
    net = model()
    net.l_k_looks_like_a_vector = nn.Parameter(torch.ones(3))
    count = surgery.freeze_except(net, [net["layers"][0]["norm"].weight])
    assert [name for name, p in net.named_parameters() if p.requires_grad] == ["layers.0.norm.weight"]
    assert count == surgery.ParameterCount(4, sum(p.numel() for p in net.parameters()))
    surgery.freeze_except(net, {"any name": net.l_k_looks_like_a_vector})
    assert [name for name, p in net.named_parameters() if p.requires_grad] == ["l_k_looks_like_a_vector"]


def test_freezing_refuses_nothing_and_strangers_and_changes_nothing_then() -> None:
    net = model()
    with pytest.raises(ValueError, match="at least one parameter"):
        surgery.freeze_except(net, [])
    with pytest.raises(ValueError, match="1 of the 1 given are not part of it"):
        surgery.freeze_except(net, [nn.Parameter(torch.ones(1))])
    for wrong in (["k_projector.weight"], net.children()):
        with pytest.raises(TypeError, match=r"expected parameters, got a (str|ModuleList)"):
            surgery.freeze_except(net, wrong)
    assert all(p.requires_grad for p in net.parameters())
    assert surgery.freeze_except(net, net["k_projector"].bias).trainable == 2


def test_a_tied_weight_counts_once() -> None:
    net = shared()
    assert surgery.count_parameters(net) == surgery.ParameterCount(24, 24)
    net["other"].weight = net["a"][0].weight
    assert surgery.count_parameters(net).total == 15
    assert str(surgery.ParameterCount(3, 1200)) == "3 trainable of 1,200 (0.2500%)"
    assert str(surgery.ParameterCount(0, 0)) == "0 trainable of 0 (0.0000%)"


def test_conv1d_is_a_linear_layer_by_its_looks_and_conv1d_of_torch_is_not() -> None:
    assert surgery.is_linear(Conv1D(5, 3))
    assert surgery.stores_in_out(Conv1D(5, 3))
    assert surgery.linear_sizes(Conv1D(5, 3)) == surgery.linear_sizes(nn.Linear(3, 5)) == (3, 5)
    for other in (nn.Conv1d(3, 5, 1), nn.LayerNorm(3), nn.Embedding(3, 5), nn.Bilinear(2, 2, 2)):
        assert not surgery.is_linear(other)
    assert surgery.is_linear(type("Special", (Conv1D,), {})(5, 3)), "a subclass is one too"


def test_only_a_module_under_a_name_can_be_put_in_place() -> None:
    net = model()
    for name, new in (("k_projector", None), ("k_projector", "Identity"), (0, nn.Identity())):
        with pytest.raises(TypeError, match=r"expected a dotted name and an nn\.Module, got"):
            surgery.replace_module(net, name, new)
    assert isinstance(net["k_projector"], nn.Linear)


def test_what_is_neither_a_kind_nor_a_function_is_refused() -> None:
    for wrong in ("Linear", [nn.Linear], None):
        with pytest.raises(TypeError, match="kinds must be a class of modules"):
            surgery.find_modules(model(), "*", wrong)
    with pytest.raises(TypeError, match=r"0 \(ReLU\); this model has no linear layer"):
        surgery.find_modules(nn.Sequential(nn.ReLU()), "0", nn.Linear)


def test_freezing_and_counting_say_what_they_take() -> None:
    net = model()
    for wrong in (None, 3, nn.Linear(1, 1)):
        with pytest.raises(TypeError, match="expected parameters, got a"):
            surgery.freeze_except(net, wrong)
    net.codes = nn.Parameter(torch.ones(2, dtype=torch.int8), requires_grad=False)
    before = [p.requires_grad for p in net.parameters()]
    with pytest.raises(TypeError, match=r"can be trained, got one of torch\.int8"):
        surgery.freeze_except(net, [net["k_projector"].bias, net.codes])
    assert [p.requires_grad for p in net.parameters()] == before
    for call in (surgery.count_parameters, lambda wrong: surgery.freeze_except(wrong, [net.codes])):
        with pytest.raises(TypeError, match=r"expected an nn\.Module, got NoneType"):
            call(None)
