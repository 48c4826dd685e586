"""Operators that take and give numbers one by one: arithmetic, comparisons, activations."""

import math
from collections.abc import Callable
from functools import reduce
from typing import Any, TypeAlias

import numpy as np

from gatewright.activations import FORMULAS
from gatewright.arrays import Array
from gatewright.errors import FormatError
from gatewright.interop.onnx.calls import MANY, Call, Form, Forms, broadcast, floats, one, same

ALPHA = ("float", 1.0)


def _floats(x: Array) -> Array:
    floats(x)
    return x


def _unary(function: Callable[..., Array], *names: str) -> Callable[..., Array]:
    """An operator of floats; `names` are the attributes that the function takes."""
    return lambda call, x: function(_floats(x), *(x.dtype.type(call[name]) for name in names))


def _numeric(function: Callable[[Array], Array]) -> Callable[[Call, Array], Array]:
    """An operator of any numbers."""

    def run(call: Call, x: Array) -> Array:
        if x.dtype.kind not in "iuf":
            raise FormatError(f"got {x.dtype} values, wanted numbers")
        return function(x)

    return run


def _binary(function: Callable[[Array, Array], Array], kinds: str = "iuf") -> Callable[[Call, Array, Array], Array]:
    def run(call: Call, a: Array, b: Array) -> Array:
        same(a, b)
        if a.dtype.kind not in kinds:
            raise FormatError(f"got {a.dtype} values, which it does not take")
        broadcast(call, a, b)
        return function(a, b)

    return run


def _variadic(function: Callable[[Array, Array], Array]) -> Callable[..., Array]:
    def run(call: Call, *arrays: Array) -> Array:
        same(*arrays)
        broadcast(call, *arrays)
        if arrays[0].dtype.kind not in "iuf":
            raise FormatError(f"got {arrays[0].dtype} values, wanted numbers")
        return reduce(function, arrays)

    return run


def _mean(call: Call, *arrays: Array) -> Array:
    return np.asarray(_variadic(np.add)(call, *map(_floats, arrays)) / arrays[0].dtype.type(len(arrays)))


# --- arithmetic


def _divide(a: Array, b: Array) -> Array:
    """The quotient; of whole numbers truncated toward zero, as in C."""
    if a.dtype.kind == "f":
        return np.asarray(a / b)
    if not np.all(b):
        raise FormatError("a whole number is divided by zero")
    down = np.floor_divide(a, b)
    return np.asarray(down + ((np.remainder(a, b) != 0) & ((a < 0) != (b < 0))).astype(a.dtype))


def _modulo(call: Call, a: Array, b: Array) -> Array:
    """The remainder, with the sign of b, or with fmod=1 of a."""
    same(a, b)
    broadcast(call, a, b)
    if a.dtype.kind != "f" and not np.all(b):
        raise FormatError("a whole number is divided by zero")
    return np.asarray((np.fmod if call.choice("fmod", (0, 1)) else np.remainder)(a, b))


def _power(call: Call, base: Array, exponent: Array) -> Array:
    """base ** exponent, in the type of the base."""
    broadcast(call, base, exponent)
    if base.dtype.kind not in "iuf" or exponent.dtype.kind not in "iuf":
        raise FormatError(f"got {base.dtype} and {exponent.dtype} values, wanted numbers")
    whole = base.dtype.kind in "iu" and exponent.dtype.kind in "iu" and not np.any(exponent < 0)
    if base.dtype.kind == "f" or whole:
        return np.asarray(np.power(base, exponent.astype(base.dtype)))
    return np.asarray(np.power(base.astype(float), exponent.astype(float)).astype(base.dtype))


def _erf(x: Array) -> Array:
    # NumPy has none; the standard library's is right to the last digit.
    return np.asarray(np.frompyfunc(math.erf, 1, 1)(x.astype(float)), dtype=x.dtype)


# --- activations


def _selu(x: Array, alpha: Any, gamma: Any) -> Array:
    return np.asarray(gamma * FORMULAS["elu"].forward(x, alpha))


def _celu(x: Array, alpha: Any) -> Array:
    return np.asarray(np.maximum(x, 0) + np.minimum(alpha * np.expm1(np.minimum(x, 0) / alpha), 0))


def _prelu(call: Call, x: Array, slope: Array) -> Array:
    same(x, slope)
    if np.broadcast_shapes(x.shape, slope.shape) != x.shape:
        raise FormatError(f"a slope of shape {slope.shape} for x of shape {x.shape}")
    return np.where(x < 0, slope * x, x)


def _gelu(call: Call, x: Array) -> Array:
    if call.choice("approximate", ("none", "tanh")) == "none":
        return FORMULAS["gelu"].forward(_floats(x))
    half, inner = x.dtype.type(0.5), x.dtype.type(math.sqrt(2 / math.pi)) * (_floats(x) + x.dtype.type(0.044715) * x**3)
    return np.asarray(half * x * (1 + np.tanh(inner)))


def _swish(x: Array, alpha: Any) -> Array:
    return np.asarray(x * FORMULAS["sigmoid"].forward(alpha * x))


def _clip_attributes(call: Call, x: Array) -> Array:
    return np.clip(_floats(x), x.dtype.type(call["min"]), x.dtype.type(call["max"]))


