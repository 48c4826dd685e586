"""The long short-term memory (Hochreiter & Schmidhuber 1997, forget gate of Gers et al. 2000), forward and backward.

    i = sigma(x[t] Wi + h[t] Ui + bi)     input gate
    f = sigma(x[t] Wf + h[t] Uf + bf)     forget gate
    g = act  (x[t] Wg + h[t] Ug + bg)     candidate
    o = sigma(x[t] Wo + h[t] Uo + bo)     output gate
    c[t+1] = f * c[t] + i * g             cell state
    h[t+1] = o * act(c[t+1])              hidden state

T steps, B rows, F features, H hidden units; h[t] is the state before step t, h[t+1] the one after it. Wi, Wf, Wg, Wo are
blocks of the columns of W, in this order, and so are those of U and b. A * is elementwise.
"""

from typing import NamedTuple

import numpy as np

from gatewright.activations import Activation
from gatewright.arrays import Array, blocks, rows
from gatewright.cells.dropped import d_kernel, d_state, product

GATES = "ifgo"


class Weights(NamedTuple):
    W: Array  # (F, 4H) input kernel
    U: Array  # (H, 4H) recurrent kernel
    b: Array | None = None  # (4H,) bias


class State(NamedTuple):
    h: Array  # (B, H) hidden state
    c: Array  # (B, H) cell state; in `dsteps` None where nobody used it


class Options(NamedTuple):
    activation: Activation = Activation("tanh")  # act: of g and of the cell state
    recurrent_activation: Activation = Activation("sigmoid")  # sigma: of the gates i f o


class Cache(NamedTuple):
    x: Array  # (T, B, F) input
    z: Array  # (T, B, 4H) pre-activations
    gates: Array  # (T, B, 4H) i f g o
    c: Array  # (T + 1, B, H) cell states
    s: Array  # (T, B, H) act(c[t+1])
    h: Array  # (T + 1, B, H) hidden states
    keep: Array | None = None  # (B, 4H) what h[t] is multiplied by on its way to U, gate by gate; None: nothing

    @property
    def states(self) -> State:
        return State(self.h, self.c)


class Gradients(NamedTuple):
    x: Array  # (T, B, F)
    weights: Weights
    state: State  # of the initial state


def forward(x: Array, weights: Weights, state: State, options: Options, keep: Array | None = None) -> Cache:
    """All T steps of x (T, B, F) from `state`; the states after every step are in the cache. keep: see Cache."""
    W, U, b = weights
    act, sigma = options.activation.forward, options.recurrent_activation.forward
    T, B, _ = x.shape
    z = (rows(x) @ W).reshape(T, B, W.shape[1])  # the input's part of every step, in one product
    if b is not None:
        z += b
    gates, s = np.empty_like(z), np.empty((T, *state.c.shape), z.dtype)
    c, h = np.empty((T + 1, *state.c.shape), z.dtype), np.empty((T + 1, *state.h.shape), z.dtype)
    c[0], h[0] = state.c, state.h
    zi, zf, zg, zo = blocks(z, 4)
    i, f, g, o = blocks(gates, 4)
    for t in range(T):
        z[t] += product(h[t], U, keep)
        i[t], f[t], o[t] = sigma(zi[t]), sigma(zf[t]), sigma(zo[t])
        g[t] = act(zg[t])
        c[t + 1] = f[t] * c[t] + i[t] * g[t]
        s[t] = act(c[t + 1])
        h[t + 1] = o[t] * s[t]
    return Cache(x, z, gates, c, s, h, keep)


def backward(cache: Cache, weights: Weights, options: Options, dsteps: State, dstate: State) -> Gradients:
    """Back-propagation through time, in full (Graves & Schmidhuber 2005; the paper of 1997 cut it off).

    Undoes the lines of `forward`, last to first.
    """
    W, U, b = weights
    x, z, gates, c, s, h, keep = cache
    d_act, d_sigma = options.activation.backward, options.recurrent_activation.backward
    zi, zf, zg, zo = blocks(z, 4)
    i, f, g, o = blocks(gates, 4)
    dz = np.empty_like(z)
    dzi, dzf, dzg, dzo = blocks(dz, 4)
    dh, dc = dstate
    for t in reversed(range(len(z))):
        dh = dh + dsteps.h[t]  # h[t+1] was an output and went on to step t+1
        ds, do = dh * o[t], dh * s[t]  # h[t+1] = o[t] * s[t]
        dc = dc + d_act(c[t + 1], s[t], ds)  # s[t] = act(c[t+1]); and c[t+1] went on to step t+1
        if dsteps.c is not None:
            dc = dc + dsteps.c[t]  # … and was an output, where the caller asked for the cell states
        di, df, dg = dc * g[t], dc * c[t], dc * i[t]  # c[t+1] = f[t] * c[t] + i[t] * g[t]
        dc = dc * f[t]
        dzg[t] = d_act(zg[t], g[t], dg)  # g[t] = act(zg[t])
        dzi[t], dzf[t], dzo[t] = d_sigma(zi[t], i[t], di), d_sigma(zf[t], f[t], df), d_sigma(zo[t], o[t], do)
        dh = d_state(dz[t], U, keep)  # z[t] += product(h[t], U, keep)
    dz_rows = rows(dz)
    dweights = Weights(rows(x).T @ dz_rows, d_kernel(h[:-1], dz, keep), None if b is None else dz_rows.sum(axis=0))
    return Gradients((dz_rows @ W.T).reshape(x.shape), dweights, State(dh, dc))
