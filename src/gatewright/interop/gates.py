"""What all frameworks' recurrent weights differ in: the order of the gates, and one bias or two."""

import numpy as np

from gatewright.arrays import Array, blocks


def reorder(array: Array, before: str, after: str) -> Array:
    """The gates' blocks on the last axis, (…, kH), from one order of their letters into another."""
    block = dict(zip(before, blocks(array, len(before)), strict=True))
    return np.concatenate([block[letter] for letter in after], axis=-1)


def merge(b: Array, recurrent_b: Array, gates: int, apart: bool) -> dict[str, Array]:
    """Our b (kH,), and bn (H,) where the last gate's recurrent bias stays `apart`, from two biases (kH,) in our order."""
    if not apart:
        return {"b": b + recurrent_b}
    start = len(b) // gates * (gates - 1)
    return {"b": np.concatenate([b[:start] + recurrent_b[:start], b[start:]]), "bn": recurrent_b[start:]}


def split(b: Array, bn: Array | None) -> tuple[Array, Array]:
    """Two biases (kH,) that mean the same as b and bn: the first is b, the second zeros and bn."""
    second = np.zeros_like(b)
    if bn is not None:
        second[-len(bn) :] = bn
    return b, second
