"""What must hold in real models and tools: each law after a public report, with a control where silence would pass."""

import copy
import pickle
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.multiprocessing
import torch.nn.functional as F
from random_tensors import gap, moved
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.testing import assert_close
from torch.utils.checkpoint import checkpoint

from ia3_lab.attach import adapter_parameters, attach, attach_lora, count_parameters, freeze_except, merge

X = torch.randn(5, 4, generator=torch.Generator().manual_seed(1))
Make = Callable[[], nn.Module]


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.up, self.down = nn.Linear(4, 6), nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.down(F.gelu(self.up(x)))


def attached(model: nn.Module | None = None, seed: int = 0) -> nn.Module:
    """Return a model with both adapters, far from their start."""
    model = Net() if model is None else model
    attach(model, output="up")
    attach_lora(model, "down", rank=2)
    return moved(model, seed)


def test_attaching_and_merging_take_time_in_proportion_to_the_layers() -> None:
    def seconds(layers: int) -> float:
        model = nn.ModuleList(nn.ModuleDict({"down": nn.Linear(2, 2), "up": nn.Linear(2, 2)}) for _ in range(layers))
        start = time.process_time()
        attach(model, input="*.down")
        merge(model)
        return time.process_time() - start

    assert min(seconds(400) for _ in range(2)) < 9 * min(seconds(100) for _ in range(2)), "a walk for each would be 16"


class Rounded(nn.Linear):
    """A layer that rounds its weight when it is called, to this many steps on either side of zero."""

    def __init__(self, steps: int) -> None:
        super().__init__(4, 6)
        self.steps = steps

    def forward(self, x: Tensor) -> Tensor:
        step = self.weight.abs().amax() / self.steps
        return F.linear(x, (self.weight / step).round() * step, self.bias)


class Observed(nn.Linear):
    """A plain layer that counts its calls in a buffer."""

    def __init__(self) -> None:
        super().__init__(4, 6)
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        return super().forward(x)


