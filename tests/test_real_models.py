"""What must hold in real models and tools: each law after a public report, with a control where silence would pass."""

import copy
import os
import pickle
import time
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
import torch.multiprocessing
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.testing import assert_close
from torch.utils.checkpoint import checkpoint

from ia3_lab.attach import adapter_parameters, attach, attach_lora, count_parameters, freeze_except, merge


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
    for parameter in adapter_parameters(model).values():
        nn.init.uniform_(parameter, 0.3, 2.0, generator=torch.Generator().manual_seed(seed))
    return model


@pytest.fixture
def x() -> Tensor:
    return torch.randn(5, 4, generator=torch.Generator().manual_seed(1))


# what a wrapped layer costs


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_model_that_asks_for_the_dtype_of_a_weight_at_every_step_folds_none(dtype: torch.dtype) -> None:
    import transformers  # here: processes below import this file too

    sizes = {"d_model": 24, "d_ff": 40, "d_kv": 8, "num_heads": 3, "num_layers": 2, "vocab_size": 20}
    model = transformers.T5Model(transformers.T5Config(**sizes)).eval().to(dtype)
    folds, ids = [], torch.tensor([[3, 1, 4]])
    for adapter in attach(model, output=["*.k", "*.v"], input=["*.wo"]).values():
        adapter.fold = lambda weight: folds.append(1) or weight
    model(input_ids=ids, decoder_input_ids=ids)
    assert folds == []
    model.encoder.block[0].layer[1].DenseReluDense.wo.weight.sum()
    assert folds == [1]


def test_attaching_and_merging_take_time_in_proportion_to_the_layers() -> None:
    def seconds(layers: int) -> float:
        model = nn.ModuleList(nn.ModuleDict({"down": nn.Linear(2, 2), "up": nn.Linear(2, 2)}) for _ in range(layers))
        start = time.process_time()
        attach(model, input="*.down")
        merge(model)
        return time.process_time() - start

    assert min(seconds(400) for _ in range(3)) < 9 * min(seconds(100) for _ in range(3)), "a walk for each would be 16"


# merge is the function it replaces, or refuses


class Ternary(nn.Linear):
    """A layer that quantizes its weight when it is called."""

    def forward(self, x: Tensor) -> Tensor:
        size = self.weight.abs().mean()
        return F.linear(x, (self.weight / size).round().clamp(-1, 1) * size, self.bias)


class FourBits(nn.Linear):
    """A layer that rounds its weight to one of 15 values when it is called."""

    def forward(self, x: Tensor) -> Tensor:
        step = self.weight.abs().amax() / 7
        return F.linear(x, (self.weight / step).round() * step, self.bias)


class Doubled(nn.Linear):
    """A subclass with a forward of its own that scales as a plain layer does."""

    def forward(self, x: Tensor) -> Tensor:
        return 2 * super().forward(x)


class Observed(nn.Linear):
    """A plain layer that counts its calls in a buffer."""

    def __init__(self, d_in: int, d_out: int) -> None:
        super().__init__(d_in, d_out)
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        return super().forward(x)


class Float8(nn.Linear):
    """A layer whose weight is stored in eight bits."""

    def __init__(self, d_in: int, d_out: int) -> None:
        super().__init__(d_in, d_out, bias=False)
        self.weight = nn.Parameter(self.weight.detach().to(torch.float8_e4m3fn), requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight.to(x.dtype))


