"""What an LSTM remembers of the adding problem (Hochreiter & Schmidhuber 1997): a page to open in a browser.

usage: python explore_gates.py [PAGE.html]
"""

import sys

import numpy as np

import gatewright as gw

rng = np.random.default_rng(0)
STEPS = 40


def rows(count):
    """Numbers in [0, 1) with a mark beside two of them, one in each half: (count, STEPS, 2), and their sums (count, 1)."""
    x = np.zeros((count, STEPS, 2))
    x[..., 0] = rng.random((count, STEPS))
    for half in (0, STEPS // 2):
        x[np.arange(count), half + rng.integers(0, STEPS // 2, count), 1] = 1
    return x, (x[..., 0] * x[..., 1]).sum(axis=1, keepdims=True)


model = gw.Model(gw.Sequential(gw.LSTM(2, 16, return_sequences=False), gw.Dense(16, 1)), seed=0)
x, y = rows(1000)
history = model.fit(x, y, optimizer=gw.Adam(0.01), epochs=30, clip_norm=1.0, verbose=False)
print(f"always saying 1: mean squared error {np.mean((y - 1) ** 2):.3f}; the LSTM: {history.loss[-1]:.3f}")
assert history.loss[-1] < 0.02

(row,), (total,) = rows(1)
page = model.explore(row, columns=["number", "mark"], y=total, title="Adding: two marked numbers of forty")
print(f"the page: {len(page.html):,} characters, one file, no request to anywhere")
print(
    "the marks stand at steps", *np.flatnonzero(row[:, 1]), "- look there at the gates i and g, at the line of c, and at ∂L/∂x"
)
if len(sys.argv) > 1:
    page.save(sys.argv[1])
else:
    print("python explore_gates.py PAGE.html writes it")
