"""The LSTM with what papers and file formats add to it; without any of it, the same numbers as lstm.py, which stays plain.

    i = sigma(x[t] Wi + h[t] Ui + bi + pi * c[t])       input gate
    f = sigma(x[t] Wf + h[t] Uf + bf + pf * c[t])       forget gate
    f = 1 - i                                           … coupled: it has no weights, nor a peephole
    g = act  (x[t] Wg + h[t] Ug + bg)                   candidate
    c[t+1] = f * c[t] + i * g                           cell state
    o = sigma(x[t] Wo + h[t] Uo + bo + po * c[t+1])     output gate
    m = o * out(c[t+1])
    h[t+1] = m V                                        hidden state, smaller than the cell state; without V: m

Peepholes pi, pf, po: Gers, Schraudolph & Schmidhuber 2002. Coupled gates: the CIFG of Greff et al. 2017. The projection V: Sak,
Senior & Beaufays 2014, PyTorch's proj_size. With peepholes, coupled gates and `out`, it is the LSTM operator of ONNX.

T steps, B rows, F features, H units of the cell state, R numbers of the hidden state: R = H without V. The gates are blocks of
the columns of W, U and b in the order i f g o, coupled i g o; the peepholes lie in P in the order i f o, coupled i o.
"""

from typing import NamedTuple

import numpy as np

from gatewright.activations import Activation
from gatewright.arrays import Array, blocks, rows
from gatewright.cells.dropped import d_kernel, d_state, product

GATES, COUPLED_GATES = "ifgo", "igo"


class Weights(NamedTuple):
    W: Array  # (F, 4H) input kernel, coupled (F, 3H)
    U: Array  # (R, 4H) recurrent kernel, coupled (R, 3H)
    b: Array | None = None  # (4H,) bias, coupled (3H,)
    P: Array | None = None  # (3H,) peepholes, coupled (2H,)
    V: Array | None = None  # (H, R) projection


class State(NamedTuple):
    h: Array  # (B, R) hidden state
    c: Array  # (B, H) cell state; in `dsteps` None where nobody used it


class Options(NamedTuple):
    activation: Activation = Activation("tanh")  # act: of g
    recurrent_activation: Activation = Activation("sigmoid")  # sigma: of the gates i f o
    cell_activation: Activation = Activation("tanh")  # out: of the cell state
    coupled: bool = False


class Cache(NamedTuple):
    x: Array  # (T, B, F) input
    z: Array  # (T, B, 4H) pre-activations, coupled (T, B, 3H)
    gates: Array  # (T, B, 4H) i f g o
    c: Array  # (T + 1, B, H) cell states
    s: Array  # (T, B, H) out(c[t+1])
    m: Array  # (T, B, H) what is projected; without V, h[1:]
    h: Array  # (T + 1, B, R) hidden states
    keep: Array | None = None  # (B, 4R), coupled (B, 3R): what h[t] is multiplied by on its way to U, gate by gate

    @property
    def states(self) -> State:
        return State(self.h, self.c)


class Gradients(NamedTuple):
    x: Array  # (T, B, F)
    weights: Weights
    state: State  # of the initial state


def _gates(z: Array, coupled: bool) -> tuple[Array, Array | None, Array, Array]:
    """The blocks zi zf zg zo as views; None for zf where it is coupled."""
    if coupled:
        zi, zg, zo = blocks(z, 3)
        return zi, None, zg, zo
    zi, zf, zg, zo = blocks(z, 4)
    return zi, zf, zg, zo


def _peepholes(P: Array | None, coupled: bool) -> tuple[Array | float, Array | float, Array | float]:
    """pi pf po, zero where there is none."""
    if P is None:
        return 0.0, 0.0, 0.0
    if coupled:
        pi, po = blocks(P, 2)
        return pi, 0.0, po
    pi, pf, po = blocks(P, 3)
    return pi, pf, po


