"""Layers without memory: Dense, LayerNorm, Dropout."""

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from gatewright import activations, checks, initializers
from gatewright.activations import Activation, ActivationLike
from gatewright.arrays import Array, rows
from gatewright.errors import ShapeError, one_of
from gatewright.layers import dispatch
from gatewright.layers.base import Layer, Result, Rng, Shape, Step, dropout_mask, live_steps, spread, zero_dead
from gatewright.layers.dispatch import Ask, Choice
from gatewright.parameters import Parameters, Scope
from gatewright.steps import Steps

NARROW = 16  # outputs; with fewer, compiled code computes much that nobody wants, and NumPy trains faster


class DenseCache(NamedTuple):
    x: Array  # (N, F) the live rows of the input
    z: Array  # (N, O) before the activation; after compiled code y, for none of its activations needs more to be undone
    y: Array  # (N, O) after it
    live: Array | None  # (B, T)
    shape: Shape  # of the input
    kernel: Any  # the compiled code that ran, or None


@dataclass(frozen=True, init=False, repr=False)
class Dense(Layer):
    """y = activation(x W + b) on the last axis of anything: (…, input_size) -> (…, output_size).

    W is (input_size, output_size), b (output_size,). activation: a name (softmax and log_softmax too), None (linear) or a
    gw.Activation. init: "keras" (kernel_initializer, "glorot_uniform", and bias_initializer, "zeros", or others by name) or
    "pytorch" (all of U(-1/sqrt(F), 1/sqrt(F))). trainable: False freezes both. Raises OptionError for impossible options.
    """

    input_size: int
    output_size: int
    activation: Activation
    bias: bool
    initialization: str
    kernel_initializer: str | None
    bias_initializer: str | None
    trainable: bool

    def __init__(
        self,
        input_size: int,
        output_size: int,
        activation: ActivationLike = None,
        *,
        bias: bool = True,
        init: str = "keras",
        kernel_initializer: str | None = None,
        bias_initializer: str | None = None,
        trainable: bool = True,
    ) -> None:
        self._store(locals())
        object.__setattr__(self, "activation", activations.get(activation))
        checks.whole_number("input_size", input_size)
        checks.whole_number("output_size", output_size)
        checks.true_or_false("bias", bias)
        checks.true_or_false("trainable", trainable)
        if init not in ("keras", "pytorch"):
            raise one_of("init", init, ("keras", "pytorch"))
        given = {"kernel_initializer": kernel_initializer, "bias_initializer": bias_initializer}
        self._store(initializers.resolve(init, bias, given))

    def shapes(self) -> dict[str, Shape]:
        return {"W": (self.input_size, self.output_size), **({"b": (self.output_size,)} if self.bias else {})}

    def init(self, rng: np.random.Generator) -> Parameters:
        """W (input_size, output_size) and b (output_size,)."""
        arrays = {}
        for name, shape in self.shapes().items():
            chosen = self.kernel_initializer if name == "W" else self.bias_initializer
            limit = initializers.uniform(1 / math.sqrt(self.input_size))
            arrays[name] = (initializers.initializer(name, chosen) if chosen else limit)(rng, shape)
        return Parameters.of(arrays, () if self.trainable else arrays, float)

    def forward(
        self, params: Scope, x: Array, state: Any = None, *,
        steps: Steps | None = None, training: bool = False, rng: Rng = None, kernel: str = "auto",
    ) -> Result:  # fmt: skip
        """y (…, output_size) for x (…, input_size)."""
        live = live_steps(x, steps)
        flat = rows(x if live is None else x[live])
        run = self.choice(np.result_type(params["W"], x), kernel, training)
        if run.load is None:
            code, z = None, flat @ params["W"]
            if self.bias:
                z += params["b"]
            y = self.activation.forward(z)
        else:
            code = run.load()
            z = y = _infer(code, self, params, flat, self.output_size)
        return spread(y, live, (*x.shape[:-1], self.output_size)), None, DenseCache(flat, z, y, live, x.shape, code)

    def prepare(self, params: Scope, x: Array, state: Any, kernel: str) -> Step | None:
        return _step(self.choice(np.result_type(params["W"], x), kernel), self, params, x, self.output_size)

    def packed(self, kernel: Any, params: Scope) -> Any:
        """The parameters as `kernel` reads them."""
        return params.derived(kernel, lambda: kernel.pack(params["W"], params["b"] if self.bias else None))

    def choice(self, dtype: Any, kernel: str, training: bool = False) -> Choice:
        problem = None if self.activation.plain else f"{self.activation!r} has constants of its own"
        kind = "narrow dense" if self.output_size < NARROW else "dense"
        return dispatch.choose(Ask(dtype, kernel, training, problem), kind, self.activation.name)

    def backward(self, params: Scope, grads: Scope, cache: DenseCache, dy: Array, dstate: Any = None) -> tuple[Array, Any]:
        """dx (…, input_size) from dy (…, output_size)."""
        x, z, y, live, shape, code = cache
        dflat = rows(dy if live is None else dy[live])
        dz = self.activation.backward(z, y, dflat)  # y = activation(z)
        if self.bias:
            grads.add("b", np.ones(len(dz), dz.dtype) @ dz)  # the sum over the rows, 4 times faster
        grads.add("W", x.T @ dz)  # z = x W + b
        if code is None:
            dx = np.dot(dz, params["W"].T)  # for one output, matmul takes 8 times as long as dot
        else:
            dx = code.through(params.derived((code, "back"), lambda: code.pack(params["W"].T, None)), dz, self.input_size)
        return spread(dx, live, shape), None

    def shape_out(self, shape: Shape) -> Shape:
        if len(shape) < 2 or shape[-1] != self.input_size:
            raise ShapeError(f"got x of shape {shape}, wanted (batch, …, {self.input_size})")
        return (*shape[:-1], self.output_size)

    @property
    def features_in(self) -> int | None:
        return self.input_size

    @property
    def analytic(self) -> bool:
        return self.activation.analytic


