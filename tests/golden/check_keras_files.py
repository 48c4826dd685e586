"""Has Keras open what `to_keras` writes, and compares what both predict; prints a table, and fails above LARGEST.

Run by hand where gatewright[keras], keras and torch are: `KERAS_BACKEND=torch python tests/golden/check_keras_files.py`.
It writes the networks of tests/keras_cases.py, those that Keras saved (keras_networks.tar.xz), read and written again, opens
each file with keras.models.load_model, and compares the predictions at live steps, the flags of what is trained, and the count
of the weights. A stateful network is also run twice, with the state carried on. RANDOM networks more, graphs of all kinds, are
written and opened.
"""

import os
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "torch")
HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import keras  # noqa: E402
import keras_cases  # noqa: E402
import keras_goldens  # noqa: E402
import numpy as np  # noqa: E402

import gatewright as gw  # noqa: E402

LARGEST = 1e-6  # relative to the largest output, or to 1
RANDOM = 60


def compared(name, model, path, x, batch_size=None):
    """(class, number of layers, deviation) of one network."""
    model.to_keras(path, batch_size=batch_size)
    network = keras.models.load_model(path)
    pieces = np.array_split(x, 2, axis=1) if batch_size and x.ndim == 3 else [x]
    state, gaps = None, []
    for piece in pieces:
        ours, state = model.run(piece, state)
        theirs = network.predict(piece, verbose=0, batch_size=batch_size or len(x))
        shown = keras_cases.live_of(name, ours) if name in keras_cases.NETWORKS else np.ones(ours.shape, bool)
        assert ours.shape == theirs.shape, f"{name}: got {theirs.shape}, wanted {ours.shape}"
        assert np.ptp(ours, axis=0).max() > 1e-2, f"{name}: nothing to compare"
        gaps.append(np.abs(np.where(shown, ours - theirs, 0)).max() / max(1, np.abs(ours).max()))
    trained = sum(int(np.prod(w.shape)) for w in network.trainable_weights)
    ours = keras_numbers(model)
    assert trained == ours, f"{name}: Keras trains {trained} numbers, wanted {ours}"
    return type(network).__name__, len(network.layers), max(gaps)


def of_chance(seed, path):
    """The deviation of a random network."""
    model, x, live = keras_cases.random_network(seed)
    model.to_keras(path)
    ours, theirs = model.predict(x), keras.models.load_model(path).predict(x, verbose=0)
    live = live if ours.ndim == 3 else ...
    return np.abs(ours - theirs)[live].max() / max(1, np.abs(ours).max())


def keras_numbers(model):
    """How many numbers Keras trains: a GRU with reset_after has two biases of 3H, we have one and bn (H,)."""
    count = 0
    for name, free in model.parameters.trainable.items():
        size = model.parameters[name].size
        count += free * (3 * size if name.endswith(".bn") else size)
    return count


def cases(folder):
    """(name, model, x, batch_size) of every network."""
    for name in keras_cases.NETWORKS:
        model, batch_size = keras_cases.model_of(name)
        yield name, model, keras_cases.input_of(name), batch_size
    for name, (_, arrays) in keras_goldens.GOLDEN.items():
        path = folder / f"saved_{name}.keras"
        path.write_bytes(keras_goldens.content(f"{name}.keras"))
        yield f"saved_{name}", gw.from_keras(path), arrays["x"], len(arrays["x"]) if "stateful" in name else None


def main():
    worst = 0.0
    print(f"keras {keras.__version__}, {keras.backend.backend()} backend")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        for name, model, x, batch_size in cases(folder):
            kind, layers, gap = compared(name, model, folder / f"{name}.keras", x, batch_size)
            worst = max(worst, gap)
            print(f"{name:24} {kind:12} {layers:3} layers  {gap:.1e}", flush=True)
        random = max(map(of_chance, range(RANDOM), [folder / "random.keras"] * RANDOM))
        print(f"{RANDOM} random networks: {random:.1e}")
    worst = max(worst, random)
    print(f"the largest deviation: {worst:.1e}, allowed are {LARGEST:.0e}")
    return int(not worst < LARGEST)


if __name__ == "__main__":
    sys.exit(main())
