"""The adding problem (Hochreiter & Schmidhuber 1997): add the two marked numbers of a long row. Who can remember?"""

import numpy as np

import gatewright as gw

rng = np.random.default_rng(0)
ROWS, STEPS = 1000, 20


def rows(count):
    """Numbers in [0, 1) with a mark beside two of them, one in each half: (count, STEPS, 2), and their sums (count, 1)."""
    x = np.zeros((count, STEPS, 2))
    x[..., 0] = rng.random((count, STEPS))
    for half in (0, STEPS // 2):
        x[np.arange(count), half + rng.integers(0, STEPS // 2, count), 1] = 1
    return x, (x[..., 0] * x[..., 1]).sum(axis=1, keepdims=True)


x, y = rows(ROWS)
new_x, new_y = rows(300)
print(f"always saying 1: mean squared error {np.mean((new_y - 1) ** 2):.4f}")
for kind in (gw.RNN, gw.LSTM, gw.GRU):
    model = gw.Model(gw.Sequential(kind(2, 16, return_sequences=False), gw.Dense(16, 1)), seed=0)
    model.fit(x, y, optimizer=gw.Adam(0.01), epochs=16, clip_norm=1.0, verbose=False)
    error = model.evaluate(new_x, new_y)["loss"]
    print(f"{kind.__name__:5}{error:8.4f}  {'#' * round(200 * error)}")

numbers, marks = new_x[0].T
print("\nfor example", " + ".join(f"{v:.2f}" for v in numbers[marks > 0]), "=", f"{new_y[0, 0]:.2f};", end=" ")
print(f"the GRU says {model.predict(new_x[:1])[0, 0]:.2f}")
assert error < 0.02
