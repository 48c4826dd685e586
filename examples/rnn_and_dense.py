"""One recurrent and one Dense layer, trained: from twenty points of a wave of unknown pitch and phase, say the next one."""

import numpy as np

import gatewright as gw

rng = np.random.default_rng(0)
pitch, phase = rng.uniform(0.2, 0.8, (1200, 1)), rng.uniform(0, 2 * np.pi, (1200, 1))
wave = np.sin(pitch * np.arange(21) + phase)
x, y = wave[:, :20, None], wave[:, 20:]  # (B, 20, 1) and (B, 1)

model = gw.Model(gw.Sequential(gw.RNN(1, 16, return_sequences=False), gw.Dense(16, 1)), seed=0)
print(model.summary())
before = model.evaluate(x[1000:], y[1000:])["loss"]
model.fit(x[:1000], y[:1000], loss="mse", optimizer=gw.Adam(5e-3), epochs=30, clip_norm=1.0, verbose=False)
after = model.evaluate(x[1000:], y[1000:])["loss"]
naive = np.mean((x[1000:, -1] - y[1000:]) ** 2)

print("\nmean squared error on 200 new waves:")
print(f"  {before:.4f} untrained\n  {naive:.4f} saying the last value again\n  {after:.4f} trained\n")
for row in range(1000, 1003):
    canvas = np.full((9, 22), " ")
    for t, v in enumerate(wave[row]):
        canvas[4 - round(4 * v), t] = "." if t < 20 else "o"
    guess = float(model.predict(x[row : row + 1])[0, 0])
    canvas[int(np.clip(4 - round(4 * guess), 0, 8)), 21] = "<"
    print("\n".join("  " + "".join(line) for line in canvas) + f"\n  next: {y[row, 0]:.3f} (o), said: {guess:.3f} (<)\n")
assert after < 0.1 * naive
