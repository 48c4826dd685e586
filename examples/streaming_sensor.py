"""A sensor watched live: a GRU learns what is normal, then reads a step at a time and says when something is not."""

import numpy as np

import gatewright as gw

rng = np.random.default_rng(1)


def machine(steps):
    """A vibration of two rhythms and a little noise."""
    t = np.arange(steps)
    return np.sin(0.3 * t) + 0.5 * np.sin(0.77 * t + 1) + 0.03 * rng.standard_normal(steps)


normal = machine(2001)
x, y = normal[:-1].reshape(40, 50, 1), normal[1:].reshape(40, 50, 1)  # the next reading is the target
model = gw.Model(gw.Sequential(gw.GRU(1, 16), gw.Dense(16, 1)), seed=0)
model.fit(x, y, optimizer=gw.Adam(0.01), epochs=60, batch_size=8, clip_norm=1.0, verbose=False)

live = machine(120)
live[80:84] += [0.0, 1.2, -1.0, 0.8]  # something knocks
stream = model.stream()
expected, spread, alarms = None, 0.1, []
print("step  reading  expected")
for t, reading in enumerate(live):
    if expected is not None:
        surprise = abs(reading - expected)
        odd = t > 20 and surprise > 6 * spread
        if odd:
            alarms.append(t)
        else:
            spread += 0.05 * (surprise - spread)  # what is usual, kept up to date
        if odd or t % 15 == 0:
            print(f"{t:4}  {reading:7.2f}  {expected:8.2f}  {'<-- something happened' if odd else ''}")
    expected = float(stream.step([reading])[0])

print(f"\nalarms at {alarms}; the knock came at 81 to 83")
assert 81 in alarms
assert all(80 < t < 95 for t in alarms)
