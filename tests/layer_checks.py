"""Helpers for the tests of layers: random parameters and states, the oracle's values, gradients of the whole."""

import numpy as np
import oracle
from strategies import as_lists

import gatewright as gw
from gatewright.parameters import Parameters


def draw_params(layer, rng, scale=0.5, dtype=float):
    """Parameters of the layer's names and shapes, random and nowhere zero."""
    shapes = layer.init(np.random.default_rng(0)).shapes
    return Parameters.of({name: scale * rng.standard_normal(shape) for name, shape in shapes.items()}, dtype=dtype)


def is_shape(value):
    """Whether a leaf of a tree of shapes has been reached."""
    return type(value) is tuple and all(isinstance(v, int) for v in value)


def tree(function, value, leaf=lambda v: isinstance(v, np.ndarray)):
    """function(leaf) in a state's nest of tuples and Nones, the NamedTuples kept."""
    if value is None or leaf(value):
        return None if value is None else function(value)
    parts = [tree(function, part, leaf) for part in value]
    return type(value)(*parts) if hasattr(value, "_fields") else tuple(parts)


def arrays_of(value):
    """The arrays of a state's nest, from left to right."""
    if value is None:
        return []
    return [value] if isinstance(value, np.ndarray) else [array for part in value for array in arrays_of(part)]


def draw_state(layer, batch, rng, dtype=float):
    """A state of the layer, random and nowhere zero, or None where it has none."""
    return tree(lambda shape: (0.7 * rng.standard_normal(shape)).astype(dtype), layer.state_shape(batch), is_shape)


def draw_like(value, rng):
    """Random arrays in the same nest."""
    return tree(lambda array: rng.standard_normal(array.shape), value)


def total(y, dy, state, dstate):
    """The sum of the output and of the final state, weighted by the outer gradients."""
    pairs = zip(arrays_of(y) + arrays_of(state), arrays_of(dy) + arrays_of(dstate), strict=True)
    return sum((a * d).sum() for a, d in pairs)


def backward(layer, params, x, state=None, steps=None, seed=0, dropout=None, **options):
    """(gradients by name, loss as a function of tensors by name, those tensors) of one random weighing of all outputs.

    dropout: the seed of the masks, which are the same in every pass; None for none.
    """
    rng = np.random.default_rng(seed)

    def forward(*given):
        trained = {} if dropout is None else {"training": True, "rng": np.random.default_rng(dropout)}
        return layer.forward(*given, steps=steps, **trained, **options)

    y, final, cache = forward(params, x, state)
    dy, dfinal = draw_like(y, rng), draw_like(final, rng)
    grads = params.zeros_like()
    dx, dstate = layer.backward(params, grads, cache, dy, dfinal)
    tensors = dict(params.items()) | ({"x": x} if x.dtype.kind == "f" else {})
    gradients = dict(grads.items()) | ({"x": dx} if x.dtype.kind == "f" else {})
    for k, (array, gradient) in enumerate(zip(arrays_of(state), arrays_of(dstate) if state is not None else [], strict=True)):
        tensors[f"state{k}"], gradients[f"state{k}"] = array, gradient

    def loss(named):
        dtype = np.result_type(*named.values())
        given = {name: named[name] for name in params}
        cast = {name: a.astype(dtype) for name, a in named.items()}
        number = iter(range(99))
        handed = tree(lambda _: cast[f"state{next(number)}"], state)
        out, last, _ = forward(Parameters.of(given, dtype=dtype), cast.get("x", x), handed)
        return total(out, dy, last, dfinal)

    return gradients, loss, tensors


def worst_error(layer, params, x, state=None, steps=None, *, seed=0, directions=1, nothing_zero=True, **options):
    """The worst error of a directional derivative over parameters, x and state, relative to each tensor's largest gradient.

    By complex step where the layer is analytic, else by central differences. Dead steps of x get no gradient.
    """
    gradients, loss, tensors = backward(layer, params, x, state, steps, seed, **options)
    rng, worst = np.random.default_rng(seed + 1), 0.0
    for name, array in tensors.items():
        got, largest = gradients[name], np.abs(gradients[name]).max(initial=0)
        assert got.shape == array.shape, name
        for _ in range(directions):
            v = rng.standard_normal(array.shape)
            v = np.where(np.isfinite(array), v / max(np.linalg.norm(v), 1e-300), 0)
            if layer.analytic:
                wanted = loss({n: a + (1e-30j * v if n == name else 0j) for n, a in tensors.items()}).imag / 1e-30
            else:
                wanted = (loss(tensors | {name: array + 2e-6 * v}) - loss(tensors | {name: array - 2e-6 * v})) / 4e-6
            derivative = (got * v).sum()
            assert derivative != 0 or not nothing_zero, f"{name}: nothing to compare"
            worst = max(worst, abs(derivative - wanted) / max(largest, 1e-3))
    return worst


def prefixes(num_layers, bidirectional):
    """The names' prefixes as DESIGN fixes them for files: [layer<k>.][forward.|backward.]."""
    return [
        [(f"layer{k}." if num_layers > 1 else "") + d for d in (("forward.", "backward.") if bidirectional else ("",))]
        for k in range(num_layers)
    ]


def by_oracle(kind, params, x, state, steps, options):
    """The oracle's (y, state) for a layer's own parameters."""
    names = prefixes(options.get("num_layers", 1), options.get("bidirectional", False))
    weights = [[{n.removeprefix(p): a.tolist() for n, a in params.items() if n.startswith(p)} for p in row] for row in names]
    words = options | {"reset_after": kind == "gru"}
    handed = None if state is None else [a.tolist() for a in state]
    return oracle.recurrent(kind.split("_")[0], x.tolist(), weights, words, handed, **(as_lists(steps) if steps else {}))


def assert_same(got, wanted, tolerance=1e-12):
    """Nests of arrays and lists agree, empty ones in shape only where the oracle can know it."""
    for a, b in zip(arrays_of(got), wanted if isinstance(got, tuple) else [wanted], strict=True):
        if a.size:
            np.testing.assert_allclose(a, b, rtol=0, atol=tolerance * max(1, np.abs(b).max()))


def assert_as_keras(about, arrays):
    """A layer gives what was recorded of Keras' (`keras_convolutions`), with its weights in its order."""
    options = {name: tuple(v) if isinstance(v, list) else v for name, v in about["options"].items()}
    model = gw.Model(getattr(gw, about["layer"])(*about["sizes"], **options), seed=0)
    weights = [arrays[f"w{k}"] for k in range(sum(key.startswith("w") for key in arrays))]
    model.set_weights(weights)
    assert all(np.array_equal(one, two) for one, two in zip(model.get_weights(), weights, strict=True))
    np.testing.assert_allclose(model.predict(arrays["x"]), arrays["y"], rtol=0, atol=2e-6)
