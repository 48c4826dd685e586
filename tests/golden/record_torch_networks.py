"""Records what PyTorch's networks give from their state dicts: torch_networks.safetensors.

Run by hand in an environment with torch: `python tests/golden/record_torch_networks.py`. A case is one recurrent module,
`kind_layers_directions_bias`, or a whole network. Its arrays have the names `case/…`: the state dict in float32 under `net.`,
the input x, the initial states h0 (and c0; the modules alone), the output y and the final states hn (and cn) in float32, and
y64 … of the same weights in float64. `d.…` are the gradients, in float64, of the sum of all outputs and final states times
`w.y`, `w.hn`, `w.cn`: by x, h0, c0 and every array of the state dict. No number is zero by choice.
"""

import itertools
import json
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import save_file
from torch import nn

B, T, F, H, P = 3, 7, 3, 4, 2  # P: a projection
WORDS = 9
KINDS = {"rnn_tanh": nn.RNN, "rnn_relu": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU, "lstm_projection": nn.LSTM}


class Tagger(nn.Module):
    """A label for every step."""

    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(F, H, 2, bidirectional=True, batch_first=True)
        self.fc = nn.Linear(2 * H, 2)

    def forward(self, x):
        return self.fc(self.lstm(x)[0])


class Words(nn.Module):
    """Everything that can stand in a chain."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(WORDS, F)
        self.gru = nn.GRU(F, H, batch_first=True, bias=False)
        self.norm = nn.LayerNorm(H, eps=1e-3)
        self.drop = nn.Dropout(0.5)
        self.head = nn.Sequential(nn.Linear(H, H), nn.ReLU(), nn.Linear(H, 2, bias=False))

    def forward(self, x):
        return self.head(self.drop(self.norm(self.gru(self.embed(x))[0])))


class Last(nn.Module):
    """One output a row, from the last step."""

    def __init__(self):
        super().__init__()
        self.rnn = nn.RNN(F, H, nonlinearity="relu", batch_first=True)
        self.fc = nn.Linear(H, 1)

    def forward(self, x):
        return self.fc(self.rnn(x)[0][:, -1])


class Waves(nn.Module):
    """Convolutions in front, the second one causal, and normalisation by stored statistics."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv1d(F, H, 4, stride=2, groups=1)
        self.norm = nn.BatchNorm1d(H)
        self.past = nn.Conv1d(H, 6, 2, dilation=3, groups=2, bias=False)
        self.gru = nn.GRU(6, H, batch_first=True)
        with torch.no_grad():
            self.norm.running_mean.copy_(torch.linspace(-1, 1, H))
            self.norm.running_var.copy_(torch.linspace(0.5, 2, H))

    def forward(self, x):
        x = self.norm(torch.relu(self.conv(x.mT)))
        return self.gru(torch.tanh(self.past(nn.functional.pad(x, (3, 0)))).mT)[0]


class Letters(nn.Module):
    """The same once more, each with other options."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(WORDS, F)
        self.past = nn.Conv1d(F, 6, 3, stride=2, dilation=2, groups=3, bias=False)
        self.norm = nn.BatchNorm1d(6, eps=1e-3)
        self.scale = nn.LayerNorm(6, eps=1e-2)
        self.drop = nn.Dropout(0.25)
        self.rnn = nn.RNN(6, H, nonlinearity="relu", batch_first=True)
        self.fc = nn.Linear(H, 2, bias=False)
        with torch.no_grad():
            self.norm.running_mean.copy_(torch.linspace(0.5, -0.5, 6))
            self.norm.running_var.copy_(torch.linspace(2, 1, 6))

    def forward(self, x):
        x = nn.functional.pad(self.embed(x).mT, (4, 0))
        x = self.scale(self.norm(torch.tanh(self.past(x))).mT)
        return self.fc(self.rnn(self.drop(x))[0][:, -1])


NETWORKS = {"tagger": Tagger, "words": Words, "last": Last, "waves": Waves, "letters": Letters}


def run(net, x, start):
    """{name: array} of what a module returns: y, or y and the final states."""
    result = net(x, tuple(start) if len(start) > 1 else start[0]) if start else net(x)
    y, final = result if isinstance(result, tuple) else (result, ())
    final = final if isinstance(final, tuple) else (final,)
    return {"y": y} | (dict(zip(("hn", "cn"), final, strict=False)) if start else {})


def record(net, x, rng):
    """All arrays of one case; x is None for random ones, which a recurrent module begins with random states."""

    def draw(*shape):
        return torch.tensor(rng.standard_normal(shape), dtype=torch.float32)

    net = net.eval()
    with torch.no_grad():
        for p in net.parameters():
            p.copy_(0.6 * draw(*p.shape))
    start = {}
    if isinstance(net, nn.RNNBase):
        depth = net.num_layers * (1 + net.bidirectional)
        start["h0"] = draw(depth, B, net.proj_size or H)
        start |= {"c0": draw(depth, B, H)} if isinstance(net, nn.LSTM) else {}
    x = draw(B, T, F) if x is None else x
    arrays = {"x": x} | start
    with torch.no_grad():
        arrays |= run(net, x, list(start.values()))
    arrays |= {f"net.{name}": array.clone() for name, array in net.state_dict().items()}
    wide = {name: a.double().requires_grad_() if a.is_floating_point() else a for name, a in ({"x": x} | start).items()}
    found = run(net.double(), wide["x"], [wide[name] for name in start])
    arrays |= {f"{name}64": array.detach() for name, array in found.items()}
    weights = {name: draw(*array.shape) for name, array in found.items()}
    sum((array * weights[name].double()).sum() for name, array in found.items()).backward()
    arrays |= {f"w.{name}": array for name, array in weights.items()}
    arrays |= {f"d.{name}": array.grad for name, array in wide.items() if array.requires_grad}
    arrays |= {f"d.net.{name}": p.grad for name, p in net.named_parameters()}
    return {name: np.ascontiguousarray(a.numpy()) for name, a in arrays.items()}


def main():
    arrays, cases = {}, []
    for (number, kind), layers, directions, bias in itertools.product(enumerate(KINDS), (1, 2), (1, 2), (True, False)):
        case = f"{kind}_{layers}_{directions}_{'bias' if bias else 'none'}"
        options = {"nonlinearity": kind[4:]} if kind.startswith("rnn") else {"proj_size": P} if "projection" in kind else {}
        net = KINDS[kind](F, H, layers, bias=bias, batch_first=True, bidirectional=directions == 2, **options)
        cases.append({"case": case, "kind": kind, "layers": layers, "directions": directions, "bias": bias})
        found = record(net, None, np.random.default_rng([number, layers, directions, bias]))
        arrays |= {f"{case}/{name}": array for name, array in found.items()}
    for number, (case, network) in enumerate(NETWORKS.items()):
        rng = np.random.default_rng([number])
        cases.append({"case": case, "kind": "network"})
        x = torch.tensor(rng.integers(0, WORDS, (B, T))) if case in ("words", "letters") else None
        found = record(network(), x, rng)
        arrays |= {f"{case}/{name}": array for name, array in found.items()}
    about = {"framework": f"torch {torch.__version__}", "script": Path(__file__).name, "cases": json.dumps(cases)}
    save_file(arrays, Path(__file__).with_name("torch_networks.safetensors"), metadata=about)


if __name__ == "__main__":
    main()