def forward(x: Array, weights: Weights, state: State, options: Options, keep: Array | None = None) -> Cache:
    """All T steps of x (T, B, F) from `state`; the states after every step are in the cache. keep: see Cache."""
    W, U, b, P, V = weights
    act, sigma, out = (f.forward for f in (options.activation, options.recurrent_activation, options.cell_activation))
    (T, B, _), H = x.shape, state.c.shape[1]
    z = (rows(x) @ W).reshape(T, B, W.shape[1])  # the input's part of every step, in one product
    if b is not None:
        z += b
    gates, s = np.empty((T, B, 4 * H), z.dtype), np.empty((T, B, H), z.dtype)
    c, h = np.empty((T + 1, B, H), z.dtype), np.empty((T + 1, *state.h.shape), z.dtype)
    m = h[1:] if V is None else np.empty_like(s)
    c[0], h[0] = state.c, state.h
    zi, zf, zg, zo = _gates(z, options.coupled)
    pi, pf, po = _peepholes(P, options.coupled)
    i, f, g, o = blocks(gates, 4)
    for t in range(T):
        z[t] += product(h[t], U, keep)
        zi[t] += pi * c[t]
        i[t] = sigma(zi[t])
        if zf is None:
            f[t] = 1 - i[t]
        else:
            zf[t] += pf * c[t]
            f[t] = sigma(zf[t])
        g[t] = act(zg[t])
        c[t + 1] = f[t] * c[t] + i[t] * g[t]
        zo[t] += po * c[t + 1]
        o[t] = sigma(zo[t])
        s[t] = out(c[t + 1])
        m[t] = o[t] * s[t]
        if V is not None:
            h[t + 1] = m[t] @ V
    return Cache(x, z, gates, c, s, m, h, keep)


def backward(cache: Cache, weights: Weights, options: Options, dsteps: State, dstate: State) -> Gradients:
    """Back-propagation through time, in full: undoes the lines of `forward`, last to first."""
    W, U, b, P, V = weights
    x, z, gates, c, s, m, h, keep = cache
    d_act, d_sigma, d_out = (f.backward for f in (options.activation, options.recurrent_activation, options.cell_activation))
    zi, zf, zg, zo = _gates(z, options.coupled)
    pi, pf, po = _peepholes(P, options.coupled)
    i, f, g, o = blocks(gates, 4)
    dz, dh_steps = np.empty_like(z), np.empty_like(h[1:])
    dzi, dzf, dzg, dzo = _gates(dz, options.coupled)
    dh, dc = dstate
    for t in reversed(range(len(z))):
        dh_steps[t] = dh + dsteps.h[t]  # h[t+1] was an output and went on to step t+1
        dm = dh_steps[t] if V is None else dh_steps[t] @ V.T  # h[t+1] = m[t] @ V
        ds, do = dm * o[t], dm * s[t]  # m[t] = o[t] * s[t]
        dc = dc + d_out(c[t + 1], s[t], ds)  # s[t] = out(c[t+1]); and c[t+1] went on to step t+1
        dzo[t] = d_sigma(zo[t], o[t], do)  # o[t] = sigma(zo[t])
        dc = dc + po * dzo[t]  # zo[t] += po * c[t+1]
        if dsteps.c is not None:
            dc = dc + dsteps.c[t]  # … and was an output, where the caller asked for the cell states
        di, df, dg = dc * g[t], dc * c[t], dc * i[t]  # c[t+1] = f[t] * c[t] + i[t] * g[t]
        dc = dc * f[t]
        dzg[t] = d_act(zg[t], g[t], dg)  # g[t] = act(zg[t])
        if zf is None or dzf is None:
            di = di - df  # f[t] = 1 - i[t]
        else:
            dzf[t] = d_sigma(zf[t], f[t], df)  # f[t] = sigma(zf[t])
            dc = dc + pf * dzf[t]  # zf[t] += pf * c[t]
        dzi[t] = d_sigma(zi[t], i[t], di)  # i[t] = sigma(zi[t])
        dc = dc + pi * dzi[t]  # zi[t] += pi * c[t]
        dh = d_state(dz[t], U, keep)  # z[t] += product(h[t], U, keep)
    dz_rows = rows(dz)
    seen = [(dzi, c[:-1]), (dzf, c[:-1]), (dzo, c[1:])]  # what the peepholes i f o see
    dweights = Weights(
        rows(x).T @ dz_rows,
        d_kernel(h[:-1], dz, keep),
        None if b is None else dz_rows.sum(axis=0),
        None if P is None else np.concatenate([rows(d * cell).sum(axis=0) for d, cell in seen if d is not None]),
        None if V is None else rows(m).T @ rows(dh_steps),
    )
    return Gradients((dz_rows @ W.T).reshape(x.shape), dweights, State(dh, dc))
