"""One checker for the book's exercises: it reads what people type, and answers the usual mistakes by name."""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np


def check(answer: Any, mistakes: Mapping[str, Callable[[Any], Any]], *, shape: tuple[int, ...] = ()) -> str:
    """Say "right", or what is not right yet. Never raises.

    Parameters
    ----------
    answer : number, string, list, tuple, array or tensor of any device; or a function of nothing that returns one
        None, also as a part, is an answer that has not been given. An error of a function is told as a mistake.
    mistakes : mapping of str to callable
        What to say of a mistake, and the test that finds it: a function of the answer as an array of numbers of
        ``shape``, or as a string in lower case. The first that finds something is told.
    shape : tuple of int; of the answer, () for one number or one string

    Examples
    --------
    >>> small = {"that is too large": lambda x: x > 3, "that is no whole number": lambda x: x % 1 != 0}
    >>> check(2, small), check("2.5", small), check([4], small)
    ('right', 'not yet: that is no whole number', 'not yet: that is too large')
    """
    try:
        given = _read(answer() if callable(answer) else answer, shape)
        told = next((say for say, test in mistakes.items() if np.any(test(given))), None)
    except _NotReadable as error:
        told = str(error)
    except Exception as error:
        told = f"checking it failed with {type(error).__name__}: {error}"
    return "right" if told is None else f"not yet: {told}"


class _NotReadable(Exception):
    """What keeps an answer from being read, as it is told."""


def _read(answer: Any, shape: tuple[int, ...]) -> np.ndarray | str:
    """Return an answer as finite numbers, or as strings in lower case, of a shape: (), (n,) or (m, n)."""
    if hasattr(answer, "detach"):
        answer = answer.detach().cpu().double().numpy()
    asked = "one number or word" if shape == () else f"a list or an array of shape {shape}"
    try:
        given = np.array(answer.tolist() if isinstance(answer, np.ndarray) else answer, dtype=object)
        if any(part is None or part is ... for part in given.flat):
            raise _NotReadable("fill in your answer")
        given = given.reshape(shape) if given.squeeze().shape == tuple(n for n in shape if n != 1) else given
        words = [str(part).strip().casefold() for part in given.flat]
        given = np.array(words).reshape(given.shape) if _are_words(words) else given.astype(float)
    except (TypeError, ValueError) as error:
        raise _NotReadable(f"the answer is read as {asked}; it is of type {type(answer).__name__}") from error
    if given.shape != shape:
        raise _NotReadable(f"the answer is read as {asked}; its shape is {given.shape}")
    if given.dtype.kind == "f" and not np.isfinite(given).all():
        raise _NotReadable("nan and infinity are no answers")
    return given if given.dtype.kind == "f" else given[()]


def _are_words(words: Iterable[str]) -> bool:
    """Say whether none of them is a number."""
    numbers = re.compile(r"[-+]?[\d.]|[-+]?(nan|inf)|true$|false$")
    return not any(map(numbers.match, words))
