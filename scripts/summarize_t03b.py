"""Derive the summary of the published T0-3B vectors that the package carries.

    python scripts/summarize_t03b.py                         # fetches the authors' file (2.2 MB)
    python scripts/summarize_t03b.py t03b_ia3_finish.pt      # reads it

The file is read only if its sha256 is the published one. It is not part of this repository. The summary has one vector
on a line, so that a change of a number shows as a change of a line.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ia3_lab.study import t03b

#: Where the authors' file comes from and what it is, as the summary says.
SOURCE = t03b.read_summary().source
#: Levels of the quantiles.
LEVELS = (0.001, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 0.999)
#: How many of the entries farthest from 1 are kept of each vector.
NUM_MOVED = 24


def read_vectors(path: Path | None = None) -> dict[str, np.ndarray]:
    """Read the authors' file: every entry of every vector, shape (d,), by the name it has there.

    Without a path it is fetched (2.2 MB) and kept in torch's cache. Nothing in the file is ever run.
    """
    if path is None:
        path = Path(torch.hub.get_dir()) / Path(SOURCE["path"]).name
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            url = "{repository}/raw/{commit}/{path}".format(**SOURCE)
            torch.hub.download_url_to_file(url, str(path), hash_prefix=SOURCE["sha256"], progress=False)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    if digest != SOURCE["sha256"]:
        raise ValueError(f"{path} is not the published file: its sha256 is {digest}, expected {SOURCE['sha256']}")
    state = torch.load(path, map_location="cpu", weights_only=True)
    return {name: tensor.float().reshape(-1).numpy() for name, tensor in state.items()}


def summarize(vectors: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Reduce named vectors, shape (d,) each, to what the summary keeps: plain numbers, rounded, in the order given."""
    rows = [{"name": name, **row(vector.astype(float), "Attention" in name)} for name, vector in vectors.items()]
    low, high = t03b.EDGES[[0, -1]].tolist()
    return {
        "format": 1,
        "source": SOURCE,
        "bins": {"low": low, "high": high, "count": len(t03b.EDGES) - 1},
        "levels": LEVELS,
        "num_heads": t03b.NUM_HEADS,
        "overall": statistics(np.concatenate(list(vectors.values())).astype(float)),
        "columns": list(rows[0]),
        "rows": [list(one.values()) for one in rows],
    }


def row(vector: np.ndarray, has_heads: bool) -> dict[str, Any]:
    """Return what is kept of one vector, shape (d,)."""
    order = np.argsort(-np.abs(vector - 1), kind="stable")[:NUM_MOVED]
    heads = head_structure(vector.reshape(t03b.NUM_HEADS, -1)) if has_heads else (None, None)
    return {
        **statistics(vector),
        "autocorrelation": rounded(neighbor_correlation(vector[None] - vector.mean()), 4),
        **dict(zip(("head_share", "head_autocorrelation"), heads, strict=True)),
        "moved_units": order.tolist(),
        "moved_values": rounded(vector[order], 4),
    }


def statistics(values: np.ndarray) -> dict[str, Any]:
    """Return the statistics of entries, shape (n,), whatever vectors they come from."""
    away, (low, high) = np.abs(values - 1), t03b.EDGES[[0, -1]]
    count = len(t03b.EDGES) - 1
    place = np.clip(np.floor((values - low) / (high - low) * count), -1, count).astype(int)
    below, *histogram, above = np.bincount(place + 1, minlength=count + 2).tolist()
    return {
        "size": values.size,
        "mean": rounded(values.mean(), 5),
        "rms": rounded(np.sqrt(np.mean(away**2)), 5),
        "minimum": rounded(values.min(), 5),
        "maximum": rounded(values.max(), 5),
        "quantiles": rounded(np.quantile(values, LEVELS), 4),
        "histogram": histogram,
        "below": below,
        "above": above,
        "near_one": int(((values >= 0.8) & (values <= 1.2)).sum()),
        "above_one": int((values > 1).sum()),
        "outside_half": int((away > 0.5).sum()),
        "near_zero": int((np.abs(values) < 0.1).sum()),
        "negatives": int((values < 0).sum()),
    }


def head_structure(heads: np.ndarray) -> tuple[float, float]:
    """Return the share of the variance of entries, shape (num_heads, d_head), between heads, and lag 1 within them."""
    means = heads.mean(axis=1, keepdims=True)
    total = ((heads - heads.mean()) ** 2).sum()
    between = heads.shape[1] * ((means - heads.mean()) ** 2).sum() / total if total else 0.0
    return rounded(between, 4), rounded(neighbor_correlation(heads - means), 4)


def neighbor_correlation(rows: np.ndarray) -> float:
    """Return the lag-1 autocorrelation of centered rows, shape (rows, n): mean product over mean square."""
    square = (rows**2).mean()
    return (rows[:, 1:] * rows[:, :-1]).mean() / square if square else 0.0


def rounded(value: Any, digits: int) -> Any:
    return np.round(value, digits).tolist()


def to_text(summary: dict[str, Any]) -> str:
    """Write JSON with one vector on a line."""
    head = [f"{json.dumps(k)}: {json.dumps(v, separators=(',', ':'))}," for k, v in summary.items() if k != "rows"]
    rows = ",\n".join(json.dumps(row, separators=(",", ":")) for row in summary["rows"])
    return "{\n" + "\n".join(head) + f'\n"rows": [\n{rows}\n]}}\n'


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path", type=Path, nargs="?", help="the authors' file; fetched if left out")
    parser.add_argument("--output", type=Path, default=t03b.SUMMARY, help="where to write the summary")
    arguments = parser.parse_args()
    summary = summarize(read_vectors(arguments.path))
    arguments.output.write_text(to_text(summary), "utf8")
    print(f"{len(summary['rows'])} vectors, {summary['overall']['size']:,} numbers: {arguments.output}")


if __name__ == "__main__":
    main()
