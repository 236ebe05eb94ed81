"""The IA3 vectors that the method's authors published for T0-3B, as a table: 192 vectors, 540,672 numbers.

The package carries a summary, so that the book needs no network; ``scripts/summarize_t03b.py`` derives it from the
authors' file. Opened in their repository: LICENSE, README.md, configs/ia3.json, configs/pretrain.json,
src/models/lora.py and bin/pretrain_3b.sh.

>>> summary = read_summary()
>>> len(summary.vectors), summary.overall["entries"], summary.overall["negatives"]
(192, 540672, 12)
>>> int(pool(summary.vectors.query("part == 'cross'"))["entries"]) == 2 * 24 * 2048
True
"""

import json
from importlib import resources
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

SUMMARY = Path(str(resources.files("ia3_lab.study"))) / "data" / "t03b-ia3-summary.json"
NUM_HEADS = 32
#: Edges of the bins of every histogram, shape (82,): 0.025 apart, one bin centered on 1.
EDGES = np.linspace(-0.0125, 2.0125, 82)
#: Statistics that are counts of entries.
_COUNTS = ("below", "above", "near_one", "above_one", "outside_half", "near_zero", "negatives")


class Summary(NamedTuple):
    """What is known of the published vectors: their source, a row for all entries together, a row for each vector.

    Statistics of ``overall`` and of every row of ``vectors``: ``entries`` (how many), ``mean``, ``std``, ``rms`` =
    sqrt(mean((l - 1)^2)), ``minimum``, ``maximum``, ``quantiles``, ``histogram`` (counts between the `EDGES`, shape
    (81,)), and counts: ``below`` and ``above`` the bins, ``near_one`` in [0.8, 1.2], ``above_one``, ``outside_half`` of
    [0.5, 1.5], ``near_zero`` within 0.1 of it, ``negatives``.

    A vector has besides: ``part`` ("encoder", "decoder" or "cross", the decoder's attention to the encoder), ``kind``
    ("k", "v", "ff") and ``layer``; ``autocorrelation`` of neighbors; for k and v ``head_share``, the share of the
    variance that lies between heads, and ``head_autocorrelation``, of neighbors in a head less its mean; its entries
    farthest from 1, farthest first: ``moved_units`` and ``moved_values``, shape (24,) each.
    """

    source: dict[str, str | int]
    overall: pd.Series
    vectors: pd.DataFrame


def read_summary(path: Path = SUMMARY) -> Summary:
    """Read the summary of the published vectors, in the order of the authors' file.

    References
    ----------
    Liu et al. (2022), section 3.4: pre-training (IA)3 on the multitask mixture.
    """
    content = json.loads(path.read_text("utf8"))
    rows = [dict(zip(content["columns"], row, strict=True)) for row in content["rows"]]
    vectors = pd.DataFrame([_place(row["name"]) | _tidy(row) for row in rows])
    return Summary(content["source"], pd.Series(_tidy(content["overall"])), vectors)


def pool(vectors: pd.DataFrame) -> pd.Series:
    """Return the statistics of some rows of the table taken as one set of entries; quantiles cannot be pooled."""
    entries = vectors["entries"].sum()
    share = vectors["entries"] / entries
    statistics = {
        "size": entries,
        "mean": (share * vectors["mean"]).sum(),
        "rms": (share * vectors["rms"] ** 2).sum() ** 0.5,
        "minimum": vectors["minimum"].min(),
        "maximum": vectors["maximum"].max(),
        "histogram": vectors["histogram"].sum(),
    }
    return pd.Series(_tidy(statistics | vectors[list(_COUNTS)].sum().to_dict()))


def _place(name: str) -> dict[str, str | int]:
    """Return part, kind and layer of a vector, such as "decoder.block.7.layer.1.EncDecAttention.v.multi_lora_b"."""
    stack, _, layer, _, _, module, weight, _ = name.split(".")
    part = "cross" if module == "EncDecAttention" else stack
    return {"part": part, "kind": "ff" if module == "DenseReluDense" else weight, "layer": int(layer)}


def _tidy(statistics: dict) -> dict:
    """Call the size "entries", since a Series has a size of its own; add ``std``, and turn lists into arrays."""
    row = {name: np.array(value) if isinstance(value, list) else value for name, value in statistics.items()}
    return {"entries": row.pop("size"), **row, "std": max(row["rms"] ** 2 - (row["mean"] - 1) ** 2, 0.0) ** 0.5}
