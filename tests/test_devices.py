"""Laws of choosing a device."""

from __future__ import annotations

import pytest
import torch

from ia3_lab import devices


@pytest.mark.parametrize(("gpu", "expected"), [(True, "cuda"), (False, "cpu")])
@pytest.mark.parametrize("wish", [None, "", "  "])
def test_without_a_wish_cuda_is_taken_where_it_is(
    monkeypatch: pytest.MonkeyPatch, gpu: bool, expected: str, wish: str | None
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpu)
    monkeypatch.delenv(devices.VARIABLE, raising=False)
    if wish is not None:
        monkeypatch.setenv(devices.VARIABLE, wish)
    assert devices.get_device() == torch.device(expected)


@pytest.mark.parametrize("wish", ["cpu", "CPU", " cpu "])
def test_the_variable_overrides_a_gpu(monkeypatch: pytest.MonkeyPatch, wish: str) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setenv(devices.VARIABLE, wish)
    assert devices.get_device() == torch.device("cpu")


def test_a_numbered_gpu_is_taken_if_it_is_there_and_refused_if_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setenv(devices.VARIABLE, "cuda:1")
    assert devices.get_device() == torch.device("cuda", 1)
    monkeypatch.setenv(devices.VARIABLE, "cuda:2")
    with pytest.raises(ValueError, match=r"asks for 'cuda:2', but this machine offers 'cpu', 'cuda:0', 'cuda:1'"):
        devices.get_device()


@pytest.mark.parametrize("wish", ["cuda", "cuda:0", "mps"])
def test_an_absent_device_is_refused(monkeypatch: pytest.MonkeyPatch, wish: str) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    monkeypatch.setenv(devices.VARIABLE, wish)
    with pytest.raises(ValueError, match=f"asks for '{wish}', but this machine offers 'cpu'; change it or unset it"):
        devices.get_device()
    with pytest.raises(ValueError, match=f"device asks for '{wish}', but .* offers 'cpu'; change it or leave it out"):
        devices.check_device(wish)


@pytest.mark.parametrize("wish", ["gpu", "meta", "cuda:x", "cpu:1:2", "0", "cuda:-1"])
def test_an_unknown_device_is_refused(monkeypatch: pytest.MonkeyPatch, wish: str) -> None:
    monkeypatch.setenv(devices.VARIABLE, wish)
    with pytest.raises(ValueError, match=f"IA3_LAB_DEVICE must be .* got '{wish}'"):
        devices.get_device()


@pytest.mark.parametrize("wish", ["gpu", "meta", None, 1.5])
def test_an_unknown_device_is_refused_as_an_argument_too(wish: object) -> None:
    with pytest.raises(ValueError, match=f"device must be 'cpu', .* got {wish!r}; leave it out to choose for you"):
        devices.check_device(wish)
    assert devices.check_device(torch.device("cpu")) == torch.device("cpu")


@pytest.mark.parametrize(("wish", "expected"), [(None, 1), ("", 1), ("2", 2), (" 3 ", 3)])
def test_one_thread_unless_the_variable_says_otherwise(
    monkeypatch: pytest.MonkeyPatch, wish: str | None, expected: int
) -> None:
    before = torch.get_num_threads()
    monkeypatch.delenv(devices.THREADS, raising=False)
    if wish is not None:
        monkeypatch.setenv(devices.THREADS, wish)
    try:
        assert devices.use_threads() == torch.get_num_threads() == expected
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("wish", ["0", "-1", "two", "1.5"])
def test_a_number_of_threads_that_makes_no_sense_is_refused(monkeypatch: pytest.MonkeyPatch, wish: str) -> None:
    monkeypatch.setenv(devices.THREADS, wish)
    with pytest.raises(ValueError, match=f"threads of at least 1, got '{wish}'"):
        devices.use_threads()
