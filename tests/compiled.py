"""The reference's tests once more on compiled code: `pytest --compiled=16` (4, 8; `library`: ahead of time).

Every pass, there and back, that can be compiled is, those in float64 too: the numbers are cast to float32 before the kernel and
back after it, and np.testing.assert_allclose allows what float32 needs. So everything that the reference is tested for
(recorded PyTorch and Keras, the oracle, lengths, masks, starts, streams, chunks, containers) is asked of the kernels. Gradients
are those of training's kernels, compared with recorded ones and the reference's; that these are right, the ordinary run proves
by complex steps, which no kernel takes. Not rerun: what needs float64 (EXACT), and cells/, the reference's own functions.

Every test has to have run a kernel, or to have met one of REASONS why there is none; which, stands in `ran`.
"""

import functools
import re
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import layer_checks
import numpy as np
import pytest

from gatewright import checking
from gatewright.checking import check_network
from gatewright.kernels import backend, build, library, target
from gatewright.kernels.call import Call
from gatewright.layers import dispatch

TOLERANCE = 1e-5  # of float32: relative to the largest number compared, and absolute below 1
FILES = """
layers/test_recurrent.py layers/test_bidirectional.py layers/test_containers.py layers/test_simple.py
layers/test_convolution.py test_whole.py test_streaming.py test_model.py
"""
# What may keep a forward pass on the reference, as the choice says it.
REASONS = (
    "activation|has constants|groups=|return_state_sequence|training runs|complex128|asked for|float64: |no kernel is written"
)
# Tests that run nothing that could be compiled …
IDLE = """
layers/test_recurrent.py::test_names_and_shapes
layers/test_recurrent.py::test_beginnings
layers/test_recurrent.py::test_a_learned_initial_state_begins_at_zero_and_frozen_layers_are_frozen
layers/test_recurrent.py::test_descriptions_are_values
layers/test_recurrent.py::test_refusals
layers/test_recurrent.py::test_lists_helper_is_plain
layers/test_containers.py::test_frozen_parts
layers/test_containers.py::test_refusals
layers/test_containers.py::test_what_a_network_says_of_itself
layers/test_bidirectional.py::test_refusals
layers/test_convolution.py::test_beginnings
layers/test_convolution.py::test_refusals
layers/test_simple.py::test_embedding
layers/test_simple.py::test_masking
layers/test_simple.py::test_masking_by_nan_and_in_float32
layers/test_simple.py::test_dropout
layers/test_simple.py::test_dropout_in_training_needs_a_generator
layers/test_simple.py::test_float32_stays_and_arguments_are_left_alone[Dropout(0.5)]
layers/test_simple.py::test_float32_stays_and_arguments_are_left_alone[Masking(value=7.0)]
layers/test_simple.py::test_beginnings
layers/test_simple.py::test_refusals
layers/test_simple.py::test_shapes_refused
test_streaming.py::test_what_reads_from_the_end_is_refused
test_streaming.py::test_repr
test_model.py::test_nothing_to_run
test_model.py::test_outputs_are_never_the_input[layer0]
test_model.py::test_outputs_are_never_the_input[layer1]
test_model.py::test_outputs_are_never_the_input[layer2]
test_model.py::test_a_state_is_never_a_view_of_the_parameters
test_model.py::test_weights_come_in_keras_order
test_model.py::test_weights_that_do_not_fit_write_nothing
test_model.py::test_own_parameters_are_copied_and_must_fit
"""
# … and those that are about float64 itself, or look at what the reference calls.
EXACT = """
test_model.py::test_no_more_rows_at_once_than_asked_for
layers/test_recurrent.py::test_dropout_between_layers
layers/test_recurrent.py::test_shapes_refused
test_streaming.py::test_a_learned_state_begins_every_stream
test_model.py::test_gradcheck_checks_what_gradients_gives
test_whole.py::test_gradients_over_live_steps
"""


def belongs(name: str) -> bool:
    """Whether a test, by its name from the folder of the tests on, is to be run on compiled code."""
    file, function = name.partition("::")[0], name.partition("[")[0]
    return file in FILES.split() and not {name, function} & {*IDLE.split(), *EXACT.split()}


