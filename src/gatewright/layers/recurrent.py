"""What RNN, LSTM and GRU layers have in common: how the steps go through layers and directions, forward and back."""

from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from gatewright.arrays import Array, blocks
from gatewright.errors import OptionError
from gatewright.layers import base, dispatch, pipeline, repeat, scan
from gatewright.layers.base import Result, Rng, Step
from gatewright.layers.dispatch import Ask, Choice
from gatewright.layers.stack import Stack
from gatewright.parameters import Scope
from gatewright.state import tree_fill, tree_map
from gatewright.steps import Packing, Plan, Steps, in_order, packing


class Cache(NamedTuple):
    """What one forward pass of a recurrent layer keeps."""

    packing: Packing
    out: Packing  # how the output is unpacked: `packing`, or the order of processing
    time: int
    scans: tuple[scan.Scan | scan.Replay, ...]  # one a layer and direction, in the state's order
    dropped: tuple[Array | None, ...]  # one a layer: what its input was multiplied by, (depth, S, F)
    latest: Array | None  # (B, T) the step whose output each step shows, where masked_output="repeat" has some to repeat
    stateless: bool  # no state was given: the learned one, if any, served


@dataclass(frozen=True, init=False, repr=False)
class Recurrent(Stack):
    """Layers of a cell, on top of each other, in one or both directions; gw.RNN tells of the arguments."""

    def _scope(self, params: Scope, index: int) -> Scope:
        prefix = self.prefixes[index]
        return params.scope(prefix) if prefix else params

    def _weights(self, scope: Scope) -> Any:
        return self.cell.Weights(*(scope[name] if name in scope else None for name in self.cell.Weights._fields))

    def steps_out(self, x: Array, steps: Steps | None) -> Steps | None:
        """None after the last output alone; after go_backwards the live steps stand first."""
        if not self.return_sequences:
            return None
        if not self.go_backwards or steps is None:
            return steps
        if self.masked_output == "repeat":  # Keras' rule: the whole time axis is turned round, dead steps too
            return Steps(mask=steps.live(*x.shape[:2])[:, ::-1])
        packed = packing(steps, *x.shape[:2])
        return in_order(packed, steps, x.shape[1])[1] if isinstance(packed, Plan) else None

    def _packings(self, x: Array, steps: Steps | None) -> tuple[Packing, Packing]:
        """How x is packed, and how the output is unpacked."""
        packed = packing(steps, *x.shape[:2])
        if not (self.go_backwards and isinstance(packed, Plan) and steps is not None):
            return packed, packed
        if self.masked_output == "repeat":
            if steps.starts is not None:
                raise OptionError("masked_output='repeat' with go_backwards=True has no meaning for `starts`; use 'zero'")
            turned = packed.lengths[packed.column] - 1 - packed.line
            return packed, packed._replace(time=x.shape[1] - 1 - packed.time, line=turned)
        return packed, in_order(packed, steps, x.shape[1])[0]

    def forward(
        self, params: Scope, x: Array, state: Any = None, *,
        steps: Steps | None = None, training: bool = False, rng: Rng = None, kernel: str = "auto",
    ) -> Result:  # fmt: skip
        """y, the final state and the cache, for x (B, T, F) and a state of (num_layers * directions, B, H) arrays."""
        cell, run = self.cell, self.choice(self._dtype(self._scope(params, 0), x, state), kernel, training)
        packed, out = self._packings(x, steps)
        ways = len(self.directions)
        line = packed.pack(x)
        line = packed.flip(line) if self.go_backwards else line
        sequences, finals, scans, dropped = [], [], [], []
        for k in range(self.num_layers):
            keep = base.dropout_mask(line, self.dropout, rng) if training and k > 0 and self.dropout else None
            line = line if keep is None else line * keep
            dropped.append(keep)
            for d in range(ways):
                first = self._initial(params, k * ways + d, state, x.shape[0], packed)
                seq, end, kept = self.ways[d]._scan(
                    run, self._scope(params, k * ways + d), packed.flip(line) if d else line, first, packed,
                    self._masks(line, first, rng) if training else None,
                )  # fmt: skip
                sequences.append(tree_map(packed.flip, seq) if d else seq)
                finals.append(cell.State(*map(packed.leave, end)))
                scans.append(kept)
            line = np.concatenate([seq.h for seq in sequences[-ways:]], axis=-1) if ways > 1 else sequences[-1].h
        final = cell.State(*map(_stacked, zip(*finals, strict=True)))
        latest = repeat.latest(self.steps_out(x, steps), *x.shape[:2]) if self.masked_output == "repeat" else None
        cache = Cache(packed, out, x.shape[1], tuple(scans), tuple(dropped), latest, state is None)
        return self._output(cache, sequences, finals, line), final, cache

    def _scan(
        self, run: Choice, scope: Scope, x: Array, state: Any, packed: Packing, masks: scan.Masks | None
    ) -> tuple[Any, Any, scan.Scan | scan.Replay]:
        """One layer and direction over packed steps: the states, the final one, and what the backward pass needs.

        masks: what dropout leaves, in training; None in inference.
        """
        kernel = None if run.load is None else run.load()
        if kernel is None or masks is not None:
            masks = masks or scan.Masks()
            sequence, final, caches = scan.forward(self._pair(kernel, scope), x, state, packed, masks)
            return sequence, final, scan.Scan(x.shape, caches, kernel, masks)
        h, final = kernel.infer(self._packed(kernel, scope), x, state, packed.rectangles())
        return type(state)(h, *(None for _ in state[1:])), final, scan.Replay(x.shape, x, state)

    def _masks(self, x: Array, state: Any, rng: Rng) -> scan.Masks:
        """Drawn anew for x (depth, S, F) and a state (S, H): a mask a column, so that every segment has its own."""

        def draw(rate: float, columns: int) -> Array | None:
            return base.dropout_mask(np.empty((len(state.h), columns), x.dtype), rate, rng) if rate else None

        return scan.Masks(draw(self.input_dropout, x.shape[2]), draw(self.recurrent_dropout, len(self.gates) * self.sizes.h))

    def _pair(self, kernel: Any, scope: Scope, wants_dx: bool = True) -> scan.Pair:
        """The cell's functions as `kernel` has them, or in NumPy where it is None."""
        if kernel is None:
            given = {"weights": self._weights(scope), "options": self.options}
            return scan.Pair(partial(self.cell.forward, **given), partial(self.cell.backward, **given))
        source = scope.fixed(kernel, lambda: kernel.source(self._weights(scope)))
        weights = scope.derived(kernel, lambda: kernel.pack(source))
        return scan.Pair(partial(kernel.forward, weights), partial(kernel.backward, weights, wants_dx=wants_dx))

    def _kept(self, scope: Scope, kept: scan.Scan | scan.Replay, packed: Packing) -> scan.Scan:
        """What the backward pass needs; after inference the layer runs once more, as it does in training."""
        if isinstance(kept, scan.Replay):
            run = self.choice(self._dtype(scope, kept.x, kept.state), "auto", training=True)
            kept = self._scan(run, scope, kept.x, kept.state, packed, scan.Masks())[2]
        assert isinstance(kept, scan.Scan)
        return kept

    def prepare(self, params: Scope, x: Array, state: Any, kernel: str) -> Step | None:
        run, one = self.choice(self._dtype(self._scope(params, 0), x, state), kernel), x.ndim == 2
        if run.load is None or (one and (self.chunk_problem or not self.return_sequences)):
            return None
        if state is None:
            state = self._beginning(params, len(x), x.dtype)
        compiled = run.load()
        weights = [self._packed(compiled, self._scope(params, index)) for index in range(len(self.prefixes))]
        return pipeline.prepare(self, compiled, weights, x, state)

    def _beginning(self, params: Scope, batch: int, dtype: Any) -> Any:
        """The state before the first step: the learned one, or zero."""
        state = tree_fill(self.state_shape(batch), partial(np.zeros, dtype=dtype))
        for index in range(len(self.prefixes) if self.learn_initial_state else 0):
            for name, array in state._asdict().items():
                array[index] = self._scope(params, index)[f"{name}0"]
        return state

    def _packed(self, kernel: Any, scope: Scope) -> Any:
        return scope.derived(kernel, lambda: kernel.pack(self._weights(scope)))

    def choice(self, dtype: Any, kernel: str, training: bool = False) -> Choice:
        problem = "return_state_sequence=True runs on NumPy" if self.return_state_sequence else None
        problem = problem if self.ways[0] is self.ways[-1] else "activations that differ by direction run on NumPy"
        name = self.cell.__name__.rpartition(".")[2]
        untrained = "recurrent_dropout" if self.recurrent_dropout else None
        return dispatch.choose(Ask(dtype, kernel, training, problem, untrained), name, self.ways[0].options)

    def _dtype(self, scope: Scope, x: Array, state: Any) -> Any:
        """In which to compute."""
        return np.result_type(scope["U"], x, *(() if state is None else state))

    def _output(self, cache: Cache, sequences: list[Any], finals: list[Any], top: Array) -> Any:
        """The output: every step, every state of every step, or the last step alone."""
        if self.return_state_sequence:
            joined = (np.concatenate(arrays, axis=-1) for arrays in zip(*sequences, strict=True))
            return self.cell.State(*(cache.out.unpack(array, cache.time) for array in joined))
        if not self.return_sequences:
            return np.concatenate([final.h for final in finals[-len(self.directions) :]], axis=-1)
        y = np.array(cache.out.unpack(top, cache.time), order="C")  # the caller's own
        return y if cache.latest is None else repeat.forward(y, cache.latest)

    def backward(self, params: Scope, grads: Scope, cache: Cache, dy: Any, dstate: Any = None) -> tuple[Array, Any]:
        """dx (B, T, F) and the gradient of the initial state, from dy of the output's shape."""
        dline, dstate = self._backward((params, grads), cache, dy, dstate, wants_dx=True)
        return cache.packing.unpack(cache.packing.flip(dline) if self.go_backwards else dline, cache.time), dstate

    def finish(self, params: Scope, grads: Scope, cache: Cache, dy: Any, dstate: Any = None) -> Any:
        return self._backward((params, grads), cache, dy, dstate, wants_dx=False)[1]

    def _backward(self, scopes: tuple[Scope, Scope], cache: Cache, dy: Any, dstate: Any, wants_dx: bool) -> tuple[Any, Any]:
        """The gradients of the packed input, which compiled code leaves out unless it is wanted, and of the initial state."""
        cell, packed, ways = self.cell, cache.packing, len(self.directions)
        dsequences, dfinals = self._d_output(cache, dy, dstate)
        dline: Array | None = None
        dstates: list[Any] = []
        for k in reversed(range(self.num_layers)):
            dlines: list[Any] = []
            for d in reversed(range(ways)):
                index = k * ways + d
                params, grads = (self._scope(scope, index) for scope in scopes)
                dseq, dfinal = dsequences[index], dfinals[index]
                if dline is not None:  # the layer above read this one's output
                    above = blocks(dline, ways)[d]
                    dseq = self._unused(above) if dseq is None else dseq._replace(h=dseq.h + above)
                dseq = cell.State(*(a if a is None or not d else packed.flip(a) for a in dseq))
                kept = self.ways[d]._kept(params, cache.scans[index], packed)
                pair = self.ways[d]._pair(kept.kernel, params, wants_dx or k > 0)
                dx, dweights, dfirst = scan.backward(pair, kept, dseq, dfinal, packed)
                dlines.append(packed.flip(dx) if d and dx is not None else dx)
                self.ways[d]._add_weights(grads, dweights)
                dstates.insert(0, self._d_initial(grads, dfirst, cache))
            dline = dlines[0] if ways == 1 or dlines[0] is None else dlines[0] + dlines[1]
            keep = cache.dropped[k]
            dline = dline if keep is None else dline * keep
        return dline, cell.State(*map(_stacked, zip(*dstates, strict=True)))

    def _d_output(self, cache: Cache, dy: Any, dstate: Any) -> tuple[list[Any], list[Any]]:
        """Undoes `_output`: gradients of the states of every step and of the final state, one State a layer and direction."""
        cell, packed, n, width = self.cell, cache.packing, len(self.prefixes), self.sizes.h
        depth, columns = cache.scans[0].shape[:2]
        ways, dtype = len(self.directions), (dy[0] if self.return_state_sequence else dy).dtype
        dsequences: list[Any] = [None] * n  # those of the layers below are still to come
        batch = dy[0].shape[0] if self.return_state_sequence else dy.shape[0]
        if dstate is None:
            dstate = cell.State(*(np.zeros((n, batch, size), dtype) for size in self.sizes))
        dfinals = [cell.State(*(array[index] for array in dstate)) for index in range(n)]
        if self.return_state_sequence:
            parts = [np.split(cache.out.pack(array), n, axis=-1) for array in dy]
            dsequences = [cell.State(*arrays) for arrays in zip(*parts, strict=True)]
        elif not self.return_sequences:
            for index, part in enumerate(blocks(dy, ways), n - ways):
                dfinals[index] = dfinals[index]._replace(h=dfinals[index].h + part)
                dsequences[index] = self._unused(np.broadcast_to(np.zeros(width, dtype), (depth, columns, width)))
        else:
            dy = dy if cache.latest is None else repeat.backward(dy, cache.latest)
            dsequences[n - ways :] = map(self._unused, blocks(cache.out.pack(dy), ways))
        return dsequences, [cell.State(*map(packed.d_leave, final)) for final in dfinals]

    def _unused(self, dh: Array) -> Any:
        """A State of gradients in which h alone was used."""
        return self.cell.State(dh, *[None] * (len(self.cell.State._fields) - 1))

    def _initial(self, params: Scope, index: int, state: Any, batch: int, packed: Packing) -> Any:
        """The state (S, H) with which a layer and direction begins: given, learned or zero."""
        scope = self._scope(params, index)
        arrays = []
        for k, (name, size) in enumerate(self.sizes._asdict().items()):
            fresh = scope[f"{name}0"] if self.learn_initial_state else np.zeros(size, scope["U"].dtype)
            given = np.zeros((batch, size), fresh.dtype) if state is None else state[k][index]
            if state is None and self.learn_initial_state:
                given += fresh
            arrays.append(packed.enter(given, fresh))
        return self.cell.State(*arrays)

    def _d_initial(self, grads: Scope, dcolumns: Any, cache: Cache) -> Any:
        """Undoes `_initial`: the gradient (B, H) of the state handed in; adds those of a learned one."""
        dstate = []
        for name, array in zip(self.cell.State._fields, dcolumns, strict=True):
            dgiven, dfresh = cache.packing.d_enter(array)
            if self.learn_initial_state:
                grads.add(f"{name}0", dfresh + dgiven.sum(axis=0) if cache.stateless else dfresh)
            dstate.append(dgiven)
        return self.cell.State(*dstate)

    def _add_weights(self, grads: Scope, dweights: Any) -> None:
        for name, array in zip(self.cell.Weights._fields, dweights or (), strict=dweights is not None):
            if array is not None:
                grads.add(name, array)


def _stacked(arrays: tuple[Array, ...]) -> Array:
    """A copy of n arrays (B, H) as one of (n, B, H)."""
    return np.stack(arrays) if len(arrays) > 1 else arrays[0][None].copy()
