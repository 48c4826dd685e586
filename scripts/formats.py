"""Writes docs/formats.md: what every format can carry, found out by trying.

usage: python scripts/formats.py          with gatewright[keras,onnx] installed

Every layer and option below is written in every format and read again, and has to predict the same; where a writer refuses,
its reason is printed. The tests compare the page with what this script makes.
"""

import re
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np

import gatewright as gw
from gatewright.interop import keras, keras_masks, pytorch, rtneural
from gatewright.interop.onnx import operators

PAGE = Path(__file__).resolve().parent.parent / "docs" / "formats.md"
F, H = 3, 4
LAST = {"return_sequences": False}
PAIR = ("tanh", "relu")

ROWS: dict[str, list[gw.Layer]] = {
    "RNN (tanh, relu)": [gw.RNN(F, H), gw.RNN(H, H, activation="relu")],
    "LSTM": [gw.LSTM(F, H)],
    "GRU, reset_after": [gw.GRU(F, H)],
    "GRU, reset before": [gw.GRU(F, H, reset_after=False)],
    "num_layers": [gw.LSTM(F, H, num_layers=2)],
    "bidirectional": [gw.GRU(F, H, bidirectional=True)],
    "Bidirectional, sum": [gw.Bidirectional(gw.LSTM(F, H), "sum")],
    "Bidirectional, another cell backwards": [gw.Bidirectional(gw.LSTM(F, H), backward_layer=gw.GRU(F, H))],
    "return_sequences=False": [gw.LSTM(F, H, **LAST), gw.Dense(H, 2)],
    "go_backwards": [gw.LSTM(F, H, go_backwards=True)],
    "bias=False": [gw.LSTM(F, H, bias=False)],
    "other activations": [gw.LSTM(F, H, activation="softsign", recurrent_activation="hard_sigmoid")],
    "activations by direction": [gw.RNN(F, H, bidirectional=True, activation=PAIR)],
    "activations with constants": [gw.RNN(F, H, activation=gw.Activation("leaky_relu", 0.05))],
    "cell_activation": [gw.LSTM(F, H, cell_activation="softsign")],
    "peepholes": [gw.LSTM(F, H, peepholes=True)],
    "coupled gates": [gw.LSTM(F, H, coupled=True)],
    "clip": [gw.LSTM(F, H, clip=0.5)],
    "projection": [gw.LSTM(F, H, projection=2)],
    "learn_initial_state": [gw.LSTM(F, H, learn_initial_state=True)],
    "recurrent_dropout, input_dropout": [gw.LSTM(F, H, recurrent_dropout=0.2, input_dropout=0.1)],
    "stateful": [gw.LSTM(F, H, stateful=True)],
    "Embedding": [gw.Embedding(9, F), gw.LSTM(F, H)],
    "Embedding, mask_zero": [gw.Embedding(9, F, mask_zero=True), gw.LSTM(F, H)],
    "Masking": [gw.Masking(-1.0), gw.LSTM(F, H)],
    "Dense": [gw.LSTM(F, H), gw.Dense(H, 2)],
    "Dense, softmax": [gw.LSTM(F, H), gw.Dense(H, 2, "softmax")],
    "LayerNorm": [gw.LayerNorm(F), gw.LSTM(F, H)],
    "BatchNorm": [gw.BatchNorm(F), gw.LSTM(F, H)],
    "Dropout": [gw.Dropout(0.2), gw.LSTM(F, H)],
    "Activate": [gw.LSTM(F, H), gw.Activate("relu")],
    "Conv1D": [gw.Conv1D(F, H, 3, padding="same"), gw.LSTM(H, H)],
    "Conv1D, causal": [gw.Conv1D(F, H, 3, padding="causal", dilation=2), gw.LSTM(H, H)],
    "MaxPooling1D, AveragePooling1D": [gw.MaxPooling1D(2), gw.AveragePooling1D(2), gw.LSTM(F, H)],
    "GlobalMaxPooling1D": [gw.LSTM(F, H), gw.GlobalMaxPooling1D()],
    "GlobalAveragePooling1D": [gw.LSTM(F, H), gw.GlobalAveragePooling1D()],
    "RepeatVector": [gw.LSTM(F, H, **LAST), gw.RepeatVector(5), gw.GRU(H, 2)],
    "Residual": [gw.Residual(gw.LSTM(F, F)), gw.Dense(F, 2)],
    "Parallel": [gw.Parallel([gw.LSTM(F, H), gw.GRU(F, 2)]), gw.Dense(H + 2, 2)],
    "Shared": [gw.Shared(gw.LSTM(F, F), "a"), gw.Shared(gw.LSTM(F, F), "a")],
    "nested Sequential": [gw.Sequential(gw.LSTM(F, H), gw.Dense(H, 2)), gw.Dense(2, 2)],
}


def by_keras(model: gw.Model, folder: Path) -> gw.Model:
    """The model after a file of Keras'."""
    stateful = any(getattr(layer, "stateful", False) for layer in model.network.layers)
    model.to_keras(folder / "a.keras", **({"batch_size": 3} if stateful else {}))
    return gw.from_keras(folder / "a.keras")


def by_pytorch(model: gw.Model, folder: Path) -> gw.Model:
    """The model after a state dict, to which the layers are told again."""
    entries = [(str(index), layer) if layer.shapes() else layer for index, layer in enumerate(model.network.layers)]
    return gw.from_pytorch(model.to_pytorch(), layers=entries)


