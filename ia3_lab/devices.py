"""Choose where to compute: CUDA where there is a GPU, else the CPU, or what IA3_LAB_DEVICE says; and with how much."""

import os

import torch

VARIABLE = "IA3_LAB_DEVICE"
THREADS = "IA3_LAB_THREADS"
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
    return check_device(wish, VARIABLE, "unset it")


def check_device(wish: torch.device | str, name: str = "device", otherwise: str = "leave it out") -> torch.device:
    """Return a device that this machine has.

    Parameters
    ----------
    wish : torch.device or str
    name, otherwise : str
        For a message: what asks for the device, and what to do to ask for none.

    Raises
    ------
    ValueError
        If the device is unknown, or one that this machine does not have.

    Examples
    --------
    >>> check_device("cpu")
    device(type='cpu')
    """
    try:
        device = torch.device(wish)
    except (RuntimeError, TypeError):
        device = None
    if device is None or device.type not in _KINDS:
        raise ValueError(
            f"{name} must be 'cpu', 'cuda', 'cuda:<number>' or 'mps', got {wish!r}; {otherwise} to choose for you"
        )
    if not _is_there(device):
        raise ValueError(f"{name} asks for {str(wish)!r}, but this machine offers {_offer()}; change it or {otherwise}")
    return device


def use_threads(count: int = 1) -> int:
    """Let torch compute with so many CPU threads, or with as many as IA3_LAB_THREADS says, and return the number.

    With batches as small as the book's, a second core gains little when it is idle, and makes training many times
    slower when something else keeps it busy: the threads wait for each other.

    Raises
    ------
    ValueError
        If the number is not a whole number of at least 1.

    Examples
    --------
    >>> use_threads()
    1
    """
    wish = os.environ.get(THREADS, "").strip() or str(count)
    if not wish.isdecimal() or int(wish) < 1:
        raise ValueError(f"expected a number of threads of at least 1, got {wish!r}; change {THREADS} or unset it")
    torch.set_num_threads(int(wish))
    return int(wish)


def _is_there(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.is_available() and (device.index or 0) < torch.cuda.device_count()
    return device.type == "cpu" or torch.backends.mps.is_available()


def _offer() -> str:
    gpus = [f"'cuda:{index}'" for index in range(torch.cuda.device_count())] if torch.cuda.is_available() else []
    return ", ".join(["'cpu'", *gpus, *(["'mps'"] if torch.backends.mps.is_available() else [])])
