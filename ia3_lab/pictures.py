"""The network of the volume knobs: points of a square in, twelve pictures inside, and their sum decides.

``h_1 = tanh(x @ U + b_U)``, ``h_2 = tanh(h_1 @ V + b_V)``, ``z = (l * h_2) @ w``: 2 inputs, 16 units, 12 units that are
the pictures, one output; orange where z > 0. ``l`` holds the volumes, ones in the frozen network.
"""

# ruff: noqa: E741 - l is the paper's letter for a rescaling vector
import json
from collections.abc import Callable, Mapping, Sequence
from importlib import resources
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

_Array = NDArray[np.float64]
#: task -> the rule that says whether the point (x, y) of the square from -1 to 1 is orange, for arrays
TASKS: Mapping[str, Callable[[Any, Any], Any]] = MappingProxyType(
    {
        "disc": lambda x, y: x**2 + y**2 < 0.36,
        "ring": lambda x, y: (x**2 + y**2 > 0.16) & (x**2 + y**2 < 0.64),
        "check": lambda x, y: x * y > 0,
        "band": lambda x, y: abs(x) < 1 / 3,
        "corner": lambda x, y: (x > 0) & (y > 0),
        "half disc": lambda x, y: (x**2 + y**2 < 0.5625) & (x > 0),
        "small disc": lambda x, y: x**2 + y**2 < 0.2025,
        "bow tie": lambda x, y: abs(x) > abs(y),
        "fine stripes": lambda x, y: (3 * x + 0.5) % 2 < 1,
        "slanted stripes": lambda x, y: (1.5 * (x + y) + 0.5) % 2 < 1,
        "spiral": lambda x, y: np.cos(np.arctan2(y, x) + 5 * np.hypot(x, y)) > 0,
        "right half": lambda x, y: x > 0,
        "top half": lambda x, y: y > 0,
    }
)
#: What a reader can have learned: the tasks but those that a line divides.
LEARNED = (*TASKS,)[:11]
#: What the frozen network was trained on, one output for each.
TRAINED = ("right half", "top half", "disc", "ring", "check", "band")
#: The arrays of a network.
WEIGHTS = ("U", "b_U", "V", "b_V", "w")


def read_network() -> dict[str, Any]:
    """Return the book's network: U, (2, 16), b_U, V, (16, 12), b_V and w, (12,), as arrays, and what is said of it."""
    content = json.loads(resources.files("ia3_lab").joinpath("data", "pictures.json").read_text("utf8"))
    return content | {name: np.array(content[name]) for name in WEIGHTS}


def make_grid(size: int = 64) -> _Array:
    """Return the middles of a square's cells, shape (size * size, 2), row by row from the top left."""
    middles = (np.arange(size) + 0.5) / size * 2 - 1
    return np.stack([np.tile(middles, size), np.repeat(-middles, size)], axis=-1)


def draw_dots(task: str, n: int, seed: int) -> tuple[_Array, _Array]:
    """Return n random points of the square, (n, 2), and 1.0 where the task has orange, (n,): those of the browser.

    A draw in which less than 15 percent have either color is replaced by the one of seed + 1000.
    """
    random = mulberry32(31 * seed + n)
    x = np.array([next(random) * 2 - 1 for _ in range(2 * n)]).reshape(n, 2)
    y = TASKS[task](*x.T).astype(float)
    return (x, y) if 0.15 < y.mean() < 0.85 else draw_dots(task, n, seed + 1000)


def mulberry32(state: int) -> Any:
    """Yield numbers from 0 to 1: a generator of 32 bits that is the same in a line of JavaScript."""
    while True:
        state = (state + 0x6D2B79F5) & 0xFFFFFFFF
        t = (state ^ state >> 15) * (1 | state) & 0xFFFFFFFF
        t = (t + ((t ^ t >> 7) * (61 | t) & 0xFFFFFFFF) & 0xFFFFFFFF) ^ t
        yield (t ^ t >> 14) / 4294967296


def paint(network: Mapping[str, ArrayLike], x: ArrayLike, l: ArrayLike = 1.0) -> tuple[_Array, _Array]:
    """Return the pictures at points x of shape (n, 2), before their volumes, (n, 12), and the output z, (n,)."""
    h_1 = np.tanh(x @ network["U"] + network["b_U"])
    pictures = np.tanh(h_1 @ network["V"] + network["b_V"])
    return pictures, (l * pictures) @ network["w"]


def pretrain(seed: int, tasks: Sequence[str] = TRAINED, steps: int = 3000) -> dict[str, _Array]:
    """Train a network from random weights on some of the tasks at once, and return it as `read_network` does.

    The penalty on the outputs' weights makes each task use few pictures. Afterward the outputs are dropped, and each
    picture is turned so that all twelve together are even, neither orange nor blue: those that are most of one color
    come first, the first as blue, each next one against the sum of those before. They are sorted by the task that uses
    them most.
    """
    import torch

    generator = torch.Generator().manual_seed(seed)
    sizes = {"U": (2, 16, 1.5), "b_U": (1, 16, 0.7), "V": (16, 12, 0.375), "b_V": (1, 12, 0.1)}
    sizes["heads"] = (12, len(tasks), 0.29)
    rows = {"generator": generator, "dtype": torch.float64}
    net = {name: (scale * torch.randn(m, n, **rows)).requires_grad_() for name, (m, n, scale) in sizes.items()}
    net["b_heads"] = torch.zeros(len(tasks), dtype=torch.float64, requires_grad=True)
    adam = torch.optim.Adam(net.values(), lr=0.01)
    fall = torch.optim.lr_scheduler.CosineAnnealingLR(adam, steps)
    for _ in range(steps):
        x = 2 * torch.rand(256, 2, **rows) - 1
        y = torch.stack([TASKS[task](*x.T) for task in tasks], dim=-1).double()
        h_2 = torch.tanh(torch.tanh(x @ net["U"] + net["b_U"]) @ net["V"] + net["b_V"])
        z = h_2 @ net["heads"] + net["b_heads"]
        loss = len(tasks) * torch.nn.functional.binary_cross_entropy_with_logits(z, y)
        loss = loss + 0.01 * net["heads"].abs().sum() + 1e-4 * (net["U"].square().sum() + net["V"].square().sum())
        adam.zero_grad()
        loss.backward()
        adam.step()
        fall.step()
    weights = {name: value.detach().numpy() for name, value in net.items()}
    trunk = {"U": weights["U"], "b_U": weights["b_U"][0], "V": weights["V"], "b_V": weights["b_V"][0]}
    mean, sign, total = paint(trunk | {"w": np.ones(12)}, make_grid())[0].mean(axis=0), np.ones(12), 1e-9
    for j in np.argsort(-np.abs(mean)):
        sign[j] = -np.sign(mean[j] * total)
        total += sign[j] * mean[j]
    order = np.lexsort((np.abs(weights["heads"]).max(axis=1), np.abs(weights["heads"]).argmax(axis=1)))
    trunk |= {"V": (trunk["V"] * sign)[:, order], "b_V": (trunk["b_V"] * sign)[order]}
    return trunk | {"w": np.full(12, 1.5)}
