"""The product of the hidden state with the recurrent kernel, some of the state dropped in training (Gal & Ghahramani 2016).

    u = h[t] U                                            nothing is dropped: keep is None
    u = (h[t] * keep_1) U_1, (h[t] * keep_2) U_2, …       every gate has a mask of its own, the same one at every step

B rows, H numbers of the hidden state, G gates, N columns of U: U_1, U_2, … are blocks of them, keep_1, keep_2, … are blocks of
the columns of keep. This is how Keras does it.
"""

import numpy as np

from gatewright.arrays import Array, blocks, rows


def product(h: Array, U: Array, keep: Array | None) -> Array:
    """u (B, N) from h (B, H), U (H, N) and keep (B, G H)."""
    if keep is None:
        return h @ U
    return np.concatenate([(h * k) @ Uk for k, Uk in _gates(keep, U, len(U))], axis=-1)


def d_state(du: Array, U: Array, keep: Array | None) -> Array:
    """Undoes `product`: dh (B, H) from du (B, N)."""
    if keep is None:
        return du @ U.T
    parts = zip(_gates(keep, U, len(U)), blocks(du, keep.shape[1] // len(U)), strict=True)
    return np.asarray(sum(duk @ Uk.T * k for (k, Uk), duk in parts))


def d_kernel(h: Array, du: Array, keep: Array | None) -> Array:
    """Undoes `product` over all steps: dU (H, N) from h (T, B, H) and du (T, B, N)."""
    if keep is None:
        return rows(h).T @ rows(du)
    return np.concatenate([rows(h * k).T @ rows(duk) for k, duk in _gates(keep, du, h.shape[-1])], axis=-1)


def _gates(keep: Array, columns: Array, H: int) -> list[tuple[Array, Array]]:
    """(mask (B, H), its block of the columns) of every gate."""
    G = keep.shape[1] // H
    return list(zip(blocks(keep, G), blocks(columns, G), strict=True))
