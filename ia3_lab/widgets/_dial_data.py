"""What the adaptation dial rests on: a sentence's story, checked, and its attention in few bytes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

#: Attention weights are stored as whole multiples of 1 / LEVELS, about 0.004; each row adds up to LEVELS.
LEVELS = 255


@dataclass(frozen=True, eq=False, kw_only=True)
class Story:
    """One sentence at several values of t, as a model computed it: ``l(t) = 1 + t * (l - 1)``.

    Arrays are copied, so that nothing changes them after they were checked; tensors are detached.

    Parameters
    ----------
    tokens : sequence of str, n entries
    t : sequence of float, T entries
        Where the model was run: rising, from 0 (vectors of ones) to 1 (the learned vectors).
    probability : array_like, shape (T,)
        Probability of the second label.
    attention : array_like, shape (T, layers, heads, n, n)
        Row i of a map is what token i looks at. Each row sums to 1.
    truth : str
        The right label, or ``""``.
    note : str
        What to say about this sentence.

    Raises
    ------
    ValueError
        If shapes disagree, t does not rise from 0 to 1, a probability is outside 0 to 1, or a row of attention does
        not sum to 1 within 0.001.

    Examples
    --------
    >>> Story(tokens=("not", "bad"), t=(0, 1), probability=(0.2, 0.9), attention=np.full((2, 1, 1, 2, 2), 0.5)).t
    (0.0, 1.0)
    """

    tokens: Sequence[str]
    t: Sequence[float]
    probability: Any
    attention: Any
    truth: str = ""
    note: str = ""

    def __post_init__(self) -> None:
        tokens = tuple(self.tokens) if isinstance(self.tokens, Iterable) and not isinstance(self.tokens, str) else ()
        if len(tokens) < 2 or not all(isinstance(token, str) for token in tokens):
            raise ValueError(f"tokens must be a sequence of at least two str, got {self.tokens!r}; split the sentence.")
        for name in ("truth", "note"):
            if not isinstance(getattr(self, name), str):
                raise ValueError(f"{name} must be text, got {getattr(self, name)!r}; leave it out to have none.")
        checked = {
            "tokens": tokens,
            "t": tuple(_check_t(_numbers("t", self.t))),
            "probability": _numbers("probability", self.probability),
            "attention": _numbers("attention", self.attention),
        }
        for name, value in checked.items():
            object.__setattr__(self, name, value)
        _check_probability(self.probability, len(self.t))
        _check_attention(self.attention, len(self.t), len(self.tokens))

    def __repr__(self) -> str:
        return f"Story({' '.join(self.tokens)!r}, {len(self.t)} values of t, attention {self.attention.shape})"


def quantize(attention: np.ndarray) -> np.ndarray:
    """Return the attention in whole multiples of 1 / 255, rounded so that every row still sums to 1.

    Each weight is rounded down, and the units that a row then lacks go to its largest remainders.

    Parameters
    ----------
    attention : numpy.ndarray, shape (..., n)
        Rows that sum to 1.

    Returns
    -------
    numpy.ndarray of uint8, shape (..., n)
        Rows that sum to 255. Divided by 255 they are less than 0.004 from the (normalized) rows given.

    Examples
    --------
    >>> quantize(np.array([0.5, 0.3, 0.2]))
    array([128,  76,  51], dtype=uint8)
    """
    exact = attention / attention.sum(axis=-1, keepdims=True) * LEVELS
    down = np.floor(exact)
    rank = (down - exact).argsort(axis=-1, kind="stable").argsort(axis=-1, kind="stable")
    return (down + (rank < LEVELS - down.sum(axis=-1, keepdims=True))).astype(np.uint8)


def pack(maps: Iterable[np.ndarray]) -> bytes:
    """Encode quantized attention so that it compresses well: half of what plain bytes take on a page.

    The last weight of a row follows from the others and is left out. Along t come the values at t = 0, then a first
    difference, then second differences, which are small where attention changes smoothly. All are taken modulo 256,
    the differences with their sign in the lowest bit. At last the stream is turned into bit planes, highest bit first,
    so that its many zeros lie side by side. ``decode`` in ``adaptation_dial.mjs`` takes all this back.

    Parameters
    ----------
    maps : iterable of numpy.ndarray of uint8, each of shape (T, layers, heads, n, n)

    Returns
    -------
    bytes
        Eight planes, each of the same length.

    Examples
    --------
    >>> len(pack([np.full((2, 1, 1, 4, 4), 63, dtype=np.uint8)]))  # 2 * 4 * 3 numbers
    24
    """
    parts = []
    for weights in maps:
        first = np.diff(weights[..., :-1], axis=0)  # uint8 arithmetic: modulo 256
        change = np.concatenate([first[:1], np.diff(first, axis=0)]).view(np.int8).astype(int)
        signed = np.where(change < 0, -2 * change - 1, 2 * change).astype(np.uint8)
        parts += [weights[0, ..., :-1].ravel(), signed.ravel()]
    stream = np.concatenate(parts)
    stream = np.concatenate([stream, np.zeros(-len(stream) % 8, dtype=np.uint8)])
    return np.packbits(np.unpackbits(stream[:, None], axis=1).T).tobytes()


def as_dict(story: Story) -> dict[str, Any]:
    """Return what the script needs of a story besides its attention."""
    return {
        "tokens": list(story.tokens),
        "t": [float(t) for t in story.t],
        "probability": [round(float(p), 4) for p in story.probability],
        "truth": story.truth,
        "note": story.note,
    }


def _numbers(name: str, values: Any) -> np.ndarray:
    """Return the values as a read-only array of floats of its own, or say whose they were."""
    try:
        array = np.asarray(values.detach().cpu() if hasattr(values, "detach") else values, dtype=float).copy()
    except (TypeError, ValueError, RuntimeError) as error:
        got = f"{type(values).__name__}: {_short(values)} ({error})"
        raise ValueError(f"{name} must be numbers in a full array, got {got}.") from None
    array.flags.writeable = False
    return array


def _short(values: Any) -> str:
    text = repr(values)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _check_t(t: np.ndarray) -> list[float]:
    if t.ndim != 1 or len(t) < 2 or not (np.diff(t) > 0).all() or t[0] != 0 or t[-1] != 1:
        raise ValueError(f"t must rise from 0 to 1, at least these two, got {t.tolist()}; sort it and add the ends.")
    return t.tolist()


def _check_probability(probability: np.ndarray, count: int) -> None:
    if probability.shape != (count,):
        raise ValueError(f"probability must have shape ({count},), one for each t, got {probability.shape}.")
    if not ((probability >= 0) & (probability <= 1)).all():  # also refuses NaN
        raise ValueError(f"probabilities must lie from 0 to 1, got {probability.tolist()}; apply softmax to logits.")


def _check_attention(attention: np.ndarray, count: int, n: int) -> None:
    shape = attention.shape
    if len(shape) != 5 or shape[0] != count or shape[3:] != (n, n) or 0 in shape:
        raise ValueError(
            f"attention must have shape (T, layers, heads, n, n) = ({count}, layers, heads, {n}, {n}), for {count} "
            f"values of t and {n} tokens, got {shape}."
        )
    if not (attention >= 0).all():  # also refuses NaN
        raise ValueError("attention must hold numbers of at least 0, got a negative number or NaN; pass the softmax.")
    sums = attention.sum(axis=-1)
    worst = sums.flat[np.abs(sums - 1).argmax()]
    if not abs(worst - 1) <= 1e-3:
        raise ValueError(
            f"each row of attention must sum to 1 within 0.001, got a row that sums to {worst:.4f}; "
            "rows are attending tokens, and padding must be cut off."
        )