class Packed4(nn.Linear):
    """A layer whose weights are stored two to a byte."""

    def __init__(self, d_in: int, d_out: int) -> None:
        super().__init__(d_in, d_out, bias=False)
        self.weight = nn.Parameter(torch.zeros(d_in * d_out // 2, 1, dtype=torch.uint8), requires_grad=False)


def hooked(change: object) -> nn.Module:
    layer = nn.Linear(4, 6)
    layer.register_forward_hook(lambda module, args, y: change(y))
    return layer


def half() -> nn.Module:
    layer = nn.Linear(4, 6).half()
    layer.weight.data.fill_(6e4)
    return layer


@pytest.mark.parametrize(
    ("base", "error", "message"),
    [
        (lambda: Ternary(4, 6), ValueError, r"test_real_models\.Ternary with a forward of its own is off by"),
        (lambda: FourBits(4, 6).bfloat16(), ValueError, "FourBits with a forward of its own is off by"),
        (lambda: hooked(torch.tanh), ValueError, r"torch\.nn.*Linear with hooks is off by"),
        (half, ValueError, r"with numbers too large for torch\.float16 is off by"),
        (lambda: Float8(4, 6), TypeError, r"not torch\.float8_e4m3fn of shape \(6, 4\) .*Float8.*dequantize"),
        (lambda: Packed4(4, 6), TypeError, r"not torch\.uint8 of shape \(12, 1\)"),
        (
            lambda: nn.utils.parametrizations.weight_norm(nn.Linear(4, 6)),
            ValueError,
            r"no parameter 'weight' but \['bias', 'parametrizations\.weight\.original0'",
        ),
    ],
)
@pytest.mark.parametrize("put", [lambda m: attach(m, output="1"), lambda m: attach_lora(m, "1", rank=1)])
def test_merge_refuses_with_the_cause_what_would_be_another_function(
    base: object, error: type[Exception], message: str, put: object
) -> None:
    model = nn.Sequential(nn.Linear(4, 4), base())
    attach(model, output="0")
    put(model)
    for parameter in adapter_parameters(model).values():
        nn.init.uniform_(parameter, 0.2, 2.0, generator=torch.Generator().manual_seed(0))
    layers, before = list(model), copy.deepcopy(model.state_dict())
    with pytest.raises(error, match=message):
        merge(model)
    assert list(model) == layers
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())


@pytest.mark.parametrize("base", [lambda: Doubled(4, 6), lambda: hooked(lambda y: 2 * y), lambda: Observed(4, 6)])
def test_merge_accepts_any_layer_that_stays_the_same_function(base: object, x: Tensor) -> None:
    model = nn.Sequential(base())
    attach(model, output="0")
    nn.init.uniform_(model[0].l, 0.3, 2.0)
    before = copy.deepcopy(model[0].base.state_dict())
    adapter, y = model[0], model(x)
    plain = merge(model)
    assert_close(plain(x), y)
    if "calls" in before:
        assert adapter.base.calls == 1, "trying it out left no trace"


def test_a_merged_layer_keeps_its_hooks_its_results_and_autocast_is_no_reason_to_refuse(x: Tensor) -> None:
    model, seen = attached(), []
    handle = model.up.base.register_forward_hook(lambda module, args, y: setattr(module, "last", y))
    model.down.base.register_forward_hook(lambda module, args, y: seen.append(y))
    y = model(x)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        merge(model)
    seen.clear()
    assert_close(model(x), y)
    assert len(seen) == 1
    assert model.up.last.shape == (5, 6)
    handle.remove()
    assert not model.up._forward_hooks


# where the layer computes


def test_a_float8_layer_gets_a_float32_vector_and_works(x: Tensor) -> None:
    model = nn.Sequential(Float8(4, 6))
    y = model(x)
    assert attach(model, output="0")["0"].l.dtype == torch.float32
    assert torch.equal(model(x), y)
    with pytest.raises(TypeError, match="dequantize"):
        model[0].weight.sum()


def test_an_offloaded_layer_gets_its_vector_where_it_computes_and_is_not_merged(x: Tensor) -> None:
    from accelerate import cpu_offload

    model = Net()
    y = model(x)
    cpu_offload(model, execution_device=torch.device("cpu"))
    attach(model, output="up")
    assert model.up.base.weight.is_meta
    assert model.up.l.device.type == "cpu"
    assert_close(model(x), y)
    nn.init.constant_(model.up.l, 2.0)
    assert (model(x) - y).abs().max() > 0.01
    with pytest.raises(ValueError, match="the weight is offloaded; load it into memory"):
        merge(model)


def test_a_model_built_on_the_meta_device_can_be_counted_merged_and_materialized(x: Tensor) -> None:
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
    assert torch.equal(model.down(model.up(x)), model.down.base(model.up.base(x)))
    assert 0 < model.down.A.abs().max() <= 6**-0.5


def test_packed_weights_are_counted_as_weights() -> None:
    class Params4bit(nn.Parameter):
        """Named as bitsandbytes names what it packs."""

    model = nn.Sequential(Packed4(4, 6), nn.Linear(6, 2))
    attach(model, output="0")
    assert freeze_except(model, adapter_parameters(model)) == (6, 24 + 14 + 6)
    plain = nn.Module()
    plain.table = Params4bit(torch.zeros(8, 1, dtype=torch.uint8), requires_grad=False)
    assert count_parameters(plain).total == 16


# tools


def test_symbolic_trace_export_and_compile_compute_the_same(x: Tensor) -> None:
    model = attached()
    y = model(x)
    assert_close(torch.fx.symbolic_trace(model)(x), y)
    assert_close(torch.export.export(model, (x,)).module()(x), y)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_compiled_in_one_graph_before_and_after_attaching(x: Tensor, dtype: torch.dtype) -> None:
    before = torch.compile(Net(), backend="eager", fullgraph=True)
    base = before(x)
    attach(before, output="*.up")
    assert torch.equal(before(x), base)
    nn.init.uniform_(before._orig_mod.up.l, 1.5, 2.0)
    assert (before(x) - base).abs().max() > 0.01
    model = attached().to(dtype)
    after = torch.compile(model, backend="eager", fullgraph=True)
    assert torch.equal(after(x.to(dtype)), model(x.to(dtype)))
    after(x.to(dtype)).float().sum().backward()
    assert all(p.grad.abs().sum() > 0 for p in adapter_parameters(model).values())


def test_gradients_of_single_examples_add_up_to_the_gradient_of_the_batch(x: Tensor) -> None:
    model = attached()
    added = {name: p.detach() for name, p in adapter_parameters(model).items()}
    loss = lambda vectors, one: torch.func.functional_call(model, vectors, (one,)).square().sum()  # noqa: E731
    single = torch.func.vmap(torch.func.grad(loss), in_dims=(None, 0))(added, x)
    model(x).square().sum().backward()
    for name, parameter in adapter_parameters(model).items():
        assert_close(single[name].sum(0), parameter.grad)


@pytest.mark.parametrize("reentrant", [True, False])
def test_gradient_checkpointing_gives_the_same_gradients(x: Tensor, reentrant: bool) -> None:
    model = attached()
    model(x).sum().backward()
    wanted = [p.grad.clone() for p in adapter_parameters(model).values()]
    model.zero_grad()
    checkpoint(model, x.requires_grad_(), use_reentrant=reentrant).sum().backward()
    for parameter, gradient in zip(adapter_parameters(model).values(), wanted, strict=True):
        assert_close(parameter.grad, gradient)


def test_autocast_rounds_the_result_and_nothing_else(x: Tensor) -> None:
    model = attached()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = model(x)
    assert y.dtype == torch.bfloat16
    assert_close(y.float(), model(x), rtol=0.1, atol=0.1)


def test_what_was_added_alone_makes_the_round_trip_through_a_file(tmp_path: Path, x: Tensor) -> None:
    base = Net()
    model, twin = attached(copy.deepcopy(base)), attached(copy.deepcopy(base), seed=1)
    assert not torch.equal(twin(x), model(x))
    save_file({name: p.detach() for name, p in adapter_parameters(model).items()}, tmp_path / "task.safetensors")
    found = twin.load_state_dict(load_file(tmp_path / "task.safetensors"), strict=False)
    assert found.unexpected_keys == []
    assert torch.equal(twin(x), model(x))
    other = attached(copy.deepcopy(base), seed=2)
    other.load_state_dict(model.state_dict())
    for same in (other, pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
        assert torch.equal(same(x), model(x))
        assert same.up.l is not model.up.l


def _train_in_two_processes(rank: int, port: int) -> None:
    from torch.distributed.fsdp import fully_shard

    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    torch.distributed.init_process_group("gloo", rank=rank, world_size=2)
    torch.manual_seed(0)
    base, x = Net(), torch.randn(6, 4)
    for share in (nn.parallel.DistributedDataParallel, fully_shard):
        alone, model = attached(copy.deepcopy(base)), attached(copy.deepcopy(base))
        for one in (alone, model):
            freeze_except(one, adapter_parameters(one))
        for one, batch in ((alone, x), (share(model), x[3 * rank :][:3])):
            optimizer = torch.optim.SGD([p for p in one.parameters() if p.requires_grad], lr=0.1)
            one(batch).square().mean().backward()
            optimizer.step()
        for name, vector in adapter_parameters(model).items():
            whole = vector.full_tensor() if hasattr(vector, "full_tensor") else vector
            assert_close(whole.detach(), adapter_parameters(alone)[name].detach())
            assert not torch.equal(whole, adapter_parameters(attached(copy.deepcopy(base)))[name])
    torch.distributed.destroy_process_group()


def test_two_processes_train_what_one_would() -> None:
    torch.multiprocessing.spawn(_train_in_two_processes, (20000 + os.getpid() % 20000,), nprocs=2)


# how it is called


class Routed(NamedTuple):
    y: Tensor
    temperature: float


class Router(nn.Linear):
    """A layer with another name for x, an extra argument and a second result."""

    def forward(self, hidden: Tensor, temperature: float = 1.0) -> Routed:
        return Routed(super().forward(hidden) / temperature, temperature)


@pytest.mark.parametrize("put", [lambda m: attach(m, output="0"), lambda m: attach(m, input="0")])
def test_a_wrapped_layer_is_called_as_its_base_was(put: object, x: Tensor) -> None:
    plain, router = nn.Sequential(nn.Linear(4, 6)), nn.Sequential(Router(4, 6))
    for model in (plain, router):
        put(model)
        nn.init.uniform_(model[0].l, 1.5, 2.0)
    assert torch.equal(plain[0](input=x), plain[0](x))
    wanted, temperature = router[0](x, 2.0)
    assert temperature == 2.0
    assert torch.equal(router[0](temperature=2.0, hidden=x).y, wanted)
    assert (wanted - router[0].base(x, 2.0)[0]).abs().max() > 0.01
    assert_close(merge(router)[0](x, 2.0)[0], wanted)