def _clip(call: Call, x: Array, low: Array | None, high: Array | None) -> Array:
    for bound in (low, high):
        if bound is not None:
            same(x, bound)
            one(bound, "min or max")
    x = x if low is None else np.maximum(x, low.reshape(()))
    return x if high is None else np.minimum(x, high.reshape(()))


def _where(call: Call, condition: Array, x: Array, y: Array) -> Array:
    same(x, y)
    if condition.dtype.kind != "b":
        raise FormatError(f"a condition of {condition.dtype}, wanted bools")
    broadcast(call, condition, x, y)
    return np.where(condition, x, y)


def _formula(name: str, *constants: str) -> Callable[..., Array]:
    return _unary(FORMULAS[name].forward, *constants)


LIMITS = {"min": ("float", -3.4028234663852886e38), "max": ("float", 3.4028234663852886e38)}
SLOPE = ("float", 0.009999999776482582)  # 0.01, as a float32 is written
HARD = {"alpha": ("float", 0.20000000298023224), "beta": ("float", 0.5)}
SELU = {"alpha": ("float", 1.6732631921768188), "gamma": ("float", 1.0507010221481323)}


Functions: TypeAlias = dict[str, tuple[int, Callable[..., Any]]]  # {operator: (the opset that it came with, what it is)}
FLOATS: Functions = {
    "Sqrt": (1, np.sqrt), "Exp": (1, np.exp), "Log": (1, np.log), "Tanh": (1, np.tanh), "Reciprocal": (1, np.reciprocal),
    "Sigmoid": (1, FORMULAS["sigmoid"].forward), "Softplus": (1, FORMULAS["softplus"].forward),
    "Softsign": (1, FORMULAS["softsign"].forward), "Floor": (1, np.floor), "Ceil": (1, np.ceil), "Round": (11, np.rint),
    "Sin": (7, np.sin), "Cos": (7, np.cos), "IsNaN": (9, np.isnan),
}  # fmt: skip
NUMBERS: Functions = {
    "Neg": (1, np.negative), "Abs": (1, np.abs), "Sign": (9, np.sign), "Erf": (9, _erf), "Relu": (1, FORMULAS["relu"].forward),
}  # fmt: skip
PAIRS: Functions = {
    "Add": (7, np.add), "Sub": (7, np.subtract), "Mul": (7, np.multiply), "Div": (7, _divide),
    "Less": (7, np.less), "Greater": (7, np.greater),
    "LessOrEqual": (12, np.less_equal), "GreaterOrEqual": (12, np.greater_equal),
}  # fmt: skip
LOGIC: Functions = {"And": (7, np.logical_and), "Or": (7, np.logical_or), "Xor": (7, np.logical_xor)}
VARIADIC: Functions = {"Min": (6, np.minimum), "Max": (6, np.maximum), "Sum": (6, np.add)}


def _forms(functions: Functions, kind: Callable[..., Any], inputs: tuple[int, int], *words: str) -> Forms:
    return {name: (Form(since, kind(function, *words), inputs),) for name, (since, function) in functions.items()}


SIMPLE: Forms = _forms(FLOATS, _unary, (1, 1)) | _forms(NUMBERS, _numeric, (1, 1)) | _forms(VARIADIC, _variadic, (1, MANY))
FORMS: Forms = (
    SIMPLE
    | _forms(PAIRS, _binary, (2, 2))
    | _forms(LOGIC, _binary, (2, 2), "b")
    | {
        "Mean": (Form(6, _mean, (1, MANY)),),
        "Mod": (Form(10, _modulo, (2, 2), {"fmod": ("int", 0)}),),
        "Pow": (Form(7, _power, (2, 2)),),
        "Equal": (Form(7, _binary(np.equal, "biuf"), (2, 2)),),
        "Not": (Form(1, lambda call, x: _binary(np.not_equal, "b")(call, x, np.ones((), bool))),),
        "Where": (Form(9, _where, (3, 3)),),
        "Clip": (Form(6, _clip_attributes, (1, 1), LIMITS), Form(11, _clip, (1, 3))),
        "LeakyRelu": (Form(6, _formula("leaky_relu", "alpha"), (1, 1), {"alpha": SLOPE}),),
        "Elu": (Form(6, _formula("elu", "alpha"), (1, 1), {"alpha": ALPHA}),),
        "Selu": (Form(6, _unary(_selu, "alpha", "gamma"), (1, 1), SELU),),
        "Celu": (Form(12, _unary(_celu, "alpha"), (1, 1), {"alpha": ALPHA}),),
        "HardSigmoid": (Form(6, _formula("hard_sigmoid", "alpha", "beta"), (1, 1), HARD),),
        "HardSwish": (Form(14, _unary(lambda x: x * np.clip(x / 6 + 0.5, 0, 1))),),
        "ThresholdedRelu": (Form(10, _formula("thresholded_relu", "alpha"), (1, 1), {"alpha": ALPHA}),),
        "PRelu": (Form(7, _prelu, (2, 2)),),
        "Gelu": (Form(20, _gelu, (1, 1), {"approximate": ("string", "none")}),),
        "Mish": (Form(18, _unary(lambda x: x * np.tanh(FORMULAS["softplus"].forward(x)))),),
        "Swish": (Form(24, _unary(_swish, "alpha"), (1, 1), {"alpha": ALPHA}),),
    }
)
