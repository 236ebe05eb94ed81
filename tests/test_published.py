"""The summary of the published T0-3B vectors: closed forms, its derivation from a file, and refusals in words.

Set IA3_T03B_FILE to the published file to derive the packaged summary again from the real numbers as well.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import pickle
import socket
import threading
import time
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import torch

from ia3_lab import published

SCRIPT = Path(__file__).resolve().parent.parent / "scripts" / "summarize_t03b.py"
REAL_FILE = os.environ.get("IA3_T03B_FILE")
SIZES = {"k": 2048, "v": 2048, "wi_1": 5120}


def load_script():
    spec = importlib.util.spec_from_file_location("summarize_t03b", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def name_of(stack: str, layer: int, module: str, leaf: str) -> str:
    place = {"SelfAttention": 0, "EncDecAttention": 1, "DenseReluDense": 2 if stack == "decoder" else 1}[module]
    return f"{stack}.block.{layer}.layer.{place}.{module}.{leaf}.multi_lora_b"


def t0_names(num_layers: int) -> list[str]:
    """Return the names of all vectors of a T0-like model, in the order of the published file."""
    decoder = ["SelfAttention", "EncDecAttention"]
    names = []
    for stack, attentions in (("encoder", ["SelfAttention"]), ("decoder", decoder)):
        for layer in range(num_layers):
            names += [name_of(stack, layer, module, leaf) for module in attentions for leaf in "kv"]
            names.append(name_of(stack, layer, "DenseReluDense", "wi_1"))
    return names


def state(num_layers: int = 24, seed: int = 0) -> dict[str, torch.Tensor]:
    """Return random vectors with the published names, shapes and dtype."""
    generator = torch.Generator().manual_seed(seed)
    return {
        name: 1 + 0.1 * torch.randn((SIZES[name.split(".")[-2]], 1), generator=generator)
        for name in t0_names(num_layers)
    }


def saved(folder: Path, tensors: dict[str, torch.Tensor]) -> tuple[Path, str]:
    """Save a state as torch would, and return its path and digest."""
    path = folder / "vectors.pt"
    torch.save(tensors, path)
    return path, hashlib.sha256(path.read_bytes()).hexdigest()


def only(vector, name: str = "encoder.block.3.layer.0.SelfAttention.v.multi_lora_b", **options) -> dict:
    """Return the one line of the table for a single vector, by column."""
    summary = published.summarize({name: vector}, **options)
    return dict(zip(summary["columns"], summary["rows"][0], strict=True))


# --- closed forms --------------------------------------------------------------------------------------------------


def test_a_vector_of_ones_has_no_deviation_and_one_full_bin():
    row = only(np.ones((64, 1)), num_heads=4)
    assert (row["size"], row["mean"], row["rms"], row["negatives"], row["above_one"]) == (64, 1.0, 0.0, 0, 0)
    assert (row["near_one"], row["autocorrelation"], row["head_share"]) == (64, 0.0, 0.0)
    assert row["histogram"][40] == 64
    assert published.BINS["low"] + 40.5 * 0.025 == pytest.approx(1.0)


def test_a_vector_that_alternates_around_one_has_closed_forms():
    row = only(np.array([1.5, 0.5] * 32), num_heads=4)
    assert (row["mean"], row["rms"], row["minimum"], row["maximum"]) == (1.0, 0.5, 0.5, 1.5)
    assert (row["autocorrelation"], row["head_share"], row["head_autocorrelation"]) == (-1.0, 0.0, -1.0)
    assert (row["above_one"], row["near_one"], row["outside_half"]) == (32, 0, 0)
    assert row["quantiles"] == [0.5] * 4 + [1.0] + [1.5] * 4


def test_heads_that_differ_as_wholes_hold_all_the_variance_between_them():
    row = only(np.repeat([0.8, 1.2, 0.8, 1.2], 16), num_heads=4)
    assert (row["head_share"], row["head_autocorrelation"]) == (1.0, 0.0)
    shuffled = np.random.default_rng(0).permutation(np.repeat([0.8, 1.2, 0.8, 1.2], 16))
    assert only(shuffled, num_heads=4)["head_share"] < 0.3


def test_every_count_is_a_count():
    values = np.array([-1.0, -0.05, 0.05, 0.2, 0.8, 1.0, 1.2, 1.21, 1.51, 2.5])
    row = only(values, "encoder.block.0.layer.1.DenseReluDense.wi_1.multi_lora_b")
    assert (row["negatives"], row["near_zero"], row["near_one"], row["above_one"]) == (2, 2, 3, 4)
    assert (row["outside_half"], row["below"], row["above"]) == (6, 2, 1)
    assert sum(row["histogram"]) == 7
    assert row["head_share"] is row["head_autocorrelation"] is None


def test_the_moved_units_are_the_ones_farthest_from_one_in_that_order():
    vector = np.ones(200)
    vector[[7, 150, 20]] = (1.3, 0.2, -0.5)
    row = only(vector, num_heads=4)
    assert row["moved_units"][:4] == [20, 150, 7, 0]  # ties keep their order
    assert row["moved_values"][:4] == [-0.5, 0.2, 1.3, 1.0]
    assert len(row["moved_units"]) == published.NUM_MOVED


def test_chance_levels_are_the_means_over_random_orders():
    generator = np.random.default_rng(1)
    values = 1 + 0.1 * generator.standard_normal(256)
    rows = [only(generator.permutation(values), num_heads=8) for _ in range(400)]
    size, heads = 256, 8
    assert np.mean([row["head_share"] for row in rows]) == pytest.approx((heads - 1) / (size - 1), abs=0.002)
    assert np.mean([row["head_autocorrelation"] for row in rows]) == pytest.approx(-1 / 31, abs=0.01)
    vector = published.load_t03b().select("encoder", "k")[0]
    assert vector.head_share_by_chance == pytest.approx(31 / 2047)
    assert vector.head_autocorrelation_by_chance == pytest.approx(-1 / 63)


@pytest.mark.parametrize("seed", range(3))
def test_a_random_vector_agrees_with_numpy(seed):
    vector = np.float32(1 + 0.2 * np.random.default_rng(seed).standard_normal((512, 1)))
    row, flat = only(vector, num_heads=8), vector.reshape(-1).astype(float)
    assert row["mean"] == pytest.approx(flat.mean(), abs=1e-5)
    assert row["rms"] == pytest.approx(np.sqrt(((flat - 1) ** 2).mean()), abs=1e-5)
    assert row["quantiles"] == pytest.approx(np.quantile(flat, published.LEVELS), abs=1e-4)
    edges = np.linspace(published.BINS["low"], published.BINS["high"], published.BINS["count"] + 1)
    assert row["histogram"] == np.histogram(flat, edges)[0].tolist()
    assert row["autocorrelation"] == pytest.approx(
        ((flat - flat.mean())[1:] * (flat - flat.mean())[:-1]).mean() / flat.var(), abs=1e-4
    )


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("encoder.block.0.layer.0.SelfAttention.k.multi_lora_b", ("encoder", "k", 0)),
        ("decoder.block.23.layer.2.DenseReluDense.wi_1.multi_lora_b", ("decoder", "ff", 23)),
        ("decoder.block.5.layer.1.EncDecAttention.k.multi_lora_b", ("cross", "k", 5)),
    ],
)
def test_a_name_says_where_its_vector_sits(name, place):
    assert published.place_of(name) == place


@pytest.mark.parametrize(
    ("tensors", "says"),
    [
        ({}, "at least one named vector, got {}"),
        ([1.0, 1.0], r"at least one named vector, got \[1.0, 1.0\]"),
        ({3: [1.0, 1.0]}, "3 is not the name of a published vector"),
        ({"encoder.block.0.k": [1.0, 1.0]}, "'encoder.block.0.k' is not the name of a published vector; expected"),
        ({name_of("encoder", 0, "SelfAttention", "k"): np.ones(63)}, "63 entries, which 32 heads do not divide"),
        ({name_of("encoder", 0, "SelfAttention", "k"): np.ones((8, 8))}, r"its shape is \(8, 8\)"),
        ({name_of("encoder", 0, "SelfAttention", "k"): [1.0, float("nan")]}, "finite numbers"),
        ({name_of("encoder", 0, "SelfAttention", "k"): ["one", "two"]}, r"must hold numbers, got list \(could not"),
        ({name_of("encoder", 0, "SelfAttention", "k"): [1.0, 1e200]}, "holds 1e.200, too far from 1"),
        ({"encoder.block.0.layer.1.EncDecAttention.k.multi_lora_b": [1.0, 1.0]}, "is not the name of a published"),
        ({"encoder.block.0.layer.1.DenseReluDense.k.multi_lora_b": [1.0, 1.0]}, "is not the name of a published"),
        (
            {f"decoder.block.{i}.layer.1.EncDecAttention.k.multi_lora_b": np.ones(64) for i in ("7", "07")},
            r"'decoder.block.7.*' and 'decoder.block.07.*' stand for the same vector, \('cross', 'k', 7\)",
        ),
    ],
)
def test_what_is_no_set_of_vectors_is_refused_in_words(tensors, says):
    with pytest.raises(ValueError, match=says):
        published.summarize(tensors)


@pytest.mark.parametrize("num_heads", [0, -1, 2.0, "32", None, True])
def test_a_number_of_heads_is_whole_and_positive(num_heads):
    with pytest.raises((TypeError, ValueError), match="num_heads must be"):
        only(np.ones(64), num_heads=num_heads)
    assert json.dumps(
        published.summarize({name_of("encoder", 0, "SelfAttention", "k"): np.ones(64)}, num_heads=np.int64(4))
    )


def test_numbers_far_from_one_are_counted_at_the_ends():
    row = only([1e20] * 3 + [-1e20] * 2 + [1.0] * 3, num_heads=4)
    assert (row["below"], row["above"], sum(row["histogram"])) == (2, 3, 3)


def test_a_trained_parameter_is_a_vector():
    vector = torch.linspace(0.5, 1.5, 64)
    assert only(torch.nn.Parameter(vector)) == only(vector)


# --- the packaged summary ------------------------------------------------------------------------------------------


def test_the_packaged_summary_has_every_vector_of_the_model_once():
    summary = published.load_t03b()
    assert [vector.name for vector in summary.vectors] == t0_names(24)
    assert [vector.size for vector in summary.vectors] == [SIZES[name.split(".")[-2]] for name in t0_names(24)]
    assert summary.overall.size == 540_672
    assert published.summary_file().stat().st_size < 150_000


def test_the_packaged_summary_names_its_source_and_its_license():
    source = published.load_t03b().source
    assert source == published.SOURCE
    assert source["license"].startswith("MIT") and "Raffel" in source["credit"]
    assert published.URL.startswith(source["repository"]) and source["commit"] in published.URL
    assert len(source["sha256"]) == 64 and len(source["commit"]) == 40


def test_each_kept_figure_of_a_vector_agrees_with_its_others():
    for vector in published.load_t03b().vectors:
        assert sum(vector.histogram) + vector.below + vector.above == vector.size
        assert vector.minimum <= vector.quantiles[0] + 1e-4
        assert list(vector.quantiles) == sorted(vector.quantiles)
        assert vector.maximum >= vector.quantiles[-1] - 1e-4
        away = np.abs(np.array(vector.moved_values) - 1)
        assert (np.diff(away) <= 2e-4).all()
        assert away[0] == pytest.approx(max(vector.maximum - 1, 1 - vector.minimum), abs=1e-4)
        assert len(set(vector.moved_units)) == len(vector.moved_units) == published.NUM_MOVED
        assert all(0 <= unit < vector.size for unit in vector.moved_units)
        negatives = sum(value < 0 for value in vector.moved_values)
        assert negatives == vector.negatives
        assert (vector.head_share is None) == (vector.kind == "ff")


def test_sets_combine_to_what_all_their_entries_give():
    tensors = {name: t.numpy() for name, t in state(num_layers=2).items()}
    summary = published.summarize(tensors)
    rows = [dict(zip(summary["columns"], row, strict=True)) for row in summary["rows"]]
    fields = published.Statistics.__dataclass_fields__
    parts = [published.Statistics(**{name: row[name] for name in fields}) for row in rows]
    together, values = published.combine(parts), np.concatenate([t.reshape(-1) for t in tensors.values()])
    assert together.size == values.size
    assert together.mean == pytest.approx(values.mean(), abs=1e-4)
    assert together.std == pytest.approx(values.std(), abs=1e-4)
    assert together.near_one == ((values >= 0.8) & (values <= 1.2)).sum()
    assert together.share_near_one == together.near_one / values.size
    assert list(together.histogram) == summary["overall"]["histogram"]
    with pytest.raises(ValueError, match="got none"):
        published.combine([])


def test_a_selection_is_sorted_by_layer_and_an_empty_one_is_refused():
    summary = published.load_t03b()
    assert [vector.layer for vector in summary.select("cross", "v")] == list(range(24))
    assert len(summary.select(kind="ff")) == 48
    with pytest.raises(ValueError, match="no vector has part 'cross' and kind 'ff'; there are cross k, cross v,"):
        summary.select("cross", "ff")
    with pytest.raises(ValueError, match="unknown part 'Decodr'; did you mean 'decoder'"):
        summary.select("Decodr")
    with pytest.raises(ValueError, match="unknown kind 'K'; did you mean 'k'"):
        summary.select("cross", "K")


def damaged(change) -> str:
    content = json.loads(published.summary_file().read_text("utf8"))
    change(content)
    return json.dumps(content)


def put(row: int, column: str, value, at: int | None = None):
    """Return the damage that sets an entry of the table, or one number of the list in it."""

    def change(content):
        cell, column_index = content["rows"][row], content["columns"].index(column)
        if at is None:
            cell[column_index] = value
        else:
            cell[column_index][at] = value

    return change


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        ("{", "is damaged"),
        ("[]", "is damaged"),
        ("{}", "is damaged .'format'."),
        (lambda c: c.update(format=2), "its format is 2, expected 1"),
        (lambda c: c["rows"].pop(), "the vectors together give size"),
        (lambda c: c["rows"][3].pop(), "is damaged"),
        (lambda c: c["columns"].__setitem__(1, "sise"), "is damaged"),
        (lambda c: c["rows"][5][7].__setitem__(40, 0), "the histogram of .* counts"),
        (lambda c: c["rows"][5].__setitem__(3, 0.5), "the vectors together give rms"),
        ("[" * 100_000, "recursion"),
        (lambda c: c.update(num_heads=0), "num_heads must be at least 1, got 0"),
        (lambda c: c["levels"].pop(), "its levels are .*, expected"),
        (lambda c: c.update(levels=[str(level) for level in c["levels"]]), "its levels are .*, expected"),
        (lambda c: c["rows"][3][c["columns"].index("quantiles")].pop(), "needs a quantile for each level"),
        (lambda c: c["rows"][3][-1].pop(), "a value for each moved unit"),
        (lambda c: c["bins"].pop("low"), "its bins are {'high': .*}, expected {'low': "),
        (lambda c: c["bins"].update(low=5), "its bins are {'low': 5"),
        (lambda c: c["bins"].update(low="x"), "its bins are {'low': 'x'"),
        (lambda c: c.update(source=None), "its source is None, expected"),
        (lambda c: c.update(num_heads=7), "has 2048 entries, which 7 heads do not divide"),
        (lambda c: c.update(num_heads=5000), "has 2048 entries, which 5000 heads do not divide"),
        (put(5, "moved_units", -1, at=0), "moved_units of .* must be at least 0, got -1"),
        (put(5, "moved_units", 5120, at=0), "moved units of .* must be different ones from 0 to 5119"),
        (lambda c: put(5, "moved_units", c["rows"][5][-2][1], at=0)(c), "moved units of .* must be different ones"),
        (put(5, "moved_units", 0.5, at=0), "moved_units of .* must be a whole number, got 0.5"),
        (put(5, "moved_values", "1", at=0), "moved_values of .* must be a number, got '1'"),
        (put(5, "moved_values", float("nan"), at=0), "moved_values of .* must be a finite number, got nan"),
        (put(5, "autocorrelation", "x"), "autocorrelation of .* must be a number, got 'x'"),
        (put(5, "mean", [1.0]), "mean of .* must be a number, got"),
        (put(5, "rms", 1e200), "is damaged"),
        (put(0, "head_share", None), "SelfAttention.k.* needs head_share"),
        (put(2, "head_share", 0.1), "wi_1.* needs head_share and head_autocorrelation if it is k or v, and only then"),
        (put(3, "name", name_of("encoder", 0, "SelfAttention", "k")), "stand for the same vector"),
        (put(3, "name", "encoder.block.00.layer.0.SelfAttention.k.multi_lora_b"), "stand for the same vector"),
        (lambda c: c["overall"].update(negatives=0), "give negatives = 12, the overall figures say 0"),
    ],
)
def test_a_damaged_summary_is_refused_with_what_to_do(tmp_path, damage, says):
    path = tmp_path / "summary.json"
    path.write_text(damage if isinstance(damage, str) else damaged(damage))
    with pytest.raises(ValueError, match=f"(?s){says}.*install ia3_lab again, or write it with scripts"):
        published.load_t03b(path)


def test_a_missing_summary_is_refused_with_what_to_do(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no summary .*absent\.json; install ia3_lab again"):
        published.load_t03b(tmp_path / "absent.json")


# --- from the file to the summary ----------------------------------------------------------------------------------


@pytest.mark.parametrize("file", ["a file of the same form", *([REAL_FILE] if REAL_FILE else [])])
def test_the_script_derives_a_summary_that_derives_again(tmp_path, capsys, file):
    script, output = load_script(), tmp_path / "summary.json"
    path, sha256 = (Path(file), published.SOURCE["sha256"]) if file == REAL_FILE else saved(tmp_path, state())
    arguments = [str(path), "--sha256", sha256, "--output", str(output)]
    assert script.main(arguments) == 0
    assert script.main([*arguments, "--check"]) == 0
    assert "192 vectors, 540,672 numbers" in capsys.readouterr().out
    summary = published.load_t03b(output)
    assert (summary.source["sha256"], summary.source["bytes"]) == (sha256, path.stat().st_size)
    tensors = published.read_t03b(path, sha256=sha256)
    assert published.disagreements(json.loads(output.read_text("utf8")), published.summarize(tensors)) == []
    if file == REAL_FILE:
        assert output.read_bytes() == published.summary_file().read_bytes()
    else:
        assert script.main([*arguments[:-2], "--check"]) == 1  # these are not the published vectors
        assert "stored" in capsys.readouterr().out


def test_a_changed_number_is_a_disagreement_and_another_rounding_is_not():
    summary = published.summarize({name: t.numpy() for name, t in state(num_layers=1).items()})
    other = json.loads(json.dumps(summary))
    other["rows"][2][3] += 1e-5
    assert published.disagreements(summary, other) == []
    other["rows"][2][3] += 1e-3
    other["rows"][1][11] += 1
    first, second = published.disagreements(summary, other)
    assert first.startswith("summary.rows[1][11]: ") and second.startswith("summary.rows[2][3]: ")
    assert published.disagreements({"a": [1, 2]}, {"a": [1]}) == ["summary.a: [1, 2] is stored, [1] derived"]


def test_the_script_says_what_is_wrong(tmp_path, capsys):
    script = load_script()
    path, _ = saved(tmp_path, state(num_layers=1))
    assert script.main([str(path)]) == 2
    assert "vectors.pt is not the published file" in capsys.readouterr().err
    assert script.main([str(tmp_path / "absent.pt")]) == 2
    assert "there is no file" in capsys.readouterr().err
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    assert script.main([str(path), "--sha256", sha256, "--check", "--output", str(tmp_path / "no.json")]) == 2
    assert "run without --check" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        script.main([])
    assert "or --download" in capsys.readouterr().err


def test_the_script_never_writes_over_its_input_or_other_files(tmp_path, capsys):
    script = load_script()
    path, sha256 = saved(tmp_path, state(num_layers=1))
    before = path.read_bytes()
    (tmp_path / "link.json").symlink_to(path)
    for output in (path, tmp_path / "link.json"):
        assert script.main([str(path), "--sha256", sha256, "--output", str(output)]) == 2
        assert "--output is " in capsys.readouterr().err
    assert path.read_bytes() == before
    (tmp_path / "link.json").unlink()
    (tmp_path / "summary.json.part").write_text("mine")
    assert script.main([str(path), "--sha256", sha256.upper(), "--output", str(tmp_path / "summary.json")]) == 0
    assert (tmp_path / "summary.json.part").read_text() == "mine"
    assert json.loads((tmp_path / "summary.json").read_text())["source"]["sha256"] == sha256
    capsys.readouterr()
    assert script.main([str(path), "--sha256", sha256, "--output", str(tmp_path)]) == 2
    assert f"--output must be a file, got the folder {tmp_path}; write --output" in capsys.readouterr().err
    assert sorted(file.name for file in tmp_path.iterdir()) == ["summary.json", "summary.json.part", "vectors.pt"]
    assert not tmp_path.with_name(f"{tmp_path.name}.part").exists()


@pytest.mark.parametrize("content", [b"old", b"[" * 100_000, b"\xff"], ids=["words", "deep", "no text"])
def test_a_check_against_a_damaged_summary_names_the_file_and_the_remedy(tmp_path, capsys, content):
    path, sha256 = saved(tmp_path, state(num_layers=1))
    (tmp_path / "old.json").write_bytes(content)
    arguments = [str(path), "--sha256", sha256, "--output", str(tmp_path / "old.json"), "--check"]
    assert load_script().main(arguments) == 2
    assert "run without --check to write it anew" in (said := capsys.readouterr().err)
    assert f"{tmp_path / 'old.json'} is damaged (" in said


class Harmful:
    def __reduce__(self):
        return (Path.touch, (Path("harm-was-done"),))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ([torch.ones(3)], "does not hold named tensors"),
        ({"a": 3}, "does not hold named tensors"),
        ({"state": {"a": torch.ones(3)}}, "does not hold named tensors"),
        ({"a": torch.ones(8, 8)}, r"must hold vectors of shape \(d,\) or \(d, 1\), not a \(8, 8\)"),
        ({"a": torch.tensor(1.0)}, r"must hold vectors of shape .*, not a \(\)"),
        ({"a": Harmful()}, "does not hold named tensors"),
    ],
)
def test_what_is_no_set_of_named_vectors_is_refused_and_runs_nothing(tmp_path, monkeypatch, content, says):
    monkeypatch.chdir(tmp_path)
    path, sha256 = saved(tmp_path, content)
    with pytest.raises(ValueError, match=f"vectors.pt {says}") as caught:
        published.read_t03b(path, sha256=sha256)
    assert caught.value.__cause__ is None and "weights_only" not in str(caught.value)
    assert not Path("harm-was-done").exists()


@pytest.mark.parametrize("content", [b"", b"no pickle", pickle.dumps(Harmful(), protocol=2)])
def test_bytes_that_are_no_torch_file_are_refused(tmp_path, monkeypatch, content):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "vectors.pt").write_bytes(content)
    with pytest.raises(ValueError, match=r"vectors.pt does not hold named tensors \(.*Error\); fetch"):
        published.read_t03b(tmp_path / "vectors.pt", sha256=hashlib.sha256(content).hexdigest())
    assert not Path("harm-was-done").exists()


@pytest.mark.parametrize("error", [IndexError, KeyError, AssertionError])
def test_whatever_torch_raises_is_a_damaged_file(tmp_path, monkeypatch, error):
    def load(*args, **options):
        raise error("pop from empty list")

    path, sha256 = saved(tmp_path, state(num_layers=1))
    monkeypatch.setattr(torch, "load", load)
    with pytest.raises(ValueError, match=rf"vectors.pt does not hold named tensors \({error.__name__}\); fetch"):
        published.read_t03b(path, sha256=sha256)


def test_a_digest_may_have_capitals_and_nothing_else_is_one(tmp_path):
    path, sha256 = saved(tmp_path, state(num_layers=1))
    assert list(published.read_t03b(path, sha256=sha256.upper())) == t0_names(1)
    for wrong in (None, "", sha256[:12], 5):
        with pytest.raises(ValueError, match=f"sha256 must be 64 hexadecimal digits, got {wrong!r}"):
            published.read_t03b(path, sha256=wrong)


def test_the_script_leaves_the_old_summary_when_the_new_one_cannot_be_written(tmp_path, capsys, monkeypatch):
    script = load_script()
    path, sha256 = saved(tmp_path, state(num_layers=1))
    (tmp_path / "old.json").write_text("old")
    write_text = Path.write_text

    def full_disk(file, text, **options):
        write_text(file, text[:100], **options)
        raise OSError("no space left on device")

    monkeypatch.setattr(Path, "write_text", full_disk)
    assert script.main([str(path), "--sha256", sha256, "--output", str(tmp_path / "old.json")]) == 2
    assert "no space left" in capsys.readouterr().err
    assert (tmp_path / "old.json").read_text() == "old"
    assert sorted(file.name for file in tmp_path.iterdir()) == ["old.json", "vectors.pt"]


def test_a_file_with_another_digest_is_never_unpickled(tmp_path):
    path = tmp_path / "vectors.pt"
    path.write_bytes(b"\x80\x04not a pickle")
    with pytest.raises(ValueError, match=r"not the published file: its 14 bytes have sha256 .*, expected 431451f16e8f"):
        published.read_t03b(path)


# --- the download --------------------------------------------------------------------------------------------------


class Serve(BaseHTTPRequestHandler):
    """Answer every request with the same bytes, after a pause."""

    def __init__(self, *args, body: bytes, pause: float, asked: list, **kwargs):
        self.body, self.pause, self.asked = body, pause, asked
        super().__init__(*args, **kwargs)

    def do_GET(self):
        self.asked.append(self.path)
        time.sleep(self.pause)
        self.send_response(200 if self.body else 404)
        self.send_header("Content-Length", str(len(self.body)))
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, *args):
        pass


class QuietServer(ThreadingHTTPServer):
    def handle_error(self, *args):  # a client that gave up waiting
        pass


@pytest.fixture
def serve():
    """Serve bytes on localhost: returns a function that gives the address and the list of requests."""
    servers = []

    def start(body: bytes, pause: float = 0.0):
        asked: list[str] = []
        server = QuietServer(("127.0.0.1", 0), partial(Serve, body=body, pause=pause, asked=asked))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_address[1]}/vectors.pt", asked

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def test_a_download_is_checked_kept_and_not_repeated(tmp_path, serve):
    source, sha256 = saved(tmp_path, state(num_layers=1))
    url, asked = serve(source.read_bytes())
    path = published.download_t03b(tmp_path / "cache", url=url, sha256=sha256, timeout=10)
    assert path.read_bytes() == source.read_bytes()
    assert published.download_t03b(tmp_path / "cache", url=url, sha256=sha256) == path
    assert len(asked) == 1
    assert list(published.read_t03b(path, sha256=sha256)) == t0_names(1)
    path.write_bytes(b"damaged")
    assert published.download_t03b(tmp_path / "cache", url=url, sha256=sha256).read_bytes() == source.read_bytes()
    assert [file.name for file in path.parent.iterdir()] == ["t03b_ia3_finish.pt"]


def test_a_download_that_cannot_be_kept_leaves_nothing_behind(tmp_path, serve):
    source, sha256 = saved(tmp_path, state(num_layers=1))
    url, _ = serve(source.read_bytes())
    (tmp_path / "cache" / "t03b_ia3_finish.pt").mkdir(parents=True)
    with pytest.raises(OSError, match="t03b_ia3_finish"):
        published.download_t03b(tmp_path / "cache", url=url, sha256=sha256, timeout=10)
    assert [file.name for file in (tmp_path / "cache").iterdir()] == ["t03b_ia3_finish.pt"]


def test_a_folder_may_be_below_home_and_must_have_a_name(tmp_path, monkeypatch, serve):
    source, sha256 = saved(tmp_path, state(num_layers=1))
    url, _ = serve(source.read_bytes())
    monkeypatch.setenv("HOME", str(tmp_path))
    path = published.download_t03b("~/x", url=url, sha256=sha256.upper(), timeout=10)
    assert path == tmp_path / "x" / "t03b_ia3_finish.pt" and path.is_file()
    with pytest.raises(ValueError, match="folder must name a folder, got ''"):
        published.download_t03b("", url=url, sha256=sha256, timeout=10)


@pytest.mark.parametrize("timeout", [float("inf"), "5", None, -1])
def test_a_timeout_is_a_finite_number(tmp_path, timeout):
    with pytest.raises((TypeError, ValueError), match="timeout must be a "):
        published.download_t03b(tmp_path, url="http://127.0.0.1:9/", timeout=timeout)


def test_a_wrong_file_from_the_network_is_refused_and_not_kept(tmp_path, serve):
    url, _ = serve(b"version https://git-lfs.github.com/spec/v1")
    with pytest.raises(ValueError, match="is not the published file: its 42 bytes"):
        published.download_t03b(tmp_path / "cache", url=url, timeout=10)
    assert not (tmp_path / "cache").exists()


def test_no_answer_in_time_is_an_error_that_says_what_to_do(tmp_path, serve):
    url, _ = serve(b"late", pause=2.0)
    start = time.monotonic()
    with pytest.raises(ConnectionError, match=r"could not fetch http://.*browser and pass its path to read_t03b"):
        published.download_t03b(tmp_path, url=url, timeout=0.3)
    assert time.monotonic() - start < 1.5


def test_no_server_and_no_page_are_errors_that_name_the_address(tmp_path, serve):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/vectors.pt"
    with pytest.raises(ConnectionError, match=f"could not fetch {url}: "):
        published.download_t03b(tmp_path, url=url, timeout=5)
    url, _ = serve(b"")
    with pytest.raises(ConnectionError, match="404"):
        published.download_t03b(tmp_path, url=url, timeout=5)
