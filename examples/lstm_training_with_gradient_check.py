"""An LSTM with the activations of one's choice: first its gradients are proven, then it is trained with plain SGD.

The task has a loss at every step: say the mean of all numbers heard so far.
"""

import numpy as np

import gatewright as gw

rng = np.random.default_rng(0)
x = rng.uniform(-1, 1, (256, 10, 1))
y = np.cumsum(x, axis=1) / np.arange(1, 11)[:, None]

net = gw.Sequential(gw.LSTM(1, 8, activation="softsign", recurrent_activation="hard_sigmoid"), gw.Dense(8, 1))
model = gw.Model(net, seed=0)
report = model.gradcheck(x[:4], y[:4], loss="mse")
print(report)
assert report.ok

print("\ntraining with SGD, back through all ten steps:")
optimizer = gw.SGD(0.3, momentum=0.9)
for _ in range(6):
    loss = model.fit(x, y, loss="mse", optimizer=optimizer, epochs=12, clip_norm=1.0, verbose=False).loss[-1]
    print(f"  mean squared error {loss:.5f}  {'#' * round(2000 * loss)}")
assert loss < 0.005

print("\na new sequence, one number at a time:\n  number   true mean   the LSTM's")
stream, heard = model.stream(), []
for number in rng.uniform(-1, 1, 6):
    heard.append(number)
    print(f"  {number:6.2f}   {np.mean(heard):9.3f}   {stream.step([number])[0]:10.3f}")
stream.reset()
print("after a reset it has forgotten:", np.allclose(stream.state[0].h, 0) and np.allclose(stream.state[0].c, 0))
