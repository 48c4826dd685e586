"""Parameters: one flat vector with named views. Gradients are the same class, so an optimizer works on one vector."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any

import numpy as np

from gatewright.arrays import Array, readonly
from gatewright.errors import OptionError, ShapeError

STATISTICS = ("mean", "var")  # the last words of names that training never changes: what a gw.BatchNorm was given
SHARED = "shared."  # names that begin so belong to the whole network and are stored once, whoever uses them


class Edits:
    """How often the numbers were edited, and whether they are being edited now; one for a whole network."""

    __slots__ = ("count", "open")

    def __init__(self) -> None:
        self.count = self.open = 0


class Edit:
    """A `with` block in which the flat vector (N,) can be written."""

    __slots__ = ("_flat", "edits")

    def __init__(self, flat: Array, edits: Edits) -> None:
        self._flat, self.edits = flat, edits

    def __enter__(self) -> Array:
        self.edits.open += 1
        return self._flat

    def __exit__(self, *error: object) -> None:
        self._flat.flags.writeable = False
        self.edits.open -= 1
        self.edits.count += 1


class Scope:
    """The parameters of one layer inside a network: names without the layer's prefix, the arrays those of the whole.

    Shared parameters (`shared.NAME.…`) are seen under their full name from everywhere.
    """

    __slots__ = ("_children", "_derived", "_fixed", "_readers", "_writers", "edits")

    def __init__(self, writers: Mapping[str, Array], edits: Edits) -> None:
        self._writers, self.edits = dict(writers), edits
        self._derived: dict[Any, tuple[int, Any]] = {}
        self._fixed: dict[Any, Any] = {}
        self._readers = {name: readonly(array) for name, array in writers.items()}
        self._children: dict[str, Scope] = {}

    def __getitem__(self, name: str) -> Array:
        return self._readers[name]

    def __contains__(self, name: object) -> bool:
        return name in self._readers

    def __iter__(self) -> Iterator[str]:
        return iter(self._readers)

    def __len__(self) -> int:
        return len(self._readers)

    def items(self) -> Iterable[tuple[str, Array]]:
        """(name, read-only array) of every parameter, in the order of the flat vector."""
        return self._readers.items()

    def scope(self, prefix: str) -> "Scope":
        """The parameters under `prefix.`, without it, and the shared ones. The arrays are those of this object."""
        if prefix not in self._children:
            start = len(prefix) + 1
            inside = {n[start:]: a for n, a in self._writers.items() if n.startswith(prefix + ".")}
            shared = {n: a for n, a in self._writers.items() if n.startswith(SHARED)}
            self._children[prefix] = Scope({**inside, **shared}, self.edits)
        return self._children[prefix]

    @property
    def version(self) -> int:
        """A number that every edit of the network's parameters raises; while one is open, so does each look at it."""
        self.edits.count += bool(self.edits.open)
        return self.edits.count

    def derived(self, key: Any, make: Callable[[], Any]) -> Any:
        """What `make` makes of these parameters, kept under `key` until they are edited."""
        now, kept = self.version, self._derived.get(key)
        if kept is None or kept[0] != now:
            kept = self._derived[key] = now, make()
        return kept[1]

    def fixed(self, key: Any, make: Callable[[], Any]) -> Any:
        """What `make` makes of where these parameters are, whatever the numbers: kept under `key` for good."""
        if key not in self._fixed:
            self._fixed[key] = make()
        return self._fixed[key]

    def add(self, name: str, value: Array) -> None:
        """Adds `value`, of the parameter's shape, into it. This is how a backward pass hands in a gradient."""
        self._writers[name] += value


