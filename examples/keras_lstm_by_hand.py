"""Keras' LSTM checked by hand: linear gates, whole numbers for weights, the states after one step and after two."""

import numpy as np

import gatewright as gw

kernel = np.array([[2, 1, 1, 0, 0, 0, 0, 1, 1, 0, 1, 0], [1, 1, 0, 1, 1, 0, 0, 1, 1, 0, 0, 0]])  # (2, 12)
recurrent_kernel = np.array(  # (3, 12)
    [[1, 0, 0, 1, 2, 1, 0, 1, 2, 0, 1, 0], [1, 1, 0, 0, 2, 1, 0, 1, 2, 2, 0, 0], [1, 0, 1, 2, 0, 1, 0, 1, 1, 0, 1, 0]]
)
bias = np.array([3, 1, 0, 1, 1, 0, 0, 1, 0, 2, 0, 0])  # (12,)

model = gw.Model(gw.LSTM(2, 3, activation=None, recurrent_activation=None), dtype="float64")
model.set_weights([kernel, recurrent_kernel, bias])  # in Keras' order and layout
print("weights:", [w.shape for w in model.get_weights()])

x_t = np.array([1.0, 0.0])
h, c = np.zeros(3), np.zeros(3)
for step, (h_wanted, c_wanted) in enumerate([([0, 4, 0], [0, 4, 1]), ([0, 72, 0], [0, 72, 13])], start=1):
    z = x_t @ kernel + h @ recurrent_kernel + bias
    i, f, g, o = np.split(z, 4)  # linear gates: what comes in goes out
    c = f * c + i * g
    h = o * c
    print(f"\nstep {step}, x = [1, 0], by hand")
    for name, gate in zip(("input gate", "forget gate", "candidate", "output gate"), (i, f, g, o), strict=True):
        print(f"  {name:12}{gate.astype(int)}")
    y, state = model.run(np.tile(x_t, (1, step, 1)))
    print(f"  by hand     h = {h.astype(int).tolist()}, c = {c.astype(int).tolist()}")
    print(f"  gatewright  h = {state.h[0, 0].astype(int).tolist()}, c = {state.c[0, 0].astype(int).tolist()}")
    assert h.tolist() == y[0, -1].tolist() == state.h[0, 0].tolist() == h_wanted
    assert c.tolist() == state.c[0, 0].tolist() == c_wanted
