"""The simple recurrent network (Elman 1990), forward and backward.

    h[t+1] = act(x[t] W + h[t] U + b)

T steps, B rows, F features, H hidden units; h[t] is the state before step t, h[t+1] the one after it.
"""

from typing import NamedTuple

import numpy as np

from gatewright.activations import Activation
from gatewright.arrays import Array, rows
from gatewright.cells.dropped import d_kernel, d_state, product

GATES = "h"


class Weights(NamedTuple):
    W: Array  # (F, H) input kernel
    U: Array  # (H, H) recurrent kernel
    b: Array | None = None  # (H,) bias


class State(NamedTuple):
    h: Array  # (B, H) hidden state


class Options(NamedTuple):
    activation: Activation = Activation("tanh")  # act


class Cache(NamedTuple):
    x: Array  # (T, B, F) input
    z: Array  # (T, B, H) pre-activations
    h: Array  # (T + 1, B, H) hidden states
    keep: Array | None = None  # (B, H) what h[t] is multiplied by on its way to U, gate by gate; None: nothing

    @property
    def states(self) -> State:
        return State(self.h)


class Gradients(NamedTuple):
    x: Array  # (T, B, F)
    weights: Weights
    state: State  # of the initial state


def forward(x: Array, weights: Weights, state: State, options: Options, keep: Array | None = None) -> Cache:
    """All T steps of x (T, B, F) from `state`; the states after every step are in the cache. keep: see Cache."""
    W, U, b = weights
    act = options.activation.forward
    T, B, _ = x.shape
    z = (rows(x) @ W).reshape(T, B, W.shape[1])  # the input's part of every step, in one product
    if b is not None:
        z += b
    h = np.empty((T + 1, *state.h.shape), z.dtype)
    h[0] = state.h
    for t in range(T):
        z[t] += product(h[t], U, keep)
        h[t + 1] = act(z[t])
    return Cache(x, z, h, keep)


def backward(cache: Cache, weights: Weights, options: Options, dsteps: State, dstate: State) -> Gradients:
    """Back-propagation through time (Werbos 1990): undoes the lines of `forward`, last to first."""
    W, U, b = weights
    x, z, h, keep = cache
    d_act = options.activation.backward
    dz = np.empty_like(z)
    dh = dstate.h
    for t in reversed(range(len(z))):
        dh = dh + dsteps.h[t]  # h[t+1] was an output and went on to step t+1
        dz[t] = d_act(z[t], h[t + 1], dh)  # h[t+1] = act(z[t])
        dh = d_state(dz[t], U, keep)  # z[t] += product(h[t], U, keep)
    dz_rows = rows(dz)
    dweights = Weights(rows(x).T @ dz_rows, d_kernel(h[:-1], dz, keep), None if b is None else dz_rows.sum(axis=0))
    return Gradients((dz_rows @ W.T).reshape(x.shape), dweights, State(dh))
