"""Networks that `to_keras` writes: for the tests, and for golden/check_keras_files.py, which has Keras open the files."""

import numpy as np

import gatewright as gw
from gatewright.layers import leaves

B, T, F, H = 3, 8, 2, 3
LIVE = np.array([[1, 1, 0, 1, 0, 1, 1, 0], [0, 1, 1, 1, 0, 0, 0, 0], [1, 0, 0, 1, 1, 1, 1, 1]], bool)
OTHERS = {"activation": "softsign", "recurrent_activation": "hard_sigmoid"}
DROPS = {"input_dropout": 0.2, "recurrent_dropout": 0.3}
LAST = {"return_sequences": False}

NETWORKS = {
    "rnn": lambda: [gw.RNN(F, H, activation="relu")],
    "lstm": lambda: [gw.LSTM(F, H), gw.Dense(H, 2, "softmax")],
    "gru": lambda: [gw.GRU(F, H, bias=False), gw.GRU(H, 2, reset_after=False, **LAST)],
    "others": lambda: [gw.LSTM(F, H, **OTHERS), gw.GRU(H, 2, **OTHERS, bias=False, reset_after=False)],
    "no_bias": lambda: [gw.RNN(F, H, bias=False, activation=None), gw.LSTM(H, 2, bias=False, activation="elu")],
    "stack": lambda: [gw.LSTM(F, H, num_layers=3, dropout=0.5, **DROPS), gw.Dense(H, 1, bias=False)],
    "stack_back": lambda: [gw.GRU(F, H, num_layers=2, go_backwards=True), gw.RNN(H, 2, num_layers=2, **LAST)],
    "stack_both": lambda: [gw.GRU(F, H, num_layers=2, bidirectional=True, dropout=0.1, **LAST), gw.Dense(2 * H, 2, "gelu")],
    "both": lambda: [gw.Masking(-1.0), gw.LSTM(F, H, bidirectional=True, **DROPS), gw.Dropout(0.5), gw.RNN(2 * H, 2)],
    "both_differ": lambda: [
        gw.GRU(F, H, bidirectional=True, activation=("tanh", "relu")),
        gw.LSTM(2 * H, 2, bidirectional=True, num_layers=2, recurrent_activation=("sigmoid", "hard_sigmoid")),
    ],
    "ways": lambda: [
        gw.Masking(0.0), gw.Bidirectional(gw.LSTM(F, H), "sum", backward_layer=gw.GRU(F, H, reset_after=False)),
        gw.Bidirectional(gw.RNN(H, 2), "mul"), gw.Bidirectional(gw.GRU(2, 2, **LAST), "ave"),
    ],
    "ways_wide": lambda: [gw.Bidirectional(gw.LSTM(F, H, **LAST), backward_layer=gw.RNN(F, 2, activation=None, **LAST))],
    "masked": lambda: [gw.Masking(-1.0), gw.LSTM(F, H), gw.LayerNorm(H, epsilon=0.01), gw.GRU(H, 2, **LAST)],
    "masked_repeat": lambda: [gw.Masking(-1.0), gw.LSTM(F, H), gw.GRU(H, 2, num_layers=2, masked_output="repeat")],
    "masked_zero": lambda: [gw.Masking(-1.0), gw.Dense(F, F, "tanh"), gw.RNN(F, H)],
    "masked_back": lambda: [
        gw.Masking(-1.0), gw.RNN(F, H), gw.LSTM(H, 2, go_backwards=True, masked_output="repeat"), gw.LayerNorm(2),
    ],
    "masked_back_last": lambda: [gw.Masking(-1.0), gw.GRU(F, H, go_backwards=True, **LAST), gw.Dense(H, 2, "silu")],
    "words": lambda: [gw.Embedding(6, F, mask_zero=True), gw.LSTM(F, H), gw.Dense(H, 4, "leaky_relu"), gw.GRU(4, 2)],
    "words_unmasked": lambda: [gw.Embedding(6, F), gw.GRU(F, H, num_layers=2, dropout=0.2, **LAST), gw.Dense(H, 2, "sigmoid")],
    "rows": lambda: [gw.Dense(F, 4, "softplus"), gw.LayerNorm(4), gw.Dropout(0.5), gw.Dense(4, 2, "silu")],
    "stateful": lambda: [gw.LSTM(F, H, stateful=True), gw.Bidirectional(gw.GRU(H, 2, stateful=True)), gw.Dense(4, 1)],
    "stateful_stack": lambda: [gw.RNN(F, H, num_layers=2, stateful=True, **DROPS, **LAST)],
    "nested": lambda: [
        gw.Sequential(gw.Masking(-1.0), gw.RNN(F, H)), gw.Sequential(gw.Sequential(gw.GRU(H, 2)), gw.Dense(2, 1))
    ],
    "residual": lambda: [gw.Masking(-1.0), gw.LSTM(F, H), gw.Residual(gw.GRU(H, H)), gw.LSTM(H, 2, **LAST)],
    "residuals": lambda: [
        gw.Residual(gw.Sequential(gw.LSTM(F, H, num_layers=2), gw.Residual(gw.Dense(H, H, "tanh")), gw.Dense(H, F)))
    ],
    "parallel": lambda: [gw.Masking(-1.0), gw.Parallel([gw.LSTM(F, H), gw.RNN(F, 2)]), gw.GRU(H + 2, 2)],
    "parallel_sum": lambda: [
        gw.Parallel([gw.LSTM(F, H, **LAST), gw.Sequential(gw.Dense(F, F), gw.GRU(F, H, **LAST))], "sum"),
        gw.Parallel([gw.Dense(H, 2), gw.Dense(H, 2, "relu"), gw.LayerNorm(H)], "concat"),
    ],
    "parallel_mul": lambda: [
        gw.Parallel([gw.Sequential(gw.Masking(-1.0), gw.GRU(F, H)), gw.Sequential(gw.Masking(-1.0), gw.RNN(F, H))], "mul"),
        gw.Parallel([gw.LSTM(H, 2), gw.GRU(H, 2, bidirectional=False)], "ave"), gw.Parallel([gw.RNN(2, 2)]),
    ],
    "parallel_words": lambda: [
        gw.Parallel([gw.Embedding(6, 2, mask_zero=True), gw.Shared(gw.Embedding(6, 2, mask_zero=True), "e")]), gw.LSTM(4, 2)
    ],
    "shared": lambda: [
        gw.Masking(-1.0), gw.Shared(gw.RNN(F, F), "a/b"), gw.Shared(gw.Sequential(gw.Dense(F, 4, "tanh"), gw.GRU(4, F)), "c"),
        gw.Shared(gw.RNN(F, F), "a/b"), gw.Residual(gw.Shared(gw.Sequential(gw.Dense(F, 4, "tanh"), gw.GRU(4, F)), "c")),
    ],
    "float64": lambda: [gw.Masking(-1.0), gw.LSTM(F, H), gw.Dense(H, 2)],
    "float64_words": lambda: [gw.Embedding(6, F, mask_zero=True), gw.GRU(F, H, bidirectional=True, **LAST)],
    "frozen": lambda: [
        gw.LSTM(F, H, trainable=False), gw.LayerNorm(H), gw.GRU(H, 2, num_layers=2, bidirectional=True), gw.LayerNorm(4),
        gw.LayerNorm(4, trainable=False), gw.Dense(4, 2, trainable=False),
    ],
}  # fmt: skip
CHAINS = [name for name in NETWORKS if not name.startswith(("residual", "parallel", "shared"))]


