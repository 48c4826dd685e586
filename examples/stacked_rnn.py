"""A stacked RNN that is bidirectional where it says so: each step must name the input of two steps *later*.

Who reads from left to right only can't know it. Who also reads from right to left can.
"""

import numpy as np

import gatewright as gw

rng = np.random.default_rng(0)
x = rng.choice([-1.0, 1.0], (400, 12, 1))  # (B, T, F): coins
y = np.zeros_like(x)
y[:, :-2] = x[:, 2:]

deep = gw.Model(gw.RNN(1, 5, num_layers=4, bidirectional=True), seed=0)
out, state = deep.run(x)
print(f"four layers, both ways: {x.shape} in, {out.shape} out, final state {state.h.shape}")
assert np.array_equal(out, deep.run(x)[0])  # the weights are the model's: asked twice, it says the same
print("the same input twice gives the same output\n")

for both_ways in (False, True):
    layer = gw.RNN(1, 12, num_layers=2, bidirectional=both_ways)
    model = gw.Model(gw.Sequential(layer, gw.Dense(24 if both_ways else 12, 1)), seed=0)
    history = model.fit(x[:300], y[:300], loss="mse", optimizer=gw.Adam(0.01), epochs=25, verbose=False)
    right = np.mean(np.sign(model(x[300:])[:, :-2]) == y[300:, :-2])
    print(f"bidirectional={both_ways!s:5}  loss {history.loss[0]:.3f} -> {history.loss[-1]:.3f}, "
          f"{right:.0%} of the coins named right")  # fmt: skip
    guess, coins = model(x[300:301])[0, :10, 0], x[300, :, 0]
    for title, row in (("coins", coins), ("wanted", y[300, :10, 0]), ("said", guess)):
        print(f"  {title:7}" + " ".join("+" if v > 0 else "-" for v in row))
assert right > 0.95
