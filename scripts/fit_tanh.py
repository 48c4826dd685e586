"""Fits the polynomials of the kernels' tanh and exponential, and prints them as they stand in kernels/mathematics.py.

    exp2:  2^f = 1 + f q(f)            for |f| <= 1/2
    tanh:  tanh(a) = a + a^3 p(a^2)    for 0 <= a <= SMALL

Each is the minimax fit of the relative error of the whole, found by Lawson's iteration (reweighted least squares) in float64;
the coefficients are then rounded to float32 one after the other, the lowest first, and the others fitted again, so that each
makes up for the rounding of those before it. usage: python scripts/fit_tanh.py
"""

from collections.abc import Callable

import numpy as np

SMALL = 0.7
POINTS = 4001


def lawson(basis: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Coefficients c that make max |basis c - target| small: basis (N, K), target (N,)."""
    weights = np.full(len(target), 1 / len(target))
    for _ in range(300):
        root = np.sqrt(weights)[:, None]
        c = np.linalg.lstsq(basis * root, target * root[:, 0], rcond=None)[0]
        error = np.abs(basis @ c - target)
        weights = weights * error
        weights /= weights.sum()
    return c


def fit(x: np.ndarray, powers: list[int], fixed: Callable, wanted: Callable) -> tuple[list[np.float32], float]:
    """float32 coefficients of `powers` for wanted(x) - fixed(x), relative to wanted(x), and the largest relative error left."""
    scale = wanted(x)
    basis = np.stack([x**power for power in powers], axis=1) / scale[:, None]
    rest = (wanted(x) - fixed(x)) / scale
    done: list[np.float32] = []
    while len(done) < len(powers):
        c = lawson(basis[:, len(done) :], rest)
        done.append(np.float32(c[0]))
        rest = rest - basis[:, len(done) - 1] * float(done[-1])
    return done, float(np.abs(rest).max())


def fits() -> dict[str, tuple[list[np.float32], float]]:
    """The coefficients and the error of each, by its name in kernels/mathematics.py."""
    half = np.cos(np.linspace(0, np.pi, POINTS)) / 2
    small = SMALL * np.cos(np.linspace(0, np.pi / 2, POINTS)[:-1])
    return {
        "EXP2": fit(half, list(range(1, 6)), np.ones_like, np.exp2),
        "TANH": fit(small, list(range(3, 12, 2)), lambda a: a, np.tanh),
    }


def main() -> None:
    for name, (coefficients, error) in fits().items():
        numbers = ", ".join(f"{float(c):.9g}" for c in coefficients)
        print(f"{name} = ({numbers})  # relative error {error:.1e}, before rounding in the evaluation")


if __name__ == "__main__":
    main()
