"""The gated recurrent unit (Cho et al. 2014, equations 5–8), forward and backward, the reset gate after or before the product.

    z = sigma(x[t] Wz + h[t] Uz + b[z])                 update gate
    r = sigma(x[t] Wr + h[t] Ur + b[r])                 reset gate
    n = act  (x[t] Wn + b[n] + r * (h[t] Un + bn))      candidate, reset_after=True (as cuDNN, PyTorch and Keras do it)
    n = act  (x[t] Wn + b[n] + (r * h[t]) Un)           candidate, reset_after=False (as in the paper)
    h[t+1] = z * h[t] + (1 - z) * n                     hidden state

T steps, B rows, F features, H hidden units; h[t] is the state before step t, h[t+1] the one after it. Wz, Wr, Wn are blocks of
the columns of W, in this order, and so are those of U; b[z], b[r], b[n] are those of b. A * is elementwise. The
pre-activations are called `a` here, since z is a gate.
"""

from typing import NamedTuple

import numpy as np

from gatewright.activations import Activation
from gatewright.arrays import Array, blocks, rows
from gatewright.cells.dropped import d_kernel, d_state, product

GATES = "zrn"


class Weights(NamedTuple):
    W: Array  # (F, 3H) input kernel
    U: Array  # (H, 3H) recurrent kernel
    b: Array | None = None  # (3H,) bias
    bn: Array | None = None  # (H,) recurrent bias of n, with reset_after only


class State(NamedTuple):
    h: Array  # (B, H) hidden state


class Options(NamedTuple):
    activation: Activation = Activation("tanh")  # act: of n
    recurrent_activation: Activation = Activation("sigmoid")  # sigma: of the gates z r
    reset_after: bool = True


class Cache(NamedTuple):
    x: Array  # (T, B, F) input
    a: Array  # (T, B, 3H) pre-activations
    gates: Array  # (T, B, 3H) z r n
    m: Array  # (T, B, H) what r was multiplied into: h Un + bn (reset_after), or the product r * h, h as n sees it
    h: Array  # (T + 1, B, H) hidden states
    keep: Array | None = None  # (B, 3H) what h[t] is multiplied by on its way to U, gate by gate; None: nothing

    @property
    def states(self) -> State:
        return State(self.h)


class Gradients(NamedTuple):
    x: Array  # (T, B, F)
    weights: Weights
    state: State  # of the initial state


def forward(x: Array, weights: Weights, state: State, options: Options, keep: Array | None = None) -> Cache:
    """All T steps of x (T, B, F) from `state`; the states after every step are in the cache. keep: see Cache."""
    W, U, b, bn = weights
    act, sigma = options.activation.forward, options.recurrent_activation.forward
    (T, B, _), H = x.shape, len(U)
    a = (rows(x) @ W).reshape(T, B, 3 * H)  # the input's part of every step, in one product
    if b is not None:
        a += b
    gates, m, h = np.empty_like(a), np.empty((T, B, H), a.dtype), np.empty((T + 1, B, H), a.dtype)
    h[0] = state.h
    azr, an = a[..., : 2 * H], a[..., 2 * H :]
    zr, (z, r, n) = gates[..., : 2 * H], blocks(gates, 3)
    Uzr, Un = U[:, : 2 * H], U[:, 2 * H :]
    keep_zr, keep_n = (None, 1) if keep is None else (keep[:, : 2 * H], keep[:, 2 * H :])
    for t in range(T):
        u = product(h[t], U, keep) if options.reset_after else product(h[t], Uzr, keep_zr)
        azr[t] += u[:, : 2 * H]
        zr[t] = sigma(azr[t])
        if options.reset_after:
            un = u[:, 2 * H :]
            m[t] = un if bn is None else un + bn
            an[t] += r[t] * m[t]
        else:
            m[t] = r[t] * (h[t] * keep_n)
            an[t] += m[t] @ Un
        n[t] = act(an[t])
        h[t + 1] = z[t] * h[t] + (1 - z[t]) * n[t]
    return Cache(x, a, gates, m, h, keep)


def backward(cache: Cache, weights: Weights, options: Options, dsteps: State, dstate: State) -> Gradients:
    """Back-propagation through time (Werbos 1990): undoes the lines of `forward`, last to first."""
    W, U, b, bn = weights
    x, a, gates, m, h, keep = cache
    d_act, d_sigma = options.activation.backward, options.recurrent_activation.backward
    H, after = len(U), options.reset_after
    az, ar, an = blocks(a, 3)
    z, r, n = blocks(gates, 3)
    da, du = np.empty_like(a), np.empty_like(a)  # du: of the products with U
    (daz, dar, dan), du_zr, dun = blocks(da, 3), du[..., : 2 * H], du[..., 2 * H :]
    keep_zr, keep_n = (None, 1) if keep is None else (keep[:, : 2 * H], keep[:, 2 * H :])
    dh = dstate.h
    for t in reversed(range(len(a))):
        dh = dh + dsteps.h[t]  # h[t+1] was an output and went on to step t+1
        dz, dn = dh * (h[t] - n[t]), dh * (1 - z[t])  # h[t+1] = z[t] * h[t] + (1 - z[t]) * n[t]
        dh = dh * z[t]
        dan[t] = d_act(an[t], n[t], dn)  # n[t] = act(an[t])
        if after:
            dr, dun[t] = dan[t] * m[t], dan[t] * r[t]  # an[t] += r[t] * m[t]; m[t] = un + bn
        else:
            dun[t] = dan[t]  # an[t] += m[t] @ Un
            dm = dun[t] @ U[:, 2 * H :].T
            dr = dm * (h[t] * keep_n)  # m[t] = r[t] * (h[t] * keep_n)
            dh += dm * r[t] * keep_n
        daz[t], dar[t] = d_sigma(az[t], z[t], dz), d_sigma(ar[t], r[t], dr)  # zr[t] = sigma(azr[t])
        du_zr[t] = da[t, :, : 2 * H]  # azr[t] += u[:, :2H]
        dh += d_state(du[t], U, keep) if after else d_state(du_zr[t], U[:, : 2 * H], keep_zr)  # u = product(h[t], U, keep)
    da_rows = rows(da)
    if after:
        dU = d_kernel(h[:-1], du, keep)
    else:
        dU = np.concatenate([d_kernel(h[:-1], du_zr, keep_zr), rows(m).T @ rows(dun)], axis=1)
    db = None if b is None else da_rows.sum(axis=0)
    dbn = None if bn is None else rows(dun).sum(axis=0)
    return Gradients((da_rows @ W.T).reshape(x.shape), Weights(rows(x).T @ da_rows, dU, db, dbn), State(dh))
