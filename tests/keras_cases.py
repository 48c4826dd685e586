"""Networks that `to_keras` writes: for the tests, and for golden/check_keras_files.py, which has Keras open the files.

Average pooling with padding="same" has as much of it at both ends: where one has more, Keras differs between its backends.
"""

import zlib

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
    "conv": lambda: [
        gw.Conv1D(F, 4, 3, padding="same", activation="relu"), gw.BatchNorm(4), gw.MaxPooling1D(2),
        gw.Conv1D(4, 4, 2, groups=2), gw.LSTM(4, H, **LAST), gw.Dense(H, 2), gw.Activate("softmax"),
    ],
    "conv_causal": lambda: [
        gw.Conv1D(F, 4, 2, padding="causal", dilation=2, bias=False), gw.Activate("silu"), gw.Conv1D(4, 4, 3, padding="causal"),
        gw.AveragePooling1D(4, stride=3, padding="same"), gw.GlobalMaxPooling1D(),
    ],
    "conv_strides": lambda: [
        gw.Conv1D(F, 4, 3, stride=2, padding="same"), gw.MaxPooling1D(2, stride=1, padding="same"),
        gw.Conv1D(4, 3, 2, stride=2), gw.Bidirectional(gw.GRU(3, 2)),
    ],
    "conv_mean": lambda: [gw.Conv1D(F, 4, 1, groups=2), gw.AveragePooling1D(2), gw.BatchNorm(4), gw.GlobalAveragePooling1D()],
    "masked_mean": lambda: [gw.Masking(0.1), gw.GRU(F, H), gw.BatchNorm(H), gw.GlobalAveragePooling1D(), gw.Dense(H, 2)],
    "words_mean": lambda: [
        gw.Embedding(6, F, mask_zero=True), gw.Activate("tanh"), gw.GlobalAveragePooling1D(), gw.RepeatVector(4),
        gw.MaxPooling1D(2),
    ],
    "words_max": lambda: [gw.Embedding(6, F), gw.Conv1D(F, 3, 3), gw.GlobalMaxPooling1D()],
    "repeat": lambda: [gw.LSTM(F, H, **LAST), gw.RepeatVector(4), gw.GRU(H, 2), gw.Dense(2, 1)],
    "repeat_masked": lambda: [gw.Masking(-1.0), gw.GRU(F, H, **LAST), gw.RepeatVector(3), gw.LSTM(H, 2, go_backwards=True)],
    "repeat_ways": lambda: [
        gw.Masking(-1.0), gw.Bidirectional(gw.RNN(F, H, **LAST), "sum"), gw.RepeatVector(5), gw.Conv1D(H, 2, 3),
        gw.Activate("elu"),
    ],
    "residual_conv": lambda: [
        gw.Residual(gw.Sequential(gw.Conv1D(F, F, 3, padding="causal"), gw.Activate("relu"))),
        gw.Parallel([gw.Activate(None), gw.LSTM(F, H), gw.Conv1D(F, 2, 5, padding="same")]), gw.GlobalAveragePooling1D(),
    ],
    "float64": lambda: [gw.Masking(-1.0), gw.LSTM(F, H), gw.Dense(H, 2)],
    "float64_words": lambda: [gw.Embedding(6, F, mask_zero=True), gw.GRU(F, H, bidirectional=True, **LAST)],
    "frozen": lambda: [
        gw.LSTM(F, H, trainable=False), gw.LayerNorm(H), gw.GRU(H, 2, num_layers=2, bidirectional=True), gw.LayerNorm(4),
        gw.LayerNorm(4, trainable=False), gw.Dense(4, 2, trainable=False),
    ],
}  # fmt: skip
CHAINS = [name for name in NETWORKS if not name.startswith(("residual", "parallel", "shared"))]
READ = [name for name in NETWORKS if name not in ("parallel_mul", "parallel_words")]  # in those, two layers make one mask


