"""Runs every network of tests/onnx_networks.py, as `to_onnx` writes it, in onnxruntime, and compares with gatewright.

Run by hand in an environment with onnx and onnxruntime: `python tests/golden/check_onnx_files.py [OPSET]`. float32, with and
without lengths (0 among them) and states, at two sizes, and chunk by chunk where a network can be streamed; `back` is what
gw.from_onnx makes of the file. Prints a table of the largest deviations, and one of them by layers and options, and exits with
1 if one is above 1e-5.
"""

import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime

sys.path.insert(0, str(Path(__file__).parents[1]))
import onnx_networks

import gatewright as gw
from gatewright.activations import Activation
from gatewright.state import tree_fill, tree_items

SIZES = (3, 7), (5, 11)  # batch, time
LENGTHS = [7, 0, 4, 1, 6]
TOLERANCE = 1e-5
# onnxruntime does not clip what goes into an LSTM's third activation, as the specification says: it is held against this.
CLIPPED = {"lstm_clip": 0.25, "lstm_both_clip": 0.3}


def session(model, folder, **options):
    """An onnxruntime session of the model's file, which the checker has seen."""
    path = Path(folder) / "model.onnx"
    model.to_onnx(path, **options)
    onnx.checker.check_model(onnx.load(path), full_check=True)
    return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])


def as_onnxruntime_clips(model, clip):
    """The model, but for the clip of the last activation of its LSTM."""
    lstm, *rest = model.network.layers
    own = {"activation": Activation("tanh", clip=clip), "recurrent_activation": Activation("sigmoid", clip=clip)}
    lstm = lstm.replace(clip=None, cell_activation="tanh", **own)
    return gw.Model(gw.Sequential(lstm, *rest), parameters=model.parameters)


def feed_of(run, x, state, lengths):
    """The session's inputs by name."""
    names = [port.name for port in run.get_inputs()]
    states = [name for name in names if name not in ("x", "lengths")]
    feed = {"x": x} | dict(zip(states, [array for _, array in tree_items(state)], strict=True))
    return feed | ({"lengths": np.asarray(lengths, np.int32)} if "lengths" in names else {})


def worst(pairs):
    """The largest deviation; shapes must be equal."""
    found = 0.0
    for got, wanted in pairs:
        assert got.shape == wanted.shape, (got.shape, wanted.shape)
        found = max(found, float(np.abs(got - wanted).max()))
    return found


def deviation(model, run, with_lengths, with_state):
    """The largest one over both sizes, states included where they are inputs."""
    found, rng = [], np.random.default_rng(5)
    for batch, time in SIZES:
        x = onnx_networks.inputs(model, batch, time)
        lengths = [min(n, time) for n in LENGTHS[:batch]] if with_lengths else None
        shapes = model.network.state_shape(batch) if with_state else None
        state = tree_fill(shapes, lambda shape: rng.standard_normal(shape).astype(np.float32))
        outputs = run.run(None, feed_of(run, x, state, lengths))
        y, after = gw.Model(model.network, parameters=model.parameters).run(x, state, lengths=lengths)
        found += zip(outputs, [y, *([array for _, array in tree_items(after)] if with_state else [])], strict=True)
    return worst(found)


def streamed(model, run):
    """The largest deviation of chunks of 1, 3 and the rest from the whole sequence; NaN where there is no streaming."""
    x = onnx_networks.inputs(model, 3, 9)
    if model.network.chunk_problem or model.predict(x).ndim < 3:
        return np.nan
    state = model.run(x[:, :1])[1]  # after a first step: what the model has learned is in it
    whole, outputs = model.run(x[:, 1:], state)[0], []
    now = [array for _, array in tree_items(state)]
    names = [port.name for port in run.get_inputs() if port.name != "x"]
    for chunk in np.split(x[:, 1:], [1, 4], axis=1):
        y, *now = run.run(None, {"x": chunk, **dict(zip(names, now, strict=True))})
        outputs.append(y)
    return worst([(np.concatenate(outputs, axis=1), whole)])


def returned(model, folder):
    """The largest deviation of the model that comes back from a file with lengths."""
    model.to_onnx(Path(folder) / "model.onnx", lengths=True)
    back, x = gw.from_onnx(Path(folder) / "model.onnx"), onnx_networks.inputs(model, *SIZES[0])
    lengths = LENGTHS[: SIZES[0][0]]
    return worst([(back.predict(x, lengths=lengths), model.predict(x, lengths=lengths))])


def main(opset):
    print(f"opset {opset}, onnxruntime {onnxruntime.__version__}, onnx {onnx.__version__}")
    columns = ["plain", "lengths", "state", "both", "chunks", "back"]
    print(f"{'network':24}" + "".join(f"{column:>10}" for column in columns))
    failed, options = [], {}
    with tempfile.TemporaryDirectory() as folder:
        for name in onnx_networks.LAYERS:
            model = onnx_networks.model_of(name)
            judge = as_onnxruntime_clips(model, CLIPPED[name]) if name in CLIPPED else model
            found = []
            for state in (False, True):
                for lengths in (False, True):
                    run = session(model, folder, lengths=lengths, state=state, opset=opset)
                    found.append(deviation(judge, run, lengths, state))
            found.append(streamed(judge, session(model, folder, state=True, opset=opset)))
            found.append(returned(model, folder))
            for option in onnx_networks.options(model.layer):
                options.setdefault(option, []).append(np.nanmax(found))
            failed += [name] if max(np.nan_to_num(found)) > TOLERANCE else []
            mark = "  clips as onnxruntime does" if name in CLIPPED else ""
            print(f"{name:24}" + "".join(f"{'-' if np.isnan(v) else format(v, '.1e'):>10}" for v in found) + mark)
    print(f"\n{'layer, option':40}{'networks':>10}{'largest':>10}")
    for (kind, option), deviations in sorted(options.items()):
        print(f"{kind + ('.' + option if option else ''):40}{len(deviations):>10}{max(deviations):>10.1e}")
    print(f"{len(onnx_networks.LAYERS)} networks, above {TOLERANCE}: {', '.join(failed) or 'none'}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 17))
