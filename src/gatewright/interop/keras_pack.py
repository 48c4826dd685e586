"""Layers of Keras' and how they are called -> a .keras file: a zip of two JSON files and an HDF5 one, always the same bytes."""

import io
import json
import re
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any, NamedTuple

import numpy as np

from gatewright.arrays import Array
from gatewright.errors import missing_extra
from gatewright.interop import keras_order
from gatewright.layers.base import Shape

VERSION = "3.15.1"  # of Keras, with which such files were tried
SAVED = "1980-01-01@00:00:00"  # no clock: the same model is the same file


class Tensor(NamedTuple):
    """What a call of a layer gave."""

    layer: str  # its name
    call: int
    shape: Shape  # (1, time, features), (1, features) or, of indices, (1, time)


@dataclass
class Entry:
    """A layer of Keras'."""

    class_name: str
    name: str
    config: dict[str, Any]
    arrays: dict[str, Array]  # by their place in the layer's group of the HDF5 file: "cell/vars/0"
    calls: list[list[Tensor]] = field(default_factory=list)  # what every call of it reads


class Graph:
    """The layers in the order of their first calls; `dtype` is the policy of all, `batch` the number of rows if it is fixed."""

    def __init__(self, dtype: str, batch: int | None) -> None:
        self.dtype, self.batch = dtype, batch
        self.entries: dict[str, Entry] = {}  # by who they are: a layer that is called again is the same one

    def call(self, who: str, class_name: str, config: dict[str, Any], arrays: dict[str, Array], given: list[Tensor]) -> Tensor:
        """Calls the layer `who` on `given`, and makes it if it isn't there; the shape is that of the first of `given`.

        arrays: by their place in the layer's group.
        """
        if who not in self.entries:
            # "concatenate", say, is what Keras calls a step of its masks' own
            name = f"layer{len(self.entries)}_{group_of(class_name)}"
            self.entries[who] = Entry(class_name, name, {"name": name, "dtype": self.dtype, **config}, arrays)
        entry = self.entries[who]
        entry.calls.append(given)
        return Tensor(entry.name, len(entry.calls) - 1, given[0].shape if given else ())

    @property
    def is_chain(self) -> bool:
        """Whether every layer is called once, on what the one before it gave."""
        before = [[], *([entry.name] for entry in self.entries.values())]
        found = [[[tensor.layer for tensor in given] for given in entry.calls] for entry in self.entries.values()]
        return all(calls == [source] for calls, source in zip(found, before, strict=False))


def pack(graph: Graph, output: Tensor) -> bytes:
    """The .keras file of the network that gives `output`. Raises MissingExtraError without h5py."""
    entries = list(graph.entries.values()) if graph.is_chain else keras_order.listed(graph, output)
    members = {
        "metadata.json": _text({"keras_version": VERSION, "date_saved": SAVED}),
        "config.json": _text(_sequential(graph) if graph.is_chain else _functional(graph, entries, output)),
        "model.weights.h5": _weights(entries),
    }
    import zipfile  # here: it brings compression and more, which who reads a model doesn't need

    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, member in members.items():
            about = zipfile.ZipInfo(name)  # of 1980
            about.create_system, about.external_attr = 3, 0o644 << 16
            archive.writestr(about, member)
    return content.getvalue()


def group_of(class_name: str) -> str:
    """What Keras calls the group of a class: simple_rnn, conv1d."""
    return re.sub("(?<=[a-z])(?=[A-Z])", "_", class_name).lower()


def described(class_name: str, config: dict[str, Any]) -> dict[str, Any]:
    """A layer as config.json has it."""
    return {"module": "keras.layers", "class_name": class_name, "config": config, "registered_name": None}


def _text(value: dict[str, Any]) -> bytes:
    return json.dumps(value, allow_nan=False, default=lambda number: number.item()).encode()  # of NumPy


def _sequential(graph: Graph) -> dict[str, Any]:
    layers = [described(entry.class_name, entry.config) for entry in graph.entries.values()]
    config = {"name": "sequential", "trainable": True, "dtype": graph.dtype, "layers": layers}
    return {"module": "keras", "class_name": "Sequential", "config": config, "registered_name": None}


def _functional(graph: Graph, entries: list[Entry], output: Tensor) -> dict[str, Any]:
    layers = []
    for entry in entries:
        nodes = [_node(graph, entry, given) for given in entry.calls if given]
        layers.append({**described(entry.class_name, entry.config), "name": entry.name, "inbound_nodes": nodes})
    config = {"name": "functional", "trainable": True, "layers": layers, "input_layers": [entries[0].name, 0, 0],
              "output_layers": [output.layer, output.call, 0]}  # fmt: skip
    module = "keras.src.models.functional"
    return {"module": module, "class_name": "Functional", "config": config, "registered_name": "Functional"}


def _node(graph: Graph, entry: Entry, given: list[Tensor]) -> dict[str, Any]:
    tensors = [
        {
            "class_name": "__keras_tensor__",
            "config": {
                "shape": batch_shape(graph, tensor),
                "dtype": graph.dtype,
                "keras_history": [tensor.layer, tensor.call, 0],
            },
        }
        for tensor in given
    ]
    return {"args": [tensors if entry.class_name in MERGES else tensors[0]], "kwargs": {}}


MERGES = ("Concatenate", "Add", "Multiply", "Average")


def batch_shape(graph: Graph, tensor: Tensor, indices: bool = False) -> list[int | None]:
    """The shape of a tensor with None for what is not known."""
    sizes = tensor.shape[-1:] if not indices else ()
    return [graph.batch, *[None] * (len(tensor.shape) - 1 - len(sizes)), *sizes]


def _weights(entries: list[Entry]) -> bytes:
    """The HDF5 file."""
    if find_spec("h5py") is None:
        raise missing_extra("h5py", "keras", "writing Keras' files")
    import h5py

    content = io.BytesIO()
    with h5py.File(content, "w") as file:
        count: dict[str, int] = {}
        for entry in entries:
            number = count[entry.class_name] = count.get(entry.class_name, -1) + 1
            group = f"layers/{group_of(entry.class_name)}" + (f"_{number}" if number else "")
            for part, array in entry.arrays.items():
                file.create_dataset(f"{group}/{part}", data=np.ascontiguousarray(array), track_times=False)
    return content.getvalue()