def _infer(kernel: Any, layer: "Dense | LayerNorm", params: Scope, x: Array, size: int) -> Array:
    """The output (N, size) of compiled code."""
    return np.asarray(kernel.infer(layer.packed(kernel, params), x, size))


def _step(run: Choice, layer: "Dense | LayerNorm", params: Scope, x: Array, size: int) -> Step | None:
    """The compiled rows of x (…, F), prepared."""
    if run.load is None:
        return None
    kernel = run.load()
    runs, y = kernel.step(layer.packed(kernel, params), rows(x), size)
    return Step(runs, y.reshape(*x.shape[:-1], size))


@dataclass(frozen=True, init=False, repr=False)
class LayerNorm(Layer):
    """Layer normalisation (Ba et al. 2016) over the last axis: y = gain (x - mean) / sqrt(var + epsilon) + shift.

    (…, size) -> (…, size); gain and shift are (size,). epsilon keeps a constant row from a division by zero. Raises OptionError
    for impossible options.
    """

    size: int
    epsilon: float
    trainable: bool

    def __init__(self, size: int, *, epsilon: float = 1e-5, trainable: bool = True) -> None:
        self._store(locals())
        checks.whole_number("size", size)
        checks.true_or_false("trainable", trainable)
        checks.positive("epsilon", epsilon)

    def shapes(self) -> dict[str, Shape]:
        return {"gain": (self.size,), "shift": (self.size,)}

    def init(self, rng: np.random.Generator) -> Parameters:
        """gain (size,), ones, and shift (size,), zeros."""
        arrays = {"gain": np.ones(self.size), "shift": np.zeros(self.size)}
        return Parameters.of(arrays, () if self.trainable else arrays, float)

    def forward(
        self, params: Scope, x: Array, state: Any = None, *,
        steps: Steps | None = None, training: bool = False, rng: Rng = None, kernel: str = "auto",
    ) -> Result:  # fmt: skip
        """y (…, size) for x (…, size)."""
        live = live_steps(x, steps)
        flat = rows(x if live is None else x[live])
        run = self.choice(np.result_type(params["gain"], x), kernel, training)
        if run.load is not None:
            y = _infer(run.load(), self, params, flat, self.size)
            return spread(y, live, x.shape), None, (flat, None, live, x.shape)
        normal, scale = self._normal(flat)
        return spread(normal * params["gain"] + params["shift"], live, x.shape), None, (normal, scale, live, x.shape)

    def _normal(self, x: Array) -> tuple[Array, Array]:
        """x (N, size) with mean 0 and variance 1 in every row, and what each row was multiplied by, (N, 1)."""
        centred = x - x.mean(axis=-1, keepdims=True)
        scale = 1 / np.sqrt((centred * centred).mean(axis=-1, keepdims=True) + x.dtype.type(self.epsilon))
        return centred * scale, scale

    def prepare(self, params: Scope, x: Array, state: Any, kernel: str) -> Step | None:
        return _step(self.choice(np.result_type(params["gain"], x), kernel), self, params, x, self.size)

    def packed(self, kernel: Any, params: Scope) -> Any:
        """The parameters as `kernel` reads them."""
        return params.derived((kernel, self), lambda: kernel.pack(params["gain"], params["shift"], self.epsilon))

    def choice(self, dtype: Any, kernel: str, training: bool = False) -> Choice:
        return dispatch.choose(Ask(dtype, kernel, training), "norm")

    def backward(self, params: Scope, grads: Scope, cache: Any, dy: Array, dstate: Any = None) -> tuple[Array, Any]:
        """dx (…, size) from dy (…, size)."""
        normal, scale, live, shape = cache
        if scale is None:  # compiled code ran
            normal, scale = self._normal(normal)
        dflat = rows(dy if live is None else dy[live])
        grads.add("shift", dflat.sum(axis=0))
        grads.add("gain", (dflat * normal).sum(axis=0))
        dnormal = dflat * params["gain"]  # y = normal gain + shift
        # normal = (x - mean) scale: what changes mean or variance alone has no effect
        mean, along = dnormal.mean(axis=-1, keepdims=True), (dnormal * normal).mean(axis=-1, keepdims=True)
        return spread((dnormal - mean - normal * along) * scale, live, shape), None

    def shape_out(self, shape: Shape) -> Shape:
        if len(shape) < 2 or shape[-1] != self.size:
            raise ShapeError(f"got x of shape {shape}, wanted (batch, …, {self.size})")
        return shape

    @property
    def features_in(self) -> int | None:
        return self.size