def run(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """pytest in a folder, under this project's settings."""
    project = Path(__file__).resolve().parent.parent
    settings = ["-c", str(project / "pyproject.toml"), "--rootdir", str(folder), "-p", "no:cacheprovider"]
    return subprocess.run([sys.executable, "-m", "pytest", *settings, *arguments], cwd=folder, text=True, capture_output=True)


def narrow(value: Any) -> Any:
    """Arrays in a nest, in float32."""
    if isinstance(value, np.ndarray):
        return value.astype(np.float32)
    if isinstance(value, tuple | list):
        parts = [narrow(part) for part in value]
        return type(value)(*parts) if hasattr(value, "_fields") else type(value)(parts)
    return value


def wide(value: Any) -> Any:
    """Arrays in a nest, in float64."""
    if value is None or isinstance(value, np.ndarray):
        return None if value is None else value.astype(float)
    parts = [wide(part) for part in value]
    return type(value)(*parts) if hasattr(value, "_fields") else tuple(parts)


class Widened:
    """A kernel that takes and gives float64, and computes in float32."""

    def __init__(self, kernel: Any) -> None:
        self.kernel = kernel

    def source(self, weights: Any) -> Any:
        return weights

    def pack(self, *given: Any) -> Any:
        if hasattr(self.kernel, "source"):  # of training: packs what is in those places
            return self.kernel.pack(self.kernel.source(narrow(given[0])))
        return self.kernel.pack(*narrow(given))

    def infer(self, packed: Any, x: Any, *more: Any) -> Any:
        return wide(self.kernel.infer(packed, narrow(x), *narrow(more)))

    def operations(self, packed: Any, y: Any) -> float:
        return float(self.kernel.operations(packed, y))

    def scan(self, packed: Any, x: Any, y: Any, state: Any) -> Any:
        return lambda steps: self.prepare(packed, x[steps], y[steps], state, state)

    def through(self, packed: Any, dz: Any, size: int) -> Any:
        return wide(self.kernel.through(packed, narrow(dz), size))

    def forward(self, packed: Any, x: Any, state: Any) -> Any:
        cache = self.kernel.forward(packed, *narrow((x, state)))
        return SimpleNamespace(states=wide(cache.states), cache=cache)

    def backward(self, packed: Any, cache: Any, dsteps: Any, dstate: Any, wants_dx: bool = True) -> Any:
        return wide(self.kernel.backward(packed, cache.cache, *narrow((dsteps, dstate)), wants_dx))

    def prepare(self, packed: Any, x: Any, y: Any, before: Any, after: Any) -> "Step":
        return Step((x, *before), (y, *after), lambda inputs, outputs: self.kernel.prepare(
            packed, inputs[0], outputs[0], inputs[1:], outputs[1:]).run)  # fmt: skip

    def step(self, packed: Any, x: Any, size: int) -> Any:
        y = np.empty((len(x), size))
        return (Step((x,), (y,), lambda inputs, outputs: self.kernel.prepare(packed, inputs[0], outputs[0]).run).run,), y


class Step:
    """A prepared step whose float64 arrays are copied into float32 ones before it runs, and back after it."""

    def __init__(self, inputs: Any, outputs: Any, prepare: Any) -> None:
        self.outside = inputs, outputs
        self.inside = tuple([np.empty(array.shape, np.float32) for array in arrays] for arrays in self.outside)
        self.compute = prepare(*self.inside)

    def run(self) -> None:
        for array, given in zip(self.inside[0], self.outside[0], strict=True):
            array[...] = given
        self.compute()
        for array, result in zip(self.outside[1], self.inside[1], strict=True):
            array[...] = result


class Rerun:
    """What is patched for a whole run of pytest, and what ran in the test that is running: `ran`."""

    def __init__(self, asked: str) -> None:
        self.ran: Counter[str] = Counter()
        self.bound = True  # whether float64 is bound for kernels
        if not asked.isdecimal():
            self.folder = tempfile.TemporaryDirectory()
            library.FOLDER = build.build(Path(self.folder.name)).parent if asked == "library" else Path(asked)
            assert library.find().library
            backend.in_memory = self.refuse
        else:
            if int(asked) > target.host().lanes:
                raise pytest.UsageError(f"--compiled={asked}: this machine has {target.host().lanes} lanes")
            target.host = lambda: target.TARGETS[int(asked)]
        self.widened = functools.cache(Widened)
        self.choose, self.run, self.close, self.check = dispatch.choose, Call.run, np.testing.assert_allclose, check_network
        dispatch.choose, np.testing.assert_allclose, checking.check_network = self.chosen, self.about, self.checked
        Call.run = lambda call: self.counted(call)
        self.backward, layer_checks.worst_error = layer_checks.backward, self.worst_error

    def refuse(self, text: str) -> Any:
        raise AssertionError("a kernel was compiled just in time")

    def counted(self, call: Call) -> None:
        self.ran["kernel"] += 1
        self.run(call)

    def chosen(self, ask: Any, kind: str, *details: Any) -> Any:
        """The choice for float32 where the question was about float64."""
        widened = self.bound and ask.dtype == float and ask.kernel in ("auto", "compiled") and kind != "adam"
        choice = self.choose(ask._replace(dtype=np.dtype(np.float32)) if widened else ask, kind, *details)
        if choice.load is None:
            self.ran[choice.reason] += 1
            return choice
        load = choice.load
        return choice._replace(load=lambda: self.widened(load())) if widened else choice

    def about(self, actual: Any, desired: Any, rtol: float = 1e-7, atol: float = 0, **more: Any) -> None:
        """assert_allclose, as near as float32 can be if kernels have run in this test."""
        if self.ran["kernel"]:
            wanted = np.asarray(desired, float)
            atol = max(atol, TOLERANCE * max(1, np.abs(wanted[np.isfinite(wanted)]).max(initial=0)))
        self.close(actual, desired, rtol=rtol, atol=atol, **more)

    def checked(self, *given: Any) -> Any:
        """A gradient check of users', which is about the reference."""
        self.bound = False
        try:
            return self.check(*given)
        finally:
            self.bound = True

    def worst_error(self, layer: Any, params: Any, x: Any, state: Any = None, steps: Any = None, *, seed: int = 0,
                    directions: int = 1, nothing_zero: bool = True, **options: Any) -> float:  # fmt: skip
        """How far gradients after compiled inference are from those after the reference's; 0 if float32 explains it."""
        ours, theirs = (
            self.backward(layer, params, x, state, steps, seed, kernel=kernel, **options)[0] for kernel in ("auto", "numpy")
        )
        worst = max(np.abs(ours[name] - d).max(initial=0) / max(np.abs(d).max(initial=0), 1e-3) for name, d in theirs.items())
        return 0.0 if worst < TOLERANCE else float(worst)

    def judge(self, name: str) -> None:
        """Fails a test in which neither a kernel ran nor one of REASONS said why it could not."""
        strange = [said for said in self.ran if said != "kernel" and not re.search(REASONS, said)]
        assert not strange, f"{name}: the reference ran: {strange}"
        assert self.ran, f"{name} ran no kernel, and nothing that could have one: put it into IDLE (tests/compiled.py)"
