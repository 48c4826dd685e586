"""Records networks of torch.nn as ONNX files, and what torch makes of them: onnx_networks.zip and onnx_networks.safetensors.

Run by hand, `python tests/golden/record_onnx_networks.py`, in an environment with torch and onnx. A network has one input `x`
and, where rows are packed, `lengths`; its first output is recorded. Every other one is in float64. Parameters are random, none
is zero; batch and time differ from those with which the file was written.
"""

import io
import json
import warnings
import zipfile
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import save_file
from torch import nn
from torch.nn import functional

F, H, WORDS = 3, 4, 9
LENGTHS = [7, 5, 2]


class Net(nn.Module):
    """Modules by name, and a function of them and of the input."""

    def __init__(self, run, **parts):
        super().__init__()
        self.run = run
        for name, part in parts.items():
            setattr(self, name, nn.Parameter(part) if isinstance(part, torch.Tensor) else part)

    def forward(self, *inputs):
        return self.run(self, *inputs)


def lstm(size=F, hidden=H, **options):
    return nn.LSTM(size, hidden, batch_first=True, **options)


def gru(size=F, hidden=H, **options):
    return nn.GRU(size, hidden, batch_first=True, **options)


def rnn(size=F, hidden=H, **options):
    return nn.RNN(size, hidden, batch_first=True, **options)


def every(head, **parts):
    """A recurrent network `r`, and the function `head` of its outputs."""
    return Net(lambda n, x: head(n, n.r(x)[0]), **parts)


def packed(n, x, lengths):
    rows = nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True)
    return n.fc(nn.utils.rnn.pad_packed_sequence(n.r(rows)[0], batch_first=True)[0])


def stateful(n, x):
    """The initial state is learned: the same for all rows."""
    state = tuple(s.expand(-1, x.shape[0], -1).contiguous() for s in (n.h, n.c))
    return n.fc(n.r(x, state)[0])


