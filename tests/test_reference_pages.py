"""The pages that no cell guards: cheat sheet, glossary and corrections say what comes out when it is tried."""

import math
import re
from pathlib import Path

import peft
import pytest
import torch
import torch.nn.functional as F
import transformers
from random_tensors import gains, gap, normal

from ia3_lab import counting, geometry
from ia3_lab.config import get_preset
from ia3_lab.peft_bridge import describe_adapter
from ia3_lab.study.results import read_runs

BOOK = Path(__file__).resolve().parent.parent / "book"
GLOSSARY = " ".join((BOOK / "glossary.md").read_text("utf8").split())
ROW = re.compile(r"\| ([a-z0-9, ]+) \| ((?:`[\w.]+`(?:, )?)+) \| `([\w.]+)` \| (.*) \|")
LISTS = [
    (kind, re.findall(r"[\w.]+", targets), [inputs], re.findall(r'exclude_modules=\["(.+?)"', mind))
    for kinds, targets, inputs, mind in ROW.findall((BOOK / "cheat-sheet.md").read_text("utf8"))
    for kind in kinds.split(", ")
]
# PEFT 0.21 reads an attribute that transformers 5 is renaming, and says what it sets for GPT-2.
pytestmark = pytest.mark.filterwarnings("ignore:(`is_gradient_checkpointing`|fan_in_fan_out) is")


def verdict(kind: str, targets: list[str], inputs: list[str], exclude: list[str]) -> str:
    with torch.device("meta"):
        model = transformers.AutoModel.from_config(transformers.AutoConfig.for_model(kind))
    config = peft.IA3Config(target_modules=targets, feedforward_modules=inputs, exclude_modules=exclude or None)
    return describe_adapter(peft.get_peft_model(model, config)).verdict


@pytest.mark.parametrize(("kind", "targets", "inputs", "exclude"), LISTS, ids=[row[0] for row in LISTS])
def test_the_cheat_sheet_s_lists_give_the_paper_s_places(kind, targets, inputs, exclude) -> None:
    assert verdict(kind, targets, inputs, exclude) == ("scales Q too" if kind == "gpt2" else "as in the paper")


def test_the_lists_are_read_and_without_a_name_the_places_are_others() -> None:
    assert len(LISTS) == 15
    kind, targets, _, _ = LISTS[0]
    assert verdict(kind, targets[:-1], [], []) == "no l_ff"


X, L = normal(3, 6), gains(6)
CLAIMS: dict[str, bool] = {  # those that no chapter and no other test shows
    "Above 1 its next number is 1.0078": round(1 + torch.finfo(torch.bfloat16).eps, 4) == 1.0078,
    "Scaling its input is not the same as scaling its output": gap(F.gelu(X * L), F.gelu(X) * L) > 0.1,
    "one that narrows loses some whatever its rank": torch.linalg.matrix_rank(normal(5, 3)) == 3,
    "A constant added to all scores changes nothing": gap((X + 3).softmax(-1), X.softmax(-1)) < 1e-12,
    "A positive factor passes through it": gap(F.relu(X * L.abs()), F.relu(X) * L.abs()) < 1e-12,
}


@pytest.mark.parametrize("claim", CLAIMS)
def test_the_glossary_s_claims_hold(claim: str) -> None:
    assert claim in GLOSSARY and CLAIMS[claim]


def numbers_of_the_corrections() -> list[tuple[str, list[float]]]:
    """What the page says, with a gap for each number, and the numbers."""
    llama, count = get_preset("llama-7b"), counting.count_ia3
    ia3, lora = count(llama).total, {r: counting.count_lora(llama, r).total for r in (1, 8, 16, 64)}
    with torch.device("meta"):
        model = transformers.DistilBertForSequenceClassification(transformers.DistilBertConfig())
    lists = {"target_modules": ["k_lin", "v_lin", "lin1"], "feedforward_modules": ["lin1"]}
    trained = describe_adapter(peft.get_peft_model(model, peft.IA3Config(task_type="SEQ_CLS", **lists)))
    cos, sin = math.cos(math.pi / 6), math.sin(math.pi / 6)
    return [
        ("{:.2f} at rank 1, {:.1f} at rank 8 and {:.1f} at rank 16", [lora[r] / ia3 for r in (1, 8, 16)]),
        ("from {:,} to {:,} on the matrices", [lora[1], lora[64]]),
        ("LLaMA-30B takes {:,} and LLaMA-65B {:,}", [count(get_preset(f"llama-{n}b")).total for n in (30, 65)]),
        ("trains {:,} parameters", [counting.count_lora(llama, 1, ["W_q", "W_v"]).total]),
        ("IA³ trains {:,}", [ia3]),
        ("In LLaMA-7B it is {:.2f} times", [llama.d_ff / llama.d_model]),
        ("saves {:.0f} MB of gradients", [12 * (lora[8] - ia3) / 1e6]),
        ("{:.1f} GB of frozen weights", [2 * llama.base_parameters / 1e9]),
        ("{:g}*dr* for LLaMA-7B", [counting.count_lora(llama, 1).per_layer / llama.d_model]),
        ("(1, 1) turns by {:.1f}°", [geometry.turn_angle([1, 1], [[1.8, 0], [0, 0.5]])]),
        ("misses {:.2f} of a turn by 30°", [geometry.best_low_rank_update([[cos, sin], [-sin, cos]]).missed_change]),
        ("The {:,} trainable", [trained.ia3 + trained.head]),
        ("{:,} of them are the new classification head, and {:,} are IA³'s", [trained.head, trained.ia3]),
    ]


def test_the_numbers_on_the_page_of_corrections_come_out() -> None:
    page = " ".join((BOOK / "corrections.md").read_text("utf8").split())
    for claim, numbers in numbers_of_the_corrections():
        assert claim.format(*numbers) in page
        assert claim.format(*(2 * number for number in numbers)) not in page
    runs = read_runs().query("stage == 'search' and lr > 0")
    best = runs.groupby(["method", "lr", "head_lr", "steps"]).accuracy.mean().groupby(["method", "lr"]).max().unstack(0)
    lost = best.max() - [best[method].dropna().iloc[-1] for method in best]
    assert len(lost) == 8 and lost.min() > 0.1 and best.idxmax().idxmax() == "ia3"
