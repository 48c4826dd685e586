"""States as values: trees of NamedTuples, tuples and None with arrays at the leaves.

A *shape tree* has the shape of every array in its place: what `layer.state_shape(batch)` gives.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from gatewright.arrays import Array, numbers
from gatewright.errors import DataError, OptionError, ShapeError


def _is_shape(tree: Any) -> bool:
    return isinstance(tree, tuple) and len(tree) > 0 and all(isinstance(n, int | np.integer) for n in tree)


def _rebuild(like: Any, parts: list[Any]) -> Any:
    return type(like)(*parts) if hasattr(like, "_fields") else tuple(parts)


def tree_map(function: Callable[..., Any], *trees: Any) -> Any:
    """`function` of the arrays in the same places of the trees, in a tree of that form; None stays None."""
    if trees[0] is None:
        return None
    if not isinstance(trees[0], tuple):
        return function(*trees)
    return _rebuild(trees[0], [tree_map(function, *parts) for parts in zip(*trees, strict=True)])


def tree_items(tree: Any, name: str = "state") -> Iterator[tuple[str, Array]]:
    """(name, array) of every array in the tree: `state.h`, `state[0].c` …"""
    if tree is None:
        return
    if not isinstance(tree, tuple):
        yield name, tree
        return
    keys = [f".{field}" for field in tree._fields] if hasattr(tree, "_fields") else [f"[{k}]" for k in range(len(tree))]
    for key, part in zip(keys, tree, strict=True):
        yield from tree_items(part, name + key)


def tree_from(like: Any, arrays: Iterable[Array]) -> Any:
    """A tree of the form of `like` with these arrays, in the order of `tree_items`, which it undoes."""
    source = iter(arrays)
    return tree_map(lambda _: next(source), like)


def tree_fill(shapes: Any, make: Callable[[tuple[int, ...]], Array]) -> Any:
    """A tree of arrays, each `make(shape)`, for a shape tree."""
    if shapes is None:
        return None
    return make(shapes) if _is_shape(shapes) else _rebuild(shapes, [tree_fill(part, make) for part in shapes])


def checked(state: Any, shapes: Any, dtype: Any, name: str = "state") -> Any:
    """`state` with arrays of `dtype`, in the form of the shape tree `shapes`; None (zero) is allowed at every place.

    Raises ShapeError or DataError that names the place, what was got and what was wanted.
    """
    if state is None:
        return None
    if shapes is None:
        raise ShapeError(f"{name}: got {type(state).__name__}, wanted None: there is no state at this place")
    if _is_shape(shapes):
        with np.errstate(over="ignore"):
            array = numbers(state, name).astype(dtype, copy=False)
        if array.shape != shapes:
            raise ShapeError(f"{name}: got shape {array.shape}, wanted {shapes}")
        if not np.isfinite(array).all():
            raise DataError(f"{name}: got NaN or infinity, wanted finite {array.dtype} numbers")
        return array
    keys = [f".{field}" for field in shapes._fields] if hasattr(shapes, "_fields") else [f"[{k}]" for k in range(len(shapes))]
    if not isinstance(state, tuple | list) or len(state) != len(shapes):
        count = len(state) if isinstance(state, tuple | list) else type(state).__name__
        raise ShapeError(f"{name}: got {count}, wanted {len(shapes)} entries: {', '.join(name + key for key in keys)}")
    parts = [checked(part, shape, dtype, name + key) for part, shape, key in zip(state, shapes, keys, strict=True)]
    if hasattr(shapes, "_fields") and any(part is None for part in parts):
        raise ShapeError(f"{name}: one of {', '.join(keys)} is None; give all of them, or None for the whole")
    return _rebuild(shapes, parts)


def of_one(h: Any, c: Any, shapes: Callable[[int], Any]) -> Any:
    """The state of a network with one recurrent layer, from its h (n, B, H) and, for an LSTM, c (n, B, H).

    shapes: the network's `state_shape`. Raises ShapeError, or OptionError for a network with none or several.
    """
    h, c = np.array(numbers(h, "h")), None if c is None else np.array(numbers(c, "c"))
    if h.ndim != 3:
        raise ShapeError(f"h: got shape {h.shape}, wanted (num_layers * directions, B, H)")
    found = []

    def build(tree: Any) -> Any:
        if not hasattr(tree, "_fields"):
            return None if tree is None else tuple(map(build, tree))
        if "h" not in tree._fields:  # a convolution's, which begins at zero
            return None
        found.append(tree)
        return type(tree)(*(h, c)[: len(tree)])

    built = build(shapes(h.shape[1]))
    if len(found) != 1:
        raise OptionError(f"state_like: this network has {len(found)} recurrent layers, wanted one; build the tuple instead")
    if (c is None) != (len(found[0]) == 1):
        raise OptionError(f"this layer's state has {', '.join(found[0]._fields)}; got {'h' if c is None else 'h, c'}")
    return built
