"""One LSTM step, forward and backward, written out by hand and held against the layer: a batch of five, every gradient."""

import numpy as np

import gatewright as gw

B, F, H = 5, 3, 4  # rows, features, hidden units
rng = np.random.default_rng(0)
layer = gw.LSTM(F, H)
params = layer.init(rng)  # W (F, 4H), U (H, 4H), b (4H,), the gates in the order i f g o
x, h, c = rng.standard_normal((B, F)), rng.standard_normal((B, H)), rng.standard_normal((B, H))
dh_new, dc_new = rng.standard_normal((2, B, H))  # what the rest of a network would send back

# Forward: the gates come from the old h, the new cell from the old c.
z = x @ params["W"] + h @ params["U"] + params["b"]
zi, zf, zg, zo = np.split(z, 4, axis=1)
i, f, g, o = (gw.Activation(name).forward(a) for name, a in (("sigmoid", zi), ("sigmoid", zf), ("tanh", zg), ("sigmoid", zo)))
c_new = f * c + i * g
h_new = o * np.tanh(c_new)

# Backward: the same lines, last to first. The cell's gradient comes on two ways: through h_new, and from the step after.
do, dc = dh_new * np.tanh(c_new), dc_new + dh_new * o * (1 - np.tanh(c_new) ** 2)
df, di, dg = dc * c, dc * g, dc * i
dz = np.concatenate([di * i * (1 - i), df * f * (1 - f), dg * (1 - g**2), do * o * (1 - o)], axis=1)
by_hand = {
    "new h": h_new, "new c": c_new, "dW": x.T @ dz, "dU": h.T @ dz, "db": dz.sum(axis=0),
    "dx": dz @ params["W"].T, "dh": dz @ params["U"].T, "dc": dc * f,
}  # fmt: skip

# The layer: sequences are (B, T, F), a state is (layers, B, H).
y, state, cache = layer.forward(params, x[:, None], (h[None], c[None]))
grads = params.zeros_like()
dx, dstate = layer.backward(params, grads, cache, np.zeros_like(y), (dh_new[None], dc_new[None]))
by_layer = {
    "new h": state.h[0], "new c": state.c[0], "dW": grads["W"], "dU": grads["U"], "db": grads["b"],
    "dx": dx[:, 0], "dh": dstate.h[0], "dc": dstate.c[0],
}  # fmt: skip

print(f"one LSTM step: {B} rows, {F} features, {H} hidden units\n{'':8}{'shape':12}largest difference, by hand and layer")
for name, array in by_hand.items():
    difference = np.abs(array - by_layer[name]).max()
    print(f"{name:8}{array.shape!s:12}{difference:.1e}")
    assert difference < 1e-14

print("\nthree layers deep and seven steps long, the gradients are still right:")
print(gw.gradcheck(gw.LSTM(F, H, num_layers=3), rng.standard_normal((B, 7, F))))
