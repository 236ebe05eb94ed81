"""Laws of the verbs: finding layers by name, all or nothing, what is trained, shared layers, tied weights."""

import copy
from collections.abc import Callable

import pytest
import torch
from random_tensors import gains, gap, normal
from torch import Tensor, nn
from torch.testing import assert_close
from transformers.pytorch_utils import Conv1D

from ia3_lab import attach as verbs
from ia3_lab.adapters import Adapter, LoRALinear, ScaledLinear
from ia3_lab.attach import adapter_parameters, attach, attach_lora, count_parameters, detach, freeze_except, merge


class Net(nn.Module):
    """Keys, hidden units and an output, with a matrix of transformers' other layout in between."""

    def __init__(self) -> None:
        super().__init__()
        self.k_proj, self.up, self.down = nn.Linear(4, 6), Conv1D(9, 6), nn.Linear(9, 5)
        self.norm = nn.LayerNorm(6)
        for index, parameter in enumerate(self.double().parameters()):
            parameter.data = normal(*parameter.shape, seed=index)

    def forward(self, x: Tensor) -> Tensor:
        return self.down(torch.nn.functional.gelu(self.up(self.norm(self.k_proj(x)))))


def ia3(model: nn.Module) -> dict[str, Adapter]:
    return attach(model, output=["k_proj", "up"], input=["down"])


def lora(model: nn.Module) -> dict[str, Adapter]:
    return attach_lora(model, ["k_proj", "up", "down"], rank=2, alpha=6)


VERBS = pytest.mark.parametrize("put", [ia3, lora])
Put = Callable[[nn.Module], dict[str, Adapter]]


def far(model: nn.Module, put: Put) -> dict[str, Adapter]:
    """Attach, and move what was added far from its start."""
    wrapped = put(model)
    for index, parameter in enumerate(adapter_parameters(model).values()):
        parameter.data = gains(parameter.numel(), seed=index).view_as(parameter).to(parameter)
    return wrapped


def state(model: nn.Module) -> dict[str, object]:
    """Return what a model is: which object stands under which name, and every number."""
    parts = {name: id(module) for name, module in model.named_modules(remove_duplicate=False)}
    return parts | {name: tensor.clone() for name, tensor in model.state_dict().items()}


def assert_unchanged(before: dict[str, object], model: nn.Module) -> None:
    after = state(model)
    assert before.keys() == after.keys()
    for name, one in before.items():
        assert torch.equal(one, after[name]) if isinstance(one, Tensor) else one == after[name], name


@VERBS
def test_the_start_is_the_base_bit_for_bit_and_one_changed_entry_is_not(put: Put) -> None:
    model, x = Net().float(), normal(2, 4).float()
    base = model(x)
    put(model)
    assert torch.equal(model(x), base)
    for name, parameter in adapter_parameters(model).items():
        parameter.data.view(-1)[1] += 0.5
        assert torch.equal(model(x), base) == name.endswith(".A"), "as long as B is zero, A says nothing"
        parameter.data.view(-1)[1] -= 0.5


@VERBS
def test_merged_equals_attached_and_detached_is_the_base(put: Put) -> None:
    model, x = Net(), normal(2, 4)
    plain, base = copy.deepcopy(model), model(x)
    wrapped = far(model, put)
    assert list(wrapped) == ["k_proj", "up", "down"]
    attached = model(x)
    assert gap(attached, base) > 0.1
    merged = copy.deepcopy(model)
    assert merge(merged) is merged
    assert_close(merged(x), attached)
    assert [type(m) for m in merged.modules()] == [type(m) for m in plain.modules()]
    assert detach(model) == wrapped
    assert torch.equal(model(x), base)
    assert model.state_dict().keys() == plain.state_dict().keys()


@VERBS
def test_training_moves_what_was_added_only(put: Put) -> None:
    model, x = Net(), normal(8, 4)
    far(model, put)
    added = adapter_parameters(model)
    assert freeze_except(model, added).trainable == sum(p.numel() for p in added.values())
    before = copy.deepcopy(model.state_dict())
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1, weight_decay=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        model(x).pow(2).mean().backward()
        optimizer.step()
    for name, tensor in model.state_dict().items():
        assert torch.equal(before[name], tensor) != (name in added), name


def test_attaching_and_merging_leave_requires_grad_and_training_mode_alone() -> None:
    model = Net().eval()
    model.down.weight.requires_grad_(False)
    assert not ia3(model)["down"].base.weight.requires_grad
    merge(model)
    assert not model.down.weight.requires_grad
    assert model.down.bias.requires_grad
    assert not any(module.training for module in model.modules())


# names


def test_a_pattern_matches_whole_dotted_names_across_dots() -> None:
    block = nn.ModuleDict({"k_proj": nn.Linear(3, 4), "norm": nn.LayerNorm(4)})
    model = nn.ModuleDict({"layers": nn.ModuleList([block, copy.deepcopy(block)]), "k_projector": nn.Linear(2, 2)})
    assert list(attach(copy.deepcopy(model), output="*.k_proj")) == ["layers.0.k_proj", "layers.1.k_proj"]
    assert list(attach(copy.deepcopy(model), output="layers.[1-9].*", input="k_*")) == [
        "layers.1.k_proj",
        "k_projector",
    ]


def packed() -> nn.Module:
    return nn.TransformerEncoderLayer(8, 2, 12)


def compiled() -> nn.Module:
    return nn.Sequential(torch.compile(nn.Linear(2, 3), backend="eager"))


