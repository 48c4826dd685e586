"""Records what PyTorch's networks give from their state dicts: torch_networks.safetensors.

Run by hand in an environment with torch: `python tests/golden/record_torch_networks.py`. A case is one recurrent module,
`kind_layers_directions_bias`, or a whole network. Its arrays have the names `case/…`: the state dict in float32 under `net.`,
the input x, the output y and the final states hn (and cn) in float32, and y64 … of the same weights in float64. No number is
zero by choice.
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


NETWORKS = {"tagger": Tagger, "words": Words, "last": Last}


def flat(result):
    """{name: array} of what a module returns: y, or y and the final states."""
    y, final = result if isinstance(result, tuple) else (result, ())
    final = final if isinstance(final, tuple) else (final,)
    return {"y": y} | dict(zip(("hn", "cn"), final, strict=False))


def record(net, x, rng):
    """All arrays of one case; x is None for random ones."""
    net = net.eval()
    with torch.no_grad():
        for p in net.parameters():
            p.copy_(torch.tensor(0.6 * rng.standard_normal(p.shape)))
        x = torch.tensor(rng.standard_normal((B, T, F)), dtype=torch.float32) if x is None else x
        arrays = {"x": x} | flat(net(x)) | {f"net.{name}": array.clone() for name, array in net.state_dict().items()}
        wide = flat(net.double()(x.double() if x.is_floating_point() else x))
    arrays |= {f"{name}64": array for name, array in wide.items()}
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
        found = record(network(), torch.tensor(rng.integers(0, WORDS, (B, T))) if case == "words" else None, rng)
        arrays |= {f"{case}/{name}": array for name, array in found.items()}
    about = {"framework": f"torch {torch.__version__}", "script": Path(__file__).name, "cases": json.dumps(cases)}
    save_file(arrays, Path(__file__).with_name("torch_networks.safetensors"), metadata=about)


if __name__ == "__main__":
    main()
