"""Activations as operators of ONNX."""

import math

from gatewright.activations import ROWWISE, Activation
from gatewright.errors import OptionError
from gatewright.interop.onnx.draft import Draft

PLAIN = {
    "tanh": "Tanh", "sigmoid": "Sigmoid", "relu": "Relu", "softsign": "Softsign", "softplus": "Softplus", "elu": "Elu",
    "leaky_relu": "LeakyRelu", "selu": "Selu", "thresholded_relu": "ThresholdedRelu", "hard_sigmoid": "HardSigmoid",
}  # fmt: skip


def activated(draft: Draft, activation: Activation, x: str, place: str) -> str:
    """activation(x), by an operator of that name or by what it is made of."""
    name, alpha, beta = activation.name, activation.alpha, activation.beta
    if activation.clip is not None:
        x = draft.add("Clip", [x, draft.number(-activation.clip), draft.number(activation.clip)], place)

    def two(op: str, a: str, b: str | float) -> str:
        return draft.add(op, [a, b if isinstance(b, str) else draft.number(b)], place)

    if name == "linear":
        return x
    if name in PLAIN:
        attributes = {key: value for key, value in (("alpha", alpha), ("beta", beta)) if value is not None}
        return draft.add(PLAIN[name], [x], place, attributes)
    if name in ROWWISE:
        return draft.add("Softmax" if name == "softmax" else "LogSoftmax", [x], place, {"axis": -1})
    if name == "silu":
        return two("Mul", x, draft.add("Sigmoid", [x], place))
    if name == "gelu":  # x (1 + erf(x / sqrt(2))) / 2
        both = two("Add", draft.add("Erf", [two("Mul", x, math.sqrt(0.5))], place), 1.0)
        return two("Mul", two("Mul", x, both), 0.5)
    if name == "scaled_tanh" and alpha is not None and beta is not None:
        return two("Mul", draft.add("Tanh", [two("Mul", x, beta)], place), alpha)
    if name == "affine" and alpha is not None and beta is not None:
        return two("Add", two("Mul", x, alpha), beta)
    raise OptionError(f"layer {place}: the activation {activation} has no counterpart in ONNX")
