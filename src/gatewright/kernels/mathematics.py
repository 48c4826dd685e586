"""Our own tanh, sigmoid and exponential: the same operations in the same order at every width.

The coefficients come from scripts/fit_tanh.py; scripts/check_tanh.py measures the errors over all 2^32 inputs.
"""

import math

from gatewright.kernels.emitter import Emitter, Value

EXP2 = (0.693147004, 0.240222469, 0.0555071123, 0.00967129413, 0.0013269406)  # 2^f = 1 + f (c0 + f (c1 + ...)), |f| <= 1/2
TANH = (-0.333331913, 0.133291319, -0.0535599664, 0.0200943556, -0.0051404899)  # tanh a = a + a^3 (c0 + a^2 (c1 + ...))
SMALL = 0.7  # where tanh goes over from the polynomial to the exponential
FAR = 20.0  # tanh is 1 from 9.1 on, further out nothing changes
ROUND = 1.5 * 2**23 + 127  # what makes `power` round, and leaves n + 127, the exponent of 2^n, in the lowest bits
LOG2E = 1 / math.log(2)
LOG2E_REST = LOG2E - 1.44269502162933349609375  # what float32's LOG2E lacks
LOWEST, HIGHEST = -127 / LOG2E, 128 / LOG2E  # of exp, where 2^n becomes 0 and infinite


def polynomial(e: Emitter, x: Value, coefficients: tuple[float, ...]) -> Value:
    """c0 + x (c1 + x (c2 + ...))."""
    total = e.constant(coefficients[-1])
    for c in coefficients[-2::-1]:
        total = e.fma(total, x, e.constant(c))
    return total


def power(e: Emitter, x: Value, base: float, rest: float = 0) -> tuple[Value, Value]:
    """(2^f, 2^n) for n + f = (base + rest) x, n whole, -127 <= n <= 128. NaN gives NaN in 2^f."""
    moved = e.fma(x, e.constant(base), e.constant(ROUND))
    n = e.sub(moved, e.constant(ROUND))
    f = e.fma(x, e.constant(base), e.negative(n))
    if rest:
        f = e.fma(x, e.constant(rest), f)
    return e.fma(polynomial(e, f, EXP2), f, e.constant(1)), e.shifted(moved, 23)


def tanh(e: Emitter, x: Value) -> Value:
    """tanh x: a + a^3 p(a^2) or 1 - 2 / (e^2a + 1) of a = |x|, with the sign of x."""
    a = e.intrinsic("fabs", x)
    square = e.mul(a, a)
    small = e.fma(e.mul(a, square), polynomial(e, square, TANH), a)
    fraction, scale = power(e, e.smaller(e.constant(FAR), a), 2 * LOG2E)
    large = e.sub(e.constant(1), e.div(e.constant(2), e.fma(fraction, scale, e.constant(1))))
    return e.intrinsic("copysign", e.where(e.below(e.constant(SMALL), a), large, small), x)  # NaN is on the small side


def exp(e: Emitter, x: Value) -> tuple[Value, Value]:
    """e^x as (2^f, 2^n): 0 below the normal range, infinite above it."""
    x = e.larger(e.constant(LOWEST), e.smaller(e.constant(HIGHEST), x))
    return power(e, x, LOG2E, LOG2E_REST)


def sigmoid(e: Emitter, x: Value) -> Value:
    """1 / (1 + e^-x), right in relative terms; 0 where that is below the normal range."""
    fraction, scale = exp(e, e.negative(x))
    return e.div(e.constant(1), e.fma(fraction, scale, e.constant(1)))


def relu(e: Emitter, x: Value) -> Value:
    """max(x, 0); NaN gives NaN."""
    return e.larger(e.constant(0), x)


def linear(e: Emitter, x: Value) -> Value:
    """x."""
    return x


FUNCTIONS = {"tanh": tanh, "sigmoid": sigmoid, "relu": relu, "linear": linear}
