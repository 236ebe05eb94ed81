"""Choose where to compute: CUDA where there is a GPU, else the CPU, or what IA3_LAB_DEVICE says."""

import os

import torch

VARIABLE = "IA3_LAB_DEVICE"
_KINDS = ("cpu", "cuda", "mps")


def get_device() -> torch.device:
    """Return the device named in the environment variable IA3_LAB_DEVICE, else CUDA if there is a GPU, else the CPU.

    Returns
    -------
    torch.device

    Raises
    ------
    ValueError
        If the variable names an unknown device, or one that this machine does not have.

    Examples
    --------
    >>> get_device().type in {"cpu", "cuda"}
    True
    """
    wish = os.environ.get(VARIABLE, "").strip().lower()
    if not wish:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(wish)
    except RuntimeError:
        device = None
    if device is None or device.type not in _KINDS:
        raise ValueError(
            f"{VARIABLE} must be 'cpu', 'cuda', 'cuda:<number>' or 'mps', got {wish!r}; unset it to choose for you"
        )
    if not _is_there(device):
        raise ValueError(
            f"{VARIABLE} asks for {wish!r}, but this machine offers {_offer()}; change the variable or unset it"
        )
    return device


def _is_there(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.is_available() and (device.index or 0) < torch.cuda.device_count()
    return device.type == "cpu" or torch.backends.mps.is_available()


def _offer() -> str:
    gpus = [f"'cuda:{index}'" for index in range(torch.cuda.device_count())] if torch.cuda.is_available() else []
    return ", ".join(["'cpu'", *gpus, *(["'mps'"] if torch.backends.mps.is_available() else [])])