def by_onnx(model: gw.Model, folder: Path) -> gw.Model:
    """The model after a file of ONNX's."""
    model.to_onnx(folder / "a.onnx")
    return gw.from_onnx(folder / "a.onnx")


def by_rtneural(model: gw.Model, folder: Path) -> gw.Model:
    """The model after a file of RTNeural's."""
    model.to_rtneural(folder / "a.json")
    return gw.from_rtneural(folder / "a.json")


FORMATS: dict[str, Callable[[gw.Model, Path], gw.Model]] = {
    "Keras": by_keras,
    "PyTorch": by_pytorch,
    "ONNX": by_onnx,
    "RTNeural": by_rtneural,
}


def tried(layers: list[gw.Layer], way: Callable[[gw.Model, Path], gw.Model], folder: Path) -> str:
    """ "yes", or why not. Raises AssertionError where what comes back predicts otherwise."""
    model = gw.Model(gw.Sequential(*layers), seed=1)
    rng = np.random.default_rng(2)
    with model.parameters.edit() as flat:
        flat += 0.3 * rng.random(flat.shape).astype(flat.dtype)
    x = rng.integers(1, 9, (3, 8)) if model.layer.takes_indices else rng.standard_normal((3, 8, F))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what training alone would miss, and stateful=True
        try:
            back = way(model, folder)
        except (gw.OptionError, gw.FormatError) as error:
            return reason(str(error))
        np.testing.assert_allclose(back.predict(x), model.predict(x), rtol=0, atol=1e-5)
    return "yes"


def reason(text: str) -> str:
    """A refusal without the place and the description of the layer, such as "layer 0, LSTM(3, 4): "."""
    text = re.sub(r"^(layer )?\d+(\.\d+)*[:,. ]+\s*", "", re.sub(r"^\S*\.(keras|onnx|json): ", "", text))
    depth, end = 0, 0
    for place, letter in enumerate(text):
        depth += (letter == "(") - (letter == ")")
        if letter == ")" and not depth:
            end = place + 1
            break
    described = end and re.match(r"[A-Z]\w+\(", text)
    return text[end:].lstrip(":, ") if described else text


def page() -> str:
    """The whole page."""
    notes: dict[str, int] = {}
    lines = []
    with tempfile.TemporaryDirectory() as folder:
        for name, layers in ROWS.items():
            cells = [tried(layers, way, Path(folder)) for way in FORMATS.values()]
            for cell in cells:
                if cell != "yes":
                    notes.setdefault(cell, len(notes) + 1)
            lines.append(
                f"| {name} | " + " | ".join("yes" if cell == "yes" else f"no ({notes[cell]})" for cell in cells) + " |"
            )
    known = {
        "KERAS": ", ".join(sorted({*keras.BUILDERS, *keras_masks.MERGES})),
        "PYTORCH": pytorch.MODULES,
        "ONNX": ", ".join(sorted(operators.FORMS)),
        "RTNEURAL": ", ".join(rtneural.KINDS),
        "TABLE": "\n".join(["| | " + " | ".join(FORMATS) + " |", "|---" * (len(FORMATS) + 1) + "|", *lines]),
        "NOTES": "\n".join(f"{number}. {text}" for text, number in notes.items()),
    }
    return re.sub(r"<([A-Z]+)>", lambda found: known[found[1]], TEXT)


TEXT = """# What every format can carry

*Made by `python scripts/formats.py`; the tests compare.*

| | in | out | needs |
|---|---|---|---|
| Keras 3 and 2: `.keras`, `.h5`, `.weights.h5` | `gw.from_keras` | `model.to_keras` (Keras 3) | h5py |
| PyTorch: `.pt`, `.pth`, `.safetensors`, a state dict | `gw.from_pytorch` | `model.to_pytorch` (a state dict) | nothing |
| ONNX, opset 7 to 22 | `gw.from_onnx`, `gw.OnnxGraph` | `model.to_onnx` | onnx |
| RTNeural: `.json` | `gw.from_rtneural` | `model.to_rtneural` | nothing |

From the shell: `gatewright convert A B --verify`, `gatewright inspect FILE`.

## Layers and options: out, and in again with the same predictions

<TABLE>

Why not:

<NOTES>

A state dict of PyTorch's holds names and numbers alone: "yes" means that the numbers go both ways, and that
`from_pytorch(layers=[…])` is told the rest. What acts in training only (dropout of all kinds) is kept in Keras' files; the
others have no place for it.

## What the readers know

- **Keras' layers:** <KERAS>. Sequential, Functional with one input and one output, one inside another, layers called several
  times, branches joined by Concatenate, Add, Average or Multiply.
- **PyTorch's modules:** <PYTORCH>.
- **ONNX's operators** (`gw.OnnxGraph` runs any graph of them; `gw.from_onnx` wants layers one after the other, with residual
  and parallel branches): <ONNX>.
- **RTNeural's layers:** <RTNEURAL>.

## What is refused, always by name and with its place

- Lambda layers and classes that are not the framework's own; pickles with anything but tensors, dicts and plain values: nothing
  that a file says is ever run.
- Several inputs or outputs (ONNX: `gw.OnnxGraph` runs them); an initial state that a network computes for itself.
- ONNX: If, Loop, Scan, functions, other domains, sparse and text tensors, external data outside the file's own folder.
- Everything truncated, with sizes that its bytes can't hold, or larger than such a file can be: one `gw.FormatError` with the
  file's name, in bounded memory and time. HDF5 is parsed in a process of its own, under limits.
"""

if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8", newline="\n")
