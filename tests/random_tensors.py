"""Tensors that hide no mistake: seeded, in float64, and vectors that are signed, distinct and far from ones."""

import torch
from torch import Tensor, nn

from ia3_lab.attach import adapter_parameters


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def gains(size: int, seed: int = 0) -> Tensor:
    """Return signed, distinct numbers, all at least 0.4 away from one."""
    order = torch.randperm(size, generator=torch.Generator().manual_seed(seed))
    signs = torch.tensor([1.0, -1.0], dtype=torch.float64).repeat(size)[:size]
    return (torch.linspace(1.4, 3.0, size, dtype=torch.float64) * signs)[order]


def randomized(module: nn.Module, size: float = 0.5) -> nn.Module:
    """Return the module in float64, evaluating, with every parameter drawn anew, those of the norms too."""
    for index, parameter in enumerate(module.double().eval().parameters()):
        parameter.data = size * normal(*parameter.shape, seed=index)
    return module


def moved(model: nn.Module, seed: int = 0) -> nn.Module:
    """Return a model, or an adapter, with what was added to it far from its start."""
    for index, parameter in enumerate(adapter_parameters(model).values()):
        parameter.data = gains(parameter.numel(), seed + index).view_as(parameter).to(parameter)
    return model


def gap(one: Tensor, other: Tensor) -> float:
    """Return the largest difference of two entries."""
    return (one - other).abs().max().item()
