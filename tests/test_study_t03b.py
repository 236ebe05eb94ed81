"""The published T0-3B vectors: what is kept of them in closed forms, and the packaged summary."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from summarize_t03b import LEVELS, read_vectors, summarize, to_text

from ia3_lab.study import t03b

KEY = "encoder.block.3.layer.0.SelfAttention.k.multi_lora_b"
FF, CROSS = (f"decoder.block.7.layer.{part}.multi_lora_b" for part in ("2.DenseReluDense.wi_1", "1.EncDecAttention.v"))
BLOCKS = np.repeat([0.8, 1.2] * 16, 4)


def row(vector: Any, name: str = KEY) -> dict:
    """Return the line of the table for a single vector, by column."""
    summary = summarize({name: np.asarray(vector, dtype=float)})
    return dict(zip(summary["columns"], summary["rows"][0], strict=True))


def test_a_simple_vector_has_closed_forms() -> None:
    same, alternating, blocks = row(np.ones(64)), row([1.5, 0.5] * 32), row(BLOCKS)
    assert same["moved_units"] == list(range(24)) and same["moved_values"] == [1] * 24, "ties keep their order"
    assert same["histogram"][40] == 64 and t03b.EDGES[40:42].mean() == pytest.approx(1.0)
    assert (same["autocorrelation"], alternating["autocorrelation"]) == (0, -1)
    heads = [(one["head_share"], one["head_autocorrelation"]) for one in (same, alternating, blocks)]
    assert heads == [(0, 0), (0, -1), (1, 0)]
    assert row(np.random.default_rng(0).permutation(BLOCKS))["head_share"] < 0.5  # the control
    found = row([-1.0, -0.05, 0.05, 0.2, 0.8, 1.0, 1.2, 1.21, 1.51, 2.5, 1e20], FF)
    names = ("negatives", "near_zero", "near_one", "above_one", "outside_half", "below", "above")
    assert [found[name] for name in names] == [2, 2, 3, 5, 7, 2, 2] and sum(found["histogram"]) == 7
    assert found["head_share"] is found["head_autocorrelation"] is None
    assert found["moved_units"][:6] == [10, 0, 9, 1, 2, 3], "the farthest from one"


def test_rows_agree_with_numpy_and_pool_to_what_all_their_entries_give(tmp_path: Path) -> None:
    sizes, generator = {KEY: 64, FF: 96, CROSS: 96}, np.random.default_rng(0)
    vectors = {name: np.float32(1 + 0.2 * generator.standard_normal(size)) for name, size in sizes.items()}
    (tmp_path / "summary.json").write_text(to_text(summarize(vectors)))
    _, overall, table = t03b.read_summary(tmp_path / "summary.json")
    places = table[["part", "kind", "layer"]].to_numpy().tolist()
    assert places == [["encoder", "k", 3], ["decoder", "ff", 7], ["cross", "v", 7]]
    key, everything = vectors[KEY].astype(float), np.concatenate(list(vectors.values())).astype(float)
    of_key, of_all = (table.loc[0], t03b.pool(table[:1])), (overall, t03b.pool(table))
    for found, values in [(one, key) for one in of_key] + [(one, everything) for one in of_all]:
        assert (found["entries"], found["negatives"]) == (values.size, (values < 0).sum())
        measured = [values.mean(), values.std(), np.sqrt(((values - 1) ** 2).mean()), values.min(), values.max()]
        assert found[["mean", "std", "rms", "minimum", "maximum"]].tolist() == pytest.approx(measured, abs=1e-4)
        assert found["histogram"].tolist() == np.histogram(values, t03b.EDGES)[0].tolist()
    np.testing.assert_allclose(table.loc[0, "quantiles"], np.quantile(key, LEVELS), atol=1e-4)
    lag_1 = ((key - key.mean())[1:] * (key - key.mean())[:-1]).mean() / key.var()
    assert table.loc[0, "autocorrelation"] == pytest.approx(lag_1, abs=1e-4)


def test_the_packaged_summary_has_every_vector_once_and_its_figures_agree() -> None:
    _, overall, table = t03b.read_summary()
    layers = table.groupby(["part", "kind"])["layer"].apply(list)
    assert len(layers) == 8 and all(found == list(range(24)) for found in layers)
    assert (table["entries"] == table["kind"].map({"k": 2048, "v": 2048, "ff": 5120})).all()
    assert (table["histogram"].map(np.sum) + table["below"] + table["above"] == table["entries"]).all()
    assert (table["head_share"].isna() == (table["kind"] == "ff")).all()
    for one in table.itertuples():
        farthest = max(one.maximum - 1, 1 - one.minimum)
        assert abs(one.moved_values[0] - 1) == pytest.approx(farthest, abs=1e-4)
        assert len(set(one.moved_units)) == 24 and (one.moved_values < 0).sum() == one.negatives
    for name, value in t03b.pool(table).items():
        np.testing.assert_allclose(value, overall[name], atol=1e-4)


def test_the_file_is_fetched_and_another_is_not_run(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path / "cache"))
    (tmp_path / "raw" / "commit").mkdir(parents=True)
    served = tmp_path / "raw" / "commit" / "vectors.pt"
    torch.save({KEY: torch.tensor([[0.5], [2.0]]), FF: torch.tensor([3.0])}, served)
    source = {"repository": tmp_path.as_uri(), "commit": "commit", "path": "vectors.pt"}
    monkeypatch.setattr("summarize_t03b.SOURCE", source | {"sha256": hashlib.sha256(served.read_bytes()).hexdigest()})
    assert {name: vector.tolist() for name, vector in read_vectors().items()} == {KEY: [0.5, 2.0], FF: [3.0]}
    served.write_bytes(b"\x80\x04not a pickle")
    with pytest.raises(ValueError, match=r"vectors.pt is not the published file: its sha256 is .*, expected"):
        read_vectors(served)
