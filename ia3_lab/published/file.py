"""The published file: where it is, how it is fetched, how it is read."""

from __future__ import annotations

import hashlib
import io
import os
import re
import tempfile
import threading
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np

from ia3_lab.config import check_number

#: Where the file comes from and what it is. Opened in that repository: LICENSE, README.md,
#: configs/ia3.json, configs/pretrain.json, src/models/lora.py and bin/pretrain_3b.sh.
SOURCE: dict[str, Any] = {
    "repository": "https://github.com/r-three/t-few",
    "commit": "114deced63ae722a368e06cb08ea956b20c393a6",
    "path": "pretrained_checkpoints/t03b_ia3_finish.pt",
    "sha256": "431451f16e8fc849a772952c9183d5dc63909282444192a70584d661cecb5374",
    "bytes": 2_225_409,
    "license": "MIT, Copyright (c) 2022 r-three",
    "credit": "Haokun Liu, Derek Tam, Mohammed Muqeeth, Jay Mohta, Tenghao Huang, Mohit Bansal, Colin Raffel",
    "what": "(IA)3 vectors of T0-3B after 100,000 steps on T0's multitask mixture; not the result of one task",
}
#: GitHub serves the file under this address whether it is stored in the repository or beside it.
URL = "{repository}/raw/{commit}/{path}".format(**SOURCE)
#: More than the file holds; a longer answer is not the file.
_LARGEST_DOWNLOAD = 10_000_000


def download_t03b(
    folder: str | os.PathLike[str] | None = None,
    *,
    url: str = URL,
    sha256: str = SOURCE["sha256"],
    timeout: float = 60.0,
) -> Path:
    """Fetch the published file, 2.2 MB, unless it is there already; its digest is checked either way.

    Parameters
    ----------
    folder : path, optional
        Where to keep it, ``~`` being your home; ``~/.cache/ia3_lab`` when None.
    url, sha256 : str
        Address and digest; the pinned ones when left out.
    timeout : float
        Seconds for everything together.

    Returns
    -------
    Path
        The file, for `read_t03b`.

    Raises
    ------
    ConnectionError
        If the address does not answer in time.
    TypeError, ValueError
        If what came is not the published file, and nothing is kept then; or if an argument makes no sense.
    OSError
        If the file cannot be written.
    """
    if folder == "":
        raise ValueError("folder must name a folder, got ''; pass '.' for this one, None for ~/.cache/ia3_lab")
    sha256 = _digest(sha256)
    check_number(timeout, "timeout", least=0)
    target = Path("~/.cache/ia3_lab" if folder is None else folder).expanduser() / Path(SOURCE["path"]).name
    if target.is_file() and hashlib.sha256(target.read_bytes()).hexdigest() == sha256:
        return target
    data = _fetch(url, timeout)
    _check_digest(data, sha256, url)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:  # so that no half file is ever seen
        file = Path(folder) / target.name
        file.write_bytes(data)
        os.replace(file, target)
    return target


def _fetch(url: str, timeout: float) -> bytes:
    answer: dict[str, Any] = {}

    def ask() -> None:
        try:
            with urllib.request.urlopen(url, timeout=timeout) as response:
                answer["data"] = response.read(_LARGEST_DOWNLOAD)
        except Exception as error:  # told to the caller below
            answer["error"] = str(error)
            if isinstance(error, urllib.error.HTTPError):
                error.close()

    asking = threading.Thread(target=ask, daemon=True)  # looking up a name has no timeout of its own
    asking.start()
    asking.join(timeout)
    if "data" not in answer:
        reason = answer.get("error", f"no answer within {timeout} s")
        raise ConnectionError(
            f"could not fetch {url}: {reason}; try again with a network, or download the file in a browser "
            "and pass its path to read_t03b"
        )
    return answer["data"]


def _digest(sha256: str) -> str:
    """Return the digest in lower case, or say that it is none."""
    if not isinstance(sha256, str) or not re.fullmatch("[0-9a-fA-F]{64}", sha256):
        raise ValueError(f"sha256 must be 64 hexadecimal digits, got {sha256!r}; leave it out for the published file's")
    return sha256.lower()


def _check_digest(data: bytes, sha256: str, name: str) -> None:
    digest = hashlib.sha256(data).hexdigest()
    if digest != sha256:
        raise ValueError(
            f"{name} is not the published file: its {len(data):,} bytes have sha256 {digest[:12]}..., "
            f"expected {sha256[:12]}...; delete it and fetch it again with download_t03b"
        )


def read_t03b(path: str | os.PathLike[str], *, sha256: str = SOURCE["sha256"]) -> dict[str, np.ndarray]:
    """Read the published file after checking its digest.

    Parameters
    ----------
    path : path
        The file, as `download_t03b` returned it.
    sha256 : str
        The digest that the file must have.

    Returns
    -------
    dict from str to ndarray, each of shape (d,)
        In the order of the file, float32.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no such file, it is another one, or, with a digest of your own, it does not hold named vectors.
        Nothing in a file is ever run.
    """
    import torch

    sha256 = _digest(sha256)
    file = Path(path)
    if not file.is_file():
        raise FileNotFoundError(f"there is no file {file}; fetch it with download_t03b")
    data = file.read_bytes()
    _check_digest(data, sha256, file.name)
    try:
        state = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
        vectors = {name: tensor.detach().float().numpy() for name, tensor in state.items()}
    except Exception as error:  # torch raises errors of many kinds
        reason = type(error).__name__  # torch's own words recommend to load the file unsafely
        raise ValueError(f"{file.name} does not hold named tensors ({reason}); fetch the file anew") from None
    if odd := [f"{name} {vector.shape}" for name, vector in vectors.items() if vector.size not in vector.shape[:1]]:
        raise ValueError(f"{file.name} must hold vectors of shape (d,) or (d, 1), not {odd[0]}; fetch the file anew")
    return {name: vector.reshape(-1) for name, vector in vectors.items()}
