"""Make the network of the volume knobs and the runs that its page reports.

    python scripts/pretrain_pictures.py network     # ia3_lab/data/pictures.json: the weights; the same ones each time
    python scripts/pretrain_pictures.py runs        # in four minutes: its rates, study/data/volume-knobs.tsv

Seeds. The network is the one of seed 3: of seeds 0 to 4 the one whose pictures are easiest to name (the names, and what
solves a task by hand, were written after a look at them). Learning rates: networks 10 and 11, dots 901. What the page
says was settled before; it is confirmed on networks 100 to 104 and dots 101 to 103, which were looked at once.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from ia3_lab.pictures import LEARNED, TASKS, draw_dots, make_grid, mulberry32, pretrain, read_network
from ia3_lab.study.results import VOLUME_KNOBS

NETWORK = Path(__file__).resolve().parent.parent / "ia3_lab" / "data" / "pictures.json"
SHIPPED, TUNING, FRESH = 3, (10, 11), range(100, 105)
METHODS, RATES, STEPS = ("ia3", "both", "lora", "full"), (0.01, 0.03, 0.1, 0.3), 600
#: Another pre-training
LINES = ("right half", "top half", "band")
NAMES = (
    *("the left half", "the bottom half", "all but a disc", "blue nearly everywhere", "all but the right edge"),
    *("the left, bent inward", "all but a large disc", "the corner top right", "the corner bottom left"),
    *("all but the corner bottom right", "all but the corner top left", "all but a band"),
)
#: task -> picture -> volume, all others silent
HANDS = {
    "corner": {"8": 1},
    "disc": {"3": -2, "7": -1},
    "small disc": {"3": -2, "7": 1},
    "check": {"1": 1, "8": 1, "11": 1},
    "band": {"12": -1},
    "half disc": {"1": -1, "4": 2, "7": -2},
}
#: The widget's rows of tasks
GROUPS = (
    ("Trained on these", LEARNED[:4]),
    ("New, of the same parts", LEARNED[4:7]),
    ("New, a part missing", LEARNED[7:]),
)
Tensors = dict[str, torch.Tensor]


def make_network() -> None:
    """Write the network, in numbers of three decimals, beside the rates that are there."""
    weights = {name: np.round(value, 3).tolist() for name, value in pretrain(SHIPPED).items()}
    rates = json.loads(NETWORK.read_text("utf8"))["rates"] if NETWORK.exists() else {}
    write_network({"seed": SHIPPED, "rates": rates, "names": NAMES, "hands": HANDS, "tasks": GROUPS} | weights)


def write_network(content: dict) -> None:
    """Write one entry a line."""
    lines = [f"{json.dumps(name)}: {json.dumps(value)}" for name, value in content.items()]
    NETWORK.write_text("{\n" + ",\n".join(lines) + "\n}\n", "utf8")


# --- training many networks at once: every tensor has the runs in front ------------------------------------------


def stacked(networks: Sequence[dict]) -> Tensors:
    """Return networks as one, with an output bias, which the whole network may train."""
    shapes = {"U": (2, 16), "b_U": (1, 16), "V": (16, 12), "b_V": (1, 12), "w": (12, 1)}
    net = {name: torch.tensor(np.stack([one[name] for one in networks])).float() for name in shapes}
    net = {name: value.reshape(-1, *shapes[name]) for name, value in net.items()}
    return net | {"b_w": torch.zeros(len(networks), 1, 1)}


def start(method: str, net: Tensors, seeds: Sequence[int]) -> Tensors:
    """Return what a method trains, as it starts: LoRA's A, drawn as in the browser, and B = 0."""
    if method == "full":
        return {name: value.clone() for name, value in net.items()}
    if method != "lora":
        return {name: torch.ones(len(seeds), 1, n) for name, n in [("l_1", 16), ("l_2", 12)][method == "ia3" :]}
    drawn = [normal(seed, 30) for seed in seeds]
    a = {name: torch.tensor([one[i:j] for one in drawn])[..., None] / math.sqrt(j - i) for name, i, j in PAIRS}
    return {f"A_{name}": value for name, value in a.items()} | {
        f"B_{name}": torch.zeros(len(seeds), 1, net[name].shape[2]) for name in a
    }


#: LoRA's matrices, and which of its random numbers make A
PAIRS = (("U", 0, 2), ("V", 2, 18), ("w", 18, 30))


def normal(seed: int, n: int) -> list[float]:
    """Return n normal numbers, from two uniform ones each."""
    uniform = mulberry32(7919 * seed + 13)
    pairs = [(next(uniform), next(uniform)) for _ in range(n)]
    return [math.sqrt(-2 * math.log(1 - a)) * math.cos(2 * math.pi * b) for a, b in pairs]