class Experts(nn.Module):
    """Experts fused in one parameter."""

    def __init__(self) -> None:
        super().__init__()
        self.gate, self.down_proj = nn.Linear(3, 2), nn.Parameter(torch.ones(4, 3, 2))


@pytest.mark.parametrize(
    ("model", "patterns", "message"),
    [
        (Net, {"output": "k_proj", "input": "dwon"}, r"'dwon' matches .* no linear layer.*; near names: down$"),
        (Net, {"output": ["k_proj", "norm"]}, r"norm is a torch\.nn\.modules\.normalization\.LayerNorm"),
        (Net, {"output": ["k_proj", "up"], "input": ["up", "down"]}, r"\['up'\] match output and input"),
        (Net, {}, "expected at least one pattern"),
        (lambda: nn.Sequential(nn.ReLU()), {"output": "*"}, r"0 is a torch.*ReLU; it has none$"),
        (packed, {"output": "*.k_proj"}, "self_attn packs queries, keys and values in one parameter, in_proj_weight"),
        (compiled, {"output": "0*"}, r"0\._orig_mod are layers compiled alone; attach first"),
        (Experts, {"input": "down_proj"}, r"down_proj is a parameter of shape \(4, 3, 2\)"),
    ],
)
def test_a_pattern_that_cannot_be_meant_is_refused_with_what_is_there(
    model: Callable[[], nn.Module], patterns: dict, message: str
) -> None:
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


# all or nothing


@pytest.mark.parametrize("verb", ["attach", "merge", "detach"])
@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt, torch.cuda.OutOfMemoryError])
def test_after_any_error_the_model_is_as_it_was(
    verb: str, error: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    model, x = Net(), normal(2, 4)
    if verb != "attach":
        far(model, ia3)
    before, y = state(model), model(x)

    class Breaks(dict):
        """Modules of a parent that cannot take the last one."""

        def __setitem__(self, name: str, module: nn.Module) -> None:
            if name == "down" and module is not model.__dict__["_modules"].get("down") and not self.broken:
                self.broken = True
                raise error
            super().__setitem__(name, module)

        broken = False

    model.__dict__["_modules"] = Breaks(model._modules)
    with pytest.raises(error):
        ia3(model) if verb == "attach" else getattr(verbs, verb)(model)
    assert model._modules.broken
    assert_unchanged(before, model)
    assert torch.equal(model(x), y)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_merge_refuses_what_is_not_finite_and_names_the_layer(bad: float) -> None:
    model = Net()
    far(model, lora)["down"].A.data[1, 3] = bad
    with pytest.raises(ValueError, match=r"\['A'\] hold NaN or infinity") as caught:
        merge(model)
    assert "'down'" in caught.value.__notes__[0]
    assert all(isinstance(layer, LoRALinear) for layer in (model.k_proj, model.up, model.down))


# shared layers and tied weights


def shared() -> tuple[nn.Module, nn.Linear]:
    one, block = nn.Linear(3, 3).double(), nn.ModuleDict({"inner": nn.Linear(3, 3)}).double()
    return nn.ModuleDict({"a": nn.Sequential(one), "b": nn.Sequential(one), "c": block, "d": block}), one


def test_a_layer_with_two_names_gets_one_adapter() -> None:
    model, one = shared()
    wrapped = far(model, lambda m: attach(m, output="*"))
    assert list(wrapped) == ["a.0", "b.0", "c.inner", "d.inner"]
    assert wrapped["a.0"] is wrapped["b.0"] is model["a"][0] is model["b"][0]
    assert wrapped["a.0"].base is one
    assert list(adapter_parameters(model)) == ["a.0.l", "c.inner.l"]
    assert count_parameters(model).total == 2 * 12 + 2 * 3
    x = normal(2, 3)
    expected = model["b"](x)
    merge(model)
    assert model["a"][0] is model["b"][0]
    assert isinstance(model["d"]["inner"], nn.Linear)
    assert_close(model["b"](x), expected)


def test_a_layer_with_two_names_can_be_wrapped_under_one_of_them_but_not_on_both_sides() -> None:
    model, one = shared()
    with pytest.raises(ValueError, match=r"\['a.0'\] match output and input"):
        attach(model, output="a.0", input="b.0")
    attach(model, output="a.0")
    assert isinstance(model["a"][0], ScaledLinear)
    assert model["b"][0] is one
    detach(model)
    assert model["a"][0] is one


def test_merging_does_not_touch_what_the_weight_is_tied_to() -> None:
    model = nn.ModuleDict({"embedding": nn.Embedding(7, 3), "head": nn.Linear(3, 7, bias=False)}).double()
    model["head"].weight = model["embedding"].weight
    before = model["embedding"].weight.detach().clone()
    far(model, lambda m: attach(m, output="head"))
    merge(model)
    assert torch.equal(model["embedding"].weight, before)
    assert not torch.equal(model["head"].weight, before)


# freezing and counting


def test_freezing_goes_by_identity_and_refuses_nothing_and_strangers() -> None:
    model = Net()
    model.l_k_looks_like_a_vector = nn.Parameter(torch.ones(3))
    assert freeze_except(model, [model.norm.weight]) == count_parameters(model)
    assert [name for name, p in model.named_parameters() if p.requires_grad] == ["norm.weight"]
    for wrong in ([], [nn.Parameter(torch.ones(1))]):
        with pytest.raises(ValueError, match="expected parameters of this model, at least one"):
            freeze_except(model, wrong)
    assert str(freeze_except(model, {"any name": model.norm.bias})) == "6 trainable of 158 (3.7975%)"