@dataclass(frozen=True, init=False, repr=False)
class Dropout(Layer):
    """Inverted dropout (Srivastava et al. 2014) in training: each number is 0 with probability `rate`, else / (1 - rate).

    Any shape; outside training x goes through. Raises OptionError for a rate outside [0, 1).
    """

    rate: float

    def __init__(self, rate: float) -> None:
        self._store(locals())
        checks.fraction("rate", rate)

    def init(self, rng: np.random.Generator) -> Parameters:
        """No parameters."""
        return Parameters({})

    def prepare(self, params: Scope, x: Array, state: Any, kernel: str) -> Step | None:
        return Step((), x)

    def forward(
        self, params: Scope, x: Array, state: Any = None, *,
        steps: Steps | None = None, training: bool = False, rng: Rng = None, kernel: str = "auto",
    ) -> Result:  # fmt: skip
        """x (…), of the same shape, with numbers dropped in training."""
        live = live_steps(x, steps)
        keep = dropout_mask(x, self.rate, rng) if training and self.rate else None
        y = zero_dead(x, live)
        return y if keep is None else y * keep, None, (keep, live)

    def backward(self, params: Scope, grads: Scope, cache: Any, dy: Array, dstate: Any = None) -> tuple[Array, Any]:
        """dx of the shape of dy."""
        keep, live = cache
        return zero_dead(dy if keep is None else dy * keep, live), None

    choice = dispatch.copies

    def shape_out(self, shape: Shape) -> Shape:
        return shape
