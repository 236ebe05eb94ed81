"""How the book reads an adapter of PEFT: by place, by coverage, in numbers. Chapter 6 prints it, and reads mistakes."""

import copy

import peft
import pytest
import torch
import transformers

from ia3_lab.peft_bridge import describe_adapter

# PEFT 0.21 reads an attribute that transformers 5 is renaming.
pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")

SMALL = {"vocab_size": 64, "hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 64}
T5, RWKV = {"num_layers": 2, "num_decoder_layers": 2}, {"num_hidden_layers": 2}
GROUPED = SMALL | {"num_key_value_heads": 2}
UNKNOWN = "; ".join(f"no {vector} by a known name" for vector in ("l_k", "l_v", "l_ff"))
UNKNOWN += "; unknown: the output of in_proj; unknown: the output of out_proj"
TINY = {"vocab_size": 30, "dim": 12, "hidden_dim": 40, "n_layers": 3, "n_heads": 3}


def wrapped(model, targets=None, feedforward=None, **more):
    config = peft.IA3Config(target_modules=targets, feedforward_modules=feedforward, **more)
    return peft.get_peft_model(model, config)


def distilbert():
    torch.manual_seed(0)
    return transformers.DistilBertForSequenceClassification(transformers.DistilBertConfig(**TINY, num_labels=5))


def on_meta(kind, **sizes):
    with torch.device("meta"):
        return transformers.AutoModel.from_config(transformers.AutoConfig.for_model(kind, **sizes))


def test_the_three_parts_of_each_adapter_add_up_to_what_peft_counts_and_reading_changes_nothing():
    model = wrapped(distilbert(), ["k_lin", "lin2"], ["lin2"], task_type="SEQ_CLS")
    alone, (trained, everything) = describe_adapter(model), model.get_nb_trainable_parameters()
    assert alone.ia3 == 3 * (12 + 40) == trained - alone.head
    assert alone.base == everything - trained == sum(p.numel() for p in distilbert().parameters())
    model.add_adapter("second", peft.IA3Config(task_type="SEQ_CLS", target_modules=["v_lin"], feedforward_modules=[]))
    before = copy.deepcopy(model.state_dict())
    second = describe_adapter(model, "second")
    assert describe_adapter(model) == alone
    assert (second.rows[0].vector, second.head, second.base) == ("l_v", alone.head, alone.base)
    with pytest.raises(ValueError, match=r"no layer of this DistilBert\w+ has an IA3 vector named 'third'"):
        describe_adapter(model, "third")
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert describe_adapter(wrapped(distilbert(), ["v_lin"], [])).head == 0  # without a task type


@pytest.mark.parametrize(
    ("kind", "sizes", "targets", "feedforward", "expected"),
    [
        ("distilbert", TINY, ["k_lin", "v_lin", "lin2"], [], "no l_ff; also the output of W_2"),
        # names that are rare, or say something else elsewhere
        ("albert", SMALL, ["key", "value", "ffn_output"], ["ffn_output"], "as in the paper"),
        ("mpt", {"n_layers": 2}, ["Wqkv", "up_proj"], [], "no l_ff; scales Q too; also the output of W_1"),
        ("rwkv", RWKV, ["key", "value"], [], "no l_ff; also the output of W_1; also the output of W_2"),
        # vectors in some of the places; experts are parameters and not modules
        ("llama", SMALL, r".*[01]\..*k_proj|.*(v|down)_proj", ".*down_proj", "l_k at 2 of 3 places"),
        ("t5", T5, r"encoder.*\.[kv]|.*\.wo", r".*\.wo", "l_k at 2 of 6 places; l_v at 2 of 6 places"),
        ("mixtral", GROUPED, ["k_proj", "v_proj"], [], "no l_ff"),
        ("qwen2_moe", GROUPED, ["k_proj", "v_proj", "down_proj"], ["down_proj"], "l_ff at 3 of 6 places"),
        ("mamba", SMALL, ["in_proj", "out_proj"], [], UNKNOWN),
    ],
)
def test_places_are_held_against_the_paper_s(kind, sizes, targets, feedforward, expected):
    assert describe_adapter(wrapped(on_meta(kind, **sizes), targets, feedforward)).verdict == expected