def model_of(name):
    """The model, nothing zero, and the rows that Keras is to build it for, or None."""
    layers = NETWORKS[name]()
    model = gw.Model(
        gw.Sequential(*layers), seed=0, dtype="float64" if name.startswith("float64") else "float32", kernel="numpy"
    )
    rng = np.random.default_rng(sorted(NETWORKS).index(name))
    with model.parameters.edit() as flat:
        flat[:] = 0.6 * rng.standard_normal(flat.shape) + 0.1
    if name == "frozen":  # a layer of Keras' is frozen as a whole, a LayerNorm's gain or shift may be left out
        model.freeze(["2.layer0.backward", "1.gain", "3.shift"])
        model.parameters.assign({"1.gain": np.ones(H), "3.shift": np.zeros(4)})
    return model, B if name.startswith("stateful") else None


def input_of(name):
    """x, with dead steps where the network masks some."""
    rng, maskings = np.random.default_rng(5), [part for part in parts_of(name) if isinstance(part, gw.Masking)]
    if "words" in name:
        return np.where(LIVE, rng.integers(1, 6, (B, T)), 0)
    if name == "rows":
        return rng.standard_normal((B, F)).astype(np.float32)
    x = rng.standard_normal((B, T, F)).astype(np.float32)
    if maskings:
        x[~LIVE] = maskings[0].value
    return x


def parts_of(name):
    """All layers of a network, those inside others too."""
    return leaves(gw.Sequential(*NETWORKS[name]()))


def live_of(name, y):
    """Bool, of y's shape: what can be compared. At dead steps Keras has other numbers, but where a recurrent layer is last."""
    masked = any(isinstance(part, gw.Masking) or getattr(part, "mask_zero", False) for part in parts_of(name))
    if y.ndim < 3 or not masked or isinstance(NETWORKS[name]()[-1], gw.RNN | gw.LSTM | gw.GRU | gw.Bidirectional):
        return np.ones(y.shape, bool)
    live = LIVE[:, ::-1] if name == "masked_back" else LIVE
    return np.broadcast_to(live[..., None], y.shape)