def output(net: Tensors, p: Tensors, x: torch.Tensor) -> torch.Tensor:
    """Return z, shape (runs, n), at points x, shape (runs, n, 2) or (n, 2)."""
    net = net | {name: p[name] for name in net if name in p}
    net |= {name: net[name] + p[f"A_{name}"] @ p[f"B_{name}"] for name, *_ in PAIRS if f"A_{name}" in p}
    h_1 = torch.tanh(x @ net["U"] + net["b_U"]) * p.get("l_1", 1.0)
    h_2 = torch.tanh(h_1 @ net["V"] + net["b_V"]) * p.get("l_2", 1.0)
    return (h_2 @ net["w"] + net["b_w"])[..., 0]


def train(method: str, net: Tensors, x: torch.Tensor, y: torch.Tensor, seeds: Sequence[int], lr: float) -> Tensors:
    """Train each run by Adam on its own dots, x (runs, n, 2) and y (runs, n)."""
    p = {name: value.requires_grad_() for name, value in start(method, net, seeds).items()}
    adam = torch.optim.Adam(p.values(), lr=lr)
    for _ in range(STEPS):
        loss = torch.nn.functional.binary_cross_entropy_with_logits(output(net, p, x), y, reduction="none")
        adam.zero_grad()
        loss.mean(dim=1).sum().backward()
        adam.step()
    return {name: value.detach() for name, value in p.items()}


def run(networks: dict[str, dict], seeds: Sequence[int], n: int, method: str, lr: float) -> pd.DataFrame:
    """Train a method on every network, task and draw of n dots (n = 0: the whole square); return the shares right."""
    rows = list(itertools.product(networks, LEARNED, seeds if n else [0]))
    grid = make_grid(40)
    truth = {task: TASKS[task](*grid.T) for task in LEARNED}
    dots = {key: draw_dots(key[0], n, key[1]) if n else (grid, truth[key[0]]) for key in {row[1:] for row in rows}}
    x, y = (torch.tensor(np.stack([dots[row[1:]][i] for row in rows])).float() for i in (0, 1))
    net = stacked([networks[name] for name, *_ in rows])
    p = train(method, net, x, y, [seed for *_, seed in rows], lr)
    with torch.no_grad():
        z = output(net, p, torch.tensor(grid).float()).numpy()
    right = [np.mean((z[i] > 0) == truth[task]) for i, (_, task, _) in enumerate(rows)]
    table = pd.DataFrame(rows, columns=["network", "task", "draw"])
    print(method, n, lr, f"{np.mean(right):.3f}", flush=True)
    return table.assign(dots=n, method=method, right=right)


def tune() -> dict[str, float]:
    """Return the learning rate of each method that is best over tasks and numbers of dots on the tuning networks."""
    networks = {str(seed): pretrain(seed) for seed in TUNING}
    mean = {
        method: {lr: np.mean([run(networks, (901,), n, method, lr).right for n in (20, 50, 200)]) for lr in RATES}
        for method in METHODS
    }
    return {method: max(means, key=means.get) for method, means in mean.items()}


def make_runs() -> None:
    """Tune, then make the runs: means over three draws for each fresh network, single draws for the shipped one."""
    rates = tune()
    write_network(json.loads(NETWORK.read_text("utf8")) | {"rates": rates})
    fresh = {str(seed): pretrain(seed) for seed in FRESH}
    tables = [run(fresh, range(101, 104), n, method, rates[method]) for n in (20, 50, 200) for method in METHODS]
    tables.append(run(fresh, (), 0, "ia3", rates["ia3"]))
    lines = {f"lines {seed}": pretrain(seed, LINES) for seed in FRESH[:3]}
    tables += [run(lines, range(101, 104), 50, method, rates[method]) for method in ("ia3", "full")]
    shipped = {"shipped": read_network()}
    tables += [run(shipped, range(201, 207), n, method, rates[method]) for n in (20, 50, 200) for method in METHODS]
    table = pd.concat([*tables, run(shipped, (), 0, "ia3", rates["ia3"])])
    table["draw"] = table.draw.astype(str).where(table.network == "shipped", "mean")
    means = table.groupby(["network", "task", "draw", "dots", "method"], sort=False).right.mean().round(4)
    means.reset_index().to_csv(VOLUME_KNOBS, sep="\t", index=False)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("what", choices=("network", "runs"))
    torch.set_num_threads(1)
    {"network": make_network, "runs": make_runs}[parser.parse_args().what]()
