"""Keras' files for the tests: those that Keras saved (golden/keras_networks.tar.xz), changed ones, and Keras 2's by hand."""

import contextlib
import functools
import io
import json
import tarfile
import zipfile

import goldens
import h5py
import numpy as np
import pytest
from safetensors import deserialize

import gatewright as gw
from gatewright.interop import hdf5, hdf5_child

GOLDEN = goldens.load("keras_networks")
REAL = hdf5.read


@functools.cache
def files():
    """{name: bytes} of all files that Keras saved."""
    with tarfile.open(goldens.GOLDEN / "keras_networks.tar.xz") as archive:
        return {member.name: archive.extractfile(member).read() for member in archive}


def content(name):
    """The bytes of one of them."""
    return files()[name]


def here(data, *roots):
    """hdf5.read without a process of its own, which takes a quarter of a second, for files that are known to be good."""
    found = dict(deserialize(hdf5_child.read(data, list(roots))))
    about = json.loads(bytes(found.pop("json")["data"]))
    kinds = {"F64": "<f8", "F32": "<f4", "F16": "<f2"}
    return {k: np.frombuffer(a["data"], kinds[a["dtype"]]).reshape(a["shape"]) for k, a in found.items()}, about


def reader(folder):
    """A function that reads bytes, or a recorded file, as a file of this name."""

    def function(name, data=None, **options):
        path = folder / name
        path.write_bytes(content(name) if data is None else data)
        return gw.from_keras(path, **options)

    return function


TOLD = {"conv_same", "average_masked", "norm", "norm_steps", "activations", "nested_frozen", "nested_still"}
TOLD |= {"options_dense", "options_noise", "options_norm"}


def golden(read, name, **options):
    """The model of a recorded file, of which something may have to be told."""
    told = pytest.warns(UserWarning, match="no counterpart") if name.partition(".")[0] in TOLD else contextlib.nullcontext()
    with told:
        return read(name, **options)


def changed(data, name, edit):
    """A .keras file whose JSON member was edited."""
    new = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(new, "w") as archive:
        for member in old.namelist():
            text = old.read(member)
            if member == name:
                value = json.loads(text)
                text = json.dumps(edit(value) or value).encode()
            archive.writestr(member, text)
    return new.getvalue()


def with_option(case, class_name, **options):
    """A .keras file in which layers of this class say something else."""

    def edit(config):
        for layer in config["config"]["layers"]:
            if layer["class_name"] == class_name:
                layer["config"] |= options

    return changed(content(f"{case}.keras"), "config.json", edit)


def keras2(layers, weights, version="2.2.4", graph=False):
    """An .h5 file as Keras 2 wrote it: attributes as bytes, names that end in :0, for [(class, config)] and their weights."""
    entries = [{"class_name": kind, "config": {"name": f"l{k}", **config}} for k, (kind, config) in enumerate(layers)]
    config = {"class_name": "Sequential", "config": {"name": "s", "layers": entries}}
    if graph:
        for k, entry in enumerate(entries):
            entry |= {"name": f"l{k}", "inbound_nodes": [[[f"l{k - 1}", 0, 0, {}]]] if k else []}
        ends = {"input_layers": [["l0", 0, 0]], "output_layers": [[f"l{len(layers) - 1}", 0, 0]]}
        config = {"class_name": "Model", "config": {"name": "m", "layers": entries, **ends}}
    file = io.BytesIO()
    with h5py.File(file, "w") as h5:
        h5.attrs["model_config"] = json.dumps(config).encode()
        if version:
            h5.attrs["keras_version"] = version.encode()
        for k, arrays in enumerate(weights):
            group = h5.create_group(f"model_weights/l{k}")
            names = [f"l{k}/part/weight_{n}:0" for n in range(len(arrays))]
            group.attrs["weight_names"] = [name.encode() for name in names]
            for name, array in zip(names, arrays, strict=True):
                group[name] = array
    return file.getvalue()


def graph2(layers, weights=None, **ends):
    """An .h5 file of a graph as Keras 2 wrote it, for [(class, name, config, the names or references of what it is called on)].

    Several lists of references are several calls. ends: input_layers, output_layers, if not the first and the last layer.
    """
    entries = []
    for kind, name, config, *calls in layers:
        nodes = [[[part, 0, 0, {}] if isinstance(part, str) else list(part) for part in call] for call in calls]
        entries.append(
            {"class_name": kind, "name": name, "config": {"name": name, "trainable": True, **config}, "inbound_nodes": nodes}
        )
    ends = {"input_layers": [[layers[0][1], 0, 0]], "output_layers": [[layers[-1][1], 0, 0]]} | ends
    config = {"class_name": "Functional", "config": {"name": "m", "layers": entries, **ends}}
    file = io.BytesIO()
    with h5py.File(file, "w") as h5:
        h5.attrs["model_config"] = json.dumps(config)
        h5.attrs["keras_version"] = "2.15.0"
        _groups(h5.create_group("model_weights"), weights or {})
    return file.getvalue()


def _groups(group, weights):
    """A group for every layer's name, with a list of its arrays."""
    for layer, arrays in weights.items():
        part = group.create_group(layer)
        part.attrs["weight_names"] = [f"{layer}/{name}:0".encode() for name in arrays]
        for name, array in arrays.items():
            part[f"{layer}/{name}:0"] = array


def weights2(weights):
    """An .h5 file of weights alone as Keras 2 wrote it: {layer: {name: array}}."""
    file = io.BytesIO()
    with h5py.File(file, "w") as h5:
        h5.attrs["layer_names"] = [name.encode() for name in weights]
        _groups(h5, weights)
    return file.getvalue()


def tree(arrays):
    """An .h5 file with arrays under these paths."""
    file = io.BytesIO()
    with h5py.File(file, "w") as h5:
        for path, array in arrays.items():
            h5[path] = array
    return file.getvalue()


def zipped2(config, arrays):
    """A .keras file as Keras 2.13 to 2.15 wrote it, made by hand from what is known of its tree: none was at hand."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("metadata.json", json.dumps({"keras_version": "2.15.0", "date_saved": "2024-01-01@00:00:00"}))
        archive.writestr("config.json", json.dumps(config))
        archive.writestr("model.weights.h5", tree(arrays))
    return file.getvalue()
