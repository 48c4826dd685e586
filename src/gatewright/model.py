"""Model: a layer and its parameters, and everything that one does with them."""

import warnings
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from gatewright import checking, checks, files, inputs, layers, state, tables
from gatewright.arrays import Array, float_dtype, numbers
from gatewright.errors import OptionError, ShapeError
from gatewright.inputs import Batch
from gatewright.interop import keras_write, pytorch, rtneural
from gatewright.interop.onnx import write as onnx
from gatewright.layers import Layer, Recurrent, Sequential
from gatewright.parameters import Parameters, Scope
from gatewright.prepared import Pool, infer
from gatewright.state import tree_map
from gatewright.steps import Steps, padded
from gatewright.streaming import Stream
from gatewright.threads import Threads
from gatewright.weights import as_list, from_list

if TYPE_CHECKING:  # at run time inside the methods that train: who only runs a model does without
    from gatewright.training.batches import Data
    from gatewright.training.trainer import History


class Model:
    """A network that can be trained, run, checked and saved: a layer and its parameters.

    layer: any layer; `gw.Sequential(...)` for several. seed: of the initial weights, of shuffling and of dropout (None: from
    the system). dtype: "float32" or "float64". kernel: "auto" (compiled where it can be: see `kernels()`), "numpy", or
    "compiled" (refused where inference can't be; what has no compiled training trains on NumPy). threads: how many threads may
    share its work where there is enough (None: as many as the process has processors, or as OMP_NUM_THREADS says; a number
    binds the linear algebra too, and needs threadpoolctl). parameters: use these instead of new ones.

    Inputs are `(B, T, F)`, or `(B, T)` whole numbers where the network begins with an Embedding; a list of `(T_i, F)` gives
    a list of `(T_i, O)`. `lengths` (B,), `mask` (B, T) bool, True = live, and `starts` (B, T) bool, True = a new sequence
    begins, say which steps count; values at dead steps are never read, and outputs there are zero.
    """

    def __init__(
        self,
        layer: Layer,
        *,
        seed: int | None = None,
        dtype: Any = "float32",
        kernel: str = "auto",
        threads: int | None = None,
        parameters: Parameters | None = None,
    ) -> None:
        if not isinstance(layer, Layer):
            raise OptionError(f"Model: got {layer!r}, wanted a layer such as gw.LSTM(1, 32) or gw.Sequential(…)")
        if seed is not None:
            checks.whole_number("seed", seed, 0)
        self._layer = layer
        # Names in files begin with an index, so that a layer alone is kept as a Sequential of one.
        self._network = layer if isinstance(layer, Sequential) else Sequential(layer)
        self._dtype, self._kernel, self._threads = float_dtype(dtype), kernel, Threads(threads)
        parts = [part for part in layers.leaves(layer) if not part.children]
        for part in parts:
            part.choice(self._dtype, kernel)
        self._trains_compiled = any(
            part.choice(self._dtype, kernel, True).load for part in parts if isinstance(part, Recurrent)
        )
        self._warns = any(isinstance(part, Recurrent) and part.stateful for part in parts)
        self._rng = np.random.default_rng(seed)
        if parameters is not None and not isinstance(parameters, Parameters):
            raise OptionError(f"parameters: got {type(parameters).__name__}, wanted gw.Parameters")
        if parameters is not None and list(parameters.shapes.items()) != list(self._network.shapes().items()):
            raise ShapeError(f"parameters: got {parameters}, wanted those of {layer}: {self._network.shapes()}")
        self._parameters = (self._network.init(self._rng) if parameters is None else parameters).astype(self._dtype)
        self._pool = Pool(layer, self._scope, self._dtype, kernel, self._threads)

    @property
    def layer(self) -> Layer:
        """The layer that the model was made of."""
        return self._layer

    @property
    def network(self) -> Sequential:
        """The layer, as a Sequential of one if it is none: what `parameters` belongs to."""
        return self._network

    @property
    def parameters(self) -> Parameters:
        """The numbers, by name (`0.W`, `1.b` …) and as one flat vector."""
        return self._parameters

    @property
    def dtype(self) -> "np.dtype[Any]":
        """float32 or float64."""
        return self._dtype

    # --- running

    def predict(
        self, x: Any, batch_size: int | None = None, *, lengths: Any = None, mask: Any = None, starts: Any = None
    ) -> Any:
        """The output for x, (B, T, O) or (B, O), from a fresh state, which is not kept; `batch_size` rows at a time.

        Warns once of a network with stateful=True.

        Raises ShapeError, DataError or OptionError for impossible input, with what was got and what was wanted.
        """
        if self._warns:
            self._warns = False
            warnings.warn(inputs.STATEFUL, stacklevel=2)
        size = inputs.ROWS if batch_size is None else batch_size
        checks.whole_number("batch_size", size)
        given = Steps(lengths, mask, starts)
        if given.silent and isinstance(x, np.ndarray) and x.shape[:1] <= (size,) and (found := self._pool.run(x)):
            return found[0]
        batch, parts = self._batch(x, given), []
        for start in range(0, max(len(batch.x), 1), size):
            rows = slice(start, start + size)
            parts.append(self._forward(batch.x[rows], batch.steps and batch.steps.rows(rows), None)[0])
        y = inputs.own(parts[0], batch) if len(parts) == 1 else tree_map(lambda *arrays: np.concatenate(arrays), *parts)
        return inputs.as_given(y, batch)

    __call__ = predict

    def run(self, x: Any, state: Any = None, *, lengths: Any = None, mask: Any = None, starts: Any = None) -> tuple[Any, Any]:
        """(output, state after the last live step) for x from `state` (None: the learned one, or zero).

        What comes out as state goes in again: two chunks equal one sequence. It has (num_layers * directions, B, H) arrays,
        h and, for an LSTM, c; a network of several layers has a tuple with one entry a layer. `state_like` builds one by
        hand. Raises as `predict` does.
        """
        given = Steps(lengths, mask, starts)
        if given.silent and state is None and (found := self._pool.run(x)):
            return found
        batch = self._batch(x, given)
        start = self._checked_state(state, len(batch.x))
        if batch.steps is None and (found := self._pool.run(batch.x, start)):
            return found
        y, after = self._forward(batch.x, batch.steps, start)
        return inputs.as_given(inputs.own(y, batch), batch), tree_map(np.array, after)

    def stream(self, batch_size: int = 1) -> Stream:
        """A Stream: one step or chunk in, one out, the state kept."""
        return Stream(self._layer, self._scope, self._dtype, batch_size, self._kernel, self._threads)

    def state_like(self, h: Any, c: Any = None) -> Any:
        """A state from h (num_layers * directions, B, H), and c for an LSTM, for a network with one recurrent layer."""
        built = state.of_one(h, c, self._layer.state_shape)
        return self._checked_state(built, np.shape(h)[1])

    # --- training

    def fit(
        self,
        x: Any,
        y: Any,
        *,
        loss: Any = "mse",
        optimizer: Any = None,
        epochs: int = 1,
        batch_size: int = 32,
        validation: Sequence[Any] | None = None,
        metrics: Any = (),
        callbacks: Any = (),
        schedule: Any = None,
        clip_norm: float | None = None,
        clip_value: float | None = None,
        accumulate: int = 1,
        sample_weight: Any = None,
        class_weight: Any = None,
        tbptt: Any = None,
        stateful: bool = False,
        shuffle: bool = True,
        checkpoint: Any = None,
        resume: bool = False,
        verbose: bool = True,
        lengths: Any = None,
        mask: Any = None,
        starts: Any = None,
    ) -> "History":
        """Trains on x and y, of the output's exact shape (or class numbers, without its last axis), and tells how it went.

        loss: a name or gw.losses.…, or a function `(prediction, target) -> (values, gradients)`; the mean over live steps and
        outputs is made small. optimizer: gw.Adam(1e-3) if None. epochs: times that all rows are seen, in batches of
        batch_size rows, in a new order each time if shuffle. accumulate: batches to an update. validation: (x, y), or
        (x, y, {"lengths": …, "mask": …, "starts": …, "sample_weight": …}), scored after every epoch. metrics: names, gw.Metric
        or functions. callbacks: gw.EarlyStopping(…) and others, or functions. schedule: gw.Cosine(…) and others. clip_norm
        bounds the norm of all gradients, clip_value each number. sample_weight: (B,) or (B, T). class_weight: {class: weight}.
        tbptt: (k1, k2) or k, truncated back-propagation: an update every k1 steps, through k2. stateful: rows carry their
        state from batch to batch. checkpoint: a folder, from which resume=True goes on with the same bits. verbose: progress.

        Raises ShapeError, DataError or OptionError before anything is changed, NotFiniteError, with layer, step and row, where
        NaN or infinity turns up. On Ctrl-C the best weights so far stay in the model, and KeyboardInterrupt goes on.
        """
        from gatewright.training import trainer

        data = self._data(x, y, Steps(lengths, mask, starts), sample_weight)
        options = trainer.FitOptions(
            loss=loss, optimizer=optimizer, epochs=epochs, batch_size=batch_size,
            validation=None if validation is None else self._data(*inputs.validation(validation)), metrics=metrics,
            callbacks=callbacks, schedule=schedule, clip_norm=clip_norm, clip_value=clip_value, accumulate=accumulate,
            class_weight=class_weight, tbptt=tbptt, stateful=stateful, shuffle=shuffle, checkpoint=checkpoint, resume=resume,
            verbose=verbose, rng=self._rng, kernel=self._kernel,
        )  # fmt: skip
        with self._threads.limit(self._trains_compiled):
            return trainer.fit(self._network, self._parameters, data, options)

    def evaluate(
        self, x: Any, y: Any, loss: Any = "mse", metrics: Any = (), *, batch_size: int = inputs.ROWS,
        sample_weight: Any = None, lengths: Any = None, mask: Any = None, starts: Any = None,
    ) -> dict[str, float]:  # fmt: skip
        """{"loss": …, metric: …} over all live steps of x (B, T, F), y and sample_weight as in `fit`; raises as it does."""
        from gatewright.training import trainer

        data = self._data(x, y, Steps(lengths, mask, starts), sample_weight)
        with self._threads.limit(self._trains_compiled):
            return trainer.evaluate(self._network, self._parameters, data, loss, metrics, batch_size, self._kernel)

    def gradients(
        self, x: Any, y: Any, loss: Any = "mse", *, sample_weight: Any = None, class_weight: Any = None,
        lengths: Any = None, mask: Any = None, starts: Any = None,
    ) -> tuple[float, Parameters]:  # fmt: skip
        """(loss, its gradients as Parameters) over the whole batch, with no step taken and no dropout.

        x, y and the weights are as in `fit`. Raises as `predict` does.
        """
        from gatewright.training import trainer

        data = self._data(x, y, Steps(lengths, mask, starts), sample_weight)
        with self._threads.limit(self._trains_compiled):
            return trainer.loss_and_gradients(self._network, self._parameters, data, loss, class_weight, self._kernel)

    def gradcheck(
        self,
        x: Any,
        y: Any,
        loss: Any = "mse",
        *,
        state: Any = None,
        sample_weight: Any = None,
        lengths: Any = None,
        mask: Any = None,
        starts: Any = None,
        seed: int = 0,
        directions: int = 3,
        elements: int = 8,
        method: str = "auto",
        tolerance: float | None = None,
    ) -> checking.Report:
        """Checks the gradients of the loss, in float64: every parameter, the input, the initial state.

        x, y and the weights are as in `fit`, the rest as in gw.gradcheck. Raises UninformativeError as that does.
        """
        from gatewright.training import losscheck

        data = self._data(x, y, Steps(lengths, mask, starts), sample_weight, np.dtype(float))
        asked = losscheck.Asked(seed, directions, elements, method, tolerance)
        start = self.to_network_state(state, len(data.x))
        with self._threads.limit():
            return losscheck.check(self._network, self._parameters, data, loss, start, asked)

    # --- weights

    def get_weights(self) -> list[Array]:
        """Copies of the weights in Keras' order and layout; a GRU's bias is (2, 3H) = [merged; 0 0 bn]."""
        return as_list(self._parameters)

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Writes weights in the form of `get_weights`. Raises ShapeError or DataError, nothing written, if they don't fit."""
        self._parameters.assign(from_list(self._parameters, weights))

    def to_pytorch(self, layers: Sequence[str] | None = None) -> dict[str, Array]:
        """A state dict for PyTorch's modules, {name: array} in the model's dtype: torch.from_numpy makes tensors of them.

        layers: names for those layers of a Sequential that have parameters (None: their indices, as in nn.Sequential). The
        merged bias is `bias_ih`; `bias_hh` is zero, but for a GRU's bn. Raises OptionError for what PyTorch's modules can't be.
        """
        return pytorch.write(self._layer, self._parameters, layers)

    def to_rtneural(self, path: Any) -> None:
        """Writes the JSON file that RTNeural loads. Raises OptionError for layers and options that it has not.

        A stack becomes single layers, a bias that is not there zeros, and Dropout, which is training's, is left out.
        """
        rtneural.write(self._layer, self._parameters, path)

    def to_keras(self, path: Any, *, batch_size: int | None = None) -> None:
        """Writes a .keras file that Keras 3 opens, of a network that predicts the same; needs h5py (`gatewright[keras]`).

        It is a Sequential where every layer reads the one before it, else a Functional; a stack becomes single layers.
        batch_size: for how many rows Keras is to build it, wanted where a layer has stateful=True. At dead steps Keras gives
        other numbers than zero, but for recurrent layers. Raises OptionError, with the layer and why, for what Keras has not.
        """
        keras_write.write(self._network, self._parameters, path, batch_size)

    def to_onnx(self, path: Any, *, lengths: bool = False, state: bool = False, opset: int = 17) -> None:
        """Writes an ONNX file that takes any batch and time: input `x` as `predict` takes it (indices as int64), output `y`.

        lengths: with an input `lengths` (B,) int32; outputs after a row's end are zero, as here. state: with the state before
        the first step as inputs, `0.h` and `0.c` of an LSTM that is layer 0, `0.x` of a causal Conv1D, shaped as `run` takes
        them, and the last one as outputs, `0.h_out`: zeros, or what the model has learned, begin a sequence. opset: the version
        of ONNX's operators, 17 to 22. What is training's alone, Dropout and what is frozen, is left out; constants of
        activations, clip and epsilon are float32 there. Raises OptionError, with the layer and why, for what ONNX can't say: a
        projection, masks with holes.
        """
        onnx.write(self._network, self._parameters, path, onnx.Choices(lengths, state, opset))

    def freeze(self, names: str | Iterable[str]) -> list[str]:
        """Takes parameters out of training: by name ("0.W"), layer ("0") or pattern ("*.b"); returns their names."""
        return self._parameters.set_trainable(names, False)

    def unfreeze(self, names: str | Iterable[str]) -> list[str]:
        """Undoes `freeze`."""
        return self._parameters.set_trainable(names, True)

    # --- telling, keeping

    def explore(
        self, x: Any, path: Any = None, text: Any = None, *,
        vocabulary: Any = None, columns: Any = None, y: Any = None, loss: Any = None, title: str = "",
    ) -> Any:  # fmt: skip
        """A page, one file of its own, that shows what every gate and state does on one sequence; written to `path` if given.

        It has `html` and `save(path)`, and a notebook shows it. x: (T, F), or (T,) indices. text: names of the T steps;
        vocabulary: of the indices; columns: of the F features. y, loss: what is differentiated, as in `fit`; without y the next
        symbol's cross-entropy where the output tells symbols, else the output's mean square.
        Raises DataError for more than 2,000 steps, OptionError without recurrent layers, NotFiniteError where NaN turns up.
        """
        from gatewright.viz import explore

        return explore.explore(self, explore.Asked(x, text, vocabulary, columns, y, loss, title), path)

    def summary(self) -> str:
        """A table of the layers: what goes out, how many numbers they have, how many of them are trained."""
        return tables.table(self._network, self._parameters)

    def kernels(self) -> list[tables.KernelRow]:
        """Which code every layer runs on, and why."""
        return tables.kernels(self._network, self._dtype, self._kernel)

    def save(self, path: Any) -> None:
        """Writes the model as safetensors, the architecture as JSON in its metadata: to a temporary name, then renamed."""
        files.save(path, dict(self._parameters.items()), self.describe())

    def describe(self) -> dict[str, Any]:
        """The architecture as a JSON value: what a file keeps beside the numbers."""
        frozen = [name for name, free in self._parameters.trainable.items() if not free]
        return {"layer": layers.to_json(self._layer), "dtype": self._dtype.name, "frozen": frozen}

    def copy(self) -> "Model":
        """A model that shares nothing with this one."""
        new = Model(
            self._layer, dtype=self._dtype, kernel=self._kernel, threads=self._threads.count, parameters=self._parameters
        )
        new._rng.bit_generator.state = self._rng.bit_generator.state
        return new

    __copy__ = copy

    def __deepcopy__(self, memo: dict[int, Any]) -> "Model":
        return self.copy()

    def __repr__(self) -> str:
        return f"Model({self._layer!r}, dtype={self._dtype.name!r})  # {self._parameters.flat.size:,} parameters"

    # --- the border

    @property
    def _scope(self) -> Scope:
        """The parameters as the layer itself names them."""
        return self._parameters if self._layer is self._network else self._parameters.scope("0")

    def to_network_state(self, given: Any, batch: int) -> Any:
        """The checked state (float64) of `network`, for a gradient check, of one of `layer`."""
        now = state.checked(given, self._layer.state_shape(batch), float)
        return now if given is None or self._layer is self._network else (now,)

    def _checked_state(self, given: Any, batch: int) -> Any:
        return state.checked(given, self._layer.state_shape(batch), self._dtype)

    def _forward(self, x: Array, live: Steps | None, start: Any) -> tuple[Any, Any]:
        with self._threads.limit():
            return infer(self._layer, self._scope, x, (start, live), self._kernel)

    def _batch(self, x: Any, given: Steps) -> Batch:
        return inputs.batch(self._layer, x, given, self._dtype)

    def _data(self, x: Any, y: Any, given: Steps, weight: Any, dtype: Any = None) -> "Data":
        """Checked training data; y is padded where it is a list, and checked against the output by the trainer."""
        from gatewright.training.batches import Data

        batch = inputs.batch(self._layer, x, given, dtype or self._dtype)
        rows = None if weight is None else numbers(padded(weight, batch.lengths, "sample_weight"), "sample_weight")
        return Data(batch.x, inputs.targets(self._network, y, batch), batch.steps, rows)