class Parameters(Scope):
    """The numbers of a network: one flat vector `(N,)` with named, read-only views.

    `parameters["0.W"]` is a view; `parameters.flat` the whole vector, read-only too. To write::

        with parameters.edit() as flat:
            flat -= 0.1 * gradients.flat

    which raises `version`, by which packed weights know that they are stale. `trainable` holds one bool a name, False for a
    BatchNorm's mean and var whatever is said. New ones are zero: `shapes` gives the shape of every name, in the order of the
    flat vector.
    """

    __slots__ = ("_flat", "_trainable")

    def __init__(self, shapes: Mapping[str, tuple[int, ...]], dtype: Any = float, trainable: Mapping[str, bool] | None = None):
        self._flat = np.zeros(sum(math.prod(shape) for shape in shapes.values()), dtype)
        views, start = {}, 0
        for name, shape in shapes.items():
            stop = start + math.prod(shape)
            views[name] = self._flat[start:stop].reshape(shape)
            start = stop
        super().__init__(views, Edits())
        given = dict.fromkeys(shapes, True) | dict(trainable or {})
        self._trainable = {name: free and name.rpartition(".")[2] not in STATISTICS for name, free in given.items()}

    @classmethod
    def of(cls, arrays: Mapping[str, Array], frozen: Iterable[str] = (), dtype: Any = None) -> "Parameters":
        """Parameters that hold copies of `arrays`, in their order; the names in `frozen` are not trainable."""
        dtype = dtype or np.result_type(float, *arrays.values())
        new = cls({name: np.shape(array) for name, array in arrays.items()}, dtype, dict.fromkeys(frozen, False))
        new.assign(arrays)
        return new

    @property
    def flat(self) -> Array:
        """The whole vector `(N,)`, read-only."""
        return readonly(self._flat)

    @property
    def dtype(self) -> "np.dtype[Any]":
        """The dtype of every parameter."""
        dtype: np.dtype[Any] = self._flat.dtype
        return dtype

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of every parameter, by name, in the order of the flat vector."""
        return {name: array.shape for name, array in self.items()}

    @property
    def trainable(self) -> dict[str, bool]:
        """Whether each parameter is trained, by name (a copy)."""
        return dict(self._trainable)

    def edit(self) -> "Edit":
        """The flat vector `(N,)`, writable inside the `with` block; raises the version."""
        return Edit(self._flat.view(), self.edits)

    def assign(self, arrays: Mapping[str, Array]) -> None:
        """Writes arrays over the parameters of those names. Raises OptionError or ShapeError before anything is written."""
        for name, array in arrays.items():
            if name not in self:
                raise OptionError(f"there is no parameter {name!r}; there are: {', '.join(self)}")
            if np.shape(array) != self[name].shape:
                raise ShapeError(f"parameter {name!r}: got shape {np.shape(array)}, wanted {self[name].shape}")
        with self.edit():
            for name, array in arrays.items():
                self._writers[name][...] = array

    def slices(self) -> dict[str, slice]:
        """Where each parameter stands in the flat vector."""
        stops = np.cumsum([array.size for _, array in self.items()], dtype=int).tolist()
        return {name: slice(stop - array.size, stop) for (name, array), stop in zip(self.items(), stops, strict=True)}

    def trainable_mask(self) -> Array:
        """Bool `(N,)`: which numbers of the flat vector are trained."""
        mask = np.ones(self._flat.size, bool)
        for name, where in self.slices().items():
            mask[where] = self._trainable[name]
        return mask

    def set_trainable(self, patterns: str | Iterable[str], value: bool) -> list[str]:
        """Marks the names that match (exact, a prefix such as "0", or a shell pattern such as "*.b"); returns them."""
        patterns = [patterns] if isinstance(patterns, str) or not isinstance(patterns, Iterable) else list(patterns)
        if not all(isinstance(pattern, str) for pattern in patterns):
            raise OptionError(f"names: got {patterns!r}, wanted names of parameters, such as '0.W', '0' or '*.b'")
        names = [name for pattern in patterns for name in self.matching(pattern)]
        if value:
            fixed = [name for name in names if name.rpartition(".")[2] in STATISTICS]
            names = [name for name in names if name not in fixed]
            if fixed and not names:
                raise OptionError(f"{fixed[0]} is never trained: it is a statistic of the data that the network was made with")
        self._trainable |= dict.fromkeys(names, value)
        return names

    def matching(self, pattern: str) -> list[str]:
        """The names that a pattern means: an exact name, a layer's prefix ("0", "0.forward") or a shell pattern ("*.b").

        Raises OptionError if there is none.
        """
        names = [n for n in self if n == pattern or n.startswith(pattern + ".") or fnmatchcase(n, pattern)]
        if not names:
            raise OptionError(f"no parameter matches {pattern!r}; there are: {', '.join(self)}")
        return names

    def zeros_like(self) -> "Parameters":
        """Zeros of the same names, shapes, dtype and trainable flags: where gradients go."""
        return Parameters(self.shapes, self.dtype, self._trainable)

    def astype(self, dtype: Any) -> "Parameters":
        """A copy in another dtype."""
        new = Parameters(self.shapes, dtype, self._trainable)
        with new.edit() as flat:
            flat[:] = self._flat
        return new

    def copy(self) -> "Parameters":
        """A copy that shares nothing with this one."""
        return self.astype(self.dtype)

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore, (self.shapes, self._flat.copy(), self._trainable)

    def __copy__(self) -> "Parameters":
        return self.copy()

    def __deepcopy__(self, memo: dict[int, Any]) -> "Parameters":
        return self.copy()

    def __repr__(self) -> str:
        names = ", ".join(f"{name} {shape}" for name, shape in self.shapes.items())
        return f"Parameters({self._flat.size} {self.dtype.name}: {names})"


def _restore(shapes: dict[str, tuple[int, ...]], flat: Array, trainable: dict[str, bool]) -> Parameters:
    new = Parameters(shapes, flat.dtype, trainable)
    with new.edit() as whole:
        whole[:] = flat
    return new