def networks():
    """(name, network, opset)."""
    fc = nn.Linear
    yield "lstm", lstm(), 17
    yield "lstm_time_major", nn.LSTM(F, H, 2, bidirectional=True), 14
    yield "lstm_no_bias", every(lambda n, y: n.fc(y), r=lstm(bias=False), fc=fc(H, 2, bias=False)), 13
    yield "lstm_deep", every(lambda n, y: n.fc(n.d(y)), r=lstm(num_layers=3, dropout=0.3), d=nn.Dropout(0.2), fc=fc(H, 2)), 17
    yield "lstm_last", every(lambda n, y: torch.sigmoid(n.fc(y[:, -1])), r=lstm(num_layers=2), fc=fc(H, 2)), 12
    yield "lstm_final", Net(lambda n, x: torch.tanh(n.fc(n.r(x)[1][0][-1])), r=lstm(num_layers=2), fc=fc(H, 2)), 16
    yield "lstm_finals", Net(
        lambda n, x: n.fc((lambda h: torch.cat([h[-2], h[-1]], -1))(n.r(x)[1][0])),
        r=lstm(num_layers=2, bidirectional=True), fc=fc(2 * H, 3),
    ), 17  # fmt: skip
    yield "lstm_both", every(lambda n, y: n.fc(y), r=lstm(bidirectional=True), fc=fc(2 * H, 2)), 9
    yield "lstm_learned", Net(stateful, r=lstm(num_layers=2), fc=fc(H, 2), h=torch.zeros(2, 1, H), c=torch.zeros(2, 1, H)), 17
    yield "lstm_learned_both", Net(
        stateful, r=lstm(bidirectional=True), fc=fc(2 * H, 2), h=torch.zeros(2, 1, H), c=torch.zeros(2, 1, H)
    ), 14  # fmt: skip
    yield "gru", every(lambda n, y: torch.softmax(n.fc(y), -1), r=gru(), fc=fc(H, 5)), 13
    yield "gru_time_major", nn.GRU(F, H, bidirectional=True), 17
    yield "gru_no_bias", gru(bias=False, num_layers=2), 11
    yield "gru_last", every(lambda n, y: n.fc(functional.relu(y)[:, -1, :]), r=gru(), fc=fc(H, 2)), 15
    yield "gru_activated", every(lambda n, y: n.fc(torch.tanh(y)), r=gru(bidirectional=True), fc=fc(2 * H, 2)), 17
    yield "gru_view", every(
        lambda n, y: torch.log_softmax(n.fc(y.reshape(-1, H)), 1).view(y.shape[0], y.shape[1], 5), r=gru(), fc=fc(H, 5)
    ), 12  # fmt: skip
    yield "gru_squeezed", every(lambda n, y: n.fc(y).squeeze(-1), r=gru(), fc=fc(H, 1)), 17
    yield "rnn", rnn(), 10
    yield "rnn_relu", every(lambda n, y: functional.gelu(n.fc(y)), r=rnn(nonlinearity="relu", num_layers=2), fc=fc(H, 2)), 18
    yield "rnn_final", Net(
        lambda n, x: n.fc(n.r(x)[1].permute(1, 0, 2).reshape(x.shape[0], 2 * H)), r=rnn(bidirectional=True), fc=fc(2 * H, 2)
    ), 17  # fmt: skip
    yield "rnn_silu", every(lambda n, y: n.g(functional.silu(n.fc(y))), r=rnn(nonlinearity="relu"), fc=fc(H, 5), g=fc(5, 2)), 14
    yield "embedding", Net(lambda n, x: n.fc(n.r(n.e(x))[0]), e=nn.Embedding(WORDS, F), r=lstm(), fc=fc(H, WORDS)), 17
    yield "embedding_last", Net(lambda n, x: n.fc(n.r(n.e(x))[0][:, -1]), e=nn.Embedding(WORDS, F), r=gru(), fc=fc(H, 2)), 11
    yield "norm", every(lambda n, y: n.fc(n.n(y)), r=lstm(), n=nn.LayerNorm(H), fc=fc(H, 2)), 17
    yield "norm_old", Net(
        lambda n, x: n.m(n.r(n.n(x))[0]), n=nn.LayerNorm(F, eps=0.01), r=gru(bidirectional=True), m=nn.LayerNorm(2 * H)
    ), 12  # fmt: skip
    yield "residual", Net(
        lambda n, x: (lambda a: a + n.q(a)[0])((lambda a: a + n.r(a)[0])(n.fc(x))), fc=fc(F, H), r=lstm(H), q=gru(H)
    ), 17  # fmt: skip
    yield (
        "concat",
        Net(lambda n, x: n.fc(torch.cat([n.r(x)[0], n.q(x)[0], x], -1)), r=lstm(), q=gru(F, 2), fc=fc(H + 2 + F, 2)),
        14,
    )
    yield "gated", Net(lambda n, x: n.q(n.r(x)[0] * torch.sigmoid(n.fc(x)))[0], r=rnn(), q=lstm(H), fc=fc(F, H)), 17
    yield "averaged", Net(lambda n, x: (n.r(x)[0] + n.q(x)[0]) / 2, r=gru(), q=lstm()), 13
    yield "tied", Net(lambda n, x: n.fc(n.r(torch.tanh(n.t(torch.tanh(n.t(x)))))[0]), t=fc(F, F), r=gru(), fc=fc(H, 2)), 17
    yield "dense", nn.Sequential(
        fc(F, H), nn.ELU(0.7), fc(H, H), nn.LeakyReLU(0.1), fc(H, H), nn.Hardsigmoid(), fc(H, 3), nn.Softplus(), fc(3, 3),
        nn.Softsign(), fc(3, 3), nn.SELU(),
    ), 14  # fmt: skip
    yield "conv", Net(
        lambda n, x: n.fc(n.r(functional.relu(n.b(n.v(x.transpose(1, 2)))).transpose(1, 2))[0]),
        v=nn.Conv1d(F, H, 3, padding=1), b=nn.BatchNorm1d(H), r=lstm(H), fc=fc(H, 2),
    ), 17  # fmt: skip
    yield "conv_causal", Net(
        lambda n, x: n.r(n.v(functional.pad(x.transpose(1, 2), (4, 0))).transpose(1, 2))[0],
        v=nn.Conv1d(F, 6, 3, dilation=2, groups=3), r=gru(6),
    ), 15  # fmt: skip
    yield "pooled", Net(
        lambda n, x: n.fc(n.r(n.p(n.v(x.transpose(1, 2))).transpose(1, 2))[0].mean(1)),
        v=nn.Conv1d(F, H, 2, bias=False), p=nn.MaxPool1d(2, 1), r=gru(H), fc=fc(H, 2),
    ), 13  # fmt: skip
    yield "pooled_max", Net(
        lambda n, x: n.fc(n.r(n.p(x.transpose(1, 2)).transpose(1, 2))[0].max(1).values), p=nn.AvgPool1d(2), r=rnn(), fc=fc(H, 2)
    ), 18  # fmt: skip
    yield "packed", Net(packed, r=lstm(bidirectional=True), fc=fc(2 * H, 2)), 17
    yield "norm_gelu", every(lambda n, y: n.fc(functional.gelu(n.n(y))), r=lstm(), n=nn.LayerNorm(H), fc=fc(H, 2)), 14
    yield "packed_gru", Net(packed, r=gru(num_layers=2), fc=fc(H, 2)), 13