class Stored(nn.Linear):
    """A layer from 4 to 6 whose weight is stored in another form."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__(4, 6, bias=False)
        self.weight = nn.Parameter(weight, requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight.to(x.dtype))


def float8() -> nn.Module:
    return Stored(torch.randn(6, 4).to(torch.float8_e4m3fn))


def packed() -> nn.Module:
    return Stored(torch.zeros(12, 1, dtype=torch.uint8))  # two weights in a byte


def hooked(change: Callable[[Tensor], Tensor], size: int = 6) -> nn.Module:
    layer = nn.Linear(4, size)
    layer.register_forward_hook(lambda module, args, y: change(y))
    return layer


@pytest.mark.parametrize(
    ("base", "error", "message"),
    [
        (lambda: Rounded(1), ValueError, r"test_real_models\.Rounded with a forward of its own is off by"),
        (lambda: Rounded(7).bfloat16(), ValueError, "Rounded with a forward of its own is off by"),
        (lambda: hooked(lambda y: y.index_fill(1, torch.tensor(0), 1), 4096), ValueError, "Linear with hooks is off"),
        (lambda: hooked(torch.tanh), ValueError, r"torch\.nn.*Linear with hooks is off by"),
        (float8, TypeError, r"not torch\.float8_e4m3fn of shape \(6, 4\) .*Stored.*dequantize"),
        (packed, TypeError, r"not torch\.uint8 of shape \(12, 1\)"),
        (lambda: nn.utils.parametrizations.weight_norm(nn.Linear(4, 6)), ValueError, "no parameter 'weight' but"),
    ],
)
@pytest.mark.parametrize("put", [lambda m: attach(m, output="1"), lambda m: attach_lora(m, "1", rank=1)])
def test_merge_refuses_with_the_cause_what_would_be_another_function(base, error, message, put) -> None:
    model = nn.Sequential(nn.Linear(4, 4), base())
    attach(model, output="0")
    put(model)
    layers, before = list(moved(model)), copy.deepcopy(model.state_dict())
    with pytest.raises(error, match=message) as caught:
        merge(model)
    assert "'1'" in caught.value.__notes__[0] and list(model) == layers
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())


@pytest.mark.parametrize("base", [lambda: hooked(lambda y: 2 * y), Observed])
def test_merge_accepts_any_layer_that_stays_the_same_function(base: Make) -> None:
    model = nn.Sequential(base())
    attach(model, output="0")
    adapter, y = model[0], moved(model)(X)
    assert_close(merge(model)(X), y)
    assert getattr(adapter.base, "calls", 1) == 1, "trying it out left no trace"


def test_a_merged_layer_keeps_its_hooks_and_autocast_rounds_results_but_is_no_reason_to_refuse() -> None:
    model, seen = attached(), []
    handle = model.up.base.register_forward_hook(lambda module, args, y: seen.append(y))
    back = model.up.base.register_full_backward_hook(lambda module, before, after: None)
    y = model(X)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rounded = model(X)
        merge(model)
    assert rounded.dtype == torch.bfloat16
    assert_close(rounded.float(), y, rtol=0.1, atol=0.1)
    seen.clear()
    assert_close(model(X), y)
    assert len(seen) == 1
    handle.remove(), back.remove()
    assert not model.up._forward_hooks and not model.up._backward_hooks


def test_a_vector_is_made_where_and_as_the_layer_computes_though_its_weight_is_offloaded_or_float8() -> None:
    from accelerate import cpu_offload

    eight, model = nn.Sequential(float8()), Net()
    for one, name in ((eight, "0"), (model, "up")):
        y = one(X)
        if one is model:
            cpu_offload(model, execution_device=torch.device("cpu"))
        attach(one, output=name)
        assert torch.equal(one(X), y) and gap(moved(one)(X), y) > 0.01
    assert eight[0].l.dtype == torch.float32
    assert (model.up.base.weight.is_meta, model.up.l.device.type) == (True, "cpu")
    cpu_offload(later := attached(), execution_device=torch.device("cpu"))
    for one in (model, later):
        with pytest.raises(ValueError, match="the weight is offloaded; load it into memory"):
            merge(one)


def test_a_model_built_on_the_meta_device_can_be_counted_merged_and_materialized() -> None:
    with torch.device("meta"):
        model = Net()
    attach(model, output="up")
    attach_lora(model, "down", rank=2)
    assert count_parameters(model).total == 51 + 6 + 18
    assert merge(copy.deepcopy(model)).up.weight.is_meta
    model.to_empty(device="cpu")
    for module in model.modules():
        if hasattr(module, "reset_parameters"):
            module.reset_parameters()
    assert torch.equal(model.up.l, torch.ones(6))
    assert torch.equal(model.down(model.up(X)), model.down.base(model.up.base(X)))
    assert 0 < model.down.A.abs().max() <= 6**-0.5


def test_packed_weights_are_counted_as_weights() -> None:
    class Params4bit(nn.Parameter):
        """Named as bitsandbytes names what it packs."""

    model = nn.Sequential(packed(), nn.Linear(6, 2))
    model.table = Params4bit(torch.zeros(8, 1, dtype=torch.uint8), requires_grad=False)
    attach(model, output="0")
    assert freeze_except(model, adapter_parameters(model)) == (6, 24 + 14 + 6 + 16)


class ReadsItsWeight(Net):
    """A model that takes a weight beside calling the layer, as a tied head does."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) @ self.down.weight.to(self.up.weight.dtype) @ self.up.weight


@pytest.mark.parametrize("kind", [Net, ReadsItsWeight])
def test_traced_exported_and_compiled_in_one_graph_before_or_after_the_model_computes_the_same(kind: type[Net]) -> None:
    model = kind()
    before = torch.compile(model, backend="eager", fullgraph=True)
    base = before(X)
    y = attached(model)(X)
    assert gap(before(X), base) > 0.01
    after = torch.compile(model, backend="eager", fullgraph=True)
    exported = torch.export.export(model, (X,)).module()
    for one in (torch.fx.symbolic_trace(model), exported, before, after):
        assert_close(one(X), y)
    after(X).sum().backward()
    assert all(p.grad.abs().sum() > 0 for p in adapter_parameters(model).values())


