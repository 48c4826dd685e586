"""An LSTM as a memory cell, its weights set by hand: one unit that stores a value when told to, and holds it.

Step by step with the state in one's own hands, and all at once with every h and every c of every step.
"""

import numpy as np

import gatewright as gw

# Two inputs, the value and the order to store it. Columns: the gates i f g o.
W = np.array([[0, 0, 1, 0], [20, -20, 0, 0]])  # the order opens the input gate and shuts the forget gate
b = np.array([-10, 10, 0, 10])  # without it: keep what is there; always show it
model = gw.Model(gw.LSTM(2, 1), dtype="float64")
model.set_weights([W, np.zeros((1, 4)), b])

value = np.array([0.9, 0.3, -0.7, 0.5, -1.2, 0.1, 0.8, -0.4, 1.5, -0.2, 0.6, -0.9])
order = np.array([0, 1, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0])
x = np.stack([value, order], axis=1)

# One step: x, h, c in, h, c out. A stream keeps the state for you; `run` takes and gives it.
stream, state, steps = model.stream(), None, []
for x_t in x:
    y_t, state = model.run(x_t[None, None], state)
    assert np.array_equal(stream.step(x_t), y_t[0, 0])
    steps.append((state.h.item(), state.c.item()))

# The whole sequence, every state of every step.
watched = gw.Model(gw.LSTM(2, 1, return_state_sequence=True), dtype="float64")
watched.set_weights(model.get_weights())
sequence = watched.predict(x[None])
assert np.allclose(np.array(steps).T, [sequence.h[0, :, 0], sequence.c[0, :, 0]], rtol=0, atol=1e-15)

print("step  value  order       c       h   the cell, from -1 to 1")
for t, (h, c) in enumerate(steps):
    scale = list(".........|.........")
    scale[round(9 + 9 * c)] = "#"
    print(f"{t:4}  {value[t]:5.1f}  {'store' if order[t] else '     '}  {c:6.3f}  {h:6.3f}   {''.join(scale)}")

loud = model.predict(1e4 * x[None])  # far beyond what exp can take
print("\nwith inputs of 10,000 the output stays a number:", np.isfinite(loud).all())