def model_of(name):
    """The model, nothing zero, and the rows that Keras is to build it for, or None."""
    layers = NETWORKS[name]()
    model = gw.Model(
        gw.Sequential(*layers), seed=0, dtype="float64" if name.startswith("float64") else "float32", kernel="numpy"
    )
    rng = np.random.default_rng([7, zlib.crc32(name.encode())])
    with model.parameters.edit() as flat:
        flat[:] = 0.6 * rng.standard_normal(flat.shape) + 0.1
    model.parameters.assign({key: np.abs(a) + 0.2 for key, a in model.parameters.items() if key.endswith(".var")})
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
    parts = parts_of(name)
    masked = any(isinstance(part, gw.Masking) or getattr(part, "mask_zero", False) for part in parts)
    repeats = any(isinstance(part, gw.RepeatVector) for part in parts)  # then all steps live
    if y.ndim < 3 or not masked or repeats or isinstance(NETWORKS[name]()[-1], gw.RNN | gw.LSTM | gw.GRU | gw.Bidirectional):
        return np.ones(y.shape, bool)
    live = LIVE[:, ::-1] if name == "masked_back" else LIVE
    return np.broadcast_to(live[..., None], y.shape)


# ------------------------------------------------------------------------------------------------ random networks


def random_network(seed):
    """(model, x, live): layers, branches, sums and shared layers inside each other, by chance, over T steps of F features.

    Weights are found by the order in which Keras lists a graph's layers, which depends on how deep each stands.
    """
    rng = np.random.default_rng(seed)
    masked = bool(rng.integers(2))
    shared = [gw.Shared(gw.Sequential(gw.Dense(F, F, "tanh"), gw.GRU(F, F)), "a"), gw.Shared(gw.RNN(F, F), "b")]
    layers = [gw.Masking(-1.0)] * masked + [gw.RNN(F, F)]
    layers += [_random_layer(rng, 3, masked, shared) for _ in range(rng.integers(1, 4))]
    ends = [
        gw.Parallel([_random_cell(rng, **LAST), gw.Sequential(_random_layer(rng, 2, masked, shared), gw.GRU(F, F, **LAST))])
    ]
    layers += [[], [_random_cell(rng, **LAST)], [*ends, gw.Residual(gw.Dense(2 * F, 2 * F, "tanh"))]][rng.integers(3)]
    model = gw.Model(gw.Sequential(*layers), seed=0, kernel="numpy")
    with model.parameters.edit() as flat:
        flat[:] = 0.5 * rng.standard_normal(flat.shape)
    x = rng.standard_normal((B, T, F)).astype(np.float32)
    x[~LIVE] = -1.0 if masked else x[~LIVE]
    return model, x, LIVE if masked else np.ones_like(LIVE)


def _random_cell(rng, **options):
    kinds = [gw.RNN, gw.LSTM, gw.GRU, lambda *sizes, **given: gw.Bidirectional(gw.LSTM(*sizes, **given), "sum")]
    return kinds[rng.integers(len(kinds))](F, F, **options)


def _random_layer(rng, depth, masked, shared):
    """A layer from sequences to sequences."""
    kind = rng.integers(8) if depth else rng.integers(3)
    if kind < 3:
        plain = [
            gw.Dense(F, F, "tanh"),
            gw.Activate("softsign"),
            gw.GRU(F, F),
            *([] if masked else [gw.Conv1D(F, F, 3, padding="causal")]),
        ]
        return _random_cell(rng) if kind else plain[rng.integers(len(plain))]
    inner = [_random_layer(rng, depth - 1, masked, shared) for _ in range(rng.integers(1, 4))]
    if kind == 3:
        return gw.Residual(inner[0])
    if kind == 4:
        return gw.Sequential(inner)
    if kind == 5:
        return shared[rng.integers(2)]
    if kind == 6:
        return gw.Sequential(gw.Parallel(inner), gw.Dense(F * len(inner), F))
    return gw.Parallel(inner, ("sum", "mul", "ave")[rng.integers(3)])
