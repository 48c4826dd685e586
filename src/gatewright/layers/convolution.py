"""Convolution over time."""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from gatewright import activations, checks, initializers
from gatewright.activations import Activation, ActivationLike
from gatewright.arrays import Array, rows
from gatewright.errors import OptionError, ShapeError, one_of
from gatewright.layers import dispatch, sliding
from gatewright.layers.base import Layer, Result, Rng, Shape, Step, spread
from gatewright.layers.dispatch import Ask, Choice
from gatewright.layers.simple import NARROW
from gatewright.layers.sliding import Layout, Window
from gatewright.parameters import Parameters, Scope
from gatewright.steps import Steps


class ConvState(NamedTuple):
    """What a causal convolution remembers."""

    x: Array  # ((kernel_size - 1) * dilation, B, F) the last live steps of the input


class ConvCache(NamedTuple):
    layout: Layout
    x: Array  # (G, N, K F / G) what every live step of the output reads, a group apart
    z: Array  # (N, O) before the activation; after compiled code y, for none of its activations needs more to be undone
    y: Array  # (N, O) after it
    kernel: Any  # the compiled code that ran, or None


@dataclass(frozen=True, init=False, repr=False)
class Conv1D(Layer):
    """y[t] = activation(sum over k of x[t * stride + k * dilation] W[k] + b), x with the padding before and behind it.

    x is (B, T, input_size), y (B, T', output_size); W is (kernel_size, input_size / groups, output_size), as in Keras, b
    (output_size,). padding: "valid" (T' = (T - (kernel_size - 1) dilation - 1) // stride + 1), "same" (zeros around the row,
    T' = ceil(T / stride)) or "causal" (zeros before it, as many steps out). Each of the `groups` reads its part of the features
    and makes its part of the output. A row of length n gives what it would give alone. With padding="causal" and stride=1 the
    state is the last steps of the input, ((kernel_size - 1) * dilation, B, F), and chunks equal the whole. Other options are
    Dense's. Raises OptionError for impossible ones.
    """

    input_size: int
    output_size: int
    kernel_size: int
    stride: int
    padding: str
    dilation: int
    groups: int
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
        kernel_size: int,
        *,
        stride: int = 1,
        padding: str = "valid",
        dilation: int = 1,
        groups: int = 1,
        activation: ActivationLike = None,
        bias: bool = True,
        init: str = "keras",
        kernel_initializer: str | None = None,
        bias_initializer: str | None = None,
        trainable: bool = True,
    ) -> None:
        self._store(locals())
        object.__setattr__(self, "activation", activations.get(activation))
        for name in ("input_size", "output_size", "groups"):
            checks.whole_number(name, getattr(self, name))
        self.window.check("kernel_size", ("valid", "same", "causal"))
        checks.true_or_false("bias", bias)
        checks.true_or_false("trainable", trainable)
        if input_size % groups or output_size % groups:
            raise OptionError(f"groups={groups} must divide input_size={input_size} and output_size={output_size}")
        if init not in ("keras", "pytorch"):
            raise one_of("init", init, ("keras", "pytorch"))
        if kernel_initializer == "identity":
            raise OptionError("kernel_initializer='identity' is for matrices, and this kernel has three axes")
        given = {"kernel_initializer": kernel_initializer, "bias_initializer": bias_initializer}
        self._store(initializers.resolve(init, bias, given))

    @cached_property
    def window(self) -> Window:
        """The steps that one step of the output reads."""
        return Window(self.kernel_size, self.stride, self.padding, self.dilation)

    @property
    def memory(self) -> int:
        """The steps of the input that the state holds; 0: there is no state."""
        return self.window.reach - 1 if self.padding == "causal" and self.stride == 1 else 0

    @property
    def _kernel(self) -> tuple[int, int, int]:
        """The shape of W: (K, F / G, O)."""
        return self.kernel_size, self.input_size // self.groups, self.output_size

    def shapes(self) -> dict[str, Shape]:
        return {"W": self._kernel, **({"b": (self.output_size,)} if self.bias else {})}

    def init(self, rng: np.random.Generator) -> Parameters:
        """W (kernel_size, input_size / groups, output_size) and b (output_size,)."""
        arrays = {}
        for name, shape in self.shapes().items():
            chosen = self.kernel_initializer if name == "W" else self.bias_initializer
            limit = initializers.uniform(1 / math.sqrt(self.kernel_size * self.input_size // self.groups))
            arrays[name] = (initializers.initializer(name, chosen) if chosen else limit)(rng, shape)
        return Parameters.of(arrays, () if self.trainable else arrays, float)

    def forward(
        self, params: Scope, x: Array, state: Any = None, *,
        steps: Steps | None = None, training: bool = False, rng: Rng = None, kernel: str = "auto",
    ) -> Result:  # fmt: skip
        """y (B, T', output_size) for x (B, T, input_size), and the last steps of x where they are the state."""
        layout = Layout(self.window, x.shape, sliding.lengths(self, steps, *x.shape[:2]))
        laid = layout.lay(x)
        if self.memory and state is not None:
            laid[:, : self.memory] = state.x.swapaxes(0, 1)
        read = self._grouped(np.stack(layout.taps(laid), axis=2), layout.live)
        run = self.choice(np.result_type(params["W"], x), kernel, training)
        if run.load is None:
            parts = read @ self._matrices(params["W"])
            code, z = None, np.moveaxis(parts, 0, 1).reshape(parts.shape[1], self.output_size)
            if self.bias:
                z += params["b"]
            y = self.activation.forward(z)
        else:
            code = run.load()
            z = y = code.infer(self._packed(code, params), read[0], self.output_size)
        out = spread(y, layout.live, (len(x), layout.time, self.output_size))
        after = ConvState(laid[self._last(layout)].swapaxes(0, 1).copy()) if self.memory else None
        return out, after, ConvCache(layout, read, z, y, code)

    def prepare(self, params: Scope, x: Array, state: Any, kernel: str) -> Step | None:
        run = self.choice(np.result_type(params["W"], x), kernel)
        sequence = x if x.ndim == 3 else x[:, None]
        layout = Layout(self.window, sequence.shape, None)
        if run.load is None or not layout.time:
            return None
        (batch, time, features), first = sequence.shape, int(self.window.before(sequence.shape[1]))
        laid = layout.lay(sequence)
        before, inside, after = laid[:, : self.memory], laid[:, first : first + time], laid[:, time : time + self.memory]
        memory = np.zeros((self.memory, batch, features), x.dtype) if state is None else state.x.copy()
        views, read = layout.taps(laid), np.empty((batch, layout.time, self.kernel_size, features), x.dtype)
        code = run.load()
        runs, y = code.step(self._packed(code, params), read.reshape(-1, math.prod(self._kernel[:2])), self.output_size)

        def lay() -> None:
            inside[...] = sequence
            before[...] = memory.swapaxes(0, 1)
            np.stack(views, axis=2, out=read)
            memory[...] = after.swapaxes(0, 1)

        out = y.reshape((batch, layout.time, self.output_size) if x.ndim == 3 else (batch, self.output_size))
        return Step((lay, *runs), out, ConvState(memory) if self.memory else None)

    def _grouped(self, taps: Array, live: Array | None) -> Array:
        """(B, T', K, F) as (G, N, K F / G): the live steps, a group apart."""
        flat = taps.reshape(-1, *taps.shape[2:]) if live is None else taps[live]
        parts = flat.reshape(len(flat), self.kernel_size, self.groups, self.input_size // self.groups)
        return np.moveaxis(parts, 2, 0).reshape(self.groups, len(flat), math.prod(self._kernel[:2]))

    def _d_grouped(self, dread: Array, layout: Layout) -> Array:
        """Undoes `_grouped`: (G, N, K F / G) -> (B, T', K, F)."""
        flat = np.moveaxis(dread.reshape(*dread.shape[:2], *self._kernel[:2]), 0, 2)
        return spread(flat, layout.live, (layout.shape[0], layout.time, self.kernel_size, self.input_size))

    def _matrices(self, W: Array) -> Array:
        """W (K, F / G, O) as one matrix a group, (G, K F / G, O / G)."""
        parts = np.moveaxis(W.reshape(*W.shape[:2], self.groups, self.output_size // self.groups), 2, 0)
        return parts.reshape(self.groups, math.prod(self._kernel[:2]), self.output_size // self.groups)

    def _d_matrices(self, dmatrices: Array) -> Array:
        """Undoes `_matrices`: (G, K F / G, O / G) -> (K, F / G, O)."""
        parts = dmatrices.reshape(self.groups, *self._kernel[:2], self.output_size // self.groups)
        return np.moveaxis(parts, 0, 2).reshape(self._kernel)

    def _last(self, layout: Layout) -> tuple[Array, Array]:
        """Where the last steps of every row lie, (B, memory): they end with the row, whatever comes behind it."""
        batch, time, _ = layout.shape
        ends = np.full(batch, time) if layout.lengths is None else layout.lengths
        return np.arange(batch)[:, None], ends[:, None] + np.arange(self.memory)

    def _packed(self, code: Any, params: Scope) -> Any:
        """The parameters as compiled code reads them: those of a Dense that is given a whole window."""
        return params.derived(code, lambda: code.pack(self._matrices(params["W"])[0], params["b"] if self.bias else None))

    def choice(self, dtype: Any, kernel: str, training: bool = False) -> Choice:
        problem = None if self.activation.plain else f"{self.activation!r} has constants of its own"
        problem = f"groups={self.groups}: one group is compiled" if self.groups > 1 else problem
        kind = "narrow dense" if self.output_size < NARROW else "dense"
        return dispatch.choose(Ask(dtype, kernel, training, problem), kind, self.activation.name)

    def backward(self, params: Scope, grads: Scope, cache: ConvCache, dy: Array, dstate: Any = None) -> tuple[Array, Any]:
        """dx (B, T, input_size) from dy (B, T', output_size), and the gradient of the state."""
        layout, read, z, y, code = cache
        dz = self.activation.backward(z, y, rows(dy if layout.live is None else dy[layout.live]))  # y = activation(z)
        if self.bias:
            grads.add("b", np.ones(len(dz), dz.dtype) @ dz)
        dparts = np.moveaxis(dz.reshape(len(dz), self.groups, self.output_size // self.groups), 1, 0)
        grads.add("W", self._d_matrices(read.swapaxes(1, 2) @ dparts))  # z = windows W + b
        turned = self._matrices(params["W"]).swapaxes(1, 2)
        if code is None:
            dread = dparts @ turned
        else:
            dread = code.through(params.derived((code, "back"), lambda: code.pack(turned[0], None)), dz, turned.shape[2])[None]
        dtaps = self._d_grouped(dread, layout)
        dlaid = layout.d_taps(np.moveaxis(dtaps, 2, 0))
        if self.memory and dstate is not None:
            dlaid[self._last(layout)] += dstate.x.swapaxes(0, 1)
        before = ConvState(dlaid[:, : self.memory].swapaxes(0, 1).copy()) if self.memory else None
        return layout.d_lay(dlaid), before

    def shape_out(self, shape: Shape) -> Shape:
        if len(shape) != 3 or shape[2] != self.input_size:
            raise ShapeError(f"got x of shape {shape}, wanted (batch, time, {self.input_size})")
        return (shape[0], self.window.time_out(shape), self.output_size)

    def state_shape(self, batch: int) -> Any:
        return ConvState((self.memory, batch, self.input_size)) if self.memory else None  # type: ignore[arg-type]

    def lengths_out(self, lengths: Array) -> Array:
        return np.asarray(self.window.count(lengths))

    def steps_out(self, x: Array, steps: Steps | None) -> Steps | None:
        """Every row has as many live steps as windows."""
        return sliding.steps_out(self, self.window, x, steps)

    @property
    def features_in(self) -> int | None:
        return self.input_size

    @property
    def chunk_problem(self) -> str | None:
        if self.stride > 1:
            return f"Conv1D(stride={self.stride}) gives fewer steps than it takes"
        if self.window.reach > 1 and self.padding != "causal":
            return f"Conv1D(padding={self.padding!r}) reads ahead; padding='causal' does not"
        return None

    @property
    def analytic(self) -> bool:
        return self.activation.analytic
