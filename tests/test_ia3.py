"""Laws of the IA3 modules: what the vectors do, where they fold, what trains."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.testing import assert_close

from ia3_lab import functional, scaled_linear
from ia3_lab.ia3 import IA3Attention, IA3FeedForward, IA3TransformerBlock, attach
from ia3_lab.surgery import count_parameters
from ia3_lab.transformer import FeedForward, MultiHeadAttention, TransformerBlock

ATTENTIONS = [
    {"d_model": 12, "num_heads": 3, "bias": True},
    {"d_model": 12, "num_heads": 6, "num_kv_heads": 2, "bias": True},
    {"d_model": 10, "num_heads": 4, "num_kv_heads": 2, "d_head": 6, "bias": True},
    {"d_model": 12, "num_heads": 2},
]
BLOCKS = [
    {**ATTENTIONS[0], "d_ff": 20},
    {**ATTENTIONS[2], "d_ff": 21, "gated": True},
    {**ATTENTIONS[1], "d_ff": 22, "cross_attention": True},
    {**ATTENTIONS[3], "d_ff": 23},
]


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def gains(size: int, seed: int = 0) -> Tensor:
    """Return signed, distinct numbers, all at least 0.4 away from one."""
    order = torch.randperm(size, generator=torch.Generator().manual_seed(seed))
    signs = torch.tensor([1.0, -1.0], dtype=torch.float64).repeat(size)[:size]
    return (torch.linspace(1.4, 3.0, size, dtype=torch.float64) * signs)[order]


def far(module: nn.Module) -> nn.Module:
    """Return the module in float64 with every parameter drawn anew and vectors far from one."""
    for index, parameter in enumerate(module.double().parameters()):
        parameter.data = 0.5 * normal(*parameter.shape, seed=index)
    for index, vector in enumerate(module.ia3_parameters().values()):
        vector.data = gains(len(vector), seed=index)
    return module


def inputs(**sizes: Any) -> dict[str, Tensor]:
    given = {"x": normal(2, 5, sizes["d_model"], seed=90)}
    return given | ({"context": normal(2, 7, sizes["d_model"], seed=91)} if sizes.get("cross_attention") else {})


def modules() -> list[Any]:
    cases = [(IA3Attention, sizes) for sizes in ATTENTIONS]
    cases += [(IA3FeedForward, {"d_model": 5, "d_ff": 9, "gated": gated, "bias": True}) for gated in (False, True)]
    cases += [(IA3TransformerBlock, sizes) for sizes in BLOCKS]
    return [pytest.param(kind, sizes, id=f"{kind.__name__}-{index}") for index, (kind, sizes) in enumerate(cases)]


# the identity


@pytest.mark.parametrize(("kind", "sizes"), modules())
def test_vectors_of_ones_are_the_base_bit_for_bit_and_one_entry_of_1_5_is_not(kind: type, sizes: dict) -> None:
    plain = kind.plain_class(**sizes)
    module, given = kind.from_base(plain), {name: t.float() for name, t in inputs(**sizes).items()}
    assert torch.equal(module(**given), plain(**given))
    for vector in module.ia3_parameters().values():
        assert torch.equal(vector, torch.ones_like(vector))
        with torch.no_grad():
            vector[1] = 1.5
        assert not torch.equal(module(**given), plain(**given))
        with torch.no_grad():
            vector[1] = 1.0


def test_from_base_copies_and_refuses_another_class() -> None:
    plain = MultiHeadAttention(12, 3)
    module = IA3Attention.from_base(plain.eval())
    assert not module.training
    assert module.W_k.weight.data_ptr() != plain.W_k.weight.data_ptr()
    assert IA3Attention.from_base(plain.bfloat16()).l_k.dtype == torch.float32
    assert IA3Attention.from_base(plain.double()).l_k.dtype == torch.float64
    with pytest.raises(TypeError, match="expected a MultiHeadAttention, got a FeedForward"):
        IA3Attention.from_base(FeedForward(4, 8))
    with pytest.raises(TypeError, match="expected a MultiHeadAttention, got a IA3Attention"):
        IA3Attention.from_base(module)


# merging


@pytest.mark.parametrize(("kind", "sizes"), modules())
def test_merged_equals_wrapped_and_is_a_plain_module(kind: type, sizes: dict) -> None:
    module = far(kind(**sizes))
    given, before = inputs(**sizes), copy.deepcopy(module.state_dict())
    merged = module.merge()
    assert type(merged) is kind.plain_class
    assert all(p.requires_grad for p in merged.parameters())
    assert count_parameters(merged).total == count_parameters(module).total - sum(
        map(len, module.ia3_parameters().values())
    )
    assert_close(merged(**given), module(**given))
    assert all(torch.equal(before[name], tensor) for name, tensor in module.state_dict().items())
    unscaled = {name: tensor for name, tensor in before.items() if name in merged.state_dict()}
    merged.load_state_dict(unscaled)
    assert (merged(**given) - module(**given)).abs().max() > 0.1


def test_merging_without_the_bias_of_the_values_differs_and_a_bias_left_unscaled_on_W_2_is_right() -> None:
    module = far(IA3TransformerBlock(**BLOCKS[0]))
    given, merged = inputs(**BLOCKS[0]), module.merge()
    assert torch.equal(merged.feed_forward.W_2.bias, module.feed_forward.W_2.bias)
    with torch.no_grad():
        merged.attention.W_v.bias.copy_(module.attention.W_v.bias)
    assert (merged(**given) - module(**given)).abs().max() > 0.1


def test_a_forgotten_bias_of_the_keys_is_seen_on_the_keys_and_hidden_by_softmax() -> None:
    module = far(IA3Attention(**ATTENTIONS[1]))
    merged, x = module.merge(), normal(2, 5, 12)
    keys = module.project(x, x)[1]
    assert_close(merged.project(x, x)[1], keys)
    with torch.no_grad():
        merged.W_k.bias.copy_(module.W_k.bias)
    assert (merged.project(x, x)[1] - keys).abs().max() > 0.1
    assert_close(merged(x), module(x))


@pytest.mark.parametrize("sizes", ATTENTIONS)
def test_l_v_folds_into_W_o_too_repeated_for_the_query_heads_that_share_it(sizes: dict) -> None:
    module, x = far(IA3Attention(**sizes)), normal(2, 5, sizes["d_model"])
    folded = copy.deepcopy(module)
    per_head = module.l_v.detach().view(module.num_kv_heads, 1, module.d_head)
    repeated = functional.repeat_kv(per_head, module.num_heads).flatten()  # (d_attn,)
    folded.l_v.data.fill_(1.0)
    folded.W_o.weight.data = functional.fold_input(module.W_o.weight.data, repeated)
    assert_close(folded(x), module(x))
    if module.num_kv_heads < module.num_heads:
        tiled = module.l_v.detach().repeat(module.num_heads // module.num_kv_heads)
        folded.W_o.weight.data = functional.fold_input(module.W_o.weight.data, tiled)
        assert (folded(x) - module(x)).abs().max() > 0.1


def test_l_ff_of_a_gated_network_multiplies_the_whole_product() -> None:
    module, x = far(IA3FeedForward(5, 9, gated=True, bias=True)), normal(2, 3, 5)
    product = functional.gelu(module.W_gate(x)) * module.W_1(x)
    assert_close(module(x), module.W_2(module.l_ff * product))
    assert_close(module(x), module.W_2(functional.gelu(module.W_gate(x)) * (module.l_ff * module.W_1(x))))
    assert (module(x) - module.W_2(functional.gelu(module.l_ff * module.W_gate(x)) * module.W_1(x))).abs().max() > 0.1


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_merging_refuses_a_vector_that_is_not_finite_and_names_it(bad: float) -> None:
    module = IA3TransformerBlock(12, 3, 20)
    module.feed_forward.l_ff.data[7] = bad
    with pytest.raises(ValueError, match=r"feed_forward.l_ff must be finite .* 1 of its 20 entries .* index \(7,\)"):
        module.merge()


def test_merging_refuses_a_module_whose_layers_carry_adapters_of_their_own() -> None:
    module = IA3Attention(12, 3)
    attach(module, output="W_o")
    with pytest.raises(ValueError, match=r"\['W_o'\] carry attached adapters"):
        module.merge()


# what trains


@pytest.mark.parametrize(("kind", "sizes"), modules())
def test_training_moves_the_vectors_only(kind: type, sizes: dict) -> None:
    module = far(kind(**sizes))
    before, given = copy.deepcopy(module.state_dict()), inputs(**sizes)
    count = module.freeze_base()
    assert count.trainable == sum(map(len, module.ia3_parameters().values()))
    optimizer = torch.optim.AdamW(module.parameters(), lr=0.1, weight_decay=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        module(**given).pow(2).mean().backward()
        optimizer.step()
    for name, tensor in module.state_dict().items():
        moved = not torch.equal(before[name], tensor)
        assert moved == (name in module.ia3_parameters()), name


def test_freezing_goes_by_identity_so_a_name_like_a_vector_is_frozen() -> None:
    module = IA3Attention(12, 3)
    module.extra_l_k = nn.Parameter(torch.ones(3))
    module.freeze_base()
    assert [name for name, p in module.named_parameters() if p.requires_grad] == ["l_k", "l_v"]


def test_the_block_of_512_trains_3072_of_3150848() -> None:
    count = IA3TransformerBlock(512, 8, 2048).freeze_base()
    assert (count.trainable, count.total) == (3072, 3_150_848)
    assert str(count) == "3,072 trainable of 3,150,848 (0.0975%)"


@given(
    d_model=st.integers(1, 9),
    num_kv_heads=st.integers(1, 3),
    groups=st.integers(1, 3),
    d_head=st.integers(1, 4),
    d_ff=st.integers(1, 9),
    gated=st.booleans(),
    cross=st.booleans(),
)
@settings(max_examples=30)
def test_a_block_trains_2_d_kv_for_each_attention_and_d_ff(
    d_model: int, num_kv_heads: int, groups: int, d_head: int, d_ff: int, gated: bool, cross: bool
) -> None:
    sizes = {"num_kv_heads": num_kv_heads, "d_head": d_head, "gated": gated, "cross_attention": cross}
    block = IA3TransformerBlock(d_model, num_kv_heads * groups, d_ff, **sizes)
    assert block.freeze_base().trainable == (1 + cross) * 2 * num_kv_heads * d_head + d_ff
    assert block.merge().arguments() == block.arguments()
    for name, vector in block.ia3_parameters().items():
        assert vector.shape == ((d_ff,) if name == "feed_forward.l_ff" else (num_kv_heads * d_head,)), name


@pytest.mark.parametrize("start", [0.0, 1.0])
def test_the_gradient_of_l_is_the_sum_of_g_times_h_and_does_not_vanish_at_zero(start: float) -> None:
    module, x = far(IA3FeedForward(5, 9, bias=True)), normal(2, 3, 5)
    module.l_ff.data.fill_(start)
    h = FeedForward.hidden(module, x).detach()  # before the vector
    scaled = (module.l_ff * h).detach().requires_grad_()
    (g,) = torch.autograd.grad(module.W_2(scaled).sin().sum(), scaled)
    (gradient,) = torch.autograd.grad(module(x).sin().sum(), module.l_ff)
    assert_close(gradient, (g * h).sum((0, 1)))
    assert gradient.abs().min() > 1e-3
    (through,) = torch.autograd.grad(module(y := x.clone().requires_grad_()).sin().sum(), y)
    assert (through.abs().max() == 0) == (start == 0.0), "what vanishes at l = 0 is the gradient through the unit"


def test_gradients_equal_finite_differences() -> None:
    module, x = far(IA3TransformerBlock(6, 2, 7, num_kv_heads=1, gated=True)), normal(1, 3, 6)
    names = list(module.ia3_parameters())

    def loss(*vectors: Tensor) -> Tensor:
        return torch.func.functional_call(module, dict(zip(names, vectors, strict=True)), (x,))

    vectors = tuple(vector.detach().clone().requires_grad_() for vector in module.ia3_parameters().values())
    assert torch.autograd.gradcheck(loss, vectors)


# masks, dtypes, copies


def test_a_fully_masked_query_gives_zeros_and_finite_gradients_of_the_vectors() -> None:
    module, x = far(IA3Attention(12, 6, num_kv_heads=2)), normal(2, 3, 12)
    mask = torch.ones(2, 1, 3, 3, dtype=torch.bool)
    mask[1, :, 2] = False
    out = module(x, mask=mask)
    assert torch.equal(out[1, 2], torch.zeros(12, dtype=torch.float64))
    for gradient in torch.autograd.grad(out.pow(2).sum(), list(module.ia3_parameters().values())):
        assert torch.isfinite(gradient).all()
        assert (gradient != 0).any()


def test_half_precision_keeps_the_vectors_in_float32_and_the_result_in_the_bases_dtype() -> None:
    block = IA3TransformerBlock(12, 3, 20, bias=True).bfloat16()
    assert {vector.dtype for vector in block.ia3_parameters().values()} == {torch.float32}
    assert {p.dtype for p in block.merge().parameters()} == {torch.bfloat16}
    out = block(torch.ones(2, 5, 12, dtype=torch.bfloat16))
    assert out.dtype == torch.bfloat16
    out.float().sum().backward()
    assert block.attention.l_v.grad.dtype == torch.float32
    assert block.double().attention.l_v.dtype == torch.float64


def test_state_dict_and_deepcopy_keep_the_vectors() -> None:
    module = far(IA3TransformerBlock(**BLOCKS[2]))
    given = inputs(**BLOCKS[2])
    twin = IA3TransformerBlock(**BLOCKS[2]).double()
    twin.load_state_dict(module.state_dict())
    clone = copy.deepcopy(module)
    assert torch.equal(twin(**given), module(**given))
    assert torch.equal(clone(**given), module(**given))
    clone.attention.l_k.data.fill_(0.0)
    assert not torch.equal(clone(**given), module(**given))
    assert clone.freeze_base() == module.freeze_base()


def test_the_modules_are_the_plain_ones_with_vectors() -> None:
    for kind, plain in (
        (IA3Attention, MultiHeadAttention),
        (IA3FeedForward, FeedForward),
        (IA3TransformerBlock, TransformerBlock),
    ):
        assert issubclass(kind, plain)
        assert kind.plain_class is plain


def test_from_base_refuses_a_base_whose_layers_carry_adapters_and_a_class() -> None:
    base = TransformerBlock(12, 3, 20)
    scaled_linear.attach(base, output="attention.W_k")
    with pytest.raises(ValueError, match=r"\['attention\.W_k'\] carry attached adapters; merge or detach"):
        IA3TransformerBlock.from_base(base)
    with pytest.raises(TypeError, match="got the class TransformerBlock; build one"):
        IA3TransformerBlock.from_base(TransformerBlock)


def test_a_pickled_block_comes_back_with_its_vectors() -> None:
    block = IA3TransformerBlock(12, 3, 20)
    torch.nn.init.normal_(block.attention.l_v)
    x = torch.randn(2, 5, 12)
    assert torch.equal(pickle.loads(pickle.dumps(block))(x), block(x))