def draw(net, seed, dtype):
    """All parameters and running statistics anew."""
    rng = torch.Generator().manual_seed(seed)
    for name, tensor in (*net.named_parameters(), *net.named_buffers()):
        if tensor.is_floating_point():
            values = 0.5 * torch.randn(tensor.shape, generator=rng, dtype=torch.float64)
            tensor.data = (values.abs() + 0.5 if name.endswith("running_var") else values).to(dtype)
    return net.eval()


def inputs(name, batch, time, seed, dtype):
    rng = torch.Generator().manual_seed(seed)
    shape = (time, batch, F) if name.endswith("time_major") else (batch, time, F)
    words = torch.randint(0, WORDS, (batch, time), generator=rng)
    x = words if name.startswith("embedding") else torch.randn(shape, generator=rng, dtype=torch.float64).to(dtype)
    return {"x": x} | ({"lengths": torch.tensor(LENGTHS[:batch])} if name.startswith("packed") else {})


def record(name, net, opset, seed):
    """(the file, the arrays)."""
    dtype = torch.float64 if seed % 2 else torch.float32
    net, file = draw(net, seed, dtype), io.BytesIO()
    given = inputs(name, 2, 7, seed, dtype)
    axes = {"x": {0: "a", 1: "b"}, "lengths": {0: "a"}}
    torch.onnx.export(
        net, tuple(given.values()), file, dynamo=False, opset_version=opset, input_names=list(given),
        dynamic_axes={key: axes[key] for key in given},
    )  # fmt: skip
    given = inputs(name, 3, LENGTHS[0] if "packed" in name else 9, seed + 1, dtype)
    with torch.no_grad():
        y = net(*given.values())
    arrays = {key: a.numpy() for key, a in given.items()} | {"y": (y[0] if isinstance(y, tuple) else y).numpy()}
    assert np.isfinite(arrays["y"]).all()
    assert np.abs(arrays["y"]).max() > 0.01
    return file.getvalue(), arrays


def main():
    warnings.simplefilter("ignore")
    arrays, about = {}, []
    with zipfile.ZipFile(Path(__file__).with_name("onnx_networks.zip"), "w", zipfile.ZIP_DEFLATED) as archive:
        for seed, (name, net, opset) in enumerate(networks()):
            content, found = record(name, net, opset, seed)
            archive.writestr(zipfile.ZipInfo(f"{name}.onnx", (2026, 1, 1, 0, 0, 0)), content, zipfile.ZIP_DEFLATED)
            arrays |= {f"{name}/{key}": np.ascontiguousarray(array) for key, array in found.items()}
            about.append({"case": name, "opset": opset, "time_major": name.endswith("time_major")})
    metadata = {"framework": f"torch {torch.__version__}", "script": Path(__file__).name, "cases": json.dumps(about)}
    save_file(arrays, Path(__file__).with_name("onnx_networks.safetensors"), metadata=metadata)


if __name__ == "__main__":
    main()
