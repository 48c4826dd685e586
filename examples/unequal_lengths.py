"""Sequences of unequal lengths, sorted into classes: which shape of wave is it? A list goes in, no padding by hand."""

import numpy as np

import gatewright as gw

SHAPES = ("sine", "square", "saw")
rng = np.random.default_rng(0)


def waves(count):
    """A list of (T, 1) noisy waves, 8 to 40 steps long, and their classes (count,)."""
    classes = rng.integers(0, 3, count)
    found = []
    for kind in classes:
        turn = (np.arange(rng.integers(8, 41)) / rng.uniform(6, 12) + rng.random()) % 1
        wave = (np.sin(2 * np.pi * turn), np.where(turn < 0.5, 1.0, -1.0), 2 * turn - 1)[kind]
        found.append((wave + 0.4 * rng.standard_normal(len(turn)))[:, None])
    return found, classes


x, y = waves(400)
new_x, new_y = waves(200)
print("lengths of the first ten:", [len(wave) for wave in x[:10]])
net = gw.Sequential(gw.GRU(1, 16, bidirectional=True, return_sequences=False), gw.Dense(32, 3, "softmax"))
model = gw.Model(net, seed=0)
history = model.fit(x, y, loss="cross_entropy", optimizer=gw.Adam(0.01), epochs=15, clip_norm=1.0, verbose=False)

said = np.argmax(model.predict(new_x), axis=1)
print(
    f"loss {history['loss'][0]:.2f} -> {history['loss'][-1]:.2f}; {np.mean(said == new_y):.0%} of 200 new waves named right\n"
)
print("is \\ said" + "".join(f"{shape:>8}" for shape in SHAPES))
for k, shape in enumerate(SHAPES):
    print(f"{shape:9}" + "".join(f"{np.sum(said[new_y == k] == j):8}" for j in range(3)))
lengths = np.array([len(wave) for wave in new_x])
for low, high in ((8, 15), (16, 25), (26, 40)):
    chosen = (lengths >= low) & (lengths <= high)
    print(f"{low:3} to {high} steps: {np.mean(said[chosen] == new_y[chosen]):.0%} right")
assert np.mean(said == new_y) > 0.8