def test_gradients_add_up_over_single_examples_and_are_the_same_from_checkpoints() -> None:
    model = attached()
    model(X).square().sum().backward()
    wanted = {name: p.grad.clone() for name, p in adapter_parameters(model).items()}
    added = {name: p.detach() for name, p in adapter_parameters(model).items()}
    loss = lambda vectors, one: torch.func.functional_call(model, vectors, (one,)).square().sum()  # noqa: E731
    single = torch.func.vmap(torch.func.grad(loss), in_dims=(None, 0))(added, X)
    assert_close({name: gradients.sum(0) for name, gradients in single.items()}, wanted)
    for reentrant in (True, False):
        model.zero_grad()
        checkpoint(model, X.clone().requires_grad_(), use_reentrant=reentrant).square().sum().backward()
        assert_close({name: p.grad for name, p in adapter_parameters(model).items()}, wanted)


def test_what_was_added_alone_makes_the_round_trip_through_a_file(tmp_path: Path) -> None:
    base = Net()
    model, twin, other = (attached(copy.deepcopy(base), seed) for seed in range(3))
    assert not torch.equal(twin(X), model(X))
    save_file({name: p.detach() for name, p in adapter_parameters(model).items()}, tmp_path / "task.safetensors")
    found = twin.load_state_dict(load_file(tmp_path / "task.safetensors"), strict=False)
    assert found.unexpected_keys == []
    other.load_state_dict(model.state_dict())
    for same in (twin, other, pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
        assert torch.equal(same(X), model(X))
        assert same.up.l is not model.up.l


def _train_on_a_half(process: int, meeting_point: str, rank: int = 1) -> None:
    """Hold gradients that two processes share to those of the whole batch, in this one."""
    from torch.distributed.fsdp import fully_shard

    torch.distributed.init_process_group("gloo", init_method=meeting_point, rank=rank, world_size=2)
    mesh = torch.distributed.device_mesh.init_device_mesh("cpu", (2,))
    half = X[:4][2 * rank :][:2]
    torch.manual_seed(0)
    base = Net()
    for share in (nn.parallel.DistributedDataParallel, lambda model: fully_shard(model, mesh=mesh)):
        alone, model = attached(copy.deepcopy(base)), attached(copy.deepcopy(base))
        for one in (alone, model):
            freeze_except(one, adapter_parameters(one))
        for one, batch in ((alone, X[:4]), (share(model), half)):
            one(batch).square().mean().backward()
        for name, vector in adapter_parameters(model).items():
            gradient = vector.grad.full_tensor() if hasattr(vector.grad, "full_tensor") else vector.grad
            assert_close(gradient, adapter_parameters(alone)[name].grad)
        alone.zero_grad()
        alone(half).square().mean().backward()
        assert not torch.allclose(gradient, adapter_parameters(alone)[name].grad), "the control: its half alone"
    torch.distributed.destroy_process_group()


def test_two_processes_train_what_one_would(tmp_path: Path) -> None:
    meeting_point = f"file://{tmp_path}/meeting-point"
    other = torch.multiprocessing.spawn(_train_on_a_half, (meeting_point,), nprocs=1, join=False)
    _train_on_a_half(0, meeting_point, rank=0)
    assert other.join()


class Router(nn.Linear):
    """A layer with another name for x, an extra argument and a second result."""

    def forward(self, hidden: Tensor, temperature: float = 1.0) -> tuple[Tensor, float]:
        return super().forward(hidden) / temperature, temperature


@pytest.mark.parametrize("side", ["output", "input"])
def test_a_wrapped_layer_is_called_as_its_base_was(side: str) -> None:
    model = nn.Sequential(Router(4, 6))
    attach(model, **{side: "0"})
    wanted, temperature = moved(model)[0](X, 2.0)
    assert temperature == 2.0 and torch.equal(model[0](temperature=2.0, hidden=X)[0], wanted)
    assert gap(wanted, model[0].base(X, 2.0)[0]) > 0.01
    assert_close(merge(model)[0](X, 2.0)[0], wanted)
